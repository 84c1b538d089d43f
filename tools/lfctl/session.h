/* SPDX-License-Identifier: MIT */
/*
 * What training and evaluating open: a task's files, a device, the model on it, and the method.
 */
#ifndef LFCTL_SESSION_H
#define LFCTL_SESSION_H

#include <lf/search.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/recipe.h"

/**
 * struct session_options - where everything is
 * @common: the command's, for its device
 * @model: directory of the model
 * @name: name it was deployed under
 * @pool: directory of the pool, for methods that have one
 * @without: module of the pool that is passed over, NULL for none
 * @task: directory with labels.json, train.jsonl, validation.jsonl and test.jsonl
 * @batch: sentences a pass
 * @threads: of the host, 0 for one a CPU
 * @simd: host kernels, NULL for the best
 * @split: examples to test on: "test" or "validation"
 * @test_limit: first test examples only, 0 for all
 * @training: read train.jsonl as well
 * @deploy: the device is empty; deploy the model and the pool first
 */
struct session_options {
	const struct common *common;
	const char *model;
	const char *name;
	const char *pool;
	const char *without;
	const char *task;
	uint32_t batch;
	uint32_t threads;
	const char *simd;
	const char *split;
	uint32_t test_limit;
	bool training;
	bool deploy;
};

struct session {
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_tokenizer *tokenizer;
	struct lf_label_set *labels;
	struct lf_examples train;
	struct lf_examples test;
	struct lf_pool_modules modules;
	struct lf_pool *pool;
	struct lf_method *method;
	struct lf_head *zero_shot; /* cosine head, whatever the recipe's is */
	struct lf_head *linear;	   /* NULL if the recipe has the cosine head */
	bool constant;		   /* predicts @label whatever the sentence is */
	uint32_t label;
};

/** session_open() - read the files, then open the device; on failure nothing stays open */
int session_open(struct session *session, const struct session_options *options,
		 const struct recipe *recipe, struct lf_error *error);

/**
 * session_method() - make the recipe's method and head; the model must be unattached, since labels are embedded
 * @session: opened with the same recipe; with training examples for "majority"
 * @recipe: any of the table of methods
 * @rates: of the coefficients and magnitudes; what the recipe says itself is taken from there
 * @rate: learning rate of everything else that is trained, a linear head apart
 * @error: reason on failure
 */
int session_method(struct session *session, const struct recipe *recipe,
		   const struct lf_lorafusion_options *rates, double rate, struct lf_error *error);

/**
 * session_adapt() - adapt what session_method() made to the training examples: by gradients, by choosing coefficients, or not at all
 * @session: with training examples
 * @recipe: of session_method()
 * @seed: of initial values and of candidates
 * @options: how; a search takes its batch and its report, to which an evaluation is a step and the epoch is 0
 * @error: reason on failure
 */
int session_adapt(struct session *session, const struct recipe *recipe, uint64_t seed,
		  const struct lf_train_options *options, struct lf_error *error);

/** session_predict() - lf_predict() by what session_adapt() made; majority reads no crossbar */
int session_predict(struct session *session, const struct lf_examples *examples, uint32_t batch,
		    uint32_t *predictions, lf_progress progress, void *argument,
		    struct lf_error *error);

/** session_trained() - numbers that adapting changes, the head's apart; of lorahub those that it searches */
uint64_t session_trained(const struct session *session, const struct recipe *recipe);

/** session_head() - the head of the recipe */
struct lf_head *session_head(const struct session *session);

/** session_close() - close everything */
void session_close(struct session *session);

#endif
