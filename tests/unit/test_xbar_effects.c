// SPDX-License-Identifier: MIT
/*
 * Every parameter on every preset: either it makes a difference to what a device does, or it is refused.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/checksum.h"
#include "qemu-device/model/image.h"
#include "qemu-device/model/params.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

/* What a device does that is told everything that parameters are about, and what is left of it. */
struct trace {
	uint32_t count;
	uint32_t sum; /* checksum of it all */
};

static void note(struct trace *trace, const void *data, size_t bytes)
{
	trace->sum = xbar_crc32c_scalar(trace->sum, data, bytes);
	trace->count++;
}

static void note_device(struct trace *trace, struct rig *rig)
{
	struct lf_telemetry_block telemetry;
	struct lf_matrix_info info[4] = { 0 };
	uint32_t events = xbar_take_events(rig->xbar);

	xbar_telemetry(rig->xbar, &telemetry);
	rig_list(rig, info, 4);
	note(trace, &telemetry, sizeof(telemetry));
	note(trace, info, sizeof(info));
	note(trace, &events, sizeof(events));
	note(trace, &rig->completion, sizeof(rig->completion));
}

#define TRACE_ROWS 24
#define TRACE_COLS 12

static void multiply(struct trace *trace, struct rig *rig, uint32_t matrix, uint16_t flags)
{
	float input[8 * TRACE_ROWS], output[8 * TRACE_ROWS] = { 0 };
	struct buffer buffers[2] = { { input, sizeof(input) }, { output, sizeof(output) } };
	struct lf_command commands[] = {
		{
			.opcode = LF_OP_MVM,
			.flags = flags,
			.matrix = matrix,
			.count = 4,
			.input = { .space = LF_SPACE_BUFFER, .stride = TRACE_ROWS * 4 },
			.output = { .space = LF_SPACE_SCRATCH, .stride = TRACE_ROWS * 4 },
		},
		{
			.opcode = LF_OP_FUSE,
			.flags = LF_FUSE_AFFINE,
			.count = 4,
			.width = TRACE_COLS,
			.input = { .space = LF_SPACE_SCRATCH, .stride = TRACE_ROWS * 4 },
			.output = { .space = LF_SPACE_BUFFER,
				    .buffer = 1,
				    .stride = TRACE_ROWS * 4 },
			.bias = { .space = LF_SPACE_BUFFER },
		},
	};
	uint64_t state = 3;
	uint16_t status;

	for (uint32_t i = 0; i < 8 * TRACE_ROWS; i++)
		input[i] = draw_float(&state);
	rig->scratch_bytes = 4096;
	status = rig_run(rig, commands, 2, buffers, 2);
	rig->scratch_bytes = 0;
	note(trace, &status, sizeof(status));
	note(trace, output, sizeof(output));
	note_device(trace, rig);
}

static void look_at_cells(struct trace *trace, struct rig *rig, uint32_t matrix)
{
	static struct lf_cell cells[TRACE_ROWS * TRACE_COLS * 14];
	struct buffer buffer = { cells, sizeof(cells) };
	struct lf_command read = {
		.opcode = LF_OP_READ,
		.flags = LF_READ_CELLS,
		.matrix = matrix,
		.count = TRACE_ROWS,
		.output = { .space = LF_SPACE_BUFFER,
			    .stride = TRACE_COLS * 14 * sizeof(struct lf_cell) },
	};

	memset(cells, 0, sizeof(cells));
	rig_run(rig, &read, 1, &buffer, 1);
	note(trace, cells, sizeof(cells));
}

/*
 * A short life: what is written, read, multiplied, forgotten, refreshed, erased, worn out, heated. What the device says of itself
 * counts with @limits only, and what the header of its memory says not at all: both repeat parameters whether they are obeyed or not.
 */
static struct trace live(struct xbar_params *params, bool limits)
{
	struct rig rig = { .params = params, .threads = 1, .account = 5, .privileged = true };
	struct trace trace = { 0 };
	float weights[TRACE_ROWS * TRACE_COLS];
	struct lf_command command = { .opcode = LF_OP_REFRESH };
	struct xbar_limits told;
	struct lf_account account = { 0 };
	struct buffer buffer = { &account, sizeof(account) };
	uint64_t state = 9;
	uint32_t matrix;

	rig.bytes = xbar_nonvolatile_bytes(params);
	rig.memory = aligned_alloc(4096, rig.bytes);
	ck_assert_ptr_nonnull(rig.memory);
	memset(rig.memory, 0, rig.bytes);
	ck_assert_int_eq(rig_attach(&rig), 0);
	xbar_limits(rig.xbar, &told);
	if (limits)
		note(&trace, &told, sizeof(told));
	for (uint32_t i = 0; i < TRACE_ROWS * TRACE_COLS; i++) {
		weights[i] = draw_float(&state);
		if (params->format == LF_FORMAT_INT8)
			((int8_t *)weights)[i] = (int8_t)(draw_below(&state, 255) - 127);
	}
	for (int life = 0; life < 3; life++) {
		matrix = rig_create_matrix(&rig, TRACE_ROWS, TRACE_COLS);
		note_device(&trace, &rig);
		if (rig_program(&rig, matrix, TRACE_ROWS, TRACE_COLS, weights) ||
		    rig_commit(&rig, matrix))
			break;
		note_device(&trace, &rig);
		multiply(&trace, &rig, matrix, 0);
		multiply(&trace, &rig, matrix, LF_MVM_TRANSPOSE);
		look_at_cells(&trace, &rig, matrix);
		xbar_advance_time(rig.xbar, 20000000); /* 20 ms, then hours */
		multiply(&trace, &rig, matrix, 0);
		xbar_advance_time(rig.xbar, 20000 * 1000000000ull);
		xbar_set_temperature(rig.xbar, 90000);
		multiply(&trace, &rig, matrix, 0);
		command = (struct lf_command){ .opcode = LF_OP_REFRESH, .matrix = matrix };
		rig_run(&rig, &command, 1, NULL, 0);
		note_device(&trace, &rig);
		multiply(&trace, &rig, matrix, 0);
		xbar_set_temperature(rig.xbar, params->temperature_mc);
		xbar_inject_stuck(rig.xbar, 2000);
		rig_delete(&rig, matrix);
		command = (struct lf_command){ .opcode = LF_OP_SANITIZE, .count = 32 };
		rig_run(&rig, &command, 1, NULL, 0);
		note_device(&trace, &rig);
	}
	command = (struct lf_command){ .opcode = LF_OP_ACCOUNT,
				       .first = 6,
				       .output = { .space = LF_SPACE_BUFFER } };
	rig_run(&rig, &command, 1, &buffer, 1);
	note(&trace, &account, sizeof(account));
	note(&trace, rig.memory + IMAGE_PAGE, rig.bytes - IMAGE_PAGE);
	xbar_destroy(rig.xbar);
	free(rig.memory);
	return trace;
}

/* On every preset each parameter that is set either makes a difference to what a device does, or is refused. */
START_TEST(what_is_set_matters_or_is_refused)
{
	/* Two values of each, one of which is not the preset's; %s is set first where it needs another. */
	static const char *const others[][4] = {
		{ "tiles", "33", "34" },
		{ "tile_rows", "16", "20" },
		{ "tile_cols", "56", "48" },
		{ "cell_bits", "3", "1" },
		{ "matrices", "5", "6" },
		{ "accounts", "5", "6" },
		{ "pair", "rows", "columns", "adc_subtract=before" },
		{ "spare_weights", "1", "2" },
		{ "wear_rows", "8", "4" },
		{ "adc_bits", "5", "6", "adc_step=4" },
		{ "adc_step", "2", "4" },
		{ "adc_offset", "-250", "-252" },
		{ "adc_columns", "3", "5", "read_ns=1" },
		{ "adc_subtract", "before", "after" },
		{ "adc_range", "maximum", "fixed", "adc_bits=5" },
		{ "matrix_rows", "100", "101" },
		{ "matrix_cols", "100", "101" },
		{ "batch", "100", "101" },
		{ "commands", "100", "101" },
		{ "scratch_bytes", "100", "101" },
		{ "default_quota", "1000000", "2000000" },
		{ "read_ns", "777", "778" },
		{ "adc_ps", "7777777", "7777778" },
		{ "program_row_ns", "77", "78" },
		{ "erase_tile_ns", "77", "78" },
		{ "array_energy_aj", "77", "78" },
		{ "dac_energy_aj", "77", "78" },
		{ "adc_energy_aj", "77", "78" },
		{ "shift_add_energy_aj", "77", "78" },
		{ "multiply_energy_aj", "77", "78" },
		{ "add_energy_aj", "77", "78" },
		{ "scratch_energy_aj", "77", "78" },
		{ "program_energy_aj", "77", "78" },
		{ "erase_energy_aj", "77", "78" },
		{ "static_power_nw", "77", "78" },
		{ "seed", "7", "8" },
		{ "on_off_ratio", "7", "8" },
		{ "program_sigma", "0.07", "0.08" },
		{ "program_sigma_slope", "0.07", "0.08" },
		{ "verify_tolerance", "0.03", "0.04", "program_sigma=0.05" },
		{ "verify_pulses", "3", "4" },
		{ "verify_energy_aj", "77", "78" },
		{ "verify_row_ns", "77", "78" },
		{ "read_noise", "0.07", "0.08" },
		{ "read_noise_of", "range", "conductance" },
		{ "relax_mean", "-0.07", "-0.08" },
		{ "relax_sigma", "0.07", "0.08" },
		{ "relax_sigma_g1", "0.07", "0.08" },
		{ "relax_sigma_g2", "0.07", "0.08" },
		{ "relax_sigma_g3", "1.4", "1.5" },
		{ "relax_sigma_g4", "0.07", "0.08" },
		{ "relax_sigma_slope", "0.07", "0.08" },
		{ "relax_sigma_slope_g1", "0.07", "0.08" },
		{ "relax_sigma_slope_g2", "0.07", "0.08" },
		{ "relax_sigma_slope_g3", "0.07", "0.08" },
		{ "relax_sigma_slope_g4", "0.07", "0.08" },
		{ "relax_start_ms", "1", "2" },
		{ "retention_s", "10000", "20000" },
		{ "retention_activation_mev", "700", "800" },
		{ "refresh_s", "10000", "11000" },
		{ "stuck_on", "0.05", "0.06" },
		{ "stuck_off", "0.05", "0.06" },
		{ "retire_cells", "0", "1" },
		{ "endurance", "3", "4" },
		{ "endurance_spread", "5", "4" },
		{ "worn_on", "0.5", "0.6", "endurance=1" },
		{ "wear_warning", "2", "3" },
		{ "temperature_mc", "30000", "31000" },
		{ "temperature_max_mc", "95000", "96000" },
		{ "temperature_critical_mc", "89000", "88000" },
		{ "temperature_coefficient", "0.007", "0.008" },
		{ "ir_drop", "fast", "exact", "wire_mohm=100000" },
		{ "wire_mohm", "7000", "8000", "ir_drop=fast" },
		{ "driver_mohm", "7000", "8000", "ir_drop=fast" },
		{ "sense_mohm", "7000", "8000", "ir_drop=fast" },
	};
	/* What there may be at most, and a job ask for: more than this life does. */
	static const char *const limits[] = { "matrices", "accounts", "matrix_rows",  "matrix_cols",
					      "batch",	  "commands", "scratch_bytes" };
	/*
	 * The unit of the others, which voltage drop alone turns into something; the one number of bits that lines are driven with; and what must
	 * make no difference.
	 */
	static const char *const without[] = { "g_max_ns", "dac_bits", "simd" };
	const char *name = xbar_params_preset((uint32_t)_i), *key, *unit, *help;
	uint32_t known = 0, refused = 0;

	for (uint32_t i = 0; !xbar_params_describe(i, &key, &unit, &help); i++) {
		bool found = false;

		for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++)
			found |= !strcmp(others[j][0], key);
		for (size_t j = 0; j < sizeof(without) / sizeof(without[0]); j++)
			found |= !strcmp(without[j], key);
		ck_assert_msg(found, "%s is not tried", key);
		known++;
	}
	ck_assert_uint_eq(known, sizeof(others) / sizeof(others[0]) +
					 sizeof(without) / sizeof(without[0]));
	if (!name)
		return;
	for (size_t j = 0; j < sizeof(others) / sizeof(others[0]); j++) {
		struct xbar_params *params = rig_params(name, "");
		char value[XBAR_MESSAGE_BYTES], message[XBAR_MESSAGE_BYTES] = "", needed[64] = "";
		struct trace before = { 0 }, after;
		bool told = false;

		for (size_t k = 0; k < sizeof(limits) / sizeof(limits[0]); k++)
			told |= !strcmp(limits[k], others[j][0]);
		rig_set(params, "tiles", "32");
		rig_set(params, "matrices", "4");
		rig_set(params, "accounts", "4");
		if (others[j][3]) {
			strcpy(needed, others[j][3]);
			*strchr(needed, '=') = '\0';
			rig_set(params, needed, others[j][3] + strlen(needed) + 1);
		}
		/* Two that need each other cannot be alone. */
		if (!xbar_params_check(params, NULL))
			before = live(params, told);
		xbar_params_get(params, others[j][0], value);
		rig_set(params, others[j][0], others[j][strcmp(value, others[j][1]) ? 1 : 2]);
		if (!xbar_params_check(params, message)) {
			after = live(params, told);
			/* Nothing is drawn on the oracle, whose memory keeps the seed all the same. */
			ck_assert_msg(
				after.count != before.count || after.sum != before.sum ||
					(!strcmp(name, "float") && !strcmp(others[j][0], "seed")),
				"%s: %s makes no difference", name, others[j][0]);
		} else {
			size_t length = strcspn(message, ":");

			refused++;
			ck_assert_msg((length == strlen(others[j][0]) &&
				       !memcmp(message, others[j][0], length)) ||
					      (length == strlen(needed) &&
					       !memcmp(message, needed, length)),
				      "%s with %s: %s", name, others[j][0], message);
		}
		xbar_params_free(params);
	}
	/* What all effects are there for is refused hardly anything, and the oracle most of it. */
	if (!strcmp(name, "wan2022"))
		ck_assert_uint_le(refused, 4);
	ck_assert_uint_lt(refused, strcmp(name, "float") ? 15 : 60);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar effects");
	TCase *tests = tcase_create("effects");

	tcase_set_timeout(tests, 120);
	tcase_add_loop_test(tests, what_is_set_matters_or_is_refused, 0, 5);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
