/* SPDX-License-Identifier: MIT */
/*
 * Matrices on the crossbars: created and programmed once, named, opened by name ever after.
 */
#ifndef LF_MATRIX_H
#define LF_MATRIX_H

#include <stdint.h>

#include <lf/device.h>

struct lf_matrix;

/**
 * lf_matrix_create() - take tiles for a matrix
 * @device: the device
 * @rows: logical rows, the inputs of the forward direction
 * @cols: logical columns, its outputs
 * @format: LF_FORMAT_*
 * @matrix: receives the matrix; close with lf_matrix_close()
 * @error: reason on failure
 *
 * Until lf_matrix_commit() it can only be programmed; without lf_matrix_publish() it is gone with its last handle.
 *
 * Return: 0, -EINVAL, -ENOSPC (tiles or directory full; the message tells how many are wanting), -ENOMEM.
 */
int lf_matrix_create(struct lf_device *device, uint32_t rows, uint32_t cols, uint32_t format,
		     struct lf_matrix **matrix, struct lf_error *error);

/**
 * lf_matrix_open() - open a published matrix
 * @device: the device
 * @name: as published
 * @matrix: receives the matrix; close with lf_matrix_close()
 * @error: reason on failure
 *
 * Return: 0, -ENOENT (no such name), -EACCES (its mode), -ENOMEM.
 */
int lf_matrix_open(struct lf_device *device, const char *name, struct lf_matrix **matrix,
		   struct lf_error *error);

/** lf_matrix_close() - drop the handle; jobs that were submitted go on. NULL is ignored */
void lf_matrix_close(struct lf_matrix *matrix);

/**
 * lf_matrix_program() - write rows and wait until they are verified
 * @matrix: created, not yet committed
 * @first: first row
 * @rows: number of rows
 * @weights: [@rows][cols] of the matrix's format, contiguous
 * @counters: what it cost is added, may be NULL
 * @error: reason on failure
 *
 * Return: 0, -EINVAL, -EDQUOT (write budget), -EIO (cells do not verify), -ENOMEM.
 */
int lf_matrix_program(struct lf_matrix *matrix, uint32_t first, uint32_t rows, const void *weights,
		      struct lf_counters *counters, struct lf_error *error);

/** lf_matrix_commit() - make it readable and lasting; -EBUSY when rows were not programmed */
int lf_matrix_commit(struct lf_matrix *matrix, struct lf_error *error);

/**
 * lf_matrix_publish() - give a committed matrix of one's own a name, or a new one
 * @matrix: the matrix
 * @name: 1 .. 63 bytes of A-Z a-z 0-9 . _ - /, not beginning with /
 * @mode: read permission bits as of a file, 0444 at most
 * @error: reason on failure
 *
 * Return: 0, -EEXIST (taken), -EINVAL (name or mode), -EPERM.
 */
int lf_matrix_publish(struct lf_matrix *matrix, const char *name, uint32_t mode,
		      struct lf_error *error);

/** lf_matrix_unlink() - take a name away; -ENOENT, -EPERM */
int lf_matrix_unlink(struct lf_device *device, const char *name, struct lf_error *error);

/**
 * lf_matrix_calibrate() - choose the step of a matrix's converters from samples of what it is multiplied with
 * @matrix: committed, of one's own
 * @count: samples
 * @samples: [@count][rows] fp32, contiguous
 * @step: receives the step in levels of one cell, may be NULL
 * @counters: what it cost is added, may be NULL
 * @error: reason on failure
 *
 * The step is a power of two, the one with which results of the samples are nearest to those of ideal converters in the mean
 * square; see LF_OP_CALIBRATE in lf_hw.h. It lasts. Products in transpose use it as
 * well, though their sums are not among the samples. With ideal converters nothing changes.
 *
 * Return: 0, -EINVAL (count, or the matrix is not committed), -EPERM (another user's), -EDOM (NaN or Inf), -ENOMEM.
 */
int lf_matrix_calibrate(struct lf_matrix *matrix, uint32_t count, const float *samples,
			uint32_t *step, struct lf_counters *counters, struct lf_error *error);

/**
 * lf_matrix_refresh() - write the cells again, to the levels they are found at
 * @matrix: committed, of one's own
 * @cells_written: receives how many, may be NULL
 * @error: reason on failure
 *
 * Each cell goes to the level it is nearest to, so a refresh that comes too late makes errors permanent. It costs writes of
 * this user's budget and wears the cells. The age of the matrix starts anew.
 *
 * Return: 0, -EINVAL (not committed), -EPERM (another user's), -EDQUOT (write budget), -EIO (cells do not verify; the rest is
 * written), -EOPNOTSUPP (an older driver).
 */
int lf_matrix_refresh(struct lf_matrix *matrix, uint64_t *cells_written, struct lf_error *error);

/** lf_matrix_weight_cells() - cells of one weight: the slices of both sides of its pair, or 1 of an fp32 matrix */
uint32_t lf_matrix_weight_cells(const struct lf_matrix *matrix);

/**
 * lf_matrix_cells() - the truth about single cells, privileged
 * @matrix: the matrix
 * @first: first row
 * @rows: number of rows
 * @cells: receives [@rows][cols][lf_matrix_weight_cells()]: the slices of the positive side first, least significant first
 * @error: reason on failure
 *
 * Return: 0, -EINVAL (rows), -EPERM, -ENOMEM.
 */
int lf_matrix_cells(struct lf_matrix *matrix, uint32_t first, uint32_t rows, struct lf_cell *cells,
		    struct lf_error *error);

/** lf_matrix_info() - rows, columns, placement and name */
int lf_matrix_info(const struct lf_matrix *matrix, struct lf_matrix_info *info,
		   struct lf_error *error);

/**
 * lf_matrix_list() - published matrices one may read
 * @device: the device
 * @list: receives an array, free() it
 * @count: receives its length
 * @error: reason on failure
 */
int lf_matrix_list(struct lf_device *device, struct lf_matrix_info **list, uint32_t *count,
		   struct lf_error *error);

#endif
