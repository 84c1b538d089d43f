/* SPDX-License-Identifier: MIT */
/*
 * One MVM command in progress: shared by its steps, quantising (mvm_input.c), multiplying (xbar_mvm_product.c) and
 * finishing (mvm.c).
 */
#ifndef XBAR_MVM_H
#define XBAR_MVM_H

#include "job.h"
#include "planes.h"

/* Vectors of a piece of work; multiples of KERNEL_VECTORS. */
#define MVM_INPUT_PIECE 32
#define MVM_ROWS	96

/* Blocks of KERNEL_COLUMNS columns of a piece of work. */
#define MVM_BLOCKS	4

/**
 * struct mvm - an MVM over a run of vectors that fits the workspace
 * @first: first vector of the run
 * @count: its vectors
 * @scale: the command's scales; in transpose they act on the input
 * @tile_scale: scales are [tile_rows][cols]
 * @variants: quantised inputs of each vector: one for each row of tiles in transpose with tile scales, else one
 * @segments: sums of q kept for each vector: one for each group when groups are finished apart, else one
 * @q: [variants][count][q_stride], zero padded
 * @s: [variants][count]
 * @sums: [variants][count][segments]
 * @lines: lossy path: [variants][blocks of KERNEL_VECTORS][line_stride], see struct kernels
 * @clips: of each piece of products
 * @status: LF_STATUS_* of each piece, of inputs and then of products
 */
struct mvm {
	const struct xbar *xbar;
	const struct kernels *kernels;
	const struct plane *plane;
	const struct matrix *matrix;
	bool transpose;
	bool int8;
	bool accumulate;
	bool tile_scale;
	bool fixed;
	float fixed_scale;
	uint32_t first;
	uint32_t count;
	uint32_t variants;
	uint32_t segments;
	struct span input;
	struct span output;
	struct span partials;
	const float *factor;
	const float *scale;
	const float *bias;

	size_t q_stride;
	size_t line_stride;
	int8_t *q;
	float *s;
	int32_t *sums;
	uint8_t *lines;
	uint64_t *clips;
	uint16_t *status;
};

/* mvm_input.c: quantise vectors [index MVM_INPUT_PIECE, ...) */
void xbar_mvm_input_piece(void *mvm, uint32_t index);

/*
 * mvm_product.c: d[v][c % KERNEL_COLUMNS] of @rows vectors from @row (of the run) and @columns columns from @column, all of one
 * block of KERNEL_COLUMNS, over group @group of the inputs or, when it is MVM_ALL_GROUPS, over all. What @d holds
 * for the block's other columns is undefined. Returns how many conversions clipped.
 */
#define MVM_ALL_GROUPS UINT32_MAX
uint64_t xbar_mvm_product(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			  uint32_t column, uint32_t columns, uint32_t group, int32_t *d);

/* mvm_float.c: vector @index of the command, on an fp32 matrix. */
void xbar_mvm_float_vector(void *mvm, uint32_t index);

/* mvm.c: lay out the workspace for @count vectors of @plane; bytes it takes. */
size_t xbar_mvm_layout(struct mvm *mvm, char *workspace);

#endif
