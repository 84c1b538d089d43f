/* SPDX-License-Identifier: MIT */
/*
 * Which instruction set the host kernels use. The kernels themselves are private to the runtime
 * (runtime/simd/simd.h); every set gives the same bits, so the choice changes time only.
 */
#ifndef LF_SIMD_H
#define LF_SIMD_H

#include <stdbool.h>

#include <lf/error.h>

/** LF_SIMD_ENVIRONMENT - environment variable that overrides the automatic choice, by name */
#define LF_SIMD_ENVIRONMENT "LF_SIMD"

/**
 * enum lf_simd_isa - an instruction set the host kernels are written for
 * @LF_SIMD_SCALAR: plain C, always there; the reference of the others
 * @LF_SIMD_AVX2: x86-64 with AVX2, 8 lanes a register
 * @LF_SIMD_AVX512: x86-64 with AVX-512 F, BW, VL and DQ, 16 lanes a register
 * @LF_SIMD_NEON: arm64 Advanced SIMD, 4 lanes a register
 * @LF_SIMD_ISA_COUNT: number of sets, not one itself
 */
enum lf_simd_isa {
	LF_SIMD_SCALAR,
	LF_SIMD_AVX2,
	LF_SIMD_AVX512,
	LF_SIMD_NEON,
	LF_SIMD_ISA_COUNT,
};

/**
 * lf_simd_name() - name of an instruction set
 * @isa: the set
 *
 * Return: "scalar", "avx2", "avx512" or "neon"; NULL if @isa is none of them.
 */
const char *lf_simd_name(enum lf_simd_isa isa);

/**
 * lf_simd_supported() - can this CPU, under this system, run the kernels of a set
 * @isa: the set
 *
 * Return: false also where the set was not built, as NEON on x86-64.
 */
bool lf_simd_supported(enum lf_simd_isa isa);

/**
 * lf_simd_choose() - resolve a request to an instruction set
 * @name: name of a set; NULL takes LF_SIMD from the environment, and without it (or with "auto")
 *        the widest set that the CPU supports
 * @isa: where the answer goes; untouched on failure
 * @error: filled on failure, may be NULL
 *
 * An override is obeyed or refused, never replaced by another set.
 *
 * Return: 0, -EINVAL for an unknown name, -EOPNOTSUPP for a set this CPU cannot run.
 */
int lf_simd_choose(const char *name, enum lf_simd_isa *isa, struct lf_error *error);

#endif
