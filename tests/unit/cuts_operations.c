// SPDX-License-Identifier: MIT
/* Operations on a device; see cuts_operations.h. A matrix is programmed with weights that follow from its identifier. */
#include <check.h>

#include "tests/unit/cuts_fixture.h"
#include "tests/unit/cuts_operations.h"

const char *const cuts_operation_names[OPERATIONS] = {
	"create",   "program", "commit",    "publish", "rename", "delete",
	"sanitize", "refresh", "calibrate", "quota",   "age",	 "stick",
};

/* The youngest or oldest matrix in a state between @least and @most; NULL when there is none. */
static struct matrix *find(const struct rig *rig, uint32_t least, uint32_t most, bool youngest)
{
	struct matrix *found = NULL;

	for (uint32_t i = 0; i < CUTS_MATRICES; i++) {
		struct matrix *matrix = &rig->xbar->matrices[i];

		if (matrix->state >= least && matrix->state <= most &&
		    (!found || (matrix->entry.matrix > found->entry.matrix) == youngest))
			found = matrix;
	}
	return found;
}

static uint16_t program_rows(struct rig *rig, const struct matrix *matrix, uint32_t first,
			     uint32_t count)
{
	int8_t weights[CUTS_WEIGHTS];
	struct buffer buffer = { weights, sizeof(weights) };
	struct lf_command command = {
		.opcode = LF_OP_PROGRAM,
		.matrix = matrix->entry.matrix,
		.first = first,
		.count = count,
		.input = { .space = LF_SPACE_BUFFER,
			   .stride = matrix->entry.cols,
			   .offset = first * matrix->entry.cols },
	};

	draw_weights(weights, CUTS_WEIGHTS, matrix->entry.matrix);
	return rig_run(rig, &command, 1, &buffer, 1);
}

uint16_t cuts_manage(struct rig *rig, uint16_t opcode, uint32_t matrix, uint32_t count)
{
	struct lf_command command = { .opcode = opcode, .matrix = matrix, .count = count };

	return rig_run(rig, &command, 1, NULL, 0);
}

static uint16_t calibrate(struct rig *rig, const struct matrix *matrix)
{
	float samples[8] = { 1.0f, -0.5f, 0.25f, 1.0f, 0.75f, -1.0f, 0.5f, 0.125f };
	struct buffer buffer = { samples, matrix->entry.rows * 4 };
	struct lf_command command = {
		.opcode = LF_OP_CALIBRATE,
		.matrix = matrix->entry.matrix,
		.count = 1,
		.input = { .space = LF_SPACE_BUFFER, .stride = matrix->entry.rows * 4 },
	};

	return rig_run(rig, &command, 1, &buffer, 1);
}

bool cuts_operate(struct rig *rig, enum operation operation, uint32_t *renamed)
{
	static const char *const other_names[] = { "other", "a" };
	struct matrix *matrix = NULL;

	switch (operation) {
	case CREATE:
		return rig_create_matrix(rig, 5, 4) != 0;
	case PROGRAM:
		matrix = find(rig, LF_MATRIX_TORN, LF_MATRIX_TORN, true);
		return matrix && matrix->rows_programmed < matrix->entry.rows &&
		       !program_rows(rig, matrix, matrix->rows_programmed,
				     matrix->entry.rows - matrix->rows_programmed);
	case COMMIT:
		matrix = find(rig, LF_MATRIX_TORN, LF_MATRIX_TORN, true);
		return matrix && !rig_commit(rig, matrix->entry.matrix);
	case PUBLISH:
		matrix = find(rig, LF_MATRIX_COMMITTED, LF_MATRIX_COMMITTED, true);
		return matrix && !rig_publish(rig, matrix->entry.matrix, "new");
	case RENAME:
		matrix = find(rig, LF_MATRIX_PUBLISHED, LF_MATRIX_PUBLISHED, false);
		return matrix &&
		       !rig_publish(rig, matrix->entry.matrix, other_names[(*renamed)++ % 2]);
	case DELETE:
		matrix = find(rig, LF_MATRIX_TORN, LF_MATRIX_PUBLISHED, false);
		return matrix && !rig_delete(rig, matrix->entry.matrix);
	case SANITIZE:
		return rig->xbar->tiles_dirty && !cuts_manage(rig, LF_OP_SANITIZE, 0, CUTS_TILES);
	case REFRESH:
		matrix = find(rig, LF_MATRIX_COMMITTED, LF_MATRIX_PUBLISHED, false);
		return matrix && !cuts_manage(rig, LF_OP_REFRESH, matrix->entry.matrix, 0);
	case CALIBRATE:
		matrix = find(rig, LF_MATRIX_COMMITTED, LF_MATRIX_PUBLISHED, true);
		return matrix && !calibrate(rig, matrix);
	case QUOTA:
		return !rig_set_quota(rig, CUTS_OTHER, 5000 + rig->xbar->counters.jobs);
	case AGE:
		xbar_advance_time(rig->xbar, CUTS_AGE_NS);
		return true;
	case STICK:
		xbar_inject_stuck(rig->xbar, 20000);
		return true;
	default:
		return false;
	}
}

static uint32_t make_matrix(struct rig *rig, uint32_t rows, uint32_t cols)
{
	uint32_t identifier = rig_create_matrix(rig, rows, cols);
	int8_t weights[CUTS_WEIGHTS];

	ck_assert_uint_ne(identifier, 0);
	draw_weights(weights, CUTS_WEIGHTS, identifier);
	ck_assert_uint_eq(rig_program(rig, identifier, rows, cols, weights), LF_STATUS_OK);
	ck_assert_uint_eq(rig_commit(rig, identifier), LF_STATUS_OK);
	return identifier;
}

void cuts_base(struct rig *rig, uint32_t base)
{
	uint32_t first, gone, torn;

	if (base == 0)
		return;
	/* More than the journal takes at once. */
	first = make_matrix(rig, 8, 7);
	ck_assert_uint_eq(rig_publish(rig, first, "a"), LF_STATUS_OK);
	make_matrix(rig, 3, 4);
	gone = make_matrix(rig, 4, 4);
	ck_assert_uint_eq(rig_delete(rig, gone), LF_STATUS_OK);
	torn = rig_create_matrix(rig, 6, 3);
	ck_assert_uint_ne(torn, 0);
	ck_assert_uint_eq(program_rows(rig, xbar_directory_find(rig->xbar, torn), 0, 3), 0);
}
