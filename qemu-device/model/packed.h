/* SPDX-License-Identifier: MIT */
/*
 * Conductances of 12 bits, two in three bytes, as analog planes keep them: of cells 2i and 2i + 1, the lowest 12 of the 24
 * bits from byte 3i on, lowest byte first, and the highest. Unpacking exists for each instruction set; all give the same
 * numbers.
 */
#ifndef XBAR_PACKED_H
#define XBAR_PACKED_H

#include <stddef.h>
#include <stdint.h>

#define PACKED_BITS 12

/* Largest number that can be packed. */
#define PACKED_MOST ((1u << PACKED_BITS) - 1)

/* Bytes of @count cells. */
static inline size_t xbar_packed_bytes(size_t count)
{
	return count / 2 * 3 + count % 2 * 2;
}

/* Where the 16 bits lie that hold cell @index, lowest byte first, */
static inline size_t xbar_packed_at(size_t index)
{
	return index / 2 * 3 + index % 2;
}

/* and how far from their lowest bit it does. */
static inline uint32_t xbar_packed_shift(size_t index)
{
	return index % 2 * 4;
}

/**
 * xbar_pack() - pack numbers
 * @cells: @count of them, at most PACKED_MOST
 * @packed: receives xbar_packed_bytes(@count); may begin where @cells does, or before
 */
void xbar_pack(const uint16_t *cells, size_t count, uint8_t *packed);

/**
 * xbar_unpack_scalar() - the reverse
 * @packed: no more than xbar_packed_bytes(@count) of it are read
 * @cells: receives @count numbers, and is apart from @packed
 */
void xbar_unpack_scalar(const uint8_t *packed, uint32_t count, uint16_t *cells);
void xbar_unpack_avx2(const uint8_t *packed, uint32_t count, uint16_t *cells);
void xbar_unpack_avx512(const uint8_t *packed, uint32_t count, uint16_t *cells);

#endif
