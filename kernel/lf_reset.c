// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recovery: reset the device, end the guilty request, submit the others again. Who is guilty is
 * decided by the callers: a job's timeout (lf_sched.c), a management command's (lf_manage.c), an
 * event of the device.
 */
#include <drm/drm_drv.h>
#include <drm/drm_managed.h>

#include "lf_device.h"
#include "lf_sched.h"
#include "lf_trace.h"

/* The memory of jobs is about to be freed, and the device may not have heard of it. */
static void stop_dma(struct lf_device *lf)
{
	if (lf->bus->stop_dma)
		lf->bus->stop_dma(lf);
}

/**
 * lf_reset() - reset the device and go on with what was not to blame
 * @lf: device; the caller holds @lf->reset_lock and is between drm_dev_enter() and drm_dev_exit()
 * @queue: queue of @guilty
 * @guilty: request that ends with -ETIMEDOUT unless it has ended meanwhile; NULL if there is none.
 *	It must not be freed before this returns
 *
 * Jobs with PROGRAM and management commands that create, commit or set are not run again: they end
 * with what the device says of them, or -ECANCELED. A device that does not come back is wedged: everything ends with -ENODEV
 * from then on.
 */
void lf_reset(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty)
{
	unsigned int i;
	int err;

	lockdep_assert_held(&lf->reset_lock);
	if (READ_ONCE(lf->wedged))
		return;

	trace_lf_reset(&lf->drm, queue ? queue->index : 0, guilty != NULL);
	dev_warn(lf->drm.dev, "resetting the device: %s\n",
		 guilty ? "a request ran into its timeout" : "it reports a fault");
	atomic_inc(&lf->resets);

	lf_sched_stop(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_stop(&lf->queues[i]);
	/* No memory of a job may be reached by the device any more before the job ends. */
	err = lf_hw_reset(lf);
	if (err)
		stop_dma(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_poll(&lf->queues[i]);
	if (guilty)
		lf_queue_end(queue, guilty, -ETIMEDOUT);
	if (!err)
		err = lf_hw_enable(lf);
	if (err) {
		dev_err(lf->drm.dev, "the device did not come back from its reset: %d\n", err);
		WRITE_ONCE(lf->wedged, true);
		stop_dma(lf);
	}
	for (i = 0; i < lf->limits.queues; i++) {
		if (err) {
			lf_queue_abort(&lf->queues[i], -ENODEV);
			continue;
		}
		lf_queue_start(&lf->queues[i]);
		lf->queues[i].restarted = jiffies;
	}
	lf_sched_start(lf);
}

static void event_work(struct work_struct *work)
{
	struct lf_device *lf = container_of(work, struct lf_device, event_work);
	int index;

	if (!drm_dev_enter(&lf->drm, &index))
		return;
	mutex_lock(&lf->reset_lock);
	if (!lf_hw_healthy(lf))
		lf_reset(lf, NULL, NULL);
	mutex_unlock(&lf->reset_lock);
	drm_dev_exit(index);
}

/**
 * lf_reset_init() - what recovery needs
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_reset_init(struct lf_device *lf)
{
	int err = drmm_mutex_init(&lf->drm, &lf->reset_lock);

	if (err)
		return err;
	INIT_WORK(&lf->event_work, event_work);
	lf->reset_wq = alloc_ordered_workqueue("lf_accel-reset", 0);
	return lf_device_own_workqueue(lf, lf->reset_wq);
}

/**
 * lf_reset_remove() - the device is going: stop it and end all that is in flight
 * @lf: device, unplugged
 *
 * The schedulers stay, for files that are still open; their jobs end with -ENODEV.
 */
void lf_reset_remove(struct lf_device *lf)
{
	unsigned int i;

	mutex_lock(&lf->reset_lock);
	WRITE_ONCE(lf->wedged, true);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_stop(&lf->queues[i]);
	if (lf_hw_reset(lf))
		dev_warn(lf->drm.dev, "the device did not finish its reset\n");
	stop_dma(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_abort(&lf->queues[i], -ENODEV);
	mutex_unlock(&lf->reset_lock);
	cancel_work_sync(&lf->event_work);
}
