// SPDX-License-Identifier: MIT
/*
 * Many draws, one by one, and who does better.
 */
#include "draws.h"

#include "maths.h"
#include "params.h"
#include "philox.h"

static void draw_blocks(const uint32_t *first, const uint32_t rest[3], const uint32_t key[2],
			uint32_t count, struct draws *draws)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t block[4] = { first[i], rest[0], rest[1], rest[2] };

		xbar_philox(block, key, block);
		for (int k = 0; k < 4; k++)
			draws->words[k][i] = block[k];
	}
}

static void draw_gaussians(const uint32_t *low, const uint32_t *high, uint32_t count, double *z)
{
	for (uint32_t i = 0; i < count; i++)
		z[i] = xbar_gaussian(low[i] | (uint64_t)high[i] << 32);
}

const struct draws_ops *xbar_draws_choose(uint32_t simd)
{
	static const struct draws_ops scalar = { draw_blocks, draw_gaussians };
#ifdef __x86_64__
	static const struct draws_ops avx512 = { xbar_draw_blocks_avx512,
						 xbar_draw_gaussians_avx512 };

	__builtin_cpu_init();
	if ((simd == XBAR_SIMD_AUTO || simd == XBAR_SIMD_AVX512) &&
	    __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq"))
		return &avx512;
#endif
	return &scalar;
}
