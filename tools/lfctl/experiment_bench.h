/* SPDX-License-Identifier: MIT */
/*
 * A bench: a device of its own with the model and a pool deployed, and a task's examples as the seed draws them. Runs of the same task,
 * seed and pool share it one after the other where nothing that one of them does can be seen by the next.
 */
#ifndef LFCTL_EXPERIMENT_BENCH_H
#define LFCTL_EXPERIMENT_BENCH_H

#include "tools/lfctl/experiment.h"

/* Kinds of passes over the training examples whose cost without a pool is remembered. */
#define BENCH_PASSES 8

/**
 * struct bench_pass - what a pass over the training examples costs without a pool
 * @targets: layers whose adaptation the backward pass serves; 0 for a forward pass alone
 * @reads_pj: energy of the reads
 */
struct bench_pass {
	uint32_t targets;
	double reads_pj;
};

/**
 * struct bench_backbone - what a task and seed cost without a pool, whichever bench it was measured on
 * @valid: it is of @task and @seed
 * @task: number
 * @seed: number
 * @test_pj: energy of the reads of the whole test, NAN until it is measured
 * @passes: [@pass_count]
 * @pass_count: how many are known
 */
struct bench_backbone {
	bool valid;
	uint32_t task;
	uint32_t seed;
	double test_pj;
	struct bench_pass passes[BENCH_PASSES];
	uint32_t pass_count;
};

/**
 * struct bench - what a worker has set up
 * @experiment: what for
 * @stage: what for
 * @set_up: the members below hold something
 * @shared: another run may find it as a new one would be
 * @run: that it was set up for
 * @seed: of that
 * @session: task, device, model and pool; its training examples are those drawn
 * @sources: [test examples] number of the source of each
 * @source_count: how many sources there are
 * @deployed: what deploying cost
 * @backbone: known costs
 * @device: specification
 * @task: directory
 */
struct bench {
	const struct experiment *experiment;
	const struct experiment_stage *stage;
	bool set_up;
	bool shared;
	struct experiment_run run;
	uint64_t seed;
	struct session session;
	uint32_t *sources;
	uint32_t source_count;
	struct lf_counters deployed;
	struct bench_backbone backbone;
	char device[EXPERIMENT_BYTES];
	char task[EXPERIMENT_BYTES];
};

/** bench_serves() - is the bench set up as @run needs it */
bool bench_serves(const struct bench *bench, const struct experiment_run *run);

/** bench_set_up() - set it up for @run, unless it is; tear down with bench_tear_down() */
int bench_set_up(struct bench *bench, const struct experiment_run *run, struct lf_error *error);

/** bench_tidy() - take the method and the head of a run away; a bench that the run may have changed is torn down */
void bench_tidy(struct bench *bench);

/** bench_tear_down() - close everything; a bench that is not set up stays so */
void bench_tear_down(struct bench *bench);

#endif
