/* SPDX-License-Identifier: MIT */
/* Adapting without gradients: the coefficients of a pool are chosen by the loss on training examples alone. */
#ifndef LF_SEARCH_H
#define LF_SEARCH_H

#include <lf/train.h>

enum lf_search_kind {
	LF_SEARCH_UNIFORM, /* nothing is searched: c_i = 1 / N */
	LF_SEARCH_SINGLE, /* each module alone, c_i = 1 and 0 for the others; the one with the least loss */
	LF_SEARCH_EVOLVE, /* LoraHub (2307.13269): CMA-ES over one coefficient a module, started at 0, within +-1.5 */
};

/**
 * struct lf_search_state - told after every evaluation
 * @evaluation: done
 * @evaluations: in all
 * @loss: the least so far, with what is added for the coefficients
 */
struct lf_search_state {
	uint32_t evaluation;
	uint32_t evaluations;
	double loss;
};

/**
 * struct lf_search_options - how to search
 * @kind: what is tried
 * @evaluations: most passes over the examples, LF_SEARCH_EVOLVE only; LoraHub's code uses 40
 * @l1: factor of mean |c| that is added to the loss, LF_SEARCH_EVOLVE only; LoraHub's is 0.05
 * @batch: sentences a pass
 * @seed: draws the candidates, LF_SEARCH_EVOLVE only
 * @report: told after every evaluation, may be NULL
 * @argument: for @report
 */
struct lf_search_options {
	enum lf_search_kind kind;
	uint32_t evaluations;
	double l1;
	uint32_t batch;
	uint64_t seed;
	void (*report)(void *argument, const struct lf_search_state *state);
	void *argument;
};

/**
 * lf_adaptation_search() - choose a pool's coefficients
 * @method: LoRAFusion, made with a coefficient rate of 0 and without magnitudes
 * @encoder: the method's encoder
 * @head: the head; is not trained
 * @examples: to choose on, by their mean loss (lf_head_loss()); labels are below the head's number of classes
 * @options: how; only looked at
 * @error: reason on failure
 *
 * Afterwards the method has the best coefficients found, the first among equals, and is prepared, attached, and ready to be applied or saved. No
 * cell is written.
 *
 * Return: 0, -EINVAL (another method, an option or a label out of range), -EDOM (no candidate has a loss that is a number), -ENOMEM, what
 * jobs fail with.
 */
int lf_adaptation_search(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
			 const struct lf_examples *examples,
			 const struct lf_search_options *options, struct lf_error *error);

#endif
