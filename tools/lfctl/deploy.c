// SPDX-License-Identifier: MIT
/* lfctl deploy: program a model, and a pool of LoRA modules beside it, once. */
#include <errno.h>
#include <string.h>

#include <lf/pool.h>

#include "tools/lfctl/calibrate.h"
#include "tools/lfctl/open.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

struct deploy_values {
	struct common common;
	const char *model;
	const char *name;
	const char *pool;
	const char *calibrate;
	uint64_t modules;
	uint64_t pool_seed;
	bool pool_only;
	bool private;
};

static const struct option_spec deploy_options[] = {
	{ "model", OPTION_TEXT, offsetof(struct deploy_values, model), "DIR",
	  "Hugging Face directory of a BERT-type encoder", 0, 0 },
	{ "name", OPTION_TEXT, offsetof(struct deploy_values, name), "NAME",
	  "what its matrices are published under [model]", 0, 0 },
	{ "pool", OPTION_TEXT, offsetof(struct deploy_values, pool), "DIR",
	  "directory of PEFT adapters to deploy beside it", 0, 0 },
	{ "modules", OPTION_NUMBER, offsetof(struct deploy_values, modules), "N",
	  "how many of them, 0 for all [0]", 0, LF_POOL_MODULES },
	{ "pool-seed", OPTION_NUMBER, offsetof(struct deploy_values, pool_seed), "S",
	  "draw them by this seed, 0 for the first ones [0]", 0, 1e15 },
	{ "pool-only", OPTION_FLAG, offsetof(struct deploy_values, pool_only), NULL,
	  "the model is there already, deploy a pool beside it", 0, 0 },
	{ "calibrate", OPTION_TEXT, offsetof(struct deploy_values, calibrate), "FILE",
	  "then calibrate with these sentences, as lfctl calibrate --samples does", 0, 0 },
	{ "private", OPTION_FLAG, offsetof(struct deploy_values, private), NULL,
	  "readable by the owner only (otherwise by everyone: mode 0444)", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct deploy_values deploy_defaults = { .name = "model" };

static int check(const void *opaque, struct lf_error *error)
{
	const struct deploy_values *values = opaque;

	if (!values->model)
		return lf_error_set(error, -EINVAL, "--model is missing");
	if (values->pool_only && !values->pool)
		return lf_error_set(error, -EINVAL, "--pool-only: --pool is missing");
	if ((values->modules || values->pool_seed) && !values->pool)
		return lf_error_set(error, -EINVAL, "--%s: --pool is missing",
				    values->modules ? "modules" : "pool-seed");
	return 0;
}

static json_t *module_names(const struct lf_pool_modules *modules)
{
	json_t *names = json_array();

	for (uint32_t at = 0; at < modules->count; at++)
		json_array_append_new(names,
				      json_string(strrchr(modules->directories[at], '/') + 1));
	return names;
}

static int deploy_on(struct lf_device *device, const struct deploy_values *values,
		     const struct lf_pool_modules *modules, json_t *result, struct lf_error *error)
{
	struct lf_counters counters = { 0 };
	struct progress progress;
	struct lf_deploy_options options = { .directory = values->model,
					     .name = values->name,
					     .modules = values->pool ? modules : NULL,
					     .pool_only = values->pool_only,
					     .mode = values->private ? 0400 : 0444,
					     .progress = progress_update,
					     .argument = &progress };
	int ret;

	progress_start(&progress, "deploy", values->common.quiet);
	ret = lf_deploy(device, &options, &counters, error);
	progress_end(&progress);
	if (ret)
		return ret;
	json_object_set_new(result, "name", json_string(values->name));
	json_object_set_new(result, "modules", module_names(modules));
	json_object_set_new(result, "deploy", output_counters(&counters));
	json_object_set_new(result, "device", output_device(lf_device_info(device)));
	return 0;
}

/* The sentences are read before anything is written, and used when all is. */
static int deploy_calibrated(struct lf_device *device, const struct deploy_values *values,
			     const struct lf_pool_modules *modules, json_t *result,
			     struct lf_error *error)
{
	struct calibrate_values calibration = CALIBRATE_DEFAULTS;
	struct lf_examples sentences = { 0 };
	int ret = 0;

	calibration.common = values->common;
	calibration.model = values->model;
	calibration.name = values->name;
	calibration.samples = values->calibrate;
	if (values->calibrate)
		ret = calibrate_read(&calibration, &sentences, error);
	if (!ret)
		ret = deploy_on(device, values, modules, result, error);
	if (!ret && values->calibrate) {
		ret = calibrate_model(device, &calibration, modules, &sentences, result, error);
		if (ret)
			lf_error_prefix(error, ret, "deployed, but not calibrated");
	}
	lf_examples_release(&sentences);
	return ret;
}

static int deploy(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct deploy_values *values = opaque;
	struct lf_pool_modules modules = { 0 };
	struct lf_tokenizer *tokenizer;
	struct lf_device *device;
	int ret;

	(void)operands;
	/* The vocabulary is not programmed, but without one the model would be of no use. */
	ret = open_tokenizer(values->model, &tokenizer, error);
	if (ret)
		return ret;
	lf_tokenizer_close(tokenizer);
	if (values->pool)
		ret = lf_pool_modules_find(values->pool, (uint32_t)values->modules,
					   values->pool_seed, &modules, error);
	if (!ret)
		ret = open_device(&values->common, &device, error);
	if (!ret) {
		ret = deploy_calibrated(device, values, &modules, result, error);
		lf_device_close(device);
	}
	lf_pool_modules_release(&modules);
	return ret;
}

const struct command deploy_commands[] = {
	{ "deploy",
	  NULL,
	  NULL,
	  "program a model and a pool of LoRA modules, once",
	  { deploy_options, device_options, common_options },
	  sizeof(struct deploy_values),
	  &deploy_defaults,
	  check,
	  deploy },
	{ 0 },
};
