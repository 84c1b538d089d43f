// SPDX-License-Identifier: MIT
/* lfctl train and eval. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/statistics.h>
#include <lf/trainable.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"
#include "tools/lfctl/session.h"

/* Seed of the bootstrap: an interval is a property of the predictions, not of a run. */
#define BOOTSTRAP_SEED 1

struct train_values {
	struct common common;
	struct recipe recipe;
	const char *model;
	const char *name;
	const char *pool;
	const char *task;
	const char *adapter;
	const char *predictions;
	const char *checkpoint;
	uint64_t checkpoint_steps;
	uint64_t epochs;
	uint64_t batch;
	uint64_t steps;
	uint64_t seed;
	uint64_t threads;
	uint64_t test_limit;
	const char *simd;
	const char *split;
	double rate;
	double coefficient_rate;
	double magnitude_rate;
	bool dry_run;
};

#define PLACE(field) offsetof(struct train_values, field)

/* Where things are, for both commands. */
static const struct option_spec place_options[] = {
	{ "model", OPTION_TEXT, PLACE(model), "DIR", "Hugging Face directory of the model", 0, 0 },
	{ "name", OPTION_TEXT, PLACE(name), "NAME", "what it was deployed under [model]", 0, 0 },
	{ "pool", OPTION_TEXT, PLACE(pool), "DIR", "directory of the pool's PEFT adapters", 0, 0 },
	{ "task", OPTION_TEXT, PLACE(task), "DIR", "labels.json and {train,validation,test}.jsonl",
	  0, 0 },
	{ "split", OPTION_CHOICE, PLACE(split), "test|validation", "what to test on [test]", 0, 0 },
	{ "test-limit", OPTION_NUMBER, PLACE(test_limit), "N",
	  "first test examples only, 0 for all [0]", 0, 1e9 },
	{ "predictions", OPTION_TEXT, PLACE(predictions), "FILE",
	  "write the predicted labels of the test examples, a line each", 0, 0 },
	{ "batch", OPTION_NUMBER, PLACE(batch), "N", "sentences a step [10]", 1, 4096 },
	{ "threads", OPTION_NUMBER, PLACE(threads), "N", "of the host, 0 for one a CPU [0]", 0,
	  256 },
	{ "simd", OPTION_TEXT, PLACE(simd), "ISA",
	  "host kernels: scalar, avx2, avx512, neon or auto [auto]", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct option_spec train_options[] = {
	{ "adapter", OPTION_TEXT, PLACE(adapter), "PATH",
	  "write what was learned: a file, or for lora a PEFT directory", 0, 0 },
	{ "method", OPTION_CHOICE, PLACE(recipe.method), "lorafusion|lora|head",
	  "what is trained [lorafusion]", 0, 0 },
	{ "merge", OPTION_CHOICE, PLACE(recipe.merge), "sum|product",
	  "of products, or product of sums [sum]", 0, 0 },
	{ "modules", OPTION_NUMBER, PLACE(recipe.modules), "N",
	  "modules of the pool, 0 for all [0]", 0, LF_POOL_MODULES },
	{ "pool-seed", OPTION_NUMBER, PLACE(recipe.pool_seed), "S",
	  "draw them by this seed, 0 for the first ones [0]", 0, 1e15 },
	{ "rank", OPTION_NUMBER, PLACE(recipe.rank), "R", "of a LoRA [16]", 1, 1024 },
	{ "alpha", OPTION_REAL, PLACE(recipe.alpha), "X", "of a LoRA [32]", 1e-3, 1e6 },
	{ "targets", OPTION_TEXT, PLACE(recipe.targets), "LIST",
	  "layers a LoRA adapts: q, k, v, o, wi, wo [q,v]", 0, 0 },
	{ "head", OPTION_CHOICE, PLACE(recipe.head), "cosine|linear",
	  "frozen label embeddings, or a trained layer [cosine]", 0, 0 },
	{ "temperature", OPTION_REAL, PLACE(recipe.temperature), "X", "of the cosine head [0.05]",
	  1e-3, 1e3 },
	{ "tokens", OPTION_NUMBER, PLACE(recipe.tokens), "N", "longest sentence [32]", 2, 512 },
	{ "epochs", OPTION_NUMBER, PLACE(epochs), "N", "passes over the examples [20]", 1, 1e6 },
	{ "steps", OPTION_NUMBER, PLACE(steps), "N", "stop after so many, 0 for all [0]", 0, 1e9 },
	{ "seed", OPTION_NUMBER, PLACE(seed), "S", "of initial values and order [1]", 0, 1e15 },
	{ "rate", OPTION_REAL, PLACE(rate), "X", "learning rate of a LoRA [0.001]", 0, 10 },
	{ "coefficient-rate", OPTION_REAL, PLACE(coefficient_rate), "X",
	  "learning rate of the coefficients [0.02]", 0, 10 },
	{ "magnitude-rate", OPTION_REAL, PLACE(magnitude_rate), "X",
	  "learning rate of the magnitudes [0.005]", 0, 10 },
	{ "checkpoint", OPTION_TEXT, PLACE(checkpoint), "FILE",
	  "resume from it if it is there, and keep it up to date", 0, 0 },
	{ "checkpoint-steps", OPTION_NUMBER, PLACE(checkpoint_steps), "N",
	  "steps between checkpoints [50]", 1, 1e9 },
	{ "dry-run", OPTION_FLAG, PLACE(dry_run), NULL,
	  "count what would be trained, from config.json alone", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct option_spec eval_options[] = {
	{ "adapter", OPTION_TEXT, PLACE(adapter), "FILE", "what lfctl train wrote", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct train_values train_defaults = {
	.recipe = { .method = "lorafusion",
		    .merge = "sum",
		    .rank = 16,
		    .alpha = 32,
		    .targets = "q,v",
		    .head = "cosine",
		    .temperature = LF_HEAD_TEMPERATURE,
		    .tokens = 32 },
	.name = "model",
	.split = "test",
	.checkpoint_steps = 50,
	.epochs = 20,
	.batch = 10,
	.seed = 1,
	.rate = 0.001,
	.coefficient_rate = 0.02,
	.magnitude_rate = 0.005,
};

static struct session_options session_options_of(const struct train_values *values)
{
	return (struct session_options){ .device = values->common.device,
					 .model = values->model,
					 .name = values->name,
					 .pool = values->pool,
					 .task = values->task,
					 .batch = (uint32_t)values->batch,
					 .threads = (uint32_t)values->threads,
					 .simd = values->simd,
					 .split = values->split,
					 .test_limit = (uint32_t)values->test_limit };
}

static int count_trainable(const struct train_values *values, uint32_t modules, json_t *result,
			   struct lf_error *error)
{
	struct lf_model_config config;
	struct lf_trainable count;
	uint32_t targets;
	int ret;

	ret = lf_model_config_read(&config, values->model, error);
	if (!ret)
		ret = recipe_targets(&values->recipe, &targets, error);
	if (!ret)
		ret = lf_trainable_count(&config, modules, (uint32_t)values->recipe.rank, targets,
					 &count, error);
	if (ret)
		return ret;
	json_object_set_new(result, "trainable",
			    json_pack("{s:I, s:I, s:I, s:I}", "lorafusion",
				      (json_int_t)count.lorafusion, "lora", (json_int_t)count.lora,
				      "coefficients", (json_int_t)count.coefficients, "magnitudes",
				      (json_int_t)count.magnitudes));
	return 0;
}

/* The device's own counters where the caller may read them, else those of this process's jobs. */
static int read_counters(struct session *session, struct lf_counters *counters, const char **source,
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

static int write_predictions(const struct train_values *values, const struct session *session,
			     const uint32_t *predictions, struct lf_error *error)
{
	FILE *file;
	int failed = 0;

	if (!values->predictions)
		return 0;
	file = fopen(values->predictions, "w");
	if (!file)
		return lf_error_set(error, -errno, "%s: %s", values->predictions, strerror(errno));
	for (uint32_t at = 0; at < session->test.count; at++)
		failed |= fprintf(file, "%s\n",
				  lf_label_set_at(session->labels, predictions[at])->name) < 0;
	if (fclose(file) || failed)
		return lf_error_set(error, -EIO, "%s: could not be written", values->predictions);
	return 0;
}

static int predict(const struct train_values *values, struct session *session, const char *label,
		   struct lf_head *head, uint32_t **predictions, struct lf_error *error)
{
	struct progress progress;
	int ret;

	*predictions = calloc(session->test.count, sizeof(**predictions));
	if (!*predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	progress_start(&progress, label, values->common.quiet);
	ret = lf_predict(session->encoder, head, &session->test, (uint32_t)values->batch,
			 *predictions, progress_update, &progress, error);
	return ret;
}

static double rounded(double value)
{
	/* Six places tell accuracies of a million items apart; more would be noise in a report. */
	return (double)(long long)(value * 1e6 + (value < 0 ? -0.5 : 0.5)) / 1e6;
}

static void describe_accuracy(const struct session *session, const char *method,
			      const uint32_t *zero_shot, const uint32_t *adapted, json_t *result)
{
	const struct lf_examples *test = &session->test;
	uint32_t classes = lf_label_set_count(session->labels);
	uint32_t majority = lf_majority(test->labels, test->count, classes), most = 0;
	double low, high;
	json_t *accuracy;

	for (uint32_t at = 0; at < test->count; at++)
		most += test->labels[at] == majority;
	accuracy = json_pack("{s:f, s:f, s:f}", "majority", rounded((double)most / test->count),
			     method, rounded(lf_accuracy(adapted, test->labels, test->count)),
			     "macro_f1",
			     rounded(lf_macro_f1(adapted, test->labels, test->count, classes)));
	if (zero_shot) {
		json_object_set_new(
			accuracy, "zero_shot",
			json_real(rounded(lf_accuracy(zero_shot, test->labels, test->count))));
		if (!lf_accuracy_difference(adapted, zero_shot, test->labels, test->count,
					    BOOTSTRAP_SEED, &low, &high))
			json_object_set_new(accuracy, "difference_ci95",
					    json_pack("[f, f]", rounded(low), rounded(high)));
	}
	json_object_set_new(result, "accuracy", accuracy);
}

static void report_step(void *argument, const struct lf_train_state *state)
{
	char note[64];

	snprintf(note, sizeof(note), "epoch %u, loss %.4f", state->epoch, state->loss);
	progress_note(argument, state->step, state->steps, note);
}

/* The recipe and everything else that a resumed run must share. */
static char *run_config(const struct train_values *values, bool whole)
{
	json_t *config = json_object();
	char *text;

	json_object_set_new(config, "recipe", recipe_json(&values->recipe));
	if (whole)
		json_object_set_new(config, "run",
				    json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "name",
					      values->name, "task", values->task, "epochs",
					      (json_int_t)values->epochs, "batch",
					      (json_int_t)values->batch, "seed",
					      (json_int_t)values->seed, "rate", values->rate,
					      "coefficient_rate", values->coefficient_rate,
					      "magnitude_rate", values->magnitude_rate));
	text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(config);
	return text;
}

static int save_adaptation(const struct train_values *values, const struct session *session,
			   struct lf_error *error)
{
	char *config;
	int ret;

	if (!values->adapter)
		return 0;
	if (!strcmp(values->recipe.method, "lora"))
		return lf_lora_write(session->method, values->adapter, values->name, error);
	config = run_config(values, false);
	if (!config)
		return lf_error_set(error, -ENOMEM, "no memory for a configuration");
	ret = lf_adaptation_save(values->adapter, session->method, session_head(session), config,
				 error);
	free(config);
	return ret;
}

static int train_session(const struct train_values *values, struct session *session, json_t *result,
			 struct lf_error *error)
{
	struct lf_train_options settings = { .epochs = (uint32_t)values->epochs,
					     .batch = (uint32_t)values->batch,
					     .seed = values->seed,
					     .step_limit = values->steps,
					     .checkpoint = values->checkpoint,
					     .checkpoint_steps = (uint32_t)values->checkpoint_steps,
					     .report = report_step };
	struct lf_counters before, after;
	struct progress progress;
	const char *source;
	char *config;
	json_t *cost;
	int ret;

	config = run_config(values, true);
	if (!config)
		return lf_error_set(error, -ENOMEM, "no memory for a configuration");
	progress_start(&progress, "train", values->common.quiet);
	settings.config = config;
	settings.argument = &progress;
	ret = read_counters(session, &before, &source, error);
	if (!ret && session->method)
		ret = lf_method_start(session->method, values->seed, error);
	if (!ret)
		ret = lf_train(session->method, session->encoder, session_head(session),
			       &session->train, &settings, error);
	if (!ret)
		ret = read_counters(session, &after, &source, error);
	free(config);
	if (ret)
		return ret;
	counters_subtract(&after, &before);
	cost = output_counters(&after);
	json_object_set_new(cost, "source", json_string(source));
	json_object_set_new(result, "adaptation", cost);
	return 0;
}

static int train_and_test(const struct train_values *values, struct session *session,
			  json_t *result, struct lf_error *error)
{
	struct lf_lorafusion_options rates;
	uint32_t *zero_shot = NULL, *adapted = NULL;
	int ret;

	lf_lorafusion_defaults(&rates);
	rates.coefficient_rate = values->coefficient_rate;
	rates.magnitude_rate = values->magnitude_rate;
	ret = predict(values, session, "zero-shot", session->zero_shot, &zero_shot, error);
	if (!ret)
		ret = session_method(session, &values->recipe, &rates, values->rate, error);
	if (!ret)
		ret = train_session(values, session, result, error);
	if (!ret)
		ret = predict(values, session, "test", session_head(session), &adapted, error);
	if (!ret)
		ret = write_predictions(values, session, adapted, error);
	if (!ret)
		ret = save_adaptation(values, session, error);
	if (!ret)
		describe_accuracy(session, values->recipe.method, zero_shot, adapted, result);
	free(zero_shot);
	free(adapted);
	return ret;
}

static int train(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct train_values *values = opaque;
	struct session_options options = session_options_of(values);
	struct session session;
	uint32_t head_groups;
	uint64_t head_numbers = 0;
	int ret;

	(void)operands;
	if (!values->model)
		return lf_error_set(error, -EINVAL, "--model is missing");
	json_object_set_new(result, "recipe", recipe_json(&values->recipe));
	if (values->dry_run)
		return count_trainable(values, (uint32_t)values->recipe.modules, result, error);
	options.training = true;
	ret = session_open(&session, &options, &values->recipe, error);
	if (ret)
		return ret;
	json_object_set_new(result, "device", output_device(lf_device_info(session.device)));
	json_object_set_new(result, "task", json_string(values->task));
	json_object_set_new(result, "samples",
			    json_pack("{s:i, s:i}", "train", (int)session.train.count, "test",
				      (int)session.test.count));
	ret = train_and_test(values, &session, result, error);
	if (!ret && session.modules.count)
		ret = count_trainable(values, session.modules.count, result, error);
	if (!ret) {
		const struct lf_parameters *groups =
			lf_head_parameters(session_head(&session), &head_groups);

		for (uint32_t group = 0; group < head_groups; group++)
			head_numbers += groups[group].count;
		json_object_set_new(
			result, "trained",
			json_pack("{s:I, s:I}", "method",
				  session.method ? (json_int_t)lf_method_trainable(session.method)
						 : 0,
				  "head", (json_int_t)head_numbers));
	}
	session_close(&session);
	return ret;
}

static int apply(const struct train_values *values, const struct lf_checkpoint *checkpoint,
		 struct session *session, json_t *result, struct lf_error *error)
{
	struct lf_lorafusion_options rates;
	struct lf_counters before, after;
	uint32_t *predictions = NULL;
	const char *source;
	json_t *cost;
	int ret;

	lf_lorafusion_defaults(&rates);
	ret = session_method(session, &values->recipe, &rates, values->rate, error);
	if (!ret)
		ret = lf_adaptation_load(checkpoint, session->method, session_head(session), error);
	if (!ret && session->method)
		ret = lf_method_prepare(session->method, error);
	if (!ret && session->method)
		ret = lf_method_attach(session->method, false, error);
	if (!ret)
		ret = read_counters(session, &before, &source, error);
	if (!ret)
		ret = predict(values, session, "test", session_head(session), &predictions, error);
	if (!ret)
		ret = read_counters(session, &after, &source, error);
	if (!ret)
		ret = write_predictions(values, session, predictions, error);
	if (!ret) {
		counters_subtract(&after, &before);
		cost = output_counters(&after);
		json_object_set_new(cost, "source", json_string(source));
		json_object_set_new(result, "inference", cost);
		describe_accuracy(session, values->recipe.method, NULL, predictions, result);
	}
	free(predictions);
	return ret;
}

static int eval(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	struct train_values values = *(const struct train_values *)opaque;
	struct session_options options = session_options_of(&values);
	struct lf_checkpoint *checkpoint;
	struct session session;
	json_error_t reason;
	json_t *config;
	int ret;

	(void)operands;
	if (!values.adapter)
		return lf_error_set(error, -EINVAL, "--adapter is missing");
	ret = lf_checkpoint_open(&checkpoint, values.adapter, error);
	if (ret)
		return ret;
	config = json_loads(lf_checkpoint_config(checkpoint), 0, &reason);
	ret = recipe_read(&values.recipe, json_object_get(config, "recipe"), error);
	if (!ret)
		ret = session_open(&session, &options, &values.recipe, error);
	if (!ret) {
		json_object_set_new(result, "device",
				    output_device(lf_device_info(session.device)));
		json_object_set_new(result, "task", json_string(values.task));
		json_object_set_new(result, "samples",
				    json_pack("{s:i}", "test", (int)session.test.count));
		ret = apply(&values, checkpoint, &session, result, error);
		session_close(&session);
	}
	json_decref(config);
	lf_checkpoint_close(checkpoint);
	return ret;
}

const struct command train_commands[] = {
	{ "train",
	  NULL,
	  NULL,
	  "adapt a deployed model to a task and test it",
	  { place_options, train_options, common_options },
	  sizeof(struct train_values),
	  &train_defaults,
	  train },
	{ "eval",
	  NULL,
	  NULL,
	  "test what was trained before",
	  { place_options, eval_options, common_options },
	  sizeof(struct train_values),
	  &train_defaults,
	  eval },
	{ 0 },
};
