// SPDX-License-Identifier: MIT
/* CMA-ES on functions whose minimum is known; evaluations are counted. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/evolution.h"
#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

enum { N = 10 };

static double sphere(const double *x)
{
	double sum = 0.0;

	for (int at = 0; at < N; at++)
		sum += (x[at] - 0.5) * (x[at] - 0.5);
	return sum;
}

/* Axes of 1 to 10^6, turned so that no coordinate has its own. */
static double ellipsoid(const double *x)
{
	double sum = 0.0;

	for (int at = 0; at < N; at++) {
		double turned = 0.0;

		/* The orthogonal matrix of a discrete cosine transform. */
		for (int k = 0; k < N; k++)
			turned += (x[k] - 0.3) * cos(M_PI * at * (k + 0.5) / N) *
				  sqrt((at ? 2.0 : 1.0) / N);
		sum += pow(1e6, (double)at / (N - 1)) * turned * turned;
	}
	return sum;
}

static double rosenbrock(const double *x)
{
	double sum = 0.0;

	for (int at = 0; at + 1 < N; at++)
		sum += 100.0 * pow(x[at + 1] - x[at] * x[at], 2) + pow(1.0 - x[at], 2);
	return sum;
}

/* The minimum is outside: the nearest point of the box is its corner. */
static double outside(const double *x)
{
	double sum = 0.0;

	for (int at = 0; at < N; at++)
		sum += (x[at] - 4.0) * (x[at] - 4.0);
	return sum;
}

/* Nothing is known about the half of the space where the start lies. */
static double half_unknown(const double *x)
{
	return x[0] < 0.1 ? NAN : sphere(x);
}

static struct lf_evolution *create(uint64_t seed)
{
	static const double start[N];
	const struct lf_evolution_options options = {
		.dimensions = N, .start = start, .step = 0.5, .bound = 1.5, .seed = seed
	};
	struct lf_evolution *evolution;

	ck_assert_lf(lf_evolution_create(&evolution, &options, LF_ERROR));
	return evolution;
}

/* Evaluations until a loss of @target, or @most; @best receives the point. */
static uint32_t minimise(double (*loss)(const double *), double target, uint32_t most,
			 uint64_t seed, double *best)
{
	struct lf_evolution *evolution = create(seed);
	uint32_t population = lf_evolution_population(evolution), evaluations = 0;
	double losses[64], least = INFINITY;

	while (evaluations < most && least > target) {
		const double *x = lf_evolution_ask(evolution);

		for (uint32_t at = 0; at < population; at++) {
			for (int k = 0; k < N; k++)
				ck_assert(fabs(x[at * N + k]) <= 1.5);
			losses[at] = loss(x + at * N);
			if (losses[at] < least) {
				least = losses[at];
				memcpy(best, x + at * N, N * sizeof(*best));
			}
		}
		evaluations += population;
		lf_evolution_tell(evolution, losses);
	}
	lf_evolution_free(evolution);
	return least > target ? UINT32_MAX : evaluations;
}

static const struct function {
	double (*loss)(const double *x);
	double target;
	uint32_t evaluations;
} functions[] = {
	/* Little more than a run takes: without one of the updates of the covariance the ellipsoid takes longer. */
	{ sphere, 1e-10, 1900 },      { ellipsoid, 1e-10, 6400 },
	{ rosenbrock, 1e-10, 8000 },  { outside, N * 6.25 + 1e-9, 3000 },
	{ half_unknown, 1e-8, 3000 },
};

START_TEST(minima_are_found)
{
	const struct function *function = &functions[_i % 5];
	double best[N];
	uint32_t evaluations = minimise(function->loss, function->target, function->evaluations,
					1 + (uint64_t)_i / 5, best);

	if (getenv("LF_TEST_FIGURES"))
		printf("function %d: %u of %u evaluations\n", _i % 5, evaluations,
		       function->evaluations);
	ck_assert_uint_le(evaluations, function->evaluations);
}
END_TEST

START_TEST(a_seed_draws_the_same)
{
	struct lf_evolution *one = create(7), *same = create(7), *other = create(8);
	uint32_t population = lf_evolution_population(one);
	size_t bytes = (size_t)population * N * sizeof(double);
	double losses[64];

	ck_assert_uint_eq(population, 4 + (uint32_t)(3 * log(N)));
	for (int generation = 0; generation < 5; generation++) {
		const double *x = lf_evolution_ask(one);

		ck_assert_mem_eq(x, lf_evolution_ask(same), bytes);
		ck_assert_mem_ne(x, lf_evolution_ask(other), bytes);
		for (uint32_t at = 0; at < population; at++)
			losses[at] = sphere(x + at * N);
		lf_evolution_tell(one, losses);
		lf_evolution_tell(same, losses);
		lf_evolution_tell(other, losses);
	}
	lf_evolution_free(one);
	lf_evolution_free(same);
	lf_evolution_free(other);
}
END_TEST

/* The first generation is normal: mean, spread, and no dependence of coordinates. */
START_TEST(draws_are_normal)
{
	double sums[3] = { 0 };
	uint32_t count = 0;

	for (uint64_t seed = 1; seed <= 400; seed++) {
		struct lf_evolution *evolution = create(seed);
		const double *x = lf_evolution_ask(evolution);

		for (uint32_t at = 0; at < lf_evolution_population(evolution); at++, count++) {
			sums[0] += x[at * N] / 0.5;
			sums[1] += x[at * N] * x[at * N] / 0.25;
			sums[2] += x[at * N] * x[at * N + 1] / 0.25;
		}
		lf_evolution_free(evolution);
	}
	/* Four standard errors of 4000; what is clamped at three deviations takes less than one per cent. */
	ck_assert_double_eq_tol(sums[0] / count, 0.0, 4.0 / sqrt(count));
	ck_assert_double_eq_tol(sums[1] / count, 1.0, 4.0 * sqrt(2.0 / count));
	ck_assert_double_eq_tol(sums[2] / count, 0.0, 4.0 / sqrt(count));
}
END_TEST

START_TEST(one_dimension_works)
{
	static const double start[1];
	struct lf_evolution_options options = {
		.dimensions = 1, .start = start, .step = 0.5, .bound = 1.5, .seed = 1
	};
	struct lf_evolution *evolution;
	double losses[4], least = INFINITY;

	ck_assert_lf(lf_evolution_create(&evolution, &options, LF_ERROR));
	ck_assert_uint_eq(lf_evolution_population(evolution), 4);
	for (int generation = 0; generation < 60; generation++) {
		const double *x = lf_evolution_ask(evolution);

		for (int at = 0; at < 4; at++) {
			losses[at] = (x[at] - 0.7) * (x[at] - 0.7);
			least = fmin(least, losses[at]);
		}
		lf_evolution_tell(evolution, losses);
	}
	ck_assert_double_lt(least, 1e-8);
	lf_evolution_free(evolution);
	options.dimensions = 0;
	ck_assert_lf_fails(lf_evolution_create(&evolution, &options, LF_ERROR), -EINVAL,
			   "0 dimensions");
	options.dimensions = 1;
	options.step = 0.0;
	ck_assert_lf_fails(lf_evolution_create(&evolution, &options, LF_ERROR), -EINVAL, "step 0");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("evolution");
	TCase *tcase = tcase_create("evolution");

	tcase_add_loop_test(tcase, minima_are_found, 0, 15);
	tcase_add_test(tcase, a_seed_draws_the_same);
	tcase_add_test(tcase, draws_are_normal);
	tcase_add_test(tcase, one_dimension_works);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
