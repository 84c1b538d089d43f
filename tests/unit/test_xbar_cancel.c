// SPDX-License-Identifier: MIT
/*
 * Jobs that are cancelled, at each point where a job asks: the record and the totals agree, and the device works on.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/mvm.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define ROWS	     40
#define COLS	     200
#define COUNT	     260

/* Pieces of work that are asked about. */
#define INPUT_PIECES ((COUNT + MVM_INPUT_PIECE - 1) / MVM_INPUT_PIECE)
#define BLOCKS	     ((COLS + KERNEL_COLUMNS - 1) / KERNEL_COLUMNS)

/* A matrix, and vectors enough for several pieces of work. */
struct bench {
	struct rig rig;
	uint32_t matrix;
	int8_t weights[ROWS * COLS];
	float input[COUNT * ROWS];
	float output[2][COUNT * COLS];
	struct buffer buffers[4];
};

static struct bench *bench_open(const char *settings)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	for (int i = 0; i < ROWS * COLS; i++)
		bench->weights[i] = (int8_t)(i % 255 - 127);
	for (int i = 0; i < COUNT * ROWS; i++)
		bench->input[i] = (float)(i % 17) - 8.0f;
	bench->buffers[0] = (struct buffer){ bench->input, sizeof(bench->input) };
	bench->buffers[1] = (struct buffer){ bench->output[0], sizeof(bench->output[0]) };
	bench->buffers[2] = (struct buffer){ bench->output[1], sizeof(bench->output[1]) };
	bench->buffers[3] = (struct buffer){ bench->weights, sizeof(bench->weights) };
	rig_open(&bench->rig, "isaac", settings);
	bench->matrix = rig_matrix(&bench->rig, ROWS, COLS, bench->weights);
	return bench;
}

static void bench_close(struct bench *bench)
{
	rig_close(&bench->rig);
	free(bench);
}

static uint16_t multiply_twice(struct bench *bench)
{
	struct lf_command commands[2];

	for (uint16_t i = 0; i < 2; i++)
		commands[i] = (struct lf_command){
			.opcode = LF_OP_MVM,
			.matrix = bench->matrix,
			.count = COUNT,
			.input = { .space = LF_SPACE_BUFFER, .stride = ROWS * 4 },
			.output = { .space = LF_SPACE_BUFFER,
				    .buffer = (uint16_t)(1 + i),
				    .stride = COLS * 4 },
		};
	return rig_run(&bench->rig, commands, 2, bench->buffers, 3);
}

/* The totals moved by what the record says. */
static void check_totals(const struct rig *rig, const struct lf_telemetry_block *before)
{
	const struct lf_completion *completion = &rig->completion;
	struct lf_telemetry_block after;

	xbar_telemetry(rig->xbar, &after);
	ck_assert_uint_eq(after.jobs, before->jobs + 1);
	ck_assert_uint_eq(after.busy_ns, before->busy_ns + completion->busy_ns);
	ck_assert_uint_eq(after.mvm_count, before->mvm_count + completion->mvm_count);
	ck_assert_uint_eq(after.conversions, before->conversions + completion->conversions);
	ck_assert_uint_eq(after.clips, before->clips + completion->clips);
	ck_assert_uint_eq(after.cells_written, before->cells_written + completion->cells_written);
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		ck_assert_uint_eq((after.energy_pj[i] - before->energy_pj[i]) * 1000000 +
					  after.energy_sub_aj[i] - before->energy_sub_aj[i],
				  completion->energy_aj[i]);
}

static void cancel_products(const char *settings)
{
	struct bench *bench = bench_open(settings);
	struct rig *rig = &bench->rig;
	struct lf_telemetry_block before;
	float *expected = malloc(sizeof(bench->output));
	uint32_t asked;

	rig->threads = 3;
	ck_assert_uint_eq(multiply_twice(bench), LF_STATUS_OK);
	memcpy(expected, bench->output, sizeof(bench->output));
	atomic_store(&rig->asked, 0);
	ck_assert_uint_eq(multiply_twice(bench), LF_STATUS_OK);
	asked = atomic_load(&rig->asked);
	/* Not only before commands and quantising: for each block of columns of each of two pieces. */
	ck_assert_uint_ge(asked, 2 * (1 + INPUT_PIECES + 2 * BLOCKS));
	for (uint32_t patience = 1; patience <= asked; patience++) {
		xbar_telemetry(rig->xbar, &before);
		rig->patience = patience;
		atomic_store(&rig->asked, 0);
		ck_assert_uint_eq(multiply_twice(bench), LF_STATUS_ABORTED);
		ck_assert_uint_eq(rig->completion.failed_command, patience > asked / 2);
		ck_assert_uint_le(rig->completion.mvm_count, 2 * COUNT);
		check_totals(rig, &before);
	}
	rig->patience = 0;
	ck_assert_uint_eq(multiply_twice(bench), LF_STATUS_OK);
	ck_assert_mem_eq(expected, bench->output, sizeof(bench->output));
	free(expected);
	bench_close(bench);
}

START_TEST(an_exact_product)
{
	cancel_products("tiles=64,tile_rows=64,tile_cols=128");
}
END_TEST

START_TEST(a_product_with_conversions)
{
	cancel_products("tiles=64,tile_rows=64,tile_cols=128,adc_bits=4");
}
END_TEST

/* What was programmed is counted, charged and readable; what was not can still be. */
START_TEST(programming)
{
	struct bench *bench = bench_open("tiles=64,tile_rows=64,tile_cols=128");
	struct rig *rig = &bench->rig;
	uint32_t matrix = rig_create_matrix(rig, ROWS, COLS);
	struct lf_command commands[2];
	struct lf_telemetry_block before;

	for (uint32_t i = 0; i < 2; i++)
		commands[i] = (struct lf_command){
			.opcode = LF_OP_PROGRAM,
			.matrix = matrix,
			.first = i * ROWS / 2,
			.count = ROWS / 2,
			.input = { .space = LF_SPACE_BUFFER,
				   .buffer = 3,
				   .stride = COLS,
				   .offset = i * ROWS / 2 * COLS },
		};
	xbar_telemetry(rig->xbar, &before);
	rig->patience = 2;
	atomic_store(&rig->asked, 0);
	ck_assert_uint_eq(rig_run(rig, commands, 2, bench->buffers, 4), LF_STATUS_ABORTED);
	ck_assert_uint_eq(rig->completion.failed_command, 1);
	ck_assert_uint_eq(rig->completion.rows_done, ROWS / 2);
	ck_assert_uint_gt(rig->completion.cells_written, 0);
	check_totals(rig, &before);

	rig->patience = 0;
	ck_assert_uint_eq(rig_commit(rig, matrix), LF_STATUS_STATE);
	ck_assert_uint_eq(rig_run(rig, &commands[0], 1, bench->buffers, 4), LF_STATUS_STATE);
	ck_assert_uint_eq(rig_run(rig, &commands[1], 1, bench->buffers, 4), LF_STATUS_OK);
	ck_assert_uint_eq(rig_commit(rig, matrix), LF_STATUS_OK);
	bench_close(bench);
}
END_TEST

/* The step of the converters stays what it was. */
START_TEST(calibrating)
{
	struct bench *bench =
		bench_open("tiles=64,tile_rows=64,tile_cols=128,adc_bits=4,adc_step=8");
	struct rig *rig = &bench->rig;
	struct lf_matrix_info before, after;
	struct lf_command command = {
		.opcode = LF_OP_CALIBRATE,
		.matrix = bench->matrix,
		.count = COUNT,
		.input = { .space = LF_SPACE_BUFFER, .stride = ROWS * 4 },
	};

	rig_list(rig, &before, 1);
	for (rig->patience = 1; rig->patience < 8; rig->patience++) {
		atomic_store(&rig->asked, 0);
		ck_assert_uint_eq(rig_run(rig, &command, 1, bench->buffers, 1), LF_STATUS_ABORTED);
		ck_assert_uint_eq(rig->completion.result, 0);
	}
	rig->patience = 0;
	rig_list(rig, &after, 1);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	atomic_store(&rig->asked, 0);
	ck_assert_uint_eq(rig_run(rig, &command, 1, bench->buffers, 1), LF_STATUS_OK);
	ck_assert_uint_ne(rig->completion.result, before.adc_step);
	/* Two steps were tried at least. */
	ck_assert_uint_gt(atomic_load(&rig->asked), 2 * INPUT_PIECES * BLOCKS);
	bench_close(bench);
}
END_TEST

/* Not begun, or done whole. */
START_TEST(refreshing)
{
	struct bench *bench = bench_open("tiles=64,tile_rows=64,tile_cols=128");
	struct rig *rig = &bench->rig;
	struct lf_matrix_info before, after;
	struct lf_telemetry_block totals;
	struct lf_command command = { .opcode = LF_OP_REFRESH, .matrix = bench->matrix };

	rig_list(rig, &before, 1);
	xbar_telemetry(rig->xbar, &totals);
	rig->patience = 1;
	atomic_store(&rig->asked, 0);
	ck_assert_uint_eq(rig_run(rig, &command, 1, NULL, 0), LF_STATUS_ABORTED);
	check_totals(rig, &totals);
	rig->patience = 0;
	rig_list(rig, &after, 1);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	rig->patience = 2;
	atomic_store(&rig->asked, 0);
	xbar_telemetry(rig->xbar, &totals);
	ck_assert_uint_eq(rig_run(rig, &command, 1, NULL, 0), LF_STATUS_OK);
	check_totals(rig, &totals);
	ck_assert_uint_eq(rig->completion.result, ROWS * COLS * 8);
	bench_close(bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar cancel");
	TCase *tests = tcase_create("cancel");

	tcase_add_test(tests, an_exact_product);
	tcase_add_test(tests, a_product_with_conversions);
	tcase_add_test(tests, programming);
	tcase_add_test(tests, calibrating);
	tcase_add_test(tests, refreshing);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
