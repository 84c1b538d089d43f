// SPDX-License-Identifier: MIT
/*
 * A sweep of extreme values over every field of a job and of its commands. A job is accepted only
 * where its reading of the interface allows it; nothing may crash, and after each sweep a good job
 * is exact.
 */
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 24, COLS = 12, OUTPUT = 2048, SCRATCH = 4096 };

struct field {
	const char *name;
	size_t offset;
	size_t bytes;
};

#define FIELD(type, member)                                                                \
	{                                                                                  \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member) \
	}
#define OPERAND(member)                                                    \
	FIELD(lf_command, member.space), FIELD(lf_command, member.buffer), \
		FIELD(lf_command, member.stride), FIELD(lf_command, member.offset)

static const struct field command_fields[] = {
	FIELD(lf_command, opcode),
	FIELD(lf_command, flags),
	FIELD(lf_command, matrix),
	FIELD(lf_command, count),
	FIELD(lf_command, first),
	FIELD(lf_command, width),
	FIELD(lf_command, rank),
	FIELD(lf_command, fixed_scale),
	FIELD(lf_command, reserved),
	OPERAND(input),
	OPERAND(output),
	OPERAND(factor),
	OPERAND(scale),
	OPERAND(bias),
	OPERAND(partials),
};

static const struct field submit_fields[] = {
	FIELD(drm_lf_submit, command_count), FIELD(drm_lf_submit, buffer_count),
	FIELD(drm_lf_submit, matrix_count),  FIELD(drm_lf_submit, sync_count),
	FIELD(drm_lf_submit, scratch_bytes), FIELD(drm_lf_submit, flags),
	FIELD(drm_lf_submit, record_offset), FIELD(drm_lf_submit, record_buffer),
	FIELD(drm_lf_submit, record_bytes),  FIELD(drm_lf_submit, pad),
};

static const uint64_t values[] = {
	0,
	1,
	2,
	3,
	5,
	7,
	8,
	12,
	16,
	63,
	64,
	127,
	128,
	255,
	256,
	1023,
	1024,
	1025,
	2047,
	4095,
	4096,
	4097,
	INT16_MAX,
	UINT16_MAX - 1,
	UINT16_MAX,
	INT32_MAX,
	1ull << 31,
	UINT32_MAX - 1,
	UINT32_MAX,
	1ull << 32,
	INT64_MAX,
	1ull << 63,
	UINT64_MAX - 1,
	UINT64_MAX,
};

struct bench {
	int fd;
	int8_t weights[ROWS * COLS];
	uint32_t matrix;
	uint32_t torn;
	struct guest_buffer buffer;
	uint32_t accepted;
	uint32_t refused;
};

static struct bench bench(void)
{
	struct bench bench = { .fd = guest_open() };

	bench.matrix = guest_matrix(bench.fd, ROWS, COLS, 21, bench.weights);
	CHECK_OK(guest_matrix_create(bench.fd, ROWS, COLS, &bench.torn));
	bench.buffer = guest_buffer(bench.fd, 4096);
	return bench;
}

/* A good job of each opcode, to be spoiled in one field. */
static struct guest_job good_job(const struct bench *bench, uint16_t opcode)
{
	struct guest_job job =
		guest_multiply_job(bench->buffer.handle, bench->matrix, ROWS, COLS, OUTPUT);
	struct lf_command *command = &job.commands[0];

	guest_job_matrix(&job, bench->torn);
	job.submit.scratch_bytes = SCRATCH;
	switch (opcode) {
	case LF_OP_BARRIER:
		*command = (struct lf_command){ .opcode = LF_OP_BARRIER };
		break;
	case LF_OP_MVM:
		command->factor = guest_operand(0, 1024, 0);
		command->scale = guest_operand(0, 1280, 0);
		command->bias = guest_operand(0, 1536, 0);
		command->output = guest_scratch(0, COLS * 4);
		command->partials = guest_operand(0, OUTPUT, COLS * 4);
		break;
	case LF_OP_FUSE:
		*command = (struct lf_command){
			.opcode = LF_OP_FUSE,
			.flags = LF_FUSE_PRODUCT,
			.count = 2,
			.width = 12,
			.rank = 3,
			.input = guest_operand(0, 0, 48),
			.output = guest_scratch(0, 48),
			.scale = guest_operand(0, 1024, 0),
		};
		break;
	case LF_OP_PROGRAM:
		/* The same row is refused by the device from the second time on. */
		*command = (struct lf_command){ .opcode = LF_OP_PROGRAM,
						.matrix = 2,
						.count = 2,
						.input = guest_operand(0, 0, COLS) };
		break;
	case LF_OP_READ:
		*command = (struct lf_command){ .opcode = LF_OP_READ,
						.matrix = 1,
						.count = 2,
						.output = guest_operand(0, 0, COLS) };
		break;
	case LF_OP_CALIBRATE:
		*command = (struct lf_command){ .opcode = LF_OP_CALIBRATE,
						.matrix = 1,
						.count = 2,
						.input = guest_operand(0, 0, ROWS * 4) };
		break;
	}
	return job;
}

static void set_field(void *structure, const struct field *field, uint64_t value)
{
	memcpy((char *)structure + field->offset, &value, field->bytes);
}

static void try_job(struct bench *bench, struct guest_job *job, const char *what, uint64_t value)
{
	int error;

	if (guest_job_submit(bench->fd, job) == 0) {
		bench->accepted++;
		return;
	}
	error = errno;
	bench->refused++;
	if (error != EINVAL && error != ENOENT && error != EPERM && error != EFAULT) {
		printf("# %s = %#llx: %s\n", what, (unsigned long long)value, strerror(error));
		CHECK(error == EINVAL);
	}
}

static void drain(struct bench *bench)
{
	struct guest_job job = guest_job();

	guest_job_command(&job, LF_OP_BARRIER);
	CHECK_EQUAL(guest_job_run(bench->fd, &job), 1);
	printf("# %u accepted, %u refused\n", bench->accepted, bench->refused);
	guest_check_multiply(bench->fd, 33);
}

static void sweep_commands(void)
{
	struct bench set = bench();

	for (uint16_t opcode = LF_OP_BARRIER; opcode <= LF_OP_CALIBRATE; opcode++) {
		struct guest_job job = good_job(&set, opcode);

		/* The unspoiled job is good, so that a refusal is due to the spoiled field. */
		CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
		for (size_t i = 0; i < KTAP_COUNT(command_fields); i++) {
			for (size_t j = 0; j < KTAP_COUNT(values); j++) {
				job = good_job(&set, opcode);
				set_field(&job.commands[0], &command_fields[i], values[j]);
				try_job(&set, &job, command_fields[i].name, values[j]);
			}
		}
	}
	CHECK(set.refused > set.accepted);
	drain(&set);
}

/* Two fields at a time, chosen by a generator. */
static void sweep_pairs(void)
{
	enum { JOBS = 20000 };
	struct bench set = bench();
	uint64_t seed = 4711;

	printf("# seed %llu\n", (unsigned long long)seed);
	for (int i = 0; i < JOBS; i++) {
		struct guest_job job =
			good_job(&set, (uint16_t)(1 + guest_random(&seed) % LF_OP_CALIBRATE));

		for (int j = 0; j < 2; j++)
			set_field(&job.commands[0],
				  &command_fields[guest_random(&seed) % KTAP_COUNT(command_fields)],
				  values[guest_random(&seed) % KTAP_COUNT(values)]);
		try_job(&set, &job, "a pair", (uint64_t)i);
	}
	drain(&set);
}

static void sweep_submission(void)
{
	struct bench set = bench();
	struct drm_lf_device_info info = guest_info(set.fd);
	const uint64_t limits[] = { info.job_commands + 1ull, info.job_buffers + 1ull,
				    info.job_matrices + 1ull, info.job_syncs + 1ull,
				    info.job_scratch_bytes + 1ull };

	for (size_t i = 0; i < KTAP_COUNT(submit_fields); i++) {
		for (size_t j = 0; j < KTAP_COUNT(values); j++) {
			struct guest_job job = good_job(&set, LF_OP_MVM);

			set_field(&job.submit, &submit_fields[i], values[j]);
			try_job(&set, &job, submit_fields[i].name, values[j]);
		}
	}
	for (size_t i = 0; i < KTAP_COUNT(limits); i++) {
		struct guest_job job = good_job(&set, LF_OP_MVM);

		set_field(&job.submit, &submit_fields[i], limits[i]);
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	}
	drain(&set);
}

static void sweep_pointers(void)
{
	static const uint64_t addresses[] = { 0,	  1,	      4095,	  4096,
					      1ull << 46, 1ull << 47, 1ull << 63, UINT64_MAX - 4095,
					      UINT64_MAX };
	struct bench set = bench();

	for (size_t i = 0; i < KTAP_COUNT(addresses); i++) {
		for (int which = 0; which < 4; which++) {
			struct guest_job job = good_job(&set, LF_OP_MVM);
			struct drm_lf_submit submit;

			guest_job_sync(&job, guest_syncobj(set.fd), DRM_LF_SYNC_OUT, 0);
			submit = job.submit;
			submit.commands = which == 0 ? addresses[i] : (uintptr_t)job.commands;
			submit.buffers = which == 1 ? addresses[i] : (uintptr_t)job.buffers;
			submit.matrices = which == 2 ? addresses[i] : (uintptr_t)job.matrices;
			submit.sync_stride = sizeof(job.syncs[0]);
			submit.syncs = which == 3 ? addresses[i] : (uintptr_t)job.syncs;
			CHECK_ERROR(guest_ioctl(set.fd, DRM_IOCTL_LF_SUBMIT, &submit), EFAULT);
		}
	}
	drain(&set);
}

/* To the last byte of the memory and not beyond: refused by the kernel, before the device sees it. */
static void ranges_end_with_their_memory(void)
{
	struct bench set = bench();

	for (size_t i = 0; i < 6; i++) {
		static const uint32_t bytes[] = { ROWS * 4, COLS * 4, ROWS * 4,
						  COLS * 4, COLS * 4, COLS * 4 };
		struct guest_job job = good_job(&set, LF_OP_MVM);
		struct lf_command *command = &job.commands[0];
		struct lf_operand *operands[] = { &command->input,  &command->output,
						  &command->factor, &command->scale,
						  &command->bias,   &command->partials };
		struct lf_operand *operand = operands[i];
		uint64_t limit = operand->space == LF_SPACE_SCRATCH ? SCRATCH : set.buffer.size;

		operand->offset = limit - bytes[i];
		CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
		operand->offset += 4;
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
		operand->offset = limit;
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
		operand->offset = UINT64_MAX - 3;
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
		if (operand->stride) {
			operand->offset = limit - 2 * bytes[i];
			command->count = 3;
			CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
		}
	}
	drain(&set);
}

static void objects_may_be_named_once(void)
{
	struct bench set = bench();
	struct guest_job job = good_job(&set, LF_OP_MVM);

	guest_job_buffer(&job, set.buffer.handle);
	CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	job = good_job(&set, LF_OP_MVM);
	guest_job_matrix(&job, set.matrix);
	CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	drain(&set);
}

static void management_is_not_for_jobs(void)
{
	struct bench set = bench();

	for (uint16_t opcode = LF_OP_CALIBRATE + 1; opcode < 256; opcode++) {
		struct guest_job job = guest_job();

		guest_job_command(&job, opcode);
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	}
	drain(&set);
}

static void scales_must_be_positive_numbers(void)
{
	static const uint32_t bad[] = { 0,	    0x80000000, 0xbf800000, 0x7f800000,
					0x7fc00000, 0xff800000, 0x00000001, 0xffffffff };
	struct bench set = bench();

	for (size_t i = 0; i < KTAP_COUNT(bad); i++) {
		struct guest_job job = good_job(&set, LF_OP_MVM);

		job.commands[0].flags = LF_MVM_FIXED_SCALE;
		job.commands[0].fixed_scale = bad[i];
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	}
	drain(&set);
}

/* What is for later versions: a program that sets it today would mean something else tomorrow. */
static void reserved_fields_must_be_zero(void)
{
	struct bench set = bench();
	struct guest_job job = good_job(&set, LF_OP_MVM);
	struct drm_lf_bo_create create = { .size = 4096 };
	struct drm_lf_bo_info info = { .handle = set.buffer.handle };
	struct drm_lf_matrix_create matrix = { .rows = ROWS, .cols = COLS };
	struct drm_lf_matrix_open open = { .name = "test/none" };
	struct drm_lf_matrix_info matrix_info = { .handle = set.matrix };
	struct drm_lf_matrix_handle handle = { .handle = set.torn };
	struct drm_lf_matrix_refresh refresh = { .handle = set.matrix };
	struct lf_matrix_info entry;
	struct drm_lf_matrix_list list = { .count = 1,
					   .entry_bytes = sizeof(entry),
					   .entries = (uintptr_t)&entry };
	struct drm_lf_telemetry telemetry = { .scope = DRM_LF_TELEMETRY_CONTEXT };
	struct drm_lf_priority priority = { .priority = DRM_LF_PRIORITY_NORMAL };
	const struct {
		unsigned long request;
		void *data;
		__u32 *field;
		bool harmless; /* the call without the bit may be made */
	} calls[] = {
		{ DRM_IOCTL_LF_BO_CREATE, &create, &create.flags, false },
		{ DRM_IOCTL_LF_BO_INFO, &info, &info.pad, true },
		{ DRM_IOCTL_LF_MATRIX_CREATE, &matrix, &matrix.flags, false },
		{ DRM_IOCTL_LF_MATRIX_CREATE, &matrix, &matrix.pad, false },
		{ DRM_IOCTL_LF_MATRIX_OPEN, &open, &open.flags, false },
		{ DRM_IOCTL_LF_MATRIX_INFO, &matrix_info, &matrix_info.pad, true },
		{ DRM_IOCTL_LF_MATRIX_COMMIT, &handle, &handle.pad, false },
		{ DRM_IOCTL_LF_MATRIX_CLOSE, &handle, &handle.pad, false },
		{ DRM_IOCTL_LF_MATRIX_REFRESH, &refresh, &refresh.flags, false },
		{ DRM_IOCTL_LF_MATRIX_LIST, &list, &list.pad, true },
		{ DRM_IOCTL_LF_SUBMIT, &job.submit, &job.submit.flags, true },
		{ DRM_IOCTL_LF_SUBMIT, &job.submit, &job.submit.pad, true },
		{ DRM_IOCTL_LF_TELEMETRY, &telemetry, &telemetry.pad, true },
		{ DRM_IOCTL_LF_PRIORITY, &priority, &priority.pad, true },
	};

	job.submit.commands = (uintptr_t)job.commands;
	job.submit.buffers = (uintptr_t)job.buffers;
	job.submit.matrices = (uintptr_t)job.matrices;
	for (size_t i = 0; i < KTAP_COUNT(calls); i++) {
		for (int bit = 0; bit < 32; bit++) {
			printf("# call %zu, bit %d\n", i, bit);
			*calls[i].field = 1u << bit;
			CHECK_ERROR(guest_ioctl(set.fd, calls[i].request, calls[i].data), EINVAL);
			*calls[i].field = 0;
		}
		if (calls[i].harmless)
			CHECK_OK(guest_ioctl(set.fd, calls[i].request, calls[i].data));
	}
	drain(&set);
}

/* First row and number of rows, at the end of the matrix and where their sum is beyond 32 bits. */
static void rows_end_with_the_matrix(void)
{
	static const struct {
		uint32_t first, count;
	} rows[] = {
		{ ROWS, 1 },	   { ROWS - 1, 2 },   { 0, ROWS + 1 },
		{ UINT32_MAX, 1 }, { UINT32_MAX, 2 }, { UINT32_MAX - 7, 16 },
	};
	static const uint16_t opcodes[] = { LF_OP_PROGRAM, LF_OP_READ };
	struct bench set = bench();

	for (size_t i = 0; i < KTAP_COUNT(rows) * KTAP_COUNT(opcodes); i++) {
		struct guest_job job = good_job(&set, opcodes[i % 2]);

		printf("# first %u, count %u\n", rows[i / 2].first, rows[i / 2].count);
		job.commands[0].first = rows[i / 2].first;
		job.commands[0].count = rows[i / 2].count;
		CHECK_ERROR(guest_job_submit(set.fd, &job), EINVAL);
	}
	drain(&set);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(sweep_commands),
		KTAP_TEST(sweep_pairs),
		KTAP_TEST(sweep_submission),
		KTAP_TEST(sweep_pointers),
		KTAP_TEST(ranges_end_with_their_memory),
		KTAP_TEST(objects_may_be_named_once),
		KTAP_TEST(management_is_not_for_jobs),
		KTAP_TEST(scales_must_be_positive_numbers),
		KTAP_TEST(reserved_fields_must_be_zero),
		KTAP_TEST(rows_end_with_the_matrix),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
