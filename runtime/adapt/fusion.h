/* SPDX-License-Identifier: MIT */
/* The inside of LoRAFusion: its life is in lorafusion.c, its part in the encoder's passes in fusion_pass.c. */
#ifndef LF_RUNTIME_ADAPT_FUSION_H
#define LF_RUNTIME_ADAPT_FUSION_H

#include "runtime/adapt/norms.h"
#include "runtime/adapt/sites.h"

enum { FUSION_COEFFICIENTS, FUSION_MAGNITUDES, FUSION_GROUPS };

/**
 * struct fusion_site - an adapted layer
 * @pool: its stacks
 * @norms: terms of its row norms, made when they are first needed
 * @block: of the layer
 * @magnitudes: first of the layer in the groups of magnitudes and norms
 * @coefficients: [N] in constants
 * @factor: [outputs] m / n, in constants
 * @a_scale: [N r] scales of A's columns, 0 where a module is not read, in constants
 * @b_factor: [N r] 1, or 0 where a module is not read, in constants
 * @read: modules that are read
 */
struct fusion_site {
	const struct lf_pool_site *pool;
	struct lf_norms *norms;
	uint32_t block;
	size_t magnitudes;
	struct lf_view coefficients;
	struct lf_view factor;
	struct lf_view a_scale;
	struct lf_view b_factor;
	uint32_t read;
};

/**
 * struct fusion_trace - what a lane keeps of one layer from forward to backward; all in one buffer of the lane
 * @z: [tokens][N r] A x
 * @v: [tokens][N r] B^T g
 * @h: [tokens][outputs] before the magnitude, if there are any
 */
struct fusion_trace {
	struct lf_view z;
	struct lf_view v;
	struct lf_view h;
};

struct fusion {
	struct lf_method method;
	struct lf_lorafusion_options options;
	struct lf_pool *pool;
	struct fusion_site *sites;
	uint32_t *site_of; /* [linears] index into sites, or UINT32_MAX */
	float *norms;	   /* [magnitudes] n */
	float *inverse;	   /* [magnitudes] 1 / n */
	float *held;	   /* [coefficients] 1 where zero for good, else 0; a checkpoint holds it */
	bool norms_known;  /* of the parameters at hand */
	struct lf_buffer *constants;
	struct lf_buffer *lanes[LF_ENCODER_LANES];
	struct fusion_trace *traces; /* [lanes][sites] */
};

extern const struct lf_hook_ops fusion_hook_ops;

/** fusion_first() - index of a block's coefficients in their group */
static inline size_t fusion_first(const struct fusion *fusion, uint32_t block)
{
	return fusion->options.coefficients == LF_COEFFICIENTS_MODEL
		       ? 0
		       : (size_t)block * fusion->pool->modules;
}

#endif
