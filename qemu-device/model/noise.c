// SPDX-License-Identifier: MIT
/*
 * Read noise: the numbers of the Gaussian, and the draws that are too rare for its tables.
 */
#include "maths.h"
#include "noise.h"
#include "philox.h"

/* Least squares over each piece, in units of 2^-13; pieces below NOISE_RARE and, of the first, below NOISE_FINE are not used. */
const struct noise_table xbar_noise_tables[2] = {
	/* the whole range, 512 values of the bits a piece */
	{
		.value = {
		0, 0, 17639, 16278, 15258, 14430, 13728, 13114,
		12567, 12070, 11614, 11191, 10796, 10425, 10074, 9741,
		9423, 9119, 8826, 8545, 8273, 8010, 7755, 7508,
		7267, 7032, 6803, 6579, 6360, 6145, 5934, 5728,
		5525, 5325, 5129, 4935, 4744, 4555, 4369, 4185,
		4004, 3824, 3646, 3469, 3295, 3122, 2950, 2779,
		2610, 2442, 2274, 2108, 1942, 1778, 1614, 1451,
		1288, 1126, 964, 803, 642, 481, 320, 160,
		},
		.slope = {
		0, 0, 1589, 1140, 903, 753, 650, 574,
		520, 475, 439, 407, 381, 360, 340, 326,
		311, 300, 285, 277, 267, 257, 249, 244,
		239, 233, 228, 221, 218, 211, 207, 206,
		203, 198, 197, 193, 191, 187, 185, 182,
		182, 180, 179, 175, 175, 174, 173, 171,
		170, 169, 166, 166, 164, 165, 164, 164,
		163, 162, 162, 162, 162, 161, 160, 161,
		},
		.curve = {
		0, 0, 233, 122, 76, 52, 37, 27,
		23, 19, 17, 13, 11, 10, 7, 9,
		7, 8, 4, 6, 5, 3, 2, 3,
		5, 5, 5, 2, 4, 0, 2, 4,
		4, 2, 3, 2, 3, 2, 2, 0,
		2, 2, 3, 2, 2, 2, 3, 3,
		2, 2, 0, 0, 0, 2, 2, 2,
		2, 0, 2, 2, 2, 0, 0, 0,
		},
	},
	/* its first 1,024 values, 16 a piece */
	{
		.value = {
		32254, 28491, 26973, 26038, 25354, 24810, 24358, 23970,
		23629, 23324, 23049, 22798, 22566, 22351, 22151, 21963,
		21786, 21618, 21459, 21308, 21163, 21026, 20893, 20766,
		20644, 20526, 20413, 20302, 20196, 20093, 19993, 19896,
		19801, 19709, 19620, 19533, 19448, 19365, 19284, 19205,
		19128, 19052, 18978, 18905, 18834, 18764, 18696, 18629,
		18563, 18498, 18435, 18372, 18310, 18250, 18190, 18132,
		18074, 18018, 17962, 17906, 17852, 17799, 17746, 17694,
		},
		.slope = {
		5604, 1989, 1107, 775, 600, 491, 416, 362,
		322, 286, 261, 242, 223, 206, 194, 184,
		173, 163, 156, 149, 139, 137, 128, 123,
		120, 116, 113, 107, 106, 101, 98, 96,
		93, 89, 88, 87, 85, 83, 80, 78,
		78, 76, 75, 73, 72, 69, 69, 69,
		67, 65, 65, 64, 61, 61, 59, 59,
		57, 58, 56, 54, 54, 54, 53, 52,
		},
		.curve = {
		1866, 485, 175, 92, 57, 40, 28, 21,
		18, 11, 10, 11, 9, 6, 6, 7,
		5, 5, 6, 5, 2, 5, 2, 0,
		2, 3, 3, 2, 4, 0, 0, 2,
		3, 0, 2, 3, 3, 3, 2, 0,
		2, 2, 3, 3, 3, 0, 2, 3,
		2, 3, 3, 3, 2, 2, 2, 2,
		0, 2, 0, 0, 2, 0, 2, 0,
		},
	},
};

uint32_t xbar_noise_magnitude(uint32_t tail)
{
	bool fine = tail < NOISE_FINE;
	const struct noise_table *table = &xbar_noise_tables[fine];
	uint32_t piece = tail >> (fine ? 4 : 9);
	uint32_t within = tail << (fine ? 12 : 7) & 0xffff;
	uint32_t slope = table->slope[piece] - (within * table->curve[piece] >> 16);

	return table->value[piece] - (within * slope >> 16);
}

int32_t xbar_noise_scale(const struct reading *reading, int32_t z, uint32_t sigma)
{
	int64_t half = (int64_t)1 << reading->noise_shift >> 1;

	return (int32_t)((z * (int64_t)sigma + half) >> reading->noise_shift);
}

int32_t xbar_noise_rare(const struct reading *reading, const struct draw *draw, uint32_t bits,
			uint32_t sigma)
{
	uint32_t counter[4] = { draw->vector, draw->column, draw->group, 1 + draw->cycle / 2 };
	uint32_t block[4];
	uint64_t more, tail;
	double z;

	/* Which of the NOISE_RARE smallest tails, and 48 bits more of it. */
	xbar_philox(counter, reading->key, block);
	more = block[draw->cycle % 2 * 2] | (uint64_t)(block[draw->cycle % 2 * 2 + 1] & 0xffff)
						    << 32;
	tail = (uint64_t)(bits & 0x7fff) << 48 | more;
	z = xbar_gaussian(tail << 1 | bits >> 15) * NOISE_UNIT;
	return xbar_noise_scale(reading, (int32_t)(z + 0x1.8p52 - 0x1.8p52), sigma);
}

int32_t xbar_noise_of(const struct reading *reading, const struct draw *draw, uint32_t bits,
		      uint32_t sigma)
{
	int32_t z;

	if ((bits & 0x7fff) < NOISE_RARE)
		return xbar_noise_rare(reading, draw, bits, sigma);
	z = (int32_t)xbar_noise_magnitude(bits & 0x7fff);
	return xbar_noise_scale(reading, bits >> 15 ? -z : z, sigma);
}
