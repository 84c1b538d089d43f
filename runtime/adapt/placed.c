// SPDX-License-Identifier: MIT
/* Trained matrices on crossbars; see placed.h. */
#include <errno.h>
#include <string.h>

#include "runtime/adapt/placed.h"
#include "runtime/adapt/sites.h"

static size_t held_bytes(const struct lf_weight *weight)
{
	size_t element = weight->format == LF_FORMAT_INT8 ? sizeof(int8_t) : sizeof(float);

	return element * weight->rows * weight->cols;
}

static bool same_levels(const struct lf_weight *a, const struct lf_weight *b)
{
	return a->cells && !memcmp(a->cells, b->cells, held_bytes(a));
}

static int make_weight(const struct lf_placed *placed, const struct lf_method *method,
		       const float *values, struct lf_weight *weight, struct lf_error *error)
{
	const struct lf_encoder *encoder = method->encoder;

	return lf_weight_create(weight, values, placed->linear.outputs, placed->linear.inputs,
				lf_device_weight_format(encoder->device), encoder->simd, error);
}

/* What is held and its scales; the matrix is the caller's to see to. */
static void hold(struct lf_placed *placed, struct lf_weight *weight)
{
	if (placed->linear.scale.space != LF_VIEW_NONE)
		memcpy(lf_view_data(placed->linear.scale), weight->scale,
		       weight->cols * sizeof(float));
	lf_weight_release(&placed->held);
	placed->held = *weight;
}

static void give_up_matrix(struct lf_placed *placed)
{
	if (!placed->lent)
		lf_matrix_close(placed->linear.matrix);
	placed->linear.matrix = NULL;
	placed->lent = false;
	placed->calibrated = false;
}

void lf_placed_sample(struct lf_placed *placed, const float *x, uint32_t tokens)
{
	size_t inputs = placed->linear.inputs;

	for (uint32_t at = 0; at < LF_PLACED_SAMPLES && at < tokens; at++) {
		uint64_t row =
			tokens < LF_PLACED_SAMPLES ? at : (uint64_t)at * tokens / LF_PLACED_SAMPLES;

		memcpy(placed->samples + at * inputs, x + row * inputs, inputs * sizeof(float));
	}
}

/* Are converters of the device to be calibrated, and is there something to do it with. */
static bool can_calibrate(const struct lf_placed *placed, const struct lf_method *method)
{
	const struct lf_encoder *encoder = method->encoder;

	return lf_device_info(encoder->device)->adc_bits &&
	       encoder->simd->absmax(placed->samples,
				     (size_t)LF_PLACED_SAMPLES * placed->linear.inputs) > 0.0f;
}

static int calibrate(const struct lf_placed *placed, struct lf_method *method,
		     struct lf_matrix *matrix, struct lf_error *error)
{
	uint32_t limit = lf_device_info(method->encoder->device)->batch;

	return lf_matrix_calibrate(matrix, limit < LF_PLACED_SAMPLES ? limit : LF_PLACED_SAMPLES,
				   placed->samples, NULL, &method->writes.counters, error);
}

int lf_placed_borrow(struct lf_placed *placed, const struct lf_method *method, uint32_t index,
		     const float *values, struct lf_error *error)
{
	struct lf_weight weight;
	int ret = make_weight(placed, method, values, &weight, error);

	if (ret)
		return ret;
	placed->linear.matrix = method->encoder->linears[index].matrix;
	placed->lent = true;
	hold(placed, &weight);
	return 0;
}

static int program(const struct lf_weight *weight, struct lf_method *method,
		   struct lf_matrix **matrix, struct lf_error *error)
{
	int ret = lf_matrix_create(method->encoder->device, weight->rows, weight->cols,
				   weight->format, matrix, error);

	if (ret)
		return ret;
	ret = lf_matrix_program(*matrix, 0, weight->rows, weight->cells, &method->writes.counters,
				error);
	if (!ret)
		ret = lf_matrix_commit(*matrix, error);
	if (ret)
		lf_matrix_close(*matrix);
	return ret;
}

int lf_placed_write(struct lf_placed *placed, struct lf_method *method, const float *values,
		    struct lf_error *error)
{
	bool calibrates = can_calibrate(placed, method);
	struct lf_matrix *matrix;
	struct lf_weight weight;
	int ret;

	ret = make_weight(placed, method, values, &weight, error);
	if (ret)
		return ret == -EINVAL ? lf_error_set(error, -EDOM,
						     "the trained weight holds NaN "
						     "or Inf")
				      : ret;
	if (same_levels(&placed->held, &weight)) {
		if (memcmp(placed->held.scale, weight.scale, weight.cols * sizeof(float)))
			method->writes.matrices_kept++;
		/* It was written before the first pass. */
		if (calibrates && !placed->lent && !placed->calibrated) {
			ret = calibrate(placed, method, placed->linear.matrix, error);
			placed->calibrated = !ret;
		}
	} else {
		ret = program(&weight, method, &matrix, error);
		if (!ret && calibrates) {
			ret = calibrate(placed, method, matrix, error);
			if (ret)
				lf_matrix_close(matrix);
		}
		if (!ret) {
			method->writes.matrices_written++;
			give_up_matrix(placed);
			placed->linear.matrix = matrix;
			placed->calibrated = calibrates;
		}
	}
	if (ret)
		lf_weight_release(&weight);
	else
		hold(placed, &weight);
	return ret;
}

void lf_placed_release(struct lf_placed *placed)
{
	give_up_matrix(placed);
	lf_weight_release(&placed->held);
}

int lf_place_check(enum lf_place place, const char *name, struct lf_error *error)
{
	if (place == LF_PLACE_HOST || place == LF_PLACE_ONCE || place == LF_PLACE_EACH_STEP)
		return 0;
	return lf_error_set(error, -EINVAL, "%s: place %d is none", name, (int)place);
}
