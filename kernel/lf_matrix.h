/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Matrices as objects: references, handles of files, deletion. Names are lf_directory.h's.
 */
#ifndef LF_MATRIX_H
#define LF_MATRIX_H

#include <drm/drm_gem.h>

#include "lf_kcov.h"
#include "lf_validate.h"

struct lf_context;
struct lf_device;

/**
 * struct lf_matrix - a matrix on the device
 * @gem: reference count and reservation, in the form that drm_exec locks. It has no pages and never
 *	a GEM handle
 * @id: the device's identifier
 * @index: its place in the device's directory
 * @shape: rows, columns, format
 * @account: who paid for it
 * @creator: number of the file that made it, 0 if that was before this boot
 * @state: LF_MATRIX_*; leaves LF_MATRIX_TORN under the reservation's lock, later changes under the
 *	directory's
 * @publication: name, owner and mode while published; under the directory's lock
 * @link: in the device's list of published matrices, or of those to be deleted
 * @delete_tries: how often the device was asked to delete it, in vain
 * @named: the device keeps it: it is not deleted with its last reference; under the directory's
 *	lock
 * @kcov: coverage of its deletion
 */
struct lf_matrix {
	struct drm_gem_object gem;
	u32 id;
	u32 index;
	struct lf_matrix_shape shape;
	u32 account;
	u64 creator;
	u32 state;
	struct lf_publication publication;
	struct list_head link;
	u8 delete_tries;
	bool named;
	struct lf_kcov kcov;
};

static inline struct lf_matrix *to_lf_matrix(struct drm_gem_object *object)
{
	return container_of(object, struct lf_matrix, gem);
}

static inline void lf_matrix_get(struct lf_matrix *matrix)
{
	drm_gem_object_get(&matrix->gem);
}

static inline void lf_matrix_put(struct lf_matrix *matrix)
{
	drm_gem_object_put(&matrix->gem);
}

int lf_matrix_init(struct lf_device *lf);
void lf_matrix_flush(struct lf_device *lf);
struct lf_matrix *lf_matrix_from_info(struct lf_device *lf, const struct lf_matrix_info *info);
struct lf_matrix *lf_matrix_lookup(struct lf_context *context, u32 handle);
int lf_matrix_handle_create(struct lf_context *context, struct lf_matrix *matrix, u32 *handle);
void lf_matrix_close_all(struct lf_context *context);
bool lf_matrix_is_owner(const struct lf_context *context, const struct lf_matrix *matrix);

int lf_matrix_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_matrix_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_matrix_close_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
