// SPDX-License-Identifier: MIT
/* The constants of an Adam step; the step itself is a kernel. */
#include "runtime/simd/number.h"
#include "runtime/simd/simd.h"

static double power(double base, uint64_t exponent)
{
	double result = 1;

	for (; exponent; exponent >>= 1, base *= base) {
		if (exponent & 1)
			result *= base;
	}
	return result;
}

void lf_adam_prepare(struct lf_adam *adam, uint64_t step, double learning_rate, double beta1,
		     double beta2, double epsilon, double weight_decay)
{
	*adam = (struct lf_adam){
		.step_size = (float)(learning_rate / (1 - power(beta1, step))),
		.beta1 = (float)beta1,
		.beta2 = (float)beta2,
		.one_minus_beta1 = (float)(1 - beta1),
		.one_minus_beta2 = (float)(1 - beta2),
		.second_moment_root = number_root((float)(1 - power(beta2, step))),
		.epsilon = (float)epsilon,
		.weight_decay = (float)weight_decay,
	};
}
