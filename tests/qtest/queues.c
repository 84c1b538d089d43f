/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies between driver and model: registers, rings, doorbells, DMA, resets,
 * interrupts, injected faults. The job used is the smallest there is.
 */
#include "qemu/osdep.h"
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "device.h"

#define WINDOW(index, reg) (LF_REG_QUEUE + LF_QUEUE_STRIDE * (index) + (reg))
#define DOORBELL(index) (LF_REG_DOORBELL + 8 * (index))

/* Nothing is mapped there. */
#define UNMAPPED 0x900000000000ull

static Job nothing(void)
{
    Job job = {};

    job_add(&job, LF_OP_BARRIER);
    return job;
}

static void expect_works(Device *device, uint32_t index)
{
    Job job = nothing();

    g_assert_cmpuint(job_run(device, index, &job).status, ==, LF_STATUS_OK);
}

static uint16_t run_with(Device *device, void (*change)(Job *job))
{
    Job job = nothing();

    change(&job);
    return job_run(device, 1, &job).status;
}

static void test_registers(void)
{
    Device *device = device_start_default("");
    uint64_t wide;

    g_assert_cmphex(device_read(device, LF_REG_MAGIC), ==, LF_MAGIC);
    g_assert_cmphex(device_read(device, LF_REG_VERSION), ==,
                    LF_HW_VERSION_MAJOR << 16 | LF_HW_VERSION_MINOR);
    g_assert_cmpuint(device_read(device, LF_REG_FEATURES), ==, 0);
    g_assert_cmpuint(device_read(device, LF_REG_QUEUES), ==, TEST_QUEUES);
    g_assert_cmpuint(device_read(device, LF_REG_VECTORS), ==, TEST_QUEUES + 1);
    g_assert_cmpuint(device_read(device, LF_REG_TILES), ==, 64);
    g_assert_cmphex(device_read(device, LF_REG_PRESET), ==, ldl_le_p("ideal"));
    g_assert_cmphex(device_read(device, LF_REG_STATUS), ==, LF_DEVICE_READY);

    /* A wide access is two halves; undefined offsets read as zero. */
    wide = qpci_io_readq(device->pci, device->registers, LF_REG_MAGIC);
    g_assert_cmphex(wide, ==,
                    (uint64_t)device_read(device, LF_REG_VERSION) << 32 |
                        LF_MAGIC);
    device_write(device, 0x0fc, 1);
    g_assert_cmphex(device_read(device, 0x0fc), ==, 0);
    g_assert_cmphex(device_read(device, LF_REG_BYTES - 4), ==, 0);
    /* Windows and doorbells of queues that do not exist. */
    device_write(device, WINDOW(TEST_QUEUES, LF_QUEUE_ENTRIES), 4);
    g_assert_cmphex(device_read(device, WINDOW(TEST_QUEUES, LF_QUEUE_ENTRIES)),
                    ==, 0);
    device_write(device, DOORBELL(LF_QUEUES_MAX - 1), 1);
    expect_works(device, 1);
    device_stop(device);
}

/* Several times around rings of four, one job at a time and three at once. */
static void test_wrap(void)
{
    Device *device = device_start_default("");

    for (uint32_t i = 0; i < 10; i++) {
        expect_works(device, 1);
    }
    for (uint32_t i = 0; i < 10; i++) {
        for (uint32_t k = 0; k < TEST_RING_ENTRIES - 1; k++) {
            Job job = nothing();

            job_place(device, 1, &job);
        }
        job_ring(device, 1);
        for (uint32_t k = 0; k < TEST_RING_ENTRIES - 1; k++) {
            struct lf_completion completion = queue_take(device, 1);

            g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
            g_assert_cmpuint(completion.tag, ==,
                             (10 + 3 * i + k) % TEST_RING_ENTRIES);
        }
    }
    g_assert_cmphex(queue_state(device, 1), ==, LF_QUEUE_ENABLED);
    device_stop(device);
}

/* Without the host's head the device stops one record before the end. */
static void test_completion_ring_full(void)
{
    Device *device = device_start_default("");
    Queue *queue = &device->queues[1];

    for (uint32_t i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        Job job = nothing();

        job_place(device, 1, &job);
    }
    job_ring(device, 1);
    for (uint32_t i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        queue_wait(device, 1);
        queue->head++;
    }
    for (uint32_t i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        Job job = nothing();

        job_place(device, 1, &job);
    }
    job_ring(device, 1);
    g_usleep(50000);
    g_assert_false(queue_has_record(device, 1));
    device_write(device, DOORBELL(1) + 4, queue->head);
    for (uint32_t i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        g_assert_cmpuint(queue_take(device, 1).status, ==, LF_STATUS_OK);
    }
    device_stop(device);
}

static void expect_fault(Device *device, uint32_t index)
{
    g_assert_cmphex(queue_state(device, index) & LF_QUEUE_FAULT, ==,
                    LF_QUEUE_FAULT);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_STATUS) & 1, ==, 1);
    device_write(device, LF_REG_IRQ_STATUS, 1);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_STATUS) & 1, ==, 0);
    device_write(device, WINDOW(index, LF_QUEUE_CONTROL), 0);
    g_assert_cmphex(queue_state(device, index), ==, 0);
    queue_open(device, index, TEST_RING_ENTRIES);
    expect_works(device, index);
}

static void test_bad_doorbell(void)
{
    Device *device = device_start_default("");

    device_write(device, DOORBELL(1), TEST_RING_ENTRIES);
    expect_fault(device, 1);
    device_write(device, DOORBELL(1), UINT32_MAX);
    expect_fault(device, 1);
    /* Head beyond what was posted, and once around and outside the ring. */
    device_write(device, DOORBELL(1) + 4, 3);
    expect_fault(device, 1);
    g_assert_cmpuint(device->queues[1].head, ==, 1);
    device_write(device, DOORBELL(1) + 4, TEST_RING_ENTRIES + 1);
    expect_fault(device, 1);
    expect_works(device, 0);
    expect_works(device, 2);

    /* A doorbell of a disabled queue is nothing. */
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    device_write(device, DOORBELL(1), 1);
    device_write(device, DOORBELL(1) + 4, 1);
    g_assert_cmphex(queue_state(device, 1), ==, 0);
    queue_open(device, 1, TEST_RING_ENTRIES);
    expect_works(device, 1);
    device_stop(device);
}

static void test_bad_window(void)
{
    static const struct {
        uint32_t reg;
        uint32_t value;
    } bad[] = {
        { LF_QUEUE_ENTRIES, 0 },       { LF_QUEUE_ENTRIES, 1 },
        { LF_QUEUE_ENTRIES, 3 },       { LF_QUEUE_ENTRIES, 1u << 31 },
        { LF_QUEUE_SUBMISSION, 2048 }, { LF_QUEUE_COMPLETION, 256 },
    };
    Device *device = device_start_default("");

    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
        device_write(device, WINDOW(1, bad[i].reg), bad[i].value);
        device_write(device, WINDOW(1, LF_QUEUE_CONTROL), LF_QUEUE_ENABLE);
        g_assert_cmphex(queue_state(device, 1), ==, LF_QUEUE_FAULT);
        expect_fault(device, 1);
    }
    /* While it is enabled the window stands. */
    device_write(device, WINDOW(1, LF_QUEUE_ENTRIES), 2);
    g_assert_cmpuint(device_read(device, WINDOW(1, LF_QUEUE_ENTRIES)), ==,
                     TEST_RING_ENTRIES);
    device_stop(device);
}

static void set_flag(Job *job)
{
    job->submission.flags = 1u << 15;
}

static void set_reserved(Job *job)
{
    job->submission.reserved[4] = 1;
}

static void set_many_commands(Job *job)
{
    job->submission.command_count = UINT32_MAX;
}

static void set_scratch(Job *job)
{
    job->submission.scratch_bytes = UINT32_MAX;
}

static void set_unmapped_commands(Job *job)
{
    job->submission.commands = UNMAPPED;
}

static void test_bad_entry(void)
{
    Device *device = device_start_default("");

    g_assert_cmpuint(run_with(device, set_flag), ==, LF_STATUS_INVALID);
    g_assert_cmpuint(run_with(device, set_reserved), ==, LF_STATUS_INVALID);
    g_assert_cmpuint(run_with(device, set_many_commands), ==,
                     LF_STATUS_INVALID);
    g_assert_cmpuint(run_with(device, set_scratch), ==, LF_STATUS_INVALID);
    g_assert_cmpuint(run_with(device, set_unmapped_commands), ==,
                     LF_STATUS_DMA);
    expect_works(device, 1);
    device_stop(device);
}

/* Copy a buffer of two pages to another. */
static Job copy_job(Buffer *in, Buffer *out)
{
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_FUSE);

    command->flags = LF_FUSE_AFFINE;
    command->count = 2;
    command->width = LF_PAGE_BYTES / sizeof(float);
    command->input = job_buffer(&job, in, 0, LF_PAGE_BYTES);
    command->output = job_buffer(&job, out, 0, LF_PAGE_BYTES);
    return job;
}

static uint16_t run_copy(Device *device, Buffer *in, Buffer *out)
{
    Job job = copy_job(in, out);

    return job_run(device, 1, &job).status;
}

static void test_dma_error(void)
{
    Device *device = device_start_default("");
    Buffer *in = buffer_new(device, 2 * LF_PAGE_BYTES);
    Buffer *out = buffer_new(device, 2 * LF_PAGE_BYTES);
    uint64_t in_list = in->list;
    Job late;
    uint64_t bad[] = {
        UNMAPPED,
        /* Our own registers: memory is all that is reached. */
        device->registers.addr,
        in->pages[0] + 8,
    };

    g_assert_cmpuint(run_copy(device, in, out), ==, LF_STATUS_OK);
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        uint16_t expected = i == 2 ? LF_STATUS_INVALID : LF_STATUS_DMA;

        qtest_writeq(device->qts, in->list + 8, bad[i]);
        g_assert_cmpuint(run_copy(device, in, out), ==, expected);
        qtest_writeq(device->qts, in->list + 8, in->pages[1]);
        qtest_writeq(device->qts, out->list + 8, bad[i]);
        g_assert_cmpuint(run_copy(device, in, out), ==, expected);
        qtest_writeq(device->qts, out->list + 8, out->pages[1]);
    }
    in->list = UNMAPPED;
    g_assert_cmpuint(run_copy(device, in, out), ==, LF_STATUS_DMA);
    in->list = in_list + 4;
    g_assert_cmpuint(run_copy(device, in, out), ==, LF_STATUS_INVALID);
    in->list = in_list;
    in->bytes = UINT64_MAX;
    g_assert_cmpuint(run_copy(device, in, out), ==, LF_STATUS_INVALID);
    in->bytes = 2 * LF_PAGE_BYTES;
    g_assert_cmpuint(run_copy(device, in, out), ==, LF_STATUS_OK);

    /* A ring that is not there ends everything, until a reset. */
    device_write(device, WINDOW(2, LF_QUEUE_CONTROL), 0);
    device_write(device, WINDOW(2, LF_QUEUE_SUBMISSION + 4), UNMAPPED >> 32);
    device_write(device, WINDOW(2, LF_QUEUE_CONTROL), LF_QUEUE_ENABLE);
    device_write(device, DOORBELL(2), 1);
    device_wait(device, LF_REG_STATUS, LF_DEVICE_FATAL, LF_DEVICE_FATAL);
    g_assert_cmphex(queue_state(device, 2) & LF_QUEUE_FAULT, ==,
                    LF_QUEUE_FAULT);
    late = copy_job(in, out);
    job_place(device, 1, &late);
    job_ring(device, 1);
    g_usleep(100000);
    g_assert_false(queue_has_record(device, 1));
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    device_wait(device, LF_REG_CONTROL, LF_CONTROL_RESET, 0);
    g_assert_cmphex(device_read(device, LF_REG_STATUS), ==, LF_DEVICE_READY);
    buffer_free(in);
    buffer_free(out);
    device_stop(device);
}

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
        expect_works(device, i);
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
                Job job = nothing();

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

/* The second device of a machine, behind a root port that was set up for it. */
static Device *device_behind_port(QPCIDevice **port)
{
    Device *device = device_start_bare(
        "memory-backend-ram,size=64M", ",tiles=64",
        "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off "
        "-device pcie-root-port,id=port0,addr=6 "
        "-object memory-backend-ram,size=64M,id=more "
        "-device lf-accel,id=second,bus=port0,memdev=more,tiles=64" SLOW_OPTIONS);

    g_free(device->pci);
    *port = qpci_device_find(device->bus, QPCI_DEVFN(6, 0));
    /* Bus 1 and the memory that libqos gives to BARs are behind it. */
    qpci_config_writel(*port, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(*port, PCI_MEMORY_BASE, 0xeff0e000);
    qpci_device_enable(*port);
    device->pci = qpci_device_find(device->bus, 1 << 8 | QPCI_DEVFN(0, 0));
    g_assert_nonnull(device->pci);
    device_enable(device);
    return device;
}

/* The device goes while it calculates. */
static void test_unplug(void)
{
    QPCIDevice *port;
    Device *device = device_behind_port(&port);
    Slow slow = slow_new(device);
    uint8_t express = qpci_find_capability(port, PCI_CAP_ID_EXP, 0);

    slow_submit(device, &slow);
    qpci_config_writew(port, express + PCI_EXP_SLTCTL,
                       PCI_EXP_SLTCTL_PWR_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF);
    qtest_qmp_eventwait(device->qts, "DEVICE_DELETED");
    g_assert_true(slow_output_is_zero(device, &slow));
    g_assert_false(queue_has_record(device, 1));
    /* What it used is free again. */
    qtest_qmp_assert_success(
        device->qts, "{'execute': 'object-del', 'arguments': {'id': 'more'}}");
    slow_free(&slow);
    g_free(port);
    device_stop(device);
}

/* A stopped machine is quiet, and goes on where it was. */
static void test_stop(void)
{
    Device *device = device_start_default(SLOW_OPTIONS);
    Slow slow = slow_new(device);
    Job job = nothing();

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
    Job hanging = nothing();
    Job behind = nothing();

    device_write(device, LF_REG_INJECT, LF_INJECT_HANG_JOB);
    /* Management is never chosen. */
    expect_works(device, 0);
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
    expect_works(device, 1);
    device_stop(device);
}

static void test_inject(void)
{
    Device *device = device_start_default(",debug=on");
    Device *plain;
    Job job = nothing();

    g_assert_cmphex(device_read(device, LF_REG_FEATURES), ==, LF_FEATURE_DEBUG);
    device_write(device, LF_REG_INJECT, LF_INJECT_FAIL_JOB);
    g_assert_cmpuint(job_run(device, 1, &job).status, ==, LF_STATUS_INTERNAL);
    expect_works(device, 1);
    device_write(device, LF_REG_INJECT, 99);
    g_assert_cmpuint(device_read(device, LF_REG_INJECT), ==, 0);
    device_stop(device);

    plain = device_start_default("");
    device_write(plain, LF_REG_INJECT, LF_INJECT_FAIL_JOB);
    expect_works(plain, 1);
    device_stop(plain);
}

/* Messages are sent to memory, where they can be seen. */
static void test_msix(void)
{
    Device *device = device_start_default("");
    uint64_t messages = device_alloc(device, LF_PAGE_BYTES);

    qpci_msix_enable(device->pci);
    g_assert_cmpuint(qpci_msix_table_size(device->pci), ==, TEST_QUEUES + 1);
    for (uint32_t i = 0; i <= TEST_QUEUES; i++) {
        uint64_t entry = device->pci->msix_table_off + i * PCI_MSIX_ENTRY_SIZE;
        QPCIBar bar = device->pci->msix_table_bar;

        qpci_io_writel(device->pci, bar, entry + PCI_MSIX_ENTRY_LOWER_ADDR,
                       messages + 4 * i);
        qpci_io_writel(device->pci, bar, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
        qpci_io_writel(device->pci, bar, entry + PCI_MSIX_ENTRY_DATA,
                       0x100 + i);
        qpci_io_writel(device->pci, bar, entry + PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    }
    expect_works(device, 1);
    /* The message follows the record. */
    for (int i = 0;
         i < 1000 * TEST_TIMEOUT_S && !qtest_readl(device->qts, messages + 8);
         i++) {
        g_usleep(1000);
    }
    g_assert_cmphex(qtest_readl(device->qts, messages), ==, 0);
    g_assert_cmphex(qtest_readl(device->qts, messages + 4), ==, 0);
    g_assert_cmphex(qtest_readl(device->qts, messages + 8), ==, 0x102);
    g_assert_cmphex(qtest_readl(device->qts, messages + 12), ==, 0);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_STATUS), ==, 0);

    device_write(device, DOORBELL(2), TEST_RING_ENTRIES);
    g_assert_cmphex(qtest_readl(device->qts, messages), ==, 0x100);
    device_stop(device);
}

static bool interrupt_asserted(Device *device)
{
    return qpci_config_readw(device->pci, PCI_STATUS) & PCI_STATUS_INTERRUPT;
}

static void test_intx(void)
{
    Device *device = device_start_default("");

    g_assert_false(interrupt_asserted(device));
    expect_works(device, 1);
    device_wait(device, LF_REG_IRQ_STATUS, ~0u, 1u << 2);
    g_assert_true(interrupt_asserted(device));
    device_write(device, LF_REG_IRQ_MASK, 1u << 2);
    g_assert_false(interrupt_asserted(device));
    device_write(device, LF_REG_IRQ_MASK, 0);
    g_assert_true(interrupt_asserted(device));
    device_write(device, LF_REG_IRQ_STATUS, 1u << 2);
    g_assert_false(interrupt_asserted(device));
    device_stop(device);
}

static void test_telemetry(void)
{
    Device *device = device_start_default("");
    struct lf_telemetry_block before = device_telemetry(device);
    struct lf_telemetry_block after;

    for (uint32_t i = 0; i < 5; i++) {
        expect_works(device, 1);
    }
    /* What is latched stays until the next latch. */
    g_assert_cmpuint(qpci_io_readq(device->pci, device->registers,
                                   LF_REG_TELEMETRY +
                                       offsetof(struct lf_telemetry_block,
                                                jobs)),
                     ==, before.jobs);
    after = device_telemetry(device);
    g_assert_cmpuint(after.jobs, ==, before.jobs + 5);

    device_write(device, LF_REG_TIME_ADVANCE, 0x10);
    device_write(device, LF_REG_TIME_ADVANCE + 4, 0x2);
    g_assert_cmpuint(device_telemetry(device).time_ns, ==,
                     after.time_ns + 0x200000010);
    device_stop(device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/queues/registers", test_registers);
    qtest_add_func("/lf-accel/queues/wrap", test_wrap);
    qtest_add_func("/lf-accel/queues/completion-ring-full",
                   test_completion_ring_full);
    qtest_add_func("/lf-accel/queues/bad-doorbell", test_bad_doorbell);
    qtest_add_func("/lf-accel/queues/bad-window", test_bad_window);
    qtest_add_func("/lf-accel/queues/bad-entry", test_bad_entry);
    qtest_add_func("/lf-accel/queues/dma-error", test_dma_error);
    qtest_add_func("/lf-accel/queues/reset", test_reset);
    qtest_add_func("/lf-accel/queues/overtaken", test_overtaken);
    qtest_add_func("/lf-accel/queues/unplug", test_unplug);
    qtest_add_func("/lf-accel/queues/stop", test_stop);
    qtest_add_func("/lf-accel/queues/disable", test_disable);
    qtest_add_func("/lf-accel/queues/inject", test_inject);
    qtest_add_func("/lf-accel/queues/msix", test_msix);
    qtest_add_func("/lf-accel/queues/intx", test_intx);
    qtest_add_func("/lf-accel/queues/telemetry", test_telemetry);
    return g_test_run();
}
