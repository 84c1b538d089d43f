/* SPDX-License-Identifier: MIT */
/*
 * Row norms of a fused weight, n[o] = || w0[o] + dW[o] ||, from terms that are computed once: no dense dW in a step.
 *
 * With A_i [r][inputs], B_i [outputs][r] (scales in B) and the Gram matrix G_ij = A_i A_j^T [r][r]:
 *
 * sum of products, dW = sum_i c_i B_i A_i, d_i = B_i[o] A_i:
 *	n^2 = <w0, w0> + 2 sum_i c_i <w0, d_i> + sum_ij c_i c_j <d_i, d_j>
 * product of sums, dW = B A with A = sum_i c_i A_i, B = sum_i c_i B_i, b = B[o]:
 *	n^2 = <w0, w0> + 2 <b, A w0> + b^T (A A^T) b
 */
#ifndef LF_RUNTIME_ADAPT_NORMS_H
#define LF_RUNTIME_ADAPT_NORMS_H

#include <lf/method.h>
#include <lf/parallel.h>

#include "runtime/adapt/pool.h"

struct lf_norms;

/**
 * lf_norms_create() - compute the terms of one layer
 * @norms: receives them; free with lf_norms_free()
 * @site: the layer's stacks
 * @weight: [outputs][inputs] what the cells of the frozen layer stand for; not kept
 * @modules: N
 * @rank: r
 * @merge: which of the two
 * @simd: host kernels
 * @parallel: host threads
 * @error: reason on failure
 */
int lf_norms_create(struct lf_norms **norms, const struct lf_pool_site *site, const float *weight,
		    uint32_t modules, uint32_t rank, enum lf_merge merge,
		    const struct lf_simd_ops *simd, struct lf_parallel *parallel,
		    struct lf_error *error);

/** lf_norms_free() - NULL is ignored */
void lf_norms_free(struct lf_norms *norms);

/** lf_norms_evaluate() - the norms [outputs] at @coefficients [N] */
void lf_norms_evaluate(const struct lf_norms *norms, const float *coefficients, float *values);

/** lf_norms_tensor() - the @count @values as a checkpoint keeps them: the next step divides by them before it makes its own */
struct lf_checkpoint_tensor lf_norms_tensor(float *values, size_t count);

/** lf_norms_check() - 0, or -EINVAL when one of the @count @values read from a file is not positive */
int lf_norms_check(const float *values, size_t count, struct lf_error *error);

#endif
