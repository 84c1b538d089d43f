/* SPDX-License-Identifier: MIT */
/*
 * Reading JSON that somebody else wrote: duplicates refused, every field checked for type and
 * range, every message naming file and field.
 */
#ifndef LF_IO_JSON_H
#define LF_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include <lf/error.h>

/*
 * Parse size_bytes of text as one JSON object or array without duplicate keys. where is what
 * messages call the text. The caller owns *root. -EINVAL or -ENOMEM otherwise.
 */
int lf_json_parse(json_t **root, const void *text, size_t size_bytes, const char *where,
		  struct lf_error *error);

/* The same for a regular file of at most limit_bytes; the path is used in messages. */
int lf_json_read(json_t **root, const char *path, size_t limit_bytes, struct lf_error *error);

/*
 * Fields of an object. A missing or null field gives -ENOENT and leaves *value alone; a field of
 * another type or out of range gives -EINVAL. Both set the message, so that a caller for whom the
 * field is optional uses the _or variants, which take a default instead of failing on absence.
 */
int lf_json_u32(const json_t *object, const char *key, uint32_t minimum, uint32_t maximum,
		uint32_t *value, const char *where, struct lf_error *error);
int lf_json_u32_or(const json_t *object, const char *key, uint32_t minimum, uint32_t maximum,
		   uint32_t fallback, uint32_t *value, const char *where, struct lf_error *error);
int lf_json_bool_or(const json_t *object, const char *key, bool fallback, bool *value,
		    const char *where, struct lf_error *error);
/* Any JSON number; finite. */
int lf_json_number(const json_t *object, const char *key, double minimum, double maximum,
		   double *value, const char *where, struct lf_error *error);
/* *value stays owned by the object. */
int lf_json_string(const json_t *object, const char *key, const char **value, const char *where,
		   struct lf_error *error);
int lf_json_string_or(const json_t *object, const char *key, const char *fallback,
		      const char **value, const char *where, struct lf_error *error);

/* True when the key is missing or null. */
bool lf_json_absent(const json_t *object, const char *key);

#endif
