/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * LF-1 accelerator: what the lf_accel driver and userspace agree on.
 */
#ifndef _UAPI_LF_ACCEL_H_
#define _UAPI_LF_ACCEL_H_

#include "drm.h"
#include <lf/lf_hw.h>

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: Rules
 *
 * - Structures are extended at their end only; a shorter one from an older program is padded with zeros, a longer one is
 *   accepted if the part the kernel does not know is zero, and refused with E2BIG otherwise.
 * - Where a call refers to other structures in memory, it says how many bytes the program takes them to have: at least what
 *   the first version had (DRM_LF_*_BYTES_V1), 4096 at most, a multiple of 8. The part both know is used.
 * - Every pad and reserved field and every unknown flag must be zero, else EINVAL.
 * - IDs and ioctl numbers are append-only.
 * - Commands have the layout of struct lf_command in lf/lf_hw.h, with two differences: @matrix is an index, plus one, into the
 *   job's array of matrix handles (0 stays "none"), and @buffer of an operand is an index into the job's array of buffer handles.
 *   The kernel copies the commands once, checks every field against the handles, and writes the
 *   device's own numbers in. Management commands are not accepted; they have ioctls.
 * - Handles of matrices belong to the file, like GEM handles. A matrix lives as long as a handle or a job refers to it, or as
 *   long as it is published.
 *
 * Errors common to all calls: ENODEV the device is gone, EFAULT a bad pointer, EINVAL a field out of range, ENOENT
 * an unknown handle or name, ENOMEM, EPERM not allowed, EINTR/ERESTARTSYS a signal.
 */

#define DRM_LF_QUERY	      0x00
#define DRM_LF_BO_CREATE      0x01
#define DRM_LF_BO_INFO	      0x02
#define DRM_LF_MATRIX_CREATE  0x03
#define DRM_LF_MATRIX_OPEN    0x04
#define DRM_LF_MATRIX_INFO    0x05
#define DRM_LF_MATRIX_COMMIT  0x06
#define DRM_LF_MATRIX_PUBLISH 0x07
#define DRM_LF_MATRIX_UNLINK  0x08
#define DRM_LF_MATRIX_CLOSE   0x09
#define DRM_LF_MATRIX_LIST    0x0a
#define DRM_LF_SUBMIT	      0x0b
#define DRM_LF_TELEMETRY      0x0c
#define DRM_LF_QUOTA	      0x0d
#define DRM_LF_MATRIX_REFRESH 0x0e
#define DRM_LF_PRIORITY	      0x0f

/* What DRM_IOCTL_LF_QUERY can be asked; append-only. */
#define DRM_LF_QUERY_DEVICE   0 /* struct drm_lf_device_info */

/**
 * struct drm_lf_query - ask what the kernel and the device can do
 * @type: DRM_LF_QUERY_*
 * @size: bytes at @pointer; the kernel sets it to the bytes it knows of. With @pointer 0 only the size is returned
 * @pointer: user address that receives the answer; of a larger one only the known part is written
 */
struct drm_lf_query {
	__u32 type;
	__u32 size;
	__u64 pointer;
};

/**
 * struct drm_lf_device_info - the device and the limits of a job
 * @hw_version: major << 16 | minor, of lf_hw.h as the device speaks it
 * @features: LF_FEATURE_*
 * @formats: mask of 1 << LF_FORMAT_*
 * @queues: queue pairs in use for jobs
 * @job_commands: most commands of a job
 * @job_buffers: most buffers of a job
 * @job_matrices: most matrices of a job
 * @job_scratch_bytes: most scratch of a job
 * @job_syncs: most sync objects of a job, in and out together
 * @batch: most vectors of a command
 * @matrices: entries of the directory
 * @matrix_rows: most rows of a matrix
 * @matrix_cols: most columns of a matrix
 * @tiles: tiles of the device
 * @tile_rows: rows of a tile
 * @tile_cols: columns of cells of a tile
 * @tile_weights: logical columns of a tile
 * @cell_bits: bits of a cell
 * @adc_bits: bits of a converter, 0 where conversion is ideal
 * @dac_bits: bits of a driver
 * @buffer_bytes: most bytes of a buffer
 * @job_timeout_ms: how long a job may run before it is ended
 * @pad: zero
 * @preset: name of the device's parameters, zero padded
 * @bus: "pci" or "platform", zero padded
 * @job_bytes: most bytes that all operands of a job take in buffers together
 */
struct drm_lf_device_info {
	__u32 hw_version;
	__u32 features;
	__u32 formats;
	__u32 queues;
	__u32 job_commands;
	__u32 job_buffers;
	__u32 job_matrices;
	__u32 job_scratch_bytes;
	__u32 job_syncs;
	__u32 batch;
	__u32 matrices;
	__u32 matrix_rows;
	__u32 matrix_cols;
	__u32 tiles;
	__u32 tile_rows;
	__u32 tile_cols;
	__u32 tile_weights;
	__u32 cell_bits;
	__u32 adc_bits;
	__u32 dac_bits;
	__u64 buffer_bytes;
	__u32 job_timeout_ms;
	__u32 pad;
	__u8 preset[LF_PRESET_BYTES];
	__u8 bus[16];
	__u64 job_bytes;
};

/**
 * struct drm_lf_bo_create - make a buffer the device can reach
 * @size: bytes wanted, rounded up to whole pages on return
 * @flags: zero
 * @handle: returned GEM handle; close with DRM_IOCTL_GEM_CLOSE
 * @mmap_offset: returned offset for mmap of the device node
 *
 * Memory is zeroed. It stays pinned while the buffer lives and counts against RLIMIT_MEMLOCK.
 * ENOSPC: over that limit.
 */
struct drm_lf_bo_create {
	__u64 size;
	__u32 flags;
	__u32 handle;
	__u64 mmap_offset;
};

/**
 * struct drm_lf_bo_info - look a buffer up, e.g. an imported one
 * @handle: GEM handle
 * @pad: zero
 * @size: returned bytes
 * @mmap_offset: returned offset for mmap of the device node
 */
struct drm_lf_bo_info {
	__u32 handle;
	__u32 pad;
	__u64 size;
	__u64 mmap_offset;
};

/**
 * struct drm_lf_matrix_create - take tiles for a matrix, to be programmed by its creator
 * @rows: logical rows (inputs of the forward direction), 1 .. matrix_rows
 * @cols: logical columns, 1 .. matrix_cols
 * @format: LF_FORMAT_*
 * @flags: zero
 * @handle: returned
 * @pad: zero
 *
 * ENOSPC: too few free tiles or directory entries.
 */
struct drm_lf_matrix_create {
	__u32 rows;
	__u32 cols;
	__u32 format;
	__u32 flags;
	__u32 handle;
	__u32 pad;
};

/**
 * struct drm_lf_matrix_open - open a published matrix by name, for multiplying
 * @name: zero terminated and padded
 * @flags: zero
 * @handle: returned
 *
 * EACCES: the mode does not let the caller read.
 */
struct drm_lf_matrix_open {
	__u8 name[LF_NAME_BYTES];
	__u32 flags;
	__u32 handle;
};

/**
 * struct drm_lf_matrix_info - what a handle refers to
 * @handle: matrix handle
 * @pad: zero
 * @info: returned; @index, @account, @wear_max and all from @programmed_ns on are 0 unless the caller is the owner or privileged
 */
struct drm_lf_matrix_info {
	__u32 handle;
	__u32 pad;
	struct lf_matrix_info info;
};

/**
 * struct drm_lf_matrix_handle - argument of commit and close
 * @handle: matrix handle
 * @pad: zero
 *
 * Commit waits for the programming jobs and makes the matrix readable; EBUSY when rows are missing. Close drops the
 * handle; a matrix without handles, jobs and name is deleted.
 */
struct drm_lf_matrix_handle {
	__u32 handle;
	__u32 pad;
};

/**
 * struct drm_lf_matrix_refresh - write the cells of a matrix again, see LF_OP_REFRESH
 * @handle: matrix handle of its creator or owner, or of anyone with CAP_SYS_ADMIN
 * @flags: zero
 * @cells_written: returned
 *
 * Waits for the jobs that read the matrix, and those submitted later wait for it; charged to the account of the caller's file.
 * EDQUOT: the write budget does not cover it. EBUSY: not committed, or the die is too hot. ECANCELED: a reset came first, nothing was
 * written. EOPNOTSUPP: the device's interface is older than 1.2.
 */
struct drm_lf_matrix_refresh {
	__u32 handle;
	__u32 flags;
	__u64 cells_written;
};

/**
 * struct drm_lf_matrix_publish - name a committed matrix of one's own, rename it, or change its permissions
 * @handle: matrix handle of its creator or owner
 * @mode: read permission bits, 0444 at most
 * @name: zero terminated and padded
 *
 * Whoever may read a published matrix can multiply with unit vectors and so learn its weights. EEXIST: the name is
 * taken. The owner is the caller's user and group.
 */
struct drm_lf_matrix_publish {
	__u32 handle;
	__u32 mode;
	__u8 name[LF_NAME_BYTES];
};

/**
 * struct drm_lf_matrix_unlink - take the name of a published matrix away
 * @name: zero terminated and padded
 *
 * For its owner, or CAP_SYS_ADMIN. The matrix is deleted with its last handle and job.
 */
struct drm_lf_matrix_unlink {
	__u8 name[LF_NAME_BYTES];
};

#define DRM_LF_MATRIX_INFO_BYTES_V1 LF_MATRIX_INFO_BYTES_V1

/**
 * struct drm_lf_matrix_list - published matrices the caller may read
 * @entries: user address of struct lf_matrix_info [@count], with the fields of others as in struct drm_lf_matrix_info
 * @count: entries there is room for; returned: entries written
 * @first: start with this index; returned: where to go on, 0 at the end
 * @entry_bytes: bytes from one entry to the next, of which the kernel writes those it knows
 * @pad: zero
 */
struct drm_lf_matrix_list {
	__u64 entries;
	__u32 count;
	__u32 first;
	__u32 entry_bytes;
	__u32 pad;
};

#define DRM_LF_SYNC_IN	     (1u << 0) /* the job waits for it */
#define DRM_LF_SYNC_OUT	     (1u << 1) /* the job signals it */

#define DRM_LF_SYNC_BYTES_V1 16

/**
 * struct drm_lf_sync - a sync object of a job
 * @handle: syncobj handle
 * @flags: DRM_LF_SYNC_IN or DRM_LF_SYNC_OUT
 * @point: timeline point, 0 for a binary syncobj
 */
struct drm_lf_sync {
	__u32 handle;
	__u32 flags;
	__u64 point;
};

#define DRM_LF_JOB_RECORD_BYTES_V1 144

/**
 * struct drm_lf_job_record - what became of a job, written by the kernel before its fence signals
 * @state: 0 until the job has ended, then 1
 * @status: LF_STATUS_*
 * @failed_command: index of the command that @status is about
 * @rows_done: as in struct lf_completion
 * @energy_aj: energy by component, attojoules
 * @busy_ns: modelled execution time
 * @mvm_count: vectors multiplied
 * @mac_count: multiply-accumulates
 * @conversions: analog-to-digital conversions
 * @clips: conversions out of range
 * @cells_written: cells programmed
 * @cells_erased: cells erased
 * @verify_retries: pulses beyond the first of a cell
 * @host_bytes: bytes moved
 * @result: of CALIBRATE
 * @cells_failed: cells that did not verify; only when @record_bytes reaches here
 */
struct drm_lf_job_record {
	__u32 state;
	__u32 status;
	__u32 failed_command;
	__u32 rows_done;
	__u64 energy_aj[LF_ENERGY_COMPONENTS];
	__u64 busy_ns;
	__u64 mvm_count;
	__u64 mac_count;
	__u64 conversions;
	__u64 clips;
	__u64 cells_written;
	__u64 cells_erased;
	__u64 verify_retries;
	__u64 host_bytes;
	__u64 result;
	__u64 cells_failed;
};

/**
 * struct drm_lf_submit - queue a job
 * @commands: user address of struct lf_command [@command_count], rewritten as in the rules above
 * @buffers: user address of __u32 GEM handles [@buffer_count]
 * @matrices: user address of __u32 matrix handles [@matrix_count]
 * @syncs: user address of struct drm_lf_sync [@sync_count]
 * @command_count: 1 .. job_commands
 * @buffer_count: 0 .. job_buffers
 * @matrix_count: 0 .. job_matrices
 * @sync_count: 0 .. job_syncs
 * @scratch_bytes: scratch memory of the job
 * @flags: zero
 * @job_number: key of the job's random draws
 * @record_offset: byte offset of the struct drm_lf_job_record in its buffer, a multiple of 8
 * @record_buffer: index of that buffer plus one, 0 for no record
 * @sync_stride: bytes from one of @syncs to the next; what the kernel does not know of each must be zero (E2BIG). May be zero
 *	without @syncs
 * @record_bytes: room for the record, of which the kernel writes what it knows; zero without a record
 * @pad: zero
 *
 * Jobs of a file that share a buffer or matrix, one of them writing it, run in the order of submission. PROGRAM needs a
 * matrix created by this file and not yet committed; READ needs CAP_SYS_ADMIN. The fence of a job that failed carries
 * EINVAL (a descriptor the device refuses), EDOM (NaN, Inf or a number out of range), EDQUOT (write budget), EIO (cells, DMA, internal),
 * EBUSY (the die is too hot, nothing was executed), ETIMEDOUT (ended by the timeout), ECANCELED (PROGRAM cut short by a reset), ESRCH
 * (the file was closed before the job started) or ENODEV.
 *
 * A file has a bounded number of jobs in flight: beyond it the call waits until one has ended, or fails with EAGAIN if the
 * file is O_NONBLOCK.
 */
struct drm_lf_submit {
	__u64 commands;
	__u64 buffers;
	__u64 matrices;
	__u64 syncs;
	__u32 command_count;
	__u32 buffer_count;
	__u32 matrix_count;
	__u32 sync_count;
	__u32 scratch_bytes;
	__u32 flags;
	__u64 job_number;
	__u64 record_offset;
	__u32 record_buffer;
	__u32 sync_stride;
	__u32 record_bytes;
	__u32 pad;
};

#define DRM_LF_TELEMETRY_CONTEXT 0 /* of this file's own jobs */
#define DRM_LF_TELEMETRY_DEVICE \
	1 /* of the device, since it was made; needs CAP_PERFMON or CAP_SYS_ADMIN */

/**
 * struct drm_lf_telemetry - read counters
 * @scope: DRM_LF_TELEMETRY_*
 * @pad: zero
 * @block: returned; for a context @time_ns, @temperature_mc and wear and tile counts are zero. In the byte order of
 *	struct lf_telemetry_block
 */
struct drm_lf_telemetry {
	__u32 scope;
	__u32 pad;
	struct lf_telemetry_block block;
};

#define DRM_LF_QUOTA_SET (1u << 0) /* needs CAP_SYS_ADMIN */

/**
 * struct drm_lf_quota - the write budget of a user
 * @account: user id; another than one's own needs CAP_SYS_ADMIN
 * @flags: DRM_LF_QUOTA_SET or zero
 * @quota_cells: cells the account may write in all, ~0 for unlimited; returned, or set
 * @written_cells: returned
 * @tiles: returned: tiles it holds
 */
struct drm_lf_quota {
	__u32 account;
	__u32 flags;
	__u64 quota_cells;
	__u64 written_cells;
	__u64 tiles;
};

#define DRM_LF_PRIORITY_LOW    0
#define DRM_LF_PRIORITY_NORMAL 1 /* of a file that was just opened */
#define DRM_LF_PRIORITY_HIGH   2 /* needs CAP_SYS_NICE */

/**
 * struct drm_lf_priority - which files' jobs go first
 * @priority: DRM_LF_PRIORITY_*
 * @pad: zero
 *
 * For jobs submitted once none of the file's is in flight any more. What is on the ring is not overtaken, and only files of one
 * queue are compared.
 */
struct drm_lf_priority {
	__u32 priority;
	__u32 pad;
};

#define DRM_IOCTL_LF_QUERY DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_QUERY, struct drm_lf_query)
#define DRM_IOCTL_LF_BO_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_BO_CREATE, struct drm_lf_bo_create)
#define DRM_IOCTL_LF_BO_INFO DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_BO_INFO, struct drm_lf_bo_info)
#define DRM_IOCTL_LF_MATRIX_CREATE \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_MATRIX_CREATE, struct drm_lf_matrix_create)
#define DRM_IOCTL_LF_MATRIX_OPEN \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_MATRIX_OPEN, struct drm_lf_matrix_open)
#define DRM_IOCTL_LF_MATRIX_INFO \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_MATRIX_INFO, struct drm_lf_matrix_info)
#define DRM_IOCTL_LF_MATRIX_COMMIT \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LF_MATRIX_COMMIT, struct drm_lf_matrix_handle)
#define DRM_IOCTL_LF_MATRIX_PUBLISH \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LF_MATRIX_PUBLISH, struct drm_lf_matrix_publish)
#define DRM_IOCTL_LF_MATRIX_UNLINK \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LF_MATRIX_UNLINK, struct drm_lf_matrix_unlink)
#define DRM_IOCTL_LF_MATRIX_CLOSE \
	DRM_IOW(DRM_COMMAND_BASE + DRM_LF_MATRIX_CLOSE, struct drm_lf_matrix_handle)
#define DRM_IOCTL_LF_MATRIX_LIST \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_MATRIX_LIST, struct drm_lf_matrix_list)
#define DRM_IOCTL_LF_SUBMIT DRM_IOW(DRM_COMMAND_BASE + DRM_LF_SUBMIT, struct drm_lf_submit)
#define DRM_IOCTL_LF_TELEMETRY \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_TELEMETRY, struct drm_lf_telemetry)
#define DRM_IOCTL_LF_QUOTA DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_QUOTA, struct drm_lf_quota)
#define DRM_IOCTL_LF_MATRIX_REFRESH \
	DRM_IOWR(DRM_COMMAND_BASE + DRM_LF_MATRIX_REFRESH, struct drm_lf_matrix_refresh)
#define DRM_IOCTL_LF_PRIORITY DRM_IOW(DRM_COMMAND_BASE + DRM_LF_PRIORITY, struct drm_lf_priority)

LF_ASSERT_SIZE(struct drm_lf_query, 16);
LF_ASSERT_SIZE(struct drm_lf_device_info, 136);
LF_ASSERT_SIZE(struct drm_lf_bo_create, 24);
LF_ASSERT_SIZE(struct drm_lf_bo_info, 24);
LF_ASSERT_SIZE(struct drm_lf_matrix_create, 24);
LF_ASSERT_SIZE(struct drm_lf_matrix_open, 72);
LF_ASSERT_SIZE(struct drm_lf_matrix_info, 8 + 192);
LF_ASSERT_SIZE(struct drm_lf_matrix_handle, 8);
LF_ASSERT_SIZE(struct drm_lf_matrix_publish, 72);
LF_ASSERT_SIZE(struct drm_lf_matrix_unlink, 64);
LF_ASSERT_SIZE(struct drm_lf_matrix_list, 24);
LF_ASSERT_SIZE(struct drm_lf_sync, 16);
LF_ASSERT_SIZE(struct drm_lf_job_record, 152);
LF_ASSERT_SIZE(struct drm_lf_submit, 88);
LF_ASSERT_SIZE(struct drm_lf_telemetry, 8 + 48 * 8);
LF_ASSERT_SIZE(struct drm_lf_quota, 32);
LF_ASSERT_SIZE(struct drm_lf_matrix_refresh, 16);
LF_ASSERT_SIZE(struct drm_lf_priority, 8);

#if defined(__cplusplus)
}
#endif

#endif
