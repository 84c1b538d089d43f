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

/* Sixteen columns of all vectors. */
static inline __m512i finish_columns(const struct finish *finish, const int32_t *d,
				     uint32_t vectors, uint32_t c, __mmask16 mask, __m512i largest)
{
	const __m512 scale = finish->scale ? _mm512_maskz_loadu_ps(mask, finish->scale + c)
					   : _mm512_setzero_ps();
	const __m512 bias =
		finish->bias ? _mm512_maskz_loadu_ps(mask, finish->bias + c) : _mm512_setzero_ps();
	const float *before = finish->before.first, *accumulate = finish->accumulate.first;
	float *y = finish->y.first + c;

	d += c;
	for (uint32_t v = 0; v < vectors; v++, d += KERNEL_COLUMNS, y += finish->y.stride) {
		__m512 t = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, d));

		t = _mm512_mul_ps(t, _mm512_set1_ps(finish->s[v]));
		if (finish->scale)
			t = _mm512_mul_ps(t, scale);
		if (before)
			t = _mm512_add_ps(
				_mm512_maskz_loadu_ps(mask, before + v * finish->before.stride + c),
				t);
		if (accumulate)
			t = _mm512_add_ps(
				_mm512_maskz_loadu_ps(
					mask, accumulate + v * finish->accumulate.stride + c),
				t);
		if (finish->bias)
			t = _mm512_add_ps(t, bias);
		_mm512_mask_storeu_ps(y, mask, t);
		largest = _mm512_mask_max_epu32(largest, mask, largest, magnitude_bits(t));
	}
	return largest;
}

uint32_t xbar_finish_avx512(const struct finish *finish, const int32_t *d, uint32_t vectors,
			    uint32_t columns)
{
	__m512i largest = _mm512_setzero_si512();

	for (uint32_t c = 0; c < columns; c += 16)
		largest = finish_columns(finish, d, vectors, c, tail(columns - c), largest);
	return _mm512_reduce_max_epu32(largest);
}
