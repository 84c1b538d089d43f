// SPDX-License-Identifier: MIT
/* Setting up what runs need, and sharing it between them; see experiment_bench.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/experiment_bench.h"

static bool same_text(const char *one, const char *other)
{
	return one == other || (one && other && !strcmp(one, other));
}

static const struct experiment_method *method_of(const struct bench *bench,
						 const struct experiment_run *run)
{
	return &bench->experiment->methods[run->method];
}

bool bench_serves(const struct bench *bench, const struct experiment_run *run)
{
	const struct experiment_method *mine, *wanted = method_of(bench, run);

	if (!bench->set_up || bench->run.task != run->task || bench->run.seed != run->seed ||
	    experiment_method_writes(wanted))
		return false;
	mine = method_of(bench, &bench->run);
	/* A pool that is not asked for is not read. */
	return !wanted->pool || (same_text(mine->pool, wanted->pool) &&
				 mine->recipe.modules == wanted->recipe.modules);
}

/*
 * Does a device answer the same whatever it was asked before? Noise is drawn in the order of the reads, and cells move and wear;
 * converters that clip do so always alike.
 */
static bool is_exact(const struct lf_device_info *info)
{
	return info->effects_known && !info->effects;
}

/* Keeps what the seed draws of the training examples. */
static int draw_examples(struct bench *bench, struct lf_error *error)
{
	struct lf_examples *train = &bench->session.train, drawn = { 0 };
	uint32_t classes = lf_label_set_count(bench->session.labels);
	uint32_t wanted = bench->stage->draw->examples;
	uint32_t *chosen;
	int ret = -ENOMEM;

	if (!wanted || wanted > train->count)
		wanted = train->count;
	chosen = calloc(train->count, sizeof(*chosen));
	drawn.start = calloc((size_t)wanted + 1, sizeof(*drawn.start));
	drawn.tokens = malloc((size_t)train->start[train->count] * sizeof(*drawn.tokens));
	drawn.labels = malloc((size_t)wanted * sizeof(*drawn.labels));
	if (chosen && drawn.start && drawn.tokens && drawn.labels)
		ret = lf_stratified_sample(train->labels, train->count, classes, wanted,
					   bench->seed, chosen);
	for (; !ret && drawn.count < wanted; drawn.count++) {
		uint32_t example = chosen[drawn.count], first = drawn.start[drawn.count];
		uint32_t tokens = train->start[example + 1] - train->start[example];

		memcpy(drawn.tokens + first, train->tokens + train->start[example],
		       tokens * sizeof(*drawn.tokens));
		drawn.start[drawn.count + 1] = first + tokens;
		drawn.labels[drawn.count] = train->labels[example];
	}
	free(chosen);
	if (ret) {
		lf_examples_release(&drawn);
		return lf_error_set(error, ret, "no memory to draw %u examples", wanted);
	}
	lf_examples_release(train);
	*train = drawn;
	return 0;
}

/*
 * Sources of the test's examples: those with the same "source" in the file belong together, one without it stands for itself. The
 * numbers follow first appearance, so that they are the same in every run of a task.
 */
static int number_sources(struct bench *bench, FILE *stream)
{
	json_t *seen = json_object();
	char *text = NULL;
	size_t bytes = 0;
	int ret = seen ? 0 : -ENOMEM;

	for (uint32_t at = 0; !ret && at < bench->session.test.count; at++) {
		ssize_t length = getline(&text, &bytes, stream);
		json_t *line = length > 0 ? json_loadb(text, (size_t)length, 0, NULL) : NULL;
		const char *name = json_string_value(json_object_get(line, "source"));
		const json_t *known = name ? json_object_get(seen, name) : NULL;

		bench->sources[at] =
			known ? (uint32_t)json_integer_value(known) : bench->source_count++;
		if (name && !known &&
		    json_object_set_new(seen, name, json_integer(bench->sources[at])))
			ret = -ENOMEM;
		if (!line)
			ret = -EINVAL;
		json_decref(line);
	}
	free(text);
	json_decref(seen);
	return ret;
}

static int read_sources(struct bench *bench, struct lf_error *error)
{
	char path[EXPERIMENT_BYTES + 32];
	FILE *stream;
	int ret;

	bench->source_count = 0;
	bench->sources = calloc(bench->session.test.count, sizeof(*bench->sources));
	if (!bench->sources)
		return lf_error_set(error, -ENOMEM, "no memory for the sources of a test");
	snprintf(path, sizeof(path), "%s/%s.jsonl", bench->task, bench->stage->draw->split);
	stream = fopen(path, "r");
	if (!stream)
		return lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
	ret = number_sources(bench, stream);
	fclose(stream);
	return ret ? lf_error_set(error, ret, "%s: %s", path, strerror(-ret)) : 0;
}

static int open_session(struct bench *bench, struct lf_error *error)
{
	const struct experiment *experiment = bench->experiment;
	const struct experiment_draw *draw = bench->stage->draw;
	const struct experiment_method *method = method_of(bench, &bench->run);
	const char *task = draw->tasks[bench->run.task];
	struct common common = { .quiet = true, .device = bench->device };
	struct session_options options = { .common = &common,
					   .model = experiment->model,
					   .name = "model",
					   .pool = method->pool,
					   .task = bench->task,
					   .batch = experiment->batch,
					   .threads = 1,
					   .split = draw->split,
					   .test_limit = draw->test_limit,
					   .training = true,
					   .deploy = true };
	struct recipe recipe = method->recipe;

	/* What was trained on a task itself must not help to choose settings on it. */
	if (draw == &experiment->tuning)
		options.without = task;
	recipe.pool_seed = bench->seed;
	snprintf(bench->device, sizeof(bench->device), "%s,seed=%llu,threads=1", experiment->device,
		 (unsigned long long)bench->seed);
	snprintf(bench->task, sizeof(bench->task), "%s/%s", experiment->data, task);
	return session_open(&bench->session, &options, &recipe, error);
}

int bench_set_up(struct bench *bench, const struct experiment_run *run, struct lf_error *error)
{
	struct bench_backbone *backbone = &bench->backbone;
	struct lf_telemetry telemetry = { 0 };
	int ret;

	if (bench_serves(bench, run))
		return 0;
	bench_tear_down(bench);
	bench->run = *run;
	bench->seed = bench->stage->draw->seeds[run->seed];
	ret = open_session(bench, error);
	if (ret)
		return ret;
	bench->set_up = true;
	bench->shared = is_exact(lf_device_info(bench->session.device)) &&
			!experiment_method_writes(method_of(bench, run));
	if (!bench->shared || !backbone->valid || backbone->task != run->task ||
	    backbone->seed != run->seed)
		*backbone = (struct bench_backbone){
			.valid = true, .task = run->task, .seed = run->seed, .test_pj = NAN
		};
	ret = draw_examples(bench, error);
	if (!ret)
		ret = read_sources(bench, error);
	if (!ret)
		ret = lf_device_telemetry(bench->session.device, &telemetry, error);
	bench->deployed = telemetry.total;
	if (ret)
		bench_tear_down(bench);
	return ret;
}

void bench_tidy(struct bench *bench)
{
	struct session *session = &bench->session;

	if (!bench->set_up)
		return;
	if (!bench->shared) {
		bench_tear_down(bench);
		return;
	}
	lf_encoder_attach(session->encoder, NULL, false, NULL);
	lf_method_free(session->method);
	lf_head_free(session->linear);
	session->method = NULL;
	session->linear = NULL;
	session->constant = false;
}

void bench_tear_down(struct bench *bench)
{
	if (bench->set_up)
		session_close(&bench->session);
	free(bench->sources);
	bench->sources = NULL;
	bench->set_up = false;
}
