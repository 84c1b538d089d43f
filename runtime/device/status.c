// SPDX-License-Identifier: MIT
/* Statuses and counters; see status.h. */
#include <errno.h>

#include "runtime/device/status.h"

#define ATTOJOULES_PER_PICOJOULE 1000000u

static const struct {
	int code;
	const char *text;
} statuses[] = {
	[LF_STATUS_OK] = { 0, "has no fault" },
	[LF_STATUS_INVALID] = { -EINVAL, "has a field, flag or operand out of range" },
	[LF_STATUS_NO_MATRIX] = { -EINVAL, "names a matrix that does not exist" },
	[LF_STATUS_STATE] = { -EINVAL, "names a matrix that is not in the state it needs" },
	[LF_STATUS_NO_SPACE] = { -ENOSPC, "finds too few free tiles or directory entries" },
	[LF_STATUS_EXISTS] = { -EEXIST, "gives a name that is taken" },
	[LF_STATUS_QUOTA] = { -EDQUOT, "needs more than the write budget of this user allows" },
	[LF_STATUS_DENIED] = { -EPERM, "needs a privilege" },
	[LF_STATUS_NONFINITE] = { -EDOM, "met NaN, infinity or a result beyond fp32" },
	[LF_STATUS_DMA] = { -EIO, "could not reach its buffers" },
	[LF_STATUS_CELLS] = { -EIO, "wrote cells that do not verify" },
	[LF_STATUS_ABORTED] = { -ECANCELED, "was ended before it was done" },
	[LF_STATUS_INTERNAL] = { -EIO, "failed by a fault of the device" },
	[LF_STATUS_OVERLAP] = { -EINVAL, "reads a range of a buffer that the job also writes" },
	[LF_STATUS_THERMAL] = { -EBUSY, "was not begun: the die is too hot" },
};

int lf_status_errno(uint32_t status)
{
	if (status >= sizeof(statuses) / sizeof(statuses[0]))
		status = LF_STATUS_INTERNAL;
	return statuses[status].code;
}

const char *lf_status_text(uint32_t status)
{
	if (status >= sizeof(statuses) / sizeof(statuses[0]))
		status = LF_STATUS_INTERNAL;
	return statuses[status].text;
}

void lf_energy_split(const __le64 energy_aj[LF_ENERGY_COMPONENTS], struct lf_counters *counters)
{
	for (unsigned int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		counters->energy_pj[i] = energy_aj[i] / ATTOJOULES_PER_PICOJOULE;
		counters->energy_sub_aj[i] = energy_aj[i] % ATTOJOULES_PER_PICOJOULE;
	}
}

void lf_counters_add(struct lf_counters *sum, const struct lf_counters *counters)
{
	for (unsigned int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		uint64_t sub_aj = sum->energy_sub_aj[i] + counters->energy_sub_aj[i];

		sum->energy_pj[i] += counters->energy_pj[i] + sub_aj / ATTOJOULES_PER_PICOJOULE;
		sum->energy_sub_aj[i] = sub_aj % ATTOJOULES_PER_PICOJOULE;
	}
	sum->busy_ns += counters->busy_ns;
	sum->jobs += counters->jobs;
	sum->mvm_count += counters->mvm_count;
	sum->mac_count += counters->mac_count;
	sum->conversions += counters->conversions;
	sum->clips += counters->clips;
	sum->cells_written += counters->cells_written;
	sum->cells_erased += counters->cells_erased;
	sum->verify_retries += counters->verify_retries;
	sum->cells_failed += counters->cells_failed;
	sum->host_bytes += counters->host_bytes;
}

void lf_telemetry_from_block(const struct lf_telemetry_block *block, struct lf_telemetry *telemetry)
{
	struct lf_counters *total = &telemetry->total;

	for (unsigned int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		total->energy_pj[i] = block->energy_pj[i];
		total->energy_sub_aj[i] = block->energy_sub_aj[i];
	}
	total->busy_ns = block->busy_ns;
	total->jobs = block->jobs;
	total->mvm_count = block->mvm_count;
	total->mac_count = block->mac_count;
	total->conversions = block->conversions;
	total->clips = block->clips;
	total->cells_written = block->cells_written;
	total->cells_erased = block->cells_erased;
	total->verify_retries = block->verify_retries;
	total->cells_failed = block->cells_failed;
	total->host_bytes = block->host_bytes;
	telemetry->time_ns = block->time_ns;
	telemetry->temperature_mc = (int64_t)block->temperature_mc;
	telemetry->wear_max = block->wear_max;
	telemetry->tiles_used = block->tiles_used;
	telemetry->tiles_dirty = block->tiles_dirty;
	telemetry->tiles_bad = block->tiles_bad;
	telemetry->cells_stuck = block->cells_stuck;
	telemetry->refresh_due = block->refresh_due;
	for (unsigned int i = 0; i < 16; i++)
		telemetry->wear_histogram[i] = block->wear_histogram[i];
}
