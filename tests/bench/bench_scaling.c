// SPDX-License-Identifier: MIT
/*
 * Measured cost of a training step of LoRAFusion, in processor time of all threads, against the number of modules and the length of
 * sentences. One JSON object a line.
 *
 * In modules a step is linear but for the row norms, whose Gram terms are N (N + 1) / 2 a row: beside a step stands the line through
 * the steps of 1 and 64 modules without their norms, and the norms at that N. In the length, at a fixed number of tokens, a token
 * costs the same but for attention, which is linear: beside it stands the line through the shortest and the longest sentences.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/bench/training.h"

enum { STEPS = 10, NORMS = 20, TOKENS = 1024, MODULES = 20 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct cost {
	double step_ms;
	double norms_ms;
};

static int measure(const struct training_shape *shape, struct cost *cost, struct lf_error *error)
{
	struct training *training;
	struct training_time step;
	int ret = training_open(&training, shape, error);

	if (ret)
		return ret;
	ret = training_steps(training, STEPS, &step, error);
	if (!ret)
		ret = training_norms(training, NORMS, &cost->norms_ms, error);
	cost->step_ms = step.cpu_ms;
	training_close(training);
	return ret;
}

static int measure_modules(struct lf_error *error)
{
	static const uint32_t modules[] = { 1, 2, 4, 8, 16, 32, 64 };
	enum { LAST = COUNT(modules) - 1 };
	struct cost costs[COUNT(modules)];
	double slope, base;

	for (size_t i = 0; i < COUNT(modules); i++) {
		struct training_shape shape = { modules[i], 16, TOKENS / 16, 1 };
		int ret = measure(&shape, &costs[i], error);

		if (ret)
			return ret;
	}
	base = costs[0].step_ms - costs[0].norms_ms;
	slope = (costs[LAST].step_ms - costs[LAST].norms_ms - base) /
		(double)(modules[LAST] - modules[0]);
	for (size_t i = 0; i < COUNT(modules); i++) {
		printf("{\"name\": \"cost.modules.%u\", \"value\": %.2f, \"unit\": \"ms\", \"limit\": "
		       "\"linear, and row norms\", \"limit_value\": %.2f}\n",
		       modules[i], costs[i].step_ms,
		       base + slope * (modules[i] - modules[0]) + costs[i].norms_ms);
		printf("{\"name\": \"cost.row_norms.%u\", \"value\": %.3f, \"unit\": \"ms\", \"limit\": "
		       "\"N (N + 3) / 2 terms, from 64 modules\", \"limit_value\": %.3f}\n",
		       modules[i], costs[i].norms_ms,
		       costs[LAST].norms_ms * (modules[i] * (modules[i] + 3.0)) /
			       (modules[LAST] * (modules[LAST] + 3.0)));
	}
	return 0;
}

static int measure_tokens(struct lf_error *error)
{
	static const uint32_t tokens[] = { 16, 32, 64, 128, 256 };
	enum { LAST = COUNT(tokens) - 1 };
	struct cost costs[COUNT(tokens)];
	double slope;

	for (size_t i = 0; i < COUNT(tokens); i++) {
		struct training_shape shape = { MODULES, TOKENS / tokens[i], tokens[i], 1 };
		int ret = measure(&shape, &costs[i], error);

		if (ret)
			return ret;
	}
	slope = (costs[LAST].step_ms - costs[0].step_ms) / (double)(tokens[LAST] - tokens[0]);
	for (size_t i = 0; i < COUNT(tokens); i++)
		printf("{\"name\": \"cost.tokens.%u\", \"value\": %.2f, \"unit\": \"us/token\", "
		       "\"limit\": \"linear in the length\", \"limit_value\": %.2f}\n",
		       tokens[i], costs[i].step_ms * 1e3 / TOKENS,
		       (costs[0].step_ms + slope * (tokens[i] - tokens[0])) * 1e3 / TOKENS);
	return 0;
}

int main(void)
{
	struct lf_error error = { 0 };

	if (!measure_modules(&error) && !measure_tokens(&error))
		return EXIT_SUCCESS;
	fprintf(stderr, "bench_scaling: %s\n", error.text);
	return EXIT_FAILURE;
}
