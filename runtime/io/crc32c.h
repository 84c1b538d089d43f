/* SPDX-License-Identifier: MIT */
/* CRC-32C (Castagnoli; RFC 3720, appendix B.4), the checksum of files this library writes for itself. */
#ifndef LF_IO_CRC32C_H
#define LF_IO_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/** LF_CRC32C_SLICE - bytes that one step takes in */
#define LF_CRC32C_SLICE 8

/**
 * struct lf_crc32c - a checksum that is being made
 * @tables: [k][v] remainder of the byte v with k bytes of zeros behind it
 * @state: remainder of what has been added, inverted
 */
struct lf_crc32c {
	uint32_t tables[LF_CRC32C_SLICE][256];
	uint32_t state;
};

/** lf_crc32c_start() - of nothing yet */
void lf_crc32c_start(struct lf_crc32c *crc);

/** lf_crc32c_add() - go on with @size_bytes more; the pieces that something is added in do not matter */
void lf_crc32c_add(struct lf_crc32c *crc, const void *bytes, size_t size_bytes);

/** lf_crc32c_value() - of what has been added; more may follow */
uint32_t lf_crc32c_value(const struct lf_crc32c *crc);

#endif
