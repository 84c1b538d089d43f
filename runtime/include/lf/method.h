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

enum lf_coefficients {
	LF_COEFFICIENTS_BLOCK, /* one a module and block */
	LF_COEFFICIENTS_MODEL, /* one a module, for all blocks */
};

/**
 * struct lf_lorafusion_options - LoRAFusion (10.1145/3716368.3735213)
 * @merge: how the modules are put together
 * @coefficients: how many of them there are
 * @without_magnitudes: coefficients only, y = W0 x + dW x + bias
 * @coefficient_rate: learning rate of the coefficients; the authors use 0.02. With 0 they are fixed, and a module whose coefficient is
 *	0 is not read
 * @coefficient_decay: weight decay of the coefficients; theirs is 1e-5
 * @coefficient_l1: factor of mean |c|; theirs is 0.0005
 * @magnitude_rate: learning rate of the magnitudes; theirs is 0.005
 * @prune: share of all coefficients, the smallest by magnitude, that half of the training makes zero for good; theirs is 0.15, or 0 for none
 * @switch_off: coefficients below this share of the largest of their block become zero for good at the same time, 0 for none
 */
struct lf_lorafusion_options {
	enum lf_merge merge;
	enum lf_coefficients coefficients;
	bool without_magnitudes;
	double coefficient_rate;
	double coefficient_decay;
	double coefficient_l1;
	double magnitude_rate;
	double prune;
	double switch_off;
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
 * Trained are one coefficient per module and block (or one per module), and a magnitude per output of every adapted layer (DoRA): with h =
 * W0 x + dW x, y = m / n * h + bias and n = ||W0 + dW|| per output, which is recomputed before every step and held fixed in the
 * gradient. No cell is written.
 *
 * Return: 0, -EINVAL (an option out of range), -ENOMEM, -ENOSPC.
 */
int lf_lorafusion_create(struct lf_encoder *encoder, struct lf_pool *pool,
			 const struct lf_lorafusion_options *options, struct lf_method **method,
			 struct lf_error *error);

/**
 * lf_lorafusion_set() - give every block the same coefficients
 * @method: made by lf_lorafusion_create()
 * @coefficients: [modules]; copied
 *
 * What was switched off is switched on again. It counts from the next lf_method_prepare() on.
 */
void lf_lorafusion_set(struct lf_method *method, const float *coefficients);

/**
 * lf_lorafusion_prune() - make the smallest coefficients of all zero, for good
 * @method: made by lf_lorafusion_create() with @prune or @switch_off set
 * @share: of the coefficients, rounded down; from 0 to 1
 *
 * Modules whose coefficient is zero for good are not read any more, forward or backward, and their coefficient is not trained any more:
 * from the next lf_method_prepare() on.
 */
void lf_lorafusion_prune(struct lf_method *method, double share);

/**
 * lf_lorafusion_switch_off() - make coefficients zero, for good, that are below a share of the largest |c| of their block
 * @method: made by lf_lorafusion_create() with @prune or @switch_off set
 * @share: from 0 to 1
 *
 * What becomes of their modules is as with lf_lorafusion_prune().
 */
void lf_lorafusion_switch_off(struct lf_method *method, double share);

/**
 * lf_lorafusion_modules_read() - modules that a pass reads
 * @method: made by lf_lorafusion_create()
 * @all: receives how many there are, switched off or not; may be NULL
 *
 * Return: those that are read, summed over the blocks that the pool adapts, as is @all.
 */
uint32_t lf_lorafusion_modules_read(const struct lf_method *method, uint32_t *all);

/**
 * enum lf_place - where the matrices that a method trains are
 * @LF_PLACE_HOST: digital beside the crossbars, in training and after it
 * @LF_PLACE_ONCE: digital in training; lf_method_finish() programs them, and from then on they are read from crossbars
 * @LF_PLACE_EACH_STEP: on crossbars; the host keeps fp32 copies for the optimiser, and lf_method_prepare() programs every matrix
 *	of which a level has changed
 *
 * On crossbars matrices have int8 levels with a scale an output, as all weights (fp32 on a device with such cells); gradients pass the
 * rounding as if it were not there. A matrix is written whole, on fresh tiles, and then takes the place of the one before it, which
 * returns its tiles to the device: so each needs room for one more of its size. It lives as long as the method and is nobody
 * else's. Where converters lose something, those of a new matrix are calibrated from vectors of the last pass in training, which a saved
 * adaptation keeps. What all of this costs is in the counters of the device and in lf_method_writes().
 */
enum lf_place {
	LF_PLACE_HOST,
	LF_PLACE_ONCE,
	LF_PLACE_EACH_STEP,
};

/**
 * struct lf_lora_options - LoRA (2106.09685)
 * @rank: r
 * @alpha: scale is alpha / r
 * @targets: mask of 1 << enum lf_target
 * @rate: learning rate
 * @place: where A and B are
 */
struct lf_lora_options {
	uint32_t rank;
	double alpha;
	uint32_t targets;
	double rate;
	enum lf_place place;
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

/**
 * lf_lora_create() - plain LoRA, B starting at zero
 * @encoder: the backbone; must outlive the method
 * @options: copied
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Return: 0, -EINVAL (rank, targets or place), -ENOMEM, -ENOSPC. With matrices on crossbars lf_method_prepare() and lf_method_finish() also
 * fail as lf_matrix_create() and lf_matrix_program() do: -ENOSPC, -EDQUOT, -EIO.
 */
int lf_lora_create(struct lf_encoder *encoder, const struct lf_lora_options *options,
		   struct lf_method **method, struct lf_error *error);

/**
 * lf_dora_create() - DoRA (2402.09353), kept digital beside the crossbars
 * @encoder: the backbone; must outlive the method
 * @options: copied; the rate is that of the magnitudes as well, the place must be the host
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Trained are LoRA's A and B and a magnitude per output of every adapted layer, y = m / n * (W0 x + s B A x) + bias; the norm n is
 * recomputed before every step and held fixed in the gradient. No cell is written; the host keeps the adapted weights for the norms.
 *
 * Return: 0, -EINVAL (rank, targets or place), -ENOMEM, -ENOSPC.
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

/**
 * lf_ia3_create() - IA3 (2205.05638)
 * @encoder: the backbone; must outlive the method
 * @rate: learning rate
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Trained are a scale for every key, every value and every intermediate activation of all blocks: l * (W x + b) for keys and values, W (l *
 * x) + b in the layer "output.dense". They start at 1. No cell is written.
 *
 * Return: 0, -ENOMEM, -ENOSPC.
 */
int lf_ia3_create(struct lf_encoder *encoder, double rate, struct lf_method **method,
		  struct lf_error *error);

/**
 * lf_magnitude_create() - DoRA's magnitudes (2402.09353) of the frozen weights alone
 * @encoder: the backbone; must outlive the method
 * @targets: mask of 1 << enum lf_target
 * @rate: learning rate
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Trained is a magnitude per output of every adapted layer, y = m / n * (W0 x) + bias, n = ||W0|| of what the cells stand for. It
 * starts at n. No pool is needed and no cell is written.
 *
 * Return: 0, -EINVAL (targets), -ENOMEM, -ENOSPC.
 */
int lf_magnitude_create(struct lf_encoder *encoder, uint32_t targets, double rate,
			struct lf_method **method, struct lf_error *error);

/**
 * struct lf_vera_options - VeRA (2310.11454), kept digital beside the crossbars
 * @rank: r, of the random matrices
 * @targets: mask of 1 << enum lf_target
 * @rate: learning rate
 * @initial_d: what d starts at; the authors use 0.1
 * @seed: of the random matrices, which are drawn from it again and not saved
 */
struct lf_vera_options {
	uint32_t rank;
	uint32_t targets;
	double rate;
	double initial_d;
	uint64_t seed;
};

/**
 * lf_vera_create() - scales of frozen random matrices
 * @encoder: the backbone; must outlive the method
 * @options: copied
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * y = W0 x + bias + b * (B (d * (A x))). A [r][inputs] and B [outputs][r] are drawn by Kaiming's rule, uniform in +-sqrt(6 /
 * columns), once for all layers of a shape; trained are d [r] and b [outputs] of every adapted layer, b from 0 on. No cell is written.
 *
 * Return: 0, -EINVAL (rank, targets or initial_d), -ENOMEM.
 */
int lf_vera_create(struct lf_encoder *encoder, const struct lf_vera_options *options,
		   struct lf_method **method, struct lf_error *error);

/**
 * struct lf_full_options - full fine-tuning
 * @targets: mask of 1 << enum lf_target; all six for what is called by that name
 * @rate: learning rate
 * @place: where the trained weights are
 */
struct lf_full_options {
	uint32_t targets;
	double rate;
	enum lf_place place;
};

/**
 * lf_full_create() - train the weights and biases of the targeted layers themselves
 * @encoder: the backbone; must outlive the method
 * @options: copied
 * @method: receives the method; free with lf_method_free()
 * @error: reason on failure
 *
 * Weights start as the model's file has them, embeddings and norms are not trained. On the host the targeted layers are
 * dense products in fp32. On crossbars they are private to the method: a layer is read from the deployed matrix until the first of its levels
 * changes, and from a matrix of the method's own from then on; what is deployed is never written.
 *
 * Return: 0, -EINVAL (targets or place), -ENOMEM, -ENOSPC, what reading the model fails with. lf_method_prepare() and
 * lf_method_finish() fail as with lf_lora_create().
 */
int lf_full_create(struct lf_encoder *encoder, const struct lf_full_options *options,
		   struct lf_method **method, struct lf_error *error);

/**
 * lf_lora_write() - write what a LoRA or DoRA method has learned as a PEFT adapter in fp16
 * @method: a LoRA or DoRA
 * @directory: where to; see lf_adapter_write()
 * @base_model: what the adapter calls the model
 * @error: reason on failure
 *
 * Return: 0, -EINVAL (another method), what lf_adapter_write() fails with.
 */
int lf_lora_write(const struct lf_method *method, const char *directory, const char *base_model,
		  struct lf_error *error);

/**
 * lf_lora_read() - a LoRA or DoRA method with what a PEFT directory holds
 * @encoder: the backbone; must outlive the method
 * @directory: as PEFT or lf_lora_write() wrote it; lf_adapter_read() tells what is refused
 * @method: receives the method, ready for lf_method_prepare(); free with lf_method_free()
 * @error: reason on failure; names the file and the field
 *
 * Layers of different ranks and scales are brought to one rank and the scale 1, which changes none of their products. The
 * learning rates are 0.
 *
 * Return: 0, -ENOMEM, -ENOSPC, what lf_adapter_read() fails with.
 */
int lf_lora_read(struct lf_encoder *encoder, const char *directory, struct lf_method **method,
		 struct lf_error *error);

/** lf_method_free() - free; must not be attached any more. NULL is ignored */
void lf_method_free(struct lf_method *method);

/** lf_method_name() - "lorafusion", "lora", "dora", "bitfit", "ia3", "magnitude", "vera" or "full" */
const char *lf_method_name(const struct lf_method *method);

/** lf_method_start() - draw the initial parameters from @seed */
int lf_method_start(struct lf_method *method, uint64_t seed, struct lf_error *error);

/** lf_method_attach() - attach to the method's encoder, for training or for embedding only */
int lf_method_attach(struct lf_method *method, bool training, struct lf_error *error);

/**
 * lf_method_prepare() - after the parameters have changed and before a forward pass
 * @method: the method; no job that uses it may be in flight
 * @error: reason on failure
 *
 * Brings up to date what follows from the parameters: norms, factors, and matrices that are on crossbars (enum lf_place).
 *
 * Return: 0, -ENOMEM, what reading the model fails with; with matrices on crossbars also -EDOM (NaN or Inf) and what lf_matrix_create(),
 * lf_matrix_program() and lf_matrix_calibrate() fail with: -ENOSPC, -EDQUOT, -EIO.
 */
int lf_method_prepare(struct lf_method *method, struct lf_error *error);

/**
 * lf_method_finish() - training has ended: lf_method_prepare(), and what LF_PLACE_ONCE means is programmed
 * @method: the method
 * @error: reason on failure
 *
 * lf_train() ends with it. A method that lf_adaptation_load() has filled counts as finished, so that lf_method_prepare() programs it; attaching it
 * for training takes it back.
 *
 * Return: as lf_method_prepare().
 */
int lf_method_finish(struct lf_method *method, struct lf_error *error);

/**
 * struct lf_method_writes - what a method has written since it was created
 * @matrices_written: matrices programmed
 * @matrices_kept: matrices that were to be programmed and had no level changed
 * @counters: what programming and calibrating cost, without the erasures that the device puts off
 */
struct lf_method_writes {
	uint64_t matrices_written;
	uint64_t matrices_kept;
	struct lf_counters counters;
};

/**
 * lf_method_writes() - what it has written
 * @method: the method
 * @writes: receives it; zeros for a method that is on the host
 */
void lf_method_writes(const struct lf_method *method, struct lf_method_writes *writes);

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
