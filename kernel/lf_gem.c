// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers: shmem pages, pinned and mapped for the device while the object lives, with the page list
 * that the device reads built once. Pinned pages are charged to the user who made the buffer, not
 * to the file: a buffer outlives its file. It outlives the bus device, too: what is mapped is listed,
 * and unmapped when the driver lets go; the pages stay for those who have them in their memory.
 */
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>

#include <drm/drm_drv.h>
#include <drm/drm_managed.h>
#include <drm/lf_accel.h>

#include "lf_budget.h"
#include "lf_device.h"
#include "lf_gem.h"

static void uncharge(struct lf_bo *bo)
{
	if (!bo->user)
		return;
	atomic_long_sub(bo->charged, &bo->user->locked_vm);
	free_uid(bo->user);
	bo->user = NULL;
}

static int charge(struct lf_bo *bo, unsigned long pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	struct user_struct *user;
	long held;

	user = get_uid(current_user());
	held = atomic_long_read(&user->locked_vm);
	do {
		if (!lf_budget_fits(held, limit, pages)) {
			free_uid(user);
			return capable(CAP_IPC_LOCK) ? 0 : -ENOSPC;
		}
	} while (!atomic_long_try_cmpxchg(&user->locked_vm, &held, held + pages));
	bo->user = user;
	bo->charged = pages;
	return 0;
}

static int build_list(struct lf_bo *bo, struct sg_table *table)
{
	struct drm_gem_object *object = &bo->base.base;
	size_t bytes = object->size / LF_PAGE_BYTES * sizeof(*bo->list);
	struct sg_dma_page_iter iterator;
	size_t i = 0;

	bo->list = dma_alloc_coherent(object->dev->dev, bytes, &bo->list_dma,
				      GFP_KERNEL | __GFP_NOWARN);
	if (!bo->list)
		return -ENOMEM;
	bo->list_bytes = bytes;

	for_each_sgtable_dma_page(table, &iterator, 0) {
		dma_addr_t address = sg_page_iter_dma_address(&iterator);
		u32 within;

		if (!IS_ALIGNED(address, LF_PAGE_BYTES))
			return -EINVAL;
		for (within = 0; within < PAGE_SIZE; within += LF_PAGE_BYTES) {
			if (i == object->size / LF_PAGE_BYTES)
				return -EINVAL;
			bo->list[i++] = cpu_to_le64(address + within);
		}
	}
	return i == object->size / LF_PAGE_BYTES ? 0 : -EINVAL;
}

static void free_list(struct lf_bo *bo)
{
	if (bo->list)
		dma_free_coherent(bo->base.base.dev->dev, bo->list_bytes, bo->list, bo->list_dma);
	bo->list = NULL;
}

static void unmap_pages(struct lf_bo *bo)
{
	struct sg_table *table = bo->base.sgt;

	list_del_init(&bo->link);
	free_list(bo);
	/* What the shmem helper does not find it does not undo. */
	bo->base.sgt = NULL;
	if (bo->attachment) {
		dma_buf_unmap_attachment_unlocked(bo->attachment, table, DMA_BIDIRECTIONAL);
	} else {
		dma_unmap_sgtable(bo->base.base.dev->dev, table, DMA_BIDIRECTIONAL, 0);
		sg_free_table(table);
		kfree(table);
	}
}

/* A mapped buffer is listed, so that it can be unmapped while it lives. */
static int build_and_list(struct lf_bo *bo, struct sg_table *table)
{
	struct lf_device *lf = to_lf_device(bo->base.base.dev);
	int err = build_list(bo, table);

	if (err) {
		free_list(bo);
		return err;
	}
	mutex_lock(&lf->buffer_lock);
	list_add_tail(&bo->link, &lf->buffers);
	mutex_unlock(&lf->buffer_lock);
	return 0;
}

/* Maps the pages for the device and lists their addresses. What fails is taken back while the driver has the device. */
static int map_pages(struct lf_bo *bo)
{
	struct sg_table *table;
	int index, err;

	if (!drm_dev_enter(bo->base.base.dev, &index))
		return -ENODEV;
	table = drm_gem_shmem_get_pages_sgt(&bo->base);
	if (IS_ERR(table)) {
		err = PTR_ERR(table);
	} else {
		err = build_and_list(bo, table);
		if (err)
			unmap_pages(bo);
	}
	drm_dev_exit(index);
	return err;
}

/**
 * lf_gem_unmap() - take all mappings back, before the bus device lets go of its driver
 * @lf: device, unplugged and stopped
 */
void lf_gem_unmap(struct lf_device *lf)
{
	struct lf_bo *bo, *next;

	mutex_lock(&lf->buffer_lock);
	list_for_each_entry_safe(bo, next, &lf->buffers, link)
		unmap_pages(bo);
	mutex_unlock(&lf->buffer_lock);
}

/**
 * lf_gem_init() - what buffers need
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_gem_init(struct lf_device *lf)
{
	INIT_LIST_HEAD(&lf->buffers);
	return drmm_mutex_init(&lf->drm, &lf->buffer_lock);
}

static void lf_gem_free(struct drm_gem_object *object)
{
	struct lf_device *lf = to_lf_device(object->dev);
	struct lf_bo *bo = to_lf_bo(object);

	mutex_lock(&lf->buffer_lock);
	if (!list_empty(&bo->link))
		unmap_pages(bo);
	mutex_unlock(&lf->buffer_lock);
	uncharge(bo);
	drm_gem_shmem_free(&bo->base);
}

/* Pinned from the beginning to the end. */
static enum drm_gem_object_status lf_gem_status(struct drm_gem_object *object)
{
	return DRM_GEM_OBJECT_RESIDENT;
}

static const struct drm_gem_object_funcs lf_gem_funcs = {
	.free = lf_gem_free,
	.print_info = drm_gem_shmem_object_print_info,
	.pin = drm_gem_shmem_object_pin,
	.unpin = drm_gem_shmem_object_unpin,
	.get_sg_table = drm_gem_shmem_object_get_sg_table,
	.vmap = drm_gem_shmem_object_vmap,
	.vunmap = drm_gem_shmem_object_vunmap,
	.mmap = drm_gem_shmem_object_mmap,
	.status = lf_gem_status,
	.vm_ops = &drm_gem_shmem_vm_ops,
};

/**
 * lf_gem_create_object() - allocate the structure of a buffer, for the shmem helpers
 * @drm: device
 * @size: bytes, unused
 *
 * Return: the object or ERR_PTR(-ENOMEM).
 */
struct drm_gem_object *lf_gem_create_object(struct drm_device *drm, size_t size)
{
	struct lf_bo *bo = kzalloc(sizeof(*bo), GFP_KERNEL);

	if (!bo)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&bo->link);
	bo->base.base.funcs = &lf_gem_funcs;
	return &bo->base.base;
}

/**
 * lf_gem_import() - a buffer of another device
 * @drm: device
 * @attachment: to the DMA buffer
 * @table: its addresses as this device sees them
 *
 * The pages belong to the exporter and are not charged here; the list of their addresses is.
 *
 * Return: the object; ERR_PTR of -EINVAL (layout or size), -ENOSPC, -ENOMEM, -ENODEV.
 */
struct drm_gem_object *lf_gem_import(struct drm_device *drm, struct dma_buf_attachment *attachment,
				     struct sg_table *table)
{
	struct drm_gem_object *object;
	int index, err;

	if (attachment->dmabuf->size > to_lf_device(drm)->limits.buffer_bytes)
		return ERR_PTR(-EINVAL);
	object = drm_gem_shmem_prime_import_sg_table(drm, attachment, table);
	if (IS_ERR(object))
		return object;
	to_lf_bo(object)->attachment = attachment;

	err = charge(to_lf_bo(object),
		     DIV_ROUND_UP(object->size / LF_PAGE_BYTES * sizeof(__le64), PAGE_SIZE));
	if (!err) {
		err = -ENODEV;
		if (drm_dev_enter(drm, &index)) {
			err = build_and_list(to_lf_bo(object), table);
			drm_dev_exit(index);
		}
	}
	if (err) {
		/* On failure @table stays the caller's. */
		to_lf_bo(object)->base.sgt = NULL;
		drm_gem_object_put(object);
		return ERR_PTR(err);
	}
	return object;
}

/**
 * lf_gem_write() - write into a buffer of this driver's own
 * @bo: not an imported one
 * @offset: byte offset; @offset + @bytes lies within the buffer
 * @data: what to write
 * @bytes: its length
 *
 * May be called from interrupts.
 */
void lf_gem_write(struct lf_bo *bo, u64 offset, const void *data, size_t bytes)
{
	while (bytes) {
		size_t within = offset_in_page(offset);
		size_t run = min_t(size_t, bytes, PAGE_SIZE - within);

		memcpy_to_page(bo->base.pages[offset >> PAGE_SHIFT], within, data, run);
		offset += run;
		data += run;
		bytes -= run;
	}
}

/**
 * lf_bo_create_ioctl() - DRM_IOCTL_LF_BO_CREATE
 * @drm: device
 * @data: struct drm_lf_bo_create
 * @file: receives the handle
 *
 * Return: 0, -EINVAL, -ENOSPC (RLIMIT_MEMLOCK), -ENOMEM, -ENODEV.
 */
int lf_bo_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_bo_create *args = data;
	struct lf_device *lf = to_lf_device(drm);
	struct drm_gem_shmem_object *shmem;
	struct drm_gem_object *object;
	int err;

	if (args->flags || !args->size || args->size > lf->limits.buffer_bytes)
		return -EINVAL;

	shmem = drm_gem_shmem_create(drm, PAGE_ALIGN(args->size));
	if (IS_ERR(shmem))
		return PTR_ERR(shmem);
	object = &shmem->base;

	err = charge(to_lf_bo(object), object->size >> PAGE_SHIFT);
	if (err)
		goto put;
	err = map_pages(to_lf_bo(object));
	if (err)
		goto put;
	err = drm_gem_create_mmap_offset(object);
	if (err)
		goto put;
	args->size = object->size;
	args->mmap_offset = drm_vma_node_offset_addr(&object->vma_node);
	err = drm_gem_handle_create(file, object, &args->handle);
put:
	/* The handle keeps it. */
	drm_gem_object_put(object);
	return err;
}

/**
 * lf_bo_info_ioctl() - DRM_IOCTL_LF_BO_INFO
 * @drm: device
 * @data: struct drm_lf_bo_info
 * @file: whose handle it is
 *
 * Return: 0, -EINVAL, -ENOENT.
 */
int lf_bo_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_lf_bo_info *args = data;
	struct drm_gem_object *object;
	int err;

	if (args->pad)
		return -EINVAL;
	object = drm_gem_object_lookup(file, args->handle);
	if (!object)
		return -ENOENT;
	err = drm_gem_create_mmap_offset(object);
	if (!err) {
		args->size = object->size;
		args->mmap_offset = drm_vma_node_offset_addr(&object->vma_node);
	}
	drm_gem_object_put(object);
	return err;
}
