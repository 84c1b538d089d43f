/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A driver that writes anything anywhere. Whatever it does, each job that is
 * on a sound ring gets a record with a known status, a reset brings the device
 * back, and QEMU stays alive. A run can be repeated with --seed and the seed
 * that is printed.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "device.h"

#define REGISTER_ROUNDS 4000
#define JOB_ROUNDS 1500

/* Cells with errors of every kind, and few of them that last. */
#define ANALOG                                                             \
    ",preset=wan2022,tiles=64,spare_weights=4,stuck_on=0.01,endurance=50," \
    "relax_sigma_slope=0.01,retention_s=1000000,ir_drop=fast,wire_mohm=1000"

#define ROWS 40
#define COLS 24
#define BATCH 3

static uint32_t random_below(uint32_t end)
{
    return g_test_rand_int_range(0, end);
}

/* Numbers that checks tend to get wrong. */
static uint64_t random_number(void)
{
    static const uint64_t edges[] = {
        0,          1,           2,         3,          4095,
        4096,       4097,        INT32_MAX, UINT32_MAX, UINT32_MAX - 3,
        1ull << 32, 1ull << 63,  INT64_MAX, UINT64_MAX, UINT64_MAX - 4095,
        1ull << 40, 0x100000000, UINT16_MAX
    };

    switch (random_below(3)) {
    case 0:
        return edges[random_below(ARRAY_SIZE(edges))];
    case 1:
        return random_below(64);
    default:
        return (uint64_t)(uint32_t)g_test_rand_int() << random_below(33);
    }
}

/* The noise may have raised the two faults that keep a reset from its work. */
static void reset(Device *device)
{
    g_assert_null(device_set_text(device, "fault-all-ones", "off"));
    g_assert_null(device_set_text(device, "fault-reset-fails", "off"));
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    device_wait(device, LF_REG_CONTROL, LF_CONTROL_RESET, 0);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        queue_open(device, i, TEST_RING_ENTRIES);
    }
}

static void expect_works(Device *device)
{
    for (uint32_t i = 0; i < TEST_QUEUES; i++) {
        queue_expect_works(device, i);
    }
}

static uint32_t random_register(void)
{
    switch (random_below(4)) {
    case 0:
        return LF_REG_CONTROL + 4 * random_below(14);
    case 1:
        return LF_REG_DOORBELL + 4 * random_below(2 * TEST_QUEUES + 2);
    case 2:
        return LF_REG_QUEUE + 4 * random_below(16 * (TEST_QUEUES + 1));
    default:
        return 4 * random_below(LF_REG_BYTES / 4);
    }
}

static void test_registers(void)
{
    Device *device = device_start_default(",debug=on");

    for (uint32_t i = 0; i < REGISTER_ROUNDS; i++) {
        uint32_t reg = random_register();

        switch (random_below(4)) {
        case 0:
            device_read(device, reg);
            break;
        case 1:
            qpci_io_writeq(device->pci, device->registers, reg & ~7,
                           random_number());
            break;
        default:
            device_write(device, reg, random_number());
        }
        if (i % 500 == 499) {
            reset(device);
            expect_works(device);
            /* Some of the noise is to meet a device at work. */
            device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
            device->next_page = 16 * 1024 * 1024;
        }
    }
    device_stop(device);
}

typedef struct Target {
    Device *device;
    uint32_t matrix;
    Buffer *in;
    Buffer *out;
} Target;

/* A sound job of a random kind. */
static Job sound_job(Target *target)
{
    static const uint16_t opcodes[] = {
        LF_OP_BARRIER, LF_OP_MVM,     LF_OP_MVM,      LF_OP_MVM,
        LF_OP_FUSE,    LF_OP_PROGRAM, LF_OP_READ,     LF_OP_CALIBRATE,
        LF_OP_CREATE,  LF_OP_COMMIT,  LF_OP_PUBLISH,  LF_OP_LIST,
        LF_OP_ACCOUNT, LF_OP_DELETE,  LF_OP_SANITIZE, LF_OP_REFRESH,
    };
    Job job = {};
    struct lf_command
        *command = job_add(&job, opcodes[random_below(ARRAY_SIZE(opcodes))]);

    job.submission.scratch_bytes = 4096;
    job.submission.flags = random_below(2);
    if (command->opcode != LF_OP_BARRIER) {
        command->matrix = target->matrix;
        command->count = BATCH;
        command->input = job_buffer(&job, target->in, 0, ROWS * sizeof(float));
        command->output = job_buffer(&job, target->out, 0,
                                     COLS * sizeof(float));
    }
    if (command->opcode == LF_OP_REFRESH) {
        job = (Job){ .command_count = 1 };
        command->opcode = LF_OP_REFRESH;
        command->matrix = target->matrix;
    }
    if (command->opcode == LF_OP_FUSE) {
        command->flags = LF_FUSE_AFFINE;
        command->width = COLS;
    }
    return job;
}

/* Change some bytes of @bytes, as numbers of a random width. */
static void damage(void *data, size_t bytes)
{
    for (uint32_t i = random_below(3); i > 0; i--) {
        size_t width = 1 << random_below(4);
        uint64_t number = random_number();

        memcpy((uint8_t *)data + random_below(bytes / width) * width, &number,
               width);
    }
}

/* An entry of a page list that is wrong, unless it is not. */
static void damage_list(Target *target, Buffer *buffer)
{
    const uint64_t pages[] = {
        buffer->pages[0], buffer->pages[0] + 8, target->device->registers.addr,
        1ull << 45,       0xfff00000,           UINT64_MAX & ~4095ull,
    };

    qtest_writeq(target->device->qts, buffer->list,
                 random_below(4) ? buffer->pages[0]
                                 : pages[random_below(ARRAY_SIZE(pages))]);
}

static void new_matrix(Target *target)
{
    int8_t weights[ROWS * COLS];

    fill_weights(weights, sizeof(weights), g_test_rand_int());
    target->matrix = matrix_new(target->device, ROWS, COLS, weights);
}

static void test_jobs(const void *options)
{
    Target target = { .device = device_start_default(options) };
    uint64_t first_page;

    target.in = buffer_new(target.device, 3 * LF_PAGE_BYTES);
    target.out = buffer_new(target.device, 3 * LF_PAGE_BYTES);
    first_page = target.device->next_page;
    for (uint32_t i = 0; i < JOB_ROUNDS; i++) {
        uint32_t queue = random_below(TEST_QUEUES);
        struct lf_completion completion;
        Job job;

        /* Earlier jobs may have deleted it. */
        if (i % 100 == 0) {
            Job sanitize = {};

            target.device->next_page = first_page;
            job_add(&sanitize, LF_OP_SANITIZE)->count = 64;
            job_run(target.device, 0, &sanitize);
            new_matrix(&target);
        }
        job = sound_job(&target);
        damage(&job.commands[0], sizeof(job.commands[0]));
        damage(&job.submission, sizeof(job.submission));
        damage_list(&target, target.in);
        damage_list(&target, target.out);
        job_place(target.device, queue, &job);
        job_ring(target.device, queue);
        completion = queue_take(target.device, queue);
        g_assert_cmpuint(completion.tag, ==, job.submission.tag);
        g_assert_cmpuint(completion.status, <=, LF_STATUS_OVERLAP);
        g_assert_cmpuint(completion.status, !=, LF_STATUS_INTERNAL);
    }
    expect_works(target.device);
    buffer_free(target.in);
    buffer_free(target.out);
    device_stop(target.device);
}

/* Every page of a large buffer is one page: what is small for a guest is not for its host. */
static Buffer *repeated_page(Device *device, uint64_t bytes)
{
    Buffer *buffer = g_new0(Buffer, 1);
    uint64_t page = device_alloc(device, LF_PAGE_BYTES);
    g_autofree uint64_t *list = NULL;

    buffer->bytes = bytes;
    buffer->page_count = bytes / LF_PAGE_BYTES;
    buffer->list = device_alloc(device, buffer->page_count * sizeof(*list));
    list = g_new(uint64_t, buffer->page_count);
    for (uint32_t i = 0; i < buffer->page_count; i++) {
        list[i] = cpu_to_le64(page);
    }
    qtest_bufwrite(device->qts, buffer->list, list,
                   buffer->page_count * sizeof(*list));
    return buffer;
}

#define WIDE 16384
#define WIDE_BATCH 1024
#define WIDE_BYTES (WIDE * sizeof(float))

/* Jobs of 64 MiB a command; eight of them and their scales are too much. */
static void test_amplified(void)
{
    Device *device = device_start_default("");
    uint64_t operand = WIDE_BATCH * WIDE_BYTES;
    Buffer *buffer = repeated_page(device, operand + LF_PAGE_BYTES);
    Job job = {};

    g_assert_cmpuint(device_read(device, LF_REG_JOB_BYTES), ==, 8 * operand);
    job.submission.scratch_bytes = operand;
    for (uint32_t i = 0; i < TEST_JOB_COMMANDS; i++) {
        struct lf_command *command = job_add(&job, LF_OP_FUSE);

        command->flags = LF_FUSE_AFFINE;
        command->count = WIDE_BATCH;
        command->width = WIDE;
        command->input = job_buffer(&job, buffer, 4 * i, WIDE_BYTES);
        command->output = job_scratch(0, WIDE_BYTES);
        command->scale = job_buffer(&job, buffer, 0, 0);
        if (i == 1) {
            Job small = job;

            g_assert_cmpuint(job_run(device, 1, &small).status, ==,
                             LF_STATUS_OK);
        }
    }
    g_assert_cmpuint(job_run(device, 1, &job).status, ==, LF_STATUS_INVALID);
    expect_works(device);
    g_free(buffer);
    device_stop(device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/hostile/registers", test_registers);
    qtest_add_data_func("/lf-accel/hostile/jobs", "", test_jobs);
    qtest_add_data_func("/lf-accel/hostile/jobs-analog", ANALOG, test_jobs);
    qtest_add_func("/lf-accel/hostile/amplified", test_amplified);
    return g_test_run();
}
