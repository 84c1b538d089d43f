// SPDX-License-Identifier: MIT
/* Checked access to JSON; see json.h. */
#include <errno.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/io/text.h"

int lf_json_parse(json_t **root, const void *text, size_t size_bytes, const char *where,
		  struct lf_error *error)
{
	json_error_t reason;
	json_t *parsed;

	parsed = json_loadb(size_bytes ? text : "", size_bytes, JSON_REJECT_DUPLICATES, &reason);
	if (parsed) {
		*root = parsed;
		return 0;
	}
	/* Out of memory early, the parser says nothing at all. */
	if (json_error_code(&reason) == json_error_out_of_memory || !reason.text[0])
		return lf_error_set(error, -ENOMEM, "%s: no memory for its JSON", where);
	/* The parser quotes what it met: not text to be shown when it holds control characters. */
	return lf_error_set(error, -EINVAL, "%s: not valid JSON at line %d, column %d: %s", where,
			    reason.line, reason.column,
			    lf_text_is_printable(reason.text) ? reason.text : "unexpected bytes");
}

int lf_json_read(json_t **root, const char *path, size_t limit_bytes, struct lf_error *error)
{
	struct lf_file_map map;
	int ret;

	ret = lf_file_map_open(&map, path, limit_bytes, error);
	if (ret)
		return ret;
	ret = lf_json_parse(root, map.bytes, map.size_bytes, path, error);
	lf_file_map_close(&map);
	return ret;
}

bool lf_json_absent(const json_t *object, const char *key)
{
	const json_t *field = json_object_get(object, key);

	return !field || json_is_null(field);
}

static int missing(const char *where, const char *key, struct lf_error *error)
{
	return lf_error_set(error, -ENOENT, "%s: field \"%s\" is missing", where, key);
}

int lf_json_u32(const json_t *object, const char *key, uint32_t minimum, uint32_t maximum,
		uint32_t *value, const char *where, struct lf_error *error)
{
	const json_t *field = json_object_get(object, key);
	json_int_t number;

	if (lf_json_absent(object, key))
		return missing(where, key, error);
	if (!json_is_integer(field))
		return lf_error_set(error, -EINVAL, "%s: field \"%s\" must be an integer", where,
				    key);
	number = json_integer_value(field);
	if (number < (json_int_t)minimum || number > (json_int_t)maximum)
		return lf_error_set(error, -EINVAL,
				    "%s: field \"%s\" is %lld, must be between %u and %u", where,
				    key, (long long)number, minimum, maximum);
	*value = (uint32_t)number;
	return 0;
}

int lf_json_u32_or(const json_t *object, const char *key, uint32_t minimum, uint32_t maximum,
		   uint32_t fallback, uint32_t *value, const char *where, struct lf_error *error)
{
	if (lf_json_absent(object, key)) {
		*value = fallback;
		return 0;
	}
	return lf_json_u32(object, key, minimum, maximum, value, where, error);
}

int lf_json_bool_or(const json_t *object, const char *key, bool fallback, bool *value,
		    const char *where, struct lf_error *error)
{
	const json_t *field = json_object_get(object, key);

	if (lf_json_absent(object, key)) {
		*value = fallback;
		return 0;
	}
	if (!json_is_boolean(field))
		return lf_error_set(error, -EINVAL, "%s: field \"%s\" must be true or false", where,
				    key);
	*value = json_is_true(field);
	return 0;
}

int lf_json_number(const json_t *object, const char *key, double minimum, double maximum,
		   double *value, const char *where, struct lf_error *error)
{
	const json_t *field = json_object_get(object, key);
	double number;

	if (lf_json_absent(object, key))
		return missing(where, key, error);
	if (!json_is_number(field))
		return lf_error_set(error, -EINVAL, "%s: field \"%s\" must be a number", where,
				    key);
	number = json_number_value(field);
	if (!(number >= minimum && number <= maximum))
		return lf_error_set(error, -EINVAL,
				    "%s: field \"%s\" is %g, must be between %g and %g", where, key,
				    number, minimum, maximum);
	*value = number;
	return 0;
}

int lf_json_string(const json_t *object, const char *key, const char **value, const char *where,
		   struct lf_error *error)
{
	const json_t *field = json_object_get(object, key);

	if (lf_json_absent(object, key))
		return missing(where, key, error);
	if (!json_is_string(field))
		return lf_error_set(error, -EINVAL, "%s: field \"%s\" must be a string", where,
				    key);
	*value = json_string_value(field);
	return 0;
}

int lf_json_string_or(const json_t *object, const char *key, const char *fallback,
		      const char **value, const char *where, struct lf_error *error)
{
	if (lf_json_absent(object, key)) {
		*value = fallback;
		return 0;
	}
	return lf_json_string(object, key, value, where, error);
}
