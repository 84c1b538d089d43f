// SPDX-License-Identifier: MIT
/*
 * Making analog planes, a tile at a time. Conductances are first kept as fine as one cell allows, in 16 bits; only then are the
 * sums known that decide the fraction, and all are rounded to it and, where 12 bits hold them, packed where they lie.
 */
#include <stdlib.h>
#include <string.h>

#include "analog.h"
#include "irdrop.h"
#include "packed.h"
#include "physics.h"

/**
 * struct extent - of a tile, in units of the first pass
 * @sum: largest sum of one conversion of either direction
 * @cell: largest cell
 * @failed: there was no memory for it
 */
struct extent {
	uint32_t sum;
	uint16_t cell;
	bool failed;
};

/**
 * struct making - a plane in the making
 * @scale: from fractions of Gmax to units of 2^-@fine of a level
 * @fine: fraction of the first pass
 * @shift: what the second takes away of it
 * @cells: of the first pass, in the order of those of the plane
 * @extents: of each tile
 */
struct making {
	const struct xbar *xbar;
	const struct matrix *matrix;
	struct physics physics;
	struct analog *analog;
	double scale;
	uint32_t fine;
	uint32_t shift;
	uint16_t *cells;
	struct extent *extents;
};

void xbar_analog_free(struct analog *analog)
{
	if (analog)
		free(analog->cells);
	free(analog);
}

bool xbar_analog_needed(const struct xbar *xbar)
{
	return xbar->params.format != LF_FORMAT_FP32 &&
	       (xbar->params.ir_drop != XBAR_IR_OFF ||
		!xbar_physics_is_exact(&xbar->params, (uint32_t)xbar->counters.stuck_parts,
				       xbar->temperature_mc));
}

/* A tile of the matrix: where it is and how much of it is used. */
struct part {
	uint32_t ordinal;
	uint32_t tile;
	uint32_t tile_row;
	uint32_t rows;
	uint32_t first_col;
	uint32_t cols;
};

static struct part part_of(const struct making *making, uint32_t ordinal)
{
	const struct xbar *xbar = making->xbar;
	const struct matrix *matrix = making->matrix;
	uint32_t tile_rows = xbar->params.tile_rows;
	struct part part = {
		.ordinal = ordinal,
		.tile = matrix->tiles[ordinal],
		.tile_row = ordinal / matrix->tile_cols,
		.first_col = ordinal % matrix->tile_cols * xbar->tile_weights,
	};

	part.rows = matrix->entry.rows - part.tile_row * tile_rows;
	part.rows = part.rows < tile_rows ? part.rows : tile_rows;
	part.cols = matrix->entry.cols - part.first_col;
	part.cols = part.cols < xbar->tile_weights ? part.cols : xbar->tile_weights;
	return part;
}

/* The first cell of line @line, the sides and in each the slices, of a logical column of weights. */
static struct place place_of(const struct making *making, const struct part *part, uint32_t weight,
			     uint32_t line)
{
	return (struct place){
		.tile = part->tile,
		.weight = xbar_spares_column(making->xbar, part->tile, weight),
		.side = line / making->xbar->slices,
		.slice = line % making->xbar->slices,
	};
}

/* Cells of column @weight of a tile, of a side and slice. */
static uint16_t *column_of(const struct making *making, uint32_t ordinal, uint32_t side,
			   uint32_t slice, uint32_t weight)
{
	const struct xbar *xbar = making->xbar;
	size_t column =
		((size_t)(ordinal * 2 + side) * xbar->slices + slice) * xbar->tile_weights + weight;

	return making->cells + column * making->analog->column_cells;
}

/* The levels of one line of a column of weights. */
static void column_levels(const struct making *making, const int8_t *weights, uint32_t rows,
			  const struct place *place, uint8_t *levels)
{
	uint32_t cell_bits = making->xbar->params.cell_bits;
	uint32_t shift = place->slice * cell_bits, mask = (1u << cell_bits) - 1;

	for (uint32_t row = 0; row < rows; row++) {
		int32_t magnitude = place->side ? -weights[row] : weights[row];

		levels[row] = magnitude > 0 ? (uint8_t)(magnitude >> shift & mask) : 0;
	}
}

/* What was written to a column of a tile. */
static void column_weights(const struct making *making, const struct part *part, uint32_t weight,
			   int8_t *weights)
{
	xbar_cells_gather(making->xbar, making->matrix, false, part->tile_row,
			  part->first_col + weight, weights);
}

/* Rounds a column to units of the first pass. */
static void store_column(const struct making *making, const double *conductances, size_t stride,
			 uint32_t rows, uint16_t *cells)
{
	for (uint32_t row = 0; row < rows; row++) {
		double units = conductances[row * stride] * making->scale + 0.5;

		cells[row] = units < UINT16_MAX ? (uint16_t)units : UINT16_MAX;
	}
}

/* Without wires each column stands for itself. */
static void make_columns(const struct making *making, const struct part *part, const uint32_t *wear)
{
	const struct xbar *xbar = making->xbar;
	double conductances[KERNEL_GROUP];
	uint8_t levels[KERNEL_GROUP];
	int8_t weights[KERNEL_INPUTS];

	for (uint32_t weight = 0; weight < part->cols; weight++) {
		column_weights(making, part, weight, weights);
		for (uint32_t line = 0; line < 2 * xbar->slices; line++) {
			struct place place = place_of(making, part, weight, line);

			column_levels(making, weights, part->rows, &place, levels);
			xbar_physics_column(&making->physics, &place, wear, levels, part->rows,
					    conductances, NULL);
			store_column(
				making, conductances, 1, part->rows,
				column_of(making, part->ordinal, place.side, place.slice, weight));
		}
	}
}

/**
 * struct circuit - a tile as a crossbar of wires
 * @stride: columns of cells: of weights, spares among them, in each the sides (when they lie in columns), in each the slices
 * @step: rows of cells of a row of inputs: 2 when pairs lie in rows
 * @siemens: what the cells conduct, then what is left of it
 */
struct circuit {
	struct irdrop wires;
	uint32_t stride;
	uint32_t step;
	double *siemens;
	double *effective;
};

static size_t cell_of(const struct xbar *xbar, const struct circuit *circuit,
		      const struct place *place)
{
	uint32_t sides = circuit->step == 2 ? 1 : 2;
	uint32_t side_column = sides == 2 ? place->side : 0,
		 side_row = sides == 2 ? 0 : place->side;
	size_t row = (size_t)place->row * circuit->step + side_row;

	return row * circuit->stride + (place->weight * sides + side_column) * xbar->slices +
	       place->slice;
}

/* Every cell of the tile is in the circuit: those that no weight uses as they were left by the erasure. */
static void fill_circuit(const struct making *making, const struct part *part, const uint32_t *wear,
			 const struct circuit *circuit)
{
	const struct xbar *xbar = making->xbar;
	const struct xbar_params *params = &xbar->params;
	double g_max = (double)params->g_max_ns * 1e-9, conductances[KERNEL_GROUP];
	uint8_t levels[KERNEL_GROUP];
	int8_t weights[KERNEL_INPUTS];

	for (uint32_t weight = 0; weight < xbar->tile_weights + params->spare_weights; weight++)
		for (uint32_t line = 0; line < 2 * xbar->slices; line++) {
			struct place place = { part->tile, 0, weight, line / xbar->slices,
					       line % xbar->slices };

			for (; place.row < params->tile_rows; place.row++)
				circuit->siemens[cell_of(xbar, circuit, &place)] =
					g_max * xbar_physics_erased(&making->physics, &place,
								    wear[place.row]);
		}
	for (uint32_t weight = 0; weight < part->cols; weight++) {
		column_weights(making, part, weight, weights);
		for (uint32_t line = 0; line < 2 * xbar->slices; line++) {
			struct place place = place_of(making, part, weight, line);

			column_levels(making, weights, part->rows, &place, levels);
			xbar_physics_column(&making->physics, &place, wear, levels, part->rows,
					    conductances, NULL);
			for (; place.row < part->rows; place.row++)
				circuit->siemens[cell_of(xbar, circuit, &place)] =
					g_max * conductances[place.row];
		}
	}
}

/* With wires all cells of a tile belong together; false without memory. */
static bool make_circuit(const struct making *making, const struct part *part, const uint32_t *wear)
{
	const struct xbar *xbar = making->xbar;
	const struct xbar_params *params = &xbar->params;
	uint32_t sides = params->pair == XBAR_PAIR_ROWS ? 1 : 2;
	struct circuit circuit = {
		.step = 3 - sides,
		.stride = (xbar->tile_weights + params->spare_weights) * sides * xbar->slices,
	};
	double g_max = (double)params->g_max_ns * 1e-9;
	size_t cells;
	int error;

	circuit.wires = (struct irdrop){
		.rows = params->tile_rows * circuit.step,
		.columns = circuit.stride,
		.wire_ohm = params->wire_mohm / 1000.0,
		.driver_ohm = params->driver_mohm / 1000.0,
		.sense_ohm = params->sense_mohm / 1000.0,
	};
	cells = (size_t)circuit.wires.rows * circuit.stride;
	circuit.siemens = malloc(2 * cells * sizeof(double));
	if (!circuit.siemens)
		return false;
	circuit.effective = circuit.siemens + cells;
	fill_circuit(making, part, wear, &circuit);
	error = params->ir_drop == XBAR_IR_EXACT
			? xbar_irdrop_exact(&circuit.wires, circuit.siemens, circuit.effective)
			: xbar_irdrop_fast(&circuit.wires, circuit.siemens, circuit.effective);
	for (size_t i = 0; !error && i < cells; i++)
		circuit.effective[i] /= g_max;
	for (uint32_t weight = 0; !error && weight < part->cols; weight++)
		for (uint32_t line = 0; line < 2 * xbar->slices; line++) {
			struct place place = place_of(making, part, weight, line);

			store_column(
				making, circuit.effective + cell_of(xbar, &circuit, &place),
				(size_t)circuit.stride * circuit.step, part->rows,
				column_of(making, part->ordinal, place.side, place.slice, weight));
		}
	free(circuit.siemens);
	return !error;
}

static void measure(const struct making *making, const struct part *part, struct extent *extent)
{
	const struct xbar *xbar = making->xbar;
	uint32_t rows[KERNEL_GROUP], sum_most = 0;
	uint16_t cell_most = 0;

	for (uint32_t line = 0; line < 2 * xbar->slices; line++) {
		memset(rows, 0, sizeof(rows));
		for (uint32_t weight = 0; weight < part->cols; weight++) {
			const uint16_t *cells =
				column_of(making, part->ordinal, line / xbar->slices,
					  line % xbar->slices, weight);
			uint32_t sum = 0;

			for (uint32_t row = 0; row < part->rows; row++) {
				sum += cells[row];
				rows[row] += cells[row];
				cell_most = cells[row] > cell_most ? cells[row] : cell_most;
			}
			sum_most = sum > sum_most ? sum : sum_most;
		}
		for (uint32_t row = 0; row < part->rows; row++)
			sum_most = rows[row] > sum_most ? rows[row] : sum_most;
	}
	extent->sum = sum_most;
	extent->cell = cell_most;
}

static void make_tile(void *argument, uint32_t ordinal)
{
	struct making *making = argument;
	const struct xbar *xbar = making->xbar;
	struct extent *extent = &making->extents[ordinal];
	struct part part = part_of(making, ordinal);
	uint32_t wear[KERNEL_GROUP];

	for (uint32_t row = 0; row < xbar->params.tile_rows; row++)
		wear[row] = xbar_tiles_wear(xbar, part.tile, row);
	if (xbar->params.ir_drop == XBAR_IR_OFF)
		make_columns(making, &part, wear);
	else
		extent->failed = !make_circuit(making, &part, wear);
	measure(making, &part, extent);
}

/* A cell as the second pass leaves it; 32 bits for the sum that rounding makes. */
static uint16_t rounded(const struct making *making, uint32_t cell)
{
	return (uint16_t)((cell + (1u << making->shift >> 1)) >> making->shift);
}

static size_t tile_columns(const struct xbar *xbar)
{
	return (size_t)2 * xbar->slices * xbar->tile_weights;
}

/* Leaves a tile that is packed at the beginning of the room that it had. */
static void round_tile(void *argument, uint32_t ordinal)
{
	const struct making *making = argument;
	const struct analog *analog = making->analog;
	size_t columns = tile_columns(making->xbar);
	uint16_t *cells = column_of(making, ordinal, 0, 0, 0);
	uint8_t *packed = (uint8_t *)cells;

	for (size_t i = 0; making->shift && i < columns * analog->column_cells; i++)
		cells[i] = rounded(making, cells[i]);
	if (!analog->packed)
		return;
	for (size_t i = 0; i < columns; i++) {
		xbar_pack(cells, analog->column_cells, packed);
		cells += analog->column_cells;
		packed += analog->column_bytes;
	}
}

/* The packed tiles one behind the other, and no memory behind them; if that cannot be had, what was there remains. */
static void close_ranks(struct making *making, uint32_t tiles)
{
	struct analog *analog = making->analog;
	size_t bytes = tile_columns(making->xbar) * analog->column_bytes;
	uint8_t *to = (uint8_t *)making->cells;
	uint16_t *shrunk;

	for (uint32_t i = 1; i < tiles; i++)
		memmove(to + i * bytes, column_of(making, i, 0, 0, 0), bytes);
	shrunk = realloc(making->cells, tiles * bytes);
	if (shrunk)
		making->cells = shrunk;
}

/* The finest fraction with which the largest value of one cell fits. */
static uint32_t finest(double levels)
{
	uint32_t fraction = 0;

	while (fraction < 15 && levels * (2u << fraction) < UINT16_MAX)
		fraction++;
	return fraction;
}

/* How many bits of the fraction sums of at most @largest cannot have; rounding adds half a unit to each of @terms. */
static uint32_t excess(uint32_t largest, uint32_t terms)
{
	uint32_t shift = 0;

	while ((largest >> shift) + terms / 2 + 1 > UINT16_MAX)
		shift++;
	return shift;
}

static bool make_cells(struct xbar *xbar, struct making *making)
{
	uint32_t tiles = making->matrix->tile_rows * making->matrix->tile_cols;
	uint32_t terms = xbar->params.tile_rows > xbar->tile_weights ? xbar->params.tile_rows
								     : xbar->tile_weights;
	struct analog *analog = making->analog;
	struct extent whole = { 0 };

	xbar_device_parallel(xbar, tiles, make_tile, making);
	for (uint32_t i = 0; i < tiles; i++) {
		const struct extent *extent = &making->extents[i];

		if (extent->failed)
			return false;
		whole.sum = extent->sum > whole.sum ? extent->sum : whole.sum;
		whole.cell = extent->cell > whole.cell ? extent->cell : whole.cell;
	}
	making->shift = excess(whole.sum, terms);
	if (making->shift > making->fine)
		return false;
	analog->fraction = making->fine - making->shift;
	analog->packed = rounded(making, whole.cell) <= PACKED_MOST;
	analog->column_bytes = analog->packed ? xbar_packed_bytes(analog->column_cells)
					      : analog->column_cells * sizeof(*making->cells);
	analog->bytes = tiles * tile_columns(xbar) * analog->column_bytes;
	if (making->shift || analog->packed)
		xbar_device_parallel(xbar, tiles, round_tile, making);
	if (analog->packed)
		close_ranks(making, tiles);
	return true;
}

uint64_t xbar_analog_physics(const struct xbar *xbar, const struct matrix *matrix,
			     uint32_t refreshes, struct physics *physics)
{
	bool torn = matrix->state == LF_MATRIX_TORN;
	uint64_t age_ns = torn ? 0 : xbar->counters.time_ns - matrix->entry.programmed_ns, next_ns;
	struct history history = {
		.matrix = matrix->entry.matrix,
		.refreshes = refreshes,
		.age_ns = xbar_physics_age(&xbar->params, age_ns, &next_ns),
		.stuck_parts = (uint32_t)xbar->counters.stuck_parts,
		.temperature_mc = xbar->temperature_mc,
	};

	xbar_physics_of(&xbar->params, &history, physics);
	return next_ns;
}

static struct analog *make_analog(struct xbar *xbar, struct matrix *matrix)
{
	const struct image_matrix *entry = &matrix->entry;
	uint32_t tiles = matrix->tile_rows * matrix->tile_cols;
	struct making making = { .xbar = xbar, .matrix = matrix };
	struct analog *analog = calloc(1, sizeof(*analog));
	uint64_t next_ns;
	bool made = false;

	next_ns = xbar_analog_physics(xbar, matrix, entry->refreshes, &making.physics);
	making.extents = calloc(tiles, sizeof(*making.extents));
	making.cells =
		calloc(tiles * tile_columns(xbar) * xbar->params.tile_rows, sizeof(*making.cells));
	making.analog = analog;
	if (analog && making.cells && making.extents) {
		analog->generation = matrix->generation;
		analog->valid_until_ns = next_ns < UINT64_MAX - entry->programmed_ns
						 ? entry->programmed_ns + next_ns
						 : UINT64_MAX;
		analog->column_cells = xbar->params.tile_rows;
		making.fine = finest(xbar_physics_bound(&making.physics) / making.physics.step);
		making.scale = (double)(1u << making.fine) / making.physics.step;
		made = make_cells(xbar, &making);
	}
	free(making.extents);
	if (made) {
		analog->cells = (uint8_t *)making.cells;
		return analog;
	}
	free(making.cells);
	free(analog);
	return NULL;
}

struct analog *xbar_analog_get(struct xbar *xbar, struct matrix *matrix)
{
	struct analog *analog = matrix->analog;

	if (analog && analog->generation == matrix->generation &&
	    xbar->counters.time_ns < analog->valid_until_ns)
		return analog;
	xbar_analog_free(analog);
	matrix->analog = make_analog(xbar, matrix);
	return matrix->analog;
}
