// SPDX-License-Identifier: MIT
/*
 * Parameters: as text there and back, combinations that are refused, what follows from them, preset files, and the presets against what
 * is published.
 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/energy.h"
#include "qemu-device/model/params.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

START_TEST(every_preset_is_possible)
{
	char message[XBAR_MESSAGE_BYTES] = "";
	uint32_t count = 0;

	for (const char *name; (name = xbar_params_preset(count)); count++) {
		struct xbar_params *params = rig_params(name, "");

		ck_assert_str_eq(params->preset, name);
		ck_assert_msg(xbar_params_check(params, message) == 0, "%s: %s", name, message);
		xbar_params_free(params);
	}
	ck_assert_uint_ge(count, 5);
	ck_assert_ptr_null(xbar_params_preset(UINT32_MAX));
}
END_TEST

/* What get says, set takes, and the parameters are what they were; of the oracle's only what it can be told. */
START_TEST(values_go_there_and_back)
{
	const char *name = xbar_params_preset((uint32_t)_i);
	struct xbar_params *params = rig_params(name, ""), *other = rig_params("ideal", "");
	char value[XBAR_MESSAGE_BYTES], message[XBAR_MESSAGE_BYTES];
	const char *key, *unit, *help;

	memcpy(other->preset, params->preset, sizeof(other->preset));
	ck_assert(!xbar_params_given(other, "adc_bits"));
	for (uint32_t i = 0; !xbar_params_describe(i, &key, &unit, &help); i++) {
		ck_assert_int_eq(xbar_params_get(params, key, value), 0);
		ck_assert_msg(xbar_params_set(other, key, value, message) == 0, "%s: %s", name,
			      message);
	}
	ck_assert(xbar_params_given(other, "adc_bits") && !xbar_params_given(other, "no_such"));
	memset(other->given, 0, sizeof(other->given));
	ck_assert_mem_eq(params, other, sizeof(*params));
	ck_assert_int_eq(xbar_params_get(params, "no_such", value), -ENOENT);
	xbar_params_free(params);
	xbar_params_free(other);
}
END_TEST

START_TEST(values_are_written_as_people_do)
{
	static const char *const cases[][3] = {
		{ "adc_bits", "ideal", "ideal" },
		{ "adc_bits", "06", "6" },
		{ "adc_offset", "auto", "auto" },
		{ "adc_offset", "-12", "-12" },
		{ "adc_energy_aj", "auto", "auto" },
		{ "default_quota", "unlimited", "unlimited" },
		{ "retire_cells", "never", "never" },
		{ "retire_cells", "0", "0" },
		{ "endurance", "infinite", "infinite" },
		{ "pair", "rows", "rows" },
		{ "ir_drop", "exact", "exact" },
		{ "simd", "avx2", "avx2" },
		{ "program_sigma", "0.010", "0.01" },
		{ "program_sigma", ".5", "0.5" },
		{ "program_sigma", "1.", "1" },
		{ "program_sigma_slope", "-0.000001", "-0.000001" },
		{ "relax_mean", "-1", "-1" },
		{ "on_off_ratio", "9.777778", "9.777778" },
		{ "on_off_ratio", "infinite", "infinite" },
		{ "temperature_mc", "-40000", "-40000" },
		{ "seed", "9223372036854775807", "9223372036854775807" },
	};
	struct xbar_params *params = rig_params("isaac", "");
	char value[XBAR_MESSAGE_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		rig_set(params, cases[i][0], cases[i][1]);
		ck_assert_int_eq(xbar_params_get(params, cases[i][0], value), 0);
		ck_assert_str_eq(value, cases[i][2]);
	}
	xbar_params_free(params);
}
END_TEST

/* What was bad is named, and nothing has changed. */
START_TEST(bad_values_are_refused)
{
	static const struct {
		const char *key;
		const char *value;
		int error;
	} cases[] = {
		{ "adc_bits", "0", -ERANGE },
		{ "program_sigma", "0.0000001", -EINVAL },
		{ "program_sigma", "1e-3", -EINVAL },
		{ "program_sigma", "nan", -EINVAL },
		{ "program_sigma", "-0.1", -ERANGE },
		{ "program_sigma", "", -EINVAL },
		{ "program_sigma", ".", -EINVAL },
		{ "program_sigma", "-", -EINVAL },
		{ "program_sigma", "99999999999999999999999", -ERANGE },
		{ "on_off_ratio", "1", -ERANGE },
		{ "on_off_ratio", "0", -ERANGE },
		{ "endurance", "0", -ERANGE },
		{ "retention_s", "0", -ERANGE },
		{ "relax_start_ms", "0", -ERANGE },
		{ "pair", "row", -EINVAL },
		{ "pair", "columns rows", -EINVAL },
		{ "ir_drop", "0", -EINVAL },
		{ "seed", "-1", -ERANGE },
		{ "seed", "0x10", -EINVAL },
		{ "temperature_mc", "150001", -ERANGE },
		{ "cell_bits", "8", -ERANGE },
		{ "wear_rows", "0", -ERANGE },
	};
	struct xbar_params *params = rig_params("wan2022", ""), before = *params;
	char message[XBAR_MESSAGE_BYTES];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_msg(xbar_params_set(params, cases[i].key, cases[i].value, message) ==
				      cases[i].error,
			      "%s=%s", cases[i].key, cases[i].value);
		ck_assert_msg(!strncmp(message, cases[i].key, strlen(cases[i].key)), "%s", message);
		ck_assert_mem_eq(params, &before, sizeof(before));
	}
	xbar_params_free(params);
}
END_TEST

/* @settings on @preset: the message begins with the parameter that is wrong. */
START_TEST(impossible_combinations_are_refused)
{
	static const struct {
		const char *preset;
		const char *settings[3][2];
		const char *named;
	} cases[] = {
		{ "isaac", { { "tile_rows", "6" } }, "tile_rows" },
		{ "isaac", { { "tile_cols", "31" } }, "tile_cols" },
		{ "isaac", { { "pair", "rows" } }, "adc_subtract" },
		{ "ideal", { { "pair", "rows" } }, "adc_subtract" },
		{ "wan2022", { { "adc_subtract", "after" } }, "adc_subtract" },
		{ "wan2022", { { "tile_cols", "15" }, { "cell_bits", "1" } }, "tile_cols" },
		{ "isaac", { { "adc_step", "3" } }, "adc_step" },
		{ "isaac", { { "adc_step", "16384" } }, "adc_step" },
		{ "isaac", { { "adc_offset", "-300" } }, "adc_step" },
		{ "isaac", { { "tile_rows", "1024" }, { "cell_bits", "7" } }, "cell_bits" },
		{ "ideal", { { "tile_rows", "1024" }, { "cell_bits", "7" } }, "cell_bits" },
		{ "wan2022", { { "tile_rows", "256" } }, "cell_bits" },
		{ "wan2022", { { "adc_range", "maximum" } }, "adc_range" },
		{ "ideal", { { "adc_range", "maximum" } }, "adc_range" },
		{ "isaac",
		  { { "adc_range", "maximum" },
		    { "adc_subtract", "before" },
		    { "adc_offset", "-1" } },
		  "adc_range" },
		{ "isaac", { { "spare_weights", "17" } }, "spare_weights" },
		{ "isaac", { { "verify_pulses", "2" } }, "verify_pulses" },
		{ "isaac", { { "program_sigma_slope", "-0.01" } }, "program_sigma_slope" },
		{ "isaac", { { "stuck_on", "0.6" }, { "stuck_off", "0.5" } }, "stuck_off" },
		{ "isaac", { { "endurance_spread", "1" } }, "endurance_spread" },
		{ "isaac", { { "worn_on", "0.5" } }, "worn_on" },
		{ "isaac", { { "retention_activation_mev", "1" } }, "retention_activation_mev" },
		{ "isaac", { { "temperature_max_mc", "105001" } }, "temperature_max_mc" },
		{ "isaac", { { "temperature_mc", "105000" } }, "temperature_mc" },
		{ "float", { { "adc_bits", "8" } }, "adc_bits" },
		{ "float", { { "pair", "rows" } }, "pair" },
		{ "float", { { "spare_weights", "1" } }, "spare_weights" },
		{ "float", { { "on_off_ratio", "100" } }, "on_off_ratio" },
		{ "float", { { "program_sigma", "0.1" } }, "program_sigma" },
		{ "float", { { "read_noise", "0.1" } }, "read_noise" },
		{ "float", { { "relax_mean", "0.1" } }, "relax_mean" },
		{ "float", { { "retention_s", "1" } }, "retention_s" },
		{ "float", { { "stuck_off", "0.1" } }, "stuck_off" },
		{ "float", { { "endurance", "10" } }, "endurance" },
		{ "float", { { "temperature_coefficient", "0.1" } }, "temperature_coefficient" },
		{ "float", { { "ir_drop", "fast" } }, "ir_drop" },
		{ "float", { { "wire_mohm", "1000" } }, "wire_mohm" },
		{ "isaac", { { "wire_mohm", "1000" } }, "wire_mohm" },
		{ "isaac", { { "driver_mohm", "1" } }, "driver_mohm" },
		{ "wan2022", { { "sense_mohm", "1" } }, "sense_mohm" },
		{ "isaac", { { "ir_drop", "fast" } }, "ir_drop" },
		{ "wan2022", { { "ir_drop", "exact" } }, "ir_drop" },
		{ "isaac", { { "read_noise_of", "conductance" } }, "read_noise_of" },
		{ "isaac", { { "relax_start_ms", "10" } }, "relax_start_ms" },
		{ "isaac",
		  { { "relax_sigma", "0.1" }, { "relax_sigma_g2", "-0.2" } },
		  "relax_sigma_g1" },
		{ "isaac", { { "relax_sigma_slope_g4", "-0.001" } }, "relax_sigma_slope_g1" },
		{ "float", { { "relax_sigma_g3", "1" } }, "relax_sigma_g3" },
		{ "isaac", { { "verify_energy_aj", "10" } }, "verify_energy_aj" },
		{ "isaac", { { "adc_range", "maximum" }, { "adc_step", "2" } }, "adc_step" },
		{ "ideal", { { "adc_step", "2" } }, "adc_step" },
		{ "wan2022", { { "adc_bits", "ideal" }, { "adc_offset", "-4" } }, "adc_offset" },
		{ "wan2022",
		  { { "verify_tolerance", "0" }, { "verify_pulses", "5" } },
		  "verify_pulses" },
		{ "wan2022", { { "endurance", "infinite" }, { "worn_on", "1" } }, "worn_on" },
		{ "float", { { "adc_step", "4" } }, "adc_step" },
		{ "float", { { "cell_bits", "2" } }, "cell_bits" },
		{ "float", { { "adc_columns", "2" } }, "adc_columns" },
		{ "float", { { "array_energy_aj", "1" } }, "array_energy_aj" },
		{ "float", { { "static_power_nw", "1" } }, "static_power_nw" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct xbar_params *params = rig_params(cases[i].preset, "");
		char message[XBAR_MESSAGE_BYTES] = "";
		size_t length = strlen(cases[i].named);

		for (int j = 0; j < 3 && cases[i].settings[j][0]; j++)
			rig_set(params, cases[i].settings[j][0], cases[i].settings[j][1]);
		ck_assert_msg(xbar_params_check(params, message) == -EINVAL, "%s, %s: not refused",
			      cases[i].preset, cases[i].settings[0][0]);
		ck_assert_msg(!strncmp(message, cases[i].named, length) && message[length] == ':',
			      "'%s' does not begin with %s", message, cases[i].named);
		ck_assert_int_eq(xbar_params_check(params, NULL), -EINVAL);
		xbar_params_free(params);
	}
}
END_TEST

/* What a preset brings along for an effect that is taken away is just unused. */
START_TEST(effects_can_be_taken_away)
{
	static const char *const effects[][2] = {
		{ "verify_tolerance", "0" }, { "read_noise", "0" },
		{ "endurance", "infinite" }, { "adc_bits", "ideal" },
		{ "adc_range", "maximum" },  { "retention_s", "infinite" },
	};

	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		struct xbar_params *params = rig_params(i == 4 ? "falcone2025" : "wan2022", "");
		char message[XBAR_MESSAGE_BYTES] = "";

		rig_set(params, effects[i][0], effects[i][1]);
		ck_assert_msg(!xbar_params_check(params, message), "%s", message);
		xbar_params_free(params);
	}
}
END_TEST

/* The step that the words promise: no sum of levels clips with it, and one does with half of it. */
START_TEST(maximum_range_is_the_smallest_that_never_clips)
{
	static const char *const rows[] = { "4", "64", "128", "1024" };
	static const char *const bits[] = { "1", "2", "3", "5", "7" };
	static const char *const adc[] = { "4", "6", "8", "10", "12" };
	uint32_t found = 0;

	for (int i = 0; i < 4 * 5 * 5 * 2; i++) {
		struct xbar_params *params = rig_params("isaac", "");
		bool after = i / 100;
		int64_t sum, step;

		rig_set(params, "tile_rows", rows[i % 4]);
		rig_set(params, "cell_bits", bits[i / 4 % 5]);
		rig_set(params, "adc_bits", adc[i / 20 % 5]);
		rig_set(params, "adc_subtract", after ? "after" : "before");
		rig_set(params, "adc_range", "maximum");
		sum = xbar_params_full_scale(params);
		step = xbar_params_maximum_step(params);
		ck_assert_int_eq(step, xbar_params_step(params));
		ck_assert_int_eq(!xbar_params_check(params, NULL), step != 0);
		if (step) {
			int64_t codes = 1ll << params->adc_bits;

			found++;
			ck_assert_int_ge(after ? step * (codes - 1) : step * (codes / 2 - 1), sum);
			step /= 2;
			if (step)
				ck_assert_int_lt(
					after ? step * (codes - 1) : step * (codes / 2 - 1), sum);
		}
		xbar_params_free(params);
	}
	ck_assert_uint_gt(found, 100);
}
END_TEST

START_TEST(geometry_follows_the_pair)
{
	struct xbar_params *params = rig_params("wan2022", "");

	ck_assert_uint_eq(xbar_params_slices(params), 1);
	ck_assert_uint_eq(xbar_params_cells(params), 2);
	ck_assert_uint_eq(xbar_params_weights(params), 128);
	ck_assert_uint_eq(xbar_params_full_scale(params), 128 * 127);
	rig_set(params, "pair", "columns");
	ck_assert_uint_eq(xbar_params_weights(params), 64);
	xbar_params_free(params);
	params = rig_params("isaac", "");
	ck_assert_uint_eq(xbar_params_weights(params), 16);
	ck_assert_uint_eq(xbar_params_full_scale(params), 384);
	xbar_params_free(params);
}
END_TEST

/* Share of a normal distribution within @window. */
static double within(double window, double sigma)
{
	return erf(window / sigma / sqrt(2));
}

/* Figures that are published for NeuRRAM follow from its preset. */
START_TEST(wan2022_is_as_published)
{
	struct xbar_params *params = rig_params("wan2022", "");
	double g_max = params->g_max_ns / 1000.0, share, pulses, window, second, day;

	ck_assert_double_eq_tol(g_max, 40, 1e-9);
	ck_assert_double_eq_tol(g_max * 1e6 / params->on_off_ratio, 1, 1e-9);
	share = within(params->verify_tolerance, params->program_sigma);
	/* 8.52 pulses a cell if there were no last one; 99 % accepted. */
	ck_assert_double_eq_tol(1 / share, 8.52, 0.01);
	ck_assert_double_eq_tol(1 - pow(1 - share, params->verify_pulses), 0.99, 0.001);
	pulses = (1 - pow(1 - share, params->verify_pulses)) / share;
	/* About 1 nJ a write at Gmax: the pulse's energy is that of the middle of the range. */
	ck_assert_double_eq_tol(pulses * params->program_energy_aj * 1e-9 * 40 / 20.5, 0.76, 0.1);
	/* aihwkit's fits to its figures, after a second and a day, at 1, 10, 20 and 40 uS. */
	window = params->verify_tolerance * g_max * 1e-6 / sqrt(3);
	for (int i = 0; i < 4; i++) {
		static const double fits[4][3] = { { 1, 0.72, 1.22 },
						   { 10, 2.26, 3.72 },
						   { 20, 2.02, 3.91 },
						   { 40, 1.10, 2.65 } };

		second = xbar_params_relax_sigma(params, fits[i][0] / g_max) * g_max;
		day = second +
		      xbar_params_relax_slope(params, fits[i][0] / g_max) * g_max * log(86400);
		ck_assert_double_eq_tol(hypot(window, second), fits[i][1], 0.06);
		ck_assert_double_eq_tol(hypot(window, day), fits[i][2], 0.06);
	}
	/* One product of 128 x 128: a conversion of 23.9 pJ a column, whatever the cycles. */
	ck_assert_double_eq_tol(8 * xbar_energy_of_conversion(params) * 1e-6, 23.9, 1e-6);
	ck_assert_uint_gt(params->stuck_on + params->stuck_off, 0);
	ck_assert_uint_gt(params->read_noise, 0);
	xbar_params_free(params);
}
END_TEST

/* Falcone's fits, at values of their arguments. */
START_TEST(falcone2025_is_as_published)
{
	struct xbar_params *params = rig_params("falcone2025", "");
	double g_max = params->g_max_ns / 1000.0, unit = g_max * 1e-6, folds = log(3600.0);

	ck_assert_double_eq_tol(g_max * 1e6 / params->on_off_ratio, 9, 1e-5);
	for (double target = 10; target <= 80; target += 10)
		ck_assert_double_eq_tol(params->program_sigma * unit +
						params->program_sigma_slope * 1e-6 * target,
					0.0112903 * target + 0.0112185, 1e-4);
	ck_assert_double_eq_tol(params->relax_mean * unit * folds, -0.089 * folds, 1e-3);
	ck_assert_double_eq_tol((params->relax_sigma + params->relax_sigma_slope * folds) * unit,
				0.41183 + 0.042011 * folds, 1e-3);
	ck_assert_double_eq_tol(params->read_noise * unit,
				0.0277316 * log10(50.0) * sqrt(log(10.0 / 2e-6)), 1e-3);
	xbar_params_free(params);
}
END_TEST

static int parse(const char *text, size_t bytes, char *message, struct xbar_params **params)
{
	/* Exactly as long as the text: a reader that looks behind it is found. */
	char *copy = malloc(bytes ? bytes : 1);
	int error;

	ck_assert_ptr_nonnull(copy);
	memcpy(copy, text, bytes);
	error = xbar_params_parse(copy, bytes, message, params);
	free(copy);
	return error;
}

START_TEST(preset_files_are_read)
{
	static const char text[] = "# measured in May\r\n"
				   "\n"
				   "\tpreset=wan2022  # what it changes\n"
				   "  name = chip 7\n"
				   "program_sigma = 0.02\n"
				   "endurance=infinite#\n"
				   "endurance_spread = 0";
	char message[XBAR_MESSAGE_BYTES] = "";
	struct xbar_params *params, *expected = rig_params("wan2022", "");

	ck_assert_msg(parse(text, sizeof(text) - 1, message, &params) == 0, "%s", message);
	memset(expected->preset, 0, sizeof(expected->preset));
	strcpy(expected->preset, "chip 7");
	rig_set(expected, "program_sigma", "0.02");
	rig_set(expected, "endurance", "infinite");
	rig_set(expected, "endurance_spread", "0");
	ck_assert_mem_eq(params, expected, sizeof(*params));
	xbar_params_free(params);
	xbar_params_free(expected);
}
END_TEST

START_TEST(malformed_preset_files_are_refused)
{
	static const struct {
		const char *text;
		size_t bytes;
		int error;
		const char *line;
		const char *named;
	} cases[] = {
#define CASE(text, error, line, named) { text, sizeof(text) - 1, error, "line " line ":", named }
		CASE("", -EINVAL, "1", "preset"),
		CASE("# nothing\n\n", -EINVAL, "3", "preset"),
		CASE("adc_bits = 8\n", -EINVAL, "1", "preset"),
		CASE("preset = none\n", -ENOENT, "1", "\"none\""),
		CASE("preset =\n", -EINVAL, "1", "preset"),
		CASE("preset isaac\n", -EINVAL, "1", "key = value"),
		CASE("preset = isaac\npreset = isaac\n", -EINVAL, "2", "twice"),
		CASE("preset = isaac\n\nadc_bits = 9\nadc_bits = 9\n", -EINVAL, "4", "adc_bits"),
		CASE("preset = isaac\nname = a\nname = b\n", -EINVAL, "3", "name"),
		CASE("preset = isaac\nname = sixteen letters!\n", -EINVAL, "2", "name"),
		CASE("preset = isaac\nname = ideal\n", -EINVAL, "2", "built in"),
		CASE("preset = isaac\nname = isaac\n", -EINVAL, "2", "built in"),
		CASE("preset = isaac\nname = \xc3\xbc\n", -EINVAL, "2", "name"),
		CASE("preset = isaac\n= 3\n", -EINVAL, "2", "no key"),
		CASE("preset = isaac\nbits_of_adc = 3\n", -ENOENT, "2", "bits_of_adc"),
		CASE("preset = isaac\nadc_bits = 0\n", -ERANGE, "2", "adc_bits"),
		CASE("preset = isaac\nadc_bits = eight\n", -EINVAL, "2", "adc_bits"),
		CASE("preset = isaac\nadc_bits = 8 8\n", -EINVAL, "2", "adc_bits"),
		CASE("preset = isaac\nadc_bits = 8\0\n", -EINVAL, "2", "byte 0"),
		CASE("preset = isaac\nadc_bits \x01= 8\n", -EINVAL, "2", "control"),
#undef CASE
	};
	static char longest[400] = "preset = isaac\n";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char message[XBAR_MESSAGE_BYTES] = "";
		struct xbar_params *params = NULL;

		ck_assert_msg(parse(cases[i].text, cases[i].bytes, message, &params) ==
				      cases[i].error,
			      "case %zu: '%s'", i, message);
		ck_assert_ptr_null(params);
		ck_assert_msg(!strncmp(message, cases[i].line, strlen(cases[i].line)) &&
				      strstr(message, cases[i].named),
			      "case %zu: '%s'", i, message);
		ck_assert_int_eq(parse(cases[i].text, cases[i].bytes, NULL, &params),
				 cases[i].error);
	}
	memset(longest + 15, 'a', sizeof(longest) - 16);
	for (int i = 0; i < 2; i++) {
		char message[XBAR_MESSAGE_BYTES] = "";
		struct xbar_params *params = NULL;
		int error = parse(longest, sizeof(longest) - 1, message, &params);

		/* Too long, unless it is a comment. */
		ck_assert_msg(error == (i ? 0 : -EINVAL), "%s", message);
		xbar_params_free(params);
		longest[15] = '#';
	}
}
END_TEST

/* Every prefix of a good file is either good or refused, without a look at what is behind it. */
START_TEST(truncated_preset_files)
{
	static const char text[] = "preset = isaac\nname = x\nadc_bits = 6\nstuck_on = 0.001\n";
	char message[XBAR_MESSAGE_BYTES];
	uint32_t good = 0;

	for (size_t bytes = 0; bytes < sizeof(text); bytes++) {
		struct xbar_params *params = NULL;
		int error = parse(text, bytes, message, &params);

		good += !error;
		ck_assert_int_eq(!error, params != NULL);
		xbar_params_free(params);
	}
	ck_assert_uint_gt(good, 10);
	ck_assert_int_eq(parse(text, 2, NULL, &(struct xbar_params *){ NULL }), -EINVAL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar params");
	TCase *tests = tcase_create("params");

	tcase_add_test(tests, every_preset_is_possible);
	tcase_add_loop_test(tests, values_go_there_and_back, 0, 4);
	tcase_add_test(tests, values_are_written_as_people_do);
	tcase_add_test(tests, bad_values_are_refused);
	tcase_add_test(tests, impossible_combinations_are_refused);
	tcase_add_test(tests, effects_can_be_taken_away);
	tcase_add_test(tests, maximum_range_is_the_smallest_that_never_clips);
	tcase_add_test(tests, geometry_follows_the_pair);
	tcase_add_test(tests, wan2022_is_as_published);
	tcase_add_test(tests, falcone2025_is_as_published);
	tcase_add_test(tests, preset_files_are_read);
	tcase_add_test(tests, malformed_preset_files_are_refused);
	tcase_add_test(tests, truncated_preset_files);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
