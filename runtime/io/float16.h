/* SPDX-License-Identifier: MIT */
/* Conversions between float32 and the 16-bit formats, on bit patterns only. */
#ifndef LF_IO_FLOAT16_H
#define LF_IO_FLOAT16_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static inline float float_from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* True for everything but infinities and NaN. */
static inline bool float_is_finite(float value)
{
	return (float_bits(value) & 0x7f800000u) != 0x7f800000u;
}

static inline float float_from_bfloat16(uint16_t bits)
{
	return float_from_bits((uint32_t)bits << 16);
}

/* Exact: every float16 is a float32. */
float lf_float_from_float16(uint16_t bits);

/* Round half to even; beyond the range gives infinity, NaN stays NaN. */
uint16_t lf_float_to_float16(float value);

#endif
