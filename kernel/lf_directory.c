// SPDX-License-Identifier: GPL-2.0-only
/*
 * The directory: which matrices have a name, and who may read them, as on a file. The device keeps
 * it; the driver reads it once at probe and after that follows its own changes.
 *
 * The device cannot take a name away, only give another. An unlinked matrix that is still in use
 * gets a name below LF_HIDDEN, which nobody may use; what a power cut leaves under such a name is
 * deleted at the next probe.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/ctype.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_directory.h"
#include "lf_manage.h"
#include "lf_matrix.h"

#define LF_HIDDEN    ".unlinked/"
#define LF_READ_BITS 0444

static bool is_hidden(const u8 *name)
{
	return !strncmp(name, LF_HIDDEN, strlen(LF_HIDDEN));
}

static bool is_name(const u8 name[LF_NAME_BYTES])
{
	size_t length = strnlen(name, LF_NAME_BYTES);
	size_t i;

	if (!length || length == LF_NAME_BYTES || name[0] == '/' || is_hidden(name))
		return false;
	for (i = 0; i < length; i++) {
		/* Not isalnum(), which takes Latin-1 for letters. */
		if (!(isascii(name[i]) && isalnum(name[i])) && !strchr("._-/", name[i]))
			return false;
	}
	return !memchr_inv(name + length, 0, LF_NAME_BYTES - length);
}

static bool may_read(const struct lf_publication *publication)
{
	kuid_t owner = make_kuid(&init_user_ns, le32_to_cpu(publication->owner));
	kgid_t group = make_kgid(&init_user_ns, le32_to_cpu(publication->group));
	u32 mode = le32_to_cpu(publication->mode), bit = 0004;

	if (uid_eq(current_euid(), owner))
		bit = 0400;
	else if (in_egroup_p(group))
		bit = 0040;
	/* Last: using a capability leaves a trace. */
	return mode & bit || capable(CAP_DAC_READ_SEARCH);
}

static struct lf_matrix *find_name(struct lf_device *lf, const u8 name[LF_NAME_BYTES])
{
	struct lf_matrix *matrix;

	lockdep_assert_held(&lf->directory_lock);
	list_for_each_entry(matrix, &lf->published, link) {
		if (!memcmp(matrix->publication.name, name, LF_NAME_BYTES))
			return matrix;
	}
	return NULL;
}

/**
 * lf_directory_init() - start with no names
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_directory_init(struct lf_device *lf)
{
	INIT_LIST_HEAD(&lf->published);
	return drmm_mutex_init(&lf->drm, &lf->directory_lock);
}

static int load_entry(struct lf_device *lf, const struct lf_matrix_info *info)
{
	struct lf_matrix *matrix;

	/* Whoever made it has gone with the power or the driver. */
	if (info->state != LF_MATRIX_PUBLISHED || is_hidden(info->publication.name))
		return lf_manage_delete(lf, le32_to_cpu(info->matrix));

	matrix = lf_matrix_from_info(lf, info);
	if (IS_ERR(matrix))
		return PTR_ERR(matrix);
	matrix->named = true;
	mutex_lock(&lf->directory_lock);
	list_add_tail(&matrix->link, &lf->published);
	mutex_unlock(&lf->directory_lock);
	return 0;
}

/**
 * lf_directory_load() - read the directory; delete what has no name
 * @lf: device that runs, not yet registered
 *
 * Tiles that are dirty, from now or from before, are erased in the background.
 *
 * Return: 0 or an error of lf_manage.h; lf_directory_drop() takes back what was done.
 */
int lf_directory_load(struct lf_device *lf)
{
	struct lf_matrix_info *entries;
	u32 first = 0, written, i;
	int err;

	entries = kcalloc(LF_MANAGE_LIST_ENTRIES, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	do {
		err = lf_manage_list(lf, first, LF_MANAGE_LIST_ENTRIES, entries, &written);
		for (i = 0; !err && i < written; i++) {
			err = load_entry(lf, &entries[i]);
			first = le32_to_cpu(entries[i].index) + 1;
		}
	} while (!err && written == LF_MANAGE_LIST_ENTRIES);
	kfree(entries);
	queue_work(lf->reap_wq, &lf->reap_work);
	return err;
}

/**
 * lf_directory_drop() - forget the names; the device keeps them
 * @lf: device
 */
void lf_directory_drop(struct lf_device *lf)
{
	struct lf_matrix *matrix, *next;
	LIST_HEAD(names);

	mutex_lock(&lf->directory_lock);
	list_splice_init(&lf->published, &names);
	mutex_unlock(&lf->directory_lock);
	list_for_each_entry_safe(matrix, next, &names, link) {
		list_del_init(&matrix->link);
		lf_matrix_put(matrix);
	}
}

/**
 * lf_directory_find() - entry of a matrix
 * @lf: device
 * @matrix: the device's identifier
 * @hint: index to look at first
 * @info: receives the entry
 *
 * Return: 0, -ENOENT, -ENOMEM, or an error of lf_manage.h.
 */
int lf_directory_find(struct lf_device *lf, u32 matrix, u32 hint, struct lf_matrix_info *info)
{
	struct lf_matrix_info *entries;
	u32 first = 0, written, i;
	int err;

	err = lf_manage_list(lf, hint, 1, info, &written);
	if (err || (written && le32_to_cpu(info->matrix) == matrix))
		return err;

	entries = kcalloc(LF_MANAGE_LIST_ENTRIES, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	do {
		err = lf_manage_list(lf, first, LF_MANAGE_LIST_ENTRIES, entries, &written);
		for (i = 0; !err && i < written; i++) {
			if (le32_to_cpu(entries[i].matrix) == matrix) {
				*info = entries[i];
				goto found;
			}
			first = le32_to_cpu(entries[i].index) + 1;
		}
	} while (!err && written == LF_MANAGE_LIST_ENTRIES);
	err = err ?: -ENOENT;
found:
	kfree(entries);
	return err;
}

static bool is_wanted(const struct lf_matrix_info *info, u32 account,
		      const struct drm_lf_matrix_create *wanted)
{
	return info->state == LF_MATRIX_TORN && le32_to_cpu(info->account) == account &&
	       le32_to_cpu(info->rows) == wanted->rows && le32_to_cpu(info->cols) == wanted->cols &&
	       info->format == wanted->format;
}

/**
 * lf_directory_find_orphan() - a matrix in the making that no object stands for
 * @lf: device; the caller holds @lf->create_lock, so nobody else is making one
 * @account: who pays for it
 * @wanted: what it is to be. Another orphan is what could not be deleted, with what its owner wrote
 * @info: receives its entry
 *
 * Return: 0, -ENOENT, -ENOMEM, or an error of lf_manage.h.
 */
int lf_directory_find_orphan(struct lf_device *lf, u32 account,
			     const struct drm_lf_matrix_create *wanted, struct lf_matrix_info *info)
{
	struct lf_matrix_info *entries;
	u32 first = 0, written, i;
	int err;

	lockdep_assert_held(&lf->create_lock);
	entries = kcalloc(LF_MANAGE_LIST_ENTRIES, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	do {
		err = lf_manage_list(lf, first, LF_MANAGE_LIST_ENTRIES, entries, &written);
		for (i = 0; !err && i < written; i++) {
			if (is_wanted(&entries[i], account, wanted) &&
			    !xa_load(&lf->matrices, le32_to_cpu(entries[i].matrix))) {
				*info = entries[i];
				goto found;
			}
			first = le32_to_cpu(entries[i].index) + 1;
		}
	} while (!err && written == LF_MANAGE_LIST_ENTRIES);
	err = err ?: -ENOENT;
found:
	kfree(entries);
	return err;
}

/**
 * lf_directory_redact() - remove from an entry what its reader may not see
 * @info: entry
 * @context: of the reader's file
 */
void lf_directory_redact(struct lf_matrix_info *info, const struct lf_context *context)
{
	u32 owner = info->state == LF_MATRIX_PUBLISHED ? le32_to_cpu(info->publication.owner)
						       : le32_to_cpu(info->account);

	if (is_hidden(info->publication.name)) {
		memset(&info->publication, 0, sizeof(info->publication));
		info->state = LF_MATRIX_COMMITTED;
	}
	if (owner == context->account || capable(CAP_SYS_ADMIN))
		return;
	info->index = 0;
	info->account = 0;
	/* Neighbours on the tiles, and the work of all, show in these. */
	info->wear_max = 0;
	info->programmed_ns = 0;
	info->due_ns = 0;
	info->failed_cells = 0;
	info->stuck_cells = 0;
	info->stuck_before = 0;
	info->spares = 0;
	info->refreshes = 0;
}

/**
 * lf_matrix_open_ioctl() - DRM_IOCTL_LF_MATRIX_OPEN
 * @drm: device
 * @data: struct drm_lf_matrix_open
 * @file: receives the handle
 *
 * Return: 0, -EINVAL, -ENOENT, -EACCES, -ENOMEM.
 */
int lf_matrix_open_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_matrix_open *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct lf_matrix *matrix;
	int err;

	if (args->flags || !is_name(args->name))
		return -EINVAL;

	err = mutex_lock_interruptible(&lf->directory_lock);
	if (err)
		return err;
	matrix = find_name(lf, args->name);
	if (!matrix)
		err = -ENOENT;
	else if (!may_read(&matrix->publication))
		err = -EACCES;
	else
		lf_matrix_get(matrix);
	mutex_unlock(&lf->directory_lock);
	if (err)
		return err;

	err = lf_matrix_handle_create(to_lf_context(file), matrix, &args->handle);
	if (err)
		lf_matrix_put(matrix);
	return err;
}

static int publish(struct lf_device *lf, struct lf_context *context, struct lf_matrix *matrix,
		   const struct drm_lf_matrix_publish *args)
{
	struct lf_publication publication = {
		.owner = cpu_to_le32(from_kuid(&init_user_ns, current_euid())),
		.group = cpu_to_le32(from_kgid(&init_user_ns, current_egid())),
		.mode = cpu_to_le32(args->mode),
	};
	int err;

	lockdep_assert_held(&lf->directory_lock);
	if (!lf_matrix_is_owner(context, matrix) && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (READ_ONCE(matrix->state) == LF_MATRIX_TORN)
		return -EBUSY;
	memcpy(publication.name, args->name, LF_NAME_BYTES);
	/* The device knows whether the name is taken. */
	err = lf_manage_publish(lf, matrix->id, &publication);
	if (err)
		return err;
	matrix->publication = publication;
	WRITE_ONCE(matrix->state, LF_MATRIX_PUBLISHED);
	if (!matrix->named) {
		matrix->named = true;
		lf_matrix_get(matrix);
		list_add_tail(&matrix->link, &lf->published);
	}
	return 0;
}

/**
 * lf_matrix_publish_ioctl() - DRM_IOCTL_LF_MATRIX_PUBLISH
 * @drm: device
 * @data: struct drm_lf_matrix_publish
 * @file: whose handle it is
 *
 * Return: 0, -EINVAL, -ENOENT, -EPERM, -EBUSY (not committed), -EEXIST, or an error of lf_manage.h.
 */
int lf_matrix_publish_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_lf_matrix_publish *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct lf_context *context = to_lf_context(file);
	struct lf_matrix *matrix;
	int index, err;

	if (args->mode & ~LF_READ_BITS || !is_name(args->name))
		return -EINVAL;
	matrix = lf_matrix_lookup(context, args->handle);
	if (!matrix)
		return -ENOENT;
	if (drm_dev_enter(drm, &index)) {
		err = mutex_lock_interruptible(&lf->directory_lock);
		if (!err) {
			err = publish(lf, context, matrix, args);
			mutex_unlock(&lf->directory_lock);
		}
		drm_dev_exit(index);
	} else {
		err = -ENODEV;
	}
	lf_matrix_put(matrix);
	return err;
}

static int unlink(struct lf_device *lf, struct lf_matrix *matrix)
{
	struct lf_publication hidden = { .owner = matrix->publication.owner,
					 .group = matrix->publication.group };
	int err;

	lockdep_assert_held(&lf->directory_lock);
	if (from_kuid(&init_user_ns, current_euid()) != le32_to_cpu(hidden.owner) &&
	    !capable(CAP_SYS_ADMIN))
		return -EPERM;
	snprintf(hidden.name, sizeof(hidden.name), LF_HIDDEN "%u", matrix->id);
	err = lf_manage_publish(lf, matrix->id, &hidden);
	if (err)
		return err;
	matrix->publication = hidden;
	matrix->named = false;
	list_del_init(&matrix->link);
	return 0;
}

/**
 * lf_matrix_unlink_ioctl() - DRM_IOCTL_LF_MATRIX_UNLINK
 * @drm: device
 * @data: struct drm_lf_matrix_unlink
 * @file: the caller's
 *
 * Return: 0, -EINVAL, -ENOENT, -EPERM, or an error of lf_manage.h.
 */
int lf_matrix_unlink_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	const struct drm_lf_matrix_unlink *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct lf_matrix *matrix;
	int index, err;

	if (!is_name(args->name))
		return -EINVAL;
	if (!drm_dev_enter(drm, &index))
		return -ENODEV;
	err = mutex_lock_interruptible(&lf->directory_lock);
	if (!err) {
		matrix = find_name(lf, args->name);
		err = matrix ? unlink(lf, matrix) : -ENOENT;
		mutex_unlock(&lf->directory_lock);
	}
	/* The name's reference. */
	if (!err)
		lf_matrix_put(matrix);
	drm_dev_exit(index);
	return err;
}

/* Apart from copying to the caller, whose memory may take its time: unbinding waits for this. */
static int read_entries(struct lf_device *lf, u32 first, struct lf_matrix_info *entries,
			u32 *written)
{
	int index, err;

	if (!drm_dev_enter(&lf->drm, &index))
		return -ENODEV;
	err = lf_manage_list(lf, first, LF_MANAGE_LIST_ENTRIES, entries, written);
	drm_dev_exit(index);
	return err;
}

/**
 * lf_matrix_list_ioctl() - DRM_IOCTL_LF_MATRIX_LIST
 * @drm: device
 * @data: struct drm_lf_matrix_list
 * @file: the caller's
 *
 * Return: 0, -EINVAL, -EFAULT, -ENOMEM, or an error of lf_manage.h.
 */
int lf_matrix_list_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_matrix_list *args = data;
	struct lf_device *lf = to_lf_device(drm);
	size_t bytes = min_t(size_t, args->entry_bytes, sizeof(struct lf_matrix_info));
	u32 first = args->first, count = 0, written, i;
	struct lf_matrix_info *entries;
	bool end = false;
	int err = 0;

	if (!args->count || args->pad ||
	    !lf_is_struct_size(args->entry_bytes, DRM_LF_MATRIX_INFO_BYTES_V1))
		return -EINVAL;
	entries = kcalloc(LF_MANAGE_LIST_ENTRIES, sizeof(*entries), GFP_KERNEL);
	if (!entries)
		return -ENOMEM;
	while (!err && !end && count < args->count) {
		end = first >= lf->limits.matrices;
		if (end)
			break;
		err = read_entries(lf, first, entries, &written);
		if (err)
			break;
		for (i = 0; i < written && count < args->count; i++) {
			struct lf_matrix_info *info = &entries[i];

			first = le32_to_cpu(info->index) + 1;
			if (info->state != LF_MATRIX_PUBLISHED ||
			    is_hidden(info->publication.name) || !may_read(&info->publication))
				continue;
			lf_directory_redact(info, to_lf_context(file));
			if (copy_to_user(
				    u64_to_user_ptr(args->entries + (u64)count * args->entry_bytes),
				    info, bytes)) {
				err = -EFAULT;
				break;
			}
			count++;
		}
		end = i == written && written < LF_MANAGE_LIST_ENTRIES;
	}
	kfree(entries);
	if (err)
		return err;
	args->count = count;
	args->first = end ? 0 : first;
	return 0;
}
