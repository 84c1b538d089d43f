// SPDX-License-Identifier: MIT
/*
 * The backward pass: the stages of forward.c in reverse, down to the lowest adapted group. The frozen weights need no gradient, so
 * a frozen layer is one transposed read.
 */
#include <errno.h>

#include "runtime/nn/encoder.h"
#include "runtime/nn/pipeline.h"

/* dx = the gradient through the first (0) or second (1) norm of a block. */
static void norm_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows, int which,
		      float *dx, const float *dy)
{
	const struct lf_encoder *encoder = work->encoder;
	size_t hidden = encoder->config.hidden_size;
	enum lf_region normalised = which ? LF_REGION_NORM2 : LF_REGION_NORM1;
	enum lf_region rstd = which ? LF_REGION_RSTD2 : LF_REGION_RSTD1;

	encoder->simd->layer_norm_backward(
		lf_rows_out_of(dx + first * hidden, hidden),
		lf_rows_of(dy + first * hidden, hidden),
		lf_lane_data(work->lane, normalised, work->block) + first * hidden,
		lf_lane_data(work->lane, rstd, work->block) + first,
		encoder->norms[2 * work->block + which].gamma, rows, hidden);
}

static void second_norm_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	const struct lf_encoder *encoder = work->encoder;
	size_t hidden = encoder->config.hidden_size;
	float *dx = lf_lane_data(work->lane, LF_REGION_DX, work->block);

	/* Above this block, its output went into a linear group and, by the residual, into a norm. */
	if (work->block + 1 < encoder->config.num_hidden_layers)
		encoder->simd->add(dx + first * hidden, dx + first * hidden,
				   lf_lane_data(work->lane, LF_REGION_DATTENTION, work->block + 1) +
					   first * hidden,
				   rows * hidden);
	norm_rows(work, first, rows, 1, lf_lane_data(work->lane, LF_REGION_DOUTPUT, work->block),
		  dx);
}

static void first_norm_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	size_t hidden = work->encoder->config.hidden_size;
	float *dhidden = lf_lane_data(work->lane, LF_REGION_DHIDDEN, work->block);

	work->encoder->simd->add(dhidden + first * hidden, dhidden + first * hidden,
				 lf_lane_data(work->lane, LF_REGION_DOUTPUT, work->block) +
					 first * hidden,
				 rows * hidden);
	norm_rows(work, first, rows, 0, lf_lane_data(work->lane, LF_REGION_DATTENTION, work->block),
		  dhidden);
}

static void activation_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	size_t inner = work->encoder->config.intermediate_size;
	size_t at = first * inner;

	work->encoder->simd->mul(lf_lane_data(work->lane, LF_REGION_DINNER, work->block) + at,
				 lf_lane_data(work->lane, LF_REGION_DACTIVATED, work->block) + at,
				 lf_lane_data(work->lane, LF_REGION_SLOPE, work->block) + at,
				 rows * inner);
}

static void attention_head(const struct lf_head_work *work, uint32_t sequence, uint32_t head)
{
	const struct lf_lane *lane = work->lane;
	uint32_t block = work->block;
	size_t hidden = work->encoder->config.hidden_size;
	size_t offset = encoder_head_offset(work, sequence, head);
	struct lf_attention_shape shape = encoder_head_shape(work, sequence);

	work->encoder->simd->attention_backward(
		lf_rows_out_of(lf_lane_data(lane, LF_REGION_DQUERY, block) + offset, hidden),
		lf_rows_out_of(lf_lane_data(lane, LF_REGION_DKEY, block) + offset, hidden),
		lf_rows_out_of(lf_lane_data(lane, LF_REGION_DVALUE, block) + offset, hidden),
		lf_rows_of(lf_lane_data(lane, LF_REGION_DCONTEXT, block) + offset, hidden),
		lf_rows_of(lf_lane_data(lane, LF_REGION_QUERY, block) + offset, hidden),
		lf_rows_of(lf_lane_data(lane, LF_REGION_KEY, block) + offset, hidden),
		lf_rows_of(lf_lane_data(lane, LF_REGION_VALUE, block) + offset, hidden),
		encoder_head_scores(work, LF_REGION_PROBABILITY, sequence, head),
		encoder_head_scores(work, LF_REGION_DSCORE, sequence, head), &shape);
}

/*
 * Where the layers of a group leave the gradient to their input: a lone frozen layer writes it, others add theirs
 * up in scratch, which starts as zeros.
 */
static struct lf_view group_slot(const struct lf_encoder *encoder, const struct lf_lane *lane,
				 const struct lf_hook_call *call)
{
	bool alone = encoder_group(call->index % LF_BLOCK_LINEARS) != LF_GROUP_ATTENTION;

	if (alone && !encoder_adapts(encoder, call->index))
		return call->dx;
	return lf_view_scratch(lf_job_scratch(lane->job, (uint64_t)call->dx.stride * call->tokens),
			       call->dx.stride);
}

/*
 * Submits the transposed reads of a group. The lowest group has nobody below it that wants a gradient, so its frozen layers are
 * left out.
 */
static int submit_group(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t group,
			struct lf_error *error)
{
	uint32_t first = group / LF_GROUPS * LF_BLOCK_LINEARS;
	struct lf_view dx = { 0 }, slot = { 0 };
	uint32_t inputs = 0;

	lf_job_begin(lane->job, encoder->job_number++);
	for (uint32_t kind = 0; kind < LF_BLOCK_LINEARS; kind++) {
		struct lf_hook_call call;

		if (encoder_group(kind) != group % LF_GROUPS)
			continue;
		call = encoder_call(encoder, lane, first + kind);
		if (call.dx.space != LF_VIEW_NONE) {
			dx = call.dx;
			inputs = call.linear->inputs;
			if (slot.space == LF_VIEW_NONE)
				slot = group_slot(encoder, lane, &call);
			call.dx = slot;
		}
		if (encoder_adapts(encoder, call.index))
			encoder->hook.ops->backward(encoder->hook.state, lane->job, &call);
		else if (slot.space != LF_VIEW_NONE)
			lf_linear_backward(call.linear, lane->job, call.tokens, call.dy, slot,
					   slot.space == LF_VIEW_SCRATCH ? LF_MVM_ACCUMULATE : 0);
	}
	if (slot.space == LF_VIEW_SCRATCH)
		lf_job_copy(lane->job, lane->tokens, inputs, slot, dx);
	return lf_lane_submit(lane, error);
}

static int finish_group(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t group,
			struct lf_error *error)
{
	uint32_t first = group / LF_GROUPS * LF_BLOCK_LINEARS;
	int ret = lf_lane_wait(lane, error);

	if (ret)
		return lf_error_prefix(error, ret, "%s/layer.%u.%s, backward", encoder->name,
				       group / LF_GROUPS, encoder_group_name(group % LF_GROUPS));
	for (uint32_t kind = 0; kind < LF_BLOCK_LINEARS; kind++)
		if (encoder_group(kind) == group % LF_GROUPS &&
		    encoder_adapts(encoder, first + kind)) {
			struct lf_hook_call call = encoder_call(encoder, lane, first + kind);

			encoder->hook.ops->backward_done(encoder->hook.state, &call);
		}
	return 0;
}

/* Stage s finishes the group above and submits group last - s. */
static int backward_stage(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t stage,
			  struct lf_error *error)
{
	uint32_t groups = encoder->config.num_hidden_layers * LF_GROUPS;
	uint32_t group = groups - 1 - stage;
	struct lf_row_work rows = { .encoder = encoder, .lane = lane, .block = group / LF_GROUPS };
	struct lf_head_work heads = {
		.encoder = encoder, .lane = lane, .block = group / LF_GROUPS, .body = attention_head
	};
	int ret;

	if (stage) {
		ret = finish_group(encoder, lane, group + 1, error);
		if (ret)
			return ret;
	}
	if (stage == groups - encoder->lowest_group)
		return 0;
	switch ((enum lf_group)(group % LF_GROUPS)) {
	case LF_GROUP_ATTENTION:
		encoder_for_heads(&heads);
		break;
	case LF_GROUP_PROJECTION:
		rows.body = first_norm_rows;
		encoder_for_rows(&rows);
		break;
	case LF_GROUP_INNER:
		rows.body = activation_rows;
		encoder_for_rows(&rows);
		break;
	default:
		rows.body = second_norm_rows;
		encoder_for_rows(&rows);
		break;
	}
	return submit_group(encoder, lane, group, error);
}

/* The gradient to the last block's output, from that to the unit vectors. */
static void spread_gradient(const struct lf_encoder *encoder, const struct lf_lane *lane,
			    const float *gradient)
{
	size_t hidden = encoder->config.hidden_size;
	float *dx = lf_lane_data(lane, LF_REGION_DX, encoder->config.num_hidden_layers - 1);

	for (uint32_t sequence = 0; sequence < lane->sequences; sequence++) {
		uint32_t at = lane->first_sequence + sequence;
		float *first = dx + lane_first_token(lane, sequence) * hidden;
		float *dpooled = encoder->gradient + at * hidden;

		encoder->simd->normalise_backward(dpooled, gradient + at * hidden,
						  encoder->pooled + at * hidden,
						  encoder->pooled_inverse[at], hidden);
		encoder->simd->mean_pool_backward(lf_rows_out_of(first, hidden), dpooled,
						  lane_sequence_tokens(lane, sequence), hidden);
	}
}

int lf_encoder_backward(struct lf_encoder *encoder, const float *gradient, struct lf_error *error)
{
	uint32_t groups = encoder->config.num_hidden_layers * LF_GROUPS;

	if (!encoder->training || encoder->lowest_group >= groups)
		return lf_error_set(error, -EINVAL,
				    "backward pass: no method is attached for training");
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		spread_gradient(encoder, &encoder->lanes[lane], gradient);
	return lf_pipeline_run(encoder, groups - encoder->lowest_group + 1, backward_stage, error);
}
