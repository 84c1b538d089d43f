// SPDX-License-Identifier: MIT
/*
 * The directory of matrices. An entry is one record, so it changes in one store; the order of writes leaves a
 * matrix committed, torn or absent wherever power is cut:
 *
 *   create  tiles are erased and their spare columns given out, then they are owned, then the entry appears, torn
 *   commit  cells have reached the medium, then the entry changes its state
 *   delete  the entry goes, then the tiles become dirty, or free where nothing was written
 *
 * Tiles owned by no entry are what a cut in create or delete leaves; attaching releases them in the same way, and drops torn
 * matrices.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analog.h"
#include "device.h"

static uint64_t entry_offset(const struct xbar *xbar, uint32_t index)
{
	return xbar->layout.directory + (uint64_t)index * IMAGE_MATRIX_STRIDE;
}

static uint32_t divide_up(uint32_t value, uint32_t by)
{
	return (value + by - 1) / by;
}

static uint32_t tile_count(const struct matrix *matrix)
{
	return matrix->tile_rows * matrix->tile_cols;
}

uint64_t xbar_matrix_cells(const struct xbar *xbar, const struct matrix *matrix)
{
	return (uint64_t)matrix->entry.rows * matrix->entry.cols * xbar->cells_per_weight;
}

uint32_t xbar_matrix_adc_step(const struct xbar *xbar, const struct matrix *matrix)
{
	return matrix->entry.adc_step ? matrix->entry.adc_step : xbar_params_step(&xbar->params);
}

/* Sizes of @matrix's grid and memory for its tiles; false without memory. */
static bool set_grid(const struct xbar *xbar, struct matrix *matrix)
{
	matrix->tile_rows = divide_up(matrix->entry.rows, xbar->params.tile_rows);
	matrix->tile_cols = divide_up(matrix->entry.cols, xbar->tile_weights);
	matrix->tiles = malloc((size_t)tile_count(matrix) * sizeof(*matrix->tiles));
	return matrix->tiles;
}

static void forget(struct xbar *xbar, struct matrix *matrix)
{
	xbar_analog_free(matrix->analog);
	free(matrix->tiles);
	free(matrix->programmed);
	xbar->identifiers[matrix->index] = 0;
	*matrix = (struct matrix){ .index = matrix->index };
	xbar->directory_generation++;
}

static int damaged(char *message, uint32_t index, const char *what)
{
	if (message)
		snprintf(message, XBAR_MESSAGE_BYTES, "directory entry %u: %s", index, what);
	return -EILSEQ;
}

static int attach_entry(struct xbar *xbar, struct matrix *matrix, char *message)
{
	uint32_t index = matrix->index;
	const struct image_matrix *entry = &matrix->entry;
	int state = xbar_nv_record_read(xbar->nv.memory, entry_offset(xbar, index), &matrix->entry,
					sizeof(matrix->entry));

	if (state == 0)
		return 0;
	if (state < 0)
		return damaged(message, index, "wrong checksum");
	if (state > LF_MATRIX_PUBLISHED || entry->matrix == 0 ||
	    entry->matrix > IMAGE_MATRIX_LAST || entry->format != xbar->params.format)
		return damaged(message, index, "impossible state, identifier or format");
	if (entry->rows == 0 || entry->rows > XBAR_DIMENSION_MAX || entry->cols == 0 ||
	    entry->cols > XBAR_DIMENSION_MAX)
		return damaged(message, index, "impossible size");
	if (entry->adc_step & (entry->adc_step - 1) || entry->adc_step > XBAR_STEP_MAX)
		return damaged(message, index, "impossible step of the converters");
	if (entry->adc_step && xbar->params.adc_bits != XBAR_ADC_IDEAL &&
	    !xbar_params_step_fits(&xbar->params, entry->adc_step)) {
		if (message)
			snprintf(message, XBAR_MESSAGE_BYTES,
				 "adc_bits: matrix %u was calibrated to a step of %u, which these "
				 "converters cannot have",
				 entry->matrix, entry->adc_step);
		return -EINVAL;
	}
	if (xbar_directory_find(xbar, entry->matrix))
		return damaged(message, index, "identifier is there twice");
	if (!set_grid(xbar, matrix))
		return -ENOMEM;
	memset(matrix->tiles, 0xff, (size_t)tile_count(matrix) * sizeof(*matrix->tiles));
	matrix->state = (uint8_t)state;
	xbar->identifiers[index] = entry->matrix;
	return 0;
}

/* Tiles find their matrix; what belongs to none is left to recover(). */
static int attach_tiles(struct xbar *xbar, char *message)
{
	struct matrix *matrix = NULL;

	for (uint32_t tile = 0; tile < xbar->params.tiles; tile++) {
		uint32_t owner = xbar_tiles_owner(xbar, tile),
			 ordinal = xbar_tiles_ordinal(xbar, tile);

		if (owner == IMAGE_OWNER_NONE || owner > IMAGE_MATRIX_LAST)
			continue;
		if (!matrix || matrix->entry.matrix != owner)
			matrix = xbar_directory_find(xbar, owner);
		if (!matrix)
			continue;
		if (ordinal >= tile_count(matrix) || matrix->tiles[ordinal] != UINT32_MAX)
			return damaged(message, matrix->index, "a tile is out of place");
		matrix->tiles[ordinal] = tile;
	}
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		matrix = &xbar->matrices[i];
		if (matrix->state == 0 || matrix->state == LF_MATRIX_TORN)
			continue;
		for (uint32_t ordinal = 0; ordinal < tile_count(matrix); ordinal++)
			if (matrix->tiles[ordinal] == UINT32_MAX)
				return damaged(message, i, "a tile is missing");
	}
	return 0;
}

/* Reads and checks; changes nothing in the memory. */
int xbar_directory_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES])
{
	int error;

	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		xbar->matrices[i].index = i;
		error = attach_entry(xbar, &xbar->matrices[i], message);
		if (error)
			return error;
	}
	return attach_tiles(xbar, message);
}

/* Drop what a cut left behind; may itself be cut and repeated. */
void xbar_directory_recover(struct xbar *xbar)
{
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		struct matrix *matrix = &xbar->matrices[i];

		if (matrix->state != LF_MATRIX_TORN)
			continue;
		xbar_nv_store(&xbar->nv, entry_offset(xbar, i), 0);
		forget(xbar, matrix);
	}
	xbar_nv_persist(&xbar->nv);
	for (uint32_t tile = 0; tile < xbar->params.tiles; tile++) {
		uint32_t owner = xbar_tiles_owner(xbar, tile);

		if (owner != IMAGE_OWNER_NONE && owner <= IMAGE_MATRIX_LAST &&
		    !xbar_directory_find(xbar, owner))
			xbar_tiles_release(xbar, tile);
	}
	xbar_nv_persist(&xbar->nv);
	xbar->next_due_ns = UINT64_MAX;
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		const struct matrix *matrix = &xbar->matrices[i];

		if (!matrix->state)
			continue;
		xbar_ledger_hold_tiles(xbar, matrix->entry.account, tile_count(matrix));
		/* A cut may have lost time; nothing is younger than new. */
		if (matrix->entry.programmed_ns > xbar->counters.time_ns)
			xbar->counters.time_ns = matrix->entry.programmed_ns;
	}
	for (uint32_t i = 0; i < xbar->params.matrices; i++)
		if (xbar_refresh_due_ns(xbar, &xbar->matrices[i]) > xbar->counters.time_ns)
			xbar_refresh_watch(xbar, &xbar->matrices[i]);
}

void xbar_directory_free(struct xbar *xbar)
{
	for (uint32_t i = 0; xbar->matrices && xbar->identifiers && i < xbar->params.matrices; i++)
		forget(xbar, &xbar->matrices[i]);
	free(xbar->matrices);
	free(xbar->identifiers);
}

struct matrix *xbar_directory_find(struct xbar *xbar, uint32_t identifier)
{
	for (uint32_t i = 0; identifier && i < xbar->params.matrices; i++)
		if (xbar->identifiers[i] == identifier)
			return &xbar->matrices[i];
	return NULL;
}

/* Known to be stuck in the tiles of matrices, by the last test of each. */
uint64_t xbar_directory_stuck_cells(const struct xbar *xbar)
{
	uint64_t cells = 0;

	for (uint32_t i = 0; i < xbar->params.matrices; i++)
		if (xbar->matrices[i].state)
			cells += xbar->matrices[i].entry.stuck_cells;
	return cells;
}

uint32_t xbar_torn(const struct xbar *xbar)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < xbar->params.matrices; i++)
		count += xbar->matrices[i].state == LF_MATRIX_TORN;
	return count;
}

struct matrix *xbar_directory_find_name(struct xbar *xbar, const uint8_t name[LF_NAME_BYTES])
{
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		struct matrix *matrix = &xbar->matrices[i];

		if (matrix->state == LF_MATRIX_PUBLISHED &&
		    !memcmp(matrix->entry.publication.name, name, LF_NAME_BYTES))
			return matrix;
	}
	return NULL;
}

/* The identifiers go round once before one is used again. */
static uint32_t next_identifier(struct xbar *xbar)
{
	uint64_t next = xbar->counters.last_matrix;

	do {
		next = next >= IMAGE_MATRIX_LAST ? 1 : next + 1;
	} while (xbar_directory_find(xbar, (uint32_t)next));
	return (uint32_t)next;
}

uint16_t xbar_directory_create(struct xbar *xbar, uint32_t rows, uint32_t cols,
			       uint32_t account_number, struct tally *tally,
			       struct matrix **created)
{
	struct account *account = xbar_ledger_open(xbar, account_number);
	struct matrix *matrix = NULL;
	uint32_t identifier;
	int error;

	for (uint32_t i = 0; !matrix && i < xbar->params.matrices; i++)
		if (!xbar->matrices[i].state)
			matrix = &xbar->matrices[i];
	if (!matrix || !account)
		return LF_STATUS_NO_SPACE;

	identifier = next_identifier(xbar);
	matrix->entry = (struct image_matrix){
		.matrix = identifier,
		.rows = rows,
		.cols = cols,
		.account = account_number,
		.format = xbar->params.format,
		.programmed_ns = xbar->counters.time_ns,
	};
	matrix->programmed = calloc((rows + 7) / 8, 1);
	error = set_grid(xbar, matrix) && matrix->programmed ? 0 : -ENOMEM;
	if (!error)
		error = xbar_placement_take(xbar, tile_count(matrix), tally, matrix->tiles);
	if (!error)
		error = xbar_spares_assign(xbar, matrix, tally);
	if (error) {
		forget(xbar, matrix);
		return error == -ENOSPC ? LF_STATUS_NO_SPACE : LF_STATUS_INTERNAL;
	}

	/* Never given twice, even when the matrix does not survive. */
	xbar->counters.last_matrix = identifier;
	xbar_device_store_counters(xbar, true);
	for (uint32_t i = 0; i < tile_count(matrix); i++)
		xbar_tiles_assign(xbar, matrix->tiles[i], identifier, i);
	xbar_nv_persist(&xbar->nv);
	account->tiles += tile_count(matrix);
	xbar->identifiers[matrix->index] = identifier;
	xbar_directory_update(xbar, matrix, LF_MATRIX_TORN);
	*created = matrix;
	return LF_STATUS_OK;
}

/* The entry as it is in memory, with @state, becomes what the medium holds. */
void xbar_directory_update(struct xbar *xbar, struct matrix *matrix, uint8_t state)
{
	matrix->state = state;
	xbar_nv_record_write(&xbar->nv, entry_offset(xbar, matrix->index), state, &matrix->entry,
			     sizeof(matrix->entry), true);
	xbar->directory_generation++;
}

void xbar_directory_delete(struct xbar *xbar, struct matrix *matrix)
{
	struct account *account = xbar_ledger_find(xbar, matrix->entry.account);

	xbar_nv_store(&xbar->nv, entry_offset(xbar, matrix->index), 0);
	xbar_nv_persist(&xbar->nv);
	for (uint32_t i = 0; i < tile_count(matrix); i++)
		xbar_tiles_release(xbar, matrix->tiles[i]);
	xbar_nv_persist(&xbar->nv);
	if (account)
		account->tiles -= tile_count(matrix);
	forget(xbar, matrix);
}

void xbar_directory_info(const struct xbar *xbar, const struct matrix *matrix,
			 struct lf_matrix_info *info)
{
	const struct image_matrix *entry = &matrix->entry;
	bool torn = matrix->state == LF_MATRIX_TORN;
	uint32_t wear = 0;

	for (uint32_t i = 0; i < tile_count(matrix); i++)
		if (xbar->tile_wear[matrix->tiles[i]] > wear)
			wear = xbar->tile_wear[matrix->tiles[i]];
	*info = (struct lf_matrix_info){
		.index = matrix->index,
		.matrix = entry->matrix,
		.state = matrix->state,
		.format = (uint8_t)entry->format,
		.rows = entry->rows,
		.cols = entry->cols,
		.tile_rows = matrix->tile_rows,
		.tile_cols = matrix->tile_cols,
		.account = entry->account,
		.adc_step = xbar_matrix_adc_step(xbar, matrix),
		.wear_max = wear,
		.cells = xbar_matrix_cells(xbar, matrix),
		.publication = entry->publication,
		.programmed_ns = torn ? 0 : entry->programmed_ns,
		.due_ns = xbar_refresh_due_ns(xbar, matrix),
		.failed_cells = entry->failed_cells,
		.stuck_cells = entry->stuck_cells,
		.stuck_before = entry->stuck_before,
		.spares = entry->spares,
		.refreshes = entry->refreshes,
	};
}
