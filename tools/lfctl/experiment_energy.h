/* SPDX-License-Identifier: MIT */
/* Energy of methods against each other: what they read, move and write, and where one begins to cost less than another. */
#ifndef LFCTL_EXPERIMENT_ENERGY_H
#define LFCTL_EXPERIMENT_ENERGY_H

/**
 * struct energy_cost - what a method costs, means over its runs
 * @adapt_pj: reads of crossbars for adapting to a task
 * @adapt_bytes: moved between host and device for that
 * @cells: written for that
 * @writes_pj: what the device says that writing them took
 * @token_pj: reads of crossbars for a token of inference
 * @token_bytes: moved for a token
 * @adapt_macs: multiply-accumulates of the host for adapting, as far as they are counted
 * @token_macs: the same for a token of inference
 */
struct energy_cost {
	double adapt_pj;
	double adapt_bytes;
	double cells;
	double writes_pj;
	double token_pj;
	double token_bytes;
	double adapt_macs;
	double token_macs;
};

/**
 * struct energy_price - what is assumed
 * @cell_pj: energy of writing a cell, below 0 for what the device says
 * @byte_pj: energy of a byte between host and device
 * @mac_pj: energy of a multiply-accumulate of the host
 */
struct energy_price {
	double cell_pj;
	double byte_pj;
	double mac_pj;
};

enum energy_verdict {
	ENERGY_NEVER,  /* costs less, however many tokens are read afterwards */
	ENERGY_ALWAYS, /* costs less from the adaptation on */
	ENERGY_UP_TO,  /* costs less as long as few tokens are read */
	ENERGY_FROM,   /* costs less once many tokens are read */
};

/** energy_adaptation_pj() - adapting to a task: reads + bytes, cells and multiplications, each times its price */
double energy_adaptation_pj(const struct energy_cost *cost, const struct energy_price *price);

/** energy_token_pj() - a token of inference: reads + bytes and multiplications, each times its price */
double energy_token_pj(const struct energy_cost *cost, const struct energy_price *price);

/**
 * energy_break_even_pj_cell() - energy of writing a cell above which one method costs less than another
 * @one: writes fewer cells
 * @other: the method it is compared with
 * @price: assumed; that of a cell is not used
 * @tokens: of inference after the adaptation
 *
 * With everything but writes R = adapt + tokens * token of each: (R_one - R_other) / (cells_other - cells_one).
 *
 * Return: pJ a cell, 0 where @one costs less at any; INFINITY where it writes as many cells or more.
 */
double energy_break_even_pj_cell(const struct energy_cost *one, const struct energy_cost *other,
				 const struct energy_price *price, double tokens);

/**
 * energy_crossover() - does a method cost less than another, and for how long
 * @one: the method
 * @other: the method it is compared with
 * @price: assumed
 * @tokens: receives the tokens of inference after one adaptation at which both cost the same, where there are such
 *
 * Adaptations A and tokens t of both: A_one + T t_one = A_other + T t_other at T = (A_other - A_one) / (t_one - t_other).
 */
enum energy_verdict energy_crossover(const struct energy_cost *one, const struct energy_cost *other,
				     const struct energy_price *price, double *tokens);

#endif
