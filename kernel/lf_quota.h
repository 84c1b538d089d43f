/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write budgets of users.
 */
#ifndef LF_QUOTA_H
#define LF_QUOTA_H

struct drm_device;
struct drm_file;

int lf_quota_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
