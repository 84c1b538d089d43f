/* SPDX-License-Identifier: MIT */
/*
 * LoRA adapters as PEFT stores them: a folder with adapter_config.json and
 * adapter_model.safetensors, read and written. What is done with the matrices (fused, trained,
 * programmed) is not decided here.
 */
#ifndef LF_ADAPTER_H
#define LF_ADAPTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>
#include <lf/safetensors.h>

#define LF_ADAPTER_MAX_RANK	  1024
#define LF_ADAPTER_MAX_PATH_BYTES 191

/**
 * struct lf_adapter_slot - a linear layer of a model that an adapter may change
 * @path: dotted name in the model, e.g. "encoder.layer.0.attention.self.query"; at most
 *	LF_ADAPTER_MAX_PATH_BYTES
 * @inputs: columns of its weight
 * @outputs: rows of its weight
 * @required: an adapter without this layer is refused
 */
struct lf_adapter_slot {
	const char *path;
	uint32_t inputs;
	uint32_t outputs;
	bool required;
};

/**
 * struct lf_adapter_layer - the change an adapter makes to one layer
 * @path: dotted name of the layer in the model
 * @inputs: columns of @a
 * @outputs: rows of @b
 * @rank: rows of @a, columns of @b
 * @scale: factor of B A: alpha / rank, or alpha / sqrt(rank) with rsLoRA
 * @a: [rank, inputs]
 * @b: [outputs, rank]
 * @magnitude: [outputs] DoRA magnitudes, NULL without DoRA
 */
struct lf_adapter_layer {
	const char *path;
	uint32_t inputs;
	uint32_t outputs;
	uint32_t rank;
	float scale;
	const float *a;
	const float *b;
	const float *magnitude;
};

struct lf_adapter;

/**
 * lf_adapter_read() - read a PEFT adapter for a given model
 * @adapter: receives the adapter, freed with lf_adapter_free(); untouched on failure
 * @directory: folder of the adapter
 * @slots: [@slot_count] the linear layers of the model
 * @slot_count: their number
 * @rank: rank every layer must have, 0 for any
 * @error: names the file, the field or layer, and what was expected; may be NULL
 *
 * Refused are: pickles, anything but LoRA and DoRA, layers the model lacks, layers whose shape
 * differs from the slot, required slots and slots matching target_modules that the file lacks,
 * tensors that belong to no layer, values that are not finite, and features that would change the
 * result if they were ignored (trained biases, saved modules, base weights that were changed).
 *
 * Layers come in the order of @slots; their paths are copies.
 *
 * Return: 0, -ENOENT for something missing, -EINVAL, -EDOM, -ENOTSUP, -ENOMEM, or what open
 * fails with.
 */
int lf_adapter_read(struct lf_adapter **adapter, const char *directory,
		    const struct lf_adapter_slot *slots, size_t slot_count, uint32_t rank,
		    struct lf_error *error);

/**
 * lf_adapter_free() - free an adapter and all of its matrices
 * @adapter: an adapter or NULL
 */
void lf_adapter_free(struct lf_adapter *adapter);

/**
 * lf_adapter_layer_count() - number of layers an adapter changes
 * @adapter: an adapter
 *
 * Return: the number, at least 1.
 */
size_t lf_adapter_layer_count(const struct lf_adapter *adapter);

/**
 * lf_adapter_layer_at() - one of the layers
 * @adapter: an adapter
 * @index: 0 to lf_adapter_layer_count() - 1
 *
 * Return: the layer, owned by @adapter.
 */
const struct lf_adapter_layer *lf_adapter_layer_at(const struct lf_adapter *adapter, size_t index);

/**
 * lf_adapter_find() - a layer by name
 * @adapter: an adapter
 * @path: dotted name in the model
 *
 * Return: the layer, owned by @adapter, or NULL when it is not changed.
 */
const struct lf_adapter_layer *lf_adapter_find(const struct lf_adapter *adapter, const char *path);

/**
 * struct lf_adapter_description - what a written adapter says about itself
 * @base_model: name of the model it belongs to, for PEFT's base_model_name_or_path
 * @target_modules: [@target_count] last parts of the layers' paths, e.g. "query"
 * @target_count: their number
 * @rank: rank of every layer
 * @alpha: lora_alpha; the scale becomes alpha / rank, or alpha / sqrt(rank)
 * @use_rslora: scale by the square root
 * @dtype: LF_DTYPE_F32, or LF_DTYPE_F16 rounded half to even
 *
 * DoRA is declared when the layers have magnitudes.
 */
struct lf_adapter_description {
	const char *base_model;
	const char *const *target_modules;
	size_t target_count;
	uint32_t rank;
	float alpha;
	bool use_rslora;
	enum lf_dtype dtype;
};

/**
 * lf_adapter_write() - write a folder that PEFT and lf_adapter_read() load
 * @directory: folder, made when it does not exist (its parent must)
 * @description: see there
 * @layers: [@layer_count] matrices; @scale is not written, it follows from @description
 * @layer_count: at least 1
 * @error: names the file or layer; may be NULL
 *
 * Both files are on disk before either is put in place, and the folder is without a configuration
 * while they are exchanged: a reader never sees the one with the other's predecessor.
 *
 * Return: 0, -EINVAL for layers that differ from @description or have magnitudes only in part,
 * -EDOM for values that are not finite or do not fit the type, -ENOMEM, or what mkdir, open,
 * write, fsync and rename fail with.
 */
int lf_adapter_write(const char *directory, const struct lf_adapter_description *description,
		     const struct lf_adapter_layer *layers, size_t layer_count,
		     struct lf_error *error);

#endif
