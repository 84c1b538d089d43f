// SPDX-License-Identifier: MIT
/*
 * The exact product with AVX2. vpmaddubsw multiplies unsigned by signed bytes and saturates sums of two at 16
 * bits; with |w| and q given the sign of w, both at most 127, two products are at most 32,258.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

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

/* Eight columns by four rows in lanes of four columns: a dword becomes four columns of one row. */
static __m256i load_rows(const void *from)
{
	const __m256i columns = _mm256_set_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400,
						 0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400);

	return _mm256_shuffle_epi8(load(from), columns);
}

static uint32_t inputs_of(const struct strip *strip, uint32_t run)
{
	return run + 1 < strip->count ? strip->inputs : strip->last_inputs;
}

static __m256i load_sums(const int32_t *d, bool more)
{
	return more ? load(d) : _mm256_setzero_si256();
}

static void store_sums(int32_t *d, __m256i sums)
{
	_mm256_storeu_si256((void *)d, sums);
}

/* 16 columns of four vectors: two registers of eight sums each. */
static void four_vectors(const int8_t *q, size_t q_stride, const struct strip *strip,
			 uint32_t pointer, bool more, int32_t *d)
{
	int32_t *d1 = d + KERNEL_COLUMNS, *d2 = d1 + KERNEL_COLUMNS, *d3 = d2 + KERNEL_COLUMNS;
	__m256i sum00 = load_sums(d, more), sum01 = load_sums(d + 8, more);
	__m256i sum10 = load_sums(d1, more), sum11 = load_sums(d1 + 8, more);
	__m256i sum20 = load_sums(d2, more), sum21 = load_sums(d2 + 8, more);
	__m256i sum30 = load_sums(d3, more), sum31 = load_sums(d3 + 8, more);

	for (uint32_t run = 0; run < strip->count; run++) {
		const uint8_t *weights = strip->runs[run][pointer];
		const int8_t *end = q + inputs_of(strip, run);

		for (; q < end; q += 4, weights += strip->stride) {
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
	}
	store_sums(d, sum00);
	store_sums(d + 8, sum01);
	store_sums(d1, sum10);
	store_sums(d1 + 8, sum11);
	store_sums(d2, sum20);
	store_sums(d2 + 8, sum21);
	store_sums(d3, sum30);
	store_sums(d3 + 8, sum31);
}

static void one_vector(const int8_t *q, const struct strip *strip, uint32_t pointer, bool more,
		       int32_t *d)
{
	__m256i sum0 = load_sums(d, more), sum1 = load_sums(d + 8, more);

	for (uint32_t run = 0; run < strip->count; run++) {
		const uint8_t *weights = strip->runs[run][pointer];
		const int8_t *end = q + inputs_of(strip, run);

		for (; q < end; q += 4, weights += strip->stride) {
			__m256i w0 = load(weights), w1 = load(weights + 32);
			__m256i inputs = four_inputs(q);

			sum0 = accumulate(sum0, _mm256_abs_epi8(w0), w0, inputs);
			sum1 = accumulate(sum1, _mm256_abs_epi8(w1), w1, inputs);
		}
	}
	store_sums(d, sum0);
	store_sums(d + 8, sum1);
}

void xbar_gemm_avx2(const int8_t *q, size_t q_stride, const struct strip *strip,
		    const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more, int32_t *d)
{
	for (; vectors >= 4; vectors -= 4, q += 4 * q_stride, d += 4 * KERNEL_COLUMNS)
		for (uint32_t i = 0; i < KERNEL_POINTERS; i++)
			four_vectors(q, q_stride, strip, i, more, d + i * KERNEL_LANES);
	for (; vectors; vectors--, q += q_stride, d += KERNEL_COLUMNS)
		for (uint32_t i = 0; i < KERNEL_POINTERS; i++)
			one_vector(q, strip, i, more, d + i * KERNEL_LANES);
}

/* Four rows of one vector: the two lanes of a register hold the sums of every other four columns. */
static void store_rows(int32_t *d, __m256i lanes, bool more)
{
	__m128i four =
		_mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));

	if (more)
		four = _mm_add_epi32(four, _mm_loadu_si128((const void *)d));
	_mm_storeu_si128((void *)d, four);
}

/* Eight rows of four vectors, in two registers each. */
static void four_vectors_transpose(const int8_t *q, size_t q_stride, const struct strip *strip,
				   uint32_t pointer, size_t offset, bool more, int32_t *d)
{
	__m256i sum00 = _mm256_setzero_si256(), sum01 = sum00, sum10 = sum00, sum11 = sum00;
	__m256i sum20 = sum00, sum21 = sum00, sum30 = sum00, sum31 = sum00;

	for (uint32_t run = 0; run < strip->count; run++) {
		const uint8_t *weights = strip->runs[run][pointer] + offset;
		const int8_t *end = q + 4 * (size_t)inputs_of(strip, run);

		for (; q < end; q += 32, weights += 32) {
			__m256i w0 = load_rows(weights), w1 = load_rows(weights + strip->stride);
			__m256i magnitude0 = _mm256_abs_epi8(w0), magnitude1 = _mm256_abs_epi8(w1);
			__m256i inputs = load(q);

			sum00 = accumulate(sum00, magnitude0, w0, inputs);
			sum01 = accumulate(sum01, magnitude1, w1, inputs);
			inputs = load(q + q_stride);
			sum10 = accumulate(sum10, magnitude0, w0, inputs);
			sum11 = accumulate(sum11, magnitude1, w1, inputs);
			inputs = load(q + 2 * q_stride);
			sum20 = accumulate(sum20, magnitude0, w0, inputs);
			sum21 = accumulate(sum21, magnitude1, w1, inputs);
			inputs = load(q + 3 * q_stride);
			sum30 = accumulate(sum30, magnitude0, w0, inputs);
			sum31 = accumulate(sum31, magnitude1, w1, inputs);
		}
	}
	store_rows(d, sum00, more);
	store_rows(d + 4, sum01, more);
	store_rows(d + KERNEL_COLUMNS, sum10, more);
	store_rows(d + KERNEL_COLUMNS + 4, sum11, more);
	store_rows(d + 2 * KERNEL_COLUMNS, sum20, more);
	store_rows(d + 2 * KERNEL_COLUMNS + 4, sum21, more);
	store_rows(d + 3 * KERNEL_COLUMNS, sum30, more);
	store_rows(d + 3 * KERNEL_COLUMNS + 4, sum31, more);
}

static void one_vector_transpose(const int8_t *q, const struct strip *strip, uint32_t pointer,
				 size_t offset, bool more, int32_t *d)
{
	__m256i sum0 = _mm256_setzero_si256(), sum1 = sum0;

	for (uint32_t run = 0; run < strip->count; run++) {
		const uint8_t *weights = strip->runs[run][pointer] + offset;
		const int8_t *end = q + 4 * (size_t)inputs_of(strip, run);

		for (; q < end; q += 32, weights += 32) {
			__m256i w0 = load_rows(weights), w1 = load_rows(weights + strip->stride);
			__m256i inputs = load(q);

			sum0 = accumulate(sum0, _mm256_abs_epi8(w0), w0, inputs);
			sum1 = accumulate(sum1, _mm256_abs_epi8(w1), w1, inputs);
		}
	}
	store_rows(d, sum0, more);
	store_rows(d + 4, sum1, more);
}

void xbar_gemm_transpose_avx2(const int8_t *q, size_t q_stride, const struct strip *strip,
			      const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more,
			      int32_t *d)
{
	for (; vectors; d += KERNEL_COLUMNS) {
		bool four = vectors >= 4;

		for (uint32_t row = 0; row < KERNEL_COLUMNS; row += 8) {
			uint32_t pointer = row / KERNEL_LANES;
			size_t offset = row % KERNEL_LANES / 4 * strip->stride;

			if (four)
				four_vectors_transpose(q, q_stride, strip, pointer, offset, more,
						       d + row);
			else
				one_vector_transpose(q, strip, pointer, offset, more, d + row);
		}
		if (four)
			d += 3 * KERNEL_COLUMNS;
		q += (four ? 4 : 1) * q_stride;
		vectors -= four ? 4 : 1;
	}
}
