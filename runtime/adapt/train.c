// SPDX-License-Identifier: MIT
/* The training loop; see lf/train.h. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/train.h>

#include "runtime/adapt/method.h"
#include "runtime/adapt/random.h"

#define GROUPS_MAX (LF_METHOD_GROUPS + 2)
#define BETA1	   0.9
#define BETA2	   0.999
#define EPSILON	   1e-8

/* Everything a step needs, allocated once. */
struct trainer {
	struct lf_method *method;
	struct lf_encoder *encoder;
	struct lf_head *head;
	const struct lf_examples *examples;
	const struct lf_train_options *options;
	const struct lf_parameters *groups[GROUPS_MAX];
	uint32_t group_count;
	float *first_moments;
	float *second_moments;
	uint32_t *order;  /* [examples] of the epoch */
	uint32_t *start;  /* [batch + 1] */
	uint32_t *tokens; /* of a batch */
	uint32_t *labels; /* [batch] */
	float *embeddings;
	float *gradient;
	uint64_t step;
};

static size_t parameter_count(const struct trainer *trainer)
{
	size_t count = 0;

	for (uint32_t group = 0; group < trainer->group_count; group++)
		count += trainer->groups[group]->count;
	return count;
}

static void collect_groups(struct trainer *trainer)
{
	const struct lf_parameters *groups;
	uint32_t count = 0;

	if (trainer->method) {
		groups = lf_method_parameters(trainer->method, &count);
		for (uint32_t group = 0; group < count; group++)
			trainer->groups[trainer->group_count++] = &groups[group];
	}
	groups = lf_head_parameters(trainer->head, &count);
	for (uint32_t group = 0; group < count; group++)
		trainer->groups[trainer->group_count++] = &groups[group];
}

static size_t longest_batch_tokens(const struct trainer *trainer)
{
	size_t longest = 0;

	for (uint32_t at = 0; at < trainer->examples->count; at++) {
		size_t tokens = trainer->examples->start[at + 1] - trainer->examples->start[at];

		longest = tokens > longest ? tokens : longest;
	}
	return longest * trainer->options->batch;
}

static int trainer_create(struct trainer *trainer, struct lf_error *error)
{
	size_t hidden = lf_encoder_config(trainer->encoder)->hidden_size;
	uint32_t batch = trainer->options->batch;

	collect_groups(trainer);
	if (!trainer->group_count)
		return lf_error_set(error, -EINVAL, "nothing to train");
	if (!batch || !trainer->options->epochs || !trainer->examples->count)
		return lf_error_set(error, -EINVAL, "batch, epochs and examples must not be 0");
	for (uint32_t at = 0; at < trainer->examples->count; at++)
		if (trainer->examples->labels[at] >= lf_head_classes(trainer->head))
			return lf_error_set(error, -EINVAL, "example %u: label %u of %u classes",
					    at, trainer->examples->labels[at],
					    lf_head_classes(trainer->head));
	trainer->first_moments = calloc(parameter_count(trainer), sizeof(float));
	trainer->second_moments = calloc(parameter_count(trainer), sizeof(float));
	trainer->order = malloc(trainer->examples->count * sizeof(*trainer->order));
	trainer->start = malloc(((size_t)batch + 1) * sizeof(*trainer->start));
	trainer->labels = malloc(batch * sizeof(*trainer->labels));
	trainer->tokens = malloc(longest_batch_tokens(trainer) * sizeof(*trainer->tokens));
	trainer->embeddings = malloc(batch * hidden * sizeof(float));
	trainer->gradient = malloc(batch * hidden * sizeof(float));
	if (!trainer->first_moments || !trainer->second_moments || !trainer->order ||
	    !trainer->start || !trainer->labels || !trainer->tokens || !trainer->embeddings ||
	    !trainer->gradient)
		return lf_error_set(error, -ENOMEM, "no memory to train");
	return 0;
}

static void trainer_release(struct trainer *trainer)
{
	free(trainer->first_moments);
	free(trainer->second_moments);
	free(trainer->order);
	free(trainer->start);
	free(trainer->labels);
	free(trainer->tokens);
	free(trainer->embeddings);
	free(trainer->gradient);
}

/* The order of an epoch follows from seed and epoch, so that a run resumed in its middle sees the same. */
static void shuffle(struct trainer *trainer, uint64_t epoch)
{
	struct lf_random random;

	lf_random_seed(&random, trainer->options->seed, LF_RANDOM_ORDER, epoch);
	for (uint32_t at = 0; at < trainer->examples->count; at++)
		trainer->order[at] = at;
	for (uint32_t at = trainer->examples->count; at > 1; at--) {
		uint32_t other = lf_random_below(&random, at);
		uint32_t kept = trainer->order[at - 1];

		trainer->order[at - 1] = trainer->order[other];
		trainer->order[other] = kept;
	}
}

static struct lf_batch gather(struct trainer *trainer, uint32_t first, uint32_t count)
{
	const struct lf_examples *examples = trainer->examples;

	trainer->start[0] = 0;
	for (uint32_t at = 0; at < count; at++) {
		uint32_t example = trainer->order[first + at];
		uint32_t tokens = examples->start[example + 1] - examples->start[example];

		memcpy(trainer->tokens + trainer->start[at],
		       examples->tokens + examples->start[example],
		       tokens * sizeof(*trainer->tokens));
		trainer->start[at + 1] = trainer->start[at] + tokens;
		trainer->labels[at] = examples->labels[example];
	}
	return (struct lf_batch){ count, trainer->start, trainer->tokens };
}

static void optimise(struct trainer *trainer)
{
	const struct lf_simd_ops *simd = trainer->encoder->simd;
	size_t offset = 0;

	for (uint32_t number = 0; number < trainer->group_count; number++) {
		const struct lf_parameters *group = trainer->groups[number];
		float l1 = (float)(group->l1 / (double)group->count);
		struct lf_adam adam;

		for (size_t at = 0; l1 > 0.0f && at < group->count; at++)
			group->gradients[at] += group->values[at] > 0.0f   ? l1
						: group->values[at] < 0.0f ? -l1
									   : 0.0f;
		lf_adam_prepare(&adam, trainer->step + 1, group->learning_rate, BETA1, BETA2,
				EPSILON, group->weight_decay);
		simd->adam(group->values, trainer->first_moments + offset,
			   trainer->second_moments + offset, group->gradients, group->count, &adam);
		offset += group->count;
	}
}

/* A name for a group's number that is no number: where it is, and whether its gradient was one. */
static int refuse_parameter(const struct trainer *trainer, uint32_t number, struct lf_error *error)
{
	const struct lf_parameters *group = trainer->groups[number];
	char place[LF_METHOD_PLACE_BYTES];
	size_t at = 0;

	while (isfinite(group->values[at]))
		at++;
	if (trainer->method && number < trainer->method->group_count)
		lf_method_place(trainer->method, number, at, place);
	else
		snprintf(place, sizeof(place), "%s, number %zu, of the head", group->name, at);
	return lf_error_set(error, -EDOM, "%s: %s after the step, of a gradient of %g", place,
			    isnan(group->values[at]) ? "NaN" : "Inf", (double)group->gradients[at]);
}

/*
 * The device refuses what is not finite in whatever it reads and makes, and names the layer; what the host alone computes shows
 * here. One pass over the parameters: a NaN or Inf in a gradient or a moment leaves one behind.
 */
static int check_parameters(const struct trainer *trainer, struct lf_error *error)
{
	for (uint32_t number = 0; number < trainer->group_count; number++) {
		const struct lf_parameters *group = trainer->groups[number];

		if (!isfinite(trainer->encoder->simd->absmax(group->values, group->count)))
			return refuse_parameter(trainer, number, error);
	}
	return 0;
}

static int train_step(struct trainer *trainer, const struct lf_batch *batch, double *loss,
		      struct lf_error *error)
{
	int ret = 0;

	for (uint32_t group = 0; group < trainer->group_count; group++)
		memset(trainer->groups[group]->gradients, 0,
		       trainer->groups[group]->count * sizeof(float));
	if (trainer->method)
		ret = lf_method_prepare(trainer->method, error);
	if (!ret)
		ret = lf_encoder_forward(trainer->encoder, batch, trainer->embeddings, error);
	if (ret)
		return ret;
	*loss = lf_head_loss(trainer->head, trainer->embeddings, trainer->labels, batch->sequences,
			     trainer->gradient) /
		batch->sequences;
	if (!isfinite(*loss))
		return lf_error_set(error, -EDOM, "head: the loss is no number");
	if (trainer->method)
		ret = lf_encoder_backward(trainer->encoder, trainer->gradient, error);
	if (ret)
		return ret;
	optimise(trainer);
	return check_parameters(trainer, error);
}

/* Parameters, what follows from them, and the moments of all groups. */
static uint32_t collect_tensors(const struct trainer *trainer, struct lf_checkpoint_tensor *tensors)
{
	uint32_t head_groups, count = 0;
	const struct lf_parameters *head = lf_head_parameters(trainer->head, &head_groups);
	const float *moments[] = { trainer->first_moments, trainer->second_moments };
	const char *const names[] = { "adam.first_moments", "adam.second_moments" };

	if (trainer->method)
		count = lf_method_tensors(trainer->method, tensors);
	for (uint32_t group = 0; group < head_groups; group++)
		tensors[count++] = (struct lf_checkpoint_tensor){ .name = head[group].name,
								  .rank = 1,
								  .shape = { head[group].count },
								  .values = head[group].values };
	for (uint32_t at = 0; trainer->first_moments && at < 2; at++)
		tensors[count++] = (struct lf_checkpoint_tensor){
			.name = names[at],
			.rank = 1,
			.shape = { parameter_count(trainer) },
			.values = moments[at],
		};
	return count;
}

static int save(const struct trainer *trainer, const char *path, const char *config,
		struct lf_error *error)
{
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS + 4];
	struct lf_checkpoint_state state = {
		.step = trainer->step, .config = config, .random_word_count = 0, .tensors = tensors
	};

	state.tensor_count = collect_tensors(trainer, tensors);
	return lf_checkpoint_save(path, &state, error);
}

/* The tensors are the method's and the head's own memory, which they lend out as read-only to those who save. */
static int load(struct trainer *trainer, const struct lf_checkpoint *checkpoint,
		struct lf_error *error)
{
	struct lf_checkpoint_tensor tensors[LF_METHOD_TENSORS + 4];
	uint32_t count = collect_tensors(trainer, tensors);
	int ret = 0;

	if (lf_checkpoint_tensor_count(checkpoint) != count)
		return lf_error_set(error, -EINVAL, "checkpoint: %zu tensors, expected %u",
				    lf_checkpoint_tensor_count(checkpoint), count);
	for (uint32_t at = 0; !ret && at < count; at++)
		ret = lf_checkpoint_read(checkpoint, tensors[at].name, tensors[at].rank,
					 tensors[at].shape, (float *)tensors[at].values, error);
	if (!ret && trainer->method && trainer->method->ops->restored)
		ret = trainer->method->ops->restored(trainer->method, error);
	return ret;
}

static int resume(struct trainer *trainer, struct lf_error *error)
{
	const struct lf_train_options *options = trainer->options;
	struct lf_checkpoint *checkpoint;
	int ret;

	if (!options->checkpoint || access(options->checkpoint, F_OK))
		return 0;
	ret = lf_checkpoint_open(&checkpoint, options->checkpoint, error);
	if (ret)
		return ret;
	if (strcmp(lf_checkpoint_config(checkpoint), options->config))
		ret = lf_error_set(error, -EINVAL, "%s belongs to another run",
				   options->checkpoint);
	else
		ret = load(trainer, checkpoint, error);
	trainer->step = lf_checkpoint_step(checkpoint);
	lf_checkpoint_close(checkpoint);
	return ret;
}

/* A checkpoint holds what follows from the parameters too, so these are brought up to date before. */
static int checkpoint_step(struct trainer *trainer, struct lf_error *error)
{
	const struct lf_train_options *options = trainer->options;
	int ret = 0;

	if (!options->checkpoint || !options->checkpoint_steps ||
	    trainer->step % options->checkpoint_steps)
		return 0;
	if (trainer->method)
		ret = lf_method_prepare(trainer->method, error);
	return ret ? ret : save(trainer, options->checkpoint, options->config, error);
}

static int run_steps(struct trainer *trainer, struct lf_error *error)
{
	const struct lf_train_options *options = trainer->options;
	uint32_t count = trainer->examples->count;
	uint64_t epoch_steps = (count + options->batch - 1) / options->batch;
	struct lf_train_state state = { .steps = epoch_steps * options->epochs };
	uint64_t epoch = UINT64_MAX, half = state.steps / 2;
	int ret = 0;

	if (options->step_limit && options->step_limit < state.steps)
		state.steps = options->step_limit;
	while (!ret && trainer->step < state.steps) {
		uint32_t first = (uint32_t)(trainer->step % epoch_steps) * options->batch;
		uint32_t rest = count - first;
		struct lf_batch batch;

		if (epoch != trainer->step / epoch_steps) {
			epoch = trainer->step / epoch_steps;
			shuffle(trainer, epoch);
		}
		if (trainer->step == half && trainer->method && trainer->method->ops->halfway)
			trainer->method->ops->halfway(trainer->method);
		batch = gather(trainer, first, rest < options->batch ? rest : options->batch);
		ret = train_step(trainer, &batch, &state.loss, error);
		if (ret)
			return lf_error_prefix(error, ret, "step %llu",
					       (unsigned long long)trainer->step + 1);
		state.step = ++trainer->step;
		state.epoch = (uint32_t)epoch + 1;
		ret = checkpoint_step(trainer, error);
		if (!ret && options->report)
			options->report(options->argument, &state);
	}
	return ret;
}

int lf_train(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
	     const struct lf_examples *examples, const struct lf_train_options *options,
	     struct lf_error *error)
{
	struct trainer trainer = { .method = method,
				   .encoder = encoder,
				   .head = head,
				   .examples = examples,
				   .options = options };
	int ret;

	ret = trainer_create(&trainer, error);
	if (!ret && method)
		ret = lf_method_attach(method, true, error);
	if (!ret)
		ret = resume(&trainer, error);
	if (!ret)
		ret = run_steps(&trainer, error);
	if (!ret && method)
		ret = lf_method_finish(method, error);
	trainer_release(&trainer);
	return ret;
}

int lf_adaptation_save(const char *path, const struct lf_method *method, const struct lf_head *head,
		       const char *config, struct lf_error *error)
{
	struct trainer trainer = { .method = (struct lf_method *)method,
				   .head = (struct lf_head *)head };

	return save(&trainer, path, config, error);
}

int lf_adaptation_load(const struct lf_checkpoint *checkpoint, struct lf_method *method,
		       struct lf_head *head, struct lf_error *error)
{
	struct trainer trainer = { .method = method, .head = head };
	int ret = load(&trainer, checkpoint, error);

	if (!ret && method)
		method->finished = true;
	return ret;
}
