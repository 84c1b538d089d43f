// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters. Each record of a job is added to its file's sums; attojoules are carried, so sums are
 * exact. The device's totals are its own (lf_hw.c) and for the privileged only: energy is a side
 * channel.
 */
#include <linux/capability.h>
#include <linux/math64.h>

#include <drm/drm_drv.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_telemetry.h"

#define LF_AJ_PER_PJ 1000000

const char *const lf_energy_names[LF_ENERGY_COMPONENTS] = {
	[LF_ENERGY_ARRAY] = "array",	 [LF_ENERGY_DAC] = "dac",
	[LF_ENERGY_ADC] = "adc",	 [LF_ENERGY_DIGITAL] = "digital",
	[LF_ENERGY_PROGRAM] = "program", [LF_ENERGY_STATIC] = "static",
};

/**
 * lf_sums_init() - start at zero
 * @sums: zeroed memory
 */
void lf_sums_init(struct lf_sums *sums)
{
	spin_lock_init(&sums->lock);
}

/**
 * lf_sums_add() - add a job
 * @sums: of its file
 * @completion: its record
 *
 * May be called from interrupts.
 */
void lf_sums_add(struct lf_sums *sums, const struct lf_completion *completion)
{
	unsigned long flags;
	unsigned int i;

	spin_lock_irqsave(&sums->lock, flags);
	for (i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		u32 rest;

		sums->energy_pj[i] +=
			div_u64_rem(le64_to_cpu(completion->energy_aj[i]), LF_AJ_PER_PJ, &rest);
		sums->energy_sub_aj[i] += rest;
		if (sums->energy_sub_aj[i] >= LF_AJ_PER_PJ) {
			sums->energy_sub_aj[i] -= LF_AJ_PER_PJ;
			sums->energy_pj[i]++;
		}
	}
	sums->busy_ns += le64_to_cpu(completion->busy_ns);
	sums->jobs++;
	sums->mvm_count += le64_to_cpu(completion->mvm_count);
	sums->mac_count += le64_to_cpu(completion->mac_count);
	sums->conversions += le64_to_cpu(completion->conversions);
	sums->clips += le64_to_cpu(completion->clips);
	sums->cells_written += le64_to_cpu(completion->cells_written);
	sums->cells_erased += le64_to_cpu(completion->cells_erased);
	sums->verify_retries += le64_to_cpu(completion->verify_retries);
	sums->host_bytes += le64_to_cpu(completion->host_bytes);
	spin_unlock_irqrestore(&sums->lock, flags);
}

/**
 * lf_sums_block() - what was added so far, of one moment
 * @sums: of a file
 * @block: receives it; what is the device's alone is 0
 */
void lf_sums_block(struct lf_sums *sums, struct lf_telemetry_block *block)
{
	unsigned int i;

	memset(block, 0, sizeof(*block));
	spin_lock_irq(&sums->lock);
	for (i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		block->energy_pj[i] = cpu_to_le64(sums->energy_pj[i]);
		block->energy_sub_aj[i] = cpu_to_le64(sums->energy_sub_aj[i]);
	}
	block->busy_ns = cpu_to_le64(sums->busy_ns);
	block->jobs = cpu_to_le64(sums->jobs);
	block->mvm_count = cpu_to_le64(sums->mvm_count);
	block->mac_count = cpu_to_le64(sums->mac_count);
	block->conversions = cpu_to_le64(sums->conversions);
	block->clips = cpu_to_le64(sums->clips);
	block->cells_written = cpu_to_le64(sums->cells_written);
	block->cells_erased = cpu_to_le64(sums->cells_erased);
	block->verify_retries = cpu_to_le64(sums->verify_retries);
	block->host_bytes = cpu_to_le64(sums->host_bytes);
	spin_unlock_irq(&sums->lock);
}

/**
 * lf_energy_total_pj() - energy of all components
 * @block: totals
 *
 * Return: picojoules, each component rounded down by itself.
 */
u64 lf_energy_total_pj(const struct lf_telemetry_block *block)
{
	u64 total = 0;
	unsigned int i;

	for (i = 0; i < LF_ENERGY_COMPONENTS; i++)
		total += le64_to_cpu(block->energy_pj[i]);
	return total;
}

/**
 * lf_telemetry_ioctl() - DRM_IOCTL_LF_TELEMETRY
 * @drm: device
 * @data: struct drm_lf_telemetry
 * @file: whose jobs are asked for
 *
 * Return: 0, -EINVAL, -EPERM, -ENODEV.
 */
int lf_telemetry_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_telemetry *args = data;
	int index, err;

	if (args->pad)
		return -EINVAL;
	switch (args->scope) {
	case DRM_LF_TELEMETRY_CONTEXT:
		lf_sums_block(&to_lf_context(file)->sums, &args->block);
		return 0;
	case DRM_LF_TELEMETRY_DEVICE:
		if (!perfmon_capable())
			return -EPERM;
		if (!drm_dev_enter(drm, &index))
			return -ENODEV;
		err = lf_hw_telemetry(to_lf_device(drm), &args->block);
		drm_dev_exit(index);
		return err;
	default:
		return -EINVAL;
	}
}
