/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The work commands, one test each, on a device that loses nothing. What is
 * expected is computed here from the number formats of lf_hw.h and compared to
 * the bit.
 */
#include "qemu/osdep.h"
#include <math.h>
#include "qemu/host-utils.h"
#include "device.h"

/* Two rows of tiles and two columns of tiles, neither of them full. */
#define ROWS 150
#define COLS 40
#define BATCH 5

typedef struct Fixture {
    Device *device;
    uint32_t matrix;
    int8_t weights[ROWS * COLS];
    float forward[BATCH * ROWS];
    float backward[BATCH * COLS];
} Fixture;

static void setup(Fixture *fixture)
{
    fixture->device = device_start_default("");
    fill_weights(fixture->weights, ROWS * COLS, 7);
    fill_vector(fixture->forward, BATCH * ROWS, 8);
    fill_vector(fixture->backward, BATCH * COLS, 9);
    fixture->matrix = matrix_new(fixture->device, ROWS, COLS, fixture->weights);
}

static Buffer *buffer_with(Device *device, const void *data, uint64_t bytes)
{
    Buffer *buffer = buffer_new(device, bytes);

    buffer_write(device, buffer, 0, data, bytes);
    return buffer;
}

static void expect_floats(Device *device, const Buffer *buffer,
                          const float *expected, size_t count)
{
    g_autofree float *found = g_new(float, count);

    buffer_read(device, buffer, 0, found, count * sizeof(float));
    for (size_t i = 0; i < count; i++) {
        g_assert_cmpfloat(found[i], ==, expected[i]);
    }
}

/* y[c] = (float)sum_r q[r] w[r][c] * s */
static void multiply(const int8_t *weights, const float *x, float *y)
{
    int8_t q[ROWS];
    float s = quantise(x, ROWS, q);

    for (int c = 0; c < COLS; c++) {
        int32_t sum = 0;

        for (int r = 0; r < ROWS; r++) {
            sum += q[r] * weights[r * COLS + c];
        }
        y[c] = (float)sum * s;
    }
}

static void multiply_transposed(const int8_t *weights, const float *x, float *y)
{
    int8_t q[COLS];
    float s = quantise(x, COLS, q);

    for (int r = 0; r < ROWS; r++) {
        int32_t sum = 0;

        for (int c = 0; c < COLS; c++) {
            sum += q[c] * weights[r * COLS + c];
        }
        y[r] = (float)sum * s;
    }
}

static struct lf_completion expect_ok(Device *device, Job *job)
{
    struct lf_completion completion = job_run(device, 1, job);

    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    return completion;
}

static void test_program(void)
{
    Device *device = device_start_default("");
    int8_t weights[ROWS * COLS];
    uint32_t matrix = matrix_create(device, ROWS, COLS);
    struct lf_completion completion;

    fill_weights(weights, sizeof(weights), 10);
    completion = matrix_program(device, matrix, 0, 10, COLS, weights);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    g_assert_cmpuint(completion.rows_done, ==, 10);
    g_assert_cmpuint(completion.cells_written, >=, 10 * COLS);
    g_assert_cmpuint(completion.energy_aj[LF_ENERGY_PROGRAM], >, 0);

    /* Each row once, rows that exist, and -128 is no weight. */
    g_assert_cmpuint(matrix_program(device, matrix, 9, 2, COLS, weights).status,
                     !=, LF_STATUS_OK);
    g_assert_cmpuint(matrix_program(device, matrix, ROWS - 1, 2, COLS, weights)
                         .status,
                     ==, LF_STATUS_INVALID);
    weights[0] = -128;
    completion = matrix_program(device, matrix, 10, 1, COLS, weights);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_INVALID);
    g_assert_cmpuint(completion.cells_written, ==, 0);
    device_stop(device);
}

static void test_read(void)
{
    Fixture fixture;
    Buffer *out;
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_READ);
    int8_t found[20 * COLS];

    setup(&fixture);
    out = buffer_new(fixture.device, sizeof(found));
    command->matrix = fixture.matrix;
    command->first = 120;
    command->count = 20;
    command->output = job_buffer(&job, out, 0, COLS);
    g_assert_cmpuint(job_run(fixture.device, 1, &job).status, ==,
                     LF_STATUS_DENIED);
    job.submission.flags = LF_JOB_PRIVILEGED;
    expect_ok(fixture.device, &job);
    buffer_read(fixture.device, out, 0, found, sizeof(found));
    g_assert_cmpmem(found, sizeof(found), fixture.weights + 120 * COLS,
                    20 * COLS);
    buffer_free(out);
    device_stop(fixture.device);
}

static void test_calibrate(void)
{
    Fixture fixture;
    Buffer *in;
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_CALIBRATE);
    struct lf_completion completion;

    setup(&fixture);
    in = buffer_with(fixture.device, fixture.forward, sizeof(fixture.forward));
    command->matrix = fixture.matrix;
    command->count = BATCH;
    command->input = job_buffer(&job, in, 0, ROWS * sizeof(float));
    completion = expect_ok(fixture.device, &job);
    g_assert_true(is_power_of_2(completion.result));
    buffer_free(in);
    device_stop(fixture.device);
}

static void test_mvm_forward(void)
{
    Fixture fixture;
    Buffer *in;
    Buffer *out;
    float expected[BATCH * COLS];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);
    struct lf_completion completion;

    setup(&fixture);
    in = buffer_with(fixture.device, fixture.forward, sizeof(fixture.forward));
    out = buffer_new(fixture.device, sizeof(expected));
    command->matrix = fixture.matrix;
    command->count = BATCH;
    command->input = job_buffer(&job, in, 0, ROWS * sizeof(float));
    command->output = job_buffer(&job, out, 0, COLS * sizeof(float));
    completion = expect_ok(fixture.device, &job);
    g_assert_cmpuint(completion.mvm_count, ==, BATCH);
    g_assert_cmpuint(completion.mac_count, ==, BATCH * ROWS * COLS);
    g_assert_cmpuint(completion.energy_aj[LF_ENERGY_ADC], >, 0);
    g_assert_cmpuint(completion.busy_ns, >, 0);
    g_assert_cmpuint(completion.clips, ==, 0);
    g_assert_cmpuint(completion.cells_written, ==, 0);
    for (int i = 0; i < BATCH; i++) {
        multiply(fixture.weights, fixture.forward + i * ROWS,
                 expected + i * COLS);
    }
    expect_floats(fixture.device, out, expected, BATCH * COLS);
    buffer_free(in);
    buffer_free(out);
    device_stop(fixture.device);
}

static void test_mvm_transpose(void)
{
    Fixture fixture;
    Buffer *in;
    Buffer *out;
    float expected[BATCH * ROWS];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);

    setup(&fixture);
    in = buffer_with(fixture.device, fixture.backward,
                     sizeof(fixture.backward));
    out = buffer_new(fixture.device, sizeof(expected));
    command->flags = LF_MVM_TRANSPOSE;
    command->matrix = fixture.matrix;
    command->count = BATCH;
    command->input = job_buffer(&job, in, 0, COLS * sizeof(float));
    command->output = job_buffer(&job, out, 0, ROWS * sizeof(float));
    expect_ok(fixture.device, &job);
    for (int i = 0; i < BATCH; i++) {
        multiply_transposed(fixture.weights, fixture.backward + i * COLS,
                            expected + i * ROWS);
    }
    expect_floats(fixture.device, out, expected, BATCH * ROWS);
    buffer_free(in);
    buffer_free(out);
    device_stop(fixture.device);
}

/*
 * int8 input, scale per column, bias; vectors that begin behind the first page
 * of their buffers, cross pages and have gaps between them.
 */
static void test_mvm_int8(void)
{
    const uint32_t in_offset = 2 * LF_PAGE_BYTES + 1;
    const uint32_t in_stride = LF_PAGE_BYTES + ROWS - 20;
    const uint32_t out_offset = LF_PAGE_BYTES - 8;
    const uint32_t out_stride = LF_PAGE_BYTES - 4;
    const float step = 0.015625f;
    Fixture fixture;
    int8_t input[BATCH * ROWS];
    float scale[COLS];
    float bias[COLS];
    g_autofree uint8_t *expected = NULL;
    g_autofree uint8_t *found = NULL;
    Buffer *in;
    Buffer *out;
    Buffer *vectors;
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);

    setup(&fixture);
    fill_weights(input, sizeof(input), 11);
    fill_vector(scale, COLS, 12);
    fill_vector(bias, COLS, 13);
    in = buffer_new(fixture.device, in_offset + BATCH * in_stride);
    out = buffer_new(fixture.device, out_offset + BATCH * out_stride);
    vectors = buffer_new(fixture.device, sizeof(scale) + sizeof(bias));
    for (int i = 0; i < BATCH; i++) {
        buffer_write(fixture.device, in, in_offset + i * in_stride,
                     input + i * ROWS, ROWS);
    }
    buffer_write(fixture.device, vectors, 0, scale, sizeof(scale));
    buffer_write(fixture.device, vectors, sizeof(scale), bias, sizeof(bias));
    command->flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;
    memcpy(&command->fixed_scale, &step, sizeof(step));
    command->matrix = fixture.matrix;
    command->count = BATCH;
    command->input = job_buffer(&job, in, in_offset, in_stride);
    command->output = job_buffer(&job, out, out_offset, out_stride);
    command->scale = job_buffer(&job, vectors, 0, 0);
    command->bias = job_buffer(&job, vectors, sizeof(scale), 0);
    expect_ok(fixture.device, &job);

    /* The gaps too: they must still be zero. */
    expected = g_malloc0(out->bytes);
    found = g_malloc(out->bytes);
    for (int i = 0; i < BATCH; i++) {
        for (int c = 0; c < COLS; c++) {
            int32_t sum = 0;
            float value;

            for (int r = 0; r < ROWS; r++) {
                sum += input[i * ROWS + r] * fixture.weights[r * COLS + c];
            }
            value = (float)sum * step;
            value = value * scale[c];
            value = value + bias[c];
            memcpy(expected + out_offset + i * out_stride + c * sizeof(float),
                   &value, sizeof(value));
        }
    }
    buffer_read(fixture.device, out, 0, found, out->bytes);
    g_assert_cmpmem(found, out->bytes, expected, out->bytes);
    buffer_free(in);
    buffer_free(out);
    buffer_free(vectors);
    device_stop(fixture.device);
}

/* A second product added to the first in scratch, then copied out. */
static void test_mvm_accumulate(void)
{
    Fixture fixture;
    Buffer *in;
    Buffer *out;
    float expected[BATCH * COLS];
    Job job = {};
    struct lf_command *command;

    setup(&fixture);
    in = buffer_with(fixture.device, fixture.forward, sizeof(fixture.forward));
    out = buffer_new(fixture.device, sizeof(expected));
    job.submission.scratch_bytes = sizeof(expected);
    for (int i = 0; i < 2; i++) {
        command = job_add(&job, LF_OP_MVM);
        command->flags = i ? LF_MVM_ACCUMULATE : 0;
        command->matrix = fixture.matrix;
        command->count = BATCH;
        command->input = job_buffer(&job, in, 0, ROWS * sizeof(float));
        command->output = job_scratch(0, COLS * sizeof(float));
    }
    command = job_add(&job, LF_OP_FUSE);
    command->flags = LF_FUSE_AFFINE;
    command->count = BATCH;
    command->width = COLS;
    command->input = job_scratch(0, COLS * sizeof(float));
    command->output = job_buffer(&job, out, 0, COLS * sizeof(float));
    expect_ok(fixture.device, &job);
    for (int i = 0; i < BATCH; i++) {
        multiply(fixture.weights, fixture.forward + i * ROWS,
                 expected + i * COLS);
        for (int c = 0; c < COLS; c++) {
            expected[i * COLS + c] += expected[i * COLS + c];
        }
    }
    expect_floats(fixture.device, out, expected, BATCH * COLS);
    buffer_free(in);
    buffer_free(out);
    device_stop(fixture.device);
}

static void test_fuse(void)
{
    enum { GROUPS = 6, RANK = 4, WIDTH = GROUPS * RANK };
    Device *device = device_start_default("");
    float x[WIDTH];
    float c[GROUPS];
    float sums[WIDTH];
    float products[WIDTH];
    Buffer *in;
    Buffer *coefficients;
    Buffer *out[2];
    Job job = {};

    fill_vector(x, WIDTH, 14);
    fill_vector(c, GROUPS, 15);
    in = buffer_with(device, x, sizeof(x));
    coefficients = buffer_with(device, c, sizeof(c));
    for (int i = 0; i < 2; i++) {
        struct lf_command *command = job_add(&job, LF_OP_FUSE);

        out[i] = buffer_new(device, sizeof(x));
        command->flags = i ? LF_FUSE_PRODUCT : LF_FUSE_SUM;
        command->count = 1;
        command->width = WIDTH;
        command->rank = RANK;
        command->input = job_buffer(&job, in, 0, sizeof(x));
        command->output = job_buffer(&job, out[i], 0, sizeof(x));
        command->scale = job_buffer(&job, coefficients, 0, 0);
    }
    expect_ok(device, &job);
    for (int k = 0; k < RANK; k++) {
        float u = 0;

        for (int i = 0; i < GROUPS; i++) {
            sums[i * RANK + k] = c[i] * x[i * RANK + k];
            u = i ? u + sums[i * RANK + k] : sums[k];
        }
        for (int i = 0; i < GROUPS; i++) {
            products[i * RANK + k] = c[i] * u;
        }
    }
    expect_floats(device, out[0], sums, WIDTH);
    expect_floats(device, out[1], products, WIDTH);
    buffer_free(in);
    buffer_free(coefficients);
    buffer_free(out[0]);
    buffer_free(out[1]);
    device_stop(device);
}

/* Rows far apart, each across the end of a page. */
static void test_sparse(void)
{
    enum { WIDTH = 8, COUNT = 3, STRIDE = 72 * 1024, OFFSET = 4096 - 8 };
    Device *device = device_start_default("");
    Buffer *in = buffer_new(device, OFFSET + COUNT * STRIDE);
    Buffer *out = buffer_new(device, OFFSET + COUNT * STRIDE);
    g_autofree uint8_t *expected = g_malloc0(out->bytes);
    g_autofree uint8_t *found = g_malloc(out->bytes);
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_FUSE);

    for (int i = 0; i < COUNT; i++) {
        float x[WIDTH];

        fill_vector(x, WIDTH, 40 + i);
        buffer_write(device, in, OFFSET + i * STRIDE, x, sizeof(x));
        memcpy(expected + OFFSET + i * STRIDE, x, sizeof(x));
    }
    command->flags = LF_FUSE_AFFINE;
    command->count = COUNT;
    command->width = WIDTH;
    command->input = job_buffer(&job, in, OFFSET, STRIDE);
    command->output = job_buffer(&job, out, OFFSET, STRIDE);
    expect_ok(device, &job);
    buffer_read(device, out, 0, found, out->bytes);
    g_assert_cmpmem(found, out->bytes, expected, out->bytes);
    buffer_free(in);
    buffer_free(out);
    device_stop(device);
}

/*
 * A job with a barrier waits for a job of another queue that was submitted
 * earlier and hangs; one without a barrier does not.
 */
static void test_barrier(void)
{
    Device *device = device_start_default(",debug=on");
    Job hanging = {};
    Job free = {};
    Job waiting = {};

    job_add(&hanging, LF_OP_BARRIER);
    device_write(device, LF_REG_INJECT, LF_INJECT_HANG_JOB);
    job_place(device, 1, &hanging);
    job_ring(device, 1);
    device_wait(device, LF_REG_INJECT, ~0u, 0);

    job_add(&free, LF_OP_SANITIZE)->count = 1;
    g_assert_cmpuint(job_run(device, 0, &free).status, ==, LF_STATUS_OK);

    job_add(&waiting, LF_OP_BARRIER);
    job_place(device, 2, &waiting);
    job_ring(device, 2);
    g_usleep(100000);
    g_assert_false(queue_has_record(device, 2));

    device_write(device, WINDOW(1, LF_QUEUE_CONTROL), 0);
    g_assert_cmpuint(queue_take(device, 2).status, ==, LF_STATUS_OK);
    device_stop(device);
}

static void test_refused(void)
{
    Fixture fixture;
    Buffer *in;
    Buffer *out;
    float bad[BATCH * ROWS];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_MVM);
    struct lf_completion completion;
    float before[BATCH * COLS];

    setup(&fixture);
    memcpy(bad, fixture.forward, sizeof(bad));
    bad[BATCH * ROWS - 1] = NAN;
    in = buffer_with(fixture.device, bad, sizeof(bad));
    fill_vector(before, BATCH * COLS, 16);
    out = buffer_with(fixture.device, before, sizeof(before));
    command->matrix = fixture.matrix;
    command->count = BATCH;
    command->input = job_buffer(&job, in, 0, ROWS * sizeof(float));
    command->output = job_buffer(&job, out, 0, COLS * sizeof(float));
    completion = job_run(fixture.device, 1, &job);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_NONFINITE);
    expect_floats(fixture.device, out, before, BATCH * COLS);

    command->matrix++;
    g_assert_cmpuint(job_run(fixture.device, 1, &job).status, ==,
                     LF_STATUS_NO_MATRIX);
    command->matrix--;
    command->reserved = 1;
    g_assert_cmpuint(job_run(fixture.device, 1, &job).status, ==,
                     LF_STATUS_INVALID);
    command->reserved = 0;
    command->output = command->input;
    g_assert_cmpuint(job_run(fixture.device, 1, &job).status, ==,
                     LF_STATUS_OVERLAP);
    buffer_free(in);
    buffer_free(out);
    device_stop(fixture.device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/work/program", test_program);
    qtest_add_func("/lf-accel/work/read", test_read);
    qtest_add_func("/lf-accel/work/calibrate", test_calibrate);
    qtest_add_func("/lf-accel/work/mvm-forward", test_mvm_forward);
    qtest_add_func("/lf-accel/work/mvm-transpose", test_mvm_transpose);
    qtest_add_func("/lf-accel/work/mvm-int8", test_mvm_int8);
    qtest_add_func("/lf-accel/work/mvm-accumulate", test_mvm_accumulate);
    qtest_add_func("/lf-accel/work/fuse", test_fuse);
    qtest_add_func("/lf-accel/work/sparse", test_sparse);
    qtest_add_func("/lf-accel/work/barrier", test_barrier);
    qtest_add_func("/lf-accel/work/refused", test_refused);
    return g_test_run();
}
