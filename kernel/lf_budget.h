/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arithmetic of what a user may hold at most: pinned pages, jobs in flight, bytes of their commands.
 */
#ifndef LF_BUDGET_H
#define LF_BUDGET_H

#include <linux/types.h>

/**
 * lf_budget_fits() - whether more may be had
 * @held: what is held, perhaps more than @limit, which may have been lowered meanwhile
 * @limit: most that may be held
 * @more: what is asked for
 *
 * Return: true if @held + @more is at most @limit, whatever the three are.
 */
static inline bool lf_budget_fits(u64 held, u64 limit, u64 more)
{
	return more <= limit && held <= limit - more;
}

#endif
