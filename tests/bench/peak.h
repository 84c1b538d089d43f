/* SPDX-License-Identifier: MIT */
/*
 * What the machine can do at most: the loops that benchmarks compare with.
 */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

#include <stdint.h>

#include "tests/bench/workers.h"

/* int8 products from registers by @threads threads: multiply-accumulates a second, 0 without VNNI. */
double peak_int8(struct workers *workers, uint32_t threads);

/* Bytes a second that the same threads read from @bytes of @memory, which should be larger than the caches. */
double peak_read(struct workers *workers, uint32_t threads, const void *memory, uint64_t bytes);

/* Runs @rounds of the loop; multiply-accumulates done. Call it only where the processor has the instructions. */
uint64_t peak_int8_vnni(uint64_t rounds);

/* Reads @bytes, a multiple of 256, in order; likewise. */
void peak_read_vnni(const uint8_t *memory, uint64_t bytes);

/* Seconds since some moment. */
double peak_now(void);

#endif
