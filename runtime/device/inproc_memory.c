// SPDX-License-Identifier: MIT
/*
 * Non-volatile memory of the in-process device: a file that outlives it, or memory that does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "qemu-device/model/image.h"
#include "runtime/device/inproc.h"

/*
 * Blocks are set aside at once where the file system can: a full disk is then an error here and not
 * a signal in the middle of a write to the mapping. The room is asked for first, for a failing
 * fallocate() may take all there is before it gives up.
 */
static int set_size(int fd, uint64_t bytes)
{
	struct statvfs room;

	if (fstatvfs(fd, &room))
		return -errno;
	if (room.f_bavail < bytes / room.f_frsize)
		return -ENOSPC;
	if (!fallocate(fd, 0, 0, (off_t)bytes))
		return 0;
	if (errno != EOPNOTSUPP || ftruncate(fd, (off_t)bytes))
		return -errno;
	return 0;
}

/* Whether the file is a device's, if of another version or size: the model says what is wrong with it. */
static bool is_image(int fd)
{
	uint64_t magic = 0;

	return pread(fd, &magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	       magic == IMAGE_MAGIC;
}

/*
 * Opens the file, makes it if absent, and locks it: two devices on the same cells would destroy
 * them.
 */
static int open_file(struct inproc_memory *memory, const char *path, uint64_t bytes,
		     struct lf_error *error)
{
	struct stat status;
	int err;

	memory->fd = open(path, O_RDWR | O_CLOEXEC);
	if (memory->fd < 0 && errno == ENOENT) {
		memory->fd = open(path, O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL, 0600);
		memory->created = memory->fd >= 0;
	}
	if (memory->fd < 0)
		return lf_error_set(error, -errno, "memory %s: %s", path, strerror(errno));
	if (flock(memory->fd, LOCK_EX | LOCK_NB))
		return lf_error_set(error, errno == EWOULDBLOCK ? -EBUSY : -errno,
				    "memory %s: in use by another device", path);
	if (fstat(memory->fd, &status))
		return lf_error_set(error, -errno, "memory %s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return lf_error_set(error, -EINVAL, "memory %s: not a regular file", path);
	memory->bytes = (uint64_t)status.st_size;
	if (memory->bytes >= bytes || is_image(memory->fd))
		return 0;
	if (memory->bytes)
		return lf_error_set(error, -EPROTO,
				    "memory %s: has %llu bytes where the device needs %llu, so it "
				    "belongs to something else",
				    path, (unsigned long long)memory->bytes,
				    (unsigned long long)bytes);
	err = set_size(memory->fd, bytes);
	if (err)
		return lf_error_set(error, err, "memory %s: no room for %llu bytes: %s", path,
				    (unsigned long long)bytes, strerror(-err));
	memory->bytes = bytes;
	memory->filled = true;
	return 0;
}

int inproc_memory_open(struct inproc_memory *memory, const char *path, uint64_t bytes,
		       struct lf_error *error)
{
	int flags = path ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int err = 0;

	*memory = (struct inproc_memory){ .fd = -1, .bytes = bytes };
	if (path)
		err = open_file(memory, path, bytes, error);
	if (!err) {
		memory->data =
			mmap(NULL, memory->bytes, PROT_READ | PROT_WRITE, flags, memory->fd, 0);
		if (memory->data == MAP_FAILED) {
			memory->data = NULL;
			err = lf_error_set(error, -errno, "memory of %llu bytes: %s",
					   (unsigned long long)memory->bytes, strerror(errno));
		}
	}
	if (err)
		inproc_memory_close(memory, path, true);
	return err;
}

void inproc_memory_close(struct inproc_memory *memory, const char *path, bool discard)
{
	if (memory->data)
		munmap(memory->data, memory->bytes);
	if (discard && memory->created)
		unlink(path);
	else if (discard && memory->filled)
		/* Should that fail, the file stays as one of zeros, which means the same. */
		(void)!ftruncate(memory->fd, 0);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = (struct inproc_memory){ .fd = -1 };
}

void inproc_memory_persist(const struct inproc_memory *memory, uint64_t offset, uint64_t bytes)
{
	uint64_t begin = offset / LF_PAGE_BYTES * LF_PAGE_BYTES;

	msync((char *)memory->data + begin, offset - begin + bytes, MS_SYNC);
}
