// SPDX-License-Identifier: MIT
/* The part of lf/matrix.h that all devices share: names, programming through a buffer, listing. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/backend.h"

/*
 * Rows go to the device in jobs of about this size: large enough that a job's fixed cost does not
 * count, small enough that the buffer is no burden and no job comes near its time limit.
 */
#define PROGRAM_CHUNK_BYTES (1u << 20)

/* Of the truth about cells, 16 bytes each. */
#define CELLS_CHUNK_BYTES   (4u << 20)

#define LIST_CHUNK_ENTRIES  64

static size_t weight_bytes(uint32_t format)
{
	return format == LF_FORMAT_FP32 ? sizeof(float) : sizeof(int8_t);
}

static int check_name(const char *name, struct lf_error *error)
{
	size_t length = strlen(name);

	if (!length || length >= LF_NAME_BYTES)
		return lf_error_set(error, -EINVAL,
				    "matrix name of %zu bytes: 1 .. %d are possible", length,
				    LF_NAME_BYTES - 1);
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)name[i];
		bool allowed = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
			       (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-' ||
			       (c == '/' && i);

		if (!allowed)
			return lf_error_set(error, -EINVAL,
					    "matrix name: byte %zu is 0x%02x, allowed are A-Z a-z "
					    "0-9 . _ - and, not in front, /",
					    i, c);
	}
	return 0;
}

static struct lf_matrix *matrix_new(struct lf_device *device, struct lf_error *error)
{
	struct lf_matrix *matrix = calloc(1, sizeof(*matrix));

	if (matrix)
		matrix->device = device;
	else
		lf_error_set(error, -ENOMEM, "matrix: out of memory");
	return matrix;
}

/* Says why a matrix found no room, as far as the caller may know the device's state. */
static void explain_no_space(const struct lf_matrix *matrix, struct lf_error *error)
{
	struct lf_device *device = matrix->device;
	const struct lf_device_info *info = &device->info;
	uint64_t wanted = (uint64_t)((matrix->rows + info->tile_rows - 1) / info->tile_rows) *
			  ((matrix->cols + info->tile_weights - 1) / info->tile_weights);
	struct lf_telemetry telemetry;
	uint64_t free_tiles;

	if (lf_device_telemetry(device, &telemetry, NULL)) {
		lf_error_set(error, -ENOSPC,
			     "matrix of %u x %u needs %llu tiles and a directory entry: the device "
			     "has too few",
			     matrix->rows, matrix->cols, (unsigned long long)wanted);
		return;
	}
	free_tiles = info->tiles - telemetry.tiles_used - telemetry.tiles_bad;
	if (wanted > free_tiles)
		lf_error_set(error, -ENOSPC,
			     "matrix of %u x %u needs %llu tiles: %llu are free of %u, %llu are "
			     "wanting",
			     matrix->rows, matrix->cols, (unsigned long long)wanted,
			     (unsigned long long)free_tiles, info->tiles,
			     (unsigned long long)(wanted - free_tiles));
	else
		lf_error_set(error, -ENOSPC,
			     "matrix of %u x %u: the directory of %u entries is full", matrix->rows,
			     matrix->cols, info->matrices);
}

/* Asks the device for the shape that jobs are checked against. */
static int learn_shape(struct lf_matrix *matrix, struct lf_error *error)
{
	struct lf_matrix_info info;
	int err = matrix->device->backend->matrix_info(matrix, &info, error);

	if (err)
		return err;
	matrix->rows = info.rows;
	matrix->cols = info.cols;
	matrix->format = info.format;
	matrix->tile_rows = info.tile_rows;
	matrix->weight_cells = (uint32_t)(info.cells / ((uint64_t)info.rows * info.cols));
	matrix->committed = info.state != LF_MATRIX_TORN;
	return 0;
}

int lf_matrix_create(struct lf_device *device, uint32_t rows, uint32_t cols, uint32_t format,
		     struct lf_matrix **matrix, struct lf_error *error)
{
	const struct lf_device_info *info = &device->info;
	struct lf_matrix *made;
	int err;

	*matrix = NULL;
	if (!rows || rows > info->matrix_rows)
		return lf_error_set(error, -EINVAL, "matrix of %u rows: 1 .. %u are possible", rows,
				    info->matrix_rows);
	if (!cols || cols > info->matrix_cols)
		return lf_error_set(error, -EINVAL, "matrix of %u columns: 1 .. %u are possible",
				    cols, info->matrix_cols);
	if (format >= 32 || !(info->formats & (1u << format)))
		return lf_error_set(error, -EINVAL, "matrix format %u: not a format of preset %s",
				    format, info->preset);
	made = matrix_new(device, error);
	if (!made)
		return -ENOMEM;
	made->rows = rows;
	made->cols = cols;
	made->format = format;
	err = device->backend->matrix_create(made, error);
	if (err) {
		if (err == -ENOSPC)
			explain_no_space(made, error);
		free(made);
		return err;
	}
	err = learn_shape(made, error);
	if (err) {
		lf_matrix_close(made);
		return err;
	}
	*matrix = made;
	return 0;
}

int lf_matrix_open(struct lf_device *device, const char *name, struct lf_matrix **matrix,
		   struct lf_error *error)
{
	struct lf_matrix *opened;
	int err;

	*matrix = NULL;
	err = check_name(name, error);
	if (err)
		return err;
	opened = matrix_new(device, error);
	if (!opened)
		return -ENOMEM;
	err = device->backend->matrix_open(opened, name, error);
	if (err) {
		free(opened);
		return err;
	}
	err = learn_shape(opened, error);
	if (err) {
		lf_matrix_close(opened);
		return err;
	}
	*matrix = opened;
	return 0;
}

void lf_matrix_close(struct lf_matrix *matrix)
{
	if (!matrix)
		return;
	matrix->device->backend->matrix_close(matrix);
	free(matrix);
}

int lf_matrix_program(struct lf_matrix *matrix, uint32_t first, uint32_t rows, const void *weights,
		      struct lf_counters *counters, struct lf_error *error)
{
	size_t row_bytes = matrix->cols * weight_bytes(matrix->format);
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;
	uint32_t chunk;
	int err;

	if (matrix->committed)
		return lf_error_set(error, -EINVAL, "program: the matrix is committed");
	if (!rows || first >= matrix->rows || rows > matrix->rows - first)
		return lf_error_set(error, -EINVAL,
				    "program: %u rows from row %u on, the matrix has %u", rows,
				    first, matrix->rows);
	chunk = PROGRAM_CHUNK_BYTES / row_bytes;
	chunk = chunk ? chunk : 1;
	chunk = chunk < rows ? chunk : rows;

	err = lf_buffer_create(matrix->device, chunk * row_bytes, &buffer, error);
	if (!err)
		err = lf_job_create(matrix->device, &job, error);
	for (uint32_t done = 0; !err && done < rows; done += chunk) {
		uint32_t count = chunk < rows - done ? chunk : rows - done;

		memcpy(buffer->data, (const char *)weights + done * row_bytes, count * row_bytes);
		lf_job_begin(job, 0);
		lf_job_program(job, matrix, first + done, count,
			       lf_view_buffer(buffer, 0, (uint32_t)row_bytes));
		err = lf_job_submit(job, error);
		if (err)
			break;
		err = lf_job_wait(job, -1, error);
		if (counters)
			lf_counters_add(counters, &lf_job_result(job)->counters);
		if (err)
			lf_error_prefix(error, err,
					"program: rows %u .. %u, of which %u were written",
					first + done, first + done + count - 1,
					lf_job_result(job)->rows_done);
	}
	lf_job_destroy(job);
	lf_buffer_destroy(buffer);
	return err;
}

int lf_matrix_commit(struct lf_matrix *matrix, struct lf_error *error)
{
	int err;

	if (matrix->committed)
		return lf_error_set(error, -EINVAL, "commit: the matrix is committed already");
	err = matrix->device->backend->matrix_commit(matrix, error);
	if (!err)
		matrix->committed = true;
	return err;
}

int lf_matrix_publish(struct lf_matrix *matrix, const char *name, uint32_t mode,
		      struct lf_error *error)
{
	int err = check_name(name, error);

	if (err)
		return err;
	if (mode & ~0444u)
		return lf_error_set(error, -EINVAL, "publish \"%s\": mode 0%o has bits beyond 0444",
				    name, mode);
	if (!matrix->committed)
		return lf_error_set(error, -EINVAL, "publish \"%s\": the matrix is not committed",
				    name);
	return matrix->device->backend->matrix_publish(matrix, name, mode, error);
}

int lf_matrix_calibrate(struct lf_matrix *matrix, uint32_t count, const float *samples,
			uint32_t *step, struct lf_counters *counters, struct lf_error *error)
{
	uint32_t limit = matrix->device->info.batch;
	size_t row_bytes = matrix->rows * sizeof(*samples);
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;
	int err;

	if (!matrix->committed)
		return lf_error_set(error, -EINVAL, "calibrate: the matrix is not committed");
	if (!count || count > limit)
		return lf_error_set(error, -EINVAL, "calibrate: %u samples, 1 .. %u are possible",
				    count, limit);
	err = lf_buffer_create(matrix->device, count * row_bytes, &buffer, error);
	if (!err)
		err = lf_job_create(matrix->device, &job, error);
	if (!err) {
		memcpy(buffer->data, samples, count * row_bytes);
		lf_job_begin(job, 0);
		lf_job_calibrate(job, matrix, count,
				 lf_view_buffer(buffer, 0, (uint32_t)row_bytes));
		err = lf_job_submit(job, error);
	}
	if (!err) {
		err = lf_job_wait(job, -1, error);
		if (counters)
			lf_counters_add(counters, &lf_job_result(job)->counters);
	}
	if (err)
		lf_error_prefix(error, err, "calibrate");
	else if (step)
		*step = (uint32_t)lf_job_result(job)->result;
	lf_job_destroy(job);
	lf_buffer_destroy(buffer);
	return err;
}

int lf_matrix_refresh(struct lf_matrix *matrix, uint64_t *cells_written, struct lf_error *error)
{
	uint64_t written = 0;
	int err;

	if (!matrix->committed)
		return lf_error_set(error, -EINVAL, "refresh: the matrix is not committed");
	err = matrix->device->backend->matrix_refresh(matrix, &written, error);
	if (cells_written)
		*cells_written = written;
	return err;
}

uint32_t lf_matrix_weight_cells(const struct lf_matrix *matrix)
{
	return matrix->weight_cells;
}

int lf_matrix_cells(struct lf_matrix *matrix, uint32_t first, uint32_t rows, struct lf_cell *cells,
		    struct lf_error *error)
{
	size_t row_bytes = (size_t)matrix->cols * matrix->weight_cells * sizeof(*cells);
	uint32_t chunk = CELLS_CHUNK_BYTES / row_bytes;
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;
	int err;

	if (!rows || first >= matrix->rows || rows > matrix->rows - first)
		return lf_error_set(error, -EINVAL,
				    "cells: %u rows from row %u on, the matrix has %u", rows, first,
				    matrix->rows);
	chunk = chunk ? chunk : 1;
	chunk = chunk < rows ? chunk : rows;
	err = lf_buffer_create(matrix->device, chunk * row_bytes, &buffer, error);
	if (!err)
		err = lf_job_create(matrix->device, &job, error);
	for (uint32_t done = 0; !err && done < rows; done += chunk) {
		uint32_t count = chunk < rows - done ? chunk : rows - done;

		lf_job_begin(job, 0);
		lf_job_read_cells(job, matrix, first + done, count,
				  lf_view_buffer(buffer, 0, (uint32_t)row_bytes));
		err = lf_job_submit(job, error);
		if (!err)
			err = lf_job_wait(job, -1, error);
		if (!err)
			memcpy((char *)cells + done * row_bytes, buffer->data, count * row_bytes);
	}
	if (err)
		lf_error_prefix(error, err, "cells: rows %u .. %u", first, first + rows - 1);
	lf_job_destroy(job);
	lf_buffer_destroy(buffer);
	return err;
}

int lf_matrix_unlink(struct lf_device *device, const char *name, struct lf_error *error)
{
	int err = check_name(name, error);

	return err ? err : device->backend->matrix_unlink(device, name, error);
}

int lf_matrix_info(const struct lf_matrix *matrix, struct lf_matrix_info *info,
		   struct lf_error *error)
{
	return matrix->device->backend->matrix_info(matrix, info, error);
}

int lf_matrix_list(struct lf_device *device, struct lf_matrix_info **list, uint32_t *count,
		   struct lf_error *error)
{
	struct lf_matrix_info *entries = NULL;
	uint32_t capacity = 0, used = 0, first = 0;

	*list = NULL;
	*count = 0;
	do {
		int written;

		if (capacity - used < LIST_CHUNK_ENTRIES) {
			uint32_t larger = capacity ? 2 * capacity : LIST_CHUNK_ENTRIES;
			struct lf_matrix_info *grown = realloc(entries, larger * sizeof(*entries));

			if (!grown) {
				free(entries);
				return lf_error_set(error, -ENOMEM, "matrix list: out of memory");
			}
			entries = grown;
			capacity = larger;
		}
		written = device->backend->matrix_list(device, entries + used, LIST_CHUNK_ENTRIES,
						       &first, error);
		if (written < 0) {
			free(entries);
			return written;
		}
		used += (uint32_t)written;
	} while (first);
	*list = entries;
	*count = used;
	return 0;
}
