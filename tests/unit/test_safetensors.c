// SPDX-License-Identifier: MIT
/* Safetensors: what is written is read back, conversions are exact, hostile files are refused. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

#include <lf/safetensors.h>

#include "runtime/io/float16.h"
#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

static const float six[6] = { 1.0f, -2.5f, 0.0f, 65504.0f, -0.00006103515625f, 3.1415927f };

static void save_sample(const char *path, int reversed)
{
	struct lf_safetensors_writer *writer;
	struct lf_error error = { 0 };

	ck_assert_int_eq(lf_safetensors_writer_new(&writer, &error), 0);
	lf_safetensors_writer_checksum(writer);
	for (int i = 0; i < 4; i++) {
		int ret = -1;

		switch (reversed ? 3 - i : i) {
		case 0:
			ret = lf_safetensors_writer_add(writer, "b.weight", LF_DTYPE_F32, 2,
							(uint64_t[]){ 2, 3 }, six, &error);
			break;
		case 1:
			ret = lf_safetensors_writer_add(writer, "a.half", LF_DTYPE_F16, 1,
							(uint64_t[]){ 6 }, six, &error);
			break;
		case 2:
			ret = lf_safetensors_writer_add(writer, "scalar", LF_DTYPE_F32, 0, NULL,
							six + 1, &error);
			break;
		case 3:
			ret = lf_safetensors_writer_metadata(writer, reversed ? "zoo" : "format",
							     reversed ? "x" : "pt", &error);
			ret |= lf_safetensors_writer_metadata(writer, reversed ? "format" : "zoo",
							      reversed ? "pt" : "x", &error);
			break;
		}
		ck_assert_msg(ret == 0, "%s", error.text);
	}
	ck_assert_msg(lf_safetensors_writer_save(writer, path, &error) == 0, "%s", error.text);
	lf_safetensors_writer_free(writer);
}

START_TEST(written_is_read_back)
{
	struct lf_safetensors *file;
	struct lf_error error = { 0 };
	float values[6];

	save_sample(io_path("sample"), 0);
	ck_assert_msg(lf_safetensors_open(&file, io_path("sample"), &error) == 0, "%s", error.text);
	ck_assert_uint_eq(lf_safetensors_count(file), 3);
	ck_assert_str_eq(lf_safetensors_at(file, 0)->name, "b.weight");
	ck_assert_str_eq(lf_safetensors_at(file, 2)->name, "a.half");
	ck_assert_uint_eq((uintptr_t)lf_safetensors_at(file, 0)->data % 8, 0);
	ck_assert_str_eq(lf_safetensors_metadata(file, "format"), "pt");
	ck_assert_ptr_null(lf_safetensors_metadata(file, "absent"));
	ck_assert_ptr_null(lf_safetensors_find(file, "absent"));
	ck_assert_int_eq(lf_safetensors_verify_checksum(file, &error), 0);

	ck_assert_int_eq(
		lf_safetensors_read_f32(file, "b.weight", 2, (uint64_t[]){ 2, 3 }, values, &error),
		0);
	ck_assert_mem_eq(values, six, sizeof(six));
	ck_assert_int_eq(
		lf_safetensors_read_f32(file, "a.half", 1, (uint64_t[]){ 6 }, values, &error), 0);
	ck_assert_mem_eq(values, six, 5 * sizeof(float));
	ck_assert_float_eq(values[5], 3.140625f);
	ck_assert_int_eq(lf_safetensors_read_f32(file, "scalar", 0, NULL, values, &error), 0);
	ck_assert_float_eq(values[0], -2.5f);

	io_expect_error(
		&error,
		lf_safetensors_read_f32(file, "b.weight", 2, (uint64_t[]){ 3, 2 }, values, &error),
		-EINVAL, "tensor \"b.weight\" has shape [2, 3], expected [3, 2]");
	io_expect_error(&error,
			lf_safetensors_read_f32(file, "c", 1, (uint64_t[]){ 6 }, values, &error),
			-ENOENT, "tensor \"c\" is missing");
	lf_safetensors_close(file);
}
END_TEST

START_TEST(order_of_adding_changes_no_byte)
{
	size_t size, other_size;
	char *bytes, *other;

	save_sample(io_path("one"), 0);
	save_sample(io_path("two"), 1);
	bytes = io_read(io_path("one"), &size);
	other = io_read(io_path("two"), &other_size);
	ck_assert_uint_eq(size, other_size);
	ck_assert_mem_eq(bytes, other, size);
	free(bytes);
	free(other);
	ck_assert_uint_eq(io_count_entries(io_path(".")), 2);
}
END_TEST

START_TEST(saving_replaces_or_leaves)
{
	struct lf_safetensors_writer *writer;
	struct lf_error error = { 0 };

	io_write_text(io_path("old"), "old content");
	save_sample(io_path("old"), 0);
	ck_assert_int_eq(lf_safetensors_writer_new(&writer, &error), 0);
	ck_assert_int_eq(mkdir(io_path("taken"), 0777), 0);
	io_expect_error(&error, lf_safetensors_writer_save(writer, io_path("taken"), &error),
			-EISDIR, "taken");
	io_expect_error(&error, lf_safetensors_writer_save(writer, io_path("no/where"), &error),
			-ENOENT, "where");
	lf_safetensors_writer_free(writer);
	ck_assert_uint_eq(io_count_entries(io_path(".")), 2);
}
END_TEST

START_TEST(a_write_that_fails_half_way_changes_nothing)
{
	struct rlimit limit = { .rlim_cur = 256, .rlim_max = 256 };
	struct lf_safetensors_writer *writer;
	struct lf_error error = { 0 };
	uint64_t shape = 512;
	size_t size;
	char *bytes;

	io_write_text(io_path("kept"), "old content");
	ck_assert_int_eq(lf_safetensors_writer_new(&writer, &error), 0);
	ck_assert_int_eq(lf_safetensors_writer_add(writer, "x", LF_DTYPE_F32, 1, &shape,
						   (float[512]){ 0 }, &error),
			 0);
	/* A limit on the size of files plays the full disk. */
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
	io_expect_error(&error, lf_safetensors_writer_save(writer, io_path("kept"), &error), -EFBIG,
			"kept: cannot be written");
	lf_safetensors_writer_free(writer);
	bytes = io_read(io_path("kept"), &size);
	ck_assert_str_eq(bytes, "old content");
	free(bytes);
	ck_assert_uint_eq(io_count_entries(io_path(".")), 1);
}
END_TEST

START_TEST(writer_refuses)
{
	static const float bad[2] = { 1.0f, NAN };
	static const float big[1] = { 65520.0f };
	struct lf_safetensors_writer *writer;
	struct lf_error error = { 0 };
	uint64_t two = 2, one = 1, huge[2] = { UINT64_MAX, 2 };

	ck_assert_int_eq(lf_safetensors_writer_new(&writer, &error), 0);
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "x", LF_DTYPE_F32, 1, &two, bad, &error),
			-EDOM, "\"x\": element 1 is not finite");
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "x", LF_DTYPE_F16, 1, &one, big, &error),
			-EDOM, "beyond float16");
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "x", LF_DTYPE_I64, 1, &one, big, &error),
			-EINVAL, "I64 cannot be written");
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "x", LF_DTYPE_F32, 2, huge, big, &error),
			-EINVAL, "overflows");
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "x", LF_DTYPE_F32, 9, huge, big, &error),
			-EINVAL, "9 dimensions");
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "__metadata__", LF_DTYPE_F32, 1, &one,
						  big, &error),
			-EINVAL, "__metadata__");
	ck_assert_int_eq(lf_safetensors_writer_add(writer, "x", LF_DTYPE_F32, 1, &one, big, &error),
			 0);
	io_expect_error(&error,
			lf_safetensors_writer_add(writer, "x", LF_DTYPE_F32, 1, &one, big, &error),
			-EEXIST, "\"x\"");
	io_expect_error(&error, lf_safetensors_writer_metadata(writer, "checksum", "1", &error),
			-EEXIST, "checksum");
	io_expect_error(&error, lf_safetensors_writer_metadata(writer, "k", "\xff", &error),
			-EINVAL, "UTF-8");
	lf_safetensors_writer_free(writer);
}
END_TEST

#define TENSOR(dtype, shape, begin, end) \
	"{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

static const struct {
	const char *header;
	size_t data_bytes;
	const char *contains;
} hostile[] = {
	{ " {}", 0, "does not begin with '{'" },
	{ "[]", 0, "does not begin with '{'" },
	{ "{", 0, "header does not begin" },
	{ "{]", 0, "not valid JSON" },
	{ "{} x", 0, "not valid JSON" },
	{ "{\"a\xff\":1}", 0, "not valid JSON" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "4") ",\"a\":" TENSOR("F32", "[1]", "0", "4") "}", 4,
	  "duplicate" },
	{ "{\"a\":3}", 0, "\"a\": must be an object" },
	{ "{\"a\":{}}", 0, "dtype must be a string" },
	{ "{\"a\":" TENSOR("F31", "[1]", "0", "4") "}", 4, "dtype \"F31\" is unknown" },
	{ "{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "shape must be an array" },
	{ "{\"a\":" TENSOR("F32", "[-1]", "0", "4") "}", 4, "shape[0]" },
	{ "{\"a\":" TENSOR("F32", "[1.0]", "0", "4") "}", 4, "shape[0]" },
	{ "{\"a\":" TENSOR("F32", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "9 dimensions" },
	{ "{\"a\":" TENSOR("F32", "[4294967296,4294967296]", "0", "4") "}", 4, "overflows" },
	/* 2^62 elements: the element count fits, its bytes do not. */
	{ "{\"a\":" TENSOR("F32", "[4611686018427387904]", "0", "0") "}", 0, "which is not" },
	{ "{\"a\":" TENSOR("F32", "[2]", "0", "4") "}", 4,
	  "hold 4 bytes, which is not [2] of F32" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "8") "}", 4, "outside the 4 bytes" },
	{ "{\"a\":" TENSOR("F32", "[1]", "-4", "0") "}", 4, "outside the 4 bytes" },
	{ "{\"a\":" TENSOR("F32", "[1]", "4", "0") "}", 4, "outside the 4 bytes" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "99999999999999999999") "}", 4, "not valid JSON" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "4.0") "}", 4, "must be two integers" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4,
	  "must be two integers" },
	{ "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4,
	  "fields that are unknown" },
	{ "{\"a\":" TENSOR("F32", "[1]", "4", "8") "}", 8, "\"a\": data_offsets leave a hole" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "4") ",\"b\":" TENSOR("F32", "[1]", "8", "12") "}",
	  12, "\"b\": data_offsets leave a hole" },
	{ "{\"a\":" TENSOR("F32", "[2]", "0", "8") ",\"b\":" TENSOR("F32", "[2]", "4", "12") "}",
	  12, "\"b\": data_offsets leave a hole or overlap" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "4") ",\"b\":" TENSOR("F32", "[1]", "0", "4") "}", 4,
	  "overlap" },
	{ "{\"a\":" TENSOR("F32", "[1]", "0", "4") "}", 5, "1 bytes at the end" },
	{ "{}", 1, "1 bytes at the end" },
	{ "{\"__metadata__\":[]}", 0, "__metadata__ must be an object" },
	{ "{\"__metadata__\":{\"k\":1}}", 0, "__metadata__ \"k\" must be a string" },
	{ "{\"a\\u001b[2J\":" TENSOR("F32", "[1]", "0", "4") "}", 4, "control characters" },
};

START_TEST(hostile_headers_are_refused)
{
	static const char data[16];
	struct lf_safetensors *file = NULL;
	struct lf_error error = { 0 };
	unsigned char *bytes;
	size_t size;

	size = io_safetensors(&bytes, hostile[_i].header, data, hostile[_i].data_bytes);
	io_expect_error(&error, lf_safetensors_parse(&file, bytes, size, "F", &error), -EINVAL,
			hostile[_i].contains);
	ck_assert_ptr_null(file);
	ck_assert_int_eq(strncmp(error.text, "F: ", 3), 0);
	free(bytes);
}
END_TEST

START_TEST(foreign_files_are_named)
{
	static const char pickle[] = "\x80\x02}q\x01(X\x05\x00\x00\x00helloq\x02.";
	static const char zip[] = "PK\003\004\x14\x00\x00\x00\x00\x00archive/data.pkl";
	struct lf_safetensors *file;
	struct lf_error error = { 0 };

	io_write(io_path("pickle"), pickle, sizeof(pickle));
	io_expect_error(&error, lf_safetensors_open(&file, io_path("pickle"), &error), -EINVAL,
			"Python pickle");
	io_write(io_path("zip"), zip, sizeof(zip));
	io_expect_error(&error, lf_safetensors_open(&file, io_path("zip"), &error), -EINVAL,
			"zip archive");
	io_write_text(io_path("empty"), "");
	io_expect_error(&error, lf_safetensors_open(&file, io_path("empty"), &error), -EINVAL,
			"too short");
	io_write_text(io_path("text"), "just some words of text");
	io_expect_error(&error, lf_safetensors_open(&file, io_path("text"), &error), -EINVAL,
			"above 100 MB");
	io_expect_error(&error, lf_safetensors_open(&file, io_path("absent"), &error), -ENOENT,
			"absent");
	io_expect_error(&error, lf_safetensors_open(&file, io_path("."), &error), -EINVAL,
			"not a regular file");
	ck_assert_int_eq(mkfifo(io_path("pipe"), 0600), 0);
	io_expect_error(&error, lf_safetensors_open(&file, io_path("pipe"), &error), -EINVAL,
			"not a regular file");
}
END_TEST

START_TEST(header_length_limits)
{
	unsigned char bytes[16] = { 0 };
	struct lf_safetensors *file;
	struct lf_error error = { 0 };

	memcpy(bytes + 8, "{}", 2);
	bytes[0] = 9;
	io_expect_error(&error, lf_safetensors_parse(&file, bytes, 16, "F", &error), -EINVAL,
			"truncated");
	bytes[7] = 0x80;
	io_expect_error(&error, lf_safetensors_parse(&file, bytes, 16, "F", &error), -EINVAL,
			"above 100 MB");
	memset(bytes, 0, 8);
	io_expect_error(&error, lf_safetensors_parse(&file, bytes, 16, "F", &error), -EINVAL,
			"does not begin");
	io_expect_error(&error, lf_safetensors_parse(&file, bytes, 7, "F", &error), -EINVAL,
			"too short");
	bytes[0] = 2;
	ck_assert_int_eq(lf_safetensors_parse(&file, bytes, 10, "F", &error), 0);
	ck_assert_uint_eq(lf_safetensors_count(file), 0);
	lf_safetensors_close(file);
}
END_TEST

/* A valid file damaged anywhere is refused, or at least does not pass for the original. */
START_TEST(every_flip_and_truncation_is_noticed)
{
	struct lf_safetensors *file;
	size_t size;
	char *bytes;

	save_sample(io_path("whole"), 0);
	bytes = io_read(io_path("whole"), &size);
	for (size_t i = 0; i < size; i++) {
		/* A copy of the exact length, so that a sanitizer sees a read past its end. */
		char *part = malloc(i ? i : 1);

		memcpy(part, bytes, i);
		ck_assert_int_ne(lf_safetensors_parse(&file, part, i, "F", NULL), 0);
		free(part);
	}
	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		if (lf_safetensors_parse(&file, bytes, size, "F", NULL) == 0) {
			ck_assert_msg(lf_safetensors_verify_checksum(file, NULL) != 0,
				      "bit %zu flipped unnoticed", bit);
			lf_safetensors_close(file);
		}
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
	}
	free(bytes);
}
END_TEST

START_TEST(tolerated_files)
{
	/* An empty tensor, padding, foreign metadata, I64 ids; data unaligned on purpose. */
	static const char header[] =
		"{\"ids\":" TENSOR("I64", "[1,2]", "0", "16") ",\"void\":" TENSOR(
			"F32", "[0,7]", "16",
			"16") ",\"__metadata__\":{\"format\":\"pt\"},\"b\":" TENSOR("BF16", "[2]",
										    "16",
										    "20") "}  ";
	static const unsigned char data[20] = { [16] = 0x80, 0x3f, 0x48, 0xc0 };
	struct lf_safetensors *file;
	struct lf_error error = { 0 };
	unsigned char *bytes;
	float values[2];
	size_t size;

	size = io_safetensors(&bytes, header, data, sizeof(data));
	ck_assert_msg(lf_safetensors_parse(&file, bytes, size, "F", &error) == 0, "%s", error.text);
	ck_assert_int_eq(lf_safetensors_read_f32(file, "b", 1, (uint64_t[]){ 2 }, values, &error),
			 0);
	ck_assert_float_eq(values[0], 1.0f);
	ck_assert_float_eq(values[1], -3.125f);
	io_expect_error(
		&error,
		lf_safetensors_read_f32(file, "ids", 2, (uint64_t[]){ 1, 2 }, values, &error),
		-EINVAL, "has type I64, expected F32, F16 or BF16");
	ck_assert_int_eq(
		lf_safetensors_read_f32(file, "void", 2, (uint64_t[]){ 0, 7 }, values, &error), 0);
	io_expect_error(&error, lf_safetensors_verify_checksum(file, &error), -EINVAL,
			"carries no checksum");
	lf_safetensors_close(file);
	free(bytes);
}
END_TEST

START_TEST(values_that_are_not_finite_are_refused)
{
	static const uint16_t halves[2] = { 0x3c00, 0x7c00 };
	struct lf_safetensors *file;
	struct lf_error error = { 0 };
	unsigned char *bytes;
	float values[2];
	size_t size;

	size = io_safetensors(&bytes, "{\"a\":" TENSOR("F16", "[2]", "0", "4") "}", halves, 4);
	ck_assert_int_eq(lf_safetensors_parse(&file, bytes, size, "F", &error), 0);
	io_expect_error(&error,
			lf_safetensors_read_f32(file, "a", 1, (uint64_t[]){ 2 }, values, &error),
			-EDOM, "tensor \"a\": element 1 is not finite");
	lf_safetensors_close(file);
	free(bytes);
}
END_TEST

/* The value of a half by the definition of the format, through double arithmetic. */
static double half_by_definition(uint16_t bits)
{
	int exponent = bits >> 10 & 0x1f;
	double fraction = bits & 0x3ff;
	double magnitude = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);

	return bits & 0x8000 ? -magnitude : magnitude;
}

START_TEST(float16_is_exact_and_rounds_to_even)
{
	for (uint32_t bits = 0; bits < 0x10000; bits++) {
		uint16_t half = (uint16_t)bits;
		float value = lf_float_from_float16(half);

		if ((half & 0x7c00) == 0x7c00) {
			ck_assert(half & 0x3ff ? isnan(value) : isinf(value));
			continue;
		}
		ck_assert_double_eq((double)value, half_by_definition(half));
		ck_assert_uint_eq(lf_float_to_float16(value), half);
		/* Between this and the next half: the tie goes to the even one, its sides do not. */
		if ((half & 0x7fff) < 0x7bff) {
			float middle =
				(float)((half_by_definition(half) + half_by_definition(half + 1)) /
					2);

			ck_assert_uint_eq(lf_float_to_float16(middle), half & 1 ? half + 1u : half);
			ck_assert_uint_eq(lf_float_to_float16(nextafterf(middle, 0.0f)), half);
			ck_assert_uint_eq(lf_float_to_float16(nextafterf(
						  middle, half & 0x8000 ? -INFINITY : INFINITY)),
					  half + 1u);
		}
	}
	ck_assert_uint_eq(lf_float_to_float16(65519.996f), 0x7bff);
	ck_assert_uint_eq(lf_float_to_float16(65520.0f), 0x7c00);
	ck_assert_uint_eq(lf_float_to_float16(1e30f), 0x7c00);
	ck_assert_uint_eq(lf_float_to_float16(1e-30f), 0);
	ck_assert_uint_eq(lf_float_to_float16(-0.0f), 0x8000);
	ck_assert_uint_eq(lf_float_to_float16(NAN) & 0x7e00, 0x7e00);
}
END_TEST

static Suite *make_suite(void)
{
	Suite *suite = suite_create("safetensors");
	TCase *files = tcase_create("files");
	TCase *numbers = tcase_create("numbers");

	tcase_add_checked_fixture(files, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(files, written_is_read_back);
	tcase_add_test(files, order_of_adding_changes_no_byte);
	tcase_add_test(files, saving_replaces_or_leaves);
	tcase_add_test(files, a_write_that_fails_half_way_changes_nothing);
	tcase_add_test(files, writer_refuses);
	tcase_add_loop_test(files, hostile_headers_are_refused, 0,
			    (int)(sizeof(hostile) / sizeof(hostile[0])));
	tcase_add_test(files, foreign_files_are_named);
	tcase_add_test(files, header_length_limits);
	tcase_add_test(files, every_flip_and_truncation_is_noticed);
	tcase_add_test(files, tolerated_files);
	tcase_add_test(files, values_that_are_not_finite_are_refused);
	suite_add_tcase(suite, files);
	tcase_add_test(numbers, float16_is_exact_and_rounds_to_even);
	tcase_set_timeout(numbers, 60);
	suite_add_tcase(suite, numbers);
	return suite;
}

int main(void)
{
	return suite_run(make_suite());
}
