// SPDX-License-Identifier: MIT
/*
 * Which tiles a new matrix gets: the least worn, counted by their most worn row; among equals clean ones before dirty
 * ones, then by number, so that the choice is the same everywhere.
 */
#include <errno.h>
#include <stdlib.h>

#include "device.h"

#define KEY_DIRTY (1ull << 31)

static int compare_keys(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

/* Fills @tiles with @count free or dirty tiles; -ENOSPC when there are fewer, -ENOMEM. */
int xbar_placement_choose(struct xbar *xbar, uint32_t count, uint32_t *tiles)
{
	uint32_t candidates = 0;
	uint64_t *keys;

	if (count > xbar->params.tiles)
		return -ENOSPC;
	keys = malloc(xbar->params.tiles * sizeof(*keys));
	if (!keys)
		return -ENOMEM;
	for (uint32_t tile = 0; tile < xbar->params.tiles; tile++) {
		uint32_t owner = xbar_tiles_owner(xbar, tile);

		if (owner != IMAGE_OWNER_NONE && owner != IMAGE_OWNER_DIRTY)
			continue;
		keys[candidates++] = (uint64_t)xbar->tile_wear[tile] << 32 |
				     (owner == IMAGE_OWNER_DIRTY ? KEY_DIRTY : 0) | tile;
	}
	if (candidates >= count) {
		qsort(keys, candidates, sizeof(*keys), compare_keys);
		for (uint32_t i = 0; i < count; i++)
			tiles[i] = (uint32_t)(keys[i] & (KEY_DIRTY - 1));
	}
	free(keys);
	return candidates >= count ? 0 : -ENOSPC;
}
