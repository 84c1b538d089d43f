/* SPDX-License-Identifier: MIT */
/*
 * The in-process device: the model (qemu-device/model) with what QEMU and the kernel driver are
 * to it otherwise. The model takes tasks from a queue in order, one at a time, so that submitting never waits. An executor thread
 * does them; a device of one thread has none, and whoever waits does what is in the queue up to the end of his own task.
 */
#ifndef LF_DEVICE_INPROC_H
#define LF_DEVICE_INPROC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <lf/parallel.h>

#include "qemu-device/model/xbar.h"
#include "runtime/device/backend.h"

struct inproc;

/**
 * struct inproc_task - something for the executor to do, part of what it is about
 * @next: in the queue
 * @run: does it
 * @ended: set last; whoever waits may free the task from then on
 */
struct inproc_task {
	struct inproc_task *next;
	void (*run)(struct inproc *inproc, struct inproc_task *task);
	atomic_bool ended;
};

/**
 * struct inproc_queue - tasks in order, and the thread that does them
 * @thread: the executor, where @threaded
 * @threaded: there is one
 * @lock: guards all below
 * @work: signalled when a task is added or @stop is set
 * @progress: signalled when a task has ended
 * @first: next task, NULL if there is none
 * @last: where the next one is added
 * @busy: a task is being done
 * @stop: end once the queue is empty
 */
struct inproc_queue {
	pthread_t thread;
	bool threaded;
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t progress;
	struct inproc_task *first;
	struct inproc_task **last;
	bool busy;
	bool stop;
};

/**
 * struct inproc_memory - the non-volatile memory
 * @data: mapped
 * @bytes: length
 * @fd: the file, -1 for memory that goes with the device
 * @created: the file was made by this opening
 * @filled: the file was empty, or created
 */
struct inproc_memory {
	void *data;
	uint64_t bytes;
	int fd;
	bool created;
	bool filled;
};

/**
 * struct inproc_reference - what the handles to one matrix have in common
 * @matrix: identifier
 * @handles: number of them, 0 where the entry is free
 * @own: created here, so that it may be named
 * @lasting: published, so that it outlives its handles
 */
struct inproc_reference {
	uint32_t matrix;
	uint32_t handles;
	bool own;
	bool lasting;
};

/**
 * struct inproc - the device
 * @device: common part
 * @xbar: the model; only tasks touch it
 * @pool: threads the model's work is spread over
 * @memory: cells, directory and ledger
 * @account: user id of the process
 * @queue: tasks
 * @counters: sum over ended jobs, guarded by @queue.lock
 * @references_lock: guards all below
 * @references: array of @reference_capacity
 */
struct inproc {
	struct lf_device device;
	struct xbar *xbar;
	struct lf_parallel *pool;
	struct inproc_memory memory;
	uint32_t account;
	struct inproc_queue queue;
	struct lf_counters counters;
	pthread_mutex_t references_lock;
	struct inproc_reference *references;
	uint32_t reference_capacity;
};

static inline struct inproc *to_inproc(struct lf_device *device)
{
	return (struct inproc *)device;
}

/** inproc_queue_start() - start the executor, unless the device has one thread; 0 or negative errno */
int inproc_queue_start(struct inproc *inproc);

/** inproc_queue_stop() - do what is queued, then end the executor */
void inproc_queue_stop(struct inproc *inproc);

/** inproc_queue_add() - have a task done; it stays the caller's until it has ended */
void inproc_queue_add(struct inproc *inproc, struct inproc_task *task);

/** inproc_queue_wait() - wait for a task's end; 0 or -ETIME. A negative timeout waits for ever */
int inproc_queue_wait(struct inproc *inproc, struct inproc_task *task, int64_t timeout_ns);

/**
 * inproc_manage() - execute one management command and wait for it
 * @inproc: the device
 * @command: with operands but for their place: buffer 0 is @input, buffer 1 is @output
 * @input: what it reads, may be NULL
 * @input_bytes: its length
 * @output: what it writes, may be NULL
 * @output_bytes: its length
 * @result: receives what the command returned, may be NULL
 *
 * Return: 0 or the negative errno of its status, or -ENOMEM.
 */
int inproc_manage(struct inproc *inproc, const struct lf_command *command, const void *input,
		  size_t input_bytes, void *output, size_t output_bytes, uint64_t *result);

/** inproc_place_transfers() - point an open job's transfers straight into its buffers */
void inproc_place_transfers(struct xbar_job *job, void *const *buffers);

/**
 * inproc_memory_open() - map memory of @bytes, of the file @path or, where it is NULL, for this
 * device alone
 */
int inproc_memory_open(struct inproc_memory *memory, const char *path, uint64_t bytes,
		       struct lf_error *error);

/**
 * inproc_memory_close() - unmap; with @discard a file that was made by this opening is removed, an
 * empty one emptied again
 */
void inproc_memory_close(struct inproc_memory *memory, const char *path, bool discard);

/** inproc_memory_persist() - have a range reach the medium before anything that is written later */
void inproc_memory_persist(const struct inproc_memory *memory, uint64_t offset, uint64_t bytes);

/* The backend's functions, as in backend.h. */
int inproc_quota(struct lf_device *device, uint32_t account, const uint64_t *new_quota_cells,
		 struct lf_account *quota, struct lf_error *error);
int inproc_matrix_create(struct lf_matrix *matrix, struct lf_error *error);
int inproc_matrix_open(struct lf_matrix *matrix, const char *name, struct lf_error *error);
void inproc_matrix_close(struct lf_matrix *matrix);
int inproc_matrix_commit(struct lf_matrix *matrix, struct lf_error *error);
int inproc_matrix_publish(struct lf_matrix *matrix, const char *name, uint32_t mode,
			  struct lf_error *error);
int inproc_matrix_unlink(struct lf_device *device, const char *name, struct lf_error *error);
int inproc_matrix_refresh(struct lf_matrix *matrix, uint64_t *cells_written,
			  struct lf_error *error);
int inproc_matrix_info(const struct lf_matrix *matrix, struct lf_matrix_info *info,
		       struct lf_error *error);
int inproc_matrix_list(struct lf_device *device, struct lf_matrix_info *entries, uint32_t count,
		       uint32_t *first, struct lf_error *error);
int inproc_job_create(struct lf_device *device, struct lf_job **job, struct lf_error *error);
void inproc_job_destroy(struct lf_job *job);
int inproc_job_submit(struct lf_job *job, struct lf_error *error);
int inproc_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error);

#endif
