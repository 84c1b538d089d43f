/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The management commands, one test each.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "device.h"

#define ROWS 130
#define COLS 20

static int8_t *some_weights(uint32_t seed)
{
    int8_t *weights = g_new(int8_t, ROWS * COLS);

    fill_weights(weights, ROWS * COLS, seed);
    return weights;
}

static struct lf_completion publish(Device *device, uint32_t matrix,
                                    const char *name)
{
    Buffer *buffer = buffer_new(device, sizeof(struct lf_publication));
    struct lf_publication publication = {
        .owner = 1000,
        .group = 100,
        .mode = 0440,
    };
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_PUBLISH);
    struct lf_completion completion;

    memcpy(publication.name, name, strlen(name));
    buffer_write(device, buffer, 0, &publication, sizeof(publication));
    command->matrix = matrix;
    command->input = job_buffer(&job, buffer, 0, 0);
    completion = job_run(device, 0, &job);
    buffer_free(buffer);
    return completion;
}

/* Fills @entries and returns how many the device has from @first on. */
static uint32_t list(Device *device, uint32_t first, uint32_t count,
                     struct lf_matrix_info *entries)
{
    Buffer *buffer = buffer_new(device, count * sizeof(*entries));
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_LIST);
    struct lf_completion completion;

    command->first = first;
    command->count = count;
    command->output = job_buffer(&job, buffer, 0, sizeof(*entries));
    completion = job_run(device, 0, &job);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    buffer_read(device, buffer, 0, entries, buffer->bytes);
    buffer_free(buffer);
    return completion.result;
}

static struct lf_account account(Device *device, uint32_t number,
                                 const uint64_t *quota, uint16_t flags)
{
    Buffer *in = buffer_new(device, sizeof(*quota));
    Buffer *out = buffer_new(device, sizeof(struct lf_account));
    struct lf_account result;
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_ACCOUNT);
    struct lf_completion completion;

    job.submission.flags = flags;
    command->first = number;
    command->output = job_buffer(&job, out, 0, 0);
    if (quota) {
        buffer_write(device, in, 0, quota, sizeof(*quota));
        command->flags = LF_ACCOUNT_SET_QUOTA;
        command->input = job_buffer(&job, in, 0, 0);
    }
    completion = job_run(device, 0, &job);
    g_assert_cmpuint(completion.status, ==,
                     quota && !flags ? LF_STATUS_DENIED : LF_STATUS_OK);
    buffer_read(device, out, 0, &result, sizeof(result));
    buffer_free(in);
    buffer_free(out);
    return result;
}

static void test_create(void)
{
    Device *device = device_start_default("");
    uint32_t first = matrix_create(device, ROWS, COLS);
    uint32_t second = matrix_create(device, ROWS, COLS);
    struct lf_matrix_info entries[4];
    Job job = {};
    struct lf_command *command = job_add(&job, LF_OP_CREATE);

    g_assert_cmpuint(first, !=, second);
    g_assert_cmpuint(list(device, 0, 4, entries), ==, 2);
    g_assert_cmpuint(entries[0].matrix, ==, first);
    g_assert_cmpuint(entries[0].state, ==, LF_MATRIX_TORN);
    g_assert_cmpuint(entries[0].rows, ==, ROWS);
    g_assert_cmpuint(entries[0].cols, ==, COLS);
    g_assert_cmpuint(entries[0].tile_rows, ==, 2);

    /* Too big for the device, and too big for any device. */
    command->first = 16384;
    command->width = 16384;
    command->rank = LF_FORMAT_INT8;
    g_assert_cmpuint(job_run(device, 0, &job).status, ==, LF_STATUS_NO_SPACE);
    job.commands[0].first = 0;
    g_assert_cmpuint(job_run(device, 0, &job).status, ==, LF_STATUS_INVALID);
    job.commands[0].first = 16;
    g_assert_cmpuint(job_run(device, 1, &job).status, ==, LF_STATUS_DENIED);
    device_stop(device);
}

static void test_commit(void)
{
    Device *device = device_start_default("");
    g_autofree int8_t *weights = some_weights(1);
    uint32_t matrix = matrix_create(device, ROWS, COLS);
    struct lf_matrix_info entry;

    /* Some of its rows are not programmed yet. */
    matrix_program(device, matrix, 0, 1, COLS, weights);
    g_assert_cmpuint(matrix_command(device, LF_OP_COMMIT, matrix).status, ==,
                     LF_STATUS_STATE);
    matrix_program(device, matrix, 1, ROWS - 1, COLS, weights + COLS);
    g_assert_cmpuint(matrix_command(device, LF_OP_COMMIT, matrix).status, ==,
                     LF_STATUS_OK);
    g_assert_cmpuint(list(device, 0, 1, &entry), ==, 1);
    g_assert_cmpuint(entry.state, ==, LF_MATRIX_COMMITTED);
    g_assert_cmpuint(matrix_command(device, LF_OP_COMMIT, matrix).status, ==,
                     LF_STATUS_STATE);
    g_assert_cmpuint(matrix_command(device, LF_OP_COMMIT, 12345).status, ==,
                     LF_STATUS_NO_MATRIX);
    device_stop(device);
}

static void test_publish(void)
{
    Device *device = device_start_default("");
    g_autofree int8_t *weights = some_weights(2);
    uint32_t first = matrix_new(device, ROWS, COLS, weights);
    uint32_t second = matrix_new(device, ROWS, COLS, weights);
    struct lf_matrix_info entry;

    g_assert_cmpuint(publish(device, first, "encoder/0.q").status, ==,
                     LF_STATUS_OK);
    g_assert_cmpuint(list(device, 0, 1, &entry), ==, 1);
    g_assert_cmpuint(entry.state, ==, LF_MATRIX_PUBLISHED);
    g_assert_cmpstr((char *)entry.publication.name, ==, "encoder/0.q");
    g_assert_cmpuint(entry.publication.owner, ==, 1000);
    g_assert_cmpuint(entry.publication.mode, ==, 0440);

    g_assert_cmpuint(publish(device, second, "encoder/0.q").status, ==,
                     LF_STATUS_EXISTS);
    g_assert_cmpuint(publish(device, second, "/encoder").status, ==,
                     LF_STATUS_INVALID);
    g_assert_cmpuint(publish(device, second, "a name").status, ==,
                     LF_STATUS_INVALID);
    device_stop(device);
}

static void test_delete(void)
{
    Device *device = device_start_default("");
    g_autofree int8_t *weights = some_weights(3);
    uint32_t matrix = matrix_new(device, ROWS, COLS, weights);
    struct lf_matrix_info entry;

    g_assert_cmpuint(device_telemetry(device).tiles_dirty, ==, 0);
    g_assert_cmpuint(matrix_command(device, LF_OP_DELETE, matrix).status, ==,
                     LF_STATUS_OK);
    g_assert_cmpuint(list(device, 0, 1, &entry), ==, 0);
    g_assert_cmpuint(device_telemetry(device).tiles_used, ==, 0);
    g_assert_cmpuint(device_telemetry(device).tiles_dirty, >, 0);
    g_assert_cmpuint(matrix_command(device, LF_OP_DELETE, matrix).status, ==,
                     LF_STATUS_NO_MATRIX);
    device_stop(device);
}

static void test_list(void)
{
    Device *device = device_start_default("");
    struct lf_matrix_info all[8];
    struct lf_matrix_info page[2];
    uint32_t first = 0;
    uint32_t seen = 0;
    uint32_t count;

    memset(all, 0, sizeof(all));
    for (uint32_t i = 0; i < 5; i++) {
        matrix_create(device, 16, 16);
    }
    g_assert_cmpuint(list(device, 0, 8, all), ==, 5);
    /* What the device left out is zero, not what was in its memory before. */
    g_assert_true(buffer_is_zero(&all[5], 3 * sizeof(all[0])));

    while ((count = list(device, first, 2, page))) {
        for (uint32_t i = 0; i < count; i++) {
            g_assert_cmpmem(&page[i], sizeof(page[i]), &all[seen],
                            sizeof(all[seen]));
            seen++;
        }
        first = page[count - 1].index + 1;
    }
    g_assert_cmpuint(seen, ==, 5);
    device_stop(device);
}

static void test_account(void)
{
    Device *device = device_start_default("");
    g_autofree int8_t *weights = some_weights(4);
    const uint64_t quota = 1;
    uint32_t matrix;
    struct lf_account result;
    struct lf_completion completion;

    /* Jobs of these tests are on account 0. */
    matrix = matrix_new(device, ROWS, COLS, weights);
    result = account(device, 0, NULL, 0);
    g_assert_cmpuint(result.account, ==, 0);
    g_assert_cmpuint(result.written_cells, >=, ROWS * COLS);
    g_assert_cmpuint(result.tiles, ==, device_telemetry(device).tiles_used);

    account(device, 0, &quota, 0);
    result = account(device, 0, &quota, LF_JOB_PRIVILEGED);
    g_assert_cmpuint(result.quota_cells, ==, quota);
    matrix_command(device, LF_OP_DELETE, matrix);
    matrix = matrix_create(device, ROWS, COLS);
    completion = matrix_program(device, matrix, 0, ROWS, COLS, weights);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_QUOTA);
    g_assert_cmpuint(completion.cells_written, ==, 0);
    g_assert_cmpuint(completion.rows_done, ==, 0);
    device_stop(device);
}

static void test_sanitize(void)
{
    Device *device = device_start_default("");
    g_autofree int8_t *weights = some_weights(5);
    uint32_t matrix = matrix_new(device, ROWS, COLS, weights);
    uint64_t dirty;
    Job job = {};
    struct lf_completion completion;

    matrix_command(device, LF_OP_DELETE, matrix);
    dirty = device_telemetry(device).tiles_dirty;
    g_assert_cmpuint(dirty, >, 1);

    job_add(&job, LF_OP_SANITIZE)->count = 1;
    completion = job_run(device, 0, &job);
    g_assert_cmpuint(completion.status, ==, LF_STATUS_OK);
    g_assert_cmpuint(completion.result, ==, dirty - 1);
    g_assert_cmpuint(completion.cells_erased, >, 0);

    job.commands[0].count = 1000;
    g_assert_cmpuint(job_run(device, 0, &job).result, ==, 0);
    g_assert_cmpuint(device_telemetry(device).tiles_dirty, ==, 0);
    device_stop(device);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/lf-accel/management/create", test_create);
    qtest_add_func("/lf-accel/management/commit", test_commit);
    qtest_add_func("/lf-accel/management/publish", test_publish);
    qtest_add_func("/lf-accel/management/delete", test_delete);
    qtest_add_func("/lf-accel/management/list", test_list);
    qtest_add_func("/lf-accel/management/account", test_account);
    qtest_add_func("/lf-accel/management/sanitize", test_sanitize);
    return g_test_run();
}
