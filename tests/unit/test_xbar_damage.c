// SPDX-License-Identifier: MIT
/*
 * Memories that are damaged, foreign, of another version or of another geometry are refused and left as they are.
 */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/device.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define SMALL "tiles=16,tile_rows=8,tile_cols=64,matrices=4,accounts=2"

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
	draw_weights(weights, sizeof(weights), 6);
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
	draw_weights(weights, sizeof(weights), 8);
	read.matrix = rig_matrix(&rig, 7, 12, weights);
	rig_publish(&rig, read.matrix, "name");
	rig_list(&rig, before, 4);
	account = rig_account(&rig, 0);
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
			ck_assert_uint_eq(rig_account(&rig, 0).written_cells,
					  account.written_cells);
			ck_assert_uint_eq(rig_account(&rig, 0).quota_cells, account.quota_cells);
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
	draw_weights((int8_t *)weights, 12 * 12, 3);
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
		draw_weights((int8_t *)bytes, sizeof(bytes), 1);
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

int main(void)
{
	Suite *suite = suite_create("xbar damage");
	TCase *tests = tcase_create("damage");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, strange_memories_are_refused_and_left);
	tcase_add_test(tests, other_versions_are_refused);
	tcase_add_test(tests, no_bit_is_turned_in_silence);
	tcase_add_loop_test(tests, damaged_cells_name_their_matrix, 0, 2);
	tcase_add_loop_test(tests, checksums_are_crc32c, 0, 3);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
