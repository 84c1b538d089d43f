// SPDX-License-Identifier: MIT
/* Opening what training and evaluating need; see session.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/statistics.h>

#include "tools/lfctl/open.h"
#include "tools/lfctl/session.h"

/* Learning rate of a linear head; it is a convex problem and Adam is not picky. */
#define LINEAR_RATE    0.01

/* What VeRA's d starts at; its authors' choice. */
#define VERA_INITIAL_D 0.1

static int task_file(const struct session_options *options, const char *file, char *path,
		     size_t bytes, struct lf_error *error)
{
	if ((size_t)snprintf(path, bytes, "%s/%s", options->task, file) >= bytes)
		return lf_error_set(error, -ENAMETOOLONG, "--task: path too long");
	return 0;
}

static int read_examples(struct session *session, const struct session_options *options,
			 const char *split, uint32_t tokens, uint32_t limit,
			 struct lf_examples *examples, struct lf_error *error)
{
	struct lf_dataset *dataset;
	char file[32], path[1024];
	int ret;

	snprintf(file, sizeof(file), "%s.jsonl", split);
	ret = task_file(options, file, path, sizeof(path), error);
	if (!ret)
		ret = lf_dataset_read(&dataset, path, session->labels, error);
	if (ret)
		return ret;
	ret = lf_examples_create(dataset, session->tokenizer, tokens, limit, examples, error);
	lf_dataset_free(dataset);
	return ret ? lf_error_prefix(error, ret, "%s", path) : 0;
}

static int read_task(struct session *session, const struct session_options *options,
		     const struct recipe *recipe, struct lf_error *error)
{
	uint32_t tokens = (uint32_t)recipe->tokens;
	char path[1024];
	int ret;

	ret = task_file(options, "labels.json", path, sizeof(path), error);
	if (!ret)
		ret = lf_label_set_read(&session->labels, path, error);
	if (!ret)
		ret = open_tokenizer(options->model, &session->tokenizer, error);
	if (!ret && options->training)
		ret = read_examples(session, options, "train", tokens, 0, &session->train, error);
	if (!ret)
		ret = read_examples(session, options, options->split, tokens, options->test_limit,
				    &session->test, error);
	return ret;
}

/* Opens what was deployed. */
static int open_deployed(struct session *session, const struct session_options *options,
			 const struct recipe *recipe, struct lf_error *error)
{
	struct lf_encoder_options encoder = { .directory = options->model,
					      .name = options->name,
					      .batch_sequences = options->batch,
					      .sequence_tokens = (uint32_t)recipe->tokens,
					      .threads = options->threads,
					      .simd = options->simd };
	int ret;

	ret = lf_encoder_open(session->device, &encoder, &session->encoder, error);
	if (!ret && session->modules.count)
		ret = lf_pool_open(session->encoder, &session->modules, &session->pool, error);
	if (ret == -ENOENT)
		lf_error_prefix(
			error, ret,
			"device %s (lfctl matrix list shows what it holds, lfctl deploy adds to it)",
			lf_device_info(session->device)->path);
	return ret;
}

/* Deploys to a device of this session's own. */
static int deploy(struct session *session, const struct session_options *options,
		  struct lf_error *error)
{
	struct lf_deploy_options deployment = {
		.directory = options->model,
		.name = options->name,
		.modules = session->modules.count ? &session->modules : NULL,
		.mode = 0444,
	};

	return lf_deploy(session->device, &deployment, NULL, error);
}

static bool is_module(const char *directory, const char *name)
{
	return !strcmp(strrchr(directory, '/') + 1, name);
}

/* The modules that are drawn; the one to be passed over leaves its place to the next. */
static int find_modules(struct lf_pool_modules *modules, const struct session_options *options,
			const struct recipe *recipe, struct lf_error *error)
{
	uint32_t wanted = options->without ? 0 : (uint32_t)recipe->modules, kept = 0;
	int ret = lf_pool_modules_find(options->pool, wanted, recipe->pool_seed, modules, error);

	if (ret || !options->without)
		return ret;
	for (uint32_t at = 0; at < modules->count; at++) {
		char *directory = modules->directories[at];

		if (is_module(directory, options->without) ||
		    (recipe->modules && kept == recipe->modules))
			free(directory);
		else
			modules->directories[kept++] = directory;
	}
	modules->count = kept;
	if (kept && kept >= recipe->modules)
		return 0;
	lf_pool_modules_release(modules);
	return lf_error_set(error, -EINVAL, "pool %s: %llu modules wanted, %u found beside %s",
			    options->pool, (unsigned long long)recipe->modules, kept,
			    options->without);
}

int session_open(struct session *session, const struct session_options *options,
		 const struct recipe *recipe, struct lf_error *error)
{
	int ret;

	*session = (struct session){ 0 };
	if (recipe_has(recipe, RECIPE_POOL)) {
		ret = find_modules(&session->modules, options, recipe, error);
		if (ret)
			return ret;
	}
	ret = read_task(session, options, recipe, error);
	if (!ret)
		ret = open_device(options->common, &session->device, error);
	if (!ret && options->deploy)
		ret = deploy(session, options, error);
	if (!ret)
		ret = open_deployed(session, options, recipe, error);
	if (!ret)
		ret = lf_head_cosine(session->encoder, session->tokenizer, session->labels,
				     recipe->temperature, &session->zero_shot, error);
	if (ret)
		session_close(session);
	return ret;
}

/* A method that is trained and has no pool. */
static int make_trained(struct session *session, const struct recipe *recipe, double rate,
			struct lf_error *error)
{
	struct lf_lora_options lora = { .rank = recipe_rank(recipe),
					.alpha = recipe_alpha(recipe),
					.rate = rate,
					.place = recipe_place(recipe) };
	struct lf_vera_options vera = { .rank = lora.rank,
					.rate = rate,
					.initial_d = VERA_INITIAL_D,
					.seed = recipe->projection_seed };
	struct lf_full_options full = { .rate = rate, .place = lora.place };
	struct lf_encoder *encoder = session->encoder;
	struct lf_method **method = &session->method;
	int ret = recipe_targets(recipe, &lora.targets, error);

	vera.targets = lora.targets;
	full.targets = lora.targets;
	if (ret)
		return ret;
	if (!strcmp(recipe->method, "lora"))
		return lf_lora_create(encoder, &lora, method, error);
	if (!strcmp(recipe->method, "dora"))
		return lf_dora_create(encoder, &lora, method, error);
	if (!strcmp(recipe->method, "vera"))
		return lf_vera_create(encoder, &vera, method, error);
	if (!strcmp(recipe->method, "full"))
		return lf_full_create(encoder, &full, method, error);
	if (!strcmp(recipe->method, "ia3"))
		return lf_ia3_create(encoder, rate, method, error);
	if (!strcmp(recipe->method, "magnitude"))
		return lf_magnitude_create(encoder, lora.targets, rate, method, error);
	return lf_bitfit_create(encoder, lora.targets, rate, method, error);
}

int session_method(struct session *session, const struct recipe *recipe,
		   const struct lf_lorafusion_options *rates, double rate, struct lf_error *error)
{
	uint32_t classes = lf_head_classes(session->zero_shot);
	struct lf_lorafusion_options fusion = *rates;
	int ret = 0;

	if (!strcmp(recipe->method, "majority")) {
		session->constant = true;
		session->label = lf_majority(session->train.labels, session->train.count, classes);
		return 0;
	}
	if (!strcmp(recipe->head, "linear"))
		ret = lf_head_linear(session->encoder, classes, LINEAR_RATE, &session->linear,
				     error);
	if (ret || !strcmp(recipe->method, "head") || !strcmp(recipe->method, "zero-shot"))
		return ret;
	if (!recipe_has(recipe, RECIPE_POOL))
		return make_trained(session, recipe, rate, error);
	recipe_fusion(recipe, &fusion);
	return lf_lorafusion_create(session->encoder, session->pool, &fusion, &session->method,
				    error);
}

/* An evaluation of a search, told as a step of training. */
static void report_evaluation(void *argument, const struct lf_search_state *state)
{
	const struct lf_train_options *options = argument;
	struct lf_train_state step = { .step = state->evaluation,
				       .steps = state->evaluations,
				       .loss = state->loss };

	if (options->report)
		options->report(options->argument, &step);
}

static int choose(struct session *session, const struct recipe *recipe, uint64_t seed,
		  const struct lf_train_options *options, struct lf_error *error)
{
	struct lf_search_options search = { .kind = LF_SEARCH_UNIFORM,
					    .evaluations = (uint32_t)recipe->evaluations,
					    .l1 = recipe_l1(recipe),
					    .batch = options->batch,
					    .seed = seed,
					    .report = report_evaluation,
					    .argument = (void *)options };

	if (!strcmp(recipe->method, "best-single"))
		search.kind = LF_SEARCH_SINGLE;
	if (!strcmp(recipe->method, "lorahub"))
		search.kind = LF_SEARCH_EVOLVE;
	return lf_adaptation_search(session->method, session->encoder, session_head(session),
				    &session->train, &search, error);
}

int session_adapt(struct session *session, const struct recipe *recipe, uint64_t seed,
		  const struct lf_train_options *options, struct lf_error *error)
{
	int ret = 0;

	if (recipe_has(recipe, RECIPE_CHOOSES))
		return choose(session, recipe, seed, options, error);
	if (!recipe_has(recipe, RECIPE_TRAINS))
		return 0;
	if (session->method)
		ret = lf_method_start(session->method, seed, error);
	return ret ? ret
		   : lf_train(session->method, session->encoder, session_head(session),
			      &session->train, options, error);
}

int session_predict(struct session *session, const struct lf_examples *examples, uint32_t batch,
		    uint32_t *predictions, lf_progress progress, void *argument,
		    struct lf_error *error)
{
	if (!session->constant)
		return lf_predict(session->encoder, session_head(session), examples, batch,
				  predictions, progress, argument, error);
	for (uint32_t at = 0; at < examples->count; at++)
		predictions[at] = session->label;
	return 0;
}

uint64_t session_trained(const struct session *session, const struct recipe *recipe)
{
	if (!strcmp(recipe->method, "lorahub"))
		return session->modules.count;
	return session->method ? lf_method_trainable(session->method) : 0;
}

struct lf_head *session_head(const struct session *session)
{
	return session->linear ? session->linear : session->zero_shot;
}

void session_close(struct session *session)
{
	lf_head_free(session->linear);
	lf_head_free(session->zero_shot);
	if (session->encoder)
		lf_encoder_attach(session->encoder, NULL, false, NULL);
	lf_method_free(session->method);
	lf_pool_close(session->pool);
	lf_encoder_close(session->encoder);
	lf_device_close(session->device);
	lf_pool_modules_release(&session->modules);
	lf_examples_release(&session->train);
	lf_examples_release(&session->test);
	lf_tokenizer_close(session->tokenizer);
	lf_label_set_free(session->labels);
	*session = (struct session){ 0 };
}
