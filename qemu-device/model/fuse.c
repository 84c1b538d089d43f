// SPDX-License-Identifier: MIT
/*
 * FUSE: the digital unit between crossbars.
 */
#include <string.h>

#include "job.h"

struct fuse {
	const struct kernels *kernels;
	unsigned int flags;
	uint32_t width;
	uint32_t rank;
	const float *coefficients; /* [groups], of products */
	const float *scale;	   /* [width] */
	const float *bias;
	struct span input;
	struct span output;
	float *sums; /* [vectors][rank], of products */
	uint32_t count;
	uint32_t *largest; /* |y| of each piece, as bits */
};

/* Vectors of one piece of work. */
#define PIECE 32

static uint32_t fuse_vector(const struct fuse *fuse, const float *x, float *y)
{
	return fuse->kernels->fuse(x, fuse->scale, fuse->bias, fuse->flags & LF_FUSE_ACCUMULATE,
				   fuse->width, y);
}

/* u = sum of c_i x_i over the groups, then y_i = c_i u. */
static uint32_t fuse_product(const struct fuse *fuse, const float *x, float *y, float *u)
{
	uint32_t rank = fuse->rank, groups = fuse->width / rank, largest = 0;

	memset(u, 0, rank * sizeof(*u));
	for (uint32_t i = 0; i < groups; i++)
		for (uint32_t k = 0; k < rank; k++)
			u[k] += fuse->coefficients[i] * x[i * rank + k];
	for (uint32_t i = 0; i < groups; i++) {
		uint32_t most =
			fuse->kernels->fuse(u, fuse->scale + i * rank, NULL,
					    fuse->flags & LF_FUSE_ACCUMULATE, rank, y + i * rank);

		largest = most > largest ? most : largest;
	}
	return largest;
}

static void fuse_piece(void *argument, uint32_t index)
{
	const struct fuse *fuse = argument;
	uint32_t first = index * PIECE, largest = 0;
	uint32_t end = fuse->count - first < PIECE ? fuse->count : first + PIECE;

	for (uint64_t v = first; v < end; v++) {
		const float *x = (const void *)(fuse->input.memory + v * fuse->input.stride);
		float *y = (void *)(fuse->output.memory + v * fuse->output.stride);
		uint32_t most = fuse->flags & LF_FUSE_PRODUCT
					? fuse_product(fuse, x, y, fuse->sums + v * fuse->rank)
					: fuse_vector(fuse, x, y);

		largest = most > largest ? most : largest;
	}
	fuse->largest[index] = largest;
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
	bool affine = command->flags & LF_FUSE_AFFINE, product = command->flags & LF_FUSE_PRODUCT;
	uint32_t pieces = (command->count + PIECE - 1) / PIECE;
	size_t sums = product ? (size_t)command->count * command->rank : 0;
	size_t scales = affine ? 0 : command->width;
	float *workspace = xbar_device_workspace(job->xbar, (sums + scales) * sizeof(float) +
								    pieces * sizeof(uint32_t));
	struct fuse fuse = {
		.kernels = job->xbar->kernels,
		.flags = command->flags,
		.width = command->width,
		.rank = command->rank,
		.coefficients = (const void *)span_of(job, &step->scale).memory,
		.bias = (const void *)span_of(job, &step->bias).memory,
		.input = span_of(job, &step->input),
		.output = span_of(job, &step->output),
		.count = command->count,
	};

	if (!workspace)
		return LF_STATUS_INTERNAL;
	fuse.sums = workspace;
	fuse.scale = affine ? fuse.coefficients : workspace + sums;
	fuse.largest = (void *)(workspace + sums + scales);
	/* A coefficient for each element of its group. */
	for (size_t j = 0; j < scales; j++)
		workspace[sums + j] = fuse.coefficients[j / command->rank];
	xbar_device_parallel(job->xbar, pieces, fuse_piece, &fuse);
	charge(job, step, tally);
	for (uint32_t i = 0; i < pieces; i++)
		if (fuse.largest[i] >= KERNEL_NONFINITE)
			return LF_STATUS_NONFINITE;
	return LF_STATUS_OK;
}
