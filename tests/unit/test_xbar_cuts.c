// SPDX-License-Identifier: MIT
/*
 * Power cuts. A story of jobs is run once while every barrier is logged; then power is cut at each of them: what was
 * persisted is there, of what was written since any subset of aligned words. Whatever is left must attach, with each matrix
 * committed and right or not there, and an account that was never charged less than what had been acknowledged.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/xbar_rig.h"

#define SETTINGS     "tiles=16,tile_rows=8,tile_cols=64,matrices=4,accounts=2,adc_bits=6"
#define ROWS	     12
#define COLS	     10
#define ACCOUNT	     1000
#define BARRIERS_MAX 512
#define SUBSETS	     12

/* The memory as it was persisted at a barrier, and what the story had been told by then. */
struct moment {
	uint8_t *memory;
	uint64_t written_cells;
	uint64_t writing_cells;
	uint32_t committed;
	uint32_t deleting;
};

struct story {
	struct rig rig;
	struct moment moments[BARRIERS_MAX];
	uint32_t count;
	uint64_t written_cells; /* acknowledged */
	uint64_t writing_cells; /* of the PROGRAM in progress */
	uint32_t committed;	/* bit i: matrix i has been acknowledged as committed */
	uint32_t deleting;	/* bit i: its deletion has begun */
	int8_t weights[32][ROWS * COLS];
	uint32_t identifiers[32];
	uint32_t matrices;
};

static void log_barrier(void *opaque, uint64_t offset, uint64_t bytes)
{
	struct story *story = opaque;
	struct moment *moment = &story->moments[story->count++];

	(void)offset;
	(void)bytes;
	ck_assert_uint_lt(story->count, BARRIERS_MAX);
	moment->memory = malloc(story->rig.bytes);
	memcpy(moment->memory, story->rig.memory, story->rig.bytes);
	moment->written_cells = story->written_cells;
	moment->writing_cells = story->writing_cells;
	moment->committed = story->committed;
	moment->deleting = story->deleting;
}

static uint32_t make_matrix(struct story *story, bool commit)
{
	uint32_t number = story->matrices++;
	uint64_t state = number + 1;
	uint32_t matrix = rig_create_matrix(&story->rig, ROWS, COLS);

	ck_assert_uint_ne(matrix, 0);
	for (size_t i = 0; i < ROWS * COLS; i++)
		story->weights[number][i] = (int8_t)((int)draw_below(&state, 255) - 127);
	story->identifiers[number] = matrix;
	story->writing_cells = ROWS * COLS * 8;
	ck_assert_uint_eq(rig_program(&story->rig, matrix, ROWS, COLS, story->weights[number]), 0);
	story->writing_cells = 0;
	story->written_cells += ROWS * COLS * 8;
	if (commit) {
		ck_assert_uint_eq(rig_commit(&story->rig, matrix), 0);
		story->committed |= 1u << number;
	}
	return number;
}

static void delete_matrix(struct story *story, uint32_t number)
{
	story->deleting |= 1u << number;
	ck_assert_uint_eq(rig_delete(&story->rig, story->identifiers[number]), 0);
	story->committed &= ~(1u << number);
}

static void tell(struct story *story)
{
	const struct xbar_ops ops = { .persist = log_barrier };
	struct rig *rig = &story->rig;
	struct lf_command sanitize = { .opcode = LF_OP_SANITIZE, .count = 2 };
	static float samples[ROWS];
	struct buffer buffer = { samples, sizeof(samples) };
	struct lf_command calibrate = {
		.opcode = LF_OP_CALIBRATE,
		.count = 1,
		.input = { .space = LF_SPACE_BUFFER, .stride = sizeof(samples) },
	};

	rig_open(rig, "isaac", SETTINGS);
	rig->account = ACCOUNT;
	xbar_destroy(rig->xbar);
	memset(rig->memory, 0, rig->bytes);
	ck_assert_int_eq(
		xbar_create(rig->params, rig->memory, rig->bytes, &ops, story, NULL, &rig->xbar),
		0);
	make_matrix(story, true);
	make_matrix(story, true);
	ck_assert_uint_eq(rig_publish(rig, story->identifiers[0], "first"), 0);
	make_matrix(story, false);
	delete_matrix(story, 1);
	ck_assert_uint_eq(rig_run(rig, &sanitize, 1, NULL, 0), 0);
	make_matrix(story, true);
	calibrate.matrix = story->identifiers[0];
	ck_assert_uint_eq(rig_run(rig, &calibrate, 1, &buffer, 1), 0);
	ck_assert_uint_eq(rig_publish(rig, story->identifiers[0], "renamed"), 0);
	delete_matrix(story, 2);
	delete_matrix(story, 3);
	make_matrix(story, true);
	make_matrix(story, true);
	delete_matrix(story, 0);
	log_barrier(story, 0, 0);
}

/* The cells of SETTINGS are the last page. */
#define CELLS_BYTES 4096

/* The memory of @moment, with some of the words that the next moment changed; whether cells were among them. */
static bool cut(const struct story *story, uint32_t moment, uint32_t subset, uint64_t *state,
		uint8_t *memory)
{
	const uint8_t *next = story->moments[moment + 1].memory;
	bool cells = false;

	memcpy(memory, story->moments[moment].memory, story->rig.bytes);
	for (uint64_t i = 0; i < story->rig.bytes; i += 8)
		if (memcmp(memory + i, next + i, 8) &&
		    (subset == 0 || (subset > 1 && draw_below(state, 2)))) {
			memcpy(memory + i, next + i, 8);
			cells |= i >= story->rig.bytes - CELLS_BYTES;
		}
	return cells;
}

static void check_matrices(struct rig *rig, const struct story *story, const struct moment *moment,
			   const char *where)
{
	struct lf_matrix_info info[4];
	uint32_t count = rig_list(rig, info, 4), found = 0, tiles = 0;
	struct lf_telemetry_block telemetry;
	int8_t cells[ROWS * COLS];
	struct buffer buffer = { cells, sizeof(cells) };

	rig->privileged = true;
	for (uint32_t i = 0; i < count; i++) {
		struct lf_command read = {
			.opcode = LF_OP_READ,
			.matrix = info[i].matrix,
			.count = ROWS,
			.output = { .space = LF_SPACE_BUFFER, .stride = COLS },
		};
		uint32_t number = 0;

		ck_assert_msg(info[i].state != LF_MATRIX_TORN, "%s: torn matrix listed", where);
		while (number < story->matrices && story->identifiers[number] != info[i].matrix)
			number++;
		ck_assert_msg(number < story->matrices, "%s: unknown matrix", where);
		ck_assert_uint_eq(rig_run(rig, &read, 1, &buffer, 1), LF_STATUS_OK);
		ck_assert_msg(!memcmp(cells, story->weights[number], sizeof(cells)),
			      "%s: matrix %u is wrong", where, number);
		found |= 1u << number;
		tiles += info[i].tile_rows * info[i].tile_cols;
	}
	xbar_telemetry(rig->xbar, &telemetry);
	ck_assert_msg(telemetry.tiles_used == tiles, "%s: tiles leaked", where);
	ck_assert_msg((moment->committed & ~found & ~moment[1].deleting) == 0,
		      "%s: lost a committed matrix (%x of %x)", where, found, moment->committed);
}

/* @wrote: cells of the PROGRAM in progress were written. */
static void check_account(struct rig *rig, const struct moment *moment, bool wrote,
			  const char *where)
{
	uint64_t least = moment->written_cells + (wrote ? moment->writing_cells : 0);
	struct lf_account account;
	struct buffer buffer = { &account, sizeof(account) };
	struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.first = ACCOUNT,
		.output = { .space = LF_SPACE_BUFFER },
	};

	ck_assert_uint_eq(rig_run(rig, &command, 1, &buffer, 1), LF_STATUS_OK);
	ck_assert_msg(account.written_cells >= least, "%s: ledger ran backwards", where);
	ck_assert_msg(account.written_cells <= moment->written_cells + 2 * ROWS * COLS * 8,
		      "%s: charged too much", where);
}

START_TEST(every_cut_recovers)
{
	struct story *story = calloc(1, sizeof(*story));
	uint64_t state = rig_seed();
	uint32_t cuts = 0;

	tell(story);
	for (uint32_t i = 0; i + 1 < story->count; i++)
		for (uint32_t subset = 0; subset < SUBSETS; subset++) {
			struct moment *moment = &story->moments[i];
			struct rig rig;
			char where[64];
			bool wrote;

			sprintf(where, "barrier %u, subset %u", i, subset);
			rig_open(&rig, "isaac", SETTINGS);
			wrote = cut(story, i, subset, &state, rig.memory);
			ck_assert_msg(rig_attach(&rig) == 0, "%s: does not attach", where);
			check_matrices(&rig, story, moment, where);
			check_account(&rig, moment, wrote, where);
			/* Recovery is complete: attaching again finds the same. */
			ck_assert_int_eq(rig_attach(&rig), 0);
			check_matrices(&rig, story, moment, where);
			check_account(&rig, moment, wrote, where);
			ck_assert_msg(rig_create_matrix(&rig, 1, 1) != 0, "%s: cannot go on",
				      where);
			rig_close(&rig);
			cuts++;
		}
	ck_assert_uint_gt(cuts, 500);
	rig_close(&story->rig);
	for (uint32_t i = 0; i < story->count; i++)
		free(story->moments[i].memory);
	free(story);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar cuts");
	TCase *tests = tcase_create("cuts");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tests, 120);
	tcase_add_test(tests, every_cut_recovers);
	suite_add_tcase(suite, tests);
	runner = srunner_create(suite);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
