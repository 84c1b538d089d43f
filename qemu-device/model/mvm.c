// SPDX-License-Identifier: MIT
/*
 * MVM: quantise, multiply, finish. Work is cut into pieces, by vectors and by columns, in a way that does not depend on the
 * number of threads; no piece reads what another writes.
 */
#include <string.h>

#include "mvm.h"

/* Less work than this many multiply-accumulates or elements is not worth waking threads for. */
#define PARALLEL_PRODUCTS (1u << 20)
#define PARALLEL_ELEMENTS (1u << 16)

/* The workspace of one run of vectors stays below this, unless 8 vectors need more. */
#define WORKSPACE_BYTES	  (32u << 20)

/*
 * Vectors of an exact product: their sums are still in the nearest cache when they are finished. A multiple of the six
 * that registers hold; a batch of 512 is a little more than twelve times as many, a fair share for two and for four threads.
 */
#define EXACT_ROWS	  42

/*
 * Blocks of KERNEL_COLUMNS columns of a piece of work: what vectors cost beside products is spread over them, but not at
 * the price of fewer pieces than these.
 */
#define PIECE_BLOCKS	  4
#define PIECES		  16

/*
 * Weights that a core keeps near while vectors pass: then a piece is all columns of some vectors, which it quantises itself,
 * and threads are woken once. Fewer vectors than these would not give every thread its share.
 */
#define NEAR_WEIGHTS	  (1u << 20)
#define NEAR_VECTORS	  (6 * EXACT_ROWS)

/* Of at least one: there are no empty products. */
static uint32_t divide_up(uint32_t value, uint32_t by)
{
	return (value - 1) / by + 1;
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

static bool is_near(const struct mvm *mvm)
{
	return mvm->route->path == ROUTE_EXACT && mvm->count >= NEAR_VECTORS &&
	       (uint64_t)mvm->route->inputs * mvm->route->outputs <= NEAR_WEIGHTS;
}

static uint32_t input_pieces(const struct mvm *mvm)
{
	return divide_up(mvm->count, is_near(mvm) ? EXACT_ROWS : MVM_INPUT_PIECE);
}

static uint32_t row_pieces(const struct mvm *mvm)
{
	return divide_up(mvm->count, is_near(mvm) ? EXACT_ROWS : MVM_ROWS);
}

static uint32_t piece_columns(const struct mvm *mvm)
{
	uint32_t blocks = divide_up(mvm->route->outputs, KERNEL_COLUMNS) * row_pieces(mvm) / PIECES;

	if (blocks > PIECE_BLOCKS)
		blocks = PIECE_BLOCKS;
	return (blocks ? blocks : 1) * KERNEL_COLUMNS;
}

static uint32_t column_pieces(const struct mvm *mvm)
{
	return is_near(mvm) ? 1 : divide_up(mvm->route->outputs, piece_columns(mvm));
}

static uint32_t product_pieces(const struct mvm *mvm)
{
	return row_pieces(mvm) * column_pieces(mvm);
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
	uint32_t products = product_pieces(mvm);

	mvm->q = (void *)take(&workspace, &bytes, vectors * mvm->q_stride);
	mvm->s = (void *)take(&workspace, &bytes, vectors * sizeof(*mvm->s));
	mvm->sums = (void *)take(&workspace, &bytes, vectors * mvm->segments * sizeof(*mvm->sums));
	mvm->lines = (void *)take(&workspace, &bytes, blocks * mvm->line_stride);
	mvm->clips = (void *)take(&workspace, &bytes, products * sizeof(*mvm->clips));
	mvm->input_status =
		(void *)take(&workspace, &bytes, input_pieces(mvm) * sizeof(*mvm->input_status));
	mvm->status = (void *)take(&workspace, &bytes, products * sizeof(*mvm->status));
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

static void input_piece(void *argument, uint32_t index)
{
	const struct mvm *mvm = argument;
	uint32_t first = index * MVM_INPUT_PIECE;
	uint32_t end = least(first + MVM_INPUT_PIECE, mvm->count);

	mvm->input_status[index] = xbar_device_cancelled(mvm->xbar)
					   ? LF_STATUS_ABORTED
					   : xbar_mvm_input(mvm, first, end);
}

/* Results of vectors [row, row + rows) and columns [first, end); @first begins a block. */
static uint16_t multiply(const struct mvm *mvm, uint32_t row, uint32_t rows, uint32_t first,
			 uint32_t end, uint64_t *clips)
{
	uint32_t most = mvm->route->path == ROUTE_EXACT ? EXACT_ROWS : MVM_ROWS;
	uint16_t status = LF_STATUS_OK;

	for (uint32_t column = first; column < end; column += KERNEL_COLUMNS) {
		if (xbar_device_cancelled(mvm->xbar))
			return LF_STATUS_ABORTED;
		for (uint32_t done = 0; done < rows; done += most) {
			struct mvm_part part = {
				.row = row + done,
				.rows = least(rows - done, most),
				.column = column,
				.columns = least(end - column, KERNEL_COLUMNS),
			};

			status |= xbar_mvm_finish(mvm, &part, clips);
		}
	}
	return status;
}

static void product_piece(void *argument, uint32_t index)
{
	const struct mvm *mvm = argument;
	uint32_t row = index % row_pieces(mvm) * MVM_ROWS;
	uint32_t first = index / row_pieces(mvm) * piece_columns(mvm);
	uint32_t end = least(first + piece_columns(mvm), mvm->route->outputs);

	mvm->clips[index] = 0;
	mvm->status[index] = multiply(mvm, row, least(mvm->count - row, MVM_ROWS), first, end,
				      &mvm->clips[index]);
}

/* Both for some vectors, of a matrix that is near. */
static void vector_piece(void *argument, uint32_t index)
{
	const struct mvm *mvm = argument;
	uint32_t row = index * EXACT_ROWS, rows = least(mvm->count - row, EXACT_ROWS);

	mvm->clips[index] = 0;
	mvm->status[index] = LF_STATUS_OK;
	mvm->input_status[index] = xbar_device_cancelled(mvm->xbar)
					   ? LF_STATUS_ABORTED
					   : xbar_mvm_input(mvm, row, row + rows);
	if (!mvm->input_status[index])
		mvm->status[index] =
			multiply(mvm, row, rows, 0, mvm->route->outputs, &mvm->clips[index]);
}

static uint16_t worst(const uint16_t *status, uint32_t pieces)
{
	for (uint32_t i = 0; i < pieces; i++)
		if (status[i])
			return status[i];
	return LF_STATUS_OK;
}

static uint16_t run_vectors(struct mvm *mvm, struct xbar *xbar, struct tally *tally)
{
	uint64_t elements = (uint64_t)mvm->variants * mvm->count * mvm->route->inputs;
	uint64_t products = (uint64_t)mvm->count * mvm->route->inputs * mvm->route->outputs;
	uint32_t inputs = input_pieces(mvm), pieces = product_pieces(mvm);
	uint16_t status;

	if (is_near(mvm)) {
		work(mvm, xbar, products, PARALLEL_PRODUCTS, pieces, vector_piece);
	} else {
		work(mvm, xbar, elements, PARALLEL_ELEMENTS, inputs, input_piece);
		status = worst(mvm->input_status, inputs);
		if (status)
			return status;
		work(mvm, xbar, products, PARALLEL_PRODUCTS, pieces, product_piece);
	}
	status = worst(mvm->input_status, inputs);
	for (uint32_t i = 0; !status && i < pieces; i++)
		tally->clips += mvm->clips[i];
	return status ? status : worst(mvm->status, pieces);
}

static uint16_t run_float(struct mvm *mvm, struct xbar *xbar)
{
	uint64_t products = (uint64_t)mvm->count * mvm->route->inputs * mvm->route->outputs;

	mvm->status = xbar_device_workspace(xbar, mvm->count * sizeof(*mvm->status));
	if (!mvm->status)
		return LF_STATUS_INTERNAL;
	work(mvm, xbar, products, PARALLEL_PRODUCTS, mvm->count, xbar_mvm_float_vector);
	return worst(mvm->status, mvm->count);
}

static void charge(const struct xbar *xbar, const struct step *step, const struct mvm *mvm,
		   struct tally *tally)
{
	const struct image_matrix *entry = &step->matrix->entry;
	uint64_t count = step->command->count, tile_rows = step->matrix->tile_rows;
	uint64_t inputs = count * mvm->route->inputs * mvm->variants;
	uint64_t outputs = count * mvm->route->outputs;
	struct digital_work work = { 0 };
	const struct mvm_work product = { .rows = entry->rows,
					  .cols = entry->cols,
					  .transpose = mvm->transpose,
					  .tile_scale = mvm->tile_scale,
					  .vectors = count,
					  .factor = mvm->factor,
					  .scale = mvm->scale,
					  .partials = mvm->partials.memory };
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
	xbar_energy_charge_mvm(&xbar->params, &product, tally);
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

void xbar_mvm_set_route(struct mvm *mvm, const struct route *route)
{
	mvm->route = route;
	mvm->spread = mvm->transpose && route->path == ROUTE_EXACT;
	mvm->q_stride = ((size_t)route->inputs + 63) / 64 * 64 * (mvm->spread ? 4 : 1);
	mvm->line_stride = 0;
	if (route->path == ROUTE_LOSSY)
		mvm->line_stride = (size_t)route->quads * 8 * KERNEL_VECTORS;
	if (route->path == ROUTE_ANALOG) {
		xbar_mvm_analog_prepare(mvm);
		mvm->line_stride = xbar_mvm_analog_line_stride(mvm);
	}
	mvm->convert = route->converter.cell_bits <= KERNEL_CELL_BITS ? mvm->kernels->convert
								      : xbar_convert_scalar;
}

uint16_t xbar_execute_mvm(struct xbar_job *job, const struct step *step, struct tally *tally)
{
	struct xbar *xbar = job->xbar;
	const struct lf_command *command = step->command;
	bool transpose = command->flags & LF_MVM_TRANSPOSE;
	struct mvm mvm = {
		.xbar = xbar,
		.kernels = xbar->kernels,
		.matrix = step->matrix,
		.job_number = job->request.job_number,
		.command = (uint32_t)(step - job->steps),
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
	const struct route *route;
	uint32_t length;

	memcpy(&mvm.fixed_scale, &command->fixed_scale, sizeof(mvm.fixed_scale));
	if (transpose && mvm.tile_scale)
		mvm.variants = step->matrix->tile_rows;
	route = xbar_route(xbar, step->matrix, transpose);
	if (route->path == ROUTE_ANALOG) {
		mvm.analog = xbar_analog_get(xbar, step->matrix);
		if (!mvm.analog)
			return LF_STATUS_INTERNAL;
	}
	xbar_mvm_set_route(&mvm, route);
	charge(xbar, step, &mvm, tally);
	if (mvm.route->path == ROUTE_FLOAT)
		return run_float(&mvm, xbar);

	if (!transpose && (mvm.tile_scale || mvm.partials.memory))
		mvm.segments = mvm.route->groups;
	length = run_length(&mvm, command->count);
	for (uint32_t first = 0; !status && first < command->count; first += length) {
		char *workspace;

		mvm.first = first;
		mvm.count = least(command->count - first, length);
		workspace = xbar_device_workspace(xbar, xbar_mvm_layout(&mvm, NULL));
		if (!workspace)
			return LF_STATUS_INTERNAL;
		xbar_mvm_layout(&mvm, workspace);
		status = run_vectors(&mvm, xbar, tally);
	}
	return status;
}
