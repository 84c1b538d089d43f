// SPDX-License-Identifier: MIT
/*
 * How cells are asked what they do: by columns or one by one, by buckets of ages and by levels; and every parameter has its effect on
 * them. What they should do is test_xbar_physics.c's.
 */
#include <check.h>
#include <math.h>
#include <string.h>

#include "qemu-device/model/physics.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

#define SECOND 1000000000ull

#define EVERYTHING                                                                           \
	"on_off_ratio=20,program_sigma=0.03,program_sigma_slope=0.01,verify_tolerance=0.02," \
	"verify_pulses=7,relax_mean=-0.001,relax_sigma=0.01,relax_sigma_slope=0.001,"        \
	"relax_sigma_g1=0.01,relax_sigma_slope_g3=0.001,"                                    \
	"retention_s=100000,retention_activation_mev=500,stuck_on=0.01,stuck_off=0.01,"      \
	"endurance=100,endurance_spread=1,worn_on=0.5,temperature_coefficient=0.001"

/* Whole columns, single cells, with or without what they have in common worked out, on any instruction set: the same bits. */
START_TEST(all_ways_to_ask_give_the_same)
{
	static const char *const sets[] = { "scalar", "avx2", "avx512", "auto" };
	struct xbar_params *params = rig_params("isaac", EVERYTHING);
	struct history history = { .matrix = 5,
				   .refreshes = 2,
				   .age_ns = 77 * SECOND,
				   .stuck_parts = 5000,
				   .temperature_mc = 61000 };
	uint32_t wear[131];
	uint8_t levels[131];
	double column[131];
	static struct written written;
	struct physics physics;

	ck_assert_int_eq(xbar_params_set(params, "simd", sets[_i % 4], NULL), 0);
	params->verify_pulses = 1 + (uint32_t)_i / 4; /* the last of a block, or the first */
	xbar_physics_of(params, &history, &physics);
	for (uint32_t i = 0; i < 131; i++) {
		wear[i] = i * 3;
		levels[i] = i % 4;
	}
	for (uint32_t rows = 1; rows <= 131; rows += 13)
		for (uint32_t c = 0; c < 40; c++) {
			struct place place = {
				.tile = c, .row = c, .weight = c % 16, .side = c & 1, .slice = c % 4
			};

			uint32_t stuck = xbar_physics_count_stuck(&physics, &place, wear, rows);

			xbar_physics_column(&physics, &place, wear, levels, rows, column,
					    c & 2 ? &written : NULL);
			for (uint32_t i = 0; i < rows; i++, place.row++) {
				struct cell cell;

				history.wear = wear[i];
				rig_cell(params, &place, &history, levels[i], &cell);
				ck_assert_mem_eq(&cell.conductance, &column[i], sizeof(double));
				ck_assert_double_le(cell.conductance, xbar_physics_bound(&physics));
				stuck -=
					cell.flags & (LF_CELL_STUCK_ON | LF_CELL_STUCK_OFF) ? 1 : 0;
				if (!(c & 2))
					continue;
				ck_assert_uint_eq(cell.pulses, written.pulses[i]);
				ck_assert(!(cell.flags & LF_CELL_FAILED) == !written.failed[i]);
			}
			ck_assert_uint_eq(stuck, 0);
		}
	xbar_params_free(params);
}
END_TEST

/* Each parameter alone makes a difference on every preset with analog cells: none is there for show. */
START_TEST(no_parameter_is_ignored)
{
	static const char *const settings[][2] = {
		{ "on_off_ratio", "3" },
		{ "program_sigma", "0.07" },
		{ "program_sigma_slope", "0.05" },
		{ "relax_mean", "-0.03" },
		{ "relax_sigma", "0.09" },
		{ "relax_sigma_slope", "0.02" },
		{ "relax_sigma_g1", "0.5" },
		{ "relax_sigma_slope_g2", "0.05" },
		{ "retention_s", "5000" },
		{ "stuck_on", "0.3" },
		{ "stuck_off", "0.3" },
		{ "endurance", "20" },
		{ "temperature_coefficient", "0.004" },
	};
	const char *name = xbar_params_preset((uint32_t)_i);
	struct history history = {
		.matrix = 1, .wear = 30, .age_ns = 5000 * SECOND, .temperature_mc = 50000
	};
	struct xbar_params *params;

	if (!name || !strcmp(name, "float"))
		return;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		uint32_t differ = 0;

		ck_assert_int_eq(xbar_params_create(name, &params), 0);
		for (int pass = 0; pass < 2; pass++) {
			static double before[1000];

			for (uint32_t k = 0; k < 1000; k++) {
				struct place place = rig_place(k);
				struct cell cell;

				rig_cell(params, &place, &history, 2, &cell);
				differ += pass && cell.conductance != before[k];
				before[k] = cell.conductance;
			}
			ck_assert_int_eq(
				xbar_params_set(params, settings[i][0], settings[i][1], NULL), 0);
		}
		ck_assert_msg(differ > 100, "%s: %s makes no difference", name, settings[i][0]);
		ck_assert(!xbar_physics_is_exact(params, 0, 50000));
		xbar_params_free(params);
	}
}
END_TEST

/* Eight buckets to each doubling; an age is never younger than its bucket or older than the next. */
START_TEST(ages_fall_into_buckets)
{
	struct xbar_params *params =
		rig_params("isaac", "relax_sigma_slope=0.001,relax_start_ms=10");
	struct xbar_params *ageless = rig_params("isaac", "program_sigma=0.1,relax_sigma=0.1");
	uint64_t next, age = 0, state = rig_seed();
	int buckets = 0;

	ck_assert_uint_eq(xbar_physics_age(params, 0, &next), 0);
	ck_assert_uint_eq(next, 10000000);
	for (int i = 0; i < 100000; i++) {
		uint64_t any =
			((uint64_t)draw(&state) << 32 | draw(&state)) >> draw_below(&state, 64);
		uint64_t first = xbar_physics_age(params, any, &next), same;

		ck_assert_uint_le(first, any);
		ck_assert(next > any || next == UINT64_MAX);
		ck_assert_uint_eq(xbar_physics_age(params, first, &same), first);
		ck_assert_uint_eq(same, next);
		if (any >= 10000000)
			ck_assert_double_le((double)any / (double)first, 1.125);
	}
	for (age = 1ull << 40; age < 1ull << 41; age = next, buckets++)
		ck_assert_uint_eq(xbar_physics_age(params, age, &next), age);
	ck_assert_int_eq(buckets, 8);
	ck_assert_uint_eq(xbar_physics_age(ageless, 1ull << 50, &next), 0);
	ck_assert_uint_eq(next, UINT64_MAX);
	xbar_params_free(params);
	xbar_params_free(ageless);
}
END_TEST

/* The level that is nearest; a slice with fewer bits has fewer. */
START_TEST(levels_are_the_nearest)
{
	struct xbar_params *params = rig_params("isaac", "on_off_ratio=5");

	for (uint32_t slice = 0; slice < 4; slice++)
		for (int i = 0; i <= 1500; i++) {
			double g = i / 1000.0;
			uint32_t last = slice == 3 ? 1 : 3, nearest = 0;

			for (uint32_t level = 1; level <= last; level++)
				if (fabs(g - 0.2 - level * 0.8 / 3.0) <
				    fabs(g - 0.2 - nearest * 0.8 / 3.0))
					nearest = level;
			ck_assert_uint_eq(xbar_physics_level(params, slice, g), nearest);
		}
	xbar_params_free(params);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar cells");
	TCase *tests = tcase_create("cells");

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, all_ways_to_ask_give_the_same, 0, 4 * 4);
	tcase_add_loop_test(tests, no_parameter_is_ignored, 0, 8);
	tcase_add_test(tests, ages_fall_into_buckets);
	tcase_add_test(tests, levels_are_the_nearest);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
