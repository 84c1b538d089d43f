// SPDX-License-Identifier: MIT
/*
 * PROGRAM and READ: the cells of a matrix, row by row. What each of them does is told by physics.c; here it is counted, charged
 * and shown.
 */
#include <stdatomic.h>
#include <string.h>

#include "analog.h"
#include "job.h"

/* int8: -128 has no place in a differential pair of seven bits. */
static uint16_t check_row(const struct matrix *matrix, const char *row)
{
	for (uint32_t c = 0; c < matrix->entry.cols; c++) {
		if (matrix->entry.format == LF_FORMAT_INT8) {
			if (row[c] == INT8_MIN)
				return LF_STATUS_INVALID;
		} else {
			uint32_t bits;

			memcpy(&bits, row + c * sizeof(bits), sizeof(bits));
			if ((bits & 0x7fffffff) >= KERNEL_NONFINITE)
				return LF_STATUS_NONFINITE;
		}
	}
	return LF_STATUS_OK;
}

uint16_t xbar_check_program_data(const struct xbar_job *job, uint32_t *failed_command)
{
	for (uint32_t i = 0; i < job->request.command_count; i++) {
		const struct step *step = &job->steps[i];
		struct span input = span_of(job, &step->input);

		if (step->command->opcode != LF_OP_PROGRAM)
			continue;
		*failed_command = i;
		for (uint64_t row = 0; row < step->command->count; row++) {
			uint16_t status =
				check_row(step->matrix, input.memory + row * input.stride);

			if (status)
				return status;
		}
	}
	return LF_STATUS_OK;
}

/**
 * struct rows - rows of a matrix whose cells are read, each a piece of work
 * @physics: of the matrix; unused on the float device
 * @exact: every cell conducts what its level says
 * @first: the row of piece 0
 * @cells: struct lf_cell is wanted
 * @output: of piece 0
 */
struct rows {
	const struct xbar *xbar;
	const struct matrix *matrix;
	struct physics physics;
	bool exact;
	uint32_t first;
	bool cells;
	struct span output;
};

/* The cells of a weight of row @row: the first, and the next ones by side and slice. */
static struct place place_of(const struct rows *rows, uint32_t row, uint32_t col)
{
	const struct xbar *xbar = rows->xbar;
	uint32_t tile_row = row / xbar->params.tile_rows, tile_col = col / xbar->tile_weights;
	uint32_t tile = rows->matrix->tiles[(size_t)tile_row * rows->matrix->tile_cols + tile_col];

	return (struct place){
		.tile = tile,
		.row = row % xbar->params.tile_rows,
		.weight = xbar_spares_column(xbar, tile, col % xbar->tile_weights),
	};
}

static uint32_t level_of(const struct xbar *xbar, int8_t weight, const struct place *place)
{
	uint32_t cell_bits = xbar->params.cell_bits;
	int32_t magnitude = place->side ? -weight : weight;

	return magnitude > 0
		       ? (uint32_t)magnitude >> place->slice * cell_bits & ((1u << cell_bits) - 1)
		       : 0;
}

/* Columns of weights that a piece of work writes. */
#define ACCOUNT_COLUMNS 4

/**
 * struct writing - rows of one row of tiles, whose pulses are counted in pieces of ACCOUNT_COLUMNS columns
 * @tile_row: of the matrix
 * @inside: first row, of the tiles
 * @rows: how many
 * @pulses: sums over all pieces so far, as @failed
 * @slowest: most pulses of each row of cells; pairs in rows have two, else the first counts for both sides
 */
struct writing {
	const struct xbar *xbar;
	const struct matrix *matrix;
	struct physics physics;
	uint32_t tile_row;
	uint32_t inside;
	uint32_t rows;
	atomic_ullong pulses;
	atomic_ullong failed;
	atomic_uint slowest[2][KERNEL_GROUP];
};

/* Whoever is first or last: the largest stays. */
static void keep_largest(atomic_uint *largest, uint32_t value)
{
	uint32_t before = atomic_load(largest);

	while (before < value && !atomic_compare_exchange_weak(largest, &before, value))
		;
}

static void account_line(struct writing *writing, const struct place *place, const uint32_t *wear,
			 const int8_t *weights)
{
	const struct xbar *xbar = writing->xbar;
	atomic_uint *slowest =
		writing->slowest[xbar->params.pair == XBAR_PAIR_ROWS ? place->side : 0];
	double conductances[KERNEL_GROUP];
	uint8_t levels[KERNEL_GROUP];
	uint64_t pulses = 0, failed = 0;
	struct written written;

	for (uint32_t i = 0; i < writing->rows; i++)
		levels[i] = (uint8_t)level_of(xbar, weights[i], place);
	xbar_physics_column(&writing->physics, place, wear, levels, writing->rows, conductances,
			    &written);
	for (uint32_t i = 0; i < writing->rows; i++) {
		pulses += written.pulses[i];
		failed += written.failed[i];
		keep_largest(&slowest[i], written.pulses[i]);
	}
	atomic_fetch_add(&writing->pulses, pulses);
	atomic_fetch_add(&writing->failed, failed);
}

static void account_columns(void *argument, uint32_t index)
{
	struct writing *writing = argument;
	const struct xbar *xbar = writing->xbar;
	uint32_t first = index * ACCOUNT_COLUMNS, left = writing->matrix->entry.cols - first;
	int8_t weights[KERNEL_INPUTS];
	uint32_t wear[KERNEL_GROUP];

	for (uint32_t col = first; col < first + (left < ACCOUNT_COLUMNS ? left : ACCOUNT_COLUMNS);
	     col++) {
		uint32_t tile_col = col / xbar->tile_weights;
		uint32_t tile =
			writing->matrix
				->tiles[(size_t)writing->tile_row * writing->matrix->tile_cols +
					tile_col];
		struct place place = {
			.tile = tile,
			.row = writing->inside,
			.weight = xbar_spares_column(xbar, tile, col % xbar->tile_weights),
		};

		for (uint32_t i = 0; i < writing->rows; i++)
			wear[i] = xbar_tiles_wear(xbar, tile, writing->inside + i);
		xbar_cells_gather(xbar, writing->matrix, false, writing->tile_row, col, weights);
		for (place.side = 0; place.side < 2; place.side++)
			for (place.slice = 0; place.slice < xbar->slices; place.slice++)
				account_line(writing, &place, wear, weights + writing->inside);
	}
}

/* Counts the pulses of rows @first .. + @count - 1, a row of tiles after the other. */
static void account_rows(struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			 uint32_t count, uint32_t refreshes, struct program_work *work)
{
	uint32_t tile_rows = xbar->params.tile_rows;
	struct writing writing = { .xbar = xbar, .matrix = matrix };

	xbar_analog_physics(xbar, matrix, refreshes, &writing.physics);
	work->row_pulses = 0;
	for (uint32_t row = first; row < first + count; row += writing.rows) {
		writing.tile_row = row / tile_rows;
		writing.inside = row % tile_rows;
		writing.rows = tile_rows - writing.inside;
		if (writing.rows > first + count - row)
			writing.rows = first + count - row;
		memset(writing.slowest, 0, sizeof(writing.slowest));
		xbar_device_parallel(xbar,
				     (matrix->entry.cols + ACCOUNT_COLUMNS - 1) / ACCOUNT_COLUMNS,
				     account_columns, &writing);
		for (uint32_t i = 0; i < writing.rows; i++)
			work->row_pulses += writing.slowest[0][i] + writing.slowest[1][i];
	}
	work->pulses = writing.pulses;
	work->failed = writing.failed;
}

uint64_t xbar_program_worst(const struct xbar *xbar, const struct matrix *matrix, uint32_t rows)
{
	uint32_t pulses = xbar->params.verify_tolerance ? xbar->params.verify_pulses : 1;

	return (uint64_t)rows * matrix->entry.cols * xbar->cells_per_weight * pulses;
}

void xbar_program_account(struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			  uint32_t count, uint32_t refreshes, struct tally *tally, uint64_t *pulses,
			  uint64_t *failed)
{
	struct program_work work = {
		.cells = (uint64_t)count * matrix->entry.cols * xbar->cells_per_weight,
		.row_pulses = (uint64_t)count * (xbar->params.pair == XBAR_PAIR_ROWS ? 2 : 1),
	};

	work.pulses = work.cells;
	/* Who does not verify gives every cell one pulse and hears of no failure. */
	if (xbar->params.verify_tolerance)
		account_rows(xbar, matrix, first, count, refreshes, &work);
	xbar_energy_charge_program(&xbar->params, &work, tally);
	if (work.failed)
		xbar_raise(xbar, LF_EVENT_CELLS);
	*pulses = work.pulses;
	*failed = work.failed;
}

uint16_t xbar_execute_program(struct xbar_job *job, const struct step *step, struct tally *tally,
			      uint32_t *rows_done)
{
	struct xbar *xbar = job->xbar;
	struct matrix *matrix = step->matrix;
	struct image_matrix *entry = &matrix->entry;
	uint32_t first = step->command->first, count = step->command->count;
	struct account *account = xbar_ledger_open(xbar, job->request.account);
	struct span input = span_of(job, &step->input);
	uint64_t pulses, failed;

	*rows_done = 0;
	if (!account)
		return LF_STATUS_NO_SPACE;
	xbar_ledger_reserve(xbar, account, xbar_program_worst(xbar, matrix, count));
	xbar_tiles_wear_matrix(xbar, matrix, first, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = first + i;

		xbar_cells_write_row(xbar, matrix, row, input.memory + i * input.stride);
		matrix->programmed[row / 8] |= (uint8_t)(1 << row % 8);
	}
	xbar_nv_persist(&xbar->nv);
	matrix->rows_programmed += count;
	matrix->generation++;
	xbar->directory_generation++;
	xbar_program_account(xbar, matrix, first, count, entry->refreshes, tally, &pulses, &failed);
	/* With the entry they reach the medium at COMMIT. */
	entry->failed_cells += failed < UINT32_MAX - entry->failed_cells
				       ? (uint32_t)failed
				       : UINT32_MAX - entry->failed_cells;
	xbar_ledger_settle(xbar, account, pulses);
	*rows_done = count;
	return LF_STATUS_OK;
}

static bool is_programmed(const struct matrix *matrix, uint32_t row)
{
	return matrix->state != LF_MATRIX_TORN || matrix->programmed[row / 8] >> row % 8 & 1;
}

/* A cell of a row that was written, or is as the erasure left it. */
static void look(const struct rows *rows, const struct place *place, uint32_t wear, bool written,
		 int8_t weight, struct cell *cell)
{
	xbar_physics_at(&rows->physics, place, wear, level_of(rows->xbar, weight, place), cell);
	if (written)
		return;
	cell->flags &= (uint16_t)~LF_CELL_FAILED;
	cell->pulses = 0;
	cell->conductance = xbar_physics_erased(&rows->physics, place, wear);
}

/* The differences of the levels that are nearest to what the pairs conduct. */
static int8_t found_weight(const struct rows *rows, struct place place, uint32_t wear, bool written,
			   int8_t weight)
{
	const struct xbar_params *params = &rows->xbar->params;
	int32_t found = 0;

	for (place.side = 0; place.side < 2; place.side++)
		for (place.slice = 0; place.slice < rows->xbar->slices; place.slice++) {
			struct cell cell;
			int32_t level;

			look(rows, &place, wear, written, weight, &cell);
			level = (int32_t)xbar_physics_level(params, place.slice, cell.conductance);
			level <<= place.slice * params->cell_bits;
			found += place.side ? -level : level;
		}
	return (int8_t)found;
}

static struct lf_cell describe(const struct rows *rows, const struct place *place,
			       const struct cell *cell, uint32_t wear)
{
	struct lf_cell description = {
		.wear = wear,
		.endurance = cell->endurance,
		.pulses = cell->pulses,
		.flags = cell->flags,
	};
	float conductance = (float)cell->conductance;

	memcpy(&description.conductance, &conductance, sizeof(conductance));
	if (place->weight >= rows->xbar->tile_weights)
		description.flags |= LF_CELL_SPARE;
	return description;
}

static void read_cells(const struct rows *rows, uint32_t row, const void *weights, char *output)
{
	const struct xbar *xbar = rows->xbar;
	bool written = is_programmed(rows->matrix, row);
	uint32_t sides = xbar->params.format == LF_FORMAT_FP32 ? 1 : 2;

	for (uint32_t col = 0; col < rows->matrix->entry.cols; col++) {
		struct place place = place_of(rows, row, col);
		uint32_t wear = xbar_tiles_wear(xbar, place.tile, place.row);

		for (place.side = 0; place.side < sides; place.side++)
			for (place.slice = 0; place.slice < xbar->cells_per_weight / sides;
			     place.slice++) {
				struct cell cell = { .pulses = written, .endurance = UINT32_MAX };
				struct lf_cell description;

				if (sides == 1)
					cell.conductance = ((const float *)weights)[col];
				else
					look(rows, &place, wear, written,
					     ((const int8_t *)weights)[col], &cell);
				description = describe(rows, &place, &cell, wear);
				memcpy(output, &description, sizeof(description));
				output += sizeof(description);
			}
	}
}

static void read_row(void *argument, uint32_t index)
{
	const struct rows *rows = argument;
	const struct xbar *xbar = rows->xbar;
	uint32_t row = rows->first + index;
	char *output = rows->output.memory + index * rows->output.stride;
	float weights[XBAR_DIMENSION_MAX]; /* or as many of int8 */
	int8_t *found = (int8_t *)weights;

	if (!rows->cells && rows->exact) {
		xbar_cells_read_row(xbar, rows->matrix, row, output);
		return;
	}
	xbar_cells_read_row(xbar, rows->matrix, row, weights);
	if (rows->cells) {
		read_cells(rows, row, weights, output);
		return;
	}
	for (uint32_t col = 0; col < rows->matrix->entry.cols; col++) {
		struct place place = place_of(rows, row, col);

		output[col] =
			found_weight(rows, place, xbar_tiles_wear(xbar, place.tile, place.row),
				     is_programmed(rows->matrix, row), found[col]);
	}
}

/* A read of cells is one cycle for each row that is read alone, and a conversion for each of its cells. */
uint16_t xbar_execute_read(struct xbar_job *job, const struct step *step, struct tally *tally)
{
	struct xbar *xbar = job->xbar;
	const struct matrix *matrix = step->matrix;
	struct rows rows = {
		.xbar = xbar,
		.matrix = matrix,
		.exact = xbar_physics_is_exact(&xbar->params, (uint32_t)xbar->counters.stuck_parts,
					       xbar->temperature_mc),
		.first = step->command->first,
		.cells = step->command->flags & LF_READ_CELLS,
		.output = span_of(job, &step->output),
	};

	if (xbar->params.format != LF_FORMAT_FP32)
		xbar_analog_physics(xbar, matrix, matrix->entry.refreshes, &rows.physics);
	xbar_device_parallel(xbar, step->command->count, read_row, &rows);
	xbar_energy_charge_read(&xbar->params, step->command->count, matrix->entry.cols, tally);
	return LF_STATUS_OK;
}
