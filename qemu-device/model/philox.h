/* SPDX-License-Identifier: MIT */
/*
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3",
 * SC'11: 128 bits are a function of a 128-bit counter and a 64-bit key alone, so draws have names instead of an order.
 */
#ifndef XBAR_PHILOX_H
#define XBAR_PHILOX_H

#include <stdint.h>

#define PHILOX_ROUNDS	    10
#define PHILOX_MULTIPLIER_0 0xd2511f53u
#define PHILOX_MULTIPLIER_1 0xcd9e8d57u
#define PHILOX_KEY_STEP_0   0x9e3779b9u
#define PHILOX_KEY_STEP_1   0xbb67ae85u

/**
 * xbar_philox() - one block of random bits
 * @counter: which block; word 0 first, as in the authors' Random123
 * @key: of which stream
 * @block: receives four words; may be @counter
 */
void xbar_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t block[4]);

#endif
