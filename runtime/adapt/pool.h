/* SPDX-License-Identifier: MIT */
/* The inside of a pool, for the methods that fuse it. */
#ifndef LF_RUNTIME_ADAPT_POOL_H
#define LF_RUNTIME_ADAPT_POOL_H

#include <lf/pool.h>

#include "runtime/nn/linear.h"

/**
 * struct lf_pool_site - an adapted layer
 * @index: of the linear layer
 * @a: the stacked A: inputs -> N r
 * @b: the stacked B: N r -> outputs, scales multiplied in
 * @a_values: [N r][inputs] what the cells of @a stand for
 * @b_values: [outputs][N r] what the cells of @b stand for
 */
struct lf_pool_site {
	uint32_t index;
	struct lf_linear a;
	struct lf_linear b;
	float *a_values;
	float *b_values;
};

struct lf_pool {
	uint32_t modules;
	uint32_t rank;
	uint32_t checksum; /* of the modules, in their order */
	uint32_t site_count;
	struct lf_pool_site *sites;  /* in the order of their index */
	struct lf_buffer *constants; /* scales of all stacks */
};

#endif
