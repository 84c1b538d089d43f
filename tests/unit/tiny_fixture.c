// SPDX-License-Identifier: MIT
/* See tiny_fixture.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/tiny_fixture.h"

static void read_task(struct tiny *tiny)
{
	struct lf_dataset *dataset;

	ck_assert_lf(lf_tokenizer_open(&tiny->tokenizer, TINY_MODEL, LF_ERROR));
	ck_assert_lf(lf_label_set_read(&tiny->labels, TINY_FOLDER "/task/labels.json", LF_ERROR));
	ck_assert_lf(
		lf_dataset_read(&dataset, TINY_FOLDER "/task/train.jsonl", tiny->labels, LF_ERROR));
	ck_assert_lf(lf_examples_create(dataset, tiny->tokenizer, TINY_POSITIONS, 0,
					&tiny->examples, LF_ERROR));
	lf_dataset_free(dataset);
	tiny->batch = (struct lf_batch){ tiny->examples.count, tiny->examples.start,
					 tiny->examples.tokens };
}

void tiny_open(struct tiny *tiny, const char *kind, const struct tiny_options *options)
{
	struct lf_encoder_options encoder = { .directory = TINY_MODEL,
					      .name = TINY_NAME,
					      .batch_sequences = TINY_EXAMPLES,
					      .sequence_tokens = TINY_POSITIONS,
					      .threads = 1 };
	char specification[32];

	*tiny = (struct tiny){ .kind = kind };
	snprintf(specification, sizeof(specification), "inproc:%s", kind);
	if (options) {
		encoder.threads = options->threads;
		encoder.simd = options->simd;
	}
	tiny->device = open_device(specification);
	ck_assert_lf(lf_encoder_deploy(tiny->device, TINY_MODEL, TINY_NAME, 0444, NULL, NULL, NULL,
				       LF_ERROR));
	ck_assert_lf(lf_encoder_open(tiny->device, &encoder, &tiny->encoder, LF_ERROR));
	read_task(tiny);
	ck_assert_lf(lf_head_cosine(tiny->encoder, tiny->tokenizer, tiny->labels,
				    LF_HEAD_TEMPERATURE, &tiny->head, LF_ERROR));
	ck_assert_lf(lf_safetensors_open(&tiny->expected, TINY_FOLDER "/expected.safetensors",
					 LF_ERROR));
}

void tiny_close(struct tiny *tiny)
{
	lf_safetensors_close(tiny->expected);
	lf_head_free(tiny->head);
	lf_examples_release(&tiny->examples);
	lf_label_set_free(tiny->labels);
	lf_tokenizer_close(tiny->tokenizer);
	lf_encoder_close(tiny->encoder);
	lf_device_close(tiny->device);
}

void tiny_modules(const char *pool, struct lf_pool_modules *modules)
{
	char folder[64];

	snprintf(folder, sizeof(folder), TINY_FOLDER "/pool-%s", pool);
	ck_assert_lf(lf_pool_modules_find(folder, 0, 0, modules, LF_ERROR));
}

struct lf_pool *tiny_pool(struct tiny *tiny, const char *pool)
{
	struct lf_pool_modules modules;
	struct lf_pool *opened;

	tiny_modules(pool, &modules);
	ck_assert_lf(lf_pool_deploy(tiny->device, TINY_MODEL, TINY_NAME, &modules, 0444, NULL, NULL,
				    NULL, LF_ERROR));
	ck_assert_lf(lf_pool_open(tiny->encoder, &modules, &opened, LF_ERROR));
	lf_pool_modules_release(&modules);
	return opened;
}

const struct lf_parameters *tiny_parameters(const struct lf_method *method, const char *name)
{
	const struct lf_parameters *groups;
	uint32_t count;

	groups = lf_method_parameters(method, &count);
	for (uint32_t group = 0; group < count; group++)
		if (!strcmp(groups[group].name, name))
			return &groups[group];
	ck_abort_msg("no parameters called %s", name);
	return NULL;
}

static void take_values(const struct tiny *tiny, const struct lf_parameters *group,
			const char *name)
{
	float *values = tiny_expected(tiny, name, group->count);

	memcpy(group->values, values, group->count * sizeof(*values));
	free(values);
}

struct lf_method *tiny_fusion(struct tiny *tiny, struct lf_pool *pool, const char *name,
			      enum lf_merge merge)
{
	struct lf_lorafusion_options options;
	struct lf_method *method;
	char tensor[64];

	lf_lorafusion_defaults(&options);
	options.merge = merge;
	ck_assert_lf(lf_lorafusion_create(tiny->encoder, pool, &options, &method, LF_ERROR));
	snprintf(tensor, sizeof(tensor), "%s.coefficients", name);
	take_values(tiny, tiny_parameters(method, "coefficients"), tensor);
	snprintf(tensor, sizeof(tensor), "%s.magnitudes", name);
	take_values(tiny, tiny_parameters(method, "magnitudes"), tensor);
	ck_assert_lf(lf_method_attach(method, true, LF_ERROR));
	return method;
}

double tiny_step(struct tiny *tiny, struct lf_method *method, float *embeddings)
{
	float gradient[TINY_EXAMPLES * TINY_HIDDEN];
	float loss;

	ck_assert_lf(lf_method_prepare(method, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(tiny->encoder, &tiny->batch, embeddings, LF_ERROR));
	loss = lf_head_loss(tiny->head, embeddings, tiny->examples.labels, tiny->batch.sequences,
			    gradient);
	ck_assert_lf(lf_encoder_backward(tiny->encoder, gradient, LF_ERROR));
	return (double)loss / tiny->batch.sequences;
}

double tiny_along(struct tiny *tiny, struct lf_method *method, const float *direction)
{
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	double sum = 0.0;

	ck_assert_lf(lf_method_prepare(method, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(tiny->encoder, &tiny->batch, embeddings, LF_ERROR));
	for (size_t at = 0; at < TINY_EXAMPLES * TINY_HIDDEN; at++)
		sum += (double)direction[at] * embeddings[at];
	return sum;
}

void tiny_region(const struct tiny *tiny, enum lf_region region, uint32_t width, float *values)
{
	size_t at = 0;

	for (uint32_t number = 0; number < LF_ENCODER_LANES; number++) {
		const struct lf_lane *lane = &tiny->encoder->lanes[number];

		memcpy(values + at, lf_lane_data(lane, region, 0),
		       lane->tokens * width * sizeof(*values));
		at += lane->tokens * width;
	}
	ck_assert_uint_eq(at, tiny->batch.start[tiny->batch.sequences] * width);
}

float *tiny_expected(const struct tiny *tiny, const char *name, size_t count)
{
	const struct lf_safetensor *tensor;
	char full[96];
	float *values;

	snprintf(full, sizeof(full), "%s.%s", tiny->kind, name);
	tensor = lf_safetensors_find(tiny->expected, full);
	ck_assert_msg(tensor != NULL, "no tensor %s in the goldens", full);
	ck_assert_uint_eq(tensor->element_count, count);
	values = malloc(count * sizeof(*values));
	ck_assert_lf(lf_safetensors_read_f32(tiny->expected, full, tensor->rank, tensor->shape,
					     values, LF_ERROR));
	return values;
}

double largest_difference(const float *actual, const float *expected, size_t count)
{
	double difference = 0.0, magnitude = 0.0;

	for (size_t at = 0; at < count; at++) {
		double one = fabs((double)actual[at] - expected[at]);

		/* NaN must not pass for small. */
		difference = one <= difference ? difference : one;
		magnitude = fmax(magnitude, fabs((double)expected[at]));
	}
	return difference / magnitude;
}

void expect_close(const char *what, const float *actual, const float *expected, size_t count,
		  double tolerance)
{
	double difference = largest_difference(actual, expected, count);

	if (getenv("LF_TEST_FIGURES"))
		printf("%s: %.2g of %.2g\n", what, difference, tolerance);
	ck_assert_msg(difference <= tolerance, "%s: off by %.3g of its largest, %.3g is allowed",
		      what, difference, tolerance);
}

void tiny_expect(const struct tiny *tiny, const char *name, const float *actual, size_t count,
		 double tolerance)
{
	float *expected = tiny_expected(tiny, name, count);
	char what[96];

	snprintf(what, sizeof(what), "%s.%s", tiny->kind, name);
	expect_close(what, actual, expected, count, tolerance);
	free(expected);
}
