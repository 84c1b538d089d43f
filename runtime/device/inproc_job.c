// SPDX-License-Identifier: MIT
/*
 * Jobs of the in-process device. A job that is submitted again as it was, job number included, keeps
 * the plan the model made for it; else it is planned anew, from arrays that are kept here and in the model.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/inproc.h"
#include "runtime/device/status.h"

/**
 * struct plan - what a job was, or is to be, planned from
 * @commands: with the device's numbers of matrices, array of @command_capacity
 * @buffer_bytes: array of @buffer_capacity
 * @command_capacity: length
 * @buffer_capacity: length
 * @request: the job as the model gets it
 */
struct plan {
	struct lf_command *commands;
	uint64_t *buffer_bytes;
	uint32_t command_capacity;
	uint32_t buffer_capacity;
	struct xbar_request request;
};

/**
 * struct inproc_job - a job object
 * @job: common part
 * @task: in the queue while the job is in flight
 * @current: what @open was planned from; its arrays are in use as long as @open is
 * @next: what to plan from, where @changed
 * @changed: @next replaces @current
 * @no_memory: the last run could not be planned
 * @open: the model's job, NULL before the first run or when it was refused
 * @buffers: memory of each buffer, array of @buffer_capacity
 * @buffer_capacity: length
 */
struct inproc_job {
	struct lf_job job;
	struct inproc_task task;
	struct plan current;
	struct plan next;
	bool changed;
	bool no_memory;
	struct xbar_job *open;
	void **buffers;
	uint32_t buffer_capacity;
};

static struct inproc_job *to_inproc_job(struct lf_job *job)
{
	return (struct inproc_job *)job;
}

int inproc_job_create(struct lf_device *device, struct lf_job **job, struct lf_error *error)
{
	struct inproc_job *made = calloc(1, sizeof(*made));

	if (!made)
		return lf_error_set(error, -ENOMEM, "job: out of memory");
	*job = &made->job;
	return 0;
}

static void run_close(struct inproc *inproc, struct inproc_task *task)
{
	struct inproc_job *job =
		(struct inproc_job *)((char *)task - offsetof(struct inproc_job, task));

	xbar_job_close(job->open);
}

void inproc_job_destroy(struct lf_job *common)
{
	struct inproc *inproc = to_inproc(common->device);
	struct inproc_job *job = to_inproc_job(common);

	if (job->open) {
		job->task.run = run_close;
		inproc_queue_add(inproc, &job->task);
		inproc_queue_wait(inproc, &job->task, -1);
	}
	free(job->current.commands);
	free(job->current.buffer_bytes);
	free(job->next.commands);
	free(job->next.buffer_bytes);
	free(job->buffers);
	free(job);
}

/* The command as the device takes it. */
static struct lf_command resolve(const struct lf_job *job, uint32_t index)
{
	struct lf_command command = job->commands[index];

	if (command.matrix)
		command.matrix = job->matrices[command.matrix - 1];
	return command;
}

/* Whether the open job was planned from what is to be submitted. */
static bool is_planned(const struct inproc_job *job)
{
	const struct xbar_request *request = &job->current.request;
	const struct lf_job *common = &job->job;

	if (!job->open || request->command_count != common->command_count ||
	    request->buffer_count != common->buffer_count ||
	    request->scratch_bytes != common->scratch_bytes ||
	    request->job_number != common->job_number)
		return false;
	for (uint32_t i = 0; i < common->buffer_count; i++) {
		if (request->buffer_bytes[i] != common->buffers[i]->bytes)
			return false;
	}
	for (uint32_t i = 0; i < common->command_count; i++) {
		struct lf_command command = resolve(common, i);

		if (memcmp(&request->commands[i], &command, sizeof(command)))
			return false;
	}
	return true;
}

static bool grow(void **array, uint32_t *capacity, uint32_t count, size_t element_bytes)
{
	void *grown;

	if (count <= *capacity)
		return true;
	grown = realloc(*array, count * element_bytes);
	if (!grown)
		return false;
	*array = grown;
	*capacity = count;
	return true;
}

static bool prepare(struct inproc_job *job, const struct inproc *inproc)
{
	const struct lf_job *common = &job->job;
	struct plan *plan = &job->next;
	void *commands = plan->commands, *bytes = plan->buffer_bytes;
	/* Room for all that the job has room for: both plans then soon have it, whichever is next when the job is largest. */
	bool grown = grow(&commands, &plan->command_capacity, common->command_capacity,
			  sizeof(*plan->commands)) &&
		     grow(&bytes, &plan->buffer_capacity, common->buffer_capacity,
			  sizeof(*plan->buffer_bytes));

	plan->commands = commands;
	plan->buffer_bytes = bytes;
	if (!grown)
		return false;
	for (uint32_t i = 0; i < common->command_count; i++)
		plan->commands[i] = resolve(common, i);
	for (uint32_t i = 0; i < common->buffer_count; i++)
		plan->buffer_bytes[i] = common->buffers[i]->bytes;
	plan->request = (struct xbar_request){
		.commands = plan->commands,
		.command_count = common->command_count,
		.buffer_bytes = plan->buffer_bytes,
		.buffer_count = common->buffer_count,
		.scratch_bytes = (uint32_t)common->scratch_bytes,
		.job_number = common->job_number,
		.account = inproc->account,
		.privileged = true,
	};
	return true;
}

static void run_job(struct inproc *inproc, struct inproc_task *task)
{
	struct inproc_job *job =
		(struct inproc_job *)((char *)task - offsetof(struct inproc_job, task));
	struct lf_job_result *result = &job->job.result;
	struct lf_completion completion = { 0 };
	int err = 0;

	if (job->changed) {
		struct plan previous = job->current;

		xbar_job_close(job->open);
		job->open = NULL;
		job->current = job->next;
		job->next = previous;
		job->changed = false;
		err = xbar_job_open(inproc->xbar, &job->current.request, &completion, &job->open);
	}
	job->no_memory = err == -ENOMEM;
	if (!err) {
		inproc_place_transfers(job->open, job->buffers);
		xbar_job_run(job->open, &completion);
	}
	*result = (struct lf_job_result){
		.status = completion.status,
		.failed_command = completion.failed_command,
		.rows_done = completion.rows_done,
		.result = completion.result,
		.counters =
			{
				.busy_ns = completion.busy_ns,
				.jobs = 1,
				.mvm_count = completion.mvm_count,
				.mac_count = completion.mac_count,
				.conversions = completion.conversions,
				.clips = completion.clips,
				.cells_written = completion.cells_written,
				.cells_erased = completion.cells_erased,
				.verify_retries = completion.verify_retries,
				.cells_failed = completion.cells_failed,
				.host_bytes = completion.host_bytes,
			},
	};
	lf_energy_split(completion.energy_aj, &result->counters);
	pthread_mutex_lock(&inproc->queue.lock);
	lf_counters_add(&inproc->counters, &result->counters);
	pthread_mutex_unlock(&inproc->queue.lock);
}

int inproc_job_submit(struct lf_job *common, struct lf_error *error)
{
	struct inproc *inproc = to_inproc(common->device);
	struct inproc_job *job = to_inproc_job(common);
	void *buffers = job->buffers;
	bool grown =
		grow(&buffers, &job->buffer_capacity, common->buffer_count, sizeof(*job->buffers));

	job->buffers = buffers;
	job->changed = !is_planned(job);
	if (!grown || (job->changed && !prepare(job, inproc)))
		return lf_error_set(error, -ENOMEM, "job: out of memory");
	for (uint32_t i = 0; i < common->buffer_count; i++)
		job->buffers[i] = common->buffers[i]->data;
	job->task.run = run_job;
	inproc_queue_add(inproc, &job->task);
	return 0;
}

int inproc_job_wait(struct lf_job *common, int64_t timeout_ns, struct lf_error *error)
{
	struct inproc_job *job = to_inproc_job(common);
	int err = inproc_queue_wait(to_inproc(common->device), &job->task, timeout_ns);

	if (err)
		return lf_error_set(error, err, "job: still running");
	return job->no_memory ? lf_error_set(error, -ENOMEM, "job: out of memory") : 0;
}
