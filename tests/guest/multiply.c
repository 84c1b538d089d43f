// SPDX-License-Identifier: MIT
/*
 * Jobs of MVM and FUSE against the scalar reference, exactly: the shipped presets are lossless for
 * such matrices.
 */
#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"
#include "tests/guest/observe.h"

enum { ROWS = 150, COLS = 70, BATCH = 5 };

/* A matrix with its weights, a buffer with random floats, its layout in floats. */
struct bench {
	int fd;
	int8_t weights[ROWS * COLS];
	uint32_t matrix;
	struct guest_buffer buffer;
	float *memory;
};

enum { INPUT = 0, FACTOR = 2048, SCALE = 2304, BIAS = 2560, OUTPUT = 4096, FLOATS = 8192 };

static struct bench bench(uint64_t seed)
{
	struct bench bench = { .fd = guest_open() };

	printf("# seed %llu\n", (unsigned long long)seed);
	bench.matrix = guest_matrix(bench.fd, ROWS, COLS, seed, bench.weights);
	bench.buffer = guest_buffer(bench.fd, FLOATS * sizeof(float));
	bench.memory = bench.buffer.memory;
	for (uint32_t i = 0; i < OUTPUT; i++)
		bench.memory[i] = guest_float(&seed);
	return bench;
}

static struct guest_job multiply(struct bench *bench, struct lf_command **command)
{
	struct guest_job job = guest_job();

	*command = guest_job_command(&job, LF_OP_MVM);
	guest_job_buffer(&job, bench->buffer.handle);
	(*command)->matrix = guest_job_matrix(&job, bench->matrix);
	(*command)->count = BATCH;
	(*command)->input = guest_operand(0, INPUT * 4, ROWS * 4);
	(*command)->output = guest_operand(0, OUTPUT * 4, COLS * 4);
	return job;
}

static void batch_is_exact(void)
{
	struct bench set = bench(11);
	struct lf_command *command;
	struct guest_job job = multiply(&set, &command);
	float expected[COLS];

	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (uint32_t i = 0; i < BATCH; i++) {
		guest_forward(set.memory + INPUT + i * ROWS, set.weights, ROWS, COLS, expected);
		CHECK_EQUAL(memcmp(set.memory + OUTPUT + i * COLS, expected, sizeof(expected)), 0);
	}
}

static void factor_scale_and_bias_are_exact(void)
{
	struct bench set = bench(12);
	struct lf_command *command;
	struct guest_job job = multiply(&set, &command);
	float x[ROWS], expected[COLS];

	command->factor = guest_operand(0, FACTOR * 4, 0);
	command->scale = guest_operand(0, SCALE * 4, 0);
	command->bias = guest_operand(0, BIAS * 4, 0);
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (uint32_t i = 0; i < BATCH; i++) {
		for (uint32_t row = 0; row < ROWS; row++)
			x[row] = set.memory[INPUT + i * ROWS + row] * set.memory[FACTOR + row];
		guest_forward(x, set.weights, ROWS, COLS, expected);
		for (uint32_t column = 0; column < COLS; column++) {
			float t = expected[column] * set.memory[SCALE + column];

			expected[column] = t + set.memory[BIAS + column];
		}
		CHECK_EQUAL(memcmp(set.memory + OUTPUT + i * COLS, expected, sizeof(expected)), 0);
	}
}

static void transpose_is_exact(void)
{
	struct bench set = bench(13);
	struct lf_command *command;
	struct guest_job job = multiply(&set, &command);
	int8_t q[COLS];

	command->flags = LF_MVM_TRANSPOSE;
	command->input.stride = COLS * 4;
	command->output.stride = ROWS * 4;
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (uint32_t i = 0; i < BATCH; i++) {
		float scale = guest_quantise(set.memory + INPUT + i * COLS, COLS, q);

		for (uint32_t row = 0; row < ROWS; row++) {
			int32_t sum = 0;

			for (uint32_t column = 0; column < COLS; column++)
				sum += q[column] * set.weights[row * COLS + column];
			CHECK(set.memory[OUTPUT + i * ROWS + row] == (float)sum * scale);
		}
	}
}

static void int8_input_is_exact(void)
{
	struct bench set = bench(14);
	struct lf_command *command;
	struct guest_job job = multiply(&set, &command);
	int8_t *input = (int8_t *)set.memory;
	const float scale = 0.0625f;

	for (uint32_t i = 0; i < BATCH * ROWS; i++)
		input[i] = (int8_t)((int32_t)(i * 37 % 255) - 127);
	command->flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE;
	memcpy(&command->fixed_scale, &scale, sizeof(scale));
	command->input = guest_operand(0, 0, ROWS);
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (uint32_t i = 0; i < BATCH; i++) {
		for (uint32_t column = 0; column < COLS; column++) {
			int32_t sum = 0;

			for (uint32_t row = 0; row < ROWS; row++)
				sum += input[i * ROWS + row] * set.weights[row * COLS + column];
			CHECK(set.memory[OUTPUT + i * COLS + column] == (float)sum * scale);
		}
	}
}

/* z = W x in scratch, c_i z_i over groups, a second product added, out through AFFINE. */
static void chain_in_scratch_is_exact(void)
{
	enum { RANK = 10 };
	struct bench set = bench(15);
	struct lf_command *command;
	struct guest_job job = multiply(&set, &command);
	float z[COLS];

	command->output = guest_scratch(0, COLS * 4);
	command = guest_job_command(&job, LF_OP_FUSE);
	command->flags = LF_FUSE_SUM;
	command->count = BATCH;
	command->width = COLS;
	command->rank = RANK;
	command->input = guest_scratch(0, COLS * 4);
	command->output = guest_scratch(0, COLS * 4);
	command->scale = guest_operand(0, FACTOR * 4, 0);
	command = guest_job_command(&job, LF_OP_MVM);
	*command = job.commands[0];
	command->flags = LF_MVM_ACCUMULATE;
	command = guest_job_command(&job, LF_OP_FUSE);
	command->flags = LF_FUSE_AFFINE;
	command->count = BATCH;
	command->width = COLS;
	command->input = guest_scratch(0, COLS * 4);
	command->output = guest_operand(0, OUTPUT * 4, COLS * 4);
	command->scale = guest_operand(0, SCALE * 4, 0);
	command->bias = guest_operand(0, BIAS * 4, 0);
	job.submit.scratch_bytes = BATCH * COLS * 4;
	CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	for (uint32_t i = 0; i < BATCH; i++) {
		guest_forward(set.memory + INPUT + i * ROWS, set.weights, ROWS, COLS, z);
		for (uint32_t column = 0; column < COLS; column++) {
			float y = set.memory[FACTOR + column / RANK] * z[column];

			y = y + z[column];
			y = y * set.memory[SCALE + column];
			y = y + set.memory[BIAS + column];
			CHECK(set.memory[OUTPUT + i * COLS + column] == y);
		}
	}
}

/* The scratch memory of each job starts as zeros, whatever the one before left. */
static void scratch_starts_as_zeros(void)
{
	enum { WIDTH = 256 };
	struct bench set = bench(16);

	for (int round = 0; round < 2; round++) {
		struct guest_job job = guest_job();
		struct lf_command *command = guest_job_command(&job, LF_OP_FUSE);

		guest_job_buffer(&job, set.buffer.handle);
		command->flags = LF_FUSE_AFFINE;
		command->count = 1;
		command->width = WIDTH;
		command->input = guest_scratch(0, WIDTH * 4);
		command->output = guest_operand(0, OUTPUT * 4, WIDTH * 4);
		if (round == 0) {
			command->input = guest_operand(0, 0, WIDTH * 4);
			command->output = guest_scratch(0, WIDTH * 4);
		}
		job.submit.scratch_bytes = WIDTH * 4;
		CHECK_EQUAL(guest_job_run(set.fd, &job), 1);
	}
	for (uint32_t i = 0; i < WIDTH; i++)
		CHECK(set.memory[OUTPUT + i] == 0);
}

/* More than twice around the ring, and without a reset: recovery makes up for what a driver does wrong. */
static void many_jobs_in_flight_are_exact(void)
{
	enum { JOBS = 600 };
	long long resets = guest_read_number(GUEST_DEVICE "/lf/resets");
	struct bench set = bench(17);
	uint32_t syncobj = guest_syncobj(set.fd);
	struct guest_buffer outputs = guest_buffer(set.fd, JOBS * 512);
	float expected[COLS];

	for (uint32_t i = 0; i < JOBS; i++) {
		struct guest_job job = guest_job();
		struct lf_command *command = guest_job_command(&job, LF_OP_MVM);

		guest_job_buffer(&job, set.buffer.handle);
		guest_job_buffer(&job, outputs.handle);
		command->matrix = guest_job_matrix(&job, set.matrix);
		command->count = 1;
		command->input = guest_operand(0, (INPUT + i) * 4, ROWS * 4);
		command->output = guest_operand(1, i * 512, COLS * 4);
		guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
		CHECK_OK(guest_job_submit(set.fd, &job));
	}
	/* The last one's fence: jobs of a file run in order. */
	CHECK_OK(guest_wait(set.fd, syncobj, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/resets"), resets);
	for (uint32_t i = 0; i < JOBS; i++) {
		guest_forward(set.memory + INPUT + i, set.weights, ROWS, COLS, expected);
		CHECK_EQUAL(memcmp((char *)outputs.memory + i * 512, expected, sizeof(expected)),
			    0);
	}
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(batch_is_exact),
		KTAP_TEST(factor_scale_and_bias_are_exact),
		KTAP_TEST(transpose_is_exact),
		KTAP_TEST(int8_input_is_exact),
		KTAP_TEST(chain_in_scratch_is_exact),
		KTAP_TEST(scratch_starts_as_zeros),
		KTAP_TEST(many_jobs_in_flight_are_exact),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
