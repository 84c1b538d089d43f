/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note OR MIT */
/*
 * LF-1, the ReRAM crossbar accelerator: what its driver and its device agree on.
 *
 * Registers, rings, command descriptors, completion records and the number formats. Everything in
 * memory and in registers is little-endian. Reserved fields and unknown flag bits must be zero: the
 * device refuses a job that sets one with LF_STATUS_INVALID. Documentation/hardware.md tells the
 * same as prose, with examples.
 */
#ifndef LF_HW_H
#define LF_HW_H

#include <linux/types.h>

/* Interface version: a driver refuses another major, and accepts a larger minor. */
#define LF_HW_VERSION_MAJOR	    1
#define LF_HW_VERSION_MINOR	    2

/* PCI identity; the vendor number is the one QEMU sets aside for devices without a vendor. */
#define LF_PCI_VENDOR_ID	    0x1234
#define LF_PCI_DEVICE_ID	    0x1f01
#define LF_PCI_REGISTER_BAR	    0
#define LF_PCI_MSIX_BAR		    4

/**
 * DOC: Registers
 *
 * One block of LF_REG_BYTES. Registers are 32 bits wide unless they are marked (64); a 64-bit one may be
 * accessed as two halves, low half first. Reading an undefined offset gives 0, writing one is ignored.
 */
#define LF_REG_BYTES		    0x4000

#define LF_REG_MAGIC		    0x000 /* LF_MAGIC */
#define LF_REG_VERSION		    0x004 /* major << 16 | minor */
#define LF_REG_FEATURES		    0x008 /* LF_FEATURE_* */
#define LF_REG_QUEUES		    0x00c /* queue pairs; queue 0 alone takes management commands */
#define LF_REG_QUEUE_ENTRIES	    0x010 /* most entries of a ring; a power of two */
#define LF_REG_VECTORS		    0x014 /* MSI-X vectors: 0 for events, 1 + q for queue q */
#define LF_REG_JOB_COMMANDS	    0x018 /* most commands of a job */
#define LF_REG_JOB_BUFFERS	    0x01c /* most buffers of a job */
#define LF_REG_JOB_SCRATCH	    0x020 /* most bytes of scratch of a job */
#define LF_REG_BUFFER_PAGES	    0x024 /* most pages of a buffer */
#define LF_REG_BATCH		    0x028 /* most vectors of a command */
#define LF_REG_MATRICES		    0x02c /* entries of the directory */
#define LF_REG_MATRIX_ROWS	    0x030 /* most rows of a matrix */
#define LF_REG_MATRIX_COLS	    0x034 /* most columns of a matrix */
#define LF_REG_ACCOUNTS		    0x038 /* accounts the ledger can hold */
#define LF_REG_TILES		    0x03c /* tiles of the device */
#define LF_REG_TILE_ROWS	    0x040 /* rows of a tile */
#define LF_REG_TILE_COLS	    0x044 /* columns of cells of a tile */
#define LF_REG_TILE_WEIGHTS	    0x048 /* logical columns of a tile */
#define LF_REG_CELL_BITS	    0x04c
#define LF_REG_ADC_BITS		    0x050
#define LF_REG_DAC_BITS		    0x054
#define LF_REG_FORMATS		    0x058 /* bit mask of 1 << LF_FORMAT_* */
#define LF_REG_JOB_BYTES	    0x05c /* most bytes a job reads and writes in buffers; since 1.1 */
#define LF_REG_PRESET		    0x060 /* LF_PRESET_BYTES of text, zero padded */

/* Of the die, millidegrees Celsius, signed; since 1.2. */
#define LF_REG_TEMPERATURE_MAX	    0x070 /* from here on LF_EVENT_THERMAL is raised */
#define LF_REG_TEMPERATURE_CRITICAL 0x074 /* from here on work ends with LF_STATUS_THERMAL */

#define LF_REG_CONTROL		    0x080 /* LF_CONTROL_* */
#define LF_REG_STATUS		    0x084 /* LF_DEVICE_* */
#define LF_REG_IRQ_STATUS \
	0x088 /* bit 0 events, bit 1 + q queue q; write 1 to clear (INTx and MSI) */
#define LF_REG_IRQ_MASK	       0x08c /* 1 masks the bit */
#define LF_REG_TELEMETRY_LATCH 0x090 /* a write copies the counters to LF_REG_TELEMETRY */
#define LF_REG_TIME_ADVANCE    0x098 /* (64) nanoseconds of modelled time to let pass; write only */
#define LF_REG_INJECT	       0x0a0 /* LF_INJECT(); only with LF_FEATURE_DEBUG */
#define LF_REG_EVENTS \
	0x0a4 /* LF_EVENT_*: what happened since it was cleared; write 1 to clear; since 1.2 */
#define LF_REG_ENERGY_THRESHOLD \
	0x0a8 /* (64) picojoules: LF_EVENT_ENERGY when the total passes it, 0 never; since 1.2 */

#define LF_REG_TELEMETRY		   0x1000 /* struct lf_telemetry_block as last latched */
#define LF_REG_DOORBELL			   0x2000 /* LF_REG_DOORBELL + 8 q: submission tail, + 4: completion head */
#define LF_REG_QUEUE			   0x3000 /* LF_REG_QUEUE + LF_QUEUE_STRIDE q: the window of queue q */
#define LF_QUEUE_STRIDE			   0x40
#define LF_QUEUE_SUBMISSION		   0x00 /* (64) bus address of the submission ring, 4 KiB aligned */
#define LF_QUEUE_COMPLETION		   0x08 /* (64) bus address of the completion ring, 4 KiB aligned */
#define LF_QUEUE_ENTRIES		   0x10 /* entries of each ring; a power of two, at least 2 */
#define LF_QUEUE_CONTROL		   0x14 /* LF_QUEUE_ENABLE; clearing it aborts what is queued */
#define LF_QUEUE_STATE			   0x18 /* LF_QUEUE_ENABLED, LF_QUEUE_FAULT, LF_QUEUE_RUNNING */
#define LF_QUEUE_COALESCE		   0x1c /* LF_COALESCE(); since 1.2 */

#define LF_MAGIC			   0x3146584c /* "LXF1" */
#define LF_PRESET_BYTES			   16
#define LF_QUEUES_MAX			   16
#define LF_PAGE_BYTES			   4096

#define LF_FEATURE_DEBUG		   (1u << 0) /* LF_REG_INJECT works */

#define LF_CONTROL_ENABLE		   (1u << 0)
#define LF_CONTROL_RESET		   (1u << 1) /* aborts all jobs, disables all queues; reads 1 until done */

#define LF_DEVICE_READY			   (1u << 0)
#define LF_DEVICE_FATAL			   (1u << 1) /* the backing store is unusable, or DMA of a ring failed */

#define LF_QUEUE_ENABLE			   (1u << 0)
#define LF_QUEUE_ENABLED		   (1u << 0)
#define LF_QUEUE_FAULT			   (1u << 1) /* bad doorbell or ring; cleared by disable */
#define LF_QUEUE_RUNNING		   (1u << 2) /* the job at its head is being executed; since 1.2 */

/*
 * A completion interrupt waits for @records records that the host has not taken or for @microseconds since the first
 * of them, whichever is earlier; 0 records: none waits. Records themselves are never late.
 */
#define LF_COALESCE(records, microseconds) ((records) | (microseconds) << 16)

#define LF_EVENT_QUEUE			   (1u << 0) /* a queue went into fault */
#define LF_EVENT_FATAL			   (1u << 1) /* LF_DEVICE_FATAL was set */
#define LF_EVENT_THERMAL		   (1u << 2) /* the die reached LF_REG_TEMPERATURE_MAX, or cooled below it */
#define LF_EVENT_WEAR			   (1u << 3) /* a tile was retired, or a row reached the wear to warn of */
#define LF_EVENT_CELLS			   (1u << 4) /* cells failed to verify */
#define LF_EVENT_REFRESH		   (1u << 5) /* a matrix has become due for LF_OP_REFRESH */
#define LF_EVENT_ENERGY			   (1u << 6) /* the total passed LF_REG_ENERGY_THRESHOLD, which is 0 again */

/**
 * DOC: Raising faults
 *
 * With LF_FEATURE_DEBUG a write to LF_REG_INJECT arms a fault; several may be armed. Reading gives 1 << code for each that has
 * not struck yet. @queue: 0 for any work queue (never queue 0), else 1 + its number. @argument: see the codes.
 * LF_CONTROL_RESET disarms all but LF_INJECT_RESET_FAILS. The same faults are properties of the QEMU device.
 */
#define LF_INJECT(code, queue, argument)   ((code) | (queue) << 8 | (argument) << 16)

#define LF_INJECT_HANG_JOB		   1 /* the next job never completes; ends with the queue */
#define LF_INJECT_FAIL_JOB		   2 /* the next job completes with LF_STATUS_INTERNAL */
#define LF_INJECT_DMA_ERROR		   3 /* the next job's first access to memory fails */
#define LF_INJECT_BAD_STATUS		   4 /* the next record has a status that does not exist */
#define LF_INJECT_UNKNOWN_TAG		   5 /* the next record has a tag that is not in flight */
#define LF_INJECT_DUPLICATE_TAG		   6 /* the next record is written twice */
#define LF_INJECT_HEAD_RANGE		   7 /* the next record's submission_head is beyond the ring */
#define LF_INJECT_LOST_INTERRUPT	   8 /* the next completion interrupt is not raised */
#define LF_INJECT_SPURIOUS		   9 /* an interrupt without a record, at once */
#define LF_INJECT_STORM			   10 /* @argument interrupts without records, a millisecond apart */
#define LF_INJECT_ALL_ONES		   11 /* registers read as ones and ignore writes until the bus resets it */
#define LF_INJECT_RESET_FAILS		   12 /* the next @argument resets never end, 0 for all from here on */
#define LF_INJECT_OVER_TEMPERATURE \
	13 /* the die is at @argument degrees Celsius until it is told another */
#define LF_INJECT_STUCK_CELLS \
	14 /* @argument cells of a million, drawn anew, are stuck from here on; lasting */
#define LF_INJECT_REMOVAL    15 /* the function leaves the bus, at once */
#define LF_INJECT_CODES	     16

/* Components energy is accounted to; index of the energy arrays below. IDs are append-only. */
#define LF_ENERGY_ARRAY	     0 /* reading cells */
#define LF_ENERGY_DAC	     1 /* driving rows */
#define LF_ENERGY_ADC	     2 /* converting columns */
#define LF_ENERGY_DIGITAL    3 /* shift-add, scaling, quantising, fusing, scratch */
#define LF_ENERGY_PROGRAM    4 /* writing, erasing and verifying cells */
#define LF_ENERGY_STATIC     5 /* leakage over the modelled busy time */
#define LF_ENERGY_COMPONENTS 6

/**
 * struct lf_telemetry_block - totals of the device since its backing store was made, latched together
 * @energy_pj: energy by component, whole picojoules
 * @energy_sub_aj: the rest of each component, 0 .. 999,999 attojoules
 * @busy_ns: modelled time in which a job was executing
 * @time_ns: modelled time; advances by busy time and by LF_REG_TIME_ADVANCE only
 * @jobs: jobs completed, with whatever status
 * @mvm_count: vectors multiplied
 * @mac_count: multiply-accumulates of those: rows x columns a vector, less what zeros take out, see LF_OP_MVM
 * @conversions: analog-to-digital conversions
 * @clips: conversions that left the range of the converter
 * @cells_written: cells programmed
 * @cells_erased: cells erased
 * @verify_retries: programming pulses beyond the first of a cell
 * @host_bytes: bytes moved between host buffers and the device
 * @temperature_mc: temperature of the die, millidegrees Celsius (signed)
 * @wear_max: writes and erasures that the most worn row group has seen
 * @tiles_used: tiles that hold a matrix
 * @tiles_dirty: tiles waiting to be erased
 * @tiles_bad: tiles retired
 * @wear_histogram: row groups by writes and erasures: bin 0 none, bin k 2^(k-1) .. 2^k - 1, the last open
 * @cells_failed: cells that did not verify, since 1.2 as all that follows
 * @cells_stuck: cells known to be stuck in the tiles in use
 * @refresh_due: matrices that are due for LF_OP_REFRESH
 * @reserved: zero
 */
struct lf_telemetry_block {
	__le64 energy_pj[LF_ENERGY_COMPONENTS];
	__le64 energy_sub_aj[LF_ENERGY_COMPONENTS];
	__le64 busy_ns;
	__le64 time_ns;
	__le64 jobs;
	__le64 mvm_count;
	__le64 mac_count;
	__le64 conversions;
	__le64 clips;
	__le64 cells_written;
	__le64 cells_erased;
	__le64 verify_retries;
	__le64 host_bytes;
	__le64 temperature_mc;
	__le64 wear_max;
	__le64 tiles_used;
	__le64 tiles_dirty;
	__le64 tiles_bad;
	__le64 wear_histogram[16];
	__le64 cells_failed;
	__le64 cells_stuck;
	__le64 refresh_due;
	__le64 reserved;
};

/**
 * DOC: Rings
 *
 * A queue is a pair of rings of the same number of entries in host memory, physically contiguous, set up through
 * the queue's window while it is disabled. The host writes a struct lf_submission at its tail and then the new tail to the
 * submission doorbell. The device writes each struct lf_completion whole, @phase last; the phase starts at 1 on the
 * first pass and flips on every wrap, so that the host needs no read of the device to see a new record. The
 * host frees records by writing its head to the completion doorbell. A ring is full when advancing the tail would
 * make it equal to the head. Jobs of one queue are executed in order. A doorbell value outside the ring puts the queue in fault
 * and raises an event.
 *
 * Order at the end of a job: data of the outputs, completion record, interrupt.
 */

/**
 * struct lf_buffer_entry - one host buffer of a job
 * @pages: bus address of an array of __le64 bus addresses, one for each LF_PAGE_BYTES of the buffer, itself
 *	contiguous and 8-byte aligned
 * @bytes: length; the array holds ceil(@bytes / LF_PAGE_BYTES) page-aligned addresses
 */
struct lf_buffer_entry {
	__le64 pages;
	__le64 bytes;
};

/**
 * struct lf_submission - one entry of a submission ring
 * @tag: chosen by the host, unique among the jobs in flight on the queue; returned in the record
 * @flags: LF_JOB_*
 * @command_count: number of commands, 1 .. LF_REG_JOB_COMMANDS
 * @commands: bus address of the contiguous array of struct lf_command
 * @buffers: bus address of the contiguous array of struct lf_buffer_entry; 0 when there are none
 * @buffer_count: its length, 0 .. LF_REG_JOB_BUFFERS
 * @scratch_bytes: size of the scratch memory the job sees, zeroed at its start
 * @job_number: key of the job's random draws; given by the submitter so that a run can be repeated
 * @account: who pays for the cells this job writes
 * @reserved: zero
 */
struct lf_submission {
	__le16 tag;
	__le16 flags;
	__le32 command_count;
	__le64 commands;
	__le64 buffers;
	__le32 buffer_count;
	__le32 scratch_bytes;
	__le64 job_number;
	__le32 account;
	__le32 reserved[5];
};

#define LF_JOB_PRIVILEGED (1u << 0) /* READ and quota changes are allowed */

/**
 * struct lf_completion - one entry of a completion ring: what became of a job and what it cost
 * @energy_aj: energy by component, attojoules; sums over jobs are exact
 * @busy_ns: modelled execution time
 * @mvm_count: vectors multiplied
 * @mac_count: multiply-accumulates of those, less what zeros take out, see LF_OP_MVM
 * @conversions: analog-to-digital conversions
 * @clips: conversions that left the range of the converter
 * @cells_written: cells programmed
 * @cells_erased: cells erased
 * @verify_retries: programming pulses beyond the first of a cell
 * @host_bytes: bytes moved between host buffers and the device
 * @result: what the last management command returned (see the commands)
 * @rows_done: rows of the last PROGRAM that were written and verified; the others are untouched
 * @failed_command: index of the command that @status is about
 * @cells_failed: cells that did not verify; since 1.2
 * @reserved: zero
 * @submission_head: entries of the submission ring taken so far, modulo its size
 * @tag: of the job
 * @status: LF_STATUS_*
 * @phase: bit 0 is the phase; written last
 */
struct lf_completion {
	__le64 energy_aj[LF_ENERGY_COMPONENTS];
	__le64 busy_ns;
	__le64 mvm_count;
	__le64 mac_count;
	__le64 conversions;
	__le64 clips;
	__le64 cells_written;
	__le64 cells_erased;
	__le64 verify_retries;
	__le64 host_bytes;
	__le64 result;
	__le32 rows_done;
	__le32 failed_command;
	__le64 cells_failed;
	__le64 reserved[13];
	__le16 submission_head;
	__le16 tag;
	__le16 status;
	__le16 phase;
};

/* Status of a job. A job with an unknown status is treated as LF_STATUS_INTERNAL. Append-only. */
#define LF_STATUS_OK	    0
#define LF_STATUS_INVALID   1  /* a field, flag or operand is out of range; nothing was executed */
#define LF_STATUS_NO_MATRIX 2  /* no such matrix */
#define LF_STATUS_STATE	    3  /* the matrix is not in the state the command needs */
#define LF_STATUS_NO_SPACE  4  /* too few free tiles or directory entries */
#define LF_STATUS_EXISTS    5  /* the name is taken */
#define LF_STATUS_QUOTA	    6  /* the account's write budget does not cover it */
#define LF_STATUS_DENIED    7  /* needs LF_JOB_PRIVILEGED, or management on a work queue */
#define LF_STATUS_NONFINITE 8  /* NaN or Inf in an input, or a result beyond fp32 */
#define LF_STATUS_DMA	    9  /* a bus access failed */
#define LF_STATUS_CELLS	    10 /* cells failed to verify; result counts them */
#define LF_STATUS_ABORTED   11 /* ended by a reset or a disabled queue */
#define LF_STATUS_INTERNAL  12 /* the device's own fault */
#define LF_STATUS_OVERLAP   13 /* the job reads a buffer range that it also writes */
#define LF_STATUS_THERMAL   14 /* the die is too hot; nothing was executed */

/**
 * DOC: Number formats
 *
 * Weights are int8 in -127 .. 127 (LF_FORMAT_INT8; -128 is refused) or, on a float device, fp32
 * (LF_FORMAT_FP32, never quantised). Vectors are fp32 or int8. All fp32 arithmetic is IEEE 754 single
 * precision, round to nearest even, one rounding an operation, no fused multiply-add.
 *
 * Quantising a vector x: x is first multiplied by @factor, element by element, and (in transpose) by @scale. Then
 *   per-vector absmax: a = max |x|; if a < 2^-100 all q = 0 and s = 0; else i = 127 / a, s = a / 127;
 *   LF_MVM_FIXED_SCALE: s = @fixed_scale (> 0, s and 1 / s finite), i = 1 / s;
 *   q = clamp(round_half_even(x * i), -127, 127).
 * Int8 input is taken as q with s = @fixed_scale; -128 is refused with LF_STATUS_INVALID.
 * A NaN or Inf in x, also after the products, ends the job with LF_STATUS_NONFINITE.
 *
 * Result, forward, for logical column c: d = the integer dot product, as the converters saw it; t = (float)d * s;
 *   t = t * scale[c] if there is a scale; y = t, or y + t with LF_MVM_ACCUMULATE; y = y + bias[c] if there is a bias.
 *   With LF_MVM_TILE_SCALE, for each row of tiles i in ascending order, t_i = ((float)d_i * s) * scale[i][c] and
 *   t = ((t_0 + t_1) + t_2) ...
 * Result, transpose, for row r: t = (float)d * s; y = t, or y + t. With LF_MVM_TILE_SCALE the vector is quantised once for each
 *   row of tiles i, from x[c] * factor[c] * scale[i][c], and row r of that row of tiles uses its s_i and q_i.
 * On an fp32 matrix there is no q: d = sum over the reduced index in ascending order of x * w in fp32,
 *   s = 1 and no multiplication by s takes place; the partial sums per row of tiles follow the same rule.
 *
 * FUSE is in fp32, sums in ascending index order.
 */
#define LF_FORMAT_INT8	    0
#define LF_FORMAT_FP32	    1

/**
 * struct lf_operand - where a command finds or leaves an array
 * @space: LF_SPACE_*
 * @buffer: index into the job's buffers for LF_SPACE_BUFFER, else zero
 * @stride: bytes from one vector (or row) to the next; at least the bytes of one, a multiple of the element
 *	size; zero for arrays that have no second dimension, and for unused operands
 * @offset: byte offset of the first element, a multiple of the element size
 */
struct lf_operand {
	__le16 space;
	__le16 buffer;
	__le32 stride;
	__le64 offset;
};

#define LF_SPACE_NONE	0 /* operand not used; all of it zero */
#define LF_SPACE_BUFFER 1 /* a host buffer */
#define LF_SPACE_SCRATCH \
	2 /* the job's scratch memory; a range of it that holds a value is a slot */

/**
 * struct lf_command - one command of a job
 * @opcode: LF_OP_*
 * @flags: flags of that opcode
 * @matrix: identifier of the matrix, 0 where the command has none
 * @count: vectors, rows or entries; see the opcode
 * @first: first row or entry; see the opcode
 * @width: elements; see the opcode
 * @rank: elements of a group; see the opcode
 * @fixed_scale: bits of an fp32 value; see the opcode
 * @reserved: zero
 * @input: what is read
 * @output: what is written
 * @factor: fp32 factor per input element
 * @scale: fp32 scales or coefficients
 * @bias: fp32 bias
 * @partials: second output
 *
 * A field or operand that an opcode does not name must be zero. A job is checked whole before its first command
 * is executed. Host buffers are written once, at the end of the job, and a range that a job writes may not be read by
 * it (LF_STATUS_OVERLAP): so a job can be run again after a reset.
 */
struct lf_command {
	__le16 opcode;
	__le16 flags;
	__le32 matrix;
	__le32 count;
	__le32 first;
	__le32 width;
	__le32 rank;
	__le32 fixed_scale;
	__le32 reserved;
	struct lf_operand input;
	struct lf_operand output;
	struct lf_operand factor;
	struct lf_operand scale;
	struct lf_operand bias;
	struct lf_operand partials;
};

/**
 * DOC: Work commands (any queue)
 *
 * LF_OP_BARRIER: no operands. Jobs of other queues submitted before this one have completed when it is passed.
 *
 * LF_OP_MVM: multiply @count vectors with a committed matrix of R rows and C columns. K = R inputs and M = C outputs
 *   forward; K = C, M = R with LF_MVM_TRANSPOSE.
 *   @input: [@count][K] fp32, or int8 with LF_MVM_INPUT_INT8 (needs LF_MVM_FIXED_SCALE, takes no factor and,
 *   in transpose, no scale). @output: [@count][M] fp32; LF_MVM_ACCUMULATE adds to what is there and needs scratch.
 *   @factor: optional [K] fp32. @scale: optional [C] fp32, or [tile rows][C] with LF_MVM_TILE_SCALE, rows contiguous.
 *   @bias: optional [C], forward only. @partials: optional, forward only, buffer or scratch: [@count][tile rows][C]
 *   fp32, the (float)d_i * s of each row of tiles; @stride is from vector to vector.
 *   @fixed_scale: with LF_MVM_FIXED_SCALE. On int8 cells a zero saves energy: an input whose factor (in transpose also: whose scale) is
 *   0 is not driven, forward a column whose scale is 0 is not converted, and a tile where nothing is left is not read.
 *
 * LF_OP_FUSE: the digital unit, @count vectors of @width elements from @input to @output (scratch or buffer; may be
 *   the same scratch range).
 *   LF_FUSE_SUM: @scale [@width / @rank] coefficients c, @rank elements a group: y[i r + k] = c[i] * x[i r + k].
 *   LF_FUSE_PRODUCT: u[k] = sum_i c[i] * x[i r + k]; y[i r + k] = c[i] * u[k].
 *   LF_FUSE_AFFINE: @rank 0; y[j] = x[j] * scale[j] + bias[j], each of @scale and @bias [@width] and optional;
 *   with neither, a copy.
 *   LF_FUSE_ACCUMULATE adds the result to @output, which needs scratch.
 *
 * LF_OP_PROGRAM: write rows @first .. @first + @count - 1 of a matrix not yet committed, from @input: [@count][C] of the
 *   matrix's format, each row once. Every cell of the row is written, verified and charged to the job's account; before the
 *   first pulse the worst case is reserved, LF_STATUS_QUOTA if it is not covered. A job with PROGRAM is
 *   never run again by the host; rows_done says how far it came.
 *
 * LF_OP_READ (privileged): what the cells of rows @first .. + @count - 1 hold, as weights of the matrix's format, to
 *   @output: [@count][C]. With LF_READ_CELLS the cells themselves: [@count][C][cells of a weight] struct lf_cell, the
 *   slices of the positive side first, least significant first, then those of the negative.
 *
 * LF_OP_CALIBRATE: choose the ADC step of a committed matrix from @count sample vectors, @input: [@count][R] fp32: of the
 *   powers of two up to the smallest with which no conversion of these samples clips, the one with the least sum of
 *   (s * (d - ideal d))^2 over all samples and columns, the smaller of equal ones. The ideal d is what converters without range and
 *   step would give: the integer product, or, where cells are not exact, what ideal converters (adc_bits=ideal) give for the same
 *   cells without read noise. @result is the step. Persistent. With ideal converters the step stays.
 */
#define LF_OP_BARRIER	   1
#define LF_OP_MVM	   2
#define LF_OP_FUSE	   3
#define LF_OP_PROGRAM	   4
#define LF_OP_READ	   5
#define LF_OP_CALIBRATE	   6

#define LF_MVM_TRANSPOSE   (1u << 0)
#define LF_MVM_ACCUMULATE  (1u << 1)
#define LF_MVM_INPUT_INT8  (1u << 2)
#define LF_MVM_FIXED_SCALE (1u << 3)
#define LF_MVM_TILE_SCALE  (1u << 4)

#define LF_READ_CELLS	   (1u << 0) /* since 1.2 */

/**
 * struct lf_cell - the truth about one cell
 * @conductance: fp32, fraction of the largest conductance; without read noise and what wires take, with everything else
 * @wear: writes and erasures it has seen
 * @endurance: writes and erasures it bears, ~0 for more than can be counted
 * @pulses: pulses of its last write
 * @flags: LF_CELL_*
 */
struct lf_cell {
	__le32 conductance;
	__le32 wear;
	__le32 endurance;
	__le16 pulses;
	__le16 flags;
};

#define LF_CELL_STUCK_ON     (1u << 0)
#define LF_CELL_STUCK_OFF    (1u << 1)
#define LF_CELL_WORN	     (1u << 2) /* stuck because its endurance is spent */
#define LF_CELL_FAILED	     (1u << 3) /* its last write did not verify */
#define LF_CELL_SPARE	     (1u << 4) /* lies in a spare column */

#define LF_FUSE_SUM	     (1u << 0)
#define LF_FUSE_PRODUCT	     (1u << 1)
#define LF_FUSE_AFFINE	     (1u << 2)
#define LF_FUSE_ACCUMULATE   (1u << 3)

/**
 * DOC: Management commands (queue 0 only, one command a job)
 *
 * LF_OP_CREATE: @first rows, @width columns, @rank LF_FORMAT_*. Takes tiles, the least worn first, and a directory
 *   entry in state LF_MATRIX_TORN. @result is the identifier, never 0 and not used again soon. Tiles are charged to the account.
 * LF_OP_COMMIT: @matrix, all rows programmed. From here on it exists and survives a power cut.
 * LF_OP_PUBLISH: @matrix committed; @input: struct lf_publication. Gives the matrix its name, owner and mode, or new ones.
 * LF_OP_DELETE: @matrix in any state. Its tiles become dirty; they are erased by LF_OP_SANITIZE, or before they are used again.
 * LF_OP_LIST: entries from @first on, @count at most, to @output: struct lf_matrix_info, @stride
 *   LF_MATRIX_INFO_BYTES_V1 or more.
 *   @result is the number written; continue from the last @index + 1.
 * LF_OP_ACCOUNT: @first the account. @output (optional): struct lf_account. With LF_ACCOUNT_SET_QUOTA (privileged):
 *   @input, 8 bytes: the new quota in cells, ~0 for unlimited.
 * LF_OP_SANITIZE: erase @count dirty tiles at most. @result is the number still dirty. A tile with too many stuck cells is
 *   retired instead of freed.
 * LF_OP_REFRESH: write the cells of the committed @matrix again, to the levels they are found at, each rounded to
 *   the nearest: a refresh that comes too late makes errors permanent. Charged to the job's account like PROGRAM, the worst case
 *   is reserved first. The age of the matrix starts anew. @result is the cells written. Never run again by the host. A power cut
 *   leaves each row of cells old or new. Since 1.2.
 */
#define LF_OP_CREATE	     16
#define LF_OP_COMMIT	     17
#define LF_OP_PUBLISH	     18
#define LF_OP_DELETE	     19
#define LF_OP_LIST	     20
#define LF_OP_ACCOUNT	     21
#define LF_OP_SANITIZE	     22
#define LF_OP_REFRESH	     23

#define LF_ACCOUNT_SET_QUOTA (1u << 0)

#define LF_MATRIX_TORN	     1 /* created, cells undefined */
#define LF_MATRIX_COMMITTED  2 /* exists, not named */
#define LF_MATRIX_PUBLISHED  3 /* exists and has a name */

#define LF_NAME_BYTES	     64

/**
 * struct lf_publication - name and permissions of a matrix
 * @name: unique on the device, zero terminated and padded; 1 .. 63 bytes of A-Z a-z 0-9 . _ - and /, not beginning with /
 * @owner: user id
 * @group: group id
 * @mode: read permission bits as of a file, 0444 at most
 * @reserved: zero
 */
struct lf_publication {
	__u8 name[LF_NAME_BYTES];
	__le32 owner;
	__le32 group;
	__le32 mode;
	__le32 reserved;
};

/**
 * struct lf_matrix_info - one entry of the directory
 * @index: position in the directory
 * @matrix: identifier
 * @state: LF_MATRIX_*
 * @format: LF_FORMAT_*
 * @reserved0: zero
 * @rows: logical rows (inputs of the forward direction)
 * @cols: logical columns
 * @tile_rows: rows of tiles
 * @tile_cols: columns of tiles
 * @account: account that wrote it
 * @adc_step: step of the converters for this matrix, in units of one level of one cell
 * @cells: cells it occupies
 * @wear_max: writes and erasures that its most worn row group has seen
 * @publication: name, owner and mode; zero unless published
 * @programmed_ns: modelled time of its COMMIT or last REFRESH; since 1.2 as all that follows
 * @due_ns: modelled time at which it is due for LF_OP_REFRESH, ~0 for never
 * @failed_cells: cells that did not verify when it was last written
 * @stuck_cells: stuck cells among those it uses
 * @stuck_before: stuck cells there would be without spare columns
 * @spares: columns that spare columns stand in for, summed over its tiles
 * @refreshes: how often it was refreshed
 * @reserved1: zero
 * @reserved2: zero
 *
 * LF_OP_LIST writes as much of it as the stride has room for.
 */
struct lf_matrix_info {
	__le32 index;
	__le32 matrix;
	__u8 state;
	__u8 format;
	__le16 reserved0;
	__le32 rows;
	__le32 cols;
	__le32 tile_rows;
	__le32 tile_cols;
	__le32 account;
	__le32 adc_step;
	__le32 wear_max;
	__le64 cells;
	struct lf_publication publication;
	__le64 programmed_ns;
	__le64 due_ns;
	__le32 failed_cells;
	__le32 stuck_cells;
	__le32 stuck_before;
	__le32 spares;
	__le32 refreshes;
	__le32 reserved1;
	__le64 reserved2[3];
};

#define LF_MATRIX_INFO_BYTES_V1 128

/**
 * struct lf_account - an account of the ledger
 * @account: its number (a user id)
 * @reserved: zero
 * @quota_cells: cells it may write in all, ~0 for unlimited
 * @written_cells: cells it has written, retries included
 * @tiles: tiles it holds
 */
struct lf_account {
	__le32 account;
	__le32 reserved;
	__le64 quota_cells;
	__le64 written_cells;
	__le64 tiles;
};

#ifdef __cplusplus
#define LF_ASSERT_SIZE(type, bytes) \
	static_assert(sizeof(type) == (bytes), #type " has another size")
#else
#define LF_ASSERT_SIZE(type, bytes) \
	_Static_assert(sizeof(type) == (bytes), #type " has another size")
#endif

LF_ASSERT_SIZE(struct lf_buffer_entry, 16);
LF_ASSERT_SIZE(struct lf_submission, 64);
LF_ASSERT_SIZE(struct lf_completion, 256);
LF_ASSERT_SIZE(struct lf_operand, 16);
LF_ASSERT_SIZE(struct lf_command, 128);
LF_ASSERT_SIZE(struct lf_publication, 80);
LF_ASSERT_SIZE(struct lf_matrix_info, 192);
LF_ASSERT_SIZE(struct lf_cell, 16);
LF_ASSERT_SIZE(struct lf_account, 32);
LF_ASSERT_SIZE(struct lf_telemetry_block, 48 * 8);

#endif
