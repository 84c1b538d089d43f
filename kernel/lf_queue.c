// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings, doorbells and interrupts. Knows requests, not what is in them: jobs are lf_submit.c and
 * lf_sched.c, management commands lf_manage.c. A request's tag is its place on the submission ring.
 */
#include <linux/dma-mapping.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/pci.h>

#include "lf_device.h"
#include "lf_queue.h"

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
 * lf_queue_init() - a queue without rings, stopped
 * @lf: device
 * @index: number of the queue
 *
 * Such a queue can be stopped and aborted, so that a device that never started can be taken down.
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
	queue->slots = devm_kcalloc(dev, queue->entries, sizeof(*queue->slots), GFP_KERNEL);
	if (!queue->submissions || !queue->completions || !queue->slots)
		return -ENOMEM;
	return 0;
}

static int queue_put(struct lf_queue *queue, struct lf_request *request)
{
	u32 place = queue->tail;

	if (!queue->enabled)
		return -ENODEV;
	if (WARN_ON_ONCE(queue->slots[place]))
		return -EBUSY;

	request->submission.tag = cpu_to_le16(place);
	queue->submissions[place] = request->submission;
	queue->slots[place] = request;
	list_add_tail(&request->link, &queue->inflight);
	queue->tail = (place + 1) & (queue->entries - 1);
	lf_write(queue->lf, submission_doorbell(queue), queue->tail);
	return 0;
}

/**
 * lf_queue_submit() - put a request on the ring
 * @queue: queue
 * @request: its @done is called when it has ended, perhaps before this returns
 *
 * The caller bounds the requests in flight below the entries of the ring.
 *
 * Return: 0, -ENODEV while the queue is stopped, -EBUSY if the ring is full.
 */
int lf_queue_submit(struct lf_queue *queue, struct lf_request *request)
{
	unsigned long flags;
	int err;

	spin_lock_irqsave(&queue->lock, flags);
	err = queue_put(queue, request);
	spin_unlock_irqrestore(&queue->lock, flags);
	return err;
}

static void queue_finish(struct lf_queue *queue, struct lf_request *request,
			 const struct lf_completion *completion, int error)
{
	queue->slots[le16_to_cpu(request->submission.tag)] = NULL;
	list_del_init(&request->link);
	request->done(request, completion, error);
}

/* Takes new records from the completion ring. */
static void queue_drain(struct lf_queue *queue)
{
	u32 first = queue->head;

	lockdep_assert_held(&queue->lock);
	for (;;) {
		const struct lf_completion *completion = &queue->completions[queue->head];
		struct lf_request *request = NULL;
		u16 tag;

		if ((le16_to_cpu(READ_ONCE(completion->phase)) & 1) != queue->phase)
			break;
		/* The phase is written last: the rest of the record is read after it. */
		dma_rmb();
		queue->head = (queue->head + 1) & (queue->entries - 1);
		if (!queue->head)
			queue->phase ^= 1;

		tag = le16_to_cpu(completion->tag);
		if (tag < queue->entries)
			request = queue->slots[tag];
		if (!request) {
			/* A request that a reset ended early may still leave its record. */
			if (queue->enabled)
				dev_warn_ratelimited(queue->lf->drm.dev,
						     "queue %u: record of unknown tag %u\n",
						     queue->index, tag);
			continue;
		}
		/* Aborted by a reset: lf_queue_start() submits it again. */
		if (!queue->enabled && request->rerun &&
		    le16_to_cpu(completion->status) == LF_STATUS_ABORTED)
			continue;
		queue_finish(queue, request, completion, 0);
	}
	if (queue->head != first && queue->enabled)
		lf_write(queue->lf, completion_doorbell(queue), queue->head);
}

/**
 * lf_queue_poll() - take what has completed, without an interrupt
 * @queue: queue
 */
void lf_queue_poll(struct lf_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue_drain(queue);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_stop() - take no more submissions
 * @queue: queue
 *
 * What is in flight stays there until lf_queue_start() or lf_queue_abort().
 */
void lf_queue_stop(struct lf_queue *queue)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->enabled = false;
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_end() - end a request of a stopped queue, if it has not ended by itself
 * @queue: queue
 * @request: request; must not have been freed
 * @error: handed to its @done
 */
void lf_queue_end(struct lf_queue *queue, struct lf_request *request, int error)
{
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	if (!list_empty(&request->link))
		queue_finish(queue, request, NULL, error);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_start() - set the rings up anew and submit again what was in flight
 * @queue: queue, disabled on the device
 *
 * Requests that must not run twice end with -ECANCELED.
 */
void lf_queue_start(struct lf_queue *queue)
{
	struct lf_device *lf = queue->lf;
	struct lf_request *request, *next;
	unsigned long flags;
	LIST_HEAD(again);

	spin_lock_irqsave(&queue->lock, flags);
	list_for_each_entry_safe(request, next, &queue->inflight, link) {
		if (!request->rerun) {
			queue_finish(queue, request, NULL, -ECANCELED);
			continue;
		}
		queue->slots[le16_to_cpu(request->submission.tag)] = NULL;
		list_move_tail(&request->link, &again);
	}

	memset(queue->completions, 0, queue->entries * sizeof(*queue->completions));
	queue->tail = 0;
	queue->head = 0;
	queue->phase = 1;
	lo_hi_writeq(queue->submissions_dma, lf->regs + queue_register(queue, LF_QUEUE_SUBMISSION));
	lo_hi_writeq(queue->completions_dma, lf->regs + queue_register(queue, LF_QUEUE_COMPLETION));
	lf_write(lf, queue_register(queue, LF_QUEUE_ENTRIES), queue->entries);
	lf_write(lf, queue_register(queue, LF_QUEUE_CONTROL), LF_QUEUE_ENABLE);
	queue->enabled = true;

	list_for_each_entry_safe(request, next, &again, link) {
		list_del_init(&request->link);
		request->repeated = true;
		queue_put(queue, request);
	}
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_abort() - end all that is in flight on a queue the device no longer serves
 * @queue: queue
 * @error: handed to each @done
 */
void lf_queue_abort(struct lf_queue *queue, int error)
{
	struct lf_request *request, *next;
	unsigned long flags;

	spin_lock_irqsave(&queue->lock, flags);
	queue->enabled = false;
	list_for_each_entry_safe(request, next, &queue->inflight, link)
		queue_finish(queue, request, NULL, error);
	spin_unlock_irqrestore(&queue->lock, flags);
}

/**
 * lf_queue_irq() - interrupt of one queue (MSI-X)
 * @irq: its number
 * @data: struct lf_queue
 *
 * Return: IRQ_HANDLED; a record may have been taken by an earlier interrupt.
 */
irqreturn_t lf_queue_irq(int irq, void *data)
{
	struct lf_queue *queue = data;

	spin_lock(&queue->lock);
	queue_drain(queue);
	spin_unlock(&queue->lock);
	return IRQ_HANDLED;
}

/**
 * lf_event_irq() - interrupt of events (MSI-X): a queue in fault or a fatal error
 * @irq: its number
 * @data: struct lf_device
 *
 * Return: IRQ_HANDLED.
 */
irqreturn_t lf_event_irq(int irq, void *data)
{
	struct lf_device *lf = data;

	queue_work(lf->reset_wq, &lf->event_work);
	return IRQ_HANDLED;
}

/**
 * lf_shared_irq() - the only interrupt of a device (MSI, INTx, platform)
 * @irq: its number
 * @data: struct lf_device
 *
 * Return: IRQ_NONE if it was another device's.
 */
irqreturn_t lf_shared_irq(int irq, void *data)
{
	struct lf_device *lf = data;
	u32 status = lf_read(lf, LF_REG_IRQ_STATUS);
	unsigned int i;

	/* All ones: the device has gone. */
	if (!status || PCI_POSSIBLE_ERROR(status))
		return IRQ_NONE;
	/* Cleared first: a record that comes while the rings are drained raises it again. */
	lf_write(lf, LF_REG_IRQ_STATUS, status);
	if (status & 1)
		lf_event_irq(irq, lf);
	for (i = 0; i < lf->limits.queues; i++) {
		if (status & (2u << i))
			lf_queue_irq(irq, &lf->queues[i]);
	}
	return IRQ_HANDLED;
}
