// SPDX-License-Identifier: MIT
/*
 * BitFit (2106.10199) of the linear layers on crossbars: y = W0 x + b with b trained, db = sum_t dy, dx = W0^T dy. The biases of
 * the norms, which the paper trains as well, belong to no layer that a method computes and stay.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/sites.h"

struct bitfit {
	struct lf_method method;
	struct lf_sites sites;
	struct lf_buffer *biases; /* [outputs of all] for the device */
};

static struct bitfit *bitfit_of(const struct lf_method *method)
{
	return (struct bitfit *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct bitfit *)state)->sites, index);
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct bitfit *bitfit = state;
	size_t first = lf_sites_at(&bitfit->sites, call)->first_output;

	lf_linear_forward(call->linear, job, call->tokens, call->x, call->y,
			  lf_view_buffer(bitfit->biases, first * sizeof(float), 0), 0);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct bitfit *bitfit = state;
	const struct lf_site *site = lf_sites_at(&bitfit->sites, call);

	lf_column_sums(call, bitfit->method.groups[0].gradients + site->first_output, call->dy_data,
		       site->outputs);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = lf_nothing_done,
	.backward = lf_frozen_backward,
	.backward_done = backward_done,
};

/* The frozen biases: nothing is drawn. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	(void)seed;
	(void)error;
	lf_sites_biases(&bitfit_of(method)->sites, method->encoder, method->groups[0].values);
	return 0;
}

static int prepare(struct lf_method *method, struct lf_error *error)
{
	(void)error;
	memcpy(lf_buffer_data(bitfit_of(method)->biases), method->groups[0].values,
	       method->groups[0].count * sizeof(float));
	return 0;
}

static void destroy(struct lf_method *method)
{
	struct bitfit *bitfit = bitfit_of(method);

	lf_buffer_destroy(bitfit->biases);
	lf_sites_release(&bitfit->sites);
	free(bitfit);
}

static const struct lf_method_ops method_ops = {
	.name = "bitfit",
	.start = start,
	.prepare = prepare,
	.destroy = destroy,
};

int lf_bitfit_create(struct lf_encoder *encoder, uint32_t targets, double rate,
		     struct lf_method **method, struct lf_error *error)
{
	struct bitfit *bitfit =
		lf_method_new(sizeof(*bitfit), &method_ops, &hook_ops, encoder, error);
	int ret;

	if (!bitfit)
		return -ENOMEM;
	ret = lf_sites_create(&bitfit->sites, &encoder->config, targets, "bitfit", error);
	if (!ret) {
		bitfit->method.group_count = 1;
		bitfit->method.groups[0] = (struct lf_parameters){ .name = "biases",
								   .count = bitfit->sites.outputs,
								   .learning_rate = rate };
		ret = lf_method_allocate(&bitfit->method, error);
	}
	if (!ret)
		ret = lf_buffer_create(encoder->device, bitfit->sites.outputs * sizeof(float),
				       &bitfit->biases, error);
	return lf_method_created(ret, &bitfit->method, method);
}
