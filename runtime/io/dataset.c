// SPDX-License-Identifier: MIT
/* JSON lines of labelled texts; see lf/dataset.h. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/dataset.h>

#include "runtime/io/file.h"
#include "runtime/io/json.h"
#include "runtime/io/text.h"

struct lf_dataset {
	size_t count;
	size_t capacity;
	struct lf_example *examples; /* own their texts */
};

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\r\n\v\f")] == '\0';
}

static int append(struct lf_dataset *dataset, const char *text, uint32_t label)
{
	struct lf_example *example;

	if (dataset->count == dataset->capacity) {
		size_t capacity = dataset->capacity ? 2 * dataset->capacity : 256;
		struct lf_example *grown;

		grown = realloc(dataset->examples, capacity * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		dataset->examples = grown;
		dataset->capacity = capacity;
	}
	example = &dataset->examples[dataset->count];
	example->text = strdup(text);
	if (!example->text)
		return -ENOMEM;
	example->size_bytes = (uint32_t)strlen(text);
	example->label = label;
	dataset->count++;
	return 0;
}

static int read_object(struct lf_dataset *dataset, const json_t *root,
		       const struct lf_label_set *labels, const char *where, struct lf_error *error)
{
	const char *text = NULL, *label = NULL;
	uint32_t index = 0;
	int ret;

	if (!json_is_object(root))
		return lf_error_set(error, -EINVAL, "%s: must be a JSON object", where);
	ret = lf_json_string(root, "text", &text, where, error);
	if (!ret && labels)
		ret = lf_json_string(root, "label", &label, where, error);
	if (ret)
		return ret;
	if (is_blank(text))
		return lf_error_set(error, -EINVAL, "%s: field \"text\" is blank", where);
	if (labels && lf_label_set_find(labels, label, &index) < 0)
		return lf_error_set(error, -EINVAL,
				    "%s: field \"label\": \"%.64s\" is no label of the task", where,
				    lf_text_is_printable(label) ? label : "?");
	ret = append(dataset, text, index);
	if (ret)
		return lf_error_set(error, ret, "%s: no memory for its text", where);
	return 0;
}

/* A line that is a text. */
static int read_plain(struct lf_dataset *dataset, const unsigned char *line, size_t size_bytes,
		      const char *where, struct lf_error *error)
{
	char *text = strndup((const char *)line, size_bytes);
	int ret;

	if (!text)
		return lf_error_set(error, -ENOMEM, "%s: no memory for its text", where);
	if (is_blank(text))
		ret = lf_error_set(error, -EINVAL, "%s: line is blank", where);
	else
		ret = append(dataset, text, 0);
	free(text);
	if (ret == -ENOMEM)
		lf_error_set(error, ret, "%s: no memory for its text", where);
	return ret;
}

static int read_line(struct lf_dataset *dataset, const unsigned char *line, size_t size_bytes,
		     const struct lf_label_set *labels, const char *where, struct lf_error *error)
{
	json_t *root;
	int ret;

	if (size_bytes > LF_DATASET_MAX_LINE_BYTES)
		return lf_error_set(error, -EINVAL, "%s: line is longer than %d bytes", where,
				    LF_DATASET_MAX_LINE_BYTES);
	if (memchr(line, '\0', size_bytes) || !lf_text_is_utf8(line, size_bytes))
		return lf_error_set(error, -EILSEQ, "%s: line is binary, not UTF-8 text", where);
	if (size_bytes == 0)
		return lf_error_set(error, -EINVAL, "%s: line is empty", where);
	if (!labels && *line != '{')
		return read_plain(dataset, line, size_bytes, where, error);
	ret = lf_json_parse(&root, line, size_bytes, where, error);
	if (ret)
		return ret;
	ret = read_object(dataset, root, labels, where, error);
	json_decref(root);
	return ret;
}

static int read_lines(struct lf_dataset *dataset, const struct lf_file_map *map, const char *path,
		      const struct lf_label_set *labels, struct lf_error *error)
{
	const unsigned char *next = map->bytes;
	const unsigned char *end = next + map->size_bytes;
	size_t where_bytes = strlen(path) + 24;
	char *where = malloc(where_bytes);
	int ret = 0;

	if (!where)
		return lf_error_set(error, -ENOMEM, "%s: no memory to read it", path);
	for (size_t number = 1; next < end && !ret; number++) {
		const unsigned char *newline = memchr(next, '\n', (size_t)(end - next));
		const unsigned char *stop = newline ? newline : end;

		snprintf(where, where_bytes, "%s:%zu", path, number);
		ret = read_line(dataset, next, (size_t)(stop - next), labels, where, error);
		next = newline ? newline + 1 : end;
	}
	free(where);
	return ret;
}

int lf_dataset_read(struct lf_dataset **dataset, const char *path,
		    const struct lf_label_set *labels, struct lf_error *error)
{
	struct lf_dataset *opened;
	struct lf_file_map map;
	int ret;

	ret = lf_file_map_open(&map, path, LF_DATASET_MAX_FILE_BYTES, error);
	if (ret)
		return ret;
	if (map.size_bytes == 0)
		return lf_error_set(error, -EINVAL, "%s: is empty, expected a line per example",
				    path);
	opened = calloc(1, sizeof(*opened));
	if (opened)
		ret = read_lines(opened, &map, path, labels, error);
	else
		ret = lf_error_set(error, -ENOMEM, "%s: no memory to read it", path);
	lf_file_map_close(&map);
	if (ret)
		lf_dataset_free(opened);
	else
		*dataset = opened;
	return ret;
}

void lf_dataset_free(struct lf_dataset *dataset)
{
	if (!dataset)
		return;
	for (size_t i = 0; i < dataset->count; i++)
		free((char *)dataset->examples[i].text);
	free(dataset->examples);
	free(dataset);
}

size_t lf_dataset_count(const struct lf_dataset *dataset)
{
	return dataset->count;
}

const struct lf_example *lf_dataset_at(const struct lf_dataset *dataset, size_t index)
{
	return &dataset->examples[index];
}
