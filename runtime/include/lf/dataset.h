/* SPDX-License-Identifier: MIT */
/* Labelled texts from JSON lines: one {"text", "label"} a line. Splits and seeds are the callers'. */
#ifndef LF_DATASET_H
#define LF_DATASET_H

#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>
#include <lf/label_set.h>

/* Limits of a file; one above them is refused. */
#define LF_DATASET_MAX_LINE_BYTES 65536
#define LF_DATASET_MAX_FILE_BYTES (1u << 30)

/**
 * struct lf_example - one labelled text
 * @text: UTF-8, terminated, not blank
 * @size_bytes: its length without the terminator
 * @label: number of its label in the label set
 */
struct lf_example {
	const char *text;
	uint32_t size_bytes;
	uint32_t label;
};

struct lf_dataset;

/**
 * lf_dataset_read() - read a file of JSON lines
 * @dataset: receives the examples in the order of the file, freed with lf_dataset_free();
 *	untouched on failure
 * @path: file name
 * @labels: the labels that may occur; not kept. NULL when only the texts are wanted: then a line that does not begin with {
 *	is a text itself, and all labels are 0
 * @error: names file, line and field; may be NULL
 *
 * Further fields of a line are ignored. Refused whole are: an empty file, blank lines, lines above
 * LF_DATASET_MAX_LINE_BYTES, text that is not UTF-8 or holds NUL, blank texts, and labels that are
 * not in @labels.
 *
 * Return: 0, -ENOENT for a missing file or field, -EFBIG, -EILSEQ for binary content, -EINVAL
 * for anything else that is wrong with a line, -ENOMEM.
 */
int lf_dataset_read(struct lf_dataset **dataset, const char *path,
		    const struct lf_label_set *labels, struct lf_error *error);

/**
 * lf_dataset_free() - free a dataset
 * @dataset: a dataset or NULL
 */
void lf_dataset_free(struct lf_dataset *dataset);

/**
 * lf_dataset_count() - number of examples
 * @dataset: a dataset
 *
 * Return: the number, at least 1.
 */
size_t lf_dataset_count(const struct lf_dataset *dataset);

/**
 * lf_dataset_at() - an example by position
 * @dataset: a dataset
 * @index: 0 to lf_dataset_count() - 1
 *
 * Return: the example, owned by @dataset.
 */
const struct lf_example *lf_dataset_at(const struct lf_dataset *dataset, size_t index);

#endif
