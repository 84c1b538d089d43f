// SPDX-License-Identifier: MIT
/*
 * Which variant of the kernels a device uses.
 */
#include <errno.h>

#include "kernels.h"
#include "params.h"

/* @checksum: the instruction set that it needs. */
#define KERNELS(variant, checksum)                                                            \
	{                                                                                     \
#variant, xbar_magnitude_##variant, xbar_quantise_##variant,                  \
			xbar_spread_##variant,                                                \
			{ xbar_gemm_##variant, xbar_gemm_transpose_##variant },               \
			  xbar_finish_##variant, xbar_fuse_##variant, xbar_convert_##variant, \
			  xbar_read_##variant, xbar_unpack_##variant, xbar_crc32c_##checksum  \
	}

static const struct kernels scalar = KERNELS(scalar, scalar);

#ifdef __x86_64__
static const struct kernels avx2 = KERNELS(avx2, avx2);
static const struct kernels avx512 = KERNELS(avx512, avx2);

static bool has_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
	       __builtin_cpu_supports("avx512vnni");
}

int xbar_kernels_choose(uint32_t simd, const struct kernels **kernels)
{
	__builtin_cpu_init();
	if ((simd == XBAR_SIMD_AUTO || simd == XBAR_SIMD_AVX512) && has_avx512())
		*kernels = &avx512;
	else if ((simd == XBAR_SIMD_AUTO || simd == XBAR_SIMD_AVX2) &&
		 __builtin_cpu_supports("avx2"))
		*kernels = &avx2;
	else if (simd == XBAR_SIMD_AUTO || simd == XBAR_SIMD_SCALAR)
		*kernels = &scalar;
	else
		return -EINVAL;
	return 0;
}
#else
int xbar_kernels_choose(uint32_t simd, const struct kernels **kernels)
{
	if (simd != XBAR_SIMD_AUTO && simd != XBAR_SIMD_SCALAR)
		return -EINVAL;
	*kernels = &scalar;
	return 0;
}
#endif
