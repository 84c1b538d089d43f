// SPDX-License-Identifier: MIT
/* What the points of a study come to: means over devices and layers. */
#include <math.h>

#include "tools/lfctl/study.h"

const char *study_kind_name(uint32_t kind)
{
	static const char *const names[STUDY_KINDS] = { "query",	"key",
							"value",	"attention output",
							"intermediate", "output" };

	return names[kind];
}

/* Of noise over signal. */
static double decibels(double ratio)
{
	return ratio > 0.0 ? -10.0 * log10(ratio) : INFINITY;
}

/* Mean of the ratios of every @step-th layer from @first on, over all devices of a value, or over one of them. */
static double mean_ratio(const struct study_series *series, uint32_t value, uint32_t repeat,
			 uint32_t repeats, uint32_t first, uint32_t layers, uint32_t step, bool own)
{
	double sum = 0.0;
	uint32_t count = 0;

	for (uint32_t device = repeat; device < repeat + repeats; device++) {
		const struct study_point *point = study_point(series, value, device);

		for (uint32_t layer = first; layer < layers; layer += step, count++)
			sum += (own ? point->own : point->through)[layer];
	}
	return sum / count;
}

double study_layer_db(const struct study_series *series, uint32_t value, uint32_t layer, bool own)
{
	return decibels(
		mean_ratio(series, value, 0, series->repeats[value], layer, layer + 1, 1, own));
}

/* Standard deviation of a sample; 0 for one number, or where one is beyond all measure. */
static double deviation(const double *numbers, uint32_t count, double *mean)
{
	double sum = 0.0, squares = 0.0;

	for (uint32_t at = 0; at < count; at++)
		sum += numbers[at];
	*mean = sum / count;
	for (uint32_t at = 0; at < count; at++)
		squares += (numbers[at] - *mean) * (numbers[at] - *mean);
	return count > 1 && isfinite(squares) ? sqrt(squares / (count - 1)) : 0.0;
}

void study_summarise(const struct study *study, const struct study_series *series, uint32_t value,
		     struct study_summary *summary)
{
	uint32_t devices = series->repeats[value];
	double accuracies[STUDY_REPEATS] = { 0 }, own[STUDY_REPEATS] = { 0 }, mean;

	*summary = (struct study_summary){ .devices = devices, .worst_db = INFINITY };
	for (uint32_t device = 0; device < devices; device++) {
		const struct study_point *point = study_point(series, value, device);

		accuracies[device] = point->accuracy;
		summary->clip_share += point->clip_share / devices;
		own[device] =
			decibels(mean_ratio(series, value, device, 1, 0, study->layers, 1, true));
	}
	summary->accuracy_sd = deviation(accuracies, devices, &summary->accuracy);
	summary->own_sd = deviation(own, devices, &mean);
	summary->own_db =
		decibels(mean_ratio(series, value, 0, devices, 0, study->layers, 1, true));
	summary->through_db =
		decibels(mean_ratio(series, value, 0, devices, 0, study->layers, 1, false));
	for (uint32_t kind = 0; kind < STUDY_KINDS; kind++)
		summary->kinds_db[kind] = decibels(mean_ratio(series, value, 0, devices, kind,
							      study->layers, STUDY_KINDS, true));
	for (uint32_t layer = 0; layer < study->layers; layer++) {
		double db = study_layer_db(series, value, layer, true);

		if (db >= summary->worst_db)
			continue;
		summary->worst_db = db;
		summary->worst_layer = layer;
	}
}
