// SPDX-License-Identifier: MIT
/* Factors of layers; see scales.h. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/adapt/scales.h"

int lf_scales_create(struct lf_scales *scales, const struct lf_encoder *encoder, uint32_t of_input,
		     const char *name, struct lf_error *error)
{
	const struct lf_sites *sites = &scales->sites;
	size_t total;
	int ret;

	scales->lane_tokens = encoder_lane_tokens(encoder);
	scales->first = calloc(sites->count + 1, sizeof(*scales->first));
	if (!scales->first)
		return lf_error_set(error, -ENOMEM, "%s: no memory", name);
	for (uint32_t at = 0; at < sites->count; at++) {
		const struct lf_site *site = &sites->sites[at];
		bool input = of_input & 1u << site->index % LF_BLOCK_LINEARS;

		scales->first[at + 1] = scales->first[at] + (input ? site->inputs : site->outputs);
	}
	total = scales->first[sites->count];
	ret = lf_buffer_create(encoder->device, total * sizeof(float), &scales->factors, error);
	for (uint32_t lane = 0; !ret && lane < LF_ENCODER_LANES; lane++)
		ret = lf_buffer_create(encoder->device, scales->lane_tokens * total * sizeof(float),
				       &scales->lanes[lane], error);
	return ret;
}

void lf_scales_release(struct lf_scales *scales)
{
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		lf_buffer_destroy(scales->lanes[lane]);
	lf_buffer_destroy(scales->factors);
	free(scales->first);
	lf_sites_release(&scales->sites);
}

size_t lf_scales_first(const struct lf_scales *scales, const struct lf_hook_call *call)
{
	return scales->first[scales->sites.of[call->index]];
}

struct lf_view lf_scales_view(const struct lf_scales *scales, const struct lf_hook_call *call)
{
	return lf_view_buffer(scales->factors, lf_scales_first(scales, call) * sizeof(float), 0);
}

struct lf_view lf_scales_trace(const struct lf_scales *scales, const struct lf_hook_call *call)
{
	const size_t *first = &scales->first[scales->sites.of[call->index]];

	return lf_view_buffer(scales->lanes[call->lane],
			      scales->lane_tokens * first[0] * sizeof(float),
			      (uint32_t)((first[1] - first[0]) * sizeof(float)));
}

void lf_scales_forward(const struct lf_scales *scales, struct lf_job *job,
		       const struct lf_hook_call *call, struct lf_view inside,
		       struct lf_view outside)
{
	uint32_t outputs = call->linear->outputs;
	struct lf_view h = lf_view_slot(job, call->tokens, outputs);

	lf_linear_forward(call->linear, job, call->tokens, call->x, h, inside, 0);
	if (call->training)
		lf_job_copy(job, call->tokens, outputs, h, lf_scales_trace(scales, call));
	lf_scaled_forward(job, call, h, lf_scales_view(scales, call), outside);
}

void lf_scales_backward(const struct lf_scales *scales, struct lf_job *job,
			const struct lf_hook_call *call)
{
	struct lf_mvm mvm = { .matrix = call->linear->matrix,
			      .flags = LF_MVM_TRANSPOSE | LF_MVM_ACCUMULATE,
			      .count = call->tokens,
			      .input = call->dy,
			      .output = call->dx,
			      .factor = lf_scales_view(scales, call),
			      .scale = call->linear->scale };

	if (call->dx.space != LF_VIEW_NONE)
		lf_job_mvm(job, &mvm);
}
