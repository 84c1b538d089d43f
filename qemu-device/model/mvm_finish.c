// SPDX-License-Identifier: MIT
/*
 * From integer sums of products to results: scales, sums over rows of tiles, partial sums, accumulating, bias. Each
 * result is computed by one call, in an order that does not depend on how the work is cut.
 */
#include <string.h>

#include "mvm.h"

static struct floats rows_of(const struct mvm *mvm, const struct span *span,
			     const struct mvm_part *part, size_t column)
{
	char *first = span->memory + (mvm->first + part->row) * span->stride;

	return (struct floats){ (float *)(void *)first + column, span->stride / sizeof(float) };
}

static uint16_t apply(const struct mvm *mvm, const struct finish *finish,
		      const struct mvm_part *part, const int32_t *d)
{
	uint32_t largest = mvm->kernels->finish(finish, d, part->rows, part->columns);

	return largest < KERNEL_NONFINITE ? LF_STATUS_OK : LF_STATUS_NONFINITE;
}

/* The last step: accumulating, bias, output. */
static uint16_t finish_output(const struct mvm *mvm, struct finish finish,
			      const struct mvm_part *part, const int32_t *d)
{
	finish.y = rows_of(mvm, &mvm->output, part, part->column);
	if (mvm->accumulate)
		finish.accumulate = finish.y;
	finish.bias = mvm->bias ? mvm->bias + part->column : NULL;
	return apply(mvm, &finish, part, d);
}

/* Results from integer sums over all rows of tiles. */
static uint16_t finish_sums(const struct mvm *mvm, uint32_t variant, const struct mvm_part *part,
			    const int32_t *d)
{
	struct finish finish = {
		.s = mvm->s + (size_t)variant * mvm->count + part->row,
		.scale = mvm->scale && !mvm->transpose ? mvm->scale + part->column : NULL,
	};

	return finish_output(mvm, finish, part, d);
}

static uint16_t store_partials(const struct mvm *mvm, uint32_t group, const struct mvm_part *part,
			       const int32_t *d)
{
	struct finish finish = {
		.s = mvm->s + part->row,
		.y = rows_of(mvm, &mvm->partials, part,
			     (size_t)group * mvm->route->outputs + part->column),
	};

	return apply(mvm, &finish, part, d);
}

/* Adds one row of tiles, with scales of its own, to @running; the last one makes the result. */
static uint16_t add_tile_row(const struct mvm *mvm, uint32_t group, const struct mvm_part *part,
			     const int32_t *d, float *running)
{
	struct finish finish = {
		.s = mvm->s + part->row,
		.scale = mvm->scale + (size_t)group * mvm->route->outputs + part->column,
		.y = { running, KERNEL_COLUMNS },
	};

	if (group)
		finish.before = finish.y;
	if (group == mvm->route->groups - 1)
		return finish_output(mvm, finish, part, d);
	return apply(mvm, &finish, part, d);
}

/* A part whose rows of tiles are seen apart, in ascending order: for partial sums, or for scales of their own. */
static uint16_t finish_grouped(const struct mvm *mvm, const struct mvm_part *part, uint64_t *clips)
{
	int32_t d[MVM_ROWS * KERNEL_COLUMNS], total[MVM_ROWS * KERNEL_COLUMNS];
	float running[MVM_ROWS * KERNEL_COLUMNS];
	uint16_t status = LF_STATUS_OK;

	memset(total, 0, sizeof(total));
	for (uint32_t group = 0; group < mvm->route->groups; group++) {
		*clips += xbar_mvm_product(mvm, 0, part->row, part->rows, part->column,
					   part->columns, group, d);
		if (mvm->partials.memory)
			status |= store_partials(mvm, group, part, d);
		if (mvm->tile_scale) {
			status |= add_tile_row(mvm, group, part, d, running);
			continue;
		}
		for (uint32_t i = 0; i < part->rows; i++)
			for (uint32_t c = 0; c < part->columns; c++)
				total[i * KERNEL_COLUMNS + c] += d[i * KERNEL_COLUMNS + c];
	}
	return mvm->tile_scale ? status : status | finish_sums(mvm, 0, part, total);
}

/* A part whose rows of tiles are summed as integers; columns of one variant of the input at a time. */
static uint16_t finish_plain(const struct mvm *mvm, struct mvm_part part, uint64_t *clips)
{
	uint32_t start = part.column, end = start + part.columns;
	uint32_t tile_rows = mvm->xbar->params.tile_rows;
	int32_t d[MVM_ROWS * KERNEL_COLUMNS] __attribute__((aligned(64)));
	uint16_t status = LF_STATUS_OK;

	for (; part.column < end; part.column += part.columns) {
		uint32_t variant = 0;

		part.columns = end - part.column;
		if (mvm->variants > 1) {
			uint32_t left = tile_rows - part.column % tile_rows;

			variant = part.column / tile_rows;
			part.columns = left < part.columns ? left : part.columns;
		}
		*clips += xbar_mvm_product(mvm, variant, part.row, part.rows, part.column,
					   part.columns, MVM_ALL_GROUPS, d);
		status |= finish_sums(mvm, variant, &part, d + part.column - start);
	}
	return status;
}

uint16_t xbar_mvm_finish(const struct mvm *mvm, const struct mvm_part *part, uint64_t *clips)
{
	if (!mvm->transpose && (mvm->tile_scale || mvm->partials.memory))
		return finish_grouped(mvm, part, clips);
	return finish_plain(mvm, *part, clips);
}
