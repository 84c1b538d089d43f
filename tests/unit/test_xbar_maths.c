// SPDX-License-Identifier: MIT
/*
 * The model's own exp, log and Gaussian against long double ones, and its random bits against the known answers of the
 * generator's authors.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "qemu-device/model/maths.h"
#include "qemu-device/model/philox.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

/* Random123 1.14, tests/kat_vectors: philox4x32 10. */
START_TEST(philox_known_answers)
{
	static const struct {
		uint32_t counter[4];
		uint32_t key[2];
		uint32_t block[4];
	} known[] = {
		{ { 0, 0, 0, 0 }, { 0, 0 }, { 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8 } },
		{ { 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff },
		  { 0xffffffff, 0xffffffff },
		  { 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd } },
		{ { 0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344 },
		  { 0xa4093822, 0x299f31d0 },
		  { 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1 } },
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		uint32_t block[4];

		xbar_philox(known[i].counter, known[i].key, block);
		ck_assert_mem_eq(block, known[i].block, sizeof(block));
		memcpy(block, known[i].counter, sizeof(block));
		xbar_philox(block, known[i].key, block);
		ck_assert_mem_eq(block, known[i].block, sizeof(block));
	}
}
END_TEST

/* Distance in units of the last place of the nearest double. */
static long double ulps(double got, long double want)
{
	double nearest = (double)want;
	long double unit = (long double)nextafter(fabs(nearest), INFINITY) - fabsl(nearest);

	return fabsl(got - want) / unit;
}

static double draw_uniform(uint64_t *state)
{
	return (draw(state) + draw(state) * 0x1p-32) * 0x1p-32;
}

START_TEST(exp_within_an_ulp)
{
	uint64_t state = rig_seed();
	long double worst = 0;

	for (int i = 0; i < 4000000; i++) {
		double range = i % 4 == 0 ? 709.0 : i % 4 == 1 ? 40.0 : i % 4 == 2 ? 1.0 : 1e-4;
		double x = (2.0 * draw_uniform(&state) - 1.0) * range;

		x = x < -708.0 ? -708.0 : x;
		worst = fmaxl(worst, ulps(xbar_exp(x), expl(x)));
	}
	printf("# exp: %.3Lf ulp\n", worst);
	ck_assert(worst < 1.0L);
	ck_assert(xbar_exp(0.0) == 1.0);
	ck_assert(xbar_exp(-0.0) == 1.0);
	ck_assert(xbar_exp(709.78) < INFINITY);
	ck_assert(xbar_exp(709.79) == INFINITY);
	ck_assert(xbar_exp(INFINITY) == INFINITY);
	ck_assert(xbar_exp(-INFINITY) == 0.0);
	ck_assert(xbar_exp(-800.0) == 0.0);
	ck_assert(isnan(xbar_exp(NAN)));
	for (double x = -745.5; x < -708.0; x += 0.01)
		ck_assert(fabsl(xbar_exp(x) - expl(x)) < 1.01L * 0x1p-1074L);
}
END_TEST

START_TEST(log_within_an_ulp)
{
	uint64_t state = rig_seed();
	long double worst = 0;

	for (int i = 0; i < 4000000; i++) {
		double x = 0.5 + 1.5 * draw_uniform(&state);

		if (i % 4 == 0)
			x = 1.0 + (x - 1.25) * 1e-3;
		if (i % 4 == 1)
			x = ldexp(x, (int)draw_below(&state, 2000) - 1000);
		if (i % 4 == 2)
			x = ldexp(x, -1022 - (int)draw_below(&state, 50));
		worst = fmaxl(worst, ulps(xbar_log(x), logl(x)));
	}
	printf("# log: %.3Lf ulp\n", worst);
	ck_assert(worst < 1.0L);
	ck_assert(xbar_log(1.0) == 0.0);
	ck_assert(xbar_log(0.0) == -INFINITY);
	ck_assert(xbar_log(INFINITY) == INFINITY);
	ck_assert(isnan(xbar_log(-1.0)));
	ck_assert(isnan(xbar_log(NAN)));
	worst = ulps(xbar_log(0x1p-1074), logl(0x1p-1074L));
	ck_assert(worst < 1.0L);
}
END_TEST

START_TEST(sqrt_is_the_nearest)
{
	uint64_t state = rig_seed();

	for (int i = 0; i < 100000; i++) {
		double x = ldexp(draw_uniform(&state), (int)draw_below(&state, 600) - 300);

		ck_assert(xbar_sqrt(x) == sqrt(x));
	}
}
END_TEST

/* Upper tail of N(0, 1). */
static long double tail_of(long double z)
{
	return 0.5L * erfcl(z * 0.70710678118654752440L);
}

/* The z whose upper tail is @p, from Newton's method on log p: log tail is smooth and concave. */
static long double exact_gaussian(long double p, long double start)
{
	long double z = start;

	for (int i = 0; i < 4; i++) {
		long double tail = tail_of(z);
		long double density = 0.39894228040143267794L * expl(-0.5L * z * z);

		z += tail / density * logl(tail / p);
	}
	return z;
}

START_TEST(gaussian_inverts_its_distribution)
{
	uint64_t state = rig_seed();
	long double worst = 0;

	for (int i = 0; i < 200000; i++) {
		uint64_t bits = ((uint64_t)draw(&state) << 32 | draw(&state));
		long double p, want;
		double z;

		/* Half of the trials are far out. */
		if (i & 1)
			bits >>= draw_below(&state, 63);
		bits &= ~1ull;
		p = ((long double)(bits >> 1) + 0.5L) * 0x1p-64L;
		z = xbar_gaussian(bits);
		want = exact_gaussian(p, z);
		worst = fmaxl(worst, fabsl(z - want) / fmaxl(1.0L, want));
		ck_assert(xbar_gaussian(bits | 1) == -z);
	}
	printf("# gaussian: %.2Le of max(|z|, 1)\n", worst);
	ck_assert(worst < 1e-15L);
}
END_TEST

START_TEST(gaussian_known_values)
{
	/* Tails of 1/4 and of 2^-65, the smallest there is. */
	ck_assert(fabs(xbar_gaussian(1ull << 63) - 0.67448975019608174320) < 1e-15);
	ck_assert(fabs(xbar_gaussian(0) - (double)exact_gaussian(0x1p-65L, 9.16L)) < 1e-14);
	ck_assert(xbar_gaussian(0) > 9.15 && xbar_gaussian(0) < 9.17);
	ck_assert(fabs(xbar_gaussian(~0ull)) < 1e-15);
	/* Never the other way round between neighbours that doubles can tell apart. */
	for (uint32_t k = 1; k < 63; k++)
		ck_assert(xbar_gaussian(2ull << k) < xbar_gaussian(1ull << k));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar maths");
	TCase *tests = tcase_create("maths");

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, philox_known_answers);
	tcase_add_test(tests, exp_within_an_ulp);
	tcase_add_test(tests, log_within_an_ulp);
	tcase_add_test(tests, sqrt_is_the_nearest);
	tcase_add_test(tests, gaussian_inverts_its_distribution);
	tcase_add_test(tests, gaussian_known_values);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
