// SPDX-License-Identifier: GPL-2.0-only
/*
 * What has a matrix alone: commit and refresh. They wait for the jobs that use it, and jobs submitted
 * from then on wait for them, as for a job that writes: through a fence in its reservation. No lock is
 * held while the device is at work. A reset may come between the command and its record; the directory
 * then tells whether it was executed.
 */
#include <linux/capability.h>
#include <linux/dma-resv.h>

#include <drm/drm_drv.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_exclusive.h"
#include "lf_fence.h"
#include "lf_manage.h"
#include "lf_matrix.h"

/* From here on others wait for @fence. Whom it waits for itself goes to @before, NULL for nobody. */
static int add_fence(struct lf_matrix *matrix, struct dma_fence *fence, struct dma_fence **before)
{
	struct dma_resv *resv = matrix->gem.resv;
	int err;

	err = dma_resv_reserve_fences(resv, 1);
	if (!err)
		err = dma_resv_get_singleton(resv, DMA_RESV_USAGE_READ, before);
	if (err)
		return err;
	lf_fence_init(fence, dma_fence_context_alloc(1), 1);
	dma_resv_add_fence(resv, fence, DMA_RESV_USAGE_WRITE);
	return 0;
}

static void end(struct lf_matrix *matrix, struct dma_fence *fence)
{
	dma_fence_signal(fence);
	lf_fence_put(fence);
	lf_fence_forget(&matrix->gem);
}

/*
 * Waits until nobody uses the matrix. All who come meanwhile wait for end(), so it has its turn however many they are; until
 * then nothing may allocate memory or take a reservation. Returns the fence for it, or ERR_PTR().
 */
static struct dma_fence *begin(struct lf_matrix *matrix)
{
	struct dma_fence *fence = lf_fence_alloc(matrix->gem.dev), *before;
	int err;

	if (!fence)
		return ERR_PTR(-ENOMEM);
	err = dma_resv_lock_interruptible(matrix->gem.resv, NULL);
	if (!err) {
		err = add_fence(matrix, fence, &before);
		dma_resv_unlock(matrix->gem.resv);
	}
	if (err) {
		lf_fence_put(fence);
		return ERR_PTR(err);
	}
	if (!before)
		return fence;
	err = dma_fence_wait(before, true);
	dma_fence_put(before);
	if (!err)
		return fence;
	end(matrix, fence);
	return ERR_PTR(err);
}

/* Its place is fixed, so this needs no memory. */
static int read_entry(struct lf_device *lf, const struct lf_matrix *matrix,
		      struct lf_matrix_info *info)
{
	u32 written;
	int err = lf_manage_list(lf, matrix->index, 1, info, &written);

	if (err)
		return err;
	return written && le32_to_cpu(info->matrix) == matrix->id ? 0 : -ENOENT;
}

static int commit_on_device(struct lf_device *lf, const struct lf_matrix *matrix)
{
	struct lf_matrix_info info;
	int err = lf_manage_commit(lf, matrix->id), found;

	if (!lf_manage_is_open(err))
		return err;
	found = read_entry(lf, matrix, &info);
	if (found)
		return found;
	if (info.state != LF_MATRIX_TORN)
		return 0;
	return err == -ECANCELED ? lf_manage_commit(lf, matrix->id) : err;
}

static int commit(struct lf_device *lf, struct lf_matrix *matrix)
{
	struct dma_fence *fence = begin(matrix);
	int index, err;

	if (IS_ERR(fence))
		return PTR_ERR(fence);
	if (READ_ONCE(matrix->state) != LF_MATRIX_TORN) {
		err = -EINVAL;
	} else if (drm_dev_enter(&lf->drm, &index)) {
		err = commit_on_device(lf, matrix);
		if (!err)
			WRITE_ONCE(matrix->state, LF_MATRIX_COMMITTED);
		drm_dev_exit(index);
	} else {
		err = -ENODEV;
	}
	end(matrix, fence);
	return err;
}

/**
 * lf_matrix_commit_ioctl() - DRM_IOCTL_LF_MATRIX_COMMIT
 * @drm: device
 * @data: struct drm_lf_matrix_handle
 * @file: whose handle it is
 *
 * Return: 0, -EINVAL (also: already committed), -ENOENT, -EPERM, -EBUSY (rows are missing),
 * -ERESTARTSYS, or an error of lf_manage.h.
 */
int lf_matrix_commit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_lf_matrix_handle *args = data;
	struct lf_context *context = to_lf_context(file);
	struct lf_matrix *matrix;
	int err;

	if (args->pad)
		return -EINVAL;
	matrix = lf_matrix_lookup(context, args->handle);
	if (!matrix)
		return -ENOENT;
	if (lf_matrix_is_owner(context, matrix))
		err = commit(to_lf_device(drm), matrix);
	else
		err = -EPERM;
	lf_matrix_put(matrix);
	return err;
}

/* Never asked for twice: each time wears the cells. */
static int refresh_on_device(struct lf_device *lf, const struct lf_matrix *matrix, u32 account,
			     u64 *cells_written)
{
	struct lf_matrix_info before, after;
	int err;

	err = read_entry(lf, matrix, &before);
	if (err)
		return err;
	err = lf_manage_refresh(lf, matrix->id, account, cells_written);
	if (!lf_manage_is_open(err) || read_entry(lf, matrix, &after))
		return err;
	if (after.refreshes == before.refreshes)
		return err == -EIO ? err : -ECANCELED;
	*cells_written = le64_to_cpu(after.cells);
	return 0;
}

static int refresh(struct lf_device *lf, struct lf_matrix *matrix, u32 account, u64 *cells_written)
{
	struct dma_fence *fence = begin(matrix);
	int index, err;

	if (IS_ERR(fence))
		return PTR_ERR(fence);
	if (READ_ONCE(matrix->state) == LF_MATRIX_TORN) {
		err = -EBUSY;
	} else if (drm_dev_enter(&lf->drm, &index)) {
		err = refresh_on_device(lf, matrix, account, cells_written);
		drm_dev_exit(index);
	} else {
		err = -ENODEV;
	}
	end(matrix, fence);
	return err;
}

/**
 * lf_matrix_refresh_ioctl() - DRM_IOCTL_LF_MATRIX_REFRESH
 * @drm: device
 * @data: struct drm_lf_matrix_refresh
 * @file: whose handle it is
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP (a device before 1.2), -ENOENT, -EPERM, -EBUSY (not committed, or
 * the die is too hot), -EDQUOT, -ECANCELED (a reset came first), -ERESTARTSYS, or an error of
 * lf_manage.h.
 */
int lf_matrix_refresh_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_matrix_refresh *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct lf_context *context = to_lf_context(file);
	struct lf_matrix *matrix;
	int err;

	if (args->flags)
		return -EINVAL;
	if (!lf_speaks(lf, 2))
		return -EOPNOTSUPP;
	matrix = lf_matrix_lookup(context, args->handle);
	if (!matrix)
		return -ENOENT;
	if (lf_matrix_is_owner(context, matrix) || capable(CAP_SYS_ADMIN))
		err = refresh(lf, matrix, context->account, &args->cells_written);
	else
		err = -EPERM;
	lf_matrix_put(matrix);
	return err;
}
