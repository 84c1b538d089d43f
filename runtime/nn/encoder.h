/* SPDX-License-Identifier: MIT */
/*
 * The encoder's insides, shared by its lifecycle (encoder.c), its weights (weights.c) and its passes (forward.c,
 * backward.c).
 */
#ifndef LF_RUNTIME_NN_ENCODER_H
#define LF_RUNTIME_NN_ENCODER_H

#include <lf/encoder.h>
#include <lf/parallel.h>
#include <lf/safetensors.h>

#include "runtime/nn/hook.h"
#include "runtime/nn/lane.h"

/* A layer norm's constants, [hidden] each. */
struct lf_norm {
	const float *gamma;
	const float *beta;
};

struct lf_encoder {
	struct lf_device *device;
	struct lf_encoder_options options;
	char directory[512];
	char name[LF_ENCODER_NAME_BYTES];
	uint32_t checksum; /* of the weights on crossbars, part of their names */
	struct lf_bert_config config;
	const struct lf_simd_ops *simd;
	struct lf_parallel *parallel;

	float *host_weights; /* what the pointers below point into */
	const float *words;  /* [vocabulary][hidden] */
	const float
		*positions; /* [positions][hidden], the type embedding of a single sentence added */
	struct lf_norm embedding_norm;
	struct lf_norm *norms; /* [layers][2] */

	struct lf_linear *linears;   /* [layers * LF_BLOCK_LINEARS] */
	struct lf_buffer *constants; /* scales and biases of all of them */

	struct lf_hook hook;
	void (*tap)(void *argument, const struct lf_activity *activity);
	void *tap_argument;
	bool training;
	uint32_t lowest_group; /* group (see encoder_group()) where the backward pass ends */
	struct lf_lane lanes[LF_ENCODER_LANES];
	float *pooled;	       /* [batch sequences][hidden], the embeddings of the last batch */
	float *pooled_inverse; /* [batch sequences] */
	float *gradient; /* [batch sequences][hidden], to the means before they are normalised */
	uint64_t job_number;
};

/* Linear layers that share an input form a group, and a group is one job: query, key and value; and each of the others. */
enum lf_group {
	LF_GROUP_ATTENTION,
	LF_GROUP_PROJECTION,
	LF_GROUP_INNER,
	LF_GROUP_OUTPUT,
	LF_GROUPS
};

/** encoder_group() - group of a layer of a block */
static inline enum lf_group encoder_group(enum lf_block_linear kind)
{
	return kind <= LF_LINEAR_VALUE
		       ? LF_GROUP_ATTENTION
		       : (enum lf_group)(kind - LF_LINEAR_ATTENTION_OUTPUT + LF_GROUP_PROJECTION);
}

/** LF_LINEAR_PATH_BYTES - room for the module path of a linear layer */
#define LF_LINEAR_PATH_BYTES 64

/** lf_bert_linears() - number of linear layers of a model */
uint32_t lf_bert_linears(const struct lf_bert_config *config);

/** lf_linear_path() - module path of a layer in the weights file, e.g. encoder.layer.0.attention.self.query */
void lf_linear_path(uint32_t index, char path[LF_LINEAR_PATH_BYTES]);

/** lf_linear_matrix_name() - name of a layer's matrix in the model whose names begin with @prefix */
void lf_linear_matrix_name(const char *prefix, uint32_t index, char matrix[LF_NAME_BYTES]);

/** lf_linear_shape() - inputs and outputs of a linear layer */
void lf_linear_shape(const struct lf_bert_config *config, uint32_t index, uint32_t *inputs,
		     uint32_t *outputs);

/** lf_linear_read() - the weight of a linear layer from the model's file, [outputs][inputs] */
int lf_linear_read(const struct lf_safetensors *file, const struct lf_bert_config *config,
		   uint32_t index, float *values, struct lf_error *error);

/** lf_linears_checksum() - CRC-32C of the weights of all linear layers, in their order; @values has room for the largest */
int lf_linears_checksum(const struct lf_safetensors *file, const struct lf_bert_config *config,
			float *values, uint32_t *checksum, struct lf_error *error);

/** lf_encoder_weight() - what the cells of a layer stand for, [outputs][inputs] */
int lf_encoder_weight(const struct lf_encoder *encoder, uint32_t index, float *values,
		      struct lf_error *error);

/** lf_encoder_files() - open the configuration and the weights of a model directory */
int lf_encoder_files(const char *directory, struct lf_bert_config *config,
		     struct lf_safetensors **file, struct lf_error *error);

/** lf_encoder_load() - fill everything between host_weights and constants; the matrices are opened, not written */
int lf_encoder_load(struct lf_encoder *encoder, struct lf_error *error);

/** lf_encoder_unload() - undo lf_encoder_load() */
void lf_encoder_unload(struct lf_encoder *encoder);

/** encoder_lane_tokens() - most tokens of a lane */
uint32_t encoder_lane_tokens(const struct lf_encoder *encoder);

/** lane_first_token() - row of a sequence's first token in the lane's regions */
uint32_t lane_first_token(const struct lf_lane *lane, uint32_t sequence);

/** lane_sequence_tokens() - length of a sequence of the lane */
uint32_t lane_sequence_tokens(const struct lf_lane *lane, uint32_t sequence);

/** encoder_call() - describe layer @index in @lane to the hook */
struct lf_hook_call encoder_call(const struct lf_encoder *encoder, const struct lf_lane *lane,
				 uint32_t index);

/** encoder_adapts() - does the hook compute layer @index */
static inline bool encoder_adapts(const struct lf_encoder *encoder, uint32_t index)
{
	return encoder->hook.ops && encoder->hook.ops->adapts(encoder->hook.state, index);
}

/** encoder_for_rows() - call @body for every run of a few rows of the lane's tokens, on the host's threads */
struct lf_row_work {
	const struct lf_encoder *encoder;
	const struct lf_lane *lane;
	uint32_t block;
	void (*body)(const struct lf_row_work *work, uint32_t first_row, uint32_t rows);
};

void encoder_for_rows(const struct lf_row_work *work);

/** encoder_for_heads() - call @body for every head of every sequence of the lane, on the host's threads */
struct lf_head_work {
	const struct lf_encoder *encoder;
	const struct lf_lane *lane;
	uint32_t block;
	void (*body)(const struct lf_head_work *work, uint32_t sequence, uint32_t head);
};

void encoder_for_heads(const struct lf_head_work *work);

/** encoder_head_scores() - where the T x T scores of a head of a sequence lie in a region of scores */
float *encoder_head_scores(const struct lf_head_work *work, enum lf_region region,
			   uint32_t sequence, uint32_t head);

/** encoder_head_shape() - tokens, width and scale of a head of a sequence */
struct lf_attention_shape encoder_head_shape(const struct lf_head_work *work, uint32_t sequence);

/** encoder_head_offset() - offset in floats of a head of a sequence in a region of [tokens][hidden] */
size_t encoder_head_offset(const struct lf_head_work *work, uint32_t sequence, uint32_t head);

#endif
