/* SPDX-License-Identifier: MIT */
/*
 * Adaptation methods: what is trained, and how it takes part in the encoder's passes. All are used alike: create, start or
 * load, attach to the encoder, and then for each step lf_method_prepare(), a forward and a backward pass, and
 * an optimiser step over the parameters.
 */
#ifndef LF_METHOD_H
#define LF_METHOD_H

#include <lf/checkpoint.h>
#include <lf/encoder.h>
#include <lf/parameters.h>
#include <lf/pool.h>

struct lf_method;

enum lf_merge {
	LF_MERGE_SUM,	  /* dW = sum_i c_i B_i A_i */
	LF_MERGE_PRODUCT, /* dW = (sum_i c_i B_i) (sum_j c_j A_j) */
};

/**
 * struct lf_lorafusion_options - LoRAFusion (10.1145/3716368.3735213)
 * @merge: how the modules are put together
 * @coefficient_rate: learning rate of the coefficients; the authors use 0.02
 * @coefficient_decay: weight decay of the coefficients; theirs is 1e-5
 * @coefficient_l1: factor of mean |c|; theirs is 0.0005
 * @magnitude_rate: learning rate of the magnitudes; theirs is 0.005
 */
struct lf_lorafusion_options {
	enum lf_merge merge;
	double coefficient_rate;
	double coefficient_decay;
	double coefficient_l1;
	double magnitude_rate;
};

/** lf_lorafusion_defaults() - the authors' settings with the sum of products */
void lf_lorafusion_defaults(struct lf_lorafusion_options *options);

/**
 * lf_lorafusion_create() - fuse the modules of a pool
 * @encoder: the backbone; must outlive the method
 * @pool: the modules; must outlive the method
 * @options: copied
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Trained are one coefficient per module and block, and a magnitude per output of every adapted layer (DoRA): with h = W0 x + dW x, y =
 * m / n * h + bias and n = ||W0 + dW|| per output, which is recomputed before every step and held fixed in the
 * gradient. No cell is written.
 */
int lf_lorafusion_create(struct lf_encoder *encoder, struct lf_pool *pool,
			 const struct lf_lorafusion_options *options, struct lf_method **method,
			 struct lf_error *error);

/**
 * struct lf_lora_options - LoRA (2106.09685), kept digital beside the crossbars
 * @rank: r
 * @alpha: scale is alpha / r
 * @targets: mask of 1 << enum lf_target
 * @rate: learning rate
 */
struct lf_lora_options {
	uint32_t rank;
	double alpha;
	uint32_t targets;
	double rate;
};

/* Linear layers of a block that can be adapted. */
enum lf_target {
	LF_TARGET_QUERY,
	LF_TARGET_KEY,
	LF_TARGET_VALUE,
	LF_TARGET_ATTENTION_OUTPUT,
	LF_TARGET_INTERMEDIATE,
	LF_TARGET_OUTPUT,
	LF_TARGETS,
};

/** lf_target_name() - "query", "key", "value", "attention.output.dense", "intermediate.dense" or "output.dense" */
const char *lf_target_name(enum lf_target target);

/** lf_lora_create() - plain LoRA, B starting at zero */
int lf_lora_create(struct lf_encoder *encoder, const struct lf_lora_options *options,
		   struct lf_method **method, struct lf_error *error);

/**
 * lf_dora_create() - DoRA (2402.09353), kept digital beside the crossbars
 * @encoder: the backbone; must outlive the method
 * @options: copied; the rate is that of the magnitudes as well
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Trained are LoRA's A and B and a magnitude per output of every adapted layer, y = m / n * (W0 x + s B A x) + bias; the norm n is
 * recomputed before every step and held fixed in the gradient. No cell is written; the host keeps the adapted weights for the norms.
 *
 * Return: 0, -EINVAL (rank or targets), -ENOMEM, -ENOSPC.
 */
int lf_dora_create(struct lf_encoder *encoder, const struct lf_lora_options *options,
		   struct lf_method **method, struct lf_error *error);

/**
 * lf_bitfit_create() - BitFit (2106.10199) of the layers on crossbars
 * @encoder: the backbone; must outlive the method
 * @targets: mask of 1 << enum lf_target
 * @rate: learning rate
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Trained are the biases of the targeted layers, those of the norms are not; they start as they are. No cell is written.
 *
 * Return: 0, -EINVAL (targets), -ENOMEM, -ENOSPC.
 */
int lf_bitfit_create(struct lf_encoder *encoder, uint32_t targets, double rate,
		     struct lf_method **method, struct lf_error *error);

/** lf_lora_write() - write what a LoRA or DoRA method has learned as a PEFT adapter in fp16 */
int lf_lora_write(const struct lf_method *method, const char *directory, const char *base_model,
		  struct lf_error *error);

/** lf_method_free() - free; must not be attached any more. NULL is ignored */
void lf_method_free(struct lf_method *method);

/** lf_method_name() - "lorafusion", "lora", "dora" or "bitfit" */
const char *lf_method_name(const struct lf_method *method);

/** lf_method_start() - draw the initial parameters from @seed */
int lf_method_start(struct lf_method *method, uint64_t seed, struct lf_error *error);

/** lf_method_attach() - attach to the method's encoder, for training or for embedding only */
int lf_method_attach(struct lf_method *method, bool training, struct lf_error *error);

/** lf_method_prepare() - after the parameters have changed and before a forward pass */
int lf_method_prepare(struct lf_method *method, struct lf_error *error);

/** lf_method_parameters() - the trained groups; the array belongs to the method */
const struct lf_parameters *lf_method_parameters(const struct lf_method *method, uint32_t *count);

/** lf_method_trainable() - how many numbers are trained, groups with a learning rate of 0 left out */
uint64_t lf_method_trainable(const struct lf_method *method);

/** LF_METHOD_TENSORS - most tensors lf_method_tensors() returns */
#define LF_METHOD_TENSORS 8

/**
 * lf_method_tensors() - what a checkpoint must hold of the method (see lf_adaptation_save())
 * @method: the method
 * @tensors: [LF_METHOD_TENSORS] filled; values stay the method's
 *
 * Return: how many.
 */
uint32_t lf_method_tensors(const struct lf_method *method, struct lf_checkpoint_tensor *tensors);

#endif
