// SPDX-License-Identifier: MIT
/* lfctl list, info and telemetry. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "tools/lfctl/open.h"
#include "tools/lfctl/output.h"

static const struct common common_defaults;

static json_t *device_row(const char *path)
{
	struct lf_error reason = { 0 };
	struct lf_device *device;
	json_t *row;

	/* Other accelerators share the directory, and a node may be closed to the caller. */
	if (lf_device_open(path, &device, &reason))
		return json_pack("{s:s, s:n, s:n, s:n, s:s}", "path", path, "bus", "preset",
				 "errors", "state", reason.text);
	row = json_pack("{s:s, s:s, s:s, s:o, s:s}", "path", path, "bus",
			lf_device_info(device)->bus, "preset", lf_device_info(device)->preset,
			"errors", output_effects(lf_device_info(device)), "state", "ready");
	lf_device_close(device);
	return row;
}

static int list(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	json_t *devices = json_array();
	glob_t nodes;

	(void)operands;
	(void)error;
	json_object_set_new(result, "devices", devices);
	if (!glob("/dev/accel/accel*", 0, NULL, &nodes)) {
		for (size_t at = 0; at < nodes.gl_pathc; at++)
			json_array_append_new(devices, device_row(nodes.gl_pathv[at]));
		globfree(&nodes);
	}
	if (!json_array_size(devices) && !common->quiet)
		fputs("lfctl: no accelerator found; commands without --device work on inproc:ideal, a "
		      "device in the process\n",
		      stderr);
	json_array_append_new(devices,
			      json_pack("{s:s, s:s, s:s, s:[], s:s}", "path", "inproc", "bus",
					"none", "preset", "ideal", "errors", "state", "ready"));
	return 0;
}

static int info(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	const struct lf_device_info *info;
	struct lf_device *device;
	int ret = open_device(common, &device, error);

	(void)operands;
	if (ret)
		return ret;
	info = lf_device_info(device);
	json_object_set_new(result, "device", output_device(info));
	json_object_set_new(
		result, "limits",
		json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:I}", "job_commands",
			  (int)info->job_commands, "job_buffers", (int)info->job_buffers,
			  "job_matrices", (int)info->job_matrices, "job_scratch_bytes",
			  (int)info->job_scratch_bytes, "batch", (int)info->batch, "matrices",
			  (int)info->matrices, "matrix_rows", (int)info->matrix_rows, "matrix_cols",
			  (int)info->matrix_cols, "buffer_bytes", (json_int_t)info->buffer_bytes));
	lf_device_close(device);
	return 0;
}

static json_t *histogram(const uint64_t *bins, size_t count)
{
	json_t *array = json_array();

	for (size_t at = 0; at < count; at++)
		json_array_append_new(array, json_integer((json_int_t)bins[at]));
	return array;
}

static int telemetry(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	struct lf_telemetry telemetry;
	struct lf_device *device;
	int ret = open_device(common, &device, error);

	(void)operands;
	if (ret)
		return ret;
	ret = lf_device_telemetry(device, &telemetry, error);
	if (!ret) {
		json_object_set_new(result, "device", output_device(lf_device_info(device)));
		json_object_set_new(result, "total", output_counters(&telemetry.total));
		json_object_set_new(result, "time_ns", json_integer((json_int_t)telemetry.time_ns));
		json_object_set_new(result, "temperature_mc",
				    json_integer(telemetry.temperature_mc));
		json_object_set_new(result, "tiles_used",
				    json_integer((json_int_t)telemetry.tiles_used));
		json_object_set_new(result, "tiles_dirty",
				    json_integer((json_int_t)telemetry.tiles_dirty));
		json_object_set_new(result, "tiles_bad",
				    json_integer((json_int_t)telemetry.tiles_bad));
		json_object_set_new(result, "cells_stuck",
				    json_integer((json_int_t)telemetry.cells_stuck));
		json_object_set_new(result, "refresh_due",
				    json_integer((json_int_t)telemetry.refresh_due));
		json_object_set_new(result, "wear_max",
				    json_integer((json_int_t)telemetry.wear_max));
		json_object_set_new(result, "wear_histogram",
				    histogram(telemetry.wear_histogram, 16));
	}
	lf_device_close(device);
	return ret;
}

const struct command device_commands[] = {
	{ "list",
	  NULL,
	  NULL,
	  "devices of this machine",
	  { common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  list },
	{ "info",
	  NULL,
	  NULL,
	  "what a device is and what one job may hold",
	  { device_options, common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  info },
	{ "telemetry",
	  NULL,
	  NULL,
	  "energy, work and wear of a device since it was made",
	  { device_options, common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  telemetry },
	{ 0 },
};
