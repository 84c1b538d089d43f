/* SPDX-License-Identifier: MIT */
/*
 * libxbar: the LF-1 device itself, without a bus. It executes jobs (uapi/lf/lf_hw.h) on tiles whose cells,
 * directory and ledger live in memory that the embedder provides. QEMU's glue and the runtime's in-process device
 * link the same code, so the same job gives the same bits on either.
 *
 * The model has no threads, clock, globals, files or host randomness. The embedder calls it from one thread at a time (its
 * executor); inside a job the model hands independent pieces of work to struct xbar_ops.parallel, and no result depends
 * on how many threads that uses. Nothing here aborts on bad input: what a job names is checked
 * before anything is executed.
 */
#ifndef XBAR_H
#define XBAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/lf_hw.h>

struct xbar;
struct xbar_job;
struct xbar_params;

/**
 * struct xbar_ops - what the embedder does for the model
 * @parallel: call @work(argument, i) once for each i in 0 .. count - 1, in any order and on any threads, and return when all are
 *	done; NULL runs them in order
 * @cancelled: whether the job that runs is to end early; called often, from the threads of @parallel as well, and once true
 *	stays true until xbar_job_run() returns. NULL when no job ever is
 * @persist: bytes [offset, offset + bytes) of the non-volatile memory must reach the medium before
 *	anything written later does; NULL when the embedder's memory needs no barrier
 * @wrote: bytes [offset, offset + bytes) of the non-volatile memory have just been written, for who tries power cuts; may
 *	be NULL
 * @blank: the embedder has just made the memory and knows that it is all zeros: it is not read to find that out. Never set for
 *	memory that anybody else may have written to
 *
 * The functions receive the opaque pointer given to xbar_create().
 */
struct xbar_ops {
	void (*parallel)(void *opaque, uint32_t count, void (*work)(void *argument, uint32_t index),
			 void *argument);
	bool (*cancelled)(void *opaque);
	void (*persist)(void *opaque, uint64_t offset, uint64_t bytes);
	void (*wrote)(void *opaque, uint64_t offset, uint64_t bytes);
	bool blank;
};

#define XBAR_MESSAGE_BYTES 256

/**
 * xbar_params_create() - parameters of a preset
 * @preset: name, see xbar_params_preset(); presets.c tells what each sets and from which source
 * @params: receives the parameters; free with xbar_params_free()
 *
 * Return: 0, -ENOENT for an unknown preset, -ENOMEM.
 */
int xbar_params_create(const char *preset, struct xbar_params **params);

/** xbar_params_preset() - name of preset @index, NULL behind the last */
const char *xbar_params_preset(uint32_t index);

/** xbar_params_free() - free parameters, NULL is ignored */
void xbar_params_free(struct xbar_params *params);

/**
 * xbar_params_set() - set one parameter by name
 * @params: to change
 * @key: name of the parameter, e.g. "adc_bits"
 * @value: its value as text
 * @message: receives the reason on failure, may be NULL
 *
 * Return: 0, -ENOENT for an unknown key, -EINVAL or -ERANGE for a bad value; @params is unchanged on failure.
 */
int xbar_params_set(struct xbar_params *params, const char *key, const char *value,
		    char message[XBAR_MESSAGE_BYTES]);

/**
 * xbar_params_describe() - walk over the parameters
 * @index: 0, 1, ...
 * @key: receives the name
 * @unit: receives the unit, "" for a plain number
 * @help: receives one sentence with the source of the default
 *
 * Return: 0, -ENOENT behind the last.
 */
int xbar_params_describe(uint32_t index, const char **key, const char **unit, const char **help);

/**
 * xbar_params_get() - the value of one parameter, as xbar_params_set() takes it
 * @params: to read
 * @key: name of the parameter
 * @value: receives the text
 *
 * Return: 0, -ENOENT for an unknown key.
 */
int xbar_params_get(const struct xbar_params *params, const char *key,
		    char value[XBAR_MESSAGE_BYTES]);

/**
 * xbar_params_parse() - parameters from the text of a preset file
 * @text: lines of "key = value"; the first is "preset = NAME" and says what the others change; # starts a comment; each key
 *	once. "name = TEXT", at most LF_PRESET_BYTES - 1 characters, is what the device calls itself
 * @bytes: length of @text, which may hold anything
 * @message: receives the reason on failure, with the number of the line; may be NULL
 * @params: receives the parameters; free with xbar_params_free()
 *
 * Return: 0, -EINVAL, -ERANGE, -ENOENT (unknown preset or key), -ENOMEM.
 */
int xbar_params_parse(const char *text, size_t bytes, char message[XBAR_MESSAGE_BYTES],
		      struct xbar_params **params);

/** xbar_params_check() - refuse impossible combinations; 0 or -EINVAL with @message naming the parameter */
int xbar_params_check(const struct xbar_params *params, char message[XBAR_MESSAGE_BYTES]);

/** xbar_nonvolatile_bytes() - size of the memory that a device with @params needs */
uint64_t xbar_nonvolatile_bytes(const struct xbar_params *params);

/**
 * xbar_create() - attach a device to its non-volatile memory
 * @params: copied
 * @memory: cells, directory and ledger, 64-byte aligned; all zeros means a new device, which is
 *	formatted. Anything else must be a device of the same geometry and a known version
 * @bytes: length of @memory, at least xbar_nonvolatile_bytes()
 * @ops: callbacks, copied; what is recovered may call them before this returns
 * @opaque: handed to the callbacks
 * @message: receives the reason on failure, may be NULL
 * @xbar: receives the device; free with xbar_destroy()
 *
 * Torn matrices found are dropped and their tiles released, a refresh that power interrupted is completed. A memory that is
 * refused is not changed; Documentation/backing-format.md tells it all.
 *
 * Return: 0, -EINVAL (parameters), -ENOSPC (too small), -EILSEQ (damaged or foreign), -EPROTO (version or
 * geometry), -ENOMEM.
 */
int xbar_create(const struct xbar_params *params, void *memory, uint64_t bytes,
		const struct xbar_ops *ops, void *opaque, char message[XBAR_MESSAGE_BYTES],
		struct xbar **xbar);

/** xbar_destroy() - detach; the non-volatile memory stays as it is. NULL is ignored */
void xbar_destroy(struct xbar *xbar);

/**
 * struct xbar_limits - the maxima of the capability registers
 * @matrices: entries of the directory
 * @accounts: entries of the ledger
 * @tiles: tiles
 * @tile_rows: rows of a tile
 * @tile_cols: columns of cells of a tile
 * @tile_weights: logical columns of a tile
 * @cell_bits: bits of a cell
 * @adc_bits: bits of a converter, 0 where conversion is ideal
 * @dac_bits: bits of a driver
 * @formats: mask of 1 << LF_FORMAT_*
 * @matrix_rows: most rows of a matrix
 * @matrix_cols: most columns of a matrix
 * @batch: most vectors of a command
 * @commands: most commands of a job
 * @scratch_bytes: most scratch of a job
 * @preset: name, zero padded
 * @temperature_max_mc: of the die, millidegrees Celsius, from which LF_EVENT_THERMAL is raised
 * @temperature_critical_mc: from which work ends with LF_STATUS_THERMAL
 */
struct xbar_limits {
	uint32_t matrices;
	uint32_t accounts;
	uint32_t tiles;
	uint32_t tile_rows;
	uint32_t tile_cols;
	uint32_t tile_weights;
	uint32_t cell_bits;
	uint32_t adc_bits;
	uint32_t dac_bits;
	uint32_t formats;
	uint32_t matrix_rows;
	uint32_t matrix_cols;
	uint32_t batch;
	uint32_t commands;
	uint32_t scratch_bytes;
	char preset[LF_PRESET_BYTES];
	int32_t temperature_max_mc;
	int32_t temperature_critical_mc;
};

/** xbar_limits() - what the device can do */
void xbar_limits(const struct xbar *xbar, struct xbar_limits *limits);

/**
 * struct xbar_transfer - a range of a host buffer that a job reads or writes
 * @buffer: index into the job's buffers
 * @to_host: written by the job, at its end
 * @rows: number of runs
 * @row_bytes: bytes of a run
 * @offset: of the first run in the buffer
 * @stride: from run to run in the buffer
 * @memory: set by the embedder before xbar_job_run(): where the model finds or leaves the first run, aligned to 4 bytes
 * @memory_stride: set by the embedder: bytes from run to run at @memory
 */
struct xbar_transfer {
	uint32_t buffer;
	bool to_host;
	uint32_t rows;
	uint64_t row_bytes;
	uint64_t offset;
	uint64_t stride;
	void *memory;
	uint64_t memory_stride;
};

/**
 * struct xbar_request - a job as submitted
 * @commands: array, stays valid until xbar_job_close()
 * @command_count: its length
 * @buffer_bytes: length of each host buffer
 * @buffer_count: number of buffers
 * @scratch_bytes: scratch memory the job wants
 * @job_number: key of its random draws
 * @account: who pays for writes
 * @privileged: LF_JOB_PRIVILEGED
 * @management: came on queue 0, so management commands are allowed
 */
struct xbar_request {
	const struct lf_command *commands;
	uint32_t command_count;
	const uint64_t *buffer_bytes;
	uint32_t buffer_count;
	uint32_t scratch_bytes;
	uint64_t job_number;
	uint32_t account;
	bool privileged;
	bool management;
};

/**
 * xbar_job_open() - check a job whole and plan its transfers
 * @xbar: the device
 * @request: the job
 * @completion: receives status and failed_command when the job is refused
 * @job: receives the job; close with xbar_job_close()
 *
 * A job object may be run many times; it is checked again when the directory has changed since.
 *
 * Return: 0; -EINVAL when the job is refused (the reason is the completion's status); -ENOMEM.
 */
int xbar_job_open(struct xbar *xbar, const struct xbar_request *request,
		  struct lf_completion *completion, struct xbar_job **job);

/** xbar_job_transfers() - the transfers of an open job; the array belongs to the job */
struct xbar_transfer *xbar_job_transfers(struct xbar_job *job, uint32_t *count);

/**
 * xbar_job_run() - execute an open job whose transfers have their memory set
 * @job: the job
 * @completion: receives the record but for head, tag and phase
 *
 * On a status other than LF_STATUS_OK the memory of transfers to the host holds anything, and the embedder does not pass it
 * on. What PROGRAM has done stays done; its progress is in rows_done.
 *
 * A job that is cancelled ends with LF_STATUS_ABORTED: before its next command, or within an MVM or CALIBRATE, which leave
 * nothing behind. Commands that change the device otherwise are done whole. What was begun is in the record and in the totals.
 */
void xbar_job_run(struct xbar_job *job, struct lf_completion *completion);

/** xbar_job_close() - free a job, NULL is ignored */
void xbar_job_close(struct xbar_job *job);

/** xbar_telemetry() - totals of the device; of cells and wear since it was made, of the rest likewise */
void xbar_telemetry(const struct xbar *xbar, struct lf_telemetry_block *telemetry);

/** xbar_torn() - matrices that were created and not committed: who attaches to a copy of the memory does not find them */
uint32_t xbar_torn(const struct xbar *xbar);

/** xbar_advance_time() - let modelled time pass without work */
void xbar_advance_time(struct xbar *xbar, uint64_t nanoseconds);

/** xbar_set_temperature() - of the die, millidegrees Celsius; from now on, it does not outlive the xbar */
void xbar_set_temperature(struct xbar *xbar, int32_t millidegrees);

/** xbar_inject_stuck() - @parts of a million cells more are stuck from now on, and stay so in the non-volatile memory */
void xbar_inject_stuck(struct xbar *xbar, uint32_t parts);

/** xbar_take_events() - LF_EVENT_THERMAL, _WEAR, _CELLS and _REFRESH that came up since it was last called */
uint32_t xbar_take_events(struct xbar *xbar);

#endif
