// SPDX-License-Identifier: MIT
/*
 * Who may do what: modes of published matrices, owners, privileged operations.
 */
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 8, COLS = 8 };

struct expectation {
	const char *name;
	int error; /* 0: may open */
};

static void open_as(void *argument)
{
	const struct expectation *expected = argument;
	int fd = guest_open();
	uint32_t matrix;

	if (expected->error)
		CHECK_ERROR(guest_matrix_open(fd, expected->name, &matrix), expected->error);
	else
		CHECK_OK(guest_matrix_open(fd, expected->name, &matrix));
}

static void publish_all_modes(void *argument)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	char name[32];

	(void)argument;
	for (uint32_t mode = 0; mode <= 0444; mode++) {
		if (mode & ~0444u)
			continue;
		snprintf(name, sizeof(name), "test/mode/%03o", mode);
		CHECK_OK(guest_matrix_publish(fd, guest_matrix(fd, ROWS, COLS, mode, weights), name,
					      mode));
	}
}

static void unlink_all_modes(void *argument)
{
	int fd = guest_open();
	char name[32];

	(void)argument;
	for (uint32_t mode = 0; mode <= 0444; mode++) {
		if (mode & ~0444u)
			continue;
		snprintf(name, sizeof(name), "test/mode/%03o", mode);
		CHECK_OK(guest_matrix_unlink(fd, name));
	}
}

static void modes_are_as_of_files(void)
{
	guest_as_user(GUEST_USER, publish_all_modes, NULL);
	for (uint32_t mode = 0; mode <= 0444; mode++) {
		char name[32];
		struct expectation owner = { name, mode & 0400 ? 0 : EACCES };
		struct expectation other = { name, mode & 0004 ? 0 : EACCES };
		struct expectation root = { name, 0 };

		if (mode & ~0444u)
			continue;
		snprintf(name, sizeof(name), "test/mode/%03o", mode);
		guest_as_user(GUEST_USER, open_as, &owner);
		guest_as_user(GUEST_OTHER, open_as, &other);
		open_as(&root);
	}
	guest_as_user(GUEST_USER, unlink_all_modes, NULL);
}

/* What another user, who may read it, can do to a published matrix: multiply, nothing else. */
static void use_foreign(void *argument)
{
	int fd = guest_open();
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct drm_lf_matrix_info info = { .pad = 0 };
	struct guest_job job;
	uint32_t matrix;

	(void)argument;
	CHECK_OK(guest_matrix_open(fd, "test/foreign", &matrix));
	job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);

	CHECK_ERROR(guest_matrix_publish(fd, matrix, "test/stolen", 0444), EPERM);
	CHECK_ERROR(guest_matrix_publish(fd, matrix, "test/foreign", 0444), EPERM);
	CHECK_ERROR(guest_matrix_unlink(fd, "test/foreign"), EPERM);
	CHECK_ERROR(guest_matrix_commit(fd, matrix), EPERM);

	job.commands[0] = (struct lf_command){ .opcode = LF_OP_CALIBRATE,
					       .matrix = 1,
					       .count = 1,
					       .input = guest_operand(0, 0, ROWS * 4) };
	CHECK_EQUAL(guest_job_run(fd, &job), -EPERM);
	job.commands[0] = (struct lf_command){
		.opcode = LF_OP_PROGRAM, .matrix = 1, .count = 1, .input = guest_operand(0, 0, COLS)
	};
	CHECK_EQUAL(guest_job_run(fd, &job), -EPERM);
	job.commands[0] = (struct lf_command){
		.opcode = LF_OP_READ, .matrix = 1, .count = 1, .output = guest_operand(0, 0, COLS)
	};
	CHECK_EQUAL(guest_job_run(fd, &job), -EPERM);

	info.handle = matrix;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_INFO, &info));
	CHECK_EQUAL(info.info.account, 0);
	CHECK_EQUAL(info.info.index, 0);
	CHECK_EQUAL(info.info.rows, ROWS);
}

static void publish_foreign(void *argument)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 5, weights);

	(void)argument;
	CHECK_OK(guest_matrix_publish(fd, matrix, "test/foreign", 0444));
}

static void calibrate_own(void *argument)
{
	int fd = guest_open();
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job;
	uint32_t matrix;

	(void)argument;
	for (int i = 0; i < ROWS; i++)
		((float *)buffer.memory)[i] = 1;
	CHECK_OK(guest_matrix_open(fd, "test/foreign", &matrix));
	job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
	job.commands[0] = (struct lf_command){ .opcode = LF_OP_CALIBRATE,
					       .matrix = 1,
					       .count = 1,
					       .input = guest_operand(0, 0, ROWS * 4) };
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	CHECK_OK(guest_matrix_unlink(fd, "test/foreign"));
}

static void published_is_read_only_for_others(void)
{
	guest_as_user(GUEST_USER, publish_foreign, NULL);
	guest_as_user(GUEST_OTHER, use_foreign, NULL);
	guest_as_user(GUEST_USER, calibrate_own, NULL);
}

static void list_hides_the_unreadable(void *argument)
{
	int fd = guest_open();
	struct lf_matrix_info entries[64];
	struct drm_lf_matrix_list list = { .entries = (uintptr_t)entries,
					   .count = KTAP_COUNT(entries),
					   .entry_bytes = sizeof(entries[0]) };

	(void)argument;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
	for (uint32_t i = 0; i < list.count; i++) {
		CHECK(strcmp((char *)entries[i].publication.name, "test/hidden"));
		if (!strcmp((char *)entries[i].publication.name, "test/shown")) {
			CHECK_EQUAL(entries[i].account, 0);
			CHECK_EQUAL(entries[i].wear_max, 0);
		}
	}
}

static void list_is_filtered(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];

	CHECK_OK(guest_matrix_publish(fd, guest_matrix(fd, ROWS, COLS, 1, weights), "test/hidden",
				      0440));
	CHECK_OK(guest_matrix_publish(fd, guest_matrix(fd, ROWS, COLS, 1, weights), "test/shown",
				      0444));
	guest_as_user(GUEST_OTHER, list_hides_the_unreadable, NULL);
	CHECK_OK(guest_matrix_unlink(fd, "test/hidden"));
	CHECK_OK(guest_matrix_unlink(fd, "test/shown"));
}

/* READ gives back what was programmed, to the privileged. */
static void privileged_reads_cells(void)
{
	int fd = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 6, weights);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_job();
	struct lf_command *command = guest_job_command(&job, LF_OP_READ);

	command->matrix = guest_job_matrix(&job, matrix);
	command->count = ROWS;
	command->output = guest_operand(guest_job_buffer(&job, buffer.handle), 0, COLS);
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	CHECK_EQUAL(memcmp(buffer.memory, weights, sizeof(weights)), 0);
}

/* Programming is for the file that created the matrix, whoever else has opened it. */
static void only_the_creator_programs(void)
{
	int fd = guest_open(), other = guest_open();
	int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 6, weights), theirs;

	CHECK_OK(guest_matrix_publish(fd, matrix, "test/creator", 0444));
	CHECK_OK(guest_matrix_open(other, "test/creator", &theirs));
	CHECK_EQUAL(guest_matrix_program(other, theirs, ROWS, COLS, weights), -EPERM);
	CHECK_OK(guest_matrix_unlink(fd, "test/creator"));
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(modes_are_as_of_files),     KTAP_TEST(published_is_read_only_for_others),
		KTAP_TEST(list_is_filtered),	      KTAP_TEST(privileged_reads_cells),
		KTAP_TEST(only_the_creator_programs),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
