// SPDX-License-Identifier: MIT
/*
 * Training: that it learns, that a resumed run is the uninterrupted one to the bit, that threads and instruction sets change
 * no bit, and what stops it.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/train.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

enum { EPOCHS = 5, BATCH = 4, STEPS = 10, LATE_STEP = 7 };

/* Two methods, the second with a linear head beside it; the pruned fusion holds coefficients at zero from half time on. */
enum method_kind { FUSION_SUM, FUSION_PRODUCT, FUSION_PRUNED, LORA_AND_HEAD, METHOD_KINDS };

struct run {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
	struct lf_head *head;
	double losses[STEPS];
	uint64_t last_step;
};

static struct lf_method *make_method(struct run *run, enum method_kind kind)
{
	struct lf_lora_options lora = { .rank = 2,
					.alpha = 4,
					.targets = 1u << LF_TARGET_QUERY | 1u << LF_TARGET_OUTPUT,
					.rate = 0.01 };
	struct lf_lorafusion_options fusion;
	struct lf_method *method;

	lf_lorafusion_defaults(&fusion);
	fusion.merge = kind == FUSION_PRODUCT ? LF_MERGE_PRODUCT : LF_MERGE_SUM;
	if (kind == FUSION_PRUNED)
		fusion.prune = 0.34;
	if (kind == LORA_AND_HEAD) {
		ck_assert_lf(lf_lora_create(run->tiny.encoder, &lora, &method, LF_ERROR));
		return method;
	}
	run->pool = tiny_pool(&run->tiny, "qv");
	ck_assert_lf(
		lf_lorafusion_create(run->tiny.encoder, run->pool, &fusion, &method, LF_ERROR));
	return method;
}

static void begin(struct run *run, enum method_kind kind, const char *device,
		  const struct tiny_options *options)
{
	*run = (struct run){ 0 };
	tiny_open(&run->tiny, device, options);
	run->method = make_method(run, kind);
	run->head = run->tiny.head;
	if (kind == LORA_AND_HEAD)
		ck_assert_lf(lf_head_linear(run->tiny.encoder, TINY_CLASSES, 0.05, &run->head,
					    LF_ERROR));
	ck_assert_lf(lf_method_start(run->method, 11, LF_ERROR));
}

static void end(struct run *run)
{
	ck_assert_lf(lf_encoder_attach(run->tiny.encoder, NULL, false, LF_ERROR));
	if (run->head != run->tiny.head)
		lf_head_free(run->head);
	lf_method_free(run->method);
	lf_pool_close(run->pool);
	tiny_close(&run->tiny);
}

static void report(void *argument, const struct lf_train_state *state)
{
	struct run *run = argument;

	ck_assert_uint_eq(state->steps, STEPS);
	ck_assert_uint_eq(state->epoch, (state->step + 1) / 2);
	run->losses[state->step - 1] = state->loss;
	run->last_step = state->step;
}

static int train(struct run *run, const char *checkpoint, struct lf_error *error)
{
	struct lf_train_options options = { .epochs = EPOCHS,
					    .batch = BATCH,
					    .seed = 3,
					    .checkpoint = checkpoint,
					    .checkpoint_steps = LATE_STEP,
					    .config = "{\"run\": 1}",
					    .report = report,
					    .argument = run };

	return lf_train(run->method, run->tiny.encoder, run->head, &run->tiny.examples, &options,
			error);
}

/* All that was trained, one group behind the other; free() it. */
static float *trained(const struct run *run, size_t *count)
{
	const struct lf_parameters *groups[2];
	uint32_t group_count[2];
	float *values = NULL;

	*count = 0;
	groups[0] = lf_method_parameters(run->method, &group_count[0]);
	groups[1] = lf_head_parameters(run->head, &group_count[1]);
	for (size_t owner = 0; owner < 2; owner++)
		for (uint32_t group = 0; group < group_count[owner]; group++) {
			const struct lf_parameters *one = &groups[owner][group];

			values = realloc(values, (*count + one->count) * sizeof(*values));
			memcpy(values + *count, one->values, one->count * sizeof(*values));
			*count += one->count;
		}
	return values;
}

/* What a run without interruptions comes to. */
static float *reference(enum method_kind kind, const char *device,
			const struct tiny_options *options, size_t *count)
{
	struct run run;
	float *values;

	begin(&run, kind, device, options);
	ck_assert_lf(train(&run, NULL, LF_ERROR));
	ck_assert_uint_eq(run.last_step, STEPS);
	values = trained(&run, count);
	end(&run);
	return values;
}

static void expect_reference(const struct run *run, const float *expected, size_t count)
{
	size_t found;
	float *values = trained(run, &found);

	ck_assert_uint_eq(found, count);
	ck_assert_mem_eq(values, expected, count * sizeof(*values));
	free(values);
}

/* Sums of the losses of the first and of the last epoch, which see the same examples. */
struct ends {
	uint64_t epoch_steps;
	double first;
	double last;
};

static void report_ends(void *argument, const struct lf_train_state *state)
{
	struct ends *ends = argument;

	if (state->step <= ends->epoch_steps)
		ends->first += state->loss;
	if (state->step > state->steps - ends->epoch_steps)
		ends->last += state->loss;
}

START_TEST(training_lowers_the_loss)
{
	struct ends ends = { .epoch_steps = 2 };
	struct lf_train_options options = { .epochs = 40,
					    .batch = BATCH,
					    .seed = 3,
					    .config = "{}",
					    .report = report_ends,
					    .argument = &ends };
	struct run run;

	begin(&run, (enum method_kind)_i, "ideal", NULL);
	ck_assert_lf(lf_train(run.method, run.tiny.encoder, run.head, &run.tiny.examples, &options,
			      LF_ERROR));
	ck_assert_msg(ends.last < 0.9 * ends.first, "from %g to %g", ends.first, ends.last);
	/* Two of six coefficients are held from half time on, and no others. */
	if (_i == FUSION_PRUNED)
		ck_assert_uint_eq(lf_lorafusion_modules_read(run.method, NULL), 4);
	end(&run);
}
END_TEST

static void stop(void *argument, const struct lf_train_state *state)
{
	(void)argument;
	(void)state;
}

/* Stopped behind a checkpoint, or by a limit between two, it goes on where the file is. */
START_TEST(a_resumed_run_is_the_uninterrupted_one)
{
	enum method_kind kind = (enum method_kind)(_i / 2);
	struct lf_train_options options = { .epochs = EPOCHS,
					    .batch = BATCH,
					    .seed = 3,
					    .step_limit = _i % 2 ? LATE_STEP : LATE_STEP + 2,
					    .checkpoint = io_path("run"),
					    .checkpoint_steps = LATE_STEP,
					    .config = "{\"run\": 1}",
					    .report = stop };
	struct run run;
	float *expected;
	size_t count;

	expected = reference(kind, "ideal", NULL, &count);
	begin(&run, kind, "ideal", NULL);
	ck_assert_lf(lf_train(run.method, run.tiny.encoder, run.head, &run.tiny.examples, &options,
			      LF_ERROR));
	end(&run);
	begin(&run, kind, "ideal", NULL);
	ck_assert_lf(train(&run, io_path("run"), LF_ERROR));
	ck_assert_uint_eq(run.last_step, STEPS);
	ck_assert_double_eq(run.losses[LATE_STEP - 1], 0.0);
	expect_reference(&run, expected, count);
	free(expected);
	end(&run);
}
END_TEST

START_TEST(threads_and_instruction_sets_change_no_bit)
{
	static const char *const devices[] = { "ideal", "float" };
	enum method_kind kind = (enum method_kind)(_i / 2);
	const char *device = devices[_i % 2];
	struct tiny_options options = { .threads = 1, .simd = "scalar" };
	float *expected;
	size_t count;

	expected = reference(kind, device, &options, &count);
	for (enum lf_simd_isa isa = 0; isa < LF_SIMD_ISA_COUNT; isa++) {
		struct run run;

		if (!lf_simd_supported(isa))
			continue;
		options = (struct tiny_options){ .threads = 2, .simd = lf_simd_name(isa) };
		begin(&run, kind, device, &options);
		ck_assert_lf(train(&run, NULL, LF_ERROR));
		expect_reference(&run, expected, count);
		end(&run);
	}
	free(expected);
}
END_TEST

START_TEST(what_was_learned_is_saved_and_loaded)
{
	enum method_kind kind = (enum method_kind)_i;
	uint32_t predictions[TINY_EXAMPLES], again[TINY_EXAMPLES];
	struct lf_checkpoint *checkpoint;
	struct run run;
	float *expected;
	size_t count;

	begin(&run, kind, "ideal", NULL);
	ck_assert_lf(train(&run, NULL, LF_ERROR));
	ck_assert_lf(lf_predict(run.tiny.encoder, run.head, &run.tiny.examples, BATCH, predictions,
				NULL, NULL, LF_ERROR));
	expected = trained(&run, &count);
	ck_assert_lf(
		lf_adaptation_save(io_path("adaptation"), run.method, run.head, "{}", LF_ERROR));
	end(&run);

	begin(&run, kind, "ideal", NULL);
	ck_assert_lf(lf_checkpoint_open(&checkpoint, io_path("adaptation"), LF_ERROR));
	ck_assert_lf(lf_adaptation_load(checkpoint, run.method, run.head, LF_ERROR));
	expect_reference(&run, expected, count);
	ck_assert_lf(lf_method_attach(run.method, false, LF_ERROR));
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_lf(lf_predict(run.tiny.encoder, run.head, &run.tiny.examples, BATCH, again, NULL,
				NULL, LF_ERROR));
	ck_assert_mem_eq(again, predictions, sizeof(again));
	free(expected);
	end(&run);
	/* Another method's numbers are refused. */
	begin(&run, kind == LORA_AND_HEAD ? FUSION_SUM : LORA_AND_HEAD, "ideal", NULL);
	ck_assert_int_ne(lf_adaptation_load(checkpoint, run.method, run.head, NULL), 0);
	lf_checkpoint_close(checkpoint);
	end(&run);
}
END_TEST

START_TEST(a_number_that_is_none_stops_at_its_step)
{
	struct run run;

	begin(&run, FUSION_SUM, "ideal", NULL);
	tiny_parameters(run.method, "magnitudes")->values[2 * TINY_HIDDEN] = INFINITY;
	ck_assert_lf_fails(train(&run, io_path("run"), LF_ERROR), -EDOM,
			   "step 1: tiny/layer.1.attention.self, forward");
	ck_assert_int_ne(access(io_path("run"), F_OK), 0);
	end(&run);

	/* A head alone: no job notices, the loss does. */
	begin(&run, LORA_AND_HEAD, "float", NULL);
	lf_head_parameters(run.head, &(uint32_t){ 0 })[1].values[0] = NAN;
	ck_assert_lf_fails(train(&run, NULL, LF_ERROR), -EDOM,
			   "step 1: head: the loss is no number");
	end(&run);
}
END_TEST

START_TEST(a_head_learns_alone)
{
	struct lf_train_options options = { .epochs = 300, .batch = 5, .config = "{}" };
	uint32_t predictions[TINY_EXAMPLES];
	struct lf_head *head;
	struct tiny tiny;

	tiny_open(&tiny, "ideal", NULL);
	ck_assert_lf(lf_head_linear(tiny.encoder, TINY_CLASSES, 0.5, &head, LF_ERROR));
	ck_assert_lf(lf_train(NULL, tiny.encoder, head, &tiny.examples, &options, LF_ERROR));
	ck_assert_lf(lf_predict(tiny.encoder, head, &tiny.examples, 4, predictions, NULL, NULL,
				LF_ERROR));
	ck_assert_mem_eq(predictions, tiny.examples.labels, sizeof(predictions));
	ck_assert_lf_fails(
		lf_train(NULL, tiny.encoder, tiny.head, &tiny.examples, &options, LF_ERROR),
		-EINVAL, "nothing to train");
	lf_head_free(head);
	tiny_close(&tiny);
}
END_TEST

START_TEST(runs_that_are_refused)
{
	struct lf_train_options options = { .epochs = EPOCHS, .batch = BATCH, .config = "{}" };
	uint32_t predictions[TINY_EXAMPLES], kept;
	struct run run;

	begin(&run, FUSION_SUM, "ideal", NULL);
	ck_assert_lf(train(&run, io_path("run"), LF_ERROR));
	options.checkpoint = io_path("run");
	ck_assert_lf_fails(lf_train(run.method, run.tiny.encoder, run.head, &run.tiny.examples,
				    &options, LF_ERROR),
			   -EINVAL, "belongs to another run");
	io_write_text(io_path("run"), "damaged");
	ck_assert_int_ne(lf_train(run.method, run.tiny.encoder, run.head, &run.tiny.examples,
				  &options, NULL),
			 0);
	options.checkpoint = NULL;
	options.batch = 0;
	ck_assert_lf_fails(lf_train(run.method, run.tiny.encoder, run.head, &run.tiny.examples,
				    &options, LF_ERROR),
			   -EINVAL, "must not be 0");
	options.batch = BATCH;
	kept = run.tiny.examples.labels[1];
	run.tiny.examples.labels[1] = TINY_CLASSES;
	ck_assert_lf_fails(lf_train(run.method, run.tiny.encoder, run.head, &run.tiny.examples,
				    &options, LF_ERROR),
			   -EINVAL, "example 1: label 3 of 3 classes");
	run.tiny.examples.labels[1] = kept;
	ck_assert_lf_fails(lf_predict(run.tiny.encoder, run.head, &run.tiny.examples, 0,
				      predictions, NULL, NULL, LF_ERROR),
			   -EINVAL, "batch must not be 0");
	end(&run);
}
END_TEST

/* 1 / n and m / n must be numbers, so a saved norm that is not positive is refused. */
START_TEST(norms_that_are_not_positive_are_refused)
{
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	struct lf_checkpoint_state state = { .config = "{}", .tensors = tensors };
	const char *path = io_path("norms");
	struct lf_checkpoint *checkpoint;
	struct run run;
	float *norms = NULL;

	begin(&run, FUSION_SUM, "ideal", NULL);
	state.tensor_count = lf_method_tensors(run.method, tensors);
	for (size_t at = 0; at < state.tensor_count; at++)
		if (!strcmp(tensors[at].name, "norms")) {
			norms = calloc(tensors[at].shape[0], sizeof(*norms));
			memcpy(norms, tensors[at].values, tensors[at].shape[0] * sizeof(*norms));
			tensors[at].values = norms;
		}
	ck_assert_ptr_nonnull(norms);
	norms[3] = 0.0f;
	ck_assert_lf(lf_checkpoint_save(path, &state, LF_ERROR));
	ck_assert_lf(lf_checkpoint_open(&checkpoint, path, LF_ERROR));
	ck_assert_lf_fails(lf_adaptation_load(checkpoint, run.method, run.head, LF_ERROR), -EINVAL,
			   "norms: number 3 is not positive");
	lf_checkpoint_close(checkpoint);
	free(norms);
	end(&run);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("train");
	TCase *tcase = tcase_create("train");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, training_lowers_the_loss, 0, METHOD_KINDS);
	tcase_add_loop_test(tcase, a_resumed_run_is_the_uninterrupted_one, 0, 2 * METHOD_KINDS);
	tcase_add_loop_test(tcase, threads_and_instruction_sets_change_no_bit, 0, 2 * METHOD_KINDS);
	tcase_add_loop_test(tcase, what_was_learned_is_saved_and_loaded, 0, METHOD_KINDS);
	tcase_add_test(tcase, a_number_that_is_none_stops_at_its_step);
	tcase_add_test(tcase, a_head_learns_alone);
	tcase_add_test(tcase, runs_that_are_refused);
	tcase_add_test(tcase, norms_that_are_not_positive_are_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
