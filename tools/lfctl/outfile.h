/* SPDX-License-Identifier: MIT */
/* Files a command writes: asked about before the work begins, and put in place whole at its end. */
#ifndef LFCTL_OUTFILE_H
#define LFCTL_OUTFILE_H

#include <stdbool.h>
#include <stdio.h>

#include <lf/error.h>

/**
 * outfile_check() - whether a file or directory can be written when the work is done
 * @option: that names it, for messages
 * @path: where, NULL is fine
 * @directory: it will be a directory
 * @error: reason on failure
 *
 * Return: 0, -EISDIR, -ENOTDIR, -ENOENT, -EACCES, ...
 */
int outfile_check(const char *option, const char *path, bool directory, struct lf_error *error);

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
