/* SPDX-License-Identifier: MIT */
/*
 * How products with a matrix are computed in one direction. Whatever the path, the weights are read where the
 * non-volatile memory has them, so a route is a few numbers and a proof, kept until the cells or the converters change.
 */
#ifndef XBAR_ROUTES_H
#define XBAR_ROUTES_H

#include "kernels.h"

struct xbar;
struct matrix;

enum route_path {
	ROUTE_EXACT,  /* products of integers: no conversion can lose anything */
	ROUTE_LOSSY,  /* every conversion, of what exact cells give */
	ROUTE_ANALOG, /* every conversion, of what the cells of an analog plane give */
	ROUTE_FLOAT,  /* fp32 weights */
};

/**
 * struct route - one direction of a matrix
 * @known: the other members hold for @generation
 * @proved: @lossless does as well; not asked on the analog and the float path
 * @generation: of the matrix
 * @lossless: no conversion of any input can leave the range of the converters, whose step is one level
 * @inputs: elements of a vector
 * @outputs: elements of a result
 * @group: inputs that one conversion sums: the rows of a tile, or in transpose its logical columns
 * @groups: number of groups
 * @quads: inputs / 4, rounded up
 * @converter: with the step of the matrix; unused on the float path and where conversion is ideal
 */
struct route {
	bool known;
	bool proved;
	bool lossless;
	enum route_path path;
	uint64_t generation;
	uint32_t inputs;
	uint32_t outputs;
	uint32_t group;
	uint32_t groups;
	uint32_t quads;
	struct converter converter;
};

/* The route of a direction; it belongs to the matrix. */
const struct route *xbar_route(struct xbar *xbar, struct matrix *matrix, bool transpose);

/* A converter of this device with another step. */
struct converter xbar_route_converter(const struct xbar *xbar, uint32_t step);

#endif
