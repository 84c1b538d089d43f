// SPDX-License-Identifier: MIT
/*
 * Philox4x32-10 one block at a time; the kernels of the analog path compute 16 or 32 together.
 */
#include "philox.h"

void xbar_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t block[4])
{
	uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
	uint32_t k0 = key[0], k1 = key[1];

	for (int round = 0; round < PHILOX_ROUNDS; round++) {
		uint64_t product0 = (uint64_t)PHILOX_MULTIPLIER_0 * c0;
		uint64_t product1 = (uint64_t)PHILOX_MULTIPLIER_1 * c2;

		c0 = (uint32_t)(product1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)product1;
		c2 = (uint32_t)(product0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)product0;
		k0 += PHILOX_KEY_STEP_0;
		k1 += PHILOX_KEY_STEP_1;
	}
	block[0] = c0;
	block[1] = c1;
	block[2] = c2;
	block[3] = c3;
}
