// SPDX-License-Identifier: MIT
/*
 * The analog plane: every cell of it is what physics says of that cell, and it lives as long as that is so.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/analog.h"
#include "qemu-device/model/irdrop.h"
#include "tests/unit/xbar_rig.h"

#define ROWS 70
#define COLS 41

#define NOISE                                                                            \
	"program_sigma=0.03,on_off_ratio=12.5,relax_sigma=0.01,relax_sigma_slope=0.002," \
	"relax_mean=-0.003,stuck_on=0.02,endurance=9,endurance_spread=1"

static struct matrix *matrix_with(struct rig *rig, const char *settings, int8_t *weights)
{
	char text[512];
	uint64_t state = rig_seed();
	uint32_t identifier;

	snprintf(text, sizeof(text), "tiles=64,tile_rows=32,tile_cols=64,matrices=4,accounts=4%s%s",
		 *settings ? "," : "", settings);
	for (int i = 0; i < ROWS * COLS; i++)
		weights[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	rig_open(rig, "isaac", text);
	identifier = rig_matrix(rig, ROWS, COLS, weights);
	return xbar_directory_find(rig->xbar, identifier);
}

static uint32_t level_of(int8_t weight, uint32_t side, uint32_t slice)
{
	int magnitude = side ? -weight : weight;

	return magnitude > 0 ? (uint32_t)magnitude >> 2 * slice & 3 : 0;
}

/* Every cell of the plane, rounded twice and so by 3/4 of a unit at most, against the function that tells the truth of one. */
static void check_plane(struct rig *rig, struct matrix *matrix, const int8_t *weights)
{
	struct xbar *xbar = rig->xbar;
	const struct analog *analog = xbar_analog_get(xbar, matrix);
	const struct xbar_params *params = &xbar->params;
	double g_min =
		params->on_off_ratio == XBAR_INFINITE ? 0.0 : 1e6 / (double)params->on_off_ratio;
	double unit = (1.0 - g_min) / 3.0 / (1 << analog->fraction);
	uint64_t next_ns;
	uint32_t largest = 0;

	ck_assert_ptr_nonnull(analog);
	ck_assert_uint_eq(analog->column_cells, params->tile_rows);
	for (uint32_t i = 0; i < matrix->tile_rows * matrix->tile_cols; i++)
		for (uint32_t line = 0; line < 8; line++)
			for (uint32_t w = 0; w < xbar->tile_weights; w++) {
				const uint16_t *cells =
					analog->cells + ((i * 8 + line) * xbar->tile_weights + w) *
								(size_t)params->tile_rows;
				uint32_t sum = 0;

				for (uint32_t r = 0; r < params->tile_rows; r++) {
					uint32_t row =
						i / matrix->tile_cols * params->tile_rows + r;
					uint32_t col =
						i % matrix->tile_cols * xbar->tile_weights + w;
					struct place place = { matrix->tiles[i], r, w, line / 4,
							       line % 4 };
					struct history history = {
						.matrix = matrix->entry.matrix,
						.refreshes = matrix->entry.refreshes,
						.wear = xbar_tiles_wear(xbar, matrix->tiles[i], r),
						.stuck_parts = (uint32_t)xbar->counters.stuck_parts,
						.temperature_mc = xbar->temperature_mc,
					};
					struct cell cell;

					sum += cells[r];
					if (row >= ROWS || col >= COLS) {
						ck_assert_uint_eq(cells[r], 0);
						continue;
					}
					history.age_ns = xbar_physics_age(
						params,
						xbar->counters.time_ns -
							matrix->entry.programmed_ns,
						&next_ns);
					rig_cell(params, &place, &history,
						 level_of(weights[row * COLS + col], place.side,
							  place.slice),
						 &cell);
					ck_assert_double_eq_tol(cells[r] * unit, cell.conductance,
								0.76 * unit);
				}
				largest = sum > largest ? sum : largest;
			}
	ck_assert_uint_le(largest, UINT16_MAX);
	/* No finer fraction would have fitted. */
	ck_assert_uint_gt(2 * largest + params->tile_rows, UINT16_MAX);
}

START_TEST(every_cell_is_what_physics_says)
{
	static const char *const settings[] = {
		NOISE,
		NOISE ",verify_tolerance=0.02",
		"on_off_ratio=3",
		"stuck_off=0.3",
		"retention_s=100000000,retention_activation_mev=1100,temperature_mc=85000",
		"program_sigma=0.2,temperature_mc=60000,temperature_coefficient=0.002",
	};
	int8_t weights[ROWS * COLS];
	struct matrix *matrix;
	struct rig rig;

	matrix = matrix_with(&rig, settings[_i], weights);
	ck_assert(xbar_analog_needed(rig.xbar));
	check_plane(&rig, matrix, weights);
	xbar_advance_time(rig.xbar, 12345678901234);
	check_plane(&rig, matrix, weights);
	xbar_inject_stuck(rig.xbar, 30000);
	check_plane(&rig, matrix, weights);
	xbar_set_temperature(rig.xbar, -5000);
	check_plane(&rig, matrix, weights);
	rig_close(&rig);
}
END_TEST

/* A device whose cells do what they are told has no plane. */
START_TEST(exact_devices_need_none)
{
	int8_t weights[ROWS * COLS];
	struct rig rig;

	matrix_with(&rig, "", weights);
	ck_assert(!xbar_analog_needed(rig.xbar));
	xbar_inject_stuck(rig.xbar, 1);
	ck_assert(xbar_analog_needed(rig.xbar));
	rig_close(&rig);
	matrix_with(&rig, "temperature_coefficient=0.01", weights);
	ck_assert(!xbar_analog_needed(rig.xbar));
	xbar_set_temperature(rig.xbar, 25001);
	ck_assert(xbar_analog_needed(rig.xbar));
	rig_close(&rig);
	rig_open(&rig, "float", "tiles=1");
	xbar_inject_stuck(rig.xbar, 500000);
	ck_assert(!xbar_analog_needed(rig.xbar));
	rig_close(&rig);
}
END_TEST

/* With wires a tile is one circuit, in the order in which its lines lie; a spare column and one that it stands in for are in it. */
START_TEST(wires_make_a_circuit_of_a_tile)
{
	enum { TILE_ROWS = 8, WEIGHTS = 8, SPARES = 2 };
	static const char *const settings[] = { "pair=columns", "pair=rows" };
	bool pair_rows = _i & 1, fast = _i & 2;
	uint32_t sides = pair_rows ? 1 : 2, columns = (WEIGHTS + SPARES) * sides * 4;
	uint32_t lines = TILE_ROWS * (3 - sides);
	double *siemens = calloc(lines * columns, sizeof(double));
	double *effective = calloc(lines * columns, sizeof(double));
	struct irdrop wires = { lines, columns, 2.5, 100.0, 50.0 };
	int8_t weights[TILE_ROWS * WEIGHTS];
	uint64_t state = rig_seed();
	const struct analog *analog;
	struct history history;
	struct matrix *matrix;
	uint32_t moved = 0;
	struct rig rig;
	char text[256];
	double unit;

	snprintf(
		text, sizeof(text),
		"%s,tiles=1,tile_rows=8,tile_cols=%u,spare_weights=2,program_sigma=0.02,g_max_ns=100000,"
		"on_off_ratio=100,stuck_on=0.02,ir_drop=%s,wire_mohm=2500,driver_mohm=100000,"
		"sense_mohm=50000,adc_subtract=before",
		settings[pair_rows], WEIGHTS * sides * 4, fast ? "fast" : "exact");
	for (int i = 0; i < TILE_ROWS * WEIGHTS; i++)
		weights[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	rig_open(&rig, "isaac", text);
	ck_assert_uint_eq(rig.xbar->tile_weights, WEIGHTS);
	matrix = xbar_directory_find(rig.xbar, rig_matrix(&rig, TILE_ROWS, WEIGHTS, weights));
	ck_assert(xbar_analog_needed(rig.xbar));
	analog = xbar_analog_get(rig.xbar, matrix);
	ck_assert_ptr_nonnull(analog);
	unit = 0.99 / 3.0 / (1 << analog->fraction);
	history = (struct history){ .matrix = matrix->entry.matrix,
				    .wear = xbar_tiles_wear(rig.xbar, 0, 0),
				    .temperature_mc = 25000 };
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t w = 0; w < WEIGHTS + SPARES; w++)
			for (uint32_t line = 0; line < 8; line++)
				for (uint32_t row = 0; row < TILE_ROWS; row++) {
					uint32_t side = line / 4, slice = line % 4, logical;
					struct place place = { 0, row, w, side, slice };
					uint32_t at_row = pair_rows ? 2 * row + side : row;
					uint32_t at = pair_rows ? w * 4 + slice
								: (w * 2 + side) * 4 + slice;
					struct cell cell = { .conductance = 0.01 };

					for (logical = 0; logical < WEIGHTS; logical++)
						if (xbar_spares_column(rig.xbar, 0, logical) == w)
							break;
					if (logical < WEIGHTS)
						rig_cell(rig.params, &place, &history,
							 level_of(weights[row * WEIGHTS + logical],
								  side, slice),
							 &cell);
					else if (rig_stuck(rig.params, &place, &history))
						cell.conductance = 1.0;
					siemens[at_row * columns + at] = cell.conductance * 1e-4;
					if (!pass || logical == WEIGHTS)
						continue;
					moved += logical != w;
					ck_assert_double_eq_tol(
						analog->cells[((side * 4 + slice) * WEIGHTS +
							       logical) *
								      TILE_ROWS +
							      row] *
							unit,
						effective[at_row * columns + at] * 1e4,
						0.76 * unit);
				}
		ck_assert_int_eq(
			(fast ? xbar_irdrop_fast : xbar_irdrop_exact)(&wires, siemens, effective),
			0);
	}
	ck_assert_uint_gt(moved, 0);
	free(siemens);
	free(effective);
	rig_close(&rig);
}
END_TEST

static size_t plane_bytes(const struct rig *rig, const struct matrix *matrix)
{
	return (size_t)matrix->tile_rows * matrix->tile_cols * 8 * rig->xbar->tile_weights *
	       rig->xbar->params.tile_rows * 2;
}

START_TEST(threads_change_nothing)
{
	int8_t weights[ROWS * COLS];
	struct matrix *matrix;
	struct rig rig;
	uint16_t *one;
	size_t bytes;

	matrix = matrix_with(&rig, NOISE, weights);
	bytes = plane_bytes(&rig, matrix);
	one = malloc(bytes);
	memcpy(one, xbar_analog_get(rig.xbar, matrix)->cells, bytes);
	for (rig.threads = 2; rig.threads <= 8; rig.threads++) {
		matrix->generation++;
		ck_assert_mem_eq(xbar_analog_get(rig.xbar, matrix)->cells, one, bytes);
	}
	free(one);
	rig_close(&rig);
}
END_TEST

/* Kept within a bucket of ages, made anew at its end; without anything that ages, kept for ever. */
START_TEST(a_plane_lasts_as_long_as_its_cells_stay)
{
	int8_t weights[ROWS * COLS];
	const struct analog *analog;
	struct matrix *matrix;
	struct rig rig;
	uint16_t *young;
	size_t bytes;

	matrix = matrix_with(&rig, NOISE, weights);
	bytes = plane_bytes(&rig, matrix);
	young = malloc(bytes);
	analog = xbar_analog_get(rig.xbar, matrix);
	memcpy(young, analog->cells, bytes);
	ck_assert_uint_eq(analog->valid_until_ns, matrix->entry.programmed_ns + 1000000000);
	xbar_advance_time(rig.xbar, analog->valid_until_ns - 1 - rig.xbar->counters.time_ns);
	ck_assert_ptr_eq(xbar_analog_get(rig.xbar, matrix), analog);
	xbar_advance_time(rig.xbar, 1000000000);
	analog = xbar_analog_get(rig.xbar, matrix);
	ck_assert_uint_gt(analog->valid_until_ns, rig.xbar->counters.time_ns);
	ck_assert_mem_ne(analog->cells, young, bytes);
	free(young);
	rig_close(&rig);

	matrix = matrix_with(&rig, "program_sigma=0.01", weights);
	ck_assert_uint_eq(xbar_analog_get(rig.xbar, matrix)->valid_until_ns, UINT64_MAX);
	rig_close(&rig);
}
END_TEST

/* The same matrix on a device that was switched off and on. */
START_TEST(cells_are_the_same_after_a_power_cycle)
{
	int8_t weights[ROWS * COLS];
	struct matrix *matrix;
	uint32_t identifier;
	struct rig rig;
	uint16_t *before;
	size_t bytes;

	matrix = matrix_with(&rig, NOISE, weights);
	identifier = matrix->entry.matrix;
	xbar_advance_time(rig.xbar, 5000000000);
	bytes = plane_bytes(&rig, matrix);
	before = malloc(bytes);
	memcpy(before, xbar_analog_get(rig.xbar, matrix)->cells, bytes);
	ck_assert_int_eq(rig_attach(&rig), 0);
	matrix = xbar_directory_find(rig.xbar, identifier);
	ck_assert_mem_eq(xbar_analog_get(rig.xbar, matrix)->cells, before, bytes);
	free(before);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar analog");
	TCase *tests = tcase_create("analog");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tests, every_cell_is_what_physics_says, 0, 6);
	tcase_add_test(tests, exact_devices_need_none);
	tcase_add_loop_test(tests, wires_make_a_circuit_of_a_tile, 0, 4);
	tcase_add_test(tests, threads_change_nothing);
	tcase_add_test(tests, a_plane_lasts_as_long_as_its_cells_stay);
	tcase_add_test(tests, cells_are_the_same_after_a_power_cycle);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
