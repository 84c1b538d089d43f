// SPDX-License-Identifier: MIT
/*
 * Checks of commands as they are added; see job_check.h. The device checks all of this again and
 * more (overlaps, the state of matrices): what is here is what the library can say better, since it
 * knows names and sizes.
 */
#include <errno.h>
#include <float.h>

#include "runtime/device/job_check.h"

#define MVM_FLAGS                                                                        \
	(LF_MVM_TRANSPOSE | LF_MVM_ACCUMULATE | LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE | \
	 LF_MVM_TILE_SCALE)
#define FUSE_KINDS (LF_FUSE_SUM | LF_FUSE_PRODUCT | LF_FUSE_AFFINE)

/**
 * struct operand_rule - what a view of an operand must describe
 * @name: of the operand
 * @required: it must be given
 * @scratch: it must be in scratch
 * @vectors: its second dimension, 0 where it has none and so no stride
 * @row_bytes: bytes of one vector, or of all of it
 * @element_bytes: bytes of an element
 */
struct operand_rule {
	const char *name;
	bool required;
	bool scratch;
	uint32_t vectors;
	uint64_t row_bytes;
	uint32_t element_bytes;
};

const char *lf_opcode_name(uint16_t opcode)
{
	static const char *const names[] = {
		[LF_OP_BARRIER] = "BARRIER", [LF_OP_MVM] = "MVM",   [LF_OP_FUSE] = "FUSE",
		[LF_OP_PROGRAM] = "PROGRAM", [LF_OP_READ] = "READ", [LF_OP_CALIBRATE] = "CALIBRATE",
	};

	return opcode && opcode < sizeof(names) / sizeof(names[0]) ? names[opcode] : "?";
}

/* Keeps a mistake in the command that is being added. */
static int refuse(struct lf_job *job, uint16_t opcode, const char *field, const char *reason)
{
	return lf_error_set(&job->mistake, -EINVAL, "command %u (%s): %s %s", job->command_count,
			    lf_opcode_name(opcode), field, reason);
}

static int refuse_range(struct lf_job *job, uint16_t opcode, const char *field, uint64_t value,
			uint64_t least, uint64_t most)
{
	return lf_error_set(
		&job->mistake, -EINVAL, "command %u (%s): %s is %llu, possible are %llu .. %llu",
		job->command_count, lf_opcode_name(opcode), field, (unsigned long long)value,
		(unsigned long long)least, (unsigned long long)most);
}

static int check_operand(struct lf_job *job, uint16_t opcode, const struct lf_view *view,
			 const struct operand_rule *rule)
{
	uint64_t available, span;
	bool in_buffer = view->space == LF_VIEW_BUFFER;

	if (view->space == LF_VIEW_NONE) {
		if (rule->required)
			return refuse(job, opcode, rule->name, "is missing");
		if (view->stride || view->offset || view->buffer)
			return refuse(job, opcode, rule->name, "is not given but has fields set");
		return 0;
	}
	if (!in_buffer && view->space != LF_VIEW_SCRATCH)
		return refuse(job, opcode, rule->name, "is in an unknown space");
	if (in_buffer && rule->scratch)
		return refuse(job, opcode, rule->name, "must be in scratch to be accumulated in");
	if (in_buffer && !view->buffer)
		return refuse(job, opcode, rule->name, "has no buffer");
	if (in_buffer && view->buffer->device != job->device)
		return refuse(job, opcode, rule->name, "is in a buffer of another device");
	if (!in_buffer && view->buffer)
		return refuse(job, opcode, rule->name, "is in scratch but names a buffer");

	if (!rule->vectors && view->stride)
		return refuse(job, opcode, rule->name, "has a stride but one dimension");
	if (rule->vectors > 1 || view->stride) {
		if (view->stride < rule->row_bytes || view->stride % rule->element_bytes)
			return lf_error_set(&job->mistake, -EINVAL,
					    "command %u (%s): stride of %s is %u, needed is a "
					    "multiple of %u, at least %llu",
					    job->command_count, lf_opcode_name(opcode), rule->name,
					    view->stride, rule->element_bytes,
					    (unsigned long long)rule->row_bytes);
	}
	if (view->offset % rule->element_bytes)
		return refuse(job, opcode, rule->name,
			      "does not begin at a multiple of an element");

	available = in_buffer ? view->buffer->bytes : job->scratch_bytes;
	span = rule->row_bytes;
	if (rule->vectors > 1)
		span += (uint64_t)(rule->vectors - 1) * view->stride;
	if (span > available || view->offset > available - span)
		return lf_error_set(&job->mistake, -EINVAL,
				    "command %u (%s): %s needs %llu bytes from offset %llu on, %s "
				    "%llu",
				    job->command_count, lf_opcode_name(opcode), rule->name,
				    (unsigned long long)span, (unsigned long long)view->offset,
				    in_buffer ? "the buffer has" : "set aside as scratch are",
				    (unsigned long long)available);
	return 0;
}

static int check_matrix(struct lf_job *job, uint16_t opcode, const struct lf_matrix *matrix)
{
	if (!matrix)
		return refuse(job, opcode, "matrix", "is missing");
	if (matrix->device != job->device)
		return refuse(job, opcode, "matrix", "is on another device");
	if (opcode == LF_OP_PROGRAM && matrix->committed)
		return refuse(job, opcode, "matrix", "is committed already");
	if ((opcode == LF_OP_MVM || opcode == LF_OP_CALIBRATE) && !matrix->committed)
		return refuse(job, opcode, "matrix", "is not committed");
	return 0;
}

/* The device quantises by 1 / scale, so that must be a number too. */
static bool is_scale(float scale)
{
	return scale > 0.0f && scale <= FLT_MAX && 1.0f / scale <= FLT_MAX;
}

static int check_mvm_flags(struct lf_job *job, const struct lf_mvm *mvm)
{
	bool int8 = mvm->flags & LF_MVM_INPUT_INT8;
	bool fixed = mvm->flags & LF_MVM_FIXED_SCALE;
	bool transpose = mvm->flags & LF_MVM_TRANSPOSE;

	if (mvm->flags & ~MVM_FLAGS)
		return refuse(job, LF_OP_MVM, "flags", "has unknown bits");
	if (int8 && !fixed)
		return refuse(job, LF_OP_MVM, "flags", "asks for int8 input without a fixed scale");
	if (fixed != is_scale(mvm->fixed_scale) || (!fixed && mvm->fixed_scale != 0.0f))
		return refuse(job, LF_OP_MVM, "fixed_scale",
			      fixed ? "and its inverse must be finite and above 0"
				    : "is set without its flag");
	if (int8 && mvm->matrix->format != LF_FORMAT_INT8)
		return refuse(job, LF_OP_MVM, "flags", "asks for int8 input of an fp32 matrix");
	if (int8 && mvm->factor.space)
		return refuse(job, LF_OP_MVM, "factor", "cannot act on int8 input");
	if (int8 && transpose && mvm->scale.space)
		return refuse(job, LF_OP_MVM, "scale", "cannot act on int8 input in transpose");
	if (transpose && mvm->bias.space)
		return refuse(job, LF_OP_MVM, "bias", "is for the forward direction only");
	if (transpose && mvm->partials.space)
		return refuse(job, LF_OP_MVM, "partials", "is for the forward direction only");
	return 0;
}

int lf_job_check_mvm(struct lf_job *job, const struct lf_mvm *mvm)
{
	const struct lf_matrix *matrix = mvm->matrix;
	bool transpose = mvm->flags & LF_MVM_TRANSPOSE;
	bool tile_scale = mvm->flags & LF_MVM_TILE_SCALE;
	uint32_t element = mvm->flags & LF_MVM_INPUT_INT8 ? sizeof(int8_t) : sizeof(float);
	uint32_t inputs, outputs;
	int err;

	err = check_matrix(job, LF_OP_MVM, matrix);
	if (err)
		return err;
	err = check_mvm_flags(job, mvm);
	if (err)
		return err;
	if (!mvm->count || mvm->count > job->device->info.batch)
		return refuse_range(job, LF_OP_MVM, "count", mvm->count, 1,
				    job->device->info.batch);
	inputs = transpose ? matrix->cols : matrix->rows;
	outputs = transpose ? matrix->rows : matrix->cols;

	const struct {
		const struct lf_view *view;
		struct operand_rule rule;
	} operands[] = {
		{ &mvm->input,
		  { "input", true, false, mvm->count, (uint64_t)inputs * element, element } },
		{ &mvm->output,
		  { "output", true, mvm->flags & LF_MVM_ACCUMULATE, mvm->count,
		    (uint64_t)outputs * 4, 4 } },
		{ &mvm->factor, { "factor", false, false, 0, (uint64_t)inputs * 4, 4 } },
		{ &mvm->scale,
		  { "scale", tile_scale, false, 0,
		    (uint64_t)matrix->cols * (tile_scale ? matrix->tile_rows : 1) * 4, 4 } },
		{ &mvm->bias, { "bias", false, false, 0, (uint64_t)matrix->cols * 4, 4 } },
		{ &mvm->partials,
		  { "partials", false, false, mvm->count,
		    (uint64_t)matrix->tile_rows * matrix->cols * 4, 4 } },
	};

	for (size_t i = 0; !err && i < sizeof(operands) / sizeof(operands[0]); i++)
		err = check_operand(job, LF_OP_MVM, operands[i].view, &operands[i].rule);
	return err;
}

int lf_job_check_fuse(struct lf_job *job, const struct lf_fuse *fuse)
{
	uint32_t kind = fuse->flags & FUSE_KINDS;
	bool affine = kind == LF_FUSE_AFFINE;
	uint64_t row_bytes = (uint64_t)fuse->width * 4;
	int err = 0;

	if (fuse->flags & ~(FUSE_KINDS | LF_FUSE_ACCUMULATE))
		return refuse(job, LF_OP_FUSE, "flags", "has unknown bits");
	if (!kind || (kind & (kind - 1)))
		return refuse(job, LF_OP_FUSE, "flags", "must hold one of SUM, PRODUCT and AFFINE");
	if (!fuse->count || fuse->count > job->device->info.batch)
		return refuse_range(job, LF_OP_FUSE, "count", fuse->count, 1,
				    job->device->info.batch);
	if (!fuse->width || row_bytes > UINT32_MAX)
		return refuse_range(job, LF_OP_FUSE, "width", fuse->width, 1, UINT32_MAX / 4);
	if (affine ? fuse->rank : !fuse->rank || fuse->width % fuse->rank)
		return refuse(job, LF_OP_FUSE, "rank",
			      affine ? "must be 0 with AFFINE" : "must divide the width");
	if (!affine && fuse->bias.space)
		return refuse(job, LF_OP_FUSE, "bias", "is for AFFINE only");

	const struct {
		const struct lf_view *view;
		struct operand_rule rule;
	} operands[] = {
		{ &fuse->input, { "input", true, false, fuse->count, row_bytes, 4 } },
		{ &fuse->output,
		  { "output", true, fuse->flags & LF_FUSE_ACCUMULATE, fuse->count, row_bytes, 4 } },
		{ &fuse->scale,
		  { "scale", !affine, false, 0,
		    affine ? row_bytes : (uint64_t)(fuse->width / fuse->rank) * 4, 4 } },
		{ &fuse->bias, { "bias", false, false, 0, row_bytes, 4 } },
	};

	for (size_t i = 0; !err && i < sizeof(operands) / sizeof(operands[0]); i++)
		err = check_operand(job, LF_OP_FUSE, operands[i].view, &operands[i].rule);
	return err;
}

int lf_job_check_rows(struct lf_job *job, uint16_t opcode, uint16_t flags,
		      const struct lf_matrix *matrix, uint32_t first, uint32_t count,
		      const struct lf_view *view, size_t *row_bytes)
{
	bool samples = opcode == LF_OP_CALIBRATE;
	uint32_t limit;
	struct operand_rule rule = {
		.name = opcode == LF_OP_READ ? "output" : "input",
		.required = true,
		.vectors = count,
	};
	int err = check_matrix(job, opcode, matrix);

	if (err)
		return err;
	if (!samples && first >= matrix->rows)
		return refuse_range(job, opcode, "first", first, 0, matrix->rows - 1);
	if (opcode == LF_OP_PROGRAM && view->space == LF_VIEW_SCRATCH)
		return refuse(job, opcode, "input", "must be in a buffer");
	limit = samples ? job->device->info.batch : matrix->rows - first;
	if (!count || count > limit)
		return refuse_range(job, opcode, "count", count, 1, limit);
	rule.element_bytes = samples || matrix->format == LF_FORMAT_FP32 ? 4 : 1;
	rule.row_bytes = (uint64_t)(samples ? matrix->rows : matrix->cols) * rule.element_bytes;
	if (flags & LF_READ_CELLS) {
		rule.element_bytes = 4;
		rule.row_bytes =
			(uint64_t)matrix->cols * matrix->weight_cells * sizeof(struct lf_cell);
	}
	if (rule.row_bytes > UINT32_MAX)
		return refuse(job, opcode, rule.name, "has rows that no stride can tell apart");
	*row_bytes = rule.row_bytes;
	return check_operand(job, opcode, view, &rule);
}
