// SPDX-License-Identifier: MIT
/*
 * IR drop by nodal analysis. Of the 2 x rows x columns nodes those of a row's wire are eliminated first, then, row by row, those
 * where it crosses the columns. What is left of all rows so far is a box with a terminal for each column: its
 * admittance, and the currents that each source alone drives out of its grounded terminals. The next piece of the columns' wires,
 * R ohm in series with every terminal, makes Y into (1 + R Y)^-1 Y and the currents J into (1 + R Y)^-1 J; 1 + R Y is positive
 * definite whatever R is, 0 included, so it is factored (L D L^T, no square root) and solved for Y and J together.
 *
 * The terminals are the fewer of rows and columns: a reciprocal circuit gives the same conductances read from the other side.
 * A crossbar of n x n costs about 1.7 n^4 multiplications, where Cholesky in the order of a band of 2n takes 8 n^4.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "irdrop.h"
#include "irdrop_ladder.h"
#include "irdrop_solve.h"

/**
 * struct box - the rows so far as one part with a terminal for each column
 * @terminals: number of them
 * @width: elements of a row of @sides
 * @sides: [terminals][width]: admittance, zeros up to whole lanes, then the current that each source drives
 * @first_source: element of a row of @sides where those begin
 * @matrix: [terminals][terminals] scratch: 1 + R Y and its factors
 * @pivot: [terminals] scratch
 */
struct box {
	uint32_t terminals;
	uint32_t width;
	uint32_t first_source;
	double *sides;
	double *matrix;
	double *pivot;
};

/* Puts @ohm in series with every terminal; @sources have been connected so far. */
static void add_series(struct box *box, double ohm, uint32_t sources)
{
	uint32_t n = box->terminals;

	if (ohm == 0)
		return;
	/* The lower triangle is the one that rows are added to. */
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = 0; j < i; j++)
			box->sides[(size_t)j * box->width + i] =
				box->sides[(size_t)i * box->width + j];
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = i; j < n; j++)
			box->matrix[(size_t)i * n + j] =
				(i == j ? 1 : 0) + ohm * box->sides[(size_t)i * box->width + j];
	xbar_irdrop_factor(n, box->matrix, box->pivot);
	xbar_irdrop_solve(n, box->matrix, box->pivot, box->sides, box->width,
			  box->first_source + sources);
}

int xbar_irdrop_exact(const struct irdrop *circuit, const double *siemens, double *effective)
{
	/* By reciprocity the last column may be the first row. */
	bool turned = circuit->columns > circuit->rows;
	uint32_t rows = turned ? circuit->columns : circuit->rows;
	uint32_t columns = turned ? circuit->rows : circuit->columns;
	struct irdrop_line line = { circuit->wire_ohm,
				    turned ? circuit->sense_ohm : circuit->driver_ohm };
	struct box box = { .terminals = columns,
			   .width = xbar_irdrop_round_up(columns) + xbar_irdrop_round_up(rows),
			   .first_source = xbar_irdrop_round_up(columns) };
	size_t sides = (size_t)columns * box.width;
	size_t square = (size_t)columns * columns;
	double *cells, *work;

	box.sides = calloc(sides + square + 7 * (size_t)columns, sizeof(double));
	if (!box.sides)
		return -ENOMEM;
	box.matrix = box.sides + sides;
	box.pivot = box.matrix + square;
	cells = box.pivot + columns;
	work = cells + columns;
	for (uint32_t i = 0; i < rows; i++) {
		for (uint32_t j = 0; j < columns; j++)
			cells[j] = turned ? siemens[(size_t)(columns - 1 - j) * rows + rows - 1 - i]
					  : siemens[(size_t)i * columns + j];
		if (i)
			add_series(&box, circuit->wire_ohm, i);
		xbar_irdrop_admittance(&line, cells, columns, work, box.sides, box.width,
				       box.sides + box.first_source + i, box.width);
	}
	add_series(&box, turned ? circuit->driver_ohm : circuit->sense_ohm, rows);
	for (uint32_t i = 0; i < rows; i++)
		for (uint32_t j = 0; j < columns; j++)
			effective[turned ? (size_t)(columns - 1 - j) * rows + rows - 1 - i
					 : (size_t)i * columns + j] =
				box.sides[(size_t)j * box.width + box.first_source + i];
	free(box.sides);
	return 0;
}
