/* SPDX-License-Identifier: MIT */
/*
 * The parameters of a device: geometry, converters, latency, energy, limits. The presets with the sources of
 * their numbers are in presets.c, names, units and bounds in params.c.
 */
#ifndef XBAR_PARAMS_H
#define XBAR_PARAMS_H

#include "xbar.h"

#define XBAR_ADC_IDEAL	   0	      /* adc_bits: every sum is converted exactly */
#define XBAR_OFFSET_AUTO   INT32_MIN  /* adc_offset: middle of the range, or 0 for unsigned sums */
#define XBAR_ENERGY_AUTO   UINT64_MAX /* adc_energy_aj: by resolution */
#define XBAR_UNLIMITED	   UINT64_MAX
#define XBAR_STEP_MAX	   16384 /* of a converter */
#define XBAR_DIMENSION_MAX 16384 /* of a matrix: keeps sums of products within 32 bits */

/* Where the two sums of a differential pair are subtracted. */
enum xbar_subtract {
	XBAR_SUBTRACT_BEFORE, /* as currents: one conversion a pair, signed sums */
	XBAR_SUBTRACT_AFTER,  /* as numbers: two conversions a pair, unsigned sums */
};

enum xbar_simd {
	XBAR_SIMD_AUTO,
	XBAR_SIMD_SCALAR,
	XBAR_SIMD_AVX2,
	XBAR_SIMD_AVX512,
};

struct xbar_params {
	char preset[LF_PRESET_BYTES];
	uint32_t format; /* LF_FORMAT_* of every matrix */

	/* Geometry; fixed for the life of a backing store. */
	uint32_t tiles;
	uint32_t tile_rows;
	uint32_t tile_cols;
	uint32_t cell_bits;
	uint32_t matrices;
	uint32_t accounts;

	/* Conversion. */
	uint32_t dac_bits;
	uint32_t adc_bits;
	uint32_t adc_step;
	int32_t adc_offset;
	uint32_t adc_columns;
	uint32_t adc_subtract;

	/* Limits of jobs. */
	uint32_t matrix_rows;
	uint32_t matrix_cols;
	uint32_t batch;
	uint32_t commands;
	uint32_t scratch_bytes;
	uint64_t default_quota;

	/* Latency, nanoseconds; of one conversion, picoseconds. */
	uint32_t read_ns;
	uint32_t adc_ps;
	uint32_t program_row_ns;
	uint32_t erase_tile_ns;

	/* Energy, attojoules. */
	uint64_t array_energy_aj;
	uint64_t dac_energy_aj;
	uint64_t adc_energy_aj;
	uint64_t shift_add_energy_aj;
	uint64_t multiply_energy_aj;
	uint64_t add_energy_aj;
	uint64_t scratch_energy_aj;
	uint64_t program_energy_aj;
	uint64_t erase_energy_aj;
	uint64_t static_power_nw;

	int32_t temperature_mc;
	uint32_t simd;
};

/* Cells of one weight: a differential pair of slices, or one cell that holds an fp32 number. */
uint32_t xbar_params_cells(const struct xbar_params *params);

/* Slices of a weight's magnitude of seven bits. */
uint32_t xbar_params_slices(const struct xbar_params *params);

/* Logical columns of a tile, a multiple of four. */
uint32_t xbar_params_weights(const struct xbar_params *params);

/* Bytes that one weight takes in the non-volatile memory. */
uint32_t xbar_params_weight_bytes(const struct xbar_params *params);

/* Largest sum that a conversion can see, in levels of one cell. */
uint32_t xbar_params_full_scale(const struct xbar_params *params);

/* Offset of a converter whose step is @step. */
int32_t xbar_params_offset(const struct xbar_params *params, uint32_t step);

/* Whether a converter of @step covers zero and stays within the model's 16-bit sums. */
bool xbar_params_step_fits(const struct xbar_params *params, uint32_t step);

#endif
