// SPDX-License-Identifier: MIT
/* Label lists and JSON lines: good ones are read in order, bad ones refused by file and line. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include <lf/dataset.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

static const char labels_text[] = "[{\"label\":\"editing\",\"text\":\"editing text\"},"
				  "{\"label\":\"games\",\"text\":\"playing games\",\"more\":1},"
				  "{\"label\":\"web\",\"text\":\"the web\"}]";

static struct lf_label_set *read_labels(void)
{
	struct lf_label_set *labels;
	struct lf_error error = { 0 };

	io_write_text(io_path("labels.json"), labels_text);
	ck_assert_msg(lf_label_set_read(&labels, io_path("labels.json"), &error) == 0, "%s",
		      error.text);
	return labels;
}

START_TEST(labels_are_read)
{
	struct lf_label_set *labels = read_labels();
	uint32_t index = 9;

	ck_assert_uint_eq(lf_label_set_count(labels), 3);
	ck_assert_str_eq(lf_label_set_at(labels, 1)->name, "games");
	ck_assert_str_eq(lf_label_set_at(labels, 1)->text, "playing games");
	ck_assert_int_eq(lf_label_set_find(labels, "web", &index), 0);
	ck_assert_uint_eq(index, 2);
	ck_assert_int_eq(lf_label_set_find(labels, "we", &index), -ENOENT);
	lf_label_set_free(labels);
}
END_TEST

static const struct {
	const char *text;
	int code;
	const char *contains;
} bad_labels[] = {
	{ "", -EINVAL, "not valid JSON" },
	{ "{}", -EINVAL, "must be a JSON array" },
	{ "[]", -EINVAL, "has 0 labels" },
	{ "[{\"label\":\"a\",\"text\":\"a\"}]", -EINVAL, "has 1 labels" },
	{ "[{\"label\":\"a\",\"text\":\"a\"},3]", -EINVAL, "label 1: must be an object" },
	{ "[{\"label\":\"a\",\"text\":\"a\"},{\"text\":\"b\"}]", -ENOENT,
	  "label 1: field \"label\" is missing" },
	{ "[{\"label\":\"a\",\"text\":\"a\"},{\"label\":\"b\"}]", -ENOENT,
	  "label 1: field \"text\" is missing" },
	{ "[{\"label\":\"a\",\"text\":\"a\"},{\"label\":\"a\",\"text\":\"b\"}]", -EEXIST,
	  "label 1: field \"label\": \"a\" is label 0" },
	{ "[{\"label\":\"a\",\"text\":\"a\"},{\"label\":\"\",\"text\":\"b\"}]", -EINVAL,
	  "field \"label\" is empty" },
	{ "[{\"label\":\"a\",\"text\":\"a\"},{\"label\":\"\\u001b[2J\",\"text\":\"b\"}]", -EINVAL,
	  "control characters" },
	{ "[{\"label\":1,\"text\":\"a\"},{\"label\":\"b\",\"text\":\"b\"}]", -EINVAL,
	  "must be a string" },
};

START_TEST(bad_labels_are_refused)
{
	struct lf_label_set *labels = NULL;
	struct lf_error error = { 0 };

	io_write_text(io_path("labels.json"), bad_labels[_i].text);
	io_expect_error(&error, lf_label_set_read(&labels, io_path("labels.json"), &error),
			bad_labels[_i].code, bad_labels[_i].contains);
	ck_assert_ptr_nonnull(strstr(error.text, "labels.json"));
	ck_assert_ptr_null(labels);
}
END_TEST

START_TEST(examples_are_read_in_order)
{
	struct lf_label_set *labels = read_labels();
	struct lf_dataset *dataset;
	struct lf_error error = { 0 };

	/* The last line without a newline; further fields; an escape and multi-byte text. */
	io_write_text(io_path("train.jsonl"),
		      "{\"text\":\"a web server\",\"label\":\"web\",\"package\":\"nginx\"}\r\n"
		      "{\"label\":\"games\",\"text\":\"Caf\\u00e9 \xe2\x99\x9e chess\"}\n"
		      "{\"text\":\"editor\",\"label\":\"editing\"}");
	ck_assert_msg(lf_dataset_read(&dataset, io_path("train.jsonl"), labels, &error) == 0, "%s",
		      error.text);
	lf_label_set_free(labels);
	ck_assert_uint_eq(lf_dataset_count(dataset), 3);
	ck_assert_str_eq(lf_dataset_at(dataset, 0)->text, "a web server");
	ck_assert_uint_eq(lf_dataset_at(dataset, 0)->label, 2);
	ck_assert_str_eq(lf_dataset_at(dataset, 1)->text, "Caf\xc3\xa9 \xe2\x99\x9e chess");
	ck_assert_uint_eq(lf_dataset_at(dataset, 1)->size_bytes, 15);
	ck_assert_uint_eq(lf_dataset_at(dataset, 1)->label, 1);
	ck_assert_uint_eq(lf_dataset_at(dataset, 2)->label, 0);
	lf_dataset_free(dataset);
}
END_TEST

#define GOOD "{\"text\":\"t\",\"label\":\"web\"}\n"

static const struct {
	const char *bytes;
	size_t size_bytes;
	int code;
	const char *contains;
} bad_lines[] = {
#define LINE(bytes, code, contains)                      \
	{                                                \
		bytes, sizeof(bytes) - 1, code, contains \
	}
	LINE("", -EINVAL, "is empty"),
	LINE("\n", -EINVAL, "bad.jsonl:1: line is empty"),
	LINE(GOOD "\n" GOOD, -EINVAL, "bad.jsonl:2: line is empty"),
	LINE(GOOD "{\"text\":\"t\"\n", -EINVAL, "bad.jsonl:2: not valid JSON"),
	LINE(GOOD "[\"t\"]\n", -EINVAL, "bad.jsonl:2: must be a JSON object"),
	LINE(GOOD "{\"label\":\"web\"}\n", -ENOENT, "bad.jsonl:2: field \"text\" is missing"),
	LINE(GOOD "{\"text\":\"t\"}\n", -ENOENT, "bad.jsonl:2: field \"label\" is missing"),
	LINE(GOOD "{\"text\":1,\"label\":\"web\"}\n", -EINVAL, "\"text\" must be a string"),
	LINE(GOOD "{\"text\":\"t\",\"label\":1}\n", -EINVAL, "\"label\" must be a string"),
	LINE(GOOD "{\"text\":\" \\t\",\"label\":\"web\"}\n", -EINVAL, "\"text\" is blank"),
	LINE(GOOD "{\"text\":\"t\",\"label\":\"cooking\"}\n", -EINVAL,
	     "bad.jsonl:2: field \"label\": \"cooking\" is no label"),
	LINE(GOOD "{\"text\":\"t\",\"text\":\"u\",\"label\":\"web\"}\n", -EINVAL, "duplicate"),
	LINE(GOOD "{\"text\":\"t\\u0000u\",\"label\":\"web\"}\n", -EINVAL, "not valid JSON"),
	LINE(GOOD "{\"text\":\"t\0u\",\"label\":\"web\"}\n", -EILSEQ,
	     "bad.jsonl:2: line is binary"),
	LINE(GOOD "{\"text\":\"\xff\",\"label\":\"web\"}\n", -EILSEQ,
	     "bad.jsonl:2: line is binary"),
	LINE(GOOD "{\"text\":\"\xc0\xaf\",\"label\":\"web\"}\n", -EILSEQ, "line is binary"),
	LINE(GOOD "{\"text\":\"\xed\xa0\x80\",\"label\":\"web\"}\n", -EILSEQ, "line is binary"),
	LINE("\x7f"
	     "ELF\x02\x01\x01\x00\x00",
	     -EILSEQ, "bad.jsonl:1: line is binary"),
};

START_TEST(bad_lines_are_refused)
{
	struct lf_label_set *labels = read_labels();
	struct lf_dataset *dataset = NULL;
	struct lf_error error = { 0 };

	io_write(io_path("bad.jsonl"), bad_lines[_i].bytes, bad_lines[_i].size_bytes);
	io_expect_error(&error, lf_dataset_read(&dataset, io_path("bad.jsonl"), labels, &error),
			bad_lines[_i].code, bad_lines[_i].contains);
	ck_assert_ptr_null(dataset);
	lf_label_set_free(labels);
}
END_TEST

START_TEST(long_lines_are_refused)
{
	static const char head[] = "{\"label\":\"web\",\"text\":\"", tail[] = "\"}";
	const size_t frame = sizeof(head) + sizeof(tail) - 2;
	struct lf_label_set *labels = read_labels();
	struct lf_dataset *dataset;
	struct lf_error error = { 0 };

	for (size_t excess = 0; excess < 2; excess++) {
		char *line = malloc(LF_DATASET_MAX_LINE_BYTES + 2);
		size_t size = LF_DATASET_MAX_LINE_BYTES + excess;

		memset(line, 'x', size);
		memcpy(line, head, sizeof(head) - 1);
		memcpy(line + size - sizeof(tail) + 1, tail, sizeof(tail) - 1);
		io_write(io_path("long.jsonl"), line, size);
		free(line);
		if (excess) {
			io_expect_error(
				&error,
				lf_dataset_read(&dataset, io_path("long.jsonl"), labels, &error),
				-EINVAL, "long.jsonl:1: line is longer than 65536 bytes");
			continue;
		}
		ck_assert_int_eq(lf_dataset_read(&dataset, io_path("long.jsonl"), labels, &error),
				 0);
		ck_assert_uint_eq(lf_dataset_at(dataset, 0)->size_bytes,
				  LF_DATASET_MAX_LINE_BYTES - frame);
		lf_dataset_free(dataset);
	}
	io_expect_error(&error, lf_dataset_read(&dataset, io_path("absent"), labels, &error),
			-ENOENT, "absent");
	io_expect_error(&error, lf_dataset_read(&dataset, io_path("."), labels, &error), -EINVAL,
			"not a regular file");
	lf_label_set_free(labels);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dataset");
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(tcase, labels_are_read);
	tcase_add_loop_test(tcase, bad_labels_are_refused, 0,
			    (int)(sizeof(bad_labels) / sizeof(bad_labels[0])));
	tcase_add_test(tcase, examples_are_read_in_order);
	tcase_add_loop_test(tcase, bad_lines_are_refused, 0,
			    (int)(sizeof(bad_lines) / sizeof(bad_lines[0])));
	tcase_add_test(tcase, long_lines_are_refused);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
