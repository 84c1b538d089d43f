// SPDX-License-Identifier: MIT
/*
 * Inputs of an MVM: quantised vectors and, for the lossy path, the bits that drive the lines cycle by cycle.
 */
#include <string.h>

#include "mvm.h"

/* 2^-100: below it a vector is zero. */
#define SMALLEST_MAGNITUDE 0x0d800000u

static float from_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Sums of an int8 vector over the segments; LF_STATUS_INVALID for -128. */
static uint16_t take_int8(const struct mvm *mvm, const int8_t *x, int8_t *q, int32_t *sums)
{
	uint32_t inputs = mvm->route->inputs;
	uint32_t segment = mvm->segments == 1 ? inputs : mvm->route->group;

	memcpy(q, x, inputs);
	for (uint32_t i = 0; i < mvm->segments; i++) {
		uint32_t end = (i + 1) * segment < inputs ? (i + 1) * segment : inputs;

		sums[i] = 0;
		for (uint32_t k = i * segment; k < end; k++) {
			if (q[k] == INT8_MIN)
				return LF_STATUS_INVALID;
			sums[i] += q[k];
		}
	}
	return LF_STATUS_OK;
}

static uint16_t quantise(const struct mvm *mvm, const float *x, const float *g, int8_t *q, float *s,
			 int32_t *sums)
{
	uint32_t inputs = mvm->route->inputs;
	uint32_t segment = mvm->segments == 1 ? inputs : mvm->route->group;
	uint32_t magnitude = mvm->kernels->magnitude(x, mvm->factor, g, inputs);
	float inverse = 0.0f;

	if (magnitude >= KERNEL_NONFINITE)
		return LF_STATUS_NONFINITE;
	*s = 0.0f;
	if (mvm->fixed) {
		*s = mvm->fixed_scale;
		inverse = 1.0f / mvm->fixed_scale;
	} else if (magnitude >= SMALLEST_MAGNITUDE) {
		*s = from_bits(magnitude) / 127.0f;
		inverse = 127.0f / from_bits(magnitude);
	}
	for (uint32_t i = 0; i < mvm->segments; i++) {
		uint32_t start = i * segment;
		uint32_t count = inputs - start < segment ? inputs - start : segment;

		sums[i] =
			mvm->kernels->quantise(x + start, mvm->factor ? mvm->factor + start : NULL,
					       g ? g + start : NULL, inverse, count, q + start);
	}
	return LF_STATUS_OK;
}

/* Byte b of the result is bit b of @q. */
static uint64_t spread(int8_t q)
{
	uint64_t bits = (uint8_t)q * 0x0101010101010101ull & 0x8040201008040201ull;

	return (bits + 0x7f7f7f7f7f7f7f7full) >> 7 & 0x0101010101010101ull;
}

/* The lane of one vector in its block: for each four inputs 8 bytes, one a bit-cycle. */
static void drive(const struct mvm *mvm, const int8_t *q, uint8_t *lane)
{
	for (uint32_t k = 0; k < mvm->route->quads; k++, q += 4, lane += 8 * KERNEL_VECTORS) {
		uint64_t cycles =
			spread(q[0]) | spread(q[1]) << 1 | spread(q[2]) << 2 | spread(q[3]) << 3;

		memcpy(lane, &cycles, sizeof(cycles));
	}
}

/* Room for a vector before it is spread. */
struct plain {
	int8_t q[XBAR_DIMENSION_MAX];
};

static uint16_t input_vector(const struct mvm *mvm, uint32_t variant, uint32_t v,
			     struct plain *plain)
{
	const char *x = mvm->input.memory + (mvm->first + v) * mvm->input.stride;
	size_t index = (size_t)variant * mvm->count + v;
	uint32_t inputs = mvm->route->inputs;
	int8_t *place = mvm->q + index * mvm->q_stride, *q = mvm->spread ? plain->q : place;
	uint32_t padded = (inputs + 63) / 64 * 64;
	int32_t *sums = mvm->sums + index * mvm->segments;
	const float *g = NULL;
	uint16_t status;

	if (mvm->transpose && mvm->scale)
		g = mvm->scale + (mvm->tile_scale ? (size_t)variant * inputs : 0);
	if (mvm->int8) {
		mvm->s[index] = mvm->fixed_scale;
		status = take_int8(mvm, (const int8_t *)x, q, sums);
	} else {
		status = quantise(mvm, (const void *)x, g, q, &mvm->s[index], sums);
	}
	memset(q + inputs, 0, padded - inputs);
	if (mvm->spread)
		mvm->kernels->spread(q, padded, place);
	if (!status && mvm->route->path == ROUTE_ANALOG) {
		xbar_mvm_analog_drive(mvm, variant, v, q);
	} else if (!status && mvm->route->path == ROUTE_LOSSY) {
		uint32_t blocks = (mvm->count + KERNEL_VECTORS - 1) / KERNEL_VECTORS;
		uint32_t block = v / KERNEL_VECTORS;

		drive(mvm, q,
		      mvm->lines + ((size_t)variant * blocks + block) * mvm->line_stride +
			      v % KERNEL_VECTORS * 8);
	}
	return status;
}

/* Lanes without a vector drive nothing. */
static void blank_lanes(const struct mvm *mvm, uint32_t variant)
{
	uint32_t blocks = mvm->count / KERNEL_VECTORS + 1, used = mvm->count % KERNEL_VECTORS;
	uint8_t *last = mvm->lines + ((size_t)variant * blocks + blocks - 1) * mvm->line_stride;

	if (mvm->route->path == ROUTE_ANALOG) {
		xbar_mvm_analog_blank(mvm, variant);
		return;
	}
	for (uint32_t k = 0; k < mvm->route->quads; k++)
		memset(last + k * 8 * KERNEL_VECTORS + used * 8, 0, 8 * (KERNEL_VECTORS - used));
}

uint16_t xbar_mvm_input(const struct mvm *mvm, uint32_t first, uint32_t end)
{
	struct plain plain;

	for (uint32_t variant = 0; variant < mvm->variants; variant++) {
		for (uint32_t v = first; v < end; v++) {
			uint16_t status = input_vector(mvm, variant, v, &plain);

			if (status)
				return status;
		}
		if (mvm->line_stride && end == mvm->count && end % KERNEL_VECTORS)
			blank_lanes(mvm, variant);
	}
	return LF_STATUS_OK;
}
