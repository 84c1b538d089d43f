// SPDX-License-Identifier: MIT
/*
 * The tile table and wear: who owns which tile, how often each row of cells was written or erased, erasing. Which tiles a
 * matrix gets is decided in placement.c.
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

static uint64_t wear_offset(const struct xbar *xbar, uint32_t tile, uint32_t row)
{
	return xbar->layout.wear +
	       ((uint64_t)tile * xbar->params.tile_rows + row) * sizeof(uint32_t);
}

uint32_t xbar_tiles_owner(const struct xbar *xbar, uint32_t tile)
{
	return (uint32_t)tile_word(xbar, tile);
}

uint32_t xbar_tiles_ordinal(const struct xbar *xbar, uint32_t tile)
{
	return (uint32_t)(tile_word(xbar, tile) >> 32);
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

int xbar_tiles_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES])
{
	uint32_t rows = xbar->params.tile_rows;

	for (uint32_t tile = 0; tile < xbar->params.tiles; tile++) {
		const uint32_t *wear = (const void *)(xbar->nv.memory + wear_offset(xbar, tile, 0));
		uint32_t owner = xbar_tiles_owner(xbar, tile), *counter = counter_of(xbar, owner);

		if (owner > IMAGE_MATRIX_LAST && owner < IMAGE_OWNER_BAD) {
			if (message)
				snprintf(message, XBAR_MESSAGE_BYTES,
					 "tile %u: owner 0x%x is damaged", tile, owner);
			return -EILSEQ;
		}
		if (counter)
			++*counter;
		for (uint32_t row = 0; row < rows; row++) {
			xbar->wear_histogram[wear_bin(wear[row])]++;
			if (wear[row] > xbar->tile_wear[tile])
				xbar->tile_wear[tile] = wear[row];
		}
		if (xbar->tile_wear[tile] > xbar->wear_max)
			xbar->wear_max = xbar->tile_wear[tile];
	}
	return 0;
}

void xbar_tiles_assign(struct xbar *xbar, uint32_t tile, uint32_t owner, uint32_t ordinal)
{
	uint32_t *before = counter_of(xbar, xbar_tiles_owner(xbar, tile));
	uint32_t *after = counter_of(xbar, owner);

	if (before)
		--*before;
	if (after)
		++*after;
	xbar_nv_store(&xbar->nv, xbar->layout.tiles + (uint64_t)tile * sizeof(uint64_t),
		      owner | (uint64_t)ordinal << 32);
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

/* Wear is counted before the pulse that causes it; the cells reach the medium before the tile is called free. */
void xbar_tiles_erase(struct xbar *xbar, uint32_t tile, struct tally *tally)
{
	xbar_tiles_wear_rows(xbar, tile, 0, xbar->params.tile_rows);
	xbar_nv_persist(&xbar->nv);
	xbar_nv_zero(&xbar->nv, xbar->layout.cells + tile * xbar->layout.tile_bytes,
		     xbar->layout.tile_bytes);
	xbar_nv_persist(&xbar->nv);
	xbar_tiles_assign(xbar, tile, IMAGE_OWNER_NONE, 0);
	xbar_nv_persist(&xbar->nv);
	xbar_energy_charge_erase(&xbar->params, tally);
}

void xbar_tiles_wear_rows(struct xbar *xbar, uint32_t tile, uint32_t first, uint32_t count)
{
	uint64_t offset = wear_offset(xbar, tile, first);
	const uint32_t *wear = (const void *)(xbar->nv.memory + offset);

	for (uint32_t i = 0; i < count; i++, offset += sizeof(*wear)) {
		uint32_t writes = wear[i];

		if (writes == UINT32_MAX)
			continue;
		xbar->wear_histogram[wear_bin(writes)]--;
		writes++;
		xbar->wear_histogram[wear_bin(writes)]++;
		xbar_nv_write(&xbar->nv, offset, &writes, sizeof(writes));
		if (writes > xbar->tile_wear[tile])
			xbar->tile_wear[tile] = writes;
	}
	if (xbar->tile_wear[tile] > xbar->wear_max)
		xbar->wear_max = xbar->tile_wear[tile];
}
