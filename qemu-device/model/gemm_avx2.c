// SPDX-License-Identifier: MIT
/*
 * The exact product with AVX2. vpmaddubsw multiplies unsigned by signed bytes and saturates sums of two at 16
 * bits; with |w| and q given the sign of w, both at most 127, two products are at most 32,258.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

/* Columns that stay in registers: two vectors of eight sums, for each of four input vectors. */
#define COLUMNS 16

static __m256i four_inputs(const int8_t *q)
{
	int32_t four;

	memcpy(&four, q, sizeof(four));
	return _mm256_set1_epi32(four);
}

static __m256i accumulate(__m256i sum, __m256i magnitude, __m256i weights, __m256i inputs)
{
	__m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(inputs, weights));

	return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

static __m256i load(const void *from)
{
	return _mm256_loadu_si256(from);
}

static void store(int32_t *to, __m256i lanes)
{
	_mm256_storeu_si256((void *)to, lanes);
}

static void four_vectors(const int8_t *q, size_t q_stride, const uint8_t *weights, uint32_t quads,
			 int32_t *d)
{
	__m256i sum00 = _mm256_setzero_si256(), sum01 = sum00, sum10 = sum00, sum11 = sum00;
	__m256i sum20 = sum00, sum21 = sum00, sum30 = sum00, sum31 = sum00;

	for (uint32_t k = 0; k < quads; k++, q += 4, weights += 4 * KERNEL_COLUMNS) {
		__m256i w0 = load(weights), w1 = load(weights + 32);
		__m256i magnitude0 = _mm256_abs_epi8(w0), magnitude1 = _mm256_abs_epi8(w1);
		__m256i inputs = four_inputs(q);

		sum00 = accumulate(sum00, magnitude0, w0, inputs);
		sum01 = accumulate(sum01, magnitude1, w1, inputs);
		inputs = four_inputs(q + q_stride);
		sum10 = accumulate(sum10, magnitude0, w0, inputs);
		sum11 = accumulate(sum11, magnitude1, w1, inputs);
		inputs = four_inputs(q + 2 * q_stride);
		sum20 = accumulate(sum20, magnitude0, w0, inputs);
		sum21 = accumulate(sum21, magnitude1, w1, inputs);
		inputs = four_inputs(q + 3 * q_stride);
		sum30 = accumulate(sum30, magnitude0, w0, inputs);
		sum31 = accumulate(sum31, magnitude1, w1, inputs);
	}
	store(d, sum00);
	store(d + 8, sum01);
	store(d + KERNEL_COLUMNS, sum10);
	store(d + KERNEL_COLUMNS + 8, sum11);
	store(d + 2 * KERNEL_COLUMNS, sum20);
	store(d + 2 * KERNEL_COLUMNS + 8, sum21);
	store(d + 3 * KERNEL_COLUMNS, sum30);
	store(d + 3 * KERNEL_COLUMNS + 8, sum31);
}

static void one_vector(const int8_t *q, const uint8_t *weights, uint32_t quads, int32_t *d)
{
	__m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;

	for (uint32_t k = 0; k < quads; k++, q += 4, weights += 4 * KERNEL_COLUMNS) {
		__m256i w0 = load(weights), w1 = load(weights + 32), inputs = four_inputs(q);

		sum0 = accumulate(sum0, _mm256_abs_epi8(w0), w0, inputs);
		sum1 = accumulate(sum1, _mm256_abs_epi8(w1), w1, inputs);
	}
	store(d, sum0);
	store(d + 8, sum1);
}

void xbar_gemm_avx2(const int8_t *q, size_t q_stride, const uint8_t *weights, uint32_t quads,
		    const int32_t *sums, size_t sum_stride, uint32_t rows, int32_t *d)
{
	for (; rows >= 4; rows -= 4, q += 4 * q_stride, d += 4 * KERNEL_COLUMNS)
		for (uint32_t c = 0; c < KERNEL_COLUMNS; c += COLUMNS)
			four_vectors(q, q_stride, weights + 4 * c, quads, d + c);
	for (; rows; rows--, q += q_stride, d += KERNEL_COLUMNS)
		for (uint32_t c = 0; c < KERNEL_COLUMNS; c += COLUMNS)
			one_vector(q, weights + 4 * c, quads, d + c);
}
