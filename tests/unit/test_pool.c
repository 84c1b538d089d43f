// SPDX-License-Identifier: MIT
/* Pools: which modules make one, modules that do not fit the model or each other, names, and full devices. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <lf/adapter.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"
#include "tests/unit/tiny_fixture.h"

enum { RANK = 2, MAX_RANK = 8 };

/* What a module of the tests is; zeros are a plain one of rank 2 on query and value. */
struct module_kind {
	uint32_t rank;
	bool on_key;
	bool one_block;
	bool wide;
	bool dora;
	bool empty;
	uint32_t seed;
};

static void write_module(const char *name, const struct module_kind *kind)
{
	const char *targets[] = { "query", kind->on_key ? "key" : "value" };
	uint32_t rank = kind->rank ? kind->rank : RANK, blocks = kind->one_block ? 1 : TINY_BLOCKS;
	uint32_t inputs = TINY_HIDDEN + kind->wide;
	struct lf_adapter_description description = { .base_model = "",
						      .target_modules = targets,
						      .target_count = 2,
						      .rank = rank,
						      .alpha = 4.0f,
						      .dtype = LF_DTYPE_F16 };
	float a[MAX_RANK * (TINY_HIDDEN + 1)] = { 0 }, b[TINY_HIDDEN * MAX_RANK] = { 0 };
	float magnitudes[TINY_HIDDEN];
	struct lf_adapter_layer layers[2 * TINY_BLOCKS];
	char paths[2 * TINY_BLOCKS][64];

	if (!kind->empty) {
		random_fill(a, rank * inputs, 2 * kind->seed + 1);
		random_fill(b, TINY_HIDDEN * rank, 2 * kind->seed + 2);
	}
	for (size_t at = 0; at < TINY_HIDDEN; at++)
		magnitudes[at] = 1.0f;
	for (uint32_t at = 0; at < 2 * blocks; at++) {
		snprintf(paths[at], sizeof(paths[at]), "encoder.layer.%u.attention.self.%s", at / 2,
			 targets[at % 2]);
		layers[at] =
			(struct lf_adapter_layer){ .path = paths[at],
						   .inputs = inputs,
						   .outputs = TINY_HIDDEN,
						   .rank = rank,
						   .a = a,
						   .b = b,
						   .magnitude = kind->dora ? magnitudes : NULL };
	}
	ck_assert_lf(lf_adapter_write(io_path(name), &description, layers, 2 * blocks, LF_ERROR));
}

/* A device with the tiny model, and the scratch folder's modules. */
struct bench {
	struct lf_device *device;
	struct lf_encoder *encoder;
	struct lf_pool_modules modules;
};

static struct bench open_bench(const char *specification)
{
	struct lf_encoder_options options = { .directory = TINY_MODEL,
					      .name = TINY_NAME,
					      .batch_sequences = 1,
					      .sequence_tokens = TINY_POSITIONS,
					      .threads = 1 };
	struct bench bench;

	bench.device = open_device(specification);
	ck_assert_lf(lf_encoder_deploy(bench.device, TINY_MODEL, TINY_NAME, 0444, NULL, NULL, NULL,
				       LF_ERROR));
	ck_assert_lf(lf_encoder_open(bench.device, &options, &bench.encoder, LF_ERROR));
	ck_assert_lf(lf_pool_modules_find(io_path("."), 0, 0, &bench.modules, LF_ERROR));
	return bench;
}

static void close_bench(struct bench *bench)
{
	lf_pool_modules_release(&bench->modules);
	lf_encoder_close(bench->encoder);
	lf_device_close(bench->device);
}

static int deploy(struct bench *bench, uint32_t mode, struct lf_counters *counters,
		  struct lf_error *error)
{
	return lf_pool_deploy(bench->device, TINY_MODEL, TINY_NAME, &bench->modules, mode, NULL,
			      NULL, counters, error);
}

static uint64_t written(struct lf_device *device)
{
	struct lf_telemetry telemetry;

	ck_assert_lf(lf_device_telemetry(device, &telemetry, LF_ERROR));
	return telemetry.total.cells_written;
}

static uint32_t matrices(struct lf_device *device)
{
	struct lf_matrix_info *list;
	uint32_t count;

	ck_assert_lf(lf_matrix_list(device, &list, &count, LF_ERROR));
	free(list);
	return count;
}

START_TEST(modules_are_found_in_the_order_of_their_names)
{
	static const char *const names[] = { "Zebra", "ant", "bee-10", "bee-9" };
	struct lf_pool_modules modules;
	char text[64];

	for (size_t at = 0; at < 4; at++)
		write_module(names[3 - at], &(struct module_kind){ 0 });
	io_write_text(io_path("file"), "no module");
	ck_assert_int_eq(mkdir(io_path("folder"), 0777), 0);
	ck_assert_int_eq(mkdir(io_path(".hidden"), 0777), 0);
	ck_assert_lf(lf_pool_modules_find(io_path("."), 0, 0, &modules, LF_ERROR));
	ck_assert_uint_eq(modules.count, 4);
	for (size_t at = 0; at < 4; at++)
		ck_assert_str_eq(strrchr(modules.directories[at], '/') + 1, names[at]);
	lf_pool_modules_release(&modules);
	ck_assert_lf(lf_pool_modules_find(io_path("."), 2, 0, &modules, LF_ERROR));
	ck_assert_uint_eq(modules.count, 2);
	ck_assert_str_eq(strrchr(modules.directories[1], '/') + 1, "ant");
	lf_pool_modules_release(&modules);
	snprintf(text, sizeof(text), "%u modules wanted, 4 found", 5);
	ck_assert_lf_fails(lf_pool_modules_find(io_path("."), 5, 0, &modules, LF_ERROR), -EINVAL,
			   text);
	ck_assert_lf_fails(lf_pool_modules_find(io_path("folder"), 0, 0, &modules, LF_ERROR),
			   -EINVAL, "no PEFT adapter in it");
	ck_assert_lf_fails(lf_pool_modules_find(io_path("absent"), 0, 0, &modules, LF_ERROR),
			   -ENOENT, "absent");
}
END_TEST

/* Every seed draws distinct modules, the same ones again, and not all seeds the same. */
START_TEST(modules_are_drawn_by_seed)
{
	struct lf_pool_modules first, again;
	uint32_t differing = 0;
	char name[16];

	for (uint32_t at = 0; at < 9; at++) {
		snprintf(name, sizeof(name), "module-%u", at);
		write_module(name, &(struct module_kind){ 0 });
	}
	for (uint64_t seed = 1; seed <= 8; seed++) {
		uint32_t seen = 0;

		ck_assert_lf(lf_pool_modules_find(io_path("."), 5, seed, &first, LF_ERROR));
		ck_assert_lf(lf_pool_modules_find(io_path("."), 5, seed, &again, LF_ERROR));
		ck_assert_uint_eq(first.count, 5);
		for (uint32_t at = 0; at < 5; at++) {
			ck_assert_str_eq(first.directories[at], again.directories[at]);
			seen |= 1u << (strrchr(first.directories[at], '-')[1] - '0');
		}
		ck_assert_int_eq(__builtin_popcount(seen), 5);
		differing += seen != 0x1f;
		lf_pool_modules_release(&first);
		lf_pool_modules_release(&again);
	}
	ck_assert_uint_ge(differing, 6);
}
END_TEST

static const struct bad_case {
	struct module_kind kind;
	int code;
	const char *says;
} bad_cases[] = {
	{ { .rank = 3 }, -EINVAL, "query: rank 3, the pool has 2" },
	{ { .one_block = true },
	  -ENOENT,
	  "encoder.layer.1.attention.self.query.lora_A.weight\" is missing" },
	{ { .on_key = true }, -EINVAL, "adapts encoder.layer.0.attention.self.key" },
	{ { .wide = true }, -EINVAL, "encoder.layer.0.attention.self.query" },
	{ { .dora = true }, -ENOTSUP, "DoRA magnitudes cannot be fused" },
};

START_TEST(modules_that_do_not_fit)
{
	const struct bad_case *bad = &bad_cases[_i];
	struct lf_error error = { 0 };
	struct lf_pool *pool;
	struct bench bench;
	uint64_t cells;

	write_module("module-0", &(struct module_kind){ .seed = 1 });
	write_module("module-1", &bad->kind);
	bench = open_bench("inproc:ideal");
	cells = written(bench.device);
	ck_assert_msg(deploy(&bench, 0444, NULL, &error) == bad->code &&
			      strstr(error.text, bad->says) && strstr(error.text, "module-1"),
		      "%d: %s", error.code, error.text);
	ck_assert_uint_eq(matrices(bench.device), TINY_LINEARS);
	ck_assert_uint_eq(written(bench.device), cells);
	ck_assert_int_eq(lf_pool_open(bench.encoder, &bench.modules, &pool, NULL), bad->code);
	close_bench(&bench);
}
END_TEST

START_TEST(pools_of_no_or_too_many_modules)
{
	struct lf_pool_modules none = { 0 };
	struct lf_pool *pool;
	struct bench bench;

	write_module("module-0", &(struct module_kind){ 0 });
	bench = open_bench("inproc:float");
	ck_assert_lf_fails(lf_pool_open(bench.encoder, &none, &pool, LF_ERROR), -EINVAL,
			   "pool of 0 modules");
	none = bench.modules;
	none.count = LF_POOL_MODULES + 1;
	ck_assert_lf_fails(lf_pool_open(bench.encoder, &none, &pool, LF_ERROR), -EINVAL,
			   "pool of 257 modules: 1 to 256");
	close_bench(&bench);
}
END_TEST

START_TEST(a_pool_is_known_by_its_modules)
{
	struct lf_counters cost = { 0 };
	struct lf_pool_modules turned;
	struct lf_matrix_info *list;
	struct lf_pool *pool;
	struct bench bench;
	uint32_t count, stacks = 0, checksum;
	char *directories[2], prefix[40];
	uint64_t cells;

	write_module("module-0", &(struct module_kind){ .seed = 1 });
	write_module("module-1", &(struct module_kind){ .seed = 2 });
	bench = open_bench("inproc:ideal");
	ck_assert_lf_fails(lf_pool_open(bench.encoder, &bench.modules, &pool, LF_ERROR), -ENOENT,
			   "tiny.p");
	ck_assert_lf(deploy(&bench, 0444, &cost, LF_ERROR));
	ck_assert_uint_gt(cost.cells_written, 0);
	ck_assert_uint_eq(matrices(bench.device), TINY_LINEARS + 2 * 2 * TINY_BLOCKS);
	cells = written(bench.device);
	ck_assert_lf(lf_pool_open(bench.encoder, &bench.modules, &pool, LF_ERROR));
	ck_assert_uint_eq(lf_pool_rank(pool), RANK);
	ck_assert_uint_eq(lf_pool_targets(pool), 1u << LF_TARGET_QUERY | 1u << LF_TARGET_VALUE);
	checksum = lf_pool_checksum(pool);
	lf_pool_close(pool);
	snprintf(prefix, sizeof(prefix), "tiny.p%08x/layer.", checksum);
	ck_assert_lf(lf_matrix_list(bench.device, &list, &count, LF_ERROR));
	for (uint32_t at = 0; at < count; at++)
		stacks += !strncmp((const char *)list[at].publication.name, prefix, strlen(prefix));
	free(list);
	ck_assert_uint_eq(stacks, 2 * 2 * TINY_BLOCKS);

	ck_assert_lf_fails(deploy(&bench, 0444, NULL, LF_ERROR), -EEXIST, prefix);
	/* The same modules in another order are another pool: their coefficients would be mixed up. */
	directories[0] = bench.modules.directories[1];
	directories[1] = bench.modules.directories[0];
	turned = (struct lf_pool_modules){ directories, 2 };
	ck_assert_lf_fails(lf_pool_open(bench.encoder, &turned, &pool, LF_ERROR), -ENOENT,
			   "tiny.p");
	ck_assert_uint_eq(written(bench.device), cells);
	close_bench(&bench);
}
END_TEST

START_TEST(a_full_device_is_left_as_it_was)
{
	struct bench bench;
	uint64_t cells;

	write_module("module-0", &(struct module_kind){ .rank = MAX_RANK });
	/* The model takes 26 tiles. */
	bench = open_bench("inproc:ideal,tiles=30");
	cells = written(bench.device);
	ck_assert_lf_fails(deploy(&bench, 0444, NULL, LF_ERROR), -ENOSPC, "tiles");
	ck_assert_uint_eq(matrices(bench.device), TINY_LINEARS);
	ck_assert_uint_eq(written(bench.device), cells);
	close_bench(&bench);
}
END_TEST

/* Modules that have learned nothing have columns without a scale. */
START_TEST(modules_of_zeros_change_nothing)
{
	static const char *const kinds[] = { "inproc:ideal", "inproc:float" };
	uint32_t start[] = { 0, 4 }, tokens[] = { 2, 9, 8, 3 };
	struct lf_batch batch = { 1, start, tokens };
	float frozen[TINY_HIDDEN], fused[TINY_HIDDEN];
	struct lf_lorafusion_options options;
	struct lf_method *method;
	struct lf_pool *pool;
	struct bench bench;

	write_module("module-0", &(struct module_kind){ .empty = true });
	bench = open_bench(kinds[_i]);
	ck_assert_lf(lf_encoder_forward(bench.encoder, &batch, frozen, LF_ERROR));
	ck_assert_lf(deploy(&bench, 0444, NULL, LF_ERROR));
	ck_assert_lf(lf_pool_open(bench.encoder, &bench.modules, &pool, LF_ERROR));
	lf_lorafusion_defaults(&options);
	ck_assert_lf(lf_lorafusion_create(bench.encoder, pool, &options, &method, LF_ERROR));
	ck_assert_lf(lf_method_start(method, 1, LF_ERROR));
	ck_assert_lf(lf_method_attach(method, false, LF_ERROR));
	ck_assert_lf(lf_method_prepare(method, LF_ERROR));
	ck_assert_lf(lf_encoder_forward(bench.encoder, &batch, fused, LF_ERROR));
	ck_assert_mem_eq(fused, frozen, sizeof(fused));
	ck_assert_lf(lf_encoder_attach(bench.encoder, NULL, false, LF_ERROR));
	lf_method_free(method);
	lf_pool_close(pool);
	close_bench(&bench);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pool");
	TCase *tcase = tcase_create("pool");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_add_test(tcase, modules_are_found_in_the_order_of_their_names);
	tcase_add_test(tcase, modules_are_drawn_by_seed);
	tcase_add_loop_test(tcase, modules_that_do_not_fit, 0,
			    sizeof(bad_cases) / sizeof(bad_cases[0]));
	tcase_add_test(tcase, pools_of_no_or_too_many_modules);
	tcase_add_test(tcase, a_pool_is_known_by_its_modules);
	tcase_add_test(tcase, a_full_device_is_left_as_it_was);
	tcase_add_loop_test(tcase, modules_of_zeros_change_nothing, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
