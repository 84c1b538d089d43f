// SPDX-License-Identifier: MIT
/* See io_fixture.h. */
#include <dirent.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <check.h>

#include "tests/unit/io_fixture.h"

static char scratch[IO_PATH_BYTES];

void io_fixture_setup(void)
{
	const char *base = getenv("TMPDIR");

	snprintf(scratch, sizeof(scratch), "%s/lf-test-XXXXXX", base ? base : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	return remove(path);
}

void io_fixture_teardown(void)
{
	nftw(scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

const char *io_path(const char *name)
{
	static char paths[8][2 * IO_PATH_BYTES];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", scratch, name);
	return path;
}

void io_write(const char *path, const void *bytes, size_t size_bytes)
{
	FILE *file = fopen(path, "wb");

	ck_assert_msg(file != NULL, "%s cannot be created", path);
	ck_assert_uint_eq(fwrite(bytes, 1, size_bytes, file), size_bytes);
	ck_assert_int_eq(fclose(file), 0);
}

void io_write_text(const char *path, const char *text)
{
	io_write(path, text, strlen(text));
}

char *io_read(const char *path, size_t *size_bytes)
{
	FILE *file = fopen(path, "rb");
	long size;
	char *bytes;

	ck_assert_msg(file != NULL, "%s cannot be opened", path);
	ck_assert_int_eq(fseek(file, 0, SEEK_END), 0);
	size = ftell(file);
	ck_assert_int_ge(size, 0);
	rewind(file);
	bytes = malloc((size_t)size + 1);
	ck_assert_ptr_nonnull(bytes);
	ck_assert_uint_eq(fread(bytes, 1, (size_t)size, file), (size_t)size);
	bytes[size] = '\0';
	fclose(file);
	*size_bytes = (size_t)size;
	return bytes;
}

unsigned int io_count_entries(const char *folder)
{
	DIR *directory = opendir(folder);
	unsigned int count = 0;

	ck_assert_ptr_nonnull(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count - 2;
}

size_t io_safetensors(unsigned char **file, const char *header, const void *data, size_t data_bytes)
{
	size_t header_bytes = strlen(header);
	unsigned char *bytes = malloc(8 + header_bytes + data_bytes);

	ck_assert_ptr_nonnull(bytes);
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)((uint64_t)header_bytes >> 8 * i);
	memcpy(bytes + 8, header, header_bytes);
	if (data_bytes)
		memcpy(bytes + 8 + header_bytes, data, data_bytes);
	*file = bytes;
	return 8 + header_bytes + data_bytes;
}

void io_expect_error(const struct lf_error *error, int ret, int code, const char *contains)
{
	ck_assert_msg(ret == code && error->code == code,
		      "got %d (recorded %d: %s), expected %d: %s", ret, error->code, error->text,
		      code, contains);
	ck_assert_msg(strstr(error->text, contains) != NULL, "\"%s\" does not contain \"%s\"",
		      error->text, contains);
}

const char *io_encoder_folder(void)
{
	static char folder[IO_PATH_BYTES];
	char vocabulary[IO_PATH_BYTES + 16];
	const char *named = getenv("LF_ENCODER_DIR");

	if (named)
		snprintf(folder, sizeof(folder), "%s", named);
	else
		snprintf(folder, sizeof(folder), "%s/.cache/lorafusion/encoder", getenv("HOME"));
	snprintf(vocabulary, sizeof(vocabulary), "%s/vocab.txt", folder);
	ck_assert_msg(access(vocabulary, R_OK) == 0,
		      "%s is absent: fetch the encoder with `make data`, or name its folder in "
		      "LF_ENCODER_DIR",
		      vocabulary);
	return folder;
}
