/* SPDX-License-Identifier: MIT */
/*
 * Threads that share the pieces of a job, as an embedder of the model brings them: the caller and its workers.
 */
#ifndef BENCH_WORKERS_H
#define BENCH_WORKERS_H

#include <stdint.h>

#define WORKERS_MOST 64

struct workers;

/* @threads in all, the caller among them; NULL when they cannot be had. */
struct workers *workers_start(uint32_t threads);

void workers_stop(struct workers *workers);

/* struct xbar_ops: work(argument, 0) .. work(argument, count - 1), each once, on any of the threads. */
void workers_run(void *workers, uint32_t count, void (*work)(void *, uint32_t), void *argument);

#endif
