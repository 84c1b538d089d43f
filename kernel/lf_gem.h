/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers the device can reach.
 */
#ifndef LF_GEM_H
#define LF_GEM_H

#include <drm/drm_gem_shmem_helper.h>

struct lf_device;
struct user_struct;

/**
 * struct lf_bo - a pinned buffer
 * @base: shmem object, own or imported
 * @list: bus address of each LF_PAGE_BYTES of it, as the device wants them
 * @list_dma: bus address of @list
 * @list_bytes: length of @list
 * @attachment: to the DMA buffer of an imported one; the DRM core notes it only after the import. NULL for one's own
 * @link: in the device's list of mapped buffers, empty when it is not mapped; under that list's lock
 * @charged: pages that are charged
 * @user: who the pinned pages are charged to, NULL if nobody
 */
struct lf_bo {
	struct drm_gem_shmem_object base;
	__le64 *list;
	dma_addr_t list_dma;
	size_t list_bytes;
	struct dma_buf_attachment *attachment;
	struct list_head link;
	unsigned long charged;
	struct user_struct *user;
};

static inline struct lf_bo *to_lf_bo(struct drm_gem_object *object)
{
	return container_of(to_drm_gem_shmem_obj(object), struct lf_bo, base);
}

int lf_gem_init(struct lf_device *lf);
void lf_gem_unmap(struct lf_device *lf);
struct drm_gem_object *lf_gem_create_object(struct drm_device *drm, size_t size);
struct drm_gem_object *lf_gem_import(struct drm_device *drm, struct dma_buf_attachment *attachment,
				     struct sg_table *table);
void lf_gem_write(struct lf_bo *bo, u64 offset, const void *data, size_t bytes);

int lf_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int lf_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

#endif
