// SPDX-License-Identifier: MIT
/* The tables of an experiment in Markdown, to be read and kept with the text about them. */
#include <math.h>
#include <string.h>

#include "tools/lfctl/experiment.h"

static const json_t *find(const json_t *row, const char *key)
{
	return json_object_get(row, key);
}

static double number(const json_t *row, const char *key)
{
	return json_number_value(find(row, key));
}

/* A pipe would end the cell. */
static void put_text(FILE *stream, const char *text)
{
	fputs(" ", stream);
	for (; *text; text++) {
		if (*text == '|')
			fputc('\\', stream);
		fputc(*text, stream);
	}
	fputs(" |", stream);
}

/* A dash for what has no value. */
static void put_number(FILE *stream, const json_t *value, double unit, int digits)
{
	double scaled = json_number_value(value) / unit;

	if (!json_is_number(value))
		fputs(" - |", stream);
	else if (fabs(scaled) >= 1e6 && digits)
		fprintf(stream, " %.3e |", scaled);
	else
		fprintf(stream, " %.*f |", digits, scaled);
}

static void put_significant(FILE *stream, const json_t *value, double unit)
{
	if (json_is_number(value))
		fprintf(stream, " %.3g |", json_number_value(value) / unit);
	else
		fputs(" - |", stream);
}

static void put_interval(FILE *stream, const json_t *row)
{
	fprintf(stream, " %+.2f [%+.2f, %+.2f] |", 100 * number(row, "difference"),
		100 * number(row, "low"), 100 * number(row, "high"));
}

static void put_heads(FILE *stream, const char *const *heads)
{
	fputs("\n|", stream);
	for (const char *const *head = heads; *head; head++)
		put_text(stream, *head);
	fputs("\n|", stream);
	for (const char *const *head = heads; *head; head++)
		fputs(head == heads ? "---|" : "--:|", stream);
	fputs("\n", stream);
}

static const char *text_of(const json_t *row, const char *key)
{
	const char *text = json_string_value(find(row, key));

	return text ? text : "-";
}

static void put_claims(FILE *stream, const json_t *claims)
{
	static const char *const heads[] = { "claim", "difference, points [95 %]", "must be above",
					     "holds", NULL };
	const json_t *row;
	size_t index;

	if (!json_array_size(claims))
		return;
	fputs("\n## Claims, written down before\n", stream);
	put_heads(stream, heads);
	json_array_foreach((json_t *)claims, index, row)
	{
		fputs("|", stream);
		put_text(stream, text_of(row, "claim"));
		put_interval(stream, row);
		fprintf(stream, " %.1f |", -100 * number(row, "margin"));
		put_text(stream, json_is_true(find(row, "holds")) ? "yes" : "**no**");
		fputs("\n", stream);
	}
}

static double sum_of(const json_t *row, const char *phase)
{
	static const char *const parts[] = { "backbone", "pool", "host", "writes" };
	char key[48];
	double sum = 0.0;

	for (size_t part = 0; part < sizeof(parts) / sizeof(parts[0]); part++) {
		snprintf(key, sizeof(key), "%s_%s_uj", phase, parts[part]);
		sum += number(row, key);
	}
	return sum;
}

static void put_methods(FILE *stream, const json_t *methods)
{
	static const char *const heads[] = { "method",
					     "accuracy, %",
					     "difference, points [95 %]",
					     "macro-F1, %",
					     "numbers trained",
					     "bits a task",
					     "cells written",
					     "adaptation, mJ",
					     "test, mJ",
					     "tasks until a cell wears out, in place",
					     "spread",
					     "training, s",
					     "test, s",
					     NULL };
	const json_t *row;
	size_t index;

	fputs("\n## Methods\n", stream);
	put_heads(stream, heads);
	json_array_foreach((json_t *)methods, index, row)
	{
		fputs("|", stream);
		put_text(stream, text_of(row, "method"));
		put_number(stream, find(row, "accuracy"), 0.01, 1);
		put_interval(stream, row);
		put_number(stream, find(row, "macro_f1"), 0.01, 1);
		put_number(stream, find(row, "trained"), 1, 0);
		put_number(stream, find(row, "storage_bits"), 1, 0);
		put_number(stream, find(row, "cells_written"), 1, 0);
		fprintf(stream, " %.1f | %.1f |", sum_of(row, "training") / 1e3,
			sum_of(row, "inference") / 1e3);
		put_significant(stream, find(row, "endurance_tasks"), 1);
		put_significant(stream, find(row, "endurance_spread_tasks"), 1);
		put_number(stream, find(row, "train_s"), 1, 2);
		put_number(stream, find(row, "test_s"), 1, 2);
		fputs("\n", stream);
	}
}

/* Rows of tasks lie task by task, methods in their order. */
static void put_tasks(FILE *stream, const struct experiment *experiment, const json_t *tasks)
{
	uint32_t methods = experiment->method_count, count = experiment->final.task_count;

	fputs("\n## Accuracy by task, %\n\n| method |", stream);
	for (uint32_t task = 0; task < count; task++)
		put_text(stream, experiment->final.tasks[task]);
	fputs("\n|---|", stream);
	for (uint32_t task = 0; task < count; task++)
		fputs("--:|", stream);
	fputs("\n", stream);
	for (uint32_t method = 0; method < methods; method++) {
		fputs("|", stream);
		put_text(stream, experiment->methods[method].name);
		for (uint32_t task = 0; task < count; task++)
			put_number(stream,
				   find(json_array_get(tasks, task * methods + method), "accuracy"),
				   0.01, 1);
		fputs("\n", stream);
	}
}

static void put_settings(FILE *stream, const json_t *settings)
{
	static const char *const heads[] = { "method", "settings", NULL };
	const json_t *row;
	size_t index;

	fputs("\n## Settings\n", stream);
	put_heads(stream, heads);
	json_array_foreach((json_t *)settings, index, row)
	{
		fputs("|", stream);
		put_text(stream, text_of(row, "method"));
		put_text(stream, text_of(row, "settings"));
		fputs("\n", stream);
	}
}

static void put_energy(FILE *stream, const json_t *methods, const json_t *energy)
{
	static const char *const heads[] = { "method",
					     "adaptation: backbone, mJ",
					     "pool or own, mJ",
					     "host traffic, mJ",
					     "host arithmetic, mJ",
					     "writes, mJ",
					     "token: backbone, nJ",
					     "pool or own, nJ",
					     "host traffic, nJ",
					     "host arithmetic, nJ",
					     "written cell, pJ",
					     "writes of a cell, in place",
					     "modules read",
					     NULL };
	const json_t *row;
	size_t index;

	fputs("\n## Where energy goes\n", stream);
	put_heads(stream, heads);
	json_array_foreach((json_t *)energy, index, row)
	{
		const json_t *method = json_array_get(methods, index);

		fputs("|", stream);
		put_text(stream, text_of(row, "method"));
		put_number(stream, find(method, "training_backbone_uj"), 1e3, 2);
		put_number(stream, find(method, "training_pool_uj"), 1e3, 2);
		put_number(stream, find(method, "training_host_uj"), 1e3, 2);
		put_number(stream, find(row, "adaptation_arithmetic_uj"), 1e3, 2);
		put_number(stream, find(method, "training_writes_uj"), 1e3, 2);
		put_number(stream, find(row, "token_backbone_pj"), 1e3, 1);
		put_number(stream, find(row, "token_pool_pj"), 1e3, 1);
		put_number(stream, find(row, "token_host_pj"), 1e3, 1);
		put_number(stream, find(row, "token_arithmetic_pj"), 1e3, 1);
		put_significant(stream, find(row, "write_pj_cell"), 1);
		put_significant(stream, find(row, "writes_a_cell"), 1);
		if (json_is_number(find(row, "modules_all")))
			fprintf(stream, " %.1f of %.0f |", number(row, "modules_read"),
				number(row, "modules_all"));
		else
			fputs(" - |", stream);
		fputs("\n", stream);
	}
}

static void put_cheaper(FILE *stream, const json_t *row)
{
	const char *word = text_of(row, "cheaper");

	if (json_is_number(find(row, "tokens")))
		fprintf(stream, " %s %.3g tokens |", word, number(row, "tokens"));
	else
		fprintf(stream, " %s |", word);
}

static void put_comparisons(FILE *stream, const json_t *rows)
{
	static const char *const heads[] = { "method",
					     "against",
					     "written cell, pJ",
					     "break-even of a written cell, pJ",
					     "costs less",
					     "adapts for less, in the sweep",
					     "cells of the pool",
					     "tasks that write as many",
					     NULL };
	const json_t *row;
	size_t index;

	if (!json_array_size(rows))
		return;
	fputs("\n## Against methods that write\n", stream);
	put_heads(stream, heads);
	json_array_foreach((json_t *)rows, index, row)
	{
		fputs("|", stream);
		put_text(stream, text_of(row, "method"));
		put_text(stream, text_of(row, "against"));
		put_significant(stream, find(row, "write_pj_cell"), 1);
		put_significant(stream, find(row, "break_even_pj_cell"), 1);
		put_cheaper(stream, row);
		put_text(stream, text_of(row, "adapts_for_less"));
		put_number(stream, find(row, "pool_cells"), 1, 0);
		put_number(stream, find(row, "tasks_to_repay_cells"), 1, 1);
		fputs("\n", stream);
	}
	fputs("\n*Costs less*: one adaptation and so many tokens of inference after it. *In the sweep*: "
	      "whether the adaptation alone costs less at 1 to 100 pJ a cell and 0 to 160 pJ a "
	      "byte.\n",
	      stream);
}

static void put_digital(FILE *stream, const json_t *rows)
{
	static const char *const heads[] = { "method",
					     "against",
					     "more a token, nJ",
					     "multiplications of the host a token",
					     "break-even of one, pJ",
					     NULL };
	const json_t *row;
	size_t index;

	if (!json_array_size(rows))
		return;
	fputs("\n## Against a LoRA kept digital\n", stream);
	put_heads(stream, heads);
	json_array_foreach((json_t *)rows, index, row)
	{
		fputs("|", stream);
		put_text(stream, text_of(row, "method"));
		put_text(stream, text_of(row, "against"));
		put_number(stream, find(row, "token_extra_pj"), 1e3, 1);
		put_number(stream, find(row, "host_macs_token"), 1, 0);
		put_significant(stream, find(row, "break_even_pj_mac"), 1);
		fputs("\n", stream);
	}
	fputs("\nAbove its break-even the digital LoRA takes more for a token than the pool. In fp32 a "
	      "multiplication with its addition takes 4.6 pJ (Horowitz, "
	      "10.1109/ISSCC.2014.6757323).\n",
	      stream);
}

static bool same_pair(const json_t *row, const json_t *other)
{
	return !strcmp(text_of(row, "method"), text_of(other, "method")) &&
	       !strcmp(text_of(row, "against"), text_of(other, "against")) &&
	       number(row, "host_pj_byte") == number(other, "host_pj_byte");
}

/* A row for a pair and a price of a byte, a column for a price of a cell, as the rows of the sweep lie. */
static void put_sweep(FILE *stream, const json_t *rows)
{
	const json_t *row = json_array_get(rows, 0);
	size_t columns = 1, index;

	if (!row)
		return;
	fputs("\n## When the first of two costs less, by the energy of a written cell\n\n"
	      "| method | against | host, pJ a byte |",
	      stream);
	while (columns < json_array_size(rows) && same_pair(row, json_array_get(rows, columns)))
		columns++;
	for (size_t column = 0; column < columns; column++)
		fprintf(stream, " %g pJ |", number(json_array_get(rows, column), "write_pj_cell"));
	fputs("\n|---|---|--:|", stream);
	for (size_t column = 0; column < columns; column++)
		fputs("--:|", stream);
	json_array_foreach((json_t *)rows, index, row)
	{
		if (index % columns == 0) {
			fputs("\n|", stream);
			put_text(stream, text_of(row, "method"));
			put_text(stream, text_of(row, "against"));
			fprintf(stream, " %g |", number(row, "host_pj_byte"));
		}
		put_cheaper(stream, row);
	}
	fputs("\n", stream);
}

void experiment_markdown(const struct experiment *experiment, const json_t *result, FILE *stream)
{
	const json_t *methods = find(result, "methods");
	const char *about = json_string_value(find(experiment->file, "about"));

	fprintf(stream,
		"# %s\n\n    lfctl experiment %s --model DIR --out RESULTS\n\n"
		"%s; %u methods, %u tasks, %u seeds; differences are to *%s*, paired, with the 95 %% "
		"interval of a bootstrap. Energy is modelled, %g pJ a byte between host and "
		"device.\n",
		about ? about : experiment->path, experiment->path, experiment->device,
		experiment->method_count, experiment->final.task_count,
		experiment->final.seed_count, experiment->methods[experiment->against].name,
		experiment->host_pj_byte);
	put_claims(stream, find(result, "claims"));
	put_methods(stream, methods);
	put_tasks(stream, experiment, find(result, "tasks"));
	put_energy(stream, methods, find(result, "energy"));
	put_comparisons(stream, find(result, "energy_comparisons"));
	put_sweep(stream, find(result, "energy_sweep"));
	put_digital(stream, find(result, "energy_digital"));
	put_settings(stream, find(result, "settings"));
}
