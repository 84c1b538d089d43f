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

#endif
