/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the host is interrupted: the event register behind vector 0, and the
 * completion interrupts of the queues, which can be made to wait for company.
 * How an interrupt reaches the host is the bus's concern.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "lf-accel.h"
#include "trace.h"

#define LF_AJ_PER_PJ 1000000

/* Set bits of LF_REG_EVENTS; the host hears of those that were not set. */
void lf_events_raise(LFAccel *s, uint32_t events)
{
    uint32_t news = events & ~s->events;

    if (news) {
        trace_lf_accel_events(news);
        s->events |= news;
        s->bus->raise(s, 0);
    }
}

/* LF_REG_ENERGY_THRESHOLD against the totals after the last job. */
void lf_events_check_energy(LFAccel *s)
{
    uint64_t total_pj = 0;
    uint64_t rest_aj = 0;

    for (uint32_t i = 0; i < LF_ENERGY_COMPONENTS; i++) {
        total_pj += s->telemetry.energy_pj[i];
        rest_aj += s->telemetry.energy_sub_aj[i];
    }
    total_pj += rest_aj / LF_AJ_PER_PJ;
    if (s->energy_threshold_pj && total_pj > s->energy_threshold_pj) {
        s->energy_threshold_pj = 0;
        lf_events_raise(s, LF_EVENT_ENERGY);
    }
}

/* Tell the host of all records that wait. */
static void lf_coalesce_raise(LFAccel *s, LFQueue *queue)
{
    queue->unannounced = 0;
    timer_del(queue->coalesce_timer);
    if (!lf_faults_strike(s, LF_INJECT_LOST_INTERRUPT, queue)) {
        s->bus->raise(s, 1 + queue->index);
    }
}

static void lf_coalesce_expired(void *opaque)
{
    LFQueue *queue = opaque;

    if (queue->unannounced) {
        lf_coalesce_raise(queue->s, queue);
    }
}

/*
 * Interrupt now if enough records wait, or if the ring is full and no more can
 * come; else when the first of them has waited long enough.
 */
static void lf_coalesce_judge(LFAccel *s, LFQueue *queue)
{
    uint32_t records = extract32(queue->coalesce, 0, 16);
    uint32_t microseconds = extract32(queue->coalesce, 16, 16);

    if (queue->unannounced == 0) {
        return;
    }
    if (queue->unannounced >= records || microseconds == 0 ||
        lf_queue_room(queue) == 0) {
        lf_coalesce_raise(s, queue);
    } else if (!timer_pending(queue->coalesce_timer)) {
        timer_mod(queue->coalesce_timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                                             microseconds * (int64_t)SCALE_US);
    }
}

/* @records more have been posted. */
void lf_coalesce_posted(LFAccel *s, LFQueue *queue, uint32_t records)
{
    queue->unannounced += records;
    lf_coalesce_judge(s, queue);
}

/* The host has told how many it has taken. */
void lf_coalesce_taken(LFQueue *queue)
{
    queue->unannounced = MIN(queue->unannounced, lf_queue_untaken(queue));
    if (queue->unannounced == 0) {
        timer_del(queue->coalesce_timer);
    }
}

/* LF_QUEUE_COALESCE; what waits by the old rule is judged by the new one. */
void lf_coalesce_set(LFAccel *s, LFQueue *queue, uint32_t value)
{
    queue->coalesce = value;
    timer_del(queue->coalesce_timer);
    if (queue->enabled) {
        lf_coalesce_judge(s, queue);
    }
}

/* The rings are empty. */
void lf_coalesce_clear(LFQueue *queue)
{
    queue->unannounced = 0;
    timer_del(queue->coalesce_timer);
}

void lf_coalesce_init(LFQueue *queue)
{
    queue->coalesce_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL,
                                         lf_coalesce_expired, queue);
}

void lf_coalesce_free(LFQueue *queue)
{
    timer_free(queue->coalesce_timer);
    queue->coalesce_timer = NULL;
}
