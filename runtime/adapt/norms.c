// SPDX-License-Identifier: MIT
/* Row norms of a fused weight; see norms.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>
#include <lf/parallel.h>

#include "runtime/adapt/norms.h"
#include "runtime/simd/number.h"

/*
 * A norm is a square root of rounded terms that may cancel; where nothing of the row is left, the smallest
 * positive number keeps 1 / n finite.
 */
#define SMALLEST_NORM 1e-12f

struct lf_norms {
	enum lf_merge merge;
	uint32_t modules;
	uint32_t rank;
	uint32_t outputs;
	const struct lf_simd_ops *simd;
	struct lf_parallel *parallel;
	const float *b; /* [outputs][N r], the site's */
	float *base;	/* [outputs] <w0, w0> */
	float *gram;	/* [N r][N r] A A^T */
	float *cross;	/* [outputs][N r] A w0 */
	float *terms;	/* sum of products: [outputs][terms_width] */
	float *weights; /* sum of products: [terms_width] */
	float *fused;	/* product of sums: [r][r], A A^T of the fused A */
};

/* A row of terms: 2 <w0, d_i> for every i, then <d_i, d_j> for j <= i; those with j < i count twice. */
static size_t terms_width(const struct lf_norms *norms)
{
	return norms->modules + (size_t)norms->modules * (norms->modules + 1) / 2;
}

struct create_work {
	struct lf_norms *norms;
	const struct lf_pool_site *site;
	const float *weight;
};

static void gram_row(void *argument, size_t row)
{
	const struct create_work *work = argument;
	struct lf_norms *norms = work->norms;
	size_t width = (size_t)norms->modules * norms->rank, inputs = work->site->a.inputs;
	const float *a = work->site->a_values;

	norms->simd->matmul_nt(lf_rows_out_of(norms->gram + row * width, width),
			       lf_rows_of(a + row * inputs, inputs), lf_rows_of(a, inputs), 1.0f,
			       NULL, 1, width, inputs);
}

static void cross_row(void *argument, size_t row)
{
	const struct create_work *work = argument;
	struct lf_norms *norms = work->norms;
	size_t width = (size_t)norms->modules * norms->rank, inputs = work->site->a.inputs;
	const float *w0 = work->weight + row * inputs;

	norms->base[row] = norms->simd->sum_squares(w0, inputs);
	norms->simd->matmul_nt(lf_rows_out_of(norms->cross + row * width, width),
			       lf_rows_of(w0, inputs), lf_rows_of(work->site->a_values, inputs),
			       1.0f, NULL, 1, width, inputs);
}

/* <w0, d_i> = B_i[o] . (A w0)_i and <d_i, d_j> = B_i[o] G_ij B_j[o]^T for one row o. */
static void terms_row(void *argument, size_t row)
{
	const struct create_work *work = argument;
	struct lf_norms *norms = work->norms;
	size_t rank = norms->rank, width = norms->modules * rank;
	const float *b = norms->b + row * width, *cross = norms->cross + row * width;
	float *terms = norms->terms + row * terms_width(norms);
	float *squares = terms + norms->modules;
	float image[LF_ADAPTER_MAX_RANK];

	for (uint32_t i = 0; i < norms->modules; i++) {
		terms[i] = norms->simd->dot(b + i * rank, cross + i * rank, rank);
		for (uint32_t j = 0; j <= i; j++) {
			/* image = B_i[o] G_ij */
			norms->simd->matmul_nn(
				lf_rows_out_of(image, rank), lf_rows_of(b + i * rank, rank),
				lf_rows_of(norms->gram + i * rank * width + j * rank, width), false,
				1, rank, rank);
			*squares++ = norms->simd->dot(image, b + j * rank, rank);
		}
	}
}

int lf_norms_create(struct lf_norms **norms, const struct lf_pool_site *site, const float *weight,
		    uint32_t modules, uint32_t rank, enum lf_merge merge,
		    const struct lf_simd_ops *simd, struct lf_parallel *parallel,
		    struct lf_error *error)
{
	size_t width = (size_t)modules * rank;
	struct lf_norms *n = calloc(1, sizeof(*n));
	struct create_work work = { .norms = n, .site = site, .weight = weight };

	if (!n)
		return lf_error_set(error, -ENOMEM, "no memory for row norms");
	n->merge = merge;
	n->modules = modules;
	n->rank = rank;
	n->outputs = site->b.outputs;
	n->simd = simd;
	n->parallel = parallel;
	n->b = site->b_values;
	n->base = malloc(n->outputs * sizeof(float));
	n->gram = malloc(width * width * sizeof(float));
	n->cross = malloc(n->outputs * width * sizeof(float));
	if (merge == LF_MERGE_SUM) {
		n->terms = malloc(n->outputs * terms_width(n) * sizeof(float));
		n->weights = malloc(terms_width(n) * sizeof(float));
	} else {
		n->fused = malloc((size_t)rank * rank * sizeof(float));
	}
	if (!n->base || !n->gram || !n->cross || !(n->fused || (n->terms && n->weights))) {
		lf_norms_free(n);
		return lf_error_set(error, -ENOMEM, "no memory for row norms");
	}
	lf_parallel_for(parallel, width, gram_row, &work);
	lf_parallel_for(parallel, n->outputs, cross_row, &work);
	if (merge == LF_MERGE_SUM) {
		lf_parallel_for(parallel, n->outputs, terms_row, &work);
		/* What follows needs the products only. */
		free(n->gram);
		free(n->cross);
		n->gram = NULL;
		n->cross = NULL;
	}
	*norms = n;
	return 0;
}

void lf_norms_free(struct lf_norms *norms)
{
	if (!norms)
		return;
	free(norms->base);
	free(norms->gram);
	free(norms->cross);
	free(norms->terms);
	free(norms->weights);
	free(norms->fused);
	free(norms);
}

struct evaluate_work {
	const struct lf_norms *norms;
	const float *coefficients;
	float *values;
};

static void root(float *value, float square)
{
	float norm = square > 0.0f ? number_root(square) : 0.0f;

	*value = norm > SMALLEST_NORM ? norm : SMALLEST_NORM;
}

static void sum_row(void *argument, size_t row)
{
	const struct evaluate_work *work = argument;
	const struct lf_norms *norms = work->norms;
	size_t width = terms_width(norms);

	root(&work->values[row], norms->base[row] + norms->simd->dot(norms->terms + row * width,
								     norms->weights, width));
}

static void product_row(void *argument, size_t row)
{
	const struct evaluate_work *work = argument;
	const struct lf_norms *norms = work->norms;
	const struct lf_simd_ops *simd = norms->simd;
	size_t rank = norms->rank, width = norms->modules * rank;
	struct lf_group_shape shape = { 1, norms->modules, rank };
	float b[LF_ADAPTER_MAX_RANK], aw[LF_ADAPTER_MAX_RANK], image[LF_ADAPTER_MAX_RANK];

	simd->group_sum(lf_rows_out_of(b, rank), lf_rows_of(norms->b + row * width, width),
			work->coefficients, &shape);
	simd->group_sum(lf_rows_out_of(aw, rank), lf_rows_of(norms->cross + row * width, width),
			work->coefficients, &shape);
	simd->matmul_nn(lf_rows_out_of(image, rank), lf_rows_of(b, rank),
			lf_rows_of(norms->fused, rank), false, 1, rank, rank);
	root(&work->values[row],
	     norms->base[row] + 2.0f * simd->dot(b, aw, rank) + simd->dot(image, b, rank));
}

static void evaluate_sum(const struct lf_norms *norms, const float *coefficients, float *values)
{
	struct evaluate_work work = { .norms = norms,
				      .coefficients = coefficients,
				      .values = values };
	float *weights = norms->weights;

	for (uint32_t i = 0; i < norms->modules; i++)
		*weights++ = 2.0f * coefficients[i];
	for (uint32_t i = 0; i < norms->modules; i++) {
		for (uint32_t j = 0; j < i; j++)
			*weights++ = 2.0f * coefficients[i] * coefficients[j];
		*weights++ = coefficients[i] * coefficients[i];
	}
	lf_parallel_for(norms->parallel, norms->outputs, sum_row, &work);
}

static void evaluate_product(const struct lf_norms *norms, const float *coefficients, float *values)
{
	size_t rank = norms->rank, width = norms->modules * rank;
	struct evaluate_work work = { .norms = norms,
				      .coefficients = coefficients,
				      .values = values };

	/* sum_ij c_i c_j G_ij */
	memset(norms->fused, 0, rank * rank * sizeof(*norms->fused));
	for (size_t i = 0; i < norms->modules; i++)
		for (size_t k = 0; k < rank; k++)
			for (size_t j = 0; j < norms->modules; j++)
				norms->simd->axpy(
					norms->fused + k * rank, coefficients[i] * coefficients[j],
					norms->gram + (i * rank + k) * width + j * rank, rank);
	lf_parallel_for(norms->parallel, norms->outputs, product_row, &work);
}

void lf_norms_evaluate(const struct lf_norms *norms, const float *coefficients, float *values)
{
	if (norms->merge == LF_MERGE_SUM)
		evaluate_sum(norms, coefficients, values);
	else
		evaluate_product(norms, coefficients, values);
}

struct lf_checkpoint_tensor lf_norms_tensor(float *values, size_t count)
{
	return (struct lf_checkpoint_tensor){
		.name = "norms", .rank = 1, .shape = { count }, .values = values
	};
}

int lf_norms_check(const float *values, size_t count, struct lf_error *error)
{
	for (size_t o = 0; o < count; o++)
		if (!(values[o] > 0.0f))
			return lf_error_set(error, -EINVAL, "norms: number %zu is not positive", o);
	return 0;
}
