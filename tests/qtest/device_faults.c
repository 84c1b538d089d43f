/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every fault of the whole device that can be raised on a running one, each by the
 * guest's debug register and by the property that whoever runs QEMU has: registers
 * that answer with ones, resets that fail, heat, cells that get stuck, a device
 * that is pulled out; and what of all faults moves with a machine. Those of jobs
 * are in faults.c.
 */
#include "qemu/osdep.h"
#include <math.h>
#include "hw/pci/pci_regs.h"
#include "qapi/qmp/qdict.h"
#include "qapi/qmp/qnum.h"
#include "fault.h"

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
    Device *device = fault_start();

    fault_raise(device, way, LF_INJECT_ALL_ONES, "fault-all-ones", -1, 0);
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

    fault_raise(device, way, LF_INJECT_ALL_ONES, "fault-all-ones", -1, 0);
    g_assert_cmphex(device_read(device, LF_REG_STATUS), ==, ~0u);
    function_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, LF_MAGIC);
    reopen(device);
    device_stop(device);

    device = device_start_behind_port(",debug=on", true);
    fault_raise(device, way, LF_INJECT_ALL_ONES, "fault-all-ones", -1, 0);
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
    Device *device = fault_start();

    fault_raise(device, way, LF_INJECT_RESET_FAILS, "fault-reset-fails", -1, 2);
    /* The others are disarmed by a reset, also by one that fails. */
    fault_raise(device, way, LF_INJECT_FAIL_JOB, "fault-fail-job", -1, 0);
    expect_stuck_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==,
                    1u << LF_INJECT_RESET_FAILS);
    expect_stuck_reset(device);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    reopen(device);

    /* For all resets, of whatever kind, until it is told otherwise. */
    fault_raise(device, way, LF_INJECT_RESET_FAILS, "fault-reset-fails", -1, 0);
    for (int i = 0; i < 3; i++) {
        expect_stuck_reset(device);
        g_assert_true(fault_is_armed(device, LF_INJECT_RESET_FAILS));
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
    Device *device = fault_start();
    uint32_t matrix = fault_matrix(device);
    int32_t warm = device_read(device, LF_REG_TEMPERATURE_MAX);
    int32_t critical = device_read(device, LF_REG_TEMPERATURE_CRITICAL);
    float result[FAULT_COLS];
    Job job = {};

    g_assert_cmpint(warm, >, 25000);
    g_assert_cmpint(critical, >, warm);
    expect_temperature(device, 25000);
    take_interrupts(device);

    fault_raise(device, way, LF_INJECT_OVER_TEMPERATURE,
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
    const uint32_t cells = FAULT_ROWS * FAULT_COLS * 8;
    Buffer *out = buffer_new(device, cells * sizeof(struct lf_cell));
    g_autofree struct lf_cell *found = g_new(struct lf_cell, cells);
    Job job = { .submission.flags = LF_JOB_PRIVILEGED };
    struct lf_command *command = job_add(&job, LF_OP_READ);
    uint32_t count = 0;

    command->flags = LF_READ_CELLS;
    command->matrix = matrix;
    command->count = FAULT_ROWS;
    command->output = job_buffer(&job, out, 0, FAULT_COLS * 8 * sizeof(*found));
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
    const double expected = FAULT_ROWS * FAULT_COLS * 8 * 0.02;
    const char *options = ",tiles=64,debug=on";
    Way way = GPOINTER_TO_UINT(data);
    Device *device = device_start("memory-backend-ram,size=64M", options);
    uint32_t matrix = fault_matrix(device);
    float before[FAULT_COLS];
    float after[FAULT_COLS];
    float later[FAULT_COLS];
    uint32_t stuck;

    g_assert_cmpuint(multiply(device, matrix, before), ==, LF_STATUS_OK);
    g_assert_cmpuint(count_stuck(device, matrix), ==, 0);
    fault_raise(device, way, LF_INJECT_STUCK_CELLS, "fault-stuck-cells", -1,
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
    fault_raise(device, way, LF_INJECT_STUCK_CELLS, "fault-stuck-cells", -1,
                parts);
    g_assert_true(fault_is_armed(device, LF_INJECT_STUCK_CELLS));
    qtest_qmp_assert_success(device->qts, "{'execute': 'cont'}");
    g_assert_false(fault_is_armed(device, LF_INJECT_STUCK_CELLS));
    g_assert_cmpuint(count_stuck(device, matrix), >, stuck);
    /* There are no more than all of them. */
    for (int i = 0; i < 2; i++) {
        expect_no_error(
            device_set_text(device, "fault-stuck-cells", "argument=1000000"));
        g_assert_cmpuint(count_stuck(device, matrix), ==,
                         FAULT_ROWS * FAULT_COLS * 8);
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
    device = fault_start();
    if (way == BY_REGISTER) {
        device_write(device, LF_REG_INJECT, LF_INJECT(LF_INJECT_REMOVAL, 0, 0));
    } else {
        expect_error(device_set_text(device, "fault-removal", "on"),
                     "not behind a port");
    }
    queue_expect_works(device, 1);
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fault_add_tests("all-ones", test_all_ones);
    fault_add_tests("reset-fails", test_reset_fails);
    fault_add_tests("over-temperature", test_over_temperature);
    fault_add_tests("stuck-cells", test_stuck_cells);
    fault_add_tests("removal", test_removal);
    qtest_add_func("/lf-accel/faults/moved", test_moved);
    return g_test_run();
}
