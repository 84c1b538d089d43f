/* SPDX-License-Identifier: MIT */
/*
 * Options of a command as a table: parsing, range checks and the help text all come from it.
 */
#ifndef LFCTL_OPTIONS_H
#define LFCTL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

enum option_kind {
	OPTION_FLAG,   /* bool */
	OPTION_TEXT,   /* const char * */
	OPTION_NUMBER, /* uint64_t, from low to high */
	OPTION_REAL,   /* double, from low to high */
	OPTION_CHOICE, /* const char *, one of argument, separated by | */
};

/**
 * struct option_spec - one option
 * @name: without the dashes
 * @kind: of its value
 * @offset: of the value in the command's struct
 * @argument: what help calls the value; for OPTION_CHOICE the choices
 * @help: one line
 * @low: smallest number
 * @high: largest number
 */
struct option_spec {
	const char *name;
	enum option_kind kind;
	size_t offset;
	const char *argument;
	const char *help;
	double low;
	double high;
};

/**
 * options_parse() - read the arguments of a command
 * @tables: tables of options, ended by NULL; each is ended by an option without a name
 * @values: struct that holds the values, defaults set
 * @argc: number of arguments
 * @argv: arguments behind the command's name
 * @operands: receives how many operands there are; they are moved to the front of @argv
 * @error: names the option and what is wrong with it
 *
 * Return: 0, or -EINVAL.
 */
int options_parse(const struct option_spec *const *tables, void *values, int argc, char **argv,
		  int *operands, struct lf_error *error);

/** options_help() - print the tables */
void options_help(const struct option_spec *const *tables);

#endif
