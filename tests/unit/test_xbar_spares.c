// SPDX-License-Identifier: MIT
/*
 * Stuck cells: the tests at CREATE, spare columns for the worst ones, tiles that are retired. What is reported is counted again
 * here, cell by cell.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qemu-device/model/device.h"
#include "qemu-device/model/physics.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define GEOMETRY "tiles=12,tile_rows=16,tile_cols=64,matrices=4,accounts=2,wear_rows=4"
#define WEIGHTS	 8 /* of a tile */
#define SPARES	 3

/* Stuck cells of the first @rows rows of a physical column of weights. */
static uint32_t stuck_in_column(const struct xbar *xbar, uint32_t tile, uint32_t column,
				uint32_t rows)
{
	uint32_t stuck = 0;

	for (uint32_t row = 0; row < rows; row++)
		for (uint32_t line = 0; line < 8; line++) {
			const struct place place = { tile, row, column, line / 4, line % 4 };
			const struct history history = {
				.wear = xbar_tiles_wear(xbar, tile, row),
				.stuck_parts = (uint32_t)xbar->counters.stuck_parts,
			};

			stuck += rig_stuck(&xbar->params, &place, &history) != 0;
		}
	return stuck;
}

static struct lf_matrix_info info_of(struct rig *rig)
{
	struct lf_matrix_info info[1];

	ck_assert_uint_eq(rig_list(rig, info, 1), 1);
	return info[0];
}

/* What the entry says is what the cells are; and no tile has a spare column left that would be better. */
static void check_matrix(struct rig *rig, uint32_t identifier)
{
	const struct xbar *xbar = rig->xbar;
	const struct matrix *matrix = xbar_directory_find(rig->xbar, identifier);
	uint32_t before = 0, after = 0, spares = 0;

	for (uint32_t i = 0; i < matrix->tile_rows * matrix->tile_cols; i++) {
		uint32_t tile = matrix->tiles[i], worst = 0, best = UINT32_MAX;
		uint32_t rows = matrix->entry.rows - i / matrix->tile_cols * 16;
		uint32_t cols = matrix->entry.cols - i % matrix->tile_cols * WEIGHTS;
		bool taken[WEIGHTS + SPARES] = { false };

		rows = rows < 16 ? rows : 16;
		cols = cols < WEIGHTS ? cols : WEIGHTS;
		for (uint32_t col = 0; col < cols; col++) {
			uint32_t column = xbar_spares_column(xbar, tile, col);
			uint32_t own = stuck_in_column(xbar, tile, col, rows);
			uint32_t given = stuck_in_column(xbar, tile, column, rows);

			ck_assert(column == col ||
				  (column >= WEIGHTS && column < WEIGHTS + SPARES));
			ck_assert(!taken[column]);
			taken[column] = true;
			before += own;
			after += given;
			spares += column != col;
			if (column != col)
				ck_assert_uint_lt(given, own);
			else if (own > worst)
				worst = own;
		}
		for (uint32_t column = WEIGHTS; column < WEIGHTS + SPARES; column++)
			if (!taken[column]) {
				uint32_t stuck = stuck_in_column(xbar, tile, column, rows);

				best = stuck < best ? stuck : best;
			}
		ck_assert_uint_ge(best, worst);
	}
	ck_assert_uint_eq(matrix->entry.stuck_before, before);
	ck_assert_uint_eq(matrix->entry.stuck_cells, after);
	ck_assert_uint_eq(matrix->entry.spares, spares);
}

START_TEST(the_worst_columns_are_replaced)
{
	static int8_t weights[40 * 20];
	struct lf_matrix_info before, after;
	uint32_t matrix;
	struct rig rig;

	rig_open(&rig, "isaac", GEOMETRY ",spare_weights=3,stuck_on=0.01,stuck_off=0.02,seed=7");
	matrix = rig_create_matrix(&rig, 40, 20);
	ck_assert_uint_ne(matrix, 0);
	/* 3 x 3 tiles; each is read once, and its spare columns in a pass of their own. */
	ck_assert_uint_eq(rig.completion.conversions, 8 * (40 * 20 + 3 * (16 + 16 + 8) * SPARES));
	ck_assert_uint_eq(rig.completion.cells_written, 0);
	check_matrix(&rig, matrix);
	before = info_of(&rig);
	ck_assert_uint_gt(before.stuck_before, 40 * 20 * 8 * 2 / 100);
	ck_assert_uint_lt(before.stuck_before, 40 * 20 * 8 * 4 / 100);
	ck_assert_uint_lt(before.stuck_cells, before.stuck_before);
	ck_assert_uint_gt(before.spares, 9);
	ck_assert_uint_eq(rig_telemetry(&rig).cells_stuck, before.stuck_cells);

	/* The map lasts. */
	ck_assert_uint_eq(rig_program(&rig, matrix, 40, 20, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_OK);
	ck_assert_int_eq(rig_attach(&rig), 0);
	check_matrix(&rig, matrix);
	after = info_of(&rig);
	ck_assert_uint_eq(after.stuck_cells, before.stuck_cells);
	ck_assert_uint_eq(after.stuck_before, before.stuck_before);
	ck_assert_uint_eq(after.spares, before.spares);
	ck_assert_uint_eq(rig_telemetry(&rig).cells_stuck, before.stuck_cells);
	ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(rig_telemetry(&rig).cells_stuck, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(many_devices)
{
	for (uint32_t seed = 0; seed < 40; seed++) {
		char settings[256];
		struct rig rig;

		sprintf(settings, GEOMETRY ",spare_weights=3,stuck_on=0.0%u,stuck_off=0.01,seed=%u",
			seed % 10, seed);
		rig_open(&rig, "isaac", settings);
		rig.threads = 1 + seed % 3;
		check_matrix(&rig, rig_create_matrix(&rig, 1 + seed % 32, 1 + seed * 7 % 16));
		check_matrix(&rig, rig_create_matrix(&rig, 16, 8));
		rig_close(&rig);
	}
}
END_TEST

/* Without spare columns it is still known what is stuck; without anything that sticks, nothing is read. */
START_TEST(nothing_costs_what_is_not_there)
{
	struct rig rig;

	rig_open(&rig, "isaac", GEOMETRY ",stuck_on=0.03,seed=7");
	ck_assert_uint_ne(rig_create_matrix(&rig, 16, 8), 0);
	ck_assert_uint_eq(rig.completion.conversions, 16 * 8 * 8);
	ck_assert_uint_gt(info_of(&rig).stuck_cells, 0);
	ck_assert_uint_eq(info_of(&rig).stuck_cells, info_of(&rig).stuck_before);
	ck_assert_uint_eq(info_of(&rig).spares, 0);
	rig_close(&rig);

	rig_open(&rig, "isaac", GEOMETRY ",spare_weights=3,retire_cells=0");
	ck_assert_uint_ne(rig_create_matrix(&rig, 16, 8), 0);
	ck_assert_uint_eq(rig.completion.conversions, 0);
	ck_assert_uint_eq(rig.completion.busy_ns, 0);
	ck_assert_uint_eq(info_of(&rig).stuck_before, 0);
	rig_close(&rig);
}
END_TEST

static uint32_t stuck_in_tile(const struct xbar *xbar, uint32_t tile)
{
	uint32_t stuck = 0;

	for (uint32_t column = 0; column < WEIGHTS + xbar->params.spare_weights; column++)
		stuck += stuck_in_column(xbar, tile, column, 16);
	return stuck;
}

#define RETIRE ",stuck_on=0.03,seed=3,retire_cells=30"

/* No matrix gets a tile with more stuck cells than allowed, and who asks for more than there are good ones gets none. */
START_TEST(bad_tiles_are_retired)
{
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 12 };
	static int8_t weights[16 * 8];
	uint32_t good = 0, matrix;
	struct rig rig;

	rig_open(&rig, "isaac", GEOMETRY RETIRE);
	for (uint32_t tile = 0; tile < 12; tile++)
		good += stuck_in_tile(rig.xbar, tile) <= 30;
	ck_assert_uint_gt(good, 2);
	ck_assert_uint_lt(good, 11);
	ck_assert_uint_eq(rig_create_matrix(&rig, 16 * 12, 8), 0);
	ck_assert_uint_eq(rig.completion.status, LF_STATUS_NO_SPACE);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_bad, 12 - good);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_WEAR);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_used, 0);
	matrix = rig_create_matrix(&rig, 16 * good, 8);
	ck_assert_uint_ne(matrix, 0);
	for (uint32_t i = 0; i < good; i++)
		ck_assert_uint_le(
			stuck_in_tile(rig.xbar, xbar_directory_find(rig.xbar, matrix)->tiles[i]),
			30);
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_bad, 12 - good);
	rig_close(&rig);

	/* Cells that stick later: found when the tile is erased. */
	rig_open(&rig, "isaac", GEOMETRY ",seed=3,retire_cells=30");
	memset(weights, 1, sizeof(weights));
	matrix = rig_matrix(&rig, 16, 8, weights);
	xbar_inject_stuck(rig.xbar, 200000);
	ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 0);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_bad, 1);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_dirty, 0);
	ck_assert_uint_eq(xbar_take_events(rig.xbar), LF_EVENT_WEAR);
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_bad, 1);
	rig_close(&rig);
}
END_TEST

/* Of tiles that are worn alike, those with the fewest stuck cells come first once they are known. */
START_TEST(good_tiles_are_preferred)
{
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 12 };
	static int8_t weights[12 * 16 * 8];
	const struct matrix *matrix;
	uint32_t most = 0;
	struct rig rig;

	rig_open(&rig, "isaac", GEOMETRY ",stuck_on=0.03,seed=3");
	memset(weights, 1, sizeof(weights));
	rig_delete(&rig, rig_matrix(&rig, 12 * 16, 8, weights));
	ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	ck_assert_int_eq(rig_attach(&rig), 0);
	matrix = xbar_directory_find(rig.xbar, rig_create_matrix(&rig, 4 * 16, 8));
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t stuck = stuck_in_tile(rig.xbar, matrix->tiles[i]);

		most = stuck > most ? stuck : most;
	}
	for (uint32_t tile = 0; tile < 12; tile++)
		if (xbar_tiles_owner(rig.xbar, tile) == IMAGE_OWNER_NONE)
			ck_assert_uint_ge(stuck_in_tile(rig.xbar, tile), most);
	rig_close(&rig);
}
END_TEST

/* A map that was changed behind the device's back is not the one the matrix was programmed with. */
START_TEST(a_damaged_map_is_refused)
{
	static int8_t weights[16 * 8];
	struct lf_matrix_info info;
	struct xbar_image_layout layout;
	struct rig rig;
	uint32_t tile;

	rig_open(&rig, "isaac", GEOMETRY ",spare_weights=3,stuck_on=0.03,seed=7");
	tile = xbar_directory_find(rig.xbar, rig_matrix(&rig, 16, 8, weights))->tiles[0];
	info = info_of(&rig);
	ck_assert_uint_gt(info.spares, 0);
	layout = rig.xbar->layout;
	rig.memory[layout.spares + tile * 6] ^= 1;
	ck_assert_int_eq(rig_attach(&rig), -EILSEQ);
	rig.memory[layout.spares + tile * 6] ^= 1;
	ck_assert_int_eq(rig_attach(&rig), 0);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar spares");
	TCase *tests = tcase_create("spares");

	tcase_add_test(tests, the_worst_columns_are_replaced);
	tcase_add_test(tests, many_devices);
	tcase_add_test(tests, nothing_costs_what_is_not_there);
	tcase_add_test(tests, bad_tiles_are_retired);
	tcase_add_test(tests, good_tiles_are_preferred);
	tcase_add_test(tests, a_damaged_map_is_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
