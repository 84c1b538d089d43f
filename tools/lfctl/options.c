// SPDX-License-Identifier: MIT
/* Options from a table; see options.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/options.h"

static const struct option_spec *find(const struct option_spec *const *tables, const char *name,
				      size_t length)
{
	for (; *tables; tables++)
		for (const struct option_spec *spec = *tables; spec->name; spec++)
			if (strlen(spec->name) == length && !strncmp(spec->name, name, length))
				return spec;
	return NULL;
}

static bool is_choice(const char *choices, const char *text)
{
	size_t length = strlen(text);

	while (*choices) {
		size_t next = strcspn(choices, "|");

		if (next == length && !strncmp(choices, text, length))
			return true;
		choices += next;
		choices += *choices == '|';
	}
	return false;
}

static int set_number(const struct option_spec *spec, void *where, const char *text,
		      struct lf_error *error)
{
	unsigned long long number;
	char *end;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || (double)number < spec->low ||
	    (double)number > spec->high)
		return lf_error_set(error, -EINVAL, "--%s %s: a whole number from %.0f to %.0f",
				    spec->name, text, spec->low, spec->high);
	*(uint64_t *)where = number;
	return 0;
}

static int set_real(const struct option_spec *spec, void *where, const char *text,
		    struct lf_error *error)
{
	double number;
	char *end;

	number = strtod(text, &end);
	if (end == text || *end || !isfinite(number) || number < spec->low || number > spec->high)
		return lf_error_set(error, -EINVAL, "--%s %s: a number from %g to %g", spec->name,
				    text, spec->low, spec->high);
	*(double *)where = number;
	return 0;
}

static int set_value(const struct option_spec *spec, void *values, const char *text,
		     struct lf_error *error)
{
	void *where = (char *)values + spec->offset;

	switch (spec->kind) {
	case OPTION_FLAG:
		*(bool *)where = true;
		return 0;
	case OPTION_NUMBER:
		return set_number(spec, where, text, error);
	case OPTION_REAL:
		return set_real(spec, where, text, error);
	case OPTION_CHOICE:
		if (!is_choice(spec->argument, text))
			return lf_error_set(error, -EINVAL, "--%s %s: one of %s", spec->name, text,
					    spec->argument);
		/* fallthrough */
	default:
		*(const char **)where = text;
		return 0;
	}
}

int options_parse(const struct option_spec *const *tables, void *values, int argc, char **argv,
		  int *operands, struct lf_error *error)
{
	bool only_operands = false;

	*operands = 0;
	for (int at = 0; at < argc; at++) {
		const struct option_spec *spec;
		const char *name = argv[at] + 2, *text = NULL;
		size_t length = strcspn(name, "=");
		int ret;

		if (only_operands || strncmp(argv[at], "--", 2)) {
			if (!only_operands && argv[at][0] == '-' && argv[at][1])
				return lf_error_set(error, -EINVAL,
						    "%s: no such option (options begin with --)",
						    argv[at]);
			argv[(*operands)++] = argv[at];
			continue;
		}
		if (!argv[at][2]) {
			only_operands = true;
			continue;
		}
		spec = find(tables, name, length);
		if (!spec)
			return lf_error_set(error, -EINVAL, "--%.*s: no such option", (int)length,
					    name);
		if (name[length])
			text = name + length + 1;
		if (spec->kind == OPTION_FLAG && text)
			return lf_error_set(error, -EINVAL, "--%s takes no value", spec->name);
		if (spec->kind != OPTION_FLAG && !text) {
			if (at + 1 == argc)
				return lf_error_set(error, -EINVAL, "--%s needs a value",
						    spec->name);
			text = argv[++at];
		}
		ret = set_value(spec, values, text, error);
		if (ret)
			return ret;
	}
	return 0;
}

static void option_help(const struct option_spec *spec)
{
	char left[64];

	snprintf(left, sizeof(left), "--%s%s%s", spec->name, spec->argument ? " " : "",
		 spec->argument ? spec->argument : "");
	if (strlen(left) > 26)
		printf("  %s\n  %-26s  %s\n", left, "", spec->help);
	else
		printf("  %-26s  %s\n", left, spec->help);
}

void options_help(const struct option_spec *const *tables)
{
	for (; *tables; tables++)
		for (const struct option_spec *spec = *tables; spec->name; spec++)
			option_help(spec);
}
