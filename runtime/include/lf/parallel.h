/* SPDX-License-Identifier: MIT */
/*
 * A small pool of threads for loops whose iterations are independent. The split of a loop is
 * static, so what an iteration computes never depends on how many threads there are.
 */
#ifndef LF_PARALLEL_H
#define LF_PARALLEL_H

#include <stddef.h>

#include <lf/error.h>

/** LF_PARALLEL_THREADS_MAX - largest pool that can be asked for */
#define LF_PARALLEL_THREADS_MAX 256

/** struct lf_parallel - a pool of threads, opaque */
struct lf_parallel;

/**
 * typedef lf_parallel_body - one iteration of a loop
 * @argument: as given to lf_parallel_for()
 * @index: 0 .. count - 1
 *
 * Iterations run in any order and at the same time: each may write only what no other one
 * reads or writes.
 */
typedef void (*lf_parallel_body)(void *argument, size_t index);

/**
 * lf_parallel_create() - start a pool
 * @pool: where the pool goes; untouched on failure
 * @threads: threads that work on a loop, the caller of it included, so @threads - 1 are started;
 *           0 asks for one a CPU that this process may run on
 * @error: filled on failure, may be NULL
 *
 * Return: 0, -EINVAL above LF_PARALLEL_THREADS_MAX, -ENOMEM, or the error of thread creation.
 */
int lf_parallel_create(struct lf_parallel **pool, unsigned int threads, struct lf_error *error);

/**
 * lf_parallel_destroy() - end the threads and free the pool
 * @pool: a pool no loop is running on, or NULL
 */
void lf_parallel_destroy(struct lf_parallel *pool);

/**
 * lf_parallel_threads() - threads that work on a loop, the caller included
 * @pool: a pool, or NULL, which counts as one thread
 */
unsigned int lf_parallel_threads(const struct lf_parallel *pool);

/**
 * lf_parallel_for() - run a loop and wait for its end
 * @pool: a pool; NULL runs the loop in the calling thread
 * @count: number of iterations, may be 0
 * @body: one iteration
 * @argument: passed to every iteration
 *
 * Thread t of n runs the iterations [count * t / n, count * (t + 1) / n) in rising order, the
 * caller being thread 0. All that the iterations wrote is visible to the caller on return.
 *
 * May be called from several threads at once and from inside an iteration: the pool serves one
 * loop at a time, and a call that finds it busy runs its whole loop in its own thread. It never
 * waits for another loop, so nesting cannot deadlock.
 */
void lf_parallel_for(struct lf_parallel *pool, size_t count, lf_parallel_body body, void *argument);

#endif
