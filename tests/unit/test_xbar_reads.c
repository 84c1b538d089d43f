// SPDX-License-Identifier: MIT
/*
 * Products of analog cells: jobs against a direct reference to the bit, exact cells against the lossy path, the names of draws, and
 * the noise of results against the formula.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/analog.h"
#include "tests/unit/reads_fixture.h"
#include "tests/unit/suite.h"

static const char *const sets[] = { "scalar", "avx2", "avx512" };

/* Bounds of statistics, in standard deviations: with fixed seeds, and beyond it once in two million. */
#define CONFIDENCE 5.0

static const struct kernels *variant(uint32_t simd)
{
	const struct kernels *kernels;

	return xbar_kernels_choose(simd, &kernels) ? NULL : kernels;
}

static void random_settings(char *settings, uint64_t *state)
{
	bool ideal = !draw_below(state, 4);
	uint32_t cell_bits = 1 + draw_below(state, ideal ? 7 : 4);
	uint32_t slices = (7 + cell_bits - 1) / cell_bits;
	uint32_t tile_rows = 4 * (1 + draw_below(state, draw_below(state, 2) ? 40 : 8));
	uint32_t tile_cols = 2 * slices * (4 + draw_below(state, 40)), adc_bits;
	bool after = draw_below(state, 2);

	sprintf(settings,
		"tiles=4096,tile_rows=%u,tile_cols=%u,cell_bits=%u,adc_subtract=%s,seed=%u",
		tile_rows, tile_cols, cell_bits, after ? "after" : "before", draw(state) >> 1);
	adc_bits = ideal ? 0 : 4 + draw_below(state, 7);
	if (adc_bits) {
		uint32_t step = 1u << draw_below(state, 3);

		sprintf(settings + strlen(settings), ",adc_bits=%u,adc_step=%u", adc_bits, step);
		if (!draw_below(state, 3))
			sprintf(settings + strlen(settings), ",adc_offset=-%u",
				draw_below(state, 1 + step * 8));
	} else {
		strcat(settings, ",adc_bits=ideal");
	}
	sprintf(settings + strlen(settings), ",on_off_ratio=%s",
		draw_below(state, 2) ? "infinite" : "8.5");
	sprintf(settings + strlen(settings), ",program_sigma=%s,stuck_on=%s",
		draw_below(state, 2) ? "0" : "0.03", draw_below(state, 3) ? "0" : "0.01");
	sprintf(settings + strlen(settings), ",read_noise=%s,read_noise_of=%s",
		draw_below(state, 4) ? draw_below(state, 3) ? "0.02" : "1" : "0.0001",
		draw_below(state, 2) ? "range" : "conductance");
}

START_TEST(jobs_equal_the_reference)
{
	uint64_t seed = rig_seed() + (uint64_t)_i, state = seed, number;
	struct job job = { .rows = 1 + draw_below(&state, 150),
			   .cols = 1 + draw_below(&state, 70),
			   .count = 1 + draw_below(&state, 20),
			   .transpose = draw_below(&state, 2) };
	char settings[256];

	number = (uint64_t)draw(&state) << 32 | draw(&state);
	random_settings(settings, &state);
	reads_make_data(&job, &state);
	for (size_t set = 0; set < sizeof(sets) / sizeof(sets[0]); set++) {
		struct reference reference;

		if (!variant(XBAR_SIMD_SCALAR + (uint32_t)set))
			continue;
		reads_open(&job, settings, sets[set]);
		job.rig.threads = (uint32_t)set + 1;
		if (!job.transpose && _i % 2 && !job.partials)
			job.partials = reads_need((size_t)job.count * reads_groups(&job) * job.cols,
						  sizeof(float));
		reads_run(&job, number, 1 + (uint32_t)_i % 3);
		reads_reference_start(&reference, &job, number, (uint32_t)_i % 3);
		for (uint32_t v = 0; v < job.count; v++)
			for (uint32_t c = 0; c < reads_outputs(&job); c++) {
				size_t at = (size_t)v * reads_outputs(&job) + c;
				double sum = 0;

				for (uint32_t group = 0; group < reads_groups(&job); group++) {
					double part = reads_group(&reference, v, c, group);
					size_t place = ((size_t)v * reads_groups(&job) + group) *
							       reads_outputs(&job) +
						       c;

					sum += part;
					ck_assert_msg(
						!job.partials || job.partials[place] == (float)part,
						"seed %llu, %s, %s: partial sum %zu is %g, not %g",
						(unsigned long long)seed, settings, sets[set],
						place, (double)job.partials[place], part);
				}
				ck_assert_msg(
					job.output[at] == (float)sum,
					"seed %llu, %s, %s, %ux%u%s: output %zu is %g, not %g",
					(unsigned long long)seed, settings, sets[set], job.rows,
					job.cols, job.transpose ? " transpose" : "", at,
					(double)job.output[at], sum);
			}
		if (_i % 3 == 0)
			ck_assert_uint_eq(job.rig.completion.clips, reference.clips);
		rig_close(&job.rig);
	}
	reads_free_data(&job);
}
END_TEST

/* A batch that is cut into runs, because their lines do not fit the workspace, and the first vectors of it alone. */
START_TEST(cuts_of_the_batch_do_not_show)
{
	struct job job = { .rows = 16384, .cols = 4, .count = 300 };
	struct reference reference;
	uint64_t state = rig_seed();
	float first[5 * 4];

	reads_make_data(&job, &state);
	reads_open(&job, "tiles=4096,tile_rows=4,tile_cols=32,adc_bits=3,read_noise=0.05", "auto");
	job.rig.threads = 4;
	reads_run(&job, 7, 1);
	reads_reference_start(&reference, &job, 7, 0);
	for (uint32_t v = 0; v < job.count; v += 13)
		ck_assert_float_eq(job.output[v * 4 + v % 4],
				   (float)reads_reference_output(&reference, v, v % 4));
	memcpy(first, job.output, sizeof(first));
	job.rig.threads = 1;
	job.count = 5;
	reads_run(&job, 7, 1);
	ck_assert_mem_eq(first, job.output, sizeof(first));
	rig_close(&job.rig);
	reads_free_data(&job);
}
END_TEST

/* Cells that could wear but have not are exact, and yet read one by one: the results of the lossy or the exact path. */
START_TEST(exact_cells_give_the_lossy_path)
{
	uint64_t seed = rig_seed() + (uint64_t)_i, state = seed;
	struct job job = { .rows = 1 + draw_below(&state, 300),
			   .cols = 1 + draw_below(&state, 100),
			   .count = 1 + draw_below(&state, 120),
			   .transpose = draw_below(&state, 2) };
	char settings[2][320], *end;
	float *want;
	uint64_t clips;

	random_settings(settings[0], &state);
	end = strstr(settings[0], ",on_off_ratio");
	*end = '\0';
	sprintf(settings[1], "%s,endurance=4000000000", settings[0]);
	reads_make_data(&job, &state);
	if (_i % 3 == 0)
		reads_make_scales(&job, &state);
	reads_open(&job, settings[0], "auto");
	ck_assert_int_ne(xbar_analog_needed(job.rig.xbar), true);
	reads_run(&job, 1, 1);
	clips = job.rig.completion.clips;
	want = job.output;
	job.output = reads_need((size_t)job.count * reads_outputs(&job), sizeof(float));
	rig_close(&job.rig);
	reads_open(&job, settings[1], "auto");
	ck_assert(xbar_analog_needed(job.rig.xbar));
	reads_run(&job, 1, 1);
	ck_assert_msg(
		!memcmp(want, job.output, (size_t)job.count * reads_outputs(&job) * sizeof(float)),
		"seed %llu, %s: other results", (unsigned long long)seed, settings[0]);
	ck_assert_uint_eq(job.rig.completion.clips, clips);
	rig_close(&job.rig);
	free(want);
	reads_free_data(&job);
}
END_TEST

START_TEST(draws_have_names)
{
	struct job job = { .rows = 128, .cols = 16, .count = 40 };
	uint64_t state = rig_seed();
	size_t bytes = (size_t)40 * 16 * sizeof(float);
	float *first = reads_need(40 * 16, sizeof(float));

	reads_make_data(&job, &state);
	reads_open(&job, "adc_bits=6,read_noise=0.02", "auto");
	reads_run(&job, 1, 1);
	memcpy(first, job.output, bytes);
	reads_run(&job, 1, 1);
	ck_assert_mem_eq(first, job.output, bytes);
	/* Another command, another job, a job whose number differs above the lowest 32 bits, another seed. */
	reads_run(&job, 1, 2);
	ck_assert_mem_ne(first, job.output, bytes);
	reads_run(&job, 2, 1);
	ck_assert_mem_ne(first, job.output, bytes);
	reads_run(&job, 1 | 1ull << 32, 1);
	ck_assert_mem_ne(first, job.output, bytes);
	rig_close(&job.rig);
	reads_open(&job, "adc_bits=6,read_noise=0.02,seed=4294967296", "auto");
	reads_run(&job, 1, 1);
	ck_assert_mem_ne(first, job.output, bytes);
	rig_close(&job.rig);
	free(first);
	reads_free_data(&job);
}
END_TEST

static void check_near(const char *what, double got, double want, double deviation)
{
	ck_assert_msg(fabs(got - want) < CONFIDENCE * deviation,
		      "%s: %.6g, not %.6g within %.1f x %.2g", what, got, want, CONFIDENCE,
		      deviation);
}

/* Variance of an output by the closed form: the weights of slices, sides and cycles, and what rounding to levels adds. */
static double variance_of(struct reference *reference, uint32_t v, uint32_t output)
{
	const struct job *job = reference->job;
	const struct xbar *xbar = reference->xbar;
	const struct xbar_params *params = &xbar->params;
	double noise = (double)params->read_noise / 1e6, variance = 0;
	double level = ldexp(1.0, (int)reference->analog->fraction);

	for (uint32_t slice = 0; slice < xbar->slices; slice++)
		for (uint32_t cycle = 0; cycle < 8; cycle++) {
			double weight = ldexp(1.0, (int)(2 * (cycle + slice * params->cell_bits)));
			double cells = 0;

			for (uint32_t k = 0; k < job->rows; k++)
				if ((uint8_t)job->input[v * job->rows + k] >> cycle & 1)
					for (uint32_t side = 0; side < 2; side++) {
						double g = reads_cell(reference, k, output, slice,
								      side) /
							   level;

						cells += params->read_noise_of ==
									 XBAR_READ_NOISE_RANGE
								 ? 9.0
								 : g * g;
					}
			variance += weight * (noise * noise * cells + 2.0 / 12.0);
		}
	return variance;
}

/* The noise of whole results, by job and by command, against the formula and against each other. */
START_TEST(results_have_the_noise_of_the_formula)
{
	static const char *const settings[] = {
		"adc_bits=ideal,read_noise=0.1",
		"adc_bits=ideal,read_noise=0.3,read_noise_of=conductance,program_sigma=0.02",
	};
	struct job job = { .rows = 128, .cols = 16, .count = 1500 };
	size_t outputs = (size_t)job.count * job.cols;
	double *quiet = reads_need(outputs, sizeof(double)),
	       *first = reads_need(outputs, sizeof(double));
	double squares = 0, mean = 0, jobs = 0, commands = 0;
	struct reference reference;
	uint64_t state = rig_seed();

	reads_make_data(&job, &state);
	reads_open(&job, settings[_i], "auto");
	reads_reference_start(&reference, &job, 1, 0);
	/* What the plane gives without noise, before any rounding. */
	for (size_t i = 0; i < outputs; i++)
		for (uint32_t k = 0; k < job.rows; k++)
			for (uint32_t slice = 0; slice < 4; slice++)
				quiet[i] +=
					job.input[i / job.cols * job.rows + k] *
					ldexp(reads_cell(&reference, k, i % job.cols, slice, 0) -
						      reads_cell(&reference, k, i % job.cols, slice,
								 1),
					      (int)(2 * slice) - (int)reference.analog->fraction);
	reads_run(&job, 1, 1);
	for (size_t i = 0; i < outputs; i++) {
		double deviation = sqrt(variance_of(&reference, (uint32_t)(i / job.cols),
						    (uint32_t)(i % job.cols)));

		first[i] = (job.output[i] - quiet[i]) / deviation;
		mean += first[i];
		squares += first[i] * first[i];
	}
	check_near("mean", mean / (double)outputs, 0.0, sqrt(1.0 / (double)outputs));
	check_near("variance", squares / (double)outputs, 1.0, sqrt(2.0 / (double)outputs));
	reads_run(&job, 2, 1);
	for (size_t i = 0; i < outputs; i++)
		jobs += first[i] * (job.output[i] - quiet[i]) /
			sqrt(variance_of(&reference, (uint32_t)(i / job.cols),
					 (uint32_t)(i % job.cols)));
	reads_run(&job, 1, 2);
	for (size_t i = 0; i < outputs; i++)
		commands += first[i] * (job.output[i] - quiet[i]) /
			    sqrt(variance_of(&reference, (uint32_t)(i / job.cols),
					     (uint32_t)(i % job.cols)));
	check_near("jobs", jobs / (double)outputs, 0.0, sqrt(1.0 / (double)outputs));
	check_near("commands", commands / (double)outputs, 0.0, sqrt(1.0 / (double)outputs));
	rig_close(&job.rig);
	free(quiet);
	free(first);
	reads_free_data(&job);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar reads");
	TCase *tests = tcase_create("reads");

	tcase_set_timeout(tests, 300);
	tcase_add_loop_test(tests, jobs_equal_the_reference, 0, 60);
	tcase_add_test(tests, cuts_of_the_batch_do_not_show);
	tcase_add_loop_test(tests, exact_cells_give_the_lossy_path, 0, 60);
	tcase_add_test(tests, draws_have_names);
	tcase_add_loop_test(tests, results_have_the_noise_of_the_formula, 0, 2);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
