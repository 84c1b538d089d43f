// SPDX-License-Identifier: MIT
/* DoRA and BitFit: gradients against finite differences, and a start that changes nothing. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

/* As in test_lora.c. */
#define SLOPE_TOLERANCE 2e-3
#define STEP		4e-3f
#define QUERY_VALUE	(1u << LF_TARGET_QUERY | 1u << LF_TARGET_VALUE)
#define ALL		((1u << LF_TARGETS) - 1)

enum { RANK = 2 };

static const struct method_case {
	const char *name;
	uint32_t targets;
	const char *groups[3];
} cases[] = {
	{ "dora", QUERY_VALUE, { "lora_A", "lora_B", "magnitudes" } },
	{ "dora", ALL, { "lora_A", "lora_B", "magnitudes" } },
	{ "bitfit", QUERY_VALUE, { "biases" } },
	{ "bitfit", ALL, { "biases" } },
};

static int create(struct tiny *tiny, const struct method_case *one, struct lf_method **method,
		  struct lf_error *error)
{
	struct lf_lora_options options = {
		.rank = RANK, .alpha = 3.0, .targets = one->targets, .rate = 1e-3
	};

	if (!strcmp(one->name, "dora"))
		return lf_dora_create(tiny->encoder, &options, method, error);
	return lf_bitfit_create(tiny->encoder, one->targets, 1e-3, method, error);
}

static struct lf_method *make(struct tiny *tiny, const struct method_case *one)
{
	struct lf_method *method;

	ck_assert_lf(create(tiny, one, &method, LF_ERROR));
	ck_assert_lf(lf_method_attach(method, true, LF_ERROR));
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	ck_assert_str_eq(lf_method_name(method), one->name);
	return method;
}

static void end(struct tiny *tiny, struct lf_method *method)
{
	ck_assert_lf(lf_encoder_attach(tiny->encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
	tiny_close(tiny);
}

/* The norms of a DoRA, NULL of a method that has none. */
static const float *norms_of(const struct lf_method *method)
{
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS];
	uint32_t count = lf_method_tensors(method, tensors);

	return strcmp(tensors[count - 1].name, "norms") ? NULL : tensors[count - 1].values;
}

/* As n follows A and B, m is moved along with it: the gradient holds the norm fixed. */
static double moved(struct tiny *tiny, struct lf_method *method, float *value, float by,
		    const float *norms, const float *direction)
{
	const struct lf_parameters *magnitudes;
	float kept = *value, *before;
	double sum;

	*value += by;
	if (!norms) {
		sum = tiny_along(tiny, method, direction);
		*value = kept;
		return sum;
	}
	magnitudes = tiny_parameters(method, "magnitudes");
	before = malloc(magnitudes->count * sizeof(*before));
	memcpy(before, magnitudes->values, magnitudes->count * sizeof(*before));
	ck_assert_lf(lf_method_prepare(method, LF_ERROR));
	for (size_t o = 0; o < magnitudes->count; o++)
		magnitudes->values[o] *= norms_of(method)[o] / norms[o];
	sum = tiny_along(tiny, method, direction);
	memcpy(magnitudes->values, before, magnitudes->count * sizeof(*before));
	*value = kept;
	free(before);
	return sum;
}

/* || W0 + s B A || of every output from the dense weights, in double. */
static void expect_norms(struct tiny *tiny, const struct lf_method *method, uint32_t targets)
{
	const float *a = tiny_parameters(method, "lora_A")->values;
	const float *b = tiny_parameters(method, "lora_B")->values;
	const float *norms = norms_of(method);

	for (uint32_t index = 0; index < TINY_LINEARS; index++) {
		float weight[TINY_INNER * TINY_INNER];
		uint32_t inputs, outputs;

		if (!(targets & 1u << index % LF_BLOCK_LINEARS))
			continue;
		lf_linear_shape(lf_encoder_config(tiny->encoder), index, &inputs, &outputs);
		ck_assert_lf(lf_encoder_weight(tiny->encoder, index, weight, LF_ERROR));
		for (uint32_t o = 0; o < outputs; o++, b += RANK) {
			double square = 0.0;

			for (uint32_t i = 0; i < inputs; i++) {
				double value = weight[o * inputs + i];

				for (uint32_t k = 0; k < RANK; k++)
					value += 1.5 * b[k] * a[k * inputs + i];
				square += value * value;
			}
			ck_assert_double_eq_tol(*norms++, sqrt(square), 1e-4);
		}
		a += RANK * inputs;
	}
}

START_TEST(gradients_agree_with_finite_differences)
{
	const struct method_case *one = &cases[_i];
	float direction[TINY_EXAMPLES * TINY_HIDDEN], *norms = NULL;
	const struct lf_parameters *groups;
	struct lf_method *method;
	struct tiny tiny;
	uint32_t count;

	tiny_open(&tiny, "float", NULL);
	method = make(&tiny, one);
	groups = lf_method_parameters(method, &count);
	for (uint32_t group = 0; group < count; group++)
		for (size_t at = 0; at < groups[group].count; at++)
			groups[group].values[at] += 0.1f * (float)((int)(at * 7 % 11) - 5);
	random_fill(direction, TINY_EXAMPLES * TINY_HIDDEN, 5);
	tiny_along(&tiny, method, direction);
	ck_assert_lf(lf_encoder_backward(tiny.encoder, direction, LF_ERROR));
	if (norms_of(method)) {
		size_t bytes = tiny_parameters(method, "magnitudes")->count * sizeof(*norms);

		norms = malloc(bytes);
		memcpy(norms, norms_of(method), bytes);
		expect_norms(&tiny, method, one->targets);
	}
	for (uint32_t group = 0; group < count; group++) {
		float slopes[64], gradients[64];
		size_t every = groups[group].count / 40 + 1, found = 0;

		ck_assert_str_eq(groups[group].name, one->groups[group]);
		for (size_t at = 0; at < groups[group].count; at += every) {
			float *value = &groups[group].values[at];
			double up = moved(&tiny, method, value, STEP, norms, direction);
			double down = moved(&tiny, method, value, -STEP, norms, direction);

			slopes[found] = (float)((up - down) / (2.0 * STEP));
			gradients[found++] = groups[group].gradients[at];
		}
		expect_close(groups[group].name, gradients, slopes, found, SLOPE_TOLERANCE);
	}
	free(norms);
	end(&tiny, method);
}
END_TEST

START_TEST(a_start_changes_nothing_yet)
{
	const struct method_case *one = &cases[_i];
	float frozen[TINY_EXAMPLES * TINY_HIDDEN], started[TINY_EXAMPLES * TINY_HIDDEN];
	struct lf_counters before, after;
	struct lf_method *method;
	struct tiny tiny;
	uint64_t outputs =
		one->targets == ALL ? 2 * (5 * TINY_HIDDEN + TINY_INNER) : 4 * TINY_HIDDEN;
	uint64_t inputs = one->targets == ALL ? outputs : 4 * TINY_HIDDEN;
	bool dora = !strcmp(one->name, "dora");

	tiny_open(&tiny, "ideal", NULL);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, frozen, LF_ERROR));
	method = make(&tiny, one);
	ck_assert_uint_eq(lf_method_trainable(method),
			  outputs + (dora ? RANK * (inputs + outputs) : 0));
	ck_assert_lf(lf_device_counters(tiny.device, &before, LF_ERROR));
	tiny_step(&tiny, method, started);
	ck_assert_lf(lf_device_counters(tiny.device, &after, LF_ERROR));
	expect_close("embeddings", started, frozen, TINY_EXAMPLES * TINY_HIDDEN, 1e-6);
	ck_assert_uint_eq(after.cells_written, before.cells_written);
	end(&tiny, method);
}
END_TEST

START_TEST(what_is_refused)
{
	const struct method_case none = { .name = cases[_i].name };
	struct lf_method *method;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	ck_assert_lf_fails(create(&tiny, &none, &method, LF_ERROR), -EINVAL,
			   "no layer is targeted");
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	const int count = sizeof(cases) / sizeof(cases[0]);
	Suite *suite = suite_create("methods");
	TCase *tcase = tcase_create("methods");

	tcase_add_loop_test(tcase, gradients_agree_with_finite_differences, 0, count);
	tcase_add_loop_test(tcase, a_start_changes_nothing_yet, 0, count);
	tcase_add_loop_test(tcase, what_is_refused, 1, 3);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
