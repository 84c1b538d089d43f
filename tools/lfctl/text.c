// SPDX-License-Identifier: MIT
/*
 * Results as text; see text.h. The object is the one that --json prints: how a key is called and in which unit its value is
 * shown is in one table, and what is not there is shown by its own name.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "tools/lfctl/text.h"

#define LABEL_WIDTH 30
#define CELL_BYTES  512

enum unit {
	UNIT_NONE,
	UNIT_COUNT,  /* with commas */
	UNIT_ENERGY, /* an object of picojoules by component */
	UNIT_TIME,   /* nanoseconds */
	UNIT_SECONDS,
	UNIT_BYTES,
	UNIT_MILLIDEGREES,
	UNIT_BITS,	/* 0 is none lost */
	UNIT_SHARE,	/* of 1, shown in percent */
	UNIT_INTERVAL,	/* of shares, shown in points */
	UNIT_HISTOGRAM, /* of wear: bin 0 is none, bin k 2^(k-1) .. 2^k - 1 */
	UNIT_DECIBELS,	/* null is no noise at all */
	UNIT_ROWS,	/* a table too long for people */
	UNIT_AGE,	/* nanoseconds, up to years */
};

/**
 * struct presentation - how a value is shown
 * @section: key of the object around it, NULL for any
 * @key: its key
 * @label: what people call it
 * @unit: of the value
 */
struct presentation {
	const char *section;
	const char *key;
	const char *label;
	enum unit unit;
};

#define COST "counted; energy and device time are modelled"

static const struct presentation presentations[] = {
	{ "states", "accuracy", "accuracy", UNIT_SHARE },
	{ "states", "accuracy_sd", "sd", UNIT_SHARE },
	{ "states", "cells_written", "cells written", UNIT_COUNT },
	{ "states", "spent_pj", "energy pJ", UNIT_COUNT },
	{ "ideal", "accuracy", "accuracy (counted)", UNIT_SHARE },
	{ "ideal", "majority", "commonest label", UNIT_SHARE },
	{ "points", "accuracy", "accuracy", UNIT_SHARE },
	{ "points", "accuracy_sd", "sd", UNIT_SHARE },
	{ "points", "clip_share", "clips", UNIT_SHARE },
	{ "points", "snr_db", "SNR dB", UNIT_DECIBELS },
	{ "points", "snr_sd_db", "sd dB", UNIT_DECIBELS },
	{ "points", "snr_through_db", "through", UNIT_DECIBELS },
	{ "points", "snr_query_db", "query", UNIT_DECIBELS },
	{ "points", "snr_key_db", "key", UNIT_DECIBELS },
	{ "points", "snr_value_db", "value", UNIT_DECIBELS },
	{ "points", "snr_attention_output_db", "att. output", UNIT_DECIBELS },
	{ "points", "snr_intermediate_db", "intermediate", UNIT_DECIBELS },
	{ "points", "snr_output_db", "output", UNIT_DECIBELS },
	{ "study", "seed", "seed", UNIT_NONE },
	{ NULL, "layers", "layers", UNIT_ROWS },
	{ "devices", "errors", "errors", UNIT_NONE },
	{ NULL, "errors", "errors of the cells", UNIT_NONE },
	{ "matrices", "wear_max", "wear", UNIT_COUNT },
	{ "census", "wear_max", "most writes of a cell", UNIT_COUNT },
	{ "summary", "wear_max", "most writes of a cell", UNIT_COUNT },
	{ NULL, "cells_stuck", "stuck cells in use", UNIT_COUNT },
	{ NULL, "cells_failed", "cells that did not verify", UNIT_COUNT },
	{ NULL, "refresh_due", "matrices due for a refresh", UNIT_COUNT },
	{ NULL, "age_ns", "since it was written", UNIT_AGE },
	{ NULL, "due_in_ns", "until due for a refresh", UNIT_AGE },
	{ NULL, "failed_cells", "cells that did not verify", UNIT_COUNT },
	{ "matrix", "stuck_cells", "stuck cells in use", UNIT_COUNT },
	{ NULL, "stuck_cells", "stuck", UNIT_COUNT },
	{ NULL, "stuck_before", "stuck cells without spares", UNIT_COUNT },
	{ NULL, "stuck_after", "stuck cells in use", UNIT_COUNT },
	{ NULL, "spares", "columns replaced by spares", UNIT_COUNT },
	{ "matrix", "adc_step", "step of the converters, levels", UNIT_COUNT },
	{ NULL, "calibration", "cost of calibrating (" COST ")", UNIT_NONE },
	{ NULL, "remapping", "stuck cells of published matrices, before and after remapping",
	  UNIT_NONE },
	{ NULL, "histogram", "row groups by writes and erasures they have seen", UNIT_NONE },
	{ "histogram", "share", "share", UNIT_SHARE },
	{ NULL, "census", "cells of published matrices, one by one", UNIT_NONE },
	{ NULL, "summary", "the cells shown", UNIT_NONE },
	{ NULL, "endurance_left", "fewest writes left to a cell", UNIT_COUNT },
	{ "cells", "row", "row", UNIT_NONE },
	{ "cells", "col", "col", UNIT_NONE },
	{ NULL, "accuracy", "accuracy on the test examples (counted)", UNIT_NONE },
	{ "accuracy", "majority", "most frequent label", UNIT_SHARE },
	{ "accuracy", "zero_shot", "zero-shot", UNIT_SHARE },
	{ "accuracy", "lorafusion", "LoRAFusion", UNIT_SHARE },
	{ "accuracy", "lora", "LoRA", UNIT_SHARE },
	{ "accuracy", "dora", "DoRA", UNIT_SHARE },
	{ "accuracy", "vera", "VeRA", UNIT_SHARE },
	{ "accuracy", "ia3", "IA3", UNIT_SHARE },
	{ "accuracy", "bitfit", "BitFit", UNIT_SHARE },
	{ "accuracy", "magnitude", "magnitudes alone", UNIT_SHARE },
	{ "accuracy", "full", "full fine-tuning", UNIT_SHARE },
	{ "accuracy", "uniform", "uniform average", UNIT_SHARE },
	{ "accuracy", "best_single", "best single module", UNIT_SHARE },
	{ "accuracy", "lorahub", "LoraHub", UNIT_SHARE },
	{ "accuracy", "head", "head alone", UNIT_SHARE },
	{ "accuracy", "macro_f1", "macro F1 of the adapted", UNIT_SHARE },
	{ "accuracy", "difference_ci95", "gain over zero-shot, 95 %", UNIT_INTERVAL },
	{ NULL, "trainable", "numbers to train, by method (counted)", UNIT_NONE },
	{ "trainable", "lorafusion", "LoRAFusion", UNIT_COUNT },
	{ "trainable", "lora", "LoRA", UNIT_COUNT },
	{ "trainable", "coefficients", "of LoRAFusion, coefficients", UNIT_COUNT },
	{ "trainable", "magnitudes", "of LoRAFusion, magnitudes", UNIT_COUNT },
	{ NULL, "trained", "numbers trained here (counted)", UNIT_NONE },
	{ NULL, "modules_read", "modules, summed over the blocks (counted)", UNIT_NONE },
	{ "modules_read", "read", "read", UNIT_COUNT },
	{ "modules_read", "all", "there are", UNIT_COUNT },
	{ NULL, "samples", "examples", UNIT_NONE },
	{ NULL, "adaptation", "cost of the adaptation (" COST ")", UNIT_NONE },
	{ NULL, "inference", "cost of the test (" COST ")", UNIT_NONE },
	{ NULL, "deploy", "cost of deploying (" COST ")", UNIT_NONE },
	{ NULL, "total", "since the device was made (" COST ")", UNIT_NONE },
	{ NULL, "energy_pj", "energy", UNIT_ENERGY },
	{ NULL, "busy_ns", "device time", UNIT_TIME },
	{ NULL, "time_ns", "device clock (modelled)", UNIT_TIME },
	{ NULL, "mvm_count", "vectors multiplied", UNIT_COUNT },
	{ NULL, "mac_count", "multiply-accumulates", UNIT_COUNT },
	{ NULL, "clips", "conversions out of range", UNIT_COUNT },
	{ NULL, "host_bytes", "moved to and from the host", UNIT_BYTES },
	{ NULL, "buffer_bytes", "bytes of a buffer", UNIT_BYTES },
	{ NULL, "job_scratch_bytes", "scratch of a job", UNIT_BYTES },
	{ NULL, "temperature_mc", "temperature", UNIT_MILLIDEGREES },
	{ NULL, "wear_max", "most writes of a row group", UNIT_COUNT },
	{ NULL, "wear_histogram", "row groups by writes", UNIT_HISTOGRAM },
	{ NULL, "source", "read from the counters of the", UNIT_NONE },
	{ NULL, "wall_s", "time on this machine (measured)", UNIT_NONE },
	{ "wall_s", "zero_shot", "zero-shot", UNIT_SECONDS },
	{ "wall_s", "train", "training", UNIT_SECONDS },
	{ "wall_s", "test", "test", UNIT_SECONDS },
	{ NULL, "cell_bits", "cell", UNIT_BITS },
	{ NULL, "adc_bits", "converter (ADC)", UNIT_BITS },
	{ NULL, "dac_bits", "driver (DAC)", UNIT_BITS },
	{ NULL, "tile_rows", "rows of a tile", UNIT_COUNT },
	{ NULL, "tile_cols", "columns of a tile", UNIT_COUNT },
	{ NULL, "tile_weights", "weights of a row of a tile", UNIT_COUNT },
	/* Names that only look like counts. */
	{ NULL, "owner", "owner", UNIT_NONE },
	{ "recipe", "pool_seed", "pool seed", UNIT_NONE },
};

#define PRESENTATIONS (sizeof(presentations) / sizeof(presentations[0]))

static const struct presentation *find(const char *section, const char *key)
{
	for (size_t at = 0; at < PRESENTATIONS; at++) {
		const struct presentation *candidate = &presentations[at];

		if (!strcmp(candidate->key, key) &&
		    (!candidate->section || (section && !strcmp(candidate->section, section))))
			return candidate;
	}
	return NULL;
}

static void label_text(const char *section, const char *key, char *text, size_t bytes)
{
	const struct presentation *known = find(section, key);

	snprintf(text, bytes, "%s", known ? known->label : key);
	for (char *letter = text; !known && *letter; letter++)
		if (*letter == '_')
			*letter = ' ';
}

static void count_text(json_int_t number, char *text, size_t bytes)
{
	char digits[32];
	int length = snprintf(digits, sizeof(digits), "%lld", (long long)number);
	size_t used = 0;

	for (int at = 0; at < length && used + 2 < bytes; at++) {
		if (at && digits[at - 1] != '-' && (length - at) % 3 == 0)
			text[used++] = ',';
		text[used++] = digits[at];
	}
	text[used] = '\0';
}

/* @value of a unit, with the greatest of its multiples that leaves a digit before the point. */
static void scaled_text(double value, double step, const char *const *units, char *text,
			size_t bytes)
{
	while (units[1] && (value >= step || value <= -step)) {
		value /= step;
		units++;
	}
	snprintf(text, bytes, "%.*f %s", value == (double)(long long)value ? 0 : 2, value, *units);
}

static void energy_text(const json_t *components, char *text, size_t bytes)
{
	static const char *const units[] = { "pJ", "nJ", "uJ", "mJ", "J", NULL };
	const char *component, *separator = ": ";
	json_t *value;
	size_t used;

	scaled_text(json_real_value(json_object_get(components, "total")), 1000, units, text,
		    bytes);
	used = strlen(text);
	json_object_foreach((json_t *)components, component, value)
	{
		char part[64];

		if (!strcmp(component, "total") || json_real_value(value) <= 0.0)
			continue;
		scaled_text(json_real_value(value), 1000, units, part, sizeof(part));
		used += (size_t)snprintf(text + used, used < bytes ? bytes - used : 0, "%s%s %s",
					 separator, component, part);
		if (used >= bytes)
			break;
		separator = ", ";
	}
}

static void histogram_text(const json_t *bins, char *text, size_t bytes)
{
	size_t at, used = 0;
	json_t *bin;

	text[0] = '\0';
	json_array_foreach(bins, at, bin)
	{
		unsigned long low = at ? 1ul << (at - 1) : 0, high = at ? 2 * low - 1 : 0;
		char rows[32], range[48];

		if (!json_integer_value(bin))
			continue;
		count_text(json_integer_value(bin), rows, sizeof(rows));
		if (at + 1 == json_array_size(bins))
			snprintf(range, sizeof(range), "%lu or more", low);
		else if (low == high)
			snprintf(range, sizeof(range), "%lu", low);
		else
			snprintf(range, sizeof(range), "%lu to %lu", low, high);
		used += (size_t)snprintf(text + used, used < bytes ? bytes - used : 0,
					 "%s%s with %s", used ? ", " : "", rows, range);
		if (used >= bytes)
			break;
	}
}

static void age_text(double nanoseconds, char *text, size_t bytes)
{
	static const struct {
		double seconds;
		const char *name;
	} units[] = {
		{ 365.25 * 86400, "years" }, { 86400, "days" }, { 3600, "hours" }, { 60, "minutes" }
	};
	double seconds = nanoseconds / 1e9, size = seconds < 0 ? -seconds : seconds;

	for (size_t at = 0; at < sizeof(units) / sizeof(units[0]); at++)
		if (size >= 2 * units[at].seconds) {
			snprintf(text, bytes, "%.1f %s", seconds / units[at].seconds,
				 units[at].name);
			return;
		}
	snprintf(text, bytes, "%.6g s", seconds);
}

static void unit_text(const json_t *value, enum unit unit, char *text, size_t bytes)
{
	static const char *const times[] = { "ns", "us", "ms", "s", NULL };
	static const char *const sizes[] = { "B", "KiB", "MiB", "GiB", NULL };
	double number = json_number_value(value);

	switch (unit) {
	case UNIT_ENERGY:
		energy_text(value, text, bytes);
		break;
	case UNIT_HISTOGRAM:
		histogram_text(value, text, bytes);
		break;
	case UNIT_TIME:
		scaled_text(number, 1000, times, text, bytes);
		break;
	case UNIT_SECONDS:
		snprintf(text, bytes, "%.2f s", number);
		break;
	case UNIT_BYTES:
		scaled_text(number, 1024, sizes, text, bytes);
		break;
	case UNIT_MILLIDEGREES:
		snprintf(text, bytes, "%.1f degrees Celsius", number / 1000);
		break;
	case UNIT_BITS:
		snprintf(text, bytes, number > 0 ? "%.0f bit" : "ideal, no bit lost", number);
		break;
	case UNIT_AGE:
		age_text(number, text, bytes);
		break;
	case UNIT_DECIBELS:
		snprintf(text, bytes, json_is_null(value) ? "exact" : "%.1f", number);
		break;
	case UNIT_ROWS:
		snprintf(text, bytes, "%zu rows, shown by --json", json_array_size(value));
		break;
	case UNIT_SHARE:
		snprintf(text, bytes, "%.1f %%", 100 * number);
		break;
	case UNIT_INTERVAL:
		snprintf(text, bytes, "%+.1f to %+.1f points",
			 100 * json_number_value(json_array_get(value, 0)),
			 100 * json_number_value(json_array_get(value, 1)));
		break;
	default:
		count_text(json_integer_value(value), text, bytes);
	}
}

static void value_text(const char *section, const char *key, const json_t *value, char *text,
		       size_t bytes)
{
	const struct presentation *known = find(section, key);
	size_t at, used = 0;
	json_t *element;

	if (known && known->unit != UNIT_NONE &&
	    (!json_is_null(value) || known->unit == UNIT_DECIBELS)) {
		unit_text(value, known->unit, text, bytes);
		return;
	}
	switch (json_typeof(value)) {
	case JSON_STRING:
		snprintf(text, bytes, "%s", json_string_value(value));
		break;
	case JSON_INTEGER:
		if (known)
			snprintf(text, bytes, "%lld", (long long)json_integer_value(value));
		else
			count_text(json_integer_value(value), text, bytes);
		break;
	case JSON_REAL:
		snprintf(text, bytes, "%.6g", json_real_value(value));
		break;
	case JSON_ARRAY:
		snprintf(text, bytes, "%s", json_array_size(value) ? "" : "none");
		json_array_foreach(value, at, element)
		{
			used += (size_t)snprintf(
				text + used, used < bytes ? bytes - used : 0, "%s%s",
				at ? ", " : "",
				json_is_string(element) ? json_string_value(element) : "?");
			if (used >= bytes)
				break;
		}
		break;
	default:
		snprintf(text, bytes, "%s",
			 json_is_true(value)	? "yes"
			 : json_is_false(value) ? "no"
						: "-");
	}
}

static int column_width(const json_t *rows, const char *section, const char *key)
{
	char text[CELL_BYTES];
	json_t *row;
	size_t at;
	int width;

	label_text(section, key, text, sizeof(text));
	width = (int)strlen(text);
	json_array_foreach(rows, at, row)
	{
		value_text(section, key, json_object_get(row, key), text, sizeof(text));
		if ((int)strlen(text) > width)
			width = (int)strlen(text);
	}
	return width;
}

/* Numbers are flush right, all else is flush left. */
static void write_cell(bool number, const char *text, int width)
{
	printf("%*s  ", number ? width : -width, text);
}

/* A column of numbers may have places without one. */
static bool is_number_column(const json_t *rows, const char *key)
{
	json_t *row;
	size_t at;

	json_array_foreach(rows, at,
			   row) if (json_is_number(json_object_get(row, key))) return true;
	return false;
}

static void write_table(const json_t *rows, const char *section)
{
	json_t *first = json_array_get(rows, 0), *row, *value;
	char text[CELL_BYTES];
	const char *key;
	size_t at;

	if (!first) {
		printf("none\n");
		return;
	}
	json_object_foreach(first, key, value)
	{
		label_text(section, key, text, sizeof(text));
		write_cell(is_number_column(rows, key), text, column_width(rows, section, key));
	}
	printf("\n");
	json_array_foreach(rows, at, row)
	{
		json_object_foreach(first, key, value)
		{
			value_text(section, key, json_object_get(row, key), text, sizeof(text));
			write_cell(is_number_column(rows, key), text,
				   column_width(rows, section, key));
		}
		printf("\n");
	}
}

static bool is_table(const json_t *value)
{
	return json_is_array(value) &&
	       (!json_array_size(value) || json_is_object(json_array_get(value, 0)));
}

/* Values of an object; those of the outermost one are sections, tables, and values that are not indented. */
static void write_object(const json_t *object, const char *section)
{
	char label[80], text[CELL_BYTES];
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		label_text(section, key, label, sizeof(label));
		if (is_table(value) &&
		    (!find(section, key) || find(section, key)->unit != UNIT_ROWS)) {
			printf("%s:\n", label);
			write_table(value, key);
		} else if (json_is_object(value) &&
			   (!find(section, key) || find(section, key)->unit != UNIT_ENERGY)) {
			printf("%s:\n", label);
			write_object(value, key);
		} else {
			value_text(section, key, value, text, sizeof(text));
			printf("%s%-*s %s\n", section ? "  " : "", LABEL_WIDTH, label, text);
		}
	}
}

void text_write(const json_t *object)
{
	json_t *shown = json_copy((json_t *)object);

	json_object_del(shown, "schema_version");
	write_object(shown, NULL);
	json_decref(shown);
}
