// SPDX-License-Identifier: MIT
/*
 * Resets that cut management short: what becomes of a matrix that is being made, committed or refreshed. And resets that do
 * not help: after how many of them the device is given up, and who is told. Needs a device with injection.
 */
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"
#include "tests/guest/observe.h"

enum { ROWS = 40, COLS = 24, OUTPUT = 2048 };
enum { DEVICE_RESETS = 3, JOB_TIMEOUT_MS = 1000 };

/* Where a fault strikes queue 0, which faults of "any" queue spare. */
#define ON_MANAGEMENT(code) LF_INJECT(code, 1, 0)

/**
 * struct cut - a way to cut a command short
 * @name: for the log
 * @inject: LF_INJECT_*
 * @is_reset: the function is reset once the fault has struck, before anything was executed
 * @resets: the driver resets queue 0
 * @record: of the command is taken all the same
 */
struct cut {
	const char *name;
	uint32_t inject;
	bool is_reset;
	bool resets;
	bool record;
};

static const struct cut cuts[] = {
	{ "hung, then the function is reset", LF_INJECT_HANG_JOB, .is_reset = true },
	{ "unknown tag", LF_INJECT_UNKNOWN_TAG, .resets = true },
	{ "head out of range", LF_INJECT_HEAD_RANGE, .resets = true },
	{ "unknown status", LF_INJECT_BAD_STATUS, .resets = true },
	{ "duplicate tag", LF_INJECT_DUPLICATE_TAG, .resets = true, .record = true },
	{ "lost interrupt", LF_INJECT_LOST_INTERRUPT, .record = true },
};

static void for_each_cut(void (*test)(const struct cut *cut))
{
	for (size_t i = 0; i < KTAP_COUNT(cuts); i++) {
		printf("# %s\n", cuts[i].name);
		fflush(stdout);
		test(&cuts[i]);
	}
}

static long long resets(void)
{
	return guest_read_number(GUEST_DEVICE "/lf/resets");
}

static void reset_function(void)
{
	guest_write_word(GUEST_DEVICE "/reset", "1");
}

/* Recovery may come after the command has returned. */
static void await_resets(long long count)
{
	for (int i = 0; i < 500 && resets() < count; i++)
		usleep(10000);
	CHECK_EQUAL(resets(), count);
}

static pid_t start(void)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	return child;
}

static void finish(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The next command of management is cut short; to be followed by finish(). */
static pid_t cut_next(const struct cut *cut)
{
	pid_t child;

	guest_inject(ON_MANAGEMENT(cut->inject));
	child = start();
	if (child == 0) {
		if (cut->is_reset) {
			guest_await_strike(cut->inject);
			reset_function();
		}
		_exit(0);
	}
	return child;
}

/*
 * The one after the next. The next one's record comes without an interrupt, so the driver finds it with its tick: time enough
 * for the second fault, which that record escapes.
 */
static pid_t cut_second(const struct cut *cut)
{
	pid_t child;

	guest_inject(ON_MANAGEMENT(LF_INJECT_LOST_INTERRUPT));
	child = start();
	if (child == 0) {
		guest_await_strike(LF_INJECT_LOST_INTERRUPT);
		guest_inject(ON_MANAGEMENT(cut->inject));
		if (cut->is_reset) {
			guest_await_strike(cut->inject);
			reset_function();
		}
		_exit(0);
	}
	return child;
}

static void fill(int8_t *weights)
{
	for (int i = 0; i < ROWS * COLS; i++)
		weights[i] = (int8_t)(i % 251 - 125);
}

/* Made once, whether it was executed or not: no tile is taken for nothing. */
static void cut_create(const struct cut *cut)
{
	int8_t weights[ROWS * COLS];
	uint32_t plain, matrix;
	int fd = guest_open();
	struct lf_telemetry_block none = guest_settled(fd), one, two;
	long long before;
	pid_t child;

	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &plain));
	one = guest_settled(fd);
	before = resets();
	child = cut_next(cut);
	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	finish(child);
	await_resets(before + cut->resets);
	two = guest_settled(fd);
	CHECK(one.tiles_used > none.tiles_used);
	CHECK_EQUAL(two.tiles_used - one.tiles_used, one.tiles_used - none.tiles_used);
	fill(weights);
	CHECK_EQUAL(guest_matrix_program(fd, matrix, ROWS, COLS, weights), 1);
	CHECK_OK(guest_matrix_commit(fd, matrix));
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
	close(fd);
}

static void creation_is_cut(void)
{
	for_each_cut(cut_create);
}

static void cut_commit(const struct cut *cut)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix;
	pid_t child;

	fill(weights);
	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &matrix));
	CHECK_EQUAL(guest_matrix_program(fd, matrix, ROWS, COLS, weights), 1);
	guest_settled(fd);
	child = cut_next(cut);
	CHECK_OK(guest_matrix_commit(fd, matrix));
	finish(child);
	CHECK_EQUAL(guest_matrix_info(fd, matrix).state, LF_MATRIX_COMMITTED);
	CHECK_ERROR(guest_matrix_commit(fd, matrix), EINVAL);
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
	close(fd);
}

static void commit_is_cut(void)
{
	for_each_cut(cut_commit);
}

/* Never executed twice, since that wears; and what was executed is told, with the cells. */
static void cut_refresh(const struct cut *cut)
{
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 3, weights);
	struct drm_lf_matrix_refresh refresh = { .handle = matrix };
	struct lf_matrix_info before = guest_matrix_info(fd, matrix), after;
	pid_t child;

	guest_settled(fd);
	child = cut_second(cut);
	if (cut->is_reset) {
		CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_REFRESH, &refresh), ECANCELED);
	} else {
		CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_REFRESH, &refresh));
		CHECK_EQUAL(refresh.cells_written, before.cells);
	}
	finish(child);
	after = guest_matrix_info(fd, matrix);
	CHECK_EQUAL(after.refreshes - before.refreshes, !cut->is_reset);
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
	close(fd);
}

static void refresh_is_cut(void)
{
	for_each_cut(cut_refresh);
}

static void check_list(int fd, const char *name, bool listed)
{
	struct lf_matrix_info entries[16];
	struct drm_lf_matrix_list list = { .entries = (uintptr_t)entries,
					   .count = KTAP_COUNT(entries),
					   .entry_bytes = sizeof(entries[0]) };
	bool found = false;

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_MATRIX_LIST, &list));
	for (uint32_t i = 0; i < list.count; i++)
		found |= !strcmp((char *)entries[i].publication.name, name);
	CHECK_EQUAL(found, listed);
}

/* A reset of the function takes its time: two of them are enough. */
static pid_t cut_again(const struct cut *cut)
{
	pid_t child;

	if (!cut->is_reset)
		return cut_next(cut);
	child = start();
	if (child == 0)
		_exit(0);
	return child;
}

/* What may be executed twice is, and nobody notices. */
static void cut_others(const struct cut *cut)
{
	struct drm_lf_quota quota = { .account = 4711, .flags = DRM_LF_QUOTA_SET };
	struct lf_telemetry_block before, after;
	int8_t weights[ROWS * COLS];
	uint32_t matrix, dropped;
	int fd = guest_open();
	pid_t child;

	/* That alone is told: nothing says how they ended. */
	if (cut->inject == LF_INJECT_BAD_STATUS)
		return;
	before = guest_settled(fd);
	matrix = guest_matrix(fd, ROWS, COLS, 4, weights);
	child = cut_next(cut);
	CHECK_OK(guest_matrix_publish(fd, matrix, "test/cut", 0444));
	finish(child);
	child = cut_again(cut);
	check_list(fd, "test/cut", true);
	finish(child);
	child = cut_again(cut);
	quota.quota_cells = 12345;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &quota));
	finish(child);
	CHECK_EQUAL(quota.quota_cells, 12345);
	quota.quota_cells = UINT64_MAX;
	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_QUOTA, &quota));
	CHECK_OK(guest_matrix_create(fd, ROWS, COLS, &dropped));
	child = cut_next(cut);
	CHECK_OK(guest_matrix_close(fd, dropped));
	guest_await_strike(cut->inject);
	finish(child);
	child = cut_again(cut);
	CHECK_OK(guest_matrix_unlink(fd, "test/cut"));
	finish(child);
	check_list(fd, "test/cut", false);
	guest_check_product(fd, matrix, ROWS, COLS, weights, 3);
	CHECK_OK(guest_matrix_close(fd, matrix));
	after = guest_settled(fd);
	CHECK_EQUAL(after.tiles_used, before.tiles_used);
	CHECK_EQUAL(after.tiles_dirty, 0);
	close(fd);
}

static void other_management_is_cut(void)
{
	for_each_cut(cut_others);
}

static void device_name(char *name, size_t bytes)
{
	char path[PATH_MAX];
	glob_t devices;

	CHECK_OK(glob(GUEST_DEVICE, 0, NULL, &devices));
	CHECK(realpath(devices.gl_pathv[0], path));
	globfree(&devices);
	snprintf(name, bytes, "%s", strrchr(path, '/') + 1);
}

/* Who lets go of the device does not wait a minute for a command that hangs, and its caller is told. */
static void unbinding_ends_a_hanging_creation(void)
{
	enum { PATIENCE_S = 15 };
	char name[NAME_MAX + 1];
	time_t begun;
	pid_t child;

	device_name(name, sizeof(name));
	guest_inject(ON_MANAGEMENT(LF_INJECT_HANG_JOB));
	child = start();
	if (child == 0) {
		struct drm_lf_matrix_create create = { .rows = ROWS,
						       .cols = COLS,
						       .format = LF_FORMAT_INT8 };
		int fd = guest_open();

		CHECK_ERROR(ioctl(fd, DRM_IOCTL_LF_MATRIX_CREATE, &create), ETIMEDOUT);
		_exit(0);
	}
	guest_await_strike(LF_INJECT_HANG_JOB);
	begun = time(NULL);
	guest_write_word("/sys/bus/pci/drivers/lf_accel/unbind", name);
	CHECK(time(NULL) - begun < PATIENCE_S);
	finish(child);
	guest_write_word("/sys/bus/pci/drivers/lf_accel/bind", name);
	CHECK_OK(system("chgrp 105 /dev/accel/accel* && chmod 660 /dev/accel/accel*"));
	guest_check_multiply(guest_open(), 5);
}

/* A file with a job that can be run, and made to hang, without another command in between. */
struct bench {
	int fd;
	struct guest_job job;
};

static struct bench bench(void)
{
	static int8_t weights[ROWS * COLS];
	struct bench set = { .fd = guest_open() };
	uint32_t matrix = guest_matrix(set.fd, ROWS, COLS, 6, weights);
	struct guest_buffer buffer = guest_buffer(set.fd, 4096);

	set.job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);
	guest_settled(set.fd);
	return set;
}

static void hang(struct bench *set)
{
	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_EQUAL(guest_job_run(set->fd, &set->job), -ETIMEDOUT);
}

/* The queue once, the device three times; then a fourth would be the same again. */
static void fourth_fruitless_reset_wedges(void)
{
	struct lf_events *events = guest_listen();
	struct bench set = bench();
	long long before = resets();
	struct lf_event event;

	for (int i = 1; i <= 1 + DEVICE_RESETS; i++) {
		hang(&set);
		CHECK_EQUAL(resets() - before, i);
	}
	hang(&set);
	event = guest_await_event(events, LF_NETLINK_EVENT_KIND_WEDGED);
	CHECK(strstr(event.reason, "do not help"));
	CHECK_EQUAL(guest_job_run(set.fd, &set.job), -ENODEV);
	reset_function();
	CHECK_EQUAL(guest_job_run(set.fd, &set.job), 1);
	guest_check_multiply(set.fd, 7);
	lf_events_close(events);
}

/* A single good record, and all begins anew. */
static void a_good_record_forgives(void)
{
	struct bench set = bench();

	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 1 + DEVICE_RESETS; i++)
			hang(&set);
		CHECK_EQUAL(guest_job_run(set.fd, &set.job), 1);
	}
}

static void a_lost_device_is_an_event(void)
{
	struct lf_events *events = guest_listen();
	struct bench set = bench();
	struct lf_event event;

	guest_inject(LF_INJECT_ALL_ONES);
	CHECK_EQUAL(guest_job_run(set.fd, &set.job), -ENODEV);
	event = guest_await_event(events, LF_NETLINK_EVENT_KIND_WEDGED);
	CHECK(strstr(event.reason, "has gone"));
	CHECK(!event.has_queue && !event.has_temperature);
	reset_function();
	guest_check_multiply(set.fd, 8);
	lf_events_close(events);
}

/* A ring that cannot be read. Interrupts that are messages could not be written either, so there is a line. */
static void a_fatal_error_is_an_event(void)
{
	struct lf_events *events;
	struct bench set;

	if (!guest_reload("irq=intx job_timeout_ms=2000"))
		ktap_skip("the driver cannot be unloaded here");
	events = guest_listen();
	set = bench();
	guest_cut_master();
	CHECK_EQUAL(guest_job_run(set.fd, &set.job), 1);
	guest_await_events(events, 1u << LF_NETLINK_EVENT_KIND_FAULT |
					   1u << LF_NETLINK_EVENT_KIND_FATAL |
					   1u << LF_NETLINK_EVENT_KIND_RESET);
	guest_check_multiply(set.fd, 9);
	lf_events_close(events);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(creation_is_cut),
		KTAP_TEST(commit_is_cut),
		KTAP_TEST(refresh_is_cut),
		KTAP_TEST(other_management_is_cut),
		KTAP_TEST(unbinding_ends_a_hanging_creation),
		KTAP_TEST(fourth_fruitless_reset_wedges),
		KTAP_TEST(a_good_record_forgives),
		KTAP_TEST(a_lost_device_is_an_event),
		/* The last: it leaves a driver that has a line. */
		KTAP_TEST(a_fatal_error_is_an_event),
	};
	char parameters[64];
	bool reloaded;
	int status;

	if (geteuid() != 0) {
		printf("1..0 # SKIP not root\n");
		return KTAP_SKIPPED;
	}
	snprintf(parameters, sizeof(parameters), "job_timeout_ms=%d", JOB_TIMEOUT_MS);
	reloaded = guest_reload(parameters);
	status = ktap_run(tests, KTAP_COUNT(tests), 120);
	if (reloaded)
		guest_reload("");
	return status;
}
