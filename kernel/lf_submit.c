// SPDX-License-Identifier: GPL-2.0-only
/*
 * DRM_IOCTL_LF_SUBMIT: copy once, resolve handles, validate, order against other jobs, queue.
 * Nothing that can fail is left when the job is armed. What happens to it after that is
 * lf_sched.c's.
 */
#include <linux/capability.h>
#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>

#include <drm/drm_drv.h>
#include <drm/drm_exec.h>
#include <drm/drm_gem.h>
#include <drm/drm_syncobj.h>
#include <drm/lf_accel.h>

#include "lf_context.h"
#include "lf_device.h"
#include "lf_gem.h"
#include "lf_job.h"
#include "lf_matrix.h"
#include "lf_submit.h"
#include "lf_trace.h"
#include "lf_validate.h"

/* A sync object that the job will signal. */
struct sync_out {
	struct drm_syncobj *syncobj;
	struct dma_fence_chain *chain;
	u64 point;
};

/**
 * struct submission - a job while its ioctl runs
 * @args: of the ioctl
 * @file: the caller's
 * @context: of @file
 * @lf: device
 * @job: becomes the job
 * @handles: GEM handles, then matrix handles, as given
 * @shapes: of the job's matrices
 * @buffer_use: LF_USE_* of each buffer
 * @matrix_use: LF_USE_* of each matrix
 * @syncs: as given
 * @outs: sync objects to signal
 * @out_count: their number
 */
struct submission {
	const struct drm_lf_submit *args;
	struct drm_file *file;
	struct lf_context *context;
	struct lf_device *lf;
	struct lf_job *job;
	u32 *handles;
	struct lf_matrix_shape *shapes;
	u8 *buffer_use;
	u8 *matrix_use;
	struct drm_lf_sync *syncs;
	struct sync_out *outs;
	u32 out_count;
};

static int check_args(const struct lf_limits *limits, const struct drm_lf_submit *args)
{
	if (args->flags || args->pad)
		return -EINVAL;
	if (!args->command_count || args->command_count > limits->job_commands)
		return -EINVAL;
	if (args->buffer_count > limits->job_buffers || args->matrix_count > limits->job_matrices ||
	    args->sync_count > limits->job_syncs)
		return -EINVAL;
	if (args->scratch_bytes > limits->job_scratch_bytes)
		return -EINVAL;
	if (args->record_buffer > args->buffer_count)
		return -EINVAL;
	if (args->record_offset % 8)
		return -EINVAL;
	if (args->record_buffer &&
	    !lf_is_struct_size(args->record_bytes, DRM_LF_JOB_RECORD_BYTES_V1))
		return -EINVAL;
	if (!args->record_buffer && (args->record_offset || args->record_bytes))
		return -EINVAL;
	if ((args->sync_count || args->sync_stride) &&
	    !lf_is_struct_size(args->sync_stride, DRM_LF_SYNC_BYTES_V1))
		return -EINVAL;
	return 0;
}

/* One block for all that only the ioctl needs. */
static int allocate(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	u32 objects = args->buffer_count + args->matrix_count;
	size_t syncs = args->sync_count * sizeof(*submission->syncs);
	size_t outs = args->sync_count * sizeof(*submission->outs);
	size_t shapes = args->matrix_count * sizeof(*submission->shapes);
	void *block;

	block = kzalloc(syncs + outs + shapes + objects * (sizeof(u32) + sizeof(u8)), GFP_KERNEL);
	if (!block)
		return -ENOMEM;
	submission->syncs = block;
	submission->outs = block + syncs;
	submission->shapes = block + syncs + outs;
	submission->handles = block + syncs + outs + shapes;
	submission->buffer_use = (u8 *)(submission->handles + objects);
	submission->matrix_use = submission->buffer_use + args->buffer_count;

	submission->job = lf_job_alloc(submission->context, submission->lf, objects);
	if (!submission->job) {
		kfree(block);
		return -ENOMEM;
	}
	return 0;
}

/* Before anything is locked or looked up: it may have to wait for other jobs of the file to end. */
static int count_job(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	struct lf_job *job = submission->job;
	bool wait = !(submission->file->filp->f_flags & O_NONBLOCK);

	job->commands_bytes = args->command_count * sizeof(struct lf_command) +
			      args->buffer_count * sizeof(struct lf_buffer_entry);
	return lf_context_count(submission->lf, submission->context, job->commands_bytes, wait);
}

static int copy_handles(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	u32 i;

	if (copy_from_user(submission->handles, u64_to_user_ptr(args->buffers),
			   args->buffer_count * sizeof(u32)))
		return -EFAULT;
	if (copy_from_user(submission->handles + args->buffer_count,
			   u64_to_user_ptr(args->matrices), args->matrix_count * sizeof(u32)))
		return -EFAULT;
	for (i = 0; i < args->sync_count; i++) {
		u64 sync = args->syncs + (u64)i * args->sync_stride;
		int err = copy_struct_from_user(&submission->syncs[i], sizeof(submission->syncs[i]),
						u64_to_user_ptr(sync), args->sync_stride);

		if (err)
			return err;
	}
	return 0;
}

static int resolve_handles(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	struct lf_job *job = submission->job;
	const u32 *handle = submission->handles;
	u32 i;

	for (i = 0; i < args->buffer_count; i++) {
		struct drm_gem_object *object = drm_gem_object_lookup(submission->file, *handle++);

		if (!object)
			return -ENOENT;
		job->objects[job->buffer_count++] = object;
	}
	for (i = 0; i < args->matrix_count; i++) {
		struct lf_matrix *matrix = lf_matrix_lookup(submission->context, *handle++);

		if (!matrix)
			return -ENOENT;
		job->objects[job->buffer_count + job->matrix_count++] = &matrix->gem;
		submission->shapes[i] = matrix->shape;
	}
	return 0;
}

static int find_record(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	struct lf_job *job = submission->job;
	struct drm_gem_object *object;

	if (!args->record_buffer)
		return 0;
	object = job->objects[args->record_buffer - 1];
	/* The pages of an imported buffer are not the kernel's to write. */
	if (object->import_attach || object->size < args->record_bytes ||
	    args->record_offset > object->size - args->record_bytes)
		return -EINVAL;
	job->record = to_lf_bo(object);
	job->record_offset = args->record_offset;
	job->record_bytes = min_t(u32, args->record_bytes, sizeof(struct drm_lf_job_record));
	submission->buffer_use[args->record_buffer - 1] |= LF_USE_WRITE;
	return 0;
}

static struct lf_matrix *job_matrix(struct lf_job *job, u32 i)
{
	return to_lf_matrix(job->objects[job->buffer_count + i]);
}

/* What the device will read: the commands with its own identifiers, and the table of buffers. */
static int build_commands(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	struct lf_job *job = submission->job;
	size_t bytes = args->command_count * sizeof(struct lf_command);
	struct lf_validation validation = {};
	struct lf_buffer_entry *entries;
	struct lf_command *commands;
	u32 i;

	job->command_count = args->command_count;
	job->commands = kmalloc(job->commands_bytes, GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!job->commands)
		return -ENOMEM;
	commands = job->commands;
	entries = job->commands + bytes;
	if (copy_from_user(commands, u64_to_user_ptr(args->commands), bytes))
		return -EFAULT;
	for (i = 0; i < args->buffer_count; i++) {
		/* Not mapped any more: then the device has gone, and map_and_push() says so. */
		entries[i].pages = cpu_to_le64(to_lf_bo(job->objects[i])->list_dma);
		entries[i].bytes = cpu_to_le64(job->objects[i]->size);
	}

	validation.limits = &submission->lf->limits;
	validation.commands = commands;
	validation.command_count = args->command_count;
	validation.scratch_bytes = args->scratch_bytes;
	validation.buffers = entries;
	validation.buffer_count = args->buffer_count;
	validation.shapes = submission->shapes;
	validation.matrix_count = args->matrix_count;
	validation.buffer_use = submission->buffer_use;
	validation.matrix_use = submission->matrix_use;
	if (lf_validate(&validation)) {
		drm_dbg(&submission->lf->drm, "submit: command %u: bad %s\n",
			validation.failed_command, validation.failed_field);
		return -EINVAL;
	}

	for (i = 0; i < args->command_count; i++) {
		u32 index = le32_to_cpu(commands[i].matrix);

		if (index)
			commands[i].matrix = cpu_to_le32(job_matrix(job, index - 1)->id);
	}
	return 0;
}

/* Whether this file may do to its matrices what the commands do. */
static int check_permissions(struct submission *submission)
{
	struct lf_job *job = submission->job;
	u16 flags = 0;
	u32 i;

	job->request.rerun = true;
	for (i = 0; i < job->matrix_count; i++) {
		const struct lf_matrix *matrix = job_matrix(job, i);
		u8 use = submission->matrix_use[i];

		if (use & LF_USE_PROGRAM) {
			if (matrix->creator != submission->context->id)
				return -EPERM;
			job->request.rerun = false;
		}
		if (use & LF_USE_READ_CELLS) {
			if (!capable(CAP_SYS_ADMIN))
				return -EPERM;
			flags |= LF_JOB_PRIVILEGED;
		}
		if ((use & LF_USE_CALIBRATE) && !lf_matrix_is_owner(submission->context, matrix) &&
		    !capable(CAP_SYS_ADMIN))
			return -EPERM;
	}
	job->request.submission.flags = cpu_to_le16(flags);
	return 0;
}

static int map_commands(struct submission *submission)
{
	const struct drm_lf_submit *args = submission->args;
	struct lf_job *job = submission->job;
	struct lf_submission *entry = &job->request.submission;
	int err;

	err = lf_job_map(job);
	if (err)
		return err;
	entry->command_count = cpu_to_le32(args->command_count);
	entry->commands = cpu_to_le64(job->commands_dma);
	if (args->buffer_count)
		entry->buffers = cpu_to_le64(job->commands_dma +
					     args->command_count * sizeof(struct lf_command));
	entry->buffer_count = cpu_to_le32(args->buffer_count);
	entry->scratch_bytes = cpu_to_le32(args->scratch_bytes);
	entry->job_number = cpu_to_le64(args->job_number);
	entry->account = cpu_to_le32(submission->context->account);
	return 0;
}

static int add_syncs(struct submission *submission)
{
	u32 i;

	for (i = 0; i < submission->args->sync_count; i++) {
		const struct drm_lf_sync *sync = &submission->syncs[i];
		struct sync_out *out;
		struct dma_fence *fence;
		int err;

		if (sync->flags == DRM_LF_SYNC_IN) {
			err = drm_syncobj_find_fence(submission->file, sync->handle, sync->point, 0,
						     &fence);
			if (!err)
				err = drm_sched_job_add_dependency(&submission->job->base, fence);
			if (err)
				return err;
			continue;
		}
		if (sync->flags != DRM_LF_SYNC_OUT)
			return -EINVAL;
		out = &submission->outs[submission->out_count];
		out->syncobj = drm_syncobj_find(submission->file, sync->handle);
		if (!out->syncobj)
			return -ENOENT;
		submission->out_count++;
		out->point = sync->point;
		if (out->point) {
			out->chain = dma_fence_chain_alloc();
			if (!out->chain)
				return -ENOMEM;
		}
	}
	return 0;
}

static void put_syncs(struct submission *submission)
{
	u32 i;

	for (i = 0; i < submission->out_count; i++) {
		dma_fence_chain_free(submission->outs[i].chain);
		drm_syncobj_put(submission->outs[i].syncobj);
	}
}

static void signal_syncs(struct submission *submission, struct dma_fence *fence)
{
	u32 i;

	for (i = 0; i < submission->out_count; i++) {
		struct sync_out *out = &submission->outs[i];

		if (out->chain) {
			drm_syncobj_add_point(out->syncobj, out->chain, fence, out->point);
			out->chain = NULL;
		} else {
			drm_syncobj_replace_fence(out->syncobj, fence);
		}
	}
}

/* Multiplying shares a matrix, all else has it alone. */
static bool writes_object(const struct submission *submission, u32 i)
{
	u32 buffers = submission->job->buffer_count;

	if (i < buffers)
		return submission->buffer_use[i] & LF_USE_WRITE;
	return submission->matrix_use[i - buffers] & (LF_USE_PROGRAM | LF_USE_CALIBRATE);
}

static int lock_objects(struct submission *submission, struct drm_exec *exec)
{
	struct lf_job *job = submission->job;
	u32 count = job->buffer_count + job->matrix_count;
	int err = 0;
	u32 i;

	drm_exec_until_all_locked(exec) {
		for (i = 0; i < count; i++) {
			err = drm_exec_prepare_obj(exec, job->objects[i], 1);
			drm_exec_retry_on_contention(exec);
			if (err)
				break;
		}
		if (err)
			break;
	}
	/* A buffer twice would hide from the device that a range is both read and written. */
	return err == -EALREADY ? -EINVAL : err;
}

/* With the reservations locked no commit can come between this and the queue. */
static int check_states(const struct submission *submission)
{
	u32 i;

	for (i = 0; i < submission->job->matrix_count; i++) {
		u32 state = READ_ONCE(job_matrix(submission->job, i)->state);
		u8 use = submission->matrix_use[i];

		if ((use & LF_USE_PROGRAM) && state != LF_MATRIX_TORN)
			return -EINVAL;
		if ((use & ~LF_USE_PROGRAM) && state == LF_MATRIX_TORN)
			return -EINVAL;
	}
	return 0;
}

static int add_dependencies(struct submission *submission)
{
	struct lf_job *job = submission->job;
	u32 i;

	for (i = 0; i < job->buffer_count + job->matrix_count; i++) {
		int err = drm_sched_job_add_implicit_dependencies(&job->base, job->objects[i],
								  writes_object(submission, i));

		if (err)
			return err;
	}
	return 0;
}

/* The point of no return: from here on the job belongs to the scheduler. */
static void push(struct submission *submission)
{
	const u32 running = 0;
	struct lf_job *job = submission->job;
	struct dma_fence *fence;
	u32 i;

	if (job->record)
		lf_gem_write(job->record,
			     job->record_offset + offsetof(struct drm_lf_job_record, state),
			     &running, sizeof(running));

	mutex_lock(&submission->context->submit_lock);
	drm_sched_job_arm(&job->base);
	fence = dma_fence_get(&job->base.s_fence->finished);
	for (i = 0; i < job->buffer_count + job->matrix_count; i++)
		dma_resv_add_fence(job->objects[i]->resv, fence,
				   writes_object(submission, i) ? DMA_RESV_USAGE_WRITE
								: DMA_RESV_USAGE_READ);
	trace_lf_job_submit(&job->lf->drm, submission->context->id, fence->seqno,
			    submission->args->command_count, job->buffer_count, job->matrix_count);
	drm_sched_entity_push_job(&job->base);
	mutex_unlock(&submission->context->submit_lock);

	signal_syncs(submission, fence);
	dma_fence_put(fence);
}

/* All waiting is over: this alone is what unbinding has to wait for. */
static int map_and_push(struct submission *submission)
{
	int index, err;

	if (!drm_dev_enter(&submission->lf->drm, &index))
		return -ENODEV;
	err = map_commands(submission);
	if (!err)
		push(submission);
	drm_dev_exit(index);
	return err;
}

static int queue_job(struct submission *submission)
{
	struct lf_job *job = submission->job;
	struct drm_exec exec;
	int err;

	err = drm_sched_job_init(&job->base, &submission->context->entity, 1, NULL,
				 submission->file->client_id);
	if (err)
		return err;
	err = add_syncs(submission);
	if (err)
		goto cleanup;

	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT, job->buffer_count + job->matrix_count);
	err = lock_objects(submission, &exec);
	if (!err)
		err = check_states(submission);
	if (!err)
		err = add_dependencies(submission);
	if (!err)
		err = map_and_push(submission);
	drm_exec_fini(&exec);
	if (!err)
		return 0;
cleanup:
	drm_sched_job_cleanup(&job->base);
	return err;
}

/**
 * lf_submit_ioctl() - DRM_IOCTL_LF_SUBMIT
 * @drm: device
 * @data: struct drm_lf_submit
 * @file: the caller's
 *
 * Return: 0; -EINVAL a field, -ENOENT a handle, -EPERM not allowed to do that to a matrix, -E2BIG a
 * sync object this kernel does not understand, -EFAULT, -ENOMEM, -ENODEV, -ERESTARTSYS.
 */
int lf_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct submission submission = {
		.args = data,
		.file = file,
		.context = to_lf_context(file),
		.lf = to_lf_device(drm),
	};
	int err;

	err = check_args(&submission.lf->limits, submission.args);
	if (err)
		return err;
	if (READ_ONCE(submission.lf->wedged))
		return -ENODEV;
	err = allocate(&submission);
	if (err)
		return err;

	err = count_job(&submission);
	if (err)
		goto free;
	err = copy_handles(&submission);
	if (!err)
		err = resolve_handles(&submission);
	if (!err)
		err = find_record(&submission);
	if (!err)
		err = build_commands(&submission);
	if (!err)
		err = check_permissions(&submission);
	if (!err)
		err = queue_job(&submission);
	put_syncs(&submission);
	if (err) {
		lf_context_uncount(submission.context, submission.job->commands_bytes);
		wake_up_all(&submission.lf->job_wait);
	}
free:
	if (err)
		lf_job_free(submission.job);
	kfree(submission.syncs);
	return err;
}
