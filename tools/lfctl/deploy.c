// SPDX-License-Identifier: MIT
/* lfctl deploy: program a model, and a pool of LoRA modules beside it, once. */
#include <errno.h>
#include <string.h>

#include <lf/pool.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

struct deploy_values {
	struct common common;
	const char *model;
	const char *name;
	const char *pool;
	uint64_t modules;
	uint64_t pool_seed;
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
	{ "private", OPTION_FLAG, offsetof(struct deploy_values, private), NULL,
	  "readable by the owner only (otherwise by everyone: mode 0444)", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct deploy_values deploy_defaults = { .name = "model" };

static int deploy_pool(const struct deploy_values *values, struct lf_device *device,
		       struct lf_counters *counters, json_t *result, struct lf_error *error)
{
	struct lf_pool_modules modules;
	struct progress progress;
	json_t *names = json_array();
	int ret;

	json_object_set_new(result, "modules", names);
	if (!values->pool)
		return 0;
	ret = lf_pool_modules_find(values->pool, (uint32_t)values->modules, values->pool_seed,
				   &modules, error);
	if (ret)
		return ret;
	for (uint32_t at = 0; at < modules.count; at++)
		json_array_append_new(names,
				      json_string(strrchr(modules.directories[at], '/') + 1));
	progress_start(&progress, "deploy pool", values->common.quiet);
	ret = lf_pool_deploy(device, values->model, values->name, &modules,
			     values->private ? 0400 : 0444, progress_update, &progress, counters,
			     error);
	lf_pool_modules_release(&modules);
	return ret;
}

static int deploy(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct deploy_values *values = opaque;
	struct lf_counters counters = { 0 };
	struct lf_device *device;
	struct progress progress;
	int ret;

	(void)operands;
	if (!values->model)
		return lf_error_set(error, -EINVAL, "--model is missing");
	ret = lf_device_open(values->common.device, &device, error);
	if (ret)
		return ret;
	json_object_set_new(result, "device", output_device(lf_device_info(device)));
	progress_start(&progress, "deploy model", values->common.quiet);
	ret = lf_encoder_deploy(device, values->model, values->name, values->private ? 0400 : 0444,
				progress_update, &progress, &counters, error);
	if (!ret)
		ret = deploy_pool(values, device, &counters, result, error);
	if (!ret)
		json_object_set_new(result, "deploy", output_counters(&counters));
	lf_device_close(device);
	return ret;
}

const struct command deploy_commands[] = {
	{ "deploy",
	  NULL,
	  NULL,
	  "program a model and a pool of LoRA modules, once",
	  { deploy_options, common_options },
	  sizeof(struct deploy_values),
	  &deploy_defaults,
	  deploy },
	{ 0 },
};
