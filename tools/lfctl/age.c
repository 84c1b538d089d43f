// SPDX-License-Identifier: MIT
/* Lengths of time; see age.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/age.h"

#define SECONDS_PER_YEAR (365.25 * 86400)
#define YEARS_MAX	 100

int age_parse(const char *text, double *seconds)
{
	static const struct {
		char letter;
		double seconds;
	} units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'y', SECONDS_PER_YEAR }
	};
	char *end;
	double number;

	*seconds = 0;
	if (!strcmp(text, "0"))
		return 0;
	/* No hexadecimal numbers, which also begin with a digit. */
	if (*text < '0' || *text > '9' || text[1] == 'x' || text[1] == 'X')
		return -EINVAL;
	number = strtod(text, &end);
	for (size_t at = 0; at < sizeof(units) / sizeof(units[0]); at++)
		if (*end == units[at].letter && !end[1]) {
			*seconds = number * units[at].seconds;
			return *seconds <= YEARS_MAX * SECONDS_PER_YEAR ? 0 : -EINVAL;
		}
	return -EINVAL;
}
