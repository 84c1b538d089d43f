/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The perf PMU of a device.
 */
#ifndef LF_PMU_H
#define LF_PMU_H

struct lf_device;

#ifdef CONFIG_PERF_EVENTS
int lf_pmu_register(struct lf_device *lf);
void lf_pmu_unregister(struct lf_device *lf);
void lf_pmu_exit(void);
#else
static inline int lf_pmu_register(struct lf_device *lf)
{
	return 0;
}

static inline void lf_pmu_unregister(struct lf_device *lf)
{
}

static inline void lf_pmu_exit(void)
{
}
#endif

#endif
