/* SPDX-License-Identifier: MIT */
/* What figures are drawn with: SVG 1.1, text as text, so that a paper can take it and change its fonts. In points. */
#ifndef LFCTL_SVG_H
#define LFCTL_SVG_H

#include <stdint.h>
#include <stdio.h>

/** SVG_COLOURS - different colours there are */
#define SVG_COLOURS 6

/** svg_colour() - a colour that people who do not see red or green can tell from the others; they repeat */
const char *svg_colour(uint32_t number);

/** svg_begin() - a white page */
void svg_begin(FILE *stream, double width, double height);

/** svg_end() - the end of the page */
void svg_end(FILE *stream);

/**
 * svg_text() - a line of text
 * @anchor: which of its points lies at @x: "start", "middle" or "end"
 * @more: further attributes, with a blank before each
 */
void svg_text(FILE *stream, double x, double y, const char *anchor, const char *more,
	      const char *text);

/** svg_line() - a straight line; @style: attributes */
void svg_line(FILE *stream, double x1, double y1, double x2, double y2, const char *style);

#endif
