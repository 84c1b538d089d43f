// SPDX-License-Identifier: MIT
/*
 * Quantising, finishing and the digital unit with AVX2. Tails go through the scalar kernels.
 */
#include <immintrin.h>

#include "kernels.h"

static __m256 product(const float *x, const float *f, const float *g, uint32_t i)
{
	__m256 value = _mm256_loadu_ps(x + i);

	if (f)
		value = _mm256_mul_ps(value, _mm256_loadu_ps(f + i));
	if (g)
		value = _mm256_mul_ps(value, _mm256_loadu_ps(g + i));
	return value;
}

static const float *at(const float *array, uint32_t index)
{
	return array ? array + index : NULL;
}

static __m256i magnitude_bits(__m256 value)
{
	return _mm256_and_si256(_mm256_castps_si256(value), _mm256_set1_epi32(0x7fffffff));
}

static uint32_t largest_of(__m256i lanes)
{
	__m128i half =
		_mm_max_epu32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));

	half = _mm_max_epu32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2)));
	half = _mm_max_epu32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(2, 3, 0, 1)));
	return (uint32_t)_mm_cvtsi128_si32(half);
}

uint32_t xbar_magnitude_avx2(const float *x, const float *f, const float *g, uint32_t count)
{
	uint32_t whole = count / 8 * 8, largest, rest;
	__m256i lanes = _mm256_setzero_si256();

	for (uint32_t i = 0; i < whole; i += 8)
		lanes = _mm256_max_epu32(lanes, magnitude_bits(product(x, f, g, i)));
	largest = largest_of(lanes);
	rest = xbar_magnitude_scalar(x + whole, at(f, whole), at(g, whole), count - whole);
	return rest > largest ? rest : largest;
}

int32_t xbar_quantise_avx2(const float *x, const float *f, const float *g, float inverse,
			   uint32_t count, int8_t *q)
{
	const __m256 high = _mm256_set1_ps(127.0f), low = _mm256_set1_ps(-127.0f);
	uint32_t whole = count / 8 * 8;
	__m256i sums = _mm256_setzero_si256();
	__m128i half;

	for (uint32_t i = 0; i < whole; i += 8) {
		__m256 value = _mm256_mul_ps(product(x, f, g, i), _mm256_set1_ps(inverse));
		__m256i rounded =
			_mm256_cvtps_epi32(_mm256_max_ps(_mm256_min_ps(value, high), low));
		__m128i words = _mm_packs_epi32(_mm256_castsi256_si128(rounded),
						_mm256_extracti128_si256(rounded, 1));

		sums = _mm256_add_epi32(sums, rounded);
		_mm_storel_epi64((__m128i *)(void *)(q + i), _mm_packs_epi16(words, words));
	}
	half = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(1, 0, 3, 2)));
	half = _mm_add_epi32(half, _mm_shuffle_epi32(half, _MM_SHUFFLE(2, 3, 0, 1)));
	return _mm_cvtsi128_si32(half) + xbar_quantise_scalar(x + whole, at(f, whole), at(g, whole),
							      inverse, count - whole, q + whole);
}

void xbar_spread_avx2(const int8_t *q, uint32_t count, int8_t *spread)
{
	const __m256i low = _mm256_set_epi32(1, 1, 1, 1, 0, 0, 0, 0);
	const __m256i high = _mm256_set_epi32(3, 3, 3, 3, 2, 2, 2, 2);

	for (uint32_t k = 0; k < count; k += 16, spread += 64) {
		__m256i inputs = _mm256_castsi128_si256(
			_mm_loadu_si128((const __m128i *)(const void *)(q + k)));

		_mm256_storeu_si256((__m256i *)(void *)spread,
				    _mm256_permutevar8x32_epi32(inputs, low));
		_mm256_storeu_si256((__m256i *)(void *)(spread + 32),
				    _mm256_permutevar8x32_epi32(inputs, high));
	}
}

/* The numbers of vector @v from column @c on. */
static const float *numbers(const struct floats *floats, uint32_t v, uint32_t c)
{
	return floats->first ? floats->first + v * floats->stride + c : NULL;
}

uint32_t xbar_finish_avx2(const struct finish *finish, const int32_t *d, uint32_t vectors,
			  uint32_t columns)
{
	uint32_t whole = columns / 8 * 8, largest, rest;
	__m256i lanes = _mm256_setzero_si256();
	struct finish remainder = *finish;

	for (uint32_t v = 0; v < vectors; v++) {
		const __m256 s = _mm256_set1_ps(finish->s[v]);
		const float *before = numbers(&finish->before, v, 0);
		const float *accumulate = numbers(&finish->accumulate, v, 0);
		float *y = finish->y.first + v * finish->y.stride;

		for (uint32_t c = 0; c < whole; c += 8) {
			const int32_t *from = d + (size_t)v * KERNEL_COLUMNS + c;
			__m256 t = _mm256_cvtepi32_ps(
				_mm256_loadu_si256((const __m256i *)(const void *)from));

			t = _mm256_mul_ps(t, s);
			if (finish->scale)
				t = _mm256_mul_ps(t, _mm256_loadu_ps(finish->scale + c));
			if (before)
				t = _mm256_add_ps(_mm256_loadu_ps(before + c), t);
			if (accumulate)
				t = _mm256_add_ps(_mm256_loadu_ps(accumulate + c), t);
			if (finish->bias)
				t = _mm256_add_ps(t, _mm256_loadu_ps(finish->bias + c));
			_mm256_storeu_ps(y + c, t);
			lanes = _mm256_max_epu32(lanes, magnitude_bits(t));
		}
	}
	largest = largest_of(lanes);
	if (whole == columns)
		return largest;
	remainder.scale = at(finish->scale, whole);
	remainder.before.first = (float *)numbers(&finish->before, 0, whole);
	remainder.accumulate.first = (float *)numbers(&finish->accumulate, 0, whole);
	remainder.bias = at(finish->bias, whole);
	remainder.y.first += whole;
	rest = xbar_finish_scalar(&remainder, d + whole, vectors, columns - whole);
	return rest > largest ? rest : largest;
}

uint32_t xbar_fuse_avx2(const float *x, const float *scale, const float *bias, bool accumulate,
			uint32_t count, float *y)
{
	uint32_t whole = count / 8 * 8, largest, rest;
	__m256i lanes = _mm256_setzero_si256();

	for (uint32_t c = 0; c < whole; c += 8) {
		__m256 t = product(x, scale, NULL, c);

		if (bias)
			t = _mm256_add_ps(t, _mm256_loadu_ps(bias + c));
		if (accumulate)
			t = _mm256_add_ps(_mm256_loadu_ps(y + c), t);
		_mm256_storeu_ps(y + c, t);
		lanes = _mm256_max_epu32(lanes, magnitude_bits(t));
	}
	largest = largest_of(lanes);
	rest = xbar_fuse_scalar(x + whole, at(scale, whole), at(bias, whole), accumulate,
				count - whole, y + whole);
	return rest > largest ? rest : largest;
}
