// SPDX-License-Identifier: MIT
/*
 * Writing safetensors: larger element types first, then by name, as the reference library does,
 * so that every tensor is aligned and the same content gives the same bytes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <lf/safetensors.h>

#include "runtime/io/crc32c.h"
#include "runtime/io/file.h"
#include "runtime/io/float16.h"
#include "runtime/io/safetensors_format.h"
#include "runtime/io/text.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are stored little-endian");

/* float16 values converted at a time. */
#define CHUNK_ELEMENTS 4096

struct pending_tensor {
	char *name;
	enum lf_dtype dtype;
	unsigned int rank;
	uint64_t shape[LF_SAFETENSORS_MAX_RANK];
	uint64_t element_count;
	const float *values;
};

struct lf_safetensors_writer {
	json_t *metadata;
	bool with_checksum;
	size_t count;
	size_t capacity;
	struct pending_tensor *tensors;
};

int lf_safetensors_writer_new(struct lf_safetensors_writer **writer, struct lf_error *error)
{
	struct lf_safetensors_writer *created = calloc(1, sizeof(*created));

	if (created)
		created->metadata = json_object();
	if (!created || !created->metadata) {
		free(created);
		return lf_error_set(error, -ENOMEM, "no memory for a safetensors writer");
	}
	*writer = created;
	return 0;
}

void lf_safetensors_writer_free(struct lf_safetensors_writer *writer)
{
	if (!writer)
		return;
	for (size_t i = 0; i < writer->count; i++)
		free(writer->tensors[i].name);
	free(writer->tensors);
	json_decref(writer->metadata);
	free(writer);
}

int lf_safetensors_writer_metadata(struct lf_safetensors_writer *writer, const char *key,
				   const char *value, struct lf_error *error)
{
	if (strcmp(key, "checksum") == 0 || json_object_get(writer->metadata, key))
		return lf_error_set(error, -EEXIST, "metadata \"%s\" is taken", key);
	if (!lf_text_is_utf8(key, strlen(key)) || !lf_text_is_utf8(value, strlen(value)))
		return lf_error_set(error, -EINVAL, "metadata: a key or value is not UTF-8");
	if (json_object_set_new(writer->metadata, key, json_string(value)) < 0)
		return lf_error_set(error, -ENOMEM, "metadata \"%s\": no memory", key);
	return 0;
}

void lf_safetensors_writer_checksum(struct lf_safetensors_writer *writer)
{
	writer->with_checksum = true;
}

static int check_values(const struct pending_tensor *tensor, const char *name,
			struct lf_error *error)
{
	for (uint64_t i = 0; i < tensor->element_count; i++) {
		float value = tensor->values[i];

		if (!float_is_finite(value))
			return lf_error_set(error, -EDOM,
					    "tensor \"%s\": element %llu is not finite", name,
					    (unsigned long long)i);
		if (tensor->dtype == LF_DTYPE_F16 &&
		    (lf_float_to_float16(value) & 0x7fffu) == 0x7c00u)
			return lf_error_set(error, -EDOM,
					    "tensor \"%s\": element %llu is %g, beyond float16",
					    name, (unsigned long long)i, (double)value);
	}
	return 0;
}

int lf_safetensors_writer_add(struct lf_safetensors_writer *writer, const char *name,
			      enum lf_dtype dtype, unsigned int rank, const uint64_t *shape,
			      const float *values, struct lf_error *error)
{
	struct pending_tensor tensor = { .dtype = dtype, .rank = rank, .values = values };
	uint64_t size_bytes;
	int ret;

	if (strcmp(name, "__metadata__") == 0 || !lf_text_is_printable(name) ||
	    strlen(name) > LF_SAFETENSORS_MAX_NAME_BYTES || !lf_text_is_utf8(name, strlen(name)))
		return lf_error_set(error, -EINVAL, "tensor name \"%.64s\" cannot be used", name);
	if (dtype != LF_DTYPE_F32 && dtype != LF_DTYPE_F16)
		return lf_error_set(error, -EINVAL, "tensor \"%s\": type %s cannot be written",
				    name, lf_dtype_name(dtype));
	if (rank > LF_SAFETENSORS_MAX_RANK)
		return lf_error_set(error, -EINVAL, "tensor \"%s\": has %u dimensions, at most %d",
				    name, rank, LF_SAFETENSORS_MAX_RANK);
	tensor.element_count = 1;
	for (unsigned int i = 0; i < rank; i++) {
		tensor.shape[i] = shape[i];
		if (__builtin_mul_overflow(tensor.element_count, shape[i], &tensor.element_count))
			return lf_error_set(error, -EINVAL, "tensor \"%s\": its shape overflows",
					    name);
	}
	if (__builtin_mul_overflow(tensor.element_count, sizeof(float), &size_bytes))
		return lf_error_set(error, -EINVAL, "tensor \"%s\": its shape overflows", name);
	for (size_t i = 0; i < writer->count; i++) {
		if (strcmp(writer->tensors[i].name, name) == 0)
			return lf_error_set(error, -EEXIST, "tensor \"%s\" is there already", name);
	}
	ret = check_values(&tensor, name, error);
	if (ret)
		return ret;
	if (writer->count == writer->capacity) {
		size_t capacity = writer->capacity ? 2 * writer->capacity : 16;
		struct pending_tensor *grown;

		grown = realloc(writer->tensors, capacity * sizeof(*grown));
		if (!grown)
			return lf_error_set(error, -ENOMEM, "tensor \"%s\": no memory", name);
		writer->tensors = grown;
		writer->capacity = capacity;
	}
	tensor.name = strdup(name);
	if (!tensor.name)
		return lf_error_set(error, -ENOMEM, "tensor \"%s\": no memory", name);
	writer->tensors[writer->count++] = tensor;
	return 0;
}

static int compare_pending(const void *left, const void *right)
{
	const struct pending_tensor *const *a = left;
	const struct pending_tensor *const *b = right;
	unsigned int size_a = lf_dtype_size_bytes((*a)->dtype);
	unsigned int size_b = lf_dtype_size_bytes((*b)->dtype);

	if (size_a != size_b)
		return size_a > size_b ? -1 : 1;
	return strcmp((*a)->name, (*b)->name);
}

static int compare_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The metadata with the checksum first and the other keys sorted; NULL without memory. */
static json_t *build_metadata(const struct lf_safetensors_writer *writer)
{
	size_t count = json_object_size(writer->metadata);
	const char **keys = calloc(count + 1, sizeof(*keys));
	json_t *sorted = json_object();
	int failed = !keys || !sorted;
	const char *key;
	json_t *value;
	size_t i = 0;

	if (!failed && writer->with_checksum)
		failed = json_object_set_new(sorted, "checksum", json_string("00000000"));
	if (!failed) {
		json_object_foreach(writer->metadata, key, value) keys[i++] = key;
		qsort(keys, count, sizeof(*keys), compare_text);
	}
	for (i = 0; i < count && !failed; i++)
		failed = json_object_set(sorted, keys[i],
					 json_object_get(writer->metadata, keys[i]));
	free(keys);
	if (failed) {
		json_decref(sorted);
		return NULL;
	}
	return sorted;
}

static json_t *build_entry(const struct pending_tensor *tensor, uint64_t begin, uint64_t end)
{
	json_t *shape = json_array();
	int failed = !shape;

	for (unsigned int i = 0; i < tensor->rank && !failed; i++)
		failed = json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
	if (failed) {
		json_decref(shape);
		return NULL;
	}
	/* Takes over shape, also when it fails. */
	return json_pack("{s:s, s:o, s:[I, I]}", "dtype", lf_dtype_name(tensor->dtype), "shape",
			 shape, "data_offsets", (json_int_t)begin, (json_int_t)end);
}

/* The whole header as JSON; NULL without memory. */
static json_t *build_header(const struct lf_safetensors_writer *writer,
			    const struct pending_tensor *const *order)
{
	json_t *header = json_object();
	uint64_t begin = 0;
	int failed = !header;

	if (!failed && (writer->with_checksum || json_object_size(writer->metadata)))
		failed = json_object_set_new(header, "__metadata__", build_metadata(writer));
	for (size_t i = 0; i < writer->count && !failed; i++) {
		uint64_t end =
			begin + order[i]->element_count * lf_dtype_size_bytes(order[i]->dtype);

		failed = json_object_set_new(header, order[i]->name,
					     build_entry(order[i], begin, end));
		begin = end;
	}
	if (failed) {
		json_decref(header);
		return NULL;
	}
	return header;
}

/*
 * The first bytes of the file: length and header, padded with spaces so that data is aligned. Not
 * by json_dumps(), which drops keys without a word when its buffer cannot grow.
 */
static int build_prefix(const struct lf_safetensors_writer *writer,
			const struct pending_tensor *const *order, unsigned char **prefix,
			size_t *prefix_bytes, struct lf_error *error)
{
	json_t *header = build_header(writer, order);
	size_t length = header ? json_dumpb(header, NULL, 0, JSON_COMPACT) : 0;
	size_t padded = (length + 7) / 8 * 8;
	unsigned char *bytes = length ? malloc(8 + padded) : NULL;
	int ret = 0;

	if (!bytes || json_dumpb(header, (char *)bytes + 8, length, JSON_COMPACT) != length)
		ret = lf_error_set(error, -ENOMEM, "no memory for a safetensors header");
	else if (padded > LF_SAFETENSORS_MAX_HEADER_BYTES)
		ret = lf_error_set(error, -EINVAL, "a safetensors header would exceed 100 MB");
	json_decref(header);
	if (ret) {
		free(bytes);
		return ret;
	}
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)((uint64_t)padded >> 8 * i);
	memset(bytes + 8 + length, ' ', padded - length);
	*prefix = bytes;
	*prefix_bytes = 8 + padded;
	return 0;
}

/* Where the data goes: into the checksum first, into the file after that. */
typedef int (*sink_function)(void *context, const void *bytes, size_t size_bytes,
			     struct lf_error *error);

static int sink_checksum(void *context, const void *bytes, size_t size_bytes,
			 struct lf_error *error)
{
	(void)error;
	lf_crc32c_add(context, bytes, size_bytes);
	return 0;
}

static int sink_file(void *context, const void *bytes, size_t size_bytes, struct lf_error *error)
{
	return lf_file_writer_write(context, bytes, size_bytes, error);
}

static int emit_float16(const struct pending_tensor *tensor, sink_function sink, void *context,
			struct lf_error *error)
{
	uint16_t chunk[CHUNK_ELEMENTS];
	int ret = 0;

	for (uint64_t done = 0; done < tensor->element_count && !ret;) {
		uint64_t left = tensor->element_count - done;
		size_t count = left < CHUNK_ELEMENTS ? (size_t)left : CHUNK_ELEMENTS;

		for (size_t i = 0; i < count; i++)
			chunk[i] = lf_float_to_float16(tensor->values[done + i]);
		ret = sink(context, chunk, count * sizeof(*chunk), error);
		done += count;
	}
	return ret;
}

static int emit_data(const struct lf_safetensors_writer *writer,
		     const struct pending_tensor *const *order, sink_function sink, void *context,
		     struct lf_error *error)
{
	int ret = 0;

	for (size_t i = 0; i < writer->count && !ret; i++) {
		if (order[i]->dtype == LF_DTYPE_F16)
			ret = emit_float16(order[i], sink, context, error);
		else
			ret = sink(context, order[i]->values,
				   (size_t)order[i]->element_count * sizeof(float), error);
	}
	return ret;
}

/* Put the checksum of everything into the eight digits that the prefix has for it. */
static int fill_in_checksum(const struct lf_safetensors_writer *writer,
			    const struct pending_tensor *const *order, unsigned char *prefix,
			    size_t prefix_bytes, struct lf_error *error)
{
	struct lf_crc32c crc;
	char digits[9];
	int ret;

	lf_crc32c_start(&crc);
	lf_crc32c_add(&crc, prefix, prefix_bytes);
	ret = emit_data(writer, order, sink_checksum, &crc, error);
	if (ret)
		return ret;
	snprintf(digits, sizeof(digits), "%08x", lf_crc32c_value(&crc));
	memcpy(prefix + 8 + sizeof(LF_SAFETENSORS_CHECKSUM_OPENING) - 1, digits, 8);
	return 0;
}

int lf_safetensors_writer_prepare(const struct lf_safetensors_writer *writer, const char *path,
				  struct lf_file_writer *out, struct lf_error *error)
{
	const struct pending_tensor **order = calloc(writer->count + 1, sizeof(*order));
	unsigned char *prefix = NULL;
	size_t prefix_bytes = 0;
	int ret;

	if (!order)
		return lf_error_set(error, -ENOMEM, "%s: no memory to write it", path);
	for (size_t i = 0; i < writer->count; i++)
		order[i] = &writer->tensors[i];
	qsort(order, writer->count, sizeof(*order), compare_pending);
	ret = build_prefix(writer, order, &prefix, &prefix_bytes, error);
	if (!ret && writer->with_checksum)
		ret = fill_in_checksum(writer, order, prefix, prefix_bytes, error);
	if (ret) {
		lf_error_prefix(error, ret, "%s", path);
		goto out;
	}
	ret = lf_file_writer_open(out, path, error);
	if (ret)
		goto out;
	ret = lf_file_writer_write(out, prefix, prefix_bytes, error);
	if (!ret)
		ret = emit_data(writer, order, sink_file, out, error);
	if (!ret)
		ret = lf_file_writer_finish(out, error);
	if (ret)
		lf_file_writer_discard(out);
out:
	free(prefix);
	free(order);
	return ret;
}

int lf_safetensors_writer_save(const struct lf_safetensors_writer *writer, const char *path,
			       struct lf_error *error)
{
	struct lf_file_writer out;
	int ret;

	ret = lf_safetensors_writer_prepare(writer, path, &out, error);
	if (ret)
		return ret;
	ret = lf_file_writer_publish(&out, error);
	lf_file_writer_discard(&out);
	return ret;
}
