/* SPDX-License-Identifier: MIT */
/*
 * The voltage lost along the wires of a crossbar. Row r enters at column 0 through a driver, column c leaves at the last row
 * through a converter's input, which holds it at ground; between neighbouring cells lies one piece of wire. The circuit is
 * linear, so what a column receives is sum over r of V_r times an effective conductance, whatever else is driven.
 */
#ifndef XBAR_IRDROP_H
#define XBAR_IRDROP_H

#include <stddef.h>
#include <stdint.h>

/**
 * struct irdrop - a crossbar as a circuit
 * @rows: rows of cells
 * @columns: columns of cells
 * @wire_ohm: between neighbouring cells, of a row and of a column
 * @driver_ohm: from a driver to the first cell of its row
 * @sense_ohm: from the last cell of a column to ground
 */
struct irdrop {
	uint32_t rows;
	uint32_t columns;
	double wire_ohm;
	double driver_ohm;
	double sense_ohm;
};

/**
 * xbar_irdrop_exact() - effective conductances by nodal analysis
 * @circuit: the crossbar; resistances may be 0
 * @siemens: [rows][columns] conductances of the cells
 * @effective: receives [rows][columns] effective conductances, siemens; not @siemens itself
 *
 * Agrees with circuits that are solved by hand, and with nodal equations in 80-bit arithmetic, to 1e-9 and better. May be called
 * from any thread; it takes its memory, about 0.4 MiB for 128 x 128, and gives it back.
 *
 * Return: 0, -ENOMEM.
 */
int xbar_irdrop_exact(const struct irdrop *circuit, const double *siemens, double *effective);

/**
 * xbar_irdrop_fast() - the same, approximately, some fifty times as fast
 * @circuit: as above
 * @siemens: likewise
 * @effective: likewise; never negative
 *
 * Exact up to 9 x 9 cells and for wires without resistance. For 128 x 128 cells at random quarters of a largest conductance 1/Ron,
 * Frobenius norm of the error over that of the exact conductances, with the share of the current that the voltage drop leaves,
 * and the error of arrays with a fifth of the cells on, the others at a thousandth:
 *
 *	Ron 100 kOhm, wire 5 Ohm, perfect ends		0.03 %	(79 %)	0.03 %
 *	Ron  25 kOhm, wire 1 Ohm, ends 100 Ohm		0.07 %	(58 %)	0.13 %
 *	Ron  10 kOhm, wire 1 Ohm, perfect ends		0.07 %	(66 %)	0.11 %
 *	Ron  10 kOhm, wire 5 Ohm, ends 1 kOhm		0.3 %	(6 %)	3.3 %
 *	Ron   2 kOhm, wire 0.5 Ohm, perfect ends	0.2 %	(45 %)	0.4 %
 *	Ron   2 kOhm, wire 5 Ohm, ends 100 Ohm		1.2 %	(5 %)	3.6 %
 *
 * tests/unit/test_xbar_irdrop.c holds it to these figures.
 *
 * Return: 0, -ENOMEM.
 */
int xbar_irdrop_fast(const struct irdrop *circuit, const double *siemens, double *effective);

#endif
