// SPDX-License-Identifier: MIT
/*
 * Writes, barriers and records of the non-volatile memory. What the records mean is known to image.h.
 */
#include <errno.h>
#include <string.h>

#include "checksum.h"
#include "nv.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the image is little-endian");

static void touched(struct xbar_nv *nv, uint64_t offset, uint64_t bytes)
{
	if (nv->wrote)
		nv->wrote(nv->opaque, offset, bytes);
	if (nv->low == nv->high) {
		nv->low = offset;
		nv->high = offset + bytes;
		return;
	}
	if (offset < nv->low)
		nv->low = offset;
	if (offset + bytes > nv->high)
		nv->high = offset + bytes;
}

void xbar_nv_write(struct xbar_nv *nv, uint64_t offset, const void *data, uint64_t bytes)
{
	memcpy(nv->memory + offset, data, bytes);
	touched(nv, offset, bytes);
}

void xbar_nv_zero(struct xbar_nv *nv, uint64_t offset, uint64_t bytes)
{
	memset(nv->memory + offset, 0, bytes);
	touched(nv, offset, bytes);
}

void xbar_nv_store(struct xbar_nv *nv, uint64_t offset, uint64_t word)
{
	__atomic_store_n((uint64_t *)(void *)(nv->memory + offset), word, __ATOMIC_RELEASE);
	touched(nv, offset, sizeof(word));
}

void xbar_nv_persist(struct xbar_nv *nv)
{
	if (nv->persist && nv->low != nv->high)
		nv->persist(nv->opaque, nv->low, nv->high - nv->low);
	nv->low = nv->high = 0;
}

static uint32_t record_checksum(uint8_t state, const void *body, size_t bytes)
{
	return xbar_crc32c_scalar(xbar_crc32c_scalar(0, &state, 1), body, bytes);
}

static uint64_t head_of(const uint8_t *memory, uint64_t offset)
{
	uint64_t head;

	memcpy(&head, memory + offset, sizeof(head));
	return head;
}

/* The head: state in bits 0 to 7, number of the body in bit 8, checksum from bit 32. */
void xbar_nv_record_write(struct xbar_nv *nv, uint64_t offset, uint8_t state, const void *body,
			  size_t bytes, bool barrier)
{
	uint64_t slot = !(head_of(nv->memory, offset) >> 8 & 1);

	xbar_nv_write(nv, offset + 8 + slot * bytes, body, bytes);
	if (barrier)
		xbar_nv_persist(nv);
	xbar_nv_store(nv, offset,
		      state | slot << 8 | (uint64_t)record_checksum(state, body, bytes) << 32);
	if (barrier)
		xbar_nv_persist(nv);
}

int xbar_nv_record_read(const uint8_t *memory, uint64_t offset, void *body, size_t bytes)
{
	uint64_t head = head_of(memory, offset);
	uint8_t state = head & 0xff;

	if (!head)
		return 0;
	memcpy(body, memory + offset + 8 + (head >> 8 & 1) * bytes, bytes);
	if (!state || head >> 9 & 0x7fffff || head >> 32 != record_checksum(state, body, bytes))
		return -EILSEQ;
	return state;
}
