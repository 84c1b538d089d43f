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

/* Columns that the exact product computes together; results are [rows][KERNEL_COLUMNS]. */
#define KERNEL_COLUMNS	 64

/* Vectors that the lossy path converts together: 8 vectors x 8 bit-cycles are 64 lanes. */
#define KERNEL_VECTORS	 8

/* Most inputs that one conversion sums: rows of a tile, or columns of cells by four a weight. */
#define KERNEL_GROUP	 1024

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
 * struct finish - from sums of products to results; t = (float)d * s, then as far as each pointer is not NULL
 * @s: scale of the vector
 * @scale: t = t * scale[c]
 * @before: t = before[c] + t, the rows of tiles so far
 * @accumulate: t = accumulate[c] + t
 * @bias: t = t + bias[c]
 * @y: receives t; may be @before or @accumulate
 */
struct finish {
	float s;
	const float *scale;
	const float *before;
	const float *accumulate;
	const float *bias;
	float *y;
};

/**
 * struct kernels - one variant of everything
 * @weight_flip: what weights are XORed with when they are packed for @gemm
 * @magnitude: largest |x * f * g| over @count elements, as the bits of an fp32 number; @f and @g may be NULL. A
 *	NaN or Inf among the products gives KERNEL_NONFINITE or more
 * @quantise: q = clamp(round_half_even(x * f * g * inverse)); returns the sum of q
 * @gemm: d[v][c] = sum over k of q[v][k] * w[k][c], @quads x 4 elements, KERNEL_COLUMNS columns. @weights is
 *	[quads][KERNEL_COLUMNS][4]; @sums is the sum of q of each vector, @sum_stride apart
 * @finish: see struct finish; returns the largest |y| as bits
 * @convert: sums[v] += the value that @converter gives for one column of a tile: @weights are its @quads x 4
 *	weights, @lines what drives it, [quads][KERNEL_VECTORS][8 bit-cycles] bytes a block of vectors, each byte the bits of four
 *	rows, @line_stride bytes from block to block. Returns how many conversions of the first @vectors vectors clipped
 */
struct kernels {
	const char *name;
	uint8_t weight_flip;
	uint32_t (*magnitude)(const float *x, const float *f, const float *g, uint32_t count);
	int32_t (*quantise)(const float *x, const float *f, const float *g, float inverse,
			    uint32_t count, int8_t *q);
	void (*gemm)(const int8_t *q, size_t q_stride, const uint8_t *weights, uint32_t quads,
		     const int32_t *sums, size_t sum_stride, uint32_t rows, int32_t *d);
	uint32_t (*finish)(const struct finish *finish, const int32_t *d, uint32_t count);
	uint64_t (*convert)(const struct converter *converter, const int8_t *weights,
			    uint32_t quads, const uint8_t *lines, size_t line_stride,
			    uint32_t vectors, int32_t *sums);
};

/* @simd: enum xbar_simd. 0 or -EINVAL when the processor does not have it. */
int xbar_kernels_choose(uint32_t simd, const struct kernels **kernels);

/* One function of each kind for each variant. */
#define KERNELS_DECLARE(variant)                                                                  \
	uint32_t xbar_magnitude_##variant(const float *x, const float *f, const float *g,         \
					  uint32_t count);                                        \
	int32_t xbar_quantise_##variant(const float *x, const float *f, const float *g,           \
					float inverse, uint32_t count, int8_t *q);                \
	void xbar_gemm_##variant(const int8_t *q, size_t q_stride, const uint8_t *weights,        \
				 uint32_t quads, const int32_t *sums, size_t sum_stride,          \
				 uint32_t rows, int32_t *d);                                      \
	uint32_t xbar_finish_##variant(const struct finish *finish, const int32_t *d,             \
				       uint32_t count);                                           \
	uint64_t xbar_convert_##variant(const struct converter *converter, const int8_t *weights, \
					uint32_t quads, const uint8_t *lines, size_t line_stride, \
					uint32_t vectors, int32_t *sums)

KERNELS_DECLARE(scalar);
KERNELS_DECLARE(avx2);
KERNELS_DECLARE(avx512);

#endif
