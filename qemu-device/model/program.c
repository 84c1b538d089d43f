// SPDX-License-Identifier: MIT
/*
 * PROGRAM and READ: the cells of a matrix, row by row. Write-verify with retries belongs here, between the
 * reservation and the settlement.
 */
#include <string.h>

#include "job.h"

/* int8: -128 has no place in a differential pair of seven bits. */
static uint16_t check_row(const struct matrix *matrix, const char *row)
{
	for (uint32_t c = 0; c < matrix->entry.cols; c++) {
		if (matrix->entry.format == LF_FORMAT_INT8) {
			if (row[c] == INT8_MIN)
				return LF_STATUS_INVALID;
		} else {
			uint32_t bits;

			memcpy(&bits, row + c * sizeof(bits), sizeof(bits));
			if ((bits & 0x7fffffff) >= KERNEL_NONFINITE)
				return LF_STATUS_NONFINITE;
		}
	}
	return LF_STATUS_OK;
}

uint16_t xbar_check_program_data(const struct xbar_job *job, uint32_t *failed_command)
{
	for (uint32_t i = 0; i < job->request.command_count; i++) {
		const struct step *step = &job->steps[i];
		struct span input = span_of(job, &step->input);

		if (step->command->opcode != LF_OP_PROGRAM)
			continue;
		*failed_command = i;
		for (uint64_t row = 0; row < step->command->count; row++) {
			uint16_t status =
				check_row(step->matrix, input.memory + row * input.stride);

			if (status)
				return status;
		}
	}
	return LF_STATUS_OK;
}

uint16_t xbar_execute_program(struct xbar_job *job, const struct step *step, struct tally *tally,
			      uint32_t *rows_done)
{
	struct xbar *xbar = job->xbar;
	struct matrix *matrix = step->matrix;
	uint32_t first = step->command->first, count = step->command->count;
	uint64_t cells = (uint64_t)count * matrix->entry.cols * xbar->cells_per_weight;
	struct account *account = xbar_ledger_open(xbar, job->request.account);
	struct span input = span_of(job, &step->input);

	*rows_done = 0;
	if (!account)
		return LF_STATUS_NO_SPACE;
	xbar_ledger_reserve(xbar, account, cells);
	xbar_tiles_wear_matrix(xbar, matrix, first, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t row = first + i;

		xbar_cells_write_row(xbar, matrix, row, input.memory + i * input.stride);
		matrix->programmed[row / 8] |= (uint8_t)(1 << row % 8);
	}
	xbar_nv_persist(&xbar->nv);
	matrix->rows_programmed += count;
	matrix->generation++;
	xbar->directory_generation++;
	xbar_ledger_settle(xbar, account, cells);
	xbar_energy_charge_program(&xbar->params, count, matrix->entry.cols, tally);
	*rows_done = count;
	return LF_STATUS_OK;
}

/* A read of cells is one cycle for each row that is read alone, and a conversion for each of its cells. */
uint16_t xbar_execute_read(struct xbar_job *job, const struct step *step, struct tally *tally)
{
	struct span output = span_of(job, &step->output);

	for (uint32_t i = 0; i < step->command->count; i++)
		xbar_cells_read_row(job->xbar, step->matrix, step->command->first + i,
				    output.memory + i * output.stride);
	xbar_energy_charge_read(&job->xbar->params, step->command->count, step->matrix->entry.cols,
				tally);
	return LF_STATUS_OK;
}
