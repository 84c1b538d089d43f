// SPDX-License-Identifier: MIT
/* Heads over sentence embeddings; see lf/head.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/head.h>

#include "runtime/nn/encoder.h"

/* A label's words are a name, not a text. */
#define LABEL_TOKENS 32

enum { WEIGHT, BIAS, GROUPS };

struct lf_head {
	const struct lf_simd_ops *simd;
	uint32_t classes;
	uint32_t width;
	float alpha; /* what dot products are multiplied by */
	bool trained;
	float *weight; /* [classes][width] label embeddings, or the linear layer's weight */
	float *bias;   /* [classes], zero for label embeddings */
	float *weight_gradient;
	float *bias_gradient;
	float *logits;	/* [classes] */
	float *chances; /* [classes] probabilities, then their gradient */
	struct lf_parameters groups[GROUPS];
};

static int head_create(struct lf_encoder *encoder, uint32_t classes, bool trained,
		       struct lf_head **head, struct lf_error *error)
{
	struct lf_head *h = calloc(1, sizeof(*h));
	size_t numbers;

	if (!h)
		return lf_error_set(error, -ENOMEM, "no memory for a head");
	h->simd = encoder->simd;
	h->classes = classes;
	h->width = encoder->config.hidden_size;
	h->trained = trained;
	numbers = (size_t)classes * h->width;
	h->weight = calloc(2 * (numbers + classes + classes), sizeof(float));
	if (!h->weight) {
		free(h);
		return lf_error_set(error, -ENOMEM, "no memory for a head of %u classes", classes);
	}
	h->bias = h->weight + numbers;
	h->weight_gradient = h->bias + classes;
	h->bias_gradient = h->weight_gradient + numbers;
	h->logits = h->bias_gradient + classes;
	h->chances = h->logits + classes;
	*head = h;
	return 0;
}

static int embed_label(struct lf_encoder *encoder, const struct lf_tokenizer *tokenizer,
		       const char *text, float *embedding, struct lf_error *error)
{
	uint32_t limit = encoder->options.sequence_tokens < LABEL_TOKENS
				 ? encoder->options.sequence_tokens
				 : LABEL_TOKENS;
	uint32_t ids[LABEL_TOKENS];
	uint32_t start[2] = { 0 };
	struct lf_batch batch = { .sequences = 1, .start = start, .tokens = ids };
	size_t count;
	int ret;

	ret = lf_tokenizer_encode(tokenizer, text, strlen(text), limit, ids, &count, error);
	if (ret)
		return ret;
	start[1] = (uint32_t)count;
	return lf_encoder_forward(encoder, &batch, embedding, error);
}

int lf_head_cosine(struct lf_encoder *encoder, const struct lf_tokenizer *tokenizer,
		   const struct lf_label_set *labels, double temperature, struct lf_head **head,
		   struct lf_error *error)
{
	struct lf_head *h;
	int ret;

	if (!(temperature >= 1e-3 && temperature <= 1e3))
		return lf_error_set(error, -EINVAL, "temperature %g: 0.001 to 1000", temperature);
	ret = head_create(encoder, lf_label_set_count(labels), false, &h, error);
	if (ret)
		return ret;
	h->alpha = (float)(1.0 / temperature);
	for (uint32_t label = 0; !ret && label < h->classes; label++)
		ret = embed_label(encoder, tokenizer, lf_label_set_at(labels, label)->text,
				  h->weight + (size_t)label * h->width, error);
	if (ret)
		lf_head_free(h);
	else
		*head = h;
	return ret;
}

int lf_head_linear(struct lf_encoder *encoder, uint32_t classes, double rate, struct lf_head **head,
		   struct lf_error *error)
{
	struct lf_head *h;
	int ret;

	if (classes < 2 || classes > LF_LABEL_SET_MAX)
		return lf_error_set(error, -EINVAL, "head of %u classes: 2 to %u", classes,
				    LF_LABEL_SET_MAX);
	ret = head_create(encoder, classes, true, &h, error);
	if (ret)
		return ret;
	h->alpha = 1.0f;
	h->groups[WEIGHT] = (struct lf_parameters){ .name = "head.weight",
						    .values = h->weight,
						    .gradients = h->weight_gradient,
						    .count = (size_t)classes * h->width,
						    .learning_rate = rate };
	h->groups[BIAS] = (struct lf_parameters){ .name = "head.bias",
						  .values = h->bias,
						  .gradients = h->bias_gradient,
						  .count = classes,
						  .learning_rate = rate };
	*head = h;
	return 0;
}

void lf_head_free(struct lf_head *head)
{
	if (!head)
		return;
	free(head->weight);
	free(head);
}

uint32_t lf_head_classes(const struct lf_head *head)
{
	return head->classes;
}

const struct lf_parameters *lf_head_parameters(const struct lf_head *head, uint32_t *count)
{
	*count = head->trained ? GROUPS : 0;
	return head->groups;
}

static void compute_logits(const struct lf_head *head, const float *embedding)
{
	head->simd->matmul_nt(lf_rows_out_of(head->logits, head->classes),
			      lf_rows_of(embedding, head->width),
			      lf_rows_of(head->weight, head->width), head->alpha, head->bias, 1,
			      head->classes, head->width);
}

float lf_head_loss(struct lf_head *head, const float *embeddings, const uint32_t *labels,
		   uint32_t count, float *gradient)
{
	const struct lf_simd_ops *simd = head->simd;
	size_t width = head->width;
	float total = 0.0f;

	for (uint32_t at = 0; at < count; at++) {
		float *chances = head->chances;

		compute_logits(head, embeddings + at * width);
		total += simd->cross_entropy(chances, chances, head->logits, head->classes,
					     labels[at]);
		/* Of the mean over the batch. */
		simd->scale(chances, chances, head->alpha / (float)count, head->classes);
		simd->matmul_nn(lf_rows_out_of(gradient + at * width, width),
				lf_rows_of(chances, head->classes), lf_rows_of(head->weight, width),
				false, 1, width, head->classes);
		if (!head->trained)
			continue;
		simd->add(head->bias_gradient, head->bias_gradient, chances, head->classes);
		simd->matmul_tn(lf_rows_out_of(head->weight_gradient, width),
				lf_rows_of(chances, head->classes),
				lf_rows_of(embeddings + at * width, width), true, head->classes,
				width, 1);
	}
	return total;
}

uint32_t lf_head_predict(const struct lf_head *head, const float *embedding)
{
	uint32_t best = 0;

	compute_logits(head, embedding);
	for (uint32_t label = 1; label < head->classes; label++)
		if (head->logits[label] > head->logits[best])
			best = label;
	return best;
}
