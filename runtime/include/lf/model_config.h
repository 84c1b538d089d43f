/* SPDX-License-Identifier: MIT */
/*
 * The sizes of a pretrained model, from the config.json that Hugging Face models carry. Shapes
 * only: no weights are read here.
 */
#ifndef LF_MODEL_CONFIG_H
#define LF_MODEL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

/**
 * enum lf_model_family - architectures that are understood
 * @LF_MODEL_BERT: model_type "bert", an encoder with absolute positions
 * @LF_MODEL_T5: model_type "t5", encoder and decoder
 */
enum lf_model_family {
	LF_MODEL_BERT,
	LF_MODEL_T5,
};

/**
 * enum lf_activation - function between the two feed-forward layers
 * @LF_ACTIVATION_RELU: max(0, x)
 * @LF_ACTIVATION_GELU: x times the Gaussian distribution function, by erf
 * @LF_ACTIVATION_GELU_TANH: its approximation by tanh ("gelu_new", "gelu_pytorch_tanh")
 */
enum lf_activation {
	LF_ACTIVATION_RELU,
	LF_ACTIVATION_GELU,
	LF_ACTIVATION_GELU_TANH,
};

/**
 * struct lf_bert_config - sizes of a BERT-type encoder
 * @hidden_size: width of the residual stream; a multiple of @num_attention_heads
 * @num_hidden_layers: blocks
 * @num_attention_heads: heads per block
 * @intermediate_size: width between the feed-forward layers
 * @vocab_size: rows of the token embedding
 * @max_position_embeddings: rows of the position embedding, the longest input in tokens
 * @type_vocab_size: rows of the segment embedding
 * @layer_norm_eps: added to the variance
 * @hidden_act: feed-forward activation
 */
struct lf_bert_config {
	uint32_t hidden_size;
	uint32_t num_hidden_layers;
	uint32_t num_attention_heads;
	uint32_t intermediate_size;
	uint32_t vocab_size;
	uint32_t max_position_embeddings;
	uint32_t type_vocab_size;
	float layer_norm_eps;
	enum lf_activation hidden_act;
};

/**
 * struct lf_t5_config - sizes of a T5-type encoder-decoder
 * @d_model: width of the residual stream
 * @d_kv: width of one head; q, k and v map @d_model to @num_heads x @d_kv
 * @d_ff: width between the feed-forward layers
 * @num_heads: heads per block
 * @num_layers: encoder blocks, each with one self-attention
 * @num_decoder_layers: decoder blocks, each with a self- and a cross-attention
 * @vocab_size: rows of the token embedding
 * @relative_attention_num_buckets: buckets of the relative position bias
 * @layer_norm_epsilon: added to the mean square
 * @feed_forward_act: feed-forward activation
 * @gated: the feed-forward has two inputs, one of them through the activation
 */
struct lf_t5_config {
	uint32_t d_model;
	uint32_t d_kv;
	uint32_t d_ff;
	uint32_t num_heads;
	uint32_t num_layers;
	uint32_t num_decoder_layers;
	uint32_t vocab_size;
	uint32_t relative_attention_num_buckets;
	float layer_norm_epsilon;
	enum lf_activation feed_forward_act;
	bool gated;
};

/**
 * struct lf_model_config - what config.json says
 * @family: which of the members below is set
 * @bert: sizes when @family is LF_MODEL_BERT
 * @t5: sizes when @family is LF_MODEL_T5
 */
struct lf_model_config {
	enum lf_model_family family;
	union {
		struct lf_bert_config bert;
		struct lf_t5_config t5;
	};
};

/**
 * lf_model_config_read() - read the config.json of a model
 * @config: receives the sizes; untouched on failure
 * @directory: folder of the model
 * @error: names the file and the field; may be NULL
 *
 * Every size has been checked: products of any three of them fit in 64 bits.
 *
 * Return: 0, -ENOENT for a missing file or field, -EINVAL for a field of another type or out of
 * range, -ENOTSUP for a model_type or variant that is not understood, -ENOMEM.
 */
int lf_model_config_read(struct lf_model_config *config, const char *directory,
			 struct lf_error *error);

/**
 * lf_model_config_parse() - the same for JSON in memory
 * @config: receives the sizes; untouched on failure
 * @text: [@size_bytes] the JSON
 * @size_bytes: its length
 * @label: what messages call it
 * @error: may be NULL
 *
 * Return: as lf_model_config_read().
 */
int lf_model_config_parse(struct lf_model_config *config, const char *text, size_t size_bytes,
			  const char *label, struct lf_error *error);

#endif
