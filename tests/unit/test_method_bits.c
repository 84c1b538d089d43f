// SPDX-License-Identifier: MIT
/*
 * Every method: it learns; threads and instruction sets change no bit; a resumed run is the uninterrupted one to the bit; what was
 * saved computes what was trained, to the bit.
 */
#include <stdlib.h>
#include <string.h>

#include <lf/train.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/method_cases.h"
#include "tests/unit/suite.h"

enum { EPOCHS = 5, BATCH = 4, STEPS = 10, LATE_STEP = 7, EMBEDDINGS = TINY_EXAMPLES * TINY_HIDDEN };

struct run {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
	uint64_t steps;
};

/* What a run came to: the parameters, and what the task's sentences are embedded to. */
struct outcome {
	float *values;
	size_t count;
	float embeddings[EMBEDDINGS];
};

static void begin_on(struct run *run, enum method_case number, const char *device,
		     const struct tiny_options *options)
{
	*run = (struct run){ 0 };
	tiny_open(&run->tiny, device, options);
	run->method = method_case_create(&run->tiny, number, &run->pool);
	ck_assert_lf(lf_method_start(run->method, 11, LF_ERROR));
}

static void begin(struct run *run, enum method_case number, const struct tiny_options *options)
{
	begin_on(run, number, "ideal", options);
}

static void end(struct run *run)
{
	ck_assert_lf(lf_encoder_attach(run->tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(run->method);
	lf_pool_close(run->pool);
	tiny_close(&run->tiny);
}

static void count_step(void *argument, const struct lf_train_state *state)
{
	struct run *run = argument;

	(void)state;
	run->steps++;
}

static void train(struct run *run, const char *checkpoint, uint64_t limit)
{
	struct lf_train_options options = { .epochs = EPOCHS,
					    .batch = BATCH,
					    .seed = 3,
					    .step_limit = limit,
					    .checkpoint = checkpoint,
					    .checkpoint_steps = LATE_STEP,
					    .config = "{}",
					    .report = count_step,
					    .argument = run };

	ck_assert_lf(lf_train(run->method, run->tiny.encoder, run->tiny.head, &run->tiny.examples,
			      &options, LF_ERROR));
}

static void find_outcome(struct run *run, struct outcome *outcome)
{
	const struct lf_parameters *groups;
	uint32_t count;

	*outcome = (struct outcome){ 0 };
	groups = lf_method_parameters(run->method, &count);
	for (uint32_t group = 0; group < count; group++) {
		size_t before = outcome->count;

		outcome->count += groups[group].count;
		outcome->values =
			realloc(outcome->values, outcome->count * sizeof(*outcome->values));
		memcpy(outcome->values + before, groups[group].values,
		       groups[group].count * sizeof(*outcome->values));
	}
	ck_assert_lf(lf_encoder_forward(run->tiny.encoder, &run->tiny.batch, outcome->embeddings,
					LF_ERROR));
}

static void expect_outcome(struct run *run, const struct outcome *expected, enum method_case number)
{
	struct outcome found;

	find_outcome(run, &found);
	ck_assert_uint_eq(found.count, expected->count);
	ck_assert_msg(!memcmp(found.values, expected->values,
			      expected->count * sizeof(*expected->values)),
		      "%s: the parameters differ", method_case_name(number));
	ck_assert_msg(!memcmp(found.embeddings, expected->embeddings, sizeof(found.embeddings)),
		      "%s: the embeddings differ", method_case_name(number));
	free(found.values);
}

/* What a run without interruptions comes to. */
static void reference(enum method_case number, const struct tiny_options *options,
		      struct outcome *outcome)
{
	struct run run;

	begin(&run, number, options);
	train(&run, NULL, 0);
	ck_assert_uint_eq(run.steps, STEPS);
	find_outcome(&run, outcome);
	end(&run);
}

static double task_loss(struct run *run)
{
	float embeddings[EMBEDDINGS], gradient[EMBEDDINGS];

	ck_assert_lf(lf_method_prepare(run->method, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(run->tiny.encoder, &run->tiny.batch, embeddings, LF_ERROR));
	return lf_head_loss(run->tiny.head, embeddings, run->tiny.examples.labels,
			    run->tiny.batch.sequences, gradient);
}

START_TEST(training_lowers_the_loss)
{
	enum method_case number = (enum method_case)_i;
	struct run run;
	double before, after;

	begin(&run, number, NULL);
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	before = task_loss(&run);
	train(&run, NULL, 0);
	after = task_loss(&run);
	ck_assert_msg(after < before, "%s: from %g to %g", method_case_name(number), before, after);
	end(&run);
}
END_TEST

START_TEST(threads_and_instruction_sets_change_no_bit)
{
	enum method_case number = (enum method_case)_i;
	struct tiny_options options = { .threads = 1, .simd = "scalar" };
	struct outcome expected;

	reference(number, &options, &expected);
	for (enum lf_simd_isa isa = 0; isa < LF_SIMD_ISA_COUNT; isa++) {
		struct run run;

		if (!lf_simd_supported(isa))
			continue;
		options = (struct tiny_options){ .threads = 3, .simd = lf_simd_name(isa) };
		begin(&run, number, &options);
		train(&run, NULL, 0);
		expect_outcome(&run, &expected, number);
		end(&run);
	}
	free(expected.values);
}
END_TEST

/* Stopped between two checkpoints, it goes on where the file is. */
START_TEST(a_resumed_run_is_the_uninterrupted_one)
{
	enum method_case number = (enum method_case)_i;
	struct outcome expected;
	struct run run;

	reference(number, NULL, &expected);
	begin(&run, number, NULL);
	train(&run, io_path("run"), LATE_STEP + 2);
	end(&run);
	begin(&run, number, NULL);
	train(&run, io_path("run"), 0);
	ck_assert_uint_eq(run.steps, STEPS - LATE_STEP);
	expect_outcome(&run, &expected, number);
	end(&run);
	free(expected.values);
}
END_TEST

START_TEST(what_was_saved_computes_what_was_trained)
{
	/* The second loses something in conversion: matrices on crossbars are calibrated, and again alike. */
	static const char *const devices[] = { "ideal", "isaac,adc_step=32" };
	enum method_case number = (enum method_case)(_i / 2);
	struct lf_checkpoint *checkpoint;
	struct outcome expected;
	struct run run;

	begin_on(&run, number, devices[_i % 2], NULL);
	train(&run, NULL, 0);
	find_outcome(&run, &expected);
	ck_assert_lf(lf_adaptation_save(io_path("adaptation"), run.method, run.tiny.head, "{}",
					LF_ERROR));
	end(&run);

	run = (struct run){ 0 };
	tiny_open(&run.tiny, devices[_i % 2], NULL);
	run.method = method_case_create(&run.tiny, number, &run.pool);
	ck_assert_lf(lf_checkpoint_open(&checkpoint, io_path("adaptation"), LF_ERROR));
	ck_assert_lf(lf_adaptation_load(checkpoint, run.method, run.tiny.head, LF_ERROR));
	lf_checkpoint_close(checkpoint);
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_lf(lf_method_attach(run.method, false, LF_ERROR));
	expect_outcome(&run, &expected, number);
	end(&run);
	free(expected.values);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("method_bits");
	TCase *tcase = tcase_create("method_bits");

	tcase_set_timeout(tcase, 60);
	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_add_loop_test(tcase, training_lowers_the_loss, 0, METHOD_CASES);
	tcase_add_loop_test(tcase, threads_and_instruction_sets_change_no_bit, 0, METHOD_CASES);
	tcase_add_loop_test(tcase, a_resumed_run_is_the_uninterrupted_one, 0, METHOD_CASES);
	tcase_add_loop_test(tcase, what_was_saved_computes_what_was_trained, 0, 2 * METHOD_CASES);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
