// SPDX-License-Identifier: MIT
/* lfctl matrix list, info and delete, and where cells and refresh are told of. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/matrix.h>

#include "tools/lfctl/cells.h"
#include "tools/lfctl/matrix_list.h"
#include "tools/lfctl/open.h"
#include "tools/lfctl/refresh.h"

static const struct common common_defaults;

static int list(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	json_t *rows = json_array();
	struct lf_matrix_info *matrices;
	struct device_clock clock;
	struct lf_device *device;
	uint32_t count;
	int ret;

	(void)operands;
	json_object_set_new(result, "matrices", rows);
	ret = open_device(common, &device, error);
	if (ret)
		return ret;
	ret = lf_matrix_list(device, &matrices, &count, error);
	if (!ret) {
		clock = device_clock(device);
		for (uint32_t at = 0; at < count; at++)
			json_array_append_new(rows, matrix_row_json(&matrices[at], &clock));
		free(matrices);
	}
	lf_device_close(device);
	return ret;
}

static int info(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	struct lf_matrix_info info;
	struct lf_matrix *matrix;
	struct device_clock clock;
	struct lf_device *device;
	int ret;

	ret = open_device(common, &device, error);
	if (ret)
		return ret;
	ret = lf_matrix_open(device, operands[0], &matrix, error);
	if (!ret) {
		ret = lf_matrix_info(matrix, &info, error);
		lf_matrix_close(matrix);
	}
	if (!ret) {
		clock = device_clock(device);
		json_object_set_new(result, "matrix", matrix_details_json(&info, &clock));
	}
	lf_device_close(device);
	return ret;
}

static int delete (const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	json_t *names = json_array();
	struct lf_matrix_info *matrices;
	struct lf_device *device;
	uint32_t count;
	int ret;

	json_object_set_new(result, "deleted", names);
	ret = open_device(common, &device, error);
	if (ret)
		return ret;
	ret = lf_matrix_list(device, &matrices, &count, error);
	if (!ret) {
		for (uint32_t at = 0; !ret && at < count; at++) {
			const char *name = (const char *)matrices[at].publication.name;

			if (!matrix_is_meant(operands[0], name))
				continue;
			ret = lf_matrix_unlink(device, name, error);
			if (!ret)
				json_array_append_new(names, json_string(name));
		}
		free(matrices);
	}
	if (!ret && !json_array_size(names))
		ret = lf_error_set(error, -ENOENT, "there is no matrix \"%s\"", operands[0]);
	lf_device_close(device);
	return ret;
}

const struct command matrix_commands[] = {
	{ "matrix",
	  "list",
	  NULL,
	  "matrices that are published on a device",
	  { device_options, common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  list },
	{ "matrix",
	  "info",
	  "NAME",
	  "one matrix",
	  { device_options, common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  info },
	{ "matrix",
	  "delete",
	  "NAME",
	  "take a matrix away, or with NAME/ all below it; tiles are free when nobody uses them",
	  { device_options, common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  delete },
	{ "matrix",
	  "cells",
	  "NAME",
	  "what single cells hold and bear; needs CAP_SYS_ADMIN on an accelerator",
	  { cells_options, device_options, common_options },
	  sizeof(struct cells_values),
	  &cells_defaults,
	  NULL,
	  cells_show },
	{ "matrix",
	  "refresh",
	  "[NAME]",
	  "write a matrix again before it forgets, or with NAME/ all below it",
	  { refresh_options, device_options, common_options },
	  sizeof(struct refresh_values),
	  &refresh_defaults,
	  NULL,
	  refresh_run },
	{ 0 },
};
