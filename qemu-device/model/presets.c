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
 * Wan: Wan et al., "A compute-in-memory chip based on resistive random-access memory", Nature 608, 2022 (NeuRRAM). Its 8.52 pulses,
 * window of 1 uS, 99 % and Gmin of 1 uS are as secondary sources report them, not compared with the text.
 * Falcone: Falcone et al., "All-in-One Analog AI Hardware: On-Chip Training and Inference with Conductive-Metal-Oxide/HfOx
 * ReRAM Devices", arXiv 2502.04524, 2025; its fits as the statistical model of IBM's aihwkit states them.
 * Lombardo: Lombardo et al., "Read Noise Analysis in Analog Conductive-Metal-Oxide/HfOx ReRAM Devices", DRC 2024, likewise.
 * aihwkit: the polynomials that it fits to the figures of Wan, and its advice on read noise.
 * MNSIM: Zhu et al., MNSIM 2.0: cells stuck at either end, 0.1 % each.
 * Murmann: energy of conversions by node and resolution, fit to the ADC survey: 23.9 pJ at 8 bits in 130 nm.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "params.h"

/* What every preset of a device can take; a host's memory sets it, no hardware. */
#define LIMITS                                                                            \
	.matrices = 1024, .accounts = 256, .wear_rows = 16, .matrix_rows = 16384,         \
	.matrix_cols = 16384, .batch = 4096, .commands = 256, .scratch_bytes = 64u << 20, \
	.default_quota = XBAR_UNLIMITED

/* The digital unit behind the arrays: Horowitz; a byte is an eighth of 10 pJ. */
#define DIGITAL .multiply_energy_aj = 3700000, .add_energy_aj = 900000, .scratch_energy_aj = 1250000

/* Cells that do what they are told, for ever, at room temperature, between wires without resistance. */
#define NO_ERRORS                                                                             \
	.g_max_ns = 500000, /* 2 kOhm */                                                      \
		.on_off_ratio = XBAR_INFINITE, .verify_pulses = 1, .relax_start_ms = 1000,    \
	.retention_s = XBAR_INFINITE, .refresh_s = XBAR_INFINITE, .retire_cells = UINT32_MAX, \
	.endurance = XBAR_INFINITE, .wear_warning = XBAR_INFINITE, .temperature_mc = 25000,   \
	.temperature_max_mc = 85000, .temperature_critical_mc = 105000

/*
 * ISAAC, and with converters that lose nothing, ideal. 16,384 tiles of 128 x 16 weights hold a 10.6 M weight encoder (5,184
 * tiles) and 30 LoRA modules of rank 16 on two linears of its six layers (2,232 tiles) twice over.
 */
static const struct xbar_params isaac = {
	.preset = "isaac",
	.format = LF_FORMAT_INT8,

	.tiles = 16384,
	LIMITS,
	.tile_rows = 128, /* ISAAC */
	.tile_cols = 128, /* ISAAC */
	.cell_bits = 2,	  /* ISAAC */

	.dac_bits = 1, /* ISAAC */
	.adc_bits = 8, /* ISAAC */
	.adc_step = 1,
	.adc_offset = XBAR_OFFSET_AUTO,
	.adc_columns = 128, /* ISAAC: one converter an array */
	/* ISAAC converts every column; its signed weights are biased, ours are pairs. */
	.adc_subtract = XBAR_SUBTRACT_AFTER,

	.read_ns = 100,		/* ISAAC */
	.adc_ps = 781,		/* ISAAC: 1.28 GS/s */
	.program_row_ns = 86,	/* PUMA: 11 us / 128 rows */
	.erase_tile_ns = 11000, /* PUMA: as long as writing the array */

	.array_energy_aj = 30000000, /* ISAAC: 2.4 mW / 8 arrays x 100 ns */
	.dac_energy_aj = 390625,     /* ISAAC: 4 mW / 1,024 rows x 100 ns */
	.adc_energy_aj = XBAR_ENERGY_AUTO,
	.shift_add_energy_aj = 19531, /* ISAAC: 0.2 mW x 100 ns / 1,024 conversions */
	DIGITAL,
	.program_energy_aj = 1379395, /* PUMA: 22.6 nJ / 16,384 cells */
	.erase_energy_aj = 1379395,   /* PUMA's write; the resetting pulse is not told apart */
	.static_power_nw = 0,	      /* ISAAC's powers include leakage */

	NO_ERRORS,
	.simd = XBAR_SIMD_AUTO,
};

/*
 * NeuRRAM. A core is 256x256 cells of one transistor and one resistor in 130 nm, a weight the difference of two cells one above
 * the other, driven with opposite voltages: 128 rows of pairs. Here a core is two tiles of 128 columns, so that sums of
 * transposed products, over the columns, stay within the model's 16 bits.
 *
 * Its sensing is in voltage mode: a floating column settles at sum(V G) / sum(G), and the chip multiplies the digitised result
 * with sum(G), a constant of the column. So it is the sum of currents that the model computes, divided and multiplied by one
 * known number; what differs is that noise of the converter is scaled by sum(G) of each column, and that the power of the
 * array does not grow with the conductances. The chip also adds up the bits of an input as charge and converts once, at 1 to 8 bits,
 * where the model converts each bit-cycle: the energy of a conversion is divided by its eight cycles.
 *
 * Gmax is the 40 uS of the paper, 25 kOhm, and so is the energy of a pulse; CiMLoop's cell of this name has 250 kOhm.
 */
static const struct xbar_params wan2022 = {
	.preset = "wan2022",
	.format = LF_FORMAT_INT8,

	/* As many weights as isaac; a chip has 48 cores, 96 tiles. */
	.tiles = 2048,
	LIMITS,
	.tile_rows = 128,	/* Wan: 256 rows of cells */
	.tile_cols = 128,	/* Wan: 256, see above */
	.cell_bits = 7,		/* analog: one pair of cells a weight */
	.pair = XBAR_PAIR_ROWS, /* Wan */
	.dac_bits = 1,
	.adc_bits = 8, /* Wan: outputs of 1 to 8 bits, sign included */
	/* Six deviations of a column of random bits and weights. Wan calibrates for each layer, as CALIBRATE does. */
	.adc_step = 16,
	.adc_offset = XBAR_OFFSET_AUTO,
	.adc_columns = 1, /* Wan: 256 neurons a core convert all columns at once */
	.adc_subtract = XBAR_SUBTRACT_BEFORE,

	.read_ns = 100,		 /* ISAAC; Wan gives the latency of whole products only */
	.adc_ps = 100000,	 /* an assumption: as long as reading */
	.program_row_ns = 1000,	 /* Wan: pulses of 1 us */
	.verify_row_ns = 100,	 /* as reading */
	.erase_tile_ns = 128000, /* one pulse a row of pairs */

	.array_energy_aj = 60000000,  /* ISAAC: 1.8 fJ a cell, 2 x 16,384 of them */
	.dac_energy_aj = 390625,      /* ISAAC */
	.adc_energy_aj = 2987500,     /* Murmann: 23.9 pJ, over eight cycles */
	.shift_add_energy_aj = 19531, /* ISAAC */
	DIGITAL,
	.program_energy_aj = 46125000, /* (1.5 V)^2 x 20.5 uS, the middle of the range, x 1 us */
	.erase_energy_aj = 46125000,   /* likewise */
	/* A conversion, Murmann, and what a cell in the middle of the range takes at 0.5 V in 100 ns, 0.5 pJ. */
	.verify_energy_aj = 24400000,

	.g_max_ns = 40000,	  /* Wan */
	.on_off_ratio = 40000000, /* Wan: 1 uS to 40 uS */
	/*
	 * Wan: within 1 uS of the target is accepted, after 8.52 pulses in the mean, and 99 % of the cells get there. If a pulse
	 * is accepted with p = 1 / 8.52, its spread is 1 uS / 0.1476 = 6.77 uS, and 1 - (1 - p)^37 = 99 %.
	 */
	.verify_tolerance = 25000, /* 1 uS */
	.program_sigma = 169370,   /* 6.775 uS */
	.verify_pulses = 37,
	/*
	 * aihwkit: with x the target over 40 uS the spread around it is 0.348 + 16.030 x - 43.853 x^2 + 45.393 x^3 - 16.815 x^4 uS after
	 * a second and 0.701 + 22.086 x - 50.773 x^2 + 47.095 x^3 - 16.458 x^4 uS after a day: 0.7 and 1.2 uS at Gmin, 2.3 and 3.9 uS at
	 * most. Of that the window leaves 1 uS / sqrt(3), and relaxation is the root of the difference of the squares; ln(86,400) = 11.37
	 * lies between. These are the polynomials of fourth order that fit it best at the 128 levels: sums with the window's
	 * spread are within 0.05 uS of those of aihwkit after a second and a day, and within 0.16 uS of the third it has, after two days.
	 */
	.relax_sigma = 2440,
	.relax_sigma_g1 = 441773,
	.relax_sigma_g2 = -1220056,
	.relax_sigma_g3 = 1281828,
	.relax_sigma_g4 = -482663,
	.relax_sigma_slope = 1025,
	.relax_sigma_slope_g1 = 11481,
	.relax_sigma_slope_g2 = -9383,
	.relax_sigma_slope_g3 = -3313,
	.relax_sigma_slope_g4 = 3819,
	.relax_start_ms = 1000,
	/*
	 * aihwkit advises 1 % of the range a weight and product, w_noise 0.01: a variance of (0.01 range)^2 sum x^2; Wan has none
	 * apart. Here each driven cell of a pair errs in each bit-cycle, and the variance is 2 (read_noise Gmax)^2 sum over bits b of 4^b
	 * for each input that has b set, the sign's too. For int8 inputs of a normal distribution with sigma 127 / 4 the
	 * mean of that sum is 10.72 times that of x^2, so this is 0.01 x (39 uS / 40 uS) / sqrt(2 x 10.72) = 0.0021. Smaller inputs suffer more:
	 * in two's complement small negative ones drive every bit (42.3 for sigma 127 / 8, 6.2 for 127 / 3).
	 */
	.read_noise = 2105,
	.read_noise_of = XBAR_READ_NOISE_RANGE,
	/* MNSIM; Wan does not tell stuck cells from the 1 % that does not verify. */
	.stuck_on = 1000,
	.stuck_off = 1000,
	.retire_cells = UINT32_MAX,
	/* Four-level HfOx of the same kind bears a million writes; the spread, a factor e, is an assumption. */
	.endurance = 1000000,
	.endurance_spread = 1000000,
	/* Not published: none. Relaxation is measured for two days, and goes on as the logarithm here. */
	.retention_s = XBAR_INFINITE,
	.refresh_s = XBAR_INFINITE,
	.wear_warning = 500000, /* half of the endurance */
	.temperature_mc = 25000,
	.temperature_max_mc = 85000,
	.temperature_critical_mc = 105000,
	.simd = XBAR_SIMD_AUTO,
};

/*
 * Analog filamentary cells of a conductive metal oxide on HfOx, one transistor and one resistor, 130 nm, on the 64x64 array that
 * the paper multiplies with. It maps a signed weight on one cell between Gmin and Gmax; here a weight is a pair of
 * cells side by side. What surrounds the array is not published and taken as for wan2022.
 */
static const struct xbar_params falcone2025 = {
	.preset = "falcone2025",
	.format = LF_FORMAT_INT8,

	.tiles = 8192, /* as many weights as isaac */
	LIMITS,
	.tile_rows = 64,  /* Falcone */
	.tile_cols = 128, /* Falcone: 64 columns of weights */
	/*
	 * One pair of cells a weight. Falcone shows 32 stable states and more; 127 are 0.62 uS apart, relaxation in the first
	 * second moves a cell by 0.41 uS.
	 */
	.cell_bits = 7,
	.pair = XBAR_PAIR_COLUMNS,
	.dac_bits = 1,
	.adc_bits = 8,	/* ISAAC */
	.adc_step = 16, /* eight deviations of a column of random bits and weights */
	.adc_offset = XBAR_OFFSET_AUTO,
	.adc_columns = 128, /* ISAAC: one converter an array */
	.adc_subtract = XBAR_SUBTRACT_BEFORE,

	.read_ns = 100,		/* ISAAC */
	.adc_ps = 781,		/* ISAAC */
	.program_row_ns = 1000, /* an assumption: a pulse as Wan's */
	.erase_tile_ns = 64000, /* one pulse a row */

	.array_energy_aj = 14700000,  /* ISAAC: 1.8 fJ a cell, 8,192 of them */
	.dac_energy_aj = 390625,      /* ISAAC */
	.adc_energy_aj = 23900000,    /* Murmann */
	.shift_add_energy_aj = 19531, /* ISAAC */
	DIGITAL,
	/* (1.5 V)^2, the bound that Falcone gives, x 48.5 uS, the middle of the range, x 1 us, one pulse: a lower bound. */
	.program_energy_aj = 109125000,
	.erase_energy_aj = 109125000,

	.g_max_ns = 88000,	 /* Falcone */
	.on_off_ratio = 9777778, /* Falcone: 9 uS to 88 uS */
	/*
	 * Falcone: the loop of pulses that accepts 2 % of the target leaves 1.129 % of it + 0.0112 uS. The spread is that of the
	 * whole loop, so there is no verifying on top. For the loop that accepts 0.2 %: program_sigma 0.000009,
	 * program_sigma_slope 0.001069.
	 */
	.program_sigma = 127,
	.program_sigma_slope = 11290,
	.verify_pulses = 1,
	/* Falcone: the mean moves by -0.089 ln t uS, the spread is 0.4118 + 0.04201 ln t uS, t in seconds, at any conductance. */
	.relax_mean = -1011,
	.relax_sigma = 4680,
	.relax_sigma_slope = 477,
	.relax_start_ms = 1000,
	/* Lombardo: 0.0277 log10(G / uS) sqrt(ln(t / 2 us)) uS, 0.185 uS at 50 uS and 10 s; 0.10 uS at Gmin, 0.21 uS at Gmax. */
	.read_noise = 2101,
	.read_noise_of = XBAR_READ_NOISE_RANGE,
	/*
	 * Stuck cells are not published, and the others err by 1 % of Gmax: the share taken for wan2022, 0.1 % wrong by up to Gmax, 3 %
	 * rms, would be most of the error. None here; for an array with defects set stuck_on and stuck_off.
	 */
	.stuck_on = 0,
	.stuck_off = 0,
	.retire_cells = UINT32_MAX,
	.endurance = 1000000, /* as wan2022 */
	.endurance_spread = 1000000,
	/* Falcone extrapolates the logarithm to ten years; no other loss is published. */
	.retention_s = XBAR_INFINITE,
	.refresh_s = XBAR_INFINITE,
	.wear_warning = 500000,
	.temperature_mc = 25000,
	.temperature_max_mc = 85000,
	.temperature_critical_mc = 105000,
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
	LIMITS,
	.tile_rows = 128,
	.tile_cols = 128,
	.cell_bits = 32,

	.dac_bits = 32,
	.adc_bits = XBAR_ADC_IDEAL,
	.adc_step = 1,
	.adc_offset = XBAR_OFFSET_AUTO,
	.adc_columns = 128,

	NO_ERRORS,
	.simd = XBAR_SIMD_AUTO,
};

/* ISAAC's tiles and costs with converters that lose nothing: what analog error alone does. */
static void make_ideal(struct xbar_params *params)
{
	memset(params->preset, 0, sizeof(params->preset));
	strcpy(params->preset, "ideal");
	params->adc_bits = XBAR_ADC_IDEAL;
}

static const struct {
	const char *name;
	const struct xbar_params *params;
	void (*change)(struct xbar_params *params);
} presets[] = {
	{ "ideal", &isaac, make_ideal },  { "isaac", &isaac, NULL },
	{ "wan2022", &wan2022, NULL },	  { "falcone2025", &falcone2025, NULL },
	{ "float", &float_oracle, NULL },
};

#define PRESET_COUNT (sizeof(presets) / sizeof(presets[0]))

const char *xbar_params_preset(uint32_t index)
{
	return index < PRESET_COUNT ? presets[index].name : NULL;
}

int xbar_params_create(const char *preset, struct xbar_params **params)
{
	uint32_t index = 0;

	while (index < PRESET_COUNT && strcmp(presets[index].name, preset))
		index++;
	if (index == PRESET_COUNT)
		return -ENOENT;
	*params = malloc(sizeof(**params));
	if (!*params)
		return -ENOMEM;
	**params = *presets[index].params;
	if (presets[index].change)
		presets[index].change(*params);
	return 0;
}

void xbar_params_free(struct xbar_params *params)
{
	free(params);
}
