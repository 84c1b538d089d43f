// SPDX-License-Identifier: MIT
/* The memory that commands of a job share: which operands overlap or cover others, and what is in scratch. */
#include <check.h>
#include <string.h>

#include "qemu-device/model/job.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

/* Against a map of bytes: never missed, and exact but for two strides. */
START_TEST(overlap_equals_a_map_of_bytes)
{
	uint64_t state = rig_seed();

	for (int trial = 0; trial < 20000; trial++) {
		struct xbar_transfer ranges[2];
		uint8_t map[256] = { 0 };
		bool meet = false, covered = true;

		for (int i = 0; i < 2; i++) {
			uint32_t row_bytes = 1 + draw_below(&state, 9);

			ranges[i] = (struct xbar_transfer){
				.rows = 1 + draw_below(&state, 5),
				.row_bytes = row_bytes,
				.offset = draw_below(&state, 60),
				.stride = row_bytes + draw_below(&state, 12),
			};
		}
		if (draw_below(&state, 2) && ranges[1].row_bytes <= ranges[0].stride)
			ranges[1].stride = ranges[0].stride;
		for (uint32_t r = 0; r < ranges[0].rows; r++)
			memset(map + ranges[0].offset + r * ranges[0].stride, 1,
			       ranges[0].row_bytes);
		for (uint32_t r = 0; r < ranges[1].rows; r++)
			for (uint32_t b = 0; b < ranges[1].row_bytes; b++) {
				meet |= map[ranges[1].offset + r * ranges[1].stride + b];
				covered &= map[ranges[1].offset + r * ranges[1].stride + b];
			}
		if (!covered)
			ck_assert(!xbar_covers(&ranges[0], &ranges[1]));
		else if (ranges[0].stride == ranges[1].stride)
			ck_assert(xbar_covers(&ranges[0], &ranges[1]));
		if (meet)
			ck_assert(xbar_overlap(&ranges[0], &ranges[1]));
		else if (ranges[0].stride == ranges[1].stride || ranges[0].rows == 1 ||
			 ranges[1].rows == 1)
			ck_assert(!xbar_overlap(&ranges[0], &ranges[1]));
	}
}
END_TEST

/* What a job finds in scratch that it has not written is zero, whatever an earlier run left there. */
START_TEST(scratch_starts_as_zeros)
{
	enum { VECTORS = 3, WIDTH = 8, STRIDE = 2 * WIDTH * 4 };
	float x[VECTORS * WIDTH], y[VECTORS * 2 * WIDTH];
	struct buffer buffers[2] = { { x, sizeof(x) }, { y, sizeof(y) } };
	struct lf_command commands[3] = {
		/* Accumulate into the right half of rows whose left half nobody writes ... */
		{ .flags = LF_FUSE_AFFINE | LF_FUSE_ACCUMULATE,
		  .width = WIDTH,
		  .input = { .space = LF_SPACE_BUFFER, .stride = WIDTH * 4 },
		  .output = { .space = LF_SPACE_SCRATCH, .stride = STRIDE, .offset = WIDTH * 4 } },
		/* ... read the whole rows, and dirty them for the next run. */
		{ .flags = LF_FUSE_AFFINE,
		  .width = 2 * WIDTH,
		  .input = { .space = LF_SPACE_SCRATCH, .stride = STRIDE },
		  .output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = STRIDE } },
		{ .flags = LF_FUSE_AFFINE,
		  .width = WIDTH,
		  .input = { .space = LF_SPACE_BUFFER, .stride = WIDTH * 4 },
		  .output = { .space = LF_SPACE_SCRATCH, .stride = STRIDE } },
	};
	struct xbar_request request = {
		.commands = commands,
		.command_count = 3,
		.buffer_bytes = (const uint64_t[]){ sizeof(x), sizeof(y) },
		.buffer_count = 2,
		.scratch_bytes = VECTORS * STRIDE,
	};
	struct lf_completion completion;
	struct xbar_transfer *transfers;
	struct xbar_job *job;
	struct rig rig;
	uint32_t count;

	for (int i = 0; i < VECTORS * WIDTH; i++)
		x[i] = (float)(i + 1);
	for (int i = 0; i < 3; i++) {
		commands[i].opcode = LF_OP_FUSE;
		commands[i].count = VECTORS;
	}
	rig_open(&rig, "ideal", "tiles=1");
	ck_assert_int_eq(xbar_job_open(rig.xbar, &request, &completion, &job), 0);
	transfers = xbar_job_transfers(job, &count);
	for (uint32_t i = 0; i < count; i++) {
		transfers[i].memory = buffers[transfers[i].buffer].memory;
		transfers[i].memory_stride = transfers[i].stride;
	}
	for (int run = 0; run < 3; run++) {
		xbar_job_run(job, &completion);
		ck_assert_uint_eq(completion.status, LF_STATUS_OK);
		for (int v = 0; v < VECTORS; v++)
			for (int j = 0; j < WIDTH; j++) {
				ck_assert(y[v * 2 * WIDTH + j] == 0.0f);
				ck_assert(y[v * 2 * WIDTH + WIDTH + j] == x[v * WIDTH + j]);
			}
	}
	xbar_job_close(job);
	rig_close(&rig);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar operands");
	TCase *tests = tcase_create("operands");

	tcase_add_test(tests, overlap_equals_a_map_of_bytes);
	tcase_add_test(tests, scratch_starts_as_zeros);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
