/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counters: sums over the jobs of a file, and the device's totals.
 */
#ifndef LF_TELEMETRY_H
#define LF_TELEMETRY_H

#include <linux/spinlock.h>

#include <lf/lf_hw.h>

#define LF_PJ_PER_UJ		  1000000

/* Number of a member of struct lf_telemetry_block, for lf_hw_telemetry_words(). */
#define LF_TELEMETRY_WORD(member) (offsetof(struct lf_telemetry_block, member) / sizeof(__le64))

struct drm_device;
struct drm_file;

/* Of LF_ENERGY_*, as hwmon, fdinfo and netlink call them. */
extern const char *const lf_energy_names[LF_ENERGY_COMPONENTS];

/**
 * struct lf_sums - sums over completed jobs
 * @lock: guards the rest; taken in interrupts
 * @energy_pj: energy by component, whole picojoules
 * @energy_sub_aj: the rest of each, below a picojoule
 * @busy_ns: modelled execution time
 * @jobs: jobs completed
 * @mvm_count: vectors multiplied
 * @mac_count: multiply-accumulates
 * @conversions: analog-to-digital conversions
 * @clips: conversions out of range
 * @cells_written: cells programmed
 * @cells_erased: cells erased
 * @verify_retries: pulses beyond the first of a cell
 * @host_bytes: bytes moved
 */
struct lf_sums {
	spinlock_t lock;
	u64 energy_pj[LF_ENERGY_COMPONENTS];
	u32 energy_sub_aj[LF_ENERGY_COMPONENTS];
	u64 busy_ns;
	u64 jobs;
	u64 mvm_count;
	u64 mac_count;
	u64 conversions;
	u64 clips;
	u64 cells_written;
	u64 cells_erased;
	u64 verify_retries;
	u64 host_bytes;
};

void lf_sums_init(struct lf_sums *sums);
void lf_sums_add(struct lf_sums *sums, const struct lf_completion *completion);
void lf_sums_block(struct lf_sums *sums, struct lf_telemetry_block *block);
u64 lf_energy_total_pj(const struct lf_telemetry_block *block);
int lf_telemetry_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
