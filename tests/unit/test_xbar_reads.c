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
#include "qemu-device/model/maths.h"
#include "qemu-device/model/noise.h"
#include "qemu-device/model/philox.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

static const char *const sets[] = { "scalar", "avx2", "avx512" };

/* Bounds of statistics, in standard deviations: with fixed seeds, and beyond it once in two million. */
#define CONFIDENCE 5.0

static void *need(size_t count, size_t bytes)
{
	void *memory = calloc(count + 1, bytes);

	ck_assert_ptr_nonnull(memory);
	return memory;
}

static const struct kernels *variant(uint32_t simd)
{
	const struct kernels *kernels;

	return xbar_kernels_choose(simd, &kernels) ? NULL : kernels;
}

/* A device with one matrix, and int8 inputs, or, with scales for every row of tiles, floats. */
struct job {
	struct rig rig;
	uint32_t rows;
	uint32_t cols;
	uint32_t count;
	uint32_t matrix;
	bool transpose;
	int8_t *weights;
	int8_t *input;
	float *floats;
	float *scale;
	float *output;
	float *partials;
};

static uint32_t inputs_of(const struct job *job)
{
	return job->transpose ? job->cols : job->rows;
}

static uint32_t outputs_of(const struct job *job)
{
	return job->transpose ? job->rows : job->cols;
}

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static int8_t draw_int8(uint64_t *state, uint32_t largest)
{
	return (int8_t)((int32_t)draw_below(state, 2 * largest + 1) - (int32_t)largest);
}

static void make_data(struct job *job, uint64_t *state)
{
	job->weights = need((size_t)job->rows * job->cols, 1);
	job->input = need((size_t)job->count * inputs_of(job), 1);
	job->output = need((size_t)job->count * outputs_of(job), sizeof(float));
	for (size_t i = 0; i < (size_t)job->rows * job->cols; i++)
		job->weights[i] = draw_int8(state, 127);
	for (size_t i = 0; i < (size_t)job->count * inputs_of(job); i++)
		job->input[i] = draw_int8(state, 127);
}

/* As many scales as there could be rows of tiles, which have four rows or more. */
static void make_scales(struct job *job, uint64_t *state)
{
	size_t scales = (size_t)job->cols * (job->rows + 3) / 4;

	job->floats = need((size_t)job->count * inputs_of(job), sizeof(float));
	job->scale = need(scales + job->cols, sizeof(float));
	for (size_t i = 0; i < (size_t)job->count * inputs_of(job); i++)
		job->floats[i] = draw_float(state);
	for (size_t i = 0; i < scales; i++)
		job->scale[i] = draw_float(state);
}

static void free_data(struct job *job)
{
	free(job->floats);
	free(job->scale);
	free(job->weights);
	free(job->input);
	free(job->output);
	free(job->partials);
}

static void open_job(struct job *job, const char *settings, const char *simd)
{
	rig_open(&job->rig, "isaac", settings);
	ck_assert_int_eq(xbar_params_set(job->rig.params, "simd", simd, NULL), 0);
	ck_assert_int_eq(rig_attach(&job->rig), 0);
	job->matrix = rig_matrix(&job->rig, job->rows, job->cols, job->weights);
}

/* Runs @commands times the same MVM as job @number; the last one's results are in job->output. */
static void run_job(struct job *job, uint64_t number, uint32_t commands)
{
	uint64_t outputs = outputs_of(job);
	void *memory[] = { job->scale ? (void *)job->floats : job->input, job->output,
			   job->scale ? job->scale : job->partials };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE |
			 (job->transpose ? LF_MVM_TRANSPOSE : 0),
		.matrix = job->matrix,
		.count = job->count,
		.fixed_scale = bits_of(1.0f),
		.input = { .space = LF_SPACE_BUFFER, .stride = inputs_of(job) },
		.output = { .space = LF_SPACE_BUFFER,
			    .buffer = 1,
			    .stride = (uint32_t)outputs * 4 },
	};
	struct lf_command list[4];
	uint32_t groups = (job->rows + job->rig.params->tile_rows - 1) / job->rig.params->tile_rows;
	uint64_t bytes[] = { (uint64_t)job->count * inputs_of(job), job->count * outputs * 4,
			     (uint64_t)job->count * groups * outputs * 4 };
	struct xbar_request request = {
		.commands = list,
		.command_count = commands,
		.buffer_bytes = bytes,
		.buffer_count = job->partials || job->scale ? 3 : 2,
		.scratch_bytes = (uint32_t)bytes[1],
		.job_number = number,
	};
	struct xbar_transfer *transfers;
	struct xbar_job *opened;
	uint32_t count;

	if (job->scale) {
		command.flags = LF_MVM_TILE_SCALE | (job->transpose ? LF_MVM_TRANSPOSE : 0);
		command.fixed_scale = 0;
		command.input.stride *= sizeof(float);
		command.scale = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 2 };
		bytes[0] *= sizeof(float);
		bytes[2] = (uint64_t)groups * job->cols * 4;
	}
	for (uint32_t i = 0; i < commands; i++) {
		list[i] = command;
		if (i + 1 < commands)
			list[i].output.space = LF_SPACE_SCRATCH;
		else if (job->partials)
			list[i].partials =
				(struct lf_operand){ .space = LF_SPACE_BUFFER,
						     .buffer = 2,
						     .stride = groups * (uint32_t)outputs * 4 };
		if (list[i].output.space == LF_SPACE_SCRATCH)
			list[i].output.buffer = 0;
	}
	ck_assert_int_eq(xbar_job_open(job->rig.xbar, &request, &job->rig.completion, &opened), 0);
	transfers = xbar_job_transfers(opened, &count);
	for (uint32_t i = 0; i < count; i++) {
		transfers[i].memory = (char *)memory[transfers[i].buffer] + transfers[i].offset;
		transfers[i].memory_stride = transfers[i].stride;
	}
	xbar_job_run(opened, &job->rig.completion);
	xbar_job_close(opened);
	ck_assert_uint_eq(job->rig.completion.status, LF_STATUS_OK);
}

/* --- The direct reference --- */

struct reference {
	const struct job *job;
	const struct xbar *xbar;
	const struct matrix *matrix;
	const struct analog *analog;
	uint32_t key[2];
	uint64_t clips;
};

static void start_reference(struct reference *reference, const struct job *job, uint64_t number,
			    uint32_t command)
{
	struct xbar *xbar = job->rig.xbar;
	uint64_t seed = xbar->params.seed;
	const uint32_t seed_key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
	uint32_t block[4] = { (uint32_t)number, (uint32_t)(number >> 32), command, 0x52454144 };

	xbar_philox(block, seed_key, block);
	*reference = (struct reference){ .job = job, .xbar = xbar };
	reference->matrix = xbar_directory_find(xbar, job->matrix);
	reference->analog = xbar_analog_get(xbar, (struct matrix *)reference->matrix);
	ck_assert_ptr_nonnull(reference->analog);
	memcpy(reference->key, block, sizeof(reference->key));
}

/* Conductance of the cell of one weight of the matrix, in units of the plane. */
static double cell_at(const struct reference *reference, uint32_t row, uint32_t col, uint32_t slice,
		      uint32_t side)
{
	const struct xbar *xbar = reference->xbar;
	size_t tile = (size_t)(row / xbar->params.tile_rows) * reference->matrix->tile_cols +
		      col / xbar->tile_weights;
	size_t column = ((tile * 2 + side) * xbar->slices + slice) * xbar->tile_weights +
			col % xbar->tile_weights;

	return rig_conductance(reference->analog, column, row % xbar->params.tile_rows);
}

/* sigma as hardware that stores it with 15 bits would have it: a whole number of 2^-shift units, and the shift. */
static double sigma_of(const struct reference *reference, uint32_t group, uint32_t driven,
		       double squares_positive, double squares_negative, bool after, int *shift)
{
	const struct xbar_params *params = &reference->xbar->params;
	double ratio = params->on_off_ratio == XBAR_INFINITE ? INFINITY
							     : (double)params->on_off_ratio / 1e6;
	double unit = ldexp(((1 << params->cell_bits) - 1) / (1.0 - 1.0 / ratio),
			    (int)reference->analog->fraction);
	double noise = (double)params->read_noise / 1e6, sides = after ? 1 : 2, most;

	most = params->read_noise_of == XBAR_READ_NOISE_RANGE ? noise * unit * sqrt(sides * group)
							      : noise * sqrt(sides) * 65536.0;
	for (*shift = 17; ldexp(most, *shift) > 32767.0; --*shift)
		;
	if (params->read_noise_of == XBAR_READ_NOISE_RANGE)
		return floor(ldexp(noise * unit, *shift) * sqrt(sides * driven) + 0.5);
	return nearbyintf(sqrtf((float)squares_positive + (float)squares_negative) *
			  (float)ldexp(noise, *shift));
}

static double noise_of(const struct reference *reference, const struct draw *draw, double sigma,
		       int shift)
{
	const uint32_t counter[4] = { draw->vector, draw->column, draw->group, 0 };
	uint32_t block[4], bits;
	double z;

	xbar_philox(counter, reference->key, block);
	bits = block[draw->cycle / 2] >> 16 * (draw->cycle % 2) & 0xffff;
	if ((bits & 0x7fff) < 8) {
		const uint32_t more[4] = { draw->vector, draw->column, draw->group,
					   1 + draw->cycle / 2 };
		uint64_t tail;

		xbar_philox(more, reference->key, block);
		tail = (uint64_t)(bits & 0x7fff) << 48 |
		       (uint64_t)(block[draw->cycle % 2 * 2 + 1] & 0xffff) << 32 |
		       block[draw->cycle % 2 * 2];
		z = nearbyint(xbar_gaussian(tail << 1) * 8192.0);
	} else {
		z = xbar_noise_magnitude(bits & 0x7fff);
	}
	return floor(ldexp(bits >> 15 ? -z * sigma : z * sigma, -13 - shift) + 0.5);
}

/* Of a sum in units, in levels. */
static double convert(struct reference *reference, double sum)
{
	const struct xbar_params *params = &reference->xbar->params;
	double levels = ldexp(sum, -(int)reference->analog->fraction), code, top, step, offset;

	if (params->adc_bits == XBAR_ADC_IDEAL)
		return nearbyint(levels);
	step = xbar_matrix_adc_step(reference->xbar, reference->matrix);
	offset = xbar_params_offset(params, (uint32_t)step);
	top = ldexp(1.0, (int)params->adc_bits) - 1.0;
	code = nearbyint((levels - offset) / step);
	if (code < 0 || code > top) {
		reference->clips++;
		code = code < 0 ? 0 : top;
	}
	return offset + code * step;
}

/* What the converters give for one slice, group and bit-cycle of an output. */
static double read_cycle(struct reference *reference, const int8_t *q, uint32_t output,
			 uint32_t slice, struct draw draw)
{
	const struct job *job = reference->job;
	const struct xbar *xbar = reference->xbar;
	const struct xbar_params *params = &xbar->params;
	bool after = params->adc_subtract == XBAR_SUBTRACT_AFTER;
	uint32_t size = job->transpose ? xbar->tile_weights : params->tile_rows, driven = 0;
	uint32_t inputs = inputs_of(job);
	double sums[2] = { 0 }, squares[2] = { 0 }, value = 0;

	for (uint32_t k = draw.group * size; k < inputs && k < (draw.group + 1) * size; k++) {
		if (!((uint8_t)q[k] >> draw.cycle & 1))
			continue;
		driven++;
		for (uint32_t side = 0; side < 2; side++) {
			double cell = job->transpose ? cell_at(reference, output, k, slice, side)
						     : cell_at(reference, k, output, slice, side);

			sums[side] += cell;
			squares[side] += cell * cell;
		}
	}
	for (uint32_t side = 0; side < (after ? 2 : 1); side++) {
		double sum = after ? sums[side] : sums[0] - sums[1];

		draw.column = (output * xbar->slices + slice) * 2 + side;
		if (params->read_noise) {
			int shift;
			double sigma = sigma_of(reference, size, driven, squares[side],
						after ? 0.0 : squares[1], after, &shift);

			sum += noise_of(reference, &draw, sigma, shift);
		}
		value += (side ? -1.0 : 1.0) * convert(reference, sum);
	}
	return value;
}

/* The result of one vector and output over one group. */
static double read_group(struct reference *reference, uint32_t v, uint32_t output, uint32_t group)
{
	const struct job *job = reference->job;
	double value = 0;

	for (uint32_t slice = 0; slice < reference->xbar->slices; slice++)
		for (uint32_t cycle = 0; cycle < 8; cycle++) {
			struct draw draw = { .vector = v, .group = group, .cycle = cycle };
			double weight = cycle == 7 ? -128.0 : ldexp(1.0, (int)cycle);

			value += ldexp(weight, (int)(slice * reference->xbar->params.cell_bits)) *
				 read_cycle(reference, job->input + (size_t)v * inputs_of(job),
					    output, slice, draw);
		}
	return value;
}

static uint32_t groups_of(const struct job *job)
{
	uint32_t size = job->transpose ? job->rig.xbar->tile_weights : job->rig.params->tile_rows;

	return (inputs_of(job) + size - 1) / size;
}

static double reference_output(struct reference *reference, uint32_t v, uint32_t output)
{
	double value = 0;

	for (uint32_t group = 0; group < groups_of(reference->job); group++)
		value += read_group(reference, v, output, group);
	return value;
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
	make_data(&job, &state);
	for (size_t set = 0; set < sizeof(sets) / sizeof(sets[0]); set++) {
		struct reference reference;

		if (!variant(XBAR_SIMD_SCALAR + (uint32_t)set))
			continue;
		open_job(&job, settings, sets[set]);
		job.rig.threads = (uint32_t)set + 1;
		if (!job.transpose && _i % 2 && !job.partials)
			job.partials =
				need((size_t)job.count * groups_of(&job) * job.cols, sizeof(float));
		run_job(&job, number, 1 + (uint32_t)_i % 3);
		start_reference(&reference, &job, number, (uint32_t)_i % 3);
		for (uint32_t v = 0; v < job.count; v++)
			for (uint32_t c = 0; c < outputs_of(&job); c++) {
				size_t at = (size_t)v * outputs_of(&job) + c;
				double sum = 0;

				for (uint32_t group = 0; group < groups_of(&job); group++) {
					double part = read_group(&reference, v, c, group);
					size_t place = ((size_t)v * groups_of(&job) + group) *
							       outputs_of(&job) +
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
	free_data(&job);
}
END_TEST

/* A batch that is cut into runs, because their lines do not fit the workspace, and the first vectors of it alone. */
START_TEST(cuts_of_the_batch_do_not_show)
{
	struct job job = { .rows = 16384, .cols = 4, .count = 300 };
	struct reference reference;
	uint64_t state = rig_seed();
	float first[5 * 4];

	make_data(&job, &state);
	open_job(&job, "tiles=4096,tile_rows=4,tile_cols=32,adc_bits=3,read_noise=0.05", "auto");
	job.rig.threads = 4;
	run_job(&job, 7, 1);
	start_reference(&reference, &job, 7, 0);
	for (uint32_t v = 0; v < job.count; v += 13)
		ck_assert_float_eq(job.output[v * 4 + v % 4],
				   (float)reference_output(&reference, v, v % 4));
	memcpy(first, job.output, sizeof(first));
	job.rig.threads = 1;
	job.count = 5;
	run_job(&job, 7, 1);
	ck_assert_mem_eq(first, job.output, sizeof(first));
	rig_close(&job.rig);
	free_data(&job);
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
	make_data(&job, &state);
	if (_i % 3 == 0)
		make_scales(&job, &state);
	open_job(&job, settings[0], "auto");
	ck_assert_int_ne(xbar_analog_needed(job.rig.xbar), true);
	run_job(&job, 1, 1);
	clips = job.rig.completion.clips;
	want = job.output;
	job.output = need((size_t)job.count * outputs_of(&job), sizeof(float));
	rig_close(&job.rig);
	open_job(&job, settings[1], "auto");
	ck_assert(xbar_analog_needed(job.rig.xbar));
	run_job(&job, 1, 1);
	ck_assert_msg(
		!memcmp(want, job.output, (size_t)job.count * outputs_of(&job) * sizeof(float)),
		"seed %llu, %s: other results", (unsigned long long)seed, settings[0]);
	ck_assert_uint_eq(job.rig.completion.clips, clips);
	rig_close(&job.rig);
	free(want);
	free_data(&job);
}
END_TEST

START_TEST(draws_have_names)
{
	struct job job = { .rows = 128, .cols = 16, .count = 40 };
	uint64_t state = rig_seed();
	size_t bytes = (size_t)40 * 16 * sizeof(float);
	float *first = need(40 * 16, sizeof(float));

	make_data(&job, &state);
	open_job(&job, "adc_bits=6,read_noise=0.02", "auto");
	run_job(&job, 1, 1);
	memcpy(first, job.output, bytes);
	run_job(&job, 1, 1);
	ck_assert_mem_eq(first, job.output, bytes);
	/* Another command, another job, a job whose number differs above the lowest 32 bits, another seed. */
	run_job(&job, 1, 2);
	ck_assert_mem_ne(first, job.output, bytes);
	run_job(&job, 2, 1);
	ck_assert_mem_ne(first, job.output, bytes);
	run_job(&job, 1 | 1ull << 32, 1);
	ck_assert_mem_ne(first, job.output, bytes);
	rig_close(&job.rig);
	open_job(&job, "adc_bits=6,read_noise=0.02,seed=4294967296", "auto");
	run_job(&job, 1, 1);
	ck_assert_mem_ne(first, job.output, bytes);
	rig_close(&job.rig);
	free(first);
	free_data(&job);
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
						double g =
							cell_at(reference, k, output, slice, side) /
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
	double *quiet = need(outputs, sizeof(double)), *first = need(outputs, sizeof(double));
	double squares = 0, mean = 0, jobs = 0, commands = 0;
	struct reference reference;
	uint64_t state = rig_seed();

	make_data(&job, &state);
	open_job(&job, settings[_i], "auto");
	start_reference(&reference, &job, 1, 0);
	/* What the plane gives without noise, before any rounding. */
	for (size_t i = 0; i < outputs; i++)
		for (uint32_t k = 0; k < job.rows; k++)
			for (uint32_t slice = 0; slice < 4; slice++)
				quiet[i] +=
					job.input[i / job.cols * job.rows + k] *
					ldexp(cell_at(&reference, k, i % job.cols, slice, 0) -
						      cell_at(&reference, k, i % job.cols, slice,
							      1),
					      (int)(2 * slice) - (int)reference.analog->fraction);
	run_job(&job, 1, 1);
	for (size_t i = 0; i < outputs; i++) {
		double deviation = sqrt(variance_of(&reference, (uint32_t)(i / job.cols),
						    (uint32_t)(i % job.cols)));

		first[i] = (job.output[i] - quiet[i]) / deviation;
		mean += first[i];
		squares += first[i] * first[i];
	}
	check_near("mean", mean / (double)outputs, 0.0, sqrt(1.0 / (double)outputs));
	check_near("variance", squares / (double)outputs, 1.0, sqrt(2.0 / (double)outputs));
	run_job(&job, 2, 1);
	for (size_t i = 0; i < outputs; i++)
		jobs += first[i] * (job.output[i] - quiet[i]) /
			sqrt(variance_of(&reference, (uint32_t)(i / job.cols),
					 (uint32_t)(i % job.cols)));
	run_job(&job, 1, 2);
	for (size_t i = 0; i < outputs; i++)
		commands += first[i] * (job.output[i] - quiet[i]) /
			    sqrt(variance_of(&reference, (uint32_t)(i / job.cols),
					     (uint32_t)(i % job.cols)));
	check_near("jobs", jobs / (double)outputs, 0.0, sqrt(1.0 / (double)outputs));
	check_near("commands", commands / (double)outputs, 0.0, sqrt(1.0 / (double)outputs));
	rig_close(&job.rig);
	free(quiet);
	free(first);
	free_data(&job);
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
