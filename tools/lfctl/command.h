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

/*
 * What a command returns where it knows the exit code better than an errno could say: a number below every errno. With
 * EXIT_USAGE the user is pointed to the command's help.
 */
#define COMMAND_EXIT(code)   (-(COMMAND_EXIT_BASE + (int)(code)))
#define COMMAND_EXIT_BASE    4096

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

/* Options of struct common: those every command has, and that of the commands that work on a device. */
extern const struct option_spec common_options[];
extern const struct option_spec device_options[];

/* Most tables of options a command has. */
#define COMMAND_TABLES 5

/**
 * struct command - a command
 * @noun: first word
 * @verb: second word, NULL without
 * @operands: what help calls the operands, those in brackets may be left out; NULL if there are none
 * @help: one line
 * @options: its tables of options, the rest NULL
 * @values_bytes: size of its struct of values, which begins with struct common
 * @defaults: that struct, as it is without options
 * @check: whether the options make sense together, NULL if they always do; @error on failure, which is one of usage
 * @run: build @result, a new object; operands end with NULL; a negative errno and @error on failure. What was printed already is
 *	taken out of it
 */
struct command {
	const char *noun;
	const char *verb;
	const char *operands;
	const char *help;
	const struct option_spec *options[COMMAND_TABLES];
	size_t values_bytes;
	const void *defaults;
	int (*check)(const void *values, struct lf_error *error);
	int (*run)(const void *values, char **operands, json_t *result, struct lf_error *error);
};

/* Ended by one without a noun; one table for every area. */
extern const struct command device_commands[];
extern const struct command matrix_commands[];
extern const struct command deploy_commands[];
extern const struct command calibrate_commands[];
extern const struct command wear_commands[];
extern const struct command events_commands[];
extern const struct command train_commands[];
extern const struct command eval_commands[];
extern const struct command fold_commands[];
extern const struct command recalibrate_commands[];
extern const struct command study_commands[];
extern const struct command experiment_commands[];
extern const struct command preset_commands[];

/** command_areas() - the tables above, ended by NULL */
const struct command *const *command_areas(void);

/** command_name() - its words with a blank between them */
void command_name(const struct command *command, char *name, size_t bytes);

#endif
