/* SPDX-License-Identifier: MIT */
/*
 * The most additions and multiplications of floats that one thread can do with an instruction set: chains that wait for nothing but
 * themselves, long enough in number to hide it. One file for each set, because the file's name gives the compiler's flags.
 */
#ifndef BENCH_PEAK_FLOAT_H
#define BENCH_PEAK_FLOAT_H

#include <lf/simd.h>

/* Does some; how many. Call it only for a set that the processor has. */
double peak_float(enum lf_simd_isa isa);

double peak_float_scalar(void);
double peak_float_avx2(void);
double peak_float_avx512(void);

/* As many of each kind as registers hold: two units for each, three cycles an operation. */
#define PEAK_FLOAT_CHAINS 6
#define PEAK_FLOAT_ROUNDS 20000

/* Defines the function of a set whose registers have @lanes floats. */
#define PEAK_FLOAT(name, lanes)                                                           \
	double name(void)                                                                 \
	{                                                                                 \
		typedef float vec __attribute__((vector_size(4 * (lanes))));              \
		vec sums[PEAK_FLOAT_CHAINS] = { 0 }, products[PEAK_FLOAT_CHAINS] = { 0 }; \
		vec step = { 0 };                                                         \
                                                                                          \
		__asm__ volatile("" : "+x"(step));                                        \
		for (int round = 0; round < PEAK_FLOAT_ROUNDS; round++)                   \
			for (int i = 0; i < PEAK_FLOAT_CHAINS; i++) {                     \
				sums[i] = sums[i] + step;                                 \
				products[i] = products[i] * step;                         \
			}                                                                 \
		for (int i = 0; i < PEAK_FLOAT_CHAINS; i++)                               \
			__asm__ volatile("" : : "x"(sums[i]), "x"(products[i]));          \
		return 2.0 * PEAK_FLOAT_CHAINS * PEAK_FLOAT_ROUNDS * (lanes);             \
	}

#endif
