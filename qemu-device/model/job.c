// SPDX-License-Identifier: MIT
/*
 * Opening, running and closing jobs. The checks are in check.c, the commands in the execute_* files.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "job.h"

/* Operands a command has. */
#define OPERANDS 6

static uint64_t saturate(unsigned __int128 value)
{
	return value > UINT64_MAX ? UINT64_MAX : (uint64_t)value;
}

/* The job ends with @status: its record, and its counters in the totals. */
static void complete(struct xbar *xbar, const struct tally *tally, uint16_t status,
		     struct lf_completion *completion)
{
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		completion->energy_aj[i] = saturate(tally->energy_aj[i]);
	completion->busy_ns = tally->busy_ns;
	completion->mvm_count = tally->mvm_count;
	completion->mac_count = tally->mac_count;
	completion->conversions = tally->conversions;
	completion->clips = tally->clips;
	completion->cells_written = tally->cells_written;
	completion->cells_erased = tally->cells_erased;
	completion->verify_retries = tally->verify_retries;
	completion->cells_failed = tally->cells_failed;
	completion->host_bytes = tally->host_bytes;
	completion->status = status;
	xbar_device_settle(xbar, tally);
}

/* An object with room for a request: the one that was closed last, as far as it has room. */
static struct xbar_job *take(struct xbar *xbar, const struct xbar_request *request)
{
	uint32_t commands = request->command_count, buffers = request->buffer_count;
	struct xbar_job *job = xbar->closed;

	xbar->closed = NULL;
	if (!job)
		job = calloc(1, sizeof(*job));
	if (!job)
		return NULL;
	if (commands > job->command_capacity) {
		free(job->steps);
		free(job->transfers);
		free(job->blanks);
		job->steps = malloc(commands * sizeof(*job->steps));
		job->transfers = malloc((size_t)commands * OPERANDS * sizeof(*job->transfers));
		job->blanks = malloc((size_t)commands * OPERANDS * sizeof(*job->blanks));
		job->command_capacity = commands;
	}
	if (buffers > job->buffer_capacity || !job->buffer_bytes) {
		free(job->buffer_bytes);
		job->buffer_bytes = malloc((buffers + 1) * sizeof(*job->buffer_bytes));
		job->buffer_capacity = buffers;
	}
	if (!job->steps || !job->transfers || !job->blanks || !job->buffer_bytes) {
		xbar_job_free(job);
		return NULL;
	}
	memset(job->steps, 0, commands * sizeof(*job->steps));
	memset(job->transfers, 0, (size_t)commands * OPERANDS * sizeof(*job->transfers));
	return job;
}

static bool accumulates(const struct lf_command *command)
{
	return (command->opcode == LF_OP_MVM && command->flags & LF_MVM_ACCUMULATE) ||
	       (command->opcode == LF_OP_FUSE && command->flags & LF_FUSE_ACCUMULATE);
}

static bool is_written_before(const struct xbar_job *job, uint32_t end,
			      const struct xbar_transfer *range)
{
	for (uint32_t i = 0; i < end; i++) {
		const struct step *step = &job->steps[i];
		const struct view *views[] = { &step->output, &step->partials };

		for (int j = 0; j < 2; j++) {
			struct xbar_transfer written =
				xbar_range_of(views[j], step->command->count);

			if (views[j]->space == LF_SPACE_SCRATCH && xbar_covers(&written, range))
				return true;
		}
	}
	return false;
}

/* The scratch memory starts as zeros; only where that can be seen does it have to be done. */
static void plan_blanks(struct xbar_job *job)
{
	for (uint32_t i = 0; i < job->request.command_count; i++) {
		const struct step *step = &job->steps[i];
		const struct view *views[] = { &step->input, &step->factor, &step->scale,
					       &step->bias, &step->output };
		int reads = accumulates(step->command) ? 5 : 4;

		for (int j = 0; j < reads; j++) {
			struct xbar_transfer range = xbar_range_of(views[j], step->command->count);

			if (views[j]->space != LF_SPACE_SCRATCH ||
			    is_written_before(job, i, &range))
				continue;
			job->blanks[job->blank_count++] = (struct blank){
				.offset = range.offset,
				.bytes = (range.rows - 1) * range.stride + range.row_bytes,
			};
		}
	}
}

int xbar_job_open(struct xbar *xbar, const struct xbar_request *request,
		  struct lf_completion *completion, struct xbar_job **opened)
{
	const struct xbar_params *params = &xbar->params;
	const struct tally nothing = { 0 };
	struct xbar_job *job;
	uint16_t status;

	memset(completion, 0, sizeof(*completion));
	*opened = NULL;
	if (request->command_count == 0 || request->command_count > params->commands ||
	    request->scratch_bytes > params->scratch_bytes || request->buffer_count > UINT16_MAX) {
		complete(xbar, &nothing, LF_STATUS_INVALID, completion);
		return -EINVAL;
	}
	if (request->scratch_bytes && !xbar_device_scratch(xbar))
		return -ENOMEM;
	job = take(xbar, request);
	if (!job)
		return -ENOMEM;
	job->xbar = xbar;
	job->request = *request;
	job->transfer_count = 0;
	job->blank_count = 0;
	job->worst_cells = 0;
	if (request->buffer_count)
		memcpy(job->buffer_bytes, request->buffer_bytes,
		       request->buffer_count * sizeof(*job->buffer_bytes));
	job->request.buffer_bytes = job->buffer_bytes;

	status = xbar_check_job(job, &completion->failed_command);
	if (status) {
		complete(xbar, &nothing, status, completion);
		xbar_job_close(job);
		return -EINVAL;
	}
	plan_blanks(job);
	*opened = job;
	return 0;
}

struct xbar_transfer *xbar_job_transfers(struct xbar_job *job, uint32_t *count)
{
	*count = job->transfer_count;
	return job->transfers;
}

static uint16_t execute(struct xbar_job *job, const struct step *step, struct tally *tally,
			struct lf_completion *completion)
{
	uint64_t result = completion->result;
	uint32_t rows_done = completion->rows_done;
	uint16_t status;

	switch (step->command->opcode) {
	case LF_OP_BARRIER: /* between queues: the embedder's, who has the queues */
		return LF_STATUS_OK;
	case LF_OP_MVM:
		return xbar_execute_mvm(job, step, tally);
	case LF_OP_FUSE:
		return xbar_execute_fuse(job, step, tally);
	case LF_OP_PROGRAM:
		status = xbar_execute_program(job, step, tally, &rows_done);
		break;
	case LF_OP_READ:
		return xbar_execute_read(job, step, tally);
	case LF_OP_CALIBRATE:
		status = xbar_execute_calibrate(job, step, tally, &result);
		break;
	default:
		status = xbar_execute_management(job, step, tally, &result);
		break;
	}
	completion->result = result;
	completion->rows_done = rows_done;
	return status;
}

void xbar_job_run(struct xbar_job *job, struct lf_completion *completion)
{
	struct xbar *xbar = job->xbar;
	struct tally tally = { 0 };
	uint32_t failed = 0;
	uint16_t status = LF_STATUS_OK;

	memset(completion, 0, sizeof(*completion));
	if (job->directory_generation != xbar->directory_generation)
		status = xbar_check_state(job, &failed);
	if (!status)
		status = xbar_check_temperature(job, &failed);
	if (!status)
		status = xbar_check_program_data(job, &failed);
	if (!status) {
		for (uint32_t i = 0; i < job->transfer_count; i++)
			tally.host_bytes += job->transfers[i].rows * job->transfers[i].row_bytes;
		for (uint32_t i = 0; i < job->blank_count; i++)
			memset(xbar->scratch + job->blanks[i].offset, 0, job->blanks[i].bytes);
		for (uint32_t i = 0; !status && i < job->request.command_count; i++) {
			failed = i;
			status = xbar_device_cancelled(xbar)
					 ? LF_STATUS_ABORTED
					 : execute(job, &job->steps[i], &tally, completion);
		}
	}
	completion->failed_command = status ? failed : 0;
	xbar_energy_charge_static(&xbar->params, &tally);
	complete(xbar, &tally, status, completion);
}

void xbar_job_free(struct xbar_job *job)
{
	if (!job)
		return;
	free(job->steps);
	free(job->transfers);
	free(job->buffer_bytes);
	free(job->blanks);
	free(job);
}

/* The larger of two objects is kept, so that those who open one job after the other soon allocate nothing. */
void xbar_job_close(struct xbar_job *job)
{
	struct xbar_job **kept, *other;

	if (!job)
		return;
	kept = &job->xbar->closed;
	other = *kept;
	if (other && other->command_capacity > job->command_capacity) {
		xbar_job_free(job);
		return;
	}
	xbar_job_free(other);
	*kept = job;
}
