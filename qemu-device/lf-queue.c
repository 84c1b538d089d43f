/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Submission and completion rings: windows, doorbells, the order in which
 * queues are served, and the records at the end of jobs. What a job contains is
 * lf-job.c's concern. Everything here runs under the BQL.
 */
#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "qemu/log.h"
#include "lf-accel.h"
#include "trace.h"

static uint32_t lf_ring_next(const LFQueue *queue, uint32_t position)
{
    return (position + 1) & (queue->entries - 1);
}

static bool lf_queue_has_jobs(const LFQueue *queue)
{
    return queue->enabled && queue->submission_head != queue->submission_tail;
}

/* A job of a queue that was disabled is still being calculated. */
bool lf_queue_draining(const LFAccel *s, const LFQueue *queue)
{
    return s->running == queue && !queue->enabled;
}

/* Whether the job at its head is being executed, as the host sees it. */
bool lf_queue_runs(const LFAccel *s, const LFQueue *queue)
{
    return queue->enabled &&
           (s->running == queue || queue->hung || queue->paced);
}

/* Records that were posted and not taken. */
uint32_t lf_queue_untaken(const LFQueue *queue)
{
    return (queue->completion_tail - queue->completion_head) &
           (queue->entries - 1);
}

/* Records that can be posted before the host takes one. */
uint32_t lf_queue_room(const LFQueue *queue)
{
    return queue->entries - 1 - lf_queue_untaken(queue);
}

/* Stop serving @queue until it is disabled, and tell the host. */
void lf_queue_fault(LFAccel *s, LFQueue *queue, const char *reason)
{
    qemu_log_mask(LOG_GUEST_ERROR, "lf-accel: fault of queue %u: %s\n",
                  queue->index, reason);
    trace_lf_accel_queue_fault(queue->index, reason);
    queue->fault = true;
    lf_events_raise(s, LF_EVENT_QUEUE);
}

/* The rings are empty, and nothing is known of a job at the head. */
void lf_queue_clear(LFQueue *queue)
{
    queue->hung = false;
    queue->at_barrier = false;
    queue->submission_head = 0;
    queue->submission_tail = 0;
    queue->completion_head = 0;
    queue->completion_tail = 0;
    lf_coalesce_clear(queue);
    lf_pacing_clear(queue);
}

void lf_queue_enable(LFAccel *s, LFQueue *queue)
{
    const char *problem = NULL;

    if (!(s->control & LF_CONTROL_ENABLE)) {
        problem = "the device is not enabled";
    } else if (lf_queue_draining(s, queue)) {
        problem = "its last job has not ended";
    } else if (queue->entries < 2 || queue->entries > LF_RING_ENTRIES_MAX ||
               !is_power_of_2(queue->entries)) {
        problem = "number of entries";
    } else if (!QEMU_IS_ALIGNED(queue->submission, LF_PAGE_BYTES) ||
               !QEMU_IS_ALIGNED(queue->completion, LF_PAGE_BYTES)) {
        problem = "alignment of a ring";
    }
    if (problem) {
        lf_queue_fault(s, queue, problem);
        return;
    }
    trace_lf_accel_queue_enable(queue->index, queue->submission,
                                queue->completion, queue->entries);
    lf_queue_clear(queue);
    queue->enabled = true;
    queue->phase = 1;
}

/*
 * From here on nothing is written to the host's memory for this queue. A job of
 * it that is being calculated sees the generation and ends without a record.
 */
void lf_queue_disable(LFAccel *s, LFQueue *queue)
{
    if (queue->enabled) {
        trace_lf_accel_queue_disable(queue->index, s->running == queue);
    }
    if (s->running == queue) {
        lf_executor_cancel(s);
    }
    queue->enabled = false;
    queue->fault = false;
    lf_queue_clear(queue);
    queue->generation++;
    /* Jobs of other queues may have waited for those that are gone. */
    lf_executor_wake(s);
}

/* Submission doorbell. */
void lf_queue_submit(LFAccel *s, LFQueue *queue, uint32_t tail)
{
    trace_lf_accel_doorbell(queue->index, tail);
    if (!queue->enabled) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "lf-accel: doorbell of disabled queue %u\n",
                      queue->index);
        return;
    }
    if (queue->fault) {
        return;
    }
    if (tail >= queue->entries) {
        lf_queue_fault(s, queue, "submission doorbell outside the ring");
        return;
    }
    s->doorbells++;
    while (queue->submission_tail != tail) {
        queue->stamps[queue->submission_tail] = s->doorbells;
        queue->submission_tail = lf_ring_next(queue, queue->submission_tail);
    }
    lf_executor_wake(s);
}

/* Completion doorbell. */
void lf_queue_consume(LFAccel *s, LFQueue *queue, uint32_t head)
{
    uint32_t mask = queue->entries - 1;

    if (!queue->enabled || queue->fault) {
        return;
    }
    if (head > mask ||
        ((head - queue->completion_head) & mask) > lf_queue_untaken(queue)) {
        lf_queue_fault(s, queue, "completion doorbell outside the ring");
        return;
    }
    queue->completion_head = head;
    lf_coalesce_taken(queue);
    lf_executor_wake(s);
}

/*
 * Whether the job at the head of @queue, which begins with a barrier somewhere
 * inside, has to wait for a job of another queue that was submitted before it.
 */
bool lf_queue_must_wait(LFAccel *s, LFQueue *queue)
{
    uint64_t stamp = queue->stamps[queue->submission_head];

    for (uint32_t i = 0; i < s->queue_count; i++) {
        LFQueue *other = &s->queues[i];

        if (other != queue && lf_queue_has_jobs(other) &&
            other->stamps[other->submission_head] < stamp) {
            queue->at_barrier = true;
            return true;
        }
    }
    queue->at_barrier = false;
    return false;
}

static bool lf_queue_ready(LFAccel *s, LFQueue *queue)
{
    return lf_queue_has_jobs(queue) && !queue->fault && !queue->hung &&
           !queue->paced && lf_queue_room(queue) > 0 &&
           !(queue->at_barrier && lf_queue_must_wait(s, queue));
}

/* The queue whose turn it is, or NULL when there is nothing to do. */
LFQueue *lf_queue_next(LFAccel *s)
{
    if (!s->xbar || s->fatal || !(s->control & LF_CONTROL_ENABLE)) {
        return NULL;
    }
    for (uint32_t i = 0; i < s->queue_count; i++) {
        LFQueue *queue = &s->queues[(s->next_queue + i) % s->queue_count];

        if (lf_queue_ready(s, queue)) {
            s->next_queue = (queue->index + 1) % s->queue_count;
            return queue;
        }
    }
    return NULL;
}

/* Copy the entry at the head without taking it; false ends the device's work. */
bool lf_queue_peek(LFAccel *s, LFQueue *queue, struct lf_submission *submission)
{
    uint64_t address = queue->submission +
                       queue->submission_head * sizeof(*submission);

    if (lf_dma_read(s, address, submission, sizeof(*submission)) != MEMTX_OK) {
        lf_queue_fault(s, queue, "submission ring not readable");
        lf_accel_fatal(s);
        return false;
    }
    return true;
}

/* Whether a job with @tag is on the submission ring. */
bool lf_queue_has_tag(LFAccel *s, const LFQueue *queue, uint16_t tag)
{
    for (uint32_t i = queue->submission_head; i != queue->submission_tail;
         i = lf_ring_next(queue, i)) {
        uint64_t address = queue->submission +
                           i * sizeof(struct lf_submission) +
                           offsetof(struct lf_submission, tag);
        uint16_t found = 0;

        if (lf_dma_read(s, address, &found, sizeof(found)) == MEMTX_OK &&
            le16_to_cpu(found) == tag) {
            return true;
        }
    }
    return false;
}

/* One record to the host's memory; false when it cannot be written. */
static bool lf_queue_post(LFAccel *s, LFQueue *queue,
                          const struct lf_completion *completion)
{
    const size_t body = offsetof(struct lf_completion, phase);
    uint64_t address = queue->completion +
                       queue->completion_tail * sizeof(*completion);
    uint16_t phase = cpu_to_le16(queue->phase);

    /* The host polls the phase: whatever else it then reads must be there. */
    if (lf_dma_write(s, address, completion, body) != MEMTX_OK) {
        return false;
    }
    smp_wmb();
    if (lf_dma_write(s, address + body, &phase, sizeof(phase)) != MEMTX_OK) {
        return false;
    }
    queue->completion_tail = lf_ring_next(queue, queue->completion_tail);
    if (queue->completion_tail == 0) {
        queue->phase ^= 1;
    }
    return true;
}

/**
 * lf_queue_complete() - take the entry at the head and post its record
 * @s: the device
 * @queue: enabled, with room in its completion ring
 * @completion: the record but for head and phase
 */
void lf_queue_complete(LFAccel *s, LFQueue *queue,
                       struct lf_completion *completion)
{
    uint32_t records = 1;

    queue->submission_head = lf_ring_next(queue, queue->submission_head);
    queue->at_barrier = false;
    completion->submission_head = cpu_to_le16(queue->submission_head);
    if (lf_faults_spoil_record(s, queue, completion)) {
        records = 2;
    }
    for (uint32_t i = 0; i < records; i++) {
        if (!lf_queue_post(s, queue, completion)) {
            lf_queue_fault(s, queue, "completion ring not writable");
            lf_accel_fatal(s);
            return;
        }
    }
    lf_coalesce_posted(s, queue, records);
}
