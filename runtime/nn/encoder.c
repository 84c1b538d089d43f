// SPDX-License-Identifier: MIT
/* Opening, attaching and closing an encoder, and how its host work is divided; see encoder.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/nn/encoder.h"
#include "runtime/simd/number.h"

/* Rows of tokens that one piece of host work covers. */
#define ROWS_A_PIECE 8

static int check_options(const struct lf_encoder *encoder, struct lf_error *error)
{
	const struct lf_encoder_options *options = &encoder->options;

	if (!options->batch_sequences || options->batch_sequences > 4096)
		return lf_error_set(error, -EINVAL, "batch_sequences %u: 1 to 4096",
				    options->batch_sequences);
	if (options->sequence_tokens < 2 ||
	    options->sequence_tokens > encoder->config.max_position_embeddings)
		return lf_error_set(error, -EINVAL, "sequence_tokens %u: the model takes 2 to %u",
				    options->sequence_tokens,
				    encoder->config.max_position_embeddings);
	if (encoder_lane_tokens(encoder) > lf_device_info(encoder->device)->batch)
		return lf_error_set(error, -EINVAL,
				    "batch_sequences %u of %u tokens: half a batch is up to %u "
				    "vectors, the device takes %u",
				    options->batch_sequences, options->sequence_tokens,
				    encoder_lane_tokens(encoder),
				    lf_device_info(encoder->device)->batch);
	return 0;
}

int lf_encoder_open(struct lf_device *device, const struct lf_encoder_options *options,
		    struct lf_encoder **encoder, struct lf_error *error)
{
	struct lf_encoder *e;
	size_t hidden;
	int ret;

	e = calloc(1, sizeof(*e));
	if (!e)
		return lf_error_set(error, -ENOMEM, "no memory for an encoder");
	if ((size_t)snprintf(e->directory, sizeof(e->directory), "%s", options->directory) >=
		    sizeof(e->directory) ||
	    (size_t)snprintf(e->name, sizeof(e->name), "%s", options->name) >= sizeof(e->name)) {
		ret = lf_error_set(error, -EINVAL, "model directory or name is too long");
		goto fail;
	}
	e->device = device;
	e->options = *options;
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		e->lanes[lane].number = lane;
	ret = lf_simd_ops_choose(options->simd, &e->simd, error);
	if (!ret)
		ret = lf_parallel_create(&e->parallel, options->threads, error);
	if (!ret)
		ret = lf_encoder_load(e, error);
	if (!ret)
		ret = check_options(e, error);
	if (ret)
		goto fail;
	hidden = e->config.hidden_size;
	e->pooled = malloc(options->batch_sequences * hidden * sizeof(float));
	e->pooled_inverse = malloc(options->batch_sequences * sizeof(float));
	e->gradient = malloc(options->batch_sequences * hidden * sizeof(float));
	if (!e->pooled || !e->pooled_inverse || !e->gradient) {
		ret = lf_error_set(error, -ENOMEM, "no memory for embeddings");
		goto fail;
	}
	ret = lf_encoder_attach(e, NULL, false, error);
	if (ret)
		goto fail;
	*encoder = e;
	return 0;
fail:
	lf_encoder_close(e);
	return ret;
}

void lf_encoder_close(struct lf_encoder *encoder)
{
	if (!encoder)
		return;
	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		lf_lane_release(&encoder->lanes[lane]);
	lf_encoder_unload(encoder);
	free(encoder->pooled);
	free(encoder->pooled_inverse);
	free(encoder->gradient);
	lf_parallel_destroy(encoder->parallel);
	free(encoder);
}

uint32_t lf_encoder_checksum(const struct lf_encoder *encoder)
{
	return encoder->checksum;
}

const struct lf_bert_config *lf_encoder_config(const struct lf_encoder *encoder)
{
	return &encoder->config;
}

uint32_t lf_encoder_layers(const struct lf_encoder *encoder)
{
	return lf_bert_linears(&encoder->config);
}

void lf_encoder_layer_name(uint32_t layer, char name[LF_ENCODER_LAYER_BYTES])
{
	char path[LF_LINEAR_PATH_BYTES];

	/* The path in the file without its first word. */
	lf_linear_path(layer, path);
	snprintf(name, LF_ENCODER_LAYER_BYTES, "%s", path + strlen("encoder."));
}

void lf_encoder_tap(struct lf_encoder *encoder,
		    void (*tap)(void *argument, const struct lf_activity *activity), void *argument)
{
	encoder->tap = tap;
	encoder->tap_argument = argument;
}

uint32_t encoder_lane_tokens(const struct lf_encoder *encoder)
{
	uint64_t tokens =
		(uint64_t)encoder->options.batch_sequences * encoder->options.sequence_tokens;

	/* A batch is cut where its tokens are halved, so a lane is at most one sequence over. */
	return (uint32_t)((tokens + 1) / 2 + encoder->options.sequence_tokens);
}

/* Regions that a backward pass needs of every block. */
static uint32_t kept_regions(const struct lf_encoder *encoder)
{
	uint32_t kept = 1u << LF_REGION_QUERY | 1u << LF_REGION_KEY | 1u << LF_REGION_VALUE |
			1u << LF_REGION_NORM1 | 1u << LF_REGION_NORM2 | 1u << LF_REGION_RSTD1 |
			1u << LF_REGION_RSTD2 | 1u << LF_REGION_SLOPE | 1u << LF_REGION_PROBABILITY;

	/* The input of an adapted layer is kept for the gradients of its parameters. */
	for (uint32_t index = 0; index < lf_bert_linears(&encoder->config); index++)
		if (encoder_adapts(encoder, index)) {
			static const enum lf_region input[LF_GROUPS] = {
				[LF_GROUP_ATTENTION] = LF_REGION_X,
				[LF_GROUP_PROJECTION] = LF_REGION_CONTEXT,
				[LF_GROUP_INNER] = LF_REGION_HIDDEN,
				[LF_GROUP_OUTPUT] = LF_REGION_ACTIVATED,
			};

			kept |= 1u << input[encoder_group(index % LF_BLOCK_LINEARS)];
		}
	return kept;
}

int lf_encoder_attach(struct lf_encoder *encoder, const struct lf_hook *hook, bool training,
		      struct lf_error *error)
{
	struct lf_lane_plan plan = { .config = &encoder->config,
				     .tokens = encoder_lane_tokens(encoder),
				     .sequence_tokens = encoder->options.sequence_tokens,
				     .training = training };
	int ret = 0;

	for (uint32_t lane = 0; lane < LF_ENCODER_LANES; lane++)
		lf_lane_release(&encoder->lanes[lane]);
	encoder->hook = hook ? *hook : (struct lf_hook){ 0 };
	encoder->training = training;
	encoder->lowest_group = UINT32_MAX;
	for (uint32_t index = 0; index < lf_bert_linears(&encoder->config); index++)
		if (encoder_adapts(encoder, index)) {
			encoder->lowest_group = index / LF_BLOCK_LINEARS * LF_GROUPS +
						encoder_group(index % LF_BLOCK_LINEARS);
			break;
		}
	if (training)
		plan.kept = kept_regions(encoder);
	for (uint32_t lane = 0; !ret && lane < LF_ENCODER_LANES; lane++)
		ret = lf_lane_create(&encoder->lanes[lane], encoder->device, &plan, error);
	/* Half of the lanes are no use: without any, a forward pass is refused. */
	for (uint32_t lane = 0; ret && lane < LF_ENCODER_LANES; lane++)
		lf_lane_release(&encoder->lanes[lane]);
	if (ret)
		encoder->hook = (struct lf_hook){ 0 };
	return ret;
}

struct lf_hook_call encoder_call(const struct lf_encoder *encoder, const struct lf_lane *lane,
				 uint32_t index)
{
	static const struct {
		enum lf_region x, y, dy, dx;
	} places[LF_BLOCK_LINEARS] = {
		[LF_LINEAR_QUERY] = { LF_REGION_X, LF_REGION_QUERY, LF_REGION_DQUERY,
				      LF_REGION_DX },
		[LF_LINEAR_KEY] = { LF_REGION_X, LF_REGION_KEY, LF_REGION_DKEY, LF_REGION_DX },
		[LF_LINEAR_VALUE] = { LF_REGION_X, LF_REGION_VALUE, LF_REGION_DVALUE,
				      LF_REGION_DX },
		[LF_LINEAR_ATTENTION_OUTPUT] = { LF_REGION_CONTEXT, LF_REGION_ATTENTION,
						 LF_REGION_DATTENTION, LF_REGION_DCONTEXT },
		[LF_LINEAR_INTERMEDIATE] = { LF_REGION_HIDDEN, LF_REGION_INNER, LF_REGION_DINNER,
					     LF_REGION_DHIDDEN },
		[LF_LINEAR_OUTPUT] = { LF_REGION_ACTIVATED, LF_REGION_OUTPUT, LF_REGION_DOUTPUT,
				       LF_REGION_DACTIVATED },
	};
	uint32_t block = index / LF_BLOCK_LINEARS;
	enum lf_block_linear kind = index % LF_BLOCK_LINEARS;
	uint32_t group = block * LF_GROUPS + encoder_group(kind);
	struct lf_hook_call call = {
		.linear = &encoder->linears[index],
		.index = index,
		.lane = lane->number,
		.tokens = lane->tokens,
		.x = lf_lane_view(lane, places[kind].x, block),
		.y = lf_lane_view(lane, places[kind].y, block),
		.x_data = lf_lane_data(lane, places[kind].x, block),
		.y_data = lf_lane_data(lane, places[kind].y, block),
		.training = encoder->training,
		.simd = encoder->simd,
		.parallel = encoder->parallel,
	};

	if (!encoder->training)
		return call;
	call.dy = lf_lane_view(lane, places[kind].dy, block);
	call.dy_data = lf_lane_data(lane, places[kind].dy, block);
	if (group > encoder->lowest_group) {
		call.dx = lf_lane_view(lane, places[kind].dx, block);
		call.dx_data = lf_lane_data(lane, places[kind].dx, block);
	}
	return call;
}

static void row_piece(void *argument, size_t index)
{
	const struct lf_row_work *work = argument;
	uint32_t first = (uint32_t)index * ROWS_A_PIECE;
	uint32_t rows = work->lane->tokens - first;

	work->body(work, first, rows < ROWS_A_PIECE ? rows : ROWS_A_PIECE);
}

void encoder_for_rows(const struct lf_row_work *work)
{
	lf_parallel_for(work->encoder->parallel,
			(work->lane->tokens + ROWS_A_PIECE - 1) / ROWS_A_PIECE, row_piece,
			(void *)work);
}

static void head_piece(void *argument, size_t index)
{
	const struct lf_head_work *work = argument;
	uint32_t heads = work->encoder->config.num_attention_heads;

	work->body(work, (uint32_t)index / heads, (uint32_t)index % heads);
}

void encoder_for_heads(const struct lf_head_work *work)
{
	lf_parallel_for(work->encoder->parallel,
			(size_t)work->lane->sequences * work->encoder->config.num_attention_heads,
			head_piece, (void *)work);
}

uint32_t lane_first_token(const struct lf_lane *lane, uint32_t sequence)
{
	return lane->start[sequence] - lane->start[0];
}

uint32_t lane_sequence_tokens(const struct lf_lane *lane, uint32_t sequence)
{
	return lane->start[sequence + 1] - lane->start[sequence];
}

float *encoder_head_scores(const struct lf_head_work *work, enum lf_region region,
			   uint32_t sequence, uint32_t head)
{
	uint32_t tokens = lane_sequence_tokens(work->lane, sequence);
	/* A token has room for a row of every head, so that sequences follow one another without overlap. */
	size_t room = (size_t)work->encoder->config.num_attention_heads *
		      work->encoder->options.sequence_tokens;

	return lf_lane_data(work->lane, region, work->block) +
	       lane_first_token(work->lane, sequence) * room + (size_t)head * tokens * tokens;
}

struct lf_attention_shape encoder_head_shape(const struct lf_head_work *work, uint32_t sequence)
{
	size_t width =
		work->encoder->config.hidden_size / work->encoder->config.num_attention_heads;

	return (struct lf_attention_shape){
		.tokens = lane_sequence_tokens(work->lane, sequence),
		.width = width,
		.scale = 1.0f / number_root((float)width),
	};
}

size_t encoder_head_offset(const struct lf_head_work *work, uint32_t sequence, uint32_t head)
{
	size_t hidden = work->encoder->config.hidden_size;

	return lane_first_token(work->lane, sequence) * hidden +
	       head * (hidden / work->encoder->config.num_attention_heads);
}
