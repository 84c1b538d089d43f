// SPDX-License-Identifier: MIT
/* Keys of files; see experiment_keys.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/lfctl/experiment_keys.h"

/* Room for a text in the paths that are made of it. */
#define TEXT_BYTES 512

int key_refuse(const struct key_place *place, const char *key, const char *wanted)
{
	return lf_error_set(place->error, -EINVAL, "key \"%s%s\": %s", place->name, key, wanted);
}

int keys_check(const struct key_place *place, const char *const *known)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)place->object, key, value)
	{
		const char *const *name = known;

		while (*name && strcmp(*name, key))
			name++;
		if (!*name)
			return key_refuse(place, key, "there is no such key");
	}
	return 0;
}

int key_text(const struct key_place *place, const char *key, const char **text)
{
	const json_t *value = json_object_get(place->object, key);

	if (!value && *text)
		return 0;
	if (!json_is_string(value) || !json_string_length(value) ||
	    json_string_length(value) >= TEXT_BYTES)
		return key_refuse(place, key,
				  value ? "is no text of 1 to 511 bytes" : "is missing");
	*text = json_string_value(value);
	return 0;
}

int key_whole(const struct key_place *place, const char *key, json_int_t low, json_int_t high,
	      uint64_t *number)
{
	const json_t *value = json_object_get(place->object, key);
	char wanted[96];

	if (!value)
		return 0;
	snprintf(wanted, sizeof(wanted), "is no whole number from %lld to %lld", (long long)low,
		 (long long)high);
	if (!json_is_integer(value) || json_integer_value(value) < low ||
	    json_integer_value(value) > high)
		return key_refuse(place, key, wanted);
	*number = (uint64_t)json_integer_value(value);
	return 0;
}

int key_count(const struct key_place *place, const char *key, json_int_t low, json_int_t high,
	      uint32_t *number)
{
	uint64_t wide = *number;
	int ret = key_whole(place, key, low, high, &wide);

	*number = (uint32_t)wide;
	return ret;
}

int key_real(const struct key_place *place, const char *key, double low, double high,
	     double *number)
{
	const json_t *value = json_object_get(place->object, key);
	char wanted[96];

	if (!value)
		return 0;
	snprintf(wanted, sizeof(wanted), "is no number from %g to %g", low, high);
	if (!json_is_number(value) || json_number_value(value) < low ||
	    json_number_value(value) > high)
		return key_refuse(place, key, wanted);
	*number = json_number_value(value);
	return 0;
}

int key_choice(const struct key_place *place, const char *key, const char *const *choices,
	       const char **text)
{
	char wanted[160] = "is none of";
	int ret = key_text(place, key, text);

	if (ret)
		return ret;
	for (; *choices; choices++) {
		if (!strcmp(*choices, *text))
			return 0;
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), " %s", *choices);
	}
	return key_refuse(place, key, wanted);
}

int key_flag(const struct key_place *place, const char *key, bool *flag)
{
	const json_t *value = json_object_get(place->object, key);

	if (value && !json_is_boolean(value))
		return key_refuse(place, key, "is neither true nor false");
	*flag = value ? json_is_true(value) : *flag;
	return 0;
}

int key_optional(const struct key_place *place, const char *key, const char *const *choices,
		 const char **text)
{
	return json_object_get(place->object, key) ? key_choice(place, key, choices, text) : 0;
}
