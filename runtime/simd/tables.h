/* SPDX-License-Identifier: MIT */
/* The kernel tables that exist; which of them are linked depends on the architecture. */
#ifndef LF_RUNTIME_SIMD_TABLES_H
#define LF_RUNTIME_SIMD_TABLES_H

#include "runtime/simd/simd.h"

extern const struct lf_simd_ops lf_simd_ops_scalar;
extern const struct lf_simd_ops lf_simd_ops_avx2;
extern const struct lf_simd_ops lf_simd_ops_avx512;
extern const struct lf_simd_ops lf_simd_ops_neon;

#endif
