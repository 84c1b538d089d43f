// SPDX-License-Identifier: MIT
/* Writing PEFT adapters; see lf/adapter.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lf/adapter.h>

#include "runtime/io/adapter_config.h"
#include "runtime/io/adapter_format.h"
#include "runtime/io/file.h"
#include "runtime/io/float16.h"
#include "runtime/io/safetensors_format.h"
#include "runtime/io/text.h"

static bool is_target(const struct lf_adapter_description *description, const char *layer)
{
	for (size_t i = 0; i < description->target_count; i++) {
		if (lf_adapter_names_layer(description->target_modules[i], layer))
			return true;
	}
	return false;
}

static int check_description(const struct lf_adapter_description *description,
			     struct lf_error *error)
{
	if (description->rank == 0 || description->rank > LF_ADAPTER_MAX_RANK)
		return lf_error_set(error, -EINVAL, "rank is %u, must be between 1 and %d",
				    description->rank, LF_ADAPTER_MAX_RANK);
	if (!(description->alpha > 0) || !float_is_finite(description->alpha))
		return lf_error_set(error, -EINVAL, "alpha is %g, must be above 0",
				    (double)description->alpha);
	if (!lf_text_is_utf8(description->base_model, strlen(description->base_model)))
		return lf_error_set(error, -EINVAL, "name of the base model is not UTF-8");
	for (size_t i = 0; i < description->target_count; i++) {
		const char *target = description->target_modules[i];

		if (!lf_text_is_utf8(target, strlen(target)))
			return lf_error_set(error, -EINVAL, "target module %zu is not UTF-8", i);
	}
	return 0;
}

static int check_layers(const struct lf_adapter_description *description,
			const struct lf_adapter_layer *layers, size_t layer_count,
			struct lf_error *error)
{
	if (layer_count == 0)
		return lf_error_set(error, -EINVAL, "an adapter needs at least one layer");
	for (size_t i = 0; i < layer_count; i++) {
		const struct lf_adapter_layer *layer = &layers[i];

		if (strlen(layer->path) > LF_ADAPTER_MAX_PATH_BYTES)
			return lf_error_set(error, -EINVAL, "layer \"%.64s...\": name is too long",
					    layer->path);
		if (layer->rank != description->rank)
			return lf_error_set(error, -EINVAL,
					    "layer \"%s\" has rank %u, the adapter %u", layer->path,
					    layer->rank, description->rank);
		if (!is_target(description, layer->path))
			return lf_error_set(error, -EINVAL,
					    "layer \"%s\" is named by no target module",
					    layer->path);
		if (!layer->magnitude != !layers[0].magnitude)
			return lf_error_set(error, -EINVAL,
					    "layers \"%s\" and \"%s\": only one has magnitudes",
					    layers[0].path, layer->path);
	}
	return 0;
}

static int add_tensor(struct lf_safetensors_writer *writer, const char *layer, const char *suffix,
		      enum lf_dtype dtype, unsigned int rank, uint64_t rows, uint64_t columns,
		      const float *values, struct lf_error *error)
{
	const uint64_t shape[2] = { rows, columns };
	char key[LF_ADAPTER_KEY_BYTES];

	lf_adapter_key(key, layer, suffix);
	return lf_safetensors_writer_add(writer, key, dtype, rank, shape, values, error);
}

static int add_layers(struct lf_safetensors_writer *writer,
		      const struct lf_adapter_description *description,
		      const struct lf_adapter_layer *layers, size_t layer_count,
		      struct lf_error *error)
{
	enum lf_dtype dtype = description->dtype;
	int ret;

	/* transformers looks at this before it loads a file. */
	ret = lf_safetensors_writer_metadata(writer, "format", "pt", error);
	for (size_t i = 0; i < layer_count && !ret; i++) {
		const struct lf_adapter_layer *layer = &layers[i];

		ret = add_tensor(writer, layer->path, LF_ADAPTER_KEY_A, dtype, 2, layer->rank,
				 layer->inputs, layer->a, error);
		if (!ret)
			ret = add_tensor(writer, layer->path, LF_ADAPTER_KEY_B, dtype, 2,
					 layer->outputs, layer->rank, layer->b, error);
		if (!ret && layer->magnitude)
			ret = add_tensor(writer, layer->path, LF_ADAPTER_KEY_MAGNITUDE, dtype, 1,
					 layer->outputs, 0, layer->magnitude, error);
	}
	return ret;
}

/* One file on disk under a temporary name each. On failure there is nothing to discard. */
static int prepare_tensors(struct lf_file_writer *out, const char *path,
			   const struct lf_adapter_description *description,
			   const struct lf_adapter_layer *layers, size_t layer_count,
			   struct lf_error *error)
{
	struct lf_safetensors_writer *writer;
	int ret;

	ret = lf_safetensors_writer_new(&writer, error);
	if (ret)
		return ret;
	ret = add_layers(writer, description, layers, layer_count, error);
	if (!ret)
		ret = lf_safetensors_writer_prepare(writer, path, out, error);
	lf_safetensors_writer_free(writer);
	return ret;
}

static int prepare_config(struct lf_file_writer *out, const char *path,
			  const struct lf_adapter_description *description, bool use_dora,
			  struct lf_error *error)
{
	char *text = lf_adapter_config_format(description, use_dora);
	int ret;

	if (!text)
		return lf_error_set(error, -ENOMEM, "%s: no memory to write it", path);
	ret = lf_file_writer_open(out, path, error);
	if (!ret) {
		ret = lf_file_writer_write(out, text, strlen(text), error);
		if (!ret)
			ret = lf_file_writer_write(out, "\n", 1, error);
		if (!ret)
			ret = lf_file_writer_finish(out, error);
		if (ret)
			lf_file_writer_discard(out);
	}
	free(text);
	return ret;
}

/* The old configuration goes first and the new one comes last. */
static int exchange(struct lf_file_writer *tensors, struct lf_file_writer *config,
		    struct lf_error *error)
{
	int ret;

	if (unlink(config->path) < 0 && errno != ENOENT)
		return lf_error_set(error, -errno, "%s: cannot be replaced: %s", config->path,
				    strerror(errno));
	ret = lf_file_writer_publish(tensors, error);
	if (!ret)
		ret = lf_file_writer_publish(config, error);
	return ret;
}

static int write_files(const char *config_path, const char *tensors_path,
		       const struct lf_adapter_description *description,
		       const struct lf_adapter_layer *layers, size_t layer_count,
		       struct lf_error *error)
{
	struct lf_file_writer tensors, config;
	int ret;

	ret = prepare_tensors(&tensors, tensors_path, description, layers, layer_count, error);
	if (ret)
		return ret;
	ret = prepare_config(&config, config_path, description, layers[0].magnitude != NULL, error);
	if (!ret) {
		ret = exchange(&tensors, &config, error);
		lf_file_writer_discard(&config);
	}
	lf_file_writer_discard(&tensors);
	return ret;
}

int lf_adapter_write(const char *directory, const struct lf_adapter_description *description,
		     const struct lf_adapter_layer *layers, size_t layer_count,
		     struct lf_error *error)
{
	char *config_path = NULL, *tensors_path = NULL;
	int ret;

	ret = check_description(description, error);
	if (!ret)
		ret = check_layers(description, layers, layer_count, error);
	if (ret)
		return lf_error_prefix(error, ret, "%s", directory);
	if (mkdir(directory, 0777) < 0 && errno != EEXIST)
		return lf_error_set(error, -errno, "%s: cannot be made: %s", directory,
				    strerror(errno));
	ret = lf_file_join(&config_path, directory, LF_ADAPTER_CONFIG_FILE, error);
	if (!ret)
		ret = lf_file_join(&tensors_path, directory, LF_ADAPTER_TENSORS_FILE, error);
	if (!ret)
		ret = write_files(config_path, tensors_path, description, layers, layer_count,
				  error);
	free(config_path);
	free(tensors_path);
	return ret;
}
