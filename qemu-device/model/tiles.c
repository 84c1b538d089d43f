// SPDX-License-Identifier: MIT
/*
 * The tile table and wear: who owns which tile, how often its cells were written or erased, erasing. Which tiles a
 * matrix gets is decided in placement.c.
 *
 * Wear is counted for groups of params.wear_rows rows, and a group counts what its most worn row has seen: one for all
 * writes of rows of one matrix, which writes each row once; one for an erasure, if there was something to erase in it; one for a
 * refresh. Of a single row it is an upper bound. So who writes causes at most one erasure for each write, of the groups it wrote.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "device.h"

static uint64_t tile_word(const struct xbar *xbar, uint32_t tile)
{
	const uint64_t *words = (const void *)(xbar->nv.memory + xbar->layout.tiles);

	return words[tile];
}

static uint64_t wear_offset(const struct xbar *xbar, uint32_t tile, uint32_t group)
{
	return xbar->layout.wear +
	       ((uint64_t)tile * xbar->layout.wear_groups + group) * sizeof(uint64_t);
}

static uint64_t wear_word(const struct xbar *xbar, uint32_t tile, uint32_t group)
{
	uint64_t word;

	memcpy(&word, xbar->nv.memory + wear_offset(xbar, tile, group), sizeof(word));
	return word;
}

/**
 * xbar_tiles_wear() - writes and erasures that a row of cells has seen at most
 * @tile: physical tile
 * @row: of the tile
 *
 * Return: the count of the row's group.
 */
uint32_t xbar_tiles_wear(const struct xbar *xbar, uint32_t tile, uint32_t row)
{
	return (uint32_t)wear_word(xbar, tile, row / xbar->params.wear_rows);
}

uint32_t xbar_tiles_owner(const struct xbar *xbar, uint32_t tile)
{
	return (uint32_t)tile_word(xbar, tile);
}

uint32_t xbar_tiles_ordinal(const struct xbar *xbar, uint32_t tile)
{
	return (uint32_t)(tile_word(xbar, tile) >> 32) & IMAGE_ORDINAL_LAST;
}

/* CRC-8 (x^8 + x^2 + x + 1) of the lower 56 bits, from the highest on; that of 0 is 0, so a new memory is right. */
static uint8_t word_checksum(uint64_t word)
{
	static const uint8_t remainders[16] = {
		0x00, 0x07, 0x0e, 0x09, 0x1c, 0x1b, 0x12, 0x15,
		0x38, 0x3f, 0x36, 0x31, 0x24, 0x23, 0x2a, 0x2d,
	};
	uint8_t checksum = 0;

	for (int shift = 52; shift >= 0; shift -= 4)
		checksum = (uint8_t)(checksum << 4) ^
			   remainders[(checksum >> 4) ^ (word >> shift & 15)];
	return checksum;
}

static bool is_whole(uint64_t word)
{
	return word >> 56 == word_checksum(word);
}

/* Bin 0 is no pulse, bin k 2^(k-1) .. 2^k - 1. */
static unsigned int wear_bin(uint32_t writes)
{
	unsigned int bin = writes ? 32 - (unsigned int)__builtin_clz(writes) : 0;

	return bin < 15 ? bin : 15;
}

static uint32_t *counter_of(struct xbar *xbar, uint32_t owner)
{
	if (owner == IMAGE_OWNER_DIRTY)
		return &xbar->tiles_dirty;
	if (owner == IMAGE_OWNER_BAD)
		return &xbar->tiles_bad;
	if (owner != IMAGE_OWNER_NONE)
		return &xbar->tiles_used;
	return NULL;
}

/* The wear of a tile's groups; false when a count is not what was written. */
static bool attach_wear(struct xbar *xbar, uint32_t tile)
{
	for (uint32_t group = 0; group < xbar->layout.wear_groups; group++) {
		uint64_t word = wear_word(xbar, tile, group);
		uint32_t wear = (uint32_t)word;

		if (!is_whole(word) || (word >> 32 & 0xffffff))
			return false;
		xbar->wear_histogram[wear_bin(wear)]++;
		if (wear > xbar->tile_wear[tile])
			xbar->tile_wear[tile] = wear;
	}
	return true;
}

static int damaged(char *message, const char *what, uint32_t tile)
{
	if (message)
		snprintf(message, XBAR_MESSAGE_BYTES, "%s %u: wrong checksum", what, tile);
	return -EILSEQ;
}

int xbar_tiles_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES])
{
	for (uint32_t tile = 0; tile < xbar->params.tiles; tile++) {
		uint32_t owner = xbar_tiles_owner(xbar, tile), *counter = counter_of(xbar, owner);

		if (!is_whole(tile_word(xbar, tile)) ||
		    (owner > IMAGE_MATRIX_LAST && owner < IMAGE_OWNER_BAD))
			return damaged(message, "tile", tile);
		if (counter)
			++*counter;
		if (!attach_wear(xbar, tile))
			return damaged(message, "wear of tile", tile);
		if (xbar->tile_wear[tile] > xbar->wear_max)
			xbar->wear_max = xbar->tile_wear[tile];
	}
	return 0;
}

void xbar_tiles_assign(struct xbar *xbar, uint32_t tile, uint32_t owner, uint32_t ordinal)
{
	uint32_t *before = counter_of(xbar, xbar_tiles_owner(xbar, tile));
	uint32_t *after = counter_of(xbar, owner);
	uint64_t word = owner | (uint64_t)(ordinal & IMAGE_ORDINAL_LAST) << 32;

	if (before)
		--*before;
	if (after)
		++*after;
	xbar_nv_store(&xbar->nv, xbar->layout.tiles + (uint64_t)tile * sizeof(uint64_t),
		      word | (uint64_t)word_checksum(word) << 56);
}

/* Nothing was written since the tile was erased, or zeros, which is the same. */
static bool is_blank(const struct xbar *xbar, uint32_t tile)
{
	const uint8_t *cells =
		xbar->nv.memory + xbar->layout.cells + tile * xbar->layout.tile_bytes;

	return !cells[0] && !memcmp(cells, cells + 1, xbar->layout.tile_bytes - 1);
}

/* A tile without anything to erase is free at once: erasing wears it out. */
void xbar_tiles_release(struct xbar *xbar, uint32_t tile)
{
	xbar_tiles_assign(xbar, tile, is_blank(xbar, tile) ? IMAGE_OWNER_NONE : IMAGE_OWNER_DIRTY,
			  0);
}

/* Counters stop at their largest value: wear never runs backwards. */
static void wear_group(struct xbar *xbar, uint32_t tile, uint32_t group)
{
	uint32_t writes = (uint32_t)wear_word(xbar, tile, group);

	if (writes == UINT32_MAX)
		return;
	xbar->wear_histogram[wear_bin(writes)]--;
	writes++;
	xbar->wear_histogram[wear_bin(writes)]++;
	xbar_nv_store(&xbar->nv, wear_offset(xbar, tile, group),
		      writes | (uint64_t)word_checksum(writes) << 56);
	if (writes == xbar->params.wear_warning)
		xbar_raise(xbar, LF_EVENT_WEAR);
	if (writes > xbar->tile_wear[tile])
		xbar->tile_wear[tile] = writes;
	if (writes > xbar->wear_max)
		xbar->wear_max = writes;
}

/* Whether a row of @matrix in the group of @row was written since the matrix was created. */
static bool group_is_written(const struct xbar *xbar, const struct matrix *matrix, uint32_t row)
{
	uint32_t tile_rows = xbar->params.tile_rows, wear_rows = xbar->params.wear_rows;
	uint32_t tile_row = row / tile_rows * tile_rows;
	uint32_t first = tile_row + (row - tile_row) / wear_rows * wear_rows;
	uint32_t end = first + wear_rows;

	if (end > tile_row + tile_rows)
		end = tile_row + tile_rows;
	if (end > matrix->entry.rows)
		end = matrix->entry.rows;
	for (row = first; row < end; row++)
		if (matrix->programmed[row / 8] >> row % 8 & 1)
			return true;
	return false;
}

/**
 * xbar_tiles_wear_matrix() - count rows of a matrix as about to be written
 * @matrix: torn: groups of which rows have been written are counted already; else every group is
 * @first: first row of the matrix
 * @count: rows
 *
 * The counts are on the medium when it returns: call it before the pulses.
 */
void xbar_tiles_wear_matrix(struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			    uint32_t count)
{
	uint32_t tile_rows = xbar->params.tile_rows, wear_rows = xbar->params.wear_rows;
	bool torn = matrix->state == LF_MATRIX_TORN;
	uint32_t end = first + count;

	while (first < end) {
		uint32_t inside = first % tile_rows, group = inside / wear_rows;
		const uint32_t *tiles = matrix->tiles + first / tile_rows * matrix->tile_cols;
		uint32_t next = (group + 1) * wear_rows;

		if (!torn || !group_is_written(xbar, matrix, first))
			for (uint32_t j = 0; j < matrix->tile_cols; j++)
				wear_group(xbar, tiles[j], group);
		first += (next < tile_rows ? next : tile_rows) - inside;
	}
	xbar_nv_persist(&xbar->nv);
}

/* A clean tile is free, or retired when it has too many stuck cells; whether it is free. */
static bool sort_out(struct xbar *xbar, uint32_t tile, struct tally *tally)
{
	uint32_t stuck = xbar_spares_test_tile(xbar, tile, tally);
	bool good = xbar->params.retire_cells == UINT32_MAX || stuck <= xbar->params.retire_cells;

	if (!good)
		xbar_raise(xbar, LF_EVENT_WEAR);
	xbar_tiles_assign(xbar, tile, good ? IMAGE_OWNER_NONE : IMAGE_OWNER_BAD, stuck);
	xbar_nv_persist(&xbar->nv);
	return good;
}

/* What there is to erase in the rows of a group. */
static struct erase_work work_in_group(const struct xbar *xbar, uint32_t tile, uint32_t group)
{
	uint32_t first = group * xbar->params.wear_rows, left = xbar->params.tile_rows - first;
	struct erase_work work = { 0 };

	if (left > xbar->params.wear_rows)
		left = xbar->params.wear_rows;
	for (uint32_t row = first; row < first + left; row++) {
		uint32_t weights = xbar_cells_count(xbar, tile, row);

		work.cells += (uint64_t)weights * xbar->cells_per_weight;
		work.rows += weights > 0;
	}
	return work;
}

/**
 * xbar_tiles_erase() - erase a dirty tile
 * @tally: charged for it
 *
 * A cell at level zero is as an erasure leaves it, so rows without others get no pulse, and groups without such rows do not wear:
 * nobody pays for an erasure, so it wears out no more than what was written and paid for.
 *
 * Wear is counted before the pulse that causes it; the cells reach the medium before the tile is called free. After a cut in
 * between, groups that still hold something are counted again, and those that do not have been counted. A tile with more
 * stuck cells than params.retire_cells is retired.
 *
 * Return: whether it is free.
 */
bool xbar_tiles_erase(struct xbar *xbar, uint32_t tile, struct tally *tally)
{
	struct erase_work work = { 0 };

	for (uint32_t group = 0; group < xbar->layout.wear_groups; group++) {
		struct erase_work part = work_in_group(xbar, tile, group);

		if (part.rows)
			wear_group(xbar, tile, group);
		work.cells += part.cells;
		work.rows += part.rows;
	}
	xbar_nv_persist(&xbar->nv);
	xbar_nv_zero(&xbar->nv, xbar->layout.cells + tile * xbar->layout.tile_bytes,
		     xbar->layout.tile_bytes);
	xbar_nv_persist(&xbar->nv);
	xbar_energy_charge_erase(&xbar->params, &work, tally);
	return sort_out(xbar, tile, tally);
}

/* Whether a free tile may be used: as one that is erased, without erasing it. What does not belong there is erased. */
bool xbar_tiles_accept(struct xbar *xbar, uint32_t tile, struct tally *tally)
{
	if (!is_blank(xbar, tile))
		return xbar_tiles_erase(xbar, tile, tally);
	return xbar->params.retire_cells == UINT32_MAX || sort_out(xbar, tile, tally);
}
