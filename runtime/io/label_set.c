// SPDX-License-Identifier: MIT
/* Label lists; see lf/label_set.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/label_set.h>

#include "runtime/io/json.h"
#include "runtime/io/text.h"

#define LABELS_LIMIT_BYTES (4u << 20)

struct lf_label_set {
	json_t *root; /* owns the strings */
	uint32_t count;
	struct lf_label *labels;
};

/* A name or text of a label: shown to people, and given to the tokenizer. */
static int read_text(const json_t *entry, const char *key, const char **text, const char *where,
		     struct lf_error *error)
{
	int ret = lf_json_string(entry, key, text, where, error);

	if (!ret && (**text == '\0' || !lf_text_is_printable(*text)))
		ret = lf_error_set(error, -EINVAL,
				   "%s: field \"%s\" is empty or has control characters", where,
				   key);
	return ret;
}

/* The next label, once it differs from all before. */
static int read_label(struct lf_label_set *set, const char *where, struct lf_error *error)
{
	const json_t *entry = json_array_get(set->root, set->count);
	struct lf_label *label = &set->labels[set->count];
	uint32_t earlier;
	int ret;

	if (!json_is_object(entry))
		return lf_error_set(error, -EINVAL, "%s: must be an object", where);
	ret = read_text(entry, "label", &label->name, where, error);
	if (!ret)
		ret = read_text(entry, "text", &label->text, where, error);
	if (ret)
		return ret;
	if (lf_label_set_find(set, label->name, &earlier) == 0)
		return lf_error_set(error, -EEXIST,
				    "%s: field \"label\": \"%.64s\" is label %u already", where,
				    label->name, earlier);
	set->count++;
	return 0;
}

static int read_labels(struct lf_label_set *set, const char *path, struct lf_error *error)
{
	size_t count = json_array_size(set->root);
	size_t where_bytes = strlen(path) + 32;
	char *where;
	int ret = 0;

	if (!json_is_array(set->root))
		return lf_error_set(error, -EINVAL, "%s: must be a JSON array of labels", path);
	if (count < 2 || count > LF_LABEL_SET_MAX)
		return lf_error_set(error, -EINVAL, "%s: has %zu labels, must be 2 to %d", path,
				    count, LF_LABEL_SET_MAX);
	set->labels = calloc(count, sizeof(*set->labels));
	where = malloc(where_bytes);
	if (!set->labels || !where) {
		free(where);
		return lf_error_set(error, -ENOMEM, "%s: no memory for %zu labels", path, count);
	}
	while (set->count < count && !ret) {
		snprintf(where, where_bytes, "%s: label %u", path, set->count);
		ret = read_label(set, where, error);
	}
	free(where);
	return ret;
}

int lf_label_set_read(struct lf_label_set **set, const char *path, struct lf_error *error)
{
	struct lf_label_set *opened = calloc(1, sizeof(*opened));
	int ret;

	if (!opened)
		return lf_error_set(error, -ENOMEM, "%s: no memory to read it", path);
	ret = lf_json_read(&opened->root, path, LABELS_LIMIT_BYTES, error);
	if (!ret)
		ret = read_labels(opened, path, error);
	if (ret)
		lf_label_set_free(opened);
	else
		*set = opened;
	return ret;
}

void lf_label_set_free(struct lf_label_set *set)
{
	if (!set)
		return;
	json_decref(set->root);
	free(set->labels);
	free(set);
}

uint32_t lf_label_set_count(const struct lf_label_set *set)
{
	return set->count;
}

const struct lf_label *lf_label_set_at(const struct lf_label_set *set, uint32_t index)
{
	return &set->labels[index];
}

int lf_label_set_find(const struct lf_label_set *set, const char *name, uint32_t *index)
{
	for (uint32_t i = 0; i < set->count; i++) {
		if (strcmp(set->labels[i].name, name) == 0) {
			*index = i;
			return 0;
		}
	}
	return -ENOENT;
}
