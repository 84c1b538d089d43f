// SPDX-License-Identifier: MIT
/*
 * Parameters from the text of a preset file, which may come from anywhere: it is read as bytes, and nothing of it is
 * believed. Whether the parameters can be together is for xbar_params_check() to say.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "params.h"

#define FILE_BYTES_MAX (1u << 20)
#define LINE_BYTES_MAX 255

/**
 * struct reader - the file as far as it was read
 * @next: rest of the text
 * @left: its length
 * @number: of the line, from 1
 * @line: text of the line without comment and without blanks at its ends
 * @key: of that line
 * @value: likewise
 * @given: which keys there were, in the order of xbar_params_describe(); the last one is "name"
 * @params: made by the first line
 * @message: receives why it was refused
 */
struct reader {
	const char *next;
	size_t left;
	uint32_t number;
	char line[LINE_BYTES_MAX + 1];
	const char *key;
	const char *value;
	bool given[XBAR_KEYS_MAX + 1];
	struct xbar_params *params;
	char *message;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct reader *reader, int error,
							const char *format, ...)
{
	va_list arguments;
	int length;

	if (!reader->message)
		return error;
	length = snprintf(reader->message, XBAR_MESSAGE_BYTES, "line %u: ", reader->number);
	va_start(arguments, format);
	vsnprintf(reader->message + length, XBAR_MESSAGE_BYTES - (size_t)length, format, arguments);
	va_end(arguments);
	return error;
}

static bool is_blank(char letter)
{
	return letter == ' ' || letter == '\t' || letter == '\r';
}

/* Cuts blanks off both ends. */
static char *trim(char *text)
{
	size_t length;

	while (is_blank(*text))
		text++;
	length = strlen(text);
	while (length && is_blank(text[length - 1]))
		text[--length] = '\0';
	return text;
}

/* Takes the next line off the text into @line, without its comment. */
static int take_line(struct reader *reader)
{
	const char *end = memchr(reader->next, '\n', reader->left);
	size_t length = end ? (size_t)(end - reader->next) : reader->left;
	const char *comment = memchr(reader->next, '#', length);
	size_t kept = comment ? (size_t)(comment - reader->next) : length;

	reader->number++;
	if (memchr(reader->next, '\0', length))
		return refuse(reader, -EINVAL, "has a byte 0; a preset is text");
	if (kept > LINE_BYTES_MAX)
		return refuse(reader, -EINVAL, "is longer than %d bytes", LINE_BYTES_MAX);
	memcpy(reader->line, reader->next, kept);
	reader->line[kept] = '\0';
	length += end ? 1 : 0;
	reader->next += length;
	reader->left -= length;
	return 0;
}

/* Finds key and value in @line; 0 with a NULL key when the line is empty. */
static int split_line(struct reader *reader)
{
	char *text = trim(reader->line), *equals = strchr(text, '=');

	reader->key = NULL;
	for (const char *letter = text; *letter; letter++)
		if (((unsigned char)*letter < ' ' && *letter != '\t') || *letter == 0x7f)
			return refuse(reader, -EINVAL, "has a control character");
	if (!*text)
		return 0;
	if (!equals)
		return refuse(reader, -EINVAL, "\"%.64s\" is not key = value", text);
	*equals = '\0';
	reader->key = trim(text);
	reader->value = trim(equals + 1);
	if (!*reader->key)
		return refuse(reader, -EINVAL, "has no key before =");
	if (!*reader->value)
		return refuse(reader, -EINVAL, "%.64s: has no value", reader->key);
	return 0;
}

/* What a device calls itself is shown to everyone: plain letters. */
static int set_name(struct reader *reader)
{
	size_t length = strlen(reader->value);

	if (length >= sizeof(reader->params->preset))
		return refuse(reader, -EINVAL, "name: \"%.64s\" is longer than %zu characters",
			      reader->value, sizeof(reader->params->preset) - 1);
	for (size_t i = 0; i < length; i++)
		if (reader->value[i] < ' ' || reader->value[i] > '~')
			return refuse(reader, -EINVAL,
				      "name: has something other than plain ASCII");
	for (uint32_t i = 0; xbar_params_preset(i); i++)
		if (!strcmp(xbar_params_preset(i), reader->value))
			return refuse(reader, -EINVAL, "name: \"%s\" is a preset that is built in",
				      reader->value);
	memset(reader->params->preset, 0, sizeof(reader->params->preset));
	memcpy(reader->params->preset, reader->value, length);
	return 0;
}

static int set_preset(struct reader *reader)
{
	int error;

	if (strcmp(reader->key, "preset"))
		return refuse(reader, -EINVAL,
			      "%.64s: the first key is preset, which the others change",
			      reader->key);
	error = xbar_params_create(reader->value, &reader->params);
	if (error == -ENOENT)
		return refuse(reader, error, "preset: \"%.64s\" is not known", reader->value);
	return error;
}

/* Notes that a key was given; whether for the first time. */
static bool is_first(struct reader *reader, uint32_t index)
{
	bool first = !reader->given[index];

	reader->given[index] = true;
	return first;
}

static int set_key(struct reader *reader)
{
	char message[XBAR_MESSAGE_BYTES];
	const char *name, *unit, *help;
	uint32_t index = 0;
	int error;

	if (!reader->params)
		return set_preset(reader);
	if (!strcmp(reader->key, "preset"))
		return refuse(reader, -EINVAL, "preset: given twice");
	if (!strcmp(reader->key, "name"))
		return is_first(reader, XBAR_KEYS_MAX)
			       ? set_name(reader)
			       : refuse(reader, -EINVAL, "name: given twice");
	while (!xbar_params_describe(index, &name, &unit, &help) && strcmp(name, reader->key))
		index++;
	error = xbar_params_set(reader->params, reader->key, reader->value, message);
	if (error)
		return refuse(reader, error, "%.*s", XBAR_MESSAGE_BYTES - 32, message);
	if (index < XBAR_KEYS_MAX && !is_first(reader, index))
		return refuse(reader, -EINVAL, "%s: given twice", reader->key);
	return 0;
}

int xbar_params_parse(const char *text, size_t bytes, char message[XBAR_MESSAGE_BYTES],
		      struct xbar_params **params)
{
	struct reader reader = { .next = text, .left = bytes, .message = message };
	int error = 0;

	if (bytes > FILE_BYTES_MAX) {
		reader.number = 1;
		return refuse(&reader, -EINVAL, "%zu bytes are no preset; at most %u", bytes,
			      FILE_BYTES_MAX);
	}
	while (!error && reader.left) {
		error = take_line(&reader);
		if (!error)
			error = split_line(&reader);
		if (!error && reader.key)
			error = set_key(&reader);
	}
	if (!error && !reader.params) {
		reader.number++;
		error = refuse(&reader, -EINVAL, "preset: is missing");
	}
	if (error == -ENOMEM && message)
		snprintf(message, XBAR_MESSAGE_BYTES, "out of memory");
	if (error) {
		xbar_params_free(reader.params);
		return error;
	}
	*params = reader.params;
	return 0;
}
