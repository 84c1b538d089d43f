/* SPDX-License-Identifier: MIT */
/* The truth about single cells, as a table and counted; and the command that shows them. */
#ifndef LFCTL_CELLS_H
#define LFCTL_CELLS_H

#include <jansson.h>

#include <lf/device.h>

#include "tools/lfctl/command.h"

/**
 * struct cells_census - cells counted
 * @cells: all of them
 * @stuck_on: at the largest conductance for ever
 * @stuck_off: at the smallest
 * @worn: of these, because their endurance is spent
 * @failed: whose last write did not verify
 * @spare: that lie in spare columns
 * @wear_max: most writes and erasures of one
 * @limited: whose endurance has a limit
 * @left_least: of these, the fewest writes and erasures left to one
 */
struct cells_census {
	uint64_t cells;
	uint64_t stuck_on;
	uint64_t stuck_off;
	uint64_t worn;
	uint64_t failed;
	uint64_t spare;
	uint32_t wear_max;
	uint64_t limited;
	uint32_t left_least;
};

/** cells_count() - add cells to a census */
void cells_count(struct cells_census *census, const struct lf_cell *cells, size_t count);

/** cells_census_json() - as an object; "endurance_left" is null without a limit */
json_t *cells_census_json(const struct cells_census *census);

/**
 * struct cells_values - values of lfctl matrix cells
 * @common: first, as in every command
 * @row: first row
 * @rows: how many, 0 for all
 * @col: first column
 * @cols: how many, 0 for all
 */
struct cells_values {
	struct common common;
	uint64_t row;
	uint64_t rows;
	uint64_t col;
	uint64_t cols;
};

extern const struct option_spec cells_options[];
extern const struct cells_values cells_defaults;

/** cells_show() - run of the command */
int cells_show(const void *values, char **operands, json_t *result, struct lf_error *error);

#endif
