/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The life of an LF-1: properties, the attachment of the model to its memory,
 * reset, and the end. Registers, queues, jobs and threads have their own files.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/atomic.h"
#include "qemu/units.h"
#include "migration/vmstate.h"
#include "lf-accel.h"
#include "trace.h"

/* What -device help tells of DEFINE_LF_ACCEL_PROPERTIES. */
void lf_accel_describe_properties(ObjectClass *class)
{
    static const char *const descriptions[][2] = {
        { "memdev", "memory backend that holds cells, directory and ledger" },
        { "preset", "parameters of the model to start from" },
        { "preset-file", "file of parameters, in place of a preset" },
        { "pacing", "off, on or a factor: jobs take as long as the hardware" },
        { "workers", "threads that calculate; no result depends on it" },
        { "queues", "pairs of rings; the first is for management" },
        { "debug", "let the guest raise faults" },
        { "durable", "write the memory's file to its medium at each barrier" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(descriptions); i++) {
        object_class_property_set_description(class, descriptions[i][0],
                                              descriptions[i][1]);
    }
}

void lf_accel_init(LFAccel *s, Object *owner)
{
    lf_params_add_properties(s, owner);
    lf_faults_add_properties(s, owner);
}

unsigned lf_accel_vectors(const LFAccel *s)
{
    return 1 + s->queue_count;
}

static void lf_model_parallel(void *opaque, uint32_t count,
                              void (*work)(void *argument, uint32_t index),
                              void *argument)
{
    LFAccel *s = opaque;

    lf_workers_run(s->pool, count, work, argument);
}

static bool lf_model_cancelled(void *opaque)
{
    LFAccel *s = opaque;

    return qatomic_read(&s->cancelled);
}

/*
 * Stores reach the page cache in program order, which is all that survival of
 * QEMU's own death needs; survival of the host's asks for durable=on.
 */
static void lf_model_persist(void *opaque, uint64_t offset, uint64_t bytes)
{
    LFAccel *s = opaque;
    MemoryRegion *mr = host_memory_backend_get_memory(s->memory);

    memory_region_msync(mr, offset, bytes);
}

/* What the user calls the memory: its id, and its file if it has one. */
static char *lf_memory_name(LFAccel *s)
{
    Object *memory = OBJECT(s->memory);
    const char *id = object_get_canonical_path_component(memory);
    g_autofree char *path = NULL;

    if (object_property_find(memory, "mem-path")) {
        path = object_property_get_str(memory, "mem-path", NULL);
    }
    return path ? g_strdup_printf("memdev %s (%s)", id, path)
                : g_strdup_printf("memdev %s", id);
}

/**
 * lf_accel_attach() - give the memory backend to a new instance of the model
 * @s: the device; an instance it already has is replaced
 * @errp: says what is wrong with the parameters or the memory
 *
 * Return: 0 or -1.
 */
int lf_accel_attach(LFAccel *s, Error **errp)
{
    MemoryRegion *mr = host_memory_backend_get_memory(s->memory);
    struct xbar_ops ops = {
        .parallel = lf_model_parallel,
        .cancelled = lf_model_cancelled,
        .persist = s->durable ? lf_model_persist : NULL,
    };
    char message[XBAR_MESSAGE_BYTES] = "";
    g_autofree char *name = lf_memory_name(s);
    struct xbar_params *params;
    uint64_t needed;
    int ret;

    xbar_destroy(s->xbar);
    s->xbar = NULL;

    params = lf_params_build(s, errp);
    if (!params) {
        return -1;
    }
    needed = xbar_nonvolatile_bytes(params);
    if (memory_region_is_rom(mr)) {
        error_setg(errp, "%s is read-only, the device writes its cells to it",
                   name);
        ret = -EROFS;
    } else if (memory_region_size(mr) < needed) {
        error_setg(errp,
                   "%s has %" PRIu64 " bytes, the device needs %" PRIu64
                   " (size=%" PRIu64 "M)",
                   name, memory_region_size(mr), needed,
                   DIV_ROUND_UP(needed, MiB));
        ret = -ENOSPC;
    } else {
        ret = xbar_create(params, memory_region_get_ram_ptr(mr),
                          memory_region_size(mr), &ops, s, message, &s->xbar);
        if (ret < 0) {
            error_setg(errp, "%s: %s", name,
                       message[0] ? message : strerror(-ret));
        }
    }
    xbar_params_free(params);
    if (ret < 0) {
        return -1;
    }
    xbar_limits(s->xbar, &s->limits);
    xbar_telemetry(s->xbar, &s->telemetry);
    return 0;
}

static bool lf_accel_check(LFAccel *s, Error **errp)
{
    if (!s->memory) {
        error_setg(errp, "memdev is required: the memory backend that holds "
                         "the cells");
        return false;
    }
    if (host_memory_backend_is_mapped(s->memory)) {
        error_setg(errp, "memdev %s is in use",
                   object_get_canonical_path_component(OBJECT(s->memory)));
        return false;
    }
    if (s->queue_count < 2 || s->queue_count > LF_QUEUES_MAX) {
        error_setg(errp, "queues must be 2 to %d", LF_QUEUES_MAX);
        return false;
    }
    if (s->workers < 1 || s->workers > LF_WORKERS_MAX) {
        error_setg(errp, "workers must be 1 to %d", LF_WORKERS_MAX);
        return false;
    }
    return lf_pacing_parse(s, errp);
}

/**
 * lf_accel_realize() - make the device work
 * @s: the device
 * @device: its owner
 * @bus: how the host is interrupted
 * @dma: where the host's memory is reached
 * @errp: says what is wrong
 *
 * An instance that waits for an incoming migration leaves the memory alone: its
 * contents come with the stream, or belong to the source until then.
 */
void lf_accel_realize(LFAccel *s, DeviceState *device, const LFBus *bus,
                      AddressSpace *dma, Error **errp)
{
    if (!lf_accel_check(s, errp)) {
        return;
    }
    if (object_dynamic_cast(OBJECT(s->memory), "memory-backend-file") &&
        !s->memory->share) {
        warn_report("memdev %s is without share=on: its file keeps nothing",
                    object_get_canonical_path_component(OBJECT(s->memory)));
    }
    s->device = device;
    s->bus = bus;
    s->dma = dma;
    s->pool = lf_workers_create(s->workers - 1);
    if (!runstate_check(RUN_STATE_INMIGRATE) && lf_accel_attach(s, errp) < 0) {
        lf_workers_destroy(s->pool);
        s->pool = NULL;
        return;
    }
    for (uint32_t i = 0; i < LF_QUEUES_MAX; i++) {
        LFQueue *queue = &s->queues[i];

        queue->s = s;
        queue->index = i;
        queue->stamp_count = LF_RING_ENTRIES_MAX;
        queue->stamps = g_new0(uint64_t, queue->stamp_count);
        lf_coalesce_init(queue);
        lf_pacing_init(queue);
    }
    lf_faults_init(s);
    s->temperature_mc = (int32_t)s->telemetry.temperature_mc;
    host_memory_backend_set_mapped(s->memory, true);
    vmstate_register_ram(host_memory_backend_get_memory(s->memory), device);
    memory_region_init_io(&s->registers, OBJECT(device), &lf_register_ops, s,
                          "lf-accel", LF_REG_BYTES);
    lf_executor_start(s);
}

/* What lf_accel_realize() did. */
void lf_accel_unrealize(LFAccel *s)
{
    lf_executor_stop(s);
    vmstate_unregister_ram(host_memory_backend_get_memory(s->memory),
                           s->device);
    host_memory_backend_set_mapped(s->memory, false);
    xbar_destroy(s->xbar);
    s->xbar = NULL;
    lf_workers_destroy(s->pool);
    s->pool = NULL;
    lf_faults_free(s);
    for (uint32_t i = 0; i < LF_QUEUES_MAX; i++) {
        LFQueue *queue = &s->queues[i];

        lf_coalesce_free(queue);
        lf_pacing_free(queue);
        g_free(queue->stamps);
        queue->stamps = NULL;
    }
}

/* What lf_accel_init() did. */
void lf_accel_finalize(LFAccel *s)
{
    g_ptr_array_unref(s->parameters);
}

/**
 * lf_accel_reset() - LF_CONTROL_RESET, and part of every reset of the bus
 * @s: the device
 *
 * Never waits: a calculation in progress is told to end, is found to be orphaned
 * then and leaves no trace in the host's memory.
 */
void lf_accel_reset(LFAccel *s)
{
    trace_lf_accel_reset(s->running != NULL);
    for (uint32_t i = 0; i < LF_QUEUES_MAX; i++) {
        LFQueue *queue = &s->queues[i];

        lf_queue_disable(s, queue);
        queue->submission = 0;
        queue->completion = 0;
        queue->entries = 0;
        queue->coalesce = 0;
    }
    s->control = 0;
    s->fatal = false;
    s->resetting = s->running != NULL;
    s->irq_status = 0;
    s->irq_mask = 0;
    s->events = 0;
    s->time_advance_low = 0;
    s->energy_threshold_low = 0;
    s->energy_threshold_pj = 0;
    s->paced_until_ns = 0;
    memset(s->latched, 0, sizeof(s->latched));
    lf_faults_reset(s);
    s->bus->update(s);
}

/* A reset of the function or of all behind it: the registers answer again. */
void lf_accel_bus_reset(LFAccel *s)
{
    s->all_ones = false;
    lf_accel_reset(s);
}

/* End all work until a reset. */
void lf_accel_fatal(LFAccel *s)
{
    s->fatal = true;
    lf_events_raise(s, LF_EVENT_FATAL);
}
