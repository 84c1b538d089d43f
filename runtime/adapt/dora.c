// SPDX-License-Identifier: MIT
/*
 * DoRA (2402.09353) beside the crossbars: LoRA with a magnitude per output. Forward, with h = W0 x + s B A x and n =
 * ||W0 + s B A|| per output: y = m / n * h + bias. Backward, with g = m / n * dy: dm = sum_t dy h / n, and LoRA's gradients from g.
 * The norm is recomputed for every step and held fixed in the gradient (section 4.3 of the paper). Without a dense product, from
 * terms of a row o:
 *	n^2 = <w0, w0> + 2 s <B[o], A w0> + s^2 B[o] (A A^T) B[o]^T
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/lora.h"
#include "runtime/adapt/norms.h"
#include "runtime/simd/number.h"

enum { MAGNITUDES = LORA_GROUPS, GROUPS };

/* Where nothing of a row is left, this keeps 1 / n finite. */
#define SMALLEST_NORM 1e-12f

struct dora {
	struct lora lora;
	float **weights; /* [sites] what the cells stand for, [outputs][inputs]; read when norms are first asked for */
	float *squares;		   /* [outputs of all] <w0, w0> */
	float *norms;		   /* [outputs of all] n */
	float *inverse;		   /* [outputs of all] 1 / n */
	float *gram;		   /* [r][r] A A^T of the layer at hand */
	float *traces;		   /* [lanes][lane tokens][outputs of all] h, layer by layer */
	float *gradient;	   /* [lane tokens][outputs] g of the layer at hand */
	struct lf_buffer *factors; /* [outputs of all] m / n */
	bool norms_known;	   /* of the parameters at hand */
};

static struct dora *dora_of(const struct lf_method *method)
{
	return (struct dora *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct dora *)state)->lora.sites, index);
}

static float *trace_of(const struct dora *dora, const struct lf_hook_call *call)
{
	const struct lf_sites *sites = &dora->lora.sites;

	return dora->traces + dora->lora.lane_tokens * (call->lane * sites->outputs +
							lf_sites_at(sites, call)->first_output);
}

static const float *factors_of(const struct dora *dora, const struct lf_hook_call *call)
{
	return (const float *)lf_buffer_data(dora->factors) +
	       lf_sites_at(&dora->lora.sites, call)->first_output;
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	struct lf_view none = { 0 };

	(void)state;
	lf_linear_forward(call->linear, job, call->tokens, call->x, call->y, none, 0);
}

static void forward_done(void *state, const struct lf_hook_call *call)
{
	const struct dora *dora = state;
	size_t outputs = call->linear->outputs;

	lora_add_forward(&dora->lora, call);
	memcpy(trace_of(dora, call), call->y_data, call->tokens * outputs * sizeof(float));
	call->simd->scale_columns(lf_rows_out_of(call->y_data, outputs),
				  lf_rows_of(call->y_data, outputs), factors_of(dora, call),
				  lf_view_data(call->linear->bias), call->tokens, outputs);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct dora *dora = state;
	const struct lf_site *site = lf_sites_at(&dora->lora.sites, call);
	struct lf_fuse magnitude = {
		.flags = LF_FUSE_AFFINE,
		.count = call->tokens,
		.width = site->outputs,
		.input = call->dy,
		.scale = lf_view_buffer(dora->factors, site->first_output * sizeof(float), 0)
	};

	if (call->dx.space == LF_VIEW_NONE)
		return;
	magnitude.output = lf_view_slot(job, call->tokens, site->outputs);
	lf_job_fuse(job, &magnitude);
	lf_linear_backward(call->linear, job, call->tokens, magnitude.output, call->dx,
			   LF_MVM_ACCUMULATE);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct dora *dora = state;
	const struct lf_site *site = lf_sites_at(&dora->lora.sites, call);
	size_t outputs = site->outputs;

	call->simd->column_dots(dora->lora.method.groups[MAGNITUDES].gradients + site->first_output,
				lf_rows_of(call->dy_data, outputs),
				lf_rows_of(trace_of(dora, call), outputs),
				dora->inverse + site->first_output, call->tokens, outputs);
	call->simd->scale_columns(lf_rows_out_of(dora->gradient, outputs),
				  lf_rows_of(call->dy_data, outputs), factors_of(dora, call), NULL,
				  call->tokens, outputs);
	lora_add_backward(&dora->lora, call, dora->gradient);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = forward_done,
	.backward = backward,
	.backward_done = backward_done,
};

struct norm_work {
	struct dora *dora;
	const struct lf_site *site;
	const float *weight;
	const float *a;
	const float *b;
};

static void norm_row(void *argument, size_t row)
{
	const struct norm_work *work = argument;
	struct dora *dora = work->dora;
	const struct lf_simd_ops *simd = dora->lora.method.encoder->simd;
	size_t rank = dora->lora.options.rank, inputs = work->site->inputs;
	const float *b = work->b + row * rank;
	float cross[LF_ADAPTER_MAX_RANK], image[LF_ADAPTER_MAX_RANK];
	float scale = dora->lora.scale, square, norm;

	simd->matmul_nt(lf_rows_out_of(cross, rank),
			lf_rows_of(work->weight + row * inputs, inputs),
			lf_rows_of(work->a, inputs), 1.0f, NULL, 1, rank, inputs);
	simd->matmul_nn(lf_rows_out_of(image, rank), lf_rows_of(b, rank),
			lf_rows_of(dora->gram, rank), false, 1, rank, rank);
	square = dora->squares[work->site->first_output + row] +
		 2.0f * scale * simd->dot(b, cross, rank) +
		 scale * scale * simd->dot(image, b, rank);
	norm = square > 0.0f ? number_root(square) : 0.0f;
	dora->norms[work->site->first_output + row] = norm > SMALLEST_NORM ? norm : SMALLEST_NORM;
}

/* Reads the frozen weights, which a method that is only restored never needs. */
static int read_weight(struct dora *dora, uint32_t at, struct lf_error *error)
{
	const struct lf_site *site = &dora->lora.sites.sites[at];
	struct lf_encoder *encoder = dora->lora.method.encoder;
	size_t inputs = site->inputs;
	float *weight;
	int ret;

	if (dora->weights[at])
		return 0;
	weight = malloc(site->outputs * inputs * sizeof(*weight));
	if (!weight)
		return lf_error_set(error, -ENOMEM, "dora: no memory for row norms");
	ret = lf_encoder_weight(encoder, site->index, weight, error);
	if (ret) {
		free(weight);
		return ret;
	}
	for (size_t o = 0; o < site->outputs; o++)
		dora->squares[site->first_output + o] =
			encoder->simd->sum_squares(weight + o * inputs, inputs);
	dora->weights[at] = weight;
	return 0;
}

static int evaluate_norms(struct dora *dora, struct lf_error *error)
{
	const struct lf_parameters *groups = dora->lora.method.groups;
	struct lf_encoder *encoder = dora->lora.method.encoder;
	size_t rank = dora->lora.options.rank;

	for (uint32_t at = 0; at < dora->lora.sites.count; at++) {
		const struct lf_site *site = &dora->lora.sites.sites[at];
		struct norm_work work = { .dora = dora,
					  .site = site,
					  .a = groups[LORA_A].values + rank * site->first_input,
					  .b = groups[LORA_B].values + rank * site->first_output };
		int ret = read_weight(dora, at, error);

		if (ret)
			return ret;
		work.weight = dora->weights[at];
		encoder->simd->matmul_nt(
			lf_rows_out_of(dora->gram, rank), lf_rows_of(work.a, site->inputs),
			lf_rows_of(work.a, site->inputs), 1.0f, NULL, rank, rank, site->inputs);
		lf_parallel_for(encoder->parallel, site->outputs, norm_row, &work);
	}
	return 0;
}

/* A and B as LoRA's; magnitudes so that m / n is 1. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct dora *dora = dora_of(method);
	int ret = lora_start(method, seed, error);

	if (!ret)
		ret = evaluate_norms(dora, error);
	if (!ret)
		memcpy(method->groups[MAGNITUDES].values, dora->norms,
		       method->groups[MAGNITUDES].count * sizeof(float));
	/* A caller may still put other parameters in their place. */
	dora->norms_known = false;
	return ret;
}

static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct dora *dora = dora_of(method);
	const float *magnitudes = method->groups[MAGNITUDES].values;
	float *factors = lf_buffer_data(dora->factors);
	int ret = lora_prepare(method, error);

	if (!ret && !dora->norms_known)
		ret = evaluate_norms(dora, error);
	if (ret)
		return ret;
	for (size_t o = 0; o < method->groups[MAGNITUDES].count; o++) {
		dora->inverse[o] = 1.0f / dora->norms[o];
		factors[o] = magnitudes[o] / dora->norms[o];
	}
	/* The next step changes the parameters. */
	dora->norms_known = false;
	return 0;
}

static uint32_t derived(const struct lf_method *method, struct lf_checkpoint_tensor *tensors)
{
	*tensors = lf_norms_tensor(dora_of(method)->norms, method->groups[MAGNITUDES].count);
	return 1;
}

static int restored(struct lf_method *method, struct lf_error *error)
{
	struct dora *dora = dora_of(method);

	dora->norms_known = true;
	return lf_norms_check(dora->norms, method->groups[MAGNITUDES].count, error);
}

static int write_peft(const struct lf_method *method, const char *directory, const char *base_model,
		      struct lf_error *error)
{
	return lora_write(&dora_of(method)->lora, method->groups[MAGNITUDES].values, directory,
			  base_model, error);
}

static void destroy(struct lf_method *method)
{
	struct dora *dora = dora_of(method);

	for (uint32_t at = 0; dora->weights && at < dora->lora.sites.count; at++)
		free(dora->weights[at]);
	free(dora->weights);
	free(dora->squares);
	free(dora->norms);
	free(dora->inverse);
	free(dora->gram);
	free(dora->traces);
	free(dora->gradient);
	lf_buffer_destroy(dora->factors);
	lora_release(&dora->lora);
	free(dora);
}

static const struct lf_method_ops method_ops = {
	.name = "dora",
	.share = lora_share,
	.start = start,
	.prepare = prepare,
	.derived = derived,
	.restored = restored,
	.write = write_peft,
	.destroy = destroy,
};

static int make_memory(struct dora *dora, struct lf_error *error)
{
	const struct lf_sites *sites = &dora->lora.sites;
	size_t outputs = sites->outputs, rank = dora->lora.options.rank;
	dora->weights = calloc(sites->count, sizeof(*dora->weights));
	dora->squares = malloc(outputs * sizeof(float));
	dora->norms = calloc(outputs, sizeof(float));
	dora->inverse = calloc(outputs, sizeof(float));
	dora->gram = malloc(rank * rank * sizeof(float));
	dora->traces = malloc(LF_ENCODER_LANES * dora->lora.lane_tokens * outputs * sizeof(float));
	dora->gradient =
		malloc(dora->lora.lane_tokens * lf_sites_widest_output(sites) * sizeof(float));
	if (!dora->weights || !dora->squares || !dora->norms || !dora->inverse || !dora->gram ||
	    !dora->traces || !dora->gradient)
		return lf_error_set(error, -ENOMEM, "dora: no memory");
	return lf_buffer_create(dora->lora.method.encoder->device, outputs * sizeof(float),
				&dora->factors, error);
}

int lf_dora_create(struct lf_encoder *encoder, const struct lf_lora_options *options,
		   struct lf_method **method, struct lf_error *error)
{
	struct dora *dora = lf_method_new(sizeof(*dora), &method_ops, &hook_ops, encoder, error);
	struct lf_method *base;
	int ret;

	if (!dora)
		return -ENOMEM;
	base = &dora->lora.method;
	ret = options->place == LF_PLACE_HOST
		      ? lora_init(&dora->lora, options, error)
		      : lf_error_set(error, -EINVAL, "dora: its place can only be the host");
	if (!ret) {
		base->groups[MAGNITUDES] =
			(struct lf_parameters){ .name = "magnitudes",
						.count = dora->lora.sites.outputs,
						.learning_rate = options->rate };
		base->group_count = GROUPS;
		ret = lf_method_allocate(base, error);
	}
	if (!ret)
		ret = make_memory(dora, error);
	return lf_method_created(ret, base, method);
}
