// SPDX-License-Identifier: MIT
/*
 * Measured time of a training step of LoRAFusion and of embedding: all-MiniLM-L6-v2 on the in-process device with ideal cells,
 * 20 modules of rank 16 on query and value, batch 16 of 64 tokens, 2 threads for the device and 2 for the host. The
 * modules are random: their values do not change the time. One JSON object a line, in milliseconds; the peer
 * is tests/bench/peer_train.py. Rows are the fastest of the steps: others may be using the machine too.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <lf/adapter.h>
#include <lf/train.h>

enum {
	HIDDEN = 384,
	BLOCKS = 6,
	TARGETS = 2,
	MODULES = 20,
	RANK = 16,
	BATCH = 16,
	TOKENS = 64,
	CLASSES = 10,
	WARM_STEPS = 3,
	STEPS = 15,
};

struct bench {
	char folder[64];
	char encoder_folder[512];
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_pool *pool;
	struct lf_method *method;
	struct lf_head *head;
	struct lf_examples examples;
	double last;
	double steps[WARM_STEPS + STEPS];
	uint32_t done;
};

static double now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
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

static int open_pool(struct bench *bench, struct lf_error *error)
{
	struct lf_pool_modules modules;
	int ret = 0;

	for (uint32_t number = 0; !ret && number < MODULES; number++)
		ret = write_module(bench->folder, number, error);
	if (!ret)
		ret = lf_pool_modules_find(bench->folder, 0, 0, &modules, error);
	if (ret)
		return ret;
	ret = lf_pool_deploy(bench->device, bench->encoder_folder, "bench", &modules, 0444, NULL,
			     NULL, NULL, error);
	if (!ret)
		ret = lf_pool_open(bench->encoder, &modules, &bench->pool, error);
	lf_pool_modules_release(&modules);
	return ret;
}

static int open_head(struct bench *bench, struct lf_error *error)
{
	struct lf_tokenizer *tokenizer;
	struct lf_label_set *labels;
	char path[96];
	FILE *file;
	int ret;

	snprintf(path, sizeof(path), "%s/labels.json", bench->folder);
	file = fopen(path, "w");
	if (!file)
		return lf_error_set(error, -1, "%s cannot be written", path);
	for (uint32_t label = 0; label < CLASSES; label++)
		fprintf(file, "%c{\"label\": \"%u\", \"text\": \"class %u\"}", label ? ',' : '[',
			label, label);
	fputs("]\n", file);
	fclose(file);
	ret = lf_label_set_read(&labels, path, error);
	if (ret)
		return ret;
	ret = lf_tokenizer_open(&tokenizer, bench->encoder_folder, error);
	if (!ret) {
		ret = lf_head_cosine(bench->encoder, tokenizer, labels, LF_HEAD_TEMPERATURE,
				     &bench->head, error);
		lf_tokenizer_close(tokenizer);
	}
	lf_label_set_free(labels);
	return ret;
}

/* One batch of random words. */
static int make_examples(struct lf_examples *examples, struct lf_error *error)
{
	uint32_t state = 1;

	examples->count = BATCH;
	examples->start = malloc((BATCH + 1) * sizeof(*examples->start));
	examples->tokens = malloc(BATCH * TOKENS * sizeof(*examples->tokens));
	examples->labels = malloc(BATCH * sizeof(*examples->labels));
	if (!examples->start || !examples->tokens || !examples->labels)
		return lf_error_set(error, -1, "no memory for the examples");
	for (uint32_t at = 0; at < BATCH * TOKENS; at++)
		examples->tokens[at] = 1000 + next_random(&state) % 20000;
	for (uint32_t at = 0; at <= BATCH; at++)
		examples->start[at] = at * TOKENS;
	for (uint32_t at = 0; at < BATCH; at++)
		examples->labels[at] = at % CLASSES;
	return 0;
}

static int open_all(struct bench *bench, struct lf_error *error)
{
	struct lf_encoder_options options = { .directory = bench->encoder_folder,
					      .name = "bench",
					      .batch_sequences = BATCH,
					      .sequence_tokens = TOKENS,
					      .threads = 2 };
	struct lf_lorafusion_options fusion;
	int ret;

	lf_lorafusion_defaults(&fusion);
	ret = lf_device_open("inproc:ideal,threads=2", &bench->device, error);
	if (!ret)
		ret = lf_encoder_deploy(bench->device, options.directory, options.name, 0444, NULL,
					NULL, NULL, error);
	if (!ret)
		ret = lf_encoder_open(bench->device, &options, &bench->encoder, error);
	if (!ret)
		ret = open_pool(bench, error);
	if (!ret)
		ret = open_head(bench, error);
	if (!ret)
		ret = make_examples(&bench->examples, error);
	if (!ret)
		ret = lf_lorafusion_create(bench->encoder, bench->pool, &fusion, &bench->method,
					   error);
	return ret ? ret : lf_method_start(bench->method, 1, error);
}

static void close_all(struct bench *bench)
{
	lf_head_free(bench->head);
	lf_examples_release(&bench->examples);
	if (bench->encoder)
		lf_encoder_attach(bench->encoder, NULL, false, NULL);
	lf_method_free(bench->method);
	lf_pool_close(bench->pool);
	lf_encoder_close(bench->encoder);
	lf_device_close(bench->device);
}

static void lap(struct bench *bench)
{
	double now = now_ms();

	bench->steps[bench->done++] = now - bench->last;
	bench->last = now;
}

static void report(void *argument, const struct lf_train_state *state)
{
	(void)state;
	lap(argument);
}

static void print_row(const struct bench *bench, const char *name)
{
	double fastest = bench->steps[WARM_STEPS];

	for (uint32_t step = WARM_STEPS; step < WARM_STEPS + STEPS; step++)
		fastest = bench->steps[step] < fastest ? bench->steps[step] : fastest;
	printf("{\"name\": \"%s\", \"value\": %.3f, \"unit\": \"ms\"}\n", name, fastest);
}

static int measure(struct bench *bench, struct lf_error *error)
{
	struct lf_train_options options = { .epochs = WARM_STEPS + STEPS,
					    .batch = BATCH,
					    .seed = 1,
					    .config = "{}",
					    .report = report,
					    .argument = bench };
	struct lf_batch batch = { BATCH, bench->examples.start, bench->examples.tokens };
	float embeddings[BATCH * HIDDEN];
	int ret;

	bench->last = now_ms();
	ret = lf_train(bench->method, bench->encoder, bench->head, &bench->examples, &options,
		       error);
	if (ret)
		return ret;
	print_row(bench, "train_step.lorafusion.b16t64");
	bench->done = 0;
	ret = lf_method_attach(bench->method, false, error);
	bench->last = now_ms();
	for (uint32_t step = 0; !ret && step < WARM_STEPS + STEPS; step++) {
		ret = lf_encoder_forward(bench->encoder, &batch, embeddings, error);
		lap(bench);
	}
	if (!ret)
		print_row(bench, "infer.b16t64");
	return ret;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

int main(void)
{
	const char *cache = getenv("LF_CACHE"), *base = getenv("TMPDIR");
	static struct bench bench;
	struct lf_error error = { 0 };
	int ret;

	if (cache)
		snprintf(bench.encoder_folder, sizeof(bench.encoder_folder), "%s/encoder", cache);
	else
		snprintf(bench.encoder_folder, sizeof(bench.encoder_folder),
			 "%s/.cache/lorafusion/encoder", getenv("HOME"));
	snprintf(bench.folder, sizeof(bench.folder), "%.40s/lf-bench-XXXXXX", base ? base : "/tmp");
	if (!mkdtemp(bench.folder)) {
		perror(bench.folder);
		return EXIT_FAILURE;
	}
	ret = open_all(&bench, &error);
	if (!ret)
		ret = measure(&bench, &error);
	if (ret)
		fprintf(stderr, "bench_train: %s\n", error.text);
	close_all(&bench);
	nftw(bench.folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	return ret ? EXIT_FAILURE : EXIT_SUCCESS;
}
