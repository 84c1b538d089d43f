// SPDX-License-Identifier: MIT
/*
 * Layout of the non-volatile memory, and telling a device's own memory from a new or a foreign one. The meaning of
 * the records is checked where they are used: directory.c, ledger.c, tiles.c.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image.h"
#include "nv.h"

static uint64_t page_up(uint64_t offset)
{
	return (offset + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE;
}

void xbar_image_layout(const struct xbar_params *params, struct xbar_image_layout *layout)
{
	uint64_t tiles = params->tiles;

	layout->tile_bytes = (uint64_t)params->tile_rows * xbar_params_weights(params) *
			     xbar_params_weight_bytes(params);
	layout->counters = IMAGE_PAGE;
	layout->directory = 2 * IMAGE_PAGE;
	layout->ledger =
		page_up(layout->directory + (uint64_t)params->matrices * IMAGE_MATRIX_STRIDE);
	layout->tiles = page_up(layout->ledger + (uint64_t)params->accounts * IMAGE_ACCOUNT_STRIDE);
	layout->spares = page_up(layout->tiles + tiles * sizeof(uint64_t));
	layout->wear =
		page_up(layout->spares + tiles * params->spare_weights * sizeof(uint16_t));
	layout->cells = page_up(layout->wear + tiles * params->tile_rows * sizeof(uint32_t));
	layout->bytes = page_up(layout->cells + tiles * layout->tile_bytes);
}

uint64_t xbar_nonvolatile_bytes(const struct xbar_params *params)
{
	struct xbar_image_layout layout;

	xbar_image_layout(params, &layout);
	return layout.bytes;
}

static uint32_t header_checksum(const struct xbar_image_header *header)
{
	size_t start = offsetof(struct xbar_image_header, format);

	return xbar_crc32(0, (const uint8_t *)header + start, sizeof(*header) - start);
}

void xbar_image_header(const struct xbar_params *params, struct xbar_image_header *header)
{
	*header = (struct xbar_image_header){
		.magic = IMAGE_MAGIC,
		.version = IMAGE_VERSION,
		.format = params->format,
		.tiles = params->tiles,
		.tile_rows = params->tile_rows,
		.tile_cols = params->tile_cols,
		.cell_bits = params->cell_bits,
		.tile_weights = xbar_params_weights(params),
		.matrices = params->matrices,
		.accounts = params->accounts,
		.pair = params->pair,
		.spare_weights = params->spare_weights,
		.wear_rows = params->wear_rows,
		.seed = params->seed,
		.bytes = xbar_nonvolatile_bytes(params),
	};
	header->checksum = header_checksum(header);
}

/*
 * New: all zeros, but for words of the header that a power cut left of an earlier formatting, which ends with the
 * magic number.
 */
static bool is_new(const struct xbar_params *params, const uint8_t *memory)
{
	uint64_t bytes = xbar_nonvolatile_bytes(params), word, ours;
	struct xbar_image_header header;
	uint64_t offset = sizeof(word);

	xbar_image_header(params, &header);
	for (; offset < sizeof(header); offset += sizeof(word)) {
		memcpy(&word, memory + offset, sizeof(word));
		memcpy(&ours, (const uint8_t *)&header + offset, sizeof(ours));
		if (word && word != ours)
			return false;
	}
	for (; offset < bytes; offset += sizeof(word)) {
		memcpy(&word, memory + offset, sizeof(word));
		if (word)
			return false;
	}
	return true;
}

static int refuse(char *message, int error, const char *text)
{
	if (message)
		snprintf(message, XBAR_MESSAGE_BYTES, "%s", text);
	return error;
}

int xbar_image_check_header(const struct xbar_params *params, const uint8_t *memory, bool *fresh,
			    char message[XBAR_MESSAGE_BYTES])
{
	struct xbar_image_header found, ours;

	*fresh = false;
	memcpy(&found, memory, sizeof(found));
	if (found.magic == 0) {
		if (!is_new(params, memory))
			return refuse(
				message, -EILSEQ,
				"the memory is neither a device's nor empty; it is left as it is");
		*fresh = true;
		return 0;
	}
	if (found.magic != IMAGE_MAGIC)
		return refuse(message, -EILSEQ,
			      "the memory is not a device's; it is left as it is");
	if (found.version != IMAGE_VERSION) {
		if (message)
			snprintf(message, XBAR_MESSAGE_BYTES,
				 "the memory has format version %u, this model knows %u",
				 found.version, IMAGE_VERSION);
		return -EPROTO;
	}
	if (found.checksum != header_checksum(&found))
		return refuse(message, -EILSEQ, "the memory's header is damaged");
	xbar_image_header(params, &ours);
	if (memcmp(&found, &ours, sizeof(ours))) {
		if (message)
			snprintf(
				message, XBAR_MESSAGE_BYTES,
				"the memory was made for another geometry: format %u, tiles %u, "
				"tile_rows %u, tile_cols %u, cell_bits %u, matrices %u, accounts %u",
				found.format, found.tiles, found.tile_rows, found.tile_cols,
				found.cell_bits, found.matrices, found.accounts);
		return -EPROTO;
	}
	return 0;
}
