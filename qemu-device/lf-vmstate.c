/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What travels when a machine is saved or moved. Nothing is in progress then
 * (lf-executor.c sees to it), so registers and rings are all there is; the
 * cells travel as the memory of their backend.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "migration/vmstate.h"
#include "lf-accel.h"

/*
 * The stream comes from outside: positions index arrays. Those of a disabled
 * queue are not in use until it is enabled, and zero then.
 */
static int lf_queue_post_load(void *opaque, int version_id)
{
    LFQueue *queue = opaque;

    if (queue->phase > 1) {
        return -EINVAL;
    }
    if (!queue->enabled) {
        lf_queue_clear(queue);
        return 0;
    }
    if (queue->entries < 2 || queue->entries > LF_RING_ENTRIES_MAX ||
        !is_power_of_2(queue->entries) ||
        queue->submission_head >= queue->entries ||
        queue->submission_tail >= queue->entries ||
        queue->completion_head >= queue->entries ||
        queue->completion_tail >= queue->entries ||
        queue->unannounced > lf_queue_untaken(queue)) {
        return -EINVAL;
    }
    if (queue->paced && (queue->submission_head == queue->submission_tail ||
                         lf_queue_room(queue) == 0)) {
        return -EINVAL;
    }
    return 0;
}

static bool lf_coalesce_needed(void *opaque)
{
    LFQueue *queue = opaque;

    return queue->coalesce != 0 || queue->unannounced != 0;
}

static bool lf_pacing_needed(void *opaque)
{
    LFQueue *queue = opaque;

    return queue->paced;
}

/* clang-format off */
static const VMStateDescription vmstate_lf_coalesce = {
    .name = "lf-accel/queue/coalesce",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = lf_coalesce_needed,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32(coalesce, LFQueue),
        VMSTATE_UINT32(unannounced, LFQueue),
        VMSTATE_TIMER_PTR(coalesce_timer, LFQueue),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_lf_pacing = {
    .name = "lf-accel/queue/pacing",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = lf_pacing_needed,
    .fields = (VMStateField[]) {
        VMSTATE_BOOL(paced, LFQueue),
        VMSTATE_BUFFER_UNSAFE(record, LFQueue, 1, sizeof(struct lf_completion)),
        VMSTATE_TIMER_PTR(pace_timer, LFQueue),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_lf_queue = {
    .name = "lf-accel/queue",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = lf_queue_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_UINT64(submission, LFQueue),
        VMSTATE_UINT64(completion, LFQueue),
        VMSTATE_UINT32(entries, LFQueue),
        VMSTATE_BOOL(enabled, LFQueue),
        VMSTATE_BOOL(fault, LFQueue),
        VMSTATE_BOOL(hung, LFQueue),
        VMSTATE_BOOL(at_barrier, LFQueue),
        VMSTATE_UINT32(submission_head, LFQueue),
        VMSTATE_UINT32(submission_tail, LFQueue),
        VMSTATE_UINT32(completion_head, LFQueue),
        VMSTATE_UINT32(completion_tail, LFQueue),
        VMSTATE_UINT16(phase, LFQueue),
        VMSTATE_VARRAY_UINT32(stamps, LFQueue, stamp_count, 1,
                              vmstate_info_uint64, uint64_t),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *[]) {
        &vmstate_lf_coalesce,
        &vmstate_lf_pacing,
        NULL
    },
};
/* clang-format on */

/*
 * Attaching on arrival drops what is not committed, as after a power cut. A
 * guest whose power never failed would not understand: it is not moved then.
 */
static int lf_accel_pre_save(void *opaque)
{
    LFAccel *s = opaque;

    if (s->xbar && xbar_torn(s->xbar)) {
        error_report("lf-accel: a matrix is being programmed; save or move the "
                     "machine when it is committed");
        return -EBUSY;
    }
    return 0;
}

/*
 * The model knows a memory that is being replaced. Without a model no job
 * begins: a machine that goes on after a load that failed does no harm.
 */
static int lf_accel_pre_load(void *opaque)
{
    LFAccel *s = opaque;

    xbar_destroy(s->xbar);
    s->xbar = NULL;

    /* What a stream does not mention is not there. */
    memset(s->faults, 0, sizeof(s->faults));
    s->all_ones = false;
    s->reset_stuck = false;
    s->storm_left = 0;
    timer_del(s->storm_timer);
    for (uint32_t i = 0; i < LF_QUEUES_MAX; i++) {
        s->queues[i].coalesce = 0;
        lf_coalesce_clear(&s->queues[i]);
        lf_pacing_clear(&s->queues[i]);
    }
    return 0;
}

/* The memory has arrived: only now is there a device to attach to it. */
static int lf_accel_post_load(void *opaque, int version_id)
{
    LFAccel *s = opaque;
    Error *error = NULL;

    if (s->temperature_mc < LF_TEMPERATURE_MIN_MC ||
        s->temperature_mc > LF_TEMPERATURE_MAX_MC) {
        error_report("lf-accel: temperature_mc: %" PRId32 " is not in %d .. %d",
                     s->temperature_mc, LF_TEMPERATURE_MIN_MC,
                     LF_TEMPERATURE_MAX_MC);
        s->fatal = true;
        return -EINVAL;
    }
    if (lf_accel_attach(s, &error) < 0) {
        error_report_err(error);
        s->fatal = true;
        return -EINVAL;
    }
    s->next_queue %= s->queue_count;
    /* The guest knows how warm it is: nothing has come up. */
    xbar_set_temperature(s->xbar, s->temperature_mc);
    xbar_take_events(s->xbar);
    return 0;
}

static bool lf_faults_needed(void *opaque)
{
    LFAccel *s = opaque;

    return lf_faults_armed(s) || s->all_ones || s->reset_stuck;
}

static int lf_faults_post_load(void *opaque, int version_id)
{
    LFAccel *s = opaque;

    for (uint32_t i = 0; i < LF_INJECT_CODES; i++) {
        if (s->faults[i].queue > s->queue_count) {
            return -EINVAL;
        }
    }
    if (s->storm_vector > s->queue_count ||
        (timer_pending(s->storm_timer) && s->storm_left == 0)) {
        return -EINVAL;
    }
    return 0;
}

/* clang-format off */
static const VMStateDescription vmstate_lf_fault = {
    .name = "lf-accel/fault",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (VMStateField[]) {
        VMSTATE_BOOL(armed, LFFault),
        VMSTATE_UINT32(queue, LFFault),
        VMSTATE_UINT32(argument, LFFault),
        VMSTATE_END_OF_LIST()
    },
};

static const VMStateDescription vmstate_lf_faults = {
    .name = "lf-accel/core/faults",
    .version_id = 1,
    .minimum_version_id = 1,
    .needed = lf_faults_needed,
    .post_load = lf_faults_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_STRUCT_ARRAY(faults, LFAccel, LF_INJECT_CODES, 1,
                             vmstate_lf_fault, LFFault),
        VMSTATE_BOOL(all_ones, LFAccel),
        VMSTATE_BOOL(reset_stuck, LFAccel),
        VMSTATE_UINT32(storm_left, LFAccel),
        VMSTATE_UINT32(storm_vector, LFAccel),
        VMSTATE_TIMER_PTR(storm_timer, LFAccel),
        VMSTATE_END_OF_LIST()
    },
};

/* Version 2: LF-1 1.2, whose cells no device of version 1 can hold. */
const VMStateDescription vmstate_lf_accel = {
    .name = "lf-accel/core",
    .version_id = 2,
    .minimum_version_id = 2,
    .pre_save = lf_accel_pre_save,
    .pre_load = lf_accel_pre_load,
    .post_load = lf_accel_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32_EQUAL(queue_count, LFAccel, "number of queues"),
        VMSTATE_UINT32(control, LFAccel),
        VMSTATE_BOOL(fatal, LFAccel),
        VMSTATE_UINT32(irq_status, LFAccel),
        VMSTATE_UINT32(irq_mask, LFAccel),
        VMSTATE_UINT32(events, LFAccel),
        VMSTATE_UINT32(time_advance_low, LFAccel),
        VMSTATE_UINT32(energy_threshold_low, LFAccel),
        VMSTATE_UINT64(energy_threshold_pj, LFAccel),
        VMSTATE_INT32(temperature_mc, LFAccel),
        VMSTATE_INT64(paced_until_ns, LFAccel),
        VMSTATE_UINT64(doorbells, LFAccel),
        VMSTATE_UINT32(next_queue, LFAccel),
        VMSTATE_BUFFER(latched, LFAccel),
        VMSTATE_STRUCT_ARRAY(queues, LFAccel, LF_QUEUES_MAX, 1,
                             vmstate_lf_queue, LFQueue),
        VMSTATE_END_OF_LIST()
    },
    .subsections = (const VMStateDescription *[]) {
        &vmstate_lf_faults,
        NULL
    },
};
/* clang-format on */
