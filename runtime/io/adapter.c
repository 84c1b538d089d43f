// SPDX-License-Identifier: MIT
/*
 * Reading PEFT adapters: the configuration first, then every tensor of the file is given to a
 * layer of the model or refused; see lf/adapter.h. adapter_writer.c is the other direction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lf/adapter.h>

#include "runtime/io/adapter_config.h"
#include "runtime/io/adapter_format.h"
#include "runtime/io/file.h"
#include "runtime/io/json.h"

struct lf_adapter {
	size_t count;
	struct lf_adapter_layer *layers; /* own what they point at */
};

/* What is at hand while an adapter is being read. */
struct reading {
	const char *path; /* of the tensors' file, for messages */
	const char *config_path;
	struct lf_safetensors *file;
	struct lf_adapter_config config;
	uint32_t wanted_rank;
	size_t tensors_used;
};

/* Pickles can run code when they are loaded: say so instead of "no such file". */
static int refuse_pickle(const char *directory, struct lf_error *error)
{
	static const char *const names[] = { "adapter_model.bin", "adapter_model.pt",
					     "adapter_model.pkl", "pytorch_model.bin" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path;
		int found, ret;

		ret = lf_file_join(&path, directory, names[i], error);
		if (ret)
			return ret;
		found = access(path, F_OK) == 0;
		free(path);
		if (found)
			return lf_error_set(
				error, -EINVAL,
				"%s/%s: is a Python pickle, which can run code; convert it to "
				"adapter_model.safetensors",
				directory, names[i]);
	}
	return lf_error_set(error, -ENOENT, "%s: has no adapter_model.safetensors", directory);
}

static int check_directory(const char *directory, const char *tensors_path, struct lf_error *error)
{
	struct stat status;

	if (stat(directory, &status) < 0)
		return lf_error_set(error, -errno, "%s: cannot be opened: %s", directory,
				    strerror(errno));
	if (!S_ISDIR(status.st_mode))
		return lf_error_set(error, -ENOTDIR,
				    "%s: is not a folder with adapter_config.json and "
				    "adapter_model.safetensors",
				    directory);
	if (access(tensors_path, F_OK) < 0)
		return refuse_pickle(directory, error);
	return 0;
}

void lf_adapter_key(char key[LF_ADAPTER_KEY_BYTES], const char *layer, const char *suffix)
{
	snprintf(key, LF_ADAPTER_KEY_BYTES, LF_ADAPTER_KEY_PREFIX "%s%s", layer, suffix);
}

/* Copy one tensor of a layer out. */
static int read_matrix(struct reading *reading, const char *layer, const char *suffix,
		       unsigned int rank, uint64_t rows, uint64_t columns, const float **matrix,
		       struct lf_error *error)
{
	const uint64_t shape[2] = { rows, columns };
	const size_t elements = (size_t)(rows * (rank == 2 ? columns : 1));
	char key[LF_ADAPTER_KEY_BYTES];
	float *values = NULL;
	int ret;

	lf_adapter_key(key, layer, suffix);
	/* The file says how large the tensor is: nothing is reserved for a wrong one. */
	ret = lf_safetensors_check_shape(reading->file, key, rank, shape, error);
	if (!ret) {
		values = malloc(elements * sizeof(*values));
		if (!values)
			ret = lf_error_set(error, -ENOMEM, "%s: no memory for \"%s\"",
					   reading->path, key);
	}
	if (!ret)
		ret = lf_safetensors_read_f32(reading->file, key, rank, shape, values, error);
	if (ret) {
		free(values);
		return ret;
	}
	*matrix = values;
	reading->tensors_used++;
	return 0;
}

static bool has_tensor(const struct reading *reading, const char *layer, const char *suffix)
{
	char key[LF_ADAPTER_KEY_BYTES];

	lf_adapter_key(key, layer, suffix);
	return lf_safetensors_find(reading->file, key) != NULL;
}

static void free_layer(struct lf_adapter_layer *layer)
{
	free((char *)layer->path);
	free((float *)layer->a);
	free((float *)layer->b);
	free((float *)layer->magnitude);
}

/* Fill in a layer; what it holds so far is freed by the caller in any case. */
static int read_layer(struct lf_adapter_layer *layer, struct reading *reading,
		      const struct lf_adapter_slot *slot, struct lf_error *error)
{
	/* Newer versions of PEFT wrap the magnitude in a module, whose weight it then is. */
	const char *magnitude = has_tensor(reading, slot->path, LF_ADAPTER_KEY_MAGNITUDE)
					? LF_ADAPTER_KEY_MAGNITUDE
					: LF_ADAPTER_KEY_MAGNITUDE ".weight";
	int ret;

	layer->path = strdup(slot->path);
	if (!layer->path)
		return lf_error_set(error, -ENOMEM, "%s: no memory for layer \"%s\"", reading->path,
				    slot->path);
	layer->inputs = slot->inputs;
	layer->outputs = slot->outputs;
	ret = lf_adapter_config_layer(&reading->config, slot->path, &layer->rank, &layer->scale,
				      reading->config_path, error);
	if (ret)
		return ret;
	if (reading->wanted_rank && layer->rank != reading->wanted_rank)
		return lf_error_set(error, -EINVAL, "%s: layer \"%s\" has rank %u, expected %u",
				    reading->config_path, slot->path, layer->rank,
				    reading->wanted_rank);
	ret = read_matrix(reading, slot->path, LF_ADAPTER_KEY_A, 2, layer->rank, layer->inputs,
			  &layer->a, error);
	if (!ret)
		ret = read_matrix(reading, slot->path, LF_ADAPTER_KEY_B, 2, layer->outputs,
				  layer->rank, &layer->b, error);
	if (!ret && reading->config.use_dora)
		ret = read_matrix(reading, slot->path, magnitude, 1, layer->outputs, 0,
				  &layer->magnitude, error);
	return ret;
}

/* Does the file hold anything of this layer, whole or not? */
static bool mentions(const struct reading *reading, const char *layer)
{
	return has_tensor(reading, layer, LF_ADAPTER_KEY_A) ||
	       has_tensor(reading, layer, LF_ADAPTER_KEY_B);
}

static bool belongs_to(const char *key, const char *layer, const char *suffix)
{
	const size_t prefix_bytes = sizeof(LF_ADAPTER_KEY_PREFIX) - 1;
	const size_t layer_bytes = strlen(layer);

	return strncmp(key, LF_ADAPTER_KEY_PREFIX, prefix_bytes) == 0 &&
	       strncmp(key + prefix_bytes, layer, layer_bytes) == 0 &&
	       strcmp(key + prefix_bytes + layer_bytes, suffix) == 0;
}

/* A tensor was left over: find it and say what is wrong with it. */
static int refuse_stranger(const struct lf_adapter *adapter, const struct reading *reading,
			   struct lf_error *error)
{
	for (size_t i = 0; i < lf_safetensors_count(reading->file); i++) {
		const char *key = lf_safetensors_at(reading->file, i)->name;
		bool known = false;

		for (size_t j = 0; j < adapter->count && !known; j++) {
			const char *layer = adapter->layers[j].path;

			known = belongs_to(key, layer, LF_ADAPTER_KEY_A) ||
				belongs_to(key, layer, LF_ADAPTER_KEY_B);
			if (!known && reading->config.use_dora)
				known = belongs_to(key, layer, LF_ADAPTER_KEY_MAGNITUDE) ||
					belongs_to(key, layer, LF_ADAPTER_KEY_MAGNITUDE ".weight");
		}
		if (!known)
			return lf_error_set(
				error, -EINVAL,
				"%s: tensor \"%s\" belongs to no layer of the model that it could "
				"adapt",
				reading->path, key);
	}
	return lf_error_set(error, -EINVAL, "%s: a layer's magnitude is there twice",
			    reading->path);
}

static int read_layers(struct lf_adapter *adapter, struct reading *reading,
		       const struct lf_adapter_slot *slots, size_t slot_count,
		       struct lf_error *error)
{
	adapter->layers = calloc(slot_count ? slot_count : 1, sizeof(*adapter->layers));
	if (!adapter->layers)
		return lf_error_set(error, -ENOMEM, "%s: no memory for %zu layers", reading->path,
				    slot_count);
	for (size_t i = 0; i < slot_count; i++) {
		const struct lf_adapter_slot *slot = &slots[i];
		int ret;

		if (strlen(slot->path) > LF_ADAPTER_MAX_PATH_BYTES)
			return lf_error_set(error, -EINVAL, "layer \"%.64s...\": name is too long",
					    slot->path);
		if (!slot->required && !mentions(reading, slot->path) &&
		    !lf_adapter_config_targets(&reading->config, slot->path))
			continue;
		ret = read_layer(&adapter->layers[adapter->count++], reading, slot, error);
		if (ret)
			return ret;
	}
	if (reading->tensors_used != lf_safetensors_count(reading->file))
		return refuse_stranger(adapter, reading, error);
	if (adapter->count == 0)
		return lf_error_set(error, -EINVAL, "%s: adapts no layer", reading->path);
	return 0;
}

static int read_files(struct lf_adapter **adapter, struct reading *reading, const char *directory,
		      const struct lf_adapter_slot *slots, size_t slot_count,
		      struct lf_error *error)
{
	struct lf_adapter *opened;
	int ret;

	ret = check_directory(directory, reading->path, error);
	if (!ret)
		ret = lf_adapter_config_read(&reading->config, reading->config_path, error);
	if (!ret)
		ret = lf_safetensors_open(&reading->file, reading->path, error);
	if (ret)
		return ret;
	opened = calloc(1, sizeof(*opened));
	if (!opened)
		return lf_error_set(error, -ENOMEM, "%s: no memory for an adapter", directory);
	ret = read_layers(opened, reading, slots, slot_count, error);
	if (ret)
		lf_adapter_free(opened);
	else
		*adapter = opened;
	return ret;
}

int lf_adapter_read(struct lf_adapter **adapter, const char *directory,
		    const struct lf_adapter_slot *slots, size_t slot_count, uint32_t rank,
		    struct lf_error *error)
{
	struct reading reading = { .wanted_rank = rank };
	char *config_path = NULL, *tensors_path = NULL;
	int ret;

	ret = lf_file_join(&config_path, directory, LF_ADAPTER_CONFIG_FILE, error);
	if (!ret)
		ret = lf_file_join(&tensors_path, directory, LF_ADAPTER_TENSORS_FILE, error);
	if (!ret) {
		reading.path = tensors_path;
		reading.config_path = config_path;
		ret = read_files(adapter, &reading, directory, slots, slot_count, error);
	}
	lf_safetensors_close(reading.file);
	lf_adapter_config_free(&reading.config);
	free(config_path);
	free(tensors_path);
	return ret;
}

void lf_adapter_free(struct lf_adapter *adapter)
{
	if (!adapter)
		return;
	for (size_t i = 0; i < adapter->count; i++)
		free_layer(&adapter->layers[i]);
	free(adapter->layers);
	free(adapter);
}

size_t lf_adapter_layer_count(const struct lf_adapter *adapter)
{
	return adapter->count;
}

const struct lf_adapter_layer *lf_adapter_layer_at(const struct lf_adapter *adapter, size_t index)
{
	return &adapter->layers[index];
}

const struct lf_adapter_layer *lf_adapter_find(const struct lf_adapter *adapter, const char *path)
{
	for (size_t i = 0; i < adapter->count; i++) {
		if (strcmp(adapter->layers[i].path, path) == 0)
			return &adapter->layers[i];
	}
	return NULL;
}
