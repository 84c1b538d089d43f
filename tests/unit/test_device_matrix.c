// SPDX-License-Identifier: MIT
/* Life of matrices: programming, names, handles, a full device. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/device_fixture.h"
#include "tests/unit/suite.h"

#define SIZE	   40
#define NAMED_SIZE 16 /* of one tile */

static struct lf_device *device;

static void setup(void)
{
	device = open_device("inproc:ideal,tiles=48,matrices=40");
}

static void teardown(void)
{
	lf_device_close(device);
}

static struct lf_matrix *make_named(const char *name, uint32_t mode)
{
	void *weights;
	struct lf_matrix *matrix = make_matrix(device, NAMED_SIZE, NAMED_SIZE, 1, &weights);

	ck_assert_lf(lf_matrix_publish(matrix, name, mode, LF_ERROR));
	free(weights);
	return matrix;
}

START_TEST(test_create_refused)
{
	const struct lf_device_info *info = lf_device_info(device);
	struct lf_matrix *matrix;

	ck_assert_lf_fails(lf_matrix_create(device, 0, 1, LF_FORMAT_INT8, &matrix, LF_ERROR),
			   -EINVAL, "0 rows");
	ck_assert_lf_fails(lf_matrix_create(device, info->matrix_rows + 1, 1, LF_FORMAT_INT8,
					    &matrix, LF_ERROR),
			   -EINVAL, "rows");
	ck_assert_lf_fails(lf_matrix_create(device, 1, 0, LF_FORMAT_INT8, &matrix, LF_ERROR),
			   -EINVAL, "0 columns");
	ck_assert_lf_fails(
		lf_matrix_create(device, 1, UINT32_MAX, LF_FORMAT_INT8, &matrix, LF_ERROR), -EINVAL,
		"columns");
	ck_assert_lf_fails(lf_matrix_create(device, 1, 1, LF_FORMAT_FP32, &matrix, LF_ERROR),
			   -EINVAL, "format");
	ck_assert_lf_fails(lf_matrix_create(device, 1, 1, 99, &matrix, LF_ERROR), -EINVAL,
			   "format");
	ck_assert_ptr_null(matrix);
}
END_TEST

/* Rows in any order, each once; nothing before commit, nothing after it. */
START_TEST(test_program)
{
	int8_t weights[SIZE * SIZE];
	struct lf_counters counters = { 0 };
	struct lf_matrix_info info;
	struct lf_matrix *matrix;

	random_weights(weights, sizeof(weights), LF_FORMAT_INT8, 1);
	ck_assert_lf(lf_matrix_create(device, SIZE, SIZE, LF_FORMAT_INT8, &matrix, LF_ERROR));
	ck_assert_lf(lf_matrix_program(matrix, 30, 10, weights + 30 * SIZE, &counters, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_commit(matrix, LF_ERROR), -EBUSY, "not programmed");
	ck_assert_lf_fails(lf_matrix_publish(matrix, "early", 0444, LF_ERROR), -EINVAL,
			   "not committed");
	ck_assert_lf_fails(lf_matrix_program(matrix, 0, 0, weights, NULL, LF_ERROR), -EINVAL,
			   "0 rows");
	ck_assert_lf_fails(lf_matrix_program(matrix, 0, SIZE + 1, weights, NULL, LF_ERROR), -EINVAL,
			   "the matrix has 40");
	ck_assert_lf_fails(lf_matrix_program(matrix, UINT32_MAX, 2, weights, NULL, LF_ERROR),
			   -EINVAL, "the matrix has 40");
	ck_assert_lf_fails(lf_matrix_program(matrix, 39, 1, weights, NULL, LF_ERROR), -EINVAL,
			   "rows 39 .. 39");
	ck_assert_lf(lf_matrix_program(matrix, 0, 30, weights, &counters, LF_ERROR));
	ck_assert_lf(lf_matrix_commit(matrix, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_commit(matrix, LF_ERROR), -EINVAL, "committed");
	ck_assert_lf_fails(lf_matrix_program(matrix, 0, 1, weights, NULL, LF_ERROR), -EINVAL,
			   "committed");
	ck_assert_lf(lf_matrix_info(matrix, &info, LF_ERROR));
	ck_assert_uint_eq(info.state, LF_MATRIX_COMMITTED);
	ck_assert_uint_eq(info.rows, SIZE);
	ck_assert_uint_eq(info.cells, counters.cells_written);
	lf_matrix_close(matrix);
	lf_matrix_close(NULL);
}
END_TEST

/* A weight that the format does not have is refused before a cell is written. */
START_TEST(test_bad_weight)
{
	struct lf_counters counters = { 0 };
	struct lf_matrix *matrix;
	int8_t weights[4] = { 1, 2, -128, 4 };

	ck_assert_lf(lf_matrix_create(device, 2, 2, LF_FORMAT_INT8, &matrix, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_program(matrix, 0, 2, weights, &counters, LF_ERROR), -EINVAL,
			   "command 0 (PROGRAM)");
	ck_assert_uint_eq(counters.cells_written, 0);
	lf_matrix_close(matrix);
}
END_TEST

static const char *const bad_names[] = {
	"",
	"/a",
	"a b",
	"a\n",
	"\xc3\xa4",
	"a:b",
	"0123456789012345678901234567890123456789012345678901234567890123",
};

START_TEST(test_bad_name)
{
	struct lf_matrix *matrix = make_named("good", 0444);
	struct lf_matrix *opened;

	ck_assert_lf_fails(lf_matrix_publish(matrix, bad_names[_i], 0444, LF_ERROR), -EINVAL,
			   "matrix name");
	ck_assert_lf_fails(lf_matrix_open(device, bad_names[_i], &opened, LF_ERROR), -EINVAL,
			   "matrix name");
	ck_assert_lf_fails(lf_matrix_unlink(device, bad_names[_i], LF_ERROR), -EINVAL,
			   "matrix name");
	ck_assert_lf_fails(lf_matrix_publish(matrix, "good", 0644, LF_ERROR), -EINVAL, "mode");
	lf_matrix_close(matrix);
}
END_TEST

START_TEST(test_names)
{
	struct lf_matrix *a = make_named("pool/a", 0444), *b = make_named("pool/b", 0400);
	struct lf_matrix_info info, *list;
	struct lf_matrix *opened;
	uint32_t count;

	ck_assert_lf_fails(lf_matrix_publish(b, "pool/a", 0444, LF_ERROR), -EEXIST, "taken");
	ck_assert_lf(lf_matrix_info(b, &info, LF_ERROR));
	ck_assert_str_eq((char *)info.publication.name, "pool/b");
	ck_assert_lf(lf_matrix_publish(b, "pool/c", 0444, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_open(device, "pool/b", &opened, LF_ERROR), -ENOENT,
			   "\"pool/b\"");
	lf_matrix_close(a);
	lf_matrix_close(b);

	ck_assert_lf(lf_matrix_list(device, &list, &count, LF_ERROR));
	ck_assert_uint_eq(count, 2);
	ck_assert_str_eq((char *)list[0].publication.name, "pool/a");
	ck_assert_str_eq((char *)list[1].publication.name, "pool/c");
	free(list);

	ck_assert_lf(lf_matrix_open(device, "pool/c", &opened, LF_ERROR));
	ck_assert_lf(lf_matrix_info(opened, &info, LF_ERROR));
	ck_assert_uint_eq(info.state, LF_MATRIX_PUBLISHED);
	ck_assert_uint_eq(info.cols, NAMED_SIZE);
	lf_matrix_close(opened);
	ck_assert_lf(lf_matrix_unlink(device, "pool/c", LF_ERROR));
	ck_assert_lf_fails(lf_matrix_unlink(device, "pool/c", LF_ERROR), -ENOENT, "pool/c");
}
END_TEST

/* Unlinking takes the name; the matrix goes with its last handle. */
START_TEST(test_unlinked_in_use)
{
	struct lf_matrix *first = make_named("shared", 0444), *second, *third;
	struct lf_telemetry telemetry;
	struct lf_matrix_info *list;
	uint32_t count;

	ck_assert_lf(lf_matrix_open(device, "shared", &second, LF_ERROR));
	ck_assert_lf(lf_matrix_unlink(device, "shared", LF_ERROR));
	ck_assert_lf_fails(lf_matrix_open(device, "shared", &third, LF_ERROR), -ENOENT, "shared");
	ck_assert_lf_fails(lf_matrix_unlink(device, "shared", LF_ERROR), -ENOENT, "shared");
	ck_assert_lf(lf_matrix_list(device, &list, &count, LF_ERROR));
	ck_assert_uint_eq(count, 0);
	free(list);
	lf_matrix_close(first);
	ck_assert_lf(lf_device_telemetry(device, &telemetry, LF_ERROR));
	ck_assert_uint_gt(telemetry.tiles_used, 0);
	lf_matrix_close(second);
	ck_assert_lf(lf_device_telemetry(device, &telemetry, LF_ERROR));
	ck_assert_uint_eq(telemetry.tiles_used, 0);
	ck_assert_uint_gt(telemetry.tiles_dirty, 0);
	first = make_named("shared", 0444);
	lf_matrix_close(first);
}
END_TEST

/* Without room the message tells what is wanting, and nothing is taken. */
START_TEST(test_full)
{
	const struct lf_device_info *info = lf_device_info(device);
	struct lf_matrix *large, *small[64], *refused;
	struct lf_telemetry before, after;
	uint32_t made = 0;

	ck_assert_lf(lf_matrix_create(device, 40 * info->tile_rows, 1, LF_FORMAT_INT8, &large,
				      LF_ERROR));
	ck_assert_lf(lf_device_telemetry(device, &before, LF_ERROR));
	ck_assert_lf_fails(lf_matrix_create(device, 12 * info->tile_rows, 1, LF_FORMAT_INT8,
					    &refused, LF_ERROR),
			   -ENOSPC, "needs 12 tiles: 8 are free of 48, 4 are wanting");
	ck_assert_lf(lf_device_telemetry(device, &after, LF_ERROR));
	ck_assert_uint_eq(after.tiles_used, before.tiles_used);
	lf_matrix_close(large);
	for (; made < 40; made++)
		ck_assert_lf(
			lf_matrix_create(device, 1, 1, LF_FORMAT_INT8, &small[made], LF_ERROR));
	ck_assert_lf_fails(lf_matrix_create(device, 1, 1, LF_FORMAT_INT8, &refused, LF_ERROR),
			   -ENOSPC, "directory of 40 entries is full");
	while (made)
		lf_matrix_close(small[--made]);
	ck_assert_lf(lf_device_telemetry(device, &after, LF_ERROR));
	ck_assert_uint_eq(after.tiles_used, 0);
}
END_TEST

/* More entries than a page of the directory holds. */
START_TEST(test_long_list)
{
	struct lf_matrix_info *list;
	uint32_t count;

	for (int i = 0; i < 40; i++) {
		char name[8] = { 'm', (char)('0' + i / 10), (char)('0' + i % 10) };

		lf_matrix_close(make_named(name, 0444));
	}
	ck_assert_lf(lf_matrix_list(device, &list, &count, LF_ERROR));
	ck_assert_uint_eq(count, 40);
	ck_assert_str_eq((char *)list[39].publication.name, "m39");
	free(list);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("device_matrix");
	TCase *matrix = tcase_create("matrix");

	tcase_add_checked_fixture(matrix, setup, teardown);
	tcase_set_timeout(matrix, 60);
	tcase_add_test(matrix, test_create_refused);
	tcase_add_test(matrix, test_program);
	tcase_add_test(matrix, test_bad_weight);
	tcase_add_loop_test(matrix, test_bad_name, 0, sizeof(bad_names) / sizeof(bad_names[0]));
	tcase_add_test(matrix, test_names);
	tcase_add_test(matrix, test_unlinked_in_use);
	tcase_add_test(matrix, test_full);
	tcase_add_test(matrix, test_long_list);
	suite_add_tcase(suite, matrix);
	return suite_run(suite);
}
