// SPDX-License-Identifier: MIT
/*
 * Measured speed-up of training and embedding from one thread to two, the results compared to the bit. One thread is one in all; two
 * are two of the device and two of the host, which take turns on two processors. Both are measured in turns. `threads.others` is
 * what everyone else used of two processors meanwhile, stolen time included: a speed-up is worth something where that is little.
 * One JSON object a line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/training.h"

enum { STEPS = 4, ROUNDS = 6, MODULES = 20 };

/* Seconds of processors. */
struct usage {
	double wall_s;
	double machine_s;
	double own_s;
};

static struct usage usage_now(void)
{
	double ticks[8] = { 0 }, per_second = (double)sysconf(_SC_CLK_TCK);
	struct timespec time;
	struct rusage own;
	FILE *file = fopen("/proc/stat", "r");

	/* user, nice, system, idle, waiting, interrupts, their lower halves, stolen */
	if (file) {
		if (fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &ticks[0], &ticks[1],
			   &ticks[2], &ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 8)
			ticks[0] = 0;
		fclose(file);
	}
	getrusage(RUSAGE_SELF, &own);
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (struct usage){
		.wall_s = (double)time.tv_sec + (double)time.tv_nsec * 1e-9,
		.machine_s = (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) /
			     per_second,
		.own_s = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) +
			 (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) * 1e-6,
	};
}

static void keep_fastest(struct training_time *fastest, struct training_time time)
{
	if (!fastest->wall_ms || time.wall_ms < fastest->wall_ms)
		*fastest = time;
}

static void print_speedup(const char *what, const struct training_shape *shape,
			  const struct training_time time[2])
{
	printf("{\"name\": \"threads.speedup.%s.b%ut%u\", \"value\": %.3f, \"unit\": \"x\", \"limit\": "
	       "\"processors\", \"limit_value\": 2}\n",
	       what, shape->sentences, shape->tokens, time[0].wall_ms / time[1].wall_ms);
	printf("{\"name\": \"threads.busy.%s.b%ut%u\", \"value\": %.3f, \"unit\": \"processors\", "
	       "\"limit\": \"processors\", \"limit_value\": 2}\n",
	       what, shape->sentences, shape->tokens, time[1].cpu_ms / time[1].wall_ms);
}

static int measure(uint32_t sentences, uint32_t tokens, struct lf_error *error)
{
	struct training_shape shape = { MODULES, sentences, tokens, 1 };
	struct training_time train[2] = { 0 }, infer[2] = { 0 }, time;
	struct training *trainings[2] = { NULL, NULL };
	bool same = true;
	int ret = 0;

	for (int i = 0; !ret && i < 2; i++) {
		shape.threads = i + 1;
		ret = training_open(&trainings[i], &shape, error);
	}
	for (int round = 0; !ret && round < ROUNDS; round++) {
		for (int i = 0; !ret && i < 2; i++) {
			ret = training_steps(trainings[i], STEPS, &time, error);
			if (!ret)
				keep_fastest(&train[i], time);
		}
		same = same && !ret && training_same(trainings[0], trainings[1]);
		for (int i = 0; !ret && i < 2; i++) {
			ret = training_passes(trainings[i], STEPS, &time, error);
			if (!ret)
				keep_fastest(&infer[i], time);
		}
	}
	for (int i = 0; i < 2; i++)
		training_close(trainings[i]);
	if (ret)
		return ret;
	print_speedup("train_step", &shape, train);
	print_speedup("infer", &shape, infer);
	return same ? 0 : lf_error_set(error, -1, "two threads train other parameters than one");
}

int main(void)
{
	struct usage before = usage_now(), after;
	struct lf_error error = { 0 };

	if (measure(16, 64, &error) || measure(10, 24, &error)) {
		fprintf(stderr, "bench_threads: %s\n", error.text);
		return EXIT_FAILURE;
	}
	after = usage_now();
	printf("{\"name\": \"threads.others\", \"value\": %.3f, \"unit\": \"processors\"}\n",
	       (after.machine_s - before.machine_s - (after.own_s - before.own_s)) /
		       (after.wall_s - before.wall_s));
	return EXIT_SUCCESS;
}
