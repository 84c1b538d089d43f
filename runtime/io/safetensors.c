// SPDX-License-Identifier: MIT
/*
 * Reading safetensors. All of the header is checked before any of it is used; see
 * lf/safetensors.h for the interface and safetensors_writer.c for the other direction.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lf/safetensors.h>

#include "runtime/io/crc32c.h"
#include "runtime/io/file.h"
#include "runtime/io/float16.h"
#include "runtime/io/json.h"
#include "runtime/io/safetensors_format.h"
#include "runtime/io/text.h"

struct lf_safetensors {
	struct lf_file_map map; /* bytes NULL when parsed from memory */
	const unsigned char *bytes;
	size_t size_bytes;
	size_t header_bytes;
	char *label;
	json_t *header; /* owns the names and the metadata */
	size_t count;
	struct lf_safetensor *tensors;	      /* by position in the data */
	const struct lf_safetensor **by_name; /* the same, sorted for lookup */
};

static const struct {
	const char *name;
	unsigned int size_bytes;
} dtypes[LF_DTYPE_COUNT] = {
	[LF_DTYPE_BOOL] = { "BOOL", 1 },       [LF_DTYPE_U8] = { "U8", 1 },
	[LF_DTYPE_I8] = { "I8", 1 },	       [LF_DTYPE_F8_E5M2] = { "F8_E5M2", 1 },
	[LF_DTYPE_F8_E4M3] = { "F8_E4M3", 1 }, [LF_DTYPE_I16] = { "I16", 2 },
	[LF_DTYPE_U16] = { "U16", 2 },	       [LF_DTYPE_F16] = { "F16", 2 },
	[LF_DTYPE_BF16] = { "BF16", 2 },       [LF_DTYPE_I32] = { "I32", 4 },
	[LF_DTYPE_U32] = { "U32", 4 },	       [LF_DTYPE_F32] = { "F32", 4 },
	[LF_DTYPE_F64] = { "F64", 8 },	       [LF_DTYPE_I64] = { "I64", 8 },
	[LF_DTYPE_U64] = { "U64", 8 },
};

const char *lf_dtype_name(enum lf_dtype dtype)
{
	return (unsigned int)dtype < LF_DTYPE_COUNT ? dtypes[dtype].name : "?";
}

unsigned int lf_dtype_size_bytes(enum lf_dtype dtype)
{
	return dtypes[dtype].size_bytes;
}

void lf_shape_format(char text[LF_SHAPE_TEXT_BYTES], unsigned int rank, const uint64_t *shape)
{
	size_t used = 0;

	text[used++] = '[';
	for (unsigned int i = 0; i < rank && i < LF_SAFETENSORS_MAX_RANK; i++)
		used += (size_t)snprintf(text + used, LF_SHAPE_TEXT_BYTES - used, "%s%llu",
					 i ? ", " : "", (unsigned long long)shape[i]);
	text[used++] = ']';
	text[used] = '\0';
}

/* What a file that is no safetensors file probably is, for a message that helps. */
static int refuse_foreign(const char *label, const unsigned char *bytes, size_t size_bytes,
			  const char *otherwise, struct lf_error *error)
{
	if (size_bytes >= 4 && memcmp(bytes, "PK\003\004", 4) == 0)
		return lf_error_set(
			error, -EINVAL,
			"%s: is a zip archive, probably a PyTorch checkpoint of pickles, which "
			"can run code; convert it to safetensors",
			label);
	if (size_bytes >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5)
		return lf_error_set(
			error, -EINVAL,
			"%s: is a Python pickle, which can run code; convert it to safetensors",
			label);
	return lf_error_set(error, -EINVAL, "%s: %s", label, otherwise);
}

static int parse_dtype(struct lf_safetensor *tensor, const json_t *entry, const char *label,
		       struct lf_error *error)
{
	const json_t *field = json_object_get(entry, "dtype");

	if (!json_is_string(field))
		return lf_error_set(error, -EINVAL, "%s: tensor \"%s\": dtype must be a string",
				    label, tensor->name);
	for (int dtype = 0; dtype < LF_DTYPE_COUNT; dtype++) {
		if (strcmp(json_string_value(field), dtypes[dtype].name) == 0) {
			tensor->dtype = (enum lf_dtype)dtype;
			return 0;
		}
	}
	if (!lf_text_is_printable(json_string_value(field)))
		return lf_error_set(error, -EINVAL, "%s: tensor \"%s\": dtype is unknown", label,
				    tensor->name);
	return lf_error_set(error, -EINVAL, "%s: tensor \"%s\": dtype \"%.32s\" is unknown", label,
			    tensor->name, json_string_value(field));
}

static int parse_shape(struct lf_safetensor *tensor, const json_t *entry, const char *label,
		       struct lf_error *error)
{
	const json_t *field = json_object_get(entry, "shape");

	if (!json_is_array(field))
		return lf_error_set(error, -EINVAL, "%s: tensor \"%s\": shape must be an array",
				    label, tensor->name);
	if (json_array_size(field) > LF_SAFETENSORS_MAX_RANK)
		return lf_error_set(
			error, -EINVAL,
			"%s: tensor \"%s\": shape has %zu dimensions, at most %d are read", label,
			tensor->name, json_array_size(field), LF_SAFETENSORS_MAX_RANK);
	tensor->rank = (unsigned int)json_array_size(field);
	tensor->element_count = 1;
	for (unsigned int i = 0; i < tensor->rank; i++) {
		const json_t *size = json_array_get(field, i);

		if (!json_is_integer(size) || json_integer_value(size) < 0)
			return lf_error_set(
				error, -EINVAL,
				"%s: tensor \"%s\": shape[%u] must be an integer of 0 or more",
				label, tensor->name, i);
		tensor->shape[i] = (uint64_t)json_integer_value(size);
		if (__builtin_mul_overflow(tensor->element_count, tensor->shape[i],
					   &tensor->element_count))
			return lf_error_set(error, -EINVAL,
					    "%s: tensor \"%s\": the product of its shape overflows",
					    label, tensor->name);
	}
	return 0;
}

static int parse_offsets(struct lf_safetensor *tensor, const json_t *entry,
			 const struct lf_safetensors *file, struct lf_error *error)
{
	const json_t *field = json_object_get(entry, "data_offsets");
	const json_t *begin = json_array_get(field, 0);
	const json_t *end = json_array_get(field, 1);
	size_t data_bytes = file->size_bytes - 8 - file->header_bytes;
	uint64_t expected_bytes;
	json_int_t first, last;

	if (json_array_size(field) != 2 || !json_is_integer(begin) || !json_is_integer(end))
		return lf_error_set(error, -EINVAL,
				    "%s: tensor \"%s\": data_offsets must be two integers",
				    file->label, tensor->name);
	first = json_integer_value(begin);
	last = json_integer_value(end);
	if (first < 0 || last < first || (uint64_t)last > data_bytes)
		return lf_error_set(
			error, -EINVAL,
			"%s: tensor \"%s\": data_offsets [%lld, %lld) lie outside the %zu bytes "
			"of data",
			file->label, tensor->name, (long long)first, (long long)last, data_bytes);
	if (__builtin_mul_overflow(tensor->element_count,
				   (uint64_t)lf_dtype_size_bytes(tensor->dtype), &expected_bytes) ||
	    expected_bytes != (uint64_t)(last - first)) {
		char shape[LF_SHAPE_TEXT_BYTES];

		lf_shape_format(shape, tensor->rank, tensor->shape);
		return lf_error_set(
			error, -EINVAL,
			"%s: tensor \"%s\": data_offsets hold %lld bytes, which is not %s of %s",
			file->label, tensor->name, (long long)(last - first), shape,
			lf_dtype_name(tensor->dtype));
	}
	tensor->size_bytes = (size_t)(last - first);
	tensor->data = file->bytes + 8 + file->header_bytes + first;
	return 0;
}

static int parse_tensor(struct lf_safetensor *tensor, const char *name, const json_t *entry,
			const struct lf_safetensors *file, struct lf_error *error)
{
	int ret;

	/* Names end up in messages and on terminals. */
	if (!lf_text_is_printable(name) || strlen(name) > LF_SAFETENSORS_MAX_NAME_BYTES)
		return lf_error_set(
			error, -EINVAL,
			"%s: a tensor name has control characters or more than %d bytes",
			file->label, LF_SAFETENSORS_MAX_NAME_BYTES);
	tensor->name = name;
	if (!json_is_object(entry))
		return lf_error_set(error, -EINVAL, "%s: tensor \"%s\": must be an object",
				    file->label, name);
	/* dtype, shape and data_offsets, each checked below: more than three is one too many. */
	if (json_object_size(entry) > 3)
		return lf_error_set(error, -EINVAL,
				    "%s: tensor \"%s\": has fields that are unknown", file->label,
				    name);
	ret = parse_dtype(tensor, entry, file->label, error);
	if (!ret)
		ret = parse_shape(tensor, entry, file->label, error);
	if (!ret)
		ret = parse_offsets(tensor, entry, file, error);
	return ret;
}

static int check_metadata(const json_t *metadata, const char *label, struct lf_error *error)
{
	const char *key;
	json_t *value;

	if (!json_is_object(metadata))
		return lf_error_set(error, -EINVAL, "%s: __metadata__ must be an object", label);
	json_object_foreach((json_t *)metadata, key, value)
	{
		if (!json_is_string(value))
			return lf_error_set(error, -EINVAL,
					    "%s: __metadata__ \"%s\" must be a string", label,
					    lf_text_is_printable(key) ? key : "?");
	}
	return 0;
}

static int compare_position(const void *left, const void *right)
{
	const struct lf_safetensor *a = left;
	const struct lf_safetensor *b = right;

	if (a->data != b->data)
		return (const char *)a->data < (const char *)b->data ? -1 : 1;
	/* Empty tensors share their position with what follows them. */
	if (a->size_bytes != b->size_bytes)
		return a->size_bytes < b->size_bytes ? -1 : 1;
	return strcmp(a->name, b->name);
}

static int compare_name(const void *left, const void *right)
{
	const struct lf_safetensor *const *a = left;
	const struct lf_safetensor *const *b = right;

	return strcmp((*a)->name, (*b)->name);
}

static int compare_key(const void *key, const void *member)
{
	const struct lf_safetensor *const *tensor = member;

	return strcmp(key, (*tensor)->name);
}

/* Every byte of the data belongs to exactly one tensor: nothing is hidden, nothing is shared. */
static int check_coverage(const struct lf_safetensors *file, struct lf_error *error)
{
	const unsigned char *next = file->bytes + 8 + file->header_bytes;

	for (size_t i = 0; i < file->count; i++) {
		const struct lf_safetensor *tensor = &file->tensors[i];

		if (tensor->data != next)
			return lf_error_set(
				error, -EINVAL,
				"%s: tensor \"%s\": data_offsets leave a hole or overlap another "
				"tensor",
				file->label, tensor->name);
		next += tensor->size_bytes;
	}
	if (next != file->bytes + file->size_bytes)
		return lf_error_set(error, -EINVAL, "%s: %zu bytes at the end belong to no tensor",
				    file->label, (size_t)(file->bytes + file->size_bytes - next));
	return 0;
}

static int parse_header(struct lf_safetensors *file, struct lf_error *error)
{
	size_t entries;
	const char *name;
	json_t *entry;
	int ret;

	ret = lf_json_parse(&file->header, file->bytes + 8, file->header_bytes, file->label, error);
	if (ret)
		return ret;
	entries = json_object_size(file->header);
	file->tensors = calloc(entries ? entries : 1, sizeof(*file->tensors));
	file->by_name = calloc(entries ? entries : 1, sizeof(*file->by_name));
	if (!file->tensors || !file->by_name)
		return lf_error_set(error, -ENOMEM, "%s: no memory for %zu tensors", file->label,
				    entries);
	json_object_foreach(file->header, name, entry)
	{
		if (strcmp(name, "__metadata__") == 0)
			ret = check_metadata(entry, file->label, error);
		else
			ret = parse_tensor(&file->tensors[file->count++], name, entry, file, error);
		if (ret)
			return ret;
	}
	qsort(file->tensors, file->count, sizeof(*file->tensors), compare_position);
	for (size_t i = 0; i < file->count; i++)
		file->by_name[i] = &file->tensors[i];
	qsort(file->by_name, file->count, sizeof(*file->by_name), compare_name);
	return check_coverage(file, error);
}

/* Check the length that precedes the header, then the header. */
static int parse(struct lf_safetensors *file, struct lf_error *error)
{
	uint64_t header_bytes = 0;

	if (file->size_bytes < 8)
		return refuse_foreign(file->label, file->bytes, file->size_bytes,
				      "is too short for a safetensors file", error);
	for (int i = 7; i >= 0; i--)
		header_bytes = header_bytes << 8 | file->bytes[i];
	if (header_bytes > LF_SAFETENSORS_MAX_HEADER_BYTES)
		return refuse_foreign(file->label, file->bytes, file->size_bytes,
				      "is no safetensors file: its header length is above 100 MB",
				      error);
	if (header_bytes > file->size_bytes - 8)
		return refuse_foreign(file->label, file->bytes, file->size_bytes,
				      "is truncated: its header is longer than the file", error);
	if (header_bytes < 2 || file->bytes[8] != '{')
		return refuse_foreign(file->label, file->bytes, file->size_bytes,
				      "is no safetensors file: its header does not begin with '{'",
				      error);
	file->header_bytes = (size_t)header_bytes;
	return parse_header(file, error);
}

/* Takes over the map in any case. */
static int open_bytes(struct lf_safetensors **file, struct lf_file_map map, const void *bytes,
		      size_t size_bytes, const char *label, struct lf_error *error)
{
	struct lf_safetensors *opened = calloc(1, sizeof(*opened));
	int ret;

	if (!opened) {
		lf_file_map_close(&map);
		return lf_error_set(error, -ENOMEM, "%s: no memory to open it", label);
	}
	opened->map = map;
	opened->bytes = bytes;
	opened->size_bytes = size_bytes;
	opened->label = strdup(label);
	if (!opened->label)
		ret = lf_error_set(error, -ENOMEM, "%s: no memory to open it", label);
	else
		ret = parse(opened, error);
	if (ret)
		lf_safetensors_close(opened);
	else
		*file = opened;
	return ret;
}

int lf_safetensors_open(struct lf_safetensors **file, const char *path, struct lf_error *error)
{
	struct lf_file_map map;
	int ret;

	ret = lf_file_map_open(&map, path, SIZE_MAX, error);
	if (ret)
		return ret;
	return open_bytes(file, map, map.bytes, map.size_bytes, path, error);
}

int lf_safetensors_parse(struct lf_safetensors **file, const void *bytes, size_t size_bytes,
			 const char *label, struct lf_error *error)
{
	return open_bytes(file, (struct lf_file_map){ 0 }, bytes, size_bytes, label, error);
}

void lf_safetensors_close(struct lf_safetensors *file)
{
	if (!file)
		return;
	json_decref(file->header);
	free(file->tensors);
	free(file->by_name);
	free(file->label);
	lf_file_map_close(&file->map);
	free(file);
}

size_t lf_safetensors_count(const struct lf_safetensors *file)
{
	return file->count;
}

const struct lf_safetensor *lf_safetensors_at(const struct lf_safetensors *file, size_t index)
{
	return &file->tensors[index];
}

const struct lf_safetensor *lf_safetensors_find(const struct lf_safetensors *file, const char *name)
{
	const struct lf_safetensor **found;

	found = bsearch(name, file->by_name, file->count, sizeof(*file->by_name), compare_key);
	return found ? *found : NULL;
}

const char *lf_safetensors_metadata(const struct lf_safetensors *file, const char *key)
{
	return json_string_value(
		json_object_get(json_object_get(file->header, "__metadata__"), key));
}

static void convert(float *values, const struct lf_safetensor *tensor)
{
	const unsigned char *data = tensor->data;

	if (tensor->dtype == LF_DTYPE_F32) {
		memcpy(values, data, tensor->size_bytes);
		return;
	}
	for (uint64_t i = 0; i < tensor->element_count; i++) {
		uint16_t bits = (uint16_t)(data[2 * i] | data[2 * i + 1] << 8);

		values[i] = tensor->dtype == LF_DTYPE_F16 ? lf_float_from_float16(bits)
							  : float_from_bfloat16(bits);
	}
}

int lf_safetensors_check_shape(const struct lf_safetensors *file, const char *name,
			       unsigned int rank, const uint64_t *shape, struct lf_error *error)
{
	const struct lf_safetensor *tensor = lf_safetensors_find(file, name);
	char expected[LF_SHAPE_TEXT_BYTES], found[LF_SHAPE_TEXT_BYTES];

	if (!tensor)
		return lf_error_set(error, -ENOENT, "%s: tensor \"%s\" is missing", file->label,
				    name);
	if (tensor->rank == rank && (!rank || !memcmp(tensor->shape, shape, rank * sizeof(*shape))))
		return 0;
	lf_shape_format(expected, rank, shape);
	lf_shape_format(found, tensor->rank, tensor->shape);
	return lf_error_set(error, -EINVAL, "%s: tensor \"%s\" has shape %s, expected %s",
			    file->label, name, found, expected);
}

int lf_safetensors_read_f32(const struct lf_safetensors *file, const char *name, unsigned int rank,
			    const uint64_t *shape, float *values, struct lf_error *error)
{
	const struct lf_safetensor *tensor = lf_safetensors_find(file, name);
	int ret;

	ret = lf_safetensors_check_shape(file, name, rank, shape, error);
	if (ret)
		return ret;
	if (tensor->dtype != LF_DTYPE_F32 && tensor->dtype != LF_DTYPE_F16 &&
	    tensor->dtype != LF_DTYPE_BF16)
		return lf_error_set(error, -EINVAL,
				    "%s: tensor \"%s\" has type %s, expected F32, F16 or BF16",
				    file->label, name, lf_dtype_name(tensor->dtype));
	convert(values, tensor);
	for (uint64_t i = 0; i < tensor->element_count; i++) {
		if (!float_is_finite(values[i]))
			return lf_error_set(error, -EDOM,
					    "%s: tensor \"%s\": element %llu is not finite",
					    file->label, name, (unsigned long long)i);
	}
	return 0;
}

int lf_safetensors_verify_checksum(const struct lf_safetensors *file, struct lf_error *error)
{
	static const char opening[] = LF_SAFETENSORS_CHECKSUM_OPENING;
	const size_t digits_at = 8 + sizeof(opening) - 1;
	const unsigned char *bytes = file->bytes;
	struct lf_crc32c crc;
	char digits[9];

	if (file->header_bytes < sizeof(opening) - 1 + 8 ||
	    memcmp(bytes + 8, opening, sizeof(opening) - 1) != 0)
		return lf_error_set(error, -EINVAL, "%s: carries no checksum", file->label);
	lf_crc32c_start(&crc);
	lf_crc32c_add(&crc, bytes, digits_at);
	lf_crc32c_add(&crc, "00000000", 8);
	lf_crc32c_add(&crc, bytes + digits_at + 8, file->size_bytes - digits_at - 8);
	snprintf(digits, sizeof(digits), "%08x", lf_crc32c_value(&crc));
	if (memcmp(digits, bytes + digits_at, 8) != 0)
		return lf_error_set(error, -EBADMSG,
				    "%s: is damaged: its checksum is %.8s, its content has %s",
				    file->label, (const char *)bytes + digits_at, digits);
	return 0;
}
