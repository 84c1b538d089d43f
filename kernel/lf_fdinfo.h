/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What /proc/<process>/fdinfo/<number> says of an open file.
 */
#ifndef LF_FDINFO_H
#define LF_FDINFO_H

struct drm_file;
struct drm_printer;

void lf_fdinfo_show(struct drm_printer *printer, struct drm_file *file);

#endif
