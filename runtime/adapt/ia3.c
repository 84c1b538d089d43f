// SPDX-License-Identifier: MIT
/*
 * IA3 (2205.05638): keys, values and intermediate activations are scaled. Keys and values, with h = W0 x + bias: y = l * h, dl = sum_t dy h,
 * dx = W0^T (l * dy). Activations are the input of the block's output layer: y = W0 (l * x) + bias and, with u = W0^T dy, dl = sum_t u x,
 * dx = l * u. The scales are 1 at the start.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/scales.h"

#define TARGETS (1u << LF_TARGET_KEY | 1u << LF_TARGET_VALUE | 1u << LF_TARGET_OUTPUT)

struct ia3 {
	struct lf_method method;
	struct lf_scales scales;
	float *ones; /* [most factors of a layer] */
};

static struct ia3 *ia3_of(const struct lf_method *method)
{
	return (struct ia3 *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct ia3 *)state)->scales.sites, index);
}

static bool scales_input(const struct lf_hook_call *call)
{
	return call->index % LF_BLOCK_LINEARS == LF_LINEAR_OUTPUT;
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct ia3 *ia3 = state;
	struct lf_view none = { 0 };
	struct lf_mvm mvm = { .matrix = call->linear->matrix,
			      .count = call->tokens,
			      .input = call->x,
			      .output = call->y,
			      .factor = lf_scales_view(&ia3->scales, call),
			      .scale = call->linear->scale,
			      .bias = call->linear->bias };

	if (scales_input(call))
		lf_job_mvm(job, &mvm);
	else
		lf_scales_forward(&ia3->scales, job, call, call->linear->bias, none);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct ia3 *ia3 = state;
	uint32_t inputs = call->linear->inputs;
	struct lf_fuse scale = { .flags = LF_FUSE_AFFINE | LF_FUSE_ACCUMULATE,
				 .count = call->tokens,
				 .width = inputs,
				 .output = call->dx,
				 .scale = lf_scales_view(&ia3->scales, call) };

	if (!scales_input(call)) {
		lf_scales_backward(&ia3->scales, job, call);
		return;
	}
	scale.input = lf_view_slot(job, call->tokens, inputs);
	lf_linear_backward(call->linear, job, call->tokens, call->dy, scale.input, 0);
	lf_job_copy(job, call->tokens, inputs, scale.input, lf_scales_trace(&ia3->scales, call));
	/* Keys and values of the block are below: somebody needs it. */
	lf_job_fuse(job, &scale);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct ia3 *ia3 = state;
	size_t width = scales_input(call) ? call->linear->inputs : call->linear->outputs;
	const float *other = scales_input(call) ? call->x_data : call->dy_data;

	call->simd->column_dots(
		ia3->method.groups[0].gradients + lf_scales_first(&ia3->scales, call),
		lf_rows_of(other, width),
		lf_rows_of(lf_view_data(lf_scales_trace(&ia3->scales, call)), width), ia3->ones,
		call->tokens, width);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = lf_nothing_done,
	.backward = backward,
	.backward_done = backward_done,
};

/* Ones: nothing is drawn. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	(void)seed;
	(void)error;
	for (size_t at = 0; at < method->groups[0].count; at++)
		method->groups[0].values[at] = 1.0f;
	return 0;
}

static int prepare(struct lf_method *method, struct lf_error *error)
{
	(void)error;
	memcpy(lf_buffer_data(ia3_of(method)->scales.factors), method->groups[0].values,
	       method->groups[0].count * sizeof(float));
	return 0;
}

static void destroy(struct lf_method *method)
{
	struct ia3 *ia3 = ia3_of(method);

	lf_scales_release(&ia3->scales);
	free(ia3->ones);
	free(ia3);
}

static size_t share(const struct lf_method *method, uint32_t group, uint32_t index)
{
	const struct lf_scales *scales = &((const struct ia3 *)method)->scales;
	uint32_t at = scales->sites.of[index];

	(void)group;
	return scales->first[at + 1] - scales->first[at];
}

static const struct lf_method_ops method_ops = {
	.name = "ia3",
	.share = share,
	.start = start,
	.prepare = prepare,
	.destroy = destroy,
};

static int make_ones(struct ia3 *ia3, struct lf_error *error)
{
	const struct lf_bert_config *config = &ia3->method.encoder->config;
	size_t widest = config->intermediate_size > config->hidden_size ? config->intermediate_size
									: config->hidden_size;

	ia3->ones = malloc(widest * sizeof(*ia3->ones));
	if (!ia3->ones)
		return lf_error_set(error, -ENOMEM, "ia3: no memory");
	for (size_t at = 0; at < widest; at++)
		ia3->ones[at] = 1.0f;
	return 0;
}

int lf_ia3_create(struct lf_encoder *encoder, double rate, struct lf_method **method,
		  struct lf_error *error)
{
	struct ia3 *ia3 = lf_method_new(sizeof(*ia3), &method_ops, &hook_ops, encoder, error);
	int ret;

	if (!ia3)
		return -ENOMEM;
	ret = lf_sites_create(&ia3->scales.sites, &encoder->config, TARGETS, "ia3", error);
	if (!ret)
		ret = lf_scales_create(&ia3->scales, encoder, 1u << LF_TARGET_OUTPUT, "ia3", error);
	if (!ret)
		ret = make_ones(ia3, error);
	if (!ret) {
		ia3->method.group_count = 1;
		ia3->method.groups[0] = (struct lf_parameters){
			.name = "scales",
			.count = ia3->scales.first[ia3->scales.sites.count],
			.learning_rate = rate,
		};
		ret = lf_method_allocate(&ia3->method, error);
	}
	return lf_method_created(ret, &ia3->method, method);
}
