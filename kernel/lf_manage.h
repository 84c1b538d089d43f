/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Management commands, one at a time on queue 0. All sleep and must be called between
 * drm_dev_enter() and drm_dev_exit() once the device is registered.
 *
 * Errors of all: -ENOENT no such matrix, -EBUSY it is not in the right state, -ENOSPC no tiles or
 * entries, -EEXIST the name is taken, -EDQUOT, -EIO, -EINVAL, -ETIMEDOUT, -ENODEV; and -ECANCELED where
 * a reset leaves open whether the command was executed.
 */
#ifndef LF_MANAGE_H
#define LF_MANAGE_H

#include <linux/types.h>

#include <lf/lf_hw.h>

struct lf_device;

/* Entries that one lf_manage_list() can return. */
#define LF_MANAGE_LIST_ENTRIES (LF_PAGE_BYTES / sizeof(struct lf_matrix_info))

int lf_manage_init(struct lf_device *lf);
int lf_manage_create(struct lf_device *lf, u32 account, u32 rows, u32 cols, u32 format,
		     u32 *matrix);
int lf_manage_commit(struct lf_device *lf, u32 matrix);
int lf_manage_refresh(struct lf_device *lf, u32 matrix, u32 account, u64 *cells_written);
int lf_manage_publish(struct lf_device *lf, u32 matrix, const struct lf_publication *publication);
int lf_manage_delete(struct lf_device *lf, u32 matrix);
int lf_manage_list(struct lf_device *lf, u32 first, u32 count, struct lf_matrix_info *entries,
		   u32 *written);
int lf_manage_account(struct lf_device *lf, u32 account, const u64 *quota,
		      struct lf_account *answer);
int lf_manage_sanitize(struct lf_device *lf, u32 count, u64 *dirty);
int lf_status_error(u32 status);

/*
 * Whether an error leaves open if the command was executed: a reset came between it and its record, or the record
 * said something that does not exist.
 */
static inline bool lf_manage_is_open(int error)
{
	return error == -ECANCELED || error == -ETIMEDOUT || error == -EIO;
}

#endif
