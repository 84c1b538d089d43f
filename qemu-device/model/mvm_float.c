// SPDX-License-Identifier: MIT
/*
 * MVM on an fp32 matrix: the oracle. Sums run over the reduced index in ascending order, one rounding an operation.
 */
#include <string.h>

#include "mvm.h"

/* Columns computed together. */
#define COLUMNS 256

/* d[c] = sum over inputs k in [first, end) of x[k] f[k] g[k] w[k][column + c] */
static void dot(const struct mvm *mvm, const float *x, const float *g, uint32_t first, uint32_t end,
		uint32_t column, uint32_t columns, float *d)
{
	const float *weights = mvm->plane->weights;

	memset(d, 0, columns * sizeof(*d));
	for (uint32_t k = first; k < end; k++) {
		const float *row = weights + (size_t)k * mvm->plane->outputs + column;
		float value = x[k];

		if (mvm->factor)
			value *= mvm->factor[k];
		if (g)
			value *= g[k];
		for (uint32_t c = 0; c < columns; c++)
			d[c] += value * row[c];
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
	const struct plane *plane = mvm->plane;
	bool finite = true;
	float d[COLUMNS];

	for (uint32_t i = 0; i < plane->groups; i++) {
		uint32_t first = i * plane->group, end = first + plane->group;
		size_t at = (size_t)i * plane->outputs + column;

		if (end > plane->inputs)
			end = plane->inputs;
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
	const struct plane *plane = mvm->plane;
	bool finite = true;
	float t[COLUMNS];

	if (mvm->transpose) {
		const float *g = mvm->scale;

		if (mvm->tile_scale)
			g += (size_t)(column / mvm->xbar->params.tile_rows) * plane->inputs;
		dot(mvm, x, g, 0, plane->inputs, column, columns, t);
	} else {
		if (!mvm->tile_scale)
			dot(mvm, x, NULL, 0, plane->inputs, column, columns, t);
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
	uint32_t outputs = mvm->plane->outputs, columns;
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
