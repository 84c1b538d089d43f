// SPDX-License-Identifier: MIT
/*
 * What work costs: the parts of ISAAC against what was published of them, measured by running jobs; every operation against a count
 * of what the hardware does; and sums over jobs against the totals of the device.
 *
 * ISAAC: Shafiee et al., ISCA 2016, table I, an in-situ unit: 8 arrays of 128 x 128 (2.4 mW), 8 converters of 8 bits (16 mW),
 * 8 x 128 drivers of one bit (4 mW), 4 shift-and-add units (0.2 mW), 100 ns a cycle.
 * PUMA: Ankit et al., ASPLOS 2019: conversions of 6, 7, 8 bits at 0.88, 1.20, 1.56 pJ; an array is written with 22.6 nJ in 11 us.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/device.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define PJ	  1e6 /* attojoules */
#define FIXED_ONE 0x3f800000u

typedef unsigned __int128 wide;

/* One vector of int8 through a matrix of zeros. */
static struct lf_completion multiply(struct rig *rig, uint32_t matrix, uint32_t rows, uint32_t cols,
				     uint32_t count, bool transpose)
{
	uint32_t inputs = transpose ? cols : rows, outputs = transpose ? rows : cols;
	void *input = calloc(count, inputs), *output = calloc(count, 4 * outputs);
	struct buffer buffers[2] = { { input, (uint64_t)count * inputs },
				     { output, 4ull * count * outputs } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags =
			LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE | (transpose ? LF_MVM_TRANSPOSE : 0),
		.matrix = matrix,
		.count = count,
		.fixed_scale = FIXED_ONE,
		.input = { .space = LF_SPACE_BUFFER, .stride = inputs },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = 4 * outputs },
	};

	ck_assert_uint_eq(rig_run(rig, &command, 1, buffers, 2), LF_STATUS_OK);
	free(input);
	free(output);
	return rig->completion;
}

/* One vector through one whole array of isaac, 8 cycles; @settings changes the device. */
static struct lf_completion one_array(const char *settings)
{
	static int8_t weights[128 * 16];
	struct lf_completion record;
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", settings);
	matrix = rig_matrix(&rig, 128, 16, weights);
	record = multiply(&rig, matrix, 128, 16, 1, false);
	rig_close(&rig);
	return record;
}

static void within_a_tenth(double found, double published)
{
	ck_assert_double_eq_tol(found, published, published / 10.0);
}

/* Each part, and their sum, of one array in one cycle. */
START_TEST(isaac_costs_what_was_published)
{
	/* The multiplication by the scale of the input is no part of ISAAC's unit. */
	struct lf_completion record = one_array("tiles=1,multiply_energy_aj=0");
	const __le64 *energy = record.energy_aj;
	double array_pj = (double)energy[LF_ENERGY_ARRAY] / 8 / PJ;
	double dac_pj = (double)energy[LF_ENERGY_DAC] / 8 / PJ;
	double adc_pj = (double)energy[LF_ENERGY_ADC] / 8 / PJ;
	double shift_add_pj = (double)energy[LF_ENERGY_DIGITAL] / 8 / PJ;
	double cycle_pj = array_pj + dac_pj + adc_pj + shift_add_pj, mac_pj;

	ck_assert_uint_eq(record.conversions, 8 * 128);
	ck_assert_uint_eq(record.mac_count, 128 * 16);
	within_a_tenth(array_pj, 2.4e-3 / 8 * 100e-9 * 1e12);	   /* 30 pJ */
	within_a_tenth(dac_pj / 128, 4e-3 / 1024 * 100e-9 * 1e12); /* 0.39 pJ: 3.9 uW, not mW */
	within_a_tenth(adc_pj / 128, 16e-3 / 8 / 1.28e9 * 1e12);   /* 1.56 pJ */
	within_a_tenth(shift_add_pj, 0.2e-3 / 8 * 100e-9 * 1e12);  /* 2.5 pJ of 8 arrays' unit */
	within_a_tenth(cycle_pj, 283.0);
	mac_pj = cycle_pj * 8 / (128 * 16);
	within_a_tenth(mac_pj, 1.12);
	within_a_tenth(2.0 / mac_pj, 1.79); /* TOPS/W: two operations a product */
	/* A converter of 1.28 GS/s keeps up with 128 columns in 100 ns: no cycle is longer, whatever its bits. */
	ck_assert_uint_eq(record.busy_ns, 8 * 100);
}
END_TEST

/* One vector of ones through 2 x 2 arrays of isaac with @settings; @factor, @scale and @partials where they are not NULL. */
static struct lf_completion product_of_four(const char *settings, uint16_t flags, float *factor,
					    float *scale, float *output, float *partials)
{
	bool transpose = flags & LF_MVM_TRANSPOSE;
	uint32_t scales = flags & LF_MVM_TILE_SCALE ? 2 : 1;
	enum { ROWS = 256, COLS = 32 };
	static int8_t weights[ROWS * COLS];
	uint32_t inputs = transpose ? COLS : ROWS, outputs = transpose ? ROWS : COLS;
	float x[ROWS];
	struct buffer buffers[5] = { { x, 4 * inputs },
				     { output, 4 * outputs },
				     { factor ? factor : x, 4 * inputs },
				     { scale ? scale : x, 4 * COLS * scales },
				     { partials ? partials : x, 4 * 2 * COLS } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = flags,
		.count = 1,
		.input = { .space = LF_SPACE_BUFFER, .stride = 4 * inputs },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = 4 * outputs },
		.factor = { .space = factor ? LF_SPACE_BUFFER : LF_SPACE_NONE,
			    .buffer = factor ? 2 : 0 },
		.scale = { .space = scale ? LF_SPACE_BUFFER : LF_SPACE_NONE,
			   .buffer = scale ? 3 : 0 },
		.partials = { .space = partials ? LF_SPACE_BUFFER : LF_SPACE_NONE,
			      .buffer = partials ? 4 : 0,
			      .stride = partials ? 4 * 2 * COLS : 0 },
	};
	struct lf_completion record;
	struct rig rig;

	for (uint32_t at = 0; at < ROWS * COLS; at++)
		weights[at] = (int8_t)(at % 7 + 1);
	for (uint32_t at = 0; at < ROWS; at++)
		x[at] = 1.0f;
	rig_open(&rig, "isaac", settings);
	command.matrix = rig_matrix(&rig, ROWS, COLS, weights);
	ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 5), LF_STATUS_OK);
	record = rig.completion;
	rig_close(&rig);
	return record;
}

/* Likewise, without the digital unit. */
static struct lf_completion four_arrays(bool transpose, float *factor, float *scale, float *output,
					float *partials)
{
	return product_of_four("tiles=4,multiply_energy_aj=0,add_energy_aj=0,scratch_energy_aj=0",
			       transpose ? LF_MVM_TRANSPOSE : 0, factor, scale, output, partials);
}

/* Lines that a zero takes out of the product are neither driven nor converted, and a tile without lines is not read. */
START_TEST(what_a_zero_takes_out_is_not_read)
{
	bool transpose = _i;
	float ones[256], some[256], output[256];
	struct lf_completion whole, part;

	for (uint32_t at = 0; at < 256; at++)
		ones[at] = 1.0f;
	whole = four_arrays(transpose, ones, ones, output, NULL);
	part = four_arrays(transpose, NULL, NULL, output, NULL);
	ck_assert_mem_eq(part.energy_aj, whole.energy_aj, sizeof(whole.energy_aj));
	ck_assert_uint_eq(whole.mac_count, 256 * 32);

	/* The second half of the columns: of a whole column of tiles, nothing is left. */
	for (uint32_t at = 0; at < 32; at++)
		some[at] = at < 16 ? 1.0f : -0.0f;
	part = four_arrays(transpose, NULL, some, output, NULL);
	ck_assert_uint_eq(part.conversions, whole.conversions / 2);
	ck_assert_uint_eq(part.mac_count, whole.mac_count / 2);
	for (int component = 0; component <= LF_ENERGY_ADC; component++)
		ck_assert_uint_eq(part.energy_aj[component], whole.energy_aj[component] / 2);
	ck_assert_uint_eq(part.busy_ns, whole.busy_ns);
	if (!transpose) {
		float partials[2 * 32];

		ck_assert(output[15] != 0.0f && output[16] == 0.0f);
		/* Partial sums are before the scale. */
		part = four_arrays(transpose, NULL, some, output, partials);
		ck_assert_uint_eq(part.conversions, whole.conversions);
		ck_assert(output[16] == 0.0f && partials[16] != 0.0f);
	}

	/* One line of each tile, of those that are driven forward and of the columns in transpose. */
	memcpy(some, ones, sizeof(some));
	some[3] = 0.0f;
	some[transpose ? 19 : 131] = 0.0f;
	part = four_arrays(transpose, some, NULL, output, NULL);
	ck_assert_uint_eq(part.conversions, whole.conversions);
	ck_assert_uint_eq(part.energy_aj[LF_ENERGY_ARRAY], whole.energy_aj[LF_ENERGY_ARRAY]);
	ck_assert_uint_eq(whole.energy_aj[LF_ENERGY_DAC] - part.energy_aj[LF_ENERGY_DAC],
			  whole.energy_aj[LF_ENERGY_DAC] * 2 / (transpose ? 32 : 256));

	/* Nothing at all. */
	memset(some, 0, sizeof(some));
	part = four_arrays(transpose, some, NULL, output, NULL);
	ck_assert_uint_eq(part.conversions + part.mac_count + part.busy_ns, 0);
	ck_assert_uint_eq(part.mvm_count, 1);
	ck_assert_uint_eq(part.energy_aj[LF_ENERGY_ARRAY], 0);
}
END_TEST

/* Six bits are too few for the sums of 128 rows: what is not converted does not clip, on the lossy and on the analog path. */
START_TEST(what_is_not_converted_does_not_clip)
{
	static const char *const settings[] = { "tiles=4,adc_bits=6",
						"tiles=4,adc_bits=6,read_noise=0.01" };
	struct lf_completion whole, first, second, all;
	float scale[64], output[32], partials[64];

	for (uint16_t tile_scale = 0; tile_scale <= LF_MVM_TILE_SCALE;
	     tile_scale += LF_MVM_TILE_SCALE) {
		/* The even columns and the others, or those of the first row of tiles and of the second. */
		for (int at = 0; at < 64; at++)
			scale[at] = tile_scale ? at < 32 : at % 2;
		whole = product_of_four(settings[_i], 0, NULL, NULL, output, NULL);
		first = product_of_four(settings[_i], tile_scale, NULL, scale, output, NULL);
		all = product_of_four(settings[_i], tile_scale, NULL, scale, output, partials);
		for (int at = 0; at < 64; at++)
			scale[at] = 1.0f - scale[at];
		second = product_of_four(settings[_i], tile_scale, NULL, scale, output, NULL);
		ck_assert_uint_eq(first.conversions + second.conversions, whole.conversions);
		ck_assert_uint_eq(first.clips + second.clips, whole.clips);
		ck_assert(first.clips && second.clips);
		/* Partial sums are of all columns. */
		ck_assert_uint_eq(all.conversions, whole.conversions);
		ck_assert_uint_eq(all.clips, whole.clips);
	}
	memset(scale, 0, sizeof(scale));
	first = product_of_four(settings[_i], 0, NULL, scale, output, NULL);
	ck_assert_uint_eq(first.conversions + first.clips, 0);
}
END_TEST

START_TEST(conversions_cost_by_resolution)
{
	static const double published_pj[] = { 0.88, 1.20, 1.56 };
	char settings[64];
	struct lf_completion record;

	snprintf(settings, sizeof(settings), "tiles=1,adc_bits=%d", _i);
	record = one_array(settings);
	within_a_tenth((double)record.energy_aj[LF_ENERGY_ADC] / (double)record.conversions / PJ,
		       published_pj[_i - 6]);
	ck_assert_uint_eq(record.busy_ns, 800);
}
END_TEST

/*
 * What signed pairs cost against ISAAC's biased weights: twice the cells, and so twice the energy of a product of 8 bits; with pairs
 * subtracted as currents half of the conversions are saved.
 */
START_TEST(encodings_differ_by_what_the_document_says)
{
	struct lf_completion after = one_array("tiles=1,multiply_energy_aj=0");
	struct lf_completion before = one_array("tiles=1,multiply_energy_aj=0,adc_subtract=before");
	wide sums[2] = { 0 };

	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		sums[0] += after.energy_aj[i];
		sums[1] += before.energy_aj[i];
	}
	ck_assert_uint_eq(after.conversions, 2 * before.conversions);
	within_a_tenth((double)sums[0] / 2048 / PJ, 1.10);
	within_a_tenth((double)sums[0] / 2048 / PJ / 2, 0.55); /* 4 cells a weight of 8 bits */
	within_a_tenth((double)sums[1] / 2048 / PJ, 0.71);
}
END_TEST

/* PUMA's array: energy and time of its writing are of the whole, neither divided by the time of a read. */
START_TEST(writing_an_array_costs_what_was_published)
{
	static int8_t weights[128 * 16];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", "tiles=1");
	matrix = rig_create_matrix(&rig, 128, 16);
	ck_assert_uint_eq(rig_program(&rig, matrix, 128, 16, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.cells_written, 128 * 128);
	within_a_tenth((double)rig.completion.energy_aj[LF_ENERGY_PROGRAM] / PJ / 1e3, 22.6);
	within_a_tenth((double)rig.completion.busy_ns, 11000.0);
	rig_close(&rig);
}
END_TEST

/* What the hardware of one multiplication does, tile by tile, cycle by cycle. */
struct count {
	uint64_t conversions;
	uint64_t drives;
	uint64_t arrays;
	uint64_t passes;
};

static struct count count_tile(const struct xbar_params *params, uint32_t rows, uint32_t cols,
			       bool transpose)
{
	uint32_t slices = (7 + params->cell_bits - 1) / params->cell_bits;
	bool pair_rows = params->pair == XBAR_PAIR_ROWS;
	bool after = params->adc_subtract == XBAR_SUBTRACT_AFTER && !pair_rows;
	struct count count = { .arrays = 1 };

	if (!transpose) {
		count.passes = 1;
		for (uint32_t row = 0; row < rows; row++)
			count.drives += pair_rows ? 2 : 1;
		for (uint32_t col = 0; col < cols; col++)
			for (uint32_t slice = 0; slice < slices; slice++)
				count.conversions += after ? 2 : 1;
		return count;
	}
	for (uint32_t slice = 0; slice < slices; slice++)
		for (int side = 0; side < (after ? 2 : 1); side++) {
			count.passes++;
			for (uint32_t col = 0; col < cols; col++)
				count.drives += after || pair_rows ? 1 : 2;
			for (uint32_t row = 0; row < rows; row++)
				count.conversions++;
		}
	return count;
}

/* Any shape, either direction, every way in which pairs lie and are subtracted. */
START_TEST(multiplications_cost_what_the_hardware_does)
{
	uint64_t seed = rig_seed() + (uint64_t)_i, state = seed;
	uint32_t rows = 1 + draw_below(&state, 100), cols = 1 + draw_below(&state, 60);
	uint32_t vectors = 1 + draw_below(&state, 5);
	bool transpose = _i & 1, before = _i & 2, pair_rows = _i & 4;
	struct lf_completion record;
	struct count total = { 0 };
	int8_t *weights = calloc(rows, cols);
	struct rig rig;
	uint32_t matrix, weights_a_tile;
	char text[256];

	snprintf(
		text, sizeof(text),
		"tiles=64,tile_rows=32,tile_cols=64,cell_bits=%u,array_energy_aj=1000003,"
		"dac_energy_aj=7,adc_energy_aj=1009,shift_add_energy_aj=100003,multiply_energy_aj=0,"
		"static_power_nw=13,adc_columns=8,adc_ps=20000,adc_subtract=%s,pair=%s",
		1 + draw_below(&state, 4), before || pair_rows ? "before" : "after",
		pair_rows ? "rows" : "columns");
	rig_open(&rig, "isaac", text);
	weights_a_tile = rig.xbar->tile_weights;
	matrix = rig_matrix(&rig, rows, cols, weights);
	record = multiply(&rig, matrix, rows, cols, vectors, transpose);
	for (uint32_t r = 0; r < rows; r += 32)
		for (uint32_t c = 0; c < cols; c += weights_a_tile) {
			struct count count = count_tile(
				rig.params, rows - r < 32 ? rows - r : 32,
				cols - c < weights_a_tile ? cols - c : weights_a_tile, transpose);

			total.conversions += count.conversions;
			total.drives += count.drives;
			total.arrays += count.arrays;
			total.passes = count.passes;
		}
	/* 8 bit-cycles a vector. */
	ck_assert_uint_eq(record.mvm_count, vectors);
	ck_assert_uint_eq(record.mac_count, (uint64_t)vectors * rows * cols);
	ck_assert_uint_eq(record.conversions, 8 * vectors * total.conversions);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_ADC], 8 * vectors * total.conversions * 1009);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_DIGITAL],
			  8 * vectors * total.conversions * 100003);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_DAC], 8 * vectors * total.drives * 7);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_ARRAY], 8 * vectors * total.arrays * 1000003);
	/* Eight lines share a converter of 20 ns, which is slower than the array's 100 ns. */
	ck_assert_uint_eq(record.busy_ns, 8 * vectors * total.passes * 160);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_STATIC], record.busy_ns * 13);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_PROGRAM], 0);
	free(weights);
	rig_close(&rig);
}
END_TEST

/* One row conducts, of as many as the array has: reading all of it takes what one cycle of all rows does. */
START_TEST(reading_an_array_takes_its_energy_once)
{
	static const char *const pairs[] = { "columns", "rows" };
	int8_t weights[32 * 16] = { 0 }, found[32 * 16];
	struct buffer buffer = { found, sizeof(found) };
	struct lf_command read = { .opcode = LF_OP_READ,
				   .count = 32,
				   .output = { .space = LF_SPACE_BUFFER, .stride = 16 } };
	char text[128];
	struct rig rig;

	snprintf(
		text, sizeof(text),
		"tiles=1,tile_rows=32,tile_cols=%d,adc_subtract=before,pair=%s,array_energy_aj=6400000",
		_i ? 64 : 128, pairs[_i]);
	rig_open(&rig, "isaac", text);
	rig.privileged = true;
	read.matrix = rig_matrix(&rig, 32, 16, weights);
	ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.energy_aj[LF_ENERGY_ARRAY], 6400000);
	ck_assert_uint_eq(rig.completion.energy_aj[LF_ENERGY_DAC],
			  32ull * (_i ? 2 : 1) * rig.params->dac_energy_aj);
	rig_close(&rig);
}
END_TEST

/* Erasing costs by what is not zero: its cells, and the time of its rows, one after the other. */
START_TEST(erasing_costs_what_there_is_to_erase)
{
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 1 };
	static const int8_t weights[4 * 5] = {
		1, 2, 3, 4, 5, 0, 0, 0, 0, 0, -1, 0, -127, 0, 64, 0, 0, 0, 0, 9,
	};
	struct rig rig;

	rig_open(&rig, "isaac",
		 _i ? "tiles=1,tile_rows=8,tile_cols=64,wear_rows=3"
		    : "tiles=1,tile_rows=8,tile_cols=64");
	ck_assert_uint_eq(rig_delete(&rig, rig_matrix(&rig, 4, 5, weights)), LF_STATUS_OK);
	ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.cells_erased, 9 * 8);
	ck_assert_uint_eq(rig.completion.energy_aj[LF_ENERGY_PROGRAM],
			  9 * 8 * rig.params->erase_energy_aj);
	/* Three of eight rows: 4125. */
	ck_assert_uint_eq(rig.completion.busy_ns, rig.params->erase_tile_ns * 3 / 8);
	rig_close(&rig);
}
END_TEST

static void add(wide *energy, uint64_t *counters, const struct lf_completion *record)
{
	const uint64_t values[] = {
		record->busy_ns,      record->mvm_count,      record->mac_count,
		record->conversions,  record->clips,	      record->cells_written,
		record->cells_erased, record->verify_retries, record->host_bytes,
		record->cells_failed,
	};

	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		energy[i] += record->energy_aj[i];
	for (int i = 0; i < 10; i++)
		counters[i] += values[i];
}

/* Nothing is rounded away and nothing counted twice, whatever jobs did and however they ended. */
START_TEST(jobs_add_up_to_the_totals)
{
	enum { ROWS = 50, COLS = 30 };
	static const char *const settings[] = {
		"tiles=32,tile_rows=32,tile_cols=64,static_power_nw=7,adc_bits=6",
		"tiles=32,tile_rows=32,tile_cols=64,static_power_nw=1,program_sigma=0.05,"
		"verify_tolerance=0.03,verify_pulses=5,verify_energy_aj=3,verify_row_ns=1",
	};
	wide energy[LF_ENERGY_COMPONENTS] = { 0 };
	uint64_t counters[10] = { 0 }, state = rig_seed();
	struct lf_telemetry_block totals;
	int8_t weights[ROWS * COLS];
	uint32_t jobs = 0;
	struct rig rig;

	rig_open(&rig, "isaac", settings[_i]);
	rig.privileged = true;
	for (int i = 0; i < ROWS * COLS; i++)
		weights[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	for (int round = 0; round < 20; round++) {
		struct buffer buffer = { weights, sizeof(weights) };
		uint32_t matrix = rig_create_matrix(&rig, ROWS, COLS);
		struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 3 };
		struct lf_command read = { .opcode = LF_OP_READ,
					   .matrix = matrix,
					   .count = ROWS,
					   .output = { .space = LF_SPACE_BUFFER, .stride = COLS } };

		add(energy, counters, &rig.completion);
		ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_OK);
		add(energy, counters, &rig.completion);
		ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_STATE);
		add(energy, counters, &rig.completion);
		ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_OK);
		add(energy, counters, &rig.completion);
		for (int i = 0; i < 4; i++) {
			struct lf_completion record = multiply(&rig, matrix, ROWS, COLS,
							       1 + draw_below(&state, 9), i & 1);

			add(energy, counters, &record);
		}
		ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
		add(energy, counters, &rig.completion);
		ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
		add(energy, counters, &rig.completion);
		ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
		add(energy, counters, &rig.completion);
		jobs += 11;
	}
	xbar_telemetry(rig.xbar, &totals);
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		ck_assert_uint_lt(totals.energy_sub_aj[i], 1000000);
		ck_assert((wide)totals.energy_pj[i] * 1000000 + totals.energy_sub_aj[i] ==
			  energy[i]);
		ck_assert(energy[i] > 0);
	}
	ck_assert_uint_eq(totals.jobs, jobs);
	ck_assert_uint_eq(totals.busy_ns, counters[0]);
	ck_assert_uint_eq(totals.mvm_count, counters[1]);
	ck_assert_uint_eq(totals.mac_count, counters[2]);
	ck_assert_uint_eq(totals.conversions, counters[3]);
	ck_assert_uint_eq(totals.clips, counters[4]);
	ck_assert_uint_eq(totals.cells_written, counters[5]);
	ck_assert_uint_eq(totals.cells_erased, counters[6]);
	ck_assert_uint_eq(totals.verify_retries, counters[7]);
	ck_assert_uint_eq(totals.host_bytes, counters[8]);
	ck_assert_uint_eq(totals.cells_failed, counters[9]);
	ck_assert_uint_eq(totals.time_ns, totals.busy_ns);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar energy");
	TCase *tests = tcase_create("energy");

	tcase_add_test(tests, isaac_costs_what_was_published);
	tcase_add_loop_test(tests, what_a_zero_takes_out_is_not_read, 0, 2);
	tcase_add_loop_test(tests, what_is_not_converted_does_not_clip, 0, 2);
	tcase_add_loop_test(tests, conversions_cost_by_resolution, 6, 9);
	tcase_add_test(tests, encodings_differ_by_what_the_document_says);
	tcase_add_test(tests, writing_an_array_costs_what_was_published);
	tcase_add_loop_test(tests, multiplications_cost_what_the_hardware_does, 0, 48);
	tcase_add_loop_test(tests, reading_an_array_takes_its_energy_once, 0, 2);
	tcase_add_loop_test(tests, erasing_costs_what_there_is_to_erase, 0, 2);
	tcase_add_loop_test(tests, jobs_add_up_to_the_totals, 0, 2);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
