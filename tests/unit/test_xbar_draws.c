// SPDX-License-Identifier: MIT
/* Many draws at once are the draws one by one, to the bit, whatever the instruction set and the count. */
#include <check.h>
#include <string.h>

#include "qemu-device/model/draws.h"
#include "qemu-device/model/maths.h"
#include "qemu-device/model/params.h"
#include "qemu-device/model/philox.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

static const uint32_t sets[] = { XBAR_SIMD_SCALAR, XBAR_SIMD_AVX2, XBAR_SIMD_AVX512,
				 XBAR_SIMD_AUTO };

START_TEST(blocks_are_philox)
{
	const struct draws_ops *ops = xbar_draws_choose(sets[_i]);
	uint64_t state = rig_seed();
	uint32_t first[DRAWS_MAX];
	static struct draws draws;

	for (uint32_t count = 1; count <= DRAWS_MAX; count += count < 40 ? 1 : 163) {
		const uint32_t key[2] = { draw(&state), draw(&state) };
		const uint32_t rest[3] = { draw(&state), draw(&state), draw(&state) };

		memset(&draws, 0x5a, sizeof(draws));
		for (uint32_t i = 0; i < count; i++)
			first[i] = draw(&state);
		ops->blocks(first, rest, key, count, &draws);
		for (uint32_t i = 0; i < count; i++) {
			uint32_t block[4] = { first[i], rest[0], rest[1], rest[2] };

			xbar_philox(block, key, block);
			for (int k = 0; k < 4; k++)
				ck_assert_uint_eq(draws.words[k][i], block[k]);
		}
		for (int k = 0; count < DRAWS_MAX && k < 4; k++)
			ck_assert_uint_eq(draws.words[k][count], 0x5a5a5a5a);
	}
}
END_TEST

/* Random words, and those that lie in the far tails, at the ends and at the borders of the polynomials. */
START_TEST(gaussians_are_the_same)
{
	const struct draws_ops *ops = xbar_draws_choose(sets[_i]);
	static uint32_t low[DRAWS_MAX], high[DRAWS_MAX];
	static double z[DRAWS_MAX + 1];
	uint64_t state = rig_seed();

	for (int round = 0; round < 320; round++) {
		uint32_t count = 1 + draw_below(&state, round < 64 ? 40 : DRAWS_MAX);

		for (uint32_t i = 0; i < count; i++) {
			low[i] = draw(&state);
			high[i] = draw(&state);
			if (round & 1)
				high[i] >>= draw_below(&state, 33) % 32;
			if (round % 4 == 3)
				high[i] = ~high[i];
			if (round % 8 == 7)
				low[i] = high[i] & 1 ? draw_below(&state, 4)
						     : ~draw_below(&state, 4);
			if (round % 16 == 15) {
				/* |probability - 1/2| about 0.425: bits of 0.075. */
				high[i] = 0x26666666u + draw_below(&state, 3) - 1;
			}
		}
		z[count] = 77.0;
		ops->gaussians(low, high, count, z);
		for (uint32_t i = 0; i < count; i++) {
			double one = xbar_gaussian(low[i] | (uint64_t)high[i] << 32);

			ck_assert_mem_eq(&z[i], &one, sizeof(one));
		}
		ck_assert(z[count] == 77.0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar draws");
	TCase *tests = tcase_create("draws");

	tcase_add_loop_test(tests, blocks_are_philox, 0, 4);
	tcase_add_loop_test(tests, gaussians_are_the_same, 0, 4);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
