// SPDX-License-Identifier: GPL-2.0-only
/*
 * Recovery, in steps: one queue is set up anew, the others go on; if that fails or does not help the
 * device is reset; if that fails or does not help it is wedged, and all that waits for it ends with
 * -ENODEV. What was not to blame is submitted again with the fence it has, so nobody above the queues
 * knows. Who is to blame: a request that was seen running for longer than its timeout. One that waits
 * behind another queue's is not.
 *
 * Nothing here allocates memory or takes a reservation: fences wait for it.
 */
#include <linux/delay.h>
#include <linux/jiffies.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>

#include "lf_device.h"
#include "lf_dump.h"
#include "lf_netlink.h"
#include "lf_trace.h"

/* Resets of a queue, and then of the device, without a single good record since the first of them. */
#define LF_QUEUE_RESETS	 1
#define LF_DEVICE_RESETS 3

/* How long a suspending device may take to end what it is at; what is not ended is run again. */
#define LF_SUSPEND_MS	 5000

/* A driver that is about to let go of the device is not patient. */
#define LF_CLOSING	 (2 * HZ)

/* The memory of jobs is about to be freed, and the device may not have heard of it. */
static void stop_dma(struct lf_device *lf)
{
	if (lf->bus->stop_dma)
		lf->bus->stop_dma(lf);
}

static void start_dma(struct lf_device *lf)
{
	if (lf->bus->start_dma)
		lf->bus->start_dma(lf);
}

/* The end of recovery: nothing is submitted any more, and all that waits is told. */
static void wedge(struct lf_device *lf, const char *reason)
{
	unsigned int i;

	lockdep_assert_held(&lf->reset_lock);
	WRITE_ONCE(lf->wedged, true);
	lf_netlink_wedged(lf, reason);
	dev_err(lf->drm.dev,
		"%s: everything ends with ENODEV until the device is bound anew or its function is reset\n",
		reason);
	stop_dma(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_abort(&lf->queues[i], -ENODEV);
	wake_up_all(&lf->job_wait);
}

/* Set the rings of all queues up on a device that was just reset. */
static int start_queues(struct lf_device *lf)
{
	unsigned int i;
	int err;

	start_dma(lf);
	err = lf_hw_enable(lf);
	for (i = 0; !err && i < lf->limits.queues; i++)
		err = lf_queue_start(&lf->queues[i]);
	return err;
}

static void reset_device(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty)
{
	unsigned int i;
	int err;

	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_pause(&lf->queues[i]);
	/* No memory of a job may be reached by the device any more before the job ends. */
	err = lf_hw_reset(lf);
	if (err)
		stop_dma(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_settle(&lf->queues[i]);
	if (guilty)
		lf_queue_end(queue, guilty, -ETIMEDOUT);
	if (!lf_hw_present(lf)) {
		wedge(lf, "the device has gone");
		return;
	}
	if (err) {
		wedge(lf, "the device does not end its reset");
		return;
	}
	if (lf->fruitless_resets++ >= LF_DEVICE_RESETS) {
		wedge(lf, "resets do not help");
		return;
	}
	if (start_queues(lf))
		wedge(lf, "the device did not come back from its reset");
}

/* Returns false when the whole device needs it. */
static bool reset_queue(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty)
{
	lf_queue_pause(queue);
	if (lf_hw_disable_queue(lf, queue->index))
		return false;
	lf_queue_settle(queue);
	if (guilty)
		lf_queue_end(queue, guilty, -ETIMEDOUT);
	return !lf_queue_start(queue);
}

/**
 * lf_reset() - get a device to work again, by the least that may help
 * @lf: device; the caller holds @lf->reset_lock and is between drm_dev_enter() and drm_dev_exit()
 * @queue: what is affected; NULL for the whole device
 * @guilty: request of @queue that ends with -ETIMEDOUT unless it has ended meanwhile; NULL if there
 *	is none. It must not be freed before this returns
 * @reason: for the log
 *
 * Requests that may have been executed and must not be twice end with -ECANCELED.
 */
void lf_reset(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty,
	      const char *reason)
{
	lockdep_assert_held(&lf->reset_lock);
	if (READ_ONCE(lf->wedged) || lf->suspended)
		return;

	lf_netlink_reset(lf, queue, reason);
	trace_lf_reset(&lf->drm, queue ? queue->index : 0, guilty != NULL);
	atomic_inc(&lf->resets);
	lf_dump_take(lf, queue, guilty, reason);
	if (queue) {
		dev_warn(lf->drm.dev, "resetting queue %u: %s\n", queue->index, reason);
		if (queue->resets++ < LF_QUEUE_RESETS && reset_queue(lf, queue, guilty))
			return;
	}
	dev_warn(lf->drm.dev, "resetting the device: %s\n",
		 queue ? "a queue does not recover" : reason);
	reset_device(lf, queue, guilty);
}

/* Looks at the registers; true if something had to be done about them. */
static bool check_health(struct lf_device *lf)
{
	u32 status = lf_read(lf, LF_REG_STATUS);
	bool sick = false;
	unsigned int i;

	if (!lf_hw_present(lf)) {
		wedge(lf, "the device has gone: other registers are where its were");
		return true;
	}
	if (status & LF_DEVICE_FATAL) {
		lf_reset(lf, NULL, NULL, "it reports a fatal error");
		return true;
	}
	for (i = 0; i < lf->limits.queues && !READ_ONCE(lf->wedged); i++) {
		struct lf_queue *queue = &lf->queues[i];
		const char *broken = READ_ONCE(queue->broken);

		if (broken || lf_hw_queue_state(lf, i) & LF_QUEUE_FAULT) {
			lf_reset(lf, queue, NULL, broken ?: "it is in fault");
			sick = true;
		}
	}
	return sick;
}

/**
 * lf_reset_check() - look whether the device or a queue is in fault, and recover
 * @lf: device; the caller is between drm_dev_enter() and drm_dev_exit()
 */
void lf_reset_check(struct lf_device *lf)
{
	mutex_lock(&lf->reset_lock);
	if (!READ_ONCE(lf->wedged) && !lf->suspended)
		check_health(lf);
	mutex_unlock(&lf->reset_lock);
}

static bool is_any_running(struct lf_device *lf)
{
	unsigned int i;

	for (i = 0; i < lf->limits.queues; i++) {
		if (lf_hw_queue_state(lf, i) & LF_QUEUE_RUNNING)
			return true;
	}
	return false;
}

/* At the head of its queue, and the device is idle: it did not see the doorbell, or forgot it. */
static void watch_stalled(struct lf_device *lf, struct lf_queue *queue, struct lf_request *request,
			  unsigned long patience)
{
	if (!request->stalled_since) {
		request->stalled_since = jiffies | 1;
		lf_queue_ring(queue);
	} else if (time_after_eq(jiffies, request->stalled_since + patience / 2)) {
		lf_reset(lf, queue, request->stalls++ ? request : NULL,
			 "it has work and does none");
	}
}

/**
 * lf_reset_watch() - look after the oldest request of a queue
 * @lf: device; the caller is between drm_dev_enter() and drm_dev_exit()
 * @queue: its queue
 * @request: must not be freed before this returns
 * @timeout: how long it may run, jiffies
 *
 * Called every @lf->tick while it is in flight. A record whose interrupt was lost is taken here.
 * The request is ended once it has been seen running for @timeout, that is after @timeout and two
 * ticks at most. The time it waits for jobs of other queues does not count, on devices that tell.
 */
void lf_reset_watch(struct lf_device *lf, struct lf_queue *queue, struct lf_request *request,
		    unsigned long timeout)
{
	unsigned int taken;
	u32 state;

	mutex_lock(&lf->reset_lock);
	if (READ_ONCE(lf->wedged) || lf->suspended)
		goto unlock;
	taken = lf_queue_poll(queue);
	if (taken)
		drm_dbg(&lf->drm, "queue %u: %u records without an interrupt\n", queue->index,
			taken);
	if (check_health(lf) || !lf_queue_is_oldest(queue, request))
		goto unlock;
	if (READ_ONCE(lf->closing))
		timeout = min_t(unsigned long, timeout, LF_CLOSING);

	state = lf_hw_queue_state(lf, queue->index);
	if (!lf_speaks(lf, 2) || state & LF_QUEUE_RUNNING) {
		request->stalled_since = 0;
		if (!request->running_since)
			request->running_since = jiffies | 1;
		else if (time_after_eq(jiffies, request->running_since + timeout))
			lf_reset(lf, queue, request, "a request ran into its timeout");
	} else if (is_any_running(lf)) {
		request->stalled_since = 0;
		request->running_since = 0;
	} else if (!lf_queue_poll(queue)) {
		watch_stalled(lf, queue, request, timeout);
	}
unlock:
	mutex_unlock(&lf->reset_lock);
}

static void wait_until_idle(struct lf_device *lf)
{
	unsigned long end = jiffies + msecs_to_jiffies(LF_SUSPEND_MS);
	unsigned int i = 0;

	while (i < lf->limits.queues && time_before(jiffies, end)) {
		lf_queue_poll(&lf->queues[i]);
		if (lf_queue_is_idle(&lf->queues[i]))
			i++;
		else
			usleep_range(500, 1000);
	}
}

/**
 * lf_reset_suspend() - stop a device that is about to lose its power or to be reset by the bus
 * @lf: device
 *
 * It is given some time to end what is in flight; what is not ended is run again by
 * lf_reset_resume(), and what is submitted meanwhile waits for that.
 */
void lf_reset_suspend(struct lf_device *lf)
{
	unsigned int i;

	mutex_lock(&lf->reset_lock);
	if (READ_ONCE(lf->wedged)) {
		lf->suspended = true;
		goto unlock;
	}
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_pause(&lf->queues[i]);
	wait_until_idle(lf);
	lf->suspended = true;
	if (lf_hw_reset(lf))
		dev_warn(lf->drm.dev, "the device did not finish its reset\n");
	stop_dma(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_settle(&lf->queues[i]);
unlock:
	mutex_unlock(&lf->reset_lock);
}

/**
 * lf_reset_resume() - go on after lf_reset_suspend(), also on a device that was wedged
 * @lf: device
 *
 * Return: 0 or a negative errno; then the device is wedged.
 */
int lf_reset_resume(struct lf_device *lf)
{
	int err;

	mutex_lock(&lf->reset_lock);
	lf->suspended = false;
	WRITE_ONCE(lf->wedged, false);
	lf->fruitless_resets = 0;
	err = lf_hw_reset(lf);
	if (!err)
		err = start_queues(lf);
	if (err)
		wedge(lf, "the device did not come back");
	mutex_unlock(&lf->reset_lock);
	return err;
}

/**
 * lf_reset_start() - start a device for the first time
 * @lf: device, reset, with its rings allocated and interrupts requested
 *
 * Return: 0 or a negative errno.
 */
int lf_reset_start(struct lf_device *lf)
{
	return start_queues(lf);
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
	lf_event_init(lf);
	lf->reset_wq = alloc_ordered_workqueue("lf_accel-reset", WQ_MEM_RECLAIM);
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
		lf_queue_pause(&lf->queues[i]);
	if (lf_hw_reset(lf) == -ETIMEDOUT)
		dev_warn(lf->drm.dev, "the device did not finish its reset\n");
	stop_dma(lf);
	for (i = 0; i < lf->limits.queues; i++)
		lf_queue_abort(&lf->queues[i], -ENODEV);
	mutex_unlock(&lf->reset_lock);
	cancel_work_sync(&lf->event_work);
	wake_up_all(&lf->job_wait);
}
