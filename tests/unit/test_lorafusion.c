// SPDX-License-Identifier: MIT
/*
 * LoRAFusion: values and gradients of both merges against autograd, on fp32 cells and on int8 ones, and
 * against finite differences.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

/*
 * Largest difference as a share of a tensor's largest number. The reference computes in double precision; on int8 cells it rounds
 * as the device does.
 */
#define TOLERANCE 1e-5

static const struct fusion_case {
	const char *kind;
	const char *pool;
	const char *name;
	enum lf_merge merge;
} cases[] = {
	{ "float", "qv", "qv-sum", LF_MERGE_SUM },
	{ "float", "qv", "qv-product", LF_MERGE_PRODUCT },
	{ "float", "all", "all-sum", LF_MERGE_SUM },
	{ "float", "all", "all-product", LF_MERGE_PRODUCT },
	{ "ideal", "qv", "qv-sum", LF_MERGE_SUM },
	{ "ideal", "qv", "qv-product", LF_MERGE_PRODUCT },
	{ "ideal", "all", "all-sum", LF_MERGE_SUM },
	{ "ideal", "all", "all-product", LF_MERGE_PRODUCT },
};

struct fusion_setup {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
};

static void set_up(struct fusion_setup *setup, const struct fusion_case *one)
{
	tiny_open(&setup->tiny, one->kind, NULL);
	setup->pool = tiny_pool(&setup->tiny, one->pool);
	setup->method = tiny_fusion(&setup->tiny, setup->pool, one->name, one->merge);
}

static void tear_down(struct fusion_setup *setup)
{
	ck_assert_lf(lf_encoder_attach(setup->tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(setup->method);
	lf_pool_close(setup->pool);
	tiny_close(&setup->tiny);
}

static const char *tensor(const struct fusion_case *one, const char *name)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s.%s", one->name, name);
	return text;
}

static void expect_region(const struct tiny *tiny, const char *name, enum lf_region region,
			  uint32_t width)
{
	size_t tokens = tiny->batch.start[tiny->batch.sequences];
	float *values = malloc(tokens * width * sizeof(*values));

	tiny_region(tiny, region, width, values);
	tiny_expect(tiny, name, values, tokens * width, TOLERANCE);
	free(values);
}

START_TEST(gradients_agree_with_autograd)
{
	const struct fusion_case *one = &cases[_i];
	const struct lf_parameters *coefficients, *magnitudes;
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	struct fusion_setup setup;
	float loss;

	set_up(&setup, one);
	coefficients = tiny_parameters(setup.method, "coefficients");
	magnitudes = tiny_parameters(setup.method, "magnitudes");
	loss = (float)tiny_step(&setup.tiny, setup.method, embeddings);
	tiny_expect(&setup.tiny, tensor(one, "loss"), &loss, 1, TOLERANCE);
	tiny_expect(&setup.tiny, tensor(one, "embeddings"), embeddings, TINY_EXAMPLES * TINY_HIDDEN,
		    TOLERANCE);
	ck_assert_uint_eq(lf_method_tensors(setup.method, tensors), 3);
	ck_assert_str_eq(tensors[2].name, "norms");
	tiny_expect(&setup.tiny, tensor(one, "norms"), tensors[2].values, magnitudes->count,
		    TOLERANCE);
	tiny_expect(&setup.tiny, tensor(one, "coefficient_gradient"), coefficients->gradients,
		    coefficients->count, TOLERANCE);
	tiny_expect(&setup.tiny, tensor(one, "magnitude_gradient"), magnitudes->gradients,
		    magnitudes->count, TOLERANCE);
	if (!strcmp(one->kind, "float") && !strcmp(one->pool, "all")) {
		expect_region(&setup.tiny, tensor(one, "dx"), LF_REGION_DX, TINY_HIDDEN);
		expect_region(&setup.tiny, tensor(one, "dcontext"), LF_REGION_DCONTEXT,
			      TINY_HIDDEN);
		expect_region(&setup.tiny, tensor(one, "dhidden"), LF_REGION_DHIDDEN, TINY_HIDDEN);
		expect_region(&setup.tiny, tensor(one, "dactivated"), LF_REGION_DACTIVATED,
			      TINY_INNER);
	}
	tear_down(&setup);
}
END_TEST

/*
 * The sum along @direction where one number is moved by @by while the norms stay: as n follows the
 * coefficients, m is moved along with it.
 */
static double moved(struct fusion_setup *setup, const struct lf_parameters *group, size_t at,
		    float by, const float *norms, const float *direction)
{
	const struct lf_parameters *magnitudes = tiny_parameters(setup->method, "magnitudes");
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	float *kept = malloc(magnitudes->count * sizeof(*kept));
	float value = group->values[at];
	double sum;

	group->values[at] = value + by;
	memcpy(kept, magnitudes->values, magnitudes->count * sizeof(*kept));
	ck_assert_lf(lf_method_prepare(setup->method, LF_ERROR));
	lf_method_tensors(setup->method, tensors);
	for (size_t o = 0; o < magnitudes->count; o++)
		magnitudes->values[o] *= tensors[2].values[o] / norms[o];
	sum = tiny_along(&setup->tiny, setup->method, direction);
	memcpy(magnitudes->values, kept, magnitudes->count * sizeof(*kept));
	group->values[at] = value;
	free(kept);
	return sum;
}

#define STEP		4e-3f
#define SLOPE_TOLERANCE 2e-3

/* Central differences at every @every-th number of a group. */
static void expect_slopes(struct fusion_setup *setup, const char *name, size_t every,
			  const float *norms, const float *direction)
{
	const struct lf_parameters *group = tiny_parameters(setup->method, name);
	size_t count = (group->count + every - 1) / every;
	float *slopes = malloc(count * sizeof(*slopes)), *gradients = malloc(count * sizeof(float));

	for (size_t i = 0; i < count; i++) {
		double up = moved(setup, group, i * every, STEP, norms, direction);
		double down = moved(setup, group, i * every, -STEP, norms, direction);

		slopes[i] = (float)((up - down) / (2.0 * STEP));
		gradients[i] = group->gradients[i * every];
	}
	expect_close(name, gradients, slopes, count, SLOPE_TOLERANCE);
	free(gradients);
	free(slopes);
}

START_TEST(gradients_agree_with_finite_differences)
{
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	float direction[TINY_EXAMPLES * TINY_HIDDEN];
	const struct lf_parameters *magnitudes;
	struct fusion_setup setup;
	float *norms;

	set_up(&setup, &cases[_i]);
	magnitudes = tiny_parameters(setup.method, "magnitudes");
	random_fill(direction, TINY_EXAMPLES * TINY_HIDDEN, 5);
	tiny_along(&setup.tiny, setup.method, direction);
	ck_assert_lf(lf_encoder_backward(setup.tiny.encoder, direction, LF_ERROR));
	lf_method_tensors(setup.method, tensors);
	norms = malloc(magnitudes->count * sizeof(*norms));
	memcpy(norms, tensors[2].values, magnitudes->count * sizeof(*norms));
	expect_slopes(&setup, "coefficients", 1, norms, direction);
	expect_slopes(&setup, "magnitudes", 5, norms, direction);
	free(norms);
	tear_down(&setup);
}
END_TEST

START_TEST(a_step_reads_and_never_writes)
{
	const uint64_t groups = TINY_BLOCKS * 4, lanes = 2;
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	struct lf_counters before, after;
	struct fusion_setup setup;
	uint64_t tokens;

	set_up(&setup, &cases[4]);
	tokens = setup.tiny.batch.start[TINY_EXAMPLES];
	ck_assert_lf(lf_device_counters(setup.tiny.device, &before, LF_ERROR));
	tiny_step(&setup.tiny, setup.method, embeddings);
	ck_assert_lf(lf_device_counters(setup.tiny.device, &after, LF_ERROR));
	ck_assert_uint_eq(after.cells_written, before.cells_written);
	ck_assert_uint_eq(after.jobs - before.jobs, 2 * groups * lanes);
	/* Forward the backbone and two stacks at four layers; backward no frozen layer of the first block's attention. */
	ck_assert_uint_eq(after.mvm_count - before.mvm_count,
			  tokens * (TINY_LINEARS + 2 * 4 + (TINY_LINEARS - 3) + 2 * 2 + 2));
	tear_down(&setup);
}
END_TEST

START_TEST(gradients_add_up)
{
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	const struct lf_parameters *group;
	struct fusion_setup setup;
	float *once;

	set_up(&setup, &cases[5]);
	group = tiny_parameters(setup.method, "magnitudes");
	once = malloc(group->count * sizeof(*once));
	tiny_step(&setup.tiny, setup.method, embeddings);
	for (size_t at = 0; at < group->count; at++)
		once[at] = 2.0f * group->gradients[at];
	tiny_step(&setup.tiny, setup.method, embeddings);
	expect_close("twice", group->gradients, once, group->count, 1e-6);
	free(once);
	tear_down(&setup);
}
END_TEST

START_TEST(embedding_needs_no_training)
{
	float trained[TINY_EXAMPLES * TINY_HIDDEN], plain[TINY_EXAMPLES * TINY_HIDDEN];
	float gradient[TINY_EXAMPLES * TINY_HIDDEN] = { 0 };
	struct fusion_setup setup;

	set_up(&setup, &cases[_i]);
	tiny_along(&setup.tiny, setup.method, gradient);
	ck_assert_lf(lf_encoder_forward(setup.tiny.encoder, &setup.tiny.batch, trained, LF_ERROR));
	ck_assert_lf(lf_method_attach(setup.method, false, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(setup.tiny.encoder, &setup.tiny.batch, plain, LF_ERROR));
	ck_assert_mem_eq(plain, trained, sizeof(plain));
	ck_assert_lf_fails(lf_encoder_backward(setup.tiny.encoder, gradient, LF_ERROR), -EINVAL,
			   "no method is attached for training");
	tear_down(&setup);
}
END_TEST

START_TEST(a_start_is_drawn_from_its_seed)
{
	const struct lf_parameters *coefficients, *magnitudes;
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	const float bound = sqrtf(6.0f / (TINY_MODULES + TINY_BLOCKS));
	float first[TINY_MODULES * TINY_BLOCKS];
	struct fusion_setup setup;

	set_up(&setup, &cases[_i]);
	ck_assert_str_eq(lf_method_name(setup.method), "lorafusion");
	coefficients = tiny_parameters(setup.method, "coefficients");
	magnitudes = tiny_parameters(setup.method, "magnitudes");
	ck_assert_uint_eq(coefficients->count, TINY_MODULES * TINY_BLOCKS);
	ck_assert_uint_eq(lf_method_trainable(setup.method),
			  coefficients->count + magnitudes->count);
	ck_assert_lf(lf_method_start(setup.method, 1, LF_ERROR));
	memcpy(first, coefficients->values, sizeof(first));
	for (size_t at = 0; at < coefficients->count; at++)
		ck_assert(fabsf(first[at]) <= bound && first[at] != 0.0f);
	/* m / n is 1 at the start. */
	ck_assert_lf(lf_method_prepare(setup.method, LF_ERROR));
	lf_method_tensors(setup.method, tensors);
	ck_assert_mem_eq(magnitudes->values, tensors[2].values, magnitudes->count * sizeof(float));
	ck_assert_lf(lf_method_start(setup.method, 2, LF_ERROR));
	ck_assert_mem_ne(coefficients->values, first, sizeof(first));
	ck_assert_lf(lf_method_start(setup.method, 1, LF_ERROR));
	ck_assert_mem_eq(coefficients->values, first, sizeof(first));
	/* Parameters that replace a start get norms of their own. */
	memset(coefficients->values, 0, sizeof(first));
	ck_assert_lf(lf_method_prepare(setup.method, LF_ERROR));
	lf_method_tensors(setup.method, tensors);
	ck_assert_mem_ne(magnitudes->values, tensors[2].values, magnitudes->count * sizeof(float));
	tear_down(&setup);
}
END_TEST

START_TEST(a_number_that_is_none_names_the_layer)
{
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	struct fusion_setup setup;

	set_up(&setup, &cases[_i]);
	tiny_parameters(setup.method, "coefficients")->values[TINY_MODULES] = NAN;
	ck_assert_lf(lf_method_prepare(setup.method, LF_ERROR));
	ck_assert_lf_fails(
		lf_encoder_forward(setup.tiny.encoder, &setup.tiny.batch, embeddings, LF_ERROR),
		-EDOM, "tiny/layer.1.attention.self, forward");
	/* Nothing is left in flight: with a number in its place it works again. */
	tiny_parameters(setup.method, "coefficients")->values[TINY_MODULES] = 0.5f;
	tiny_step(&setup.tiny, setup.method, embeddings);
	tear_down(&setup);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lorafusion");
	TCase *tcase = tcase_create("lorafusion");

	tcase_add_loop_test(tcase, gradients_agree_with_autograd, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tcase, gradients_agree_with_finite_differences, 0, 4);
	tcase_add_test(tcase, a_step_reads_and_never_writes);
	tcase_add_test(tcase, gradients_add_up);
	tcase_add_loop_test(tcase, embedding_needs_no_training, 0, 8);
	tcase_add_loop_test(tcase, a_start_is_drawn_from_its_seed, 4, 6);
	tcase_add_loop_test(tcase, a_number_that_is_none_names_the_layer, 3, 5);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
