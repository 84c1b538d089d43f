// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupt handlers, and what the device tells about itself. The buses request the interrupts.
 *
 * A spurious interrupt finds no record and costs a look at memory. Handlers of MSI-X vectors and of
 * MSI never say that an interrupt was not theirs, so that a storm does not get them shut off.
 */
#include <linux/pci.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>

#include "lf_device.h"
#include "lf_netlink.h"
#include "lf_trace.h"

/**
 * lf_queue_irq() - interrupt of one queue (MSI-X)
 * @irq: its number
 * @data: struct lf_queue
 *
 * Return: IRQ_HANDLED; a record may have been taken by an earlier interrupt.
 */
irqreturn_t lf_queue_irq(int irq, void *data)
{
	lf_queue_interrupt(data);
	return IRQ_HANDLED;
}

static u32 take_events(struct lf_device *lf)
{
	u32 events;

	/* Before 1.2 it raises two, and does not say which. */
	if (!lf_speaks(lf, 2))
		return lf_read(lf, LF_REG_STATUS) & LF_DEVICE_FATAL ? LF_EVENT_FATAL
								    : LF_EVENT_QUEUE;
	events = lf_read(lf, LF_REG_EVENTS);
	/* All ones: the device has gone, and event_work() will see it. */
	if (!PCI_POSSIBLE_ERROR(events))
		lf_write(lf, LF_REG_EVENTS, events);
	return events;
}

/**
 * lf_event_irq() - interrupt of events (MSI-X)
 * @irq: its number
 * @data: struct lf_device
 *
 * Return: IRQ_HANDLED.
 */
irqreturn_t lf_event_irq(int irq, void *data)
{
	struct lf_device *lf = data;
	u32 events = take_events(lf);

	if (events) {
		atomic_or(events, &lf->events);
		queue_work(lf->reset_wq, &lf->event_work);
	}
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

	if (!status || PCI_POSSIBLE_ERROR(status))
		return IRQ_NONE;
	/* Cleared first: a record that comes while the rings are drained raises it again. */
	lf_write(lf, LF_REG_IRQ_STATUS, status);
	if (status & 1)
		lf_event_irq(irq, lf);
	for (i = 0; i < lf->limits.queues; i++) {
		if (status & (2u << i))
			lf_queue_interrupt(&lf->queues[i]);
	}
	return IRQ_HANDLED;
}

/**
 * lf_single_irq() - the only interrupt of a device, shared with no other (MSI)
 * @irq: its number
 * @data: struct lf_device
 *
 * Return: IRQ_HANDLED, also of a spurious one.
 */
irqreturn_t lf_single_irq(int irq, void *data)
{
	lf_shared_irq(irq, data);
	return IRQ_HANDLED;
}

/**
 * lf_event_notify() - the device told of events
 * @lf: device; the caller is between drm_dev_enter() and drm_dev_exit()
 * @events: LF_EVENT_*, each perhaps more than once since the last call
 *
 * Called by a worker, before recovery looks at the device.
 */
void lf_event_notify(struct lf_device *lf, u32 events)
{
	trace_lf_event(&lf->drm, events);
	lf_netlink_events(lf, events);
	if (events & LF_EVENT_THERMAL)
		drm_dbg(&lf->drm, "the die crossed its highest temperature\n");
}

/* Rather than in the handler: recovery sleeps. */
static void event_work(struct work_struct *work)
{
	struct lf_device *lf = container_of(work, struct lf_device, event_work);
	u32 events = atomic_xchg(&lf->events, 0);
	int index;

	if (!drm_dev_enter(&lf->drm, &index))
		return;
	lf_kcov_start(&lf->kcov);
	if (events && !PCI_POSSIBLE_ERROR(events))
		lf_event_notify(lf, events);
	lf_reset_check(lf);
	lf_kcov_stop();
	drm_dev_exit(index);
}

/**
 * lf_event_init() - before interrupts are requested
 * @lf: device
 */
void lf_event_init(struct lf_device *lf)
{
	INIT_WORK(&lf->event_work, event_work);
}

/**
 * lf_reset_later() - have a worker look at the device
 * @lf: device that did something wrong
 *
 * May be called from interrupts.
 */
void lf_reset_later(struct lf_device *lf)
{
	queue_work(lf->reset_wq, &lf->event_work);
}
