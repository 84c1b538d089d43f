/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A job, from its ioctl until its last reference is gone.
 */
#ifndef LF_JOB_H
#define LF_JOB_H

#include <linux/dma-fence.h>
#include <linux/llist.h>

#include <drm/gpu_scheduler.h>

#include "lf_queue.h"

struct drm_gem_object;
struct lf_bo;
struct lf_context;
struct lf_device;

/**
 * struct lf_job - a job
 * @base: the scheduler's part
 * @request: the queue's part
 * @fence: signals when the device is done with it; initialised once it has been run
 * @lf: device
 * @context: of the file that submitted it; a reference
 * @dead: in the device's list of jobs to be freed
 * @commands: read by the device: commands, then the table of buffers
 * @commands_bytes: length of @commands
 * @command_count: commands there
 * @commands_dma: bus address of @commands while it is mapped
 * @mapped: in the device's list of mapped jobs, empty when it is not; under that list's lock
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
	struct dma_fence *fence;
	struct lf_device *lf;
	struct lf_context *context;
	struct llist_node dead;
	void *commands;
	size_t commands_bytes;
	u32 command_count;
	dma_addr_t commands_dma;
	struct list_head mapped;
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

static inline struct lf_job *lf_request_to_job(struct lf_request *request)
{
	return container_of(request, struct lf_job, request);
}

int lf_jobs_init(struct lf_device *lf);
void lf_jobs_unmap(struct lf_device *lf);
struct lf_job *lf_job_alloc(struct lf_context *context, struct lf_device *lf, u32 objects);
int lf_job_map(struct lf_job *job);
void lf_job_done(struct lf_request *request, const struct lf_completion *completion, int error);
void lf_job_free(struct lf_job *job);
void lf_job_free_later(struct lf_job *job);

#endif
