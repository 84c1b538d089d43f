// SPDX-License-Identifier: MIT
/* Row norms of a fused weight against those of the dense one, in double precision. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/norms.h"
#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

/* Sizes that fill no register, and ones that fill many. */
static const struct shape {
	uint32_t modules, rank, inputs, outputs;
} shapes[] = { { 1, 1, 1, 1 }, { 3, 5, 21, 13 }, { 20, 16, 384, 8 }, { 2, 33, 17, 4 } };

#define SHAPES	  ((int)(sizeof(shapes) / sizeof(shapes[0])))

/* Largest relative difference: terms are summed up in fp32. */
#define TOLERANCE 1e-6

/* A layer with modules, all drawn at random. */
struct layer {
	struct shape shape;
	struct lf_pool_site site;
	float *weight;
	float *coefficients;
};

static struct layer make_layer(const struct shape *shape)
{
	struct layer layer = { .shape = *shape };
	size_t width = (size_t)shape->modules * shape->rank;

	layer.site.a = (struct lf_linear){ .inputs = shape->inputs, .outputs = (uint32_t)width };
	layer.site.b = (struct lf_linear){ .inputs = (uint32_t)width, .outputs = shape->outputs };
	layer.site.a_values = malloc(width * shape->inputs * sizeof(float));
	layer.site.b_values = malloc(width * shape->outputs * sizeof(float));
	layer.weight = malloc((size_t)shape->outputs * shape->inputs * sizeof(float));
	layer.coefficients = malloc(shape->modules * sizeof(float));
	random_fill(layer.site.a_values, width * shape->inputs, 1);
	random_fill(layer.site.b_values, width * shape->outputs, 2);
	random_fill(layer.weight, (size_t)shape->outputs * shape->inputs, 3);
	random_fill(layer.coefficients, shape->modules, 4);
	return layer;
}

static void free_layer(struct layer *layer)
{
	free(layer->site.a_values);
	free(layer->site.b_values);
	free(layer->weight);
	free(layer->coefficients);
}

/* dW[o][x] of one of the merges, term by term. */
static double change(const struct layer *layer, enum lf_merge merge, size_t o, size_t x)
{
	size_t modules = layer->shape.modules, rank = layer->shape.rank, width = modules * rank;
	const float *c = layer->coefficients, *b = layer->site.b_values + o * width;
	double sum = 0.0;

	for (size_t i = 0; i < modules; i++)
		for (size_t j = 0; j < modules; j++) {
			if (merge == LF_MERGE_SUM && i != j)
				continue;
			for (size_t k = 0; k < rank; k++) {
				double a =
					layer->site
						.a_values[(j * rank + k) * layer->shape.inputs + x];

				sum += (double)c[i] * b[i * rank + k] * a *
				       (merge == LF_MERGE_SUM ? 1.0 : c[j]);
			}
		}
	return sum;
}

static double dense_norm(const struct layer *layer, enum lf_merge merge, size_t o)
{
	double square = 0.0;

	for (size_t x = 0; x < layer->shape.inputs; x++) {
		double w = layer->weight[o * layer->shape.inputs + x] + change(layer, merge, o, x);

		square += w * w;
	}
	return sqrt(square);
}

static float *evaluate(const struct layer *layer, enum lf_merge merge, enum lf_simd_isa isa,
		       struct lf_parallel *parallel)
{
	float *values = malloc(layer->shape.outputs * sizeof(*values));
	struct lf_norms *norms;

	ck_assert_lf(lf_norms_create(&norms, &layer->site, layer->weight, layer->shape.modules,
				     layer->shape.rank, merge, lf_simd_ops_of(isa), parallel,
				     LF_ERROR));
	lf_norms_evaluate(norms, layer->coefficients, values);
	lf_norms_free(norms);
	return values;
}

static void compare(const struct shape *shape, enum lf_merge merge)
{
	struct layer layer = make_layer(shape);
	float *values = evaluate(&layer, merge, LF_SIMD_SCALAR, NULL);

	for (size_t o = 0; o < shape->outputs; o++) {
		double expected = dense_norm(&layer, merge, o);

		ck_assert_msg(fabs(values[o] - expected) <= TOLERANCE * expected,
			      "row %zu: %.9g, dense %.9g", o, values[o], expected);
	}
	free(values);
	free_layer(&layer);
}

START_TEST(sum_of_products)
{
	compare(&shapes[_i], LF_MERGE_SUM);
}
END_TEST

START_TEST(product_of_sums)
{
	compare(&shapes[_i], LF_MERGE_PRODUCT);
}
END_TEST

START_TEST(threads_and_instruction_sets_change_no_bit)
{
	struct layer layer = make_layer(&shapes[_i]);
	struct lf_parallel *parallel;

	ck_assert_lf(lf_parallel_create(&parallel, 3, LF_ERROR));
	for (enum lf_merge merge = LF_MERGE_SUM; merge <= LF_MERGE_PRODUCT; merge++) {
		float *expected = evaluate(&layer, merge, LF_SIMD_SCALAR, NULL);

		for (enum lf_simd_isa isa = 0; isa < LF_SIMD_ISA_COUNT; isa++) {
			float *values;

			if (!lf_simd_supported(isa))
				continue;
			values = evaluate(&layer, merge, isa, parallel);
			ck_assert_mem_eq(values, expected, layer.shape.outputs * sizeof(float));
			free(values);
		}
		free(expected);
	}
	lf_parallel_destroy(parallel);
	free_layer(&layer);
}
END_TEST

/* Where the change takes the weight away, rounding must not make a root of something negative, nor a zero. */
START_TEST(a_row_of_nothing_has_a_norm)
{
	struct layer layer = make_layer(&shapes[1]);
	size_t count = (size_t)layer.shape.outputs * layer.shape.inputs;

	for (enum lf_merge merge = LF_MERGE_SUM; merge <= LF_MERGE_PRODUCT; merge++) {
		float *values;

		for (size_t at = 0; at < count; at++)
			layer.weight[at] = -(float)change(&layer, merge, at / layer.shape.inputs,
							  at % layer.shape.inputs);
		values = evaluate(&layer, merge, LF_SIMD_SCALAR, NULL);
		for (size_t o = 0; o < layer.shape.outputs; o++)
			ck_assert_msg(values[o] >= 1e-12f && values[o] < 1e-2f, "%g", values[o]);
		free(values);
	}
	memset(layer.weight, 0, count * sizeof(float));
	memset(layer.coefficients, 0, layer.shape.modules * sizeof(float));
	for (enum lf_merge merge = LF_MERGE_SUM; merge <= LF_MERGE_PRODUCT; merge++) {
		float *values = evaluate(&layer, merge, LF_SIMD_SCALAR, NULL);

		for (size_t o = 0; o < layer.shape.outputs; o++)
			ck_assert_float_eq(values[o], 1e-12f);
		free(values);
	}
	free_layer(&layer);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("norms");
	TCase *tcase = tcase_create("norms");

	tcase_add_loop_test(tcase, sum_of_products, 0, SHAPES);
	tcase_add_loop_test(tcase, product_of_sums, 0, SHAPES);
	tcase_add_loop_test(tcase, threads_and_instruction_sets_change_no_bit, 0, SHAPES);
	tcase_add_test(tcase, a_row_of_nothing_has_a_norm);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
