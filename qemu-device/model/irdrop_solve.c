// SPDX-License-Identifier: MIT
/* Dense symmetric systems; see irdrop_solve.h. */
#include <stddef.h>
#include <string.h>

#include "irdrop_solve.h"

uint32_t xbar_irdrop_round_up(uint32_t count)
{
	return (count + IRDROP_LANES - 1) / IRDROP_LANES * IRDROP_LANES;
}

void xbar_irdrop_factor(uint32_t n, double *matrix, double *pivot)
{
	/* Eliminates along rows of the upper triangle; row k becomes D_k times row k of L^T. */
	for (uint32_t k = 0; k < n; k++) {
		const double *pivot_row = matrix + (size_t)k * n;

		pivot[k] = 1 / pivot_row[k];
		for (uint32_t i = k + 1; i < n; i++) {
			double multiple = pivot_row[i] * pivot[k];
			double *row = matrix + (size_t)i * n;

			for (uint32_t j = i; j < n; j++)
				row[j] -= multiple * pivot_row[j];
			row[k] = multiple;
		}
	}
}

/* row -= sum over k of multiples[k * stride] * rows[k], k ascending. */
static void subtract_rows(double *row, const double *rows, uint32_t width, const double *multiples,
			  size_t stride, uint32_t count)
{
	double sum[IRDROP_LANES];
	uint32_t k = 0;

	memcpy(sum, row, sizeof(sum));
	for (; k + 4 <= count; k += 4) {
		const double *a = rows + (size_t)k * width, *b = a + width, *c = b + width;
		const double *d = c + width;
		double p = multiples[k * stride], q = multiples[(k + 1) * stride];
		double r = multiples[(k + 2) * stride], s = multiples[(k + 3) * stride];

		for (uint32_t lane = 0; lane < IRDROP_LANES; lane++)
			sum[lane] =
				sum[lane] - p * a[lane] - q * b[lane] - r * c[lane] - s * d[lane];
	}
	for (; k < count; k++)
		for (uint32_t lane = 0; lane < IRDROP_LANES; lane++)
			sum[lane] -= multiples[k * stride] * rows[(size_t)k * width + lane];
	memcpy(row, sum, sizeof(sum));
}

void xbar_irdrop_solve(uint32_t n, const double *matrix, const double *pivot, double *sides,
		       uint32_t width, uint32_t count)
{
	for (uint32_t first = 0; first < count; first += IRDROP_LANES) {
		double *piece = sides + first;

		for (uint32_t i = 1; i < n; i++)
			subtract_rows(piece + (size_t)i * width, piece, width,
				      matrix + (size_t)i * n, 1, i);
		for (uint32_t i = n; i-- > 0;) {
			double *row = piece + (size_t)i * width;

			for (uint32_t lane = 0; lane < IRDROP_LANES; lane++)
				row[lane] *= pivot[i];
			if (i + 1 < n)
				subtract_rows(row, row + width, width,
					      matrix + (size_t)(i + 1) * n + i, n, n - 1 - i);
		}
	}
}
