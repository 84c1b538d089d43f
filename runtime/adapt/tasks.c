// SPDX-License-Identifier: MIT
/*
 * Several tasks in one batch; see lf/tasks.h. The sentences are put in the order of their tasks, so that a task is one run of
 * tokens in each micro-batch. An adapted layer is W0, A and B for all tokens, and two commands a run between and behind them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/tasks.h>

#include "runtime/adapt/fusion.h"

struct lf_tasks {
	struct lf_encoder *encoder;
	const struct fusion **fusions; /* [count] */
	uint32_t count;
	struct lf_hook hook;
	uint32_t *order;  /* [batch sequences] the batch's sentences by task */
	uint32_t *which;  /* [batch sequences] the task of each of these */
	uint32_t *start;  /* [batch sequences + 1] */
	uint32_t *tokens; /* of a batch */
	float *embeddings;
};

static bool adapts(const void *state, uint32_t index)
{
	return ((const struct lf_tasks *)state)->fusions[0]->site_of[index] != UINT32_MAX;
}

/* The same view from row @row on. */
static struct lf_view rows_from(struct lf_view view, uint32_t row)
{
	view.offset += (uint64_t)row * view.stride;
	return view;
}

/**
 * struct run - tokens of a lane that follow one another and are of one task
 * @first: row of the first
 * @count: how many
 * @fusion: the task
 */
struct run {
	uint32_t first;
	uint32_t count;
	const struct fusion *fusion;
};

/* The run that begins with sentence *@sequence of the lane, which moves behind it; false behind the last. */
static bool next_run(const struct lf_tasks *tasks, const struct lf_lane *lane, uint32_t *sequence,
		     struct run *run)
{
	uint32_t at = *sequence, task;

	if (at == lane->sequences)
		return false;
	task = tasks->which[lane->first_sequence + at];
	*run = (struct run){ .first = lane_first_token(lane, at), .fusion = tasks->fusions[task] };
	for (; at < lane->sequences && tasks->which[lane->first_sequence + at] == task; at++)
		run->count += lane_sequence_tokens(lane, at);
	*sequence = at;
	return true;
}

static const struct fusion_site *site_of(const struct fusion *fusion, uint32_t index)
{
	return &fusion->sites[fusion->site_of[index]];
}

static void fuse_runs(const struct lf_tasks *tasks, struct lf_job *job,
		      const struct lf_hook_call *call, struct lf_view z)
{
	const struct fusion *first = tasks->fusions[0];
	uint32_t sequence = 0;
	struct run run;

	while (next_run(tasks, &tasks->encoder->lanes[call->lane], &sequence, &run)) {
		struct lf_fuse fuse = { .flags = first->options.merge == LF_MERGE_SUM
							 ? LF_FUSE_SUM
							 : LF_FUSE_PRODUCT,
					.count = run.count,
					.width = first->pool->modules * first->pool->rank,
					.rank = first->pool->rank,
					.input = rows_from(z, run.first),
					.output = rows_from(z, run.first),
					.scale = site_of(run.fusion, call->index)->coefficients };

		lf_job_fuse(job, &fuse);
	}
}

/* y = m / n * h + bias, or h + bias. */
static void finish_runs(const struct lf_tasks *tasks, struct lf_job *job,
			const struct lf_hook_call *call, struct lf_view h)
{
	uint32_t sequence = 0;
	struct run run;

	while (next_run(tasks, &tasks->encoder->lanes[call->lane], &sequence, &run)) {
		struct lf_fuse finish = { .flags = LF_FUSE_AFFINE,
					  .count = run.count,
					  .width = call->linear->outputs,
					  .input = rows_from(h, run.first),
					  .output = rows_from(call->y, run.first),
					  .bias = call->linear->bias };

		if (!run.fusion->options.without_magnitudes)
			finish.scale = site_of(run.fusion, call->index)->factor;
		lf_job_fuse(job, &finish);
	}
}

static void forward(void *state, struct lf_job *job, const struct lf_hook_call *call)
{
	const struct lf_tasks *tasks = state;
	const struct lf_pool *pool = tasks->fusions[0]->pool;
	const struct lf_pool_site *site = site_of(tasks->fusions[0], call->index)->pool;
	struct lf_view none = { 0 };
	struct lf_view h = lf_view_slot(job, call->tokens, call->linear->outputs);
	struct lf_view z = lf_view_slot(job, call->tokens, pool->modules * pool->rank);

	lf_linear_forward(call->linear, job, call->tokens, call->x, h, none, 0);
	/* All modules, switched off or not: a coefficient of zero takes them out, task by task. */
	lf_linear_forward(&site->a, job, call->tokens, call->x, z, none, 0);
	fuse_runs(tasks, job, call, z);
	lf_linear_forward(&site->b, job, call->tokens, z, h, none, LF_MVM_ACCUMULATE);
	finish_runs(tasks, job, call, h);
}

static const struct lf_hook_ops hook_ops = {
	.adapts = adapts,
	.forward = forward,
	.forward_done = lf_nothing_done,
};

static int check_method(const struct lf_method *method, const struct fusion *first, uint32_t number,
			struct lf_error *error)
{
	const struct fusion *fusion = (const struct fusion *)method;

	if (strcmp(lf_method_name(method), "lorafusion"))
		return lf_error_set(error, -EINVAL, "task %u: is of %s, not of lorafusion", number,
				    lf_method_name(method));
	if (fusion->pool != first->pool || method->encoder != first->method.encoder)
		return lf_error_set(error, -EINVAL, "task %u: has another model or pool", number);
	if (fusion->options.merge != first->options.merge ||
	    fusion->options.without_magnitudes != first->options.without_magnitudes)
		return lf_error_set(error, -EINVAL, "task %u: has another merge, or no magnitudes",
				    number);
	return 0;
}

int lf_tasks_create(struct lf_method *const *methods, uint32_t count, struct lf_tasks **tasks,
		    struct lf_error *error)
{
	const struct lf_encoder_options *options;
	struct lf_tasks *t;

	if (!count)
		return lf_error_set(error, -EINVAL, "tasks: none");
	/* The name of the first is looked at before anything behind it is. */
	for (uint32_t at = 0; at < count; at++) {
		int ret = check_method(methods[at], (const struct fusion *)methods[0], at, error);

		if (ret)
			return ret;
	}
	t = calloc(1, sizeof(*t));
	if (!t)
		return lf_error_set(error, -ENOMEM, "no memory for tasks");
	t->encoder = methods[0]->encoder;
	t->count = count;
	t->hook = (struct lf_hook){ &hook_ops, t };
	options = &t->encoder->options;
	t->fusions = calloc(count, sizeof(*t->fusions));
	t->order = malloc(options->batch_sequences * sizeof(*t->order));
	t->which = malloc(options->batch_sequences * sizeof(*t->which));
	t->start = malloc(((size_t)options->batch_sequences + 1) * sizeof(*t->start));
	t->tokens = malloc((size_t)options->batch_sequences * options->sequence_tokens *
			   sizeof(*t->tokens));
	t->embeddings = malloc((size_t)options->batch_sequences * t->encoder->config.hidden_size *
			       sizeof(*t->embeddings));
	if (!t->fusions || !t->order || !t->which || !t->start || !t->tokens || !t->embeddings) {
		lf_tasks_free(t);
		return lf_error_set(error, -ENOMEM, "no memory for %u tasks", count);
	}
	for (uint32_t at = 0; at < count; at++)
		t->fusions[at] = (const struct fusion *)methods[at];
	*tasks = t;
	return 0;
}

void lf_tasks_free(struct lf_tasks *tasks)
{
	if (!tasks)
		return;
	free(tasks->fusions);
	free(tasks->order);
	free(tasks->which);
	free(tasks->start);
	free(tasks->tokens);
	free(tasks->embeddings);
	free(tasks);
}

int lf_tasks_attach(struct lf_tasks *tasks, struct lf_error *error)
{
	return lf_encoder_attach(tasks->encoder, &tasks->hook, false, error);
}

static int check_batch(const struct lf_tasks *tasks, const struct lf_batch *batch,
		       const uint32_t *which, struct lf_error *error)
{
	const struct lf_encoder_options *options = &tasks->encoder->options;

	if (tasks->encoder->hook.state != tasks)
		return lf_error_set(error, -EINVAL, "tasks: are not attached");
	if (!batch->sequences || batch->sequences > options->batch_sequences)
		return lf_error_set(error, -EINVAL, "batch: %u sequences, 1 to %u fit",
				    batch->sequences, options->batch_sequences);
	for (uint32_t at = 0; at < batch->sequences; at++) {
		if (which[at] >= tasks->count)
			return lf_error_set(error, -EINVAL,
					    "batch: sequence %u is of task %u of %u", at, which[at],
					    tasks->count);
		if (batch->start[at + 1] <= batch->start[at] ||
		    batch->start[at + 1] - batch->start[at] > options->sequence_tokens)
			return lf_error_set(error, -EINVAL,
					    "batch: sequence %u: 1 to %u tokens fit", at,
					    options->sequence_tokens);
	}
	return 0;
}

/* The sentences task by task, those of one in the order they came in. */
static struct lf_batch sort_batch(struct lf_tasks *tasks, const struct lf_batch *batch,
				  const uint32_t *which)
{
	uint32_t to = 0;

	tasks->start[0] = 0;
	for (uint32_t task = 0; task < tasks->count; task++)
		for (uint32_t at = 0; at < batch->sequences; at++) {
			uint32_t length = batch->start[at + 1] - batch->start[at];

			if (which[at] != task)
				continue;
			memcpy(tasks->tokens + tasks->start[to], batch->tokens + batch->start[at],
			       length * sizeof(*tasks->tokens));
			tasks->order[to] = at;
			tasks->which[to] = task;
			tasks->start[to + 1] = tasks->start[to] + length;
			to++;
		}
	return (struct lf_batch){ batch->sequences, tasks->start, tasks->tokens };
}

int lf_tasks_forward(struct lf_tasks *tasks, const struct lf_batch *batch, const uint32_t *which,
		     float *embeddings, struct lf_error *error)
{
	size_t hidden = tasks->encoder->config.hidden_size;
	struct lf_batch sorted;
	int ret;

	ret = check_batch(tasks, batch, which, error);
	if (ret)
		return ret;
	sorted = sort_batch(tasks, batch, which);
	ret = lf_encoder_forward(tasks->encoder, &sorted, tasks->embeddings, error);
	for (uint32_t at = 0; !ret && at < batch->sequences; at++)
		memcpy(embeddings + tasks->order[at] * hidden, tasks->embeddings + at * hidden,
		       hidden * sizeof(*embeddings));
	return ret;
}
