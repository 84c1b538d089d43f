// SPDX-License-Identifier: MIT
/* lfctl matrix refresh: write matrices again before they forget. */
#include <errno.h>
#include <stdlib.h>

#include <lf/matrix.h>

#include "tools/lfctl/matrix_list.h"
#include "tools/lfctl/open.h"
#include "tools/lfctl/progress.h"
#include "tools/lfctl/refresh.h"

const struct option_spec refresh_options[] = {
	{ "due", OPTION_FLAG, offsetof(struct refresh_values, due), NULL,
	  "those whose retention asks for it, of NAME or of all", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

const struct refresh_values refresh_defaults;

static int refresh_one(struct lf_device *device, const char *name, json_t *refreshed,
		       struct lf_error *error)
{
	struct lf_matrix *matrix;
	uint64_t cells;
	int ret;

	ret = lf_matrix_open(device, name, &matrix, error);
	if (ret)
		return ret;
	ret = lf_matrix_refresh(matrix, &cells, error);
	lf_matrix_close(matrix);
	if (ret)
		return lf_error_prefix(error, ret, "matrix %s", name);
	json_array_append_new(refreshed, json_pack("{s:s, s:I}", "name", name, "cells_written",
						   (json_int_t)cells));
	return 0;
}

/* Moves the matrices that are meant to the front; returns how many they are. */
static uint32_t choose(struct lf_matrix_info *matrices, uint32_t count, const char *wanted,
		       const struct device_clock *clock)
{
	uint32_t chosen = 0;

	for (uint32_t at = 0; at < count; at++) {
		const char *name = (const char *)matrices[at].publication.name;

		if (wanted && !matrix_is_meant(wanted, name))
			continue;
		if (clock->known && !matrix_is_due(&matrices[at], clock))
			continue;
		matrices[chosen++] = matrices[at];
	}
	return chosen;
}

static int refresh_all(struct lf_device *device, const struct refresh_values *values,
		       const char *wanted, json_t *refreshed, struct lf_error *error)
{
	struct device_clock clock = { .known = false };
	struct lf_matrix_info *matrices;
	struct lf_telemetry telemetry;
	struct progress progress;
	uint32_t count, chosen;
	int ret = 0;

	if (values->due) {
		ret = lf_device_telemetry(device, &telemetry, error);
		clock = (struct device_clock){ .known = true, .time_ns = telemetry.time_ns };
	}
	if (!ret)
		ret = lf_matrix_list(device, &matrices, &count, error);
	if (ret)
		return ret;
	chosen = choose(matrices, count, wanted, &clock);
	if (!chosen && !values->due)
		ret = lf_error_set(error, -ENOENT, "there is no matrix \"%s\"", wanted);
	progress_start(&progress, "refresh", values->common.quiet);
	for (uint32_t at = 0; !ret && at < chosen; at++) {
		ret = refresh_one(device, (const char *)matrices[at].publication.name, refreshed,
				  error);
		if (!ret)
			progress_update(&progress, at + 1, chosen);
	}
	progress_end(&progress);
	free(matrices);
	return ret;
}

int refresh_run(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct refresh_values *values = opaque;
	json_t *refreshed = json_array();
	struct lf_device *device;
	int ret;

	json_object_set_new(result, "refreshed", refreshed);
	if (!operands[0] && !values->due) {
		lf_error_set(error, -EINVAL, "a NAME or --due is missing");
		return COMMAND_EXIT(EXIT_USAGE);
	}
	ret = open_device(&values->common, &device, error);
	if (ret)
		return ret;
	ret = refresh_all(device, values, operands[0], refreshed, error);
	lf_device_close(device);
	return ret;
}
