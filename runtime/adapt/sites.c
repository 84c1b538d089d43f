// SPDX-License-Identifier: MIT
/* Layers that methods adapt; see sites.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/sites.h"

int lf_sites_create(struct lf_sites *sites, const struct lf_bert_config *config, uint32_t targets,
		    const char *name, struct lf_error *error)
{
	uint32_t linears = lf_bert_linears(config);

	*sites = (struct lf_sites){ 0 };
	if (!targets || targets >> LF_TARGETS)
		return lf_error_set(error, -EINVAL, "%s: no layer is targeted", name);
	sites->sites = calloc(linears, sizeof(*sites->sites));
	sites->of = malloc(linears * sizeof(*sites->of));
	if (!sites->sites || !sites->of)
		return lf_error_set(error, -ENOMEM, "%s: no memory", name);
	for (uint32_t index = 0; index < linears; index++) {
		struct lf_site *site = &sites->sites[sites->count];

		sites->of[index] = UINT32_MAX;
		if (!(targets & (1u << index % LF_BLOCK_LINEARS)))
			continue;
		site->index = index;
		lf_linear_shape(config, index, &site->inputs, &site->outputs);
		site->first_input = sites->inputs;
		site->first_output = sites->outputs;
		sites->inputs += site->inputs;
		sites->outputs += site->outputs;
		sites->of[index] = sites->count++;
	}
	return 0;
}

void lf_sites_release(struct lf_sites *sites)
{
	free(sites->sites);
	free(sites->of);
	*sites = (struct lf_sites){ 0 };
}

uint32_t lf_sites_widest_output(const struct lf_sites *sites)
{
	uint32_t widest = 0;

	for (uint32_t at = 0; at < sites->count; at++)
		if (sites->sites[at].outputs > widest)
			widest = sites->sites[at].outputs;
	return widest;
}

void lf_sites_biases(const struct lf_sites *sites, const struct lf_encoder *encoder, float *biases)
{
	for (uint32_t at = 0; at < sites->count; at++) {
		const struct lf_site *site = &sites->sites[at];

		memcpy(biases + site->first_output,
		       lf_view_data(encoder->linears[site->index].bias),
		       site->outputs * sizeof(float));
	}
}

struct lf_view lf_view_slot(struct lf_job *job, uint32_t tokens, uint32_t width)
{
	uint32_t stride = width * (uint32_t)sizeof(float);

	return lf_view_scratch(lf_job_scratch(job, (uint64_t)stride * tokens), stride);
}

void lf_frozen_forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	(void)state;
	lf_linear_forward(call->linear, job, call->tokens, call->x, call->y, call->linear->bias, 0);
}

void lf_frozen_backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	(void)state;
	if (call->dx.space != LF_VIEW_NONE)
		lf_linear_backward(call->linear, job, call->tokens, call->dy, call->dx,
				   LF_MVM_ACCUMULATE);
}

void lf_scaled_forward(struct lf_job *job, const struct lf_hook_call *call, struct lf_view h,
		       struct lf_view scale, struct lf_view bias)
{
	struct lf_fuse fuse = { .flags = LF_FUSE_AFFINE,
				.count = call->tokens,
				.width = call->linear->outputs,
				.input = h,
				.output = call->y,
				.scale = scale,
				.bias = bias };

	lf_job_fuse(job, &fuse);
}

void lf_nothing_done(void *state, const struct lf_hook_call *call)
{
	(void)state;
	(void)call;
}

void lf_for_pieces(const struct lf_piece_work *work, lf_parallel_body body)
{
	lf_parallel_for(work->call->parallel, (work->call->tokens + LF_PIECE - 1) / LF_PIECE, body,
			(void *)work);
}

void lf_column_sums(const struct lf_hook_call *call, float *out, const float *x, size_t columns)
{
	static const float one = 1.0f;

	/* A stride of 0 repeats the one. */
	call->simd->matmul_tn(lf_rows_out_of(out, columns), lf_rows_of(&one, 0),
			      lf_rows_of(x, columns), true, 1, columns, call->tokens);
}
