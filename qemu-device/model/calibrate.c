// SPDX-License-Identifier: MIT
/*
 * CALIBRATE: the step of the converters of a matrix, from samples.
 *
 * A small step clips the large sums, a large one rounds all of them, so the step is the one whose results are nearest to
 * those that converters without either would give: of the powers of two up to the smallest with which no conversion
 * clips, the one with the least sum of (s * (d - ideal d))^2 over the samples and outputs, s being the scale of the sample.
 * Beyond that one a step only rounds coarser.
 *
 * Results s * d are compared and not single conversions, because a conversion's error counts by the slice and bit-cycle it
 * belongs to, 2^(slice * cell_bits + cycle), by whether it cancels with others of its result, and by the size of the
 * vector: those with one large element have a large s and small sums. That a range is set for the least squared error and
 * not to hold every value is how clipping is chosen for quantised networks: Banner et al., NeurIPS 2019
 * (arXiv:1810.05723), and Sakr et al., ICML 2022 (arXiv:2206.06501). Scales of columns come with products and are not known.
 *
 * The ideal d is the integer product where cells are exact; where they are not, what ideal converters (adc_bits=ideal) give for
 * the same cells without read noise: errors of cells are none of the converters' and no step undoes them. The noise of the
 * reading itself is drawn alike for every step, so steps are compared with the same draws.
 */
#include "mvm.h"

/* Vectors that are tried at a time. */
#define CALIBRATE_VECTORS 32

/**
 * struct trial - what a step does to the samples
 * @clips: conversions that clip
 * @error: sum of the squares of what is wrong with results, added vector by vector
 */
struct trial {
	uint64_t clips;
	double error;
};

/* One block of columns of vectors whose inputs are there; adds what is wrong, in units of d, to that of each vector. */
static void try_columns(const struct mvm *mvm, const struct mvm *ideal, uint32_t column,
			uint32_t columns, unsigned __int128 *squares, struct trial *trial)
{
	int32_t d[CALIBRATE_VECTORS * KERNEL_COLUMNS] __attribute__((aligned(64)));
	int32_t wanted[CALIBRATE_VECTORS * KERNEL_COLUMNS] __attribute__((aligned(64)));

	xbar_mvm_product(ideal, 0, 0, mvm->count, column, columns, MVM_ALL_GROUPS, wanted);
	trial->clips += xbar_mvm_product(mvm, 0, 0, mvm->count, column, columns, MVM_ALL_GROUPS, d);
	for (uint32_t v = 0; v < mvm->count; v++)
		for (uint32_t c = 0; c < columns; c++) {
			uint32_t i = v * KERNEL_COLUMNS + c;
			int64_t error = (int64_t)d[i] - wanted[i];

			squares[v] += (uint64_t)(error * error);
		}
}

/* All samples with the route of @mvm; LF_STATUS_*. */
static uint16_t try_samples(struct mvm *mvm, struct xbar *xbar, struct trial *trial)
{
	uint32_t count = mvm->count, outputs = mvm->route->outputs;
	struct route exact = *mvm->route;
	uint16_t status = LF_STATUS_OK;

	exact.path = ROUTE_EXACT;
	*trial = (struct trial){ 0 };
	for (mvm->first = 0; !status && mvm->first < count; mvm->first += CALIBRATE_VECTORS) {
		uint32_t left = count - mvm->first;
		unsigned __int128 squares[CALIBRATE_VECTORS] = { 0 };
		struct mvm ideal;
		char *workspace;

		mvm->count = left < CALIBRATE_VECTORS ? left : CALIBRATE_VECTORS;
		workspace = xbar_device_workspace(xbar, xbar_mvm_layout(mvm, NULL));
		if (!workspace)
			return LF_STATUS_INTERNAL;
		xbar_mvm_layout(mvm, workspace);
		status = xbar_mvm_input(mvm, 0, mvm->count);
		/* The same inputs, in the same places. */
		ideal = *mvm;
		ideal.ideal = true;
		if (mvm->route->path == ROUTE_LOSSY)
			ideal.route = &exact;
		else
			xbar_mvm_analog_prepare(&ideal);
		for (uint32_t column = 0; !status && column < outputs; column += KERNEL_COLUMNS) {
			uint32_t columns = outputs - column;

			if (xbar_device_cancelled(xbar))
				status = LF_STATUS_ABORTED;
			else
				try_columns(mvm, &ideal, column,
					    columns < KERNEL_COLUMNS ? columns : KERNEL_COLUMNS,
					    squares, trial);
		}
		for (uint32_t v = 0; !status && v < mvm->count; v++)
			trial->error +=
				(double)squares[v] * ((double)mvm->s[v] * (double)mvm->s[v]);
	}
	mvm->count = count;
	return status;
}

/* The step with the least error, the smaller of equal ones; LF_STATUS_*. */
static uint16_t find_step(struct mvm *mvm, struct xbar *xbar, struct route *route,
			  uint32_t *step_found)
{
	struct trial trial = { .clips = 1 };
	double least = 0;

	*step_found = 0;
	for (uint32_t size = 1; trial.clips && size <= XBAR_STEP_MAX; size *= 2) {
		uint16_t status;

		if (!xbar_params_step_fits(&xbar->params, size))
			continue;
		route->converter = xbar_route_converter(xbar, size);
		xbar_mvm_set_route(mvm, route);
		status = try_samples(mvm, xbar, &trial);
		if (status)
			return status;
		if (!*step_found || trial.error < least) {
			*step_found = size;
			least = trial.error;
		}
	}
	return LF_STATUS_OK;
}

uint16_t xbar_execute_calibrate(struct xbar_job *job, const struct step *step, struct tally *tally,
				uint64_t *result)
{
	struct xbar *xbar = job->xbar;
	struct matrix *matrix = step->matrix;
	struct mvm mvm = {
		.xbar = xbar,
		.kernels = xbar->kernels,
		.matrix = matrix,
		.job_number = job->request.job_number,
		.command = (uint32_t)(step - job->steps),
		.count = step->command->count,
		.variants = 1,
		.segments = 1,
		.input = span_of(job, &step->input),
	};
	const struct mvm_work product = { .rows = matrix->entry.rows,
					  .cols = matrix->entry.cols,
					  .vectors = step->command->count };
	uint32_t step_found;
	struct route route;
	uint16_t status;

	xbar_energy_charge_mvm(&xbar->params, &product, tally);
	if (xbar->params.adc_bits == XBAR_ADC_IDEAL) {
		*result = xbar_matrix_adc_step(xbar, matrix);
		return LF_STATUS_OK;
	}
	/* Steps of one level may be known to lose nothing; here every conversion is looked at. */
	route = *xbar_route(xbar, matrix, false);
	if (route.path == ROUTE_EXACT)
		route.path = ROUTE_LOSSY;
	if (route.path == ROUTE_ANALOG) {
		mvm.analog = xbar_analog_get(xbar, matrix);
		if (!mvm.analog)
			return LF_STATUS_INTERNAL;
	}
	status = find_step(&mvm, xbar, &route, &step_found);
	if (status)
		return status;
	matrix->entry.adc_step = step_found;
	matrix->generation++;
	xbar_directory_update(xbar, matrix, matrix->state);
	*result = step_found;
	return LF_STATUS_OK;
}
