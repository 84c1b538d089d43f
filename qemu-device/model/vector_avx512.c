// SPDX-License-Identifier: MIT
/*
 * Quantising, finishing and the digital unit with AVX-512. Tails are masked; masked lanes are zero.
 */
#include <immintrin.h>

#include "kernels.h"

static __mmask16 tail(uint32_t left)
{
	return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1);
}

static inline __m512 product(const float *x, const float *f, const float *g, uint32_t i,
			     __mmask16 mask)
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
	uint32_t i = 0;

	for (; i + 16 <= count; i += 16)
		largest = _mm512_max_epu32(largest, magnitude_bits(product(x, f, g, i, 0xffff)));
	if (i < count)
		largest = _mm512_max_epu32(largest,
					   magnitude_bits(product(x, f, g, i, tail(count - i))));
	return _mm512_reduce_max_epu32(largest);
}

static inline __m512i rounded(__m512 product, __m512 inverse)
{
	const __m512 high = _mm512_set1_ps(127.0f), low = _mm512_set1_ps(-127.0f);

	return _mm512_cvtps_epi32(
		_mm512_max_ps(_mm512_min_ps(_mm512_mul_ps(product, inverse), high), low));
}

int32_t xbar_quantise_avx512(const float *x, const float *f, const float *g, float inverse,
			     uint32_t count, int8_t *q)
{
	const __m512 inverses = _mm512_set1_ps(inverse);
	__m512i sum = _mm512_setzero_si512();
	uint32_t i = 0;

	for (; i + 16 <= count; i += 16) {
		__m512i sixteen = rounded(product(x, f, g, i, 0xffff), inverses);

		sum = _mm512_add_epi32(sum, sixteen);
		_mm_storeu_si128((__m128i *)(void *)(q + i), _mm512_cvtepi32_epi8(sixteen));
	}
	if (i < count) {
		__mmask16 mask = tail(count - i);
		__m512i rest = rounded(product(x, f, g, i, mask), inverses);

		sum = _mm512_add_epi32(sum, rest);
		_mm512_mask_cvtepi32_storeu_epi8(q + i, mask, rest);
	}
	return _mm512_reduce_add_epi32(sum);
}

void xbar_spread_avx512(const int8_t *q, uint32_t count, int8_t *spread)
{
	const __m512i fours = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);

	for (uint32_t k = 0; k < count; k += 16, spread += 64) {
		__m512i inputs = _mm512_castsi128_si512(
			_mm_loadu_si128((const __m128i *)(const void *)(q + k)));

		_mm512_storeu_si512(spread, _mm512_permutexvar_epi32(fours, inputs));
	}
}

/* t of sixteen columns from @c on, of which those in @mask are there. */
static inline __attribute__((always_inline)) __m512
finish_lanes(const int32_t *d, __m512 s, const float *scale, const float *before,
	     const float *accumulate, const float *bias, uint32_t c, __mmask16 mask)
{
	__m512 t = _mm512_cvtepi32_ps(_mm512_maskz_loadu_epi32(mask, d + c));

	t = _mm512_mul_ps(t, s);
	if (scale)
		t = _mm512_mul_ps(t, _mm512_maskz_loadu_ps(mask, scale + c));
	if (before)
		t = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, before + c), t);
	if (accumulate)
		t = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, accumulate + c), t);
	if (bias)
		t = _mm512_add_ps(t, _mm512_maskz_loadu_ps(mask, bias + c));
	return t;
}

static inline const float *row_of(const struct floats *floats, uint32_t v)
{
	return floats->first ? floats->first + v * floats->stride : NULL;
}

/* The most frequent case: a whole block of KERNEL_COLUMNS columns, to which nothing but biases is added. */
static inline __attribute__((always_inline)) __m512i finish_block(const struct finish *finish,
								  const int32_t *d,
								  uint32_t vectors, bool scaled,
								  bool biased)
{
	__m512i largest[4] = { _mm512_setzero_si512(), _mm512_setzero_si512(),
			       _mm512_setzero_si512(), _mm512_setzero_si512() };
	__m512 scale[4], bias[4];
	size_t stride = finish->y.stride;
	const float *s = finish->s;
	float *y = finish->y.first;

	for (int i = 0; i < 4; i++) {
		scale[i] = scaled ? _mm512_loadu_ps(finish->scale + 16 * i) : _mm512_setzero_ps();
		bias[i] = biased ? _mm512_loadu_ps(finish->bias + 16 * i) : _mm512_setzero_ps();
	}
	for (; vectors; vectors--, d += KERNEL_COLUMNS, y += stride, s++) {
		__m512 factor = _mm512_set1_ps(*s);

		for (int i = 0; i < 4; i++) {
			__m512 t = _mm512_cvtepi32_ps(_mm512_loadu_si512(d + 16 * i));

			t = _mm512_mul_ps(t, factor);
			if (scaled)
				t = _mm512_mul_ps(t, scale[i]);
			if (biased)
				t = _mm512_add_ps(t, bias[i]);
			_mm512_storeu_ps(y + 16 * i, t);
			largest[i] = _mm512_max_epu32(largest[i], magnitude_bits(t));
		}
	}
	return _mm512_max_epu32(_mm512_max_epu32(largest[0], largest[1]),
				_mm512_max_epu32(largest[2], largest[3]));
}

uint32_t xbar_finish_avx512(const struct finish *finish, const int32_t *d, uint32_t vectors,
			    uint32_t columns)
{
	const float *scale = finish->scale, *bias = finish->bias;
	__m512i largest = _mm512_setzero_si512();
	uint32_t whole = columns / 16 * 16;
	__mmask16 mask = tail(columns - whole);

	if (columns == KERNEL_COLUMNS && !finish->before.first && !finish->accumulate.first) {
		if (scale && bias)
			largest = finish_block(finish, d, vectors, true, true);
		else if (scale)
			largest = finish_block(finish, d, vectors, true, false);
		else
			largest = finish_block(finish, d, vectors, false, bias);
		return _mm512_reduce_max_epu32(largest);
	}
	for (uint32_t v = 0; v < vectors; v++, d += KERNEL_COLUMNS) {
		const float *before = row_of(&finish->before, v);
		const float *accumulate = row_of(&finish->accumulate, v);
		float *y = finish->y.first + v * finish->y.stride;
		__m512 s = _mm512_set1_ps(finish->s[v]);

		for (uint32_t c = 0; c < whole; c += 16) {
			__m512 t = finish_lanes(d, s, scale, before, accumulate, bias, c, 0xffff);

			_mm512_storeu_ps(y + c, t);
			largest = _mm512_max_epu32(largest, magnitude_bits(t));
		}
		if (mask) {
			__m512 t = finish_lanes(d, s, scale, before, accumulate, bias, whole, mask);

			_mm512_mask_storeu_ps(y + whole, mask, t);
			largest = _mm512_mask_max_epu32(largest, mask, largest, magnitude_bits(t));
		}
	}
	return _mm512_reduce_max_epu32(largest);
}

static inline __m512 fuse_lanes(const float *x, const float *scale, const float *bias,
				bool accumulate, const float *y, uint32_t c, __mmask16 mask)
{
	__m512 t = product(x, scale, NULL, c, mask);

	if (bias)
		t = _mm512_add_ps(t, _mm512_maskz_loadu_ps(mask, bias + c));
	if (accumulate)
		t = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y + c), t);
	return t;
}

uint32_t xbar_fuse_avx512(const float *x, const float *scale, const float *bias, bool accumulate,
			  uint32_t count, float *y)
{
	__m512i largest = _mm512_setzero_si512();
	uint32_t c = 0;

	for (; c + 16 <= count; c += 16) {
		__m512 t = fuse_lanes(x, scale, bias, accumulate, y, c, 0xffff);

		_mm512_storeu_ps(y + c, t);
		largest = _mm512_max_epu32(largest, magnitude_bits(t));
	}
	if (c < count) {
		__mmask16 mask = tail(count - c);
		__m512 t = fuse_lanes(x, scale, bias, accumulate, y, c, mask);

		_mm512_mask_storeu_ps(y + c, mask, t);
		largest = _mm512_mask_max_epu32(largest, mask, largest, magnitude_bits(t));
	}
	return _mm512_reduce_max_epu32(largest);
}
