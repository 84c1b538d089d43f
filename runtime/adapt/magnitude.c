// SPDX-License-Identifier: MIT
/*
 * Magnitudes of the frozen weights alone: what is left of DoRA (2402.09353) without a LoRA, and of LoRAFusion without a pool. Forward, with
 * h = W0 x and n = ||W0|| per output, of what the cells stand for: y = m / n * h + bias. Backward: dm = sum_t dy h / n, dx = W0^T (m / n *
 * dy). The norm is a constant.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/scales.h"
#include "runtime/simd/number.h"

/* Where a row is all zeros, this keeps 1 / n finite. */
#define SMALLEST_NORM 1e-12f

struct magnitude {
	struct lf_method method;
	struct lf_scales scales;
	float *norms;	/* [outputs of all] n */
	float *inverse; /* [outputs of all] 1 / n */
	bool norms_known;
};

static struct magnitude *magnitude_of(const struct lf_method *method)
{
	return (struct magnitude *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct magnitude *)state)->scales.sites, index);
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct magnitude *magnitude = state;
	struct lf_view none = { 0 };

	lf_scales_forward(&magnitude->scales, job, call, none, call->linear->bias);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	lf_scales_backward(&((const struct magnitude *)state)->scales, job, call);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct magnitude *magnitude = state;
	size_t first = lf_scales_first(&magnitude->scales, call), outputs = call->linear->outputs;

	call->simd->column_dots(
		magnitude->method.groups[0].gradients + first, lf_rows_of(call->dy_data, outputs),
		lf_rows_of(lf_view_data(lf_scales_trace(&magnitude->scales, call)), outputs),
		magnitude->inverse + first, call->tokens, outputs);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = lf_nothing_done,
	.backward = backward,
	.backward_done = backward_done,
};

static int read_norms(struct magnitude *magnitude, uint32_t at, float *weight,
		      struct lf_error *error)
{
	const struct lf_site *site = &magnitude->scales.sites.sites[at];
	const struct lf_encoder *encoder = magnitude->method.encoder;
	int ret = lf_encoder_weight(encoder, site->index, weight, error);

	for (size_t o = 0; !ret && o < site->outputs; o++) {
		size_t number = site->first_output + o;
		float norm = number_root(
			encoder->simd->sum_squares(weight + o * site->inputs, site->inputs));

		magnitude->norms[number] = norm > SMALLEST_NORM ? norm : SMALLEST_NORM;
		magnitude->inverse[number] = 1.0f / magnitude->norms[number];
	}
	return ret;
}

/* From the model's file, when they are first asked for. */
static int know_norms(struct magnitude *magnitude, struct lf_error *error)
{
	const struct lf_sites *sites = &magnitude->scales.sites;
	size_t largest = 0;
	float *weight;
	int ret = 0;

	if (magnitude->norms_known)
		return 0;
	for (uint32_t at = 0; at < sites->count; at++) {
		size_t count = (size_t)sites->sites[at].inputs * sites->sites[at].outputs;

		largest = count > largest ? count : largest;
	}
	weight = malloc(largest * sizeof(*weight));
	if (!weight)
		return lf_error_set(error, -ENOMEM, "magnitude: no memory for row norms");
	for (uint32_t at = 0; !ret && at < sites->count; at++)
		ret = read_norms(magnitude, at, weight, error);
	free(weight);
	magnitude->norms_known = !ret;
	return ret;
}

/* The norms: nothing is drawn. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct magnitude *magnitude = magnitude_of(method);
	int ret = know_norms(magnitude, error);

	(void)seed;
	if (!ret)
		memcpy(method->groups[0].values, magnitude->norms,
		       method->groups[0].count * sizeof(float));
	return ret;
}

static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct magnitude *magnitude = magnitude_of(method);
	float *factors = lf_buffer_data(magnitude->scales.factors);
	int ret = know_norms(magnitude, error);

	for (size_t o = 0; !ret && o < method->groups[0].count; o++)
		factors[o] = method->groups[0].values[o] / magnitude->norms[o];
	return ret;
}

static void destroy(struct lf_method *method)
{
	struct magnitude *magnitude = magnitude_of(method);

	lf_scales_release(&magnitude->scales);
	free(magnitude->norms);
	free(magnitude->inverse);
	free(magnitude);
}

static const struct lf_method_ops method_ops = {
	.name = "magnitude",
	.start = start,
	.prepare = prepare,
	.destroy = destroy,
};

int lf_magnitude_create(struct lf_encoder *encoder, uint32_t targets, double rate,
			struct lf_method **method, struct lf_error *error)
{
	struct magnitude *magnitude =
		lf_method_new(sizeof(*magnitude), &method_ops, &hook_ops, encoder, error);
	size_t outputs;
	int ret;

	if (!magnitude)
		return -ENOMEM;
	ret = lf_sites_create(&magnitude->scales.sites, &encoder->config, targets, "magnitude",
			      error);
	if (!ret)
		ret = lf_scales_create(&magnitude->scales, encoder, 0, "magnitude", error);
	if (!ret) {
		outputs = magnitude->scales.sites.outputs;
		magnitude->method.group_count = 1;
		magnitude->method.groups[0] = (struct lf_parameters){ .name = "magnitudes",
								      .count = outputs,
								      .learning_rate = rate };
		ret = lf_method_allocate(&magnitude->method, error);
	}
	if (!ret) {
		magnitude->norms = malloc(outputs * sizeof(float));
		magnitude->inverse = malloc(outputs * sizeof(float));
		if (!magnitude->norms || !magnitude->inverse)
			ret = lf_error_set(error, -ENOMEM, "magnitude: no memory");
	}
	return lf_method_created(ret, &magnitude->method, method);
}
