/* SPDX-License-Identifier: MIT */
/*
 * An LF-1 accelerator, however it is reached, and the host buffers it works on. Matrices are in lf/matrix.h and jobs
 * in lf/job.h. Nothing above these three headers knows whether a kernel driver or the in-process model answers.
 */
#ifndef LF_DEVICE_H
#define LF_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>
#include <lf/lf_hw.h>

struct lf_device;
struct lf_buffer;

/**
 * enum lf_effect - what can make a cell differ from what it was told to hold, or a read from the cell
 * @LF_EFFECT_PROGRAMMING: a write leaves a cell beside its target
 * @LF_EFFECT_READ_NOISE: a read differs from the next
 * @LF_EFFECT_RELAXATION: cells move after they were written
 * @LF_EFFECT_RETENTION: cells lose what they hold
 * @LF_EFFECT_STUCK: cells are stuck
 * @LF_EFFECT_ON_OFF_RATIO: the smallest conductance is not 0
 * @LF_EFFECT_IR_DROP: wires take voltage
 * @LF_EFFECT_ENDURANCE: cells wear out
 * @LF_EFFECT_TEMPERATURE: conductance follows the temperature
 * @LF_EFFECTS: their number
 *
 * The converters' resolution is @adc_bits of struct lf_device_info.
 */
enum lf_effect {
	LF_EFFECT_PROGRAMMING,
	LF_EFFECT_READ_NOISE,
	LF_EFFECT_RELAXATION,
	LF_EFFECT_RETENTION,
	LF_EFFECT_STUCK,
	LF_EFFECT_ON_OFF_RATIO,
	LF_EFFECT_IR_DROP,
	LF_EFFECT_ENDURANCE,
	LF_EFFECT_TEMPERATURE,
	LF_EFFECTS,
};

/** lf_effect_name() - "programming noise", "read noise" and so on; NULL for what is no effect */
const char *lf_effect_name(enum lf_effect effect);

/**
 * struct lf_device_info - what a device is and what one job may hold
 * @kind: "drm" or "inproc"
 * @bus: "pci", "platform" or "none"
 * @path: node of the device, or the specification it was opened by
 * @preset: name of its physical parameters
 * @formats: mask of 1 << LF_FORMAT_*
 * @job_commands: most commands of a job
 * @job_buffers: most buffers of a job
 * @job_matrices: most matrices of a job
 * @job_scratch_bytes: most scratch of a job
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
 * @effects_known: @effects says which errors the cells have; a driver does not tell
 * @effects: mask of 1 << enum lf_effect
 */
struct lf_device_info {
	char kind[8];
	char bus[16];
	char path[256];
	char preset[LF_PRESET_BYTES];
	uint32_t formats;
	uint32_t job_commands;
	uint32_t job_buffers;
	uint32_t job_matrices;
	uint32_t job_scratch_bytes;
	uint32_t batch;
	uint32_t matrices;
	uint32_t matrix_rows;
	uint32_t matrix_cols;
	uint32_t tiles;
	uint32_t tile_rows;
	uint32_t tile_cols;
	uint32_t tile_weights;
	uint32_t cell_bits;
	uint32_t adc_bits;
	uint32_t dac_bits;
	uint64_t buffer_bytes;
	bool effects_known;
	uint32_t effects;
};

/**
 * struct lf_counters - what work cost; of one job, of one opened device, or of the device as a whole
 * @energy_pj: modelled energy by component (LF_ENERGY_*), whole picojoules
 * @energy_sub_aj: the rest of each, 0 .. 999,999 attojoules
 * @busy_ns: modelled execution time
 * @jobs: jobs completed
 * @mvm_count: vectors multiplied
 * @mac_count: multiply-accumulates
 * @conversions: analog-to-digital conversions
 * @clips: conversions out of range
 * @cells_written: cells programmed
 * @cells_erased: cells erased
 * @verify_retries: programming pulses beyond the first of a cell
 * @cells_failed: cells that did not verify
 * @host_bytes: bytes moved between buffers and device
 */
struct lf_counters {
	uint64_t energy_pj[LF_ENERGY_COMPONENTS];
	uint64_t energy_sub_aj[LF_ENERGY_COMPONENTS];
	uint64_t busy_ns;
	uint64_t jobs;
	uint64_t mvm_count;
	uint64_t mac_count;
	uint64_t conversions;
	uint64_t clips;
	uint64_t cells_written;
	uint64_t cells_erased;
	uint64_t verify_retries;
	uint64_t cells_failed;
	uint64_t host_bytes;
};

/** lf_counters_add() - add @counters to @sum, exactly */
void lf_counters_add(struct lf_counters *sum, const struct lf_counters *counters);

/**
 * struct lf_telemetry - counters of a whole device with its state
 * @total: since its backing store was made
 * @time_ns: modelled time
 * @temperature_mc: millidegrees Celsius
 * @wear_max: writes and erasures that the most worn row of cells has seen
 * @tiles_used: tiles that hold a matrix
 * @tiles_dirty: tiles waiting to be erased
 * @tiles_bad: tiles retired
 * @cells_stuck: cells known to be stuck in the tiles in use
 * @refresh_due: matrices that are due for lf_matrix_refresh()
 * @wear_histogram: as in struct lf_telemetry_block
 */
struct lf_telemetry {
	struct lf_counters total;
	uint64_t time_ns;
	int64_t temperature_mc;
	uint64_t wear_max;
	uint64_t tiles_used;
	uint64_t tiles_dirty;
	uint64_t tiles_bad;
	uint64_t cells_stuck;
	uint64_t refresh_due;
	uint64_t wear_histogram[16];
};

/**
 * lf_device_open() - open an accelerator
 * @specification: "/dev/accel/accelN"; "inproc[:preset][,key=value...]", where a key is a parameter of the model, or
 *	"memory" (file that keeps the cells, made when absent), or "threads" (default 2); NULL for the first real device, or
 *	else "inproc:ideal"
 * @device: receives the device; close with lf_device_close()
 * @error: receives the reason on failure, may be NULL
 *
 * A device may be used from several threads; a buffer, matrix or job from one at a time.
 *
 * Return: 0, -ENODEV (absent), -EACCES (not permitted), -EINVAL (specification), -EPROTO (interface version), -ENOMEM.
 */
int lf_device_open(const char *specification, struct lf_device **device, struct lf_error *error);

/** lf_device_close() - close; its buffers, matrices and jobs must be gone. NULL is ignored */
void lf_device_close(struct lf_device *device);

/** lf_device_info() - what the device is; valid until it is closed */
const struct lf_device_info *lf_device_info(const struct lf_device *device);

/** lf_device_counters() - sum over the completed jobs of this opened device */
int lf_device_counters(struct lf_device *device, struct lf_counters *counters,
		       struct lf_error *error);

/** lf_device_telemetry() - totals of the device; -EACCES or -EPERM without the privilege */
int lf_device_telemetry(struct lf_device *device, struct lf_telemetry *telemetry,
			struct lf_error *error);

/**
 * lf_device_advance() - let modelled time pass without work
 * @device: an in-process one
 * @nanoseconds: how much; the device's clock stops at 2^63 - 1
 * @error: reason on failure
 *
 * What depends on the age of cells follows: relaxation, retention, when a matrix is due for a refresh.
 *
 * Return: 0; -EOPNOTSUPP behind a driver, whose device has its own time (QEMU lets it pass by a property).
 */
int lf_device_advance(struct lf_device *device, uint64_t nanoseconds, struct lf_error *error);

/**
 * lf_device_set_temperature() - temperature of the die from here on
 * @device: an in-process one
 * @temperature_mc: -55,000 .. 200,000 millidegrees Celsius
 * @error: reason on failure
 *
 * Return: 0; -EINVAL (out of range); -EOPNOTSUPP behind a driver (QEMU sets it by a property).
 */
int lf_device_set_temperature(struct lf_device *device, int32_t temperature_mc,
			      struct lf_error *error);

/**
 * lf_device_events() - what came up since this was last asked
 * @device: an in-process one
 * @events: receives a mask of LF_EVENT_THERMAL, LF_EVENT_WEAR, LF_EVENT_CELLS and LF_EVENT_REFRESH
 * @error: reason on failure
 *
 * Return: 0; -EOPNOTSUPP behind a driver, which sends its events by generic netlink.
 */
int lf_device_events(struct lf_device *device, uint32_t *events, struct lf_error *error);

/**
 * lf_device_quota() - write budget of a user
 * @device: the device
 * @account: user id
 * @new_quota_cells: cells the account may write in all (~0 unlimited), or NULL to leave it
 * @quota: receives the state, may be NULL
 * @error: reason on failure
 *
 * Return: 0, -EPERM, -ENOSPC (ledger full).
 */
int lf_device_quota(struct lf_device *device, uint32_t account, const uint64_t *new_quota_cells,
		    struct lf_account *quota, struct lf_error *error);

/**
 * lf_buffer_create() - host memory that jobs read and write directly
 * @device: the device
 * @bytes: length, rounded up to whole pages; zeroed, page aligned
 * @buffer: receives the buffer; destroy with lf_buffer_destroy()
 * @error: reason on failure
 *
 * Return: 0, -EINVAL, -ENOMEM, -ENOSPC.
 */
int lf_buffer_create(struct lf_device *device, size_t bytes, struct lf_buffer **buffer,
		     struct lf_error *error);

/** lf_buffer_destroy() - free; no submitted job may still use it. NULL is ignored */
void lf_buffer_destroy(struct lf_buffer *buffer);

/** lf_buffer_data() - its memory; not to be touched where a submitted job reads (writing) or writes (touching) */
void *lf_buffer_data(const struct lf_buffer *buffer);

/** lf_buffer_bytes() - its length */
size_t lf_buffer_bytes(const struct lf_buffer *buffer);

#endif
