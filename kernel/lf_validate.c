// SPDX-License-Identifier: GPL-2.0-only
/*
 * Checks every field of every command of a job against the job's buffers and matrices, and finds
 * out what the job does with each. Pure functions: whether the caller may do that to a matrix, and
 * the matrix's state, are lf_submit.c's. Ranges that a job both reads and writes are left to the
 * device, which refuses the job with LF_STATUS_OVERLAP.
 */
#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/math.h>
#include <linux/overflow.h>

#include <asm/byteorder.h>

#include "lf_validate.h"

/* Interface version that has it, as in LF_REG_VERSION. */
#define LF_READ_CELLS_VERSION (1 << 16 | 2)

/* An array that an operand must hold: @count runs of @bytes, elements of @element bytes. */
struct extent {
	u32 count;
	u64 bytes;
	u32 element;
	bool strided;
};

static int refuse(struct lf_validation *v, const char *field)
{
	v->failed_field = field;
	return -EINVAL;
}

/* Each command's operand is either absent, or within the memory it names. */
static int check_operand(struct lf_validation *v, const struct lf_operand *operand,
			 const struct extent *extent, u8 use, const char *field)
{
	u32 space = le16_to_cpu(operand->space);
	u32 buffer = le16_to_cpu(operand->buffer);
	u64 stride = le32_to_cpu(operand->stride);
	u64 offset = le64_to_cpu(operand->offset);
	u64 limit, span;

	switch (space) {
	case LF_SPACE_BUFFER:
		if (buffer >= v->buffer_count)
			return refuse(v, field);
		limit = le64_to_cpu(v->buffers[buffer].bytes);
		v->buffer_use[buffer] |= use;
		break;
	case LF_SPACE_SCRATCH:
		if (buffer)
			return refuse(v, field);
		limit = v->scratch_bytes;
		break;
	default:
		return refuse(v, field);
	}

	if (extent->strided ? stride < extent->bytes || stride % extent->element : stride != 0)
		return refuse(v, field);
	if (offset % extent->element)
		return refuse(v, field);
	if (check_mul_overflow(stride, (u64)extent->count - 1, &span) ||
	    check_add_overflow(span, extent->bytes, &span))
		return refuse(v, field);
	if (span > limit || offset > limit - span)
		return refuse(v, field);
	/* Each is no larger than its buffer, and a job has some thousand of them: no overflow. */
	if (space == LF_SPACE_BUFFER)
		v->bytes += extent->count * extent->bytes;
	return v->bytes <= v->limits->job_bytes ? 0 : refuse(v, field);
}

static bool is_absent(const struct lf_operand *operand)
{
	return le16_to_cpu(operand->space) == LF_SPACE_NONE;
}

static int check_absent(struct lf_validation *v, const struct lf_operand *operand,
			const char *field)
{
	if (!is_absent(operand) || operand->buffer || operand->stride || operand->offset)
		return refuse(v, field);
	return 0;
}

static int check_optional(struct lf_validation *v, const struct lf_operand *operand,
			  const struct extent *extent, u8 use, const char *field)
{
	if (is_absent(operand))
		return check_absent(v, operand, field);
	return check_operand(v, operand, extent, use, field);
}

static int check_no_operands_but(struct lf_validation *v, const struct lf_command *command,
				 bool input, bool output)
{
	int err = 0;

	if (!input)
		err = check_absent(v, &command->input, "input");
	if (!err && !output)
		err = check_absent(v, &command->output, "output");
	if (!err)
		err = check_absent(v, &command->factor, "factor");
	if (!err)
		err = check_absent(v, &command->scale, "scale");
	if (!err)
		err = check_absent(v, &command->bias, "bias");
	if (!err)
		err = check_absent(v, &command->partials, "partials");
	return err;
}

/* Scalars that an opcode names; the others must be zero. */
#define USES_FLAGS	 BIT(0)
#define USES_MATRIX	 BIT(1)
#define USES_COUNT	 BIT(2)
#define USES_FIRST	 BIT(3)
#define USES_WIDTH	 BIT(4)
#define USES_RANK	 BIT(5)
#define USES_FIXED_SCALE BIT(6)

static int check_no_scalars_but(struct lf_validation *v, const struct lf_command *command, u32 used)
{
	const struct {
		u32 bit;
		u32 value;
		const char *field;
	} scalars[] = {
		{ USES_FLAGS, le16_to_cpu(command->flags), "flags" },
		{ USES_MATRIX, le32_to_cpu(command->matrix), "matrix" },
		{ USES_COUNT, le32_to_cpu(command->count), "count" },
		{ USES_FIRST, le32_to_cpu(command->first), "first" },
		{ USES_WIDTH, le32_to_cpu(command->width), "width" },
		{ USES_RANK, le32_to_cpu(command->rank), "rank" },
		{ USES_FIXED_SCALE, le32_to_cpu(command->fixed_scale), "fixed_scale" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(scalars); i++)
		if (!(used & scalars[i].bit) && scalars[i].value)
			return refuse(v, scalars[i].field);
	return 0;
}

static int check_matrix(struct lf_validation *v, const struct lf_command *command, u8 use,
			const struct lf_matrix_shape **shape)
{
	u32 matrix = le32_to_cpu(command->matrix);

	if (!matrix || matrix > v->matrix_count)
		return refuse(v, "matrix");
	v->matrix_use[matrix - 1] |= use;
	*shape = &v->shapes[matrix - 1];
	return 0;
}

static int check_count(struct lf_validation *v, const struct lf_command *command)
{
	u32 count = le32_to_cpu(command->count);

	return count && count <= v->limits->batch ? 0 : refuse(v, "count");
}

static int check_accumulate(struct lf_validation *v, const struct lf_command *command)
{
	/* Only scratch starts as zeros when a job is run again. */
	return le16_to_cpu(command->output.space) == LF_SPACE_SCRATCH ? 0 : refuse(v, "output");
}

/* Bits of an fp32 scale: positive, finite, and above 2^-128 so that its inverse is finite too. */
static bool is_scale(u32 bits)
{
	return bits > 0x00200000 && bits < 0x7f800000;
}

static int check_barrier(struct lf_validation *v, const struct lf_command *command)
{
	int err = check_no_scalars_but(v, command, 0);

	return err ?: check_no_operands_but(v, command, false, false);
}

static int check_mvm(struct lf_validation *v, const struct lf_command *command)
{
	u32 flags = le16_to_cpu(command->flags);
	u32 count = le32_to_cpu(command->count);
	bool transpose = flags & LF_MVM_TRANSPOSE;
	bool int8 = flags & LF_MVM_INPUT_INT8;
	const struct lf_matrix_shape *shape;
	u64 inputs, outputs, scales, element;
	int err;

	if (flags & ~(LF_MVM_TRANSPOSE | LF_MVM_ACCUMULATE | LF_MVM_INPUT_INT8 |
		      LF_MVM_FIXED_SCALE | LF_MVM_TILE_SCALE))
		return refuse(v, "flags");
	if (int8 && !(flags & LF_MVM_FIXED_SCALE))
		return refuse(v, "flags");
	err = check_no_scalars_but(v, command,
				   USES_FLAGS | USES_MATRIX | USES_COUNT |
					   (flags & LF_MVM_FIXED_SCALE ? USES_FIXED_SCALE : 0));
	if (!err)
		err = check_matrix(v, command, LF_USE_MULTIPLY, &shape);
	if (!err)
		err = check_count(v, command);
	if (err)
		return err;
	if (int8 && shape->format != LF_FORMAT_INT8)
		return refuse(v, "flags");
	if ((flags & LF_MVM_FIXED_SCALE) && !is_scale(le32_to_cpu(command->fixed_scale)))
		return refuse(v, "fixed_scale");

	inputs = transpose ? shape->cols : shape->rows;
	outputs = transpose ? shape->rows : shape->cols;
	scales = flags & LF_MVM_TILE_SCALE ? (u64)shape->tile_rows * shape->cols : shape->cols;
	element = int8 ? 1 : 4;

	err = check_operand(v, &command->input,
			    &(struct extent){ count, inputs * element, element, true }, LF_USE_READ,
			    "input");
	if (!err)
		err = check_operand(v, &command->output,
				    &(struct extent){ count, outputs * 4, 4, true }, LF_USE_WRITE,
				    "output");
	if (!err && (flags & LF_MVM_ACCUMULATE))
		err = check_accumulate(v, command);
	if (err)
		return err;

	if (int8)
		err = check_absent(v, &command->factor, "factor");
	else
		err = check_optional(v, &command->factor,
				     &(struct extent){ 1, inputs * 4, 4, false }, LF_USE_READ,
				     "factor");
	if (err)
		return err;

	if (int8 && transpose)
		err = check_absent(v, &command->scale, "scale");
	else
		err = check_optional(v, &command->scale,
				     &(struct extent){ 1, scales * 4, 4, false }, LF_USE_READ,
				     "scale");
	if (err)
		return err;
	if ((flags & LF_MVM_TILE_SCALE) && is_absent(&command->scale))
		return refuse(v, "scale");

	if (transpose) {
		err = check_absent(v, &command->bias, "bias");
		return err ?: check_absent(v, &command->partials, "partials");
	}
	err = check_optional(v, &command->bias, &(struct extent){ 1, outputs * 4, 4, false },
			     LF_USE_READ, "bias");
	return err
		       ?: check_optional(v, &command->partials,
					 &(struct extent){ count,
							   (u64)shape->tile_rows * outputs * 4, 4,
							   true },
					 LF_USE_WRITE, "partials");
}

static int check_fuse(struct lf_validation *v, const struct lf_command *command)
{
	u32 flags = le16_to_cpu(command->flags);
	u32 count = le32_to_cpu(command->count);
	u64 width = le32_to_cpu(command->width);
	u32 rank = le32_to_cpu(command->rank);
	const struct extent vectors = { count, width * 4, 4, true };
	const struct extent wide = { 1, width * 4, 4, false };
	int err;

	switch (flags & ~LF_FUSE_ACCUMULATE) {
	case LF_FUSE_SUM:
	case LF_FUSE_PRODUCT:
	case LF_FUSE_AFFINE:
		break;
	default:
		return refuse(v, "flags");
	}
	err = check_no_scalars_but(v, command, USES_FLAGS | USES_COUNT | USES_WIDTH | USES_RANK);
	if (!err)
		err = check_count(v, command);
	if (err)
		return err;
	if (!width)
		return refuse(v, "width");
	err = check_operand(v, &command->input, &vectors, LF_USE_READ, "input");
	if (!err)
		err = check_operand(v, &command->output, &vectors, LF_USE_WRITE, "output");
	if (!err && (flags & LF_FUSE_ACCUMULATE))
		err = check_accumulate(v, command);
	if (!err)
		err = check_absent(v, &command->factor, "factor");
	if (!err)
		err = check_absent(v, &command->partials, "partials");
	if (err)
		return err;

	if (flags & LF_FUSE_AFFINE) {
		if (rank)
			return refuse(v, "rank");
		err = check_optional(v, &command->scale, &wide, LF_USE_READ, "scale");
		return err ?: check_optional(v, &command->bias, &wide, LF_USE_READ, "bias");
	}
	if (!rank || (u32)width % rank)
		return refuse(v, "rank");
	err = check_operand(v, &command->scale,
			    &(struct extent){ 1, (u64)((u32)width / rank) * 4, 4, false },
			    LF_USE_READ, "scale");
	return err ?: check_absent(v, &command->bias, "bias");
}

/* PROGRAM and READ: rows of a matrix from or to one operand. */
static int check_rows(struct lf_validation *v, const struct lf_command *command, u8 use)
{
	bool program = use == LF_USE_PROGRAM;
	u32 flags = le16_to_cpu(command->flags);
	u64 count = le32_to_cpu(command->count);
	u64 first = le32_to_cpu(command->first);
	const struct lf_matrix_shape *shape;
	struct extent extent;
	int err;

	if (flags & ~(program || v->limits->version < LF_READ_CELLS_VERSION ? 0 : LF_READ_CELLS))
		return refuse(v, "flags");
	err = check_no_scalars_but(v, command, USES_FLAGS | USES_MATRIX | USES_COUNT | USES_FIRST);
	if (!err)
		err = check_matrix(v, command, use, &shape);
	if (err)
		return err;
	if (!count)
		return refuse(v, "count");
	if (first + count > shape->rows)
		return refuse(v, "first");
	err = check_no_operands_but(v, command, program, !program);
	if (err)
		return err;

	extent.element = shape->format == LF_FORMAT_INT8 ? 1 : 4;
	extent.count = count;
	extent.bytes = (u64)shape->cols * extent.element;
	extent.strided = true;
	if (flags & LF_READ_CELLS) {
		extent.element = sizeof(__le32);
		extent.bytes = (u64)shape->cols * shape->weight_cells * sizeof(struct lf_cell);
	}
	if (program) {
		/* From the host alone: so all rows are checked before the first pulse. */
		if (le16_to_cpu(command->input.space) != LF_SPACE_BUFFER)
			return refuse(v, "input");
		return check_operand(v, &command->input, &extent, LF_USE_READ, "input");
	}
	return check_operand(v, &command->output, &extent, LF_USE_WRITE, "output");
}

static int check_calibrate(struct lf_validation *v, const struct lf_command *command)
{
	const struct lf_matrix_shape *shape;
	int err;

	err = check_no_scalars_but(v, command, USES_MATRIX | USES_COUNT);
	if (!err)
		err = check_matrix(v, command, LF_USE_CALIBRATE, &shape);
	if (!err)
		err = check_count(v, command);
	if (err)
		return err;
	err = check_no_operands_but(v, command, true, false);
	return err
		       ?: check_operand(v, &command->input,
					&(struct extent){ le32_to_cpu(command->count),
							  (u64)shape->rows * 4, 4, true },
					LF_USE_READ, "input");
}

static int check_command(struct lf_validation *v, const struct lf_command *command)
{
	if (command->reserved)
		return refuse(v, "reserved");
	switch (le16_to_cpu(command->opcode)) {
	case LF_OP_BARRIER:
		return check_barrier(v, command);
	case LF_OP_MVM:
		return check_mvm(v, command);
	case LF_OP_FUSE:
		return check_fuse(v, command);
	case LF_OP_PROGRAM:
		return check_rows(v, command, LF_USE_PROGRAM);
	case LF_OP_READ:
		return check_rows(v, command, LF_USE_READ_CELLS);
	case LF_OP_CALIBRATE:
		return check_calibrate(v, command);
	default:
		return refuse(v, "opcode");
	}
}

/**
 * lf_validate() - check a job whole
 * @validation: the job; receives what the job does with its buffers and matrices
 *
 * Return: 0, or -EINVAL with @validation->failed_command and @validation->failed_field set.
 */
int lf_validate(struct lf_validation *validation)
{
	u32 i;

	for (i = 0; i < validation->command_count; i++) {
		int err = check_command(validation, &validation->commands[i]);

		if (err) {
			validation->failed_command = i;
			return err;
		}
	}
	return 0;
}
