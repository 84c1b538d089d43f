/* SPDX-License-Identifier: MIT */
/* Arithmetic on one number that the C library would bring along: exact bits on every machine. */
#ifndef LF_RUNTIME_SIMD_NUMBER_H
#define LF_RUNTIME_SIMD_NUMBER_H

#include <stdint.h>
#include <string.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* The bit pattern of 1.0f: the exponent bias in place. */
#define NUMBER_ONE_BITS 0x3f800000

static inline uint32_t number_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float number_of_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* The correctly rounded square root, as one instruction: sqrtf() may set errno. */
static inline float number_root(float value)
{
#if defined(__SSE2__)
	return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(value)));
#elif defined(__aarch64__)
	return vget_lane_f32(vsqrt_f32(vdup_n_f32(value)), 0);
#else
	return __builtin_sqrtf(value);
#endif
}

/* The same of a double. */
static inline double number_root_double(double value)
{
#if defined(__SSE2__)
	return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(value)));
#elif defined(__aarch64__)
	return vget_lane_f64(vsqrt_f64(vdup_n_f64(value)), 0);
#else
	return __builtin_sqrt(value);
#endif
}

/*
 * Natural logarithm of a finite @value >= 1, to 1e-13, and of NaN, which it is: value = m * 2^e with m in sqrt(1/2) ..
 * sqrt(2), and log m = 2 artanh((m - 1) / (m + 1)) as an odd series.
 */
static inline double number_log(double value)
{
	const double ln2 = 0x1.62e42fefa39efp-1;
	double ratio, square, sum = 0;
	int64_t exponent;
	uint64_t bits;

	if (value != value)
		return value;
	memcpy(&bits, &value, sizeof(bits));
	/* Adding the gap between sqrt(1/2) and 1 carries into the exponent from sqrt(2) on. */
	exponent = (int64_t)((bits + 0x00095f619980c433) >> 52) - 1023;
	bits -= (uint64_t)exponent << 52;
	memcpy(&value, &bits, sizeof(value));
	ratio = (value - 1) / (value + 1);
	square = ratio * ratio;
	for (int odd = 17; odd >= 1; odd -= 2)
		sum = sum * square + 1.0 / odd;
	return (double)exponent * ln2 + 2 * ratio * sum;
}

#endif
