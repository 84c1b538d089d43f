// SPDX-License-Identifier: MIT
/*
 * Strided ranges of one buffer, or of the scratch memory: whether two share a byte, whether one covers another.
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

/* Looks at ranges of equal stride and at ranges without gaps. */
bool xbar_covers(const struct xbar_transfer *outer, const struct xbar_transfer *inner)
{
	struct xbar_transfer a = normal(outer), b = normal(inner);
	uint64_t inside;

	if (a.rows == 1)
		return a.offset <= b.offset && end_of(&b) <= end_of(&a);
	if (b.offset < a.offset || end_of(&b) > end_of(&a) || (b.rows > 1 && a.stride != b.stride))
		return false;
	inside = (b.offset - a.offset) % a.stride;
	return inside + b.row_bytes <= a.row_bytes;
}

struct xbar_transfer xbar_range_of(const struct view *view, uint32_t rows)
{
	bool strided = view->stride;

	return (struct xbar_transfer){
		.rows = strided ? rows : 1,
		.row_bytes = strided ? view->bytes / rows : view->bytes,
		.offset = view->offset,
		.stride = view->stride,
	};
}
