#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write gelu_table.c: cubic pieces of GELU(x) = x * Phi(x), 32 to the unit.

Usage: make_gelu_table.py > gelu_table.c

Row i belongs to the centre c = i / 32 - 6 and holds (c0, c1, c2, c3) with
GELU(c + f) ~ c0 + c1 f + c2 f^2 + c3 f^3 for |f| <= 1/64. Its slope is the quadratic
through GELU'(c + f) at the three Chebyshev points, so value and slope are both good to
3e-7. The first row is 0 and the last is x itself: they serve everything further out.
"""
import math
import struct

STEPS = 32
LIMIT = 6
POINT = math.cos(math.pi / 6) / (2 * STEPS)


def value(x):
    return x * 0.5 * math.erfc(-x / math.sqrt(2))


def slope(x):
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return 0.5 * math.erfc(-x / math.sqrt(2)) + x * density


def row(centre):
    if centre == -LIMIT:
        return 0.0, 0.0, 0.0, 0.0
    if centre == LIMIT:
        return float(LIMIT), 1.0, 0.0, 0.0
    below, middle, above = slope(centre - POINT), slope(centre), slope(centre + POINT)
    linear = (above - below) / (2 * POINT)
    square = (above + below - 2 * middle) / (2 * POINT * POINT)
    return value(centre), middle, linear / 2, square / 3


def literal(number):
    rounded = struct.unpack("f", struct.pack("f", number))[0]
    mantissa, exponent = rounded.hex().split("p")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}p{exponent}f"


print("""\
// SPDX-License-Identifier: MIT
/* Written by make_gelu_table.py, which says what a row is. */
#include "runtime/simd/gelu_table.h"

/* clang-format off */
const float lf_gelu_table[LF_GELU_ROWS][4] = {""")
for i in range(2 * LIMIT * STEPS + 1):
    print("\t{ " + ", ".join(literal(c) for c in row(i / STEPS - LIMIT)) + " },")
print("};")
