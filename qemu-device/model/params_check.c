// SPDX-License-Identifier: MIT
/*
 * What follows from the parameters, and which of them cannot be together. The bounds of each alone are in params.c.
 */
#include <errno.h>

#include "message.h"
#include "params.h"
#include "physics.h"

/* Bits of a weight's magnitude. */
#define MAGNITUDE_BITS 7

uint32_t xbar_params_slices(const struct xbar_params *params)
{
	return (MAGNITUDE_BITS + params->cell_bits - 1) / params->cell_bits;
}

uint32_t xbar_params_cells(const struct xbar_params *params)
{
	return params->format == LF_FORMAT_FP32 ? 1 : 2 * xbar_params_slices(params);
}

/* Cells of a weight that lie side by side: those of a pair in rows share a column. */
static uint32_t columns_of_a_weight(const struct xbar_params *params)
{
	uint32_t cells = xbar_params_cells(params);

	return cells > 1 && params->pair == XBAR_PAIR_ROWS ? cells / 2 : cells;
}

uint32_t xbar_params_weights(const struct xbar_params *params)
{
	return params->tile_cols / columns_of_a_weight(params) / 4 * 4;
}

uint32_t xbar_params_weight_bytes(const struct xbar_params *params)
{
	return params->format == LF_FORMAT_FP32 ? sizeof(float) : sizeof(int8_t);
}

uint32_t xbar_params_full_scale(const struct xbar_params *params)
{
	uint32_t weights = xbar_params_weights(params);
	uint32_t lines = params->tile_rows > weights ? params->tile_rows : weights;

	return lines * ((1u << params->cell_bits) - 1);
}

static double polynomial(uint32_t constant, const int32_t coefficients[4], double g)
{
	double sum = coefficients[3];

	for (int power = 3; power > 0; power--)
		sum = sum * g + coefficients[power - 1];
	return (sum * g + constant) / XBAR_ONE;
}

double xbar_params_relax_sigma(const struct xbar_params *params, double g)
{
	const int32_t coefficients[4] = { params->relax_sigma_g1, params->relax_sigma_g2,
					  params->relax_sigma_g3, params->relax_sigma_g4 };

	return polynomial(params->relax_sigma, coefficients, g);
}

double xbar_params_relax_slope(const struct xbar_params *params, double g)
{
	const int32_t coefficients[4] = { params->relax_sigma_slope_g1,
					  params->relax_sigma_slope_g2,
					  params->relax_sigma_slope_g3,
					  params->relax_sigma_slope_g4 };

	return polynomial(params->relax_sigma_slope, coefficients, g);
}

bool xbar_params_drifts(const struct xbar_params *params)
{
	return params->relax_mean || params->relax_sigma_slope || params->relax_sigma_slope_g1 ||
	       params->relax_sigma_slope_g2 || params->relax_sigma_slope_g3 ||
	       params->relax_sigma_slope_g4;
}

bool xbar_params_relaxes(const struct xbar_params *params)
{
	return xbar_params_drifts(params) || params->relax_sigma || params->relax_sigma_g1 ||
	       params->relax_sigma_g2 || params->relax_sigma_g3 || params->relax_sigma_g4;
}

int32_t xbar_params_offset(const struct xbar_params *params, uint32_t step)
{
	if (params->adc_offset != XBAR_OFFSET_AUTO)
		return params->adc_offset;
	if (params->adc_subtract == XBAR_SUBTRACT_AFTER)
		return 0;
	return -(int32_t)(step << (params->adc_bits - 1));
}

static int64_t top_of(const struct xbar_params *params, uint32_t step)
{
	return xbar_params_offset(params, step) + (int64_t)step * ((1 << params->adc_bits) - 1);
}

bool xbar_params_step_fits(const struct xbar_params *params, uint32_t step)
{
	int64_t offset = xbar_params_offset(params, step);

	/* Covering zero bounds every converted value by the true sum and half a step. */
	return top_of(params, step) >= 0 && step <= 2 * xbar_params_full_scale(params) &&
	       xbar_params_full_scale(params) - offset + step <= INT16_MAX;
}

uint32_t xbar_params_maximum_step(const struct xbar_params *params)
{
	int64_t high = xbar_params_full_scale(params);
	int64_t low = params->adc_subtract == XBAR_SUBTRACT_AFTER ? 0 : -high;

	for (uint32_t step = 1; step <= XBAR_STEP_MAX; step *= 2)
		if (xbar_params_offset(params, step) <= low && top_of(params, step) >= high &&
		    xbar_params_step_fits(params, step))
			return step;
	return 0;
}

uint32_t xbar_params_step(const struct xbar_params *params)
{
	return params->adc_range == XBAR_ADC_MAXIMUM ? xbar_params_maximum_step(params)
						     : params->adc_step;
}

/**
 * struct condition - what a parameter needs to do anything
 * @name: of the parameter
 * @unused: it has a value that would count, but for what else there is
 * @why: what that is
 */
struct condition {
	const char *name;
	bool unused;
	const char *why;
};

/*
 * What was set by name and does nothing is a slip, and refused. What the preset brings along is not: who takes relaxation away need not
 * set the time from which it counts.
 */
static int check_given(const struct xbar_params *params, const struct condition *conditions,
		       size_t count, char *message)
{
	for (size_t i = 0; i < count; i++)
		if (conditions[i].unused && xbar_params_given(params, conditions[i].name))
			return xbar_refuse(message, -EINVAL, "%s: has no effect: %s",
					   conditions[i].name, conditions[i].why);
	return 0;
}

/* The oracle has neither levels nor converters nor cells that err: what would silently do nothing is refused. */
static int check_float(const struct xbar_params *params, char *message)
{
	const struct {
		const char *name;
		bool set;
	} without_effect[] = {
		{ "adc_bits", params->adc_bits != XBAR_ADC_IDEAL },
		{ "pair", params->pair != XBAR_PAIR_COLUMNS },
		{ "spare_weights", params->spare_weights },
		{ "on_off_ratio", params->on_off_ratio != XBAR_INFINITE },
		{ "program_sigma", params->program_sigma },
		{ "program_sigma_slope", params->program_sigma_slope },
		{ "verify_tolerance", params->verify_tolerance },
		{ "read_noise", params->read_noise },
		{ "relax_mean", params->relax_mean },
		{ "relax_sigma", params->relax_sigma },
		{ "relax_sigma_g1", params->relax_sigma_g1 },
		{ "relax_sigma_g2", params->relax_sigma_g2 },
		{ "relax_sigma_g3", params->relax_sigma_g3 },
		{ "relax_sigma_g4", params->relax_sigma_g4 },
		{ "relax_sigma_slope", params->relax_sigma_slope },
		{ "relax_sigma_slope_g1", params->relax_sigma_slope_g1 },
		{ "relax_sigma_slope_g2", params->relax_sigma_slope_g2 },
		{ "relax_sigma_slope_g3", params->relax_sigma_slope_g3 },
		{ "relax_sigma_slope_g4", params->relax_sigma_slope_g4 },
		{ "retention_s", params->retention_s != XBAR_INFINITE },
		{ "stuck_on", params->stuck_on },
		{ "stuck_off", params->stuck_off },
		{ "endurance", params->endurance != XBAR_INFINITE },
		{ "temperature_coefficient", params->temperature_coefficient },
		{ "ir_drop", params->ir_drop },
		{ "wire_mohm", params->wire_mohm },
		{ "driver_mohm", params->driver_mohm },
		{ "sense_mohm", params->sense_mohm },
	};
	const struct condition nothing[] = {
		{ "cell_bits", true, "a weight of the float device is one number" },
		{ "dac_bits", true, "the float device drives numbers" },
		{ "adc_columns", true, "the float device has no converters" },
		{ "adc_subtract", true, "the float device has no converters" },
		{ "read_ns", true, "a product of the float device takes no time" },
		{ "adc_ps", true, "a product of the float device takes no time" },
		{ "array_energy_aj", true, "a product of the float device takes no energy" },
		{ "dac_energy_aj", true, "a product of the float device takes no energy" },
		{ "adc_energy_aj", true, "a product of the float device takes no energy" },
		{ "shift_add_energy_aj", true, "a product of the float device takes no energy" },
		{ "static_power_nw", !params->program_row_ns && !params->erase_tile_ns,
		  "nothing takes time" },
		{ "retire_cells", true, "cells of the float device do not stick" },
		{ "g_max_ns", true, "the float device has no conductances" },
	};

	for (size_t i = 0; i < sizeof(without_effect) / sizeof(without_effect[0]); i++)
		if (without_effect[i].set)
			return xbar_refuse(message, -EINVAL,
					   "%s: the float device has no such thing",
					   without_effect[i].name);
	return check_given(params, nothing, sizeof(nothing) / sizeof(nothing[0]), message);
}

static int check_geometry(const struct xbar_params *params, char *message)
{
	if (params->tile_rows % 4)
		return xbar_refuse(message, -EINVAL, "tile_rows: %u is not a multiple of 4",
				   params->tile_rows);
	if (xbar_params_weights(params) == 0)
		return xbar_refuse(message, -EINVAL,
				   "tile_cols: %u columns do not hold 4 weights of %u cells",
				   params->tile_cols, columns_of_a_weight(params));
	if (params->spare_weights > xbar_params_weights(params))
		return xbar_refuse(message, -EINVAL,
				   "spare_weights: %u is more than the %u that a tile has",
				   params->spare_weights, xbar_params_weights(params));
	return 0;
}

static int check_converters(const struct xbar_params *params, char *message)
{
	uint32_t most = xbar_params_full_scale(params);

	if (params->pair == XBAR_PAIR_ROWS && params->adc_subtract == XBAR_SUBTRACT_AFTER)
		return xbar_refuse(
			message, -EINVAL,
			"adc_subtract: the cells of a pair in rows share a column, which "
			"subtracts before conversion");
	if (params->adc_step & (params->adc_step - 1))
		return xbar_refuse(message, -EINVAL, "adc_step: %u is not a power of two",
				   params->adc_step);
	if (most > INT16_MAX || !xbar_physics_fits(params))
		return xbar_refuse(
			message, -EINVAL,
			"cell_bits: %u with %u rows and %u weights a tile: sums exceed 16 bits",
			params->cell_bits, params->tile_rows, xbar_params_weights(params));
	if (params->adc_bits == XBAR_ADC_IDEAL) {
		if (params->adc_range != XBAR_ADC_FIXED)
			return xbar_refuse(message, -EINVAL,
					   "adc_range: ideal converters have none");
		return 0;
	}
	if (params->adc_range == XBAR_ADC_MAXIMUM) {
		if (!xbar_params_maximum_step(params))
			return xbar_refuse(
				message, -EINVAL,
				"adc_range: no step of %u bits covers sums up to %u and stays "
				"within 16 bits",
				params->adc_bits, most);
	} else if (!xbar_params_step_fits(params, params->adc_step)) {
		return xbar_refuse(
			message, -EINVAL,
			"adc_step: %u with adc_bits %u and adc_offset %d leaves out zero or "
			"exceeds 16-bit sums",
			params->adc_step, params->adc_bits,
			xbar_params_offset(params, params->adc_step));
	}
	return 0;
}

static int check_cells(const struct xbar_params *params, char *message)
{
	bool ideal = params->adc_bits == XBAR_ADC_IDEAL, verifies = params->verify_tolerance;
	bool lasts = params->endurance == XBAR_INFINITE;
	const struct condition conditions[] = {
		{ "adc_step", ideal, "ideal converters have no step" },
		{ "adc_step", params->adc_range == XBAR_ADC_MAXIMUM, "adc_range is maximum" },
		{ "adc_offset", ideal && params->adc_offset != XBAR_OFFSET_AUTO,
		  "ideal converters have none" },
		{ "verify_pulses", !verifies && params->verify_pulses > 1,
		  "there is no verify_tolerance" },
		{ "verify_energy_aj", !verifies && params->verify_energy_aj,
		  "there is no verify_tolerance" },
		{ "verify_row_ns", !verifies && params->verify_row_ns,
		  "there is no verify_tolerance" },
		{ "read_noise_of",
		  !params->read_noise && params->read_noise_of != XBAR_READ_NOISE_RANGE,
		  "there is no read_noise" },
		{ "relax_start_ms", !xbar_params_relaxes(params), "nothing relaxes" },
		{ "retention_activation_mev",
		  params->retention_s == XBAR_INFINITE && params->retention_activation_mev,
		  "retention_s is infinite" },
		{ "endurance_spread", lasts && params->endurance_spread, "endurance is infinite" },
		{ "worn_on", lasts && params->worn_on, "endurance is infinite" },
	};

	if ((int64_t)params->program_sigma + params->program_sigma_slope < 0)
		return xbar_refuse(
			message, -EINVAL,
			"program_sigma_slope: the spread is below 0 at the largest conductance");
	/* Polynomials, where cells are told to be. */
	for (int step = 0; step <= 1000; step++) {
		double g = step / 1000.0;

		if (xbar_params_relax_sigma(params, g) < 0.0 ||
		    xbar_params_relax_slope(params, g) < 0.0)
			return xbar_refuse(
				message, -EINVAL, "%s: the spread is below 0 at %g of Gmax",
				xbar_params_relax_slope(params, g) < 0.0 ? "relax_sigma_slope_g1"
									 : "relax_sigma_g1",
				g);
	}
	if ((uint64_t)params->stuck_on + params->stuck_off > XBAR_ONE)
		return xbar_refuse(message, -EINVAL,
				   "stuck_off: with stuck_on more than all cells");
	return check_given(params, conditions, sizeof(conditions) / sizeof(conditions[0]), message);
}

/* Resistances that nothing computes with, or a computation of none. */
static int check_wires(const struct xbar_params *params, char *message)
{
	const struct {
		const char *name;
		uint32_t mohm;
	} parts[] = {
		{ "wire_mohm", params->wire_mohm },
		{ "driver_mohm", params->driver_mohm },
		{ "sense_mohm", params->sense_mohm },
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (parts[i].mohm && !params->ir_drop)
			return xbar_refuse(
				message, -EINVAL,
				"%s: %u has no effect with ir_drop off; set ir_drop to fast or "
				"exact",
				parts[i].name, parts[i].mohm);
		any |= parts[i].mohm;
	}
	if (params->ir_drop && !any)
		return xbar_refuse(
			message, -EINVAL,
			"ir_drop: nothing drops; set wire_mohm, driver_mohm or sense_mohm");
	return 0;
}

static int check_temperature(const struct xbar_params *params, char *message)
{
	if (params->temperature_max_mc > params->temperature_critical_mc)
		return xbar_refuse(message, -EINVAL,
				   "temperature_max_mc: %d is above temperature_critical_mc %d",
				   params->temperature_max_mc, params->temperature_critical_mc);
	if (params->temperature_mc >= params->temperature_critical_mc)
		return xbar_refuse(
			message, -EINVAL,
			"temperature_mc: at %d, not below temperature_critical_mc %d, all work is "
			"refused",
			params->temperature_mc, params->temperature_critical_mc);
	return 0;
}

int xbar_params_check(const struct xbar_params *params, char message[XBAR_MESSAGE_BYTES])
{
	int error = check_geometry(params, message);

	if (!error && params->format == LF_FORMAT_FP32)
		error = check_float(params, message);
	else if (!error)
		error = check_converters(params, message);
	if (!error)
		error = check_cells(params, message);
	if (!error)
		error = check_wires(params, message);
	if (!error)
		error = check_temperature(params, message);
	return error;
}
