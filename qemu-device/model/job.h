/* SPDX-License-Identifier: MIT */
/*
 * A job that has been checked: its steps, its transfers, its scratch.
 */
#ifndef XBAR_JOB_H
#define XBAR_JOB_H

#include "device.h"

/**
 * struct view - where an operand of a step lies
 * @space: LF_SPACE_*
 * @transfer: index of its transfer, for LF_SPACE_BUFFER
 * @offset: into the scratch memory, for LF_SPACE_SCRATCH
 * @stride: bytes from row to row, for LF_SPACE_SCRATCH
 * @bytes: of all its rows together, without gaps
 */
struct view {
	uint16_t space;
	uint32_t transfer;
	uint64_t offset;
	uint32_t stride;
	uint64_t bytes;
};

/**
 * struct step - one checked command
 * @matrix: its matrix, or NULL; holds while the directory's generation does
 */
struct step {
	const struct lf_command *command;
	struct matrix *matrix;
	struct view input;
	struct view output;
	struct view factor;
	struct view scale;
	struct view bias;
	struct view partials;
};

/* Bytes of the scratch memory that are read before a command has written them: zeroed when the job starts. */
struct blank {
	uint64_t offset;
	uint64_t bytes;
};

struct xbar_job {
	struct xbar *xbar;
	struct xbar_request request;
	uint64_t *buffer_bytes;
	uint64_t directory_generation;
	struct step *steps;
	struct xbar_transfer *transfers;
	uint32_t transfer_count;
	struct blank *blanks;
	uint32_t blank_count;
	uint64_t worst_cells;	   /* that its PROGRAM commands may write */
	uint32_t command_capacity; /* that the arrays have room for */
	uint32_t buffer_capacity;
};

/* An operand as memory. */
struct span {
	char *memory; /* NULL when the operand is not used */
	uint64_t stride;
};

static inline struct span span_of(const struct xbar_job *job, const struct view *view)
{
	const struct xbar_transfer *transfer = &job->transfers[view->transfer];

	if (view->space == LF_SPACE_BUFFER)
		return (struct span){ transfer->memory, transfer->memory_stride };
	if (view->space == LF_SPACE_SCRATCH)
		return (struct span){ (char *)job->xbar->scratch + view->offset, view->stride };
	return (struct span){ NULL, 0 };
}

/* check.c: fills job->steps and plans job->transfers; LF_STATUS_*, and the command it is about. */
uint16_t xbar_check_job(struct xbar_job *job, uint32_t *failed_command);

/* events.c: LF_STATUS_THERMAL when the die is too hot for what the job does. */
uint16_t xbar_check_temperature(const struct xbar_job *job, uint32_t *failed_command);

/* check.c: whether the matrices still are what the commands need. */
uint16_t xbar_check_state(struct xbar_job *job, uint32_t *failed_command);

/* overlap.c: whether two transfers of one buffer share a byte; never false when they do. */
bool xbar_overlap(const struct xbar_transfer *a, const struct xbar_transfer *b);

/* overlap.c: whether @outer has every byte of @inner; never true when it has not. */
bool xbar_covers(const struct xbar_transfer *outer, const struct xbar_transfer *inner);

/* overlap.c: an operand of a command with @rows vectors, as a range of the scratch memory. */
struct xbar_transfer xbar_range_of(const struct view *view, uint32_t rows);

/* The commands; each returns LF_STATUS_*. */
uint16_t xbar_execute_mvm(struct xbar_job *job, const struct step *step, struct tally *tally);
uint16_t xbar_execute_fuse(struct xbar_job *job, const struct step *step, struct tally *tally);
uint16_t xbar_execute_calibrate(struct xbar_job *job, const struct step *step, struct tally *tally,
				uint64_t *result);
uint16_t xbar_execute_program(struct xbar_job *job, const struct step *step, struct tally *tally,
			      uint32_t *rows_done);
uint16_t xbar_execute_read(struct xbar_job *job, const struct step *step, struct tally *tally);
uint16_t xbar_execute_management(struct xbar_job *job, const struct step *step, struct tally *tally,
				 uint64_t *result);

/* program.c: whether what PROGRAM commands would write is allowed at all. */
uint16_t xbar_check_program_data(const struct xbar_job *job, uint32_t *failed_command);

/* program.c: pulses that writing @rows of @matrix takes at worst: what is reserved in the ledger. */
uint64_t xbar_program_worst(const struct xbar *xbar, const struct matrix *matrix, uint32_t rows);

/**
 * xbar_program_account() - what writing rows of a matrix takes, once they have been written
 * @matrix: with its wear as the writes leave it
 * @first: first row
 * @count: rows
 * @refreshes: how often the matrix has been refreshed, this time included: part of the key of what the writes draw
 * @tally: receives energy, time and counters
 * @pulses: receives the pulses, what the ledger settles
 * @failed: receives how many cells did not verify
 */
void xbar_program_account(struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			  uint32_t count, uint32_t refreshes, struct tally *tally, uint64_t *pulses,
			  uint64_t *failed);

#endif
