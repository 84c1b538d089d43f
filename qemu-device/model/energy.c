// SPDX-License-Identifier: MIT
/*
 * Energy and latency in closed form. The counts are those of hardware that evaluates every bit-cycle, slice and column,
 * whichever way the model computes the result.
 */
#include "energy.h"

/* Cycles of an int8 input driven bit by bit. */
#define INPUT_CYCLES 8

/*
 * Attojoules by resolution. 6, 7 and 8 bits: 0.88, 1.20 and 1.5625 pJ (ISAAC's converter scaled by PUMA, 2 mW / 1.28 GS/s at 8
 * bits). The others continue the ratio of the nearest two.
 */
static const uint64_t conversion_energy_aj[13] = {
	0,	 186635,  254502,  347048,  473246,  645333,  880000,
	1200000, 1562500, 2034505, 2649095, 3449343, 4491332,
};

uint64_t xbar_energy_of_conversion(const struct xbar_params *params)
{
	if (params->adc_energy_aj != XBAR_ENERGY_AUTO)
		return params->adc_energy_aj;
	/* An ideal converter costs what the preset's own does: 8 bits. */
	return conversion_energy_aj[params->adc_bits == XBAR_ADC_IDEAL ? 8 : params->adc_bits];
}

void xbar_energy_charge_digital(const struct xbar_params *params, const struct digital_work *work,
				struct tally *tally)
{
	unsigned __int128 energy = 0;

	energy += (unsigned __int128)work->multiplications * params->multiply_energy_aj;
	energy += (unsigned __int128)work->additions * params->add_energy_aj;
	energy += (unsigned __int128)work->scratch_bytes * params->scratch_energy_aj;
	tally->energy_aj[LF_ENERGY_DIGITAL] += energy;
}

static uint64_t divide_up(uint64_t value, uint64_t by)
{
	return (value + by - 1) / by;
}

/* Reading and converting @lines are pipelined; the slower of the two sets the cycle. */
static uint64_t cycle_ns(const struct xbar_params *params, uint64_t lines)
{
	uint64_t shared = lines < params->adc_columns ? lines : params->adc_columns;
	uint64_t convert_ns = shared * params->adc_ps / 1000;

	return convert_ns > params->read_ns ? convert_ns : params->read_ns;
}

static void charge_conversions(const struct xbar_params *params, uint64_t conversions,
			       struct tally *tally)
{
	tally->conversions += conversions;
	tally->energy_aj[LF_ENERGY_ADC] +=
		(unsigned __int128)conversions * xbar_energy_of_conversion(params);
	tally->energy_aj[LF_ENERGY_DIGITAL] +=
		(unsigned __int128)conversions * params->shift_add_energy_aj;
}

/* Rows of cells of a row of inputs. */
static uint64_t lines_of_row(const struct xbar_params *params)
{
	return params->pair == XBAR_PAIR_ROWS ? 2 : 1;
}

/* Conversions of a pair: of one that lies in rows, what arrives is the difference. */
static uint64_t conversions_of_pair(const struct xbar_params *params)
{
	return params->adc_subtract == XBAR_SUBTRACT_AFTER && params->pair == XBAR_PAIR_COLUMNS ? 2
												: 1;
}

/*
 * Forward, all slices of a tile are read at once. In transpose the slices of a weight share a row line, which can sum only
 * cells of one significance: a pass for each slice and, when pairs are subtracted as numbers, for each side. Pairs in
 * columns then have two lines to drive, pairs in rows two that are subtracted as currents.
 */
void xbar_energy_charge_mvm(const struct xbar_params *params, uint32_t rows, uint32_t cols,
			    bool transpose, uint64_t vectors, struct tally *tally)
{
	uint64_t weights = xbar_params_weights(params), slices, sides, tile_rows, tile_cols;
	uint64_t cycles, passes, conversions, drives, lines;

	tally->mvm_count += vectors;
	tally->mac_count += vectors * rows * cols;
	if (params->format == LF_FORMAT_FP32)
		return;

	slices = xbar_params_slices(params);
	sides = conversions_of_pair(params);
	tile_rows = divide_up(rows, params->tile_rows);
	tile_cols = divide_up(cols, weights);
	passes = transpose ? slices * sides : 1;
	cycles = vectors * INPUT_CYCLES;
	if (transpose) {
		conversions = cycles * passes * rows * tile_cols;
		drives = cycles * slices * (2 / lines_of_row(params)) * cols * tile_rows;
		lines = params->tile_rows;
	} else {
		conversions = cycles * slices * sides * cols * tile_rows;
		drives = cycles * lines_of_row(params) * rows * tile_cols;
		lines = weights * slices * sides;
	}
	charge_conversions(params, conversions, tally);
	/* The passes of a cycle divide the cells among them, and an array costs by the cells that conduct. */
	tally->energy_aj[LF_ENERGY_ARRAY] +=
		(unsigned __int128)cycles * tile_rows * tile_cols * params->array_energy_aj;
	tally->energy_aj[LF_ENERGY_DAC] += (unsigned __int128)drives * params->dac_energy_aj;
	tally->busy_ns += cycles * passes * cycle_ns(params, lines);
}

/*
 * A row of cells at a time: its line is driven, and each of its cells converted. Of the array one row conducts, which takes its share
 * as in a pass of a product.
 */
void xbar_energy_charge_read(const struct xbar_params *params, uint32_t rows, uint32_t cols,
			     struct tally *tally)
{
	uint64_t tile_cols = divide_up(cols, xbar_params_weights(params));
	uint64_t lines = rows * lines_of_row(params);

	if (params->format == LF_FORMAT_FP32)
		return;
	charge_conversions(params, (uint64_t)rows * cols * xbar_params_cells(params), tally);
	tally->energy_aj[LF_ENERGY_ARRAY] += (unsigned __int128)lines * tile_cols *
					     params->array_energy_aj /
					     (params->tile_rows * lines_of_row(params));
	tally->energy_aj[LF_ENERGY_DAC] +=
		(unsigned __int128)lines * tile_cols * params->dac_energy_aj;
	tally->busy_ns += lines * cycle_ns(params, params->tile_cols);
}

void xbar_energy_charge_program(const struct xbar_params *params, const struct program_work *work,
				struct tally *tally)
{
	bool verifies = params->verify_tolerance;
	uint64_t pulse_aj = params->program_energy_aj + (verifies ? params->verify_energy_aj : 0);
	uint64_t pulse_ns = params->program_row_ns + (verifies ? params->verify_row_ns : 0);

	tally->cells_written += work->cells;
	tally->verify_retries += work->pulses - work->cells;
	tally->cells_failed += work->failed;
	tally->energy_aj[LF_ENERGY_PROGRAM] += (unsigned __int128)work->pulses * pulse_aj;
	tally->busy_ns += work->row_pulses * pulse_ns;
}

void xbar_energy_charge_erase(const struct xbar_params *params, struct tally *tally)
{
	uint64_t cells = xbar_params_tile_cells(params);

	tally->cells_erased += cells;
	tally->energy_aj[LF_ENERGY_PROGRAM] += (unsigned __int128)cells * params->erase_energy_aj;
	tally->busy_ns += params->erase_tile_ns;
}

void xbar_energy_charge_static(const struct xbar_params *params, struct tally *tally)
{
	/* nW x ns = attojoules exactly. */
	tally->energy_aj[LF_ENERGY_STATIC] +=
		(unsigned __int128)tally->busy_ns * params->static_power_nw;
}
