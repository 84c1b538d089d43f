// SPDX-License-Identifier: MIT
/*
 * What the cells of a matrix hold, row by row, as weights. Richer physics (conductances with errors of programming,
 * drift, stuck cells) belongs between these two functions and the medium.
 */
#include <string.h>

#include "device.h"

/* Offset of the part of @row that lies in column @tile_col of tiles. */
static uint64_t segment_offset(const struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			       uint32_t tile_col)
{
	uint32_t tile_row = row / xbar->params.tile_rows;
	uint32_t tile = matrix->tiles[tile_row * matrix->tile_cols + tile_col];
	uint64_t segment = (uint64_t)xbar->tile_weights * xbar->weight_bytes;

	return xbar->layout.cells + tile * xbar->layout.tile_bytes +
	       row % xbar->params.tile_rows * segment;
}

static uint32_t segment_bytes(const struct xbar *xbar, const struct matrix *matrix,
			      uint32_t tile_col)
{
	uint32_t left = matrix->entry.cols - tile_col * xbar->tile_weights;

	return (left < xbar->tile_weights ? left : xbar->tile_weights) * xbar->weight_bytes;
}

void xbar_cells_write_row(struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			  const void *weights)
{
	const uint8_t *from = weights;

	for (uint32_t j = 0; j < matrix->tile_cols; j++) {
		uint32_t bytes = segment_bytes(xbar, matrix, j);

		xbar_nv_write(&xbar->nv, segment_offset(xbar, matrix, row, j), from, bytes);
		from += bytes;
	}
}

void xbar_cells_read_row(const struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			 void *weights)
{
	uint8_t *to = weights;

	for (uint32_t j = 0; j < matrix->tile_cols; j++) {
		uint32_t bytes = segment_bytes(xbar, matrix, j);

		memcpy(to, xbar->nv.memory + segment_offset(xbar, matrix, row, j), bytes);
		to += bytes;
	}
}
