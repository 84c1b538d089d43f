/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The threads that share the calculation of one job. The executor hands a call
 * out, works on it itself, and returns when all items are done; helpers that
 * come late find it closed and go back to waiting.
 *
 * A job hands out many calls in quick succession, so a helper spins for a
 * moment before it sleeps. It is a short moment: the vCPUs want the host's
 * processors as well.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/processor.h"
#include "lf-accel.h"

/* Some ten microseconds. */
#define LF_SPIN_ROUNDS 300

struct LFWorkers {
    QemuMutex lock;
    QemuCond call;
    QemuCond done;
    QemuThread *threads;
    uint32_t thread_count;
    bool stopping;

    /* The call: its number, whether it may be joined, and by how many it is. */
    uint32_t number;
    bool open;
    uint32_t joined;
    void (*work)(void *argument, uint32_t index);
    void *argument;
    uint32_t count;
    uint32_t next;
};

static void lf_workers_take_items(LFWorkers *pool)
{
    uint32_t index;

    while ((index = qatomic_fetch_inc(&pool->next)) < pool->count) {
        pool->work(pool->argument, index);
    }
}

static void *lf_worker_thread(void *opaque)
{
    LFWorkers *pool = opaque;
    uint32_t seen = 0;

    qemu_mutex_lock(&pool->lock);
    for (;;) {
        if (pool->number == seen && !pool->stopping) {
            qemu_mutex_unlock(&pool->lock);
            for (uint32_t i = 0; i < LF_SPIN_ROUNDS; i++) {
                if (qatomic_read(&pool->number) != seen) {
                    break;
                }
                cpu_relax();
            }
            qemu_mutex_lock(&pool->lock);
        }
        while (pool->number == seen && !pool->stopping) {
            qemu_cond_wait(&pool->call, &pool->lock);
        }
        if (pool->stopping) {
            break;
        }
        seen = pool->number;
        if (!pool->open) {
            continue;
        }
        pool->joined++;
        qemu_mutex_unlock(&pool->lock);
        lf_workers_take_items(pool);
        qemu_mutex_lock(&pool->lock);
        if (--pool->joined == 0) {
            qemu_cond_signal(&pool->done);
        }
    }
    qemu_mutex_unlock(&pool->lock);
    return NULL;
}

/**
 * lf_workers_run() - call @work once for each index below @count
 * @pool: the threads; one call at a time
 * @count: number of items
 * @work: called on any of the threads, in any order
 * @argument: handed to it
 */
void lf_workers_run(LFWorkers *pool, uint32_t count,
                    void (*work)(void *argument, uint32_t index),
                    void *argument)
{
    if (count < 2 || pool->thread_count == 0) {
        for (uint32_t i = 0; i < count; i++) {
            work(argument, i);
        }
        return;
    }
    qemu_mutex_lock(&pool->lock);
    pool->work = work;
    pool->argument = argument;
    pool->count = count;
    pool->next = 0;
    pool->open = true;
    qatomic_set(&pool->number, pool->number + 1);
    qemu_cond_broadcast(&pool->call);
    qemu_mutex_unlock(&pool->lock);

    lf_workers_take_items(pool);

    qemu_mutex_lock(&pool->lock);
    pool->open = false;
    while (pool->joined) {
        qemu_cond_wait(&pool->done, &pool->lock);
    }
    qemu_mutex_unlock(&pool->lock);
}

/**
 * lf_workers_create() - start @helpers threads besides the one that calls
 */
LFWorkers *lf_workers_create(uint32_t helpers)
{
    LFWorkers *pool = g_new0(LFWorkers, 1);

    qemu_mutex_init(&pool->lock);
    qemu_cond_init(&pool->call);
    qemu_cond_init(&pool->done);
    pool->threads = g_new0(QemuThread, helpers);
    pool->thread_count = helpers;
    for (uint32_t i = 0; i < helpers; i++) {
        qemu_thread_create(&pool->threads[i], "lf-worker", lf_worker_thread,
                           pool, QEMU_THREAD_JOINABLE);
    }
    return pool;
}

/* End the threads; none is inside a call. */
void lf_workers_destroy(LFWorkers *pool)
{
    qemu_mutex_lock(&pool->lock);
    pool->stopping = true;
    qemu_cond_broadcast(&pool->call);
    qemu_mutex_unlock(&pool->lock);
    for (uint32_t i = 0; i < pool->thread_count; i++) {
        qemu_thread_join(&pool->threads[i]);
    }
    qemu_cond_destroy(&pool->done);
    qemu_cond_destroy(&pool->call);
    qemu_mutex_destroy(&pool->lock);
    g_free(pool->threads);
    g_free(pool);
}
