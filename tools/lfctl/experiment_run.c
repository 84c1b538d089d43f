// SPDX-License-Identifier: MIT
/* One run of an experiment on a bench: adapting, testing, and what it cost. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lf/preset.h>
#include <lf/statistics.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/experiment_bench.h"
#include "tools/lfctl/output.h"

/* Sentences that tell what the backbone alone costs in inference. */
#define BACKBONE_SENTENCES 64

/* Writes that a cell bears where the preset says nothing: four-level HfOx. */
#define ENDURANCE_CYCLES   1e6

/* A run at work. */
struct work {
	struct bench *bench;
	const struct experiment_run *run;
	const struct experiment_method *method;
	struct experiment_settings settings;
	struct recipe recipe;
	struct lf_examples test; /* the session's or the first ones of it */
};

/* What a phase spent. */
struct spent {
	struct lf_counters counters;
	uint64_t tokens; /* of forward passes */
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

/* Does the method read crossbars of its own, so that the backbone's share has to be told apart? */
static bool reads_its_own(const struct work *work)
{
	return recipe_has(&work->recipe, RECIPE_POOL) || experiment_method_writes(work->method);
}

/* @backbone_pj: what the same passes cost without the method's own crossbars, where it has any */
static json_t *phase_json(const struct work *work, const struct spent *spent, double backbone_pj)
{
	const struct lf_counters *counters = &spent->counters;
	double reads_pj = energy_pj(counters, false);

	if (!reads_its_own(work))
		backbone_pj = reads_pj;
	return json_pack("{s:{s:f, s:f, s:f, s:f}, s:I, s:I, s:I, s:I, s:I}", "energy_pj",
			 "backbone", backbone_pj, "pool", reads_pj - backbone_pj, "host",
			 (double)counters->host_bytes * work->bench->experiment->host_pj_byte,
			 "writes", energy_pj(counters, true), "tokens", (json_int_t)spent->tokens,
			 "cells_written", (json_int_t)counters->cells_written, "mac_count",
			 (json_int_t)counters->mac_count, "host_bytes",
			 (json_int_t)counters->host_bytes, "busy_ns",
			 (json_int_t)counters->busy_ns);
}

static int choose_settings(struct work *work, struct lf_error *error)
{
	const struct experiment_stage *stage = work->bench->stage;
	int ret;

	if (stage->draw == &work->bench->experiment->tuning) {
		work->settings = work->method->settings;
		ret = experiment_settings_read(
			&work->settings, json_array_get(work->method->trials, work->run->trial), "",
			error);
	} else {
		ret = experiment_settings_chosen(work->method, stage->tuned, &work->settings,
						 error);
	}
	if (stage->probe) {
		work->settings.epochs = 1;
		work->settings.evaluations = 1;
	}
	work->recipe = work->method->recipe;
	work->recipe.pool_seed = stage->draw->seeds[work->run->seed];
	work->recipe.evaluations = work->settings.evaluations;
	work->recipe.l1 = work->settings.l1;
	return ret;
}

/* Every forward pass goes through the first layer. */
static void count_tokens(void *argument, const struct lf_activity *activity)
{
	uint64_t *tokens = argument;

	if (!activity->layer)
		*tokens += activity->tokens;
}

/* Nobody else works on the device of a bench, so its totals are this run's; they have the erasures too. */
static int begin_phase(struct work *work, struct spent *spent, struct lf_telemetry *telemetry,
		       struct lf_error *error)
{
	struct session *session = &work->bench->session;
	int ret = lf_device_telemetry(session->device, telemetry, error);

	spent->counters = telemetry->total;
	spent->tokens = 0;
	lf_encoder_tap(session->encoder, count_tokens, &spent->tokens);
	return ret;
}

static int end_phase(struct work *work, struct spent *spent, struct lf_telemetry *telemetry,
		     struct lf_error *error)
{
	struct session *session = &work->bench->session;
	struct lf_counters before = spent->counters;
	int ret = lf_device_telemetry(session->device, telemetry, error);

	lf_encoder_tap(session->encoder, NULL, NULL);
	if (ret)
		return ret;
	spent->counters = telemetry->total;
	counters_subtract(&spent->counters, &before);
	return 0;
}

/* Cost without a pool of a pass over the training examples, forward and backward or forward alone. */
static int measure_pass(struct work *work, uint32_t targets, double *reads_pj,
			struct lf_error *error)
{
	struct session *session = &work->bench->session;
	struct lf_lora_options lora = { .rank = 1, .alpha = 1, .targets = targets };
	struct lf_train_options options = { .epochs = 1,
					    .batch = work->bench->experiment->batch,
					    .seed = work->bench->seed };
	uint32_t *predictions = calloc(session->train.count, sizeof(*predictions));
	struct lf_method *method = NULL;
	struct lf_telemetry telemetry;
	struct spent spent;
	int ret = predictions ? 0 : lf_error_set(error, -ENOMEM, "no memory for predictions");

	/* A LoRA that learns nothing reads the backbone's crossbars forward and backward, and no other. */
	if (!ret && targets)
		ret = lf_lora_create(session->encoder, &lora, &method, error);
	if (!ret && targets)
		ret = lf_method_start(method, 1, error);
	if (!ret)
		ret = begin_phase(work, &spent, &telemetry, error);
	if (!ret)
		ret = targets ? lf_train(method, session->encoder, session->zero_shot,
					 &session->train, &options, error)
			      : lf_predict(session->encoder, session->zero_shot, &session->train,
					   options.batch, predictions, NULL, NULL, error);
	if (!ret)
		ret = end_phase(work, &spent, &telemetry, error);
	if (!ret)
		*reads_pj = energy_pj(&spent.counters, false);
	lf_encoder_tap(session->encoder, NULL, NULL);
	lf_encoder_attach(session->encoder, NULL, false, NULL);
	lf_method_free(method);
	free(predictions);
	return ret;
}

/* The same, measured once for each task and seed. */
static int backbone_pass(struct work *work, double *reads_pj, struct lf_error *error)
{
	struct bench_backbone *known = &work->bench->backbone;
	uint32_t targets = 0;
	int ret = 0;

	if (recipe_has(&work->recipe, RECIPE_TRAINS))
		ret = recipe_has(&work->recipe, RECIPE_POOL)
			      ? !(targets = lf_pool_targets(work->bench->session.pool))
			      : recipe_targets(&work->recipe, &targets, error);
	for (uint32_t at = 0; !ret && at < known->pass_count; at++)
		if (known->passes[at].targets == targets) {
			*reads_pj = known->passes[at].reads_pj;
			return 0;
		}
	if (!ret)
		ret = measure_pass(work, targets, reads_pj, error);
	if (!ret && known->pass_count < BENCH_PASSES)
		known->passes[known->pass_count++] = (struct bench_pass){ targets, *reads_pj };
	return ret;
}

/* What the test costs without any method, from its first sentences. */
static int backbone_test(struct work *work, double *reads_pj, struct lf_error *error)
{
	struct session *session = &work->bench->session;
	struct lf_examples some = session->test;
	struct lf_telemetry telemetry;
	uint32_t predictions[BACKBONE_SENTENCES];
	struct spent spent;
	double *known = &work->bench->backbone.test_pj;
	int ret = 0;

	if (some.count > BACKBONE_SENTENCES)
		some.count = BACKBONE_SENTENCES;
	if (isnan(*known)) {
		ret = begin_phase(work, &spent, &telemetry, error);
		if (!ret)
			ret = lf_predict(session->encoder, session->zero_shot, &some,
					 work->bench->experiment->batch, predictions, NULL, NULL,
					 error);
		if (!ret)
			ret = end_phase(work, &spent, &telemetry, error);
		if (ret)
			return ret;
		*known = energy_pj(&spent.counters, false) *
			 session->test.start[session->test.count] / some.start[some.count];
	}
	*reads_pj = *known * work->test.start[work->test.count] /
		    session->test.start[session->test.count];
	return 0;
}

/* Writes and erasures a cell bears, of the specification or else of its preset, or else ENDURANCE_CYCLES. */
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
	return end != value && cycles > 0 && isfinite(cycles) ? cycles : ENDURANCE_CYCLES;
}

/* Cells of a number on crossbars, from what deploying the model alone wrote. */
static double cells_a_number(const struct bench *bench)
{
	const struct lf_bert_config *config = lf_encoder_config(bench->session.encoder);
	double hidden = config->hidden_size, inner = config->intermediate_size;

	return (double)bench->deployed.cells_written /
	       (config->num_hidden_layers * (4 * hidden * hidden + 2 * hidden * inner));
}

/*
 * Tasks until a cell is at its end, null for ever: with every task's numbers in the same cells, and spread over all that are free. The device
 * takes its least worn tiles, so what it has after one task says little about many.
 */
static void add_wear(const struct work *work, const struct spent *spent,
		     const struct lf_telemetry *before, const struct lf_telemetry *after,
		     json_t *line)
{
	const struct bench *bench = work->bench;
	const struct lf_device_info *info = lf_device_info(bench->session.device);
	double cells = (double)spent->counters.cells_written, writes = 0.0;
	double spare =
		(double)(info->tiles - before->tiles_used) * info->tile_rows * info->tile_cols;
	double numbers = (double)session_trained(&bench->session, &work->recipe);

	if (cells > 0.0 && numbers > 0.0)
		writes = fmax(cells / (cells_a_number(bench) * numbers),
			      (double)(after->wear_max - before->wear_max));
	json_object_set_new(line, "wear",
			    json_integer((json_int_t)(after->wear_max - before->wear_max)));
	json_object_set_new(line, "writes_a_cell", json_real(writes));
	json_object_set_new(line, "endurance_cycles", json_real(endurance(bench)));
	json_object_set_new(line, "endurance_tasks",
			    writes > 0.0 ? json_real(endurance(bench) / writes) : json_null());
	json_object_set_new(line, "endurance_spread_tasks",
			    writes > 0.0 ? json_real(endurance(bench) * spare / cells)
					 : json_null());
}

static int adapt(struct work *work, json_t *line, struct lf_error *error)
{
	struct session *session = &work->bench->session;
	struct lf_train_options options = { .epochs = work->settings.epochs,
					    .batch = work->bench->experiment->batch,
					    .seed = work->bench->seed };
	uint32_t tokens = session->train.start[session->train.count];
	struct lf_lorafusion_options rates;
	struct lf_telemetry before, after;
	double pass_pj = 0.0, began;
	struct spent spent;
	int ret = 0;

	lf_lorafusion_defaults(&rates);
	rates.coefficient_rate = work->settings.coefficient_rate;
	rates.magnitude_rate = work->settings.magnitude_rate;
	if (reads_its_own(work))
		ret = backbone_pass(work, &pass_pj, error);
	began = wall_clock_s();
	if (!ret)
		ret = begin_phase(work, &spent, &before, error);
	if (!ret)
		ret = session_method(session, &work->recipe, &rates, work->settings.rate, error);
	if (!ret)
		ret = session_adapt(session, &work->recipe, work->bench->seed, &options, error);
	if (!ret)
		ret = end_phase(work, &spent, &after, error);
	if (ret)
		return ret;
	json_object_set_new(line, "training",
			    phase_json(work, &spent, pass_pj * (double)spent.tokens / tokens));
	json_object_set_new(line, "train_s", seconds_json(wall_clock_s() - began));
	add_wear(work, &spent, &before, &after, line);
	return 0;
}

/* Numbers that are the task's own: trained by gradients, or chosen. */
static uint64_t own_numbers(const struct work *work)
{
	const struct session *session = &work->bench->session;
	uint64_t numbers = session_trained(session, &work->recipe);
	uint32_t count = 0;
	const struct lf_parameters *groups =
		session->linear ? lf_head_parameters(session->linear, &count) : NULL;

	for (uint32_t group = 0; group < count; group++)
		numbers += groups[group].count;
	return numbers;
}

static void add_numbers(const struct work *work, json_t *line)
{
	const struct session *session = &work->bench->session;
	uint64_t numbers = own_numbers(work);
	uint32_t read, all;

	json_object_set_new(line, "trained", json_integer((json_int_t)numbers));
	/* A PEFT directory holds fp16, everything else fp32. */
	json_object_set_new(
		line, "storage_bits",
		json_integer((json_int_t)numbers * (recipe_saves_peft(&work->recipe) ? 16 : 32)));
	if (!recipe_has(&work->recipe, RECIPE_POOL))
		return;
	read = lf_lorafusion_modules_read(session->method, &all);
	json_object_set_new(line, "modules_read", json_integer(read));
	json_object_set_new(line, "modules_all", json_integer(all));
}

static void add_sources(const struct work *work, const uint32_t *predictions, uint32_t *right,
			json_t *line)
{
	uint32_t sources = work->bench->source_count, *items = right + sources;
	json_t *rights = json_array(), *all = json_array();

	for (uint32_t at = 0; at < work->test.count; at++) {
		uint32_t source = work->bench->sources[at];

		right[source] += predictions[at] == work->test.labels[at];
		items[source]++;
	}
	for (uint32_t source = 0; source < sources && items[source]; source++) {
		json_array_append_new(rights, json_integer(right[source]));
		json_array_append_new(all, json_integer(items[source]));
	}
	json_object_set_new(line, "right", rights);
	json_object_set_new(line, "items", all);
}

static int test(struct work *work, json_t *line, struct lf_error *error)
{
	struct session *session = &work->bench->session;
	const struct lf_examples *examples = &work->test;
	uint32_t classes = lf_label_set_count(session->labels), *predictions;
	double began = wall_clock_s(), backbone_pj = 0.0;
	struct lf_telemetry telemetry;
	struct spent spent;
	int ret;

	predictions = calloc((size_t)examples->count + 2 * (size_t)work->bench->source_count,
			     sizeof(*predictions));
	if (!predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	ret = begin_phase(work, &spent, &telemetry, error);
	if (!ret)
		ret = session_predict(session, examples, work->bench->experiment->batch,
				      predictions, NULL, NULL, error);
	if (!ret)
		ret = end_phase(work, &spent, &telemetry, error);
	if (!ret) {
		json_object_set_new(line, "test_s", seconds_json(wall_clock_s() - began));
		add_sources(work, predictions, predictions + examples->count, line);
		json_object_set_new(
			line, "accuracy",
			json_real(lf_accuracy(predictions, examples->labels, examples->count)));
		json_object_set_new(line, "macro_f1",
				    json_real(lf_macro_f1(predictions, examples->labels,
							  examples->count, classes)));
	}
	free(predictions);
	if (ret)
		return ret;
	lf_encoder_attach(session->encoder, NULL, false, NULL);
	if (reads_its_own(work))
		ret = backbone_test(work, &backbone_pj, error);
	if (!ret)
		json_object_set_new(line, "inference", phase_json(work, &spent, backbone_pj));
	return ret;
}

/* Everything that a run follows from: a reader of one line needs no other file. */
static json_t *configuration(const struct work *work)
{
	const struct bench *bench = work->bench;
	const struct session *session = &bench->session;
	bool pool = recipe_has(&work->recipe, RECIPE_POOL);
	json_t *modules = json_array(), *object;
	char checksum[16];

	for (uint32_t at = 0; pool && at < session->modules.count; at++)
		json_array_append_new(
			modules, json_string(strrchr(session->modules.directories[at], '/') + 1));
	snprintf(checksum, sizeof(checksum), "%08x", lf_encoder_checksum(session->encoder));
	object = json_pack("{s:s, s:s, s:s, s:i, s:I, s:o, s:o, s:s?, s:o}", "device",
			   bench->device, "model", checksum, "data", bench->task, "batch",
			   (int)bench->experiment->batch, "seed", (json_int_t)bench->seed, "recipe",
			   recipe_json(&work->recipe), "settings",
			   experiment_settings_json(&work->settings), "pool", work->method->pool,
			   "modules", modules);
	json_object_set_new(object, "split", json_string(bench->stage->draw->split));
	if (pool) {
		snprintf(checksum, sizeof(checksum), "%08x", lf_pool_checksum(session->pool));
		json_object_set_new(object, "pool_checksum", json_string(checksum));
	}
	return object;
}

/* What programming the device cost before any task, and whether a pool is in it. */
static json_t *deployed_json(const struct bench *bench)
{
	return json_pack("{s:b, s:I, s:f}", "pool", !!bench->session.pool, "cells_written",
			 (json_int_t)bench->deployed.cells_written, "writes_pj",
			 energy_pj(&bench->deployed, true));
}

static int measure(struct work *work, json_t *line, struct lf_error *error)
{
	int ret = adapt(work, line, error);

	if (!ret)
		add_numbers(work, line);
	return ret ? ret : test(work, line, error);
}

int experiment_measure(struct bench *bench, const struct experiment_run *run, json_t **line,
		       struct lf_error *error)
{
	struct work work = { .bench = bench,
			     .run = run,
			     .method = &bench->experiment->methods[run->method] };
	double began = wall_clock_s();
	int ret = choose_settings(&work, error);

	*line = NULL;
	if (!ret)
		ret = bench_set_up(bench, run, error);
	if (ret)
		return ret;
	work.test = bench->session.test;
	if (bench->stage->probe && work.test.count > BACKBONE_SENTENCES)
		work.test.count = BACKBONE_SENTENCES;
	*line = json_pack("{s:s, s:I, s:s, s:I, s:i, s:i, s:o, s:o}", "task",
			  bench->stage->draw->tasks[run->task], "seed", (json_int_t)bench->seed,
			  "method", work.method->name, "trial", (json_int_t)run->trial, "train",
			  (int)bench->session.train.count, "test", (int)work.test.count, "deployed",
			  deployed_json(bench), "open_s", seconds_json(wall_clock_s() - began));
	ret = measure(&work, *line, error);
	if (!ret) {
		json_object_set_new(*line, "configuration", configuration(&work));
		json_object_set_new(*line, "wall_s", seconds_json(wall_clock_s() - began));
	}
	lf_encoder_tap(bench->session.encoder, NULL, NULL);
	bench_tidy(bench);
	if (ret) {
		json_decref(*line);
		*line = NULL;
	}
	return ret;
}
