/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device whose jobs take the guest as long as they would take the hardware:
 * records come when the virtual clock has seen their modelled time, which moves
 * only as far as a test steps it.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "device.h"

#define ROWS 128
#define COLS 16
#define BATCH 20

typedef struct Fixture {
    Device *device;
    uint32_t matrix;
    Buffer *in;
    Buffer *out;
    uint64_t busy_ns; /* of one of its products */
} Fixture;

static void submit(Fixture *fixture, uint32_t queue)
{
    Device *device = fixture->device;
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);

    command->matrix = fixture->matrix;
    command->count = BATCH;
    command->input = job_buffer(&job, fixture->in, 0, ROWS * sizeof(float));
    command->output = job_buffer(&job, fixture->out, 0, COLS * sizeof(float));
    job_place(device, queue, &job);
    job_ring(device, queue);
}

/* Wait until the model has calculated @jobs in all. */
static void wait_calculated(Device *device, uint64_t jobs)
{
    while (device_telemetry(device).jobs < jobs) {
        g_usleep(100);
    }
    g_usleep(1000);
}

static uint64_t jobs_done(Device *device)
{
    return device_telemetry(device).jobs;
}

/* With a slow clock by hand: each step takes a job to its end. */
static void setup(Fixture *fixture, const char *options)
{
    int8_t weights[ROWS * COLS];
    float vectors[BATCH * ROWS];
    g_autofree char *paced = g_strconcat(",tiles=64", options, NULL);
    struct lf_telemetry_block before;
    Device *device;

    device = device_start_default("");
    fill_weights(weights, sizeof(weights), 71);
    fixture->matrix = matrix_new(device, ROWS, COLS, weights);
    /* The matrix travels to a machine that is paced. */
    device = device_move(device, "memory-backend-ram,size=64M", paced);
    fixture->device = device;
    fixture->in = buffer_new(device, sizeof(vectors));
    fixture->out = buffer_new(device, BATCH * COLS * sizeof(float));
    fill_vector(vectors, BATCH * ROWS, 72);
    buffer_write(device, fixture->in, 0, vectors, sizeof(vectors));

    before = device_telemetry(device);
    submit(fixture, 1);
    wait_calculated(device, before.jobs + 1);
    fixture->busy_ns = device_telemetry(device).busy_ns - before.busy_ns;
    g_assert_cmpuint(fixture->busy_ns, >, 1000);
    qtest_clock_step(device->qts, 1000 * fixture->busy_ns);
    g_assert_cmpuint(queue_take(device, 1).busy_ns, ==, fixture->busy_ns);
}

static void teardown(Fixture *fixture)
{
    buffer_free(fixture->in);
    buffer_free(fixture->out);
    device_stop(fixture->device);
}

static void expect_record_after(Fixture *fixture, uint32_t queue,
                                uint64_t nanoseconds)
{
    Device *device = fixture->device;

    qtest_clock_step(device->qts, nanoseconds - 1);
    g_assert_false(queue_has_record(device, queue));
    g_assert_cmphex(queue_state(device, queue), ==,
                    LF_QUEUE_ENABLED | LF_QUEUE_RUNNING);
    qtest_clock_step(device->qts, 1);
    g_assert_true(queue_has_record(device, queue));
    queue_take(device, queue);
}

/* One queue: a job at a time. */
static void test_order(void)
{
    Fixture fixture;
    Device *device;
    uint64_t jobs;

    setup(&fixture, ",pacing=on");
    device = fixture.device;
    jobs = jobs_done(device);
    submit(&fixture, 1);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 1);
    expect_record_after(&fixture, 1, fixture.busy_ns);
    wait_calculated(device, jobs + 2);
    expect_record_after(&fixture, 1, fixture.busy_ns);
    g_assert_cmphex(queue_state(device, 1), ==, LF_QUEUE_ENABLED);

    /* Time that has passed in between is not made up for. */
    qtest_clock_step(device->qts, 10 * fixture.busy_ns);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 3);
    expect_record_after(&fixture, 1, fixture.busy_ns);
    teardown(&fixture);
}

/* Two queues: both are calculated at once, their modelled times add up. */
static void test_queues(void)
{
    Fixture fixture;
    Device *device;
    uint64_t jobs;

    setup(&fixture, ",pacing=on");
    device = fixture.device;
    jobs = jobs_done(device);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 1);
    submit(&fixture, 2);
    wait_calculated(device, jobs + 2);
    expect_record_after(&fixture, 1, fixture.busy_ns);
    expect_record_after(&fixture, 2, fixture.busy_ns);

    /* A barrier waits for the record of the other queue. */
    jobs = jobs_done(device);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 1);
    {
        Job job = job_nothing();

        job_place(device, 2, &job);
        job_ring(device, 2);
    }
    g_usleep(20000);
    qtest_clock_step(device->qts, fixture.busy_ns - 1);
    g_usleep(20000);
    g_assert_false(queue_has_record(device, 2));
    qtest_clock_step(device->qts, 1);
    queue_take(device, 1);
    queue_take(device, 2);
    teardown(&fixture);
}

static void test_factor(void)
{
    Fixture fixture;
    uint64_t jobs;

    setup(&fixture, ",pacing=7");
    jobs = jobs_done(fixture.device);
    submit(&fixture, 2);
    wait_calculated(fixture.device, jobs + 1);
    expect_record_after(&fixture, 2, 7 * fixture.busy_ns);
    teardown(&fixture);
}

/* A job that is ended while its record waits has none, anywhere on the ring. */
static void test_ended(void)
{
    uint8_t before[TEST_RING_ENTRIES * sizeof(struct lf_completion)];
    uint8_t after[sizeof(before)];
    Fixture fixture;
    Device *device;
    uint64_t jobs;

    setup(&fixture, ",pacing=on");
    device = fixture.device;
    jobs = jobs_done(device);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 1);
    qtest_memread(device->qts, device->queues[1].completions, before,
                  sizeof(before));
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    g_assert_cmphex(queue_state(device, 1), ==, 0);
    qtest_clock_step(device->qts, 10 * fixture.busy_ns);
    qtest_memread(device->qts, device->queues[1].completions, after,
                  sizeof(after));
    g_assert_cmpmem(before, sizeof(before), after, sizeof(after));

    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    queue_open(device, 1, TEST_RING_ENTRIES);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 2);
    device_write(device, LF_REG_CONTROL, LF_CONTROL_RESET);
    qtest_clock_step(device->qts, 10 * fixture.busy_ns);
    g_assert_false(queue_has_record(device, 1));
    /* Nothing of it is left: the next job begins at once. */
    device_write(device, LF_REG_CONTROL, LF_CONTROL_ENABLE);
    queue_open(device, 1, TEST_RING_ENTRIES);
    submit(&fixture, 1);
    wait_calculated(device, jobs + 3);
    expect_record_after(&fixture, 1, fixture.busy_ns);
    teardown(&fixture);
}

/* The record waits in the machine that it was moved to. */
static void test_moved(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64,pacing=on";
    Fixture fixture;
    uint64_t jobs;

    setup(&fixture, ",pacing=on");
    /* Clocks of qtest machines begin at zero: go there, and no further. */
    fixture.device = device_move(fixture.device, memory, options);
    jobs = jobs_done(fixture.device);
    submit(&fixture, 1);
    wait_calculated(fixture.device, jobs + 1);
    fixture.device = device_move(fixture.device, memory, options);
    g_assert_cmphex(queue_state(fixture.device, 1), ==,
                    LF_QUEUE_ENABLED | LF_QUEUE_RUNNING);
    g_assert_false(queue_has_record(fixture.device, 1));
    qtest_clock_step(fixture.device->qts, 2000 * fixture.busy_ns);
    g_assert_cmpuint(queue_take(fixture.device, 1).busy_ns, ==,
                     fixture.busy_ns);
    g_assert_cmphex(queue_state(fixture.device, 1), ==, LF_QUEUE_ENABLED);
    /* It was not calculated again. */
    g_assert_cmpuint(jobs_done(fixture.device), ==, jobs + 1);
    teardown(&fixture);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/pacing/order", test_order);
    qtest_add_func("/lf-accel/pacing/queues", test_queues);
    qtest_add_func("/lf-accel/pacing/factor", test_factor);
    qtest_add_func("/lf-accel/pacing/ended", test_ended);
    qtest_add_func("/lf-accel/pacing/moved", test_moved);
    return g_test_run();
}
