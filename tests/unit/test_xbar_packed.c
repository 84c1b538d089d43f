// SPDX-License-Identifier: MIT
/*
 * Numbers of 12 bits, two in three bytes: every size round the registers of every variant, with nothing read or written beyond.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu-device/model/kernels.h"
#include "qemu-device/model/params.h"
#include "tests/unit/suite.h"
#include "tests/unit/xbar_rig.h"

/* More than four of the largest registers, and the most rows of a tile. */
#define SIZES	  140
#define CELLS	  KERNEL_GROUP

/* Behind what is written, so much is looked at. */
#define GUARD	  64
#define UNTOUCHED 0xa5

static void draw_cells(uint16_t *cells, uint32_t count, uint64_t *state)
{
	for (uint32_t i = 0; i < count; i++)
		cells[i] = (uint16_t)(draw_below(state, 8) ? draw_below(state, PACKED_MOST + 1)
							   : PACKED_MOST * draw_below(state, 2));
}

/* The first of @bytes behind which is a page that cannot be read; the whole is *@pages of two. */
static uint8_t *end_of_memory(size_t bytes, uint8_t **pages)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	*pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(*pages, MAP_FAILED);
	ck_assert_int_eq(mprotect(*pages + page, page, PROT_NONE), 0);
	return *pages + page - bytes;
}

static void check_unpacking(const struct kernels *kernels, const uint16_t *cells, uint32_t count)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint16_t got[CELLS + GUARD];
	uint8_t *pages, *packed = end_of_memory(xbar_packed_bytes(count), &pages);

	xbar_pack(cells, count, packed);
	memset(got, UNTOUCHED, sizeof(got));
	kernels->unpack(packed, count, got);
	ck_assert_msg(!memcmp(got, cells, count * sizeof(*cells)), "%s: %u cells", kernels->name,
		      count);
	for (size_t i = count * sizeof(*got); i < (count + GUARD) * sizeof(*got); i++)
		ck_assert_msg(((const uint8_t *)got)[i] == UNTOUCHED,
			      "%s: %u cells: byte %zu is written", kernels->name, count, i);
	ck_assert_int_eq(munmap(pages, 2 * page), 0);
}

START_TEST(unpacking_gives_what_was_packed)
{
	const struct kernels *kernels;
	uint64_t state = rig_seed();
	uint16_t cells[CELLS];

	if (xbar_kernels_choose((uint32_t)_i, &kernels))
		return;
	for (uint32_t count = 0; count <= SIZES; count++) {
		draw_cells(cells, count, &state);
		check_unpacking(kernels, cells, count);
	}
	draw_cells(cells, CELLS, &state);
	check_unpacking(kernels, cells, CELLS);
}
END_TEST

/* Every number, at either place of a pair, beside every other's extremes. */
START_TEST(every_number_has_its_bits)
{
	for (uint32_t number = 0; number <= PACKED_MOST; number++)
		for (uint32_t other = 0; other < 2; other++) {
			const uint16_t cells[] = { (uint16_t)number, PACKED_MOST * (uint16_t)other,
						   (uint16_t)number };
			const uint16_t exchanged[] = { cells[1], cells[0] };
			uint8_t packed[5];

			ck_assert_uint_eq(xbar_packed_bytes(3), sizeof(packed));
			xbar_pack(cells, 3, packed);
			ck_assert_uint_eq(packed[0] | packed[1] << 8 | packed[2] << 16,
					  cells[0] | cells[1] << 12);
			ck_assert_uint_eq(packed[3] | packed[4] << 8, cells[2]);
			xbar_pack(exchanged, 2, packed);
			ck_assert_uint_eq(packed[0] | packed[1] << 8 | packed[2] << 16,
					  cells[1] | cells[0] << 12);
		}
}
END_TEST

/* One cell is found without the others. */
START_TEST(a_cell_has_a_place)
{
	uint64_t state = rig_seed();
	uint16_t cells[SIZES];
	uint8_t packed[SIZES * 2];

	draw_cells(cells, SIZES, &state);
	xbar_pack(cells, SIZES, packed);
	for (uint32_t i = 0; i < SIZES; i++) {
		const uint8_t *at = packed + xbar_packed_at(i);

		ck_assert_uint_le(xbar_packed_at(i) + 2, xbar_packed_bytes(SIZES));
		ck_assert_uint_eq((uint32_t)(at[0] | at[1] << 8) >> xbar_packed_shift(i) &
					  PACKED_MOST,
				  cells[i]);
	}
}
END_TEST

/* Where the numbers lie, and before: as a plane is packed. */
START_TEST(numbers_are_packed_in_place)
{
	for (uint32_t count = 0; count <= SIZES; count++)
		for (uint32_t before = 0; before < 4; before++) {
			uint64_t state = rig_seed() + count;
			uint16_t cells[SIZES + 4], got[SIZES];
			uint8_t want[SIZES * 2];

			draw_cells(cells + before, count, &state);
			xbar_pack(cells + before, count, want);
			xbar_pack(cells + before, count, (uint8_t *)cells);
			ck_assert_mem_eq(cells, want, xbar_packed_bytes(count));
			xbar_unpack_scalar((const uint8_t *)cells, count, got);
			state = rig_seed() + count;
			draw_cells(cells, count, &state);
			ck_assert_mem_eq(got, cells, count * sizeof(*cells));
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("xbar packed");
	TCase *tests = tcase_create("packed");

	tcase_add_loop_test(tests, unpacking_gives_what_was_packed, XBAR_SIMD_SCALAR,
			    XBAR_SIMD_AVX512 + 1);
	tcase_add_test(tests, every_number_has_its_bits);
	tcase_add_test(tests, a_cell_has_a_place);
	tcase_add_test(tests, numbers_are_packed_in_place);
	suite_add_tcase(suite, tests);
	printf("# seed %llu\n", (unsigned long long)rig_seed());
	return suite_run(suite);
}
