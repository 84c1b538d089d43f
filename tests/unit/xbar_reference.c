// SPDX-License-Identifier: MIT
/* The slow, direct MVM that the model is checked against; shares no code with it. */
#include "tests/unit/xbar_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static int64_t convert(struct reference_mvm *mvm, int64_t sum)
{
	const struct reference_tile *tile = &mvm->tile;
	double code, top;

	mvm->conversions++;
	if (!tile->adc_bits)
		return sum;
	top = ldexp(1.0, (int)tile->adc_bits) - 1.0;
	code = nearbyint((double)(sum - tile->adc_offset) / tile->adc_step);
	if (code < 0 || code > top) {
		mvm->clips++;
		code = code < 0 ? 0 : top;
	}
	return (int64_t)code * tile->adc_step + tile->adc_offset;
}

/* Level of the cell for a slice of a weight, on one side. */
static int level(const struct reference_tile *tile, int weight, uint32_t slice, bool positive)
{
	int magnitude = positive ? weight : -weight;

	if (magnitude <= 0)
		return 0;
	return magnitude / (1 << slice * tile->cell_bits) % (1 << tile->cell_bits);
}

static int weight_at(const struct reference_mvm *mvm, uint32_t input, uint32_t output)
{
	return mvm->transpose ? mvm->weights[(size_t)output * mvm->cols + input]
			      : mvm->weights[(size_t)input * mvm->cols + output];
}

/* The dot product of inputs [first, end) as the converters of one row or column of tiles see it. */
static int64_t dot_of_tile(struct reference_mvm *mvm, const int8_t *q, uint32_t first, uint32_t end,
			   uint32_t output)
{
	const struct reference_tile *tile = &mvm->tile;
	uint32_t slices = (7 + tile->cell_bits - 1) / tile->cell_bits;
	int64_t dot = 0;

	for (uint32_t slice = 0; slice < slices; slice++)
		for (int cycle = 0; cycle < 8; cycle++) {
			int64_t positive = 0, negative = 0, value;

			for (uint32_t k = first; k < end; k++) {
				int weight = weight_at(mvm, k, output);

				if (!((uint8_t)q[k] >> cycle & 1))
					continue;
				positive += level(tile, weight, slice, true);
				negative += level(tile, weight, slice, false);
			}
			if (tile->after)
				value = convert(mvm, positive) - convert(mvm, negative);
			else
				value = convert(mvm, positive - negative);
			value *= 1 << slice * tile->cell_bits;
			dot += cycle == 7 ? value * -128 : value * (1 << cycle);
		}
	return dot;
}

int8_t reference_quantise(float scaled)
{
	float rounded = nearbyintf(scaled);

	return (int8_t)(rounded < -127.0f ? -127.0f : rounded > 127.0f ? 127.0f : rounded);
}

/* q and s of one vector; @g are the scales of the columns in transpose. */
static float quantise(const struct reference_mvm *mvm, uint32_t vector, uint32_t inputs,
		      const float *g, int8_t *q)
{
	float largest = 0.0f, s = 0.0f, inverse = 0.0f;
	float *x = malloc(inputs * sizeof(*x));

	for (uint32_t k = 0; k < inputs; k++) {
		x[k] = mvm->input[(size_t)vector * inputs + k];
		if (mvm->factor)
			x[k] *= mvm->factor[k];
		if (g)
			x[k] *= g[k];
		if (fabsf(x[k]) > largest)
			largest = fabsf(x[k]);
	}
	if (mvm->fixed_scale != 0.0f) {
		s = mvm->fixed_scale;
		inverse = 1.0f / s;
	} else if (largest >= ldexpf(1.0f, -100)) {
		s = largest / 127.0f;
		inverse = 127.0f / largest;
	}
	for (uint32_t k = 0; k < inputs; k++)
		q[k] = reference_quantise(x[k] * inverse);
	free(x);
	return s;
}

static void one_output(struct reference_mvm *mvm, uint32_t vector, const int8_t *q, float s,
		       uint32_t output)
{
	uint32_t inputs = mvm->transpose ? mvm->cols : mvm->rows;
	uint32_t outputs = mvm->transpose ? mvm->rows : mvm->cols;
	uint32_t group = mvm->transpose ? mvm->tile.weights : mvm->tile.rows;
	uint32_t groups = (inputs + group - 1) / group;
	float *y = &mvm->output[(size_t)vector * outputs + output], t = 0.0f;
	int64_t total = 0;

	for (uint32_t i = 0; i < groups; i++) {
		int64_t d = dot_of_tile(mvm, q, i * group, least(inputs, (i + 1) * group), output);
		float partial = (float)d * s;

		total += d;
		if (mvm->transpose)
			continue;
		if (mvm->partials)
			mvm->partials[((size_t)vector * groups + i) * outputs + output] = partial;
		if (mvm->tile_scale) {
			partial *= mvm->scale[(size_t)i * outputs + output];
			t = i ? t + partial : partial;
		}
	}
	if (mvm->transpose || !mvm->tile_scale) {
		t = (float)total * s;
		if (!mvm->transpose && mvm->scale)
			t *= mvm->scale[output];
	}
	*y = mvm->accumulate ? *y + t : t;
	if (mvm->bias)
		*y += mvm->bias[output];
}

void reference_mvm(struct reference_mvm *mvm)
{
	uint32_t inputs = mvm->transpose ? mvm->cols : mvm->rows;
	uint32_t outputs = mvm->transpose ? mvm->rows : mvm->cols;
	int8_t *q = malloc(inputs);

	mvm->conversions = mvm->clips = 0;
	for (uint32_t v = 0; v < mvm->count; v++)
		for (uint32_t output = 0; output < outputs; output++) {
			uint32_t tile_row =
				mvm->transpose && mvm->tile_scale ? output / mvm->tile.rows : 0;
			const float *g = NULL;
			float s;

			if (mvm->transpose && mvm->scale)
				g = mvm->scale + (size_t)tile_row * mvm->cols;
			if (mvm->input_int8) {
				memcpy(q, mvm->input_int8 + (size_t)v * inputs, inputs);
				s = mvm->fixed_scale;
			} else {
				s = quantise(mvm, v, inputs, g, q);
			}
			one_output(mvm, v, q, s, output);
		}
	free(q);
}
