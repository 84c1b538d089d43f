// SPDX-License-Identifier: MIT
/* Manual page and completion; see manual.h. */
#include <stdio.h>
#include <string.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/manual.h"

/* A text for troff: hyphens that are typed are not to become typographic ones. */
static void put_roff(const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void put_option(const struct option_spec *spec)
{
	printf(".TP\n\\fB\\-\\-");
	put_roff(spec->name);
	printf("\\fR");
	if (spec->argument) {
		printf(" \\fI");
		put_roff(spec->argument);
		printf("\\fR");
	}
	putchar('\n');
	put_roff(spec->help);
	putchar('\n');
}

static void put_command(const struct command *command)
{
	char name[40];

	command_name(command, name, sizeof(name));
	printf(".SS \"%s%s%s\"\n", name, command->operands ? " " : "",
	       command->operands ? command->operands : "");
	put_roff(command->help);
	printf("\n");
	for (const struct option_spec *const *table = command->options; *table; table++)
		for (const struct option_spec *spec = *table; spec->name; spec++)
			if (*table != common_options && *table != device_options)
				put_option(spec);
}

void manual_page(void)
{
	fputs(".TH LFCTL 1 \"\" \"LoRAFusion\" \"User Commands\"\n"
	      ".SH NAME\nlfctl \\- adapt networks on LF\\-1 crossbar accelerators\n"
	      ".SH SYNOPSIS\n.B lfctl\n.I COMMAND\n.RI [ OPTION ...]\n"
	      ".SH DESCRIPTION\n"
	      "Deploys a pretrained encoder and a pool of LoRA modules to ReRAM crossbars, once, and "
	      "adapts them to new tasks without writing a cell.\n"
	      ".SH COMMANDS\n",
	      stdout);
	for (const struct command *const *area = command_areas(); *area; area++)
		for (const struct command *command = *area; command->noun; command++)
			put_command(command);
	puts(".SH \"COMMON OPTIONS\"");
	for (const struct option_spec *spec = device_options; spec->name; spec++)
		put_option(spec);
	for (const struct option_spec *spec = common_options; spec->name; spec++)
		put_option(spec);
	fputs(".PP\nWithout \\fB\\-\\-device\\fR, commands work on the first accelerator of the machine, or "
	      "else on \\fBinproc:ideal\\fR, a device in the process, and say which.\n"
	      ".SH \"EXIT STATUS\"\n"
	      ".TP\n0\nsuccess\n.TP\n1\nthe command failed\n.TP\n2\nwrong usage\n.TP\n3\nno such device\n"
	      ".TP\n4\nnot permitted\n.TP\n5\ndevice error\n.TP\n6\na verification did not match\n",
	      stdout);
}

/* The words that may follow an option, or how they are found. */
static void put_values(const struct option_spec *spec)
{
	if (spec->kind == OPTION_FLAG)
		return;
	printf("\t--%s)\n", spec->name);
	if (spec->kind == OPTION_CHOICE) {
		printf("\t\tCOMPREPLY=($(compgen -W '");
		for (const char *letter = spec->argument; *letter; letter++)
			putchar(*letter == '|' ? ' ' : *letter);
		printf("' -- \"$word\"))\n");
	} else if (!strcmp(spec->name, "device")) {
		printf("\t\tCOMPREPLY=($(compgen -W \"inproc $(echo /dev/accel/accel*)\" -- "
		       "\"$word\"))\n");
	} else if (spec->argument && !strcmp(spec->argument, "DIR")) {
		printf("\t\tCOMPREPLY=($(compgen -d -- \"$word\"))\n");
	} else if (spec->kind == OPTION_TEXT) {
		printf("\t\tCOMPREPLY=($(compgen -f -- \"$word\"))\n");
	}
	printf("\t\treturn ;;\n");
}

/* Whether an option of this name comes earlier, in the same table or in another. */
static bool is_repeated(const struct option_spec *wanted)
{
	for (const struct command *const *area = command_areas(); *area; area++)
		for (const struct command *command = *area; command->noun; command++)
			for (const struct option_spec *const *table = command->options; *table;
			     table++)
				for (const struct option_spec *spec = *table; spec->name; spec++) {
					if (spec == wanted)
						return false;
					if (!strcmp(spec->name, wanted->name))
						return true;
				}
	return false;
}

static void put_command_words(const struct command *command)
{
	char name[40];

	command_name(command, name, sizeof(name));
	printf("\t'%s'*) words='", name);
	for (const struct option_spec *const *table = command->options; *table; table++)
		for (const struct option_spec *spec = *table; spec->name; spec++)
			printf("--%s ", spec->name);
	printf("' ;;\n");
}

static void put_nouns(void)
{
	for (const struct command *const *area = command_areas(); *area; area++)
		for (const struct command *command = *area; command->noun; command++)
			if (command == *area || strcmp(command[-1].noun, command->noun))
				printf("%s ", command->noun);
}

void manual_completion(void)
{
	fputs("# bash completion of lfctl\n"
	      "_lfctl() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} words=\n"
	      "\tCOMPREPLY=()\n"
	      "\tcase $previous in\n",
	      stdout);
	for (const struct command *const *area = command_areas(); *area; area++)
		for (const struct command *command = *area; command->noun; command++)
			for (const struct option_spec *const *table = command->options; *table;
			     table++)
				for (const struct option_spec *spec = *table; spec->name; spec++)
					if (spec->kind != OPTION_FLAG && !is_repeated(spec))
						put_values(spec);
	printf("\tesac\n\tcase \"${COMP_WORDS[*]:1:COMP_CWORD-1}\" in\n\t'') words='");
	put_nouns();
	printf("--help --version' ;;\n");
	for (const struct command *const *area = command_areas(); *area; area++)
		for (const struct command *command = *area; command->noun; command++)
			put_command_words(command);
	for (const struct command *const *area = command_areas(); *area; area++)
		for (const struct command *command = *area; command->noun; command++) {
			if (!command->verb)
				continue;
			if (command == *area || strcmp(command[-1].noun, command->noun))
				printf("\t'%s') words='", command->noun);
			printf("%s ", command->verb);
			if (!command[1].noun || strcmp(command[1].noun, command->noun))
				printf("' ;;\n");
		}
	fputs("\tesac\n"
	      "\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
	      "}\n"
	      "complete -F _lfctl lfctl\n",
	      stdout);
}
