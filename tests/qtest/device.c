/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * See device.h. A test that cannot go on ends in g_assert: QEMU's own tests do
 * the same, and the harness reports it.
 */
#include "qemu/osdep.h"
#include <math.h>
#include "qapi/qmp/qdict.h"
#include "qemu/bswap.h"
#include "hw/pci/pci_regs.h"
#include "libqos/pci-pc.h"
#include "device.h"

#define TEST_SLOT 5
#define TEST_PATH "/machine/peripheral/" TEST_ID
#define TEST_FIRST_PAGE (16 * 1024 * 1024)
#define TEST_DEFAULT_SIZE "memory-backend-ram,size=64M"

static Device *start_qemu(const char *memory, const char *place,
                          const char *options, const char *arguments)
{
    Device *device = g_new0(Device, 1);

    device->qts = qtest_initf("-machine q35 -m 64M -nodefaults %s "
                              "-object %s,id=cells "
                              "-device lf-accel,id=" TEST_ID ",%s,memdev=cells,"
                              "queues=%d%s",
                              arguments, memory, place, TEST_QUEUES, options);
    device->bus = qpci_new_pc(device->qts, NULL);
    device->next_page = TEST_FIRST_PAGE;
    return device;
}

Device *device_start_bare(const char *memory, const char *options,
                          const char *arguments)
{
    g_autofree char *place = g_strdup_printf("addr=%d", TEST_SLOT);
    Device *device = start_qemu(memory, place, options, arguments);

    device->pci = qpci_device_find(device->bus, QPCI_DEVFN(TEST_SLOT, 0));
    g_assert_nonnull(device->pci);
    return device;
}

Device *device_start_behind_port(const char *options, bool native)
{
    g_autofree char *all = g_strconcat(",tiles=64", options, NULL);
    g_autofree char *arguments = g_strdup_printf(
        "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=%s "
        "-device pcie-root-port,id=port0,addr=%d",
        native ? "off" : "on", TEST_SLOT);
    Device *device = start_qemu(TEST_DEFAULT_SIZE, "bus=port0", all, arguments);

    device->port = qpci_device_find(device->bus, QPCI_DEVFN(TEST_SLOT, 0));
    /* Bus 1 and the memory that libqos gives to BARs are behind it. */
    qpci_config_writel(device->port, PCI_PRIMARY_BUS, 0x00010100);
    qpci_config_writel(device->port, PCI_MEMORY_BASE, 0xeff0e000);
    qpci_device_enable(device->port);
    device->pci = qpci_device_find(device->bus, 1 << 8 | QPCI_DEVFN(0, 0));
    g_assert_nonnull(device->pci);
    device_enable(device);
    return device;
}

void device_enable(Device *device)
{
    qpci_device_enable(device->pci);
    device->registers = qpci_iomap(device->pci, LF_PCI_REGISTER_BAR, NULL);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        queue_open(device, i, TEST_RING_ENTRIES);
    }
}

Device *device_start(const char *memory, const char *options)
{
    Device *device = device_start_bare(memory, options, "");

    device_enable(device);
    return device;
}

Device *device_start_default(const char *options)
{
    g_autofree char *all = g_strconcat(",tiles=64", options, NULL);

    return device_start(TEST_DEFAULT_SIZE, all);
}

void device_stop(Device *device)
{
    g_free(device->pci);
    g_free(device->port);
    qpci_free_pc(device->bus);
    qtest_quit(device->qts);
    g_free(device);
}

static char *error_of(QDict *reply)
{
    QDict *error = qdict_get_qdict(reply, "error");
    char *text = error ? g_strdup(qdict_get_str(error, "desc")) : NULL;

    qobject_unref(reply);
    return text;
}

char *device_set_text(Device *device, const char *property, const char *value)
{
    return error_of(qtest_qmp(device->qts,
                              "{'execute': 'qom-set', 'arguments': {'path': %s,"
                              " 'property': %s, 'value': %s}}",
                              TEST_PATH, property, value));
}

char *device_set_number(Device *device, const char *property, int64_t value)
{
    return error_of(qtest_qmp(device->qts,
                              "{'execute': 'qom-set', 'arguments': {'path': %s,"
                              " 'property': %s, 'value': %" PRId64 "}}",
                              TEST_PATH, property, value));
}

QObject *device_get(Device *device, const char *property)
{
    QDict *reply = qtest_qmp(device->qts,
                             "{'execute': 'qom-get', 'arguments': {'path': %s,"
                             " 'property': %s}}",
                             TEST_PATH, property);
    QObject *value = qobject_ref(qdict_get(reply, "return"));

    g_assert_nonnull(value);
    qobject_unref(reply);
    return value;
}

uint32_t device_read(Device *device, uint32_t reg)
{
    return qpci_io_readl(device->pci, device->registers, reg);
}

void device_write(Device *device, uint32_t reg, uint32_t value)
{
    qpci_io_writel(device->pci, device->registers, reg, value);
}

static void pause_or_fail(gint64 start, const char *what)
{
    if (g_get_monotonic_time() - start > TEST_TIMEOUT_S * G_USEC_PER_SEC) {
        g_test_message("waiting for %s took too long", what);
        g_assert_not_reached();
    }
    g_usleep(500);
}

void device_wait(Device *device, uint32_t reg, uint32_t mask, uint32_t value)
{
    gint64 start = g_get_monotonic_time();

    while ((device_read(device, reg) & mask) != value) {
        pause_or_fail(start, "a register");
    }
}

struct lf_telemetry_block device_telemetry(Device *device)
{
    struct lf_telemetry_block block;
    uint32_t *words = (uint32_t *)&block;

    device_write(device, LF_REG_TELEMETRY_LATCH, 1);
    for (size_t i = 0; i < sizeof(block) / sizeof(*words); i++) {
        words[i] = device_read(device, LF_REG_TELEMETRY + 4 * i);
    }
    return block;
}

uint64_t device_alloc(Device *device, uint64_t bytes)
{
    uint64_t address = device->next_page;

    bytes = ROUND_UP(bytes, LF_PAGE_BYTES);
    device->next_page += bytes;
    qtest_memset(device->qts, address, 0, bytes);
    return address;
}

void queue_open(Device *device, uint32_t index, uint32_t entries)
{
    Queue *queue = &device->queues[index];
    uint32_t window = WINDOW(index, 0);

    queue->entries = entries;
    queue->submissions = device_alloc(device,
                                      entries * sizeof(struct lf_submission));
    queue->completions = device_alloc(device,
                                      entries * sizeof(struct lf_completion));
    queue->tail = 0;
    queue->head = 0;
    queue->phase = 1;
    qpci_io_writeq(device->pci, device->registers, window + LF_QUEUE_SUBMISSION,
                   queue->submissions);
    device_write(device, window + LF_QUEUE_COMPLETION, queue->completions);
    device_write(device, window + LF_QUEUE_COMPLETION + 4,
                 queue->completions >> 32);
    device_write(device, window + LF_QUEUE_ENTRIES, entries);
    device_write(device, window + LF_QUEUE_CONTROL, LF_QUEUE_ENABLE);
}

uint32_t queue_state(Device *device, uint32_t index)
{
    return device_read(device, WINDOW(index, LF_QUEUE_STATE));
}

/* Whether the record is there that comes @ahead records after the next. */
static bool has_record_ahead(Device *device, uint32_t index, uint32_t ahead)
{
    Queue *queue = &device->queues[index];
    uint32_t place = queue->head + ahead;
    uint16_t expected = queue->phase ^ (place >= queue->entries);
    uint64_t record = queue->completions +
                      place % queue->entries * sizeof(struct lf_completion);
    uint16_t phase = qtest_readw(device->qts,
                                 record +
                                     offsetof(struct lf_completion, phase));

    return (phase & 1) == expected;
}

bool queue_has_record(Device *device, uint32_t index)
{
    return has_record_ahead(device, index, 0);
}

void queue_wait_ahead(Device *device, uint32_t index, uint32_t ahead)
{
    gint64 start = g_get_monotonic_time();

    while (!has_record_ahead(device, index, ahead)) {
        pause_or_fail(start, "a record");
    }
}

void queue_wait(Device *device, uint32_t index)
{
    queue_wait_ahead(device, index, 0);
}

struct lf_completion queue_take(Device *device, uint32_t index)
{
    Queue *queue = &device->queues[index];
    struct lf_completion completion;

    queue_wait(device, index);
    qtest_memread(device->qts,
                  queue->completions + queue->head * sizeof(completion),
                  &completion, sizeof(completion));
    queue->head = (queue->head + 1) % queue->entries;
    if (queue->head == 0) {
        queue->phase ^= 1;
    }
    device_write(device, DOORBELL(index) + 4, queue->head);
    return completion;
}

Buffer *buffer_new(Device *device, uint64_t bytes)
{
    Buffer *buffer = g_new0(Buffer, 1);
    uint64_t base;

    buffer->bytes = bytes;
    buffer->page_count = DIV_ROUND_UP(bytes, LF_PAGE_BYTES);
    buffer->pages = g_new(uint64_t, buffer->page_count);
    buffer->list = device_alloc(device, buffer->page_count * sizeof(uint64_t));
    base = device_alloc(device, buffer->page_count * LF_PAGE_BYTES);
    /* Pairs of neighbours, the pairs from last to first. */
    for (uint32_t i = 0; i < buffer->page_count; i++) {
        uint32_t place = buffer->page_count - 1 - (i ^ 1);

        if ((i ^ 1) >= buffer->page_count) {
            place = 0;
        }
        buffer->pages[i] = base + (uint64_t)place * LF_PAGE_BYTES;
    }
    for (uint32_t i = 0; i < buffer->page_count; i++) {
        qtest_writeq(device->qts, buffer->list + i * sizeof(uint64_t),
                     buffer->pages[i]);
    }
    return buffer;
}

void buffer_free(Buffer *buffer)
{
    g_free(buffer->pages);
    g_free(buffer);
}

static void buffer_move(Device *device, const Buffer *buffer, uint64_t offset,
                        uint8_t *data, uint64_t bytes, bool write)
{
    g_assert_cmpuint(offset + bytes, <=, buffer->bytes);
    while (bytes) {
        uint64_t inside = offset % LF_PAGE_BYTES;
        uint64_t address = buffer->pages[offset / LF_PAGE_BYTES] + inside;
        uint64_t piece = MIN(bytes, LF_PAGE_BYTES - inside);

        if (write) {
            qtest_bufwrite(device->qts, address, data, piece);
        } else {
            qtest_bufread(device->qts, address, data, piece);
        }
        offset += piece;
        data += piece;
        bytes -= piece;
    }
}

void buffer_write(Device *device, const Buffer *buffer, uint64_t offset,
                  const void *data, uint64_t bytes)
{
    buffer_move(device, buffer, offset, (uint8_t *)data, bytes, true);
}

void buffer_read(Device *device, const Buffer *buffer, uint64_t offset,
                 void *data, uint64_t bytes)
{
    buffer_move(device, buffer, offset, data, bytes, false);
}

struct lf_command *job_add(Job *job, uint16_t opcode)
{
    struct lf_command *command = &job->commands[job->command_count++];

    g_assert_cmpuint(job->command_count, <=, TEST_JOB_COMMANDS);
    command->opcode = opcode;
    return command;
}

struct lf_operand job_buffer(Job *job, const Buffer *buffer, uint64_t offset,
                             uint32_t stride)
{
    uint32_t index = 0;

    while (index < job->buffer_count && job->buffers[index] != buffer) {
        index++;
    }
    if (index == job->buffer_count) {
        g_assert_cmpuint(index, <, TEST_JOB_BUFFERS);
        job->buffers[job->buffer_count++] = buffer;
    }
    return (struct lf_operand){
        .space = LF_SPACE_BUFFER,
        .buffer = index,
        .stride = stride,
        .offset = offset,
    };
}

struct lf_operand job_scratch(uint64_t offset, uint32_t stride)
{
    return (struct lf_operand){
        .space = LF_SPACE_SCRATCH,
        .stride = stride,
        .offset = offset,
    };
}

void job_place(Device *device, uint32_t index, Job *job)
{
    Queue *queue = &device->queues[index];
    uint64_t commands = device_alloc(device, sizeof(job->commands));
    uint64_t buffers = device_alloc(device, LF_PAGE_BYTES);
    struct lf_submission entry;

    qtest_memwrite(device->qts, commands, job->commands,
                   job->command_count * sizeof(*job->commands));
    for (uint32_t i = 0; i < job->buffer_count; i++) {
        struct lf_buffer_entry buffer = {
            .pages = job->buffers[i]->list,
            .bytes = job->buffers[i]->bytes,
        };

        qtest_memwrite(device->qts, buffers + i * sizeof(buffer), &buffer,
                       sizeof(buffer));
    }
    job->submission.tag = queue->tail;
    entry = job->submission;
    entry.command_count = entry.command_count ?: job->command_count;
    entry.commands = entry.commands ?: commands;
    entry.buffer_count = job->buffer_count;
    entry.buffers = job->buffer_count ? buffers : 0;
    qtest_memwrite(device->qts,
                   queue->submissions + queue->tail * sizeof(entry), &entry,
                   sizeof(entry));
    queue->tail = (queue->tail + 1) % queue->entries;
}

void job_ring(Device *device, uint32_t index)
{
    device_write(device, DOORBELL(index), device->queues[index].tail);
}

struct lf_completion job_run(Device *device, uint32_t index, Job *job)
{
    struct lf_completion completion;

    job_place(device, index, job);
    job_ring(device, index);
    completion = queue_take(device, index);
    g_assert_cmpuint(completion.tag, ==, job->submission.tag);
    g_assert_cmpuint(completion.submission_head, ==,
                     device->queues[index].tail);
    return completion;
}

Job job_nothing(void)
{
    Job job = {};

    job_add(&job, LF_OP_BARRIER);
    return job;
}

void queue_expect_works(Device *device, uint32_t index)
{
    Job job = job_nothing();

    g_assert_cmpuint(job_run(device, index, &job).status, ==, LF_STATUS_OK);
}

uint32_t matrix_create(Device *device, uint32_t rows, uint32_t cols)
{
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_CREATE);
    struct lf_completion completion;

    command->first = rows;
    command->width = cols;
    command->rank = LF_FORMAT_INT8;
    completion = job_run(device, 0, &job);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    g_assert_cmpuint(completion.result, !=, 0);
    return completion.result;
}

struct lf_completion matrix_program(Device *device, uint32_t matrix,
                                    uint32_t first, uint32_t rows,
                                    uint32_t cols, const int8_t *weights)
{
    Buffer *buffer = buffer_new(device, (uint64_t)rows * cols);
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_PROGRAM);
    struct lf_completion completion;

    buffer_write(device, buffer, 0, weights, buffer->bytes);
    command->matrix = matrix;
    command->first = first;
    command->count = rows;
    command->input = job_buffer(&job, buffer, 0, cols);
    completion = job_run(device, 1, &job);
    buffer_free(buffer);
    return completion;
}

struct lf_completion matrix_command(Device *device, uint16_t opcode,
                                    uint32_t matrix)
{
    Job job = {};

    job_add(&job, opcode)->matrix = matrix;
    return job_run(device, 0, &job);
}

uint32_t matrix_new(Device *device, uint32_t rows, uint32_t cols,
                    const int8_t *weights)
{
    uint32_t matrix = matrix_create(device, rows, cols);
    struct lf_completion completion = matrix_program(device, matrix, 0, rows,
                                                     cols, weights);

    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    g_assert_cmpuint(completion.rows_done, ==, rows);
    completion = matrix_command(device, LF_OP_COMMIT, matrix);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    return matrix;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

void fill_weights(int8_t *weights, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        weights[i] = (int)(next_random(&seed) % 255) - 127;
    }
}

void fill_vector(float *values, size_t count, uint32_t seed)
{
    for (size_t i = 0; i < count; i++) {
        values[i] = ((int)(next_random(&seed) % 20001) - 10000) / 4096.0f;
    }
}

float quantise(const float *values, size_t count, int8_t *quantised)
{
    float largest = 0;
    float inverse;

    for (size_t i = 0; i < count; i++) {
        largest = MAX(largest, fabsf(values[i]));
    }
    g_assert_cmpfloat(largest, >, 0x1p-100f);
    inverse = 127.0f / largest;
    for (size_t i = 0; i < count; i++) {
        float rounded = rintf(values[i] * inverse);

        quantised[i] = MAX(-127.0f, MIN(127.0f, rounded));
    }
    return largest / 127.0f;
}
