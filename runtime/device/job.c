// SPDX-License-Identifier: MIT
/*
 * Building jobs: commands, the tables of what they name, scratch. What a single command may hold
 * is checked in job_check.c; how a job reaches the device is the backend's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/device/backend.h"
#include "runtime/device/job_check.h"
#include "runtime/device/status.h"

#define SCRATCH_ALIGNMENT 64

/* Keeps the first mistake; a job that has one takes no more commands. */
#define mistake(job, ...) ((job)->mistake.code ? 0 : lf_error_set(&(job)->mistake, __VA_ARGS__))

int lf_job_create(struct lf_device *device, struct lf_job **job, struct lf_error *error)
{
	struct lf_job *made;
	int err;

	*job = NULL;
	err = device->backend->job_create(device, &made, error);
	if (err)
		return err;
	made->device = device;
	*job = made;
	return 0;
}

void lf_job_destroy(struct lf_job *job)
{
	if (!job)
		return;
	if (job->in_flight)
		lf_job_wait(job, -1, NULL);
	free(job->commands);
	free(job->buffers);
	free(job->matrices);
	job->device->backend->job_destroy(job);
}

void lf_job_begin(struct lf_job *job, uint64_t job_number)
{
	job->mistake.code = 0;
	if (job->in_flight) {
		mistake(job, -EBUSY, "job: begun again before it was waited for");
		return;
	}
	job->command_count = 0;
	job->buffer_count = 0;
	job->matrix_count = 0;
	job->scratch_bytes = 0;
	job->job_number = job_number;
}

uint64_t lf_job_scratch(struct lf_job *job, uint64_t bytes)
{
	uint64_t limit = job->device->info.job_scratch_bytes;
	uint64_t offset = job->scratch_bytes;
	uint64_t padded;

	if (job->mistake.code)
		return 0;
	if (bytes > limit || offset > limit - bytes) {
		mistake(job, -EINVAL,
			"scratch: %llu bytes beyond %llu set aside, the limit is %llu",
			(unsigned long long)bytes, (unsigned long long)offset,
			(unsigned long long)limit);
		return 0;
	}
	padded = (offset + bytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT;
	job->scratch_bytes = padded < limit ? padded : limit;
	return offset;
}

/*
 * Makes room for one more element of an array. Return: false with the mistake kept when the limit
 * is reached or memory is out.
 */
static bool reserve(struct lf_job *job, void **array, uint32_t *capacity, uint32_t count,
		    uint32_t limit, size_t element_bytes, const char *noun)
{
	uint32_t larger;
	void *grown;

	if (count < *capacity)
		return true;
	if (count >= limit) {
		mistake(job, -EINVAL, "job: more than %u %s", limit, noun);
		return false;
	}
	larger = *capacity ? 2 * *capacity : 16;
	larger = larger < limit ? larger : limit;
	grown = realloc(*array, larger * element_bytes);
	if (!grown) {
		mistake(job, -ENOMEM, "job: out of memory for %u %s", larger, noun);
		return false;
	}
	*array = grown;
	*capacity = larger;
	return true;
}

/* Index of a buffer in the job's table; false with the mistake kept when it has no room. */
static bool buffer_index(struct lf_job *job, struct lf_buffer *buffer, uint16_t *index)
{
	void *array = job->buffers;

	for (uint32_t i = 0; i < job->buffer_count; i++) {
		if (job->buffers[i] == buffer) {
			*index = (uint16_t)i;
			return true;
		}
	}
	if (!reserve(job, &array, &job->buffer_capacity, job->buffer_count,
		     job->device->info.job_buffers, sizeof(struct lf_buffer *), "buffers"))
		return false;
	job->buffers = array;
	job->buffers[job->buffer_count] = buffer;
	*index = (uint16_t)job->buffer_count++;
	return true;
}

/* Index, plus one, of a matrix in the job's table; 0 with the mistake kept when it has no room. */
static uint32_t matrix_index(struct lf_job *job, uint32_t handle)
{
	void *array = job->matrices;

	for (uint32_t i = 0; i < job->matrix_count; i++) {
		if (job->matrices[i] == handle)
			return i + 1;
	}
	if (!reserve(job, &array, &job->matrix_capacity, job->matrix_count,
		     job->device->info.job_matrices, sizeof(uint32_t), "matrices"))
		return 0;
	job->matrices = array;
	job->matrices[job->matrix_count++] = handle;
	return job->matrix_count;
}

/* Adds an empty command; NULL when the job has a mistake or no room. */
static struct lf_command *add_command(struct lf_job *job, uint16_t opcode)
{
	struct lf_command *command;
	void *array = job->commands;

	if (job->mistake.code ||
	    !reserve(job, &array, &job->command_capacity, job->command_count,
		     job->device->info.job_commands, sizeof(struct lf_command), "commands"))
		return NULL;
	job->commands = array;
	command = &job->commands[job->command_count];
	memset(command, 0, sizeof(*command));
	command->opcode = opcode;
	return command;
}

/*
 * Describes a checked view in a command. A lone vector may leave the stride out; the device
 * wants it wherever there is a second dimension.
 */
static bool put_operand(struct lf_job *job, struct lf_operand *operand, const struct lf_view *view,
			size_t row_bytes)
{
	if (view->space == LF_VIEW_NONE)
		return true;
	operand->stride = view->stride ? view->stride : (uint32_t)row_bytes;
	operand->offset = view->offset;
	if (view->space == LF_VIEW_SCRATCH) {
		operand->space = LF_SPACE_SCRATCH;
		return true;
	}
	operand->space = LF_SPACE_BUFFER;
	return buffer_index(job, view->buffer, &operand->buffer);
}

void lf_job_mvm(struct lf_job *job, const struct lf_mvm *mvm)
{
	struct lf_command *command = add_command(job, LF_OP_MVM);
	bool transpose = mvm->flags & LF_MVM_TRANSPOSE;
	size_t input_bytes, output_bytes, partial_bytes;

	if (!command || lf_job_check_mvm(job, mvm))
		return;
	input_bytes = (transpose ? mvm->matrix->cols : mvm->matrix->rows) *
		      (mvm->flags & LF_MVM_INPUT_INT8 ? sizeof(int8_t) : sizeof(float));
	output_bytes = (transpose ? mvm->matrix->rows : mvm->matrix->cols) * sizeof(float);
	partial_bytes = (size_t)mvm->matrix->tile_rows * mvm->matrix->cols * sizeof(float);

	command->flags = mvm->flags;
	command->count = mvm->count;
	memcpy(&command->fixed_scale, &mvm->fixed_scale, sizeof(command->fixed_scale));
	command->matrix = matrix_index(job, mvm->matrix->handle);
	if (command->matrix && put_operand(job, &command->input, &mvm->input, input_bytes) &&
	    put_operand(job, &command->output, &mvm->output, output_bytes) &&
	    put_operand(job, &command->factor, &mvm->factor, 0) &&
	    put_operand(job, &command->scale, &mvm->scale, 0) &&
	    put_operand(job, &command->bias, &mvm->bias, 0) &&
	    put_operand(job, &command->partials, &mvm->partials, partial_bytes))
		job->command_count++;
}

void lf_job_fuse(struct lf_job *job, const struct lf_fuse *fuse)
{
	struct lf_command *command = add_command(job, LF_OP_FUSE);
	size_t row_bytes = (size_t)fuse->width * sizeof(float);

	if (!command || lf_job_check_fuse(job, fuse))
		return;
	command->flags = fuse->flags;
	command->count = fuse->count;
	command->width = fuse->width;
	command->rank = fuse->rank;
	if (put_operand(job, &command->input, &fuse->input, row_bytes) &&
	    put_operand(job, &command->output, &fuse->output, row_bytes) &&
	    put_operand(job, &command->scale, &fuse->scale, 0) &&
	    put_operand(job, &command->bias, &fuse->bias, 0))
		job->command_count++;
}

void lf_job_barrier(struct lf_job *job)
{
	if (add_command(job, LF_OP_BARRIER))
		job->command_count++;
}

/* PROGRAM, READ and CALIBRATE: rows or samples of one matrix in one operand. */
static void add_rows(struct lf_job *job, uint16_t opcode, uint16_t flags, struct lf_matrix *matrix,
		     uint32_t first, uint32_t count, const struct lf_view *view)
{
	struct lf_command *command = add_command(job, opcode);
	struct lf_operand *operand;
	size_t row_bytes;

	if (!command ||
	    lf_job_check_rows(job, opcode, flags, matrix, first, count, view, &row_bytes))
		return;
	operand = opcode == LF_OP_READ ? &command->output : &command->input;
	command->flags = flags;
	command->first = first;
	command->count = count;
	command->matrix = matrix_index(job, matrix->handle);
	if (command->matrix && put_operand(job, operand, view, row_bytes))
		job->command_count++;
}

void lf_job_program(struct lf_job *job, struct lf_matrix *matrix, uint32_t first, uint32_t count,
		    struct lf_view input)
{
	add_rows(job, LF_OP_PROGRAM, 0, matrix, first, count, &input);
}

void lf_job_read(struct lf_job *job, struct lf_matrix *matrix, uint32_t first, uint32_t count,
		 struct lf_view output)
{
	add_rows(job, LF_OP_READ, 0, matrix, first, count, &output);
}

void lf_job_read_cells(struct lf_job *job, struct lf_matrix *matrix, uint32_t first, uint32_t count,
		       struct lf_view output)
{
	add_rows(job, LF_OP_READ, LF_READ_CELLS, matrix, first, count, &output);
}

void lf_job_calibrate(struct lf_job *job, struct lf_matrix *matrix, uint32_t count,
		      struct lf_view input)
{
	add_rows(job, LF_OP_CALIBRATE, 0, matrix, 0, count, &input);
}

uint32_t lf_job_commands(const struct lf_job *job)
{
	return job->command_count + (job->mistake.code != 0);
}

int lf_job_submit(struct lf_job *job, struct lf_error *error)
{
	int err;

	if (job->in_flight)
		return lf_error_set(error, -EBUSY, "job: submitted before it was waited for");
	if (job->mistake.code)
		return lf_error_set(error, job->mistake.code, "%s", job->mistake.text);
	if (!job->command_count)
		return lf_error_set(error, -EINVAL, "job: has no command");
	err = job->device->backend->job_submit(job, error);
	if (!err)
		job->in_flight = true;
	return err;
}

int lf_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error)
{
	const struct lf_job_result *result = &job->result;
	int err;

	if (!job->in_flight)
		return 0;
	err = job->device->backend->job_wait(job, timeout_ns, error);
	if (err == -ETIME)
		return err;
	job->in_flight = false;
	if (err)
		return err;
	err = lf_status_errno(result->status);
	if (!err)
		return 0;
	if (result->status == LF_STATUS_INTERNAL || result->status == LF_STATUS_DMA ||
	    result->status == LF_STATUS_ABORTED || result->failed_command >= job->command_count)
		return lf_error_set(error, err, "job %s", lf_status_text(result->status));
	return lf_error_set(error, err, "job: command %u (%s) %s", result->failed_command,
			    lf_opcode_name(job->commands[result->failed_command].opcode),
			    lf_status_text(result->status));
}

const struct lf_job_result *lf_job_result(const struct lf_job *job)
{
	return &job->result;
}
