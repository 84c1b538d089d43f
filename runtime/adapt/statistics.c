// SPDX-License-Identifier: MIT
/* Measures of predictions; see lf/statistics.h. */
#include <errno.h>
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
