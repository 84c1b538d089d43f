// SPDX-License-Identifier: MIT
/*
 * Methods whose values and gradients PyTorch's autograd has computed (tests/golden/make_gradients.py): DoRA, BitFit, IA3, VeRA, magnitudes,
 * full fine-tuning, and LoRA and full fine-tuning on crossbars. LoRA on the host and LoRAFusion have tests of their own.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

/* As in test_lorafusion.c. */
#define TOLERANCE	1e-5
#define SLOPE_TOLERANCE 2e-3
#define STEP		4e-3f

#define QUERY_VALUE	(1u << LF_TARGET_QUERY | 1u << LF_TARGET_VALUE)
#define ALL		((1u << LF_TARGETS) - 1)
#define RATE		1e-3

enum method_kind { DORA, BITFIT, IA3, VERA, MAGNITUDE, FULL, PLACED_LORA, PLACED_FULL };

enum { GROUPS_MAX = 3 };

static const struct golden_case {
	enum method_kind kind;
	const char *device;
	const char *name; /* of the reference's case */
	uint32_t targets;
	const char *groups[GROUPS_MAX];	 /* the method's */
	const char *tensors[GROUPS_MAX]; /* the reference's */
} cases[] = {
	{ DORA,
	  "float",
	  "dora-qv",
	  QUERY_VALUE,
	  { "lora_A", "lora_B", "magnitudes" },
	  { "a", "b", "magnitudes" } },
	{ DORA,
	  "float",
	  "dora-all",
	  ALL,
	  { "lora_A", "lora_B", "magnitudes" },
	  { "a", "b", "magnitudes" } },
	{ DORA,
	  "ideal",
	  "dora-all",
	  ALL,
	  { "lora_A", "lora_B", "magnitudes" },
	  { "a", "b", "magnitudes" } },
	{ BITFIT, "float", "bitfit-qv", QUERY_VALUE, { "biases" }, { "biases" } },
	{ BITFIT, "float", "bitfit-all", ALL, { "biases" }, { "biases" } },
	{ BITFIT, "ideal", "bitfit-all", ALL, { "biases" }, { "biases" } },
	{ IA3, "float", "ia3", 0, { "scales" }, { "scales" } },
	{ IA3, "ideal", "ia3", 0, { "scales" }, { "scales" } },
	{ VERA, "float", "vera-qv", QUERY_VALUE, { "vera_d", "vera_b" }, { "d", "b" } },
	{ VERA, "float", "vera-all", ALL, { "vera_d", "vera_b" }, { "d", "b" } },
	{ VERA, "ideal", "vera-all", ALL, { "vera_d", "vera_b" }, { "d", "b" } },
	{ MAGNITUDE, "float", "magnitude-qv", QUERY_VALUE, { "magnitudes" }, { "magnitudes" } },
	{ MAGNITUDE, "float", "magnitude-all", ALL, { "magnitudes" }, { "magnitudes" } },
	{ MAGNITUDE, "ideal", "magnitude-all", ALL, { "magnitudes" }, { "magnitudes" } },
	{ FULL, "float", "full-all", ALL, { "weights", "biases" }, { "weights", "biases" } },
	/* Cells of fp32 hold what the host does. */
	{ PLACED_LORA, "float", "lora-qv", QUERY_VALUE, { "lora_A", "lora_B" }, { "a", "b" } },
	{ PLACED_LORA, "float", "lora-all", ALL, { "lora_A", "lora_B" }, { "a", "b" } },
	{ PLACED_LORA, "ideal", "placed-all", ALL, { "lora_A", "lora_B" }, { "a", "b" } },
	{ PLACED_FULL, "float", "full-all", ALL, { "weights", "biases" }, { "weights", "biases" } },
	{ PLACED_FULL,
	  "ideal",
	  "replaced-all",
	  ALL,
	  { "weights", "biases" },
	  { "weights", "biases" } },
};

static int create(struct tiny *tiny, const struct golden_case *one, struct lf_method **method,
		  struct lf_error *error)
{
	struct lf_encoder *encoder = tiny->encoder;
	enum lf_place place = one->kind == PLACED_LORA || one->kind == PLACED_FULL
				      ? LF_PLACE_EACH_STEP
				      : LF_PLACE_HOST;
	const struct lf_lora_options lora = {
		.rank = 2, .alpha = 3.0, .targets = one->targets, .rate = RATE, .place = place
	};
	const struct lf_vera_options vera = {
		.rank = 5, .targets = one->targets, .rate = RATE, .initial_d = 0.1, .seed = 7
	};
	const struct lf_full_options full = { .targets = one->targets,
					      .rate = RATE,
					      .place = place };

	switch (one->kind) {
	case DORA:
		return lf_dora_create(encoder, &lora, method, error);
	case BITFIT:
		return lf_bitfit_create(encoder, one->targets, RATE, method, error);
	case IA3:
		return lf_ia3_create(encoder, RATE, method, error);
	case VERA:
		return lf_vera_create(encoder, &vera, method, error);
	case MAGNITUDE:
		return lf_magnitude_create(encoder, one->targets, RATE, method, error);
	case PLACED_LORA:
		return lf_lora_create(encoder, &lora, method, error);
	default:
		return lf_full_create(encoder, &full, method, error);
	}
}

static const char *tensor(const struct golden_case *one, const char *name)
{
	static char text[64];

	snprintf(text, sizeof(text), "%s.%s", one->name, name);
	return text;
}

/* At the reference's values; full fine-tuning's are those it starts at. */
static struct lf_method *make(struct tiny *tiny, const struct golden_case *one)
{
	struct lf_method *method;

	ck_assert_lf(create(tiny, one, &method, LF_ERROR));
	ck_assert_lf(lf_method_attach(method, true, LF_ERROR));
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	for (size_t group = 0; group < GROUPS_MAX && one->groups[group]; group++) {
		const struct lf_parameters *parameters =
			tiny_parameters(method, one->groups[group]);
		float *values;

		if (one->kind == FULL || one->kind == PLACED_FULL)
			break;
		values = tiny_expected(tiny, tensor(one, one->tensors[group]), parameters->count);
		memcpy(parameters->values, values, parameters->count * sizeof(*values));
		free(values);
	}
	return method;
}

static void end(struct tiny *tiny, struct lf_method *method)
{
	ck_assert_lf(lf_encoder_attach(tiny->encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
	tiny_close(tiny);
}

START_TEST(gradients_agree_with_autograd)
{
	const struct golden_case *one = &cases[_i];
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN], loss;
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, one->device, NULL);
	method = make(&tiny, one);
	loss = (float)tiny_step(&tiny, method, embeddings);
	tiny_expect(&tiny, tensor(one, "loss"), &loss, 1, TOLERANCE);
	tiny_expect(&tiny, tensor(one, "embeddings"), embeddings, TINY_EXAMPLES * TINY_HIDDEN,
		    TOLERANCE);
	for (size_t group = 0; group < GROUPS_MAX && one->groups[group]; group++) {
		const struct lf_parameters *parameters =
			tiny_parameters(method, one->groups[group]);
		char name[64];

		snprintf(name, sizeof(name), "%s.%s_gradient", one->name, one->tensors[group]);
		tiny_expect(&tiny, name, parameters->gradients, parameters->count, TOLERANCE);
	}
	end(&tiny, method);
}
END_TEST

/* DoRA's norm is held fixed in the gradient: test_methods.c moves the magnitudes with it. */
START_TEST(gradients_agree_with_finite_differences)
{
	const struct golden_case *one = &cases[_i];
	float direction[TINY_EXAMPLES * TINY_HIDDEN];
	struct lf_method *method;
	struct tiny tiny;

	if (one->kind == DORA || strcmp(one->device, "float"))
		return;
	tiny_open(&tiny, one->device, NULL);
	method = make(&tiny, one);
	random_fill(direction, TINY_EXAMPLES * TINY_HIDDEN, 5);
	tiny_along(&tiny, method, direction);
	ck_assert_lf(lf_encoder_backward(tiny.encoder, direction, LF_ERROR));
	for (size_t group = 0; group < GROUPS_MAX && one->groups[group]; group++) {
		const struct lf_parameters *parameters =
			tiny_parameters(method, one->groups[group]);
		float slopes[64], gradients[64];
		size_t every = parameters->count / 40 + 1, count = 0;

		for (size_t at = 0; at < parameters->count; at += every) {
			float value = parameters->values[at];
			double up, down;

			parameters->values[at] = value + STEP;
			up = tiny_along(&tiny, method, direction);
			parameters->values[at] = value - STEP;
			down = tiny_along(&tiny, method, direction);
			parameters->values[at] = value;
			slopes[count] = (float)((up - down) / (2.0 * STEP));
			gradients[count++] = parameters->gradients[at];
		}
		expect_close(one->groups[group], gradients, slopes, count, SLOPE_TOLERANCE);
	}
	end(&tiny, method);
}
END_TEST

START_TEST(a_start_changes_nothing_yet)
{
	const struct golden_case *one = &cases[_i];
	/* On the host the model's own fp32 takes the place of a layer's int8 levels. */
	double tolerance = one->kind == FULL ? 0.02 : 1e-6;
	float frozen[TINY_EXAMPLES * TINY_HIDDEN], started[TINY_EXAMPLES * TINY_HIDDEN];
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, "ideal", NULL);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, frozen, LF_ERROR));
	ck_assert_lf(create(&tiny, one, &method, LF_ERROR));
	ck_assert_lf(lf_method_attach(method, true, LF_ERROR));
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	tiny_step(&tiny, method, started);
	expect_close("embeddings", started, frozen, TINY_EXAMPLES * TINY_HIDDEN, tolerance);
	end(&tiny, method);
}
END_TEST

int main(void)
{
	const int count = sizeof(cases) / sizeof(cases[0]);
	Suite *suite = suite_create("method_goldens");
	TCase *tcase = tcase_create("method_goldens");

	tcase_add_loop_test(tcase, gradients_agree_with_autograd, 0, count);
	tcase_add_loop_test(tcase, gradients_agree_with_finite_differences, 0, count);
	tcase_add_loop_test(tcase, a_start_changes_nothing_yet, 0, count);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
