// SPDX-License-Identifier: MIT
/*
 * Every allocation of every reader and writer failed once: the call fails with -ENOMEM and a
 * message, hands out nothing, leaves no file, and (under AddressSanitizer) leaks nothing.
 *
 * The JSON library's allocations are failed separately. Its parser takes a lack of memory for a
 * mistake in the text, or cuts a string short, so what a reader then makes of it does not count;
 * what a writer has written does.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>
#include <jansson.h>

#include <lf/adapter.h>
#include <lf/checkpoint.h>
#include <lf/dataset.h>
#include <lf/model_config.h>
#include <lf/tokenizer.h>

#include "tests/unit/allocation_fixture.h"
#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

/* Allocations of JSON to go until one fails; 0 when none shall, or one has. */
static unsigned long json_countdown;

static void *json_allocate(size_t size)
{
	return json_countdown && --json_countdown == 0 ? NULL : allocation_uncounted(size);
}

/* Set by an operation that succeeded with a wrong result. Check's macros allocate themselves. */
static bool wrong_result;
#define EXPECT(condition) (wrong_result |= !(condition))

static const struct lf_adapter_slot slot = { "layer.query", 2, 3, true };
static const float values[6] = { 1, 2, 3, 4, 5, 6 };
static const char *const targets[] = { "query" };
static const char run_config[] = "{\"task\":\"use\"}";
static const char example_text[] = "a text of some length, so that buffers have to grow";

static int write_adapter(struct lf_error *error)
{
	const struct lf_adapter_description description = {
		.base_model = "base",
		.target_modules = targets,
		.target_count = 1,
		.rank = 2,
		.alpha = 4,
		.dtype = LF_DTYPE_F16,
	};
	const struct lf_adapter_layer layer = {
		.path = "layer.query",
		.inputs = 2,
		.outputs = 3,
		.rank = 2,
		.a = values,
		.b = values,
		.magnitude = values,
	};

	return lf_adapter_write(io_path("adapter"), &description, &layer, 1, error);
}

static int read_adapter(struct lf_error *error)
{
	const struct lf_adapter_layer *layer;
	struct lf_adapter *adapter = NULL;
	int ret;

	ret = lf_adapter_read(&adapter, io_path("adapter"), &slot, 1, 2, error);
	EXPECT((ret == 0) == (adapter != NULL));
	if (ret)
		return ret;
	layer = lf_adapter_layer_at(adapter, 0);
	EXPECT(strcmp(layer->path, "layer.query") == 0 && layer->scale == 2);
	EXPECT(memcmp(layer->a, values, 4 * sizeof(float)) == 0);
	EXPECT(memcmp(layer->b, values, 6 * sizeof(float)) == 0);
	EXPECT(memcmp(layer->magnitude, values, 3 * sizeof(float)) == 0);
	lf_adapter_free(adapter);
	return 0;
}

static int write_checkpoint(struct lf_error *error)
{
	const struct lf_checkpoint_tensor tensor = {
		.name = "x", .rank = 2, .shape = { 2, 3 }, .values = values
	};
	const struct lf_checkpoint_state state = {
		.step = 5,
		.config = run_config,
		.random_word_count = 2,
		.tensors = &tensor,
		.tensor_count = 1,
	};

	return lf_checkpoint_save(io_path("checkpoint"), &state, error);
}

static int read_checkpoint(struct lf_error *error)
{
	const uint64_t shape[2] = { 2, 3 };
	struct lf_checkpoint *checkpoint = NULL;
	float found[6];
	int ret;

	ret = lf_checkpoint_open(&checkpoint, io_path("checkpoint"), error);
	EXPECT((ret == 0) == (checkpoint != NULL));
	if (ret)
		return ret;
	EXPECT(strcmp(lf_checkpoint_config(checkpoint), run_config) == 0);
	EXPECT(lf_checkpoint_read(checkpoint, "x", 2, shape, found, error) == 0);
	EXPECT(memcmp(found, values, sizeof(values)) == 0);
	lf_checkpoint_close(checkpoint);
	return 0;
}

static int read_dataset(struct lf_error *error)
{
	struct lf_label_set *labels = NULL;
	struct lf_dataset *dataset = NULL;
	int ret;

	ret = lf_label_set_read(&labels, io_path("labels.json"), error);
	EXPECT((ret == 0) == (labels != NULL));
	if (ret)
		return ret;
	EXPECT(strcmp(lf_label_set_at(labels, 1)->text, "second") == 0);
	ret = lf_dataset_read(&dataset, io_path("train.jsonl"), labels, error);
	lf_label_set_free(labels);
	EXPECT((ret == 0) == (dataset != NULL));
	if (ret)
		return ret;
	EXPECT(strcmp(lf_dataset_at(dataset, 0)->text, example_text) == 0);
	EXPECT(lf_dataset_at(dataset, 0)->label == 1);
	lf_dataset_free(dataset);
	return 0;
}

static int read_model_config(struct lf_error *error)
{
	struct lf_model_config config;
	int ret = lf_model_config_read(&config, io_path("."), error);

	EXPECT(ret || config.bert.max_position_embeddings == 8);
	return ret;
}

static int tokenize(struct lf_error *error)
{
	static const char text[] = "a B \xc3\xa9";
	static const uint32_t expected[] = { 2, 4, 5, 1, 3 };
	struct lf_tokenizer *tokenizer = NULL;
	uint32_t ids[8];
	size_t count = 0;
	int ret;

	ret = lf_tokenizer_open(&tokenizer, io_path("."), error);
	EXPECT((ret == 0) == (tokenizer != NULL));
	if (!ret)
		ret = lf_tokenizer_encode(tokenizer, text, sizeof(text) - 1, 8, ids, &count, error);
	EXPECT(ret || (count == 5 && memcmp(ids, expected, sizeof(expected)) == 0));
	lf_tokenizer_close(tokenizer);
	return ret;
}

static const struct {
	const char *name;
	int (*run)(struct lf_error *error);
	int (*read_back)(struct lf_error *error); /* reads what a writer has written */
} operations[] = {
	{ "read a model's sizes", read_model_config, NULL },
	{ "tokenize", tokenize, NULL },
	{ "read a dataset", read_dataset, NULL },
	{ "read an adapter", read_adapter, NULL },
	{ "write an adapter", write_adapter, read_adapter },
	{ "read a checkpoint", read_checkpoint, NULL },
	{ "write a checkpoint", write_checkpoint, read_checkpoint },
};

static void write_inputs(void)
{
	struct lf_error error = { 0 };
	char line[128];

	snprintf(line, sizeof(line), "{\"text\":\"%s\",\"label\":\"b\"}\n", example_text);
	io_write_text(io_path("train.jsonl"), line);
	io_write_text(io_path("labels.json"), "[{\"label\":\"a\",\"text\":\"first\"},"
					      "{\"label\":\"b\",\"text\":\"second\"}]");
	io_write_text(io_path("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\nb\n");
	io_write_text(io_path("tokenizer_config.json"), "{\"do_lower_case\": true}");
	io_write_text(io_path("config.json"),
		      "{\"model_type\":\"bert\",\"hidden_size\":4,\"num_hidden_layers\":1,"
		      "\"num_attention_heads\":1,\"intermediate_size\":4,\"vocab_size\":6,"
		      "\"max_position_embeddings\":8,\"type_vocab_size\":2,"
		      "\"layer_norm_eps\":1e-12,\"hidden_act\":\"gelu\"}");
	ck_assert_msg(write_adapter(&error) == 0, "%s", error.text);
	ck_assert_msg(write_checkpoint(&error) == 0, "%s", error.text);
}

/* Run an operation with its nth allocation, by the library or by JSON, failing. */
static int run_failing(int index, unsigned long nth, bool json, bool *reached)
{
	const char *name = operations[index].name;
	unsigned int entries = io_count_entries(io_path("."));
	struct lf_error error = { 0 };
	int ret;

	wrong_result = false;
	json_countdown = json ? nth : 0;
	allocation_fail(json ? 0 : nth);
	ret = operations[index].run(&error);
	*reached = !json_countdown && !allocation_to_go();
	json_countdown = 0;
	allocation_fail(0);
	ck_assert_msg(ret == 0 || (error.code == ret && error.text[0]),
		      "%s, allocation %lu failed: returned %d, error %d \"%s\"", name, nth, ret,
		      error.code, error.text);
	ck_assert_msg(io_count_entries(io_path(".")) == entries,
		      "%s, allocation %lu failed: a file was left behind", name, nth);
	ck_assert_msg(json || !wrong_result, "%s, allocation %lu failed: wrong result", name, nth);
	if (ret == 0 && operations[index].read_back)
		ck_assert_msg(operations[index].read_back(&error) == 0 && !wrong_result,
			      "%s, allocation %lu failed: %s", name, nth, error.text);
	return ret;
}

START_TEST(every_allocation_failed_once)
{
	bool reached = true;
	unsigned long nth;

	write_inputs();
	for (nth = 1; reached; nth++) {
		int ret = run_failing(_i, nth, false, &reached);

		ck_assert_msg(ret == (reached ? -ENOMEM : 0),
			      "%s, allocation %lu failed: returned %d", operations[_i].name, nth,
			      ret);
	}
	ck_assert_uint_gt(nth, 2);
}
END_TEST

START_TEST(every_json_allocation_failed_once)
{
	bool reached = true;
	int ret = 0;

	write_inputs();
	for (unsigned long nth = 1; reached; nth++)
		ret = run_failing(_i, nth, true, &reached);
	ck_assert_int_eq(ret, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("io_allocation");
	TCase *tcase = tcase_create("out of memory");
	const int count = (int)(sizeof(operations) / sizeof(operations[0]));

	json_set_alloc_funcs(json_allocate, free);
	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_loop_test(tcase, every_allocation_failed_once, 0, count);
	tcase_add_loop_test(tcase, every_json_allocation_failed_once, 0, count);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
