// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fences that the device, not the scheduler, signals: of a job on the ring, and of a command that has
 * a matrix alone. Each is memory of its own, small, since it may be kept by whoever got hold of it. It
 * keeps this module, where its operations are, and the DRM device: the scheduler's fence above it, which
 * has a reference to it, tells the name of a scheduler that is part of the device.
 */
#include <linux/dma-resv.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include <drm/drm_drv.h>
#include <drm/drm_gem.h>

#include "lf_fence.h"

struct lf_fence {
	struct dma_fence base;
	spinlock_t lock;
	struct drm_device *drm;
	struct work_struct free_work;
};

static struct lf_fence *to_lf_fence(struct dma_fence *fence)
{
	return container_of(fence, struct lf_fence, base);
}

static const char *driver_name(struct dma_fence *fence)
{
	return "lf_accel";
}

static const char *timeline_name(struct dma_fence *fence)
{
	return "lf_accel-job";
}

/*
 * Unloading waits for a grace period between finding the module unused and freeing it, so this
 * function has returned by then.
 */
static void free_rcu_callback(struct rcu_head *head)
{
	kfree(to_lf_fence(container_of(head, struct dma_fence, rcu)));
	module_put(THIS_MODULE);
}

/* Puts what may be the last reference to the device. */
static void free_work(struct work_struct *work)
{
	struct lf_fence *fence = container_of(work, struct lf_fence, free_work);

	drm_dev_put(fence->drm);
	call_rcu(&fence->base.rcu, free_rcu_callback);
}

/*
 * The last reference to the device ends its workqueues: so not from one of them, nor from an interrupt.
 * Any other is put here: the scheduler lets go of a job's fence when it takes the next job, and waking a
 * worker then would hold that job up.
 */
static void fence_release(struct dma_fence *base)
{
	struct lf_fence *fence = to_lf_fence(base);

	if (refcount_dec_not_one(&fence->drm->ref.refcount))
		call_rcu(&base->rcu, free_rcu_callback);
	else
		schedule_work(&fence->free_work);
}

static const struct dma_fence_ops lf_fence_ops = {
	.get_driver_name = driver_name,
	.get_timeline_name = timeline_name,
	.release = fence_release,
};

/**
 * lf_fence_alloc() - memory for a fence, so that nothing can fail when it is needed
 * @drm: device
 *
 * The caller's file or device holds the module.
 *
 * Return: to be given to lf_fence_init() or lf_fence_put(); NULL when there is no memory.
 */
struct dma_fence *lf_fence_alloc(struct drm_device *drm)
{
	struct lf_fence *fence = kzalloc(sizeof(*fence), GFP_KERNEL_ACCOUNT);

	if (!fence)
		return NULL;
	spin_lock_init(&fence->lock);
	INIT_WORK(&fence->free_work, free_work);
	drm_dev_get(drm);
	fence->drm = drm;
	__module_get(THIS_MODULE);
	return &fence->base;
}

/**
 * lf_fence_init() - make it a fence
 * @fence: of lf_fence_alloc(); from here on reference counted
 * @context: its timeline
 * @seqno: its number there
 */
void lf_fence_init(struct dma_fence *fence, u64 context, u64 seqno)
{
	dma_fence_init(fence, &lf_fence_ops, &to_lf_fence(fence)->lock, context, seqno);
}

/**
 * lf_fence_put() - let go of a fence, whether it was initialised or not
 * @fence: of lf_fence_alloc(), or NULL
 */
void lf_fence_put(struct dma_fence *fence)
{
	if (!fence)
		return;
	if (fence->ops)
		dma_fence_put(fence);
	else
		fence_release(fence);
}

static bool find_old_fence(struct dma_resv *resv, u64 *context)
{
	struct dma_fence *stub = dma_fence_get_stub(), *fence;
	struct dma_resv_iter cursor;
	bool found = false;

	dma_resv_for_each_fence(&cursor, resv, DMA_RESV_USAGE_BOOKKEEP, fence) {
		found = fence != stub;
		*context = fence->context;
		if (found)
			break;
	}
	dma_fence_put(stub);
	return found;
}

/**
 * lf_fence_forget() - take the fences out of a reservation where all have signalled
 * @object: whose reservation it is
 *
 * The last fences stay there until the next ones come, and they keep this module: with a published
 * matrix or a buffer of somebody else for a long time. So they are exchanged for one that is nobody's.
 */
void lf_fence_forget(struct drm_gem_object *object)
{
	struct dma_resv *resv = object->resv;
	struct dma_fence *stub;
	u64 context;

	if (!dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP))
		return;
	/* Others may hold on to a foreign buffer as long as they like. */
	if (!object->import_attach)
		dma_resv_lock(resv, NULL);
	else if (!dma_resv_trylock(resv))
		return;
	if (dma_resv_test_signaled(resv, DMA_RESV_USAGE_BOOKKEEP)) {
		stub = dma_fence_get_stub();
		while (find_old_fence(resv, &context))
			dma_resv_replace_fences(resv, context, stub, DMA_RESV_USAGE_READ);
		dma_fence_put(stub);
	}
	dma_resv_unlock(resv);
}
