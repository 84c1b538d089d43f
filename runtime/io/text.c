// SPDX-License-Identifier: MIT
/* See text.h. */
#include <utf8proc.h>

#include "runtime/io/text.h"

bool lf_text_is_utf8(const void *bytes, size_t size_bytes)
{
	const utf8proc_uint8_t *next = bytes;

	while (size_bytes > 0) {
		utf8proc_int32_t point;
		utf8proc_ssize_t length;

		length = utf8proc_iterate(next, (utf8proc_ssize_t)size_bytes, &point);
		if (length <= 0)
			return false;
		next += length;
		size_bytes -= (size_t)length;
	}
	return true;
}

bool lf_text_is_printable(const char *text)
{
	for (const unsigned char *byte = (const unsigned char *)text; *byte; byte++) {
		/* C0, DEL, and C1 as UTF-8 writes it: C2 80 to C2 9F. */
		if (*byte < 0x20 || *byte == 0x7f)
			return false;
		if (*byte == 0xc2 && byte[1] >= 0x80 && byte[1] <= 0x9f)
			return false;
	}
	return true;
}
