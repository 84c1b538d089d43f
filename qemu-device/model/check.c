// SPDX-License-Identifier: MIT
/*
 * Checking a job whole before anything of it is executed: every field of every command, every operand against its
 * buffer or the scratch memory, and reads against writes. What depends on the data itself is checked when it is read.
 */
#include <string.h>

#include "job.h"

#define FLOAT_BYTES sizeof(float)

/* The command being checked. */
struct check {
	struct xbar_job *job;
	struct step *step;
	const struct lf_command *command;
};

/* An array that an operand names: @rows runs of @row_bytes; @flat when the operand has no stride. */
struct array {
	uint64_t rows;
	uint64_t row_bytes;
	uint32_t element;
	bool flat;
	bool written;
	bool required;
};

static bool is_zero(const struct lf_operand *operand)
{
	static const struct lf_operand zero;

	return !memcmp(operand, &zero, sizeof(zero));
}

/* Equal reads share one transfer. */
static uint32_t plan_transfer(struct xbar_job *job, const struct xbar_transfer *wanted)
{
	struct xbar_transfer *transfer = job->transfers;
	uint32_t i;

	for (i = 0; i < job->transfer_count && !wanted->to_host; i++, transfer++)
		if (transfer->buffer == wanted->buffer && !transfer->to_host &&
		    transfer->offset == wanted->offset && transfer->rows == wanted->rows &&
		    transfer->row_bytes == wanted->row_bytes && transfer->stride == wanted->stride)
			return i;
	job->transfers[job->transfer_count] = *wanted;
	return job->transfer_count++;
}

static uint16_t check_operand(struct check *check, const struct lf_operand *operand,
			      const struct array *array, struct view *view)
{
	const struct xbar_request *request = &check->job->request;
	uint64_t bytes, limit;

	*view = (struct view){ .space = operand->space };
	if (operand->space == LF_SPACE_NONE)
		return array->required || !is_zero(operand) ? LF_STATUS_INVALID : LF_STATUS_OK;
	if (operand->space == LF_SPACE_BUFFER) {
		if (operand->buffer >= request->buffer_count)
			return LF_STATUS_INVALID;
		limit = check->job->buffer_bytes[operand->buffer];
	} else if (operand->space == LF_SPACE_SCRATCH) {
		if (operand->buffer)
			return LF_STATUS_INVALID;
		limit = request->scratch_bytes;
	} else {
		return LF_STATUS_INVALID;
	}
	if (operand->offset % array->element || operand->stride % array->element)
		return LF_STATUS_INVALID;
	if (array->flat ? operand->stride != 0 : operand->stride < array->row_bytes)
		return LF_STATUS_INVALID;
	/* rows and stride have 32 bits each and row_bytes at most 34: no overflow. */
	bytes = (array->rows - 1) * operand->stride + array->row_bytes;
	if (bytes > limit || operand->offset > limit - bytes)
		return LF_STATUS_INVALID;

	view->bytes = array->rows * array->row_bytes;
	if (operand->space == LF_SPACE_SCRATCH) {
		view->offset = operand->offset;
		view->stride = operand->stride;
		return LF_STATUS_OK;
	}
	view->transfer = plan_transfer(check->job, &(struct xbar_transfer){
							   .buffer = operand->buffer,
							   .to_host = array->written,
							   .rows = (uint32_t)array->rows,
							   .row_bytes = array->row_bytes,
							   .offset = operand->offset,
							   .stride = operand->stride,
						   });
	return LF_STATUS_OK;
}

/* Operands that @used does not name (bit 0 input .. bit 5 partials) must be zero. */
enum {
	INPUT = 1,
	OUTPUT = 2,
	FACTOR = 4,
	SCALE = 8,
	BIAS = 16,
	PARTIALS = 32,
};

static bool unused_are_zero(const struct lf_command *command, unsigned int used)
{
	return (used & INPUT || is_zero(&command->input)) &&
	       (used & OUTPUT || is_zero(&command->output)) &&
	       (used & FACTOR || is_zero(&command->factor)) &&
	       (used & SCALE || is_zero(&command->scale)) &&
	       (used & BIAS || is_zero(&command->bias)) &&
	       (used & PARTIALS || is_zero(&command->partials));
}

/* Ranges of the scratch memory that a command writes may not meet what else it names. */
static bool scratch_meets(const struct view *a, const struct view *b, uint32_t rows)
{
	struct xbar_transfer left, right;

	if (a->space != LF_SPACE_SCRATCH || b->space != LF_SPACE_SCRATCH)
		return false;
	left = xbar_range_of(a, rows);
	right = xbar_range_of(b, rows);
	return xbar_overlap(&left, &right);
}

static uint16_t check_scratch(const struct step *step)
{
	uint32_t rows = step->command->count;
	const struct view *output = &step->output, *partials = &step->partials;
	bool in_place = step->command->opcode == LF_OP_FUSE &&
			step->input.offset == output->offset &&
			step->input.stride == output->stride;

	if ((!in_place && scratch_meets(output, &step->input, rows)) ||
	    scratch_meets(output, &step->factor, rows) ||
	    scratch_meets(output, &step->scale, rows) || scratch_meets(output, &step->bias, rows) ||
	    scratch_meets(output, partials, rows) || scratch_meets(partials, &step->input, rows) ||
	    scratch_meets(partials, &step->factor, rows) ||
	    scratch_meets(partials, &step->scale, rows) ||
	    scratch_meets(partials, &step->bias, rows))
		return LF_STATUS_OVERLAP;
	return LF_STATUS_OK;
}

static uint16_t find_matrix(struct check *check)
{
	check->step->matrix = xbar_directory_find(check->job->xbar, check->command->matrix);
	return check->step->matrix ? LF_STATUS_OK : LF_STATUS_NO_MATRIX;
}

/* s and 1 / s must be finite, and s positive. */
static bool is_scale(uint32_t bits)
{
	float scale, inverse;

	memcpy(&scale, &bits, sizeof(scale));
	if (!(scale > 0.0f) || bits >= KERNEL_NONFINITE)
		return false;
	inverse = 1.0f / scale;
	memcpy(&bits, &inverse, sizeof(bits));
	return bits < KERNEL_NONFINITE;
}

static uint16_t check_mvm(struct check *check)
{
	const struct lf_command *command = check->command;
	const unsigned int known = LF_MVM_TRANSPOSE | LF_MVM_ACCUMULATE | LF_MVM_INPUT_INT8 |
				   LF_MVM_FIXED_SCALE | LF_MVM_TILE_SCALE;
	bool transpose = command->flags & LF_MVM_TRANSPOSE;
	bool int8 = command->flags & LF_MVM_INPUT_INT8;
	bool fixed = command->flags & LF_MVM_FIXED_SCALE;
	bool tile_scale = command->flags & LF_MVM_TILE_SCALE;
	unsigned int used =
		INPUT | OUTPUT | SCALE | (int8 ? 0 : FACTOR) | (transpose ? 0 : BIAS | PARTIALS);
	struct step *step = check->step;
	uint64_t inputs, outputs, cols, count = command->count;
	struct array array;
	uint16_t status;

	if (command->flags & ~known || command->first || command->width || command->rank)
		return LF_STATUS_INVALID;
	if (count == 0 || count > check->job->xbar->params.batch)
		return LF_STATUS_INVALID;
	if (fixed ? !is_scale(command->fixed_scale) : command->fixed_scale != 0)
		return LF_STATUS_INVALID;
	if (int8 && (!fixed || (transpose && (tile_scale || !is_zero(&command->scale)))))
		return LF_STATUS_INVALID;
	if (!unused_are_zero(command, used))
		return LF_STATUS_INVALID;
	if (command->flags & LF_MVM_ACCUMULATE && command->output.space != LF_SPACE_SCRATCH)
		return LF_STATUS_INVALID;
	status = find_matrix(check);
	if (status)
		return status;
	if (int8 && step->matrix->entry.format != LF_FORMAT_INT8)
		return LF_STATUS_INVALID;

	cols = step->matrix->entry.cols;
	inputs = transpose ? cols : step->matrix->entry.rows;
	outputs = transpose ? step->matrix->entry.rows : cols;
	array = (struct array){ count, inputs * FLOAT_BYTES, FLOAT_BYTES, .required = true };
	if (int8)
		array = (struct array){ count, inputs, 1, .required = true };
	status = check_operand(check, &command->input, &array, &step->input);
	if (status)
		return status;
	array = (struct array){ count, outputs * FLOAT_BYTES, FLOAT_BYTES, .written = true,
				.required = true };
	status = check_operand(check, &command->output, &array, &step->output);
	if (status)
		return status;
	array = (struct array){ 1, inputs * FLOAT_BYTES, FLOAT_BYTES, .flat = true };
	status = check_operand(check, &command->factor, &array, &step->factor);
	if (status)
		return status;
	array = (struct array){ 1, cols * FLOAT_BYTES, FLOAT_BYTES, .flat = true,
				.required = tile_scale };
	if (tile_scale)
		array.row_bytes *= step->matrix->tile_rows;
	status = check_operand(check, &command->scale, &array, &step->scale);
	if (status)
		return status;
	array = (struct array){ 1, cols * FLOAT_BYTES, FLOAT_BYTES, .flat = true };
	status = check_operand(check, &command->bias, &array, &step->bias);
	if (status)
		return status;
	array = (struct array){ count, cols * step->matrix->tile_rows * FLOAT_BYTES, FLOAT_BYTES,
				.written = true };
	status = check_operand(check, &command->partials, &array, &step->partials);
	return status ? status : check_scratch(step);
}

static uint16_t check_fuse(struct check *check)
{
	const struct lf_command *command = check->command;
	const unsigned int modes = LF_FUSE_SUM | LF_FUSE_PRODUCT | LF_FUSE_AFFINE;
	const struct xbar_params *params = &check->job->xbar->params;
	unsigned int mode = command->flags & modes;
	bool affine = mode == LF_FUSE_AFFINE;
	struct step *step = check->step;
	uint64_t count = command->count, width = command->width, rank = command->rank;
	struct array array;
	uint16_t status;

	if (command->flags & ~(modes | LF_FUSE_ACCUMULATE) || command->matrix || command->first ||
	    command->fixed_scale)
		return LF_STATUS_INVALID;
	if (mode == 0 || mode & (mode - 1))
		return LF_STATUS_INVALID;
	if (count == 0 || count > params->batch || width == 0 || width > XBAR_DIMENSION_MAX)
		return LF_STATUS_INVALID;
	if (affine ? rank != 0 : rank == 0 || rank > width || width % rank)
		return LF_STATUS_INVALID;
	if (!unused_are_zero(command, INPUT | OUTPUT | SCALE | (affine ? BIAS : 0)))
		return LF_STATUS_INVALID;
	if (command->flags & LF_FUSE_ACCUMULATE && command->output.space != LF_SPACE_SCRATCH)
		return LF_STATUS_INVALID;

	array = (struct array){ count, width * FLOAT_BYTES, FLOAT_BYTES, .required = true };
	status = check_operand(check, &command->input, &array, &step->input);
	if (status)
		return status;
	array.written = true;
	status = check_operand(check, &command->output, &array, &step->output);
	if (status)
		return status;
	array = (struct array){ 1, (affine ? width : width / rank) * FLOAT_BYTES, FLOAT_BYTES,
				.flat = true, .required = !affine };
	status = check_operand(check, &command->scale, &array, &step->scale);
	if (status)
		return status;
	array.required = false;
	status = check_operand(check, &command->bias, &array, &step->bias);
	return status ? status : check_scratch(step);
}

/* PROGRAM, READ and CALIBRATE. */
static uint16_t check_cells(struct check *check)
{
	const struct lf_command *command = check->command;
	struct xbar_job *job = check->job;
	struct step *step = check->step;
	bool calibrate = command->opcode == LF_OP_CALIBRATE, read = command->opcode == LF_OP_READ;
	uint64_t rows, element;
	struct array array;
	uint16_t status;

	if (command->flags & ~(read ? LF_READ_CELLS : 0u) || command->width || command->rank ||
	    command->fixed_scale)
		return LF_STATUS_INVALID;
	if (!unused_are_zero(command, read ? OUTPUT : INPUT))
		return LF_STATUS_INVALID;
	if (read && !job->request.privileged)
		return LF_STATUS_DENIED;
	status = find_matrix(check);
	if (status)
		return status;
	rows = step->matrix->entry.rows;
	element = job->xbar->weight_bytes;
	if (calibrate) {
		if (command->first || command->count == 0 ||
		    command->count > job->xbar->params.batch)
			return LF_STATUS_INVALID;
		array = (struct array){ command->count, rows * FLOAT_BYTES, FLOAT_BYTES,
					.required = true };
		return check_operand(check, &command->input, &array, &step->input);
	}
	if (command->count == 0 || command->first >= rows || command->count > rows - command->first)
		return LF_STATUS_INVALID;
	array = (struct array){ command->count, step->matrix->entry.cols * element,
				(uint32_t)element, .required = true };
	if (read) {
		array.written = true;
		if (command->flags & LF_READ_CELLS) {
			array.row_bytes = (uint64_t)step->matrix->entry.cols *
					  job->xbar->cells_per_weight * sizeof(struct lf_cell);
			array.element = sizeof(uint32_t);
		}
		return check_operand(check, &command->output, &array, &step->output);
	}
	/* From a buffer only: so all of it can be checked before the first pulse. */
	if (command->input.space != LF_SPACE_BUFFER)
		return LF_STATUS_INVALID;
	return check_operand(check, &command->input, &array, &step->input);
}

static uint16_t check_management(struct check *check)
{
	const struct lf_command *command = check->command;
	const struct xbar_params *params = &check->job->xbar->params;
	struct step *step = check->step;
	struct array array;
	uint16_t status;

	if (!check->job->request.management)
		return LF_STATUS_DENIED;
	if (check->job->request.command_count != 1 || command->fixed_scale)
		return LF_STATUS_INVALID;
	if (command->opcode != LF_OP_ACCOUNT && command->flags)
		return LF_STATUS_INVALID;
	if (command->opcode != LF_OP_CREATE && (command->width || command->rank))
		return LF_STATUS_INVALID;

	switch (command->opcode) {
	case LF_OP_CREATE:
		if (command->matrix || command->count || !unused_are_zero(command, 0) ||
		    command->first == 0 || command->first > params->matrix_rows ||
		    command->width == 0 || command->width > params->matrix_cols ||
		    command->rank != params->format)
			return LF_STATUS_INVALID;
		return LF_STATUS_OK;
	case LF_OP_COMMIT:
	case LF_OP_DELETE:
	case LF_OP_REFRESH:
		if (command->count || command->first || !unused_are_zero(command, 0))
			return LF_STATUS_INVALID;
		return find_matrix(check);
	case LF_OP_PUBLISH:
		if (command->count || command->first || !unused_are_zero(command, INPUT))
			return LF_STATUS_INVALID;
		status = find_matrix(check);
		if (status)
			return status;
		array = (struct array){ 1, sizeof(struct lf_publication), 4, .flat = true,
					.required = true };
		return check_operand(check, &command->input, &array, &step->input);
	case LF_OP_LIST:
		if (command->matrix || command->count == 0 || command->count > params->matrices ||
		    !unused_are_zero(command, OUTPUT))
			return LF_STATUS_INVALID;
		/* As much of each entry as the caller knows of. */
		array = (struct array){ command->count, command->output.stride, 8, .written = true,
					.required = true };
		if (array.row_bytes < LF_MATRIX_INFO_BYTES_V1)
			array.row_bytes = LF_MATRIX_INFO_BYTES_V1;
		if (array.row_bytes > sizeof(struct lf_matrix_info))
			array.row_bytes = sizeof(struct lf_matrix_info);
		return check_operand(check, &command->output, &array, &step->output);
	case LF_OP_ACCOUNT:
		if (command->matrix || command->count || command->flags & ~LF_ACCOUNT_SET_QUOTA)
			return LF_STATUS_INVALID;
		if (command->flags && !check->job->request.privileged)
			return LF_STATUS_DENIED;
		if (!unused_are_zero(command, OUTPUT | (command->flags ? INPUT : 0)))
			return LF_STATUS_INVALID;
		array = (struct array){ 1, sizeof(uint64_t), 8, .flat = true,
					.required = command->flags };
		status = check_operand(check, &command->input, &array, &step->input);
		if (status)
			return status;
		array = (struct array){ 1, sizeof(struct lf_account), 8, .flat = true,
					.written = true };
		return check_operand(check, &command->output, &array, &step->output);
	default: /* LF_OP_SANITIZE */
		if (command->matrix || command->first || !unused_are_zero(command, 0))
			return LF_STATUS_INVALID;
		return LF_STATUS_OK;
	}
}

static uint16_t check_command(struct check *check)
{
	const struct lf_command *command = check->command;

	if (command->reserved)
		return LF_STATUS_INVALID;
	switch (command->opcode) {
	case LF_OP_BARRIER:
		if (command->flags || command->matrix || command->count || command->first ||
		    command->width || command->rank || command->fixed_scale ||
		    !unused_are_zero(command, 0))
			return LF_STATUS_INVALID;
		return LF_STATUS_OK;
	case LF_OP_MVM:
		return check_mvm(check);
	case LF_OP_FUSE:
		return check_fuse(check);
	case LF_OP_PROGRAM:
	case LF_OP_READ:
	case LF_OP_CALIBRATE:
		return check_cells(check);
	case LF_OP_CREATE:
	case LF_OP_COMMIT:
	case LF_OP_PUBLISH:
	case LF_OP_DELETE:
	case LF_OP_LIST:
	case LF_OP_ACCOUNT:
	case LF_OP_SANITIZE:
	case LF_OP_REFRESH:
		return check_management(check);
	default:
		return LF_STATUS_INVALID;
	}
}

/* A buffer range that is written may be neither read nor written by another operand, of an earlier command or of this. */
static uint16_t check_overlaps(const struct xbar_job *job, uint32_t first_new)
{
	const struct xbar_transfer *transfers = job->transfers;

	for (uint32_t i = first_new; i < job->transfer_count; i++)
		for (uint32_t j = 0; j < i; j++)
			if ((transfers[i].to_host || transfers[j].to_host) &&
			    xbar_overlap(&transfers[i], &transfers[j]))
				return LF_STATUS_OVERLAP;
	return LF_STATUS_OK;
}

/* Each row once: not written before, and not by an earlier command of this job. */
static uint16_t check_program_rows(const struct xbar_job *job, uint32_t index)
{
	const struct step *step = &job->steps[index];
	uint64_t first = step->command->first, end = first + step->command->count;

	for (uint64_t row = first; row < end; row++)
		if (step->matrix->programmed[row / 8] >> row % 8 & 1)
			return LF_STATUS_STATE;
	for (uint32_t i = 0; i < index; i++) {
		const struct lf_command *other = job->steps[i].command;

		if (other->opcode == LF_OP_PROGRAM && job->steps[i].matrix == step->matrix &&
		    other->first < end && first < (uint64_t)other->first + other->count)
			return LF_STATUS_STATE;
	}
	return LF_STATUS_OK;
}

uint16_t xbar_check_state(struct xbar_job *job, uint32_t *failed_command)
{
	job->worst_cells = 0;
	for (uint32_t i = 0; i < job->request.command_count; i++) {
		struct step *step = &job->steps[i];
		const struct lf_command *command = step->command;
		uint16_t status = LF_STATUS_OK;
		bool committed;

		*failed_command = i;
		if (!command->matrix)
			continue;
		step->matrix = xbar_directory_find(job->xbar, command->matrix);
		if (!step->matrix)
			return LF_STATUS_NO_MATRIX;
		committed = step->matrix->state >= LF_MATRIX_COMMITTED;
		switch (command->opcode) {
		case LF_OP_PROGRAM:
			status = committed ? LF_STATUS_STATE : check_program_rows(job, i);
			job->worst_cells +=
				xbar_program_worst(job->xbar, step->matrix, command->count);
			if (!status &&
			    job->worst_cells > xbar_ledger_left(job->xbar, job->request.account))
				status = LF_STATUS_QUOTA;
			break;
		case LF_OP_COMMIT:
			if (committed || step->matrix->rows_programmed < step->matrix->entry.rows)
				status = LF_STATUS_STATE;
			break;
		case LF_OP_REFRESH:
			if (!committed)
				status = LF_STATUS_STATE;
			else if (xbar_program_worst(job->xbar, step->matrix,
						    step->matrix->entry.rows) >
				 xbar_ledger_left(job->xbar, job->request.account))
				status = LF_STATUS_QUOTA;
			break;
		case LF_OP_MVM:
		case LF_OP_CALIBRATE:
		case LF_OP_PUBLISH:
			status = committed ? LF_STATUS_OK : LF_STATUS_STATE;
			break;
		default: /* READ and DELETE take any state */
			break;
		}
		if (status)
			return status;
	}
	*failed_command = 0;
	job->directory_generation = job->xbar->directory_generation;
	return LF_STATUS_OK;
}

uint16_t xbar_check_job(struct xbar_job *job, uint32_t *failed_command)
{
	for (uint32_t i = 0; i < job->request.command_count; i++) {
		struct check check = {
			.job = job,
			.step = &job->steps[i],
			.command = &job->request.commands[i],
		};
		uint32_t first_new = job->transfer_count;
		uint16_t status;

		*failed_command = i;
		check.step->command = check.command;
		status = check_command(&check);
		if (!status)
			status = check_overlaps(job, first_new);
		if (status)
			return status;
	}
	return xbar_check_state(job, failed_command);
}
