// SPDX-License-Identifier: MIT
/*
 * Measured time of a training step of LoRAFusion and of embedding, with 20 modules and two threads each of the device and the host:
 * batches of 16 sentences of 64 tokens and of one of 32; and the memory the process had at most. Rows are the fastest of the
 * steps: others may be using the machine too. One JSON object a line.
 *
 * `bench_train --serve SENTENCES TOKENS` does the same at the word of tests/bench/peer_train.py, which takes turns with it: for each
 * line `train` or `infer` on standard input it prints the milliseconds of the fastest step, for `memory` the MiB.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/training.h"

enum { MODULES = 20, THREADS = 2, STEPS = 15, TURN_STEPS = 5 };

/* Of this program: what getrusage() tells may be of the one that started it. */
static double peak_mib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	double kib = 0;
	char line[128];

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "VmHWM: %lf", &kib) == 1)
			break;
	if (file)
		fclose(file);
	return kib / 1024;
}

static int fail(const struct lf_error *error)
{
	fprintf(stderr, "bench_train: %s\n", error->text);
	return EXIT_FAILURE;
}

static int serve(const struct training_shape *shape)
{
	struct training *training;
	struct training_time time;
	struct lf_error error = { 0 };
	char line[16];
	int ret = training_open(&training, shape, &error);

	if (ret)
		return fail(&error);
	while (!ret && fgets(line, sizeof(line), stdin)) {
		if (!strcmp(line, "memory\n")) {
			printf("%.1f\n", peak_mib());
		} else {
			ret = !strcmp(line, "train\n")
				      ? training_steps(training, TURN_STEPS, &time, &error)
				      : training_passes(training, TURN_STEPS, &time, &error);
			printf("%.3f\n", time.wall_ms);
		}
		fflush(stdout);
	}
	training_close(training);
	return ret ? fail(&error) : EXIT_SUCCESS;
}

static int measure(const struct training_shape *shape, struct lf_error *error)
{
	struct training_time train, infer;
	struct training *training;
	int ret = training_open(&training, shape, error);

	if (ret)
		return ret;
	ret = training_steps(training, STEPS, &train, error);
	if (!ret)
		ret = training_passes(training, STEPS, &infer, error);
	training_close(training);
	if (ret)
		return ret;
	printf("{\"name\": \"train_step.lorafusion.b%ut%u\", \"value\": %.3f, \"unit\": \"ms\"}\n",
	       shape->sentences, shape->tokens, train.wall_ms);
	printf("{\"name\": \"infer.b%ut%u\", \"value\": %.3f, \"unit\": \"ms\"}\n",
	       shape->sentences, shape->tokens, infer.wall_ms);
	printf("{\"name\": \"peak_memory.b%ut%u\", \"value\": %.1f, \"unit\": \"MiB\"}\n",
	       shape->sentences, shape->tokens, peak_mib());
	return 0;
}

int main(int argc, char **argv)
{
	/* The small one first: the most memory so far is what is printed. */
	static const struct training_shape shapes[] = { { MODULES, 1, 32, THREADS },
							{ MODULES, 16, 64, THREADS } };
	struct lf_error error = { 0 };

	if (argc == 4 && !strcmp(argv[1], "--serve"))
		return serve(
			&(struct training_shape){ MODULES, (uint32_t)strtoul(argv[2], NULL, 10),
						  (uint32_t)strtoul(argv[3], NULL, 10), THREADS });
	if (argc > 1) {
		fprintf(stderr, "usage: bench_train [--serve SENTENCES TOKENS]\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		if (measure(&shapes[i], &error))
			return fail(&error);
	return EXIT_SUCCESS;
}
