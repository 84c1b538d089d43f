/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C, the checksum of all that lies in the non-volatile memory, once for each instruction set; all give the same. struct
 * kernels has the one to use for much.
 */
#ifndef XBAR_CHECKSUM_H
#define XBAR_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (RFC 3720, appendix B.4) of @bytes, continued from @crc, which starts at 0. */
uint32_t xbar_crc32c_scalar(uint32_t crc, const void *data, size_t bytes);
uint32_t xbar_crc32c_avx2(uint32_t crc, const void *data, size_t bytes);

#endif
