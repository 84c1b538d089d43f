// SPDX-License-Identifier: MIT
/* Folding a fused pool into one adapter; see lf/fold.h for the formulas. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/fold.h>

#include "runtime/adapt/module_set.h"
#include "runtime/nn/encoder.h"

/* What is being folded, and the layers as far as they are. */
struct folding {
	const struct lf_fold *fold;
	struct lf_bert_config config;
	struct lf_module_set set;
	uint32_t rank;
	struct lf_adapter_layer *layers; /* [sites] own their A and B */
};

/* What the coefficients and magnitudes were trained for, so that they mean something here. */
static int check_model(struct folding *folding, const char *directory, struct lf_error *error)
{
	struct lf_safetensors *file;
	uint32_t checksum, inputs, outputs;
	size_t largest = 0;
	float *values;
	int ret = lf_encoder_files(directory, &folding->config, &file, error);

	if (ret)
		return ret;
	for (uint32_t kind = 0; kind < LF_BLOCK_LINEARS; kind++) {
		lf_linear_shape(&folding->config, kind, &inputs, &outputs);
		largest = (size_t)inputs * outputs > largest ? (size_t)inputs * outputs : largest;
	}
	values = malloc(largest * sizeof(*values));
	ret = values ? lf_linears_checksum(file, &folding->config, values, &checksum, error)
		     : lf_error_set(error, -ENOMEM, "no memory for a layer of %zu weights",
				    largest);
	free(values);
	lf_safetensors_close(file);
	if (!ret && checksum != folding->fold->model_checksum)
		ret = lf_error_set(error, -EINVAL,
				   "model %s: its weights have checksum %08x, the adaptation was "
				   "trained with %08x",
				   directory, checksum, folding->fold->model_checksum);
	return ret;
}

static int check_pool(struct folding *folding, struct lf_error *error)
{
	const struct lf_fold *fold = folding->fold;
	const struct lf_module_set *set = &folding->set;
	size_t blocks = folding->config.num_hidden_layers;
	uint64_t rank = (uint64_t)set->rank * (fold->merge == LF_MERGE_SUM ? set->count : 1);
	size_t magnitudes = 0;

	if (set->checksum != fold->pool_checksum)
		return lf_error_set(error, -EINVAL,
				    "pool: these %u modules have checksum %08x, the adaptation was "
				    "trained with %08x",
				    set->count, set->checksum, fold->pool_checksum);
	for (uint32_t site = 0; site < set->site_count; site++)
		magnitudes += lf_adapter_layer_at(set->adapters[0], site)->outputs;
	if (fold->coefficient_count != blocks * set->count && fold->coefficient_count != set->count)
		return lf_error_set(error, -EINVAL,
				    "%zu coefficients, %u modules in %zu blocks need %zu or %u",
				    fold->coefficient_count, set->count, blocks,
				    blocks * set->count, set->count);
	if (fold->magnitudes && fold->magnitude_count != magnitudes)
		return lf_error_set(error, -EINVAL, "%zu magnitudes, the layers need %zu",
				    fold->magnitude_count, magnitudes);
	if (rank > LF_ADAPTER_MAX_RANK)
		return lf_error_set(
			error, -EINVAL,
			"%u modules of rank %u fold into rank %llu, an adapter has %d at "
			"most",
			set->count, set->rank, (unsigned long long)rank, LF_ADAPTER_MAX_RANK);
	folding->rank = (uint32_t)rank;
	return 0;
}

/* Each module's columns of the stacked B, in place. */
static void scale_modules(float *b, const struct lf_module_set *set, uint32_t outputs,
			  const float *coefficients)
{
	for (size_t o = 0; o < outputs; o++)
		for (uint32_t module = 0; module < set->count; module++)
			for (uint32_t k = 0; k < set->rank; k++)
				*b++ *= coefficients[module];
}

/* sum_i c_i A_i [r][inputs] from the stacked A [N r][inputs], in the order of the modules and in place. */
static void sum_a(float *a, const struct lf_module_set *set, uint32_t inputs,
		  const float *coefficients)
{
	size_t block = (size_t)set->rank * inputs;

	for (size_t at = 0; at < block; at++) {
		double sum = 0.0;

		for (uint32_t module = 0; module < set->count; module++)
			sum += (double)coefficients[module] * a[module * block + at];
		a[at] = (float)sum;
	}
}

/* sum_i c_i B_i [outputs][r] from the stacked B [outputs][N r], in place. */
static void sum_b(float *b, const struct lf_module_set *set, uint32_t outputs,
		  const float *coefficients)
{
	size_t width = (size_t)set->count * set->rank;

	for (size_t o = 0; o < outputs; o++)
		for (size_t k = 0; k < set->rank; k++) {
			double sum = 0.0;

			for (uint32_t module = 0; module < set->count; module++)
				sum += (double)coefficients[module] *
				       b[o * width + module * set->rank + k];
			b[o * set->rank + k] = (float)sum;
		}
}

static int fold_site(struct folding *folding, uint32_t site, const float *magnitudes,
		     struct lf_error *error)
{
	const struct lf_module_set *set = &folding->set;
	const struct lf_adapter_layer *first = lf_adapter_layer_at(set->adapters[0], site);
	const float *coefficients = folding->fold->coefficients;
	float *a = lf_module_set_a(set, site), *b = lf_module_set_b(set, site);

	folding->layers[site] = (struct lf_adapter_layer){ .path = first->path,
							   .inputs = first->inputs,
							   .outputs = first->outputs,
							   .rank = folding->rank,
							   .scale = 1.0f,
							   .a = a,
							   .b = b,
							   .magnitude = magnitudes };
	/* One a module and block, or one a module. */
	if (folding->fold->coefficient_count > set->count)
		coefficients += (size_t)(set->sites[site] / LF_BLOCK_LINEARS) * set->count;
	if (!a || !b)
		return lf_error_set(error, -ENOMEM, "no memory to fold %s", first->path);
	if (folding->fold->merge == LF_MERGE_SUM) {
		scale_modules(b, set, first->outputs, coefficients);
	} else {
		sum_a(a, set, first->inputs, coefficients);
		sum_b(b, set, first->outputs, coefficients);
	}
	return 0;
}

static int write_folded(const struct folding *folding, const char *directory,
			struct lf_error *error)
{
	uint32_t sites = folding->set.site_count;
	struct lf_adapter_description description = {
		.base_model = folding->fold->base_model,
		.rank = folding->rank,
		/* The scale of PEFT is alpha / rank: 1. */
		.alpha = (float)folding->rank,
		.dtype = folding->fold->dtype,
	};
	const char **targets = calloc(sites, sizeof(*targets));
	int ret;

	if (!targets)
		return lf_error_set(error, -ENOMEM, "no memory for %u layers", sites);
	/* Whole paths: the modules may leave some blocks out. */
	for (uint32_t site = 0; site < sites; site++)
		targets[site] = folding->layers[site].path;
	description.target_modules = targets;
	description.target_count = sites;
	ret = lf_adapter_write(directory, &description, folding->layers, sites, error);
	free(targets);
	return ret;
}

static int fold_sites(struct folding *folding, const char *directory, struct lf_folded *folded,
		      struct lf_error *error)
{
	uint32_t sites = folding->set.site_count;
	const float *magnitudes = folding->fold->magnitudes;
	struct lf_folded made = { .rank = folding->rank, .layers = sites };
	int ret = 0;

	folding->layers = calloc(sites, sizeof(*folding->layers));
	if (!folding->layers)
		return lf_error_set(error, -ENOMEM, "no memory for %u layers", sites);
	for (uint32_t site = 0; !ret && site < sites; site++) {
		const struct lf_adapter_layer *layer = &folding->layers[site];

		ret = fold_site(folding, site, magnitudes, error);
		made.numbers += (uint64_t)layer->rank * (layer->inputs + layer->outputs);
		if (magnitudes) {
			made.numbers += layer->outputs;
			magnitudes += layer->outputs;
		}
	}
	if (!ret)
		ret = write_folded(folding, directory, error);
	if (!ret && folded)
		*folded = made;
	for (uint32_t site = 0; site < sites; site++) {
		free((float *)folding->layers[site].a);
		free((float *)folding->layers[site].b);
	}
	free(folding->layers);
	return ret;
}

int lf_fold_write(const char *model, const struct lf_pool_modules *modules,
		  const struct lf_fold *fold, const char *directory, struct lf_folded *folded,
		  struct lf_error *error)
{
	struct folding folding = { .fold = fold };
	int ret;

	ret = check_model(&folding, model, error);
	if (!ret)
		ret = lf_module_set_read(&folding.set, &folding.config, modules, error);
	if (ret)
		return ret;
	ret = check_pool(&folding, error);
	if (!ret)
		ret = fold_sites(&folding, directory, folded, error);
	lf_module_set_release(&folding.set);
	return ret;
}
