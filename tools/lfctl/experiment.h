/* SPDX-License-Identifier: MIT */
/*
 * An experiment: tasks x methods x seeds as a file asks for them, each run adapting a new device in the process and testing it. What its
 * files share; experiment.c is the command, Documentation/experiments.md the file's keys.
 */
#ifndef LFCTL_EXPERIMENT_H
#define LFCTL_EXPERIMENT_H

#include <stdio.h>

#include <jansson.h>

#include <lf/statistics.h>

#include "tools/lfctl/session.h"

#define EXPERIMENT_TASKS   64
#define EXPERIMENT_SEEDS   64
#define EXPERIMENT_METHODS 64
#define EXPERIMENT_TRIALS  64
#define EXPERIMENT_CLAIMS  32
#define EXPERIMENT_BYTES   1024 /* of a path */

/**
 * struct experiment_settings - what tuning may change
 * @rate: of a method that is no LoRAFusion
 * @coefficient_rate: of LoRAFusion's coefficients
 * @magnitude_rate: of its magnitudes
 * @epochs: passes over the examples
 * @evaluations: of LoraHub
 * @l1: factor of mean |c|, below 0 for the method's own
 */
struct experiment_settings {
	double rate;
	double coefficient_rate;
	double magnitude_rate;
	uint32_t epochs;
	uint32_t evaluations;
	double l1;
};

/**
 * struct experiment_method - one way to adapt
 * @name: in tables
 * @recipe: which method
 * @pool: directory of its modules, NULL for none
 * @settings: where nothing is tuned, and where a trial does not say otherwise
 * @trials: array of objects that tuning tries, NULL where there is nothing to tune
 * @settings_of: name of the method whose tuned settings it runs with, its own unless the file says so
 * @object: of the file; settings in it go before those of another method
 */
struct experiment_method {
	const char *name;
	struct recipe recipe;
	const char *pool;
	struct experiment_settings settings;
	const json_t *trials;
	const char *settings_of;
	const json_t *object;
};

/** experiment_method_writes() - does it write cells of its device, so that nothing else must run there */
bool experiment_method_writes(const struct experiment_method *method);

/** struct experiment_claim - @method is better than @against, or worse by no more than @margin, a share */
struct experiment_claim {
	const char *name;
	uint32_t method;
	uint32_t against;
	double margin;
};

/**
 * struct experiment_draw - on what a stage runs
 * @tasks: their names, directories below @data
 * @task_count: how many
 * @seeds: each draws training examples, modules and initial values
 * @seed_count: how many
 * @split: tested on
 * @examples: training examples drawn, 0 for all
 * @test_limit: first test examples only, 0 for all
 */
struct experiment_draw {
	const char *tasks[EXPERIMENT_TASKS];
	uint32_t task_count;
	uint64_t seeds[EXPERIMENT_SEEDS];
	uint32_t seed_count;
	const char *split;
	uint32_t examples;
	uint32_t test_limit;
};

/**
 * struct experiment - what a file says
 * @path: of the file, an operand
 * @file: the file; everything below that is text lives in it
 * @model: directory of the model, an option
 * @folder: where results go, an option
 * @data: directory of the tasks
 * @device: specification of every device
 * @batch: sentences a pass
 * @host_pj_byte: energy of a byte between host and device, picojoules
 * @resampled: levels of the bootstrap
 * @final: what the table is made of
 * @tuning: what settings are chosen on; no tasks where none are
 * @settings_from: what the tuning of another experiment chose, its tuned.json; NULL for none
 * @methods: [@method_count]
 * @claims: [@claim_count] what the results are asked, written down before them
 * @against: number of the method that intervals are against
 * @jobs: runs at a time
 * @quiet: no progress
 */
struct experiment {
	const char *path;
	json_t *file;
	const char *model;
	const char *folder;
	const char *data;
	const char *device;
	uint32_t batch;
	double host_pj_byte;
	uint32_t resampled;
	struct experiment_draw final;
	struct experiment_draw tuning;
	const char *settings_from;
	struct experiment_method methods[EXPERIMENT_METHODS];
	uint32_t method_count;
	struct experiment_claim claims[EXPERIMENT_CLAIMS];
	uint32_t claim_count;
	uint32_t against;
	uint32_t jobs;
	bool quiet;
};

/**
 * experiment_read() - read and check a file
 * @experiment: filled; release with experiment_release(), also on failure
 *
 * Return: 0, or -EINVAL with the key that is wrong.
 */
int experiment_read(struct experiment *experiment, const char *path, struct lf_error *error);

/** experiment_release() - free what was read */
void experiment_release(struct experiment *experiment);

struct key_place;

/** experiment_methods_read() - the methods of a file, which have as many trials as every other that is tuned */
int experiment_methods_read(struct experiment *experiment, const struct key_place *file);

/**
 * experiment_settings_read() - change settings by an object of "rate", "coefficient_rate", "magnitude_rate", "epochs", "evaluations" and "l1", all
 *	optional
 * @where: of the object, for messages
 */
int experiment_settings_read(struct experiment_settings *settings, const json_t *object,
			     const char *where, struct lf_error *error);

/**
 * experiment_settings_chosen() - the settings a method runs with after tuning
 * @tuned: what was chosen, an object by method, NULL for nothing
 */
int experiment_settings_chosen(const struct experiment_method *method, const json_t *tuned,
			       struct experiment_settings *settings, struct lf_error *error);

/** experiment_method_tunable() - is there anything that trials could change */
bool experiment_method_tunable(const struct experiment_method *method);

/** experiment_settings_json() - as an object */
json_t *experiment_settings_json(const struct experiment_settings *settings);

/**
 * struct experiment_run - one run of a stage
 * @task: number
 * @seed: number
 * @method: number
 * @trial: number, 0 in the final stage
 * @line: what came of it, NULL until it is done
 */
struct experiment_run {
	uint32_t task;
	uint32_t seed;
	uint32_t method;
	uint32_t trial;
	json_t *line;
};

/**
 * struct experiment_stage - the runs of one draw
 * @name: "runs" or "tuning", and of the file of lines
 * @draw: on what
 * @tuned: settings that tuning has chosen, an object by method; NULL while tuning and where nothing is tuned
 * @probe: one epoch and a few test sentences only, to see how long runs take
 * @runs: in the order of the seeds, then tasks, then methods
 * @count: how many
 */
struct experiment_stage {
	const char *name;
	const struct experiment_draw *draw;
	const json_t *tuned;
	bool probe;
	struct experiment_run *runs;
	uint32_t count;
};

/** experiment_stage_create() - list the runs; release with experiment_stage_release() */
int experiment_stage_create(const struct experiment *experiment, bool tuning,
			    struct experiment_stage *stage, struct lf_error *error);
void experiment_stage_release(struct experiment_stage *stage);

/**
 * experiment_log_open() - open FOLDER/NAME.jsonl and take over the runs in it
 * @log: receives the file
 *
 * Return: 0, -EEXIST (of another experiment), -EBUSY (another process is at it), -EINVAL (damaged), ...
 */
int experiment_log_open(const struct experiment *experiment, struct experiment_stage *stage,
			FILE **log, struct lf_error *error);

/** experiment_log_add() - write a line down so that it survives a loss of power; 0 or negative errno */
int experiment_log_add(FILE *log, const json_t *line);

/** experiment_run_all() - do the runs that have no line yet, several at a time */
int experiment_run_all(const struct experiment *experiment, struct experiment_stage *stage,
		       FILE *log, struct lf_error *error);

struct bench;

/**
 * experiment_measure() - one run
 * @bench: of the stage; set up for the run, and left ready for the next
 * @run: which
 * @line: receives what came of it, NULL on failure
 * @error: reason on failure
 */
int experiment_measure(struct bench *bench, const struct experiment_run *run, json_t **line,
		       struct lf_error *error);

/** experiment_estimate() - what all runs would take in processor time over @jobs, and what each method trains, added to @result */
int experiment_estimate(const struct experiment *experiment, json_t *result,
			struct lf_error *error);

/** experiment_table() - the table and the claims of a complete stage, added to @result */
int experiment_table(const struct experiment *experiment, const struct experiment_stage *stage,
		     json_t *result, struct lf_error *error);

/** experiment_energy() - where energy goes and which conclusion depends on what, added to @result */
void experiment_energy(const struct experiment *experiment, const struct experiment_stage *stage,
		       json_t *result);

/** experiment_markdown() - the tables of a @result for people */
void experiment_markdown(const struct experiment *experiment, const json_t *result, FILE *stream);

/** experiment_plot() - draw what experiment_table() made */
void experiment_plot(const struct experiment *experiment, const json_t *result, FILE *stream);

/** experiment_choose() - the best trial of each method, an object by method; NULL without memory */
json_t *experiment_choose(const struct experiment *experiment,
			  const struct experiment_stage *stage);

#endif
