// SPDX-License-Identifier: MIT
/* CRC-32C, reflected, one byte a step. The table is rebuilt per checksum: 256 entries, no globals. */
#include "runtime/io/crc32c.h"

#define POLYNOMIAL_REFLECTED 0x82f63b78u

void lf_crc32c_start(struct lf_crc32c *crc)
{
	for (uint32_t byte = 0; byte < 256; byte++) {
		uint32_t remainder = byte;

		for (int bit = 0; bit < 8; bit++)
			remainder = remainder >> 1 ^ (remainder & 1 ? POLYNOMIAL_REFLECTED : 0);
		crc->table[byte] = remainder;
	}
	crc->state = 0xffffffffu;
}

void lf_crc32c_add(struct lf_crc32c *crc, const void *bytes, size_t size_bytes)
{
	const unsigned char *next = bytes;
	uint32_t state = crc->state;

	for (size_t i = 0; i < size_bytes; i++)
		state = state >> 8 ^ crc->table[(state ^ next[i]) & 0xff];
	crc->state = state;
}

uint32_t lf_crc32c_value(const struct lf_crc32c *crc)
{
	return ~crc->state;
}
