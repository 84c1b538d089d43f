// SPDX-License-Identifier: MIT
/*
 * What guest tests look at a device with; see observe.h.
 */
#include <fcntl.h>
#include <glob.h>
#include <linux/perf_event.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/guest/ktap.h"
#include "tests/guest/observe.h"

/* Bus Master Enable of the command register of PCI. */
enum { PCI_COMMAND_AT = 4, PCI_COMMAND_MASTER_BIT = 4 };

static int open_first(const char *pattern, int flags)
{
	glob_t files;
	int fd;

	if (glob(pattern, 0, NULL, &files) != 0)
		return -1;
	fd = open(files.gl_pathv[0], flags | O_CLOEXEC);
	globfree(&files);
	return fd;
}

bool guest_read_line(const char *pattern, char *line, size_t bytes)
{
	int fd = open_first(pattern, O_RDONLY);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	bool result;

	if (!file)
		return false;
	result = fgets(line, (int)bytes, file);
	fclose(file);
	return result;
}

long long guest_read_number(const char *pattern)
{
	char line[256];

	if (!guest_read_line(pattern, line, sizeof(line))) {
		printf("# %s: cannot be read\n", pattern);
		CHECK(false);
	}
	return strtoll(line, NULL, 10);
}

void guest_write_word(const char *pattern, const char *word)
{
	int fd = open_first(pattern, O_WRONLY);

	CHECK(fd >= 0);
	CHECK(write(fd, word, strlen(word)) == (ssize_t)strlen(word));
	close(fd);
}

uint32_t guest_device_index(void)
{
	unsigned int index;
	glob_t nodes;

	CHECK_OK(glob("/sys/class/accel/accel*", 0, NULL, &nodes));
	CHECK(sscanf(strrchr(nodes.gl_pathv[0], '/'), "/accel%u", &index) == 1);
	globfree(&nodes);
	return index;
}

void guest_cut_master(void)
{
	int fd = open_first(GUEST_DEVICE "/config", O_RDWR);
	uint16_t command;

	CHECK(fd >= 0 && pread(fd, &command, 2, PCI_COMMAND_AT) == 2);
	command &= (uint16_t)~PCI_COMMAND_MASTER_BIT;
	CHECK(pwrite(fd, &command, 2, PCI_COMMAND_AT) == 2);
	close(fd);
}

int guest_perf_open(uint64_t config, pid_t task, int cpu, uint64_t period)
{
	struct perf_event_attr attribute = {
		.type = (uint32_t)guest_read_number(GUEST_EVENT_SOURCE "/type"),
		.size = sizeof(attribute),
		.config = config,
		.sample_period = period,
	};

	return (int)syscall(SYS_perf_event_open, &attribute, task, cpu, -1, 0);
}

int guest_perf_open_named(const char *name)
{
	char path[128], line[64];
	unsigned int config;
	int fd;

	snprintf(path, sizeof(path), GUEST_EVENT_SOURCE "/events/%s", name);
	CHECK(guest_read_line(path, line, sizeof(line)));
	CHECK(sscanf(line, "event=%x", &config) == 1);
	fd = guest_perf_open(config, -1, 0, 0);
	CHECK(fd >= 0);
	return fd;
}

long long guest_perf_read(int fd)
{
	long long count;

	CHECK(read(fd, &count, sizeof(count)) == sizeof(count));
	return count;
}

struct lf_events *guest_listen(void)
{
	struct lf_events *events;

	if (geteuid() != 0)
		ktap_skip("not root");
	CHECK_OK(lf_events_open(&events, NULL));
	return events;
}

struct lf_event guest_await_event(struct lf_events *events, uint32_t kind)
{
	struct lf_event event;

	do
		CHECK_OK(lf_events_next(events, GUEST_EVENT_MS, &event, NULL));
	while (event.kind != kind);
	CHECK_EQUAL(event.device, guest_device_index());
	return event;
}

void guest_await_events(struct lf_events *events, uint32_t kinds)
{
	while (kinds) {
		struct lf_event event;
		int ret = lf_events_next(events, GUEST_EVENT_MS, &event, NULL);

		if (ret)
			printf("# kinds %#x did not come\n", kinds);
		CHECK_EQUAL(ret, 0);
		kinds &= ~(1u << event.kind);
	}
}
