// SPDX-License-Identifier: MIT
/*
 * The forward pass. It is a row of stages, each of which finishes a job, does the host's math behind it and
 * submits the next job; every stage is taken for one lane after the other, so that the host works on one lane
 * while the device multiplies the other.
 */
#include <errno.h>
#include <string.h>

#include "runtime/io/float16.h"
#include "runtime/nn/encoder.h"
#include "runtime/nn/pipeline.h"

static void embed_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	const struct lf_encoder *encoder = work->encoder;
	const struct lf_lane *lane = work->lane;
	size_t hidden = encoder->config.hidden_size;
	float *x = lf_lane_data(lane, LF_REGION_X, 0) + first * hidden;
	uint32_t sequence = 0;

	for (uint32_t row = 0; row < rows; row++) {
		uint32_t token = first + row;
		const float *word = encoder->words + (size_t)lane->ids[token] * hidden;

		while (lane_first_token(lane, sequence + 1) <= token)
			sequence++;
		encoder->simd->add(x + row * hidden, word,
				   encoder->positions +
					   (token - lane_first_token(lane, sequence)) * hidden,
				   hidden);
	}
	encoder->simd->layer_norm(
		lf_rows_out_of(x, hidden), lf_lane_data(lane, LF_REGION_NORM1, 0) + first * hidden,
		NULL, lf_rows_of(x, hidden), lf_rows_of(NULL, 0), encoder->embedding_norm.gamma,
		encoder->embedding_norm.beta, rows, hidden, encoder->config.layer_norm_eps);
}

static void attention_head(const struct lf_head_work *work, uint32_t sequence, uint32_t head)
{
	const struct lf_encoder *encoder = work->encoder;
	const struct lf_lane *lane = work->lane;
	size_t hidden = encoder->config.hidden_size;
	size_t offset = encoder_head_offset(work, sequence, head);
	struct lf_attention_shape shape = encoder_head_shape(work, sequence);

	encoder->simd->attention(
		lf_rows_out_of(lf_lane_data(lane, LF_REGION_CONTEXT, work->block) + offset, hidden),
		encoder_head_scores(work, LF_REGION_PROBABILITY, sequence, head),
		lf_rows_of(lf_lane_data(lane, LF_REGION_QUERY, work->block) + offset, hidden),
		lf_rows_of(lf_lane_data(lane, LF_REGION_KEY, work->block) + offset, hidden),
		lf_rows_of(lf_lane_data(lane, LF_REGION_VALUE, work->block) + offset, hidden),
		&shape);
}

/* out = norm(x + residual) for the first (0) or second (1) norm of a block. */
static void norm_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows, int which,
		      float *out, const float *x, const float *residual)
{
	const struct lf_encoder *encoder = work->encoder;
	const struct lf_norm *norm = &encoder->norms[2 * work->block + which];
	size_t hidden = encoder->config.hidden_size;
	enum lf_region normalised = which ? LF_REGION_NORM2 : LF_REGION_NORM1;
	enum lf_region rstd = which ? LF_REGION_RSTD2 : LF_REGION_RSTD1;

	encoder->simd->layer_norm(lf_rows_out_of(out + first * hidden, hidden),
				  lf_lane_data(work->lane, normalised, work->block) +
					  first * hidden,
				  lf_lane_data(work->lane, rstd, work->block) + first,
				  lf_rows_of(x + first * hidden, hidden),
				  lf_rows_of(residual + first * hidden, hidden), norm->gamma,
				  norm->beta, rows, hidden, encoder->config.layer_norm_eps);
}

static void first_norm_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	norm_rows(work, first, rows, 0, lf_lane_data(work->lane, LF_REGION_HIDDEN, work->block),
		  lf_lane_data(work->lane, LF_REGION_ATTENTION, work->block),
		  lf_lane_data(work->lane, LF_REGION_X, work->block));
}

static void second_norm_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	norm_rows(work, first, rows, 1, lf_lane_data(work->lane, LF_REGION_X, work->block + 1),
		  lf_lane_data(work->lane, LF_REGION_OUTPUT, work->block),
		  lf_lane_data(work->lane, LF_REGION_HIDDEN, work->block));
}

static void activate_rows(const struct lf_row_work *work, uint32_t first, uint32_t rows)
{
	const struct lf_encoder *encoder = work->encoder;
	size_t inner = encoder->config.intermediate_size;
	size_t at = first * inner;
	float *slope =
		encoder->training ? lf_lane_data(work->lane, LF_REGION_SLOPE, work->block) : NULL;

	encoder->simd->gelu(lf_lane_data(work->lane, LF_REGION_ACTIVATED, work->block) + at,
			    slope ? slope + at : NULL,
			    lf_lane_data(work->lane, LF_REGION_INNER, work->block) + at,
			    rows * inner);
}

static void pool_sentences(struct lf_encoder *encoder, const struct lf_lane *lane)
{
	size_t hidden = encoder->config.hidden_size;
	const float *x = lf_lane_data(lane, LF_REGION_X, encoder->config.num_hidden_layers);

	for (uint32_t sequence = 0; sequence < lane->sequences; sequence++) {
		uint32_t at = lane->first_sequence + sequence;
		float *pooled = encoder->pooled + at * hidden;

		encoder->simd->mean_pool(
			pooled, lf_rows_of(x + lane_first_token(lane, sequence) * hidden, hidden),
			lane_sequence_tokens(lane, sequence), hidden);
		encoder->pooled_inverse[at] = encoder->simd->normalise(pooled, pooled, hidden);
	}
}

/* Submits the job of a group of linear layers that share an input. */
static int submit_group(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t block,
			enum lf_group group, struct lf_error *error)
{
	lf_job_begin(lane->job, encoder->job_number++);
	for (uint32_t kind = 0; kind < LF_BLOCK_LINEARS; kind++) {
		uint32_t index = block * LF_BLOCK_LINEARS + kind;
		struct lf_hook_call call;

		if (encoder_group(kind) != group)
			continue;
		call = encoder_call(encoder, lane, index);
		if (encoder_adapts(encoder, index))
			encoder->hook.ops->forward(encoder->hook.state, lane->job, &call);
		else
			lf_linear_forward(call.linear, lane->job, call.tokens, call.x, call.y,
					  call.linear->bias, 0);
	}
	return lf_lane_submit(lane, error);
}

/* Shows a finished layer to the tap. */
static void show_layer(const struct lf_encoder *encoder, const struct lf_hook_call *call)
{
	const struct lf_view *bias = &call->linear->bias;
	struct lf_activity activity = {
		.layer = call->index,
		.tokens = call->tokens,
		.inputs = call->linear->inputs,
		.outputs = call->linear->outputs,
		.x = call->x_data,
		.y = call->y_data,
	};

	if (bias->space != LF_VIEW_NONE)
		activity.bias =
			(const float *)((char *)lf_buffer_data(bias->buffer) + bias->offset);
	encoder->tap(encoder->tap_argument, &activity);
}

/* Waits for the job of a group and lets the hook finish its layers. */
static int finish_group(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t block,
			enum lf_group group, struct lf_error *error)
{
	int ret = lf_lane_wait(lane, error);

	if (ret)
		return lf_error_prefix(error, ret, "%s/layer.%u.%s, forward", encoder->name, block,
				       encoder_group_name(group));
	for (uint32_t kind = 0; kind < LF_BLOCK_LINEARS; kind++) {
		uint32_t index = block * LF_BLOCK_LINEARS + kind;
		struct lf_hook_call call;

		if (encoder_group(kind) != group)
			continue;
		call = encoder_call(encoder, lane, index);
		if (encoder_adapts(encoder, index))
			encoder->hook.ops->forward_done(encoder->hook.state, &call);
		if (encoder->tap)
			show_layer(encoder, &call);
	}
	return 0;
}

/* Stage s finishes group s - 1 of all groups in their order, and submits group s. */
static int forward_stage(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t stage,
			 struct lf_error *error)
{
	uint32_t block = stage / LF_GROUPS;
	struct lf_row_work rows = { .encoder = encoder, .lane = lane, .block = block };
	struct lf_head_work heads = {
		.encoder = encoder, .lane = lane, .block = block, .body = attention_head
	};
	int ret;

	if (stage) {
		ret = finish_group(encoder, lane, (stage - 1) / LF_GROUPS, (stage - 1) % LF_GROUPS,
				   error);
		if (ret)
			return ret;
	}
	switch ((enum lf_group)(stage % LF_GROUPS)) {
	case LF_GROUP_ATTENTION:
		rows.body = stage ? second_norm_rows : embed_rows;
		rows.block = stage ? block - 1 : 0;
		encoder_for_rows(&rows);
		break;
	case LF_GROUP_PROJECTION:
		encoder_for_heads(&heads);
		break;
	case LF_GROUP_INNER:
		rows.body = first_norm_rows;
		encoder_for_rows(&rows);
		break;
	default:
		rows.body = activate_rows;
		encoder_for_rows(&rows);
		break;
	}
	if (block == encoder->config.num_hidden_layers) {
		pool_sentences(encoder, lane);
		return 0;
	}
	return submit_group(encoder, lane, block, stage % LF_GROUPS, error);
}

static int check_batch(const struct lf_encoder *encoder, const struct lf_batch *batch,
		       struct lf_error *error)
{
	if (!encoder->lanes[0].job)
		return lf_error_set(error, -EINVAL,
				    "forward pass: attaching the last method has failed");
	if (!batch->sequences || batch->sequences > encoder->options.batch_sequences)
		return lf_error_set(error, -EINVAL, "batch: %u sequences, 1 to %u fit",
				    batch->sequences, encoder->options.batch_sequences);
	for (uint32_t sequence = 0; sequence < batch->sequences; sequence++) {
		uint32_t first = batch->start[sequence], end = batch->start[sequence + 1];

		if (end <= first || end - first > encoder->options.sequence_tokens)
			return lf_error_set(
				error, -EINVAL, "batch: sequence %u has %lld tokens, 1 to %u fit",
				sequence, (long long)end - first, encoder->options.sequence_tokens);
		for (uint32_t token = first; token < end; token++)
			if (batch->tokens[token] >= encoder->config.vocab_size)
				return lf_error_set(error, -EINVAL,
						    "batch: token %u is not in the vocabulary",
						    batch->tokens[token]);
	}
	return 0;
}

/* Cuts the batch where its tokens are halved; the second lane is empty for a single sentence. */
static void split_batch(struct lf_encoder *encoder, const struct lf_batch *batch)
{
	uint32_t half = batch->start[0] + (batch->start[batch->sequences] - batch->start[0]) / 2;
	uint32_t first = 0;

	for (uint32_t number = 0; number < LF_ENCODER_LANES; number++) {
		struct lf_lane *lane = &encoder->lanes[number];
		uint32_t end = first;

		while (end < batch->sequences &&
		       (number || batch->start[end] < half || end == first))
			end++;
		lane->first_sequence = first;
		lane->sequences = end - first;
		lane->start = batch->start + first;
		lane->tokens = batch->start[end] - batch->start[first];
		lane->ids = batch->tokens + batch->start[first];
		first = end;
	}
}

int lf_pipeline_run(struct lf_encoder *encoder, uint32_t stages, lf_pipeline_stage stage,
		    struct lf_error *error)
{
	int ret = 0;

	for (uint32_t number = 0; !ret && number < stages; number++)
		for (uint32_t lane = 0; !ret && lane < LF_ENCODER_LANES; lane++)
			if (encoder->lanes[lane].sequences)
				ret = stage(encoder, &encoder->lanes[lane], number, error);
	/* After a failure the other lane may still be at work on memory that the caller takes back. */
	for (uint32_t lane = 0; ret && lane < LF_ENCODER_LANES; lane++)
		lf_lane_wait(&encoder->lanes[lane], NULL);
	return ret;
}

const char *encoder_group_name(enum lf_group group)
{
	static const char *const names[LF_GROUPS] = {
		[LF_GROUP_ATTENTION] = "attention.self",
		[LF_GROUP_PROJECTION] = "attention.output.dense",
		[LF_GROUP_INNER] = "intermediate.dense",
		[LF_GROUP_OUTPUT] = "output.dense",
	};

	return names[group];
}

int lf_encoder_forward(struct lf_encoder *encoder, const struct lf_batch *batch, float *embeddings,
		       struct lf_error *error)
{
	size_t count;
	int ret;

	ret = check_batch(encoder, batch, error);
	if (ret)
		return ret;
	split_batch(encoder, batch);
	ret = lf_pipeline_run(encoder, encoder->config.num_hidden_layers * LF_GROUPS + 1,
			      forward_stage, error);
	if (ret)
		return ret;
	count = batch->sequences * (size_t)encoder->config.hidden_size;
	/* The device refuses NaN and Inf in what it reads; nothing reads the last layer's output. */
	if (!float_is_finite(encoder->simd->absmax(encoder->pooled, count)))
		return lf_error_set(error, -EDOM,
				    "%s/layer.%u.%s, forward: NaN or Inf follows from its output",
				    encoder->name, encoder->config.num_hidden_layers - 1,
				    encoder_group_name(LF_GROUP_OUTPUT));
	memcpy(embeddings, encoder->pooled, count * sizeof(float));
	return 0;
}
