// SPDX-License-Identifier: MIT
/*
 * IR drop: the exact method against circuits that are solved by hand and against nodal equations written down the long way, the
 * fast one against the exact one.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/irdrop.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define TOLERANCE 1e-9

static double uniform(uint64_t *state)
{
	return draw(state) / 4294967296.0;
}

static bool close_to(double value, double expected)
{
	return fabs(value - expected) <= TOLERANCE * fabs(expected);
}

#define ck_assert_close(value, expected) \
	ck_assert_msg(close_to(value, expected), "%s is %.15g, not %.15g", #value, value, expected)

static void solve(const struct irdrop *circuit, const double *siemens, double *effective)
{
	ck_assert_int_eq(xbar_irdrop_exact(circuit, siemens, effective), 0);
}

/* A driver, a cell and a converter's input in series. */
START_TEST(one_cell_is_a_series)
{
	const struct irdrop circuit = { 1, 1, 3.0, 20.0, 7.0 };
	double siemens = 1.0 / 100.0, effective;

	solve(&circuit, &siemens, &effective);
	ck_assert_close(effective, 1.0 / 127.0);
}
END_TEST

/*
 * A wire of one row with all resistances 1, and 1 in each rung (half of it the cell, half the converter's input): the potentials
 * from the far end are the Fibonacci numbers 1, 2, 5, 13, ... of the source's. Of a column likewise, from the other end.
 */
START_TEST(unit_ladders_are_fibonacci_numbers)
{
	enum { COUNT = 12 };
	double fibonacci[2 * COUNT + 2] = { 0, 1 }, siemens[COUNT], effective[COUNT];
	const struct irdrop row = { 1, COUNT, 1.0, 1.0, 0.5 };
	const struct irdrop column = { COUNT, 1, 1.0, 0.5, 1.0 };

	for (int i = 2; i < 2 * COUNT + 2; i++)
		fibonacci[i] = fibonacci[i - 1] + fibonacci[i - 2];
	for (int i = 0; i < COUNT; i++)
		siemens[i] = 2.0;
	solve(&row, siemens, effective);
	for (int j = 0; j < COUNT; j++)
		ck_assert_close(effective[j],
				fibonacci[2 * (COUNT - 1 - j) + 1] / fibonacci[2 * COUNT + 1]);
	solve(&column, siemens, effective);
	for (int i = 0; i < COUNT; i++)
		ck_assert_close(effective[i], fibonacci[2 * i + 1] / fibonacci[2 * COUNT + 1]);
}
END_TEST

/*
 * Two by two between perfect drivers and perfect inputs: no two paths share a wire. The cell at both ends sees none, those at one
 * end one piece, the one at neither two.
 */
START_TEST(four_cells_between_perfect_ends)
{
	const struct irdrop circuit = { 2, 2, 5.0, 0.0, 0.0 };
	const double siemens[4] = { 1 / 100.0, 1 / 200.0, 1 / 300.0, 1 / 400.0 };
	double effective[4];

	solve(&circuit, siemens, effective);
	ck_assert_close(effective[0], 1 / 105.0);
	ck_assert_close(effective[1], 1 / 210.0);
	ck_assert_close(effective[2], 1 / 300.0);
	ck_assert_close(effective[3], 1 / 405.0);
}
END_TEST

/*
 * Two by two, every resistance 1, the first source at 1 and the second at 0. With x, y the potentials of a row from its driver on and
 * u, v those of a column, Kirchhoff's equations of the eight nodes are
 *
 *	3 x0 - y0 - u0 = 1	3 x1 - y1 - v0 = 0	2 u0 - x0 - v0 = 0	3 v0 - x1 - u0 = 0
 *	2 y0 - x0 - u1 = 0	2 y1 - x1 - v1 = 0	2 u1 - y0 - v1 = 0	3 v1 - y1 - u1 = 0
 *
 * solved by 27, 20, 4, 5, 17, 13, 7 and 6 over 44 for x0, y0, x1, y1, u0, u1, v0 and v1; v0 and v1 flow out. The second source
 * alone gives 10 and 7 in the same way.
 */
START_TEST(four_cells_of_unit_resistances)
{
	const struct irdrop circuit = { 2, 2, 1.0, 1.0, 1.0 };
	const double siemens[4] = { 1, 1, 1, 1 };
	double effective[4];

	solve(&circuit, siemens, effective);
	ck_assert_close(effective[0], 7 / 44.0);
	ck_assert_close(effective[1], 6 / 44.0);
	ck_assert_close(effective[2], 10 / 44.0);
	ck_assert_close(effective[3], 7 / 44.0);
}
END_TEST

/*
 * Equal cells g between perfect wires with only drivers d and inputs s: a row is at x, all columns at y, and from the currents of
 * all rows together, X the sum of x over R rows of C cells,
 *
 *	X (1/d + C g) - R C g y = 1/d,	y (1/s + R g) = g X.
 */
START_TEST(equal_cells_between_resistive_ends)
{
	enum { ROWS = 5, COLUMNS = 4 };
	const struct irdrop circuit = { ROWS, COLUMNS, 0.0, 30.0, 50.0 };
	double siemens[ROWS * COLUMNS], effective[ROWS * COLUMNS];
	double g = 1 / 700.0, input = 1 / 50.0 + ROWS * g;
	double sum = 1 / 30.0 / (1 / 30.0 + COLUMNS * g - ROWS * COLUMNS * g * g / input);

	for (int i = 0; i < ROWS * COLUMNS; i++)
		siemens[i] = g;
	solve(&circuit, siemens, effective);
	for (int i = 0; i < ROWS * COLUMNS; i++)
		ck_assert_close(effective[i], g * sum / input / 50.0);
}
END_TEST

/* Without any resistance what flows is what the cells conduct, to the bit; stuck-off cells among them. */
START_TEST(no_resistance_changes_nothing)
{
	enum { ROWS = 37, COLUMNS = 53 };
	static double siemens[ROWS * COLUMNS], effective[ROWS * COLUMNS];
	uint64_t state = rig_seed();
	struct irdrop circuit = { .rows = _i ? COLUMNS : ROWS, .columns = _i ? ROWS : COLUMNS };

	for (int i = 0; i < ROWS * COLUMNS; i++)
		siemens[i] = draw_below(&state, 4) ? uniform(&state) * 1e-4 : 0;
	solve(&circuit, siemens, effective);
	ck_assert_mem_eq(effective, siemens, sizeof(siemens));
	memset(effective, 0, sizeof(effective));
	ck_assert_int_eq(xbar_irdrop_fast(&circuit, siemens, effective), 0);
	ck_assert_mem_eq(effective, siemens, sizeof(siemens));
}
END_TEST

/**
 * struct network - the nodal equations of a crossbar, node by node
 * @places: the rows' nodes [rows][columns], the columns' likewise, the sources, and a terminal for each column
 * @names: [places] the node that each is: places that 0 ohm joins are the same node
 * @matrix: [places][places] admittances between nodes
 */
struct network {
	uint32_t places;
	uint32_t *names;
	long double *matrix;
};

static void join(struct network *network, uint32_t a, uint32_t b)
{
	uint32_t from = network->names[a], to = network->names[b];

	for (uint32_t i = 0; i < network->places; i++)
		if (network->names[i] == from || network->names[i] == to)
			/* Sources and terminals, at the end, keep their names. */
			network->names[i] = from > to ? from : to;
}

static void connect(struct network *network, uint32_t a, uint32_t b, long double siemens)
{
	size_t n = network->places, i = network->names[a], j = network->names[b];

	network->matrix[i * n + i] += siemens;
	network->matrix[j * n + j] += siemens;
	network->matrix[i * n + j] -= siemens;
	network->matrix[j * n + i] -= siemens;
}

static void wire(struct network *network, uint32_t a, uint32_t b, double ohm, bool joining)
{
	if (joining && ohm == 0)
		join(network, a, b);
	else if (!joining && ohm > 0)
		connect(network, a, b, 1.0L / ohm);
}

static void add_wires(struct network *network, const struct irdrop *circuit, bool joining)
{
	uint32_t columns = circuit->columns, cells = circuit->rows * columns;
	uint32_t sources = 2 * cells, terminals = sources + circuit->rows;

	for (uint32_t r = 0; r < circuit->rows; r++)
		for (uint32_t c = 0; c < columns; c++) {
			uint32_t at = r * columns + c, below = cells + at + columns;
			bool first = c == 0, last = r + 1 == circuit->rows;

			wire(network, at, first ? sources + r : at - 1,
			     first ? circuit->driver_ohm : circuit->wire_ohm, joining);
			wire(network, cells + at, last ? terminals + c : below,
			     last ? circuit->sense_ohm : circuit->wire_ohm, joining);
		}
}

/* Gauss: takes node @k out of the network, leaving what its neighbours see of each other through it. */
static void eliminate(struct network *network, uint32_t k)
{
	size_t n = network->places;
	const long double *pivot = network->matrix + k * n;

	for (size_t i = k + 1; i < n; i++) {
		long double *row = network->matrix + i * n;
		long double multiple = row[k] / pivot[k];

		for (size_t j = k; multiple != 0 && j < n; j++)
			row[j] -= multiple * pivot[j];
	}
}

/* What is left between sources and terminals is, with its sign turned, what one drives out of the other. */
static void solve_network(const struct irdrop *circuit, const double *siemens, double *effective)
{
	uint32_t columns = circuit->columns, cells = circuit->rows * columns;
	uint32_t terminals = 2 * cells + circuit->rows;
	struct network network = { .places = terminals + columns };
	size_t n = network.places;

	network.names = malloc(n * sizeof(*network.names));
	network.matrix = calloc(n * n, sizeof(*network.matrix));
	ck_assert(network.names && network.matrix);
	for (uint32_t i = 0; i < n; i++)
		network.names[i] = i;
	add_wires(&network, circuit, true);
	add_wires(&network, circuit, false);
	for (uint32_t i = 0; i < cells; i++)
		connect(&network, i, cells + i, siemens[i]);
	for (uint32_t k = 0; k < 2 * cells; k++)
		if (network.names[k] == k)
			eliminate(&network, k);
	for (uint32_t r = 0; r < circuit->rows; r++)
		for (uint32_t c = 0; c < columns; c++)
			effective[r * columns + c] =
				-(double)network.matrix[(terminals + c) * n + 2 * cells + r];
	free(network.names);
	free(network.matrix);
}

/* 10^-3 .. 10^3 ohm, or none. */
static double draw_ohm(uint64_t *state)
{
	return draw_below(state, 4) ? pow(10, 6 * uniform(state) - 3) : 0;
}

static void draw_circuit(uint64_t *state, uint32_t largest, struct irdrop *circuit, double *siemens)
{
	*circuit = (struct irdrop){ .rows = 1 + draw_below(state, largest),
				    .columns = 1 + draw_below(state, largest),
				    .wire_ohm = draw_ohm(state),
				    .driver_ohm = draw_ohm(state),
				    .sense_ohm = draw_ohm(state) };
	for (uint32_t i = 0; i < circuit->rows * circuit->columns; i++)
		siemens[i] = draw_below(state, 8) ? pow(10, 4 * uniform(state) - 7) : 0;
}

/* To 1e-9 of the largest of the row. */
static void assert_same(const struct irdrop *circuit, const double *value, const double *expected)
{
	for (uint32_t r = 0; r < circuit->rows; r++) {
		double largest = 0;

		for (uint32_t c = 0; c < circuit->columns; c++)
			largest = fmax(largest, expected[r * circuit->columns + c]);
		for (uint32_t c = 0; c < circuit->columns; c++) {
			uint32_t at = r * circuit->columns + c;

			ck_assert_msg(fabs(value[at] - expected[at]) <= TOLERANCE * largest,
				      "seed %llu, %u x %u, wire %g, driver %g, sense %g: [%u][%u] "
				      "is %.15g, not %.15g",
				      (unsigned long long)rig_seed(), circuit->rows,
				      circuit->columns, circuit->wire_ohm, circuit->driver_ohm,
				      circuit->sense_ohm, r, c, value[at], expected[at]);
		}
	}
}

#define LARGEST 11

/* Any shape, any resistances and none, conductances over four decades and none. */
START_TEST(any_circuit_obeys_its_nodal_equations)
{
	double siemens[LARGEST * LARGEST], effective[LARGEST * LARGEST],
		expected[LARGEST * LARGEST];
	uint64_t state = rig_seed() + (uint64_t)_i;
	struct irdrop circuit;

	draw_circuit(&state, LARGEST, &circuit, siemens);
	solve_network(&circuit, siemens, expected);
	solve(&circuit, siemens, effective);
	assert_same(&circuit, effective, expected);
}
END_TEST

/* With no more nodes than it puts on an axis itself, the fast method leaves nothing out. */
START_TEST(fast_is_exact_where_it_is_small)
{
	double siemens[81], effective[81], expected[81];
	uint64_t state = rig_seed() + (uint64_t)_i;
	struct irdrop circuit;

	draw_circuit(&state, 9, &circuit, siemens);
	solve(&circuit, siemens, expected);
	ck_assert_int_eq(xbar_irdrop_fast(&circuit, siemens, effective), 0);
	assert_same(&circuit, effective, expected);
}
END_TEST

/*
 * Read from the other side, with driver and input exchanged, a circuit has the same conductances. The fast method agrees where its
 * nodes divide the sides evenly, as here.
 */
START_TEST(circuits_are_reciprocal)
{
	enum { ROWS = 41, COLUMNS = 25, CELLS = ROWS * COLUMNS };
	static double siemens[CELLS], turned[CELLS], effective[CELLS], back[CELLS], expected[CELLS];
	const struct irdrop circuit = { ROWS, COLUMNS, 2.5, 40.0, 300.0 };
	const struct irdrop other = { COLUMNS, ROWS, 2.5, 300.0, 40.0 };
	int (*method)(const struct irdrop *, const double *, double *) =
		_i ? xbar_irdrop_fast : xbar_irdrop_exact;
	uint64_t state = rig_seed();

	for (int i = 0; i < CELLS; i++)
		siemens[i] = uniform(&state) * 1e-4;
	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < COLUMNS; c++)
			turned[(COLUMNS - 1 - c) * ROWS + ROWS - 1 - r] = siemens[r * COLUMNS + c];
	ck_assert_int_eq(method(&circuit, siemens, expected), 0);
	ck_assert_int_eq(method(&other, turned, back), 0);
	for (int r = 0; r < ROWS; r++)
		for (int c = 0; c < COLUMNS; c++)
			effective[r * COLUMNS + c] = back[(COLUMNS - 1 - c) * ROWS + ROWS - 1 - r];
	assert_same(&circuit, effective, expected);
}
END_TEST

/* Equal cells and equal ends: the mirror image in the diagonal from the first driver to the last input is the circuit itself. */
START_TEST(symmetric_arrays_stay_symmetric)
{
	enum { SIDE = 33 };
	static double siemens[SIDE * SIDE], effective[SIDE * SIDE];
	const struct irdrop circuit = { SIDE, SIDE, 1.0, 75.0, 75.0 };

	for (int i = 0; i < SIDE * SIDE; i++)
		siemens[i] = 4e-5;
	solve(&circuit, siemens, effective);
	for (int r = 0; r < SIDE; r++)
		for (int c = 0; c < SIDE; c++) {
			double mirrored = effective[(SIDE - 1 - c) * SIDE + SIDE - 1 - r];

			ck_assert_close(effective[r * SIDE + c], mirrored);
			/* Nearer to its driver and nearer to its input is better. */
			if (c)
				ck_assert_double_lt(effective[r * SIDE + c],
						    effective[r * SIDE + c - 1]);
			if (r)
				ck_assert_double_gt(effective[r * SIDE + c],
						    effective[(r - 1) * SIDE + c]);
		}
}
END_TEST

/* The nodal equations for all sources at once, each at a voltage of its own, give the sums of effective conductances. */
START_TEST(currents_are_superposed)
{
	enum { ROWS = 7, COLUMNS = 9 };
	const struct irdrop circuit = { ROWS, COLUMNS, 4.0, 25.0, 60.0 };
	double siemens[ROWS * COLUMNS], effective[ROWS * COLUMNS], volt[ROWS];
	uint64_t state = rig_seed();
	uint32_t cells = ROWS * COLUMNS, sources = 2 * cells, terminals = sources + ROWS;
	struct network network = { .places = terminals + COLUMNS };
	size_t n = network.places;

	for (uint32_t i = 0; i < cells; i++)
		siemens[i] = uniform(&state) * 1e-3;
	for (uint32_t r = 0; r < ROWS; r++)
		volt[r] = uniform(&state) - 0.5;
	solve(&circuit, siemens, effective);

	network.names = malloc(n * sizeof(*network.names));
	network.matrix = calloc(n * n, sizeof(*network.matrix));
	ck_assert(network.names && network.matrix);
	for (uint32_t i = 0; i < n; i++)
		network.names[i] = i;
	add_wires(&network, &circuit, false);
	for (uint32_t i = 0; i < cells; i++)
		connect(&network, i, cells + i, siemens[i]);
	/* All sources together are one place at 1 V if what each drives is scaled with its voltage. */
	for (uint32_t k = 0; k < sources; k++) {
		long double driven = 0;

		for (uint32_t r = 0; r < ROWS; r++)
			driven += network.matrix[k * n + sources + r] * volt[r];
		network.matrix[k * n + sources] = driven;
	}
	for (uint32_t k = 0; k < sources; k++)
		eliminate(&network, k);
	for (uint32_t c = 0; c < COLUMNS; c++) {
		double current = -(double)network.matrix[(terminals + c) * n + sources], sum = 0;

		for (uint32_t r = 0; r < ROWS; r++)
			sum += volt[r] * effective[r * COLUMNS + c];
		ck_assert_double_eq_tol(sum, current, TOLERANCE * 1e-3);
	}
	free(network.names);
	free(network.matrix);
}
END_TEST

/**
 * struct fast_case - what the fast method may miss of a whole tile
 * @on_ohm: of a cell at its largest conductance; the others are at 0, 1 or 2 thirds of it, the smallest a thousandth
 * @end_ohm: of drivers and inputs
 * @sparse: one cell of five is at the largest conductance, the others at the smallest
 * @error: bound of the Frobenius norm of the difference over that of the exact conductances
 */
static const struct fast_case {
	double on_ohm;
	double wire_ohm;
	double end_ohm;
	double error;
	bool sparse;
} fast_cases[] = {
	{ 100e3, 0.5, 0, 0.0001, false }, { 100e3, 5, 0, 0.0005, false },
	{ 25e3, 1, 0, 0.0005, false },	  { 25e3, 1, 100, 0.001, false },
	{ 25e3, 5, 100, 0.0025, false },  { 10e3, 1, 0, 0.001, false },
	{ 10e3, 2, 100, 0.0035, false },  { 10e3, 5, 1000, 0.005, false },
	{ 2e3, 0.5, 0, 0.0025, false },	  { 2e3, 2, 0, 0.01, false },
	{ 2e3, 5, 0, 0.015, false },	  { 2e3, 5, 100, 0.015, false },
	{ 100e3, 5, 0, 0.0005, true },	  { 25e3, 1, 100, 0.0018, true },
	{ 10e3, 1, 0, 0.0016, true },	  { 10e3, 5, 1000, 0.045, true },
	{ 2e3, 0.5, 0, 0.006, true },	  { 2e3, 5, 100, 0.045, true },
};
#define FAST_CASES (sizeof(fast_cases) / sizeof(fast_cases[0]))

START_TEST(fast_is_close_on_a_whole_tile)
{
	enum { SIDE = 128, CELLS = SIDE * SIDE };
	static double siemens[CELLS], exact[CELLS], fast[CELLS];
	const struct fast_case *bounds = &fast_cases[_i];
	const struct irdrop circuit = { SIDE, SIDE, bounds->wire_ohm, bounds->end_ohm,
					bounds->end_ohm };
	uint64_t state = rig_seed() + (uint64_t)_i;
	double difference = 0, norm = 0, error;

	for (int i = 0; i < CELLS; i++)
		siemens[i] =
			fmax(bounds->sparse ? !draw_below(&state, 5) : draw_below(&state, 4) / 3.0,
			     1e-3) /
			bounds->on_ohm;
	solve(&circuit, siemens, exact);
	ck_assert_int_eq(xbar_irdrop_fast(&circuit, siemens, fast), 0);
	for (int i = 0; i < CELLS; i++) {
		ck_assert_double_ge(fast[i], 0);
		difference += (fast[i] - exact[i]) * (fast[i] - exact[i]);
		norm += exact[i] * exact[i];
	}
	error = sqrt(difference / norm);
	printf("# Ron %g ohm, wire %g ohm, ends %g ohm%s: error %.5f\n", bounds->on_ohm,
	       bounds->wire_ohm, bounds->end_ohm, bounds->sparse ? ", a fifth on" : "", error);
	ck_assert_double_le(error, bounds->error);
}
END_TEST

/* Every group of four in the solvers has its tail: sides that are no multiple of anything. */
START_TEST(sides_of_any_length)
{
	static double siemens[45 * 45], effective[45 * 45], expected[45 * 45];
	const struct irdrop circuit = { 31 + (uint32_t)_i % 4, 31 + (uint32_t)_i / 4, 1.0, 10.0,
					20.0 };
	uint64_t state = rig_seed() + (uint64_t)_i;

	for (uint32_t i = 0; i < circuit.rows * circuit.columns; i++)
		siemens[i] = uniform(&state) * 1e-4;
	solve_network(&circuit, siemens, expected);
	solve(&circuit, siemens, effective);
	assert_same(&circuit, effective, expected);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar irdrop");
	TCase *tests = tcase_create("irdrop");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, one_cell_is_a_series);
	tcase_add_test(tests, unit_ladders_are_fibonacci_numbers);
	tcase_add_test(tests, four_cells_between_perfect_ends);
	tcase_add_test(tests, four_cells_of_unit_resistances);
	tcase_add_test(tests, equal_cells_between_resistive_ends);
	tcase_add_loop_test(tests, no_resistance_changes_nothing, 0, 2);
	tcase_add_loop_test(tests, any_circuit_obeys_its_nodal_equations, 0, 100);
	tcase_add_loop_test(tests, fast_is_exact_where_it_is_small, 0, 100);
	tcase_add_loop_test(tests, circuits_are_reciprocal, 0, 2);
	tcase_add_test(tests, symmetric_arrays_stay_symmetric);
	tcase_add_test(tests, currents_are_superposed);
	tcase_add_loop_test(tests, sides_of_any_length, 0, 2);
	tcase_add_loop_test(tests, fast_is_close_on_a_whole_tile, 0, FAST_CASES);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
