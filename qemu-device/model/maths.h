/* SPDX-License-Identifier: MIT */
/*
 * The few functions that the physics needs, without the C library's: its results differ in the last bit from version to
 * version, and what is drawn must not. Each is a fixed sequence of IEEE operations, rounded to nearest and not contracted.
 */
#ifndef XBAR_MATHS_H
#define XBAR_MATHS_H

#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* xbar_sqrt(), xbar_sqrtf() - IEEE's square root, the nearest number; an instruction, not a function that sets errno. */
static inline double xbar_sqrt(double x)
{
#ifdef __SSE2__
	return _mm_cvtsd_f64(_mm_sqrt_sd(_mm_setzero_pd(), _mm_set_sd(x)));
#elif defined(__aarch64__)
	double root;

	__asm__("fsqrt %d0, %d1" : "=w"(root) : "w"(x));
	return root;
#else
	return __builtin_sqrt(x);
#endif
}

static inline float xbar_sqrtf(float x)
{
#ifdef __SSE2__
	return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x)));
#elif defined(__aarch64__)
	float root;

	__asm__("fsqrt %s0, %s1" : "=w"(root) : "w"(x));
	return root;
#else
	return __builtin_sqrtf(x);
#endif
}

/**
 * xbar_exp() - e to the power of @x
 *
 * Within 1 ulp. Infinite from about 709.78 on, gradually 0 below -708.4 (there within the last place of a denormal), NaN for NaN.
 */
double xbar_exp(double x);

/**
 * xbar_log() - natural logarithm of @x
 *
 * Within 1 ulp; denormals too. -Inf for 0, NaN for less.
 */
double xbar_log(double x);

/**
 * xbar_gaussian() - a draw of N(0, 1) from 64 uniform bits
 * @bits: the lowest bit is the sign; the others are k of the tail probability p = (k + 1/2) 2^-64 of the magnitude
 *
 * The inverse of the normal distribution function (Wichura 1988, Algorithm AS 241, PPND16): with uniform bits the draw is
 * exact but for the steps of p, so tails are neither cut nor thinned up to |z| = 9.16, beyond which lie 5e-20 of all draws.
 * Error below 1e-15 max(|z|, 1).
 */
double xbar_gaussian(uint64_t bits);

#endif
