// SPDX-License-Identifier: MIT
/* Checkpoints: bit-exact round trips, every damage noticed, a killed writer leaves the old one. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <check.h>

#include <lf/checkpoint.h>

#include "tests/unit/io_fixture.h"
#include "tests/unit/suite.h"

#define KILLS	      50
#define KILL_ELEMENTS 16384

/* Values whose bits are easily lost: denormals, negative zero, the extremes. */
static const float delicate[6] = { 1e-45f, -0.0f, 3.4028235e38f, -1.1754944e-38f, 0.1f, 1.0f };

static const struct lf_checkpoint_tensor sample_tensors[] = {
	{ .name = "coefficient", .rank = 2, .shape = { 2, 3 }, .values = delicate },
	{ .name = "coefficient.first_moment", .rank = 2, .shape = { 2, 3 }, .values = delicate },
	{ .name = "magnitude", .rank = 1, .shape = { 4 }, .values = delicate + 2 },
};

static struct lf_checkpoint_state sample_state(void)
{
	return (struct lf_checkpoint_state){
		.step = 18446744073709551615u,
		.config = "{\"task\": \"use\",  \"note\": \"\\u00e9 \\\"quoted\\\"\"}",
		.random_word_count = 3,
		.random_words = { 0, 0x0123456789abcdefu, 0xffffffffffffffffu },
		.tensors = sample_tensors,
		.tensor_count = 3,
	};
}

static void save(const char *path, const struct lf_checkpoint_state *state)
{
	struct lf_error error = { 0 };

	ck_assert_msg(lf_checkpoint_save(path, state, &error) == 0, "%s", error.text);
}

START_TEST(a_run_is_resumed_to_the_bit)
{
	struct lf_checkpoint_state state = sample_state();
	struct lf_checkpoint *checkpoint;
	struct lf_error error = { 0 };
	uint64_t words[3];
	float values[6];
	char *first, *second;
	size_t first_size, second_size;

	save(io_path("run"), &state);
	ck_assert_msg(lf_checkpoint_open(&checkpoint, io_path("run"), &error) == 0, "%s",
		      error.text);
	ck_assert_uint_eq(lf_checkpoint_step(checkpoint), state.step);
	ck_assert_str_eq(lf_checkpoint_config(checkpoint), state.config);
	ck_assert_int_eq(lf_checkpoint_random_words(checkpoint, 3, words, &error), 0);
	ck_assert_mem_eq(words, state.random_words, sizeof(words));
	ck_assert_uint_eq(lf_checkpoint_tensor_count(checkpoint), 3);
	ck_assert_int_eq(lf_checkpoint_read(checkpoint, "coefficient", 2, (uint64_t[]){ 2, 3 },
					    values, &error),
			 0);
	ck_assert_mem_eq(values, delicate, sizeof(delicate));
	io_expect_error(
		&error,
		lf_checkpoint_read(checkpoint, "magnitude", 1, (uint64_t[]){ 5 }, values, &error),
		-EINVAL, "has shape [4], expected [5]");
	io_expect_error(&error, lf_checkpoint_random_words(checkpoint, 2, words, &error), -EINVAL,
			"3 words of random state, expected 2");
	lf_checkpoint_close(checkpoint);

	save(io_path("again"), &state);
	first = io_read(io_path("run"), &first_size);
	second = io_read(io_path("again"), &second_size);
	ck_assert_uint_eq(first_size, second_size);
	ck_assert_mem_eq(first, second, first_size);
	free(first);
	free(second);
}
END_TEST

/* Only one bit, or one byte less: nothing may open. */
START_TEST(every_flip_and_truncation_is_refused)
{
	struct lf_checkpoint_state state = sample_state();
	struct lf_checkpoint *checkpoint;
	size_t size;
	char *bytes;

	save(io_path("run"), &state);
	bytes = io_read(io_path("run"), &size);
	for (size_t length = 0; length < size; length++) {
		io_write(io_path("part"), bytes, length);
		ck_assert_msg(lf_checkpoint_open(&checkpoint, io_path("part"), NULL) != 0,
			      "%zu of %zu bytes open", length, size);
	}
	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
		io_write(io_path("part"), bytes, size);
		ck_assert_msg(lf_checkpoint_open(&checkpoint, io_path("part"), NULL) != 0,
			      "bit %zu flipped, and it opens", bit);
		bytes[bit / 8] = (char)(bytes[bit / 8] ^ 1 << bit % 8);
	}
	free(bytes);
}
END_TEST

START_TEST(damage_is_called_damage)
{
	struct lf_checkpoint_state state = sample_state();
	struct lf_checkpoint *checkpoint;
	struct lf_error error = { 0 };
	size_t size;
	char *bytes;

	save(io_path("run"), &state);
	bytes = io_read(io_path("run"), &size);
	bytes[size - 1] ^= 1;
	io_write(io_path("run"), bytes, size);
	io_expect_error(&error, lf_checkpoint_open(&checkpoint, io_path("run"), &error), -EBADMSG,
			"run: is damaged");
	free(bytes);
}
END_TEST

/* A safetensors file with a right checksum and these metadata. */
static void save_metadata(const char *const (*fields)[2], size_t count)
{
	struct lf_safetensors_writer *writer;
	struct lf_error error = { 0 };

	ck_assert_int_eq(lf_safetensors_writer_new(&writer, &error), 0);
	lf_safetensors_writer_checksum(writer);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(
			lf_safetensors_writer_metadata(writer, fields[i][0], fields[i][1], &error),
			0);
	ck_assert_int_eq(lf_safetensors_writer_save(writer, io_path("odd"), &error), 0);
	lf_safetensors_writer_free(writer);
}

static const struct {
	const char *key;
	const char *value;
	int code;
	const char *contains;
} odd[] = {
	{ "format", NULL, -EINVAL, "\"format\" is missing" },
	{ "format", "pt", -EINVAL, "no checkpoint" },
	{ "schema_version", NULL, -EINVAL, "\"schema_version\" is missing" },
	{ "schema_version", "2", -ENOTSUP, "\"schema_version\" is 2, expected 1" },
	{ "schema_version", " 1", -EINVAL, "\"schema_version\" is no number" },
	{ "step", NULL, -EINVAL, "\"step\" is missing" },
	{ "step", "", -EINVAL, "\"step\" is no number" },
	{ "step", "-1", -EINVAL, "\"step\" is no number" },
	{ "step", "18446744073709551616", -EINVAL, "\"step\" is no number" },
	{ "step", "111111111111111111111111111", -EINVAL, "\"step\" is no number" },
	{ "config", NULL, -EINVAL, "\"config\" is missing" },
	{ "config", "[]", -EINVAL, "must be a JSON object" },
	{ "config", "{", -EINVAL, "not valid JSON" },
	{ "random_state", NULL, -EINVAL, "\"random_state\" is missing" },
	{ "random_state", "0", -EINVAL, "\"random_state\" has 1 digits" },
	{ "random_state", "000000000000000g", -EINVAL, "not hexadecimal" },
};

START_TEST(odd_metadata_are_refused)
{
	const char *fields[5][2] = { { "format", "lorafusion-checkpoint" },
				     { "schema_version", "1" },
				     { "step", "7" },
				     { "config", "{}" },
				     { "random_state", "000000000000000a" } };
	struct lf_checkpoint *checkpoint;
	struct lf_error error = { 0 };
	size_t count = 5;

	save_metadata(fields, count);
	ck_assert_msg(lf_checkpoint_open(&checkpoint, io_path("odd"), &error) == 0, "%s",
		      error.text);
	lf_checkpoint_close(checkpoint);
	for (size_t i = 0; i < 5; i++) {
		if (strcmp(fields[i][0], odd[_i].key) != 0)
			continue;
		fields[i][1] = odd[_i].value;
		if (!odd[_i].value) {
			fields[i][0] = fields[--count][0];
			fields[i][1] = fields[count][1];
		}
		break;
	}
	save_metadata(fields, count);
	io_expect_error(&error, lf_checkpoint_open(&checkpoint, io_path("odd"), &error),
			odd[_i].code, odd[_i].contains);
}
END_TEST

START_TEST(bad_states_are_not_saved)
{
	static const float broken[1] = { NAN };
	struct lf_checkpoint_tensor tensor = {
		.name = "x", .rank = 1, .shape = { 1 }, .values = broken
	};
	struct lf_checkpoint_state state = sample_state();
	struct lf_checkpoint *checkpoint;
	struct lf_error error = { 0 };

	save(io_path("run"), &state);
	state.tensors = &tensor;
	state.tensor_count = 1;
	io_expect_error(&error, lf_checkpoint_save(io_path("run"), &state, &error), -EDOM,
			"\"x\": element 0 is not finite");
	state = sample_state();
	state.config = "no json";
	io_expect_error(&error, lf_checkpoint_save(io_path("run"), &state, &error), -EINVAL,
			"checkpoint configuration: not valid JSON");
	state = sample_state();
	state.random_word_count = LF_CHECKPOINT_MAX_RANDOM_WORDS + 1;
	io_expect_error(&error, lf_checkpoint_save(io_path("run"), &state, &error), -EINVAL,
			"17 words of random state");
	ck_assert_int_eq(lf_checkpoint_open(&checkpoint, io_path("run"), &error), 0);
	lf_checkpoint_close(checkpoint);
	io_expect_error(&error, lf_checkpoint_open(&checkpoint, io_path("absent"), &error), -ENOENT,
			"absent");
}
END_TEST

/* Save for ever, each time with all values equal to the step. */
static void save_until_killed(void)
{
	static float values[KILL_ELEMENTS];
	struct lf_checkpoint_tensor tensor = {
		.name = "x", .rank = 1, .shape = { KILL_ELEMENTS }, .values = values
	};
	struct lf_checkpoint_state state = {
		.config = "{}",
		.tensors = &tensor,
		.tensor_count = 1,
	};

	for (;;) {
		state.step++;
		for (size_t i = 0; i < KILL_ELEMENTS; i++)
			values[i] = (float)state.step;
		if (lf_checkpoint_save(io_path("run"), &state, NULL) < 0)
			_exit(1);
	}
}

START_TEST(a_killed_writer_leaves_a_whole_checkpoint)
{
	static float values[KILL_ELEMENTS];
	struct lf_error error = { 0 };

	for (unsigned int kill_number = 0; kill_number < KILLS; kill_number++) {
		struct lf_checkpoint *checkpoint;
		pid_t child = fork();
		int status;

		ck_assert_int_ge(child, 0);
		if (child == 0)
			save_until_killed();
		/* Until there is one, then at a different moment each time. */
		while (access(io_path("run"), F_OK) < 0)
			usleep(100);
		usleep(1000 + kill_number * 337 % 5000);
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
		ck_assert_msg(lf_checkpoint_open(&checkpoint, io_path("run"), &error) == 0, "%s",
			      error.text);
		ck_assert_int_eq(lf_checkpoint_read(checkpoint, "x", 1,
						    (uint64_t[]){ KILL_ELEMENTS }, values, &error),
				 0);
		for (size_t i = 0; i < KILL_ELEMENTS; i++)
			ck_assert(values[i] == (float)lf_checkpoint_step(checkpoint));
		lf_checkpoint_close(checkpoint);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("checkpoint");
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, io_fixture_setup, io_fixture_teardown);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, a_run_is_resumed_to_the_bit);
	tcase_add_test(tcase, every_flip_and_truncation_is_refused);
	tcase_add_test(tcase, damage_is_called_damage);
	tcase_add_loop_test(tcase, odd_metadata_are_refused, 0,
			    (int)(sizeof(odd) / sizeof(odd[0])));
	tcase_add_test(tcase, bad_states_are_not_saved);
	tcase_add_test(tcase, a_killed_writer_leaves_a_whole_checkpoint);
	suite_add_tcase(suite, tcase);
	return suite_run(suite);
}
