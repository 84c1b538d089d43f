/* SPDX-License-Identifier: MIT */
/*
 * From text to words as BERT's basic tokenizer sees them: control characters dropped, CJK
 * characters set apart, accents and case removed, split at spaces and punctuation.
 */
#ifndef LF_IO_TEXT_NORMALISER_H
#define LF_IO_TEXT_NORMALISER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

/* Normalised text as code points. */
struct lf_code_points {
	int32_t *points;
	size_t count;
};

/*
 * Clean text of at most LF_TOKENIZER_MAX_TEXT_BYTES; with uncased also strip accents and
 * lowercase. The caller frees points. -EILSEQ for text that is not UTF-8, -ENOMEM.
 */
int lf_text_normalise(struct lf_code_points *result, const char *text, size_t size_bytes,
		      bool uncased, struct lf_error *error);

/*
 * The next word at or behind *position: a punctuation character, or a run without any.
 * False at the end; otherwise points[*begin .. *position) is the word.
 */
bool lf_text_next_word(const struct lf_code_points *text, size_t *position, size_t *begin);

#endif
