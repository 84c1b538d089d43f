/* SPDX-License-Identifier: MIT */
/* Training a method and a head on examples with Adam, and applying them to others. */
#ifndef LF_TRAIN_H
#define LF_TRAIN_H

#include <lf/examples.h>
#include <lf/head.h>
#include <lf/method.h>

/**
 * struct lf_train_state - told after every step
 * @step: steps done
 * @steps: steps in all
 * @epoch: from 1
 * @loss: mean loss of the step's batch
 */
struct lf_train_state {
	uint64_t step;
	uint64_t steps;
	uint32_t epoch;
	double loss;
};

/**
 * struct lf_train_options - how to train
 * @epochs: passes over the examples
 * @batch: examples a step
 * @seed: of the order of the examples
 * @step_limit: stop after this many steps, 0 for all
 * @checkpoint: file to resume from if it is there, and to write; NULL for none
 * @checkpoint_steps: steps between checkpoints
 * @config: JSON object that says what run this is; a checkpoint of another is refused
 * @report: told after every step, may be NULL
 * @argument: for @report
 */
struct lf_train_options {
	uint32_t epochs;
	uint32_t batch;
	uint64_t seed;
	uint64_t step_limit;
	const char *checkpoint;
	uint32_t checkpoint_steps;
	const char *config;
	void (*report)(void *argument, const struct lf_train_state *state);
	void *argument;
};

/**
 * lf_train() - train
 * @method: started or restored; NULL trains the head alone
 * @encoder: the method's encoder
 * @head: the head; its parameters, if any, are trained as well
 * @examples: to train on
 * @options: how
 * @error: reason on failure
 *
 * Afterwards the method is prepared, attached, and ready to be applied or saved.
 *
 * Return: 0, -EINVAL, -EDOM (the loss is no number; the step is named), what checkpoints and jobs fail with.
 */
int lf_train(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
	     const struct lf_examples *examples, const struct lf_train_options *options,
	     struct lf_error *error);

/**
 * lf_predict() - classify
 * @encoder: with the method attached, if any
 * @head: the head
 * @examples: to classify
 * @batch: sentences a pass
 * @predictions: receives [count]
 * @progress: told after every pass, may be NULL
 * @argument: for @progress
 * @error: reason on failure
 */
int lf_predict(struct lf_encoder *encoder, struct lf_head *head, const struct lf_examples *examples,
	       uint32_t batch, uint32_t *predictions, lf_progress progress, void *argument,
	       struct lf_error *error);

/**
 * lf_adaptation_save() - write a trained method and head
 * @path: a checkpoint file
 * @method: prepared; NULL for a head alone
 * @head: the head
 * @config: JSON object that says what it belongs to
 * @error: reason on failure
 */
int lf_adaptation_save(const char *path, const struct lf_method *method, const struct lf_head *head,
		       const char *config, struct lf_error *error);

/** lf_adaptation_load() - read what lf_adaptation_save() wrote into a method and a head of the same shapes */
int lf_adaptation_load(const struct lf_checkpoint *checkpoint, struct lf_method *method,
		       struct lf_head *head, struct lf_error *error);

#endif
