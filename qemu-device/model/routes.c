// SPDX-License-Identifier: MIT
/*
 * Choosing the path, and the proof behind the exact one: when no conversion of any input can leave the range of a
 * converter of unit step, the converted sums are the sums, and the exact product of integers is the result.
 */
#include <string.h>

#include "analog.h"

/* Groups of inputs times outputs that one piece of the proof looks at. */
#define PROOF_PIECE 1024

struct converter xbar_route_converter(const struct xbar *xbar, uint32_t step)
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

			positive += (weight > 0 ? weight : 0) >> shift & mask;
			negative += (weight < 0 ? -weight : 0) >> shift & mask;
		}
		if (converter->after ? positive > high || negative > high || low > 0
				     : positive > high || -negative < low)
			return false;
	}
	return true;
}

/**
 * struct proof - the groups of a matrix, looked at in pieces
 * @lossless: of each piece
 */
struct proof {
	const struct xbar *xbar;
	const struct matrix *matrix;
	const struct route *route;
	bool transpose;
	uint8_t *lossless;
};

static void prove_piece(void *argument, uint32_t index)
{
	const struct proof *proof = argument;
	const struct route *route = proof->route;
	uint64_t first = (uint64_t)index * PROOF_PIECE, end = first + PROOF_PIECE;
	uint64_t all = (uint64_t)route->groups * route->outputs;
	int8_t weights[KERNEL_INPUTS];
	bool lossless = true;

	for (uint64_t i = first; lossless && i < end && i < all; i++) {
		uint32_t group = (uint32_t)(i / route->outputs);
		uint32_t output = (uint32_t)(i % route->outputs);
		uint32_t count = xbar_cells_gather(proof->xbar, proof->matrix, proof->transpose,
						   group, output, weights);

		lossless = group_is_lossless(&route->converter, weights, count);
	}
	proof->lossless[index] = lossless;
}

/* Whether all cells together could not clip, whatever they hold: then nothing has to be looked at. */
static bool converter_is_wide(const struct route *route)
{
	const struct converter *converter = &route->converter;
	uint32_t driven = route->group < route->inputs ? route->group : route->inputs;
	int32_t most = (int32_t)driven * ((1 << converter->cell_bits) - 1);

	return most <= converter->last_code + converter->offset &&
	       (converter->after ? converter->offset <= 0 : -most >= converter->offset);
}

/* Sets route->lossless, and route->proved unless there is no memory to find out. */
static void prove(struct xbar *xbar, const struct matrix *matrix, bool transpose,
		  struct route *route)
{
	uint64_t groups = (uint64_t)route->groups * route->outputs;
	uint32_t pieces = (uint32_t)((groups + PROOF_PIECE - 1) / PROOF_PIECE);
	struct proof proof = {
		.xbar = xbar,
		.matrix = matrix,
		.route = route,
		.transpose = transpose,
	};

	route->lossless = false;
	route->proved = true;
	if (route->converter.shift)
		return;
	route->lossless = true;
	if (xbar->params.adc_bits == XBAR_ADC_IDEAL || converter_is_wide(route))
		return;
	proof.lossless = xbar_device_workspace(xbar, pieces);
	route->proved = proof.lossless;
	if (proof.lossless)
		xbar_device_parallel(xbar, pieces, prove_piece, &proof);
	for (uint32_t i = 0; i < pieces && route->lossless; i++)
		route->lossless = proof.lossless && proof.lossless[i];
}

static void make_route(struct xbar *xbar, const struct matrix *matrix, bool transpose,
		       struct route *route)
{
	*route = (struct route){
		.known = true,
		.generation = matrix->generation,
		.inputs = transpose ? matrix->entry.cols : matrix->entry.rows,
		.outputs = transpose ? matrix->entry.rows : matrix->entry.cols,
		.group = transpose ? xbar->tile_weights : xbar->params.tile_rows,
		.groups = transpose ? matrix->tile_cols : matrix->tile_rows,
	};
	route->quads = (route->inputs + 3) / 4;
	if (matrix->entry.format != LF_FORMAT_FP32 && xbar->params.adc_bits != XBAR_ADC_IDEAL)
		route->converter = xbar_route_converter(xbar, xbar_matrix_adc_step(xbar, matrix));
}

const struct route *xbar_route(struct xbar *xbar, struct matrix *matrix, bool transpose)
{
	struct route *route = &matrix->routes[transpose];

	if (!route->known || route->generation != matrix->generation)
		make_route(xbar, matrix, transpose, route);
	if (matrix->entry.format == LF_FORMAT_FP32) {
		route->path = ROUTE_FLOAT;
		return route;
	}
	if (xbar->params.read_noise || xbar_analog_needed(xbar)) {
		route->path = ROUTE_ANALOG;
		return route;
	}
	if (!route->proved)
		prove(xbar, matrix, transpose, route);
	route->path = route->lossless ? ROUTE_EXACT : ROUTE_LOSSY;
	return route;
}
