// SPDX-License-Identifier: MIT
/* Mapping of files and their atomic replacement; see file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/io/file.h"

int lf_file_map_open(struct lf_file_map *map, const char *path, size_t limit_bytes,
		     struct lf_error *error)
{
	struct stat status;
	void *bytes;
	int descriptor;
	int ret = 0;

	/* O_NONBLOCK: opening a pipe must not wait for its other end before it is refused. */
	descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (descriptor < 0)
		return lf_error_set(error, -errno, "%s: cannot be opened: %s", path,
				    strerror(errno));
	if (fstat(descriptor, &status) < 0) {
		ret = lf_error_set(error, -errno, "%s: cannot be examined: %s", path,
				   strerror(errno));
		goto out;
	}
	if (!S_ISREG(status.st_mode)) {
		ret = lf_error_set(error, -EINVAL, "%s: is not a regular file", path);
		goto out;
	}
	if ((uintmax_t)status.st_size > limit_bytes) {
		ret = lf_error_set(error, -EFBIG, "%s: has %jd bytes, more than the limit of %zu",
				   path, (intmax_t)status.st_size, limit_bytes);
		goto out;
	}
	map->bytes = NULL;
	map->size_bytes = (size_t)status.st_size;
	if (map->size_bytes == 0)
		goto out;
	bytes = mmap(NULL, map->size_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
	if (bytes == MAP_FAILED)
		ret = lf_error_set(error, -errno, "%s: cannot be mapped: %s", path,
				   strerror(errno));
	else
		map->bytes = bytes;
out:
	close(descriptor);
	return ret;
}

void lf_file_map_close(struct lf_file_map *map)
{
	if (map->bytes)
		munmap((void *)map->bytes, map->size_bytes);
	map->bytes = NULL;
	map->size_bytes = 0;
}

int lf_file_join(char **path, const char *directory, const char *name, struct lf_error *error)
{
	size_t size = strlen(directory) + strlen(name) + 2;
	char *joined = malloc(size);

	if (!joined)
		return lf_error_set(error, -ENOMEM, "%s: no memory for a file name", directory);
	snprintf(joined, size, "%s/%s", directory, name);
	*path = joined;
	return 0;
}

int lf_file_writer_open(struct lf_file_writer *writer, const char *path, struct lf_error *error)
{
	size_t size = strlen(path) + 48;
	struct stat status;
	int ret;

	/* A rename would put a file in the place of a device or a pipe. */
	if (!stat(path, &status) && !S_ISREG(status.st_mode))
		return lf_error_set(error, S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL,
				    "%s: is not a regular file", path);
	*writer = (struct lf_file_writer){ .descriptor = -1 };
	writer->path = strdup(path);
	writer->temporary_path = malloc(size);
	if (!writer->path || !writer->temporary_path) {
		ret = lf_error_set(error, -ENOMEM, "%s: no memory for a file name", path);
		goto fail;
	}
	/*
	 * The process and the writer's address tell concurrent writers apart; a leftover of a
	 * killed process with the same pair is dead and is overwritten. Not mkstemp(), whose files
	 * ignore the umask and would need its racy query.
	 */
	snprintf(writer->temporary_path, size, "%s.%ld.%jx.tmp", path, (long)getpid(),
		 (uintmax_t)(uintptr_t)writer);
	writer->descriptor = open(writer->temporary_path,
				  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (writer->descriptor < 0) {
		ret = lf_error_set(error, -errno, "%s: cannot be created: %s",
				   writer->temporary_path, strerror(errno));
		goto fail;
	}
	return 0;
fail:
	free(writer->path);
	free(writer->temporary_path);
	*writer = (struct lf_file_writer){ .descriptor = -1 };
	return ret;
}

int lf_file_writer_write(struct lf_file_writer *writer, const void *bytes, size_t size_bytes,
			 struct lf_error *error)
{
	const unsigned char *next = bytes;

	while (size_bytes > 0) {
		ssize_t written = write(writer->descriptor, next, size_bytes);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return lf_error_set(error, -errno, "%s: cannot be written: %s",
					    writer->path, strerror(errno));
		next += written;
		size_bytes -= (size_t)written;
	}
	return 0;
}

int lf_file_writer_finish(struct lf_file_writer *writer, struct lf_error *error)
{
	int failed = fsync(writer->descriptor) < 0 ? errno : 0;

	if (close(writer->descriptor) < 0 && !failed)
		failed = errno;
	writer->descriptor = -1;
	if (failed)
		return lf_error_set(error, -failed, "%s: cannot be written to disk: %s",
				    writer->path, strerror(failed));
	return 0;
}

/* Make a rename in the directory of a file durable. */
static int sync_directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) : 0;
	char *directory;
	int descriptor;
	int ret = 0;

	if (slash == path)
		directory = strdup("/");
	else if (slash)
		directory = strndup(path, length);
	else
		directory = strdup(".");
	if (!directory)
		return -ENOMEM;
	descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(directory);
	if (descriptor < 0)
		return -errno;
	/* Some file systems cannot synchronise a directory and say EINVAL: then a rename is all. */
	if (fsync(descriptor) < 0 && errno != EINVAL)
		ret = -errno;
	close(descriptor);
	return ret;
}

int lf_file_writer_publish(struct lf_file_writer *writer, struct lf_error *error)
{
	int ret;

	if (rename(writer->temporary_path, writer->path) < 0)
		return lf_error_set(error, -errno, "%s: cannot be put in place: %s", writer->path,
				    strerror(errno));
	writer->published = true;
	ret = sync_directory_of(writer->path);
	if (ret)
		return lf_error_set(error, ret,
				    "%s: in place, but its directory is not on disk: %s",
				    writer->path, strerror(-ret));
	return 0;
}

void lf_file_writer_discard(struct lf_file_writer *writer)
{
	if (writer->descriptor >= 0)
		close(writer->descriptor);
	if (writer->temporary_path && !writer->published)
		unlink(writer->temporary_path);
	free(writer->path);
	free(writer->temporary_path);
	*writer = (struct lf_file_writer){ .descriptor = -1 };
}
