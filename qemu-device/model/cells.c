// SPDX-License-Identifier: MIT
/*
 * Where the weights of a matrix lie in the memory, see image.h, and what lies there: row by row for who writes and reads
 * them, column by column for who converts them.
 */
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
