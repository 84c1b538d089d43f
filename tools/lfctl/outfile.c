// SPDX-License-Identifier: MIT
/* Output files; see outfile.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/lfctl/outfile.h"

static int check_parent(const char *option, const char *path, struct lf_error *error)
{
	const char *slash = strrchr(path, '/');
	char *parent =
		slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : strdup(".");
	int code;

	if (!parent)
		return lf_error_set(error, -ENOMEM, "--%s: no memory", option);
	code = access(parent, W_OK | X_OK) ? errno : 0;
	free(parent);
	return code ? lf_error_set(error, -code, "--%s %s: cannot be made there: %s", option, path,
				   strerror(code))
		    : 0;
}

int outfile_check(const char *option, const char *path, enum outfile_kind kind,
		  struct lf_error *error)
{
	struct stat status;
	int code;

	if (!path)
		return 0;
	if (!*path)
		return lf_error_set(error, -EINVAL, "--%s: is empty", option);
	if (stat(path, &status)) {
		if (errno != ENOENT)
			return lf_error_set(error, -errno, "--%s %s: %s", option, path,
					    strerror(errno));
		return check_parent(option, path, error);
	}
	if (kind == OUTFILE_REGULAR && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
		return lf_error_set(error, -EINVAL, "--%s %s: is not a regular file", option, path);
	code = 0;
	if ((kind == OUTFILE_DIRECTORY) != !!S_ISDIR(status.st_mode))
		code = kind == OUTFILE_DIRECTORY ? ENOTDIR : EISDIR;
	if (!code && access(path, W_OK))
		code = errno;
	if (code)
		return lf_error_set(error, -code, "--%s %s: %s", option, path, strerror(code));
	/* A regular file is replaced, which its directory must allow. */
	return S_ISREG(status.st_mode) ? check_parent(option, path, error) : 0;
}

int outfile_open(struct outfile *file, const char *path, struct lf_error *error)
{
	struct stat status;
	const char *name = path;

	*file = (struct outfile){ .path = path };
	if (!path)
		return 0;
	if (stat(path, &status) || S_ISREG(status.st_mode)) {
		if ((size_t)snprintf(file->temporary, sizeof(file->temporary), "%s.%d.tmp", path,
				     (int)getpid()) >= sizeof(file->temporary))
			return lf_error_set(error, -ENAMETOOLONG, "%s: path too long", path);
		name = file->temporary;
	}
	file->stream = fopen(name, "w");
	return file->stream ? 0 : lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
}

int outfile_flush(struct outfile *file, struct lf_error *error)
{
	errno = 0;
	if (file->stream && (fflush(file->stream) || ferror(file->stream)))
		return lf_error_set(error, errno == EIO || !errno ? -ENOSPC : -errno,
				    "%s: could not be written: %s", file->path, strerror(errno));
	return 0;
}

int outfile_close(struct outfile *file, bool keep, struct lf_error *error)
{
	int ret = 0;

	if (!file->stream)
		return 0;
	if (fclose(file->stream) && keep)
		ret = lf_error_set(error, -errno, "%s: could not be written: %s", file->path,
				   strerror(errno));
	if (*file->temporary && !ret && keep && rename(file->temporary, file->path))
		ret = lf_error_set(error, -errno, "%s: cannot be put in place: %s", file->path,
				   strerror(errno));
	if (*file->temporary && (ret || !keep))
		unlink(file->temporary);
	file->stream = NULL;
	return ret;
}
