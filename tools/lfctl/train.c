// SPDX-License-Identifier: MIT
/* lfctl train. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/trainable.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/outfile.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

struct train_values {
	struct places places;
	struct recipe recipe;
	const char *checkpoint;
	uint64_t checkpoint_steps;
	uint64_t epochs;
	uint64_t steps;
	uint64_t seed;
	double rate;
	double coefficient_rate;
	double magnitude_rate;
	bool dry_run;
};

#define PLACE(field) offsetof(struct train_values, field)

static const struct option_spec train_options[] = {
	{ "adapter", OPTION_TEXT, PLACE(places.adapter), "PATH",
	  "write what was learned: a file, or for lora and dora a PEFT directory", 0, 0 },
	{ "method", OPTION_CHOICE, PLACE(recipe.method), RECIPE_METHOD_NAMES,
	  "how it is adapted [lorafusion]", 0, 0 },
	{ "merge", OPTION_CHOICE, PLACE(recipe.merge), "sum|product",
	  "of products, or product of sums [sum; of lorahub product]", 0, 0 },
	{ "coefficients", OPTION_CHOICE, PLACE(recipe.coefficients), "block|model",
	  "one a module and block, or one a module [block]", 0, 0 },
	{ "no-magnitude", OPTION_FLAG, PLACE(recipe.no_magnitude), NULL,
	  "lorafusion with coefficients only", 0, 0 },
	{ "l1", OPTION_REAL, PLACE(recipe.l1), "X",
	  "factor of mean |c| in the loss [0.0005; of lorahub 0.05]", 0, 1e6 },
	{ "prune", OPTION_REAL, PLACE(recipe.prune), "SHARE",
	  "of the coefficients, the smallest, that half time makes zero and unread [0]", 0, 1 },
	{ "switch-off", OPTION_REAL, PLACE(recipe.switch_off), "SHARE",
	  "of a block's largest, below which half time makes them zero and unread [0]", 0, 1 },
	{ "evaluations", OPTION_NUMBER, PLACE(recipe.evaluations), "N",
	  "passes over the examples of lorahub [40]", 1, 1e6 },
	{ "modules", OPTION_NUMBER, PLACE(recipe.modules), "N",
	  "modules of the pool, 0 for all [0]", 0, LF_POOL_MODULES },
	{ "pool-seed", OPTION_NUMBER, PLACE(recipe.pool_seed), "S",
	  "draw them by this seed, 0 for the first ones [0]", 0, 1e15 },
	{ "rank", OPTION_NUMBER, PLACE(recipe.rank), "R", "of lora, dora and vera [16]", 1, 1024 },
	{ "alpha", OPTION_REAL, PLACE(recipe.alpha), "X", "of lora and dora [32]", 1e-3, 1e6 },
	{ "targets", OPTION_TEXT, PLACE(recipe.targets), "LIST",
	  "layers without a pool to name them: q, k, v, o, wi, wo [q,v; of full all]", 0, 0 },
	{ "place", OPTION_CHOICE, PLACE(recipe.place), "host|once|each-step",
	  "lora and full: digital, programmed once trained, or at each step [host]", 0, 0 },
	{ "projection-seed", OPTION_NUMBER, PLACE(recipe.projection_seed), "S",
	  "of vera's random matrices [1]", 0, 1e15 },
	{ "head", OPTION_CHOICE, PLACE(recipe.head), "cosine|linear",
	  "frozen label embeddings, or a trained layer [cosine]", 0, 0 },
	{ "temperature", OPTION_REAL, PLACE(recipe.temperature), "X", "of the cosine head [0.05]",
	  1e-3, 1e3 },
	{ "tokens", OPTION_NUMBER, PLACE(recipe.tokens), "N", "longest sentence [32]", 2, 512 },
	{ "epochs", OPTION_NUMBER, PLACE(epochs), "N", "passes over the examples [20]", 1, 1e6 },
	{ "steps", OPTION_NUMBER, PLACE(steps), "N", "stop after so many, 0 for all [0]", 0, 1e9 },
	{ "seed", OPTION_NUMBER, PLACE(seed), "S", "of initial values and order [1]", 0, 1e15 },
	{ "rate", OPTION_REAL, PLACE(rate), "X", "learning rate of all but lorafusion [0.001]", 0,
	  10 },
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

static const struct train_values train_defaults = {
	.places = PLACES_DEFAULTS,
	.recipe = { RECIPE_DEFAULTS },
	.checkpoint_steps = 50,
	.epochs = 20,
	.seed = 1,
	.rate = 0.001,
	.coefficient_rate = 0.02,
	.magnitude_rate = 0.005,
};

/* What a reader wants to know first. */
static const char *const result_keys[] = { "task",	"samples",	"accuracy",   "trained",
					   "trainable", "modules_read", "adaptation", "wall_s",
					   "device",	"recipe",	"run",	      NULL };

static int check(const void *opaque, struct lf_error *error)
{
	const struct train_values *values = opaque;
	const struct recipe *recipe = &values->recipe;
	const struct places *places = &values->places;
	const char *conflict, *why;
	uint32_t targets;
	int ret;

	ret = recipe_targets(recipe, &targets, error);
	if (ret)
		return ret;
	if (values->dry_run && !places->session.model)
		return lf_error_set(error, -EINVAL, "--model is missing");
	if (values->dry_run && !recipe->modules && !places->session.pool)
		return lf_error_set(
			error, -EINVAL,
			"--modules is missing: how many modules the pool has (or --pool, "
			"to count them)");
	if (values->dry_run)
		return 0;
	conflict = recipe_conflict(recipe, &why);
	if (conflict)
		return lf_error_set(error, -EINVAL, "--%s with --method %s: %s", conflict,
				    recipe->method, why);
	if (recipe->no_magnitude && values->coefficient_rate == 0.0)
		return lf_error_set(error, -EINVAL,
				    "--coefficient-rate 0 with --no-magnitude: trains nothing");
	if (places->adapter && !recipe_has(recipe, RECIPE_FILE | RECIPE_PEFT))
		return lf_error_set(error, -EINVAL, "--adapter: --method %s learns nothing",
				    recipe->method);
	if (values->checkpoint && !recipe_has(recipe, RECIPE_TRAINS))
		return lf_error_set(error, -EINVAL, "--checkpoint: --method %s takes no steps",
				    recipe->method);
	if (values->checkpoint && places->adapter && !strcmp(values->checkpoint, places->adapter))
		return lf_error_set(error, -EINVAL, "--checkpoint and --adapter are the same file");
	return places_check(places, recipe, error);
}

static json_t *trainable_json(const struct lf_trainable *count)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "lorafusion", (json_int_t)count->lorafusion,
			 "lora", (json_int_t)count->lora, "coefficients",
			 (json_int_t)count->coefficients, "magnitudes",
			 (json_int_t)count->magnitudes);
}

/* Counts from config.json alone; the modules are counted in the pool if their number is not given. */
static int dry_run(const struct train_values *values, json_t *result, struct lf_error *error)
{
	uint32_t modules = (uint32_t)values->recipe.modules;
	struct lf_pool_modules found;
	struct lf_model_config config;
	struct lf_trainable count;
	uint32_t targets;
	int ret = 0;

	if (!modules) {
		ret = lf_pool_modules_find(values->places.session.pool, 0, 0, &found, error);
		if (!ret) {
			modules = found.count;
			lf_pool_modules_release(&found);
		}
	}
	if (!ret)
		ret = lf_model_config_read(&config, values->places.session.model, error);
	if (!ret)
		ret = recipe_targets(&values->recipe, &targets, error);
	if (!ret)
		ret = lf_trainable_count(&config, modules, recipe_rank(&values->recipe), targets,
					 &count, error);
	if (ret)
		return ret;
	json_object_set_new(result, "trainable", trainable_json(&count));
	json_object_set_new(result, "recipe", recipe_json(&values->recipe));
	return 0;
}

/* What LoRAFusion trains with this pool, and what a LoRA of the same rank on the same layers would. */
static int count_pool(const struct session *session, json_t *result, struct lf_error *error)
{
	struct lf_model_config config = { .family = LF_MODEL_BERT,
					  .bert = *lf_encoder_config(session->encoder) };
	struct lf_trainable count;
	int ret;

	ret = lf_trainable_count(&config, session->modules.count, lf_pool_rank(session->pool),
				 lf_pool_targets(session->pool), &count, error);
	if (!ret)
		json_object_set_new(result, "trainable", trainable_json(&count));
	return ret;
}

static json_t *trained_json(const struct session *session, const struct recipe *recipe)
{
	uint64_t head_numbers = 0;
	uint32_t head_groups;
	const struct lf_parameters *groups =
		lf_head_parameters(session_head(session), &head_groups);

	for (uint32_t group = 0; group < head_groups; group++)
		head_numbers += groups[group].count;
	return json_pack("{s:I, s:I}", "method", (json_int_t)session_trained(session, recipe),
			 "head", (json_int_t)head_numbers);
}

static void report_step(void *argument, const struct lf_train_state *state)
{
	char note[64];

	if (state->epoch)
		snprintf(note, sizeof(note), "epoch %u, loss %.4f", state->epoch, state->loss);
	else
		snprintf(note, sizeof(note), "least loss %.4f", state->loss);
	progress_note(argument, state->step, state->steps, note);
}

/* What is done with the recipe. */
static json_t *run_json(const struct train_values *values)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "name",
			 values->places.session.name, "task", values->places.session.task, "epochs",
			 (json_int_t)values->epochs, "batch", (json_int_t)values->places.batch,
			 "seed", (json_int_t)values->seed, "rate", values->rate, "coefficient_rate",
			 values->coefficient_rate, "magnitude_rate", values->magnitude_rate);
}

/* The same with what a resumed run may change, and which model and pool it was: enough to do it again. */
static json_t *complete_run_json(const struct train_values *values, const struct session *session)
{
	json_t *run = run_json(values), *config = adaptation_config(session, &values->recipe);

	json_object_set_new(run, "steps", json_integer((json_int_t)values->steps));
	json_object_set_new(run, "split", json_string(values->places.session.split));
	json_object_set_new(run, "test_limit", json_integer((json_int_t)values->places.test_limit));
	json_object_set(run, "model", json_object_get(config, "model"));
	if (session->pool)
		json_object_set(run, "pool", json_object_get(config, "pool"));
	json_decref(config);
	return run;
}

/* Everything that a resumed run must share. */
static char *run_config(const struct train_values *values, const struct session *session)
{
	json_t *config = adaptation_config(session, &values->recipe);
	char *text;

	json_object_set_new(config, "run", run_json(values));
	text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(config);
	return text;
}

static int save_adaptation(const struct train_values *values, const struct session *session,
			   struct lf_error *error)
{
	const char *path = values->places.adapter;
	json_t *config;
	char *text;
	int ret;

	if (!path)
		return 0;
	if (recipe_saves_peft(&values->recipe))
		return lf_lora_write(session->method, path, values->places.session.name, error);
	config = adaptation_config(session, &values->recipe);
	json_object_set_new(config, "run", complete_run_json(values, session));
	text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(config);
	if (!text)
		return lf_error_set(error, -ENOMEM, "no memory for a configuration");
	ret = lf_adaptation_save(path, session->method, session_head(session), text, error);
	free(text);
	return ret;
}

static int train_session(const struct train_values *values, struct session *session, json_t *result,
			 double *wall_s, struct lf_error *error)
{
	struct lf_train_options settings = { .epochs = (uint32_t)values->epochs,
					     .batch = (uint32_t)values->places.batch,
					     .seed = values->seed,
					     .step_limit = values->steps,
					     .checkpoint = values->checkpoint,
					     .checkpoint_steps = (uint32_t)values->checkpoint_steps,
					     .report = report_step };
	double began = wall_clock_s();
	struct lf_counters before, after;
	struct progress progress;
	const char *source;
	char *config;
	int ret;

	config = run_config(values, session);
	if (!config)
		return lf_error_set(error, -ENOMEM, "no memory for a configuration");
	progress_start(&progress, "train", values->places.common.quiet);
	settings.config = config;
	settings.argument = &progress;
	ret = read_counters(session, &before, &source, error);
	if (!ret)
		ret = session_adapt(session, &values->recipe, values->seed, &settings, error);
	progress_end(&progress);
	if (!ret)
		ret = read_counters(session, &after, &source, error);
	free(config);
	if (ret)
		return ret;
	json_object_set_new(result, "adaptation", cost_json(&before, &after, source));
	*wall_s = wall_clock_s() - began;
	return 0;
}

/* Either all files are in place or none. */
static int save_results(const struct train_values *values, const struct session *session,
			const uint32_t *predictions, struct lf_error *error)
{
	struct outfile file;
	int ret;

	ret = outfile_open(&file, values->places.predictions, error);
	if (ret)
		return ret;
	if (file.stream) {
		write_predictions(session, predictions, file.stream);
		ret = outfile_flush(&file, error);
	}
	if (!ret)
		ret = save_adaptation(values, session, error);
	if (!ret)
		return outfile_close(&file, true, error);
	outfile_close(&file, false, NULL);
	return ret;
}

static int train_and_test(const struct train_values *values, struct session *session,
			  json_t *result, struct lf_error *error)
{
	double zero_shot_s = 0.0, train_s = 0.0, test_s = 0.0;
	uint32_t *zero_shot = NULL, *adapted = NULL;
	struct lf_lorafusion_options rates;
	int ret;

	lf_lorafusion_defaults(&rates);
	rates.coefficient_rate = values->coefficient_rate;
	rates.magnitude_rate = values->magnitude_rate;
	ret = predict(&values->places, session, "zero-shot", session->zero_shot, &zero_shot,
		      &zero_shot_s, error);
	if (!ret)
		ret = session_method(session, &values->recipe, &rates, values->rate, error);
	if (!ret)
		ret = train_session(values, session, result, &train_s, error);
	if (!ret)
		ret = predict(&values->places, session, "test", NULL, &adapted, &test_s, error);
	if (!ret)
		ret = save_results(values, session, adapted, error);
	if (!ret) {
		json_object_set_new(
			result, "accuracy",
			accuracy_json(session, values->recipe.method, zero_shot, adapted));
		json_object_set_new(result, "trained", trained_json(session, &values->recipe));
		json_object_set_new(result, "wall_s",
				    json_pack("{s:o, s:o, s:o}", "zero_shot",
					      seconds_json(zero_shot_s), "train",
					      seconds_json(train_s), "test", seconds_json(test_s)));
	}
	free(zero_shot);
	free(adapted);
	return ret;
}

static int check_outputs(const struct train_values *values, struct lf_error *error)
{
	bool peft = recipe_saves_peft(&values->recipe);
	int ret = outfile_check("adapter", values->places.adapter,
				peft ? OUTFILE_DIRECTORY : OUTFILE_REGULAR, error);

	if (!ret)
		ret = outfile_check("predictions", values->places.predictions, OUTFILE_STREAM,
				    error);
	if (!ret)
		ret = outfile_check("checkpoint", values->checkpoint, OUTFILE_REGULAR, error);
	return ret;
}

static int train(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct train_values *values = opaque;
	struct session_options options = places_session(&values->places);
	struct session session;
	int ret;

	(void)operands;
	if (values->dry_run)
		return dry_run(values, result, error);
	ret = check_outputs(values, error);
	if (ret)
		return ret;
	options.training = true;
	ret = session_open(&session, &options, &values->recipe, error);
	if (ret)
		return ret;
	output_order(result, result_keys);
	json_object_set_new(result, "task", json_string(options.task));
	json_object_set_new(result, "samples",
			    json_pack("{s:i, s:i}", "train", (int)session.train.count, "test",
				      (int)session.test.count));
	ret = train_and_test(values, &session, result, error);
	if (!ret && session.pool)
		ret = count_pool(&session, result, error);
	if (!ret && session.pool)
		json_object_set_new(result, "modules_read", modules_json(&session));
	json_object_set_new(result, "device", output_device(lf_device_info(session.device)));
	json_object_set_new(result, "recipe", recipe_json(&values->recipe));
	json_object_set_new(result, "run", complete_run_json(values, &session));
	output_tidy(result);
	session_close(&session);
	return ret;
}

const struct command train_commands[] = {
	{ "train",
	  NULL,
	  NULL,
	  "adapt a deployed model to a task and test it",
	  { place_options, train_options, device_options, common_options },
	  sizeof(struct train_values),
	  &train_defaults,
	  check,
	  train },
	{ 0 },
};
