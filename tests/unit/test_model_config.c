// SPDX-License-Identifier: MIT
/* Model sizes from config.json: the published ones are read, every missing or absurd field named. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>
#include <jansson.h>

#include <lf/model_config.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

static const char bert_text[] =
	"{\"model_type\":\"bert\",\"hidden_size\":384,\"num_hidden_layers\":6,"
	"\"num_attention_heads\":12,\"intermediate_size\":1536,\"vocab_size\":30522,"
	"\"max_position_embeddings\":512,\"type_vocab_size\":2,\"layer_norm_eps\":1e-12,"
	"\"hidden_act\":\"gelu\",\"position_embedding_type\":\"absolute\",\"gradient_checkpointing\":false}";

/* flan-t5-large */
static const char t5_text[] =
	"{\"model_type\":\"t5\",\"d_model\":1024,\"d_kv\":64,\"d_ff\":2816,\"num_heads\":16,"
	"\"num_layers\":24,\"num_decoder_layers\":24,\"vocab_size\":32128,"
	"\"relative_attention_num_buckets\":32,\"layer_norm_epsilon\":1e-6,"
	"\"feed_forward_proj\":\"gated-gelu\"}";

START_TEST(bert_sizes)
{
	struct lf_model_config config;
	struct lf_error error = { 0 };

	io_write_text(io_path("config.json"), bert_text);
	ck_assert_msg(lf_model_config_read(&config, io_path("."), &error) == 0, "%s", error.text);
	ck_assert_int_eq(config.family, LF_MODEL_BERT);
	ck_assert_uint_eq(config.bert.hidden_size, 384);
	ck_assert_uint_eq(config.bert.num_hidden_layers, 6);
	ck_assert_uint_eq(config.bert.num_attention_heads, 12);
	ck_assert_uint_eq(config.bert.intermediate_size, 1536);
	ck_assert_uint_eq(config.bert.vocab_size, 30522);
	ck_assert_uint_eq(config.bert.max_position_embeddings, 512);
	ck_assert_uint_eq(config.bert.type_vocab_size, 2);
	ck_assert_float_eq(config.bert.layer_norm_eps, 1e-12f);
	ck_assert_int_eq(config.bert.hidden_act, LF_ACTIVATION_GELU);
}
END_TEST

START_TEST(t5_sizes)
{
	struct lf_model_config config;
	struct lf_error error = { 0 };

	ck_assert_msg(lf_model_config_parse(&config, t5_text, strlen(t5_text), "F", &error) == 0,
		      "%s", error.text);
	ck_assert_int_eq(config.family, LF_MODEL_T5);
	ck_assert_uint_eq(config.t5.d_model, 1024);
	ck_assert_uint_eq(config.t5.d_kv, 64);
	ck_assert_uint_eq(config.t5.d_ff, 2816);
	ck_assert_uint_eq(config.t5.num_heads, 16);
	ck_assert_uint_eq(config.t5.num_layers, 24);
	ck_assert_uint_eq(config.t5.num_decoder_layers, 24);
	ck_assert_uint_eq(config.t5.vocab_size, 32128);
	ck_assert(config.t5.gated);
	ck_assert_int_eq(config.t5.feed_forward_act, LF_ACTIVATION_GELU_TANH);
}
END_TEST

/* Replace one field of a configuration (or remove it, value NULL) and parse the result. */
static int parse_changed(const char *text, const char *key, const char *value,
			 struct lf_error *error)
{
	struct lf_model_config config;
	json_t *root = json_loads(text, 0, NULL);
	char *changed;
	int ret;

	if (value)
		json_object_set_new(root, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(root, key);
	changed = json_dumps(root, 0);
	ret = lf_model_config_parse(&config, changed, strlen(changed), "F", error);
	free(changed);
	json_decref(root);
	return ret;
}

static const struct {
	const char *text;
	const char *key;
} sizes[] = {
	{ bert_text, "hidden_size" },
	{ bert_text, "num_hidden_layers" },
	{ bert_text, "num_attention_heads" },
	{ bert_text, "intermediate_size" },
	{ bert_text, "vocab_size" },
	{ bert_text, "max_position_embeddings" },
	{ bert_text, "type_vocab_size" },
	{ t5_text, "d_model" },
	{ t5_text, "d_kv" },
	{ t5_text, "d_ff" },
	{ t5_text, "num_heads" },
	{ t5_text, "num_layers" },
	{ t5_text, "vocab_size" },
	{ t5_text, "relative_attention_num_buckets" },
};

START_TEST(sizes_are_checked)
{
	static const char *const absurd[] = { "0", "-1", "4000000000", "1048577" };
	static const char *const mistyped[] = { "\"12\"", "12.0", "true", "[1]" };
	const char *text = sizes[_i].text, *key = sizes[_i].key;
	struct lf_error error = { 0 };
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\"", key);
	io_expect_error(&error, parse_changed(text, key, NULL, &error), -ENOENT, quoted);
	io_expect_error(&error, parse_changed(text, key, "null", &error), -ENOENT, "is missing");
	for (int i = 0; i < 4; i++) {
		io_expect_error(&error, parse_changed(text, key, absurd[i], &error), -EINVAL,
				quoted);
		ck_assert_ptr_nonnull(strstr(error.text, "must be between 1 and"));
		io_expect_error(&error, parse_changed(text, key, mistyped[i], &error), -EINVAL,
				"must be an integer");
		ck_assert_ptr_nonnull(strstr(error.text, quoted));
	}
}
END_TEST

START_TEST(other_fields_are_checked)
{
	struct lf_error error = { 0 };

	io_expect_error(&error, parse_changed(bert_text, "model_type", "\"gpt2\"", &error),
			-ENOTSUP, "\"model_type\" is \"gpt2\"");
	io_expect_error(&error, parse_changed(bert_text, "model_type", NULL, &error), -ENOENT,
			"\"model_type\" is missing");
	io_expect_error(&error, parse_changed(bert_text, "model_type", "\"\\u001b[2J\"", &error),
			-ENOTSUP, "is \"?\"");
	io_expect_error(&error, parse_changed(bert_text, "hidden_act", "\"swish\"", &error),
			-ENOTSUP, "activation \"swish\"");
	io_expect_error(&error, parse_changed(bert_text, "hidden_act", "3", &error), -EINVAL,
			"\"hidden_act\" must be a string");
	io_expect_error(
		&error,
		parse_changed(bert_text, "position_embedding_type", "\"relative_key\"", &error),
		-ENOTSUP, "position_embedding_type");
	io_expect_error(&error, parse_changed(bert_text, "num_attention_heads", "5", &error),
			-EINVAL, "does not divide");
	io_expect_error(&error, parse_changed(bert_text, "layer_norm_eps", "-1", &error), -EINVAL,
			"\"layer_norm_eps\" is -1");
	io_expect_error(&error, parse_changed(bert_text, "layer_norm_eps", "\"x\"", &error),
			-EINVAL, "must be a number");
	io_expect_error(&error, parse_changed(t5_text, "num_heads", "1048576", &error), -EINVAL,
			"make a width above");
	io_expect_error(&error, parse_changed(t5_text, "feed_forward_proj", "\"gated-x\"", &error),
			-ENOTSUP, "feed_forward_proj");
	ck_assert_int_eq(parse_changed(t5_text, "num_decoder_layers", NULL, &error), 0);
	ck_assert_int_eq(parse_changed(bert_text, "position_embedding_type", NULL, &error), 0);
}
END_TEST

START_TEST(files_are_checked)
{
	struct lf_model_config config;
	struct lf_error error = { 0 };

	io_expect_error(&error, lf_model_config_read(&config, io_path("."), &error), -ENOENT,
			"config.json");
	io_write_text(io_path("config.json"), "");
	io_expect_error(&error, lf_model_config_read(&config, io_path("."), &error), -EINVAL,
			"config.json: not valid JSON");
	io_write_text(io_path("config.json"), "[]");
	io_expect_error(&error, lf_model_config_read(&config, io_path("."), &error), -EINVAL,
			"must be a JSON object");
	io_write_text(io_path("config.json"), "{\"d_kv\":1,\"d_kv\":2}");
	io_expect_error(&error, lf_model_config_read(&config, io_path("."), &error), -EINVAL,
			"duplicate");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("model_config");
	TCase *tcase = tcase_create("config.json");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(tcase, bert_sizes);
	tcase_add_test(tcase, t5_sizes);
	tcase_add_loop_test(tcase, sizes_are_checked, 0, (int)(sizeof(sizes) / sizeof(sizes[0])));
	tcase_add_test(tcase, other_fields_are_checked);
	tcase_add_test(tcase, files_are_checked);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
