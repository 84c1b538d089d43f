/* SPDX-License-Identifier: MIT */
/*
 * What a job cost, and the closed forms that count it. Constants and their sources are in presets.c.
 */
#ifndef XBAR_ENERGY_H
#define XBAR_ENERGY_H

#include "params.h"

/* Counters of one job. Energy is in attojoules and 128 bits, so that no sum rounds or wraps. */
struct tally {
	unsigned __int128 energy_aj[LF_ENERGY_COMPONENTS];
	uint64_t busy_ns;
	uint64_t mvm_count;
	uint64_t mac_count;
	uint64_t conversions;
	uint64_t clips;
	uint64_t cells_written;
	uint64_t cells_erased;
	uint64_t verify_retries;
	uint64_t cells_failed;
	uint64_t host_bytes;
};

/* Energy of one conversion at the parameters' resolution. */
uint64_t xbar_energy_of_conversion(const struct xbar_params *params);

/* Work of the digital unit: fp32 operations and bytes of scratch. */
struct digital_work {
	uint64_t multiplications;
	uint64_t additions;
	uint64_t scratch_bytes;
};

void xbar_energy_charge_digital(const struct xbar_params *params, const struct digital_work *work,
				struct tally *tally);

/**
 * struct mvm_work - vectors multiplied with a matrix
 * @rows: of the matrix
 * @cols: of the matrix
 * @transpose: columns are driven and rows converted
 * @tile_scale: @scale is [rows of tiles][@cols]
 * @vectors: how many
 * @factor: of the inputs, or NULL
 * @scale: of the columns, or NULL
 * @partials: sums of each row of tiles are asked for, which are before the scale
 *
 * An input whose factor (in transpose also: whose scale) is 0 is not driven, and forward a column whose scale is 0 is not converted: the
 * product knows them without. Of a tile where nothing is driven, or nothing converted, nothing is read.
 */
struct mvm_work {
	uint32_t rows;
	uint32_t cols;
	bool transpose;
	bool tile_scale;
	uint64_t vectors;
	const float *factor;
	const float *scale;
	bool partials;
};

/* Arrays, drivers, converters, shift-adds and time. */
void xbar_energy_charge_mvm(const struct xbar_params *params, const struct mvm_work *work,
			    struct tally *tally);

/**
 * struct program_work - what writing rows of cells took
 * @cells: cells written
 * @pulses: of all of them
 * @failed: cells that did not verify
 * @row_pulses: pulses of the slowest cell of each row of cells, summed over them; a pair that lies in rows has two
 */
struct program_work {
	uint64_t cells;
	uint64_t pulses;
	uint64_t failed;
	uint64_t row_pulses;
};

/* Cells written: each pulse of a cell is followed by a verification, if there is any, and a row takes as long as its slowest cell. */
void xbar_energy_charge_program(const struct xbar_params *params, const struct program_work *work,
				struct tally *tally);

/* The cells of @rows of a matrix of @cols columns read, a row at a time. */
void xbar_energy_charge_read(const struct xbar_params *params, uint32_t rows, uint32_t cols,
			     struct tally *tally);

/**
 * struct erase_work - what erasing a tile took
 * @cells: cells of weights that were not zero
 * @rows: rows with such cells
 */
struct erase_work {
	uint64_t cells;
	uint32_t rows;
};

/* One tile erased, a row after the other: rows without anything to erase take no time. */
void xbar_energy_charge_erase(const struct xbar_params *params, const struct erase_work *work,
			      struct tally *tally);

/* Leakage over the busy time; called once, at the end of a job. */
void xbar_energy_charge_static(const struct xbar_params *params, struct tally *tally);

#endif
