// SPDX-License-Identifier: MIT
/*
 * What a device tells of itself when it ages, and what people see of it. `events` runs on any device with injection;
 * `events worn` on one that wears out at once: wear_warning=1, a verify_tolerance that its writing does not keep,
 * refresh_s=1 with rows that take longer than that to write, and static power.
 */
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/perf_event.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"
#include "tests/guest/observe.h"

enum { ROWS = 40, COLS = 24 };
enum { HOT_C = 100, COOL_C = 40, LINES = 3, LINE_BYTES = 512 };

/* An object a line, the last one too, each there when it happens: what a pipe into another program needs. */
static void lfctl_prints_a_line_an_event(void)
{
	char line[LINE_BYTES];
	FILE *listener;
	int status;

	if (geteuid() != 0)
		ktap_skip("not root");
	fflush(stdout);
	listener = popen("lfctl events --json --count 2 2>/run/listening", "r");
	CHECK(listener);
	for (int i = 0; i < 100 && access("/run/listening", F_OK) != 0; i++)
		usleep(50000);
	for (int i = 0; i < 200; i++) {
		if (guest_read_line("/run/listening", line, sizeof(line)))
			break;
		usleep(50000);
	}
	for (int i = 0; i < LINES; i++) {
		if (i < 2)
			guest_inject(LF_INJECT(LF_INJECT_OVER_TEMPERATURE, 0, i ? COOL_C : HOT_C));
		CHECK(fgets(line, sizeof(line), listener));
		printf("# %s", line);
		CHECK(line[0] == '{' && !strcmp(strchr(line, 0) - 2, "}\n"));
		CHECK(strstr(line, i < 2 ? "\"event\":\"thermal\"" : "\"events\":2}"));
	}
	CHECK(!fgets(line, sizeof(line), listener));
	status = pclose(listener);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static const char *const components[LF_ENERGY_COMPONENTS] = { "array",	 "dac",	    "adc",
							      "digital", "program", "static" };

/* All of the energy, that of standing there too: the total is the sum of its parts in every interface. */
static void static_energy_is_counted(void)
{
	int perf[LF_ENERGY_COMPONENTS], perf_total, fd = guest_open();
	int8_t weights[ROWS * COLS];
	struct lf_telemetry_block before, after;
	long long total = 0;

	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "energy-%s", components[i]);
		perf[i] = guest_perf_open_named(name);
	}
	perf_total = guest_perf_open_named("energy-total");
	before = guest_settled(fd);
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		CHECK_OK(ioctl(perf[i], PERF_EVENT_IOC_RESET, 0));
	CHECK_OK(ioctl(perf_total, PERF_EVENT_IOC_RESET, 0));
	guest_matrix(fd, ROWS, COLS, 1, weights);
	after = guest_settled(fd);
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		CHECK_EQUAL(guest_perf_read(perf[i]), after.energy_pj[i] - before.energy_pj[i]);
		total += guest_perf_read(perf[i]);
	}
	printf("# %lld pJ of %lld are static\n", guest_perf_read(perf[LF_ENERGY_STATIC]), total);
	CHECK(guest_perf_read(perf[LF_ENERGY_STATIC]) > total / 2);
	CHECK_EQUAL(guest_perf_read(perf_total), total);
	total = 0;
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		total += (long long)after.energy_pj[i];
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/hwmon/hwmon*/energy7_input"), total / 1000000);
}

/* The second matrix takes time in which the first one becomes due; writing both wears, and not every cell verifies. */
static void age_is_told(void)
{
	struct lf_events *events = guest_listen();
	int8_t weights[ROWS * COLS];
	int fd = guest_open();
	struct lf_telemetry_block block;

	guest_matrix(fd, ROWS, COLS, 1, weights);
	guest_matrix(fd, ROWS, COLS, 2, weights);
	guest_await_events(events, 1u << LF_NETLINK_EVENT_KIND_WEAR |
					   1u << LF_NETLINK_EVENT_KIND_CELLS |
					   1u << LF_NETLINK_EVENT_KIND_REFRESH);
	lf_events_close(events);
	block = guest_settled(fd);
	CHECK(block.cells_failed > 0 && block.refresh_due > 0 && block.wear_max > 0);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/refresh_due"), block.refresh_due);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/cells_failed"), block.cells_failed);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/wear_max"), block.wear_max);
}

int main(int argc, char **argv)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(lfctl_prints_a_line_an_event),
	};
	static const struct ktap_test worn_tests[] = {
		KTAP_TEST(age_is_told),
		KTAP_TEST(static_energy_is_counted),
	};

	if (argc > 1 && !strcmp(argv[1], "worn"))
		return ktap_run(worn_tests, KTAP_COUNT(worn_tests), 60);
	return ktap_run(tests, KTAP_COUNT(tests), 60);
}
