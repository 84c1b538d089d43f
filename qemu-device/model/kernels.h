/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic that takes the time, once for each instruction set. All variants give the same bits; kernels.c
 * chooses. The files gemm_*, convert_* and vector_* hold them.
 */
#ifndef XBAR_KERNELS_H
#define XBAR_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "checksum.h"
#include "packed.h"
#include "reading.h"

/* Outputs that the exact product computes together; sums are [vectors][KERNEL_COLUMNS]. */
#define KERNEL_COLUMNS	 64

/* Outputs that one pointer of a strip shows, and how many pointers there are. */
#define KERNEL_LANES	 16
#define KERNEL_POINTERS	 (KERNEL_COLUMNS / KERNEL_LANES)

/* Vectors that the lossy path converts together: 8 vectors x 8 bit-cycles are 64 lanes. */
#define KERNEL_VECTORS	 8

/* Most rows of a tile. */
#define KERNEL_GROUP	 1024

/* Most inputs that one conversion sums: rows of a tile, or its columns by a cell a weight. */
#define KERNEL_INPUTS	 (4 * KERNEL_GROUP)

/* Most bits of a slice whose sums the vector variants of the lossy path can look up. */
#define KERNEL_CELL_BITS 5

/* |bits| of an fp32 number from which on it is Inf or NaN. */
#define KERNEL_NONFINITE 0x7f800000u

/**
 * struct converter - how sums of a tile become numbers
 * @slices: slices of a weight
 * @cell_bits: bits of a slice
 * @after: pairs are subtracted after conversion
 * @shift: log2 of the step
 * @offset: sum that gives code 0
 * @last_code: 2^bits - 1
 */
struct converter {
	uint32_t slices;
	uint32_t cell_bits;
	bool after;
	uint32_t shift;
	int32_t offset;
	int32_t last_code;
};

/**
 * struct strip - the weights of KERNEL_COLUMNS outputs, where the memory has them, in runs that follow each other along
 * the inputs
 * @runs: where the weights of each KERNEL_LANES outputs lie; one entry more than there are runs, which is what will be
 *	wanted next
 * @count: runs
 * @inputs: of each run but the last: a multiple of 4, in transpose of 16
 * @last_inputs: of the last run, likewise
 * @stride: bytes from four rows of a tile to the next four
 *
 * Forward, a pointer shows 16 columns: four rows of them are the 64 bytes [16][4], the next four lie @stride further. In
 * transpose it shows 16 rows: four of them by 16 columns are the 64 bytes [16][4], the next 16 columns follow, the next
 * four rows lie @stride further.
 */
struct strip {
	const uint8_t *(*runs)[KERNEL_POINTERS];
	uint32_t count;
	uint32_t inputs;
	uint32_t last_inputs;
	size_t stride;
};

/* Numbers of several vectors, @stride floats apart; not there when @first is NULL. */
struct floats {
	float *first;
	size_t stride;
};

/**
 * struct finish - from sums of products to results; t = (float)d * s, then as far as each pointer is not NULL
 * @s: scale of each vector
 * @scale: t = t * scale[c]
 * @before: t = before[v][c] + t, the rows of tiles so far
 * @accumulate: t = accumulate[v][c] + t
 * @bias: t = t + bias[c]
 * @y: receives t; may be @before or @accumulate
 */
struct finish {
	const float *s;
	const float *scale;
	struct floats before;
	struct floats accumulate;
	const float *bias;
	struct floats y;
};

/**
 * struct kernels - one variant of everything
 * @magnitude: largest |x * f * g| over @count elements, as the bits of an fp32 number; @f and @g may be NULL. A
 *	NaN or Inf among the products gives KERNEL_NONFINITE or more
 * @quantise: q = clamp(round_half_even(x * f * g * inverse)); returns the sum of q
 * @spread: each four of @count elements, a multiple of 16, four times
 * @gemm: forward and in transpose: d[v][c] = sum over the inputs k of the strip of q[v][k] * w[k][c], added to what @d holds
 *	when @more. @q has zeros up to the next multiple of 64, and is spread in transpose. @sums is the sum of q of each
 *	vector over this strip and those that follow with @more, @sum_stride apart
 * @finish: see struct finish; @columns of each of @vectors, @d is [vectors][KERNEL_COLUMNS]. Returns the largest |y| as bits
 * @fuse: y[c] = (accumulate ? y[c] : 0) + (x[c] * scale[c] + bias[c]); @scale and @bias may be NULL, @y may be @x. Returns the
 *	largest |y| as bits
 * @convert: sums[v] += the value that @converter gives for one column of a tile: @weights are its @quads x 4
 *	weights, @lines what drives it, [quads][KERNEL_VECTORS][8 bit-cycles] bytes a block of vectors, each byte the bits of four
 *	rows, @line_stride bytes from block to block. Returns how many conversions of the first @vectors vectors clipped
 * @read: see xbar_read_scalar()
 * @unpack: see xbar_unpack_scalar()
 * @checksum: see checksum.h
 */
struct kernels {
	const char *name;
	uint32_t (*magnitude)(const float *x, const float *f, const float *g, uint32_t count);
	int32_t (*quantise)(const float *x, const float *f, const float *g, float inverse,
			    uint32_t count, int8_t *q);
	void (*spread)(const int8_t *q, uint32_t count, int8_t *spread);
	void (*gemm[2])(const int8_t *q, size_t q_stride, const struct strip *strip,
			const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more,
			int32_t *d);
	uint32_t (*finish)(const struct finish *finish, const int32_t *d, uint32_t vectors,
			   uint32_t columns);
	uint32_t (*fuse)(const float *x, const float *scale, const float *bias, bool accumulate,
			 uint32_t count, float *y);
	uint64_t (*convert)(const struct converter *converter, const int8_t *weights,
			    uint32_t quads, const uint8_t *lines, size_t line_stride,
			    uint32_t vectors, int32_t *sums);
	uint64_t (*read)(const struct reading *reading, const struct read *read,
			 int32_t (*sums)[4]);
	void (*unpack)(const uint8_t *packed, uint32_t count, uint16_t *cells);
	uint32_t (*checksum)(uint32_t crc, const void *data, size_t bytes);
};

/* @simd: enum xbar_simd. 0 or -EINVAL when the processor does not have it. */
int xbar_kernels_choose(uint32_t simd, const struct kernels **kernels);

/* One function of each kind for each variant. */
#define KERNELS_DECLARE(variant)                                                                  \
	uint32_t xbar_magnitude_##variant(const float *x, const float *f, const float *g,         \
					  uint32_t count);                                        \
	int32_t xbar_quantise_##variant(const float *x, const float *f, const float *g,           \
					float inverse, uint32_t count, int8_t *q);                \
	void xbar_spread_##variant(const int8_t *q, uint32_t count, int8_t *spread);              \
	void xbar_gemm_##variant(const int8_t *q, size_t q_stride, const struct strip *strip,     \
				 const int32_t *sums, size_t sum_stride, uint32_t vectors,        \
				 bool more, int32_t *d);                                          \
	void xbar_gemm_transpose_##variant(                                                       \
		const int8_t *q, size_t q_stride, const struct strip *strip, const int32_t *sums, \
		size_t sum_stride, uint32_t vectors, bool more, int32_t *d);                      \
	uint32_t xbar_finish_##variant(const struct finish *finish, const int32_t *d,             \
				       uint32_t vectors, uint32_t columns);                       \
	uint32_t xbar_fuse_##variant(const float *x, const float *scale, const float *bias,       \
				     bool accumulate, uint32_t count, float *y);                  \
	uint64_t xbar_convert_##variant(const struct converter *converter, const int8_t *weights, \
					uint32_t quads, const uint8_t *lines, size_t line_stride, \
					uint32_t vectors, int32_t *sums)

KERNELS_DECLARE(scalar);
KERNELS_DECLARE(avx2);
KERNELS_DECLARE(avx512);

#endif
