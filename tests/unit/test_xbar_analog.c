// SPDX-License-Identifier: MIT
/*
 * The analog plane: every cell of it is what physics says of that cell, and it lives as long as that is so.
 */
#include <check.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/analog.h"
#include "qemu-device/model/irdrop.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define ROWS 70
#define COLS 41

#define NOISE                                                                            \
	"program_sigma=0.03,on_off_ratio=12.5,relax_sigma=0.01,relax_sigma_slope=0.002," \
	"relax_mean=-0.003,stuck_on=0.02,endurance=9,endurance_spread=1"

/* All errors of cells at once, but for wires. */
#define EVERYTHING                                                                              \
	"adc_bits=6,program_sigma=0.03,verify_tolerance=0.02,verify_pulses=20,read_noise=0.01," \
	"relax_sigma=0.01,relax_sigma_slope=0.002,stuck_on=0.001,stuck_off=0.001,"              \
	"on_off_ratio=1000,endurance=1000000,endurance_spread=1,retention_s=100000000,"         \
	"retention_activation_mev=1100,temperature_mc=40000,temperature_coefficient=0.002"

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
				size_t column = (i * 8 + line) * xbar->tile_weights + w;
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
					uint16_t units = rig_conductance(analog, column, r);
					struct cell cell;

					sum += units;
					if (row >= ROWS || col >= COLS) {
						ck_assert_uint_eq(units, 0);
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
					ck_assert_double_eq_tol(units * unit, cell.conductance,
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
						rig_conductance(analog,
								(side * 4 + slice) * WEIGHTS +
									logical,
								row) *
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

/* The job of one product, of @count vectors of random numbers, which @input receives. */
static void multiply(struct rig *rig, const struct matrix *matrix, bool transpose, uint32_t count,
		     int8_t *input, float *output)
{
	uint32_t rows = matrix->entry.rows, cols = matrix->entry.cols;
	uint32_t inputs = transpose ? cols : rows, outputs = transpose ? rows : cols;
	const struct buffer buffers[] = { { input, (uint64_t)count * inputs },
					  { output, (uint64_t)count * outputs * sizeof(*output) } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags =
			LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE | (transpose ? LF_MVM_TRANSPOSE : 0),
		.matrix = matrix->entry.matrix,
		.count = count,
		.fixed_scale = 0x3f800000, /* 1.0f */
		.input = { .space = LF_SPACE_BUFFER, .stride = inputs },
		.output = { .space = LF_SPACE_BUFFER,
			    .buffer = 1,
			    .stride = outputs * sizeof(*output) },
	};
	uint64_t state = rig_seed();

	for (uint32_t i = 0; i < count * inputs; i++)
		input[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	ck_assert_uint_eq(rig_run(rig, &command, 1, buffers, 2), LF_STATUS_OK);
}

/* The same plane with 16 bits a cell. */
static void unpack_plane(struct analog *analog)
{
	size_t columns = analog->bytes / analog->column_bytes;
	uint16_t *cells = malloc(columns * analog->column_cells * sizeof(*cells));

	ck_assert(analog->packed);
	for (size_t column = 0; column < columns; column++)
		for (uint32_t row = 0; row < analog->column_cells; row++)
			cells[column * analog->column_cells + row] =
				rig_conductance(analog, column, row);
	free(analog->cells);
	analog->cells = (uint8_t *)cells;
	analog->packed = false;
	analog->column_bytes = analog->column_cells * sizeof(*cells);
	analog->bytes = columns * analog->column_bytes;
}

/* Products are those of the cells, however these are kept; in every variant, either direction, and with tails of groups. */
START_TEST(packing_changes_no_product)
{
	enum { COUNT = 101, MOST = ROWS > COLS ? ROWS : COLS };
	static const char *const variants[] = { "scalar", "avx2", "avx512" };
	static float packed[COUNT * MOST], plain[COUNT * MOST];
	static int8_t input[COUNT * MOST];
	int8_t weights[ROWS * COLS];
	struct matrix *matrix;
	struct rig rig;
	char text[256];

	snprintf(text, sizeof(text), NOISE ",read_noise=0.01,simd=%s,adc_bits=6", variants[_i / 2]);
	matrix = matrix_with(&rig, text, weights);
	multiply(&rig, matrix, _i % 2, COUNT, input, packed);
	unpack_plane(matrix->analog);
	multiply(&rig, matrix, _i % 2, COUNT, input, plain);
	ck_assert_mem_eq(packed, plain, sizeof(packed));
	rig_close(&rig);
}
END_TEST

/*
 * Where one cell is a large part of the largest sum, the unit is so fine that it has more than 12 bits. Of ten cells of three levels
 * a unit of 2^-11 makes 61,440, so each is 6,144; eleven leave 2^-10, and 3,072 for each.
 */
START_TEST(cells_that_leave_12_bits_have_16)
{
	static const uint32_t full[] = { 1, 7, 10, 11, 17, 32 };
	uint32_t cells = full[_i], largest = 0;
	int8_t weights[ROWS * COLS] = { 0 };
	const struct analog *analog;
	struct matrix *matrix;
	uint32_t identifier;
	struct rig rig;

	rig_open(&rig, "isaac", "tiles=64,tile_rows=32,tile_cols=64,program_sigma=0.0001");
	for (uint32_t row = 0; row < cells; row++)
		weights[row * COLS] = 127;
	identifier = rig_matrix(&rig, ROWS, COLS, weights);
	matrix = xbar_directory_find(rig.xbar, identifier);
	analog = xbar_analog_get(rig.xbar, matrix);
	for (uint32_t column = 0; column < analog->bytes / analog->column_bytes; column++)
		for (uint32_t row = 0; row < analog->column_cells; row++) {
			uint32_t units = rig_conductance(analog, column, row);

			largest = units > largest ? units : largest;
		}
	ck_assert_uint_eq(analog->packed, cells > 10);
	ck_assert_uint_eq(analog->packed, largest <= PACKED_MOST);
	ck_assert_uint_eq(analog->column_bytes, analog->packed ? 48 : 64);
	/* 3 levels, but for what rounding and writing leave. */
	ck_assert_double_eq_tol(ldexp(rig_conductance(analog, 0, 0), -(int)analog->fraction), 3.0,
				0.01);
	rig_close(&rig);
}
END_TEST

/* A full device of its kind: what lasts and the plane together, for each weight. */
START_TEST(a_noisy_weight_takes_16_bytes_at_most)
{
	static const struct {
		const char *preset;
		const char *settings;
	} devices[] = {
		{ "isaac", "tiles=64,matrices=4,accounts=4," EVERYTHING },
		{ "isaac",
		  "tiles=64,matrices=4,accounts=4,adc_bits=6,program_sigma=0.01,read_noise=0.01" },
		{ "isaac", "tiles=16,matrices=4,accounts=4," EVERYTHING
			   ",ir_drop=fast,g_max_ns=40000,wire_mohm=1000" },
		{ "isaac", "tiles=64,matrices=4,accounts=4,cell_bits=3," EVERYTHING },
		{ "wan2022", "tiles=16,matrices=4,accounts=4" },
		{ "falcone2025", "tiles=64,matrices=4,accounts=4" },
	};
	bool bell = _i % 2;
	uint64_t state = rig_seed();
	const struct analog *analog;
	struct matrix *matrix;
	uint32_t rows, cols;
	int8_t *weights;
	struct rig rig;
	double bytes;

	rig_open(&rig, devices[_i / 2].preset, devices[_i / 2].settings);
	rows = 4 * rig.xbar->params.tile_rows;
	cols = rig.xbar->params.tiles / 4 * rig.xbar->tile_weights;
	weights = malloc((size_t)rows * cols);
	for (size_t i = 0; i < (size_t)rows * cols; i++) {
		int sum = 0;

		for (int term = 0; term < (bell ? 8 : 1); term++)
			sum += (int)draw_below(&state, 255) - 127;
		weights[i] = (int8_t)(bell ? sum / 8 : sum);
	}
	matrix = xbar_directory_find(rig.xbar, rig_matrix(&rig, rows, cols, weights));
	ck_assert(xbar_analog_needed(rig.xbar));
	analog = xbar_analog_get(rig.xbar, matrix);
	ck_assert_ptr_nonnull(analog);
	/* And no more was taken than is said. */
	ck_assert_uint_le(malloc_usable_size(analog->cells), analog->bytes + 8192);
	bytes = (double)(rig.bytes + analog->bytes) / ((double)rows * cols);
	printf("# %s, %s: %.2f bytes a weight, %.2f of them the plane\n", devices[_i / 2].preset,
	       bell ? "bell" : "uniform", bytes, (double)analog->bytes / ((double)rows * cols));
	ck_assert_double_le(bytes, 16.0);
	free(weights);
	rig_close(&rig);
}
END_TEST

/* Pairs in rows, and cells of two bits: 8,192 cells in a row of weights, which a product in transpose gathers. */
START_TEST(the_widest_row_can_be_read)
{
	enum { TILE_ROWS = 4, WIDE = 1024, COUNT = 9 };
	static int8_t weights[TILE_ROWS * WIDE], input[COUNT * WIDE];
	static float output[COUNT * TILE_ROWS];
	uint64_t state = rig_seed();
	struct matrix *matrix;
	struct rig rig;

	rig_open(&rig, "isaac",
		 "tiles=1,tile_rows=4,tile_cols=4096,pair=rows,adc_subtract=before,adc_bits=ideal,"
		 "program_sigma=0.000001");
	ck_assert_uint_eq(rig.xbar->tile_weights, WIDE);
	for (int i = 0; i < TILE_ROWS * WIDE; i++)
		weights[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	matrix = xbar_directory_find(rig.xbar, rig_matrix(&rig, TILE_ROWS, WIDE, weights));
	multiply(&rig, matrix, true, COUNT, input, output);
	ck_assert_ptr_nonnull(matrix->analog);
	for (uint32_t v = 0; v < COUNT; v++)
		for (uint32_t row = 0; row < TILE_ROWS; row++) {
			int32_t sum = 0;

			for (uint32_t i = 0; i < WIDE; i++)
				sum += input[v * WIDE + i] * weights[row * WIDE + i];
			ck_assert_double_eq(output[v * TILE_ROWS + row], sum);
		}
	rig_close(&rig);
}
END_TEST

START_TEST(threads_change_nothing)
{
	int8_t weights[ROWS * COLS];
	struct matrix *matrix;
	struct rig rig;
	uint8_t *one;
	size_t bytes;

	matrix = matrix_with(&rig, NOISE, weights);
	bytes = xbar_analog_get(rig.xbar, matrix)->bytes;
	one = malloc(bytes);
	memcpy(one, matrix->analog->cells, bytes);
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
	uint8_t *young;
	size_t bytes;

	matrix = matrix_with(&rig, NOISE, weights);
	analog = xbar_analog_get(rig.xbar, matrix);
	bytes = analog->bytes;
	young = malloc(bytes);
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
	uint8_t *before;
	size_t bytes;

	matrix = matrix_with(&rig, NOISE, weights);
	identifier = matrix->entry.matrix;
	xbar_advance_time(rig.xbar, 5000000000);
	bytes = xbar_analog_get(rig.xbar, matrix)->bytes;
	before = malloc(bytes);
	memcpy(before, matrix->analog->cells, bytes);
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

	tcase_add_loop_test(tests, every_cell_is_what_physics_says, 0, 6);
	tcase_add_test(tests, exact_devices_need_none);
	tcase_add_loop_test(tests, wires_make_a_circuit_of_a_tile, 0, 4);
	tcase_add_loop_test(tests, packing_changes_no_product, 0, 6);
	tcase_add_loop_test(tests, cells_that_leave_12_bits_have_16, 0, 6);
	tcase_add_loop_test(tests, a_noisy_weight_takes_16_bytes_at_most, 0, 12);
	tcase_add_test(tests, the_widest_row_can_be_read);
	tcase_add_test(tests, threads_change_nothing);
	tcase_add_test(tests, a_plane_lasts_as_long_as_its_cells_stay);
	tcase_add_test(tests, cells_are_the_same_after_a_power_cycle);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
