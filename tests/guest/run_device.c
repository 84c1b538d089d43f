// SPDX-License-Identifier: MIT
/*
 * The runtime's device interface on /dev/accel: names, budgets, errors and their messages. What
 * jobs compute is run_same_bits.c's.
 */
#include <grp.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include <lf/device.h>
#include <lf/job.h>
#include <lf/matrix.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

#define SIZE	     32
#define OUTPUT	     4096
#define BUFFER_BYTES 8192

/* A call of the library that must succeed; its message is shown if it does not. */
#define CHECK_LF(call)                                        \
	do {                                                  \
		struct lf_error error_ = { 0 };               \
		struct lf_error *lf_error = &error_;          \
		if (call) {                                   \
			printf("# %s\n", error_.text);        \
			ktap_fail(__FILE__, __LINE__, #call); \
		}                                             \
	} while (0)

/* One that must fail with this code and a message that holds this text. */
#define CHECK_LF_FAILS(call, code_, fragment)                               \
	do {                                                                \
		struct lf_error error_ = { 0 };                             \
		struct lf_error *lf_error = &error_;                        \
		int result_ = call;                                         \
		if (result_ != (code_) || !strstr(error_.text, fragment)) { \
			printf("# %d: %s\n", result_, error_.text);         \
			ktap_fail(__FILE__, __LINE__, #call);               \
		}                                                           \
	} while (0)

static struct lf_device *open_device(void)
{
	struct lf_device *device = NULL;

	CHECK_LF(lf_device_open(NULL, &device, lf_error));
	if (strcmp(lf_device_info(device)->kind, "drm"))
		ktap_skip("no accelerator");
	return device;
}

static struct lf_matrix *create_matrix(struct lf_device *device, int8_t *weights)
{
	struct lf_matrix *matrix = NULL;

	for (int i = 0; i < SIZE * SIZE; i++)
		weights[i] = (int8_t)(i % 255 - 127);
	CHECK_LF(lf_matrix_create(device, SIZE, SIZE, LF_FORMAT_INT8, &matrix, lf_error));
	return matrix;
}

static struct lf_matrix *make_matrix(struct lf_device *device)
{
	int8_t weights[SIZE * SIZE];
	struct lf_matrix *matrix = create_matrix(device, weights);

	CHECK_LF(lf_matrix_program(matrix, 0, SIZE, weights, NULL, lf_error));
	CHECK_LF(lf_matrix_commit(matrix, lf_error));
	return matrix;
}

static void fill(struct lf_job *job, struct lf_matrix *matrix, struct lf_buffer *buffer)
{
	lf_job_begin(job, 0);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = matrix,
				.count = 1,
				.input = lf_view_buffer(buffer, 0, 0),
				.output = lf_view_buffer(buffer, OUTPUT, 0),
			});
}

static void default_is_the_real_device(void)
{
	struct lf_device *device = open_device();
	const struct lf_device_info *info = lf_device_info(device);
	struct lf_telemetry telemetry;
	struct lf_counters counters;

	CHECK(!strncmp(info->path, "/dev/accel/accel", 16));
	CHECK(info->bus[0] && info->preset[0]);
	CHECK(info->tiles && info->batch && info->job_buffers > 1);
	CHECK_LF(lf_device_telemetry(device, &telemetry, lf_error));
	CHECK_LF(lf_device_counters(device, &counters, lf_error));
	CHECK_EQUAL(counters.jobs, 0);
	lf_device_close(device);
	CHECK_LF_FAILS(lf_device_open("/dev/accel/accel63", &device, lf_error), -ENODEV, "absent");
	CHECK_LF_FAILS(lf_device_open("/dev/null", &device, lf_error), -ENODEV, "/dev/null");
	CHECK(!device);
}

/* A test has a process of its own, so it may give its rights away. */
static void permission_is_explained(void)
{
	struct lf_device *device;

	lf_device_close(open_device());
	if (geteuid())
		ktap_skip("not root");
	CHECK_OK(setgroups(0, NULL));
	CHECK_OK(setresgid(GUEST_OTHER, GUEST_OTHER, GUEST_OTHER));
	CHECK_OK(setresuid(GUEST_OTHER, GUEST_OTHER, GUEST_OTHER));
	if (access("/dev/accel", X_OK))
		ktap_skip("the folder of the node is closed to other users");
	CHECK_LF_FAILS(lf_device_open(NULL, &device, lf_error), -EACCES, "join the group");
}

static void names_work(void)
{
	struct lf_device *device = open_device();
	struct lf_matrix *matrix = make_matrix(device), *other = make_matrix(device), *opened;
	struct lf_matrix_info info, *list;
	uint32_t count, found = 0;

	CHECK_LF(lf_matrix_publish(matrix, "run/device", 0444, lf_error));
	CHECK_LF_FAILS(lf_matrix_publish(other, "run/device", 0444, lf_error), -EEXIST, "taken");
	lf_matrix_close(matrix);
	CHECK_LF(lf_matrix_open(device, "run/device", &opened, lf_error));
	CHECK_LF(lf_matrix_info(opened, &info, lf_error));
	CHECK_EQUAL(info.rows, SIZE);
	CHECK_EQUAL(info.state, LF_MATRIX_PUBLISHED);
	CHECK_LF(lf_matrix_list(device, &list, &count, lf_error));
	for (uint32_t i = 0; i < count; i++)
		found += !strcmp((char *)list[i].publication.name, "run/device");
	CHECK_EQUAL(found, 1);
	free(list);
	lf_matrix_close(opened);
	lf_matrix_close(other);
	CHECK_LF(lf_matrix_unlink(device, "run/device", lf_error));
	CHECK_LF_FAILS(lf_matrix_open(device, "run/device", &opened, lf_error), -ENOENT,
		       "run/device");
	CHECK_LF_FAILS(lf_matrix_unlink(device, "run/device", lf_error), -ENOENT, "run/device");
	lf_device_close(device);
}

static void commit_wants_all_rows(void)
{
	struct lf_device *device = open_device();
	int8_t weights[SIZE * SIZE];
	struct lf_matrix *matrix = create_matrix(device, weights);

	CHECK_LF(lf_matrix_program(matrix, 0, SIZE - 1, weights, NULL, lf_error));
	CHECK_LF_FAILS(lf_matrix_commit(matrix, lf_error), -EBUSY, "not programmed");
	CHECK_LF(lf_matrix_program(matrix, SIZE - 1, 1, weights, NULL, lf_error));
	CHECK_LF(lf_matrix_commit(matrix, lf_error));
	lf_matrix_close(matrix);
	lf_device_close(device);
}

static void full_device_says_what_is_wanting(void)
{
	struct lf_device *device = open_device();
	const struct lf_device_info *info = lf_device_info(device);
	struct lf_matrix *matrices[64];
	int err = 0, count = 0;
	struct lf_error error = { 0 };

	while (!err && count < 64) {
		err = lf_matrix_create(device, info->matrix_rows, info->matrix_cols, LF_FORMAT_INT8,
				       &matrices[count], &error);
		count += !err;
	}
	printf("# %s\n", error.text);
	CHECK_EQUAL(err, -ENOSPC);
	CHECK(strstr(error.text, "are wanting"));
	while (count)
		lf_matrix_close(matrices[--count]);
	lf_device_close(device);
}

static void budget_is_kept(void)
{
	struct lf_device *device = open_device();
	int8_t weights[SIZE * SIZE];
	struct lf_matrix *matrix = create_matrix(device, weights);
	struct lf_counters counters = { 0 };
	const uint64_t unlimited = ~UINT64_C(0);
	struct lf_account account;
	uint64_t quota;

	CHECK_LF(lf_matrix_program(matrix, 0, 1, weights, &counters, lf_error));
	CHECK_LF(lf_device_quota(device, geteuid(), NULL, &account, lf_error));
	quota = account.written_cells + counters.cells_written;
	CHECK_LF(lf_device_quota(device, geteuid(), &quota, &account, lf_error));
	CHECK_EQUAL(account.quota_cells, quota);
	CHECK_LF_FAILS(lf_matrix_program(matrix, 1, 2, weights, NULL, lf_error), -EDQUOT,
		       "write budget");
	CHECK_LF(lf_matrix_program(matrix, 1, 1, weights, &counters, lf_error));
	CHECK_LF(lf_device_quota(device, geteuid(), &unlimited, NULL, lf_error));
	lf_matrix_close(matrix);
	lf_device_close(device);
}

static void failures_are_named(void)
{
	struct lf_device *device = open_device();
	struct lf_matrix *matrix = make_matrix(device);
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;
	float *input;

	CHECK_LF(lf_buffer_create(device, BUFFER_BYTES, &buffer, lf_error));
	CHECK_LF(lf_job_create(device, &job, lf_error));
	input = lf_buffer_data(buffer);
	input[3] = NAN;
	fill(job, matrix, buffer);
	CHECK_LF(lf_job_submit(job, lf_error));
	CHECK_LF_FAILS(lf_job_wait(job, -1, lf_error), -EDOM, "command 0 (MVM) met NaN");
	input[3] = 1.0f;
	CHECK_LF(lf_job_submit(job, lf_error));
	CHECK_LF(lf_job_wait(job, -1, lf_error));
	CHECK_EQUAL(lf_job_result(job)->counters.mvm_count, 1);

	fill(job, matrix, buffer);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = matrix,
				.count = 1,
				.input = lf_view_buffer(buffer, OUTPUT, 0),
				.output = lf_view_buffer(buffer, 2 * SIZE * 4, 0),
			});
	{
		struct lf_error error = { 0 };
		int err = lf_job_submit(job, &error);

		if (!err)
			err = lf_job_wait(job, -1, &error);
		printf("# %s\n", error.text);
		CHECK_EQUAL(err, -EINVAL);
	}
	lf_job_destroy(job);
	lf_matrix_close(matrix);
	lf_buffer_destroy(buffer);
	lf_device_close(device);
}

static void hanging_job_times_out(void)
{
	struct lf_device *device = open_device();
	struct lf_matrix *matrix = make_matrix(device);
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;

	CHECK_LF(lf_buffer_create(device, BUFFER_BYTES, &buffer, lf_error));
	CHECK_LF(lf_job_create(device, &job, lf_error));
	fill(job, matrix, buffer);
	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_LF(lf_job_submit(job, lf_error));
	CHECK_LF_FAILS(lf_job_wait(job, 1000000, lf_error), -ETIME, "still running");
	CHECK_LF_FAILS(lf_job_wait(job, -1, lf_error), -ETIMEDOUT, "time limit");
	CHECK_LF(lf_job_submit(job, lf_error));
	CHECK_LF(lf_job_wait(job, -1, lf_error));
	lf_job_destroy(job);
	lf_matrix_close(matrix);
	lf_buffer_destroy(buffer);
	lf_device_close(device);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(default_is_the_real_device),
		KTAP_TEST(permission_is_explained),
		KTAP_TEST(names_work),
		KTAP_TEST(commit_wants_all_rows),
		KTAP_TEST(full_device_says_what_is_wanting),
		KTAP_TEST(budget_is_kept),
		KTAP_TEST(failures_are_named),
		KTAP_TEST(hanging_job_times_out),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
