// SPDX-License-Identifier: MIT
/*
 * The exact product with AVX-512 VNNI, forward. vpdpbusd multiplies unsigned by signed bytes, so weights have their sign
 * bits flipped, which adds 128, and the accumulators start at -128 times the sum of the inputs. Six vectors by 64
 * columns stay in registers: 24 accumulators, 4 of weights, one of inputs and the flip; each is a variable of its own,
 * because compilers spill arrays of them. A run of weights is fetched while the one before is used.
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

#define START(v)                                                            \
	__m512i sum##v##0, sum##v##1, sum##v##2, sum##v##3;                 \
	const int8_t *q##v = q + (v)*q_stride;                              \
	if (more) {                                                         \
		sum##v##0 = load(d + (v)*KERNEL_COLUMNS);                   \
		sum##v##1 = load(d + (v)*KERNEL_COLUMNS + 16);              \
		sum##v##2 = load(d + (v)*KERNEL_COLUMNS + 32);              \
		sum##v##3 = load(d + (v)*KERNEL_COLUMNS + 48);              \
	} else {                                                            \
		sum##v##0 = _mm512_set1_epi32(-128 * sums[(v)*sum_stride]); \
		sum##v##1 = sum##v##2 = sum##v##3 = sum##v##0;              \
	}

#define STEP(v)                                                \
	input = four_inputs(q##v + k);                         \
	sum##v##0 = _mm512_dpbusd_epi32(sum##v##0, w0, input); \
	sum##v##1 = _mm512_dpbusd_epi32(sum##v##1, w1, input); \
	sum##v##2 = _mm512_dpbusd_epi32(sum##v##2, w2, input); \
	sum##v##3 = _mm512_dpbusd_epi32(sum##v##3, w3, input);

#define STORE(v)                                                     \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS, sum##v##0);      \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS + 16, sum##v##1); \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS + 32, sum##v##2); \
	_mm512_storeu_si512(d + (v)*KERNEL_COLUMNS + 48, sum##v##3);

static inline __m512i load(const void *from)
{
	return _mm512_loadu_si512(from);
}

static inline __m512i four_inputs(const int8_t *q)
{
	int32_t four;

	memcpy(&four, q, sizeof(four));
	return _mm512_set1_epi32(four);
}

static inline void fetch(const uint8_t *weights)
{
	_mm_prefetch((const char *)weights, _MM_HINT_T0);
}

#define DEFINE_ROWS(number)                                                                      \
	static void rows_##number(const int8_t *q, size_t q_stride, const struct strip *strip,   \
				  const int32_t *sums, size_t sum_stride, bool more, int32_t *d) \
	{                                                                                        \
		const __m512i flip = _mm512_set1_epi8((char)0x80);                               \
		const size_t stride = strip->stride;                                             \
		size_t k = 0, end = 0;                                                           \
                                                                                                 \
		ROWS_##number(START) for (uint32_t run = 0; run < strip->count; run++)           \
		{                                                                                \
			const uint8_t *const *const pointers = strip->runs[run];                 \
			const uint8_t *p0 = pointers[0], *p1 = pointers[1];                      \
			const uint8_t *p2 = pointers[2], *p3 = pointers[3];                      \
			const uint8_t *const *const following = strip->runs[run + 1];            \
			const uint8_t *n0 = following[0], *n1 = following[1];                    \
			const uint8_t *n2 = following[2], *n3 = following[3];                    \
                                                                                                 \
			end += run + 1 < strip->count ? strip->inputs : strip->last_inputs;      \
			for (; k < end; k += 4) {                                                \
				__m512i w0 = _mm512_xor_si512(load(p0), flip);                   \
				__m512i w1 = _mm512_xor_si512(load(p1), flip);                   \
				__m512i w2 = _mm512_xor_si512(load(p2), flip);                   \
				__m512i w3 = _mm512_xor_si512(load(p3), flip);                   \
				__m512i input;                                                   \
                                                                                                 \
				ROWS_##number(STEP) if (number == 1)                             \
				{                                                                \
					fetch(n0);                                               \
					fetch(n1);                                               \
					fetch(n2);                                               \
					fetch(n3);                                               \
				}                                                                \
				p0 += stride;                                                    \
				p1 += stride;                                                    \
				p2 += stride;                                                    \
				p3 += stride;                                                    \
			}                                                                        \
		}                                                                                \
		ROWS_##number(STORE)                                                             \
	}

DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)

void xbar_gemm_avx512(const int8_t *q, size_t q_stride, const struct strip *strip,
		      const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more,
		      int32_t *d)
{
	for (; vectors >= 6; vectors -= 6) {
		rows_6(q, q_stride, strip, sums, sum_stride, more, d);
		q += 6 * q_stride;
		sums += 6 * sum_stride;
		d += 6 * KERNEL_COLUMNS;
	}
	switch (vectors) {
	case 1:
		rows_1(q, q_stride, strip, sums, sum_stride, more, d);
		break;
	case 2:
		rows_2(q, q_stride, strip, sums, sum_stride, more, d);
		break;
	case 3:
		rows_3(q, q_stride, strip, sums, sum_stride, more, d);
		break;
	case 4:
		rows_4(q, q_stride, strip, sums, sum_stride, more, d);
		break;
	case 5:
		rows_5(q, q_stride, strip, sums, sum_stride, more, d);
		break;
	default:
		break;
	}
}
