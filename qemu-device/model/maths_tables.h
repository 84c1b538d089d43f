/* SPDX-License-Identifier: MIT */
/*
 * The numbers of log and of the inverse normal distribution, for the one that computes one at a time and those that compute
 * several.
 */
#ifndef XBAR_MATHS_TABLES_H
#define XBAR_MATHS_TABLES_H

/* ln 2 in two parts; the first has 32 bits, so that its product with an exponent is exact. */
#define LN2_HIGH      0x1.62e42feep-1
#define LN2_LOW	      0x1.a39ef35793c76p-33

/* Bits of sqrt(1/2) and of 1. */
#define LOG_ROOT_HALF 0x3fe6a09e667f3bcdull
#define LOG_ONE	      0x3ff0000000000000ull

/* Of the series of 2 atanh. */
#define LOG_TERMS     11
static const double log_odd_reciprocals[LOG_TERMS] = {
	2.0 / 3,  2.0 / 5,  2.0 / 7,  2.0 / 9,	2.0 / 11, 2.0 / 13,
	2.0 / 15, 2.0 / 17, 2.0 / 19, 2.0 / 21, 2.0 / 23,
};

/* The middle holds for |probability - 1/2| up to its first bound; the tails in r = sqrt(-log p), near up to theirs. */
#define GAUSSIAN_TERMS	       8
#define GAUSSIAN_MIDDLE	       0.425
#define GAUSSIAN_MIDDLE_SQUARE 0.180625
#define GAUSSIAN_NEAR	       5.0
#define GAUSSIAN_NEAR_CENTRE   1.6

/* Wichura's three pairs of polynomials: the middle, and two ranges of r = sqrt(-log p) in the tails. */
static const double gaussian_middle_above[GAUSSIAN_TERMS] = {
	3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
	1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
	3.3430575583588128105e4, 2.5090809287301226727e3,
};
static const double gaussian_middle_below[GAUSSIAN_TERMS] = {
	1.0,
	4.2313330701600911252e1,
	6.8718700749205790830e2,
	5.3941960214247511077e3,
	2.1213794301586595867e4,
	3.9307895800092710610e4,
	2.8729085735721942674e4,
	5.2264952788528545610e3,
};
static const double gaussian_near_above[GAUSSIAN_TERMS] = {
	1.42343711074968357734e0,  4.63033784615654529590e0,  5.76949722146069140550e0,
	3.64784832476320460504e0,  1.27045825245236838258e0,  2.41780725177450611770e-1,
	2.27238449892691845833e-2, 7.74545014278341407640e-4,
};
static const double gaussian_near_below[GAUSSIAN_TERMS] = {
	1.0,
	2.05319162663775882187e0,
	1.67638483018380384940e0,
	6.89767334985100004550e-1,
	1.48103976427480074590e-1,
	1.51986665636164571966e-2,
	5.47593808499534494600e-4,
	1.05075007164441684324e-9,
};
static const double gaussian_far_above[GAUSSIAN_TERMS] = {
	6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
	2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
	2.71155556874348757815e-5, 2.01033439929228813265e-7,
};
static const double gaussian_far_below[GAUSSIAN_TERMS] = {
	1.0,
	5.99832206555887937690e-1,
	1.36929880922735805310e-1,
	1.48753612908506148525e-2,
	7.86869131145613259100e-4,
	1.84631831751005468180e-5,
	1.42151175831644588870e-7,
	2.04426310338993978564e-15,
};

#endif
