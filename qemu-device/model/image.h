/* SPDX-License-Identifier: MIT */
/*
 * What lies where in the non-volatile memory. All numbers are little-endian; sections start at multiples of 4 KiB.
 *
 *   header     struct xbar_image_header; the magic number is written last
 *   counters   two records of struct image_counters, IMAGE_COUNTERS_STRIDE apart: the first is written with
 *              barriers, by jobs that write cells; the second by every job, without, and does not count when damaged
 *   directory  records of struct image_matrix, the state is LF_MATRIX_*
 *   ledger     records of struct image_account
 *   tiles      one word a tile: who owns it in the low half; then 24 bits of the tile's ordinal in its matrix, or
 *              without a matrix how many stuck cells it had when it was erased last; then a CRC-8 of both
 *   spares     spare_weights numbers of 16 bits a tile: which column of weights a spare one stands in for, plus one;
 *              0 for none. Means nothing for a tile without an owner
 *   wear       a word for each wear_rows rows of a tile: its counter of 32 bits, zeros, then a CRC-8 as above
 *   journal    one record of struct image_journal: the LF_OP_REFRESH in progress; then two slots of weights, which its
 *              rows go through
 *   cells      tile_rows x tile_weights weights a tile. int8: [tile_rows / 4][tile_weights][4], the order in which
 *              the exact product reads them; fp32 on the float device: [tile_rows][tile_weights]. The levels of the cells of
 *              a differential pair follow: slice k of a weight w is bits [k cell_bits, (k + 1) cell_bits) of |w|, on the
 *              positive side for w > 0, on the negative for w < 0; the other side is at level 0
 *
 * A new memory is all zeros: no record is no matrix and no account, and an owner of 0 is a free tile. So
 * formatting writes the header alone.
 */
#ifndef XBAR_IMAGE_H
#define XBAR_IMAGE_H

#include "params.h"

#define IMAGE_MAGIC	   0x31676d4972616258ull /* "XbarImg1" */
#define IMAGE_VERSION	   3u
#define IMAGE_PAGE	   4096

/* Owners that are no matrix; identifiers of matrices are below. */
#define IMAGE_OWNER_NONE   0u
#define IMAGE_OWNER_DIRTY  0xffffffffu
#define IMAGE_OWNER_BAD	   0xfffffffeu
#define IMAGE_MATRIX_LAST  0x7fffffffu

/* Largest ordinal of a tile. */
#define IMAGE_ORDINAL_LAST 0xffffffu

/**
 * struct xbar_image_header - what a device must agree on with its memory
 * @checksum: CRC-32C of what follows it
 */
struct xbar_image_header {
	uint64_t magic;
	uint32_t version;
	uint32_t checksum;
	uint32_t format;
	uint32_t tiles;
	uint32_t tile_rows;
	uint32_t tile_cols;
	uint32_t cell_bits;
	uint32_t tile_weights;
	uint32_t matrices;
	uint32_t accounts;
	uint32_t pair;
	uint32_t spare_weights;
	uint32_t wear_rows;
	uint32_t reserved0;
	uint64_t seed;
	uint64_t bytes;
	uint64_t reserved[4];
};

/* Totals since the memory was new; see struct lf_telemetry_block. */
struct image_counters {
	uint64_t energy_pj[LF_ENERGY_COMPONENTS];
	uint64_t energy_sub_aj[LF_ENERGY_COMPONENTS];
	uint64_t busy_ns;
	uint64_t time_ns;
	uint64_t jobs;
	uint64_t mvm_count;
	uint64_t mac_count;
	uint64_t conversions;
	uint64_t clips;
	uint64_t cells_written;
	uint64_t cells_erased;
	uint64_t verify_retries;
	uint64_t host_bytes;
	uint64_t last_matrix; /* identifier given last */
	uint64_t cells_failed;
	uint64_t stuck_parts; /* cells of a million that were made to be stuck */
};

/**
 * struct image_matrix - an entry of the directory; the owners of the tiles say where its cells are
 * @adc_step: step it was calibrated to, 0 when it was not and the parameter holds
 * @programmed_ns: modelled time of its COMMIT or last REFRESH: the age of its cells counts from here
 * @refreshes: times it was refreshed; with the identifier and the place, the key of what its writes drew
 * @failed_cells: see struct lf_matrix_info, as the following
 * @spares_checksum: CRC-32C of what the spares section says of its tiles, in their order
 * @cells_checksum: of its weights, [@rows][@cols]; a torn matrix has none yet
 */
struct image_matrix {
	uint32_t matrix;
	uint32_t rows;
	uint32_t cols;
	uint32_t account;
	uint32_t adc_step;
	uint32_t format;
	struct lf_publication publication;
	uint64_t programmed_ns;
	uint32_t refreshes;
	uint32_t failed_cells;
	uint32_t stuck_cells;
	uint32_t stuck_before;
	uint32_t spares;
	uint32_t spares_checksum;
	uint32_t cells_checksum;
	uint32_t reserved;
};

/**
 * struct image_account - an entry of the ledger
 * @written_cells: cells written
 * @reserved_cells: cells that the command in progress may write; found at attach, they count as written
 */
struct image_account {
	uint32_t account;
	uint32_t reserved;
	uint64_t quota_cells;
	uint64_t written_cells;
	uint64_t reserved_cells;
};

/**
 * struct image_journal - how far a refresh has come; the record's state is 0 when there is none
 * @matrix: identifier of the matrix
 * @refreshes: of its entry before: a larger number there says that the refresh is complete
 * @first: rows before this one have been written
 * @rows: rows from @first on that may have been written, and are in the slot
 * @slot: of their weights, [@rows][cols]
 * @checksum: CRC-32C of all rows up to and with those, as they are written
 * @start_ns: modelled time at which it began and its cells are read
 * @checksum_before: of the same rows as they were before: continued over those that follow it is that of the entry
 */
struct image_journal {
	uint32_t matrix;
	uint32_t refreshes;
	uint32_t first;
	uint32_t rows;
	uint32_t slot;
	uint32_t checksum;
	uint64_t start_ns;
	uint32_t checksum_before;
	uint32_t reserved;
};

#define IMAGE_COUNTERS_STRIDE 2048
#define IMAGE_MATRIX_STRIDE   512
#define IMAGE_ACCOUNT_STRIDE  128
#define IMAGE_JOURNAL_STRIDE  128 /* from the record to the first slot */

LF_ASSERT_SIZE(struct xbar_image_header, 112);
LF_ASSERT_SIZE(struct image_counters, 26 * 8);
LF_ASSERT_SIZE(struct image_matrix, 144);
LF_ASSERT_SIZE(struct image_account, 32);
LF_ASSERT_SIZE(struct image_journal, 40);

/* Offsets of the sections and the size of the whole, bytes. */
struct xbar_image_layout {
	uint64_t counters;
	uint64_t directory;
	uint64_t ledger;
	uint64_t tiles;
	uint64_t spares;
	uint64_t wear;
	uint64_t journal;
	uint64_t cells;
	uint64_t bytes;
	uint64_t tile_bytes;  /* cells of one tile */
	uint64_t slot_bytes;  /* of the journal: the widest row that a matrix here can have */
	uint32_t wear_groups; /* row groups of a tile */
};

void xbar_image_layout(const struct xbar_params *params, struct xbar_image_layout *layout);

/* The header that a device with @params writes. */
void xbar_image_header(const struct xbar_params *params, struct xbar_image_header *header);

/**
 * xbar_image_check_header() - whether @memory is ours, new, or something else
 * @bytes: length of @memory
 * @blank: it is known to be all zeros, and not read to find that out
 * @fresh: receives true when the memory is new and to be formatted
 *
 * Return: 0, -EILSEQ (damaged or foreign), -EPROTO (version or geometry), -ENOSPC (too small).
 */
int xbar_image_check_header(const struct xbar_params *params, const uint8_t *memory, uint64_t bytes,
			    bool blank, bool *fresh, char message[XBAR_MESSAGE_BYTES]);

#endif
