/* SPDX-License-Identifier: MIT */
/*
 * One linear layer on a crossbar, y = x W^T + bias, as commands of a job; and the host's side of programming a weight:
 * quantised by output column, transposed to the device's [inputs][outputs].
 */
#ifndef LF_RUNTIME_NN_LINEAR_H
#define LF_RUNTIME_NN_LINEAR_H

#include <lf/job.h>

#include "runtime/simd/simd.h"

/**
 * struct lf_weight - a weight ready for the device
 * @rows: inputs of the layer
 * @cols: outputs of the layer
 * @format: LF_FORMAT_*
 * @cells: [@rows][@cols] of the format
 * @scale: [@cols] value of one step of each column; ones for fp32
 */
struct lf_weight {
	uint32_t rows;
	uint32_t cols;
	uint32_t format;
	void *cells;
	float *scale;
};

/**
 * lf_weight_create() - bring a weight into the device's form
 * @weight: filled; release with lf_weight_release()
 * @values: [@outputs][@inputs], as a linear layer stores it
 * @format: LF_FORMAT_*
 *
 * Return: 0, -EINVAL (NaN, Inf, or a row too small to scale), -ENOMEM.
 */
int lf_weight_create(struct lf_weight *weight, const float *values, uint32_t outputs,
		     uint32_t inputs, uint32_t format, const struct lf_simd_ops *simd,
		     struct lf_error *error);

/** lf_weight_scales() - the @scale that lf_weight_create() gives int8 columns, without the weight */
void lf_weight_scales(float *scale, const float *values, uint32_t outputs, uint32_t inputs,
		      const struct lf_simd_ops *simd);

/** lf_weight_release() - free what lf_weight_create() made */
void lf_weight_release(struct lf_weight *weight);

/** lf_weight_values() - what the cells stand for: [cols][rows], the layer's own layout */
void lf_weight_values(const struct lf_weight *weight, float *values);

/** lf_device_weight_format() - the format a device holds weights in: int8, or fp32 where it has that only */
uint32_t lf_device_weight_format(const struct lf_device *device);

/**
 * struct lf_linear - a programmed layer and where its constants are
 * @matrix: [inputs][outputs]
 * @inputs: elements of x
 * @outputs: elements of y
 * @scale: [outputs], the column scales; LF_VIEW_NONE on an fp32 matrix
 * @bias: [outputs], LF_VIEW_NONE without
 */
struct lf_linear {
	struct lf_matrix *matrix;
	uint32_t inputs;
	uint32_t outputs;
	struct lf_view scale;
	struct lf_view bias;
};

/** lf_linear_open() - open the matrix @name and check its shape; scale and bias are the caller's to set */
int lf_linear_open(struct lf_linear *linear, struct lf_device *device, const char *name,
		   uint32_t inputs, uint32_t outputs, struct lf_error *error);

/** lf_linear_close() - close the matrix */
void lf_linear_close(struct lf_linear *linear);

/** lf_linear_forward() - add y = x W^T to @job; @flags: LF_MVM_ACCUMULATE or 0; @bias as wanted, or none */
void lf_linear_forward(const struct lf_linear *linear, struct lf_job *job, uint32_t count,
		       struct lf_view x, struct lf_view y, struct lf_view bias, uint16_t flags);

/** lf_linear_backward() - add dx = dy W to @job; @flags: LF_MVM_ACCUMULATE or 0 */
void lf_linear_backward(const struct lf_linear *linear, struct lf_job *job, uint32_t count,
			struct lf_view dy, struct lf_view dx, uint16_t flags);

/** lf_job_copy() - add the copying of @count vectors of @width elements to @job */
void lf_job_copy(struct lf_job *job, uint32_t count, uint32_t width, struct lf_view from,
		 struct lf_view to);

static inline struct lf_rows lf_rows_of(const float *data, size_t stride)
{
	return (struct lf_rows){ data, stride };
}

static inline struct lf_rows_out lf_rows_out_of(float *data, size_t stride)
{
	return (struct lf_rows_out){ data, stride };
}

#endif
