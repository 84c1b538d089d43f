/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the host is interrupted: the event register, the energy threshold,
 * completion interrupts that wait for company. The virtual clock stands still
 * unless a test moves it.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "device.h"

#define MICROSECOND_NS 1000

/* Without MSI-X the status register says which interrupts came. */
static uint32_t take_interrupts(Device *device)
{
    uint32_t status = device_read(device, LF_REG_IRQ_STATUS);

    device_write(device, LF_REG_IRQ_STATUS, status);
    return status;
}

static void submit_nothing(Device *device, uint32_t queue)
{
    Job job = job_nothing();

    job_place(device, queue, &job);
    job_ring(device, queue);
}

/* One more record on the ring of @queue, left there. */
static void post(Device *device, uint32_t queue)
{
    uint64_t jobs = device_telemetry(device).jobs;

    submit_nothing(device, queue);
    while (device_telemetry(device).jobs == jobs) {
        g_usleep(100);
    }
    device_wait(device, WINDOW(queue, LF_QUEUE_STATE), LF_QUEUE_RUNNING, 0);
}

static void test_events(void)
{
    Device *device = device_start_default("");

    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    device_write(device, DOORBELL(2), TEST_RING_ENTRIES);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 0);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_QUEUE);

    /* A bit that is set already is no news; one that was cleared is. */
    device_write(device, DOORBELL(1), TEST_RING_ENTRIES);
    g_assert_cmphex(queue_state(device, 1) & LF_QUEUE_FAULT, ==,
                    LF_QUEUE_FAULT);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    device_write(device, LF_REG_EVENTS, ~LF_EVENT_QUEUE);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_QUEUE);
    device_write(device, LF_REG_EVENTS, LF_EVENT_QUEUE);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    device_write(device, DOORBELL(0), TEST_RING_ENTRIES);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_QUEUE);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 0);

    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    device_stop(device);
}

static void test_fatal(void)
{
    Device *device = device_start_default("");

    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    device_write(device, WINDOW(1, LF_QUEUE_COMPLETION), 0);
    device_write(device, WINDOW(1, LF_QUEUE_COMPLETION) + 4, 0x7fff);
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), LF_QUEUE_ENABLE);
    device->queues[1].tail = 0;
    submit_nothing(device, 1);
    device_wait(device, LF_REG_STATUS, LF_DEVICE_FATAL, LF_DEVICE_FATAL);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==,
                    LF_EVENT_QUEUE | LF_EVENT_FATAL);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 0);
    device_stop(device);
}

static uint64_t energy_pj(Device *device)
{
    struct lf_telemetry_block block = device_telemetry(device);
    uint64_t total = 0;
    uint64_t rest = 0;

    for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
        total += block.energy_pj[i];
        rest += block.energy_sub_aj[i];
    }
    return total + rest / 1000000;
}

static void set_threshold(Device *device, uint64_t picojoules)
{
    device_write(device, LF_REG_ENERGY_THRESHOLD, picojoules);
    device_write(device, LF_REG_ENERGY_THRESHOLD + 4, picojoules >> 32);
}

static uint64_t threshold(Device *device)
{
    return device_read(device, LF_REG_ENERGY_THRESHOLD) |
           (uint64_t)device_read(device, LF_REG_ENERGY_THRESHOLD + 4) << 32;
}

static void test_energy(void)
{
    Device *device = device_start_default("");
    int8_t weights[16 * 16];
    uint64_t before;
    uint64_t step;
    uint64_t limit;

    fill_weights(weights, sizeof(weights), 61);
    before = energy_pj(device);
    matrix_new(device, 16, 16, weights);
    step = energy_pj(device) - before;
    g_assert_cmpuint(step, >, 0);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);

    /* Just at it is not beyond it. */
    limit = energy_pj(device) + step;
    set_threshold(device, limit);
    g_assert_cmpuint(threshold(device), ==, limit);
    matrix_new(device, 16, 16, weights);
    if (energy_pj(device) <= limit) {
        g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
        g_assert_cmpuint(threshold(device), ==, limit);
        take_interrupts(device);
        matrix_new(device, 16, 16, weights);
    }
    g_assert_cmpuint(energy_pj(device), >, limit);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_ENERGY);
    g_assert_cmphex(take_interrupts(device) & 1, ==, 1);
    g_assert_cmpuint(threshold(device), ==, 0);

    /* One that has been passed already, one that is far away, none. */
    device_write(device, LF_REG_EVENTS, LF_EVENT_ENERGY);
    set_threshold(device, 1);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_ENERGY);
    g_assert_cmpuint(threshold(device), ==, 0);
    device_write(device, LF_REG_EVENTS, LF_EVENT_ENERGY);
    set_threshold(device, UINT64_MAX);
    matrix_new(device, 16, 16, weights);
    set_threshold(device, 0);
    matrix_new(device, 16, 16, weights);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    set_threshold(device, UINT64_MAX);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    g_assert_cmpuint(threshold(device), ==, 0);
    device_stop(device);
}

static void coalesce(Device *device, uint32_t queue, uint32_t records,
                     uint32_t microseconds)
{
    uint32_t value = LF_COALESCE(records, microseconds);

    device_write(device, WINDOW(queue, LF_QUEUE_COALESCE), value);
    g_assert_cmphex(device_read(device, WINDOW(queue, LF_QUEUE_COALESCE)), ==,
                    value);
}

static void test_coalesce_records(void)
{
    Device *device = device_start_default("");

    queue_open(device, 1, 8);
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    queue_open(device, 1, 8);
    take_interrupts(device);
    device_write(device, LF_REG_EVENTS, ~0u);

    coalesce(device, 1, 3, 1000);
    post(device, 1);
    post(device, 1);
    g_assert_true(queue_has_record(device, 1));
    g_assert_cmphex(take_interrupts(device), ==, 0);
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    /* The next three count anew, and nothing comes of the time. */
    post(device, 1);
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    qtest_clock_step(device->qts, 10000 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    for (int i = 0; i < 6; i++) {
        queue_take(device, 1);
    }

    /* What the host has taken by itself waits for nothing. */
    post(device, 1);
    post(device, 1);
    queue_take(device, 1);
    queue_take(device, 1);
    post(device, 1);
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    for (int i = 0; i < 3; i++) {
        queue_take(device, 1);
    }

    /* Nothing more can come: no use in waiting. */
    coalesce(device, 1, 100, 1000);
    for (int i = 0; i < 6; i++) {
        post(device, 1);
    }
    g_assert_cmphex(take_interrupts(device), ==, 0);
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);

    /* The other queues are as they were. */
    queue_expect_works(device, 2);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 3);
    device_stop(device);
}

static void test_coalesce_time(void)
{
    Device *device = device_start_default("");

    coalesce(device, 1, 10, 100);
    post(device, 1);
    qtest_clock_step(device->qts, 60 * MICROSECOND_NS);
    post(device, 1);
    qtest_clock_step(device->qts, 39 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    /* It is the first that has waited. */
    qtest_clock_step(device->qts, 1 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    qtest_clock_step(device->qts, 1000 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    queue_take(device, 1);
    queue_take(device, 1);

    /* Taken in time: no interrupt. */
    post(device, 1);
    queue_take(device, 1);
    qtest_clock_step(device->qts, 1000 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);

    /* A rule without patience, and none. */
    post(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    coalesce(device, 1, 10, 0);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    queue_take(device, 1);
    coalesce(device, 1, 10, 100);
    post(device, 1);
    coalesce(device, 1, 0, 0);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    queue_take(device, 1);
    queue_expect_works(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);

    /* A disabled queue keeps the rule and is silent, a reset takes it. */
    coalesce(device, 1, 10, 100);
    post(device, 1);
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    qtest_clock_step(device->qts, 1000 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    g_assert_cmphex(device_read(device, WINDOW(1, LF_QUEUE_COALESCE)), ==,
                    LF_COALESCE(10, 100));
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    g_assert_cmphex(device_read(device, WINDOW(1, LF_QUEUE_COALESCE)), ==, 0);
    device_stop(device);
}

/* What waits in a machine that is moved, waits on. */
static void test_moved(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64";
    Device *device = device_start(memory, options);

    coalesce(device, 1, 3, 100);
    coalesce(device, 2, 2, 50000);
    post(device, 1);
    post(device, 2);
    set_threshold(device, 0x123456789abcull);
    g_assert_null(device_set_number(device, "temperature", 90000));
    device_write(device, DOORBELL(0), TEST_RING_ENTRIES);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==,
                    LF_EVENT_QUEUE | LF_EVENT_THERMAL);
    take_interrupts(device);

    device = device_move(device, memory, options);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==,
                    LF_EVENT_QUEUE | LF_EVENT_THERMAL);
    g_assert_cmpuint(threshold(device), ==, 0x123456789abcull);
    g_assert_cmpuint(device_telemetry(device).temperature_mc, ==, 90000);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    qtest_clock_step(device->qts, 99 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    qtest_clock_step(device->qts, 1 * MICROSECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    post(device, 2);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 3);
    device_stop(device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/interrupts/events", test_events);
    qtest_add_func("/lf-accel/interrupts/fatal", test_fatal);
    qtest_add_func("/lf-accel/interrupts/energy", test_energy);
    qtest_add_func("/lf-accel/interrupts/coalesce-records",
                   test_coalesce_records);
    qtest_add_func("/lf-accel/interrupts/coalesce-time", test_coalesce_time);
    qtest_add_func("/lf-accel/interrupts/moved", test_moved);
    return g_test_run();
}
