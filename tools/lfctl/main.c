// SPDX-License-Identifier: MIT
/* lfctl: finding the command, its help, and what becomes of its result. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/lf_hw.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/manual.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/text.h"

/* Room for the words of a command. */
#define NAME_BYTES 40

static const struct command *const areas[] = {
	device_commands,    deploy_commands,
	calibrate_commands, matrix_commands,
	wear_commands,	    events_commands,
	train_commands,	    eval_commands,
	fold_commands,	    recalibrate_commands,
	study_commands,	    experiment_commands,
	preset_commands,    NULL,
};

const struct option_spec device_options[] = {
	{ "device", OPTION_TEXT, offsetof(struct common, device), "SPEC",
	  "/dev/accel/accelN, or inproc[:preset,key=value...]", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

const struct option_spec common_options[] = {
	{ "json", OPTION_FLAG, offsetof(struct common, json), NULL, "print JSON on standard output",
	  0, 0 },
	{ "quiet", OPTION_FLAG, offsetof(struct common, quiet), NULL,
	  "no progress and no remarks on standard error", 0, 0 },
	{ "help", OPTION_FLAG, offsetof(struct common, help), NULL, "this text", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

const struct command *const *command_areas(void)
{
	return areas;
}

void command_name(const struct command *command, char *name, size_t bytes)
{
	snprintf(name, bytes, "%s%s%s", command->noun, command->verb ? " " : "",
		 command->verb ? command->verb : "");
}

static void print_usage(FILE *stream)
{
	char name[NAME_BYTES];

	fputs("usage: lfctl COMMAND [OPTION...]\n\n", stream);
	for (const struct command *const *area = areas; *area; area++)
		for (const struct command *command = *area; command->noun; command++) {
			command_name(command, name, sizeof(name));
			fprintf(stream, "  %-16s %s\n", name, command->help);
		}
	fputs("\nlfctl COMMAND --help lists the options of a command. Without --device, commands work on "
	      "the\nfirst accelerator of the machine, or else on one in the process.\n"
	      "Exit status: 0 ok, 1 failed, 2 usage, 3 no device, 4 permission, 5 device error, "
	      "6 verification mismatch.\n",
	      stream);
}

static void print_command(const struct command *command)
{
	char name[NAME_BYTES];

	command_name(command, name, sizeof(name));
	printf("usage: lfctl %s%s%s [OPTION...]\n\n%s\n\n", name, command->operands ? " " : "",
	       command->operands ? command->operands : "", command->help);
	options_help(command->options);
}

/* Finds the command that the arguments begin with; @used receives how many words its name has. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	for (const struct command *const *area = areas; *area; area++)
		for (const struct command *command = *area; command->noun; command++) {
			if (strcmp(command->noun, argv[0]))
				continue;
			*used = command->verb ? 2 : 1;
			if (!command->verb || (argc > 1 && !strcmp(command->verb, argv[1])))
				return command;
		}
	return NULL;
}

static void print_unknown(int argc, char **argv)
{
	char name[NAME_BYTES];
	bool noun = false;

	fprintf(stderr, "lfctl: %s%s%s: no such command", argv[0], argc > 1 ? " " : "",
		argc > 1 ? argv[1] : "");
	for (const struct command *const *area = areas; *area; area++)
		for (const struct command *command = *area; command->noun; command++) {
			if (strcmp(command->noun, argv[0]))
				continue;
			command_name(command, name, sizeof(name));
			fprintf(stderr, "%s%s", noun ? ", " : "; there are: ", name);
			noun = true;
		}
	fputs("\nTry: lfctl --help\n", stderr);
}

static enum exit_code exit_code_of(int ret)
{
	if (ret <= -COMMAND_EXIT_BASE)
		return (enum exit_code)(-ret - COMMAND_EXIT_BASE);
	switch (ret) {
	case 0:
		return EXIT_OK;
	case -ENODEV:
	case -ENXIO:
		return EXIT_NO_DEVICE;
	case -EACCES:
	case -EPERM:
		return EXIT_PERMISSION;
	case -EIO:
	case -ETIMEDOUT:
	case -ECANCELED:
	case -EPROTO:
		return EXIT_DEVICE;
	case -EBADE:
		return EXIT_VERIFICATION;
	default:
		return EXIT_FAILED;
	}
}

/* Whether so many operands are wanted: those in brackets may be left out. */
static bool is_operand_count(const char *wanted, int count)
{
	int least = 0, most = 0;

	while (wanted && *wanted) {
		least += *wanted != '[';
		most++;
		wanted += strcspn(wanted, " ");
		wanted += strspn(wanted, " ");
	}
	return count >= least && count <= most;
}

/* What was printed has arrived, or the command has failed. */
static enum exit_code finish_output(enum exit_code code)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	fprintf(stderr, "lfctl: standard output: %s\n",
		errno ? strerror(errno) : "could not be written");
	return code ? code : EXIT_FAILED;
}

static enum exit_code execute(const struct command *command, const struct common *values,
			      char **operands, json_t *result)
{
	struct lf_error error = { 0 };
	enum exit_code code = EXIT_USAGE;
	char name[NAME_BYTES];

	json_object_set_new(result, "schema_version", json_integer(LFCTL_SCHEMA_VERSION));
	if (!command->check || !command->check(values, &error))
		code = exit_code_of(command->run(values, operands, result, &error));
	if (code)
		fprintf(stderr, "lfctl: %s\n", error.text);
	if (code == EXIT_USAGE) {
		command_name(command, name, sizeof(name));
		fprintf(stderr, "Try: lfctl %s --help\n", name);
	}
	if (code)
		return code;
	if (!values->json)
		text_write(result);
	else if (json_object_size(result) && output_json(result))
		return finish_output(EXIT_FAILED);
	return finish_output(EXIT_OK);
}

static enum exit_code run_command(const struct command *command, int argc, char **argv)
{
	struct common *values = malloc(command->values_bytes);
	json_t *result = json_object();
	struct lf_error error = { 0 };
	enum exit_code code = EXIT_OK;
	char name[NAME_BYTES];
	int operands, ret;

	if (!values || !result) {
		fputs("lfctl: no memory\n", stderr);
		free(values);
		json_decref(result);
		return EXIT_FAILED;
	}
	memcpy(values, command->defaults, command->values_bytes);
	ret = options_parse(command->options, values, argc, argv, &operands, &error);
	if (!ret && !values->help && !is_operand_count(command->operands, operands))
		ret = lf_error_set(&error, -EINVAL, "%d operands given, wanted %s", operands,
				   command->operands ? command->operands : "none");
	if (ret) {
		command_name(command, name, sizeof(name));
		fprintf(stderr, "lfctl: %s\nTry: lfctl %s --help\n", error.text, name);
		code = EXIT_USAGE;
	} else if (values->help) {
		print_command(command);
		code = finish_output(EXIT_OK);
	} else {
		argv[operands] = NULL;
		code = execute(command, values, argv, result);
	}
	free(values);
	json_decref(result);
	return code;
}

static bool is_word(const char *argument, const char *word, const char *other)
{
	return !strcmp(argument, word) || !strcmp(argument, other);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int used = 0;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	command = find_command(argc - 1, argv + 1, &used);
	if (command)
		return run_command(command, argc - 1 - used, argv + 1 + used);
	if (is_word(argv[1], "--help", "-h") || is_word(argv[1], "help", "--help")) {
		print_usage(stdout);
	} else if (is_word(argv[1], "--version", "-V")) {
		printf("lfctl: output schema %d, device interface %d.%d\n", LFCTL_SCHEMA_VERSION,
		       LF_HW_VERSION_MAJOR, LF_HW_VERSION_MINOR);
	} else if (!strcmp(argv[1], "--manual")) {
		manual_page();
	} else if (!strcmp(argv[1], "--completion")) {
		manual_completion();
	} else {
		print_unknown(argc - 1, argv + 1);
		return EXIT_USAGE;
	}
	return finish_output(EXIT_OK);
}
