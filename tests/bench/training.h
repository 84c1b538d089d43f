/* SPDX-License-Identifier: MIT */
/*
 * A training of LoRAFusion to be measured: all-MiniLM-L6-v2 on the in-process device with ideal cells, a pool of random modules of
 * rank 16 on query and value, one batch of random words. The values do not change the time.
 */
#ifndef BENCH_TRAINING_H
#define BENCH_TRAINING_H

#include <stdbool.h>
#include <stdint.h>

#include <lf/error.h>

struct training;

/**
 * struct training_shape - what is to be measured
 * @modules: of the pool, N
 * @sentences: of a batch
 * @tokens: of each sentence
 * @threads: of the host, and as many of the device; with one both share it
 */
struct training_shape {
	uint32_t modules;
	uint32_t sentences;
	uint32_t tokens;
	uint32_t threads;
};

/** struct training_time - of one step or pass, milliseconds; @cpu_ms of all threads together */
struct training_time {
	double wall_ms;
	double cpu_ms;
};

/** training_open() - deploy model and pool, open them; 0 or negative errno */
int training_open(struct training **training, const struct training_shape *shape,
		  struct lf_error *error);

/** training_close() - undo it; NULL is ignored */
void training_close(struct training *training);

/** training_steps() - train from the start again: @steps after some to warm up; the fastest step */
int training_steps(struct training *training, uint32_t steps, struct training_time *fastest,
		   struct lf_error *error);

/** training_passes() - likewise, embed the batch with the method attached */
int training_passes(struct training *training, uint32_t passes, struct training_time *fastest,
		    struct lf_error *error);

/** training_norms() - compute what follows from the parameters, the row norms, @times; processor time of the fastest */
int training_norms(struct training *training, uint32_t times, double *fastest_ms,
		   struct lf_error *error);

/** training_same() - have two trainings the same parameters, to the bit */
bool training_same(const struct training *a, const struct training *b);

#endif
