// SPDX-License-Identifier: MIT
/*
 * Writing the cells of a matrix again: who may, who pays, what it waits for; and what the directory
 * tells whom of the state of the cells.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 40, COLS = 24, OUTPUT = 2048 };

static int refresh(int fd, uint32_t matrix, uint64_t *cells_written)
{
	struct drm_lf_matrix_refresh args = { .handle = matrix };
	int result = guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_REFRESH, &args);

	if (result == -1 && errno == EOPNOTSUPP)
		ktap_skip("the device's interface is older than 1.2");
	*cells_written = args.cells_written;
	return result;
}

static void refreshes_and_charges(void)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	struct drm_lf_quota before = { .account = 0 }, after = { .account = 0 };
	struct lf_matrix_info info = guest_matrix_info(fd, matrix);
	uint64_t cells;

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &before));
	CHECK_OK(refresh(fd, matrix, &cells));
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &after));
	CHECK(cells >= info.cells);
	CHECK(after.written_cells - before.written_cells >= cells);
	CHECK_EQUAL(guest_matrix_info(fd, matrix).refreshes, info.refreshes + 1);
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
}

static void bad_calls_are_refused(void)
{
	int fd = guest_open();
	uint32_t torn;
	uint64_t cells;

	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &torn));
	CHECK_ERROR(refresh(fd, torn, &cells), EBUSY);
	CHECK_ERROR(refresh(fd, torn + 1, &cells), ENOENT);
	for (uint32_t bit = 0; bit < 32; bit++) {
		struct drm_lf_matrix_refresh args = { .handle = torn, .flags = 1u << bit };

		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_REFRESH, &args), EINVAL);
	}
}

/* Readers before it are waited for, readers after it wait: all are exact. */
static void readers_are_ordered(void)
{
	enum { JOBS = 40, ROUNDS = 5 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 2, weights), syncobj = guest_syncobj(fd);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	float *x = buffer.memory, expected[COLS];
	uint64_t cells;

	for (int i = 0; i < ROWS; i++)
		x[i] = (float)(3 * i - 50);
	guest_forward(x, weights, ROWS, COLS, expected);
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < JOBS; i++) {
			struct guest_job job =
				guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);

			if (i == JOBS / 2)
				CHECK_OK(refresh(fd, matrix, &cells));
			guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
			CHECK_OK(guest_job_submit(fd, &job));
		}
		CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
		CHECK_EQUAL(guest_fence_error(fd, syncobj), 1);
		CHECK_EQUAL(memcmp((char *)x + OUTPUT, expected, sizeof(expected)), 0);
	}
}

enum { READERS = 32 };

/* So many at any time, until the process is killed. */
static void read_without_end(int fd, uint32_t buffer, uint32_t matrix, const uint32_t *syncobjs)
{
	for (uint32_t i = 0;; i++) {
		struct guest_job job = guest_multiply_job(buffer, matrix, ROWS, COLS, OUTPUT);

		if (i >= READERS)
			CHECK_OK(guest_wait(fd, syncobjs[i % READERS], GUEST_WAIT_MS));
		guest_job_sync(&job, syncobjs[i % READERS], DRM_LF_SYNC_OUT, 0);
		CHECK_OK(guest_job_submit(fd, &job));
	}
}

/* It has its turn while others never stop reading. */
static void readers_do_not_keep_it_out(void)
{
	enum { ROUNDS = 5 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open(), status;
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 6, weights), syncobjs[READERS];
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	uint64_t cells;
	pid_t child;

	memset(buffer.memory, 0, 4096);
	for (int i = 0; i < READERS; i++)
		syncobjs[i] = guest_syncobj(fd);
	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0)
		read_without_end(fd, buffer.handle, matrix, syncobjs);
	/* Until the last of them has come. */
	while (guest_wait(fd, syncobjs[READERS - 1], GUEST_WAIT_MS) == -EINVAL)
		usleep(1000);
	for (int round = 0; round < ROUNDS; round++)
		CHECK_OK(refresh(fd, matrix, &cells));
	CHECK_EQUAL(waitpid(child, &status, WNOHANG), 0);
	CHECK_OK(kill(child, SIGKILL));
	CHECK(waitpid(child, &status, 0) == child);
	CHECK_EQUAL(guest_matrix_info(fd, matrix).refreshes, ROUNDS);
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
}

static void as_stranger(void *argument)
{
	int fd = guest_open();
	struct drm_lf_matrix_list list = { .count = 1,
					   .entry_bytes = sizeof(struct lf_matrix_info) };
	struct lf_matrix_info entry, info;
	uint32_t matrix;
	uint64_t cells;

	(void)argument;
	CHECK_OK(guest_matrix_open(fd, "test/refresh", &matrix));
	CHECK_ERROR(refresh(fd, matrix, &cells), EPERM);
	/* What the cells have seen is not a stranger's business. */
	info = guest_matrix_info(fd, matrix);
	list.entries = (uintptr_t)&entry;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
	CHECK_EQUAL(list.count, 1);
	for (size_t i = offsetof(struct lf_matrix_info, programmed_ns); i < sizeof(info); i++) {
		CHECK_EQUAL(((const uint8_t *)&info)[i], 0);
		CHECK_EQUAL(((const uint8_t *)&entry)[i], 0);
	}
}

static void strangers_may_not(void)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 3, weights);
	struct lf_matrix_info info;
	uint64_t cells;

	CHECK_OK(guest_matrix_publish(fd, matrix, "test/refresh", 0444));
	guest_as_user(GUEST_USER, as_stranger, NULL);
	CHECK_OK(refresh(fd, matrix, &cells));
	info = guest_matrix_info(fd, matrix);
	CHECK(info.programmed_ns > 0 && info.refreshes == 1);
	CHECK_OK(guest_matrix_unlink(fd, "test/refresh"));
}

static void as_poor_user(void *argument)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 4, weights);
	int *pipes = argument;
	uint64_t cells;
	char byte;

	/* Tell the parent how much is spent, and wait until no more is allowed. */
	CHECK(write(pipes[1], "x", 1) == 1);
	CHECK(read(pipes[2], &byte, 1) == 1);
	CHECK_ERROR(refresh(fd, matrix, &cells), EDQUOT);
	CHECK_EQUAL(guest_matrix_info(fd, matrix).refreshes, 0);
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
}

static void budget_is_kept(void)
{
	struct drm_lf_quota quota = { .account = GUEST_OTHER };
	int fd = guest_open(), pipes[4];
	pid_t child;
	int status;
	char byte;

	CHECK_OK(pipe(pipes));
	CHECK_OK(pipe(pipes + 2));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		guest_as_user(GUEST_OTHER, as_poor_user, pipes);
		_exit(0);
	}
	CHECK(read(pipes[0], &byte, 1) == 1);
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &quota));
	quota.flags = DRM_LF_QUOTA_SET;
	quota.quota_cells = quota.written_cells + 1;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &quota));
	CHECK(write(pipes[3], "x", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child);
	quota.flags = DRM_LF_QUOTA_SET;
	quota.quota_cells = UINT64_MAX;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &quota));
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A program of the first version gets what it knows, and no byte more. */
static void first_version_is_served(void)
{
	enum { V1 = DRM_LF_MATRIX_INFO_BYTES_V1 };
	struct {
		uint32_t handle, pad;
		uint8_t info[V1], beyond[8];
	} old = { 0 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 5, weights);
	struct lf_matrix_info info = guest_matrix_info(fd, matrix);
	struct drm_lf_matrix_list list = { .count = 1, .entry_bytes = V1 };
	uint8_t entry[V1 + 8];

	old.handle = matrix;
	memset(old.beyond, 0x5a, sizeof(old.beyond));
	CHECK_OK(guest_ioctl(fd,
			     DRM_IOC(DRM_IOC_READWRITE, DRM_IOCTL_BASE,
				     DRM_COMMAND_BASE + DRM_LF_MATRIX_INFO, 8 + V1),
			     &old));
	CHECK_EQUAL(memcmp(old.info, &info, V1), 0);
	CHECK_OK(guest_matrix_publish(fd, matrix, "test/old", 0444));
	memset(entry, 0x5a, sizeof(entry));
	list.entries = (uintptr_t)entry;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
	CHECK_EQUAL(list.count, 1);
	CHECK_OK(guest_matrix_unlink(fd, "test/old"));
	for (int i = 0; i < 8; i++) {
		CHECK_EQUAL(entry[V1 + i], 0x5a);
		CHECK_EQUAL(old.beyond[i], 0x5a);
	}
}

/* Too hot to work: the job says so, and nothing was executed. */
static void hot_die_does_no_work(void)
{
	enum { HOT_DEGREES = 150, COOL_DEGREES = 25 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 6, weights);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);
	struct drm_lf_job_record *record = (void *)((char *)buffer.memory + 3072);

	if ((guest_info(fd).hw_version & 0xffff) < 2)
		ktap_skip("the device's interface is older than 1.2");
	job.submit.record_buffer = 1;
	job.submit.record_offset = 3072;
	job.submit.record_bytes = sizeof(*record);
	guest_inject(LF_INJECT(LF_INJECT_OVER_TEMPERATURE, 0, HOT_DEGREES));
	CHECK_EQUAL(guest_job_run(fd, &job), -EBUSY);
	CHECK_EQUAL(record->status, LF_STATUS_THERMAL);
	guest_inject(LF_INJECT(LF_INJECT_OVER_TEMPERATURE, 0, COOL_DEGREES));
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(refreshes_and_charges),   KTAP_TEST(bad_calls_are_refused),
		KTAP_TEST(readers_are_ordered),	    KTAP_TEST(readers_do_not_keep_it_out),
		KTAP_TEST(strangers_may_not),	    KTAP_TEST(budget_is_kept),
		KTAP_TEST(first_version_is_served), KTAP_TEST(hot_die_does_no_work),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
