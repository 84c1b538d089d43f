/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Faults that are raised on a live device: LF_REG_INJECT for a guest that is
 * allowed to (debug=on), and a property each for whoever runs QEMU. Some strike
 * at once, the others are armed here and asked for where they strike.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "block/aio.h"
#include "qemu/main-loop.h"
#include "lf-accel.h"
#include "trace.h"

/* A status that no version of the interface has. */
#define LF_FAULT_STATUS 0x7fff

#define LF_STORM_PERIOD_NS (1 * (int64_t)SCALE_MS)

/**
 * struct LFFaultKind - what there is to know of a code
 * @property: its name
 * @takes_queue: it is meant for a queue
 * @least: smallest argument
 * @most: largest argument; 0 for a fault that takes none
 * @help: of the property
 */
typedef struct LFFaultKind {
    const char *property;
    bool takes_queue;
    uint32_t least;
    uint32_t most;
    const char *help;
} LFFaultKind;

/* clang-format off */
static const LFFaultKind lf_fault_kinds[LF_INJECT_CODES] = {
    [LF_INJECT_HANG_JOB] = {
        "fault-hang-job", true, 0, 0,
        "the next job never completes"
    },
    [LF_INJECT_FAIL_JOB] = {
        "fault-fail-job", true, 0, 0,
        "the next job ends with an internal error"
    },
    [LF_INJECT_DMA_ERROR] = {
        "fault-dma-error", true, 0, 0,
        "the next job's first access to memory fails"
    },
    [LF_INJECT_BAD_STATUS] = {
        "fault-bad-status", true, 0, 0,
        "the next record has a status that does not exist"
    },
    [LF_INJECT_UNKNOWN_TAG] = {
        "fault-unknown-tag", true, 0, 0,
        "the next record has a tag that is not in flight"
    },
    [LF_INJECT_DUPLICATE_TAG] = {
        "fault-duplicate-tag", true, 0, 0,
        "the next record is written twice"
    },
    [LF_INJECT_HEAD_RANGE] = {
        "fault-head-range", true, 0, 0,
        "the next record's head is beyond the ring"
    },
    [LF_INJECT_LOST_INTERRUPT] = {
        "fault-lost-interrupt", true, 0, 0,
        "the next completion interrupt is not raised"
    },
    [LF_INJECT_SPURIOUS] = {
        "fault-spurious", true, 0, 0,
        "an interrupt without a record, at once"
    },
    [LF_INJECT_STORM] = {
        "fault-storm", true, 1, UINT16_MAX,
        "argument interrupts without records, a millisecond apart"
    },
    [LF_INJECT_ALL_ONES] = {
        "fault-all-ones", false, 0, 0,
        "registers read as ones and ignore writes until a reset of the bus"
    },
    [LF_INJECT_RESET_FAILS] = {
        "fault-reset-fails", false, 0, UINT16_MAX,
        "the next argument resets never end, 0 for all"
    },
    [LF_INJECT_OVER_TEMPERATURE] = {
        "fault-over-temperature", false, 0, LF_TEMPERATURE_MAX_MC / 1000,
        "the die is at argument degrees Celsius"
    },
    [LF_INJECT_STUCK_CELLS] = {
        "fault-stuck-cells", false, 1, 1000000,
        "argument cells of a million more are stuck, for ever"
    },
    [LF_INJECT_REMOVAL] = {
        "fault-removal", false, 0, 0,
        "the device leaves the bus, at once"
    },
};
/* clang-format on */

/* An interrupt of @queue that tells of nothing; 0 is the first work queue. */
static void lf_fault_interrupt(LFAccel *s, uint32_t queue)
{
    s->bus->raise(s, queue ? queue : 2);
}

static void lf_fault_storm(void *opaque)
{
    LFAccel *s = opaque;

    lf_fault_interrupt(s, s->storm_vector);
    if (--s->storm_left) {
        timer_mod(s->storm_timer,
                  qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + LF_STORM_PERIOD_NS);
    } else {
        s->faults[LF_INJECT_STORM].armed = false;
    }
}

/* Runs in the main loop: the register write that asks for it is long over. */
static void lf_fault_remove(void *opaque)
{
    LFAccel *s = opaque;
    DeviceState *device = s->device;

    if (device->realized) {
        s->bus->remove(s);
    }
    object_unref(OBJECT(device));
}

/* What does not wait for a job or a record. */
static void lf_fault_act(LFAccel *s, uint32_t code)
{
    LFFault *fault = &s->faults[code];

    switch (code) {
    case LF_INJECT_SPURIOUS:
        fault->armed = false;
        lf_fault_interrupt(s, fault->queue);
        break;
    case LF_INJECT_STORM:
        s->storm_left = fault->argument;
        s->storm_vector = fault->queue;
        timer_mod(s->storm_timer,
                  qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + LF_STORM_PERIOD_NS);
        break;
    case LF_INJECT_ALL_ONES:
        fault->armed = false;
        s->all_ones = true;
        break;
    case LF_INJECT_OVER_TEMPERATURE:
        fault->armed = false;
        lf_executor_set_temperature(s, fault->argument * 1000);
        break;
    case LF_INJECT_STUCK_CELLS:
        lf_executor_settle(s);
        break;
    case LF_INJECT_REMOVAL:
        fault->armed = false;
        object_ref(OBJECT(s->device));
        aio_bh_schedule_oneshot(qemu_get_aio_context(), lf_fault_remove, s);
        break;
    }
}

/**
 * lf_faults_arm() - raise a fault, or have it strike when its time comes
 * @s: the device
 * @code: LF_INJECT_*
 * @queue: 1 + the number of a queue, 0 for any work queue
 * @argument: see the codes
 * @errp: says what is wrong with it
 *
 * A fault that is armed already is armed anew.
 *
 * Return: whether it could be.
 */
bool lf_faults_arm(LFAccel *s, uint32_t code, uint32_t queue, uint32_t argument,
                   Error **errp)
{
    const LFFaultKind *kind;

    if (code >= LF_INJECT_CODES || !lf_fault_kinds[code].property) {
        error_setg(errp, "there is no fault %u", code);
        return false;
    }
    kind = &lf_fault_kinds[code];
    if (queue > (kind->takes_queue ? s->queue_count : 0)) {
        error_setg(errp, "%s: no such queue", kind->property);
        return false;
    }
    if (argument < kind->least || argument > kind->most) {
        error_setg(errp, "%s: argument must be %u to %u", kind->property,
                   kind->least, kind->most);
        return false;
    }
    if (code == LF_INJECT_REMOVAL && !s->bus->check_removable(s, errp)) {
        return false;
    }
    trace_lf_accel_fault_armed(kind->property, queue, argument);
    s->faults[code] = (LFFault){
        .armed = true,
        .queue = queue,
        .argument = argument,
    };
    lf_fault_act(s, code);
    return true;
}

/* Nothing of @code is to strike, and what can end of it ends. */
static void lf_faults_disarm(LFAccel *s, uint32_t code)
{
    s->faults[code].armed = false;
    if (code == LF_INJECT_STORM) {
        timer_del(s->storm_timer);
        s->storm_left = 0;
    } else if (code == LF_INJECT_ALL_ONES) {
        s->all_ones = false;
    }
}

/*
 * LF_CONTROL_RESET, or a reset of the bus: disarms all but the fault of resets
 * themselves, which may choose this one.
 */
void lf_faults_reset(LFAccel *s)
{
    LFFault *fault = &s->faults[LF_INJECT_RESET_FAILS];

    for (uint32_t code = 0; code < LF_INJECT_CODES; code++) {
        if (code != LF_INJECT_RESET_FAILS && code != LF_INJECT_ALL_ONES) {
            lf_faults_disarm(s, code);
        }
    }
    s->reset_stuck = fault->armed;
    if (fault->armed) {
        trace_lf_accel_fault_struck("fault-reset-fails", 0);
        /* An argument of 0 stays: all resets from here on. */
        if (fault->argument && --fault->argument == 0) {
            fault->armed = false;
        }
    }
}

/* LF_REG_INJECT: 1 << code for each that has not struck yet. */
uint32_t lf_faults_armed(const LFAccel *s)
{
    uint32_t armed = 0;

    for (uint32_t code = 0; code < LF_INJECT_CODES; code++) {
        armed |= (uint32_t)s->faults[code].armed << code;
    }
    return armed;
}

/**
 * lf_faults_strike() - whether a fault strikes here; if so it is not armed any more
 * @s: the device
 * @code: LF_INJECT_*
 * @queue: where
 */
bool lf_faults_strike(LFAccel *s, uint32_t code, const LFQueue *queue)
{
    LFFault *fault = &s->faults[code];
    bool meant = fault->queue ? fault->queue == 1 + queue->index
                              : queue->index != 0;

    if (!fault->armed || !meant) {
        return false;
    }
    fault->armed = false;
    trace_lf_accel_fault_struck(lf_fault_kinds[code].property, queue->index);
    return true;
}

/**
 * lf_faults_spoil_record() - what faults make of a record
 * @s: the device
 * @queue: its queue, with room for one record; the job is off the ring
 * @completion: the record
 *
 * Return: whether it is to be written twice.
 */
bool lf_faults_spoil_record(LFAccel *s, LFQueue *queue,
                            struct lf_completion *completion)
{
    if (lf_faults_strike(s, LF_INJECT_BAD_STATUS, queue)) {
        completion->status = cpu_to_le16(LF_FAULT_STATUS);
    }
    if (lf_faults_strike(s, LF_INJECT_HEAD_RANGE, queue)) {
        completion->submission_head = cpu_to_le16(queue->entries +
                                                  queue->submission_head);
    }
    if (lf_faults_strike(s, LF_INJECT_UNKNOWN_TAG, queue)) {
        uint16_t own = le16_to_cpu(completion->tag);
        uint16_t tag = own ^ 0x8000;

        while (tag == own || lf_queue_has_tag(s, queue, tag)) {
            tag++;
        }
        completion->tag = cpu_to_le16(tag);
    }
    /* It waits for a record that has room for another. */
    return lf_queue_room(queue) >= 2 &&
           lf_faults_strike(s, LF_INJECT_DUPLICATE_TAG, queue);
}

/*
 * What is done to the model, which no job is using. The cells of a machine that
 * is stopped may be another's already.
 */
void lf_faults_settle(LFAccel *s)
{
    LFFault *fault = &s->faults[LF_INJECT_STUCK_CELLS];

    if (fault->armed && s->vm_running) {
        fault->armed = false;
        trace_lf_accel_fault_struck("fault-stuck-cells", 0);
        xbar_inject_stuck(s->xbar, fault->argument);
    }
}

void lf_faults_init(LFAccel *s)
{
    s->storm_timer = timer_new_ns(QEMU_CLOCK_VIRTUAL, lf_fault_storm, s);
}

void lf_faults_free(LFAccel *s)
{
    timer_free(s->storm_timer);
    s->storm_timer = NULL;
}

static uint32_t lf_fault_code(const char *property)
{
    uint32_t code = 0;

    while (g_strcmp0(lf_fault_kinds[code].property, property)) {
        code++;
        assert(code < LF_INJECT_CODES);
    }
    return code;
}

static void lf_fault_get(Object *object, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    LFAccel *s = opaque;
    uint32_t code = lf_fault_code(name);
    const LFFaultKind *kind = &lf_fault_kinds[code];
    const LFFault *fault = &s->faults[code];
    g_autoptr(GString) text = g_string_new("off");

    if (fault->armed || (code == LF_INJECT_ALL_ONES && s->all_ones)) {
        g_string_assign(text, "on");
        if (fault->queue) {
            g_string_append_printf(text, ",queue=%u", fault->queue - 1);
        }
        if (kind->most) {
            g_string_append_printf(text, ",argument=%u", fault->argument);
        }
    }
    visit_type_str(v, name, &text->str, errp);
}

/* "off", or words of: on, queue=NUMBER, argument=NUMBER. */
static bool lf_fault_parse(const char *text, bool *on, LFFault *fault,
                           Error **errp)
{
    g_auto(GStrv) words = g_strsplit(text, ",", 0);

    *on = true;
    if (g_str_equal(text, "off")) {
        *on = false;
        return true;
    }
    for (int i = 0; words[i]; i++) {
        const char *number;
        uint32_t value;

        if (g_str_equal(words[i], "on")) {
            continue;
        }
        if (strstart(words[i], "queue=", &number) &&
            !qemu_strtoui(number, NULL, 10, &value) && value < LF_QUEUES_MAX) {
            fault->queue = 1 + value;
        } else if (strstart(words[i], "argument=", &number) &&
                   !qemu_strtoui(number, NULL, 10, &value)) {
            fault->argument = value;
        } else {
            error_setg(errp,
                       "'%s' is not on, off, queue=NUMBER or "
                       "argument=NUMBER",
                       words[i]);
            return false;
        }
    }
    if (!words[0]) {
        error_setg(errp, "a fault is on, off, queue=NUMBER,argument=NUMBER");
        return false;
    }
    return true;
}

static void lf_fault_set(Object *object, Visitor *v, const char *name,
                         void *opaque, Error **errp)
{
    LFAccel *s = opaque;
    uint32_t code = lf_fault_code(name);
    g_autofree char *text = NULL;
    LFFault fault = {};
    bool on;
    ERRP_GUARD();

    if (!visit_type_str(v, name, &text, errp)) {
        return;
    }
    if (!lf_fault_parse(text, &on, &fault, errp)) {
        error_prepend(errp, "%s: ", name);
        return;
    }
    if (!DEVICE(object)->realized) {
        error_setg(errp, "%s is for a device that exists", name);
        return;
    }
    if (on) {
        lf_faults_arm(s, code, fault.queue, fault.argument, errp);
    } else {
        lf_faults_disarm(s, code);
    }
}

static void lf_temperature_get(Object *object, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    LFAccel *s = opaque;

    visit_type_int32(v, name, &s->temperature_mc, errp);
}

static void lf_temperature_set(Object *object, Visitor *v, const char *name,
                               void *opaque, Error **errp)
{
    int32_t millidegrees;

    if (!visit_type_int32(v, name, &millidegrees, errp)) {
        return;
    }
    if (!DEVICE(object)->realized) {
        error_setg(errp,
                   "%s is for a device that exists; temperature_mc is "
                   "what it starts with",
                   name);
        return;
    }
    if (millidegrees < LF_TEMPERATURE_MIN_MC ||
        millidegrees > LF_TEMPERATURE_MAX_MC) {
        error_setg(errp, "%s must be %d to %d m°C", name, LF_TEMPERATURE_MIN_MC,
                   LF_TEMPERATURE_MAX_MC);
        return;
    }
    lf_executor_set_temperature(opaque, millidegrees);
}

/* Give @owner a property for each fault, and the temperature of the die. */
void lf_faults_add_properties(LFAccel *s, Object *owner)
{
    for (uint32_t code = 0; code < LF_INJECT_CODES; code++) {
        const LFFaultKind *kind = &lf_fault_kinds[code];

        if (kind->property) {
            object_property_add(owner, kind->property, "str", lf_fault_get,
                                lf_fault_set, NULL, s);
            object_property_set_description(owner, kind->property, kind->help);
        }
    }
    object_property_add(owner, "temperature", "int32", lf_temperature_get,
                        lf_temperature_set, NULL, s);
    object_property_set_description(owner, "temperature",
                                    "[m°C] of the die, live");
}
