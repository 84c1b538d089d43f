// SPDX-License-Identifier: GPL-2.0-only
/*
 * hwmon: energy of each component and of all in microjoules, average power in microwatts,
 * temperature in millidegrees. Energy and power are modelled by the device and tell of the work of
 * others, so only root may read them.
 */
#include <linux/device.h>
#include <linux/hwmon.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "lf_device.h"

#define LF_PJ_PER_UJ	1000000

/* Channels of energy: the components, then their sum. */
#define LF_ENERGY_TOTAL LF_ENERGY_COMPONENTS

static const char *const energy_labels[] = {
	[LF_ENERGY_ARRAY] = "array",	 [LF_ENERGY_DAC] = "dac",
	[LF_ENERGY_ADC] = "adc",	 [LF_ENERGY_DIGITAL] = "digital",
	[LF_ENERGY_PROGRAM] = "program", [LF_ENERGY_STATIC] = "static",
	[LF_ENERGY_TOTAL] = "total",
};

static umode_t is_visible(const void *data, enum hwmon_sensor_types type, u32 attribute,
			  int channel)
{
	if ((type == hwmon_energy && attribute == hwmon_energy_input) ||
	    (type == hwmon_power && attribute == hwmon_power_average))
		return 0400;
	return 0444;
}

static u64 total_pj(const struct lf_telemetry_block *block)
{
	u64 total = 0;
	unsigned int i;

	for (i = 0; i < LF_ENERGY_COMPONENTS; i++)
		total += le64_to_cpu(block->energy_pj[i]);
	return total;
}

/* Picojoules a nanosecond are milliwatts. Since probe, over modelled time. */
static u64 average_uw(const struct lf_telemetry_block *start, const struct lf_telemetry_block *end)
{
	u64 energy_pj = total_pj(end) - total_pj(start);
	u64 time_ns = le64_to_cpu(end->time_ns) - le64_to_cpu(start->time_ns);

	return time_ns ? mul_u64_u64_div_u64(energy_pj, 1000, time_ns) : 0;
}

static int read(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel,
		long *value)
{
	struct lf_device *lf = dev_get_drvdata(dev);
	struct lf_telemetry_block *block;
	int index, err = 0;

	block = kmalloc(sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	if (!drm_dev_enter(&lf->drm, &index)) {
		kfree(block);
		return -ENODEV;
	}
	lf_hw_telemetry(lf, block);
	drm_dev_exit(index);

	switch (type) {
	case hwmon_energy:
		*value =
			div_u64(channel == LF_ENERGY_TOTAL ? total_pj(block)
							   : le64_to_cpu(block->energy_pj[channel]),
				LF_PJ_PER_UJ);
		break;
	case hwmon_power:
		*value = average_uw(&lf->hwmon_start, block);
		break;
	case hwmon_temp:
		*value = (s64)le64_to_cpu(block->temperature_mc);
		break;
	default:
		err = -EOPNOTSUPP;
	}
	kfree(block);
	return err;
}

static int read_string(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel,
		       const char **text)
{
	switch (type) {
	case hwmon_energy:
		*text = energy_labels[channel];
		return 0;
	case hwmon_power:
		*text = "average";
		return 0;
	case hwmon_temp:
		*text = "die";
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

static const struct hwmon_ops lf_hwmon_ops = {
	.is_visible = is_visible,
	.read = read,
	.read_string = read_string,
};

#define LF_ENERGY_CONFIG (HWMON_E_INPUT | HWMON_E_LABEL)

static const struct hwmon_channel_info *const lf_hwmon_channels[] = {
	HWMON_CHANNEL_INFO(energy, LF_ENERGY_CONFIG, LF_ENERGY_CONFIG, LF_ENERGY_CONFIG,
			   LF_ENERGY_CONFIG, LF_ENERGY_CONFIG, LF_ENERGY_CONFIG, LF_ENERGY_CONFIG),
	HWMON_CHANNEL_INFO(power, HWMON_P_AVERAGE | HWMON_P_LABEL),
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT | HWMON_T_LABEL),
	NULL,
};

static const struct hwmon_chip_info lf_hwmon_chip = {
	.ops = &lf_hwmon_ops,
	.info = lf_hwmon_channels,
};

/**
 * lf_hwmon_register() - add the hwmon device
 * @lf: device that runs
 *
 * Return: 0 or a negative errno.
 */
int lf_hwmon_register(struct lf_device *lf)
{
	struct device *hwmon;

	lf_hw_telemetry(lf, &lf->hwmon_start);
	hwmon = devm_hwmon_device_register_with_info(lf->drm.dev, "lf_accel", lf, &lf_hwmon_chip,
						     NULL);
	return PTR_ERR_OR_ZERO(hwmon);
}
