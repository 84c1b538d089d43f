// SPDX-License-Identifier: MIT
/*
 * debugfs `latency`: the doorbell and the interrupt that it times are real ones, and harm nothing.
 */
#include <glob.h>
#include <inttypes.h>
#include <unistd.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

/* Fails where the driver could not tell. */
static int read_latency(uint64_t *doorbell_ns, uint64_t *interrupt_ns)
{
	glob_t files;
	FILE *file;
	int found;

	if (glob("/sys/kernel/debug/accel/*/latency", 0, NULL, &files) != 0)
		ktap_skip("the device offers no injection");
	file = fopen(files.gl_pathv[0], "r");
	globfree(&files);
	CHECK(file);
	found = fscanf(file, "doorbell_ns %" SCNu64 " interrupt_ns %" SCNu64, doorbell_ns,
		       interrupt_ns);
	fclose(file);
	return found == 2 ? 0 : -1;
}

static void times_are_above_nothing(void)
{
	uint64_t doorbell_ns, interrupt_ns;

	for (int round = 0; round < 100; round++) {
		CHECK_OK(read_latency(&doorbell_ns, &interrupt_ns));
		CHECK(doorbell_ns > 0 && doorbell_ns < 1000000000);
		CHECK(interrupt_ns > 0 && interrupt_ns < 1000000000);
	}
	guest_check_multiply(guest_open(), 1);
}

static void silent_device_is_no_figure(void)
{
	int fd = guest_open();
	uint64_t doorbell_ns, interrupt_ns;

	guest_inject(LF_INJECT_ALL_ONES);
	CHECK_ERROR(read_latency(&doorbell_ns, &interrupt_ns), ETIMEDOUT);
	close(fd);
}

/* A reset of the function ends the fault. */
static void device_is_brought_back(void)
{
	CHECK_EQUAL(
		system("for device in /sys/class/accel/accel*/device; do echo 1 >$device/reset; done"),
		0);
	guest_check_multiply(guest_open(), 2);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(times_are_above_nothing),
		KTAP_TEST(silent_device_is_no_figure),
		KTAP_TEST(device_is_brought_back),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
