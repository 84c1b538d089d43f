/* SPDX-License-Identifier: MIT */
/*
 * The only way to write the non-volatile memory: plain writes, single stores, barriers, and records that change
 * in one store. A harness that watches this layer sees every write a power cut can fall between.
 */
#ifndef XBAR_NV_H
#define XBAR_NV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct xbar_nv - the memory and its barrier
 * @wrote: told of each write, after it; NULL for nobody
 * @low: first byte written since the last barrier
 * @high: end of what was written since
 */
struct xbar_nv {
	uint8_t *memory;
	void (*persist)(void *opaque, uint64_t offset, uint64_t bytes);
	void (*wrote)(void *opaque, uint64_t offset, uint64_t bytes);
	void *opaque;
	uint64_t low;
	uint64_t high;
};

void xbar_nv_write(struct xbar_nv *nv, uint64_t offset, const void *data, uint64_t bytes);
void xbar_nv_zero(struct xbar_nv *nv, uint64_t offset, uint64_t bytes);

/* One aligned 8-byte store: a cut leaves the old or the new word. */
void xbar_nv_store(struct xbar_nv *nv, uint64_t offset, uint64_t word);

/* Everything written so far reaches the medium before anything written later. */
void xbar_nv_persist(struct xbar_nv *nv);

/*
 * A record is a head word and two bodies. The head says which body holds, the record's state (0 is no record) and the
 * checksum of both; a change writes the other body and then the head.
 */
#define XBAR_NV_RECORD_BYTES(body_bytes) (8 + 2 * (uint64_t)(body_bytes))

/* Change a record; @barrier orders body, head and what follows. */
void xbar_nv_record_write(struct xbar_nv *nv, uint64_t offset, uint8_t state, const void *body,
			  size_t bytes, bool barrier);

/* Read a record: its state, 0 when there is none, -EILSEQ when it is damaged. */
int xbar_nv_record_read(const uint8_t *memory, uint64_t offset, void *body, size_t bytes);

#endif
