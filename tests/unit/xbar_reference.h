/* SPDX-License-Identifier: MIT */
/* What an MVM must give, computed straight from the rules: bit by bit, slice by slice, column by column. */
#ifndef TESTS_UNIT_XBAR_REFERENCE_H
#define TESTS_UNIT_XBAR_REFERENCE_H

#include <stdbool.h>
#include <stdint.h>

/* The hardware; @adc_bits 0 converts exactly. */
struct reference_tile {
	uint32_t rows;
	uint32_t weights;
	uint32_t cell_bits;
	uint32_t adc_bits;
	int32_t adc_step;
	int32_t adc_offset;
	bool after;
};

/**
 * struct reference_mvm - an MVM; arrays are contiguous, those that are not used NULL
 * @partials: [count][tile rows][cols], forward
 * @conversions: receives how many were made
 * @clips: receives how many of them clipped
 */
struct reference_mvm {
	struct reference_tile tile;
	uint32_t rows;
	uint32_t cols;
	uint32_t count;
	const int8_t *weights;
	bool transpose;
	bool accumulate;
	bool tile_scale;
	float fixed_scale;
	const int8_t *input_int8;
	const float *input;
	const float *factor;
	const float *scale;
	const float *bias;
	float *output;
	float *partials;
	uint64_t conversions;
	uint64_t clips;
};

void reference_mvm(struct reference_mvm *mvm);

/* Rounds half to even and clamps to -127 .. 127. */
int8_t reference_quantise(float scaled);

#endif
