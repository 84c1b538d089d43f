// SPDX-License-Identifier: MIT
/* LoRA: values and gradients against autograd and finite differences, its start, and what it writes. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/nn/encoder.h"
#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

/* As in test_lorafusion.c. */
#define TOLERANCE	1e-5
#define SLOPE_TOLERANCE 2e-3
#define STEP		4e-3f

enum { RANK = 2 };

#define ALPHA	    3.0
#define QUERY_VALUE (1u << LF_TARGET_QUERY | 1u << LF_TARGET_VALUE)
#define ALL	    ((1u << LF_TARGETS) - 1)

static const struct lora_case {
	const char *kind;
	const char *name;
	uint32_t targets;
} cases[] = {
	{ "float", "lora-qv", QUERY_VALUE },
	{ "float", "lora-all", ALL },
	{ "ideal", "lora-qv", QUERY_VALUE },
	{ "ideal", "lora-all", ALL },
};

static struct lf_method *make_lora(struct tiny *tiny, uint32_t targets)
{
	struct lf_lora_options options = {
		.rank = RANK, .alpha = ALPHA, .targets = targets, .rate = 1e-3
	};
	struct lf_method *method;

	ck_assert_lf(lf_lora_create(tiny->encoder, &options, &method, LF_ERROR));
	ck_assert_lf(lf_method_attach(method, true, LF_ERROR));
	return method;
}

static void end(struct tiny *tiny, struct lf_method *method)
{
	ck_assert_lf(lf_encoder_attach(tiny->encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
	tiny_close(tiny);
}

static const char *tensor(const struct lora_case *one, const char *name)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s.%s", one->name, name);
	return text;
}

static void take_values(struct tiny *tiny, const struct lora_case *one,
			const struct lf_parameters *group, const char *name)
{
	float *values = tiny_expected(tiny, tensor(one, name), group->count);

	memcpy(group->values, values, group->count * sizeof(*values));
	free(values);
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
	const struct lora_case *one = &cases[_i];
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN], loss;
	const struct lf_parameters *a, *b;
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, one->kind, NULL);
	method = make_lora(&tiny, one->targets);
	a = tiny_parameters(method, "lora_A");
	b = tiny_parameters(method, "lora_B");
	take_values(&tiny, one, a, "a");
	take_values(&tiny, one, b, "b");
	loss = (float)tiny_step(&tiny, method, embeddings);
	tiny_expect(&tiny, tensor(one, "loss"), &loss, 1, TOLERANCE);
	tiny_expect(&tiny, tensor(one, "embeddings"), embeddings, TINY_EXAMPLES * TINY_HIDDEN,
		    TOLERANCE);
	tiny_expect(&tiny, tensor(one, "a_gradient"), a->gradients, a->count, TOLERANCE);
	tiny_expect(&tiny, tensor(one, "b_gradient"), b->gradients, b->count, TOLERANCE);
	if (!strcmp(one->kind, "float") && one->targets == ALL) {
		expect_region(&tiny, tensor(one, "dx"), LF_REGION_DX, TINY_HIDDEN);
		expect_region(&tiny, tensor(one, "dcontext"), LF_REGION_DCONTEXT, TINY_HIDDEN);
		expect_region(&tiny, tensor(one, "dhidden"), LF_REGION_DHIDDEN, TINY_HIDDEN);
		expect_region(&tiny, tensor(one, "dactivated"), LF_REGION_DACTIVATED, TINY_INNER);
	}
	end(&tiny, method);
}
END_TEST

static void expect_slopes(struct tiny *tiny, struct lf_method *method, const char *name,
			  const float *direction)
{
	const struct lf_parameters *group = tiny_parameters(method, name);
	float slopes[64], gradients[64];
	size_t every = group->count / 40, count = 0;

	for (size_t at = 0; at < group->count; at += every) {
		float value = group->values[at];
		double up, down;

		group->values[at] = value + STEP;
		up = tiny_along(tiny, method, direction);
		group->values[at] = value - STEP;
		down = tiny_along(tiny, method, direction);
		group->values[at] = value;
		slopes[count] = (float)((up - down) / (2.0 * STEP));
		gradients[count++] = group->gradients[at];
	}
	expect_close(name, gradients, slopes, count, SLOPE_TOLERANCE);
}

START_TEST(gradients_agree_with_finite_differences)
{
	const struct lora_case *one = &cases[_i];
	float direction[TINY_EXAMPLES * TINY_HIDDEN];
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, one->kind, NULL);
	method = make_lora(&tiny, one->targets);
	take_values(&tiny, one, tiny_parameters(method, "lora_A"), "a");
	take_values(&tiny, one, tiny_parameters(method, "lora_B"), "b");
	random_fill(direction, TINY_EXAMPLES * TINY_HIDDEN, 5);
	tiny_along(&tiny, method, direction);
	ck_assert_lf(lf_encoder_backward(tiny.encoder, direction, LF_ERROR));
	expect_slopes(&tiny, method, "lora_A", direction);
	expect_slopes(&tiny, method, "lora_B", direction);
	end(&tiny, method);
}
END_TEST

START_TEST(a_start_changes_nothing_yet)
{
	float frozen[TINY_EXAMPLES * TINY_HIDDEN], started[TINY_EXAMPLES * TINY_HIDDEN];
	const float bound = 1.0f / sqrtf(TINY_HIDDEN);
	const struct lf_parameters *a, *b;
	struct lf_method *method;
	struct tiny tiny;
	float *first;

	tiny_open(&tiny, "ideal", NULL);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, frozen, LF_ERROR));
	method = make_lora(&tiny, QUERY_VALUE);
	ck_assert_str_eq(lf_method_name(method), "lora");
	a = tiny_parameters(method, "lora_A");
	b = tiny_parameters(method, "lora_B");
	ck_assert_uint_eq(lf_method_trainable(method), 4 * RANK * 2 * TINY_HIDDEN);
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	for (size_t at = 0; at < a->count; at++)
		ck_assert(fabsf(a->values[at]) <= bound);
	for (size_t at = 0; at < b->count; at++)
		ck_assert_float_eq(b->values[at], 0.0f);
	first = malloc(a->count * sizeof(*first));
	memcpy(first, a->values, a->count * sizeof(*first));
	tiny_step(&tiny, method, started);
	ck_assert_mem_eq(started, frozen, sizeof(frozen));
	/* B moves at once, A only when B has. */
	ck_assert(largest_difference(b->gradients, b->values, b->count) > 0.0);
	for (size_t at = 0; at < a->count; at++)
		ck_assert_float_eq(a->gradients[at], 0.0f);
	ck_assert_lf(lf_method_start(method, 2, LF_ERROR));
	ck_assert_mem_ne(a->values, first, a->count * sizeof(*first));
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	ck_assert_mem_eq(a->values, first, a->count * sizeof(*first));
	free(first);
	end(&tiny, method);
}
END_TEST

static void find_slots(const struct tiny *tiny, char (*paths)[LF_LINEAR_PATH_BYTES],
		       struct lf_adapter_slot *slots)
{
	for (uint32_t index = 0; index < TINY_LINEARS; index++) {
		lf_linear_path(index, paths[index]);
		slots[index] = (struct lf_adapter_slot){ .path = paths[index] };
		lf_linear_shape(lf_encoder_config(tiny->encoder), index, &slots[index].inputs,
				&slots[index].outputs);
	}
}

START_TEST(what_is_learned_is_written_as_a_peft_adapter)
{
	const struct lora_case *one = &cases[_i];
	char paths[TINY_LINEARS][LF_LINEAR_PATH_BYTES];
	struct lf_adapter_slot slots[TINY_LINEARS];
	const struct lf_parameters *a, *b;
	const float *next_a, *next_b;
	struct lf_adapter *adapter;
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, one->kind, NULL);
	method = make_lora(&tiny, one->targets);
	a = tiny_parameters(method, "lora_A");
	b = tiny_parameters(method, "lora_B");
	/* These are exact in fp16. */
	take_values(&tiny, one, a, "a");
	take_values(&tiny, one, b, "b");
	ck_assert_lf(lf_lora_write(method, io_path("adapter"), "tiny", LF_ERROR));
	find_slots(&tiny, paths, slots);
	ck_assert_lf(
		lf_adapter_read(&adapter, io_path("adapter"), slots, TINY_LINEARS, RANK, LF_ERROR));
	ck_assert_uint_eq(lf_adapter_layer_count(adapter), one->targets == ALL ? 12 : 4);
	next_a = a->values;
	next_b = b->values;
	for (size_t at = 0; at < lf_adapter_layer_count(adapter); at++) {
		const struct lf_adapter_layer *layer = lf_adapter_layer_at(adapter, at);

		ck_assert_float_eq(layer->scale, (float)(ALPHA / RANK));
		ck_assert_mem_eq(layer->a, next_a, RANK * layer->inputs * sizeof(float));
		ck_assert_mem_eq(layer->b, next_b, RANK * layer->outputs * sizeof(float));
		next_a += RANK * layer->inputs;
		next_b += RANK * layer->outputs;
	}
	ck_assert_ptr_eq(next_a, a->values + a->count);
	lf_adapter_free(adapter);
	end(&tiny, method);
}
END_TEST

/* "output.dense" names attention's output layer as well, in PEFT's eyes and in ours. */
START_TEST(a_target_that_is_the_end_of_another)
{
	char paths[TINY_LINEARS][LF_LINEAR_PATH_BYTES];
	struct lf_adapter_slot slots[TINY_LINEARS];
	struct lf_adapter *adapter;
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	method = make_lora(&tiny, 1u << LF_TARGET_OUTPUT);
	ck_assert_lf(lf_lora_write(method, io_path("adapter"), "tiny", LF_ERROR));
	find_slots(&tiny, paths, slots);
	ck_assert_lf(
		lf_adapter_read(&adapter, io_path("adapter"), slots, TINY_LINEARS, RANK, LF_ERROR));
	ck_assert_uint_eq(lf_adapter_layer_count(adapter), TINY_BLOCKS);
	ck_assert_str_eq(lf_adapter_layer_at(adapter, 0)->path, "encoder.layer.0.output.dense");
	lf_adapter_free(adapter);
	end(&tiny, method);
}
END_TEST

START_TEST(what_is_refused)
{
	const struct {
		struct lf_lora_options options;
		const char *says;
	} refused[] = {
		{ { .rank = 0, .alpha = 1, .targets = QUERY_VALUE }, "rank 0" },
		{ { .rank = 1025, .alpha = 1, .targets = QUERY_VALUE }, "rank 1025" },
		{ { .rank = 1, .alpha = 1, .targets = 0 }, "no layer is targeted" },
		{ { .rank = 1, .alpha = 1, .targets = 1u << LF_TARGETS }, "no layer is targeted" },
	};
	struct lf_method *method;
	struct lf_pool *pool;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	for (size_t at = 0; at < sizeof(refused) / sizeof(refused[0]); at++)
		ck_assert_lf_fails(
			lf_lora_create(tiny.encoder, &refused[at].options, &method, LF_ERROR),
			-EINVAL, refused[at].says);
	pool = tiny_pool(&tiny, "qv");
	method = tiny_fusion(&tiny, pool, "qv-sum", LF_MERGE_SUM);
	ck_assert_lf_fails(lf_lora_write(method, io_path("adapter"), "tiny", LF_ERROR), -EINVAL,
			   "lorafusion is not a LoRA");
	ck_assert_uint_eq(io_count_entries(io_path(".")), 0);
	ck_assert_lf(lf_encoder_attach(tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
	lf_pool_close(pool);
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lora");
	TCase *tcase = tcase_create("lora");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_add_loop_test(tcase, gradients_agree_with_autograd, 0, 4);
	tcase_add_loop_test(tcase, gradients_agree_with_finite_differences, 0, 2);
	tcase_add_test(tcase, a_start_changes_nothing_yet);
	tcase_add_loop_test(tcase, what_is_learned_is_written_as_a_peft_adapter, 0, 2);
	tcase_add_test(tcase, a_target_that_is_the_end_of_another);
	tcase_add_test(tcase, what_is_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
