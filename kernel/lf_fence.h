/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fences that the device, not the scheduler, signals.
 */
#ifndef LF_FENCE_H
#define LF_FENCE_H

#include <linux/dma-fence.h>

struct drm_device;
struct drm_gem_object;

struct dma_fence *lf_fence_alloc(struct drm_device *drm);
void lf_fence_init(struct dma_fence *fence, u64 context, u64 seqno);
void lf_fence_forget(struct drm_gem_object *object);
void lf_fence_put(struct dma_fence *fence);

#endif
