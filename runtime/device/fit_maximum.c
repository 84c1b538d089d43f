// SPDX-License-Identifier: MIT
/*
 * The normal distribution, and the maximum of a likelihood of two parameters by the method of Nelder and Mead (1965), with the
 * model's own exp and log: a fit has the same digits on any C library.
 */
#include <stdlib.h>

#include "qemu-device/model/maths.h"
#include "runtime/device/preset_fit.h"

#define SQRT_2_PI 2.5066282746310002

double fit_normal_density(double x)
{
	return xbar_exp(-x * x / 2) / SQRT_2_PI;
}

/* A series near 0, Laplace's continued fraction far from it. */
double fit_normal_tail(double x)
{
	double fraction = x;

	if (x < 3) {
		double term = x, sum = x;

		for (int n = 3; n < 80; n += 2) {
			term *= x * x / n;
			sum += term;
		}
		return 0.5 - fit_normal_density(x) * sum;
	}
	for (int n = 60; n > 0; n--)
		fraction = x + n / fraction;
	return fit_normal_density(x) / fraction;
}

double fit_normal_below(double x)
{
	return x < 0 ? fit_normal_tail(-x) : 1 - fit_normal_tail(x);
}

struct corner {
	double at[2];
	double height;
};

static double height_of(const struct fit_likelihood *likelihood, const double at[2])
{
	return likelihood->log_of(likelihood->context, at);
}

/* A corner on the line from @from through @middle, @factor of the way. */
static struct corner step_to(const struct fit_likelihood *likelihood, const double middle[2],
			     const double from[2], double factor)
{
	struct corner corner;

	for (int i = 0; i < 2; i++)
		corner.at[i] = middle[i] + factor * (middle[i] - from[i]);
	corner.height = height_of(likelihood, corner.at);
	return corner;
}

static int compare_corners(const void *left, const void *right)
{
	const struct corner *a = left, *b = right;

	return (a->height < b->height) - (a->height > b->height);
}

void fit_maximise(const struct fit_likelihood *likelihood, double at[2], const double size[2])
{
	struct corner corners[3];

	for (int i = 0; i < 3; i++) {
		corners[i].at[0] = at[0] + (i == 1 ? size[0] : 0);
		corners[i].at[1] = at[1] + (i == 2 ? size[1] : 0);
		corners[i].height = height_of(likelihood, corners[i].at);
	}
	for (int round = 0; round < 400; round++) {
		struct corner tried, further;
		double middle[2];

		qsort(corners, 3, sizeof(corners[0]), compare_corners);
		for (int i = 0; i < 2; i++)
			middle[i] = (corners[0].at[i] + corners[1].at[i]) / 2;
		tried = step_to(likelihood, middle, corners[2].at, 1);
		if (tried.height > corners[0].height) {
			further = step_to(likelihood, middle, corners[2].at, 2);
			corners[2] = further.height > tried.height ? further : tried;
			continue;
		}
		if (tried.height > corners[1].height) {
			corners[2] = tried;
			continue;
		}
		further = step_to(likelihood, middle, corners[2].at, -0.5);
		if (further.height > corners[2].height) {
			corners[2] = further;
			continue;
		}
		for (int i = 1; i < 3; i++)
			corners[i] = step_to(likelihood, corners[0].at, corners[i].at, -0.5);
	}
	qsort(corners, 3, sizeof(corners[0]), compare_corners);
	at[0] = corners[0].at[0];
	at[1] = corners[0].at[1];
}

void fit_errors_at(const struct fit_likelihood *likelihood, const double at[2],
		   const double size[2], double errors[2])
{
	double curve[2], mixed, determinant, top = height_of(likelihood, at), shifted[4];

	for (int i = 0; i < 2; i++) {
		double up[2] = { at[0], at[1] }, down[2] = { at[0], at[1] };

		up[i] += size[i];
		down[i] -= size[i];
		curve[i] = (2 * top - height_of(likelihood, up) - height_of(likelihood, down)) /
			   (size[i] * size[i]);
	}
	for (int i = 0; i < 4; i++) {
		const double corner[2] = { at[0] + (i & 1 ? size[0] : -size[0]),
					   at[1] + (i & 2 ? size[1] : -size[1]) };

		shifted[i] = height_of(likelihood, corner);
	}
	mixed = (shifted[1] + shifted[2] - shifted[0] - shifted[3]) / (4 * size[0] * size[1]);
	determinant = curve[0] * curve[1] - mixed * mixed;
	for (int i = 0; i < 2; i++)
		errors[i] = determinant > 0 && curve[1 - i] > 0
				    ? xbar_sqrt(curve[1 - i] / determinant)
				    : 0;
}
