/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What has a matrix alone: commit and refresh.
 */
#ifndef LF_EXCLUSIVE_H
#define LF_EXCLUSIVE_H

struct drm_device;
struct drm_file;

int lf_matrix_commit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_matrix_refresh_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
