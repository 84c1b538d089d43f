// SPDX-License-Identifier: MIT
/* The modules of a pool as their files hold them; see module_set.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/module_set.h"
#include "runtime/io/crc32c.h"
#include "runtime/nn/encoder.h"

void lf_module_set_release(struct lf_module_set *set)
{
	for (uint32_t at = 0; at < set->count; at++)
		lf_adapter_free(set->adapters[at]);
	free(set->adapters);
	free(set->sites);
}

/* Finds the layer's index from its path. */
static uint32_t path_index(const struct lf_bert_config *config, const char *path)
{
	char candidate[LF_LINEAR_PATH_BYTES];
	uint32_t index = 0;

	for (; index < lf_bert_linears(config); index++) {
		lf_linear_path(index, candidate);
		if (!strcmp(candidate, path))
			break;
	}
	return index;
}

static int take_first(struct lf_module_set *set, const struct lf_bert_config *config,
		      const struct lf_adapter *adapter, struct lf_error *error)
{
	set->rank = lf_adapter_layer_at(adapter, 0)->rank;
	set->site_count = (uint32_t)lf_adapter_layer_count(adapter);
	set->sites = calloc(set->site_count, sizeof(*set->sites));
	if (!set->sites)
		return lf_error_set(error, -ENOMEM, "no memory for %u layers", set->site_count);
	for (uint32_t at = 0; at < set->site_count; at++)
		set->sites[at] = path_index(config, lf_adapter_layer_at(adapter, at)->path);
	return 0;
}

/* A pool is stacked, so every module must have what the first has. */
static int check_module(const struct lf_module_set *set, const struct lf_adapter *adapter,
			const char *directory, struct lf_error *error)
{
	const struct lf_adapter *first = set->adapters[0];

	if (lf_adapter_layer_count(adapter) != set->site_count)
		return lf_error_set(error, -EINVAL,
				    "module %s adapts %zu layers, the first of the pool %u",
				    directory, lf_adapter_layer_count(adapter), set->site_count);
	for (uint32_t at = 0; at < set->site_count; at++) {
		const struct lf_adapter_layer *layer = lf_adapter_layer_at(adapter, at);

		if (strcmp(layer->path, lf_adapter_layer_at(first, at)->path))
			return lf_error_set(
				error, -EINVAL, "module %s adapts %s, the first of the pool %s",
				directory, layer->path, lf_adapter_layer_at(first, at)->path);
		if (layer->rank != set->rank)
			return lf_error_set(error, -EINVAL,
					    "module %s, %s: rank %u, the pool has %u", directory,
					    layer->path, layer->rank, set->rank);
		if (layer->magnitude)
			return lf_error_set(error, -ENOTSUP,
					    "module %s, %s: DoRA magnitudes cannot be fused",
					    directory, layer->path);
	}
	return 0;
}

static uint32_t modules_checksum(const struct lf_module_set *set)
{
	struct lf_crc32c crc;

	lf_crc32c_start(&crc);
	for (uint32_t module = 0; module < set->count; module++)
		for (uint32_t at = 0; at < set->site_count; at++) {
			const struct lf_adapter_layer *layer =
				lf_adapter_layer_at(set->adapters[module], at);

			lf_crc32c_add(&crc, layer->a,
				      (size_t)layer->rank * layer->inputs * sizeof(float));
			lf_crc32c_add(&crc, layer->b,
				      (size_t)layer->rank * layer->outputs * sizeof(float));
			lf_crc32c_add(&crc, &layer->scale, sizeof(layer->scale));
		}
	return lf_crc32c_value(&crc);
}

int lf_module_set_read(struct lf_module_set *set, const struct lf_bert_config *config,
		       const struct lf_pool_modules *modules, struct lf_error *error)
{
	uint32_t linears = lf_bert_linears(config);
	char(*paths)[LF_LINEAR_PATH_BYTES];
	struct lf_adapter_slot *slots;
	int ret = 0;

	*set = (struct lf_module_set){ 0 };
	if (!modules->count || modules->count > LF_POOL_MODULES)
		return lf_error_set(error, -EINVAL, "pool of %u modules: 1 to %u", modules->count,
				    LF_POOL_MODULES);
	paths = calloc(linears, sizeof(*paths));
	slots = calloc(linears, sizeof(*slots));
	set->adapters = calloc(modules->count, sizeof(*set->adapters));
	if (!paths || !slots || !set->adapters)
		ret = lf_error_set(error, -ENOMEM, "no memory for %u modules", modules->count);
	for (uint32_t index = 0; !ret && index < linears; index++) {
		lf_linear_path(index, paths[index]);
		slots[index].path = paths[index];
		lf_linear_shape(config, index, &slots[index].inputs, &slots[index].outputs);
	}
	for (uint32_t at = 0; !ret && at < modules->count; at++) {
		ret = lf_adapter_read(&set->adapters[at], modules->directories[at], slots, linears,
				      0, error);
		if (ret)
			break;
		set->count++;
		if (!at)
			ret = take_first(set, config, set->adapters[0], error);
		if (!ret)
			ret = check_module(set, set->adapters[at], modules->directories[at], error);
	}
	free(slots);
	free(paths);
	if (ret)
		lf_module_set_release(set);
	else
		set->checksum = modules_checksum(set);
	return ret;
}

/* [N r][inputs]: the modules' A one below the other. */
float *lf_module_set_a(const struct lf_module_set *set, uint32_t site)
{
	const struct lf_adapter_layer *first = lf_adapter_layer_at(set->adapters[0], site);
	size_t block = (size_t)set->rank * first->inputs;
	float *values = malloc(set->count * block * sizeof(*values));

	for (uint32_t module = 0; values && module < set->count; module++)
		memcpy(values + module * block, lf_adapter_layer_at(set->adapters[module], site)->a,
		       block * sizeof(*values));
	return values;
}

/* [outputs][N r]: the modules' B side by side, each times its scale. */
float *lf_module_set_b(const struct lf_module_set *set, uint32_t site)
{
	const struct lf_adapter_layer *first = lf_adapter_layer_at(set->adapters[0], site);
	size_t width = (size_t)set->count * set->rank;
	float *values = malloc(first->outputs * width * sizeof(*values));

	for (uint32_t module = 0; values && module < set->count; module++) {
		const struct lf_adapter_layer *layer =
			lf_adapter_layer_at(set->adapters[module], site);

		for (size_t o = 0; o < layer->outputs; o++)
			for (size_t k = 0; k < set->rank; k++)
				values[o * width + module * set->rank + k] =
					layer->scale * layer->b[o * set->rank + k];
	}
	return values;
}
