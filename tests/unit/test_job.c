// SPDX-License-Identifier: MIT
/* Jobs on the in-process device: what commands compute, to the bit, and the order jobs run in. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

#define ROWS  300
#define COLS  70
#define COUNT 5

static const char *const devices[] = { "inproc:ideal", "inproc:float", "inproc:ideal,threads=1",
				       "inproc:isaac,threads=3" };

/* Input, output and the optional arrays of a multiplication, in one buffer each. */
struct arrays {
	struct lf_buffer *input;
	struct lf_buffer *output;
	struct lf_buffer *partials;
	struct lf_buffer *vectors;
};

/* Offsets in the buffer of vectors. */
enum { FACTOR = 0, SCALE = 4096, BIAS = 8192, VECTORS_BYTES = 16384 };

static struct arrays make_arrays(struct lf_device *device)
{
	struct arrays arrays = {
		.input = make_buffer(device, COUNT * ROWS * sizeof(float)),
		.output = make_buffer(device, COUNT * ROWS * sizeof(float)),
		.partials = make_buffer(device, COUNT * ROWS * COLS * sizeof(float)),
		.vectors = make_buffer(device, VECTORS_BYTES),
	};

	random_fill(lf_buffer_data(arrays.input), COUNT * ROWS, 1);
	random_fill(lf_buffer_data(arrays.vectors), VECTORS_BYTES / sizeof(float), 2);
	return arrays;
}

static void free_arrays(struct arrays *arrays)
{
	lf_buffer_destroy(arrays->input);
	lf_buffer_destroy(arrays->output);
	lf_buffer_destroy(arrays->partials);
	lf_buffer_destroy(arrays->vectors);
}

static const float *at(struct lf_buffer *buffer, size_t offset)
{
	return (const float *)((const char *)lf_buffer_data(buffer) + offset);
}

static void run(struct lf_job *job)
{
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf(lf_job_wait(job, -1, LF_ERROR));
}

/* Runs one multiplication with every optional array its flags allow and compares bits. */
static void check_mvm(struct lf_device *device, uint16_t flags)
{
	const struct lf_device_info *info = lf_device_info(device);
	uint32_t tiles = (ROWS + info->tile_rows - 1) / info->tile_rows;
	bool transpose = flags & LF_MVM_TRANSPOSE;
	uint32_t inputs = transpose ? COLS : ROWS, outputs = transpose ? ROWS : COLS;
	struct arrays arrays = make_arrays(device);
	float expected[ROWS], *partials = calloc(tiles * COLS, sizeof(float));
	struct lf_mvm mvm = {
		.flags = flags,
		.count = COUNT,
		.input = lf_view_buffer(arrays.input, 0, inputs * 4),
		.output = lf_view_buffer(arrays.output, 0, outputs * 4),
		.factor = lf_view_buffer(arrays.vectors, FACTOR, 0),
		.scale = lf_view_buffer(arrays.vectors, SCALE, 0),
	};
	struct lf_matrix *matrix;
	struct lf_job *job;
	void *weights;

	matrix = mvm.matrix = make_matrix(device, ROWS, COLS, 3, &weights);
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	lf_job_begin(job, 7);
	if (!transpose) {
		mvm.bias = lf_view_buffer(arrays.vectors, BIAS, 0);
		mvm.partials = lf_view_buffer(arrays.partials, 0, tiles * COLS * 4);
	}
	lf_job_mvm(job, &mvm);
	run(job);

	for (uint32_t i = 0; i < COUNT; i++) {
		struct reference reference = {
			.weights = weights,
			.rows = ROWS,
			.cols = COLS,
			.format = device_format(device),
			.tile_rows = info->tile_rows,
			.flags = flags,
			.input = at(arrays.input, i * inputs * 4),
			.factor = at(arrays.vectors, FACTOR),
			.scale = at(arrays.vectors, SCALE),
			.bias = transpose ? NULL : at(arrays.vectors, BIAS),
			.output = expected,
			.partials = transpose ? NULL : partials,
		};

		fixture_mvm(&reference);
		ck_assert_mem_eq(at(arrays.output, i * outputs * 4), expected, outputs * 4);
		if (!transpose)
			ck_assert_mem_eq(at(arrays.partials, i * tiles * COLS * 4), partials,
					 tiles * COLS * 4);
	}
	lf_job_destroy(job);
	lf_matrix_close(matrix);
	free_arrays(&arrays);
	free(partials);
	free(weights);
}

START_TEST(test_mvm)
{
	struct lf_device *device = open_device(devices[_i]);

	check_mvm(device, 0);
	check_mvm(device, LF_MVM_TRANSPOSE);
	check_mvm(device, LF_MVM_TILE_SCALE);
	check_mvm(device, LF_MVM_TRANSPOSE | LF_MVM_TILE_SCALE);
	lf_device_close(device);
}
END_TEST

/*
 * A LoRAFusion linear in one job: h = W0 x + B (c * (A x)), y = m * h + bias, with A x and h as
 * further outputs. Rows of the reference are what the same steps give one by one.
 */
START_TEST(test_fused_linear)
{
	enum { IN = 200, OUT = 96, MODULES = 4, RANK = 8, STACK = MODULES * RANK };
	struct lf_device *device = open_device(devices[_i]);
	const uint32_t tile_rows = lf_device_info(device)->tile_rows;
	struct lf_buffer *input = make_buffer(device, COUNT * IN * 4);
	struct lf_buffer *vectors = make_buffer(device, VECTORS_BYTES);
	struct lf_buffer *output = make_buffer(device, COUNT * (2 * OUT + STACK) * 4);
	struct lf_matrix *w0, *a, *b;
	void *w0_weights, *a_weights, *b_weights;
	uint64_t hidden, fused, z;
	struct lf_job *job;

	random_fill(lf_buffer_data(input), COUNT * IN, 11);
	random_fill(lf_buffer_data(vectors), VECTORS_BYTES / 4, 12);
	w0 = make_matrix(device, IN, OUT, 13, &w0_weights);
	a = make_matrix(device, IN, STACK, 14, &a_weights);
	b = make_matrix(device, STACK, OUT, 15, &b_weights);

	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	lf_job_begin(job, 1);
	hidden = lf_job_scratch(job, COUNT * OUT * 4);
	z = lf_job_scratch(job, COUNT * STACK * 4);
	fused = lf_job_scratch(job, COUNT * STACK * 4);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = w0,
				.count = COUNT,
				.input = lf_view_buffer(input, 0, IN * 4),
				.output = lf_view_scratch(hidden, OUT * 4),
			});
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = a,
				.count = COUNT,
				.input = lf_view_buffer(input, 0, IN * 4),
				.output = lf_view_scratch(z, STACK * 4),
			});
	lf_job_fuse(job, &(struct lf_fuse){
				 .flags = LF_FUSE_SUM,
				 .count = COUNT,
				 .width = STACK,
				 .rank = RANK,
				 .input = lf_view_scratch(z, STACK * 4),
				 .output = lf_view_scratch(fused, STACK * 4),
				 .scale = lf_view_buffer(vectors, FACTOR, 0),
			 });
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = b,
				.flags = LF_MVM_ACCUMULATE,
				.count = COUNT,
				.input = lf_view_scratch(fused, STACK * 4),
				.output = lf_view_scratch(hidden, OUT * 4),
			});
	lf_job_fuse(job, &(struct lf_fuse){
				 .flags = LF_FUSE_AFFINE,
				 .count = COUNT,
				 .width = OUT,
				 .input = lf_view_scratch(hidden, OUT * 4),
				 .output = lf_view_buffer(output, 0, OUT * 4),
				 .scale = lf_view_buffer(vectors, SCALE, 0),
				 .bias = lf_view_buffer(vectors, BIAS, 0),
			 });
	lf_job_fuse(job, &(struct lf_fuse){
				 .flags = LF_FUSE_AFFINE,
				 .count = COUNT,
				 .width = OUT,
				 .input = lf_view_scratch(hidden, OUT * 4),
				 .output = lf_view_buffer(output, COUNT * OUT * 4, OUT * 4),
			 });
	lf_job_fuse(job, &(struct lf_fuse){
				 .flags = LF_FUSE_AFFINE,
				 .count = COUNT,
				 .width = STACK,
				 .input = lf_view_scratch(z, STACK * 4),
				 .output = lf_view_buffer(output, 2 * COUNT * OUT * 4, STACK * 4),
			 });
	run(job);

	for (uint32_t i = 0; i < COUNT; i++) {
		float h[OUT], y[OUT], ax[STACK], merged[STACK];
		struct reference step = {
			.weights = w0_weights,
			.rows = IN,
			.cols = OUT,
			.format = device_format(device),
			.tile_rows = tile_rows,
			.input = at(input, i * IN * 4),
			.output = h,
		};

		fixture_mvm(&step);
		step.weights = a_weights;
		step.cols = STACK;
		step.output = ax;
		fixture_mvm(&step);
		for (uint32_t k = 0; k < STACK; k++)
			merged[k] = at(vectors, FACTOR)[k / RANK] * ax[k];
		step.weights = b_weights;
		step.rows = STACK;
		step.cols = OUT;
		step.flags = LF_MVM_ACCUMULATE;
		step.input = merged;
		step.output = h;
		fixture_mvm(&step);
		for (uint32_t c = 0; c < OUT; c++) {
			float scaled = h[c] * at(vectors, SCALE)[c];

			y[c] = scaled + at(vectors, BIAS)[c];
		}
		ck_assert_mem_eq(at(output, i * OUT * 4), y, sizeof(y));
		ck_assert_mem_eq(at(output, (COUNT + i) * OUT * 4), h, sizeof(h));
		ck_assert_mem_eq(at(output, 2 * COUNT * OUT * 4 + i * STACK * 4), ax, sizeof(ax));
	}
	lf_job_destroy(job);
	lf_matrix_close(w0);
	lf_matrix_close(a);
	lf_matrix_close(b);
	lf_buffer_destroy(input);
	lf_buffer_destroy(vectors);
	lf_buffer_destroy(output);
	lf_device_close(device);
	free(w0_weights);
	free(a_weights);
	free(b_weights);
}
END_TEST

/* Adds a multiplication of one vector with a square matrix. */
static void add_square(struct lf_job *job, struct lf_matrix *matrix, uint32_t size,
		       struct lf_buffer *input, struct lf_buffer *output)
{
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = matrix,
				.count = 1,
				.input = lf_view_buffer(input, 0, size * 4),
				.output = lf_view_buffer(output, 0, 0),
			});
}

/*
 * A chain of jobs, each reading what the one before wrote, queued at once and only the last waited
 * for at first; with a thread of the device, and with the waiting one alone.
 */
START_TEST(test_order)
{
	enum { SIZE = 64, CHAIN = 20 };
	struct lf_device *device = open_device(_i ? "inproc:float,threads=1" : "inproc:float");
	struct lf_buffer *buffers[CHAIN + 1];
	struct lf_job *jobs[CHAIN];
	struct lf_matrix *matrix;
	float *identity = calloc(SIZE * SIZE, sizeof(float));

	for (int i = 0; i < SIZE; i++)
		identity[i * SIZE + (i + 1) % SIZE] = 2.0f;
	ck_assert_lf(lf_matrix_create(device, SIZE, SIZE, LF_FORMAT_FP32, &matrix, LF_ERROR));
	ck_assert_lf(lf_matrix_program(matrix, 0, SIZE, identity, NULL, LF_ERROR));
	ck_assert_lf(lf_matrix_commit(matrix, LF_ERROR));
	for (int i = 0; i <= CHAIN; i++)
		buffers[i] = make_buffer(device, SIZE * 4);
	random_fill(lf_buffer_data(buffers[0]), SIZE, 21);
	for (int i = 0; i < CHAIN; i++) {
		ck_assert_lf(lf_job_create(device, &jobs[i], LF_ERROR));
		lf_job_begin(jobs[i], (uint64_t)i);
		add_square(jobs[i], matrix, SIZE, buffers[i], buffers[i + 1]);
		ck_assert_lf(lf_job_submit(jobs[i], LF_ERROR));
	}
	/* Handles may go while jobs are on their way. */
	lf_matrix_close(matrix);
	ck_assert_lf(lf_job_wait(jobs[CHAIN - 1], -1, LF_ERROR));
	for (int i = 0; i < SIZE; i++)
		ck_assert(at(buffers[CHAIN], 0)[(i + CHAIN) % SIZE] ==
			  at(buffers[0], 0)[i] * (1 << CHAIN));
	for (int i = 0; i < CHAIN; i++) {
		ck_assert_int_eq(lf_job_wait(jobs[i], 0, NULL), 0);
		ck_assert_uint_eq(lf_job_result(jobs[i])->counters.mvm_count, 1);
		lf_job_destroy(jobs[i]);
	}
	for (int i = 0; i <= CHAIN; i++)
		lf_buffer_destroy(buffers[i]);
	lf_device_close(device);
	free(identity);
}
END_TEST

/* Submitting never waits: a long job is still running when its submission returns. */
START_TEST(test_timeout)
{
	enum { SIZE = 1024, VECTORS = 1000 };
	struct lf_device *device = open_device("inproc:ideal,threads=2");
	struct lf_buffer *input = make_buffer(device, (size_t)VECTORS * SIZE * 4);
	struct lf_buffer *output = make_buffer(device, (size_t)VECTORS * SIZE * 4);
	struct lf_matrix *matrix;
	struct lf_job *job;
	void *weights;

	matrix = make_matrix(device, SIZE, SIZE, 31, &weights);
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	ck_assert_int_eq(lf_job_wait(job, -1, NULL), 0);
	lf_job_begin(job, 0);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = matrix,
				.count = VECTORS,
				.input = lf_view_buffer(input, 0, SIZE * 4),
				.output = lf_view_buffer(output, 0, SIZE * 4),
			});
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf_fails(lf_job_wait(job, 1000, LF_ERROR), -ETIME, "still running");
	ck_assert_lf_fails(lf_job_submit(job, LF_ERROR), -EBUSY, "waited for");
	lf_job_begin(job, 1);
	ck_assert_lf(lf_job_wait(job, INT64_C(600000000000), LF_ERROR));
	ck_assert_uint_eq(lf_job_result(job)->counters.mvm_count, VECTORS);

	/* Destroying waits, so that the buffers may go next. */
	lf_job_begin(job, 2);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = matrix,
				.count = VECTORS,
				.input = lf_view_buffer(input, 0, SIZE * 4),
				.output = lf_view_buffer(output, 0, SIZE * 4),
			});
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	lf_job_destroy(job);
	lf_buffer_destroy(input);
	lf_buffer_destroy(output);
	lf_matrix_close(matrix);
	lf_device_close(device);
	free(weights);
}
END_TEST

/* The same job object, submitted again as it is, filled again alike, and filled again otherwise. */
START_TEST(test_resubmission)
{
	enum { SIZE = 40 };
	struct lf_device *device = open_device("inproc:ideal");
	struct lf_buffer *input = make_buffer(device, SIZE * 4);
	struct lf_buffer *output = make_buffer(device, SIZE * 4);
	struct lf_matrix *matrices[2];
	void *weights[2];
	struct lf_job *job;

	for (int i = 0; i < 2; i++)
		matrices[i] = make_matrix(device, SIZE, SIZE, 41 + (uint32_t)i, &weights[i]);
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	for (int round = 0; round < 6; round++) {
		int which = round / 3;
		float expected[SIZE];
		struct reference reference = {
			.weights = weights[which],
			.rows = SIZE,
			.cols = SIZE,
			.format = LF_FORMAT_INT8,
			.tile_rows = lf_device_info(device)->tile_rows,
			.input = lf_buffer_data(input),
			.output = expected,
		};

		random_fill(lf_buffer_data(input), SIZE, 50 + (uint32_t)round);
		if (round != 1) {
			lf_job_begin(job, (uint64_t)which);
			add_square(job, matrices[which], SIZE, input, output);
		}
		run(job);
		fixture_mvm(&reference);
		ck_assert_mem_eq(lf_buffer_data(output), expected, sizeof(expected));
	}
	lf_job_destroy(job);
	for (int i = 0; i < 2; i++) {
		lf_matrix_close(matrices[i]);
		free(weights[i]);
	}
	lf_buffer_destroy(input);
	lf_buffer_destroy(output);
	lf_device_close(device);
}
END_TEST

/* What jobs tell of themselves adds up to what the device tells of them. */
START_TEST(test_counters)
{
	enum { SIZE = 130, JOBS = 7 };
	struct lf_device *device = open_device("inproc:isaac");
	struct lf_buffer *input = make_buffer(device, SIZE * 4);
	struct lf_buffer *output = make_buffer(device, SIZE * 4);
	struct lf_counters before, after, sum;
	struct lf_telemetry first, last;
	struct lf_matrix *matrix;
	struct lf_job *job;
	void *weights;

	matrix = make_matrix(device, SIZE, SIZE, 61, &weights);
	ck_assert_lf(lf_device_counters(device, &before, LF_ERROR));
	ck_assert_lf(lf_device_telemetry(device, &first, LF_ERROR));
	ck_assert_uint_gt(before.cells_written, 0);
	sum = before;
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	for (uint64_t i = 0; i < JOBS; i++) {
		random_fill(lf_buffer_data(input), SIZE, 62 + (uint32_t)i);
		lf_job_begin(job, i);
		add_square(job, matrix, SIZE, input, output);
		run(job);
		lf_counters_add(&sum, &lf_job_result(job)->counters);
	}
	ck_assert_lf(lf_device_counters(device, &after, LF_ERROR));
	ck_assert_lf(lf_device_telemetry(device, &last, LF_ERROR));
	ck_assert_mem_eq(&after, &sum, sizeof(sum));
	ck_assert_uint_eq(after.jobs - before.jobs, JOBS);
	ck_assert_uint_eq(after.mvm_count - before.mvm_count, JOBS);
	ck_assert_uint_eq(after.mac_count - before.mac_count, JOBS * SIZE * SIZE);
	ck_assert_uint_eq(after.cells_written, before.cells_written);
	ck_assert_uint_gt(after.energy_pj[LF_ENERGY_ADC], before.energy_pj[LF_ENERGY_ADC]);
	ck_assert_uint_eq(last.total.mvm_count - first.total.mvm_count, JOBS);
	ck_assert_uint_eq(last.total.busy_ns - first.total.busy_ns, after.busy_ns - before.busy_ns);
	ck_assert_uint_eq(last.total.cells_written, first.total.cells_written);
	lf_job_destroy(job);
	lf_matrix_close(matrix);
	lf_buffer_destroy(input);
	lf_buffer_destroy(output);
	lf_device_close(device);
	free(weights);
}
END_TEST

/* Cells read back hold what was programmed, and a calibration answers with a power of two. */
START_TEST(test_read_and_calibrate)
{
	enum { HEIGHT = 140, WIDTH = 33, SAMPLES = 6 };
	struct lf_device *device = open_device("inproc:isaac");
	struct lf_buffer *buffer = make_buffer(device, HEIGHT * WIDTH);
	struct lf_buffer *samples = make_buffer(device, SAMPLES * HEIGHT * 4);
	struct lf_matrix *matrix;
	struct lf_job *job;
	void *weights;
	uint64_t step;

	matrix = make_matrix(device, HEIGHT, WIDTH, 71, &weights);
	random_fill(lf_buffer_data(samples), SAMPLES * HEIGHT, 72);
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	lf_job_begin(job, 0);
	lf_job_read(job, matrix, 0, HEIGHT, lf_view_buffer(buffer, 0, WIDTH));
	run(job);
	ck_assert_mem_eq(lf_buffer_data(buffer), weights, HEIGHT * WIDTH);
	lf_job_begin(job, 0);
	lf_job_calibrate(job, matrix, SAMPLES, lf_view_buffer(samples, 0, HEIGHT * 4));
	lf_job_barrier(job);
	run(job);
	step = lf_job_result(job)->result;
	ck_assert(step && !(step & (step - 1)));
	lf_job_destroy(job);
	lf_matrix_close(matrix);
	lf_buffer_destroy(buffer);
	lf_buffer_destroy(samples);
	lf_device_close(device);
	free(weights);
}
END_TEST

/* A matrix larger than what goes to the device at once arrives whole. */
START_TEST(test_large_matrix)
{
	enum { HEIGHT = 1100, WIDTH = 2000 };
	struct lf_device *device = open_device("inproc:ideal");
	struct lf_buffer *buffer = make_buffer(device, HEIGHT * WIDTH);
	struct lf_counters counters;
	struct lf_matrix *matrix;
	struct lf_job *job;
	void *weights;

	matrix = make_matrix(device, HEIGHT, WIDTH, 81, &weights);
	ck_assert_lf(lf_device_counters(device, &counters, LF_ERROR));
	ck_assert_uint_gt(counters.jobs, 1);
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	lf_job_begin(job, 0);
	lf_job_read(job, matrix, 0, HEIGHT, lf_view_buffer(buffer, 0, WIDTH));
	run(job);
	ck_assert_mem_eq(lf_buffer_data(buffer), weights, HEIGHT * WIDTH);
	lf_job_destroy(job);
	lf_matrix_close(matrix);
	lf_buffer_destroy(buffer);
	lf_device_close(device);
	free(weights);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("job");
	TCase *commands = tcase_create("commands");
	TCase *life = tcase_create("life");

	tcase_set_timeout(commands, 120);
	tcase_add_loop_test(commands, test_mvm, 0, sizeof(devices) / sizeof(devices[0]));
	tcase_add_loop_test(commands, test_fused_linear, 0, sizeof(devices) / sizeof(devices[0]));
	tcase_add_test(commands, test_read_and_calibrate);
	tcase_add_test(commands, test_large_matrix);
	tcase_set_timeout(life, 300);
	tcase_add_loop_test(life, test_order, 0, 2);
	tcase_add_test(life, test_timeout);
	tcase_add_test(life, test_resubmission);
	tcase_add_test(life, test_counters);
	suite_add_tcase(suite, commands);
	suite_add_tcase(suite, life);
	return suite_run(suite);
}
