// SPDX-License-Identifier: MIT
/*
 * The step that CALIBRATE chooses, against every step tried: by the reference where cells are exact, by products of the device
 * where they are not.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/device.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_reference.h"
#include "tests/unit/xbar_rig.h"

enum { ROWS = 200, COLS = 70, COUNT = 45, STEPS = 15 };

/**
 * struct bench - weights and samples
 * @samples: @inputs by the scale of the vector; the largest magnitude of each is 127 of it, so that quantising changes nothing
 */
struct bench {
	int8_t weights[ROWS * COLS];
	int8_t inputs[COUNT * ROWS];
	float samples[COUNT * ROWS];
	float ideal[COUNT * COLS];
	float output[COUNT * COLS];
};

/* What each step gives; a step of 0 ends the list. */
struct tried {
	uint32_t step;
	uint64_t clips;
	double error;
};

/* Powers of two: results are exact. */
static float scale_of(uint32_t vector)
{
	return 1.0f / (float)(1u << vector % 5);
}

/* Weights of a bell whose width is about @spread, and inputs that are more often small than large. */
static struct bench *make_bench(uint32_t spread, uint64_t *state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	ck_assert_ptr_nonnull(bench);
	for (uint32_t i = 0; i < ROWS * COLS; i++) {
		int32_t sum = 0;

		for (int term = 0; term < 4; term++)
			sum += (int32_t)draw_below(state, spread) -
			       (int32_t)draw_below(state, spread);
		bench->weights[i] = (int8_t)(sum > 127 ? 127 : sum < -127 ? -127 : sum);
	}
	for (uint32_t i = 0; i < COUNT * ROWS; i++) {
		uint32_t magnitude = draw_below(state, 128) * draw_below(state, 128) / 128;

		/* Vectors of large scale have small numbers, as those with one large element have. */
		magnitude >>= 4 - i / ROWS % 5;
		bench->inputs[i] = (int8_t)(draw(state) & 1 ? magnitude : -magnitude);
		if (i % ROWS == 0)
			bench->inputs[i] = 127;
		bench->samples[i] = bench->inputs[i] * scale_of(i / ROWS);
	}
	return bench;
}

static struct lf_command command_of(uint16_t opcode, uint32_t matrix)
{
	return (struct lf_command){
		.opcode = opcode,
		.matrix = matrix,
		.count = COUNT,
		.input = { .space = LF_SPACE_BUFFER, .stride = ROWS * sizeof(float) },
	};
}

/* Products of the samples, as the job that calibrates numbers them; conversions that clipped. */
static uint64_t multiply(struct rig *rig, uint32_t matrix, struct bench *bench, float *output)
{
	struct lf_command command = command_of(LF_OP_MVM, matrix);
	struct buffer buffers[] = { { bench->samples, sizeof(bench->samples) },
				    { output, sizeof(bench->output) } };

	command.output = (struct lf_operand){
		.space = LF_SPACE_BUFFER,
		.buffer = 1,
		.stride = COLS * sizeof(float),
	};
	ck_assert_uint_eq(rig_run(rig, &command, 1, buffers, 2), LF_STATUS_OK);
	return rig->completion.clips;
}

static uint64_t calibrate(struct rig *rig, uint32_t matrix, struct bench *bench)
{
	struct lf_command command = command_of(LF_OP_CALIBRATE, matrix);
	struct buffer buffer = { bench->samples, sizeof(bench->samples) };

	ck_assert_uint_eq(rig_run(rig, &command, 1, &buffer, 1), LF_STATUS_OK);
	return rig->completion.result;
}

static double error_of(const struct bench *bench)
{
	double error = 0;

	for (uint32_t i = 0; i < COUNT * COLS; i++) {
		double difference = (double)bench->output[i] - (double)bench->ideal[i];

		error += difference * difference;
	}
	return error;
}

/* Of the steps up to the first that clips nothing the one with the least error, the smaller of equal ones. */
static uint32_t choose(const struct tried *tried)
{
	const struct tried *best = tried;

	for (; tried->step; tried++) {
		if (tried->error < best->error)
			best = tried;
		if (!tried->clips)
			break;
	}
	return best->step;
}

/* The step that clips nothing, which is not what is asked for. */
static uint32_t widest(const struct tried *tried)
{
	while (tried->clips && tried[1].step)
		tried++;
	return tried->step;
}

static void reference(const struct xbar_params *params, struct bench *bench, uint32_t step,
		      float *output, uint64_t *clips)
{
	struct reference_mvm mvm = {
		.tile = {
			.rows = params->tile_rows,
			.weights = 16,
			.cell_bits = params->cell_bits,
			.adc_bits = step ? params->adc_bits : 0,
			.adc_step = (int32_t)step,
			.adc_offset = step ? (int32_t)xbar_params_offset(params, step) : 0,
			.after = params->adc_subtract == XBAR_SUBTRACT_AFTER,
		},
		.rows = ROWS,
		.cols = COLS,
		.count = COUNT,
		.weights = bench->weights,
		.input_int8 = bench->inputs,
		.fixed_scale = 1.0f,
		.output = output,
	};

	reference_mvm(&mvm);
	for (uint32_t i = 0; i < COUNT * COLS; i++)
		output[i] *= scale_of(i / COLS);
	*clips = mvm.clips;
}

static const char *const exact_cells[] = {
	"adc_bits=3",
	"adc_bits=4",
	"adc_bits=5",
	"adc_bits=6",
	"adc_bits=7",
	"adc_bits=8",
	"adc_bits=5,adc_subtract=before",
	"adc_bits=4,adc_subtract=before,adc_offset=-5",
	"adc_bits=4,cell_bits=4,tile_cols=64",
};

START_TEST(exact_cells_have_the_least_error)
{
	uint64_t state = rig_seed() + (uint64_t)_i;
	struct bench *bench = make_bench(_i % 2 ? 32 : 10, &state);
	struct tried tried[STEPS + 1] = { 0 };
	uint32_t count = 0, matrix;
	uint64_t clips;
	struct rig rig;

	rig_open(&rig, "isaac", exact_cells[_i]);
	ck_assert_int_eq(rig_attach(&rig), 0);
	matrix = rig_matrix(&rig, ROWS, COLS, bench->weights);
	reference(rig.params, bench, 0, bench->ideal, &clips);
	for (uint32_t step = 1; step <= XBAR_STEP_MAX; step *= 2) {
		if (!xbar_params_step_fits(rig.params, step))
			continue;
		reference(rig.params, bench, step, bench->output, &clips);
		tried[count++] = (struct tried){ step, clips, error_of(bench) };
	}
	ck_assert_uint_eq(calibrate(&rig, matrix, bench), choose(tried));
	if (rig.params->adc_bits == 8)
		ck_assert_uint_eq(choose(tried), 1);
	if (rig.params->adc_bits == 6)
		ck_assert_uint_lt(choose(tried), widest(tried));
	rig_close(&rig);
	free(bench);
}
END_TEST

static const char *const analog_cells[] = {
	"adc_bits=4,program_sigma=0.02",
	"adc_bits=5,program_sigma=0.02,read_noise=0.1",
	"adc_bits=6,program_sigma=0.01,on_off_ratio=20",
	"adc_bits=5,adc_subtract=before,read_noise=0.02",
};

/* The device tries every step itself; what is right is what the same cells give with ideal converters and no noise. */
START_TEST(analog_cells_have_the_least_error)
{
	static const char *const sets[] = { "scalar", "auto" };
	uint64_t state = rig_seed() + (uint64_t)_i;
	struct bench *bench = make_bench(_i % 2 ? 32 : 10, &state);

	for (uint32_t set = 0; set < 2; set++) {
		struct tried tried[STEPS + 1] = { 0 };
		uint32_t count = 0, matrix;
		struct matrix *found;
		struct rig rig;

		rig_open(&rig, "isaac", analog_cells[_i]);
		ck_assert_int_eq(xbar_params_set(rig.params, "simd", sets[set], NULL), 0);
		ck_assert_int_eq(xbar_params_set(rig.params, "adc_bits", "ideal", NULL), 0);
		ck_assert_int_eq(xbar_params_set(rig.params, "read_noise", "0", NULL), 0);
		ck_assert_int_eq(rig_attach(&rig), 0);
		matrix = rig_matrix(&rig, ROWS, COLS, bench->weights);
		multiply(&rig, matrix, bench, bench->ideal);
		rig_close(&rig);
		rig_open(&rig, "isaac", analog_cells[_i]);
		ck_assert_int_eq(xbar_params_set(rig.params, "simd", sets[set], NULL), 0);
		ck_assert_int_eq(rig_attach(&rig), 0);
		matrix = rig_matrix(&rig, ROWS, COLS, bench->weights);
		found = xbar_directory_find(rig.xbar, matrix);
		for (uint32_t step = 1; step <= XBAR_STEP_MAX; step *= 2) {
			uint64_t clips;

			if (!xbar_params_step_fits(rig.params, step))
				continue;
			found->entry.adc_step = step;
			found->generation++;
			clips = multiply(&rig, matrix, bench, bench->output);
			tried[count++] = (struct tried){ step, clips, error_of(bench) };
		}
		ck_assert_uint_eq(calibrate(&rig, matrix, bench), choose(tried));
		ck_assert_uint_eq(found->entry.adc_step, choose(tried));
		rig_close(&rig);
	}
	free(bench);
}
END_TEST

/* Without weights every step gives the same; the smallest is taken. */
START_TEST(equal_steps_give_the_smallest)
{
	uint64_t state = rig_seed();
	struct bench *bench = make_bench(1, &state);
	struct rig rig;

	rig_open(&rig, "isaac", "adc_bits=4");
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(calibrate(&rig, rig_matrix(&rig, ROWS, COLS, bench->weights), bench), 1);
	rig_close(&rig);
	free(bench);
}
END_TEST

int main(void)
{
	TCase *tests = tcase_create("calibrate");
	Suite *suite = suite_create("xbar_calibrate");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, exact_cells_have_the_least_error, 0,
			    sizeof(exact_cells) / sizeof(exact_cells[0]));
	tcase_add_loop_test(tests, analog_cells_have_the_least_error, 0,
			    sizeof(analog_cells) / sizeof(analog_cells[0]));
	tcase_add_test(tests, equal_steps_give_the_smallest);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
