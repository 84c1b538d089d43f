// SPDX-License-Identifier: MIT
/* Several tasks in one batch: each sentence has the bits it has among its own kind, and the crossbars are read once for all. */
#include <errno.h>
#include <string.h>

#include <lf/tasks.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

enum { TASKS = 3, NUMBERS = TINY_EXAMPLES * TINY_HIDDEN };

static const uint32_t mixed[TINY_EXAMPLES] = { 2, 0, 1, 0, 2, 1 };

struct rig {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *methods[TASKS];
	struct lf_tasks *tasks;
};

static void open_rig(struct rig *rig, const char *device,
		     const struct lf_lorafusion_options *options)
{
	tiny_open(&rig->tiny, device, NULL);
	rig->pool = tiny_pool(&rig->tiny, "qv");
	for (uint32_t at = 0; at < TASKS; at++) {
		const struct lf_parameters *groups;
		uint32_t count;

		ck_assert_lf(lf_lorafusion_create(rig->tiny.encoder, rig->pool, options,
						  &rig->methods[at], LF_ERROR));
		ck_assert_lf(lf_method_start(rig->methods[at], at + 1, LF_ERROR));
		groups = lf_method_parameters(rig->methods[at], &count);
		/* Magnitudes that are not the norms, differently for each task. */
		for (size_t o = 0; count > 1 && o < groups[1].count; o++)
			groups[1].values[o] *= 0.8f + 0.1f * (float)((o + at) % 5);
		ck_assert_lf(lf_method_prepare(rig->methods[at], LF_ERROR));
	}
	ck_assert_lf(lf_tasks_create(rig->methods, TASKS, &rig->tasks, LF_ERROR));
}

static void close_rig(struct rig *rig)
{
	ck_assert_lf(lf_encoder_attach(rig->tiny.encoder, NULL, false, LF_ERROR));
	lf_tasks_free(rig->tasks);
	for (uint32_t at = 0; at < TASKS; at++)
		lf_method_free(rig->methods[at]);
	lf_pool_close(rig->pool);
	tiny_close(&rig->tiny);
}

/* All sentences as one task's method embeds them, alone on the encoder. */
static void embed_alone(struct rig *rig, uint32_t task, float *embeddings)
{
	ck_assert_lf(lf_method_attach(rig->methods[task], false, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(rig->tiny.encoder, &rig->tiny.batch, embeddings, LF_ERROR));
}

static const struct case_of {
	const char *device;
	enum lf_merge merge;
	bool without_magnitudes;
} cases[] = {
	{ "float", LF_MERGE_SUM, false },     { "ideal", LF_MERGE_SUM, false },
	{ "float", LF_MERGE_PRODUCT, false }, { "ideal", LF_MERGE_PRODUCT, false },
	{ "ideal", LF_MERGE_SUM, true },      { "isaac", LF_MERGE_SUM, false },
};

START_TEST(a_sentence_has_the_bits_of_its_task)
{
	float alone[TASKS][NUMBERS], together[NUMBERS];
	struct lf_lorafusion_options options;
	struct rig rig;

	lf_lorafusion_defaults(&options);
	options.merge = cases[_i].merge;
	options.without_magnitudes = cases[_i].without_magnitudes;
	open_rig(&rig, cases[_i].device, &options);
	for (uint32_t task = 0; task < TASKS; task++)
		embed_alone(&rig, task, alone[task]);
	ck_assert_lf(lf_tasks_attach(rig.tasks, LF_ERROR));
	ck_assert_lf(lf_tasks_forward(rig.tasks, &rig.tiny.batch, mixed, together, LF_ERROR));
	for (uint32_t at = 0; at < TINY_EXAMPLES; at++) {
		const float *one = together + at * TINY_HIDDEN;

		for (uint32_t task = 0; task < TASKS; task++)
			ck_assert_msg(
				(memcmp(one, alone[task] + at * TINY_HIDDEN,
					TINY_HIDDEN * sizeof(*one)) == 0) == (task == mixed[at]),
				"sentence %u of task %u against task %u", at, mixed[at], task);
	}
	close_rig(&rig);
}
END_TEST

/* The vectors that go through crossbars are those of one task's batch: nothing is read twice. */
START_TEST(the_crossbars_are_read_once)
{
	struct lf_counters before, after, alone;
	struct lf_lorafusion_options options;
	float embeddings[NUMBERS];
	struct rig rig;

	lf_lorafusion_defaults(&options);
	open_rig(&rig, "ideal", &options);
	ck_assert_lf(lf_method_attach(rig.methods[0], false, LF_ERROR));
	ck_assert_lf(lf_device_counters(rig.tiny.device, &before, LF_ERROR));
	embed_alone(&rig, 0, embeddings);
	ck_assert_lf(lf_device_counters(rig.tiny.device, &alone, LF_ERROR));
	ck_assert_lf(lf_tasks_attach(rig.tasks, LF_ERROR));
	ck_assert_lf(lf_tasks_forward(rig.tasks, &rig.tiny.batch, mixed, embeddings, LF_ERROR));
	ck_assert_lf(lf_device_counters(rig.tiny.device, &after, LF_ERROR));
	ck_assert_uint_eq(after.mvm_count - alone.mvm_count, alone.mvm_count - before.mvm_count);
	ck_assert_uint_eq(after.jobs - alone.jobs, alone.jobs - before.jobs);
	ck_assert_uint_eq(after.conversions - alone.conversions,
			  alone.conversions - before.conversions);
	close_rig(&rig);
}
END_TEST

START_TEST(tasks_that_do_not_go_together_are_refused)
{
	uint32_t which[TINY_EXAMPLES] = { 0 };
	struct lf_lorafusion_options options;
	struct lf_method *pair[2], *other;
	float embeddings[NUMBERS];
	struct lf_tasks *tasks;
	struct rig rig;

	lf_lorafusion_defaults(&options);
	open_rig(&rig, "float", &options);
	ck_assert_lf_fails(
		lf_tasks_forward(rig.tasks, &rig.tiny.batch, which, embeddings, LF_ERROR), -EINVAL,
		"not attached");
	ck_assert_lf(lf_tasks_attach(rig.tasks, LF_ERROR));
	which[4] = TASKS;
	ck_assert_lf_fails(
		lf_tasks_forward(rig.tasks, &rig.tiny.batch, which, embeddings, LF_ERROR), -EINVAL,
		"sequence 4 is of task 3 of 3");
	ck_assert_lf_fails(lf_tasks_create(rig.methods, 0, &tasks, LF_ERROR), -EINVAL, "none");
	pair[0] = rig.methods[0];
	options.merge = LF_MERGE_PRODUCT;
	ck_assert_lf(lf_lorafusion_create(rig.tiny.encoder, rig.pool, &options, &other, LF_ERROR));
	pair[1] = other;
	ck_assert_lf_fails(lf_tasks_create(pair, 2, &tasks, LF_ERROR), -EINVAL,
			   "task 1: has another merge");
	lf_method_free(other);
	ck_assert_lf(
		lf_bitfit_create(rig.tiny.encoder, 1u << LF_TARGET_QUERY, 0.1, &other, LF_ERROR));
	pair[0] = other;
	ck_assert_lf_fails(lf_tasks_create(pair, 2, &tasks, LF_ERROR), -EINVAL,
			   "task 0: is of bitfit");
	lf_method_free(other);
	close_rig(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tasks");
	TCase *tests = tcase_create("tasks");

	tcase_add_loop_test(tests, a_sentence_has_the_bits_of_its_task, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(tests, the_crossbars_are_read_once);
	tcase_add_test(tests, tasks_that_do_not_go_together_are_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
