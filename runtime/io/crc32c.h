/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli), the checksum of files this library writes for itself. */
#ifndef LF_IO_CRC32C_H
#define LF_IO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

struct lf_crc32c {
	uint32_t table[256];
	uint32_t state;
};

void lf_crc32c_start(struct lf_crc32c *crc);
void lf_crc32c_add(struct lf_crc32c *crc, const void *bytes, size_t size_bytes);
uint32_t lf_crc32c_value(const struct lf_crc32c *crc);

#endif
