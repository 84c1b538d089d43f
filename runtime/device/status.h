/* SPDX-License-Identifier: MIT */
/* What the status of a job means to a caller of the library, and records turned into counters. */
#ifndef LF_DEVICE_STATUS_H
#define LF_DEVICE_STATUS_H

#include <stdint.h>

#include <lf/device.h>
#include <lf/lf_hw.h>

/** lf_status_errno() - negative errno of LF_STATUS_*, 0 of LF_STATUS_OK */
int lf_status_errno(uint32_t status);

/** lf_status_text() - end of a sentence that tells what LF_STATUS_* says */
const char *lf_status_text(uint32_t status);

/** lf_energy_split() - attojoules by component into the two fields of struct lf_counters */
void lf_energy_split(const __le64 energy_aj[LF_ENERGY_COMPONENTS], struct lf_counters *counters);

/** lf_telemetry_from_block() - the device's totals in the library's form */
void lf_telemetry_from_block(const struct lf_telemetry_block *block,
			     struct lf_telemetry *telemetry);

#endif
