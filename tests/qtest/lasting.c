/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives a process: cells in a file from one start to the next, and the
 * whole device in a saved machine.
 */
#include "qemu/osdep.h"
#include <glib/gstdio.h>
#include "qemu/bswap.h"
#include "device.h"

#define ROWS 64
#define COLS 16

#define FILE_BYTES (64u << 20)

static char *file_backend(const char *file)
{
    return g_strdup_printf("memory-backend-file,size=%u,mem-path=%s,share=on",
                           FILE_BYTES, file);
}

/* One vector of 1, 2, 3 ... through the matrix. */
static void multiply(Device *device, uint32_t matrix, float *result)
{
    Buffer *in = buffer_new(device, ROWS * sizeof(float));
    Buffer *out = buffer_new(device, COLS * sizeof(float));
    float vector[ROWS];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);

    for (int i = 0; i < ROWS; i++) {
        vector[i] = i + 1;
    }
    buffer_write(device, in, 0, vector, sizeof(vector));
    command->matrix = matrix;
    command->count = 1;
    command->input = job_buffer(&job, in, 0, sizeof(vector));
    command->output = job_buffer(&job, out, 0, COLS * sizeof(float));
    g_assert_cmpuint(job_run(device, 2, &job).status, ==, LF_STATUS_OK);
    buffer_read(device, out, 0, result, COLS * sizeof(float));
    buffer_free(in);
    buffer_free(out);
}

static void test_restart(const void *options)
{
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "cells", NULL);
    g_autofree char *memory = file_backend(file);
    int8_t weights[ROWS * COLS];
    float before[COLS];
    float after[COLS];
    uint64_t written;
    uint32_t matrix;
    Device *device = device_start(memory, options);

    fill_weights(weights, sizeof(weights), 21);
    matrix = matrix_new(device, ROWS, COLS, weights);
    multiply(device, matrix, before);
    written = device_telemetry(device).cells_written;
    g_assert_cmpuint(written, >=, ROWS * COLS);
    device_stop(device);

    device = device_start(memory, options);
    multiply(device, matrix, after);
    g_assert_cmpmem(before, sizeof(before), after, sizeof(after));
    g_assert_cmpuint(device_telemetry(device).cells_written, ==, written);
    device_stop(device);
    g_unlink(file);
    g_rmdir(folder);
}

static void test_save(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64,debug=on";
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "state", NULL);
    int8_t weights[ROWS * COLS];
    float before[COLS];
    float after[COLS];
    struct lf_telemetry_block telemetry;
    struct lf_telemetry_block moved;
    Job hanging = job_nothing();
    Job waiting = job_nothing();
    uint32_t matrix;
    Device *device = device_start(memory, options);

    fill_weights(weights, sizeof(weights), 22);
    matrix = matrix_new(device, ROWS, COLS, weights);
    /* Queue 2 is in the middle of its second pass after that. */
    for (int i = 0; i < 5; i++) {
        multiply(device, matrix, before);
    }
    device_write(device, LF_REG_IRQ_MASK, 0xa);
    device_write(device, LF_REG_INJECT, LF_INJECT_HANG_JOB);
    job_place(device, 1, &hanging);
    job_ring(device, 1);
    device_wait(device, LF_REG_INJECT, ~0u, 0);
    job_place(device, 0, &waiting);
    job_ring(device, 0);
    device_write(device, LF_REG_INJECT, LF_INJECT_FAIL_JOB);
    telemetry = device_telemetry(device);

    device_save(device, file, "completed");
    device = device_load(device, memory, options, file);
    g_assert_cmphex(device_read(device, LF_REG_IRQ_MASK), ==, 0xa);
    g_assert_cmphex(device_read(device, LF_REG_INJECT), ==,
                    1 << LF_INJECT_FAIL_JOB);
    hanging = job_nothing();
    g_assert_cmpuint(job_run(device, 2, &hanging).status, ==,
                     LF_STATUS_INTERNAL);
    moved = device_telemetry(device);
    g_assert_cmpmem(&moved, sizeof(moved), &telemetry, sizeof(telemetry));
    multiply(device, matrix, after);
    g_assert_cmpmem(before, sizeof(before), after, sizeof(after));

    /* What hung still does, and what waits for it still waits. */
    g_usleep(50000);
    g_assert_false(queue_has_record(device, 1));
    g_assert_false(queue_has_record(device, 0));
    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    g_assert_cmpuint(queue_take(device, 0).status, ==, LF_STATUS_OK);
    device_stop(device);
    g_unlink(file);
    g_rmdir(folder);
}

/* The positions of queue 2 in the stream @file become numbers without sense. */
static void spoil_positions(Device *device, const char *file)
{
    g_autofree uint8_t *stream = NULL;
    uint8_t window[16];
    uint8_t *found;
    gsize bytes;

    stq_be_p(window, device->queues[2].submissions);
    stq_be_p(window + 8, device->queues[2].completions);
    g_assert_true(g_file_get_contents(file, (char **)&stream, &bytes, NULL));
    found = memmem(stream, bytes, window, sizeof(window));
    g_assert_nonnull(found);
    /* Behind the entries and four bytes that are true or false. */
    for (int i = 0; i < 4; i++) {
        stl_be_p(found + sizeof(window) + 8 + 4 * i, 0x0fffff00);
    }
    g_assert_true(g_file_set_contents(file, (const char *)stream, bytes, NULL));
}

/* What a stream says of the rings of a disabled queue has no effect. */
static void test_disabled(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64";
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "state", NULL);
    Device *device = device_start(memory, options);

    queue_expect_works(device, 2);
    device_write(device, WINDOW(2, LF_QUEUE_CONTROL), 0);
    device_save(device, file, "completed");
    spoil_positions(device, file);
    device = device_load(device, memory, options, file);
    queue_open(device, 2, TEST_RING_ENTRIES);
    queue_expect_works(device, 2);
    queue_expect_works(device, 1);
    device_stop(device);
    g_unlink(file);
    g_rmdir(folder);
}

/* A stream with a temperature that nobody can set is refused. */
static void test_temperature(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64,temperature_mc=43217";
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "state", NULL);
    g_autofree char *source = g_strdup_printf("exec:cat %s", file);
    g_autofree uint8_t *stream = NULL;
    Device *device = device_start(memory, options);
    uint8_t temperature[4];
    uint32_t spoiled = 0;
    gsize bytes;

    device_save(device, file, "completed");
    device_stop(device);
    stl_be_p(temperature, 43217);
    g_assert_true(g_file_get_contents(file, (char **)&stream, &bytes, NULL));
    for (uint8_t *at = stream;
         (at = memmem(at, stream + bytes - at, temperature, 4)); at += 4) {
        stl_be_p(at, 150001);
        spoiled++;
    }
    g_assert_cmpuint(spoiled, ==, 1);
    g_assert_true(g_file_set_contents(file, (const char *)stream, bytes, NULL));
    device = device_start_bare(memory, options, "-incoming defer");
    qtest_set_expected_status(device->qts, EXIT_FAILURE);
    qtest_qmp_assert_success(
        device->qts,
        "{'execute': 'migrate-incoming', 'arguments': {'uri': %s}}", source);
    while (qtest_probe_child(device->qts)) {
        g_usleep(10000);
    }
    device_stop(device);
    g_unlink(file);
    g_rmdir(folder);
}

/* A matrix in the making stays where it is, and works on there. */
static void test_torn(void)
{
    const char *memory = "memory-backend-ram,size=64M";
    const char *options = ",tiles=64";
    g_autofree char *folder = test_folder();
    g_autofree char *file = g_build_filename(folder, "state", NULL);
    int8_t weights[ROWS * COLS];
    Device *device = device_start(memory, options);
    uint32_t matrix = matrix_create(device, ROWS, COLS);
    float result[COLS];

    fill_weights(weights, sizeof(weights), 23);
    g_assert_cmpuint(matrix_program(device, matrix, 0, ROWS / 2, COLS, weights)
                         .status,
                     ==, LF_STATUS_OK);
    device_save(device, file, "failed");
    g_assert_cmpuint(matrix_program(device, matrix, ROWS / 2, ROWS / 2, COLS,
                                    weights + ROWS / 2 * COLS)
                         .status,
                     ==, LF_STATUS_OK);
    g_assert_cmpuint(matrix_command(device, LF_OP_COMMIT, matrix).status, ==,
                     LF_STATUS_OK);
    device_save(device, file, "completed");
    device = device_load(device, memory, options, file);
    multiply(device, matrix, result);
    device_stop(device);
    g_unlink(file);
    g_rmdir(folder);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_data_func("/lf-accel/lasting/restart", ",tiles=64", test_restart);
    qtest_add_data_func("/lf-accel/lasting/restart-durable",
                        ",tiles=64,durable=on", test_restart);
    qtest_add_func("/lf-accel/lasting/save", test_save);
    qtest_add_func("/lf-accel/lasting/disabled", test_disabled);
    qtest_add_func("/lf-accel/lasting/temperature", test_temperature);
    qtest_add_func("/lf-accel/lasting/torn", test_torn);
    return g_test_run();
}
