/* SPDX-License-Identifier: MIT */
/*
 * The truth about single cells: what a cell of a given place does, from the parameters, the seed and its history. Everything
 * drawn is a function of the key alone, so nothing of it is stored and any thread may ask in any order. The formulas and the
 * measurements behind them are in physics.c and Documentation/physics.md.
 */
#ifndef XBAR_PHYSICS_H
#define XBAR_PHYSICS_H

#include "draws.h"
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

/* Levels of a cell, and targets of a write. */
#define PHYSICS_LEVELS 128

/**
 * struct physics - what the cells of one matrix have in common, worked out once for all of them
 * @g_min: smallest conductance, as every conductance here a fraction of the largest
 * @step: between neighbouring levels
 * @target: conductance of each level
 * @sigma: spread of a pulse around it
 * @tolerance: of verifying; negative for none
 * @most_pulses: of a write
 * @programs: whether a pulse draws
 * @relaxes: whether relaxation draws
 * @relax_shift: what the age has moved the mean by
 * @relax_sigma: and the spread, of each level
 * @kept: share of what is above @g_min that retention has left
 * @warmth: factor of the temperature
 * @stuck_on: a draw of 32 bits below it is of a cell that is stuck on,
 * @stuck_off: else below it off,
 * @stuck_made: else below it made to be stuck
 * @worn_on: a draw of 32 bits below it sends a worn cell on
 * @unworn: wear that every cell bears
 * @median: endurance, 0 for none
 * @spread: standard deviation of its natural logarithm
 * @cell_key: key of what a cell is born with
 * @write_key: key of what a write draws
 * @draws: who draws for whole columns
 */
struct physics {
	double g_min;
	double step;
	double target[PHYSICS_LEVELS];
	double sigma[PHYSICS_LEVELS];
	double tolerance;
	uint32_t most_pulses;
	bool programs;
	bool relaxes;
	double relax_shift;
	double relax_sigma[PHYSICS_LEVELS];
	double kept;
	double warmth;
	uint64_t stuck_on;
	uint64_t stuck_off;
	uint64_t stuck_made;
	uint64_t worn_on;
	uint32_t unworn;
	double median;
	double spread;
	uint32_t cell_key[2];
	uint32_t write_key[2];
	const struct draws_ops *draws;
};

/* The physics of a matrix; @history's wear is not asked for, it differs from row to row. */
void xbar_physics_of(const struct xbar_params *params, const struct history *history,
		     struct physics *physics);

/* What a cell that was told to hold @level does; LF_CELL_SPARE is the caller's. */
void xbar_physics_at(const struct physics *physics, const struct place *place, uint32_t wear,
		     uint32_t level, struct cell *cell);

/**
 * struct written - what writing a column of cells took
 * @pulses: of each
 * @failed: whether it did not verify
 */
struct written {
	uint16_t pulses[DRAWS_MAX];
	bool failed[DRAWS_MAX];
};

/*
 * Conductances of a column of cells: @rows of them, at most DRAWS_MAX, from @place on, @levels those they were told to hold, @wear that of
 * each row; and in @written, unless it is NULL, how they got there. The same numbers as xbar_physics_at() gives, faster.
 */
void xbar_physics_column(const struct physics *physics, const struct place *place,
			 const uint32_t *wear, const uint8_t *levels, uint32_t rows,
			 double *conductances, struct written *written);

/* How many cells of a column of @rows, at most DRAWS_MAX, from @place on are stuck; @wear of each row. */
uint32_t xbar_physics_count_stuck(const struct physics *physics, const struct place *place,
				  const uint32_t *wear, uint32_t rows);

/* The conductance of a cell that was erased and not written since. */
double xbar_physics_erased(const struct physics *physics, const struct place *place, uint32_t wear);

/* A conductance that no cell exceeds, whatever is drawn. */
double xbar_physics_bound(const struct physics *physics);

/* Whether no sum of conductances of a tile leaves the 16 bits of struct analog; a device that is not exact must. */
bool xbar_physics_fits(const struct xbar_params *params);

/* Whether any parameter makes a cell's conductance differ from its level: if not, nothing here need be asked. */
bool xbar_physics_is_exact(const struct xbar_params *params, uint32_t stuck_parts,
			   int32_t temperature_mc);

/* The level that is nearest to a conductance: what a refresh or a read finds. */
uint32_t xbar_physics_level(const struct xbar_params *params, uint32_t slice, double conductance);

/*
 * Ages of one bucket have the conductances of its youngest: eight buckets to each doubling, so that planes last. Returns the age
 * to compute with and stores the one at which the next bucket begins, UINT64_MAX for never.
 */
uint64_t xbar_physics_age(const struct xbar_params *params, uint64_t age_ns, uint64_t *next_ns);

#endif
