/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Coverage of workers, for fuzzers: what a worker does for a file counts for the one who opened it, if that one listens
 * (KCOV_REMOTE_ENABLE with a common handle). On a kernel without CONFIG_KCOV nothing is left of all this.
 */
#ifndef LF_KCOV_H
#define LF_KCOV_H

#include <linux/kcov.h>

/**
 * struct lf_kcov - whose coverage it is
 * @handle: of the process that made what a worker will work for; 0 for nobody's
 */
struct lf_kcov {
#ifdef CONFIG_KCOV
	u64 handle;
#endif
};

/* In the process that makes it. */
static inline void lf_kcov_init(struct lf_kcov *kcov)
{
#ifdef CONFIG_KCOV
	kcov->handle = kcov_common_handle();
#endif
}

/* In a worker that may sleep, until lf_kcov_stop(); @kcov may be freed meanwhile. */
static inline void lf_kcov_start(const struct lf_kcov *kcov)
{
#ifdef CONFIG_KCOV
	kcov_remote_start_common(kcov->handle);
#endif
}

static inline void lf_kcov_stop(void)
{
	kcov_remote_stop();
}

#endif
