// SPDX-License-Identifier: MIT
/*
 * exp, log and the inverse normal distribution in plain double arithmetic.
 */
#include <string.h>

#include "maths.h"
#include "maths_tables.h"

static double from_bits(uint64_t bits)
{
	double value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

static uint64_t to_bits(double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* 2^@exponent, a normal number. */
static double power_of_two(int exponent)
{
	return from_bits((uint64_t)(exponent + 1023) << 52);
}

/* Horner's rule, highest coefficient last in @coefficients. */
static double polynomial(double x, const double *coefficients, int count)
{
	double sum = coefficients[count - 1];

	for (int i = count - 2; i >= 0; i--)
		sum = sum * x + coefficients[i];
	return sum;
}

double xbar_exp(double x)
{
	/* exp(r) = 1 + r + r^2 (1/2! + r/3! + ...): what is left out is below 2^-57 for |r| <= ln(2) / 2. */
	static const double reciprocal_factorials[] = {
		1.0 / 2,       1.0 / 6,	       1.0 / 24,	1.0 / 120,
		1.0 / 720,     1.0 / 5040,     1.0 / 40320,	1.0 / 362880,
		1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800.0,
	};
	/* Adding 1.5 x 2^52 rounds to a whole number. */
	const double rounder = 0x1.8p52;
	double whole, high, low, r, tail;
	int exponent, half;

	if (x != x)
		return x;
	if (x > 710.0)
		return from_bits(0x7ffull << 52);
	if (x < -746.0)
		return 0.0;
	whole = x * 0x1.71547652b82fep0 + rounder - rounder;
	high = x - whole * LN2_HIGH;
	low = whole * LN2_LOW;
	r = high - low;
	/* What r lost in rounding belongs to the sum as it is: the derivative there is near 1. */
	tail = r * r * polynomial(r, reciprocal_factorials, 12) + ((high - r) - low);
	r = 1.0 + (r + tail);
	exponent = (int)whole;
	half = exponent / 2;
	return r * power_of_two(half) * power_of_two(exponent - half);
}

double xbar_log(double x)
{
	/*
	 * log(1 + f) = 2 atanh(s), s = f / (2 + f), = f - (f^2/2 - s (f^2/2 + R)), R = 2 s^2 (1/3 + s^2/5 + ...): what is left
	 * out is below 2^-60.
	 */
	const uint64_t root_half = LOG_ROOT_HALF, one = LOG_ONE;
	int exponent = 0;
	uint64_t bits;
	double f, s, square, half, k;

	if (x != x || x > 0x1.fffffffffffffp1023)
		return x;
	if (x <= 0.0)
		return x < 0.0 ? from_bits(0x7ff8ull << 48) : -from_bits(0x7ffull << 52);
	if (x < 0x1p-1022) {
		x *= 0x1p54;
		exponent = -54;
	}
	/* m in [sqrt(1/2), sqrt(2)). */
	bits = to_bits(x) + (one - root_half);
	exponent += (int)(bits >> 52) - 1023;
	f = from_bits((bits & 0x000fffffffffffffull) + root_half) - 1.0;

	k = exponent;
	s = f / (2.0 + f);
	square = s * s;
	half = 0.5 * f * f;
	return k * LN2_HIGH -
	       ((half - (s * (half + square * polynomial(square, log_odd_reciprocals, LOG_TERMS)) +
			 k * LN2_LOW)) -
		f);
}

double xbar_gaussian(uint64_t bits)
{
	double p = ((double)(bits >> 1) + 0.5) * 0x1p-64, q = 0.5 - p, r, z;

	if (q <= GAUSSIAN_MIDDLE) {
		r = GAUSSIAN_MIDDLE_SQUARE - q * q;
		z = q * (polynomial(r, gaussian_middle_above, GAUSSIAN_TERMS) /
			 polynomial(r, gaussian_middle_below, GAUSSIAN_TERMS));
	} else {
		r = xbar_sqrt(-xbar_log(p));
		if (r <= GAUSSIAN_NEAR) {
			r -= GAUSSIAN_NEAR_CENTRE;
			z = polynomial(r, gaussian_near_above, GAUSSIAN_TERMS) /
			    polynomial(r, gaussian_near_below, GAUSSIAN_TERMS);
		} else {
			r -= GAUSSIAN_NEAR;
			z = polynomial(r, gaussian_far_above, GAUSSIAN_TERMS) /
			    polynomial(r, gaussian_far_below, GAUSSIAN_TERMS);
		}
	}
	return bits & 1 ? -z : z;
}
