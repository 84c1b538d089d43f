// SPDX-License-Identifier: MIT
/*
 * Full fine-tuning of linear layers: y = W x + b, dW = dy^T x, db = sum_t dy, dx = W^T dy, with W and b trained. On the host W is
 * fp32 and nothing of the layer is left to the device. On crossbars W is read there, forward and transposed, with the
 * rounding of a read and of its levels, which counts as the identity in dW (straight through, 1308.3432); the host keeps fp32 for the optimiser.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/adapt/placed.h"
#include "runtime/adapt/sites.h"

enum { WEIGHTS, BIASES, GROUPS };

/* Rows of dW that one piece of host work makes. */
#define ROWS_A_PIECE 16

struct full {
	struct lf_method method;
	struct lf_full_options options;
	struct lf_sites sites;
	size_t *first_weight; /* [sites + 1] weights of the layers before it, and of all */
	struct lf_buffer
		*constants;	  /* of a layer its biases [outputs], then its scales [outputs] */
	struct lf_placed *placed; /* [sites]; NULL with a place on the host */
	float *samples;		  /* of all @placed, one behind the other */
	bool borrowed;		  /* they have begun with the deployed layers */
	bool on_crossbars;
};

static struct full *full_of(const struct lf_method *method)
{
	return (struct full *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct full *)state)->sites, index);
}

/* W [outputs][inputs] of a layer among the values or the gradients of all. */
static float *layer_weight(const struct full *full, const struct lf_hook_call *call, float *group)
{
	return group + full->first_weight[full->sites.of[call->index]];
}

static struct lf_view bias_view(const struct full *full, const struct lf_site *site)
{
	return lf_view_buffer(full->constants, 2 * site->first_output * sizeof(float), 0);
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct full *full = state;

	if (full->on_crossbars)
		lf_linear_forward(&full->placed[full->sites.of[call->index]].linear, job,
				  call->tokens, call->x, call->y,
				  bias_view(full, lf_sites_at(&full->sites, call)), 0);
}

static void forward_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct full *full = work->method;
	const struct lf_hook_call *call = work->call;
	const struct lf_site *site = lf_sites_at(&full->sites, call);
	size_t inputs = site->inputs, outputs = site->outputs, first = piece * LF_PIECE;

	call->simd->matmul_nt(
		lf_rows_out_of(call->y_data + first * outputs, outputs),
		lf_rows_of(call->x_data + first * inputs, inputs),
		lf_rows_of(layer_weight(full, call, full->method.groups[WEIGHTS].values), inputs),
		1.0f, full->method.groups[BIASES].values + site->first_output,
		lf_piece_rows(work, piece), outputs, inputs);
}

static void forward_done(void *state, const struct lf_hook_call *call)
{
	const struct full *full = state;
	const struct lf_piece_work work = { .method = full, .call = call };

	if (!full->on_crossbars)
		lf_for_pieces(&work, forward_piece);
	/* One of the lanes is enough, and what a trained method is applied to is not looked at. */
	if (full->placed && call->training && !call->lane && !full->method.finished)
		lf_placed_sample(&full->placed[full->sites.of[call->index]], call->x_data,
				 call->tokens);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct full *full = state;

	if (full->on_crossbars && call->dx.space != LF_VIEW_NONE)
		lf_linear_backward(&full->placed[full->sites.of[call->index]].linear, job,
				   call->tokens, call->dy, call->dx, LF_MVM_ACCUMULATE);
}

static void input_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct full *full = work->method;
	const struct lf_hook_call *call = work->call;
	size_t inputs = call->linear->inputs, outputs = call->linear->outputs;
	size_t first = piece * LF_PIECE;

	call->simd->matmul_nn(
		lf_rows_out_of(call->dx_data + first * inputs, inputs),
		lf_rows_of(call->dy_data + first * outputs, outputs),
		lf_rows_of(layer_weight(full, call, full->method.groups[WEIGHTS].values), inputs),
		true, lf_piece_rows(work, piece), inputs, outputs);
}

/* Rows of dW: each piece runs over all tokens for outputs of its own. */
static void weight_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct full *full = work->method;
	const struct lf_hook_call *call = work->call;
	size_t inputs = call->linear->inputs, outputs = call->linear->outputs;
	size_t first = piece * ROWS_A_PIECE, rest = outputs - first;
	float *gradients = layer_weight(full, call, full->method.groups[WEIGHTS].gradients);

	call->simd->matmul_tn(lf_rows_out_of(gradients + first * inputs, inputs),
			      lf_rows_of(call->dy_data + first, outputs),
			      lf_rows_of(call->x_data, inputs), true,
			      rest < ROWS_A_PIECE ? rest : ROWS_A_PIECE, inputs, call->tokens);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct full *full = state;
	const struct lf_piece_work work = { .method = full, .call = call };
	size_t outputs = call->linear->outputs;

	if (!full->on_crossbars && call->dx_data)
		lf_for_pieces(&work, input_piece);
	lf_parallel_for(call->parallel, (outputs + ROWS_A_PIECE - 1) / ROWS_A_PIECE, weight_piece,
			(void *)&work);
	lf_column_sums(call,
		       full->method.groups[BIASES].gradients +
			       lf_sites_at(&full->sites, call)->first_output,
		       call->dy_data, outputs);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = forward_done,
	.backward = backward,
	.backward_done = backward_done,
};

/* The weights of the model's file, [outputs][inputs] each, layer by layer. */
static int read_weights(const struct full *full, float *values, struct lf_error *error)
{
	const struct lf_encoder *encoder = full->method.encoder;
	struct lf_bert_config config;
	struct lf_safetensors *file;
	int ret = lf_encoder_files(encoder->directory, &config, &file, error);

	if (ret)
		return ret;
	for (uint32_t at = 0; !ret && at < full->sites.count; at++)
		ret = lf_linear_read(file, &encoder->config, full->sites.sites[at].index,
				     values + full->first_weight[at], error);
	lf_safetensors_close(file);
	return ret;
}

/* The model's weights and biases: nothing is drawn. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	const struct full *full = full_of(method);

	(void)seed;
	lf_sites_biases(&full->sites, method->encoder, method->groups[BIASES].values);
	return read_weights(full, method->groups[WEIGHTS].values, error);
}

/* What is deployed is what the model's file rounds to. */
static int borrow_layers(struct full *full, struct lf_error *error)
{
	float *values = malloc(full->first_weight[full->sites.count] * sizeof(*values));
	int ret;

	if (!values)
		return lf_error_set(error, -ENOMEM, "full: no memory for the deployed weights");
	ret = read_weights(full, values, error);
	for (uint32_t at = 0; !ret && at < full->sites.count; at++)
		ret = lf_placed_borrow(&full->placed[at], &full->method,
				       full->sites.sites[at].index, values + full->first_weight[at],
				       error);
	free(values);
	full->borrowed = !ret;
	return ret;
}

static int write_layers(struct full *full, struct lf_error *error)
{
	struct lf_method *method = &full->method;
	char layer[LF_ENCODER_LAYER_BYTES];
	int ret = full->borrowed ? 0 : borrow_layers(full, error);

	for (uint32_t at = 0; !ret && at < full->sites.count; at++) {
		const struct lf_site *site = &full->sites.sites[at];

		memcpy(lf_view_data(bias_view(full, site)),
		       method->groups[BIASES].values + site->first_output,
		       site->outputs * sizeof(float));
		ret = lf_placed_write(&full->placed[at], method,
				      method->groups[WEIGHTS].values + full->first_weight[at],
				      error);
		if (ret) {
			lf_encoder_layer_name(site->index, layer);
			lf_error_prefix(error, ret, "full, %s", layer);
		}
	}
	return ret;
}

static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct full *full = full_of(method);

	full->on_crossbars = lf_place_on_crossbars(full->options.place, method);
	return full->on_crossbars ? write_layers(full, error) : 0;
}

static void destroy(struct lf_method *method)
{
	struct full *full = full_of(method);

	for (uint32_t at = 0; full->placed && at < full->sites.count; at++)
		lf_placed_release(&full->placed[at]);
	lf_buffer_destroy(full->constants);
	lf_sites_release(&full->sites);
	free(full->first_weight);
	free(full->placed);
	free(full->samples);
	free(full);
}

static uint32_t derived(const struct lf_method *method, struct lf_checkpoint_tensor *tensors)
{
	const struct full *full = (const struct full *)method;

	if (!full->placed)
		return 0;
	*tensors = (struct lf_checkpoint_tensor){
		.name = "samples",
		.rank = 1,
		.shape = { LF_PLACED_SAMPLES * full->sites.inputs },
		.values = full->samples,
	};
	return 1;
}

static size_t share(const struct lf_method *method, uint32_t group, uint32_t index)
{
	const struct full *full = (const struct full *)method;
	const struct lf_site *site = &full->sites.sites[full->sites.of[index]];

	return group == BIASES ? site->outputs : (size_t)site->inputs * site->outputs;
}

static const struct lf_method_ops method_ops = {
	.name = "full",
	.share = share,
	.start = start,
	.prepare = prepare,
	.derived = derived,
	.destroy = destroy,
};

/* Memory for layers on crossbars; what they hold is seen to when they are first written. */
static int make_placed(struct full *full, struct lf_error *error)
{
	struct lf_device *device = full->method.encoder->device;
	bool scaled = lf_device_weight_format(device) == LF_FORMAT_INT8;
	int ret = lf_buffer_create(device, 2 * full->sites.outputs * sizeof(float),
				   &full->constants, error);

	if (ret)
		return ret;
	full->placed = calloc(full->sites.count, sizeof(*full->placed));
	full->samples = calloc(LF_PLACED_SAMPLES * full->sites.inputs, sizeof(float));
	if (!full->placed || !full->samples)
		return lf_error_set(error, -ENOMEM, "full: no memory");
	for (uint32_t at = 0; at < full->sites.count; at++) {
		const struct lf_site *site = &full->sites.sites[at];
		struct lf_linear *linear = &full->placed[at].linear;

		linear->inputs = site->inputs;
		linear->outputs = site->outputs;
		full->placed[at].samples = full->samples + LF_PLACED_SAMPLES * site->first_input;
		if (scaled) {
			linear->scale = bias_view(full, site);
			linear->scale.offset += site->outputs * sizeof(float);
		}
	}
	return 0;
}

static int make_groups(struct full *full, struct lf_error *error)
{
	uint32_t count = full->sites.count;

	full->first_weight = calloc(count + 1, sizeof(*full->first_weight));
	if (!full->first_weight)
		return lf_error_set(error, -ENOMEM, "full: no memory");
	for (uint32_t at = 0; at < count; at++) {
		const struct lf_site *site = &full->sites.sites[at];

		full->first_weight[at + 1] =
			full->first_weight[at] + (size_t)site->inputs * site->outputs;
	}
	full->method.group_count = GROUPS;
	full->method.groups[WEIGHTS] =
		(struct lf_parameters){ .name = "weights",
					.count = full->first_weight[count],
					.learning_rate = full->options.rate };
	full->method.groups[BIASES] = (struct lf_parameters){ .name = "biases",
							      .count = full->sites.outputs,
							      .learning_rate = full->options.rate };
	return lf_method_allocate(&full->method, error);
}

int lf_full_create(struct lf_encoder *encoder, const struct lf_full_options *options,
		   struct lf_method **method, struct lf_error *error)
{
	struct full *full = lf_method_new(sizeof(*full), &method_ops, &hook_ops, encoder, error);
	int ret;

	if (!full)
		return -ENOMEM;
	full->options = *options;
	ret = lf_place_check(options->place, "full", error);
	if (!ret)
		ret = lf_sites_create(&full->sites, &encoder->config, options->targets, "full",
				      error);
	if (!ret)
		ret = make_groups(full, error);
	if (!ret && options->place != LF_PLACE_HOST)
		ret = make_placed(full, error);
	return lf_method_created(ret, &full->method, method);
}
