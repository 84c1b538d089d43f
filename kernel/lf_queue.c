// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings and doorbells. Knows requests, not what is in them: jobs are lf_submit.c and lf_sched.c,
 * management commands lf_manage.c. A request's tag is its place on the submission ring. The device
 * executes a queue in order, so a record that is not the oldest request's is a fault of the device:
 * from there on nothing on the ring is believed, and lf_reset.c sets it up anew.
 *
 * While many requests are in flight their interrupts are coalesced: one for LF_COALESCE_RECORDS
 * records. It begins at twice as many requests in flight and ends when fewer are left, so there are
 * always enough of them to complete the number, and the last of a burst wait for nothing.
 */
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/moduleparam.h>

#include "lf_device.h"
#include "lf_queue.h"

#define LF_COALESCE_RECORDS 8
#define LF_COALESCE_BEGIN   (2 * LF_COALESCE_RECORDS)

static ushort coalesce_us = 500;
module_param(coalesce_us, ushort, 0444);
MODULE_PARM_DESC(
	coalesce_us,
	"Longest that a record of many waits for its interrupt, us (default 500; 0: never)");

static u32 queue_register(const struct lf_queue *queue, u32 offset)
{
	return LF_REG_QUEUE + LF_QUEUE_STRIDE * queue->index + offset;
}

static u32 submission_doorbell(const struct lf_queue *queue)
{
	return LF_REG_DOORBELL + 8 * queue->index;
}

static u32 completion_doorbell(const struct lf_queue *queue)
{
	return LF_REG_DOORBELL + 8 * queue->index + 4;
}

/**
 * lf_queue_init() - a queue without rings, off
 * @lf: device
 * @index: number of the queue
 *
 * Such a queue can be paused and aborted, so that a device that never started can be taken down.
 */
void lf_queue_init(struct lf_device *lf, unsigned int index)
{
	struct lf_queue *queue = &lf->queues[index];

	queue->lf = lf;
	queue->index = index;
	spin_lock_init(&queue->lock);
	INIT_LIST_HEAD(&queue->inflight);
	snprintf(queue->name, sizeof(queue->name), "lf_accel-q%u", index);
}

/**
 * lf_queue_allocate() - allocate the rings of a queue
 * @queue: of lf_queue_init()
 *
 * The rings live as long as the device is bound.
 *
 * Return: 0 or -ENOMEM.
 */
int lf_queue_allocate(struct lf_queue *queue)
{
	struct device *dev = queue->lf->drm.dev;

	queue->entries = queue->lf->limits.ring_entries;
	queue->submissions = dmam_alloc_coherent(dev, queue->entries * sizeof(*queue->submissions),
						 &queue->submissions_dma, GFP_KERNEL);
	queue->completions = dmam_alloc_coherent(dev, queue->entries * sizeof(*queue->completions),
						 &queue->completions_dma, GFP_KERNEL);
	return queue->submissions && queue->completions ? 0 : -ENOMEM;
}

static void set_coalescing(struct lf_queue *queue, bool deep)
{
	queue->deep = deep;
	lf_write(queue->lf, queue_register(queue, LF_QUEUE_COALESCE),
		 deep ? LF_COALESCE(LF_COALESCE_RECORDS, (u32)coalesce_us) : 0);
}

static void place(struct lf_queue *queue, struct lf_request *request)
{
	request->submission.tag = cpu_to_le16(queue->tail);
	queue->submissions[queue->tail] = request->submission;
	request->placed = true;
	queue->tail = (queue->tail + 1) & (queue->entries - 1);
}

/* Tells the device of what was placed. */
static void announce(struct lf_queue *queue)
{
	if (!queue->deep && queue->depth >= LF_COALESCE_BEGIN && coalesce_us &&
	    lf_speaks(queue->lf, 2))
		set_coalescing(queue, true);
	lf_write(queue->lf, submission_doorbell(queue), queue->tail);
}

static int submit(struct lf_queue *queue, struct lf_request *request)
{
	if (queue->mode == LF_QUEUE_OFF)
		return -ENODEV;
	if (WARN_ON_ONCE(queue->depth == queue->entries - 1))
		return -EBUSY;

	request->placed = false;
	request->maybe_run = false;
	request->repeated = false;
	request->stalls = 0;
	request->running_since = 0;
	request->stalled_since = 0;
	list_add_tail(&request->link, &queue->inflight);
	queue->depth++;
	if (queue->mode == LF_QUEUE_PAUSED)
		return 0;
	place(queue, request);
	announce(queue);
	return 0;
}

/**
 * lf_queue_submit() - put a request on the ring, or keep it while the queue is paused
 * @queue: queue
 * @request: its @done is called when it has ended, perhaps before this returns
 *
 * The caller bounds the requests in flight below the entries of the ring.
 *
 * Return: 0, -ENODEV if the queue is off, -EBUSY if the ring is full.
 */
int lf_queue_submit(struct lf_queue *queue, struct lf_request *request)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&queue->lock, flags);
	err = submit(queue, request);
	spin_unlock_irqrestore(&queue->lock, flags);
	return err;
}

static void finish(struct lf_queue *queue, struct lf_request *request,
		   const struct lf_completion *completion, int error)
{
	list_del_init(&request->link);
	queue->depth--;
	request->done(request, completion, error);
}

/* What is wrong with a record, or NULL: it belongs to the oldest request and counts as far as the tail. */
static const char *check_record(struct lf_queue *queue, const struct lf_request *oldest,
				const struct lf_completion *completion)
{
	u32 mask = queue->entries - 1;
	u32 tag = le16_to_cpu(completion->tag);
	u32 head = le16_to_cpu(completion->submission_head);

	if (!oldest || !oldest->placed || completion->tag != oldest->submission.tag)
		return "a record of a tag that is not its turn";
	if (head > mask || ((head - tag - 1) & mask) > ((queue->tail - tag - 1) & mask))
		return "a record that counts beyond the ring";
	return NULL;
}

static bool has_record(const struct lf_queue *queue)
{
	return (le16_to_cpu(READ_ONCE(queue->completions[queue->head].phase)) & 1) == queue->phase;
}

/* The request whose record is next. */
static struct lf_request *next_to_end(struct lf_queue *queue)
{
	struct lf_request *request;

	list_for_each_entry(request, &queue->inflight, link) {
		if (!request->maybe_run)
			return request;
	}
	return NULL;
}

static void take_record(struct lf_queue *queue)
{
	const struct lf_completion *completion = &queue->completions[queue->head];
	struct lf_request *oldest = next_to_end(queue);
	u16 status = le16_to_cpu(completion->status);

	queue->broken = check_record(queue, oldest, completion);
	if (queue->broken)
		return;
	queue->head = (queue->head + 1) & (queue->entries - 1);
	if (!queue->head)
		queue->phase ^= 1;
	queue->records++;
	/* Aborted by a reset: lf_queue_start() submits it again. */
	if (queue->mode != LF_QUEUE_ON && oldest->rerun && status == LF_STATUS_ABORTED) {
		oldest->maybe_run = true;
		return;
	}
	if (status > LF_STATUS_LAST) {
		queue->broken = "a record of an unknown status";
	} else if (status != LF_STATUS_ABORTED) {
		/* What a reset brings about itself does not show that it helped. */
		queue->resets = 0;
		WRITE_ONCE(queue->lf->fruitless_resets, 0);
	}
	finish(queue, oldest, completion, 0);
}

/* Takes new records; returns how many. */
static unsigned int drain(struct lf_queue *queue)
{
	unsigned int taken = 0;

	lockdep_assert_held(&queue->lock);
	if (queue->broken || !queue->completions || queue->mode == LF_QUEUE_OFF)
		return 0;
again:
	while (!queue->broken && has_record(queue)) {
		/* The phase is written last: the rest of the record is read after it. */
		dma_rmb();
		take_record(queue);
		taken++;
	}
	if (queue->mode != LF_QUEUE_ON)
		return taken;
	if (queue->broken) {
		lf_reset_later(queue->lf);
		return taken;
	}
	if (taken)
		lf_write(queue->lf, completion_doorbell(queue), queue->head);
	if (queue->deep && queue->depth < LF_COALESCE_RECORDS) {
		set_coalescing(queue, false);
		/* Records from before the device took notice are in memory once it has answered. */
		lf_read(queue->lf, queue_register(queue, LF_QUEUE_COALESCE));
		goto again;
	}
	return taken;
}

/**
 * lf_queue_poll() - take what has completed, without an interrupt
 * @queue: queue
 *
 * Return: records taken.
 */
unsigned int lf_queue_poll(struct lf_queue *queue)
{
	unsigned long flags;
	unsigned int taken;

	spin_lock_irqsave(&queue->lock, flags);
	taken = drain(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
	return taken;
}

/**
 * lf_queue_interrupt() - take what has completed
 * @queue: queue; it may have nothing, an earlier interrupt may have taken all
 */
void lf_queue_interrupt(struct lf_queue *queue)
{
	spin_lock(&queue->lock);
	queue->interrupts++;
	drain(queue);
	spin_unlock(&queue->lock);
}

/**
 * lf_queue_ring() - tell the device of the tail once more
 * @queue: queue that has requests of which the device takes no notice
 */
void lf_queue_ring(struct lf_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (queue->mode == LF_QUEUE_ON)
		lf_write(queue->lf, submission_doorbell(queue), queue->tail);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_is_oldest() - whether a request is the next to end
 * @queue: queue
 * @request: must not have been freed; it may have ended
 *
 * Return: true if it is in flight and at the head of the ring.
 */
bool lf_queue_is_oldest(struct lf_queue *queue, const struct lf_request *request)
{
	unsigned long flags;
	bool oldest;

	spin_lock_irqsave(&queue->lock, flags);
	oldest = queue->mode == LF_QUEUE_ON &&
		 list_first_entry_or_null(&queue->inflight, struct lf_request, link) == request;
	spin_unlock_irqrestore(&queue->lock, flags);
	return oldest;
}

/**
 * lf_queue_is_idle() - whether nothing is on the ring
 * @queue: queue
 *
 * Return: true if so.
 */
bool lf_queue_is_idle(struct lf_queue *queue)
{
	struct lf_request *oldest;
	unsigned long flags;
	bool idle;

	spin_lock_irqsave(&queue->lock, flags);
	/* What a paused queue keeps stands behind what is on the ring. */
	oldest = list_first_entry_or_null(&queue->inflight, struct lf_request, link);
	idle = !oldest || !oldest->placed;
	spin_unlock_irqrestore(&queue->lock, flags);
	return idle;
}

/**
 * lf_queue_pause() - put nothing more on the ring
 * @queue: queue
 *
 * What is in flight stays so until lf_queue_start() or lf_queue_abort(). A queue that is off stays off.
 */
void lf_queue_pause(struct lf_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (queue->mode == LF_QUEUE_ON)
		queue->mode = LF_QUEUE_PAUSED;
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_settle() - find out what a queue that the device has disabled was doing
 * @queue: paused queue
 *
 * Jobs are executed in order and records taken in order, so of what is in flight only the oldest can
 * have been begun. If the records made no sense, everything may have been.
 */
void lf_queue_settle(struct lf_queue *queue)
{
	struct lf_request *request;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	drain(queue);
	list_for_each_entry(request, &queue->inflight, link) {
		if (queue->settled)
			break;
		if (request->maybe_run)
			continue;
		request->maybe_run = request->placed;
		if (!queue->broken)
			break;
	}
	queue->settled = true;
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_end() - end a request of a paused queue, if it has not ended by itself
 * @queue: queue
 * @request: request; must not have been freed
 * @error: handed to its @done
 *
 * Return: true if it was ended here.
 */
bool lf_queue_end(struct lf_queue *queue, struct lf_request *request, int error)
{
	unsigned long flags;
	bool ended;

	spin_lock_irqsave(&queue->lock, flags);
	ended = !list_empty(&request->link);
	if (ended)
		finish(queue, request, NULL, error);
	spin_unlock_irqrestore(&queue->lock, flags);
	return ended;
}

/* Points the device to empty rings; false if it does not take them. */
static bool enable(struct lf_queue *queue)
{
	struct lf_device *lf = queue->lf;
	u32 state;

	memset(queue->completions, 0, queue->entries * sizeof(*queue->completions));
	queue->tail = 0;
	queue->head = 0;
	queue->phase = 1;
	queue->broken = NULL;
	queue->settled = false;
	lo_hi_writeq(queue->submissions_dma, lf->regs + queue_register(queue, LF_QUEUE_SUBMISSION));
	lo_hi_writeq(queue->completions_dma, lf->regs + queue_register(queue, LF_QUEUE_COMPLETION));
	lf_write(lf, queue_register(queue, LF_QUEUE_ENTRIES), queue->entries);
	set_coalescing(queue, false);
	lf_write(lf, queue_register(queue, LF_QUEUE_CONTROL), LF_QUEUE_ENABLE);
	state = lf_read(lf, queue_register(queue, LF_QUEUE_STATE));
	return (state & LF_QUEUE_ENABLED) && !(state & LF_QUEUE_FAULT);
}

/**
 * lf_queue_start() - set the rings up and submit again what was in flight
 * @queue: paused queue that has been settled, or one that was never started; disabled on the device
 *
 * Requests that may have been executed, and must not be twice, end with -ECANCELED.
 *
 * Return: 0, or -EIO when the device does not take the queue, which is then paused as before.
 */
int lf_queue_start(struct lf_queue *queue)
{
	struct lf_request *request, *next;
	unsigned long flags;
	int err = -EIO;

	spin_lock_irqsave(&queue->lock, flags);
	if (!enable(queue))
		goto unlock;
	queue->mode = LF_QUEUE_ON;
	list_for_each_entry_safe(request, next, &queue->inflight, link) {
		if (request->maybe_run && !request->rerun) {
			finish(queue, request, NULL, -ECANCELED);
			continue;
		}
		request->repeated |= request->maybe_run;
		request->maybe_run = false;
		request->running_since = 0;
		request->stalled_since = 0;
		place(queue, request);
	}
	if (queue->depth)
		announce(queue);
	err = 0;
unlock:
	spin_unlock_irqrestore(&queue->lock, flags);
	return err;
}

/**
 * lf_queue_abort() - end all that is in flight on a queue the device no longer serves, for good
 * @queue: queue
 * @error: handed to each @done
 */
void lf_queue_abort(struct lf_queue *queue, int error)
{
	struct lf_request *request, *next;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->mode = LF_QUEUE_OFF;
	list_for_each_entry_safe(request, next, &queue->inflight, link)
		finish(queue, request, NULL, error);
	spin_unlock_irqrestore(&queue->lock, flags);
}
