/* SPDX-License-Identifier: MIT */
/*
 * The truth about single cells: what a cell of a given place does, from the parameters, the seed and its history. Everything
 * drawn is a function of the key alone, so nothing of it is stored and any thread may ask in any order.
 */
#ifndef XBAR_PHYSICS_H
#define XBAR_PHYSICS_H

#include "params.h"

/**
 * struct place - a physical cell
 * @tile: physical tile
 * @row: row of inputs, 0 .. tile_rows - 1
 * @weight: physical column of weights, 0 .. tile_weights + spare_weights - 1; the last ones are the spare columns
 * @side: 0 the positive cell of the pair, 1 the negative
 * @slice: 0 the least significant
 */
struct place {
	uint32_t tile;
	uint32_t row;
	uint32_t weight;
	uint32_t side;
	uint32_t slice;
};

/**
 * struct history - what happened to a cell
 * @matrix: identifier of the matrix it belongs to
 * @refreshes: of that matrix
 * @wear: writes and erasures of its row group
 * @age_ns: modelled time since it was written
 * @stuck_parts: cells of a million that were made to be stuck
 * @temperature_mc: of the die
 */
struct history {
	uint32_t matrix;
	uint32_t refreshes;
	uint32_t wear;
	uint64_t age_ns;
	uint32_t stuck_parts;
	int32_t temperature_mc;
};

/**
 * struct cell - what physics says
 * @flags: LF_CELL_*
 * @pulses: of its last write
 * @endurance: writes and erasures it bears, UINT32_MAX when more
 * @conductance: fraction of the largest conductance, without IR drop and read noise
 */
struct cell {
	uint16_t flags;
	uint16_t pulses;
	uint32_t endurance;
	double conductance;
};

/* Whether any parameter makes a cell's conductance differ from its level: if not, nothing here need be asked. */
bool xbar_physics_is_exact(const struct xbar_params *params, uint32_t stuck_parts,
			   int32_t temperature_mc);

/* LF_CELL_STUCK_ON, _STUCK_OFF and _WORN of a cell; 0 for a good one. */
uint16_t xbar_physics_stuck(const struct xbar_params *params, const struct place *place,
			    const struct history *history);

/* The cell that was told to hold @level. */
void xbar_physics_cell(const struct xbar_params *params, const struct place *place,
		       const struct history *history, uint32_t level, struct cell *cell);

/* The level that is nearest to a conductance: what a refresh or a read finds. */
uint32_t xbar_physics_level(const struct xbar_params *params, uint32_t slice, double conductance);

/*
 * Ages of one bucket have the conductances of its youngest: eight buckets to each doubling, so that planes last. Returns the age
 * to compute with and stores the one at which the next bucket begins, UINT64_MAX for never.
 */
uint64_t xbar_physics_age(const struct xbar_params *params, uint64_t age_ns, uint64_t *next_ns);

#endif
