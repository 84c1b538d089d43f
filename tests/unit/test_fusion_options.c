// SPDX-License-Identifier: MIT
/*
 * What LoRAFusion can leave out or share: coefficients of a block or of the model, magnitudes or none, fixed coefficients, and modules that are
 * zero for good and not read any more. Gradients against autograd and finite differences, fixed coefficients against dense weights, and what is
 * read counted by the device.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/method.h"
#include "runtime/adapt/pool.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

#define STEP		2e-3f
#define SLOPE_TOLERANCE 2e-3
#define QUERY_VALUE	(1u << LF_TARGET_QUERY | 1u << LF_TARGET_VALUE)

enum { SITES = 4, NUMBERS = TINY_EXAMPLES * TINY_HIDDEN };

static const struct option_case {
	const char *pool;
	enum lf_merge merge;
	enum lf_coefficients coefficients;
	bool without_magnitudes;
} cases[] = {
	{ "qv", LF_MERGE_SUM, LF_COEFFICIENTS_MODEL, false },
	{ "qv", LF_MERGE_PRODUCT, LF_COEFFICIENTS_MODEL, false },
	{ "qv", LF_MERGE_SUM, LF_COEFFICIENTS_BLOCK, true },
	{ "qv", LF_MERGE_PRODUCT, LF_COEFFICIENTS_BLOCK, true },
	{ "all", LF_MERGE_SUM, LF_COEFFICIENTS_MODEL, true },
	{ "all", LF_MERGE_PRODUCT, LF_COEFFICIENTS_MODEL, true },
};

struct setup {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
};

static void set_up(struct setup *setup, const char *kind, const char *pool,
		   const struct lf_lorafusion_options *options)
{
	tiny_open(&setup->tiny, kind, NULL);
	setup->pool = tiny_pool(&setup->tiny, pool);
	ck_assert_lf(lf_lorafusion_create(setup->tiny.encoder, setup->pool, options, &setup->method,
					  LF_ERROR));
	ck_assert_lf(lf_method_attach(setup->method, true, LF_ERROR));
	ck_assert_lf(lf_method_start(setup->method, 3, LF_ERROR));
}

static void tear_down(struct setup *setup)
{
	ck_assert_lf(lf_encoder_attach(setup->tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(setup->method);
	lf_pool_close(setup->pool);
	tiny_close(&setup->tiny);
}

static struct lf_lorafusion_options options_of(const struct option_case *one)
{
	struct lf_lorafusion_options options;

	lf_lorafusion_defaults(&options);
	options.merge = one->merge;
	options.coefficients = one->coefficients;
	options.without_magnitudes = one->without_magnitudes;
	return options;
}

/* A tensor beyond the parameters, NULL if the method keeps none of that name. */
static const float *derived(const struct lf_method *method, const char *name)
{
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	uint32_t count = lf_method_tensors(method, tensors);

	for (uint32_t at = 0; at < count; at++)
		if (!strcmp(tensors[at].name, name))
			return tensors[at].values;
	return NULL;
}

/* As n follows the coefficients, m is moved along with it: the gradient holds the norm fixed. */
static double moved(struct setup *setup, float *value, float by, const float *norms,
		    const float *direction)
{
	float kept = *value, before[SITES * TINY_HIDDEN];
	const struct lf_parameters *magnitudes;
	double sum;

	*value = kept + by;
	if (norms) {
		magnitudes = tiny_parameters(setup->method, "magnitudes");
		memcpy(before, magnitudes->values, sizeof(before));
		ck_assert_lf(lf_method_prepare(setup->method, LF_ERROR));
		for (size_t o = 0; o < magnitudes->count; o++)
			magnitudes->values[o] *= derived(setup->method, "norms")[o] / norms[o];
	}
	sum = tiny_along(&setup->tiny, setup->method, direction);
	if (norms)
		memcpy(magnitudes->values, before, sizeof(before));
	*value = kept;
	return sum;
}

START_TEST(gradients_agree_with_finite_differences)
{
	const struct option_case *one = &cases[_i];
	struct lf_lorafusion_options options = options_of(one);
	uint32_t columns = one->coefficients == LF_COEFFICIENTS_MODEL ? 1 : TINY_BLOCKS;
	float direction[NUMBERS], slopes[TINY_MODULES * TINY_BLOCKS];
	const struct lf_parameters *coefficients;
	float norms[SITES * TINY_HIDDEN];
	bool magnitudes = !one->without_magnitudes;
	struct setup setup;

	set_up(&setup, "float", one->pool, &options);
	coefficients = tiny_parameters(setup.method, "coefficients");
	ck_assert_uint_eq(coefficients->count, TINY_MODULES * columns);
	ck_assert_uint_eq(lf_method_trainable(setup.method),
			  coefficients->count + (magnitudes ? SITES * TINY_HIDDEN : 0));
	ck_assert_int_eq(derived(setup.method, "norms") != NULL, magnitudes);
	ck_assert_ptr_null(derived(setup.method, "held"));
	for (size_t at = 0; at < coefficients->count; at++)
		ck_assert(fabsf(coefficients->values[at]) <=
			  sqrtf(6.0f / (float)(TINY_MODULES + columns)));
	/* Moderate ones, so that differences along all layers at once stay near the slope. */
	for (size_t at = 0; at < coefficients->count; at++)
		coefficients->values[at] *= 0.3f;
	random_fill(direction, NUMBERS, 5);
	tiny_along(&setup.tiny, setup.method, direction);
	ck_assert_lf(lf_encoder_backward(setup.tiny.encoder, direction, LF_ERROR));
	if (magnitudes)
		memcpy(norms, derived(setup.method, "norms"), sizeof(norms));
	for (size_t at = 0; at < coefficients->count; at++) {
		float *value = &coefficients->values[at];
		const float *held = magnitudes ? norms : NULL;
		double up = moved(&setup, value, STEP, held, direction);
		double down = moved(&setup, value, -STEP, held, direction);

		slopes[at] = (float)((up - down) / (2.0 * STEP));
	}
	expect_close("coefficients", coefficients->gradients, slopes, coefficients->count,
		     SLOPE_TOLERANCE);
	tear_down(&setup);
}
END_TEST

static void take(const struct setup *setup, const char *name, const char *group)
{
	const struct lf_parameters *parameters = tiny_parameters(setup->method, group);
	char tensor[64];
	float *values;

	snprintf(tensor, sizeof(tensor), "%s.%s", name, group);
	values = tiny_expected(&setup->tiny, tensor, parameters->count);
	memcpy(parameters->values, values, parameters->count * sizeof(float));
	free(values);
}

static void expect(const struct setup *setup, const char *name, const char *what,
		   const float *values, size_t count)
{
	char tensor[64];

	snprintf(tensor, sizeof(tensor), "%s.%s", name, what);
	tiny_expect(&setup->tiny, tensor, values, count, 1e-5);
}

/* Shared, without magnitudes, and both, of both merges. */
START_TEST(gradients_agree_with_autograd)
{
	const char *const suffixes[] = { "-shared", "-plain", "-shared", "-plain",
					 "-shared-plain" };
	const char *suffix = suffixes[_i / 2];
	const struct option_case one = { "qv", _i % 2 ? LF_MERGE_PRODUCT : LF_MERGE_SUM,
					 strstr(suffix, "-shared") ? LF_COEFFICIENTS_MODEL
								   : LF_COEFFICIENTS_BLOCK,
					 strstr(suffix, "-plain") };
	struct lf_lorafusion_options options = options_of(&one);
	const struct lf_parameters *group;
	float embeddings[NUMBERS], loss;
	struct setup setup;
	char name[32];

	snprintf(name, sizeof(name), "qv-%s%s", _i % 2 ? "product" : "sum", suffix);
	set_up(&setup, "float", "qv", &options);
	take(&setup, name, "coefficients");
	if (!one.without_magnitudes)
		take(&setup, name, "magnitudes");
	loss = (float)tiny_step(&setup.tiny, setup.method, embeddings);
	expect(&setup, name, "loss", &loss, 1);
	expect(&setup, name, "embeddings", embeddings, NUMBERS);
	group = tiny_parameters(setup.method, "coefficients");
	expect(&setup, name, "coefficient_gradient", group->gradients, group->count);
	if (!one.without_magnitudes) {
		group = tiny_parameters(setup.method, "magnitudes");
		expect(&setup, name, "magnitude_gradient", group->gradients, group->count);
		expect(&setup, name, "norms", derived(setup.method, "norms"), group->count);
	}
	tear_down(&setup);
}
END_TEST

/* W0 + dW of every layer of the pool, with coefficients 1 / N, as a fine-tuned model would have it. */
static void add_average(const struct setup *setup, enum lf_merge merge, float *weights)
{
	const uint32_t rank = TINY_RANK, width = TINY_MODULES * TINY_RANK;

	for (uint32_t site = 0; site < SITES; site++) {
		const struct lf_pool_site *where = &setup->pool->sites[site];

		for (uint32_t o = 0; o < TINY_HIDDEN; o++)
			for (uint32_t i = 0; i < TINY_HIDDEN; i++) {
				double sum = 0.0;

				for (uint32_t k = 0; k < width; k++)
					for (uint32_t l = 0; l < width; l++)
						if (k % rank == l % rank &&
						    (k == l || merge == LF_MERGE_PRODUCT))
							sum += (double)where
								       ->b_values[o * width + k] *
							       where->a_values[l * TINY_HIDDEN + i];
				*weights++ +=
					(float)(sum / TINY_MODULES /
						(merge == LF_MERGE_PRODUCT ? TINY_MODULES : 1));
			}
	}
}

START_TEST(a_uniform_average_is_that_of_dense_weights)
{
	enum lf_merge merge = _i ? LF_MERGE_PRODUCT : LF_MERGE_SUM;
	const struct option_case one = { "qv", merge, LF_COEFFICIENTS_MODEL, true };
	struct lf_full_options full = { .targets = QUERY_VALUE };
	struct lf_lorafusion_options options = options_of(&one);
	float coefficients[TINY_MODULES], fused[NUMBERS], expected[NUMBERS], frozen[NUMBERS];
	struct lf_method *dense;
	struct setup setup;

	options.coefficient_rate = 0.0;
	set_up(&setup, "float", "qv", &options);
	for (uint32_t module = 0; module < TINY_MODULES; module++)
		coefficients[module] = 1.0f / TINY_MODULES;
	lf_lorafusion_set(setup.method, coefficients);
	ck_assert_uint_eq(lf_method_trainable(setup.method), 0);
	tiny_step(&setup.tiny, setup.method, fused);
	ck_assert_lf(lf_encoder_attach(setup.tiny.encoder, NULL, false, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(setup.tiny.encoder, &setup.tiny.batch, frozen, LF_ERROR));
	ck_assert_lf(lf_full_create(setup.tiny.encoder, &full, &dense, LF_ERROR));
	ck_assert_lf(lf_method_start(dense, 1, LF_ERROR));
	add_average(&setup, merge, tiny_parameters(dense, "weights")->values);
	ck_assert_lf(lf_method_attach(dense, true, LF_ERROR));
	tiny_step(&setup.tiny, dense, expected);
	expect_close("embeddings", fused, expected, NUMBERS, 1e-5);
	ck_assert(largest_difference(frozen, expected, NUMBERS) > 1e-2);
	ck_assert_lf(lf_encoder_attach(setup.tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(dense);
	tear_down(&setup);
}
END_TEST

/* What a pass costs: forward, and backward where there is a @direction; of the counters those that are looked at. */
static struct lf_counters spend(struct setup *setup, float *embeddings, const float *direction)
{
	struct lf_counters before, after;

	ck_assert_lf(lf_method_prepare(setup->method, LF_ERROR));
	ck_assert_lf(lf_device_counters(setup->tiny.device, &before, LF_ERROR));
	ck_assert_lf(
		lf_encoder_forward(setup->tiny.encoder, &setup->tiny.batch, embeddings, LF_ERROR));
	if (direction)
		ck_assert_lf(lf_encoder_backward(setup->tiny.encoder, direction, LF_ERROR));
	ck_assert_lf(lf_device_counters(setup->tiny.device, &after, LF_ERROR));
	after.mvm_count -= before.mvm_count;
	after.mac_count -= before.mac_count;
	after.cells_written -= before.cells_written;
	for (int component = 0; component < LF_ENERGY_COMPONENTS; component++)
		after.energy_pj[component] -= before.energy_pj[component];
	return after;
}

/* The coefficients of the second block's first module and of the first block's last. */
static void switch_two_off(struct setup *setup)
{
	float *c = tiny_parameters(setup->method, "coefficients")->values;

	c[TINY_MODULES - 1] = 0.01f * c[0];
	c[TINY_MODULES] = -0.01f * c[TINY_MODULES + 1];
	lf_lorafusion_switch_off(setup->method, 0.02);
}

START_TEST(what_is_switched_off_is_not_read)
{
	const struct option_case one = { "qv", _i % 2 ? LF_MERGE_PRODUCT : LF_MERGE_SUM,
					 LF_COEFFICIENTS_BLOCK, _i / 2 };
	struct lf_lorafusion_options options = options_of(&one);
	float with_zeros[NUMBERS], without[NUMBERS], direction[NUMBERS];
	const struct lf_parameters *group;
	struct lf_counters whole, part;
	struct setup setup;
	uint64_t tokens;
	uint32_t all;

	options.switch_off = 0.02;
	set_up(&setup, "ideal", "qv", &options);
	tokens = setup.tiny.batch.start[TINY_EXAMPLES];
	random_fill(direction, NUMBERS, 5);
	group = tiny_parameters(setup.method, "coefficients");
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, &all),
			  TINY_MODULES * TINY_BLOCKS);
	ck_assert_uint_eq(all, TINY_MODULES * TINY_BLOCKS);

	/* A coefficient that happens to be zero is read: a step may move it. */
	for (size_t at = 0; at < group->count; at++)
		group->values[at] = 0.5f + 0.1f * (float)at;
	group->values[TINY_MODULES - 1] = 0.0f;
	group->values[TINY_MODULES] = 0.0f;
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), all);
	whole = spend(&setup, with_zeros, NULL);
	switch_two_off(&setup);
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), all - 2);
	ck_assert_float_eq(group->values[TINY_MODULES - 1], 0.0f);
	ck_assert_float_eq(group->values[TINY_MODULES], 0.0f);
	part = spend(&setup, without, NULL);
	ck_assert_mem_eq(without, with_zeros, sizeof(without));
	/* Two layers of each block do without the r columns of A and the r rows of B of a module. */
	ck_assert_uint_eq(whole.mac_count - part.mac_count,
			  tokens * 2 * 2 * 2 * TINY_RANK * TINY_HIDDEN);
	ck_assert_uint_eq(part.mvm_count, whole.mvm_count);
	ck_assert_uint_lt(part.energy_pj[LF_ENERGY_ADC], whole.energy_pj[LF_ENERGY_ADC]);
	ck_assert_uint_lt(part.energy_pj[LF_ENERGY_DAC], whole.energy_pj[LF_ENERGY_DAC]);
	ck_assert_uint_eq(part.cells_written, 0);

	/* Nothing trains it any more, and what an optimiser leaves there is not taken. */
	memset(group->gradients, 0, group->count * sizeof(float));
	spend(&setup, without, direction);
	ck_assert(group->gradients[0] != 0.0f);
	ck_assert_float_eq(group->gradients[TINY_MODULES - 1], 0.0f);
	ck_assert_float_eq(group->gradients[TINY_MODULES], 0.0f);
	group->values[TINY_MODULES] = 0.3f;
	spend(&setup, without, NULL);
	ck_assert_mem_eq(without, with_zeros, sizeof(without));
	tear_down(&setup);
}
END_TEST

START_TEST(with_nothing_read_the_model_is_as_it_was)
{
	const struct option_case one = { "all", _i ? LF_MERGE_PRODUCT : LF_MERGE_SUM,
					 LF_COEFFICIENTS_MODEL, true };
	struct lf_lorafusion_options options = options_of(&one);
	float frozen[NUMBERS], fused[NUMBERS], zeros[TINY_MODULES] = { 0 };
	struct lf_counters before, after, spent;
	struct setup setup;

	options.coefficient_rate = 0.0;
	set_up(&setup, "ideal", "all", &options);
	lf_lorafusion_set(setup.method, zeros);
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), 0);
	spent = spend(&setup, fused, NULL);
	ck_assert_lf(lf_encoder_attach(setup.tiny.encoder, NULL, false, LF_ERROR));
	ck_assert_lf(lf_device_counters(setup.tiny.device, &before, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(setup.tiny.encoder, &setup.tiny.batch, frozen, LF_ERROR));
	ck_assert_lf(lf_device_counters(setup.tiny.device, &after, LF_ERROR));
	ck_assert_mem_eq(fused, frozen, sizeof(fused));
	ck_assert_uint_eq(spent.mvm_count, after.mvm_count - before.mvm_count);
	ck_assert_uint_eq(spent.mac_count, after.mac_count - before.mac_count);
	tear_down(&setup);
}
END_TEST

START_TEST(the_smallest_are_pruned)
{
	static const float values[TINY_MODULES * TINY_BLOCKS] = { 0.3f,	 -0.1f, 0.2f,
								  -0.2f, 0.9f,	0.05f };
	struct lf_lorafusion_options options;
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	float first[NUMBERS], again[NUMBERS];
	const struct lf_parameters *group;
	struct setup setup;
	uint32_t count;
	float *held;

	lf_lorafusion_defaults(&options);
	options.prune = 0.5;
	set_up(&setup, "ideal", "qv", &options);
	group = tiny_parameters(setup.method, "coefficients");
	memcpy(group->values, values, sizeof(values));
	/* Rounded down, and of the two of the same size the first. */
	lf_lorafusion_prune(setup.method, 0.66);
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), 3);
	for (size_t at = 0; at < group->count; at++)
		ck_assert_float_eq(group->values[at],
				   at == 0 || at == 3 || at == 4 ? values[at] : 0.0f);
	lf_lorafusion_prune(setup.method, 0.5);
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), 3);
	tiny_step(&setup.tiny, setup.method, first);

	/* A checkpoint knows what is held. */
	count = lf_method_tensors(setup.method, tensors);
	ck_assert_str_eq(tensors[count - 1].name, "held");
	held = (float *)tensors[count - 1].values;
	ck_assert_float_eq(held[1], 1.0f);
	held[1] = 0.5f;
	ck_assert_lf_fails(setup.method->ops->restored(setup.method, LF_ERROR), -EINVAL,
			   "held: number 1");
	held[1] = 1.0f;
	ck_assert_lf(setup.method->ops->restored(setup.method, LF_ERROR));
	tiny_step(&setup.tiny, setup.method, again);
	ck_assert_mem_eq(again, first, sizeof(first));

	lf_lorafusion_prune(setup.method, 1.0);
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), 0);
	ck_assert_lf(lf_method_start(setup.method, 3, LF_ERROR));
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), 6);
	tear_down(&setup);
}
END_TEST

START_TEST(options_out_of_range_are_refused)
{
	struct lf_lorafusion_options options;
	struct lf_method *method;
	struct lf_pool *pool;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	pool = tiny_pool(&tiny, "qv");
	lf_lorafusion_defaults(&options);
	options.prune = 1.5;
	ck_assert_lf_fails(lf_lorafusion_create(tiny.encoder, pool, &options, &method, LF_ERROR),
			   -EINVAL, "prune 1.5");
	options.prune = 0.0;
	options.switch_off = NAN;
	ck_assert_lf_fails(lf_lorafusion_create(tiny.encoder, pool, &options, &method, LF_ERROR),
			   -EINVAL, "switch_off");
	options.switch_off = 0.0;
	options.merge = 2;
	ck_assert_lf_fails(lf_lorafusion_create(tiny.encoder, pool, &options, &method, LF_ERROR),
			   -EINVAL, "merge 2");
	lf_pool_close(pool);
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("fusion_options");
	TCase *tcase = tcase_create("fusion_options");

	tcase_add_loop_test(tcase, gradients_agree_with_finite_differences, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tcase, gradients_agree_with_autograd, 0, 6);
	tcase_add_loop_test(tcase, a_uniform_average_is_that_of_dense_weights, 0, 2);
	tcase_add_loop_test(tcase, what_is_switched_off_is_not_read, 0, 4);
	tcase_add_loop_test(tcase, with_nothing_read_the_model_is_as_it_was, 0, 2);
	tcase_add_test(tcase, the_smallest_are_pruned);
	tcase_add_test(tcase, options_out_of_range_are_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
