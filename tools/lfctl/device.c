// SPDX-License-Identifier: MIT
/* lfctl list, info and telemetry. */
#include <errno.h>
#include <glob.h>
#include <stdio.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/output.h"

static const struct common common_defaults;

static int list(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	json_t *devices = json_array();
	glob_t nodes;

	(void)values;
	(void)operands;
	(void)error;
	json_object_set_new(result, "devices", devices);
	if (!glob("/dev/accel/accel*", 0, NULL, &nodes)) {
		for (size_t at = 0; at < nodes.gl_pathc; at++) {
			struct lf_error reason;
			struct lf_device *device;
			json_t *row;

			/* Other accelerators share the directory, and a node may be closed to the caller. */
			if (lf_device_open(nodes.gl_pathv[at], &device, &reason)) {
				row = json_pack("{s:s, s:n, s:n, s:s}", "path", nodes.gl_pathv[at],
						"bus", "preset", "state", reason.text);
			} else {
				const struct lf_device_info *info = lf_device_info(device);

				row = json_pack("{s:s, s:s, s:s, s:s}", "path", info->path, "bus",
						info->bus, "preset", info->preset, "state",
						"ready");
				lf_device_close(device);
			}
			json_array_append_new(devices, row);
		}
		globfree(&nodes);
	}
	json_array_append_new(devices, json_pack("{s:s, s:s, s:s, s:s}", "path", "inproc", "bus",
						 "none", "preset", "ideal", "state", "ready"));
	return 0;
}

static int info(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	const struct lf_device_info *info;
	struct lf_device *device;
	int ret = lf_device_open(common->device, &device, error);

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
	int ret = lf_device_open(common->device, &device, error);

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
	  list },
	{ "info",
	  NULL,
	  NULL,
	  "what a device is and what one job may hold",
	  { common_options },
	  sizeof(struct common),
	  &common_defaults,
	  info },
	{ "telemetry",
	  NULL,
	  NULL,
	  "energy, work and wear of a device since it was made",
	  { common_options },
	  sizeof(struct common),
	  &common_defaults,
	  telemetry },
	{ 0 },
};
