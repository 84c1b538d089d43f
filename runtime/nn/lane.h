/* SPDX-License-Identifier: MIT */
/*
 * A lane: one micro-batch with its job and its memory. What jobs read or write lies in one device buffer, what only the
 * host needs in one allocation; both are divided into regions of [tokens][width], once or once a block.
 */
#ifndef LF_RUNTIME_NN_LANE_H
#define LF_RUNTIME_NN_LANE_H

#include <lf/encoder.h>
#include <lf/job.h>

/* In the comments, H is the hidden size and I the intermediate one. */
enum lf_region {
	/* Read or written by jobs. */
	LF_REGION_X,	     /* [H] input of the block; one more than blocks */
	LF_REGION_QUERY,     /* [H] */
	LF_REGION_KEY,	     /* [H] */
	LF_REGION_VALUE,     /* [H] */
	LF_REGION_CONTEXT,   /* [H] attention's result */
	LF_REGION_ATTENTION, /* [H] after attention's output layer */
	LF_REGION_HIDDEN,    /* [H] after the first norm */
	LF_REGION_INNER,     /* [I] before the activation */
	LF_REGION_ACTIVATED, /* [I] after it */
	LF_REGION_OUTPUT,    /* [H] of the block, before the second norm */
	LF_REGION_DX,	     /* gradients to the above */
	LF_REGION_DQUERY,
	LF_REGION_DKEY,
	LF_REGION_DVALUE,
	LF_REGION_DCONTEXT,
	LF_REGION_DATTENTION, /* [H] also the gradient to the residual of the first norm */
	LF_REGION_DHIDDEN,
	LF_REGION_DINNER,
	LF_REGION_DACTIVATED,
	LF_REGION_DOUTPUT, /* [H] also the gradient to the residual of the second norm */
	LF_REGION_HOST,
	/* The host's own. */
	LF_REGION_NORM1 = LF_REGION_HOST, /* [H] normalised value of the first norm */
	LF_REGION_NORM2,		  /* [H] */
	LF_REGION_RSTD1,		  /* [1] */
	LF_REGION_RSTD2,		  /* [1] */
	LF_REGION_SLOPE,		  /* [I] of the activation */
	LF_REGION_PROBABILITY, /* [heads * sequence tokens] room for heads x T x T each */
	LF_REGION_DSCORE,      /* the same, as work space */
	LF_REGIONS,
};

/**
 * struct lf_extent - where a region lies
 * @offset: bytes to block 0
 * @step: bytes from block to block, 0 when all share it
 * @width: floats a token, 0 for a region that is not kept
 */
struct lf_extent {
	uint64_t offset;
	uint64_t step;
	uint32_t width;
};

struct lf_lane {
	struct lf_buffer *buffer;
	float *host;
	struct lf_extent extent[LF_REGIONS];
	struct lf_job *job;
	bool in_flight;
	uint32_t number;
	uint32_t first_sequence;
	uint32_t sequences;
	uint32_t tokens;
	const uint32_t *start; /* [sequences + 1], indices into the batch's tokens */
	const uint32_t *ids;   /* [tokens] */
};

/**
 * struct lf_lane_plan - what a lane must hold
 * @config: the model
 * @tokens: most tokens
 * @sequence_tokens: most tokens of a sequence
 * @training: with gradients
 * @kept: regions that are kept for every block, as a mask of 1 << region
 */
struct lf_lane_plan {
	const struct lf_bert_config *config;
	uint32_t tokens;
	uint32_t sequence_tokens;
	bool training;
	uint32_t kept;
};

int lf_lane_create(struct lf_lane *lane, struct lf_device *device, const struct lf_lane_plan *plan,
		   struct lf_error *error);
void lf_lane_release(struct lf_lane *lane);

/** lf_lane_view() - a region for commands; only regions before LF_REGION_HOST */
struct lf_view lf_lane_view(const struct lf_lane *lane, enum lf_region region, uint32_t block);

/** lf_lane_data() - a region for the host */
float *lf_lane_data(const struct lf_lane *lane, enum lf_region region, uint32_t block);

/** lf_lane_submit() - submit the lane's job, if it has a command */
int lf_lane_submit(struct lf_lane *lane, struct lf_error *error);

/** lf_lane_wait() - wait for the lane's job, if one is in flight */
int lf_lane_wait(struct lf_lane *lane, struct lf_error *error);

#endif
