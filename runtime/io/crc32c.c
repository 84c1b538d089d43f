// SPDX-License-Identifier: MIT
/*
 * CRC-32C, reflected, eight bytes a step: the remainder of a sum is the sum of the remainders, so each byte is looked up in a table for
 * its distance from the end of the eight (slicing by 8: Kounavis and Berry, 10.1109/TC.2008.85). The tables are made anew for
 * each checksum, which costs what 10 KB of its bytes do; there are no globals.
 */
#include "runtime/io/crc32c.h"

#define POLYNOMIAL_REFLECTED 0x82f63b78u

void lf_crc32c_start(struct lf_crc32c *crc)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t remainder = byte;

		for (int bit = 0; bit < 8; bit++)
			remainder = remainder >> 1 ^ (remainder & 1 ? POLYNOMIAL_REFLECTED : 0);
		crc->tables[0][byte] = remainder;
	}
	for (int zeros = 1; zeros < LF_CRC32C_SLICE; zeros++)
		for (int byte = 0; byte < 256; byte++) {
			uint32_t before = crc->tables[zeros - 1][byte];

			crc->tables[zeros][byte] = before >> 8 ^ crc->tables[0][before & 0xff];
		}
	crc->state = 0xffffffffu;
}

/* The first four of eight bytes, to which the state is added; in this order on any processor. */
static uint32_t little_endian(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
	       (uint32_t)bytes[3] << 24;
}

void lf_crc32c_add(struct lf_crc32c *crc, const void *bytes, size_t size_bytes)
{
	const uint32_t(*tables)[256] = (const uint32_t(*)[256])crc->tables;
	const unsigned char *next = bytes;
	uint32_t state = crc->state;

	for (; size_bytes >= LF_CRC32C_SLICE; size_bytes -= LF_CRC32C_SLICE) {
		state ^= little_endian(next);
		state = tables[7][state & 0xff] ^ tables[6][state >> 8 & 0xff] ^
			tables[5][state >> 16 & 0xff] ^ tables[4][state >> 24] ^
			tables[3][next[4]] ^ tables[2][next[5]] ^ tables[1][next[6]] ^
			tables[0][next[7]];
		next += LF_CRC32C_SLICE;
	}
	for (; size_bytes; size_bytes--)
		state = state >> 8 ^ tables[0][(state ^ *next++) & 0xff];
	crc->state = state;
}

uint32_t lf_crc32c_value(const struct lf_crc32c *crc)
{
	return ~crc->state;
}
