/* SPDX-License-Identifier: MIT */
/*
 * Calibrating the converters of a deployed model: every matrix, those of a pool included, gets the step with which what it
 * is multiplied with in a pass over sample sentences comes out nearest to what ideal converters would give.
 */
#ifndef LF_CALIBRATION_H
#define LF_CALIBRATION_H

#include <lf/examples.h>
#include <lf/pool.h>

/** LF_CALIBRATION_SAMPLES - usual number of vectors a matrix is calibrated from */
#define LF_CALIBRATION_SAMPLES 256

/**
 * struct lf_calibrated - what became of one matrix
 * @name: of the matrix; valid during the call
 * @samples: vectors it was calibrated from
 * @step_before: step of its converters until now, in levels of one cell
 * @step: its step from here on
 */
struct lf_calibrated {
	const char *name;
	uint32_t samples;
	uint32_t step_before;
	uint32_t step;
};

/**
 * struct lf_calibration_options - how to calibrate
 * @sentences: what the model is given; labels do not matter
 * @batch: sentences a pass
 * @samples: most vectors of a matrix, spread over the sentences
 * @report: told of every matrix, may be NULL
 * @argument: for @report
 */
struct lf_calibration_options {
	const struct lf_examples *sentences;
	uint32_t batch;
	uint32_t samples;
	void (*report)(void *argument, const struct lf_calibrated *calibrated);
	void *argument;
};

/**
 * lf_calibrate() - calibrate the matrices of a model, and of a pool beside it
 * @encoder: deployed, with no method attached
 * @pool: beside it, NULL for none
 * @options: how
 * @counters: what the calibrations cost is added, may be NULL
 * @error: reason on failure; names the matrix
 *
 * Layers are calibrated in the order of the network, each with its predecessors calibrated already: what a layer is given does
 * not suffer from clipping before it. The B of a pool get the products of its A, every module weighted alike, since which will
 * count is not known yet; a fusion with few large coefficients has smaller sums. Steps are persistent.
 *
 * Return: 0, -EINVAL (options), -EPERM (another user's matrices), what passes and jobs fail with. Matrices calibrated before a
 * failure stay so.
 */
int lf_calibrate(struct lf_encoder *encoder, struct lf_pool *pool,
		 const struct lf_calibration_options *options, struct lf_counters *counters,
		 struct lf_error *error);

#endif
