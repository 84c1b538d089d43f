// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs from the scheduler to the ring and back: one drm_gpu_scheduler a work queue, an entity a
 * file.
 *
 * Recovery happens below the scheduler. A reset ends the guilty job's fence and puts the others on
 * the ring again with the fences they have (lf_reset.c), so the scheduler needs not know; only the
 * job that it took off its list to call timedout_job is put back.
 */
#include <linux/dma-mapping.h>
#include <linux/jiffies.h>
#include <linux/smp.h>
#include <linux/wait_bit.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>
#include <drm/drm_managed.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_gem.h"
#include "lf_manage.h"
#include "lf_sched.h"
#include "lf_trace.h"

static const char *fence_driver_name(struct dma_fence *fence)
{
	return "lf_accel";
}

static const char *fence_timeline_name(struct dma_fence *fence)
{
	return "lf_accel-job";
}

static void fence_release(struct dma_fence *fence)
{
	struct lf_job *job = container_of(fence, struct lf_job, fence);

	kfree_rcu(job, fence.rcu);
}

static const struct dma_fence_ops lf_fence_ops = {
	.get_driver_name = fence_driver_name,
	.get_timeline_name = fence_timeline_name,
	.release = fence_release,
};

static bool job_has_fence(const struct lf_job *job)
{
	return job->fence.ops;
}

/* Errors of a job's fence, as documented in the uAPI. */
static int job_error(u32 status)
{
	int err = lf_status_error(status);

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
	} else {
		record.status = error_status(error);
	}
	lf_gem_write(job->record, job->record_offset, &record, job->record_bytes);
	/* A program may poll the state: it appears last. */
	smp_wmb();
	lf_gem_write(job->record, job->record_offset + offsetof(struct drm_lf_job_record, state),
		     &ended, sizeof(ended));
}

static void job_done(struct lf_request *request, const struct lf_completion *completion, int error)
{
	struct lf_job *job = container_of(request, struct lf_job, request);

	if (completion) {
		error = job_error(le16_to_cpu(completion->status));
		lf_sums_add(&job->context->sums, completion);
	}
	write_record(job, completion, error);
	trace_lf_job_done(&job->lf->drm, job->context->id, job->fence.seqno, error);
	if (error)
		dma_fence_set_error(&job->fence, error);
	dma_fence_signal(&job->fence);
	dma_fence_put(&job->fence);
}

/**
 * lf_job_init() - set up what the scheduler and the queue need
 * @job: zeroed memory with @lf set
 */
void lf_job_init(struct lf_job *job)
{
	spin_lock_init(&job->fence_lock);
	INIT_LIST_HEAD(&job->request.link);
	job->request.done = job_done;
	job->commands_dma = DMA_MAPPING_ERROR;
	atomic_inc(&job->lf->jobs);
}

/**
 * lf_job_free() - release all that a job uses, and the job unless its fence is still used
 * @job: not on any list of the scheduler; its drm_sched_job is cleaned up
 */
void lf_job_free(struct lf_job *job)
{
	struct lf_device *lf = job->lf;
	u32 i;

	if (job->commands_dma != DMA_MAPPING_ERROR)
		dma_unmap_single(lf->drm.dev, job->commands_dma, job->commands_bytes,
				 DMA_TO_DEVICE);
	kfree(job->commands);
	for (i = 0; i < job->buffer_count + job->matrix_count; i++)
		drm_gem_object_put(job->objects[i]);
	lf_context_put(job->context);
	if (job_has_fence(job))
		dma_fence_put(&job->fence);
	else
		kfree(job);
	if (atomic_dec_and_test(&lf->jobs))
		wake_up_var(&lf->jobs);
}

static struct lf_queue *queue_of(struct drm_sched_job *base)
{
	return container_of(base->sched, struct lf_queue, sched);
}

static struct dma_fence *run_job(struct drm_sched_job *base)
{
	struct lf_job *job = to_lf_job(base);
	struct lf_queue *queue = queue_of(base);
	int index, err;

	dma_fence_init(&job->fence, &lf_fence_ops, &job->fence_lock, queue->fence_context,
		       ++queue->fence_seqno);
	trace_lf_job_run(&job->lf->drm, job->context->id, job->fence.seqno, queue->index);

	/* One reference for the ring, one for the scheduler; lf_job_free() has the first. */
	dma_fence_get(&job->fence);
	dma_fence_get(&job->fence);
	err = -ENODEV;
	if (drm_dev_enter(&job->lf->drm, &index)) {
		err = lf_queue_submit(queue, &job->request);
		drm_dev_exit(index);
	}
	if (err)
		job_done(&job->request, NULL, err);
	return &job->fence;
}

static enum drm_gpu_sched_stat timedout_job(struct drm_sched_job *base)
{
	struct lf_job *job = to_lf_job(base);
	struct lf_device *lf = job->lf;
	struct lf_queue *queue = queue_of(base);
	struct drm_gpu_scheduler *sched = base->sched;
	int index;

	mutex_lock(&lf->reset_lock);
	drm_sched_wqueue_stop(sched);
	spin_lock(&sched->job_list_lock);
	list_add(&base->list, &sched->pending_list);
	spin_unlock(&sched->job_list_lock);

	if (drm_dev_enter(&lf->drm, &index)) {
		lf_queue_poll(queue);
		if (dma_fence_is_signaled(&job->fence))
			dev_warn_ratelimited(lf->drm.dev, "queue %u: an interrupt was lost\n",
					     queue->index);
		/* After another queue's reset a job has all its time again. */
		else if (time_after_eq(jiffies, READ_ONCE(queue->restarted) + lf->job_timeout))
			lf_reset(lf, queue, &job->request);
		drm_dev_exit(index);
	}
	drm_sched_wqueue_start(sched);
	mutex_unlock(&lf->reset_lock);
	return DRM_GPU_SCHED_STAT_NOMINAL;
}

static void free_job(struct drm_sched_job *base)
{
	/*
	 * Whoever holds the finished fence, perhaps longer than this module is loaded, would also
	 * hold ours, whose operations are in the module. It has signalled, so nobody needs it any
	 * more.
	 */
	dma_fence_put(xchg(&base->s_fence->parent, NULL));
	drm_sched_job_cleanup(base);
	lf_job_free(to_lf_job(base));
}

static const struct drm_sched_backend_ops lf_sched_ops = {
	.run_job = run_job,
	.timedout_job = timedout_job,
	.free_job = free_job,
};

static void sched_fini_action(struct drm_device *drm, void *sched)
{
	struct lf_device *lf = to_lf_device(drm);

	/* All jobs have ended, but workers free them, and drm_sched_fini() stops its own. */
	wait_var_event(&lf->jobs, !atomic_read(&lf->jobs));
	drm_sched_fini(sched);
}

/**
 * lf_sched_init() - a scheduler for each work queue
 * @lf: device
 *
 * They live as long as the DRM device, since files that are open at removal still have entities on
 * them.
 *
 * Return: 0 or -ENOMEM.
 */
int lf_sched_init(struct lf_device *lf)
{
	struct drm_sched_init_args template = {
		.ops = &lf_sched_ops,
		.timeout_wq = lf->reset_wq,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = lf->limits.ring_entries - 1,
		.timeout = lf->job_timeout,
		.dev = lf->drm.dev,
	};
	unsigned int i;
	int err;

	/* Bound to the submitting processor: waking another one costs more than starting a job. */
	lf->submit_wq = alloc_workqueue("lf_accel-submit", WQ_HIGHPRI | WQ_MEM_RECLAIM, 0);
	err = lf_device_own_workqueue(lf, lf->submit_wq);
	if (err)
		return err;
	template.submit_wq = lf->submit_wq;

	for (i = 1; i < lf->limits.queues; i++) {
		struct lf_queue *queue = &lf->queues[i];
		struct drm_sched_init_args args = template;

		args.name = queue->name;
		queue->fence_context = dma_fence_context_alloc(1);
		queue->restarted = jiffies - lf->job_timeout;
		err = drm_sched_init(&queue->sched, &args);
		if (err)
			return err;
		err = drmm_add_action_or_reset(&lf->drm, sched_fini_action, &queue->sched);
		if (err)
			return err;
	}
	return 0;
}

/**
 * lf_sched_entity_init() - a file's queue of jobs
 * @lf: device
 * @entity: to initialise; end with lf_sched_entity_fini()
 *
 * A file's jobs run in order, on the work queue whose interrupts come to the processor that opens
 * it: ending a job then needs no other processor. It stays there, the device gains nothing from a
 * move.
 *
 * Return: 0 or -ENOMEM.
 */
int lf_sched_entity_init(struct lf_device *lf, struct drm_sched_entity *entity)
{
	unsigned int queue = 1 + raw_smp_processor_id() % (lf->limits.queues - 1);
	struct drm_gpu_scheduler *sched = &lf->queues[queue].sched;

	return drm_sched_entity_init(entity, DRM_SCHED_PRIORITY_NORMAL, &sched, 1, NULL);
}

/**
 * lf_sched_entity_fini() - cancel what a file has queued
 * @lf: device
 * @entity: of the file
 *
 * What is on the ring ends by itself. Were the scheduler just taking a job of the entity, it would
 * put the entity back on its run queue after drm_sched_entity_fini() has taken it off; so it must
 * not run meanwhile.
 */
void lf_sched_entity_fini(struct lf_device *lf, struct drm_sched_entity *entity)
{
	struct drm_gpu_scheduler *sched = entity->rq->sched;

	mutex_lock(&lf->reset_lock);
	drm_sched_wqueue_stop(sched);
	drm_sched_entity_fini(entity);
	drm_sched_wqueue_start(sched);
	mutex_unlock(&lf->reset_lock);
}

/**
 * lf_sched_stop() - let no job be started or freed
 * @lf: device; the caller holds @lf->reset_lock until lf_sched_start()
 */
void lf_sched_stop(struct lf_device *lf)
{
	unsigned int i;

	for (i = 1; i < lf->limits.queues; i++)
		drm_sched_wqueue_stop(&lf->queues[i].sched);
}

/**
 * lf_sched_start() - the end of lf_sched_stop()
 * @lf: device
 */
void lf_sched_start(struct lf_device *lf)
{
	unsigned int i;

	for (i = 1; i < lf->limits.queues; i++)
		drm_sched_wqueue_start(&lf->queues[i].sched);
}
