// SPDX-License-Identifier: MIT
/*
 * Every fault in every state of the driver: what becomes of the job it strikes, whether the others are
 * exact, whether the next job is. The table below is the expectation, cell by cell; it stands in
 * Documentation/driver.md, too. Needs a device with injection and the right to use it.
 */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { TIMEOUT_MS = 2000, FOLLOWERS = 24 };
enum { ROWS = 40, COLS = 20, OUTPUT = 4096, OUTPUT_STRIDE = 128 };
enum { LONG_ROWS = 256, LONG_COLS = 256, LONG_COMMANDS = 16 };
enum { STORM_INTERRUPTS = 200 };

enum state { IDLE, QUEUED, RUNNING, PROGRAMMING, TEARING_DOWN, STATES };

static const char *const state_names[STATES] = { "idle", "queued", "running", "programming",
						 "tearing down" };

/* Status of a fence that ended well. */
#define FINE 1

/**
 * struct fault - a row of the table
 * @name: of the test
 * @inject: LF_INJECT(), 0 for none
 * @cut_master: also take the function's bus mastering away
 * @remove: take the function off the bus instead, and find it again
 * @pulled: somebody else has to put it back
 * @job: what the struck job's fence carries, whether it runs, is queued, or is the next one
 * @program: the same of a job with PROGRAM
 * @resets: the driver resets a queue or the device
 * @wedges: all ends with ENODEV, until the bus resets the function
 */
struct fault {
	const char *name;
	uint32_t inject;
	bool cut_master;
	bool remove;
	bool pulled;
	int job;
	int program;
	bool resets;
	bool wedges;
};

static const struct fault faults[] = {
	{ "hung job", .inject = LF_INJECT_HANG_JOB, .job = -ETIMEDOUT, .program = -ETIMEDOUT,
	  .resets = true },
	{ "DMA error", .inject = LF_INJECT_DMA_ERROR, .job = -EIO, .program = -EIO },
	{ "bad status", .inject = LF_INJECT_BAD_STATUS, .job = -EIO, .program = -EIO,
	  .resets = true },
	{ "unknown tag", .inject = LF_INJECT_UNKNOWN_TAG, .job = FINE, .program = -ECANCELED,
	  .resets = true },
	{ "duplicate tag", .inject = LF_INJECT_DUPLICATE_TAG, .job = FINE, .program = FINE,
	  .resets = true },
	{ "head out of range", .inject = LF_INJECT_HEAD_RANGE, .job = FINE, .program = -ECANCELED,
	  .resets = true },
	{ "lost interrupt", .inject = LF_INJECT_LOST_INTERRUPT, .job = FINE, .program = FINE },
	{ "spurious interrupt", .inject = LF_INJECT_SPURIOUS, .job = FINE, .program = FINE },
	{ "interrupt storm", .inject = LF_INJECT(LF_INJECT_STORM, 0, STORM_INTERRUPTS), .job = FINE,
	  .program = FINE },
	{ "registers all ones", .inject = LF_INJECT_ALL_ONES, .job = -ENODEV, .program = -ENODEV,
	  .wedges = true },
	{ "bus mastering cut", .cut_master = true, .job = FINE, .program = -ECANCELED,
	  .resets = true },
	{ "failed reset", .inject = LF_INJECT(LF_INJECT_RESET_FAILS, 0, 1), .cut_master = true,
	  .job = -ENODEV, .program = -ENODEV, .resets = true, .wedges = true },
	{ "surprise removal", .inject = LF_INJECT_REMOVAL, .pulled = true, .job = -ENODEV,
	  .program = -ENODEV, .wedges = true },
	{ "removal", .remove = true, .job = -ENODEV, .program = -ENODEV, .wedges = true },
};

static char function[PATH_MAX];

static void find_function(void)
{
	glob_t nodes;

	if (geteuid() != 0)
		ktap_skip("not root");
	if (glob("/sys/bus/pci/drivers/lf_accel/0*", 0, NULL, &nodes) != 0)
		ktap_skip("no device on PCI");
	CHECK(realpath(nodes.gl_pathv[0], function));
	globfree(&nodes);
}

static void write_attribute(const char *path, const char *name, const char *word)
{
	char file[PATH_MAX + 16];
	int fd;

	snprintf(file, sizeof(file), "%s/%s", path, name);
	fd = open(file, O_WRONLY);
	CHECK(fd >= 0);
	CHECK(write(fd, word, strlen(word)) == (ssize_t)strlen(word));
	close(fd);
}

static long long resets(void)
{
	char file[PATH_MAX + 16];
	long long count = -1;
	FILE *stream;

	snprintf(file, sizeof(file), "%s/lf/resets", function);
	stream = fopen(file, "r");
	CHECK(stream && fscanf(stream, "%lld", &count) == 1);
	fclose(stream);
	return count;
}

/* Clears the Bus Master bit of the command register, behind the driver's back. */
static void cut_master(void)
{
	char file[PATH_MAX + 16];
	uint16_t command;
	int fd;

	snprintf(file, sizeof(file), "%s/config", function);
	fd = open(file, O_RDWR);
	CHECK(fd >= 0 && pread(fd, &command, 2, 4) == 2);
	command &= (uint16_t)~4;
	CHECK(pwrite(fd, &command, 2, 4) == 2);
	close(fd);
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ll + now.tv_nsec / 1000000;
}

static void strike(const struct fault *fault)
{
	if (fault->inject)
		guest_inject(fault->inject);
	if (fault->cut_master)
		cut_master();
	if (fault->remove)
		write_attribute(function, "remove", "1");
}

/* What a cell that failed has left behind must not fail the next. */
static void clean_up(void)
{
	int fd = guest_open();
	uint32_t matrix;

	if (guest_armed() != 0 || guest_matrix_create(fd, ROWS, COLS, &matrix) != 0)
		write_attribute(function, "reset", "1");
	close(fd);
}

/* Recovery may come after the fence: a record too many does not hold its job up. */
static void check_resets(const struct fault *fault, long long before)
{
	for (int64_t end = now_ms() + TIMEOUT_MS; fault->resets && now_ms() < end;) {
		if (resets() > before)
			return;
		usleep(5000);
	}
	CHECK_EQUAL(resets() > before, fault->resets);
}

/* The host puts it back when it sees that it has gone; @watch is a file of the device that went. */
static void wait_for_function(int watch)
{
	enum { PLUG_MS = 30000 };
	struct drm_lf_query query = { .type = DRM_LF_QUERY_DEVICE };
	int64_t end = now_ms() + PLUG_MS;
	glob_t nodes;
	int fd = -1;

	/* A driver that has lost its device still answers, one that was unbound does not. */
	while (guest_ioctl(watch, DRM_IOCTL_LF_QUERY, &query) == 0 || fd < 0 ||
	       guest_ioctl(fd, DRM_IOCTL_LF_QUERY, &query) != 0) {
		CHECK(now_ms() < end);
		usleep(50000);
		close(fd);
		/* Not under the number it had: that is kept by who has the old one open. */
		fd = glob("/dev/accel/accel*", 0, NULL, &nodes) == 0
			     ? open(nodes.gl_pathv[0], O_RDWR | O_CLOEXEC)
			     : -1;
		globfree(&nodes);
	}
	close(fd);
}

/* As the machine's owner would; the node belongs to its group again, as with udev. */
static void repair(const struct fault *fault, int watch)
{
	if (fault->remove || fault->pulled) {
		if (fault->pulled)
			wait_for_function(watch);
		else
			write_attribute("/sys/bus/pci", "rescan", "1");
		CHECK_EQUAL(system("chgrp 105 /dev/accel/accel* && chmod 660 /dev/accel/accel*"),
			    0);
	} else if (fault->wedges) {
		write_attribute(function, "reset", "1");
	}
}

/**
 * struct bench - a file with all that the jobs of a cell need
 * @fd: file
 * @weights: of @matrix
 * @matrix: small
 * @wide: a matrix that takes some time to multiply with
 * @buffer: one vector, then an output for each job
 * @rows: input of the long job
 * @syncobj: of the last job
 * @fences: sync file of each job, which outlives the device; the long one's first
 * @count: jobs submitted
 * @has_long: the first is the long one
 * @expected: result of each but the long one
 * @struck: when the fault was raised, milliseconds
 */
struct bench {
	int fd;
	int8_t weights[ROWS * COLS];
	uint32_t matrix;
	uint32_t wide;
	struct guest_buffer buffer;
	struct guest_buffer rows;
	uint32_t syncobj;
	int fences[FOLLOWERS + 2];
	int count;
	bool has_long;
	float expected[COLS];
	int64_t struck;
};

static struct bench bench(void)
{
	struct bench set = { .fd = guest_open_on(0) };
	uint32_t batch = guest_info(set.fd).batch;
	int8_t *wide = malloc(LONG_ROWS * LONG_COLS);
	uint64_t seed = 11;
	float *x;

	CHECK(wide);
	set.syncobj = guest_syncobj(set.fd);
	set.matrix = guest_matrix(set.fd, ROWS, COLS, 3, set.weights);
	set.wide = guest_matrix(set.fd, LONG_ROWS, LONG_COLS, 5, wide);
	free(wide);
	set.buffer = guest_buffer(set.fd, OUTPUT + (FOLLOWERS + 2) * OUTPUT_STRIDE);
	set.rows = guest_buffer(set.fd, (uint64_t)batch * LONG_ROWS * 4);
	x = set.buffer.memory;
	for (int i = 0; i < ROWS; i++)
		x[i] = guest_float(&seed);
	guest_forward(x, set.weights, ROWS, COLS, set.expected);
	return set;
}

/* Returns false where the device has gone already. */
static bool submit(struct bench *set, struct guest_job *job)
{
	CHECK(set->count < FOLLOWERS + 2);
	guest_job_sync(job, set->syncobj, DRM_LF_SYNC_OUT, 0);
	if (guest_job_submit(set->fd, job) != 0) {
		CHECK_EQUAL(errno, ENODEV);
		return false;
	}
	/* The device may go between the two. */
	if (drmSyncobjExportSyncFile(set->fd, set->syncobj, &set->fences[set->count]) != 0) {
		CHECK_EQUAL(errno, ENODEV);
		return false;
	}
	set->count++;
	return true;
}

/* Status of a fence, which has to come soon enough. */
static int status_of(const struct bench *set, int fence)
{
	int64_t left = set->struck + 2 * TIMEOUT_MS - now_ms();
	struct pollfd wait = { .fd = fence, .events = POLLIN };
	struct sync_file_info info = { 0 };

	CHECK_EQUAL(poll(&wait, 1, left > 0 ? (int)left : 0), 1);
	CHECK_OK(guest_ioctl(fence, SYNC_IOC_FILE_INFO, &info));
	return info.status;
}

static void submit_long(struct bench *set)
{
	uint32_t batch = guest_info(set->fd).batch;
	struct guest_job job = guest_job();
	uint32_t buffer = guest_job_buffer(&job, set->rows.handle);
	uint32_t matrix = guest_job_matrix(&job, set->wide);

	for (int i = 0; i < LONG_COMMANDS; i++) {
		struct lf_command *command = guest_job_command(&job, LF_OP_MVM);

		command->matrix = matrix;
		command->count = batch;
		command->input = guest_operand(buffer, 0, LONG_ROWS * 4);
		command->output = guest_scratch(0, LONG_COLS * 4);
	}
	job.submit.scratch_bytes = batch * LONG_COLS * 4;
	CHECK(submit(set, &job));
	set->has_long = true;
}

static bool submit_short(struct bench *set)
{
	struct guest_job job = guest_multiply_job(set->buffer.handle, set->matrix, ROWS, COLS,
						  OUTPUT + (uint64_t)set->count * OUTPUT_STRIDE);

	return submit(set, &job);
}

/* Waits until a work queue of the device says that it runs a job. */
static void wait_until_running(void)
{
	glob_t files;

	CHECK_OK(glob("/sys/kernel/debug/accel/*/queues", 0, NULL, &files));
	for (int64_t end = now_ms() + TIMEOUT_MS; now_ms() < end;) {
		FILE *file = fopen(files.gl_pathv[0], "r");
		char line[512];

		CHECK(file);
		while (fgets(line, sizeof(line), file)) {
			const char *state = strstr(line, "device ");

			if (line[0] != '0' && state &&
			    strtoul(state + 7, NULL, 0) & LF_QUEUE_RUNNING) {
				fclose(file);
				globfree(&files);
				return;
			}
		}
		fclose(file);
	}
	globfree(&files);
	/* It ended before it was looked at: then the fault strikes the next one. */
}

/* One job at most is struck, all others are exact; in a wedge each is either. */
static void check_jobs(struct bench *set, const struct fault *fault, bool must_strike)
{
	int struck = 0;

	for (int i = 0; i < set->count; i++) {
		const char *y = (char *)set->buffer.memory + OUTPUT + i * OUTPUT_STRIDE;
		int status = status_of(set, set->fences[i]);

		if (status != FINE) {
			CHECK_EQUAL(status, fault->job);
			struck++;
		} else if (i || !set->has_long) {
			CHECK_EQUAL(memcmp(y, set->expected, sizeof(set->expected)), 0);
		}
	}
	if (fault->job == FINE)
		CHECK_EQUAL(struck, 0);
	else if (!fault->wedges)
		CHECK(struck == 1 || (struck == 0 && !must_strike));
}

static void strike_idle(const struct fault *fault)
{
	struct bench set = bench();

	strike(fault);
	set.struck = now_ms();
	if (submit_short(&set))
		check_jobs(&set, fault, true);
	else
		CHECK(fault->wedges);
}

static void strike_queued(const struct fault *fault)
{
	struct bench set = bench();

	submit_long(&set);
	submit_short(&set);
	strike(fault);
	set.struck = now_ms();
	/* While the device works, however slow this machine. */
	for (int i = 1; i < FOLLOWERS; i++)
		submit_short(&set);
	check_jobs(&set, fault, true);
}

static void strike_running(const struct fault *fault)
{
	struct bench set = bench();

	submit_long(&set);
	wait_until_running();
	strike(fault);
	set.struck = now_ms();
	submit_short(&set);
	check_jobs(&set, fault, true);
}

/* What is raised at once may come after the job's end: then it is the next one that meets it. */
static void strike_programming(const struct fault *fault)
{
	bool at_once = fault->wedges || fault->cut_master;
	struct bench set = bench();
	struct guest_job job = guest_job();
	struct lf_command *command = guest_job_command(&job, LF_OP_PROGRAM);
	struct guest_buffer rows = guest_buffer(set.fd, LONG_ROWS * LONG_COLS);
	uint32_t matrix;
	int status;

	CHECK_OK(guest_matrix_create(set.fd, LONG_ROWS, LONG_COLS, &matrix));
	command->matrix = guest_job_matrix(&job, matrix);
	command->count = LONG_ROWS;
	command->input = guest_operand(guest_job_buffer(&job, rows.handle), 0, LONG_COLS);
	if (!at_once)
		strike(fault);
	CHECK(submit(&set, &job));
	if (at_once)
		strike(fault);
	set.struck = now_ms();
	status = status_of(&set, set.fences[0]);
	if (status != FINE || !at_once)
		CHECK_EQUAL(status, fault->program);
	if (status == FINE && at_once) {
		set.count = 0;
		if (submit_short(&set))
			check_jobs(&set, fault, true);
	} else if (status == FINE) {
		CHECK_OK(guest_matrix_commit(set.fd, matrix));
	}
}

/* The file is closed with jobs on the ring; another one is not held up for longer than by the fault. */
static void strike_tearing_down(const struct fault *fault)
{
	struct bench set = bench(), other = bench();

	submit_long(&set);
	submit_short(&set);
	strike(fault);
	other.struck = now_ms();
	for (int i = 1; i < FOLLOWERS; i++)
		submit_short(&set);
	close(set.fd);
	/* If all were cancelled before the fault came to strike one, it strikes the other's. */
	if (submit_short(&other))
		check_jobs(&other, fault, false);
	else
		CHECK(fault->wedges);
}

static void run_cell(size_t number)
{
	static void (*const scenes[STATES])(const struct fault *fault) = {
		[IDLE] = strike_idle,
		[QUEUED] = strike_queued,
		[RUNNING] = strike_running,
		[PROGRAMMING] = strike_programming,
		[TEARING_DOWN] = strike_tearing_down,
	};
	const struct fault *fault = &faults[number / STATES];
	long long before;
	int fd, watch;

	find_function();
	clean_up();
	watch = guest_open();
	before = resets();
	scenes[number % STATES](fault);
	if (!fault->wedges && number % STATES != TEARING_DOWN)
		check_resets(fault, before);
	repair(fault, watch);
	close(watch);
	fd = guest_open();
	guest_check_multiply(fd, number);
	close(fd);
}

int main(int argc, char **argv)
{
	enum { CELLS = sizeof(faults) / sizeof(faults[0]) * STATES };
	static struct ktap_test tests[CELLS];
	static char names[CELLS][64];
	bool pull = argc > 1 && !strcmp(argv[1], "pull");
	char parameters[64];
	bool reloaded;
	size_t count = 0;
	int status;

	/* What the guest cannot undo is only done when somebody outside can. */
	for (size_t i = 0; i < CELLS; i++) {
		if (faults[i / STATES].pulled != pull)
			continue;
		snprintf(names[i], sizeof(names[i]), "%s while %s", faults[i / STATES].name,
			 state_names[i % STATES]);
		tests[count++] =
			(struct ktap_test){ .name = names[i], .run_case = run_cell, .number = i };
	}
	snprintf(parameters, sizeof(parameters), "job_timeout_ms=%d", TIMEOUT_MS);
	reloaded = guest_reload(parameters);
	status = ktap_run(tests, count, 60);
	if (reloaded)
		guest_reload("");
	return status;
}
