// SPDX-License-Identifier: MIT
/*
 * Where the weights of a matrix lie in the memory, see image.h, and what lies there: row by row for who writes and reads
 * them, column by column for who converts them; and whether it is still what was written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

/* Rows that lie together in an int8 tile. */
#define QUAD 4

/* Columns of the matrix in column @tile_col of tiles. */
static uint32_t columns_of(const struct xbar *xbar, const struct matrix *matrix, uint32_t tile_col)
{
	uint32_t left = matrix->entry.cols - tile_col * xbar->tile_weights;

	return left < xbar->tile_weights ? left : xbar->tile_weights;
}

/* Offset of row @row of a tile: of its first weight, or int8: of the four rows it lies among. */
static uint64_t row_offset(const struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			   uint32_t tile_col)
{
	uint32_t inside = row % xbar->params.tile_rows;
	uint64_t row_bytes = (uint64_t)xbar->tile_weights * xbar->weight_bytes;

	if (matrix->entry.format == LF_FORMAT_INT8)
		inside -= inside % QUAD;
	return xbar_cells_tile_offset(xbar, matrix, row / xbar->params.tile_rows, tile_col) +
	       inside * row_bytes;
}

void xbar_cells_write_row(struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			  const void *weights)
{
	uint8_t quads[QUAD * KERNEL_INPUTS];
	const uint8_t *from = weights;

	for (uint32_t j = 0; j < matrix->tile_cols; j++) {
		uint64_t offset = row_offset(xbar, matrix, row, j);
		uint32_t columns = columns_of(xbar, matrix, j);

		if (matrix->entry.format == LF_FORMAT_FP32) {
			xbar_nv_write(&xbar->nv, offset, from, columns * xbar->weight_bytes);
		} else {
			memcpy(quads, xbar->nv.memory + offset, QUAD * columns);
			for (uint32_t c = 0; c < columns; c++)
				quads[QUAD * c + row % QUAD] = from[c];
			xbar_nv_write(&xbar->nv, offset, quads, QUAD * columns);
		}
		from += columns * xbar->weight_bytes;
	}
}

void xbar_cells_read_row(const struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			 void *weights)
{
	uint8_t *to = weights;

	for (uint32_t j = 0; j < matrix->tile_cols; j++) {
		const uint8_t *from = xbar->nv.memory + row_offset(xbar, matrix, row, j);
		uint32_t columns = columns_of(xbar, matrix, j);

		if (matrix->entry.format == LF_FORMAT_FP32)
			memcpy(to, from, columns * xbar->weight_bytes);
		else
			for (uint32_t c = 0; c < columns; c++)
				to[c] = from[QUAD * c + row % QUAD];
		to += columns * xbar->weight_bytes;
	}
}

/**
 * xbar_cells_count() - weights of a row of a tile that are not zero, whoever it belongs to
 * @tile: physical tile
 * @row: of the tile
 *
 * Return: their number: the cells of the others are as an erasure leaves them.
 */
uint32_t xbar_cells_count(const struct xbar *xbar, uint32_t tile, uint32_t row)
{
	const uint8_t *cells =
		xbar->nv.memory + xbar->layout.cells + tile * xbar->layout.tile_bytes;
	uint32_t count = 0, weight;

	if (xbar->params.format == LF_FORMAT_INT8) {
		cells += (size_t)(row - row % QUAD) * xbar->tile_weights + row % QUAD;
		for (uint32_t i = 0; i < xbar->tile_weights; i++)
			count += cells[(size_t)i * QUAD] != 0;
		return count;
	}
	cells += (size_t)row * xbar->tile_weights * sizeof(weight);
	for (uint32_t i = 0; i < xbar->tile_weights; i++) {
		memcpy(&weight, cells + i * sizeof(weight), sizeof(weight));
		count += weight != 0;
	}
	return count;
}

/**
 * xbar_cells_checksum() - CRC-32C of weights, row by row
 * @first: first row
 * @end: row after the last
 * @checksum: of the rows before, 0 when there are none
 *
 * Return: that of the rows before and these.
 */
uint32_t xbar_cells_checksum(const struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			     uint32_t end, uint32_t checksum)
{
	uint32_t weights[XBAR_DIMENSION_MAX]; /* fp32, or as many of int8 */
	size_t bytes = (size_t)matrix->entry.cols * xbar->weight_bytes;

	for (uint32_t row = first; row < end; row++) {
		xbar_cells_read_row(xbar, matrix, row, weights);
		checksum = xbar->kernels->checksum(checksum, weights, bytes);
	}
	return checksum;
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	return !count || (!bytes[0] && !memcmp(bytes, bytes + 1, count - 1));
}

/* Whether the cells of a tile beyond the first @rows rows and @columns columns hold nothing: they are driven with nothing, but load the wires. */
static bool is_blank_beyond(const struct xbar *xbar, const uint8_t *cells, uint32_t rows,
			    uint32_t columns)
{
	/* Rows that lie together, and what is next to each other: a weight of each of them. */
	uint32_t together = xbar->params.format == LF_FORMAT_INT8 ? QUAD : 1;
	size_t group_bytes = (size_t)together * xbar->weight_bytes;
	size_t line_bytes = xbar->tile_weights * group_bytes;

	for (uint32_t row = 0; row < xbar->params.tile_rows; row += together, cells += line_bytes) {
		size_t used = row < rows ? columns * group_bytes : 0;

		if (!is_zero(cells + used, line_bytes - used))
			return false;
		for (size_t i = 0; row < rows && rows - row < together && i < used; i++)
			if (i % group_bytes >= (rows - row) * xbar->weight_bytes && cells[i])
				return false;
	}
	return true;
}

static bool is_blank_around(const struct xbar *xbar, const struct matrix *matrix)
{
	for (uint32_t i = 0; i < matrix->tile_rows; i++) {
		uint32_t left = matrix->entry.rows - i * xbar->params.tile_rows;
		uint32_t rows = left < xbar->params.tile_rows ? left : xbar->params.tile_rows;

		for (uint32_t j = 0; j < matrix->tile_cols; j++) {
			uint32_t columns = columns_of(xbar, matrix, j);

			if ((rows < xbar->params.tile_rows || columns < xbar->tile_weights) &&
			    !is_blank_beyond(xbar, xbar_cells_tile(xbar, matrix, i, j), rows,
					     columns))
				return false;
		}
	}
	return true;
}

/**
 * xbar_cells_attach() - whether the cells of all matrices are as they were written
 * @cut: matrix whose weights have been checked with the refresh that was cut, or NULL
 *
 * Changes nothing. Torn matrices are nobody's.
 *
 * Return: 0 or -EILSEQ.
 */
int xbar_cells_attach(const struct xbar *xbar, const struct matrix *cut,
		      char message[XBAR_MESSAGE_BYTES])
{
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		const struct matrix *matrix = &xbar->matrices[i];
		const struct image_matrix *entry = &matrix->entry;

		if (matrix->state < LF_MATRIX_COMMITTED ||
		    ((matrix == cut || xbar_cells_checksum(xbar, matrix, 0, entry->rows, 0) ==
					       entry->cells_checksum) &&
		     is_blank_around(xbar, matrix)))
			continue;
		if (message)
			snprintf(message, XBAR_MESSAGE_BYTES,
				 "cells of matrix %u%s%.*s: wrong checksum; the memory is left as "
				 "it is",
				 entry->matrix, matrix->state == LF_MATRIX_PUBLISHED ? ", " : "",
				 LF_NAME_BYTES, (const char *)entry->publication.name);
		return -EILSEQ;
	}
	return 0;
}

static uint32_t quads_of(uint32_t size, uint32_t group, uint32_t index)
{
	uint32_t left = size - index * group;

	return ((left < group ? left : group) + QUAD - 1) / QUAD;
}

uint32_t xbar_cells_gather(const struct xbar *xbar, const struct matrix *matrix, bool transpose,
			   uint32_t group, uint32_t output, int8_t *weights)
{
	uint32_t tile_rows = xbar->params.tile_rows, tile_weights = xbar->tile_weights;
	const uint8_t *from;
	uint32_t quads;

	if (transpose) {
		uint32_t row = output % tile_rows;

		quads = quads_of(matrix->entry.cols, tile_weights, group);
		from = xbar_cells_tile(xbar, matrix, output / tile_rows, group) +
		       (size_t)(row - row % QUAD) * tile_weights + row % QUAD;
		for (uint32_t i = 0; i < QUAD * quads; i++)
			weights[i] = (int8_t)from[QUAD * i];
	} else {
		quads = quads_of(matrix->entry.rows, tile_rows, group);
		from = xbar_cells_tile(xbar, matrix, group, output / tile_weights) +
		       (size_t)output % tile_weights * QUAD;
		for (uint32_t i = 0; i < quads; i++)
			memcpy(weights + (size_t)i * QUAD, from + (size_t)i * tile_weights * QUAD,
			       QUAD);
	}
	return QUAD * quads;
}
