// SPDX-License-Identifier: MIT
/*
 * The exact product with AVX-512 VNNI: vpdpbusd multiplies unsigned by signed bytes, so the weights come plus 128 and the
 * accumulators start at -128 times the sum of the inputs. Six vectors by 64 columns stay in registers: 24
 * accumulators, 4 of weights and one input; each is a variable of its own, because compilers spill arrays of them.
 */
#include <immintrin.h>
#include <string.h>

#include "kernels.h"

#define ROWS_1(DO) DO(0)
#define ROWS_2(DO) ROWS_1(DO) DO(1)
#define ROWS_3(DO) ROWS_2(DO) DO(2)
#define ROWS_4(DO) ROWS_3(DO) DO(3)
#define ROWS_5(DO) ROWS_4(DO) DO(4)
#define ROWS_6(DO) ROWS_5(DO) DO(5)

#define START(v)                                                                     \
	__m512i sum##v##0 = _mm512_set1_epi32(-128 * sums[(v)*sum_stride]);          \
	__m512i sum##v##1 = sum##v##0, sum##v##2 = sum##v##0, sum##v##3 = sum##v##0; \
	const int8_t *q##v = q + (v)*q_stride;

#define STEP(v)                                                \
	input = four_inputs(q##v + 4 * (size_t)k);             \
	sum##v##0 = _mm512_dpbusd_epi32(sum##v##0, w0, input); \
	sum##v##1 = _mm512_dpbusd_epi32(sum##v##1, w1, input); \
	sum##v##2 = _mm512_dpbusd_epi32(sum##v##2, w2, input); \
	sum##v##3 = _mm512_dpbusd_epi32(sum##v##3, w3, input);

#define STORE(v)                                                     \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS, sum##v##0);      \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS + 16, sum##v##1); \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS + 32, sum##v##2); \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS + 48, sum##v##3);

static inline __m512i four_inputs(const int8_t *q)
{
	int32_t four;

	memcpy(&four, q, sizeof(four));
	return _mm512_set1_epi32(four);
}

#define DEFINE_ROWS(count)                                                                 \
	static void rows_##count(const int8_t *q, size_t q_stride, const uint8_t *weights, \
				 uint32_t quads, const int32_t *sums, size_t sum_stride,   \
				 int32_t *d)                                               \
	{                                                                                  \
		ROWS_##count(START) for (uint32_t k = 0; k < quads; k++)                   \
		{                                                                          \
			const uint8_t *w = weights + (size_t)k * 4 * KERNEL_COLUMNS;       \
			__m512i w0 = _mm512_loadu_si512(w);                                \
			__m512i w1 = _mm512_loadu_si512(w + 64);                           \
			__m512i w2 = _mm512_loadu_si512(w + 128);                          \
			__m512i w3 = _mm512_loadu_si512(w + 192);                          \
			__m512i input;                                                     \
                                                                                           \
			ROWS_##count(STEP)                                                 \
		}                                                                          \
		ROWS_##count(STORE)                                                        \
	}

DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)

void xbar_gemm_avx512(const int8_t *q, size_t q_stride, const uint8_t *weights, uint32_t quads,
		      const int32_t *sums, size_t sum_stride, uint32_t rows, int32_t *d)
{
	for (; rows >= 6; rows -= 6) {
		rows_6(q, q_stride, weights, quads, sums, sum_stride, d);
		q += 6 * q_stride;
		sums += 6 * sum_stride;
		d += 6 * KERNEL_COLUMNS;
	}
	switch (rows) {
	case 1:
		rows_1(q, q_stride, weights, quads, sums, sum_stride, d);
		break;
	case 2:
		rows_2(q, q_stride, weights, quads, sums, sum_stride, d);
		break;
	case 3:
		rows_3(q, q_stride, weights, quads, sums, sum_stride, d);
		break;
	case 4:
		rows_4(q, q_stride, weights, quads, sums, sum_stride, d);
		break;
	case 5:
		rows_5(q, q_stride, weights, quads, sums, sum_stride, d);
		break;
	default:
		break;
	}
}
