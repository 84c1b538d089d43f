/* SPDX-License-Identifier: MIT */
/* Calibrating a deployed model from sample sentences, as a command of its own and behind deploy. */
#ifndef LFCTL_CALIBRATE_H
#define LFCTL_CALIBRATE_H

#include <jansson.h>

#include <lf/calibration.h>

#include "tools/lfctl/command.h"

/**
 * struct calibrate_values - what to calibrate and from what
 * @common: first, as in every command
 * @model: directory of the model
 * @name: name it was deployed under
 * @pool: directory of the pool, NULL for none
 * @modules: of the pool, 0 for all
 * @pool_seed: draws them
 * @samples: file of sentences
 * @sentences: first ones only
 * @vectors: most samples of a matrix
 * @tokens: longest sentence
 * @threads: of the host
 */
struct calibrate_values {
	struct common common;
	const char *model;
	const char *name;
	const char *pool;
	uint64_t modules;
	uint64_t pool_seed;
	const char *samples;
	uint64_t sentences;
	uint64_t vectors;
	uint64_t tokens;
	uint64_t threads;
};

#define CALIBRATE_DEFAULTS                                                     \
	{                                                                      \
		.name = "model", .sentences = 64, .vectors = 256, .tokens = 32 \
	}

/** calibrate_read() - read the sentences; release them with lf_examples_release() */
int calibrate_read(const struct calibrate_values *values, struct lf_examples *sentences,
		   struct lf_error *error);

/** calibrate_model() - calibrate what is deployed; adds "matrices" and "calibration" to @result */
int calibrate_model(struct lf_device *device, const struct calibrate_values *values,
		    const struct lf_pool_modules *modules, const struct lf_examples *sentences,
		    json_t *result, struct lf_error *error);

#endif
