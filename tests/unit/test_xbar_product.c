// SPDX-License-Identifier: MIT
/*
 * Products of the model: random hardware, shapes, values and options against the direct reference, to the bit, on
 * every instruction set and number of threads.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "tests/unit/xbar_reference.h"
#include "tests/unit/xbar_rig.h"

static const char *const sets[] = { "scalar", "avx2", "avx512" };

/* The arrays of one random MVM. */
struct trial {
	struct reference_mvm mvm;
	char settings[256];
	int8_t *weights;
	int8_t *int8;
	float *input;
	float *factor;
	float *scale;
	float *bias;
	float *start; /* what accumulating adds to */
	float *output;
	float *partials;
	uint32_t inputs;
	uint32_t outputs;
	uint32_t tile_rows;
};

static float *random_floats(uint64_t *state, size_t count)
{
	float *values = malloc((count + 1) * sizeof(*values));

	for (size_t i = 0; i < count; i++)
		values[i] = draw_float(state);
	return values;
}

static int8_t *random_int8(uint64_t *state, size_t count, uint32_t kind)
{
	int8_t *values = malloc(count + 1);

	for (size_t i = 0; i < count; i++) {
		int value = (int)draw_below(state, 255) - 127;

		if (kind == 1)
			value /= 8;
		if (kind == 2)
			value = value < 0 ? -127 : 127;
		if (kind == 3)
			value = draw_below(state, 10) ? 0 : 127;
		values[i] = (int8_t)value;
	}
	return values;
}

/* One of small, border and larger sizes. */
static uint32_t random_size(uint64_t *state, uint32_t border)
{
	switch (draw_below(state, 4)) {
	case 0:
		return 1 + draw_below(state, 4);
	case 1:
		return border * (1 + draw_below(state, 2)) + draw_below(state, 3) - 1;
	default:
		return 1 + draw_below(state, 150);
	}
}

/* A number that is a multiple of 16, as tiles whose columns are read in place have, or one that is not. */
static uint32_t multiple_of_four(uint64_t *state, uint32_t most)
{
	uint32_t number = 4 * (1 + draw_below(state, most / 4));

	return draw_below(state, 2) && number >= 16 ? number / 16 * 16 : number;
}

/* Geometry: whether pairs lie in rows, how many cells a weight has side by side, and with that the size of a tile. */
static uint32_t random_geometry(struct reference_tile *tile, uint64_t *state, bool in_rows)
{
	bool large = !draw_below(state, 8);
	uint32_t slices, side_by_side;

	tile->rows = multiple_of_four(state, large ? 1024 : draw_below(state, 2) ? 160 : 32);
	tile->cell_bits = 1 + draw_below(state, 7);
	slices = (7 + tile->cell_bits - 1) / tile->cell_bits;
	side_by_side = (in_rows ? 1 : 2) * slices;
	tile->weights = multiple_of_four(state, large ? 1024 : draw_below(state, 2) ? 64 : 8);
	/* A tile has eight columns at least. */
	if (side_by_side == 1 && tile->weights < 8)
		tile->weights = 8;
	/* Sums stay within 16 bits, and tiles within their bounds. */
	while (tile->weights > 8 &&
	       (tile->weights * side_by_side > 4096 || tile->weights << tile->cell_bits > 16384))
		tile->weights = tile->weights / 8 * 4;
	while (tile->rows << tile->cell_bits > 16384)
		tile->rows = tile->rows / 8 * 4;
	return tile->weights * side_by_side +
	       (side_by_side > 1 ? draw_below(state, side_by_side) : 0);
}

static void random_hardware(struct trial *trial, uint64_t *state)
{
	struct reference_tile *tile = &trial->mvm.tile;
	bool automatic = draw_below(state, 3), in_rows = !draw_below(state, 4);
	uint32_t tile_cols = random_geometry(tile, state, in_rows);
	uint32_t lines = tile->rows > tile->weights ? tile->rows : tile->weights;
	uint32_t most = lines * ((1u << tile->cell_bits) - 1);

	if (tile_cols > 4096)
		tile_cols = 4096;
	tile->after = !in_rows && draw_below(state, 2);
	tile->adc_bits = draw_below(state, 3) ? 4 + draw_below(state, 7) : 0;
	tile->adc_step = tile->adc_bits ? 1 << draw_below(state, 3) : 1;
	while ((uint32_t)tile->adc_step > 2 * most)
		tile->adc_step /= 2;
	if (automatic)
		tile->adc_offset = tile->after || !tile->adc_bits
					   ? 0
					   : -tile->adc_step * (1 << (tile->adc_bits - 1));
	else
		tile->adc_offset = -(int32_t)draw_below(state, 1 + tile->adc_step * 8);
	sprintf(trial->settings, "tile_rows=%u,tile_cols=%u,cell_bits=%u,adc_subtract=%s,pair=%s",
		tile->rows, tile_cols, tile->cell_bits, tile->after ? "after" : "before",
		in_rows ? "rows" : "columns");
	if (tile->adc_bits)
		sprintf(trial->settings + strlen(trial->settings), ",adc_bits=%u,adc_step=%d",
			tile->adc_bits, tile->adc_step);
	else
		strcat(trial->settings, ",adc_bits=ideal");
	if (!automatic && tile->adc_bits)
		sprintf(trial->settings + strlen(trial->settings), ",adc_offset=%d",
			tile->adc_offset);
}

/* More than one tile, unless they are large. */
static uint32_t several_tiles(uint64_t *state, uint32_t size)
{
	uint32_t number = size + 1 + draw_below(state, 2 * size);

	return number > 250 ? 250 - draw_below(state, 20) : number;
}

/*
 * Mostly few vectors, because the reference is slow; now and then, with a small matrix, so many that a piece of work is all
 * columns of some of them.
 */
static void random_shape(struct reference_mvm *mvm, uint64_t *state)
{
	mvm->rows = random_size(state, mvm->tile.rows);
	mvm->cols = random_size(state, mvm->tile.weights);
	mvm->count = 1 + draw_below(state, draw_below(state, 3) ? 7 : 30);
	if (!draw_below(state, 3)) {
		mvm->rows = several_tiles(state, mvm->tile.rows);
		mvm->cols = several_tiles(state, mvm->tile.weights);
		mvm->count = 1 + draw_below(state, 12);
	} else if (!draw_below(state, 4)) {
		mvm->rows = 1 + mvm->rows % 40;
		mvm->cols = 1 + mvm->cols % 70;
		mvm->count = 240 + draw_below(state, 80);
	}
}

static void make_trial(struct trial *trial, uint64_t *state)
{
	struct reference_mvm *mvm = &trial->mvm;

	memset(trial, 0, sizeof(*trial));
	random_hardware(trial, state);
	random_shape(mvm, state);
	mvm->transpose = draw_below(state, 2);
	mvm->accumulate = draw_below(state, 2);
	trial->tile_rows = (mvm->rows + mvm->tile.rows - 1) / mvm->tile.rows;
	sprintf(trial->settings + strlen(trial->settings), ",tiles=%u",
		trial->tile_rows * ((mvm->cols + mvm->tile.weights - 1) / mvm->tile.weights));
	trial->inputs = mvm->transpose ? mvm->cols : mvm->rows;
	trial->outputs = mvm->transpose ? mvm->rows : mvm->cols;

	trial->weights = random_int8(state, (size_t)mvm->rows * mvm->cols, draw_below(state, 4));
	mvm->weights = trial->weights;
	trial->int8 = random_int8(state, (size_t)mvm->count * trial->inputs, draw_below(state, 4));
	trial->input = random_floats(state, (size_t)mvm->count * trial->inputs);
	trial->factor = random_floats(state, trial->inputs);
	trial->scale = random_floats(state, (size_t)mvm->cols * trial->tile_rows);
	trial->bias = random_floats(state, mvm->cols);
	trial->start = random_floats(state, (size_t)mvm->count * trial->outputs);
	trial->output = calloc((size_t)mvm->count * trial->outputs, sizeof(float));
	trial->partials = calloc((size_t)mvm->count * mvm->cols * trial->tile_rows, sizeof(float));

	if (!draw_below(state, 3))
		mvm->input_int8 = trial->int8;
	mvm->input = trial->input;
	if (mvm->input_int8 || !draw_below(state, 3))
		mvm->fixed_scale = 0.01f;
	if (!mvm->input_int8 && draw_below(state, 2))
		mvm->factor = trial->factor;
	if (!(mvm->input_int8 && mvm->transpose)) {
		mvm->tile_scale = draw_below(state, 2);
		if (mvm->tile_scale || draw_below(state, 2))
			mvm->scale = trial->scale;
	}
	if (!mvm->transpose && draw_below(state, 2))
		mvm->bias = trial->bias;
	if (!mvm->transpose && draw_below(state, 2))
		mvm->partials = trial->partials;
	mvm->output = trial->output;
	if (mvm->accumulate)
		memcpy(trial->output, trial->start,
		       (size_t)mvm->count * trial->outputs * sizeof(float));
	reference_mvm(mvm);
}

static void free_trial(struct trial *trial)
{
	free(trial->weights);
	free(trial->int8);
	free(trial->input);
	free(trial->factor);
	free(trial->scale);
	free(trial->bias);
	free(trial->start);
	free(trial->output);
	free(trial->partials);
}

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* Three commands: the start into scratch, the MVM, scratch out. */
static void run_trial(struct rig *rig, const struct trial *trial, uint32_t matrix, float *output,
		      float *partials)
{
	const struct reference_mvm *mvm = &trial->mvm;
	uint32_t input_bytes = mvm->input_int8 ? 1 : sizeof(float);
	uint32_t output_stride = trial->outputs * (uint32_t)sizeof(float);
	uint64_t output_bytes = (uint64_t)mvm->count * output_stride;
	uint32_t partial_stride = mvm->cols * trial->tile_rows * (uint32_t)sizeof(float);
	struct buffer buffers[] = {
		{ mvm->input_int8 ? (void *)trial->int8 : trial->input,
		  (uint64_t)mvm->count * trial->inputs * input_bytes },
		{ trial->factor, trial->inputs * sizeof(float) },
		{ trial->scale, (uint64_t)mvm->cols * trial->tile_rows * sizeof(float) },
		{ trial->bias, mvm->cols * sizeof(float) },
		{ trial->start, output_bytes },
		{ output, output_bytes },
		{ partials, (uint64_t)mvm->count * partial_stride },
	};
	struct lf_command commands[3] = {
		{
			.opcode = LF_OP_FUSE,
			.flags = LF_FUSE_AFFINE,
			.count = mvm->count,
			.width = trial->outputs,
			.input = { .space = LF_SPACE_BUFFER, .buffer = 4, .stride = output_stride },
			.output = { .space = LF_SPACE_SCRATCH, .stride = output_stride },
		},
		{
			.opcode = LF_OP_MVM,
			.matrix = matrix,
			.count = mvm->count,
			.input = { .space = LF_SPACE_BUFFER,
				   .stride = trial->inputs * input_bytes },
			.output = { .space = LF_SPACE_SCRATCH, .stride = output_stride },
		},
		{
			.opcode = LF_OP_FUSE,
			.flags = LF_FUSE_AFFINE,
			.count = mvm->count,
			.width = trial->outputs,
			.input = { .space = LF_SPACE_SCRATCH, .stride = output_stride },
			.output = { .space = LF_SPACE_BUFFER,
				    .buffer = 5,
				    .stride = output_stride },
		},
	};
	struct lf_command *command = &commands[1];

	command->flags = (mvm->transpose ? LF_MVM_TRANSPOSE : 0) |
			 (mvm->accumulate ? LF_MVM_ACCUMULATE : 0) |
			 (mvm->input_int8 ? LF_MVM_INPUT_INT8 : 0) |
			 (mvm->tile_scale ? LF_MVM_TILE_SCALE : 0) |
			 (mvm->fixed_scale != 0.0f ? LF_MVM_FIXED_SCALE : 0);
	command->fixed_scale = bits_of(mvm->fixed_scale);
	if (mvm->factor)
		command->factor = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 1 };
	if (mvm->scale)
		command->scale = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 2 };
	if (mvm->bias)
		command->bias = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 3 };
	if (mvm->partials)
		command->partials = (struct lf_operand){ .space = LF_SPACE_BUFFER,
							 .buffer = 6,
							 .stride = partial_stride };
	rig->scratch_bytes = (uint32_t)output_bytes;
	ck_assert_uint_eq(rig_run_queue(rig, commands, 3, buffers, 7, false), LF_STATUS_OK);
}

static void compare(const char *what, const float *got, const float *want, size_t count,
		    const struct trial *trial, const char *set, uint64_t seed)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(bits_of(got[i]) == bits_of(want[i]),
			      "seed %llu, %s, %s, %ux%u x %u%s: %s[%zu] is %a, not %a",
			      (unsigned long long)seed, trial->settings, set, trial->mvm.rows,
			      trial->mvm.cols, trial->mvm.count,
			      trial->mvm.transpose ? " transpose" : "", what, i, (double)got[i],
			      (double)want[i]);
}

START_TEST(random_products_equal_the_reference)
{
	uint64_t seed = rig_seed() + (uint64_t)_i, state = seed;
	struct trial trial;
	size_t outputs, partials;
	float *output, *partial;

	make_trial(&trial, &state);
	outputs = (size_t)trial.mvm.count * trial.outputs;
	partials = (size_t)trial.mvm.count * trial.mvm.cols * trial.tile_rows;
	output = malloc(outputs * sizeof(*output));
	partial = malloc(partials * sizeof(*partial));
	for (size_t set = 0; set < sizeof(sets) / sizeof(sets[0]); set++) {
		struct rig rig;
		uint32_t matrix;

		rig_open(&rig, "isaac", trial.settings);
		if (xbar_params_set(rig.params, "simd", sets[set], NULL) == 0 &&
		    rig_attach(&rig) == 0) {
			matrix = rig_matrix(&rig, trial.mvm.rows, trial.mvm.cols, trial.weights);
			rig.threads = 1 + draw_below(&state, 8);
			run_trial(&rig, &trial, matrix, output, partial);
			compare("output", output, trial.output, outputs, &trial, sets[set], seed);
			if (trial.mvm.partials)
				compare("partials", partial, trial.partials, partials, &trial,
					sets[set], seed);
			ck_assert_uint_eq(rig.completion.clips, trial.mvm.clips);
			ck_assert_uint_eq(rig.completion.mvm_count, trial.mvm.count);
			ck_assert_uint_eq(rig.completion.mac_count, (uint64_t)trial.mvm.count *
									    trial.mvm.rows *
									    trial.mvm.cols);
			ck_assert_uint_eq(rig.completion.conversions, trial.mvm.conversions);
		}
		rig_close(&rig);
	}
	free(output);
	free(partial);
	free_trial(&trial);
}
END_TEST

/* Batches that are cut into several pieces, by vectors and columns or by vectors alone, on one thread to eight. */
START_TEST(threads_do_not_change_bits)
{
	enum { ROWS = 300, COLS = 600, COUNT = 270, TILE_ROWS = 3 };
	static const char *const settings[] = { "adc_bits=8", "adc_bits=5", "adc_bits=ideal",
						"adc_bits=ideal,tile_cols=96" };
	static const uint32_t threads[] = { 1, 2, 5, 8 };
	const size_t output_bytes = COUNT * COLS * sizeof(float);
	const size_t partial_bytes = TILE_ROWS * output_bytes;
	uint64_t state = rig_seed();
	struct trial trial;
	float *first = malloc(output_bytes), *first_partials = malloc(partial_bytes);
	float *output = malloc(output_bytes), *partials = malloc(partial_bytes);

	memset(&trial, 0, sizeof(trial));
	trial.mvm.rows = ROWS;
	trial.mvm.cols = COLS;
	trial.mvm.count = COUNT;
	trial.mvm.transpose = _i % 2;
	trial.inputs = trial.mvm.transpose ? COLS : ROWS;
	trial.outputs = trial.mvm.transpose ? ROWS : COLS;
	trial.tile_rows = TILE_ROWS;
	trial.weights = random_int8(&state, ROWS * COLS, 0);
	trial.mvm.input = trial.input = random_floats(&state, COUNT * COLS);
	trial.scale = random_floats(&state, COLS * TILE_ROWS);
	trial.start = random_floats(&state, COUNT * COLS);
	trial.mvm.scale = trial.scale;
	trial.mvm.tile_scale = !trial.mvm.transpose;
	trial.mvm.partials = trial.mvm.transpose ? NULL : partials;
	for (int i = 0; i < 4; i++) {
		struct rig rig;

		memset(output, 0, output_bytes);
		memset(partials, 0, partial_bytes);
		rig_open(&rig, "isaac", settings[_i / 2]);
		rig.threads = threads[i];
		run_trial(&rig, &trial, rig_matrix(&rig, ROWS, COLS, trial.weights), output,
			  partials);
		rig_close(&rig);
		if (i == 0) {
			memcpy(first, output, output_bytes);
			memcpy(first_partials, partials, partial_bytes);
		}
		ck_assert_mem_eq(output, first, output_bytes);
		ck_assert_mem_eq(partials, first_partials, partial_bytes);
	}
	free(first);
	free(first_partials);
	free(output);
	free(partials);
	free_trial(&trial);
}
END_TEST

/* More quantised inputs than the workspace takes at once: the batch is cut into runs, vector by vector the same. */
START_TEST(long_batches_are_cut)
{
	enum { ROWS = 4096, COLS = 512, COUNT = 40, TILES = ROWS / 4 };
	uint64_t state = rig_seed();
	int8_t *weights = random_int8(&state, ROWS * COLS, 0);
	float *input = random_floats(&state, COUNT * COLS);
	float *scale = random_floats(&state, TILES * COLS);
	float *output = malloc(COUNT * ROWS * sizeof(float));
	float *single = malloc(ROWS * sizeof(float));
	struct buffer buffers[] = { { input, COUNT * COLS * 4 },
				    { scale, TILES * COLS * 4 },
				    { output, COUNT * ROWS * 4 },
				    { single, ROWS * 4 } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = LF_MVM_TRANSPOSE | LF_MVM_TILE_SCALE,
		.count = COUNT,
		.input = { .space = LF_SPACE_BUFFER, .stride = COLS * 4 },
		.scale = { .space = LF_SPACE_BUFFER, .buffer = 1 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 2, .stride = ROWS * 4 },
	};
	struct rig rig;

	rig_open(&rig, "isaac", "tiles=32768,tile_rows=4,adc_bits=3");
	rig.threads = 4;
	command.matrix = rig_matrix(&rig, ROWS, COLS, weights);
	ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 4), LF_STATUS_OK);
	ck_assert_uint_gt(rig.completion.clips, 0);
	command.count = 1;
	command.output.buffer = 3;
	for (int v = 0; v < COUNT; v += 13) {
		command.input.offset = (uint64_t)v * COLS * 4;
		ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 4), LF_STATUS_OK);
		ck_assert_mem_eq(single, output + v * ROWS, ROWS * 4);
	}
	rig_close(&rig);
	free(weights);
	free(input);
	free(scale);
	free(output);
	free(single);
}
END_TEST

/* isaac as published loses nothing on weights like trained ones; six bits do. */
START_TEST(published_converters_are_lossless)
{
	static const char *const settings[] = { "adc_bits=ideal", "adc_bits=8", "adc_bits=6" };
	uint64_t state = rig_seed(), clips[3];
	int8_t *weights = malloc(256 * 64), *input = malloc(64 * 256);
	float *outputs[3];

	for (size_t i = 0; i < 256 * 64; i++) {
		int sum = 0;

		for (int j = 0; j < 8; j++)
			sum += (int)draw_below(&state, 255) - 127;
		weights[i] = (int8_t)(sum / 8);
		input[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	}
	for (int i = 0; i < 3; i++) {
		struct rig rig;
		struct buffer buffers[2] = { { input, 64 * 256 },
					     { NULL, 64 * 64 * sizeof(float) } };
		struct lf_command command = {
			.opcode = LF_OP_MVM,
			.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE,
			.count = 64,
			.fixed_scale = bits_of(1.0f),
			.input = { .space = LF_SPACE_BUFFER, .stride = 256 },
			.output = { .space = LF_SPACE_BUFFER,
				    .buffer = 1,
				    .stride = 64 * sizeof(float) },
		};

		outputs[i] = malloc(64 * 64 * sizeof(float));
		buffers[1].memory = outputs[i];
		rig_open(&rig, "isaac", settings[i]);
		command.matrix = rig_matrix(&rig, 256, 64, weights);
		ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 2), LF_STATUS_OK);
		clips[i] = rig.completion.clips;
		rig_close(&rig);
	}
	ck_assert_mem_eq(outputs[0], outputs[1], 64 * 64 * sizeof(float));
	ck_assert_uint_eq(clips[1], 0);
	ck_assert_uint_gt(clips[2], 0);
	ck_assert_int_ne(memcmp(outputs[0], outputs[2], 64 * 64 * sizeof(float)), 0);
	for (int i = 0; i < 3; i++)
		free(outputs[i]);
	free(weights);
	free(input);
}
END_TEST

/* Clips of one column of @count weights, all driven. */
static uint64_t clips_of_column(const char *settings, int8_t weight, uint32_t count)
{
	int8_t weights[256] = { 0 }, input[256];
	float output;
	struct buffer buffers[2] = { { input, sizeof(input) }, { &output, sizeof(output) } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE,
		.count = 1,
		.fixed_scale = bits_of(1.0f),
		.input = { .space = LF_SPACE_BUFFER, .stride = 256 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = 4 },
	};
	struct rig rig;
	uint64_t clips;

	memset(weights, weight, count);
	memset(input, 1, sizeof(input));
	rig_open(&rig, "isaac", settings);
	command.matrix = rig_matrix(&rig, 256, 1, weights);
	ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 2), LF_STATUS_OK);
	clips = rig.completion.clips;
	if (!clips)
		ck_assert_int_eq((int)output, weight * (int)count);
	rig_close(&rig);
	return clips;
}

/* The proof that no conversion clips gives way exactly where one can. */
START_TEST(lossless_up_to_the_last_level)
{
	const char *before = "tile_rows=256,adc_bits=6,adc_subtract=before";
	const char *after = "tile_rows=256,adc_bits=6,adc_subtract=after";

	ck_assert_uint_eq(clips_of_column(before, 1, 31), 0);
	ck_assert_uint_eq(clips_of_column(before, 1, 32), 1);
	ck_assert_uint_eq(clips_of_column(before, -1, 32), 0);
	ck_assert_uint_eq(clips_of_column(before, -1, 33), 1);
	ck_assert_uint_eq(clips_of_column(after, 1, 63), 0);
	ck_assert_uint_eq(clips_of_column(after, 1, 64), 1);
	ck_assert_uint_eq(clips_of_column(after, -1, 63), 0);
	ck_assert_uint_eq(clips_of_column(after, -1, 64), 1);
	/* The top slice holds bit 6 alone. */
	ck_assert_uint_eq(clips_of_column(after, 64, 63), 0);
	ck_assert_uint_eq(clips_of_column(after, 64, 64), 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar product");
	TCase *tests = tcase_create("product");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, random_products_equal_the_reference, 0, 240);
	tcase_add_loop_test(tests, threads_do_not_change_bits, 0, 8);
	tcase_add_test(tests, long_batches_are_cut);
	tcase_add_test(tests, published_converters_are_lossless);
	tcase_add_test(tests, lossless_up_to_the_last_level);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
