// SPDX-License-Identifier: MIT
/* Deploying and opening a pool; see lf/pool.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/module_set.h"
#include "runtime/adapt/pool.h"
#include "runtime/nn/deployment.h"
#include "runtime/nn/encoder.h"

/* Room for the layer in the name of a stack, beside the model's name, ".p", eight digits, "." and a letter. */
#define STACK_LAYER_BYTES (LF_NAME_BYTES - LF_ENCODER_NAME_BYTES - 12)

static void stack_name(const char *name, uint32_t checksum, uint32_t index, char stack,
		       char matrix[LF_NAME_BYTES])
{
	char layer[LF_NAME_BYTES];

	/* Of a name that is too long the end of the layer is cut off, which tells nothing apart. */
	lf_linear_matrix_name("", index, layer);
	snprintf(matrix, LF_NAME_BYTES, "%.*s.p%08x%.*s.%c", LF_ENCODER_NAME_BYTES - 1, name,
		 checksum, STACK_LAYER_BYTES, layer, stack);
}

/* Makes the weight of one of the two stacks of a site: 'A' or 'B'. */
static int stack_weight(const struct lf_module_set *set, uint32_t site, char stack, uint32_t format,
			const struct lf_simd_ops *simd, struct lf_weight *weight,
			struct lf_error *error)
{
	const struct lf_adapter_layer *layer = lf_adapter_layer_at(set->adapters[0], site);
	float *values = stack == 'A' ? lf_module_set_a(set, site) : lf_module_set_b(set, site);
	uint32_t width = set->count * set->rank;
	int ret;

	if (!values)
		return lf_error_set(error, -ENOMEM, "no memory for %s", layer->path);
	ret = lf_weight_create(weight, values, stack == 'A' ? width : layer->outputs,
			       stack == 'A' ? layer->inputs : width, format, simd, error);
	free(values);
	return ret ? lf_error_prefix(error, ret, "pool, %s, stack %c", layer->path, stack) : 0;
}

/* Adds the stacks of a pool's modules, having read and checked all of them. */
static int pool_stage(struct lf_deployment *deployment, const struct lf_deploy_options *options,
		      uint32_t format, struct lf_error *error)
{
	const struct lf_simd_ops *simd;
	struct lf_safetensors *file;
	struct lf_bert_config config;
	struct lf_module_set set;
	char matrix[LF_NAME_BYTES];
	int ret;

	ret = lf_simd_ops_choose(NULL, &simd, error);
	if (!ret)
		ret = lf_encoder_files(options->directory, &config, &file, error);
	if (ret)
		return ret;
	lf_safetensors_close(file);
	ret = lf_module_set_read(&set, &config, options->modules, error);
	if (ret)
		return ret;
	for (uint32_t at = 0; !ret && at < 2 * set.site_count; at++) {
		char stack = at % 2 ? 'B' : 'A';
		struct lf_weight weight;

		ret = stack_weight(&set, at / 2, stack, format, simd, &weight, error);
		if (ret)
			break;
		stack_name(options->name, set.checksum, set.sites[at / 2], stack, matrix);
		ret = lf_deployment_add(deployment, matrix, &weight, error);
	}
	lf_module_set_release(&set);
	return ret;
}

int lf_deploy(struct lf_device *device, const struct lf_deploy_options *options,
	      struct lf_counters *counters, struct lf_error *error)
{
	const struct lf_deployment_target target = { device, options->mode, options->progress,
						     options->argument, counters };
	uint32_t format = lf_device_weight_format(device);
	struct lf_deployment deployment = { 0 };
	int ret = 0;

	if (!options->pool_only)
		ret = lf_encoder_stage(&deployment, options->directory, options->name, format,
				       error);
	if (!ret && options->modules)
		ret = pool_stage(&deployment, options, format, error);
	if (!ret)
		ret = lf_deployment_run(&deployment, &target, error);
	lf_deployment_release(&deployment);
	return ret;
}

int lf_pool_deploy(struct lf_device *device, const char *directory, const char *name,
		   const struct lf_pool_modules *modules, uint32_t mode, lf_progress progress,
		   void *argument, struct lf_counters *counters, struct lf_error *error)
{
	const struct lf_deploy_options options = { .directory = directory,
						   .name = name,
						   .modules = modules,
						   .pool_only = true,
						   .mode = mode,
						   .progress = progress,
						   .argument = argument };

	return lf_deploy(device, &options, counters, error);
}

/* Opens one stack; @offset of the constants receives its scales and moves behind them. */
static int open_stack(struct lf_pool *pool, const struct lf_encoder *encoder,
		      const struct lf_module_set *set, uint32_t site, char stack, size_t *offset,
		      struct lf_error *error)
{
	struct lf_pool_site *where = &pool->sites[site];
	struct lf_linear *linear = stack == 'A' ? &where->a : &where->b;
	float **values = stack == 'A' ? &where->a_values : &where->b_values;
	uint32_t format = lf_device_weight_format(encoder->device);
	char matrix[LF_NAME_BYTES];
	struct lf_weight weight;
	int ret;

	ret = stack_weight(set, site, stack, format, encoder->simd, &weight, error);
	if (ret)
		return ret;
	stack_name(encoder->name, set->checksum, where->index, stack, matrix);
	ret = lf_linear_open(linear, encoder->device, matrix, weight.rows, weight.cols, error);
	if (ret == -ENOENT)
		lf_error_set(error, ret,
			     "these %u modules are not deployed beside model %s: there is no "
			     "matrix \"%s\"",
			     set->count, encoder->name, matrix);
	*values = malloc((size_t)weight.rows * weight.cols * sizeof(float));
	if (!ret && !*values)
		ret = lf_error_set(error, -ENOMEM, "no memory for %s", matrix);
	if (!ret) {
		lf_weight_values(&weight, *values);
		memcpy((char *)lf_buffer_data(pool->constants) + *offset, weight.scale,
		       weight.cols * sizeof(float));
		if (format == LF_FORMAT_INT8)
			linear->scale = lf_view_buffer(pool->constants, *offset, 0);
		*offset += weight.cols * sizeof(float);
	}
	lf_weight_release(&weight);
	return ret;
}

int lf_pool_open(struct lf_encoder *encoder, const struct lf_pool_modules *modules,
		 struct lf_pool **pool, struct lf_error *error)
{
	struct lf_module_set set;
	struct lf_pool *p;
	size_t floats = 0, offset = 0;
	int ret;

	ret = lf_module_set_read(&set, &encoder->config, modules, error);
	if (ret)
		return ret;
	p = calloc(1, sizeof(*p));
	if (p)
		p->sites = calloc(set.site_count, sizeof(*p->sites));
	if (!p || !p->sites) {
		ret = lf_error_set(error, -ENOMEM, "no memory for a pool");
		goto out;
	}
	p->modules = set.count;
	p->rank = set.rank;
	p->checksum = set.checksum;
	p->site_count = set.site_count;
	for (uint32_t site = 0; site < set.site_count; site++) {
		p->sites[site].index = set.sites[site];
		floats +=
			set.count * set.rank + lf_adapter_layer_at(set.adapters[0], site)->outputs;
	}
	ret = lf_buffer_create(encoder->device, floats * sizeof(float), &p->constants, error);
	for (uint32_t site = 0; !ret && site < set.site_count; site++) {
		ret = open_stack(p, encoder, &set, site, 'A', &offset, error);
		if (!ret)
			ret = open_stack(p, encoder, &set, site, 'B', &offset, error);
	}
out:
	lf_module_set_release(&set);
	if (ret)
		lf_pool_close(p);
	else
		*pool = p;
	return ret;
}

void lf_pool_close(struct lf_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t site = 0; pool->sites && site < pool->site_count; site++) {
		lf_linear_close(&pool->sites[site].a);
		lf_linear_close(&pool->sites[site].b);
		free(pool->sites[site].a_values);
		free(pool->sites[site].b_values);
	}
	free(pool->sites);
	lf_buffer_destroy(pool->constants);
	free(pool);
}

uint32_t lf_pool_checksum(const struct lf_pool *pool)
{
	return pool->checksum;
}

uint32_t lf_pool_rank(const struct lf_pool *pool)
{
	return pool->rank;
}

uint32_t lf_pool_targets(const struct lf_pool *pool)
{
	uint32_t targets = 0;

	/* Layers of a block come in the order of enum lf_target. */
	for (uint32_t site = 0; site < pool->site_count; site++)
		targets |= 1u << pool->sites[site].index % LF_BLOCK_LINEARS;
	return targets;
}
