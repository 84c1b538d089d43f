// SPDX-License-Identifier: MIT
/* What train and eval share; see evaluation.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <lf/statistics.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

/* Seed of the bootstrap: an interval is a property of the predictions, not of a run. */
#define BOOTSTRAP_SEED 1

#define PLACE(field)   offsetof(struct places, field)

const struct option_spec place_options[] = {
	{ "model", OPTION_TEXT, PLACE(session.model), "DIR", "Hugging Face directory of the model",
	  0, 0 },
	{ "name", OPTION_TEXT, PLACE(session.name), "NAME", "what it was deployed under [model]", 0,
	  0 },
	{ "pool", OPTION_TEXT, PLACE(session.pool), "DIR", "directory of the pool's PEFT adapters",
	  0, 0 },
	{ "task", OPTION_TEXT, PLACE(session.task), "DIR",
	  "labels.json and {train,validation,test}.jsonl", 0, 0 },
	{ "split", OPTION_CHOICE, PLACE(session.split), "test|validation", "what to test on [test]",
	  0, 0 },
	{ "test-limit", OPTION_NUMBER, PLACE(test_limit), "N",
	  "first test examples only, 0 for all [0]", 0, 1e9 },
	{ "predictions", OPTION_TEXT, PLACE(predictions), "FILE",
	  "write the predicted labels of the test examples, a line each", 0, 0 },
	{ "batch", OPTION_NUMBER, PLACE(batch), "N", "sentences a step [10]", 1, 4096 },
	{ "threads", OPTION_NUMBER, PLACE(threads), "N", "of the host, 0 for one a CPU [0]", 0,
	  256 },
	{ "simd", OPTION_CHOICE, PLACE(session.simd), "auto|scalar|avx2|avx512|neon",
	  "host kernels; the results are the same [auto]", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

struct session_options places_session(const struct places *places)
{
	struct session_options options = places->session;

	options.common = &places->common;
	options.batch = (uint32_t)places->batch;
	options.threads = (uint32_t)places->threads;
	options.test_limit = (uint32_t)places->test_limit;
	return options;
}

int places_check(const struct places *places, const struct recipe *recipe, struct lf_error *error)
{
	if (!places->session.model || !places->session.task)
		return lf_error_set(error, -EINVAL, "--%s is missing",
				    places->session.model ? "task" : "model");
	if (recipe && recipe_has(recipe, RECIPE_POOL) && !places->session.pool)
		return lf_error_set(error, -EINVAL,
				    "--pool is missing: %s puts the modules of a pool together",
				    recipe_method(recipe->method)->title);
	if (places->adapter && places->predictions && !strcmp(places->adapter, places->predictions))
		return lf_error_set(error, -EINVAL,
				    "--adapter and --predictions are the same file");
	return 0;
}

int predict(const struct places *places, struct session *session, const char *label,
	    struct lf_head *head, uint32_t **predictions, double *wall_s, struct lf_error *error)
{
	double began = wall_clock_s();
	struct progress progress;
	int ret;

	*predictions = calloc(session->test.count, sizeof(**predictions));
	if (!*predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	progress_start(&progress, label, places->common.quiet);
	if (head)
		ret = lf_predict(session->encoder, head, &session->test, (uint32_t)places->batch,
				 *predictions, progress_update, &progress, error);
	else
		ret = session_predict(session, &session->test, (uint32_t)places->batch,
				      *predictions, progress_update, &progress, error);
	progress_end(&progress);
	*wall_s = wall_clock_s() - began;
	return ret;
}

void write_predictions(const struct session *session, const uint32_t *predictions, FILE *stream)
{
	for (uint32_t at = 0; at < session->test.count; at++)
		fprintf(stream, "%s\n", lf_label_set_at(session->labels, predictions[at])->name);
}

static double rounded(double value)
{
	/* Six places tell accuracies of a million items apart; more would be noise in a report. */
	return (double)(long long)(value * 1e6 + (value < 0 ? -0.5 : 0.5)) / 1e6;
}

json_t *accuracy_json(const struct session *session, const char *method, const uint32_t *zero_shot,
		      const uint32_t *adapted)
{
	const struct lf_examples *test = &session->test;
	uint32_t classes = lf_label_set_count(session->labels);
	uint32_t majority = lf_majority(test->labels, test->count, classes), most = 0;
	json_t *accuracy = json_object();
	double low, high;
	char key[32];

	/* As every key. */
	snprintf(key, sizeof(key), "%s", method);
	for (char *dash = strchr(key, '-'); dash; dash = strchr(dash, '-'))
		*dash = '_';

	for (uint32_t at = 0; at < test->count; at++)
		most += test->labels[at] == majority;
	json_object_set_new(accuracy, "majority", json_real(rounded((double)most / test->count)));
	if (zero_shot)
		json_object_set_new(
			accuracy, "zero_shot",
			json_real(rounded(lf_accuracy(zero_shot, test->labels, test->count))));
	json_object_set_new(accuracy, key,
			    json_real(rounded(lf_accuracy(adapted, test->labels, test->count))));
	if (zero_shot && !lf_accuracy_difference(adapted, zero_shot, test->labels, test->count,
						 BOOTSTRAP_SEED, &low, &high))
		json_object_set_new(accuracy, "difference_ci95",
				    json_pack("[f, f]", rounded(low), rounded(high)));
	json_object_set_new(
		accuracy, "macro_f1",
		json_real(rounded(lf_macro_f1(adapted, test->labels, test->count, classes))));
	return accuracy;
}

json_t *modules_json(const struct session *session)
{
	uint32_t all, read = lf_lorafusion_modules_read(session->method, &all);

	return json_pack("{s:I, s:I}", "read", (json_int_t)read, "all", (json_int_t)all);
}

int read_counters(struct session *session, struct lf_counters *counters, const char **source,
		  struct lf_error *error)
{
	struct lf_telemetry telemetry;

	if (!lf_device_telemetry(session->device, &telemetry, NULL)) {
		*counters = telemetry.total;
		*source = "device";
		return 0;
	}
	*source = "context";
	return lf_device_counters(session->device, counters, error);
}

json_t *cost_json(const struct lf_counters *before, const struct lf_counters *after,
		  const char *source)
{
	struct lf_counters spent = *after;
	json_t *cost;

	counters_subtract(&spent, before);
	cost = output_counters(&spent);
	json_object_set_new(cost, "source", json_string(source));
	return cost;
}

json_t *adaptation_config(const struct session *session, const struct recipe *recipe)
{
	json_t *config = json_object(), *labels = json_array();
	char checksum[16];

	json_object_set_new(config, "recipe", recipe_json(recipe));
	snprintf(checksum, sizeof(checksum), "%08x", lf_encoder_checksum(session->encoder));
	json_object_set_new(config, "model", json_string(checksum));
	if (session->pool) {
		snprintf(checksum, sizeof(checksum), "%08x", lf_pool_checksum(session->pool));
		json_object_set_new(config, "pool", json_string(checksum));
	}
	for (uint32_t at = 0; at < lf_label_set_count(session->labels); at++)
		json_array_append_new(labels,
				      json_string(lf_label_set_at(session->labels, at)->name));
	json_object_set_new(config, "labels", labels);
	return config;
}

int adaptation_check(const json_t *config, const struct session *session,
		     const struct recipe *recipe, const char *path, struct lf_error *error)
{
	json_t *here = adaptation_config(session, recipe);
	const json_t *pool = json_object_get(here, "pool");
	int ret = 0;

	if (!json_equal(json_object_get(here, "model"), json_object_get(config, "model")))
		ret = lf_error_set(error, -EINVAL, "%s: was trained with another model", path);
	else if (pool && !json_equal((json_t *)pool, json_object_get(config, "pool")))
		ret = lf_error_set(error, -EINVAL, "%s: was trained with another pool", path);
	else if (!strcmp(recipe->head, "linear") &&
		 !json_equal(json_object_get(here, "labels"), json_object_get(config, "labels")))
		ret = lf_error_set(error, -EINVAL,
				   "%s: its linear head was trained for other labels", path);
	json_decref(here);
	return ret;
}

double wall_clock_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

json_t *seconds_json(double seconds)
{
	return json_real((double)(long long)(seconds * 1e3 + 0.5) / 1e3);
}
