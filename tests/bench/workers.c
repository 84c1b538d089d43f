// SPDX-License-Identifier: MIT
/*
 * See workers.h. As the workers of the QEMU device (lf-workers.c), so that what is measured is what a guest gets.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/bench/workers.h"

/* Some ten microseconds, in which the next work often comes. */
#define SPIN_ROUNDS 300

/**
 * struct workers - the threads and the work they share
 * @round: number of the work
 * @open: it may be joined: who comes late finds that nothing is left and is not waited for
 * @joined: workers that have joined and not finished it
 * @next: piece to be taken next
 */
struct workers {
	pthread_mutex_t lock;
	pthread_cond_t start;
	pthread_cond_t done;
	pthread_t threads[WORKERS_MOST];
	uint32_t count;
	_Atomic uint64_t round;
	bool open;
	uint32_t joined;
	bool stop;
	void (*work)(void *, uint32_t);
	void *argument;
	uint32_t pieces;
	atomic_uint next;
};

static void take_pieces(struct workers *workers)
{
	for (;;) {
		uint32_t index = atomic_fetch_add(&workers->next, 1);

		if (index >= workers->pieces)
			return;
		workers->work(workers->argument, index);
	}
}

static void relax(void)
{
#ifdef __x86_64__
	__builtin_ia32_pause();
#endif
}

static void *worker(void *argument)
{
	struct workers *workers = argument;
	uint64_t seen = 0;

	for (;;) {
		for (int i = 0; i < SPIN_ROUNDS && atomic_load(&workers->round) == seen; i++)
			relax();
		pthread_mutex_lock(&workers->lock);
		while (workers->round == seen && !workers->stop)
			pthread_cond_wait(&workers->start, &workers->lock);
		seen = workers->round;
		if (workers->stop || !workers->open) {
			bool stop = workers->stop;

			pthread_mutex_unlock(&workers->lock);
			if (stop)
				return NULL;
			continue;
		}
		workers->joined++;
		pthread_mutex_unlock(&workers->lock);
		take_pieces(workers);
		pthread_mutex_lock(&workers->lock);
		if (--workers->joined == 0)
			pthread_cond_signal(&workers->done);
		pthread_mutex_unlock(&workers->lock);
	}
}

void workers_run(void *opaque, uint32_t count, void (*work)(void *, uint32_t), void *argument)
{
	struct workers *workers = opaque;

	pthread_mutex_lock(&workers->lock);
	workers->work = work;
	workers->argument = argument;
	workers->pieces = count;
	workers->open = true;
	atomic_store(&workers->next, 0);
	workers->round++;
	pthread_cond_broadcast(&workers->start);
	pthread_mutex_unlock(&workers->lock);
	take_pieces(workers);
	pthread_mutex_lock(&workers->lock);
	workers->open = false;
	while (workers->joined)
		pthread_cond_wait(&workers->done, &workers->lock);
	pthread_mutex_unlock(&workers->lock);
}

struct workers *workers_start(uint32_t threads)
{
	struct workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		return NULL;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->start, NULL);
	pthread_cond_init(&workers->done, NULL);
	for (; workers->count + 1 < threads; workers->count++)
		if (pthread_create(&workers->threads[workers->count], NULL, worker, workers)) {
			workers_stop(workers);
			return NULL;
		}
	return workers;
}

void workers_stop(struct workers *workers)
{
	if (!workers)
		return;
	pthread_mutex_lock(&workers->lock);
	workers->stop = true;
	pthread_cond_broadcast(&workers->start);
	pthread_mutex_unlock(&workers->lock);
	for (uint32_t i = 0; i < workers->count; i++)
		pthread_join(workers->threads[i], NULL);
	pthread_cond_destroy(&workers->start);
	pthread_cond_destroy(&workers->done);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
