// SPDX-License-Identifier: MIT
/*
 * The age of matrices: when one is due for a refresh, and who is told; the refresh itself, LF_OP_REFRESH.
 *
 * A refresh reads the cells as physics has them, takes each pair for the weight that its levels are nearest to, and writes that in
 * place. What was read cannot be read again once it is overwritten, so the rows go through a journal: a few at a time are on
 * the medium there before they are written to the cells, and a cut leaves each row old or new and the journal knowing which.
 * Attaching completes what was cut: no matrix is ever seen half refreshed.
 *
 *   the quota is reserved and the wear counted
 *   the journal says that the matrix is being refreshed            from here on it will be
 *   for some rows after some rows: read, into the free slot; the journal says so; to the cells
 *   the entry gets a new time, key and checksum                    from here on it is
 *   the journal is empty
 *
 * In between the checksum of the entry holds for no state of the cells: the journal has one of what has been written, and one of
 * what that replaced, which with the rest of the rows makes that of the entry.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "analog.h"
#include "job.h"

#define NS_PER_S       1000000000ull

/* The journal's record has one state. */
#define JOURNAL_IN_USE 1

/* Modelled time at which @matrix is due for a refresh; UINT64_MAX for never. */
uint64_t xbar_refresh_due_ns(const struct xbar *xbar, const struct matrix *matrix)
{
	uint64_t seconds = xbar->params.refresh_s, due;

	if (matrix->state < LF_MATRIX_COMMITTED || seconds == XBAR_INFINITE)
		return UINT64_MAX;
	if (__builtin_mul_overflow(seconds, NS_PER_S, &due) ||
	    __builtin_add_overflow(due, matrix->entry.programmed_ns, &due))
		return UINT64_MAX;
	return due;
}

/* Matrices that are due. */
uint32_t xbar_refresh_count(const struct xbar *xbar)
{
	uint32_t count = 0;

	if (xbar->params.refresh_s == XBAR_INFINITE)
		return 0;
	for (uint32_t i = 0; i < xbar->params.matrices; i++)
		count += xbar_refresh_due_ns(xbar, &xbar->matrices[i]) <= xbar->counters.time_ns;
	return count;
}

/* @matrix was written: its time counts from here. */
void xbar_refresh_watch(struct xbar *xbar, const struct matrix *matrix)
{
	uint64_t due = xbar_refresh_due_ns(xbar, matrix);

	if (due < xbar->next_due_ns)
		xbar->next_due_ns = due;
}

/* Modelled time has passed since @before_ns. Matrices that were due then have been told of. */
void xbar_refresh_time_passed(struct xbar *xbar, uint64_t before_ns)
{
	uint64_t now = xbar->counters.time_ns, next = UINT64_MAX;

	if (now < xbar->next_due_ns)
		return;
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		uint64_t due = xbar_refresh_due_ns(xbar, &xbar->matrices[i]);

		if (due > before_ns && due <= now)
			xbar_raise(xbar, LF_EVENT_REFRESH);
		if (due > now && due < next)
			next = due;
	}
	xbar->next_due_ns = next;
}

/**
 * struct refreshing - some rows of a matrix that are read to be written again
 * @exact: cells hold what they were told to
 * @first: first row
 * @weights: receives them, [rows][cols]
 */
struct refreshing {
	const struct xbar *xbar;
	const struct matrix *matrix;
	struct physics physics;
	bool exact;
	uint32_t first;
	uint8_t *weights;
};

/*
 * What the pair at @place that was told to hold @weight is read as. A stuck cell is left out, for what it was told: it
 * cannot be written, and taken for its level it would be made up for by others, more with each refresh.
 */
static int8_t read_weight(const struct refreshing *refreshing, struct place *place, uint32_t wear,
			  int8_t weight)
{
	const struct xbar *xbar = refreshing->xbar;
	uint32_t cell_bits = xbar->params.cell_bits, mask = (1u << cell_bits) - 1;
	int32_t found = 0;

	for (place->side = 0; place->side < 2; place->side++) {
		int32_t magnitude = place->side ? -weight : weight;

		for (place->slice = 0; place->slice < xbar->slices; place->slice++) {
			uint32_t shift = place->slice * cell_bits, level;
			struct cell cell;

			level = magnitude > 0 ? (uint32_t)magnitude >> shift & mask : 0;
			xbar_physics_at(&refreshing->physics, place, wear, level, &cell);
			if (!(cell.flags & (LF_CELL_STUCK_ON | LF_CELL_STUCK_OFF)))
				level = xbar_physics_level(&xbar->params, place->slice,
							   cell.conductance);
			found += (place->side ? -1 : 1) * (int32_t)(level << shift);
		}
	}
	return (int8_t)found;
}

static void read_row(void *argument, uint32_t index)
{
	const struct refreshing *refreshing = argument;
	const struct xbar *xbar = refreshing->xbar;
	const struct matrix *matrix = refreshing->matrix;
	uint32_t row = refreshing->first + index, cols = matrix->entry.cols;
	int8_t *weights = (int8_t *)refreshing->weights + (size_t)index * cols * xbar->weight_bytes;
	struct place place = { .row = row % xbar->params.tile_rows };

	xbar_cells_read_row(xbar, matrix, row, weights);
	if (refreshing->exact)
		return;
	for (uint32_t col = 0; col < cols; col++) {
		uint32_t tile_row = row / xbar->params.tile_rows,
			 tile_col = col / xbar->tile_weights;

		place.tile = matrix->tiles[(size_t)tile_row * matrix->tile_cols + tile_col];
		place.weight = xbar_spares_column(xbar, place.tile, col % xbar->tile_weights);
		weights[col] =
			read_weight(refreshing, &place,
				    xbar_tiles_wear(xbar, place.tile, place.row), weights[col]);
	}
}

static uint64_t slot_offset(const struct xbar *xbar, uint32_t slot)
{
	return xbar->layout.journal + IMAGE_JOURNAL_STRIDE + slot * xbar->layout.slot_bytes;
}

static void write_journal(struct xbar *xbar, const struct image_journal *journal)
{
	xbar_nv_record_write(&xbar->nv, xbar->layout.journal, JOURNAL_IN_USE, journal,
			     sizeof(*journal), true);
}

static uint64_t row_bytes(const struct xbar *xbar, const struct matrix *matrix)
{
	return (uint64_t)matrix->entry.cols * xbar->weight_bytes;
}

/* From the journal to the cells; doing it again changes nothing. */
static void write_rows(struct xbar *xbar, struct matrix *matrix,
		       const struct image_journal *journal)
{
	const uint8_t *weights = xbar->nv.memory + slot_offset(xbar, journal->slot);

	for (uint32_t i = 0; i < journal->rows; i++)
		xbar_cells_write_row(xbar, matrix, journal->first + i,
				     weights + i * row_bytes(xbar, matrix));
	xbar_nv_persist(&xbar->nv);
}

/* The rows that @journal says have not been written; @refreshing->weights has room for a slot. */
static void write_rest(struct xbar *xbar, struct matrix *matrix, struct image_journal *journal,
		       struct refreshing *refreshing)
{
	uint32_t most = (uint32_t)(xbar->layout.slot_bytes / row_bytes(xbar, matrix));

	while (journal->first + journal->rows < matrix->entry.rows) {
		uint32_t left;
		uint64_t bytes;

		journal->first += journal->rows;
		left = matrix->entry.rows - journal->first;
		journal->rows = left < most ? left : most;
		journal->slot = !journal->slot;
		refreshing->first = journal->first;
		xbar_device_parallel(xbar, journal->rows, read_row, refreshing);
		bytes = journal->rows * row_bytes(xbar, matrix);
		journal->checksum =
			xbar->kernels->checksum(journal->checksum, refreshing->weights, bytes);
		journal->checksum_before = xbar_cells_checksum(xbar, matrix, journal->first,
							       journal->first + journal->rows,
							       journal->checksum_before);
		/* On the medium before the record that names it: a record has a barrier of its own. */
		xbar_nv_write(&xbar->nv, slot_offset(xbar, journal->slot), refreshing->weights,
			      bytes);
		write_journal(xbar, journal);
		write_rows(xbar, matrix, journal);
	}
}

/* All rows have been written: the matrix is as old as the journal, and what it took is in @tally; returns the pulses. */
static uint64_t finish(struct xbar *xbar, struct matrix *matrix,
		       const struct image_journal *journal, struct tally *tally)
{
	uint64_t pulses, failed;

	matrix->entry.refreshes = journal->refreshes + 1;
	matrix->entry.programmed_ns = journal->start_ns;
	matrix->entry.cells_checksum = journal->checksum;
	xbar_energy_charge_read(&xbar->params, matrix->entry.rows, matrix->entry.cols, tally);
	xbar_program_account(xbar, matrix, 0, matrix->entry.rows, matrix->entry.refreshes, tally,
			     &pulses, &failed);
	matrix->entry.failed_cells = failed < UINT32_MAX ? (uint32_t)failed : UINT32_MAX;
	/* Without memory for the test the entry says what it knew. */
	xbar_spares_test(xbar, matrix, tally);
	matrix->generation++;
	xbar_directory_update(xbar, matrix, matrix->state);
	xbar_nv_store(&xbar->nv, xbar->layout.journal, 0);
	xbar_nv_persist(&xbar->nv);
	xbar_refresh_watch(xbar, matrix);
	return pulses;
}

/* Prepares reading the cells of @matrix as they are at this modelled time; 0, -ENOMEM. */
static int prepare(struct xbar *xbar, const struct matrix *matrix, struct refreshing *refreshing)
{
	*refreshing = (struct refreshing){
		.xbar = xbar,
		.matrix = matrix,
		.exact = xbar_physics_is_exact(&xbar->params, (uint32_t)xbar->counters.stuck_parts,
					       xbar->temperature_mc),
		.weights = xbar_device_workspace(xbar, xbar->layout.slot_bytes),
	};
	if (!refreshing->weights)
		return -ENOMEM;
	if (!refreshing->exact)
		xbar_analog_physics(xbar, matrix, matrix->entry.refreshes, &refreshing->physics);
	return 0;
}

/**
 * xbar_refresh_execute() - LF_OP_REFRESH
 * @matrix: committed
 * @account_number: who pays; has been checked to have the worst case left
 * @tally: receives what it took
 * @cells: receives the cells written
 *
 * Return: LF_STATUS_*; nothing was done unless it is LF_STATUS_OK.
 */
uint16_t xbar_refresh_execute(struct xbar *xbar, struct matrix *matrix, uint32_t account_number,
			      struct tally *tally, uint64_t *cells)
{
	struct account *account = xbar_ledger_open(xbar, account_number);
	struct image_journal journal = {
		.matrix = matrix->entry.matrix,
		.refreshes = matrix->entry.refreshes,
		.start_ns = xbar->counters.time_ns,
	};
	struct refreshing refreshing;

	if (!account)
		return LF_STATUS_NO_SPACE;
	if (prepare(xbar, matrix, &refreshing))
		return LF_STATUS_INTERNAL;
	xbar_ledger_reserve(xbar, account, xbar_program_worst(xbar, matrix, matrix->entry.rows));
	xbar_tiles_wear_matrix(xbar, matrix, 0, matrix->entry.rows);
	write_journal(xbar, &journal);
	write_rest(xbar, matrix, &journal, &refreshing);
	xbar_ledger_settle(xbar, account, finish(xbar, matrix, &journal, tally));
	*cells = xbar_matrix_cells(xbar, matrix);
	return LF_STATUS_OK;
}

static int damaged(char *message, const char *what)
{
	if (message)
		snprintf(message, XBAR_MESSAGE_BYTES, "refresh in progress: %s", what);
	return -EILSEQ;
}

/*
 * The refresh that was cut, and its matrix; NULL when there is none, or when its entry says that it is complete. 0 or -EILSEQ.
 * Changes nothing in the memory.
 */
static int find_cut(struct xbar *xbar, struct image_journal *journal, struct matrix **found,
		    char *message)
{
	int state = xbar_nv_record_read(xbar->nv.memory, xbar->layout.journal, journal,
					sizeof(*journal));
	struct matrix *matrix;

	*found = NULL;
	if (state == 0)
		return 0;
	if (state != JOURNAL_IN_USE)
		return damaged(message, "wrong checksum");
	matrix = xbar_directory_find(xbar, journal->matrix);
	if (!matrix || matrix->state < LF_MATRIX_COMMITTED)
		return damaged(message, "its matrix is not there");
	if (matrix->entry.refreshes == journal->refreshes + 1)
		return 0;
	if (matrix->entry.refreshes != journal->refreshes)
		return damaged(message, "it is not of this time");
	if (journal->first > matrix->entry.rows ||
	    journal->rows > matrix->entry.rows - journal->first || journal->slot > 1 ||
	    journal->rows * row_bytes(xbar, matrix) > xbar->layout.slot_bytes)
		return damaged(message, "impossible rows");
	*found = matrix;
	return 0;
}

/* Whether what a cut refresh has written, is writing and has yet to write is what it was; 0 or -EILSEQ. */
static int check_rows(const struct xbar *xbar, const struct matrix *matrix,
		      const struct image_journal *journal, char *message)
{
	uint32_t next = journal->first + journal->rows;
	uint32_t written = xbar_cells_checksum(xbar, matrix, 0, journal->first, 0);

	written =
		xbar->kernels->checksum(written, xbar->nv.memory + slot_offset(xbar, journal->slot),
					journal->rows * row_bytes(xbar, matrix));
	if (written != journal->checksum ||
	    xbar_cells_checksum(xbar, matrix, next, matrix->entry.rows, journal->checksum_before) !=
		    matrix->entry.cells_checksum) {
		if (message)
			snprintf(message, XBAR_MESSAGE_BYTES,
				 "cells of matrix %u, whose refresh was cut: wrong checksum",
				 matrix->entry.matrix);
		return -EILSEQ;
	}
	return 0;
}

/**
 * xbar_refresh_attach() - whether the journal makes sense, and the cells with it
 * @cut: receives the matrix whose refresh was cut, NULL when there is none
 *
 * To be called with the directory attached.
 *
 * Return: 0 or -EILSEQ.
 */
int xbar_refresh_attach(struct xbar *xbar, const struct matrix **cut,
			char message[XBAR_MESSAGE_BYTES])
{
	struct image_journal journal;
	struct matrix *matrix;
	int error = find_cut(xbar, &journal, &matrix, message);

	*cut = matrix;
	if (error || !matrix)
		return error;
	/* Its cells are read as they were when it began. */
	if (xbar->counters.time_ns < journal.start_ns)
		xbar->counters.time_ns = journal.start_ns;
	return check_rows(xbar, matrix, &journal, message);
}

/* Completes a refresh that was cut; may itself be cut and repeated. 0, -ENOMEM with nothing done. */
int xbar_refresh_recover(struct xbar *xbar)
{
	struct image_journal journal;
	struct refreshing refreshing;
	struct tally tally = { 0 };
	struct matrix *matrix;

	find_cut(xbar, &journal, &matrix, NULL);
	if (matrix) {
		if (prepare(xbar, matrix, &refreshing))
			return -ENOMEM;
		write_rows(xbar, matrix, &journal);
		write_rest(xbar, matrix, &journal, &refreshing);
		finish(xbar, matrix, &journal, &tally);
		xbar_energy_charge_static(&xbar->params, &tally);
		xbar_device_add(xbar, &tally);
		xbar_device_store_counters(xbar, true);
	} else if (xbar_nv_record_read(xbar->nv.memory, xbar->layout.journal, &journal,
				       sizeof(journal))) {
		xbar_nv_store(&xbar->nv, xbar->layout.journal, 0);
		xbar_nv_persist(&xbar->nv);
	}
	return 0;
}
