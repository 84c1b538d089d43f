// SPDX-License-Identifier: MIT
/* The checksum of files: known values, and any size from any address in any pieces. */
#include <check.h>
#include <string.h>

#include "runtime/io/crc32c.h"
#include "tests/unit/suite.h"

static uint32_t checksum_of(const void *bytes, size_t size_bytes)
{
	struct lf_crc32c crc;

	lf_crc32c_start(&crc);
	lf_crc32c_add(&crc, bytes, size_bytes);
	return lf_crc32c_value(&crc);
}

/* RFC 3720, appendix B.4, and the check value that catalogues of checksums list. */
START_TEST(checksum_is_crc32c)
{
	static const unsigned char scsi_read[48] = {
		0x01,	     0xc0,	  [16] = 0x14, [22] = 0x04,
		[27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02,
	};
	unsigned char bytes[32];

	memset(bytes, 0, sizeof(bytes));
	ck_assert_uint_eq(checksum_of(bytes, sizeof(bytes)), 0x8a9136aau);
	memset(bytes, 0xff, sizeof(bytes));
	ck_assert_uint_eq(checksum_of(bytes, sizeof(bytes)), 0x62a8ab43u);
	for (int i = 0; i < 32; i++)
		bytes[i] = (unsigned char)i;
	ck_assert_uint_eq(checksum_of(bytes, sizeof(bytes)), 0x46dd794eu);
	for (int i = 0; i < 32; i++)
		bytes[i] = (unsigned char)(31 - i);
	ck_assert_uint_eq(checksum_of(bytes, sizeof(bytes)), 0x113fdb5cu);
	ck_assert_uint_eq(checksum_of(scsi_read, sizeof(scsi_read)), 0xd9963a56u);
	ck_assert_uint_eq(checksum_of("123456789", 9), 0xe3069283u);
	ck_assert_uint_eq(checksum_of(NULL, 0), 0);
}
END_TEST

/* The definition, a bit at a time. */
static uint32_t checksum_by_bits(const unsigned char *bytes, size_t size_bytes)
{
	uint32_t state = 0xffffffffu;

	for (size_t i = 0; i < size_bytes; i++) {
		state ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			state = state >> 1 ^ (state & 1 ? 0x82f63b78u : 0);
	}
	return ~state;
}

/* Of any size, from any address, in one piece and in two. */
START_TEST(checksum_needs_no_alignment)
{
	unsigned char bytes[96];
	uint32_t word = 1;

	for (size_t i = 0; i < sizeof(bytes); i++) {
		word = word * 1664525u + 1013904223u;
		bytes[i] = (unsigned char)(word >> 24);
	}
	for (size_t first = 0; first < 16; first++)
		for (size_t size = 0; size < 80; size++) {
			uint32_t expected = checksum_by_bits(bytes + first, size);

			ck_assert_uint_eq(checksum_of(bytes + first, size), expected);
			for (size_t cut = 0; cut <= size; cut += 3) {
				struct lf_crc32c crc;

				lf_crc32c_start(&crc);
				lf_crc32c_add(&crc, bytes + first, cut);
				lf_crc32c_add(&crc, bytes + first + cut, size - cut);
				ck_assert_uint_eq(lf_crc32c_value(&crc), expected);
			}
		}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crc32c");
	TCase *tcase = tcase_create("checksum");

	tcase_add_test(tcase, checksum_is_crc32c);
	tcase_add_test(tcase, checksum_needs_no_alignment);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
