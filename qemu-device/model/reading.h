/* SPDX-License-Identifier: MIT */
/*
 * How the columns of cells of an analog plane are read: summed, made noisy, converted. The one function of it that takes the
 * time exists for each instruction set, in the files analog_*; all give the same bits.
 */
#ifndef XBAR_READING_H
#define XBAR_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rows of cells whose bits share a word of the lines. */
#define READING_WORD_ROWS   15

/* Vectors that lines are arranged for: a block of 8 vectors x 8 bit-cycles, vector by vector. */
#define READING_VECTORS	    8
#define READING_LANES	    64

/* Most vectors of a call. */
#define READING_RUN	    96

/* Words of the lines of one group and block, without its line of noise. */
#define READING_WORDS(rows) (((rows) + READING_WORD_ROWS - 1) / READING_WORD_ROWS)

enum reading_noise {
	READING_QUIET,
	READING_OF_LINES, /* sigma follows from what is driven: a line holds it */
	READING_OF_CELLS, /* sigma follows from the cells that are driven */
};

/**
 * struct reading - what the conversions of a command have in common. Sums are in units of the plane, 2^-fraction of a level
 * @slices: slices of a weight
 * @cell_bits: bits of a slice
 * @after: the sides are subtracted after conversion
 * @slice_stride: from the cells of a slice to those of the next
 * @side_stride: from those of the positive to those of the negative side
 * @shift: log2 of the step, units
 * @rest: what the offset has beyond whole steps, 0 <= @rest < step
 * @odd: 1 when the number of those steps is odd
 * @low: least code, no more than that of a sum of 0, and
 * @high: greatest, no less than it, both plus that number of steps, so that @rest + code * step is the value
 * @ideal: there is no least and no greatest
 * @noise: of what
 * @noise_shift: a draw is (z * sigma + half) >> @noise_shift, see noise.h
 * @cell_sigma: READING_OF_CELLS: sigma = round_half_even(@cell_sigma * sqrt(sum of squares)), at most 32767
 * @key: of the draws
 */
struct reading {
	uint32_t slices;
	uint32_t cell_bits;
	bool after;
	size_t slice_stride;
	size_t side_stride;

	uint32_t shift;
	int32_t rest;
	int32_t odd;
	int32_t low;
	int32_t high;
	bool ideal;

	enum reading_noise noise;
	uint32_t noise_shift;
	float cell_sigma;
	uint32_t key[2];
};

/**
 * struct read - the conversions of one output over one group, for a run of vectors
 * @cells: of the positive side and lowest slice: one for each row of the group
 * @rows: their number
 * @lines: of the first block of vectors: READING_WORDS(@rows) x READING_LANES words, the lowest 15 bits of a word being the bits
 *	with which a vector drives as many rows in a bit-cycle; then, READING_OF_LINES, READING_LANES sigmas
 * @line_stride: words from block to block
 * @vectors: at most READING_RUN; lanes behind them drive nothing
 * @vector: number of the first in the command
 * @output: of the matrix in this direction
 * @group: of the inputs
 */
struct read {
	const uint16_t *cells;
	uint32_t rows;
	const uint16_t *lines;
	size_t line_stride;
	uint32_t vectors;
	uint32_t vector;
	uint32_t output;
	uint32_t group;
};

/**
 * xbar_read_scalar() - add the codes of a read
 * @sums: [vectors rounded up to READING_VECTORS][4]: the four parts of a vector receive together the sum over slices, sides and
 *	cycles of code * 2^(slice * cell_bits) * (-1 for the negative side) * (2^cycle, -128 for the last)
 *
 * Return: how many conversions clipped.
 */
uint64_t xbar_read_scalar(const struct reading *reading, const struct read *read,
			  int32_t (*sums)[4]);
uint64_t xbar_read_avx2(const struct reading *reading, const struct read *read, int32_t (*sums)[4]);
uint64_t xbar_read_avx512(const struct reading *reading, const struct read *read,
			  int32_t (*sums)[4]);

#endif
