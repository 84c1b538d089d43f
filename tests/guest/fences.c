// SPDX-License-Identifier: MIT
/*
 * Sync objects in and out, order through shared buffers and matrices, fence errors, records.
 */
#include <fcntl.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 32, COLS = 16, OUTPUT = 2048, RECORD = 3072 };

struct bench {
	int fd;
	int8_t weights[ROWS * COLS];
	uint32_t matrix;
	struct guest_buffer buffer;
	float *memory;
};

static struct bench bench(void)
{
	struct bench bench = { .fd = guest_open_on(0) };
	uint64_t seed = 5;

	bench.matrix = guest_matrix(bench.fd, ROWS, COLS, seed, bench.weights);
	bench.buffer = guest_buffer(bench.fd, 4096);
	bench.memory = bench.buffer.memory;
	for (uint32_t i = 0; i < ROWS; i++)
		bench.memory[i] = guest_float(&seed);
	return bench;
}

static void check_output(const struct bench *bench)
{
	float expected[COLS];

	guest_forward(bench->memory, bench->weights, ROWS, COLS, expected);
	CHECK_EQUAL(memcmp((char *)bench->memory + OUTPUT, expected, sizeof(expected)), 0);
}

static void job_waits_for_binary_syncobj(void)
{
	struct bench set = bench();
	struct guest_job job =
		guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
	uint32_t in = guest_syncobj(set.fd), out = guest_syncobj(set.fd), gate;
	struct guest_job empty = guest_job();

	/* The wait is for a fence that must exist. */
	guest_job_sync(&job, in, DRM_LF_SYNC_IN, 0);
	guest_job_sync(&job, out, DRM_LF_SYNC_OUT, 0);
	CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	CHECK_EQUAL(guest_wait(set.fd, out, 0), -EINVAL);

	guest_job_command(&empty, LF_OP_BARRIER);
	gate = in;
	guest_job_sync(&empty, gate, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(set.fd, &empty));
	CHECK_OK(guest_job_submit(set.fd, &job));
	CHECK_OK(guest_wait(set.fd, out, GUEST_WAIT_MS));
	CHECK_OK(guest_wait(set.fd, in, 0));
	check_output(&set);
}

static void timeline_points_order_jobs(void)
{
	enum { JOBS = 20 };
	struct bench set = bench();
	uint32_t timeline = guest_syncobj(set.fd);
	uint64_t point = JOBS, value;

	for (uint64_t i = 1; i <= JOBS; i++) {
		struct guest_job job =
			guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);

		if (i > 1)
			guest_job_sync(&job, timeline, DRM_LF_SYNC_IN, i - 1);
		guest_job_sync(&job, timeline, DRM_LF_SYNC_OUT, i);
		CHECK_OK(guest_job_submit(set.fd, &job));
	}
	CHECK_OK(drmSyncobjTimelineWait(set.fd, &timeline, &point, 1, INT64_MAX, 0, NULL));
	CHECK_OK(drmSyncobjQuery(set.fd, &timeline, &value, 1));
	CHECK_EQUAL(value, JOBS);
	check_output(&set);
}

static void bad_syncs_are_refused(void)
{
	static const uint32_t flags[] = { 0, 3, 4, 1u << 31, UINT32_MAX };
	struct bench set = bench();
	uint32_t good = guest_syncobj(set.fd);
	struct guest_job job;

	for (size_t i = 0; i < KTAP_COUNT(flags); i++) {
		job = guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
		guest_job_sync(&job, good, DRM_LF_SYNC_OUT, 0);
		guest_job_sync(&job, good, flags[i], 0);
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	}
	for (uint32_t flag = 1; flag <= 2; flag++) {
		job = guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
		guest_job_sync(&job, 12345, flag, 0);
		CHECK_ERROR(guest_job_submit(set.fd, &job), ENOENT);
	}
	/* Nothing was half done: the first object has no fence. */
	CHECK_EQUAL(guest_wait(set.fd, good, 0), -EINVAL);
}

/* Two files, one buffer: a writer in one, a reader in the other, no sync object between them. */
static void shared_buffer_orders_files(void)
{
	enum { ROUNDS = 30, AHEAD = 20 };
	struct bench set = bench();
	int other = guest_open_on(1), exported;
	uint32_t theirs, matrix, syncobj = guest_syncobj(other);
	int8_t weights[COLS * COLS];
	struct guest_buffer result = guest_buffer(other, 4096);
	struct guest_buffer elsewhere = guest_buffer(set.fd, 4096);
	float middle[COLS], expected[COLS];

	matrix = guest_matrix(other, COLS, COLS, 3, weights);
	CHECK_OK(drmPrimeHandleToFD(set.fd, set.buffer.handle, O_CLOEXEC | O_RDWR, &exported));
	CHECK_OK(drmPrimeFDToHandle(other, exported, &theirs));
	for (int round = 0; round < ROUNDS; round++) {
		struct guest_job first =
			guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
		struct guest_job second = guest_job(), ahead = first;
		struct lf_command *command = guest_job_command(&second, LF_OP_MVM);

		set.memory[0] = (float)round;
		memset((char *)set.memory + OUTPUT, 0, COLS * 4);
		ahead.buffers[0] = elsewhere.handle;
		guest_job_buffer(&second, theirs);
		guest_job_buffer(&second, result.handle);
		command->matrix = guest_job_matrix(&second, matrix);
		command->count = 1;
		command->input = guest_operand(0, OUTPUT, COLS * 4);
		command->output = guest_operand(1, 0, COLS * 4);
		guest_job_sync(&second, syncobj, DRM_LF_SYNC_OUT, 0);
		/* Queues are served in turn: the reader's would be first, did it not wait. */
		for (int i = 0; i < AHEAD; i++)
			CHECK_OK(guest_job_submit(set.fd, &ahead));
		CHECK_OK(guest_job_submit(set.fd, &first));
		CHECK_OK(guest_job_submit(other, &second));
		CHECK_OK(guest_wait(other, syncobj, GUEST_WAIT_MS));
		guest_forward(set.memory, set.weights, ROWS, COLS, middle);
		guest_forward(middle, weights, COLS, COLS, expected);
		CHECK_EQUAL(memcmp(result.memory, expected, sizeof(expected)), 0);
	}
}

static void record_tells_what_became_of_a_job(void)
{
	struct bench set = bench();
	struct drm_lf_job_record *record = (void *)((char *)set.memory + RECORD);
	struct guest_job job =
		guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
	uint64_t energy = 0;

	record->state = 77;
	record->status = 77;
	job.submit.record_buffer = 1;
	job.submit.record_bytes = sizeof(struct drm_lf_job_record);
	job.submit.record_offset = RECORD;
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	CHECK_EQUAL(record->state, 1);
	CHECK_EQUAL(record->status, LF_STATUS_OK);
	CHECK_EQUAL(record->mvm_count, 1);
	CHECK_EQUAL(record->mac_count, ROWS * COLS);
	CHECK_EQUAL(record->cells_written, 0);
	CHECK(record->busy_ns > 0);
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		energy += record->energy_aj[i];
	CHECK(energy > 0);
	CHECK(record->host_bytes >= (ROWS + COLS) * 4);
	check_output(&set);
}

static void record_may_cross_a_page(void)
{
	struct bench set = bench();
	struct guest_buffer records = guest_buffer(set.fd, 8192);
	struct guest_job job =
		guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
	const uint64_t offset = 4096 - sizeof(struct drm_lf_job_record) / 16 * 8;
	const uint8_t *bytes = records.memory;
	struct drm_lf_job_record record;

	job.submit.record_buffer = guest_job_buffer(&job, records.handle) + 1;
	job.submit.record_bytes = sizeof(struct drm_lf_job_record);
	job.submit.record_offset = offset;
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	memcpy(&record, bytes + offset, sizeof(record));
	CHECK_EQUAL(record.state, 1);
	CHECK_EQUAL(record.mac_count, ROWS * COLS);
	CHECK_EQUAL(record.result, 0);
	for (uint64_t i = 0; i < records.size; i++)
		if (i < offset || i >= offset + sizeof(record))
			CHECK_EQUAL(bytes[i], 0);

	/* At the very end, and no further. */
	job.submit.record_offset = 8192 - sizeof(record);
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (uint64_t step = 8; step < 256; step += 8) {
		job.submit.record_offset = 8192 - sizeof(record) + step;
		CHECK_EQUAL(guest_job_run(set.fd, &job), -EINVAL);
	}
	job.submit.record_offset = UINT64_MAX - 7;
	CHECK_EQUAL(guest_job_run(set.fd, &job), -EINVAL);
}

/* A program of another version says how large it takes records and sync objects to be. */
static void sizes_of_other_versions(void)
{
	enum { LARGER = sizeof(struct drm_lf_job_record) + 16, STRIDE = 24 };
	static const uint32_t bad[] = { 0, 8, DRM_LF_JOB_RECORD_BYTES_V1 + 4, 4104, UINT32_MAX };
	struct bench set = bench();
	struct guest_buffer records = guest_buffer(set.fd, 4096);
	const uint8_t *bytes = records.memory;
	struct guest_job job =
		guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
	uint64_t syncs[2][STRIDE / 8] = { 0 };
	uint32_t done[2] = { guest_syncobj(set.fd), guest_syncobj(set.fd) };
	struct drm_lf_submit submit;

	job.submit.record_buffer = guest_job_buffer(&job, records.handle) + 1;
	for (size_t i = 0; i < KTAP_COUNT(bad); i++) {
		job.submit.record_bytes = bad[i];
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	}
	job.submit.record_bytes = LARGER;
	memset(records.memory, 0x5a, records.size);
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (size_t i = sizeof(struct drm_lf_job_record); i < LARGER; i++)
		CHECK_EQUAL(bytes[i], 0x5a);

	for (int i = 0; i < 2; i++) {
		const struct drm_lf_sync sync = { .handle = done[i], .flags = DRM_LF_SYNC_OUT };

		memcpy(syncs[i], &sync, sizeof(sync));
	}
	submit = job.submit;
	submit.syncs = (uintptr_t)syncs;
	submit.sync_count = 2;
	submit.sync_stride = STRIDE;
	CHECK_OK(guest_ioctl(set.fd, DRM_IOCTL_LF_SUBMIT, &submit));
	for (int i = 0; i < 2; i++)
		CHECK_OK(guest_wait(set.fd, done[i], GUEST_WAIT_MS));
	syncs[1][STRIDE / 8 - 1] = 1;
	CHECK_ERROR(guest_ioctl(set.fd, DRM_IOCTL_LF_SUBMIT, &submit), E2BIG);
	for (size_t i = 0; i < KTAP_COUNT(bad); i++) {
		submit.sync_stride = bad[i];
		CHECK_ERROR(guest_ioctl(set.fd, DRM_IOCTL_LF_SUBMIT, &submit), EINVAL);
	}
}

static void bad_numbers_fail_the_fence(void)
{
	static const uint32_t bad[] = { 0x7fc00000, 0x7f800000, 0xff800000, 0xffffffff };
	struct bench set = bench();
	struct drm_lf_job_record *record = (void *)((char *)set.memory + RECORD);
	struct guest_job job =
		guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);

	job.submit.record_buffer = 1;
	job.submit.record_bytes = sizeof(struct drm_lf_job_record);
	job.submit.record_offset = RECORD;
	for (size_t i = 0; i < KTAP_COUNT(bad); i++) {
		float saved = set.memory[7];

		memset((char *)set.memory + OUTPUT, 0x11, COLS * 4);
		memcpy(&set.memory[7], &bad[i], 4);
		CHECK_EQUAL(guest_job_run(set.fd, &job), -EDOM);
		CHECK_EQUAL(record->status, LF_STATUS_NONFINITE);
		CHECK_EQUAL(record->failed_command, 0);
		for (int j = 0; j < COLS; j++)
			CHECK_EQUAL(((uint32_t *)((char *)set.memory + OUTPUT))[j], 0x11111111);
		set.memory[7] = saved;
	}
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	check_output(&set);
}

static void overlap_fails_the_fence(void)
{
	struct bench set = bench();
	struct guest_job job = guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, 0);

	CHECK_EQUAL(guest_job_run(set.fd, &job), -EINVAL);
	job = guest_multiply_job(set.buffer.handle, set.matrix, ROWS, COLS, OUTPUT);
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	check_output(&set);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(job_waits_for_binary_syncobj),
		KTAP_TEST(timeline_points_order_jobs),
		KTAP_TEST(bad_syncs_are_refused),
		KTAP_TEST(shared_buffer_orders_files),
		KTAP_TEST(record_tells_what_became_of_a_job),
		KTAP_TEST(record_may_cross_a_page),
		KTAP_TEST(sizes_of_other_versions),
		KTAP_TEST(bad_numbers_fail_the_fence),
		KTAP_TEST(overlap_fails_the_fence),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
