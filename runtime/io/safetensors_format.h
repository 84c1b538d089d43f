/* SPDX-License-Identifier: MIT */
/* What the reader and the writer of safetensors share. */
#ifndef LF_IO_SAFETENSORS_FORMAT_H
#define LF_IO_SAFETENSORS_FORMAT_H

#include <lf/safetensors.h>

#include "runtime/io/file.h"

/* How the header of a file with a checksum begins; eight hexadecimal digits follow. */
#define LF_SAFETENSORS_CHECKSUM_OPENING "{\"__metadata__\":{\"checksum\":\""

/* Brackets, and per dimension at most 20 digits and a separator. */
#define LF_SHAPE_TEXT_BYTES		(3 + LF_SAFETENSORS_MAX_RANK * 22)

/* "[2, 3]"; rank is at most LF_SAFETENSORS_MAX_RANK. */
void lf_shape_format(char text[LF_SHAPE_TEXT_BYTES], unsigned int rank, const uint64_t *shape);

unsigned int lf_dtype_size_bytes(enum lf_dtype dtype);

/*
 * The first half of lf_safetensors_writer_save(): the file is complete and on disk, but not in
 * place until it is published. On success the caller discards out; on failure nothing is left.
 */
int lf_safetensors_writer_prepare(const struct lf_safetensors_writer *writer, const char *path,
				  struct lf_file_writer *out, struct lf_error *error);

#endif
