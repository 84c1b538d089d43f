// SPDX-License-Identifier: MIT
/* Formatting of struct lf_error; see lf/error.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <lf/error.h>

int lf_error_set(struct lf_error *error, int code, const char *format, ...)
{
	va_list args;

	if (!error)
		return code;
	error->code = code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return code;
}

int lf_error_prefix(struct lf_error *error, int code, const char *format, ...)
{
	char tail[LF_ERROR_TEXT_BYTES];
	va_list args;
	int length;

	if (!error)
		return code;
	memcpy(tail, error->text, sizeof(tail));
	va_start(args, format);
	length = vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	if (length >= 0 && (size_t)length < sizeof(error->text))
		snprintf(error->text + length, sizeof(error->text) - (size_t)length, ": %s", tail);
	return code;
}
