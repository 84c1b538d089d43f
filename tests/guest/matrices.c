// SPDX-License-Identifier: MIT
/*
 * Life of a matrix: created, programmed, committed, published, opened, unlinked, deleted.
 */
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 20, COLS = 12 };

static struct lf_matrix_info matrix_info(int fd, uint32_t handle)
{
	struct drm_lf_matrix_info info = { .handle = handle };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_INFO, &info));
	return info.info;
}

static void states_follow_each_other(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS] = { 0 };
	struct lf_matrix_info info;
	uint32_t matrix;

	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	info = matrix_info(fd, matrix);
	CHECK_EQUAL(info.state, LF_MATRIX_TORN);
	CHECK_EQUAL(info.rows, ROWS);
	CHECK_EQUAL(info.cols, COLS);
	CHECK_EQUAL(info.format, LF_FORMAT_INT8);
	CHECK_EQUAL(info.account, geteuid());

	CHECK_ERROR(guest_matrix_publish(fd, matrix, "test/torn", 0444), EBUSY);
	CHECK_ERROR(guest_matrix_commit(fd, matrix), EBUSY);
	CHECK_EQUAL(guest_matrix_program(fd, matrix, ROWS - 1, COLS, weights), 1);
	CHECK_ERROR(guest_matrix_commit(fd, matrix), EBUSY);
	CHECK_OK(guest_matrix_close(fd, matrix));

	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	CHECK_EQUAL(guest_matrix_program(fd, matrix, ROWS, COLS, weights), 1);
	CHECK_OK(guest_matrix_commit(fd, matrix));
	CHECK_EQUAL(matrix_info(fd, matrix).state, LF_MATRIX_COMMITTED);
	CHECK_ERROR(guest_matrix_commit(fd, matrix), EINVAL);
	CHECK_EQUAL(guest_matrix_program(fd, matrix, ROWS, COLS, weights), -EINVAL);

	CHECK_OK(guest_matrix_publish(fd, matrix, "test/states", 0440));
	info = matrix_info(fd, matrix);
	CHECK_EQUAL(info.state, LF_MATRIX_PUBLISHED);
	CHECK(!strcmp((char *)info.publication.name, "test/states"));
	CHECK_EQUAL(info.publication.mode, 0440);
	CHECK_EQUAL(info.publication.owner, geteuid());
	CHECK_OK(guest_matrix_unlink(fd, "test/states"));
	CHECK_EQUAL(matrix_info(fd, matrix).state, LF_MATRIX_COMMITTED);
	CHECK_EQUAL(matrix_info(fd, matrix).publication.name[0], 0);
	CHECK_OK(guest_matrix_close(fd, matrix));
	CHECK_ERROR(guest_matrix_close(fd, matrix), ENOENT);
}

static void torn_matrices_do_not_multiply(void)
{
	int fd = guest_open();
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job;
	uint32_t matrix;

	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
	CHECK_EQUAL(guest_job_run(fd, &job), -EINVAL);
}

static void last_handle_deletes(void)
{
	int fd = guest_open();
	uint64_t before = guest_settled(fd).tiles_used;
	int8_t weights[ROWS * COLS];
	uint32_t matrix;
	int other;

	matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	CHECK(guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE).tiles_used > before);
	CHECK_OK(guest_matrix_close(fd, matrix));
	CHECK_EQUAL(guest_settled(fd).tiles_used, before);

	other = guest_open();
	guest_matrix(other, ROWS, COLS, 1, weights);
	CHECK_OK(guest_matrix_create(other, ROWS, COLS, &matrix));
	close(other);
	CHECK_EQUAL(guest_settled(fd).tiles_used, before);
}

static void dirty_tiles_are_erased(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct lf_telemetry_block before = guest_settled(fd), after;

	CHECK_OK(guest_matrix_close(fd, guest_matrix(fd, ROWS, COLS, 1, weights)));
	after = guest_settled(fd);
	CHECK_EQUAL(after.tiles_dirty, 0);
	CHECK(after.cells_erased > before.cells_erased);
}

static void names_are_unique_and_checked(void)
{
	static const char *const bad[] = { "",	 "/x",	 "a b", "a\n",	      "\xe4",
					   "a*", "a\\b", "a:b", ".unlinked/1" };
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t first = guest_matrix(fd, ROWS, COLS, 1, weights);
	uint32_t second = guest_matrix(fd, ROWS, COLS, 2, weights), opened;
	struct drm_lf_matrix_publish publish = { .handle = first, .mode = 0444 };

	for (size_t i = 0; i < KTAP_COUNT(bad); i++) {
		CHECK_ERROR(guest_matrix_publish(fd, first, bad[i], 0444), EINVAL);
		CHECK_ERROR(guest_matrix_open(fd, bad[i], &opened), EINVAL);
		CHECK_ERROR(guest_matrix_unlink(fd, bad[i]), EINVAL);
	}
	/* Not terminated, and not padded with zeros. */
	memset(publish.name, 'a', sizeof(publish.name));
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_PUBLISH, &publish), EINVAL);
	publish.name[5] = 0;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_PUBLISH, &publish), EINVAL);
	for (uint32_t bit = 0; bit < 32; bit++)
		if (!(1u << bit & 0444))
			CHECK_ERROR(guest_matrix_publish(fd, first, "test/mode", 1u << bit),
				    EINVAL);

	CHECK_OK(guest_matrix_publish(fd, first, "test/a.B-c_0/1", 0444));
	CHECK_ERROR(guest_matrix_publish(fd, second, "test/a.B-c_0/1", 0444), EEXIST);
	/* Renaming frees the old name. */
	CHECK_OK(guest_matrix_publish(fd, first, "test/renamed", 0444));
	CHECK_ERROR(guest_matrix_open(fd, "test/a.B-c_0/1", &opened), ENOENT);
	CHECK_OK(guest_matrix_publish(fd, second, "test/a.B-c_0/1", 0444));
	CHECK_OK(guest_matrix_open(fd, "test/renamed", &opened));
	CHECK_OK(guest_matrix_unlink(fd, "test/renamed"));
	CHECK_OK(guest_matrix_unlink(fd, "test/a.B-c_0/1"));
	CHECK_ERROR(guest_matrix_unlink(fd, "test/a.B-c_0/1"), ENOENT);
}

static void published_outlives_its_file(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 7, weights);
	struct guest_buffer buffer;
	float *x, expected[COLS];
	struct guest_job job;

	CHECK_OK(guest_matrix_publish(fd, matrix, "test/lasting", 0400));
	close(fd);

	fd = guest_open();
	CHECK_OK(guest_matrix_open(fd, "test/lasting", &matrix));
	/* Unlinked, it can be used as long as it is open, and the name is free. */
	CHECK_OK(guest_matrix_unlink(fd, "test/lasting"));
	CHECK_ERROR(guest_matrix_open(fd, "test/lasting", &(uint32_t){ 0 }), ENOENT);
	CHECK_OK(guest_matrix_publish(fd,
				      guest_matrix(fd, ROWS, COLS, 8, (int8_t[ROWS * COLS]){ 0 }),
				      "test/lasting", 0400));
	CHECK_OK(guest_matrix_unlink(fd, "test/lasting"));

	buffer = guest_buffer(fd, 4096);
	x = buffer.memory;
	for (uint32_t i = 0; i < ROWS; i++)
		x[i] = (float)i;
	job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	guest_forward(x, weights, ROWS, COLS, expected);
	CHECK_EQUAL(memcmp(x + 512, expected, sizeof(expected)), 0);
}

static void list_shows_published(void)
{
	enum { COUNT = 5 };
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct lf_matrix_info entries[3];
	struct drm_lf_matrix_list list = { .entry_bytes = sizeof(entries[0]) };
	uint32_t seen = 0, calls = 0;
	char name[64];

	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list), EINVAL);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "test/list/%d", i);
		CHECK_OK(guest_matrix_publish(fd, guest_matrix(fd, ROWS, COLS, 1, weights), name,
					      0444));
		guest_matrix(fd, ROWS, COLS, 1, weights);
	}
	do {
		list.entries = (uintptr_t)entries;
		list.count = KTAP_COUNT(entries);
		CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
		CHECK(list.count <= KTAP_COUNT(entries));
		for (uint32_t i = 0; i < list.count; i++) {
			CHECK_EQUAL(entries[i].state, LF_MATRIX_PUBLISHED);
			seen += !strncmp((char *)entries[i].publication.name, "test/list/", 10);
		}
		CHECK(++calls < 1000);
	} while (list.first);
	CHECK_EQUAL(seen, COUNT);

	list = (struct drm_lf_matrix_list){ .entries = 16,
					    .count = 1,
					    .entry_bytes = sizeof(entries[0]) };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list), EFAULT);
	list = (struct drm_lf_matrix_list){ .count = UINT32_MAX,
					    .first = UINT32_MAX,
					    .entry_bytes = sizeof(entries[0]) };
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
	CHECK_EQUAL(list.count, 0);
	for (int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "test/list/%d", i);
		CHECK_OK(guest_matrix_unlink(fd, name));
	}
}

/* A program whose entries are larger gets what the kernel knows of each; smaller ones never were. */
static void list_keeps_to_the_size_of_entries(void)
{
	enum { COUNT = 2, LARGER = sizeof(struct lf_matrix_info) + 24 };
	static const uint32_t bad[] = {
		0,    8,	 DRM_LF_MATRIX_INFO_BYTES_V1 - 8, DRM_LF_MATRIX_INFO_BYTES_V1 + 4,
		4104, UINT32_MAX
	};
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint8_t entries[COUNT][LARGER];
	struct drm_lf_matrix_list list = { .entries = (uintptr_t)entries, .count = COUNT };

	for (size_t i = 0; i < KTAP_COUNT(bad); i++) {
		list.entry_bytes = bad[i];
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list), EINVAL);
	}
	list.entry_bytes = LARGER;
	list.pad = 1;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list), EINVAL);
	list.pad = 0;
	CHECK_OK(guest_matrix_publish(fd, guest_matrix(fd, ROWS, COLS, 1, weights), "test/size/0",
				      0444));
	CHECK_OK(guest_matrix_publish(fd, guest_matrix(fd, ROWS, COLS, 1, weights), "test/size/1",
				      0444));
	memset(entries, 0x5a, sizeof(entries));
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
	CHECK_EQUAL(list.count, COUNT);
	for (int i = 0; i < COUNT; i++) {
		struct lf_matrix_info info;

		memcpy(&info, entries[i], sizeof(info));
		CHECK_EQUAL(info.state, LF_MATRIX_PUBLISHED);
		for (size_t j = sizeof(info); j < LARGER; j++)
			CHECK_EQUAL(entries[i][j], 0x5a);
	}
	CHECK_OK(guest_matrix_unlink(fd, "test/size/0"));
	CHECK_OK(guest_matrix_unlink(fd, "test/size/1"));
}

static void bad_shapes_are_refused(void)
{
	int fd = guest_open();
	struct drm_lf_device_info info = guest_info(fd);
	const uint32_t rows[] = { 0, info.matrix_rows + 1, 1u << 31, UINT32_MAX };
	const uint32_t cols[] = { 0, info.matrix_cols + 1, 1u << 31, UINT32_MAX };
	const uint32_t formats[] = { LF_FORMAT_FP32, 2, 31, 32, 1u << 31, UINT32_MAX };
	struct drm_lf_matrix_create create;

	for (size_t i = 0; i < KTAP_COUNT(rows); i++) {
		create = (struct drm_lf_matrix_create){ .rows = rows[i], .cols = 1 };
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create), EINVAL);
		create = (struct drm_lf_matrix_create){ .rows = 1, .cols = cols[i] };
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create), EINVAL);
	}
	for (size_t i = 0; i < KTAP_COUNT(formats); i++) {
		create =
			(struct drm_lf_matrix_create){ .rows = 1, .cols = 1, .format = formats[i] };
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create), EINVAL);
	}
	create = (struct drm_lf_matrix_create){ .rows = 1, .cols = 1, .flags = 1 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create), EINVAL);
	create = (struct drm_lf_matrix_create){ .rows = 1, .cols = 1, .pad = 1 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create), EINVAL);
}

static void full_device_says_so(void)
{
	int fd = guest_open();
	struct drm_lf_device_info info = guest_info(fd);
	uint32_t matrix, made = 0;

	while (guest_matrix_create(fd, info.matrix_rows, info.matrix_cols, &matrix) == 0)
		CHECK(++made <= info.matrices);
	CHECK_EQUAL(errno, ENOSPC);
	/* What is closed can be had at once. */
	if (made) {
		CHECK_OK(guest_matrix_close(fd, 1));
		CHECK_OK(guest_matrix_create(fd, info.matrix_rows, info.matrix_cols, &matrix));
	}
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(states_follow_each_other),
		KTAP_TEST(torn_matrices_do_not_multiply),
		KTAP_TEST(last_handle_deletes),
		KTAP_TEST(dirty_tiles_are_erased),
		KTAP_TEST(names_are_unique_and_checked),
		KTAP_TEST(published_outlives_its_file),
		KTAP_TEST(list_shows_published),
		KTAP_TEST(list_keeps_to_the_size_of_entries),
		KTAP_TEST(bad_shapes_are_refused),
		KTAP_TEST(full_device_says_so),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
