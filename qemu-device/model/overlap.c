// SPDX-License-Identifier: MIT
/*
 * Whether two strided ranges of one buffer share a byte.
 */
#include "job.h"

/* A range without gaps is one run. */
static struct xbar_transfer normal(const struct xbar_transfer *transfer)
{
	struct xbar_transfer range = *transfer;

	if (range.rows > 1 && range.stride == range.row_bytes) {
		range.row_bytes *= range.rows;
		range.rows = 1;
	}
	return range;
}

static __int128 end_of(const struct xbar_transfer *range)
{
	return (__int128)range->offset + (__int128)(range->rows - 1) * range->stride +
	       range->row_bytes;
}

/*
 * Run i of a and run j of b meet when -b.row_bytes < delta + (j - i) stride < a.row_bytes, where delta is from the
 * first run of a to that of b. Ranges of two different strides are taken to meet when their hulls do.
 */
bool xbar_overlap(const struct xbar_transfer *first, const struct xbar_transfer *second)
{
	struct xbar_transfer a = normal(first), b = normal(second);
	__int128 delta, stride, distance;

	if (a.buffer != b.buffer || end_of(&a) <= b.offset || end_of(&b) <= a.offset)
		return false;
	if (a.rows == 1 && b.rows == 1)
		return true;
	if (a.rows > 1 && b.rows > 1 && a.stride != b.stride)
		return true;

	stride = a.rows > 1 ? a.stride : b.stride;
	delta = (__int128)b.offset - a.offset;
	/* The smallest j - i that is far enough right ... */
	distance = -(__int128)b.row_bytes - delta;
	distance = distance >= 0 ? distance / stride + 1 : -((-distance - 1) / stride);
	if (distance < -(__int128)(a.rows - 1))
		distance = -(__int128)(a.rows - 1);
	/* ... and whether it is there and not too far. */
	return distance <= b.rows - 1 && delta + distance * stride < a.row_bytes;
}
