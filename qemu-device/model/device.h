/* SPDX-License-Identifier: MIT */
/*
 * The device inside: what struct xbar holds and what its parts offer each other.
 */
#ifndef XBAR_DEVICE_H
#define XBAR_DEVICE_H

#include "energy.h"
#include "image.h"
#include "kernels.h"
#include "nv.h"
#include "routes.h"

struct analog;

/**
 * struct matrix - one entry of the directory, with what is derived from it
 * @index: position in the directory
 * @state: LF_MATRIX_*, 0 when the entry is free
 * @tiles: physical tiles, [tile_rows][tile_cols]
 * @programmed: torn only: bit r is set when row r has been written
 * @rows_programmed: number of bits set
 * @generation: changes with the cells and the step of the converters
 * @routes: how products are computed, forward and transpose
 * @analog: conductances of its cells; NULL until used, and where the weights say it all
 */
struct matrix {
	uint32_t index;
	uint8_t state;
	struct image_matrix entry;
	uint32_t tile_rows;
	uint32_t tile_cols;
	uint32_t *tiles;
	uint8_t *programmed;
	uint32_t rows_programmed;
	uint64_t generation;
	struct route routes[2];
	struct analog *analog;
};

struct account {
	bool used;
	struct image_account entry;
	uint64_t tiles;
};

/* Memory of the command being executed; grows to what was needed most and stays. */
struct workspace {
	void *memory;
	size_t bytes;
};

struct xbar {
	struct xbar_params params;
	struct xbar_image_layout layout;
	struct xbar_nv nv;
	struct xbar_ops ops;
	void *opaque;
	const struct kernels *kernels;

	/* Derived from params. */
	uint32_t slices;
	uint32_t cells_per_weight;
	uint32_t tile_weights;
	uint32_t weight_bytes;

	struct matrix *matrices;
	uint32_t *identifiers; /* of the matrices, for the search */
	uint64_t directory_generation;

	uint32_t *tile_wear; /* writes and erasures of the most worn row group of each tile */
	uint64_t wear_histogram[16];
	uint32_t wear_max;
	uint32_t tiles_used;
	uint32_t tiles_dirty;
	uint32_t tiles_bad;

	uint64_t next_due_ns; /* no matrix becomes due for a refresh before */

	struct account *accounts;
	struct image_counters counters;
	int32_t temperature_mc; /* of the die */
	uint32_t events;	/* LF_EVENT_* that the embedder has not taken */
	struct workspace workspace;
	uint8_t *
		scratch; /* of the job that runs, [params.scratch_bytes]; NULL until one wants some */
	struct xbar_job
		*closed; /* a job that was closed, whose arrays the next one takes; or NULL */
};

/* device.c */
void xbar_device_parallel(struct xbar *xbar, uint32_t count, void (*work)(void *, uint32_t),
			  void *argument);
bool xbar_device_cancelled(const struct xbar *xbar);
void *xbar_device_workspace(struct xbar *xbar, size_t bytes);
bool xbar_device_scratch(struct xbar *xbar);
void xbar_device_settle(struct xbar *xbar, const struct tally *tally);
void xbar_device_add(struct xbar *xbar, const struct tally *tally);
void xbar_device_store_counters(struct xbar *xbar, bool barrier);

/* job.c */
void xbar_job_free(struct xbar_job *job);

/* events.c: @events of LF_EVENT_* have come up; from the embedder's thread, not from a piece of parallel work. */
void xbar_raise(struct xbar *xbar, uint32_t events);

/* tiles.c */
int xbar_tiles_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES]);
uint32_t xbar_tiles_owner(const struct xbar *xbar, uint32_t tile);
uint32_t xbar_tiles_ordinal(const struct xbar *xbar, uint32_t tile);
void xbar_tiles_assign(struct xbar *xbar, uint32_t tile, uint32_t owner, uint32_t ordinal);
void xbar_tiles_release(struct xbar *xbar, uint32_t tile);
bool xbar_tiles_erase(struct xbar *xbar, uint32_t tile, struct tally *tally);
bool xbar_tiles_accept(struct xbar *xbar, uint32_t tile, struct tally *tally);
uint32_t xbar_tiles_wear(const struct xbar *xbar, uint32_t tile, uint32_t row);
void xbar_tiles_wear_matrix(struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			    uint32_t count);

/* refresh.c */
uint64_t xbar_refresh_due_ns(const struct xbar *xbar, const struct matrix *matrix);
uint32_t xbar_refresh_count(const struct xbar *xbar);
void xbar_refresh_watch(struct xbar *xbar, const struct matrix *matrix);
void xbar_refresh_time_passed(struct xbar *xbar, uint64_t before_ns);
uint16_t xbar_refresh_execute(struct xbar *xbar, struct matrix *matrix, uint32_t account_number,
			      struct tally *tally, uint64_t *cells);
int xbar_refresh_attach(struct xbar *xbar, const struct matrix **cut,
			char message[XBAR_MESSAGE_BYTES]);
int xbar_refresh_recover(struct xbar *xbar);

/* placement.c */
int xbar_placement_take(struct xbar *xbar, uint32_t count, struct tally *tally, uint32_t *tiles);

/* spares.c */
int xbar_spares_attach(const struct xbar *xbar, char message[XBAR_MESSAGE_BYTES]);
int xbar_spares_assign(struct xbar *xbar, struct matrix *matrix, struct tally *tally);
int xbar_spares_test(struct xbar *xbar, struct matrix *matrix, struct tally *tally);
uint32_t xbar_spares_test_tile(const struct xbar *xbar, uint32_t tile, struct tally *tally);
uint32_t xbar_spares_column(const struct xbar *xbar, uint32_t tile, uint32_t weight);

/* directory.c */
int xbar_directory_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES]);
void xbar_directory_recover(struct xbar *xbar);
void xbar_directory_free(struct xbar *xbar);
struct matrix *xbar_directory_find(struct xbar *xbar, uint32_t identifier);
struct matrix *xbar_directory_find_name(struct xbar *xbar, const uint8_t name[LF_NAME_BYTES]);
uint16_t xbar_directory_create(struct xbar *xbar, uint32_t rows, uint32_t cols, uint32_t account,
			       struct tally *tally, struct matrix **created);
void xbar_directory_update(struct xbar *xbar, struct matrix *matrix, uint8_t state);
void xbar_directory_delete(struct xbar *xbar, struct matrix *matrix);
void xbar_directory_info(const struct xbar *xbar, const struct matrix *matrix,
			 struct lf_matrix_info *info);
uint32_t xbar_matrix_adc_step(const struct xbar *xbar, const struct matrix *matrix);
uint64_t xbar_directory_stuck_cells(const struct xbar *xbar);
uint64_t xbar_matrix_cells(const struct xbar *xbar, const struct matrix *matrix);

/* ledger.c */
int xbar_ledger_attach(struct xbar *xbar, char message[XBAR_MESSAGE_BYTES]);
void xbar_ledger_recover(struct xbar *xbar);
void xbar_ledger_hold_tiles(struct xbar *xbar, uint32_t account, uint32_t tiles);
void xbar_ledger_describe(struct xbar *xbar, uint32_t account, struct lf_account *description);
struct account *xbar_ledger_find(struct xbar *xbar, uint32_t account);
struct account *xbar_ledger_open(struct xbar *xbar, uint32_t account);
uint64_t xbar_ledger_left(struct xbar *xbar, uint32_t account);
void xbar_ledger_reserve(struct xbar *xbar, struct account *account, uint64_t cells);
void xbar_ledger_settle(struct xbar *xbar, struct account *account, uint64_t cells);
void xbar_ledger_set_quota(struct xbar *xbar, struct account *account, uint64_t cells);

/* cells.c */
int xbar_cells_attach(const struct xbar *xbar, const struct matrix *cut,
		      char message[XBAR_MESSAGE_BYTES]);
uint32_t xbar_cells_checksum(const struct xbar *xbar, const struct matrix *matrix, uint32_t first,
			     uint32_t end, uint32_t checksum);
void xbar_cells_write_row(struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			  const void *weights);
void xbar_cells_read_row(const struct xbar *xbar, const struct matrix *matrix, uint32_t row,
			 void *weights);
uint32_t xbar_cells_count(const struct xbar *xbar, uint32_t tile, uint32_t row);

/* The cells of one tile of the matrix: where they begin in the memory, in the order of image.h. */
static inline uint64_t xbar_cells_tile_offset(const struct xbar *xbar, const struct matrix *matrix,
					      uint32_t tile_row, uint32_t tile_col)
{
	uint64_t tile = matrix->tiles[(size_t)tile_row * matrix->tile_cols + tile_col];

	return xbar->layout.cells + tile * xbar->layout.tile_bytes;
}

static inline const uint8_t *xbar_cells_tile(const struct xbar *xbar, const struct matrix *matrix,
					     uint32_t tile_row, uint32_t tile_col)
{
	return xbar->nv.memory + xbar_cells_tile_offset(xbar, matrix, tile_row, tile_col);
}

/*
 * The weights that one conversion sums: those of group @group of the inputs for @output, most KERNEL_INPUTS. Returns their number,
 * a multiple of four; what lies beyond the edge of the matrix holds nothing.
 */
uint32_t xbar_cells_gather(const struct xbar *xbar, const struct matrix *matrix, bool transpose,
			   uint32_t group, uint32_t output, int8_t *weights);

#endif
