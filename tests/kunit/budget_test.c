// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a user may hold at most: at the limit, beyond it, and where a sum would not fit into its type.
 */
#include <linux/limits.h>
#include <kunit/test.h>

#include "lf_budget.h"

static void fits_up_to_the_limit(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, lf_budget_fits(0, 0, 0));
	KUNIT_EXPECT_TRUE(test, lf_budget_fits(0, 10, 10));
	KUNIT_EXPECT_TRUE(test, lf_budget_fits(9, 10, 1));
	KUNIT_EXPECT_TRUE(test, lf_budget_fits(10, 10, 0));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(0, 10, 11));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(10, 10, 1));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(0, 0, 1));
}

/* A limit may be lowered below what is held: then nothing more is had. */
static void nothing_fits_beyond_a_lowered_limit(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(11, 10, 0));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(U64_MAX, 10, 1));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(1, 0, 0));
}

static void sums_do_not_wrap(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(U64_MAX, U64_MAX, 1));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(1, U64_MAX, U64_MAX));
	KUNIT_EXPECT_FALSE(test, lf_budget_fits(U64_MAX, 10, U64_MAX));
	KUNIT_EXPECT_TRUE(test, lf_budget_fits(U64_MAX - 1, U64_MAX, 1));
	KUNIT_EXPECT_TRUE(test, lf_budget_fits(0, U64_MAX, U64_MAX));
}

/* Spent to the last unit, in steps of every size. */
static void is_spent_exactly(struct kunit *test)
{
	const u64 limit = 1000;
	u64 step;

	for (step = 1; step <= limit + 1; step++) {
		u64 held = 0;

		while (lf_budget_fits(held, limit, step))
			held += step;
		KUNIT_EXPECT_EQ(test, held, limit / step * step);
	}
}

static struct kunit_case budget_cases[] = {
	KUNIT_CASE(fits_up_to_the_limit),
	KUNIT_CASE(nothing_fits_beyond_a_lowered_limit),
	KUNIT_CASE(sums_do_not_wrap),
	KUNIT_CASE(is_spent_exactly),
	{},
};

static struct kunit_suite budget_suite = {
	.name = "lf_budget",
	.test_cases = budget_cases,
};
kunit_test_suite(budget_suite);
