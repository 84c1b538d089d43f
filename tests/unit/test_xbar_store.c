// SPDX-License-Identifier: MIT
/*
 * What lasts: matrices, names, quotas and totals over attaching again; torn matrices; full devices; memories that are
 * damaged, foreign or of another geometry.
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

static void fill(int8_t *weights, size_t count, uint64_t seed)
{
	for (size_t i = 0; i < count; i++)
		weights[i] = (int8_t)((int)draw_below(&seed, 255) - 127);
}

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

static struct lf_telemetry_block telemetry_of(const struct rig *rig)
{
	struct lf_telemetry_block telemetry;

	xbar_telemetry(rig->xbar, &telemetry);
	return telemetry;
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
	fill(weights, sizeof(weights), 1);
	matrix = rig_matrix(&rig, 20, 12, weights);
	ck_assert_uint_eq(rig_publish(&rig, matrix, "model/layer.0-query_A"), LF_STATUS_OK);
	multiply(&rig, matrix, 20, 12, first);
	before = telemetry_of(&rig);
	ck_assert_uint_eq(before.cells_written, 20 * 12 * 8);
	ck_assert_uint_gt(before.jobs, 0);

	ck_assert_int_eq(rig_attach(&rig), 0);
	after = telemetry_of(&rig);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	multiply(&rig, matrix, 20, 12, second);
	ck_assert_mem_eq(first, second, sizeof(first));
	ck_assert_uint_eq(telemetry_of(&rig).cells_written, before.cells_written);

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
	fill(weights, sizeof(weights), 2);
	torn = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(rig_program(&rig, torn, 8, 8, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_list(&rig, info, 4), 1);
	ck_assert_uint_eq(info[0].state, LF_MATRIX_TORN);

	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_list(&rig, info, 4), 0);
	ck_assert_uint_eq(rig_commit(&rig, torn), LF_STATUS_NO_MATRIX);
	telemetry = telemetry_of(&rig);
	ck_assert_uint_eq(telemetry.tiles_used, 0);
	ck_assert_uint_eq(telemetry.tiles_dirty, 1);
	next = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_ne(next, torn);
	ck_assert_uint_ne(next, 0);
	rig_close(&rig);
}
END_TEST

START_TEST(dirty_tiles_are_erased_before_they_are_used)
{
	int8_t weights[32 * 32];
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 3 };
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.count = 32,
		.output = { .space = LF_SPACE_BUFFER, .stride = 32 },
	};
	struct buffer buffer = { weights, sizeof(weights) };
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", SMALL);
	fill(weights, sizeof(weights), 3);
	matrix = rig_matrix(&rig, 32, 32, weights);
	ck_assert_uint_eq(telemetry_of(&rig).tiles_used, 16);
	ck_assert_uint_eq(rig_create_matrix(&rig, 1, 1), 0);
	ck_assert_uint_eq(rig.completion.status, LF_STATUS_NO_SPACE);
	ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(telemetry_of(&rig).tiles_dirty, 16);
	ck_assert_uint_eq(rig_run(&rig, &sanitize, 1, NULL, 0), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.result, 13);
	ck_assert_uint_eq(rig.completion.cells_erased, 3 * TILE_CELLS);
	ck_assert_uint_gt(rig.completion.energy_aj[LF_ENERGY_PROGRAM], 0);

	/* Dirt outlasts a restart, and nothing of it can be read in a new matrix. */
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(telemetry_of(&rig).tiles_dirty, 13);
	read.matrix = rig_create_matrix(&rig, 32, 32);
	ck_assert_uint_ne(read.matrix, 0);
	ck_assert_uint_eq(rig.completion.cells_erased, 13 * TILE_CELLS);
	rig.privileged = true;
	ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
	for (size_t i = 0; i < sizeof(weights); i++)
		ck_assert_int_eq(weights[i], 0);
	rig_close(&rig);
}
END_TEST

static struct lf_account account_of(struct rig *rig, uint32_t number)
{
	struct lf_account account;
	struct buffer buffer = { &account, sizeof(account) };
	struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.first = number,
		.output = { .space = LF_SPACE_BUFFER },
	};

	ck_assert_uint_eq(rig_run(rig, &command, 1, &buffer, 1), LF_STATUS_OK);
	return account;
}

static uint16_t set_quota(struct rig *rig, uint32_t number, uint64_t cells)
{
	struct buffer buffer = { &cells, sizeof(cells) };
	struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.flags = LF_ACCOUNT_SET_QUOTA,
		.first = number,
		.input = { .space = LF_SPACE_BUFFER },
	};

	return rig_run(rig, &command, 1, &buffer, 1);
}

START_TEST(quotas_are_kept)
{
	int8_t weights[8 * 8];
	struct rig rig;
	uint32_t matrix;

	rig_open(&rig, "isaac", SMALL ",default_quota=700");
	fill(weights, sizeof(weights), 5);
	rig.account = 1000;
	ck_assert_uint_eq(account_of(&rig, 1000).quota_cells, 700);
	rig_matrix(&rig, 8, 8, weights);
	ck_assert_uint_eq(account_of(&rig, 1000).written_cells, 512);
	ck_assert_uint_eq(account_of(&rig, 1000).tiles, 1);
	matrix = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_QUOTA);
	ck_assert_uint_eq(account_of(&rig, 1000).written_cells, 512);
	ck_assert_uint_eq(set_quota(&rig, 1000, 1024), LF_STATUS_DENIED);

	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(account_of(&rig, 1000).written_cells, 512);
	ck_assert_uint_eq(account_of(&rig, 1000).tiles, 1);
	rig.privileged = true;
	ck_assert_uint_eq(set_quota(&rig, 1000, 1023), LF_STATUS_OK);
	matrix = rig_create_matrix(&rig, 8, 8);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_QUOTA);
	ck_assert_uint_eq(set_quota(&rig, 1000, 1024), LF_STATUS_OK);
	ck_assert_uint_eq(rig_program(&rig, matrix, 8, 8, weights), LF_STATUS_OK);
	ck_assert_uint_eq(account_of(&rig, 1000).tiles, 2);
	ck_assert_uint_eq(account_of(&rig, 1000).written_cells, 1024);

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

START_TEST(strange_memories_are_refused_and_left)
{
	static const struct {
		const char *what;
		uint64_t offset;
		uint8_t flip;
		int error;
	} damages[] = {
		{ "magic", 0, 0x01, -EILSEQ },
		{ "version", 8, 0x02, -EPROTO },
		{ "geometry", 20, 0x01, -EILSEQ },
		{ "checksum", 12, 0x80, -EILSEQ },
		{ "counters", 4096 + 3, 1, -EILSEQ },
		{ "directory head", 8192 + 5, 1, -EILSEQ },
		{ "ledger head", 12288 + 6, 1, -EILSEQ },
		{ "tile table", 16384 + 1, 1, -EILSEQ },
	};
	/* tile_cols of 65 or 66 give as many weights. */
	static const char *const others[][3] = {
		{ "tiles", "1024", "16" },   { "tiles", "8", "16" },
		{ "tile_rows", "4", "8" },   { "tile_cols", "65", "64" },
		{ "cell_bits", "1", "2" },   { "pair", "rows", "columns" },
		{ "wear_rows", "5", "16" },  { "spare_weights", "1", "0" },
		{ "matrices", "5", "4" },    { "accounts", "1", "2" },
		{ "seed", "20260711", "0" },
	};
	int8_t weights[8 * 8];
	uint8_t *longer;
	struct rig rig;
	uint8_t *before;

	rig_open(&rig, "isaac", SMALL ",adc_subtract=before");
	fill(weights, sizeof(weights), 6);
	rig_matrix(&rig, 8, 8, weights);
	before = malloc(rig.bytes);
	memcpy(before, rig.memory, rig.bytes);
	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		int error;

		rig.memory[damages[i].offset] ^= damages[i].flip;
		before[damages[i].offset] ^= damages[i].flip;
		error = rig_attach(&rig);
		ck_assert_msg(error == damages[i].error, "%s: %d, not %d", damages[i].what, error,
			      damages[i].error);
		ck_assert_mem_eq(before, rig.memory, rig.bytes);
		rig.memory[damages[i].offset] ^= damages[i].flip;
		before[damages[i].offset] ^= damages[i].flip;
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		char message[XBAR_MESSAGE_BYTES];
		const char *key = others[i][0];

		ck_assert_int_eq(xbar_params_set(rig.params, key, others[i][1], NULL), 0);
		xbar_destroy(rig.xbar);
		rig.xbar = NULL;
		ck_assert_int_eq(xbar_create(rig.params, rig.memory, rig.bytes, NULL, NULL, message,
					     &rig.xbar),
				 -EPROTO);
		ck_assert_msg(!strncmp(message, key, strlen(key)), "%s: '%s'", key, message);
		ck_assert_mem_eq(before, rig.memory, rig.bytes);
		ck_assert_int_eq(xbar_params_set(rig.params, key, others[i][2], NULL), 0);
	}
	rig.bytes--;
	ck_assert_int_eq(rig_attach(&rig), -ENOSPC);
	rig.bytes++;
	ck_assert_int_eq(rig_attach(&rig), 0);
	xbar_destroy(rig.xbar);
	rig.xbar = NULL;
	ck_assert_mem_eq(before, rig.memory, rig.bytes);

	/* Not ours, though it begins with zeros; nor when it is too small to tell. */
	memset(rig.memory, 0, rig.bytes);
	rig.memory[rig.bytes - 1] = 1;
	ck_assert_int_eq(rig_attach(&rig), -EILSEQ);
	ck_assert_uint_eq(rig.memory[0], 0);
	/* Nor what goes on behind the bytes that the device needs. */
	longer = calloc(rig.bytes + 13, 1);
	ck_assert_ptr_nonnull(longer);
	longer[rig.bytes + 12] = 'x';
	ck_assert_int_eq(
		xbar_create(rig.params, longer, rig.bytes + 13, NULL, NULL, NULL, &rig.xbar),
		-EILSEQ);
	ck_assert_uint_eq(longer[0], 0);
	free(longer);
	ck_assert_int_eq(xbar_create(rig.params, rig.memory, 8, NULL, NULL, NULL, &rig.xbar),
			 -ENOSPC);
	rig.xbar = NULL;
	/* Formatting that was cut before the magic number begins again. */
	rig.memory[rig.bytes - 1] = 0;
	memcpy(rig.memory + 8, before + 8, 24);
	ck_assert_int_eq(rig_attach(&rig), 0);
	free(before);
	rig_close(&rig);
}
END_TEST

/* A header that is right for its version, but is not of ours. */
START_TEST(other_versions_are_refused)
{
	static const uint32_t versions[] = { 0, 1, 2, 4, UINT32_MAX };
	char message[XBAR_MESSAGE_BYTES], words[64];
	struct xbar_image_header header;
	uint8_t *before;
	struct rig rig;

	rig_open(&rig, "isaac", SMALL);
	before = malloc(rig.bytes);
	xbar_destroy(rig.xbar);
	rig.xbar = NULL;
	for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
		xbar_image_header(rig.params, &header);
		ck_assert_uint_eq(header.version, 3);
		header.version = versions[i];
		memcpy(rig.memory, &header, sizeof(header));
		memcpy(before, rig.memory, rig.bytes);
		ck_assert_int_eq(xbar_create(rig.params, rig.memory, rig.bytes, NULL, NULL, message,
					     &rig.xbar),
				 -EPROTO);
		sprintf(words, "format version %u, this model knows 3", versions[i]);
		ck_assert_msg(strstr(message, words), "%s", message);
		ck_assert_mem_eq(before, rig.memory, rig.bytes);
	}
	free(before);
	rig_close(&rig);
}
END_TEST

/* Bytes of which each turned bit is refused, and others, and how many at least. */
struct range {
	const char *what;
	uint64_t offset;
	uint64_t bytes;
	uint64_t least_refused;
};

static struct range whole(const char *what, uint64_t offset, uint64_t bytes)
{
	return (struct range){ what, offset, bytes, bytes * 8 };
}

/* A record refuses its state, its checksum, what is zero and the body that holds: half the bodies, and all of the head but which of them. */
static struct range record(const char *what, uint64_t offset, uint64_t body_bytes)
{
	return (struct range){ what, offset, XBAR_NV_RECORD_BYTES(body_bytes),
			       (8 + body_bytes) * 8 - 8 };
}

/*
 * Each bit of what lasts, turned: refused and left, or the same matrices, cells and account are found. What a bit turns that nobody
 * asks for, the half of a record that does not hold, is not found.
 */
START_TEST(no_bit_is_turned_in_silence)
{
	static const char settings[] =
		SMALL ",wear_rows=3,spare_weights=2,default_quota=5000,stuck_on=0.01";
	struct lf_matrix_info before[4], after[4];
	int8_t weights[7 * 12], found[7 * 12], expected[7 * 12];
	struct buffer buffer = { found, sizeof(found) };
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.count = 7,
		.output = { .space = LF_SPACE_BUFFER, .stride = 12 },
	};
	struct xbar_image_layout layout;
	struct range ranges[9];
	uint32_t tiles[2] = { 16, 16 };
	struct lf_account account;
	struct rig rig;
	uint8_t *memory;

	rig_open(&rig, "isaac", settings);
	rig.privileged = true;
	fill(weights, sizeof(weights), 8);
	read.matrix = rig_matrix(&rig, 7, 12, weights);
	rig_publish(&rig, read.matrix, "name");
	rig_list(&rig, before, 4);
	account = account_of(&rig, 0);
	memory = malloc(rig.bytes);
	ck_assert_int_eq(rig_attach(&rig), 0);
	ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
	memcpy(expected, found, sizeof(found));
	ck_assert_int_eq(rig_attach(&rig), 0);
	memcpy(memory, rig.memory, rig.bytes);
	xbar_image_layout(rig.params, &layout);
	for (uint32_t tile = 0; tile < 16; tile++) {
		uint64_t word;

		memcpy(&word, memory + layout.tiles + tile * sizeof(word), sizeof(word));
		if ((uint32_t)word == read.matrix)
			tiles[word >> 32 & 1] = tile;
	}
	ck_assert(tiles[0] < 16 && tiles[1] < 16);
	ranges[0] = whole("header", 0, 112);
	ranges[1] = record("counters", layout.counters, sizeof(struct image_counters));
	ranges[2] = record("directory", layout.directory, sizeof(struct image_matrix));
	ranges[3] = record("ledger", layout.ledger, sizeof(struct image_account));
	ranges[4] = whole("tiles", layout.tiles, 16 * 8);
	ranges[5] = whole("spares", layout.spares + tiles[1] * 4ull, 4);
	ranges[6] = whole("wear", layout.wear, 16 * 3 * 8ull);
	/* The second has columns and a row that the matrix does not use. */
	ranges[7] = whole("cells", layout.cells + tiles[0] * layout.tile_bytes, layout.tile_bytes);
	ranges[8] = whole("cells", layout.cells + tiles[1] * layout.tile_bytes, layout.tile_bytes);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		uint64_t refused = 0;

		for (uint64_t bit = 0; bit < ranges[i].bytes * 8; bit++) {
			uint64_t offset = ranges[i].offset + bit / 8;
			uint8_t damaged = memory[offset] ^ (uint8_t)(1 << bit % 8);

			xbar_destroy(rig.xbar);
			rig.xbar = NULL;
			memcpy(rig.memory, memory, rig.bytes);
			rig.memory[offset] = damaged;
			if (rig_attach(&rig)) {
				refused++;
				ck_assert_uint_eq(rig.memory[offset], damaged);
				rig.memory[offset] = memory[offset];
				ck_assert_mem_eq(rig.memory, memory, rig.bytes);
				continue;
			}
			memset(after, 0, sizeof(after));
			ck_assert_uint_eq(rig_list(&rig, after, 4), 1);
			ck_assert_mem_eq(before, after, sizeof(before[0]));
			ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
			ck_assert_mem_eq(found, expected, sizeof(expected));
			ck_assert_uint_eq(account_of(&rig, 0).written_cells, account.written_cells);
			ck_assert_uint_eq(account_of(&rig, 0).quota_cells, account.quota_cells);
		}
		ck_assert_msg(refused >= ranges[i].least_refused, "%s: %llu of %llu refused",
			      ranges[i].what, (unsigned long long)refused,
			      (unsigned long long)ranges[i].bytes * 8);
	}
	free(memory);
	rig_close(&rig);
}
END_TEST

/* Which matrix it is that cannot be had; those that are nobody's do not matter. */
START_TEST(damaged_cells_name_their_matrix)
{
	static const struct {
		const char *preset;
		const char *settings;
	} devices[] = { { "isaac", SMALL }, { "float", SMALL } };
	struct xbar_params *params = NULL;
	char message[XBAR_MESSAGE_BYTES], name[64];
	float weights[12 * 12] = { 0 };
	struct xbar_image_layout layout;
	uint32_t matrix, tile;
	struct rig rig;

	rig_open(&rig, devices[_i].preset, devices[_i].settings);
	fill((int8_t *)weights, 12 * 12, 3);
	for (uint32_t i = 0; _i && i < 12 * 12; i++)
		weights[i] = (float)i;
	rig_matrix(&rig, 12, 12, weights);
	matrix = rig_matrix(&rig, 9, 3, weights);
	ck_assert_uint_eq(rig_publish(&rig, matrix, "layer/3"), LF_STATUS_OK);
	xbar_image_layout(rig.params, &layout);
	for (tile = 0; ((uint64_t *)(void *)(rig.memory + layout.tiles))[tile] << 8 !=
		       ((uint64_t)matrix | 1ull << 32) << 8;
	     tile++)
		ck_assert_uint_lt(tile, 15);
	params = rig.params;
	/* Row 8 of the matrix is row 0 of its second tile; then what lies beyond its edge. */
	for (uint64_t byte = 0; byte < layout.tile_bytes; byte++) {
		uint8_t *cell = rig.memory + layout.cells + tile * layout.tile_bytes + byte;

		xbar_destroy(rig.xbar);
		rig.xbar = NULL;
		*cell ^= 0x10;
		ck_assert_int_eq(
			xbar_create(params, rig.memory, rig.bytes, NULL, NULL, message, &rig.xbar),
			-EILSEQ);
		sprintf(name, "cells of matrix %u, layer/3: ", matrix);
		ck_assert_msg(!strncmp(message, name, strlen(name)), "%s", message);
		*cell ^= 0x10;
	}
	ck_assert_int_eq(rig_attach(&rig), 0);
	rig_close(&rig);
}
END_TEST

/* What is in a free tile that should not be is erased before it is used, and nobody reads it. */
START_TEST(free_tiles_are_clean_when_they_are_used)
{
	int8_t weights[32 * 32];
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.count = 32,
		.output = { .space = LF_SPACE_BUFFER, .stride = 32 },
	};
	struct buffer buffer = { weights, sizeof(weights) };
	struct xbar_image_layout layout;
	struct rig rig;

	rig_open(&rig, "isaac", SMALL);
	xbar_image_layout(rig.params, &layout);
	rig.memory[layout.cells + 3 * layout.tile_bytes + 17] ^= 4;
	rig.memory[layout.cells + 5 * layout.tile_bytes] ^= 1;
	ck_assert_int_eq(rig_attach(&rig), 0);
	read.matrix = rig_create_matrix(&rig, 32, 32);
	ck_assert_uint_ne(read.matrix, 0);
	ck_assert_uint_eq(rig.completion.cells_erased, 2 * TILE_CELLS);
	rig.privileged = true;
	ck_assert_uint_eq(rig_run(&rig, &read, 1, &buffer, 1), LF_STATUS_OK);
	for (size_t i = 0; i < sizeof(weights); i++)
		ck_assert_int_eq(weights[i], 0);
	rig_close(&rig);
}
END_TEST

/* RFC 3720, appendix B.4, and the usual check value; in one piece or more, on any instruction set. */
START_TEST(checksums_are_crc32c)
{
	static const char *const sets[] = { "scalar", "avx2", "avx512" };
	struct xbar_params *params;
	const struct kernels *kernels;
	uint8_t bytes[100];

	ck_assert_int_eq(xbar_params_create("isaac", &params), 0);
	ck_assert_int_eq(xbar_params_set(params, "simd", sets[_i], NULL), 0);
	if (xbar_kernels_choose(params->simd, &kernels) == 0) {
		memset(bytes, 0, 32);
		ck_assert_uint_eq(kernels->checksum(0, bytes, 32), 0x8a9136aa);
		memset(bytes, 0xff, 32);
		ck_assert_uint_eq(kernels->checksum(0, bytes, 32), 0x62a8ab43);
		for (int i = 0; i < 32; i++)
			bytes[i] = (uint8_t)i;
		ck_assert_uint_eq(kernels->checksum(0, bytes, 32), 0x46dd794e);
		ck_assert_uint_eq(kernels->checksum(0, "123456789", 9), 0xe3069283);
		fill((int8_t *)bytes, sizeof(bytes), 1);
		for (size_t first = 0; first < 20; first++)
			for (size_t second = 0; second < 60; second++)
				ck_assert_uint_eq(
					kernels->checksum(kernels->checksum(0, bytes, first),
							  bytes + first, second),
					xbar_crc32c_scalar(0, bytes, first + second));
	}
	xbar_params_free(params);
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
	tcase_add_test(tests, strange_memories_are_refused_and_left);
	tcase_add_test(tests, other_versions_are_refused);
	tcase_add_test(tests, no_bit_is_turned_in_silence);
	tcase_add_loop_test(tests, damaged_cells_name_their_matrix, 0, 2);
	tcase_add_test(tests, free_tiles_are_clean_when_they_are_used);
	tcase_add_loop_test(tests, checksums_are_crc32c, 0, 3);
	tcase_add_test(tests, parameters_are_checked);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
