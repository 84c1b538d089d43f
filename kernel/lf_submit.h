/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs from userspace.
 */
#ifndef LF_SUBMIT_H
#define LF_SUBMIT_H

struct drm_device;
struct drm_file;

int lf_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
