/* SPDX-License-Identifier: MIT */
/* Labelled sentences as token ids, tokenised once and drawn batch by batch. */
#ifndef LF_EXAMPLES_H
#define LF_EXAMPLES_H

#include <lf/dataset.h>
#include <lf/encoder.h>
#include <lf/tokenizer.h>

/**
 * struct lf_examples - tokenised sentences
 * @count: how many
 * @start: [@count + 1] first token of each, and behind the last
 * @tokens: [start[@count]]
 * @labels: [@count]
 */
struct lf_examples {
	uint32_t count;
	uint32_t *start;
	uint32_t *tokens;
	uint32_t *labels;
};

/**
 * lf_examples_create() - tokenise a dataset
 * @dataset: the texts
 * @tokenizer: of the model
 * @max_tokens: longer sentences are cut, special tokens included
 * @limit: take the first @limit examples only, 0 for all
 * @examples: filled; release with lf_examples_release()
 * @error: reason on failure
 */
int lf_examples_create(const struct lf_dataset *dataset, const struct lf_tokenizer *tokenizer,
		       uint32_t max_tokens, uint32_t limit, struct lf_examples *examples,
		       struct lf_error *error);

/** lf_examples_release() - free */
void lf_examples_release(struct lf_examples *examples);

#endif
