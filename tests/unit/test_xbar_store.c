// SPDX-License-Identifier: MIT
/*
 * What lasts: matrices, names, quotas and totals over attaching again; torn matrices; full devices. Memories that are damaged are
 * test_xbar_damage.c's.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/device.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define SMALL	   "tiles=16,tile_rows=8,tile_cols=64,matrices=4,accounts=2"
/* Of SMALL: 8 x 8 weights a tile, 8 cells a weight. */
#define TILE_CELLS (8 * 64)

static void multiply(struct rig *rig, uint32_t matrix, uint32_t rows, uint32_t cols, float *output)
{
	float *input = malloc(rows * sizeof(*input));
	struct buffer buffers[2] = { { input, rows * 4 }, { output, cols * 4 } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.matrix = matrix,
		.count = 1,
		.input = { .space = LF_SPACE_BUFFER, .stride = rows * 4 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = cols * 4 },
	};

	for (uint32_t i = 0; i < rows; i++)
		input[i] = (float)i - 3.0f;
	ck_assert_uint_eq(rig_run(rig, &command, 1, buffers, 2), LF_STATUS_OK);
	free(input);
}

START_TEST(a_committed_matrix_lasts)
{
	struct lf_telemetry_block before, after;
	struct lf_matrix_info info[4];
	int8_t weights[20 * 12];
	float first[12], second[12];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", SMALL);
	draw_weights(weights, sizeof(weights), 1);
	matrix = rig_matrix(&rig, 20, 12, weights);
	ck_assert_uint_eq(rig_publish(&rig, matrix, "model/layer.0-query_A"), LF_STATUS_OK);
	multiply(&rig, matrix, 20, 12, first);
	before = rig_telemetry(&rig);
	ck_assert_uint_eq(before.cells_written, 20 * 12 * 8);
	ck_assert_uint_gt(before.jobs, 0);

	ck_assert_int_eq(rig_attach(&rig), 0);
	after = rig_telemetry(&rig);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	multiply(&rig, matrix, 20, 12, second);
	ck_assert_mem_eq(first, second, sizeof(first));
	ck_assert_uint_eq(rig_telemetry(&rig).cells_written, before.cells_written);

	ck_assert_uint_eq(rig_list(&rig, info, 4), 1);
	ck_assert_uint_eq(info[0].matrix, matrix);
	ck_assert_uint_eq(info[0].state, LF_MATRIX_PUBLISHED);
	ck_assert_uint_eq(info[0].rows, 20);
	ck_assert_uint_eq(info[0].cols, 12);
	ck_assert_uint_eq(info[0].tile_rows, 3);
	ck_assert_uint_eq(info[0].tile_cols, 2);
	ck_assert_uint_eq(info[0].cells, 20 * 12 * 8);
	ck_assert_uint_eq(info[0].wear_max, 1);
	ck_assert_str_eq((char *)info[0].publication.name, "model/layer.0-query_A");
	ck_assert_uint_eq(info[0].publication.owner, 1000);
	ck_assert_uint_eq(info[1].matrix, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(a_torn_matrix_is_dropped)
{
	int8_t weights[8 * 8];
	struct lf_matrix_info info[4];
	struct lf_telemetry_block telemetry;
	struct rig rig;
	uint32_t torn, next;

	rig_open(&rig, "isaac", SMALL);
	draw_weights(weights, sizeof(weights), 2);
	torn = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(rig_program(&rig, torn, 8, 8, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_list(&rig, info, 4), 1);
	ck_assert_uint_eq(info[0].state, LF_MATRIX_TORN);

	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_list(&rig, info, 4), 0);
	ck_assert_uint_eq(rig_commit(&rig, torn), LF_STATUS_NO_MATRIX);
	telemetry = rig_telemetry(&rig);
	ck_assert_uint_eq(telemetry.tiles_used, 0);
	ck_assert_uint_eq(telemetry.tiles_dirty, 1);
	next = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_ne(next, torn);
	ck_assert_uint_ne(next, 0);
	rig_close(&rig);
}
END_TEST

/* A new matrix that takes the whole device: so many cells are erased for it, and nothing that was there can be read. */
static void check_fresh(struct rig *rig, uint64_t cells_erased)
{
	int8_t weights[32 * 32];
	struct buffer buffer = { weights, sizeof(weights) };
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.matrix = rig_create_matrix(rig, 32, 32),
		.count = 32,
		.output = { .space = LF_SPACE_BUFFER, .stride = 32 },
	};

	ck_assert_uint_ne(read.matrix, 0);
	ck_assert_uint_eq(rig->completion.cells_erased, cells_erased);
	rig->privileged = true;
	memset(weights, 1, sizeof(weights));
	ck_assert_uint_eq(rig_run(rig, &read, 1, &buffer, 1), LF_STATUS_OK);
	for (size_t i = 0; i < sizeof(weights); i++)
		ck_assert_int_eq(weights[i], 0);
}

START_TEST(dirty_tiles_are_erased_before_they_are_used)
{
	int8_t weights[32 * 32];
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 3 };
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", SMALL);
	/* All cells of weights that are not zero are erased. */
	memset(weights, 42, sizeof(weights));
	matrix = rig_matrix(&rig, 32, 32, weights);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_used, 16);
	ck_assert_uint_eq(rig_create_matrix(&rig, 1, 1), 0);
	ck_assert_uint_eq(rig.completion.status, LF_STATUS_NO_SPACE);
	ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_dirty, 16);
	ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 13);
	ck_assert_uint_eq(rig.completion.cells_erased, 3 * TILE_CELLS);
	ck_assert_uint_gt(rig.completion.energy_aj[LF_ENERGY_PROGRAM], 0);

	/* Dirt outlasts a restart, and nothing of it can be read in a new matrix. */
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_telemetry(&rig).tiles_dirty, 13);
	check_fresh(&rig, 13 * TILE_CELLS);
	rig_close(&rig);
}
END_TEST

START_TEST(quotas_are_kept)
{
	int8_t weights[8 * 8];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", SMALL ",default_quota=700");
	draw_weights(weights, sizeof(weights), 5);
	rig.account = 1000;
	ck_assert_uint_eq(rig_account(&rig, 1000).quota_cells, 700);
	rig_matrix(&rig, 8, 8, weights);
	ck_assert_uint_eq(rig_account(&rig, 1000).written_cells, 512);
	ck_assert_uint_eq(rig_account(&rig, 1000).tiles, 1);
	matrix = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_QUOTA);
	ck_assert_uint_eq(rig_account(&rig, 1000).written_cells, 512);
	ck_assert_uint_eq(rig_set_quota(&rig, 1000, 1024), LF_STATUS_DENIED);

	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_account(&rig, 1000).written_cells, 512);
	ck_assert_uint_eq(rig_account(&rig, 1000).tiles, 1);
	rig.privileged = true;
	ck_assert_uint_eq(rig_set_quota(&rig, 1000, 1023), LF_STATUS_OK);
	matrix = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_QUOTA);
	ck_assert_uint_eq(rig_set_quota(&rig, 1000, 1024), LF_STATUS_OK);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_account(&rig, 1000).tiles, 2);
	ck_assert_uint_eq(rig_account(&rig, 1000).written_cells, 1024);

	/* The ledger holds two. */
	rig.account = 1001;
	ck_assert_uint_ne(rig_create_matrix(&rig, 1, 1), 0);
	rig.account = 1002;
	ck_assert_uint_eq(rig_create_matrix(&rig, 1, 1), 0);
	ck_assert_uint_eq(rig.completion.status, LF_STATUS_NO_SPACE);
	rig_close(&rig);
}
END_TEST

START_TEST(names_are_unique)
{
	static const char *const bad[] = {
		"",	    "/a",
		"a b",	    "a\n",
		"\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123",
	};
	int8_t weights[1] = { 1 };
	struct rig rig;
	uint32_t first, second, torn;

	rig_open(&rig, "isaac", SMALL);
	first = rig_matrix(&rig, 1, 1, weights);
	second = rig_matrix(&rig, 1, 1, weights);
	torn = rig_create_matrix(&rig, 1, 1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_uint_eq(rig_publish(&rig, first, bad[i]), LF_STATUS_INVALID);
	ck_assert_uint_eq(rig_publish(&rig, torn, "torn"), LF_STATUS_STATE);
	ck_assert_uint_eq(rig_publish(&rig, first, "name"), LF_STATUS_OK);
	ck_assert_uint_eq(rig_publish(&rig, second, "name"), LF_STATUS_EXISTS);
	ck_assert_uint_eq(rig_publish(&rig, first, "name"), LF_STATUS_OK);
	ck_assert_uint_eq(rig_publish(&rig, first, "other"), LF_STATUS_OK);
	ck_assert_uint_eq(rig_publish(&rig, second, "name"), LF_STATUS_OK);
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_publish(&rig, first, "name"), LF_STATUS_EXISTS);
	ck_assert_uint_eq(rig_delete(&rig, second), LF_STATUS_OK);
	ck_assert_uint_eq(rig_publish(&rig, first, "name"), LF_STATUS_OK);
	rig_close(&rig);
}
END_TEST

START_TEST(a_full_directory)
{
	int8_t weights[1] = { 1 };
	struct lf_matrix_info info[2];
	struct buffer buffer = { info, sizeof(info) };
	struct lf_command list = {
		.opcode = LF_OP_LIST,
		.first = 1,
		.count = 2,
		.output = { .space = LF_SPACE_BUFFER, .stride = sizeof(info[0]) },
	};
	struct rig rig;

	rig_open(&rig, "isaac", SMALL);
	for (int i = 0; i < 4; i++)
		rig_matrix(&rig, 1, 1, weights);
	ck_assert_uint_eq(rig_create_matrix(&rig, 1, 1), 0);
	ck_assert_uint_eq(rig.completion.status, LF_STATUS_NO_SPACE);
	ck_assert_uint_eq(rig_run(&rig, &list, 1, &buffer, 1), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 2);
	ck_assert_uint_eq(info[1].index, 2);
	list.first = 3;
	ck_assert_uint_eq(rig_run(&rig, &list, 1, &buffer, 1), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 1);
	rig_close(&rig);
}
END_TEST

/* A caller of the first version gets the fields it knows. */
START_TEST(entries_are_as_long_as_the_stride)
{
	uint8_t memory[4 * 256], whole[sizeof(struct lf_matrix_info)];
	int8_t weights[1] = { 1 };
	struct buffer buffer = { memory, sizeof(memory) };
	struct lf_command list = {
		.opcode = LF_OP_LIST,
		.count = 3,
		.output = { .space = LF_SPACE_BUFFER },
	};
	struct rig rig;

	rig_open(&rig, "isaac", SMALL ",refresh_s=1000");
	rig_matrix(&rig, 1, 1, weights);
	rig_matrix(&rig, 1, 1, weights);
	rig_list(&rig, (void *)memory, 2);
	memcpy(whole, memory, sizeof(whole));
	for (uint32_t stride = 0; stride <= 256; stride += 4) {
		uint32_t bytes = stride < sizeof(whole) ? stride : sizeof(whole);

		memset(memory, 0xee, sizeof(memory));
		list.output.stride = stride;
		if (stride < LF_MATRIX_INFO_BYTES_V1 || stride % 8) {
			ck_assert_uint_eq(rig_run(&rig, &list, 1, &buffer, 1), LF_STATUS_INVALID);
			continue;
		}
		ck_assert_uint_eq(rig_run(&rig, &list, 1, &buffer, 1), LF_STATUS_OK);
		ck_assert_uint_eq(rig.completion.result, 2);
		ck_assert_mem_eq(memory, whole, bytes);
		for (uint32_t i = 0; i < bytes; i++)
			ck_assert_uint_eq(memory[2 * stride + i], 0);
		for (uint32_t i = bytes; i < stride; i++)
			ck_assert_uint_eq(memory[i], 0xee);
		for (uint32_t i = 2 * stride + bytes; i < sizeof(memory); i++)
			ck_assert_uint_eq(memory[i], 0xee);
	}
	rig_close(&rig);
}
END_TEST

START_TEST(calibration_lasts)
{
	struct lf_matrix_info info[1];
	int8_t weights[8 * 4];
	float input[2 * 8], output[4];
	struct buffer buffer = { input, sizeof(input) };
	struct lf_command calibrate = {
		.opcode = LF_OP_CALIBRATE,
		.count = 2,
		.input = { .space = LF_SPACE_BUFFER, .stride = 8 * 4 },
	};
	struct rig rig;

	/* Largest sum 8 rows x 3 levels = 24; three bits hold 0 .. 7 steps: 24 needs steps of 4. */
	rig_open(&rig, "isaac", SMALL ",adc_bits=3");
	memset(weights, 127, sizeof(weights));
	for (int i = 0; i < 16; i++)
		input[i] = 1.0f;
	calibrate.matrix = rig_matrix(&rig, 8, 4, weights);
	multiply(&rig, calibrate.matrix, 8, 4, output);
	ck_assert_uint_gt(rig.completion.clips, 0);
	ck_assert_uint_eq(rig_run_queue(&rig, &calibrate, 1, &buffer, 1, false), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 4);
	multiply(&rig, calibrate.matrix, 8, 4, output);
	ck_assert_uint_eq(rig.completion.clips, 0);
	ck_assert_int_eq(rig_attach(&rig), 0);
	rig_list(&rig, info, 1);
	ck_assert_uint_eq(info[0].adc_step, 4);
	/* One row driven sums to 3, which steps of one hold. */
	for (int i = 0; i < 16; i++)
		input[i] = i % 8 ? 0.0f : 1.0f;
	ck_assert_uint_eq(rig_run(&rig, &calibrate, 1, &buffer, 1), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 1);
	rig_close(&rig);
}
END_TEST

/* What is in a free tile that should not be is erased before it is used, and nobody reads it. */
START_TEST(free_tiles_are_clean_when_they_are_used)
{
	struct xbar_image_layout layout;
	struct rig rig;

	rig_open(&rig, "isaac", SMALL);
	xbar_image_layout(rig.params, &layout);
	rig.memory[layout.cells + 3 * layout.tile_bytes + 17] ^= 4;
	rig.memory[layout.cells + 5 * layout.tile_bytes] ^= 1;
	ck_assert_int_eq(rig_attach(&rig), 0);
	check_fresh(&rig, 2 * 8);
	rig_close(&rig);
}
END_TEST

START_TEST(parameters_are_checked)
{
	static const struct {
		const char *key;
		const char *value;
		int error;
	} cases[] = {
		{ "adc_bits", "0", -ERANGE },	 { "adc_bits", "13", -ERANGE },
		{ "adc_bits", "8x", -EINVAL },	 { "adc_bits", "", -EINVAL },
		{ "adc_bits", " 8", -EINVAL },	 { "tile_rows", "-4", -ERANGE },
		{ "adc_subtract", "", -EINVAL }, { "adc_subtract", "later", -EINVAL },
		{ "no_such", "1", -ENOENT },	 { "tiles", "99999999999999999999", -ERANGE },
		{ "simd", "before", -EINVAL },	 { "default_quota", "-1", -ERANGE },
	};
	static const char *const impossible[][2] = {
		{ "tile_rows", "6" },
		{ "tile_cols", "31" },
		{ "adc_step", "3" },
	};
	char message[XBAR_MESSAGE_BYTES];
	struct xbar_params *params;
	const char *key, *unit, *help;
	uint32_t count = 0;

	ck_assert_int_eq(xbar_params_create("none", &params), -ENOENT);
	ck_assert_int_eq(xbar_params_create("isaac", &params), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(message, 0, sizeof(message));
		ck_assert_msg(xbar_params_set(params, cases[i].key, cases[i].value, message) ==
				      cases[i].error,
			      "%s=%s", cases[i].key, cases[i].value);
		ck_assert_ptr_nonnull(strstr(message, cases[i].key));
	}
	ck_assert_int_eq(xbar_params_check(params, message), 0);
	xbar_params_free(params);
	for (size_t i = 0; i < sizeof(impossible) / sizeof(impossible[0]); i++) {
		ck_assert_int_eq(xbar_params_create("isaac", &params), 0);
		ck_assert_int_eq(
			xbar_params_set(params, impossible[i][0], impossible[i][1], message), 0);
		ck_assert_int_eq(xbar_params_check(params, message), -EINVAL);
		ck_assert_ptr_nonnull(strstr(message, impossible[i][0]));
		xbar_params_free(params);
	}
	while (xbar_params_describe(count, &key, &unit, &help) == 0) {
		ck_assert_uint_gt(strlen(help), 0);
		count++;
	}
	ck_assert_uint_gt(count, 30);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar store");
	TCase *tests = tcase_create("store");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, a_committed_matrix_lasts);
	tcase_add_test(tests, a_torn_matrix_is_dropped);
	tcase_add_test(tests, dirty_tiles_are_erased_before_they_are_used);
	tcase_add_test(tests, quotas_are_kept);
	tcase_add_test(tests, names_are_unique);
	tcase_add_test(tests, a_full_directory);
	tcase_add_test(tests, entries_are_as_long_as_the_stride);
	tcase_add_test(tests, calibration_lasts);
	tcase_add_test(tests, free_tiles_are_clean_when_they_are_used);
	tcase_add_test(tests, parameters_are_checked);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
