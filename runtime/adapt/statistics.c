// SPDX-License-Identifier: MIT
/* Measures of predictions; see lf/statistics.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include <lf/statistics.h>

#include "runtime/adapt/random.h"

#define RESAMPLES 10000
/* Resamples beyond each end of a 95 % interval. */
#define TAIL	  (RESAMPLES / 40)

double lf_accuracy(const uint32_t *predictions, const uint32_t *labels, uint32_t count)
{
	uint32_t right = 0;

	for (uint32_t at = 0; at < count; at++)
		right += predictions[at] == labels[at];
	return count ? (double)right / count : 0.0;
}

static uint32_t occurrences(const uint32_t *labels, uint32_t count, uint32_t label)
{
	uint32_t found = 0;

	for (uint32_t at = 0; at < count; at++)
		found += labels[at] == label;
	return found;
}

uint32_t lf_majority(const uint32_t *labels, uint32_t count, uint32_t classes)
{
	uint32_t best = 0, most = 0;

	for (uint32_t label = 0; label < classes; label++) {
		uint32_t found = occurrences(labels, count, label);

		if (found > most) {
			most = found;
			best = label;
		}
	}
	return best;
}

double lf_macro_f1(const uint32_t *predictions, const uint32_t *labels, uint32_t count,
		   uint32_t classes)
{
	double sum = 0.0;

	for (uint32_t label = 0; label < classes; label++) {
		uint32_t all =
			occurrences(labels, count, label) + occurrences(predictions, count, label);
		uint32_t right = 0;

		for (uint32_t at = 0; at < count; at++)
			right += predictions[at] == label && labels[at] == label;
		sum += all ? 2.0 * right / all : 0.0;
	}
	return classes ? sum / classes : 0.0;
}

static int by_value(const void *a, const void *b)
{
	int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

int lf_accuracy_difference(const uint32_t *a, const uint32_t *b, const uint32_t *labels,
			   uint32_t count, uint64_t seed, double *low, double *high)
{
	int32_t *differences = malloc(RESAMPLES * sizeof(*differences));
	struct lf_random random;

	if (!differences)
		return -ENOMEM;
	lf_random_seed(&random, seed, LF_RANDOM_BOOTSTRAP, 0);
	for (uint32_t sample = 0; sample < RESAMPLES; sample++) {
		differences[sample] = 0;
		for (uint32_t draw = 0; draw < count; draw++) {
			uint32_t at = lf_random_below(&random, count);

			differences[sample] += (a[at] == labels[at]) - (b[at] == labels[at]);
		}
	}
	qsort(differences, RESAMPLES, sizeof(*differences), by_value);
	*low = (double)differences[TAIL] / count;
	*high = (double)differences[RESAMPLES - 1 - TAIL] / count;
	free(differences);
	return 0;
}

static int by_number(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Weights of the seeds: how often each is drawn, or once each. */
static void draw_seeds(const struct lf_paired *paired, bool draw, struct lf_random *random,
		       uint32_t *weights)
{
	for (uint32_t seed = 0; seed < paired->seeds; seed++)
		weights[seed] = !draw;
	for (uint32_t seed = 0; draw && seed < paired->seeds; seed++)
		weights[lf_random_below(random, paired->seeds)]++;
}

/* Difference of accuracies of a task, its sources drawn or not. */
static double task_difference(const struct lf_paired *paired, uint32_t task,
			      const uint32_t *weights, struct lf_random *random)
{
	uint32_t first = paired->first[task], count = paired->first[task + 1] - first;
	size_t all = paired->first[paired->tasks];
	int64_t difference = 0;
	uint64_t items = 0;

	for (uint32_t draw = 0; draw < count; draw++) {
		uint32_t source = first + (random ? lf_random_below(random, count) : draw);

		items += paired->items[source];
		for (uint32_t seed = 0; seed < paired->seeds; seed++)
			difference +=
				(int64_t)weights[seed] * paired->differences[seed * all + source];
	}
	return (double)difference / ((double)items * paired->seeds);
}

static double resample(const struct lf_paired *paired, uint32_t levels, uint32_t *weights,
		       struct lf_random *random)
{
	double sum = 0.0;

	draw_seeds(paired, levels & LF_RESAMPLE_SEEDS, random, weights);
	for (uint32_t draw = 0; draw < paired->tasks; draw++) {
		uint32_t task =
			levels & LF_RESAMPLE_TASKS ? lf_random_below(random, paired->tasks) : draw;

		sum += task_difference(paired, task, weights,
				       levels & LF_RESAMPLE_SOURCES ? random : NULL);
	}
	return sum / paired->tasks;
}

int lf_paired_bootstrap(const struct lf_paired *paired, uint32_t levels, uint64_t seed,
			struct lf_interval *interval)
{
	double *means = malloc(RESAMPLES * sizeof(*means));
	uint32_t *weights = malloc(paired->seeds * sizeof(*weights));
	struct lf_random random;
	int ret = -ENOMEM;

	if (means && weights) {
		lf_random_seed(&random, seed, LF_RANDOM_BOOTSTRAP, 1);
		interval->mean = resample(paired, 0, weights, &random);
		for (uint32_t sample = 0; sample < RESAMPLES; sample++)
			means[sample] = resample(paired, levels, weights, &random);
		qsort(means, RESAMPLES, sizeof(*means), by_number);
		interval->low = means[TAIL];
		interval->high = means[RESAMPLES - 1 - TAIL];
		ret = 0;
	}
	free(means);
	free(weights);
	return ret;
}

/* How many of each label are drawn, [classes]; @counts is what there is, more than @total in all. */
static void share_out(const uint32_t *counts, uint32_t classes, uint32_t count, uint32_t total,
		      uint32_t *shares)
{
	uint32_t present = 0, least, drawn = 0;

	for (uint32_t label = 0; label < classes; label++)
		present += counts[label] > 0;
	least = total / present < LF_STRATUM_MIN ? total / present : LF_STRATUM_MIN;
	for (uint32_t label = 0; label < classes; label++) {
		uint64_t share = (uint64_t)counts[label] * total / count;

		share = share < least ? least : share;
		shares[label] = share < counts[label] ? (uint32_t)share : counts[label];
		drawn += shares[label];
	}
	while (drawn != total) {
		uint32_t best = classes;
		double most = 0.0;

		/* Whoever is furthest below its share gains one; whoever has most gives one. */
		for (uint32_t label = 0; label < classes; label++) {
			double missing = (double)counts[label] * total / count - shares[label];
			bool may = drawn < total ? shares[label] < counts[label]
						 : shares[label] > least;

			if (!may)
				continue;
			missing = drawn < total ? missing : -missing;
			if (best == classes || missing > most) {
				best = label;
				most = missing;
			}
		}
		shares[best] += drawn < total ? 1 : -1;
		drawn += drawn < total ? 1 : -1;
	}
}

int lf_stratified_sample(const uint32_t *labels, uint32_t count, uint32_t classes, uint32_t total,
			 uint64_t seed, uint32_t *chosen)
{
	uint32_t *counts = calloc(2 * (size_t)classes, sizeof(*counts)), *shares = counts + classes;
	uint32_t *order = malloc((size_t)count * sizeof(*order)), found = 0;
	struct lf_random random;

	if (!counts || !order) {
		free(counts);
		free(order);
		return -ENOMEM;
	}
	lf_random_seed(&random, seed, LF_RANDOM_SAMPLE, 0);
	for (uint32_t at = 0; at < count; at++) {
		uint32_t place = lf_random_below(&random, at + 1);

		order[at] = order[place];
		order[place] = at;
		counts[labels[at]]++;
	}
	if (total < count)
		share_out(counts, classes, count, total, shares);
	for (uint32_t at = 0; at < count; at++) {
		uint32_t label = labels[order[at]];

		if (total < count && !shares[label])
			continue;
		shares[label]--;
		chosen[found++] = order[at];
	}
	free(counts);
	free(order);
	return 0;
}
