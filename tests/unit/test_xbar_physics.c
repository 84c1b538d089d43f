// SPDX-License-Identifier: MIT
/*
 * What cells do against the closed forms of what they are said to do. Samples are of fixed seeds; a mean, a share or a variance may be
 * five standard errors off (one in 1.7 million for a true one), a distribution have a Kolmogorov-Smirnov distance of 2.3 /
 * sqrt(n) (one in 20,000), a table a chi-square of six standard deviations.
 */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/physics.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define CELLS	 100000
#define SIGMAS	 5.0
#define DISTANCE 2.3
#define SECOND	 1000000000ull

static const struct history young = { .matrix = 1, .wear = 1, .temperature_mc = 25000 };

/* @count cells told to hold @level. */
static struct cell *draw_cells(const struct xbar_params *params, const struct history *history,
			       uint32_t level, uint32_t count)
{
	struct cell *cells = calloc(count, sizeof(*cells));
	struct physics physics;

	xbar_physics_of(params, history, &physics);
	for (uint32_t i = 0; i < count; i++) {
		struct place place = rig_place(i);

		xbar_physics_at(&physics, &place, history->wear, level, &cells[i]);
	}
	return cells;
}

/* Conductances of good cells; @count receives how many. */
static double *conductances_of(const struct cell *cells, uint32_t total, uint32_t *count)
{
	double *values = malloc(total * sizeof(*values));

	*count = 0;
	for (uint32_t i = 0; i < total; i++)
		if (!cells[i].flags)
			values[(*count)++] = cells[i].conductance;
	return values;
}

static double mean_of(const double *values, uint32_t count)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < count; i++)
		sum += values[i];
	return sum / count;
}

static double variance_of(const double *values, uint32_t count)
{
	double mean = mean_of(values, count), sum = 0.0;

	for (uint32_t i = 0; i < count; i++)
		sum += (values[i] - mean) * (values[i] - mean);
	return sum / (count - 1);
}

static double normal_cdf(double z)
{
	return 0.5 * erfc(-z / sqrt(2.0));
}

static double normal_density(double z)
{
	return exp(-z * z / 2.0) / sqrt(2.0 * M_PI);
}

static int compare(const void *a, const void *b)
{
	const double *left = a, *right = b;

	return (*left > *right) - (*left < *right);
}

/* Sorts @values, which @cdf with @mean and @sigma is said to be the distribution of. */
static void check_distribution(double *values, uint32_t count, double mean, double sigma,
			       double low, double high)
{
	double distance = 0.0, below = normal_cdf(low), inside = normal_cdf(high) - below;

	qsort(values, count, sizeof(*values), compare);
	for (uint32_t i = 0; i < count; i++) {
		double p = (normal_cdf((values[i] - mean) / sigma) - below) / inside;

		distance = fmax(distance,
				fmax(fabs(p - (double)i / count), fabs(p - (i + 1.0) / count)));
	}
	ck_assert_double_lt(distance * sqrt(count), DISTANCE);
}

static void check_share(uint32_t count, uint32_t total, double p)
{
	ck_assert_double_eq_tol(count, total * p, SIGMAS * sqrt(total * p * (1.0 - p)) + 1e-9);
}

static void check_moments(const double *values, uint32_t count, double mean, double variance)
{
	ck_assert_double_eq_tol(mean_of(values, count), mean, SIGMAS * sqrt(variance / count));
	ck_assert_double_eq_tol(variance_of(values, count), variance,
				SIGMAS * variance * sqrt(2.0 / count));
}

/* One pulse: N(target, sigma(target)), tails and all. */
START_TEST(a_pulse_is_normal_around_its_target)
{
	struct xbar_params *params =
		rig_params("isaac", "on_off_ratio=2,program_sigma=0.03,program_sigma_slope=-0.02");
	double target = 0.5 + _i / 6.0, sigma = 0.03 - 0.02 * target;
	struct cell *cells = draw_cells(params, &young, (uint32_t)_i, CELLS);
	uint32_t count, beyond[5] = { 0 };
	double *values = conductances_of(cells, CELLS, &count);

	ck_assert_uint_eq(count, CELLS);
	check_moments(values, count, target, sigma * sigma);
	for (uint32_t i = 0; i < count; i++) {
		ck_assert_uint_eq(cells[i].pulses, 1);
		for (int k = 1; k < 5; k++)
			beyond[k] += fabs(values[i] - target) > k * sigma;
	}
	for (int k = 1; k < 5; k++)
		check_share(beyond[k], count, erfc(k / sqrt(2.0)));
	check_distribution(values, count, target, sigma, -INFINITY, INFINITY);
	free(values);
	free(cells);
	xbar_params_free(params);
}
END_TEST

/* Nothing conducts less than not at all: half of the cells at 0, the others half normal. */
START_TEST(conductances_are_not_negative)
{
	struct xbar_params *params = rig_params("isaac", "program_sigma=0.02");
	struct cell *cells = draw_cells(params, &young, 0, CELLS);
	uint32_t zeros = 0;
	double sum = 0.0;

	for (uint32_t i = 0; i < CELLS; i++) {
		ck_assert_double_ge(cells[i].conductance, 0.0);
		zeros += cells[i].conductance == 0.0;
		sum += cells[i].conductance;
	}
	check_share(zeros, CELLS, 0.5);
	/* Mean sigma / sqrt(2 pi), second moment sigma^2 / 2. */
	ck_assert_double_eq_tol(sum / CELLS, 0.02 / sqrt(2.0 * M_PI),
				SIGMAS * 0.02 * sqrt((0.5 - 0.5 / M_PI) / CELLS));
	free(cells);
	xbar_params_free(params);
}
END_TEST

/* Pulse after pulse until one is within the tolerance: geometric counts, truncated errors, (1 - p)^n failures. */
START_TEST(verifying_truncates_and_repeats)
{
	static const struct {
		const char *settings;
		double sigma, tolerance;
		int pulses;
	} cases[] = {
		{ "program_sigma=0.03,verify_tolerance=0.015,verify_pulses=4", 0.03, 0.015, 4 },
		{ "program_sigma=0.05,verify_tolerance=0.01,verify_pulses=20", 0.05, 0.01, 20 },
		{ "program_sigma=0.01,verify_tolerance=0.02,verify_pulses=2", 0.01, 0.02, 2 },
	};
	double sigma = cases[_i].sigma, tolerance = cases[_i].tolerance, a = tolerance / sigma;
	double p = erf(a / sqrt(2.0)), target = 2.0 / 3.0, chi = 0.0, left = CELLS;
	struct xbar_params *params = rig_params("isaac", cases[_i].settings);
	struct cell *cells = draw_cells(params, &young, 2, CELLS);
	uint32_t counts[32] = { 0 }, failed = 0, count;
	int degrees = -1, most = cases[_i].pulses;
	double *values = conductances_of(cells, CELLS, &count), variance;

	for (uint32_t i = 0; i < CELLS; i++) {
		bool accepted = fabs(cells[i].conductance - target) <= tolerance;

		ck_assert(accepted == !(cells[i].flags & LF_CELL_FAILED));
		ck_assert_uint_ge(cells[i].pulses, 1);
		ck_assert_uint_le(cells[i].pulses, most);
		ck_assert(accepted || cells[i].pulses == most);
		counts[cells[i].pulses] += accepted;
		failed += !accepted;
	}
	check_share(failed, CELLS, pow(1.0 - p, most));
	for (int k = 1; k <= most; k++) {
		double expected = CELLS * p * pow(1.0 - p, k - 1);

		left -= expected;
		if (expected < 10)
			continue;
		chi += (counts[k] - expected) * (counts[k] - expected) / expected;
		degrees++;
	}
	if (left >= 10) {
		chi += (failed - left) * (failed - left) / left;
		degrees++;
	}
	ck_assert_double_lt(chi, degrees + 6.0 * sqrt(2.0 * fmax(degrees, 1)));
	variance =
		sigma * sigma * (1.0 - 2.0 * a * normal_density(a) / (2.0 * normal_cdf(a) - 1.0));
	check_moments(values, count, target, variance);
	check_distribution(values, count, target, sigma, -a, a);
	free(values);
	free(cells);
	xbar_params_free(params);
}
END_TEST

/* What a tolerance is worth on one side only: a cell at 0 cannot miss downwards. */
START_TEST(a_cell_told_to_hold_nothing_verifies_more_easily)
{
	struct xbar_params *params =
		rig_params("isaac", "program_sigma=0.03,verify_tolerance=0.015,verify_pulses=3");
	struct cell *cells = draw_cells(params, &young, 0, CELLS);
	uint32_t failed = 0, first = 0;

	for (uint32_t i = 0; i < CELLS; i++) {
		failed += cells[i].flags == LF_CELL_FAILED;
		first += cells[i].pulses == 1;
	}
	check_share(first, CELLS, normal_cdf(0.5));
	check_share(failed, CELLS, pow(1.0 - normal_cdf(0.5), 3));
	free(cells);
	xbar_params_free(params);
}
END_TEST

/* mean ln(t / t0) and sigma + slope ln(t / t0), the same way for a cell at all times. */
START_TEST(relaxation_follows_the_logarithm_of_time)
{
	static const double seconds[] = { 0.5, 1.0, 10.0, 3600.0, 86400.0 * 365 };
	struct xbar_params *params =
		rig_params("isaac", "relax_mean=-0.004,relax_sigma=0.006,"
				    "relax_sigma_slope=0.0012,relax_start_ms=1000");
	double *first = NULL;

	for (int i = 0; i < 5; i++) {
		double folds = seconds[i] > 1.0 ? log(seconds[i]) : 0.0;
		double mean = 2.0 / 3.0 - 0.004 * folds, sigma = 0.006 + 0.0012 * folds;
		struct history history = young;
		struct cell *cells;
		double *values;
		uint32_t count;

		history.age_ns = (uint64_t)(seconds[i] * 1e9);
		cells = draw_cells(params, &history, 2, CELLS);
		values = conductances_of(cells, CELLS, &count);
		ck_assert_uint_eq(count, CELLS);
		check_moments(values, count, mean, sigma * sigma);
		for (uint32_t k = 0; k < count; k++)
			values[k] = (values[k] - mean) / sigma;
		for (uint32_t k = 0; first && k < count; k++)
			ck_assert_double_eq_tol(values[k], first[k], 1e-9);
		if (!first) {
			first = values;
			free(cells);
			continue;
		}
		check_distribution(values, count, 0.0, 1.0, -INFINITY, INFINITY);
		free(values);
		free(cells);
	}
	free(first);
	xbar_params_free(params);
}
END_TEST

static double level_after(const struct xbar_params *params, double seconds, int32_t temperature_mc)
{
	struct place place = rig_place(0);
	struct history history = young;
	struct cell cell;

	history.age_ns = (uint64_t)(seconds * 1e9);
	history.temperature_mc = temperature_mc;
	rig_cell(params, &place, &history, 3, &cell);
	return cell.conductance;
}

/* Sigma and slope are polynomials in the target. */
START_TEST(relaxation_depends_on_the_conductance)
{
	struct xbar_params *params = rig_params(
		"isaac",
		"on_off_ratio=10,relax_sigma=0.001,relax_sigma_g1=0.02,relax_sigma_g2=0.01,"
		"relax_sigma_g3=-0.03,relax_sigma_g4=0.004,relax_sigma_slope=0.0005,"
		"relax_sigma_slope_g1=-0.0004,relax_sigma_slope_g2=0.0011,"
		"relax_sigma_slope_g3=0.002,relax_sigma_slope_g4=-0.0007");
	struct history history = young;

	history.age_ns = 1000 * SECOND;
	for (uint32_t level = 0; level < 4; level++) {
		double g = 0.1 + 0.3 * level, sigma, slope;
		struct cell *cells = draw_cells(params, &history, level, CELLS);
		uint32_t count;
		double *values = conductances_of(cells, CELLS, &count);

		sigma = 0.001 + 0.02 * g + 0.01 * pow(g, 2) - 0.03 * pow(g, 3) + 0.004 * pow(g, 4);
		slope = 0.0005 - 0.0004 * g + 0.0011 * pow(g, 2) + 0.002 * pow(g, 3) -
			0.0007 * pow(g, 4);
		check_moments(values, count, g, pow(sigma + slope * log(1000.0), 2));
		free(values);
		free(cells);
	}
	xbar_params_free(params);
}
END_TEST

/* exp(-t / tau) of what is above the smallest, tau by Arrhenius. */
START_TEST(retention_is_exponential_and_arrhenius)
{
	struct xbar_params *params = rig_params(
		"isaac", "on_off_ratio=10,retention_s=1000000,retention_activation_mev=1100");
	const double boltzmann = 8.617333262e-5;

	for (double seconds = 1.0; seconds < 1e8; seconds *= 7.0)
		ck_assert_double_eq_tol(level_after(params, seconds, 25000),
					0.1 + 0.9 * exp(-seconds / 1e6), 1e-12);
	for (int32_t celsius = -40; celsius <= 150; celsius += 19) {
		double tau = 1e6 * exp(1.1 / boltzmann * (1.0 / (273.15 + celsius) - 1.0 / 298.15));
		double seconds = tau < 1e9 ? tau : 1e9;

		ck_assert_double_eq_tol(level_after(params, seconds, celsius * 1000),
					0.1 + 0.9 * exp(-seconds / tau), 1e-9);
	}
	/* 85 °C costs more than three orders of magnitude at 1.1 eV. */
	ck_assert_double_eq_tol(level_after(params, 1e6 / 1300.0, 85000), 0.1 + 0.9 / exp(1.0),
				0.02);
	xbar_params_free(params);
}
END_TEST

START_TEST(temperature_changes_conduction_linearly)
{
	struct xbar_params *params =
		rig_params("isaac", "on_off_ratio=10,temperature_coefficient=-0.002");
	struct xbar_params *stuck = rig_params("isaac", "stuck_on=1,temperature_coefficient=0.001");

	ck_assert_double_eq_tol(level_after(params, 0.0, 25000), 1.0, 1e-15);
	ck_assert_double_eq_tol(level_after(params, 0.0, 75000), 0.9, 1e-12);
	ck_assert_double_eq_tol(level_after(params, 0.0, -25000), 1.1, 1e-12);
	ck_assert_double_eq_tol(level_after(stuck, 0.0, 125000), 1.1, 1e-12);
	xbar_params_free(params);
	xbar_params_free(stuck);
}
END_TEST

/* Shares of faults; more of them are the same cells and others; verifying finds them. */
START_TEST(stuck_cells_are_as_many_as_said)
{
	struct xbar_params *params =
		rig_params("isaac", "stuck_on=0.01,stuck_off=0.02,on_off_ratio=4,"
				    "verify_tolerance=0.01,verify_pulses=3");
	struct history history = young;
	uint16_t *before = calloc(CELLS, sizeof(*before));

	for (uint32_t made = 0; made <= 1000000; made += made < 100000 ? 50000 : 900000) {
		double share = fmin(made * 1e-6, 0.97);
		uint32_t on = 0, off = 0;
		struct cell *cells;

		history.stuck_parts = made;
		cells = draw_cells(params, &history, 3, CELLS);
		for (uint32_t i = 0; i < CELLS; i++) {
			uint16_t flags = cells[i].flags;
			struct place place = rig_place(i);

			ck_assert_uint_eq(flags & ~LF_CELL_FAILED,
					  rig_stuck(params, &place, &history));
			if (before[i])
				ck_assert_uint_eq(flags, before[i]);
			before[i] = flags;
			if (flags & LF_CELL_STUCK_ON) {
				on++;
				ck_assert_double_eq(cells[i].conductance, 1.0);
				ck_assert_uint_eq(cells[i].pulses, 1);
				ck_assert_uint_eq(flags, LF_CELL_STUCK_ON);
			} else if (flags & LF_CELL_STUCK_OFF) {
				off++;
				ck_assert_double_eq(cells[i].conductance, 0.25);
				ck_assert_uint_eq(cells[i].pulses, 3);
				ck_assert_uint_eq(flags, LF_CELL_STUCK_OFF | LF_CELL_FAILED);
			} else {
				ck_assert_uint_eq(flags, 0);
			}
		}
		check_share(on, CELLS, 0.01 + share / 2.0);
		check_share(off, CELLS, 0.02 + share / 2.0);
		if (made == 1000000)
			ck_assert_uint_eq(on + off, CELLS);
		free(cells);
	}
	free(before);
	xbar_params_free(params);
}
END_TEST

/* ln(endurance) is N(ln median, spread); beyond it a cell is stuck. */
START_TEST(endurance_is_lognormal)
{
	struct xbar_params *params =
		rig_params("isaac", "endurance=1000000,endurance_spread=0.7,worn_on=0.3");
	struct cell *cells = draw_cells(params, &young, 1, CELLS);
	double *logarithms = malloc(CELLS * sizeof(*logarithms));
	static const double quantiles[] = { 0.01, 0.1, 0.5, 0.9, 0.99 };
	static const double z[] = { -2.3263479, -1.2815516, 0.0, 1.2815516, 2.3263479 };

	for (uint32_t i = 0; i < CELLS; i++)
		logarithms[i] = log(cells[i].endurance + 0.5);
	for (int i = 0; i < 5; i++) {
		struct history history = young;
		uint32_t worn = 0, on = 0;

		history.wear = (uint32_t)lround(1e6 * exp(0.7 * z[i]));
		for (uint32_t k = 0; k < CELLS; k++) {
			struct place place = rig_place(k);
			uint16_t flags = rig_stuck(params, &place, &history);

			ck_assert(!!flags == (history.wear > cells[k].endurance));
			ck_assert(!flags == !(flags & LF_CELL_WORN));
			worn += !!flags;
			on += !!(flags & LF_CELL_STUCK_ON);
		}
		check_share(worn, CELLS, quantiles[i]);
		check_share(on, worn, 0.3);
	}
	check_distribution(logarithms, CELLS, log(1e6), 0.7, -INFINITY, INFINITY);
	free(logarithms);
	free(cells);
	xbar_params_free(params);
}
END_TEST

/* z of each cell, drawn by a matrix of one level. */
static double *draws_of(const char *settings, const struct history *history, bool next_tile)
{
	struct xbar_params *params = rig_params("isaac", settings);
	double *values = malloc(CELLS * sizeof(*values));
	struct physics physics;

	xbar_physics_of(params, history, &physics);
	for (uint32_t i = 0; i < CELLS; i++) {
		struct place place = rig_place(i);
		struct cell cell;

		place.tile += next_tile ? 100 : 0;
		xbar_physics_at(&physics, &place, 1, 2, &cell);
		values[i] = (cell.conductance - 2.0 / 3.0) / 0.01;
	}
	xbar_params_free(params);
	return values;
}

static void check_uncorrelated(const double *a, const double *b, uint32_t count)
{
	double sum = 0.0;

	for (uint32_t i = 0; i < count; i++)
		sum += a[i] * b[i];
	ck_assert_double_lt(fabs(sum) / sqrt(count), SIGMAS);
}

/* A draw belongs to one cell, one write and one cause: whatever part of the key differs, it is another. */
START_TEST(draws_are_independent)
{
	static const uint32_t lags[] = { 1, 2, 3, 4, 128, 2048, 4096, 16384 };
	const char *programs = "program_sigma=0.01";
	struct history refreshed = young, other = young;
	double *values = draws_of(programs, &young, false), *others[5], *again;
	double *sorted = malloc(CELLS * sizeof(*sorted));

	refreshed.refreshes = 1;
	other.matrix = 2;
	others[0] = draws_of(programs, &refreshed, false);
	others[1] = draws_of(programs, &other, false);
	others[2] = draws_of(programs, &young, true);
	others[3] = draws_of("program_sigma=0.01,seed=1", &young, false);
	others[4] = draws_of("relax_sigma=0.01", &young, false);
	for (int i = 0; i < 5; i++) {
		check_uncorrelated(values, others[i], CELLS);
		free(others[i]);
	}
	for (size_t i = 0; i < sizeof(lags) / sizeof(lags[0]); i++)
		check_uncorrelated(values, values + lags[i], CELLS - lags[i]);
	again = draws_of(programs, &young, false);
	ck_assert_mem_eq(values, again, CELLS * sizeof(*values));
	/* One draw a cell, not one a level. */
	memcpy(sorted, values, CELLS * sizeof(*values));
	qsort(sorted, CELLS, sizeof(*sorted), compare);
	for (uint32_t i = 1; i < CELLS; i++)
		ck_assert_double_ne(sorted[i], sorted[i - 1]);
	free(sorted);
	free(again);
	free(values);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar physics");
	TCase *tests = tcase_create("physics");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, a_pulse_is_normal_around_its_target, 0, 4);
	tcase_add_test(tests, conductances_are_not_negative);
	tcase_add_loop_test(tests, verifying_truncates_and_repeats, 0, 3);
	tcase_add_test(tests, a_cell_told_to_hold_nothing_verifies_more_easily);
	tcase_add_test(tests, relaxation_follows_the_logarithm_of_time);
	tcase_add_test(tests, relaxation_depends_on_the_conductance);
	tcase_add_test(tests, retention_is_exponential_and_arrhenius);
	tcase_add_test(tests, temperature_changes_conduction_linearly);
	tcase_add_test(tests, stuck_cells_are_as_many_as_said);
	tcase_add_test(tests, endurance_is_lognormal);
	tcase_add_test(tests, draws_are_independent);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
