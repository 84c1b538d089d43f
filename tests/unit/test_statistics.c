// SPDX-License-Identifier: MIT
/* Measures of predictions against values worked out by hand. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <lf/statistics.h>

#include "tests/unit/suite.h"

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

enum { TASKS = 3, SEEDS = 2, SOURCES = 90 };

/* Tasks of 30 sources with one to four items each; what the seeds say of a source differs. */
static struct lf_paired unequal(uint32_t *first, uint32_t *items, int32_t *differences)
{
	for (uint32_t task = 0; task <= TASKS; task++)
		first[task] = task * SOURCES / TASKS;
	for (uint32_t source = 0; source < SOURCES; source++) {
		items[source] = 1 + source % 4;
		for (uint32_t seed = 0; seed < SEEDS; seed++)
			differences[seed * SOURCES + source] =
				(int32_t)((source * 7 + seed * 3) % (items[source] + 1)) -
				(int32_t)(source % 3 == 0);
	}
	return (struct lf_paired){ TASKS, SEEDS, first, items, differences };
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The same interval by another generator and the plainest code: items are listed one by one. */
static struct lf_interval reference(const struct lf_paired *paired, bool tasks, bool seeds,
				    bool sources)
{
	enum { RESAMPLES = 40000 };
	double *means = malloc(RESAMPLES * sizeof(*means));
	struct lf_interval interval = { 0 };

	srand48(5);
	for (int sample = 0; sample < RESAMPLES; sample++) {
		uint32_t chosen[SEEDS];
		double sum = 0.0;

		for (uint32_t seed = 0; seed < SEEDS; seed++)
			chosen[seed] = seeds ? (uint32_t)(drand48() * SEEDS) : seed;
		for (uint32_t draw = 0; draw < TASKS; draw++) {
			uint32_t task = tasks ? (uint32_t)(drand48() * TASKS) : draw;
			uint32_t count = paired->first[task + 1] - paired->first[task];
			double better = 0.0, items = 0.0;

			for (uint32_t at = 0; at < count; at++) {
				uint32_t source = paired->first[task] +
						  (sources ? (uint32_t)(drand48() * count) : at);

				for (uint32_t seed = 0; seed < SEEDS; seed++) {
					better += paired->differences[chosen[seed] * SOURCES +
								      source];
					items += paired->items[source];
				}
			}
			sum += better / items / TASKS;
		}
		means[sample] = sum;
	}
	qsort(means, RESAMPLES, sizeof(*means), by_size);
	interval.low = means[RESAMPLES / 40];
	interval.high = means[RESAMPLES - 1 - RESAMPLES / 40];
	free(means);
	return interval;
}

START_TEST(the_paired_bootstrap_is_that_of_a_plain_one)
{
	uint32_t first[TASKS + 1], items[SOURCES];
	int32_t differences[SEEDS * SOURCES];
	struct lf_paired paired = unequal(first, items, differences);
	uint32_t levels = (uint32_t)_i + 1;
	struct lf_interval found, again, expected;

	expected = reference(&paired, levels & LF_RESAMPLE_TASKS, levels & LF_RESAMPLE_SEEDS,
			     levels & LF_RESAMPLE_SOURCES);
	ck_assert_int_eq(lf_paired_bootstrap(&paired, levels, 3, &found), 0);
	/* The standard error is about 0.05; of its ends, 10,000 resamples tell a fortieth of that. */
	ck_assert_double_eq_tol(found.low, expected.low, 0.006);
	ck_assert_double_eq_tol(found.high, expected.high, 0.006);
	ck_assert_double_le(found.low, found.mean);
	ck_assert_double_ge(found.high, found.mean);
	ck_assert_int_eq(lf_paired_bootstrap(&paired, levels, 3, &again), 0);
	ck_assert_mem_eq(&found, &again, sizeof(found));
}
END_TEST

/* A task of 1 and one of 3 items count alike, and the seeds of a task too. */
START_TEST(the_mean_is_over_tasks_then_seeds)
{
	const uint32_t first[] = { 0, 1, 3 }, items[] = { 1, 1, 2 };
	const int32_t differences[] = { 1, 0, 1, 0, 1, 1 };
	const struct lf_paired paired = { 2, 2, first, items, differences };
	struct lf_interval found;

	ck_assert_int_eq(lf_paired_bootstrap(&paired, LF_RESAMPLE_TASKS, 1, &found), 0);
	/* Task 0: 1 and 0. Task 1: 1/3 and 2/3. Both are one half. */
	ck_assert_double_eq_tol(found.mean, 0.5, 1e-15);
	ck_assert_double_eq_tol(found.low, 0.5, 1e-15);
	ck_assert_double_eq_tol(found.high, 0.5, 1e-15);
	ck_assert_int_eq(lf_paired_bootstrap(&paired, LF_RESAMPLE_SEEDS, 1, &found), 0);
	ck_assert_double_eq_tol(found.low, (0.0 + 2.0 / 3.0) / 2, 1e-15);
	ck_assert_double_eq_tol(found.high, (1.0 + 1.0 / 3.0) / 2, 1e-15);
}
END_TEST

static void count_labels(const uint32_t *of, const uint32_t *chosen, uint32_t total,
			 uint32_t counts[4])
{
	bool seen[200] = { false };

	memset(counts, 0, 4 * sizeof(*counts));
	for (uint32_t at = 0; at < total; at++) {
		ck_assert_uint_lt(chosen[at], 200);
		ck_assert(!seen[chosen[at]]);
		seen[chosen[at]] = true;
		counts[of[chosen[at]]]++;
	}
}

START_TEST(samples_keep_the_shares_of_labels)
{
	uint32_t of[200], chosen[200], other[200], counts[4];

	/* 120, 60, 18 and 2 of 200. */
	for (uint32_t at = 0; at < 200; at++)
		of[at] = at < 120 ? 0 : at < 180 ? 1 : at < 198 ? 2 : 3;
	ck_assert_int_eq(lf_stratified_sample(of, 200, 4, 100, 1, chosen), 0);
	count_labels(of, chosen, 100, counts);
	/* Both of the rarest, which has fewer than the least there should be; the commonest gives for it. */
	ck_assert_uint_eq(counts[3], 2);
	ck_assert_uint_eq(counts[2], 9);
	ck_assert_uint_eq(counts[0] + counts[1], 89);
	ck_assert_uint_ge(counts[0], 59);
	ck_assert_int_eq(lf_stratified_sample(of, 200, 4, 12, 1, chosen), 0);
	count_labels(of, chosen, 12, counts);
	ck_assert_uint_ge(counts[2], LF_STRATUM_MIN);
	ck_assert_uint_eq(counts[3], 2);
	ck_assert_int_eq(lf_stratified_sample(of, 200, 4, 100, 1, chosen), 0);
	ck_assert_int_eq(lf_stratified_sample(of, 200, 4, 100, 1, other), 0);
	ck_assert_mem_eq(chosen, other, 100 * sizeof(*chosen));
	ck_assert_int_eq(lf_stratified_sample(of, 200, 4, 100, 2, other), 0);
	ck_assert_mem_ne(chosen, other, 100 * sizeof(*chosen));
	ck_assert_int_eq(lf_stratified_sample(of, 200, 4, 500, 1, chosen), 0);
	count_labels(of, chosen, 200, counts);
	ck_assert_uint_eq(counts[0] + counts[1] + counts[2] + counts[3], 200);
}
END_TEST

/* One item of each label fits, or not even that. */
START_TEST(samples_may_be_smaller_than_there_are_labels)
{
	const uint32_t of[] = { 0, 1, 2, 3, 0, 0 };
	uint32_t chosen[6];

	for (uint32_t total = 1; total <= 6; total++)
		ck_assert_int_eq(lf_stratified_sample(of, 6, 4, total, total, chosen), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("statistics");
	TCase *tcase = tcase_create("statistics");

	tcase_add_test(tcase, accuracy_is_the_share_that_is_right);
	tcase_add_test(tcase, majority_is_the_commonest_and_the_first);
	tcase_add_test(tcase, macro_f1_is_the_mean_over_classes);
	tcase_add_test(tcase, predictions_that_are_alike_do_not_differ);
	tcase_add_test(tcase, the_interval_is_that_of_a_binomial);
	tcase_add_loop_test(tcase, the_paired_bootstrap_is_that_of_a_plain_one, 0, 7);
	tcase_add_test(tcase, the_mean_is_over_tasks_then_seeds);
	tcase_add_test(tcase, samples_keep_the_shares_of_labels);
	tcase_add_test(tcase, samples_may_be_smaller_than_there_are_labels);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
