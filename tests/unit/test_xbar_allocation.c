// SPDX-License-Identifier: MIT
/*
 * Every allocation of the model failed once: the call says so, the device goes on, the next try gives the right result, and (under
 * AddressSanitizer) nothing leaks.
 */
#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/image.h"
#include "tests/unit/allocation_fixture.h"
#include "tests/unit/suite.h"

#define ROWS 20
#define COLS 12

static int8_t weights[ROWS * COLS];
static float input[ROWS], output[COLS];

/* One job of one command, its one or two buffers contiguous; 0, -ENOMEM, or the status. */
static int run(struct xbar *xbar, const struct lf_command *command, void *first,
	       uint64_t first_bytes, uint32_t scratch, uint64_t *result)
{
	const uint64_t bytes[] = { first_bytes, sizeof(output) };
	struct xbar_request request = {
		.commands = command,
		.command_count = 1,
		.buffer_bytes = bytes,
		.buffer_count = 2,
		.scratch_bytes = scratch,
		.management = true,
	};
	struct lf_completion completion;
	struct xbar_transfer *transfers;
	struct xbar_job *job;
	uint32_t count;
	int error = xbar_job_open(xbar, &request, &completion, &job);

	if (error)
		return error == -ENOMEM ? error : completion.status;
	transfers = xbar_job_transfers(job, &count);
	for (uint32_t i = 0; i < count; i++) {
		transfers[i].memory = transfers[i].buffer ? (void *)output : first;
		transfers[i].memory_stride = transfers[i].stride;
	}
	xbar_job_run(job, &completion);
	xbar_job_close(job);
	*result = completion.result;
	return completion.status;
}

/* From creating a matrix to deleting it; the first error, which must be one of memory, ends it. */
static int story(struct xbar *xbar)
{
	struct lf_command command = { .opcode = LF_OP_CREATE, .first = ROWS, .width = COLS };
	uint64_t matrix, result;
	int error = run(xbar, &command, NULL, 0, 0, &matrix);

	if (error)
		return error;
	command = (struct lf_command){
		.opcode = LF_OP_PROGRAM,
		.matrix = (uint32_t)matrix,
		.count = ROWS,
		.input = { .space = LF_SPACE_BUFFER, .stride = COLS },
	};
	error = run(xbar, &command, weights, sizeof(weights), 0, &result);
	if (!error) {
		command = (struct lf_command){ .opcode = LF_OP_COMMIT, .matrix = (uint32_t)matrix };
		error = run(xbar, &command, NULL, 0, 64, &result);
	}
	if (!error) {
		command.opcode = LF_OP_REFRESH;
		error = run(xbar, &command, NULL, 0, 0, &result);
	}
	if (!error) {
		command = (struct lf_command){
			.opcode = LF_OP_CALIBRATE,
			.matrix = (uint32_t)matrix,
			.count = 1,
			.input = { .space = LF_SPACE_BUFFER, .stride = sizeof(input) },
		};
		error = run(xbar, &command, input, sizeof(input), 0, &result);
	}
	if (!error) {
		command.opcode = LF_OP_MVM;
		command.output = (struct lf_operand){ .space = LF_SPACE_BUFFER,
						      .buffer = 1,
						      .stride = sizeof(output) };
		error = run(xbar, &command, input, sizeof(input), 0, &result);
	}
	command = (struct lf_command){ .opcode = LF_OP_DELETE, .matrix = (uint32_t)matrix };
	if (error) {
		allocation_fail(0);
		run(xbar, &command, NULL, 0, 0, &result);
		return error;
	}
	return run(xbar, &command, NULL, 0, 0, &result);
}

/* Exact, with converters that lose something, with cells that do. */
static const char *const settings[][6][2] = {
	{ { "adc_bits", "ideal" } },
	{ { "adc_bits", "3" } },
	{ { "adc_bits", "6" },
	  { "stuck_on", "0.02" },
	  { "spare_weights", "1" },
	  { "program_sigma", "0.03" },
	  { "verify_tolerance", "0.05" },
	  { "verify_pulses", "3" } },
};

#define WITH_PHYSICS 2

static struct xbar_params *make_params(int which)
{
	struct xbar_params *params;

	ck_assert_int_eq(xbar_params_create("isaac", &params), 0);
	ck_assert_int_eq(xbar_params_set(params, "tiles", "16", NULL), 0);
	ck_assert_int_eq(xbar_params_set(params, "tile_rows", "8", NULL), 0);
	for (int i = 0; i < 6 && settings[which][i][0]; i++)
		ck_assert_int_eq(
			xbar_params_set(params, settings[which][i][0], settings[which][i][1], NULL),
			0);
	return params;
}

START_TEST(every_allocation_may_fail)
{
	struct xbar_params *params = make_params(_i);
	uint64_t bytes = xbar_nonvolatile_bytes(params);
	uint8_t *memory = aligned_alloc(4096, bytes);
	unsigned long failures = 0;
	float right[COLS];

	for (int i = 0; i < ROWS * COLS; i++)
		weights[i] = (int8_t)(i * 7 % 255 - 127);
	for (int i = 0; i < ROWS; i++)
		input[i] = (float)i;
	for (unsigned long n = 0;; n++) {
		struct xbar *xbar = NULL;
		bool exhausted;
		int error;

		memset(memory, 0, bytes);
		allocation_fail(n);
		error = xbar_create(params, memory, bytes, NULL, NULL, NULL, &xbar);
		if (!error)
			error = story(xbar);
		exhausted = n && allocation_to_go();
		allocation_fail(0);
		ck_assert_msg(error == 0 || error == -ENOMEM || error == LF_STATUS_INTERNAL,
			      "allocation %lu: %d", n, error);
		if (n == 0) {
			ck_assert_int_eq(error, 0);
			memcpy(right, output, sizeof(right));
		}
		failures += error != 0;
		/* The device goes on, or another attaches. */
		memset(output, 0, sizeof(output));
		if (!xbar)
			ck_assert_int_eq(
				xbar_create(params, memory, bytes, NULL, NULL, NULL, &xbar), 0);
		ck_assert_int_eq(story(xbar), 0);
		/* Another matrix on other tiles has other errors. */
		if (_i != WITH_PHYSICS)
			ck_assert_mem_eq(output, right, sizeof(right));
		xbar_destroy(xbar);
		if (exhausted)
			break;
	}
	ck_assert_uint_gt(failures, 12);
	free(memory);
	xbar_params_free(params);
}
END_TEST

/* Copies the memory in the middle of a refresh. */
struct copy {
	const uint8_t *memory;
	uint8_t *cut;
	uint64_t bytes;
	uint64_t journal;
	int barriers;
};

static void copy_memory(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct copy *copy = opaque;

	(void)offset;
	(void)bytes;
	if (copy->memory[copy->journal] && ++copy->barriers == 4)
		memcpy(copy->cut, copy->memory, copy->bytes);
}

/* Completing a refresh that was cut needs memory; who has none is told, and leaves it as it is for the next. */
START_TEST(recovery_may_fail)
{
	const struct xbar_ops ops = { .persist = copy_memory };
	struct xbar_params *params = make_params(WITH_PHYSICS);
	uint64_t bytes = xbar_nonvolatile_bytes(params);
	uint8_t *memory = aligned_alloc(4096, bytes), *again = aligned_alloc(4096, bytes);
	struct copy copy = { memory, aligned_alloc(4096, bytes), bytes, 0, 0 };
	struct xbar_image_layout layout;
	unsigned long failures = 0;
	struct xbar *xbar;

	xbar_image_layout(params, &layout);
	copy.journal = layout.journal;
	memset(memory, 0, bytes);
	ck_assert_int_eq(xbar_create(params, memory, bytes, &ops, &copy, NULL, &xbar), 0);
	ck_assert_int_eq(story(xbar), 0);
	xbar_destroy(xbar);
	ck_assert_int_ge(copy.barriers, 4);
	for (unsigned long n = 1;; n++) {
		bool exhausted;
		int error;

		memcpy(again, copy.cut, bytes);
		allocation_fail(n);
		error = xbar_create(params, again, bytes, NULL, NULL, NULL, &xbar);
		exhausted = allocation_to_go();
		allocation_fail(0);
		if (error) {
			ck_assert_int_eq(error, -ENOMEM);
			ck_assert_uint_ne(again[copy.journal], 0);
			failures++;
			ck_assert_int_eq(xbar_create(params, again, bytes, NULL, NULL, NULL, &xbar),
					 0);
		}
		ck_assert_uint_eq(again[copy.journal], 0);
		xbar_destroy(xbar);
		if (exhausted)
			break;
	}
	ck_assert_uint_gt(failures, 5);
	free(memory);
	free(again);
	free(copy.cut);
	xbar_params_free(params);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar allocation");
	TCase *tests = tcase_create("allocation");

	tcase_add_loop_test(tests, every_allocation_may_fail, 0, 3);
	tcase_add_test(tests, recovery_may_fail);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
