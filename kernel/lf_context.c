// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open files: what belongs to one, from open to its last job, and how many jobs it may have in flight.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include <drm/drm_drv.h>
#include <drm/lf_accel.h>

#include "lf_budget.h"
#include "lf_context.h"
#include "lf_device.h"
#include "lf_matrix.h"
#include "lf_sched.h"

/* Of one file, from submission until memory is free again. One job always fits. */
#define LF_CONTEXT_JOBS	     1024u
#define LF_CONTEXT_JOB_BYTES (32u << 20)

/**
 * lf_context_create() - what a new file needs
 * @lf: device
 *
 * Return: the context, for lf_context_close(); ERR_PTR(-ENOMEM).
 */
struct lf_context *lf_context_create(struct lf_device *lf)
{
	struct lf_context *context = kzalloc(sizeof(*context), GFP_KERNEL_ACCOUNT);
	int err;

	if (!context)
		return ERR_PTR(-ENOMEM);
	err = lf_sched_entity_init(lf, &context->entity);
	if (err) {
		kfree(context);
		return ERR_PTR(err);
	}
	kref_init(&context->ref);
	context->id = atomic64_inc_return(&lf->context_ids);
	context->account = from_kuid(&init_user_ns, current_euid());
	mutex_init(&context->submit_lock);
	spin_lock_init(&context->count_lock);
	xa_init_flags(&context->matrices, XA_FLAGS_ALLOC1);
	lf_sums_init(&context->sums);
	lf_kcov_init(&context->kcov);
	return context;
}

/**
 * lf_context_close() - cancel what a file has queued, drop its handles
 * @lf: device
 * @context: of a file that nobody uses any more; its jobs on the ring still may
 */
void lf_context_close(struct lf_device *lf, struct lf_context *context)
{
	lf_sched_entity_fini(lf, &context->entity);
	lf_matrix_close_all(context);
	lf_context_put(context);
}

/**
 * lf_context_release() - free a context that neither a file nor a job uses
 * @ref: its reference count
 */
void lf_context_release(struct kref *ref)
{
	kfree(container_of(ref, struct lf_context, ref));
}

static bool try_count(struct lf_context *context, size_t bytes)
{
	bool fits;

	spin_lock(&context->count_lock);
	fits = !context->jobs || (lf_budget_fits(context->jobs, LF_CONTEXT_JOBS, 1) &&
				  lf_budget_fits(context->job_bytes, LF_CONTEXT_JOB_BYTES, bytes));
	if (fits) {
		context->jobs++;
		context->job_bytes += bytes;
	}
	spin_unlock(&context->count_lock);
	return fits;
}

/**
 * lf_context_count() - wait until a file may have one more job in flight, and count it
 * @lf: device
 * @context: the file's
 * @bytes: of the job's commands
 * @wait: whether to wait
 *
 * To be called without locks: jobs have to end.
 *
 * Return: 0 and then lf_context_uncount() is due, -EAGAIN without @wait, -ERESTARTSYS.
 */
int lf_context_count(struct lf_device *lf, struct lf_context *context, size_t bytes, bool wait)
{
	if (try_count(context, bytes))
		return 0;
	if (!wait)
		return -EAGAIN;
	return wait_event_interruptible(lf->job_wait, try_count(context, bytes));
}

/**
 * lf_context_uncount() - a job of a file is gone
 * @context: the file's
 * @bytes: as counted
 */
void lf_context_uncount(struct lf_context *context, size_t bytes)
{
	spin_lock(&context->count_lock);
	context->jobs--;
	context->job_bytes -= bytes;
	spin_unlock(&context->count_lock);
}

/**
 * lf_priority_ioctl() - DRM_IOCTL_LF_PRIORITY
 * @drm: device
 * @data: struct drm_lf_priority
 * @file: whose jobs it is about
 *
 * Return: 0, -EINVAL, -EPERM.
 */
int lf_priority_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	static const enum drm_sched_priority priorities[] = {
		[DRM_LF_PRIORITY_LOW] = DRM_SCHED_PRIORITY_LOW,
		[DRM_LF_PRIORITY_NORMAL] = DRM_SCHED_PRIORITY_NORMAL,
		[DRM_LF_PRIORITY_HIGH] = DRM_SCHED_PRIORITY_HIGH,
	};
	const struct drm_lf_priority *args = data;

	if (args->pad || args->priority >= ARRAY_SIZE(priorities))
		return -EINVAL;
	if (args->priority == DRM_LF_PRIORITY_HIGH && !capable(CAP_SYS_NICE))
		return -EPERM;
	lf_sched_entity_priority(to_lf_device(drm), to_lf_context(file),
				 priorities[args->priority]);
	return 0;
}
