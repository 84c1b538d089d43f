// SPDX-License-Identifier: MIT
/*
 * The management commands.
 */
#include <string.h>

#include "job.h"

/* A name of 1 .. 63 allowed bytes, zero padded; LF_STATUS_*. */
static uint16_t check_publication(const struct lf_publication *publication)
{
	size_t length = strnlen((const char *)publication->name, LF_NAME_BYTES);

	if (length == 0 || length == LF_NAME_BYTES || publication->name[0] == '/')
		return LF_STATUS_INVALID;
	for (size_t i = 0; i < LF_NAME_BYTES; i++) {
		uint8_t byte = publication->name[i];
		bool letter = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
		bool other = (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' ||
			     byte == '-' || byte == '/';

		if (i < length ? !letter && !other : byte != 0)
			return LF_STATUS_INVALID;
	}
	if (publication->mode & ~0444u || publication->reserved)
		return LF_STATUS_INVALID;
	return LF_STATUS_OK;
}

/* Its cells are on the medium since PROGRAM; their age counts from here. */
static void commit(struct xbar *xbar, struct matrix *matrix)
{
	matrix->entry.programmed_ns = xbar->counters.time_ns;
	matrix->entry.cells_checksum = xbar_cells_checksum(xbar, matrix, 0, matrix->entry.rows, 0);
	matrix->generation++;
	xbar_directory_update(xbar, matrix, LF_MATRIX_COMMITTED);
	xbar_refresh_watch(xbar, matrix);
}

static uint16_t publish(struct xbar_job *job, const struct step *step)
{
	struct lf_publication publication;
	struct matrix *holder;
	uint16_t status;

	memcpy(&publication, span_of(job, &step->input).memory, sizeof(publication));
	status = check_publication(&publication);
	if (status)
		return status;
	holder = xbar_directory_find_name(job->xbar, publication.name);
	if (holder && holder != step->matrix)
		return LF_STATUS_EXISTS;
	step->matrix->entry.publication = publication;
	xbar_directory_update(job->xbar, step->matrix, LF_MATRIX_PUBLISHED);
	return LF_STATUS_OK;
}

static uint64_t list(struct xbar_job *job, const struct step *step)
{
	struct xbar *xbar = job->xbar;
	struct span output = span_of(job, &step->output);
	uint32_t written = 0, count = step->command->count;
	size_t bytes = step->output.bytes / count;
	struct lf_matrix_info info;

	for (uint32_t i = step->command->first; written < count && i < xbar->params.matrices; i++) {
		if (!xbar->matrices[i].state)
			continue;
		xbar_directory_info(xbar, &xbar->matrices[i], &info);
		memcpy(output.memory + written * output.stride, &info, bytes);
		written++;
	}
	for (uint32_t i = written; i < count; i++)
		memset(output.memory + i * output.stride, 0, bytes);
	return written;
}

static uint16_t account(struct xbar_job *job, const struct step *step)
{
	uint32_t number = step->command->first;
	struct span output = span_of(job, &step->output);
	struct lf_account description;

	if (step->command->flags & LF_ACCOUNT_SET_QUOTA) {
		struct account *holder = xbar_ledger_open(job->xbar, number);
		uint64_t quota;

		if (!holder)
			return LF_STATUS_NO_SPACE;
		memcpy(&quota, span_of(job, &step->input).memory, sizeof(quota));
		xbar_ledger_set_quota(job->xbar, holder, quota);
	}
	if (output.memory) {
		xbar_ledger_describe(job->xbar, number, &description);
		memcpy(output.memory, &description, sizeof(description));
	}
	return LF_STATUS_OK;
}

static uint64_t sanitize(struct xbar *xbar, uint32_t count, struct tally *tally)
{
	for (uint32_t tile = 0; count && tile < xbar->params.tiles; tile++) {
		if (xbar_tiles_owner(xbar, tile) != IMAGE_OWNER_DIRTY)
			continue;
		xbar_tiles_erase(xbar, tile, tally);
		count--;
	}
	return xbar->tiles_dirty;
}

uint16_t xbar_execute_management(struct xbar_job *job, const struct step *step, struct tally *tally,
				 uint64_t *result)
{
	const struct lf_command *command = step->command;
	struct matrix *created;
	uint16_t status = LF_STATUS_OK;

	switch (command->opcode) {
	case LF_OP_CREATE:
		status = xbar_directory_create(job->xbar, command->first, command->width,
					       job->request.account, tally, &created);
		if (!status)
			*result = created->entry.matrix;
		break;
	case LF_OP_COMMIT:
		commit(job->xbar, step->matrix);
		break;
	case LF_OP_REFRESH:
		status = xbar_refresh_execute(job->xbar, step->matrix, job->request.account, tally,
					      result);
		break;
	case LF_OP_PUBLISH:
		status = publish(job, step);
		break;
	case LF_OP_DELETE:
		xbar_directory_delete(job->xbar, step->matrix);
		break;
	case LF_OP_LIST:
		*result = list(job, step);
		break;
	case LF_OP_ACCOUNT:
		status = account(job, step);
		break;
	case LF_OP_SANITIZE:
		*result = sanitize(job->xbar, command->count, tally);
		break;
	default:
		status = LF_STATUS_INTERNAL;
		break;
	}
	return status;
}
