// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: memory, mapping, the record at their end, and letting go of what they use. That is a worker's,
 * since the last reference to a buffer takes its reservation, which nothing that lets a fence signal
 * may wait for. Order and recovery are lf_sched.c's and lf_reset.c's.
 */
#include <linux/dma-mapping.h>
#include <linux/wait_bit.h>

#include <drm/drm_gem.h>
#include <drm/drm_managed.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_fence.h"
#include "lf_gem.h"
#include "lf_job.h"
#include "lf_manage.h"
#include "lf_trace.h"

/* Errors of a job's fence, as documented in the uAPI. */
static int job_error(u32 status)
{
	int err = lf_status_error(status);

	if (status == LF_STATUS_THERMAL)
		return -EBUSY;
	switch (err) {
	case 0:
	case -EDQUOT:
	case -EDOM:
	case -EIO:
	case -ECANCELED:
		return err;
	default:
		return -EINVAL;
	}
}

static u32 error_status(int error)
{
	return error == -ECANCELED || error == -ENODEV || error == -ETIMEDOUT ? LF_STATUS_ABORTED
									      : LF_STATUS_INTERNAL;
}

static void write_record(struct lf_job *job, const struct lf_completion *completion, int error)
{
	struct drm_lf_job_record record = {};
	const u32 ended = 1;
	unsigned int i;

	if (!job->record)
		return;
	if (completion) {
		record.status = le16_to_cpu(completion->status);
		if (record.status > LF_STATUS_LAST)
			record.status = LF_STATUS_INTERNAL;
		record.failed_command = le32_to_cpu(completion->failed_command);
		record.rows_done = le32_to_cpu(completion->rows_done);
		for (i = 0; i < LF_ENERGY_COMPONENTS; i++)
			record.energy_aj[i] = le64_to_cpu(completion->energy_aj[i]);
		record.busy_ns = le64_to_cpu(completion->busy_ns);
		record.mvm_count = le64_to_cpu(completion->mvm_count);
		record.mac_count = le64_to_cpu(completion->mac_count);
		record.conversions = le64_to_cpu(completion->conversions);
		record.clips = le64_to_cpu(completion->clips);
		record.cells_written = le64_to_cpu(completion->cells_written);
		record.cells_erased = le64_to_cpu(completion->cells_erased);
		record.verify_retries = le64_to_cpu(completion->verify_retries);
		record.host_bytes = le64_to_cpu(completion->host_bytes);
		record.result = le64_to_cpu(completion->result);
		/* Reserved, and so zero, on older devices. */
		record.cells_failed = le64_to_cpu(completion->cells_failed);
	} else {
		record.status = error_status(error);
	}
	lf_gem_write(job->record, job->record_offset, &record, job->record_bytes);
	/* A program may poll the state: it appears last. */
	smp_wmb();
	lf_gem_write(job->record, job->record_offset + offsetof(struct drm_lf_job_record, state),
		     &ended, sizeof(ended));
}

/**
 * lf_job_done() - a job has ended on the device, or could not be given to it
 * @request: of the job, whose fence is initialised
 * @completion: as of lf_request_done
 * @error: as of lf_request_done
 */
void lf_job_done(struct lf_request *request, const struct lf_completion *completion, int error)
{
	struct lf_job *job = lf_request_to_job(request);
	struct dma_fence *fence = job->fence;

	if (completion) {
		error = job_error(le16_to_cpu(completion->status));
		lf_sums_add(&job->context->sums, completion);
	}
	write_record(job, completion, error);
	trace_lf_job_done(&job->lf->drm, job->context->id, fence->seqno, error);
	if (error)
		dma_fence_set_error(fence, error);
	/* The job may be freed from here on. */
	dma_fence_signal(fence);
	dma_fence_put(fence);
}

/**
 * lf_job_alloc() - a job without contents
 * @context: of the file that submits it
 * @lf: device
 * @objects: buffers and matrices it will have
 *
 * Return: to be freed with lf_job_free() until the scheduler has it; NULL when there is no memory.
 */
struct lf_job *lf_job_alloc(struct lf_context *context, struct lf_device *lf, u32 objects)
{
	struct lf_job *job = kzalloc(struct_size(job, objects, objects), GFP_KERNEL_ACCOUNT);

	if (!job)
		return NULL;
	job->fence = lf_fence_alloc(&lf->drm);
	if (!job->fence) {
		kfree(job);
		return NULL;
	}
	job->lf = lf;
	job->context = lf_context_get(context);
	job->request.done = lf_job_done;
	INIT_LIST_HEAD(&job->request.link);
	INIT_LIST_HEAD(&job->mapped);
	atomic_inc(&lf->jobs);
	return job;
}

/**
 * lf_job_map() - let the device read the commands of a job
 * @job: with its commands; the caller is between drm_dev_enter() and drm_dev_exit()
 *
 * Return: 0 or -ENOMEM.
 */
int lf_job_map(struct lf_job *job)
{
	struct lf_device *lf = job->lf;
	struct device *dev = lf->drm.dev;

	job->commands_dma = dma_map_single(dev, job->commands, job->commands_bytes, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, job->commands_dma))
		return -ENOMEM;
	spin_lock(&lf->mapping_lock);
	list_add_tail(&job->mapped, &lf->mapped_jobs);
	spin_unlock(&lf->mapping_lock);
	return 0;
}

static void unmap(struct lf_job *job)
{
	lockdep_assert_held(&job->lf->mapping_lock);
	if (list_empty(&job->mapped))
		return;
	list_del_init(&job->mapped);
	dma_unmap_single(job->lf->drm.dev, job->commands_dma, job->commands_bytes, DMA_TO_DEVICE);
}

/**
 * lf_jobs_unmap() - take all mappings of jobs back, before the bus device lets go of its driver
 * @lf: device, unplugged and stopped
 */
void lf_jobs_unmap(struct lf_device *lf)
{
	struct lf_job *job, *next;

	spin_lock(&lf->mapping_lock);
	list_for_each_entry_safe(job, next, &lf->mapped_jobs, mapped)
		unmap(job);
	spin_unlock(&lf->mapping_lock);
}

/**
 * lf_job_free() - let go of all that a job uses, and free it
 * @job: not on any list of the scheduler; its drm_sched_job is cleaned up
 *
 * May take reservations.
 */
void lf_job_free(struct lf_job *job)
{
	struct lf_device *lf = job->lf;
	u32 i;

	spin_lock(&lf->mapping_lock);
	unmap(job);
	spin_unlock(&lf->mapping_lock);
	kfree(job->commands);
	for (i = 0; i < job->buffer_count + job->matrix_count; i++)
		drm_gem_object_put(job->objects[i]);
	lf_context_put(job->context);
	lf_fence_put(job->fence);
	kfree(job);
	if (atomic_dec_and_test(&lf->jobs))
		wake_up_var(&lf->jobs);
}

static void free_work(struct work_struct *work)
{
	struct lf_device *lf = container_of(work, struct lf_device, free_work);
	struct llist_node *dead = llist_reverse_order(llist_del_all(&lf->dead_jobs));

	while (dead) {
		struct lf_job *job = llist_entry(dead, struct lf_job, dead);
		u32 i;

		dead = dead->next;
		lf_kcov_start(&job->context->kcov);
		for (i = 0; i < job->buffer_count + job->matrix_count; i++)
			lf_fence_forget(job->objects[i]);
		lf_context_uncount(job->context, job->commands_bytes);
		lf_job_free(job);
		lf_kcov_stop();
	}
	wake_up_all(&lf->job_wait);
}

/**
 * lf_job_free_later() - have a worker free a job that was queued
 * @job: as of lf_job_free()
 *
 * May be called where reservations must not be taken.
 */
void lf_job_free_later(struct lf_job *job)
{
	struct lf_device *lf = job->lf;

	if (llist_add(&job->dead, &lf->dead_jobs))
		queue_work(lf->free_wq, &lf->free_work);
}

/**
 * lf_jobs_init() - what jobs need
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_jobs_init(struct lf_device *lf)
{
	init_waitqueue_head(&lf->job_wait);
	init_llist_head(&lf->dead_jobs);
	INIT_WORK(&lf->free_work, free_work);
	spin_lock_init(&lf->mapping_lock);
	INIT_LIST_HEAD(&lf->mapped_jobs);
	lf->free_wq = alloc_workqueue("lf_accel-free", WQ_MEM_RECLAIM, 0);
	return lf_device_own_workqueue(lf, lf->free_wq);
}
