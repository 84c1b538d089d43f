// SPDX-License-Identifier: MIT
/* Checkpoints as safetensors files with metadata and a checksum; see lf/checkpoint.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/checkpoint.h>

#include "runtime/io/json.h"

#define FORMAT	    "lorafusion-checkpoint"
#define WORD_DIGITS 16

struct lf_checkpoint {
	struct lf_safetensors *file;
	uint64_t step;
	unsigned int random_word_count;
	uint64_t random_words[LF_CHECKPOINT_MAX_RANDOM_WORDS];
};

static int check_config(const char *config, const char *where, struct lf_error *error)
{
	json_t *root;
	int ret;

	ret = lf_json_parse(&root, config, strlen(config), where, error);
	if (ret)
		return ret;
	if (!json_is_object(root))
		ret = lf_error_set(error, -EINVAL, "%s: must be a JSON object", where);
	json_decref(root);
	return ret;
}

static int add_metadata(struct lf_safetensors_writer *writer,
			const struct lf_checkpoint_state *state, struct lf_error *error)
{
	char version[12], step[24];
	char words[LF_CHECKPOINT_MAX_RANDOM_WORDS * WORD_DIGITS + 1] = "";
	const char *const fields[][2] = {
		{ "format", FORMAT },	     { "schema_version", version }, { "step", step },
		{ "config", state->config }, { "random_state", words },
	};
	int ret = 0;

	snprintf(version, sizeof(version), "%d", LF_CHECKPOINT_SCHEMA_VERSION);
	snprintf(step, sizeof(step), "%" PRIu64, state->step);
	for (unsigned int i = 0; i < state->random_word_count; i++)
		snprintf(words + (size_t)i * WORD_DIGITS, WORD_DIGITS + 1, "%016" PRIx64,
			 state->random_words[i]);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]) && !ret; i++)
		ret = lf_safetensors_writer_metadata(writer, fields[i][0], fields[i][1], error);
	return ret;
}

int lf_checkpoint_save(const char *path, const struct lf_checkpoint_state *state,
		       struct lf_error *error)
{
	struct lf_safetensors_writer *writer;
	int ret;

	if (state->random_word_count > LF_CHECKPOINT_MAX_RANDOM_WORDS)
		return lf_error_set(error, -EINVAL, "%s: %u words of random state, at most %d",
				    path, state->random_word_count, LF_CHECKPOINT_MAX_RANDOM_WORDS);
	ret = check_config(state->config, "checkpoint configuration", error);
	if (ret)
		return ret;
	ret = lf_safetensors_writer_new(&writer, error);
	if (ret)
		return ret;
	lf_safetensors_writer_checksum(writer);
	ret = add_metadata(writer, state, error);
	for (size_t i = 0; i < state->tensor_count && !ret; i++)
		ret = lf_safetensors_writer_add(writer, state->tensors[i].name, LF_DTYPE_F32,
						state->tensors[i].rank, state->tensors[i].shape,
						state->tensors[i].values, error);
	if (!ret)
		ret = lf_safetensors_writer_save(writer, path, error);
	lf_safetensors_writer_free(writer);
	return ret;
}

/* Digits of one base and nothing else; strtoull alone would take signs and blanks. */
static int parse_number(const char *digits, size_t count, int base, uint64_t *value)
{
	char copy[24];
	char *end;

	if (count == 0 || count >= sizeof(copy) ||
	    strspn(digits, base == 16 ? "0123456789abcdef" : "0123456789") < count)
		return -EINVAL;
	memcpy(copy, digits, count);
	copy[count] = '\0';
	errno = 0;
	*value = strtoull(copy, &end, base);
	return errno ? -EINVAL : 0;
}

static int required(const struct lf_safetensors *file, const char *key, const char **value,
		    const char *path, struct lf_error *error)
{
	*value = lf_safetensors_metadata(file, key);
	if (!*value)
		return lf_error_set(error, -EINVAL, "%s: metadata \"%s\" is missing", path, key);
	return 0;
}

static int parse_random_state(struct lf_checkpoint *checkpoint, const char *path,
			      struct lf_error *error)
{
	const char *words;
	size_t digits;
	int ret;

	ret = required(checkpoint->file, "random_state", &words, path, error);
	if (ret)
		return ret;
	digits = strlen(words);
	if (digits % WORD_DIGITS || digits / WORD_DIGITS > LF_CHECKPOINT_MAX_RANDOM_WORDS)
		return lf_error_set(error, -EINVAL, "%s: metadata \"random_state\" has %zu digits",
				    path, digits);
	checkpoint->random_word_count = (unsigned int)(digits / WORD_DIGITS);
	for (unsigned int i = 0; i < checkpoint->random_word_count; i++) {
		if (parse_number(words + (size_t)i * WORD_DIGITS, WORD_DIGITS, 16,
				 &checkpoint->random_words[i]) < 0)
			return lf_error_set(error, -EINVAL,
					    "%s: metadata \"random_state\" is not hexadecimal",
					    path);
	}
	return 0;
}

static int parse_version(const struct lf_safetensors *file, const char *path,
			 struct lf_error *error)
{
	const char *format, *version;
	uint64_t number;
	int ret;

	ret = required(file, "format", &format, path, error);
	if (ret)
		return ret;
	if (strcmp(format, FORMAT) != 0)
		return lf_error_set(error, -EINVAL, "%s: is a safetensors file, but no checkpoint",
				    path);
	ret = required(file, "schema_version", &version, path, error);
	if (ret)
		return ret;
	if (parse_number(version, strlen(version), 10, &number) < 0)
		return lf_error_set(error, -EINVAL, "%s: metadata \"schema_version\" is no number",
				    path);
	if (number != LF_CHECKPOINT_SCHEMA_VERSION)
		return lf_error_set(error, -ENOTSUP,
				    "%s: metadata \"schema_version\" is %" PRIu64 ", expected %d",
				    path, number, LF_CHECKPOINT_SCHEMA_VERSION);
	return 0;
}

static int parse(struct lf_checkpoint *checkpoint, const char *path, struct lf_error *error)
{
	const char *step, *config;
	int ret;

	/* First, because a damaged file should be called that and not something its damage suggests. */
	ret = lf_safetensors_verify_checksum(checkpoint->file, error);
	if (!ret)
		ret = parse_version(checkpoint->file, path, error);
	if (!ret)
		ret = required(checkpoint->file, "step", &step, path, error);
	if (ret)
		return ret;
	if (parse_number(step, strlen(step), 10, &checkpoint->step) < 0)
		return lf_error_set(error, -EINVAL, "%s: metadata \"step\" is no number", path);
	ret = required(checkpoint->file, "config", &config, path, error);
	if (!ret)
		ret = check_config(config, path, error);
	if (!ret)
		ret = parse_random_state(checkpoint, path, error);
	return ret;
}

int lf_checkpoint_open(struct lf_checkpoint **checkpoint, const char *path, struct lf_error *error)
{
	struct lf_checkpoint *opened = calloc(1, sizeof(*opened));
	int ret;

	if (!opened)
		return lf_error_set(error, -ENOMEM, "%s: no memory to open it", path);
	ret = lf_safetensors_open(&opened->file, path, error);
	if (!ret)
		ret = parse(opened, path, error);
	if (ret)
		lf_checkpoint_close(opened);
	else
		*checkpoint = opened;
	return ret;
}

void lf_checkpoint_close(struct lf_checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	lf_safetensors_close(checkpoint->file);
	free(checkpoint);
}

uint64_t lf_checkpoint_step(const struct lf_checkpoint *checkpoint)
{
	return checkpoint->step;
}

const char *lf_checkpoint_config(const struct lf_checkpoint *checkpoint)
{
	return lf_safetensors_metadata(checkpoint->file, "config");
}

int lf_checkpoint_random_words(const struct lf_checkpoint *checkpoint, unsigned int count,
			       uint64_t *words, struct lf_error *error)
{
	if (count != checkpoint->random_word_count)
		return lf_error_set(error, -EINVAL,
				    "checkpoint has %u words of random state, expected %u",
				    checkpoint->random_word_count, count);
	memcpy(words, checkpoint->random_words, count * sizeof(*words));
	return 0;
}

size_t lf_checkpoint_tensor_count(const struct lf_checkpoint *checkpoint)
{
	return lf_safetensors_count(checkpoint->file);
}

size_t lf_checkpoint_size(const struct lf_checkpoint *checkpoint, const char *name)
{
	const struct lf_safetensor *tensor = lf_safetensors_find(checkpoint->file, name);

	return tensor ? (size_t)tensor->element_count : 0;
}

int lf_checkpoint_read(const struct lf_checkpoint *checkpoint, const char *name, unsigned int rank,
		       const uint64_t *shape, float *values, struct lf_error *error)
{
	return lf_safetensors_read_f32(checkpoint->file, name, rank, shape, values, error);
}
