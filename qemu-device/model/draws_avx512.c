// SPDX-License-Identifier: MIT
/*
 * Many draws, sixteen blocks and eight Gaussians together, by the same operations in the same order as philox.c and maths.c.
 */
#include <immintrin.h>
#include <string.h>

#include "draws.h"
#include "maths.h"
#include "maths_tables.h"
#include "philox.h"

/* Both halves of the products of sixteen words with one. */
static inline void multiply(__m512i words, uint32_t by, __m512i *low, __m512i *high)
{
	__m512i factor = _mm512_set1_epi32((int)by);
	__m512i even = _mm512_mul_epu32(words, factor);
	__m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(words, 32), factor);

	*low = _mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32));
	*high = _mm512_mask_mov_epi32(_mm512_srli_epi64(even, 32), 0xaaaa, odd);
}

void xbar_draw_blocks_avx512(const uint32_t *first, const uint32_t rest[3], const uint32_t key[2],
			     uint32_t count, struct draws *draws)
{
	for (uint32_t i = 0; i < count; i += 16) {
		uint32_t left = count - i;
		__mmask16 inside = left < 16 ? (__mmask16)((1u << left) - 1) : 0xffff;
		__m512i c0 = _mm512_maskz_loadu_epi32(inside, first + i);
		__m512i c1 = _mm512_set1_epi32((int)rest[0]), c2 = _mm512_set1_epi32((int)rest[1]);
		__m512i c3 = _mm512_set1_epi32((int)rest[2]);
		uint32_t k0 = key[0], k1 = key[1];

		for (int round = 0; round < PHILOX_ROUNDS; round++) {
			__m512i low0, high0, low1, high1;

			multiply(c0, PHILOX_MULTIPLIER_0, &low0, &high0);
			multiply(c2, PHILOX_MULTIPLIER_1, &low1, &high1);
			c0 = _mm512_xor_si512(_mm512_xor_si512(high1, c1),
					      _mm512_set1_epi32((int)k0));
			c1 = low1;
			c2 = _mm512_xor_si512(_mm512_xor_si512(high0, c3),
					      _mm512_set1_epi32((int)k1));
			c3 = low0;
			k0 += PHILOX_KEY_STEP_0;
			k1 += PHILOX_KEY_STEP_1;
		}
		_mm512_mask_storeu_epi32(draws->words[0] + i, inside, c0);
		_mm512_mask_storeu_epi32(draws->words[1] + i, inside, c1);
		_mm512_mask_storeu_epi32(draws->words[2] + i, inside, c2);
		_mm512_mask_storeu_epi32(draws->words[3] + i, inside, c3);
	}
}

static inline __m512d polynomial(__m512d x, const double *coefficients, int count)
{
	__m512d sum = _mm512_set1_pd(coefficients[count - 1]);

	for (int i = count - 2; i >= 0; i--)
		sum = _mm512_add_pd(_mm512_mul_pd(sum, x), _mm512_set1_pd(coefficients[i]));
	return sum;
}

static inline __m512d ratio(__m512d x, const double *above, const double *below)
{
	return _mm512_div_pd(polynomial(x, above, GAUSSIAN_TERMS),
			     polynomial(x, below, GAUSSIAN_TERMS));
}

/* xbar_log() of normal numbers. */
static inline __m512d logarithm(__m512d x)
{
	const __m512i root_half = _mm512_set1_epi64((long long)LOG_ROOT_HALF);
	__m512i bits = _mm512_add_epi64(_mm512_castpd_si512(x),
					_mm512_set1_epi64((long long)(LOG_ONE - LOG_ROOT_HALF)));
	__m512d k = _mm512_cvtepi64_pd(
		_mm512_sub_epi64(_mm512_srli_epi64(bits, 52), _mm512_set1_epi64(1023)));
	__m512i mantissa = _mm512_and_si512(bits, _mm512_set1_epi64(0x000fffffffffffffll));
	__m512d f = _mm512_sub_pd(_mm512_castsi512_pd(_mm512_add_epi64(mantissa, root_half)),
				  _mm512_set1_pd(1.0));
	__m512d s = _mm512_div_pd(f, _mm512_add_pd(_mm512_set1_pd(2.0), f));
	__m512d square = _mm512_mul_pd(s, s);
	__m512d half = _mm512_mul_pd(_mm512_mul_pd(_mm512_set1_pd(0.5), f), f);
	__m512d rest = _mm512_mul_pd(square, polynomial(square, log_odd_reciprocals, LOG_TERMS));

	rest = _mm512_add_pd(_mm512_mul_pd(s, _mm512_add_pd(half, rest)),
			     _mm512_mul_pd(k, _mm512_set1_pd(LN2_LOW)));
	return _mm512_sub_pd(_mm512_mul_pd(k, _mm512_set1_pd(LN2_HIGH)),
			     _mm512_sub_pd(_mm512_sub_pd(half, rest), f));
}

/* Words as the 64 bits of as many draws. */
static inline __m512i join(__m256i low, __m256i high)
{
	return _mm512_or_si512(_mm512_cvtepu32_epi64(low),
			       _mm512_slli_epi64(_mm512_cvtepu32_epi64(high), 32));
}

static inline __m512d probability(__m512i bits)
{
	return _mm512_mul_pd(
		_mm512_add_pd(_mm512_cvtepi64_pd(_mm512_srli_epi64(bits, 1)), _mm512_set1_pd(0.5)),
		_mm512_set1_pd(0x1p-64));
}

static inline __m512d with_sign(__m512d z, __m512i bits)
{
	return _mm512_castsi512_pd(
		_mm512_xor_si512(_mm512_castpd_si512(z), _mm512_slli_epi64(bits, 63)));
}

/* Eight tails; those too far out one by one. */
static void tails(const uint64_t *bits, const uint16_t *at, uint32_t count, double *z)
{
	double values[8];

	for (uint32_t i = 0; i < count; i += 8) {
		uint32_t left = count - i < 8 ? count - i : 8;
		__mmask8 inside = (__mmask8)((1u << left) - 1);
		/* Lanes that are not there are any tail. */
		__m512i all = _mm512_mask_loadu_epi64(_mm512_setzero_si512(), inside, bits + i);
		__m512d r = _mm512_sqrt_pd(
			_mm512_sub_pd(_mm512_set1_pd(-0.0), logarithm(probability(all))));
		__mmask8 far =
			inside & _mm512_cmp_pd_mask(r, _mm512_set1_pd(GAUSSIAN_NEAR), _CMP_GT_OQ);

		r = _mm512_sub_pd(r, _mm512_set1_pd(GAUSSIAN_NEAR_CENTRE));
		_mm512_storeu_pd(
			values, with_sign(ratio(r, gaussian_near_above, gaussian_near_below), all));
		for (uint32_t k = 0; k < left; k++)
			z[at[i + k]] = far >> k & 1 ? xbar_gaussian(bits[i + k]) : values[k];
	}
}

void xbar_draw_gaussians_avx512(const uint32_t *low, const uint32_t *high, uint32_t count,
				double *z)
{
	uint64_t tail_bits[DRAWS_MAX + 8];
	uint16_t tail_at[DRAWS_MAX + 8];
	uint32_t tail_count = 0;

	for (uint32_t i = 0; i < count; i += 8) {
		uint32_t left = count - i < 8 ? count - i : 8;
		__mmask8 inside = (__mmask8)((1u << left) - 1), tail;
		__m512i bits =
			join(_mm512_castsi512_si256(_mm512_maskz_loadu_epi32(inside, low + i)),
			     _mm512_castsi512_si256(_mm512_maskz_loadu_epi32(inside, high + i)));
		__m512d q = _mm512_sub_pd(_mm512_set1_pd(0.5), probability(bits));
		__m512d r =
			_mm512_sub_pd(_mm512_set1_pd(GAUSSIAN_MIDDLE_SQUARE), _mm512_mul_pd(q, q));
		__m512d middle =
			_mm512_mul_pd(q, ratio(r, gaussian_middle_above, gaussian_middle_below));

		_mm512_mask_storeu_pd(z + i, inside, with_sign(middle, bits));
		tail = inside & _mm512_cmp_pd_mask(q, _mm512_set1_pd(GAUSSIAN_MIDDLE), _CMP_GT_OQ);
		_mm512_storeu_si512(tail_bits + tail_count,
				    _mm512_maskz_compress_epi64(tail, bits));
		for (uint32_t lanes = tail; lanes; lanes &= lanes - 1)
			tail_at[tail_count++] = (uint16_t)(i + (uint32_t)__builtin_ctz(lanes));
	}
	tails(tail_bits, tail_at, tail_count, z);
}
