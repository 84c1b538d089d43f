// SPDX-License-Identifier: MIT
/*
 * The age of matrices: when one is due for LF_OP_REFRESH, and who is told.
 */
#include "device.h"

#define NS_PER_S 1000000000ull

/* Modelled time at which @matrix is due for a refresh; UINT64_MAX for never. */
uint64_t xbar_refresh_due_ns(const struct xbar *xbar, const struct matrix *matrix)
{
	uint64_t seconds = xbar->params.refresh_s, due;

	if (matrix->state < LF_MATRIX_COMMITTED || seconds == XBAR_INFINITE)
		return UINT64_MAX;
	if (__builtin_mul_overflow(seconds, NS_PER_S, &due) ||
	    __builtin_add_overflow(due, matrix->entry.programmed_ns, &due))
		return UINT64_MAX;
	return due;
}

/* Matrices that are due. */
uint32_t xbar_refresh_count(const struct xbar *xbar)
{
	uint32_t count = 0;

	if (xbar->params.refresh_s == XBAR_INFINITE)
		return 0;
	for (uint32_t i = 0; i < xbar->params.matrices; i++)
		count += xbar_refresh_due_ns(xbar, &xbar->matrices[i]) <= xbar->counters.time_ns;
	return count;
}

/* @matrix was written: its time counts from here. */
void xbar_refresh_watch(struct xbar *xbar, const struct matrix *matrix)
{
	uint64_t due = xbar_refresh_due_ns(xbar, matrix);

	if (due < xbar->next_due_ns)
		xbar->next_due_ns = due;
}

/* Modelled time has passed since @before_ns. Matrices that were due then have been told of. */
void xbar_refresh_time_passed(struct xbar *xbar, uint64_t before_ns)
{
	uint64_t now = xbar->counters.time_ns, next = UINT64_MAX;

	if (now < xbar->next_due_ns)
		return;
	for (uint32_t i = 0; i < xbar->params.matrices; i++) {
		uint64_t due = xbar_refresh_due_ns(xbar, &xbar->matrices[i]);

		if (due > before_ns && due <= now)
			xbar_raise(xbar, LF_EVENT_REFRESH);
		if (due > now && due < next)
			next = due;
	}
	xbar->next_due_ns = next;
}
