// SPDX-License-Identifier: MIT
/* Every kernel of simd_cases.c: the same bits on every instruction set, and near double's result. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/simd_cases.h"
#include "tests/unit/suite.h"

/* What no kernel writes by chance: shows a store past the end. */
static const float untouched = -123456.75f;

/* Sizes around the lane width, the blocks of it, and the width of a small encoder. */
static bool is_size(size_t n)
{
	return n <= 70 || (n >= 127 && n <= 129) || (n >= 383 && n <= 385);
}

#define FOR_SIZES(n)                      \
	for (size_t n = 1; n <= 385; n++) \
		if (is_size(n))

static size_t run_case(const struct simd_case *test, enum lf_simd_isa isa, size_t n, float *out)
{
	for (size_t i = 0; i < SIMD_CASE_OUTPUTS; i++)
		out[i] = untouched;
	return test->run(lf_simd_ops_of(isa), n, out);
}

START_TEST(every_set_gives_the_scalar_bits)
{
	const struct simd_case *test = &simd_cases[_i];
	float *want = malloc(SIMD_CASE_OUTPUTS * sizeof(*want));
	float *got = malloc(SIMD_CASE_OUTPUTS * sizeof(*got));

	FOR_SIZES(n)
	{
		size_t outputs = run_case(test, LF_SIMD_SCALAR, n, want);

		ck_assert_uint_gt(outputs, 0);
		ck_assert_uint_lt(outputs, SIMD_CASE_OUTPUTS);
		for (size_t i = outputs; i < SIMD_CASE_OUTPUTS; i++)
			ck_assert_msg(want[i] == untouched, "%s wrote past its %zu results, n=%zu",
				      test->name, outputs, n);
		for (int isa = 0; isa < LF_SIMD_ISA_COUNT; isa++) {
			if (!lf_simd_supported(isa))
				continue;
			run_case(test, isa, n, got);
			for (size_t i = 0; i < SIMD_CASE_OUTPUTS; i++)
				ck_assert_msg(!memcmp(&want[i], &got[i], sizeof(*got)),
					      "%s on %s: result %zu of n=%zu is %a, scalar has %a",
					      test->name, lf_simd_name(isa), i, n, (double)got[i],
					      (double)want[i]);
		}
	}
	free(want);
	free(got);
}
END_TEST

START_TEST(scalar_is_near_double)
{
	const struct simd_case *test = &simd_cases[_i];
	float *got = malloc(SIMD_CASE_OUTPUTS * sizeof(*got));
	double worst = 0;

	FOR_SIZES(n)
	{
		double *want = calloc(SIMD_CASE_OUTPUTS, sizeof(*want));
		size_t outputs = run_case(test, LF_SIMD_SCALAR, n, got);

		test->reference(n, want);
		for (size_t i = 0; i < outputs; i++) {
			double error = fabs((double)got[i] - want[i]) / fmax(1, fabs(want[i]));

			worst = fmax(worst, error);
			ck_assert_msg(error <= test->bound,
				      "%s: result %zu of n=%zu is %.9g, double has %.9g",
				      test->name, i, n, (double)got[i], want[i]);
		}
		free(want);
	}
	printf("# %s: worst error %.2e, bound %.0e\n", test->name, worst, test->bound);
	free(got);
}
END_TEST

/*
 * The hashes were made by the scalar kernels on x86-64. Elsewhere this shows what no comparison
 * within one build can: a compiler that fuses a product into a sum, or reorders one.
 */
START_TEST(scalar_bits_are_those_of_any_machine)
{
	const struct simd_case *test = &simd_cases[_i];
	float *out = malloc(SIMD_CASE_OUTPUTS * sizeof(*out));
	uint64_t hash = 0xcbf29ce484222325;

	FOR_SIZES(n)
	{
		size_t outputs = run_case(test, LF_SIMD_SCALAR, n, out);

		for (size_t i = 0; i < outputs; i++) {
			uint32_t bits;

			memcpy(&bits, &out[i], sizeof(bits));
			hash = (hash ^ bits) * 0x100000001b3;
		}
	}
	ck_assert_msg(hash == test->bits, "%s: hash 0x%016llx, expected 0x%016llx", test->name,
		      (unsigned long long)hash, (unsigned long long)test->bits);
	free(out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("simd");
	TCase *tests = tcase_create("kernels");

	tcase_set_timeout(tests, 300);
	tcase_add_loop_test(tests, every_set_gives_the_scalar_bits, 0, (int)simd_case_count);
	tcase_add_loop_test(tests, scalar_bits_are_those_of_any_machine, 0, (int)simd_case_count);
	tcase_add_loop_test(tests, scalar_is_near_double, 0, (int)simd_case_count);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
