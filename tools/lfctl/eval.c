// SPDX-License-Identifier: MIT
/* lfctl eval. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/outfile.h"
#include "tools/lfctl/output.h"

struct eval_values {
	struct places places;
	uint64_t tokens;
};

static const struct option_spec eval_options[] = {
	{ "adapter", OPTION_TEXT, offsetof(struct eval_values, places.adapter), "PATH",
	  "what lfctl train wrote, or a LoRA or DoRA of PEFT", 0, 0 },
	{ "tokens", OPTION_NUMBER, offsetof(struct eval_values, tokens), "N",
	  "longest sentence, where a PEFT directory does not say it [32]", 2, 512 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct eval_values eval_defaults = { .places = PLACES_DEFAULTS, .tokens = 32 };

static int check(const void *opaque, struct lf_error *error)
{
	const struct eval_values *values = opaque;

	if (!values->places.adapter)
		return lf_error_set(error, -EINVAL, "--adapter is missing");
	/* Which method it is, and so whether a pool is needed, the file will tell. */
	return places_check(&values->places, NULL, error);
}

static int save_predictions(const char *path, const struct session *session,
			    const uint32_t *predictions, struct lf_error *error)
{
	struct outfile file;
	int ret = outfile_open(&file, path, error);

	if (ret || !file.stream)
		return ret;
	write_predictions(session, predictions, file.stream);
	ret = outfile_flush(&file, error);
	if (!ret)
		return outfile_close(&file, true, error);
	outfile_close(&file, false, NULL);
	return ret;
}

/* Makes the method: of the checkpoint, or of a PEFT directory where there is none. */
static int restore(const struct eval_values *values, const struct recipe *recipe,
		   const struct lf_checkpoint *checkpoint, struct session *session,
		   struct lf_error *error)
{
	struct lf_lorafusion_options rates;
	int ret;

	if (!checkpoint)
		return lf_lora_read(session->encoder, values->places.adapter, &session->method,
				    error);
	lf_lorafusion_defaults(&rates);
	ret = session_method(session, recipe, &rates, 0.0, error);
	if (!ret) {
		ret = lf_adaptation_load(checkpoint, session->method, session_head(session), error);
		if (ret)
			lf_error_prefix(error, ret, "%s", values->places.adapter);
	}
	return ret;
}

static int apply(const struct eval_values *values, const struct recipe *recipe,
		 const struct lf_checkpoint *checkpoint, struct session *session, json_t *result,
		 struct lf_error *error)
{
	const struct places *places = &values->places;
	struct lf_counters before, after;
	uint32_t *predictions = NULL;
	const char *source;
	double wall_s;
	int ret;

	ret = restore(values, recipe, checkpoint, session, error);
	if (!ret && session->method)
		ret = lf_method_prepare(session->method, error);
	if (!ret && session->method)
		ret = lf_method_attach(session->method, false, error);
	if (!ret)
		ret = read_counters(session, &before, &source, error);
	if (!ret)
		ret = predict(places, session, "test", session_head(session), &predictions, &wall_s,
			      error);
	if (!ret)
		ret = read_counters(session, &after, &source, error);
	if (!ret)
		ret = save_predictions(places->predictions, session, predictions, error);
	if (!ret) {
		json_object_set_new(
			result, "accuracy",
			accuracy_json(session,
				      checkpoint ? recipe->method : lf_method_name(session->method),
				      NULL, predictions));
		if (session->pool)
			json_object_set_new(result, "modules_read", modules_json(session));
		json_object_set_new(result, "inference", cost_json(&before, &after, source));
		json_object_set_new(result, "wall_s",
				    json_pack("{s:o}", "test", seconds_json(wall_s)));
	}
	free(predictions);
	return ret;
}

/* @config and @checkpoint are NULL for a PEFT directory. */
static int eval_session(const struct eval_values *values, const struct recipe *recipe,
			const json_t *config, const struct lf_checkpoint *checkpoint,
			json_t *result, struct lf_error *error)
{
	const struct places *places = &values->places;
	struct session_options options = places_session(places);
	struct session session;
	int ret;

	ret = session_open(&session, &options, recipe, error);
	if (ret)
		return ret;
	json_object_set_new(result, "task", json_string(options.task));
	json_object_set_new(result, "samples", json_pack("{s:i}", "test", (int)session.test.count));
	if (config) {
		/* What was trained, and how, as train has left it. */
		json_object_set(result, "recipe", json_object_get(config, "recipe"));
		if (json_object_get(config, "run"))
			json_object_set(result, "run", json_object_get(config, "run"));
		ret = adaptation_check(config, &session, recipe, places->adapter, error);
	}
	if (!ret)
		ret = apply(values, recipe, checkpoint, &session, result, error);
	if (!ret)
		json_object_set_new(result, "device",
				    output_device(lf_device_info(session.device)));
	session_close(&session);
	return ret;
}

static int eval_checkpoint(const struct eval_values *values, const struct lf_checkpoint *checkpoint,
			   const json_t *config, json_t *result, struct lf_error *error)
{
	struct recipe recipe;
	int ret;

	ret = recipe_read(&recipe, json_object_get(config, "recipe"), error);
	if (ret)
		return lf_error_prefix(error, ret, "%s", values->places.adapter);
	if (places_check(&values->places, &recipe, error))
		return COMMAND_EXIT(EXIT_USAGE);
	return eval_session(values, &recipe, config, checkpoint, result, error);
}

static int eval(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct eval_values *values = opaque;
	const char *path = values->places.adapter;
	struct lf_checkpoint *checkpoint;
	json_error_t reason;
	struct stat status;
	json_t *config;
	int ret;

	(void)operands;
	ret = outfile_check("predictions", values->places.predictions, OUTFILE_STREAM, error);
	if (ret)
		return ret;
	/* An adapter has no head of its own: labels are told apart by their names. */
	if (!stat(path, &status) && S_ISDIR(status.st_mode)) {
		struct recipe recipe = { RECIPE_DEFAULTS };

		recipe.method = "lora";
		recipe.tokens = values->tokens;
		return eval_session(values, &recipe, NULL, NULL, result, error);
	}
	ret = lf_checkpoint_open(&checkpoint, path, error);
	if (ret)
		return ret;
	config = json_loads(lf_checkpoint_config(checkpoint), 0, &reason);
	ret = eval_checkpoint(values, checkpoint, config, result, error);
	json_decref(config);
	lf_checkpoint_close(checkpoint);
	return ret;
}

const struct command eval_commands[] = {
	{ "eval",
	  NULL,
	  NULL,
	  "test what was trained before",
	  { place_options, eval_options, device_options, common_options },
	  sizeof(struct eval_values),
	  &eval_defaults,
	  check,
	  eval },
	{ 0 },
};
