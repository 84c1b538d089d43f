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
 * @effective: receives [rows][columns] effective conductances, siemens
 *
 * Return: 0, -ENOMEM.
 */
int xbar_irdrop_exact(const struct irdrop *circuit, const double *siemens, double *effective);

/* xbar_irdrop_fast() - the same, approximately; its error against the exact one is stated and tested. */
int xbar_irdrop_fast(const struct irdrop *circuit, const double *siemens, double *effective);

#endif
