// SPDX-License-Identifier: MIT
/*
 * PEFT adapters: what is written is read back, what PEFT would compute is what the reader says,
 * and adapters that do not fit the model are refused by name.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>
#include <jansson.h>

#include <lf/adapter.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

#define QUERY	"encoder.layer.0.attention.self.query"
#define VALUE	"encoder.layer.0.attention.self.value"
#define DENSE	"encoder.layer.0.output.dense"

#define RANK	2
#define INPUTS	3
#define OUTPUTS 4

static const struct lf_adapter_slot slots[] = {
	{ QUERY, INPUTS, OUTPUTS, false },
	{ DENSE, OUTPUTS, INPUTS, false },
	{ VALUE, INPUTS, OUTPUTS, false },
};

static const float matrix[OUTPUTS * INPUTS] = { 1, 2, 3, 4, -5, 6, 7, 0.5f, 9, -0.25f, 11, 12 };

static const char *const query_and_value[] = { "query", "value" };

static struct lf_adapter_description description_of(enum lf_dtype dtype)
{
	return (struct lf_adapter_description){
		.base_model = "sentence-transformers/all-MiniLM-L6-v2",
		.target_modules = query_and_value,
		.target_count = 2,
		.rank = RANK,
		.alpha = 3.0f,
		.dtype = dtype,
	};
}

static struct lf_adapter_layer layer_of(const char *path)
{
	return (struct lf_adapter_layer){
		.path = path,
		.inputs = INPUTS,
		.outputs = OUTPUTS,
		.rank = RANK,
		.a = matrix,
		.b = matrix + 1,
	};
}

static void write_sample(enum lf_dtype dtype, const float *magnitude)
{
	struct lf_adapter_layer layers[2] = { layer_of(QUERY), layer_of(VALUE) };
	struct lf_adapter_description description = description_of(dtype);
	struct lf_error error = { 0 };

	layers[0].magnitude = layers[1].magnitude = magnitude;
	ck_assert_msg(lf_adapter_write(io_path("adapter"), &description, layers, 2, &error) == 0,
		      "%s", error.text);
}

static int read_sample(struct lf_adapter **adapter, uint32_t rank, struct lf_error *error)
{
	return lf_adapter_read(adapter, io_path("adapter"), slots, 3, rank, error);
}

static void check_round_trip(enum lf_dtype dtype, const float *magnitude)
{
	const struct lf_adapter_layer *layer;
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };

	write_sample(dtype, magnitude);
	ck_assert_msg(read_sample(&adapter, RANK, &error) == 0, "%s", error.text);
	ck_assert_uint_eq(lf_adapter_layer_count(adapter), 2);
	layer = lf_adapter_layer_at(adapter, 1);
	ck_assert_str_eq(layer->path, VALUE);
	ck_assert_ptr_eq(lf_adapter_find(adapter, VALUE), layer);
	ck_assert_ptr_null(lf_adapter_find(adapter, DENSE));
	ck_assert_uint_eq(layer->rank, RANK);
	ck_assert_uint_eq(layer->inputs, INPUTS);
	ck_assert_uint_eq(layer->outputs, OUTPUTS);
	ck_assert_float_eq(layer->scale, 1.5f);
	ck_assert_mem_eq(layer->a, matrix, RANK * INPUTS * sizeof(float));
	ck_assert_mem_eq(layer->b, matrix + 1, OUTPUTS * RANK * sizeof(float));
	if (magnitude)
		ck_assert_mem_eq(layer->magnitude, magnitude, OUTPUTS * sizeof(float));
	else
		ck_assert_ptr_null(layer->magnitude);
	lf_adapter_free(adapter);
	ck_assert_uint_eq(io_count_entries(io_path("adapter")), 2);
}

START_TEST(written_is_read_back)
{
	check_round_trip(LF_DTYPE_F32, NULL);
	/* Over the one before; all values here are exact in float16. */
	check_round_trip(LF_DTYPE_F16, NULL);
	check_round_trip(LF_DTYPE_F16, matrix + 4);
}
END_TEST

/* The fields PEFT needs to load an adapter, as it spells them. */
START_TEST(configuration_is_as_peft_writes_it)
{
	json_t *root;

	write_sample(LF_DTYPE_F16, matrix);
	root = json_load_file(io_path("adapter/adapter_config.json"), 0, NULL);
	ck_assert_ptr_nonnull(root);
	ck_assert_str_eq(json_string_value(json_object_get(root, "peft_type")), "LORA");
	ck_assert_str_eq(json_string_value(json_object_get(root, "task_type")),
			 "FEATURE_EXTRACTION");
	ck_assert_str_eq(json_string_value(json_object_get(root, "base_model_name_or_path")),
			 "sentence-transformers/all-MiniLM-L6-v2");
	ck_assert_str_eq(json_string_value(json_object_get(root, "bias")), "none");
	ck_assert(json_is_true(json_object_get(root, "inference_mode")));
	ck_assert(json_is_true(json_object_get(root, "use_dora")));
	ck_assert(json_is_false(json_object_get(root, "use_rslora")));
	ck_assert(json_is_false(json_object_get(root, "fan_in_fan_out")));
	ck_assert_int_eq(json_integer_value(json_object_get(root, "r")), RANK);
	ck_assert_double_eq(json_number_value(json_object_get(root, "lora_alpha")), 3.0);
	ck_assert_uint_eq(json_array_size(json_object_get(root, "target_modules")), 2);
	json_decref(root);
}
END_TEST

/* Set a field of the configuration on disk, or remove it with value NULL. */
static void change_config(const char *key, const char *value)
{
	char path[IO_PATH_BYTES];
	json_t *root;

	snprintf(path, sizeof(path), "%s", io_path("adapter/adapter_config.json"));
	root = json_load_file(path, 0, NULL);
	ck_assert_ptr_nonnull(root);
	if (value)
		ck_assert_int_eq(
			json_object_set_new(root, key, json_loads(value, JSON_DECODE_ANY, NULL)),
			0);
	else
		json_object_del(root, key);
	ck_assert_int_eq(json_dump_file(root, path, 0), 0);
	json_decref(root);
}

static const struct {
	const char *key;
	const char *value;
	int code;
	const char *contains;
} bad_configs[] = {
	{ "peft_type", NULL, -ENOENT, "\"peft_type\" is missing" },
	{ "peft_type", "\"IA3\"", -ENOTSUP, "\"peft_type\" is \"IA3\"" },
	{ "target_modules", NULL, -ENOENT, "\"target_modules\" is missing" },
	{ "target_modules", "[]", -EINVAL, "\"target_modules\" must be" },
	{ "target_modules", "[1]", -EINVAL, "element 0 must be a string" },
	{ "target_modules", "[\"query\",\"value\",\"dense\"]", -ENOENT,
	  "\"base_model.model." DENSE ".lora_A.weight\" is missing" },
	{ "r", NULL, -ENOENT, "\"r\" is missing" },
	{ "r", "0", -EINVAL, "\"r\" is 0" },
	{ "r", "-4", -EINVAL, "\"r\" is -4" },
	{ "r", "\"16\"", -EINVAL, "\"r\" must be an integer" },
	{ "r", "4", -EINVAL, QUERY "\" has rank 4, expected 2" },
	{ "lora_alpha", NULL, -ENOENT, "\"lora_alpha\" is missing" },
	{ "lora_alpha", "0", -EINVAL, "\"lora_alpha\" is 0" },
	{ "lora_alpha", "1e300", -EINVAL, "\"lora_alpha\" is 1e+300" },
	{ "rank_pattern", "[]", -EINVAL, "\"rank_pattern\" must be an object" },
	{ "rank_pattern", "{\"value\":3}", -EINVAL, VALUE "\" has rank 3, expected 2" },
	{ "rank_pattern", "{\"value\":\"x\"}", -EINVAL, "\"value\" must be an integer" },
	{ "rank_pattern", "{\".*value\":2}", -ENOTSUP, "not the plain name" },
	{ "alpha_pattern", "{\"value\":-1}", -EINVAL, "\"value\" is -1" },
	{ "use_rslora", "1", -EINVAL, "\"use_rslora\" must be true or false" },
	{ "use_dora", "true", -ENOENT, "lora_magnitude_vector" },
	{ "fan_in_fan_out", "\"no\"", -EINVAL, "\"fan_in_fan_out\"" },
	{ "bias", "\"all\"", -ENOTSUP, "\"bias\"" },
	{ "modules_to_save", "[\"classifier\"]", -ENOTSUP, "\"modules_to_save\"" },
	{ "lora_bias", "true", -ENOTSUP, "\"lora_bias\"" },
	{ "use_bdlora", "{\"nblocks\":2}", -ENOTSUP, "\"use_bdlora\"" },
	{ "kasa_config", "{\"beta\":0.1}", -ENOTSUP, "\"kasa_config\"" },
	{ "arrow_config", "{\"top_k\":3}", -ENOTSUP, "\"arrow_config\"" },
	{ "layer_replication", "[[0,4]]", -ENOTSUP, "\"layer_replication\"" },
	{ "init_lora_weights", "\"pissa_niter_4\"", -ENOTSUP, "\"init_lora_weights\"" },
};

START_TEST(bad_configurations_are_refused)
{
	struct lf_adapter *adapter = NULL;
	struct lf_error error = { 0 };

	write_sample(LF_DTYPE_F32, NULL);
	change_config(bad_configs[_i].key, bad_configs[_i].value);
	io_expect_error(&error, read_sample(&adapter, RANK, &error), bad_configs[_i].code,
			bad_configs[_i].contains);
	ck_assert_ptr_null(adapter);
}
END_TEST

static float scale_with(const char *key, const char *value)
{
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };
	float scale;

	change_config(key, value);
	ck_assert_msg(read_sample(&adapter, 0, &error) == 0, "%s", error.text);
	scale = lf_adapter_find(adapter, VALUE)->scale;
	lf_adapter_free(adapter);
	return scale;
}

START_TEST(scales_follow_the_configuration)
{
	write_sample(LF_DTYPE_F32, NULL);
	ck_assert_float_eq(scale_with("lora_alpha", "32"), 16.0f);
	ck_assert_float_eq_tol(scale_with("use_rslora", "true"), 32.0f / sqrtf(2.0f), 4e-6f);
	ck_assert_float_eq(scale_with("use_rslora", "false"), 16.0f);
	ck_assert_float_eq(scale_with("alpha_pattern", "{\"query\": 1, \"self.value\": 5}"), 2.5f);
	ck_assert_float_eq(scale_with("alpha_pattern", "{\"elf.value\": 5}"), 16.0f);
	ck_assert_float_eq(scale_with("alpha_pattern", "{\"" VALUE "\": 7}"), 3.5f);
	ck_assert_float_eq(scale_with("alpha_pattern", "{\"value\": 4, \"" VALUE "\": 7}"), 2.0f);
	ck_assert_float_eq(scale_with("rank_pattern", "{\"value\": 2}"), 2.0f);
	/* A pattern of target modules cannot be compared with the layers; it is not refused. */
	ck_assert_float_eq(scale_with("target_modules", "\".*\\\\.(query|value)\""), 2.0f);
}
END_TEST

START_TEST(adapters_for_other_models_are_refused)
{
	struct lf_adapter_slot other[3];
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };

	write_sample(LF_DTYPE_F32, NULL);
	io_expect_error(&error, read_sample(&adapter, 16, &error), -EINVAL,
			QUERY "\" has rank 2, expected 16");
	memcpy(other, slots, sizeof(slots));
	other[2].inputs = 768;
	io_expect_error(&error, lf_adapter_read(&adapter, io_path("adapter"), other, 3, 0, &error),
			-EINVAL, VALUE ".lora_A.weight\" has shape [2, 3], expected [2, 768]");
	memcpy(other, slots, sizeof(slots));
	other[0].outputs = 5;
	io_expect_error(&error, lf_adapter_read(&adapter, io_path("adapter"), other, 3, 0, &error),
			-EINVAL, QUERY ".lora_B.weight\" has shape [4, 2], expected [5, 2]");
	/* A model without value projections. */
	io_expect_error(&error, lf_adapter_read(&adapter, io_path("adapter"), slots, 2, 0, &error),
			-EINVAL, VALUE ".lora_A.weight\" belongs to no layer of the model");
	/* A caller that wants more than the adapter promises. */
	memcpy(other, slots, sizeof(slots));
	other[1].required = true;
	io_expect_error(&error, lf_adapter_read(&adapter, io_path("adapter"), other, 3, 0, &error),
			-ENOENT, DENSE ".lora_A.weight\" is missing");
	io_expect_error(&error, lf_adapter_read(&adapter, io_path("adapter"), NULL, 0, 0, &error),
			-EINVAL, "belongs to no layer");
}
END_TEST

/* Replace the tensors by zeros of these names and shapes. */
static void write_tensors(const char *const *names, const uint64_t (*shapes)[2],
			  const unsigned int *ranks, size_t count)
{
	static const float zeros[64];
	struct lf_safetensors_writer *writer;
	struct lf_error error = { 0 };

	ck_assert_int_eq(lf_safetensors_writer_new(&writer, &error), 0);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(lf_safetensors_writer_add(writer, names[i], LF_DTYPE_F32, ranks[i],
							   shapes[i], zeros, &error),
				 0);
	ck_assert_int_eq(lf_safetensors_writer_save(
				 writer, io_path("adapter/adapter_model.safetensors"), &error),
			 0);
	lf_safetensors_writer_free(writer);
}

#define KEY(layer, suffix) "base_model.model." layer suffix

START_TEST(tensors_that_do_not_belong_are_refused)
{
	static const char *const names[] = {
		KEY(QUERY, ".lora_A.weight"),	      KEY(QUERY, ".lora_B.weight"),
		KEY(VALUE, ".lora_A.weight"),	      KEY(VALUE, ".lora_B.weight"),
		KEY(QUERY, ".lora_magnitude_vector"), KEY("pooler", ".lora_A.weight"),
	};
	static const uint64_t shapes[][2] = { { RANK, INPUTS }, { OUTPUTS, RANK },
					      { RANK, INPUTS }, { OUTPUTS, RANK },
					      { OUTPUTS },	{ RANK, INPUTS } };
	static const unsigned int ranks[] = { 2, 2, 2, 2, 1, 2 };
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };

	write_sample(LF_DTYPE_F32, NULL);
	write_tensors(names, shapes, ranks, 4);
	ck_assert_int_eq(read_sample(&adapter, 0, &error), 0);
	lf_adapter_free(adapter);
	write_tensors(names, shapes, ranks, 3);
	io_expect_error(&error, read_sample(&adapter, 0, &error), -ENOENT,
			VALUE ".lora_B.weight\" is missing");
	/* A magnitude without DoRA would change the result if it were used, and if it were not. */
	write_tensors(names, shapes, ranks, 5);
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EINVAL,
			QUERY ".lora_magnitude_vector\" belongs to no layer");
	write_tensors(names, shapes, ranks, 6);
	change_config("use_dora", "true");
	io_expect_error(&error, read_sample(&adapter, 0, &error), -ENOENT,
			VALUE ".lora_magnitude_vector.weight\" is missing");
	write_tensors(names + 5, shapes + 5, ranks + 5, 1);
	change_config("target_modules", "\"all-linear\"");
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EINVAL,
			"\"base_model.model.pooler.lora_A.weight\" belongs to no layer");
	write_tensors(NULL, NULL, NULL, 0);
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EINVAL, "adapts no layer");
}
END_TEST

START_TEST(magnitudes_may_be_modules)
{
	static const char *const names[] = {
		KEY(QUERY, ".lora_A.weight"),
		KEY(QUERY, ".lora_B.weight"),
		KEY(QUERY, ".lora_magnitude_vector.weight"),
		KEY(QUERY, ".lora_magnitude_vector"),
	};
	static const uint64_t shapes[][2] = {
		{ RANK, INPUTS }, { OUTPUTS, RANK }, { OUTPUTS }, { OUTPUTS }
	};
	static const unsigned int ranks[] = { 2, 2, 1, 1 };
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };

	write_sample(LF_DTYPE_F32, matrix);
	change_config("target_modules", "[\"query\"]");
	write_tensors(names, shapes, ranks, 3);
	ck_assert_msg(read_sample(&adapter, 0, &error) == 0, "%s", error.text);
	ck_assert_ptr_nonnull(lf_adapter_find(adapter, QUERY)->magnitude);
	lf_adapter_free(adapter);
	write_tensors(names, shapes, ranks, 4);
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EINVAL, "there twice");
}
END_TEST

START_TEST(pickles_are_refused)
{
	static const char pickle[] = "\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01K\x01u.";
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };

	write_sample(LF_DTYPE_F32, NULL);
	io_write(io_path("adapter/adapter_model.safetensors"), pickle, sizeof(pickle));
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EINVAL, "Python pickle");
	ck_assert_int_eq(unlink(io_path("adapter/adapter_model.safetensors")), 0);
	io_expect_error(&error, read_sample(&adapter, 0, &error), -ENOENT,
			"has no adapter_model.safetensors");
	io_write(io_path("adapter/adapter_model.bin"), pickle, sizeof(pickle));
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EINVAL,
			"adapter_model.bin: is a Python pickle");
	io_expect_error(&error,
			lf_adapter_read(&adapter, io_path("adapter/adapter_model.bin"), slots, 3, 0,
					&error),
			-ENOTDIR, "is not a folder");
	io_expect_error(&error, lf_adapter_read(&adapter, io_path("absent"), slots, 3, 0, &error),
			-ENOENT, "absent");
}
END_TEST

START_TEST(values_that_are_not_finite_are_refused)
{
	struct lf_adapter *adapter;
	struct lf_error error = { 0 };
	char path[IO_PATH_BYTES];
	size_t size;
	char *bytes;

	write_sample(LF_DTYPE_F32, NULL);
	snprintf(path, sizeof(path), "%s", io_path("adapter/adapter_model.safetensors"));
	bytes = io_read(path, &size);
	memcpy(bytes + size - 4, &(float){ INFINITY }, 4);
	io_write(path, bytes, size);
	free(bytes);
	io_expect_error(&error, read_sample(&adapter, 0, &error), -EDOM,
			VALUE ".lora_B.weight\": element 7 is not finite");
}
END_TEST

START_TEST(writer_refuses)
{
	static const float big[RANK * INPUTS] = { 1e6f };
	struct lf_adapter_layer layers[2] = { layer_of(QUERY), layer_of(VALUE) };
	struct lf_adapter_description description = description_of(LF_DTYPE_F16);
	struct lf_error error = { 0 };
	char folder[IO_PATH_BYTES];

	snprintf(folder, sizeof(folder), "%s", io_path("new"));
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 0, &error), -EINVAL,
			"at least one layer");
	layers[1].rank = 3;
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 2, &error), -EINVAL,
			VALUE "\" has rank 3, the adapter 2");
	layers[1] = layer_of(DENSE);
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 2, &error), -EINVAL,
			"named by no target module");
	layers[1] = layer_of(VALUE);
	layers[1].magnitude = matrix;
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 2, &error), -EINVAL,
			"only one has magnitudes");
	description.alpha = NAN;
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 1, &error), -EINVAL,
			"alpha is nan");
	description.alpha = 1;
	ck_assert_int_ne(access(folder, F_OK), 0);
	/* Found only while writing: the folder is there, without a file. */
	layers[0].a = big;
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 1, &error), -EDOM,
			"beyond float16");
	layers[0].a = matrix;
	description.base_model = "\xff";
	io_expect_error(&error, lf_adapter_write(folder, &description, layers, 1, &error), -EINVAL,
			"base model is not UTF-8");
	description.base_model = "base";
	ck_assert_uint_eq(io_count_entries(folder), 0);
	io_expect_error(&error,
			lf_adapter_write(io_path("no/where"), &description, layers, 1, &error),
			-ENOENT, "cannot be made");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("adapter");
	TCase *tcase = tcase_create("folders");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(tcase, written_is_read_back);
	tcase_add_test(tcase, configuration_is_as_peft_writes_it);
	tcase_add_loop_test(tcase, bad_configurations_are_refused, 0,
			    (int)(sizeof(bad_configs) / sizeof(bad_configs[0])));
	tcase_add_test(tcase, scales_follow_the_configuration);
	tcase_add_test(tcase, adapters_for_other_models_are_refused);
	tcase_add_test(tcase, tensors_that_do_not_belong_are_refused);
	tcase_add_test(tcase, magnitudes_may_be_modules);
	tcase_add_test(tcase, pickles_are_refused);
	tcase_add_test(tcase, values_that_are_not_finite_are_refused);
	tcase_add_test(tcase, writer_refuses);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
