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

#include "lf_kcov.h"
#include "lf_telemetry.h"

struct drm_device;
struct lf_device;

/**
 * struct lf_context - an open file
 * @ref: held by the file and by each of its jobs
 * @id: number of this file, never used again
 * @account: user id that pays for what its jobs write
 * @entity: its jobs, in order; until the file is closed
 * @sched: its scheduler, where the entity looks for it after a change of priority
 * @submit_lock: makes arming and queueing of a job one step
 * @matrices: struct lf_matrix by handle; until the file is closed
 * @sums: of its jobs
 * @count_lock: guards @jobs and @job_bytes
 * @jobs: submitted and not yet freed
 * @job_bytes: their commands
 * @kcov: coverage of what workers do for its jobs
 */
struct lf_context {
	struct kref ref;
	u64 id;
	u32 account;
	struct drm_sched_entity entity;
	struct drm_gpu_scheduler *sched;
	struct mutex submit_lock;
	struct xarray matrices;
	struct lf_sums sums;
	spinlock_t count_lock;
	u32 jobs;
	size_t job_bytes;
	struct lf_kcov kcov;
};

static inline struct lf_context *to_lf_context(struct drm_file *file)
{
	return file->driver_priv;
}

struct lf_context *lf_context_create(struct lf_device *lf);
void lf_context_close(struct lf_device *lf, struct lf_context *context);
void lf_context_release(struct kref *ref);
int lf_priority_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_context_count(struct lf_device *lf, struct lf_context *context, size_t bytes, bool wait);
void lf_context_uncount(struct lf_context *context, size_t bytes);

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
