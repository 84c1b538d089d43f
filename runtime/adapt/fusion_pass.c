// SPDX-License-Identifier: MIT
/* LoRAFusion's part in the passes; see lorafusion.c for the formulas. */
#include <lf/adapter.h>

#include "runtime/adapt/fusion.h"

static bool adapts(const void *state, uint32_t index)
{
	return ((const struct fusion *)state)->site_of[index] != UINT32_MAX;
}

static const struct fusion_site *site_of(const struct fusion *fusion,
					 const struct lf_hook_call *call)
{
	return &fusion->sites[fusion->site_of[call->index]];
}

static const struct fusion_trace *trace_of(const struct fusion *fusion,
					   const struct lf_hook_call *call)
{
	return &fusion->traces[call->lane * fusion->pool->site_count +
			       fusion->site_of[call->index]];
}

/* The fusion of the stacked modules, in place. */
static void fuse_modules(const struct fusion *fusion, const struct fusion_site *site,
			 struct lf_job *job, uint32_t tokens, struct lf_view stack)
{
	struct lf_fuse fuse = { .flags = fusion->options.merge == LF_MERGE_SUM ? LF_FUSE_SUM
									       : LF_FUSE_PRODUCT,
				.count = tokens,
				.width = fusion->pool->modules * fusion->pool->rank,
				.rank = fusion->pool->rank,
				.input = stack,
				.output = stack,
				.scale = site->coefficients };

	lf_job_fuse(job, &fuse);
}

/* A with the columns of the modules that are read. */
static struct lf_linear stack_a(const struct fusion *fusion, const struct fusion_site *site)
{
	struct lf_linear a = site->pool->a;

	if (site->read < fusion->pool->modules)
		a.scale = site->a_scale;
	return a;
}

/* Adds B z, of the rows of the modules that are read. */
static void add_b(const struct fusion *fusion, const struct fusion_site *site, struct lf_job *job,
		  uint32_t tokens, struct lf_view z, struct lf_view h)
{
	struct lf_mvm mvm = { .matrix = site->pool->b.matrix,
			      .flags = LF_MVM_ACCUMULATE,
			      .count = tokens,
			      .input = z,
			      .output = h,
			      .scale = site->pool->b.scale };

	if (site->read < fusion->pool->modules)
		mvm.factor = site->b_factor;
	lf_job_mvm(job, &mvm);
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct fusion *fusion = state;
	const struct fusion_site *site = site_of(fusion, call);
	const struct fusion_trace *trace = trace_of(fusion, call);
	uint32_t width = fusion->pool->modules * fusion->pool->rank;
	uint32_t outputs = call->linear->outputs;
	bool magnitudes = !fusion->options.without_magnitudes;
	struct lf_linear a = stack_a(fusion, site);
	struct lf_view none = { 0 };
	struct lf_view h = lf_view_slot(job, call->tokens, outputs), z;

	lf_linear_forward(call->linear, job, call->tokens, call->x, h, none, 0);
	if (site->read) {
		z = lf_view_slot(job, call->tokens, width);
		lf_linear_forward(&a, job, call->tokens, call->x, z, none, 0);
		if (call->training)
			lf_job_copy(job, call->tokens, width, z, trace->z);
		fuse_modules(fusion, site, job, call->tokens, z);
		add_b(fusion, site, job, call->tokens, z, h);
	}
	if (magnitudes && call->training)
		lf_job_copy(job, call->tokens, outputs, h, trace->h);
	lf_scaled_forward(job, call, h, magnitudes ? site->factor : none, call->linear->bias);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct fusion *fusion = state;
	const struct fusion_site *site = site_of(fusion, call);
	const struct fusion_trace *trace = trace_of(fusion, call);
	uint32_t width = fusion->pool->modules * fusion->pool->rank;
	uint32_t outputs = call->linear->outputs;
	struct lf_linear a = stack_a(fusion, site);
	struct lf_view g = call->dy, v;
	struct lf_fuse magnitude = { .flags = LF_FUSE_AFFINE,
				     .count = call->tokens,
				     .width = outputs,
				     .input = call->dy,
				     .scale = site->factor };

	if (!fusion->options.without_magnitudes) {
		g = lf_view_slot(job, call->tokens, outputs);
		magnitude.output = g;
		lf_job_fuse(job, &magnitude);
	}
	if (site->read) {
		v = lf_view_slot(job, call->tokens, width);
		lf_linear_backward(&site->pool->b, job, call->tokens, g, v, 0);
		lf_job_copy(job, call->tokens, width, v, trace->v);
	}
	if (call->dx.space == LF_VIEW_NONE)
		return;
	if (site->read)
		fuse_modules(fusion, site, job, call->tokens, v);
	lf_linear_backward(call->linear, job, call->tokens, g, call->dx, LF_MVM_ACCUMULATE);
	if (site->read)
		lf_linear_backward(&a, job, call->tokens, v, call->dx, LF_MVM_ACCUMULATE);
}

/* Adds dL/dc of a product of sums; the sums over modules are made a few tokens at a time. */
static void product_gradient(const struct fusion *fusion, const struct lf_hook_call *call,
			     const float *coefficients, struct lf_rows z, struct lf_rows v,
			     float *gradient)
{
	enum { PIECE = 8 };
	uint32_t rank = fusion->pool->rank;
	float u[PIECE * LF_ADAPTER_MAX_RANK], w[PIECE * LF_ADAPTER_MAX_RANK];

	for (uint32_t first = 0; first < call->tokens; first += PIECE) {
		uint32_t tokens = call->tokens - first < PIECE ? call->tokens - first : PIECE;
		struct lf_group_shape shape = { tokens, fusion->pool->modules, rank };
		struct lf_rows z_piece = lf_rows_of(z.data + first * z.stride, z.stride);
		struct lf_rows v_piece = lf_rows_of(v.data + first * v.stride, v.stride);

		call->simd->group_sum(lf_rows_out_of(u, rank), z_piece, coefficients, &shape);
		call->simd->group_sum(lf_rows_out_of(w, rank), v_piece, coefficients, &shape);
		call->simd->group_dots(gradient, v_piece, rank, lf_rows_of(u, rank), 0, 1.0f,
				       &shape);
		call->simd->group_dots(gradient, lf_rows_of(w, rank), 0, z_piece, rank, 1.0f,
				       &shape);
	}
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct fusion *fusion = state;
	const struct fusion_site *site = site_of(fusion, call);
	const struct fusion_trace *trace = trace_of(fusion, call);
	const struct lf_parameters *groups = fusion->method.groups;
	uint32_t modules = fusion->pool->modules, rank = fusion->pool->rank;
	size_t outputs = call->linear->outputs, width = (size_t)modules * rank;
	size_t first = fusion_first(fusion, site->block);
	struct lf_group_shape shape = { call->tokens, modules, rank };
	struct lf_rows z = lf_rows_of(lf_view_data(trace->z), width);
	struct lf_rows v = lf_rows_of(lf_view_data(trace->v), width);
	float *gradient = groups[FUSION_COEFFICIENTS].gradients + first;

	if (!fusion->options.without_magnitudes)
		call->simd->column_dots(groups[FUSION_MAGNITUDES].gradients + site->magnitudes,
					lf_rows_of(call->dy_data, outputs),
					lf_rows_of(lf_view_data(trace->h), outputs),
					fusion->inverse + site->magnitudes, call->tokens, outputs);
	if (!site->read)
		return;
	if (fusion->options.merge == LF_MERGE_SUM)
		call->simd->group_dots(gradient, v, rank, z, rank, 1.0f, &shape);
	else
		product_gradient(fusion, call, groups[FUSION_COEFFICIENTS].values + first, z, v,
				 gradient);
	for (uint32_t module = 0; module < modules; module++)
		if (fusion->held[first + module] != 0.0f)
			gradient[module] = 0.0f;
}

const struct lf_hook_ops fusion_hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = lf_nothing_done,
	.backward = backward,
	.backward_done = backward_done,
};
