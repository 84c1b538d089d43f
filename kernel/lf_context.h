/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What belongs to an open file: its matrix handles, its queue of jobs, its sums.
 */
#ifndef LF_CONTEXT_H
#define LF_CONTEXT_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include <drm/drm_file.h>
#include <drm/gpu_scheduler.h>

#include "lf_telemetry.h"

/**
 * struct lf_context - an open file
 * @ref: held by the file and by each of its jobs
 * @id: number of this file, never used again
 * @account: user id that pays for what its jobs write
 * @entity: its jobs, in order; until the file is closed
 * @submit_lock: makes arming and queueing of a job one step
 * @matrices: struct lf_matrix by handle; until the file is closed
 * @sums: of its jobs
 */
struct lf_context {
	struct kref ref;
	u64 id;
	u32 account;
	struct drm_sched_entity entity;
	struct mutex submit_lock;
	struct xarray matrices;
	struct lf_sums sums;
};

static inline struct lf_context *to_lf_context(struct drm_file *file)
{
	return file->driver_priv;
}

void lf_context_release(struct kref *ref);

static inline struct lf_context *lf_context_get(struct lf_context *context)
{
	kref_get(&context->ref);
	return context;
}

static inline void lf_context_put(struct lf_context *context)
{
	kref_put(&context->ref, lf_context_release);
}

#endif
