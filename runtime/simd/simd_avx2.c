// SPDX-License-Identifier: MIT
/* The 16 lanes as two AVX2 registers; body.h has the kernels. */
#include <immintrin.h>

#include "runtime/simd/number.h"
#include "runtime/simd/simd.h"

#define SIMD_ISA   LF_SIMD_AVX2
#define SIMD_TABLE lf_simd_ops_avx2
#define SIMD_DOTS  4
#define SIMD_ROWS  4

typedef struct {
	__m256 low, high;
} vec;

#define EACH(operation, a, b) ((vec){ operation((a).low, (b).low), operation((a).high, (b).high) })

/* All ones in the first @count of the 8 lanes from lane @first on. */
static inline __m256i lanes_below(size_t count, int first)
{
	const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);

	return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count - first), index);
}

static inline vec vec_set(float value)
{
	return (vec){ _mm256_set1_ps(value), _mm256_set1_ps(value) };
}

static inline vec vec_load(const float *from)
{
	return (vec){ _mm256_loadu_ps(from), _mm256_loadu_ps(from + 8) };
}

static inline vec vec_load_partial(const float *from, size_t count)
{
	return (vec){ _mm256_maskload_ps(from, lanes_below(count, 0)),
		      _mm256_maskload_ps(from + 8, lanes_below(count, 8)) };
}

static inline void vec_store(float *to, vec a)
{
	_mm256_storeu_ps(to, a.low);
	_mm256_storeu_ps(to + 8, a.high);
}

static inline void vec_store_partial(float *to, vec a, size_t count)
{
	_mm256_maskstore_ps(to, lanes_below(count, 0), a.low);
	_mm256_maskstore_ps(to + 8, lanes_below(count, 8), a.high);
}

static inline vec vec_add(vec a, vec b)
{
	return EACH(_mm256_add_ps, a, b);
}

static inline vec vec_sub(vec a, vec b)
{
	return EACH(_mm256_sub_ps, a, b);
}

static inline vec vec_mul(vec a, vec b)
{
	return EACH(_mm256_mul_ps, a, b);
}

static inline vec vec_div(vec a, vec b)
{
	return EACH(_mm256_div_ps, a, b);
}

static inline vec vec_sqrt(vec a)
{
	return (vec){ _mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high) };
}

static inline vec vec_max(vec a, vec b)
{
	return EACH(_mm256_max_ps, a, b);
}

static inline __m256 absmax_half(__m256 a, __m256 b)
{
	__m256i right = _mm256_and_si256(_mm256_castps_si256(b), _mm256_set1_epi32(INT32_MAX));

	return _mm256_castsi256_ps(_mm256_max_epi32(_mm256_castps_si256(a), right));
}

static inline vec vec_absmax(vec a, vec b)
{
	return EACH(absmax_half, a, b);
}

static inline vec vec_keep(vec a, vec fill, size_t count)
{
	return (vec){ _mm256_blendv_ps(fill.low, a.low, _mm256_castsi256_ps(lanes_below(count, 0))),
		      _mm256_blendv_ps(fill.high, a.high,
				       _mm256_castsi256_ps(lanes_below(count, 8))) };
}

static inline __m256 power_of_two_half(__m256 shifted)
{
	__m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);

	return _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(NUMBER_ONE_BITS)));
}

static inline vec vec_power_of_two(vec shifted)
{
	return (vec){ power_of_two_half(shifted.low), power_of_two_half(shifted.high) };
}

static inline __m256 clamp_half(__m256 a, float low, float high)
{
	__m256i bits = _mm256_castps_si256(a);

	bits = _mm256_max_epi32(bits, _mm256_set1_epi32((int)number_bits(low)));
	bits = _mm256_min_epi32(bits, _mm256_set1_epi32((int)number_bits(high)));
	return _mm256_castsi256_ps(bits);
}

static inline vec vec_clamp_bits(vec a, float low, float high)
{
	return (vec){ clamp_half(a.low, low, high), clamp_half(a.high, low, high) };
}

/* Eight table rows, loaded whole and transposed: cheaper than four gathers. */
static inline void lookup_half(__m256 column[4], const float (*table)[4], __m256 a, float first)
{
	__m256 row[4], pair[4];
	int index[8];

	_mm256_storeu_si256((__m256i *)index,
			    _mm256_sub_epi32(_mm256_castps_si256(a),
					     _mm256_set1_epi32((int)number_bits(first))));
	for (int i = 0; i < 4; i++)
		row[i] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(table[index[i]])),
					      _mm_loadu_ps(table[index[i + 4]]), 1);
	pair[0] = _mm256_unpacklo_ps(row[0], row[2]);
	pair[1] = _mm256_unpackhi_ps(row[0], row[2]);
	pair[2] = _mm256_unpacklo_ps(row[1], row[3]);
	pair[3] = _mm256_unpackhi_ps(row[1], row[3]);
	column[0] = _mm256_unpacklo_ps(pair[0], pair[2]);
	column[1] = _mm256_unpackhi_ps(pair[0], pair[2]);
	column[2] = _mm256_unpacklo_ps(pair[1], pair[3]);
	column[3] = _mm256_unpackhi_ps(pair[1], pair[3]);
}

static inline void vec_lookup(vec column[4], const float (*table)[4], vec a, float first)
{
	__m256 low[4], high[4];

	lookup_half(low, table, a.low, first);
	lookup_half(high, table, a.high, first);
	for (int c = 0; c < 4; c++)
		column[c] = (vec){ low[c], high[c] };
}

static inline float vec_sum(vec a)
{
	__m256 eight = _mm256_add_ps(a.low, a.high);
	__m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float vec_most(vec a)
{
	__m256 eight = _mm256_max_ps(a.low, a.high);
	__m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
	__m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));

	return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

#include "runtime/simd/body.h"
