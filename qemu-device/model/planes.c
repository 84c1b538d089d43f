// SPDX-License-Identifier: MIT
/*
 * Making planes, and the proof that decides the path: when no conversion of any input can leave the range of a
 * converter of unit step, the converted sums are the sums, and the exact product of integers is the result.
 */
#include <stdlib.h>
#include <string.h>

#include "planes.h"

void xbar_plane_free(struct plane *plane)
{
	if (plane)
		free(plane->weights);
	free(plane);
}

static struct converter converter_of(const struct xbar *xbar, uint32_t step)
{
	const struct xbar_params *params = &xbar->params;

	return (struct converter){
		.slices = xbar->slices,
		.cell_bits = params->cell_bits,
		.after = params->adc_subtract == XBAR_SUBTRACT_AFTER,
		.shift = (uint32_t)__builtin_ctz(step),
		.offset = xbar_params_offset(params, step),
		.last_code = (1 << params->adc_bits) - 1,
	};
}

/* Largest sums of the two sides of every slice over one group of inputs, whichever of them are driven. */
static bool group_is_lossless(const struct converter *converter, const int8_t *weights,
			      uint32_t count)
{
	int32_t low = converter->offset, high = converter->last_code + converter->offset;
	int32_t mask = (1 << converter->cell_bits) - 1;

	for (uint32_t slice = 0; slice < converter->slices; slice++) {
		uint32_t shift = slice * converter->cell_bits;
		int32_t positive = 0, negative = 0;

		for (uint32_t i = 0; i < count; i++) {
			int32_t weight = weights[i];

			if (weight > 0)
				positive += weight >> shift & mask;
			else
				negative += -weight >> shift & mask;
		}
		if (converter->after ? positive > high || negative > high || low > 0
				     : positive > high || -negative < low)
			return false;
	}
	return true;
}

/* The matrix as [rows][cols] of its format; NULL without memory. */
static void *read_all(struct xbar *xbar, struct matrix *matrix)
{
	size_t row_bytes = (size_t)matrix->entry.cols * xbar->weight_bytes;
	uint8_t *weights = malloc(matrix->entry.rows * row_bytes);

	for (uint32_t row = 0; weights && row < matrix->entry.rows; row++)
		xbar_cells_read_row(xbar, matrix, row, weights + row * row_bytes);
	return weights;
}

static size_t exact_bytes(const struct plane *plane)
{
	size_t blocks = (plane->outputs + KERNEL_COLUMNS - 1) / KERNEL_COLUMNS;

	return blocks * plane->quads * 4 * KERNEL_COLUMNS;
}

/* @from[k * input_stride + c * output_stride] is the weight of input k and output c. */
static void pack_exact(struct plane *plane, const int8_t *from, size_t input_stride,
		       size_t output_stride, uint8_t flip)
{
	uint8_t *to = plane->weights;

	for (uint32_t first = 0; first < plane->outputs; first += KERNEL_COLUMNS)
		for (uint32_t k = 0; k < 4 * plane->quads; k += 4)
			for (uint32_t c = first; c < first + KERNEL_COLUMNS; c++)
				for (uint32_t i = k; i < k + 4; i++) {
					bool inside = i < plane->inputs && c < plane->outputs;
					int8_t weight =
						inside ? from[i * input_stride + c * output_stride]
						       : 0;

					*to++ = (uint8_t)weight ^ flip;
				}
}

static void pack_lossy(struct plane *plane, const int8_t *from, size_t input_stride,
		       size_t output_stride)
{
	int8_t *to = plane->weights;

	for (uint32_t first = 0; first < plane->groups * plane->group; first += plane->group)
		for (uint32_t c = 0; c < plane->outputs; c++)
			for (uint32_t i = first; i < first + plane->group; i++)
				*to++ = i < plane->inputs
						? from[i * input_stride + c * output_stride]
						: 0;
}

static void pack_float(struct plane *plane, const float *from, size_t input_stride,
		       size_t output_stride)
{
	float *to = plane->weights;

	for (uint32_t i = 0; i < plane->inputs; i++)
		for (uint32_t c = 0; c < plane->outputs; c++)
			*to++ = from[i * input_stride + c * output_stride];
}

static bool is_lossless(const struct plane *plane)
{
	const int8_t *weights = plane->weights;
	size_t columns = (size_t)plane->groups * plane->outputs;

	if (plane->converter.shift)
		return false;
	for (size_t i = 0; i < columns; i++)
		if (!group_is_lossless(&plane->converter, weights + i * plane->group, plane->group))
			return false;
	return true;
}

static struct plane *make_plane(struct xbar *xbar, struct matrix *matrix, bool transpose,
				uint32_t step, bool force_lossy)
{
	uint32_t rows = matrix->entry.rows, cols = matrix->entry.cols;
	size_t input_stride = transpose ? 1 : cols, output_stride = transpose ? cols : 1;
	struct plane *plane = calloc(1, sizeof(*plane));
	void *weights = read_all(xbar, matrix);

	if (!plane || !weights)
		goto fail;
	plane->generation = matrix->generation;
	plane->inputs = transpose ? cols : rows;
	plane->outputs = transpose ? rows : cols;
	plane->group = transpose ? xbar->tile_weights : xbar->params.tile_rows;
	plane->quads = (plane->inputs + 3) / 4;
	if (plane->group > 4 * plane->quads)
		plane->group = 4 * plane->quads;
	plane->groups = (plane->inputs + plane->group - 1) / plane->group;

	if (matrix->entry.format == LF_FORMAT_FP32) {
		plane->path = PLANE_FLOAT;
		plane->weights = malloc((size_t)rows * cols * sizeof(float));
		if (!plane->weights)
			goto fail;
		pack_float(plane, weights, input_stride, output_stride);
		free(weights);
		return plane;
	}
	if (xbar->params.adc_bits != XBAR_ADC_IDEAL) {
		plane->path = PLANE_LOSSY;
		plane->converter = converter_of(xbar, step);
		plane->weights = malloc((size_t)plane->groups * plane->outputs * plane->group);
		if (!plane->weights)
			goto fail;
		pack_lossy(plane, weights, input_stride, output_stride);
		if (force_lossy || !is_lossless(plane)) {
			free(weights);
			return plane;
		}
		free(plane->weights);
	}
	plane->path = PLANE_EXACT;
	plane->weights = aligned_alloc(64, exact_bytes(plane));
	if (!plane->weights)
		goto fail;
	pack_exact(plane, weights, input_stride, output_stride, xbar->kernels->weight_flip);
	free(weights);
	return plane;
fail:
	free(weights);
	xbar_plane_free(plane);
	return NULL;
}

struct plane *xbar_plane_get(struct xbar *xbar, struct matrix *matrix, bool transpose)
{
	struct plane *plane = matrix->planes[transpose];

	if (plane && plane->generation == matrix->generation)
		return plane;
	xbar_plane_free(plane);
	plane = make_plane(xbar, matrix, transpose, xbar_matrix_adc_step(xbar, matrix), false);
	matrix->planes[transpose] = plane;
	return plane;
}

struct plane *xbar_plane_lossy(struct xbar *xbar, struct matrix *matrix, uint32_t step)
{
	return make_plane(xbar, matrix, false, step, true);
}
