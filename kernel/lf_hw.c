// SPDX-License-Identifier: GPL-2.0-only
/*
 * Registers: what the device is, reset, enable, counters. No rings (lf_queue.c), no policy
 * (lf_reset.c).
 */
#include <linux/cpumask.h>
#include <linux/device.h>
#include <linux/iopoll.h>
#include <linux/log2.h>
#include <linux/pci.h>

#include "lf_device.h"

#define LF_POLL_US	    50
#define LF_RESET_TIMEOUT_US (5 * USEC_PER_SEC)

/* The driver's own bounds: a job's commands are one allocation. */
#define LF_RING_ENTRIES	    256u
#define LF_JOB_COMMANDS	    1024u
#define LF_JOB_BUFFERS	    256u
#define LF_JOB_MATRICES	    256u
#define LF_JOB_SYNCS	    64u

/**
 * lf_hw_identify() - check that this is an LF-1 that the driver can drive, and read its limits
 * @lf: device with @regs mapped
 *
 * Return: 0, -ENODEV (another device), -EPROTO (another interface version), -EINVAL (registers make
 * no sense).
 */
int lf_hw_identify(struct lf_device *lf)
{
	struct device *dev = lf->drm.dev;
	struct lf_limits *limits = &lf->limits;
	u32 magic = lf_read(lf, LF_REG_MAGIC);
	u32 pages, queues;
	unsigned int i;

	if (magic != LF_MAGIC)
		return dev_err_probe(dev, -ENODEV, "no LF-1 here: magic is %#x\n", magic);
	limits->version = lf_read(lf, LF_REG_VERSION);
	if (limits->version >> 16 != LF_HW_VERSION_MAJOR)
		return dev_err_probe(
			dev, -EPROTO, "the device speaks version %u.%u, this driver %u.x\n",
			limits->version >> 16, limits->version & 0xffff, LF_HW_VERSION_MAJOR);

	limits->features = lf_read(lf, LF_REG_FEATURES);
	limits->formats = lf_read(lf, LF_REG_FORMATS);
	limits->vectors = lf_read(lf, LF_REG_VECTORS);
	queues = lf_read(lf, LF_REG_QUEUES);
	/* One for management, and one for jobs for each processor that could submit. */
	limits->queues = min3(queues, (u32)LF_QUEUES_MAX, 1 + num_online_cpus());
	limits->ring_entries = min(lf_read(lf, LF_REG_QUEUE_ENTRIES), LF_RING_ENTRIES);
	limits->job_commands = min(lf_read(lf, LF_REG_JOB_COMMANDS), LF_JOB_COMMANDS);
	limits->job_buffers = min(lf_read(lf, LF_REG_JOB_BUFFERS), LF_JOB_BUFFERS);
	limits->job_matrices = LF_JOB_MATRICES;
	limits->job_scratch_bytes = lf_read(lf, LF_REG_JOB_SCRATCH);
	limits->job_syncs = LF_JOB_SYNCS;
	pages = lf_read(lf, LF_REG_BUFFER_PAGES);
	limits->buffer_bytes = round_down((u64)pages * LF_PAGE_BYTES, PAGE_SIZE);
	/* Before 1.1 nothing was said. */
	limits->job_bytes = lf_speaks(lf, 1) ? lf_read(lf, LF_REG_JOB_BYTES) : U32_MAX;
	limits->batch = lf_read(lf, LF_REG_BATCH);
	limits->matrices = lf_read(lf, LF_REG_MATRICES);
	limits->matrix_rows = lf_read(lf, LF_REG_MATRIX_ROWS);
	limits->matrix_cols = lf_read(lf, LF_REG_MATRIX_COLS);
	limits->accounts = lf_read(lf, LF_REG_ACCOUNTS);
	limits->tiles = lf_read(lf, LF_REG_TILES);
	limits->tile_rows = lf_read(lf, LF_REG_TILE_ROWS);
	limits->tile_cols = lf_read(lf, LF_REG_TILE_COLS);
	limits->tile_weights = lf_read(lf, LF_REG_TILE_WEIGHTS);
	limits->cell_bits = lf_read(lf, LF_REG_CELL_BITS);
	limits->adc_bits = lf_read(lf, LF_REG_ADC_BITS);
	limits->dac_bits = lf_read(lf, LF_REG_DAC_BITS);
	for (i = 0; i < LF_PRESET_BYTES; i += 4)
		*(__le32 *)&limits->preset[i] = cpu_to_le32(lf_read(lf, LF_REG_PRESET + i));
	limits->preset[LF_PRESET_BYTES - 1] = 0;

	if (queues < 2 || limits->ring_entries < 2 || !is_power_of_2(limits->ring_entries) ||
	    !limits->job_commands || !limits->job_buffers || !limits->buffer_bytes ||
	    !limits->batch || !limits->matrices || !limits->matrix_rows || !limits->matrix_cols)
		return dev_err_probe(dev, -EINVAL, "the capability registers make no sense\n");
	return 0;
}

/**
 * lf_hw_present() - whether the device is where it was
 * @lf: device
 *
 * What answers in its place when it has left the bus depends on the machine: mostly ones.
 *
 * Return: false when it has gone.
 */
bool lf_hw_present(struct lf_device *lf)
{
	return lf_read(lf, LF_REG_MAGIC) == LF_MAGIC;
}

/* Jobs wait for it: so no longer than half of what one of them may take. */
static unsigned long reset_timeout_us(const struct lf_device *lf)
{
	/* In jiffies first: the microseconds of a long timeout do not fit. */
	return jiffies_to_usecs(min(lf->job_timeout / 2, usecs_to_jiffies(LF_RESET_TIMEOUT_US)));
}

/**
 * lf_hw_reset() - end all jobs, disable all queues
 * @lf: device
 *
 * Sleeps.
 *
 * Return: 0, -ETIMEDOUT, -ENODEV when the device does not answer at all.
 */
int lf_hw_reset(struct lf_device *lf)
{
	u32 control;
	int err;

	lf_write(lf, LF_REG_CONTROL, LF_CONTROL_RESET);
	err = readl_poll_timeout(lf->regs + LF_REG_CONTROL, control,
				 !(control & LF_CONTROL_RESET) || PCI_POSSIBLE_ERROR(control),
				 LF_POLL_US, reset_timeout_us(lf));
	return PCI_POSSIBLE_ERROR(control) ? -ENODEV : err;
}

/**
 * lf_hw_enable() - make a device that was reset ready for its queues
 * @lf: device
 *
 * Sleeps.
 *
 * Return: 0, -ETIMEDOUT, -EIO when the device says that it cannot work.
 */
int lf_hw_enable(struct lf_device *lf)
{
	u32 status;
	int err;

	lf_write(lf, LF_REG_CONTROL, LF_CONTROL_ENABLE);
	err = readl_poll_timeout(lf->regs + LF_REG_STATUS, status,
				 status & (LF_DEVICE_READY | LF_DEVICE_FATAL), LF_POLL_US,
				 reset_timeout_us(lf));
	if (err)
		return err;
	if (status & LF_DEVICE_FATAL)
		return -EIO;
	lf_write(lf, LF_REG_IRQ_MASK, 0);
	return 0;
}

/**
 * lf_hw_queue_state() - what the device says of a queue
 * @lf: device
 * @index: number of the queue
 *
 * Return: LF_QUEUE_ENABLED, LF_QUEUE_FAULT, LF_QUEUE_RUNNING.
 */
u32 lf_hw_queue_state(struct lf_device *lf, unsigned int index)
{
	return lf_read(lf, LF_REG_QUEUE + LF_QUEUE_STRIDE * index + LF_QUEUE_STATE);
}

/**
 * lf_hw_disable_queue() - have the device let go of a queue, and wait until it has
 * @lf: device
 * @index: number of the queue
 *
 * Sleeps.
 *
 * Return: 0, -ETIMEDOUT, -ENODEV when the device does not answer at all.
 */
int lf_hw_disable_queue(struct lf_device *lf, unsigned int index)
{
	u32 window = LF_REG_QUEUE + LF_QUEUE_STRIDE * index;
	u32 state;
	int err;

	lf_write(lf, window + LF_QUEUE_CONTROL, 0);
	err = readl_poll_timeout(lf->regs + window + LF_QUEUE_STATE, state,
				 !(state & LF_QUEUE_ENABLED) || PCI_POSSIBLE_ERROR(state),
				 LF_POLL_US, reset_timeout_us(lf) / 4);
	return PCI_POSSIBLE_ERROR(state) ? -ENODEV : err;
}

/**
 * lf_hw_telemetry_words() - read some of the device's totals, of one moment
 * @lf: device
 * @first: number of the first word in struct lf_telemetry_block
 * @count: how many words
 * @words: receives them
 *
 * May be called with interrupts off.
 *
 * Return: 0, -ENODEV when the device does not answer.
 */
int lf_hw_telemetry_words(struct lf_device *lf, unsigned int first, unsigned int count,
			  __le64 *words)
{
	unsigned long flags;
	unsigned int i;

	/* perf reads with interrupts off and a raw lock held. */
	raw_spin_lock_irqsave(&lf->telemetry_lock, flags);
	lf_write(lf, LF_REG_TELEMETRY_LATCH, 1);
	for (i = 0; i < count; i++)
		words[i] = cpu_to_le64(readq(lf->regs + LF_REG_TELEMETRY + 8 * (first + i)));
	raw_spin_unlock_irqrestore(&lf->telemetry_lock, flags);
	return lf_hw_present(lf) ? 0 : -ENODEV;
}

/**
 * lf_hw_telemetry() - read the device's totals, of one moment
 * @lf: device
 * @block: receives them
 *
 * Return: 0, -ENODEV when the device does not answer.
 */
int lf_hw_telemetry(struct lf_device *lf, struct lf_telemetry_block *block)
{
	return lf_hw_telemetry_words(lf, 0, sizeof(*block) / sizeof(__le64), (__le64 *)block);
}
