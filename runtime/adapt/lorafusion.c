// SPDX-License-Identifier: MIT
/*
 * LoRAFusion (10.1145/3716368.3735213): coefficients and magnitudes trained by reads alone.
 *
 * Forward, one adapted layer: h = W0 x + B c(A x), y = m / n * h + bias, where c() is the fusion of the stacked modules.
 * Backward, with g = m / n * dy and v_i = B_i^T g, z_i = A_i x (the modules' scales are in B):
 *	dm = sum_t dy h / n
 *	sum of products:  dc_i = <v_i, z_i>
 *	product of sums:  dc_i = <v_i, u> + <v, z_i>, u = sum_j c_j z_j, v = sum_j c_j v_j
 *	dx = W0^T g + A^T c(B^T g)
 * The norm n is held fixed in the gradient, as DoRA does (2402.09353, section 4.3).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/method.h"
#include "runtime/adapt/norms.h"
#include "runtime/adapt/random.h"
#include "runtime/simd/number.h"

enum { COEFFICIENTS, MAGNITUDES, GROUPS };

struct fusion_site {
	const struct lf_pool_site *pool;
	struct lf_norms *norms;
	uint32_t block;
	size_t magnitudes;	     /* first of the layer in the groups of magnitudes and norms */
	struct lf_view coefficients; /* [N] in constants */
	struct lf_view factor;	     /* [outputs] m / n, in constants */
};

/* What a lane keeps for one layer; in one buffer of the lane. */
struct fusion_trace {
	struct lf_view z; /* [tokens][N r] A x */
	struct lf_view v; /* [tokens][N r] B^T g */
	struct lf_view h; /* [tokens][outputs] before the magnitude */
};

struct fusion {
	struct lf_method method;
	struct lf_pool *pool;
	enum lf_merge merge;
	struct fusion_site *sites;
	uint32_t *site_of; /* [linears] index into sites, or UINT32_MAX */
	float *norms;	   /* [magnitudes] n */
	float *inverse;	   /* [magnitudes] 1 / n */
	bool norms_known;  /* of the parameters at hand */
	struct lf_buffer *constants;
	struct lf_buffer *lanes[LF_ENCODER_LANES];
	struct fusion_trace *traces; /* [lanes][sites] */
};

static struct fusion *fusion_of(const struct lf_method *method)
{
	return (struct fusion *)method;
}

static float *view_data(struct lf_view view)
{
	return (float *)((char *)lf_buffer_data(view.buffer) + view.offset);
}

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
	struct lf_fuse fuse = { .flags = fusion->merge == LF_MERGE_SUM ? LF_FUSE_SUM
								       : LF_FUSE_PRODUCT,
				.count = tokens,
				.width = fusion->pool->modules * fusion->pool->rank,
				.rank = fusion->pool->rank,
				.input = stack,
				.output = stack,
				.scale = site->coefficients };

	lf_job_fuse(job, &fuse);
}

/* A slot of scratch for [tokens][width]. */
static struct lf_view slot(struct lf_job *job, uint32_t tokens, uint32_t width)
{
	uint32_t stride = width * (uint32_t)sizeof(float);

	return lf_view_scratch(lf_job_scratch(job, (uint64_t)stride * tokens), stride);
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct fusion *fusion = state;
	const struct fusion_site *site = site_of(fusion, call);
	const struct fusion_trace *trace = trace_of(fusion, call);
	uint32_t width = fusion->pool->modules * fusion->pool->rank;
	uint32_t outputs = call->linear->outputs;
	struct lf_view none = { 0 };
	struct lf_view h = slot(job, call->tokens, outputs), z = slot(job, call->tokens, width);
	struct lf_fuse magnitude = { .flags = LF_FUSE_AFFINE,
				     .count = call->tokens,
				     .width = outputs,
				     .input = h,
				     .output = call->y,
				     .scale = site->factor,
				     .bias = call->linear->bias };

	lf_linear_forward(call->linear, job, call->tokens, call->x, h, none, 0);
	lf_linear_forward(&site->pool->a, job, call->tokens, call->x, z, none, 0);
	if (call->training)
		lf_job_copy(job, call->tokens, width, z, trace->z);
	fuse_modules(fusion, site, job, call->tokens, z);
	lf_linear_forward(&site->pool->b, job, call->tokens, z, h, none, LF_MVM_ACCUMULATE);
	if (call->training)
		lf_job_copy(job, call->tokens, outputs, h, trace->h);
	lf_job_fuse(job, &magnitude);
}

static void forward_done(void *state, const struct lf_hook_call *call)
{
	(void)state;
	(void)call;
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct fusion *fusion = state;
	const struct fusion_site *site = site_of(fusion, call);
	const struct fusion_trace *trace = trace_of(fusion, call);
	uint32_t width = fusion->pool->modules * fusion->pool->rank;
	uint32_t outputs = call->linear->outputs;
	struct lf_view g = slot(job, call->tokens, outputs), v = slot(job, call->tokens, width);
	struct lf_fuse magnitude = { .flags = LF_FUSE_AFFINE,
				     .count = call->tokens,
				     .width = outputs,
				     .input = call->dy,
				     .output = g,
				     .scale = site->factor };

	lf_job_fuse(job, &magnitude);
	lf_linear_backward(&site->pool->b, job, call->tokens, g, v, 0);
	lf_job_copy(job, call->tokens, width, v, trace->v);
	if (call->dx.space == LF_VIEW_NONE)
		return;
	fuse_modules(fusion, site, job, call->tokens, v);
	lf_linear_backward(call->linear, job, call->tokens, g, call->dx, LF_MVM_ACCUMULATE);
	lf_linear_backward(&site->pool->a, job, call->tokens, v, call->dx, LF_MVM_ACCUMULATE);
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
	struct lf_group_shape shape = { call->tokens, modules, rank };
	struct lf_rows z = lf_rows_of(view_data(trace->z), width);
	struct lf_rows v = lf_rows_of(view_data(trace->v), width);
	float *gradient = groups[COEFFICIENTS].gradients + site->block * modules;

	call->simd->column_dots(groups[MAGNITUDES].gradients + site->magnitudes,
				lf_rows_of(call->dy_data, outputs),
				lf_rows_of(view_data(trace->h), outputs),
				fusion->inverse + site->magnitudes, call->tokens, outputs);
	if (fusion->merge == LF_MERGE_SUM)
		call->simd->group_dots(gradient, v, rank, z, rank, 1.0f, &shape);
	else
		product_gradient(fusion, call, groups[COEFFICIENTS].values + site->block * modules,
				 z, v, gradient);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = forward_done,
	.backward = backward,
	.backward_done = backward_done,
};

/* Computes the terms of the norms, which a method that is only restored never needs. */
static int make_norms(struct fusion *fusion, struct lf_error *error)
{
	struct lf_encoder *encoder = fusion->method.encoder;
	int ret = 0;

	for (uint32_t at = 0; !ret && at < fusion->pool->site_count; at++) {
		struct fusion_site *site = &fusion->sites[at];
		const struct lf_linear *linear = &encoder->linears[site->pool->index];
		float *weight;

		if (site->norms)
			continue;
		weight = malloc((size_t)linear->inputs * linear->outputs * sizeof(*weight));
		if (!weight)
			return lf_error_set(error, -ENOMEM, "no memory for row norms");
		ret = lf_encoder_weight(encoder, site->pool->index, weight, error);
		if (!ret)
			ret = lf_norms_create(&site->norms, site->pool, weight,
					      fusion->pool->modules, fusion->pool->rank,
					      fusion->merge, encoder->simd, encoder->parallel,
					      error);
		free(weight);
	}
	return ret;
}

static int evaluate_norms(struct fusion *fusion, struct lf_error *error)
{
	const float *coefficients = fusion->method.groups[COEFFICIENTS].values;
	int ret = make_norms(fusion, error);

	for (uint32_t at = 0; !ret && at < fusion->pool->site_count; at++) {
		const struct fusion_site *site = &fusion->sites[at];

		lf_norms_evaluate(site->norms, coefficients + site->block * fusion->pool->modules,
				  fusion->norms + site->magnitudes);
	}
	return ret;
}

/* Coefficients by Xavier's rule on an N x L matrix; magnitudes so that m / n is 1 at the start. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct fusion *fusion = fusion_of(method);
	struct lf_parameters *coefficients = &method->groups[COEFFICIENTS];
	uint32_t blocks = method->encoder->config.num_hidden_layers;
	struct lf_random random;
	double bound = 6.0 / (fusion->pool->modules + blocks);
	int ret;

	lf_random_seed(&random, seed, LF_RANDOM_START, 0);
	for (size_t at = 0; at < coefficients->count; at++)
		coefficients->values[at] = lf_random_uniform(&random, number_root((float)bound));
	ret = evaluate_norms(fusion, error);
	if (!ret)
		memcpy(method->groups[MAGNITUDES].values, fusion->norms,
		       method->groups[MAGNITUDES].count * sizeof(float));
	/* A caller may still put other parameters in their place. */
	fusion->norms_known = false;
	return ret;
}

/* Hands coefficients and factors to the device. */
static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct fusion *fusion = fusion_of(method);
	const float *magnitudes = method->groups[MAGNITUDES].values;
	int ret = fusion->norms_known ? 0 : evaluate_norms(fusion, error);

	if (ret)
		return ret;
	for (uint32_t at = 0; at < fusion->pool->site_count; at++) {
		const struct fusion_site *site = &fusion->sites[at];
		float *factor = view_data(site->factor);

		memcpy(view_data(site->coefficients),
		       method->groups[COEFFICIENTS].values + site->block * fusion->pool->modules,
		       fusion->pool->modules * sizeof(float));
		for (size_t o = site->magnitudes; o < site->magnitudes + site->pool->b.outputs;
		     o++) {
			fusion->inverse[o] = 1.0f / fusion->norms[o];
			*factor++ = magnitudes[o] / fusion->norms[o];
		}
	}
	/* The next step changes the parameters. */
	fusion->norms_known = false;
	return 0;
}

static uint32_t derived(const struct lf_method *method, struct lf_checkpoint_tensor *tensors)
{
	*tensors = lf_norms_tensor(fusion_of(method)->norms, method->groups[MAGNITUDES].count);
	return 1;
}

static int restored(struct lf_method *method, struct lf_error *error)
{
	struct fusion *fusion = fusion_of(method);

	fusion->norms_known = true;
	return lf_norms_check(fusion->norms, method->groups[MAGNITUDES].count, error);
}

static void destroy(struct lf_method *method)
{
	struct fusion *fusion = fusion_of(method);

	for (uint32_t at = 0; fusion->sites && at < fusion->pool->site_count; at++)
		lf_norms_free(fusion->sites[at].norms);
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		lf_buffer_destroy(fusion->lanes[lane]);
	lf_buffer_destroy(fusion->constants);
	free(fusion->sites);
	free(fusion->site_of);
	free(fusion->norms);
	free(fusion->inverse);
	free(fusion->traces);
	free(fusion);
}

static const struct lf_method_ops method_ops = {
	.name = "lorafusion",
	.start = start,
	.prepare = prepare,
	.derived = derived,
	.restored = restored,
	.destroy = destroy,
};

/* Lays a [tokens][width] array out in a lane's buffer. */
static struct lf_view place(struct lf_buffer *buffer, uint64_t *offset, uint32_t tokens,
			    uint32_t width)
{
	uint32_t stride = width * (uint32_t)sizeof(float);
	struct lf_view view = lf_view_buffer(buffer, *offset, stride);

	*offset += (uint64_t)stride * tokens;
	return view;
}

/* One buffer a lane holds what all layers keep from the forward pass to the backward pass. */
static int make_traces(struct fusion *fusion, struct lf_error *error)
{
	struct lf_encoder *encoder = fusion->method.encoder;
	uint32_t tokens = encoder_lane_tokens(encoder);
	uint32_t width = fusion->pool->modules * fusion->pool->rank;
	uint64_t bytes = 0;

	for (uint32_t at = 0; at < fusion->pool->site_count; at++)
		bytes += (uint64_t)tokens * (2 * width + fusion->pool->sites[at].b.outputs) *
			 sizeof(float);
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++) {
		struct fusion_trace *trace = &fusion->traces[lane * fusion->pool->site_count];
		uint64_t offset = 0;
		int ret = lf_buffer_create(encoder->device, bytes, &fusion->lanes[lane], error);

		if (ret)
			return ret;
		for (uint32_t at = 0; at < fusion->pool->site_count; at++, trace++) {
			trace->z = place(fusion->lanes[lane], &offset, tokens, width);
			trace->v = place(fusion->lanes[lane], &offset, tokens, width);
			trace->h = place(fusion->lanes[lane], &offset, tokens,
					 fusion->pool->sites[at].b.outputs);
		}
	}
	return 0;
}

static int make_sites(struct fusion *fusion, struct lf_error *error)
{
	struct lf_encoder *encoder = fusion->method.encoder;
	uint32_t sites = fusion->pool->site_count;
	uint64_t offset = 0;
	size_t magnitudes = 0;
	int ret;

	for (uint32_t at = 0; at < sites; at++)
		magnitudes += fusion->pool->sites[at].b.outputs;
	ret = lf_buffer_create(encoder->device,
			       (magnitudes + (size_t)sites * fusion->pool->modules) * sizeof(float),
			       &fusion->constants, error);
	if (ret)
		return ret;
	magnitudes = 0;
	for (uint32_t at = 0; at < sites; at++) {
		struct fusion_site *site = &fusion->sites[at];

		site->pool = &fusion->pool->sites[at];
		site->block = site->pool->index / LF_BLOCK_LINEARS;
		site->magnitudes = magnitudes;
		site->coefficients = lf_view_buffer(fusion->constants, offset, 0);
		offset += fusion->pool->modules * sizeof(float);
		site->factor = lf_view_buffer(fusion->constants, offset, 0);
		offset += site->pool->b.outputs * sizeof(float);
		magnitudes += site->pool->b.outputs;
		fusion->site_of[site->pool->index] = at;
	}
	fusion->method.groups[MAGNITUDES].count = magnitudes;
	return 0;
}

void lf_lorafusion_defaults(struct lf_lorafusion_options *options)
{
	*options = (struct lf_lorafusion_options){ .merge = LF_MERGE_SUM,
						   .coefficient_rate = 0.02,
						   .coefficient_decay = 1e-5,
						   .coefficient_l1 = 0.0005,
						   .magnitude_rate = 0.005 };
}

int lf_lorafusion_create(struct lf_encoder *encoder, struct lf_pool *pool,
			 const struct lf_lorafusion_options *options, struct lf_method **method,
			 struct lf_error *error)
{
	uint32_t linears = lf_bert_linears(&encoder->config);
	struct fusion *fusion = calloc(1, sizeof(*fusion));
	size_t magnitudes;
	int ret;

	if (!fusion)
		return lf_error_set(error, -ENOMEM, "lorafusion: no memory");
	fusion->method.ops = &method_ops;
	fusion->method.encoder = encoder;
	fusion->method.hook = (struct lf_hook){ &hook_ops, fusion };
	fusion->method.group_count = GROUPS;
	fusion->method.groups[COEFFICIENTS] =
		(struct lf_parameters){ .name = "coefficients",
					.count = (size_t)encoder->config.num_hidden_layers *
						 pool->modules,
					.learning_rate = options->coefficient_rate,
					.weight_decay = options->coefficient_decay,
					.l1 = options->coefficient_l1 };
	fusion->method.groups[MAGNITUDES] =
		(struct lf_parameters){ .name = "magnitudes",
					.learning_rate = options->magnitude_rate };
	fusion->pool = pool;
	fusion->merge = options->merge;
	fusion->sites = calloc(pool->site_count, sizeof(*fusion->sites));
	fusion->site_of = malloc(linears * sizeof(*fusion->site_of));
	fusion->traces =
		calloc((size_t)LF_ENCODER_LANES * pool->site_count, sizeof(*fusion->traces));
	if (!fusion->sites || !fusion->site_of || !fusion->traces) {
		ret = lf_error_set(error, -ENOMEM, "lorafusion: no memory");
		goto fail;
	}
	memset(fusion->site_of, 0xff, linears * sizeof(*fusion->site_of));
	ret = make_sites(fusion, error);
	if (!ret)
		ret = lf_method_allocate(&fusion->method, error);
	if (!ret)
		ret = make_traces(fusion, error);
	if (ret)
		goto fail;
	magnitudes = fusion->method.groups[MAGNITUDES].count;
	fusion->norms = calloc(magnitudes, sizeof(float));
	fusion->inverse = calloc(magnitudes, sizeof(float));
	if (!fusion->norms || !fusion->inverse) {
		ret = lf_error_set(error, -ENOMEM, "lorafusion: no memory");
		goto fail;
	}
	*method = &fusion->method;
	return 0;
fail:
	lf_method_free(&fusion->method);
	return ret;
}
