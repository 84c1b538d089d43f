// SPDX-License-Identifier: MIT
/*
 * Choosing coefficients without gradients: what is found is the best by the loss, the same from the same seed, and costs reads alone.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <lf/search.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

enum { NUMBERS = TINY_EXAMPLES * TINY_HIDDEN, BATCH = 4, EVALUATIONS = 40 };

struct setup {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
	uint32_t reports;
	double losses[EVALUATIONS];
};

static void set_up(struct setup *setup, const char *kind, double rate)
{
	struct lf_lorafusion_options options;

	*setup = (struct setup){ 0 };
	tiny_open(&setup->tiny, kind, NULL);
	setup->pool = tiny_pool(&setup->tiny, "qv");
	lf_lorafusion_defaults(&options);
	options.merge = LF_MERGE_PRODUCT;
	options.coefficients = LF_COEFFICIENTS_MODEL;
	options.without_magnitudes = true;
	options.coefficient_rate = rate;
	ck_assert_lf(lf_lorafusion_create(setup->tiny.encoder, setup->pool, &options,
					  &setup->method, LF_ERROR));
}

static void tear_down(struct setup *setup)
{
	ck_assert_lf(lf_encoder_attach(setup->tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(setup->method);
	lf_pool_close(setup->pool);
	tiny_close(&setup->tiny);
}

static void report(void *argument, const struct lf_search_state *state)
{
	struct setup *setup = argument;

	setup->losses[setup->reports++] = state->loss;
	ck_assert_uint_eq(state->evaluation, setup->reports);
	ck_assert_uint_le(state->evaluation, state->evaluations);
}

static int search(struct setup *setup, const struct lf_search_options *options,
		  struct lf_error *error)
{
	struct lf_search_options told = *options;

	told.batch = BATCH;
	told.report = report;
	told.argument = setup;
	setup->reports = 0;
	return lf_adaptation_search(setup->method, setup->tiny.encoder, setup->tiny.head,
				    &setup->tiny.examples, &told, error);
}

/* The mean loss with the coefficients as they are. */
static double loss_of(struct setup *setup, const float *coefficients)
{
	float embeddings[NUMBERS], gradient[NUMBERS];

	if (coefficients)
		lf_lorafusion_set(setup->method, coefficients);
	ck_assert_lf(lf_method_prepare(setup->method, LF_ERROR));
	ck_assert_lf(lf_method_attach(setup->method, false, LF_ERROR));
	ck_assert_lf(
		lf_encoder_forward(setup->tiny.encoder, &setup->tiny.batch, embeddings, LF_ERROR));
	return (double)lf_head_loss(setup->tiny.head, embeddings, setup->tiny.examples.labels,
				    TINY_EXAMPLES, gradient) /
	       TINY_EXAMPLES;
}

START_TEST(lorahub_improves_on_no_module)
{
	const struct lf_search_options options = {
		.kind = LF_SEARCH_EVOLVE, .evaluations = EVALUATIONS, .l1 = 0.05, .seed = 3
	};
	const float zeros[TINY_MODULES] = { 0 };
	float found[TINY_MODULES], mean = 0.0f;
	struct lf_counters before, after;
	const float *values;
	struct setup setup;
	double none, least;

	set_up(&setup, "ideal", 0.0);
	none = loss_of(&setup, zeros);
	ck_assert_lf(lf_device_counters(setup.tiny.device, &before, LF_ERROR));
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_lf(lf_device_counters(setup.tiny.device, &after, LF_ERROR));
	ck_assert_uint_eq(after.cells_written, before.cells_written);
	ck_assert_uint_eq(setup.reports, EVALUATIONS);
	/* It begins with no module, and the least loss never rises. */
	ck_assert_double_eq_tol(setup.losses[0], none, 1e-6);
	for (uint32_t at = 1; at < EVALUATIONS; at++)
		ck_assert_double_le(setup.losses[at], setup.losses[at - 1]);
	least = setup.losses[EVALUATIONS - 1];
	ck_assert_double_lt(least, none - 0.01);

	/* What is left in the method is what that loss was of. */
	values = tiny_parameters(setup.method, "coefficients")->values;
	memcpy(found, values, sizeof(found));
	for (uint32_t module = 0; module < TINY_MODULES; module++) {
		ck_assert(fabsf(found[module]) <= 1.5f);
		mean += fabsf(found[module]) / TINY_MODULES;
	}
	ck_assert_double_eq_tol(loss_of(&setup, NULL) + 0.05 * mean, least, 1e-6);

	/* The same seed finds the same, another something else. */
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_mem_eq(values, found, sizeof(found));
	tear_down(&setup);
}
END_TEST

START_TEST(another_seed_or_term_finds_another)
{
	struct lf_search_options options = {
		.kind = LF_SEARCH_EVOLVE, .evaluations = 25, .l1 = 0.05, .seed = 3
	};
	float found[TINY_MODULES];
	const float *values;
	struct setup setup;

	set_up(&setup, "float", 0.0);
	values = tiny_parameters(setup.method, "coefficients")->values;
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_uint_eq(setup.reports, 25);
	memcpy(found, values, sizeof(found));
	options.seed = 4;
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_mem_ne(values, found, sizeof(found));
	/* A term that outweighs every loss leaves no module. */
	options.l1 = 1e6;
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, NULL), 0);
	tear_down(&setup);
}
END_TEST

START_TEST(the_best_single_module_is_the_one_with_the_least_loss)
{
	const struct lf_search_options options = { .kind = LF_SEARCH_SINGLE };
	const float *values;
	struct setup setup;
	uint32_t best = 0, all;
	double least = INFINITY;

	set_up(&setup, "ideal", 0.0);
	for (uint32_t module = 0; module < TINY_MODULES; module++) {
		float coefficients[TINY_MODULES] = { 0 };
		double loss;

		coefficients[module] = 1.0f;
		loss = loss_of(&setup, coefficients);
		if (loss < least) {
			least = loss;
			best = module;
		}
	}
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_uint_eq(setup.reports, TINY_MODULES);
	ck_assert_double_eq_tol(setup.losses[TINY_MODULES - 1], least, 1e-6);
	values = tiny_parameters(setup.method, "coefficients")->values;
	for (uint32_t module = 0; module < TINY_MODULES; module++)
		ck_assert_float_eq(values[module], module == best ? 1.0f : 0.0f);
	/* Of every block one, and the others are not read. */
	ck_assert_uint_eq(lf_lorafusion_modules_read(setup.method, &all), TINY_BLOCKS);
	ck_assert_uint_eq(all, TINY_BLOCKS * TINY_MODULES);
	tear_down(&setup);
}
END_TEST

START_TEST(a_uniform_average_costs_no_read)
{
	const struct lf_search_options options = { .kind = LF_SEARCH_UNIFORM };
	struct lf_counters before, after;
	const float *values;
	struct setup setup;

	set_up(&setup, "ideal", 0.0);
	ck_assert_lf(lf_device_counters(setup.tiny.device, &before, LF_ERROR));
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	ck_assert_lf(lf_device_counters(setup.tiny.device, &after, LF_ERROR));
	ck_assert_uint_eq(after.jobs, before.jobs);
	values = tiny_parameters(setup.method, "coefficients")->values;
	for (uint32_t module = 0; module < TINY_MODULES; module++)
		ck_assert_float_eq(values[module], 1.0f / TINY_MODULES);
	tear_down(&setup);
}
END_TEST

START_TEST(what_cannot_be_searched_is_refused)
{
	struct lf_search_options options = { .kind = LF_SEARCH_EVOLVE };
	struct lf_examples none = { 0 };
	struct setup setup;
	uint32_t label;

	set_up(&setup, "float", 0.02);
	options.evaluations = 10;
	ck_assert_lf_fails(search(&setup, &options, LF_ERROR), -EINVAL, "fixed coefficients");
	tear_down(&setup);
	set_up(&setup, "float", 0.0);
	options.evaluations = 0;
	ck_assert_lf_fails(search(&setup, &options, LF_ERROR), -EINVAL, "evaluations");
	options.evaluations = 10;
	options.kind = 3;
	ck_assert_lf_fails(search(&setup, &options, LF_ERROR), -EINVAL, "kind 3");
	options.kind = LF_SEARCH_SINGLE;
	options.batch = BATCH;
	ck_assert_lf_fails(lf_adaptation_search(setup.method, setup.tiny.encoder, setup.tiny.head,
						&none, &options, LF_ERROR),
			   -EINVAL, "examples must not be 0");
	label = setup.tiny.examples.labels[2];
	setup.tiny.examples.labels[2] = TINY_CLASSES;
	ck_assert_lf_fails(search(&setup, &options, LF_ERROR), -EINVAL, "example 2: label 3");
	setup.tiny.examples.labels[2] = label;
	ck_assert_lf(search(&setup, &options, LF_ERROR));
	tear_down(&setup);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("search");
	TCase *tcase = tcase_create("search");

	tcase_add_test(tcase, lorahub_improves_on_no_module);
	tcase_add_test(tcase, another_seed_or_term_finds_another);
	tcase_add_test(tcase, the_best_single_module_is_the_one_with_the_least_loss);
	tcase_add_test(tcase, a_uniform_average_costs_no_read);
	tcase_add_test(tcase, what_cannot_be_searched_is_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
