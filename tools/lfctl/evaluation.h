/* SPDX-License-Identifier: MIT */
/* What train and eval share: where things are, predicting the test examples, and what came of it. */
#ifndef LFCTL_EVALUATION_H
#define LFCTL_EVALUATION_H

#include "tools/lfctl/command.h"
#include "tools/lfctl/session.h"

/**
 * struct places - what the options of both commands say
 * @common: first, as in every command
 * @session: the model, pool, task and device
 * @test_limit: of @session, as the option's type has it
 * @batch: of @session
 * @threads: of @session
 * @adapter: what was learned
 * @predictions: file for the predicted labels, NULL for none
 */
struct places {
	struct common common;
	struct session_options session;
	uint64_t test_limit;
	uint64_t batch;
	uint64_t threads;
	const char *adapter;
	const char *predictions;
};

/* Their options; a command's values begin with struct places. */
extern const struct option_spec place_options[];

#define PLACES_DEFAULTS                                                      \
	{                                                                    \
		.session = { .name = "model", .split = "test" }, .batch = 10 \
	}

/** places_session() - the session's options, complete */
struct session_options places_session(const struct places *places);

/** places_check() - whether the model, the task and, where the recipe's method has one, the pool are given; @recipe may be NULL */
int places_check(const struct places *places, const struct recipe *recipe, struct lf_error *error);

/**
 * predict() - label the test examples
 * @label: of the progress bar
 * @head: classifies; NULL for what session_adapt() made
 * @predictions: receives an array to free(), also on failure
 * @wall_s: receives how long it took
 */
int predict(const struct places *places, struct session *session, const char *label,
	    struct lf_head *head, uint32_t **predictions, double *wall_s, struct lf_error *error);

/** write_predictions() - the labels' names, a line each */
void write_predictions(const struct session *session, const uint32_t *predictions, FILE *stream);

/** accuracy_json() - how good @adapted is, and @zero_shot where it is not NULL */
json_t *accuracy_json(const struct session *session, const char *method, const uint32_t *zero_shot,
		      const uint32_t *adapted);

/** modules_json() - of a fusion's modules, counted block by block, those that are read and all */
json_t *modules_json(const struct session *session);

/**
 * read_counters() - the device's own counters where the caller may read them, else those of this process's jobs
 * @source: receives "device" or "context"
 */
int read_counters(struct session *session, struct lf_counters *counters, const char **source,
		  struct lf_error *error);

/** cost_json() - what was spent between two readings */
json_t *cost_json(const struct lf_counters *before, const struct lf_counters *after,
		  const char *source);

/**
 * adaptation_config() - what a trained adaptation belongs to: recipe, pool and labels
 * Return: an object, to which more may be added.
 */
json_t *adaptation_config(const struct session *session, const struct recipe *recipe);

/**
 * adaptation_check() - whether an adaptation belongs to this session
 * @config: of the adaptation
 * @path: of its file, for @error
 *
 * What was trained for one model or pool means nothing for another, and a linear head nothing for other labels.
 *
 * Return: 0 or -EINVAL.
 */
int adaptation_check(const json_t *config, const struct session *session,
		     const struct recipe *recipe, const char *path, struct lf_error *error);

/** wall_clock_s() - seconds of a clock that only runs forward */
double wall_clock_s(void);

/** seconds_json() - rounded to what the clock is worth */
json_t *seconds_json(double seconds);

#endif
