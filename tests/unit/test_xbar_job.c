// SPDX-License-Identifier: MIT
/*
 * Jobs that must be refused: the right status, and nothing changed in the device's memory or the host's buffers.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/job.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define ROWS  40
#define COLS  24
#define COUNT 3

/* A device with a committed, a torn and a deleted matrix, and buffers that fit an MVM exactly. */
struct bench {
	struct rig rig;
	uint32_t committed;
	uint32_t torn;
	uint32_t deleted;
	int8_t weights[ROWS * COLS];
	float input[COUNT * ROWS];
	float output[COUNT * COLS];
	float vector[ROWS * COLS];
	struct buffer buffers[4];
};

enum { INPUT, OUTPUT, VECTOR, WEIGHTS };

static struct bench *bench_open(void)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	for (int i = 0; i < ROWS * COLS; i++)
		bench->weights[i] = (int8_t)(i % 255 - 127);
	for (int i = 0; i < COUNT * ROWS; i++)
		bench->input[i] = (float)(i % 17) - 8.0f;
	for (int i = 0; i < ROWS * COLS; i++)
		bench->vector[i] = 1.0f;
	bench->buffers[INPUT] = (struct buffer){ bench->input, sizeof(bench->input) };
	bench->buffers[OUTPUT] = (struct buffer){ bench->output, sizeof(bench->output) };
	bench->buffers[VECTOR] = (struct buffer){ bench->vector, sizeof(bench->vector) };
	bench->buffers[WEIGHTS] = (struct buffer){ bench->weights, sizeof(bench->weights) };
	rig_open(&bench->rig, "isaac", "tiles=64,tile_rows=16,tile_cols=64,matrices=8,accounts=4");
	bench->committed = rig_matrix(&bench->rig, ROWS, COLS, bench->weights);
	bench->deleted = rig_matrix(&bench->rig, ROWS, COLS, bench->weights);
	ck_assert_uint_eq(rig_delete(&bench->rig, bench->deleted), LF_STATUS_OK);
	bench->torn = rig_create_matrix(&bench->rig, ROWS, COLS);
	ck_assert_uint_ne(bench->torn, 0);
	bench->rig.scratch_bytes = 4096;
	return bench;
}

static void bench_close(struct bench *bench)
{
	rig_close(&bench->rig);
	free(bench);
}

/* The commands that the mistakes start from; each is accepted as it is. */
static struct lf_command good_mvm(const struct bench *bench)
{
	return (struct lf_command){
		.opcode = LF_OP_MVM,
		.matrix = bench->committed,
		.count = COUNT,
		.input = { .space = LF_SPACE_BUFFER, .buffer = INPUT, .stride = ROWS * 4 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = OUTPUT, .stride = COLS * 4 },
	};
}

static struct lf_command good_fuse(const struct bench *bench)
{
	(void)bench;
	return (struct lf_command){
		.opcode = LF_OP_FUSE,
		.flags = LF_FUSE_SUM,
		.count = COUNT,
		.width = COLS,
		.rank = 4,
		.input = { .space = LF_SPACE_BUFFER, .buffer = INPUT, .stride = ROWS * 4 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = OUTPUT, .stride = COLS * 4 },
		.scale = { .space = LF_SPACE_BUFFER, .buffer = VECTOR },
	};
}

static struct lf_command good_program(const struct bench *bench)
{
	return (struct lf_command){
		.opcode = LF_OP_PROGRAM,
		.matrix = bench->torn,
		.count = ROWS,
		.input = { .space = LF_SPACE_BUFFER, .buffer = WEIGHTS, .stride = COLS },
	};
}

static struct lf_command good_calibrate(const struct bench *bench)
{
	return (struct lf_command){
		.opcode = LF_OP_CALIBRATE,
		.matrix = bench->committed,
		.count = COUNT,
		.input = { .space = LF_SPACE_BUFFER, .buffer = INPUT, .stride = ROWS * 4 },
	};
}

static struct lf_command good_create(const struct bench *bench)
{
	(void)bench;
	return (struct lf_command){ .opcode = LF_OP_CREATE, .first = ROWS, .width = COLS };
}

static struct lf_command good_list(const struct bench *bench)
{
	(void)bench;
	return (struct lf_command){
		.opcode = LF_OP_LIST,
		.count = 2,
		.output = { .space = LF_SPACE_BUFFER, .buffer = OUTPUT, .stride = 128 },
	};
}

static struct lf_command good_account(const struct bench *bench)
{
	(void)bench;
	return (struct lf_command){
		.opcode = LF_OP_ACCOUNT,
		.output = { .space = LF_SPACE_BUFFER, .buffer = OUTPUT },
	};
}

static struct lf_command good_barrier(const struct bench *bench)
{
	(void)bench;
	return (struct lf_command){ .opcode = LF_OP_BARRIER };
}

static struct lf_command good_delete(const struct bench *bench)
{
	return (struct lf_command){ .opcode = LF_OP_DELETE, .matrix = bench->committed };
}

static struct lf_command good_sanitize(const struct bench *bench)
{
	(void)bench;
	return (struct lf_command){ .opcode = LF_OP_SANITIZE, .count = 1 };
}

#define FIXED_ONE 0x3f800000u

/* One mistake: what @change makes of what @good makes. */
struct mistake {
	const char *what;
	struct lf_command (*good)(const struct bench *);
	uint16_t status;
	void (*change)(struct lf_command *command, const struct bench *bench);
};

#define CHANGES(ENTRY)                                                                            \
	ENTRY(mvm, INVALID, reserved, command->reserved = 1)                                      \
	ENTRY(mvm, INVALID, opcode, command->opcode = 7)                                          \
	ENTRY(mvm, INVALID, opcode_zero, command->opcode = 0)                                     \
	ENTRY(mvm, INVALID, flags, command->flags = 1 << 5)                                       \
	ENTRY(mvm, INVALID, first, command->first = 1)                                            \
	ENTRY(mvm, INVALID, width, command->width = 1)                                            \
	ENTRY(mvm, INVALID, rank, command->rank = 1)                                              \
	ENTRY(mvm, INVALID, no_vectors, command->count = 0)                                       \
	ENTRY(mvm, INVALID, many_vectors, command->count = 4097)                                  \
	ENTRY(mvm, INVALID, all_vectors, command->count = UINT32_MAX)                             \
	ENTRY(mvm, INVALID, more_than_buffer, command->count = COUNT + 1)                         \
	ENTRY(mvm, INVALID, scale_without_flag, command->fixed_scale = FIXED_ONE)                 \
	ENTRY(mvm, INVALID, scale_zero, command->flags = LF_MVM_FIXED_SCALE)                      \
	ENTRY(mvm, INVALID, scale_negative, command->flags = LF_MVM_FIXED_SCALE;                  \
	      command->fixed_scale = 0xbf800000)                                                  \
	ENTRY(mvm, INVALID, scale_infinite, command->flags = LF_MVM_FIXED_SCALE;                  \
	      command->fixed_scale = 0x7f800000)                                                  \
	ENTRY(mvm, INVALID, scale_nan, command->flags = LF_MVM_FIXED_SCALE;                       \
	      command->fixed_scale = 0x7fc00000)                                                  \
	ENTRY(mvm, INVALID, scale_tiny, command->flags = LF_MVM_FIXED_SCALE;                      \
	      command->fixed_scale = 1)                                                           \
	ENTRY(mvm, INVALID, int8_without_scale, command->flags = LF_MVM_INPUT_INT8)               \
	ENTRY(mvm, INVALID, int8_with_factor,                                                     \
	      command->flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;                            \
	      command->fixed_scale = FIXED_ONE; command->input.stride = ROWS;                     \
	      command->factor.space = LF_SPACE_BUFFER; command->factor.buffer = VECTOR)           \
	ENTRY(mvm, INVALID, accumulate_to_buffer, command->flags = LF_MVM_ACCUMULATE)             \
	ENTRY(mvm, INVALID, tile_scale_without, command->flags = LF_MVM_TILE_SCALE)               \
	ENTRY(mvm, INVALID, transpose_bias, command->flags = LF_MVM_TRANSPOSE;                    \
	      command->input.stride = COLS * 4; command->output.space = LF_SPACE_SCRATCH;         \
	      command->output.buffer = 0; command->output.stride = ROWS * 4;                      \
	      command->bias.space = LF_SPACE_BUFFER; command->bias.buffer = VECTOR)               \
	ENTRY(mvm, INVALID, transpose_partials, command->flags = LF_MVM_TRANSPOSE;                \
	      command->input.stride = COLS * 4; command->output.space = LF_SPACE_SCRATCH;         \
	      command->output.buffer = 0; command->output.stride = ROWS * 4;                      \
	      command->partials = command->output)                                                \
	ENTRY(mvm, INVALID, space, command->input.space = 3)                                      \
	ENTRY(mvm, INVALID, no_input, memset(&command->input, 0, sizeof(command->input)))         \
	ENTRY(mvm, INVALID, no_output, memset(&command->output, 0, sizeof(command->output)))      \
	ENTRY(mvm, INVALID, buffer, command->input.buffer = 4)                                    \
	ENTRY(mvm, INVALID, buffer_of_scratch, command->output.space = LF_SPACE_SCRATCH)          \
	ENTRY(mvm, INVALID, stride_short, command->input.stride = ROWS * 4 - 4)                   \
	ENTRY(mvm, INVALID, stride_zero, command->input.stride = 0)                               \
	ENTRY(mvm, INVALID, stride_odd, command->input.stride = ROWS * 4 + 2)                     \
	ENTRY(mvm, INVALID, stride_wide, command->input.stride = ROWS * 4 + 4)                    \
	ENTRY(mvm, INVALID, stride_huge, command->input.stride = UINT32_MAX - 3)                  \
	ENTRY(mvm, INVALID, offset_odd, command->input.offset = 2)                                \
	ENTRY(mvm, INVALID, offset_far, command->input.offset = 4)                                \
	ENTRY(mvm, INVALID, offset_huge, command->input.offset = UINT64_MAX - 3)                  \
	ENTRY(mvm, INVALID, offset_wraps,                                                         \
	      command->input.offset = UINT64_MAX - COUNT * ROWS * 4 + 1)                          \
	ENTRY(mvm, INVALID, flat_stride, command->scale.space = LF_SPACE_BUFFER;                  \
	      command->scale.buffer = VECTOR; command->scale.stride = 4)                          \
	ENTRY(mvm, INVALID, unused_operand, command->bias.offset = 4)                             \
	ENTRY(mvm, INVALID, scratch_far, command->output.space = LF_SPACE_SCRATCH;                \
	      command->output.buffer = 0; command->output.offset = 4096)                          \
	ENTRY(mvm, NO_MATRIX, no_matrix, command->matrix = 0)                                     \
	ENTRY(mvm, NO_MATRIX, unknown_matrix, command->matrix = 77)                               \
	ENTRY(mvm, NO_MATRIX, deleted_matrix, command->matrix = bench->deleted)                   \
	ENTRY(mvm, STATE, torn_matrix, command->matrix = bench->torn)                             \
	ENTRY(mvm, OVERLAP, bias_is_output, command->bias = command->output;                      \
	      command->bias.stride = 0)                                                           \
	ENTRY(mvm, OVERLAP, partials_are_output, command->partials = command->output;             \
	      command->partials.buffer = VECTOR; command->partials.stride = 3 * COLS * 4;         \
	      command->output.buffer = VECTOR; command->output.offset = 8)                        \
	ENTRY(mvm, OVERLAP, scratch_bias, command->output.space = LF_SPACE_SCRATCH;               \
	      command->output.buffer = 0; command->bias.space = LF_SPACE_SCRATCH;                 \
	      command->bias.offset = 4)                                                           \
	ENTRY(fuse, INVALID, no_mode, command->flags = 0)                                         \
	ENTRY(fuse, INVALID, two_modes, command->flags = LF_FUSE_SUM | LF_FUSE_PRODUCT)           \
	ENTRY(fuse, INVALID, flags, command->flags |= 1 << 4)                                     \
	ENTRY(fuse, INVALID, matrix, command->matrix = bench->committed)                          \
	ENTRY(fuse, INVALID, rank_zero, command->rank = 0)                                        \
	ENTRY(fuse, INVALID, rank_odd, command->rank = 5)                                         \
	ENTRY(fuse, INVALID, rank_wide, command->rank = 2 * COLS)                                 \
	ENTRY(fuse, INVALID, width_zero, command->width = 0)                                      \
	ENTRY(fuse, INVALID, width_huge, command->width = UINT32_MAX)                             \
	ENTRY(fuse, INVALID, no_coefficients, memset(&command->scale, 0, sizeof(command->scale))) \
	ENTRY(fuse, INVALID, bias, command->bias = command->scale)                                \
	ENTRY(fuse, INVALID, affine_rank, command->flags = LF_FUSE_AFFINE)                        \
	ENTRY(fuse, INVALID, accumulate, command->flags |= LF_FUSE_ACCUMULATE)                    \
	ENTRY(fuse, OVERLAP, in_place_buffer, command->output = command->input)                   \
	ENTRY(program, STATE, committed, command->matrix = bench->committed)                      \
	ENTRY(program, NO_MATRIX, unknown, command->matrix = 99)                                  \
	ENTRY(program, INVALID, no_rows, command->count = 0)                                      \
	ENTRY(program, INVALID, rows, command->first = 1)                                         \
	ENTRY(program, INVALID, rows_wrap, command->first = UINT32_MAX; command->count = 1)       \
	ENTRY(program, INVALID, from_scratch, command->input.space = LF_SPACE_SCRATCH;            \
	      command->input.buffer = 0)                                                          \
	ENTRY(program, INVALID, output, command->output = command->input)                         \
	ENTRY(calibrate, STATE, torn, command->matrix = bench->torn)                              \
	ENTRY(calibrate, INVALID, first, command->first = 1)                                      \
	ENTRY(calibrate, INVALID, count, command->count = 0)                                      \
	ENTRY(create, INVALID, no_rows, command->first = 0)                                       \
	ENTRY(create, INVALID, no_cols, command->width = 0)                                       \
	ENTRY(create, INVALID, many_rows, command->first = 16385)                                 \
	ENTRY(create, INVALID, many_cols, command->width = UINT32_MAX)                            \
	ENTRY(create, INVALID, format, command->rank = LF_FORMAT_FP32)                            \
	ENTRY(create, INVALID, unknown_format, command->rank = 9)                                 \
	ENTRY(create, INVALID, matrix, command->matrix = 1)                                       \
	ENTRY(create, NO_SPACE, too_large, command->first = 1600; command->width = 1600)          \
	ENTRY(list, INVALID, none, command->count = 0)                                            \
	ENTRY(list, INVALID, many, command->count = 9)                                            \
	ENTRY(list, INVALID, narrow, command->output.stride = 120)                                \
	ENTRY(account, INVALID, flags, command->flags = 2)                                        \
	ENTRY(account, DENIED, quota, command->flags = LF_ACCOUNT_SET_QUOTA)                      \
	ENTRY(account, INVALID, input, command->input.space = LF_SPACE_BUFFER)                    \
	ENTRY(barrier, INVALID, count, command->count = 1)                                        \
	ENTRY(barrier, INVALID, operand, command->factor.offset = 1)                              \
	ENTRY(delete, NO_MATRIX, twice, command->matrix = bench->deleted)                         \
	ENTRY(delete, INVALID, count, command->count = 1)                                         \
	ENTRY(delete, STATE, commit_again, command->opcode = LF_OP_COMMIT)                        \
	ENTRY(delete, STATE, commit_unwritten, command->opcode = LF_OP_COMMIT;                    \
	      command->matrix = bench->torn)                                                      \
	ENTRY(sanitize, INVALID, first, command->first = 1)

#define DEFINE_CHANGE(command_, status_, name, ...)                        \
	static void change_##command_##_##name(struct lf_command *command, \
					       const struct bench *bench)  \
	{                                                                  \
		(void)bench;                                               \
		__VA_ARGS__;                                               \
	}
#define TABLE_ENTRY(command_, status_, name, ...) \
	{ #command_ ": " #name, good_##command_, LF_STATUS_##status_, change_##command_##_##name },

CHANGES(DEFINE_CHANGE)

static const struct mistake mistakes[] = { CHANGES(TABLE_ENTRY) };

/* Everything but the header and the counters, which count refused jobs too. */
static uint8_t *snapshot(const struct rig *rig)
{
	uint8_t *copy = malloc(rig->bytes - 8192);

	memcpy(copy, rig->memory + 8192, rig->bytes - 8192);
	return copy;
}

START_TEST(mistakes_are_refused)
{
	const struct mistake *mistake = &mistakes[_i];
	struct bench *bench = bench_open();
	struct lf_command command = mistake->good(bench);
	uint8_t *before = snapshot(&bench->rig);
	uint16_t status;

	mistake->change(&command, bench);
	status = rig_run(&bench->rig, &command, 1, bench->buffers, 4);
	ck_assert_msg(status == mistake->status, "%s: status %u, not %u", mistake->what, status,
		      mistake->status);
	ck_assert_mem_eq(bench->rig.memory + 8192, before, bench->rig.bytes - 8192);
	for (int i = 0; i < COUNT * COLS; i++)
		ck_assert_msg(bench->output[i] == 0.0f, "%s: wrote output", mistake->what);
	ck_assert_uint_eq(bench->rig.completion.cells_written, 0);
	free(before);
	bench_close(bench);
}
END_TEST

/* What the mistakes start from is accepted. */
START_TEST(commands_without_mistakes_are_accepted)
{
	struct lf_command (*const good[])(const struct bench *) = {
		good_mvm,  good_fuse,	 good_program, good_calibrate, good_create,
		good_list, good_account, good_barrier, good_sanitize,  good_delete,
	};
	struct bench *bench = bench_open();

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct lf_command command = good[i](bench);

		ck_assert_msg(rig_run(&bench->rig, &command, 1, bench->buffers, 4) == LF_STATUS_OK,
			      "command %zu: status %u", i, bench->rig.completion.status);
	}
	bench_close(bench);
}
END_TEST

START_TEST(whole_job_is_checked_before_its_first_command)
{
	struct bench *bench = bench_open();
	struct lf_command commands[3] = { good_program(bench), good_mvm(bench), good_mvm(bench) };
	uint8_t *before = snapshot(&bench->rig);

	commands[2].output.buffer = VECTOR;
	commands[2].output.offset = 2;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 3, bench->buffers, 4), LF_STATUS_INVALID);
	ck_assert_uint_eq(bench->rig.completion.failed_command, 2);
	commands[2].output.offset = 0;
	commands[2].matrix = bench->torn;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 3, bench->buffers, 4), LF_STATUS_STATE);
	ck_assert_uint_eq(bench->rig.completion.failed_command, 2);
	/* A later command reads what an earlier one writes. */
	commands[2] = good_fuse(bench);
	commands[2].input = commands[1].output;
	commands[2].output.buffer = VECTOR;
	commands[2].scale.buffer = WEIGHTS;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 3, bench->buffers, 4), LF_STATUS_OVERLAP);
	ck_assert_uint_eq(bench->rig.completion.failed_command, 2);
	ck_assert_mem_eq(bench->rig.memory + 8192, before, bench->rig.bytes - 8192);
	free(before);
	bench_close(bench);
}
END_TEST

START_TEST(rows_are_programmed_once)
{
	struct bench *bench = bench_open();
	struct lf_command commands[2] = { good_program(bench), good_program(bench) };

	commands[0].count = 10;
	commands[1].first = 9;
	commands[1].count = 2;
	commands[1].input.offset = 0;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 2, bench->buffers, 4), LF_STATUS_STATE);
	commands[1].first = 10;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 2, bench->buffers, 4), LF_STATUS_OK);
	ck_assert_uint_eq(bench->rig.completion.rows_done, 2);
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 1, bench->buffers, 4), LF_STATUS_STATE);
	ck_assert_uint_eq(rig_commit(&bench->rig, bench->torn), LF_STATUS_STATE);
	commands[0].first = 12;
	commands[0].count = ROWS - 12;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 1, bench->buffers, 4), LF_STATUS_OK);
	ck_assert_uint_eq(rig_commit(&bench->rig, bench->torn), LF_STATUS_OK);
	bench_close(bench);
}
END_TEST

START_TEST(queues_and_privilege)
{
	struct bench *bench = bench_open();
	struct rig *rig = &bench->rig;
	struct lf_command create = good_create(bench), two[2] = { create, create };
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.matrix = bench->committed,
		.first = 3,
		.count = 2,
		.output = { .space = LF_SPACE_BUFFER, .buffer = OUTPUT, .stride = COLS },
	};

	ck_assert_uint_eq(rig_run_queue(rig, &create, 1, NULL, 0, false), LF_STATUS_DENIED);
	ck_assert_uint_eq(rig_run_queue(rig, two, 2, NULL, 0, true), LF_STATUS_INVALID);
	ck_assert_uint_eq(rig_run(rig, &read, 1, bench->buffers, 4), LF_STATUS_DENIED);
	rig->privileged = true;
	ck_assert_uint_eq(rig_run_queue(rig, &read, 1, bench->buffers, 4, false), LF_STATUS_OK);
	ck_assert_mem_eq(bench->output, bench->weights + 3 * COLS, 2 * COLS);
	bench_close(bench);
}
END_TEST

START_TEST(limits_of_a_job)
{
	struct bench *bench = bench_open();
	struct xbar_limits limits;
	struct lf_command *commands;

	xbar_limits(bench->rig.xbar, &limits);
	commands = calloc(limits.commands + 1, sizeof(*commands));
	for (uint32_t i = 0; i <= limits.commands; i++)
		commands[i].opcode = LF_OP_BARRIER;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 0, NULL, 0), LF_STATUS_INVALID);
	ck_assert_uint_eq(rig_run(&bench->rig, commands, limits.commands, NULL, 0), LF_STATUS_OK);
	ck_assert_uint_eq(rig_run(&bench->rig, commands, limits.commands + 1, NULL, 0),
			  LF_STATUS_INVALID);
	bench->rig.scratch_bytes = limits.scratch_bytes + 1;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 1, NULL, 0), LF_STATUS_INVALID);
	free(commands);
	bench_close(bench);
}
END_TEST

/* Data that only shows when it is read. */
START_TEST(bad_values_are_refused)
{
	struct bench *bench = bench_open();
	struct lf_command mvm = good_mvm(bench), program = good_program(bench);
	struct lf_command fuse = good_fuse(bench);
	int8_t *bytes = (int8_t *)bench->input;

	for (int i = 0; i < 3; i++) {
		const float bad[] = { NAN, INFINITY, -INFINITY };

		bench->input[COUNT * ROWS - 1] = bad[i];
		ck_assert_uint_eq(rig_run(&bench->rig, &mvm, 1, bench->buffers, 4),
				  LF_STATUS_NONFINITE);
		bench->input[COUNT * ROWS - 1] = 0.0f;
		bench->input[2 * ROWS] = bad[i];
		ck_assert_uint_eq(rig_run(&bench->rig, &fuse, 1, bench->buffers, 4),
				  LF_STATUS_NONFINITE);
		bench->input[2 * ROWS] = 0.0f;
	}
	/* Finite, but not after the factor; and a result beyond fp32. */
	bench->input[5] = 1e30f;
	bench->vector[5] = 1e30f;
	mvm.factor = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = VECTOR };
	ck_assert_uint_eq(rig_run(&bench->rig, &mvm, 1, bench->buffers, 4), LF_STATUS_NONFINITE);
	mvm.factor = (struct lf_operand){ 0 };
	mvm.scale = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = VECTOR };
	ck_assert_uint_eq(rig_run(&bench->rig, &mvm, 1, bench->buffers, 4), LF_STATUS_NONFINITE);

	mvm = good_mvm(bench);
	mvm.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;
	mvm.fixed_scale = FIXED_ONE;
	mvm.input.stride = ROWS;
	memset(bytes, 1, COUNT * ROWS);
	ck_assert_uint_eq(rig_run(&bench->rig, &mvm, 1, bench->buffers, 4), LF_STATUS_OK);
	bytes[COUNT * ROWS - 1] = INT8_MIN;
	ck_assert_uint_eq(rig_run(&bench->rig, &mvm, 1, bench->buffers, 4), LF_STATUS_INVALID);

	bench->weights[ROWS * COLS - 1] = INT8_MIN;
	ck_assert_uint_eq(rig_run(&bench->rig, &program, 1, bench->buffers, 4), LF_STATUS_INVALID);
	ck_assert_uint_eq(bench->rig.completion.cells_written, 0);
	ck_assert_uint_eq(bench->rig.completion.rows_done, 0);
	bench_close(bench);
}
END_TEST

/* A job that was opened before its matrix was deleted, or programmed, is checked again. */
START_TEST(open_jobs_are_checked_again)
{
	struct bench *bench = bench_open();
	struct lf_command commands[2] = { good_mvm(bench), good_program(bench) };
	struct xbar_job *jobs[2];
	struct lf_completion completion;

	for (int i = 0; i < 2; i++) {
		uint64_t bytes[4];
		struct xbar_request request = {
			.commands = &commands[i],
			.command_count = 1,
			.buffer_bytes = bytes,
			.buffer_count = 4,
		};
		struct xbar_transfer *transfers;
		uint32_t count;

		for (int j = 0; j < 4; j++)
			bytes[j] = bench->buffers[j].bytes;
		ck_assert_int_eq(xbar_job_open(bench->rig.xbar, &request, &completion, &jobs[i]),
				 0);
		transfers = xbar_job_transfers(jobs[i], &count);
		for (uint32_t j = 0; j < count; j++) {
			transfers[j].memory = bench->buffers[transfers[j].buffer].memory;
			transfers[j].memory_stride = transfers[j].stride;
		}
		for (int run = 0; run < 2; run++) {
			xbar_job_run(jobs[i], &completion);
			ck_assert_uint_eq(completion.status,
					  i && run ? LF_STATUS_STATE : LF_STATUS_OK);
		}
	}
	ck_assert_uint_eq(rig_delete(&bench->rig, bench->committed), LF_STATUS_OK);
	xbar_job_run(jobs[0], &completion);
	ck_assert_uint_eq(completion.status, LF_STATUS_NO_MATRIX);
	xbar_job_close(jobs[0]);
	xbar_job_close(jobs[1]);
	bench_close(bench);
}
END_TEST

/* Interleaved columns of one buffer are no overlap, a shared byte is. */
START_TEST(overlaps_are_exact)
{
	struct bench *bench = bench_open();
	struct lf_command commands[2] = { good_mvm(bench), good_mvm(bench) };
	float wide[COUNT * 2 * COLS];
	struct buffer buffers[2] = { { bench->input, sizeof(bench->input) },
				     { wide, sizeof(wide) } };

	for (int i = 0; i < 2; i++) {
		commands[i].output.buffer = 1;
		commands[i].output.stride = 2 * COLS * 4;
		commands[i].output.offset = (uint64_t)i * COLS * 4;
	}
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 2, buffers, 2), LF_STATUS_OK);
	ck_assert_mem_eq(wide, wide + COLS, COLS * 4);
	commands[1].output.offset -= 4;
	ck_assert_uint_eq(rig_run(&bench->rig, commands, 2, buffers, 2), LF_STATUS_OVERLAP);
	bench_close(bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar job");
	TCase *tests = tcase_create("job");

	tcase_add_loop_test(tests, mistakes_are_refused, 0,
			    (int)(sizeof(mistakes) / sizeof(mistakes[0])));
	tcase_add_test(tests, commands_without_mistakes_are_accepted);
	tcase_add_test(tests, whole_job_is_checked_before_its_first_command);
	tcase_add_test(tests, rows_are_programmed_once);
	tcase_add_test(tests, queues_and_privilege);
	tcase_add_test(tests, limits_of_a_job);
	tcase_add_test(tests, bad_values_are_refused);
	tcase_add_test(tests, open_jobs_are_checked_again);
	tcase_add_test(tests, overlaps_are_exact);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
