// SPDX-License-Identifier: MIT
/*
 * Files that close and processes that die with work queued; objects that outlive their file.
 */
#include <fcntl.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 64, COLS = 64, OUTPUT = 2048 };

static void queue_jobs(int fd, uint32_t buffer, uint32_t matrix, int count)
{
	for (int i = 0; i < count; i++) {
		struct guest_job job = guest_multiply_job(buffer, matrix, ROWS, COLS, OUTPUT);

		CHECK_OK(guest_job_submit(fd, &job));
	}
}

static void close_with_jobs_queued(void)
{
	int8_t weights[ROWS * COLS];
	int fd;

	for (int round = 0; round < 10; round++) {
		fd = guest_open();
		queue_jobs(fd, guest_buffer(fd, 4096).handle,
			   guest_matrix(fd, ROWS, COLS, 1, weights), 400);
		close(fd);
	}
	fd = guest_open();
	guest_check_multiply(fd, 1);
}

/* Short queues, so that closing meets the scheduler taking a job of the file. */
static void close_while_jobs_start(void)
{
	enum { ROUNDS = 300, JOBS = 20 };
	struct guest_job job = guest_job();

	guest_job_command(&job, LF_OP_BARRIER);
	for (int round = 0; round < ROUNDS; round++) {
		int fd = guest_open();

		for (int i = 0; i < JOBS; i++)
			CHECK_OK(guest_job_submit(fd, &job));
		close(fd);
	}
	guest_check_multiply(guest_open(), 4);
}

static void kill_with_jobs_queued(void)
{
	for (int round = 0; round < 10; round++) {
		int status, pipes[2];
		char byte;
		pid_t child;

		CHECK_OK(pipe(pipes));
		child = fork();
		if (child == 0) {
			int8_t weights[ROWS * COLS];
			int fd = guest_open();
			uint32_t buffer = guest_buffer(fd, 4096).handle;
			uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);

			for (;;) {
				queue_jobs(fd, buffer, matrix, 50);
				CHECK(write(pipes[1], "x", 1) == 1);
			}
		}
		close(pipes[1]);
		for (int i = 0; i <= round; i++)
			CHECK(read(pipes[0], &byte, 1) == 1);
		CHECK_OK(kill(child, SIGKILL));
		CHECK(waitpid(child, &status, 0) == child);
		close(pipes[0]);
	}
	guest_check_multiply(guest_open(), 2);
}

/* A fence that another file descriptor holds signals after its file is closed. */
static void fence_outlives_file(void)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open(), fence;
	uint32_t syncobj = guest_syncobj(fd);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(
		buffer.handle, guest_matrix(fd, ROWS, COLS, 1, weights), ROWS, COLS, OUTPUT);
	struct sync_file_info info = { 0 };
	struct pollfd wait;

	guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_OK(drmSyncobjExportSyncFile(fd, syncobj, &fence));
	close(fd);
	wait = (struct pollfd){ .fd = fence, .events = POLLIN };
	CHECK_EQUAL(poll(&wait, 1, GUEST_WAIT_MS), 1);
	CHECK_OK(guest_ioctl(fence, SYNC_IOC_FILE_INFO, &info));
	/* It ran, or was cancelled with its file. */
	CHECK(info.status == 1 || info.status < 0);
}

/* A matrix is kept by the jobs that use it. */
static void matrix_outlives_its_handle(void)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	float *x = buffer.memory, expected[COLS];

	for (int round = 0; round < 20; round++) {
		uint32_t matrix = guest_matrix(fd, ROWS, COLS, (uint64_t)round, weights);
		uint32_t syncobj = guest_syncobj(fd);
		struct guest_job job =
			guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);

		for (int i = 0; i < ROWS; i++)
			x[i] = (float)(i - round);
		guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
		queue_jobs(fd, buffer.handle, matrix, 30);
		CHECK_OK(guest_job_submit(fd, &job));
		CHECK_OK(guest_matrix_close(fd, matrix));
		CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
		CHECK_EQUAL(guest_fence_error(fd, syncobj), 1);
		guest_forward(x, weights, ROWS, COLS, expected);
		CHECK_EQUAL(memcmp(x + OUTPUT / 4, expected, sizeof(expected)), 0);
	}
}

/* And a buffer likewise. */
static void buffer_outlives_its_handle(void)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights), syncobj = guest_syncobj(fd);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);
	float *x = buffer.memory, expected[COLS];

	for (int i = 0; i < ROWS; i++)
		x[i] = (float)i;
	guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
	queue_jobs(fd, buffer.handle, matrix, 30);
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_OK(drmCloseBufferHandle(fd, buffer.handle));
	CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
	guest_forward(x, weights, ROWS, COLS, expected);
	CHECK_EQUAL(memcmp(x + OUTPUT / 4, expected, sizeof(expected)), 0);
}

/* Waiting can be interrupted, and the job goes on. */
static void signal_ends_a_wait(void)
{
	int fd = guest_open(), status;
	pid_t child = fork();

	if (child == 0) {
		uint32_t syncobj = guest_syncobj(fd);

		drmSyncobjWait(fd, &syncobj, 1, INT64_MAX, DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT,
			       NULL);
		_exit(0);
	}
	usleep(50000);
	CHECK_OK(kill(child, SIGTERM));
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	guest_check_multiply(fd, 3);
}

static void processes_share_the_device(void)
{
	enum { PROCESSES = 4, ROUNDS = 30 };
	pid_t children[PROCESSES];

	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			int fd = guest_open();

			for (int round = 0; round < ROUNDS; round++)
				guest_check_multiply(fd, (uint64_t)(i * ROUNDS + round));
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		int status;

		CHECK(waitpid(children[i], &status, 0) == children[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(close_with_jobs_queued),     KTAP_TEST(close_while_jobs_start),
		KTAP_TEST(kill_with_jobs_queued),      KTAP_TEST(fence_outlives_file),
		KTAP_TEST(matrix_outlives_its_handle), KTAP_TEST(buffer_outlives_its_handle),
		KTAP_TEST(signal_ends_a_wait),	       KTAP_TEST(processes_share_the_device),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
