// SPDX-License-Identifier: MIT
/*
 * Reading analog cells in plain C: what the other variants must equal.
 */
#include "maths.h"
#include "noise.h"
#include "philox.h"

/* What the cells of a column give that one vector drives in one cycle. */
struct current {
	int32_t sum;
	uint32_t squares;
};

static struct current sum_of(const struct read *read, const uint16_t *cells, const uint16_t *line)
{
	struct current current = { 0 };

	for (uint32_t row = 0; row < read->rows; row++) {
		uint32_t word = line[row / READING_WORD_ROWS * READING_LANES];

		if (word >> row % READING_WORD_ROWS & 1) {
			current.sum += cells[row];
			current.squares += (uint32_t)cells[row] * cells[row];
		}
	}
	return current;
}

static uint32_t sigma_of(const struct reading *reading, float squares)
{
	/* Adding 1.5 x 2^23 leaves a small number rounded half to even in the low bits. */
	const float rounder = 12582912.0f;
	float sigma = xbar_sqrtf(squares) * reading->cell_sigma;

	sigma = sigma < 32767.0f ? sigma : 32767.0f;
	return (uint32_t)(sigma + rounder - rounder);
}

static int32_t convert(const struct reading *reading, int32_t sum, uint64_t *clips)
{
	int32_t above = sum - reading->rest, code = above >> reading->shift;

	if (reading->shift) {
		int32_t half = 1 << (reading->shift - 1);
		int32_t odd = (code ^ reading->odd) & 1;

		code = (above + half - 1 + odd) >> reading->shift;
	}
	if (!reading->ideal && (code < reading->low || code > reading->high)) {
		++*clips;
		code = code < reading->low ? reading->low : reading->high;
	}
	return code;
}

/* The codes of all cycles of one vector and column of cells; @side 2 is the difference of both. */
static int32_t read_column(const struct reading *reading, const struct read *read,
			   const uint16_t *cells, uint32_t side, const uint16_t *lines,
			   struct draw *draw, uint64_t *clips)
{
	uint32_t counter[4] = { draw->vector, draw->column, draw->group, 0 }, block[4];
	int32_t value = 0;

	xbar_philox(counter, reading->key, block);
	for (uint32_t cycle = 0; cycle < 8; cycle++) {
		const uint16_t *line = lines + cycle;
		uint32_t bits = block[cycle / 2] >> 16 * (cycle % 2) & 0xffff;
		uint32_t sigma = 0;
		struct current current =
			sum_of(read, cells + (side == 1 ? reading->side_stride : 0), line);
		float squares = (float)current.squares;

		draw->cycle = cycle;
		if (side == 2) {
			struct current negative = sum_of(read, cells + reading->side_stride, line);

			current.sum -= negative.sum;
			squares += (float)negative.squares;
		}
		if (reading->noise == READING_OF_LINES)
			sigma = line[READING_WORDS(read->rows) * READING_LANES];
		if (reading->noise == READING_OF_CELLS)
			sigma = sigma_of(reading, squares);
		if (reading->noise != READING_QUIET)
			current.sum += xbar_noise_of(reading, draw, bits, sigma);
		value += convert(reading, current.sum, clips) * (cycle == 7 ? -128 : 1 << cycle);
	}
	return value;
}

uint64_t xbar_read_scalar(const struct reading *reading, const struct read *read,
			  int32_t (*sums)[4])
{
	uint64_t clips = 0;

	for (uint32_t v = 0; v < read->vectors; v++) {
		const uint16_t *lines = read->lines + v / READING_VECTORS * read->line_stride +
					v % READING_VECTORS * 8;

		for (uint32_t slice = 0; slice < reading->slices; slice++) {
			const uint16_t *cells = read->cells + slice * reading->slice_stride;
			struct draw draw = {
				.vector = read->vector + v,
				.column = (read->output * reading->slices + slice) * 2,
				.group = read->group,
			};
			int32_t weight = 1 << slice * reading->cell_bits;

			if (!reading->after) {
				sums[v][0] += weight * read_column(reading, read, cells, 2, lines,
								   &draw, &clips);
				continue;
			}
			sums[v][0] +=
				weight * read_column(reading, read, cells, 0, lines, &draw, &clips);
			draw.column++;
			sums[v][0] -=
				weight * read_column(reading, read, cells, 1, lines, &draw, &clips);
		}
	}
	return clips;
}
