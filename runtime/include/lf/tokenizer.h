/* SPDX-License-Identifier: MIT */
/*
 * BERT's WordPiece tokenizer: text to token ids, the same ids as the reference implementation
 * (Hugging Face tokenizers: BertNormalizer, BertPreTokenizer, WordPiece).
 */
#ifndef LF_TOKENIZER_H
#define LF_TOKENIZER_H

#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

/* Longest text lf_tokenizer_encode() takes. */
#define LF_TOKENIZER_MAX_TEXT_BYTES 65536

/**
 * struct lf_special_tokens - ids with a meaning of their own
 * @cls: begins every sequence
 * @sep: ends every sequence
 * @pad: fills up a batch
 * @unk: a word the vocabulary cannot spell
 */
struct lf_special_tokens {
	uint32_t cls;
	uint32_t sep;
	uint32_t pad;
	uint32_t unk;
};

struct lf_tokenizer;

/**
 * lf_tokenizer_open() - load the vocabulary of a model
 * @tokenizer: receives the tokenizer, freed with lf_tokenizer_close(); untouched on failure
 * @directory: folder with vocab.txt, one token a line, and perhaps tokenizer_config.json
 * @error: names file, line or field; may be NULL
 *
 * Text is lowercased and stripped of accents unless tokenizer_config.json says do_lower_case
 * false.
 *
 * Return: 0, -ENOENT for a missing file or special token, -EINVAL for a vocabulary that is not
 * text or has empty, repeated or overlong tokens, -ENOTSUP for a setting that is not
 * implemented, -ENOMEM.
 */
int lf_tokenizer_open(struct lf_tokenizer **tokenizer, const char *directory,
		      struct lf_error *error);

/**
 * lf_tokenizer_close() - free a tokenizer
 * @tokenizer: a tokenizer or NULL
 */
void lf_tokenizer_close(struct lf_tokenizer *tokenizer);

/**
 * lf_tokenizer_size() - number of tokens in the vocabulary
 * @tokenizer: a tokenizer
 *
 * Return: the number; ids are below it.
 */
size_t lf_tokenizer_size(const struct lf_tokenizer *tokenizer);

/**
 * lf_tokenizer_special() - the ids with a meaning of their own
 * @tokenizer: a tokenizer
 *
 * Return: the ids, owned by @tokenizer.
 */
const struct lf_special_tokens *lf_tokenizer_special(const struct lf_tokenizer *tokenizer);

/**
 * lf_tokenizer_token() - the spelling of an id
 * @tokenizer: a tokenizer
 * @id: 0 to lf_tokenizer_size() - 1
 *
 * Return: the token as vocab.txt has it, owned by @tokenizer, or NULL for another id.
 */
const char *lf_tokenizer_token(const struct lf_tokenizer *tokenizer, uint32_t id);

/**
 * lf_tokenizer_encode() - token ids of one text, [CLS] first and [SEP] last
 * @tokenizer: a tokenizer; several threads may use it at once
 * @text: [@size_bytes] UTF-8, need not be terminated
 * @size_bytes: its length, at most LF_TOKENIZER_MAX_TEXT_BYTES
 * @max_tokens: most ids to produce, [CLS] and [SEP] included, at least 2; the rest of the text is
 *	cut off
 * @ids: [@max_tokens] receives the ids
 * @count: receives their number
 * @error: may be NULL
 *
 * Text that is not UTF-8 is refused; U+FFFD, which the reference puts in its place, is dropped as
 * the reference drops it. Special tokens spelled out in the text are text like any other.
 *
 * Return: 0, -EILSEQ, -EMSGSIZE, -EINVAL for @max_tokens, -ENOMEM.
 */
int lf_tokenizer_encode(const struct lf_tokenizer *tokenizer, const char *text, size_t size_bytes,
			size_t max_tokens, uint32_t *ids, size_t *count, struct lf_error *error);

#endif
