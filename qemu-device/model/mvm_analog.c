// SPDX-License-Identifier: MIT
/*
 * Products conversion by conversion, of what the cells of an analog plane conduct.
 *
 * For each vector, bit-cycle (8 of them, signed bit-serial: the top one counts negative), column of cells (a slice of an output, and
 * a side of it unless the sides are subtracted before conversion) and group of inputs (the rows of a tile, in transpose its columns
 * of weights), all in units of 2^-fraction of a level and exact:
 *
 * - sum: of the conductances of the driven cells; before conversion, those of the positive side less those of the negative.
 * - read noise: n = round(z * sigma), one z of N(0, 1) a conversion, see noise.h. Noises of cells are independent, so sigma is
 *   exactly s * sqrt(driven cells) with s = read_noise * Gmax, or read_noise * sqrt(sum of their g^2); of both sides together when
 *   they are subtracted before conversion. It is kept to 15 bits of its largest value.
 * - conversion: code = clamp(round_half_even((sum + n - offset) / step)), what clips is counted, and the value is offset + code *
 *   step, as on the lossy path. An ideal converter (adc_bits=ideal) rounds to the nearest whole level and never clips: results are
 *   whole numbers of levels, so what it leaves of an error is what crosses half a level.
 *
 * Values are weighted by slice, side and bit-cycle and summed as integers. Draws are functions of the seed, job number, command,
 * vector of the command, column of cells, group and bit-cycle alone.
 */
#include <string.h>

#include "maths.h"
#include "mvm.h"
#include "noise.h"
#include "packed.h"
#include "philox.h"

/* Bit-cycles of an input. */
#define CYCLES	   8

/* Last word of the counter that gives the key of a command: among the streams of the seed, that of reads. */
#define STREAM	   0x52454144u

/* A sigma has 15 bits; z is in units of 2^-13. */
#define SIGMA_MOST 32767
#define Z_BITS	   13

/* Bits, and so most slices, of a weight's magnitude. */
#define SLICES_MAX 7

/* Most cells of an output and group: all rows of a tile in each slice of both sides, in transpose all columns of cells, twice for pairs in rows. */
#define GATHERED   (2 * SLICES_MAX * KERNEL_GROUP)

_Static_assert(GATHERED >= 2 * KERNEL_INPUTS, "a tile has no more than that in a row of weights");
_Static_assert(MVM_ROWS <= READING_RUN && MVM_ROWS % READING_VECTORS == 0 &&
		       KERNEL_VECTORS == READING_VECTORS,
	       "a product of the analog path is one read an output and group");

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* Inputs of a group: the last may have fewer. */
static uint32_t group_inputs(const struct mvm *mvm, uint32_t group)
{
	return least(mvm->route->group, mvm->route->inputs - group * mvm->route->group);
}

/* Words of the lines of a group and block of vectors. */
static size_t group_words(const struct mvm *mvm)
{
	return (READING_WORDS(mvm->route->group) + 1) * (size_t)READING_LANES;
}

size_t xbar_mvm_analog_line_stride(const struct mvm *mvm)
{
	return mvm->route->groups * group_words(mvm) * sizeof(uint16_t);
}

static double millionths(uint64_t number)
{
	return (double)number / XBAR_ONE;
}

/* Largest shift with which @most times a power of two still is a sigma, such that products with z can be shifted back. */
static int sigma_shift(double most)
{
	int shift = 30 - Z_BITS;

	for (most *= 1 << shift; most > SIGMA_MOST && shift > -Z_BITS; shift--)
		most *= 0.5;
	return shift;
}

static double power_of_two(int exponent)
{
	return exponent < 0 ? 1.0 / (double)(1ull << -exponent) : (double)(1ull << exponent);
}

/* Gmax, in units of the plane. */
static double largest_conductance(const struct mvm *mvm)
{
	const struct xbar_params *params = &mvm->xbar->params;
	double off = params->on_off_ratio == XBAR_INFINITE
			     ? 0.0
			     : XBAR_ONE / (double)params->on_off_ratio;

	return ((1 << params->cell_bits) - 1) / (1.0 - off) *
	       power_of_two((int)mvm->analog->fraction);
}

static void prepare_noise(struct mvm *mvm)
{
	const struct xbar_params *params = &mvm->xbar->params;
	struct reading *reading = &mvm->reading;
	double sides = reading->after ? 1.0 : 2.0, sigma = millionths(params->read_noise);
	int shift;

	if (!params->read_noise || mvm->ideal)
		return;
	if (params->read_noise_of == XBAR_READ_NOISE_RANGE) {
		reading->noise = READING_OF_LINES;
		sigma *= largest_conductance(mvm);
		shift = sigma_shift(sigma * xbar_sqrt(sides * mvm->route->group));
		mvm->cell_sigma = sigma * power_of_two(shift);
	} else {
		/* A sum is below 2^16, and so is each term: that of the squares is below 2^32 a side. */
		reading->noise = READING_OF_CELLS;
		shift = sigma_shift(sigma * xbar_sqrt(sides) * 65536.0);
		reading->cell_sigma = (float)(sigma * power_of_two(shift));
	}
	reading->noise_shift = (uint32_t)(Z_BITS + shift);
}

static void prepare_converter(struct mvm *mvm)
{
	const struct converter *converter = &mvm->route->converter;
	struct reading *reading = &mvm->reading;
	uint32_t fraction = mvm->analog->fraction;
	int32_t steps;

	reading->shift = fraction;
	reading->ideal = mvm->ideal || mvm->xbar->params.adc_bits == XBAR_ADC_IDEAL;
	mvm->step_shift = 0;
	mvm->rest = 0;
	if (reading->ideal)
		return;
	steps = converter->offset >> converter->shift;
	mvm->step_shift = converter->shift;
	mvm->rest = converter->offset - steps * (1 << converter->shift);
	reading->shift += converter->shift;
	reading->rest = mvm->rest * (1 << fraction);
	reading->odd = steps & 1;
	reading->low = steps;
	reading->high = converter->last_code + steps;
}

void xbar_mvm_analog_prepare(struct mvm *mvm)
{
	const struct xbar *xbar = mvm->xbar;
	const struct xbar_params *params = &xbar->params;
	uint32_t seed[2] = { (uint32_t)params->seed, (uint32_t)(params->seed >> 32) };
	uint32_t block[4] = { (uint32_t)mvm->job_number, (uint32_t)(mvm->job_number >> 32),
			      mvm->command, STREAM };
	size_t side = (size_t)xbar->slices * xbar->tile_weights * mvm->analog->column_cells;
	bool gathered = mvm->transpose || mvm->analog->packed;

	xbar_philox(block, seed, block);
	mvm->reading = (struct reading){
		.slices = xbar->slices,
		.cell_bits = params->cell_bits,
		.after = params->adc_subtract == XBAR_SUBTRACT_AFTER &&
			 params->pair == XBAR_PAIR_COLUMNS,
		.slice_stride = gathered ? mvm->route->group : side / xbar->slices,
		.side_stride = gathered ? mvm->route->group * (size_t)xbar->slices : side,
		.key = { block[0], block[1] },
	};
	prepare_converter(mvm);
	prepare_noise(mvm);
}

/* Bit i of byte j of the result is bit j of byte i. */
static uint64_t transpose_bits(uint64_t bits)
{
	uint64_t swap = (bits ^ bits >> 7) & 0x00aa00aa00aa00aaull;

	bits ^= swap ^ swap << 7;
	swap = (bits ^ bits >> 14) & 0x0000cccc0000ccccull;
	bits ^= swap ^ swap << 14;
	swap = (bits ^ bits >> 28) & 0x00000000f0f0f0f0ull;
	return bits ^ swap ^ swap << 28;
}

/* Bit i of byte j is bit j of @q[i]; @count of at most eight inputs. */
static uint64_t bits_of(const int8_t *q, uint32_t count)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < count; i++)
		bytes |= (uint64_t)(uint8_t)q[i] << 8 * i;
	return transpose_bits(bytes);
}

/* The words of one vector and group, for each cycle one in @lane; @lane behind them receives its sigmas. */
static void drive_group(const struct mvm *mvm, const int8_t *q, uint32_t inputs, uint16_t *lane)
{
	uint32_t driven[CYCLES] = { 0 };
	double sides = mvm->reading.after ? 1.0 : 2.0;

	for (uint32_t first = 0; first < inputs;
	     first += READING_WORD_ROWS, lane += READING_LANES) {
		uint32_t count = least(inputs - first, READING_WORD_ROWS);
		uint64_t low = bits_of(q + first, least(count, 8));
		uint64_t high = count > 8 ? bits_of(q + first + 8, count - 8) : 0;

		for (uint32_t cycle = 0; cycle < CYCLES; cycle++) {
			uint32_t word = (low >> 8 * cycle & 0xff) | (high >> 8 * cycle & 0xff) << 8;

			lane[cycle] = (uint16_t)word;
			driven[cycle] += (uint32_t)__builtin_popcount(word);
		}
	}
	if (mvm->reading.noise == READING_OF_LINES)
		for (uint32_t cycle = 0; cycle < CYCLES; cycle++)
			lane[cycle] =
				(uint16_t)(mvm->cell_sigma * xbar_sqrt(sides * driven[cycle]) +
					   0.5);
}

void xbar_mvm_analog_drive(const struct mvm *mvm, uint32_t variant, uint32_t v, const int8_t *q)
{
	uint32_t blocks = (mvm->count + KERNEL_VECTORS - 1) / KERNEL_VECTORS;
	size_t block = (size_t)variant * blocks + v / KERNEL_VECTORS;
	uint16_t *lane =
		(uint16_t *)(mvm->lines + block * mvm->line_stride) + v % KERNEL_VECTORS * CYCLES;

	for (uint32_t group = 0; group < mvm->route->groups; group++) {
		drive_group(mvm, q + (size_t)group * mvm->route->group, group_inputs(mvm, group),
			    lane);
		lane += group_words(mvm);
	}
}

void xbar_mvm_analog_blank(const struct mvm *mvm, uint32_t variant)
{
	uint32_t blocks = mvm->count / KERNEL_VECTORS + 1, used = mvm->count % KERNEL_VECTORS;
	uint16_t *lane = (uint16_t *)(mvm->lines +
				      ((size_t)variant * blocks + blocks - 1) * mvm->line_stride);

	for (size_t i = 0; i < mvm->line_stride / sizeof(*lane); i += READING_LANES)
		memset(lane + i + used * CYCLES, 0,
		       (KERNEL_VECTORS - used) * CYCLES * sizeof(*lane));
}

/* Cell @row of @count columns of cells that follow each other in the plane. */
static void gather_row(const struct analog *analog, const uint8_t *columns, uint32_t row,
		       uint32_t count, uint16_t *gathered)
{
	uint32_t shift = xbar_packed_shift(row);

	if (!analog->packed) {
		for (uint32_t i = 0; i < count; i++, columns += analog->column_bytes)
			gathered[i] = ((const uint16_t *)(const void *)columns)[row];
		return;
	}
	/* Apart, so that the shifts of several are one. */
	columns += xbar_packed_at(row);
	for (uint32_t i = 0; i < count; i++, columns += analog->column_bytes)
		gathered[i] = (uint16_t)(columns[0] | columns[1] << 8);
	for (uint32_t i = 0; i < count; i++)
		gathered[i] = gathered[i] >> shift & PACKED_MOST;
}

/*
 * The cells of @output in @group: those of the tile where they lie in it as a read takes them, that is, as 16 bits and along its
 * columns, otherwise in @gathered.
 */
static const uint16_t *cells_of(const struct mvm *mvm, uint32_t output, uint32_t group,
				uint16_t *gathered)
{
	const struct xbar *xbar = mvm->xbar;
	const struct analog *analog = mvm->analog;
	uint32_t tile_rows = xbar->params.tile_rows, weights = xbar->tile_weights;
	uint32_t tile = mvm->transpose ? output / tile_rows * mvm->matrix->tile_cols + group
				       : group * mvm->matrix->tile_cols + output / weights;
	size_t line_bytes = analog->column_bytes * weights;
	const uint8_t *cells = analog->cells + (size_t)tile * 2 * xbar->slices * line_bytes;
	uint32_t inputs = group_inputs(mvm, group);

	if (!mvm->transpose)
		cells += output % weights * analog->column_bytes;
	if (!mvm->transpose && !analog->packed)
		return (const uint16_t *)(const void *)cells;
	for (uint32_t line = 0; line < 2 * xbar->slices; line++, cells += line_bytes) {
		uint16_t *to = gathered + line * mvm->route->group;

		if (mvm->transpose)
			gather_row(analog, cells, output % tile_rows, inputs, to);
		else
			mvm->kernels->unpack(cells, inputs, to);
	}
	return gathered;
}

/* What offsets that are no whole number of steps add to the result of a group: sums over bit-cycles weigh -1. */
static int32_t rest_of_group(const struct mvm *mvm)
{
	int32_t weights = 0;

	if (mvm->reading.after)
		return 0;
	for (uint32_t slice = 0; slice < mvm->reading.slices; slice++)
		weights += 1 << slice * mvm->reading.cell_bits;
	return -mvm->rest * weights;
}

uint64_t xbar_mvm_product_analog(const struct mvm *mvm, uint32_t variant, uint32_t row,
				 uint32_t rows, uint32_t column, uint32_t columns, uint32_t group,
				 int32_t *d)
{
	uint32_t blocks = (mvm->count + KERNEL_VECTORS - 1) / KERNEL_VECTORS;
	uint32_t first = group == MVM_ALL_GROUPS ? 0 : group;
	uint32_t end = group == MVM_ALL_GROUPS ? mvm->route->groups : group + 1;
	int32_t rest = rest_of_group(mvm) * (int32_t)(end - first);
	const uint8_t *lines =
		mvm->lines + ((size_t)variant * blocks + row / KERNEL_VECTORS) * mvm->line_stride;
	uint16_t gathered[GATHERED];
	struct read read = {
		.line_stride = mvm->line_stride / sizeof(uint16_t),
		.vectors = rows,
		.vector = mvm->first + row,
	};
	uint64_t clips = 0;

	d += column % KERNEL_COLUMNS;
	for (uint32_t c = 0; c < columns; c++) {
		int32_t sums[READING_RUN][4];

		memset(sums, 0, sizeof(sums));
		read.output = column + c;
		for (read.group = first; read.group < end; read.group++) {
			uint64_t clipped;

			read.cells = cells_of(mvm, read.output, read.group, gathered);
			read.rows = group_inputs(mvm, read.group);
			read.lines = (const uint16_t *)lines + read.group * group_words(mvm);
			clipped = mvm->kernels->read(&mvm->reading, &read, sums);
			if (xbar_mvm_converts(mvm, read.output, read.group))
				clips += clipped;
		}
		for (uint32_t v = 0; v < rows; v++)
			d[v * KERNEL_COLUMNS + c] =
				(sums[v][0] + sums[v][1] + sums[v][2] + sums[v][3]) *
					(1 << mvm->step_shift) +
				rest;
	}
	return clips;
}
