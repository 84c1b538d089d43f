// SPDX-License-Identifier: MIT
/*
 * What a machine does to a device: sleep under load, resets of the function, every kind of interrupt,
 * probing that fails at each of its steps; and what a reset leaves for whoever wants to know.
 */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum { ROWS = 40, COLS = 24, OUTPUT = 2048 };

static bool try_write(const char *path, const char *word)
{
	int fd = open(path, O_WRONLY);
	bool written;

	if (fd < 0)
		return false;
	written = write(fd, word, strlen(word)) == (ssize_t)strlen(word);
	close(fd);
	return written;
}

static bool file_holds(const char *path, const char *word)
{
	char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t length;

	if (fd < 0)
		return false;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[length > 0 ? length : 0] = 0;
	return strstr(text, word) != NULL;
}

/* Multiplies until it is told to stop; every result is compared. */
static pid_t start_load(uint64_t seed)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		int8_t weights[ROWS * COLS];
		int fd = guest_open();
		uint32_t matrix = guest_matrix(fd, ROWS, COLS, seed, weights);
		struct guest_buffer buffer = guest_buffer(fd, 4096);
		float *x = buffer.memory, expected[COLS];

		for (;;) {
			struct guest_job job =
				guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);

			for (int i = 0; i < ROWS; i++)
				x[i] = guest_float(&seed);
			CHECK_EQUAL(guest_job_run(fd, &job), 1);
			guest_forward(x, weights, ROWS, COLS, expected);
			CHECK_EQUAL(memcmp((char *)x + OUTPUT, expected, sizeof(expected)), 0);
		}
	}
	return child;
}

static void end_load(pid_t child)
{
	int status;

	usleep(200000);
	CHECK_EQUAL(waitpid(child, &status, WNOHANG), 0);
	CHECK_OK(kill(child, SIGKILL));
	CHECK(waitpid(child, &status, 0) == child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* With a file that does not keep the driver loaded. */
static void check_multiply(uint64_t seed)
{
	int fd = guest_open();

	guest_check_multiply(fd, seed);
	close(fd);
}

static void sleeps_and_wakes_under_load(void)
{
	enum { ROUNDS = 5 };
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights), again;
	struct lf_telemetry_block before, after;
	pid_t children[2];

	if (!try_write("/sys/power/pm_test", "devices"))
		ktap_skip("the kernel cannot test suspending");
	try_write("/sys/module/suspend/parameters/pm_test_delay", "1");
	CHECK_OK(guest_matrix_publish(fd, matrix, "test/sleep", 0444));
	before = guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE);
	children[0] = start_load(2);
	children[1] = start_load(3);
	for (int i = 0; i < ROUNDS; i++) {
		usleep(100000);
		CHECK(try_write("/sys/power/state", "freeze"));
	}
	end_load(children[0]);
	end_load(children[1]);
	CHECK(try_write("/sys/power/pm_test", "none"));
	after = guest_settled(fd);
	CHECK(after.jobs > before.jobs);
	CHECK_OK(guest_matrix_open(fd, "test/sleep", &again));
	CHECK_OK(guest_matrix_unlink(fd, "test/sleep"));
	guest_check_multiply(fd, 4);
}

static void function_resets_under_load(void)
{
	enum { ROUNDS = 5 };
	char path[PATH_MAX + 8];
	glob_t devices;
	pid_t children[2];

	if (glob("/sys/bus/pci/drivers/lf_accel/0*", 0, NULL, &devices) != 0)
		ktap_skip("no device on PCI");
	snprintf(path, sizeof(path), "%s/reset", devices.gl_pathv[0]);
	globfree(&devices);
	children[0] = start_load(5);
	children[1] = start_load(6);
	for (int i = 0; i < ROUNDS; i++) {
		usleep(100000);
		CHECK(try_write(path, "1"));
	}
	end_load(children[0]);
	end_load(children[1]);
	check_multiply(7);
}

static void every_kind_of_interrupt(void)
{
	static const struct {
		const char *parameter;
		const char *shown;
	} kinds[] = {
		{ "irq=msix", "lf_accel-q1" },
		{ "irq=msi", "PCI-MSI" },
		{ "irq=intx", "IO-APIC" },
	};

	for (size_t i = 0; i < KTAP_COUNT(kinds); i++) {
		pid_t child;

		if (!guest_reload(kinds[i].parameter))
			ktap_skip("the driver cannot be unloaded here");
		CHECK(file_holds("/proc/interrupts", "lf_accel"));
		CHECK(file_holds("/proc/interrupts", kinds[i].shown));
		child = start_load(8 + i);
		check_multiply(i);
		end_load(child);
		/* Storms and spurious ones are not held against the line. */
		guest_inject(LF_INJECT(LF_INJECT_STORM, 0, 100));
		guest_inject(LF_INJECT_SPURIOUS);
		usleep(200000);
		check_multiply(i);
	}
	CHECK(guest_reload(""));
}

static void probing_fails_cleanly(void)
{
	enum { MOST_STEPS = 64 };
	int step;

	if (!guest_unload())
		ktap_skip("the driver cannot be unloaded here");
	for (step = 1; step < MOST_STEPS; step++) {
		char command[96];

		snprintf(command, sizeof(command), "modprobe lf_accel fail_probe_step=%d", step);
		CHECK_EQUAL(system(command), 0);
		if (access("/sys/class/accel/accel0", F_OK) == 0)
			break;
		CHECK(guest_unload());
	}
	/* As many as there are, and then none is left to fail. */
	CHECK(step > 12 && step < MOST_STEPS);
	CHECK(guest_reload(""));
	check_multiply(11);
}

/* The header of kernel/lf_dump.h, as far as it is looked at. */
struct dump {
	uint32_t magic, version, bytes, header_bytes;
	uint64_t boottime_ns;
	uint32_t hw_version, features, resets, queue, guilty_tag, register_bytes, queue_count;
	uint32_t submission_bytes, completion_bytes, command_bytes, tail, head, phase, in_flight;
	char reason[64], preset[16];
};

static void reset_leaves_a_dump(void)
{
	int8_t weights[ROWS * COLS];
	uint8_t data[400000];
	size_t bytes = 0, commands, entries;
	struct dump dump;
	glob_t dumps;
	FILE *file;
	int fd;

	/* One a minute at most: so from a driver that has not had any. */
	if (!guest_reload("job_timeout_ms=1000"))
		ktap_skip("the driver cannot be unloaded here");
	if (glob("/sys/class/devcoredump/devcd*/data", 0, NULL, &dumps) == 0) {
		for (size_t i = 0; i < dumps.gl_pathc; i++)
			CHECK(try_write(dumps.gl_pathv[i], "1"));
		globfree(&dumps);
	}
	fd = guest_open();
	for (int round = 0; round < 2; round++) {
		uint32_t matrix = guest_matrix(fd, ROWS, COLS, 1, weights);
		struct guest_buffer buffer = guest_buffer(fd, 4096);
		struct guest_job job =
			guest_multiply_job(buffer.handle, matrix, ROWS, COLS, OUTPUT);

		guest_inject(LF_INJECT_HANG_JOB);
		CHECK_EQUAL(guest_job_run(fd, &job), -ETIMEDOUT);
		guest_buffer_close(fd, &buffer);
	}
	usleep(100000);
	CHECK_OK(glob("/sys/class/devcoredump/devcd*/data", 0, NULL, &dumps));
	CHECK_EQUAL(dumps.gl_pathc, 1);
	file = fopen(dumps.gl_pathv[0], "r");
	CHECK(file);
	bytes = fread(data, 1, sizeof(data), file);
	fclose(file);
	CHECK(try_write(dumps.gl_pathv[0], "1"));
	globfree(&dumps);

	CHECK(bytes >= sizeof(dump));
	memcpy(&dump, data, sizeof(dump));
	CHECK_EQUAL(dump.magic, 0x5044464c);
	CHECK_EQUAL(dump.version, 1);
	CHECK_EQUAL(dump.bytes, bytes);
	CHECK_EQUAL(dump.bytes, dump.header_bytes + dump.register_bytes + dump.submission_bytes +
					dump.completion_bytes + dump.command_bytes);
	CHECK_EQUAL(dump.command_bytes, sizeof(struct lf_command));
	CHECK_EQUAL(*(uint32_t *)(data + dump.header_bytes), LF_MAGIC);
	CHECK(strstr(dump.reason, "timeout"));
	commands = dump.bytes - dump.command_bytes;
	CHECK_EQUAL(((struct lf_command *)(data + commands))->opcode, LF_OP_MVM);
	/* Of the entries only the guilty one says where its memory is. */
	entries = dump.header_bytes + dump.register_bytes;
	for (uint32_t i = 0; i < dump.submission_bytes / sizeof(struct lf_submission); i++) {
		const struct lf_submission *entry = (struct lf_submission *)(data + entries) + i;

		CHECK_EQUAL(entry->commands != 0, i == dump.guilty_tag);
	}
	close(fd);
	CHECK(guest_reload(""));
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(function_resets_under_load),
		KTAP_TEST(every_kind_of_interrupt),
		KTAP_TEST(probing_fails_cleanly),
		KTAP_TEST(reset_leaves_a_dump),
	};
	/* Apart: the folders that a guest shares with its host do not wake up again. */
	static const struct ktap_test sleep_tests[] = {
		KTAP_TEST(sleeps_and_wakes_under_load),
	};

	if (geteuid() != 0) {
		printf("1..0 # SKIP not root\n");
		return KTAP_SKIPPED;
	}
	if (argc > 1 && !strcmp(argv[1], "sleep"))
		return ktap_run(sleep_tests, KTAP_COUNT(sleep_tests), 120);
	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
