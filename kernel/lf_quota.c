// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write budgets. The ledger is the device's and survives a power cut; it reserves before the first
 * pulse and settles at the end. Here is only who may see and set what.
 */
#include <linux/capability.h>

#include <drm/drm_drv.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_manage.h"
#include "lf_quota.h"

/**
 * lf_quota_ioctl() - DRM_IOCTL_LF_QUOTA
 * @drm: device
 * @data: struct drm_lf_quota
 * @file: the caller's
 *
 * Return: 0, -EINVAL, -EPERM, -ENOSPC (the ledger is full), or an error of lf_manage.h.
 */
int lf_quota_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_quota *args = data;
	bool set = args->flags & DRM_LF_QUOTA_SET;
	struct lf_account answer;
	int index, err;

	if (args->flags & ~DRM_LF_QUOTA_SET)
		return -EINVAL;
	if ((set || args->account != to_lf_context(file)->account) && !capable(CAP_SYS_ADMIN))
		return -EPERM;

	if (!drm_dev_enter(drm, &index))
		return -ENODEV;
	err = lf_manage_account(to_lf_device(drm), args->account, set ? &args->quota_cells : NULL,
				&answer);
	drm_dev_exit(index);
	if (err)
		return err;
	args->quota_cells = le64_to_cpu(answer.quota_cells);
	args->written_cells = le64_to_cpu(answer.written_cells);
	args->tiles = le64_to_cpu(answer.tiles);
	return 0;
}
