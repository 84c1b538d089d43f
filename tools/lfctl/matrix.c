// SPDX-License-Identifier: MIT
/* lfctl matrix list, info and delete. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/matrix.h>

#include "tools/lfctl/open.h"

static const struct common common_defaults;

static const char *format_name(uint8_t format)
{
	return format == LF_FORMAT_INT8 ? "int8" : format == LF_FORMAT_FP32 ? "fp32" : "unknown";
}

static json_t *matrix_row(const struct lf_matrix_info *info)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", info->publication.mode);
	return json_pack("{s:s, s:i, s:i, s:s, s:i, s:i, s:s, s:I, s:i}", "name",
			 (const char *)info->publication.name, "rows", (int)info->rows, "cols",
			 (int)info->cols, "format", format_name(info->format), "tiles",
			 (int)(info->tile_rows * info->tile_cols), "owner",
			 (int)info->publication.owner, "mode", mode, "cells",
			 (json_int_t)info->cells, "wear_max", (int)info->wear_max);
}

static int list(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct common *common = values;
	json_t *rows = json_array();
	struct lf_matrix_info *matrices;
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
		for (uint32_t at = 0; at < count; at++)
			json_array_append_new(rows, matrix_row(&matrices[at]));
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
	if (!ret)
		json_object_set_new(result, "matrix", matrix_row(&info));
	lf_device_close(device);
	return ret;
}

/* A name that ends in / stands for all matrices below it, e.g. those of a deployed model. */
static bool is_meant(const char *wanted, const char *name)
{
	size_t length = strlen(wanted);

	if (length && wanted[length - 1] == '/')
		return !strncmp(wanted, name, length);
	return !strcmp(wanted, name);
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

			if (!is_meant(operands[0], name))
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
	{ 0 },
};
