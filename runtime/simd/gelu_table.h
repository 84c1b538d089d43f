/* SPDX-License-Identifier: MIT */
/* Cubic pieces of GELU; make_gelu_table.py writes and explains them. */
#ifndef LF_RUNTIME_SIMD_GELU_TABLE_H
#define LF_RUNTIME_SIMD_GELU_TABLE_H

/** LF_GELU_LIMIT - the pieces cover -LF_GELU_LIMIT .. LF_GELU_LIMIT */
#define LF_GELU_LIMIT 6

/** LF_GELU_STEPS - pieces to the unit */
#define LF_GELU_STEPS 32

/** LF_GELU_ROWS - pieces, centred on the multiples of 1 / LF_GELU_STEPS */
#define LF_GELU_ROWS  (2 * LF_GELU_LIMIT * LF_GELU_STEPS + 1)

extern const float lf_gelu_table[LF_GELU_ROWS][4];

#endif
