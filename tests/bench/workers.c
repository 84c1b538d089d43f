// SPDX-License-Identifier: MIT
/*
 * See workers.h.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "tests/bench/workers.h"

/**
 * struct workers - the threads and the work they share
 * @round: number of the work; a worker takes part once in each
 * @busy: workers that have not finished it
 * @next: piece to be taken next
 */
struct workers {
	pthread_mutex_t lock;
	pthread_cond_t start;
	pthread_cond_t done;
	pthread_t threads[WORKERS_MOST];
	uint32_t count;
	uint64_t round;
	uint32_t busy;
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

static void *worker(void *argument)
{
	struct workers *workers = argument;
	uint64_t seen = 0;

	pthread_mutex_lock(&workers->lock);
	for (;;) {
		while (workers->round == seen && !workers->stop)
			pthread_cond_wait(&workers->start, &workers->lock);
		if (workers->stop)
			break;
		seen = workers->round;
		pthread_mutex_unlock(&workers->lock);
		take_pieces(workers);
		pthread_mutex_lock(&workers->lock);
		if (--workers->busy == 0)
			pthread_cond_signal(&workers->done);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

void workers_run(void *opaque, uint32_t count, void (*work)(void *, uint32_t), void *argument)
{
	struct workers *workers = opaque;

	pthread_mutex_lock(&workers->lock);
	workers->work = work;
	workers->argument = argument;
	workers->pieces = count;
	workers->busy = workers->count;
	atomic_store(&workers->next, 0);
	workers->round++;
	pthread_cond_broadcast(&workers->start);
	pthread_mutex_unlock(&workers->lock);
	take_pieces(workers);
	pthread_mutex_lock(&workers->lock);
	while (workers->busy)
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
