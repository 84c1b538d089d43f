/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One scheduler a work queue, an entity a file.
 */
#ifndef LF_SCHED_H
#define LF_SCHED_H

#include <linux/types.h>

struct drm_sched_entity;
struct lf_device;

int lf_sched_init(struct lf_device *lf);
int lf_sched_entity_init(struct lf_device *lf, struct drm_sched_entity *entity);
void lf_sched_entity_fini(struct lf_device *lf, struct drm_sched_entity *entity);

#endif
