// SPDX-License-Identifier: MIT
/* Memory and job of a micro-batch; see lane.h. */
#include <errno.h>
#include <stdlib.h>

#include "runtime/nn/lane.h"

#define REGION_ALIGNMENT 64

static uint32_t region_width(const struct lf_lane_plan *plan, enum lf_region region)
{
	const struct lf_bert_config *config = plan->config;

	if (!plan->training && region >= LF_REGION_DX && region < LF_REGION_HOST)
		return 0;
	switch (region) {
	case LF_REGION_INNER:
	case LF_REGION_ACTIVATED:
	case LF_REGION_DINNER:
	case LF_REGION_DACTIVATED:
		return config->intermediate_size;
	case LF_REGION_SLOPE:
		return plan->training ? config->intermediate_size : 0;
	case LF_REGION_RSTD1:
	case LF_REGION_RSTD2:
		return 1;
	case LF_REGION_PROBABILITY:
		return config->num_attention_heads * plan->sequence_tokens;
	case LF_REGION_DSCORE:
		return plan->training ? config->num_attention_heads * plan->sequence_tokens : 0;
	default:
		return config->hidden_size;
	}
}

/* Lays regions [first, last) out one behind the other; returns the bytes they take. */
static uint64_t lay_out(struct lf_lane *lane, const struct lf_lane_plan *plan, enum lf_region first,
			enum lf_region last)
{
	uint64_t bytes = 0;

	for (enum lf_region region = first; region < last; region++) {
		struct lf_extent *extent = &lane->extent[region];
		bool kept = plan->kept & (1u << region);
		uint32_t copies =
			kept ? plan->config->num_hidden_layers + (region == LF_REGION_X) : 1;
		uint64_t size;

		extent->width = region_width(plan, region);
		size = (uint64_t)plan->tokens * extent->width * sizeof(float);
		size = (size + REGION_ALIGNMENT - 1) & ~(uint64_t)(REGION_ALIGNMENT - 1);
		extent->offset = bytes;
		extent->step = kept ? size : 0;
		bytes += size * copies;
	}
	return bytes;
}

int lf_lane_create(struct lf_lane *lane, struct lf_device *device, const struct lf_lane_plan *plan,
		   struct lf_error *error)
{
	uint64_t device_bytes = lay_out(lane, plan, 0, LF_REGION_HOST);
	uint64_t host_bytes = lay_out(lane, plan, LF_REGION_HOST, LF_REGIONS);
	int ret;

	lane->host = aligned_alloc(REGION_ALIGNMENT, host_bytes);
	if (!lane->host)
		return lf_error_set(error, -ENOMEM, "no memory for %u tokens of activations",
				    plan->tokens);
	ret = lf_buffer_create(device, device_bytes, &lane->buffer, error);
	if (!ret)
		ret = lf_job_create(device, &lane->job, error);
	if (ret)
		lf_lane_release(lane);
	return ret;
}

void lf_lane_release(struct lf_lane *lane)
{
	lf_job_destroy(lane->job);
	lf_buffer_destroy(lane->buffer);
	free(lane->host);
	*lane = (struct lf_lane){ .number = lane->number };
}

struct lf_view lf_lane_view(const struct lf_lane *lane, enum lf_region region, uint32_t block)
{
	const struct lf_extent *extent = &lane->extent[region];

	return lf_view_buffer(lane->buffer, extent->offset + extent->step * block,
			      extent->width * (uint32_t)sizeof(float));
}

float *lf_lane_data(const struct lf_lane *lane, enum lf_region region, uint32_t block)
{
	const struct lf_extent *extent = &lane->extent[region];
	char *base = region < LF_REGION_HOST ? lf_buffer_data(lane->buffer) : (char *)lane->host;

	return (float *)(base + extent->offset + extent->step * block);
}

int lf_lane_submit(struct lf_lane *lane, struct lf_error *error)
{
	int ret;

	/* Where only the host has something to do, as below the lowest layer of a digital method. */
	if (!lf_job_commands(lane->job))
		return 0;
	ret = lf_job_submit(lane->job, error);
	lane->in_flight = !ret;
	return ret;
}

int lf_lane_wait(struct lf_lane *lane, struct lf_error *error)
{
	if (!lane->in_flight)
		return 0;
	lane->in_flight = false;
	return lf_job_wait(lane->job, -1, error);
}
