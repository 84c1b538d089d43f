// SPDX-License-Identifier: MIT
/* See device_fixture.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/device_fixture.h"

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

void random_fill(float *values, size_t count, uint32_t seed)
{
	for (size_t i = 0; i < count; i++)
		values[i] = (float)next_random(&seed) / (1 << 23) - 1.0f;
}

void random_weights(void *weights, size_t count, uint32_t format, uint32_t seed)
{
	if (format == LF_FORMAT_FP32) {
		random_fill(weights, count, seed);
		return;
	}
	for (size_t i = 0; i < count; i++)
		((int8_t *)weights)[i] = (int8_t)((int)(next_random(&seed) % 255) - 127);
}

struct lf_device *open_device(const char *specification)
{
	struct lf_device *device;

	ck_assert_lf(lf_device_open(specification, &device, LF_ERROR));
	return device;
}

struct lf_buffer *make_buffer(struct lf_device *device, size_t bytes)
{
	struct lf_buffer *buffer;

	ck_assert_lf(lf_buffer_create(device, bytes, &buffer, LF_ERROR));
	return buffer;
}

uint32_t device_format(struct lf_device *device)
{
	uint32_t formats = lf_device_info(device)->formats;

	return formats & (1u << LF_FORMAT_INT8) ? LF_FORMAT_INT8 : LF_FORMAT_FP32;
}

struct lf_matrix *make_matrix(struct lf_device *device, uint32_t rows, uint32_t cols, uint32_t seed,
			      void **weights)
{
	uint32_t format = device_format(device);
	size_t count = (size_t)rows * cols;
	struct lf_matrix *matrix;

	*weights = malloc(count * (format == LF_FORMAT_FP32 ? sizeof(float) : 1));
	random_weights(*weights, count, format, seed);
	ck_assert_lf(lf_matrix_create(device, rows, cols, format, &matrix, LF_ERROR));
	ck_assert_lf(lf_matrix_program(matrix, 0, rows, *weights, NULL, LF_ERROR));
	ck_assert_lf(lf_matrix_commit(matrix, LF_ERROR));
	return matrix;
}

/* Numbers as the device drives them: q and s, or the values themselves on an fp32 matrix. */
struct driven {
	float *values;
	float s;
};

static void drive(const struct reference *mvm, const float *scale, struct driven *driven)
{
	bool transpose = mvm->flags & LF_MVM_TRANSPOSE;
	uint32_t count = transpose ? mvm->cols : mvm->rows;
	float absmax = 0.0f, inverse;

	for (uint32_t i = 0; i < count; i++) {
		float x = mvm->input[i];

		if (mvm->factor)
			x = x * mvm->factor[i];
		if (transpose && scale)
			x = x * scale[i];
		driven->values[i] = x;
		absmax = fabsf(x) > absmax ? fabsf(x) : absmax;
	}
	if (mvm->format == LF_FORMAT_FP32)
		return;
	driven->s = 0.0f;
	inverse = 0.0f;
	if (absmax >= 0x1p-100f) {
		inverse = 127.0f / absmax;
		driven->s = absmax / 127.0f;
	}
	for (uint32_t i = 0; i < count; i++) {
		float q = rintf(driven->values[i] * inverse);

		driven->values[i] = q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q;
	}
}

static float weight(const struct reference *mvm, uint32_t row, uint32_t col)
{
	size_t index = (size_t)row * mvm->cols + col;

	return mvm->format == LF_FORMAT_FP32 ? ((const float *)mvm->weights)[index]
					     : ((const int8_t *)mvm->weights)[index];
}

/* (float)d * s over [begin, end) of the reduced index. */
static float dot(const struct reference *mvm, const struct driven *driven, uint32_t output,
		 uint32_t begin, uint32_t end)
{
	bool transpose = mvm->flags & LF_MVM_TRANSPOSE;
	int32_t integer = 0;
	float sum = 0.0f;

	for (uint32_t i = begin; i < end; i++) {
		float w = transpose ? weight(mvm, output, i) : weight(mvm, i, output);

		if (mvm->format == LF_FORMAT_FP32)
			sum = sum + driven->values[i] * w;
		else
			integer += (int32_t)driven->values[i] * (int32_t)w;
	}
	return mvm->format == LF_FORMAT_FP32 ? sum : (float)integer * driven->s;
}

static void finish(const struct reference *mvm, uint32_t output, float t)
{
	float y = mvm->flags & LF_MVM_ACCUMULATE ? mvm->output[output] + t : t;

	if (mvm->bias)
		y = y + mvm->bias[output];
	mvm->output[output] = y;
}

static void multiply_forward(const struct reference *mvm, struct driven *driven)
{
	bool tile_scale = mvm->flags & LF_MVM_TILE_SCALE;
	uint32_t tiles = (mvm->rows + mvm->tile_rows - 1) / mvm->tile_rows;

	drive(mvm, NULL, driven);
	for (uint32_t c = 0; c < mvm->cols; c++) {
		float t = 0.0f;

		for (uint32_t i = 0; i < tiles; i++) {
			uint32_t end = (i + 1) * mvm->tile_rows;
			float partial = dot(mvm, driven, c, i * mvm->tile_rows,
					    end < mvm->rows ? end : mvm->rows);

			if (mvm->partials)
				mvm->partials[i * mvm->cols + c] = partial;
			if (tile_scale)
				partial = partial * mvm->scale[i * mvm->cols + c];
			t = i ? t + partial : partial;
		}
		if (!tile_scale) {
			t = dot(mvm, driven, c, 0, mvm->rows);
			if (mvm->scale)
				t = t * mvm->scale[c];
		}
		finish(mvm, c, t);
	}
}

static void multiply_transpose(const struct reference *mvm, struct driven *driven)
{
	bool tile_scale = mvm->flags & LF_MVM_TILE_SCALE;

	for (uint32_t r = 0; r < mvm->rows; r++) {
		uint32_t tile = r / mvm->tile_rows;

		if (!r || (tile_scale && r % mvm->tile_rows == 0))
			drive(mvm, tile_scale ? mvm->scale + tile * mvm->cols : mvm->scale, driven);
		finish(mvm, r, dot(mvm, driven, r, 0, mvm->cols));
	}
}

void fixture_mvm(const struct reference *mvm)
{
	struct driven driven = {
		.values = malloc((mvm->rows > mvm->cols ? mvm->rows : mvm->cols) * sizeof(float)),
	};

	if (mvm->flags & LF_MVM_TRANSPOSE)
		multiply_transpose(mvm, &driven);
	else
		multiply_forward(mvm, &driven);
	free(driven.values);
}
