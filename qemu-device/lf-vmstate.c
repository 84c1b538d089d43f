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
        queue->completion_tail >= queue->entries) {
        return -EINVAL;
    }
    return 0;
}

/* clang-format off */
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
    return 0;
}

/* The memory has arrived: only now is there a device to attach to it. */
static int lf_accel_post_load(void *opaque, int version_id)
{
    LFAccel *s = opaque;
    Error *error = NULL;

    if (lf_accel_attach(s, &error) < 0) {
        error_report_err(error);
        s->fatal = true;
        return -EINVAL;
    }
    s->next_queue %= s->queue_count;
    return 0;
}

/* clang-format off */
const VMStateDescription vmstate_lf_accel = {
    .name = "lf-accel/core",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = lf_accel_pre_save,
    .pre_load = lf_accel_pre_load,
    .post_load = lf_accel_post_load,
    .fields = (VMStateField[]) {
        VMSTATE_UINT32_EQUAL(queue_count, LFAccel, "number of queues"),
        VMSTATE_UINT32(control, LFAccel),
        VMSTATE_BOOL(fatal, LFAccel),
        VMSTATE_UINT32(irq_status, LFAccel),
        VMSTATE_UINT32(irq_mask, LFAccel),
        VMSTATE_UINT32(inject, LFAccel),
        VMSTATE_UINT32(time_advance_low, LFAccel),
        VMSTATE_UINT64(doorbells, LFAccel),
        VMSTATE_UINT32(next_queue, LFAccel),
        VMSTATE_BUFFER(latched, LFAccel),
        VMSTATE_STRUCT_ARRAY(queues, LFAccel, LF_QUEUES_MAX, 1,
                             vmstate_lf_queue, LFQueue),
        VMSTATE_END_OF_LIST()
    },
};
/* clang-format on */
