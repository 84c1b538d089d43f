// SPDX-License-Identifier: MIT
/* Heads: losses and gradients against autograd, what is predicted, and what is refused. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

#define TOLERANCE 1e-5

enum { EMBEDDINGS = TINY_EXAMPLES * TINY_HIDDEN };

static const char *const kinds[] = { "float", "ideal" };

/* Parameter group @at of a linear head: 0 the weight, 1 the bias. */
static const struct lf_parameters *group(const struct lf_head *head, uint32_t at)
{
	const struct lf_parameters *groups;
	uint32_t count;

	groups = lf_head_parameters(head, &count);
	ck_assert_uint_eq(count, 2);
	return &groups[at];
}

static void take(const struct tiny *tiny, const struct lf_parameters *parameters, const char *name)
{
	float *values = tiny_expected(tiny, name, parameters->count);

	memcpy(parameters->values, values, parameters->count * sizeof(*values));
	free(values);
}

START_TEST(linear_head_agrees_with_autograd)
{
	float embeddings[EMBEDDINGS], gradient[EMBEDDINGS], loss;
	struct lf_head *head;
	struct tiny tiny;

	tiny_open(&tiny, kinds[_i], NULL);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, embeddings, LF_ERROR));
	ck_assert_lf(lf_head_linear(tiny.encoder, TINY_CLASSES, 0.01, &head, LF_ERROR));
	take(&tiny, group(head, 0), "linear.weight");
	take(&tiny, group(head, 1), "linear.bias");
	loss = lf_head_loss(head, embeddings, tiny.examples.labels, TINY_EXAMPLES, gradient) /
	       TINY_EXAMPLES;
	tiny_expect(&tiny, "linear.loss", &loss, 1, TOLERANCE);
	tiny_expect(&tiny, "linear.embedding_gradient", gradient, EMBEDDINGS, TOLERANCE);
	tiny_expect(&tiny, "linear.weight_gradient", group(head, 0)->gradients,
		    TINY_CLASSES * TINY_HIDDEN, TOLERANCE);
	tiny_expect(&tiny, "linear.bias_gradient", group(head, 1)->gradients, TINY_CLASSES,
		    TOLERANCE);
	lf_head_free(head);
	tiny_close(&tiny);
}
END_TEST

START_TEST(linear_head_starts_undecided)
{
	float embeddings[EMBEDDINGS], gradient[EMBEDDINGS];
	struct lf_head *head;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	random_fill(embeddings, EMBEDDINGS, 1);
	ck_assert_lf(lf_head_linear(tiny.encoder, TINY_CLASSES, 0.01, &head, LF_ERROR));
	ck_assert_uint_eq(lf_head_classes(head), TINY_CLASSES);
	ck_assert_double_eq(group(head, 0)->learning_rate, 0.01);
	ck_assert_float_eq_tol(
		lf_head_loss(head, embeddings, tiny.examples.labels, TINY_EXAMPLES, gradient),
		TINY_EXAMPLES * logf(TINY_CLASSES), 1e-5);
	ck_assert_uint_eq(lf_head_predict(head, embeddings), 0);
	/* A bias alone decides; of equals the first is taken. */
	group(head, 1)->values[1] = group(head, 1)->values[2] = 1.0f;
	ck_assert_uint_eq(lf_head_predict(head, embeddings), 1);
	lf_head_free(head);
	tiny_close(&tiny);
}
END_TEST

/* Loss, gradient and prediction of the cosine head from its definition, in double. */
START_TEST(cosine_head_by_definition)
{
	float embeddings[EMBEDDINGS], gradient[EMBEDDINGS];
	float labels[TINY_CLASSES][TINY_HIDDEN], expected[TINY_HIDDEN];
	double total = 0.0;
	uint32_t count;
	struct tiny tiny;
	float loss;

	tiny_open(&tiny, kinds[_i], NULL);
	lf_head_parameters(tiny.head, &count);
	ck_assert_uint_eq(count, 0);
	ck_assert_uint_eq(lf_head_classes(tiny.head), TINY_CLASSES);
	for (uint32_t label = 0; label < TINY_CLASSES; label++) {
		const char *text = lf_label_set_at(tiny.labels, label)->text;
		uint32_t ids[TINY_POSITIONS], start[2] = { 0 };
		struct lf_batch one = { 1, start, ids };
		size_t length;

		ck_assert_lf(lf_tokenizer_encode(tiny.tokenizer, text, strlen(text), TINY_POSITIONS,
						 ids, &length, LF_ERROR));
		start[1] = (uint32_t)length;
		ck_assert_lf(lf_encoder_forward(tiny.encoder, &one, labels[label], LF_ERROR));
	}
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, embeddings, LF_ERROR));
	loss = lf_head_loss(tiny.head, embeddings, tiny.examples.labels, TINY_EXAMPLES, gradient);
	for (uint32_t at = 0; at < TINY_EXAMPLES; at++) {
		uint32_t label = tiny.examples.labels[at], best = 0;
		double logits[TINY_CLASSES], sum = 0.0;

		for (uint32_t k = 0; k < TINY_CLASSES; k++) {
			logits[k] = 0.0;
			for (size_t i = 0; i < TINY_HIDDEN; i++)
				logits[k] += (double)embeddings[at * TINY_HIDDEN + i] *
					     labels[k][i] / LF_HEAD_TEMPERATURE;
			sum += exp(logits[k]);
			best = logits[k] > logits[best] ? k : best;
		}
		total += log(sum) - logits[label];
		ck_assert_uint_eq(lf_head_predict(tiny.head, embeddings + at * TINY_HIDDEN), best);
		for (size_t i = 0; i < TINY_HIDDEN; i++) {
			double slope = 0.0;

			for (uint32_t k = 0; k < TINY_CLASSES; k++)
				slope += (exp(logits[k]) / sum - (k == label)) * labels[k][i];
			expected[i] = (float)(slope / LF_HEAD_TEMPERATURE / TINY_EXAMPLES);
		}
		expect_close("gradient", gradient + at * TINY_HIDDEN, expected, TINY_HIDDEN, 1e-4);
	}
	ck_assert_double_eq_tol(loss, total, 1e-5 * total);
	tiny_close(&tiny);
}
END_TEST

START_TEST(hopeless_labels_cost_a_finite_loss)
{
	float embedding[TINY_HIDDEN] = { 0 }, gradient[TINY_HIDDEN];
	const uint32_t label = 0;
	struct lf_head *head;
	struct tiny tiny;
	float loss;

	tiny_open(&tiny, "float", NULL);
	ck_assert_lf(lf_head_linear(tiny.encoder, TINY_CLASSES, 0.01, &head, LF_ERROR));
	group(head, 1)->values[1] = 1000.0f;
	loss = lf_head_loss(head, embedding, &label, 1, gradient);
	ck_assert_float_eq_tol(loss, 1000.0f, 1e-3);
	group(head, 1)->values[1] = NAN;
	ck_assert(isnan(lf_head_loss(head, embedding, &label, 1, gradient)));
	lf_head_free(head);
	tiny_close(&tiny);
}
END_TEST

START_TEST(what_is_refused)
{
	const double temperatures[] = { 0.0, -1.0, 1e-4, 1001.0, NAN, INFINITY };
	struct lf_head *head;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	for (size_t at = 0; at < sizeof(temperatures) / sizeof(temperatures[0]); at++)
		ck_assert_lf_fails(lf_head_cosine(tiny.encoder, tiny.tokenizer, tiny.labels,
						  temperatures[at], &head, LF_ERROR),
				   -EINVAL, "temperature");
	ck_assert_lf_fails(lf_head_linear(tiny.encoder, 1, 0.01, &head, LF_ERROR), -EINVAL,
			   "head of 1 classes");
	ck_assert_lf_fails(
		lf_head_linear(tiny.encoder, LF_LABEL_SET_MAX + 1, 0.01, &head, LF_ERROR), -EINVAL,
		"head of 4097 classes: 2 to 4096");
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("head");
	TCase *tcase = tcase_create("head");

	tcase_add_loop_test(tcase, linear_head_agrees_with_autograd, 0, 2);
	tcase_add_test(tcase, linear_head_starts_undecided);
	tcase_add_loop_test(tcase, cosine_head_by_definition, 0, 2);
	tcase_add_test(tcase, hopeless_labels_cost_a_finite_loss);
	tcase_add_test(tcase, what_is_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
