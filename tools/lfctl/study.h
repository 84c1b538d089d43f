/* SPDX-License-Identifier: MIT */
/*
 * A study: the accuracy of an adapted encoder and the signal-to-noise ratio of its layers on devices that differ in one parameter
 * at a time. What its files share; study.c is the command.
 */
#ifndef LFCTL_STUDY_H
#define LFCTL_STUDY_H

#include <stdio.h>

#include <jansson.h>

#include "tools/lfctl/session.h"
#include "tools/lfctl/study_signal.h"
#include "tools/lfctl/study_sweep.h"

/* What a layer of a block is called in tables and plots; the order of the layers of a block. */
#define STUDY_KINDS 6

/**
 * struct study_point - what was measured on one device at one time
 * @done: it was
 * @accuracy: share of the test examples
 * @clip_share: of the conversions of the test
 * @wall_s: how long it took
 * @own: [layers] noise over signal, every layer on its own
 * @through: [layers] likewise, errors adding up from layer to layer
 */
struct study_point {
	bool done;
	double accuracy;
	double clip_share;
	double wall_s;
	double *own;
	double *through;
};

/**
 * struct study_series - the points of a sweep
 * @sweep: what is varied
 * @repeats: devices of each value, which differ in their seed; 1 where nothing is random
 * @points: [sweep.count][STUDY_REPEATS]
 */
#define STUDY_REPEATS 32
struct study_series {
	struct study_sweep sweep;
	uint32_t repeats[STUDY_VALUES];
	struct study_point *points;
};

/**
 * struct study - all of it
 * @session: where the model, the pool and the task are; of every device
 * @base: specification that all devices begin with
 * @drift: parameters that are added where @base neither relaxes nor forgets, for the sweep over time; NULL where it does
 * @folder: where results go
 * @seed: of the first device of each value
 * @repeats: devices of each value, if anything is random
 * @signal_sentences: sentences for the signal-to-noise ratios
 * @jobs: devices at a time
 * @quiet: no progress
 * @recipe: of the adaptation
 * @checkpoint: what was learned on the ideal device
 * @heads: [@jobs] of the ideal device; none of the recipe's when that is linear
 * @signal: outputs of the ideal device
 * @layers: number of layers
 * @examples: of the test
 * @majority: share of the commonest label
 * @ideal_accuracy: of the ideal device
 * @series: of each sweep
 * @series_count: how many
 */
struct study {
	struct session_options session;
	const char *base;
	const char *drift;
	const char *folder;
	uint64_t seed;
	uint32_t repeats;
	uint32_t signal_sentences;
	uint32_t jobs;
	bool quiet;
	struct recipe recipe;
	const struct lf_checkpoint *checkpoint;
	struct lf_head **heads;
	struct study_signal signal;
	uint32_t layers;
	uint32_t examples;
	double majority;
	double ideal_accuracy;
	struct study_series series[STUDY_SWEEPS];
	uint32_t series_count;
};

static inline struct study_point *study_point(const struct study_series *series, uint32_t value,
					      uint32_t repeat)
{
	return &series->points[value * STUDY_REPEATS + repeat];
}

/** study_plan() - count the devices of each value; refuses what no device can be */
int study_plan(struct study *study, struct lf_error *error);

/**
 * study_run() - measure what is not done yet
 * @study: planned, with the ideal device's part filled
 * @log: receives a line for each point as it is done
 * @error: reason on failure
 */
int study_run(struct study *study, FILE *log, struct lf_error *error);

/**
 * study_log_open() - open FOLDER/points.jsonl and take over what is in it
 * @study: planned
 * @log: receives the file, where new points are added
 * @error: reason on failure
 *
 * Return: 0, -EEXIST (of another study), -EINVAL (damaged), ...
 */
int study_log_open(struct study *study, FILE **log, struct lf_error *error);

/** study_log_add() - write a point down; 0 or negative errno */
int study_log_add(FILE *log, const struct study *study, const struct study_series *series,
		  uint32_t value, uint32_t repeat);

/**
 * struct study_summary - the repeats of a value together
 * @devices: how many
 * @accuracy: mean
 * @accuracy_sd: standard deviation, 0 for one device
 * @clip_share: mean
 * @own_db: signal-to-noise ratio of all layers: of the mean of their ratios; INFINITY without any error
 * @own_sd: standard deviation of that over the devices, dB
 * @through_db: likewise with errors adding up
 * @kinds_db: of the layers of each kind, on their own
 * @worst_layer: the one with the least
 * @worst_db: how much that is
 */
struct study_summary {
	uint32_t devices;
	double accuracy;
	double accuracy_sd;
	double clip_share;
	double own_db;
	double own_sd;
	double through_db;
	double kinds_db[STUDY_KINDS];
	uint32_t worst_layer;
	double worst_db;
};

/** study_summarise() - see struct study_summary */
void study_summarise(const struct study *study, const struct study_series *series, uint32_t value,
		     struct study_summary *summary);

/** study_layer_db() - signal-to-noise ratio of a layer over the devices of a value, INFINITY without any error */
double study_layer_db(const struct study_series *series, uint32_t value, uint32_t layer, bool own);

/** study_kind_name() - of the layers of a block: "query", "key", ... */
const char *study_kind_name(uint32_t kind);

/** study_plot() - draw all series as SVG */
void study_plot(const struct study *study, FILE *stream);

#endif
