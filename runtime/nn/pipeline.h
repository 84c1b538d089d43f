/* SPDX-License-Identifier: MIT */
/* Running the stages of a pass over all lanes, so that device and host overlap. */
#ifndef LF_RUNTIME_NN_PIPELINE_H
#define LF_RUNTIME_NN_PIPELINE_H

#include "runtime/nn/encoder.h"

/** typedef lf_pipeline_stage - one stage of a pass for one lane: finish a job, compute, submit the next */
typedef int (*lf_pipeline_stage)(struct lf_encoder *encoder, struct lf_lane *lane, uint32_t stage,
				 struct lf_error *error);

/** lf_pipeline_run() - take every stage for one lane after the other; on failure no job is left in flight */
int lf_pipeline_run(struct lf_encoder *encoder, uint32_t stages, lf_pipeline_stage stage,
		    struct lf_error *error);

/** encoder_group_name() - for messages */
const char *encoder_group_name(enum lf_group group);

#endif
