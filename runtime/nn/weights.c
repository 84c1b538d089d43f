// SPDX-License-Identifier: MIT
/* The encoder's weights: from the model's files to crossbars once, and to the host's memory at every opening. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/crc32c.h"
#include "runtime/nn/deployment.h"
#include "runtime/nn/encoder.h"

/* A model's name, ".m" and eight hexadecimal digits. */
#define MATRIX_PREFIX_BYTES (LF_ENCODER_NAME_BYTES + 10)

static const char *const linear_names[LF_BLOCK_LINEARS] = {
	[LF_LINEAR_QUERY] = "attention.self.query",
	[LF_LINEAR_KEY] = "attention.self.key",
	[LF_LINEAR_VALUE] = "attention.self.value",
	[LF_LINEAR_ATTENTION_OUTPUT] = "attention.output.dense",
	[LF_LINEAR_INTERMEDIATE] = "intermediate.dense",
	[LF_LINEAR_OUTPUT] = "output.dense",
};

uint32_t lf_bert_linears(const struct lf_bert_config *config)
{
	return config->num_hidden_layers * LF_BLOCK_LINEARS;
}

void lf_linear_path(uint32_t index, char path[LF_LINEAR_PATH_BYTES])
{
	snprintf(path, LF_LINEAR_PATH_BYTES, "encoder.layer.%u.%s", index / LF_BLOCK_LINEARS,
		 linear_names[index % LF_BLOCK_LINEARS]);
}

void lf_linear_matrix_name(const char *prefix, uint32_t index, char matrix[LF_NAME_BYTES])
{
	snprintf(matrix, LF_NAME_BYTES, "%s/layer.%u.%s", prefix, index / LF_BLOCK_LINEARS,
		 linear_names[index % LF_BLOCK_LINEARS]);
}

void lf_linear_shape(const struct lf_bert_config *config, uint32_t index, uint32_t *inputs,
		     uint32_t *outputs)
{
	enum lf_block_linear kind = index % LF_BLOCK_LINEARS;

	*inputs = kind == LF_LINEAR_OUTPUT ? config->intermediate_size : config->hidden_size;
	*outputs = kind == LF_LINEAR_INTERMEDIATE ? config->intermediate_size : config->hidden_size;
}

int lf_linear_read(const struct lf_safetensors *file, const struct lf_bert_config *config,
		   uint32_t index, float *values, struct lf_error *error)
{
	char tensor[LF_LINEAR_PATH_BYTES + 8];
	char path[LF_LINEAR_PATH_BYTES];
	uint32_t inputs, outputs;

	lf_linear_shape(config, index, &inputs, &outputs);
	lf_linear_path(index, path);
	snprintf(tensor, sizeof(tensor), "%s.weight", path);
	return lf_safetensors_read_f32(file, tensor, 2, (uint64_t[]){ outputs, inputs }, values,
				       error);
}

/* The bias of a linear layer, [outputs]. */
static int read_bias(const struct lf_safetensors *file, const struct lf_bert_config *config,
		     uint32_t index, float *values, struct lf_error *error)
{
	char tensor[LF_LINEAR_PATH_BYTES + 8];
	char path[LF_LINEAR_PATH_BYTES];
	uint32_t inputs, outputs;

	lf_linear_shape(config, index, &inputs, &outputs);
	lf_linear_path(index, path);
	snprintf(tensor, sizeof(tensor), "%s.bias", path);
	return lf_safetensors_read_f32(file, tensor, 1, (uint64_t[]){ outputs }, values, error);
}

/* Numbers of the largest linear layer. */
static size_t largest_weight(const struct lf_bert_config *config)
{
	size_t hidden = config->hidden_size;

	return hidden * (config->intermediate_size > hidden ? config->intermediate_size : hidden);
}

int lf_encoder_files(const char *directory, struct lf_bert_config *config,
		     struct lf_safetensors **file, struct lf_error *error)
{
	struct lf_model_config model;
	char path[1024];
	int ret;

	ret = lf_model_config_read(&model, directory, error);
	if (ret)
		return ret;
	if (model.family != LF_MODEL_BERT || model.bert.hidden_act != LF_ACTIVATION_GELU)
		return lf_error_set(error, -ENOTSUP,
				    "%s/config.json: only BERT-type encoders with the gelu "
				    "activation can be deployed",
				    directory);
	*config = model.bert;
	if ((size_t)snprintf(path, sizeof(path), "%s/model.safetensors", directory) >= sizeof(path))
		return lf_error_set(error, -ENAMETOOLONG, "model directory: path too long");
	return lf_safetensors_open(file, path, error);
}

static int check_name(const char *name, struct lf_error *error)
{
	size_t length = strlen(name);

	if (!length || length >= LF_ENCODER_NAME_BYTES ||
	    strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") !=
		    length)
		return lf_error_set(error, -EINVAL, "model name '%s': 1 to %d of A-Z a-z 0-9 . _ -",
				    name, LF_ENCODER_NAME_BYTES - 1);
	return 0;
}

int lf_linears_checksum(const struct lf_safetensors *file, const struct lf_bert_config *config,
			float *values, uint32_t *checksum, struct lf_error *error)
{
	struct lf_crc32c crc;
	uint32_t inputs, outputs;

	lf_crc32c_start(&crc);
	for (uint32_t index = 0; index < lf_bert_linears(config); index++) {
		int ret = lf_linear_read(file, config, index, values, error);

		if (ret)
			return ret;
		lf_linear_shape(config, index, &inputs, &outputs);
		lf_crc32c_add(&crc, values, (size_t)inputs * outputs * sizeof(*values));
	}
	*checksum = lf_crc32c_value(&crc);
	return 0;
}

/* What the names of a model's matrices begin with: the name it is deployed under, and which weights they are. */
static void matrix_prefix(const char *name, uint32_t checksum, char prefix[MATRIX_PREFIX_BYTES])
{
	snprintf(prefix, MATRIX_PREFIX_BYTES, "%s.m%08x", name, checksum);
}

/* One vector or matrix of the file into the next free floats of @cursor. */
static int take(const struct lf_safetensors *file, const char *tensor, uint64_t rows,
		uint64_t columns, float **cursor, const float **where, struct lf_error *error)
{
	uint64_t shape[2] = { rows ? rows : columns, columns };
	int ret;

	ret = lf_safetensors_read_f32(file, tensor, rows ? 2 : 1, shape, *cursor, error);
	if (ret)
		return ret;
	*where = *cursor;
	*cursor += (rows ? rows : 1) * columns;
	return 0;
}

static int take_norm(const struct lf_safetensors *file, const char *prefix, uint32_t hidden,
		     float **cursor, struct lf_norm *norm, struct lf_error *error)
{
	char tensor[LF_LINEAR_PATH_BYTES + 32];
	int ret;

	snprintf(tensor, sizeof(tensor), "%s.LayerNorm.weight", prefix);
	ret = take(file, tensor, 0, hidden, cursor, &norm->gamma, error);
	if (ret)
		return ret;
	snprintf(tensor, sizeof(tensor), "%s.LayerNorm.bias", prefix);
	return take(file, tensor, 0, hidden, cursor, &norm->beta, error);
}

static int load_host_weights(struct lf_encoder *encoder, const struct lf_safetensors *file,
			     struct lf_error *error)
{
	const struct lf_bert_config *config = &encoder->config;
	size_t hidden = config->hidden_size;
	size_t rows = (size_t)config->vocab_size + config->max_position_embeddings +
		      config->type_vocab_size + 2 + 4 * (size_t)config->num_hidden_layers;
	char prefix[LF_LINEAR_PATH_BYTES];
	const float *types;
	float *cursor, *positions;
	int ret;

	encoder->host_weights = malloc(rows * hidden * sizeof(float));
	encoder->norms = calloc(2 * (size_t)config->num_hidden_layers, sizeof(*encoder->norms));
	if (!encoder->host_weights || !encoder->norms)
		return lf_error_set(error, -ENOMEM, "no memory for the embeddings");
	cursor = encoder->host_weights;
	ret = take(file, "embeddings.word_embeddings.weight", config->vocab_size, hidden, &cursor,
		   &encoder->words, error);
	positions = cursor;
	if (!ret)
		ret = take(file, "embeddings.position_embeddings.weight",
			   config->max_position_embeddings, hidden, &cursor, &encoder->positions,
			   error);
	if (!ret)
		ret = take(file, "embeddings.token_type_embeddings.weight", config->type_vocab_size,
			   hidden, &cursor, &types, error);
	if (!ret)
		ret = take_norm(file, "embeddings", config->hidden_size, &cursor,
				&encoder->embedding_norm, error);
	for (uint32_t block = 0; !ret && block < config->num_hidden_layers; block++) {
		struct lf_norm *norms = &encoder->norms[2 * block];

		snprintf(prefix, sizeof(prefix), "encoder.layer.%u.attention.output", block);
		ret = take_norm(file, prefix, config->hidden_size, &cursor, &norms[0], error);
		snprintf(prefix, sizeof(prefix), "encoder.layer.%u.output", block);
		if (!ret)
			ret = take_norm(file, prefix, config->hidden_size, &cursor, &norms[1],
					error);
	}
	if (ret)
		return ret;
	/* A single sentence is all of type 0, whose embedding can be added once and for all. */
	for (size_t position = 0; position < config->max_position_embeddings; position++)
		encoder->simd->add(positions + position * hidden, positions + position * hidden,
				   types, hidden);
	return 0;
}

/* Everything that opening will read from the file besides the weights of the linear layers. */
static int check_host_weights(const struct lf_safetensors *file,
			      const struct lf_bert_config *config, const struct lf_simd_ops *simd,
			      struct lf_error *error)
{
	struct lf_encoder encoder = { .config = *config, .simd = simd };
	uint32_t widest = config->intermediate_size > config->hidden_size
				  ? config->intermediate_size
				  : config->hidden_size;
	float *bias = malloc(widest * sizeof(*bias));
	int ret;

	ret = bias ? load_host_weights(&encoder, file, error)
		   : lf_error_set(error, -ENOMEM, "no memory for a bias");
	for (uint32_t index = 0; !ret && index < lf_bert_linears(config); index++)
		ret = read_bias(file, config, index, bias, error);
	free(encoder.host_weights);
	free(encoder.norms);
	free(bias);
	return ret;
}

int lf_encoder_stage(struct lf_deployment *deployment, const char *directory, const char *name,
		     uint32_t format, struct lf_error *error)
{
	const struct lf_simd_ops *simd;
	struct lf_safetensors *file;
	struct lf_bert_config config;
	char prefix[MATRIX_PREFIX_BYTES], matrix[LF_NAME_BYTES];
	float *values = NULL;
	uint32_t checksum;
	int ret;

	ret = check_name(name, error);
	if (!ret)
		ret = lf_simd_ops_choose(NULL, &simd, error);
	if (!ret)
		ret = lf_encoder_files(directory, &config, &file, error);
	if (ret)
		return ret;
	ret = check_host_weights(file, &config, simd, error);
	if (!ret) {
		values = malloc(largest_weight(&config) * sizeof(*values));
		if (!values)
			ret = lf_error_set(error, -ENOMEM, "no memory for a weight of %s",
					   directory);
	}
	if (!ret)
		ret = lf_linears_checksum(file, &config, values, &checksum, error);
	if (!ret)
		matrix_prefix(name, checksum, prefix);
	for (uint32_t index = 0; !ret && index < lf_bert_linears(&config); index++) {
		struct lf_weight weight;
		uint32_t inputs, outputs;

		lf_linear_shape(&config, index, &inputs, &outputs);
		lf_linear_matrix_name(prefix, index, matrix);
		ret = lf_linear_read(file, &config, index, values, error);
		if (!ret)
			ret = lf_weight_create(&weight, values, outputs, inputs, format, simd,
					       error);
		if (!ret)
			ret = lf_deployment_add(deployment, matrix, &weight, error);
		else
			lf_error_prefix(error, ret, "%s", matrix);
	}
	free(values);
	lf_safetensors_close(file);
	return ret;
}

int lf_encoder_deploy(struct lf_device *device, const char *directory, const char *name,
		      uint32_t mode, lf_progress progress, void *argument,
		      struct lf_counters *counters, struct lf_error *error)
{
	const struct lf_deployment_target target = { device, mode, progress, argument, counters };
	struct lf_deployment deployment = { 0 };
	int ret;

	ret = lf_encoder_stage(&deployment, directory, name, lf_device_weight_format(device),
			       error);
	if (!ret)
		ret = lf_deployment_run(&deployment, &target, error);
	lf_deployment_release(&deployment);
	return ret;
}

/* Bytes of the scales and biases of all layers. */
static size_t constants_bytes(const struct lf_bert_config *config)
{
	uint32_t inputs, outputs;
	size_t floats = 0;

	for (uint32_t index = 0; index < lf_bert_linears(config); index++) {
		lf_linear_shape(config, index, &inputs, &outputs);
		floats += 2 * (size_t)outputs;
	}
	return floats * sizeof(float);
}

/* Opens the matrix of a layer and puts its scale and bias at @offset of the constants. */
static int load_linear(struct lf_encoder *encoder, const struct lf_safetensors *file,
		       uint32_t index, float *values, size_t offset, struct lf_error *error)
{
	char prefix[MATRIX_PREFIX_BYTES];
	struct lf_linear *linear = &encoder->linears[index];
	float *scale = (float *)((char *)lf_buffer_data(encoder->constants) + offset);
	char matrix[LF_NAME_BYTES];
	uint32_t inputs, outputs;
	int ret;

	lf_linear_shape(&encoder->config, index, &inputs, &outputs);
	matrix_prefix(encoder->name, encoder->checksum, prefix);
	lf_linear_matrix_name(prefix, index, matrix);
	ret = lf_linear_open(linear, encoder->device, matrix, inputs, outputs, error);
	if (ret == -ENOENT)
		return lf_error_set(error, ret,
				    "not deployed with these weights: there is no matrix \"%s\"",
				    matrix);
	if (ret)
		return ret;
	ret = read_bias(file, &encoder->config, index, scale + outputs, error);
	if (!ret)
		ret = lf_linear_read(file, &encoder->config, index, values, error);
	if (ret)
		return ret;
	lf_weight_scales(scale, values, outputs, inputs, encoder->simd);
	if (lf_device_weight_format(encoder->device) == LF_FORMAT_INT8)
		linear->scale = lf_view_buffer(encoder->constants, offset, 0);
	linear->bias = lf_view_buffer(encoder->constants, offset + outputs * sizeof(float), 0);
	return 0;
}

int lf_encoder_load(struct lf_encoder *encoder, struct lf_error *error)
{
	struct lf_bert_config *config = &encoder->config;
	struct lf_safetensors *file;
	size_t offset = 0;
	float *values = NULL;
	int ret;

	ret = check_name(encoder->name, error);
	if (!ret)
		ret = lf_encoder_files(encoder->directory, config, &file, error);
	if (ret)
		return ret;
	ret = load_host_weights(encoder, file, error);
	if (ret)
		goto out;
	values = malloc(largest_weight(config) * sizeof(*values));
	encoder->linears = calloc(lf_bert_linears(config), sizeof(*encoder->linears));
	if (!values || !encoder->linears) {
		ret = lf_error_set(error, -ENOMEM, "no memory for %u linear layers",
				   lf_bert_linears(config));
		goto out;
	}
	ret = lf_linears_checksum(file, config, values, &encoder->checksum, error);
	if (!ret)
		ret = lf_buffer_create(encoder->device, constants_bytes(config),
				       &encoder->constants, error);
	for (uint32_t index = 0; !ret && index < lf_bert_linears(config); index++) {
		ret = load_linear(encoder, file, index, values, offset, error);
		offset += 2 * encoder->linears[index].outputs * sizeof(float);
	}
out:
	free(values);
	lf_safetensors_close(file);
	return ret ? lf_error_prefix(error, ret, "model %s", encoder->name) : 0;
}

int lf_encoder_weight(const struct lf_encoder *encoder, uint32_t index, float *values,
		      struct lf_error *error)
{
	struct lf_bert_config config;
	struct lf_safetensors *file;
	struct lf_weight weight;
	uint32_t inputs, outputs;
	int ret;

	ret = lf_encoder_files(encoder->directory, &config, &file, error);
	if (ret)
		return ret;
	lf_linear_shape(&config, index, &inputs, &outputs);
	ret = lf_linear_read(file, &config, index, values, error);
	lf_safetensors_close(file);
	if (!ret)
		ret = lf_weight_create(&weight, values, outputs, inputs,
				       lf_device_weight_format(encoder->device), encoder->simd,
				       error);
	if (ret)
		return ret;
	lf_weight_values(&weight, values);
	lf_weight_release(&weight);
	return 0;
}

void lf_encoder_unload(struct lf_encoder *encoder)
{
	if (encoder->linears)
		for (uint32_t index = 0; index < lf_bert_linears(&encoder->config); index++)
			lf_linear_close(&encoder->linears[index]);
	free(encoder->linears);
	lf_buffer_destroy(encoder->constants);
	free(encoder->norms);
	free(encoder->host_weights);
}
