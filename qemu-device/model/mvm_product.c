// SPDX-License-Identifier: MIT
/*
 * Integer products of an MVM, from the weights where the memory has them: exactly, or conversion by conversion.
 */
#include <string.h>

#include "mvm.h"

/*
 * Inputs that a strip shows, so that its weights stay in the nearest cache while vectors pass: 32 KiB forward; in transpose half of
 * it, because inputs are spread and a strip may be half of each tile, which is half of the cache's sets.
 */
#define STRIP_INPUTS	       512
#define TRANSPOSE_STRIP_INPUTS 256

/* A strip that had to be copied: [KERNEL_COLUMNS] outputs by so many inputs, a multiple of 16. */
#define COPY_INPUTS	       256

/* Bytes of four rows by four columns, which no geometry tears apart. */
#define UNIT_BYTES	       16

/**
 * struct window - what a product still needs
 * @column: first output, a multiple of KERNEL_COLUMNS
 * @first: first input
 * @end: of the inputs of the product
 */
struct window {
	uint32_t column;
	uint32_t first;
	uint32_t end;
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint32_t round_up(uint32_t value, uint32_t to)
{
	return (value + to - 1) / to * to;
}

/* Whether 16 outputs and what a kernel loads with them always lie in one tile. */
static bool shows_tiles(const struct mvm *mvm)
{
	const struct xbar *xbar = mvm->xbar;

	return xbar->tile_weights % KERNEL_LANES == 0 &&
	       (!mvm->transpose || xbar->params.tile_rows % KERNEL_LANES == 0);
}

/* Pointers into the tiles of @window, whose first input begins a group; the number of inputs. */
static uint32_t show_tiles(const struct mvm *mvm, const struct window *window,
			   const uint8_t *(*runs)[KERNEL_POINTERS], struct strip *strip)
{
	const struct route *route = mvm->route;
	const struct xbar *xbar = mvm->xbar;
	uint32_t rows = xbar->params.tile_rows, weights = xbar->tile_weights;
	uint32_t along = mvm->transpose ? weights : rows, across = mvm->transpose ? rows : weights;
	uint32_t first = window->first / along;
	uint32_t wanted = mvm->transpose ? TRANSPOSE_STRIP_INPUTS : STRIP_INPUTS;
	uint32_t most = along < wanted ? wanted / along : 1;
	uint32_t inputs = least(window->end - window->first, most * along);
	uint32_t tiles[KERNEL_POINTERS];
	size_t offsets[KERNEL_POINTERS];

	strip->runs = runs;
	strip->count = (inputs + along - 1) / along;
	strip->inputs = along;
	strip->last_inputs =
		round_up(inputs - (strip->count - 1) * along, mvm->transpose ? KERNEL_LANES : 4);
	strip->stride = (size_t)weights * 4;
	for (uint32_t i = 0; i < KERNEL_POINTERS; i++) {
		uint32_t output = window->column + i * KERNEL_LANES;
		uint32_t unit = mvm->transpose ? weights : 4;

		/* Outputs that are not there are computed from others, and not looked at. */
		if (output >= route->outputs)
			output = window->column;
		tiles[i] = output / across;
		offsets[i] = (size_t)(output - tiles[i] * across) * unit;
	}
	for (uint32_t run = 0; run <= strip->count; run++) {
		uint32_t group = least(first + run, route->groups - 1);
		const uint8_t *tile = NULL;

		for (uint32_t i = 0; i < KERNEL_POINTERS; i++) {
			if (i == 0 || tiles[i] != tiles[i - 1])
				tile = mvm->transpose
					       ? xbar_cells_tile(xbar, mvm->matrix, tiles[i], group)
					       : xbar_cells_tile(xbar, mvm->matrix, group,
								 tiles[i]);
			runs[run][i] = tile + offsets[i];
		}
	}
	return inputs;
}

/* Four rows by four columns of the matrix, whatever tile they lie in; zeros outside. */
static void copy_unit(const struct mvm *mvm, uint32_t row, uint32_t column, uint8_t *to)
{
	uint32_t tile_rows = mvm->xbar->params.tile_rows, tile_weights = mvm->xbar->tile_weights;
	const uint8_t *tile;

	if (row >= mvm->matrix->entry.rows || column >= mvm->matrix->entry.cols) {
		memset(to, 0, UNIT_BYTES);
		return;
	}
	tile = xbar_cells_tile(mvm->xbar, mvm->matrix, row / tile_rows, column / tile_weights);
	memcpy(to,
	       tile + (size_t)(row % tile_rows) * tile_weights +
		       (size_t)(column % tile_weights) * 4,
	       UNIT_BYTES);
}

/* A copy in which 16 outputs lie together, for tiles that are no multiples of 16. */
static uint32_t copy_tiles(const struct mvm *mvm, const struct window *window, uint8_t *copy,
			   const uint8_t *(*runs)[KERNEL_POINTERS], struct strip *strip)
{
	uint32_t inputs = least(window->end - window->first, COPY_INPUTS);
	uint32_t padded = round_up(inputs, mvm->transpose ? KERNEL_LANES : 4);

	*strip = (struct strip){
		.runs = runs,
		.count = 1,
		.last_inputs = padded,
		.stride = 4 * (mvm->transpose ? COPY_INPUTS : KERNEL_COLUMNS),
	};
	for (uint32_t k = 0; k < padded; k += 4)
		for (uint32_t c = 0; c < KERNEL_COLUMNS; c += 4) {
			if (mvm->transpose)
				copy_unit(mvm, window->column + c, window->first + k,
					  copy + (size_t)c / 4 * strip->stride + (size_t)k * 4);
			else
				copy_unit(mvm, window->first + k, window->column + c,
					  copy + (size_t)k / 4 * strip->stride + (size_t)c * 4);
		}
	for (uint32_t i = 0; i < KERNEL_POINTERS; i++)
		runs[0][i] = runs[1][i] =
			copy +
			i * (mvm->transpose ? KERNEL_LANES / 4 * strip->stride : 4 * KERNEL_LANES);
	return inputs;
}

static void product_exact(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			  uint32_t column, uint32_t group, int32_t *d)
{
	const struct route *route = mvm->route;
	const uint8_t *runs[STRIP_INPUTS / 4 + 1][KERNEL_POINTERS];
	uint8_t copy[COPY_INPUTS * KERNEL_COLUMNS] __attribute__((aligned(64)));
	size_t index = (size_t)variant * mvm->count + row;
	const int8_t *q = mvm->q + index * mvm->q_stride;
	uint32_t segment = group == MVM_ALL_GROUPS || mvm->segments == 1 ? 0 : group;
	struct window window = { .column = column, .end = route->inputs };
	struct strip strip;
	bool more = false;

	if (group != MVM_ALL_GROUPS) {
		window.first = group * route->group;
		window.end = least(window.first + route->group, route->inputs);
	}
	while (window.first < window.end) {
		uint32_t inputs = shows_tiles(mvm) ? show_tiles(mvm, &window, runs, &strip)
						   : copy_tiles(mvm, &window, copy, runs, &strip);

		mvm->kernels->gemm[mvm->transpose](
			q + (mvm->spread ? 4 : 1) * (size_t)window.first, mvm->q_stride, &strip,
			mvm->sums + index * mvm->segments + segment, mvm->segments, rows, more, d);
		window.first += inputs;
		more = true;
	}
}

bool xbar_mvm_converts(const struct mvm *mvm, uint32_t output, uint32_t group)
{
	size_t row = mvm->tile_scale ? group : 0;

	if (mvm->transpose || mvm->partials.memory || !mvm->scale)
		return true;
	return mvm->scale[row * mvm->route->outputs + output] != 0.0f;
}

static uint64_t product_lossy(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			      uint32_t column, uint32_t columns, uint32_t group, int32_t *d)
{
	const struct route *route = mvm->route;
	uint32_t blocks = (mvm->count + KERNEL_VECTORS - 1) / KERNEL_VECTORS;
	uint32_t first = group == MVM_ALL_GROUPS ? 0 : group;
	uint32_t end = group == MVM_ALL_GROUPS ? route->groups : group + 1;
	const uint8_t *lines =
		mvm->lines + ((size_t)variant * blocks + row / KERNEL_VECTORS) * mvm->line_stride;
	int8_t weights[KERNEL_INPUTS];
	int32_t sums[KERNEL_COLUMNS][MVM_ROWS];
	uint64_t clips = 0;

	memset(sums, 0, sizeof(sums));
	for (uint32_t i = first; i < end; i++)
		for (uint32_t c = 0; c < columns; c++) {
			uint32_t quads = xbar_cells_gather(mvm->xbar, mvm->matrix, mvm->transpose,
							   i, column + c, weights) /
					 4;
			uint64_t clipped = mvm->convert(&route->converter, weights, quads,
							lines + (size_t)i * route->group / 4 * 8 *
									KERNEL_VECTORS,
							mvm->line_stride, rows, sums[c]);

			if (xbar_mvm_converts(mvm, column + c, i))
				clips += clipped;
		}
	d += column % KERNEL_COLUMNS;
	for (uint32_t v = 0; v < rows; v++)
		for (uint32_t c = 0; c < columns; c++)
			d[v * KERNEL_COLUMNS + c] = sums[c][v];
	return clips;
}

uint64_t xbar_mvm_product(const struct mvm *mvm, uint32_t variant, uint32_t row, uint32_t rows,
			  uint32_t column, uint32_t columns, uint32_t group, int32_t *d)
{
	if (mvm->route->path == ROUTE_ANALOG)
		return xbar_mvm_product_analog(mvm, variant, row, rows, column, columns, group, d);
	if (mvm->route->path == ROUTE_LOSSY)
		return product_lossy(mvm, variant, row, rows, column, columns, group, d);
	product_exact(mvm, variant, row, rows, column - column % KERNEL_COLUMNS, group, d);
	return 0;
}
