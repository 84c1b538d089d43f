/* SPDX-License-Identifier: MIT */
/* Whole files: mapping one to read, and replacing one so that nobody ever sees a part of it. */
#ifndef LF_IO_FILE_H
#define LF_IO_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include <lf/error.h>

/* A file mapped read-only. An empty file has bytes NULL and size_bytes 0. */
struct lf_file_map {
	const unsigned char *bytes;
	size_t size_bytes;
};

/*
 * Map a regular file of at most limit_bytes. Anything else (a directory, a device, a pipe) is
 * refused with -EINVAL and a longer file with -EFBIG, both named in the message.
 */
int lf_file_map_open(struct lf_file_map *map, const char *path, size_t limit_bytes,
		     struct lf_error *error);
void lf_file_map_close(struct lf_file_map *map);

/* Join a directory and a name; the caller frees the result. -ENOMEM otherwise. */
int lf_file_join(char **path, const char *directory, const char *name, struct lf_error *error);

/*
 * A file being written beside the place it is meant for. open, write any number of times, finish
 * (on disk, not visible), publish (visible). discard at any point, also after publish, frees what
 * is left; before publish it removes the temporary file.
 */
struct lf_file_writer {
	char *path;
	char *temporary_path;
	int descriptor;
	bool published;
};

int lf_file_writer_open(struct lf_file_writer *writer, const char *path, struct lf_error *error);
int lf_file_writer_write(struct lf_file_writer *writer, const void *bytes, size_t size_bytes,
			 struct lf_error *error);
int lf_file_writer_finish(struct lf_file_writer *writer, struct lf_error *error);
int lf_file_writer_publish(struct lf_file_writer *writer, struct lf_error *error);
void lf_file_writer_discard(struct lf_file_writer *writer);

#endif
