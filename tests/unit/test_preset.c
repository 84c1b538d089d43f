// SPDX-License-Identifier: MIT
/*
 * Presets from files, files of measurements that are refused, and fits of simulated cells: what they were made with is found again within
 * the errors that are stated.
 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/device.h>
#include <lf/preset.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

static struct lf_preset *open_preset(const char *specification)
{
	struct lf_preset *preset;

	ck_assert_lf(lf_preset_open(&preset, specification, LF_ERROR));
	return preset;
}

START_TEST(presets_by_name_and_from_files)
{
	char specification[IO_PATH_BYTES + 8], value[LF_PRESET_VALUE_BYTES];
	const char *key, *unit, *help;
	struct lf_preset *preset;
	uint32_t count = 0;

	for (const char *name; (name = lf_preset_builtin(count)); count++) {
		preset = open_preset(name);
		ck_assert_str_eq(lf_preset_name(preset), name);
		ck_assert_lf(lf_preset_check(preset, LF_ERROR));
		lf_preset_close(preset);
	}
	ck_assert_uint_ge(count, 5);
	for (count = 0; !lf_preset_key(count, &key, &unit, &help); count++)
		;
	ck_assert_uint_gt(count, 60);

	io_write_text(io_path("my.preset"), "preset = isaac\nname = mine\nadc_bits = 6\n");
	snprintf(specification, sizeof(specification), "file=%s", io_path("my.preset"));
	preset = open_preset(specification);
	ck_assert_str_eq(lf_preset_name(preset), "mine");
	ck_assert_int_eq(lf_preset_get(preset, "adc_bits", value), 0);
	ck_assert_str_eq(value, "6");
	ck_assert_lf(lf_preset_set(preset, "adc_step", "3", LF_ERROR));
	ck_assert_lf_fails(lf_preset_check(preset, LF_ERROR), -EINVAL, "adc_step: 3");
	ck_assert_lf_fails(lf_preset_set(preset, "adc_step", "0", LF_ERROR), -ERANGE, "adc_step");
	lf_preset_close(preset);
	lf_preset_close(NULL);

	ck_assert_lf_fails(lf_preset_open(&preset, "none", LF_ERROR), -EINVAL, "\"none\"");
	ck_assert_lf_fails(lf_preset_open(&preset, "file=", LF_ERROR), -EINVAL, "file: is empty");
	ck_assert_lf_fails(lf_preset_open(&preset, "file=/nonesuch", LF_ERROR), -ENOENT,
			   "/nonesuch");
	ck_assert_ptr_null(preset);
	io_write_text(io_path("my.preset"), "preset = isaac\nbits = 6\n");
	ck_assert_lf_fails(lf_preset_open(&preset, specification, LF_ERROR), -EINVAL,
			   "line 2: bits");
}
END_TEST

/* A device in the process takes a file in a preset's place, and what follows changes it. */
START_TEST(a_device_of_a_preset_file)
{
	char specification[IO_PATH_BYTES + 64];
	struct lf_device *device;

	io_write_text(io_path("chip"), "preset = isaac\nname = chip\nadc_bits = 6\ntiles = 64\n");
	snprintf(specification, sizeof(specification), "inproc:file=%s,tile_rows=64,threads=1",
		 io_path("chip"));
	device = open_device(specification);
	ck_assert_str_eq((const char *)lf_device_info(device)->preset, "chip");
	ck_assert_uint_eq(lf_device_info(device)->adc_bits, 6);
	ck_assert_uint_eq(lf_device_info(device)->tile_rows, 64);
	ck_assert_uint_eq(lf_device_info(device)->tiles, 64);
	lf_device_close(device);

	ck_assert_lf_fails(lf_device_open("inproc:file=/nonesuch", &device, LF_ERROR), -ENOENT,
			   "/nonesuch");
	ck_assert_lf_fails(lf_device_open("inproc:isaac,file=x", &device, LF_ERROR), -EINVAL,
			   "file");
	io_write_text(io_path("chip"), "preset = isaac\nadc_step = 3\n");
	ck_assert_lf_fails(lf_device_open(specification, &device, LF_ERROR), -EINVAL,
			   "adc_step: 3");
	io_write_text(io_path("chip"), "preset = isaac\nadc_bits = many\n");
	ck_assert_lf_fails(lf_device_open(specification, &device, LF_ERROR), -EINVAL,
			   "line 2: adc_bits");
}
END_TEST

#define HEADER "cell,target_us,measured_us,pulses,seconds\n"

/* The line and the field of what is wrong. */
START_TEST(malformed_measurements_are_refused)
{
	static const struct {
		const char *text;
		const char *named;
	} cases[] = {
		{ "", "column cell: is missing" },
		{ "# only a comment\n", "column cell: is missing" },
		{ "cell,target_us,pulses,seconds\n1,2,3,4\n",
		  ":1: column measured_us: is missing" },
		{ "cell,target_us,measured_us,pulses,seconds,volts\n", ":1: field 6: \"volts\"" },
		{ "cell,cell,target_us,measured_us,pulses,seconds\n",
		  ":1: column cell: given twice" },
		{ HEADER, "has no measurements" },
		{ HEADER "1,10,10,1\n", ":2: 4 fields, not the 5" },
		{ HEADER "1,10,10,1,0,7\n", ":2: 6 fields, not the 5" },
		{ HEADER "1,10,10,1,0\n1,10,,1,0\n", ":3: column measured_us: \"\"" },
		{ HEADER "1,ten,10,1,0\n", ":2: column target_us: \"ten\"" },
		{ HEADER "1,0x10,10,1,0\n", ":2: column target_us" },
		{ HEADER "1,nan,10,1,0\n", ":2: column target_us" },
		{ HEADER "1,1e99,10,1,0\n", ":2: column target_us" },
		{ HEADER "1,-1,10,1,0\n", ":2: column target_us: -1 is not in" },
		{ HEADER "1.5,10,10,1,0\n", ":2: column cell: 1.5 is not a whole number" },
		{ HEADER "-1,10,10,1,0\n", ":2: column cell: -1 is not in" },
		{ HEADER "1,10,10,0,0\n", ":2: column pulses: 0 is not in" },
		{ HEADER "1,10,10,1,-1\n", ":2: column seconds: -1 is not in" },
		{ HEADER "1,10,10,1,0 1\n", ":2: column seconds: \"0 1\"" },
		{ HEADER "1,10,10,1,0\n\x01,10,10,1,0\n", ":3: line is not plain text" },
		{ HEADER "1,10,10,1,\xff\n", ":2: line is not plain text" },
		{ "a,b,c,d,e,f,g,h\n", ":1: line has more than 7 fields" },
	};
	static char longest[1000];
	struct lf_measurements measurements;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		io_write_text(io_path("cells.csv"), cases[i].text);
		ck_assert_lf_fails(
			lf_measurements_read(&measurements, io_path("cells.csv"), LF_ERROR),
			-EINVAL, cases[i].named);
		ck_assert_ptr_null(measurements.rows);
	}
	io_write(io_path("cells.csv"), HEADER "1,10,10,1\0,0\n", sizeof(HEADER) + 13);
	ck_assert_lf_fails(lf_measurements_read(&measurements, io_path("cells.csv"), LF_ERROR),
			   -EINVAL, ":2: line has a byte 0");
	memset(longest, '1', sizeof(longest) - 1);
	io_write_text(io_path("cells.csv"), longest);
	ck_assert_lf_fails(lf_measurements_read(&measurements, io_path("cells.csv"), LF_ERROR),
			   -EINVAL, ":1: line is longer");
	ck_assert_lf_fails(lf_measurements_read(&measurements, "/nonesuch", LF_ERROR), -ENOENT,
			   "/nonesuch");
	ck_assert_lf_fails(lf_measurements_read(&measurements, "/", LF_ERROR), -EINVAL, "/");
}
END_TEST

START_TEST(measurements_are_read)
{
	struct lf_measurements measurements;

	io_write_text(io_path("cells.csv"), "# probe station 2\r\n"
					    "seconds , read,cell,pulses,measured_us,target_us\r\n"
					    "\r\n"
					    "0,1, 7,3,1.05e1,+10\r\n"
					    "1.5e3,0,4294967295,1,-.25,0.\n");
	ck_assert_lf(lf_measurements_read(&measurements, io_path("cells.csv"), LF_ERROR));
	ck_assert_uint_eq(measurements.count, 2);
	ck_assert_uint_eq(measurements.rows[0].cell, 7);
	ck_assert_uint_eq(measurements.rows[0].read, 1);
	ck_assert_uint_eq(measurements.rows[0].pulses, 3);
	ck_assert_double_eq(measurements.rows[0].measured_us, 10.5);
	ck_assert_double_eq(measurements.rows[0].target_us, 10);
	ck_assert_uint_eq(measurements.rows[1].cell, UINT32_MAX);
	ck_assert_double_eq(measurements.rows[1].seconds, 1500);
	ck_assert_double_eq(measurements.rows[1].measured_us, -0.25);
	lf_measurements_free(&measurements);
}
END_TEST

/**
 * struct truth - cells as they are, microsiemens
 * @cells: number of them
 * @writes: of each, to targets all over the range
 * @reads: of each moment
 */
struct truth {
	uint32_t cells;
	uint32_t writes;
	uint32_t reads;
	double g_max;
	double g_min;
	double sigma;
	double slope;
	double tolerance;
	uint32_t most_pulses;
	double read_noise;
	double relax_mean;
	double relax_sigma;
	double relax_slope;
	double stuck_on;
	double stuck_off;
	double endurance;
	double spread;
	double worn_on;
};

static double uniform(uint64_t *state)
{
	return (draw(state) + 0.5) / 4294967296.0;
}

/* Box and Muller (1958), with the C library's functions. */
static double gaussian(uint64_t *state)
{
	double radius = sqrt(-2 * log(uniform(state)));

	return radius * cos(6.283185307179586 * uniform(state));
}

struct table {
	struct lf_measurement *rows;
	size_t count;
	size_t capacity;
};

static void add_row(struct table *table, const struct lf_measurement *row)
{
	if (table->count == table->capacity) {
		table->capacity = table->capacity ? 2 * table->capacity : 4096;
		table->rows = realloc(table->rows, table->capacity * sizeof(*table->rows));
		ck_assert_ptr_nonnull(table->rows);
	}
	table->rows[table->count++] = *row;
}

/* Reads a cell as often as the truth says. */
static void read_cell(struct table *table, const struct truth *truth, struct lf_measurement row,
		      double conductance, uint64_t *state)
{
	for (row.read = 0; row.read < truth->reads; row.read++) {
		row.measured_us = conductance + truth->read_noise * gaussian(state);
		add_row(table, &row);
	}
}

static const double ages[] = { 1, 10, 100, 3600, 86400 };

static void write_cell(struct table *table, const struct truth *truth, struct lf_measurement row,
		       const double *stuck, uint64_t *state)
{
	double sigma = truth->sigma + truth->slope * row.target_us, conductance, direction;

	row.pulses = 0;
	do {
		conductance = stuck ? *stuck : row.target_us + sigma * gaussian(state);
		row.pulses++;
	} while (truth->tolerance > 0 && row.pulses < truth->most_pulses &&
		 fabs(conductance - row.target_us) > truth->tolerance);
	read_cell(table, truth, row, conductance, state);
	direction = gaussian(state);
	for (size_t i = 0; truth->relax_sigma > 0 && i < sizeof(ages) / sizeof(ages[0]); i++) {
		double folds = log(ages[i] / ages[0]), moved;

		moved = truth->relax_mean * folds +
			direction * (truth->relax_sigma + truth->relax_slope * folds);
		row.seconds = ages[i];
		read_cell(table, truth, row, stuck ? *stuck : conductance + moved, state);
	}
}

static void simulate(const struct truth *truth, struct table *table, uint64_t seed)
{
	uint64_t state = seed;

	*table = (struct table){ 0 };
	for (uint32_t cell = 0; cell < truth->cells; cell++) {
		double born = uniform(&state), limit = INFINITY;
		double worn_at = uniform(&state) < truth->worn_on ? truth->g_max : truth->g_min;
		const double ends[2] = { truth->g_max, truth->g_min };
		const double *stuck = born < truth->stuck_on			  ? &ends[0]
				      : born < truth->stuck_on + truth->stuck_off ? &ends[1]
										  : NULL;

		if (truth->endurance > 0)
			limit = truth->endurance * exp(truth->spread * gaussian(&state));
		for (uint32_t i = 0; i < truth->writes; i++) {
			struct lf_measurement row = { .cell = cell };

			/* Another target each time: without cycles that is what tells writes apart. */
			row.target_us =
				truth->g_min +
				(truth->g_max - truth->g_min) / 63 *
					(truth->writes * draw_below(&state, 64 / truth->writes) +
					 i);
			/* A factor of two from one to the next; some cells bear them all. */
			if (truth->endurance > 0)
				row.cycles = ldexp(truth->endurance,
						   (int)i - (int)(3 * truth->writes / 4));
			write_cell(table, truth, row,
				   row.cycles > limit && !stuck ? &worn_at : stuck, &state);
		}
	}
}

/* The fitted value of a parameter, which must be there. */
static const struct lf_fit_value *value_of(const struct lf_fit *fit, const char *key)
{
	for (uint32_t i = 0; i < fit->value_count; i++)
		if (!strcmp(fit->values[i].key, key))
			return &fit->values[i];
	ck_abort_msg("%s: not fitted", key);
	return NULL;
}

/* Within four standard errors, which are not larger than @widest, and the parameter holds the value. */
static void assert_found(const struct lf_fit *fit, const struct lf_preset *preset, const char *key,
			 double truth, double widest)
{
	const struct lf_fit_value *value = value_of(fit, key);
	char text[LF_PRESET_VALUE_BYTES];

	ck_assert_msg(value->standard_error > 0 && value->standard_error <= widest,
		      "%s: standard error %g, at most %g", key, value->standard_error, widest);
	ck_assert_msg(fabs(value->value - truth) <= 4 * value->standard_error,
		      "%s: %g +- %g, in truth %g", key, value->value, value->standard_error, truth);
	ck_assert_int_eq(lf_preset_get(preset, key, text), 0);
	ck_assert_double_eq_tol(atof(text), value->value, truth > 1 ? 0.51 : 0.51e-6);
}

static void fit_table(const struct table *table, const struct truth *truth, const char *base,
		      struct lf_preset **preset, struct lf_fit *fit)
{
	const struct lf_measurements measurements = { table->count, table->rows };
	const struct lf_fit_range range = { truth->g_max, truth->g_min };

	*preset = open_preset(base);
	ck_assert_lf(lf_preset_fit(*preset, &measurements, &range, fit, LF_ERROR));
}

/* The figures of wan2022, without and with verifying. */
START_TEST(simulated_cells_are_fitted)
{
	struct truth truth = {
		.cells = 3000,
		.writes = 3,
		.reads = 3,
		.g_max = 40,
		.g_min = 4,
		.sigma = _i ? 5 : 0.6,
		.slope = _i ? 0.05 : 0.02,
		.tolerance = _i ? 1 : 0,
		.most_pulses = _i ? 15 : 1,
		/* Without verifying it is as large as what it is taken off from. */
		.read_noise = _i ? 0.1 : 0.5,
		.relax_mean = -0.05,
		.relax_sigma = _i ? 1.6 : 0.5,
		.relax_slope = _i ? 0.14 : 0.05,
		.stuck_on = 0.02,
		.stuck_off = 0.01,
	};
	struct lf_preset *preset;
	struct table table;
	struct lf_fit fit;

	simulate(&truth, &table, rig_seed() + (uint64_t)_i);
	fit_table(&table, &truth, "wan2022", &preset, &fit);
	/* Stuck cells that were only told to be where they are do not show. */
	ck_assert_uint_eq(fit.cells, truth.cells);
	ck_assert_double_eq_tol(fit.stuck_cells / 3000.0, 0.03, 0.012);
	ck_assert_double_eq_tol(value_of(&fit, "g_max_ns")->value, 40000, 1e-6);
	ck_assert_double_eq_tol(value_of(&fit, "on_off_ratio")->value, 10, 1e-6);
	assert_found(&fit, preset, "program_sigma", truth.sigma / 40, _i ? 0.005 : 0.001);
	assert_found(&fit, preset, "program_sigma_slope", truth.slope, _i ? 0.01 : 0.001);
	if (_i) {
		assert_found(&fit, preset, "verify_tolerance", truth.tolerance / 40, 0.005);
		ck_assert_double_eq(value_of(&fit, "verify_pulses")->value, 15);
	} else {
		ck_assert_double_eq(value_of(&fit, "verify_tolerance")->value, 0);
		ck_assert_double_eq(value_of(&fit, "verify_pulses")->value, 1);
	}
	ck_assert_double_lt(value_of(&fit, "program_sigma")->residual, 0.15);
	assert_found(&fit, preset, "read_noise", truth.read_noise / 40, 0.0002);
	assert_found(&fit, preset, "relax_mean", truth.relax_mean / 40, 0.001);
	assert_found(&fit, preset, "relax_sigma", truth.relax_sigma / 40, 0.002);
	assert_found(&fit, preset, "relax_sigma_slope", truth.relax_slope / 40, 0.0005);
	ck_assert_double_eq(value_of(&fit, "relax_start_ms")->value, 1000);
	assert_found(&fit, preset, "stuck_on", truth.stuck_on, 0.005);
	assert_found(&fit, preset, "stuck_off", truth.stuck_off, 0.005);
	lf_preset_close(preset);
	free(table.rows);
}
END_TEST

START_TEST(simulated_endurance_is_fitted)
{
	const struct truth truth = {
		.cells = 1500,
		.writes = 12,
		.reads = 1,
		.g_max = 90,
		.g_min = 9,
		.sigma = 0.5,
		.endurance = 200000,
		.spread = 0.8,
		.worn_on = 0.3,
	};
	struct lf_preset *preset;
	struct table table;
	struct lf_fit fit;

	simulate(&truth, &table, rig_seed());
	fit_table(&table, &truth, "isaac", &preset, &fit);
	assert_found(&fit, preset, "endurance", truth.endurance, 10000);
	assert_found(&fit, preset, "endurance_spread", truth.spread, 0.05);
	assert_found(&fit, preset, "worn_on", truth.worn_on, 0.03);
	assert_found(&fit, preset, "program_sigma", 0.5 / 90, 0.0005);
	ck_assert_uint_gt(fit.remark_count, 0);
	lf_preset_close(preset);
	free(table.rows);
}
END_TEST

/* What the data do not tell stays, and is said; what is too little is refused, and nothing has changed. */
START_TEST(little_data_is_refused)
{
	struct truth truth = {
		.cells = 40, .writes = 1, .reads = 1, .g_max = 40, .g_min = 4, .sigma = 1
	};
	char before[LF_PRESET_VALUE_BYTES], after[LF_PRESET_VALUE_BYTES];
	struct lf_measurements measurements;
	struct lf_fit_range range = { 0 };
	struct lf_preset *preset;
	struct table table;
	struct lf_fit fit;
	bool said = false;

	simulate(&truth, &table, rig_seed());
	fit_table(&table, &truth, "wan2022", &preset, &fit);
	for (uint32_t i = 0; i < fit.remark_count; i++)
		said |= strstr(fit.remarks[i], "relax_sigma: not fitted") != NULL;
	ck_assert(said);
	ck_assert_int_eq(lf_preset_get(preset, "relax_sigma", after), 0);
	ck_assert_str_eq(after, "0.00244");

	lf_preset_close(preset);
	/* Its cells do not err. */
	preset = open_preset("float");
	measurements = (struct lf_measurements){ table.count, table.rows };
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -ERANGE,
			   "the float device has no such thing");
	lf_preset_close(preset);

	preset = open_preset("wan2022");
	ck_assert_int_eq(lf_preset_get(preset, "program_sigma", before), 0);
	measurements = (struct lf_measurements){ 20, table.rows };
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -ENODATA,
			   "at least 30");
	for (size_t i = 0; i < table.count; i++)
		table.rows[i].seconds = 1;
	measurements.count = table.count;
	table.rows[1] = table.rows[0];
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -EINVAL,
			   "given twice");
	table.rows[1].cell = 99;
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -ENODATA,
			   "seconds 0");
	range.g_max_us = 30;
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -ERANGE,
			   "target_us");
	range.g_max_us = 0;
	for (size_t i = 0; i < table.count; i++)
		table.rows[i].target_us = 5;
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -ENODATA,
			   "no range");
	measurements.count = 0;
	ck_assert_lf_fails(lf_preset_fit(preset, &measurements, &range, &fit, LF_ERROR), -ENODATA,
			   "no measurements");
	ck_assert_int_eq(lf_preset_get(preset, "program_sigma", after), 0);
	ck_assert_str_eq(before, after);
	lf_preset_close(preset);
	free(table.rows);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("preset");
	TCase *tests = tcase_create("preset");

	tcase_add_checked_fixture(tests, io_fixture_setup, io_fixture_teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, presets_by_name_and_from_files);
	tcase_add_test(tests, a_device_of_a_preset_file);
	tcase_add_test(tests, malformed_measurements_are_refused);
	tcase_add_test(tests, measurements_are_read);
	tcase_add_loop_test(tests, simulated_cells_are_fitted, 0, 2);
	tcase_add_test(tests, simulated_endurance_is_fitted);
	tcase_add_test(tests, little_data_is_refused);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
