/* SPDX-License-Identifier: MIT */
/*
 * Systems of equations of a circuit: symmetric, positive definite, dense, with many right sides. Every sum is taken in a fixed
 * order over independent lanes, so that the bits do not depend on how the compiler arranges them.
 */
#ifndef XBAR_IRDROP_SOLVE_H
#define XBAR_IRDROP_SOLVE_H

#include <stdint.h>

/* Right sides that are solved together: 128 unknowns of them fit a first-level cache. */
#define IRDROP_LANES 32

/* @count right sides with what fills them up to whole lanes. */
uint32_t xbar_irdrop_round_up(uint32_t count);

/**
 * xbar_irdrop_factor() - A = L D L^T, without square roots
 * @n: unknowns
 * @matrix: [n][n]; the upper triangle of A is read, L is left below the diagonal
 * @pivot: receives [n], one over D
 */
void xbar_irdrop_factor(uint32_t n, double *matrix, double *pivot);

/**
 * xbar_irdrop_solve() - A^-1 times right sides
 * @n: unknowns
 * @matrix: as xbar_irdrop_factor() left it
 * @pivot: likewise
 * @sides: [n][@width], replaced by the solutions
 * @width: elements of a row of @sides, a multiple of IRDROP_LANES
 * @count: right sides to solve for; those up to whole lanes are solved with them
 */
void xbar_irdrop_solve(uint32_t n, const double *matrix, const double *pivot, double *sides,
		       uint32_t width, uint32_t count);

#endif
