/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What lies between driver and model: registers, rings, doorbells, DMA and
 * interrupts. The job used is the smallest there is.
 */
#include "qemu/osdep.h"
#include "libqos/pci.h"
#include "hw/pci/pci_regs.h"
#include "qemu/bswap.h"
#include "device.h"

/* Nothing is mapped there. */
#define UNMAPPED 0x900000000000ull

static uint16_t run_with(Device *device, void (*change)(Job *job))
{
    Job job = job_nothing();

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
    queue_expect_works(device, 1);
    device_stop(device);
}

/* Several times around rings of four, one job at a time and three at once. */
static void test_wrap(void)
{
    Device *device = device_start_default("");

    for (uint32_t i = 0; i < 10; i++) {
        queue_expect_works(device, 1);
    }
    for (uint32_t i = 0; i < 10; i++) {
        for (uint32_t k = 0; k < TEST_RING_ENTRIES - 1; k++) {
            Job job = job_nothing();

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
        Job job = job_nothing();

        job_place(device, 1, &job);
    }
    job_ring(device, 1);
    for (uint32_t i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        queue_wait(device, 1);
        queue->head++;
    }
    for (uint32_t i = 0; i < TEST_RING_ENTRIES - 1; i++) {
        Job job = job_nothing();

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
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, LF_EVENT_QUEUE);
    device_write(device, LF_REG_EVENTS, LF_EVENT_QUEUE);
    g_assert_cmphex(device_read(device, LF_REG_EVENTS), ==, 0);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_STATUS) & 1, ==, 1);
    device_write(device, LF_REG_IRQ_STATUS, 1);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_STATUS) & 1, ==, 0);
    device_write(device, WINDOW(index, LF_QUEUE_CONTROL), 0);
    g_assert_cmphex(queue_state(device, index), ==, 0);
    queue_open(device, index, TEST_RING_ENTRIES);
    queue_expect_works(device, index);
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
    queue_expect_works(device, 0);
    queue_expect_works(device, 2);

    /* A doorbell of a disabled queue is nothing. */
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    device_write(device, DOORBELL(1), 1);
    device_write(device, DOORBELL(1) + 4, 1);
    g_assert_cmphex(queue_state(device, 1), ==, 0);
    queue_open(device, 1, TEST_RING_ENTRIES);
    queue_expect_works(device, 1);
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
    queue_expect_works(device, 1);
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
    queue_expect_works(device, 1);
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
    queue_expect_works(device, 1);
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
        queue_expect_works(device, 1);
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
    qtest_add_func("/lf-accel/queues/msix", test_msix);
    qtest_add_func("/lf-accel/queues/intx", test_intx);
    qtest_add_func("/lf-accel/queues/telemetry", test_telemetry);
    return g_test_run();
}
