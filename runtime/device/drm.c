// SPDX-License-Identifier: MIT
/* Finding and opening a device of the lf_accel kernel driver, its buffers, telemetry and quota. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "runtime/device/drm.h"
#include "runtime/device/status.h"

#define DRIVER_NAME  "lf_accel"
#define CLASS_FOLDER "/sys/class/accel"

int drm_call(const struct lf_device *device, unsigned long request, void *argument)
{
	return drmIoctl(drm_fd(device), request, argument) ? -errno : 0;
}

/*
 * The driver is told from sysfs, so that a node one may not open is found too: the user
 * then learns about the permission and does not end up on the model.
 */
bool lf_drm_find(char *path, size_t path_bytes)
{
	unsigned long lowest = ULONG_MAX;
	struct dirent *entry;
	DIR *folder = opendir(CLASS_FOLDER);

	if (!folder)
		return false;
	while ((entry = readdir(folder))) {
		char link[PATH_MAX], target[PATH_MAX];
		const char *driver;
		unsigned long number;
		ssize_t length;

		if (sscanf(entry->d_name, "accel%lu", &number) != 1 || number >= lowest)
			continue;
		snprintf(link, sizeof(link), CLASS_FOLDER "/%s/device/driver", entry->d_name);
		length = readlink(link, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		driver = strrchr(target, '/');
		if (!strcmp(driver ? driver + 1 : target, DRIVER_NAME))
			lowest = number;
	}
	closedir(folder);
	if (lowest == ULONG_MAX)
		return false;
	snprintf(path, path_bytes, "/dev/accel/accel%lu", lowest);
	return true;
}

static int open_node(const char *path, struct lf_error *error)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int code = errno;

	if (fd >= 0)
		return fd;
	if (code == EACCES || code == EPERM)
		return lf_error_set(error, -EACCES,
				    "device %s: not permitted; join the group that owns the node "
				    "(render, by the project's udev rule) or run as root",
				    path);
	if (code == ENOENT || code == ENXIO || code == ENODEV || code == ENOTDIR)
		return lf_error_set(error, -ENODEV,
				    "device %s: absent; is the module " DRIVER_NAME " loaded?",
				    path);
	return lf_error_set(error, -code, "device %s: %s", path, strerror(code));
}

static int check_driver(int fd, const char *path, struct lf_error *error)
{
	drmVersionPtr version = drmGetVersion(fd);
	int err = 0;

	if (!version)
		return lf_error_set(error, -ENODEV, "device %s: not an accelerator", path);
	if (strcmp(version->name, DRIVER_NAME))
		err = lf_error_set(error, -ENODEV, "device %s: driven by %s, not by " DRIVER_NAME,
				   path, version->name);
	drmFreeVersion(version);
	return err;
}

static int describe(struct lf_device *device, const char *path, struct lf_error *error)
{
	struct drm_lf_device_info limits = { 0 };
	struct drm_lf_query query = {
		.type = DRM_LF_QUERY_DEVICE,
		.size = sizeof(limits),
		.pointer = (uintptr_t)&limits,
	};
	struct lf_device_info *info = &device->info;
	int err = drm_call(device, DRM_IOCTL_LF_QUERY, &query);

	if (err)
		return lf_error_set(error, err == -ENODEV ? err : -EPROTO,
				    "device %s: the driver does not answer a query: %s", path,
				    strerror(-err));
	if (limits.hw_version >> 16 != LF_HW_VERSION_MAJOR)
		return lf_error_set(
			error, -EPROTO,
			"device %s: speaks version %u.%u of the interface, this library "
			"%u.x: update the older of the two",
			path, limits.hw_version >> 16, limits.hw_version & 0xffff,
			LF_HW_VERSION_MAJOR);
	*info = (struct lf_device_info){
		.kind = "drm",
		.formats = limits.formats,
		.job_commands = limits.job_commands,
		/* One is the job's record. */
		.job_buffers = limits.job_buffers - 1,
		.job_matrices = limits.job_matrices,
		.job_scratch_bytes = limits.job_scratch_bytes,
		.batch = limits.batch,
		.matrices = limits.matrices,
		.matrix_rows = limits.matrix_rows,
		.matrix_cols = limits.matrix_cols,
		.tiles = limits.tiles,
		.tile_rows = limits.tile_rows,
		.tile_cols = limits.tile_cols,
		.tile_weights = limits.tile_weights,
		.cell_bits = limits.cell_bits,
		.adc_bits = limits.adc_bits,
		.dac_bits = limits.dac_bits,
		.buffer_bytes = limits.buffer_bytes,
	};
	memcpy(info->bus, limits.bus, sizeof(info->bus) - 1);
	memcpy(info->preset, limits.preset, sizeof(info->preset) - 1);
	snprintf(info->path, sizeof(info->path), "%s", path);
	return 0;
}

static void drm_close(struct lf_device *device)
{
	close(drm_fd(device));
	free(device);
}

static int read_telemetry(struct lf_device *device, uint32_t scope, struct lf_telemetry *telemetry)
{
	struct drm_lf_telemetry query = { .scope = scope };
	int err = drm_call(device, DRM_IOCTL_LF_TELEMETRY, &query);

	if (!err)
		lf_telemetry_from_block(&query.block, telemetry);
	return err;
}

static int drm_counters(struct lf_device *device, struct lf_counters *counters,
			struct lf_error *error)
{
	struct lf_telemetry telemetry;
	int err = read_telemetry(device, DRM_LF_TELEMETRY_CONTEXT, &telemetry);

	if (err)
		return lf_error_set(error, err, "counters: %s", strerror(-err));
	*counters = telemetry.total;
	return 0;
}

static int drm_telemetry(struct lf_device *device, struct lf_telemetry *telemetry,
			 struct lf_error *error)
{
	int err = read_telemetry(device, DRM_LF_TELEMETRY_DEVICE, telemetry);

	if (err == -EPERM || err == -EACCES)
		return lf_error_set(error, err,
				    "telemetry: that of a whole device needs CAP_PERFMON, energy "
				    "being a side channel");
	if (err)
		return lf_error_set(error, err, "telemetry: %s", strerror(-err));
	return 0;
}

static int drm_quota(struct lf_device *device, uint32_t account, const uint64_t *new_quota_cells,
		     struct lf_account *quota, struct lf_error *error)
{
	struct drm_lf_quota query = {
		.account = account,
		.flags = new_quota_cells ? DRM_LF_QUOTA_SET : 0,
		.quota_cells = new_quota_cells ? *new_quota_cells : 0,
	};
	int err = drm_call(device, DRM_IOCTL_LF_QUOTA, &query);

	if (err)
		return lf_error_set(error, err, "quota of user %u: %s", account,
				    err == -ENOSPC ? "the ledger is full" : strerror(-err));
	*quota = (struct lf_account){
		.account = account,
		.quota_cells = query.quota_cells,
		.written_cells = query.written_cells,
		.tiles = query.tiles,
	};
	return 0;
}

int drm_buffer_create(struct lf_buffer *buffer, struct lf_error *error)
{
	struct drm_lf_bo_create create = { .size = buffer->bytes };
	int err = drm_call(buffer->device, DRM_IOCTL_LF_BO_CREATE, &create);

	if (err == -ENOSPC)
		return lf_error_set(
			error, err,
			"buffer of %zu bytes: beyond the limit of locked memory (ulimit "
			"-l)",
			buffer->bytes);
	if (err)
		return lf_error_set(error, err, "buffer of %zu bytes: %s", buffer->bytes,
				    strerror(-err));
	buffer->handle = create.handle;
	buffer->bytes = create.size;
	buffer->data = mmap(NULL, buffer->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			    drm_fd(buffer->device), (off_t)create.mmap_offset);
	if (buffer->data != MAP_FAILED)
		return 0;
	err = lf_error_set(error, -errno, "buffer of %zu bytes: %s", buffer->bytes,
			   strerror(errno));
	drmCloseBufferHandle(drm_fd(buffer->device), buffer->handle);
	return err;
}

void drm_buffer_destroy(struct lf_buffer *buffer)
{
	munmap(buffer->data, buffer->bytes);
	drmCloseBufferHandle(drm_fd(buffer->device), buffer->handle);
}

static const struct lf_backend drm_backend = {
	.close = drm_close,
	.counters = drm_counters,
	.telemetry = drm_telemetry,
	.quota = drm_quota,
	.buffer_create = drm_buffer_create,
	.buffer_destroy = drm_buffer_destroy,
	.matrix_create = drm_matrix_create,
	.matrix_open = drm_matrix_open,
	.matrix_close = drm_matrix_close,
	.matrix_commit = drm_matrix_commit,
	.matrix_publish = drm_matrix_publish,
	.matrix_unlink = drm_matrix_unlink,
	.matrix_refresh = drm_matrix_refresh,
	.matrix_info = drm_matrix_info,
	.matrix_list = drm_matrix_list,
	.job_create = drm_job_create,
	.job_destroy = drm_job_destroy,
	.job_submit = drm_job_submit,
	.job_wait = drm_job_wait,
};

int lf_drm_open(const char *path, struct lf_device **device, struct lf_error *error)
{
	struct drm_device *opened;
	int fd = open_node(path, error);
	int err;

	if (fd < 0)
		return fd;
	err = check_driver(fd, path, error);
	if (err)
		goto close_node;
	opened = calloc(1, sizeof(*opened));
	if (!opened) {
		err = lf_error_set(error, -ENOMEM, "device %s: out of memory", path);
		goto close_node;
	}
	opened->device.backend = &drm_backend;
	opened->fd = fd;
	err = describe(&opened->device, path, error);
	if (err)
		goto free_device;
	*device = &opened->device;
	return 0;

free_device:
	free(opened);
close_node:
	close(fd);
	return err;
}
