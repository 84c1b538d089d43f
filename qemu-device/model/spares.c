// SPDX-License-Identifier: MIT
/*
 * Stuck cells and the spare columns that stand in for the worst of them. A tile has params.spare_weights physical columns of
 * weights more than logical ones; when a matrix is created the cells it will use are tested, and in each tile the logical
 * columns with the most stuck cells are given spare ones that have fewer. The map lasts as long as the matrix. Where no parameter
 * makes a cell stick, nothing is tested and nothing costs.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "physics.h"

static uint64_t map_bytes(const struct xbar *xbar)
{
	return xbar->params.spare_weights * sizeof(uint16_t);
}

static uint64_t map_offset(const struct xbar *xbar, uint32_t tile)
{
	return xbar->layout.spares + tile * map_bytes(xbar);
}

static uint16_t map_entry(const struct xbar *xbar, uint32_t tile, uint32_t spare)
{
	uint16_t entry;

	memcpy(&entry, xbar->nv.memory + map_offset(xbar, tile) + spare * sizeof(entry),
	       sizeof(entry));
	return entry;
}

/**
 * xbar_spares_column() - where the weights of a logical column lie
 * @tile: physical tile of a matrix
 * @weight: logical column of weights, 0 .. tile_weights - 1
 *
 * Return: the physical column, from tile_weights on a spare one.
 */
uint32_t xbar_spares_column(const struct xbar *xbar, uint32_t tile, uint32_t weight)
{
	for (uint32_t spare = 0; spare < xbar->params.spare_weights; spare++)
		if (map_entry(xbar, tile, spare) == weight + 1)
			return xbar->tile_weights + spare;
	return weight;
}

static uint32_t checksum_of(const struct xbar *xbar, const struct matrix *matrix)
{
	uint32_t checksum = 0;

	for (uint32_t i = 0; i < matrix->tile_rows * matrix->tile_cols; i++)
		checksum = xbar_crc32c_scalar(checksum,
					      xbar->nv.memory + map_offset(xbar, matrix->tiles[i]),
					      map_bytes(xbar));
	return checksum;
}

/* Whether the maps are those that the matrices were programmed with; changes nothing. */
int xbar_spares_attach(const struct xbar *xbar, char message[XBAR_MESSAGE_BYTES])
{
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		const struct matrix *matrix = &xbar->matrices[i];

		if (matrix->state < LF_MATRIX_COMMITTED ||
		    matrix->entry.spares_checksum == checksum_of(xbar, matrix))
			continue;
		if (message)
			snprintf(message, XBAR_MESSAGE_BYTES,
				 "spare columns of matrix %u: wrong checksum",
				 matrix->entry.matrix);
		return -EILSEQ;
	}
	return 0;
}

static bool cells_may_stick(const struct xbar *xbar)
{
	const struct xbar_params *params = &xbar->params;

	return params->format == LF_FORMAT_INT8 &&
	       (params->stuck_on || params->stuck_off || xbar->counters.stuck_parts ||
		params->endurance != XBAR_INFINITE);
}

/* Stuck cells of a physical column of weights in the first @rows rows of a tile. */
static uint32_t count_column(const struct xbar *xbar, uint32_t tile, uint32_t column, uint32_t rows)
{
	const struct history history = { .stuck_parts = (uint32_t)xbar->counters.stuck_parts,
					 .temperature_mc = xbar->temperature_mc };
	struct place place = { .tile = tile, .weight = column };
	uint32_t wear[KERNEL_GROUP], stuck = 0;
	struct physics physics;

	xbar_physics_of(&xbar->params, &history, &physics);
	for (uint32_t row = 0; row < rows; row++)
		wear[row] = xbar_tiles_wear(xbar, tile, row);
	for (place.side = 0; place.side < 2; place.side++)
		for (place.slice = 0; place.slice < xbar->slices; place.slice++)
			stuck += xbar_physics_count_stuck(&physics, &place, wear, rows);
	return stuck;
}

/*
 * The test knows what the physics says of each cell and is charged as one read; spare columns are read in a pass of their own. That
 * is a lower bound: on a chip a cell stuck off in an erased tile reads like a good one, and finding it takes a set pulse and an
 * erasure, their time and a cycle of wear, which are not charged.
 */
static void charge_test(const struct xbar *xbar, uint32_t rows, uint32_t columns,
			struct tally *tally)
{
	xbar_energy_charge_read(&xbar->params, rows, columns, tally);
	if (xbar->params.spare_weights)
		xbar_energy_charge_read(&xbar->params, rows, xbar->params.spare_weights, tally);
}

/* Stuck cells of a whole tile, spare columns included; 0 where cells do not stick. */
uint32_t xbar_spares_test_tile(const struct xbar *xbar, uint32_t tile, struct tally *tally)
{
	uint32_t columns = xbar->tile_weights + xbar->params.spare_weights, stuck = 0;

	if (!cells_may_stick(xbar))
		return 0;
	for (uint32_t column = 0; column < columns; column++)
		stuck += count_column(xbar, tile, column, xbar->params.tile_rows);
	charge_test(xbar, xbar->params.tile_rows, xbar->tile_weights, tally);
	return stuck;
}

/* What the test of one tile of a matrix found. */
struct finding {
	uint32_t stuck_before;
	uint32_t stuck_cells;
	uint32_t spares;
};

/**
 * struct test - of the tiles of a matrix
 * @map: whether spare columns are given out; else they stay as they are
 * @findings: one a tile
 * @counts: stuck cells, [tiles][tile_weights + spare_weights]
 * @maps: [tiles][spare_weights]
 */
struct test {
	const struct xbar *xbar;
	const struct matrix *matrix;
	bool map;
	struct finding *findings;
	uint32_t *counts;
	uint16_t *maps;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t used_rows(const struct xbar *xbar, const struct matrix *matrix, uint32_t ordinal)
{
	uint32_t first = ordinal / matrix->tile_cols * xbar->params.tile_rows;

	return least(matrix->entry.rows - first, xbar->params.tile_rows);
}

static uint32_t used_columns(const struct xbar *xbar, const struct matrix *matrix, uint32_t ordinal)
{
	uint32_t first = ordinal % matrix->tile_cols * xbar->tile_weights;

	return least(matrix->entry.cols - first, xbar->tile_weights);
}

static bool is_given(const uint16_t *map, uint32_t spares, uint32_t column)
{
	for (uint32_t spare = 0; spare < spares; spare++)
		if (map[spare] == column + 1)
			return true;
	return false;
}

/* The worst column gets the best spare one, and so on while that is better; the first among equals. */
static void give_out(const uint32_t *counts, uint32_t columns, const uint32_t *spare_counts,
		     uint32_t spares, uint16_t *map)
{
	for (uint32_t given = 0; given < spares; given++) {
		uint32_t worst = columns, best = spares;

		for (uint32_t column = 0; column < columns; column++)
			if ((worst == columns || counts[column] > counts[worst]) &&
			    !is_given(map, spares, column))
				worst = column;
		for (uint32_t spare = 0; spare < spares; spare++)
			if (!map[spare] &&
			    (best == spares || spare_counts[spare] < spare_counts[best]))
				best = spare;
		if (worst == columns || spare_counts[best] >= counts[worst])
			return;
		map[best] = (uint16_t)(worst + 1);
	}
}

static void test_tile(void *argument, uint32_t ordinal)
{
	const struct test *test = argument;
	const struct xbar *xbar = test->xbar;
	uint32_t spares = xbar->params.spare_weights, tile = test->matrix->tiles[ordinal];
	uint32_t rows = used_rows(xbar, test->matrix, ordinal);
	uint32_t columns = used_columns(xbar, test->matrix, ordinal);
	uint32_t *counts = test->counts + (size_t)ordinal * (xbar->tile_weights + spares);
	uint32_t *spare_counts = counts + xbar->tile_weights;
	uint16_t *map = test->maps + (size_t)ordinal * spares;
	struct finding finding = { 0 };

	for (uint32_t column = 0; column < columns; column++) {
		counts[column] = count_column(xbar, tile, column, rows);
		finding.stuck_before += counts[column];
	}
	for (uint32_t spare = 0; spare < spares; spare++) {
		spare_counts[spare] = count_column(xbar, tile, xbar->tile_weights + spare, rows);
		map[spare] = test->map ? 0 : map_entry(xbar, tile, spare);
	}
	if (test->map)
		give_out(counts, columns, spare_counts, spares, map);
	finding.stuck_cells = finding.stuck_before;
	for (uint32_t spare = 0; spare < spares; spare++) {
		if (!map[spare])
			continue;
		finding.spares++;
		finding.stuck_cells += spare_counts[spare] - counts[map[spare] - 1];
	}
	test->findings[ordinal] = finding;
}

/* Tests the tiles of @matrix; @maps receives the maps. 0, -ENOMEM. */
static int test_matrix(struct xbar *xbar, struct matrix *matrix, bool map, uint16_t *maps,
		       struct tally *tally)
{
	uint32_t tiles = matrix->tile_rows * matrix->tile_cols;
	size_t columns = xbar->tile_weights + xbar->params.spare_weights;
	struct finding *findings = xbar_device_workspace(
		xbar, tiles * (sizeof(*findings) + columns * sizeof(uint32_t)));
	struct test test = {
		.xbar = xbar,
		.matrix = matrix,
		.map = map,
		.findings = findings,
		.maps = maps,
	};

	if (!findings)
		return -ENOMEM;
	test.counts = (uint32_t *)(findings + tiles);
	xbar_device_parallel(xbar, tiles, test_tile, &test);
	matrix->entry.stuck_before = matrix->entry.stuck_cells = matrix->entry.spares = 0;
	for (uint32_t i = 0; i < tiles; i++) {
		matrix->entry.stuck_before += findings[i].stuck_before;
		matrix->entry.stuck_cells += findings[i].stuck_cells;
		matrix->entry.spares += findings[i].spares;
		charge_test(xbar, used_rows(xbar, matrix, i), used_columns(xbar, matrix, i), tally);
	}
	return 0;
}

/**
 * xbar_spares_assign() - test the tiles of a matrix and give out their spare columns
 * @matrix: in the making: its tiles are chosen, and nobody's yet
 * @tally: charged for the test
 *
 * Writes the maps, without a barrier; they mean nothing before the tiles have an owner. The entry receives what was found.
 *
 * Return: 0, -ENOMEM.
 */
int xbar_spares_assign(struct xbar *xbar, struct matrix *matrix, struct tally *tally)
{
	uint32_t tiles = matrix->tile_rows * matrix->tile_cols, spares = xbar->params.spare_weights;
	uint64_t bytes = map_bytes(xbar);
	uint16_t *maps = calloc((size_t)tiles * spares + 1, sizeof(*maps));
	int error = maps ? 0 : -ENOMEM;

	if (!error && cells_may_stick(xbar))
		error = test_matrix(xbar, matrix, true, maps, tally);
	for (uint32_t i = 0; !error && bytes && i < tiles; i++)
		xbar_nv_write(&xbar->nv, map_offset(xbar, matrix->tiles[i]),
			      maps + (size_t)i * spares, bytes);
	free(maps);
	if (!error)
		matrix->entry.spares_checksum = checksum_of(xbar, matrix);
	return error;
}

/**
 * xbar_spares_test() - test the tiles of a matrix again
 * @matrix: its entry receives the stuck cells there are, and keeps its spare columns
 * @tally: charged for the test
 *
 * Return: 0, -ENOMEM.
 */
int xbar_spares_test(struct xbar *xbar, struct matrix *matrix, struct tally *tally)
{
	uint32_t tiles = matrix->tile_rows * matrix->tile_cols;
	uint16_t *maps;
	int error;

	if (!cells_may_stick(xbar))
		return 0;
	maps = calloc((size_t)tiles * xbar->params.spare_weights + 1, sizeof(*maps));
	error = maps ? test_matrix(xbar, matrix, false, maps, tally) : -ENOMEM;
	free(maps);
	return error;
}
