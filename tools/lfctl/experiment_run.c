// SPDX-License-Identifier: MIT
/* One run of an experiment: a new device, the task's examples as the seed draws them, adapting, testing, and what it cost. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lf/preset.h>
#include <lf/statistics.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/experiment.h"
#include "tools/lfctl/output.h"

/* Sentences that tell what the backbone alone costs in inference. */
#define BACKBONE_SENTENCES 64

/* Energies of one phase, picojoules. */
struct phase {
	double backbone_pj;
	double pool_pj;
	double host_pj;
	double writes_pj;
};

/* A run at work. */
struct bench {
	const struct experiment *experiment;
	const struct experiment_stage *stage;
	const struct experiment_run *run;
	const struct experiment_method *method;
	struct experiment_settings settings;
	struct recipe recipe;
	uint64_t seed;
	struct session session;
	char device[EXPERIMENT_BYTES];
	char task[EXPERIMENT_BYTES];
};

static double energy_pj(const struct lf_counters *counters, bool writes)
{
	double sum = 0.0;

	for (int component = 0; component < LF_ENERGY_COMPONENTS; component++)
		if ((component == LF_ENERGY_PROGRAM) == writes)
			sum += (double)counters->energy_pj[component] +
			       (double)counters->energy_sub_aj[component] / 1e6;
	return sum;
}

/* @backbone_pj: what the same passes cost without a pool; NAN where there is none. */
static struct phase split(const struct bench *bench, const struct lf_counters *spent,
			  double backbone_pj)
{
	double reads_pj = energy_pj(spent, false);
	struct phase phase = { .writes_pj = energy_pj(spent, true),
			       .host_pj = (double)spent->host_bytes *
					  bench->experiment->host_pj_byte };

	phase.backbone_pj = isnan(backbone_pj) ? reads_pj : backbone_pj;
	phase.pool_pj = reads_pj - phase.backbone_pj;
	return phase;
}

static json_t *phase_json(const struct phase *phase, const struct lf_counters *spent)
{
	return json_pack("{s:{s:f, s:f, s:f, s:f}, s:I, s:I, s:I, s:I}", "energy_pj", "backbone",
			 phase->backbone_pj, "pool", phase->pool_pj, "host", phase->host_pj,
			 "writes", phase->writes_pj, "cells_written",
			 (json_int_t)spent->cells_written, "mac_count",
			 (json_int_t)spent->mac_count, "host_bytes", (json_int_t)spent->host_bytes,
			 "busy_ns", (json_int_t)spent->busy_ns);
}

static int choose_settings(struct bench *bench, struct lf_error *error)
{
	const json_t *tuned = json_object_get(bench->stage->tuned, bench->method->name);

	bench->settings = bench->method->settings;
	if (bench->stage->draw == &bench->experiment->tuning)
		return experiment_settings_read(
			&bench->settings, json_array_get(bench->method->trials, bench->run->trial),
			"", error);
	if (!tuned)
		return 0;
	return experiment_settings_read(&bench->settings, json_object_get(tuned, "settings"), "",
					error);
}

/* Keeps what the seed draws of the training examples. */
static int draw_examples(struct bench *bench, struct lf_error *error)
{
	struct lf_examples *train = &bench->session.train, drawn = { 0 };
	uint32_t classes = lf_label_set_count(bench->session.labels);
	uint32_t wanted = bench->stage->draw->examples;
	uint32_t *chosen;
	int ret = -ENOMEM;

	if (!wanted || wanted > train->count)
		wanted = train->count;
	chosen = calloc(train->count, sizeof(*chosen));
	drawn.start = calloc((size_t)wanted + 1, sizeof(*drawn.start));
	drawn.tokens = malloc((size_t)train->start[train->count] * sizeof(*drawn.tokens));
	drawn.labels = malloc((size_t)wanted * sizeof(*drawn.labels));
	if (chosen && drawn.start && drawn.tokens && drawn.labels)
		ret = lf_stratified_sample(train->labels, train->count, classes, wanted,
					   bench->seed, chosen);
	for (; !ret && drawn.count < wanted; drawn.count++) {
		uint32_t example = chosen[drawn.count], first = drawn.start[drawn.count];
		uint32_t tokens = train->start[example + 1] - train->start[example];

		memcpy(drawn.tokens + first, train->tokens + train->start[example],
		       tokens * sizeof(*drawn.tokens));
		drawn.start[drawn.count + 1] = first + tokens;
		drawn.labels[drawn.count] = train->labels[example];
	}
	free(chosen);
	if (ret) {
		lf_examples_release(&drawn);
		return lf_error_set(error, ret, "no memory to draw %u examples", wanted);
	}
	lf_examples_release(train);
	*train = drawn;
	return 0;
}

static int open_run(struct bench *bench, struct lf_error *error)
{
	const struct experiment *experiment = bench->experiment;
	const struct experiment_draw *draw = bench->stage->draw;
	const char *task = draw->tasks[bench->run->task];
	struct common common = { .quiet = true, .device = bench->device };
	struct session_options options = { .common = &common,
					   .model = experiment->model,
					   .name = "model",
					   .pool = bench->method->pool,
					   .task = bench->task,
					   .batch = experiment->batch,
					   .threads = 1,
					   .split = draw->split,
					   .test_limit = draw->test_limit,
					   .training = true,
					   .deploy = true };
	int ret;

	/* What was trained on a task itself must not help to choose settings on it. */
	if (draw == &experiment->tuning)
		options.without = task;
	bench->seed = draw->seeds[bench->run->seed];
	bench->recipe = bench->method->recipe;
	bench->recipe.pool_seed = bench->seed;
	snprintf(bench->device, sizeof(bench->device), "%s,seed=%llu,threads=1", experiment->device,
		 (unsigned long long)bench->seed);
	snprintf(bench->task, sizeof(bench->task), "%s/%s", experiment->data, task);
	ret = session_open(&bench->session, &options, &bench->recipe, error);
	if (ret)
		return ret;
	ret = draw_examples(bench, error);
	if (ret)
		session_close(&bench->session);
	return ret;
}

static int counters_since(struct bench *bench, struct lf_counters *counters, struct lf_error *error)
{
	struct lf_counters now;
	int ret = lf_device_counters(bench->session.device, &now, error);

	if (!ret) {
		counters_subtract(&now, counters);
		*counters = now;
	}
	return ret;
}

static int run_training(struct bench *bench, struct lf_method *method, struct lf_head *head,
			uint32_t epochs, struct lf_counters *spent, struct lf_error *error)
{
	struct lf_train_options options = { .epochs = epochs,
					    .batch = bench->experiment->batch,
					    .seed = bench->seed };
	int ret = lf_device_counters(bench->session.device, spent, error);

	if (!ret)
		ret = lf_train(method, bench->session.encoder, head, &bench->session.train,
			       &options, error);
	return ret ? ret : counters_since(bench, spent, error);
}

/* An epoch with a LoRA that learns nothing reads the backbone's crossbars forward and backward, and no other. */
static int backbone_epoch(struct bench *bench, double *epoch_pj, struct lf_error *error)
{
	struct lf_lora_options options = { .rank = 1, .alpha = 1 };
	struct lf_method *method;
	struct lf_counters spent;
	int ret = recipe_targets(&bench->recipe, &options.targets, error);

	if (!ret)
		ret = lf_lora_create(bench->session.encoder, &options, &method, error);
	if (ret)
		return ret;
	ret = lf_method_start(method, 1, error);
	if (!ret)
		ret = run_training(bench, method, bench->session.zero_shot, 1, &spent, error);
	if (!ret)
		*epoch_pj = energy_pj(&spent, false);
	lf_encoder_attach(bench->session.encoder, NULL, false, NULL);
	lf_method_free(method);
	return ret;
}

/* What the test costs without any method, from its first sentences. */
static int backbone_test(struct bench *bench, double *test_pj, struct lf_error *error)
{
	struct lf_examples some = bench->session.test;
	struct lf_counters spent;
	uint32_t predictions[BACKBONE_SENTENCES];
	int ret;

	if (some.count > BACKBONE_SENTENCES)
		some.count = BACKBONE_SENTENCES;
	ret = lf_device_counters(bench->session.device, &spent, error);
	if (!ret)
		ret = lf_predict(bench->session.encoder, bench->session.zero_shot, &some,
				 bench->experiment->batch, predictions, NULL, NULL, error);
	if (!ret)
		ret = counters_since(bench, &spent, error);
	if (!ret)
		*test_pj = energy_pj(&spent, false) *
			   bench->session.test.start[bench->session.test.count] /
			   some.start[some.count];
	return ret;
}

/* Writes and erasures a cell bears, of the specification or else of its preset; INFINITY where it has no end. */
static double endurance(const struct bench *bench)
{
	const struct lf_device_info *info = lf_device_info(bench->session.device);
	const char *given = strstr(bench->device, ",endurance=");
	char value[LF_PRESET_VALUE_BYTES] = "";
	struct lf_preset *preset;
	char *end;
	double cycles;

	if (given) {
		snprintf(value, sizeof(value), "%s", given + strlen(",endurance="));
	} else if (!lf_preset_open(&preset, info->preset, NULL)) {
		lf_preset_get(preset, "endurance", value);
		lf_preset_close(preset);
	}
	cycles = strtod(value, &end);
	return end != value && cycles > 0 ? cycles : INFINITY;
}

static int adapt(struct bench *bench, json_t *line, struct lf_error *error)
{
	struct session *session = &bench->session;
	struct lf_lorafusion_options rates;
	struct lf_telemetry before, after;
	struct lf_counters spent = { 0 };
	double backbone_pj = NAN, began;
	struct phase phase;
	int ret = 0;

	lf_lorafusion_defaults(&rates);
	rates.coefficient_rate = bench->settings.coefficient_rate;
	rates.magnitude_rate = bench->settings.magnitude_rate;
	if (session->pool)
		ret = backbone_epoch(bench, &backbone_pj, error);
	if (!ret)
		ret = lf_device_telemetry(session->device, &before, error);
	began = wall_clock_s();
	if (!ret && strcmp(bench->recipe.method, "zero-shot")) {
		ret = session_method(session, &bench->recipe, &rates, bench->settings.rate, error);
		if (!ret && session->method)
			ret = lf_method_start(session->method, bench->seed, error);
		if (!ret)
			ret = run_training(bench, session->method, session_head(session),
					   bench->settings.epochs, &spent, error);
	}
	if (!ret)
		ret = lf_device_telemetry(session->device, &after, error);
	if (ret)
		return ret;
	phase = split(bench, &spent, backbone_pj * bench->settings.epochs);
	json_object_set_new(line, "training", phase_json(&phase, &spent));
	json_object_set_new(line, "train_s", seconds_json(wall_clock_s() - began));
	json_object_set_new(line, "wear",
			    json_integer((json_int_t)(after.wear_max - before.wear_max)));
	/* Tasks until the most worn row is at its end; null for ever. */
	json_object_set_new(
		line, "endurance_tasks",
		after.wear_max > before.wear_max && isfinite(endurance(bench))
			? json_real(endurance(bench) / (double)(after.wear_max - before.wear_max))
			: json_null());
	return 0;
}

static uint64_t trained_numbers(const struct session *session)
{
	uint64_t numbers = session->method ? lf_method_trainable(session->method) : 0;
	uint32_t groups = 0;
	const struct lf_parameters *head =
		session->linear ? lf_head_parameters(session->linear, &groups) : NULL;

	for (uint32_t group = 0; group < groups; group++)
		numbers += head[group].count;
	return numbers;
}

/*
 * Sources of the test's examples: those with the same "source" in the file belong together, one without it stands for itself. The
 * numbers follow first appearance, so that they are the same in every run of a task.
 */
static int read_sources(const struct bench *bench, uint32_t *sources, uint32_t *count,
			struct lf_error *error)
{
	char path[EXPERIMENT_BYTES + 32];
	json_t *seen = json_object();
	char *text = NULL;
	size_t bytes = 0;
	FILE *stream;
	int ret = seen ? 0 : -ENOMEM;

	snprintf(path, sizeof(path), "%s/%s.jsonl", bench->task, bench->stage->draw->split);
	stream = fopen(path, "r");
	if (!stream)
		ret = -errno;
	*count = 0;
	for (uint32_t at = 0; !ret && at < bench->session.test.count; at++) {
		ssize_t length = getline(&text, &bytes, stream);
		json_t *line = length > 0 ? json_loadb(text, (size_t)length, 0, NULL) : NULL;
		const char *name = json_string_value(json_object_get(line, "source"));
		const json_t *known = name ? json_object_get(seen, name) : NULL;

		sources[at] = known ? (uint32_t)json_integer_value(known) : (*count)++;
		if (name && !known && json_object_set_new(seen, name, json_integer(sources[at])))
			ret = -ENOMEM;
		if (!line)
			ret = -EINVAL;
		json_decref(line);
	}
	if (stream)
		fclose(stream);
	free(text);
	json_decref(seen);
	return ret ? lf_error_set(error, ret, "%s: %s", path, strerror(-ret)) : 0;
}

static int add_sources(struct bench *bench, const uint32_t *predictions, json_t *line,
		       struct lf_error *error)
{
	const struct lf_examples *test = &bench->session.test;
	uint32_t *sources = calloc(3 * (size_t)test->count, sizeof(*sources)), count = 0;
	uint32_t *right = sources + test->count, *items = right + test->count;
	json_t *rights = json_array(), *all = json_array();
	int ret = sources ? read_sources(bench, sources, &count, error)
			  : lf_error_set(error, -ENOMEM, "no memory for the sources of a test");

	for (uint32_t at = 0; !ret && at < test->count; at++) {
		right[sources[at]] += predictions[at] == test->labels[at];
		items[sources[at]]++;
	}
	for (uint32_t source = 0; !ret && source < count; source++) {
		json_array_append_new(rights, json_integer(right[source]));
		json_array_append_new(all, json_integer(items[source]));
	}
	json_object_set_new(line, "right", rights);
	json_object_set_new(line, "items", all);
	free(sources);
	return ret;
}

static int test(struct bench *bench, double backbone_pj, json_t *line, struct lf_error *error)
{
	struct session *session = &bench->session;
	const struct lf_examples *examples = &session->test;
	uint32_t *predictions = calloc(examples->count, sizeof(*predictions));
	uint32_t classes = lf_label_set_count(session->labels);
	double began = wall_clock_s();
	struct lf_counters spent;
	struct phase phase;
	int ret;

	if (!predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	ret = lf_device_counters(session->device, &spent, error);
	if (!ret)
		ret = lf_predict(session->encoder, session_head(session), examples,
				 bench->experiment->batch, predictions, NULL, NULL, error);
	if (!ret)
		ret = counters_since(bench, &spent, error);
	if (!ret)
		ret = add_sources(bench, predictions, line, error);
	if (!ret) {
		phase = split(bench, &spent, backbone_pj);
		json_object_set_new(line, "inference", phase_json(&phase, &spent));
		json_object_set_new(line, "test_s", seconds_json(wall_clock_s() - began));
		json_object_set_new(
			line, "accuracy",
			json_real(lf_accuracy(predictions, examples->labels, examples->count)));
		json_object_set_new(line, "macro_f1",
				    json_real(lf_macro_f1(predictions, examples->labels,
							  examples->count, classes)));
	}
	free(predictions);
	return ret;
}

/* Everything that a run follows from: a reader of one line needs no other file. */
static json_t *configuration(const struct bench *bench)
{
	json_t *modules = json_array(), *object;
	char checksum[16];

	for (uint32_t at = 0; at < bench->session.modules.count; at++)
		json_array_append_new(
			modules,
			json_string(strrchr(bench->session.modules.directories[at], '/') + 1));
	snprintf(checksum, sizeof(checksum), "%08x", lf_encoder_checksum(bench->session.encoder));
	object = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:s?, s:o}", "device",
			   bench->device, "model", checksum, "data", bench->task, "batch",
			   (int)bench->experiment->batch, "seed", (json_int_t)bench->seed, "recipe",
			   recipe_json(&bench->recipe), "settings",
			   experiment_settings_json(&bench->settings), "pool", bench->method->pool,
			   "modules", modules);
	json_object_set_new(object, "split", json_string(bench->stage->draw->split));
	if (bench->session.pool) {
		snprintf(checksum, sizeof(checksum), "%08x", lf_pool_checksum(bench->session.pool));
		json_object_set_new(object, "pool_checksum", json_string(checksum));
	}
	return object;
}

static int measure_open(struct bench *bench, json_t *line, struct lf_error *error)
{
	double backbone_pj = NAN;
	int ret = 0;

	if (bench->session.pool)
		ret = backbone_test(bench, &backbone_pj, error);
	if (!ret)
		ret = adapt(bench, line, error);
	return ret ? ret : test(bench, backbone_pj, line, error);
}

int experiment_measure(const struct experiment *experiment, const struct experiment_stage *stage,
		       const struct experiment_run *run, json_t **line, struct lf_error *error)
{
	struct bench bench = { .experiment = experiment,
			       .stage = stage,
			       .run = run,
			       .method = &experiment->methods[run->method] };
	double began = wall_clock_s();
	int ret = choose_settings(&bench, error);

	if (!ret)
		ret = open_run(&bench, error);
	if (ret)
		return ret;
	if (stage->probe) {
		bench.settings.epochs = 1;
		if (bench.session.test.count > BACKBONE_SENTENCES)
			bench.session.test.count = BACKBONE_SENTENCES;
	}
	*line = json_pack("{s:s, s:I, s:s, s:I, s:i, s:i, s:o}", "task",
			  stage->draw->tasks[run->task], "seed", (json_int_t)bench.seed, "method",
			  bench.method->name, "trial", (json_int_t)run->trial, "train",
			  (int)bench.session.train.count, "test", (int)bench.session.test.count,
			  "open_s", seconds_json(wall_clock_s() - began));
	ret = measure_open(&bench, *line, error);
	if (!ret) {
		json_object_set_new(*line, "trained",
				    json_integer((json_int_t)trained_numbers(&bench.session)));
		json_object_set_new(*line, "configuration", configuration(&bench));
		json_object_set_new(*line, "wall_s", seconds_json(wall_clock_s() - began));
	}
	session_close(&bench.session);
	return ret;
}
