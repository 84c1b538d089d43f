// SPDX-License-Identifier: MIT
/* lfctl fold: what LoRAFusion has learned as one PEFT adapter. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/fold.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/outfile.h"
#include "tools/lfctl/recipe.h"

struct fold_values {
	struct common common;
	const char *model;
	const char *pool;
	const char *adapter;
	const char *out;
	const char *base_model;
	const char *dtype;
};

#define PLACE(field) offsetof(struct fold_values, field)

static const struct option_spec fold_options[] = {
	{ "model", OPTION_TEXT, PLACE(model), "DIR", "Hugging Face directory of the model", 0, 0 },
	{ "pool", OPTION_TEXT, PLACE(pool), "DIR", "directory of the pool's PEFT adapters", 0, 0 },
	{ "adapter", OPTION_TEXT, PLACE(adapter), "FILE", "what lfctl train wrote", 0, 0 },
	{ "out", OPTION_TEXT, PLACE(out), "DIR", "the PEFT directory to write", 0, 0 },
	{ "base-model", OPTION_TEXT, PLACE(base_model), "NAME",
	  "what the adapter calls the model [the directory]", 0, 0 },
	{ "dtype", OPTION_CHOICE, PLACE(dtype), "f32|f16", "of its numbers [f32]", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct fold_values fold_defaults = { .dtype = "f32" };

static int check(const void *opaque, struct lf_error *error)
{
	const struct fold_values *values = opaque;
	const struct {
		const char *option, *given;
	} needed[] = { { "model", values->model },
		       { "pool", values->pool },
		       { "adapter", values->adapter },
		       { "out", values->out } };

	for (size_t at = 0; at < sizeof(needed) / sizeof(needed[0]); at++)
		if (!needed[at].given)
			return lf_error_set(error, -EINVAL, "--%s is missing", needed[at].option);
	return 0;
}

/* A tensor of the adaptation, [count]; both stay 0 where it has none of this name. */
static int read_tensor(const struct lf_checkpoint *checkpoint, const char *name, float **values,
		       size_t *count, struct lf_error *error)
{
	uint64_t shape;
	int ret;

	*count = lf_checkpoint_size(checkpoint, name);
	shape = *count;
	if (!*count)
		return 0;
	*values = malloc(*count * sizeof(**values));
	if (!*values)
		return lf_error_set(error, -ENOMEM, "no memory for %zu %s", *count, name);
	ret = lf_checkpoint_read(checkpoint, name, 1, &shape, *values, error);
	return ret;
}

static int read_checksum(const json_t *config, const char *key, uint32_t *checksum,
			 struct lf_error *error)
{
	const char *text = json_string_value(json_object_get(config, key));
	char end;

	if (!text || sscanf(text, "%8x%c", checksum, &end) != 1)
		return lf_error_set(error, -EINVAL, "configuration: \"%s\" is no checksum", key);
	return 0;
}

static json_t *folded_json(const struct fold_values *values, const struct lf_folded *folded,
			   const struct lf_fold *fold, uint32_t modules)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:s}", "path", values->out, "method",
			 fold->magnitudes ? "dora" : "lora", "modules", (int)modules, "merge",
			 fold->merge == LF_MERGE_SUM ? "sum" : "product", "rank",
			 (json_int_t)folded->rank, "layers", (json_int_t)folded->layers, "numbers",
			 (json_int_t)folded->numbers, "dtype", values->dtype);
}

static int write_fold(const struct fold_values *values, const struct recipe *recipe,
		      struct lf_fold *fold, json_t *result, struct lf_error *error)
{
	struct lf_pool_modules modules;
	struct lf_folded folded;
	uint32_t count;
	int ret;

	ret = lf_pool_modules_find(values->pool, (uint32_t)recipe->modules, recipe->pool_seed,
				   &modules, error);
	if (ret)
		return ret;
	count = modules.count;
	fold->base_model = values->base_model ? values->base_model : values->model;
	fold->dtype = strcmp(values->dtype, "f16") ? LF_DTYPE_F32 : LF_DTYPE_F16;
	ret = lf_fold_write(values->model, &modules, fold, values->out, &folded, error);
	lf_pool_modules_release(&modules);
	if (!ret)
		json_object_set_new(result, "folded", folded_json(values, &folded, fold, count));
	return ret;
}

static int fold_checkpoint(const struct fold_values *values, const struct lf_checkpoint *checkpoint,
			   const json_t *config, json_t *result, struct lf_error *error)
{
	float *coefficients = NULL, *magnitudes = NULL;
	struct lf_fold fold = { 0 };
	struct recipe recipe;
	int ret;

	ret = recipe_read(&recipe, json_object_get(config, "recipe"), error);
	if (!ret && !json_object_get(config, "pool"))
		ret = lf_error_set(error, -EINVAL, "was trained by %s, which fuses no pool",
				   recipe.method);
	if (!ret)
		ret = read_checksum(config, "model", &fold.model_checksum, error);
	if (!ret)
		ret = read_checksum(config, "pool", &fold.pool_checksum, error);
	if (!ret)
		ret = read_tensor(checkpoint, "coefficients", &coefficients,
				  &fold.coefficient_count, error);
	if (!ret)
		ret = read_tensor(checkpoint, "magnitudes", &magnitudes, &fold.magnitude_count,
				  error);
	if (!ret) {
		fold.coefficients = coefficients;
		fold.magnitudes = magnitudes;
		fold.merge = strcmp(recipe.merge, "product") ? LF_MERGE_SUM : LF_MERGE_PRODUCT;
		ret = write_fold(values, &recipe, &fold, result, error);
	}
	free(coefficients);
	free(magnitudes);
	return ret ? lf_error_prefix(error, ret, "%s", values->adapter) : 0;
}

static int fold(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct fold_values *values = opaque;
	struct lf_checkpoint *checkpoint;
	json_error_t reason;
	json_t *config;
	int ret;

	(void)operands;
	ret = outfile_check("out", values->out, OUTFILE_DIRECTORY, error);
	if (!ret)
		ret = lf_checkpoint_open(&checkpoint, values->adapter, error);
	if (ret)
		return ret;
	config = json_loads(lf_checkpoint_config(checkpoint), 0, &reason);
	ret = fold_checkpoint(values, checkpoint, config, result, error);
	json_decref(config);
	lf_checkpoint_close(checkpoint);
	return ret;
}

const struct command fold_commands[] = {
	{ .noun = "fold",
	  .help = "write what lorafusion has learned as one PEFT adapter",
	  .options = { fold_options, common_options },
	  .values_bytes = sizeof(struct fold_values),
	  .defaults = &fold_defaults,
	  .check = check,
	  .run = fold },
	{ 0 },
};
