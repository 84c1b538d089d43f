// SPDX-License-Identifier: MIT
/*
 * Jobs behind the kernel driver. Each job object has a binary sync object for waiting and a
 * buffer of its own for its record: submitting is one ioctl, and waiting for a job that has ended
 * is none, since the record's state tells.
 */
#include <errno.h>
#include <linux/sync_file.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <xf86drm.h>

#include "runtime/device/drm.h"
#include "runtime/device/status.h"

#define NANOSECONDS_PER_SECOND 1000000000

/**
 * struct drm_job - a job object
 * @job: common part
 * @sync: handle of its sync object
 * @record: buffer that begins with its struct drm_lf_job_record
 * @handles: GEM handles of a submission, array of @capacity
 * @capacity: length, at least one more than the job has buffers
 */
struct drm_job {
	struct lf_job job;
	uint32_t sync;
	struct lf_buffer record;
	uint32_t *handles;
	uint32_t capacity;
};

static struct drm_job *to_drm_job(struct lf_job *job)
{
	return (struct drm_job *)job;
}

int drm_job_create(struct lf_device *device, struct lf_job **job, struct lf_error *error)
{
	struct drm_job *made = calloc(1, sizeof(*made));
	int err;

	if (!made)
		return lf_error_set(error, -ENOMEM, "job: out of memory");
	made->record.device = device;
	made->record.bytes = LF_PAGE_BYTES;
	err = drm_buffer_create(&made->record, error);
	if (err) {
		lf_error_prefix(error, err, "record of the job");
		goto free_job;
	}
	if (drmSyncobjCreate(drm_fd(device), 0, &made->sync)) {
		err = lf_error_set(error, -errno, "sync object of the job: %s", strerror(errno));
		goto destroy_record;
	}
	*job = &made->job;
	return 0;

destroy_record:
	drm_buffer_destroy(&made->record);
free_job:
	free(made);
	return err;
}

void drm_job_destroy(struct lf_job *common)
{
	struct drm_job *job = to_drm_job(common);

	drmSyncobjDestroy(drm_fd(common->device), job->sync);
	drm_buffer_destroy(&job->record);
	free(job->handles);
	free(job);
}

int drm_job_submit(struct lf_job *common, struct lf_error *error)
{
	struct drm_job *job = to_drm_job(common);
	struct drm_lf_job_record *record = job->record.data;
	uint32_t count = common->buffer_count;
	struct drm_lf_sync sync = { .handle = job->sync, .flags = DRM_LF_SYNC_OUT };
	struct drm_lf_submit submit = {
		.commands = (uintptr_t)common->commands,
		.matrices = (uintptr_t)common->matrices,
		.syncs = (uintptr_t)&sync,
		.command_count = common->command_count,
		.buffer_count = count + 1,
		.matrix_count = common->matrix_count,
		.sync_count = 1,
		.scratch_bytes = (uint32_t)common->scratch_bytes,
		.job_number = common->job_number,
		.record_buffer = count + 1,
		.sync_stride = sizeof(sync),
		.record_bytes = sizeof(*record),
	};
	int err;

	if (count >= job->capacity) {
		uint32_t *grown = realloc(job->handles, (count + 1) * sizeof(*grown));

		if (!grown)
			return lf_error_set(error, -ENOMEM, "job: out of memory");
		job->handles = grown;
		job->capacity = count + 1;
	}
	for (uint32_t i = 0; i < count; i++)
		job->handles[i] = common->buffers[i]->handle;
	job->handles[count] = job->record.handle;
	submit.buffers = (uintptr_t)job->handles;
	memset(record, 0, sizeof(*record));
	err = drm_call(common->device, DRM_IOCTL_LF_SUBMIT, &submit);
	if (err == -EINVAL)
		return lf_error_set(
			error, err,
			"job of %u commands: the driver refuses a field, such as a range "
			"that is read and also written",
			common->command_count);
	if (err)
		return lf_error_set(error, err, "job of %u commands: %s", common->command_count,
				    strerror(-err));
	return 0;
}

/*
 * Errno of an ended job's fence, which tells a timeout from a cancelled file; 0 if it cannot be
 * had.
 */
static int fence_error(const struct lf_device *device, uint32_t sync)
{
	struct sync_file_info info = { 0 };
	int fd;

	if (drmSyncobjExportSyncFile(drm_fd(device), sync, &fd))
		return 0;
	if (ioctl(fd, SYNC_IOC_FILE_INFO, &info))
		info.status = 0;
	close(fd);
	return info.status < 0 ? info.status : 0;
}

static bool has_ended(const struct drm_lf_job_record *record)
{
	return __atomic_load_n(&record->state, __ATOMIC_ACQUIRE);
}

static int64_t deadline_after(int64_t timeout_ns)
{
	struct timespec now;
	int64_t now_ns;

	if (timeout_ns < 0)
		return INT64_MAX;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ns = now.tv_sec * (int64_t)NANOSECONDS_PER_SECOND + now.tv_nsec;
	return timeout_ns > INT64_MAX - now_ns ? INT64_MAX : now_ns + timeout_ns;
}

static void read_record(const struct drm_lf_job_record *record, struct lf_job_result *result)
{
	*result = (struct lf_job_result){
		.status = record->status,
		.failed_command = record->failed_command,
		.rows_done = record->rows_done,
		.result = record->result,
		.counters =
			{
				.busy_ns = record->busy_ns,
				.jobs = 1,
				.mvm_count = record->mvm_count,
				.mac_count = record->mac_count,
				.conversions = record->conversions,
				.clips = record->clips,
				.cells_written = record->cells_written,
				.cells_erased = record->cells_erased,
				.verify_retries = record->verify_retries,
				.cells_failed = record->cells_failed,
				.host_bytes = record->host_bytes,
			},
	};
	lf_energy_split(record->energy_aj, &result->counters);
}

int drm_job_wait(struct lf_job *common, int64_t timeout_ns, struct lf_error *error)
{
	struct drm_job *job = to_drm_job(common);
	const struct drm_lf_job_record *record = job->record.data;
	int err;

	if (!has_ended(record)) {
		err = drmSyncobjWait(drm_fd(common->device), &job->sync, 1,
				     deadline_after(timeout_ns), 0, NULL);
		if (err && err != -ETIME)
			err = lf_error_set(error, err, "job: waiting failed: %s", strerror(-err));
		else if (err)
			lf_error_set(error, err, "job: still running");
		if (err)
			return err;
	}
	if (!has_ended(record)) {
		err = fence_error(common->device, job->sync);
		common->result = (struct lf_job_result){ .status = LF_STATUS_ABORTED };
		return lf_error_set(error, err ? err : -ENODEV, "job: ended without a record: %s",
				    strerror(err ? -err : ENODEV));
	}
	read_record(record, &common->result);
	if (common->result.status != LF_STATUS_ABORTED)
		return 0;
	err = fence_error(common->device, job->sync);
	if (!err)
		return 0;
	return lf_error_set(error, err, "job: %s",
			    err == -ETIMEDOUT ? "ended by the driver, it ran past the time limit"
					      : strerror(-err));
}
