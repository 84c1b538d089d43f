// SPDX-License-Identifier: MIT
/* CMA-ES; see evolution.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/evolution.h"
#include "runtime/adapt/random.h"
#include "runtime/simd/number.h"

/* Sweeps of Jacobi's method; convergence is quadratic, and ten are ample for any covariance of this size. */
#define SWEEPS 30

struct lf_evolution {
	uint32_t dimensions;
	uint32_t population;
	uint32_t parents;
	double bound;
	struct lf_random random;
	double parents_effective; /* mu_eff (8) */
	double path_rate;	  /* c_sigma (55) */
	double damping;		  /* d_sigma (55) */
	double axis_rate;	  /* c_c (56) */
	double rank_one;	  /* c_1 (57) */
	double rank_mu;		  /* c_mu (58) */
	double expected_length;	  /* of a normal vector */
	double step;
	double path_decay; /* (1 - c_sigma)^(2 g) */
	double *memory;	   /* what the following point into */
	double *weights;   /* [parents] */
	double *mean;	   /* [dimensions] */
	double *path;	   /* [dimensions] p_sigma */
	double *axis_path; /* [dimensions] p_c */
	double *move;	   /* [dimensions] of the mean, in steps */
	double *turned;	   /* [dimensions] work space */
	double *covariance;
	double *reduced; /* work space of the decomposition */
	double *axes;	 /* eigenvectors in columns */
	double *lengths; /* [dimensions] roots of eigenvalues */
	double *x;	 /* [population][dimensions] */
	uint32_t *order; /* [population] from the best */
};

static double root(double value)
{
	return number_root_double(value);
}

/* e^x for |x| <= 1 to the last places of a double: the rest after 20 terms is below 1 / 20!. */
static double exponential(double x)
{
	double sum = 1.0;

	for (int term = 20; term >= 1; term--)
		sum = 1.0 + x / term * sum;
	return sum;
}

/* Two uniform numbers within the unit circle give a normal one (Marsaglia and Bray 1964, 10.1137/1006063). */
static double normal(struct lf_random *random)
{
	double u, v, square;

	do {
		u = (double)(lf_random_next(random) >> 11) * 0x1p-52 - 1.0;
		v = (double)(lf_random_next(random) >> 11) * 0x1p-52 - 1.0;
		square = u * u + v * v;
	} while (square >= 1.0 || square < 0x1p-100);
	return u * root(2.0 * number_log(1.0 / square) / square);
}

/* Learning rates by the tutorial's table 1. */
static void set_rates(struct lf_evolution *evolution)
{
	double n = evolution->dimensions, sum = 0.0, squares = 0.0, mu;

	for (uint32_t at = 0; at < evolution->parents; at++) {
		evolution->weights[at] =
			number_log((evolution->population + 1) / 2.0) - number_log(at + 1.0);
		sum += evolution->weights[at];
	}
	for (uint32_t at = 0; at < evolution->parents; at++) {
		evolution->weights[at] /= sum;
		squares += evolution->weights[at] * evolution->weights[at];
	}
	mu = 1.0 / squares;
	evolution->parents_effective = mu;
	evolution->path_rate = (mu + 2.0) / (n + mu + 5.0);
	evolution->damping = 1.0 + evolution->path_rate;
	if (mu - 1.0 > n + 1.0)
		evolution->damping += 2.0 * (root((mu - 1.0) / (n + 1.0)) - 1.0);
	evolution->axis_rate = (4.0 + mu / n) / (n + 4.0 + 2.0 * mu / n);
	evolution->rank_one = 2.0 / ((n + 1.3) * (n + 1.3) + mu);
	evolution->rank_mu = 2.0 * (0.25 + mu + 1.0 / mu - 2.0) / ((n + 2.0) * (n + 2.0) + mu);
	if (evolution->rank_mu > 1.0 - evolution->rank_one)
		evolution->rank_mu = 1.0 - evolution->rank_one;
	evolution->expected_length = root(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n));
}

int lf_evolution_create(struct lf_evolution **evolution, const struct lf_evolution_options *options,
			struct lf_error *error)
{
	size_t n = options->dimensions;
	struct lf_evolution *e;
	double *cursor;

	if (!n || n > 4096 || !(options->step > 0.0) || !(options->bound > 0.0))
		return lf_error_set(error, -EINVAL, "search: %zu dimensions, step %g, bound %g", n,
				    options->step, options->bound);
	e = calloc(1, sizeof(*e));
	if (!e)
		return lf_error_set(error, -ENOMEM, "no memory for a search");
	e->dimensions = options->dimensions;
	e->population = 4 + (uint32_t)(3.0 * number_log((double)n));
	e->parents = e->population / 2;
	e->bound = options->bound;
	e->step = options->step;
	e->path_decay = 1.0;
	e->memory = calloc(e->parents + (6 + e->population) * n + 3 * n * n, sizeof(double));
	e->order = calloc(e->population, sizeof(*e->order));
	if (!e->memory || !e->order) {
		lf_evolution_free(e);
		return lf_error_set(error, -ENOMEM, "no memory for a search");
	}
	cursor = e->memory;
	e->weights = cursor;
	cursor += e->parents;
	e->mean = cursor;
	e->path = e->mean + n;
	e->axis_path = e->path + n;
	e->move = e->axis_path + n;
	e->turned = e->move + n;
	e->lengths = e->turned + n;
	e->x = e->lengths + n;
	e->covariance = e->x + e->population * n;
	e->reduced = e->covariance + n * n;
	e->axes = e->reduced + n * n;
	memcpy(e->mean, options->start, n * sizeof(double));
	for (size_t at = 0; at < n; at++)
		e->covariance[at * n + at] = 1.0;
	lf_random_seed(&e->random, options->seed, LF_RANDOM_SEARCH, 0);
	set_rates(e);
	*evolution = e;
	return 0;
}

void lf_evolution_free(struct lf_evolution *evolution)
{
	if (!evolution)
		return;
	free(evolution->memory);
	free(evolution->order);
	free(evolution);
}

uint32_t lf_evolution_population(const struct lf_evolution *evolution)
{
	return evolution->population;
}

/* Turns rows and columns p and q of a so that a[p][q] becomes 0 (Golub and Van Loan, algorithm 8.5.1). */
static void rotate(double *a, double *axes, size_t n, size_t p, size_t q)
{
	double theta, tangent, cosine, sine;

	if (a[p * n + q] == 0.0)
		return;
	theta = (a[q * n + q] - a[p * n + p]) / (2.0 * a[p * n + q]);
	tangent = 1.0 / ((theta < 0.0 ? -theta : theta) + root(theta * theta + 1.0));
	if (theta < 0.0)
		tangent = -tangent;
	cosine = 1.0 / root(tangent * tangent + 1.0);
	sine = tangent * cosine;
	for (size_t k = 0; k < n; k++) {
		double one = a[k * n + p], other = a[k * n + q];

		a[k * n + p] = cosine * one - sine * other;
		a[k * n + q] = sine * one + cosine * other;
	}
	for (size_t k = 0; k < n; k++) {
		double one = a[p * n + k], other = a[q * n + k];

		a[p * n + k] = cosine * one - sine * other;
		a[q * n + k] = sine * one + cosine * other;
	}
	a[p * n + q] = 0.0;
	a[q * n + p] = 0.0;
	for (size_t k = 0; k < n; k++) {
		double one = axes[k * n + p], other = axes[k * n + q];

		axes[k * n + p] = cosine * one - sine * other;
		axes[k * n + q] = sine * one + cosine * other;
	}
}

/* Covariance = axes * lengths^2 * axes^T. */
static void decompose(struct lf_evolution *evolution)
{
	size_t n = evolution->dimensions;
	double *a = evolution->reduced;

	memcpy(a, evolution->covariance, n * n * sizeof(*a));
	memset(evolution->axes, 0, n * n * sizeof(*a));
	for (size_t at = 0; at < n; at++)
		evolution->axes[at * n + at] = 1.0;
	for (int sweep = 0; sweep < SWEEPS; sweep++) {
		double off = 0.0, on = 0.0;

		for (size_t p = 0; p < n; p++)
			for (size_t q = 0; q < n; q++)
				*(p == q ? &on : &off) += a[p * n + q] * a[p * n + q];
		if (off <= 1e-28 * on)
			break;
		for (size_t p = 0; p + 1 < n; p++)
			for (size_t q = p + 1; q < n; q++)
				rotate(a, evolution->axes, n, p, q);
	}
	for (size_t at = 0; at < n; at++)
		/* Rounding may leave nothing of the shortest axis. */
		evolution->lengths[at] = root(a[at * n + at] > 1e-30 ? a[at * n + at] : 1e-30);
}

const double *lf_evolution_ask(struct lf_evolution *evolution)
{
	size_t n = evolution->dimensions;

	decompose(evolution);
	for (uint32_t candidate = 0; candidate < evolution->population; candidate++) {
		double *x = evolution->x + candidate * n;

		for (size_t k = 0; k < n; k++)
			evolution->turned[k] = evolution->lengths[k] * normal(&evolution->random);
		for (size_t at = 0; at < n; at++) {
			double sum = 0.0;

			for (size_t k = 0; k < n; k++)
				sum += evolution->axes[at * n + k] * evolution->turned[k];
			x[at] = evolution->mean[at] + evolution->step * sum;
			if (x[at] > evolution->bound)
				x[at] = evolution->bound;
			if (x[at] < -evolution->bound)
				x[at] = -evolution->bound;
		}
	}
	return evolution->x;
}

static void sort(struct lf_evolution *evolution, const double *losses)
{
	uint32_t *order = evolution->order;

	for (uint32_t at = 0; at < evolution->population; at++) {
		uint32_t place = at;

		/* A NaN is not below anything, and everything that is a number is below it. */
		while (place && (losses[at] < losses[order[place - 1]] ||
				 (losses[at] == losses[at] &&
				  losses[order[place - 1]] != losses[order[place - 1]]))) {
			order[place] = order[place - 1];
			place--;
		}
		order[place] = at;
	}
}

/* The mean goes to the weighted mean of the parents (41), (42). */
static void move_mean(struct lf_evolution *evolution)
{
	size_t n = evolution->dimensions;

	for (size_t at = 0; at < n; at++) {
		double sum = 0.0;

		for (uint32_t parent = 0; parent < evolution->parents; parent++)
			sum += evolution->weights[parent] *
			       (evolution->x[evolution->order[parent] * n + at] -
				evolution->mean[at]);
		evolution->move[at] = sum / evolution->step;
	}
}

/* The path of the step size (43), with C^-1/2 = axes / lengths * axes^T; returns its squared length. */
static double move_path(struct lf_evolution *evolution)
{
	size_t n = evolution->dimensions;
	double rate = evolution->path_rate, square = 0.0;
	double gain = root(rate * (2.0 - rate) * evolution->parents_effective);

	for (size_t k = 0; k < n; k++) {
		double sum = 0.0;

		for (size_t at = 0; at < n; at++)
			sum += evolution->axes[at * n + k] * evolution->move[at];
		evolution->turned[k] = sum / evolution->lengths[k];
	}
	for (size_t at = 0; at < n; at++) {
		double sum = 0.0;

		for (size_t k = 0; k < n; k++)
			sum += evolution->axes[at * n + k] * evolution->turned[k];
		evolution->path[at] = (1.0 - rate) * evolution->path[at] + gain * sum;
		square += evolution->path[at] * evolution->path[at];
	}
	return square;
}

/* The covariance (45) to (47); @stalls: the path is too long to learn an axis from. */
static void adapt_covariance(struct lf_evolution *evolution, bool stalls)
{
	size_t n = evolution->dimensions;
	double rate = evolution->axis_rate, one = evolution->rank_one, mu = evolution->rank_mu;
	double gain = stalls ? 0.0 : root(rate * (2.0 - rate) * evolution->parents_effective);
	double keep = 1.0 - one - mu + (stalls ? one * rate * (2.0 - rate) : 0.0);

	for (size_t at = 0; at < n; at++)
		evolution->axis_path[at] =
			(1.0 - rate) * evolution->axis_path[at] + gain * evolution->move[at];
	for (size_t row = 0; row < n; row++)
		for (size_t column = 0; column <= row; column++) {
			double sum = 0.0;

			for (uint32_t parent = 0; parent < evolution->parents; parent++) {
				const double *x = evolution->x + evolution->order[parent] * n;

				sum += evolution->weights[parent] *
				       (x[row] - evolution->mean[row]) / evolution->step *
				       ((x[column] - evolution->mean[column]) / evolution->step);
			}
			sum = keep * evolution->covariance[row * n + column] +
			      one * evolution->axis_path[row] * evolution->axis_path[column] +
			      mu * sum;
			evolution->covariance[row * n + column] = sum;
			evolution->covariance[column * n + row] = sum;
		}
}

void lf_evolution_tell(struct lf_evolution *evolution, const double *losses)
{
	double n = evolution->dimensions, length, change;
	bool stalls;

	sort(evolution, losses);
	move_mean(evolution);
	length = root(move_path(evolution));
	evolution->path_decay *= (1.0 - evolution->path_rate) * (1.0 - evolution->path_rate);
	stalls = length / root(1.0 - evolution->path_decay) >=
		 (1.4 + 2.0 / (n + 1.0)) * evolution->expected_length;
	adapt_covariance(evolution, stalls);
	for (uint32_t at = 0; at < evolution->dimensions; at++)
		evolution->mean[at] += evolution->step * evolution->move[at];
	/* (44); a step changes by no more than a factor of e. */
	change = evolution->path_rate / evolution->damping *
		 (length / evolution->expected_length - 1.0);
	evolution->step *= exponential(change > 1.0 ? 1.0 : change < -1.0 ? -1.0 : change);
}
