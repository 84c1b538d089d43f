// SPDX-License-Identifier: MIT
/*
 * Reading analog cells: every variant against the scalar one, and the noise against its closed forms. Whole jobs are in
 * test_xbar_reads.c.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/kernels.h"
#include "qemu-device/model/maths.h"
#include "qemu-device/model/noise.h"
#include "qemu-device/model/params.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

/* Bounds of statistics, in standard deviations: with fixed seeds, and beyond it once in two million. */
#define CONFIDENCE 5.0

/* A read of random cells by random lines, behind which there is nothing. */
struct trial {
	struct reading reading;
	struct read read;
	uint16_t *cells;
	uint16_t *lines;
};

static void make_reading(struct reading *reading, uint32_t rows, uint64_t *state)
{
	*reading = (struct reading){
		.slices = 1 + draw_below(state, 4),
		.cell_bits = 1 + draw_below(state, 2),
		.after = draw_below(state, 2),
		.shift = draw_below(state, 12),
		.odd = (int32_t)draw_below(state, 2),
		.low = -1 - (int32_t)draw_below(state, 200),
		.high = (int32_t)draw_below(state, 200),
		.ideal = !draw_below(state, 4),
		.noise = draw_below(state, 3),
		.noise_shift = 15 + draw_below(state, 9),
		.cell_sigma = (float)draw_below(state, 1000) / 300.0f,
		.key = { draw(state), draw(state) },
	};
	/* Sums of whole levels, not of any number of bits. */
	if (reading->ideal)
		reading->shift += 4;
	reading->rest = (int32_t)draw_below(state, 1u << reading->shift);
	reading->slice_stride = rows + draw_below(state, 5);
	reading->side_stride = reading->slices * reading->slice_stride;
}

static void make_trial(struct trial *trial, uint64_t *state)
{
	uint32_t rows = 1 + draw_below(state, draw_below(state, 3) ? 140 : 700);
	uint32_t vectors = 1 + draw_below(state, READING_RUN), words = READING_WORDS(rows);
	uint32_t blocks = (vectors + READING_VECTORS - 1) / READING_VECTORS, lines = words;
	size_t cells;

	make_reading(&trial->reading, rows, state);
	lines += trial->reading.noise == READING_OF_LINES;
	cells = 2 * trial->reading.side_stride;
	trial->cells = malloc(cells * sizeof(uint16_t));
	trial->lines = malloc((size_t)blocks * lines * READING_LANES * sizeof(uint16_t));
	for (size_t i = 0; i < cells; i++)
		trial->cells[i] = (uint16_t)draw_below(state, 65536 / rows);
	for (uint32_t i = 0; i < blocks * lines * READING_LANES; i++) {
		uint32_t word = i / READING_LANES % lines, left = rows - word * READING_WORD_ROWS;
		uint32_t v = i / READING_LANES / lines * READING_VECTORS + i % READING_LANES / 8;
		uint32_t bits = draw(state) & 0x7fff;

		if (word < words && left < READING_WORD_ROWS)
			bits &= (1u << left) - 1;
		trial->lines[i] = (uint16_t)(v < vectors ? bits : 0);
	}
	trial->read = (struct read){
		.cells = trial->cells,
		.rows = rows,
		.lines = trial->lines,
		.line_stride = (size_t)lines * READING_LANES,
		.vectors = vectors,
		.vector = draw_below(state, 65536),
		.output = draw_below(state, 16384),
		.group = draw_below(state, 4096),
	};
}

static const struct kernels *variant(uint32_t simd)
{
	const struct kernels *kernels;

	return xbar_kernels_choose(simd, &kernels) ? NULL : kernels;
}

static int32_t total(const int32_t parts[4])
{
	return parts[0] + parts[1] + parts[2] + parts[3];
}

START_TEST(variants_equal_the_scalar_one)
{
	const struct kernels *kernels = variant((uint32_t)_i);
	uint64_t seed = rig_seed(), state = seed;

	for (int round = 0; kernels && round < 600; round++) {
		int32_t want[READING_RUN][4] = { 0 }, got[READING_RUN][4] = { 0 };
		uint64_t want_clips, got_clips;
		struct trial trial;

		make_trial(&trial, &state);
		want_clips = xbar_read_scalar(&trial.reading, &trial.read, want);
		got_clips = kernels->read(&trial.reading, &trial.read, got);
		ck_assert_msg(got_clips == want_clips, "seed %llu, round %d: %llu clips, not %llu",
			      (unsigned long long)seed, round, (unsigned long long)got_clips,
			      (unsigned long long)want_clips);
		for (uint32_t v = 0; v < trial.read.vectors; v++)
			ck_assert_msg(total(got[v]) == total(want[v]),
				      "%s, seed %llu, round %d, vector %u of %u: %d, not %d",
				      kernels->name, (unsigned long long)seed, round, v,
				      trial.read.vectors, total(got[v]), total(want[v]));
		free(trial.cells);
		free(trial.lines);
	}
}
END_TEST

/* The whole distribution of z, from its 2^16 values: the refined ones have that of N(0, 1) beyond their bound. */
START_TEST(values_of_z_are_gaussian)
{
	double bound = 0, worst = 0, distance = 0, variance = 0, fourth = 0, density,
	       p = NOISE_RARE / 65536.0;

	for (uint32_t k = NOISE_RARE; k < 32768; k++) {
		uint64_t tail = ((uint64_t)k << 1 | 1) << 47;
		double z = xbar_noise_magnitude(k) / (double)NOISE_UNIT;

		worst = fmax(worst, fabs(z - xbar_gaussian(tail << 1)));
		distance = fmax(distance, fabs(0.5 * erfc(z * sqrt(0.5)) - (k + 0.5) / 65536.0) +
						  0.5 / 65536.0);
		variance += 2.0 / 65536.0 * z * z;
		fourth += 2.0 / 65536.0 * z * z * z * z;
	}
	bound = xbar_gaussian((uint64_t)NOISE_RARE << 49);
	density = exp(-0.5 * bound * bound) / sqrt(2.0 * acos(-1.0));
	variance += 2.0 * (p + bound * density);
	fourth += 2.0 * (bound * bound * bound * density + 3.0 * (p + bound * density));
	printf("# z: within %.2e, distribution within %.1e, variance 1 %+.1e, fourth moment 3 %+.1e, "
	       "refined from %.4f on\n",
	       worst, distance, variance - 1.0, fourth - 3.0, bound);
	ck_assert(distance < 1e-4);
	ck_assert(worst < 1e-3);
	ck_assert(fabs(variance - 1.0) < 2e-6);
	ck_assert(fabs(fourth - 3.0) < 1e-5);
}
END_TEST

/* What @draw's cycle of a run of vectors draws: the other cycles have no noise, and the sides share one draw. */
static void draw_run(const struct kernels *kernels, const struct draw *draw, const uint32_t key[2],
		     double z[READING_RUN])
{
	static uint16_t lines[READING_RUN / READING_VECTORS][2][READING_LANES];
	static const uint16_t cells[2];
	const struct reading reading = {
		.slices = 1,
		.cell_bits = 1,
		.slice_stride = 1,
		.side_stride = 1,
		.ideal = true,
		.noise = READING_OF_LINES,
		.noise_shift = 13,
		.key = { key[0], key[1] },
	};
	const struct read read = {
		.cells = cells,
		.rows = 1,
		.lines = lines[0][0],
		.line_stride = sizeof(lines[0]) / sizeof(uint16_t),
		.vectors = READING_RUN,
		.vector = draw->vector,
		.output = draw->column / 2,
		.group = draw->group,
	};
	int32_t sums[READING_RUN][4] = { 0 };

	memset(lines, 0, sizeof(lines));
	for (uint32_t v = 0; v < READING_RUN; v++)
		lines[v / 8][1][v % 8 * 8 + draw->cycle] = 32767;
	kernels->read(&reading, &read, sums);
	for (uint32_t v = 0; v < READING_RUN; v++)
		z[v] = (double)total(sums[v]) / 32767.0 /
		       (draw->cycle == 7 ? -128.0 : (double)(1 << draw->cycle));
}

static void check_near(const char *what, double got, double want, double deviation)
{
	ck_assert_msg(fabs(got - want) < CONFIDENCE * deviation,
		      "%s: %.6g, not %.6g within %.1f x %.2g", what, got, want, CONFIDENCE,
		      deviation);
}

START_TEST(moments_and_tails)
{
	/* Steps of 2^-16 and rounding of z would show in the bins of all draws. */
	enum { RUNS = 175000, BINS = 64, BINNED = 10000 };
	const struct kernels *kernels = variant(XBAR_SIMD_AUTO);
	const uint32_t key[2] = { (uint32_t)rig_seed(), 1 };
	const double count = (double)RUNS * READING_RUN, root = sqrt(0.5);
	const double expected_bin = (double)BINNED * READING_RUN / BINS;
	double sums[5] = { 0 }, beyond[6] = { 0 }, bins[BINS] = { 0 }, chi = 0;

	for (uint32_t run = 0; run < RUNS; run++) {
		struct draw draw = { .vector = run % 7 * 1000,
				     .column = run * 2,
				     .group = run % 3,
				     .cycle = run % 8 };
		double z[READING_RUN];

		draw_run(kernels, &draw, key, z);
		for (uint32_t v = 0; v < READING_RUN; v++) {
			double x = z[v];

			for (int power = 1; power < 5; power++)
				sums[power] += pow(x, power);
			for (int sigma = 3; sigma < 6; sigma++)
				beyond[sigma] += fabs(x) > sigma;
			if (run < BINNED)
				bins[(int)fmin(BINS - 1, 0.5 * erfc(-x * root) * BINS)]++;
		}
	}
	check_near("mean", sums[1] / count, 0.0, sqrt(1.0 / count));
	check_near("variance", sums[2] / count, 1.0, sqrt(2.0 / count));
	check_near("third moment", sums[3] / count, 0.0, sqrt(15.0 / count));
	check_near("fourth moment", sums[4] / count, 3.0, sqrt(96.0 / count));
	for (int sigma = 3; sigma < 6; sigma++) {
		double p = erfc(sigma * root), expected = p * count;

		printf("# beyond %d sigma: %.0f of %.0f, expected %.1f\n", sigma, beyond[sigma],
		       count, expected);
		check_near("tail", beyond[sigma], expected, sqrt(expected));
		ck_assert(beyond[sigma] > 0);
	}
	for (int i = 0; i < BINS; i++)
		chi += (bins[i] - expected_bin) * (bins[i] - expected_bin) / expected_bin;
	check_near("chi-square", chi, BINS - 1, sqrt(2.0 * (BINS - 1)));
}
END_TEST

/* Draws next to each other in any part of their name do not know of each other. */
START_TEST(draws_are_independent)
{
	enum { RUNS = 10000 };
	static const char *const names[] = { "vectors", "columns", "groups", "cycles", "keys" };
	const struct kernels *kernels = variant(XBAR_SIMD_AUTO);
	double product = 0, squares = 0, count = (double)RUNS * READING_RUN;

	for (uint32_t run = 0; run < RUNS; run++) {
		struct draw one = { .vector = run % 5 * 96,
				    .column = run * 4,
				    .group = run % 11,
				    .cycle = run % 7 },
			    other = one;
		uint32_t key[2] = { 5, 6 }, other_key[2] = { 5, 6 };
		double a[READING_RUN], b[READING_RUN];

		other.vector += _i == 0;
		other.column += _i == 1 ? 2 : 0;
		other.group += _i == 2;
		other.cycle += _i == 3;
		other_key[0] += _i == 4;
		draw_run(kernels, &one, key, a);
		draw_run(kernels, &other, other_key, b);
		for (uint32_t v = 0; v < READING_RUN; v++) {
			product += a[v] * b[v];
			squares += (a[v] * a[v] - 1.0) * (b[v] * b[v] - 1.0);
		}
	}
	check_near(names[_i], product / count, 0.0, sqrt(1.0 / count));
	check_near(names[_i], squares / count, 0.0, sqrt(4.0 / count));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar noise");
	TCase *tests = tcase_create("noise");

	tcase_set_timeout(tests, 300);
	tcase_add_loop_test(tests, variants_equal_the_scalar_one, XBAR_SIMD_AVX2,
			    XBAR_SIMD_AVX512 + 1);
	tcase_add_test(tests, values_of_z_are_gaussian);
	tcase_add_test(tests, moments_and_tails);
	tcase_add_loop_test(tests, draws_are_independent, 0, 5);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
