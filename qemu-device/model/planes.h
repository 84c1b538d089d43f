/* SPDX-License-Identifier: MIT */
/*
 * A plane is the weights of a matrix for one direction, arranged for the path that computes it. Planes are made
 * when first used and again when the matrix's generation has changed.
 */
#ifndef XBAR_PLANES_H
#define XBAR_PLANES_H

#include "device.h"

enum plane_path {
	PLANE_EXACT, /* int8 products: [blocks of KERNEL_COLUMNS][inputs / 4][KERNEL_COLUMNS][4] */
	PLANE_LOSSY, /* every conversion: [groups][outputs][group] int8 */
	PLANE_FLOAT, /* fp32: [inputs][outputs] */
};

/**
 * struct plane - weights of one direction
 * @inputs: elements of a vector
 * @outputs: elements of a result
 * @group: inputs that one conversion sums: the rows of a tile, or in transpose its logical columns
 * @groups: number of groups
 * @quads: inputs / 4, rounded up
 * @converter: of the lossy path
 */
struct plane {
	enum plane_path path;
	uint64_t generation;
	uint32_t inputs;
	uint32_t outputs;
	uint32_t group;
	uint32_t groups;
	uint32_t quads;
	struct converter converter;
	void *weights;
};

/* The plane of a direction, made if need be; NULL without memory. It belongs to the matrix. */
struct plane *xbar_plane_get(struct xbar *xbar, struct matrix *matrix, bool transpose);

/* A lossy plane whatever the data, with converters of @step; free with xbar_plane_free(). For calibration. */
struct plane *xbar_plane_lossy(struct xbar *xbar, struct matrix *matrix, uint32_t step);

void xbar_plane_free(struct plane *plane);

#endif
