// SPDX-License-Identifier: MIT
/*
 * LoRA and DoRA from a PEFT directory. A method has one rank, one scale and whole kinds of layers; an adapter may differ layer by
 * layer. What is smaller is filled up with rows of zero, scales go into B, and a layer the adapter leaves out keeps B at zero (and,
 * of DoRA, its magnitude at the norm of the frozen weight), so that the function is the adapter's in any case.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/lora.h"

/* The layers of the model as slots of an adapter; @paths is what they point into. */
static struct lf_adapter_slot *make_slots(const struct lf_bert_config *config,
					  char (*paths)[LF_LINEAR_PATH_BYTES])
{
	uint32_t linears = lf_bert_linears(config);
	struct lf_adapter_slot *slots = calloc(linears, sizeof(*slots));

	for (uint32_t index = 0; slots && index < linears; index++) {
		lf_linear_path(index, paths[index]);
		slots[index].path = paths[index];
		lf_linear_shape(config, index, &slots[index].inputs, &slots[index].outputs);
	}
	return slots;
}

/* What a method must have to hold all layers of the adapter. */
static struct lf_lora_options options_of(const struct lf_adapter *adapter,
					 char (*paths)[LF_LINEAR_PATH_BYTES], uint32_t linears)
{
	struct lf_lora_options options = { 0 };

	for (uint32_t index = 0; index < linears; index++) {
		const struct lf_adapter_layer *layer = lf_adapter_find(adapter, paths[index]);

		if (!layer)
			continue;
		options.targets |= 1u << index % LF_BLOCK_LINEARS;
		options.rank = layer->rank > options.rank ? layer->rank : options.rank;
	}
	options.alpha = options.rank;
	return options;
}

static void take_layer(struct lora *lora, const struct lf_site *site,
		       const struct lf_adapter_layer *layer)
{
	size_t rank = lora->options.rank, inputs = site->inputs;
	float *a = lora->method.groups[LORA_A].values + rank * site->first_input;
	float *b = lora->method.groups[LORA_B].values + rank * site->first_output;

	memset(a, 0, rank * inputs * sizeof(*a));
	memcpy(a, layer->a, layer->rank * inputs * sizeof(*a));
	for (size_t o = 0; o < site->outputs; o++)
		for (size_t k = 0; k < layer->rank; k++)
			b[o * rank + k] = layer->scale * layer->b[o * layer->rank + k];
	if (layer->magnitude)
		memcpy(lora->method.groups[LORA_GROUPS].values + site->first_output,
		       layer->magnitude, site->outputs * sizeof(float));
}

static int take_layers(struct lf_method *method, const struct lf_adapter *adapter,
		       char (*paths)[LF_LINEAR_PATH_BYTES], struct lf_error *error)
{
	struct lora *lora = (struct lora *)method;
	int ret;

	/* B zero, magnitudes the norms: what holds for layers that are not there. */
	ret = lf_method_start(method, 0, error);
	if (ret)
		return ret;
	for (uint32_t at = 0; at < lora->sites.count; at++) {
		const struct lf_site *site = &lora->sites.sites[at];
		const struct lf_adapter_layer *layer = lf_adapter_find(adapter, paths[site->index]);

		if (layer)
			take_layer(lora, site, layer);
	}
	return 0;
}

int lf_lora_read(struct lf_encoder *encoder, const char *directory, struct lf_method **method,
		 struct lf_error *error)
{
	uint32_t linears = lf_bert_linears(&encoder->config);
	char(*paths)[LF_LINEAR_PATH_BYTES] = calloc(linears, sizeof(*paths));
	struct lf_adapter_slot *slots = paths ? make_slots(&encoder->config, paths) : NULL;
	struct lf_adapter *adapter = NULL;
	struct lf_lora_options options;
	struct lf_method *made = NULL;
	int ret;

	ret = slots ? lf_adapter_read(&adapter, directory, slots, linears, 0, error)
		    : lf_error_set(error, -ENOMEM, "%s: no memory for %u layers", directory,
				   linears);
	if (!ret) {
		options = options_of(adapter, paths, linears);
		if (lf_adapter_layer_at(adapter, 0)->magnitude)
			ret = lf_dora_create(encoder, &options, &made, error);
		else
			ret = lf_lora_create(encoder, &options, &made, error);
	}
	if (!ret)
		ret = take_layers(made, adapter, paths, error);
	lf_adapter_free(adapter);
	free(slots);
	free(paths);
	return lf_method_created(ret, made, method);
}
