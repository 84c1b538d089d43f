// SPDX-License-Identifier: MIT
/* The runs of a stage: which there are, and doing them several at a time. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lf/parallel.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/experiment_bench.h"
#include "tools/lfctl/progress.h"

/* Task and seed that a worker is at. */
struct place {
	bool taken;
	uint32_t task;
	uint32_t seed;
};

/* Workers; what is below the lock is shared. */
struct crew {
	const struct experiment *experiment;
	struct experiment_stage *stage;
	FILE *log;
	struct progress progress;
	double began_s;
	uint32_t missing;
	pthread_mutex_t lock;
	bool *begun;	      /* [runs] */
	struct place *places; /* [workers] */
	uint32_t done;
	int ret;
	struct lf_error error;
};

static uint32_t trials(const struct experiment_method *method, bool tuning)
{
	return tuning ? (uint32_t)json_array_size(method->trials) : 1;
}

int experiment_stage_create(const struct experiment *experiment, bool tuning,
			    struct experiment_stage *stage, struct lf_error *error)
{
	const struct experiment_draw *draw = tuning ? &experiment->tuning : &experiment->final;
	uint32_t each = 0, at = 0;

	*stage = (struct experiment_stage){ .name = tuning ? "tuning" : "runs", .draw = draw };
	for (uint32_t method = 0; method < experiment->method_count; method++)
		each += trials(&experiment->methods[method], tuning);
	stage->count = each * draw->task_count * draw->seed_count;
	stage->runs = calloc(stage->count, sizeof(*stage->runs));
	if (!stage->runs)
		return lf_error_set(error, -ENOMEM, "no memory for %u runs", stage->count);
	for (uint32_t seed = 0; seed < draw->seed_count; seed++)
		for (uint32_t task = 0; task < draw->task_count; task++)
			for (uint32_t method = 0; method < experiment->method_count; method++) {
				uint32_t count = trials(&experiment->methods[method], tuning);

				for (uint32_t trial = 0; trial < count; trial++)
					stage->runs[at++] =
						(struct experiment_run){ task, seed, method, trial,
									 NULL };
			}
	return 0;
}

void experiment_stage_release(struct experiment_stage *stage)
{
	for (uint32_t at = 0; stage->runs && at < stage->count; at++)
		json_decref(stage->runs[at].line);
	free(stage->runs);
}

static int finish(struct crew *crew, struct experiment_run *run, json_t *line,
		  struct lf_error *error)
{
	char note[48];
	int ret;

	pthread_mutex_lock(&crew->lock);
	ret = experiment_log_add(crew->log, line);
	if (ret)
		lf_error_set(error, ret, "%s/%s.jsonl: %s", crew->experiment->folder,
			     crew->stage->name, strerror(-ret));
	run->line = line;
	crew->done++;
	snprintf(note, sizeof(note), "about %.0f s left",
		 (wall_clock_s() - crew->began_s) * (crew->missing - crew->done) / crew->done);
	progress_note(&crew->progress, crew->done, crew->missing, note);
	pthread_mutex_unlock(&crew->lock);
	return ret;
}

static bool elsewhere(const struct crew *crew, size_t worker, const struct experiment_run *run)
{
	for (size_t other = 0; other < crew->experiment->jobs; other++) {
		const struct place *place = &crew->places[other];

		if (other != worker && place->taken && place->task == run->task &&
		    place->seed == run->seed)
			return true;
	}
	return false;
}

/*
 * The first run that the worker's bench serves as it is; or else the first of a task and seed that nobody else is at, since those
 * have most to share; or else the first. Seeds stay in their order, so that the first ones are complete first.
 */
static struct experiment_run *choose(const struct crew *crew, size_t worker,
				     const struct bench *bench)
{
	struct experiment_run *first = NULL, *alone = NULL;

	for (uint32_t at = 0; at < crew->stage->count; at++) {
		struct experiment_run *run = &crew->stage->runs[at];

		if (crew->begun[at])
			continue;
		if (bench_serves(bench, run))
			return run;
		first = first ? first : run;
		if (!alone && !elsewhere(crew, worker, run))
			alone = run;
	}
	return alone ? alone : first;
}

static struct experiment_run *take(struct crew *crew, size_t worker, const struct bench *bench)
{
	struct experiment_run *run = NULL;

	pthread_mutex_lock(&crew->lock);
	if (!crew->ret)
		run = choose(crew, worker, bench);
	if (run) {
		crew->begun[run - crew->stage->runs] = true;
		crew->places[worker] = (struct place){ true, run->task, run->seed };
	} else {
		crew->places[worker].taken = false;
	}
	pthread_mutex_unlock(&crew->lock);
	return run;
}

static void fail(struct crew *crew, const struct experiment_run *run, int ret,
		 struct lf_error *error)
{
	const struct experiment_draw *draw = crew->stage->draw;

	lf_error_prefix(error, ret, "task %s, seed %llu, method %s", draw->tasks[run->task],
			(unsigned long long)draw->seeds[run->seed],
			crew->experiment->methods[run->method].name);
	pthread_mutex_lock(&crew->lock);
	if (!crew->ret) {
		crew->ret = ret;
		crew->error = *error;
	}
	pthread_mutex_unlock(&crew->lock);
}

static void work(void *argument, size_t worker)
{
	struct crew *crew = argument;
	struct bench bench = { .experiment = crew->experiment, .stage = crew->stage };
	struct experiment_run *run;

	while ((run = take(crew, worker, &bench))) {
		struct lf_error error = { 0 };
		json_t *line;
		int ret = experiment_measure(&bench, run, &line, &error);

		if (!ret)
			ret = finish(crew, run, line, &error);
		if (ret)
			fail(crew, run, ret, &error);
	}
	bench_tear_down(&bench);
}

int experiment_run_all(const struct experiment *experiment, struct experiment_stage *stage,
		       FILE *log, struct lf_error *error)
{
	struct crew crew = { .experiment = experiment,
			     .stage = stage,
			     .log = log,
			     .began_s = wall_clock_s(),
			     .lock = PTHREAD_MUTEX_INITIALIZER };
	struct lf_parallel *pool;

	crew.begun = calloc(stage->count, sizeof(*crew.begun));
	crew.places = calloc(experiment->jobs, sizeof(*crew.places));
	if (!crew.begun || !crew.places)
		crew.ret =
			lf_error_set(&crew.error, -ENOMEM, "no memory for %u runs", stage->count);
	for (uint32_t at = 0; !crew.ret && at < stage->count; at++) {
		crew.begun[at] = stage->runs[at].line;
		crew.missing += !crew.begun[at];
	}
	if (crew.missing) {
		crew.ret = lf_parallel_create(&pool, experiment->jobs, &crew.error);
	}
	if (crew.missing && !crew.ret) {
		progress_start(&crew.progress, stage->name, experiment->quiet);
		/* An iteration is a worker, so that a slow run holds nobody else up. */
		lf_parallel_for(pool, experiment->jobs, work, &crew);
		progress_end(&crew.progress);
		lf_parallel_destroy(pool);
	}
	free(crew.begun);
	free(crew.places);
	if (crew.ret)
		lf_error_set(error, crew.ret, "%s", crew.error.text);
	return crew.ret;
}
