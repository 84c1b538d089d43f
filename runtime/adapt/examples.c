// SPDX-License-Identifier: MIT
/* Tokenised examples; see lf/examples.h. */
#include <errno.h>
#include <stdlib.h>

#include <lf/examples.h>

int lf_examples_create(const struct lf_dataset *dataset, const struct lf_tokenizer *tokenizer,
		       uint32_t max_tokens, uint32_t limit, struct lf_examples *examples,
		       struct lf_error *error)
{
	uint32_t count = (uint32_t)lf_dataset_count(dataset);
	int ret = 0;

	*examples = (struct lf_examples){ 0 };
	if (limit && limit < count)
		count = limit;
	examples->start = calloc((size_t)count + 1, sizeof(*examples->start));
	examples->tokens = malloc((size_t)count * max_tokens * sizeof(*examples->tokens));
	examples->labels = malloc(count * sizeof(*examples->labels));
	if (!examples->start || !examples->tokens || !examples->labels)
		ret = lf_error_set(error, -ENOMEM, "no memory for %u examples", count);
	for (; !ret && examples->count < count; examples->count++) {
		const struct lf_example *example = lf_dataset_at(dataset, examples->count);
		uint32_t first = examples->start[examples->count];
		size_t length;

		ret = lf_tokenizer_encode(tokenizer, example->text, example->size_bytes, max_tokens,
					  examples->tokens + first, &length, error);
		if (ret)
			break;
		examples->start[examples->count + 1] = first + (uint32_t)length;
		examples->labels[examples->count] = example->label;
	}
	if (ret)
		lf_examples_release(examples);
	return ret;
}

void lf_examples_release(struct lf_examples *examples)
{
	free(examples->start);
	free(examples->tokens);
	free(examples->labels);
	*examples = (struct lf_examples){ 0 };
}
