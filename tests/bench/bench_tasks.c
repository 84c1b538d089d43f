// SPDX-License-Identifier: MIT
/*
 * Measured cost of mixing tasks in a batch: the same sentences of several tasks in one mixed batch (lf_tasks), and task by task, the
 * method switched between them, as a server without mixing would. A model of BERT's shape with random weights would measure the
 * same; it is the tiny one of tests/golden, so the figures are ratios of work a call, not times of a real model. Rounds alternate,
 * and rows are the fastest of them: others may be using the machine too. One JSON object a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lf/tasks.h>

enum {
	TASKS = 6,
	SENTENCES = 48,
	TOKENS = 12,
	HIDDEN = 21,
	WORDS = 37,
	FIRST_WORD = 4,
	ROUNDS = 40
};

#define MODEL "tests/golden/gradients/model"
#define POOL  "tests/golden/gradients/pool-qv"

struct rig {
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_pool_modules modules;
	struct lf_pool *pool;
	struct lf_method *methods[TASKS];
	struct lf_tasks *tasks;
	uint32_t start[SENTENCES + 1];
	uint32_t tokens[SENTENCES * TOKENS];
	uint32_t which[SENTENCES];
	float embeddings[SENTENCES * HIDDEN];
};

static double now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int open_rig(struct rig *rig, struct lf_error *error)
{
	const struct lf_encoder_options encoder = { .directory = MODEL,
						    .name = "tiny",
						    .batch_sequences = SENTENCES,
						    .sequence_tokens = TOKENS,
						    .threads = 1 };
	struct lf_deploy_options deploy = { .directory = MODEL, .name = "tiny", .mode = 0444 };
	struct lf_lorafusion_options options;
	int ret;

	lf_lorafusion_defaults(&options);
	ret = lf_device_open("inproc:ideal", &rig->device, error);
	if (!ret)
		ret = lf_pool_modules_find(POOL, 0, 0, &rig->modules, error);
	deploy.modules = &rig->modules;
	if (!ret)
		ret = lf_deploy(rig->device, &deploy, NULL, error);
	if (!ret)
		ret = lf_encoder_open(rig->device, &encoder, &rig->encoder, error);
	if (!ret)
		ret = lf_pool_open(rig->encoder, &rig->modules, &rig->pool, error);
	for (uint32_t at = 0; !ret && at < TASKS; at++) {
		ret = lf_lorafusion_create(rig->encoder, rig->pool, &options, &rig->methods[at],
					   error);
		if (!ret)
			ret = lf_method_start(rig->methods[at], at + 1, error);
		if (!ret)
			ret = lf_method_prepare(rig->methods[at], error);
	}
	if (!ret)
		ret = lf_tasks_create(rig->methods, TASKS, &rig->tasks, error);
	for (uint32_t at = 0; at < SENTENCES; at++) {
		rig->which[at] = at % TASKS;
		rig->start[at + 1] = (at + 1) * TOKENS;
	}
	for (uint32_t at = 0; at < SENTENCES * TOKENS; at++)
		rig->tokens[at] = FIRST_WORD + at * 7 % WORDS;
	return ret;
}

static void close_rig(struct rig *rig)
{
	if (rig->encoder)
		lf_encoder_attach(rig->encoder, NULL, false, NULL);
	lf_tasks_free(rig->tasks);
	for (uint32_t at = 0; at < TASKS; at++)
		lf_method_free(rig->methods[at]);
	lf_pool_close(rig->pool);
	lf_encoder_close(rig->encoder);
	lf_pool_modules_release(&rig->modules);
	lf_device_close(rig->device);
}

/* All sentences, in one batch. */
static int pass_mixed(struct rig *rig, struct lf_error *error)
{
	const struct lf_batch batch = { SENTENCES, rig->start, rig->tokens };

	return lf_tasks_forward(rig->tasks, &batch, rig->which, rig->embeddings, error);
}

/* All sentences, a batch for each task; which sentences they are does not change the time. */
static int pass_apart(struct rig *rig, struct lf_error *error)
{
	const struct lf_batch batch = { SENTENCES / TASKS, rig->start, rig->tokens };
	int ret = 0;

	for (uint32_t at = 0; !ret && at < TASKS; at++) {
		ret = lf_method_attach(rig->methods[at], false, error);
		if (!ret)
			ret = lf_encoder_forward(rig->encoder, &batch, rig->embeddings, error);
	}
	return ret;
}

/* All sentences as if they were of one task, in one batch: what mixing cannot be below. */
static int pass_alone(struct rig *rig, struct lf_error *error)
{
	const struct lf_batch batch = { SENTENCES, rig->start, rig->tokens };

	return lf_encoder_forward(rig->encoder, &batch, rig->embeddings, error);
}

struct way {
	const char *name;
	int (*pass)(struct rig *rig, struct lf_error *error);
	double fastest_ms;
	uint64_t jobs;
};

static int measure(struct rig *rig, struct way *way, struct lf_error *error)
{
	struct lf_counters before, after;
	double began_ms;
	int ret = 0;

	/* Attaching is part of switching, and of nothing else. */
	if (way->pass == pass_mixed)
		ret = lf_tasks_attach(rig->tasks, error);
	else if (way->pass == pass_alone)
		ret = lf_method_attach(rig->methods[0], false, error);
	if (!ret)
		ret = lf_device_counters(rig->device, &before, error);
	began_ms = now_ms();
	if (!ret)
		ret = way->pass(rig, error);
	began_ms = now_ms() - began_ms;
	if (!ret)
		ret = lf_device_counters(rig->device, &after, error);
	if (ret)
		return ret;
	way->jobs = after.jobs - before.jobs;
	if (way->fastest_ms == 0.0 || began_ms < way->fastest_ms)
		way->fastest_ms = began_ms;
	return 0;
}

int main(void)
{
	struct way ways[] = { { .name = "one_task", .pass = pass_alone },
			      { .name = "mixed", .pass = pass_mixed },
			      { .name = "task_by_task", .pass = pass_apart } };
	struct lf_error error = { 0 };
	static struct rig rig;
	int ret = open_rig(&rig, &error);

	for (int round = 0; !ret && round < ROUNDS; round++)
		for (size_t at = 0; !ret && at < sizeof(ways) / sizeof(ways[0]); at++)
			ret = measure(&rig, &ways[at], &error);
	close_rig(&rig);
	if (ret) {
		fprintf(stderr, "bench_tasks: %s\n", error.text);
		return EXIT_FAILURE;
	}
	for (size_t at = 0; at < sizeof(ways) / sizeof(ways[0]); at++) {
		printf("{\"name\": \"tasks%u.%s\", \"value\": %.3f, \"unit\": \"ms\"}\n", TASKS,
		       ways[at].name, ways[at].fastest_ms);
		printf("{\"name\": \"tasks%u.%s.jobs\", \"value\": %llu, \"unit\": \"jobs\"}\n",
		       TASKS, ways[at].name, (unsigned long long)ways[at].jobs);
	}
	return EXIT_SUCCESS;
}
