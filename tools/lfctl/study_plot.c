// SPDX-License-Identifier: MIT
/*
 * The figure of a study: a column for each sweep, accuracy above, signal-to-noise ratio of the layers below. SVG 1.1, text
 * as text, so that a paper can take it and change its fonts.
 */
#include <math.h>
#include <string.h>

#include "tools/lfctl/study.h"
#include "tools/lfctl/svg.h"

/* In points. */
#define LEFT	      62
#define TOP	      30
#define PANEL_WIDTH   210
#define PANEL_HEIGHT  150
#define GAP_X	      62
#define GAP_Y	      26
#define LEGEND_HEIGHT 96
#define LETTER_WIDTH  5.6 /* of a digit, about */

/* Decades between zero and the smallest positive value of a logarithmic axis, which has no place for zero. */
#define ZERO_GAP      0.7

/**
 * struct panel - a rectangle with axes
 * @left: edge
 * @top: edge
 * @series: for the horizontal axis
 * @low: of the vertical axis
 * @high: of the vertical axis
 */
struct panel {
	double left;
	double top;
	const struct study_series *series;
	double low;
	double high;
};

/* Where a value lies on a logarithmic or plain axis, in its own unit. */
static double place(const struct study_series *series, uint32_t value)
{
	const struct study_sweep *sweep = &series->sweep;
	double x = sweep->values[value].x;

	if (!study_axis(sweep->kind)->logarithmic)
		return x;
	if (x > 0.0)
		return log10(x);
	return sweep->count > 1 ? log10(sweep->values[1].x) - ZERO_GAP : 0.0;
}

static double x_of(const struct panel *panel, uint32_t value)
{
	uint32_t last = panel->series->sweep.count - 1;
	double first = place(panel->series, 0), span = place(panel->series, last) - first;
	double share = span > 0.0 ? (place(panel->series, value) - first) / span : 0.5;

	return panel->left + PANEL_WIDTH * (0.04 + 0.92 * share);
}

static double y_of(const struct panel *panel, double y)
{
	double share = (y - panel->low) / (panel->high - panel->low);

	share = share < 0.0 ? 0.0 : share > 1.0 ? 1.0 : share;
	return panel->top + PANEL_HEIGHT * (1.0 - share);
}

static void put_axes(FILE *stream, const struct panel *panel, double step, const char *title,
		     bool labels)
{
	double bottom = panel->top + PANEL_HEIGHT, middle = panel->top + PANEL_HEIGHT / 2.0;
	double last = -1e9;
	char text[64];

	fprintf(stream,
		"<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" "
		"stroke=\"black\"/>\n",
		panel->left, panel->top, PANEL_WIDTH, PANEL_HEIGHT);
	for (uint32_t tick = 0; tick <= lround((panel->high - panel->low) / step); tick++) {
		double y = panel->low + tick * step;

		svg_line(stream, panel->left - 4, y_of(panel, y), panel->left, y_of(panel, y),
			 "stroke=\"black\"");
		snprintf(text, sizeof(text), "%.0f", y);
		svg_text(stream, panel->left - 7, y_of(panel, y) + 3.5, "end", "", text);
	}
	for (uint32_t value = 0; value < panel->series->sweep.count; value++) {
		const char *label = panel->series->sweep.values[value].text;
		double half = LETTER_WIDTH * (double)strlen(label) / 2, x = x_of(panel, value);

		svg_line(stream, x, bottom, x, bottom + 4, "stroke=\"black\"");
		/* A label that would run into the one before it is left out. */
		if (!labels || x - half < last + LETTER_WIDTH)
			continue;
		svg_text(stream, x, bottom + 15, "middle", "", label);
		last = x + half;
	}
	snprintf(text, sizeof(text), " transform=\"rotate(-90 %.1f %.1f)\"", panel->left - 36,
		 middle);
	svg_text(stream, panel->left - 36, middle, "middle", text, title);
}

/* The axis is broken where it goes on to zero. */
static void put_break(FILE *stream, const struct panel *panel)
{
	const struct study_sweep *sweep = &panel->series->sweep;
	double x, bottom = panel->top + PANEL_HEIGHT;

	if (!study_axis(sweep->kind)->logarithmic || sweep->values[0].x > 0.0 || sweep->count < 2)
		return;
	x = (x_of(panel, 0) + x_of(panel, 1)) / 2;
	fprintf(stream, "<rect x=\"%.1f\" y=\"%.1f\" width=\"5\" height=\"4\" fill=\"white\"/>\n",
		x - 2.5, bottom - 2);
	for (int side = -1; side <= 1; side += 2)
		svg_line(stream, x + side * 2.5 - 2, bottom + 4, x + side * 2.5 + 2, bottom - 4,
			 "stroke=\"black\"");
}

/* A bar of one standard deviation to each side. */
static void put_error_bar(FILE *stream, const struct panel *panel, double x, double y, double sd,
			  const char *colour)
{
	double high = y_of(panel, y + sd), low = y_of(panel, y - sd);
	char style[64];

	if (!(sd > 0.0))
		return;
	snprintf(style, sizeof(style), "stroke=\"%s\"", colour);
	svg_line(stream, x, low, x, high, style);
	svg_line(stream, x - 3, low, x + 3, low, style);
	svg_line(stream, x - 3, high, x + 3, high, style);
}

/* A curve; values that are not finite are open circles at the upper edge and break it. */
static void put_curve(FILE *stream, const struct panel *panel, const double *values,
		      const double *sds, const char *colour)
{
	bool open = false;

	fprintf(stream, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"1.3\" d=\"", colour);
	for (uint32_t value = 0; value < panel->series->sweep.count; value++) {
		if (isfinite(values[value]))
			fprintf(stream, "%c%.1f %.1f ", open ? 'L' : 'M', x_of(panel, value),
				y_of(panel, values[value]));
		open = isfinite(values[value]);
	}
	fputs("\"/>\n", stream);
	for (uint32_t value = 0; value < panel->series->sweep.count; value++) {
		bool finite = isfinite(values[value]);

		fprintf(stream,
			"<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" stroke=\"%s\" fill=\"%s\"/>\n",
			x_of(panel, value), y_of(panel, finite ? values[value] : panel->high),
			finite ? "2.2" : "3.2", colour, finite ? colour : "none");
		if (sds && finite)
			put_error_bar(stream, panel, x_of(panel, value), values[value], sds[value],
				      colour);
	}
}

static void put_accuracy(FILE *stream, const struct study *study, struct panel *panel)
{
	double values[STUDY_VALUES], sds[STUDY_VALUES];

	for (uint32_t value = 0; value < panel->series->sweep.count; value++) {
		struct study_summary summary;

		study_summarise(study, panel->series, value, &summary);
		values[value] = 100 * summary.accuracy;
		sds[value] = 100 * summary.accuracy_sd;
	}
	put_axes(stream, panel, 20, "accuracy (%)", false);
	svg_line(stream, panel->left, y_of(panel, 100 * study->ideal_accuracy),
		 panel->left + PANEL_WIDTH, y_of(panel, 100 * study->ideal_accuracy),
		 "stroke=\"black\" stroke-dasharray=\"6 3\"");
	svg_line(stream, panel->left, y_of(panel, 100 * study->majority), panel->left + PANEL_WIDTH,
		 y_of(panel, 100 * study->majority), "stroke=\"black\" stroke-dasharray=\"1 3\"");
	put_curve(stream, panel, values, sds, "black");
	put_break(stream, panel);
}

static void put_signal(FILE *stream, const struct study *study, struct panel *panel)
{
	double values[STUDY_VALUES], sds[STUDY_VALUES];

	put_axes(stream, panel, 10, "signal to noise (dB)", true);
	for (uint32_t kind = 0; kind < STUDY_KINDS; kind++) {
		for (uint32_t value = 0; value < panel->series->sweep.count; value++) {
			struct study_summary summary;

			study_summarise(study, panel->series, value, &summary);
			values[value] = summary.kinds_db[kind];
		}
		put_curve(stream, panel, values, NULL, svg_colour(kind));
	}
	for (uint32_t value = 0; value < panel->series->sweep.count; value++) {
		struct study_summary summary;

		study_summarise(study, panel->series, value, &summary);
		values[value] = summary.through_db;
		sds[value] = 0.0;
	}
	put_curve(stream, panel, values, sds, "#777777");
	put_break(stream, panel);
}

/* Multiples of ten decibels that hold all that is finite. */
static void signal_range(const struct study *study, double *low, double *high)
{
	*low = 0.0;
	*high = 10.0;
	for (uint32_t at = 0; at < study->series_count; at++)
		for (uint32_t value = 0; value < study->series[at].sweep.count; value++) {
			struct study_summary summary;

			study_summarise(study, &study->series[at], value, &summary);
			for (uint32_t kind = 0; kind <= STUDY_KINDS; kind++) {
				double db = kind < STUDY_KINDS ? summary.kinds_db[kind]
							       : summary.through_db;

				if (isfinite(db) && db < *low)
					*low = db;
				if (isfinite(db) && db > *high)
					*high = db;
			}
		}
	*low = 10 * floor(*low / 10);
	*high = 10 * ceil((*high + 2) / 10);
}

static void put_key(FILE *stream, double x, double y, const char *style, const char *colour,
		    const char *text)
{
	char line[96];

	snprintf(line, sizeof(line), "stroke=\"%s\" stroke-width=\"1.3\" %s", colour, style);
	svg_line(stream, x, y, x + 22, y, line);
	svg_text(stream, x + 28, y + 3.5, "start", "", text);
}

static void put_legend(FILE *stream, const struct study *study, double top)
{
	char text[256];
	double y = top;

	put_key(stream, LEFT, y, "", "black", "accuracy, mean and standard deviation");
	put_key(stream, LEFT, y + 16, "stroke-dasharray=\"6 3\"", "black",
		"accuracy on the ideal device");
	put_key(stream, LEFT, y + 32, "stroke-dasharray=\"1 3\"", "black", "commonest label");
	put_key(stream, LEFT, y + 48, "", "#777777", "all layers, errors adding up");
	for (uint32_t kind = 0; kind < STUDY_KINDS; kind++)
		put_key(stream, LEFT + 240 + 130 * (kind / 4), y + 16 * (kind % 4), "",
			svg_colour(kind), study_kind_name(kind));
	snprintf(text, sizeof(text),
		 "%u test sentences, up to %u devices a point, base %s; open circles: no error at "
		 "all",
		 study->examples, study->repeats, study->base);
	svg_text(stream, LEFT, y + 70, "start", "", text);
}

void study_plot(const struct study *study, FILE *stream)
{
	double width = LEFT + study->series_count * (PANEL_WIDTH + GAP_X) - GAP_X + 16;
	double height = TOP + 2 * PANEL_HEIGHT + GAP_Y + 40 + LEGEND_HEIGHT, low, high;

	width = width < 620 ? 620 : width;
	signal_range(study, &low, &high);
	svg_begin(stream, width, height);
	for (uint32_t at = 0; at < study->series_count; at++) {
		const struct study_axis *axis = study_axis(study->series[at].sweep.kind);
		struct panel panel = { .left = LEFT + at * (PANEL_WIDTH + GAP_X),
				       .top = TOP,
				       .series = &study->series[at],
				       .high = 100 };
		char letter[8], title[96];

		snprintf(letter, sizeof(letter), "(%c)", 'a' + (int)at);
		svg_text(stream, panel.left, TOP - 10, "start", " font-weight=\"bold\"", letter);
		put_accuracy(stream, study, &panel);
		panel.top += PANEL_HEIGHT + GAP_Y;
		panel.low = low;
		panel.high = high;
		put_signal(stream, study, &panel);
		snprintf(title, sizeof(title), "%s%s%s%s", axis->title, *axis->unit ? " (" : "",
			 axis->unit, *axis->unit ? ")" : "");
		svg_text(stream, panel.left + PANEL_WIDTH / 2.0, panel.top + PANEL_HEIGHT + 32,
			 "middle", "", title);
	}
	put_legend(stream, study, TOP + 2 * PANEL_HEIGHT + GAP_Y + 56);
	svg_end(stream);
}
