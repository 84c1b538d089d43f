/* SPDX-License-Identifier: MIT */
/*
 * The head of a classifier over sentence embeddings: the cosine to the embedded label names over a temperature, which trains
 * nothing; or a linear layer, whose numbers are counted apart.
 */
#ifndef LF_HEAD_H
#define LF_HEAD_H

#include <lf/encoder.h>
#include <lf/label_set.h>
#include <lf/parameters.h>
#include <lf/tokenizer.h>

struct lf_head;

/** LF_HEAD_TEMPERATURE - usual temperature of the cosine head */
#define LF_HEAD_TEMPERATURE 0.05

/**
 * lf_head_cosine() - embed the labels' words with the frozen encoder
 * @encoder: with no method attached
 * @tokenizer: of the model
 * @labels: the classes
 * @temperature: what cosines are divided by
 * @head: receives the head; free with lf_head_free()
 * @error: reason on failure
 */
int lf_head_cosine(struct lf_encoder *encoder, const struct lf_tokenizer *tokenizer,
		   const struct lf_label_set *labels, double temperature, struct lf_head **head,
		   struct lf_error *error);

/**
 * lf_head_linear() - a linear layer over the embedding, starting at zero
 * @encoder: for its width
 * @classes: outputs
 * @rate: learning rate
 * @head: receives the head; free with lf_head_free()
 * @error: reason on failure
 */
int lf_head_linear(struct lf_encoder *encoder, uint32_t classes, double rate, struct lf_head **head,
		   struct lf_error *error);

/** lf_head_free() - NULL is ignored */
void lf_head_free(struct lf_head *head);

/** lf_head_classes() - number of classes */
uint32_t lf_head_classes(const struct lf_head *head);

/** lf_head_parameters() - the trained groups, none for the cosine head */
const struct lf_parameters *lf_head_parameters(const struct lf_head *head, uint32_t *count);

/**
 * lf_head_loss() - loss of a batch and its gradient to the embeddings
 * @head: the head
 * @embeddings: [count][hidden]
 * @labels: [count]
 * @count: sentences
 * @gradient: receives [count][hidden], of the mean loss; parameter gradients are added to
 *
 * Return: the sum of the losses.
 */
float lf_head_loss(struct lf_head *head, const float *embeddings, const uint32_t *labels,
		   uint32_t count, float *gradient);

/** lf_head_predict() - the likeliest class of an embedding, the first among equals */
uint32_t lf_head_predict(const struct lf_head *head, const float *embedding);

#endif
