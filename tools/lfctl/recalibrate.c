// SPDX-License-Identifier: MIT
/*
 * lfctl recalibrate: when cells have aged, are stuck or are warmer than they were, coefficients and magnitudes are trained again on
 * a handful of examples. What that gives is held against doing nothing and against programming the cells again.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/calibration.h>
#include <lf/statistics.h>

#include "tools/lfctl/age.h"
#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

#define NANOSECONDS_PER_SECOND 1e9
#define PATH_BYTES	       1024
#define MOST_COUNTS	       16
#define CALIBRATION_VECTORS    64
#define BASE		       "inproc:isaac"

struct recalibrate_values {
	struct common common;
	struct session_options session;
	const char *adapter;
	const char *age;
	const char *counts;
	double stuck;
	double temperature_c;
	uint64_t seeds;
	uint64_t epochs;
	uint64_t batch;
	uint64_t test_limit;
	uint64_t threads;
	bool calibrate;
	double coefficient_rate;
	double magnitude_rate;
};

#define PLACE(field)	     offsetof(struct recalibrate_values, field)
#define SAME_TEMPERATURE     -1000.0
#define LOWEST_TEMPERATURE_C -55.0

static const struct option_spec recalibrate_options[] = {
	{ "model", OPTION_TEXT, PLACE(session.model), "DIR", "Hugging Face directory of the model",
	  0, 0 },
	{ "pool", OPTION_TEXT, PLACE(session.pool), "DIR", "directory of the pool's PEFT adapters",
	  0, 0 },
	{ "task", OPTION_TEXT, PLACE(session.task), "DIR",
	  "labels.json and {train,validation,test}.jsonl", 0, 0 },
	{ "adapter", OPTION_TEXT, PLACE(adapter), "FILE",
	  "what lfctl train --method lorafusion wrote", 0, 0 },
	{ "calibrate", OPTION_FLAG, PLACE(calibrate), NULL,
	  "set the converters from the training sentences once all is deployed", 0, 0 },
	{ "age", OPTION_TEXT, PLACE(age), "AGE", "let so much time pass, such as 30d or 1y [0]", 0,
	  0 },
	{ "stuck", OPTION_REAL, PLACE(stuck), "SHARE",
	  "of cells, half of them on and half off; without it as the device's preset has it", 0,
	  0.5 },
	{ "temperature", OPTION_REAL, PLACE(temperature_c), "C",
	  "of the die from then on, degrees Celsius", LOWEST_TEMPERATURE_C, 200 },
	{ "samples", OPTION_TEXT, PLACE(counts), "LIST",
	  "how many examples to train again on [8,16,32,64]", 0, 0 },
	{ "seeds", OPTION_NUMBER, PLACE(seeds), "N", "draws of them [3]", 1, 1000 },
	{ "epochs", OPTION_NUMBER, PLACE(epochs), "N", "passes over them [10]", 1, 1e6 },
	{ "batch", OPTION_NUMBER, PLACE(batch), "N", "sentences a step [8]", 1, 4096 },
	{ "coefficient-rate", OPTION_REAL, PLACE(coefficient_rate), "X",
	  "learning rate of the coefficients [0.005]", 0, 10 },
	{ "magnitude-rate", OPTION_REAL, PLACE(magnitude_rate), "X",
	  "learning rate of the magnitudes [0.002]", 0, 10 },
	{ "split", OPTION_CHOICE, PLACE(session.split), "test|validation", "what to test on [test]",
	  0, 0 },
	{ "test-limit", OPTION_NUMBER, PLACE(test_limit), "N",
	  "first test examples only, 0 for all [0]", 0, 1e9 },
	{ "threads", OPTION_NUMBER, PLACE(threads), "N", "of the host, 0 for one a CPU [0]", 0,
	  256 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct recalibrate_values recalibrate_defaults = {
	.session = { .name = "model", .split = "test" },
	.counts = "8,16,32,64",
	.stuck = -1.0,
	.temperature_c = SAME_TEMPERATURE,
	.seeds = 3,
	.epochs = 10,
	.batch = 8,
	.coefficient_rate = 0.005,
	.magnitude_rate = 0.002,
};

/* What is at hand while all of it is tried. */
struct recalibration {
	const struct recalibrate_values *values;
	struct session *session;
	uint32_t counts[MOST_COUNTS];
	uint32_t count;
	float **learned; /* the groups' values as train left them */
	json_t *states;
	struct progress progress;
	uint64_t done;
	uint64_t total;
};

static int parse_counts(const char *text, uint32_t counts[MOST_COUNTS], uint32_t *count,
			struct lf_error *error)
{
	*count = 0;
	do {
		char *end;
		unsigned long number = strtoul(text, &end, 10);

		if (*text < '1' || *text > '9' || number > 1000000 || (*end && *end != ',') ||
		    *count == MOST_COUNTS)
			return lf_error_set(error, -EINVAL,
					    "--samples: up to %d whole numbers with commas between "
					    "them",
					    MOST_COUNTS);
		counts[(*count)++] = (uint32_t)number;
		text = end;
	} while (*text++);
	return 0;
}

static int check(const void *opaque, struct lf_error *error)
{
	const struct recalibrate_values *values = opaque;
	const char *device = values->common.device;
	uint32_t counts[MOST_COUNTS], count;
	double seconds;

	if (!values->session.model || !values->session.pool || !values->session.task)
		return lf_error_set(error, -EINVAL, "--%s is missing",
				    !values->session.model  ? "model"
				    : !values->session.pool ? "pool"
							    : "task");
	if (!values->adapter)
		return lf_error_set(error, -EINVAL, "--adapter is missing");
	if (values->age && age_parse(values->age, &seconds))
		return lf_error_set(error, -EINVAL, "--age %s: %s", values->age, AGE_WANTED);
	if (device && (strncmp(device, "inproc", strlen("inproc")) || strstr(device, "memory=")))
		return lf_error_set(error, -EINVAL,
				    "--device %s: the device is made for this, in this process and "
				    "without memory=",
				    device);
	return parse_counts(values->counts, counts, &count, error);
}

/* Examples drawn by seed, the labels in turn, so that few of them still are of many labels. */
static int draw_examples(const struct lf_examples *all, uint32_t classes, uint32_t count,
			 uint64_t seed, struct lf_examples *drawn, struct lf_error *error)
{
	uint32_t *order = malloc(all->count * sizeof(*order));
	uint64_t state = seed;

	*drawn = (struct lf_examples){ 0 };
	drawn->start = calloc((size_t)count + 1, sizeof(*drawn->start));
	drawn->tokens = malloc(all->start[all->count] * sizeof(*drawn->tokens));
	drawn->labels = malloc(count * sizeof(*drawn->labels));
	if (!order || !drawn->start || !drawn->tokens || !drawn->labels) {
		free(order);
		lf_examples_release(drawn);
		return lf_error_set(error, -ENOMEM, "no memory for %u examples", count);
	}
	for (uint32_t at = 0; at < all->count; at++)
		order[at] = at;
	for (uint32_t at = all->count; at > 1; at--) {
		uint32_t other, kept = order[at - 1];

		/* Knuth's MMIX generator, its upper half; no more than a shuffle hangs on it. */
		state = state * 6364136223846793005u + 1442695040888963407u;
		other = (uint32_t)(((state >> 32) * at) >> 32);
		order[at - 1] = order[other];
		order[other] = kept;
	}
	for (uint32_t label = 0, left = all->count; drawn->count < count && left;
	     label = (label + 1) % classes) {
		uint32_t at = 0;

		while (at < left && all->labels[order[at]] != label)
			at++;
		if (at < left) {
			uint32_t example = order[at], first = all->start[example];
			uint32_t length = all->start[example + 1] - first;
			uint32_t to = drawn->start[drawn->count];

			memcpy(drawn->tokens + to, all->tokens + first,
			       length * sizeof(*drawn->tokens));
			drawn->labels[drawn->count++] = label;
			drawn->start[drawn->count] = to + length;
			memmove(order + at, order + at + 1, (left - at - 1) * sizeof(*order));
			left--;
		}
	}
	free(order);
	return 0;
}

static int accuracy_now(struct recalibration *run, double *accuracy, struct lf_error *error)
{
	struct session *session = run->session;
	uint32_t *predictions = calloc(session->test.count, sizeof(*predictions));
	int ret;

	if (!predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	ret = lf_predict(session->encoder, session_head(session), &session->test,
			 (uint32_t)run->values->batch, predictions, NULL, NULL, error);
	if (!ret)
		*accuracy = lf_accuracy(predictions, session->test.labels, session->test.count);
	free(predictions);
	progress_update(&run->progress, ++run->done, run->total);
	return ret;
}

static double picojoules(const struct lf_counters *counters)
{
	json_t *energy = output_energy(counters);
	double total = json_real_value(json_object_get(energy, "total"));

	json_decref(energy);
	return total;
}

/* A row of the result; @accuracies [@count] of the draws, @spent what all of them took together, NULL for nothing. */
static void add_state(struct recalibration *run, const char *state, uint32_t samples,
		      const double *accuracies, uint32_t count, const struct lf_counters *spent)
{
	double mean = 0.0, square = 0.0;
	json_t *row;

	if (!count)
		return;
	for (uint32_t at = 0; at < count; at++)
		mean += accuracies[at] / count;
	for (uint32_t at = 0; at < count; at++)
		square += (accuracies[at] - mean) * (accuracies[at] - mean);
	row = json_pack("{s:s, s:I, s:f}", "state", state, "samples", (json_int_t)samples,
			"accuracy", mean);
	json_object_set_new(row, "accuracy_sd",
			    count > 1 ? json_real(sqrt(square / (count - 1))) : json_null());
	json_object_set_new(row, "cells_written",
			    json_integer(spent ? (json_int_t)(spent->cells_written / count) : 0));
	json_object_set_new(row, "spent_pj",
			    json_integer(spent ? llround(picojoules(spent) / count) : 0));
	json_object_set_new(row, "busy_ns",
			    json_integer(spent ? (json_int_t)(spent->busy_ns / count) : 0));
	json_array_append_new(run->states, row);
}

static int add_present_state(struct recalibration *run, const char *state,
			     const struct lf_counters *spent, struct lf_error *error)
{
	double accuracy;
	int ret = accuracy_now(run, &accuracy, error);

	if (!ret)
		add_state(run, state, 0, &accuracy, 1, spent);
	return ret;
}

/* Gives the method what train had left, without what was trained since. */
static int restore_learned(struct recalibration *run, struct lf_error *error)
{
	const struct lf_parameters *groups;
	uint32_t count;

	groups = lf_method_parameters(run->session->method, &count);
	for (uint32_t group = 0; group < count; group++)
		memcpy(groups[group].values, run->learned[group],
		       groups[group].count * sizeof(float));
	return lf_method_prepare(run->session->method, error);
}

/* One short training on @samples examples of a draw; what it spent is added. */
static int train_again(struct recalibration *run, uint32_t samples, uint64_t seed,
		       struct lf_counters *spent, struct lf_error *error)
{
	struct session *session = run->session;
	struct lf_train_options options = { .epochs = (uint32_t)run->values->epochs,
					    .batch = (uint32_t)run->values->batch,
					    .seed = seed,
					    .config = "{}" };
	struct lf_counters before, after;
	struct lf_examples drawn;
	const char *source;
	int ret;

	ret = draw_examples(&session->train, lf_head_classes(session_head(session)), samples, seed,
			    &drawn, error);
	if (ret)
		return ret;
	ret = restore_learned(run, error);
	if (!ret)
		ret = read_counters(session, &before, &source, error);
	if (!ret)
		ret = lf_train(session->method, session->encoder, session_head(session), &drawn,
			       &options, error);
	if (!ret)
		ret = read_counters(session, &after, &source, error);
	lf_examples_release(&drawn);
	if (ret)
		return ret;
	counters_subtract(&after, &before);
	lf_counters_add(spent, &after);
	return lf_method_attach(session->method, false, error);
}

static int recalibrate_with(struct recalibration *run, uint32_t samples, struct lf_error *error)
{
	uint32_t seeds = (uint32_t)run->values->seeds;
	double *accuracies = calloc(seeds, sizeof(*accuracies));
	struct lf_counters spent = { 0 };
	int ret = accuracies ? 0 : lf_error_set(error, -ENOMEM, "no memory for %u draws", seeds);

	for (uint32_t seed = 0; !ret && seed < seeds; seed++) {
		ret = train_again(run, samples, seed + 1, &spent, error);
		if (!ret)
			ret = accuracy_now(run, &accuracies[seed], error);
	}
	if (!ret)
		add_state(run, "recalibrated", samples, accuracies, seeds, &spent);
	free(accuracies);
	return ret;
}

/* What passes over the device between its deployment and now. */
static int let_pass(struct recalibration *run, struct lf_error *error)
{
	double seconds = 0.0;

	if (run->values->age)
		age_parse(run->values->age, &seconds);
	return lf_device_advance(run->session->device, (uint64_t)(seconds * NANOSECONDS_PER_SECOND),
				 error);
}

static int run_states(struct recalibration *run, struct lf_error *error)
{
	const struct recalibrate_values *values = run->values;
	struct session *session = run->session;
	struct lf_counters deployed;
	const char *source;
	int ret;

	/* A device just made: all it has spent it has spent on being programmed, but for a few label names. */
	ret = read_counters(session, &deployed, &source, error);
	if (!ret)
		ret = add_present_state(run, "deployed", &deployed, error);
	if (!ret && values->temperature_c != SAME_TEMPERATURE)
		ret = lf_device_set_temperature(session->device,
						(int32_t)(values->temperature_c * 1000), error);
	/* Programmed again the cells would be as new ones are at this temperature. */
	if (!ret)
		ret = add_present_state(run, "reprogrammed", &deployed, error);
	if (!ret)
		ret = let_pass(run, error);
	if (!ret)
		ret = add_present_state(run, "as it is", NULL, error);
	for (uint32_t at = 0; !ret && at < run->count; at++)
		ret = recalibrate_with(run, run->counts[at], error);
	return ret;
}

static void free_learned(struct recalibration *run)
{
	uint32_t count = 0;

	if (run->learned && run->session->method)
		lf_method_parameters(run->session->method, &count);
	for (uint32_t group = 0; group < count; group++)
		free(run->learned[group]);
	free(run->learned);
}

static int keep_learned(struct recalibration *run, struct lf_error *error)
{
	const struct lf_parameters *groups;
	uint32_t count;

	groups = lf_method_parameters(run->session->method, &count);
	run->learned = calloc(count, sizeof(*run->learned));
	for (uint32_t group = 0; run->learned && group < count; group++) {
		size_t bytes = groups[group].count * sizeof(float);

		run->learned[group] = malloc(bytes);
		if (!run->learned[group])
			return lf_error_set(error, -ENOMEM, "no memory for %s", groups[group].name);
		memcpy(run->learned[group], groups[group].values, bytes);
	}
	return run->learned ? 0 : lf_error_set(error, -ENOMEM, "no memory for parameters");
}

/* The steps of the converters, from what the training sentences put through the layers. */
static int set_converters(struct recalibration *run, double temperature, struct lf_error *error)
{
	struct session *session = run->session;
	const struct lf_calibration_options options = {
		.sentences = &session->train,
		.batch = (uint32_t)run->values->batch,
		.samples = CALIBRATION_VECTORS,
	};

	int ret;

	if (!run->values->calibrate)
		return 0;
	ret = lf_calibrate(session->encoder, session->pool, &options, NULL, error);
	if (ret)
		return ret;
	/* The labels were embedded by converters as they are made. */
	lf_head_free(session->zero_shot);
	session->zero_shot = NULL;
	return lf_head_cosine(session->encoder, session->tokenizer, session->labels, temperature,
			      &session->zero_shot, error);
}

static int apply(struct recalibration *run, const struct recipe *recipe,
		 const struct lf_checkpoint *checkpoint, struct lf_error *error)
{
	const struct recalibrate_values *values = run->values;
	struct session *session = run->session;
	struct lf_lorafusion_options rates;
	int ret;

	for (uint32_t at = 0; at < run->count; at++)
		if (run->counts[at] > session->train.count)
			return lf_error_set(error, -EINVAL,
					    "--samples %u: the task has %u training examples",
					    run->counts[at], session->train.count);
	lf_lorafusion_defaults(&rates);
	rates.coefficient_rate = values->coefficient_rate;
	rates.magnitude_rate = values->magnitude_rate;
	ret = set_converters(run, recipe->temperature, error);
	if (!ret)
		ret = session_method(session, recipe, &rates, 0.0, error);
	if (!ret)
		ret = lf_adaptation_load(checkpoint, session->method, session_head(session), error);
	if (!ret)
		ret = keep_learned(run, error);
	if (!ret)
		ret = lf_method_prepare(session->method, error);
	if (!ret)
		ret = lf_method_attach(session->method, false, error);
	run->total = 3 + run->count * values->seeds;
	progress_start(&run->progress, "recalibrate", values->common.quiet);
	if (!ret)
		ret = run_states(run, error);
	progress_end(&run->progress);
	free_learned(run);
	return ret;
}

/* The device's specification with the share of stuck cells that was asked for. */
static int specify(const struct recalibrate_values *values, char *text, struct lf_error *error)
{
	const char *base = values->common.device ? values->common.device : BASE;
	size_t used = (size_t)snprintf(text, PATH_BYTES, "%s", base);
	long parts = lround(values->stuck * 1e6);

	if (used < PATH_BYTES && values->stuck >= 0.0)
		used += (size_t)snprintf(text + used, PATH_BYTES - used,
					 "%sstuck_on=0.%06ld,stuck_off=0.%06ld",
					 strchr(base, ',') || strchr(base, ':') ? "," : ":",
					 parts / 2, parts - parts / 2);
	return used < PATH_BYTES ? 0 : lf_error_set(error, -EINVAL, "--device: too long");
}

static int recalibrate_checkpoint(const struct recalibrate_values *values,
				  const struct lf_checkpoint *checkpoint, const json_t *config,
				  json_t *result, struct lf_error *error)
{
	struct session_options options = values->session;
	struct recalibration run = { .values = values, .states = json_array() };
	struct common common = values->common;
	char specification[PATH_BYTES];
	struct session session;
	struct recipe recipe;
	int ret;

	json_object_set_new(result, "states", run.states);
	ret = recipe_read(&recipe, json_object_get(config, "recipe"), error);
	if (!ret && !recipe_has(&recipe, RECIPE_FUSION))
		ret = lf_error_set(error, -EINVAL, "was trained by %s, not by lorafusion",
				   recipe.method);
	if (ret)
		return lf_error_prefix(error, ret, "%s", values->adapter);
	ret = parse_counts(values->counts, run.counts, &run.count, error);
	if (!ret)
		ret = specify(values, specification, error);
	if (ret)
		return ret;
	common.device = specification;
	options.common = &common;
	options.batch = (uint32_t)values->batch;
	options.threads = (uint32_t)values->threads;
	options.test_limit = (uint32_t)values->test_limit;
	options.training = true;
	options.deploy = true;
	ret = session_open(&session, &options, &recipe, error);
	if (ret)
		return ret;
	run.session = &session;
	ret = adaptation_check(config, &session, &recipe, values->adapter, error);
	if (!ret)
		ret = apply(&run, &recipe, checkpoint, error);
	if (!ret) {
		json_object_set_new(
			result, "recalibration",
			json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:f, s:f}", "task",
				  options.task, "split", options.split, "age",
				  values->age ? values->age : "0", "test", (int)session.test.count,
				  "seeds", (json_int_t)values->seeds, "epochs",
				  (json_int_t)values->epochs, "batch", (json_int_t)values->batch,
				  "coefficient_rate", values->coefficient_rate, "magnitude_rate",
				  values->magnitude_rate));
		if (values->temperature_c != SAME_TEMPERATURE)
			json_object_set_new(json_object_get(result, "recalibration"),
					    "temperature_c", json_real(values->temperature_c));
		json_object_set(result, "recipe", json_object_get(config, "recipe"));
		json_object_set_new(result, "device",
				    output_device(lf_device_info(session.device)));
	}
	session_close(&session);
	return ret;
}

static int recalibrate(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct recalibrate_values *values = opaque;
	struct lf_checkpoint *checkpoint;
	json_error_t reason;
	json_t *config;
	int ret;

	(void)operands;
	ret = lf_checkpoint_open(&checkpoint, values->adapter, error);
	if (ret)
		return ret;
	config = json_loads(lf_checkpoint_config(checkpoint), 0, &reason);
	ret = recalibrate_checkpoint(values, checkpoint, config, result, error);
	json_decref(config);
	lf_checkpoint_close(checkpoint);
	return ret;
}

const struct command recalibrate_commands[] = {
	{ .noun = "recalibrate",
	  .help = "train coefficients and magnitudes again on cells that have aged, and compare",
	  .options = { recalibrate_options, device_options, common_options },
	  .values_bytes = sizeof(struct recalibrate_values),
	  .defaults = &recalibrate_defaults,
	  .check = check,
	  .run = recalibrate },
	{ 0 },
};
