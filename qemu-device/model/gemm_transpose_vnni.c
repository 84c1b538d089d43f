// SPDX-License-Identifier: MIT
/*
 * The exact product with AVX-512 VNNI in transpose, from the same bytes as forward (gemm_vnni.c). A register shows four
 * rows of 16 columns; shuffled, each of its four lanes holds four rows of four columns, a dword a row, and is
 * multiplied by the inputs of its columns. The lanes are added at the end. Six vectors by 16 rows stay in registers: 24
 * accumulators, 4 of weights, one of inputs and two constants. One vector alone takes all 64 rows at once, so that what
 * lies together in memory is read together.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

#define ROWS_2(DO) DO(0) DO(1)
#define ROWS_3(DO) ROWS_2(DO) DO(2)
#define ROWS_4(DO) ROWS_3(DO) DO(3)
#define ROWS_5(DO) ROWS_4(DO) DO(4)
#define ROWS_6(DO) ROWS_5(DO) DO(5)

#define START(v)                                                                     \
	__m512i sum##v##0 = _mm512_setzero_si512();                                  \
	__m512i sum##v##1 = sum##v##0, sum##v##2 = sum##v##0, sum##v##3 = sum##v##0; \
	const int8_t *q##v = q + (v)*q_stride;

#define STEP(v)                                                \
	input = _mm512_loadu_si512(q##v + 4 * k);              \
	sum##v##0 = _mm512_dpbusd_epi32(sum##v##0, w0, input); \
	sum##v##1 = _mm512_dpbusd_epi32(sum##v##1, w1, input); \
	sum##v##2 = _mm512_dpbusd_epi32(sum##v##2, w2, input); \
	sum##v##3 = _mm512_dpbusd_epi32(sum##v##3, w3, input);

#define STORE(v)                                                                             \
	store(d + (v)*KERNEL_COLUMNS, add_lanes(sum##v##0, sum##v##1, sum##v##2, sum##v##3), \
	      sums[(v)*sum_stride], more);

/* Shuffles four columns of four rows to four rows of four columns. */
static inline __m512i columns_of_rows(void)
{
	return _mm512_broadcast_i32x4(
		_mm_set_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400));
}

static inline __m512i load_rows(const uint8_t *weights, __m512i flip, __m512i columns)
{
	return _mm512_shuffle_epi8(_mm512_xor_si512(_mm512_loadu_si512(weights), flip), columns);
}

/* Lane i of the result is the sum of the lanes of argument i. */
static inline __m512i add_lanes(__m512i a, __m512i b, __m512i c, __m512i d)
{
	__m512i ab = _mm512_add_epi32(_mm512_shuffle_i32x4(a, b, 0x44),
				      _mm512_shuffle_i32x4(a, b, 0xee));
	__m512i cd = _mm512_add_epi32(_mm512_shuffle_i32x4(c, d, 0x44),
				      _mm512_shuffle_i32x4(c, d, 0xee));

	return _mm512_add_epi32(_mm512_shuffle_i32x4(ab, cd, 0x88),
				_mm512_shuffle_i32x4(ab, cd, 0xdd));
}

static inline void store(int32_t *d, __m512i products, int32_t sum, bool more)
{
	__m512i before = more ? _mm512_loadu_si512(d) : _mm512_set1_epi32(-128 * sum);

	_mm512_storeu_si512(d, _mm512_add_epi32(products, before));
}

/* @pointer of the strip: 16 rows. */
#define DEFINE_ROWS(number)                                                                    \
	static void rows_##number(const int8_t *q, size_t q_stride, const struct strip *strip, \
				  uint32_t pointer, const int32_t *sums, size_t sum_stride,    \
				  bool more, int32_t *d)                                       \
	{                                                                                      \
		const __m512i flip = _mm512_set1_epi8((char)0x80);                             \
		const __m512i columns = _mm512_broadcast_i32x4(                                \
			_mm_set_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400));        \
		const size_t stride = strip->stride;                                           \
		size_t k = 0, end = 0;                                                         \
                                                                                               \
		ROWS_##number(START) for (uint32_t run = 0; run < strip->count; run++)         \
		{                                                                              \
			const uint8_t *p = strip->runs[run][pointer];                          \
                                                                                               \
			end += run + 1 < strip->count ? strip->inputs : strip->last_inputs;    \
			for (; k < end; k += 16, p += 64) {                                    \
				__m512i w0 = load_rows(p, flip, columns);                      \
				__m512i w1 = load_rows(p + stride, flip, columns);             \
				__m512i w2 = load_rows(p + 2 * stride, flip, columns);         \
				__m512i w3 = load_rows(p + 3 * stride, flip, columns);         \
				__m512i input;                                                 \
                                                                                               \
				ROWS_##number(STEP)                                            \
			}                                                                      \
		}                                                                              \
		ROWS_##number(STORE)                                                           \
	}

DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)

/* Sixteen rows of one vector; @next is where the run after this one begins. */
static inline void sixteen_rows(const uint8_t *p, const uint8_t *next, size_t stride, __m512i flip,
				__m512i columns, __m512i input, __m512i sums[4])
{
	for (int i = 0; i < 4; i++, p += stride, next += stride) {
		_mm_prefetch((const char *)next, _MM_HINT_T0);
		sums[i] = _mm512_dpbusd_epi32(sums[i], load_rows(p, flip, columns), input);
	}
}

static void one_vector(const int8_t *q, const struct strip *strip, int32_t sum, bool more,
		       int32_t *d)
{
	const __m512i flip = _mm512_set1_epi8((char)0x80), columns = columns_of_rows();
	__m512i sums0[4], sums1[4], sums2[4], sums3[4];

	for (int i = 0; i < 4; i++)
		sums0[i] = sums1[i] = sums2[i] = sums3[i] = _mm512_setzero_si512();
	for (uint32_t run = 0; run < strip->count; run++) {
		const uint8_t *const *p = strip->runs[run], *const *next = strip->runs[run + 1];
		size_t inputs = run + 1 < strip->count ? strip->inputs : strip->last_inputs;

		for (size_t k = 0; k < 4 * inputs; k += 64) {
			__m512i input = _mm512_loadu_si512(q + k);

			sixteen_rows(p[0] + k, next[0] + k, strip->stride, flip, columns, input,
				     sums0);
			sixteen_rows(p[1] + k, next[1] + k, strip->stride, flip, columns, input,
				     sums1);
			sixteen_rows(p[2] + k, next[2] + k, strip->stride, flip, columns, input,
				     sums2);
			sixteen_rows(p[3] + k, next[3] + k, strip->stride, flip, columns, input,
				     sums3);
		}
		q += 4 * inputs;
	}
	store(d, add_lanes(sums0[0], sums0[1], sums0[2], sums0[3]), sum, more);
	store(d + 16, add_lanes(sums1[0], sums1[1], sums1[2], sums1[3]), sum, more);
	store(d + 32, add_lanes(sums2[0], sums2[1], sums2[2], sums2[3]), sum, more);
	store(d + 48, add_lanes(sums3[0], sums3[1], sums3[2], sums3[3]), sum, more);
}

void xbar_gemm_transpose_avx512(const int8_t *q, size_t q_stride, const struct strip *strip,
				const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more,
				int32_t *d)
{
	static void (*const rows[])(const int8_t *, size_t, const struct strip *, uint32_t,
				    const int32_t *, size_t, bool, int32_t *) = {
		rows_2, rows_3, rows_4, rows_5, rows_6,
	};
	uint32_t count;

	for (; vectors; vectors -= count) {
		count = vectors < 6 ? vectors : 6;
		if (count == 1)
			one_vector(q, strip, *sums, more, d);
		else
			for (uint32_t i = 0; i < KERNEL_POINTERS; i++)
				rows[count - 2](q, q_stride, strip, i, sums, sum_stride, more,
						d + i * KERNEL_LANES);
		q += count * q_stride;
		sums += count * sum_stride;
		d += (size_t)count * KERNEL_COLUMNS;
	}
}
