// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs, below the accel device's folder:
 *
 *   queues  state of each queue as the driver and the device see it
 *   inject  write LF_INJECT() of lf_hw.h to raise or arm a fault, read which are armed; where the
 *           device offers it
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include <drm/drm_drv.h>

#include "lf_device.h"

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

/**
 * lf_debugfs_register() - add the files; the DRM core removes them
 * @lf: registered device
 */
void lf_debugfs_register(struct lf_device *lf)
{
	struct dentry *root = lf->drm.debugfs_root;

	debugfs_create_file("queues", 0400, root, lf, &queues_fops);
	if (lf->limits.features & LF_FEATURE_DEBUG)
		debugfs_create_file_unsafe("inject", 0600, root, lf, &inject_fops);
}
