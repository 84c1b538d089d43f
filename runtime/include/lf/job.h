/* SPDX-License-Identifier: MIT */
/*
 * Jobs: lists of commands executed in order by the device, queued ahead and waited for by their result.
 *
 * A job object is made once and filled again for every submission, without an allocation once it has
 * grown to its size. The calls that add commands return nothing: the first mistake is kept and reported by lf_job_submit(),
 * which then submits nothing. What a command means to the last bit is in lf/lf_hw.h.
 */
#ifndef LF_JOB_H
#define LF_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include <lf/matrix.h>

struct lf_job;

enum lf_view_space { LF_VIEW_NONE, LF_VIEW_BUFFER, LF_VIEW_SCRATCH };

/**
 * struct lf_view - an array that a command reads or writes
 * @space: where it is; LF_VIEW_NONE for an operand that is not given
 * @stride: bytes from one vector to the next, 0 for a single one
 * @offset: bytes to the first element
 * @buffer: the buffer, for LF_VIEW_BUFFER
 */
struct lf_view {
	enum lf_view_space space;
	uint32_t stride;
	uint64_t offset;
	struct lf_buffer *buffer;
};

static inline struct lf_view lf_view_buffer(struct lf_buffer *buffer, uint64_t offset,
					    uint32_t stride)
{
	return (struct lf_view){ LF_VIEW_BUFFER, stride, offset, buffer };
}

static inline struct lf_view lf_view_scratch(uint64_t offset, uint32_t stride)
{
	return (struct lf_view){ LF_VIEW_SCRATCH, stride, offset, NULL };
}

/**
 * struct lf_mvm - multiply vectors with a matrix of R rows and C columns
 * @matrix: committed
 * @flags: LF_MVM_*
 * @count: number of vectors
 * @fixed_scale: with LF_MVM_FIXED_SCALE
 * @input: [@count][R] fp32 or int8; [@count][C] in transpose
 * @output: [@count][C] fp32; [@count][R] in transpose
 * @factor: optional factor per input element
 * @scale: optional [C], or [tile rows][C] with LF_MVM_TILE_SCALE
 * @bias: optional [C]
 * @partials: optional [@count][tile rows][C]
 */
struct lf_mvm {
	struct lf_matrix *matrix;
	uint16_t flags;
	uint32_t count;
	float fixed_scale;
	struct lf_view input;
	struct lf_view output;
	struct lf_view factor;
	struct lf_view scale;
	struct lf_view bias;
	struct lf_view partials;
};

/**
 * struct lf_fuse - the digital unit
 * @flags: one of LF_FUSE_SUM, LF_FUSE_PRODUCT, LF_FUSE_AFFINE, perhaps with LF_FUSE_ACCUMULATE
 * @count: number of vectors
 * @width: elements of a vector
 * @rank: elements of a group, 0 for LF_FUSE_AFFINE
 * @input: [@count][@width]
 * @output: [@count][@width]
 * @scale: coefficients [@width / @rank], or scales [@width]
 * @bias: [@width], LF_FUSE_AFFINE only
 */
struct lf_fuse {
	uint16_t flags;
	uint32_t count;
	uint32_t width;
	uint32_t rank;
	struct lf_view input;
	struct lf_view output;
	struct lf_view scale;
	struct lf_view bias;
};

/**
 * struct lf_job_result - what became of a job
 * @status: LF_STATUS_*
 * @failed_command: index of the command it is about
 * @rows_done: rows of the last PROGRAM that were written
 * @result: of CALIBRATE
 * @counters: what it cost
 */
struct lf_job_result {
	uint32_t status;
	uint32_t failed_command;
	uint32_t rows_done;
	uint64_t result;
	struct lf_counters counters;
};

/** lf_job_create() - make an empty job; destroy with lf_job_destroy() */
int lf_job_create(struct lf_device *device, struct lf_job **job, struct lf_error *error);

/** lf_job_destroy() - wait for it if it was submitted, then free. NULL is ignored */
void lf_job_destroy(struct lf_job *job);

/**
 * lf_job_begin() - forget the commands; the job must not be in flight
 * @job: the job
 * @job_number: key of its random draws
 */
void lf_job_begin(struct lf_job *job, uint64_t job_number);

/**
 * lf_job_scratch() - set memory of the job's scratch aside
 * @job: the job
 * @bytes: how many
 *
 * Return: its offset, for lf_view_scratch(), 64-byte aligned.
 */
uint64_t lf_job_scratch(struct lf_job *job, uint64_t bytes);

/** lf_job_mvm() - add a multiplication */
void lf_job_mvm(struct lf_job *job, const struct lf_mvm *mvm);

/** lf_job_fuse() - add a fusion */
void lf_job_fuse(struct lf_job *job, const struct lf_fuse *fuse);

/** lf_job_barrier() - add a barrier */
void lf_job_barrier(struct lf_job *job);

/** lf_job_program() - add the writing of rows @first .. @first + @count - 1 from @input */
void lf_job_program(struct lf_job *job, struct lf_matrix *matrix, uint32_t first, uint32_t count,
		    struct lf_view input);

/** lf_job_read() - add the reading back of rows, privileged */
void lf_job_read(struct lf_job *job, struct lf_matrix *matrix, uint32_t first, uint32_t count,
		 struct lf_view output);

/**
 * lf_job_read_cells() - add the reading of what single cells do, privileged
 * @job: the job
 * @matrix: committed or not
 * @first: first row
 * @count: rows
 * @output: receives struct lf_cell [@count][cols][cells of a weight] (lf_matrix_weight_cells())
 */
void lf_job_read_cells(struct lf_job *job, struct lf_matrix *matrix, uint32_t first, uint32_t count,
		       struct lf_view output);

/** lf_job_calibrate() - add a calibration of the converters from @count sample vectors */
void lf_job_calibrate(struct lf_job *job, struct lf_matrix *matrix, uint32_t count,
		      struct lf_view input);

/** lf_job_commands() - how many commands were added since lf_job_begin(), refused ones included */
uint32_t lf_job_commands(const struct lf_job *job);

/**
 * lf_job_submit() - queue the job; does not wait for it
 * @job: with at least one command, not in flight
 * @error: reason on failure
 *
 * Jobs of a device that touch the same buffer or matrix, one of them writing it, run in the order of submission.
 *
 * Return: 0, -EINVAL (a command; the message names it and the field), -ENODEV, -ENOMEM.
 */
int lf_job_submit(struct lf_job *job, struct lf_error *error);

/**
 * lf_job_wait() - wait until a submitted job has ended
 * @job: the job; returns at once if it is not in flight
 * @timeout_ns: how long to wait, negative for ever
 * @error: reason on failure
 *
 * An in-process device of one thread works in here, on this job and those before it, however long that takes.
 *
 * Return: 0; -ETIME (still running); the job's failure: -EINVAL (refused by the device), -EDOM (NaN, Inf or a number out
 * of range), -EDQUOT, -EIO, -EBUSY (the die is too hot), -ETIMEDOUT, -ECANCELED, -ENODEV.
 */
int lf_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error);

/** lf_job_result() - of the last wait that returned other than -ETIME */
const struct lf_job_result *lf_job_result(const struct lf_job *job);

#endif
