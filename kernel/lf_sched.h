/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One scheduler a work queue, an entity a file.
 */
#ifndef LF_SCHED_H
#define LF_SCHED_H

#include <drm/gpu_scheduler.h>

struct lf_context;
struct lf_device;

int lf_sched_init(struct lf_device *lf);
int lf_sched_entity_init(struct lf_device *lf, struct drm_sched_entity *entity);
void lf_sched_entity_priority(struct lf_device *lf, struct lf_context *context,
			      enum drm_sched_priority priority);
void lf_sched_entity_fini(struct lf_device *lf, struct drm_sched_entity *entity);

#endif
