// SPDX-License-Identifier: MIT
/*
 * The kernels in plain C: what every other variant must equal, and what runs where there is none.
 */
#include <string.h>

#include "kernels.h"

static uint32_t magnitude_bits(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof(bits));
	return bits & 0x7fffffff;
}

static float product(const float *x, const float *f, const float *g, uint32_t i)
{
	float value = x[i];

	if (f)
		value *= f[i];
	if (g)
		value *= g[i];
	return value;
}

uint32_t xbar_magnitude_scalar(const float *x, const float *f, const float *g, uint32_t count)
{
	uint32_t largest = 0;

	for (uint32_t i = 0; i < count; i++) {
		uint32_t bits = magnitude_bits(product(x, f, g, i));

		largest = bits > largest ? bits : largest;
	}
	return largest;
}

int32_t xbar_quantise_scalar(const float *x, const float *f, const float *g, float inverse,
			     uint32_t count, int8_t *q)
{
	/* Adding 1.5 x 2^23 leaves a small number rounded half to even in the low bits. */
	const float rounder = 12582912.0f;
	int32_t sum = 0;

	for (uint32_t i = 0; i < count; i++) {
		float value = product(x, f, g, i) * inverse;

		value = value > 127.0f ? 127.0f : value;
		value = value < -127.0f ? -127.0f : value;
		q[i] = (int8_t)(value + rounder - rounder);
		sum += q[i];
	}
	return sum;
}

void xbar_spread_scalar(const int8_t *q, uint32_t count, int8_t *spread)
{
	for (uint32_t k = 0; k < count; k += 4)
		for (int i = 0; i < 4; i++, spread += 4)
			memcpy(spread, q + k, 4);
}

static uint32_t inputs_of(const struct strip *strip, uint32_t run)
{
	return run + 1 < strip->count ? strip->inputs : strip->last_inputs;
}

static void clear(int32_t *d, uint32_t vectors)
{
	memset(d, 0, (size_t)vectors * KERNEL_COLUMNS * sizeof(*d));
}

void xbar_gemm_scalar(const int8_t *q, size_t q_stride, const struct strip *strip,
		      const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more,
		      int32_t *d)
{
	if (!more)
		clear(d, vectors);
	for (uint32_t run = 0; run < strip->count; run++) {
		uint32_t inputs = inputs_of(strip, run);

		for (uint32_t v = 0; v < vectors; v++)
			for (uint32_t c = 0; c < KERNEL_COLUMNS; c++) {
				const int8_t *w =
					(const int8_t *)strip->runs[run][c / KERNEL_LANES] +
					c % KERNEL_LANES * 4;
				const int8_t *x = q + v * q_stride;
				int32_t sum = 0;

				for (uint32_t k = 0; k < inputs; k += 4, w += strip->stride)
					sum += x[k] * w[0] + x[k + 1] * w[1] + x[k + 2] * w[2] +
					       x[k + 3] * w[3];
				d[v * KERNEL_COLUMNS + c] += sum;
			}
		q += inputs;
	}
}

void xbar_gemm_transpose_scalar(const int8_t *q, size_t q_stride, const struct strip *strip,
				const int32_t *sums, size_t sum_stride, uint32_t vectors, bool more,
				int32_t *d)
{
	if (!more)
		clear(d, vectors);
	for (uint32_t run = 0; run < strip->count; run++) {
		uint32_t inputs = inputs_of(strip, run);

		for (uint32_t v = 0; v < vectors; v++)
			for (uint32_t c = 0; c < KERNEL_COLUMNS; c++) {
				uint32_t row = c % KERNEL_LANES;
				const int8_t *w =
					(const int8_t *)strip->runs[run][c / KERNEL_LANES] +
					row / 4 * strip->stride + row % 4;
				const int8_t *x = q + v * q_stride;
				int32_t sum = 0;

				for (uint32_t k = 0; k < inputs; k++)
					sum += x[k / 4 * 16 + k % 4] * w[4 * (size_t)k];
				d[v * KERNEL_COLUMNS + c] += sum;
			}
		q += 4 * (size_t)inputs;
	}
}

static uint32_t finish_vector(const struct finish *finish, const int32_t *d, uint32_t v,
			      uint32_t columns)
{
	const float *before = finish->before.first, *accumulate = finish->accumulate.first;
	float *y = finish->y.first + v * finish->y.stride;
	uint32_t largest = 0;

	for (uint32_t c = 0; c < columns; c++) {
		float t = (float)d[c] * finish->s[v];
		uint32_t bits;

		if (finish->scale)
			t = t * finish->scale[c];
		if (before)
			t = before[v * finish->before.stride + c] + t;
		if (accumulate)
			t = accumulate[v * finish->accumulate.stride + c] + t;
		if (finish->bias)
			t = t + finish->bias[c];
		y[c] = t;
		bits = magnitude_bits(t);
		largest = bits > largest ? bits : largest;
	}
	return largest;
}

uint32_t xbar_finish_scalar(const struct finish *finish, const int32_t *d, uint32_t vectors,
			    uint32_t columns)
{
	uint32_t largest = 0;

	for (uint32_t v = 0; v < vectors; v++, d += KERNEL_COLUMNS) {
		uint32_t bits = finish_vector(finish, d, v, columns);

		largest = bits > largest ? bits : largest;
	}
	return largest;
}

uint32_t xbar_fuse_scalar(const float *x, const float *scale, const float *bias, bool accumulate,
			  uint32_t count, float *y)
{
	uint32_t largest = 0;

	for (uint32_t c = 0; c < count; c++) {
		float t = x[c];
		uint32_t bits;

		if (scale)
			t = t * scale[c];
		if (bias)
			t = t + bias[c];
		if (accumulate)
			t = y[c] + t;
		y[c] = t;
		bits = magnitude_bits(t);
		largest = bits > largest ? bits : largest;
	}
	return largest;
}

/* Level of the cell that holds slice @slice of @weight on the positive (@side 1) or negative (-1) side. */
static int32_t level(const struct converter *converter, int32_t weight, uint32_t slice, int side)
{
	int32_t magnitude = weight * side;

	if (magnitude <= 0)
		return 0;
	return magnitude >> (slice * converter->cell_bits) & ((1 << converter->cell_bits) - 1);
}

static int32_t convert_sum(const struct converter *converter, int32_t sum, uint64_t *clips)
{
	int32_t above = sum - converter->offset, code = above >> converter->shift;

	if (converter->shift) {
		int32_t half = 1 << (converter->shift - 1);
		int32_t rest = above & (2 * half - 1);

		code += rest > half || (rest == half && (code & 1));
	}
	if (code < 0 || code > converter->last_code) {
		++*clips;
		code = code < 0 ? 0 : converter->last_code;
	}
	return code * (1 << converter->shift) + converter->offset;
}

/* One side (or the difference of both, @side 0) of one slice: the value of all bit-cycles of one vector. */
static int32_t convert_slice(const struct converter *converter, const int8_t *weights,
			     uint32_t quads, const uint8_t *lines, uint32_t slice, int side,
			     uint64_t *clips)
{
	int32_t sums[8] = { 0 }, value = 0;

	for (uint32_t k = 0; k < quads; k++) {
		const uint8_t *cycles = lines + (size_t)k * 8 * KERNEL_VECTORS;

		for (int row = 0; row < 4; row++) {
			int32_t weight = weights[4 * k + row], cell;

			if (side)
				cell = level(converter, weight, slice, side);
			else
				cell = level(converter, weight, slice, 1) -
				       level(converter, weight, slice, -1);
			if (cell)
				for (int cycle = 0; cycle < 8; cycle++)
					sums[cycle] += cycles[cycle] >> row & 1 ? cell : 0;
		}
	}
	for (int cycle = 0; cycle < 8; cycle++) {
		int32_t weight = cycle == 7 ? -128 : 1 << cycle;

		value += weight * convert_sum(converter, sums[cycle], clips);
	}
	return value * (1 << slice * converter->cell_bits);
}

uint64_t xbar_convert_scalar(const struct converter *converter, const int8_t *weights,
			     uint32_t quads, const uint8_t *lines, size_t line_stride,
			     uint32_t vectors, int32_t *sums)
{
	uint64_t clips = 0;

	for (uint32_t v = 0; v < vectors; v++) {
		const uint8_t *drive =
			lines + v / KERNEL_VECTORS * line_stride + v % KERNEL_VECTORS * 8;

		for (uint32_t slice = 0; slice < converter->slices; slice++) {
			if (!converter->after) {
				sums[v] += convert_slice(converter, weights, quads, drive, slice, 0,
							 &clips);
				continue;
			}
			sums[v] +=
				convert_slice(converter, weights, quads, drive, slice, 1, &clips);
			sums[v] -=
				convert_slice(converter, weights, quads, drive, slice, -1, &clips);
		}
	}
	return clips;
}
