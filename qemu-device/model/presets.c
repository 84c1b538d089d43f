// SPDX-License-Identifier: MIT
/*
 * The presets, each number with its source. Names, units and bounds of the parameters are in params.c.
 *
 * ISAAC: Shafiee et al., ISCA 2016, table I: an in-situ unit has 8 arrays of 128x128 two-bit cells, 8 ADCs
 * (8 bits, 1.28 GS/s, 16 mW together), 8x128 one-bit DACs (4 mW), 4 shift-and-add units (0.2 mW), and arrays of 2.4 mW,
 * all at a cycle of 100 ns.
 * PUMA: Ankit et al., ASPLOS 2019: the same array is written with 22.6 nJ in 11 us.
 * Horowitz: "Computing's energy problem", ISSCC 2014: 45 nm, fp32 multiply 3.7 pJ, fp32 add 0.9 pJ, 64 bits
 * from an 8 KiB SRAM 10 pJ.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "params.h"

/* Cells that do what they are told, for ever, at room temperature, between wires without resistance. */
#define NO_ERRORS                                                                             \
	.g_max_ns = 500000, /* 2 kOhm */                                                      \
		.on_off_ratio = XBAR_INFINITE, .verify_pulses = 1, .relax_start_ms = 1000,    \
	.retention_s = XBAR_INFINITE, .refresh_s = XBAR_INFINITE, .retire_cells = UINT32_MAX, \
	.endurance = XBAR_INFINITE, .wear_warning = XBAR_INFINITE, .temperature_mc = 25000,   \
	.temperature_max_mc = 85000, .temperature_critical_mc = 105000

/*
 * 16,384 tiles of 128 x 16 weights hold a 10.6 M weight encoder (5,184 tiles) and 30 LoRA modules of rank 16 on two
 * linears of its six layers (2,232 tiles) twice over.
 */
static const struct xbar_params isaac = {
	.preset = "isaac",
	.format = LF_FORMAT_INT8,

	.tiles = 16384,
	.tile_rows = 128, /* ISAAC */
	.tile_cols = 128, /* ISAAC */
	.cell_bits = 2,	  /* ISAAC */
	.matrices = 1024,
	.accounts = 256,
	.wear_rows = 16,

	.dac_bits = 1, /* ISAAC */
	.adc_bits = 8, /* ISAAC */
	.adc_step = 1,
	.adc_offset = XBAR_OFFSET_AUTO,
	.adc_columns = 128, /* ISAAC: one converter an array */
	/* ISAAC converts every column; its signed weights are biased, ours are pairs. */
	.adc_subtract = XBAR_SUBTRACT_AFTER,

	.matrix_rows = 16384,
	.matrix_cols = 16384,
	.batch = 4096,
	.commands = 256,
	.scratch_bytes = 64u << 20,
	.default_quota = XBAR_UNLIMITED,

	.read_ns = 100,		/* ISAAC */
	.adc_ps = 781,		/* ISAAC: 1.28 GS/s */
	.program_row_ns = 86,	/* PUMA: 11 us / 128 rows */
	.erase_tile_ns = 11000, /* PUMA: as long as writing the array */

	.array_energy_aj = 30000000, /* ISAAC: 2.4 mW / 8 arrays x 100 ns */
	.dac_energy_aj = 390625,     /* ISAAC: 4 mW / 1,024 rows x 100 ns */
	.adc_energy_aj = XBAR_ENERGY_AUTO,
	.shift_add_energy_aj = 19531,  /* ISAAC: 0.2 mW x 100 ns / 1,024 conversions */
	.multiply_energy_aj = 3700000, /* Horowitz */
	.add_energy_aj = 900000,       /* Horowitz */
	.scratch_energy_aj = 1250000,  /* Horowitz: a byte */
	.program_energy_aj = 1379395,  /* PUMA: 22.6 nJ / 16,384 cells */
	.erase_energy_aj = 1379395,    /* PUMA's write; the resetting pulse is not told apart */
	.static_power_nw = 0,	       /* ISAAC's powers include leakage */

	NO_ERRORS,
	.simd = XBAR_SIMD_AUTO,
};

/*
 * The oracle of gradient checks: fp32 weights, one a cell, no conversion. No hardware is like it, so
 * it has no energy and takes no modelled time.
 */
static const struct xbar_params float_oracle = {
	.preset = "float",
	.format = LF_FORMAT_FP32,

	.tiles = 2048,
	.tile_rows = 128,
	.tile_cols = 128,
	.cell_bits = 32,
	.matrices = 1024,
	.accounts = 256,
	.wear_rows = 16,

	.dac_bits = 32,
	.adc_bits = XBAR_ADC_IDEAL,
	.adc_step = 1,
	.adc_offset = XBAR_OFFSET_AUTO,
	.adc_columns = 128,

	.matrix_rows = 16384,
	.matrix_cols = 16384,
	.batch = 4096,
	.commands = 256,
	.scratch_bytes = 64u << 20,
	.default_quota = XBAR_UNLIMITED,

	NO_ERRORS,
	.simd = XBAR_SIMD_AUTO,
};

int xbar_params_create(const char *preset, struct xbar_params **params)
{
	struct xbar_params chosen;

	if (!strcmp(preset, "isaac")) {
		chosen = isaac;
	} else if (!strcmp(preset, "ideal")) {
		/* ISAAC's tiles and costs with converters that lose nothing: what analog error alone does. */
		chosen = isaac;
		memset(chosen.preset, 0, sizeof(chosen.preset));
		strcpy(chosen.preset, "ideal");
		chosen.adc_bits = XBAR_ADC_IDEAL;
	} else if (!strcmp(preset, "float")) {
		chosen = float_oracle;
	} else {
		return -ENOENT;
	}
	*params = malloc(sizeof(**params));
	if (!*params)
		return -ENOMEM;
	**params = chosen;
	return 0;
}

void xbar_params_free(struct xbar_params *params)
{
	free(params);
}
