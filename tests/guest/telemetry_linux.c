// SPDX-License-Identifier: MIT
/*
 * Telemetry where Linux users look: hwmon, perf, fdinfo, sysfs, netlink and the ioctl tell the same of a
 * quiescent device, only the privileged are told of others' work, faults arrive as events, and events
 * of perf outlive their device. Faults need a device with injection.
 */
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <xf86drm.h>

#include <lf/events.h>
#include <lf/lf_netlink.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"
#include "tests/guest/observe.h"

enum { ROWS = 64, COLS = 64, LARGE_ROWS = 512, LARGE_COLS = 512 };
enum { PJ_PER_UJ = 1000000 };
enum { HOT_C = 100, COOL_C = 40 };

/* netlink */

struct totals {
	bool seen, has_energy, has_private;
	uint32_t messages;
	uint64_t energy_pj[LF_ENERGY_COMPONENTS + 1];
	uint64_t threshold_pj, busy_ns, jobs, wear_max;
	int32_t temperature_mc;
	char name[64];
};

static int take_device(struct nl_msg *message, void *argument)
{
	struct totals *totals = argument;
	struct nlattr *given[LF_NETLINK_A_DEVICE_MAX + 1], *energy[LF_NETLINK_A_ENERGY_MAX + 1];

	CHECK_OK(genlmsg_parse(nlmsg_hdr(message), 0, given, LF_NETLINK_A_DEVICE_MAX, NULL));
	*totals = (struct totals){ .seen = true, .messages = totals->messages + 1 };
	CHECK(given[LF_NETLINK_A_DEVICE_NAME] && given[LF_NETLINK_A_DEVICE_TEMPERATURE]);
	nla_strlcpy(totals->name, given[LF_NETLINK_A_DEVICE_NAME], sizeof(totals->name));
	totals->temperature_mc = nla_get_s32(given[LF_NETLINK_A_DEVICE_TEMPERATURE]);
	totals->has_private = given[LF_NETLINK_A_DEVICE_BUSY] || given[LF_NETLINK_A_DEVICE_JOBS] ||
			      given[LF_NETLINK_A_DEVICE_WEAR_MAX] ||
			      given[LF_NETLINK_A_DEVICE_CELLS_FAILED] ||
			      given[LF_NETLINK_A_DEVICE_REFRESH_DUE] ||
			      given[LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD];
	totals->has_energy = given[LF_NETLINK_A_DEVICE_ENERGY];
	if (!totals->has_energy)
		return NL_OK;
	CHECK_OK(nla_parse_nested(energy, LF_NETLINK_A_ENERGY_MAX,
				  given[LF_NETLINK_A_DEVICE_ENERGY], NULL));
	for (int i = 0; i <= LF_ENERGY_COMPONENTS; i++) {
		CHECK(energy[LF_NETLINK_A_ENERGY_ARRAY + i]);
		totals->energy_pj[i] = nla_get_u64(energy[LF_NETLINK_A_ENERGY_ARRAY + i]);
	}
	totals->busy_ns = nla_get_u64(given[LF_NETLINK_A_DEVICE_BUSY]);
	totals->jobs = nla_get_u64(given[LF_NETLINK_A_DEVICE_JOBS]);
	totals->wear_max = nla_get_u64(given[LF_NETLINK_A_DEVICE_WEAR_MAX]);
	totals->threshold_pj = nla_get_u64(given[LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD]);
	return NL_OK;
}

/* A request with the attributes that are not NULL; 0 or a negative number of libnl. */
static int request(int command, int flags, const uint32_t *index, const uint64_t *threshold,
		   struct totals *totals)
{
	struct nl_sock *socket = nl_socket_alloc();
	struct nl_msg *message = nlmsg_alloc();
	int family, ret;

	CHECK(socket && message);
	CHECK_OK(genl_connect(socket));
	family = genl_ctrl_resolve(socket, LF_NETLINK_FAMILY_NAME);
	CHECK(family > 0);
	CHECK(genlmsg_put(message, NL_AUTO_PORT, NL_AUTO_SEQ, family, 0, flags, command,
			  LF_NETLINK_FAMILY_VERSION));
	if (index)
		CHECK_OK(nla_put_u32(message, LF_NETLINK_A_DEVICE_INDEX, *index));
	if (threshold)
		CHECK_OK(nla_put_u64(message, LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD, *threshold));
	if (totals)
		nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, take_device, totals);
	ret = nl_send_auto(socket, message);
	CHECK(ret > 0);
	ret = nl_recvmsgs_default(socket);
	/* Behind the reply of a request comes its acknowledgement. */
	if (!ret && totals && !(flags & NLM_F_DUMP))
		ret = nl_recvmsgs_default(socket);
	nlmsg_free(message);
	nl_socket_free(socket);
	return ret < 0 ? ret : 0;
}

static struct totals netlink_totals(void)
{
	uint32_t index = guest_device_index();
	struct totals totals = { 0 };

	CHECK_OK(request(LF_NETLINK_CMD_DEVICE_GET, 0, &index, NULL, &totals));
	CHECK(totals.seen);
	return totals;
}

/* fdinfo */

static bool fdinfo(int fd, const char *key, unsigned long long *value)
{
	char path[64], line[256], name[64], unit[16];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	CHECK(file);
	while (!found && fgets(line, sizeof(line), file))
		found = sscanf(line, "%63[^:]: %llu %15s", name, value, unit) >= 2 &&
			!strcmp(name, key);
	fclose(file);
	return found;
}

static const char *const components[] = { "array",   "dac",    "adc",  "digital",
					  "program", "static", "total" };

static uint64_t energy_of(const struct lf_telemetry_block *block, int component)
{
	uint64_t total = 0;

	if (component < LF_ENERGY_COMPONENTS)
		return block->energy_pj[component];
	for (int i = 0; i < LF_ENERGY_COMPONENTS; i++)
		total += block->energy_pj[i];
	return total;
}

static void all_interfaces_agree(void)
{
	int fd = guest_open(), perf[KTAP_COUNT(components)], perf_macs, perf_busy;
	struct lf_telemetry_block before, after, own;
	struct totals totals;
	static int8_t large[LARGE_ROWS * LARGE_COLS];
	unsigned long long value;

	if (geteuid() != 0)
		ktap_skip("not root");
	for (size_t i = 0; i < KTAP_COUNT(components); i++) {
		char name[32];

		snprintf(name, sizeof(name), "energy-%s", components[i]);
		perf[i] = guest_perf_open_named(name);
	}
	perf_macs = guest_perf_open_named("macs");
	perf_busy = guest_perf_open_named("busy");
	before = guest_settled(fd);
	for (size_t i = 0; i < KTAP_COUNT(components); i++)
		CHECK_OK(ioctl(perf[i], PERF_EVENT_IOC_RESET, 0));
	CHECK_OK(ioctl(perf_macs, PERF_EVENT_IOC_RESET, 0));
	CHECK_OK(ioctl(perf_busy, PERF_EVENT_IOC_RESET, 0));
	for (uint64_t seed = 1; seed <= 5; seed++)
		guest_check_multiply(fd, seed);
	/* Several microjoules of programming. */
	guest_matrix(fd, LARGE_ROWS, LARGE_COLS, 6, large);
	after = guest_settled(fd);
	own = guest_telemetry(fd, DRM_LF_TELEMETRY_CONTEXT);
	totals = netlink_totals();

	CHECK(totals.has_energy && totals.has_private);
	CHECK_EQUAL(totals.jobs, after.jobs);
	CHECK_EQUAL(totals.busy_ns, after.busy_ns);
	CHECK_EQUAL(totals.wear_max, after.wear_max);
	CHECK_EQUAL(totals.temperature_mc, (int64_t)after.temperature_mc);
	CHECK(after.mac_count > before.mac_count);
	CHECK_EQUAL(guest_perf_read(perf_macs), after.mac_count - before.mac_count);
	CHECK_EQUAL(guest_perf_read(perf_busy), after.busy_ns - before.busy_ns);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/busy_ns"), after.busy_ns);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/conversions"), after.conversions);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/host_bytes"), after.host_bytes);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/lf/cells_failed"), after.cells_failed);
	CHECK(fdinfo(fd, "drm-engine-crossbar", &value));
	CHECK_EQUAL(value, own.busy_ns);
	printf("# %llu uJ of programming\n",
	       (unsigned long long)own.energy_pj[LF_ENERGY_PROGRAM] / PJ_PER_UJ);
	CHECK(own.energy_pj[LF_ENERGY_PROGRAM] > PJ_PER_UJ);
	for (size_t i = 0; i < KTAP_COUNT(components); i++) {
		uint64_t energy_pj = energy_of(&after, (int)i);
		char name[128];

		CHECK_EQUAL(totals.energy_pj[i], energy_pj);
		CHECK(i != LF_ENERGY_COMPONENTS || energy_pj > energy_of(&before, (int)i));
		CHECK_EQUAL(guest_perf_read(perf[i]), energy_pj - energy_of(&before, (int)i));
		snprintf(name, sizeof(name), GUEST_DEVICE "/hwmon/hwmon*/energy%zu_input", i + 1);
		CHECK_EQUAL(guest_read_number(name), energy_pj / PJ_PER_UJ);
		snprintf(name, sizeof(name), "lf_accel-energy-%s", components[i]);
		CHECK(fdinfo(fd, name, &value));
		CHECK_EQUAL(value, energy_of(&own, (int)i) / PJ_PER_UJ);
	}
}

static void perf_names_its_units(void)
{
	for (size_t i = 0; i < KTAP_COUNT(components); i++) {
		char path[128], line[64];

		snprintf(path, sizeof(path), GUEST_EVENT_SOURCE "/events/energy-%s.unit",
			 components[i]);
		CHECK(guest_read_line(path, line, sizeof(line)) && !strncmp(line, "Joules", 6));
		snprintf(path, sizeof(path), GUEST_EVENT_SOURCE "/events/energy-%s.scale",
			 components[i]);
		CHECK(guest_read_line(path, line, sizeof(line)) && strtod(line, NULL) == 1e-12);
	}
	/* One processor to open it on, whichever that is. */
	CHECK_EQUAL(guest_read_number(GUEST_EVENT_SOURCE "/cpumask"), 0);
}

static void perf_refuses_what_makes_no_sense(void)
{
	if (geteuid() != 0)
		ktap_skip("not root");
	CHECK_ERROR(guest_perf_open(LF_ENERGY_COMPONENTS, -1, 0, 0), EINVAL);
	CHECK_ERROR(guest_perf_open(0xfe, -1, 0, 0), EINVAL);
	CHECK_ERROR(guest_perf_open(0x100, -1, 0, 0), EINVAL);
	CHECK_ERROR(guest_perf_open(UINT64_MAX, -1, 0, 0), EINVAL);
	CHECK_ERROR(guest_perf_open(LF_ENERGY_ADC, -1, 0, 1000), EINVAL);
	CHECK_ERROR(guest_perf_open(LF_ENERGY_ADC, getpid(), -1, 0), EINVAL);
	CHECK_ERROR(guest_perf_open(LF_ENERGY_ADC, getpid(), 0, 0), EINVAL);
}

static void temperature_has_its_limits(void)
{
	long long warm = guest_read_number(GUEST_DEVICE "/hwmon/hwmon*/temp1_max");

	CHECK(warm > 0);
	CHECK(guest_read_number(GUEST_DEVICE "/hwmon/hwmon*/temp1_crit") >= warm);
	CHECK(guest_read_number(GUEST_DEVICE "/hwmon/hwmon*/temp1_input") < warm);
}

static unsigned long long memory_key(int fd, const char *key)
{
	unsigned long long kibibytes;

	if (!fdinfo(fd, key, &kibibytes)) {
		printf("# no %s\n", key);
		CHECK(false);
	}
	return kibibytes;
}

/* Of the kernel's drm-usage-stats. A buffer is resident from its making on: it is pinned. */
static void fdinfo_tells_memory(void)
{
	int fd = guest_open(), other = guest_open(), exported;
	struct guest_buffer buffer;
	uint32_t theirs;

	CHECK_EQUAL(memory_key(fd, "drm-total-memory"), 0);
	buffer = guest_buffer(fd, 64 * 1024);
	CHECK_EQUAL(memory_key(fd, "drm-total-memory"), 64);
	CHECK_EQUAL(memory_key(fd, "drm-resident-memory"), 64);
	CHECK_EQUAL(memory_key(fd, "drm-purgeable-memory"), 0);
	CHECK_EQUAL(memory_key(fd, "drm-active-memory"), 0);
	CHECK_EQUAL(memory_key(fd, "drm-shared-memory"), 0);
	CHECK_OK(drmPrimeHandleToFD(fd, buffer.handle, O_CLOEXEC, &exported));
	CHECK_OK(drmPrimeFDToHandle(other, exported, &theirs));
	CHECK_EQUAL(memory_key(fd, "drm-shared-memory"), 64);
	CHECK_EQUAL(memory_key(other, "drm-resident-memory"), 64);
	guest_buffer_close(fd, &buffer);
	CHECK_EQUAL(memory_key(fd, "drm-total-memory"), 0);
	close(exported);
}

/* While a job that uses it is in flight; one that hangs is so for long enough. */
static void fdinfo_tells_active_memory(void)
{
	static int8_t weights[ROWS * COLS];
	int fd = guest_open();
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 9, weights);
	struct guest_buffer buffer = guest_buffer(fd, 32 * 1024);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);

	guest_inject(LF_INJECT_HANG_JOB);
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_EQUAL(memory_key(fd, "drm-active-memory"), 32);
	/* It is run again, and ends. */
	guest_write_word(GUEST_DEVICE "/reset", "1");
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	CHECK_EQUAL(memory_key(fd, "drm-active-memory"), 0);
}

static void netlink_lists_devices(void)
{
	struct totals totals = { 0 };
	uint32_t none = 4711;

	CHECK_OK(request(LF_NETLINK_CMD_DEVICE_GET, NLM_F_DUMP, NULL, NULL, &totals));
	CHECK_EQUAL(totals.messages, 1);
	CHECK(totals.has_energy);
	CHECK_EQUAL(request(LF_NETLINK_CMD_DEVICE_GET, 0, &none, NULL, &totals), -NLE_NODEV);
	CHECK_EQUAL(request(LF_NETLINK_CMD_DEVICE_GET, 0, NULL, NULL, &totals), -NLE_INVAL);
	CHECK_EQUAL(request(LF_NETLINK_CMD_THRESHOLD_SET, 0, &none, NULL, NULL), -NLE_INVAL);
}

/* What an unprivileged user of the device gets to know of others' work: nothing. */
static void look_around(void *argument)
{
	static const char *const private[] = {
		"/hwmon/hwmon*/energy1_input",
		"/hwmon/hwmon*/energy7_input",
		"/hwmon/hwmon*/power1_average",
		"/lf/jobs",
		"/lf/conversions",
		"/lf/clips",
		"/lf/host_bytes",
		"/lf/cells_failed",
		"/lf/cells_stuck",
		"/lf/refresh_due",
	};
	uint32_t index = guest_device_index();
	uint64_t threshold_pj = 1;
	struct totals totals = { 0 };
	struct lf_events *events;
	unsigned long long value;
	int fd = guest_open();

	(void)argument;
	CHECK_ERROR(guest_perf_open(LF_ENERGY_ADC, -1, 0, 0), EACCES);
	for (size_t i = 0; i < KTAP_COUNT(private); i++) {
		char path[128], line[64];

		snprintf(path, sizeof(path), GUEST_DEVICE "%s", private[i]);
		CHECK(!guest_read_line(path, line, sizeof(line)));
	}
	totals = netlink_totals();
	CHECK(!totals.has_energy && !totals.has_private);
	CHECK_OK(request(LF_NETLINK_CMD_DEVICE_GET, NLM_F_DUMP, NULL, NULL, &totals));
	CHECK(!totals.has_energy && !totals.has_private);
	CHECK_EQUAL(request(LF_NETLINK_CMD_THRESHOLD_SET, 0, &index, &threshold_pj, NULL),
		    -NLE_PERM);
	CHECK_EQUAL(lf_events_open(&events, NULL), -EPERM);
	guest_check_multiply(fd, 3);
	CHECK(fdinfo(fd, "drm-engine-crossbar", &value));
	CHECK_EQUAL(value, guest_telemetry(fd, DRM_LF_TELEMETRY_CONTEXT).busy_ns);
}

static void unprivileged_see_their_own_alone(void)
{
	/* As lax as an administrator can set it. */
	FILE *paranoid = fopen("/proc/sys/kernel/perf_event_paranoid", "w");

	if (paranoid) {
		fputs("-1\n", paranoid);
		fclose(paranoid);
	}
	guest_as_user(GUEST_USER, look_around, NULL);
}

static void heat_is_an_event(void)
{
	struct lf_events *events = guest_listen();
	struct lf_event event;

	guest_inject(LF_INJECT(LF_INJECT_OVER_TEMPERATURE, 0, HOT_C));
	event = guest_await_event(events, LF_NETLINK_EVENT_KIND_THERMAL);
	CHECK(event.has_temperature);
	CHECK_EQUAL(event.temperature_mc, HOT_C * 1000);
	CHECK_EQUAL(guest_read_number(GUEST_DEVICE "/hwmon/hwmon*/temp1_input"), HOT_C * 1000);
	guest_inject(LF_INJECT(LF_INJECT_OVER_TEMPERATURE, 0, COOL_C));
	event = guest_await_event(events, LF_NETLINK_EVENT_KIND_THERMAL);
	CHECK_EQUAL(event.temperature_mc, COOL_C * 1000);
	lf_events_close(events);
}

static void a_reset_is_an_event(void)
{
	struct lf_events *events = guest_listen();
	int fd = guest_open();
	static int8_t weights[ROWS * COLS];
	uint32_t matrix = guest_matrix(fd, ROWS, COLS, 5, weights);
	struct guest_buffer buffer = guest_buffer(fd, 4096);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, ROWS, COLS, 2048);
	struct lf_event event;

	/* Its record cannot be believed, so the queue is reset and the job run again. */
	guest_inject(LF_INJECT(LF_INJECT_UNKNOWN_TAG, 0, 0));
	CHECK_EQUAL(guest_job_run(fd, &job), 1);
	event = guest_await_event(events, LF_NETLINK_EVENT_KIND_RESET);
	CHECK(event.has_queue && event.queue >= 1);
	CHECK(event.reason[0]);
	CHECK(!strcmp(event.name, netlink_totals().name));
	guest_check_multiply(fd, 6);
	lf_events_close(events);
}

static uint64_t energy_now_pj(int fd)
{
	struct lf_telemetry_block block = guest_telemetry(fd, DRM_LF_TELEMETRY_DEVICE);

	return energy_of(&block, LF_ENERGY_COMPONENTS);
}

/*
 * What files closed before this one leave to be erased costs energy meanwhile, so the event may come without our
 * work; never before the energy is there.
 */
static void energy_is_an_event_once(void)
{
	struct lf_events *events = guest_listen();
	uint32_t index = guest_device_index();
	int fd = guest_open();
	uint64_t threshold_pj, ahead_pj = energy_now_pj(fd);
	struct lf_event event;

	guest_check_multiply(fd, 7);
	for (ahead_pj = 4 * (energy_now_pj(fd) - ahead_pj);; ahead_pj *= 4) {
		threshold_pj = energy_now_pj(fd) + ahead_pj;
		CHECK_OK(request(LF_NETLINK_CMD_THRESHOLD_SET, 0, &index, &threshold_pj, NULL));
		if (netlink_totals().threshold_pj == threshold_pj)
			break;
		guest_await_event(events, LF_NETLINK_EVENT_KIND_ENERGY);
		CHECK(energy_now_pj(fd) >= threshold_pj);
	}
	while (lf_events_next(events, 200, &event, NULL)) {
		CHECK(energy_now_pj(fd) < threshold_pj + ahead_pj);
		guest_check_multiply(fd, 7);
	}
	CHECK_EQUAL(event.kind, LF_NETLINK_EVENT_KIND_ENERGY);
	CHECK(energy_now_pj(fd) >= threshold_pj);
	CHECK(!event.has_temperature && !event.has_queue && !event.reason[0]);
	CHECK_EQUAL(netlink_totals().threshold_pj, 0);
	guest_check_multiply(fd, 8);
	CHECK_EQUAL(lf_events_next(events, 200, &event, NULL), -ETIME);
	lf_events_close(events);
}

static void perf_events_outlive_their_device(void)
{
	char path[PATH_MAX], driver[PATH_MAX], unbind[PATH_MAX + 8], bind[PATH_MAX + 8];
	int fd = guest_open(), first, second;
	uint64_t config = LF_ENERGY_PROGRAM;
	struct totals totals = { 0 };
	const char *device;
	long long count;
	glob_t nodes;

	if (geteuid() != 0)
		ktap_skip("not root");
	CHECK_OK(glob(GUEST_DEVICE, 0, NULL, &nodes));
	CHECK(realpath(nodes.gl_pathv[0], path));
	globfree(&nodes);
	device = strrchr(path, '/') + 1;
	snprintf(unbind, sizeof(unbind), "%s/driver", path);
	CHECK(realpath(unbind, driver));
	snprintf(unbind, sizeof(unbind), "%s/unbind", driver);
	snprintf(bind, sizeof(bind), "%s/bind", driver);

	first = guest_perf_open_named("energy-program");
	guest_check_multiply(fd, 11);
	close(fd);
	for (int i = 0; i < 5; i++) {
		guest_write_word(unbind, device);
		count = guest_perf_read(first);
		CHECK(count > 0);
		CHECK_EQUAL(guest_perf_read(first), count);
		CHECK_ERROR(guest_perf_open(config, -1, 0, 0), ENODEV);
		CHECK_OK(request(LF_NETLINK_CMD_DEVICE_GET, NLM_F_DUMP, NULL, NULL, &totals));
		CHECK(!totals.seen);
		guest_write_word(bind, device);
		CHECK_OK(system("chgrp 105 /dev/accel/accel* && chmod 660 /dev/accel/accel*"));
		second = guest_perf_open_named("energy-program");
		fd = guest_open();
		guest_check_multiply(fd, 12);
		close(fd);
		/* The new binding is the new event's, the old event has ended with the old one. */
		CHECK(guest_perf_read(second) > 0);
		CHECK_EQUAL(guest_perf_read(first), count);
		close(first);
		first = second;
	}
	close(first);
}

int main(void)
{
	static const struct ktap_test tests[] = {
		KTAP_TEST(all_interfaces_agree),
		KTAP_TEST(perf_names_its_units),
		KTAP_TEST(perf_refuses_what_makes_no_sense),
		KTAP_TEST(temperature_has_its_limits),
		KTAP_TEST(fdinfo_tells_memory),
		KTAP_TEST(fdinfo_tells_active_memory),
		KTAP_TEST(netlink_lists_devices),
		KTAP_TEST(unprivileged_see_their_own_alone),
		KTAP_TEST(heat_is_an_event),
		KTAP_TEST(a_reset_is_an_event),
		KTAP_TEST(energy_is_an_event_once),
		KTAP_TEST(perf_events_outlive_their_device),
	};

	return ktap_run(tests, KTAP_COUNT(tests), 120);
}
