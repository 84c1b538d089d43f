// SPDX-License-Identifier: MIT
/* lfctl wear: how worn a device is, what stuck cells it has and what stands in for them; and letting its time pass. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <lf/matrix.h>

#include "tools/lfctl/age.h"
#include "tools/lfctl/cells.h"
#include "tools/lfctl/open.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

#define HISTOGRAM_BINS	       16
#define NANOSECONDS_PER_SECOND 1e9

struct wear_values {
	struct common common;
	bool cells;
};

static const struct option_spec wear_options[] = {
	{ "cells", OPTION_FLAG, offsetof(struct wear_values, cells), NULL,
	  "count every cell of the published matrices (needs CAP_SYS_ADMIN on an accelerator)", 0,
	  0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct wear_values wear_defaults;

struct advance_values {
	struct common common;
	const char *time;
};

static const struct option_spec advance_options[] = {
	{ "time", OPTION_TEXT, offsetof(struct advance_values, time), "AGE",
	  "how much: a number with s, m, h, d or y behind it", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct advance_values advance_defaults;

/* Bins that hold something: 0, 1, 2 .. 3, 4 .. 7, ... writes and erasures. */
static json_t *histogram_json(const uint64_t bins[HISTOGRAM_BINS])
{
	json_t *rows = json_array();
	uint64_t total = 0;

	for (int bin = 0; bin < HISTOGRAM_BINS; bin++)
		total += bins[bin];
	for (int bin = 0; bin < HISTOGRAM_BINS; bin++) {
		unsigned long low = bin ? 1ul << (bin - 1) : 0, high = bin ? 2 * low - 1 : 0;
		char range[48];

		if (!bins[bin])
			continue;
		if (bin == HISTOGRAM_BINS - 1)
			snprintf(range, sizeof(range), "%lu or more", low);
		else if (low == high)
			snprintf(range, sizeof(range), "%lu", low);
		else
			snprintf(range, sizeof(range), "%lu to %lu", low, high);
		json_array_append_new(rows, json_pack("{s:s, s:I, s:f}", "writes", range,
						      "row_groups", (json_int_t)bins[bin], "share",
						      (double)bins[bin] / (double)total));
	}
	return rows;
}

/* What spare columns do for the matrices one may see. */
static json_t *remapping_json(const struct lf_matrix_info *matrices, uint32_t count)
{
	json_int_t before = 0, after = 0, spares = 0, failed = 0, refreshes = 0;

	for (uint32_t at = 0; at < count; at++) {
		before += matrices[at].stuck_before;
		after += matrices[at].stuck_cells;
		spares += matrices[at].spares;
		failed += matrices[at].failed_cells;
		refreshes += matrices[at].refreshes;
	}
	return json_pack("{s:i, s:I, s:I, s:I, s:I, s:I}", "matrices", (int)count, "stuck_before",
			 before, "stuck_after", after, "spares", spares, "failed_cells", failed,
			 "refreshes", refreshes);
}

static int count_matrix(struct lf_device *device, const struct lf_matrix_info *info,
			struct cells_census *census, struct lf_error *error)
{
	struct lf_cell *cells = NULL;
	struct lf_matrix *matrix;
	size_t row_cells;
	int ret;

	ret = lf_matrix_open(device, (const char *)info->publication.name, &matrix, error);
	if (ret)
		return ret;
	row_cells = (size_t)info->cols * lf_matrix_weight_cells(matrix);
	cells = malloc(row_cells * sizeof(*cells));
	if (!cells)
		ret = lf_error_set(error, -ENOMEM, "no memory for a row of cells");
	for (uint32_t row = 0; !ret && row < info->rows; row++) {
		ret = lf_matrix_cells(matrix, row, 1, cells, error);
		if (!ret)
			cells_count(census, cells, row_cells);
	}
	free(cells);
	lf_matrix_close(matrix);
	return ret ? lf_error_prefix(error, ret, "matrix %s", info->publication.name) : 0;
}

static int count_cells(struct lf_device *device, const struct wear_values *values,
		       const struct lf_matrix_info *matrices, uint32_t count, json_t *result,
		       struct lf_error *error)
{
	struct cells_census census = { 0 };
	struct progress progress;
	int ret = 0;

	progress_start(&progress, "cells", values->common.quiet);
	for (uint32_t at = 0; !ret && at < count; at++) {
		ret = count_matrix(device, &matrices[at], &census, error);
		if (!ret)
			progress_update(&progress, at + 1, count);
	}
	progress_end(&progress);
	if (!ret)
		json_object_set_new(result, "census", cells_census_json(&census));
	return ret;
}

static int show_wear(struct lf_device *device, const struct wear_values *values, json_t *result,
		     struct lf_error *error)
{
	struct lf_matrix_info *matrices = NULL;
	struct lf_telemetry telemetry;
	uint32_t count = 0;
	int ret;

	ret = lf_device_telemetry(device, &telemetry, error);
	if (!ret)
		ret = lf_matrix_list(device, &matrices, &count, error);
	if (ret)
		return ret;
	json_object_set_new(result, "device", output_device(lf_device_info(device)));
	json_object_set_new(result, "wear",
			    json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "wear_max",
				      (json_int_t)telemetry.wear_max, "cells_written",
				      (json_int_t)telemetry.total.cells_written, "cells_erased",
				      (json_int_t)telemetry.total.cells_erased, "cells_failed",
				      (json_int_t)telemetry.total.cells_failed, "cells_stuck",
				      (json_int_t)telemetry.cells_stuck, "tiles_used",
				      (json_int_t)telemetry.tiles_used, "tiles_dirty",
				      (json_int_t)telemetry.tiles_dirty, "tiles_retired",
				      (json_int_t)telemetry.tiles_bad, "refresh_due",
				      (json_int_t)telemetry.refresh_due));
	json_object_set_new(result, "histogram", histogram_json(telemetry.wear_histogram));
	json_object_set_new(result, "remapping", remapping_json(matrices, count));
	if (values->cells)
		ret = count_cells(device, values, matrices, count, result, error);
	free(matrices);
	return ret;
}

static int wear(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct wear_values *values = opaque;
	struct lf_device *device;
	int ret;

	(void)operands;
	ret = open_device(&values->common, &device, error);
	if (ret)
		return ret;
	ret = show_wear(device, values, result, error);
	lf_device_close(device);
	return ret;
}

static int check_advance(const void *opaque, struct lf_error *error)
{
	const struct advance_values *values = opaque;
	double seconds;

	if (!values->time)
		return lf_error_set(error, -EINVAL, "--time is missing");
	if (age_parse(values->time, &seconds))
		return lf_error_set(error, -EINVAL, "--time %s: is not %s", values->time,
				    AGE_WANTED);
	return 0;
}

static int advance(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct advance_values *values = opaque;
	struct lf_telemetry telemetry;
	struct lf_device *device;
	double seconds;
	int ret;

	(void)operands;
	age_parse(values->time, &seconds);
	ret = open_device(&values->common, &device, error);
	if (ret)
		return ret;
	ret = lf_device_advance(device, (uint64_t)(seconds * NANOSECONDS_PER_SECOND), error);
	if (!ret)
		ret = lf_device_telemetry(device, &telemetry, error);
	if (!ret) {
		json_object_set_new(result, "time_ns", json_integer((json_int_t)telemetry.time_ns));
		json_object_set_new(result, "refresh_due",
				    json_integer((json_int_t)telemetry.refresh_due));
	}
	lf_device_close(device);
	return ret;
}

const struct command wear_commands[] = {
	{ "wear",
	  NULL,
	  NULL,
	  "how worn a device is, its stuck cells and what stands in for them",
	  { wear_options, device_options, common_options },
	  sizeof(struct wear_values),
	  &wear_defaults,
	  NULL,
	  wear },
	{ "advance",
	  NULL,
	  NULL,
	  "let modelled time pass on a device in the process",
	  { advance_options, device_options, common_options },
	  sizeof(struct advance_values),
	  &advance_defaults,
	  check_advance,
	  advance },
	{ 0 },
};
