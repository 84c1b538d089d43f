/* SPDX-License-Identifier: MIT */
/* Files a command writes: asked about before the work begins, and put in place whole at its end. */
#ifndef LFCTL_OUTFILE_H
#define LFCTL_OUTFILE_H

#include <stdbool.h>
#include <stdio.h>

#include <lf/error.h>

enum outfile_kind {
	OUTFILE_REGULAR,   /* replaced by renaming, so nothing but a regular file may be there */
	OUTFILE_STREAM,	   /* a regular file, or a pipe or device that is written in place */
	OUTFILE_DIRECTORY, /* made if it is not there */
};

/**
 * outfile_check() - whether a file or directory can be written when the work is done
 * @option: that names it, for messages
 * @path: where, NULL is fine
 * @kind: of the file
 * @error: reason on failure
 *
 * Return: 0, -EISDIR, -ENOTDIR, -ENOENT, -EACCES, -EINVAL, ...
 */
int outfile_check(const char *option, const char *path, enum outfile_kind kind,
		  struct lf_error *error);

/**
 * struct outfile - a file being written
 * @stream: to write to; NULL if there is nothing to write
 * @path: where it will be
 * @temporary: where it is until then, empty if it is written in place, as a device or a pipe is
 */
struct outfile {
	FILE *stream;
	const char *path;
	char temporary[1024];
};

/** outfile_open() - begin; a NULL @path makes one that does nothing */
int outfile_open(struct outfile *file, const char *path, struct lf_error *error);

/** outfile_flush() - all of it is written, though not in place */
int outfile_flush(struct outfile *file, struct lf_error *error);

/** outfile_close() - put it in place, or without @keep leave nothing */
int outfile_close(struct outfile *file, bool keep, struct lf_error *error);

#endif
