/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Jobs on their way: one scheduler a work queue.
 */
#ifndef LF_SCHED_H
#define LF_SCHED_H

#include <linux/dma-fence.h>

#include <drm/gpu_scheduler.h>

#include "lf_queue.h"

struct drm_gem_object;
struct lf_bo;
struct lf_context;
struct lf_device;

/**
 * struct lf_job - a job, from its ioctl until its last reference is gone
 * @base: the scheduler's part
 * @request: the queue's part
 * @fence: signals when the device is done with it; initialised once it has been run, and then owns
 *	this memory
 * @fence_lock: of @fence
 * @lf: device
 * @context: of the file that submitted it; a reference
 * @commands: read by the device: commands, then the table of buffers
 * @commands_bytes: length of @commands
 * @commands_dma: bus address of @commands once mapped, else DMA_MAPPING_ERROR
 * @record: buffer for the record, among @objects; NULL for none
 * @record_offset: where in @record
 * @record_bytes: how much of a struct drm_lf_job_record the program knows
 * @buffer_count: buffers in @objects
 * @matrix_count: matrices in @objects, behind the buffers
 * @objects: references to all that the job uses
 */
struct lf_job {
	struct drm_sched_job base;
	struct lf_request request;
	struct dma_fence fence;
	spinlock_t fence_lock;
	struct lf_device *lf;
	struct lf_context *context;
	void *commands;
	size_t commands_bytes;
	dma_addr_t commands_dma;
	struct lf_bo *record;
	u64 record_offset;
	u32 record_bytes;
	u32 buffer_count;
	u32 matrix_count;
	struct drm_gem_object *objects[];
};

static inline struct lf_job *to_lf_job(struct drm_sched_job *base)
{
	return container_of(base, struct lf_job, base);
}

int lf_sched_init(struct lf_device *lf);
int lf_sched_entity_init(struct lf_device *lf, struct drm_sched_entity *entity);
void lf_sched_entity_fini(struct lf_device *lf, struct drm_sched_entity *entity);
void lf_sched_stop(struct lf_device *lf);
void lf_sched_start(struct lf_device *lf);
void lf_job_init(struct lf_job *job);
void lf_job_free(struct lf_job *job);

#endif
