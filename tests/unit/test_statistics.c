// SPDX-License-Identifier: MIT
/* Measures of predictions against values worked out by hand. */
#include <stdlib.h>

#include <check.h>

#include <lf/statistics.h>

static const uint32_t labels[] = { 0, 0, 0, 1, 1, 2 };
static const uint32_t predictions[] = { 0, 0, 1, 1, 0, 1 };

START_TEST(accuracy_is_the_share_that_is_right)
{
	ck_assert_double_eq(lf_accuracy(predictions, labels, 6), 3.0 / 6.0);
	ck_assert_double_eq(lf_accuracy(labels, labels, 6), 1.0);
	ck_assert_double_eq(lf_accuracy(predictions, labels, 0), 0.0);
}
END_TEST

START_TEST(majority_is_the_commonest_and_the_first)
{
	const uint32_t tied[] = { 2, 1, 2, 1, 0 };

	ck_assert_uint_eq(lf_majority(labels, 6, 3), 0);
	ck_assert_uint_eq(lf_majority(tied, 5, 3), 1);
	ck_assert_uint_eq(lf_majority(tied, 0, 3), 0);
}
END_TEST

/* Class 0: precision 2/3, recall 2/3. Class 1: precision 1/3, recall 1/2. Class 2 is never predicted. */
START_TEST(macro_f1_is_the_mean_over_classes)
{
	double expected = (2.0 / 3.0 + 2.0 / 5.0 + 0.0) / 3.0;

	ck_assert_double_eq_tol(lf_macro_f1(predictions, labels, 6, 3), expected, 1e-15);
	ck_assert_double_eq_tol(lf_macro_f1(labels, labels, 6, 3), 1.0, 1e-15);
	/* A class that nobody names counts as zero. */
	ck_assert_double_eq_tol(lf_macro_f1(labels, labels, 6, 4), 0.75, 1e-15);
	ck_assert_double_eq(lf_macro_f1(labels, labels, 0, 0), 0.0);
}
END_TEST

START_TEST(predictions_that_are_alike_do_not_differ)
{
	double low = 1.0, high = 1.0;

	ck_assert_int_eq(
		lf_accuracy_difference(predictions, predictions, labels, 6, 1, &low, &high), 0);
	ck_assert_double_eq(low, 0.0);
	ck_assert_double_eq(high, 0.0);
}
END_TEST

/*
 * Of 400 items a has 300 right and b 200, on 100 of them a alone. The difference is .25 with a standard error of
 * sqrt(.25 * .75 / 400) = .0217, and 1.96 of them make the interval .208 to .292.
 */
START_TEST(the_interval_is_that_of_a_binomial)
{
	enum { ITEMS = 400 };
	uint32_t truth[ITEMS] = { 0 }, a[ITEMS], b[ITEMS];
	double low, high, again_low, again_high, other_low, other_high;

	for (uint32_t at = 0; at < ITEMS; at++) {
		a[at] = at >= 300;
		b[at] = at >= 200;
	}
	ck_assert_int_eq(lf_accuracy_difference(a, b, truth, ITEMS, 7, &low, &high), 0);
	ck_assert_double_eq_tol(low, 0.208, 0.006);
	ck_assert_double_eq_tol(high, 0.292, 0.006);
	ck_assert_int_eq(lf_accuracy_difference(a, b, truth, ITEMS, 7, &again_low, &again_high), 0);
	ck_assert_double_eq(low, again_low);
	ck_assert_double_eq(high, again_high);
	/* The other way about it is the mirror image. */
	ck_assert_int_eq(lf_accuracy_difference(b, a, truth, ITEMS, 7, &other_low, &other_high), 0);
	ck_assert_double_eq(other_low, -high);
	ck_assert_double_eq(other_high, -low);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statistics");
	TCase *tcase = tcase_create("statistics");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tcase, accuracy_is_the_share_that_is_right);
	tcase_add_test(tcase, majority_is_the_commonest_and_the_first);
	tcase_add_test(tcase, macro_f1_is_the_mean_over_classes);
	tcase_add_test(tcase, predictions_that_are_alike_do_not_differ);
	tcase_add_test(tcase, the_interval_is_that_of_a_binomial);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
