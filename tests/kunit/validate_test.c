// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks of commands: for each opcode a sound command, then each field at and beyond its limit. What
 * only a huge buffer or matrix could show is shown here, where both are just numbers.
 */
#include <linux/limits.h>
#include <linux/module.h>
#include <kunit/test.h>

#include "lf_validate.h"

#define ROWS	48u
#define COLS	20u
#define SCRATCH 8192u

/* A job of one command with two buffers and two matrices, the second of int8. */
struct job {
	struct lf_limits limits;
	struct lf_command command;
	struct lf_buffer_entry buffers[2];
	struct lf_matrix_shape shapes[2];
	u8 buffer_use[2];
	u8 matrix_use[2];
	struct lf_validation validation;
};

static struct lf_operand operand(u16 space, u16 buffer, u64 offset, u32 stride)
{
	return (struct lf_operand){ .space = cpu_to_le16(space),
				    .buffer = cpu_to_le16(buffer),
				    .stride = cpu_to_le32(stride),
				    .offset = cpu_to_le64(offset) };
}

/* Room for the vectors of 4 rows and columns, no more. */
static void begin(struct job *job, u16 opcode)
{
	*job = (struct job){
		.limits = { .version = 1 << 16 | 2, .batch = 256, .job_bytes = 1 << 20 },
		.command = { .opcode = cpu_to_le16(opcode) },
		.buffers = { { .bytes = cpu_to_le64(4 * ROWS * 4) },
			     { .bytes = cpu_to_le64(4 * COLS * 4) } },
		.shapes = { { ROWS, COLS, 1, LF_FORMAT_FP32, 8 },
			    { ROWS, COLS, 1, LF_FORMAT_INT8, 4 } },
	};
}

static int check(struct job *job)
{
	memset(job->buffer_use, 0, sizeof(job->buffer_use));
	memset(job->matrix_use, 0, sizeof(job->matrix_use));
	job->validation = (struct lf_validation){
		.limits = &job->limits,
		.commands = &job->command,
		.command_count = 1,
		.scratch_bytes = SCRATCH,
		.buffers = job->buffers,
		.buffer_count = ARRAY_SIZE(job->buffers),
		.shapes = job->shapes,
		.matrix_count = ARRAY_SIZE(job->shapes),
		.buffer_use = job->buffer_use,
		.matrix_use = job->matrix_use,
	};
	return lf_validate(&job->validation);
}

#define EXPECT_ACCEPTED(test, job) KUNIT_EXPECT_EQ(test, check(job), 0)
#define EXPECT_REFUSED(test, job, field)                                         \
	do {                                                                     \
		KUNIT_EXPECT_EQ(test, check(job), -EINVAL);                      \
		KUNIT_EXPECT_STREQ(test, (job)->validation.failed_field, field); \
	} while (0)

static void begin_mvm(struct job *job)
{
	begin(job, LF_OP_MVM);
	job->command.matrix = cpu_to_le32(1);
	job->command.count = cpu_to_le32(4);
	job->command.input = operand(LF_SPACE_BUFFER, 0, 0, ROWS * 4);
	job->command.output = operand(LF_SPACE_BUFFER, 1, 0, COLS * 4);
}

static void unknown_opcodes_are_refused(struct kunit *test)
{
	struct job job;
	u32 opcode;

	for (opcode = 0; opcode <= U16_MAX; opcode++) {
		switch (opcode) {
		case LF_OP_BARRIER:
		case LF_OP_MVM:
		case LF_OP_FUSE:
		case LF_OP_PROGRAM:
		case LF_OP_READ:
		case LF_OP_CALIBRATE:
			continue;
		}
		begin(&job, opcode);
		EXPECT_REFUSED(test, &job, "opcode");
	}
}

static void barrier_takes_nothing(struct kunit *test)
{
	struct job job;

	begin(&job, LF_OP_BARRIER);
	EXPECT_ACCEPTED(test, &job);
	job.command.flags = cpu_to_le16(1);
	EXPECT_REFUSED(test, &job, "flags");
	begin(&job, LF_OP_BARRIER);
	job.command.reserved = cpu_to_le32(1);
	EXPECT_REFUSED(test, &job, "reserved");
	begin(&job, LF_OP_BARRIER);
	job.command.partials = operand(LF_SPACE_NONE, 0, 8, 0);
	EXPECT_REFUSED(test, &job, "partials");
}

static void uses_are_told(struct kunit *test)
{
	struct job job;

	begin_mvm(&job);
	EXPECT_ACCEPTED(test, &job);
	KUNIT_EXPECT_EQ(test, job.buffer_use[0], LF_USE_READ);
	KUNIT_EXPECT_EQ(test, job.buffer_use[1], LF_USE_WRITE);
	KUNIT_EXPECT_EQ(test, job.matrix_use[0], LF_USE_MULTIPLY);
	KUNIT_EXPECT_EQ(test, job.matrix_use[1], 0);
	KUNIT_EXPECT_EQ(test, job.validation.bytes, 4 * (ROWS + COLS) * 4);
	job.limits.job_bytes = job.validation.bytes;
	EXPECT_ACCEPTED(test, &job);
	job.limits.job_bytes--;
	EXPECT_REFUSED(test, &job, "output");
}

static void operands_end_with_their_memory(struct kunit *test)
{
	static const u64 offsets[] = { 4,	   4 * ROWS * 4, 1ULL << 32,
				       1ULL << 63, U64_MAX - 3,	 U64_MAX - 4 * ROWS * 4 + 1 };
	struct job job;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(offsets); i++) {
		begin_mvm(&job);
		job.command.input.offset = cpu_to_le64(offsets[i]);
		EXPECT_REFUSED(test, &job, "input");
	}
	begin_mvm(&job);
	job.command.count = cpu_to_le32(5);
	EXPECT_REFUSED(test, &job, "input");
	begin_mvm(&job);
	job.command.input.offset = cpu_to_le64(2);
	job.command.count = cpu_to_le32(1);
	EXPECT_REFUSED(test, &job, "input");
	/* The last run may end where the buffer does. */
	begin_mvm(&job);
	job.command.count = cpu_to_le32(2);
	job.command.input.stride = cpu_to_le32(3 * ROWS * 4);
	EXPECT_ACCEPTED(test, &job);
	job.command.input.stride = cpu_to_le32(3 * ROWS * 4 + 4);
	EXPECT_REFUSED(test, &job, "input");
	job.command.input.stride = cpu_to_le32(ROWS * 4 - 4);
	EXPECT_REFUSED(test, &job, "input");
	job.command.input.stride = cpu_to_le32(U32_MAX - 3);
	EXPECT_REFUSED(test, &job, "input");
}

static void spaces_and_buffers_exist(struct kunit *test)
{
	struct job job;

	begin_mvm(&job);
	job.command.input.buffer = cpu_to_le16(2);
	EXPECT_REFUSED(test, &job, "input");
	begin_mvm(&job);
	job.command.input.space = cpu_to_le16(LF_SPACE_NONE);
	EXPECT_REFUSED(test, &job, "input");
	begin_mvm(&job);
	job.command.input.space = cpu_to_le16(3);
	EXPECT_REFUSED(test, &job, "input");
	begin_mvm(&job);
	job.command.output = operand(LF_SPACE_SCRATCH, 0, SCRATCH - 4 * COLS * 4, COLS * 4);
	EXPECT_ACCEPTED(test, &job);
	KUNIT_EXPECT_EQ(test, job.buffer_use[1], 0);
	job.command.output.offset = cpu_to_le64(SCRATCH - 4 * COLS * 4 + 4);
	EXPECT_REFUSED(test, &job, "output");
	job.command.output = operand(LF_SPACE_SCRATCH, 1, 0, COLS * 4);
	EXPECT_REFUSED(test, &job, "output");
}

static void matrices_exist(struct kunit *test)
{
	static const u32 bad[] = { 0, 3, U32_MAX };
	struct job job;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		begin_mvm(&job);
		job.command.matrix = cpu_to_le32(bad[i]);
		EXPECT_REFUSED(test, &job, "matrix");
	}
}

static void counts_are_limited(struct kunit *test)
{
	static const u32 bad[] = { 0, 257, U32_MAX };
	struct job job;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		begin_mvm(&job);
		job.command.count = cpu_to_le32(bad[i]);
		EXPECT_REFUSED(test, &job, "count");
	}
}

static void mvm_flags_agree(struct kunit *test)
{
	struct job job;
	u32 bit;

	for (bit = 5; bit < 16; bit++) {
		begin_mvm(&job);
		job.command.flags = cpu_to_le16(BIT(bit));
		EXPECT_REFUSED(test, &job, "flags");
	}
	/* int8 needs a scale of its own, and a matrix of int8. */
	begin_mvm(&job);
	job.command.flags = cpu_to_le16(LF_MVM_INPUT_INT8);
	EXPECT_REFUSED(test, &job, "flags");
	job.command.flags = cpu_to_le16(LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE);
	job.command.fixed_scale = cpu_to_le32(0x3f800000);
	EXPECT_REFUSED(test, &job, "flags");
	job.command.matrix = cpu_to_le32(2);
	job.command.input.stride = cpu_to_le32(ROWS);
	EXPECT_ACCEPTED(test, &job);
	/* Adding to what a buffer holds would add twice when the job is run again. */
	begin_mvm(&job);
	job.command.flags = cpu_to_le16(LF_MVM_ACCUMULATE);
	EXPECT_REFUSED(test, &job, "output");
	job.command.output = operand(LF_SPACE_SCRATCH, 0, 0, COLS * 4);
	EXPECT_ACCEPTED(test, &job);
	begin_mvm(&job);
	job.command.flags = cpu_to_le16(LF_MVM_TILE_SCALE);
	EXPECT_REFUSED(test, &job, "scale");
}

static void scales_are_positive_numbers(struct kunit *test)
{
	static const u32 good[] = { 0x00200001, 0x3f800000, 0x7f7fffff };
	static const u32 bad[] = { 0,	       1,	   0x00200000, 0x7f800000,
				   0x7fc00000, 0x80000000, 0xbf800000, U32_MAX };
	struct job job;
	size_t i;

	begin_mvm(&job);
	job.command.fixed_scale = cpu_to_le32(0x3f800000);
	EXPECT_REFUSED(test, &job, "fixed_scale");
	job.command.flags = cpu_to_le16(LF_MVM_FIXED_SCALE);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		job.command.fixed_scale = cpu_to_le32(good[i]);
		EXPECT_ACCEPTED(test, &job);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		job.command.fixed_scale = cpu_to_le32(bad[i]);
		EXPECT_REFUSED(test, &job, "fixed_scale");
	}
}

/* Rows from and to one operand: their sum must not wrap. */
static void rows_are_the_matrixs(struct kunit *test)
{
	static const struct {
		u32 first, count;
		const char *field;
	} rows[] = {
		{ 0, 4, NULL },		  { ROWS - 4, 4, NULL },       { ROWS - 3, 4, "first" },
		{ ROWS, 1, "first" },	  { 0, 0, "count" },	       { U32_MAX, 1, "first" },
		{ U32_MAX, 2, "first" },  { U32_MAX - 3, 4, "first" }, { 1, U32_MAX, "first" },
		{ 0, ROWS + 1, "first" },
	};
	struct job job;
	size_t i;

	for (i = 0; i < 2 * ARRAY_SIZE(rows); i++) {
		bool program = i % 2;

		begin(&job, program ? LF_OP_PROGRAM : LF_OP_READ);
		job.command.matrix = cpu_to_le32(1);
		job.command.first = cpu_to_le32(rows[i / 2].first);
		job.command.count = cpu_to_le32(rows[i / 2].count);
		if (program)
			job.command.input = operand(LF_SPACE_BUFFER, 1, 0, COLS * 4);
		else
			job.command.output = operand(LF_SPACE_BUFFER, 1, 0, COLS * 4);
		if (rows[i / 2].field) {
			EXPECT_REFUSED(test, &job, rows[i / 2].field);
			continue;
		}
		EXPECT_ACCEPTED(test, &job);
		KUNIT_EXPECT_EQ(test, job.matrix_use[0],
				program ? LF_USE_PROGRAM : LF_USE_READ_CELLS);
	}
	/* What is programmed is checked by the device before the first pulse, so it cannot be scratch. */
	begin(&job, LF_OP_PROGRAM);
	job.command.matrix = cpu_to_le32(1);
	job.command.count = cpu_to_le32(1);
	job.command.input = operand(LF_SPACE_SCRATCH, 0, 0, COLS * 4);
	EXPECT_REFUSED(test, &job, "input");
}

static void cells_are_read_since_1_2(struct kunit *test)
{
	struct job job;

	begin(&job, LF_OP_READ);
	job.command.matrix = cpu_to_le32(1);
	job.command.count = cpu_to_le32(1);
	job.command.flags = cpu_to_le16(LF_READ_CELLS);
	job.command.output = operand(LF_SPACE_SCRATCH, 0, 0, COLS * 8 * sizeof(struct lf_cell));
	EXPECT_ACCEPTED(test, &job);
	job.command.output.stride = cpu_to_le32(COLS * 8 * sizeof(struct lf_cell) - 4);
	EXPECT_REFUSED(test, &job, "output");
	job.command.output.stride = cpu_to_le32(COLS * 8 * sizeof(struct lf_cell));
	job.limits.version = 1 << 16 | 1;
	EXPECT_REFUSED(test, &job, "flags");
}

/* The largest widths and counts there are: products that fit into no buffer, and none that wraps. */
static void extents_do_not_wrap(struct kunit *test)
{
	static const u32 widths[] = { 1U << 30, (1U << 30) + 1, 1U << 31, U32_MAX };
	struct job job;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(widths); i++) {
		begin(&job, LF_OP_FUSE);
		job.limits.batch = U32_MAX;
		job.limits.job_bytes = U64_MAX;
		job.buffers[0].bytes = cpu_to_le64(1 << 20);
		job.command.flags = cpu_to_le16(LF_FUSE_AFFINE);
		job.command.count = cpu_to_le32(U32_MAX);
		job.command.width = cpu_to_le32(widths[i]);
		job.command.input = operand(LF_SPACE_BUFFER, 0, 0, widths[i] * 4);
		job.command.output = operand(LF_SPACE_BUFFER, 1, 0, widths[i] * 4);
		EXPECT_REFUSED(test, &job, "input");
		job.command.input.stride = cpu_to_le32(U32_MAX - 3);
		EXPECT_REFUSED(test, &job, "input");
	}
}

static void fuse_divides_its_width(struct kunit *test)
{
	struct job job;

	begin(&job, LF_OP_FUSE);
	job.command.flags = cpu_to_le16(LF_FUSE_SUM);
	job.command.count = cpu_to_le32(1);
	job.command.width = cpu_to_le32(COLS);
	job.command.rank = cpu_to_le32(5);
	job.command.input = operand(LF_SPACE_BUFFER, 0, 0, COLS * 4);
	job.command.output = operand(LF_SPACE_BUFFER, 1, 0, COLS * 4);
	job.command.scale = operand(LF_SPACE_BUFFER, 0, COLS * 4, 0);
	EXPECT_ACCEPTED(test, &job);
	job.command.rank = cpu_to_le32(3);
	EXPECT_REFUSED(test, &job, "rank");
	job.command.rank = 0;
	EXPECT_REFUSED(test, &job, "rank");
	job.command.rank = cpu_to_le32(5);
	job.command.width = 0;
	EXPECT_REFUSED(test, &job, "width");
}

/* The second command is as bad as the first would be, and is named. */
static void every_command_is_checked(struct kunit *test)
{
	struct lf_command commands[2];
	struct job job;

	begin_mvm(&job);
	EXPECT_ACCEPTED(test, &job);
	commands[0] = job.command;
	commands[1] = job.command;
	commands[1].reserved = cpu_to_le32(1);
	job.validation.commands = commands;
	job.validation.command_count = 2;
	job.validation.bytes = 0;
	KUNIT_EXPECT_EQ(test, lf_validate(&job.validation), -EINVAL);
	KUNIT_EXPECT_EQ(test, job.validation.failed_command, 1);
	KUNIT_EXPECT_STREQ(test, job.validation.failed_field, "reserved");
}

static struct kunit_case validate_cases[] = {
	KUNIT_CASE(unknown_opcodes_are_refused),
	KUNIT_CASE(barrier_takes_nothing),
	KUNIT_CASE(uses_are_told),
	KUNIT_CASE(operands_end_with_their_memory),
	KUNIT_CASE(spaces_and_buffers_exist),
	KUNIT_CASE(matrices_exist),
	KUNIT_CASE(counts_are_limited),
	KUNIT_CASE(mvm_flags_agree),
	KUNIT_CASE(scales_are_positive_numbers),
	KUNIT_CASE(rows_are_the_matrixs),
	KUNIT_CASE(cells_are_read_since_1_2),
	KUNIT_CASE(extents_do_not_wrap),
	KUNIT_CASE(fuse_divides_its_width),
	KUNIT_CASE(every_command_is_checked),
	{},
};

static struct kunit_suite validate_suite = {
	.name = "lf_validate",
	.test_cases = validate_cases,
};
kunit_test_suite(validate_suite);

MODULE_DESCRIPTION("KUnit tests of lf_accel's checks and sums");
MODULE_LICENSE("GPL");
