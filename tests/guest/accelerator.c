// SPDX-License-Identifier: MIT
/*
 * What the guest tests share; see accelerator.h.
 */
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <linux/sync_file.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

int guest_open(void)
{
	glob_t nodes;
	int fd;

	if (glob("/dev/accel/accel*", 0, NULL, &nodes) != 0)
		ktap_skip("no accelerator");
	fd = open(nodes.gl_pathv[0], O_RDWR | O_CLOEXEC);
	globfree(&nodes);
	CHECK(fd >= 0);
	return fd;
}

int guest_open_on(unsigned int processor)
{
	unsigned int processors = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t before, one;
	int fd;

	CHECK_OK(sched_getaffinity(0, sizeof(before), &before));
	CPU_ZERO(&one);
	CPU_SET(processor % processors, &one);
	CHECK_OK(sched_setaffinity(0, sizeof(one), &one));
	fd = guest_open();
	CHECK_OK(sched_setaffinity(0, sizeof(before), &before));
	return fd;
}

struct drm_lf_device_info guest_info(int fd)
{
	struct drm_lf_device_info info;
	struct drm_lf_query query = {
		.type = DRM_LF_QUERY_DEVICE,
		.size = sizeof(info),
		.pointer = (uintptr_t)&info,
	};

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query));
	return info;
}

int guest_ioctl(int fd, unsigned long request, void *argument)
{
	int result;

	do {
		result = ioctl(fd, request, argument);
	} while (result == -1 && (errno == EINTR || errno == EAGAIN));
	return result;
}

struct guest_buffer guest_buffer(int fd, uint64_t size)
{
	struct drm_lf_bo_create create = { .size = size };
	struct guest_buffer buffer;

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_BO_CREATE, &create));
	CHECK(create.size >= size);
	buffer.handle = create.handle;
	buffer.size = create.size;
	buffer.memory = mmap(NULL, create.size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			     (off_t)create.mmap_offset);
	CHECK(buffer.memory != MAP_FAILED);
	return buffer;
}

void guest_buffer_close(int fd, struct guest_buffer *buffer)
{
	CHECK_OK(munmap(buffer->memory, buffer->size));
	CHECK_OK(drmCloseBufferHandle(fd, buffer->handle));
	buffer->memory = NULL;
}

uint32_t guest_syncobj(int fd)
{
	uint32_t handle;

	CHECK_OK(drmSyncobjCreate(fd, 0, &handle));
	return handle;
}

static int64_t deadline_ns(int64_t timeout_ms)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec + timeout_ms * 1000000ll;
}

int guest_wait(int fd, uint32_t syncobj, int64_t timeout_ms)
{
	return drmSyncobjWait(fd, &syncobj, 1, deadline_ns(timeout_ms), 0, NULL);
}

int guest_fence_error(int fd, uint32_t syncobj)
{
	struct sync_file_info info = { 0 };
	int file;

	CHECK_OK(drmSyncobjExportSyncFile(fd, syncobj, &file));
	CHECK_OK(guest_ioctl(file, SYNC_IOC_FILE_INFO, &info));
	close(file);
	return info.status;
}

uint32_t guest_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

float guest_float(uint64_t *seed)
{
	return (float)((int32_t)(guest_random(seed) & 0xffff) - 0x8000) / 0x8000;
}

struct guest_job guest_job(void)
{
	return (struct guest_job){ 0 };
}

uint32_t guest_job_buffer(struct guest_job *job, uint32_t handle)
{
	CHECK(job->submit.buffer_count < GUEST_BUFFERS);
	job->buffers[job->submit.buffer_count] = handle;
	return job->submit.buffer_count++;
}

uint32_t guest_job_matrix(struct guest_job *job, uint32_t handle)
{
	CHECK(job->submit.matrix_count < GUEST_MATRICES);
	job->matrices[job->submit.matrix_count] = handle;
	return ++job->submit.matrix_count;
}

void guest_job_sync(struct guest_job *job, uint32_t handle, uint32_t flags, uint64_t point)
{
	CHECK(job->submit.sync_count < GUEST_SYNCS);
	job->syncs[job->submit.sync_count++] =
		(struct drm_lf_sync){ .handle = handle, .flags = flags, .point = point };
}

struct lf_command *guest_job_command(struct guest_job *job, uint16_t opcode)
{
	CHECK(job->submit.command_count < GUEST_COMMANDS);
	job->commands[job->submit.command_count].opcode = opcode;
	return &job->commands[job->submit.command_count++];
}

int guest_job_submit(int fd, struct guest_job *job)
{
	job->submit.commands = (uintptr_t)job->commands;
	job->submit.buffers = (uintptr_t)job->buffers;
	job->submit.matrices = (uintptr_t)job->matrices;
	job->submit.syncs = (uintptr_t)job->syncs;
	job->submit.sync_stride = sizeof(job->syncs[0]);
	return guest_ioctl(fd, DRM_IOCTL_LF_SUBMIT, &job->submit);
}

int guest_job_run(int fd, struct guest_job *job)
{
	uint32_t syncobj = guest_syncobj(fd);
	int status;

	guest_job_sync(job, syncobj, DRM_LF_SYNC_OUT, 0);
	if (guest_job_submit(fd, job) != 0) {
		status = -errno;
	} else {
		CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
		status = guest_fence_error(fd, syncobj);
	}
	job->submit.sync_count--;
	drmSyncobjDestroy(fd, syncobj);
	return status;
}

struct lf_operand guest_operand(uint32_t buffer, uint64_t offset, uint32_t stride)
{
	return (struct lf_operand){
		.space = LF_SPACE_BUFFER,
		.buffer = (uint16_t)buffer,
		.stride = stride,
		.offset = offset,
	};
}

struct lf_operand guest_scratch(uint64_t offset, uint32_t stride)
{
	return (struct lf_operand){ .space = LF_SPACE_SCRATCH, .stride = stride, .offset = offset };
}

int guest_matrix_create(int fd, uint32_t rows, uint32_t cols, uint32_t *handle)
{
	struct drm_lf_matrix_create create = {
		.rows = rows,
		.cols = cols,
		.format = LF_FORMAT_INT8,
	};
	int result = guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create);

	*handle = create.handle;
	return result;
}

int guest_matrix_program(int fd, uint32_t handle, uint32_t rows, uint32_t cols,
			 const int8_t *weights)
{
	struct guest_buffer buffer = guest_buffer(fd, (uint64_t)rows * cols);
	struct guest_job job = guest_job();
	struct lf_command *command = guest_job_command(&job, LF_OP_PROGRAM);
	int status;

	memcpy(buffer.memory, weights, (size_t)rows * cols);
	command->matrix = guest_job_matrix(&job, handle);
	command->count = rows;
	command->input = guest_operand(guest_job_buffer(&job, buffer.handle), 0, cols);
	status = guest_job_run(fd, &job);
	guest_buffer_close(fd, &buffer);
	return status;
}

int guest_matrix_commit(int fd, uint32_t handle)
{
	struct drm_lf_matrix_handle commit = { .handle = handle };

	return guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_COMMIT, &commit);
}

int guest_matrix_publish(int fd, uint32_t handle, const char *name, uint32_t mode)
{
	struct drm_lf_matrix_publish publish = { .handle = handle, .mode = mode };

	strncpy((char *)publish.name, name, sizeof(publish.name) - 1);
	return guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_PUBLISH, &publish);
}

int guest_matrix_open(int fd, const char *name, uint32_t *handle)
{
	struct drm_lf_matrix_open open = { .flags = 0 };
	int result;

	strncpy((char *)open.name, name, sizeof(open.name) - 1);
	result = guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_OPEN, &open);
	*handle = open.handle;
	return result;
}

int guest_matrix_unlink(int fd, const char *name)
{
	struct drm_lf_matrix_unlink unlink = { .name = { 0 } };

	strncpy((char *)unlink.name, name, sizeof(unlink.name) - 1);
	return guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_UNLINK, &unlink);
}

int guest_matrix_close(int fd, uint32_t handle)
{
	struct drm_lf_matrix_handle close = { .handle = handle };

	return guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CLOSE, &close);
}

uint32_t guest_matrix(int fd, uint32_t rows, uint32_t cols, uint64_t seed, int8_t *weights)
{
	uint32_t handle;

	for (uint32_t i = 0; i < rows * cols; i++)
		weights[i] = (int8_t)((int32_t)(guest_random(&seed) % 255) - 127);
	CHECK_OK(guest_matrix_create(fd, rows, cols, &handle));
	CHECK_EQUAL(guest_matrix_program(fd, handle, rows, cols, weights), 1);
	CHECK_OK(guest_matrix_commit(fd, handle));
	return handle;
}

float guest_quantise(const float *x, uint32_t count, int8_t *q)
{
	float absmax = 0, inverse;

	for (uint32_t i = 0; i < count; i++)
		absmax = x[i] > absmax ? x[i] : -x[i] > absmax ? -x[i] : absmax;
	if (absmax < 0x1p-100f) {
		memset(q, 0, count);
		return 0;
	}
	inverse = 127 / absmax;
	for (uint32_t i = 0; i < count; i++) {
		float scaled = x[i] * inverse, rest;
		int32_t rounded = (int32_t)scaled;

		/* Towards minus infinity, then half to even. */
		rounded -= (float)rounded > scaled;
		rest = scaled - (float)rounded;
		if (rest > 0.5f || (rest == 0.5f && rounded % 2 != 0))
			rounded++;
		q[i] = (int8_t)(rounded > 127 ? 127 : rounded < -127 ? -127 : rounded);
	}
	return absmax / 127;
}

void guest_forward(const float *x, const int8_t *weights, uint32_t rows, uint32_t cols, float *y)
{
	int8_t *q = malloc(rows);
	float scale;

	CHECK(q);
	scale = guest_quantise(x, rows, q);
	for (uint32_t column = 0; column < cols; column++) {
		int32_t sum = 0;

		for (uint32_t row = 0; row < rows; row++)
			sum += q[row] * weights[(size_t)row * cols + column];
		y[column] = (float)sum * scale;
	}
	free(q);
}

struct guest_job guest_multiply_job(uint32_t buffer, uint32_t matrix, uint32_t rows, uint32_t cols,
				    uint64_t offset)
{
	struct guest_job job = guest_job();
	struct lf_command *command = guest_job_command(&job, LF_OP_MVM);
	uint32_t index = guest_job_buffer(&job, buffer);

	command->matrix = guest_job_matrix(&job, matrix);
	command->count = 1;
	command->input = guest_operand(index, 0, rows * 4);
	command->output = guest_operand(index, offset, cols * 4);
	return job;
}

struct lf_matrix_info guest_matrix_info(int fd, uint32_t handle)
{
	struct drm_lf_matrix_info info = { .handle = handle };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_INFO, &info));
	return info.info;
}

void guest_check_product(int fd, uint32_t handle, uint32_t rows, uint32_t cols,
			 const int8_t *weights, uint64_t seed)
{
	uint64_t offset = rows * sizeof(float);
	struct guest_buffer buffer = guest_buffer(fd, offset + cols * sizeof(float));
	struct guest_job job = guest_multiply_job(buffer.handle, handle, rows, cols, offset);
	float *x = buffer.memory, *expected = calloc(cols, sizeof(*expected));

	CHECK(expected);
	for (uint32_t i = 0; i < rows; i++)
		x[i] = guest_float(&seed);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	guest_forward(x, weights, rows, cols, expected);
	CHECK_EQUAL(memcmp(x + rows, expected, cols * sizeof(*expected)), 0);
	free(expected);
	guest_buffer_close(fd, &buffer);
}

void guest_check_multiply(int fd, uint64_t seed)
{
	enum { ROWS = 40, COLS = 24 };
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, seed, weights);

	guest_check_product(fd, matrix, ROWS, COLS, weights, seed);
	CHECK_OK(guest_matrix_close(fd, matrix));
}

void guest_as_user(uid_t user, void (*test)(void *), void *argument)
{
	const gid_t groups[] = { GUEST_RENDER };
	int status;
	pid_t child;

	if (geteuid() != 0)
		ktap_skip("not root");
	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK_OK(setgroups(1, groups));
		CHECK_OK(setresgid(user, user, user));
		CHECK_OK(setresuid(user, user, user));
		test(argument);
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == KTAP_SKIPPED)
		_exit(KTAP_SKIPPED);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

struct lf_telemetry_block guest_telemetry(int fd, uint32_t scope)
{
	struct drm_lf_telemetry telemetry = { .scope = scope };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_TELEMETRY, &telemetry));
	return telemetry.block;
}

struct lf_telemetry_block guest_settled(int fd)
{
	struct lf_telemetry_block block = guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE), last;
	int same = 0;

	for (int i = 0; i < 500 && same < 5; i++) {
		last = block;
		usleep(20000);
		block = guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE);
		same = block.jobs == last.jobs ? same + 1 : 0;
	}
	CHECK_EQUAL(same, 5);
	return block;
}

bool guest_unload(void)
{
	/* Memory of the last fences is given back after a moment, and they hold the module. */
	fflush(stdout);
	for (int i = 0; geteuid() == 0 && i < 50; i++) {
		if (system("rmmod lf_accel 2>/dev/null") == 0)
			return true;
		usleep(100000);
	}
	return false;
}

bool guest_load(const char *parameters)
{
	char command[256];

	/* The nodes are given to their group again, as udev would do. */
	snprintf(
		command, sizeof(command),
		"modprobe lf_accel %s && chgrp %u /dev/accel/accel* && chmod 660 /dev/accel/accel*",
		parameters, GUEST_RENDER);
	return geteuid() == 0 && system(command) == 0;
}

bool guest_reload(const char *parameters)
{
	return guest_unload() && guest_load(parameters);
}

static FILE *open_inject(const char *mode)
{
	glob_t files;
	FILE *file;

	if (glob("/sys/kernel/debug/accel/*/inject", 0, NULL, &files) != 0)
		ktap_skip("the device offers no injection");
	file = fopen(files.gl_pathv[0], mode);
	globfree(&files);
	CHECK(file);
	return file;
}

void guest_inject(uint32_t what)
{
	FILE *file = open_inject("w");

	fprintf(file, "%u\n", what);
	CHECK_OK(fclose(file));
}

uint32_t guest_armed(void)
{
	FILE *file = open_inject("r");
	uint32_t armed = 0;

	CHECK(fscanf(file, "%u", &armed) == 1);
	fclose(file);
	return armed;
}

void guest_await_strike(uint32_t what)
{
	int64_t end = deadline_ns(GUEST_WAIT_MS);

	while (guest_armed() & (1u << what)) {
		CHECK(deadline_ns(0) < end);
		usleep(1000);
	}
}
