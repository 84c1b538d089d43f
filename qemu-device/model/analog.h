/* SPDX-License-Identifier: MIT */
/*
 * The analog plane of a matrix: the conductance of each of its cells with every error that does not change from read to
 * read: programming, relaxation, retention, stuck cells, a finite on/off ratio, temperature, and the voltage lost along
 * wires. With fixed conductances and grounded idle lines a crossbar is a linear circuit, so that loss is no more than other
 * conductances; and as the ends of its lines are the same in both directions, the circuit is reciprocal and one plane
 * serves both. Made when first used and again when the cells, their age or the temperature have changed.
 */
#ifndef XBAR_ANALOG_H
#define XBAR_ANALOG_H

#include "device.h"
#include "physics.h"

/**
 * struct analog - conductances, in units of 2^-@fraction of a level; a level is (Gmax - Gmin) / (2^cell_bits - 1), and a cell at
 *	level 0 holds Gmin, not 0
 * @generation: of the matrix when it was made
 * @valid_until_ns: modelled time at which its cells are of another age
 * @fraction: chosen such that no sum of one group of either direction leaves 16 bits, unsigned
 * @column_cells: cells of a column of cells: tile_rows
 * @packed: a cell has 12 bits, as packed.h has them; otherwise, where the largest has more than PACKED_MOST units, it is a uint16_t
 * @column_bytes: of a column of cells
 * @bytes: of all
 * @cells: [tiles of the matrix, as matrix->tiles][2 sides][slices][tile_weights][tile_rows]
 */
struct analog {
	uint64_t generation;
	uint64_t valid_until_ns;
	uint32_t fraction;
	uint32_t column_cells;
	bool packed;
	size_t column_bytes;
	size_t bytes;
	uint8_t *cells;
};

/*
 * What the cells of @matrix have in common at this modelled time, written for the @refreshes-th time. Returns the age at which they will
 * be others, UINT64_MAX for never.
 */
uint64_t xbar_analog_physics(const struct xbar *xbar, const struct matrix *matrix,
			     uint32_t refreshes, struct physics *physics);

/* Whether the matrix needs one at all: else its results follow from the stored weights. */
bool xbar_analog_needed(const struct xbar *xbar);

/* The plane, made if need be; NULL without memory. It belongs to the matrix. */
struct analog *xbar_analog_get(struct xbar *xbar, struct matrix *matrix);

void xbar_analog_free(struct analog *analog);

#endif
