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
	} else {
		ret = program(&weight, method, &matrix, error);
		if (ret) {
			lf_weight_release(&weight);
			return ret;
		}
		method->writes.matrices_written++;
		give_up_matrix(placed);
		placed->linear.matrix = matrix;
	}
	hold(placed, &weight);
	return 0;
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
