/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every fault of jobs, of their records and of interrupts that can be raised on a
 * running device, each by the guest's debug register and by the property that
 * whoever runs QEMU has: that it strikes where it is meant to, once, and that the
 * device works afterwards; and what is no fault. Those of the whole device are in
 * device_faults.c.
 */
#include "qemu/osdep.h"
#include "fault.h"

static void test_hang(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();
    uint32_t matrix = fault_matrix(device);
    float result[FAULT_COLS];

    fault_raise(device, way, LF_INJECT_HANG_JOB, "fault-hang-job", 2, 0);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==,
                    1u << LF_INJECT_HANG_JOB);
    expect_text(device, "fault-hang-job", "on,queue=2");
    queue_expect_works(device, 1);
    queue_expect_works(device, 0);
    submit_nothing(device, 2);
    device_wait(device, LF_REG_INJECT, ~0u, 0);
    expect_text(device, "fault-hang-job", "off");
    g_usleep(20000);
    g_assert_false(queue_has_record(device, 2));
    g_assert_cmphex(queue_state(device, 2), ==,
                    LF_QUEUE_ENABLED | LF_QUEUE_RUNNING);
    g_assert_cmphex(queue_state(device, 1), ==, LF_QUEUE_ENABLED);
    /* The other queues go on. */
    g_assert_cmpuint(multiply(device, matrix, result), ==, LF_STATUS_OK);

    device_write(device, WINDOW(2, LF_QUEUE_CONTROL), 0);
    g_assert_cmphex(queue_state(device, 2), ==, 0);
    queue_open(device, 2, TEST_RING_ENTRIES);
    queue_expect_works(device, 2);
    device_stop(device);
}

/* Faults that end a job with a status. */
static void expect_status(Way way, uint32_t code, const char *property,
                          uint16_t status)
{
    Device *device = fault_start();

    fault_raise(device, way, code, property, -1, 0);
    g_assert_true(fault_is_armed(device, code));
    /* Management is never meant by "any queue". */
    queue_expect_works(device, 0);
    g_assert_true(fault_is_armed(device, code));
    g_assert_cmpuint(run_nothing(device, 2).status, ==, status);
    g_assert_false(fault_is_armed(device, code));
    queue_expect_works(device, 2);

    /* But it can be chosen. */
    fault_raise(device, way, code, property, 0, 0);
    queue_expect_works(device, 1);
    g_assert_cmpuint(run_nothing(device, 0).status, ==, status);
    queue_expect_works(device, 0);
    device_stop(device);
}

static void test_fail(const void *data)
{
    expect_status(GPOINTER_TO_UINT(data), LF_INJECT_FAIL_JOB, "fault-fail-job",
                  LF_STATUS_INTERNAL);
}

static void test_dma_error(const void *data)
{
    expect_status(GPOINTER_TO_UINT(data), LF_INJECT_DMA_ERROR,
                  "fault-dma-error", LF_STATUS_DMA);
}

static void test_bad_status(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();
    float result[FAULT_COLS] = {};
    float again[FAULT_COLS];
    uint32_t matrix = fault_matrix(device);

    fault_raise(device, way, LF_INJECT_BAD_STATUS, "fault-bad-status", 1, 0);
    g_assert_cmpuint(multiply(device, matrix, result), >, LF_STATUS_THERMAL);
    /* The record lies: the job was done. */
    g_assert_cmpuint(multiply(device, matrix, again), ==, LF_STATUS_OK);
    g_assert_cmpmem(result, sizeof(result), again, sizeof(again));
    device_stop(device);
}

static void test_unknown_tag(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();
    Job job = job_nothing();
    uint16_t tag;

    fault_raise(device, way, LF_INJECT_UNKNOWN_TAG, "fault-unknown-tag", -1, 0);
    for (int i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        job_place(device, 1, &job);
    }
    job_ring(device, 1);
    tag = queue_take(device, 1).tag;
    g_assert_cmpuint(tag, >=, TEST_RING_ENTRIES - 1);
    g_assert_cmpuint(queue_take(device, 1).tag, ==, 1);
    g_assert_cmpuint(queue_take(device, 1).tag, ==, 2);
    device_stop(device);
}

static void test_duplicate_tag(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();
    struct lf_completion first;
    struct lf_completion second;

    fault_raise(device, way, LF_INJECT_DUPLICATE_TAG, "fault-duplicate-tag", 1,
                0);
    first = run_nothing(device, 1);
    second = queue_take(device, 1);
    g_assert_cmpmem(&first, sizeof(first), &second, sizeof(second));
    /* Twice, also where that wraps the ring: phases stay right. */
    for (int i = 0; i < 2 * TEST_RING_ENTRIES; i++) {
        queue_expect_works(device, 1);
    }

    /* It waits for a record that has room for two. */
    for (int i = 0; i < TEST_RING_ENTRIES - 2; i++) {
        submit_nothing(device, 1);
        queue_wait_ahead(device, 1, i);
    }
    fault_raise(device, way, LF_INJECT_DUPLICATE_TAG, "fault-duplicate-tag", 1,
                0);
    submit_nothing(device, 1);
    queue_wait_ahead(device, 1, TEST_RING_ENTRIES - 2);
    for (int i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        queue_take(device, 1);
    }
    g_assert_false(queue_has_record(device, 1));
    g_assert_true(fault_is_armed(device, LF_INJECT_DUPLICATE_TAG));
    first = run_nothing(device, 1);
    g_assert_cmpuint(queue_take(device, 1).tag, ==, first.tag);
    device_stop(device);
}

static void test_head_range(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();

    fault_raise(device, way, LF_INJECT_HEAD_RANGE, "fault-head-range", 1, 0);
    g_assert_cmpuint(run_nothing(device, 1).submission_head, >=,
                     TEST_RING_ENTRIES);
    g_assert_cmpuint(run_nothing(device, 1).submission_head, ==, 2);
    device_stop(device);
}

static void test_lost_interrupt(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();

    fault_raise(device, way, LF_INJECT_LOST_INTERRUPT, "fault-lost-interrupt",
                2, 0);
    queue_expect_works(device, 1);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    queue_expect_works(device, 2);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    queue_expect_works(device, 2);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 3);
    device_stop(device);
}

static void test_spurious(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();

    fault_raise(device, way, LF_INJECT_SPURIOUS, "fault-spurious", -1, 0);
    g_assert_false(fault_is_armed(device, LF_INJECT_SPURIOUS));
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    fault_raise(device, way, LF_INJECT_SPURIOUS, "fault-spurious", 0, 0);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 1);
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        g_assert_false(queue_has_record(device, i));
        queue_expect_works(device, i);
    }
    device_stop(device);
}

static void test_storm(const void *data)
{
    const uint32_t length = 5;
    Way way = GPOINTER_TO_UINT(data);
    Device *device = fault_start();
    uint32_t count = 0;

    fault_raise(device, way, LF_INJECT_STORM, "fault-storm", 2, length);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    for (uint32_t i = 0; i < 2 * length; i++) {
        g_assert_cmpint(fault_is_armed(device, LF_INJECT_STORM), ==,
                        i < length);
        qtest_clock_step(device->qts, MILLISECOND_NS);
        count += take_interrupts(device) == 1u << 3;
    }
    g_assert_cmpuint(count, ==, length);

    /* A reset ends it. */
    fault_raise(device, way, LF_INJECT_STORM, "fault-storm", -1, length);
    qtest_clock_step(device->qts, MILLISECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    g_assert_false(fault_is_armed(device, LF_INJECT_STORM));
    qtest_clock_step(device->qts, 10 * MILLISECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    device_stop(device);
}

static void expect_refused(Device *device, uint32_t value)
{
    device_write(device, LF_REG_INJECT, value);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
}

static void test_refusals(void)
{
    Device *device = device_start_default(",debug=on");

    expect_refused(device, 0);
    for (uint32_t code = LF_INJECT_REMOVAL + 1; code < 256; code++) {
        expect_refused(device, code);
    }
    expect_refused(device, LF_INJECT(LF_INJECT_HANG_JOB, TEST_QUEUES + 1, 0));
    expect_refused(device, LF_INJECT(LF_INJECT_HANG_JOB, 1, 1));
    expect_refused(device, LF_INJECT(LF_INJECT_RESET_FAILS, 1, 0));
    expect_refused(device, LF_INJECT(LF_INJECT_ALL_ONES, 1, 0));
    expect_refused(device, LF_INJECT(LF_INJECT_STORM, 0, 0));
    expect_refused(device, LF_INJECT(LF_INJECT_STUCK_CELLS, 0, 0));
    expect_refused(device, LF_INJECT(LF_INJECT_OVER_TEMPERATURE, 0, 151));
    expect_error(device_set_text(device, "fault-hang-job", "queue=3"),
                 "no such queue");
    expect_error(device_set_text(device, "fault-hang-job", "queue=16"),
                 "fault-hang-job: 'queue=16'");
    expect_error(device_set_text(device, "fault-hang-job", "on,queue=x"),
                 "'queue=x'");
    expect_error(device_set_text(device, "fault-hang-job", "argument=1"),
                 "argument must be 0 to 0");
    expect_error(device_set_text(device, "fault-storm", "on"),
                 "argument must be 1 to 65535");
    expect_error(device_set_text(device, "fault-stuck-cells",
                                 "argument=1000001"),
                 "argument must be 1 to 1000000");
    expect_error(device_set_text(device, "fault-fail-job", ""), "on, off");
    expect_error(device_set_text(device, "fault-fail-job", "off,on"), "'off'");
    expect_error(device_set_text(device, "fault-fail-job", "maybe"), "'maybe'");
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    device_stop(device);

    /* A guest that was not given the right has only the host's faults. */
    device = device_start_default("");
    g_assert_cmphex(device_read(device, LF_REG_FEATURES), ==, 0);
    for (uint32_t code = 0; code < LF_INJECT_CODES; code++) {
        expect_refused(device, LF_INJECT(code, 0, 1));
        expect_refused(device, LF_INJECT(code, 0, 0));
    }
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, LF_MAGIC);
    queue_expect_works(device, 1);
    expect_no_error(device_set_text(device, "fault-fail-job", "on"));
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    g_assert_cmpuint(run_nothing(device, 1).status, ==, LF_STATUS_INTERNAL);
    expect_no_error(device_set_text(device, "fault-fail-job", "on"));
    expect_no_error(device_set_text(device, "fault-fail-job", "off"));
    queue_expect_works(device, 1);
    device_stop(device);
}

/* Several at once, in the order in which a job meets them. */
static void test_several(void)
{
    Device *device = device_start_default(",debug=on");
    struct lf_completion first;
    struct lf_completion second;

    device_write(device, LF_REG_INJECT, LF_INJECT(LF_INJECT_DMA_ERROR, 2, 0));
    device_write(device, LF_REG_INJECT,
                 LF_INJECT(LF_INJECT_DUPLICATE_TAG, 2, 0));
    device_write(device, LF_REG_INJECT, LF_INJECT(LF_INJECT_FAIL_JOB, 3, 0));
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==,
                    1u << LF_INJECT_DMA_ERROR | 1u << LF_INJECT_DUPLICATE_TAG |
                        1u << LF_INJECT_FAIL_JOB);
    first = run_nothing(device, 1);
    second = queue_take(device, 1);
    g_assert_cmpuint(first.status, ==, LF_STATUS_DMA);
    g_assert_cmpmem(&first, sizeof(first), &second, sizeof(second));
    g_assert_cmpuint(run_nothing(device, 2).status, ==, LF_STATUS_INTERNAL);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    device_stop(device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fault_add_tests("hang-job", test_hang);
    fault_add_tests("fail-job", test_fail);
    fault_add_tests("dma-error", test_dma_error);
    fault_add_tests("bad-status", test_bad_status);
    fault_add_tests("unknown-tag", test_unknown_tag);
    fault_add_tests("duplicate-tag", test_duplicate_tag);
    fault_add_tests("head-range", test_head_range);
    fault_add_tests("lost-interrupt", test_lost_interrupt);
    fault_add_tests("spurious", test_spurious);
    fault_add_tests("storm", test_storm);
    qtest_add_func("/lf-accel/faults/refusals", test_refusals);
    qtest_add_func("/lf-accel/faults/several", test_several);
    return g_test_run();
}
