// SPDX-License-Identifier: MIT
/* lfctl: finding the command, its help, and what becomes of its result. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/output.h"

static const struct command *const areas[] = {
	device_commands,
	deploy_commands,
	matrix_commands,
	train_commands,
};

const struct option_spec common_options[] = {
	{ "device", OPTION_TEXT, offsetof(struct common, device), "SPEC",
	  "/dev/accel/accelN, or inproc[:preset,key=value...]", 0, 0 },
	{ "json", OPTION_FLAG, offsetof(struct common, json), NULL, "print JSON on standard output",
	  0, 0 },
	{ "quiet", OPTION_FLAG, offsetof(struct common, quiet), NULL,
	  "no progress on standard error", 0, 0 },
	{ "help", OPTION_FLAG, offsetof(struct common, help), NULL, "this text", 0, 0 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

#define AREAS (sizeof(areas) / sizeof(areas[0]))

static void print_usage(FILE *stream)
{
	fputs("usage: lfctl COMMAND [OPTION...]\n\n", stream);
	for (size_t area = 0; area < AREAS; area++)
		for (const struct command *command = areas[area]; command->noun; command++) {
			char name[40];

			snprintf(name, sizeof(name), "%s%s%s", command->noun,
				 command->verb ? " " : "", command->verb ? command->verb : "");
			fprintf(stream, "  %-16s %s\n", name, command->help);
		}
	fputs("\nlfctl COMMAND --help lists the options of a command.\n"
	      "Exit status: 0 ok, 1 failed, 2 usage, 3 no device, 4 permission, 5 device error, "
	      "6 verification mismatch.\n",
	      stream);
}

static void print_command(const struct command *command)
{
	printf("usage: lfctl %s%s%s%s%s [OPTION...]\n\n%s\n\n", command->noun,
	       command->verb ? " " : "", command->verb ? command->verb : "",
	       command->operands ? " " : "", command->operands ? command->operands : "",
	       command->help);
	options_help(command->options);
}

/* Finds the command that the arguments begin with; @used receives how many words its name has. */
static const struct command *find_command(int argc, char **argv, int *used)
{
	for (size_t area = 0; area < AREAS; area++)
		for (const struct command *command = areas[area]; command->noun; command++) {
			if (strcmp(command->noun, argv[0]))
				continue;
			*used = command->verb ? 2 : 1;
			if (!command->verb || (argc > 1 && !strcmp(command->verb, argv[1])))
				return command;
		}
	return NULL;
}

static enum exit_code exit_code_of(int ret)
{
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
	case -EDOM:
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

static int count_words(const char *operands)
{
	int words = 0;

	for (; operands && *operands; words++) {
		operands += strcspn(operands, " ");
		operands += strspn(operands, " ");
	}
	return words;
}

static enum exit_code run_command(const struct command *command, int argc, char **argv)
{
	struct lf_error error = { 0 };
	struct common *values = malloc(command->values_bytes);
	json_t *result = json_object();
	int operands, ret;

	if (!values || !result) {
		fputs("lfctl: no memory\n", stderr);
		free(values);
		json_decref(result);
		return EXIT_FAILED;
	}
	memcpy(values, command->defaults, command->values_bytes);
	ret = options_parse(command->options, values, argc, argv, &operands, &error);
	if (!ret && !values->help && operands != count_words(command->operands))
		ret = lf_error_set(&error, -EINVAL, "%d operands given, %d wanted", operands,
				   count_words(command->operands));
	if (ret) {
		fprintf(stderr, "lfctl: %s\nTry: lfctl %s%s%s --help\n", error.text, command->noun,
			command->verb ? " " : "", command->verb ? command->verb : "");
		free(values);
		json_decref(result);
		return EXIT_USAGE;
	}
	if (values->help) {
		print_command(command);
	} else {
		json_object_set_new(result, "schema_version", json_integer(LFCTL_SCHEMA_VERSION));
		ret = command->run(values, argv, result, &error);
		if (ret)
			fprintf(stderr, "lfctl: %s\n", error.text);
		else if (values->json)
			ret = output_json(result) ? -EIO : 0;
		else
			output_text(result);
	}
	free(values);
	json_decref(result);
	return exit_code_of(ret);
}

int main(int argc, char **argv)
{
	const struct command *command;
	int used = 0;

	if (argc < 2) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
		print_usage(stdout);
		return EXIT_OK;
	}
	command = find_command(argc - 1, argv + 1, &used);
	if (!command) {
		fprintf(stderr, "lfctl: %s%s%s: no such command\nTry: lfctl --help\n", argv[1],
			used == 2 && argc > 2 ? " " : "", used == 2 && argc > 2 ? argv[2] : "");
		return EXIT_USAGE;
	}
	return run_command(command, argc - 1 - used, argv + 1 + used);
}
