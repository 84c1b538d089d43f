// SPDX-License-Identifier: MIT
/* The queue of the in-process device, and who does what is in it; see inproc.h. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "runtime/device/inproc.h"
#include "runtime/device/status.h"

#define NANOSECONDS_PER_SECOND 1000000000

/* Does the first task; @queue.lock is held before and after, not meanwhile. */
static void do_task(struct inproc *inproc)
{
	struct inproc_queue *queue = &inproc->queue;
	struct inproc_task *task = queue->first;

	queue->first = task->next;
	if (!queue->first)
		queue->last = &queue->first;
	queue->busy = true;
	pthread_mutex_unlock(&queue->lock);

	task->run(inproc, task);

	pthread_mutex_lock(&queue->lock);
	queue->busy = false;
	atomic_store_explicit(&task->ended, true, memory_order_release);
	pthread_cond_broadcast(&queue->progress);
}

static void *execute(void *argument)
{
	struct inproc *inproc = argument;
	struct inproc_queue *queue = &inproc->queue;

	pthread_mutex_lock(&queue->lock);
	for (;;) {
		while (!queue->first && !queue->stop)
			pthread_cond_wait(&queue->work, &queue->lock);
		if (!queue->first)
			break;
		do_task(inproc);
	}
	pthread_mutex_unlock(&queue->lock);
	return NULL;
}

static void release(struct inproc_queue *queue)
{
	pthread_cond_destroy(&queue->progress);
	pthread_cond_destroy(&queue->work);
	pthread_mutex_destroy(&queue->lock);
}

int inproc_queue_start(struct inproc *inproc)
{
	struct inproc_queue *queue = &inproc->queue;
	pthread_condattr_t attributes;
	int err = 0;

	queue->first = NULL;
	queue->last = &queue->first;
	queue->busy = false;
	queue->stop = false;
	queue->threaded = lf_parallel_threads(inproc->pool) > 1;
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->work, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&queue->progress, &attributes);
	pthread_condattr_destroy(&attributes);
	if (queue->threaded)
		err = pthread_create(&queue->thread, NULL, execute, inproc);
	if (err)
		release(queue);
	return -err;
}

void inproc_queue_stop(struct inproc *inproc)
{
	struct inproc_queue *queue = &inproc->queue;

	pthread_mutex_lock(&queue->lock);
	while (!queue->threaded && queue->first)
		do_task(inproc);
	queue->stop = true;
	pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->lock);
	if (queue->threaded)
		pthread_join(queue->thread, NULL);
	release(queue);
}

void inproc_queue_add(struct inproc *inproc, struct inproc_task *task)
{
	struct inproc_queue *queue = &inproc->queue;

	task->next = NULL;
	atomic_store_explicit(&task->ended, false, memory_order_relaxed);
	pthread_mutex_lock(&queue->lock);
	*queue->last = task;
	queue->last = &task->next;
	if (queue->threaded)
		pthread_cond_signal(&queue->work);
	pthread_mutex_unlock(&queue->lock);
}

static struct timespec deadline_after(int64_t timeout_ns)
{
	struct timespec deadline;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout_ns / NANOSECONDS_PER_SECOND;
	deadline.tv_nsec += timeout_ns % NANOSECONDS_PER_SECOND;
	if (deadline.tv_nsec >= NANOSECONDS_PER_SECOND) {
		deadline.tv_sec++;
		deadline.tv_nsec -= NANOSECONDS_PER_SECOND;
	}
	return deadline;
}

int inproc_queue_wait(struct inproc *inproc, struct inproc_task *task, int64_t timeout_ns)
{
	struct inproc_queue *queue = &inproc->queue;
	struct timespec deadline;
	int err = 0;

	if (atomic_load_explicit(&task->ended, memory_order_acquire))
		return 0;
	if (timeout_ns >= 0)
		deadline = deadline_after(timeout_ns);
	pthread_mutex_lock(&queue->lock);
	while (!err && !atomic_load_explicit(&task->ended, memory_order_relaxed)) {
		if (!queue->threaded && !queue->busy)
			do_task(inproc);
		else if (timeout_ns < 0)
			pthread_cond_wait(&queue->progress, &queue->lock);
		else
			err = pthread_cond_timedwait(&queue->progress, &queue->lock, &deadline);
	}
	if (atomic_load_explicit(&task->ended, memory_order_relaxed))
		err = 0;
	pthread_mutex_unlock(&queue->lock);
	return err ? -ETIME : 0;
}

/** struct management_call - a management command on its way through the queue */
struct management_call {
	struct inproc_task task;
	const struct lf_command *command;
	uint64_t buffer_bytes[2];
	void *buffers[2];
	struct lf_completion completion;
	int err;
};

static void run_management(struct inproc *inproc, struct inproc_task *task)
{
	struct management_call *call = (struct management_call *)task;
	const struct xbar_request request = {
		.commands = call->command,
		.command_count = 1,
		.buffer_bytes = call->buffer_bytes,
		.buffer_count = 2,
		.account = inproc->account,
		.privileged = true,
		.management = true,
	};
	struct xbar_job *job = NULL;

	call->err = xbar_job_open(inproc->xbar, &request, &call->completion, &job);
	if (call->err)
		return;
	inproc_place_transfers(job, call->buffers);
	xbar_job_run(job, &call->completion);
	xbar_job_close(job);
}

int inproc_manage(struct inproc *inproc, const struct lf_command *command, const void *input,
		  size_t input_bytes, void *output, size_t output_bytes, uint64_t *result)
{
	struct management_call call = {
		.task.run = run_management,
		.command = command,
		.buffer_bytes = { input_bytes, output_bytes },
		.buffers = { (void *)(uintptr_t)input, output },
	};

	inproc_queue_add(inproc, &call.task);
	inproc_queue_wait(inproc, &call.task, -1);
	if (call.err == -ENOMEM)
		return call.err;
	if (result)
		*result = call.completion.result;
	return lf_status_errno(call.completion.status);
}

void inproc_place_transfers(struct xbar_job *job, void *const *buffers)
{
	uint32_t count;
	struct xbar_transfer *transfers = xbar_job_transfers(job, &count);

	for (uint32_t i = 0; i < count; i++) {
		transfers[i].memory = (char *)buffers[transfers[i].buffer] + transfers[i].offset;
		transfers[i].memory_stride = transfers[i].stride;
	}
}
