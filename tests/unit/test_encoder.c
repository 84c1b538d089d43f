// SPDX-License-Identifier: MIT
/*
 * The encoder: embeddings of real sentences against the reference, what deploying and opening write, and batches,
 * names and models that are refused. Run from the root of the source tree.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <lf/pool.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

#define REAL_HIDDEN	384
#define REAL_SENTENCES	16
#define REAL_TOKENS	128

/* Largest difference of an embedding's component to the reference in double precision. */
#define FLOAT_TOLERANCE 1e-6
/* The same on int8 cells; no number of these sentences is next to a rounding boundary. */
#define INT8_TOLERANCE	1e-6
/* Cosine between int8 and fp32, of the worst sentence; the reference has 0.9962. */
#define INT8_COSINE	0.995

/* Sentences of a golden file. */
struct sentences {
	uint32_t start[REAL_SENTENCES + 1];
	uint32_t tokens[REAL_SENTENCES * REAL_TOKENS];
	double embeddings[REAL_SENTENCES][REAL_HIDDEN];
	struct lf_batch batch;
};

static void read_sentences(struct sentences *sentences, const char *path)
{
	json_error_t reason;
	json_t *root = json_load_file(path, 0, &reason);
	const json_t *list, *one, *value;
	size_t at, i;

	ck_assert_msg(root != NULL, "%s: %s", path, reason.text);
	list = json_object_get(root, "sentences");
	ck_assert_uint_le(json_array_size(list), REAL_SENTENCES);
	sentences->start[0] = 0;
	json_array_foreach((json_t *)list, at, one)
	{
		uint32_t *tokens = sentences->tokens + sentences->start[at];
		const json_t *ids = json_object_get(one, "ids");

		json_array_foreach((json_t *)ids, i, value) tokens[i] =
			(uint32_t)json_integer_value(value);
		sentences->start[at + 1] = sentences->start[at] + (uint32_t)json_array_size(ids);
		json_array_foreach(json_object_get(one, "embedding"), i, value)
			sentences->embeddings[at][i] = json_number_value(value);
		ck_assert_uint_eq(i, REAL_HIDDEN);
	}
	sentences->batch = (struct lf_batch){ (uint32_t)json_array_size(list), sentences->start,
					      sentences->tokens };
	json_decref(root);
}

static struct lf_encoder *open_real(struct lf_device *device)
{
	struct lf_encoder_options options = { .directory = io_encoder_folder(),
					      .name = "real",
					      .batch_sequences = REAL_SENTENCES,
					      .sequence_tokens = REAL_TOKENS,
					      .threads = 2 };
	struct lf_encoder *encoder;

	ck_assert_lf(lf_encoder_deploy(device, options.directory, options.name, 0444, NULL, NULL,
				       NULL, LF_ERROR));
	ck_assert_lf(lf_encoder_open(device, &options, &encoder, LF_ERROR));
	return encoder;
}

static void compare_real(const char *specification, const char *golden, double tolerance,
			 double cosine)
{
	static struct sentences sentences;
	static float embeddings[REAL_SENTENCES * REAL_HIDDEN];
	struct lf_device *device = open_device(specification);
	struct lf_encoder *encoder = open_real(device);
	double worst = 0.0;

	read_sentences(&sentences, golden);
	ck_assert_lf(lf_encoder_forward(encoder, &sentences.batch, embeddings, LF_ERROR));
	for (uint32_t at = 0; at < sentences.batch.sequences; at++) {
		const float *actual = embeddings + (size_t)at * REAL_HIDDEN;
		double product = 0.0;

		for (size_t i = 0; i < REAL_HIDDEN; i++) {
			double difference = fabs(actual[i] - sentences.embeddings[at][i]);

			worst = difference <= worst ? worst : difference;
			product += actual[i] * sentences.embeddings[at][i];
		}
		ck_assert_msg(product > cosine, "sentence %u: cosine %.5f", at, product);
	}
	ck_assert_msg(worst <= tolerance, "%s: off by %.3g, %.3g is allowed", specification, worst,
		      tolerance);
	lf_encoder_close(encoder);
	lf_device_close(device);
}

START_TEST(real_sentences_on_fp32_cells)
{
	compare_real("inproc:float", "tests/golden/embeddings.json", FLOAT_TOLERANCE, 0.999999);
}
END_TEST

START_TEST(real_sentences_on_int8_cells)
{
	compare_real("inproc:ideal", "tests/golden/embeddings_int8.json", INT8_TOLERANCE, 0.9999);
	compare_real("inproc:ideal", "tests/golden/embeddings.json", 1.0, INT8_COSINE);
}
END_TEST

static const char *const kinds[] = { "float", "ideal" };

START_TEST(tiny_sentences_agree_with_the_reference)
{
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	struct tiny tiny;

	tiny_open(&tiny, kinds[_i], NULL);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, embeddings, LF_ERROR));
	tiny_expect(&tiny, "frozen.embeddings", embeddings, TINY_EXAMPLES * TINY_HIDDEN, 1e-5);
	tiny_close(&tiny);
}
END_TEST

/* Each vector is driven by itself, so that a sentence's company must not show in its bits. */
START_TEST(company_does_not_change_an_embedding)
{
	float together[TINY_EXAMPLES * TINY_HIDDEN], alone[TINY_HIDDEN];
	struct tiny tiny;

	tiny_open(&tiny, kinds[_i], NULL);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, together, LF_ERROR));
	for (uint32_t at = 0; at < TINY_EXAMPLES; at++) {
		struct lf_batch one = { 1, tiny.examples.start + at, tiny.examples.tokens };

		ck_assert_lf(lf_encoder_forward(tiny.encoder, &one, alone, LF_ERROR));
		ck_assert_mem_eq(alone, together + at * TINY_HIDDEN, sizeof(alone));
	}
	tiny_close(&tiny);
}
END_TEST

/* One job for every group of layers that share an input and every half of the batch. */
START_TEST(layers_that_share_an_input_share_a_job)
{
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN];
	struct lf_counters before, after;
	struct tiny tiny;

	tiny_open(&tiny, "ideal", NULL);
	ck_assert_lf(lf_device_counters(tiny.device, &before, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &tiny.batch, embeddings, LF_ERROR));
	ck_assert_lf(lf_device_counters(tiny.device, &after, LF_ERROR));
	ck_assert_uint_eq(after.jobs - before.jobs, TINY_BLOCKS * 4 * 2);
	ck_assert_uint_eq(after.cells_written, before.cells_written);
	ck_assert_uint_eq(after.mvm_count - before.mvm_count,
			  TINY_LINEARS * (uint64_t)tiny.batch.start[TINY_EXAMPLES]);
	tiny_close(&tiny);
}
END_TEST

START_TEST(a_second_opening_writes_nothing)
{
	const char *specification = "inproc:ideal,memory=";
	struct lf_encoder_options options = { .directory = TINY_MODEL,
					      .name = TINY_NAME,
					      .batch_sequences = TINY_EXAMPLES,
					      .sequence_tokens = TINY_POSITIONS,
					      .threads = 1 };
	float first[TINY_HIDDEN], second[TINY_HIDDEN];
	uint32_t start[] = { 0, 3 }, tokens[] = { 2, 7, 3 };
	struct lf_batch batch = { 1, start, tokens };
	struct lf_counters cost = { 0 };
	struct lf_encoder *encoder;
	struct lf_device *device;
	char text[600];

	snprintf(text, sizeof(text), "%s%s", specification, io_path("cells"));
	device = open_device(text);
	ck_assert_lf(lf_encoder_deploy(device, TINY_MODEL, TINY_NAME, 0444, NULL, NULL, &cost,
				       LF_ERROR));
	ck_assert_uint_gt(cost.cells_written, 0);
	ck_assert_uint_gt(cost.energy_pj[LF_ENERGY_PROGRAM], 0);
	ck_assert_lf(lf_encoder_open(device, &options, &encoder, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(encoder, &batch, first, LF_ERROR));
	lf_encoder_close(encoder);
	lf_device_close(device);

	device = open_device(text);
	ck_assert_lf(lf_encoder_open(device, &options, &encoder, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(encoder, &batch, second, LF_ERROR));
	ck_assert_lf(lf_device_counters(device, &cost, LF_ERROR));
	ck_assert_uint_eq(cost.cells_written, 0);
	ck_assert_mem_eq(first, second, sizeof(first));
	lf_encoder_close(encoder);
	lf_device_close(device);
}
END_TEST

START_TEST(batches_that_are_refused)
{
	uint32_t good_start[] = { 0, 2, 4 }, good[] = { 2, 3, 2, 3 };
	uint32_t empty[] = { 0, 2, 2 }, backwards[] = { 0, 4, 2 }, long_start[] = { 0, 2, 16 };
	uint32_t unknown[] = { 2, TINY_VOCABULARY, 2, 3 }, huge[] = { 2, 3, 2, UINT32_MAX };
	const struct {
		struct lf_batch batch;
		const char *says;
	} cases[] = {
		{ { 0, good_start, good }, "batch: 0 sequences" },
		{ { TINY_EXAMPLES + 1, good_start, good }, "7 sequences, 1 to 6 fit" },
		{ { UINT32_MAX, good_start, good }, "sequences, 1 to 6 fit" },
		{ { 2, empty, good }, "sequence 1 has 0 tokens" },
		{ { 2, backwards, good }, "sequence 1 has -2 tokens" },
		{ { 2, long_start, good }, "sequence 1 has 14 tokens, 1 to 13 fit" },
		{ { 2, good_start, unknown }, "token 41 is not in the vocabulary" },
		{ { 2, good_start, huge }, "token 4294967295 is not in the vocabulary" },
	};
	float embeddings[TINY_EXAMPLES * TINY_HIDDEN],
		gradient[TINY_EXAMPLES * TINY_HIDDEN] = { 0 };
	struct lf_batch batch = { 2, good_start, good };
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++)
		ck_assert_lf_fails(
			lf_encoder_forward(tiny.encoder, &cases[at].batch, embeddings, LF_ERROR),
			-EINVAL, cases[at].says);
	ck_assert_lf(lf_encoder_forward(tiny.encoder, &batch, embeddings, LF_ERROR));
	ck_assert_lf_fails(lf_encoder_backward(tiny.encoder, gradient, LF_ERROR), -EINVAL,
			   "no method is attached");
	tiny_close(&tiny);
}
END_TEST

START_TEST(options_that_are_refused)
{
	const struct lf_encoder_options good = { .directory = TINY_MODEL,
						 .name = TINY_NAME,
						 .batch_sequences = 1,
						 .sequence_tokens = 2,
						 .threads = 1 };
	const struct {
		struct lf_encoder_options options;
		int code;
		const char *says;
	} cases[] = {
		{ { TINY_MODEL, TINY_NAME, 0, 2, 1, NULL }, -EINVAL, "batch_sequences 0" },
		{ { TINY_MODEL, TINY_NAME, 4097, 2, 1, NULL }, -EINVAL, "batch_sequences 4097" },
		{ { TINY_MODEL, TINY_NAME, 1, 1, 1, NULL }, -EINVAL, "sequence_tokens 1" },
		{ { TINY_MODEL, TINY_NAME, 1, 14, 1, NULL }, -EINVAL, "the model takes 2 to 13" },
		{ { TINY_MODEL, TINY_NAME, 4096, 13, 1, NULL }, -EINVAL, "the device takes 4096" },
		{ { TINY_MODEL, TINY_NAME, 1, 2, 257, NULL }, -EINVAL, "257" },
		{ { TINY_MODEL, TINY_NAME, 1, 2, 1, "mmx" }, -EINVAL, "mmx" },
		{ { TINY_MODEL, "other", 1, 2, 1, NULL }, -ENOENT, "/layer.0" },
		{ { TINY_MODEL, "", 1, 2, 1, NULL }, -EINVAL, "model name ''" },
		{ { TINY_MODEL, "a/b", 1, 2, 1, NULL }, -EINVAL, "model name 'a/b'" },
		{ { TINY_MODEL, "twenty-bytes-of-name", 1, 2, 1, NULL }, -EINVAL, "too long" },
		{ { "/nonexistent", TINY_NAME, 1, 2, 1, NULL },
		  -ENOENT,
		  "/nonexistent/config.json" },
	};
	struct lf_encoder *encoder;
	struct tiny tiny;

	tiny_open(&tiny, "float", NULL);
	for (size_t at = 0; at < sizeof(cases) / sizeof(cases[0]); at++)
		ck_assert_lf_fails(
			lf_encoder_open(tiny.device, &cases[at].options, &encoder, LF_ERROR),
			cases[at].code, cases[at].says);
	ck_assert_lf(lf_encoder_open(tiny.device, &good, &encoder, LF_ERROR));
	lf_encoder_close(encoder);
	tiny_close(&tiny);
}
END_TEST

/* So many matrices are published, and so many cells were ever written. */
static void expect_matrices(struct lf_device *device, uint32_t expected, uint64_t cells)
{
	struct lf_telemetry telemetry;
	struct lf_matrix_info *list;
	uint32_t count;

	ck_assert_lf(lf_matrix_list(device, &list, &count, LF_ERROR));
	free(list);
	ck_assert_uint_eq(count, expected);
	ck_assert_lf(lf_device_telemetry(device, &telemetry, LF_ERROR));
	ck_assert_uint_eq(telemetry.total.cells_written, cells);
	if (!expected)
		ck_assert_uint_eq(telemetry.tiles_used, 0);
}

static void count_progress(void *argument, uint64_t done, uint64_t total)
{
	uint64_t *last = argument;

	ck_assert_uint_eq(done, *last + 1);
	ck_assert_uint_eq(total, TINY_LINEARS);
	*last = done;
}

START_TEST(deploying_happens_whole_or_not_at_all)
{
	struct lf_device *device = open_device("inproc:ideal");
	struct lf_counters cost = { 0 };
	uint64_t last = 0;

	ck_assert_lf(lf_encoder_deploy(device, TINY_MODEL, "one", 0444, count_progress, &last,
				       &cost, LF_ERROR));
	ck_assert_uint_eq(last, TINY_LINEARS);
	expect_matrices(device, TINY_LINEARS, cost.cells_written);
	ck_assert_lf_fails(
		lf_encoder_deploy(device, TINY_MODEL, "one", 0444, NULL, NULL, NULL, LF_ERROR),
		-EEXIST, "/layer.0.attention.self.query");
	expect_matrices(device, TINY_LINEARS, cost.cells_written);
	ck_assert_lf_fails(
		lf_encoder_deploy(device, TINY_MODEL, "a b", 0444, NULL, NULL, NULL, LF_ERROR),
		-EINVAL, "model name 'a b'");
	ck_assert_lf_fails(
		lf_encoder_deploy(device, TINY_MODEL, "two", 0777, NULL, NULL, NULL, LF_ERROR),
		-EINVAL, "mode");
	expect_matrices(device, TINY_LINEARS, cost.cells_written);
	lf_device_close(device);

	device = open_device("inproc:ideal,tiles=20");
	ck_assert_lf_fails(
		lf_encoder_deploy(device, TINY_MODEL, "one", 0444, NULL, NULL, NULL, LF_ERROR),
		-ENOSPC, "/layer.1.");
	expect_matrices(device, 0, 0);
	lf_device_close(device);
}
END_TEST

/* What stops it half-way takes away what was published; the cells stay written and paid for. */
START_TEST(a_deployment_that_runs_out_of_budget)
{
	struct lf_device *device = open_device("inproc:ideal");
	struct lf_counters whole = { 0 }, part = { 0 };
	uint64_t quota;

	ck_assert_lf(
		lf_encoder_deploy(device, TINY_MODEL, "one", 0444, NULL, NULL, &whole, LF_ERROR));
	quota = whole.cells_written + whole.cells_written / 2;
	ck_assert_lf(lf_device_quota(device, getuid(), &quota, NULL, LF_ERROR));
	ck_assert_lf_fails(
		lf_encoder_deploy(device, TINY_MODEL, "two", 0444, NULL, NULL, &part, LF_ERROR),
		-EDQUOT, "two");
	ck_assert_uint_gt(part.cells_written, 0);
	expect_matrices(device, TINY_LINEARS, whole.cells_written + part.cells_written);
	lf_device_close(device);
}
END_TEST

/* A copy of the tiny model's folder with one file replaced. */
static const char *altered_model(const char *file, const void *bytes, size_t size)
{
	static const char *const files[] = { "config.json", "model.safetensors" };

	for (size_t at = 0; at < 2; at++) {
		char path[128];
		char *content;
		size_t length;

		snprintf(path, sizeof(path), "%s/%s", TINY_MODEL, files[at]);
		content = io_read(path, &length);
		if (strcmp(files[at], file))
			io_write(io_path(files[at]), content, length);
		else
			io_write(io_path(files[at]), bytes, size);
		free(content);
	}
	return io_path(".");
}

START_TEST(models_that_are_refused)
{
	struct lf_device *device = open_device("inproc:float");
	size_t length;
	char *bytes = io_read(TINY_MODEL "/config.json", &length);
	char *act = strstr(bytes, "\"gelu\""), *size;

	memcpy(act, "\"relu\"", 6);
	ck_assert_lf_fails(lf_encoder_deploy(device, altered_model("config.json", bytes, length),
					     "x", 0444, NULL, NULL, NULL, LF_ERROR),
			   -ENOTSUP, "only BERT-type encoders with the gelu");
	memcpy(act, "\"gelu\"", 6);
	size = strstr(bytes, "\"intermediate_size\": 37");
	memcpy(size, "\"intermediate_size\": 38", 23);
	ck_assert_lf_fails(lf_encoder_deploy(device, altered_model("config.json", bytes, length),
					     "x", 0444, NULL, NULL, NULL, LF_ERROR),
			   -EINVAL, "encoder.layer.0.intermediate.dense");
	free(bytes);
	bytes = io_read(TINY_MODEL "/model.safetensors", &length);
	ck_assert_lf_fails(lf_encoder_deploy(device,
					     altered_model("model.safetensors", bytes, length - 1),
					     "x", 0444, NULL, NULL, NULL, LF_ERROR),
			   -EINVAL, "model.safetensors");
	ck_assert_lf_fails(lf_encoder_deploy(device,
					     altered_model("model.safetensors", "\x80\x02}q", 4),
					     "x", 0444, NULL, NULL, NULL, LF_ERROR),
			   -EINVAL, "pickle");
	/* The last number of the file is a norm's, the 0x100th from the end one of a linear layer. */
	bytes[length - 0x200 + 1] = 0x7c;
	bytes[length - 0x200] = 0;
	ck_assert_lf_fails(lf_encoder_deploy(device,
					     altered_model("model.safetensors", bytes, length), "x",
					     0444, NULL, NULL, NULL, LF_ERROR),
			   -EDOM, "encoder.layer.1.output.dense.weight");
	expect_matrices(device, 0, 0);
	free(bytes);
	lf_device_close(device);
}
END_TEST

/* Scales and norms come from the files, cells from the device: they must be of the same weights. */
START_TEST(other_weights_are_not_taken_for_those_deployed)
{
	const struct lf_encoder_options same = { TINY_MODEL, TINY_NAME, 1, 2, 1, NULL };
	struct lf_encoder_options other = same;
	struct lf_device *device = open_device("inproc:ideal");
	struct lf_encoder *encoder;
	size_t length;
	char *bytes;

	ck_assert_lf(
		lf_encoder_deploy(device, TINY_MODEL, TINY_NAME, 0444, NULL, NULL, NULL, LF_ERROR));
	ck_assert_lf(lf_encoder_open(device, &same, &encoder, LF_ERROR));
	lf_encoder_close(encoder);
	bytes = io_read(TINY_MODEL "/model.safetensors", &length);
	bytes[length - 0x200] ^= 1;
	other.directory = altered_model("model.safetensors", bytes, length);
	ck_assert_lf_fails(lf_encoder_open(device, &other, &encoder, LF_ERROR), -ENOENT,
			   "not deployed with these weights");
	free(bytes);
	lf_device_close(device);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("encoder");
	TCase *tcase = tcase_create("encoder");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, real_sentences_on_fp32_cells);
	tcase_add_test(tcase, real_sentences_on_int8_cells);
	tcase_add_loop_test(tcase, tiny_sentences_agree_with_the_reference, 0, 2);
	tcase_add_loop_test(tcase, company_does_not_change_an_embedding, 0, 2);
	tcase_add_test(tcase, layers_that_share_an_input_share_a_job);
	tcase_add_test(tcase, a_second_opening_writes_nothing);
	tcase_add_test(tcase, batches_that_are_refused);
	tcase_add_test(tcase, options_that_are_refused);
	tcase_add_test(tcase, deploying_happens_whole_or_not_at_all);
	tcase_add_test(tcase, a_deployment_that_runs_out_of_budget);
	tcase_add_test(tcase, models_that_are_refused);
	tcase_add_test(tcase, other_weights_are_not_taken_for_those_deployed);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
