// SPDX-License-Identifier: MIT
/*
 * Presets by what their cells do: figures that were published of the devices, found again on 100,000 cells; and that none but those
 * that say so is free of errors. What the parameters are is tested in test_xbar_params.c.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "qemu-device/model/physics.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define CELLS  100000
#define SECOND 1000000000ull
#define DAY    (86400 * SECOND)

/* What cells told to hold one level are like; faulty ones left out. Conductances in microsiemens. */
struct sample {
	double target;
	double mean;
	double sigma;
	double pulses;
	double failed;
};

static struct sample sample_cells(const struct xbar_params *params, uint32_t level, uint64_t age_ns)
{
	const struct history history = {
		.matrix = 1, .wear = 1, .age_ns = age_ns, .temperature_mc = 25000
	};
	double unit = (double)params->g_max_ns / 1000.0, sum = 0.0, squares = 0.0;
	uint32_t good = 0, faulty = 0;
	struct sample sample = { 0 };
	struct physics physics;

	xbar_physics_of(params, &history, &physics);
	sample.target = physics.target[level] * unit;
	for (uint32_t i = 0; i < CELLS; i++) {
		struct place place = { .tile = i / 1024, .row = i % 64, .weight = i / 64 % 16 };
		struct cell cell;
		double error;

		xbar_physics_at(&physics, &place, 1, level, &cell);
		if (cell.flags & (LF_CELL_STUCK_ON | LF_CELL_STUCK_OFF)) {
			faulty++;
			continue;
		}
		sample.pulses += cell.pulses;
		if (cell.flags & LF_CELL_FAILED) {
			sample.failed++;
			continue;
		}
		good++;
		error = cell.conductance * unit - sample.target;
		sum += error;
		squares += error * error;
	}
	sample.pulses /= CELLS - faulty;
	sample.failed /= CELLS - faulty;
	sample.mean = sum / good;
	sample.sigma = sqrt(squares / good - sample.mean * sample.mean);
	return sample;
}

static struct xbar_params *create(const char *preset)
{
	struct xbar_params *params;

	ck_assert_int_eq(xbar_params_create(preset, &params), 0);
	return params;
}

/*
 * Wan et al., Nature 608 (2022): within 1 uS of the target after 8.52 pulses in the mean, 99 % of the cells; aihwkit's fits
 * of their cells, in uS around the target by its share of 40 uS, after a second, a day and two.
 */
START_TEST(cells_of_wan2022)
{
	static const double fits[3][5] = {
		{ 0.348, 16.030, -43.853, 45.393, -16.815 },
		{ 0.701, 22.086, -50.773, 47.095, -16.458 },
		{ 0.782, 20.274, -43.507, 37.062, -11.934 },
	};
	static const double within[3] = { 0.06, 0.06, 0.18 };
	struct xbar_params *params = create("wan2022");

	for (uint32_t level = 20; level < 128; level += 53) {
		struct sample second = sample_cells(params, level, SECOND);
		struct sample day = sample_cells(params, level, DAY);
		struct sample samples[3] = { second, day, sample_cells(params, level, 2 * DAY) };

		/* A most of 37 pulses takes a tenth of a pulse off the mean. */
		ck_assert_double_eq_tol(second.pulses, 8.52, 0.2);
		ck_assert_double_eq_tol(second.failed, 0.01, 0.002);
		for (int age = 0; age < 3; age++) {
			double x = second.target / 40.0, fit = fits[age][4];

			for (int power = 3; power >= 0; power--)
				fit = fit * x + fits[age][power];
			/* Ages are computed as the youngest of eight steps to a doubling. */
			ck_assert_double_eq_tol(samples[age].sigma, fit, within[age] + 0.02 * fit);
		}
	}
	/* Gmin is 1 uS: nothing is too low. */
	ck_assert_double_eq_tol(sample_cells(params, 0, SECOND).pulses,
				2.0 / erfc(-1.0 / 6.775 / sqrt(2.0)), 0.03);
	xbar_params_free(params);
}
END_TEST

/*
 * Falcone et al.: programming leaves 1.129 % of the target + 0.0112 uS; at t seconds the mean has moved by -0.089 ln t uS and the
 * spread is 0.4118 + 0.04201 ln t uS.
 */
START_TEST(cells_of_falcone2025)
{
	struct xbar_params *params = create("falcone2025");

	for (uint32_t level = 0; level < 128; level += 127)
		for (uint64_t seconds = 1; seconds < 1000000; seconds *= 100) {
			struct sample sample = sample_cells(params, level, seconds * SECOND);
			double programmed = 0.01129 * sample.target + 0.0112;
			double relaxed = 0.4118 + 0.04201 * log((double)seconds);

			/* Ages are computed as the youngest of eight steps to a doubling. */
			ck_assert_double_eq_tol(sample.mean, -0.089 * log((double)seconds), 0.015);
			ck_assert_double_eq_tol(sample.sigma, hypot(programmed, relaxed),
						0.02 * hypot(programmed, relaxed));
			ck_assert_double_eq(sample.pulses, 1.0);
		}
	xbar_params_free(params);
}
END_TEST

/* An int8 of a normal distribution with the sigma that the preset was converted for. */
static int8_t draw_input(uint64_t *state)
{
	double radius = sqrt(-2.0 * log((draw(state) + 0.5) / 4294967296.0));
	double value = 127.0 / 4.0 * radius * cos(2.0 * M_PI * (draw(state) / 4294967296.0));

	return (int8_t)(value > 127.0 ? 127 : value < -127.0 ? -127 : lrint(value));
}

/*
 * aihwkit's 1 % a weight and product, w_noise, given back by jobs: the variance of a result is (1 % of 127)^2 times the sum of the squares
 * of its inputs. Everything else that errs is turned off. 128 x 64 differences of two results of equal inputs: their variance has a
 * standard error of sqrt(2 / 8,192) = 1.6 %, and rounding to whole levels adds 21,845 / 12, below 1 %: 6 % of it is within four errors.
 */
START_TEST(read_noise_of_wan2022)
{
	enum { SIZE = 128, PAIRS = 64 };
	static int8_t weights[SIZE * SIZE], inputs[2 * PAIRS * SIZE];
	static float results[2 * PAIRS * SIZE];
	struct buffer buffers[2] = { { inputs, sizeof(inputs) }, { results, sizeof(results) } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE,
		.count = 2 * PAIRS,
		.fixed_scale = 0x3f800000u,
		.input = { .space = LF_SPACE_BUFFER, .stride = SIZE },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = 4 * SIZE },
	};
	double noise = 0.0, signal = 0.0;
	uint64_t state = rig_seed();
	struct rig rig;

	rig_open(
		&rig, "wan2022",
		"tiles=1,adc_bits=ideal,program_sigma=0,stuck_on=0,stuck_off=0,endurance=infinite,"
		"relax_sigma=0,relax_sigma_g1=0,relax_sigma_g2=0,relax_sigma_g3=0,relax_sigma_g4=0,"
		"relax_sigma_slope=0,relax_sigma_slope_g1=0,relax_sigma_slope_g2=0,"
		"relax_sigma_slope_g3=0,relax_sigma_slope_g4=0");
	command.matrix = rig_matrix(&rig, SIZE, SIZE, weights);
	for (int i = 0; i < PAIRS * SIZE; i++) {
		int at = i / SIZE * 2 * SIZE + i % SIZE;

		inputs[at] = inputs[at + SIZE] = draw_input(&state);
		signal += (double)inputs[at] * inputs[at];
	}
	ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 2), LF_STATUS_OK);
	for (int i = 0; i < PAIRS * SIZE; i++) {
		const float *pair = results + i / SIZE * 2 * SIZE + i % SIZE;

		noise += pow((double)pair[0] - (double)pair[SIZE], 2.0) / 2.0;
	}
	ck_assert_double_eq_tol(noise / (SIZE * signal * pow(1.27, 2.0)), 1.0, 0.06);
	rig_close(&rig);
}
END_TEST

/* An exact device is one that says so; whatever else is shipped errs in writing, in reading and with time. */
START_TEST(only_exact_presets_are_exact)
{
	static const char *const exact[] = { "ideal", "isaac", "float" };
	const char *name;

	for (uint32_t i = 0; (name = xbar_params_preset(i)); i++) {
		struct xbar_params *params = create(name);
		bool is_exact = false;

		for (size_t k = 0; k < sizeof(exact) / sizeof(exact[0]); k++)
			is_exact |= !strcmp(name, exact[k]);
		ck_assert(xbar_physics_is_exact(params, 0, params->temperature_mc) == is_exact);
		ck_assert(!params->read_noise == is_exact);
		ck_assert(!params->program_sigma == is_exact);
		ck_assert(!params->relax_sigma == is_exact);
		ck_assert((params->on_off_ratio == XBAR_INFINITE) == is_exact);
		xbar_params_free(params);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar presets");
	TCase *tests = tcase_create("presets");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, cells_of_wan2022);
	tcase_add_test(tests, cells_of_falcone2025);
	tcase_add_test(tests, read_noise_of_wan2022);
	tcase_add_test(tests, only_exact_presets_are_exact);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
