/* SPDX-License-Identifier: MIT */
/* Writing matrices again before they forget. */
#ifndef LFCTL_REFRESH_H
#define LFCTL_REFRESH_H

#include "tools/lfctl/command.h"

/**
 * struct refresh_values - values of lfctl matrix refresh
 * @common: first, as in every command
 * @due: those that are due
 */
struct refresh_values {
	struct common common;
	bool due;
};

extern const struct option_spec refresh_options[];
extern const struct refresh_values refresh_defaults;

/** refresh_run() - run of the command */
int refresh_run(const void *values, char **operands, json_t *result, struct lf_error *error);

#endif
