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
 * @printed: percent last printed
 * @open: a bar has been begun and not ended
 */
struct progress {
	const char *label;
	bool quiet;
	int printed;
	bool open;
};

/** progress_start() - begin */
void progress_start(struct progress *progress, const char *label, bool quiet);

/** progress_update() - an lf_progress callback; the argument is the struct */
void progress_update(void *progress, uint64_t done, uint64_t total);

/** progress_note() - the same with a remark behind the bar */
void progress_note(struct progress *progress, uint64_t done, uint64_t total, const char *note);

/** progress_end() - end the bar of an operation that may have been cut short, so that what follows begins a line */
void progress_end(struct progress *progress);

#endif
