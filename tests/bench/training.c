// SPDX-License-Identifier: MIT
/* Setting up and taking the steps that are measured; see training.h. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <lf/adapter.h>
#include <lf/train.h>

#include "runtime/adapt/method.h"
#include "tests/bench/training.h"

enum {
	HIDDEN = 384,
	BLOCKS = 6,
	TARGETS = 2,
	RANK = 16,
	CLASSES = 10,
	WARM_STEPS = 2,
};

struct training {
	struct training_shape shape;
	char folder[64];
	char encoder_folder[512];
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_pool *pool;
	struct lf_method *method;
	struct lf_head *head;
	struct lf_examples examples;
	struct training_time last;
	struct training_time fastest;
	uint32_t steps; /* seen by take_lap() */
};

static struct training_time now(void)
{
	struct rusage usage;
	struct timespec time;

	getrusage(RUSAGE_SELF, &usage);
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (struct training_time){
		.wall_ms = (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6,
		.cpu_ms = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e3 +
			  (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-3,
	};
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static int write_module(const char *folder, uint32_t number, struct lf_error *error)
{
	static const char *const targets[TARGETS] = { "query", "value" };
	struct lf_adapter_description description = { .base_model = "",
						      .target_modules = targets,
						      .target_count = TARGETS,
						      .rank = RANK,
						      .alpha = 2 * RANK,
						      .dtype = LF_DTYPE_F16 };
	static float a[RANK * HIDDEN], b[HIDDEN * RANK];
	struct lf_adapter_layer layers[BLOCKS * TARGETS];
	char paths[BLOCKS * TARGETS][64], module[96];
	uint32_t state = number;

	for (uint32_t i = 0; i < RANK * HIDDEN; i++) {
		a[i] = (float)next_random(&state) / (1 << 28) - 0.03f;
		b[i] = (float)next_random(&state) / (1 << 28) - 0.03f;
	}
	for (uint32_t at = 0; at < BLOCKS * TARGETS; at++) {
		snprintf(paths[at], sizeof(paths[at]), "encoder.layer.%u.attention.self.%s",
			 at / TARGETS, targets[at % TARGETS]);
		layers[at] = (struct lf_adapter_layer){ .path = paths[at],
							.inputs = HIDDEN,
							.outputs = HIDDEN,
							.rank = RANK,
							.a = a,
							.b = b };
	}
	snprintf(module, sizeof(module), "%s/module-%02u", folder, number);
	return lf_adapter_write(module, &description, layers, BLOCKS * TARGETS, error);
}

static int open_pool(struct training *training, struct lf_error *error)
{
	struct lf_pool_modules modules;
	int ret = 0;

	for (uint32_t number = 0; !ret && number < training->shape.modules; number++)
		ret = write_module(training->folder, number, error);
	if (!ret)
		ret = lf_pool_modules_find(training->folder, 0, 0, &modules, error);
	if (ret)
		return ret;
	ret = lf_pool_deploy(training->device, training->encoder_folder, "bench", &modules, 0444,
			     NULL, NULL, NULL, error);
	if (!ret)
		ret = lf_pool_open(training->encoder, &modules, &training->pool, error);
	lf_pool_modules_release(&modules);
	return ret;
}

static int open_head(struct training *training, struct lf_error *error)
{
	struct lf_tokenizer *tokenizer;
	struct lf_label_set *labels;
	char path[96];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "%s/labels.json", training->folder);
	file = fopen(path, "w");
	if (!file)
		return lf_error_set(error, -errno, "%s cannot be written", path);
	for (uint32_t label = 0; label < CLASSES; label++)
		fprintf(file, "%c{\"label\": \"%u\", \"text\": \"class %u\"}", label ? ',' : '[',
			label, label);
	fputs("]\n", file);
	fclose(file);
	ret = lf_label_set_read(&labels, path, error);
	if (ret)
		return ret;
	ret = lf_tokenizer_open(&tokenizer, training->encoder_folder, error);
	if (!ret) {
		ret = lf_head_cosine(training->encoder, tokenizer, labels, LF_HEAD_TEMPERATURE,
				     &training->head, error);
		lf_tokenizer_close(tokenizer);
	}
	lf_label_set_free(labels);
	return ret;
}

static int make_examples(struct training *training, struct lf_error *error)
{
	const struct training_shape *shape = &training->shape;
	struct lf_examples *examples = &training->examples;
	uint32_t state = 1;

	examples->count = shape->sentences;
	examples->start = malloc(((size_t)shape->sentences + 1) * sizeof(*examples->start));
	examples->tokens =
		malloc((size_t)shape->sentences * shape->tokens * sizeof(*examples->tokens));
	examples->labels = malloc(shape->sentences * sizeof(*examples->labels));
	if (!examples->start || !examples->tokens || !examples->labels)
		return lf_error_set(error, -ENOMEM, "no memory for the examples");
	for (uint32_t at = 0; at < shape->sentences * shape->tokens; at++)
		examples->tokens[at] = 1000 + next_random(&state) % 20000;
	for (uint32_t at = 0; at <= shape->sentences; at++)
		examples->start[at] = at * shape->tokens;
	for (uint32_t at = 0; at < shape->sentences; at++)
		examples->labels[at] = at % CLASSES;
	return 0;
}

static int open_all(struct training *training, struct lf_error *error)
{
	struct lf_encoder_options options = { .directory = training->encoder_folder,
					      .name = "bench",
					      .batch_sequences = training->shape.sentences,
					      .sequence_tokens = training->shape.tokens,
					      .threads = training->shape.threads };
	struct lf_lorafusion_options fusion;
	char device[64];
	int ret;

	lf_lorafusion_defaults(&fusion);
	snprintf(device, sizeof(device), "inproc:ideal,threads=%u", training->shape.threads);
	ret = lf_device_open(device, &training->device, error);
	if (!ret)
		ret = lf_encoder_deploy(training->device, options.directory, options.name, 0444,
					NULL, NULL, NULL, error);
	if (!ret)
		ret = lf_encoder_open(training->device, &options, &training->encoder, error);
	if (!ret)
		ret = open_pool(training, error);
	if (!ret)
		ret = open_head(training, error);
	if (!ret)
		ret = make_examples(training, error);
	if (!ret)
		ret = lf_lorafusion_create(training->encoder, training->pool, &fusion,
					   &training->method, error);
	return ret;
}

int training_open(struct training **opened, const struct training_shape *shape,
		  struct lf_error *error)
{
	const char *cache = getenv("LF_CACHE"), *home = getenv("HOME"), *base = getenv("TMPDIR");
	struct training *training = calloc(1, sizeof(*training));
	int ret;

	if (!training)
		return lf_error_set(error, -ENOMEM, "no memory for a training");
	training->shape = *shape;
	snprintf(training->encoder_folder, sizeof(training->encoder_folder), "%s%s/encoder",
		 cache ? cache : home, cache ? "" : "/.cache/lorafusion");
	snprintf(training->folder, sizeof(training->folder), "%.40s/lf-bench-XXXXXX",
		 base ? base : "/tmp");
	if (!mkdtemp(training->folder)) {
		ret = lf_error_set(error, -errno, "%s cannot be made", training->folder);
		free(training);
		return ret;
	}
	ret = open_all(training, error);
	if (ret)
		training_close(training);
	else
		*opened = training;
	return ret;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

void training_close(struct training *training)
{
	if (!training)
		return;
	lf_head_free(training->head);
	lf_examples_release(&training->examples);
	if (training->encoder)
		lf_encoder_attach(training->encoder, NULL, false, NULL);
	lf_method_free(training->method);
	lf_pool_close(training->pool);
	lf_encoder_close(training->encoder);
	lf_device_close(training->device);
	nftw(training->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	free(training);
}

static void start_laps(struct training *training)
{
	training->steps = 0;
	training->fastest = (struct training_time){ 1e30, 1e30 };
	training->last = now();
}

static void take_lap(struct training *training)
{
	struct training_time at = now();
	double wall_ms = at.wall_ms - training->last.wall_ms;
	double cpu_ms = at.cpu_ms - training->last.cpu_ms;

	training->last = at;
	if (++training->steps <= WARM_STEPS)
		return;
	if (wall_ms < training->fastest.wall_ms)
		training->fastest.wall_ms = wall_ms;
	if (cpu_ms < training->fastest.cpu_ms)
		training->fastest.cpu_ms = cpu_ms;
}

static void report(void *argument, const struct lf_train_state *state)
{
	(void)state;
	take_lap(argument);
}

int training_steps(struct training *training, uint32_t steps, struct training_time *fastest,
		   struct lf_error *error)
{
	struct lf_train_options options = { .epochs = WARM_STEPS + steps,
					    .batch = training->shape.sentences,
					    .seed = 1,
					    .config = "{}",
					    .report = report,
					    .argument = training };
	int ret = lf_method_start(training->method, 1, error);

	if (ret)
		return ret;
	start_laps(training);
	ret = lf_train(training->method, training->encoder, training->head, &training->examples,
		       &options, error);
	*fastest = training->fastest;
	return ret;
}

int training_passes(struct training *training, uint32_t passes, struct training_time *fastest,
		    struct lf_error *error)
{
	struct lf_batch batch = { training->shape.sentences, training->examples.start,
				  training->examples.tokens };
	float *embeddings = malloc((size_t)training->shape.sentences * HIDDEN * sizeof(float));
	int ret = embeddings ? lf_method_start(training->method, 1, error)
			     : lf_error_set(error, -ENOMEM, "no memory for embeddings");

	if (!ret)
		ret = lf_method_attach(training->method, false, error);
	start_laps(training);
	for (uint32_t pass = 0; !ret && pass < WARM_STEPS + passes; pass++) {
		ret = lf_encoder_forward(training->encoder, &batch, embeddings, error);
		take_lap(training);
	}
	free(embeddings);
	*fastest = training->fastest;
	return ret;
}

int training_norms(struct training *training, uint32_t times, double *fastest_ms,
		   struct lf_error *error)
{
	int ret = 0;

	start_laps(training);
	for (uint32_t i = 0; !ret && i < WARM_STEPS + times; i++) {
		ret = lf_method_prepare(training->method, error);
		take_lap(training);
	}
	*fastest_ms = training->fastest.cpu_ms;
	return ret;
}

bool training_same(const struct training *a, const struct training *b)
{
	uint32_t a_count, b_count;
	const struct lf_parameters *a_groups = lf_method_parameters(a->method, &a_count);
	const struct lf_parameters *b_groups = lf_method_parameters(b->method, &b_count);

	for (uint32_t group = 0; group < a_count && group < b_count; group++)
		if (a_groups[group].count != b_groups[group].count ||
		    memcmp(a_groups[group].values, b_groups[group].values,
			   a_groups[group].count * sizeof(float)))
			return false;
	return a_count == b_count;
}
