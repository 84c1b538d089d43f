// SPDX-License-Identifier: MIT
/* The 16 lanes as one AVX-512 register; body.h has the kernels. */
#include <immintrin.h>

#include "runtime/simd/number.h"
#include "runtime/simd/simd.h"

#define SIMD_ISA   LF_SIMD_AVX512
#define SIMD_TABLE lf_simd_ops_avx512
#define SIMD_DOTS  16
#define SIMD_ROWS  8

typedef __m512 vec;

static inline __mmask16 lanes_below(size_t count)
{
	return (__mmask16)((1u << count) - 1);
}

static inline vec vec_set(float value)
{
	return _mm512_set1_ps(value);
}

static inline vec vec_load(const float *from)
{
	return _mm512_loadu_ps(from);
}

static inline vec vec_load_partial(const float *from, size_t count)
{
	return _mm512_maskz_loadu_ps(lanes_below(count), from);
}

static inline void vec_store(float *to, vec a)
{
	_mm512_storeu_ps(to, a);
}

static inline void vec_store_partial(float *to, vec a, size_t count)
{
	_mm512_mask_storeu_ps(to, lanes_below(count), a);
}

static inline vec vec_add(vec a, vec b)
{
	return _mm512_add_ps(a, b);
}

static inline vec vec_sub(vec a, vec b)
{
	return _mm512_sub_ps(a, b);
}

static inline vec vec_mul(vec a, vec b)
{
	return _mm512_mul_ps(a, b);
}

static inline vec vec_div(vec a, vec b)
{
	return _mm512_div_ps(a, b);
}

static inline vec vec_sqrt(vec a)
{
	return _mm512_sqrt_ps(a);
}

static inline vec vec_max(vec a, vec b)
{
	return _mm512_max_ps(a, b);
}

static inline vec vec_absmax(vec a, vec b)
{
	__m512i right = _mm512_and_si512(_mm512_castps_si512(b), _mm512_set1_epi32(INT32_MAX));

	return _mm512_castsi512_ps(_mm512_max_epi32(_mm512_castps_si512(a), right));
}

static inline vec vec_keep(vec a, vec fill, size_t count)
{
	return _mm512_mask_mov_ps(fill, lanes_below(count), a);
}

static inline vec vec_power_of_two(vec shifted)
{
	__m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);

	return _mm512_castsi512_ps(_mm512_add_epi32(exponent, _mm512_set1_epi32(NUMBER_ONE_BITS)));
}

static inline vec vec_clamp_bits(vec a, float low, float high)
{
	__m512i bits = _mm512_castps_si512(a);

	bits = _mm512_max_epi32(bits, _mm512_set1_epi32((int)number_bits(low)));
	bits = _mm512_min_epi32(bits, _mm512_set1_epi32((int)number_bits(high)));
	return _mm512_castsi512_ps(bits);
}

/* Sixteen table rows, loaded whole and transposed: cheaper than four gathers. */
static inline void vec_lookup(vec column[4], const float (*table)[4], vec a, float first)
{
	__m512 row[4], pair[4];
	int index[16];

	_mm512_storeu_si512(index, _mm512_sub_epi32(_mm512_castps_si512(a),
						    _mm512_set1_epi32((int)number_bits(first))));
	for (int i = 0; i < 4; i++) {
		row[i] = _mm512_castps128_ps512(_mm_loadu_ps(table[index[i]]));
		row[i] = _mm512_insertf32x4(row[i], _mm_loadu_ps(table[index[i + 4]]), 1);
		row[i] = _mm512_insertf32x4(row[i], _mm_loadu_ps(table[index[i + 8]]), 2);
		row[i] = _mm512_insertf32x4(row[i], _mm_loadu_ps(table[index[i + 12]]), 3);
	}
	pair[0] = _mm512_unpacklo_ps(row[0], row[2]);
	pair[1] = _mm512_unpackhi_ps(row[0], row[2]);
	pair[2] = _mm512_unpacklo_ps(row[1], row[3]);
	pair[3] = _mm512_unpackhi_ps(row[1], row[3]);
	column[0] = _mm512_unpacklo_ps(pair[0], pair[2]);
	column[1] = _mm512_unpackhi_ps(pair[0], pair[2]);
	column[2] = _mm512_unpacklo_ps(pair[1], pair[3]);
	column[3] = _mm512_unpackhi_ps(pair[1], pair[3]);
}

static inline float vec_sum(vec a)
{
	__m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* The tree of vec_sum() for sixteen at once: each step puts two halves beside the same halves of another, and adds. */
static inline vec vec_sum_each(const vec a[16])
{
	__m512 four[4], pairs[2];

	for (int i = 0; i < 4; i++) {
		/* Vectors i, i + 4, i + 8 and i + 12, so that the last step leaves them in order. */
		__m512 low = _mm512_add_ps(_mm512_shuffle_f32x4(a[i], a[i + 4], 0x44),
					   _mm512_shuffle_f32x4(a[i], a[i + 4], 0xee));
		__m512 high = _mm512_add_ps(_mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0x44),
					    _mm512_shuffle_f32x4(a[i + 8], a[i + 12], 0xee));

		four[i] = _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
					_mm512_shuffle_f32x4(low, high, 0xdd));
	}
	for (int i = 0; i < 2; i++)
		pairs[i] = _mm512_add_ps(_mm512_shuffle_ps(four[2 * i], four[2 * i + 1], 0x44),
					 _mm512_shuffle_ps(four[2 * i], four[2 * i + 1], 0xee));
	return _mm512_add_ps(_mm512_shuffle_ps(pairs[0], pairs[1], 0x88),
			     _mm512_shuffle_ps(pairs[0], pairs[1], 0xdd));
}

static inline float vec_most(vec a)
{
	__m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
	__m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#include "runtime/simd/body.h"
