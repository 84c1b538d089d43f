// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs from the scheduler to the ring: one drm_gpu_scheduler a work queue, an entity a file.
 *
 * Recovery happens below the scheduler. A reset ends the guilty job's fence and puts the others on
 * the ring again with the fences they have (lf_reset.c), so the scheduler needs not know. Its timer is
 * used as a clock that ticks while a job is pending; only the job that it took off its list for that
 * is put back.
 */
#include <linux/jiffies.h>
#include <linux/smp.h>
#include <linux/wait_bit.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_fence.h"
#include "lf_job.h"
#include "lf_sched.h"
#include "lf_trace.h"

/* Enough to keep the device busy; what waits above the ring can still be overtaken or cancelled. */
#define LF_RING_JOBS 64u

static struct lf_queue *queue_of(struct drm_sched_job *base)
{
	return container_of(base->sched, struct lf_queue, sched);
}

/*
 * The scheduler begins its tick anew with each job that it starts. If others follow one that hangs, nobody would look after it
 * until the ring is full: so the tick stays when it was.
 */
static void keep_tick(struct lf_queue *queue)
{
	unsigned long now = jiffies, next = READ_ONCE(queue->next_tick);

	if (lf_queue_is_idle(queue))
		WRITE_ONCE(queue->next_tick, now + queue->lf->tick);
	else
		drm_sched_resume_timeout(&queue->sched, time_before(now, next) ? next - now : 0);
}

static struct dma_fence *run_job(struct drm_sched_job *base)
{
	struct lf_job *job = to_lf_job(base);
	struct lf_queue *queue = queue_of(base);
	int index, err;

	lf_kcov_start(&job->context->kcov);
	keep_tick(queue);
	lf_fence_init(job->fence, queue->fence_context, ++queue->fence_seqno);
	trace_lf_job_run(&job->lf->drm, job->context->id, job->fence->seqno, queue->index);

	/* One reference for the ring, one for the scheduler; lf_job_free() has the first. */
	dma_fence_get(job->fence);
	dma_fence_get(job->fence);
	err = -ENODEV;
	if (drm_dev_enter(&job->lf->drm, &index)) {
		err = lf_queue_submit(queue, &job->request);
		drm_dev_exit(index);
	}
	if (err)
		lf_job_done(&job->request, NULL, err);
	lf_kcov_stop();
	return job->fence;
}

static enum drm_gpu_sched_stat timedout_job(struct drm_sched_job *base)
{
	struct lf_job *job = to_lf_job(base);
	struct lf_device *lf = job->lf;
	struct lf_queue *queue = queue_of(base);
	struct drm_gpu_scheduler *sched = base->sched;
	int index;

	lf_kcov_start(&job->context->kcov);
	WRITE_ONCE(queue->next_tick, jiffies + lf->tick);
	if (drm_dev_enter(&lf->drm, &index)) {
		lf_reset_watch(lf, queue, &job->request, lf->job_timeout);
		drm_dev_exit(index);
	}
	/* From here on it may be freed, also if it ended while it was off the list. */
	mutex_lock(&queue->sched_lock);
	spin_lock(&sched->job_list_lock);
	list_add(&base->list, &sched->pending_list);
	spin_unlock(&sched->job_list_lock);
	drm_sched_wqueue_start(sched);
	mutex_unlock(&queue->sched_lock);
	lf_kcov_stop();
	return DRM_GPU_SCHED_STAT_NOMINAL;
}

static void free_job(struct drm_sched_job *base)
{
	struct lf_job *job = to_lf_job(base);

	/*
	 * A job that was cancelled was never given to the device, but its scheduler's fence needs
	 * what a parent keeps, too.
	 */
	lf_kcov_start(&job->context->kcov);
	if (!base->s_fence->parent) {
		lf_fence_init(job->fence, queue_of(base)->fence_context, 0);
		dma_fence_signal(job->fence);
		/* As the scheduler sets it: who finds the parent finds it initialised. */
		smp_store_release(&base->s_fence->parent, dma_fence_get(job->fence));
	}
	drm_sched_job_cleanup(base);
	lf_job_free_later(job);
	lf_kcov_stop();
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
		.credit_limit = min(LF_RING_JOBS, lf->limits.ring_entries - 1),
		.timeout = lf->tick,
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
		err = drmm_mutex_init(&lf->drm, &queue->sched_lock);
		if (err)
			return err;
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
 * lf_sched_entity_priority() - change a file's priority
 * @lf: device
 * @context: the file's
 * @priority: DRM_SCHED_PRIORITY_*
 *
 * The scheduler moves the entity the next time that a job finds it idle.
 */
void lf_sched_entity_priority(struct lf_device *lf, struct lf_context *context,
			      enum drm_sched_priority priority)
{
	/* Pushing jobs looks at both. */
	mutex_lock(&context->submit_lock);
	context->sched = context->entity.rq->sched;
	drm_sched_entity_set_priority(&context->entity, priority);
	drm_sched_entity_modify_sched(&context->entity, &context->sched, 1);
	mutex_unlock(&context->submit_lock);
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
	struct lf_queue *queue = container_of(sched, struct lf_queue, sched);

	mutex_lock(&queue->sched_lock);
	drm_sched_wqueue_stop(sched);
	drm_sched_entity_fini(entity);
	drm_sched_wqueue_start(sched);
	mutex_unlock(&queue->sched_lock);
}
