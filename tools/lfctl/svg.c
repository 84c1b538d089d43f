// SPDX-License-Identifier: MIT
/* Figures; see svg.h. */
#include "tools/lfctl/svg.h"

const char *svg_colour(uint32_t number)
{
	/* Okabe and Ito's. */
	static const char *const colours[SVG_COLOURS] = { "#0072b2", "#56b4e9", "#009e73",
							  "#e69f00", "#d55e00", "#cc79a7" };

	return colours[number % SVG_COLOURS];
}

void svg_begin(FILE *stream, double width, double height)
{
	fprintf(stream,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0fpt\" height=\"%.0fpt\" "
		"viewBox=\"0 0 %.0f %.0f\" font-family=\"Helvetica, Arial, sans-serif\" "
		"font-size=\"10\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		width, height, width, height);
}

void svg_end(FILE *stream)
{
	fputs("</svg>\n", stream);
}

void svg_text(FILE *stream, double x, double y, const char *anchor, const char *more,
	      const char *text)
{
	fprintf(stream, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more);
	for (; *text; text++) {
		if (*text == '&' || *text == '<')
			fputs(*text == '&' ? "&amp;" : "&lt;", stream);
		else
			fputc(*text, stream);
	}
	fputs("</text>\n", stream);
}

void svg_line(FILE *stream, double x1, double y1, double x2, double y2, const char *style)
{
	fprintf(stream, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" %s/>\n", x1, y1, x2,
		y2, style);
}
