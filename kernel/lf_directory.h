/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The device's directory: published matrices, their names and who may read them.
 */
#ifndef LF_DIRECTORY_H
#define LF_DIRECTORY_H

#include <drm/drm_device.h>

#include <lf/lf_hw.h>

struct drm_lf_matrix_create;
struct lf_device;
struct lf_context;

int lf_directory_init(struct lf_device *lf);
int lf_directory_load(struct lf_device *lf);
void lf_directory_drop(struct lf_device *lf);
int lf_directory_find(struct lf_device *lf, u32 matrix, u32 hint, struct lf_matrix_info *info);
int lf_directory_find_orphan(struct lf_device *lf, u32 account,
			     const struct drm_lf_matrix_create *wanted,
			     struct lf_matrix_info *info);
void lf_directory_redact(struct lf_matrix_info *info, const struct lf_context *context);

int lf_matrix_open_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_matrix_publish_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_matrix_unlink_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_matrix_list_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
