// SPDX-License-Identifier: MIT
/*
 * The same jobs through the runtime on /dev/accel and on the in-process device: every byte of the
 * outputs and every counter must agree, for the two execute the same model behind two very
 * different roads.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/device.h>
#include <lf/job.h>
#include <lf/matrix.h>

#include "tests/guest/ktap.h"

#define INPUTS	     200
#define OUTPUTS	     72
#define MODULES	     3
#define RANK	     8
#define STACK	     (MODULES * RANK)
#define COUNT	     4

/* Offsets in the buffer of inputs. */
#define VECTORS	     0	  /* [COUNT][INPUTS] fp32 */
#define INTEGERS     4096 /* [COUNT][INPUTS] int8 */
#define FACTORS	     5120 /* [INPUTS] */
#define SCALES	     6144 /* [2][OUTPUTS] */
#define BIASES	     7168 /* [OUTPUTS] */
#define COEFFICIENTS 7680 /* [MODULES] */
#define INPUT_BYTES  8192

#define OUTPUT_BYTES 32768

/* A call of the library that must succeed. */
#define CHECK_LF(call)                                        \
	do {                                                  \
		struct lf_error error_ = { 0 };               \
		struct lf_error *lf_error = &error_;          \
		if (call) {                                   \
			printf("# %s\n", error_.text);        \
			ktap_fail(__FILE__, __LINE__, #call); \
		}                                             \
	} while (0)

/** struct rig - a device with all a scenario needs */
struct rig {
	struct lf_device *device;
	struct lf_buffer *input;
	struct lf_buffer *output;
	struct lf_matrix *base; /* [INPUTS][OUTPUTS] */
	struct lf_matrix *down; /* [INPUTS][STACK] */
	struct lf_matrix *up;	/* [STACK][OUTPUTS] */
	struct lf_job *job;
};

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static struct lf_matrix *make_matrix(struct lf_device *device, uint32_t rows, uint32_t cols,
				     uint32_t seed)
{
	struct lf_matrix *matrix = NULL;
	int8_t weights[INPUTS * OUTPUTS];

	for (uint32_t i = 0; i < rows * cols; i++)
		weights[i] = (int8_t)((int)(next_random(&seed) % 255) - 127);
	CHECK_LF(lf_matrix_create(device, rows, cols, LF_FORMAT_INT8, &matrix, lf_error));
	CHECK_LF(lf_matrix_program(matrix, 0, rows, weights, NULL, lf_error));
	CHECK_LF(lf_matrix_commit(matrix, lf_error));
	return matrix;
}

static struct rig make_rig(const char *specification)
{
	struct rig rig = { 0 };
	uint32_t seed = 5;
	float *values;
	int8_t *integers;

	CHECK_LF(lf_device_open(specification, &rig.device, lf_error));
	CHECK_LF(lf_buffer_create(rig.device, INPUT_BYTES, &rig.input, lf_error));
	CHECK_LF(lf_buffer_create(rig.device, OUTPUT_BYTES, &rig.output, lf_error));
	values = lf_buffer_data(rig.input);
	for (size_t i = 0; i < INPUT_BYTES / sizeof(*values); i++)
		values[i] = (float)next_random(&seed) / (1 << 23) - 1.0f;
	integers = (int8_t *)values + INTEGERS;
	for (size_t i = 0; i < COUNT * INPUTS; i++)
		integers[i] = (int8_t)((int)(next_random(&seed) % 255) - 127);
	rig.base = make_matrix(rig.device, INPUTS, OUTPUTS, 1);
	rig.down = make_matrix(rig.device, INPUTS, STACK, 2);
	rig.up = make_matrix(rig.device, STACK, OUTPUTS, 3);
	CHECK_LF(lf_job_create(rig.device, &rig.job, lf_error));
	return rig;
}

static void free_rig(struct rig *rig)
{
	lf_job_destroy(rig->job);
	lf_matrix_close(rig->base);
	lf_matrix_close(rig->down);
	lf_matrix_close(rig->up);
	lf_buffer_destroy(rig->input);
	lf_buffer_destroy(rig->output);
	lf_device_close(rig->device);
}

static void fill_forward(struct rig *rig)
{
	lf_job_mvm(rig->job, &(struct lf_mvm){
				     .matrix = rig->base,
				     .flags = LF_MVM_TILE_SCALE,
				     .count = COUNT,
				     .input = lf_view_buffer(rig->input, VECTORS, INPUTS * 4),
				     .output = lf_view_buffer(rig->output, 0, OUTPUTS * 4),
				     .factor = lf_view_buffer(rig->input, FACTORS, 0),
				     .scale = lf_view_buffer(rig->input, SCALES, 0),
				     .bias = lf_view_buffer(rig->input, BIASES, 0),
				     .partials = lf_view_buffer(rig->output, 4096, 2 * OUTPUTS * 4),
			     });
}

static void fill_transpose(struct rig *rig)
{
	lf_job_mvm(rig->job, &(struct lf_mvm){
				     .matrix = rig->base,
				     .flags = LF_MVM_TRANSPOSE,
				     .count = COUNT,
				     .input = lf_view_buffer(rig->input, VECTORS, OUTPUTS * 4),
				     .output = lf_view_buffer(rig->output, 0, INPUTS * 4),
				     .scale = lf_view_buffer(rig->input, SCALES, 0),
			     });
}

static void fill_integers(struct rig *rig)
{
	lf_job_mvm(rig->job, &(struct lf_mvm){
				     .matrix = rig->base,
				     .flags = LF_MVM_INPUT_INT8 | LF_MVM_FIXED_SCALE,
				     .count = COUNT,
				     .fixed_scale = 0.03f,
				     .input = lf_view_buffer(rig->input, INTEGERS, INPUTS),
				     .output = lf_view_buffer(rig->output, 0, OUTPUTS * 4),
			     });
}

/* A LoRAFusion linear with either merge, and A x as a further output. */
static void fill_fused(struct rig *rig, uint16_t merge)
{
	uint64_t hidden, stack;

	hidden = lf_job_scratch(rig->job, COUNT * OUTPUTS * 4);
	stack = lf_job_scratch(rig->job, COUNT * STACK * 4);
	lf_job_mvm(rig->job, &(struct lf_mvm){
				     .matrix = rig->base,
				     .count = COUNT,
				     .input = lf_view_buffer(rig->input, VECTORS, INPUTS * 4),
				     .output = lf_view_scratch(hidden, OUTPUTS * 4),
			     });
	lf_job_mvm(rig->job, &(struct lf_mvm){
				     .matrix = rig->down,
				     .count = COUNT,
				     .input = lf_view_buffer(rig->input, VECTORS, INPUTS * 4),
				     .output = lf_view_scratch(stack, STACK * 4),
			     });
	lf_job_fuse(rig->job, &(struct lf_fuse){
				      .flags = LF_FUSE_AFFINE,
				      .count = COUNT,
				      .width = STACK,
				      .input = lf_view_scratch(stack, STACK * 4),
				      .output = lf_view_buffer(rig->output, 8192, STACK * 4),
			      });
	lf_job_fuse(rig->job, &(struct lf_fuse){
				      .flags = merge,
				      .count = COUNT,
				      .width = STACK,
				      .rank = RANK,
				      .input = lf_view_scratch(stack, STACK * 4),
				      .output = lf_view_scratch(stack, STACK * 4),
				      .scale = lf_view_buffer(rig->input, COEFFICIENTS, 0),
			      });
	lf_job_mvm(rig->job, &(struct lf_mvm){
				     .matrix = rig->up,
				     .flags = LF_MVM_ACCUMULATE,
				     .count = COUNT,
				     .input = lf_view_scratch(stack, STACK * 4),
				     .output = lf_view_scratch(hidden, OUTPUTS * 4),
			     });
	lf_job_fuse(rig->job, &(struct lf_fuse){
				      .flags = LF_FUSE_AFFINE,
				      .count = COUNT,
				      .width = OUTPUTS,
				      .input = lf_view_scratch(hidden, OUTPUTS * 4),
				      .output = lf_view_buffer(rig->output, 0, OUTPUTS * 4),
				      .scale = lf_view_buffer(rig->input, SCALES, 0),
				      .bias = lf_view_buffer(rig->input, BIASES, 0),
			      });
}

static void fill_sum_of_products(struct rig *rig)
{
	fill_fused(rig, LF_FUSE_SUM);
}

static void fill_product_of_sums(struct rig *rig)
{
	fill_fused(rig, LF_FUSE_PRODUCT);
}

static void run(struct rig *rig, void (*fill)(struct rig *rig), struct lf_counters *counters)
{
	lf_job_begin(rig->job, 42);
	fill(rig);
	CHECK_LF(lf_job_submit(rig->job, lf_error));
	CHECK_LF(lf_job_wait(rig->job, -1, lf_error));
	CHECK_LF(lf_device_counters(rig->device, counters, lf_error));
}

/* Runs jobs on the real device and on a model of the same geometry. */
static void compare(void (*fill)(struct rig *rig))
{
	struct lf_device *device = NULL;
	struct lf_counters counters[2];
	const struct lf_device_info *info;
	struct rig real, model;
	char specification[256], adc[16] = "ideal";

	CHECK_LF(lf_device_open(NULL, &device, lf_error));
	info = lf_device_info(device);
	if (strcmp(info->kind, "drm"))
		ktap_skip("no accelerator");
	if (info->adc_bits)
		snprintf(adc, sizeof(adc), "%u", info->adc_bits);
	snprintf(specification, sizeof(specification),
		 "inproc:%s,tiles=64,tile_rows=%u,tile_cols=%u,cell_bits=%u,adc_bits=%s",
		 info->preset, info->tile_rows, info->tile_cols, info->cell_bits, adc);
	real = make_rig(info->path);
	model = make_rig(specification);
	run(&real, fill, &counters[0]);
	run(&model, fill, &counters[1]);

	CHECK(!memcmp(lf_buffer_data(real.output), lf_buffer_data(model.output), OUTPUT_BYTES));
	CHECK(lf_job_result(real.job)->counters.mvm_count > 0);
	CHECK(!memcmp(&lf_job_result(real.job)->counters, &lf_job_result(model.job)->counters,
		      sizeof(struct lf_counters)));
	CHECK(counters[0].cells_written > 0);
	CHECK(!memcmp(&counters[0], &counters[1], sizeof(counters[0])));
	free_rig(&real);
	free_rig(&model);
	lf_device_close(device);
}

static void forward_agrees(void)
{
	compare(fill_forward);
}

static void transpose_agrees(void)
{
	compare(fill_transpose);
}

static void integers_agree(void)
{
	compare(fill_integers);
}

static void sum_of_products_agrees(void)
{
	compare(fill_sum_of_products);
}

static void product_of_sums_agrees(void)
{
	compare(fill_product_of_sums);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(forward_agrees),	   KTAP_TEST(transpose_agrees),
		KTAP_TEST(integers_agree),	   KTAP_TEST(sum_of_products_agrees),
		KTAP_TEST(product_of_sums_agrees),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
