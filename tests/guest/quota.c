// SPDX-License-Identifier: MIT
/*
 * Write budgets: spent, refused before the first pulse, raised by the privileged alone, the same
 * for all files of a user.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 16, COLS = 16 };

static int quota(int fd, struct drm_lf_quota *quota)
{
	return guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, quota);
}

static void set_quota(int fd, uint32_t account, uint64_t cells)
{
	struct drm_lf_quota set = { .account = account,
				    .flags = DRM_LF_QUOTA_SET,
				    .quota_cells = cells };

	CHECK_OK(quota(fd, &set));
	CHECK_EQUAL(set.quota_cells, cells);
}

static struct drm_lf_quota get_quota(int fd, uint32_t account)
{
	struct drm_lf_quota get = { .account = account };

	CHECK_OK(quota(fd, &get));
	return get;
}

static void own_account_counts(void)
{
	int fd = guest_open();
	struct drm_lf_quota before = get_quota(fd, geteuid()), after;
	int8_t weights[ROWS * COLS];
	struct lf_telemetry_block sums;

	guest_matrix(fd, ROWS, COLS, 1, weights);
	after = get_quota(fd, geteuid());
	sums = guest_telemetry(fd, DRM_LF_TELEMETRY_CONTEXT);
	CHECK(sums.cells_written > 0);
	/* A pulse more for a cell that did not verify is one more to pay. */
	CHECK_EQUAL(after.written_cells - before.written_cells,
		    sums.cells_written + sums.verify_retries);
	CHECK(after.tiles > before.tiles);
}

static void spend(void *argument)
{
	int fd = guest_open(), other = guest_open();
	struct drm_lf_quota raise = { .account = GUEST_USER,
				      .flags = DRM_LF_QUOTA_SET,
				      .quota_cells = UINT64_MAX };
	struct drm_lf_quota before, after, foreign = { .account = GUEST_OTHER };
	int8_t weights[ROWS * COLS] = { 0 };
	uint32_t matrix, spent = 0;
	int status;

	(void)argument;
	CHECK_ERROR(quota(fd, &raise), EPERM);
	CHECK_ERROR(quota(fd, &foreign), EPERM);
	for (;;) {
		CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
		before = get_quota(fd, GUEST_USER);
		status = guest_matrix_program(fd, matrix, ROWS, COLS, weights);
		after = get_quota(fd, GUEST_USER);
		if (status != 1)
			break;
		CHECK(after.written_cells <= after.quota_cells);
		CHECK(++spent < 1000);
	}
	CHECK(spent > 0);
	CHECK_EQUAL(status, -EDQUOT);
	/* Refused before the first pulse. */
	CHECK_EQUAL(after.written_cells, before.written_cells);
	CHECK_ERROR(guest_matrix_commit(fd, matrix), EBUSY);
	/* A new file is no way around it. */
	CHECK_OK(guest_matrix_create(other, ROWS, COLS, &matrix));
	CHECK_EQUAL(guest_matrix_program(other, matrix, ROWS, COLS, weights), -EDQUOT);
}

static void spent_quota_refuses(void)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	struct drm_lf_quota now;

	if (geteuid() != 0)
		ktap_skip("not root");
	now = get_quota(fd, GUEST_USER);
	set_quota(fd, GUEST_USER, now.written_cells + 20000);
	guest_as_user(GUEST_USER, spend, NULL);
	/* It can be lowered below what was written, too. */
	set_quota(fd, GUEST_USER, 0);
	set_quota(fd, GUEST_USER, UINT64_MAX);
	guest_matrix(fd, ROWS, COLS, 3, weights);
}

static void write_until_refused(void *argument)
{
	int fd = guest_open(), status = 1;
	int8_t weights[ROWS * COLS] = { 0 };

	(void)argument;
	for (int i = 0; i < 1000 && status == 1; i++) {
		uint32_t matrix;

		CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
		status = guest_matrix_program(fd, matrix, ROWS, COLS, weights);
		CHECK_OK(guest_matrix_close(fd, matrix));
	}
	CHECK_EQUAL(status, -EDQUOT);
}

static void write_once(void *argument)
{
	int8_t weights[ROWS * COLS];

	(void)argument;
	guest_matrix(guest_open(), ROWS, COLS, 4, weights);
}

/* Many processes of a user who writes all the time: no more than was granted, and no less for others. */
static void hostile_writers_get_their_share(void)
{
	enum { WRITERS = 4, SHARE = 40000 };
	int fd = guest_open();
	struct drm_lf_quota now;
	pid_t children[WRITERS];

	if (geteuid() != 0)
		ktap_skip("not root");
	now = get_quota(fd, GUEST_USER);
	set_quota(fd, GUEST_USER, now.written_cells + SHARE);
	fflush(stdout);
	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			guest_as_user(GUEST_USER, write_until_refused, NULL);
			_exit(0);
		}
	}
	guest_as_user(GUEST_OTHER, write_once, NULL);
	for (int i = 0; i < WRITERS; i++) {
		int status;

		CHECK(waitpid(children[i], &status, 0) == children[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	now.quota_cells = now.written_cells + SHARE;
	printf("# %llu of %d cells written\n",
	       (unsigned long long)(get_quota(fd, GUEST_USER).written_cells - now.written_cells),
	       SHARE);
	CHECK(get_quota(fd, GUEST_USER).written_cells <= now.quota_cells);
	CHECK(get_quota(fd, GUEST_USER).written_cells > now.written_cells);
	guest_as_user(GUEST_OTHER, write_once, NULL);
	set_quota(fd, GUEST_USER, UINT64_MAX);
}

static void bad_requests_are_refused(void)
{
	int fd = guest_open();

	for (uint32_t bit = 1; bit < 32; bit++) {
		struct drm_lf_quota bad = { .account = geteuid(), .flags = 1u << bit };

		CHECK_ERROR(quota(fd, &bad), EINVAL);
	}
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(own_account_counts),
		KTAP_TEST(spent_quota_refuses),
		KTAP_TEST(hostile_writers_get_their_share),
		KTAP_TEST(bad_requests_are_refused),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
