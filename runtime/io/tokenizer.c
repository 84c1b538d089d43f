// SPDX-License-Identifier: MIT
/*
 * WordPiece: each word of the normalised text is spelled with the longest pieces of the
 * vocabulary, left to right; see lf/tokenizer.h.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utf8proc.h>

#include <lf/tokenizer.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/io/text_normaliser.h"
#include "runtime/io/vocabulary.h"

#define CONFIG_LIMIT_BYTES (1u << 20)

/* A longer word becomes one [UNK]; counted in code points. */
#define MAX_WORD_POINTS	   100
#define UTF8_MAX_BYTES	   4

struct lf_tokenizer {
	struct lf_vocabulary vocabulary;
	struct lf_special_tokens special;
	bool uncased;
};

/* Ids being collected, up to a limit. */
struct id_list {
	uint32_t *ids;
	size_t count;
	size_t limit;
};

static int find_special(struct lf_tokenizer *tokenizer, const char *path, struct lf_error *error)
{
	const struct {
		const char *token;
		uint32_t *id;
	} wanted[] = {
		{ "[CLS]", &tokenizer->special.cls },
		{ "[SEP]", &tokenizer->special.sep },
		{ "[PAD]", &tokenizer->special.pad },
		{ "[UNK]", &tokenizer->special.unk },
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (!lf_vocabulary_find(&tokenizer->vocabulary, wanted[i].token,
					strlen(wanted[i].token), false, wanted[i].id))
			return lf_error_set(error, -ENOENT, "%s: token \"%s\" is missing", path,
					    wanted[i].token);
	}
	return 0;
}

/* What tokenizer_config.json says; without the file, the settings of uncased models hold. */
static int read_settings(struct lf_tokenizer *tokenizer, const char *path, struct lf_error *error)
{
	bool strip_accents, split_ideographs;
	json_t *root;
	int ret;

	tokenizer->uncased = true;
	if (access(path, F_OK) < 0)
		return 0;
	ret = lf_json_read(&root, path, CONFIG_LIMIT_BYTES, error);
	if (ret)
		return ret;
	ret = lf_json_bool_or(root, "do_lower_case", true, &tokenizer->uncased, path, error);
	if (!ret)
		ret = lf_json_bool_or(root, "strip_accents", tokenizer->uncased, &strip_accents,
				      path, error);
	if (!ret)
		ret = lf_json_bool_or(root, "tokenize_chinese_chars", true, &split_ideographs, path,
				      error);
	json_decref(root);
	if (ret)
		return ret;
	if (strip_accents != tokenizer->uncased)
		return lf_error_set(error, -ENOTSUP,
				    "%s: field \"strip_accents\" must equal \"do_lower_case\"",
				    path);
	if (!split_ideographs)
		return lf_error_set(error, -ENOTSUP,
				    "%s: field \"tokenize_chinese_chars\" must be true", path);
	return 0;
}

int lf_tokenizer_open(struct lf_tokenizer **tokenizer, const char *directory,
		      struct lf_error *error)
{
	struct lf_tokenizer *opened = calloc(1, sizeof(*opened));
	char *vocabulary_path = NULL, *settings_path = NULL;
	int ret;

	if (!opened)
		return lf_error_set(error, -ENOMEM, "%s: no memory for a tokenizer", directory);
	ret = lf_file_join(&vocabulary_path, directory, "vocab.txt", error);
	if (!ret)
		ret = lf_file_join(&settings_path, directory, "tokenizer_config.json", error);
	if (!ret)
		ret = lf_vocabulary_read(&opened->vocabulary, vocabulary_path, error);
	if (!ret)
		ret = find_special(opened, vocabulary_path, error);
	if (!ret)
		ret = read_settings(opened, settings_path, error);
	free(vocabulary_path);
	free(settings_path);
	if (ret)
		lf_tokenizer_close(opened);
	else
		*tokenizer = opened;
	return ret;
}

void lf_tokenizer_close(struct lf_tokenizer *tokenizer)
{
	if (!tokenizer)
		return;
	lf_vocabulary_free(&tokenizer->vocabulary);
	free(tokenizer);
}

size_t lf_tokenizer_size(const struct lf_tokenizer *tokenizer)
{
	return tokenizer->vocabulary.count;
}

const struct lf_special_tokens *lf_tokenizer_special(const struct lf_tokenizer *tokenizer)
{
	return &tokenizer->special;
}

const char *lf_tokenizer_token(const struct lf_tokenizer *tokenizer, uint32_t id)
{
	if (id >= tokenizer->vocabulary.count)
		return NULL;
	return tokenizer->vocabulary.text + tokenizer->vocabulary.offsets[id];
}

static void add_id(struct id_list *list, uint32_t id)
{
	if (list->count < list->limit)
		list->ids[list->count++] = id;
}

/*
 * Spell one word. A word that cannot be spelled to its end is one [UNK], whatever its start;
 * so the pieces are collected before they count.
 */
static void add_word(const struct lf_tokenizer *tokenizer, struct id_list *list,
		     const int32_t *points, size_t point_count)
{
	char bytes[MAX_WORD_POINTS * UTF8_MAX_BYTES];
	size_t ends[MAX_WORD_POINTS + 1] = { 0 };
	uint32_t pieces[MAX_WORD_POINTS];
	size_t piece_count = 0;
	size_t begin = 0;

	if (point_count > MAX_WORD_POINTS) {
		add_id(list, tokenizer->special.unk);
		return;
	}
	for (size_t i = 0; i < point_count; i++)
		ends[i + 1] = ends[i] + (size_t)utf8proc_encode_char(
						points[i], (utf8proc_uint8_t *)bytes + ends[i]);
	while (begin < point_count) {
		size_t end = point_count;

		while (end > begin &&
		       !lf_vocabulary_find(&tokenizer->vocabulary, bytes + ends[begin],
					   ends[end] - ends[begin], begin > 0,
					   &pieces[piece_count]))
			end--;
		if (end == begin) {
			add_id(list, tokenizer->special.unk);
			return;
		}
		piece_count++;
		begin = end;
	}
	for (size_t i = 0; i < piece_count; i++)
		add_id(list, pieces[i]);
}

int lf_tokenizer_encode(const struct lf_tokenizer *tokenizer, const char *text, size_t size_bytes,
			size_t max_tokens, uint32_t *ids, size_t *count, struct lf_error *error)
{
	struct id_list list = { .ids = ids, .limit = max_tokens };
	struct lf_code_points normalised;
	size_t position = 0, begin;
	int ret;

	if (max_tokens < 2)
		return lf_error_set(error, -EINVAL, "max_tokens is %zu, must be 2 or more",
				    max_tokens);
	if (size_bytes > LF_TOKENIZER_MAX_TEXT_BYTES)
		return lf_error_set(error, -EMSGSIZE, "text has %zu bytes, at most %d", size_bytes,
				    LF_TOKENIZER_MAX_TEXT_BYTES);
	ret = lf_text_normalise(&normalised, text, size_bytes, tokenizer->uncased, error);
	if (ret)
		return ret;
	add_id(&list, tokenizer->special.cls);
	/* The last place is kept for [SEP]. */
	list.limit--;
	while (list.count < list.limit && lf_text_next_word(&normalised, &position, &begin))
		add_word(tokenizer, &list, normalised.points + begin, position - begin);
	list.limit++;
	add_id(&list, tokenizer->special.sep);
	free(normalised.points);
	*count = list.count;
	return 0;
}
