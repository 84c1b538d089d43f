/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one thread of a device that takes jobs from the queues and executes them:
 * its start and end, what wakes it, and how it yields to a stopping machine.
 * It sleeps on a condition of the BQL, so a doorbell costs a vCPU one wake-up
 * and nothing else.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/main-loop.h"
#include "qemu/rcu.h"
#include "lf-accel.h"
#include "trace.h"

/*
 * Tell the model what it was too busy to be told, and the host what came of it:
 * at once when no job runs, else after the job.
 */
void lf_executor_settle(LFAccel *s)
{
    if (!s->xbar || s->running) {
        return;
    }
    if (s->time_advance_ns) {
        xbar_advance_time(s->xbar, s->time_advance_ns);
        s->time_advance_ns = 0;
    }
    if (s->temperature_pending) {
        xbar_set_temperature(s->xbar, s->temperature_mc);
        s->temperature_pending = false;
    }
    lf_faults_settle(s);
    lf_events_raise(s, xbar_take_events(s->xbar));
    lf_events_check_energy(s);
}

/* One job of the queue whose turn it is; false when there is none. */
static bool lf_executor_step(LFAccel *s)
{
    LFQueue *queue = s->vm_running ? lf_queue_next(s) : NULL;

    if (!queue) {
        return false;
    }
    s->running = queue;
    s->repeatable = false;
    qatomic_set(&s->cancelled, false);
    lf_job_execute(s, queue);
    s->running = NULL;

    lf_executor_settle(s);
    s->resetting = false;
    qemu_cond_broadcast(&s->idle);
    return true;
}

static void *lf_executor_thread(void *opaque)
{
    LFAccel *s = opaque;

    rcu_register_thread();
    qemu_mutex_lock_iothread();
    while (!s->stopping) {
        if (!lf_executor_step(s)) {
            qemu_cond_wait_iothread(&s->wake);
        }
    }
    s->stopped = true;
    qemu_cond_broadcast(&s->idle);
    qemu_mutex_unlock_iothread();
    rcu_unregister_thread();
    return NULL;
}

/* The running job, of which there is one, is to end as soon as it can. */
void lf_executor_cancel(LFAccel *s)
{
    qatomic_set(&s->cancelled, true);
}

/*
 * A machine that stops may be saved next. The job in progress is cut short and
 * begins again when the machine goes on, if it leaves nothing behind; else it
 * ends first, and its effects are in memory and registers. Those behind it stay
 * in their rings.
 * The cells are written through the host's address and not by the guest, so
 * dirty tracking has to be told.
 */
static void lf_executor_vm_state(void *opaque, bool running, RunState state)
{
    LFAccel *s = opaque;
    MemoryRegion *mr = host_memory_backend_get_memory(s->memory);

    s->vm_running = running;
    if (running) {
        lf_executor_settle(s);
        lf_executor_wake(s);
        return;
    }
    if (s->running && s->repeatable) {
        lf_executor_cancel(s);
    }
    while (s->running) {
        qemu_cond_wait_iothread(&s->idle);
    }
    memory_region_set_dirty(mr, 0, memory_region_size(mr));
}

void lf_executor_wake(LFAccel *s)
{
    qemu_cond_signal(&s->wake);
}

/* LF_REG_TIME_ADVANCE. */
void lf_executor_advance_time(LFAccel *s, uint64_t nanoseconds)
{
    s->time_advance_ns += nanoseconds;
    lf_executor_settle(s);
}

void lf_executor_set_temperature(LFAccel *s, int32_t millidegrees)
{
    s->temperature_mc = millidegrees;
    s->temperature_pending = true;
    lf_executor_settle(s);
}

/* LF_REG_TELEMETRY_LATCH: the totals at the end of the last job. */
void lf_executor_latch_telemetry(LFAccel *s)
{
    if (s->xbar && !s->running) {
        xbar_telemetry(s->xbar, &s->telemetry);
    }
    memcpy(s->latched, &s->telemetry, sizeof(s->latched));
}

void lf_executor_start(LFAccel *s)
{
    s->stopping = false;
    s->stopped = false;
    s->vm_running = runstate_is_running();
    qemu_cond_init(&s->wake);
    qemu_cond_init(&s->idle);
    s->vm_state_entry = qdev_add_vm_change_state_handler(s->device,
                                                         lf_executor_vm_state,
                                                         s);
    qemu_thread_create(&s->thread, "lf-executor", lf_executor_thread, s,
                       QEMU_THREAD_JOINABLE);
}

/*
 * The thread needs the BQL, which the caller holds, to end what it does: so it
 * is waited for on a condition that gives the lock away, and joined only then.
 */
void lf_executor_stop(LFAccel *s)
{
    qemu_del_vm_change_state_handler(s->vm_state_entry);
    for (uint32_t i = 0; i < s->queue_count; i++) {
        lf_queue_disable(s, &s->queues[i]);
    }
    s->stopping = true;
    lf_executor_wake(s);
    while (!s->stopped) {
        qemu_cond_wait_iothread(&s->idle);
    }
    qemu_thread_join(&s->thread);
    qemu_cond_destroy(&s->wake);
    qemu_cond_destroy(&s->idle);
    lf_job_release_arena(s);
}
