// SPDX-License-Identifier: MIT
/* The vectors that every processor of its kind has, with which the scalar set is compiled, and the choice; see peak_float.h. */
#include "tests/bench/peak_float.h"

PEAK_FLOAT(peak_float_scalar, 4)

double peak_float(enum lf_simd_isa isa)
{
#ifdef __x86_64__
	if (isa == LF_SIMD_AVX512)
		return peak_float_avx512();
	if (isa == LF_SIMD_AVX2)
		return peak_float_avx2();
#endif
	return peak_float_scalar();
}
