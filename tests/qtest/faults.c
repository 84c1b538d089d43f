/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every fault that can be raised on a running device, each by the guest's debug
 * register and by the property that whoever runs QEMU has: that it strikes where
 * it is meant to, once, and that the device works afterwards.
 */
#include "qemu/osdep.h"
#include <math.h>
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qnum.h"
#include "qapi/qmp/qstring.h"
#include "device.h"

#define ROWS 64
#define COLS 16
#define MILLISECOND_NS 1000000

/* How a test raises its fault. */
typedef enum Way {
    BY_REGISTER,
    BY_PROPERTY,
} Way;

static void expect_no_error(char *error)
{
    g_assert_cmpstr(error, ==, NULL);
    g_free(error);
}

static void expect_error(char *error, const char *part)
{
    g_assert_nonnull(error);
    if (!strstr(error, part)) {
        g_test_message("'%s' does not say '%s'", error, part);
        g_assert_not_reached();
    }
    g_free(error);
}

static void expect_text(Device *device, const char *property, const char *text)
{
    QObject *value = device_get(device, property);

    g_assert_cmpstr(qstring_get_str(qobject_to(QString, value)), ==, text);
    qobject_unref(value);
}

/* @queue is one of the device's, or -1 for any work queue. */
static void raise_fault(Device *device, Way way, uint32_t code,
                        const char *property, int queue, uint32_t argument)
{
    g_autoptr(GString) text = g_string_new("on");

    if (way == BY_REGISTER) {
        device_write(device, LF_REG_INJECT,
                     LF_INJECT(code, (uint32_t)(queue + 1), argument));
        return;
    }
    if (queue >= 0) {
        g_string_append_printf(text, ",queue=%d", queue);
    }
    if (argument) {
        g_string_append_printf(text, ",argument=%u", argument);
    }
    expect_no_error(device_set_text(device, property, text->str));
}

static bool is_armed(Device *device, uint32_t code)
{
    return device_read(device, LF_REG_INJECT) & 1u << code;
}

static Device *start(void)
{
    return device_start_default(",debug=on");
}

static void submit_nothing(Device *device, uint32_t queue)
{
    Job job = job_nothing();

    job_place(device, queue, &job);
    job_ring(device, queue);
}

static struct lf_completion run_nothing(Device *device, uint32_t queue)
{
    submit_nothing(device, queue);
    return queue_take(device, queue);
}

/* A product that the device refuses to compute while it is too hot. */
static uint16_t multiply(Device *device, uint32_t matrix, float *result)
{
    Buffer *in = buffer_new(device, ROWS * sizeof(float));
    Buffer *out = buffer_new(device, COLS * sizeof(float));
    float vector[ROWS];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);
    uint16_t status;

    fill_vector(vector, ROWS, 51);
    buffer_write(device, in, 0, vector, sizeof(vector));
    command->matrix = matrix;
    command->count = 1;
    command->input = job_buffer(&job, in, 0, sizeof(vector));
    command->output = job_buffer(&job, out, 0, COLS * sizeof(float));
    status = job_run(device, 1, &job).status;
    buffer_read(device, out, 0, result, COLS * sizeof(float));
    buffer_free(in);
    buffer_free(out);
    return status;
}

static uint32_t some_matrix(Device *device)
{
    int8_t weights[ROWS * COLS];

    fill_weights(weights, sizeof(weights), 52);
    return matrix_new(device, ROWS, COLS, weights);
}

static void test_hang(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();
    uint32_t matrix = some_matrix(device);
    float result[COLS];

    raise_fault(device, way, LF_INJECT_HANG_JOB, "fault-hang-job", 2, 0);
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
    Device *device = start();

    raise_fault(device, way, code, property, -1, 0);
    g_assert_true(is_armed(device, code));
    /* Management is never meant by "any queue". */
    queue_expect_works(device, 0);
    g_assert_true(is_armed(device, code));
    g_assert_cmpuint(run_nothing(device, 2).status, ==, status);
    g_assert_false(is_armed(device, code));
    queue_expect_works(device, 2);

    /* But it can be chosen. */
    raise_fault(device, way, code, property, 0, 0);
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
    Device *device = start();
    float result[COLS] = {};
    float again[COLS];
    uint32_t matrix = some_matrix(device);

    raise_fault(device, way, LF_INJECT_BAD_STATUS, "fault-bad-status", 1, 0);
    g_assert_cmpuint(multiply(device, matrix, result), >, LF_STATUS_THERMAL);
    /* The record lies: the job was done. */
    g_assert_cmpuint(multiply(device, matrix, again), ==, LF_STATUS_OK);
    g_assert_cmpmem(result, sizeof(result), again, sizeof(again));
    device_stop(device);
}

static void test_unknown_tag(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();
    Job job = job_nothing();
    uint16_t tag;

    raise_fault(device, way, LF_INJECT_UNKNOWN_TAG, "fault-unknown-tag", -1, 0);
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
    Device *device = start();
    struct lf_completion first;
    struct lf_completion second;

    raise_fault(device, way, LF_INJECT_DUPLICATE_TAG, "fault-duplicate-tag", 1,
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
    raise_fault(device, way, LF_INJECT_DUPLICATE_TAG, "fault-duplicate-tag", 1,
                0);
    submit_nothing(device, 1);
    queue_wait_ahead(device, 1, TEST_RING_ENTRIES - 2);
    for (int i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        queue_take(device, 1);
    }
    g_assert_false(queue_has_record(device, 1));
    g_assert_true(is_armed(device, LF_INJECT_DUPLICATE_TAG));
    first = run_nothing(device, 1);
    g_assert_cmpuint(queue_take(device, 1).tag, ==, first.tag);
    device_stop(device);
}

static void test_head_range(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();

    raise_fault(device, way, LF_INJECT_HEAD_RANGE, "fault-head-range", 1, 0);
    g_assert_cmpuint(run_nothing(device, 1).submission_head, >=,
                     TEST_RING_ENTRIES);
    g_assert_cmpuint(run_nothing(device, 1).submission_head, ==, 2);
    device_stop(device);
}

/* Without MSI-X the status register says which interrupts came. */
static uint32_t take_interrupts(Device *device)
{
    uint32_t status = device_read(device, LF_REG_IRQ_STATUS);

    device_write(device, LF_REG_IRQ_STATUS, status);
    return status;
}

static void test_lost_interrupt(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();

    raise_fault(device, way, LF_INJECT_LOST_INTERRUPT, "fault-lost-interrupt",
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
    Device *device = start();

    raise_fault(device, way, LF_INJECT_SPURIOUS, "fault-spurious", -1, 0);
    g_assert_false(is_armed(device, LF_INJECT_SPURIOUS));
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    raise_fault(device, way, LF_INJECT_SPURIOUS, "fault-spurious", 0, 0);
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
    Device *device = start();
    uint32_t count = 0;

    raise_fault(device, way, LF_INJECT_STORM, "fault-storm", 2, length);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    for (uint32_t i = 0; i < 2 * length; i++) {
        g_assert_cmpint(is_armed(device, LF_INJECT_STORM), ==, i < length);
        qtest_clock_step(device->qts, MILLISECOND_NS);
        count += take_interrupts(device) == 1u << 3;
    }
    g_assert_cmpuint(count, ==, length);

    /* A reset ends it. */
    raise_fault(device, way, LF_INJECT_STORM, "fault-storm", -1, length);
    qtest_clock_step(device->qts, MILLISECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 2);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    g_assert_false(is_armed(device, LF_INJECT_STORM));
    qtest_clock_step(device->qts, 10 * MILLISECOND_NS);
    g_assert_cmphex(take_interrupts(device), ==, 0);
    device_stop(device);
}

static void function_reset(Device *device)
{
    uint8_t express = qpci_find_capability(device->pci, PCI_CAP_ID_EXP, 0);

    qpci_config_writew(device->pci, express + PCI_EXP_DEVCTL,
                       PCI_EXP_DEVCTL_BCR_FLR);
    qpci_device_enable(device->pci);
    qpci_config_writel(device->pci, PCI_BASE_ADDRESS_0, device->registers.addr);
}

/* Of all behind the port. */
static void bus_reset(Device *device)
{
    qpci_config_writew(device->port, PCI_BRIDGE_CONTROL,
                       PCI_BRIDGE_CTL_BUS_RESET);
    qpci_config_writew(device->port, PCI_BRIDGE_CONTROL, 0);
    qpci_device_enable(device->pci);
    qpci_config_writel(device->pci, PCI_BASE_ADDRESS_0, device->registers.addr);
}

static void reopen(Device *device)
{
    device_wait(device, LF_REG_CONTROL, LF_CONTROL_RESET, 0);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        queue_open(device, i, TEST_RING_ENTRIES);
        queue_expect_works(device, i);
    }
}

static void test_all_ones(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();

    raise_fault(device, way, LF_INJECT_ALL_ONES, "fault-all-ones", -1, 0);
    expect_text(device, "fault-all-ones", "on");
    for (uint32_t reg = 0; reg < LF_REG_BYTES; reg += 0x3c) {
        g_assert_cmphex(device_read(device, reg), ==, ~0u);
    }
    device_write(device, LF_REG_IRQ_MASK, 0x5);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    submit_nothing(device, 1);
    g_usleep(20000);
    g_assert_false(queue_has_record(device, 1));

    /* The property makes as if it had never been: the queues are open. */
    expect_no_error(device_set_text(device, "fault-all-ones", "off"));
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, LF_MAGIC);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_MASK), ==, 0);
    job_ring(device, 1);
    g_assert_cmpuint(queue_take(device, 1).status, ==, LF_STATUS_OK);

    raise_fault(device, way, LF_INJECT_ALL_ONES, "fault-all-ones", -1, 0);
    g_assert_cmphex(device_read(device, LF_REG_STATUS), ==, ~0u);
    function_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, LF_MAGIC);
    reopen(device);
    device_stop(device);

    device = device_start_behind_port(",debug=on", true);
    raise_fault(device, way, LF_INJECT_ALL_ONES, "fault-all-ones", -1, 0);
    g_assert_cmphex(device_read(device, LF_REG_STATUS), ==, ~0u);
    bus_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, LF_MAGIC);
    reopen(device);
    device_stop(device);
}

static void expect_stuck_reset(Device *device)
{
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    g_usleep(20000);
    g_assert_cmphex(device_read(device, LF_REG_CONTROL), ==, LF_CONTROL_RESET);
    g_assert_cmphex(device_read(device, LF_REG_STATUS), ==, 0);
    /* It is in reset: it takes no orders. */
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    g_assert_cmphex(device_read(device, LF_REG_CONTROL), ==, LF_CONTROL_RESET);
}

static void test_reset_fails(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();

    raise_fault(device, way, LF_INJECT_RESET_FAILS, "fault-reset-fails", -1, 2);
    /* The others are disarmed by a reset, also by one that fails. */
    raise_fault(device, way, LF_INJECT_FAIL_JOB, "fault-fail-job", -1, 0);
    expect_stuck_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==,
                    1u << LF_INJECT_RESET_FAILS);
    expect_stuck_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    reopen(device);

    /* For all resets, of whatever kind, until it is told otherwise. */
    raise_fault(device, way, LF_INJECT_RESET_FAILS, "fault-reset-fails", -1, 0);
    for (int i = 0; i < 3; i++) {
        expect_stuck_reset(device);
        g_assert_true(is_armed(device, LF_INJECT_RESET_FAILS));
    }
    function_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_CONTROL), ==, LF_CONTROL_RESET);
    expect_no_error(device_set_text(device, "fault-reset-fails", "off"));
    function_reset(device);
    reopen(device);
    device_stop(device);
}

static void expect_temperature(Device *device, int32_t millidegrees)
{
    QObject *value = device_get(device, "temperature");
    int64_t found = 0;

    g_assert_true(qnum_get_try_int(qobject_to(QNum, value), &found));
    g_assert_cmpint(found, ==, millidegrees);
    qobject_unref(value);
    g_assert_cmpint((int64_t)device_telemetry(device).temperature_mc, ==,
                    millidegrees);
}

static void test_over_temperature(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device = start();
    uint32_t matrix = some_matrix(device);
    int32_t warm = device_read(device, LF_REG_TEMPERATURE_MAX);
    int32_t critical = device_read(device, LF_REG_TEMPERATURE_CRITICAL);
    float result[COLS];
    Job job = {};

    g_assert_cmpint(warm, >, 25000);
    g_assert_cmpint(critical, >, warm);
    expect_temperature(device, 25000);
    take_interrupts(device);

    raise_fault(device, way, LF_INJECT_OVER_TEMPERATURE,
                "fault-over-temperature", -1, critical / 1000);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    expect_temperature(device, critical);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_THERMAL);
    g_assert_cmphex(take_interrupts(device), ==, 1u << 0);
    g_assert_cmpuint(multiply(device, matrix, result), ==, LF_STATUS_THERMAL);
    /* Nothing that warms it: the directory can be seen to. */
    job_add(&job, LF_OP_ACCOUNT);
    g_assert_cmpuint(job_run(device, 0, &job).status, ==, LF_STATUS_OK);
    queue_expect_works(device, 1);

    /* Warmer and no event; a reset does not cool. */
    expect_no_error(device_set_number(device, "temperature", critical + 1));
    device_write(device, LF_REG_EVENTS, LF_EVENT_THERMAL);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    reopen(device);
    expect_temperature(device, critical + 1);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    g_assert_cmpuint(multiply(device, matrix, result), ==, LF_STATUS_THERMAL);
    take_interrupts(device);

    /* It may work again below the critical one, and says when it is cool. */
    expect_no_error(device_set_number(device, "temperature", critical - 1));
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    g_assert_cmpuint(multiply(device, matrix, result), ==, LF_STATUS_OK);
    expect_no_error(device_set_number(device, "temperature", warm - 1));
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_THERMAL);

    expect_error(device_set_number(device, "temperature", 150001),
                 "temperature must be");
    expect_error(device_set_number(device, "temperature", -55001),
                 "temperature must be");
    expect_temperature(device, warm - 1);
    device_stop(device);
}

/* The stuck cells among those of @matrix, which the guest may look at. */
static uint32_t count_stuck(Device *device, uint32_t matrix)
{
    const uint32_t cells = ROWS * COLS * 8;
    Buffer *out = buffer_new(device, cells * sizeof(struct lf_cell));
    g_autofree struct lf_cell *found = g_new(struct lf_cell, cells);
    Job job = { .submission.flags = LF_JOB_PRIVILEGED };
    struct lf_command *command = job_add(&job, LF_OP_READ);
    uint32_t count = 0;

    command->flags = LF_READ_CELLS;
    command->matrix = matrix;
    command->count = ROWS;
    command->output = job_buffer(&job, out, 0, COLS * 8 * sizeof(*found));
    g_assert_cmpuint(job_run(device, 1, &job).status, ==, LF_STATUS_OK);
    buffer_read(device, out, 0, found, out->bytes);
    buffer_free(out);
    for (uint32_t i = 0; i < cells; i++) {
        count += (found[i].flags & (LF_CELL_STUCK_ON | LF_CELL_STUCK_OFF)) != 0;
    }
    return count;
}

/* 2 % of 8,192 cells, give or take; for ever, also in a machine that is moved. */
static void test_stuck_cells(const void *data)
{
    const uint32_t parts = 20000;
    const double expected = ROWS * COLS * 8 * 0.02;
    const char *options = ",tiles=64,debug=on";
    Way way = GPOINTER_TO_UINT(data);
    Device *device = device_start("memory-backend-ram,size=64M", options);
    uint32_t matrix = some_matrix(device);
    float before[COLS];
    float after[COLS];
    float later[COLS];
    uint32_t stuck;

    g_assert_cmpuint(multiply(device, matrix, before), ==, LF_STATUS_OK);
    g_assert_cmpuint(count_stuck(device, matrix), ==, 0);
    raise_fault(device, way, LF_INJECT_STUCK_CELLS, "fault-stuck-cells", -1,
                parts);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    stuck = count_stuck(device, matrix);
    g_assert_cmpfloat(fabs(stuck - expected), <, 5 * sqrt(expected));
    g_assert_cmpuint(multiply(device, matrix, after), ==, LF_STATUS_OK);
    g_assert_true(memcmp(before, after, sizeof(before)) != 0);

    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    reopen(device);
    device = device_move(device, "memory-backend-ram,size=64M", options);
    g_assert_cmpuint(count_stuck(device, matrix), ==, stuck);
    g_assert_cmpuint(multiply(device, matrix, later), ==, LF_STATUS_OK);
    g_assert_cmpmem(after, sizeof(after), later, sizeof(later));

    /* More of them, the old ones among them; not while the machine is stopped. */
    qtest_qmp_assert_success(device->qts, "{'execute': 'stop'}");
    raise_fault(device, way, LF_INJECT_STUCK_CELLS, "fault-stuck-cells", -1,
                parts);
    g_assert_true(is_armed(device, LF_INJECT_STUCK_CELLS));
    qtest_qmp_assert_success(device->qts, "{'execute': 'cont'}");
    g_assert_false(is_armed(device, LF_INJECT_STUCK_CELLS));
    g_assert_cmpuint(count_stuck(device, matrix), >, stuck);
    /* There are no more than all of them. */
    for (int i = 0; i < 2; i++) {
        expect_no_error(
            device_set_text(device, "fault-stuck-cells", "argument=1000000"));
        g_assert_cmpuint(count_stuck(device, matrix), ==, ROWS * COLS * 8);
    }
    device_stop(device);
}

static void expect_gone(Way way, bool native)
{
    Device *device = device_start_behind_port(way == BY_REGISTER ? ",debug=on"
                                                                 : "",
                                              native);
    QPCIDevice *port = device->port;
    uint8_t express = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);
    uint16_t status;

    queue_expect_works(device, 1);
    submit_nothing(device, 2);
    if (way == BY_REGISTER) {
        device_write(device, LF_REG_INJECT, LF_INJECT(LF_INJECT_REMOVAL, 0, 0));
    } else {
        expect_no_error(device_set_text(device, "fault-removal", "on"));
    }
    qtest_qmp_eventwait(device->qts, "DEVICE_DELETED");
    /* QEMU answers 0 where no device is, and ones for its configuration. */
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, 0);
    g_assert_cmphex(qpci_config_readl(device->pci, PCI_VENDOR_ID), ==, ~0u);
    if (native) {
        status = qpci_config_readw(port, express + PCI_EXP_SLTSTA);
        g_assert_cmphex(status & PCI_EXP_SLTSTA_PDS, ==, 0);
        g_assert_cmphex(status & PCI_EXP_SLTSTA_PDC, ==, PCI_EXP_SLTSTA_PDC);
        g_assert_cmphex(qpci_config_readw(port, express + PCI_EXP_LNKSTA) &
                            PCI_EXP_LNKSTA_DLLLA,
                        ==, 0);
        /* An event that stays is an interrupt that does not end. */
        qpci_config_writew(port, express + PCI_EXP_SLTSTA, status);
        g_assert_cmphex(qpci_config_readw(port, express + PCI_EXP_SLTSTA) &
                            ~PCI_EXP_SLTSTA_EIS,
                        ==, 0);
    }
    /* What it used is free again. */
    qtest_qmp_assert_success(
        device->qts, "{'execute': 'object-del', 'arguments': {'id': 'cells'}}");
    device_stop(device);
}

static void test_removal(const void *data)
{
    Way way = GPOINTER_TO_UINT(data);
    Device *device;

    expect_gone(way, true);
    expect_gone(way, false);

    /* What is part of the root complex cannot be pulled. */
    device = start();
    if (way == BY_REGISTER) {
        device_write(device, LF_REG_INJECT, LF_INJECT(LF_INJECT_REMOVAL, 0, 0));
    } else {
        expect_error(device_set_text(device, "fault-removal", "on"),
                     "not behind a port");
    }
    queue_expect_works(device, 1);
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

/* What has not struck, and what has and lasts, goes where the machine goes. */
static void test_moved(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64,debug=on";
    Device *device = device_start(memory, options);
    uint32_t count = 0;

    expect_no_error(device_set_text(device, "fault-bad-status", "queue=2"));
    expect_no_error(device_set_text(device, "fault-reset-fails", "argument=2"));
    expect_no_error(device_set_text(device, "fault-storm", "argument=3"));
    expect_no_error(device_set_text(device, "fault-all-ones", "on"));
    device = device_move(device, memory, options);
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, ~0u);
    expect_no_error(device_set_text(device, "fault-all-ones", "off"));
    expect_text(device, "fault-bad-status", "on,queue=2");
    expect_text(device, "fault-reset-fails", "on,argument=2");
    for (int i = 0; i < 6; i++) {
        qtest_clock_step(device->qts, MILLISECOND_NS);
        count += take_interrupts(device) == 1u << 2;
    }
    g_assert_cmpuint(count, ==, 3);
    queue_expect_works(device, 1);
    g_assert_cmpuint(run_nothing(device, 2).status, >, LF_STATUS_THERMAL);

    expect_stuck_reset(device);
    device = device_move(device, memory, options);
    g_assert_cmphex(device_read(device, LF_REG_CONTROL), ==, LF_CONTROL_RESET);
    expect_stuck_reset(device);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    reopen(device);
    device_stop(device);
}

static void add_both(const char *name, void (*test)(const void *data))
{
    g_autofree char *by_register = g_strdup_printf("/lf-accel/faults/%s/"
                                                   "register",
                                                   name);
    g_autofree char *by_property = g_strdup_printf("/lf-accel/faults/%s/"
                                                   "property",
                                                   name);

    qtest_add_data_func(by_register, GUINT_TO_POINTER(BY_REGISTER), test);
    qtest_add_data_func(by_property, GUINT_TO_POINTER(BY_PROPERTY), test);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    add_both("hang-job", test_hang);
    add_both("fail-job", test_fail);
    add_both("dma-error", test_dma_error);
    add_both("bad-status", test_bad_status);
    add_both("unknown-tag", test_unknown_tag);
    add_both("duplicate-tag", test_duplicate_tag);
    add_both("head-range", test_head_range);
    add_both("lost-interrupt", test_lost_interrupt);
    add_both("spurious", test_spurious);
    add_both("storm", test_storm);
    add_both("all-ones", test_all_ones);
    add_both("reset-fails", test_reset_fails);
    add_both("over-temperature", test_over_temperature);
    add_both("stuck-cells", test_stuck_cells);
    add_both("removal", test_removal);
    qtest_add_func("/lf-accel/faults/refusals", test_refusals);
    qtest_add_func("/lf-accel/faults/several", test_several);
    qtest_add_func("/lf-accel/faults/moved", test_moved);
    return g_test_run();
}
