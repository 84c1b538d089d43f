/* SPDX-License-Identifier: MIT */
/*
 * What the guest tests share: opening the device, buffers, matrices, jobs, and the scalar reference
 * that results are compared with. Everything ends the test when it fails, except what says that it
 * returns an error.
 */
#ifndef GUEST_ACCELERATOR_H
#define GUEST_ACCELERATOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <drm/lf_accel.h>

#define GUEST_USER    1000u
#define GUEST_OTHER   1001u
#define GUEST_RENDER  105u

#define GUEST_WAIT_MS 70000

/** struct guest_buffer - a buffer, mapped */
struct guest_buffer {
	uint32_t handle;
	uint64_t size;
	void *memory;
};

#define GUEST_BUFFERS  8
#define GUEST_MATRICES 8
#define GUEST_COMMANDS 16
#define GUEST_SYNCS    8

/** struct guest_job - a job under construction; start from guest_job() */
struct guest_job {
	struct lf_command commands[GUEST_COMMANDS];
	uint32_t buffers[GUEST_BUFFERS];
	uint32_t matrices[GUEST_MATRICES];
	struct drm_lf_sync syncs[GUEST_SYNCS];
	struct drm_lf_submit submit;
};

/** guest_open() - the first accelerator */
int guest_open(void);

/** guest_open_on() - the same from a processor, and so for another queue; @processor wraps around */
int guest_open_on(unsigned int processor);

/** guest_info() - its limits */
struct drm_lf_device_info guest_info(int fd);

/** guest_ioctl() - an ioctl, restarted after a signal; 0, or -1 with errno */
int guest_ioctl(int fd, unsigned long request, void *argument);

/** guest_buffer() - make and map a buffer */
struct guest_buffer guest_buffer(int fd, uint64_t size);

/** guest_buffer_close() - unmap a buffer and close its handle */
void guest_buffer_close(int fd, struct guest_buffer *buffer);

/** guest_syncobj() - make a sync object */
uint32_t guest_syncobj(int fd);

/** guest_wait() - wait for a binary sync object; 0 or a negative errno */
int guest_wait(int fd, uint32_t syncobj, int64_t timeout_ms);

/** guest_fence_error() - status of a sync object's fence: 1 signalled, 0 not yet, negative errno */
int guest_fence_error(int fd, uint32_t syncobj);

/** guest_random() - next number of a generator with state @seed */
uint32_t guest_random(uint64_t *seed);

/** guest_float() - a number in -1 .. 1 */
float guest_float(uint64_t *seed);

/** guest_job() - an empty job */
struct guest_job guest_job(void);

/** guest_job_buffer() - add a buffer; returns its index */
uint32_t guest_job_buffer(struct guest_job *job, uint32_t handle);

/** guest_job_matrix() - add a matrix; returns what struct lf_command.matrix has to be */
uint32_t guest_job_matrix(struct guest_job *job, uint32_t handle);

/** guest_job_sync() - add a sync object */
void guest_job_sync(struct guest_job *job, uint32_t handle, uint32_t flags, uint64_t point);

/** guest_job_command() - add a command, zeroed */
struct lf_command *guest_job_command(struct guest_job *job, uint16_t opcode);

/** guest_job_submit() - submit; 0, or -1 with errno */
int guest_job_submit(int fd, struct guest_job *job);

/** guest_job_run() - submit and wait; as guest_fence_error(), or the submission's errno */
int guest_job_run(int fd, struct guest_job *job);

/** guest_operand() - an operand in buffer @buffer */
struct lf_operand guest_operand(uint32_t buffer, uint64_t offset, uint32_t stride);

/** guest_scratch() - an operand in scratch memory */
struct lf_operand guest_scratch(uint64_t offset, uint32_t stride);

/** guest_matrix_create() - a matrix, nothing programmed; 0, or -1 with errno */
int guest_matrix_create(int fd, uint32_t rows, uint32_t cols, uint32_t *handle);

/** guest_matrix_program() - program all rows from @weights [rows][cols]; as guest_job_run() */
int guest_matrix_program(int fd, uint32_t handle, uint32_t rows, uint32_t cols,
			 const int8_t *weights);

/** guest_matrix_commit() - 0, or -1 with errno */
int guest_matrix_commit(int fd, uint32_t handle);

/** guest_matrix_publish() - 0, or -1 with errno */
int guest_matrix_publish(int fd, uint32_t handle, const char *name, uint32_t mode);

/** guest_matrix_open() - 0, or -1 with errno */
int guest_matrix_open(int fd, const char *name, uint32_t *handle);

/** guest_matrix_unlink() - 0, or -1 with errno */
int guest_matrix_unlink(int fd, const char *name);

/** guest_matrix_close() - 0, or -1 with errno */
int guest_matrix_close(int fd, uint32_t handle);

/** guest_matrix() - a committed matrix with random weights, returned in @weights [rows][cols] */
uint32_t guest_matrix(int fd, uint32_t rows, uint32_t cols, uint64_t seed, int8_t *weights);

/** guest_matrix_info() - what the directory tells of a matrix */
struct lf_matrix_info guest_matrix_info(int fd, uint32_t handle);

/** guest_quantise() - q [count] and the returned s of @x [count], as lf_hw.h defines them */
float guest_quantise(const float *x, uint32_t count, int8_t *q);

/** guest_forward() - y [cols] = x [rows] times @weights [rows][cols], without noise */
void guest_forward(const float *x, const int8_t *weights, uint32_t rows, uint32_t cols, float *y);

/** guest_multiply_job() - one vector: input at 0 and output at @offset of @buffer */
struct guest_job guest_multiply_job(uint32_t buffer, uint32_t matrix, uint32_t rows, uint32_t cols,
				    uint64_t offset);

/** guest_check_product() - a random vector times a matrix with @weights [rows][cols], compared with the reference to the bit */
void guest_check_product(int fd, uint32_t handle, uint32_t rows, uint32_t cols,
			 const int8_t *weights, uint64_t seed);

/**
 * guest_check_multiply() - a matrix of one's own, multiplied and compared with the reference
 *
 * What proves that the device still works after something else was tried.
 */
void guest_check_multiply(int fd, uint64_t seed);

/** guest_as_user() - run @test as an unprivileged user of the device; fails if it fails */
void guest_as_user(uid_t user, void (*test)(void *), void *argument);

/**
 * guest_settled() - the device's totals, once nothing is deleted and erased in the background
 */
struct lf_telemetry_block guest_settled(int fd);

/** guest_telemetry() - the device's totals; for the privileged */
struct lf_telemetry_block guest_telemetry(int fd, uint32_t scope);

/**
 * guest_reload() - load the driver anew with other parameters
 * @parameters: words for modprobe
 *
 * Return: false where that cannot be done: not root, not a module, in use.
 */
bool guest_reload(const char *parameters);

/** guest_unload() - the first half of guest_reload() */
bool guest_unload(void);

/** guest_load() - the second half */
bool guest_load(const char *parameters);

/** guest_inject() - raise or arm a fault, LF_INJECT(); skips the test where that cannot be done */
void guest_inject(uint32_t what);

/** guest_armed() - mask of 1 << LF_INJECT_* of the faults that have not struck yet */
uint32_t guest_armed(void);

/** guest_await_strike() - wait until the fault @what has struck: jobs of other queues may overtake the one it is meant for */
void guest_await_strike(uint32_t what);

#endif
