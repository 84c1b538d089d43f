/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the device, cut down to what this driver uses, can take. Read once at probe, constant after
 * that.
 */
#ifndef LF_LIMITS_H
#define LF_LIMITS_H

#include <linux/types.h>

#include <lf/lf_hw.h>

/**
 * struct lf_limits - limits and geometry of a device
 * @version: major << 16 | minor
 * @features: LF_FEATURE_*
 * @formats: mask of 1 << LF_FORMAT_*
 * @queues: queue pairs in use, the management queue among them
 * @vectors: MSI-X vectors the device has
 * @ring_entries: entries of each ring
 * @job_commands: most commands of a job
 * @job_buffers: most buffers of a job
 * @job_matrices: most matrices of a job
 * @job_scratch_bytes: most scratch of a job
 * @job_syncs: most sync objects of a job
 * @buffer_bytes: most bytes of a buffer
 * @job_bytes: most bytes a job reads and writes in buffers
 * @batch: most vectors of a command
 * @matrices: entries of the directory
 * @matrix_rows: most rows of a matrix
 * @matrix_cols: most columns of a matrix
 * @accounts: accounts of the ledger
 * @tiles: tiles of the device
 * @tile_rows: rows of a tile
 * @tile_cols: columns of cells of a tile
 * @tile_weights: logical columns of a tile
 * @cell_bits: bits of a cell
 * @adc_bits: bits of a converter, 0 where conversion is ideal
 * @dac_bits: bits of a driver
 * @preset: name of the device's parameters, zero padded
 */
struct lf_limits {
	u32 version;
	u32 features;
	u32 formats;
	u32 queues;
	u32 vectors;
	u32 ring_entries;
	u32 job_commands;
	u32 job_buffers;
	u32 job_matrices;
	u32 job_scratch_bytes;
	u32 job_syncs;
	u64 buffer_bytes;
	u64 job_bytes;
	u32 batch;
	u32 matrices;
	u32 matrix_rows;
	u32 matrix_cols;
	u32 accounts;
	u32 tiles;
	u32 tile_rows;
	u32 tile_cols;
	u32 tile_weights;
	u32 cell_bits;
	u32 adc_bits;
	u32 dac_bits;
	u8 preset[LF_PRESET_BYTES];
};

/*
 * Whether a structure that an argument refers to may have @bytes for a program: see the rules in
 * drm/lf_accel.h.
 */
static inline bool lf_is_struct_size(u32 bytes, u32 first_version)
{
	return bytes >= first_version && bytes <= 4096 && bytes % 8 == 0;
}

#endif
