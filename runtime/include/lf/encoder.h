/* SPDX-License-Identifier: MIT */
/*
 * A BERT-type sentence encoder whose linear layers live on crossbars. Embeddings, norms, attention and
 * activations are computed by the host in fp32. Deploying programs the weights once; opening finds them by name and
 * writes nothing. Training state belongs to an adaptation method (lf/method.h), which hooks into the linear layers.
 */
#ifndef LF_ENCODER_H
#define LF_ENCODER_H

#include <stdbool.h>
#include <stdint.h>

#include <lf/device.h>
#include <lf/model_config.h>

struct lf_encoder;
struct lf_hook;

/** LF_ENCODER_NAME_BYTES - room for the name a model is deployed under, terminator included */
#define LF_ENCODER_NAME_BYTES 20

/**
 * typedef lf_progress - told how far a long operation has come
 * @argument: as given with the callback
 * @done: units finished
 * @total: units in all
 */
typedef void (*lf_progress)(void *argument, uint64_t done, uint64_t total);

/**
 * lf_encoder_deploy() - program the linear layers of a model and publish them
 * @device: where to
 * @directory: Hugging Face directory with config.json and model.safetensors
 * @name: matrices become NAME.mCHECKSUM/layer.0.attention.self.query and so on; 1 .. 19 bytes
 * @mode: read permission bits of the published matrices
 * @progress: told after each matrix, may be NULL
 * @argument: for @progress
 * @counters: what it cost is added, may be NULL
 * @error: reason on failure
 *
 * Weights are quantised to int8 by output column (absmax / 127, half to even); on a device with fp32 cells they
 * are taken as they are. Files are checked, names looked up and tiles taken before the first cell is written; on a later
 * failure what was published under @name by this call is taken away again.
 *
 * Return: 0, or the failure of reading, creating, programming or publishing.
 */
int lf_encoder_deploy(struct lf_device *device, const char *directory, const char *name,
		      uint32_t mode, lf_progress progress, void *argument,
		      struct lf_counters *counters, struct lf_error *error);

/**
 * struct lf_encoder_options - how an encoder is opened
 * @directory: as for lf_encoder_deploy(), for everything that is not on crossbars
 * @name: name it was deployed under
 * @batch_sequences: most sequences of a batch
 * @sequence_tokens: most tokens of a sequence, special ones included
 * @threads: threads of the host's math, 0 for one a CPU
 * @simd: kernels to use (see lf_simd_choose()), NULL for the best
 */
struct lf_encoder_options {
	const char *directory;
	const char *name;
	uint32_t batch_sequences;
	uint32_t sequence_tokens;
	uint32_t threads;
	const char *simd;
};

/**
 * lf_encoder_open() - open a deployed model
 * @device: where it was deployed; must outlive the encoder
 * @options: copied
 * @encoder: receives the encoder; close with lf_encoder_close()
 * @error: reason on failure
 *
 * Return: 0, -ENOENT (not deployed), -EINVAL (files and matrices do not fit), -ENOMEM, ...
 */
int lf_encoder_open(struct lf_device *device, const struct lf_encoder_options *options,
		    struct lf_encoder **encoder, struct lf_error *error);

/** lf_encoder_close() - close; the matrices stay on the device. NULL is ignored */
void lf_encoder_close(struct lf_encoder *encoder);

/** lf_encoder_checksum() - CRC-32C of the linear layers' weights, as in the names of their matrices */
uint32_t lf_encoder_checksum(const struct lf_encoder *encoder);

/** lf_encoder_config() - shapes of the model */
const struct lf_bert_config *lf_encoder_config(const struct lf_encoder *encoder);

/**
 * lf_encoder_attach() - let a method compute the linear layers it adapts
 * @encoder: the encoder
 * @hook: the method's hook, must outlive its use; NULL for the frozen model
 * @training: keep what a backward pass needs
 * @error: reason on failure
 *
 * Return: 0, -ENOMEM, -ENOSPC (no room for the buffers).
 */
int lf_encoder_attach(struct lf_encoder *encoder, const struct lf_hook *hook, bool training,
		      struct lf_error *error);

/**
 * struct lf_batch - tokenised sentences without padding
 * @sequences: number of sentences
 * @start: [@sequences + 1] index of the first token of each, and behind the last
 * @tokens: [start[@sequences]] vocabulary indices (lf_tokenizer_encode()), special tokens included
 */
struct lf_batch {
	uint32_t sequences;
	const uint32_t *start;
	const uint32_t *tokens;
};

/**
 * lf_encoder_forward() - embed sentences
 * @encoder: the encoder
 * @batch: the sentences; must stay valid until the backward pass
 * @embeddings: receives [sequences][hidden] unit vectors: the mean over a sentence's tokens, normalised
 * @error: reason on failure
 *
 * Return: 0, -EINVAL (batch: a field out of range), -EDOM (NaN or Inf; the layer is named), device errors.
 */
int lf_encoder_forward(struct lf_encoder *encoder, const struct lf_batch *batch, float *embeddings,
		       struct lf_error *error);

/** lf_encoder_layers() - number of linear layers, those of a block in the order of the pass */
uint32_t lf_encoder_layers(const struct lf_encoder *encoder);

/** LF_ENCODER_LAYER_BYTES - room for the name of a layer */
#define LF_ENCODER_LAYER_BYTES 64

/** lf_encoder_layer_name() - name of a linear layer, e.g. "layer.0.attention.self.query" */
void lf_encoder_layer_name(uint32_t layer, char name[LF_ENCODER_LAYER_BYTES]);

/**
 * struct lf_activity - what a linear layer was given and gave for some tokens of a batch
 * @layer: 0 .. lf_encoder_layers() - 1
 * @tokens: how many
 * @inputs: width of the input
 * @outputs: width of the output
 * @x: [@tokens][@inputs]
 * @y: [@tokens][@outputs], bias and the part of an attached method included; what a tap writes here is what the pass goes on
 *	with
 * @bias: [@outputs], NULL where there is none
 */
struct lf_activity {
	uint32_t layer;
	uint32_t tokens;
	uint32_t inputs;
	uint32_t outputs;
	const float *x;
	float *y;
	const float *bias;
};

/**
 * lf_encoder_tap() - see every linear layer at work
 * @encoder: the encoder, no pass going on
 * @tap: called for each layer in a forward pass, from the thread of that; NULL for none. A batch is cut in two at most, and the
 *	same batch is always cut alike and seen in the same order
 * @argument: for @tap
 */
void lf_encoder_tap(struct lf_encoder *encoder,
		    void (*tap)(void *argument, const struct lf_activity *activity),
		    void *argument);

/**
 * lf_encoder_backward() - gradients of the hook's parameters, from those of the last forward pass's embeddings
 * @encoder: with a hook attached for training
 * @gradient: [sequences][hidden] gradient to the unit vectors
 * @error: reason on failure
 *
 * The hook adds to its gradients. Nothing is computed for layers below the lowest adapted one.
 *
 * Return: as lf_encoder_forward().
 */
int lf_encoder_backward(struct lf_encoder *encoder, const float *gradient, struct lf_error *error);

#endif
