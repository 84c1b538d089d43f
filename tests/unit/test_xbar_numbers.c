// SPDX-License-Identifier: MIT
/*
 * Number formats at their corners, the digital unit, the float device.
 */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-device/model/kernels.h"
#include "qemu-device/model/params.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_reference.h"
#include "tests/unit/xbar_rig.h"

#define SETS 3

static const uint32_t sets[SETS] = { XBAR_SIMD_SCALAR, XBAR_SIMD_AVX2, XBAR_SIMD_AVX512 };
static const char *const set_names[SETS] = { "scalar", "avx2", "avx512" };

static uint32_t bits_of(float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

static float of_bits(uint32_t bits)
{
	float value;

	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Every variant that this processor has quantises like the reference, whatever the length. */
START_TEST(rounding_is_half_to_even_and_clamped)
{
	float values[67];
	uint64_t state = rig_seed();

	for (size_t i = 0; i < 67; i++)
		values[i] = (float)((int)draw_below(&state, 520) - 260) / 2.0f;
	values[0] = 0.5f;
	values[1] = 1.5f;
	values[2] = -2.5f;
	values[3] = 126.5f;
	values[4] = 127.5f;
	values[5] = -1e38f;
	values[6] = 1e38f;
	values[7] = -0.0f;
	values[8] = of_bits(1);
	values[9] = 0.49999997f;
	for (size_t set = 0; set < SETS; set++) {
		const struct kernels *kernels;

		if (xbar_kernels_choose(sets[set], &kernels))
			continue;
		for (uint32_t count = 1; count <= 67; count++) {
			int32_t sum = 0;
			int8_t q[68];

			memset(q, 99, sizeof(q));
			for (uint32_t i = 0; i < count; i++)
				sum += reference_quantise(values[i]);
			ck_assert_int_eq(kernels->quantise(values, NULL, NULL, 1.0f, count, q),
					 sum);
			for (uint32_t i = 0; i < count; i++)
				ck_assert_int_eq(q[i], reference_quantise(values[i]));
			ck_assert_int_eq(q[count], 99);
		}
	}
}
END_TEST

START_TEST(magnitude_sees_everything)
{
	for (size_t set = 0; set < SETS; set++) {
		const struct kernels *kernels;

		if (xbar_kernels_choose(sets[set], &kernels))
			continue;
		for (uint32_t i = 0; i < 40; i++) {
			float x[40] = { 0 }, f[40];

			for (uint32_t j = 0; j < 40; j++)
				f[j] = 2.0f;
			x[i] = -3.0f;
			ck_assert_uint_eq(kernels->magnitude(x, NULL, NULL, 40), bits_of(3.0f));
			ck_assert_uint_eq(kernels->magnitude(x, f, f, 40), bits_of(12.0f));
			ck_assert_uint_eq(kernels->magnitude(x, f, f, i), 0);
			x[i] = NAN;
			ck_assert_uint_ge(kernels->magnitude(x, NULL, NULL, 40), KERNEL_NONFINITE);
			x[i] = 3e38f;
			ck_assert_uint_ge(kernels->magnitude(x, f, NULL, 40), KERNEL_NONFINITE);
		}
	}
}
END_TEST

/* One row, one column, weight 100: y = 100 q s for the input given. */
static float one_product(float input, float fixed_scale)
{
	int8_t weight = 100;
	float output = 7.0f;
	struct buffer buffers[2] = { { &input, 4 }, { &output, 4 } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = fixed_scale != 0.0f ? LF_MVM_FIXED_SCALE : 0,
		.count = 1,
		.fixed_scale = bits_of(fixed_scale),
		.input = { .space = LF_SPACE_BUFFER, .stride = 4 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = 4 },
	};
	struct rig rig;

	rig_open(&rig, "ideal", "tiles=1");
	command.matrix = rig_matrix(&rig, 1, 1, &weight);
	ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 2), LF_STATUS_OK);
	rig_close(&rig);
	return output;
}

START_TEST(scales_at_their_corners)
{
	const float smallest = ldexpf(1.0f, -100);

	ck_assert_uint_eq(bits_of(one_product(0.0f, 0.0f)), 0);
	ck_assert_uint_eq(bits_of(one_product(-0.0f, 0.0f)), 0);
	ck_assert_uint_eq(bits_of(one_product(nextafterf(smallest, 0.0f), 0.0f)), 0);
	ck_assert_uint_eq(bits_of(one_product(of_bits(1), 0.0f)), 0);
	ck_assert_uint_eq(bits_of(one_product(smallest, 0.0f)),
			  bits_of(12700.0f * (smallest / 127.0f)));
	ck_assert_uint_eq(bits_of(one_product(-1.0f, 0.0f)), bits_of(-12700.0f * (1.0f / 127.0f)));
	ck_assert_uint_eq(bits_of(one_product(2.5f, 1.0f)), bits_of(200.0f));
	ck_assert_uint_eq(bits_of(one_product(1000.0f, 2.0f)), bits_of(25400.0f));
	ck_assert_uint_eq(bits_of(one_product(-3e38f, 0.5f)), bits_of(-6350.0f));
}
END_TEST

/* y of a FUSE of @width elements by @set, from scratch to scratch; @start is what accumulating adds to. */
static void run_fuse(size_t set, uint16_t flags, uint32_t count, uint32_t width, uint32_t rank,
		     bool in_place, float *x, float *start, float *scale, float *bias, float *y)
{
	uint32_t stride = width * 4, bytes = count * stride;
	uint64_t at = in_place ? 0 : bytes;
	uint32_t scales = rank ? width / rank : width;
	struct buffer buffers[5] = { { x, bytes },
				     { start, bytes },
				     { scale, scales * 4 },
				     { bias, stride },
				     { y, bytes } };
	struct lf_command commands[4] = {
		{ .input = { .space = LF_SPACE_BUFFER, .stride = stride },
		  .output = { .space = LF_SPACE_SCRATCH, .stride = stride } },
		{ .input = { .space = LF_SPACE_BUFFER,
			     .buffer = in_place ? 0 : 1,
			     .stride = stride },
		  .output = { .space = LF_SPACE_SCRATCH, .stride = stride, .offset = at } },
		{ .input = { .space = LF_SPACE_SCRATCH, .stride = stride },
		  .output = { .space = LF_SPACE_SCRATCH, .stride = stride, .offset = at } },
		{ .input = { .space = LF_SPACE_SCRATCH, .stride = stride, .offset = at },
		  .output = { .space = LF_SPACE_BUFFER, .buffer = 4, .stride = stride } },
	};
	char settings[32];
	struct rig rig;

	for (int i = 0; i < 4; i++) {
		commands[i].opcode = LF_OP_FUSE;
		commands[i].flags = LF_FUSE_AFFINE;
		commands[i].count = count;
		commands[i].width = width;
	}
	commands[2].flags = flags;
	commands[2].rank = rank;
	if (scale)
		commands[2].scale = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 2 };
	if (bias)
		commands[2].bias = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 3 };
	snprintf(settings, sizeof(settings), "tiles=1,simd=%s", set_names[set]);
	rig_open(&rig, "ideal", settings);
	rig.scratch_bytes = 2 * bytes;
	rig.threads = 3;
	ck_assert_uint_eq(rig_run_queue(&rig, commands, 4, buffers, 5, false), LF_STATUS_OK);
	ck_assert_uint_gt(rig.completion.energy_aj[LF_ENERGY_DIGITAL], 0);
	rig_close(&rig);
}

/* What a FUSE must give, element by element. */
static void expect_fused(const float *y, uint32_t mode, uint32_t count, uint32_t width,
			 uint32_t rank, const float *before, const float *x, const float *scale,
			 const float *bias, const char *about)
{
	for (uint32_t v = 0; v < count; v++)
		for (uint32_t j = 0; j < width; j++) {
			float value = x[v * width + j];

			if (mode == 2) {
				value = 0.0f;
				for (uint32_t i = 0; i < width / rank; i++)
					value += scale[i] * x[v * width + i * rank + j % rank];
			}
			if (scale)
				value *= scale[mode ? j / rank : j];
			if (bias)
				value += bias[j];
			if (before)
				value = before[v * width + j] + value;
			ck_assert_msg(bits_of(value) == bits_of(y[v * width + j]),
				      "%s: [%u][%u] is %a, not %a", about, v, j,
				      (double)y[v * width + j], (double)value);
		}
}

START_TEST(fuse_equals_its_formulas)
{
	uint64_t seed = rig_seed() + (uint64_t)_i, state = seed;
	uint32_t rank = 1 + draw_below(&state, 90), groups = 1 + draw_below(&state, 8);
	uint32_t width = rank * groups, count = 1 + draw_below(&state, 80);
	bool in_place = draw_below(&state, 2), accumulate = draw_below(&state, 2);
	uint32_t mode = draw_below(&state, 3);
	bool scaled = mode || draw_below(&state, 2), biased = !mode && draw_below(&state, 2);
	float *x = malloc(count * width * 4), *start = malloc(count * width * 4);
	float *y = malloc(count * width * 4), *scale = malloc(width * 4), *bias = malloc(width * 4);
	static const uint16_t modes[] = { LF_FUSE_AFFINE, LF_FUSE_SUM, LF_FUSE_PRODUCT };
	uint16_t flags = modes[mode] | (accumulate ? LF_FUSE_ACCUMULATE : 0);

	for (uint32_t i = 0; i < count * width; i++) {
		x[i] = draw_float(&state);
		start[i] = draw_float(&state);
	}
	for (uint32_t i = 0; i < width; i++) {
		scale[i] = draw_float(&state);
		bias[i] = draw_float(&state);
	}
	for (size_t set = 0; set < SETS; set++) {
		const struct kernels *kernels;
		char about[128];

		if (xbar_kernels_choose(sets[set], &kernels))
			continue;
		snprintf(about, sizeof(about), "seed %llu, %s, mode %u, rank %u, %u groups",
			 (unsigned long long)seed, set_names[set], mode, rank, groups);
		run_fuse(set, flags, count, width, mode ? rank : 0, in_place, x, start,
			 scaled ? scale : NULL, biased ? bias : NULL, y);
		expect_fused(y, mode, count, width, rank,
			     !accumulate ? NULL
			     : in_place	 ? x
					 : start,
			     x, scaled ? scale : NULL, biased ? bias : NULL, about);
	}
	free(x);
	free(start);
	free(y);
	free(scale);
	free(bias);
}
END_TEST

/* The float device: sums in ascending order, no quantising, all options. */
START_TEST(float_device_is_an_oracle)
{
	enum { ROWS = 300, COLS = 70, COUNT = 5, TILES = 3 };
	static float weights[ROWS * COLS], x[COUNT * ROWS], factor[ROWS], scale[TILES * COLS];
	static float bias[COLS], y[COUNT * ROWS], partials[COUNT * TILES * COLS];
	bool transpose = _i & 1, tile_scale = _i & 2;
	uint32_t inputs = transpose ? COLS : ROWS, outputs = transpose ? ROWS : COLS;
	uint64_t state = rig_seed();
	struct buffer buffers[] = { { x, sizeof(x) },		{ y, sizeof(y) },
				    { factor, sizeof(factor) }, { scale, sizeof(scale) },
				    { bias, sizeof(bias) },	{ partials, sizeof(partials) } };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = (transpose ? LF_MVM_TRANSPOSE : 0) | (tile_scale ? LF_MVM_TILE_SCALE : 0),
		.count = COUNT,
		.input = { .space = LF_SPACE_BUFFER, .stride = inputs * 4 },
		.output = { .space = LF_SPACE_BUFFER, .buffer = 1, .stride = outputs * 4 },
		.factor = { .space = LF_SPACE_BUFFER, .buffer = 2 },
		.scale = { .space = LF_SPACE_BUFFER, .buffer = 3 },
	};
	struct rig rig;

	for (uint32_t i = 0; i < ROWS * COLS; i++)
		weights[i] = draw_float(&state);
	for (uint32_t i = 0; i < COUNT * ROWS; i++)
		x[i] = draw_float(&state);
	for (uint32_t i = 0; i < ROWS; i++)
		factor[i] = draw_float(&state);
	for (uint32_t i = 0; i < TILES * COLS; i++)
		scale[i] = draw_float(&state);
	for (uint32_t i = 0; i < COLS; i++)
		bias[i] = draw_float(&state);
	if (!transpose) {
		command.bias = (struct lf_operand){ .space = LF_SPACE_BUFFER, .buffer = 4 };
		command.partials = (struct lf_operand){ .space = LF_SPACE_BUFFER,
							.buffer = 5,
							.stride = TILES * COLS * 4 };
	}
	rig_open(&rig, "float", "tiles=8");
	rig.threads = 2;
	command.matrix = rig_matrix(&rig, ROWS, COLS, weights);
	ck_assert_uint_eq(rig_run(&rig, &command, 1, buffers, 6), LF_STATUS_OK);
	ck_assert_uint_eq(rig.completion.busy_ns, 0);
	rig_close(&rig);
	for (uint32_t v = 0; v < COUNT; v++)
		for (uint32_t c = 0; c < outputs; c++) {
			float d = 0.0f, part = 0.0f, t = 0.0f;

			for (uint32_t k = 0; k < inputs; k++) {
				float value = x[v * inputs + k] * factor[k];

				if (transpose) {
					value *= scale[(tile_scale ? c / 128 * COLS : 0) + k];
					d += value * weights[c * COLS + k];
					continue;
				}
				d += value * weights[k * COLS + c];
				part = (k % 128 ? part : 0.0f) + value * weights[k * COLS + c];
				if (k % 128 == 127 || k == inputs - 1) {
					float scaled = part * scale[k / 128 * COLS + c];

					t = k / 128 ? t + scaled : scaled;
					ck_assert_uint_eq(
						bits_of(partials[(v * TILES + k / 128) * COLS + c]),
						bits_of(part));
				}
			}
			if (!transpose)
				d = (tile_scale ? t : d * scale[c]) + bias[c];
			ck_assert_uint_eq(bits_of(y[v * outputs + c]), bits_of(d));
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar numbers");
	TCase *tests = tcase_create("numbers");

	tcase_add_test(tests, rounding_is_half_to_even_and_clamped);
	tcase_add_test(tests, magnitude_sees_everything);
	tcase_add_test(tests, scales_at_their_corners);
	tcase_add_loop_test(tests, fuse_equals_its_formulas, 0, 40);
	tcase_add_loop_test(tests, float_device_is_an_oracle, 0, 4);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
