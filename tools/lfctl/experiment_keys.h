/* SPDX-License-Identifier: MIT */
/* Reading keys of JSON objects that somebody else wrote: each in range, or refused by name. */
#ifndef LFCTL_EXPERIMENT_KEYS_H
#define LFCTL_EXPERIMENT_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include <lf/error.h>

/**
 * struct key_place - an object of the file and what it is called in messages
 * @object: the object
 * @name: "" or "methods[2]."
 * @error: receives messages
 */
struct key_place {
	const json_t *object;
	const char *name;
	struct lf_error *error;
};

/** key_refuse() - -EINVAL, and @wanted about the key in the message */
int key_refuse(const struct key_place *place, const char *key, const char *wanted);

/** keys_check() - whether all keys are among @known, which ends with NULL */
int keys_check(const struct key_place *place, const char *const *known);

/** key_text() - a text of 1 to 511 bytes; missing is right only where *@text is something */
int key_text(const struct key_place *place, const char *key, const char **text);

/** key_whole() - a whole number, *@number as it is where the key is missing */
int key_whole(const struct key_place *place, const char *key, json_int_t low, json_int_t high,
	      uint64_t *number);

/** key_count() - key_whole() of 32 bits */
int key_count(const struct key_place *place, const char *key, json_int_t low, json_int_t high,
	      uint32_t *number);

/** key_real() - a number, *@number as it is where the key is missing */
int key_real(const struct key_place *place, const char *key, double low, double high,
	     double *number);

/** key_flag() - true or false, *@flag as it is where the key is missing */
int key_flag(const struct key_place *place, const char *key, bool *flag);

/** key_choice() - one of @choices, which end with NULL; missing is right only where *@text is something */
int key_choice(const struct key_place *place, const char *key, const char *const *choices,
	       const char **text);

/** key_optional() - key_choice(), *@text as it is where the key is missing */
int key_optional(const struct key_place *place, const char *key, const char *const *choices,
		 const char **text);

#endif
