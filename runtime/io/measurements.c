// SPDX-License-Identifier: MIT
/* CSV files of measured conductances; see lf/preset.h. */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/preset.h>

#include "runtime/io/file.h"
#include "runtime/io/text.h"

#define FILE_BYTES_MAX ((size_t)4 << 30)
#define LINE_BYTES_MAX 511
#define COLUMN_COUNT   7

/**
 * struct column - one that a file may have
 * @name: in the first line
 * @required: files without it are refused
 * @whole: only whole numbers
 * @low: smallest value
 * @high: largest value
 */
static const struct column {
	const char *name;
	bool required;
	bool whole;
	double low;
	double high;
} columns[COLUMN_COUNT] = {
	{ "cell", true, true, 0, UINT32_MAX },	   { "target_us", true, false, 0, 1e6 },
	{ "measured_us", true, false, -1e6, 1e6 }, { "pulses", true, true, 1, 1e6 },
	{ "seconds", true, false, 0, 1e12 },	   { "read", false, true, 0, 1e6 },
	{ "cycles", false, true, 0, 1e12 },
};

/**
 * struct reader - a file being read
 * @path: of it, for messages
 * @next: rest of it
 * @end: behind it
 * @number: of the line, from 1
 * @line: the line, cut into fields
 * @fields: its fields
 * @field_count: number of them
 * @column_of: which column each field of the first line is
 * @width: fields of the first line
 */
struct reader {
	const char *path;
	const char *next;
	const char *end;
	size_t number;
	char line[LINE_BYTES_MAX + 1];
	char *fields[COLUMN_COUNT];
	uint32_t field_count;
	uint32_t column_of[COLUMN_COUNT];
	uint32_t width;
	struct lf_error *error;
};

#define REFUSE(reader, format, ...)                                               \
	lf_error_set((reader)->error, -EINVAL, "%s:%zu: " format, (reader)->path, \
		     (reader)->number, ##__VA_ARGS__)

/* Cuts blanks off both ends. */
static char *trim(char *text)
{
	size_t length;

	text += strspn(text, " \t");
	length = strlen(text);
	while (length && strchr(" \t\r", text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Takes the next line that is neither empty nor a comment, in fields; 1, 0 at the end, or an error. */
static int take_line(struct reader *reader)
{
	while (reader->next < reader->end) {
		size_t left = (size_t)(reader->end - reader->next), length;
		const char *newline = memchr(reader->next, '\n', left);
		char *rest;

		length = newline ? (size_t)(newline - reader->next) : left;
		reader->number++;
		if (length > LINE_BYTES_MAX)
			return REFUSE(reader, "line is longer than %d bytes", LINE_BYTES_MAX);
		memcpy(reader->line, reader->next, length);
		reader->line[length] = '\0';
		reader->next += length + (newline ? 1 : 0);
		if (strlen(reader->line) != length)
			return REFUSE(reader, "line has a byte 0");
		rest = trim(reader->line);
		if (!*rest || *rest == '#')
			continue;
		if (!lf_text_is_utf8(rest, strlen(rest)) || !lf_text_is_printable(rest))
			return REFUSE(reader, "line is not plain text");
		reader->field_count = 0;
		while (rest) {
			if (reader->field_count == COLUMN_COUNT)
				return REFUSE(reader, "line has more than %d fields", COLUMN_COUNT);
			reader->fields[reader->field_count++] = trim(strsep(&rest, ","));
		}
		return 1;
	}
	return 0;
}

static int read_header(struct reader *reader)
{
	bool given[COLUMN_COUNT] = { false };
	int ret = take_line(reader);

	if (ret < 0)
		return ret;
	reader->width = ret ? reader->field_count : 0;
	for (uint32_t i = 0; i < reader->width; i++) {
		uint32_t column = 0;

		while (column < COLUMN_COUNT && strcmp(reader->fields[i], columns[column].name))
			column++;
		if (column == COLUMN_COUNT)
			return REFUSE(reader,
				      "field %u: \"%.40s\" is no column; there are cell, "
				      "target_us, measured_us, pulses, seconds, read, cycles",
				      i + 1, reader->fields[i]);
		if (given[column])
			return REFUSE(reader, "column %s: given twice", columns[column].name);
		given[column] = true;
		reader->column_of[i] = column;
	}
	for (uint32_t column = 0; column < COLUMN_COUNT; column++)
		if (columns[column].required && !given[column])
			return REFUSE(reader, "column %s: is missing", columns[column].name);
	return 0;
}

/* A decimal number, with or without an exponent; the point is a point whatever the locale. */
static int parse_number(const char *text, double *value)
{
	double number = 0, scale = 1;
	bool negative = *text == '-', any = false;
	long exponent = 0;
	int digits = 0;

	text += negative || *text == '+';
	for (; *text >= '0' && *text <= '9'; text++, any = true, digits++)
		number = 10 * number + (*text - '0');
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9'; text++, any = true, digits++) {
			number = 10 * number + (*text - '0');
			scale *= 10;
		}
	if (any && (*text == 'e' || *text == 'E')) {
		char *end;

		exponent = strtol(text + 1, &end, 10);
		if (end == text + 1 || text[1] == ' ' || exponent < -30 || exponent > 30)
			return -EINVAL;
		text = end;
	}
	if (!any || *text || digits > 40)
		return -EINVAL;
	number /= scale;
	for (; exponent > 0; exponent--)
		number *= 10;
	for (; exponent < 0; exponent++)
		number /= 10;
	*value = negative ? -number : number;
	return 0;
}

static int read_row(struct reader *reader, struct lf_measurement *row)
{
	double values[COLUMN_COUNT] = { 0 };

	if (reader->field_count != reader->width)
		return REFUSE(reader, "%u fields, not the %u of the first line",
			      reader->field_count, reader->width);
	for (uint32_t i = 0; i < reader->width; i++) {
		const struct column *column = &columns[reader->column_of[i]];
		double *value = &values[reader->column_of[i]];

		if (parse_number(reader->fields[i], value))
			return REFUSE(reader, "column %s: \"%.40s\" is not a number", column->name,
				      reader->fields[i]);
		if (*value < column->low || *value > column->high)
			return REFUSE(reader, "column %s: %.40s is not in %g .. %g", column->name,
				      reader->fields[i], column->low, column->high);
		if (column->whole && *value != (double)(uint64_t)*value)
			return REFUSE(reader, "column %s: %.40s is not a whole number",
				      column->name, reader->fields[i]);
	}
	*row = (struct lf_measurement){
		.cell = (uint32_t)values[0],
		.target_us = values[1],
		.measured_us = values[2],
		.pulses = (uint32_t)values[3],
		.seconds = values[4],
		.read = (uint32_t)values[5],
		.cycles = values[6],
	};
	return 0;
}

static int read_rows(struct reader *reader, struct lf_measurements *measurements)
{
	size_t capacity = 0;
	int ret;

	while ((ret = take_line(reader)) > 0) {
		if (measurements->count == LF_MEASUREMENTS_MAX)
			return REFUSE(reader, "more than %d measurements", LF_MEASUREMENTS_MAX);
		if (measurements->count == capacity) {
			struct lf_measurement *grown;

			capacity = capacity ? 2 * capacity : 1024;
			grown = realloc(measurements->rows, capacity * sizeof(*grown));
			if (!grown)
				return lf_error_set(reader->error, -ENOMEM, "%s: out of memory",
						    reader->path);
			measurements->rows = grown;
		}
		ret = read_row(reader, &measurements->rows[measurements->count]);
		if (ret)
			return ret;
		measurements->count++;
	}
	if (!ret && !measurements->count)
		return lf_error_set(reader->error, -EINVAL, "%s: has no measurements",
				    reader->path);
	return ret;
}

int lf_measurements_read(struct lf_measurements *measurements, const char *path,
			 struct lf_error *error)
{
	struct reader reader = { .path = path, .error = error };
	struct lf_file_map map;
	int ret;

	*measurements = (struct lf_measurements){ 0 };
	ret = lf_file_map_open(&map, path, FILE_BYTES_MAX, error);
	if (ret)
		return ret;
	/* An empty file is mapped nowhere. */
	reader.next = map.size_bytes ? (const char *)map.bytes : "";
	reader.end = reader.next + map.size_bytes;
	ret = read_header(&reader);
	if (!ret)
		ret = read_rows(&reader, measurements);
	lf_file_map_close(&map);
	if (ret)
		lf_measurements_free(measurements);
	return ret;
}

void lf_measurements_free(struct lf_measurements *measurements)
{
	free(measurements->rows);
	*measurements = (struct lf_measurements){ 0 };
}
