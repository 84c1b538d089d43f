// SPDX-License-Identifier: MIT
/*
 * The host kernels away from ordinary numbers, in place, against finite differences, and the
 * choice of an instruction set. Ordinary data of every size is test_simd.c's.
 */
#include <check.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/simd_cases.h"
#include "tests/unit/suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct lf_simd_ops *scalar(void)
{
	return lf_simd_ops_of(LF_SIMD_SCALAR);
}

/* Runs the rest of the test on each set that the CPU has: a loop test over the sets. */
static const struct lf_simd_ops *ops_of_test(int isa)
{
	return lf_simd_supported(isa) ? lf_simd_ops_of(isa) : scalar();
}

static const float special[] = { 0.0f,	  -0.0f,     FLT_TRUE_MIN, -FLT_TRUE_MIN, 1e-40f, -1e-40f,
				 FLT_MIN, -FLT_MIN,  1e-30f,	   -1e-30f,	  1.0f,	  -1.0f,
				 87.5f,	  -87.5f,    6.0f,	   -6.0f,	  6.01f,  -6.01f,
				 5.99f,	  -5.99f,    1e4f,	   -1e4f,	  1e9f,	  -1e9f,
				 1e18f,	  -1e18f,    0.015625f,	   -0.015625f,	  0.5f,	  -0.5f,
				 1e-3f,	  16777216.f };
#define SPECIALS COUNT(special)

static void expect_same_bits(const float *got, const float *want, size_t count, const char *what)
{
	for (size_t i = 0; i < count; i++)
		ck_assert_msg(!memcmp(&got[i], &want[i], sizeof(*got)),
			      "%s: %zu is %a, scalar has %a", what, i, (double)got[i],
			      (double)want[i]);
}

START_TEST(special_values_give_the_scalar_bits)
{
	const struct lf_simd_ops *sets[] = { scalar(), ops_of_test(_i) };
	const struct lf_rows x = { special, SPECIALS };
	float out[2][12][SPECIALS];

	memset(out, 0, sizeof(out));
	for (int s = 0; s < 2; s++) {
		const struct lf_simd_ops *ops = sets[s];
		float backwards[SPECIALS];
		struct lf_adam adam;

		for (size_t i = 0; i < SPECIALS; i++)
			backwards[i] = special[SPECIALS - 1 - i];
		ops->add(out[s][0], special, backwards, SPECIALS);
		ops->mul(out[s][1], special, backwards, SPECIALS);
		ops->gelu(out[s][2], out[s][3], special, SPECIALS);
		ops->softmax((struct lf_rows_out){ out[s][4], SPECIALS }, x, 1e-3f, 1, SPECIALS,
			     SPECIALS);
		out[s][5][0] = ops->dot(special, backwards, SPECIALS);
		out[s][5][1] = ops->sum(special, SPECIALS);
		out[s][5][2] = ops->absmax(special, SPECIALS);
		out[s][5][3] = ops->absmax(special, 10);
		ops->layer_norm((struct lf_rows_out){ out[s][6], SPECIALS }, out[s][7], NULL, x,
				(struct lf_rows){ NULL, 0 }, backwards, special, 1, SPECIALS,
				1e-12f);
		out[s][5][4] = ops->normalise(out[s][8], special, 10);
		lf_adam_prepare(&adam, 1, 0.02, 0.9, 0.999, 1e-8, 0);
		memcpy(out[s][9], special, sizeof(special));
		ops->adam(out[s][9], out[s][10], out[s][11], special, SPECIALS, &adam);
	}
	for (int row = 0; row < 12; row++)
		expect_same_bits(out[1][row], out[0][row], SPECIALS, lf_simd_name(sets[1]->isa));
}
END_TEST

START_TEST(absmax_finds_what_is_not_finite)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);
	float data[50] = { 0 };

	ck_assert_float_eq(ops->absmax(data, 0), 0);
	for (size_t i = 0; i < COUNT(data); i++) {
		data[i] = -INFINITY;
		data[0] = i ? FLT_MAX : data[0];
		ck_assert_float_eq(ops->absmax(data, COUNT(data)), INFINITY);
		data[i] = -NAN;
		ck_assert(isnan(ops->absmax(data, COUNT(data))));
		data[i] = 0;
	}
}
END_TEST

START_TEST(nothing_is_a_valid_size)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);
	const float one = 1;
	const struct lf_rows rows = { &one, 1 };
	float out[4] = { 7, 7, 7, 7 };

	ops->add(out, &one, &one, 0);
	ops->gelu(out, out + 1, &one, 0);
	ck_assert_float_eq(ops->dot(&one, &one, 0), 0);
	ck_assert_float_eq(ops->sum(&one, 0), 0);
	ops->matmul_nt((struct lf_rows_out){ out, 2 }, rows, rows, 3, NULL, 0, 2, 1);
	ops->matmul_tn((struct lf_rows_out){ out, 2 }, rows, rows, true, 1, 2, 0);
	for (size_t i = 0; i < COUNT(out); i++)
		ck_assert_float_eq(out[i], 7);
	/* A product over nothing is a matrix of zeros, with the bias where there is one. */
	ops->matmul_nt((struct lf_rows_out){ out, 1 }, rows, rows, 3, &one, 1, 1, 0);
	ops->matmul_nn((struct lf_rows_out){ out + 1, 1 }, rows, rows, false, 1, 1, 0);
	ck_assert_float_eq(out[0], 1);
	ck_assert_float_eq(out[1], 0);
	ck_assert_float_eq(out[2], 7);
}
END_TEST

/* Where simd.h allows an output to be an input, the bits are those of separate memory. */
START_TEST(in_place_is_the_same)
{
	enum { N = 37 };
	const struct lf_simd_ops *ops = ops_of_test(_i);
	float x[N], y[N], gamma[N], apart[N], together[N], unit[N], other[N], rstd;
	const struct lf_rows x_rows = { x, N }, y_rows = { y, N }, in_place = { together, N };
	const struct lf_rows_out to = { apart, N }, back = { together, N };
	float inverse;

	for (size_t i = 0; i < N; i++) {
		x[i] = simd_sample(0, i);
		y[i] = simd_sample(1, i);
		gamma[i] = simd_sample(2, i);
	}
#define COMPARE(what, separate, same)                                   \
	do {                                                            \
		memcpy(together, x, sizeof(x));                         \
		separate;                                               \
		same;                                                   \
		expect_same_bits(together, apart, N, what " in place"); \
	} while (0)
	COMPARE("add", ops->add(apart, x, y, N), ops->add(together, together, y, N));
	COMPARE("gelu", ops->gelu(apart, unit, x, N), ops->gelu(together, other, together, N));
	COMPARE("layer_norm",
		ops->layer_norm(to, unit, &rstd, x_rows, y_rows, gamma, y, 1, N, 1e-5f),
		ops->layer_norm(back, unit, &rstd, in_place, y_rows, gamma, y, 1, N, 1e-5f));
	COMPARE("layer_norm_backward",
		ops->layer_norm_backward(to, x_rows, unit, &rstd, gamma, 1, N),
		ops->layer_norm_backward(back, in_place, unit, &rstd, gamma, 1, N));
	COMPARE("softmax", ops->softmax(to, x_rows, 1, 1, N, N - 2),
		ops->softmax(back, in_place, 1, 1, N, N - 2));
	COMPARE("softmax_backward", ops->softmax_backward(to, x_rows, y_rows, 1, 1, N),
		ops->softmax_backward(back, in_place, y_rows, 1, 1, N));
	COMPARE("normalise", inverse = ops->normalise(apart, x, N),
		ops->normalise(together, together, N));
	COMPARE("normalise_backward", ops->normalise_backward(apart, x, y, inverse, N),
		ops->normalise_backward(together, together, y, inverse, N));
	COMPARE("cross_entropy", ops->cross_entropy(unit, apart, x, N, 3),
		ops->cross_entropy(together, together, x, N, 3));
#undef COMPARE
}
END_TEST

/* The whole useful range in steps no piece of the table divides, and the limits outside. */
START_TEST(gelu_is_good_everywhere)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);

	for (double x = -8; x <= 8; x += 0.00037) {
		float input = (float)x, y, slope;
		double exact = (double)input, below = 0.5 * erfc(-exact / sqrt(2));

		ops->gelu(&y, &slope, &input, 1);
		ck_assert_double_eq_tol((double)y, exact * below, 3e-7 * fmax(1, fabs(exact)));
		ck_assert_double_eq_tol((double)slope,
					below + exact * exp(-exact * exact / 2) / sqrt(2 * M_PI),
					3e-7);
	}
	for (float x = 7; x < 1e30f; x *= 11) {
		float input[2] = { x, -x }, y[2], slope[2];

		ops->gelu(y, slope, input, 2);
		ck_assert_float_eq_tol(y[0] / x, 1, 1e-6f);
		ck_assert_float_eq(slope[0], 1);
		ck_assert_float_eq(y[1], 0);
		ck_assert_float_eq(slope[1], 0);
	}
}
END_TEST

START_TEST(softmax_has_no_denormal_and_its_maximum_counts_one)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);
	float x[100], p[100];

	for (size_t i = 0; i < COUNT(x); i++)
		x[i] = -(float)(i * i);
	ops->softmax((struct lf_rows_out){ p, 100 }, (struct lf_rows){ x, 100 }, 1, 1, 100, 100);
	for (size_t i = 0; i < COUNT(x); i++) {
		ck_assert_float_ge(p[i], 1e-20f);
		ck_assert_double_eq_tol((double)p[i], exp(-(double)(i * i)) / 1.386318602413326,
					3e-7);
	}
	/* Equal numbers share exactly. */
	memset(x, 0x41, sizeof(x));
	ops->softmax((struct lf_rows_out){ p, 64 }, (struct lf_rows){ x, 64 }, 3, 1, 64, 64);
	for (size_t i = 0; i < 64; i++)
		ck_assert_float_eq(p[i], 1.0f / 64);
}
END_TEST

START_TEST(nan_is_not_swallowed)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);
	const float quiet[] = { NAN, -NAN };

	for (size_t i = 0; i < 2 * 20; i++) {
		float x[20], p[20], slope[20], unit[20];
		const struct lf_rows rows = { x, 20 };

		for (size_t c = 0; c < 20; c++)
			x[c] = simd_sample(0, c);
		x[i % 20] = quiet[i / 20];
		ops->gelu(p, slope, x, 20);
		ck_assert(isnan(p[i % 20]) && isnan(slope[i % 20]));
		ops->softmax((struct lf_rows_out){ p, 20 }, rows, 1, 1, 20, 20);
		for (size_t c = 0; c < 20; c++)
			ck_assert(isnan(p[c]));
		ops->layer_norm((struct lf_rows_out){ p, 20 }, unit, NULL, rows,
				(struct lf_rows){ NULL, 0 }, x, x, 1, 20, 1e-12f);
		for (size_t c = 0; c < 20; c++)
			ck_assert(isnan(p[c]));
		ck_assert(isnan(ops->cross_entropy(p, NULL, x, 20, (i + 1) % 20)));
	}
}
END_TEST

START_TEST(a_hopeless_label_has_a_finite_loss)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);
	const float logits[] = { 1000, -1000, 0 };
	float p[3];

	ck_assert_float_eq(ops->cross_entropy(p, NULL, logits, 3, 0), 0);
	ck_assert_float_eq(ops->cross_entropy(p, NULL, logits, 3, 1), 2000);
}
END_TEST

START_TEST(quantising_rounds_half_to_even_and_refuses_nan)
{
	const struct lf_simd_ops *ops = ops_of_test(_i);
	float w[] = { 127, 0.5f, 1.5f, 2.5f, -0.5f, -2.5f, -127, 126.5f };
	const float zeros[8] = { 0, -0.0f, 1e-40f };
	const int8_t want[] = { 127, 0, 2, 2, 0, -2, -127, 126 };
	int8_t level[8];
	float scale;

	ck_assert_int_eq(ops->quantise_rows(level, &scale, (struct lf_rows){ w, 8 }, 1, 8), 0);
	ck_assert_float_eq(scale, 1);
	ck_assert_mem_eq(level, want, sizeof(want));
	ck_assert_int_eq(ops->quantise_rows(level, &scale, (struct lf_rows){ zeros, 8 }, 1, 8), 0);
	ck_assert_float_eq(scale, 0);
	for (size_t i = 0; i < 8; i++)
		ck_assert_int_eq(level[i], 0);
	w[5] = NAN;
	ck_assert_int_eq(ops->quantise_rows(level, &scale, (struct lf_rows){ w, 8 }, 1, 8),
			 -EINVAL);
	w[5] = INFINITY;
	ck_assert_int_eq(ops->quantise_rows(level, &scale, (struct lf_rows){ w, 8 }, 1, 8),
			 -EINVAL);
}
END_TEST

/* Backward kernels are the derivatives of the forward ones, not only of the test's formulas. */

enum { TOKENS = 5, WIDTH = 6, NUMBERS = TOKENS * WIDTH };

typedef double forward_fn(const float *x);

/* A fixed projection makes a number of an output. */
static double project(const float *y, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double)y[i] * (double)simd_sample(9, i);
	return sum;
}

static void expect_gradient(const float *gradient, float *x, size_t count, forward_fn *forward,
			    const char *what)
{
	const float step = 0x1p-7f;

	for (size_t i = 0; i < count; i++) {
		float kept = x[i];
		double above, below;

		x[i] = kept + step;
		above = forward(x);
		x[i] = kept - step;
		below = forward(x);
		x[i] = kept;
		ck_assert_msg(fabs((above - below) / (2 * (double)step) - (double)gradient[i]) <
				      2e-3,
			      "%s: gradient %zu is %g, differences have %g", what, i,
			      (double)gradient[i], (above - below) / (2 * (double)step));
	}
}

static double layer_norm_forward(const float *x)
{
	float gamma[WIDTH], beta[WIDTH] = { 0 }, y[NUMBERS], unit[NUMBERS];

	for (size_t c = 0; c < WIDTH; c++)
		gamma[c] = simd_sample(3, c);
	scalar()->layer_norm((struct lf_rows_out){ y, WIDTH }, unit, NULL,
			     (struct lf_rows){ x, WIDTH }, (struct lf_rows){ NULL, 0 }, gamma, beta,
			     TOKENS, WIDTH, 1e-5f);
	return project(y, NUMBERS);
}

static const struct lf_attention_shape head = { TOKENS, WIDTH, 0.5f };

/* @x: q, k and v, [3][TOKENS][WIDTH] */
static double attention_forward(const float *x)
{
	float context[NUMBERS], p[TOKENS * TOKENS];

	scalar()->attention((struct lf_rows_out){ context, WIDTH }, p, (struct lf_rows){ x, WIDTH },
			    (struct lf_rows){ x + NUMBERS, WIDTH },
			    (struct lf_rows){ x + 2 * NUMBERS, WIDTH }, &head);
	return project(context, NUMBERS);
}

static double sentence_forward(const float *x)
{
	float mean[WIDTH], y[WIDTH];

	scalar()->mean_pool(mean, (struct lf_rows){ x, WIDTH }, TOKENS, WIDTH);
	scalar()->normalise(y, mean, WIDTH);
	return project(y, WIDTH);
}

static double cross_entropy_forward(const float *x)
{
	float p[NUMBERS];

	return (double)scalar()->cross_entropy(p, NULL, x, NUMBERS, 4);
}

START_TEST(backward_is_the_derivative_of_forward)
{
	const struct lf_simd_ops *ops = scalar();
	float x[3 * NUMBERS], dy[NUMBERS], gradient[3 * NUMBERS], y[NUMBERS], unit[NUMBERS];
	float gamma[WIDTH], rstd[TOKENS], p[TOKENS * TOKENS], scratch[TOKENS * TOKENS];
	const struct lf_rows q = { x, WIDTH }, k = { x + NUMBERS, WIDTH };
	const struct lf_rows v = { x + 2 * NUMBERS, WIDTH }, slope = { dy, WIDTH };
	float inverse;

	for (size_t i = 0; i < 3 * NUMBERS; i++)
		x[i] = simd_sample(0, i);
	for (size_t i = 0; i < NUMBERS; i++)
		dy[i] = simd_sample(9, i);
	for (size_t c = 0; c < WIDTH; c++)
		gamma[c] = simd_sample(3, c);

	ops->layer_norm((struct lf_rows_out){ y, WIDTH }, unit, rstd, q,
			(struct lf_rows){ NULL, 0 }, gamma, gamma, TOKENS, WIDTH, 1e-5f);
	ops->layer_norm_backward((struct lf_rows_out){ gradient, WIDTH }, slope, unit, rstd, gamma,
				 TOKENS, WIDTH);
	expect_gradient(gradient, x, NUMBERS, layer_norm_forward, "layer_norm");

	ops->attention((struct lf_rows_out){ y, WIDTH }, p, q, k, v, &head);
	ops->attention_backward((struct lf_rows_out){ gradient, WIDTH },
				(struct lf_rows_out){ gradient + NUMBERS, WIDTH },
				(struct lf_rows_out){ gradient + 2 * NUMBERS, WIDTH }, slope, q, k,
				v, p, scratch, &head);
	expect_gradient(gradient, x, 3 * NUMBERS, attention_forward, "attention");

	ops->mean_pool(y, q, TOKENS, WIDTH);
	inverse = ops->normalise(y, y, WIDTH);
	ops->normalise_backward(unit, dy, y, inverse, WIDTH);
	ops->mean_pool_backward((struct lf_rows_out){ gradient, WIDTH }, unit, TOKENS, WIDTH);
	expect_gradient(gradient, x, NUMBERS, sentence_forward, "sentence");

	ops->cross_entropy(y, gradient, x, NUMBERS, 4);
	expect_gradient(gradient, x, NUMBERS, cross_entropy_forward, "cross_entropy");
}
END_TEST

/* The choice of a set */

START_TEST(an_override_is_obeyed_or_refused)
{
	enum lf_simd_isa isa = LF_SIMD_ISA_COUNT;
	const struct lf_simd_ops *ops = NULL;
	struct lf_error error = { 0 };

	unsetenv(LF_SIMD_ENVIRONMENT);
	ck_assert_int_eq(lf_simd_choose(NULL, &isa, &error), 0);
	ck_assert(lf_simd_supported(isa));
	for (int i = isa + 1; i < LF_SIMD_ISA_COUNT; i++)
		ck_assert(!lf_simd_supported(i));
	for (int i = 0; i < LF_SIMD_ISA_COUNT; i++) {
		int want = lf_simd_supported(i) ? 0 : -EOPNOTSUPP;

		ck_assert_int_eq(lf_simd_ops_choose(lf_simd_name(i), &ops, &error), want);
		if (!want)
			ck_assert_int_eq(ops->isa, i);
		else
			ck_assert_ptr_nonnull(strstr(error.text, lf_simd_name(i)));
		setenv(LF_SIMD_ENVIRONMENT, lf_simd_name(i), 1);
		ck_assert_int_eq(lf_simd_choose(NULL, &isa, NULL), want);
		if (!want)
			ck_assert_int_eq(isa, i);
	}
	setenv(LF_SIMD_ENVIRONMENT, "mmx", 1);
	ck_assert_int_eq(lf_simd_ops_choose(NULL, &ops, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, LF_SIMD_ENVIRONMENT "=mmx"));
	/* A name given beats the environment. */
	ck_assert_int_eq(lf_simd_choose("scalar", &isa, &error), 0);
	ck_assert_int_eq(isa, LF_SIMD_SCALAR);
	setenv(LF_SIMD_ENVIRONMENT, "auto", 1);
	ck_assert_int_eq(lf_simd_choose(NULL, &isa, &error), 0);
	ck_assert_ptr_null(lf_simd_name(LF_SIMD_ISA_COUNT));
	ck_assert(!lf_simd_supported(LF_SIMD_ISA_COUNT));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("simd edges");
	TCase *tests = tcase_create("edges");

	tcase_set_timeout(tests, 300);
	tcase_add_loop_test(tests, special_values_give_the_scalar_bits, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, absmax_finds_what_is_not_finite, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, nothing_is_a_valid_size, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, in_place_is_the_same, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, gelu_is_good_everywhere, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, softmax_has_no_denormal_and_its_maximum_counts_one, 0,
			    LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, nan_is_not_swallowed, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, a_hopeless_label_has_a_finite_loss, 0, LF_SIMD_ISA_COUNT);
	tcase_add_loop_test(tests, quantising_rounds_half_to_even_and_refuses_nan, 0,
			    LF_SIMD_ISA_COUNT);
	tcase_add_test(tests, backward_is_the_derivative_of_forward);
	tcase_add_test(tests, an_override_is_obeyed_or_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
