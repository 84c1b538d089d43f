// SPDX-License-Identifier: MIT
/*
 * IR drop, fast. What source r drives through column c is what goes straight there, along its own row, through cell (r, c) and
 * along the column, as if all other lines were at ground; and what goes round: the current of row r raises other columns,
 * those raise other rows, and so on.
 *
 * The nodal equations A x = b have that form. With T the lines by themselves and N the cells between rows and columns,
 * A = T - N and
 *
 *	A^-1 = T^-1 + T^-1 N T^-1 + T^-1 N A^-1 N T^-1
 *
 * The first term connects no row to a column. The second is the straight part: g(r, c) times the potential that row r has there
 * and the share that column c passes on, two ladders for each line. In the third the outer factors are the same ladders, exact;
 * only the A^-1 between them is replaced, by that of the circuit whose potentials may be but bilinear between nine nodes in
 * each direction (Galerkin's condition: the two-grid method of multigrid solvers, one cycle, with lines as smoothers).
 * Potentials are smooth along wires, so little is lost; irdrop.h has how little.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "irdrop.h"
#include "irdrop_ladder.h"
#include "irdrop_solve.h"

/* Pieces that each direction is divided into, at most. */
#define PIECES 8
#define NODES  (PIECES + 1)

/**
 * struct axis - one direction of the crossbar and the coarse nodes on it
 * @cells: of the crossbar in this direction
 * @nodes: coarse ones, at both ends and between
 * @position: of each node, the cell that it lies at
 * @node: [cells] node at or before each cell, not the last unless it is the only one
 * @share: [cells] how far the cell is from there to the next node
 */
struct axis {
	uint32_t cells;
	uint32_t nodes;
	uint32_t position[NODES];
	uint32_t *node;
	double *share;
};

/* A symmetric matrix between the nodes of an axis: of each with itself and with the next. */
struct chain {
	double self[NODES];
	double next[NODES];
};

/**
 * struct coarse - the circuit whose potentials are bilinear between nodes
 * @down: nodes across the rows
 * @along: nodes across the columns
 * @nodes: down.nodes * along.nodes, for rows and for columns each
 * @matrix: [2 * nodes][2 * nodes], rows before columns, each as [down][along]
 * @pivot: [2 * nodes]
 * @width: of a row of @sides
 * @sides: [2 * nodes][width]: unit currents into the columns' nodes, then the potentials
 * @into: [down.cells][along.nodes] what each source drives straight into the columns, gathered to nodes
 * @out: [down.nodes][columns] what each column collects of potentials of the rows, likewise
 */
struct coarse {
	struct axis down;
	struct axis along;
	uint32_t nodes;
	double *matrix;
	double *pivot;
	uint32_t width;
	double *sides;
	double *into;
	double *out;
};

static void place_nodes(struct axis *axis)
{
	uint32_t pieces = axis->nodes - 1, node = 0;

	for (uint32_t i = 0; i < axis->nodes; i++)
		axis->position[i] = pieces ? i * (axis->cells - 1) / pieces : 0;
	for (uint32_t cell = 0; cell < axis->cells; cell++) {
		uint32_t length;

		while (node + 1 < pieces && cell >= axis->position[node + 1])
			node++;
		axis->node[cell] = node;
		length = pieces ? axis->position[node + 1] - axis->position[node] : 1;
		axis->share[cell] = (double)(cell - axis->position[node]) / length;
	}
}

/* Adds @value at @cell to the nodes around it. An axis of one node has no next one, and its share is 0. */
static void gather(const struct axis *axis, uint32_t cell, double value, double *nodes,
		   size_t stride)
{
	double *node = nodes + axis->node[cell] * stride;

	node[0] += (1 - axis->share[cell]) * value;
	if (axis->nodes > 1)
		node[stride] += axis->share[cell] * value;
}

static double interpolate(const struct axis *axis, uint32_t cell, const double *nodes)
{
	const double *node = nodes + axis->node[cell];

	if (axis->nodes == 1)
		return node[0];
	return (1 - axis->share[cell]) * node[0] + axis->share[cell] * node[1];
}

/* How much a line that lies at a cell of @axis belongs to two nodes at once, summed over all lines. */
static void chain_of_lines(const struct axis *axis, struct chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	for (uint32_t cell = 0; cell < axis->cells; cell++) {
		double share = axis->share[cell];
		uint32_t node = axis->node[cell];

		chain->self[node] += (1 - share) * (1 - share);
		if (axis->nodes > 1) {
			chain->next[node] += (1 - share) * share;
			chain->self[node + 1] += share * share;
		}
	}
}

/* The wire of a line that runs along @axis and ends, behind node @end, in @end_ohm to ground. */
static void chain_of_wire(const struct axis *axis, double wire_ohm, uint32_t end, double end_ohm,
			  struct chain *chain)
{
	memset(chain, 0, sizeof(*chain));
	for (uint32_t node = 0; node + 1 < axis->nodes; node++) {
		double siemens = 1 / (wire_ohm * (axis->position[node + 1] - axis->position[node]));

		chain->self[node] += siemens;
		chain->self[node + 1] += siemens;
		chain->next[node] -= siemens;
	}
	if (end_ohm > 0)
		chain->self[end] += 1 / end_ohm;
}

static double chain_at(const struct chain *chain, uint32_t i, uint32_t j)
{
	if (i == j)
		return chain->self[i];
	return j == i + 1 ? chain->next[i] : i == j + 1 ? chain->next[j] : 0;
}

/* Adds the product of two chains to the part of the matrix that begins at @first on the diagonal. */
static void add_wires(struct coarse *coarse, uint32_t first, const struct chain *down,
		      const struct chain *along)
{
	uint32_t columns = coarse->along.nodes;

	for (uint32_t i = 0; i < coarse->nodes; i++)
		for (uint32_t j = i; j < coarse->nodes; j++)
			coarse->matrix[(size_t)(first + i) * 2 * coarse->nodes + first + j] +=
				chain_at(down, i / columns, j / columns) *
				chain_at(along, i % columns, j % columns);
}

/* Adds the cells: between rows and columns, each at up to four nodes. */
static void add_cells(struct coarse *coarse, const double *siemens)
{
	const struct axis *down = &coarse->down, *along = &coarse->along;
	uint32_t down_corners = down->nodes > 1 ? 2 : 1, along_corners = along->nodes > 1 ? 2 : 1;
	size_t n = coarse->nodes;

	for (uint32_t r = 0; r < down->cells; r++) {
		const double high[2] = { 1 - down->share[r], down->share[r] };

		for (uint32_t c = 0; c < along->cells; c++) {
			const double left[2] = { 1 - along->share[c], along->share[c] };
			uint32_t node[4], corners = 0;
			double weight[4];

			for (uint32_t i = 0; i < down_corners; i++)
				for (uint32_t j = 0; j < along_corners; j++) {
					node[corners] = (down->node[r] + i) * along->nodes +
							along->node[c] + j;
					weight[corners++] = high[i] * left[j];
				}
			for (uint32_t i = 0; i < corners; i++) {
				double *row = coarse->matrix + node[i] * 2 * n;
				double part = *siemens * weight[i];

				for (uint32_t j = 0; j < corners; j++)
					row[node[j]] += part * weight[j];
			}
			siemens++;
		}
	}
	/* What is between rows is also, with the other sign, between rows and columns, and between columns. */
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++) {
			double siemens_between = coarse->matrix[i * 2 * n + j];

			coarse->matrix[i * 2 * n + n + j] = -siemens_between;
			coarse->matrix[(n + i) * 2 * n + n + j] = siemens_between;
		}
}

/* A node behind 0 ohm is at ground. */
static void hold_at_ground(struct coarse *coarse, uint32_t node)
{
	size_t n = 2 * (size_t)coarse->nodes;

	for (size_t i = 0; i < n; i++)
		coarse->matrix[i * n + node] = coarse->matrix[node * n + i] = 0;
	coarse->matrix[node * n + node] = 1;
	memset(coarse->sides + (size_t)node * coarse->width, 0, coarse->width * sizeof(double));
}

/* Potentials of the rows' nodes for a unit current into each node of the columns. */
static void solve_coarse(struct coarse *coarse, const struct irdrop *circuit, const double *siemens)
{
	uint32_t last = coarse->down.nodes - 1;
	struct chain lines, wire;

	add_cells(coarse, siemens);
	chain_of_lines(&coarse->down, &lines);
	chain_of_wire(&coarse->along, circuit->wire_ohm, 0, circuit->driver_ohm, &wire);
	add_wires(coarse, 0, &lines, &wire);
	chain_of_lines(&coarse->along, &lines);
	chain_of_wire(&coarse->down, circuit->wire_ohm, last, circuit->sense_ohm, &wire);
	add_wires(coarse, coarse->nodes, &wire, &lines);

	for (uint32_t i = 0; i < coarse->nodes; i++)
		coarse->sides[(size_t)(coarse->nodes + i) * coarse->width + i] = 1;
	for (uint32_t i = 0; circuit->driver_ohm == 0 && i <= last; i++)
		hold_at_ground(coarse, i * coarse->along.nodes);
	for (uint32_t i = 0; circuit->sense_ohm == 0 && i < coarse->along.nodes; i++)
		hold_at_ground(coarse, coarse->nodes + last * coarse->along.nodes + i);
	xbar_irdrop_factor(2 * coarse->nodes, coarse->matrix, coarse->pivot);
	xbar_irdrop_solve(2 * coarse->nodes, coarse->matrix, coarse->pivot, coarse->sides,
			  coarse->width, coarse->nodes);
}

/* What goes straight, into @effective; and what each line passes on, gathered to nodes. @passed: [rows][columns] scratch. */
static void straight_part(struct coarse *coarse, const struct irdrop *circuit,
			  const double *siemens, double *passed, double *effective)
{
	const struct irdrop_line row = { circuit->wire_ohm, circuit->driver_ohm };
	const struct irdrop_line column = { circuit->wire_ohm, circuit->sense_ohm };
	uint32_t rows = circuit->rows, columns = circuit->columns;
	size_t last = (size_t)(rows - 1) * columns;

	for (uint32_t r = 0; r < rows; r++)
		xbar_irdrop_attenuation(&row, siemens + (size_t)r * columns, columns, 1,
					effective + (size_t)r * columns);
	/* A column passes on of a row's potential what that cell would see of a source in the converter's place. */
	for (uint32_t c = 0; c < columns; c++)
		xbar_irdrop_attenuation(&column, siemens + last + c, rows, -(int64_t)columns,
					passed + last + c);
	for (uint32_t r = 0; r < rows; r++)
		for (uint32_t c = 0; c < columns; c++) {
			size_t at = (size_t)r * columns + c;
			double driven = siemens[at] * effective[at];

			gather(&coarse->along, c, driven, coarse->into + r * coarse->along.nodes,
			       1);
			gather(&coarse->down, r, siemens[at] * passed[at], coarse->out + c,
			       columns);
			effective[at] = driven * passed[at];
		}
}

/* What goes round, added to @effective. */
static void add_round_part(const struct coarse *coarse, double *effective)
{
	const struct axis *down = &coarse->down, *along = &coarse->along;
	double into[NODES * NODES], raised[NODES * NODES];

	for (uint32_t r = 0; r < down->cells; r++) {
		memset(into, 0, sizeof(into));
		for (uint32_t node = 0; node < along->nodes; node++)
			gather(down, r, coarse->into[r * along->nodes + node], into + node,
			       along->nodes);
		for (uint32_t node = 0; node < coarse->nodes; node++) {
			const double *potential = coarse->sides + (size_t)node * coarse->width;

			raised[node] = 0;
			for (uint32_t i = 0; i < coarse->nodes; i++)
				raised[node] += potential[i] * into[i];
		}
		for (uint32_t c = 0; c < along->cells; c++) {
			double sum = 0;

			for (uint32_t node = 0; node < down->nodes; node++)
				sum += coarse->out[(size_t)node * along->cells + c] *
				       interpolate(along, c, raised + node * along->nodes);
			/* No way round takes current from a column. */
			if (sum > 0)
				effective[(size_t)r * along->cells + c] += sum;
		}
	}
}

static uint32_t nodes_of(uint32_t cells)
{
	return cells < NODES ? cells : NODES;
}

int xbar_irdrop_fast(const struct irdrop *circuit, const double *siemens, double *effective)
{
	size_t rows = circuit->rows, columns = circuit->columns, unknowns, doubles;
	struct coarse coarse = {
		.down = { .cells = circuit->rows, .nodes = nodes_of(circuit->rows) },
		.along = { .cells = circuit->columns, .nodes = nodes_of(circuit->columns) },
	};
	double *memory, *passed;

	/* Wires without resistance have nothing to be smooth along, and are a single system of equations. */
	if (circuit->wire_ohm == 0)
		return xbar_irdrop_exact(circuit, siemens, effective);
	coarse.nodes = coarse.down.nodes * coarse.along.nodes;
	coarse.width = xbar_irdrop_round_up(coarse.nodes);
	unknowns = 2 * (size_t)coarse.nodes;
	doubles = unknowns * (unknowns + 1 + coarse.width) + rows * coarse.along.nodes +
		  coarse.down.nodes * columns + rows * columns + rows + columns;
	memory = calloc(1, doubles * sizeof(double) + (rows + columns) * sizeof(uint32_t));
	if (!memory)
		return -ENOMEM;
	coarse.matrix = memory;
	coarse.pivot = coarse.matrix + unknowns * unknowns;
	coarse.sides = coarse.pivot + unknowns;
	coarse.into = coarse.sides + unknowns * coarse.width;
	coarse.out = coarse.into + rows * coarse.along.nodes;
	passed = coarse.out + coarse.down.nodes * columns;
	coarse.down.share = passed + rows * columns;
	coarse.along.share = coarse.down.share + rows;
	coarse.down.node = (uint32_t *)(coarse.along.share + columns);
	coarse.along.node = coarse.down.node + rows;

	place_nodes(&coarse.down);
	place_nodes(&coarse.along);
	straight_part(&coarse, circuit, siemens, passed, effective);
	solve_coarse(&coarse, circuit, siemens);
	add_round_part(&coarse, effective);
	free(memory);
	return 0;
}
