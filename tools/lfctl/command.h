/* SPDX-License-Identifier: MIT */
/*
 * A command of lfctl: its table of options and its function. A command builds one JSON object; the caller prints it as JSON
 * or as text.
 */
#ifndef LFCTL_COMMAND_H
#define LFCTL_COMMAND_H

#include <jansson.h>

#include "tools/lfctl/options.h"

/* Exit codes, as documented in the manual. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,
	EXIT_NO_DEVICE = 3,
	EXIT_PERMISSION = 4,
	EXIT_DEVICE = 5,
	EXIT_VERIFICATION = 6,
};

/* The output schema of every command; a change that breaks readers gets a new number. */
#define LFCTL_SCHEMA_VERSION 1

/**
 * struct common - what every command's values begin with
 * @json: print JSON
 * @quiet: no progress
 * @help: print help
 * @device: specification, NULL for the default
 */
struct common {
	bool json;
	bool quiet;
	bool help;
	const char *device;
};

/* Options of struct common, which every command has. */
extern const struct option_spec common_options[];

/* Most tables of options a command has. */
#define COMMAND_TABLES 4

/**
 * struct command - a command
 * @noun: first word
 * @verb: second word, NULL without
 * @operands: what help calls the operands, NULL if there are none
 * @help: one line
 * @options: its tables of options, the rest NULL
 * @values_bytes: size of its struct of values, which begins with struct common
 * @defaults: that struct, as it is without options
 * @run: build @result, a new object; a negative errno and @error on failure
 */
struct command {
	const char *noun;
	const char *verb;
	const char *operands;
	const char *help;
	const struct option_spec *options[COMMAND_TABLES];
	size_t values_bytes;
	const void *defaults;
	int (*run)(const void *values, char **operands, json_t *result, struct lf_error *error);
};

/* Ended by one without a noun; one table for every area. */
extern const struct command device_commands[];
extern const struct command matrix_commands[];
extern const struct command deploy_commands[];
extern const struct command train_commands[];

#endif
