// SPDX-License-Identifier: MIT
/*
 * Ageing matrices and LF_OP_REFRESH: what is written again, who pays, when it is due. What a power cut leaves of a refresh is in
 * test_xbar_cuts.c.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "qemu-device/model/device.h"
#include "qemu-device/model/physics.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define GEOMETRY "tiles=16,tile_rows=16,tile_cols=64,matrices=4,accounts=2,wear_rows=4"
#define ROWS	 40
#define COLS	 20
#define CELLS	 (ROWS * COLS * 8)
#define SECOND	 1000000000ull

static uint16_t refresh(struct rig *rig, uint32_t matrix)
{
	struct lf_command command = { .opcode = LF_OP_REFRESH, .matrix = matrix };

	return rig_run(rig, &command, 1, NULL, 0);
}

/* What the cells are read as. */
static void read_weights(struct rig *rig, uint32_t matrix, int8_t *weights)
{
	struct buffer buffer = { weights, ROWS * COLS };
	struct lf_command command = {
		.opcode = LF_OP_READ,
		.matrix = matrix,
		.count = ROWS,
		.output = { .space = LF_SPACE_BUFFER, .stride = COLS },
	};

	rig->privileged = true;
	ck_assert_uint_eq(rig_run(rig, &command, 1, &buffer, 1), LF_STATUS_OK);
}

/* What they were told to hold. */
static void stored_weights(struct rig *rig, uint32_t identifier, int8_t *weights)
{
	const struct matrix *matrix = xbar_directory_find(rig->xbar, identifier);

	for (uint32_t row = 0; row < ROWS; row++)
		xbar_cells_read_row(rig->xbar, matrix, row, weights + row * COLS);
}

/* Unit vectors bring the weights back, as long as their cells are as they were written. */
static void multiply_units(struct rig *rig, uint32_t matrix, int8_t *weights)
{
	static int8_t units[ROWS * ROWS];
	static float output[ROWS * COLS];
	struct buffer buffers[2] = { { units, sizeof(units) }, { output, sizeof(output) } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE,
		.matrix = matrix,
		.count = ROWS,
		.fixed_scale = 0x3f800000, /* 1.0f */
		.input = { .space = LF_SPACE_BUFFER, .stride = ROWS },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = COLS * 4 },
	};

	for (int i = 0; i < ROWS; i++)
		units[i * ROWS + i] = 1;
	ck_assert_uint_eq(rig_run(rig, &command, 1, buffers, 2), LF_STATUS_OK);
	for (int i = 0; i < ROWS * COLS; i++)
		weights[i] = (int8_t)fmaxf(-127.0f, fminf(output[i], 127.0f));
}

static struct lf_matrix_info info_of(struct rig *rig)
{
	struct lf_matrix_info info[1];

	ck_assert_uint_eq(rig_list(rig, info, 1), 1);
	return info[0];
}

/* Without physics the same is written: it costs, it wears, and it says so. */
START_TEST(exact_cells_stay)
{
	static const char *const presets[] = { "isaac", "ideal" };
	int8_t weights[ROWS * COLS], after[ROWS * COLS];
	struct lf_matrix_info before, info;
	struct lf_completion written;
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, presets[_i], GEOMETRY);
	draw_weights(weights, sizeof(weights), 1);
	rig.account = 7;
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	ck_assert_uint_eq(rig_publish(&rig, matrix, "name"), LF_STATUS_OK);
	before = info_of(&rig);
	ck_assert_uint_gt(before.programmed_ns, 0);
	ck_assert_uint_eq(before.due_ns, UINT64_MAX);
	xbar_advance_time(rig.xbar, 5 * SECOND);

	rig.account = 8;
	ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
	written = rig.completion;
	ck_assert_uint_eq(written.result, CELLS);
	ck_assert_uint_eq(written.cells_written, CELLS);
	ck_assert_uint_eq(written.verify_retries, 0);
	ck_assert_uint_gt(written.energy_aj[LF_ENERGY_PROGRAM], 0);
	ck_assert_uint_gt(written.busy_ns, 0);
	ck_assert_uint_eq(rig_account(&rig, 7).written_cells, CELLS);
	ck_assert_uint_eq(rig_account(&rig, 8).written_cells, CELLS);
	ck_assert_uint_eq(rig_account(&rig, 7).tiles, 9);

	ck_assert_int_eq(rig_attach(&rig), 0);
	info = info_of(&rig);
	ck_assert_uint_ge(info.programmed_ns, before.programmed_ns + 5 * SECOND);
	ck_assert_uint_le(info.programmed_ns, rig_telemetry(&rig).time_ns);
	ck_assert_uint_eq(info.refreshes, 1);
	ck_assert_uint_eq(info.wear_max, 2);
	ck_assert_uint_eq(info.state, LF_MATRIX_PUBLISHED);
	ck_assert_str_eq((char *)info.publication.name, "name");
	/* Nine tiles; four row groups in each, of the last row of tiles two. */
	ck_assert_uint_eq(rig_telemetry(&rig).wear_histogram[2], 3 * (4 + 4 + 2));
	stored_weights(&rig, matrix, after);
	ck_assert_mem_eq(weights, after, sizeof(weights));
	ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(info_of(&rig).refreshes, 2);
	rig_close(&rig);
}
END_TEST

START_TEST(floats_stay)
{
	float weights[20 * 12], after[20 * 12];
	struct buffer buffer = { after, sizeof(after) };
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.count = 20,
		.output = { .space = LF_SPACE_BUFFER, .stride = 12 * 4 },
	};
	uint64_t state = 1;
	struct rig rig;

	for (int i = 0; i < 20 * 12; i++)
		weights[i] = draw_float(&state);
	rig_open(&rig, "float", "tiles=64,tile_rows=8,tile_cols=8");
	read.matrix = rig_matrix(&rig, 20, 12, weights);
	ck_assert_uint_eq(refresh(&rig, read.matrix), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 20 * 12);
	rig.privileged = true;
	ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
	ck_assert_mem_eq(weights, after, sizeof(weights));
	rig_close(&rig);
}
END_TEST

static uint32_t differences(const int8_t *a, const int8_t *b)
{
	uint32_t count = 0;

	for (int i = 0; i < ROWS * COLS; i++)
		count += a[i] != b[i];
	return count;
}

/* Cells are written at the levels they are found at. In time that is what was programmed, too late it is what is left of it. */
START_TEST(drifting_cells_are_caught)
{
	int8_t weights[ROWS * COLS], found[ROWS * COLS], stored[ROWS * COLS];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", GEOMETRY ",relax_sigma_slope=0.01,relax_start_ms=1000");
	draw_weights(weights, sizeof(weights), 2);
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	/* Levels lie 1/3 apart; after 10 s cells have moved by 0.023. */
	for (int i = 0; i < 20; i++) {
		xbar_advance_time(rig.xbar, 10 * SECOND);
		ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
	}
	stored_weights(&rig, matrix, stored);
	ck_assert_uint_eq(differences(weights, stored), 0);

	/* After ten billion seconds by 0.23, and no refresh brings that back. */
	xbar_advance_time(rig.xbar, 4000000000ull * SECOND);
	xbar_advance_time(rig.xbar, 4000000000ull * SECOND);
	read_weights(&rig, matrix, found);
	ck_assert_uint_gt(differences(found, stored), ROWS * COLS / 3);
	multiply_units(&rig, matrix, found);
	ck_assert_uint_gt(differences(found, stored), ROWS * COLS / 3);
	read_weights(&rig, matrix, found);
	ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
	stored_weights(&rig, matrix, stored);
	ck_assert_mem_eq(found, stored, sizeof(stored));
	read_weights(&rig, matrix, found);
	ck_assert_mem_eq(found, stored, sizeof(stored));
	/* Products see the new cells at once. */
	multiply_units(&rig, matrix, found);
	ck_assert_mem_eq(found, stored, sizeof(stored));
	rig_close(&rig);
}
END_TEST

/* One that does not move makes no other move, however often it is refreshed. */
START_TEST(stuck_cells_do_not_run_away)
{
	int8_t weights[ROWS * COLS], first[ROWS * COLS], last[ROWS * COLS], stored[ROWS * COLS];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", GEOMETRY ",stuck_on=0.02,stuck_off=0.02,spare_weights=1,seed=5");
	draw_weights(weights, sizeof(weights), 3);
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	read_weights(&rig, matrix, first);
	ck_assert_uint_gt(differences(first, weights), 10);
	for (int i = 0; i < 20; i++)
		ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
	read_weights(&rig, matrix, last);
	ck_assert_mem_eq(first, last, sizeof(first));
	stored_weights(&rig, matrix, stored);
	ck_assert_mem_eq(stored, weights, sizeof(stored));
	rig_close(&rig);
}
END_TEST

/* A refresh wears: cells that can bear no more stick, and the entry knows. */
START_TEST(worn_cells_are_counted)
{
	int8_t weights[ROWS * COLS];
	uint32_t matrix, before = 0;
	struct rig rig;

	rig_open(&rig, "isaac",
		 GEOMETRY ",endurance=20,endurance_spread=0.5,worn_on=0.5,spare_weights=2");
	draw_weights(weights, sizeof(weights), 4);
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	for (int i = 0; i < 30; i++) {
		struct lf_matrix_info info;

		ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
		info = info_of(&rig);
		ck_assert_uint_ge(info.stuck_cells, before);
		before = info.stuck_cells;
		ck_assert_uint_eq(info.wear_max, 2 + i);
	}
	/* More than half of them: 31 writes of cells that bear 20. */
	ck_assert_uint_gt(before, CELLS / 2);
	ck_assert_uint_lt(before, CELLS * 9 / 10);
	ck_assert_uint_eq(rig_telemetry(&rig).cells_stuck, before);
	rig_close(&rig);
}
END_TEST

/* The worst case must be covered, what it took is paid. */
START_TEST(the_account_pays)
{
	int8_t weights[ROWS * COLS];
	struct lf_matrix_info info;
	char settings[256];
	uint64_t written;
	uint32_t matrix;
	struct rig rig;

	/* Four pulses at most for each cell. */
	sprintf(settings,
		GEOMETRY ",program_sigma=0.05,verify_tolerance=0.05,verify_pulses=4,"
			 "default_quota=%u",
		8 * CELLS);
	rig_open(&rig, "isaac", settings);
	draw_weights(weights, sizeof(weights), 5);
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	written = rig_account(&rig, 0).written_cells;
	ck_assert_uint_gt(written, CELLS);
	ck_assert_uint_lt(written, 2 * CELLS);
	info = info_of(&rig);
	ck_assert_uint_gt(info.failed_cells, 0);

	for (int i = 1; 8 * CELLS - written >= 4 * CELLS; i++) {
		ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_OK);
		ck_assert_uint_eq(rig.completion.result, CELLS);
		ck_assert_uint_eq(rig.completion.cells_written, CELLS);
		written += CELLS + rig.completion.verify_retries;
		ck_assert_uint_gt(rig.completion.verify_retries, 0);
		ck_assert_uint_eq(rig_account(&rig, 0).written_cells, written);
		info = info_of(&rig);
		ck_assert_uint_eq(info.refreshes, i);
		ck_assert_uint_gt(info.failed_cells, 0);
		ck_assert_uint_lt(info.failed_cells, CELLS / 10);
	}
	ck_assert_uint_eq(refresh(&rig, matrix), LF_STATUS_QUOTA);
	ck_assert_uint_eq(rig_account(&rig, 0).written_cells, written);
	ck_assert_uint_eq(info_of(&rig).refreshes, info.refreshes);
	ck_assert_uint_eq(info_of(&rig).wear_max, info.wear_max);
	rig_close(&rig);
}
END_TEST

START_TEST(what_cannot_be_refreshed)
{
	int8_t weights[ROWS * COLS];
	struct lf_command command = { .opcode = LF_OP_REFRESH };
	struct rig rig;
	uint32_t matrix, torn;

	rig_open(&rig, "isaac", GEOMETRY);
	draw_weights(weights, sizeof(weights), 6);
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	torn = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(refresh(&rig, torn), LF_STATUS_STATE);
	ck_assert_uint_eq(refresh(&rig, torn + 1), LF_STATUS_NO_MATRIX);
	ck_assert_uint_eq(refresh(&rig, 0), LF_STATUS_NO_MATRIX);
	command.matrix = matrix;
	ck_assert_uint_eq(rig_run_queue(&rig, &command, 1, NULL, 0, false), LF_STATUS_DENIED);
	for (size_t offset = 0; offset < sizeof(command); offset++) {
		uint8_t *byte = (uint8_t *)&command + offset;

		if (offset < 2 || (offset >= 4 && offset < 8))
			continue;
		*byte ^= 1;
		ck_assert_msg(rig_run(&rig, &command, 1, NULL, 0) == LF_STATUS_INVALID,
			      "byte %zu of the command", offset);
		*byte ^= 1;
	}
	ck_assert_uint_eq(rig_telemetry(&rig).wear_max, 1);
	ck_assert_uint_eq(rig_run(&rig, &command, 1, NULL, 0), LF_STATUS_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(matrices_become_due)
{
	int8_t weights[64] = { 0 };
	struct lf_matrix_info info[2];
	uint32_t first, second;
	struct rig rig;

	rig_open(&rig, "isaac", GEOMETRY ",refresh_s=100");
	first = rig_matrix(&rig, 8, 8, weights);
	xbar_advance_time(rig.xbar, 50 * SECOND);
	second = rig_matrix(&rig, 8, 8, weights);
	ck_assert_uint_ne(rig_create_matrix(&rig, 8, 8), 0);
	rig_list(&rig, info, 2);
	for (int i = 0; i < 2; i++)
		ck_assert_uint_eq(info[i].due_ns, info[i].programmed_ns + 100 * SECOND);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 0);
	xbar_advance_time(rig.xbar, info[0].due_ns - rig_telemetry(&rig).time_ns - 1);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
	xbar_advance_time(rig.xbar, 1);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_REFRESH);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 1);
	xbar_advance_time(rig.xbar, 10 * SECOND);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
	/* Attaching does not tell again what it has told, and does tell of the next. */
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 1);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
	xbar_advance_time(rig.xbar, 41 * SECOND);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_REFRESH);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 2);
	ck_assert_uint_eq(refresh(&rig, first), LF_STATUS_OK);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 1);
	ck_assert_uint_eq(rig_delete(&rig, second), LF_STATUS_OK);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 0);
	xbar_advance_time(rig.xbar, 99 * SECOND);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
	xbar_advance_time(rig.xbar, UINT64_MAX);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_REFRESH);
	ck_assert_uint_eq(rig_telemetry(&rig).time_ns, INT64_MAX);
	rig_close(&rig);
}
END_TEST

/* What has been told of is not told again when the time comes of a matrix that is not there any more. */
START_TEST(who_is_gone_is_not_due)
{
	int8_t weights[64] = { 0 };
	uint32_t second;
	struct rig rig;

	rig_open(&rig, "isaac", GEOMETRY ",refresh_s=100");
	rig_matrix(&rig, 8, 8, weights);
	xbar_advance_time(rig.xbar, 50 * SECOND);
	second = rig_matrix(&rig, 8, 8, weights);
	xbar_advance_time(rig.xbar, 60 * SECOND);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_REFRESH);
	ck_assert_uint_eq(rig_delete(&rig, second), LF_STATUS_OK);
	xbar_advance_time(rig.xbar, 60 * SECOND);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
	ck_assert_uint_eq(rig_telemetry(&rig).refresh_due, 1);
	rig_close(&rig);
}
END_TEST

/* The time that a job takes is time that passes. */
START_TEST(work_ages)
{
	int8_t weights[64] = { 0 };
	struct rig rig;
	uint32_t events = 0;

	rig_open(&rig, "isaac", GEOMETRY ",refresh_s=1,program_row_ns=100000000");
	rig_matrix(&rig, 8, 8, weights);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
	rig_matrix(&rig, 8, 8, weights);
	events |= xbar_take_events(rig.xbar);
	ck_assert_uint_eq(events, 0);
	rig_matrix(&rig, 8, 8, weights);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_REFRESH);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar refresh");
	TCase *tests = tcase_create("refresh");

	tcase_add_loop_test(tests, exact_cells_stay, 0, 2);
	tcase_add_test(tests, floats_stay);
	tcase_add_test(tests, drifting_cells_are_caught);
	tcase_add_test(tests, stuck_cells_do_not_run_away);
	tcase_add_test(tests, worn_cells_are_counted);
	tcase_add_test(tests, the_account_pays);
	tcase_add_test(tests, what_cannot_be_refreshed);
	tcase_add_test(tests, matrices_become_due);
	tcase_add_test(tests, who_is_gone_is_not_due);
	tcase_add_test(tests, work_ages);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
