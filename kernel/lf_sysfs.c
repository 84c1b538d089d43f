// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes in the folder "lf" of the bus device; Documentation/ABI/sysfs-lf_accel describes them.
 */
#include <linux/device.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include <drm/drm_drv.h>

#include "lf_device.h"

static ssize_t version_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	u32 version = ((struct lf_device *)dev_get_drvdata(dev))->limits.version;

	return sysfs_emit(text, "%u.%u\n", version >> 16, version & 0xffff);
}
static DEVICE_ATTR_RO(version);

static ssize_t preset_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	const struct lf_device *lf = dev_get_drvdata(dev);

	return sysfs_emit(text, "%s\n", lf->limits.preset);
}
static DEVICE_ATTR_RO(preset);

static ssize_t resets_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	struct lf_device *lf = dev_get_drvdata(dev);

	return sysfs_emit(text, "%d\n", atomic_read(&lf->resets));
}
static DEVICE_ATTR_RO(resets);

static ssize_t tiles_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	const struct lf_device *lf = dev_get_drvdata(dev);

	return sysfs_emit(text, "%u\n", lf->limits.tiles);
}
static DEVICE_ATTR_RO(tiles);

/* An attribute that is one or more words of the telemetry block. */
struct counter_attribute {
	struct device_attribute attribute;
	size_t offset;
	unsigned int words;
};

static ssize_t counter_show(struct device *dev, struct device_attribute *attribute, char *text)
{
	const struct counter_attribute *counter =
		container_of(attribute, struct counter_attribute, attribute);
	struct lf_device *lf = dev_get_drvdata(dev);
	struct lf_telemetry_block *block;
	const __le64 *words;
	ssize_t length = 0;
	unsigned int i;
	int index, err;

	block = kmalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	if (!drm_dev_enter(&lf->drm, &index)) {
		kfree(block);
		return -ENODEV;
	}
	err = lf_hw_telemetry(lf, block);
	drm_dev_exit(index);
	if (err) {
		kfree(block);
		return err;
	}

	words = (void *)block + counter->offset;
	for (i = 0; i < counter->words; i++)
		length += sysfs_emit_at(text, length, "%llu%c", le64_to_cpu(words[i]),
					i + 1 < counter->words ? ' ' : '\n');
	kfree(block);
	return length;
}

#define LF_COUNTER(_name, _mode)                                                          \
	static struct counter_attribute counter_##_name = {                               \
		.attribute = __ATTR(_name, _mode, counter_show, NULL),                    \
		.offset = offsetof(struct lf_telemetry_block, _name),                     \
		.words = sizeof_field(struct lf_telemetry_block, _name) / sizeof(__le64), \
	}

/* What tells of the work of others is for the privileged: it is a side channel. */
LF_COUNTER(jobs, 0400);
LF_COUNTER(mvm_count, 0400);
LF_COUNTER(mac_count, 0400);
LF_COUNTER(conversions, 0400);
LF_COUNTER(clips, 0400);
LF_COUNTER(host_bytes, 0400);
LF_COUNTER(busy_ns, 0400);
LF_COUNTER(time_ns, 0400);
LF_COUNTER(cells_written, 0400);
LF_COUNTER(cells_erased, 0400);
LF_COUNTER(verify_retries, 0400);
LF_COUNTER(cells_failed, 0400);
LF_COUNTER(cells_stuck, 0400);
LF_COUNTER(refresh_due, 0400);
LF_COUNTER(wear_max, 0400);
LF_COUNTER(wear_histogram, 0400);
LF_COUNTER(tiles_used, 0400);
LF_COUNTER(tiles_dirty, 0400);
LF_COUNTER(tiles_bad, 0444);

static struct attribute *lf_attributes[] = {
	&dev_attr_version.attr,
	&dev_attr_preset.attr,
	&dev_attr_resets.attr,
	&dev_attr_tiles.attr,
	&counter_jobs.attribute.attr,
	&counter_mvm_count.attribute.attr,
	&counter_mac_count.attribute.attr,
	&counter_conversions.attribute.attr,
	&counter_clips.attribute.attr,
	&counter_host_bytes.attribute.attr,
	&counter_busy_ns.attribute.attr,
	&counter_time_ns.attribute.attr,
	&counter_cells_written.attribute.attr,
	&counter_cells_erased.attribute.attr,
	&counter_verify_retries.attribute.attr,
	&counter_cells_failed.attribute.attr,
	&counter_cells_stuck.attribute.attr,
	&counter_refresh_due.attribute.attr,
	&counter_wear_max.attribute.attr,
	&counter_wear_histogram.attribute.attr,
	&counter_tiles_used.attribute.attr,
	&counter_tiles_dirty.attribute.attr,
	&counter_tiles_bad.attribute.attr,
	NULL,
};

static const struct attribute_group lf_attribute_group = {
	.name = "lf",
	.attrs = lf_attributes,
};

const struct attribute_group *lf_sysfs_groups[] = {
	&lf_attribute_group,
	NULL,
};
