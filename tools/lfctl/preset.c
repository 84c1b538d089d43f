// SPDX-License-Identifier: MIT
/* lfctl preset list, show, check and fit. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lf/preset.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/outfile.h"
#include "tools/lfctl/output.h"

/* Parameters that a row of the list shows. */
static const char *const list_keys[] = { "tile_rows", "tile_cols", "cell_bits",
					 "pair",      "adc_bits",  "adc_subtract" };

#define LIST_KEYS (sizeof(list_keys) / sizeof(list_keys[0]))

/**
 * struct fit_values - options of fit
 * @common: of every command
 * @base: preset that is changed
 * @name: of the new one
 * @out: file that it is written to
 * @force: also where there is a file already
 * @g_max_us: end of the range, 0 for that of the data
 * @g_min_us: likewise
 */
struct fit_values {
	struct common common;
	const char *base;
	const char *name;
	const char *out;
	bool force;
	double g_max_us;
	double g_min_us;
};

static const struct common common_defaults;
static const struct fit_values fit_defaults = { .base = "isaac", .name = "fitted" };

#define PLACE(field) offsetof(struct fit_values, field)

static const struct option_spec fit_options[] = {
	{ "base", OPTION_TEXT, PLACE(base), "PRESET",
	  "what the data do not tell comes from [isaac]", 0, 0 },
	{ "name", OPTION_TEXT, PLACE(name), "TEXT",
	  "what devices of the new preset call themselves [fitted]", 0, 0 },
	{ "out", OPTION_TEXT, PLACE(out), "FILE", "write the preset to this file", 0, 0 },
	{ "force", OPTION_FLAG, PLACE(force), NULL, "replace the file of --out", 0, 0 },
	{ "g-max-us", OPTION_REAL, PLACE(g_max_us), "US",
	  "largest conductance, 0 for the largest target [0]", 0, 1e6 },
	{ "g-min-us", OPTION_REAL, PLACE(g_min_us), "US",
	  "smallest conductance, 0 for the smallest target [0]", 0, 1e6 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static json_t *text_of(const struct lf_preset *preset, const char *key)
{
	char value[LF_PRESET_VALUE_BYTES];

	return lf_preset_get(preset, key, value) ? json_null() : json_string(value);
}

/* A number as one, a word as text. */
static json_t *number_of(const struct lf_preset *preset, const char *key)
{
	char value[LF_PRESET_VALUE_BYTES], *end;
	long long number;

	if (lf_preset_get(preset, key, value))
		return json_null();
	number = strtoll(value, &end, 10);
	if (end != value && !*end)
		return json_integer(number);
	return json_string(value);
}

static int list(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	json_t *rows = json_array();
	int ret = 0;

	(void)values;
	(void)operands;
	json_object_set_new(result, "presets", rows);
	for (uint32_t at = 0; !ret && lf_preset_builtin(at); at++) {
		struct lf_preset *preset;
		json_t *row = json_object();

		ret = lf_preset_open(&preset, lf_preset_builtin(at), error);
		json_array_append_new(rows, row);
		json_object_set_new(row, "name", json_string(lf_preset_builtin(at)));
		for (size_t i = 0; !ret && i < LIST_KEYS; i++)
			json_object_set_new(row, list_keys[i], number_of(preset, list_keys[i]));
		if (!ret)
			lf_preset_close(preset);
	}
	return ret;
}

/* A name that is built in, file=PATH as in a device's specification, or simply a path. */
static int open_preset(struct lf_preset **preset, const char *operand, struct lf_error *error)
{
	size_t bytes = strlen(operand) + sizeof("file=");
	char *specification;
	int ret;

	for (uint32_t at = 0; lf_preset_builtin(at); at++)
		if (!strcmp(lf_preset_builtin(at), operand))
			return lf_preset_open(preset, operand, error);
	if (!strncmp(operand, "file=", 5))
		return lf_preset_open(preset, operand, error);
	specification = malloc(bytes);
	if (!specification)
		return lf_error_set(error, -ENOMEM, "%s: out of memory", operand);
	snprintf(specification, bytes, "file=%s", operand);
	ret = lf_preset_open(preset, specification, error);
	free(specification);
	if (ret == -ENOENT)
		return lf_error_set(error, ret, "%s: neither a preset nor a file", operand);
	return ret;
}

static int show(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const char *key, *unit, *help;
	json_t *rows = json_array();
	struct lf_preset *preset;
	int ret = open_preset(&preset, operands[0], error);

	(void)values;
	json_object_set_new(result, "parameters", rows);
	if (ret)
		return ret;
	json_object_set_new(result, "name", json_string(lf_preset_name(preset)));
	for (uint32_t at = 0; !lf_preset_key(at, &key, &unit, &help); at++) {
		json_t *row = json_pack("{s:s, s:o, s:s, s:s}", "key", key, "value",
					text_of(preset, key), "unit", unit, "meaning", help);

		json_array_append_new(rows, row);
	}
	lf_preset_close(preset);
	return 0;
}

static int check(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	struct lf_preset *preset;
	int ret = open_preset(&preset, operands[0], error);

	(void)values;
	if (ret)
		return ret;
	json_object_set_new(result, "name", json_string(lf_preset_name(preset)));
	ret = lf_preset_check(preset, error);
	if (ret)
		lf_error_prefix(error, ret, "%s", operands[0]);
	json_object_set_new(result, "possible", json_boolean(!ret));
	lf_preset_close(preset);
	return ret;
}

static json_t *fit_json(const struct lf_fit *fit)
{
	json_t *rows = json_array();

	for (uint32_t at = 0; at < fit->value_count; at++) {
		const struct lf_fit_value *value = &fit->values[at];
		bool residual = *value->residual_of;

		json_array_append_new(
			rows, json_pack("{s:s, s:f, s:o, s:I, s:o, s:o}", "key", value->key,
					"value", value->value, "standard_error",
					value->standard_error > 0 ? json_real(value->standard_error)
								  : json_null(),
					"count", (json_int_t)value->count, "residual",
					residual ? json_real(value->residual) : json_null(),
					"residual_of",
					residual ? json_string(value->residual_of) : json_null()));
	}
	return rows;
}

/* The error that goes with a parameter, as a comment. */
static void put_comment(FILE *stream, const struct lf_fit *fit, const char *key)
{
	for (uint32_t at = 0; at < fit->value_count; at++)
		if (!strcmp(fit->values[at].key, key) && fit->values[at].standard_error > 0)
			fprintf(stream, " # +- %.2g, %zu observations",
				fit->values[at].standard_error, fit->values[at].count);
}

/* The file that the base with what was fitted is read from again: what differs. */
static void put_preset(FILE *stream, const struct lf_preset *preset, const struct lf_preset *base,
		       const struct fit_values *options, const struct lf_fit *fit)
{
	char value[LF_PRESET_VALUE_BYTES], before[LF_PRESET_VALUE_BYTES];
	const char *key, *unit, *help;

	fprintf(stream, "# Fitted by lfctl preset fit to %zu cells.\npreset = %s\nname = %s\n",
		fit->cells, options->base, options->name);
	for (uint32_t at = 0; !lf_preset_key(at, &key, &unit, &help); at++) {
		if (lf_preset_get(preset, key, value) || lf_preset_get(base, key, before) ||
		    !strcmp(value, before))
			continue;
		fprintf(stream, "%s = %s", key, value);
		put_comment(stream, fit, key);
		fputc('\n', stream);
	}
	for (uint32_t at = 0; at < fit->remark_count; at++)
		fprintf(stream, "# %s\n", fit->remarks[at]);
}

static bool is_plain(const char *text)
{
	for (; *text; text++)
		if (*text < ' ' || *text > '~')
			return false;
	return true;
}

/* What a device calls itself is plain text of at most 15 letters; better said before the work. */
static int check_fit(const void *opaque, struct lf_error *error)
{
	const struct fit_values *values = opaque;
	bool known = false;

	for (uint32_t at = 0; lf_preset_builtin(at); at++)
		known |= !strcmp(lf_preset_builtin(at), values->base);
	if (!known)
		lf_error_set(error, -EINVAL,
			     "--base %s: no such preset; lfctl preset list names them",
			     values->base);
	else if (!*values->name || strlen(values->name) > 15 || strchr(values->name, '#'))
		lf_error_set(error, -EINVAL, "--name %s: 1 to 15 characters, and no #",
			     values->name);
	else if (values->g_max_us > 0 && values->g_min_us >= values->g_max_us)
		lf_error_set(error, -EINVAL, "--g-min-us %g: not below --g-max-us %g",
			     values->g_min_us, values->g_max_us);
	else if (!is_plain(values->name))
		lf_error_set(error, -EINVAL, "--name: something other than plain ASCII");
	else
		return 0;
	return COMMAND_EXIT(EXIT_USAGE);
}

/* Measurements are never replaced, and another file by --force alone. */
static int check_out(const struct fit_values *options, const char *measurements,
		     struct lf_error *error)
{
	struct stat out, in;
	int ret = outfile_check("out", options->out, OUTFILE_STREAM, error);

	if (ret || !options->out || stat(options->out, &out) || !S_ISREG(out.st_mode))
		return ret;
	if (!stat(measurements, &in) && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
		return lf_error_set(error, -EINVAL, "--out %s: is the file of the measurements",
				    options->out);
	if (!options->force)
		return lf_error_set(error, -EEXIST,
				    "--out %s: is there already; --force replaces it",
				    options->out);
	return 0;
}

/* Takes the name, so that a file made since the check is not replaced either; whether there is one to give up again. */
static int claim_out(const struct fit_values *options, bool *claimed, struct lf_error *error)
{
	struct stat status;
	int fd;

	*claimed = false;
	if (!options->out || options->force ||
	    (!stat(options->out, &status) && !S_ISREG(status.st_mode)))
		return 0;
	fd = open(options->out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return lf_error_set(error, -errno, "--out %s: %s", options->out, strerror(errno));
	close(fd);
	*claimed = true;
	return 0;
}

static int write_preset(const struct lf_preset *preset, const struct lf_preset *base,
			const struct fit_values *options, const struct lf_fit *fit,
			struct lf_error *error)
{
	struct outfile file;
	bool claimed;
	int ret = claim_out(options, &claimed, error);

	if (ret)
		return ret;
	ret = outfile_open(&file, options->out, error);
	if (!ret && file.stream) {
		put_preset(file.stream, preset, base, options, fit);
		ret = outfile_flush(&file, error);
		if (ret)
			outfile_close(&file, false, NULL);
		else
			ret = outfile_close(&file, true, error);
	}
	if (ret && claimed)
		unlink(options->out);
	return ret;
}

static int fit_presets(struct lf_preset *preset, const struct lf_preset *base,
		       const struct fit_values *options, const char *path, json_t *result,
		       struct lf_error *error)
{
	const struct lf_fit_range range = { options->g_max_us, options->g_min_us };
	struct lf_measurements measurements;
	json_t *remarks;
	struct lf_fit fit;
	int ret;

	ret = lf_measurements_read(&measurements, path, error);
	if (ret)
		return ret;
	ret = lf_preset_fit(preset, &measurements, &range, &fit, error);
	if (!ret) {
		json_object_set_new(result, "base", json_string(options->base));
		json_object_set_new(result, "measurements",
				    json_integer((json_int_t)measurements.count));
		json_object_set_new(result, "cells", json_integer((json_int_t)fit.cells));
		json_object_set_new(result, "stuck_cells",
				    json_integer((json_int_t)fit.stuck_cells));
		json_object_set_new(result, "fitted", fit_json(&fit));
		remarks = json_array();
		json_object_set_new(result, "remarks", remarks);
		for (uint32_t at = 0; at < fit.remark_count; at++)
			json_array_append_new(remarks, json_string(fit.remarks[at]));
		ret = write_preset(preset, base, options, &fit, error);
	} else {
		lf_error_prefix(error, ret, "%s", path);
	}
	lf_measurements_free(&measurements);
	return ret;
}

static int fit(const void *values, char **operands, json_t *result, struct lf_error *error)
{
	const struct fit_values *options = values;
	struct lf_preset *preset, *base;
	int ret;

	ret = check_out(options, operands[0], error);
	if (ret)
		return ret;
	ret = lf_preset_open(&base, options->base, error);
	if (ret)
		return ret;
	ret = lf_preset_open(&preset, options->base, error);
	if (!ret) {
		ret = fit_presets(preset, base, options, operands[0], result, error);
		lf_preset_close(preset);
	}
	lf_preset_close(base);
	return ret;
}

const struct command preset_commands[] = {
	{ "preset",
	  "list",
	  NULL,
	  "presets that are built in",
	  { common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  list },
	{ "preset",
	  "show",
	  "PRESET",
	  "every parameter of a preset, or of a preset file",
	  { common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  show },
	{ "preset",
	  "check",
	  "PRESET",
	  "whether the parameters of a preset file are possible together",
	  { common_options },
	  sizeof(struct common),
	  &common_defaults,
	  NULL,
	  check },
	{ "preset",
	  "fit",
	  "FILE",
	  "fit a preset to measured cells (CSV, see Documentation/device-data.md)",
	  { fit_options, common_options },
	  sizeof(struct fit_values),
	  &fit_defaults,
	  check_fit,
	  fit },
	{ 0 },
};
