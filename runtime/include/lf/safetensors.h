/* SPDX-License-Identifier: MIT */
/*
 * Safetensors files: a length, a JSON header, the bytes of the tensors. Reading maps the file and
 * believes nothing before all of it has been checked; writing is deterministic and atomic.
 * What the tensors mean (adapters, checkpoints, model weights) is decided by the callers.
 */
#ifndef LF_SAFETENSORS_H
#define LF_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>

/* Limits beyond the format's own; a file above them is refused. */
#define LF_SAFETENSORS_MAX_HEADER_BYTES 100000000u
#define LF_SAFETENSORS_MAX_RANK		8
#define LF_SAFETENSORS_MAX_NAME_BYTES	255

/**
 * enum lf_dtype - element types a safetensors file may hold
 * @LF_DTYPE_BOOL: one byte, 0 or 1
 * @LF_DTYPE_U8: unsigned, 8 bits
 * @LF_DTYPE_I8: signed, 8 bits
 * @LF_DTYPE_F8_E5M2: 8 bits, 5 of them exponent
 * @LF_DTYPE_F8_E4M3: 8 bits, 4 of them exponent
 * @LF_DTYPE_I16: signed, 16 bits
 * @LF_DTYPE_U16: unsigned, 16 bits
 * @LF_DTYPE_F16: IEEE binary16
 * @LF_DTYPE_BF16: the upper half of a binary32
 * @LF_DTYPE_I32: signed, 32 bits
 * @LF_DTYPE_U32: unsigned, 32 bits
 * @LF_DTYPE_F32: IEEE binary32
 * @LF_DTYPE_F64: IEEE binary64
 * @LF_DTYPE_I64: signed, 64 bits
 * @LF_DTYPE_U64: unsigned, 64 bits
 * @LF_DTYPE_COUNT: number of the above
 *
 * Only F32, F16 and BF16 convert to float32, and only F32 and F16 can be written; the others are
 * sized and carried so that a file with, say, I64 position ids next to its weights is readable.
 */
enum lf_dtype {
	LF_DTYPE_BOOL,
	LF_DTYPE_U8,
	LF_DTYPE_I8,
	LF_DTYPE_F8_E5M2,
	LF_DTYPE_F8_E4M3,
	LF_DTYPE_I16,
	LF_DTYPE_U16,
	LF_DTYPE_F16,
	LF_DTYPE_BF16,
	LF_DTYPE_I32,
	LF_DTYPE_U32,
	LF_DTYPE_F32,
	LF_DTYPE_F64,
	LF_DTYPE_I64,
	LF_DTYPE_U64,
	LF_DTYPE_COUNT
};

/**
 * lf_dtype_name() - the name of an element type as the format spells it
 * @dtype: one of enum lf_dtype
 *
 * Return: a constant string, "?" for a value outside the enumeration.
 */
const char *lf_dtype_name(enum lf_dtype dtype);

/**
 * struct lf_safetensor - one tensor of an open file
 * @name: its name, terminated; valid UTF-8 without control characters
 * @dtype: element type
 * @rank: number of dimensions, 0 for a scalar
 * @shape: sizes, slowest first; the first @rank are set
 * @element_count: product of @shape, 1 for a scalar
 * @data: first byte, little-endian elements, in no particular alignment
 * @size_bytes: @element_count times the size of @dtype
 *
 * Everything here lives as long as the file stays open.
 */
struct lf_safetensor {
	const char *name;
	enum lf_dtype dtype;
	unsigned int rank;
	uint64_t shape[LF_SAFETENSORS_MAX_RANK];
	uint64_t element_count;
	const void *data;
	size_t size_bytes;
};

struct lf_safetensors;

/**
 * lf_safetensors_open() - map a file and check all of its structure
 * @file: receives the open file; untouched on failure
 * @path: file name
 * @error: what is wrong with it, naming the file and the tensor or field; may be NULL
 *
 * The mapping is private and read-only. The file must not be truncated by others while open.
 *
 * Return: 0, -EINVAL for a file that is not well-formed (a pickle or zip is called one),
 * -ENOMEM, or what open and mmap fail with. The file is closed with lf_safetensors_close().
 */
int lf_safetensors_open(struct lf_safetensors **file, const char *path, struct lf_error *error);

/**
 * lf_safetensors_parse() - the same for bytes in memory
 * @file: receives the open file; untouched on failure
 * @bytes: the whole file; borrowed until lf_safetensors_close()
 * @size_bytes: its length
 * @label: what messages call it; copied
 * @error: what is wrong, may be NULL
 *
 * Return: as lf_safetensors_open().
 */
int lf_safetensors_parse(struct lf_safetensors **file, const void *bytes, size_t size_bytes,
			 const char *label, struct lf_error *error);

/**
 * lf_safetensors_close() - unmap a file and free its index
 * @file: an open file or NULL
 */
void lf_safetensors_close(struct lf_safetensors *file);

/**
 * lf_safetensors_count() - number of tensors
 * @file: an open file
 *
 * Return: the number; metadata is not counted.
 */
size_t lf_safetensors_count(const struct lf_safetensors *file);

/**
 * lf_safetensors_at() - a tensor by position
 * @file: an open file
 * @index: 0 to lf_safetensors_count() - 1, in the order of the data
 *
 * Return: the tensor, owned by @file.
 */
const struct lf_safetensor *lf_safetensors_at(const struct lf_safetensors *file, size_t index);

/**
 * lf_safetensors_find() - a tensor by name
 * @file: an open file
 * @name: exact name
 *
 * Return: the tensor, owned by @file, or NULL when there is none.
 */
const struct lf_safetensor *lf_safetensors_find(const struct lf_safetensors *file,
						const char *name);

/**
 * lf_safetensors_metadata() - a string of the optional __metadata__ object
 * @file: an open file
 * @key: which one
 *
 * Return: the value, owned by @file, or NULL when there is none.
 */
const char *lf_safetensors_metadata(const struct lf_safetensors *file, const char *key);

/**
 * lf_safetensors_check_shape() - is there a tensor of this shape?
 * @file: an open file
 * @name: exact name
 * @rank: expected number of dimensions
 * @shape: [@rank] expected sizes
 * @error: names the tensor and the expected and found shape; may be NULL
 *
 * Return: 0, -ENOENT without such a tensor, -EINVAL for another shape.
 */
int lf_safetensors_check_shape(const struct lf_safetensors *file, const char *name,
			       unsigned int rank, const uint64_t *shape, struct lf_error *error);

/**
 * lf_safetensors_read_f32() - copy one tensor out as float32
 * @file: an open file
 * @name: exact name
 * @rank: expected number of dimensions
 * @shape: [rank] expected sizes
 * @values: receives product(@shape) elements; partly written on -EDOM
 * @error: names the tensor and the expected and found shape or type; may be NULL
 *
 * F16 and BF16 are widened exactly.
 *
 * Return: 0, -ENOENT without such a tensor, -EINVAL for another shape or a type that does not
 * convert, -EDOM for a value that is not finite.
 */
int lf_safetensors_read_f32(const struct lf_safetensors *file, const char *name, unsigned int rank,
			    const uint64_t *shape, float *values, struct lf_error *error);

/**
 * lf_safetensors_verify_checksum() - check the file against the checksum it carries
 * @file: an open file, written by a writer with lf_safetensors_writer_checksum()
 * @error: may be NULL
 *
 * Return: 0, -EINVAL when the file carries none, -EBADMSG when a byte differs.
 */
int lf_safetensors_verify_checksum(const struct lf_safetensors *file, struct lf_error *error);

struct lf_safetensors_writer;

/**
 * lf_safetensors_writer_new() - start collecting tensors
 * @writer: receives the writer; freed with lf_safetensors_writer_free()
 * @error: may be NULL
 *
 * Return: 0 or -ENOMEM.
 */
int lf_safetensors_writer_new(struct lf_safetensors_writer **writer, struct lf_error *error);

/**
 * lf_safetensors_writer_free() - free a writer; tensors not saved are forgotten
 * @writer: a writer or NULL
 */
void lf_safetensors_writer_free(struct lf_safetensors_writer *writer);

/**
 * lf_safetensors_writer_metadata() - add a string to the __metadata__ object
 * @writer: a writer
 * @key: a key not used yet; copied
 * @value: its value; copied. Both must be valid UTF-8.
 * @error: may be NULL
 *
 * Return: 0, -EEXIST for a key that is taken, -EINVAL, -ENOMEM.
 */
int lf_safetensors_writer_metadata(struct lf_safetensors_writer *writer, const char *key,
				   const char *value, struct lf_error *error);

/**
 * lf_safetensors_writer_checksum() - carry a checksum of the whole file
 * @writer: a writer
 *
 * A CRC-32C over every byte, its own eight digits counted as '0', as the metadata "checksum".
 */
void lf_safetensors_writer_checksum(struct lf_safetensors_writer *writer);

/**
 * lf_safetensors_writer_add() - add a tensor
 * @writer: a writer
 * @name: a name not used yet; copied
 * @dtype: LF_DTYPE_F32 or LF_DTYPE_F16 (rounded half to even)
 * @rank: number of dimensions
 * @shape: [rank] sizes; copied
 * @values: product(@shape) elements; borrowed until the file has been saved
 * @error: names the tensor; may be NULL
 *
 * Return: 0, -EEXIST, -EINVAL for a type, rank or shape that cannot be written, -EDOM for a value
 * that is not finite or does not fit @dtype, -ENOMEM.
 */
int lf_safetensors_writer_add(struct lf_safetensors_writer *writer, const char *name,
			      enum lf_dtype dtype, unsigned int rank, const uint64_t *shape,
			      const float *values, struct lf_error *error);

/**
 * lf_safetensors_writer_save() - write the file
 * @writer: a writer; can be saved again
 * @path: file name; an existing file is replaced in one step
 * @error: names the file; may be NULL
 *
 * The bytes depend only on what was added, not on the order. They are written to a temporary file
 * beside @path, synchronised, and renamed: @path holds the old or the new file, never a part.
 *
 * Return: 0, -ENOMEM, or what open, write, fsync and rename fail with.
 */
int lf_safetensors_writer_save(const struct lf_safetensors_writer *writer, const char *path,
			       struct lf_error *error);

#endif
