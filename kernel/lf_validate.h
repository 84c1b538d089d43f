/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checking a job's commands. Pure: no hardware, no locks, no allocation.
 */
#ifndef LF_VALIDATE_H
#define LF_VALIDATE_H

#include <linux/bits.h>
#include <linux/types.h>

#include <lf/lf_hw.h>

#include "lf_limits.h"

/* What a job does with a buffer. */
#define LF_USE_READ	  BIT(0)
#define LF_USE_WRITE	  BIT(1)

/* What a job does with a matrix. */
#define LF_USE_MULTIPLY	  BIT(0)
#define LF_USE_PROGRAM	  BIT(1)
#define LF_USE_CALIBRATE  BIT(2)
#define LF_USE_READ_CELLS BIT(3)

/**
 * struct lf_matrix_shape - what checking needs to know of a matrix
 * @rows: logical rows
 * @cols: logical columns
 * @tile_rows: rows of tiles
 * @format: LF_FORMAT_*
 * @weight_cells: cells of a weight
 */
struct lf_matrix_shape {
	u32 rows;
	u32 cols;
	u32 tile_rows;
	u32 format;
	u32 weight_cells;
};

/**
 * struct lf_validation - a job to be checked, and what was found
 * @limits: of the device
 * @commands: as userspace wrote them
 * @command_count: their number
 * @scratch_bytes: scratch memory of the job
 * @buffers: the job's buffers; only their length is looked at
 * @buffer_count: their number
 * @shapes: the job's matrices
 * @matrix_count: their number
 * @buffer_use: [@buffer_count], zeroed by the caller; receives LF_USE_* of each buffer
 * @matrix_use: [@matrix_count], zeroed by the caller; receives LF_USE_* of each matrix
 * @bytes: zero; receives what the job reads and writes in buffers
 * @failed_command: index of the command that was refused
 * @failed_field: name of the field that was refused
 */
struct lf_validation {
	const struct lf_limits *limits;
	const struct lf_command *commands;
	u32 command_count;
	u32 scratch_bytes;
	const struct lf_buffer_entry *buffers;
	u32 buffer_count;
	const struct lf_matrix_shape *shapes;
	u32 matrix_count;
	u8 *buffer_use;
	u8 *matrix_use;
	u64 bytes;
	u32 failed_command;
	const char *failed_field;
};

int lf_validate(struct lf_validation *validation);

#endif
