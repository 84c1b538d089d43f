// SPDX-License-Identifier: MIT
/* From what the estimators found to the parameters of a preset; see lf/preset.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/params.h"
#include "runtime/device/preset.h"
#include "runtime/device/preset_fit.h"

/* Standard errors within which a parameter that cannot be negative may come out so, and is 0. */
#define NEGATIVE_ERRORS 3

/**
 * struct setting - a fit on its way into parameters
 * @params: a copy, which becomes the preset's when all is well
 * @fit: what is reported
 * @error: of the first thing that went wrong
 * @failed: it did
 */
struct setting {
	struct xbar_params *params;
	struct lf_fit *fit;
	struct lf_error *error;
	int failed;
};

static void remark(struct setting *setting, const char *text)
{
	if (setting->fit->remark_count < LF_FIT_REMARKS)
		setting->fit->remarks[setting->fit->remark_count++] = text;
}

static void set_text(struct setting *setting, const char *key, const char *text)
{
	char message[XBAR_MESSAGE_BYTES];
	int ret;

	if (setting->failed)
		return;
	ret = xbar_params_set(setting->params, key, text, message);
	if (ret)
		setting->failed = lf_error_set(setting->error, -ERANGE, "fitted %s", message);
}

/* Sets a parameter that is kept as a whole number, or with @places decimals, and reports it. */
static void set_number(struct setting *setting, const char *key, const struct fit_number *number,
		       int places, size_t count)
{
	struct lf_fit_value *report = &setting->fit->values[setting->fit->value_count];
	double value = number->value;
	char text[64];

	if (value < 0 && value > -NEGATIVE_ERRORS * number->error && strcmp(key, "relax_mean") &&
	    strcmp(key, "program_sigma_slope"))
		value = 0;
	if (!(value > -1e18 && value < 1e18)) {
		setting->failed =
			lf_error_set(setting->error, -ERANGE, "fitted %s: is no number", key);
		return;
	}
	snprintf(text, sizeof(text), "%.*f", places, value);
	set_text(setting, key, text);
	if (setting->failed || setting->fit->value_count == LF_FIT_VALUES)
		return;
	*report = (struct lf_fit_value){
		.key = key,
		.value = value,
		.standard_error = number->error,
		.residual_of = "",
		.count = count,
	};
	setting->fit->value_count++;
}

/* The residual of what was set last. */
static void add_residual(struct setting *setting, double residual, const char *of)
{
	if (setting->failed || !setting->fit->value_count)
		return;
	setting->fit->values[setting->fit->value_count - 1].residual = residual;
	setting->fit->values[setting->fit->value_count - 1].residual_of = of;
}

static void set_range(struct setting *setting, const struct fit_data *data)
{
	const struct fit_number largest = { data->largest * 1000, 0 };
	const struct fit_number ratio = { data->smallest > 0 ? 1 / data->smallest : 0, 0 };

	set_number(setting, "g_max_ns", &largest, 0, data->cell_count);
	if (data->smallest > 0)
		set_number(setting, "on_off_ratio", &ratio, 6, data->cell_count);
	else
		set_text(setting, "on_off_ratio", "infinite");
}

static void set_programming(struct setting *setting, const struct fit_programming *fit)
{
	const struct fit_number pulses = { fit->tolerance.value > 0 ? fit->most_pulses : 1, 0 };

	set_number(setting, "program_sigma", &fit->sigma, 6, fit->count);
	if (fit->misfit >= 0)
		add_residual(setting, fit->misfit,
			     "spread of a target over the fitted one, less one, rms");
	set_number(setting, "program_sigma_slope", &fit->slope, 6, fit->count);
	set_number(setting, "verify_tolerance", &fit->tolerance, 6, fit->count);
	set_number(setting, "verify_pulses", &pulses, 0, fit->count);
	add_residual(setting, fit->count ? (double)fit->failed / fit->count : 0,
		     "share of writes that ended outside of the tolerance");
	if (fit->targets < 3)
		remark(setting,
		       "program_sigma_slope: set to 0, there are fewer than three targets");
	if (fit->tolerance.value > 0 && !fit->failed)
		remark(setting,
		       "verify_pulses: the most that was seen; no write failed, so it may be more");
	if (fit->tolerance.value == 0)
		remark(setting,
		       "verify_tolerance: no write took a second pulse, so nothing is verified");
}

static void set_reading(struct setting *setting, const struct fit_reading *fit)
{
	if (fit->count) {
		set_number(setting, "read_noise", &fit->noise, 6, fit->count);
		set_text(setting, "read_noise_of", "range");
	} else {
		remark(setting,
		       "read_noise: not fitted, no moment has more than one reading (column read)");
	}
}

static void set_relaxation(struct setting *setting, const struct fit_relaxation *fit)
{
	/* One number for all conductances: what the base says of their differences is of other cells. */
	static const char *const of_the_base[] = {
		"relax_sigma_g1",	"relax_sigma_g2",	"relax_sigma_g3",
		"relax_sigma_g4",	"relax_sigma_slope_g1", "relax_sigma_slope_g2",
		"relax_sigma_slope_g3", "relax_sigma_slope_g4",
	};
	const struct fit_number start = { fit->start_seconds * 1000, 0 };

	if (fit->times < 2) {
		remark(setting,
		       "relax_mean, relax_sigma: not fitted, fewer than two ages (column seconds) with ten cells");
		return;
	}
	for (size_t i = 0; i < sizeof(of_the_base) / sizeof(of_the_base[0]); i++)
		set_text(setting, of_the_base[i], "0");
	set_number(setting, "relax_start_ms", &start, 0, fit->count);
	set_number(setting, "relax_mean", &fit->mean, 6, fit->count);
	add_residual(setting, fit->mean_misfit, "mean at an age less the fitted one, rms");
	set_number(setting, "relax_sigma", &fit->sigma, 6, fit->count);
	add_residual(setting, fit->sigma_misfit, "spread at an age less the fitted one, rms");
	set_number(setting, "relax_sigma_slope", &fit->slope, 6, fit->count);
}

static void set_stuck(struct setting *setting, const struct fit_stuck *fit)
{
	setting->fit->stuck_cells = fit->stuck;
	if (fit->count) {
		set_number(setting, "stuck_on", &fit->on, 6, fit->count);
		set_number(setting, "stuck_off", &fit->off, 6, fit->count);
	} else {
		remark(setting,
		       "stuck_on, stuck_off: not fitted, no cell was written twice to targets away "
		       "from the ends of the range");
	}
}

static void set_endurance(struct setting *setting, const struct fit_endurance *fit)
{
	if (fit->median.value <= 0) {
		remark(setting,
		       "endurance: not fitted, fewer than ten cells stopped following (column cycles)");
		return;
	}
	set_number(setting, "endurance", &fit->median, 0, fit->count);
	set_number(setting, "endurance_spread", &fit->spread, 6, fit->count);
	set_number(setting, "worn_on", &fit->on, 6, fit->worn);
}

static void fit_all(struct setting *setting, const struct fit_data *data)
{
	struct fit_programming programming;
	struct fit_relaxation relaxation;
	struct fit_endurance endurance;
	struct fit_reading reading;
	struct fit_stuck stuck;

	fit_reading(data, &reading);
	setting->failed = fit_programming(data, reading.noise.value, &programming, setting->error);
	if (setting->failed)
		return;
	setting->failed = fit_relaxation(data, reading.noise.value, &relaxation);
	if (setting->failed) {
		lf_error_set(setting->error, setting->failed, "out of memory");
		return;
	}
	fit_endurance(data, &endurance);
	fit_stuck(data, &stuck);
	set_range(setting, data);
	set_programming(setting, &programming);
	set_reading(setting, &reading);
	set_relaxation(setting, &relaxation);
	set_stuck(setting, &stuck);
	set_endurance(setting, &endurance);
}

int lf_preset_fit(struct lf_preset *preset, const struct lf_measurements *measurements,
		  const struct lf_fit_range *range, struct lf_fit *fit, struct lf_error *error)
{
	struct xbar_params params = *preset->params;
	struct setting setting = { .params = &params, .fit = fit, .error = error };
	char message[XBAR_MESSAGE_BYTES];
	struct fit_data data;
	int ret;

	*fit = (struct lf_fit){ 0 };
	ret = fit_data_make(&data, measurements, range, error);
	if (ret)
		return ret;
	fit->cells = data.cell_count;
	fit_all(&setting, &data);
	fit_data_free(&data);
	if (setting.failed)
		return setting.failed;
	if (xbar_params_check(&params, message))
		return lf_error_set(error, -ERANGE, "fitted %s", message);
	*preset->params = params;
	return 0;
}
