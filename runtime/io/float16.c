// SPDX-License-Identifier: MIT
/* IEEE 754 binary16 to and from binary32 on integers, so that no compiler flag changes a bit. */
#include "runtime/io/float16.h"

float lf_float_from_float16(uint16_t bits)
{
	uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
	uint32_t exponent = (bits >> 10) & 0x1fu;
	uint32_t fraction = bits & 0x3ffu;

	if (exponent == 0x1f)
		return float_from_bits(sign | 0x7f800000u | fraction << 13);
	if (exponent == 0) {
		if (fraction == 0)
			return float_from_bits(sign);
		/* A denormal half is a normal float: shift until the leading one is implicit. */
		exponent = 1;
		while (!(fraction & 0x400u)) {
			fraction <<= 1;
			exponent--;
		}
		fraction &= 0x3ffu;
	}
	/* 127 - 15 moves the bias; exponent may have wrapped below zero, the sum does not. */
	return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

/* Drop the low bits of a value, rounding half to even. */
static uint32_t shift_right_to_even(uint32_t value, unsigned int shift)
{
	uint32_t kept = value >> shift;
	uint32_t lost = value & ((1u << shift) - 1);
	uint32_t half = 1u << (shift - 1);

	return kept + (lost > half || (lost == half && (kept & 1)));
}

uint16_t lf_float_to_float16(float value)
{
	uint32_t bits = float_bits(value);
	uint16_t sign = (uint16_t)(bits >> 16 & 0x8000u);
	uint32_t magnitude = bits & 0x7fffffffu;
	uint32_t exponent = magnitude >> 23;

	if (magnitude > 0x7f800000u)
		return sign | 0x7e00u;
	if (exponent >= 127 + 16)
		return sign | 0x7c00u;
	/* Normal halves: a carry out of the fraction moves into the exponent, up to infinity. */
	if (exponent >= 127 - 14)
		return sign | (uint16_t)shift_right_to_even(magnitude - (112u << 23), 13);
	/* Below half of the smallest denormal, 2^-25, everything rounds to zero. */
	if (exponent < 127 - 25)
		return sign;
	return sign |
	       (uint16_t)shift_right_to_even((magnitude & 0x7fffffu) | 0x800000u, 126 - exponent);
}
