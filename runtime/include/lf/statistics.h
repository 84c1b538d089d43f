/* SPDX-License-Identifier: MIT */
/* How good predictions are, and how sure one can be of a difference. */
#ifndef LF_STATISTICS_H
#define LF_STATISTICS_H

#include <stdint.h>

#include <lf/error.h>

/** lf_accuracy() - share of predictions that equal their label */
double lf_accuracy(const uint32_t *predictions, const uint32_t *labels, uint32_t count);

/** lf_majority() - the commonest of @classes labels, the first among equals */
uint32_t lf_majority(const uint32_t *labels, uint32_t count, uint32_t classes);

/**
 * lf_macro_f1() - mean over the classes of the harmonic mean of precision and recall
 * @predictions: [@count]
 * @labels: [@count]
 * @count: items
 * @classes: number of classes
 *
 * A class that is neither predicted nor there counts as 0, as in scikit-learn's f1_score(zero_division=0).
 */
double lf_macro_f1(const uint32_t *predictions, const uint32_t *labels, uint32_t count,
		   uint32_t classes);

/**
 * lf_accuracy_difference() - 95 % interval of accuracy(a) - accuracy(b) on the same items
 * @a: [@count] predictions
 * @b: [@count] predictions
 * @labels: [@count]
 * @count: items
 * @seed: of the resampling
 * @low: receives the 2.5 % point
 * @high: receives the 97.5 % point
 *
 * Percentile bootstrap over the items, 10,000 resamples (Efron 1979, 10.1214/aos/1176344552).
 *
 * Return: 0 or -ENOMEM.
 */
int lf_accuracy_difference(const uint32_t *a, const uint32_t *b, const uint32_t *labels,
			   uint32_t count, uint64_t seed, double *low, double *high);

/* What a paired bootstrap draws anew; a mask. */
#define LF_RESAMPLE_TASKS   (1u << 0)
#define LF_RESAMPLE_SEEDS   (1u << 1)
#define LF_RESAMPLE_SOURCES (1u << 2)

/**
 * struct lf_paired - two methods on the same items of several tasks
 * @tasks: how many
 * @seeds: runs of each task; run s of a task was made with seed s, whichever the task
 * @first: [@tasks + 1] first source of each task, and behind the last
 * @items: [@first[@tasks]] items of a source, at least 1; items of one source are not independent
 * @differences: [@seeds][@first[@tasks]] items of a source that the one method got right, less those that the other did
 */
struct lf_paired {
	uint32_t tasks;
	uint32_t seeds;
	const uint32_t *first;
	const uint32_t *items;
	const int32_t *differences;
};

/** struct lf_interval - a mean and its 95 % interval */
struct lf_interval {
	double mean;
	double low;
	double high;
};

/**
 * lf_paired_bootstrap() - difference of accuracies, the mean over tasks of the mean over seeds
 * @paired: at least one task, seed and source a task
 * @levels: what is drawn with replacement, LF_RESAMPLE_*; what is not stays as it is. Seeds are drawn once a resample, for all
 *	tasks, since a seed is one draw of the pool
 * @seed: of the resampling
 * @interval: filled
 *
 * Percentile bootstrap, 10,000 resamples: tasks, within each the sources as clusters (Davison and Hinkley 1997, section 3.8).
 *
 * Return: 0 or -ENOMEM.
 */
int lf_paired_bootstrap(const struct lf_paired *paired, uint32_t levels, uint64_t seed,
			struct lf_interval *interval);

/* Items that a label gets at least, see lf_stratified_sample(). */
#define LF_STRATUM_MIN 3

/**
 * lf_stratified_sample() - draw items, shares of labels kept
 * @labels: [@count] of the items
 * @count: items
 * @classes: number of classes
 * @total: items to draw; all are taken where there are no more
 * @seed: draws
 * @chosen: receives the items in an order of their own, min(@total, @count) of them
 *
 * A label gets its share, and no less than LF_STRATUM_MIN items where it has as many and @total allows it; what rounding leaves goes
 * to the largest remainders.
 *
 * Return: 0 or -ENOMEM.
 */
int lf_stratified_sample(const uint32_t *labels, uint32_t count, uint32_t classes, uint32_t total,
			 uint64_t seed, uint32_t *chosen);

#endif
