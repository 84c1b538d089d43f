/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ends work early or holds it up: resets, disabled queues, unplugging, a
 * stopped machine, injected faults; on idle rings and in the middle of a job.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "device.h"

static void reopen(Device *device)
{
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        g_assert_cmphex(queue_state(device, i), ==, 0);
        g_assert_cmphex(device_read(device, WINDOW(i, LF_QUEUE_SUBMISSION)), ==,
                        0);
    }
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        queue_open(device, i, TEST_RING_ENTRIES);
        queue_expect_works(device, i);
    }
}

/* With jobs on the rings, one of which hangs. */
static void test_reset(void)
{
    Device *device = device_start_default(",debug=on");
    uint8_t express;

    for (int kind = 0; kind < 3; kind++) {
        device_write(device, LF_REG_INJECT, LF_INJECT_HANG_JOB);
        for (uint32_t i = 0; i < TEST_QUEUES; i++) {
            for (uint32_t k = 0; k < TEST_RING_ENTRIES - 1; k++) {
                Job job = job_nothing();

                job_place(device, i, &job);
            }
            job_ring(device, i);
        }
        switch (kind) {
        case 0:
            device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
            break;
        case 1:
            express = qpci_find_capability(device->pci, PCI_CAP_ID_EXP, 0);
            qpci_config_writew(device->pci, express + PCI_EXP_DEVCTL,
                               PCI_EXP_DEVCTL_BCR_FLR);
            qpci_device_enable(device->pci);
            qpci_config_writel(device->pci, PCI_BASE_ADDRESS_0,
                               device->registers.addr);
            break;
        default:
            /* Ends the work but keeps the windows: they are set anew. */
            device_write(device, LF_REG_CONTROL, 0);
            device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
        }
        device_wait(device, LF_REG_CONTROL, LF_CONTROL_RESET, 0);
        g_assert_cmphex(device_read(device, LF_REG_INJECT), ==, 0);
        reopen(device);
    }
    device_stop(device);
}

/*
 * A product that takes the model a while, the slowest way there is to compute
 * it; its output is a buffer of zeros.
 */
#define SLOW_OPTIONS ",preset=isaac,adc_bits=6,simd=scalar"
#define SLOW_ROWS 256
#define SLOW_COLS 64
#define SLOW_BATCH 1024

typedef struct Slow {
    uint32_t matrix;
    Buffer *in;
    Buffer *out;
} Slow;

static Slow slow_new(Device *device)
{
    g_autofree int8_t *weights = g_new(int8_t, SLOW_ROWS * SLOW_COLS);
    g_autofree int8_t *input = g_new(int8_t, SLOW_ROWS * SLOW_BATCH);
    Slow slow = {
        .in = buffer_new(device, SLOW_ROWS * SLOW_BATCH),
        .out = buffer_new(device, SLOW_COLS * SLOW_BATCH * sizeof(float)),
    };

    fill_weights(weights, SLOW_ROWS * SLOW_COLS, 31);
    fill_weights(input, SLOW_ROWS * SLOW_BATCH, 32);
    slow.matrix = matrix_new(device, SLOW_ROWS, SLOW_COLS, weights);
    buffer_write(device, slow.in, 0, input, slow.in->bytes);
    return slow;
}

static void slow_submit(Device *device, Slow *slow)
{
    const float step = 1;
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);

    command->flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;
    memcpy(&command->fixed_scale, &step, sizeof(step));
    command->matrix = slow->matrix;
    command->count = SLOW_BATCH;
    command->input = job_buffer(&job, slow->in, 0, SLOW_ROWS);
    command->output = job_buffer(&job, slow->out, 0, SLOW_COLS * sizeof(float));
    job_place(device, 1, &job);
    job_ring(device, 1);
    g_usleep(5000);
}

#define LONG_BATCH 4096

/* Seconds of work: many products of @in. */
static void long_submit(Device *device, const Slow *slow, const Buffer *in)
{
    const float step = 1;
    Job job = {};

    job.submission.scratch_bytes = LONG_BATCH * SLOW_COLS * sizeof(float);
    for (int i = 0; i < TEST_JOB_COMMANDS; i++) {
        struct lf_command *command = job_add(&job, LF_OP_MVM);

        command->flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;
        memcpy(&command->fixed_scale, &step, sizeof(step));
        command->matrix = slow->matrix;
        command->count = LONG_BATCH;
        command->input = job_buffer(&job, in, 0, SLOW_ROWS);
        command->output = job_scratch(0, SLOW_COLS * sizeof(float));
    }
    job_place(device, 1, &job);
    job_ring(device, 1);
    g_usleep(50000);
    g_assert_false(queue_has_record(device, 1));
}

static bool slow_output_is_zero(Device *device, Slow *slow)
{
    g_autofree uint8_t *output = g_malloc(slow->out->bytes);

    buffer_read(device, slow->out, 0, output, slow->out->bytes);
    return buffer_is_zero(output, slow->out->bytes);
}

static void slow_free(Slow *slow)
{
    buffer_free(slow->in);
    buffer_free(slow->out);
}

/* A job that a reset or a disable overtakes leaves the host's memory alone. */
static void test_overtaken(void)
{
    Device *device = device_start_default(SLOW_OPTIONS);
    Slow slow = slow_new(device);

    slow_submit(device, &slow);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    device_wait(device, LF_REG_CONTROL, LF_CONTROL_RESET, 0);
    g_assert_false(queue_has_record(device, 1));
    g_assert_true(slow_output_is_zero(device, &slow));
    reopen(device);

    slow_submit(device, &slow);
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    if (queue_state(device, 1) == LF_QUEUE_ENABLED) {
        /* Not before its last job has ended. */
        device_write(device, WINDOW(1, LF_QUEUE_CONTROL), LF_QUEUE_ENABLE);
        g_assert_cmphex(queue_state(device, 1), ==,
                        LF_QUEUE_ENABLED | LF_QUEUE_FAULT);
        device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    }
    device_wait(device, WINDOW(1, LF_QUEUE_STATE), LF_QUEUE_ENABLED, 0);
    g_assert_false(queue_has_record(device, 1));
    g_assert_true(slow_output_is_zero(device, &slow));
    queue_open(device, 1, TEST_RING_ENTRIES);

    /* And the same job does write when it is left alone. */
    slow_submit(device, &slow);
    g_assert_cmpuint(queue_take(device, 1).status, ==, LF_STATUS_OK);
    g_assert_false(slow_output_is_zero(device, &slow));

    /* QEMU ends while it runs. */
    slow_submit(device, &slow);
    slow_free(&slow);
    device_stop(device);
}

/* Nobody waits for the end of a long job. */
static void test_cut_short(void)
{
    Device *device = device_start_default(SLOW_OPTIONS);
    Slow slow = slow_new(device);
    Buffer *in = buffer_new(device, SLOW_ROWS * LONG_BATCH);
    gint64 start;

    long_submit(device, &slow, in);
    start = g_get_monotonic_time();
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    device_wait(device, LF_REG_CONTROL, LF_CONTROL_RESET, 0);
    g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC);
    reopen(device);

    long_submit(device, &slow, in);
    start = g_get_monotonic_time();
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    device_wait(device, WINDOW(1, LF_QUEUE_STATE), LF_QUEUE_ENABLED, 0);
    g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC);
    queue_open(device, 1, TEST_RING_ENTRIES);

    /* It begins again when the machine goes on, and can be ended then. */
    long_submit(device, &slow, in);
    start = g_get_monotonic_time();
    qtest_qmp_assert_success(device->qts, "{'execute': 'stop'}");
    g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC);
    g_assert_false(queue_has_record(device, 1));
    qtest_qmp_assert_success(device->qts, "{'execute': 'cont'}");
    g_usleep(50000);
    g_assert_false(queue_has_record(device, 1));
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    device_wait(device, WINDOW(1, LF_QUEUE_STATE), LF_QUEUE_ENABLED, 0);
    queue_open(device, 1, TEST_RING_ENTRIES);
    queue_expect_works(device, 1);
    buffer_free(in);
    slow_free(&slow);
    device_stop(device);
}

/* The device goes while it calculates. */
static void test_unplug(void)
{
    Device *device = device_start_behind_port(SLOW_OPTIONS, true);
    Slow slow = slow_new(device);
    uint8_t express = qpci_find_capability(device->port, PCI_CAP_ID_EXP, 0);

    slow_submit(device, &slow);
    qpci_config_writew(device->port, express + PCI_EXP_SLTCTL,
                       PCI_EXP_SLTCTL_PWR_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF);
    qtest_qmp_eventwait(device->qts, "DEVICE_DELETED");
    g_assert_true(slow_output_is_zero(device, &slow));
    g_assert_false(queue_has_record(device, 1));
    /* What it used is free again. */
    qtest_qmp_assert_success(
        device->qts, "{'execute': 'object-del', 'arguments': {'id': 'cells'}}");
    slow_free(&slow);
    device_stop(device);
}

/* A stopped machine is quiet, and goes on where it was. */
static void test_stop(void)
{
    Device *device = device_start_default(SLOW_OPTIONS);
    Slow slow = slow_new(device);
    Job job = job_nothing();

    slow_submit(device, &slow);
    qtest_qmp_assert_success(device->qts, "{'execute': 'stop'}");
    /* It had begun and has ended, or will not begin. */
    if (queue_has_record(device, 1)) {
        g_assert_cmpuint(queue_take(device, 1).status, ==, LF_STATUS_OK);
        g_assert_false(slow_output_is_zero(device, &slow));
    }
    job_place(device, 1, &job);
    job_ring(device, 1);
    g_usleep(600000);
    g_assert_false(queue_has_record(device, 1));
    qtest_qmp_assert_success(device->qts, "{'execute': 'cont'}");
    while (device->queues[1].head != device->queues[1].tail) {
        g_assert_cmpuint(queue_take(device, 1).status, ==, LF_STATUS_OK);
    }
    g_assert_false(slow_output_is_zero(device, &slow));
    slow_free(&slow);
    device_stop(device);
}

static void test_disable(void)
{
    Device *device = device_start_default(",debug=on");
    Job hanging = job_nothing();
    Job behind = job_nothing();

    device_write(device, LF_REG_INJECT, LF_INJECT_HANG_JOB);
    /* Management is never chosen. */
    queue_expect_works(device, 0);
    job_place(device, 1, &hanging);
    job_place(device, 1, &behind);
    job_ring(device, 1);
    device_wait(device, LF_REG_INJECT, ~0u, 0);
    g_usleep(20000);
    g_assert_false(queue_has_record(device, 1));
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    device_wait(device, WINDOW(1, LF_QUEUE_STATE), LF_QUEUE_ENABLED, 0);
    g_assert_false(queue_has_record(device, 1));
    queue_open(device, 1, TEST_RING_ENTRIES);
    queue_expect_works(device, 1);
    device_stop(device);
}

static void test_inject(void)
{
    Device *device = device_start_default(",debug=on");
    Device *plain;
    Job job = job_nothing();

    g_assert_cmphex(device_read(device, LF_REG_FEATURES), ==, LF_FEATURE_DEBUG);
    device_write(device, LF_REG_INJECT, LF_INJECT_FAIL_JOB);
    g_assert_cmpuint(job_run(device, 1, &job).status, ==, LF_STATUS_INTERNAL);
    queue_expect_works(device, 1);
    device_write(device, LF_REG_INJECT, 99);
    g_assert_cmpuint(device_read(device, LF_REG_INJECT), ==, 0);
    device_stop(device);

    plain = device_start_default("");
    device_write(plain, LF_REG_INJECT, LF_INJECT_FAIL_JOB);
    queue_expect_works(plain, 1);
    device_stop(plain);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/interruptions/reset", test_reset);
    qtest_add_func("/lf-accel/interruptions/overtaken", test_overtaken);
    qtest_add_func("/lf-accel/interruptions/cut-short", test_cut_short);
    qtest_add_func("/lf-accel/interruptions/unplug", test_unplug);
    qtest_add_func("/lf-accel/interruptions/stop", test_stop);
    qtest_add_func("/lf-accel/interruptions/disable", test_disable);
    qtest_add_func("/lf-accel/interruptions/inject", test_inject);
    return g_test_run();
}
