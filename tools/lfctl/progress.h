/* SPDX-License-Identifier: MIT */
/* Progress on standard error: a bar on a terminal, a line now and then elsewhere. */
#ifndef LFCTL_PROGRESS_H
#define LFCTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/**
 * struct progress - one long operation
 * @label: what is going on
 * @quiet: print nothing
 * @printed: percent last printed, -1 at the start
 */
struct progress {
	const char *label;
	bool quiet;
	int printed;
};

/** progress_start() - begin */
void progress_start(struct progress *progress, const char *label, bool quiet);

/** progress_update() - an lf_progress callback; the argument is the struct */
void progress_update(void *progress, uint64_t done, uint64_t total);

/** progress_note() - the same with a remark behind the bar */
void progress_note(struct progress *progress, uint64_t done, uint64_t total, const char *note);

#endif
