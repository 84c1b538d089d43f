/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The register block of LF-1. Accesses run on vCPU threads under the BQL, so a
 * write records what is wanted and never does the work.
 *
 * All is built of 32-bit halves: the memory core splits an access of 8 bytes
 * into two of 4, the low one first, which is the order the interface defines.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "lf-accel.h"
#include "trace.h"

#define LF_DOORBELL_LAST (LF_REG_DOORBELL + 8 * LF_QUEUES_MAX - 1)
#define LF_QUEUE_LAST (LF_REG_QUEUE + LF_QUEUE_STRIDE * LF_QUEUES_MAX - 1)

static uint32_t lf_window_read(LFAccel *s, uint32_t offset)
{
    uint32_t index = offset / LF_QUEUE_STRIDE;
    LFQueue *queue = &s->queues[index];
    uint32_t state;

    if (index >= s->queue_count) {
        return 0;
    }
    switch (offset % LF_QUEUE_STRIDE) {
    case LF_QUEUE_SUBMISSION:
        return extract64(queue->submission, 0, 32);
    case LF_QUEUE_SUBMISSION + 4:
        return extract64(queue->submission, 32, 32);
    case LF_QUEUE_COMPLETION:
        return extract64(queue->completion, 0, 32);
    case LF_QUEUE_COMPLETION + 4:
        return extract64(queue->completion, 32, 32);
    case LF_QUEUE_ENTRIES:
        return queue->entries;
    case LF_QUEUE_CONTROL:
        return queue->enabled ? LF_QUEUE_ENABLE : 0;
    case LF_QUEUE_STATE:
        state = queue->fault ? LF_QUEUE_FAULT : 0;
        if (queue->enabled || lf_queue_draining(s, queue)) {
            state |= LF_QUEUE_ENABLED;
        }
        if (lf_queue_runs(s, queue)) {
            state |= LF_QUEUE_RUNNING;
        }
        return state;
    case LF_QUEUE_COALESCE:
        return queue->coalesce;
    default:
        return 0;
    }
}

static void lf_window_write(LFAccel *s, uint32_t offset, uint32_t value)
{
    uint32_t index = offset / LF_QUEUE_STRIDE;
    uint32_t reg = offset % LF_QUEUE_STRIDE;
    LFQueue *queue = &s->queues[index];

    if (index >= s->queue_count) {
        return;
    }
    if (reg < LF_QUEUE_CONTROL && queue->enabled) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "lf-accel: window of queue %u written while enabled\n",
                      index);
        return;
    }
    switch (reg) {
    case LF_QUEUE_SUBMISSION:
        queue->submission = deposit64(queue->submission, 0, 32, value);
        break;
    case LF_QUEUE_SUBMISSION + 4:
        queue->submission = deposit64(queue->submission, 32, 32, value);
        break;
    case LF_QUEUE_COMPLETION:
        queue->completion = deposit64(queue->completion, 0, 32, value);
        break;
    case LF_QUEUE_COMPLETION + 4:
        queue->completion = deposit64(queue->completion, 32, 32, value);
        break;
    case LF_QUEUE_ENTRIES:
        queue->entries = value;
        break;
    case LF_QUEUE_CONTROL:
        if (!(value & LF_QUEUE_ENABLE)) {
            lf_queue_disable(s, queue);
        } else if (!queue->enabled) {
            lf_queue_enable(s, queue);
        }
        break;
    case LF_QUEUE_COALESCE:
        lf_coalesce_set(s, queue, value);
        break;
    }
}

static uint32_t lf_capability_read(LFAccel *s, uint32_t offset)
{
    const struct xbar_limits *limits = &s->limits;

    switch (offset) {
    case LF_REG_MAGIC:
        return LF_MAGIC;
    case LF_REG_VERSION:
        return LF_HW_VERSION_MAJOR << 16 | LF_HW_VERSION_MINOR;
    case LF_REG_FEATURES:
        return s->debug ? LF_FEATURE_DEBUG : 0;
    case LF_REG_QUEUES:
        return s->queue_count;
    case LF_REG_QUEUE_ENTRIES:
        return LF_RING_ENTRIES_MAX;
    case LF_REG_VECTORS:
        return lf_accel_vectors(s);
    case LF_REG_JOB_COMMANDS:
        return limits->commands;
    case LF_REG_JOB_BUFFERS:
        return LF_JOB_BUFFERS_MAX;
    case LF_REG_JOB_SCRATCH:
        return limits->scratch_bytes;
    case LF_REG_BUFFER_PAGES:
        return LF_BUFFER_PAGES_MAX;
    case LF_REG_BATCH:
        return limits->batch;
    case LF_REG_MATRICES:
        return limits->matrices;
    case LF_REG_MATRIX_ROWS:
        return limits->matrix_rows;
    case LF_REG_MATRIX_COLS:
        return limits->matrix_cols;
    case LF_REG_ACCOUNTS:
        return limits->accounts;
    case LF_REG_TILES:
        return limits->tiles;
    case LF_REG_TILE_ROWS:
        return limits->tile_rows;
    case LF_REG_TILE_COLS:
        return limits->tile_cols;
    case LF_REG_TILE_WEIGHTS:
        return limits->tile_weights;
    case LF_REG_CELL_BITS:
        return limits->cell_bits;
    case LF_REG_ADC_BITS:
        return limits->adc_bits;
    case LF_REG_DAC_BITS:
        return limits->dac_bits;
    case LF_REG_FORMATS:
        return limits->formats;
    case LF_REG_JOB_BYTES:
        return LF_JOB_BYTES_MAX;
    case LF_REG_PRESET ... LF_REG_PRESET + LF_PRESET_BYTES - 1:
        return ldl_le_p(limits->preset + (offset - LF_REG_PRESET));
    case LF_REG_TEMPERATURE_MAX:
        return limits->temperature_max_mc;
    case LF_REG_TEMPERATURE_CRITICAL:
        return limits->temperature_critical_mc;
    default:
        return 0;
    }
}

static bool lf_is_resetting(const LFAccel *s)
{
    return s->resetting || s->reset_stuck;
}

static uint32_t lf_control_read(LFAccel *s, uint32_t offset)
{
    uint32_t status;

    switch (offset) {
    case LF_REG_CONTROL:
        return s->control | (lf_is_resetting(s) ? LF_CONTROL_RESET : 0);
    case LF_REG_STATUS:
        status = s->xbar && !lf_is_resetting(s) ? LF_DEVICE_READY : 0;
        return status | (s->fatal ? LF_DEVICE_FATAL : 0);
    case LF_REG_IRQ_STATUS:
        return s->irq_status;
    case LF_REG_IRQ_MASK:
        return s->irq_mask;
    case LF_REG_INJECT:
        return s->debug ? lf_faults_armed(s) : 0;
    case LF_REG_EVENTS:
        return s->events;
    case LF_REG_ENERGY_THRESHOLD:
        return extract64(s->energy_threshold_pj, 0, 32);
    case LF_REG_ENERGY_THRESHOLD + 4:
        return extract64(s->energy_threshold_pj, 32, 32);
    default:
        return 0;
    }
}

static uint64_t lf_register_read(void *opaque, hwaddr offset, unsigned size)
{
    LFAccel *s = opaque;
    uint32_t value = 0;

    if (s->all_ones) {
        value = ~0u;
    } else if (offset < LF_REG_CONTROL) {
        value = lf_capability_read(s, offset);
    } else if (offset < LF_REG_TELEMETRY) {
        value = lf_control_read(s, offset);
    } else if (offset < LF_REG_TELEMETRY + sizeof(s->latched)) {
        value = ldl_le_p(s->latched + (offset - LF_REG_TELEMETRY));
    } else if (offset >= LF_REG_QUEUE && offset <= LF_QUEUE_LAST) {
        value = lf_window_read(s, offset - LF_REG_QUEUE);
    }
    trace_lf_accel_register_read(offset, value);
    return value;
}

static void lf_control_write(LFAccel *s, uint32_t value)
{
    if (value & LF_CONTROL_RESET) {
        lf_accel_reset(s);
        return;
    }
    if (s->reset_stuck) {
        return;
    }
    if (!(value & LF_CONTROL_ENABLE)) {
        for (uint32_t i = 0; i < s->queue_count; i++) {
            lf_queue_disable(s, &s->queues[i]);
        }
    }
    s->control = value & LF_CONTROL_ENABLE;
}

static void lf_inject_write(LFAccel *s, uint32_t value)
{
    Error *error = NULL;

    if (!s->debug) {
        qemu_log_mask(LOG_GUEST_ERROR,
                      "lf-accel: injection without debug=on\n");
        return;
    }
    if (!lf_faults_arm(s, extract32(value, 0, 8), extract32(value, 8, 8),
                       extract32(value, 16, 16), &error)) {
        qemu_log_mask(LOG_GUEST_ERROR, "lf-accel: injection 0x%x: %s\n", value,
                      error_get_pretty(error));
        error_free(error);
    }
}

static void lf_doorbell_write(LFAccel *s, uint32_t offset, uint32_t value)
{
    uint32_t index = offset / 8;
    LFQueue *queue = &s->queues[index];

    if (index >= s->queue_count) {
        return;
    }
    if (offset % 8 == 0) {
        lf_queue_submit(s, queue, value);
    } else {
        lf_queue_consume(s, queue, value);
    }
}

static void lf_register_write(void *opaque, hwaddr offset, uint64_t value,
                              unsigned size)
{
    LFAccel *s = opaque;

    trace_lf_accel_register_write(offset, value);
    if (s->all_ones) {
        return;
    }
    switch (offset) {
    case LF_REG_CONTROL:
        lf_control_write(s, value);
        break;
    case LF_REG_IRQ_STATUS:
        s->irq_status &= ~value;
        s->bus->update(s);
        break;
    case LF_REG_IRQ_MASK:
        s->irq_mask = value;
        s->bus->update(s);
        break;
    case LF_REG_TELEMETRY_LATCH:
        lf_executor_latch_telemetry(s);
        break;
    case LF_REG_TIME_ADVANCE:
        s->time_advance_low = value;
        break;
    case LF_REG_TIME_ADVANCE + 4:
        lf_executor_advance_time(s,
                                 deposit64(s->time_advance_low, 32, 32, value));
        break;
    case LF_REG_INJECT:
        lf_inject_write(s, value);
        break;
    case LF_REG_EVENTS:
        s->events &= ~value;
        break;
    case LF_REG_ENERGY_THRESHOLD:
        s->energy_threshold_low = value;
        break;
    case LF_REG_ENERGY_THRESHOLD + 4:
        s->energy_threshold_pj = deposit64(s->energy_threshold_low, 32, 32,
                                           value);
        lf_events_check_energy(s);
        break;
    case LF_REG_DOORBELL ... LF_DOORBELL_LAST:
        lf_doorbell_write(s, offset - LF_REG_DOORBELL, value);
        break;
    case LF_REG_QUEUE ... LF_QUEUE_LAST:
        lf_window_write(s, offset - LF_REG_QUEUE, value);
        break;
    }
}

const MemoryRegionOps lf_register_ops = {
    .read = lf_register_read,
    .write = lf_register_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 4,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 4,
        .max_access_size = 4,
    },
};
