/* SPDX-License-Identifier: MIT */
/* What text from outside must be before it is kept or shown. */
#ifndef LF_IO_TEXT_H
#define LF_IO_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8: no surrogates, no overlong forms. */
bool lf_text_is_utf8(const void *bytes, size_t size_bytes);

/* Fit for a message or a listing: no control characters that a terminal would act on. */
bool lf_text_is_printable(const char *text);

#endif
