/* SPDX-License-Identifier: MIT */
/* A trained matrix on a crossbar: what its cells hold, and its writing when that must change. */
#ifndef LF_RUNTIME_ADAPT_PLACED_H
#define LF_RUNTIME_ADAPT_PLACED_H

#include "runtime/adapt/method.h"

/** LF_PLACED_SAMPLES - vectors that converters are calibrated from */
#define LF_PLACED_SAMPLES 16

/**
 * struct lf_placed - the matrix; zeroes with @linear.inputs, .outputs and .scale and @samples set are one that was never written
 * @linear: what is read; its matrix is NULL before the first writing
 * @held: what the cells hold
 * @lent: the matrix is the encoder's
 * @samples: [LF_PLACED_SAMPLES][inputs] of what it is multiplied with, zeros before the first pass; the method's
 * @calibrated: its converters have a step from @samples
 */
struct lf_placed {
	struct lf_linear linear;
	struct lf_weight held;
	bool lent;
	float *samples;
	bool calibrated;
};

/**
 * lf_placed_sample() - keep some of what the matrix is multiplied with
 * @placed: the matrix
 * @x: [tokens][inputs]
 * @tokens: rows of @x, of which every so many-th is taken
 */
void lf_placed_sample(struct lf_placed *placed, const float *x, uint32_t tokens);

/**
 * lf_placed_borrow() - begin with a deployed layer, which is read until a level changes
 * @placed: never written
 * @method: whose it is
 * @index: of the linear layer
 * @values: [outputs][inputs] the layer's weight in the model's file
 * @error: reason on failure
 *
 * Return: 0, -ENOMEM, -EINVAL (the weight cannot be quantised).
 */
int lf_placed_borrow(struct lf_placed *placed, const struct lf_method *method, uint32_t index,
		     const float *values, struct lf_error *error);

/**
 * lf_placed_write() - make it hold a weight, to the rounding of its levels
 * @placed: the matrix; no job that reads it may be in flight
 * @method: whose it is; what was written is added to its @writes
 * @values: [outputs][inputs]
 * @error: reason on failure
 *
 * Where no level has changed, nothing is written and the scales alone are taken over, which are digital. Else a new matrix is programmed before
 * the old one is given up: after a failure the old one is still read. Where converters lose something, those of a new matrix are calibrated from the
 * samples, if there are any yet.
 *
 * Return: 0, -EDOM (NaN or Inf), -ENOMEM, what creating, programming and calibrating a matrix fails with.
 */
int lf_placed_write(struct lf_placed *placed, struct lf_method *method, const float *values,
		    struct lf_error *error);

/** lf_placed_release() - free, the matrix on the device included unless it is lent */
void lf_placed_release(struct lf_placed *placed);

/** lf_place_check() - 0, or -EINVAL for what is no place; @name is the method's */
int lf_place_check(enum lf_place place, const char *name, struct lf_error *error);

/** lf_place_on_crossbars() - are a method's matrices to be read from crossbars, as far as it is */
static inline bool lf_place_on_crossbars(enum lf_place place, const struct lf_method *method)
{
	return place == LF_PLACE_EACH_STEP || (place == LF_PLACE_ONCE && method->finished);
}

#endif
