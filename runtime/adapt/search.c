// SPDX-License-Identifier: MIT
/* Choosing a pool's coefficients by the loss on the training examples; see lf/search.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <lf/search.h>

#include "runtime/adapt/evolution.h"
#include "runtime/adapt/fusion.h"
#include "runtime/simd/number.h"

/* LoraHub's bound on a coefficient. */
#define BOUND 1.5

struct search {
	struct lf_method *method;
	struct lf_encoder *encoder;
	struct lf_head *head;
	const struct lf_examples *examples;
	const struct lf_search_options *options;
	uint32_t modules;
	struct lf_search_state state;
	float *candidate; /* [modules] */
	float *best;	  /* [modules] */
	float *embeddings;
	float *gradient;
};

static int mean_loss(struct search *search, double *loss, struct lf_error *error)
{
	const struct lf_examples *examples = search->examples;
	uint32_t batch = search->options->batch;
	double sum = 0.0;
	int ret = 0;

	for (uint32_t first = 0; !ret && first < examples->count; first += batch) {
		uint32_t rest = examples->count - first;
		struct lf_batch sentences = { rest < batch ? rest : batch, examples->start + first,
					      examples->tokens };

		ret = lf_encoder_forward(search->encoder, &sentences, search->embeddings, error);
		if (!ret)
			sum += lf_head_loss(search->head, search->embeddings,
					    examples->labels + first, sentences.sequences,
					    search->gradient);
	}
	*loss = sum / examples->count;
	return ret;
}

/* Tries the candidate and keeps it if it is the best. */
static int evaluate(struct search *search, double l1, double *loss, struct lf_error *error)
{
	double sum = 0.0;
	int ret;

	lf_lorafusion_set(search->method, search->candidate);
	ret = lf_method_prepare(search->method, error);
	if (!ret)
		ret = mean_loss(search, loss, error);
	if (ret)
		return lf_error_prefix(error, ret, "evaluation %u", search->state.evaluation + 1);
	for (uint32_t module = 0; module < search->modules; module++)
		sum += search->candidate[module] < 0.0f ? -search->candidate[module]
							: search->candidate[module];
	*loss += l1 * sum / search->modules;
	if (*loss < search->state.loss) {
		search->state.loss = *loss;
		memcpy(search->best, search->candidate, search->modules * sizeof(float));
	}
	search->state.evaluation++;
	if (search->options->report)
		search->options->report(search->options->argument, &search->state);
	return 0;
}

static int search_single(struct search *search, struct lf_error *error)
{
	double loss;
	int ret = 0;

	search->state.evaluations = search->modules;
	for (uint32_t module = 0; !ret && module < search->modules; module++) {
		memset(search->candidate, 0, search->modules * sizeof(float));
		search->candidate[module] = 1.0f;
		ret = evaluate(search, 0.0, &loss, error);
	}
	return ret;
}

/* Generations until the evaluations are spent; what is left of the last is evaluated and not learned from. */
static int evolve(struct search *search, struct lf_evolution *evolution, double *losses,
		  struct lf_error *error)
{
	uint32_t population = lf_evolution_population(evolution);
	int ret = 0;

	while (!ret && search->state.evaluation < search->state.evaluations) {
		const double *x = lf_evolution_ask(evolution);
		uint32_t at = 0;

		for (; !ret && at < population &&
		       search->state.evaluation < search->state.evaluations;
		     at++) {
			for (uint32_t module = 0; module < search->modules; module++)
				search->candidate[module] = (float)x[at * search->modules + module];
			ret = evaluate(search, search->options->l1, &losses[at], error);
		}
		if (at == population)
			lf_evolution_tell(evolution, losses);
	}
	return ret;
}

/*
 * The spread of the first candidates, which is ours: 1 / sqrt N. The product of sums has N^2 terms c_i c_j B_i A_j of arbitrary signs, which
 * together are then about as large as one module.
 */
static double first_step(uint32_t modules)
{
	return 1.0 / (double)number_root((float)modules);
}

static int search_evolve(struct search *search, struct lf_error *error)
{
	double *start = calloc(search->modules, sizeof(*start)), *losses = NULL;
	const struct lf_evolution_options options = { .dimensions = search->modules,
						      .start = start,
						      .step = first_step(search->modules),
						      .bound = BOUND,
						      .seed = search->options->seed };
	struct lf_evolution *evolution = NULL;
	double loss;
	int ret;

	ret = start ? lf_evolution_create(&evolution, &options, error)
		    : lf_error_set(error, -ENOMEM, "no memory for a search");
	free(start);
	if (ret)
		return ret;
	losses = calloc(lf_evolution_population(evolution), sizeof(*losses));
	if (!losses)
		ret = lf_error_set(error, -ENOMEM, "no memory for a search");
	search->state.evaluations = search->options->evaluations;
	/* No module at all, where LoraHub starts. */
	memset(search->candidate, 0, search->modules * sizeof(float));
	if (!ret)
		ret = evaluate(search, search->options->l1, &loss, error);
	if (!ret)
		ret = evolve(search, evolution, losses, error);
	lf_evolution_free(evolution);
	free(losses);
	return ret;
}

static int search_run(struct search *search, struct lf_error *error)
{
	int ret = 0;

	if (search->options->kind == LF_SEARCH_SINGLE) {
		ret = search_single(search, error);
	} else if (search->options->kind == LF_SEARCH_EVOLVE) {
		ret = search_evolve(search, error);
	} else {
		for (uint32_t module = 0; module < search->modules; module++)
			search->best[module] = 1.0f / (float)search->modules;
		search->state.loss = 0.0;
	}
	if (!ret && !isfinite(search->state.loss))
		ret = lf_error_set(error, -EDOM, "no candidate has a loss that is a number");
	if (ret)
		return ret;
	lf_lorafusion_set(search->method, search->best);
	return lf_method_prepare(search->method, error);
}

static int check(const struct search *search, struct lf_error *error)
{
	const struct lf_search_options *options = search->options;
	const struct lf_parameters *groups = search->method->groups;

	if (search->method->hook.ops != &fusion_hook_ops || search->method->group_count != 1 ||
	    groups[FUSION_COEFFICIENTS].learning_rate > 0.0)
		return lf_error_set(
			error, -EINVAL,
			"a search is for LoRAFusion with fixed coefficients and no magnitudes");
	if (options->kind > LF_SEARCH_EVOLVE)
		return lf_error_set(error, -EINVAL, "search: kind %d", (int)options->kind);
	if (!options->batch || !search->examples->count ||
	    (options->kind == LF_SEARCH_EVOLVE && !options->evaluations))
		return lf_error_set(error, -EINVAL,
				    "batch, evaluations and examples must not be 0");
	for (uint32_t at = 0; at < search->examples->count; at++)
		if (search->examples->labels[at] >= lf_head_classes(search->head))
			return lf_error_set(error, -EINVAL, "example %u: label %u of %u classes",
					    at, search->examples->labels[at],
					    lf_head_classes(search->head));
	return 0;
}

int lf_adaptation_search(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
			 const struct lf_examples *examples,
			 const struct lf_search_options *options, struct lf_error *error)
{
	struct search search = { .method = method,
				 .encoder = encoder,
				 .head = head,
				 .examples = examples,
				 .options = options,
				 .state = { .loss = INFINITY } };
	size_t numbers = (size_t)options->batch * lf_encoder_config(encoder)->hidden_size;
	int ret = check(&search, error);

	if (ret)
		return ret;
	search.modules = ((const struct fusion *)method)->pool->modules;
	search.candidate = calloc(search.modules, sizeof(float));
	search.best = calloc(search.modules, sizeof(float));
	search.embeddings = malloc(numbers * sizeof(float));
	search.gradient = malloc(numbers * sizeof(float));
	if (search.candidate && search.best && search.embeddings && search.gradient)
		ret = lf_method_attach(method, false, error);
	else
		ret = lf_error_set(error, -ENOMEM, "no memory for a search");
	if (!ret)
		ret = search_run(&search, error);
	free(search.candidate);
	free(search.best);
	free(search.embeddings);
	free(search.gradient);
	return ret;
}
