/* SPDX-License-Identifier: MIT */
/* How many numbers a method trains in a model, from the model's shapes alone. */
#ifndef LF_TRAINABLE_H
#define LF_TRAINABLE_H

#include <lf/model_config.h>

/**
 * struct lf_trainable - counts for one model, pool and set of targets
 * @linears: adapted linear layers
 * @blocks: transformer blocks, each with its own coefficients
 * @coefficients: N a block
 * @magnitudes: one an output of every adapted layer
 * @lorafusion: @coefficients + @magnitudes
 * @lora: r (inputs + outputs) summed over the adapted layers
 * @frozen: weights of the adapted layers
 */
struct lf_trainable {
	uint64_t linears;
	uint64_t blocks;
	uint64_t coefficients;
	uint64_t magnitudes;
	uint64_t lorafusion;
	uint64_t lora;
	uint64_t frozen;
};

/**
 * lf_trainable_count() - count
 * @config: the model; in a T5, the attention of every encoder block, and both attentions of every
 *	decoder block, have the targeted layers
 * @modules: N
 * @rank: r
 * @targets: mask of 1 << enum lf_target
 * @count: filled
 * @error: reason on failure
 *
 * Return: 0, -EINVAL, -ENOTSUP (a target the model's family does not have).
 */
int lf_trainable_count(const struct lf_model_config *config, uint32_t modules, uint32_t rank,
		       uint32_t targets, struct lf_trainable *count, struct lf_error *error);

#endif
