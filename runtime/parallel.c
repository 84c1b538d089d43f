// SPDX-License-Identifier: MIT
/*
 * The pool of threads of lf/parallel.h. A loop costs two atomic writes and, while the workers
 * still spin for the next one, no system call; idle workers sleep on a condition variable.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <lf/parallel.h>

/* Looks at the loop number before a waiting thread goes to sleep: some 20 microseconds. */
#define SPINS		     4096

/* A worker that shares its CPU with the one it waits for must let that one run. */
#define SPINS_BETWEEN_YIELDS 64

/*
 * A loop is published by a new value of @loop, which its workers read with acquire; they
 * report back by counting @pending down with release. @body, @argument and @count are plain because
 * only these two order them.
 */
struct lf_parallel {
	pthread_mutex_t mutex;
	pthread_cond_t loop_started;
	pthread_cond_t loop_ended;
	pthread_mutex_t owner; /* held by the caller whose loop is running */
	atomic_uint loop;
	atomic_uint pending;
	atomic_bool ending;
	lf_parallel_body body;
	void *argument;
	size_t count;
	unsigned int threads;
	struct worker {
		struct lf_parallel *pool;
		pthread_t thread;
		unsigned int number; /* 1 .. threads - 1; the caller is 0 */
	} worker[];
};

static void relax(unsigned int spin)
{
	if (spin % SPINS_BETWEEN_YIELDS == SPINS_BETWEEN_YIELDS - 1) {
		sched_yield();
		return;
	}
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static void run_share(const struct lf_parallel *pool, unsigned int number)
{
	/* The product fits: count is a number of things in memory, threads below 2^9. */
	size_t index = pool->count * number / pool->threads;
	size_t end = pool->count * (number + 1) / pool->threads;

	for (; index < end; index++)
		pool->body(pool->argument, index);
}

/* Return: the number of a loop after @seen, once there is one. */
static unsigned int wait_for_loop(struct lf_parallel *pool, unsigned int seen)
{
	unsigned int loop;

	for (unsigned int spin = 0; spin < SPINS; spin++) {
		loop = atomic_load_explicit(&pool->loop, memory_order_acquire);
		if (loop != seen)
			return loop;
		relax(spin);
	}
	pthread_mutex_lock(&pool->mutex);
	while ((loop = atomic_load_explicit(&pool->loop, memory_order_acquire)) == seen)
		pthread_cond_wait(&pool->loop_started, &pool->mutex);
	pthread_mutex_unlock(&pool->mutex);
	return loop;
}

static void *worker_main(void *argument)
{
	const struct worker *worker = argument;
	struct lf_parallel *pool = worker->pool;
	unsigned int seen = 0;

	for (;;) {
		seen = wait_for_loop(pool, seen);
		if (atomic_load_explicit(&pool->ending, memory_order_relaxed))
			return NULL;
		run_share(pool, worker->number);
		if (atomic_fetch_sub_explicit(&pool->pending, 1, memory_order_acq_rel) == 1) {
			pthread_mutex_lock(&pool->mutex);
			pthread_cond_signal(&pool->loop_ended);
			pthread_mutex_unlock(&pool->mutex);
		}
	}
}

static void start_loop(struct lf_parallel *pool)
{
	pthread_mutex_lock(&pool->mutex);
	atomic_fetch_add_explicit(&pool->loop, 1, memory_order_release);
	pthread_cond_broadcast(&pool->loop_started);
	pthread_mutex_unlock(&pool->mutex);
}

static void wait_for_workers(struct lf_parallel *pool)
{
	for (unsigned int spin = 0; spin < SPINS; spin++) {
		if (!atomic_load_explicit(&pool->pending, memory_order_acquire))
			return;
		relax(spin);
	}
	pthread_mutex_lock(&pool->mutex);
	while (atomic_load_explicit(&pool->pending, memory_order_acquire))
		pthread_cond_wait(&pool->loop_ended, &pool->mutex);
	pthread_mutex_unlock(&pool->mutex);
}

/* Ends the @started first workers of a pool that runs no loop and frees it. */
static void stop(struct lf_parallel *pool, unsigned int started)
{
	atomic_store(&pool->ending, true);
	start_loop(pool);
	for (unsigned int i = 0; i < started; i++)
		pthread_join(pool->worker[i].thread, NULL);
	pthread_cond_destroy(&pool->loop_ended);
	pthread_cond_destroy(&pool->loop_started);
	pthread_mutex_destroy(&pool->owner);
	pthread_mutex_destroy(&pool->mutex);
	free(pool);
}

static unsigned int usable_cpus(void)
{
	cpu_set_t set;
	int cpus = sched_getaffinity(0, sizeof(set), &set) ? 1 : CPU_COUNT(&set);

	return cpus < LF_PARALLEL_THREADS_MAX ? (unsigned int)cpus : LF_PARALLEL_THREADS_MAX;
}

int lf_parallel_create(struct lf_parallel **pool, unsigned int threads, struct lf_error *error)
{
	struct lf_parallel *new;

	if (threads > LF_PARALLEL_THREADS_MAX)
		return lf_error_set(error, -EINVAL, "threads: %u is above the maximum of %d",
				    threads, LF_PARALLEL_THREADS_MAX);
	if (!threads)
		threads = usable_cpus();
	new = calloc(1, sizeof(*new) + (threads - 1) * sizeof(new->worker[0]));
	if (!new)
		return lf_error_set(error, -ENOMEM, "pool of %u threads: out of memory", threads);
	new->threads = threads;
	/* glibc's initialisers cannot fail for default attributes. */
	pthread_mutex_init(&new->mutex, NULL);
	pthread_mutex_init(&new->owner, NULL);
	pthread_cond_init(&new->loop_started, NULL);
	pthread_cond_init(&new->loop_ended, NULL);
	for (unsigned int i = 0; i < threads - 1; i++) {
		struct worker *worker = &new->worker[i];
		int status;

		worker->pool = new;
		worker->number = i + 1;
		status = pthread_create(&worker->thread, NULL, worker_main, worker);
		if (status) {
			stop(new, i);
			return lf_error_set(error, -status, "cannot start thread %u of %u: %s",
					    i + 2, threads, strerror(status));
		}
	}
	*pool = new;
	return 0;
}

void lf_parallel_destroy(struct lf_parallel *pool)
{
	if (pool)
		stop(pool, pool->threads - 1);
}

unsigned int lf_parallel_threads(const struct lf_parallel *pool)
{
	return pool ? pool->threads : 1;
}

void lf_parallel_for(struct lf_parallel *pool, size_t count, lf_parallel_body body, void *argument)
{
	if (!pool || pool->threads == 1 || count < 2 || pthread_mutex_trylock(&pool->owner)) {
		for (size_t index = 0; index < count; index++)
			body(argument, index);
		return;
	}
	pool->body = body;
	pool->argument = argument;
	pool->count = count;
	atomic_store_explicit(&pool->pending, pool->threads - 1, memory_order_relaxed);
	start_loop(pool);
	run_share(pool, 0);
	wait_for_workers(pool);
	pthread_mutex_unlock(&pool->owner);
}
