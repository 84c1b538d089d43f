// SPDX-License-Identifier: MIT
/*
 * Measuring the peaks: the best of several repeats, each of all threads together.
 */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "tests/bench/peak.h"

#define REPEATS	    5
#define INT8_ROUNDS 5000000ull
#define READ_UNIT   256

struct reading {
	const uint8_t *memory;
	uint64_t bytes; /* of each thread */
};

double peak_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static bool has_vnni(void)
{
#ifdef __x86_64__
	return __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512bw") &&
	       __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
#else
	return false;
#endif
}

static void multiply(void *argument, uint32_t index)
{
#ifdef __x86_64__
	uint64_t *products = argument;

	products[index] = peak_int8_vnni(INT8_ROUNDS);
#endif
}

double peak_int8(struct workers *workers, uint32_t threads)
{
	double best = 0;

	for (int repeat = 0; has_vnni() && repeat < REPEATS; repeat++) {
		uint64_t products[WORKERS_MOST];
		double start = peak_now(), rate, sum = 0;

		workers_run(workers, threads, multiply, products);
		for (uint32_t i = 0; i < threads; i++)
			sum += (double)products[i];
		rate = sum / (peak_now() - start);
		best = rate > best ? rate : best;
	}
	return best;
}

static void read_plainly(const uint8_t *memory, uint64_t bytes)
{
	uint64_t sums[4] = { 0 };

	for (uint64_t i = 0; i < bytes; i += sizeof(sums)) {
		uint64_t words[4];

		memcpy(words, memory + i, sizeof(words));
		for (int j = 0; j < 4; j++)
			sums[j] += words[j];
	}
	__asm__ volatile("" : : "r"(sums[0] + sums[1] + sums[2] + sums[3]));
}

static void read_part(void *argument, uint32_t index)
{
	const struct reading *reading = argument;
	const uint8_t *memory = reading->memory + index * reading->bytes;

#ifdef __x86_64__
	if (has_vnni()) {
		peak_read_vnni(memory, reading->bytes);
		return;
	}
#endif
	read_plainly(memory, reading->bytes);
}

double peak_read(struct workers *workers, uint32_t threads, const void *memory, uint64_t bytes)
{
	struct reading reading = { memory, bytes / threads / READ_UNIT * READ_UNIT };
	double best = 0;

	for (int repeat = 0; repeat < REPEATS; repeat++) {
		double start = peak_now(), rate;

		workers_run(workers, threads, read_part, &reading);
		rate = (double)reading.bytes * threads / (peak_now() - start);
		best = rate > best ? rate : best;
	}
	return best;
}
