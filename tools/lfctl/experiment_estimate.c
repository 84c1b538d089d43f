// SPDX-License-Identifier: MIT
/* What an experiment would take: one short run of each method, and the numbers that it would train. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "tools/lfctl/experiment_bench.h"

/* Short runs of a stage, and what all runs add up to. */
struct estimate {
	const struct experiment *experiment;
	struct experiment_stage stage;
	json_t *probes[EXPERIMENT_METHODS];
	double share[EXPERIMENT_METHODS]; /* processor time a second of the short run */
	double sums[EXPERIMENT_METHODS];
	uint32_t runs[EXPERIMENT_METHODS];
};

static double processor_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint32_t count_lines(const struct experiment *experiment, const char *task,
			    const char *split)
{
	char path[EXPERIMENT_BYTES * 2];
	uint32_t lines = 0;
	FILE *stream;

	snprintf(path, sizeof(path), "%s/%s/%s.jsonl", experiment->data, task, split);
	stream = fopen(path, "r");
	for (int letter; stream && (letter = fgetc(stream)) != EOF;)
		lines += letter == '\n';
	if (stream)
		fclose(stream);
	return lines;
}

/* How often a run goes over its training examples for once that the short one does. */
static double passes(const struct experiment_method *method,
		     const struct experiment_settings *settings)
{
	if (recipe_has(&method->recipe, RECIPE_TRAINS))
		return settings->epochs;
	/* A search with a number of evaluations has one thing to tune; the others try what there is. */
	return experiment_method_tunable(method) ? settings->evaluations : 1.0;
}

/* Seconds of a run, from the short one: opening stays, training goes with passes, testing with sentences. */
static double full_s(const struct estimate *estimate, const struct experiment_run *run)
{
	const struct experiment *experiment = estimate->experiment;
	const struct experiment_stage *stage = &estimate->stage;
	const struct experiment_method *method = &experiment->methods[run->method];
	const json_t *line = estimate->probes[run->method];
	struct experiment_settings settings = method->settings;
	double train_s = json_number_value(json_object_get(line, "train_s"));
	double test_s = json_number_value(json_object_get(line, "test_s"));
	double wall_s = json_number_value(json_object_get(line, "wall_s"));
	uint32_t sentences =
		count_lines(experiment, stage->draw->tasks[run->task], stage->draw->split);

	if (stage->draw->test_limit && sentences > stage->draw->test_limit)
		sentences = stage->draw->test_limit;
	if (stage->draw == &experiment->tuning)
		experiment_settings_read(&settings, json_array_get(method->trials, run->trial), "",
					 NULL);
	return wall_s + train_s * (passes(method, &settings) - 1.0) +
	       test_s * (sentences / json_number_value(json_object_get(line, "test")) - 1.0);
}

static int probe(struct estimate *estimate, struct bench *bench, const struct experiment_run *run,
		 struct lf_error *error)
{
	double began = processor_s(), wall_s;
	int ret = experiment_measure(bench, run, &estimate->probes[run->method], error);

	if (ret)
		return ret;
	wall_s = json_number_value(json_object_get(estimate->probes[run->method], "wall_s"));
	estimate->share[run->method] = wall_s > 0.0 ? (processor_s() - began) / wall_s : 0.0;
	return 0;
}

static void add_row(const struct estimate *estimate, uint32_t method, json_t *rows)
{
	const json_t *line = estimate->probes[method];
	uint32_t runs = estimate->runs[method];

	json_array_append_new(
		rows, json_pack("{s:s, s:s, s:O, s:O, s:i, s:f}", "stage", estimate->stage.name,
				"method", estimate->experiment->methods[method].name, "trained",
				json_object_get(line, "trained"), "storage_bits",
				json_object_get(line, "storage_bits"), "runs", (int)runs,
				"seconds_a_run", rint(estimate->sums[method] / runs * 100) / 100));
}

static int estimate_stage(const struct experiment *experiment, bool tuning, json_t *rows,
			  double *seconds, struct lf_error *error)
{
	struct estimate estimate = { .experiment = experiment };
	struct experiment_stage *stage = &estimate.stage;
	struct bench bench = { .experiment = experiment, .stage = stage };
	int ret = experiment_stage_create(experiment, tuning, stage, error);

	stage->probe = true;
	for (uint32_t at = 0; !ret && at < stage->count; at++) {
		const struct experiment_run *run = &stage->runs[at];

		if (!estimate.probes[run->method])
			ret = probe(&estimate, &bench, run, error);
		if (ret)
			break;
		estimate.sums[run->method] += full_s(&estimate, run) * estimate.share[run->method];
		estimate.runs[run->method]++;
	}
	bench_tear_down(&bench);
	for (uint32_t method = 0; method < experiment->method_count; method++) {
		if (!ret && estimate.runs[method])
			add_row(&estimate, method, rows);
		*seconds += estimate.sums[method];
		json_decref(estimate.probes[method]);
	}
	experiment_stage_release(stage);
	return ret;
}

int experiment_estimate(const struct experiment *experiment, json_t *result, struct lf_error *error)
{
	json_t *rows = json_array();
	double seconds = 0.0;
	int ret = 0;

	json_object_set_new(result, "estimate", rows);
	if (experiment->tuning.task_count)
		ret = estimate_stage(experiment, true, rows, &seconds, error);
	if (!ret)
		ret = estimate_stage(experiment, false, rows, &seconds, error);
	json_object_set_new(result, "jobs", json_integer(experiment->jobs));
	json_object_set_new(result, "estimated_s", json_real(ceil(seconds / experiment->jobs)));
	return ret;
}
