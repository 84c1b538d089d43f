// SPDX-License-Identifier: MIT
/* Matrices behind the kernel driver: one ioctl a call, and its error as a sentence. */
#include <errno.h>
#include <string.h>

#include "runtime/device/drm.h"

int drm_matrix_create(struct lf_matrix *matrix, struct lf_error *error)
{
	struct drm_lf_matrix_create create = {
		.rows = matrix->rows,
		.cols = matrix->cols,
		.format = matrix->format,
	};
	int err = drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_CREATE, &create);

	if (err)
		return lf_error_set(error, err, "matrix of %u x %u: %s", matrix->rows, matrix->cols,
				    strerror(-err));
	matrix->handle = create.handle;
	return 0;
}

int drm_matrix_open(struct lf_matrix *matrix, const char *name, struct lf_error *error)
{
	struct drm_lf_matrix_open open = { 0 };
	int err;

	memcpy(open.name, name, strlen(name));
	err = drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_OPEN, &open);
	if (err == -ENOENT)
		return lf_error_set(error, err, "matrix \"%s\": there is none of this name", name);
	if (err == -EACCES)
		return lf_error_set(error, err, "matrix \"%s\": its mode does not let you read",
				    name);
	if (err)
		return lf_error_set(error, err, "matrix \"%s\": %s", name, strerror(-err));
	matrix->handle = open.handle;
	return 0;
}

void drm_matrix_close(struct lf_matrix *matrix)
{
	struct drm_lf_matrix_handle handle = { .handle = matrix->handle };

	drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_CLOSE, &handle);
}

int drm_matrix_commit(struct lf_matrix *matrix, struct lf_error *error)
{
	struct drm_lf_matrix_handle handle = { .handle = matrix->handle };
	int err = drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_COMMIT, &handle);

	if (err)
		return lf_error_set(error, err, "commit: %s",
				    err == -EBUSY ? "rows were not programmed" : strerror(-err));
	return 0;
}

int drm_matrix_publish(struct lf_matrix *matrix, const char *name, uint32_t mode,
		       struct lf_error *error)
{
	struct drm_lf_matrix_publish publish = { .handle = matrix->handle, .mode = mode };
	int err;

	memcpy(publish.name, name, strlen(name));
	err = drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_PUBLISH, &publish);
	if (err == -EEXIST)
		return lf_error_set(error, err, "publish \"%s\": the name is taken", name);
	if (err == -EPERM)
		return lf_error_set(error, err, "publish \"%s\": the matrix is another user's",
				    name);
	if (err)
		return lf_error_set(error, err, "publish \"%s\": %s", name, strerror(-err));
	return 0;
}

int drm_matrix_unlink(struct lf_device *device, const char *name, struct lf_error *error)
{
	struct drm_lf_matrix_unlink unlink = { 0 };
	int err;

	memcpy(unlink.name, name, strlen(name));
	err = drm_call(device, DRM_IOCTL_LF_MATRIX_UNLINK, &unlink);
	if (err == -ENOENT)
		return lf_error_set(error, err, "matrix \"%s\": there is none of this name", name);
	if (err == -EPERM)
		return lf_error_set(error, err, "unlink \"%s\": the matrix is another user's",
				    name);
	if (err)
		return lf_error_set(error, err, "unlink \"%s\": %s", name, strerror(-err));
	return 0;
}

int drm_matrix_refresh(struct lf_matrix *matrix, uint64_t *cells_written, struct lf_error *error)
{
	struct drm_lf_matrix_refresh refresh = { .handle = matrix->handle };
	int err = drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_REFRESH, &refresh);

	*cells_written = refresh.cells_written;
	if (err == -ENOTTY)
		return lf_error_set(error, -EOPNOTSUPP,
				    "refresh: the driver is older than this library");
	if (err == -EPERM)
		return lf_error_set(error, err, "refresh: the matrix is another user's");
	if (err == -EDQUOT)
		return lf_error_set(error, err,
				    "refresh: needs more than the write budget of this user "
				    "allows");
	if (err)
		return lf_error_set(error, err, "refresh: %s",
				    err == -EIO ? "cells do not verify" : strerror(-err));
	return 0;
}

int drm_matrix_info(const struct lf_matrix *matrix, struct lf_matrix_info *info,
		    struct lf_error *error)
{
	struct drm_lf_matrix_info query = { .handle = matrix->handle };
	int err = drm_call(matrix->device, DRM_IOCTL_LF_MATRIX_INFO, &query);

	if (err)
		return lf_error_set(error, err, "matrix: %s", strerror(-err));
	*info = query.info;
	return 0;
}

int drm_matrix_list(struct lf_device *device, struct lf_matrix_info *entries, uint32_t count,
		    uint32_t *first, struct lf_error *error)
{
	struct drm_lf_matrix_list list = {
		.entries = (uintptr_t)entries,
		.count = count,
		.first = *first,
		.entry_bytes = sizeof(*entries),
	};
	int err = drm_call(device, DRM_IOCTL_LF_MATRIX_LIST, &list);

	if (err)
		return lf_error_set(error, err, "matrix list: %s", strerror(-err));
	*first = list.first;
	return (int)list.count;
}
