// SPDX-License-Identifier: MIT
/*
 * exp, log and the inverse normal distribution in plain double arithmetic.
 */
#include <string.h>

#include "maths.h"

/* ln 2 in two parts; the first has 32 bits, so that its product with an exponent is exact. */
#define LN2_HIGH 0x1.62e42feep-1
#define LN2_LOW	 0x1.a39ef35793c76p-33

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
	static const double odd_reciprocals[] = {
		2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,	2.0 / 11, 2.0 / 13,
		2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23,
	};
	const uint64_t root_half = 0x3fe6a09e667f3bcdull, one = 0x3ff0000000000000ull;
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
	       ((half -
		 (s * (half + square * polynomial(square, odd_reciprocals, 11)) + k * LN2_LOW)) -
		f);
}

/* Wichura's three pairs of polynomials: the middle, and two ranges of r = sqrt(-log p) in the tails. */
static const double middle_above[] = {
	3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
	1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
	3.3430575583588128105e4, 2.5090809287301226727e3,
};
static const double middle_below[] = {
	1.0,
	4.2313330701600911252e1,
	6.8718700749205790830e2,
	5.3941960214247511077e3,
	2.1213794301586595867e4,
	3.9307895800092710610e4,
	2.8729085735721942674e4,
	5.2264952788528545610e3,
};
static const double near_above[] = {
	1.42343711074968357734e0,  4.63033784615654529590e0,  5.76949722146069140550e0,
	3.64784832476320460504e0,  1.27045825245236838258e0,  2.41780725177450611770e-1,
	2.27238449892691845833e-2, 7.74545014278341407640e-4,
};
static const double near_below[] = {
	1.0,
	2.05319162663775882187e0,
	1.67638483018380384940e0,
	6.89767334985100004550e-1,
	1.48103976427480074590e-1,
	1.51986665636164571966e-2,
	5.47593808499534494600e-4,
	1.05075007164441684324e-9,
};
static const double far_above[] = {
	6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
	2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
	2.71155556874348757815e-5, 2.01033439929228813265e-7,
};
static const double far_below[] = {
	1.0,
	5.99832206555887937690e-1,
	1.36929880922735805310e-1,
	1.48753612908506148525e-2,
	7.86869131145613259100e-4,
	1.84631831751005468180e-5,
	1.42151175831644588870e-7,
	2.04426310338993978564e-15,
};

double xbar_gaussian(uint64_t bits)
{
	double p = ((double)(bits >> 1) + 0.5) * 0x1p-64, q = 0.5 - p, r, z;

	if (q <= 0.425) {
		r = 0.180625 - q * q;
		z = q * (polynomial(r, middle_above, 8) / polynomial(r, middle_below, 8));
	} else {
		r = xbar_sqrt(-xbar_log(p));
		if (r <= 5.0) {
			r -= 1.6;
			z = polynomial(r, near_above, 8) / polynomial(r, near_below, 8);
		} else {
			r -= 5.0;
			z = polynomial(r, far_above, 8) / polynomial(r, far_below, 8);
		}
	}
	return bits & 1 ? -z : z;
}
