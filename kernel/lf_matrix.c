// SPDX-License-Identifier: GPL-2.0-only
/*
 * Matrices: references, handles, creation, deletion. A matrix without users and name is
 * deleted by a worker, since deleting waits for the device and the last reference may go anywhere;
 * the worker then erases the tiles, so that what was in them does not wait for their next use.
 * Names and permissions are lf_directory.c's, commit and
 * refresh lf_exclusive.c's.
 */
#include <linux/cred.h>
#include <linux/math64.h>
#include <linux/sched.h>

#include <drm/drm_drv.h>
#include <drm/drm_print.h>
#include <drm/drm_managed.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_directory.h"
#include "lf_manage.h"
#include "lf_matrix.h"

/* Tiles erased by one command, so that other management does not wait long. */
#define LF_SANITIZE_TILES 8

/* A command may time out, or a reset end it, and the next one be served. */
#define LF_DELETE_TRIES	  4

/* Most handles of a file, and so the largest handle. */
#define LF_MATRIX_HANDLES 65535

static void sanitize(struct lf_device *lf)
{
	u64 dirty = U64_MAX, before;
	int err;

	do {
		before = dirty;
		err = lf_manage_sanitize(lf, LF_SANITIZE_TILES, &dirty);
	} while (!err && dirty && dirty < before && !READ_ONCE(lf->closing));
	if (err)
		drm_dbg(&lf->drm, "erasing dirty tiles: %d\n", err);
}

static void reap_later(struct lf_device *lf, struct lf_matrix *matrix)
{
	spin_lock(&lf->reap_lock);
	list_add_tail(&matrix->link, &lf->reap);
	spin_unlock(&lf->reap_lock);
	queue_work(lf->reap_wq, &lf->reap_work);
}

/* From here on an entry of the directory with its identifier is nobody's. */
static void forget(struct lf_device *lf, struct lf_matrix *matrix)
{
	xa_erase(&lf->matrices, matrix->id);
	kfree(matrix);
}

/* Deletes @matrix, or sees to it that it is tried again. */
static void reap(struct lf_device *lf, struct lf_matrix *matrix)
{
	int err = lf_manage_delete(lf, matrix->id);

	/* A command that timed out may have been executed. */
	if (err == -ENOENT && matrix->delete_tries)
		err = 0;
	/* What a wedged device has in its directory the next probe finds there. */
	if (err && err != -ENODEV && ++matrix->delete_tries < LF_DELETE_TRIES) {
		reap_later(lf, matrix);
		return;
	}
	if (err)
		drm_warn(&lf->drm, "matrix %u was not deleted: %d\n", matrix->id, err);
	forget(lf, matrix);
}

static void reap_work(struct work_struct *work)
{
	struct lf_device *lf = container_of(work, struct lf_device, reap_work);
	struct lf_matrix *matrix, *next;
	LIST_HEAD(dead);
	int index;

	spin_lock(&lf->reap_lock);
	list_splice_init(&lf->reap, &dead);
	spin_unlock(&lf->reap_lock);

	if (!drm_dev_enter(&lf->drm, &index)) {
		/* The next driver to find the device deletes what has no name. */
		list_for_each_entry_safe(matrix, next, &dead, link)
			forget(lf, matrix);
		return;
	}
	list_for_each_entry_safe(matrix, next, &dead, link) {
		lf_kcov_start(&matrix->kcov);
		reap(lf, matrix);
		lf_kcov_stop();
	}
	lf_kcov_start(&lf->kcov);
	sanitize(lf);
	lf_kcov_stop();
	drm_dev_exit(index);
}

static void matrix_free(struct drm_gem_object *object)
{
	struct lf_matrix *matrix = to_lf_matrix(object);
	struct lf_device *lf = to_lf_device(object->dev);

	drm_gem_object_release(object);
	if (matrix->named)
		forget(lf, matrix);
	else
		reap_later(lf, matrix);
}

static const struct drm_gem_object_funcs lf_matrix_funcs = {
	.free = matrix_free,
};

/**
 * lf_matrix_init() - what deletion needs
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_matrix_init(struct lf_device *lf)
{
	int err = drmm_mutex_init(&lf->drm, &lf->create_lock);

	if (err)
		return err;
	xa_init_flags(&lf->matrices, 0);
	spin_lock_init(&lf->reap_lock);
	INIT_LIST_HEAD(&lf->reap);
	INIT_WORK(&lf->reap_work, reap_work);
	/* Freezable: management is at rest while the system sleeps. */
	lf->reap_wq = alloc_ordered_workqueue("lf_accel-reap", WQ_FREEZABLE);
	return lf_device_own_workqueue(lf, lf->reap_wq);
}

/**
 * lf_matrix_flush() - wait until what has lost its last user is deleted and erased
 * @lf: device
 */
void lf_matrix_flush(struct lf_device *lf)
{
	flush_work(&lf->reap_work);
}

/**
 * lf_matrix_from_info() - an object for a matrix of the directory
 * @lf: device
 * @info: its entry
 *
 * Return: the matrix with one reference, ERR_PTR(-ENOMEM).
 */
struct lf_matrix *lf_matrix_from_info(struct lf_device *lf, const struct lf_matrix_info *info)
{
	struct lf_matrix *matrix = kzalloc(sizeof(*matrix), GFP_KERNEL_ACCOUNT);

	if (!matrix)
		return ERR_PTR(-ENOMEM);
	if (xa_insert(&lf->matrices, le32_to_cpu(info->matrix), matrix, GFP_KERNEL)) {
		kfree(matrix);
		return ERR_PTR(-ENOMEM);
	}
	matrix->gem.funcs = &lf_matrix_funcs;
	drm_gem_private_object_init(&lf->drm, &matrix->gem, PAGE_SIZE);
	INIT_LIST_HEAD(&matrix->link);
	lf_kcov_init(&matrix->kcov);
	matrix->id = le32_to_cpu(info->matrix);
	matrix->index = le32_to_cpu(info->index);
	matrix->shape.rows = le32_to_cpu(info->rows);
	matrix->shape.cols = le32_to_cpu(info->cols);
	matrix->shape.tile_rows = le32_to_cpu(info->tile_rows);
	matrix->shape.format = info->format;
	matrix->shape.weight_cells = div64_u64(
		le64_to_cpu(info->cells), max(1ULL, (u64)matrix->shape.rows * matrix->shape.cols));
	matrix->account = le32_to_cpu(info->account);
	matrix->state = info->state;
	matrix->publication = info->publication;
	return matrix;
}

/**
 * lf_matrix_lookup() - matrix of a handle
 * @context: whose handle it is
 * @handle: handle
 *
 * Return: the matrix with a reference for the caller, or NULL.
 */
struct lf_matrix *lf_matrix_lookup(struct lf_context *context, u32 handle)
{
	struct lf_matrix *matrix;

	xa_lock(&context->matrices);
	matrix = xa_load(&context->matrices, handle);
	if (matrix)
		lf_matrix_get(matrix);
	xa_unlock(&context->matrices);
	return matrix;
}

/**
 * lf_matrix_handle_create() - give a file a handle
 * @context: the file's
 * @matrix: matrix; on success the handle takes over the caller's reference
 * @handle: receives it
 *
 * Return: 0, -ENOMEM, -EBUSY (no free handle).
 */
int lf_matrix_handle_create(struct lf_context *context, struct lf_matrix *matrix, u32 *handle)
{
	return xa_alloc(&context->matrices, handle, matrix, XA_LIMIT(1, LF_MATRIX_HANDLES),
			GFP_KERNEL_ACCOUNT);
}

/**
 * lf_matrix_close_all() - drop all handles of a file
 * @context: the file's
 */
void lf_matrix_close_all(struct lf_context *context)
{
	struct lf_matrix *matrix;
	unsigned long handle;

	xa_for_each(&context->matrices, handle, matrix)
		lf_matrix_put(matrix);
	xa_destroy(&context->matrices);
}

/**
 * lf_matrix_is_owner() - whether a file may change a matrix
 * @context: the file's
 * @matrix: matrix
 *
 * Return: true for the file that made it, and for the owner of a published one.
 */
bool lf_matrix_is_owner(const struct lf_context *context, const struct lf_matrix *matrix)
{
	if (READ_ONCE(matrix->state) == LF_MATRIX_PUBLISHED)
		return le32_to_cpu(READ_ONCE(matrix->publication.owner)) ==
		       from_kuid(&init_user_ns, current_euid());
	return matrix->creator == context->id;
}

/* A creation whose record was lost may have been executed: then its entry is nobody's. */
static int try_create(struct lf_device *lf, struct lf_context *context,
		      const struct drm_lf_matrix_create *args, struct lf_matrix_info *info)
{
	u32 id;
	int err;

	err = lf_manage_create(lf, context->account, args->rows, args->cols, args->format, &id);
	if (lf_manage_is_open(err)) {
		if (!lf_directory_find_orphan(lf, context->account, args, info))
			return 0;
		if (err == -ECANCELED)
			err = lf_manage_create(lf, context->account, args->rows, args->cols,
					       args->format, &id);
	}
	if (err)
		return err;
	err = lf_directory_find(lf, id, 0, info);
	if (err)
		lf_manage_delete(lf, id);
	return err;
}

static struct lf_matrix *create(struct lf_device *lf, struct lf_context *context,
				const struct drm_lf_matrix_create *args)
{
	struct lf_matrix_info info;
	struct lf_matrix *matrix;
	int err;

	lockdep_assert_held(&lf->create_lock);
	err = try_create(lf, context, args, &info);
	if (err == -ENOSPC) {
		/* Matrices just closed may still hold what is missing. */
		lf_matrix_flush(lf);
		err = try_create(lf, context, args, &info);
	}
	if (err)
		return ERR_PTR(err);
	matrix = lf_matrix_from_info(lf, &info);
	if (IS_ERR(matrix))
		lf_manage_delete(lf, le32_to_cpu(info.matrix));
	return matrix;
}

/**
 * lf_matrix_create_ioctl() - DRM_IOCTL_LF_MATRIX_CREATE
 * @drm: device
 * @data: struct drm_lf_matrix_create
 * @file: receives the handle
 *
 * Return: 0, -EINVAL, or an error of lf_manage.h.
 */
int lf_matrix_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_matrix_create *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct lf_context *context = to_lf_context(file);
	struct lf_matrix *matrix;
	int index, err;

	if (args->flags || args->pad)
		return -EINVAL;
	if (!args->rows || args->rows > lf->limits.matrix_rows)
		return -EINVAL;
	if (!args->cols || args->cols > lf->limits.matrix_cols)
		return -EINVAL;
	if (args->format > 31 || !(lf->limits.formats & BIT(args->format)))
		return -EINVAL;

	if (!drm_dev_enter(drm, &index))
		return -ENODEV;
	err = mutex_lock_interruptible(&lf->create_lock);
	if (err)
		goto exit;
	matrix = create(lf, context, args);
	mutex_unlock(&lf->create_lock);
	if (IS_ERR(matrix)) {
		err = PTR_ERR(matrix);
		goto exit;
	}
	matrix->creator = context->id;
	err = lf_matrix_handle_create(context, matrix, &args->handle);
	if (err)
		lf_matrix_put(matrix);
exit:
	drm_dev_exit(index);
	return err;
}

/**
 * lf_matrix_info_ioctl() - DRM_IOCTL_LF_MATRIX_INFO
 * @drm: device
 * @data: struct drm_lf_matrix_info
 * @file: whose handle it is
 *
 * Return: 0, -EINVAL, -ENOENT, or an error of lf_manage.h.
 */
int lf_matrix_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_matrix_info *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct lf_matrix_info info;
	struct lf_matrix *matrix;
	int index, err;

	if (args->pad)
		return -EINVAL;
	matrix = lf_matrix_lookup(to_lf_context(file), args->handle);
	if (!matrix)
		return -ENOENT;
	if (drm_dev_enter(drm, &index)) {
		err = lf_directory_find(lf, matrix->id, matrix->index, &info);
		/* The DRM core copies the arguments back after an error, too: nobody else's entry may be in them. */
		if (!err) {
			lf_directory_redact(&info, to_lf_context(file));
			args->info = info;
		}
		drm_dev_exit(index);
	} else {
		err = -ENODEV;
	}
	lf_matrix_put(matrix);
	return err;
}

/**
 * lf_matrix_close_ioctl() - DRM_IOCTL_LF_MATRIX_CLOSE
 * @drm: device
 * @data: struct drm_lf_matrix_handle
 * @file: whose handle it is
 *
 * Return: 0, -EINVAL, -ENOENT.
 */
int lf_matrix_close_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_lf_matrix_handle *args = data;
	struct lf_matrix *matrix;

	if (args->pad)
		return -EINVAL;
	matrix = xa_erase(&to_lf_context(file)->matrices, args->handle);
	if (!matrix)
		return -ENOENT;
	lf_matrix_put(matrix);
	return 0;
}
