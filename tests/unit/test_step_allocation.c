// SPDX-License-Identifier: MIT
/*
 * A training step allocates nothing once the first has been taken: every call of the allocator between the ends of two steps is
 * counted, of all threads, those of the in-process device included. The batches differ in their tokens from step to step.
 */
#include <lf/train.h>

#include "tests/unit/allocation_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

enum { EPOCHS = 6, BATCH = 4, STEPS = 12 };

/* Allocations up to the ends of the first step and of the last. */
struct span {
	unsigned long first;
	unsigned long last;
	unsigned int steps;
};

static void report(void *argument, const struct lf_train_state *state)
{
	struct span *span = argument;

	(void)state;
	span->last = allocation_count();
	if (span->steps++ == 0)
		span->first = span->last;
}

static const struct lf_lora_options lora_options = { .rank = 2,
						     .alpha = 4,
						     .targets = 1u << LF_TARGET_QUERY |
								1u << LF_TARGET_OUTPUT,
						     .rate = 0.01 };

static struct lf_method *open_method(struct tiny *tiny, int kind, struct lf_pool **pool)
{
	struct lf_lorafusion_options fusion;
	struct lf_method *method;

	*pool = NULL;
	if (kind == 2) {
		ck_assert_lf(lf_lora_create(tiny->encoder, &lora_options, &method, LF_ERROR));
		return method;
	}
	*pool = tiny_pool(tiny, "all");
	lf_lorafusion_defaults(&fusion);
	fusion.merge = kind ? LF_MERGE_PRODUCT : LF_MERGE_SUM;
	ck_assert_lf(lf_lorafusion_create(tiny->encoder, *pool, &fusion, &method, LF_ERROR));
	return method;
}

/* Kinds: both merges of LoRAFusion, and LoRA; each on one thread and on three. */
START_TEST(a_step_allocates_nothing)
{
	static const char *const devices[] = { "ideal", "isaac" };
	const struct tiny_options options = { .threads = _i % 2 ? 3 : 1 };
	struct span span = { 0 };
	struct lf_train_options training = {
		.epochs = EPOCHS,
		.batch = BATCH,
		.seed = 3,
		.config = "{}",
		.report = report,
		.argument = &span,
	};
	struct lf_pool *pool;
	struct tiny tiny;
	struct lf_method *method;

	tiny_open(&tiny, devices[_i / 6], &options);
	method = open_method(&tiny, _i / 2 % 3, &pool);
	ck_assert_lf(lf_method_start(method, 11, LF_ERROR));
	ck_assert_lf(
		lf_train(method, tiny.encoder, tiny.head, &tiny.examples, &training, LF_ERROR));
	ck_assert_uint_eq(span.steps, STEPS);
	ck_assert_msg(span.last == span.first, "%lu allocations in %d steps",
		      span.last - span.first, STEPS - 1);
	ck_assert_lf(lf_encoder_attach(tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
	lf_pool_close(pool);
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("step allocation");
	TCase *tests = tcase_create("steps");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, a_step_allocates_nothing, 0, 12);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
