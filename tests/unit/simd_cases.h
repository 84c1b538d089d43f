/* SPDX-License-Identifier: MIT */
/*
 * Every host kernel as a case: how to run it on made-up data of a given size, and what it should
 * give, computed in double. The tests of bits and of accuracy walk over this one table.
 */
#ifndef TESTS_UNIT_SIMD_CASES_H
#define TESTS_UNIT_SIMD_CASES_H

#include "runtime/simd/simd.h"

/* Floats a case may write. */
#define SIMD_CASE_OUTPUTS 8192

/**
 * struct simd_case - a kernel under test
 * @name: of the kernel, or of the pair of them
 * @run: runs it on data of size @n and returns how many floats of @out are its results
 * @reference: the same results in double, in the same order
 * @bound: largest allowed |result - reference| / max(1, |reference|)
 * @bits: hash, FNV-1a over 32-bit words, of the results of all sizes, the same for every compiler and processor
 */
struct simd_case {
	const char *name;
	size_t (*run)(const struct lf_simd_ops *ops, size_t n, float *out);
	void (*reference)(size_t n, double *out);
	double bound;
	uint64_t bits;
};

extern const struct simd_case simd_cases[];
extern const size_t simd_case_count;

/** simd_sample() - number @index of stream @stream, in -2 .. 2, always the same */
float simd_sample(unsigned int stream, size_t index);

#endif
