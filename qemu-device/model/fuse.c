// SPDX-License-Identifier: MIT
/*
 * FUSE: the digital unit between crossbars.
 */
#include <string.h>

#include "job.h"

struct fuse {
	unsigned int flags;
	uint32_t width;
	uint32_t rank;
	const float *scale;
	const float *bias;
	struct span input;
	struct span output;
	float *sums; /* [vectors][rank], of products */
	uint32_t count;
	uint8_t *nonfinite; /* a piece each */
};

/* Vectors of one piece of work. */
#define PIECE 32

static bool is_finite(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return (bits & 0x7fffffff) < KERNEL_NONFINITE;
}

/* y = (accumulate ? y : 0) + value for each element; false if any result is not finite. */
static bool store(const struct fuse *fuse, float *y, const float *values, uint32_t count)
{
	bool finite = true;

	for (uint32_t j = 0; j < count; j++) {
		float value = fuse->flags & LF_FUSE_ACCUMULATE ? y[j] + values[j] : values[j];

		finite &= is_finite(value);
		y[j] = value;
	}
	return finite;
}

/* values[k] = x[k] (or u[k] for products) * c of the group */
static bool fuse_groups(const struct fuse *fuse, const float *x, float *y, float *u)
{
	uint32_t rank = fuse->rank, groups = fuse->width / rank;
	bool product = fuse->flags & LF_FUSE_PRODUCT, finite = true;
	float values[64];

	if (product) {
		memset(u, 0, rank * sizeof(*u));
		for (uint32_t i = 0; i < groups; i++)
			for (uint32_t k = 0; k < rank; k++)
				u[k] += fuse->scale[i] * x[i * rank + k];
	}
	for (uint32_t i = 0; i < groups; i++)
		for (uint32_t first = 0; first < rank; first += 64) {
			uint32_t count = rank - first < 64 ? rank - first : 64;
			const float *from = product ? u + first : x + i * rank + first;

			for (uint32_t k = 0; k < count; k++)
				values[k] = fuse->scale[i] * from[k];
			finite &= store(fuse, y + i * rank + first, values, count);
		}
	return finite;
}

static bool fuse_affine(const struct fuse *fuse, const float *x, float *y)
{
	bool finite = true;
	float values[64];

	for (uint32_t first = 0; first < fuse->width; first += 64) {
		uint32_t count = fuse->width - first < 64 ? fuse->width - first : 64;

		memcpy(values, x + first, count * sizeof(*values));
		for (uint32_t j = 0; fuse->scale && j < count; j++)
			values[j] *= fuse->scale[first + j];
		for (uint32_t j = 0; fuse->bias && j < count; j++)
			values[j] += fuse->bias[first + j];
		finite &= store(fuse, y + first, values, count);
	}
	return finite;
}

static void fuse_piece(void *argument, uint32_t index)
{
	const struct fuse *fuse = argument;
	uint32_t first = index * PIECE;
	uint32_t end = fuse->count - first < PIECE ? fuse->count : first + PIECE;
	bool finite = true;

	for (uint64_t v = first; v < end; v++) {
		const float *x = (const void *)(fuse->input.memory + v * fuse->input.stride);
		float *y = (void *)(fuse->output.memory + v * fuse->output.stride);

		if (fuse->flags & LF_FUSE_AFFINE)
			finite &= fuse_affine(fuse, x, y);
		else
			finite &= fuse_groups(fuse, x, y, fuse->sums + v * fuse->rank);
	}
	fuse->nonfinite[index] = !finite;
}

static void charge(const struct xbar_job *job, const struct step *step, struct tally *tally)
{
	const struct lf_command *command = step->command;
	uint64_t elements = (uint64_t)command->count * command->width;
	struct digital_work work = { 0 };

	work.multiplications = step->scale.space ? elements : 0;
	work.additions = step->bias.space ? elements : 0;
	if (command->flags & LF_FUSE_PRODUCT) {
		work.multiplications += elements;
		work.additions += elements;
	}
	work.scratch_bytes += step->input.space == LF_SPACE_SCRATCH ? step->input.bytes : 0;
	work.scratch_bytes += step->output.space == LF_SPACE_SCRATCH ? step->output.bytes : 0;
	if (command->flags & LF_FUSE_ACCUMULATE) {
		work.additions += elements;
		work.scratch_bytes += step->output.bytes;
	}
	xbar_energy_charge_digital(&job->xbar->params, &work, tally);
}

uint16_t xbar_execute_fuse(struct xbar_job *job, const struct step *step, struct tally *tally)
{
	const struct lf_command *command = step->command;
	uint32_t pieces = (command->count + PIECE - 1) / PIECE;
	uint32_t rank = command->flags & LF_FUSE_PRODUCT ? command->rank : 0;
	size_t sums_bytes = (size_t)command->count * rank * sizeof(float);
	char *workspace = xbar_device_workspace(job->xbar, sums_bytes + pieces);
	struct fuse fuse = {
		.flags = command->flags,
		.width = command->width,
		.rank = command->rank,
		.scale = (const void *)span_of(job, &step->scale).memory,
		.bias = (const void *)span_of(job, &step->bias).memory,
		.input = span_of(job, &step->input),
		.output = span_of(job, &step->output),
		.count = command->count,
	};

	if (!workspace)
		return LF_STATUS_INTERNAL;
	fuse.sums = (void *)workspace;
	fuse.nonfinite = (uint8_t *)workspace + sums_bytes;
	xbar_device_parallel(job->xbar, pieces, fuse_piece, &fuse);
	charge(job, step, tally);
	for (uint32_t i = 0; i < pieces; i++)
		if (fuse.nonfinite[i])
			return LF_STATUS_NONFINITE;
	return LF_STATUS_OK;
}
