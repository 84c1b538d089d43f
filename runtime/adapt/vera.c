// SPDX-License-Identifier: MIT
/*
 * VeRA (2310.11454) beside the crossbars: scales of random matrices that layers of a shape share. Forward, with z = A x and q = B (d * z):
 * y = W0 x + bias + b * q. Backward, with g = b * dy and p = B^T g: db = sum_t dy q, dd = sum_t p z, dx = W0^T dy + A^T (d * p).
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/random.h"
#include "runtime/adapt/sites.h"
#include "runtime/simd/number.h"

enum { VERA_D, VERA_B, GROUPS };

/* Shapes of linear layers in a block: square, to the intermediate size, and from it. */
enum { SHAPES_MAX = 3 };

/* The random matrices of a shape. */
struct shape {
	uint32_t inputs;
	uint32_t outputs;
	float *a; /* [r][inputs] */
	float *b; /* [outputs][r] */
};

struct vera {
	struct lf_method method;
	struct lf_vera_options options;
	struct lf_sites sites;
	struct shape shapes[SHAPES_MAX];
	uint32_t shape_count;
	const struct shape **shape_of; /* [sites] */
	float *z;		       /* [lanes][sites][lane tokens][r] */
	float *q;		       /* [lanes][lane tokens][outputs of all], layer by layer */
	float *wide;		       /* [lane tokens][most outputs] of the layer at hand */
	float *p;		       /* [lane tokens][r] of the layer at hand */
	float *ones;		       /* [most outputs or r] */
	uint32_t lane_tokens;
};

static struct vera *vera_of(const struct lf_method *method)
{
	return (struct vera *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct vera *)state)->sites, index);
}

static float *z_of(const struct vera *vera, const struct lf_hook_call *call)
{
	size_t number = call->lane * vera->sites.count + vera->sites.of[call->index];

	return vera->z + number * vera->lane_tokens * vera->options.rank;
}

static float *q_of(const struct vera *vera, const struct lf_hook_call *call)
{
	size_t before =
		call->lane * vera->sites.outputs + lf_sites_at(&vera->sites, call)->first_output;

	return vera->q + before * vera->lane_tokens;
}

/* d [r] of a layer among the values or the gradients of all. */
static float *layer_d(const struct vera *vera, const struct lf_hook_call *call, float *group)
{
	return group + (size_t)vera->sites.of[call->index] * vera->options.rank;
}

/* b [outputs] of a layer, likewise. */
static float *layer_b(const struct vera *vera, const struct lf_hook_call *call, float *group)
{
	return group + lf_sites_at(&vera->sites, call)->first_output;
}

static void forward_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct vera *vera = work->method;
	const struct lf_hook_call *call = work->call;
	const struct shape *shape = vera->shape_of[vera->sites.of[call->index]];
	const struct lf_simd_ops *simd = call->simd;
	size_t rank = vera->options.rank, outputs = shape->outputs, first = piece * LF_PIECE;
	size_t rows = lf_piece_rows(work, piece);
	float *z = z_of(vera, call) + first * rank, *q = q_of(vera, call) + first * outputs;
	float *y = call->y_data + first * outputs, *added = work->work + first * outputs;
	float scaled[LF_PIECE * LF_ADAPTER_MAX_RANK];

	simd->matmul_nt(lf_rows_out_of(z, rank),
			lf_rows_of(call->x_data + first * shape->inputs, shape->inputs),
			lf_rows_of(shape->a, shape->inputs), 1.0f, NULL, rows, rank, shape->inputs);
	simd->scale_columns(lf_rows_out_of(scaled, rank), lf_rows_of(z, rank),
			    layer_d(vera, call, vera->method.groups[VERA_D].values), NULL, rows,
			    rank);
	simd->matmul_nt(lf_rows_out_of(q, outputs), lf_rows_of(scaled, rank),
			lf_rows_of(shape->b, rank), 1.0f, NULL, rows, outputs, rank);
	simd->scale_columns(lf_rows_out_of(added, outputs), lf_rows_of(q, outputs),
			    layer_b(vera, call, vera->method.groups[VERA_B].values), NULL, rows,
			    outputs);
	simd->add(y, y, added, rows * outputs);
}

static void forward_done(void *state, const struct lf_hook_call *call)
{
	const struct vera *vera = state;
	const struct lf_piece_work work = { .method = vera, .call = call, .work = vera->wide };

	lf_for_pieces(&work, forward_piece);
}

static void backward_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct vera *vera = work->method;
	const struct lf_hook_call *call = work->call;
	const struct shape *shape = vera->shape_of[vera->sites.of[call->index]];
	const struct lf_simd_ops *simd = call->simd;
	size_t rank = vera->options.rank, outputs = shape->outputs, first = piece * LF_PIECE;
	size_t rows = lf_piece_rows(work, piece);
	float *p = vera->p + first * rank, *g = work->work + first * outputs;
	float scaled[LF_PIECE * LF_ADAPTER_MAX_RANK];

	simd->scale_columns(
		lf_rows_out_of(g, outputs), lf_rows_of(call->dy_data + first * outputs, outputs),
		layer_b(vera, call, vera->method.groups[VERA_B].values), NULL, rows, outputs);
	simd->matmul_nn(lf_rows_out_of(p, rank), lf_rows_of(g, outputs), lf_rows_of(shape->b, rank),
			false, rows, rank, outputs);
	if (!call->dx_data)
		return;
	simd->scale_columns(lf_rows_out_of(scaled, rank), lf_rows_of(p, rank),
			    layer_d(vera, call, vera->method.groups[VERA_D].values), NULL, rows,
			    rank);
	simd->matmul_nn(lf_rows_out_of(call->dx_data + first * shape->inputs, shape->inputs),
			lf_rows_of(scaled, rank), lf_rows_of(shape->a, shape->inputs), true, rows,
			shape->inputs, rank);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct vera *vera = state;
	const struct lf_piece_work work = { .method = vera, .call = call, .work = vera->wide };
	size_t rank = vera->options.rank, outputs = call->linear->outputs;

	lf_for_pieces(&work, backward_piece);
	call->simd->column_dots(layer_b(vera, call, vera->method.groups[VERA_B].gradients),
				lf_rows_of(call->dy_data, outputs),
				lf_rows_of(q_of(vera, call), outputs), vera->ones, call->tokens,
				outputs);
	call->simd->column_dots(layer_d(vera, call, vera->method.groups[VERA_D].gradients),
				lf_rows_of(vera->p, rank), lf_rows_of(z_of(vera, call), rank),
				vera->ones, call->tokens, rank);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = lf_frozen_forward,
	.forward_done = forward_done,
	.backward = lf_frozen_backward,
	.backward_done = backward_done,
};

/* b is 0 and d the same everywhere: what is drawn are the matrices, from the options' seed. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct lf_parameters *d = &method->groups[VERA_D], *b = &method->groups[VERA_B];

	(void)seed;
	(void)error;
	for (size_t at = 0; at < d->count; at++)
		d->values[at] = (float)vera_of(method)->options.initial_d;
	memset(b->values, 0, b->count * sizeof(float));
	return 0;
}

static void destroy(struct lf_method *method)
{
	struct vera *vera = vera_of(method);

	for (uint32_t at = 0; at < vera->shape_count; at++) {
		free(vera->shapes[at].a);
		free(vera->shapes[at].b);
	}
	lf_sites_release(&vera->sites);
	free(vera->shape_of);
	free(vera->z);
	free(vera->q);
	free(vera->wide);
	free(vera->p);
	free(vera->ones);
	free(vera);
}

static size_t share(const struct lf_method *method, uint32_t group, uint32_t index)
{
	const struct vera *vera = (const struct vera *)method;

	return group == VERA_B ? vera->sites.sites[vera->sites.of[index]].outputs
			       : vera->options.rank;
}

static const struct lf_method_ops method_ops = {
	.name = "vera",
	.share = share,
	.start = start,
	.destroy = destroy,
};

/* Kaiming's rule, uniform with the gain of a rectifier, as PEFT draws them (2310.11454, section 3.2). */
static float *draw(struct lf_random *random, size_t rows, size_t columns)
{
	float bound = number_root(6.0f / (float)columns);
	float *values = malloc(rows * columns * sizeof(*values));

	for (size_t at = 0; values && at < rows * columns; at++)
		values[at] = lf_random_uniform(random, bound);
	return values;
}

static const struct shape *find_shape(struct vera *vera, const struct lf_site *site)
{
	size_t rank = vera->options.rank;
	struct lf_random random;
	struct shape *shape;

	for (uint32_t at = 0; at < vera->shape_count; at++) {
		shape = &vera->shapes[at];
		if (shape->inputs == site->inputs && shape->outputs == site->outputs)
			return shape;
	}
	shape = &vera->shapes[vera->shape_count++];
	shape->inputs = site->inputs;
	shape->outputs = site->outputs;
	/* A stream of the shape's own: which other layers are targeted changes nothing. */
	lf_random_seed(&random, vera->options.seed, LF_RANDOM_FROZEN,
		       (uint64_t)site->inputs << 32 | site->outputs);
	shape->a = draw(&random, rank, site->inputs);
	shape->b = draw(&random, site->outputs, rank);
	return shape->a && shape->b ? shape : NULL;
}

static int make_memory(struct vera *vera, struct lf_error *error)
{
	size_t rank = vera->options.rank, tokens = vera->lane_tokens;
	size_t widest = lf_sites_widest_output(&vera->sites);
	size_t ones = widest > rank ? widest : rank;
	bool drawn = true;

	vera->shape_of = calloc(vera->sites.count, sizeof(*vera->shape_of));
	vera->z = malloc(LF_ENCODER_LANES * vera->sites.count * tokens * rank * sizeof(float));
	vera->q = malloc(LF_ENCODER_LANES * tokens * vera->sites.outputs * sizeof(float));
	vera->wide = malloc(tokens * widest * sizeof(float));
	vera->p = malloc(tokens * rank * sizeof(float));
	vera->ones = malloc(ones * sizeof(float));
	for (uint32_t at = 0; vera->shape_of && drawn && at < vera->sites.count; at++) {
		vera->shape_of[at] = find_shape(vera, &vera->sites.sites[at]);
		drawn = vera->shape_of[at];
	}
	if (!vera->shape_of || !drawn || !vera->z || !vera->q || !vera->wide || !vera->p ||
	    !vera->ones)
		return lf_error_set(error, -ENOMEM, "vera: no memory");
	for (size_t at = 0; at < ones; at++)
		vera->ones[at] = 1.0f;
	return 0;
}

static int check_options(const struct lf_vera_options *options, struct lf_error *error)
{
	if (!options->rank || options->rank > LF_ADAPTER_MAX_RANK)
		return lf_error_set(error, -EINVAL, "vera: rank %u: 1 to %u", options->rank,
				    LF_ADAPTER_MAX_RANK);
	if (!isfinite((float)options->initial_d) || (float)options->initial_d == 0.0f)
		return lf_error_set(error, -EINVAL,
				    "vera: initial_d %g: from 0 on nothing can be learned, and it "
				    "must be a number",
				    options->initial_d);
	return 0;
}

int lf_vera_create(struct lf_encoder *encoder, const struct lf_vera_options *options,
		   struct lf_method **method, struct lf_error *error)
{
	struct vera *vera = lf_method_new(sizeof(*vera), &method_ops, &hook_ops, encoder, error);
	int ret;

	if (!vera)
		return -ENOMEM;
	vera->options = *options;
	vera->lane_tokens = encoder_lane_tokens(encoder);
	ret = check_options(options, error);
	if (!ret)
		ret = lf_sites_create(&vera->sites, &encoder->config, options->targets, "vera",
				      error);
	if (!ret)
		ret = make_memory(vera, error);
	if (!ret) {
		struct lf_parameters *groups = vera->method.groups;

		vera->method.group_count = GROUPS;
		groups[VERA_D] =
			(struct lf_parameters){ .name = "vera_d",
						.count = (size_t)vera->sites.count * options->rank,
						.learning_rate = options->rate };
		groups[VERA_B] = (struct lf_parameters){ .name = "vera_b",
							 .count = vera->sites.outputs,
							 .learning_rate = options->rate };
		ret = lf_method_allocate(&vera->method, error);
	}
	return lf_method_created(ret, &vera->method, method);
}
