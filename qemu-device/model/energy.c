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

/* What a product makes of the lines of the tiles. */
struct lines {
	uint64_t tiles;	    /* that are read */
	uint64_t driven;    /* inputs, summed over those tiles */
	uint64_t converted; /* outputs, likewise */
	uint64_t products;  /* one of each, likewise */
};

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static uint64_t not_zero(const float *values, uint32_t first, uint32_t end)
{
	uint64_t count = 0;

	for (uint32_t line = first; line < end; line++)
		count += values[line] != 0.0f;
	return count;
}

/* Of lines [first, end): those that neither value makes zero. */
static uint64_t live(const float *factor, const float *scale, uint32_t first, uint32_t end)
{
	uint64_t count = 0;

	if (!factor && !scale)
		return end - first;
	if (!factor || !scale)
		return not_zero(factor ? factor : scale, first, end);
	for (uint32_t line = first; line < end; line++)
		count += factor[line] != 0.0f && scale[line] != 0.0f;
	return count;
}

static struct lines count_lines(const struct mvm_work *work, uint32_t tile_rows, uint32_t weights)
{
	struct lines lines = { 0 };

	for (uint32_t top = 0; top < work->rows; top += tile_rows) {
		uint32_t bottom = least(top + tile_rows, work->rows);
		const float *scale = work->partials ? NULL : work->scale;
		uint64_t rows = bottom - top;

		if (scale && work->tile_scale)
			scale += (size_t)(top / tile_rows) * work->cols;
		if (!work->transpose)
			rows = live(work->factor, NULL, top, bottom);
		for (uint32_t left = 0; rows && left < work->cols; left += weights) {
			uint64_t cols = live(work->transpose ? work->factor : NULL, scale, left,
					     least(left + weights, work->cols));

			lines.tiles += !!cols;
			lines.driven += work->transpose ? cols : cols ? rows : 0;
			lines.converted += !work->transpose ? cols : cols ? rows : 0;
			lines.products += rows * cols;
		}
	}
	return lines;
}

/*
 * Forward, all slices of a tile are read at once. In transpose the slices of a weight share a row line, which can sum only
 * cells of one significance: a pass for each slice and, when pairs are subtracted as numbers, for each side. Pairs in
 * columns then have two lines to drive, pairs in rows two that are subtracted as currents.
 */
void xbar_energy_charge_mvm(const struct xbar_params *params, const struct mvm_work *work,
			    struct tally *tally)
{
	uint64_t slices, sides, cycles, passes, conversions, drives, columns;
	struct lines lines;

	tally->mvm_count += work->vectors;
	if (params->format == LF_FORMAT_FP32) {
		tally->mac_count += work->vectors * work->rows * work->cols;
		return;
	}
	lines = count_lines(work, params->tile_rows, xbar_params_weights(params));
	tally->mac_count += work->vectors * lines.products;

	slices = xbar_params_slices(params);
	sides = conversions_of_pair(params);
	passes = work->transpose ? slices * sides : 1;
	cycles = work->vectors * INPUT_CYCLES;
	if (work->transpose) {
		conversions = cycles * passes * lines.converted;
		drives = cycles * slices * (2 / lines_of_row(params)) * lines.driven;
		columns = params->tile_rows;
	} else {
		conversions = cycles * slices * sides * lines.converted;
		drives = cycles * lines_of_row(params) * lines.driven;
		columns = xbar_params_weights(params) * slices * sides;
	}
	charge_conversions(params, conversions, tally);
	/* The passes of a cycle divide the cells among them, and an array costs by the cells that conduct. */
	tally->energy_aj[LF_ENERGY_ARRAY] +=
		(unsigned __int128)cycles * lines.tiles * params->array_energy_aj;
	tally->energy_aj[LF_ENERGY_DAC] += (unsigned __int128)drives * params->dac_energy_aj;
	/* Tiles work at the same time, so any that is read takes it. */
	if (lines.tiles)
		tally->busy_ns += cycles * passes * cycle_ns(params, columns);
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

void xbar_energy_charge_erase(const struct xbar_params *params, const struct erase_work *work,
			      struct tally *tally)
{
	tally->cells_erased += work->cells;
	tally->energy_aj[LF_ENERGY_PROGRAM] +=
		(unsigned __int128)work->cells * params->erase_energy_aj;
	tally->busy_ns +=
		divide_up((uint64_t)work->rows * params->erase_tile_ns, params->tile_rows);
}

void xbar_energy_charge_static(const struct xbar_params *params, struct tally *tally)
{
	/* nW x ns = attojoules exactly. */
	tally->energy_aj[LF_ENERGY_STATIC] +=
		(unsigned __int128)tally->busy_ns * params->static_power_nw;
}
