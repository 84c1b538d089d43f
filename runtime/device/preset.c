// SPDX-License-Identifier: MIT
/* Parameters of a device by name or from a file; see lf/preset.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/params.h"
#include "runtime/device/preset.h"
#include "runtime/io/file.h"

#define FILE_PREFIX    "file="
#define FILE_BYTES_MAX ((size_t)1 << 20)

_Static_assert(LF_PRESET_VALUE_BYTES >= XBAR_MESSAGE_BYTES, "values are as long as the model's");

static int read_params(struct xbar_params **params, const char *path, struct lf_error *error)
{
	char message[XBAR_MESSAGE_BYTES];
	struct lf_file_map map;
	int ret;

	if (!*path)
		return lf_error_set(error, -EINVAL, "file: is empty");
	ret = lf_file_map_open(&map, path, FILE_BYTES_MAX, error);
	if (ret)
		return ret;
	ret = xbar_params_parse((const char *)map.bytes, map.size_bytes, message, params);
	lf_file_map_close(&map);
	if (ret)
		return lf_error_set(error, ret == -ENOMEM ? ret : -EINVAL, "%s: %s", path, message);
	return 0;
}

static int refuse_unknown(const char *specification, struct lf_error *error)
{
	char names[XBAR_MESSAGE_BYTES] = "";
	size_t length = 0;
	const char *name;

	for (uint32_t i = 0; (name = xbar_params_preset(i)) && length < sizeof(names); i++)
		length += (size_t)snprintf(names + length, sizeof(names) - length, "%s%s",
					   i ? ", " : "", name);
	return lf_error_set(error, -EINVAL, "preset \"%s\": is not known; there are: %s",
			    specification, names);
}

int preset_params(struct xbar_params **params, const char *specification, struct lf_error *error)
{
	size_t prefix = strlen(FILE_PREFIX);
	int ret;

	if (!strncmp(specification, FILE_PREFIX, prefix))
		return read_params(params, specification + prefix, error);
	ret = xbar_params_create(specification, params);
	if (ret == -ENOENT)
		return refuse_unknown(specification, error);
	if (ret)
		return lf_error_set(error, ret, "preset \"%s\": out of memory", specification);
	return 0;
}

const char *lf_preset_builtin(uint32_t index)
{
	return xbar_params_preset(index);
}

int lf_preset_open(struct lf_preset **preset, const char *specification, struct lf_error *error)
{
	struct lf_preset *opened = malloc(sizeof(*opened));
	int ret;

	*preset = NULL;
	if (!opened)
		return lf_error_set(error, -ENOMEM, "preset \"%s\": out of memory", specification);
	ret = preset_params(&opened->params, specification, error);
	if (ret) {
		free(opened);
		return ret;
	}
	*preset = opened;
	return 0;
}

void lf_preset_close(struct lf_preset *preset)
{
	if (preset)
		xbar_params_free(preset->params);
	free(preset);
}

const char *lf_preset_name(const struct lf_preset *preset)
{
	return preset->params->preset;
}

int lf_preset_key(uint32_t index, const char **key, const char **unit, const char **help)
{
	return xbar_params_describe(index, key, unit, help);
}

int lf_preset_get(const struct lf_preset *preset, const char *key,
		  char value[LF_PRESET_VALUE_BYTES])
{
	return xbar_params_get(preset->params, key, value);
}

int lf_preset_set(struct lf_preset *preset, const char *key, const char *value,
		  struct lf_error *error)
{
	char message[XBAR_MESSAGE_BYTES];
	int ret = xbar_params_set(preset->params, key, value, message);

	return ret ? lf_error_set(error, ret, "%s", message) : 0;
}

int lf_preset_check(const struct lf_preset *preset, struct lf_error *error)
{
	char message[XBAR_MESSAGE_BYTES];
	int ret = xbar_params_check(preset->params, message);

	return ret ? lf_error_set(error, ret, "%s", message) : 0;
}
