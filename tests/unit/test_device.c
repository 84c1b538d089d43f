// SPDX-License-Identifier: MIT
/*
 * Opening devices, hostile specifications, buffers, write budgets, and memory that outlives a
 * device.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

#define SIZE 48

static const struct {
	const char *specification;
	int code;
	const char *fragment;
} refused[] = {
	{ "", -EINVAL, "neither a path" },
	{ "inprocess", -EINVAL, "neither a path" },
	{ "accel0", -EINVAL, "neither a path" },
	{ "inproc:nonesuch", -EINVAL, "preset \"nonesuch\"" },
	{ "inproc:nonesuch", -EINVAL, "there are: ideal, " },
	{ "inproc:nonesuch", -EINVAL, ", float" },
	{ "inproc:", -EINVAL, "preset \"\"" },
	{ "inproc,", -EINVAL, "\"\": not key=value" },
	{ "inproc:ideal,threads", -EINVAL, "\"threads\": not key=value" },
	{ "inproc:ideal,threads=", -EINVAL, "threads: \"\"" },
	{ "inproc:ideal,threads=0", -EINVAL, "threads: \"0\"" },
	{ "inproc:ideal,threads=-1", -EINVAL, "threads: \"-1\"" },
	{ "inproc:ideal,threads=2x", -EINVAL, "threads: \"2x\"" },
	{ "inproc:ideal,threads=99999999999999999999", -EINVAL, "threads" },
	{ "inproc:ideal,memory=", -EINVAL, "memory: is empty" },
	{ "inproc:ideal,memory=/", -EISDIR, "memory /" },
	{ "inproc:ideal,memory=/nonesuch/cells", -ENOENT, "memory /nonesuch/cells" },
	{ "inproc:ideal,memory=/dev/zero", -EINVAL, "not a regular file" },
	{ "inproc:ideal,color=red", -EINVAL, "color: neither" },
	{ "inproc:ideal,=1", -EINVAL, "neither" },
	{ "inproc:ideal,tiles=8,seed=1,tiles=8", -EINVAL, "tiles: given twice" },
	{ "inproc:ideal,threads=1,threads=2", -EINVAL, "threads: given twice" },
	{ "inproc:ideal,memory=a,tiles=8,memory=b", -EINVAL, "memory: given twice" },
	{ "inproc:ideal,tiles=8,tile", -EINVAL, "\"tile\": not key=value" },
	{ "inproc:ideal,tiles=0", -EINVAL, "tiles" },
	{ "inproc:ideal,tiles=many", -EINVAL, "tiles" },
	{ "inproc:ideal,tile_rows=5", -EINVAL, "tile_rows" },
	{ "/nonesuch", -ENODEV, "absent" },
	{ "/dev/null", -ENODEV, "/dev/null" },
};

START_TEST(test_refused)
{
	struct lf_device *device = (void *)1;

	ck_assert_lf_fails(lf_device_open(refused[_i].specification, &device, LF_ERROR),
			   refused[_i].code, refused[_i].fragment);
	ck_assert_ptr_null(device);
	ck_assert_int_eq(lf_device_open(refused[_i].specification, &device, NULL),
			 refused[_i].code);
}
END_TEST

/* The name of a parameter is said once. */
START_TEST(test_refused_once)
{
	struct lf_device *device = NULL;
	struct lf_error error = { 0 };

	ck_assert_int_eq(lf_device_open("inproc:isaac,adc_bits=0", &device, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.text, ": adc_bits: 0 "));
	ck_assert_ptr_null(strstr(error.text, "adc_bits: adc_bits"));
}
END_TEST

START_TEST(test_long_specification)
{
	struct lf_device *device;
	char specification[400] = "inproc:ideal,memory=/";

	memset(specification + strlen(specification), 'x', 300);
	ck_assert_lf_fails(lf_device_open(specification, &device, LF_ERROR), -EINVAL, "longer");
}
END_TEST

START_TEST(test_info)
{
	struct lf_device *device = open_device("inproc:isaac,tiles=64,threads=1");
	const struct lf_device_info *info = lf_device_info(device);

	ck_assert_str_eq(info->kind, "inproc");
	ck_assert_str_eq(info->bus, "none");
	ck_assert_str_eq(info->preset, "isaac");
	ck_assert_str_eq(info->path, "inproc:isaac,tiles=64,threads=1");
	ck_assert_uint_eq(info->tiles, 64);
	ck_assert_uint_eq(info->tile_rows, 128);
	ck_assert_uint_eq(info->formats, 1u << LF_FORMAT_INT8);
	lf_device_close(device);
	lf_device_close(NULL);

	device = open_device("inproc");
	ck_assert_str_eq(lf_device_info(device)->preset, "ideal");
	lf_device_close(device);
	device = open_device("inproc,threads=3");
	ck_assert_str_eq(lf_device_info(device)->preset, "ideal");
	lf_device_close(device);
}
END_TEST

START_TEST(test_buffers)
{
	struct lf_device *device = open_device("inproc:ideal,tiles=16");
	uint64_t limit = lf_device_info(device)->buffer_bytes;
	struct lf_buffer *buffer = make_buffer(device, 5000);
	const char *bytes = lf_buffer_data(buffer);

	ck_assert_uint_eq(lf_buffer_bytes(buffer), 8192);
	ck_assert_uint_eq((uintptr_t)bytes % 4096, 0);
	for (size_t i = 0; i < 8192; i++)
		ck_assert_int_eq(bytes[i], 0);
	lf_buffer_destroy(buffer);
	lf_buffer_destroy(NULL);
	ck_assert_lf_fails(lf_buffer_create(device, 0, &buffer, LF_ERROR), -EINVAL, "0 bytes");
	ck_assert_lf_fails(lf_buffer_create(device, limit + 1, &buffer, LF_ERROR), -EINVAL,
			   "possible");
	ck_assert_lf_fails(lf_buffer_create(device, SIZE_MAX, &buffer, LF_ERROR), -EINVAL,
			   "possible");
	ck_assert_ptr_null(buffer);
	lf_device_close(device);
}
END_TEST

/* A budget is reserved before the first pulse, and what it does not cover is not begun. */
START_TEST(test_quota)
{
	struct lf_device *device = open_device("inproc:ideal,tiles=64");
	struct lf_counters counters = { 0 };
	struct lf_account account;
	struct lf_matrix *matrix;
	uint64_t cells_of_row, quota;
	int8_t weights[SIZE * SIZE];

	random_weights(weights, sizeof(weights), LF_FORMAT_INT8, 1);
	ck_assert_lf(lf_matrix_create(device, SIZE, SIZE, LF_FORMAT_INT8, &matrix, LF_ERROR));
	ck_assert_lf(lf_matrix_program(matrix, 0, 1, weights, &counters, LF_ERROR));
	cells_of_row = counters.cells_written;
	ck_assert_uint_gt(cells_of_row, 0);
	ck_assert_lf(lf_device_quota(device, geteuid(), NULL, &account, LF_ERROR));
	ck_assert_uint_eq(account.quota_cells, ~UINT64_C(0));
	ck_assert_uint_eq(account.written_cells, cells_of_row);
	ck_assert_uint_gt(account.tiles, 0);

	quota = 10 * cells_of_row;
	ck_assert_lf(lf_device_quota(device, geteuid(), &quota, &account, LF_ERROR));
	ck_assert_uint_eq(account.quota_cells, quota);
	ck_assert_lf_fails(lf_matrix_program(matrix, 1, 20, weights, &counters, LF_ERROR), -EDQUOT,
			   "write budget");
	ck_assert_uint_eq(counters.cells_written, cells_of_row);
	ck_assert_lf(lf_matrix_program(matrix, 1, 9, weights, &counters, LF_ERROR));
	ck_assert_uint_eq(counters.cells_written, quota);
	ck_assert_lf_fails(lf_matrix_program(matrix, 10, 1, weights, NULL, LF_ERROR), -EDQUOT,
			   "write budget");
	lf_matrix_close(matrix);
	lf_device_close(device);
}
END_TEST

/* Attojoules carry into picojoules, so that no sum loses any. */
START_TEST(test_counters_add)
{
	struct lf_counters sum = { .jobs = 1 }, one = { .jobs = 2, .busy_ns = 5, .clips = 7 };

	sum.energy_sub_aj[LF_ENERGY_ADC] = 999999;
	one.energy_sub_aj[LF_ENERGY_ADC] = 999999;
	one.energy_pj[LF_ENERGY_ADC] = 3;
	lf_counters_add(&sum, &one);
	ck_assert_uint_eq(sum.energy_pj[LF_ENERGY_ADC], 4);
	ck_assert_uint_eq(sum.energy_sub_aj[LF_ENERGY_ADC], 999998);
	ck_assert_uint_eq(sum.energy_pj[LF_ENERGY_DAC], 0);
	ck_assert_uint_eq(sum.jobs, 3);
	ck_assert_uint_eq(sum.busy_ns, 5);
	ck_assert_uint_eq(sum.clips, 7);
}
END_TEST

static struct lf_device *open_memory(const char *preset, const char *path, struct lf_error *error)
{
	char specification[256];
	struct lf_device *device;

	snprintf(specification, sizeof(specification), "inproc:%s,tiles=64,memory=%s", preset,
		 path);
	lf_device_open(specification, &device, error);
	return device;
}

static void multiply(struct lf_device *device, struct lf_matrix *matrix, float *result)
{
	struct lf_buffer *buffer = make_buffer(device, 8192);
	struct lf_job *job;

	random_fill(lf_buffer_data(buffer), SIZE, 5);
	ck_assert_lf(lf_job_create(device, &job, LF_ERROR));
	lf_job_begin(job, 0);
	lf_job_mvm(job, &(struct lf_mvm){
				.matrix = matrix,
				.count = 1,
				.input = lf_view_buffer(buffer, 0, 0),
				.output = lf_view_buffer(buffer, 4096, 0),
			});
	ck_assert_lf(lf_job_submit(job, LF_ERROR));
	ck_assert_lf(lf_job_wait(job, -1, LF_ERROR));
	memcpy(result, (char *)lf_buffer_data(buffer) + 4096, SIZE * sizeof(*result));
	lf_job_destroy(job);
	lf_buffer_destroy(buffer);
}

/*
 * A second opening finds the matrix, answers alike and writes no cell; an unpublished one is gone.
 */
START_TEST(test_memory_lasts)
{
	const char *path = io_path("cells");
	struct lf_device *device = open_memory("isaac", path, NULL);
	struct lf_telemetry before, after;
	struct lf_counters counters;
	float first[SIZE], second[SIZE];
	struct lf_matrix *matrix, *other;
	struct lf_matrix_info *list;
	uint32_t count;
	void *weights;

	matrix = make_matrix(device, SIZE, SIZE, 1, &weights);
	ck_assert_lf(lf_matrix_publish(matrix, "pool/a", 0444, LF_ERROR));
	multiply(device, matrix, first);
	free(weights);
	other = make_matrix(device, SIZE, SIZE, 2, &weights);
	ck_assert_lf(lf_device_telemetry(device, &before, LF_ERROR));
	lf_matrix_close(matrix);
	lf_matrix_close(other);
	lf_device_close(device);
	free(weights);

	device = open_memory("isaac", path, NULL);
	ck_assert_ptr_nonnull(device);
	ck_assert_lf(lf_matrix_list(device, &list, &count, LF_ERROR));
	ck_assert_uint_eq(count, 1);
	ck_assert_str_eq((char *)list->publication.name, "pool/a");
	free(list);
	ck_assert_lf(lf_matrix_open(device, "pool/a", &matrix, LF_ERROR));
	multiply(device, matrix, second);
	ck_assert_mem_eq(first, second, sizeof(first));
	ck_assert_lf(lf_device_counters(device, &counters, LF_ERROR));
	ck_assert_uint_eq(counters.cells_written, 0);
	ck_assert_lf(lf_device_telemetry(device, &after, LF_ERROR));
	ck_assert_uint_eq(after.total.cells_written, before.total.cells_written);
	ck_assert_uint_gt(after.total.mvm_count, before.total.mvm_count);
	lf_matrix_close(matrix);
	lf_device_close(device);
}
END_TEST

/* What is not this device's memory is refused and stays as it was. */
START_TEST(test_foreign_memory)
{
	const char *path = io_path("foreign");
	void (*handler)(int);
	struct rlimit limit;
	struct lf_error error;
	struct stat status;
	char text[32];
	FILE *file;

	io_write_text(path, "dear diary");
	ck_assert_ptr_null(open_memory("ideal", path, &error));
	ck_assert_int_eq(error.code, -EPROTO);
	file = fopen(path, "r");
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	fclose(file);
	ck_assert_str_eq(text, "dear diary");

	/* As long as a device's memory, but of something else. */
	ck_assert_int_eq(truncate(path, 64 << 20), 0);
	ck_assert_ptr_null(open_memory("ideal", path, &error));
	ck_assert_int_eq(error.code, -EILSEQ);
	file = fopen(path, "r");
	ck_assert_uint_eq(fread(text, 1, 10, file), 10);
	fclose(file);
	ck_assert_mem_eq(text, "dear diary", 10);

	/* Longer, and zeros but for what comes behind the device's own bytes. */
	path = io_path("longer");
	io_write_text(path, "");
	ck_assert_int_eq(truncate(path, 64 << 20), 0);
	file = fopen(path, "r+");
	ck_assert_int_eq(fseek(file, (64 << 20) - 10, SEEK_SET), 0);
	ck_assert_int_gt(fputs("dear diary", file), 0);
	fclose(file);
	ck_assert_ptr_null(open_memory("ideal", path, &error));
	ck_assert_int_eq(error.code, -EILSEQ);
	file = fopen(path, "r");
	ck_assert_uint_eq(fread(text, 1, 10, file), 10);
	fclose(file);
	ck_assert_mem_eq(text, "\0\0\0\0\0\0\0\0\0\0", 10);

	/* Of another geometry. */
	path = io_path("cells");
	lf_device_close(open_memory("ideal", path, NULL));
	/* Of another version, which may have had fewer bytes. */
	file = fopen(path, "r+");
	ck_assert_int_eq(fseek(file, 8, SEEK_SET), 0);
	ck_assert_int_eq(fputc(2, file), 2);
	fclose(file);
	ck_assert_int_eq(stat(path, &status), 0);
	for (int i = 0; i < 3; i++) {
		static const off_t missing[] = { 0, 4096, 8192 };

		ck_assert_int_eq(truncate(path, status.st_size - missing[i]), 0);
		ck_assert_ptr_null(open_memory("ideal", path, &error));
		ck_assert_int_eq(error.code, -EPROTO);
		ck_assert_ptr_nonnull(strstr(error.text, "format version 2"));
	}
	ck_assert_int_eq(unlink(path), 0);
	lf_device_close(open_memory("ideal", path, NULL));
	ck_assert_ptr_null(open_memory("ideal,tile_rows=64", path, &error));
	ck_assert_int_eq(error.code, -EPROTO);
	ck_assert_int_eq(stat(path, &status), 0);
	lf_device_close(open_memory("ideal", path, &error));

	/* A refused specification leaves no file behind, nor does a file that finds no room. */
	path = io_path("absent");
	ck_assert_ptr_null(open_memory("ideal,tile_rows=5", path, &error));
	ck_assert_int_eq(access(path, F_OK), -1);
	ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
	handler = signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 4096, limit.rlim_max }), 0);
	ck_assert_ptr_null(open_memory("ideal", path, &error));
	ck_assert_int_eq(error.code, -EFBIG);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	signal(SIGXFSZ, handler);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(test_memory_in_use)
{
	const char *path = io_path("cells");
	struct lf_device *device = open_memory("ideal", path, NULL);
	struct lf_error error;

	ck_assert_ptr_nonnull(device);
	ck_assert_ptr_null(open_memory("ideal", path, &error));
	ck_assert_int_eq(error.code, -EBUSY);
	lf_device_close(device);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device");
	TCase *opening = tcase_create("opening");
	TCase *memory = tcase_create("memory");

	tcase_add_loop_test(opening, test_refused, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(opening, test_refused_once);
	tcase_add_test(opening, test_long_specification);
	tcase_add_test(opening, test_info);
	tcase_add_test(opening, test_buffers);
	tcase_add_test(opening, test_quota);
	tcase_add_test(opening, test_counters_add);
	tcase_set_timeout(opening, 60);
	tcase_add_checked_fixture(memory, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(memory, test_memory_lasts);
	tcase_add_test(memory, test_foreign_memory);
	tcase_add_test(memory, test_memory_in_use);
	tcase_set_timeout(memory, 60);
	suite_add_tcase(suite, opening);
	suite_add_tcase(suite, memory);
	return suite_run(suite);
}
