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
