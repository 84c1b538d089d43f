// SPDX-License-Identifier: MIT
/* NaN and Inf: wherever one comes from, training stops at its step and names the layer, and predicting does not take it for a label. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include <lf/train.h>

#include "runtime/adapt/method.h"
#include "tests/unit/method_cases.h"
#include "tests/unit/suite.h"

struct rig {
	struct tiny tiny;
	struct lf_pool *pool;
	struct lf_method *method;
};

static void open_rig(struct rig *rig, enum method_case number, const char *device)
{
	tiny_open(&rig->tiny, device, NULL);
	rig->method = method_case_create(&rig->tiny, number, &rig->pool);
	ck_assert_lf(lf_method_start(rig->method, 1, LF_ERROR));
}

static void close_rig(struct rig *rig)
{
	ck_assert_lf(lf_encoder_attach(rig->tiny.encoder, NULL, false, LF_ERROR));
	lf_method_free(rig->method);
	lf_pool_close(rig->pool);
	tiny_close(&rig->tiny);
}

static int train(struct rig *rig, struct lf_error *error)
{
	struct lf_train_options options = {
		.epochs = 2, .batch = TINY_EXAMPLES, .seed = 1, .config = "{}"
	};

	return lf_train(rig->method, rig->tiny.encoder, rig->tiny.head, &rig->tiny.examples,
			&options, error);
}

/* Every parameter of a group belongs to a layer, the first to the first block and the last to the last. */
START_TEST(parameters_have_a_place)
{
	const struct lf_parameters *groups;
	char place[LF_METHOD_PLACE_BYTES];
	struct rig rig;
	uint32_t count;

	open_rig(&rig, (enum method_case)_i, "float");
	groups = lf_method_parameters(rig.method, &count);
	for (uint32_t group = 0; group < count; group++) {
		lf_method_place(rig.method, group, 0, place);
		ck_assert_msg(strstr(place, groups[group].name) == place &&
				      strstr(place, ", number 0, encoder.layer.0."),
			      "%s: %s", method_case_name(_i), place);
		lf_method_place(rig.method, group, groups[group].count - 1, place);
		ck_assert_msg(strstr(place, ", encoder.layer.1.") != NULL, "%s: %s",
			      method_case_name(_i), place);
		lf_method_place(rig.method, group, groups[group].count, place);
		ck_assert_msg(strstr(place, "encoder.") == NULL, "%s: %s", method_case_name(_i),
			      place);
	}
	close_rig(&rig);
}
END_TEST

/* A parameter of block 1 that is no number: the message is of step 1 and of block 1, on either kind of cells. */
START_TEST(a_bad_parameter_stops_training)
{
	static const float bad[] = { NAN, INFINITY };
	static const char *const devices[] = { "float", "ideal" };
	const struct lf_parameters *groups;
	uint32_t count;

	for (int which = 0; which < 4; which++) {
		struct rig rig;

		open_rig(&rig, (enum method_case)_i, devices[which % 2]);
		groups = lf_method_parameters(rig.method, &count);
		for (uint32_t group = 0; group < count; group++) {
			float *value = &groups[group].values[groups[group].count - 1];
			struct lf_error error = { 0 };
			float kept = *value;
			int ret;

			*value = bad[which / 2];
			ret = train(&rig, &error);
			ck_assert_msg(ret == -EDOM &&
					      strstr(error.text, "step 1: ") == error.text &&
					      strstr(error.text, "layer.1."),
				      "%s, %s on %s: %d %s", method_case_name(_i),
				      groups[group].name, devices[which % 2], ret, error.text);
			*value = kept;
		}
		close_rig(&rig);
	}
}
END_TEST

/* No job reads the parameters before the next step; the check behind the optimiser does. */
START_TEST(a_step_that_leaves_inf_is_named)
{
	struct lf_lora_options options = {
		.rank = 2, .alpha = 4.0, .targets = 1u << LF_TARGET_VALUE, .rate = 1e39
	};
	struct rig rig = { 0 };

	tiny_open(&rig.tiny, "float", NULL);
	ck_assert_lf(lf_lora_create(rig.tiny.encoder, &options, &rig.method, LF_ERROR));
	ck_assert_lf(lf_method_start(rig.method, 1, LF_ERROR));
	ck_assert_lf_fails(
		train(&rig, LF_ERROR), -EDOM,
		"step 1: lora_A, number 0, encoder.layer.0.attention.self.value: NaN after the step");
	close_rig(&rig);
}
END_TEST

/* What the host makes of the last layer's output is read by no job. */
START_TEST(the_last_layer_is_named)
{
	struct lf_lora_options options = {
		.rank = 2, .alpha = 4.0, .targets = 1u << LF_TARGET_OUTPUT, .rate = 1e-3
	};
	uint32_t predictions[TINY_EXAMPLES];
	const struct lf_parameters *b;
	struct rig rig = { 0 };

	tiny_open(&rig.tiny, "ideal", NULL);
	ck_assert_lf(lf_lora_create(rig.tiny.encoder, &options, &rig.method, LF_ERROR));
	ck_assert_lf(lf_method_start(rig.method, 1, LF_ERROR));
	b = tiny_parameters(rig.method, "lora_B");
	b->values[b->count - 1] = NAN;
	ck_assert_lf_fails(train(&rig, LF_ERROR), -EDOM,
			   "step 1: tiny/layer.1.output.dense, forward: NaN or Inf follows");
	ck_assert_lf_fails(lf_predict(rig.tiny.encoder, rig.tiny.head, &rig.tiny.examples, 2,
				      predictions, NULL, NULL, LF_ERROR),
			   -EDOM, "examples from 0: tiny/layer.1.output.dense, forward");
	close_rig(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nonfinite");
	TCase *tests = tcase_create("nonfinite");

	tcase_add_loop_test(tests, parameters_have_a_place, 0, METHOD_CASES);
	tcase_add_loop_test(tests, a_bad_parameter_stops_training, 0, METHOD_CASES);
	tcase_add_test(tests, a_step_that_leaves_inf_is_named);
	tcase_add_test(tests, the_last_layer_is_named);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
