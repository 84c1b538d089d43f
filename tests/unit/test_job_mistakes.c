// SPDX-License-Identifier: MIT
/*
 * Mistakes in jobs: each is named with its command and field, and nothing of the job is executed.
 */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

#define ROWS	     24
#define COLS	     16
#define COUNT	     3
#define BUFFER_BYTES 8192

static struct lf_device *device;
static struct lf_buffer *buffer, *foreign;
static struct lf_device *elsewhere;
static struct lf_matrix *matrix, *torn;
static struct lf_job *job;

static void setup(void)
{
	void *weights;

	device = open_device("inproc:ideal,tiles=48");
	elsewhere = open_device("inproc:float,tiles=48");
	buffer = make_buffer(device, BUFFER_BYTES);
	foreign = make_buffer(elsewhere, BUFFER_BYTES);
	matrix = make_matrix(device, ROWS, COLS, 1, &weights);
	ck_assert_lf(lf_matrix_create(device, ROWS, COLS, LF_FORMAT_INT8, &torn, LF_ERROR));
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	free(weights);
}

static void teardown(void)
{
	lf_job_destroy(job);
	lf_job_destroy(NULL);
	lf_matrix_close(matrix);
	lf_matrix_close(torn);
	lf_buffer_destroy(buffer);
	lf_buffer_destroy(foreign);
	lf_device_close(device);
	lf_device_close(elsewhere);
}

static struct lf_mvm good_mvm(void)
{
	return (struct lf_mvm){
		.matrix = matrix,
		.count = COUNT,
		.input = lf_view_buffer(buffer, 0, ROWS * 4),
		.output = lf_view_buffer(buffer, 4096, COLS * 4),
	};
}

static struct lf_fuse good_fuse(void)
{
	return (struct lf_fuse){
		.flags = LF_FUSE_SUM,
		.count = COUNT,
		.width = COLS,
		.rank = 4,
		.input = lf_view_buffer(buffer, 0, COLS * 4),
		.output = lf_view_scratch(0, COLS * 4),
		.scale = lf_view_buffer(buffer, 2048, 0),
	};
}

/*
 * Begins a job of a good barrier and multiplication, so that the command in question is number 2.
 */
static void begin(void)
{
	struct lf_mvm mvm = good_mvm();

	lf_job_begin(job, 0);
	lf_job_scratch(job, 1024);
	lf_job_barrier(job);
	lf_job_mvm(job, &mvm);
}

#define expect_refused(fragment) ck_assert_lf_fails(lf_job_submit(job, LF_ERROR), -EINVAL, fragment)

/* The field of a multiplication set to something wrong, and what the message holds. */
#define check_mvm(statement, fragment)                        \
	do {                                                  \
		struct lf_mvm mvm = good_mvm();               \
		statement;                                    \
		begin();                                      \
		lf_job_mvm(job, &mvm);                        \
		expect_refused("command 2 (MVM): " fragment); \
	} while (0)

START_TEST(test_mvm_fields)
{
	check_mvm(mvm.matrix = NULL, "matrix is missing");
	check_mvm(mvm.matrix = torn, "matrix is not committed");
	check_mvm(mvm.flags = 1 << 5, "flags has unknown bits");
	check_mvm(mvm.flags = LF_MVM_INPUT_INT8, "flags asks for int8");
	check_mvm(mvm.count = 0, "count is 0");
	check_mvm(mvm.count = lf_device_info(device)->batch + 1, "count is");
	check_mvm(mvm.fixed_scale = 1.0f, "fixed_scale is set without");
	check_mvm(mvm.fixed_scale = NAN, "fixed_scale is set without");
	check_mvm(mvm.flags = LF_MVM_FIXED_SCALE, "fixed_scale and its inverse");
	check_mvm((mvm.flags = LF_MVM_FIXED_SCALE, mvm.fixed_scale = -1.0f), "fixed_scale");
	check_mvm((mvm.flags = LF_MVM_FIXED_SCALE, mvm.fixed_scale = INFINITY), "fixed_scale");
	check_mvm((mvm.flags = LF_MVM_FIXED_SCALE, mvm.fixed_scale = NAN), "fixed_scale");
	check_mvm((mvm.flags = LF_MVM_FIXED_SCALE, mvm.fixed_scale = FLT_MIN / 4), "fixed_scale");
	check_mvm(mvm.factor.offset = 4, "factor is not given but");
	check_mvm(mvm.input = (struct lf_view){ 0 }, "input is missing");
	check_mvm(mvm.input.space = 7, "input is in an unknown space");
	check_mvm(mvm.input.buffer = NULL, "input has no buffer");
	check_mvm(mvm.input.buffer = foreign, "input is in a buffer of another device");
	check_mvm(mvm.input.offset = 2, "input does not begin");
	check_mvm(mvm.input.stride = 0, "stride of input is 0");
	check_mvm(mvm.input.stride = ROWS * 4 - 4, "stride of input");
	check_mvm(mvm.input.stride = ROWS * 4 + 2, "stride of input");
	check_mvm(mvm.input.offset = BUFFER_BYTES - 4, "input needs 288 bytes");
	check_mvm(mvm.input.offset = UINT64_MAX - 3, "input needs");
	check_mvm(mvm.input.stride = UINT32_MAX - 3, "input needs");
	check_mvm(mvm.output = lf_view_scratch(896, COLS * 4), "output needs 192 bytes");
	check_mvm((mvm.output.space = LF_VIEW_SCRATCH), "output is in scratch but names");
	check_mvm(mvm.flags = LF_MVM_ACCUMULATE, "output must be in scratch");
	check_mvm(mvm.factor = lf_view_buffer(buffer, 0, 4), "factor has a stride");
	check_mvm(mvm.flags = LF_MVM_TILE_SCALE, "scale is missing");
	check_mvm(mvm.bias = lf_view_buffer(buffer, BUFFER_BYTES - 60, 0), "bias needs 64 bytes");
	check_mvm((mvm.flags = LF_MVM_TRANSPOSE, mvm.bias = lf_view_buffer(buffer, 0, 0)),
		  "bias is for the forward");
	check_mvm((mvm.flags = LF_MVM_TRANSPOSE, mvm.partials = lf_view_buffer(buffer, 0, 64)),
		  "partials is for the forward");
	check_mvm((mvm.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE, mvm.fixed_scale = 1.0f,
		   mvm.factor = lf_view_buffer(buffer, 0, 0)),
		  "factor cannot");
	check_mvm((mvm.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE | LF_MVM_TRANSPOSE,
		   mvm.fixed_scale = 1.0f, mvm.scale = lf_view_buffer(buffer, 0, 0)),
		  "scale cannot");
}
END_TEST

#define check_fuse(statement, fragment)                        \
	do {                                                   \
		struct lf_fuse fuse = good_fuse();             \
		statement;                                     \
		begin();                                       \
		lf_job_fuse(job, &fuse);                       \
		expect_refused("command 2 (FUSE): " fragment); \
	} while (0)

START_TEST(test_fuse_fields)
{
	check_fuse(fuse.flags = 0, "flags must hold one");
	check_fuse(fuse.flags = LF_FUSE_SUM | LF_FUSE_PRODUCT, "flags must hold one");
	check_fuse(fuse.flags = LF_FUSE_SUM | 1 << 8, "flags has unknown");
	check_fuse(fuse.count = 0, "count is 0");
	check_fuse(fuse.width = 0, "width is 0");
	check_fuse(fuse.width = UINT32_MAX, "width is");
	check_fuse(fuse.rank = 0, "rank must divide");
	check_fuse(fuse.rank = 3, "rank must divide");
	check_fuse(fuse.flags = LF_FUSE_AFFINE, "rank must be 0");
	check_fuse(fuse.scale = (struct lf_view){ 0 }, "scale is missing");
	check_fuse(fuse.bias = lf_view_buffer(buffer, 0, 0), "bias is for AFFINE");
	check_fuse((fuse.flags |= LF_FUSE_ACCUMULATE,
		    fuse.output = lf_view_buffer(buffer, 4096, COLS * 4)),
		   "output must be in scratch");
}
END_TEST

START_TEST(test_row_fields)
{
	struct lf_view rows = lf_view_buffer(buffer, 0, COLS);

	begin();
	lf_job_program(job, matrix, 0, 1, rows);
	expect_refused("command 2 (PROGRAM): matrix is committed already");
	begin();
	lf_job_program(job, torn, ROWS, 1, rows);
	expect_refused("command 2 (PROGRAM): first is 24, possible are 0 .. 23");
	begin();
	lf_job_program(job, torn, 1, ROWS, rows);
	expect_refused("command 2 (PROGRAM): count is 24, possible are 1 .. 23");
	begin();
	lf_job_program(job, torn, 0, 1, lf_view_scratch(0, COLS));
	expect_refused("command 2 (PROGRAM): input must be in a buffer");
	begin();
	lf_job_read(job, matrix, 0, 2, lf_view_buffer(buffer, BUFFER_BYTES - COLS, COLS));
	expect_refused("command 2 (READ): output needs 32 bytes");
	begin();
	lf_job_calibrate(job, torn, 1, lf_view_buffer(buffer, 0, ROWS * 4));
	expect_refused("command 2 (CALIBRATE): matrix is not committed");
}
END_TEST

/* The first mistake stays until the job is begun again, and the device has seen nothing. */
START_TEST(test_sticky)
{
	struct lf_mvm mvm = good_mvm(), worse = good_mvm();
	struct lf_counters before, after;

	ck_assert_lf(lf_device_counters(device, &before, LF_ERROR));
	mvm.count = 0;
	worse.matrix = NULL;
	begin();
	lf_job_mvm(job, &mvm);
	lf_job_mvm(job, &worse);
	lf_job_barrier(job);
	ck_assert_uint_eq(lf_job_scratch(job, 16), 0);
	expect_refused("command 2 (MVM): count");
	expect_refused("command 2 (MVM): count");
	ck_assert_int_eq(lf_job_wait(job, -1, NULL), 0);
	ck_assert_lf(lf_device_counters(device, &after, LF_ERROR));
	ck_assert_mem_eq(&before, &after, sizeof(before));
	begin();
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf(lf_job_wait(job, -1, LF_ERROR));
}
END_TEST

START_TEST(test_limits)
{
	const struct lf_device_info *info = lf_device_info(device);

	lf_job_begin(job, 0);
	expect_refused("has no command");
	for (uint32_t i = 0; i <= info->job_commands; i++)
		lf_job_barrier(job);
	expect_refused("commands");
	lf_job_begin(job, 0);
	lf_job_scratch(job, info->job_scratch_bytes);
	lf_job_scratch(job, 1);
	expect_refused("scratch: 1 bytes");
	lf_job_begin(job, 0);
	lf_job_scratch(job, UINT64_MAX);
	expect_refused("scratch");
	lf_job_begin(job, 0);
	ck_assert_uint_eq(lf_job_scratch(job, 1), 0);
	ck_assert_uint_eq(lf_job_scratch(job, 65), 64);
	ck_assert_uint_eq(lf_job_scratch(job, 4), 192);
}
END_TEST

/* What only the device can tell is told by the wait, with the command. */
START_TEST(test_refused_by_device)
{
	struct lf_mvm mvm = good_mvm();
	float *input = lf_buffer_data(buffer);

	begin();
	mvm.output = lf_view_buffer(buffer, 8, COLS * 4);
	lf_job_mvm(job, &mvm);
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf_fails(lf_job_wait(job, -1, LF_ERROR), -EINVAL,
			   "command 2 (MVM) reads a range of a buffer that the job also writes");
	ck_assert_uint_eq(lf_job_result(job)->status, LF_STATUS_OVERLAP);

	input[5] = NAN;
	lf_job_begin(job, 0);
	mvm = good_mvm();
	lf_job_mvm(job, &mvm);
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf_fails(lf_job_wait(job, -1, LF_ERROR), -EDOM, "command 0 (MVM) met NaN");
	input[5] = 1.0f;
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf(lf_job_wait(job, -1, LF_ERROR));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("job_mistakes");
	TCase *mistakes = tcase_create("mistakes");

	tcase_add_checked_fixture(mistakes, setup, teardown);
	tcase_set_timeout(mistakes, 60);
	tcase_add_test(mistakes, test_mvm_fields);
	tcase_add_test(mistakes, test_fuse_fields);
	tcase_add_test(mistakes, test_row_fields);
	tcase_add_test(mistakes, test_sticky);
	tcase_add_test(mistakes, test_limits);
	tcase_add_test(mistakes, test_refused_by_device);
	suite_add_tcase(suite, mistakes);
	return suite_run(suite);
}
