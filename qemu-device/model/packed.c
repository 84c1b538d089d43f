// SPDX-License-Identifier: MIT
/*
 * Packing, and unpacking in plain C: what the other variants must equal.
 */
#include "packed.h"

void xbar_pack(const uint16_t *cells, size_t count, uint8_t *packed)
{
	for (; count >= 2; count -= 2, cells += 2, packed += 3) {
		uint32_t pair = cells[0] | (uint32_t)cells[1] << PACKED_BITS;

		packed[0] = (uint8_t)pair;
		packed[1] = (uint8_t)(pair >> 8);
		packed[2] = (uint8_t)(pair >> 16);
	}
	if (count) {
		uint16_t last = cells[0];

		packed[0] = (uint8_t)last;
		packed[1] = (uint8_t)(last >> 8);
	}
}

void xbar_unpack_scalar(const uint8_t *packed, uint32_t count, uint16_t *cells)
{
	for (; count >= 2; count -= 2, cells += 2, packed += 3) {
		uint32_t pair = packed[0] | (uint32_t)packed[1] << 8 | (uint32_t)packed[2] << 16;

		cells[0] = (uint16_t)(pair & PACKED_MOST);
		cells[1] = (uint16_t)(pair >> PACKED_BITS);
	}
	if (count)
		cells[0] = (uint16_t)((packed[0] | (uint32_t)packed[1] << 8) & PACKED_MOST);
}
