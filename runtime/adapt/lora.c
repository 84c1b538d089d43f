// SPDX-License-Identifier: MIT
/*
 * LoRA (2106.09685), kept digital: the frozen layer is read from its crossbar, B A x is the host's. Forward, with
 * z = A x and s = alpha / r: y = W0 x + bias + s B z. Backward, with v = s B^T dy: dB = s dy^T z, dA = v^T x, dx = W0^T dy + A^T v.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>

#include "runtime/adapt/method.h"
#include "runtime/adapt/random.h"
#include "runtime/simd/number.h"

enum { MATRICES_A, MATRICES_B, GROUPS };

struct lora_site {
	uint32_t index;
	uint32_t inputs;
	uint32_t outputs;
	size_t a; /* offset in the group of A: [r][inputs] */
	size_t b; /* offset in the group of B: [outputs][r] */
};

struct lora {
	struct lf_method method;
	struct lf_lora_options options;
	float scale;
	uint32_t site_count;
	struct lora_site *sites;
	uint32_t *site_of; /* [linears] index into sites, or UINT32_MAX */
	float *transposed; /* the group of B as [r][outputs], made by prepare() */
	float *traces;	   /* [lanes][sites][tokens][r] A x */
	float *work;	   /* [tokens][r] */
	uint32_t lane_tokens;
};

static struct lora *lora_of(const struct lf_method *method)
{
	return (struct lora *)method;
}

static bool adapts(const void *state, uint32_t index)
{
	return ((const struct lora *)state)->site_of[index] != UINT32_MAX;
}

static float *trace_of(const struct lora *lora, const struct lf_hook_call *call)
{
	size_t number = call->lane * lora->site_count + lora->site_of[call->index];

	return lora->traces + number * lora->lane_tokens * lora->options.rank;
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	(void)state;
	lf_linear_forward(call->linear, job, call->tokens, call->x, call->y, call->linear->bias, 0);
}

/* The host's part runs over pieces of the tokens, each on its own rows. */
enum { PIECE = 8 };

struct piece_work {
	const struct lora *lora;
	const struct lf_hook_call *call;
	float *rows; /* [tokens][r] */
};

static void for_pieces(const struct piece_work *work, lf_parallel_body body)
{
	lf_parallel_for(work->call->parallel, (work->call->tokens + PIECE - 1) / PIECE, body,
			(void *)work);
}

static uint32_t piece_rows(const struct piece_work *work, size_t piece)
{
	uint32_t rest = work->call->tokens - (uint32_t)piece * PIECE;

	return rest < PIECE ? rest : PIECE;
}

static void forward_piece(void *argument, size_t piece)
{
	const struct piece_work *work = argument;
	const struct lora *lora = work->lora;
	const struct lora_site *site = &lora->sites[lora->site_of[work->call->index]];
	const struct lf_simd_ops *simd = work->call->simd;
	size_t rank = lora->options.rank, first = piece * PIECE, rows = piece_rows(work, piece);
	float *z = work->rows + first * rank;
	float scaled[PIECE * LF_ADAPTER_MAX_RANK];

	simd->matmul_nt(lf_rows_out_of(z, rank),
			lf_rows_of(work->call->x_data + first * site->inputs, site->inputs),
			lf_rows_of(lora->method.groups[MATRICES_A].values + site->a, site->inputs),
			1.0f, NULL, rows, rank, site->inputs);
	simd->scale(scaled, z, lora->scale, rows * rank);
	simd->matmul_nn(lf_rows_out_of(work->call->y_data + first * site->outputs, site->outputs),
			lf_rows_of(scaled, rank),
			lf_rows_of(lora->transposed + site->b, site->outputs), true, rows,
			site->outputs, rank);
}

static void forward_done(void *state, const struct lf_hook_call *call)
{
	struct piece_work work = { state, call, trace_of(state, call) };

	for_pieces(&work, forward_piece);
}

static void backward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	(void)state;
	if (call->dx.space != LF_VIEW_NONE)
		lf_linear_backward(call->linear, job, call->tokens, call->dy, call->dx,
				   LF_MVM_ACCUMULATE);
}

static void backward_piece(void *argument, size_t piece)
{
	const struct piece_work *work = argument;
	const struct lora *lora = work->lora;
	const struct lora_site *site = &lora->sites[lora->site_of[work->call->index]];
	const struct lf_simd_ops *simd = work->call->simd;
	size_t rank = lora->options.rank, first = piece * PIECE, rows = piece_rows(work, piece);
	float *v = work->rows + first * rank;

	simd->matmul_nt(lf_rows_out_of(v, rank),
			lf_rows_of(work->call->dy_data + first * site->outputs, site->outputs),
			lf_rows_of(lora->transposed + site->b, site->outputs), lora->scale, NULL,
			rows, rank, site->outputs);
	if (work->call->dx_data)
		simd->matmul_nn(
			lf_rows_out_of(work->call->dx_data + first * site->inputs, site->inputs),
			lf_rows_of(v, rank),
			lf_rows_of(lora->method.groups[MATRICES_A].values + site->a, site->inputs),
			true, rows, site->inputs, rank);
}

static void backward_done(void *state, const struct lf_hook_call *call)
{
	struct lora *lora = state;
	const struct lora_site *site = &lora->sites[lora->site_of[call->index]];
	const struct lf_simd_ops *simd = call->simd;
	size_t rank = lora->options.rank;
	struct piece_work work = { lora, call, lora->work };
	float *z = trace_of(lora, call);

	for_pieces(&work, backward_piece);
	simd->matmul_tn(
		lf_rows_out_of(lora->method.groups[MATRICES_A].gradients + site->a, site->inputs),
		lf_rows_of(lora->work, rank), lf_rows_of(call->x_data, site->inputs), true, rank,
		site->inputs, call->tokens);
	/* The trace is used up: its rows may be scaled in place. */
	simd->scale(z, z, lora->scale, call->tokens * rank);
	simd->matmul_tn(lf_rows_out_of(lora->method.groups[MATRICES_B].gradients + site->b, rank),
			lf_rows_of(call->dy_data, site->outputs), lf_rows_of(z, rank), true,
			site->outputs, rank, call->tokens);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = forward_done,
	.backward = backward,
	.backward_done = backward_done,
};

/* A uniform in +-1 / sqrt(inputs) (Kaiming's rule as PEFT applies it), B zero. */
static int start(struct lf_method *method, uint64_t seed, struct lf_error *error)
{
	struct lora *lora = lora_of(method);
	struct lf_random random;

	(void)error;
	lf_random_seed(&random, seed, LF_RANDOM_START, 0);
	for (uint32_t at = 0; at < lora->site_count; at++) {
		const struct lora_site *site = &lora->sites[at];
		float *a = method->groups[MATRICES_A].values + site->a;
		float bound = 1.0f / number_root((float)site->inputs);

		for (size_t i = 0; i < (size_t)lora->options.rank * site->inputs; i++)
			a[i] = lf_random_uniform(&random, bound);
	}
	memset(method->groups[MATRICES_B].values, 0,
	       method->groups[MATRICES_B].count * sizeof(float));
	return 0;
}

static int prepare(struct lf_method *method, struct lf_error *error)
{
	struct lora *lora = lora_of(method);
	size_t rank = lora->options.rank;

	(void)error;
	for (uint32_t at = 0; at < lora->site_count; at++) {
		const struct lora_site *site = &lora->sites[at];
		const float *b = method->groups[MATRICES_B].values + site->b;
		float *transposed = lora->transposed + site->b;

		for (size_t o = 0; o < site->outputs; o++)
			for (size_t k = 0; k < rank; k++)
				transposed[k * site->outputs + o] = b[o * rank + k];
	}
	return 0;
}

static void destroy(struct lf_method *method)
{
	struct lora *lora = lora_of(method);

	free(lora->sites);
	free(lora->site_of);
	free(lora->transposed);
	free(lora->traces);
	free(lora->work);
	free(lora);
}

static const struct lf_method_ops method_ops = {
	.name = "lora",
	.start = start,
	.prepare = prepare,
	.destroy = destroy,
};

static void find_sites(struct lora *lora)
{
	const struct lf_bert_config *config = &lora->method.encoder->config;
	struct lf_parameters *groups = lora->method.groups;

	for (uint32_t index = 0; index < lf_bert_linears(config); index++) {
		struct lora_site *site = &lora->sites[lora->site_count];

		lora->site_of[index] = UINT32_MAX;
		if (!(lora->options.targets & (1u << index % LF_BLOCK_LINEARS)))
			continue;
		site->index = index;
		lf_linear_shape(config, index, &site->inputs, &site->outputs);
		site->a = groups[MATRICES_A].count;
		site->b = groups[MATRICES_B].count;
		groups[MATRICES_A].count += (size_t)lora->options.rank * site->inputs;
		groups[MATRICES_B].count += (size_t)lora->options.rank * site->outputs;
		lora->site_of[index] = lora->site_count++;
	}
}

int lf_lora_create(struct lf_encoder *encoder, const struct lf_lora_options *options,
		   struct lf_method **method, struct lf_error *error)
{
	uint32_t linears = lf_bert_linears(&encoder->config);
	struct lora *lora;
	int ret;

	if (!options->rank || options->rank > LF_ADAPTER_MAX_RANK)
		return lf_error_set(error, -EINVAL, "lora: rank %u: 1 to %u", options->rank,
				    LF_ADAPTER_MAX_RANK);
	if (!options->targets || options->targets >> LF_TARGETS)
		return lf_error_set(error, -EINVAL, "lora: no layer is targeted");
	lora = calloc(1, sizeof(*lora));
	if (!lora)
		return lf_error_set(error, -ENOMEM, "lora: no memory");
	lora->method.ops = &method_ops;
	lora->method.encoder = encoder;
	lora->method.hook = (struct lf_hook){ &hook_ops, lora };
	lora->method.group_count = GROUPS;
	lora->method.groups[MATRICES_A] =
		(struct lf_parameters){ .name = "lora_A", .learning_rate = options->rate };
	lora->method.groups[MATRICES_B] =
		(struct lf_parameters){ .name = "lora_B", .learning_rate = options->rate };
	lora->options = *options;
	lora->scale = (float)(options->alpha / options->rank);
	lora->lane_tokens = encoder_lane_tokens(encoder);
	lora->sites = calloc(linears, sizeof(*lora->sites));
	lora->site_of = malloc(linears * sizeof(*lora->site_of));
	if (!lora->sites || !lora->site_of) {
		ret = lf_error_set(error, -ENOMEM, "lora: no memory");
		goto fail;
	}
	find_sites(lora);
	lora->transposed = malloc(lora->method.groups[MATRICES_B].count * sizeof(float));
	lora->traces = malloc((size_t)LF_ENCODER_LANES * lora->site_count * lora->lane_tokens *
			      options->rank * sizeof(float));
	lora->work = malloc((size_t)lora->lane_tokens * options->rank * sizeof(float));
	if (!lora->transposed || !lora->traces || !lora->work) {
		ret = lf_error_set(error, -ENOMEM, "lora: no memory");
		goto fail;
	}
	ret = lf_method_allocate(&lora->method, error);
	if (ret)
		goto fail;
	*method = &lora->method;
	return 0;
fail:
	lf_method_free(&lora->method);
	return ret;
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
		for (; count < lora->site_count; count++)
			names[count] = paths[count];
		return count;
	}
	for (enum lf_target target = 0; target < LF_TARGETS; target++)
		if (targets & (1u << target))
			names[count++] = lf_target_name(target);
	return count;
}

int lf_lora_write(const struct lf_method *method, const char *directory, const char *base_model,
		  struct lf_error *error)
{
	const struct lora *lora = lora_of(method);
	struct lf_adapter_description description = { .base_model = base_model,
						      .dtype = LF_DTYPE_F16 };
	struct lf_adapter_layer *layers;
	char(*paths)[LF_LINEAR_PATH_BYTES];
	const char **names;
	int ret;

	if (method->ops != &method_ops)
		return lf_error_set(error, -EINVAL, "%s is not a LoRA", method->ops->name);
	layers = calloc(lora->site_count, sizeof(*layers));
	paths = calloc(lora->site_count, sizeof(*paths));
	names = calloc(lora->site_count + LF_TARGETS, sizeof(*names));
	if (!layers || !paths || !names) {
		ret = lf_error_set(error, -ENOMEM, "lora: no memory");
		goto out;
	}
	for (uint32_t at = 0; at < lora->site_count; at++) {
		const struct lora_site *site = &lora->sites[at];

		lf_linear_path(site->index, paths[at]);
		layers[at] = (struct lf_adapter_layer){
			.path = paths[at],
			.inputs = site->inputs,
			.outputs = site->outputs,
			.rank = lora->options.rank,
			.scale = lora->scale,
			.a = method->groups[MATRICES_A].values + site->a,
			.b = method->groups[MATRICES_B].values + site->b,
		};
	}
	description.target_modules = names;
	description.target_count = name_targets(lora, paths, names);
	description.rank = lora->options.rank;
	description.alpha = (float)lora->options.alpha;
	ret = lf_adapter_write(directory, &description, layers, lora->site_count, error);
out:
	free(layers);
	free(paths);
	free(names);
	return ret;
}
