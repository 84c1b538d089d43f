// SPDX-License-Identifier: MIT
/* Jobs on analog cells and their direct reference; see reads_fixture.h. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/analog.h"
#include "qemu-device/model/maths.h"
#include "qemu-device/model/noise.h"
#include "qemu-device/model/philox.h"
#include "tests/unit/reads_fixture.h"

void *reads_need(size_t count, size_t bytes)
{
	void *memory = calloc(count + 1, bytes);

	ck_assert_ptr_nonnull(memory);
	return memory;
}

static uint32_t inputs_of(const struct job *job)
{
	return job->transpose ? job->cols : job->rows;
}

uint32_t reads_outputs(const struct job *job)
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

void reads_make_data(struct job *job, uint64_t *state)
{
	job->weights = reads_need((size_t)job->rows * job->cols, 1);
	job->input = reads_need((size_t)job->count * inputs_of(job), 1);
	job->output = reads_need((size_t)job->count * reads_outputs(job), sizeof(float));
	for (size_t i = 0; i < (size_t)job->rows * job->cols; i++)
		job->weights[i] = draw_int8(state, 127);
	for (size_t i = 0; i < (size_t)job->count * inputs_of(job); i++)
		job->input[i] = draw_int8(state, 127);
}

/* As many scales as there could be rows of tiles, which have four rows or more. */
void reads_make_scales(struct job *job, uint64_t *state)
{
	size_t scales = (size_t)job->cols * (job->rows + 3) / 4;

	job->floats = reads_need((size_t)job->count * inputs_of(job), sizeof(float));
	job->scale = reads_need(scales + job->cols, sizeof(float));
	for (size_t i = 0; i < (size_t)job->count * inputs_of(job); i++)
		job->floats[i] = draw_float(state);
	for (size_t i = 0; i < scales; i++)
		job->scale[i] = draw_float(state);
}

void reads_free_data(struct job *job)
{
	free(job->floats);
	free(job->scale);
	free(job->weights);
	free(job->input);
	free(job->output);
	free(job->partials);
}

void reads_open(struct job *job, const char *settings, const char *simd)
{
	rig_open(&job->rig, "isaac", settings);
	ck_assert_int_eq(xbar_params_set(job->rig.params, "simd", simd, NULL), 0);
	ck_assert_int_eq(rig_attach(&job->rig), 0);
	job->matrix = rig_matrix(&job->rig, job->rows, job->cols, job->weights);
}

/* Runs @commands times the same MVM as job @number; the last one's results are in job->output. */
void reads_run(struct job *job, uint64_t number, uint32_t commands)
{
	uint64_t outputs = reads_outputs(job);
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

void reads_reference_start(struct reference *reference, const struct job *job, uint64_t number,
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
double reads_cell(const struct reference *reference, uint32_t row, uint32_t col, uint32_t slice,
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
			double cell = job->transpose
					      ? reads_cell(reference, output, k, slice, side)
					      : reads_cell(reference, k, output, slice, side);

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
double reads_group(struct reference *reference, uint32_t v, uint32_t output, uint32_t group)
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

uint32_t reads_groups(const struct job *job)
{
	uint32_t size = job->transpose ? job->rig.xbar->tile_weights : job->rig.params->tile_rows;

	return (inputs_of(job) + size - 1) / size;
}

double reads_reference_output(struct reference *reference, uint32_t v, uint32_t output)
{
	double value = 0;

	for (uint32_t group = 0; group < reads_groups(reference->job); group++)
		value += reads_group(reference, v, output, group);
	return value;
}
