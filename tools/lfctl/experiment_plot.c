// SPDX-License-Identifier: MIT
/* The figure of an experiment: each method's difference to one of them, with its 95 % interval, over all tasks and for each. */
#include <math.h>
#include <string.h>

#include "tools/lfctl/experiment.h"
#include "tools/lfctl/svg.h"

/* In points. */
#define LEFT	   150
#define TOP	   40
#define WIDTH	   380
#define ROW_HEIGHT 20
#define GAP	   26
#define BOTTOM	   50
#define TICKS	   8

/* Percentage points at both ends of the axis. */
struct axis {
	double low;
	double high;
};

static void widen(struct axis *axis, const json_t *rows)
{
	const json_t *row;
	size_t index;

	json_array_foreach((json_t *)rows, index, row)
	{
		axis->low = fmin(axis->low, 100 * json_number_value(json_object_get(row, "low")));
		axis->high =
			fmax(axis->high, 100 * json_number_value(json_object_get(row, "high")));
	}
}

static double x_of(const struct axis *axis, double points)
{
	return LEFT + WIDTH * (points - axis->low) / (axis->high - axis->low);
}

static void put_row(FILE *stream, const struct axis *axis, double y, uint32_t number,
		    const json_t *row)
{
	double low = x_of(axis, 100 * json_number_value(json_object_get(row, "low")));
	double high = x_of(axis, 100 * json_number_value(json_object_get(row, "high")));
	double mean = x_of(axis, 100 * json_number_value(json_object_get(row, "difference")));
	char text[96];

	svg_text(stream, LEFT - 8, y + 3.5, "end", "",
		 json_string_value(json_object_get(row, "method")));
	snprintf(text, sizeof(text), "stroke=\"%s\" stroke-width=\"1.6\"", svg_colour(number));
	svg_line(stream, low, y, high, y, text);
	fprintf(stream, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", mean, y,
		svg_colour(number));
	snprintf(text, sizeof(text), "%.1f",
		 100 * json_number_value(json_object_get(row, "accuracy")));
	svg_text(stream, LEFT + WIDTH + 10, y + 3.5, "start", "", text);
}

static void put_axis(FILE *stream, const struct axis *axis, double bottom, const char *against)
{
	double step = pow(10, floor(log10(axis->high - axis->low))) / 10;
	char text[160];

	while ((axis->high - axis->low) / step > TICKS)
		step *= 2;
	for (long tick = lround(ceil(axis->low / step)); tick * step <= axis->high; tick++) {
		double at = tick * step, x = x_of(axis, at);

		svg_line(stream, x, TOP, x, bottom,
			 !tick ? "stroke=\"black\"" : "stroke=\"#dddddd\"");
		snprintf(text, sizeof(text), "%g", at);
		svg_text(stream, x, bottom + 14, "middle", "", text);
	}
	snprintf(text, sizeof(text), "accuracy against %.100s, percentage points, 95 %%", against);
	svg_text(stream, LEFT + WIDTH / 2.0, bottom + 32, "middle", "", text);
	svg_text(stream, LEFT + WIDTH + 10, TOP - 8, "start", "", "accuracy, %");
}

void experiment_plot(const struct experiment *experiment, const json_t *result, FILE *stream)
{
	const json_t *methods = json_object_get(result, "methods");
	const json_t *tasks = json_object_get(result, "tasks");
	uint32_t count = experiment->method_count, groups = experiment->final.task_count + 1;
	double height = groups * (count * ROW_HEIGHT + GAP);
	struct axis axis = { -1, 1 };

	widen(&axis, methods);
	widen(&axis, tasks);
	svg_begin(stream, LEFT + WIDTH + 80, TOP + height + BOTTOM);
	put_axis(stream, &axis, TOP + height, experiment->methods[experiment->against].name);
	for (uint32_t group = 0; group < groups; group++) {
		double top = TOP + group * (count * ROW_HEIGHT + GAP);

		svg_text(stream, 8, top + 16, "start", " font-weight=\"bold\"",
			 group ? experiment->final.tasks[group - 1] : "all tasks");
		for (uint32_t method = 0; method < count; method++)
			put_row(stream, &axis, top + 16 + (method + 0.8) * ROW_HEIGHT, method,
				group ? json_array_get(tasks, (group - 1) * count + method)
				      : json_array_get(methods, method));
	}
	svg_end(stream);
}
