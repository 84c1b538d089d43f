/* SPDX-License-Identifier: MIT */
/*
 * What the machine can do at most: the loop of instructions that benchmarks compare with.
 */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include <stdint.h>

/* Runs @rounds of independent int8 products from registers; multiply-accumulates done, 0 without VNNI. */
uint64_t bench_peak_int8(uint64_t rounds);

/* The same loop with the instructions; call it only where the processor has them. */
uint64_t bench_peak_int8_vnni(uint64_t rounds);

#endif
