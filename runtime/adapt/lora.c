// SPDX-License-Identifier: MIT
/*
 * LoRA (2106.09685): the frozen layer is read from its crossbar; B A x is the host's here, or the device's (lora_crossbars.c). Forward, with
 * z = A x and s = alpha / r: y = W0 x + bias + s B z. Backward, with v = s B^T dy: dB = s dy^T z, dA = v^T x, dx = W0^T dy + A^T v.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/lora.h"
#include "runtime/adapt/random.h"
#include "runtime/simd/number.h"

static struct lora *lora_of(const struct lf_method *method)
{
	return (struct lora *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return lf_sites_adapt(&((const struct lora *)state)->sites, index);
}

/* A [r][inputs] of a layer among the values or the gradients of all. */
static float *layer_a(const struct lora *lora, const struct lf_site *site, float *group)
{
	return group + lora->options.rank * site->first_input;
}

/* B [outputs][r] of a layer, or its transpose. */
static float *layer_b(const struct lora *lora, const struct lf_site *site, float *group)
{
	return group + lora->options.rank * site->first_output;
}

static float *trace_of(const struct lora *lora, const struct lf_hook_call *call)
{
	size_t number = call->lane * lora->sites.count + lora->sites.of[call->index];

	return lora->traces + number * lora->lane_tokens * lora->options.rank;
}

static void forward_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct lora *lora = work->method;
	const struct lf_site *site = lf_sites_at(&lora->sites, work->call);
	const struct lf_simd_ops *simd = work->call->simd;
	size_t rank = lora->options.rank, first = piece * LF_PIECE;
	size_t rows = lf_piece_rows(work, piece);
	float *z = work->z + first * rank;
	float scaled[LF_PIECE * LF_ADAPTER_MAX_RANK];

	simd->matmul_nt(
		lf_rows_out_of(z, rank),
		lf_rows_of(work->call->x_data + first * site->inputs, site->inputs),
		lf_rows_of(layer_a(lora, site, lora->method.groups[LORA_A].values), site->inputs),
		1.0f, NULL, rows, rank, site->inputs);
	simd->scale(scaled, z, lora->scale, rows * rank);
	simd->matmul_nn(lf_rows_out_of(work->call->y_data + first * site->outputs, site->outputs),
			lf_rows_of(scaled, rank),
			lf_rows_of(layer_b(lora, site, lora->transposed), site->outputs), true,
			rows, site->outputs, rank);
}

void lora_add_forward(const struct lora *lora, const struct lf_hook_call *call)
{
	const struct lf_piece_work work = { .method = lora,
					    .call = call,
					    .z = trace_of(lora, call) };

	lf_for_pieces(&work, forward_piece);
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct lora *lora = state;

	if (lora->on_crossbars)
		lora_crossbars_forward(lora, job, call);
	else
		lf_frozen_forward(state, job, call);
}

static void forward_done(void *state, const struct lf_hook_call *call)
{
	const struct lora *lora = state;

	if (!lora->on_crossbars)
		lora_add_forward(lora, call);
	/* One of the lanes is enough, and what a trained method is applied to is not looked at. */
	if (lora->crossbars && call->training && !call->lane && !lora->method.finished)
		lora_crossbars_sample(lora, call, lora->on_crossbars ? NULL : trace_of(lora, call));
}

static void backward_piece(void *argument, size_t piece)
{
	const struct lf_piece_work *work = argument;
	const struct lora *lora = work->method;
	const struct lf_site *site = lf_sites_at(&lora->sites, work->call);
	const struct lf_simd_ops *simd = work->call->simd;
	size_t rank = lora->options.rank, first = piece * LF_PIECE;
	size_t rows = lf_piece_rows(work, piece);
	float *v = work->work + first * rank;

	simd->matmul_nt(lf_rows_out_of(v, rank),
			lf_rows_of(work->gradient + first * site->outputs, site->outputs),
			lf_rows_of(layer_b(lora, site, lora->transposed), site->outputs),
			lora->scale, NULL, rows, rank, site->outputs);
	if (work->call->dx_data)
		simd->matmul_nn(
			lf_rows_out_of(work->call->dx_data + first * site->inputs, site->inputs),
			lf_rows_of(v, rank),
			lf_rows_of(layer_a(lora, site, lora->method.groups[LORA_A].values),
				   site->inputs),
			true, rows, site->inputs, rank);
}

void lora_add_gradients(const struct lora *lora, const struct lf_hook_call *call,
			const float *gradient, float *z, const float *v)
{
	const struct lf_site *site = lf_sites_at(&lora->sites, call);
	const struct lf_simd_ops *simd = call->simd;
	size_t rank = lora->options.rank;

	simd->matmul_tn(lf_rows_out_of(layer_a(lora, site, lora->method.groups[LORA_A].gradients),
				       site->inputs),
			lf_rows_of(v, rank), lf_rows_of(call->x_data, site->inputs), true, rank,
			site->inputs, call->tokens);
	/* The trace is used up: its rows may be scaled in place. */
	simd->scale(z, z, lora->scale, call->tokens * rank);
	simd->matmul_tn(
		lf_rows_out_of(layer_b(lora, site, lora->method.groups[LORA_B].gradients), rank),
		lf_rows_of(gradient, site->outputs), lf_rows_of(z, rank), true, site->outputs, rank,
		call->tokens);
}

void lora_add_backward(const struct lora *lora, const struct lf_hook_call *call,
		       const float *gradient)
{
	const struct lf_piece_work work = {
		.method = lora, .call = call, .work = lora->work, .gradient = gradient
	};

	lf_for_pieces(&work, backward_piece);
	lora_add_gradients(lora, call, gradient, trace_of(lora, call), lora->work);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct lora *lora = state;

	if (lora->on_crossbars)
		lora_crossbars_backward(lora, job, call);
	else
		lf_frozen_backward(state, job, call);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	const struct lora *lora = state;

	if (lora->on_crossbars)
		lora_crossbars_gradients(lora, call);
	else
		lora_add_backward(lora, call, call->dy_data);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = forward_done,
	.backward = backward,
	.backward_done = backward_done,
};

/* A uniform in +-1 / sqrt(inputs) (Kaiming's rule as PEFT applies it), B zero. */
int lora_start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct lora *lora = lora_of(method);
	struct lf_random random;

	(void)error;
	lf_random_seed(&random, seed, LF_RANDOM_START, 0);
	for (uint32_t at = 0; at < lora->sites.count; at++) {
		const struct lf_site *site = &lora->sites.sites[at];
		float *a = layer_a(lora, site, method->groups[LORA_A].values);
		float bound = 1.0f / number_root((float)site->inputs);

		for (size_t i = 0; i < (size_t)lora->options.rank * site->inputs; i++)
			a[i] = lf_random_uniform(&random, bound);
	}
	memset(method->groups[LORA_B].values, 0, method->groups[LORA_B].count * sizeof(float));
	return 0;
}

size_t lora_share(const struct lf_method *method, uint32_t group, uint32_t index)
{
	const struct lora *lora = lora_of(method);
	const struct lf_site *site = &lora->sites.sites[lora->sites.of[index]];

	if (group == LORA_A)
		return (size_t)lora->options.rank * site->inputs;
	return group == LORA_B ? (size_t)lora->options.rank * site->outputs : site->outputs;
}

int lora_prepare(struct lf_method *method, struct lf_error *error)
{
	struct lora *lora = lora_of(method);
	size_t rank = lora->options.rank;

	(void)error;
	for (uint32_t at = 0; at < lora->sites.count; at++) {
		const struct lf_site *site = &lora->sites.sites[at];
		const float *b = layer_b(lora, site, method->groups[LORA_B].values);
		float *transposed = layer_b(lora, site, lora->transposed);

		for (size_t o = 0; o < site->outputs; o++)
			for (size_t k = 0; k < rank; k++)
				transposed[k * site->outputs + o] = b[o * rank + k];
	}
	return 0;
}

/* Transposes B, and writes what is to be on crossbars. */
static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct lora *lora = lora_of(method);
	int ret = lora_prepare(method, error);

	lora->on_crossbars = lf_place_on_crossbars(lora->options.place, method);
	return !ret && lora->on_crossbars ? lora_crossbars_write(lora, error) : ret;
}

static uint32_t derived(const struct lf_method *method, struct lf_checkpoint_tensor *tensors)
{
	const struct lora *lora = (const struct lora *)method;

	return lora->crossbars ? lora_crossbars_tensors(lora, tensors) : 0;
}

void lora_release(struct lora *lora)
{
	lora_crossbars_release(lora);
	lf_sites_release(&lora->sites);
	free(lora->transposed);
	free(lora->traces);
	free(lora->work);
}

static int write_peft(const struct lf_method *method, const char *directory, const char *base_model,
		      struct lf_error *error)
{
	return lora_write(lora_of(method), NULL, directory, base_model, error);
}

static void destroy(struct lf_method *method)
{
	lora_release(lora_of(method));
	free(method);
}

static const struct lf_method_ops method_ops = {
	.name = "lora",
	.share = lora_share,
	.start = lora_start,
	.prepare = prepare,
	.derived = derived,
	.write = write_peft,
	.destroy = destroy,
};

int lora_init(struct lora *lora, const struct lf_lora_options *options, struct lf_error *error)
{
	const struct lf_encoder *encoder = lora->method.encoder;
	const char *name = lora->method.ops->name;
	struct lf_parameters *groups = lora->method.groups;
	int ret;

	if (!options->rank || options->rank > LF_ADAPTER_MAX_RANK)
		return lf_error_set(error, -EINVAL, "%s: rank %u: 1 to %u", name, options->rank,
				    LF_ADAPTER_MAX_RANK);
	lora->options = *options;
	lora->scale = (float)(options->alpha / options->rank);
	lora->lane_tokens = encoder_lane_tokens(encoder);
	ret = lf_sites_create(&lora->sites, &encoder->config, options->targets, name, error);
	if (ret)
		return ret;
	groups[LORA_A] = (struct lf_parameters){ .name = "lora_A",
						 .count = options->rank * lora->sites.inputs,
						 .learning_rate = options->rate };
	groups[LORA_B] = (struct lf_parameters){ .name = "lora_B",
						 .count = options->rank * lora->sites.outputs,
						 .learning_rate = options->rate };
	lora->method.group_count = LORA_GROUPS;
	lora->transposed = malloc(groups[LORA_B].count * sizeof(float));
	lora->traces = malloc((size_t)LF_ENCODER_LANES * lora->sites.count * lora->lane_tokens *
			      options->rank * sizeof(float));
	lora->work = malloc((size_t)lora->lane_tokens * options->rank * sizeof(float));
	if (!lora->transposed || !lora->traces || !lora->work)
		return lf_error_set(error, -ENOMEM, "%s: no memory", name);
	return 0;
}

int lf_lora_create(struct lf_encoder *encoder, const struct lf_lora_options *options,
		   struct lf_method **method, struct lf_error *error)
{
	struct lora *lora = lf_method_new(sizeof(*lora), &method_ops, &hook_ops, encoder, error);
	int ret;

	if (!lora)
		return -ENOMEM;
	ret = lf_place_check(options->place, "lora", error);
	if (!ret)
		ret = lora_init(lora, options, error);
	if (!ret && options->place != LF_PLACE_HOST)
		ret = lora_crossbars_create(lora, error);
	if (!ret)
		ret = lf_method_allocate(&lora->method, error);
	return lf_method_created(ret, &lora->method, method);
}

/*
 * The adapted layers as PEFT names them: by the last parts of their paths. "output.dense" alone would name attention's output
 * layer too; then whole paths do it. Returns how many names there are.
 */
static size_t name_targets(const struct lora *lora, char (*paths)[LF_LINEAR_PATH_BYTES],
			   const char **names)
{
	uint32_t targets = lora->options.targets;
	size_t count = 0;

	if (targets & 1u << LF_TARGET_OUTPUT && !(targets & 1u << LF_TARGET_ATTENTION_OUTPUT)) {
		for (; count < lora->sites.count; count++)
			names[count] = paths[count];
		return count;
	}
	for (enum lf_target target = 0; target < LF_TARGETS; target++)
		if (targets & (1u << target))
			names[count++] = lf_target_name(target);
	return count;
}

int lora_write(const struct lora *lora, const float *magnitudes, const char *directory,
	       const char *base_model, struct lf_error *error)
{
	struct lf_adapter_description description = { .base_model = base_model,
						      .dtype = LF_DTYPE_F16 };
	struct lf_adapter_layer *layers;
	char(*paths)[LF_LINEAR_PATH_BYTES];
	const char **names;
	int ret;

	layers = calloc(lora->sites.count, sizeof(*layers));
	paths = calloc(lora->sites.count, sizeof(*paths));
	names = calloc(lora->sites.count + LF_TARGETS, sizeof(*names));
	if (!layers || !paths || !names) {
		ret = lf_error_set(error, -ENOMEM, "lora: no memory");
		goto out;
	}
	for (uint32_t at = 0; at < lora->sites.count; at++) {
		const struct lf_site *site = &lora->sites.sites[at];

		lf_linear_path(site->index, paths[at]);
		layers[at] = (struct lf_adapter_layer){
			.path = paths[at],
			.inputs = site->inputs,
			.outputs = site->outputs,
			.rank = lora->options.rank,
			.scale = lora->scale,
			.a = layer_a(lora, site, lora->method.groups[LORA_A].values),
			.b = layer_b(lora, site, lora->method.groups[LORA_B].values),
			.magnitude = magnitudes ? magnitudes + site->first_output : NULL,
		};
	}
	description.target_modules = names;
	description.target_count = name_targets(lora, paths, names);
	description.rank = lora->options.rank;
	description.alpha = (float)lora->options.alpha;
	ret = lf_adapter_write(directory, &description, layers, lora->sites.count, error);
out:
	free(layers);
	free(paths);
	free(names);
	return ret;
}
