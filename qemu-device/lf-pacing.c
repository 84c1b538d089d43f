/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pacing property: jobs take the guest as long as they would take the
 * hardware, or a multiple of it.
 *
 * The model calculates a job as fast as it can, and its record is held back
 * until the virtual clock has seen the job's modelled time go by. The tiles are
 * one device, so modelled times of all queues follow each other: a job begins
 * when it was taken from its ring or when the one before it ended, whichever is
 * later. A queue takes its next job when the record of the last is posted; the
 * others go on meanwhile. Outputs are in the host's memory before the record,
 * which is when the host may look at them.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "qapi/error.h"
#include "lf-accel.h"
#include "trace.h"

#define LF_PACING_FACTOR_MAX 1000000

/* Longest delay of a record: three years, far from where the clock wraps. */
#define LF_PACING_MAX_NS ((int64_t)100000000 * NANOSECONDS_PER_SECOND)

/* Judge the property; false with @errp set. */
bool lf_pacing_parse(LFAccel *s, Error **errp)
{
    const char *text = s->pacing ? s->pacing : "off";

    if (g_str_equal(text, "off")) {
        s->pacing_factor = 0;
    } else if (g_str_equal(text, "on")) {
        s->pacing_factor = 1;
    } else if (qemu_strtoui(text, NULL, 10, &s->pacing_factor) < 0 ||
               s->pacing_factor < 1 ||
               s->pacing_factor > LF_PACING_FACTOR_MAX) {
        error_setg(errp, "pacing must be off, on or a factor of 1 to %d",
                   LF_PACING_FACTOR_MAX);
        return false;
    }
    return true;
}

/* The modelled time of the job at the head is over. */
static void lf_pacing_expired(void *opaque)
{
    LFQueue *queue = opaque;
    LFAccel *s = queue->s;

    queue->paced = false;
    lf_queue_complete(s, queue, &queue->record);
    lf_executor_wake(s);
}

/**
 * lf_pacing_complete() - post the record of the job at the head, when it is time
 * @s: the device
 * @queue: enabled, with room in its completion ring
 * @start_ns: when the job was taken, on the virtual clock
 * @completion: the record but for head and phase
 */
void lf_pacing_complete(LFAccel *s, LFQueue *queue, int64_t start_ns,
                        struct lf_completion *completion)
{
    uint64_t busy_ns = le64_to_cpu(completion->busy_ns);
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    if (s->pacing_factor == 0) {
        lf_queue_complete(s, queue, completion);
        return;
    }
    if (umul64_overflow(busy_ns, s->pacing_factor, &busy_ns)) {
        busy_ns = LF_PACING_MAX_NS;
    }
    s->paced_until_ns = MAX(start_ns, s->paced_until_ns) +
                        (int64_t)MIN(busy_ns, (uint64_t)LF_PACING_MAX_NS);
    s->paced_until_ns = MIN(s->paced_until_ns, now + LF_PACING_MAX_NS);
    if (s->paced_until_ns <= now) {
        lf_queue_complete(s, queue, completion);
        return;
    }
    trace_lf_accel_job_paced(queue->index, le16_to_cpu(completion->tag),
                             s->paced_until_ns);
    queue->record = *completion;
    queue->paced = true;
    timer_mod(queue->pace_timer, s->paced_until_ns);
}

/* The rings are empty. */
void lf_pacing_clear(LFQueue *queue)
{
    queue->paced = false;
    timer_del(queue->pace_timer);
}

void lf_pacing_init(LFQueue *queue)
{
    queue->pace_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, lf_pacing_expired,
                                     queue);
}

void lf_pacing_free(LFQueue *queue)
{
    timer_free(queue->pace_timer);
    queue->pace_timer = NULL;
}
