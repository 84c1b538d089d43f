// SPDX-License-Identifier: GPL-2.0-only
/*
 * hwmon: energy of each component and of all in microjoules, average power in microwatts,
 * temperature and its limits in millidegrees. Energy and power are modelled by the device and tell of the work of
 * others, so only root may read them.
 */
#include <linux/device.h>
#include <linux/hwmon.h>
#include <linux/math64.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>

#include "lf_device.h"
#include "lf_telemetry.h"

/* Channels of energy: the components, then their sum. */
#define LF_ENERGY_TOTAL LF_ENERGY_COMPONENTS

static umode_t is_visible(const void *data, enum hwmon_sensor_types type, u32 attribute,
			  int channel)
{
	const struct lf_device *lf = data;

	if ((type == hwmon_energy && attribute == hwmon_energy_input) ||
	    (type == hwmon_power && attribute == hwmon_power_average))
		return 0400;
	if (type == hwmon_temp && (attribute == hwmon_temp_max || attribute == hwmon_temp_crit) &&
	    !lf_speaks(lf, 2))
		return 0;
	return 0444;
}

/* Picojoules a nanosecond are milliwatts. Since probe, over modelled time. */
static u64 average_uw(const struct lf_telemetry_block *start, const struct lf_telemetry_block *end)
{
	u64 energy_pj = lf_energy_total_pj(end) - lf_energy_total_pj(start);
	u64 time_ns = le64_to_cpu(end->time_ns) - le64_to_cpu(start->time_ns);

	return time_ns ? mul_u64_u64_div_u64(energy_pj, 1000, time_ns) : 0;
}

static long energy_uj(const struct lf_telemetry_block *block, int channel)
{
	u64 energy_pj = channel == LF_ENERGY_TOTAL ? lf_energy_total_pj(block)
						   : le64_to_cpu(block->energy_pj[channel]);

	return div_u64(energy_pj, LF_PJ_PER_UJ);
}

static int read_total(struct lf_device *lf, enum hwmon_sensor_types type, int channel, long *value)
{
	struct lf_telemetry_block *block = kmalloc(sizeof(*block), GFP_KERNEL);
	int err;

	if (!block)
		return -ENOMEM;
	err = lf_hw_telemetry(lf, block);
	if (!err)
		*value = type == hwmon_energy ? energy_uj(block, channel)
					      : (long)average_uw(&lf->hwmon_start, block);
	kfree(block);
	return err;
}

static int read_temperature(struct lf_device *lf, u32 attribute, long *value)
{
	__le64 word;
	int err;

	switch (attribute) {
	case hwmon_temp_input:
		err = lf_hw_telemetry_words(lf, LF_TELEMETRY_WORD(temperature_mc), 1, &word);
		if (!err)
			*value = (s64)le64_to_cpu(word);
		return err;
	case hwmon_temp_max:
		*value = (s32)lf_read(lf, LF_REG_TEMPERATURE_MAX);
		return lf_hw_present(lf) ? 0 : -ENODEV;
	case hwmon_temp_crit:
		*value = (s32)lf_read(lf, LF_REG_TEMPERATURE_CRITICAL);
		return lf_hw_present(lf) ? 0 : -ENODEV;
	default:
		return -EOPNOTSUPP;
	}
}

static int read(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel,
		long *value)
{
	struct lf_device *lf = dev_get_drvdata(dev);
	int index, err;

	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	switch (type) {
	case hwmon_energy:
	case hwmon_power:
		err = read_total(lf, type, channel, value);
		break;
	case hwmon_temp:
		err = read_temperature(lf, attribute, value);
		break;
	default:
		err = -EOPNOTSUPP;
	}
	drm_dev_exit(index);
	return err;
}

static int read_string(struct device *dev, enum hwmon_sensor_types type, u32 attribute, int channel,
		       const char **text)
{
	switch (type) {
	case hwmon_energy:
		*text = channel == LF_ENERGY_TOTAL ? "total" : lf_energy_names[channel];
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
	HWMON_CHANNEL_INFO(temp, HWMON_T_INPUT | HWMON_T_MAX | HWMON_T_CRIT | HWMON_T_LABEL),
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
	int err;

	err = lf_hw_telemetry(lf, &lf->hwmon_start);
	if (err)
		return err;
	hwmon = devm_hwmon_device_register_with_info(lf->drm.dev, "lf_accel", lf, &lf_hwmon_chip,
						     NULL);
	return PTR_ERR_OR_ZERO(hwmon);
}
