/* SPDX-License-Identifier: MIT */
/* A scratch folder and byte-level helpers for the tests of file formats. */
#ifndef LF_TESTS_IO_FIXTURE_H
#define LF_TESTS_IO_FIXTURE_H

#include <stddef.h>

#include <lf/error.h>

#define IO_PATH_BYTES 512

/* Make and remove the scratch folder; fit for tcase_add_checked_fixture(). */
void io_fixture_setup(void);
void io_fixture_teardown(void);

/* The name of a file in the scratch folder; valid until the eighth call after this one. */
const char *io_path(const char *name);

void io_write(const char *path, const void *bytes, size_t size_bytes);
void io_write_text(const char *path, const char *text);
/* The caller frees the result, which has a terminator behind its size_bytes. */
char *io_read(const char *path, size_t *size_bytes);
/* Number of entries of a folder, "." and ".." not counted. */
unsigned int io_count_entries(const char *folder);

/* A safetensors file from a header and data; returns its size, the caller frees *file. */
size_t io_safetensors(unsigned char **file, const char *header, const void *data,
		      size_t data_bytes);

/* Fail the running test unless the error has this code and its text contains this. */
void io_expect_error(const struct lf_error *error, int ret, int code, const char *contains);

/* The folder of the pretrained encoder; fails the running test when its vocabulary is absent. */
const char *io_encoder_folder(void);

#endif
