// SPDX-License-Identifier: MIT
/*
 * A training step allocates nothing once the first has been taken: every call of the allocator between the ends of two steps is
 * counted, of all threads, those of the in-process device included. The batches differ in their tokens from step to step.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <lf/train.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_SANITIZER 1
#endif
#endif

/* The allocator behind this program's malloc(): the sanitizer's, or the C library's. */
#ifdef WITH_SANITIZER
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t size);
void *REAL(calloc)(size_t count, size_t size);
void *REAL(realloc)(void *block, size_t size);
void *REAL(memalign)(size_t alignment, size_t size);

static atomic_bool counting;
static atomic_uint allocations;

static void count(void)
{
	if (atomic_load_explicit(&counting, memory_order_relaxed))
		atomic_fetch_add(&allocations, 1);
}

void *malloc(size_t size)
{
	count();
	return REAL(malloc)(size);
}

void *calloc(size_t elements, size_t size)
{
	count();
	return REAL(calloc)(elements, size);
}

void *realloc(void *block, size_t size)
{
	count();
	return REAL(realloc)(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	count();
	return REAL(memalign)(alignment, size);
}

enum { EPOCHS = 6, BATCH = 4, STEPS = 12 };

static void report(void *argument, const struct lf_train_state *state)
{
	(void)argument;
	atomic_store(&counting, state->step < state->steps);
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
	struct lf_train_options training = {
		.epochs = EPOCHS, .batch = BATCH, .seed = 3, .config = "{}", .report = report
	};
	struct lf_pool *pool;
	struct tiny tiny;
	struct lf_method *method;

	tiny_open(&tiny, devices[_i / 6], &options);
	method = open_method(&tiny, _i / 2 % 3, &pool);
	ck_assert_lf(lf_method_start(method, 11, LF_ERROR));
	atomic_store(&allocations, 0);
	ck_assert_lf(
		lf_train(method, tiny.encoder, tiny.head, &tiny.examples, &training, LF_ERROR));
	ck_assert_msg(!atomic_load(&counting), "the last step did not end");
	ck_assert_msg(atomic_load(&allocations) == 0, "%u allocations in %d steps",
		      atomic_load(&allocations), STEPS - 1);
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
