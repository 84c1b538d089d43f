// SPDX-License-Identifier: MIT
/* Showing matrices; see matrix_list.h. */
#include <stdio.h>
#include <string.h>

#include "tools/lfctl/matrix_list.h"

static const char *format_name(uint8_t format)
{
	return format == LF_FORMAT_INT8 ? "int8" : format == LF_FORMAT_FP32 ? "fp32" : "unknown";
}

struct device_clock device_clock(struct lf_device *device)
{
	struct lf_telemetry telemetry;
	struct device_clock clock = { .known = !lf_device_telemetry(device, &telemetry, NULL) };

	if (clock.known)
		clock.time_ns = telemetry.time_ns;
	return clock;
}

bool matrix_is_due(const struct lf_matrix_info *info, const struct device_clock *clock)
{
	return info->due_ns && info->due_ns != UINT64_MAX && info->due_ns <= clock->time_ns;
}

bool matrix_is_meant(const char *wanted, const char *name)
{
	size_t length = strlen(wanted);

	if (length && wanted[length - 1] == '/')
		return !strncmp(wanted, name, length);
	return !strcmp(wanted, name);
}

json_t *matrix_row_json(const struct lf_matrix_info *info, const struct device_clock *clock)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", info->publication.mode);
	return json_pack("{s:s, s:i, s:i, s:s, s:i, s:i, s:s, s:I, s:i, s:i, s:o}", "name",
			 (const char *)info->publication.name, "rows", (int)info->rows, "cols",
			 (int)info->cols, "format", format_name(info->format), "tiles",
			 (int)(info->tile_rows * info->tile_cols), "owner",
			 (int)info->publication.owner, "mode", mode, "cells",
			 (json_int_t)info->cells, "wear_max", (int)info->wear_max, "stuck_cells",
			 (int)info->stuck_cells, "due",
			 clock->known ? json_boolean(matrix_is_due(info, clock)) : json_null());
}

json_t *matrix_details_json(const struct lf_matrix_info *info, const struct device_clock *clock)
{
	json_t *details = matrix_row_json(info, clock);
	bool lasts = !info->due_ns || info->due_ns == UINT64_MAX;
	json_int_t left_ns = (json_int_t)(info->due_ns - clock->time_ns);

	json_object_set_new(details, "adc_step", json_integer(info->adc_step));
	json_object_set_new(
		details, "age_ns",
		clock->known ? json_integer((json_int_t)(clock->time_ns - info->programmed_ns))
			     : json_null());
	json_object_set_new(details, "due_in_ns",
			    clock->known && !lasts ? json_integer(left_ns) : json_null());
	json_object_set_new(details, "refreshes", json_integer(info->refreshes));
	json_object_set_new(details, "failed_cells", json_integer(info->failed_cells));
	json_object_set_new(details, "stuck_before", json_integer(info->stuck_before));
	json_object_set_new(details, "spares", json_integer(info->spares));
	return details;
}
