// SPDX-License-Identifier: MIT
/*
 * Many at once: processes side by side, priorities, the bound on jobs in flight, interrupts of a deep
 * queue and of a shallow one, buffers that others have.
 */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 40, COLS = 24, OUTPUT = 2048 };

static struct guest_job one_job(uint32_t buffer, uint32_t matrix)
{
	return guest_multiply_job(buffer, matrix, ROWS, COLS, OUTPUT);
}

/* One process: @jobs with a new input each, all compared. */
static void multiply_many(int jobs, uint64_t seed)
{
	enum { AHEAD = 16, SLOT = 4096 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, seed, weights), syncobjs[AHEAD];
	struct guest_buffer buffer = guest_buffer(fd, AHEAD * SLOT);
	float expected[COLS];

	for (int i = 0; i < AHEAD; i++)
		syncobjs[i] = guest_syncobj(fd);
	for (int i = 0; i < jobs + AHEAD; i++) {
		int slot = i % AHEAD;
		float *x = (float *)((char *)buffer.memory + slot * SLOT);
		struct guest_job job = guest_job();
		struct lf_command *command = guest_job_command(&job, LF_OP_MVM);

		if (i >= AHEAD) {
			CHECK_OK(guest_wait(fd, syncobjs[slot], GUEST_WAIT_MS));
			CHECK_EQUAL(guest_fence_error(fd, syncobjs[slot]), 1);
			guest_forward(x, weights, ROWS, COLS, expected);
			CHECK_EQUAL(memcmp((char *)x + OUTPUT, expected, sizeof(expected)), 0);
		}
		if (i >= jobs)
			continue;
		for (int j = 0; j < ROWS; j++)
			x[j] = guest_float(&seed);
		guest_job_buffer(&job, buffer.handle);
		command->matrix = guest_job_matrix(&job, matrix);
		command->count = 1;
		command->input = guest_operand(0, (uint64_t)slot * SLOT, ROWS * 4);
		command->output = guest_operand(0, (uint64_t)slot * SLOT + OUTPUT, COLS * 4);
		guest_job_sync(&job, syncobjs[slot], DRM_LF_SYNC_OUT, 0);
		CHECK_OK(guest_job_submit(fd, &job));
	}
	close(fd);
}

static void processes_are_exact(void)
{
	enum { PROCESSES = 4, JOBS = 500 };
	pid_t children[PROCESSES];
	int status;

	for (int i = 0; i < PROCESSES; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			multiply_many(JOBS, (uint64_t)i + 1);
			_exit(0);
		}
	}
	for (int i = 0; i < PROCESSES; i++) {
		CHECK(waitpid(children[i], &status, 0) == children[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
}

static void set_priority(int fd, uint32_t priority)
{
	struct drm_lf_priority args = { .priority = priority };

	CHECK_OK(guest_ioctl(fd, DRM_IOCTL_LF_PRIORITY, &args));
}

/* When a fence signalled. */
static uint64_t fence_time(int fd, uint32_t syncobj)
{
	struct sync_fence_info fence = { 0 };
	struct sync_file_info info = { .num_fences = 1, .sync_fence_info = (uintptr_t)&fence };
	int file;

	CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
	CHECK_OK(drmSyncobjExportSyncFile(fd, syncobj, &file));
	CHECK_OK(guest_ioctl(file, SYNC_IOC_FILE_INFO, &info));
	close(file);
	CHECK_EQUAL(fence.status, 1);
	return fence.timestamp_ns;
}

/* What waits above the ring is overtaken. A job that hangs keeps it waiting until all are there. */
static void priority_overtakes(void)
{
	enum { JOBS = 200 };
	int8_t weights[ROWS * COLS];
	int low = guest_open_on(0), high = guest_open_on(0);
	uint32_t matrix = guest_matrix(low, ROWS, COLS, 1, weights), last = guest_syncobj(low);
	uint32_t ours = guest_matrix(high, ROWS, COLS, 2, weights), first = guest_syncobj(high);
	uint32_t buffer = guest_buffer(low, 4096).handle;
	struct guest_job job;

	set_priority(low, DRM_LF_PRIORITY_LOW);
	set_priority(high, DRM_LF_PRIORITY_HIGH);
	guest_inject(LF_INJECT_HANG_JOB);
	for (int i = 0; i < JOBS; i++) {
		job = one_job(buffer, matrix);
		guest_job_sync(&job, last, DRM_LF_SYNC_OUT, 0);
		CHECK_OK(guest_job_submit(low, &job));
	}
	job = one_job(guest_buffer(high, 4096).handle, ours);
	guest_job_sync(&job, first, DRM_LF_SYNC_OUT, 0);
	CHECK_OK(guest_job_submit(high, &job));
	CHECK(fence_time(high, first) < fence_time(low, last));
}

static void as_user(void *argument)
{
	struct drm_lf_priority args = { .priority = DRM_LF_PRIORITY_HIGH };
	int fd = guest_open();

	(void)argument;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_PRIORITY, &args), EPERM);
	set_priority(fd, DRM_LF_PRIORITY_LOW);
	set_priority(fd, DRM_LF_PRIORITY_NORMAL);
	args.priority = DRM_LF_PRIORITY_HIGH + 1;
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_PRIORITY, &args), EINVAL);
	args = (struct drm_lf_priority){ .priority = DRM_LF_PRIORITY_LOW, .pad = 1 };
	CHECK_ERROR(guest_ioctl(fd, DRM_IOCTL_LF_PRIORITY, &args), EINVAL);
}

static void high_priority_is_privileged(void)
{
	guest_as_user(GUEST_USER, as_user, NULL);
}

static void ignore(int signal)
{
	(void)signal;
}

/* A file that does not wait for its jobs is made to; a signal ends that, and closing cancels all. */
static void jobs_in_flight_are_bounded(void)
{
	enum { MOST = 5000 };
	const struct sigaction action = { .sa_handler = ignore };
	int8_t weights[ROWS * COLS];
	int fd = guest_open(), flags = fcntl(fd, F_GETFL), submitted = 0, error = 0;
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	uint32_t buffer = guest_buffer(fd, 4096).handle;
	struct guest_job job = one_job(buffer, matrix);

	CHECK_OK(sigaction(SIGALRM, &action, NULL));
	job.submit.commands = (uintptr_t)job.commands;
	job.submit.buffers = (uintptr_t)job.buffers;
	job.submit.matrices = (uintptr_t)job.matrices;
	/* The first job may have been given up before the file is full. The next ones hang behind it, and fill it soon. */
	for (int tries = 0; tries < 4 && error != EINTR; tries++) {
		guest_inject(LF_INJECT_HANG_JOB);
		CHECK_OK(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
		while (submitted < MOST && ioctl(fd, DRM_IOCTL_LF_SUBMIT, &job.submit) == 0)
			submitted++;
		CHECK_EQUAL(errno, EAGAIN);
		CHECK(submitted >= 256 && submitted < MOST);
		CHECK_OK(fcntl(fd, F_SETFL, flags));
		alarm(1);
		error = ioctl(fd, DRM_IOCTL_LF_SUBMIT, &job.submit) == 0 ? 0 : errno;
		alarm(0);
	}
	CHECK_EQUAL(error, EINTR);
	close(fd);
	guest_check_multiply(guest_open(), 1);
}

struct counts {
	unsigned long long interrupts;
	unsigned long long records;
	bool coalesced;
};

static struct counts count_all(void)
{
	struct counts counts = { 0 };
	char line[512];
	glob_t files;
	FILE *file;

	if (glob("/sys/kernel/debug/accel/*/queues", 0, NULL, &files) != 0)
		ktap_skip("no debugfs");
	file = fopen(files.gl_pathv[0], "r");
	globfree(&files);
	CHECK(file);
	while (fgets(line, sizeof(line), file)) {
		const char *interrupts = strstr(line, "interrupts ");
		const char *records = strstr(line, "records ");

		/* Management is not about jobs. */
		if (line[0] == '0')
			continue;
		CHECK(interrupts && records);
		counts.coalesced |= strstr(line, "coalesced 1") != NULL;
		counts.interrupts += strtoull(interrupts + strlen("interrupts "), NULL, 10);
		counts.records += strtoull(records + strlen("records "), NULL, 10);
	}
	fclose(file);
	return counts;
}

/* However slow the machine: a job that hangs keeps the others back until all are there. */
static void deep_queues_share_interrupts(void)
{
	enum { JOBS = 60, ALONE = 50 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights), done = guest_syncobj(fd);
	uint32_t buffer = guest_buffer(fd, 4096).handle;
	struct guest_job job = one_job(buffer, matrix);
	struct counts before, after;

	if ((guest_info(fd).hw_version & 0xffff) < 2)
		ktap_skip("the device's interface is older than 1.2");
	before = count_all();
	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_OK(guest_job_submit(fd, &job));
	for (int i = 0; i < JOBS; i++) {
		job = one_job(buffer, matrix);
		guest_job_sync(&job, done, DRM_LF_SYNC_OUT, 0);
		CHECK_OK(guest_job_submit(fd, &job));
	}
	CHECK_OK(guest_wait(fd, done, GUEST_WAIT_MS));
	after = count_all();
	CHECK_EQUAL(after.records - before.records, JOBS);
	printf("# %llu interrupts for %d jobs\n", after.interrupts - before.interrupts, JOBS);
	CHECK((after.interrupts - before.interrupts) * 2 < JOBS);

	/* Alone, each has its own, and at once: no record waits for others any more. */
	before = count_all();
	CHECK(!before.coalesced);
	for (int i = 0; i < ALONE; i++) {
		job = one_job(buffer, matrix);
		CHECK_EQUAL(guest_job_run(fd, &job), 1);
	}
	after = count_all();
	CHECK(after.interrupts - before.interrupts >= ALONE);
}

/* The memory, not the file, is what others have: also the fence of a job that writes it. */
static void exported_buffer_is_ordered(void)
{
	struct dma_buf_sync begin = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ };
	struct dma_buf_sync end = { .flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ };
	int8_t weights[ROWS * COLS];
	int fd = guest_open(), exported;
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	float *x = buffer.memory, expected[COLS];
	struct dma_buf_export_sync_file fence = { .flags = DMA_BUF_SYNC_READ };
	struct guest_job job = one_job(buffer.handle, matrix);
	struct pollfd wait;
	const char *theirs;

	for (int i = 0; i < ROWS; i++)
		x[i] = (float)i;
	CHECK_OK(drmPrimeHandleToFD(fd, buffer.handle, O_CLOEXEC | O_RDWR, &exported));
	theirs = mmap(NULL, 4096, PROT_READ, MAP_SHARED, exported, 0);
	CHECK(theirs != MAP_FAILED);
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_OK(ioctl(exported, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &fence));
	guest_buffer_close(fd, &buffer);
	close(fd);
	wait = (struct pollfd){ .fd = fence.fd, .events = POLLIN };
	CHECK_EQUAL(poll(&wait, 1, GUEST_WAIT_MS), 1);
	CHECK_OK(ioctl(exported, DMA_BUF_IOCTL_SYNC, &begin));
	x = (float *)theirs;
	guest_forward(x, weights, ROWS, COLS, expected);
	/* The job ran, or was cancelled with its file. */
	if (memcmp(theirs + OUTPUT, expected, sizeof(expected)) != 0)
		for (size_t i = 0; i < sizeof(expected); i++)
			CHECK_EQUAL(theirs[OUTPUT + i], 0);
	CHECK_OK(ioctl(exported, DMA_BUF_IOCTL_SYNC, &end));
	close(exported);
}

/* Submitting waits where a file has too many jobs, and goes on when they end. */
static void full_file_waits_for_its_jobs(void)
{
	enum { JOBS = 3000 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
	uint32_t last = guest_syncobj(fd);
	struct guest_job job = one_job(guest_buffer(fd, 4096).handle, matrix);

	/* None ends before the file is full. */
	guest_inject(LF_INJECT_HANG_JOB);
	guest_job_sync(&job, last, DRM_LF_SYNC_OUT, 0);
	for (int i = 0; i < JOBS; i++)
		CHECK_OK(guest_job_submit(fd, &job));
	CHECK_OK(guest_wait(fd, last, GUEST_WAIT_MS));
	CHECK_EQUAL(guest_fence_error(fd, last), 1);
	close(fd);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(processes_are_exact),		 KTAP_TEST(priority_overtakes),
		KTAP_TEST(high_priority_is_privileged),	 KTAP_TEST(deep_queues_share_interrupts),
		KTAP_TEST(exported_buffer_is_ordered),	 KTAP_TEST(jobs_in_flight_are_bounded),
		KTAP_TEST(full_file_waits_for_its_jobs),
	};
	char parameters[64];
	bool reloaded;
	int status;

	/* A job that hangs has to outlast the submission of many others. */
	snprintf(parameters, sizeof(parameters), "job_timeout_ms=%u", 3000 * ktap_patience());
	reloaded = guest_reload(parameters);
	status = ktap_run(tests, KTAP_COUNT(tests), 120);

	if (reloaded)
		guest_reload("");
	return status;
}
