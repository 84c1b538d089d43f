/* SPDX-License-Identifier: MIT */
/*
 * Folding: what LoRAFusion has learned as one PEFT adapter, which needs neither the pool nor a crossbar. With the scale s_i of a
 * module in its B, a layer's delta is
 *
 *	sum of products:  [c_1 s_1 B_1 ... c_N s_N B_N] [A_1; ...; A_N], of rank N r
 *	product of sums:  (sum_i c_i s_i B_i) (sum_j c_j A_j), of rank r
 *
 * and its magnitudes are DoRA's: y = m / ||W0 + B A|| * (W0 x + B A x) + bias. Nothing is left out: the folded layer is the fused
 * one with the modules as their files hold them, each number rounded to fp32 once more.
 */
#ifndef LF_FOLD_H
#define LF_FOLD_H

#include <lf/method.h>
#include <lf/safetensors.h>

/**
 * struct lf_fold - what is folded
 * @merge: how the modules were put together
 * @coefficients: [blocks][N], or [N] for all blocks
 * @coefficient_count: of numbers
 * @magnitudes: [outputs of all adapted layers], in the order of the layers; NULL if there are none, which makes a plain LoRA
 * @magnitude_count: of numbers
 * @model_checksum: as lf_encoder_checksum() has it; a model of other weights is refused
 * @pool_checksum: as lf_pool_checksum() has it; other modules, or another order, are refused
 * @base_model: what the adapter calls the model
 * @dtype: LF_DTYPE_F32, or LF_DTYPE_F16 for half the size and its rounding
 */
struct lf_fold {
	enum lf_merge merge;
	const float *coefficients;
	size_t coefficient_count;
	const float *magnitudes;
	size_t magnitude_count;
	uint32_t model_checksum;
	uint32_t pool_checksum;
	const char *base_model;
	enum lf_dtype dtype;
};

/**
 * struct lf_folded - what came of it
 * @rank: of every layer
 * @layers: adapted layers
 * @numbers: in A, B and the magnitudes of all of them
 */
struct lf_folded {
	uint32_t rank;
	uint32_t layers;
	uint64_t numbers;
};

/**
 * lf_fold_write() - write a PEFT directory; see lf_adapter_write()
 * @model: directory of the model
 * @modules: the pool's modules, as they were fused
 * @fold: what was learned; only looked at
 * @directory: where to; made if it is not there
 * @folded: receives what was written, may be NULL
 * @error: reason on failure
 *
 * No device takes part.
 *
 * Return: 0, -EINVAL (another model or pool, counts that do not fit them, or a rank above LF_ADAPTER_MAX_RANK), -EDOM (a value does
 * not fit @dtype), -ENOMEM, what reading and writing fail with.
 */
int lf_fold_write(const char *model, const struct lf_pool_modules *modules,
		  const struct lf_fold *fold, const char *directory, struct lf_folded *folded,
		  struct lf_error *error);

#endif
