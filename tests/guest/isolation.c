// SPDX-License-Identifier: MIT
/*
 * One file cannot reach what another one has: handles, memory, cells.
 */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 16, COLS = 16, HANDLES = 65536 };

static void handles_of_another_file_are_unknown(void)
{
	int victim = guest_open(), fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	uint32_t own, hits = 0;

	for (int i = 0; i < 8; i++) {
		guest_buffer(victim, 4096);
		guest_matrix(victim, ROWS, COLS, 1, weights);
	}
	own = guest_matrix(fd, ROWS, COLS, 2, weights);
	for (uint32_t handle = 0; handle < HANDLES; handle++) {
		struct drm_lf_matrix_info matrix = { .handle = handle };
		struct drm_lf_bo_info info = { .handle = handle };

		if (handle != own && guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_INFO, &matrix) == 0)
			hits++;
		if (handle != buffer.handle && guest_ioctl(fd, DRM_IOCTL_LF_BO_INFO, &info) == 0)
			hits++;
	}
	CHECK_EQUAL(hits, 0);
}

static void jobs_cannot_name_them(void)
{
	int victim = guest_open(), fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct guest_buffer theirs[4], buffer = guest_buffer(fd, 4096);
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 2, weights);

	for (int i = 0; i < 4; i++) {
		theirs[i] = guest_buffer(victim, 4096);
		memset(theirs[i].memory, 0x77, 4096);
		guest_matrix(victim, ROWS, COLS, 1, weights);
	}
	for (uint32_t handle = 0; handle < 4096; handle++) {
		struct guest_job job = guest_multiply_job(handle, matrix, ROWS, COLS, 2048);

		if (handle != buffer.handle)
			CHECK_ERROR(guest_job_submit(fd, &job), ENOENT);
		job = guest_multiply_job(buffer.handle, handle, ROWS, COLS, 2048);
		if (handle != matrix)
			CHECK_ERROR(guest_job_submit(fd, &job), ENOENT);
	}
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 4096; j++)
			CHECK_EQUAL(((uint8_t *)theirs[i].memory)[j], 0x77);
}

/* A job's indices reach its own arrays only. */
static void indices_stay_in_their_arrays(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 2, weights);
	struct guest_job job;

	for (uint32_t index = 1; index < 65536; index = index * 2 + 1) {
		job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
		job.commands[0].input.buffer = (uint16_t)index;
		CHECK_ERROR(guest_job_submit(fd, &job), EINVAL);
	}
	for (uint32_t index = 2; index < UINT32_MAX / 2; index = index * 2 + 1) {
		job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
		job.commands[0].matrix = index;
		CHECK_ERROR(guest_job_submit(fd, &job), EINVAL);
	}
}

/* On every path out: a job that failed, one that hung, a process that was killed, a file that was closed. */
static void canaries_do_not_come_back(void)
{
	enum { PATHS = 4, BYTES = 1 << 20, BUFFERS = 8, CANARY = 0xc9 };
	static const uint32_t faults[PATHS] = { 0, LF_INJECT_FAIL_JOB, LF_INJECT_HANG_JOB,
						LF_INJECT_DMA_ERROR };
	uint64_t found = 0;

	for (int path = 0; path < PATHS; path++) {
		int status, fd;
		pid_t child;

		fflush(stdout);
		child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			int8_t weights[ROWS * COLS];
			uint32_t matrix;

			fd = guest_open();
			matrix = guest_matrix(fd, ROWS, COLS, 3, weights);
			if (faults[path])
				guest_inject(faults[path]);
			for (int i = 0; i < BUFFERS; i++) {
				struct guest_buffer buffer = guest_buffer(fd, BYTES);
				struct guest_job job =
					guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);

				memset(buffer.memory, CANARY, BYTES);
				CHECK_OK(guest_job_submit(fd, &job));
			}
			if (path % 2)
				close(fd);
			raise(SIGKILL);
		}
		CHECK(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

		fd = guest_open();
		for (int i = 0; i < BUFFERS; i++) {
			struct guest_buffer buffer = guest_buffer(fd, BYTES);
			const uint8_t *bytes = buffer.memory;

			for (size_t j = 0; j < BYTES; j++)
				found += bytes[j] == CANARY;
		}
		guest_check_multiply(fd, (uint64_t)path);
		close(fd);
	}
	CHECK_EQUAL(found, 0);
}

/* What the kernel hands out is what it filled in: structures it was given full of canaries. */
static void padding_carries_nothing(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct drm_lf_matrix_info info = { .handle = guest_matrix(fd, ROWS, COLS, 4, weights) };
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(buffer.handle, info.handle, ROWS, COLS, 1024);
	struct drm_lf_telemetry telemetry = { .scope = DRM_LF_TELEMETRY_CONTEXT };
	struct drm_lf_job_record *record = (void *)((char *)buffer.memory + 2048);

	memset(&info.info, 0xc9, sizeof(info.info));
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_INFO, &info));
	CHECK_EQUAL(info.info.reserved0 | info.info.reserved1, 0);
	for (size_t i = 0; i < KTAP_COUNT(info.info.reserved2); i++)
		CHECK_EQUAL(info.info.reserved2[i], 0);
	memset(&telemetry.block, 0xc9, sizeof(telemetry.block));
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &telemetry));
	CHECK_EQUAL(telemetry.block.reserved | telemetry.block.time_ns | telemetry.block.wear_max,
		    0);
	memset(record, 0xc9, sizeof(*record));
	job.submit.record_buffer = 1;
	job.submit.record_offset = 2048;
	job.submit.record_bytes = sizeof(*record);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	CHECK_EQUAL(record->cells_failed | record->result | record->failed_command, 0);
}

/* The device says nothing of a job that hung: no more does the record, whatever the kernel had on its stack. */
static void record_of_a_hung_job_is_empty(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 4, weights);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 1024);
	struct drm_lf_job_record *record = (void *)((char *)buffer.memory + 2048);
	struct drm_lf_job_record expected = { .state = 1, .status = LF_STATUS_ABORTED };

	memset(record, 0xc9, sizeof(*record));
	job.submit.record_buffer = 1;
	job.submit.record_offset = 2048;
	job.submit.record_bytes = sizeof(*record);
	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_EQUAL(guest_job_run(fd, &job), -ETIMEDOUT);
	CHECK_EQUAL(memcmp(record, &expected, sizeof(expected)), 0);
}

static void freed_buffers_leak_nothing(void)
{
	enum { PAGES = 512, BYTES = PAGES * 4096 };
	int fd = guest_open(), other = guest_open();

	for (int round = 0; round < 4; round++) {
		struct guest_buffer buffer = guest_buffer(fd, BYTES);
		const uint64_t *words;

		memset(buffer.memory, 0xc3, BYTES);
		guest_buffer_close(fd, &buffer);
		buffer = guest_buffer(other, BYTES);
		words = buffer.memory;
		for (size_t i = 0; i < BYTES / sizeof(*words); i++)
			CHECK(words[i] == 0);
		guest_buffer_close(other, &buffer);
	}
}

/*
 * A matrix that got the tiles of a deleted one is refused until its own rows are written, so that erasing (which the
 * device's tests check) is not all that stands between two owners.
 */
static void cells_not_written_cannot_be_read(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct drm_lf_device_info info = guest_info(fd);
	uint32_t made = 0, matrix;

	for (uint32_t i = 0; i < ROWS * COLS; i++)
		weights[i] = 99;
	for (int i = 0; i < 20; i++) {
		CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
		CHECK_EQUAL(guest_matrix_program(fd, matrix, ROWS, COLS, weights), 1);
		CHECK_OK(guest_matrix_close(fd, matrix));
	}
	for (int i = 0; i < 40; i++) {
		struct guest_job job = guest_job();
		struct lf_command *command = guest_job_command(&job, LF_OP_READ);

		if (guest_matrix_create(fd, ROWS, COLS, &matrix) != 0)
			break;
		command->matrix = guest_job_matrix(&job, matrix);
		command->count = ROWS;
		command->output = guest_operand(guest_job_buffer(&job, buffer.handle), 0, COLS);
		CHECK_EQUAL(guest_job_run(fd, &job), -EINVAL);
		made++;
	}
	CHECK(made > 0 && info.matrices >= made);
	for (int i = 0; i < 4096; i++)
		CHECK_EQUAL(((uint8_t *)buffer.memory)[i], 0);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(handles_of_another_file_are_unknown),
		KTAP_TEST(jobs_cannot_name_them),
		KTAP_TEST(indices_stay_in_their_arrays),
		KTAP_TEST(freed_buffers_leak_nothing),
		KTAP_TEST(canaries_do_not_come_back),
		KTAP_TEST(padding_carries_nothing),
		KTAP_TEST(record_of_a_hung_job_is_empty),
		KTAP_TEST(cells_not_written_cannot_be_read),
	};

	bool reloaded = guest_reload("job_timeout_ms=2000");
	int status = ktap_run(tests, KTAP_COUNT(tests), 120);

	if (reloaded)
		guest_reload("");
	return status;
}
