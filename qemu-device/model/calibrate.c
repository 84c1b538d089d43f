// SPDX-License-Identifier: MIT
/*
 * CALIBRATE: the step of the converters of a matrix, from samples.
 */
#include "mvm.h"

/* Conversions of the samples that clip with the converters of @plane; -1 without memory. */
static int64_t count_clips(struct mvm *mvm, struct xbar *xbar, uint16_t *status)
{
	int32_t d[MVM_ROWS * KERNEL_COLUMNS];
	uint32_t count = mvm->count, outputs = mvm->plane->outputs;
	int64_t clips = 0;

	for (mvm->first = 0; !*status && mvm->first < count; mvm->first += MVM_INPUT_PIECE) {
		char *workspace;

		mvm->count =
			count - mvm->first < MVM_INPUT_PIECE ? count - mvm->first : MVM_INPUT_PIECE;
		workspace = xbar_device_workspace(xbar, xbar_mvm_layout(mvm, NULL));
		if (!workspace)
			return -1;
		xbar_mvm_layout(mvm, workspace);
		xbar_mvm_input_piece(mvm, 0);
		*status = mvm->status[0];
		for (uint32_t column = 0; !*status && column < outputs; column += KERNEL_COLUMNS) {
			uint32_t left = outputs - column;

			if (xbar_device_cancelled(xbar))
				*status = LF_STATUS_ABORTED;
			clips += (int64_t)xbar_mvm_product(
				mvm, 0, 0, mvm->count, column,
				left < KERNEL_COLUMNS ? left : KERNEL_COLUMNS, MVM_ALL_GROUPS, d);
		}
	}
	mvm->count = count;
	return clips;
}

uint16_t xbar_execute_calibrate(struct xbar_job *job, const struct step *step, struct tally *tally,
				uint64_t *result)
{
	struct xbar *xbar = job->xbar;
	struct matrix *matrix = step->matrix;
	uint16_t status = LF_STATUS_OK;
	int64_t clips = 1;
	uint32_t step_found = 0;

	xbar_energy_charge_mvm(&xbar->params, matrix->entry.rows, matrix->entry.cols, false,
			       step->command->count, tally);
	if (xbar->params.adc_bits == XBAR_ADC_IDEAL) {
		*result = xbar_matrix_adc_step(xbar, matrix);
		return LF_STATUS_OK;
	}
	for (uint32_t size = 1; clips && size <= XBAR_STEP_MAX; size *= 2) {
		struct plane *plane;
		struct mvm mvm = {
			.xbar = xbar,
			.kernels = xbar->kernels,
			.matrix = matrix,
			.count = step->command->count,
			.variants = 1,
			.segments = 1,
			.input = span_of(job, &step->input),
		};

		if (!xbar_params_step_fits(&xbar->params, size))
			continue;
		plane = xbar_plane_lossy(xbar, matrix, size);
		if (!plane)
			return LF_STATUS_INTERNAL;
		mvm.plane = plane;
		mvm.q_stride = ((size_t)plane->inputs + 63) / 64 * 64;
		mvm.line_stride = (size_t)plane->quads * 8 * KERNEL_VECTORS;
		clips = count_clips(&mvm, xbar, &status);
		xbar_plane_free(plane);
		if (clips < 0)
			return LF_STATUS_INTERNAL;
		if (status)
			return status;
		step_found = size;
	}
	/* Parameters whose range no step can widen far enough: the widest is what there is. */
	matrix->entry.adc_step = step_found;
	matrix->generation++;
	xbar_directory_update(xbar, matrix, matrix->state);
	*result = step_found;
	return LF_STATUS_OK;
}
