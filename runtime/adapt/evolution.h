/* SPDX-License-Identifier: MIT */
/*
 * CMA-ES, minimising without gradients: candidates are drawn from a normal distribution whose mean, step and covariance follow
 * the better half of them. Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772; numbers in brackets are its
 * equations.
 */
#ifndef LF_RUNTIME_ADAPT_EVOLUTION_H
#define LF_RUNTIME_ADAPT_EVOLUTION_H

#include <stdint.h>

#include <lf/error.h>

struct lf_evolution;

/**
 * struct lf_evolution_options - where the search begins
 * @dimensions: n, at least 1
 * @start: [@dimensions] mean of the first candidates
 * @step: their standard deviation, positive
 * @bound: candidates are clamped to -@bound .. @bound, and the distribution follows the clamped ones
 * @seed: of the draws: the same seed and losses give the same candidates
 */
struct lf_evolution_options {
	uint32_t dimensions;
	const double *start;
	double step;
	double bound;
	uint64_t seed;
};

/** lf_evolution_create() - free with lf_evolution_free(); -EINVAL or -ENOMEM */
int lf_evolution_create(struct lf_evolution **evolution, const struct lf_evolution_options *options,
			struct lf_error *error);

/** lf_evolution_free() - NULL is ignored */
void lf_evolution_free(struct lf_evolution *evolution);

/** lf_evolution_population() - candidates of a generation, 4 + floor(3 ln n) (48) */
uint32_t lf_evolution_population(const struct lf_evolution *evolution);

/** lf_evolution_ask() - draw a generation; [population][dimensions], until the next call */
const double *lf_evolution_ask(struct lf_evolution *evolution);

/** lf_evolution_tell() - learn from the @losses [population] of the last generation; NaN is worse than any number */
void lf_evolution_tell(struct lf_evolution *evolution, const double *losses);

#endif
