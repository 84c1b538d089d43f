// SPDX-License-Identifier: MIT
/*
 * Writing and reading cells through jobs: what verifying costs and who pays, what single cells are said to be, and how cells
 * wear out.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/analog.h"
#include "qemu-device/model/job.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define ROWS	 72
#define COLS	 22
#define CELLS	 (ROWS * COLS * 8)

#define GEOMETRY "tiles=24,tile_rows=32,tile_cols=64,matrices=4,accounts=4"
#define VERIFY                                                                             \
	"program_sigma=0.03,verify_tolerance=0.02,verify_pulses=6,program_energy_aj=1000," \
	"verify_energy_aj=30,program_row_ns=500,verify_row_ns=40"

static int8_t weights[ROWS * COLS];

static void open_rig(struct rig *rig, const char *settings)
{
	char text[256];
	uint64_t state = rig_seed();

	ck_assert_int_lt(snprintf(text, sizeof(text), "%s,%s", GEOMETRY, settings), 256);
	for (int i = 0; i < ROWS * COLS; i++)
		weights[i] = (int8_t)((int)draw_below(&state, 255) - 127);
	rig_open(rig, "isaac", text);
	rig->privileged = true;
}

/* READ of @count rows from @first on, as weights or as cells; the status. */
static uint16_t read_rows(struct rig *rig, uint32_t matrix, uint32_t first, uint32_t count,
			  bool cells, void *output)
{
	uint32_t row_bytes = cells ? COLS * 8 * sizeof(struct lf_cell) : COLS;
	struct buffer buffer = { output, (uint64_t)count * row_bytes };
	struct lf_command command = {
		.opcode = LF_OP_READ,
		.flags = cells ? LF_READ_CELLS : 0,
		.matrix = matrix,
		.first = first,
		.count = count,
		.output = { .space = LF_SPACE_BUFFER, .stride = row_bytes },
	};

	return rig_run_queue(rig, &command, 1, &buffer, 1, false);
}

static struct lf_cell *all_cells(struct rig *rig, uint32_t matrix)
{
	struct lf_cell *cells = calloc(CELLS, sizeof(*cells));

	ck_assert_uint_eq(read_rows(rig, matrix, 0, ROWS, true, cells), LF_STATUS_OK);
	return cells;
}

static double conductance_of(const struct lf_cell *cell)
{
	float conductance;

	memcpy(&conductance, &cell->conductance, sizeof(conductance));
	return (double)conductance;
}

static struct lf_account account_of(struct rig *rig, const uint64_t *quota)
{
	struct lf_account account;
	uint64_t value = quota ? *quota : 0;
	struct buffer buffers[2] = { { &account, sizeof(account) }, { &value, sizeof(value) } };
	struct lf_command command = {
		.opcode = LF_OP_ACCOUNT,
		.output = { .space = LF_SPACE_BUFFER },
	};

	if (quota) {
		command.flags = LF_ACCOUNT_SET_QUOTA;
		command.input = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 1 };
	}
	ck_assert_uint_eq(rig_run(rig, &command, 1, buffers, 2), LF_STATUS_OK);
	return account;
}

/* Energy, time, counters and the ledger follow from the pulses of the cells; reading them back tells the same pulses. */
START_TEST(retries_are_charged)
{
	uint64_t pulses = 0, failed = 0, row_pulses = 0, reads;
	struct lf_telemetry_block telemetry;
	struct lf_completion record;
	struct lf_matrix_info info;
	struct lf_cell *cells;
	struct rig rig;
	uint32_t matrix;

	open_rig(&rig, VERIFY ",stuck_on=0.02,stuck_off=0.01");
	matrix = rig_create_matrix(&rig, ROWS, COLS);
	ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_OK);
	record = rig.completion;
	ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_OK);
	cells = all_cells(&rig, matrix);
	for (int row = 0; row < ROWS; row++) {
		uint32_t slowest = 0;

		for (int i = row * COLS * 8; i < (row + 1) * COLS * 8; i++) {
			pulses += cells[i].pulses;
			failed += !!(cells[i].flags & LF_CELL_FAILED);
			slowest = cells[i].pulses > slowest ? cells[i].pulses : slowest;
		}
		row_pulses += slowest;
	}
	ck_assert_uint_gt(pulses, 3 * CELLS / 2);
	ck_assert_uint_gt(failed, 0);
	ck_assert_uint_eq(record.cells_written, CELLS);
	ck_assert_uint_eq(record.verify_retries, pulses - CELLS);
	ck_assert_uint_eq(record.cells_failed, failed);
	ck_assert_uint_eq(record.energy_aj[LF_ENERGY_PROGRAM], pulses * 1030);
	ck_assert_uint_eq(record.busy_ns, row_pulses * 540);
	ck_assert_uint_eq(account_of(&rig, NULL).written_cells, pulses);
	ck_assert_uint_eq(rig_list(&rig, &info, 1), 1);
	ck_assert_uint_eq(info.failed_cells, failed);
	xbar_telemetry(rig.xbar, &telemetry);
	ck_assert_uint_eq(telemetry.verify_retries, pulses - CELLS);
	ck_assert_uint_eq(telemetry.cells_failed, failed);
	ck_assert(xbar_take_events(rig.xbar) & LF_EVENT_CELLS);
	/* Reading is no writing. */
	reads = account_of(&rig, NULL).written_cells;
	ck_assert_uint_eq(reads, pulses);
	free(cells);
	rig_close(&rig);
}
END_TEST

/* Whoever does not verify pays one pulse a cell and hears of no failure. */
START_TEST(without_verifying_a_cell_costs_a_pulse)
{
	struct rig rig;
	uint32_t matrix;

	/* What the preset says of verifying is unused then; a weight is a pair of cells in two rows. */
	rig_open(
		&rig, "wan2022",
		"tiles=4,verify_tolerance=0,program_energy_aj=1000,program_row_ns=500,stuck_on=0.1");
	matrix = rig_create_matrix(&rig, ROWS, COLS);
	ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.verify_retries, 0);
	ck_assert_uint_eq(rig.completion.cells_failed, 0);
	ck_assert_uint_eq(rig.completion.energy_aj[LF_ENERGY_PROGRAM], CELLS / 4 * 1000);
	ck_assert_uint_eq(rig.completion.busy_ns, 2 * ROWS * 500);
	ck_assert_uint_eq(account_of(&rig, NULL).written_cells, CELLS / 4);
	rig_close(&rig);
}
END_TEST

/* The worst case must be covered before the first pulse; what was not used is given back. */
START_TEST(quota_guards_the_worst_case)
{
	uint64_t quota = 6 * CELLS - 1, used;
	struct rig rig;
	uint32_t matrix;

	open_rig(&rig, VERIFY);
	matrix = rig_create_matrix(&rig, ROWS, COLS);
	account_of(&rig, &quota);
	ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_QUOTA);
	ck_assert_uint_eq(rig.completion.cells_written, 0);
	ck_assert_uint_eq(account_of(&rig, NULL).written_cells, 0);
	quota++;
	account_of(&rig, &quota);
	ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_OK);
	used = CELLS + rig.completion.verify_retries;
	ck_assert_uint_lt(used, quota);
	ck_assert_uint_eq(account_of(&rig, NULL).written_cells, used);
	ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_OK);
	/* The rest is not enough for the worst case of as many. */
	matrix = rig_create_matrix(&rig, ROWS, COLS);
	ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_QUOTA);
	rig_close(&rig);
}
END_TEST

/* Row by row, all at once, on any number of threads: the same cells, the same bill. */
START_TEST(order_and_threads_change_nothing)
{
	struct lf_completion whole = { 0 };
	struct lf_cell *first = NULL;

	for (uint32_t threads = 1; threads <= 8; threads += 7)
		for (uint32_t step = 1; step <= ROWS; step += ROWS - 1) {
			struct buffer buffer = { weights, sizeof(weights) };
			uint64_t retries = 0, failed = 0, busy_ns = 0;
			struct lf_cell *cells;
			struct rig rig;
			uint32_t matrix;

			open_rig(&rig, VERIFY);
			rig.threads = threads;
			matrix = rig_create_matrix(&rig, ROWS, COLS);
			for (uint32_t row = 0; row < ROWS; row += step) {
				struct lf_command command = {
					.opcode = LF_OP_PROGRAM,
					.matrix = matrix,
					.first = row,
					.count = step,
					.input = { .space = LF_SPACE_BUFFER,
						   .stride = COLS,
						   .offset = (uint64_t)row * COLS },
				};

				ck_assert_uint_eq(rig_run(&rig, &command, 1, &buffer, 1),
						  LF_STATUS_OK);
				retries += rig.completion.verify_retries;
				failed += rig.completion.cells_failed;
				busy_ns += rig.completion.busy_ns;
				whole = first ? whole : rig.completion;
			}
			ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_OK);
			cells = all_cells(&rig, matrix);
			if (!first) {
				whole.verify_retries = retries;
				whole.cells_failed = failed;
				whole.busy_ns = busy_ns;
				first = cells;
			} else {
				ck_assert_mem_eq(cells, first, CELLS * sizeof(*cells));
				ck_assert_uint_eq(whole.verify_retries, retries);
				ck_assert_uint_eq(whole.cells_failed, failed);
				ck_assert_uint_eq(whole.busy_ns, busy_ns);
				free(cells);
			}
			rig_close(&rig);
		}
	free(first);
}
END_TEST

static const char *const noisy[] = {
	"program_sigma=0.08,stuck_on=0.03,stuck_off=0.03,on_off_ratio=30",
	"program_sigma=0.3",
	"relax_mean=0.02,relax_sigma=0.05,relax_sigma_slope=0.01",
	"retention_s=100",
	"stuck_off=1",
	"cell_bits=3,program_sigma=0.05",
};

/* READ tells the weights that are nearest to what the pairs conduct, and never one that does not exist. */
START_TEST(a_read_finds_what_cells_hold)
{
	int8_t found[ROWS * COLS];
	uint32_t differ = 0, cell_bits, slices;
	struct lf_cell *cells;
	struct rig rig;
	uint32_t matrix;

	open_rig(&rig, noisy[_i]);
	rig.threads = 3;
	cell_bits = rig.params->cell_bits;
	slices = rig.xbar->slices;
	matrix = rig_matrix(&rig, ROWS, COLS, weights);
	xbar_advance_time(rig.xbar, 80000000000);
	cells = slices == 4 ? all_cells(&rig, matrix) : NULL;
	ck_assert_uint_eq(read_rows(&rig, matrix, 0, ROWS, false, found), LF_STATUS_OK);
	for (int i = 0; i < ROWS * COLS; i++) {
		int weight = 0;

		ck_assert_int_ne(found[i], INT8_MIN);
		differ += found[i] != weights[i];
		for (uint32_t k = 0; cells && k < 2 * slices; k++) {
			uint32_t level = xbar_physics_level(rig.params, k % slices,
							    conductance_of(&cells[i * 8 + (int)k]));

			weight += (int)(level << k % slices * cell_bits) * (k < slices ? 1 : -1);
		}
		if (cells)
			ck_assert_int_eq(found[i], weight);
	}
	ck_assert_uint_gt(differ, 0);
	if (_i == 4)
		for (int i = 0; i < ROWS * COLS; i++)
			ck_assert_int_eq(found[i], 0);
	free(cells);
	rig_close(&rig);
}
END_TEST

/* Each cell as physics says it is where it lies, with its own wear and endurance. */
START_TEST(single_cells_are_told)
{
	uint32_t identifier, spares = 0;
	struct lf_cell *cells;
	struct matrix *matrix;
	struct rig rig;

	open_rig(&rig, VERIFY ",stuck_on=0.02,endurance=4,endurance_spread=1,spare_weights=2");
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(rig_delete(&rig, rig_matrix(&rig, ROWS, COLS, weights)),
				  LF_STATUS_OK);
	identifier = rig_matrix(&rig, ROWS, COLS, weights);
	matrix = xbar_directory_find(rig.xbar, identifier);
	cells = all_cells(&rig, identifier);
	for (uint32_t i = 0; i < CELLS; i++) {
		uint32_t row = i / 8 / COLS, col = i / 8 % COLS, side = i / 4 % 2, slice = i % 4;
		uint32_t tile = matrix->tiles[row / 32 * matrix->tile_cols + col / 8];
		uint32_t column = xbar_spares_column(rig.xbar, tile, col % 8);
		struct place place = { tile, row % 32, column, side, slice };
		struct history history = {
			.matrix = identifier,
			.wear = xbar_tiles_wear(rig.xbar, tile, row % 32),
			.temperature_mc = 25000,
		};
		int weight = side ? -weights[i / 8] : weights[i / 8];
		struct cell cell;

		rig_cell(rig.params, &place, &history, weight > 0 ? weight >> 2 * slice & 3 : 0,
			 &cell);
		ck_assert_uint_eq(cells[i].wear, history.wear);
		ck_assert_uint_eq(cells[i].endurance, cell.endurance);
		ck_assert_uint_eq(cells[i].pulses, cell.pulses);
		ck_assert_uint_eq(cells[i].flags, cell.flags | (column < 8 ? 0 : LF_CELL_SPARE));
		spares += column >= 8;
		ck_assert(conductance_of(&cells[i]) == (double)(float)cell.conductance);
	}
	ck_assert_uint_gt(spares, 0);
	free(cells);
	rig.privileged = false;
	ck_assert_uint_eq(read_rows(&rig, identifier, 0, 1, true, weights), LF_STATUS_DENIED);
	rig_close(&rig);
}
END_TEST

/* Rows that were not written are as the erasure left them; cells of the float device are its numbers. */
START_TEST(cells_without_levels_are_told_too)
{
	static float numbers[ROWS * COLS];
	struct lf_cell cells[COLS * 8];
	int8_t found[COLS];
	struct rig rig;
	uint32_t matrix;

	open_rig(&rig, VERIFY ",on_off_ratio=8");
	matrix = rig_create_matrix(&rig, ROWS, COLS);
	ck_assert_uint_eq(rig_program(&rig, matrix, 3, COLS, weights), LF_STATUS_OK);
	ck_assert_uint_eq(read_rows(&rig, matrix, 3, 1, true, cells), LF_STATUS_OK);
	for (int i = 0; i < COLS * 8; i++) {
		ck_assert(conductance_of(&cells[i]) == 0.125);
		ck_assert_uint_eq(cells[i].pulses, 0);
		ck_assert_uint_eq(cells[i].flags, 0);
	}
	ck_assert_uint_eq(read_rows(&rig, matrix, 3, 1, false, found), LF_STATUS_OK);
	for (int i = 0; i < COLS; i++)
		ck_assert_int_eq(found[i], 0);
	ck_assert_uint_eq(read_rows(&rig, matrix, 2, 1, true, cells), LF_STATUS_OK);
	for (int i = 0; i < COLS * 8; i++)
		ck_assert_uint_ge(cells[i].pulses, 1);
	rig_close(&rig);

	rig_open(&rig, "float", "tiles=4");
	rig.privileged = true;
	for (int i = 0; i < ROWS * COLS; i++)
		numbers[i] = (float)i / 7.0f;
	matrix = rig_matrix(&rig, ROWS, COLS, numbers);
	{
		struct buffer buffer = { cells, COLS * sizeof(*cells) };
		struct lf_command command = {
			.opcode = LF_OP_READ,
			.flags = LF_READ_CELLS,
			.matrix = matrix,
			.first = 5,
			.count = 1,
			.output = { .space = LF_SPACE_BUFFER, .stride = COLS * sizeof(*cells) },
		};

		ck_assert_uint_eq(rig_run(&rig, &command, 1, &buffer, 1), LF_STATUS_OK);
	}
	for (int i = 0; i < COLS; i++) {
		ck_assert(conductance_of(&cells[i]) == (double)numbers[5 * COLS + i]);
		ck_assert_uint_eq(cells[i].endurance, UINT32_MAX);
		ck_assert_uint_eq(cells[i].wear, 1);
	}
	rig_close(&rig);
}
END_TEST

/* The operand of a READ of cells is as wide as its cells. */
START_TEST(reads_of_cells_are_checked)
{
	struct lf_cell cells[2 * COLS * 8 + 1]; /* room for what is only out of place */
	struct buffer buffer = { cells, sizeof(cells) };
	struct lf_command good = {
		.opcode = LF_OP_READ,
		.flags = LF_READ_CELLS,
		.first = 70,
		.count = 2,
		.output = { .space = LF_SPACE_BUFFER, .stride = COLS * 8 * sizeof(*cells) },
	};
	struct lf_command bad[6];
	struct rig rig;

	open_rig(&rig, VERIFY);
	good.matrix = rig_matrix(&rig, ROWS, COLS, weights);
	for (int i = 0; i < 6; i++)
		bad[i] = good;
	bad[0].flags = LF_READ_CELLS << 1;
	bad[1].output.stride -= 4;
	bad[2].first = 71;
	bad[3].output.offset = 2;
	bad[4].output.stride += 2;
	bad[5].opcode = LF_OP_CALIBRATE;
	ck_assert_uint_eq(rig_run(&rig, &good, 1, &buffer, 1), LF_STATUS_OK);
	for (int i = 0; i < 6; i++)
		ck_assert_uint_eq(rig_run(&rig, &bad[i], 1, &buffer, 1), LF_STATUS_INVALID);
	rig_close(&rig);
}
END_TEST

/*
 * A tile that is written and erased again and again: of its cells as many are worn as the distribution of endurance says, for
 * good, and what they were told they no longer hold.
 */
START_TEST(cells_wear_out)
{
	enum { TILE_ROWS = 128, WEIGHTS = 16, TILE_CELLS = TILE_ROWS * WEIGHTS * 8 };
	static struct lf_cell cells[TILE_CELLS];
	static uint16_t before[TILE_CELLS];
	static int8_t full[TILE_ROWS * WEIGHTS], found[TILE_ROWS * WEIGHTS];
	struct buffer buffers[2] = { { cells, sizeof(cells) }, { found, sizeof(found) } };
	uint32_t wrong = 0, worn = 0;
	struct rig rig;

	rig_open(&rig, "isaac",
		 "tiles=1,matrices=2,accounts=2,endurance=12,endurance_spread=0.5,worn_on=0.25");
	rig.privileged = true;
	memset(full, 42, sizeof(full));
	for (uint32_t wear = 1; wear < 40; wear += 2) {
		uint32_t matrix = rig_matrix(&rig, TILE_ROWS, WEIGHTS, full), on = 0;
		struct lf_command commands[2] = {
			{ .flags = LF_READ_CELLS,
			  .output = { .space = LF_SPACE_BUFFER, .stride = WEIGHTS * 8 * 16 } },
			{ .output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = WEIGHTS } },
		};
		double p;

		for (int i = 0; i < 2; i++) {
			commands[i].opcode = LF_OP_READ;
			commands[i].matrix = matrix;
			commands[i].count = TILE_ROWS;
		}
		ck_assert_uint_eq(rig_run(&rig, commands, 2, buffers, 2), LF_STATUS_OK);
		worn = 0;
		for (int i = 0; i < TILE_CELLS; i++) {
			ck_assert_uint_eq(cells[i].wear, wear);
			ck_assert(!(cells[i].flags & LF_CELL_WORN) == (wear <= cells[i].endurance));
			if (before[i])
				ck_assert_uint_eq(cells[i].flags, before[i]);
			before[i] = cells[i].flags;
			worn += !!(cells[i].flags & LF_CELL_WORN);
			on += !!(cells[i].flags & LF_CELL_STUCK_ON);
			if (cells[i].flags & LF_CELL_WORN)
				ck_assert(conductance_of(&cells[i]) ==
					  (cells[i].flags & LF_CELL_STUCK_ON ? 1.0 : 0.0));
		}
		p = 0.5 * erfc(-log(wear / 12.0) / 0.5 / sqrt(2.0));
		ck_assert_double_eq_tol(worn, TILE_CELLS * p,
					5.0 * sqrt(TILE_CELLS * p * (1.0 - p)) + 1.0);
		ck_assert_double_eq_tol(on, worn * 0.25, 5.0 * sqrt(worn * 0.1875) + 1.0);
		wrong = 0;
		for (int i = 0; i < TILE_ROWS * WEIGHTS; i++)
			wrong += found[i] != 42;
		ck_assert(!worn == !wrong);
		ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	}
	ck_assert_uint_gt(worn, TILE_CELLS * 9 / 10);
	ck_assert_uint_gt(wrong, TILE_ROWS * WEIGHTS * 9 / 10);
	rig_close(&rig);
}
END_TEST

/* From the critical temperature on nothing is executed but what keeps the cells as they are. */
START_TEST(heat_stops_work)
{
	struct buffer buffer = { weights, sizeof(weights) };
	struct lf_command two[2] = { { .opcode = LF_OP_BARRIER } };
	int8_t found[COLS];
	struct lf_account before;
	struct rig rig;
	uint32_t matrix;

	open_rig(&rig, "temperature_critical_mc=90000");
	matrix = rig_create_matrix(&rig, ROWS, COLS);
	xbar_set_temperature(rig.xbar, 90000);
	before = account_of(&rig, NULL);
	two[1] = (struct lf_command){ .opcode = LF_OP_PROGRAM,
				      .matrix = matrix,
				      .count = ROWS,
				      .input = { .space = LF_SPACE_BUFFER, .stride = COLS } };
	ck_assert_uint_eq(rig_run(&rig, two, 2, &buffer, 1), LF_STATUS_THERMAL);
	ck_assert_uint_eq(rig.completion.failed_command, 1);
	ck_assert_uint_eq(rig.completion.busy_ns, 0);
	ck_assert_uint_eq(account_of(&rig, NULL).written_cells, before.written_cells);
	ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_STATE);
	xbar_set_temperature(rig.xbar, 89999);
	ck_assert_uint_eq(rig_program(&rig, matrix, ROWS, COLS, weights), LF_STATUS_OK);
	xbar_set_temperature(rig.xbar, 120000);
	ck_assert_uint_eq(rig_commit(&rig, matrix), LF_STATUS_OK);
	ck_assert_uint_eq(read_rows(&rig, matrix, 0, 1, false, found), LF_STATUS_THERMAL);
	ck_assert_uint_eq(rig_delete(&rig, matrix), LF_STATUS_OK);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar program");
	TCase *tests = tcase_create("program");

	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, retries_are_charged);
	tcase_add_test(tests, without_verifying_a_cell_costs_a_pulse);
	tcase_add_test(tests, quota_guards_the_worst_case);
	tcase_add_test(tests, order_and_threads_change_nothing);
	tcase_add_loop_test(tests, a_read_finds_what_cells_hold, 0, 6);
	tcase_add_test(tests, single_cells_are_told);
	tcase_add_test(tests, cells_without_levels_are_told_too);
	tcase_add_test(tests, reads_of_cells_are_checked);
	tcase_add_test(tests, cells_wear_out);
	tcase_add_test(tests, heat_stops_work);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
