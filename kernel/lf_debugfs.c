// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs, below the accel device's folder:
 *
 *   queues  state of each queue as the driver and the device see it
 *   inject  write LF_INJECT() of lf_hw.h to raise or arm a fault, read which are armed; where the
 *           device offers it
 *   latency each read rings a doorbell and raises an interrupt once, and tells how long they took;
 *           where the device offers injection
 */
#include <linux/debugfs.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include <drm/drm_drv.h>

#include "lf_device.h"

#define LF_INTERRUPT_TIMEOUT_NS NSEC_PER_SEC

static int queues_show(struct seq_file *file, void *unused)
{
	struct lf_device *lf = file->private;
	unsigned int i;
	int index;

	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	for (i = 0; i < lf->limits.queues; i++) {
		struct lf_queue *queue = &lf->queues[i];
		u32 state = lf_hw_queue_state(lf, i);

		spin_lock_irq(&queue->lock);
		seq_printf(
			file,
			"%u: entries %u tail %u head %u in_flight %u mode %d coalesced %d interrupts %llu records %llu device %#x\n",
			i, queue->entries, queue->tail, queue->head, queue->depth, queue->mode,
			queue->deep, queue->interrupts, queue->records, state);
		spin_unlock_irq(&queue->lock);
	}
	drm_dev_exit(index);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

static int inject_get(void *data, u64 *value)
{
	struct lf_device *lf = data;
	int index;

	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	*value = lf_read(lf, LF_REG_INJECT);
	drm_dev_exit(index);
	return 0;
}

static int inject_set(void *data, u64 value)
{
	struct lf_device *lf = data;
	int index;

	if (!value || value > U32_MAX)
		return -EINVAL;
	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	lf_write(lf, LF_REG_INJECT, value);
	drm_dev_exit(index);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(inject_fops, inject_get, inject_set, "%llu\n");

/* Nanoseconds from the register write that raises an interrupt to when its handler has run. */
static s64 time_interrupt(struct lf_device *lf, struct lf_queue *queue)
{
	u64 before = READ_ONCE(queue->interrupts);
	u64 start = ktime_get_ns();

	lf_write(lf, LF_REG_INJECT, LF_INJECT(LF_INJECT_SPURIOUS, 1 + queue->index, 0));
	while (READ_ONCE(queue->interrupts) == before) {
		if (ktime_get_ns() - start > LF_INTERRUPT_TIMEOUT_NS)
			return -ETIMEDOUT;
		cpu_relax();
		cond_resched();
	}
	return ktime_get_ns() - start;
}

/*
 * What no job on this machine can be faster than: the doorbell announces nothing, and the interrupt
 * finds no record. They are those of the queue that a file opened on this processor would use. Jobs
 * of others disturb the figures, and are not disturbed.
 */
static int latency_show(struct seq_file *file, void *unused)
{
	struct lf_device *lf = file->private;
	unsigned int processor = raw_smp_processor_id();
	struct lf_queue *queue = &lf->queues[1 + processor % (lf->limits.queues - 1)];
	s64 interrupt_ns;
	u64 doorbell_ns;
	int index;

	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	doorbell_ns = ktime_get_ns();
	lf_queue_ring(queue);
	doorbell_ns = ktime_get_ns() - doorbell_ns;
	interrupt_ns = time_interrupt(lf, queue);
	drm_dev_exit(index);
	if (interrupt_ns < 0)
		return interrupt_ns;
	seq_printf(file, "doorbell_ns %llu interrupt_ns %lld\n", doorbell_ns, interrupt_ns);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(latency);

/**
 * lf_debugfs_register() - add the files; the DRM core removes them
 * @lf: registered device
 */
void lf_debugfs_register(struct lf_device *lf)
{
	struct dentry *root = lf->drm.debugfs_root;

	debugfs_create_file("queues", 0400, root, lf, &queues_fops);
	if (lf->limits.features & LF_FEATURE_DEBUG) {
		debugfs_create_file_unsafe("inject", 0600, root, lf, &inject_fops);
		debugfs_create_file("latency", 0400, root, lf, &latency_fops);
	}
}
