/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * LF-1, the ReRAM crossbar accelerator: the state of the device and what its
 * files offer each other. What the hardware computes is in model/ (xbar.h),
 * what driver and device agree on is in lf/lf_hw.h, and nothing here knows a
 * bus but for the callbacks of LFBus.
 *
 * Locking: everything below is protected by the big lock (BQL). The executor
 * thread holds it while it looks at queues and moves data, and lets go of it
 * while the model calculates; the model (LFAccel.xbar) belongs to whoever holds
 * the BQL while LFAccel.running is NULL, and to the executor otherwise. Only
 * LFAccel.cancelled is read without it.
 */
#ifndef HW_LF_ACCEL_H
#define HW_LF_ACCEL_H

#include "exec/memory.h"
#include "hw/qdev-core.h"
#include "hw/qdev-properties.h"
#include "qemu/thread.h"
#include "qemu/timer.h"
#include "sysemu/hostmem.h"
#include "sysemu/runstate.h"
#include "qemu-device/model/xbar.h"

/* Maxima of this implementation, told in the capability registers. */
#define LF_RING_ENTRIES_MAX 256
#define LF_JOB_BUFFERS_MAX 256
#define LF_BUFFER_PAGES_MAX (1u << 18)

/*
 * Most bytes a job may read and write in buffers: its operands are copied, and
 * many may name the same few pages, so the host's memory needs a bound of its
 * own. Rows with gaps count as whole lines of LF_ROW_ALIGN.
 */
#define LF_JOB_BYTES_MAX (512u << 20)
#define LF_ROW_ALIGN 64

#define LF_WORKERS_MAX 64

/* Of the die, millidegrees Celsius, as of the parameter temperature_mc. */
#define LF_TEMPERATURE_MIN_MC (-55000)
#define LF_TEMPERATURE_MAX_MC 150000

typedef struct LFAccel LFAccel;
typedef struct LFWorkers LFWorkers;

/**
 * struct LFBus - what a bus does for the device
 * @raise: an event (vector 0) or a completion (1 + queue) wants the host's
 *         attention; called with the BQL held
 * @update: irq_status or irq_mask were written
 * @check_removable: whether the device can leave this bus while the machine
 *                   runs; says in @errp why it cannot
 * @remove: take the device off the bus without asking the host; called from
 *          the main loop, the device is unrealized on return
 */
typedef struct LFBus {
    void (*raise)(LFAccel *s, unsigned vector);
    void (*update)(LFAccel *s);
    bool (*check_removable)(LFAccel *s, Error **errp);
    void (*remove)(LFAccel *s);
} LFBus;

/**
 * struct LFFault - one of LF_INJECT_*
 * @armed: it has not struck yet
 * @queue: 1 + the number of the queue it is meant for, 0 for any work queue
 * @argument: see the codes
 */
typedef struct LFFault {
    bool armed;
    uint32_t queue;
    uint32_t argument;
} LFFault;

/**
 * struct LFQueue - a pair of rings
 * @s: the device it belongs to
 * @index: its number
 * @submission: bus address of the submission ring
 * @completion: bus address of the completion ring
 * @entries: of each ring
 * @enabled: takes doorbells and jobs
 * @fault: LF_QUEUE_FAULT
 * @hung: the job at the head was chosen to hang
 * @at_barrier: the job at the head has been seen to begin after those of other
 *              queues
 * @submission_head: next entry to take
 * @submission_tail: as last told by the host
 * @completion_head: as last told by the host
 * @completion_tail: next record to write
 * @phase: phase bit of the next record
 * @generation: counts disables, so that the executor knows its job is orphaned
 * @stamp_count: length of @stamps
 * @stamps: by ring entry, the doorbell that submitted it; see LF_OP_BARRIER
 * @coalesce: LF_QUEUE_COALESCE
 * @unannounced: records since the last interrupt that the host has not taken
 * @coalesce_timer: when the first of them has waited long enough
 * @paced: the job at the head is done, its record waits for the modelled time
 * @record: that record
 * @pace_timer: when it is posted
 */
typedef struct LFQueue {
    LFAccel *s;
    uint32_t index;
    uint64_t submission;
    uint64_t completion;
    uint32_t entries;
    bool enabled;
    bool fault;
    bool hung;
    bool at_barrier;
    uint32_t submission_head;
    uint32_t submission_tail;
    uint32_t completion_head;
    uint32_t completion_tail;
    uint16_t phase;
    uint32_t generation;
    uint32_t stamp_count;
    uint64_t *stamps;
    uint32_t coalesce;
    uint32_t unannounced;
    QEMUTimer *coalesce_timer;
    bool paced;
    struct lf_completion record;
    QEMUTimer *pace_timer;
} LFQueue;

/* A parameter of the model that was given on the command line. */
typedef struct LFParameter {
    char *key;
    char *value;
} LFParameter;

struct LFAccel {
    /* Properties. */
    HostMemoryBackend *memory;
    char *preset;
    char *preset_file;
    char *pacing;
    uint32_t workers;
    uint32_t queue_count;
    bool debug;
    bool durable;
    GPtrArray *parameters;

    /* The device and where it sits. */
    DeviceState *device;
    const LFBus *bus;
    AddressSpace *dma;
    MemoryRegion registers;
    struct xbar *xbar;
    struct xbar_limits limits;

    /* Registers. */
    uint32_t control;
    bool fatal;
    bool resetting;
    uint32_t irq_status;
    uint32_t irq_mask;
    uint32_t events;
    uint32_t time_advance_low;
    uint32_t energy_threshold_low;
    uint64_t energy_threshold_pj;
    uint8_t latched[sizeof(struct lf_telemetry_block)];
    LFQueue queues[LF_QUEUES_MAX];
    uint64_t doorbells;

    /* Faults. */
    LFFault faults[LF_INJECT_CODES];
    bool all_ones;    /* LF_INJECT_ALL_ONES has struck */
    bool reset_stuck; /* a reset was chosen not to end */
    uint32_t storm_left;
    uint32_t storm_vector;
    QEMUTimer *storm_timer;

    /* Pacing. */
    uint32_t pacing_factor; /* 0 for none */
    int64_t paced_until_ns; /* end of the last job, on the virtual clock */

    /* Executor. */
    QemuThread thread;
    QemuCond wake;
    QemuCond idle;
    bool stopping;
    bool stopped;
    bool vm_running;
    VMChangeStateEntry *vm_state_entry;
    LFQueue *running;
    bool repeatable; /* the running job can begin again from its entry */
    bool cancelled;  /* it is to end early; atomic, the model polls it */
    uint32_t next_queue;
    uint64_t time_advance_ns;
    int32_t temperature_mc;   /* as the host of QEMU wants it */
    bool temperature_pending; /* the model does not know it yet */
    struct lf_telemetry_block telemetry;
    void *arena;
    size_t arena_bytes;
    LFWorkers *pool;
};

#define DEFINE_LF_ACCEL_PROPERTIES(_state, _field)                         \
    DEFINE_PROP_LINK("memdev", _state, _field.memory, TYPE_MEMORY_BACKEND, \
                     HostMemoryBackend *),                                 \
        DEFINE_PROP_STRING("preset", _state, _field.preset),               \
        DEFINE_PROP_STRING("preset-file", _state, _field.preset_file),     \
        DEFINE_PROP_STRING("pacing", _state, _field.pacing),               \
        DEFINE_PROP_UINT32("workers", _state, _field.workers, 2),          \
        DEFINE_PROP_UINT32("queues", _state, _field.queue_count, 4),       \
        DEFINE_PROP_BOOL("debug", _state, _field.debug, false),            \
        DEFINE_PROP_BOOL("durable", _state, _field.durable, false)

/* lf-accel.c: life of a device, for the bus files. */
void lf_accel_describe_properties(ObjectClass *class);
void lf_accel_init(LFAccel *s, Object *owner);
void lf_accel_realize(LFAccel *s, DeviceState *device, const LFBus *bus,
                      AddressSpace *dma, Error **errp);
void lf_accel_unrealize(LFAccel *s);
void lf_accel_finalize(LFAccel *s);
void lf_accel_reset(LFAccel *s);
void lf_accel_bus_reset(LFAccel *s);
int lf_accel_attach(LFAccel *s, Error **errp);
void lf_accel_fatal(LFAccel *s);
unsigned lf_accel_vectors(const LFAccel *s);

/* lf-registers.c */
extern const MemoryRegionOps lf_register_ops;

/* lf-params.c */
void lf_params_add_properties(LFAccel *s, Object *owner);
struct xbar_params *lf_params_build(LFAccel *s, Error **errp);

/* lf-queue.c */
void lf_queue_clear(LFQueue *queue);
void lf_queue_enable(LFAccel *s, LFQueue *queue);
void lf_queue_disable(LFAccel *s, LFQueue *queue);
bool lf_queue_draining(const LFAccel *s, const LFQueue *queue);
bool lf_queue_runs(const LFAccel *s, const LFQueue *queue);
uint32_t lf_queue_room(const LFQueue *queue);
uint32_t lf_queue_untaken(const LFQueue *queue);
bool lf_queue_has_tag(LFAccel *s, const LFQueue *queue, uint16_t tag);
void lf_queue_submit(LFAccel *s, LFQueue *queue, uint32_t tail);
void lf_queue_consume(LFAccel *s, LFQueue *queue, uint32_t head);
void lf_queue_fault(LFAccel *s, LFQueue *queue, const char *reason);
LFQueue *lf_queue_next(LFAccel *s);
bool lf_queue_must_wait(LFAccel *s, LFQueue *queue);
bool lf_queue_peek(LFAccel *s, LFQueue *queue,
                   struct lf_submission *submission);
void lf_queue_complete(LFAccel *s, LFQueue *queue,
                       struct lf_completion *completion);

/* lf-interrupts.c */
void lf_events_raise(LFAccel *s, uint32_t events);
void lf_events_check_energy(LFAccel *s);
void lf_coalesce_init(LFQueue *queue);
void lf_coalesce_free(LFQueue *queue);
void lf_coalesce_clear(LFQueue *queue);
void lf_coalesce_set(LFAccel *s, LFQueue *queue, uint32_t value);
void lf_coalesce_posted(LFAccel *s, LFQueue *queue, uint32_t records);
void lf_coalesce_taken(LFQueue *queue);

/* lf-pacing.c */
bool lf_pacing_parse(LFAccel *s, Error **errp);
void lf_pacing_init(LFQueue *queue);
void lf_pacing_free(LFQueue *queue);
void lf_pacing_clear(LFQueue *queue);
void lf_pacing_complete(LFAccel *s, LFQueue *queue, int64_t start_ns,
                        struct lf_completion *completion);

/* lf-faults.c */
void lf_faults_add_properties(LFAccel *s, Object *owner);
void lf_faults_init(LFAccel *s);
void lf_faults_free(LFAccel *s);
bool lf_faults_arm(LFAccel *s, uint32_t code, uint32_t queue, uint32_t argument,
                   Error **errp);
void lf_faults_reset(LFAccel *s);
uint32_t lf_faults_armed(const LFAccel *s);
bool lf_faults_strike(LFAccel *s, uint32_t code, const LFQueue *queue);
bool lf_faults_spoil_record(LFAccel *s, LFQueue *queue,
                            struct lf_completion *completion);
void lf_faults_settle(LFAccel *s);

/* lf-job.c */
void lf_job_execute(LFAccel *s, LFQueue *queue);
void lf_job_release_arena(LFAccel *s);

/* lf-dma.c */
MemTxResult lf_dma_read(LFAccel *s, uint64_t address, void *to, size_t bytes);
MemTxResult lf_dma_write(LFAccel *s, uint64_t address, const void *from,
                         size_t bytes);

/* lf-executor.c */
void lf_executor_cancel(LFAccel *s);
void lf_executor_start(LFAccel *s);
void lf_executor_stop(LFAccel *s);
void lf_executor_wake(LFAccel *s);
void lf_executor_settle(LFAccel *s);
void lf_executor_advance_time(LFAccel *s, uint64_t nanoseconds);
void lf_executor_set_temperature(LFAccel *s, int32_t millidegrees);
void lf_executor_latch_telemetry(LFAccel *s);

/* lf-workers.c */
LFWorkers *lf_workers_create(uint32_t helpers);
void lf_workers_destroy(LFWorkers *pool);
void lf_workers_run(LFWorkers *pool, uint32_t count,
                    void (*work)(void *argument, uint32_t index),
                    void *argument);

/* lf-vmstate.c */
extern const VMStateDescription vmstate_lf_accel;

#endif
