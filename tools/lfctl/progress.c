// SPDX-License-Identifier: MIT
/* Progress bars; see progress.h. */
#include <stdio.h>
#include <unistd.h>

#include "tools/lfctl/progress.h"

#define BAR_WIDTH 30
/* Percent between two lines where there is no terminal. */
#define LINE_STEP 10

void progress_start(struct progress *progress, const char *label, bool quiet)
{
	*progress = (struct progress){ .label = label, .quiet = quiet, .printed = -LINE_STEP };
}

void progress_note(struct progress *progress, uint64_t done, uint64_t total, const char *note)
{
	int percent = total ? (int)(done * 100 / total) : 100;

	if (progress->quiet || percent == progress->printed)
		return;
	if (isatty(STDERR_FILENO)) {
		int filled = percent * BAR_WIDTH / 100;

		fprintf(stderr, "\r%-12s [%.*s%*s] %3d %% %s\033[K%s", progress->label, filled,
			"##############################", BAR_WIDTH - filled, "", percent, note,
			done == total ? "\n" : "");
		progress->open = done != total;
	} else if (percent - progress->printed >= LINE_STEP || done == total) {
		fprintf(stderr, "%s: %d %% (%llu of %llu)%s%s\n", progress->label, percent,
			(unsigned long long)done, (unsigned long long)total, *note ? " " : "",
			note);
	} else {
		return;
	}
	progress->printed = percent;
}

void progress_update(void *progress, uint64_t done, uint64_t total)
{
	progress_note(progress, done, total, "");
}

void progress_end(struct progress *progress)
{
	if (progress->open)
		fputc('\n', stderr);
	progress->open = false;
}
