// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs, below the accel device's folder:
 *
 *   queues  state of each queue as the driver and the device see it
 *   inject  write 1 to let the next job hang, 2 to let it fail; where the device offers it
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
		u32 state = lf_read(lf, LF_REG_QUEUE + LF_QUEUE_STRIDE * i + LF_QUEUE_STATE);
		size_t inflight;
		u32 tail, head;
		bool enabled;

		spin_lock_irq(&queue->lock);
		inflight = list_count_nodes(&queue->inflight);
		tail = queue->tail;
		head = queue->head;
		enabled = queue->enabled;
		spin_unlock_irq(&queue->lock);
		seq_printf(file,
			   "%u: entries %u tail %u head %u in_flight %zu enabled %d device %#x\n",
			   i, queue->entries, tail, head, inflight, enabled, state);
	}
	drm_dev_exit(index);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

static int inject_set(void *data, u64 value)
{
	struct lf_device *lf = data;
	int index;

	if (value != LF_INJECT_HANG_JOB && value != LF_INJECT_FAIL_JOB)
		return -EINVAL;
	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	lf_write(lf, LF_REG_INJECT, value);
	drm_dev_exit(index);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(inject_fops, NULL, inject_set, "%llu\n");

/**
 * lf_debugfs_register() - add the files; the DRM core removes them
 * @lf: registered device
 */
void lf_debugfs_register(struct lf_device *lf)
{
	struct dentry *root = lf->drm.debugfs_root;

	debugfs_create_file("queues", 0400, root, lf, &queues_fops);
	if (lf->limits.features & LF_FEATURE_DEBUG)
		debugfs_create_file_unsafe("inject", 0200, root, lf, &inject_fops);
}
