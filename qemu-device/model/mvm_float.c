// SPDX-License-Identifier: MIT
/*
 * MVM on an fp32 matrix: the oracle. Sums run over the reduced index in ascending order, one rounding an operation.
 */
#include <string.h>

#include "mvm.h"

/* Columns computed together. */
#define COLUMNS 256

static const float *weight_at(const struct mvm *mvm, uint32_t row, uint32_t column)
{
	uint32_t tile_rows = mvm->xbar->params.tile_rows, tile_weights = mvm->xbar->tile_weights;
	const void *tile =
		xbar_cells_tile(mvm->xbar, mvm->matrix, row / tile_rows, column / tile_weights);

	return (const float *)tile + (size_t)(row % tile_rows) * tile_weights +
	       column % tile_weights;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static float input_of(const struct mvm *mvm, const float *x, const float *g, uint32_t k)
{
	float value = x[k];

	if (mvm->factor)
		value *= mvm->factor[k];
	if (g)
		value *= g[k];
	return value;
}

/* d[c] += the products of inputs [first, end) of one tile with columns from @column of that tile. */
static void add_tile(const struct mvm *mvm, const float *x, uint32_t first, uint32_t end,
		     uint32_t column, uint32_t columns, float *d)
{
	const float *weights = weight_at(mvm, first, column);

	for (uint32_t k = first; k < end; k++, weights += mvm->xbar->tile_weights) {
		float value = input_of(mvm, x, NULL, k);

		for (uint32_t c = 0; c < columns; c++)
			d[c] += value * weights[c];
	}
}

/* Likewise in transpose: @rows results of one tile. */
static void add_tile_transpose(const struct mvm *mvm, const float *x, const float *g,
			       uint32_t first, uint32_t end, uint32_t row, uint32_t rows, float *d)
{
	const float *weights = weight_at(mvm, row, first);

	for (uint32_t k = first; k < end; k++, weights++) {
		float value = input_of(mvm, x, g, k);

		for (uint32_t r = 0; r < rows; r++)
			d[r] += value * weights[(size_t)r * mvm->xbar->tile_weights];
	}
}

/* d[c] = sum over inputs k in [first, end) of x[k] f[k] g[k] w[k][column + c] */
static void dot(const struct mvm *mvm, const float *x, const float *g, uint32_t first, uint32_t end,
		uint32_t column, uint32_t columns, float *d)
{
	uint32_t rows = mvm->xbar->params.tile_rows, weights = mvm->xbar->tile_weights;
	uint32_t across = mvm->transpose ? rows : weights, along = mvm->transpose ? weights : rows;
	uint32_t next_column, next;

	memset(d, 0, columns * sizeof(*d));
	for (uint32_t c = column; c < column + columns; c = next_column) {
		next_column = least((c / across + 1) * across, column + columns);
		for (uint32_t k = first; k < end; k = next) {
			next = least((k / along + 1) * along, end);
			if (mvm->transpose)
				add_tile_transpose(mvm, x, g, k, next, c, next_column - c,
						   d + c - column);
			else
				add_tile(mvm, x, k, next, c, next_column - c, d + c - column);
		}
	}
}

static bool store(float *y, float value)
{
	uint32_t bits;

	*y = value;
	memcpy(&bits, &value, sizeof(bits));
	return (bits & 0x7fffffff) < KERNEL_NONFINITE;
}

/* The scales of a row of tiles and sum over rows of tiles, in t; partial sums where they are wanted. */
static bool sum_tiles(const struct mvm *mvm, const float *x, float *partials, uint32_t column,
		      uint32_t columns, float *t)
{
	const struct route *route = mvm->route;
	bool finite = true;
	float d[COLUMNS];

	for (uint32_t i = 0; i < route->groups; i++) {
		uint32_t first = i * route->group, end = first + route->group;
		size_t at = (size_t)i * route->outputs + column;

		if (end > route->inputs)
			end = route->inputs;
		dot(mvm, x, NULL, first, end, column, columns, d);
		for (uint32_t c = 0; c < columns; c++) {
			if (partials)
				finite &= store(&partials[at + c], d[c]);
			if (mvm->tile_scale) {
				float scaled = d[c] * mvm->scale[at + c];

				t[c] = i ? t[c] + scaled : scaled;
			}
		}
	}
	return finite;
}

static bool compute(const struct mvm *mvm, const float *x, float *y, float *partials,
		    uint32_t column, uint32_t columns)
{
	const struct route *route = mvm->route;
	bool finite = true;
	float t[COLUMNS];

	if (mvm->transpose) {
		const float *g = mvm->scale;

		if (mvm->tile_scale)
			g += (size_t)(column / mvm->xbar->params.tile_rows) * route->inputs;
		dot(mvm, x, g, 0, route->inputs, column, columns, t);
	} else {
		if (!mvm->tile_scale)
			dot(mvm, x, NULL, 0, route->inputs, column, columns, t);
		if (mvm->tile_scale || partials)
			finite = sum_tiles(mvm, x, partials, column, columns, t);
		for (uint32_t c = 0; mvm->scale && !mvm->tile_scale && c < columns; c++)
			t[c] *= mvm->scale[column + c];
	}
	for (uint32_t c = 0; c < columns; c++) {
		if (mvm->accumulate)
			t[c] = y[column + c] + t[c];
		if (mvm->bias)
			t[c] = t[c] + mvm->bias[column + c];
		finite &= store(&y[column + c], t[c]);
	}
	return finite;
}

void xbar_mvm_float_vector(void *argument, uint32_t v)
{
	const struct mvm *mvm = argument;
	const float *x = (const void *)(mvm->input.memory + v * mvm->input.stride);
	float *y = (void *)(mvm->output.memory + v * mvm->output.stride);
	float *partials = (void *)mvm->partials.memory;
	uint32_t outputs = mvm->route->outputs, columns;
	uint32_t widest = COLUMNS;
	bool finite = true;

	if (xbar_device_cancelled(mvm->xbar)) {
		mvm->status[v] = LF_STATUS_ABORTED;
		return;
	}
	if (partials)
		partials = (void *)(mvm->partials.memory + v * mvm->partials.stride);
	if (mvm->variants > 1 && mvm->xbar->params.tile_rows < widest)
		widest = mvm->xbar->params.tile_rows;
	for (uint32_t column = 0; column < outputs; column += columns) {
		columns = outputs - column < widest ? outputs - column : widest;
		if (mvm->variants > 1) {
			uint32_t tile_rows = mvm->xbar->params.tile_rows;
			uint32_t left = tile_rows - column % tile_rows;

			columns = left < columns ? left : columns;
		}
		finite &= compute(mvm, x, y, partials, column, columns);
	}
	mvm->status[v] = finite ? LF_STATUS_OK : LF_STATUS_NONFINITE;
}
