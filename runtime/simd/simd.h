/* SPDX-License-Identifier: MIT */
/*
 * The host-side float32 kernels of a transformer encoder and its adaptation, as one table of
 * functions per instruction set. Not here: anything a crossbar computes, number formats of files.
 *
 * Numbers. The tables agree to the bit on finite data, because each is the same sequence of IEEE
 * operations, rounded to nearest even, with products never fused into sums:
 *
 * - A *reduction* over n elements keeps 16 lanes. Lane l starts with element l and adds element
 *   l + 16, l + 32, ... in that order; elements past n count as +0. The lanes then fold in a
 *   fixed tree: 8 sums of lanes l and l + 8, 4 of l and l + 4, 2 of l and l + 2, and the last one.
 * - A *sum over tokens* or over the inner index of lf_simd_ops.matmul_nn and matmul_tn is one
 *   chain per output element, in rising order, from the first product or what is accumulated on.
 * - Everything else is element-wise.
 *
 * NaNs stay NaNs everywhere, but their sign and payload are the CPU's. No kernel makes denormal
 * numbers out of ordinary ones in bulk; given some, it treats them as IEEE does.
 *
 * Shapes are written [rows][columns]; a stride counts floats from one row to the next. Outputs
 * must not overlap inputs unless the kernel says so, no alignment is asked for, and counts may be
 * 0 unless the kernel says otherwise. The kernels allocate nothing and keep no state: every one
 * may run in any number of threads. Counts of float operations (FP) are per element.
 */
#ifndef LF_RUNTIME_SIMD_SIMD_H
#define LF_RUNTIME_SIMD_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/simd.h>

/** LF_SIMD_LANES - lanes of a reduction on every instruction set */
#define LF_SIMD_LANES 16

/**
 * struct lf_rows - rows of a matrix to read
 * @data: first element of row 0
 * @stride: floats from one row to the next; 0 repeats row 0
 */
struct lf_rows {
	const float *data;
	size_t stride;
};

/**
 * struct lf_rows_out - rows of a matrix to write
 * @data: first element of row 0
 * @stride: floats from one row to the next, at least the columns written
 */
struct lf_rows_out {
	float *data;
	size_t stride;
};

/**
 * struct lf_attention_shape - one head over one sequence
 * @tokens: T, valid tokens only: there is no padding inside
 * @width: d, columns of a head
 * @scale: factor on q . k, usually 1/sqrt(d); positive
 */
struct lf_attention_shape {
	size_t tokens;
	size_t width;
	float scale;
};

/**
 * struct lf_group_shape - vectors of groups, as the stacked outputs of a pool's modules
 * @tokens: vectors
 * @groups: groups in a vector, one per module
 * @width: floats in a group, the rank
 */
struct lf_group_shape {
	size_t tokens;
	size_t groups;
	size_t width;
};

/**
 * struct lf_adam - constants of one Adam step, torch.optim.Adam's semantics
 * @step_size: learning rate / (1 - beta1^step)
 * @beta1: decay of the first moment
 * @beta2: decay of the second moment
 * @one_minus_beta1: weight of the new gradient, rounded from double
 * @one_minus_beta2: weight of its square, rounded from double
 * @second_moment_root: sqrt(1 - beta2^step)
 * @epsilon: added to the denominator
 * @weight_decay: L2 factor, added to the gradient
 *
 * Filled by lf_adam_prepare().
 */
struct lf_adam {
	float step_size;
	float beta1;
	float beta2;
	float one_minus_beta1;
	float one_minus_beta2;
	float second_moment_root;
	float epsilon;
	float weight_decay;
};

/**
 * lf_adam_prepare() - constants of a step
 * @adam: filled
 * @step: number of the step, from 1
 * @learning_rate: before bias correction
 * @beta1: 0 <= beta1 < 1
 * @beta2: 0 <= beta2 < 1
 * @epsilon: positive
 * @weight_decay: 0 for none
 */
void lf_adam_prepare(struct lf_adam *adam, uint64_t step, double learning_rate, double beta1,
		     double beta2, double epsilon, double weight_decay);

/**
 * struct lf_simd_ops - the kernels of one instruction set
 * @isa: the set
 *
 * The functions are described one by one below.
 */
struct lf_simd_ops {
	enum lf_simd_isa isa;

	/* Element-wise, all [count]; out may be one of the inputs. */

	/** @add: out = a + b. 1 FP */
	void (*add)(float *out, const float *a, const float *b, size_t count);
	/** @mul: out = a * b; GELU's backward is this, dx = dy * slope. 1 FP */
	void (*mul)(float *out, const float *a, const float *b, size_t count);
	/** @scale: out = a * factor. 1 FP */
	void (*scale)(float *out, const float *a, float factor, size_t count);
	/** @axpy: y += factor * x. 2 FP */
	void (*axpy)(float *y, float factor, const float *x, size_t count);
	/**
	 * @scale_columns: out[t][c] = x[t][c] * factor[c] + bias[c], [rows][columns]
	 *
	 * A NULL bias adds nothing. 1 or 2 FP.
	 */
	void (*scale_columns)(struct lf_rows_out out, struct lf_rows x, const float *factor,
			      const float *bias, size_t rows, size_t columns);

	/* Reductions over [count]. */

	/** @dot: sum of a * b. 2 FP */
	float (*dot)(const float *a, const float *b, size_t count);
	/** @sum: sum of a. 1 FP */
	float (*sum)(const float *a, size_t count);
	/** @sum_squares: sum of a * a. 2 FP */
	float (*sum_squares)(const float *a, size_t count);
	/**
	 * @absmax: largest |a|, 0 of nothing; NaN if there is a NaN, else Inf if there is one
	 *
	 * Compares bit patterns: 0 FP.
	 */
	float (*absmax)(const float *a, size_t count);

	/* Activations and norms. */

	/**
	 * @gelu: y = x * Phi(x) (the erf form) and its slope Phi(x) + x * phi(x), all [count]
	 *
	 * Both to 3e-7 absolute for |x| <= 6, exact limits beyond. A NULL slope is not written;
	 * y may be x. An infinite x gives NaN. 13 FP, or 9 without the slope.
	 */
	void (*gelu)(float *y, float *slope, const float *x, size_t count);
	/**
	 * @layer_norm: out = normalised * gamma + beta with normalised = (s - mean(s)) * rstd,
	 * s = x + residual and rstd = 1 / sqrt(mean((s - mean)^2) + epsilon), all [rows][columns],
	 * gamma and beta [columns]
	 *
	 * normalised [rows][columns] without gaps and rstd [rows] are for the backward pass, and
	 * normalised is also where the kernel works: it is always written. A NULL rstd is not;
	 * residual.data may be NULL. out may be x or residual. columns is at least 1. 8 FP.
	 */
	void (*layer_norm)(struct lf_rows_out out, float *normalised, float *rstd, struct lf_rows x,
			   struct lf_rows residual, const float *gamma, const float *beta,
			   size_t rows, size_t columns, float epsilon);
	/**
	 * @layer_norm_backward: dx = rstd * (g - mean(g) - normalised * mean(g * normalised)),
	 * g = dy * gamma: the gradient to x, and to residual, of layer_norm()
	 *
	 * dx may be dy. gamma and beta are frozen. 8 FP.
	 */
	void (*layer_norm_backward)(struct lf_rows_out dx, struct lf_rows dy,
				    const float *normalised, const float *rstd, const float *gamma,
				    size_t rows, size_t columns);
	/**
	 * @softmax: p[r][c] = exp(scale * x[r][c]) / sum over c < valid of the same, and 0 for
	 * valid <= c < columns
	 *
	 * valid is at least 1, scale positive, p may be x. Differences to the row's maximum are cut
	 * at -40, so that no probability is denormal. Absolute error 3e-7. 20 FP.
	 */
	void (*softmax)(struct lf_rows_out p, struct lf_rows x, float scale, size_t rows,
			size_t columns, size_t valid);
	/**
	 * @softmax_backward: dx = scale * p * (dp - sum over c of dp * p), [rows][columns]
	 *
	 * The gradient to x of softmax(). dx may be dp. 5 FP.
	 */
	void (*softmax_backward)(struct lf_rows_out dx, struct lf_rows dp, struct lf_rows p,
				 float scale, size_t rows, size_t columns);

	/* Matrix products, row-major with strides. */

	/**
	 * @matmul_nt: out[m][n] = alpha * sum over k of a[m][k] * b[n][k] + bias[n]
	 *
	 * A reduction each. A NULL bias adds nothing. 2 FP per m, n, k and 16 per m, n.
	 */
	void (*matmul_nt)(struct lf_rows_out out, struct lf_rows a, struct lf_rows b, float alpha,
			  const float *bias, size_t m, size_t n, size_t k);
	/**
	 * @matmul_nn: out[m][n] = (accumulate ? out[m][n] : 0) + sum over k of a[m][k] * b[k][n]
	 *
	 * One chain per element in the order of k. 2 FP per m, n, k.
	 */
	void (*matmul_nn)(struct lf_rows_out out, struct lf_rows a, struct lf_rows b,
			  bool accumulate, size_t m, size_t n, size_t k);
	/**
	 * @matmul_tn: out[m][n] = (accumulate ? out[m][n] : 0) + sum over k of a[k][m] * b[k][n]
	 *
	 * As matmul_nn(). With k the tokens: the gradients of a LoRA, dA [r][in] += v^T x and
	 * dB [out][r] += g^T z, and of a linear head. Splitting the tokens over several
	 * accumulating calls changes no bit.
	 */
	void (*matmul_tn)(struct lf_rows_out out, struct lf_rows a, struct lf_rows b,
			  bool accumulate, size_t m, size_t n, size_t k);

	/* Attention of one head over one sequence. */

	/**
	 * @attention: context = softmax(scale * q k^T) v, with q, k, v, context [tokens][width]
	 * and probability [tokens][tokens] without gaps, kept for the backward pass
	 *
	 * tokens is at least 1. 4 * width + 36 FP per pair of tokens.
	 */
	void (*attention)(struct lf_rows_out context, float *probability, struct lf_rows q,
			  struct lf_rows k, struct lf_rows v,
			  const struct lf_attention_shape *shape);
	/**
	 * @attention_backward: dq, dk, dv of attention(), all [tokens][width], written whole
	 *
	 * scratch is [tokens][tokens]. 8 * width + 21 FP per pair of tokens.
	 */
	void (*attention_backward)(struct lf_rows_out dq, struct lf_rows_out dk,
				   struct lf_rows_out dv, struct lf_rows dcontext, struct lf_rows q,
				   struct lf_rows k, struct lf_rows v, const float *probability,
				   float *scratch, const struct lf_attention_shape *shape);

	/* Sentence vectors and the loss. */

	/** @mean_pool: out[c] = sum over tokens of x[t][c], times 1 / tokens (at least 1). 1 FP */
	void (*mean_pool)(float *out, struct lf_rows x, size_t tokens, size_t columns);
	/** @mean_pool_backward: dx[t][c] = dout[c] * (1 / tokens) */
	void (*mean_pool_backward)(struct lf_rows_out dx, const float *dout, size_t tokens,
				   size_t columns);
	/**
	 * @normalise: y = x * inverse, inverse = 1 / max(|x|, 1e-12) in the Euclidean norm, [count]
	 *
	 * Returns inverse. y may be x. 3 FP.
	 */
	float (*normalise)(float *y, const float *x, size_t count);
	/**
	 * @normalise_backward: dx = (dy - y * sum(dy * y)) * inverse, [count]
	 *
	 * dx may be dy. 5 FP.
	 */
	void (*normalise_backward)(float *dx, const float *dy, const float *y, float inverse,
				   size_t count);
	/**
	 * @cross_entropy: probability = softmax(logits), both [classes]
	 *
	 * Returns the loss -log probability[label], computed as log(sum) and not from the rounded
	 * probability, so that a hopeless label has a finite loss. If gradient [classes] is not NULL
	 * it becomes the loss's gradient to the logits, probability - onehot(label). label is below
	 * classes. gradient may be probability, which it then replaces.
	 */
	float (*cross_entropy)(float *probability, float *gradient, const float *logits,
			       size_t classes, size_t label);

	/* Reductions of LoRAFusion. */

	/**
	 * @column_dots: out[c] += factor[c] * sum over t of a[t][c] * b[t][c]
	 *
	 * With a = dL/dy, b = h and factor = 1/n it is the gradient of the magnitudes. The factor
	 * acts once, on the sum. 2 FP per t, c.
	 */
	void (*column_dots)(float *out, struct lf_rows a, struct lf_rows b, const float *factor,
			    size_t tokens, size_t columns);
	/**
	 * @group_dots: out[i] += factor * sum over t of <a[t] group i, b[t] group i>
	 *
	 * Group i of a[t] starts a_group floats after group i - 1; a_group 0 sets one vector of
	 * @width against all groups, as the product of sums asks for. The same for b_group. The
	 * 16 lanes of a group run over the tokens in order and fold once, at the end. 2 FP per t,
	 * group and column (widths are padded to 16).
	 */
	void (*group_dots)(float *out, struct lf_rows a, size_t a_group, struct lf_rows b,
			   size_t b_group, float factor, const struct lf_group_shape *shape);
	/**
	 * @group_sum: out[t][j] = sum over i of coefficient[i] * z[t][i * width + j], [tokens][width]
	 *
	 * One chain in the order of the groups. 2 FP per t, group and column.
	 */
	void (*group_sum)(struct lf_rows_out out, struct lf_rows z, const float *coefficient,
			  const struct lf_group_shape *shape);

	/* The optimiser and the deployed weights. */

	/**
	 * @adam: one step on parameter, first and second moment, all [count], read and written
	 *
	 * 15 FP, of which two divisions and a square root.
	 */
	void (*adam)(float *parameter, float *first_moment, float *second_moment,
		     const float *gradient, size_t count, const struct lf_adam *adam);
	/**
	 * @quantise_rows: out[r][c] = round to even of w[r][c] / scale[r], scale[r] = absmax / 127
	 *
	 * A row of a [out][in] weight is an output column of the device. out [rows][columns] has no
	 * gaps. A row without a normal scale, absmax below 1.5e-36, counts as zeros with scale 0.
	 * Returns 0, or -EINVAL at the first row that holds a NaN or Inf, with the rows before it
	 * written.
	 */
	int (*quantise_rows)(int8_t *out, float *scale, struct lf_rows w, size_t rows,
			     size_t columns);
};

/**
 * lf_simd_ops_of() - the kernels of an instruction set
 * @isa: a set that lf_simd_supported() affirms
 *
 * Return: a table that lives as long as the program, or NULL if the set cannot run here.
 */
const struct lf_simd_ops *lf_simd_ops_of(enum lf_simd_isa isa);

/**
 * lf_simd_ops_choose() - the kernels of lf_simd_choose()'s answer
 * @name: as there
 * @ops: where the table goes; untouched on failure
 * @error: filled on failure, may be NULL
 *
 * Return: as lf_simd_choose().
 */
int lf_simd_ops_choose(const char *name, const struct lf_simd_ops **ops, struct lf_error *error);

#endif
