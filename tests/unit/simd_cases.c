// SPDX-License-Identifier: MIT
/* The cases of simd_cases.h: each kernel's run beside its reference in double. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/simd_cases.h"

#define SIZE_MAX_COLUMNS 512
#define ROWS		 3
#define COUNT(array)	 (sizeof(array) / sizeof((array)[0]))

float simd_sample(unsigned int stream, size_t index)
{
	uint64_t mixed = (index + 1) * 0x9e3779b97f4a7c15u + stream * 0xd1b54a32d192ed03u;

	mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
	mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
	return (float)((double)(mixed >> 40) / (1 << 22) - 2);
}

/* Samples of @stream as the caller's own memory of exactly that size, so that a read beyond shows. */
static float *samples(unsigned int stream, size_t count)
{
	float *data = malloc(count * sizeof(*data));

	for (size_t i = 0; i < count; i++)
		data[i] = simd_sample(stream, i);
	return data;
}

static double at(unsigned int stream, size_t index)
{
	return (double)simd_sample(stream, index);
}

/* Element-wise */

static size_t run_elementwise(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *a = samples(0, n), *b = samples(1, n);

	ops->add(out, a, b, n);
	ops->mul(out + n, a, b, n);
	ops->scale(out + 2 * n, a, 0.3f, n);
	memcpy(out + 3 * n, b, n * sizeof(*b));
	ops->axpy(out + 3 * n, -0.7f, a, n);
	free(a);
	free(b);
	return 4 * n;
}

static void reference_elementwise(size_t n, double *out)
{
	for (size_t i = 0; i < n; i++) {
		out[i] = at(0, i) + at(1, i);
		out[n + i] = at(0, i) * at(1, i);
		out[2 * n + i] = at(0, i) * (double)0.3f;
		out[3 * n + i] = at(1, i) - (double)0.7f * at(0, i);
	}
}

static size_t run_scale_columns(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *x = samples(0, ROWS * (n + 1)), *factor = samples(1, n), *bias = samples(2, n);
	const struct lf_rows rows = { x, n + 1 };

	ops->scale_columns((struct lf_rows_out){ out, n }, rows, factor, bias, ROWS, n);
	ops->scale_columns((struct lf_rows_out){ out + ROWS * n, n }, rows, factor, NULL, ROWS, n);
	free(x);
	free(factor);
	free(bias);
	return 2 * ROWS * n;
}

static void reference_scale_columns(size_t n, double *out)
{
	for (size_t i = 0; i < ROWS * n; i++) {
		double product = at(0, i / n * (n + 1) + i % n) * at(1, i % n);

		out[i] = product + at(2, i % n);
		out[ROWS * n + i] = product;
	}
}

/* Reductions */

static size_t run_reductions(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *a = samples(0, n), *b = samples(1, n);

	out[0] = ops->dot(a, b, n);
	out[1] = ops->sum(a, n);
	out[2] = ops->sum_squares(a, n);
	out[3] = ops->absmax(a, n);
	free(a);
	free(b);
	return 4;
}

static void reference_reductions(size_t n, double *out)
{
	for (size_t i = 0; i < n; i++) {
		out[0] += at(0, i) * at(1, i);
		out[1] += at(0, i);
		out[2] += at(0, i) * at(0, i);
		out[3] = fmax(out[3], fabs(at(0, i)));
	}
}

/* Activations and norms */

static size_t run_gelu(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *x = samples(0, n);

	ops->scale(x, x, 4, n);
	ops->gelu(out, out + n, x, n);
	ops->gelu(out + 2 * n, NULL, x, n);
	free(x);
	return 3 * n;
}

static void reference_gelu(size_t n, double *out)
{
	for (size_t i = 0; i < n; i++) {
		double x = 4 * at(0, i), below = 0.5 * erfc(-x / sqrt(2));

		out[i] = out[2 * n + i] = x * below;
		out[n + i] = below + x * exp(-x * x / 2) / sqrt(2 * M_PI);
	}
}

static const float epsilon = 1e-3f;

static size_t run_layer_norm(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *x = samples(0, ROWS * n), *residual = samples(1, ROWS * (n + 2));
	float *gamma = samples(2, n), *beta = samples(3, n), *dy = samples(4, ROWS * n);
	float *normalised = out + ROWS * n, *dx = out + 2 * ROWS * n, *rstd = out + 3 * ROWS * n;

	ops->layer_norm((struct lf_rows_out){ out, n }, normalised, rstd, (struct lf_rows){ x, n },
			(struct lf_rows){ residual, n + 2 }, gamma, beta, ROWS, n, epsilon);
	ops->layer_norm_backward((struct lf_rows_out){ dx, n }, (struct lf_rows){ dy, n },
				 normalised, rstd, gamma, ROWS, n);
	free(x);
	free(residual);
	free(gamma);
	free(beta);
	free(dy);
	return 3 * ROWS * n + ROWS;
}

static void reference_layer_norm(size_t n, double *out)
{
	for (size_t r = 0; r < ROWS; r++) {
		double *unit = out + (ROWS + r) * n, mean = 0, variance = 0, g = 0, along = 0;
		double rstd;

		for (size_t c = 0; c < n; c++) {
			unit[c] = at(0, r * n + c) + at(1, r * (n + 2) + c);
			mean += unit[c] / n;
		}
		for (size_t c = 0; c < n; c++)
			variance += (unit[c] - mean) * (unit[c] - mean) / n;
		rstd = 1 / sqrt(variance + (double)epsilon);
		out[3 * ROWS * n + r] = rstd;
		for (size_t c = 0; c < n; c++) {
			unit[c] = (unit[c] - mean) * rstd;
			out[r * n + c] = unit[c] * at(2, c) + at(3, c);
			g += at(4, r * n + c) * at(2, c) / n;
			along += at(4, r * n + c) * at(2, c) * unit[c] / n;
		}
		for (size_t c = 0; c < n; c++)
			out[(2 * ROWS + r) * n + c] =
				rstd * (at(4, r * n + c) * at(2, c) - g - unit[c] * along);
	}
}

static size_t run_softmax(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *x = samples(0, ROWS * n), *dp = samples(1, ROWS * n);
	const struct lf_rows p = { out, n };

	ops->softmax((struct lf_rows_out){ out, n }, (struct lf_rows){ x, n }, 2.5f, ROWS, n,
		     (n + 1) / 2);
	ops->softmax_backward((struct lf_rows_out){ out + ROWS * n, n }, (struct lf_rows){ dp, n },
			      p, 2.5f, ROWS, n);
	free(x);
	free(dp);
	return 2 * ROWS * n;
}

/* @out [valid] holds the logits and becomes their softmax. Returns the log of the sum. */
static double softmax_in_place(double *out, size_t valid)
{
	double most = out[0], total = 0;

	for (size_t c = 1; c < valid; c++)
		most = fmax(most, out[c]);
	for (size_t c = 0; c < valid; c++)
		total += out[c] = exp(out[c] - most);
	for (size_t c = 0; c < valid; c++)
		out[c] /= total;
	return most + log(total);
}

static void softmax_gradient(double *dx, const double *dp, const double *p, double scale, size_t n)
{
	double mean = 0;

	for (size_t c = 0; c < n; c++)
		mean += dp[c] * p[c];
	for (size_t c = 0; c < n; c++)
		dx[c] = scale * p[c] * (dp[c] - mean);
}

static void reference_softmax(size_t n, double *out)
{
	double dp[SIZE_MAX_COLUMNS];

	for (size_t r = 0; r < ROWS; r++) {
		for (size_t c = 0; c < n; c++) {
			out[r * n + c] = c < (n + 1) / 2 ? 2.5 * at(0, r * n + c) : 0;
			dp[c] = at(1, r * n + c);
		}
		softmax_in_place(out + r * n, (n + 1) / 2);
		softmax_gradient(out + (ROWS + r) * n, dp, out + r * n, 2.5, n);
	}
}

/* Products: m x n x k from one size, each of them taking odd values and values around a lane */

struct product {
	size_t m, n, k;
};

static struct product product_of(size_t n)
{
	return (struct product){ n % 7 + 1, (n * 5) % 37 + 1, n };
}

static size_t run_matmul(const struct lf_simd_ops *ops, size_t size, float *out)
{
	const struct product s = product_of(size);
	float *a = samples(0, s.m * s.k), *b = samples(1, s.n * s.k), *bias = samples(2, s.n);
	const struct lf_rows_out nt = { out, s.n }, nn = { out + s.m * s.n, s.n };
	const struct lf_rows_out tn = { out + 2 * s.m * s.n, s.n };

	ops->matmul_nt(nt, (struct lf_rows){ a, s.k }, (struct lf_rows){ b, s.k }, 0.5f, bias, s.m,
		       s.n, s.k);
	ops->matmul_nn(nn, (struct lf_rows){ a, s.k }, (struct lf_rows){ b, s.n }, false, s.m, s.n,
		       s.k);
	/* In two parts, which must give what one gives. */
	ops->matmul_tn(tn, (struct lf_rows){ a, s.m }, (struct lf_rows){ b, s.n }, false, s.m, s.n,
		       s.k / 2);
	ops->matmul_tn(tn, (struct lf_rows){ a + s.k / 2 * s.m, s.m },
		       (struct lf_rows){ b + s.k / 2 * s.n, s.n }, true, s.m, s.n, s.k - s.k / 2);
	free(a);
	free(b);
	free(bias);
	return 3 * s.m * s.n;
}

static void reference_matmul(size_t size, double *out)
{
	const struct product s = product_of(size);
	double *nt = out, *nn = out + s.m * s.n, *tn = out + 2 * s.m * s.n;

	for (size_t i = 0; i < s.m; i++) {
		for (size_t j = 0; j < s.n; j++, nt++, nn++, tn++) {
			*nt = at(2, j);
			for (size_t k = 0; k < s.k; k++) {
				*nt += 0.5 * at(0, i * s.k + k) * at(1, j * s.k + k);
				*nn += at(0, i * s.k + k) * at(1, k * s.n + j);
				*tn += at(0, k * s.m + i) * at(1, k * s.n + j);
			}
		}
	}
}

/* Attention: q, k and v interleaved in one buffer, as a job writes them */

static struct lf_attention_shape attention_of(size_t n)
{
	return (struct lf_attention_shape){ n % 23 + 1, n % 70 + 1, 0.4f };
}

static size_t run_attention(const struct lf_simd_ops *ops, size_t n, float *out)
{
	const struct lf_attention_shape shape = attention_of(n);
	const size_t t = shape.tokens, w = shape.width;
	float *qkv = samples(0, t * 3 * w), *dcontext = samples(1, t * w);
	float *scratch = malloc(t * t * sizeof(*scratch)), *p = out + t * w, *d = p + t * t;
	const struct lf_rows q = { qkv, 3 * w }, k = { qkv + w, 3 * w }, v = { qkv + 2 * w, 3 * w };

	ops->attention((struct lf_rows_out){ out, w }, p, q, k, v, &shape);
	ops->attention_backward((struct lf_rows_out){ d, 3 * w },
				(struct lf_rows_out){ d + w, 3 * w },
				(struct lf_rows_out){ d + 2 * w, 3 * w },
				(struct lf_rows){ dcontext, w }, q, k, v, p, scratch, &shape);
	free(qkv);
	free(dcontext);
	free(scratch);
	return t * w + t * t + 3 * t * w;
}

static void reference_attention(size_t n, double *out)
{
	const struct lf_attention_shape shape = attention_of(n);
	const size_t t = shape.tokens, w = shape.width, row = 3 * w;
	double *p = out + t * w, *d = p + t * t, dp[SIZE_MAX_COLUMNS], ds[SIZE_MAX_COLUMNS];

	for (size_t i = 0; i < t; i++, p += t) {
		for (size_t j = 0; j < t; j++) {
			p[j] = 0;
			dp[j] = 0;
			for (size_t c = 0; c < w; c++) {
				p[j] += (double)shape.scale * at(0, i * row + c) *
					at(0, j * row + w + c);
				dp[j] += at(1, i * w + c) * at(0, j * row + 2 * w + c);
			}
		}
		softmax_in_place(p, t);
		softmax_gradient(ds, dp, p, (double)shape.scale, t);
		for (size_t j = 0; j < t; j++) {
			for (size_t c = 0; c < w; c++) {
				out[i * w + c] += p[j] * at(0, j * row + 2 * w + c);
				d[i * row + c] += ds[j] * at(0, j * row + w + c);
				d[j * row + w + c] += ds[j] * at(0, i * row + c);
				d[j * row + 2 * w + c] += p[j] * at(1, i * w + c);
			}
		}
	}
}

/* Sentence vectors and the loss */

static size_t run_sentence(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *x = samples(0, ROWS * (n + 3)), *dy = samples(1, n), *y = out + n;
	float inverse;

	ops->mean_pool(out, (struct lf_rows){ x, n + 3 }, ROWS, n);
	inverse = ops->normalise(y, out, n);
	ops->normalise_backward(out + 2 * n, dy, y, inverse, n);
	ops->mean_pool_backward((struct lf_rows_out){ out + 3 * n, n }, out + 2 * n, ROWS, n);
	free(x);
	free(dy);
	return 3 * n + ROWS * n;
}

static void reference_sentence(size_t n, double *out)
{
	double square = 0, along = 0;

	for (size_t c = 0; c < n; c++) {
		for (size_t t = 0; t < ROWS; t++)
			out[c] += at(0, t * (n + 3) + c) / ROWS;
		square += out[c] * out[c];
	}
	for (size_t c = 0; c < n; c++) {
		out[n + c] = out[c] / sqrt(square);
		along += out[n + c] * at(1, c);
	}
	for (size_t c = 0; c < n; c++) {
		out[2 * n + c] = (at(1, c) - out[n + c] * along) / sqrt(square);
		for (size_t t = 0; t < ROWS; t++)
			out[(3 + t) * n + c] = out[2 * n + c] / ROWS;
	}
}

static size_t run_cross_entropy(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *logits = samples(0, n);

	ops->scale(logits, logits, 5, n);
	out[2 * n] = ops->cross_entropy(out, out + n, logits, n, n / 3);
	free(logits);
	return 2 * n + 1;
}

static void reference_cross_entropy(size_t n, double *out)
{
	for (size_t c = 0; c < n; c++)
		out[c] = 5 * at(0, c);
	out[2 * n] = -out[n / 3];
	out[2 * n] += softmax_in_place(out, n);
	for (size_t c = 0; c < n; c++)
		out[n + c] = out[c] - (c == n / 3);
}

/* LoRAFusion */

static size_t run_column_dots(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *a = samples(0, ROWS * n), *b = samples(1, ROWS * (n + 1)), *factor = samples(2, n);

	for (size_t c = 0; c < n; c++)
		out[c] = simd_sample(3, c);
	ops->column_dots(out, (struct lf_rows){ a, n }, (struct lf_rows){ b, n + 1 }, factor, ROWS,
			 n);
	free(a);
	free(b);
	free(factor);
	return n;
}

static void reference_column_dots(size_t n, double *out)
{
	for (size_t c = 0; c < n; c++) {
		out[c] = at(3, c);
		for (size_t t = 0; t < ROWS; t++)
			out[c] += at(2, c) * at(0, t * n + c) * at(1, t * (n + 1) + c);
	}
}

#define GROUPS 5

static size_t run_groups(const struct lf_simd_ops *ops, size_t n, float *out)
{
	const struct lf_group_shape shape = { ROWS, GROUPS, n };
	const size_t row = GROUPS * n;
	float *v = samples(0, ROWS * row), *z = samples(1, ROWS * row), *c = samples(2, GROUPS);

	for (size_t i = 0; i < 2 * GROUPS; i++)
		out[i] = 1;
	ops->group_dots(out, (struct lf_rows){ v, row }, n, (struct lf_rows){ z, row }, n, 0.25f,
			&shape);
	ops->group_sum((struct lf_rows_out){ out + 2 * GROUPS, n }, (struct lf_rows){ z, row }, c,
		       &shape);
	ops->group_dots(out + GROUPS, (struct lf_rows){ v, row }, n,
			(struct lf_rows){ out + 2 * GROUPS, n }, 0, 0.25f, &shape);
	free(v);
	free(z);
	free(c);
	return 2 * GROUPS + ROWS * n;
}

static void reference_groups(size_t n, double *out)
{
	for (size_t i = 0; i < 2 * GROUPS; i++)
		out[i] = 1;
	for (size_t i = 0; i < ROWS * n; i++) {
		size_t first = i / n * GROUPS * n + i % n;
		double sum = 0;

		for (size_t g = 0; g < GROUPS; g++)
			sum += at(2, g) * at(1, first + g * n);
		out[2 * GROUPS + i] = sum;
		for (size_t g = 0; g < GROUPS; g++) {
			out[g] += 0.25 * at(0, first + g * n) * at(1, first + g * n);
			out[GROUPS + g] += 0.25 * at(0, first + g * n) * sum;
		}
	}
}

/* The optimiser and the deployed weights */

static size_t run_adam(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *p = out, *first = out + n, *second = out + 2 * n;
	struct lf_adam adam;

	for (size_t i = 0; i < n; i++) {
		p[i] = simd_sample(0, i);
		first[i] = second[i] = 0;
	}
	for (unsigned int step = 1; step <= 3; step++) {
		float *gradient = samples(step, n);

		lf_adam_prepare(&adam, step, 0.02, 0.9, 0.999, 1e-8, 1e-5);
		ops->adam(p, first, second, gradient, n, &adam);
		free(gradient);
	}
	return 3 * n;
}

static void reference_adam(size_t n, double *out)
{
	for (size_t i = 0; i < n; i++) {
		double *p = out + i, *first = out + n + i, *second = out + 2 * n + i;

		*p = at(0, i);
		for (unsigned int step = 1; step <= 3; step++) {
			double g = at(step, i) + 1e-5 * *p;

			*first = 0.9 * *first + 0.1 * g;
			*second = 0.999 * *second + 0.001 * g * g;
			*p -= 0.02 / (1 - pow(0.9, step)) * *first /
			      (sqrt(*second / (1 - pow(0.999, step))) + 1e-8);
		}
	}
}

static size_t run_quantise_rows(const struct lf_simd_ops *ops, size_t n, float *out)
{
	float *w = samples(0, ROWS * (n + 1));
	int8_t level[ROWS * SIZE_MAX_COLUMNS];

	ops->quantise_rows(level, out, (struct lf_rows){ w, n + 1 }, ROWS, n);
	for (size_t i = 0; i < ROWS * n; i++)
		out[ROWS + i] = level[i];
	free(w);
	return ROWS + ROWS * n;
}

static void reference_quantise_rows(size_t n, double *out)
{
	for (size_t r = 0; r < ROWS; r++) {
		float most = 0, step;

		for (size_t c = 0; c < n; c++)
			most = fmaxf(most, fabsf(simd_sample(0, r * (n + 1) + c)));
		step = most / 127;
		out[r] = (double)step;
		for (size_t c = 0; c < n; c++)
			out[ROWS + r * n + c] =
				(double)rintf(simd_sample(0, r * (n + 1) + c) / step);
	}
}

/* A bound is a few roundings times the length of the longest sum, or the kernel's own promise. */
const struct simd_case simd_cases[] = {
	{ "elementwise", run_elementwise, reference_elementwise, 1e-7, 0x4b65e128cfa4ec7b },
	{ "scale_columns", run_scale_columns, reference_scale_columns, 3e-7, 0xeef1b2435886635b },
	{ "reductions", run_reductions, reference_reductions, 3e-6, 0x36299d1bc0d63d5d },
	{ "gelu", run_gelu, reference_gelu, 3e-7, 0x552d59d6aa574d02 },
	{ "layer_norm", run_layer_norm, reference_layer_norm, 3e-6, 0x47b6b80d32a5db28 },
	{ "softmax", run_softmax, reference_softmax, 5e-7, 0x5c8ca2b6bed4df54 },
	{ "matmul", run_matmul, reference_matmul, 2e-5, 0x0f59839701bab68e },
	{ "attention", run_attention, reference_attention, 4e-5, 0x0b327545cd1187c3 },
	{ "sentence", run_sentence, reference_sentence, 2e-6, 0xe8131d43d1d01837 },
	{ "cross_entropy", run_cross_entropy, reference_cross_entropy, 5e-7, 0xcb4283113de21cb8 },
	{ "column_dots", run_column_dots, reference_column_dots, 1e-6, 0x704031a1ea771343 },
	{ "groups", run_groups, reference_groups, 1e-5, 0x30c4ae9c26216fcc },
	{ "adam", run_adam, reference_adam, 1e-6, 0x433eb75033293ef2 },
	{ "quantise_rows", run_quantise_rows, reference_quantise_rows, 1e-7, 0x0b0553617a44b7fd },
};
const size_t simd_case_count = COUNT(simd_cases);
