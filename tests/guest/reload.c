// SPDX-License-Identifier: MIT
/*
 * The driver comes and goes: module loaded anew, device unbound with files open. What was published
 * stays and costs no write, what was not is gone.
 */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 30, COLS = 30, OUTPUT = 2048, CYCLES = 50, SOON_MS = 2000 };

static void write_word(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, word, strlen(word)) == (ssize_t)strlen(word));
	close(fd);
}

/* The bus device and the folder of its driver. */
struct binding {
	char device[NAME_MAX];
	char driver[PATH_MAX];
};

static struct binding find_binding(void)
{
	char path[PATH_MAX], link[PATH_MAX + 8];
	struct binding binding;
	glob_t nodes;

	if (geteuid() != 0)
		ktap_skip("not root");
	CHECK_OK(glob("/sys/class/accel/accel*/device", 0, NULL, &nodes));
	CHECK(realpath(nodes.gl_pathv[0], path));
	globfree(&nodes);
	snprintf(binding.device, sizeof(binding.device), "%s", strrchr(path, '/') + 1);
	snprintf(link, sizeof(link), "%s/driver", path);
	CHECK(realpath(link, binding.driver));
	return binding;
}

static void unbind(const struct binding *binding)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/unbind", binding->driver);
	write_word(path, binding->device);
}

static void bind_again(const struct binding *binding)
{
	char path[PATH_MAX + 8];

	snprintf(path, sizeof(path), "%s/bind", binding->driver);
	write_word(path, binding->device);
	CHECK_EQUAL(system("chgrp 105 /dev/accel/accel* && chmod 660 /dev/accel/accel*"), 0);
}

static void module_reloads(void)
{
	int8_t weights[ROWS * COLS];
	float expected[COLS];
	uint32_t matrix;
	int fd;

	if (!guest_reload(""))
		ktap_skip("the driver cannot be unloaded here");
	fd = guest_open();
	matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	CHECK_OK(guest_matrix_publish(fd, matrix, "test/reload", 0444));
	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	close(fd);
	for (int i = 0; i < CYCLES; i++) {
		struct lf_telemetry_block before, after;
		struct guest_buffer buffer;
		struct guest_job job;
		float *x;

		fd = guest_open();
		before = guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE);
		close(fd);
		CHECK(guest_reload(""));
		fd = guest_open();
		after = guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE);
		CHECK_EQUAL(after.cells_written, before.cells_written);
		CHECK_OK(guest_matrix_open(fd, "test/reload", &matrix));
		buffer = guest_buffer(fd, 4096);
		x = buffer.memory;
		for (int j = 0; j < ROWS; j++)
			x[j] = (float)(i * j + 1);
		job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);
		CHECK_EQUAL(guest_job_run(fd, &job), 1);
		guest_forward(x, weights, ROWS, COLS, expected);
		CHECK_EQUAL(memcmp(x + OUTPUT / 4, expected, sizeof(expected)), 0);
		guest_buffer_close(fd, &buffer);
		close(fd);
	}
	fd = guest_open();
	CHECK_OK(guest_matrix_unlink(fd, "test/reload"));
	/* Unlinked while nobody had it open: gone from the device, too. */
	close(fd);
	CHECK(guest_reload(""));
	fd = guest_open();
	CHECK_ERROR(guest_matrix_open(fd, "test/reload", &matrix), ENOENT);
	CHECK_EQUAL(guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE).tiles_used, 0);
}

/* A fence may be held by whoever got it: the device can go meanwhile, the module with its code can not. */
static void fence_keeps_the_module(void)
{
	struct binding binding = find_binding();
	int8_t weights[ROWS * COLS];
	int fd = guest_open(), fence;
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 4, weights), syncobj = guest_syncobj(fd);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);
	struct sync_file_info info = { 0 };

	guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
	CHECK_OK(drmSyncobjExportSyncFile(fd, syncobj, &fence));
	guest_buffer_close(fd, &buffer);
	close(fd);
	unbind(&binding);
	CHECK(!guest_unload());
	CHECK_OK(guest_ioctl(fence, SYNC_IOC_FILE_INFO, &info));
	CHECK_EQUAL(info.status, 1);
	close(fence);
	CHECK(guest_unload());
	CHECK(guest_load(""));
	guest_check_multiply(guest_open(), 5);
}

/* A file that is open when the device goes can only be closed. */
static void unbinds_with_files_open(void)
{
	struct binding binding = find_binding();
	int8_t weights[ROWS * COLS];

	for (int round = 0; round < CYCLES; round++) {
		int fd = guest_open();
		uint32_t matrix = guest_matrix(fd, ROWS, COLS, 3, weights), syncobj;
		struct guest_buffer buffer = guest_buffer(fd, 4096);
		struct drm_lf_bo_create create = { .size = 4096 };
		struct guest_job job;

		syncobj = guest_syncobj(fd);
		for (int i = 0; i < 100; i++) {
			job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);
			guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
			CHECK_OK(guest_job_submit(fd, &job));
		}
		unbind(&binding);
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create), ENODEV);
		CHECK_ERROR(guest_job_submit(fd, &job), ENODEV);
		/* Mapped memory stays. */
		memset(buffer.memory, round, 4096);
		if (round % 2)
			close(fd);
		bind_again(&binding);
		if (!(round % 2))
			close(fd);
		CHECK_OK(munmap(buffer.memory, buffer.size));
		fd = guest_open();
		guest_check_multiply(fd, (uint64_t)round);
		close(fd);
	}
}

/* Pulled and found again, as by a hot-plug slot, with jobs on their way. */
static void unplugs_under_load(void)
{
	struct binding binding = find_binding();
	char remove[PATH_MAX + 8], path[PATH_MAX];
	int8_t weights[ROWS * COLS];
	glob_t nodes;

	CHECK_OK(glob("/sys/class/accel/accel*/device", 0, NULL, &nodes));
	CHECK(realpath(nodes.gl_pathv[0], path));
	globfree(&nodes);
	if (!strstr(binding.driver, "/pci/"))
		ktap_skip("not on PCI");
	snprintf(remove, sizeof(remove), "%s/remove", path);
	for (int round = 0; round < CYCLES; round++) {
		int fd = guest_open(), exported, fences[2];
		uint32_t matrix = guest_matrix(fd, ROWS, COLS, 7, weights), syncobj;
		struct guest_buffer buffer = guest_buffer(fd, 8192);
		uint32_t *words, other;

		syncobj = guest_syncobj(fd);
		CHECK_OK(drmPrimeHandleToFD(fd, buffer.handle, O_CLOEXEC | O_RDWR, &exported));
		for (int i = 0; i < 60; i++) {
			struct guest_job job =
				guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);

			guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
			CHECK_OK(guest_job_submit(fd, &job));
			if (i == 0)
				CHECK_OK(drmSyncobjExportSyncFile(fd, syncobj, &fences[0]));
		}
		CHECK_OK(drmSyncobjExportSyncFile(fd, syncobj, &fences[1]));
		write_word(remove, "1");
		/* Everything ends at once, one way or the other: what was not on the ring yet when a worker comes to it. */
		for (int i = 0; i < 2; i++) {
			struct pollfd wait = { .fd = fences[i], .events = POLLIN };
			struct sync_file_info info = { 0 };

			CHECK_EQUAL(poll(&wait, 1, SOON_MS), 1);
			CHECK_OK(guest_ioctl(fences[i], SYNC_IOC_FILE_INFO, &info));
			CHECK(info.status == 1 || info.status == -ENODEV);
			close(fences[i]);
		}
		/* Files answer, memory stays: in the mapping, and for whoever has the buffer. */
		CHECK_ERROR(guest_matrix_create(fd, ROWS, COLS, &other), ENODEV);
		memset(buffer.memory, round + 1, buffer.size);
		words = mmap(NULL, buffer.size, PROT_READ | PROT_WRITE, MAP_SHARED, exported, 0);
		CHECK(words != MAP_FAILED);
		CHECK_EQUAL(((uint8_t *)words)[8191], (uint8_t)(round + 1));
		if (round % 2)
			close(fd);
		write_word("/sys/bus/pci/rescan", "1");
		CHECK_EQUAL(system("chgrp 105 /dev/accel/accel* && chmod 660 /dev/accel/accel*"),
			    0);
		if (!(round % 2))
			close(fd);
		CHECK_OK(munmap(buffer.memory, buffer.size));
		CHECK_EQUAL(((uint8_t *)words)[0], (uint8_t)(round + 1));
		/* The device that came back takes the buffer of the one that went. */
		fd = guest_open();
		CHECK_OK(drmPrimeFDToHandle(fd, exported, &other));
		CHECK_OK(munmap(words, 8192));
		close(exported);
		guest_check_multiply(fd, (uint64_t)round);
		close(fd);
	}
}

/* Unbinding ends the job that hangs, and with it what waits for the job; not the other way round. */
static void unbinds_while_a_commit_waits(void)
{
	struct binding binding = find_binding();
	int fd = guest_open(), status;
	uint32_t timeout_ms = guest_info(fd).job_timeout_ms, matrix;
	struct guest_job job = guest_job();
	struct lf_command *command = guest_job_command(&job, LF_OP_PROGRAM);
	struct timespec start, end;
	pid_t child;

	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	command->matrix = guest_job_matrix(&job, matrix);
	command->count = ROWS;
	command->input =
		guest_operand(guest_job_buffer(&job, guest_buffer(fd, 4096).handle), 0, COLS);
	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_OK(guest_job_submit(fd, &job));
	child = fork();
	CHECK(child >= 0);
	if (!child)
		_exit(guest_matrix_commit(fd, matrix) == -1 && errno == ENODEV ? 0 : 1);
	/* Long enough for the child to wait for the job, and far from the job's timeout. */
	usleep(500000);
	CHECK_EQUAL(waitpid(child, &status, WNOHANG), 0);

	clock_gettime(CLOCK_MONOTONIC, &start);
	unbind(&binding);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(end.tv_sec - start.tv_sec < timeout_ms / 2000);
	CHECK_EQUAL(waitpid(child, &status, 0), child);
	CHECK_EQUAL(status, 0);
	close(fd);
	bind_again(&binding);
	guest_check_multiply(guest_open(), 6);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(module_reloads),
		KTAP_TEST(fence_keeps_the_module),
		KTAP_TEST(unbinds_with_files_open),
		KTAP_TEST(unplugs_under_load),
		KTAP_TEST(unbinds_while_a_commit_waits),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
