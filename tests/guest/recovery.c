// SPDX-License-Identifier: MIT
/*
 * A job that hangs or fails: its fence says so, the others are exact, the device works on. Needs a
 * device with injection and the right to use it.
 */
#include <glob.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 40, COLS = 20, OUTPUT = 2048, RECORD = 3072, FOLLOWERS = 20 };

static long long resets(void)
{
	long long count = -1;
	glob_t files;
	FILE *file;

	CHECK_OK(glob("/sys/class/accel/accel*/device/lf/resets", 0, NULL, &files));
	file = fopen(files.gl_pathv[0], "r");
	globfree(&files);
	CHECK(file && fscanf(file, "%lld", &count) == 1);
	fclose(file);
	return count;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

/* A vector, its matrix and a record, in a file of their own. */
struct bench {
	int fd;
	int8_t weights[ROWS * COLS];
	uint32_t matrix;
	uint32_t syncobj;
	struct guest_buffer buffer;
	float *x;
	struct drm_lf_job_record *record;
};

static struct bench bench(uint64_t seed)
{
	/* Files are spread over the queues. */
	struct bench bench = { .fd = guest_open_on((unsigned int)seed) };

	bench.matrix = guest_matrix(bench.fd, ROWS, COLS, seed, bench.weights);
	bench.syncobj = guest_syncobj(bench.fd);
	bench.buffer = guest_buffer(bench.fd, 4096);
	bench.x = bench.buffer.memory;
	bench.record = (void *)((char *)bench.buffer.memory + RECORD);
	for (uint32_t i = 0; i < ROWS; i++)
		bench.x[i] = guest_float(&seed);
	return bench;
}

static void submit(struct bench *bench)
{
	struct guest_job job =
		guest_multiply_job(bench->buffer.handle, bench->matrix, ROWS, COLS, OUTPUT);

	job.submit.record_buffer = 1;
	job.submit.record_bytes = sizeof(struct drm_lf_job_record);
	job.submit.record_offset = RECORD;
	guest_job_sync(&job, bench->syncobj, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(bench->fd, &job));
}

/* The device has begun the job, and no other, when this returns. */
static void submit_hanging(struct bench *bench)
{
	guest_inject(LF_INJECT_HANG_JOB);
	submit(bench);
	guest_await_strike(LF_INJECT_HANG_JOB);
}

static void check_exact(struct bench *bench)
{
	float expected[COLS];

	CHECK_OK(guest_wait(bench->fd, bench->syncobj, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(bench->fd, bench->syncobj), 1);
	CHECK_EQUAL(bench->record->state, 1);
	CHECK_EQUAL(bench->record->status, LF_STATUS_OK);
	guest_forward(bench->x, bench->weights, ROWS, COLS, expected);
	CHECK_EQUAL(memcmp((char *)bench->x + OUTPUT, expected, sizeof(expected)), 0);
}

static void hang_ends_with_a_timeout(void)
{
	struct bench set = bench(1);
	uint32_t timeout_ms = guest_info(set.fd).job_timeout_ms;
	long long before = resets();
	int64_t start;

	set.record->state = 77;
	guest_inject(LF_INJECT_HANG_JOB);
	start = now_ms();
	submit(&set);
	CHECK_EQUAL(guest_wait(set.fd, set.syncobj, timeout_ms / 2), -ETIME);
	CHECK_EQUAL(set.record->state, 0);
	CHECK_OK(guest_wait(set.fd, set.syncobj, 2 * (int64_t)timeout_ms));
	CHECK(now_ms() - start <= 2 * (int64_t)timeout_ms);
	CHECK_EQUAL(guest_fence_error(set.fd, set.syncobj), -ETIMEDOUT);
	CHECK_EQUAL(set.record->state, 1);
	CHECK_EQUAL(set.record->status, LF_STATUS_ABORTED);
	CHECK_EQUAL(resets(), before + 1);

	submit(&set);
	check_exact(&set);
	guest_check_multiply(set.fd, 2);
}

/* Others that follow it, one by one, do not put off that it is looked after. */
static void followers_do_not_prolong_a_hang(void)
{
	enum { PAUSE_US = 100000 };
	struct bench set = bench(2);
	uint32_t timeout_ms = guest_info(set.fd).job_timeout_ms;
	struct guest_job job = guest_job();
	int64_t start = now_ms();

	guest_job_command(&job, LF_OP_BARRIER);
	submit_hanging(&set);
	while (guest_wait(set.fd, set.syncobj, 0) == -ETIME) {
		CHECK(now_ms() - start <= 2 * (int64_t)timeout_ms);
		CHECK_OK(guest_job_submit(set.fd, &job));
		usleep(PAUSE_US);
	}
	CHECK_EQUAL(guest_fence_error(set.fd, set.syncobj), -ETIMEDOUT);
	guest_check_multiply(set.fd, 2);
}

static void innocent_jobs_are_run_again(void)
{
	struct bench guilty = bench(3), others[FOLLOWERS];
	long long before;

	for (int i = 0; i < FOLLOWERS; i++)
		others[i] = bench(100 + (uint64_t)i);
	before = resets();
	submit_hanging(&guilty);
	/* Behind it on its queue, and on the others. */
	for (int i = 0; i < FOLLOWERS; i++)
		submit(&others[i]);
	CHECK_OK(guest_wait(guilty.fd, guilty.syncobj, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(guilty.fd, guilty.syncobj), -ETIMEDOUT);
	for (int i = 0; i < FOLLOWERS; i++)
		check_exact(&others[i]);
	CHECK_EQUAL(resets(), before + 1);
}

/* Behind a hanging job PROGRAM has not begun, so it is run; what hangs itself is not run again. */
static void programming_is_run_once(void)
{
	struct bench set = bench(4);
	uint32_t fence = guest_syncobj(set.fd), matrix;
	struct guest_buffer rows = guest_buffer(set.fd, 4096);
	struct guest_job job = guest_job();
	struct lf_command *command = guest_job_command(&job, LF_OP_PROGRAM);
	struct lf_telemetry_block before;

	CHECK_OK(guest_matrix_create(set.fd, ROWS, COLS, &matrix));
	memcpy(rows.memory, set.weights, sizeof(set.weights));
	command->matrix = guest_job_matrix(&job, matrix);
	command->count = ROWS;
	command->input = guest_operand(guest_job_buffer(&job, rows.handle), 0, COLS);
	guest_job_sync(&job, fence, DRM_LF_SYNC_OUT, 0);
	before = guest_telemetry(set.fd, DRM_LF_TELEMETRY_CONTEXT);

	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_OK(guest_job_submit(set.fd, &job));
	CHECK_OK(guest_wait(set.fd, fence, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(set.fd, fence), -ETIMEDOUT);
	CHECK_EQUAL(guest_telemetry(set.fd, DRM_LF_TELEMETRY_CONTEXT).cells_written,
		    before.cells_written);
	CHECK_ERROR(guest_matrix_commit(set.fd, matrix), EBUSY);

	guest_inject(LF_INJECT_HANG_JOB);
	submit(&set);
	CHECK_OK(guest_job_submit(set.fd, &job));
	CHECK_OK(guest_wait(set.fd, fence, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(set.fd, set.syncobj), -ETIMEDOUT);
	CHECK_EQUAL(guest_fence_error(set.fd, fence), 1);
	CHECK_OK(guest_matrix_commit(set.fd, matrix));
}

/* A barrier waits for a job of another queue that hangs: for longer than the timeout, and is not to blame. */
static void waiting_job_is_not_blamed(void)
{
	struct bench guilty = bench(0), waiting = bench(1);
	struct guest_job job = guest_job();

	if (guest_info(guilty.fd).queues < 2 || (guest_info(guilty.fd).hw_version & 0xffff) < 2)
		ktap_skip("the device has one queue, or does not tell which one works");
	submit_hanging(&guilty);
	guest_job_command(&job, LF_OP_BARRIER);
	guest_job_sync(&job, waiting.syncobj, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(waiting.fd, &job));
	CHECK_OK(guest_wait(waiting.fd, waiting.syncobj, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(waiting.fd, waiting.syncobj), 1);
	CHECK_OK(guest_wait(guilty.fd, guilty.syncobj, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(guilty.fd, guilty.syncobj), -ETIMEDOUT);
}

static void failed_job_says_so(void)
{
	struct bench set = bench(5);
	long long before = resets();

	guest_inject(LF_INJECT_FAIL_JOB);
	submit(&set);
	CHECK_OK(guest_wait(set.fd, set.syncobj, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(set.fd, set.syncobj), -EIO);
	CHECK_EQUAL(set.record->status, LF_STATUS_INTERNAL);
	CHECK_EQUAL(resets(), before);
	submit(&set);
	check_exact(&set);
}

/* Management goes on while a job hangs, and afterwards. */
static void management_survives(void)
{
	struct bench set = bench(6);
	uint32_t matrix;

	submit_hanging(&set);
	CHECK_OK(guest_matrix_create(set.fd, ROWS, COLS, &matrix));
	CHECK_OK(guest_matrix_close(set.fd, matrix));
	CHECK_OK(guest_wait(set.fd, set.syncobj, GUEST_WAIT_MS));
	guest_check_multiply(set.fd, 7);
}

/* The file of a hanging job is closed; others go on once the timeout has passed. */
static void closing_a_hanging_file(void)
{
	struct bench set = bench(8), other = bench(9);
	uint32_t timeout_ms = guest_info(set.fd).job_timeout_ms;
	long long before = resets();
	int64_t start = now_ms();

	submit_hanging(&set);
	close(set.fd);
	submit(&other);
	check_exact(&other);
	while (resets() == before) {
		CHECK(now_ms() - start < 2 * (int64_t)timeout_ms);
		usleep(10000);
	}
	submit(&other);
	check_exact(&other);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(hang_ends_with_a_timeout),  KTAP_TEST(innocent_jobs_are_run_again),
		KTAP_TEST(programming_is_run_once),   KTAP_TEST(failed_job_says_so),
		KTAP_TEST(waiting_job_is_not_blamed), KTAP_TEST(management_survives),
		KTAP_TEST(closing_a_hanging_file),    KTAP_TEST(followers_do_not_prolong_a_hang),
	};

	bool reloaded = guest_reload("job_timeout_ms=2000");
	int status = ktap_run(tests, KTAP_COUNT(tests), 120);

	if (reloaded)
		guest_reload("");
	return status;
}
