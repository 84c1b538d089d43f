// SPDX-License-Identifier: MIT
/*
 * Which tiles a new matrix gets: the least worn, counted by their most worn row group; among equals those that were found to
 * have fewer stuck cells, clean ones before dirty ones, then by number, so that the choice is the same everywhere. A tile with
 * more stuck cells than params.retire_cells is retired instead.
 */
#include <errno.h>
#include <stdlib.h>

#include "device.h"

struct candidate {
	uint32_t wear;
	uint32_t stuck;
	uint32_t dirty;
	uint32_t tile;
};

static int compare(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;

	if (left->wear != right->wear)
		return left->wear < right->wear ? -1 : 1;
	if (left->stuck != right->stuck)
		return left->stuck < right->stuck ? -1 : 1;
	if (left->dirty != right->dirty)
		return left->dirty < right->dirty ? -1 : 1;
	return left->tile < right->tile ? -1 : 1;
}

/* Free and dirty tiles, the best first; NULL without memory. */
static struct candidate *find_candidates(const struct xbar *xbar, uint32_t *count)
{
	struct candidate *candidates = malloc(xbar->params.tiles * sizeof(*candidates));

	*count = 0;
	for (uint32_t tile = 0; candidates && tile < xbar->params.tiles; tile++) {
		uint32_t owner = xbar_tiles_owner(xbar, tile);

		if (owner == IMAGE_OWNER_NONE || owner == IMAGE_OWNER_DIRTY)
			candidates[(*count)++] = (struct candidate){
				.wear = xbar->tile_wear[tile],
				.stuck = xbar_tiles_ordinal(xbar, tile),
				.dirty = owner == IMAGE_OWNER_DIRTY,
				.tile = tile,
			};
	}
	if (candidates)
		qsort(candidates, *count, sizeof(*candidates), compare);
	return candidates;
}

/**
 * xbar_placement_take() - tiles for a new matrix
 * @count: how many
 * @tally: charged for what is erased and tested
 * @tiles: receives them; clean, and still free
 *
 * Return: 0, -ENOSPC when there are fewer, -ENOMEM.
 */
int xbar_placement_take(struct xbar *xbar, uint32_t count, struct tally *tally, uint32_t *tiles)
{
	struct candidate *candidates;
	uint32_t available, taken = 0;

	if (count > xbar->params.tiles)
		return -ENOSPC;
	candidates = find_candidates(xbar, &available);
	if (!candidates)
		return -ENOMEM;
	for (uint32_t i = 0; available >= count && taken < count && i < available; i++) {
		uint32_t tile = candidates[i].tile;

		if (candidates[i].dirty ? xbar_tiles_erase(xbar, tile, tally)
					: xbar_tiles_accept(xbar, tile, tally))
			tiles[taken++] = tile;
	}
	free(candidates);
	return taken == count ? 0 : -ENOSPC;
}
