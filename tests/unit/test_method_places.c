// SPDX-License-Identifier: MIT
/*
 * Trained matrices on crossbars: what is written and when, that the device counts the same, how near the results are to those of matrices on
 * the host, and that nothing is left behind by what fails.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/train.h>

#include "runtime/adapt/method.h"
#include "tests/unit/method_cases.h"
#include "tests/unit/suite.h"

enum { EPOCHS = 5, BATCH = 4, STEPS = 10, EMBEDDINGS = TINY_EXAMPLES * TINY_HIDDEN };

/* The adapted layers of method_cases.c: the query and the output layer of both blocks. */
enum { LAYERS = 4, LORA_MATRICES = 2 * LAYERS };

/* Weights of LoRA's, r = 2, and of the layers themselves. */
#define LORA_WEIGHTS	    (2 * 2 * (2 * TINY_HIDDEN + TINY_INNER + TINY_HIDDEN))
#define FULL_WEIGHTS	    (2 * (TINY_HIDDEN * TINY_HIDDEN + TINY_INNER * TINY_HIDDEN))

/*
 * Rounding levels to absmax / 127 moves a weight by at most 1 / 254 of its row's largest; what this does to the embeddings and the loss
 * of the tiny model after training is measured: these bounds are four times what was seen.
 */
#define EMBEDDING_TOLERANCE 0.05
#define LOSS_TOLERANCE	    0.02

struct run {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
	struct lf_telemetry before;
};

static struct lf_telemetry telemetry(const struct run *run)
{
	struct lf_telemetry found;

	ck_assert_lf(lf_device_telemetry(run->tiny.device, &found, LF_ERROR));
	return found;
}

static void begin_on(struct run *run, enum method_case number, const char *device)
{
	*run = (struct run){ 0 };
	tiny_open(&run->tiny, device, NULL);
	run->method = method_case_create(&run->tiny, number, &run->pool);
	run->before = telemetry(run);
	ck_assert_lf(lf_method_start(run->method, 11, LF_ERROR));
}

static void begin(struct run *run, enum method_case number)
{
	begin_on(run, number, "ideal");
}

static void free_method(struct run *run)
{
	ck_assert_lf(lf_encoder_attach(run->tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(run->method);
	run->method = NULL;
}

static void end(struct run *run)
{
	free_method(run);
	lf_pool_close(run->pool);
	tiny_close(&run->tiny);
}

static int train(struct run *run, uint32_t epochs, struct lf_error *error)
{
	struct lf_train_options options = {
		.epochs = epochs, .batch = BATCH, .seed = 3, .config = "{}"
	};

	return lf_train(run->method, run->tiny.encoder, run->tiny.head, &run->tiny.examples,
			&options, error);
}

static double outcome(struct run *run, float *embeddings)
{
	float gradient[EMBEDDINGS];

	ck_assert_lf(lf_encoder_forward(run->tiny.encoder, &run->tiny.batch, embeddings, LF_ERROR));
	return lf_head_loss(run->tiny.head, embeddings, run->tiny.examples.labels,
			    run->tiny.batch.sequences, gradient);
}

static uint64_t cells_a_weight(const struct run *run)
{
	const struct lf_device_info *info = lf_device_info(run->tiny.device);

	/* Both sides of the slices of seven bits. */
	return 2 * ((7 + info->cell_bits - 1) / info->cell_bits);
}

/* What the device counts since begin() is what the method says. */
static uint64_t written(const struct run *run)
{
	struct lf_telemetry after = telemetry(run);
	uint64_t cells = after.total.cells_written - run->before.total.cells_written;
	struct lf_method_writes writes;

	lf_method_writes(run->method, &writes);
	ck_assert_uint_eq(writes.counters.cells_written, cells);
	ck_assert_uint_eq(!writes.matrices_written, !cells);
	return cells;
}

static uint64_t matrices_written(const struct run *run)
{
	struct lf_method_writes writes;

	lf_method_writes(run->method, &writes);
	return writes.matrices_written;
}

static uint64_t matrices_kept(const struct run *run)
{
	struct lf_method_writes writes;

	lf_method_writes(run->method, &writes);
	return writes.matrices_kept;
}

static bool is_placed(enum method_case number)
{
	return number == CASE_LORA_ONCE || number == CASE_LORA_EACH_STEP ||
	       number == CASE_FULL_ONCE || number == CASE_FULL_EACH_STEP;
}

/* A method that ends leaves the device's tiles and the model as they were. */
static void end_without_trace(struct run *run, const float before[EMBEDDINGS])
{
	float after[EMBEDDINGS];

	free_method(run);
	ck_assert_uint_eq(telemetry(run).tiles_used, run->before.tiles_used);
	outcome(run, after);
	ck_assert_mem_eq(after, before, sizeof(after));
	end(run);
}

START_TEST(only_what_is_on_crossbars_writes_cells)
{
	enum method_case number = (enum method_case)_i;
	struct run run;

	begin(&run, number);
	ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
	ck_assert_msg(is_placed(number) == (written(&run) > 0), "%s: %llu cells",
		      method_case_name(number), (unsigned long long)written(&run));
	end(&run);
}
END_TEST

/* Whole matrices, each step and once before the first. */
START_TEST(each_step_writes_what_has_changed)
{
	struct run run;

	begin(&run, CASE_LORA_EACH_STEP);
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_uint_eq(written(&run), LORA_WEIGHTS * cells_a_weight(&run));
	ck_assert_uint_eq(matrices_written(&run), LORA_MATRICES);
	/* Nothing has moved. */
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_uint_eq(matrices_written(&run), LORA_MATRICES);
	ck_assert_uint_eq(matrices_kept(&run), 0);
	ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
	/* While B is 0 A does not move. */
	ck_assert_uint_eq(matrices_written(&run) + matrices_kept(&run),
			  (STEPS + 1) * LORA_MATRICES - LAYERS);
	ck_assert_uint_gt(written(&run), STEPS / 2 * LORA_WEIGHTS * cells_a_weight(&run));
	/* Rows of cells that were never written are fewer. */
	ck_assert_uint_lt(telemetry(&run).wear_histogram[0], run.before.wear_histogram[0]);
	end(&run);

	/* The first step reads what is deployed. */
	begin(&run, CASE_FULL_EACH_STEP);
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_uint_eq(written(&run), 0);
	ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
	ck_assert_uint_eq(matrices_written(&run) + matrices_kept(&run), STEPS * LAYERS);
	ck_assert_uint_gt(written(&run), STEPS / 2 * FULL_WEIGHTS * cells_a_weight(&run));
	end(&run);
}
END_TEST

/* Where tiles are few the same ones are erased and written again, and results are those of a large device. */
START_TEST(a_small_device_wears_its_tiles)
{
	/* The model takes 26 tiles, a layer's A and B 1 and 2. */
	const char *small = "ideal,tiles=41";
	float embeddings[2][EMBEDDINGS];
	struct run run;

	for (size_t at = 0; at < 2; at++) {
		begin_on(&run, CASE_LORA_EACH_STEP, at ? small : "ideal");
		ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
		outcome(&run, embeddings[at]);
		ck_assert_uint_eq(at, telemetry(&run).total.cells_erased > 0);
		ck_assert_uint_eq(at, telemetry(&run).wear_max > 1);
		ck_assert_uint_gt(written(&run), 0);
		end(&run);
	}
	ck_assert_mem_eq(embeddings[0], embeddings[1], sizeof(embeddings[0]));
}
END_TEST

/* A step too small for any level: the scales alone follow, and nothing is written. */
START_TEST(a_matrix_without_a_new_level_is_kept)
{
	float before[EMBEDDINGS], after[EMBEDDINGS];
	const struct lf_parameters *b;
	struct run run;

	begin(&run, CASE_LORA_EACH_STEP);
	b = tiny_parameters(run.method, "lora_B");
	random_fill(b->values, b->count, 9);
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	outcome(&run, before);
	for (size_t at = 0; at < b->count; at++)
		b->values[at] *= 1.5f;
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_uint_eq(matrices_written(&run), LORA_MATRICES);
	ck_assert_uint_eq(matrices_kept(&run), LAYERS);
	outcome(&run, after);
	ck_assert_double_gt(largest_difference(after, before, EMBEDDINGS), 0.01);
	/* One level of one matrix. */
	b->values[1] += 0.1f;
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	ck_assert_uint_eq(matrices_written(&run), LORA_MATRICES + 1);
	end(&run);
}
END_TEST

START_TEST(once_writes_when_training_has_ended)
{
	static const struct {
		enum method_case once, host;
		uint64_t weights;
	} kinds[] = { { CASE_LORA_ONCE, CASE_LORA, LORA_WEIGHTS },
		      { CASE_FULL_ONCE, CASE_FULL, FULL_WEIGHTS } };
	float once[EMBEDDINGS], host[EMBEDDINGS], again[EMBEDDINGS];
	struct run run, other;

	begin(&run, kinds[_i].once);
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	tiny_step(&run.tiny, run.method, once);
	ck_assert_uint_eq(written(&run), 0);
	ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
	ck_assert_uint_eq(written(&run), kinds[_i].weights * cells_a_weight(&run));
	outcome(&run, once);
	/* It was trained as on the host, to the bit, and is near to that on crossbars. */
	begin(&other, kinds[_i].host);
	ck_assert_lf(train(&other, EPOCHS, LF_ERROR));
	ck_assert_mem_eq(run.method->groups[0].values, other.method->groups[0].values,
			 run.method->groups[0].count * sizeof(float));
	outcome(&other, host);
	expect_close("embeddings, once", once, host, EMBEDDINGS, EMBEDDING_TOLERANCE);
	ck_assert_mem_ne(once, host, sizeof(once));
	/* Training on is on the host again. */
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	outcome(&run, again);
	ck_assert_mem_eq(again, host, sizeof(again));
	end(&other);
	end(&run);
}
END_TEST

START_TEST(each_step_comes_to_about_what_the_host_does)
{
	static const enum method_case kinds[][2] = { { CASE_LORA_EACH_STEP, CASE_LORA },
						     { CASE_FULL_EACH_STEP, CASE_FULL } };
	float embeddings[2][EMBEDDINGS], loss[2];
	struct run run;

	for (size_t place = 0; place < 2; place++) {
		begin(&run, kinds[_i][place]);
		ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
		loss[place] = (float)outcome(&run, embeddings[place]);
		end(&run);
	}
	expect_close("embeddings, each step", embeddings[0], embeddings[1], EMBEDDINGS,
		     EMBEDDING_TOLERANCE);
	expect_close("loss, each step", &loss[0], &loss[1], 1, LOSS_TOLERANCE);
}
END_TEST

/* The budget ends in the middle of training: the matrix is named, and the device is as it was but for the wear. */
START_TEST(a_spent_write_budget_stops_training)
{
	static const enum method_case kinds[] = { CASE_LORA_EACH_STEP, CASE_FULL_EACH_STEP };
	float before[EMBEDDINGS];
	struct lf_account account;
	uint64_t budget;
	struct run run;

	begin(&run, kinds[_i]);
	outcome(&run, before);
	ck_assert_lf(lf_device_quota(run.tiny.device, geteuid(), NULL, &account, LF_ERROR));
	budget = account.written_cells +
		 5 * cells_a_weight(&run) * (_i ? FULL_WEIGHTS : LORA_WEIGHTS) / 2;
	ck_assert_lf(lf_device_quota(run.tiny.device, geteuid(), &budget, NULL, LF_ERROR));
	ck_assert_lf_fails(train(&run, EPOCHS, LF_ERROR), -EDQUOT,
			   "needs more than the write budget of this user allows");
	ck_assert_lf_fails(train(&run, EPOCHS, LF_ERROR), -EDQUOT,
			   _i ? "step 1: full, layer." : "step 1: lora, layer.");
	ck_assert_uint_le(written(&run), budget - account.written_cells);
	end_without_trace(&run, before);
}
END_TEST

/* Matrices of the method's own on a device with coarse converters: the step of their converters is from samples, not the preset's. */
START_TEST(converters_that_lose_something_are_calibrated)
{
	static const enum method_case kinds[] = { CASE_LORA_EACH_STEP, CASE_LORA_ONCE,
						  CASE_FULL_EACH_STEP, CASE_FULL_ONCE };
	float before[EMBEDDINGS], after[EMBEDDINGS];
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	struct lf_method_writes writes;
	uint64_t conversions;
	uint32_t count;
	struct run run;

	begin_on(&run, kinds[_i], "isaac,adc_step=32");
	ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
	lf_method_writes(run.method, &writes);
	ck_assert_uint_gt(writes.counters.conversions, 0);
	outcome(&run, before);
	/* Without samples the preset's step stays, and that shows. */
	count = lf_method_tensors(run.method, tensors);
	conversions = writes.counters.conversions;
	for (uint32_t at = run.method->group_count; at < count; at++)
		memset((float *)tensors[at].values, 0, tensors[at].shape[0] * sizeof(float));
	for (uint32_t group = 0; group < run.method->group_count; group++) {
		struct lf_parameters *parameters = &run.method->groups[group];

		/* There and back, so that all is written again. */
		for (int sign = -1; sign <= 1; sign += 2) {
			for (size_t at = 0; at < parameters->count; at++)
				parameters->values[at] = -parameters->values[at];
			ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
		}
	}
	lf_method_writes(run.method, &writes);
	ck_assert_uint_eq(writes.counters.conversions, conversions);
	outcome(&run, after);
	ck_assert_mem_ne(after, before, sizeof(after));
	end(&run);
}
END_TEST

/* What was written before anything was multiplied is calibrated when something was. */
START_TEST(a_first_matrix_is_calibrated_later)
{
	float embeddings[EMBEDDINGS];
	struct lf_method_writes writes;
	struct run run;

	begin_on(&run, CASE_LORA_EACH_STEP, "isaac,adc_step=32");
	ck_assert_lf(lf_method_attach(run.method, true, LF_ERROR));
	tiny_step(&run.tiny, run.method, embeddings);
	lf_method_writes(run.method, &writes);
	ck_assert_uint_eq(writes.counters.conversions, 0);
	ck_assert_lf(lf_method_prepare(run.method, LF_ERROR));
	lf_method_writes(run.method, &writes);
	ck_assert_uint_gt(writes.counters.conversions, 0);
	ck_assert_uint_eq(writes.matrices_written, LORA_MATRICES);
	end(&run);
}
END_TEST

START_TEST(nothing_is_left_of_a_method)
{
	static const enum method_case kinds[] = { CASE_LORA_EACH_STEP, CASE_LORA_ONCE,
						  CASE_FULL_EACH_STEP, CASE_FULL_ONCE };
	float before[EMBEDDINGS];
	struct lf_matrix_info *list;
	uint32_t count;
	struct run run;

	begin(&run, kinds[_i]);
	outcome(&run, before);
	ck_assert_lf(train(&run, EPOCHS, LF_ERROR));
	ck_assert_uint_gt(telemetry(&run).tiles_used, run.before.tiles_used);
	/* Nobody else sees them. */
	ck_assert_lf(lf_matrix_list(run.tiny.device, &list, &count, LF_ERROR));
	ck_assert_uint_eq(count, TINY_LINEARS);
	free(list);
	end_without_trace(&run, before);
}
END_TEST

START_TEST(what_cannot_be_written_is_named)
{
	const struct lf_parameters *b;
	struct run run;

	begin(&run, CASE_LORA_EACH_STEP);
	b = tiny_parameters(run.method, "lora_B");
	b->values[2 * TINY_HIDDEN + 3] = NAN;
	ck_assert_lf_fails(lf_method_prepare(run.method, LF_ERROR), -EDOM,
			   "lora, layer.0.output.dense: B: the trained weight holds NaN or Inf");
	end(&run);

	begin(&run, CASE_FULL_EACH_STEP);
	tiny_parameters(run.method, "weights")->values[5] = INFINITY;
	ck_assert_lf_fails(
		lf_method_prepare(run.method, LF_ERROR), -EDOM,
		"full, layer.0.attention.self.query: the trained weight holds NaN or Inf");
	end(&run);
}
END_TEST

START_TEST(a_full_device_is_told)
{
	struct lf_encoder_options options = { .directory = TINY_MODEL,
					      .name = TINY_NAME,
					      .batch_sequences = 1,
					      .sequence_tokens = TINY_POSITIONS,
					      .threads = 1 };
	struct lf_full_options full = { .targets = 1u << LF_TARGET_INTERMEDIATE,
					.rate = 1e-3,
					.place = LF_PLACE_EACH_STEP };
	struct lf_telemetry before, after;
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_method *method;

	/* 21 x 37 takes 3 tiles, 16 logical columns each; the model takes 2 (5 x 2 + 3), one more is free. */
	device = open_device("inproc:ideal,tiles=27");
	ck_assert_lf(
		lf_encoder_deploy(device, TINY_MODEL, TINY_NAME, 0444, NULL, NULL, NULL, LF_ERROR));
	ck_assert_lf(lf_device_telemetry(device, &before, LF_ERROR));
	ck_assert_uint_eq(before.tiles_used, 26);
	ck_assert_lf(lf_encoder_open(device, &options, &encoder, LF_ERROR));
	ck_assert_lf(lf_full_create(encoder, &full, &method, LF_ERROR));
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	tiny_parameters(method, "weights")->values[0] += 1.0f;
	ck_assert_lf_fails(lf_method_prepare(method, LF_ERROR), -ENOSPC,
			   "full, layer.0.intermediate.dense: matrix of 21 x 37 needs 3 tiles");
	lf_method_free(method);
	ck_assert_lf(lf_device_telemetry(device, &after, LF_ERROR));
	ck_assert_uint_eq(after.tiles_used, before.tiles_used);
	ck_assert_uint_eq(after.total.cells_written, before.total.cells_written);
	lf_encoder_close(encoder);
	lf_device_close(device);
}
END_TEST

START_TEST(what_is_refused)
{
	const struct lf_lora_options lora = {
		.rank = 1, .alpha = 1, .targets = 1, .place = (enum lf_place)3
	};
	const struct lf_full_options full = { .targets = 1, .place = (enum lf_place) - 1 };
	const struct lf_full_options none = { .targets = 0 };
	struct lf_lora_options dora = {
		.rank = 1, .alpha = 1, .targets = 1, .place = LF_PLACE_EACH_STEP
	};
	struct lf_vera_options vera = { .rank = 0, .targets = 1, .initial_d = 0.1 };
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	ck_assert_lf_fails(lf_lora_create(tiny.encoder, &lora, &method, LF_ERROR), -EINVAL,
			   "lora: place 3 is none");
	ck_assert_lf_fails(lf_full_create(tiny.encoder, &full, &method, LF_ERROR), -EINVAL,
			   "full: place -1 is none");
	ck_assert_lf_fails(lf_full_create(tiny.encoder, &none, &method, LF_ERROR), -EINVAL,
			   "full: no layer is targeted");
	ck_assert_lf_fails(lf_dora_create(tiny.encoder, &dora, &method, LF_ERROR), -EINVAL,
			   "dora: its place can only be the host");
	ck_assert_lf_fails(lf_vera_create(tiny.encoder, &vera, &method, LF_ERROR), -EINVAL,
			   "vera: rank 0: 1 to");
	vera.rank = 4;
	vera.initial_d = 0;
	ck_assert_lf_fails(lf_vera_create(tiny.encoder, &vera, &method, LF_ERROR), -EINVAL,
			   "vera: initial_d 0");
	vera.initial_d = NAN;
	ck_assert_lf_fails(lf_vera_create(tiny.encoder, &vera, &method, LF_ERROR), -EINVAL,
			   "vera: initial_d nan");
	vera.initial_d = 0.1;
	vera.targets = 1u << LF_TARGETS;
	ck_assert_lf_fails(lf_vera_create(tiny.encoder, &vera, &method, LF_ERROR), -EINVAL,
			   "vera: no layer is targeted");
	ck_assert_lf_fails(lf_magnitude_create(tiny.encoder, 0, 1e-3, &method, LF_ERROR), -EINVAL,
			   "magnitude: no layer is targeted");
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("method_places");
	TCase *tcase = tcase_create("method_places");

	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, only_what_is_on_crossbars_writes_cells, 0, METHOD_CASES);
	tcase_add_test(tcase, each_step_writes_what_has_changed);
	tcase_add_test(tcase, a_small_device_wears_its_tiles);
	tcase_add_test(tcase, a_matrix_without_a_new_level_is_kept);
	tcase_add_loop_test(tcase, once_writes_when_training_has_ended, 0, 2);
	tcase_add_loop_test(tcase, each_step_comes_to_about_what_the_host_does, 0, 2);
	tcase_add_loop_test(tcase, a_spent_write_budget_stops_training, 0, 2);
	tcase_add_loop_test(tcase, converters_that_lose_something_are_calibrated, 0, 4);
	tcase_add_test(tcase, a_first_matrix_is_calibrated_later);
	tcase_add_loop_test(tcase, nothing_is_left_of_a_method, 0, 4);
	tcase_add_test(tcase, what_cannot_be_written_is_named);
	tcase_add_test(tcase, a_full_device_is_told);
	tcase_add_test(tcase, what_is_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
