/* SPDX-License-Identifier: MIT */
/* The vocabulary of a WordPiece model: vocab.txt and the way from a piece of text to its id. */
#ifndef LF_IO_VOCABULARY_H
#define LF_IO_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

struct lf_vocabulary {
	char *text;	    /* all tokens, each terminated */
	uint32_t count;	    /* ids are below it */
	uint32_t *offsets;  /* [count] into text */
	size_t longest;	    /* bytes of the longest token */
	uint32_t slot_mask; /* slots - 1, a power of two less one */
	uint32_t *slots;    /* id + 1 by hash, 0 for a free slot */
};

/* Load a vocab.txt. On failure there is nothing to free. */
int lf_vocabulary_read(struct lf_vocabulary *vocabulary, const char *path, struct lf_error *error);
void lf_vocabulary_free(struct lf_vocabulary *vocabulary);

/*
 * The id of a piece of a word. A piece that continues a word is spelled with "##" in front in the
 * vocabulary, and without it here. False when the vocabulary has no such token.
 */
bool lf_vocabulary_find(const struct lf_vocabulary *vocabulary, const char *piece,
			size_t size_bytes, bool continues, uint32_t *id);

#endif
