// SPDX-License-Identifier: MIT
/*
 * WordPiece: the reference's ids on difficult texts and on the sentences of the encoder's goldens,
 * truncation, and vocabularies that are refused. Run from the root of the source tree.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include <lf/tokenizer.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

#define MAX_TOKENS 1024

static struct lf_tokenizer *open_encoder(void)
{
	struct lf_tokenizer *tokenizer;
	struct lf_error error = { 0 };

	ck_assert_msg(lf_tokenizer_open(&tokenizer, io_encoder_folder(), &error) == 0, "%s",
		      error.text);
	return tokenizer;
}

static void expect_ids(const struct lf_tokenizer *tokenizer, const json_t *text,
		       const json_t *expected)
{
	uint32_t ids[MAX_TOKENS];
	struct lf_error error = { 0 };
	size_t count = 0;
	int ret;

	ret = lf_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text),
				  MAX_TOKENS, ids, &count, &error);
	ck_assert_msg(ret == 0, "\"%s\": %s", json_string_value(text), error.text);
	ck_assert_msg(count == json_array_size(expected), "\"%s\": %zu ids, expected %zu",
		      json_string_value(text), count, json_array_size(expected));
	for (size_t i = 0; i < count; i++) {
		json_int_t id = json_integer_value(json_array_get(expected, i));

		ck_assert_msg(ids[i] == id, "\"%s\": id %zu is %u, expected %lld",
			      json_string_value(text), i, ids[i], (long long)id);
	}
}

/* Compare all of a golden file; returns how many texts it had. */
static size_t compare_golden(const char *path, const char *list)
{
	struct lf_tokenizer *tokenizer = open_encoder();
	json_error_t reason;
	json_t *root = json_load_file(path, 0, &reason);
	const json_t *cases, *one;
	size_t i, count;

	ck_assert_msg(root != NULL, "%s: %s (run from the root of the source tree)", path,
		      reason.text);
	cases = json_object_get(root, list);
	count = json_array_size(cases);
	json_array_foreach((json_t *)cases, i, one)
		expect_ids(tokenizer, json_object_get(one, "text"), json_object_get(one, "ids"));
	json_decref(root);
	lf_tokenizer_close(tokenizer);
	return count;
}

START_TEST(difficult_texts_have_the_reference_ids)
{
	ck_assert_uint_ge(compare_golden("tests/golden/wordpiece.json", "cases"), 40);
}
END_TEST

START_TEST(golden_sentences_have_the_reference_ids)
{
	ck_assert_uint_ge(compare_golden("tests/golden/embeddings.json", "sentences"), 10);
}
END_TEST

START_TEST(encoder_vocabulary)
{
	struct lf_tokenizer *tokenizer = open_encoder();
	const struct lf_special_tokens *special = lf_tokenizer_special(tokenizer);

	ck_assert_uint_eq(lf_tokenizer_size(tokenizer), 30522);
	ck_assert_uint_eq(special->pad, 0);
	ck_assert_uint_eq(special->unk, 100);
	ck_assert_uint_eq(special->cls, 101);
	ck_assert_uint_eq(special->sep, 102);
	ck_assert_str_eq(lf_tokenizer_token(tokenizer, 101), "[CLS]");
	ck_assert_ptr_null(lf_tokenizer_token(tokenizer, 30522));
	lf_tokenizer_close(tokenizer);
}
END_TEST

static const char small_vocabulary[] =
	"[PAD]\n[UNK]\n[CLS]\n[SEP]\nun\n##aff\n##able\n##a\na\nB\nb\n##c\n!\n";

static struct lf_tokenizer *open_small(const char *settings)
{
	struct lf_tokenizer *tokenizer;
	struct lf_error error = { 0 };

	io_write_text(io_path("vocab.txt"), small_vocabulary);
	if (settings)
		io_write_text(io_path("tokenizer_config.json"), settings);
	ck_assert_msg(lf_tokenizer_open(&tokenizer, io_path("."), &error) == 0, "%s", error.text);
	return tokenizer;
}

static void expect(const struct lf_tokenizer *tokenizer, const char *text, size_t max_tokens,
		   const uint32_t *expected, size_t expected_count)
{
	uint32_t ids[32];
	size_t count;

	memset(ids, 0xff, sizeof(ids));
	ck_assert_int_eq(
		lf_tokenizer_encode(tokenizer, text, strlen(text), max_tokens, ids, &count, NULL),
		0);
	ck_assert_uint_eq(count, expected_count);
	ck_assert_mem_eq(ids, expected, expected_count * sizeof(*expected));
	ck_assert_uint_eq(ids[count], 0xffffffffu);
}

#define EXPECT(tokenizer, text, max_tokens, ...)                               \
	expect(tokenizer, text, max_tokens, (const uint32_t[]){ __VA_ARGS__ }, \
	       sizeof((const uint32_t[]){ __VA_ARGS__ }) / sizeof(uint32_t))

START_TEST(words_are_spelled_greedily)
{
	struct lf_tokenizer *tokenizer = open_small(NULL);

	EXPECT(tokenizer, "unaffable!", 16, 2, 4, 5, 6, 12, 3);
	/* The longest piece wins, even where a shorter one could have gone on. */
	EXPECT(tokenizer, "una", 16, 2, 4, 7, 3);
	/* A start that can be spelled does not save a word that cannot. */
	EXPECT(tokenizer, "unx B", 16, 2, 1, 10, 3);
	/* Neither special tokens nor continuation marks are taken from the text. */
	EXPECT(tokenizer, "[a ##c", 16, 2, 1, 8, 1, 1, 1, 3);
	lf_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(long_texts_are_cut_off)
{
	struct lf_tokenizer *tokenizer = open_small(NULL);

	EXPECT(tokenizer, "unaffable a", 5, 2, 4, 5, 6, 3);
	EXPECT(tokenizer, "unaffable a", 4, 2, 4, 5, 3);
	EXPECT(tokenizer, "unaffable a", 3, 2, 4, 3);
	EXPECT(tokenizer, "unaffable a", 2, 2, 3);
	EXPECT(tokenizer, "", 2, 2, 3);
	lf_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(cased_models_keep_case_and_accents)
{
	struct lf_tokenizer *tokenizer = open_small("{\"do_lower_case\": false}");

	EXPECT(tokenizer, "B b \xc3\xa1", 16, 2, 9, 10, 1, 3);
	lf_tokenizer_close(tokenizer);
	tokenizer = open_small("{\"do_lower_case\": true, \"strip_accents\": null}");
	EXPECT(tokenizer, "B b \xc3\xa1", 16, 2, 10, 10, 8, 3);
	lf_tokenizer_close(tokenizer);
}
END_TEST

/* Canonical order of the marks that are kept: U+1D165 comes before U+1D16D however it is typed. */
START_TEST(marks_are_put_in_order)
{
	struct lf_tokenizer *tokenizer;

	io_write_text(io_path("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n"
					    "a\xf0\x9d\x85\xa5\xf0\x9d\x85\xad\n");
	ck_assert_int_eq(lf_tokenizer_open(&tokenizer, io_path("."), NULL), 0);
	EXPECT(tokenizer, "a\xf0\x9d\x85\xa5\xf0\x9d\x85\xad", 16, 2, 4, 3);
	EXPECT(tokenizer, "a\xf0\x9d\x85\xad\xf0\x9d\x85\xa5", 16, 2, 4, 3);
	lf_tokenizer_close(tokenizer);
}
END_TEST

START_TEST(bad_texts_are_refused)
{
	static char long_text[LF_TOKENIZER_MAX_TEXT_BYTES + 1];
	struct lf_tokenizer *tokenizer = open_small(NULL);
	struct lf_error error = { 0 };
	uint32_t ids[4];
	size_t count;

	io_expect_error(&error, lf_tokenizer_encode(tokenizer, "ab\xff", 3, 4, ids, &count, &error),
			-EILSEQ, "not UTF-8 at byte 2");
	io_expect_error(&error, lf_tokenizer_encode(tokenizer, "\xc3", 1, 4, ids, &count, &error),
			-EILSEQ, "not UTF-8 at byte 0");
	io_expect_error(&error, lf_tokenizer_encode(tokenizer, "a", 1, 1, ids, &count, &error),
			-EINVAL, "max_tokens is 1");
	memset(long_text, 'a', sizeof(long_text));
	io_expect_error(&error,
			lf_tokenizer_encode(tokenizer, long_text, sizeof(long_text), 4, ids, &count,
					    &error),
			-EMSGSIZE, "65537 bytes");
	ck_assert_int_eq(lf_tokenizer_encode(tokenizer, long_text, sizeof(long_text) - 1, 4, ids,
					     &count, &error),
			 0);
	lf_tokenizer_close(tokenizer);
}
END_TEST

static const struct {
	const char *bytes;
	size_t size_bytes;
	int code;
	const char *contains;
} bad_vocabularies[] = {
#define BYTES(bytes, code, contains)                     \
	{                                                \
		bytes, sizeof(bytes) - 1, code, contains \
	}
	BYTES("", -EINVAL, "has 0 tokens"),
	BYTES("[PAD]\n\n", -EINVAL, "vocab.txt:2: token is empty"),
	BYTES("[PAD]\na\na\n", -EINVAL, "vocab.txt:3: token \"a\" repeats line 2"),
	BYTES("[PAD]\n\xff\n", -EINVAL, "vocab.txt:2: token is binary"),
	BYTES("[PAD]\na\0b\n", -EINVAL, "vocab.txt:2: token is binary"),
	BYTES("[PAD]\n[UNK]\n[CLS]\n", -ENOENT, "\"[SEP]\" is missing"),
	BYTES("[SEP]\n[UNK]\n[CLS]\n", -ENOENT, "\"[PAD]\" is missing"),
	BYTES("[SEP]\n[PAD]\n[CLS]\n", -ENOENT, "\"[UNK]\" is missing"),
	BYTES("[SEP]\n[PAD]\n[UNK]\n", -ENOENT, "\"[CLS]\" is missing"),
};

START_TEST(bad_vocabularies_are_refused)
{
	struct lf_tokenizer *tokenizer = NULL;
	struct lf_error error = { 0 };

	io_write(io_path("vocab.txt"), bad_vocabularies[_i].bytes, bad_vocabularies[_i].size_bytes);
	io_expect_error(&error, lf_tokenizer_open(&tokenizer, io_path("."), &error),
			bad_vocabularies[_i].code, bad_vocabularies[_i].contains);
	ck_assert_ptr_null(tokenizer);
}
END_TEST

START_TEST(other_settings_are_refused)
{
	static const struct {
		const char *settings;
		int code;
		const char *contains;
	} cases[] = {
		{ "{\"do_lower_case\": 1}", -EINVAL, "\"do_lower_case\" must be true or false" },
		{ "{\"strip_accents\": false}", -ENOTSUP, "\"strip_accents\"" },
		{ "{\"tokenize_chinese_chars\": false}", -ENOTSUP, "\"tokenize_chinese_chars\"" },
		{ "{", -EINVAL, "not valid JSON" },
	};
	struct lf_tokenizer *tokenizer;
	struct lf_error error = { 0 };
	char long_token[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		io_write_text(io_path("vocab.txt"), small_vocabulary);
		io_write_text(io_path("tokenizer_config.json"), cases[i].settings);
		io_expect_error(&error, lf_tokenizer_open(&tokenizer, io_path("."), &error),
				cases[i].code, cases[i].contains);
	}
	memset(long_token, 'a', sizeof(long_token));
	io_write(io_path("vocab.txt"), long_token, sizeof(long_token));
	io_expect_error(&error, lf_tokenizer_open(&tokenizer, io_path("."), &error), -EINVAL,
			"longer than 256 bytes");
	io_expect_error(&error, lf_tokenizer_open(&tokenizer, io_path("absent"), &error), -ENOENT,
			"vocab.txt");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tokenizer");
	TCase *golden = tcase_create("golden");
	TCase *small = tcase_create("small");

	tcase_add_test(golden, difficult_texts_have_the_reference_ids);
	tcase_add_test(golden, golden_sentences_have_the_reference_ids);
	tcase_add_test(golden, encoder_vocabulary);
	suite_add_tcase(suite, golden);
	tcase_add_checked_fixture(small, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(small, words_are_spelled_greedily);
	tcase_add_test(small, long_texts_are_cut_off);
	tcase_add_test(small, cased_models_keep_case_and_accents);
	tcase_add_test(small, marks_are_put_in_order);
	tcase_add_test(small, bad_texts_are_refused);
	tcase_add_loop_test(small, bad_vocabularies_are_refused, 0,
			    (int)(sizeof(bad_vocabularies) / sizeof(bad_vocabularies[0])));
	tcase_add_test(small, other_settings_are_refused);
	suite_add_tcase(suite, small);
	return suite_run(suite);
}
