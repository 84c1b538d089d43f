// SPDX-License-Identifier: MIT
/*
 * Quantising and finishing with AVX-512. Tails are masked; masked lanes are zero.
 */
#include <immintrin.h>

#include "kernels.h"

static __mmask16 tail(uint32_t left)
{
	return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

static __m512 product(const float *x, const float *f, const float *g, uint32_t i, __mmask16 mask)
{
	__m512 value = _mm512_maskz_loadu_ps(mask, x + i);

	if (f)
		value = _mm512_mul_ps(value, _mm512_maskz_loadu_ps(mask, f + i));
	if (g)
		value = _mm512_mul_ps(value, _mm512_maskz_loadu_ps(mask, g + i));
	return value;
}

static __m512i magnitude_bits(__m512 value)
{
	return _mm512_and_si512(_mm512_castps_si512(value), _mm512_set1_epi32(0x7fffffff));
}

uint32_t xbar_magnitude_avx512(const float *x, const float *f, const float *g, uint32_t count)
{
	__m512i largest = _mm512_setzero_si512();

	for (uint32_t i = 0; i < count; i += 16)
		largest = _mm512_max_epu32(largest,
					   magnitude_bits(product(x, f, g, i, tail(count - i))));
	return _mm512_reduce_max_epu32(largest);
}

int32_t xbar_quantise_avx512(const float *x, const float *f, const float *g, float inverse,
			     uint32_t count, int8_t *q)
{
	const __m512 high = _mm512_set1_ps(127.0f), low = _mm512_set1_ps(-127.0f);
	__m512i sum = _mm512_setzero_si512();

	for (uint32_t i = 0; i < count; i += 16) {
		__mmask16 mask = tail(count - i);
		__m512 value = _mm512_mul_ps(product(x, f, g, i, mask), _mm512_set1_ps(inverse));
		__m512i rounded =
			_mm512_cvtps_epi32(_mm512_max_ps(_mm512_min_ps(value, high), low));

		sum = _mm512_add_epi32(sum, rounded);
		_mm512_mask_cvtepi32_storeu_epi8(q + i, mask, rounded);
	}
	return _mm512_reduce_add_epi32(sum);
}

uint32_t xbar_finish_avx512(const struct finish *finish, const int32_t *d, uint32_t count)
{
	const __m512 s = _mm512_set1_ps(finish->s);
	__m512i largest = _mm512_setzero_si512();

	for (uint32_t c = 0; c < count; c += 16) {
		__mmask16 mask = tail(count - c);
		__m512 t = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, d + c));

		t = _mm512_mul_ps(t, s);
		if (finish->scale)
			t = _mm512_mul_ps(t, _mm512_maskz_loadu_ps(mask, finish->scale + c));
		if (finish->before)
			t = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, finish->before + c), t);
		if (finish->accumulate)
			t = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, finish->accumulate + c), t);
		if (finish->bias)
			t = _mm512_add_ps(t, _mm512_maskz_loadu_ps(mask, finish->bias + c));
		_mm512_mask_storeu_ps(finish->y + c, mask, t);
		largest = _mm512_mask_max_epu32(largest, mask, largest, magnitude_bits(t));
	}
	return _mm512_reduce_max_epu32(largest);
}
