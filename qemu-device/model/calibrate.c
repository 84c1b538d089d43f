// SPDX-License-Identifier: MIT
/*
 * CALIBRATE: the step of the converters of a matrix, from samples.
 */
#include "mvm.h"

/* Vectors that are tried at a time. */
#define CALIBRATE_VECTORS 32

/* Conversions of the samples that clip; -1 without memory. */
static int64_t count_clips(struct mvm *mvm, struct xbar *xbar, uint16_t *status)
{
	int32_t d[CALIBRATE_VECTORS * KERNEL_COLUMNS];
	uint32_t count = mvm->count, outputs = mvm->route->outputs;
	int64_t clips = 0;

	for (mvm->first = 0; !*status && mvm->first < count; mvm->first += CALIBRATE_VECTORS) {
		uint32_t left = count - mvm->first;
		char *workspace;

		mvm->count = left < CALIBRATE_VECTORS ? left : CALIBRATE_VECTORS;
		workspace = xbar_device_workspace(xbar, xbar_mvm_layout(mvm, NULL));
		if (!workspace)
			return -1;
		xbar_mvm_layout(mvm, workspace);
		*status = xbar_mvm_input(mvm, 0, mvm->count);
		for (uint32_t column = 0; !*status && column < outputs; column += KERNEL_COLUMNS) {
			uint32_t columns = outputs - column;

			if (xbar_device_cancelled(xbar))
				*status = LF_STATUS_ABORTED;
			clips += (int64_t)xbar_mvm_product(
				mvm, 0, 0, mvm->count, column,
				columns < KERNEL_COLUMNS ? columns : KERNEL_COLUMNS, MVM_ALL_GROUPS,
				d);
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
	const struct analog *analog = NULL;
	uint16_t status = LF_STATUS_OK;
	int64_t clips = 1;
	uint32_t step_found = 0;
	struct route route;

	xbar_energy_charge_mvm(&xbar->params, matrix->entry.rows, matrix->entry.cols, false,
			       step->command->count, tally);
	if (xbar->params.adc_bits == XBAR_ADC_IDEAL) {
		*result = xbar_matrix_adc_step(xbar, matrix);
		return LF_STATUS_OK;
	}
	/* Steps of one level may be known to lose nothing; here every conversion is looked at. */
	route = *xbar_route(xbar, matrix, false);
	if (route.path == ROUTE_EXACT)
		route.path = ROUTE_LOSSY;
	if (route.path == ROUTE_ANALOG) {
		analog = xbar_analog_get(xbar, matrix);
		if (!analog)
			return LF_STATUS_INTERNAL;
	}
	for (uint32_t size = 1; clips && size <= XBAR_STEP_MAX; size *= 2) {
		struct mvm mvm = {
			.xbar = xbar,
			.kernels = xbar->kernels,
			.matrix = matrix,
			.analog = analog,
			.job_number = job->request.job_number,
			.command = (uint32_t)(step - job->steps),
			.count = step->command->count,
			.variants = 1,
			.segments = 1,
			.input = span_of(job, &step->input),
		};

		if (!xbar_params_step_fits(&xbar->params, size))
			continue;
		route.converter = xbar_route_converter(xbar, size);
		xbar_mvm_set_route(&mvm, &route);
		clips = count_clips(&mvm, xbar, &status);
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
