// SPDX-License-Identifier: MIT
/* Wear: what counts, who is spared, who is warned; over attaching again. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define SMALL	     "tiles=16,tile_rows=8,tile_cols=64,matrices=4,accounts=2"
/* Of SMALL: 8 x 8 weights a tile. */
#define WEIGHT_CELLS 8

static uint64_t count_written(const int8_t *weights, size_t count)
{
	uint64_t written = 0;

	for (size_t i = 0; i < count; i++)
		written += weights[i] != 0;
	return written;
}

START_TEST(wear_is_levelled)
{
	struct lf_telemetry_block telemetry;
	int8_t weights[8 * 8];
	struct rig rig;
	uint64_t groups = 0;

	rig_open(&rig, "isaac", SMALL ",wear_rows=4");
	draw_weights(weights, sizeof(weights), 4);
	for (int i = 0; i < 16; i++)
		ck_assert_uint_eq(rig_delete(&rig, rig_matrix(&rig, 8, 8, weights)), LF_STATUS_OK);
	telemetry = rig_telemetry(&rig);
	ck_assert_uint_eq(telemetry.wear_max, 1);
	ck_assert_uint_eq(telemetry.wear_histogram[1], 16 * 2);
	for (int i = 0; i < 3 * 16; i++)
		rig_delete(&rig, rig_matrix(&rig, 3, 8, weights));
	telemetry = rig_telemetry(&rig);
	/* Rows 0 to 3 four times written and three times erased, the rest once. */
	ck_assert_uint_eq(telemetry.wear_max, 4 + 3);
	ck_assert_uint_eq(telemetry.wear_histogram[3], 16);
	ck_assert_uint_eq(telemetry.wear_histogram[2], 16);
	rig_delete(&rig, rig_matrix(&rig, 3, 8, weights));
	ck_assert_uint_eq(rig_telemetry(&rig).wear_histogram[4], 1);
	telemetry = rig_telemetry(&rig);
	for (int i = 0; i < 16; i++)
		groups += telemetry.wear_histogram[i];
	ck_assert_uint_eq(groups, 16 * 2);

	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_mem_eq(telemetry.wear_histogram, rig_telemetry(&rig).wear_histogram,
			 sizeof(telemetry.wear_histogram));
	ck_assert_uint_eq(rig_telemetry(&rig).wear_max, 9);
	rig_close(&rig);
}
END_TEST

/* Histogram of one tile whose matrix of 8 rows is programmed in the pieces that @pieces says, its last 0. */
static struct lf_telemetry_block wear_of(const char *settings, const uint32_t *pieces)
{
	struct lf_telemetry_block telemetry;
	int8_t weights[8 * 8];
	struct buffer buffer = { weights, sizeof(weights) };
	struct lf_command program = {
		.opcode = LF_OP_PROGRAM,
		.input = { .space = LF_SPACE_BUFFER, .stride = 8 },
	};
	struct rig rig;

	rig_open(&rig, "isaac", settings);
	draw_weights(weights, sizeof(weights), 4);
	program.matrix = rig_create_matrix(&rig, 8, 8);
	for (; *pieces; pieces++) {
		program.count = *pieces;
		ck_assert_uint_eq(rig_run(&rig, &program, 1, &buffer, 1), LF_STATUS_OK);
		program.first += *pieces;
	}
	telemetry = rig_telemetry(&rig);
	rig_close(&rig);
	return telemetry;
}

/* A group wears once with a matrix, however many commands write its rows. */
START_TEST(wear_is_counted_by_group)
{
	static const uint32_t whole[] = { 8, 0 }, rows[] = { 1, 1, 1, 1, 1, 1, 1, 1, 0 },
			      crossing[] = { 3, 3, 0 }, start[] = { 2, 0 };
	static const struct {
		uint32_t wear_rows;
		const uint32_t *pieces;
		uint32_t groups;
		uint32_t worn;
	} cases[] = {
		{ 1, whole, 8, 8 },    { 1, crossing, 8, 6 }, { 3, whole, 3, 3 },
		{ 3, rows, 3, 3 },     { 3, crossing, 3, 2 }, { 4, rows, 2, 2 },
		{ 4, crossing, 2, 2 }, { 4, start, 2, 1 },    { 8, rows, 1, 1 },
		{ 16, rows, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lf_telemetry_block telemetry;
		char settings[128];

		sprintf(settings, SMALL ",wear_rows=%u", cases[i].wear_rows);
		telemetry = wear_of(settings, cases[i].pieces);
		ck_assert_uint_eq(telemetry.wear_max, 1);
		ck_assert_uint_eq(telemetry.wear_histogram[1], cases[i].worn);
		ck_assert_uint_eq(telemetry.wear_histogram[0],
				  16 * cases[i].groups - cases[i].worn);
	}
}
END_TEST

START_TEST(wear_is_warned_of_once)
{
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 16 };
	int8_t weights[8 * 8];
	struct rig rig;

	rig_open(&rig, "isaac", "tiles=1,tile_rows=8,tile_cols=64,wear_rows=8,wear_warning=4");
	draw_weights(weights, sizeof(weights), 4);
	for (uint32_t wear = 2; wear < 10; wear += 2) {
		ck_assert_uint_eq(xbar_take_events(rig.xbar), 0);
		rig_delete(&rig, rig_matrix(&rig, 8, 8, weights));
		ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
		ck_assert_uint_eq(rig_telemetry(&rig).wear_max, wear);
		ck_assert_uint_eq(xbar_take_events(rig.xbar), wear == 4 ? LF_EVENT_WEAR : 0);
	}
	rig_close(&rig);
}
END_TEST

/* Who has no quota left cannot wear the device out. */
START_TEST(what_was_not_programmed_is_not_erased)
{
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 16 };
	struct lf_telemetry_block telemetry;
	int8_t weights[8 * 8];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", SMALL);
	for (int i = 0; i < 40; i++)
		ck_assert_uint_eq(rig_delete(&rig, rig_create_matrix(&rig, 32, 32)), LF_STATUS_OK);
	/* Neither what a restart drops. */
	ck_assert_uint_ne(rig_create_matrix(&rig, 32, 32), 0);
	ck_assert_int_eq(rig_attach(&rig), 0);
	telemetry = rig_telemetry(&rig);
	ck_assert_uint_eq(telemetry.tiles_used, 0);
	ck_assert_uint_eq(telemetry.tiles_dirty, 0);
	ck_assert_uint_eq(telemetry.cells_erased, 0);
	ck_assert_uint_eq(telemetry.wear_max, 0);

	/* Of two tiles one is written, and only that is erased: whatever is not zero. */
	draw_weights(weights, sizeof(weights), 7);
	matrix = rig_create_matrix(&rig, 16, 8);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_dirty, 1);
	ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	telemetry = rig_telemetry(&rig);
	ck_assert_uint_eq(telemetry.cells_erased,
			  count_written(weights, sizeof(weights)) * WEIGHT_CELLS);
	ck_assert_uint_eq(telemetry.wear_max, 2);
	ck_assert_uint_eq(telemetry.wear_histogram[2], 1);
	ck_assert_uint_eq(telemetry.wear_histogram[0], 15);
	rig_close(&rig);
}
END_TEST

/* One command of a writer who wants to wear out a device of one tile: a row written, the matrix closed, the tile erased. */
static uint16_t write_row_and_forget(struct rig *rig, uint32_t row, const int8_t weights[8])
{
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 1 };
	struct buffer buffer = { (int8_t *)weights, 8 };
	struct lf_command program = {
		.opcode = LF_OP_PROGRAM,
		.matrix = rig_create_matrix(rig, 8, 8),
		.first = row,
		.count = 1,
		.input = { .space = LF_SPACE_BUFFER, .stride = 8 },
	};
	uint16_t status = rig_run(rig, &program, 1, &buffer, 1);

	ck_assert_uint_eq(rig_delete(rig, program.matrix), LF_STATUS_OK);
	ck_assert_uint_eq(rig_run(rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	ck_assert_uint_eq(rig->completion.result, 0);
	return status;
}

/* Who pays for a row wears that row's group, however often it is forgotten, and not longer than the quota lasts. */
START_TEST(erasing_wears_what_was_paid_for)
{
	enum { TIMES = 50, ROW_CELLS = 8 * WEIGHT_CELLS };
	static const int8_t full[8] = { 1, -2, 3, -4, 5, -6, 7, -127 }, zeros[8];
	uint64_t pulses = 0;
	struct lf_telemetry_block telemetry;
	char settings[128];
	struct rig rig;

	sprintf(settings,
		"tiles=1,tile_rows=8,tile_cols=64,accounts=2,wear_rows=2,default_quota=%d",
		TIMES * ROW_CELLS);
	rig_open(&rig, "isaac", settings);
	rig.account = 1000;
	for (int i = 0; i < TIMES - 1; i++)
		ck_assert_uint_eq(write_row_and_forget(&rig, 5, full), LF_STATUS_OK);
	/* Zeros are written, but nothing of them is there to be erased. */
	ck_assert_uint_eq(write_row_and_forget(&rig, 0, zeros), LF_STATUS_OK);
	for (int i = 0; i < TIMES; i++)
		ck_assert_uint_eq(write_row_and_forget(&rig, 7, full), LF_STATUS_QUOTA);

	ck_assert_uint_eq(xbar_tiles_wear(rig.xbar, 0, 0), 1);
	ck_assert_uint_eq(xbar_tiles_wear(rig.xbar, 0, 2), 0);
	ck_assert_uint_eq(xbar_tiles_wear(rig.xbar, 0, 5), 2 * (TIMES - 1));
	ck_assert_uint_eq(xbar_tiles_wear(rig.xbar, 0, 7), 0);
	for (uint32_t row = 0; row < 8; row += 2)
		pulses += xbar_tiles_wear(rig.xbar, 0, row) * (uint64_t)ROW_CELLS;
	telemetry = rig_telemetry(&rig);
	ck_assert_uint_eq(telemetry.cells_written, TIMES * ROW_CELLS);
	ck_assert_uint_eq(telemetry.cells_erased, (TIMES - 1) * ROW_CELLS);
	ck_assert_uint_eq(pulses, telemetry.cells_written + telemetry.cells_erased);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar wear");
	TCase *tests = tcase_create("wear");

	tcase_add_test(tests, wear_is_levelled);
	tcase_add_test(tests, wear_is_counted_by_group);
	tcase_add_test(tests, wear_is_warned_of_once);
	tcase_add_test(tests, what_was_not_programmed_is_not_erased);
	tcase_add_test(tests, erasing_wears_what_was_paid_for);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
