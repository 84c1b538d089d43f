// SPDX-License-Identifier: MIT
/* lfctl matrix cells: the truth about single cells of a matrix. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/matrix.h>

#include "tools/lfctl/cells.h"
#include "tools/lfctl/open.h"

const struct option_spec cells_options[] = {
	{ "row", OPTION_NUMBER, offsetof(struct cells_values, row), "R", "first row [0]", 0, 1e9 },
	{ "rows", OPTION_NUMBER, offsetof(struct cells_values, rows), "N",
	  "how many, 0 for all [1]", 0, 1e9 },
	{ "col", OPTION_NUMBER, offsetof(struct cells_values, col), "C", "first column [0]", 0,
	  1e9 },
	{ "cols", OPTION_NUMBER, offsetof(struct cells_values, cols), "N",
	  "how many, 0 for all [4]", 0, 1e9 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

const struct cells_values cells_defaults = { .rows = 1, .cols = 4 };

static const struct {
	uint16_t flag;
	const char *name;
} flags[] = {
	{ LF_CELL_STUCK_ON, "stuck-on" }, { LF_CELL_STUCK_OFF, "stuck-off" },
	{ LF_CELL_WORN, "worn" },	  { LF_CELL_FAILED, "failed" },
	{ LF_CELL_SPARE, "spare" },
};

void cells_count(struct cells_census *census, const struct lf_cell *cells, size_t count)
{
	for (size_t at = 0; at < count; at++) {
		const struct lf_cell *cell = &cells[at];
		uint32_t left = cell->wear < cell->endurance ? cell->endurance - cell->wear : 0;

		census->cells++;
		census->stuck_on += !!(cell->flags & LF_CELL_STUCK_ON);
		census->stuck_off += !!(cell->flags & LF_CELL_STUCK_OFF);
		census->worn += !!(cell->flags & LF_CELL_WORN);
		census->failed += !!(cell->flags & LF_CELL_FAILED);
		census->spare += !!(cell->flags & LF_CELL_SPARE);
		if (cell->wear > census->wear_max)
			census->wear_max = cell->wear;
		if (cell->endurance == UINT32_MAX)
			continue;
		if (!census->limited || left < census->left_least)
			census->left_least = left;
		census->limited++;
	}
}

json_t *cells_census_json(const struct cells_census *census)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "cells",
			 (json_int_t)census->cells, "stuck_on", (json_int_t)census->stuck_on,
			 "stuck_off", (json_int_t)census->stuck_off, "worn",
			 (json_int_t)census->worn, "failed", (json_int_t)census->failed, "spare",
			 (json_int_t)census->spare, "wear_max", (json_int_t)census->wear_max,
			 "endurance_left",
			 census->limited ? json_integer(census->left_least) : json_null());
}

static json_t *flags_json(uint16_t mask)
{
	json_t *names = json_array();

	for (size_t at = 0; at < sizeof(flags) / sizeof(flags[0]); at++)
		if (mask & flags[at].flag)
			json_array_append_new(names, json_string(flags[at].name));
	return names;
}

static json_t *cell_json(const struct lf_cell *cell, uint32_t row, uint32_t col, uint32_t index,
			 uint32_t slices)
{
	float conductance;

	memcpy(&conductance, &cell->conductance, sizeof(conductance));
	return json_pack(
		"{s:I, s:I, s:s, s:i, s:f, s:I, s:o, s:i, s:o}", "row", (json_int_t)row, "col",
		(json_int_t)col, "side", index < slices ? "+" : "-", "slice", (int)(index % slices),
		"conductance", (double)conductance, "wear", (json_int_t)cell->wear, "endurance",
		cell->endurance == UINT32_MAX ? json_null() : json_integer(cell->endurance),
		"pulses", (int)cell->pulses, "flags", flags_json(cell->flags));
}

/* One row of cells; @census counts those that are shown. */
static void show_row(json_t *rows, const struct lf_cell *cells, uint32_t row, uint32_t first,
		     uint32_t end, uint32_t weight_cells, struct cells_census *census)
{
	uint32_t slices = weight_cells > 1 ? weight_cells / 2 : 1;

	for (uint32_t col = first; col < end; col++) {
		const struct lf_cell *weight = cells + (size_t)col * weight_cells;

		cells_count(census, weight, weight_cells);
		for (uint32_t index = 0; index < weight_cells; index++)
			json_array_append_new(rows,
					      cell_json(&weight[index], row, col, index, slices));
	}
}

static int range(const char *what, uint64_t first, uint64_t *count, uint32_t limit,
		 struct lf_error *error)
{
	if (first >= limit)
		return lf_error_set(error, -EINVAL, "--%s %llu: the matrix has %u", what,
				    (unsigned long long)first, limit);
	if (!*count)
		*count = limit - first;
	if (*count > limit - first)
		return lf_error_set(error, -EINVAL, "--%ss %llu: from %llu on there are %u", what,
				    (unsigned long long)*count, (unsigned long long)first,
				    limit - (uint32_t)first);
	return 0;
}

static int show_matrix(struct lf_matrix *matrix, const struct cells_values *values, json_t *result,
		       struct lf_error *error)
{
	uint32_t weight_cells = lf_matrix_weight_cells(matrix);
	uint64_t rows = values->rows, cols = values->cols;
	struct cells_census census = { 0 };
	json_t *shown = json_array();
	struct lf_matrix_info info;
	struct lf_cell *cells;
	int ret;

	json_object_set_new(result, "cells", shown);
	ret = lf_matrix_info(matrix, &info, error);
	if (!ret)
		ret = range("row", values->row, &rows, info.rows, error);
	if (!ret)
		ret = range("col", values->col, &cols, info.cols, error);
	if (ret)
		return ret;
	cells = malloc((size_t)info.cols * weight_cells * sizeof(*cells));
	if (!cells)
		return lf_error_set(error, -ENOMEM, "no memory for a row of cells");
	for (uint64_t row = values->row; !ret && row < values->row + rows; row++) {
		ret = lf_matrix_cells(matrix, (uint32_t)row, 1, cells, error);
		if (!ret)
			show_row(shown, cells, (uint32_t)row, (uint32_t)values->col,
				 (uint32_t)(values->col + cols), weight_cells, &census);
	}
	free(cells);
	if (!ret)
		json_object_set_new(result, "summary", cells_census_json(&census));
	return ret;
}

int cells_show(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct cells_values *values = opaque;
	struct lf_matrix *matrix;
	struct lf_device *device;
	int ret;

	ret = open_device(&values->common, &device, error);
	if (ret)
		return ret;
	ret = lf_matrix_open(device, operands[0], &matrix, error);
	if (!ret) {
		ret = show_matrix(matrix, values, result, error);
		lf_matrix_close(matrix);
	}
	lf_device_close(device);
	return ret;
}
