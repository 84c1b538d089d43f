// SPDX-License-Identifier: MIT
/*
 * Layout of the non-volatile memory, and telling a device's own memory from a new or a foreign one. The meaning of
 * the records is checked where they are used: directory.c, ledger.c, tiles.c.
 */
#include <errno.h>
#include <string.h>

#include "checksum.h"
#include "image.h"
#include "message.h"

static uint64_t page_up(uint64_t offset)
{
	return (offset + IMAGE_PAGE - 1) / IMAGE_PAGE * IMAGE_PAGE;
}

void xbar_image_layout(const struct xbar_params *params, struct xbar_image_layout *layout)
{
	uint64_t tiles = params->tiles, widest;

	layout->tile_bytes = (uint64_t)params->tile_rows * xbar_params_weights(params) *
			     xbar_params_weight_bytes(params);
	layout->counters = IMAGE_PAGE;
	layout->directory = 2 * IMAGE_PAGE;
	layout->ledger =
		page_up(layout->directory + (uint64_t)params->matrices * IMAGE_MATRIX_STRIDE);
	layout->tiles = page_up(layout->ledger + (uint64_t)params->accounts * IMAGE_ACCOUNT_STRIDE);
	layout->spares = page_up(layout->tiles + tiles * sizeof(uint64_t));
	layout->wear = page_up(layout->spares + tiles * params->spare_weights * sizeof(uint16_t));
	layout->wear_groups = (params->tile_rows + params->wear_rows - 1) / params->wear_rows;
	layout->journal = page_up(layout->wear + tiles * layout->wear_groups * sizeof(uint64_t));
	widest = tiles * xbar_params_weights(params);
	if (widest > XBAR_DIMENSION_MAX)
		widest = XBAR_DIMENSION_MAX;
	layout->slot_bytes = widest * xbar_params_weight_bytes(params);
	layout->cells = page_up(layout->journal + IMAGE_JOURNAL_STRIDE + 2 * layout->slot_bytes);
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

	return xbar_crc32c_scalar(0, (const uint8_t *)header + start, sizeof(*header) - start);
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
 * New: all zeros to the end of what was given, but for words of the header that a power cut left of an earlier formatting,
 * which ends with the magic number. What lies behind the device's own bytes counts: a file that somebody uses may begin with zeros.
 */
static bool is_new(const struct xbar_params *params, const uint8_t *memory, uint64_t bytes)
{
	const uint8_t *rest = memory + sizeof(struct xbar_image_header);
	struct xbar_image_header header;
	uint64_t word, ours;

	xbar_image_header(params, &header);
	for (uint64_t offset = sizeof(word); offset < sizeof(header); offset += sizeof(word)) {
		memcpy(&word, memory + offset, sizeof(word));
		memcpy(&ours, (const uint8_t *)&header + offset, sizeof(ours));
		if (word && word != ours)
			return false;
	}
	/* Each byte equals the one after it, and the first is 0. */
	bytes -= sizeof(header);
	return !rest[0] && !memcmp(rest, rest + 1, bytes - 1);
}

/* The first field in which the memory is of another device than @ours; the header is known to be whole. */
static int check_fields(const struct xbar_image_header *found, const struct xbar_image_header *ours,
			char *message)
{
	const struct {
		const char *name;
		uint64_t found;
		uint64_t ours;
	} fields[] = {
		{ "format", found->format, ours->format },
		{ "tiles", found->tiles, ours->tiles },
		{ "tile_rows", found->tile_rows, ours->tile_rows },
		{ "tile_cols", found->tile_cols, ours->tile_cols },
		{ "cell_bits", found->cell_bits, ours->cell_bits },
		{ "pair", found->pair, ours->pair },
		{ "spare_weights", found->spare_weights, ours->spare_weights },
		{ "wear_rows", found->wear_rows, ours->wear_rows },
		{ "matrices", found->matrices, ours->matrices },
		{ "accounts", found->accounts, ours->accounts },
		{ "seed", found->seed, ours->seed },
		{ "weights of a tile", found->tile_weights, ours->tile_weights },
		{ "bytes", found->bytes, ours->bytes },
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (fields[i].found != fields[i].ours)
			return xbar_refuse(
				message, -EPROTO,
				"%s: %llu here, but the memory was made with %llu, which lasts; give "
				"that, or another memory",
				fields[i].name, (unsigned long long)fields[i].ours,
				(unsigned long long)fields[i].found);
	if (memcmp(found, ours, sizeof(*ours)))
		return xbar_refuse(message, -EPROTO,
				   "the memory's header has fields that this model does not know");
	return 0;
}

int xbar_image_check_header(const struct xbar_params *params, const uint8_t *memory, uint64_t bytes,
			    bool blank, bool *fresh, char message[XBAR_MESSAGE_BYTES])
{
	struct xbar_image_header found, ours;
	uint64_t needed = xbar_nonvolatile_bytes(params);

	*fresh = false;
	if (bytes < sizeof(found))
		return xbar_refuse(message, -ENOSPC,
				   "the memory has %llu bytes, the device needs %llu",
				   (unsigned long long)bytes, (unsigned long long)needed);
	memcpy(&found, memory, sizeof(found));
	if (found.magic != 0 && found.magic != IMAGE_MAGIC)
		return xbar_refuse(message, -EILSEQ,
				   "the memory is not a device's; it is left as it is");
	if (found.magic == IMAGE_MAGIC && found.version != IMAGE_VERSION)
		return xbar_refuse(
			message, -EPROTO,
			"the memory has format version %u, this model knows %u: use the model "
			"that made it, or give an empty memory and deploy anew; it is left as it is",
			found.version, IMAGE_VERSION);
	if (found.magic == IMAGE_MAGIC && found.checksum != header_checksum(&found))
		return xbar_refuse(message, -EILSEQ,
				   "the memory's header is damaged; it is left as it is");
	if (found.magic == IMAGE_MAGIC) {
		xbar_image_header(params, &ours);
		if (check_fields(&found, &ours, message))
			return -EPROTO;
	}
	if (bytes < needed)
		return xbar_refuse(message, -ENOSPC,
				   "the memory has %llu bytes, the device needs %llu",
				   (unsigned long long)bytes, (unsigned long long)needed);
	if (found.magic == 0) {
		if (!blank && !is_new(params, memory, bytes))
			return xbar_refuse(
				message, -EILSEQ,
				"the memory is neither a device's nor empty; it is left as it is");
		*fresh = true;
	}
	return 0;
}
