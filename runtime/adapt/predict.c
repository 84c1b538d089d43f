// SPDX-License-Identifier: MIT
/* Applying an encoder and a head to examples; see lf/train.h. */
#include <errno.h>
#include <stdlib.h>

#include <lf/train.h>

int lf_predict(struct lf_encoder *encoder, struct lf_head *head, const struct lf_examples *examples,
	       uint32_t batch, uint32_t *predictions, lf_progress progress, void *argument,
	       struct lf_error *error)
{
	size_t hidden = lf_encoder_config(encoder)->hidden_size;
	float *embeddings;
	int ret = 0;

	if (!batch)
		return lf_error_set(error, -EINVAL, "batch must not be 0");
	embeddings = malloc(batch * hidden * sizeof(*embeddings));
	if (!embeddings)
		return lf_error_set(error, -ENOMEM, "no memory for %u embeddings", batch);
	for (uint32_t first = 0; !ret && first < examples->count; first += batch) {
		uint32_t rest = examples->count - first;
		struct lf_batch sentences = { rest < batch ? rest : batch, examples->start + first,
					      examples->tokens };

		ret = lf_encoder_forward(encoder, &sentences, embeddings, error);
		if (ret) {
			lf_error_prefix(error, ret, "examples from %u", first);
			break;
		}
		for (uint32_t at = 0; at < sentences.sequences; at++)
			predictions[first + at] = lf_head_predict(head, embeddings + at * hidden);
		if (progress)
			progress(argument, first + sentences.sequences, examples->count);
	}
	free(embeddings);
	return ret;
}
