/* SPDX-License-Identifier: MIT */
/*
 * One MVM command in progress: shared by its steps, quantising (mvm_input.c), multiplying (mvm_product.c, mvm_analog.c) and
 * finishing (mvm_finish.c); mvm.c cuts it into pieces of work.
 */
#ifndef XBAR_MVM_H
#define XBAR_MVM_H

#include "analog.h"
#include "job.h"

/* Most vectors of one product; a multiple of KERNEL_VECTORS. */
#define MVM_ROWS	96

/* Vectors of a piece of quantising, likewise. */
#define MVM_INPUT_PIECE 32

/**
 * struct mvm - an MVM over a run of vectors that fits the workspace
 * @convert: of the lossy path
 * @analog: of the analog path, as the following
 * @ideal: converters are ideal and nothing is noisy, whatever the parameters say: what CALIBRATE compares with
 * @reading: what its conversions have in common
 * @cell_sigma: read noise of one driven cell, as lines have it
 * @step_shift: log2 of the step, levels
 * @rest: what the offset has beyond whole steps, levels
 * @job_number: with @command, the index in its job, and @first key of what is drawn at random
 * @first: first vector of the run
 * @count: its vectors
 * @scale: the command's scales; in transpose they act on the input
 * @tile_scale: scales are [tile_rows][cols]
 * @variants: quantised inputs of each vector: one for each row of tiles in transpose with tile scales, else one
 * @segments: sums of q kept for each vector: one for each group when groups are finished apart, else one
 * @spread: @q is spread, as the exact product in transpose takes it
 * @q: [variants][count][q_stride], zero padded
 * @s: [variants][count]
 * @sums: [variants][count][segments]
 * @lines: [variants][blocks of KERNEL_VECTORS][line_stride], on the lossy path see struct kernels, on the analog path struct read
 * @clips: of each piece of products
 * @input_status: LF_STATUS_* of each piece of inputs
 * @status: LF_STATUS_* of each piece of products
 */
struct mvm {
	const struct xbar *xbar;
	const struct kernels *kernels;
	const struct route *route;
	const struct matrix *matrix;
	const struct analog *analog;
	bool ideal;
	uint64_t (*convert)(const struct converter *converter, const int8_t *weights,
			    uint32_t quads, const uint8_t *lines, size_t line_stride,
			    uint32_t vectors, int32_t *sums);
	struct reading reading;
	double cell_sigma;
	uint32_t step_shift;
	int32_t rest;
	uint64_t job_number;
	uint32_t command;
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

	bool spread;
	size_t q_stride;
	size_t line_stride;
	int8_t *q;
	float *s;
	int32_t *sums;
	uint8_t *lines;
	uint64_t *clips;
	uint16_t *input_status;
	uint16_t *status;
};

/* A rectangle of results: vectors of the run and columns of one block of KERNEL_COLUMNS. */
struct mvm_part {
	uint32_t row;
	uint32_t rows;
	uint32_t column;
	uint32_t columns;
};

/* mvm.c: the route to compute by, and what follows from it. */
void xbar_mvm_set_route(struct mvm *mvm, const struct route *route);

/* mvm_input.c: quantise vectors [first, end) of the run; LF_STATUS_*. */
uint16_t xbar_mvm_input(const struct mvm *mvm, uint32_t first, uint32_t end);

/*
 * mvm_product.c: whether the sum of @output over @group is converted. One that a scale of zero follows is not, forward, unless partial
 * sums are asked for: its d is computed, so that the sign of its zero is always the same, but no clip of it is counted.
 */
bool xbar_mvm_converts(const struct mvm *mvm, uint32_t output, uint32_t group);

/*
 * mvm_product.c: d[v][c % KERNEL_COLUMNS] of @rows vectors from @row (of the run) and @columns columns from @column, all of one
 * block of KERNEL_COLUMNS, over group @group of the inputs or, when it is MVM_ALL_GROUPS, over all. What @d holds
 * for the block's other columns is undefined. Returns how many conversions clipped.
 */
#define MVM_ALL_GROUPS UINT32_MAX
uint64_t xbar_mvm_product(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			  uint32_t column, uint32_t columns, uint32_t group, int32_t *d);

/* mvm_analog.c: sets what follows from @analog, the route and the key; before the lines are laid out. */
void xbar_mvm_analog_prepare(struct mvm *mvm);

/* mvm_analog.c: bytes of the lines of a block of vectors. */
size_t xbar_mvm_analog_line_stride(const struct mvm *mvm);

/* mvm_analog.c: the lines of vector @v of the run, and those of the lanes behind the last. */
void xbar_mvm_analog_drive(const struct mvm *mvm, uint32_t variant, uint32_t v, const int8_t *q);
void xbar_mvm_analog_blank(const struct mvm *mvm, uint32_t variant);

/* mvm_analog.c: xbar_mvm_product() on the analog path. */
uint64_t xbar_mvm_product_analog(const struct mvm *mvm, uint32_t variant, uint32_t row,
				 uint32_t rows, uint32_t column, uint32_t columns, uint32_t group,
				 int32_t *d);

/* mvm_finish.c: the results of a part, of at most MVM_ROWS vectors; LF_STATUS_*. Adds to @clips. */
uint16_t xbar_mvm_finish(const struct mvm *mvm, const struct mvm_part *part, uint64_t *clips);

/* mvm_float.c: vector @index of the command, on an fp32 matrix. */
void xbar_mvm_float_vector(void *mvm, uint32_t index);

/* mvm.c: lay out the workspace for @count vectors; bytes it takes. */
size_t xbar_mvm_layout(struct mvm *mvm, char *workspace);

#endif
