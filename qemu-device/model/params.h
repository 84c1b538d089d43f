/* SPDX-License-Identifier: MIT */
/*
 * The parameters of a device: geometry, converters, latency, energy, limits. The presets with the sources of
 * their numbers are in presets.c, names, units and bounds in params.c, what excludes what in params_check.c.
 */
#ifndef XBAR_PARAMS_H
#define XBAR_PARAMS_H

#include "xbar.h"

#define XBAR_ADC_IDEAL	 0	    /* adc_bits: every sum is converted exactly */
#define XBAR_OFFSET_AUTO INT32_MIN  /* adc_offset: middle of the range, or 0 for unsigned sums */
#define XBAR_ENERGY_AUTO UINT64_MAX /* adc_energy_aj: by resolution */
#define XBAR_UNLIMITED	 UINT64_MAX
#define XBAR_INFINITE \
	UINT64_MAX /* of a time, a ratio or a number of writes: the effect is absent */
#define XBAR_ONE	   1000000 /* fractions and decimal parameters are kept in millionths */
#define XBAR_STEP_MAX	   16384   /* of a converter */
#define XBAR_KEYS_MAX	   128	   /* parameters that have a name */
#define XBAR_DIMENSION_MAX 16384   /* of a matrix: keeps sums of products within 32 bits */

/* Where the two sums of a differential pair are subtracted. */
enum xbar_subtract {
	XBAR_SUBTRACT_BEFORE, /* as currents: one conversion a pair, signed sums */
	XBAR_SUBTRACT_AFTER,  /* as numbers: two conversions a pair, unsigned sums */
};

/* Where the two cells of a pair lie. */
enum xbar_pair {
	XBAR_PAIR_COLUMNS, /* side by side: each side is a column of its own */
	XBAR_PAIR_ROWS, /* one above the other, driven with opposite voltages: subtracted before conversion */
};

/* Step of the converters of a matrix that is not calibrated. */
enum xbar_adc_range {
	XBAR_ADC_FIXED, /* adc_step */
	XBAR_ADC_MAXIMUM, /* the smallest with which no sum of a tile can clip, whatever its cells hold */
};

/* What read noise is a fraction of. */
enum xbar_read_noise {
	XBAR_READ_NOISE_RANGE, /* the largest conductance: every cell that is driven adds the same */
	XBAR_READ_NOISE_CONDUCTANCE, /* the cell's own */
};

enum xbar_ir_drop {
	XBAR_IR_OFF,
	XBAR_IR_FAST,  /* see irdrop.h for its error */
	XBAR_IR_EXACT, /* nodal analysis */
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
	uint32_t pair;
	uint32_t spare_weights; /* columns of weights of a tile that stand in for bad ones */
	uint32_t wear_rows;	/* of a row group, whose wear is counted together */

	/* Conversion. */
	uint32_t dac_bits;
	uint32_t adc_bits;
	uint32_t adc_step;
	int32_t adc_offset;
	uint32_t adc_columns;
	uint32_t adc_subtract;
	uint32_t adc_range;

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

	/*
	 * What cells do. Conductances are fractions of the largest one, in millionths (XBAR_ONE); so are shares of cells.
	 * Absent effects: 0, or XBAR_INFINITE where said.
	 */
	uint64_t seed;
	uint64_t g_max_ns;     /* largest conductance, nanosiemens */
	uint64_t on_off_ratio; /* largest over smallest, millionths; XBAR_INFINITE */

	/* A pulse leaves a cell at its target + N(0, program_sigma + program_sigma_slope * target). */
	uint32_t program_sigma;
	int32_t program_sigma_slope;
	uint32_t verify_tolerance; /* a cell further away gets another pulse; 0 for no verifying */
	uint32_t verify_pulses;	   /* most pulses of a cell */
	uint64_t verify_energy_aj; /* of verifying a cell once */
	uint32_t verify_row_ns;	   /* of verifying a row of cells once */

	uint32_t read_noise;
	uint32_t read_noise_of;

	/*
	 * From relax_start_ms after it was written on, at the age t a cell has moved by
	 * relax_mean * ln(t / start) + N(0, sigma + slope * ln(t / start)), at once by sigma. Both are polynomials in the target
	 * conductance g: relax_sigma + relax_sigma_g1 g + .. + relax_sigma_g4 g^4, the slope likewise.
	 */
	int32_t relax_mean;
	uint32_t relax_sigma;
	int32_t relax_sigma_g1;
	int32_t relax_sigma_g2;
	int32_t relax_sigma_g3;
	int32_t relax_sigma_g4;
	uint32_t relax_sigma_slope;
	int32_t relax_sigma_slope_g1;
	int32_t relax_sigma_slope_g2;
	int32_t relax_sigma_slope_g3;
	int32_t relax_sigma_slope_g4;
	uint32_t relax_start_ms;

	/* What is above the smallest conductance decays with this time constant at 25 °C, Arrhenius; XBAR_INFINITE. */
	uint64_t retention_s;
	uint32_t retention_activation_mev;
	uint64_t refresh_s; /* age at which a matrix is due for a refresh; XBAR_INFINITE */

	uint32_t stuck_on;  /* share of cells at the largest conductance for ever */
	uint32_t stuck_off; /* at the smallest */
	uint32_t
		retire_cells; /* a tile with more stuck cells than this is retired when it is erased */

	uint64_t endurance;	   /* median writes and erasures a cell bears; XBAR_INFINITE */
	uint32_t endurance_spread; /* sigma of its natural logarithm, millionths */
	uint32_t worn_on;	   /* share of worn cells that end at the largest conductance */
	uint64_t wear_warning; /* wear of a row group that raises LF_EVENT_WEAR; XBAR_INFINITE */

	int32_t temperature_mc;
	int32_t temperature_max_mc;
	int32_t temperature_critical_mc;
	int32_t temperature_coefficient; /* change of conductance, millionths a kelvin from 25 °C on */

	uint32_t ir_drop;
	uint32_t wire_mohm; /* of a wire from cell to cell */
	uint32_t driver_mohm;
	uint32_t sense_mohm;

	uint32_t simd;

	/* What was set by name and is not just the preset's: a bit each, in the order of xbar_params_describe(). */
	uint64_t given[XBAR_KEYS_MAX / 64];
};

/* Whether the parameter @name was set by name. */
bool xbar_params_given(const struct xbar_params *params, const char *name);

/* Cells of one weight: a differential pair of slices, or one cell that holds an fp32 number. */
uint32_t xbar_params_cells(const struct xbar_params *params);

/* Slices of a weight's magnitude of seven bits. */
uint32_t xbar_params_slices(const struct xbar_params *params);

/* Logical columns of a tile, a multiple of four; spare ones are not among them. */
uint32_t xbar_params_weights(const struct xbar_params *params);

/* Bytes that one weight takes in the non-volatile memory. */
uint32_t xbar_params_weight_bytes(const struct xbar_params *params);

/* Largest sum that a conversion can see, in levels of one cell. */
uint32_t xbar_params_full_scale(const struct xbar_params *params);

/* The spread of relaxation at its start, and its growth for each factor e of age, of cells whose target is @g; may be below 0. */
double xbar_params_relax_sigma(const struct xbar_params *params, double g);
double xbar_params_relax_slope(const struct xbar_params *params, double g);

/* Whether cells relax, and whether they go on to after the start of relaxation. */
bool xbar_params_relaxes(const struct xbar_params *params);
bool xbar_params_drifts(const struct xbar_params *params);

/* Offset of a converter whose step is @step. */
int32_t xbar_params_offset(const struct xbar_params *params, uint32_t step);

/* Whether a converter of @step covers zero and stays within the model's 16-bit sums. */
bool xbar_params_step_fits(const struct xbar_params *params, uint32_t step);

/* The smallest step with which no sum of a tile clips, whatever levels its cells hold; 0 when there is none. */
uint32_t xbar_params_maximum_step(const struct xbar_params *params);

/* Step of the converters of a matrix that is not calibrated. */
uint32_t xbar_params_step(const struct xbar_params *params);

#endif
