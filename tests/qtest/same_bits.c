/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device in QEMU against the model linked into this program: both are given
 * the same random jobs, and every byte of their outputs, every field of their
 * records and all totals must be equal, for every preset and for every number
 * of threads. A refusal must be the same refusal.
 *
 * The jobs follow from the seed that the program prints; --seed repeats them.
 */
#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "device.h"
#include "qemu-device/model/xbar.h"

#define GEOMETRY "tiles=64,matrices=16,accounts=8"
#define MEMORY_BYTES (64u << 20)
#define MATRICES 3
#define JOBS 24
#define BATCH_MAX 6
#define SCRATCH_BYTES (256u << 10)
#define WORKERS_MAX 8

/* Everything that can be wrong with a cell, a wire or a converter, at once. */
#define ALL_ERRORS                                                             \
    "adc_bits=6,on_off_ratio=20,program_sigma=0.03,program_sigma_slope=0.02,"  \
    "verify_tolerance=0.04,verify_pulses=6,read_noise=0.01,relax_mean=-0.002," \
    "relax_sigma=0.01,relax_sigma_slope=0.002,retention_s=100000000,"          \
    "stuck_on=0.001,stuck_off=0.004,spare_weights=2,endurance=40,"             \
    "endurance_spread=0.4,worn_on=0.5,temperature_coefficient=0.001,"          \
    "refresh_s=1000,seed=7"

/* One job, as both sides get it. */
typedef struct Work {
    struct lf_submission submission;
    struct lf_command commands[TEST_JOB_COMMANDS];
    uint32_t command_count;
    uint8_t *data[TEST_JOB_BUFFERS];
    uint64_t bytes[TEST_JOB_BUFFERS];
    uint32_t buffer_count;
    bool management;
} Work;

typedef struct Matrix {
    uint32_t identifier;
    uint32_t rows;
    uint32_t cols;
} Matrix;

typedef struct Pair {
    Device *device;
    struct xbar *xbar;
    void *memory;
    uint32_t threads;
    struct xbar_limits limits;
    bool is_float;
    uint64_t job_number;
    uint32_t done; /* jobs that ended well */
    uint32_t refused;
    Matrix matrices[MATRICES];
} Pair;

/* Threads of the model in this program. */
typedef struct Call {
    void (*work)(void *argument, uint32_t index);
    void *argument;
    uint32_t count;
    uint32_t next;
} Call;

static gpointer take_items(gpointer data)
{
    Call *call = data;
    uint32_t index;

    while ((index = qatomic_fetch_inc(&call->next)) < call->count) {
        call->work(call->argument, index);
    }
    return NULL;
}

static void parallel(void *opaque, uint32_t count,
                     void (*work)(void *argument, uint32_t index),
                     void *argument)
{
    Pair *pair = opaque;
    GThread *threads[WORKERS_MAX];
    Call call = { .work = work, .argument = argument, .count = count };

    for (uint32_t i = 1; i < pair->threads; i++) {
        threads[i] = g_thread_new("model", take_items, &call);
    }
    take_items(&call);
    for (uint32_t i = 1; i < pair->threads; i++) {
        g_thread_join(threads[i]);
    }
}

static uint32_t draw(uint32_t limit)
{
    return g_test_rand_int_range(0, limit);
}

static bool chance(uint32_t percent)
{
    return draw(100) < percent;
}

static float draw_float(void)
{
    return g_test_rand_double_range(-3, 3);
}

static void set_params(struct xbar_params *params, const char *settings)
{
    g_auto(GStrv) words = g_strsplit(settings, ",", 0);
    char message[XBAR_MESSAGE_BYTES] = "";

    for (int i = 0; words[i] && words[i][0]; i++) {
        char *value = strchr(words[i], '=');

        *value++ = '\0';
        if (xbar_params_set(params, words[i], value, message) < 0) {
            g_test_message("%s: %s", words[i], message);
            g_assert_not_reached();
        }
    }
}

/* Both sides begin empty; the QEMU side has @workers threads, the other @threads. */
static void pair_open(Pair *pair, const char *preset, const char *settings,
                      uint32_t workers, uint32_t threads)
{
    g_autofree char *options = g_strdup_printf(",preset=%s,workers=%u," GEOMETRY
                                               "%s%s",
                                               preset, workers,
                                               *settings ? "," : "", settings);
    struct xbar_ops ops = { .parallel = parallel };
    char message[XBAR_MESSAGE_BYTES] = "";
    struct xbar_params *params;

    memset(pair, 0, sizeof(*pair));
    pair->threads = threads;
    pair->device = device_start("memory-backend-ram,size=64M", options);
    g_assert_cmpint(xbar_params_create(preset, &params), ==, 0);
    set_params(params, GEOMETRY);
    set_params(params, settings);
    g_assert_cmpuint(xbar_nonvolatile_bytes(params), <=, MEMORY_BYTES);
    pair->memory = g_aligned_alloc0(1, MEMORY_BYTES, LF_PAGE_BYTES);
    g_assert_cmpint(xbar_create(params, pair->memory, MEMORY_BYTES, &ops, pair,
                                message, &pair->xbar),
                    ==, 0);
    xbar_params_free(params);
    xbar_limits(pair->xbar, &pair->limits);
    pair->is_float = pair->limits.formats == 1u << LF_FORMAT_FP32;
    pair->job_number = draw(1 << 30);
}

static void pair_close(Pair *pair)
{
    xbar_destroy(pair->xbar);
    g_aligned_free(pair->memory);
    device_stop(pair->device);
}

static struct lf_command *work_add(Work *work, uint16_t opcode)
{
    struct lf_command *command = &work->commands[work->command_count++];

    g_assert_cmpuint(work->command_count, <=, TEST_JOB_COMMANDS);
    command->opcode = opcode;
    return command;
}

/* Which elements a buffer begins with. */
typedef enum Fill {
    FILL_ZEROS,
    FILL_FLOATS,
    FILL_BYTES, /* -127 .. 127 */
} Fill;

/* A buffer of its own for @count rows of @row_bytes, the rows with gaps at times. */
static struct lf_operand work_buffer(Work *work, Fill fill, uint32_t count,
                                     uint32_t row_bytes)
{
    uint32_t gap = chance(30) ? 4 * (1 + draw(20)) : 0;
    uint32_t offset = chance(30) ? 4 * draw(50) : 0;
    uint32_t stride = row_bytes + gap;
    uint32_t index = work->buffer_count++;
    uint64_t bytes = offset + (uint64_t)count * stride;

    g_assert_cmpuint(index, <, TEST_JOB_BUFFERS);
    work->bytes[index] = bytes;
    work->data[index] = g_malloc0(ROUND_UP(bytes, 4));
    if (fill == FILL_BYTES) {
        for (uint64_t i = 0; i < bytes; i++) {
            work->data[index][i] = (int)draw(255) - 127;
        }
    } else if (fill == FILL_FLOATS) {
        for (uint64_t i = 0; i < bytes / sizeof(float); i++) {
            ((float *)work->data[index])[i] = draw_float();
        }
    }
    return (struct lf_operand){
        .space = LF_SPACE_BUFFER,
        .buffer = index,
        .stride = stride,
        .offset = offset,
    };
}

/* The same without a second dimension. */
static struct lf_operand work_vector(Work *work, uint32_t bytes)
{
    struct lf_operand operand = work_buffer(work, FILL_FLOATS, 1, bytes);

    operand.stride = 0;
    return operand;
}

static struct lf_operand scratch(uint32_t offset, uint32_t row_bytes)
{
    return (struct lf_operand){
        .space = LF_SPACE_SCRATCH,
        .stride = row_bytes,
        .offset = offset,
    };
}

static void run_on_device(Pair *pair, const Work *work, uint8_t **outputs,
                          struct lf_completion *completion)
{
    Device *device = pair->device;
    Job job = { .submission = work->submission };
    Buffer *buffers[TEST_JOB_BUFFERS];

    /* Pages that jobs before this one used, but not those of the rings. */
    device->next_page = 32 << 20;
    memcpy(job.commands, work->commands, sizeof(job.commands));
    job.command_count = work->command_count;
    for (uint32_t i = 0; i < work->buffer_count; i++) {
        buffers[i] = buffer_new(device, work->bytes[i]);
        buffer_write(device, buffers[i], 0, work->data[i], work->bytes[i]);
        job.buffers[job.buffer_count++] = buffers[i];
    }
    *completion = job_run(device, work->management ? 0 : 1 + draw(2), &job);
    for (uint32_t i = 0; i < work->buffer_count; i++) {
        outputs[i] = g_malloc0(ROUND_UP(work->bytes[i], 4));
        buffer_read(device, buffers[i], 0, outputs[i], work->bytes[i]);
        buffer_free(buffers[i]);
    }
}

static void run_on_model(Pair *pair, const Work *work, uint8_t **outputs,
                         struct lf_completion *completion)
{
    const struct xbar_request request = {
        .commands = work->commands,
        .command_count = work->command_count,
        .buffer_bytes = work->bytes,
        .buffer_count = work->buffer_count,
        .scratch_bytes = work->submission.scratch_bytes,
        .job_number = work->submission.job_number,
        .account = work->submission.account,
        .privileged = work->submission.flags & LF_JOB_PRIVILEGED,
        .management = work->management,
    };
    struct xbar_transfer *transfers;
    struct xbar_job *job = NULL;
    uint32_t count;

    for (uint32_t i = 0; i < work->buffer_count; i++) {
        outputs[i] = g_memdup2(work->data[i], ROUND_UP(work->bytes[i], 4));
    }
    if (xbar_job_open(pair->xbar, &request, completion, &job) < 0) {
        return;
    }
    transfers = xbar_job_transfers(job, &count);
    for (uint32_t i = 0; i < count; i++) {
        transfers[i].memory = outputs[transfers[i].buffer] +
                              transfers[i].offset;
        transfers[i].memory_stride = transfers[i].stride;
    }
    xbar_job_run(job, completion);
    xbar_job_close(job);
    if (completion->status != LF_STATUS_OK) {
        for (uint32_t i = 0; i < work->buffer_count; i++) {
            memcpy(outputs[i], work->data[i], work->bytes[i]);
        }
    }
}

static void expect_equal(const char *what, const Work *work, const void *a,
                         const void *b, size_t bytes)
{
    size_t i = 0;

    if (memcmp(a, b, bytes) == 0) {
        return;
    }
    while (((const uint8_t *)a)[i] == ((const uint8_t *)b)[i]) {
        i++;
    }
    g_test_message("%s: byte %zu of %zu differs, after a job of %u commands, "
                   "the first %u",
                   what, i, bytes, work->command_count,
                   work->commands[0].opcode);
    g_assert_not_reached();
}

/* Run @work on both sides and give its buffers back. */
static struct lf_completion run(Pair *pair, Work *work)
{
    uint8_t *on_device[TEST_JOB_BUFFERS];
    uint8_t *on_model[TEST_JOB_BUFFERS];
    struct lf_completion record;
    struct lf_completion expected;

    work->submission.job_number = pair->job_number++;
    run_on_device(pair, work, on_device, &record);
    run_on_model(pair, work, on_model, &expected);
    /* What the rings add to a record. */
    expected.tag = record.tag;
    expected.submission_head = record.submission_head;
    expected.phase = record.phase;
    expect_equal("record", work, &record, &expected, sizeof(record));
    for (uint32_t i = 0; i < work->buffer_count; i++) {
        expect_equal("buffer", work, on_device[i], on_model[i], work->bytes[i]);
        g_free(on_device[i]);
        g_free(on_model[i]);
        g_free(work->data[i]);
    }
    if (record.status == LF_STATUS_OK) {
        pair->done++;
    } else {
        pair->refused++;
    }
    return record;
}

static void expect_same_totals(Pair *pair)
{
    const Work none = {};
    struct lf_telemetry_block on_device = device_telemetry(pair->device);
    struct lf_telemetry_block on_model;

    xbar_telemetry(pair->xbar, &on_model);
    expect_equal("totals", &none, &on_device, &on_model, sizeof(on_model));
    g_assert_cmphex(device_read(pair->device, LF_REG_EVENTS) &
                        (LF_EVENT_THERMAL | LF_EVENT_WEAR | LF_EVENT_CELLS |
                         LF_EVENT_REFRESH),
                    ==, xbar_take_events(pair->xbar));
    device_write(pair->device, LF_REG_EVENTS, ~0u);
}

static struct lf_completion manage(Pair *pair, uint16_t opcode, uint32_t matrix,
                                   uint32_t count)
{
    Work work = { .management = true };
    struct lf_command *command = work_add(&work, opcode);

    command->matrix = matrix;
    command->count = count;
    return run(pair, &work);
}

static uint32_t rows_of_tiles(const Pair *pair, uint32_t rows)
{
    return DIV_ROUND_UP(rows, pair->limits.tile_rows);
}

/* Create, program in pieces, commit. */
static void new_matrix(Pair *pair, Matrix *matrix)
{
    uint32_t weight_bytes = pair->is_float ? sizeof(float) : 1;
    Work create = { .management = true };
    struct lf_command *command = work_add(&create, LF_OP_CREATE);
    struct lf_completion record;

    matrix->rows = 1 + draw(2 * pair->limits.tile_rows + 40);
    matrix->cols = 1 + draw(3 * pair->limits.tile_weights);
    command->first = matrix->rows;
    command->width = matrix->cols;
    command->rank = pair->is_float ? LF_FORMAT_FP32 : LF_FORMAT_INT8;
    create.submission.account = draw(3);
    record = run(pair, &create);
    matrix->identifier = record.status == LF_STATUS_OK ? record.result : 0;
    for (uint32_t row = 0; row < matrix->rows;) {
        uint32_t count = MIN(matrix->rows - row, 1 + draw(200));
        uint32_t row_bytes = matrix->cols * weight_bytes;
        Work program = {};

        program.submission.account = create.submission.account;
        command = work_add(&program, LF_OP_PROGRAM);
        command->matrix = matrix->identifier;
        command->first = row;
        command->count = count;
        command->input = work_buffer(&program,
                                     pair->is_float ? FILL_FLOATS : FILL_BYTES,
                                     count, row_bytes);
        run(pair, &program);
        row += count;
    }
    manage(pair, LF_OP_COMMIT, matrix->identifier, 0);
}

static void set_scale(struct lf_command *command, float scale)
{
    memcpy(&command->fixed_scale, &scale, sizeof(scale));
}

/* A product with everything that may be asked of one. */
static void add_product(Pair *pair, Work *work, const Matrix *matrix,
                        bool to_scratch)
{
    struct lf_command *command = work_add(work, LF_OP_MVM);
    bool transpose = chance(40);
    bool bytes = !pair->is_float && chance(30);
    uint32_t inputs = transpose ? matrix->cols : matrix->rows;
    uint32_t results = transpose ? matrix->rows : matrix->cols;
    uint32_t tile_rows = rows_of_tiles(pair, matrix->rows);

    command->matrix = matrix->identifier;
    command->count = 1 + draw(BATCH_MAX);
    command->flags = transpose ? LF_MVM_TRANSPOSE : 0;
    if (bytes) {
        command->flags |= LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;
        set_scale(command, 0.01f);
        command->input = work_buffer(work, FILL_BYTES, command->count, inputs);
    } else {
        command->input = work_buffer(work, FILL_FLOATS, command->count,
                                     inputs * sizeof(float));
        if (!pair->is_float && chance(25)) {
            command->flags |= LF_MVM_FIXED_SCALE;
            set_scale(command, 0.02f);
        }
        if (chance(30)) {
            command->factor = work_vector(work, inputs * sizeof(float));
        }
    }
    if (chance(50) && !(bytes && transpose)) {
        bool by_tile = chance(40);

        command->flags |= by_tile ? LF_MVM_TILE_SCALE : 0;
        command->scale = work_vector(work, (by_tile ? tile_rows : 1) *
                                               matrix->cols * sizeof(float));
    }
    if (!transpose && chance(40)) {
        command->bias = work_vector(work, matrix->cols * sizeof(float));
    }
    if (!transpose && chance(30)) {
        command->partials = work_buffer(work, FILL_ZEROS, command->count,
                                        tile_rows * matrix->cols *
                                            sizeof(float));
    }
    command->output = to_scratch ? scratch(0, results * sizeof(float))
                                 : work_buffer(work, FILL_ZEROS, command->count,
                                               results * sizeof(float));
}

/* Two products with the digital unit in between, and the sum of it all. */
static void run_chain(Pair *pair)
{
    const Matrix *matrix = &pair->matrices[draw(MATRICES)];
    Work work = { .submission.scratch_bytes = SCRATCH_BYTES };
    uint32_t count = 1 + draw(BATCH_MAX);
    uint32_t row_bytes = matrix->cols * sizeof(float);
    uint32_t rank = 1;
    struct lf_command *command = work_add(&work, LF_OP_MVM);

    for (uint32_t i = 2; i <= matrix->cols; i++) {
        if (matrix->cols % i == 0 && chance(40)) {
            rank = i;
        }
    }
    command->matrix = matrix->identifier;
    command->count = count;
    command->input = work_buffer(&work, FILL_FLOATS, count,
                                 matrix->rows * sizeof(float));
    command->output = scratch(0, row_bytes);

    command = work_add(&work, LF_OP_FUSE);
    command->flags = chance(50) ? LF_FUSE_SUM : LF_FUSE_PRODUCT;
    command->count = count;
    command->width = matrix->cols;
    command->rank = rank;
    command->input = scratch(0, row_bytes);
    command->output = scratch(0, row_bytes);
    command->scale = work_vector(&work, matrix->cols / rank * sizeof(float));

    command = work_add(&work, LF_OP_MVM);
    command->matrix = matrix->identifier;
    command->flags = LF_MVM_ACCUMULATE;
    command->count = count;
    command->input = work.commands[0].input;
    command->output = scratch(0, row_bytes);

    command = work_add(&work, LF_OP_FUSE);
    command->flags = LF_FUSE_AFFINE;
    command->count = count;
    command->width = matrix->cols;
    command->input = scratch(0, row_bytes);
    command->output = work_buffer(&work, FILL_ZEROS, count, row_bytes);
    if (chance(50)) {
        command->scale = work_vector(&work, row_bytes);
    }
    if (chance(50)) {
        command->bias = work_vector(&work, row_bytes);
    }
    run(pair, &work);
}

static void run_product(Pair *pair)
{
    Work work = {};

    add_product(pair, &work, &pair->matrices[draw(MATRICES)], false);
    run(pair, &work);
}

static void run_calibrate(Pair *pair)
{
    const Matrix *matrix = &pair->matrices[draw(MATRICES)];
    Work work = {};
    struct lf_command *command = work_add(&work, LF_OP_CALIBRATE);

    command->matrix = matrix->identifier;
    command->count = 1 + draw(BATCH_MAX);
    command->input = work_buffer(&work, FILL_FLOATS, command->count,
                                 matrix->rows * sizeof(float));
    run(pair, &work);
}

static void run_read(Pair *pair)
{
    const Matrix *matrix = &pair->matrices[draw(MATRICES)];
    bool cells = chance(50);
    uint32_t weight_bytes = pair->is_float ? sizeof(float) : 1;
    Work work = { .submission.flags = LF_JOB_PRIVILEGED };
    struct lf_command *command = work_add(&work, LF_OP_READ);

    if (cells) {
        /* A positive and a negative side of slices, or one cell. */
        uint32_t slices = DIV_ROUND_UP(7, pair->limits.cell_bits);

        command->flags = LF_READ_CELLS;
        weight_bytes = sizeof(struct lf_cell) *
                       (pair->is_float ? 1 : 2 * slices);
    }
    command->matrix = matrix->identifier;
    command->first = draw(matrix->rows);
    command->count = 1 + draw(MIN(matrix->rows - command->first, 10));
    command->output = work_buffer(&work, FILL_ZEROS, command->count,
                                  matrix->cols * weight_bytes);
    run(pair, &work);
}

static void run_refresh(Pair *pair)
{
    Work work = { .management = true };

    work_add(&work, LF_OP_REFRESH)->matrix = pair->matrices[draw(MATRICES)]
                                                 .identifier;
    run(pair, &work);
}

static void run_list(Pair *pair)
{
    Work work = { .management = true };
    struct lf_command *command = work_add(&work, LF_OP_LIST);

    command->count = MATRICES + 1;
    command->output = work_buffer(&work, FILL_ZEROS, command->count,
                                  sizeof(struct lf_matrix_info));
    run(pair, &work);
}

static void replace(Pair *pair)
{
    Matrix *matrix = &pair->matrices[draw(MATRICES)];

    manage(pair, LF_OP_DELETE, matrix->identifier, 0);
    if (chance(50)) {
        manage(pair, LF_OP_SANITIZE, 0, 1 + draw(5));
    }
    new_matrix(pair, matrix);
}

/* Hours go by, it gets warmer or colder, cells break. */
static void change_world(Pair *pair)
{
    uint64_t nanoseconds = (uint64_t)draw(1 << 30) << 14;
    int32_t millidegrees = (int)draw(60000);
    uint32_t parts = 1 + draw(2000);

    switch (draw(3)) {
    case 0:
        device_write(pair->device, LF_REG_TIME_ADVANCE, nanoseconds);
        device_write(pair->device, LF_REG_TIME_ADVANCE + 4, nanoseconds >> 32);
        xbar_advance_time(pair->xbar, nanoseconds);
        break;
    case 1:
        g_assert_null(
            device_set_number(pair->device, "temperature", millidegrees));
        xbar_set_temperature(pair->xbar, millidegrees);
        break;
    default: {
        g_autofree char *text = g_strdup_printf("argument=%u", parts);

        g_assert_null(device_set_text(pair->device, "fault-stuck-cells", text));
        xbar_inject_stuck(pair->xbar, parts);
    }
    }
}

static void run_random_jobs(Pair *pair)
{
    static void (*const kinds[])(Pair * pair) = {
        run_product, run_product, run_product, run_product,
        run_chain,   run_chain,   run_read,    run_calibrate,
        run_refresh, run_list,    replace,     change_world,
    };

    for (int i = 0; i < MATRICES; i++) {
        new_matrix(pair, &pair->matrices[i]);
    }
    for (int i = 0; i < JOBS; i++) {
        kinds[draw(G_N_ELEMENTS(kinds))](pair);
        expect_same_totals(pair);
    }
    /* Most of it is work and not refusals. */
    g_test_message("%u jobs done, %u refused", pair->done, pair->refused);
    g_assert_cmpuint(pair->done, >, 2 * pair->refused);
}

static void expect_same(const char *preset, const char *settings)
{
    for (uint32_t workers = 1; workers <= WORKERS_MAX; workers++) {
        Pair pair;

        pair_open(&pair, preset, settings, workers, WORKERS_MAX + 1 - workers);
        run_random_jobs(&pair);
        pair_close(&pair);
    }
}

static void test_preset(const void *preset)
{
    expect_same(preset, "");
}

static void test_lossy(void)
{
    expect_same("isaac", "adc_bits=5,cell_bits=1");
}

static void test_all_errors(void)
{
    expect_same("isaac", ALL_ERRORS);
}

static void test_wires(void)
{
    expect_same("isaac", "tile_rows=32,tile_cols=32,adc_bits=6,ir_drop=fast,"
                         "wire_mohm=1000,driver_mohm=100000,sense_mohm=100000");
}

int main(int argc, char **argv)
{
    const char *preset;

    g_test_init(&argc, &argv, NULL);
    for (uint32_t i = 0; (preset = xbar_params_preset(i)); i++) {
        g_autofree char *path = g_strdup_printf("/lf-accel/same-bits/%s",
                                                preset);

        qtest_add_data_func(path, preset, test_preset);
    }
    qtest_add_func("/lf-accel/same-bits/lossy", test_lossy);
    qtest_add_func("/lf-accel/same-bits/all-errors", test_all_errors);
    qtest_add_func("/lf-accel/same-bits/wires", test_wires);
    return g_test_run();
}
