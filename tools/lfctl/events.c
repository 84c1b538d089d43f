// SPDX-License-Identifier: MIT
/* lfctl events: what the driver tells of its devices, a line an event, as it comes; in JSON the last line is the number of them. */
#include <errno.h>
#include <stdio.h>
#include <time.h>

#include <lf/events.h>

#include "tools/lfctl/command.h"
#include "tools/lfctl/output.h"

/* What one wait lasts at most; poll() counts in an int. */
#define WAIT_MS	       1000000
#define MOST_SECONDS   1e9
#define MOST_EVENTS    1e15
#define MC_PER_CELSIUS 1000.0
#define UNWRITTEN      "standard output could not be written"

struct events_values {
	struct common common;
	uint64_t count;
	double timeout;
};

static const struct option_spec events_options[] = {
	{ "count", OPTION_NUMBER, offsetof(struct events_values, count), "N",
	  "end after so many events", 1, MOST_EVENTS },
	{ "timeout", OPTION_REAL, offsetof(struct events_values, timeout), "SECONDS",
	  "end after so long; with --count that is a failure", 0, MOST_SECONDS },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct events_values events_defaults = { .timeout = -1 };

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int print_json(const struct lf_event *event)
{
	json_t *object = json_pack("{s:s, s:s, s:i}", "event", lf_event_kind_name(event->kind),
				   "name", event->name, "accel", (int)event->device);
	int ret;

	if (event->has_temperature)
		json_object_set_new(object, "temperature_c",
				    json_real(event->temperature_mc / MC_PER_CELSIUS));
	if (event->has_queue)
		json_object_set_new(object, "queue", json_integer(event->queue));
	if (*event->reason)
		json_object_set_new(object, "reason", json_string(event->reason));
	ret = output_json_line(object);
	json_decref(object);
	return ret;
}

static int print_text(const struct lf_event *event)
{
	int ret = printf("accel%u %s %s", event->device, event->name,
			 lf_event_kind_name(event->kind));

	if (event->has_temperature)
		printf(" at %.1f C", event->temperature_mc / MC_PER_CELSIUS);
	if (event->kind == LF_NETLINK_EVENT_KIND_RESET && event->has_queue)
		printf(" of queue %u", event->queue);
	if (*event->reason)
		printf(": %s", event->reason);
	return ret < 0 || putchar('\n') == EOF || fflush(stdout) ? -1 : 0;
}

/* Whoever reads a pipe wants the event when it happens. */
static int print(const struct lf_event *event, bool json, struct lf_error *error)
{
	if (json ? print_json(event) : print_text(event))
		return lf_error_set(error, -ENOSPC, UNWRITTEN);
	return 0;
}

/* 0 for what is to be printed, -ETIME when the time is up. */
static int next(struct lf_events *events, const struct events_values *values, double end,
		struct lf_event *event, struct lf_error *error)
{
	int ret;

	do {
		double left_ms = values->timeout < 0 ? WAIT_MS : (end - now_s()) * 1000;

		if (left_ms <= 0)
			return lf_error_set(error, -ETIME, "not so many events in %g s",
					    values->timeout);
		ret = lf_events_next(events, left_ms < WAIT_MS ? (int)left_ms + 1 : WAIT_MS, event,
				     error);
		if (ret == -ENOBUFS)
			fprintf(stderr, "lfctl: %s\n", error ? error->text : "events were lost");
	} while (ret == -ETIME || ret == -EINTR || ret == -ENOBUFS);
	return ret;
}

static int listen_to(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct events_values *values = opaque;
	double end = now_s() + values->timeout;
	struct lf_events *events;
	uint64_t seen = 0;
	int ret;

	(void)operands;
	ret = lf_events_open(&events, error);
	if (ret)
		return ret;
	if (!values->common.quiet)
		fputs("listening\n", stderr);
	while (!ret && (!values->count || seen < values->count)) {
		struct lf_event event;

		ret = next(events, values, end, &event, error);
		if (!ret)
			ret = print(&event, values->common.json, error);
		seen += !ret;
	}
	lf_events_close(events);
	if (ret == -ETIME && !values->count)
		ret = 0;
	json_object_set_new(result, "events", json_integer((json_int_t)seen));
	if (!ret && values->common.json) {
		/* A line as those before it. */
		ret = output_json_line(result) ? lf_error_set(error, -ENOSPC, UNWRITTEN) : 0;
		json_object_clear(result);
	}
	return ret;
}

const struct command events_commands[] = {
	{ "events",
	  NULL,
	  NULL,
	  "print what happens to the accelerators of the machine, a line each (needs CAP_NET_ADMIN)",
	  { events_options, common_options },
	  sizeof(struct events_values),
	  &events_defaults,
	  NULL,
	  listen_to },
	{ 0 },
};
