// SPDX-License-Identifier: MIT
/* Linear layers on crossbars; see linear.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/nn/linear.h"

uint32_t lf_device_weight_format(const struct lf_device *device)
{
	const struct lf_device_info *info = lf_device_info(device);

	return info->formats & (1u << LF_FORMAT_INT8) ? LF_FORMAT_INT8 : LF_FORMAT_FP32;
}

static int weight_quantise(struct lf_weight *weight, const float *values,
			   const struct lf_simd_ops *simd)
{
	struct lf_rows rows = { values, weight->rows };
	int8_t *cells = weight->cells;
	int8_t *steps;
	int ret;

	steps = malloc((size_t)weight->rows * weight->cols);
	if (!steps)
		return -ENOMEM;
	ret = simd->quantise_rows(steps, weight->scale, rows, weight->cols, weight->rows);
	if (!ret)
		for (size_t r = 0; r < weight->rows; r++)
			for (size_t c = 0; c < weight->cols; c++)
				cells[r * weight->cols + c] = steps[c * weight->rows + r];
	free(steps);
	return ret;
}

int lf_weight_create(struct lf_weight *weight, const float *values, uint32_t outputs,
		     uint32_t inputs, uint32_t format, const struct lf_simd_ops *simd,
		     struct lf_error *error)
{
	size_t element_bytes = format == LF_FORMAT_INT8 ? sizeof(int8_t) : sizeof(float);
	int ret = 0;

	*weight = (struct lf_weight){ .rows = inputs, .cols = outputs, .format = format };
	weight->cells = calloc((size_t)inputs * outputs, element_bytes);
	weight->scale = calloc(outputs, sizeof(*weight->scale));
	if (!weight->cells || !weight->scale) {
		ret = -ENOMEM;
	} else if (format == LF_FORMAT_INT8) {
		ret = weight_quantise(weight, values, simd);
	} else {
		float *cells = weight->cells;

		for (size_t c = 0; c < outputs; c++) {
			weight->scale[c] = 1.0f;
			for (size_t r = 0; r < inputs; r++)
				cells[r * outputs + c] = values[c * inputs + r];
		}
	}
	if (ret) {
		lf_weight_release(weight);
		return lf_error_set(
			error, ret,
			ret == -ENOMEM ? "no memory for a weight of %u x %u"
				       : "a weight of %u x %u holds NaN, Inf or a vanishing row",
			outputs, inputs);
	}
	return 0;
}

void lf_weight_scales(float *scale, const float *values, uint32_t outputs, uint32_t inputs,
		      const struct lf_simd_ops *simd)
{
	for (size_t c = 0; c < outputs; c++)
		scale[c] = simd->absmax(values + c * inputs, inputs) / 127.0f;
}

void lf_weight_release(struct lf_weight *weight)
{
	free(weight->cells);
	free(weight->scale);
	*weight = (struct lf_weight){ 0 };
}

void lf_weight_values(const struct lf_weight *weight, float *values)
{
	const int8_t *steps = weight->cells;
	const float *cells = weight->cells;

	for (size_t c = 0; c < weight->cols; c++)
		for (size_t r = 0; r < weight->rows; r++) {
			size_t at = r * weight->cols + c;

			values[c * weight->rows + r] = weight->format == LF_FORMAT_INT8
							       ? (float)steps[at] * weight->scale[c]
							       : cells[at];
		}
}

int lf_linear_open(struct lf_linear *linear, struct lf_device *device, const char *name,
		   uint32_t inputs, uint32_t outputs, struct lf_error *error)
{
	struct lf_matrix_info info;
	int ret;

	*linear = (struct lf_linear){ .inputs = inputs, .outputs = outputs };
	ret = lf_matrix_open(device, name, &linear->matrix, error);
	if (ret)
		return ret;
	ret = lf_matrix_info(linear->matrix, &info, error);
	if (!ret && (info.rows != inputs || info.cols != outputs))
		ret = lf_error_set(error, -EINVAL, "matrix %s is %u x %u, the model needs %u x %u",
				   name, info.rows, info.cols, inputs, outputs);
	if (ret)
		lf_linear_close(linear);
	return ret;
}

void lf_linear_close(struct lf_linear *linear)
{
	lf_matrix_close(linear->matrix);
	*linear = (struct lf_linear){ 0 };
}

void lf_linear_forward(const struct lf_linear *linear, struct lf_job *job, uint32_t count,
		       struct lf_view x, struct lf_view y, struct lf_view bias, uint16_t flags)
{
	struct lf_mvm mvm = { .matrix = linear->matrix,
			      .flags = flags,
			      .count = count,
			      .input = x,
			      .output = y,
			      .scale = linear->scale,
			      .bias = bias };

	lf_job_mvm(job, &mvm);
}

void lf_linear_backward(const struct lf_linear *linear, struct lf_job *job, uint32_t count,
			struct lf_view dy, struct lf_view dx, uint16_t flags)
{
	struct lf_mvm mvm = { .matrix = linear->matrix,
			      .flags = flags | LF_MVM_TRANSPOSE,
			      .count = count,
			      .input = dy,
			      .output = dx,
			      .scale = linear->scale };

	lf_job_mvm(job, &mvm);
}

void lf_job_copy(struct lf_job *job, uint32_t count, uint32_t width, struct lf_view from,
		 struct lf_view to)
{
	struct lf_fuse fuse = {
		.flags = LF_FUSE_AFFINE, .count = count, .width = width, .input = from, .output = to
	};

	lf_job_fuse(job, &fuse);
}
