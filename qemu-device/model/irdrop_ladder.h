/* SPDX-License-Identifier: MIT */
/*
 * One line of a crossbar by itself: a wire with a source at one end, and a cell to ground at each of its nodes. Computed with
 * continued fractions of positive numbers: nothing cancels, and resistances may be 0.
 */
#ifndef XBAR_IRDROP_LADDER_H
#define XBAR_IRDROP_LADDER_H

#include <stdint.h>

/**
 * struct irdrop_line - the resistances of a line
 * @wire_ohm: between neighbouring nodes
 * @end_ohm: between the source and node 0
 */
struct irdrop_line {
	double wire_ohm;
	double end_ohm;
};

/**
 * xbar_irdrop_attenuation() - potentials of the nodes for a source of 1
 * @line: resistances
 * @siemens: [count] of the cells, node 0 first; @stride apart
 * @count: nodes, at least 1
 * @stride: elements from cell to cell, of @attenuation too; negative when node 0 is the last element
 * @attenuation: receives the potentials
 */
void xbar_irdrop_attenuation(const struct irdrop_line *line, const double *siemens, uint32_t count,
			     int64_t stride, double *attenuation);

/**
 * xbar_irdrop_admittance() - what flows into the line through its cells
 * @line: resistances
 * @siemens: [count] of the cells
 * @count: nodes, at least 1
 * @work: [5 * count] scratch
 * @admittance: [count][@stride] with c <= j; the current from outside into cell j for a potential of 1 behind cell c, source
 *	and the others grounded, is added to it
 * @stride: of @admittance
 * @injected: receives [count], the current that leaves through each cell for a source of 1, all others grounded
 * @injected_stride: elements from one to the next
 */
void xbar_irdrop_admittance(const struct irdrop_line *line, const double *siemens, uint32_t count,
			    double *work, double *admittance, uint32_t stride, double *injected,
			    uint32_t injected_stride);

#endif
