// SPDX-License-Identifier: MIT
/*
 * MVM: quantise, multiply, finish. Work is cut into pieces of vectors and columns; each result is computed by one piece,
 * in an order that does not depend on the cut.
 */
#include <string.h>

#include "mvm.h"

/* Less work than this many multiply-accumulates or elements is not worth waking threads for. */
#define PARALLEL_PRODUCTS (1u << 20)
#define PARALLEL_ELEMENTS (1u << 16)

/* The workspace of one run of vectors stays below this, unless 8 vectors need more. */
#define WORKSPACE_BYTES	  (32u << 20)

static uint32_t divide_up(uint32_t value, uint32_t by)
{
	return (value + by - 1) / by;
}

static uint32_t row_pieces(const struct mvm *mvm)
{
	return divide_up(mvm->count, MVM_ROWS);
}

static uint32_t column_blocks(const struct mvm *mvm)
{
	return divide_up(mvm->plane->outputs, KERNEL_COLUMNS);
}

static uint32_t product_pieces(const struct mvm *mvm)
{
	return row_pieces(mvm) * divide_up(column_blocks(mvm), MVM_BLOCKS);
}

static char *take(char **workspace, size_t *bytes, size_t wanted)
{
	char *memory = *workspace;

	wanted = (wanted + 63) / 64 * 64;
	*bytes += wanted;
	if (memory)
		*workspace += wanted;
	return memory;
}

size_t xbar_mvm_layout(struct mvm *mvm, char *workspace)
{
	size_t vectors = (size_t)mvm->variants * mvm->count, bytes = 0;
	size_t blocks = (size_t)mvm->variants * divide_up(mvm->count, KERNEL_VECTORS);
	uint32_t inputs = divide_up(mvm->count, MVM_INPUT_PIECE), products = product_pieces(mvm);

	mvm->q = (void *)take(&workspace, &bytes, vectors * mvm->q_stride);
	mvm->s = (void *)take(&workspace, &bytes, vectors * sizeof(*mvm->s));
	mvm->sums = (void *)take(&workspace, &bytes, vectors * mvm->segments * sizeof(*mvm->sums));
	mvm->lines = (void *)take(&workspace, &bytes, blocks * mvm->line_stride);
	mvm->clips = (void *)take(&workspace, &bytes, products * sizeof(*mvm->clips));
	mvm->status = (void *)take(&workspace, &bytes,
				   (inputs > products ? inputs : products) * sizeof(*mvm->status));
	return bytes;
}

static void work(struct mvm *mvm, struct xbar *xbar, uint64_t amount, uint64_t worth,
		 uint32_t pieces, void (*piece)(void *, uint32_t))
{
	if (amount >= worth) {
		xbar_device_parallel(xbar, pieces, piece, mvm);
		return;
	}
	for (uint32_t i = 0; i < pieces; i++)
		piece(mvm, i);
}

/* A rectangle of results: vectors of the run and columns of one block. */
struct part {
	uint32_t row;
	uint32_t rows;
	uint32_t column;
	uint32_t columns;
};

static uint16_t apply(const struct mvm *mvm, const struct finish *finish, const int32_t *d,
		      uint32_t columns)
{
	return mvm->kernels->finish(finish, d, columns) < KERNEL_NONFINITE ? LF_STATUS_OK
									   : LF_STATUS_NONFINITE;
}

/* The last step of one vector: accumulating, bias, output. */
static uint16_t finish_vector(const struct mvm *mvm, struct finish finish, uint32_t v,
			      const struct part *part, const int32_t *d)
{
	float *y = (void *)(mvm->output.memory + (mvm->first + v) * mvm->output.stride);

	finish.y = y + part->column;
	finish.accumulate = mvm->accumulate ? finish.y : NULL;
	finish.bias = mvm->bias ? mvm->bias + part->column : NULL;
	return apply(mvm, &finish, d, part->columns);
}

/* Results from integer sums over all rows of tiles; @d is [rows][KERNEL_COLUMNS] from the part's first column. */
static uint16_t finish_sums(const struct mvm *mvm, uint32_t variant, const struct part *part,
			    const int32_t *d)
{
	uint16_t status = LF_STATUS_OK;

	for (uint32_t i = 0; i < part->rows; i++, d += KERNEL_COLUMNS) {
		uint32_t v = part->row + i;
		struct finish finish = {
			.s = mvm->s[(size_t)variant * mvm->count + v],
			.scale = mvm->scale && !mvm->transpose ? mvm->scale + part->column : NULL,
		};

		status |= finish_vector(mvm, finish, v, part, d);
	}
	return status;
}

static uint16_t store_partials(const struct mvm *mvm, uint32_t group, const struct part *part,
			       const int32_t *d)
{
	uint16_t status = LF_STATUS_OK;

	for (uint32_t i = 0; i < part->rows; i++, d += KERNEL_COLUMNS) {
		uint32_t v = part->row + i;
		float *partials =
			(void *)(mvm->partials.memory + (mvm->first + v) * mvm->partials.stride);
		struct finish finish = {
			.s = mvm->s[v],
			.y = partials + (size_t)group * mvm->plane->outputs + part->column,
		};

		status |= apply(mvm, &finish, d, part->columns);
	}
	return status;
}

/* Adds one row of tiles, with scales of its own, to @running; the last one makes the result. */
static uint16_t add_tile_row(const struct mvm *mvm, uint32_t group, const struct part *part,
			     const int32_t *d, float *running)
{
	bool last = group == mvm->plane->groups - 1;
	uint16_t status = LF_STATUS_OK;

	for (uint32_t i = 0; i < part->rows; i++) {
		uint32_t v = part->row + i;
		struct finish finish = {
			.s = mvm->s[v],
			.scale = mvm->scale + (size_t)group * mvm->plane->outputs + part->column,
			.before = group ? running : NULL,
			.y = running,
		};

		status |= last ? finish_vector(mvm, finish, v, part, d)
			       : apply(mvm, &finish, d, part->columns);
		d += KERNEL_COLUMNS;
		running += KERNEL_COLUMNS;
	}
	return status;
}

/* A part whose rows of tiles are seen apart, in ascending order: for partial sums, or for scales of their own. */
static uint16_t finish_grouped(const struct mvm *mvm, const struct part *part, uint64_t *clips)
{
	int32_t d[MVM_ROWS * KERNEL_COLUMNS], total[MVM_ROWS * KERNEL_COLUMNS];
	float running[MVM_ROWS * KERNEL_COLUMNS];
	uint16_t status = LF_STATUS_OK;

	memset(total, 0, sizeof(total));
	for (uint32_t group = 0; group < mvm->plane->groups; group++) {
		*clips += xbar_mvm_product(mvm, 0, part->row, part->rows, part->column,
					   part->columns, group, d);
		if (mvm->partials.memory)
			status |= store_partials(mvm, group, part, d);
		if (mvm->tile_scale) {
			status |= add_tile_row(mvm, group, part, d, running);
			continue;
		}
		for (uint32_t i = 0; i < part->rows; i++)
			for (uint32_t c = 0; c < part->columns; c++)
				total[i * KERNEL_COLUMNS + c] += d[i * KERNEL_COLUMNS + c];
	}
	return mvm->tile_scale ? status : status | finish_sums(mvm, 0, part, total);
}

/* A part whose rows of tiles are summed as integers; columns of one variant of the input at a time. */
static uint16_t finish_plain(const struct mvm *mvm, struct part part, uint64_t *clips)
{
	uint32_t start = part.column, end = start + part.columns;
	uint32_t tile_rows = mvm->xbar->params.tile_rows;
	int32_t d[MVM_ROWS * KERNEL_COLUMNS];
	uint16_t status = LF_STATUS_OK;

	for (; part.column < end; part.column += part.columns) {
		uint32_t variant = 0;

		part.columns = end - part.column;
		if (mvm->variants > 1) {
			uint32_t left = tile_rows - part.column % tile_rows;

			variant = part.column / tile_rows;
			part.columns = left < part.columns ? left : part.columns;
		}
		*clips += xbar_mvm_product(mvm, variant, part.row, part.rows, part.column,
					   part.columns, MVM_ALL_GROUPS, d);
		status |= finish_sums(mvm, variant, &part, d + part.column - start);
	}
	return status;
}

static void product_piece(void *argument, uint32_t index)
{
	const struct mvm *mvm = argument;
	uint32_t row = index % row_pieces(mvm) * MVM_ROWS;
	uint32_t first = index / row_pieces(mvm) * MVM_BLOCKS * KERNEL_COLUMNS;
	uint32_t end = first + MVM_BLOCKS * KERNEL_COLUMNS;
	bool grouped = !mvm->transpose && (mvm->tile_scale || mvm->partials.memory);
	uint16_t status = LF_STATUS_OK;
	uint64_t clips = 0;

	if (end > mvm->plane->outputs)
		end = mvm->plane->outputs;
	for (uint32_t column = first; column < end; column += KERNEL_COLUMNS) {
		struct part part = {
			.row = row,
			.rows = mvm->count - row < MVM_ROWS ? mvm->count - row : MVM_ROWS,
			.column = column,
			.columns = end - column < KERNEL_COLUMNS ? end - column : KERNEL_COLUMNS,
		};

		if (xbar_device_cancelled(mvm->xbar)) {
			status = LF_STATUS_ABORTED;
			break;
		}
		status |= grouped ? finish_grouped(mvm, &part, &clips)
				  : finish_plain(mvm, part, &clips);
	}
	mvm->clips[index] = clips;
	mvm->status[index] = status;
}

static uint16_t worst(const struct mvm *mvm, uint32_t pieces)
{
	for (uint32_t i = 0; i < pieces; i++)
		if (mvm->status[i])
			return mvm->status[i];
	return LF_STATUS_OK;
}

static uint16_t run_vectors(struct mvm *mvm, struct xbar *xbar, struct tally *tally)
{
	uint64_t elements = (uint64_t)mvm->variants * mvm->count * mvm->plane->inputs;
	uint64_t products = (uint64_t)mvm->count * mvm->plane->inputs * mvm->plane->outputs;
	uint32_t pieces = divide_up(mvm->count, MVM_INPUT_PIECE);
	uint16_t status;

	work(mvm, xbar, elements, PARALLEL_ELEMENTS, pieces, xbar_mvm_input_piece);
	status = worst(mvm, pieces);
	if (status)
		return status;
	pieces = product_pieces(mvm);
	work(mvm, xbar, products, PARALLEL_PRODUCTS, pieces, product_piece);
	for (uint32_t i = 0; i < pieces; i++)
		tally->clips += mvm->clips[i];
	return worst(mvm, pieces);
}

static uint16_t run_float(struct mvm *mvm, struct xbar *xbar)
{
	uint64_t products = (uint64_t)mvm->count * mvm->plane->inputs * mvm->plane->outputs;

	mvm->status = xbar_device_workspace(xbar, mvm->count * sizeof(*mvm->status));
	if (!mvm->status)
		return LF_STATUS_INTERNAL;
	work(mvm, xbar, products, PARALLEL_PRODUCTS, mvm->count, xbar_mvm_float_vector);
	return worst(mvm, mvm->count);
}

static void charge(const struct xbar *xbar, const struct step *step, const struct mvm *mvm,
		   struct tally *tally)
{
	const struct image_matrix *entry = &step->matrix->entry;
	uint64_t count = step->command->count, tile_rows = step->matrix->tile_rows;
	uint64_t inputs = count * mvm->plane->inputs * mvm->variants;
	uint64_t outputs = count * mvm->plane->outputs;
	struct digital_work work = { 0 };
	const struct view *views[] = { &step->input, &step->output, &step->factor,
				       &step->scale, &step->bias,   &step->partials };

	/* Input: the inverse scale, the factor, in transpose the scales. */
	if (!mvm->int8)
		work.multiplications +=
			inputs * (1u + (mvm->factor != NULL) + (mvm->transpose && mvm->scale));
	/* Output: s and, forward, the scales; sums over rows of tiles, accumulating, bias. */
	work.multiplications += outputs;
	if (mvm->scale && !mvm->transpose)
		work.multiplications += outputs;
	if (mvm->partials.memory || (mvm->tile_scale && !mvm->transpose)) {
		work.multiplications += outputs * (tile_rows - 1) * (mvm->tile_scale ? 2 : 1);
		work.additions += outputs * (tile_rows - 1);
	}
	work.additions += outputs * ((mvm->accumulate ? 1u : 0) + (mvm->bias != NULL));
	for (size_t i = 0; i < sizeof(views) / sizeof(views[0]); i++)
		if (views[i]->space == LF_SPACE_SCRATCH)
			work.scratch_bytes += views[i]->bytes;
	if (mvm->accumulate)
		work.scratch_bytes += step->output.bytes;
	xbar_energy_charge_digital(&xbar->params, &work, tally);
	xbar_energy_charge_mvm(&xbar->params, entry->rows, entry->cols, mvm->transpose, count,
			       tally);
}

/* Vectors of a run: as many as the workspace allows, whole blocks of KERNEL_VECTORS. */
static uint32_t run_length(const struct mvm *mvm, uint32_t count)
{
	struct mvm eight = *mvm;
	size_t bytes;
	uint64_t fit;

	eight.count = KERNEL_VECTORS;
	bytes = xbar_mvm_layout(&eight, NULL);
	fit = WORKSPACE_BYTES / bytes * KERNEL_VECTORS;
	if (fit < KERNEL_VECTORS)
		fit = KERNEL_VECTORS;
	return fit < count ? (uint32_t)fit : count;
}

uint16_t xbar_execute_mvm(struct xbar_job *job, const struct step *step, struct tally *tally)
{
	struct xbar *xbar = job->xbar;
	const struct lf_command *command = step->command;
	bool transpose = command->flags & LF_MVM_TRANSPOSE;
	struct plane *plane = xbar_plane_get(xbar, step->matrix, transpose);
	struct mvm mvm = {
		.xbar = xbar,
		.kernels = xbar->kernels,
		.plane = plane,
		.matrix = step->matrix,
		.transpose = transpose,
		.int8 = command->flags & LF_MVM_INPUT_INT8,
		.accumulate = command->flags & LF_MVM_ACCUMULATE,
		.tile_scale = command->flags & LF_MVM_TILE_SCALE,
		.fixed = command->flags & LF_MVM_FIXED_SCALE,
		.count = command->count,
		.variants = 1,
		.segments = 1,
		.input = span_of(job, &step->input),
		.output = span_of(job, &step->output),
		.partials = span_of(job, &step->partials),
		.factor = (const void *)span_of(job, &step->factor).memory,
		.scale = (const void *)span_of(job, &step->scale).memory,
		.bias = (const void *)span_of(job, &step->bias).memory,
	};
	uint16_t status = LF_STATUS_OK;
	uint32_t length;

	if (!plane)
		return LF_STATUS_INTERNAL;
	memcpy(&mvm.fixed_scale, &command->fixed_scale, sizeof(mvm.fixed_scale));
	if (transpose && mvm.tile_scale)
		mvm.variants = step->matrix->tile_rows;
	charge(xbar, step, &mvm, tally);
	if (plane->path == PLANE_FLOAT)
		return run_float(&mvm, xbar);

	if (!transpose && (mvm.tile_scale || mvm.partials.memory))
		mvm.segments = plane->groups;
	mvm.q_stride = ((size_t)plane->inputs + 63) / 64 * 64;
	mvm.line_stride =
		plane->path == PLANE_LOSSY ? (size_t)plane->quads * 8 * KERNEL_VECTORS : 0;
	length = run_length(&mvm, command->count);
	for (uint32_t first = 0; !status && first < command->count; first += length) {
		char *workspace;

		mvm.first = first;
		mvm.count = command->count - first < length ? command->count - first : length;
		workspace = xbar_device_workspace(xbar, xbar_mvm_layout(&mvm, NULL));
		if (!workspace)
			return LF_STATUS_INTERNAL;
		xbar_mvm_layout(&mvm, workspace);
		status = run_vectors(&mvm, xbar, tally);
	}
	return status;
}
