/* SPDX-License-Identifier: MIT */
/* The labels of a classification task: their names, and the words that a head embeds. */
#ifndef LF_LABEL_SET_H
#define LF_LABEL_SET_H

#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

#define LF_LABEL_SET_MAX 4096

/**
 * struct lf_label - one label of a task
 * @name: as datasets write it
 * @text: its meaning in words, for a head of frozen label embeddings
 */
struct lf_label {
	const char *name;
	const char *text;
};

struct lf_label_set;

/**
 * lf_label_set_read() - read a label list
 * @set: receives the labels, freed with lf_label_set_free(); untouched on failure
 * @path: JSON file, an array of {"label", "text"}; a label's number is its place
 * @error: names file, element and field; may be NULL
 *
 * Return: 0, -ENOENT for a missing file or field, -EEXIST for a repeated label, -EINVAL for
 * anything else that is not such a list of 2 to LF_LABEL_SET_MAX labels, -ENOMEM.
 */
int lf_label_set_read(struct lf_label_set **set, const char *path, struct lf_error *error);

/**
 * lf_label_set_free() - free a label list
 * @set: a list or NULL
 */
void lf_label_set_free(struct lf_label_set *set);

/**
 * lf_label_set_count() - number of labels
 * @set: a list
 *
 * Return: the number, at least 2.
 */
uint32_t lf_label_set_count(const struct lf_label_set *set);

/**
 * lf_label_set_at() - a label by number
 * @set: a list
 * @index: 0 to lf_label_set_count() - 1
 *
 * Return: the label, owned by @set.
 */
const struct lf_label *lf_label_set_at(const struct lf_label_set *set, uint32_t index);

/**
 * lf_label_set_find() - the number of a label
 * @set: a list
 * @name: as datasets write it
 * @index: receives the number
 *
 * Return: 0, or -ENOENT when there is no such label.
 */
int lf_label_set_find(const struct lf_label_set *set, const char *name, uint32_t *index);

#endif
