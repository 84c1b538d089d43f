/* SPDX-License-Identifier: MIT */
/*
 * The noise of one conversion. z is drawn from 16 random bits: the highest is the sign, the others are k of the tail
 * probability (k + 1/2) / 2^16 of |z|, and |z| is the inverse of the normal distribution there, by pieces of second degree,
 * within 0.001. Of the smallest tails, |z| > 3.668, which come once in 4,096 draws, k is refined by 48 bits more, so that the
 * tails are those of N(0, 1) as far as |z| = 9.16; the steps between neighbouring draws stay below 0.03 of a sigma, below 0.01 up
 * to 3.3 sigma. The distribution function is within 6e-5 of the normal one, the variance is 1 + 1.0e-6, the fourth moment 3 - 5.5e-6.
 */
#ifndef XBAR_NOISE_H
#define XBAR_NOISE_H

#include "reading.h"

/* z is kept in units of 1 / NOISE_UNIT. */
#define NOISE_UNIT   8192

/* Below it k is refined, and below NOISE_FINE the second table holds. */
#define NOISE_RARE   8
#define NOISE_FINE   1024

#define NOISE_PIECES 64

/* |z| = value - x (slope - x curve) with x = 0 .. 1 within the piece; all in units of 1 / NOISE_UNIT, products rounded down. */
struct noise_table {
	uint16_t value[NOISE_PIECES];
	uint16_t slope[NOISE_PIECES];
	uint16_t curve[NOISE_PIECES];
};

/* Pieces of 512 values of k from NOISE_FINE on; of 16 values below it. */
extern const struct noise_table xbar_noise_tables[2];

/**
 * struct draw - the name of a draw, with the key of the command
 * @vector: of the command
 * @column: (output * slices + slice) * 2 + side; side 0 when pairs are subtracted before conversion
 * @group: of the inputs
 * @cycle: bit-cycle
 *
 * Philox's counter is { @vector, @column, @group, 0 }: 128 bits, 16 for each of the cycles from the lowest of word 0 on. With 1 +
 * @cycle / 2 in the place of 0 it gives the refinement of two cycles.
 */
struct draw {
	uint32_t vector;
	uint32_t column;
	uint32_t group;
	uint32_t cycle;
};

/* |z| of k = @tail, NOISE_RARE or more. */
uint32_t xbar_noise_magnitude(uint32_t tail);

/* z * sigma in units of the conductances, rounded half up. */
int32_t xbar_noise_scale(const struct reading *reading, int32_t z, uint32_t sigma);

/* What a draw with @bits adds to a sum whose noise is @sigma; _rare: with a tail below NOISE_RARE. */
int32_t xbar_noise_of(const struct reading *reading, const struct draw *draw, uint32_t bits,
		      uint32_t sigma);
int32_t xbar_noise_rare(const struct reading *reading, const struct draw *draw, uint32_t bits,
			uint32_t sigma);

#endif
