/* SPDX-License-Identifier: MIT */
/* What a single command of a job may hold, so that a mistake is named before the device sees it. */
#ifndef LF_DEVICE_JOB_CHECK_H
#define LF_DEVICE_JOB_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/device/backend.h"

/** lf_opcode_name() - name of LF_OP_* in messages */
const char *lf_opcode_name(uint16_t opcode);

/** lf_job_check_mvm() - 0, or -EINVAL kept as the job's mistake with command and field */
int lf_job_check_mvm(struct lf_job *job, const struct lf_mvm *mvm);

/** lf_job_check_fuse() - likewise */
int lf_job_check_fuse(struct lf_job *job, const struct lf_fuse *fuse);

/**
 * lf_job_check_rows() - likewise for PROGRAM, READ (@flags: LF_READ_CELLS) and CALIBRATE; @row_bytes
 * receives the bytes of a row of @view
 */
int lf_job_check_rows(struct lf_job *job, uint16_t opcode, uint16_t flags,
		      const struct lf_matrix *matrix, uint32_t first, uint32_t count,
		      const struct lf_view *view, size_t *row_bytes);

#endif
