// SPDX-License-Identifier: MIT
/* vocab.txt in an open-addressing hash table; see vocabulary.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/io/file.h"
#include "runtime/io/text.h"
#include "runtime/io/vocabulary.h"

#define VOCABULARY_LIMIT_BYTES	(32u << 20)
#define VOCABULARY_LIMIT_TOKENS (1u << 20)
#define TOKEN_LIMIT_BYTES	256

/* How the vocabulary marks a piece that is not the first of its word. */
static const char continuation[] = "##";
#define CONTINUATION_BYTES (sizeof(continuation) - 1)

/* FNV-1a, fed in parts so that "##" need not be copied in front of a piece. */
static uint32_t hash_add(uint32_t hash, const char *bytes, size_t size_bytes)
{
	for (size_t i = 0; i < size_bytes; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * 16777619u;
	return hash;
}

static uint32_t hash_piece(const char *piece, size_t size_bytes, bool continues)
{
	uint32_t hash = 2166136261u;

	if (continues)
		hash = hash_add(hash, continuation, CONTINUATION_BYTES);
	return hash_add(hash, piece, size_bytes);
}

static bool token_equals(const char *token, const char *piece, size_t size_bytes, bool continues)
{
	if (continues) {
		if (strncmp(token, continuation, CONTINUATION_BYTES) != 0)
			return false;
		token += CONTINUATION_BYTES;
	}
	return strncmp(token, piece, size_bytes) == 0 && token[size_bytes] == '\0';
}

/* The slot that holds a piece, or the free one where it belongs. */
static uint32_t *find_slot(const struct lf_vocabulary *vocabulary, const char *piece,
			   size_t size_bytes, bool continues)
{
	uint32_t at = hash_piece(piece, size_bytes, continues) & vocabulary->slot_mask;

	while (vocabulary->slots[at]) {
		const char *token =
			vocabulary->text + vocabulary->offsets[vocabulary->slots[at] - 1];

		if (token_equals(token, piece, size_bytes, continues))
			break;
		at = (at + 1) & vocabulary->slot_mask;
	}
	return &vocabulary->slots[at];
}

bool lf_vocabulary_find(const struct lf_vocabulary *vocabulary, const char *piece,
			size_t size_bytes, bool continues, uint32_t *id)
{
	uint32_t found;

	if (size_bytes + (continues ? CONTINUATION_BYTES : 0) > vocabulary->longest)
		return false;
	found = *find_slot(vocabulary, piece, size_bytes, continues);
	if (found)
		*id = found - 1;
	return found != 0;
}

static uint32_t count_lines(const struct lf_file_map *map)
{
	const unsigned char *next = map->bytes;
	const unsigned char *end = next + map->size_bytes;
	uint32_t count = 0;

	while (next < end) {
		const unsigned char *newline = memchr(next, '\n', (size_t)(end - next));

		count++;
		next = newline ? newline + 1 : end;
	}
	return count;
}

/* Take one line as the token with the next id. */
static int add_token(struct lf_vocabulary *vocabulary, char *token, size_t size_bytes,
		     const char *path, struct lf_error *error)
{
	uint32_t id = vocabulary->count;
	uint32_t *slot;

	if (size_bytes > 0 && token[size_bytes - 1] == '\r')
		size_bytes--;
	if (size_bytes == 0)
		return lf_error_set(error, -EINVAL, "%s:%u: token is empty", path, id + 1);
	if (size_bytes > TOKEN_LIMIT_BYTES)
		return lf_error_set(error, -EINVAL, "%s:%u: token is longer than %d bytes", path,
				    id + 1, TOKEN_LIMIT_BYTES);
	if (memchr(token, '\0', size_bytes) || !lf_text_is_utf8(token, size_bytes))
		return lf_error_set(error, -EINVAL, "%s:%u: token is binary, not UTF-8 text", path,
				    id + 1);
	token[size_bytes] = '\0';
	slot = find_slot(vocabulary, token, size_bytes, false);
	if (*slot)
		return lf_error_set(error, -EINVAL, "%s:%u: token \"%.64s\" repeats line %u", path,
				    id + 1, lf_text_is_printable(token) ? token : "?", *slot);
	vocabulary->offsets[id] = (uint32_t)(token - vocabulary->text);
	*slot = id + 1;
	vocabulary->count++;
	if (size_bytes > vocabulary->longest)
		vocabulary->longest = size_bytes;
	return 0;
}

static int fill(struct lf_vocabulary *vocabulary, const struct lf_file_map *map, const char *path,
		struct lf_error *error)
{
	uint32_t lines = map->size_bytes ? count_lines(map) : 0;
	uint32_t slot_count = 16;
	char *next, *end;
	int ret = 0;

	if (lines == 0 || lines > VOCABULARY_LIMIT_TOKENS)
		return lf_error_set(error, -EINVAL, "%s: has %u tokens, must be 1 to %u", path,
				    lines, VOCABULARY_LIMIT_TOKENS);
	/* At most half full, so that a search ends soon. */
	while (slot_count < 2 * lines)
		slot_count *= 2;
	vocabulary->slot_mask = slot_count - 1;
	vocabulary->slots = calloc(slot_count, sizeof(*vocabulary->slots));
	vocabulary->offsets = calloc(lines, sizeof(*vocabulary->offsets));
	vocabulary->text = malloc(map->size_bytes + 1);
	if (!vocabulary->slots || !vocabulary->offsets || !vocabulary->text)
		return lf_error_set(error, -ENOMEM, "%s: no memory for %u tokens", path, lines);
	memcpy(vocabulary->text, map->bytes, map->size_bytes);
	next = vocabulary->text;
	end = next + map->size_bytes;
	while (next < end && !ret) {
		char *newline = memchr(next, '\n', (size_t)(end - next));
		char *stop = newline ? newline : end;

		ret = add_token(vocabulary, next, (size_t)(stop - next), path, error);
		next = newline ? newline + 1 : end;
	}
	return ret;
}

int lf_vocabulary_read(struct lf_vocabulary *vocabulary, const char *path, struct lf_error *error)
{
	struct lf_file_map map;
	int ret;

	ret = lf_file_map_open(&map, path, VOCABULARY_LIMIT_BYTES, error);
	if (ret)
		return ret;
	*vocabulary = (struct lf_vocabulary){ 0 };
	ret = fill(vocabulary, &map, path, error);
	lf_file_map_close(&map);
	if (ret)
		lf_vocabulary_free(vocabulary);
	return ret;
}

void lf_vocabulary_free(struct lf_vocabulary *vocabulary)
{
	free(vocabulary->text);
	free(vocabulary->offsets);
	free(vocabulary->slots);
	*vocabulary = (struct lf_vocabulary){ 0 };
}
