// SPDX-License-Identifier: MIT
/*
 * LoRA on crossbars (see lora.c for the formulas): A and s B are matrices of the device, so z = A x, s B z, v = s B^T dy and A^T v are
 * reads with all that a read does, rounding of vectors and weights among it. dA = v^T x and dB = s dy^T z are the host's, from what was
 * read; to the parameters the rounding of levels counts as the identity (straight through, 1308.3432).
 */
#include <errno.h>
#include <stdlib.h>

#include "runtime/adapt/lora.h"

/* Which of a layer's two traces. */
enum { TRACE_Z, TRACE_V, TRACES };

static struct lf_view trace_view(const struct lora *lora, const struct lf_hook_call *call,
				 uint32_t which)
{
	uint32_t stride = lora->options.rank * (uint32_t)sizeof(float);
	uint64_t number = (uint64_t)lora->sites.of[call->index] * TRACES + which;

	return lf_view_buffer(lora->crossbars->lanes[call->lane],
			      number * lora->lane_tokens * stride, stride);
}

void lora_crossbars_forward(const struct lora *lora, struct lf_job *job,
			    const struct lf_hook_call *call)
{
	uint32_t at = lora->sites.of[call->index], rank = lora->options.rank;
	struct lf_view none = { 0 };
	struct lf_view h = lf_view_slot(job, call->tokens, call->linear->outputs);
	struct lf_view z = lf_view_slot(job, call->tokens, rank);

	lf_linear_forward(call->linear, job, call->tokens, call->x, h, none, 0);
	lf_linear_forward(&lora->crossbars->a[at].linear, job, call->tokens, call->x, z, none, 0);
	if (call->training)
		lf_job_copy(job, call->tokens, rank, z, trace_view(lora, call, TRACE_Z));
	lf_linear_forward(&lora->crossbars->b[at].linear, job, call->tokens, z, h, none,
			  LF_MVM_ACCUMULATE);
	lf_scaled_forward(job, call, h, none, call->linear->bias);
}

void lora_crossbars_backward(const struct lora *lora, struct lf_job *job,
			     const struct lf_hook_call *call)
{
	uint32_t at = lora->sites.of[call->index], rank = lora->options.rank;
	struct lf_view v = lf_view_slot(job, call->tokens, rank);

	lf_linear_backward(&lora->crossbars->b[at].linear, job, call->tokens, call->dy, v, 0);
	lf_job_copy(job, call->tokens, rank, v, trace_view(lora, call, TRACE_V));
	if (call->dx.space == LF_VIEW_NONE)
		return;
	lf_linear_backward(call->linear, job, call->tokens, call->dy, call->dx, LF_MVM_ACCUMULATE);
	lf_linear_backward(&lora->crossbars->a[at].linear, job, call->tokens, v, call->dx,
			   LF_MVM_ACCUMULATE);
}

void lora_crossbars_gradients(const struct lora *lora, const struct lf_hook_call *call)
{
	lora_add_gradients(lora, call, call->dy_data, lf_view_data(trace_view(lora, call, TRACE_Z)),
			   lf_view_data(trace_view(lora, call, TRACE_V)));
}

void lora_crossbars_sample(const struct lora *lora, const struct lf_hook_call *call, const float *z)
{
	uint32_t at = lora->sites.of[call->index];

	lf_placed_sample(&lora->crossbars->a[at], call->x_data, call->tokens);
	lf_placed_sample(&lora->crossbars->b[at],
			 z ? z : lf_view_data(trace_view(lora, call, TRACE_Z)), call->tokens);
}

uint32_t lora_crossbars_tensors(const struct lora *lora, struct lf_checkpoint_tensor *tensors)
{
	tensors[0] = (struct lf_checkpoint_tensor){
		.name = "samples_A",
		.rank = 1,
		.shape = { LF_PLACED_SAMPLES * lora->sites.inputs },
		.values = lora->crossbars->samples_a,
	};
	tensors[1] = (struct lf_checkpoint_tensor){
		.name = "samples_B",
		.rank = 1,
		.shape = { (uint64_t)LF_PLACED_SAMPLES * lora->sites.count * lora->options.rank },
		.values = lora->crossbars->samples_b,
	};
	return 2;
}

static int write_site(struct lora *lora, uint32_t at, struct lf_error *error)
{
	struct lora_crossbars *crossbars = lora->crossbars;
	const struct lf_site *site = &lora->sites.sites[at];
	struct lf_method *method = &lora->method;
	size_t rank = lora->options.rank;
	int ret;

	ret = lf_placed_write(&crossbars->a[at], method,
			      method->groups[LORA_A].values + rank * site->first_input, error);
	if (ret)
		return lf_error_prefix(error, ret, "A");
	method->encoder->simd->scale(crossbars->scaled,
				     method->groups[LORA_B].values + rank * site->first_output,
				     lora->scale, rank * site->outputs);
	ret = lf_placed_write(&crossbars->b[at], method, crossbars->scaled, error);
	return ret ? lf_error_prefix(error, ret, "B") : 0;
}

int lora_crossbars_write(struct lora *lora, struct lf_error *error)
{
	char layer[LF_ENCODER_LAYER_BYTES];

	for (uint32_t at = 0; at < lora->sites.count; at++) {
		int ret = write_site(lora, at, error);

		if (ret) {
			lf_encoder_layer_name(lora->sites.sites[at].index, layer);
			return lf_error_prefix(error, ret, "lora, %s", layer);
		}
	}
	return 0;
}

/* Where each matrix has its scales and samples; a device with fp32 cells has none. */
static void lay_out(struct lora *lora)
{
	struct lora_crossbars *crossbars = lora->crossbars;
	bool scaled = lf_device_weight_format(lora->method.encoder->device) == LF_FORMAT_INT8;
	uint64_t offset = 0;

	for (uint32_t at = 0; at < lora->sites.count; at++) {
		const struct lf_site *site = &lora->sites.sites[at];
		struct lf_linear *a = &crossbars->a[at].linear, *b = &crossbars->b[at].linear;

		a->inputs = site->inputs;
		a->outputs = lora->options.rank;
		b->inputs = lora->options.rank;
		b->outputs = site->outputs;
		crossbars->a[at].samples =
			crossbars->samples_a + LF_PLACED_SAMPLES * site->first_input;
		crossbars->b[at].samples =
			crossbars->samples_b + (size_t)LF_PLACED_SAMPLES * at * b->inputs;
		if (scaled) {
			a->scale = lf_view_buffer(crossbars->scales, offset, 0);
			offset += a->outputs * sizeof(float);
			b->scale = lf_view_buffer(crossbars->scales, offset, 0);
			offset += b->outputs * sizeof(float);
		}
	}
}

int lora_crossbars_create(struct lora *lora, struct lf_error *error)
{
	struct lf_device *device = lora->method.encoder->device;
	size_t rank = lora->options.rank, count = lora->sites.count;
	struct lora_crossbars *crossbars = calloc(1, sizeof(*crossbars));
	int ret;

	lora->crossbars = crossbars;
	if (crossbars) {
		crossbars->a = calloc(count, sizeof(*crossbars->a));
		crossbars->b = calloc(count, sizeof(*crossbars->b));
		crossbars->scaled =
			malloc(rank * lf_sites_widest_output(&lora->sites) * sizeof(float));
		crossbars->samples_a =
			calloc(LF_PLACED_SAMPLES * lora->sites.inputs, sizeof(float));
		crossbars->samples_b = calloc(LF_PLACED_SAMPLES * count * rank, sizeof(float));
	}
	if (!crossbars || !crossbars->a || !crossbars->b || !crossbars->scaled ||
	    !crossbars->samples_a || !crossbars->samples_b)
		return lf_error_set(error, -ENOMEM, "lora: no memory");
	ret = lf_buffer_create(device, (count * rank + lora->sites.outputs) * sizeof(float),
			       &crossbars->scales, error);
	for (uint32_t lane = 0; !ret && lane < LF_ENCODER_LANES; lane++)
		ret = lf_buffer_create(device,
				       TRACES * count * lora->lane_tokens * rank * sizeof(float),
				       &crossbars->lanes[lane], error);
	if (!ret)
		lay_out(lora);
	return ret;
}

void lora_crossbars_release(struct lora *lora)
{
	struct lora_crossbars *crossbars = lora->crossbars;

	if (!crossbars)
		return;
	for (uint32_t at = 0; at < lora->sites.count; at++) {
		if (crossbars->a)
			lf_placed_release(&crossbars->a[at]);
		if (crossbars->b)
			lf_placed_release(&crossbars->b[at]);
	}
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		lf_buffer_destroy(crossbars->lanes[lane]);
	lf_buffer_destroy(crossbars->scales);
	free(crossbars->a);
	free(crossbars->b);
	free(crossbars->scaled);
	free(crossbars->samples_a);
	free(crossbars->samples_b);
	free(crossbars);
	lora->crossbars = NULL;
}
