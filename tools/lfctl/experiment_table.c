// SPDX-License-Identifier: MIT
/* What the runs of an experiment come to: means, intervals against one method, costs, and the claims written down before. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/experiment.h"

#define BOOTSTRAP_SEED 1
#define PHASES	       2
#define PARTS	       4

static const char *const phases[PHASES] = { "training", "inference" };
static const char *const parts[PARTS] = { "backbone", "pool", "host", "writes" };

static const json_t *line_of(const struct experiment_stage *stage, uint32_t task, uint32_t seed,
			     uint32_t method)
{
	for (uint32_t at = 0; at < stage->count; at++) {
		const struct experiment_run *run = &stage->runs[at];

		if (run->task == task && run->seed == seed && run->method == method)
			return run->line;
	}
	return NULL;
}

static double places(double value, double places_one)
{
	return rint(value * places_one) / places_one;
}

/* Sources of the tasks from @first on to @last, and what two methods got right of them. */
struct pairs {
	uint32_t tasks;
	uint32_t seeds;
	uint32_t *first;
	uint32_t *items;
	int32_t *differences;
};

static void pairs_release(struct pairs *pairs)
{
	free(pairs->first);
	free(pairs->items);
	free(pairs->differences);
}

/* All runs of a task have the same items. */
static int pairs_create(const struct experiment_stage *stage, uint32_t first, uint32_t tasks,
			struct pairs *pairs, struct lf_error *error)
{
	uint32_t seeds = stage->draw->seed_count, all = 0;

	*pairs = (struct pairs){ .tasks = tasks,
				 .seeds = seeds,
				 .first = calloc((size_t)tasks + 1, sizeof(uint32_t)) };
	for (uint32_t task = 0; pairs->first && task < tasks; task++) {
		const json_t *line = line_of(stage, first + task, 0, 0);

		all += (uint32_t)json_array_size(json_object_get(line, "items"));
		pairs->first[task + 1] = all;
	}
	pairs->items = calloc(all, sizeof(*pairs->items));
	pairs->differences = calloc((size_t)all * seeds, sizeof(*pairs->differences));
	if (!pairs->first || !pairs->items || !pairs->differences)
		return lf_error_set(error, -ENOMEM, "no memory for %u sources", all);
	return 0;
}

static int add_run(struct pairs *pairs, const json_t *line, uint32_t task, uint32_t seed, int sign,
		   struct lf_error *error)
{
	uint32_t first = pairs->first[task], count = pairs->first[task + 1] - first;
	size_t offset = (size_t)seed * pairs->first[pairs->tasks] + first;
	const json_t *right = json_object_get(line, "right"), *all = json_object_get(line, "items");

	if (json_array_size(right) != count)
		return lf_error_set(error, -EINVAL, "runs of one task have different tests");
	for (uint32_t source = 0; source < count; source++) {
		uint32_t items = (uint32_t)json_integer_value(json_array_get(all, source));

		if (pairs->items[first + source] && pairs->items[first + source] != items)
			return lf_error_set(error, -EINVAL,
					    "runs of one task have different tests");
		pairs->items[first + source] = items;
		pairs->differences[offset + source] +=
			sign * (int32_t)json_integer_value(json_array_get(right, source));
	}
	return 0;
}

/* Of the tasks from @first on; one task alone is not drawn. */
static int compare(const struct experiment *experiment, const struct experiment_stage *stage,
		   uint32_t method, uint32_t against, uint32_t first, uint32_t tasks,
		   struct lf_interval *interval, struct lf_error *error)
{
	uint32_t levels = experiment->resampled;
	struct pairs pairs;
	int ret = pairs_create(stage, first, tasks, &pairs, error);

	if (tasks == 1)
		levels = (levels & ~LF_RESAMPLE_TASKS) | LF_RESAMPLE_SOURCES;
	for (uint32_t task = 0; !ret && task < tasks; task++)
		for (uint32_t seed = 0; !ret && seed < stage->draw->seed_count; seed++) {
			ret = add_run(&pairs, line_of(stage, first + task, seed, method), task,
				      seed, 1, error);
			if (!ret)
				ret = add_run(&pairs, line_of(stage, first + task, seed, against),
					      task, seed, -1, error);
		}
	if (!ret && lf_paired_bootstrap(&(struct lf_paired){ tasks, pairs.seeds, pairs.first,
							     pairs.items, pairs.differences },
					levels, BOOTSTRAP_SEED, interval))
		ret = lf_error_set(error, -ENOMEM, "no memory for a bootstrap");
	pairs_release(&pairs);
	return ret;
}

/* Mean over the runs of a method, of some tasks, of a number in their lines. */
static double mean_of(const struct experiment_stage *stage, uint32_t method, uint32_t first,
		      uint32_t tasks, const char *outer, const char *inner, const char *key)
{
	double sum = 0.0;

	for (uint32_t task = first; task < first + tasks; task++)
		for (uint32_t seed = 0; seed < stage->draw->seed_count; seed++) {
			const json_t *object = line_of(stage, task, seed, method);

			object = outer ? json_object_get(object, outer) : object;
			object = inner ? json_object_get(object, inner) : object;
			sum += json_number_value(json_object_get(object, key));
		}
	return sum / (tasks * stage->draw->seed_count);
}

/* Over the seeds, of the mean over tasks. */
static double deviation(const struct experiment_stage *stage, uint32_t method, double mean)
{
	uint32_t seeds = stage->draw->seed_count, tasks = stage->draw->task_count;
	double squares = 0.0;

	for (uint32_t seed = 0; seed < seeds; seed++) {
		double sum = 0.0;

		for (uint32_t task = 0; task < tasks; task++)
			sum += json_number_value(
				json_object_get(line_of(stage, task, seed, method), "accuracy"));
		squares += (sum / tasks - mean) * (sum / tasks - mean);
	}
	return seeds > 1 ? sqrt(squares / (seeds - 1)) : 0.0;
}

/* Of the run that wears most; null where none does. */
static json_t *fewest(const struct experiment_stage *stage, uint32_t method, const char *key)
{
	double fewest_tasks = INFINITY;

	for (uint32_t at = 0; at < stage->count; at++) {
		const json_t *tasks = json_object_get(stage->runs[at].line, key);

		if (stage->runs[at].method == method && json_is_number(tasks))
			fewest_tasks = fmin(fewest_tasks, json_number_value(tasks));
	}
	return isfinite(fewest_tasks) ? json_real(floor(fewest_tasks)) : json_null();
}

static void add_interval(json_t *row, const struct lf_interval *interval)
{
	json_object_set_new(row, "difference", json_real(places(interval->mean, 1e6)));
	json_object_set_new(row, "low", json_real(places(interval->low, 1e6)));
	json_object_set_new(row, "high", json_real(places(interval->high, 1e6)));
}

static json_t *accuracy_row(const struct experiment *experiment,
			    const struct experiment_stage *stage, uint32_t method, uint32_t first,
			    uint32_t tasks)
{
	return json_pack("{s:s, s:f, s:f}", "method", experiment->methods[method].name, "accuracy",
			 places(mean_of(stage, method, first, tasks, NULL, NULL, "accuracy"), 1e6),
			 "macro_f1",
			 places(mean_of(stage, method, first, tasks, NULL, NULL, "macro_f1"), 1e6));
}

static int add_method(const struct experiment *experiment, const struct experiment_stage *stage,
		      uint32_t method, json_t *rows, struct lf_error *error)
{
	uint32_t tasks = stage->draw->task_count;
	json_t *row = accuracy_row(experiment, stage, method, 0, tasks);
	double mean = mean_of(stage, method, 0, tasks, NULL, NULL, "accuracy");
	struct lf_interval interval;
	char key[48];
	int ret;

	json_array_append_new(rows, row);
	json_object_set_new(row, "accuracy_sd",
			    json_real(places(deviation(stage, method, mean), 1e6)));
	ret = compare(experiment, stage, method, experiment->against, 0, tasks, &interval, error);
	if (ret)
		return ret;
	add_interval(row, &interval);
	json_object_set_new(row, "trained",
			    json_real(mean_of(stage, method, 0, tasks, NULL, NULL, "trained")));
	json_object_set_new(
		row, "storage_bits",
		json_real(mean_of(stage, method, 0, tasks, NULL, NULL, "storage_bits")));
	json_object_set_new(
		row, "cells_written",
		json_real(mean_of(stage, method, 0, tasks, "training", NULL, "cells_written")));
	json_object_set_new(row, "endurance_tasks", fewest(stage, method, "endurance_tasks"));
	json_object_set_new(row, "endurance_spread_tasks",
			    fewest(stage, method, "endurance_spread_tasks"));
	for (int phase = 0; phase < PHASES; phase++)
		for (int part = 0; part < PARTS; part++) {
			double energy_pj = mean_of(stage, method, 0, tasks, phases[phase],
						   "energy_pj", parts[part]);

			snprintf(key, sizeof(key), "%s_%s_uj", phases[phase], parts[part]);
			json_object_set_new(row, key, json_real(places(energy_pj / 1e6, 1e3)));
		}
	json_object_set_new(
		row, "train_s",
		json_real(places(mean_of(stage, method, 0, tasks, NULL, NULL, "train_s"), 1e3)));
	json_object_set_new(
		row, "test_s",
		json_real(places(mean_of(stage, method, 0, tasks, NULL, NULL, "test_s"), 1e3)));
	return 0;
}

static int add_task(const struct experiment *experiment, const struct experiment_stage *stage,
		    uint32_t task, uint32_t method, json_t *rows, struct lf_error *error)
{
	json_t *row = json_pack("{s:s}", "task", stage->draw->tasks[task]);
	json_t *found = accuracy_row(experiment, stage, method, task, 1);
	struct lf_interval interval;
	int ret =
		compare(experiment, stage, method, experiment->against, task, 1, &interval, error);

	json_object_update(row, found);
	json_decref(found);
	if (!ret)
		add_interval(row, &interval);
	json_array_append_new(rows, row);
	return ret;
}

static int add_claim(const struct experiment *experiment, const struct experiment_stage *stage,
		     const struct experiment_claim *claim, json_t *rows, struct lf_error *error)
{
	struct lf_interval interval;
	json_t *row;
	int ret = compare(experiment, stage, claim->method, claim->against, 0,
			  stage->draw->task_count, &interval, error);

	if (ret)
		return ret;
	row = json_pack("{s:s, s:s, s:s, s:f}", "claim", claim->name, "method",
			experiment->methods[claim->method].name, "against",
			experiment->methods[claim->against].name, "margin", claim->margin);
	add_interval(row, &interval);
	json_object_set_new(row, "holds", json_boolean(interval.low > -claim->margin));
	json_array_append_new(rows, row);
	return 0;
}

static double l1_of(const struct experiment_method *method,
		    const struct experiment_settings *settings)
{
	struct recipe recipe = method->recipe;

	recipe.l1 = settings->l1;
	return recipe_l1(&recipe);
}

/* What a method ran with, in words; its runs have all the same. */
static json_t *settings_row(const struct experiment *experiment,
			    const struct experiment_stage *stage, uint32_t method)
{
	const struct experiment_method *one = &experiment->methods[method];
	bool fusion = recipe_has(&one->recipe, RECIPE_FUSION);
	struct experiment_settings settings = one->settings;
	char text[128] = "-";

	experiment_settings_chosen(one, stage->tuned, &settings, NULL);
	if (fusion)
		snprintf(text, sizeof(text),
			 "coefficient rate %g, magnitude rate %g, %u epochs, L1 %g",
			 settings.coefficient_rate,
			 one->recipe.no_magnitude ? 0.0 : settings.magnitude_rate, settings.epochs,
			 l1_of(one, &settings));
	else if (!strcmp(one->recipe.method, "head"))
		snprintf(text, sizeof(text), "%u epochs", settings.epochs);
	else if (recipe_has(&one->recipe, RECIPE_TRAINS))
		snprintf(text, sizeof(text), "rate %g, %u epochs", settings.rate, settings.epochs);
	else if (experiment_method_tunable(one))
		snprintf(text, sizeof(text), "%u evaluations, L1 %g", settings.evaluations,
			 l1_of(one, &settings));
	return json_pack("{s:s, s:s}", "method", one->name, "settings", text);
}

int experiment_table(const struct experiment *experiment, const struct experiment_stage *stage,
		     json_t *result, struct lf_error *error)
{
	json_t *methods = json_array(), *tasks = json_array(), *claims = json_array();
	json_t *settings = json_array();
	int ret = 0;

	json_object_set_new(result, "methods", methods);
	json_object_set_new(result, "tasks", tasks);
	json_object_set_new(result, "claims", claims);
	for (uint32_t method = 0; method < experiment->method_count; method++)
		json_array_append_new(settings, settings_row(experiment, stage, method));
	for (uint32_t method = 0; !ret && method < experiment->method_count; method++)
		ret = add_method(experiment, stage, method, methods, error);
	for (uint32_t task = 0; task < stage->draw->task_count; task++)
		for (uint32_t method = 0; !ret && method < experiment->method_count; method++)
			ret = add_task(experiment, stage, task, method, tasks, error);
	for (uint32_t claim = 0; !ret && claim < experiment->claim_count; claim++)
		ret = add_claim(experiment, stage, &experiment->claims[claim], claims, error);
	if (!ret)
		experiment_energy(experiment, stage, result);
	json_object_set_new(result, "settings", settings);
	return ret;
}

/* Mean over the tuning tasks and seeds; the first among equals. */
json_t *experiment_choose(const struct experiment *experiment, const struct experiment_stage *stage)
{
	json_t *chosen = json_object();

	for (uint32_t method = 0; chosen && method < experiment->method_count; method++) {
		const struct experiment_method *one = &experiment->methods[method];
		uint32_t count = (uint32_t)json_array_size(one->trials), best = 0;
		struct experiment_settings settings = one->settings;
		double sums[EXPERIMENT_TRIALS] = { 0 };
		json_t *means = json_array();

		for (uint32_t at = 0; at < stage->count; at++)
			if (stage->runs[at].method == method)
				sums[stage->runs[at].trial] += json_number_value(
					json_object_get(stage->runs[at].line, "accuracy"));
		for (uint32_t trial = 0; trial < count; trial++) {
			best = sums[trial] > sums[best] ? trial : best;
			json_array_append_new(
				means, json_real(places(sums[trial] / (stage->draw->task_count *
								       stage->draw->seed_count),
							1e6)));
		}
		if (count && !experiment_settings_read(&settings, json_array_get(one->trials, best),
						       "", NULL))
			json_object_set_new(chosen, one->name,
					    json_pack("{s:i, s:o, s:O}", "trial", (int)best,
						      "settings",
						      experiment_settings_json(&settings),
						      "accuracies", means));
		json_decref(means);
	}
	return chosen;
}
