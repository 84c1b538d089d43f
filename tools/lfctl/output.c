// SPDX-License-Identifier: MIT
/* Writing results; see output.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/output.h"

#define AJ_A_PJ 1000000

static const char *const component_names[LF_ENERGY_COMPONENTS] = {
	[LF_ENERGY_ARRAY] = "array",	 [LF_ENERGY_DAC] = "dac",
	[LF_ENERGY_ADC] = "adc",	 [LF_ENERGY_DIGITAL] = "digital",
	[LF_ENERGY_PROGRAM] = "program", [LF_ENERGY_STATIC] = "static",
};

json_t *output_energy(const struct lf_counters *counters)
{
	json_t *energy = json_object();
	double total = 0.0;

	for (int component = 0; component < LF_ENERGY_COMPONENTS; component++) {
		double picojoules = (double)counters->energy_pj[component] +
				    (double)counters->energy_sub_aj[component] / AJ_A_PJ;

		json_object_set_new(energy, component_names[component], json_real(picojoules));
		total += picojoules;
	}
	json_object_set_new(energy, "total", json_real(total));
	return energy;
}

json_t *output_counters(const struct lf_counters *counters)
{
	return json_pack(
		"{s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "energy_pj",
		output_energy(counters), "busy_ns", (json_int_t)counters->busy_ns, "jobs",
		(json_int_t)counters->jobs, "mvm_count", (json_int_t)counters->mvm_count,
		"mac_count", (json_int_t)counters->mac_count, "conversions",
		(json_int_t)counters->conversions, "clips", (json_int_t)counters->clips,
		"cells_written", (json_int_t)counters->cells_written, "cells_erased",
		(json_int_t)counters->cells_erased, "verify_retries",
		(json_int_t)counters->verify_retries, "cells_failed",
		(json_int_t)counters->cells_failed, "host_bytes", (json_int_t)counters->host_bytes);
}

json_t *output_effects(const struct lf_device_info *info)
{
	json_t *names;

	if (!info->effects_known)
		return json_null();
	names = json_array();
	for (int effect = 0; effect < LF_EFFECTS; effect++)
		if (info->effects & (1u << effect))
			json_array_append_new(names, json_string(lf_effect_name(effect)));
	return names;
}

json_t *output_device(const struct lf_device_info *info)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:o, s:i, s:o}", "kind",
			 info->kind, "bus", info->bus, "path", info->path, "preset", info->preset,
			 "tiles", (int)info->tiles, "tile_rows", (int)info->tile_rows, "tile_cols",
			 (int)info->tile_cols, "tile_weights", (int)info->tile_weights, "cell_bits",
			 (int)info->cell_bits, "adc_bits",
			 info->adc_bits ? json_integer((int)info->adc_bits) : json_string("ideal"),
			 "dac_bits", (int)info->dac_bits, "errors", output_effects(info));
}

void counters_subtract(struct lf_counters *later, const struct lf_counters *earlier)
{
	for (int component = 0; component < LF_ENERGY_COMPONENTS; component++) {
		later->energy_pj[component] -= earlier->energy_pj[component];
		if (later->energy_sub_aj[component] < earlier->energy_sub_aj[component]) {
			later->energy_sub_aj[component] += AJ_A_PJ;
			later->energy_pj[component]--;
		}
		later->energy_sub_aj[component] -= earlier->energy_sub_aj[component];
	}
	later->busy_ns -= earlier->busy_ns;
	later->jobs -= earlier->jobs;
	later->mvm_count -= earlier->mvm_count;
	later->mac_count -= earlier->mac_count;
	later->conversions -= earlier->conversions;
	later->clips -= earlier->clips;
	later->cells_written -= earlier->cells_written;
	later->cells_erased -= earlier->cells_erased;
	later->verify_retries -= earlier->verify_retries;
	later->cells_failed -= earlier->cells_failed;
	later->host_bytes -= earlier->host_bytes;
}

int output_json(const json_t *object)
{
	int ret = json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));

	return ret || putchar('\n') == EOF ? -1 : 0;
}

int output_json_line(const json_t *object)
{
	int ret = json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));

	return ret || putchar('\n') == EOF || fflush(stdout) ? -1 : 0;
}

void output_order(json_t *object, const char *const *keys)
{
	for (; *keys; keys++)
		json_object_set_new(object, *keys, json_null());
}

void output_tidy(json_t *object)
{
	const char *key;
	json_t *value;
	void *next;

	json_object_foreach_safe(object, next, key, value)
	{
		if (json_is_null(value))
			json_object_del(object, key);
	}
}
