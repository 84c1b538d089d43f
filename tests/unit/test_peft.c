// SPDX-License-Identifier: MIT
/*
 * Adapters in both directions, without PEFT: tests/golden/peft has adapters that PEFT wrote and the embeddings it gets with them,
 * and what PEFT makes of a folded pool. tests/golden/peft_interchange.py made them, and shows the same on the real encoder.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/adapter.h>
#include <lf/fold.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

#define GOLDENS	  "tests/golden/peft"

/* PEFT's numbers are of double precision; see LF_TEST_FIGURES for what is seen. */
#define TOLERANCE 5e-6

enum { NUMBERS = TINY_EXAMPLES * TINY_HIDDEN };

static float *peft_output(const char *name)
{
	static const uint64_t shape[] = { TINY_EXAMPLES, TINY_HIDDEN };
	float *values = malloc(NUMBERS * sizeof(*values));
	struct lf_safetensors *file;

	ck_assert_lf(lf_safetensors_open(&file, GOLDENS "/outputs.safetensors", LF_ERROR));
	ck_assert_lf(lf_safetensors_read_f32(file, name, 2, shape, values, LF_ERROR));
	lf_safetensors_close(file);
	return values;
}

/* The task's embeddings with a method, which stays attached. */
static void embed(struct tiny *tiny, struct lf_method *method, float *embeddings)
{
	ck_assert_lf(lf_method_prepare(method, LF_ERROR));
	ck_assert_lf(lf_method_attach(method, false, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(tiny->encoder, &tiny->batch, embeddings, LF_ERROR));
}

static void end_method(struct tiny *tiny, struct lf_method *method)
{
	ck_assert_lf(lf_encoder_attach(tiny->encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
}

/* What a directory does to the model, held against PEFT's outputs of @name. */
static void expect_output(struct tiny *tiny, const char *directory, const char *name)
{
	float embeddings[NUMBERS], *expected = peft_output(name);
	struct lf_method *method;

	ck_assert_lf(lf_lora_read(tiny->encoder, directory, &method, LF_ERROR));
	embed(tiny, method, embeddings);
	expect_close(name, embeddings, expected, NUMBERS, TOLERANCE);
	end_method(tiny, method);
	free(expected);
}

static const struct peft_case {
	const char *name;
	const char *outputs; /* those of another case, where PEFT wrote the same adapter twice */
	const char *method;
	/* Written again, the file has the same tensors: not where layers differ in rank or are left out. */
	bool uniform;
} cases[] = {
	{ "lora", NULL, "lora", true },
	{ "lora-all", NULL, "lora", true },
	{ "dora", NULL, "dora", true },
	{ "dora-all", NULL, "dora", true },
	{ "dora-block", NULL, "dora", false },
	{ "rslora", NULL, "lora", true },
	{ "expression", NULL, "lora", false },
	{ "patterns", NULL, "lora", false },
	{ "patterns-rslora-dora", NULL, "dora", false },
	/* By version 0.21.2, the others by 0.13.2. */
	{ "later", "patterns-rslora-dora", "dora", false },
	{ "fold-sum", NULL, "dora", true },
	{ "fold-product", NULL, "dora", true },
};

START_TEST(adapters_of_peft_give_its_outputs)
{
	const struct peft_case *one = &cases[_i];
	char directory[96];
	struct tiny tiny;

	snprintf(directory, sizeof(directory), GOLDENS "/%s", one->name);
	tiny_open(&tiny, "float", NULL);
	expect_output(&tiny, directory, one->outputs ? one->outputs : one->name);
	tiny_close(&tiny);
}
END_TEST

/* Names and shapes are all that PEFT goes by when it loads a file. */
static void expect_same_tensors(const char *ours, const char *peft)
{
	struct lf_safetensors *written, *golden;

	ck_assert_lf(lf_safetensors_open(&written, ours, LF_ERROR));
	ck_assert_lf(lf_safetensors_open(&golden, peft, LF_ERROR));
	ck_assert_uint_eq(lf_safetensors_count(written), lf_safetensors_count(golden));
	for (size_t at = 0; at < lf_safetensors_count(golden); at++) {
		const struct lf_safetensor *tensor = lf_safetensors_at(golden, at);

		ck_assert_lf(lf_safetensors_check_shape(written, tensor->name, tensor->rank,
							tensor->shape, LF_ERROR));
	}
	ck_assert_ptr_nonnull(lf_safetensors_metadata(written, "format"));
	lf_safetensors_close(golden);
	lf_safetensors_close(written);
}

/* In fp16, so the outputs are only near. */
START_TEST(adapters_written_again_have_the_names_of_peft)
{
	const struct peft_case *one = &cases[_i];
	char directory[96], golden[128], written[IO_PATH_BYTES], folder[IO_PATH_BYTES];
	float before[NUMBERS], after[NUMBERS];
	struct lf_method *method, *again;
	struct tiny tiny;

	snprintf(directory, sizeof(directory), GOLDENS "/%s", one->name);
	snprintf(golden, sizeof(golden), "%s/adapter_model.safetensors", directory);
	snprintf(folder, sizeof(folder), "%s", io_path("written"));
	snprintf(written, sizeof(written), "%s", io_path("written/adapter_model.safetensors"));
	tiny_open(&tiny, "float", NULL);
	ck_assert_lf(lf_lora_read(tiny.encoder, directory, &method, LF_ERROR));
	ck_assert_str_eq(lf_method_name(method), one->method);
	embed(&tiny, method, before);
	ck_assert_lf(lf_lora_write(method, folder, "tiny", LF_ERROR));
	end_method(&tiny, method);
	if (one->uniform)
		expect_same_tensors(written, golden);
	ck_assert_lf(lf_lora_read(tiny.encoder, folder, &again, LF_ERROR));
	embed(&tiny, again, after);
	expect_close("fp16", after, before, NUMBERS, 5e-3);
	end_method(&tiny, again);
	tiny_close(&tiny);
}
END_TEST

static const struct fold_case {
	const char *name;
	const char *golden;
	enum lf_merge merge;
} folds[] = {
	{ "qv-sum", "fold-sum", LF_MERGE_SUM },
	{ "qv-product", "fold-product", LF_MERGE_PRODUCT },
};

static struct lf_fold fold_of(struct tiny *tiny, const struct lf_pool *pool,
			      const struct lf_method *method, enum lf_merge merge)
{
	const struct lf_parameters *coefficients = tiny_parameters(method, "coefficients");
	const struct lf_parameters *magnitudes = tiny_parameters(method, "magnitudes");

	return (struct lf_fold){ .merge = merge,
				 .coefficients = coefficients->values,
				 .coefficient_count = coefficients->count,
				 .magnitudes = magnitudes->values,
				 .magnitude_count = magnitudes->count,
				 .model_checksum = lf_encoder_checksum(tiny->encoder),
				 .pool_checksum = lf_pool_checksum(pool),
				 .base_model = "tiny",
				 .dtype = LF_DTYPE_F32 };
}

static void expect_same_values(const char *ours, const char *peft)
{
	struct lf_safetensors *written, *golden;

	expect_same_tensors(ours, peft);
	ck_assert_lf(lf_safetensors_open(&written, ours, LF_ERROR));
	ck_assert_lf(lf_safetensors_open(&golden, peft, LF_ERROR));
	for (size_t at = 0; at < lf_safetensors_count(golden); at++) {
		const struct lf_safetensor *tensor = lf_safetensors_at(golden, at);
		float *one = malloc(tensor->element_count * sizeof(*one));
		float *other = malloc(tensor->element_count * sizeof(*other));

		ck_assert_lf(lf_safetensors_read_f32(written, tensor->name, tensor->rank,
						     tensor->shape, one, LF_ERROR));
		ck_assert_lf(lf_safetensors_read_f32(golden, tensor->name, tensor->rank,
						     tensor->shape, other, LF_ERROR));
		expect_close(tensor->name, one, other, tensor->element_count, 2e-7);
		free(one);
		free(other);
	}
	lf_safetensors_close(golden);
	lf_safetensors_close(written);
}

/* The fold is PEFT's own, number by number, and gives the outputs of PEFT and of the fusion. */
START_TEST(a_fused_pool_is_folded)
{
	const struct fold_case *one = &folds[_i];
	char golden[96], written[IO_PATH_BYTES], folder[IO_PATH_BYTES];
	float embeddings[NUMBERS], *expected = peft_output(one->golden);
	struct lf_pool_modules modules;
	struct lf_method *method;
	struct lf_folded folded;
	struct lf_pool *pool;
	struct lf_fold fold;
	struct tiny tiny;

	snprintf(golden, sizeof(golden), GOLDENS "/%s/adapter_model.safetensors", one->golden);
	snprintf(folder, sizeof(folder), "%s", io_path("folded"));
	snprintf(written, sizeof(written), "%s", io_path("folded/adapter_model.safetensors"));
	tiny_open(&tiny, "float", NULL);
	pool = tiny_pool(&tiny, "qv");
	method = tiny_fusion(&tiny, pool, one->name, one->merge);
	embed(&tiny, method, embeddings);
	expect_close(one->name, embeddings, expected, NUMBERS, TOLERANCE);
	tiny_modules("qv", &modules);
	fold = fold_of(&tiny, pool, method, one->merge);
	ck_assert_lf(lf_fold_write(TINY_MODEL, &modules, &fold, folder, &folded, LF_ERROR));
	ck_assert_uint_eq(folded.layers, 2 * TINY_BLOCKS);
	ck_assert_uint_eq(folded.rank,
			  one->merge == LF_MERGE_SUM ? TINY_MODULES * TINY_RANK : TINY_RANK);
	ck_assert_uint_eq(folded.numbers, folded.layers * (folded.rank * 2 + 1) * TINY_HIDDEN);
	expect_same_values(written, golden);
	lf_pool_modules_release(&modules);
	end_method(&tiny, method);
	expect_output(&tiny, folder, one->golden);
	lf_pool_close(pool);
	tiny_close(&tiny);
	free(expected);
}
END_TEST

/* Coefficients for all blocks at once are those of each, and without magnitudes it is a LoRA. */
START_TEST(coefficients_of_the_model_and_no_magnitudes)
{
	static const float once[TINY_MODULES] = { 0.5f, -0.25f, 2.0f };
	float each[TINY_BLOCKS * TINY_MODULES], one[NUMBERS], other[NUMBERS];
	char folder[IO_PATH_BYTES];
	struct lf_pool_modules modules;
	struct lf_method *method;
	struct lf_pool *pool;
	struct lf_fold fold;
	struct tiny tiny;

	for (size_t at = 0; at < TINY_BLOCKS * TINY_MODULES; at++)
		each[at] = once[at % TINY_MODULES];
	snprintf(folder, sizeof(folder), "%s", io_path("folded"));
	tiny_open(&tiny, "float", NULL);
	pool = tiny_pool(&tiny, "qv");
	tiny_modules("qv", &modules);
	fold = (struct lf_fold){ .coefficients = each,
				 .coefficient_count = TINY_BLOCKS * TINY_MODULES,
				 .model_checksum = lf_encoder_checksum(tiny.encoder),
				 .pool_checksum = lf_pool_checksum(pool),
				 .base_model = "",
				 .dtype = LF_DTYPE_F32 };
	ck_assert_lf(lf_fold_write(TINY_MODEL, &modules, &fold, folder, NULL, LF_ERROR));
	ck_assert_lf(lf_lora_read(tiny.encoder, folder, &method, LF_ERROR));
	ck_assert_str_eq(lf_method_name(method), "lora");
	embed(&tiny, method, one);
	end_method(&tiny, method);
	fold.coefficients = once;
	fold.coefficient_count = TINY_MODULES;
	ck_assert_lf(lf_fold_write(TINY_MODEL, &modules, &fold, folder, NULL, LF_ERROR));
	ck_assert_lf(lf_lora_read(tiny.encoder, folder, &method, LF_ERROR));
	embed(&tiny, method, other);
	ck_assert_mem_eq(one, other, sizeof(one));
	end_method(&tiny, method);
	lf_pool_modules_release(&modules);
	lf_pool_close(pool);
	tiny_close(&tiny);
}
END_TEST

/* Of another model or pool, of other counts, and of more than an adapter holds: refused, and nothing is written. */
START_TEST(folds_that_do_not_fit_are_refused)
{
	struct lf_pool_modules modules;
	char folder[IO_PATH_BYTES];
	struct lf_method *method;
	struct lf_fold fold, bad;
	struct lf_pool *pool;
	struct tiny tiny;
	char *kept;

	snprintf(folder, sizeof(folder), "%s", io_path("folded"));
	tiny_open(&tiny, "float", NULL);
	pool = tiny_pool(&tiny, "qv");
	method = tiny_fusion(&tiny, pool, "qv-sum", LF_MERGE_SUM);
	fold = fold_of(&tiny, pool, method, LF_MERGE_SUM);
	tiny_modules("qv", &modules);
	bad = fold;
	bad.model_checksum++;
	ck_assert_lf_fails(lf_fold_write(TINY_MODEL, &modules, &bad, folder, NULL, LF_ERROR),
			   -EINVAL, "its weights have checksum");
	bad = fold;
	bad.coefficient_count--;
	ck_assert_lf_fails(lf_fold_write(TINY_MODEL, &modules, &bad, folder, NULL, LF_ERROR),
			   -EINVAL, "5 coefficients, 3 modules in 2 blocks need 6 or 3");
	bad = fold;
	bad.magnitude_count++;
	ck_assert_lf_fails(lf_fold_write(TINY_MODEL, &modules, &bad, folder, NULL, LF_ERROR),
			   -EINVAL, "85 magnitudes, the layers need 84");
	/* The same modules in another order. */
	kept = modules.directories[0];
	modules.directories[0] = modules.directories[1];
	modules.directories[1] = kept;
	ck_assert_lf_fails(lf_fold_write(TINY_MODEL, &modules, &fold, folder, NULL, LF_ERROR),
			   -EINVAL, "these 3 modules have checksum");
	ck_assert_uint_eq(io_count_entries(io_path(".")), 0);
	lf_pool_modules_release(&modules);
	end_method(&tiny, method);
	lf_pool_close(pool);
	tiny_close(&tiny);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("peft");
	TCase *tests = tcase_create("peft");

	tcase_add_checked_fixture(tests, io_fixture_setup, io_fixture_teardown);
	tcase_add_loop_test(tests, adapters_of_peft_give_its_outputs, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tests, adapters_written_again_have_the_names_of_peft, 0,
			    sizeof(cases) / sizeof(cases[0]));
	tcase_add_loop_test(tests, a_fused_pool_is_folded, 0, sizeof(folds) / sizeof(folds[0]));
	tcase_add_test(tests, coefficients_of_the_model_and_no_magnitudes);
	tcase_add_test(tests, folds_that_do_not_fit_are_refused);
	suite_add_tcase(suite, tests);
	return suite_run(suite);
}
