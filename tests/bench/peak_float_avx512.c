// SPDX-License-Identifier: MIT
/* AVX-512, see peak_float.h. */
#include "tests/bench/peak_float.h"

PEAK_FLOAT(peak_float_avx512, 16)
