/* SPDX-License-Identifier: MIT */
/*
 * Many draws at once: of philox.h and maths.h, to the bit, faster where the processor has wide registers.
 */
#ifndef XBAR_DRAWS_H
#define XBAR_DRAWS_H

#include <stdint.h>

/* Most blocks of a call. */
#define DRAWS_MAX 1024

/* Words of up to DRAWS_MAX blocks: word k of all of them, then word k + 1. */
struct draws {
	uint32_t words[4][DRAWS_MAX];
};

/**
 * struct draws_ops - one variant
 * @blocks: the blocks with counters {@first[i], @rest[0], @rest[1], @rest[2]}
 * @gaussians: xbar_gaussian() of low[i] | high[i] << 32
 */
struct draws_ops {
	void (*blocks)(const uint32_t *first, const uint32_t rest[3], const uint32_t key[2],
		       uint32_t count, struct draws *draws);
	void (*gaussians)(const uint32_t *low, const uint32_t *high, uint32_t count, double *z);
};

/* The variant for @simd, enum xbar_simd; where the processor has no faster one it is the scalar one. */
const struct draws_ops *xbar_draws_choose(uint32_t simd);

void xbar_draw_blocks_avx512(const uint32_t *first, const uint32_t rest[3], const uint32_t key[2],
			     uint32_t count, struct draws *draws);
void xbar_draw_gaussians_avx512(const uint32_t *low, const uint32_t *high, uint32_t count,
				double *z);

#endif
