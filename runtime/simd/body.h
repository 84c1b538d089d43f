/* SPDX-License-Identifier: MIT */
/*
 * The kernels, written once over a vector of 16 lanes. Each simd_<isa>.c defines the vector and
 * includes this file at its end, which gives one table a set. A set defines SIMD_ISA, SIMD_TABLE,
 * the type vec, and, lane by lane unless said otherwise:
 *
 *   vec_set(x)                       x in all lanes
 *   vec_load(p), vec_store(p, a)     16 floats, unaligned
 *   vec_load_partial(p, n)           n < 16 floats, +0 in the lanes behind; p[n] is not touched
 *   vec_store_partial(p, a, n)       n < 16 floats
 *   vec_add, _sub, _mul, _div, _sqrt IEEE, rounded to nearest even
 *   vec_max(a, b)                    a > b ? a : b, so that a NaN gives b
 *   vec_absmax(a, b)                 the greater bit pattern of a and |b|, for a >= 0
 *   vec_keep(a, fill, n)             lanes below n of a, the others of fill, for n <= 16
 *   vec_power_of_two(a)              2^k, k the lowest 8 bits of a's pattern, signed
 *   vec_clamp_bits(a, low, high)     a's pattern as a signed integer, clamped to those of low, high
 *   vec_lookup(c, table, a, first)   row pattern(a) - pattern(first) of the table: column i to c[i]
 *   vec_sum(a)                       the sum of the lanes in the tree of simd.h
 *   vec_sum_each(a)                  lane i is vec_sum(a[i]), of SIMD_DOTS vectors; for SIMD_DOTS of 16 only
 *   vec_most(a)                      the largest lane: halves compared by vec_max until one is left
 *
 * and how much of a matrix product is in registers at a time: SIMD_DOTS scalar products, and SIMD_ROWS rows by one vector of columns.
 */
#ifndef LF_RUNTIME_SIMD_BODY_H
#define LF_RUNTIME_SIMD_BODY_H

#include <errno.h>

#include "runtime/simd/tables.h"

/* The part of a row that one vector covers: 16 columns, or what is left of them. */
static inline vec chunk_load(const float *from, size_t left)
{
	return left >= LF_SIMD_LANES ? vec_load(from) : vec_load_partial(from, left);
}

static inline void chunk_store(float *to, vec a, size_t left)
{
	if (left >= LF_SIMD_LANES)
		vec_store(to, a);
	else
		vec_store_partial(to, a, left);
}

/* Lanes behind the end of a row get @fill. */
static inline vec chunk_keep(vec a, vec fill, size_t left)
{
	return left >= LF_SIMD_LANES ? a : vec_keep(a, fill, left);
}

/* The same rows from column @c on. */
static inline struct lf_rows lf_rows_from(struct lf_rows rows, size_t c)
{
	return (struct lf_rows){ rows.data + c, rows.stride };
}

/* Before a loop over an array of vectors that must stay in registers: compilers leave long ones rolled up, and those in memory. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

#define FOR_CHUNKS(c, columns) for (size_t c = 0; c < (columns); c += LF_SIMD_LANES)

static inline vec vec_zero(void)
{
	return vec_set(0.0f);
}

/* a * b + c in two roundings: contraction is off in every build. */
static inline vec vec_mul_add(vec a, vec b, vec c)
{
	return vec_add(vec_mul(a, b), c);
}

#include "runtime/simd/body_vector.h"
#include "runtime/simd/body_layers.h"
#include "runtime/simd/body_matrix.h"
#include "runtime/simd/body_adapt.h"

const struct lf_simd_ops SIMD_TABLE = {
	.isa = SIMD_ISA,
	.add = add,
	.mul = mul,
	.scale = scale,
	.axpy = axpy,
	.scale_columns = scale_columns,
	.dot = dot,
	.sum = sum,
	.sum_squares = sum_squares,
	.absmax = absmax,
	.gelu = gelu,
	.layer_norm = layer_norm,
	.layer_norm_backward = layer_norm_backward,
	.softmax = softmax,
	.softmax_backward = softmax_backward,
	.matmul_nt = matmul_nt,
	.matmul_nn = matmul_nn,
	.matmul_tn = matmul_tn,
	.attention = attention,
	.attention_backward = attention_backward,
	.mean_pool = mean_pool,
	.mean_pool_backward = mean_pool_backward,
	.normalise = normalise,
	.normalise_backward = normalise_backward,
	.cross_entropy = cross_entropy,
	.column_dots = column_dots,
	.group_dots = group_dots,
	.group_sum = group_sum,
	.adam = adam,
	.quantise_rows = quantise_rows,
};

#endif
