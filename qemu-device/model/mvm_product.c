// SPDX-License-Identifier: MIT
/*
 * Integer products of an MVM: exactly, or conversion by conversion.
 */
#include <string.h>

#include "mvm.h"

static void product_exact(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			  uint32_t block, uint32_t group, int32_t *d)
{
	const struct plane *plane = mvm->plane;
	size_t index = (size_t)variant * mvm->count + row;
	uint32_t first = 0, quads = plane->quads, segment = 0;

	if (group != MVM_ALL_GROUPS) {
		first = group * plane->group / 4;
		quads = plane->quads - first < plane->group / 4 ? plane->quads - first
								: plane->group / 4;
		segment = mvm->segments == 1 ? 0 : group;
	}
	mvm->kernels->gemm(mvm->q + index * mvm->q_stride + 4 * (size_t)first, mvm->q_stride,
			   (const uint8_t *)plane->weights +
				   ((size_t)block * plane->quads + first) * 4 * KERNEL_COLUMNS,
			   quads, mvm->sums + index * mvm->segments + segment, mvm->segments, rows,
			   d);
}

static uint64_t product_lossy(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			      uint32_t column, uint32_t columns, uint32_t group, int32_t *d)
{
	const struct plane *plane = mvm->plane;
	uint32_t blocks = (mvm->count + KERNEL_VECTORS - 1) / KERNEL_VECTORS;
	uint32_t first = group == MVM_ALL_GROUPS ? 0 : group;
	uint32_t end = group == MVM_ALL_GROUPS ? plane->groups : group + 1;
	const uint8_t *lines =
		mvm->lines + ((size_t)variant * blocks + row / KERNEL_VECTORS) * mvm->line_stride;
	int32_t sums[KERNEL_COLUMNS][MVM_ROWS];
	uint64_t clips = 0;

	memset(sums, 0, sizeof(sums));
	for (uint32_t i = first; i < end; i++) {
		uint32_t quad = i * plane->group / 4;
		uint32_t quads = plane->quads - quad < plane->group / 4 ? plane->quads - quad
									: plane->group / 4;
		const int8_t *weights = (const int8_t *)plane->weights +
					((size_t)i * plane->outputs + column) * plane->group;

		for (uint32_t c = 0; c < columns; c++)
			clips += mvm->kernels->convert(&plane->converter,
						       weights + (size_t)c * plane->group, quads,
						       lines + (size_t)quad * 8 * KERNEL_VECTORS,
						       mvm->line_stride, rows, sums[c]);
	}
	d += column % KERNEL_COLUMNS;
	for (uint32_t v = 0; v < rows; v++)
		for (uint32_t c = 0; c < columns; c++)
			d[v * KERNEL_COLUMNS + c] = sums[c][v];
	return clips;
}

uint64_t xbar_mvm_product(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			  uint32_t column, uint32_t columns, uint32_t group, int32_t *d)
{
	if (mvm->plane->path == PLANE_LOSSY)
		return product_lossy(mvm, variant, row, rows, column, columns, group, d);
	product_exact(mvm, variant, row, rows, column / KERNEL_COLUMNS, group, d);
	return 0;
}
