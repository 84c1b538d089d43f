/* SPDX-License-Identifier: MIT */
/* Groups of trained numbers, as an optimiser sees them. */
#ifndef LF_PARAMETERS_H
#define LF_PARAMETERS_H

#include <stddef.h>

/**
 * struct lf_parameters - a group of trained numbers
 * @name: of the group, and of its tensor in a checkpoint
 * @values: [@count]
 * @gradients: [@count] added to by backward passes
 * @count: how many
 * @learning_rate: of Adam
 * @weight_decay: L2 factor
 * @l1: factor of mean |value| in the loss
 */
struct lf_parameters {
	const char *name;
	float *values;
	float *gradients;
	size_t count;
	double learning_rate;
	double weight_decay;
	double l1;
};

#endif
