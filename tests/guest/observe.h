/* SPDX-License-Identifier: MIT */
/*
 * What guest tests look at a device with: attributes of sysfs, counters of perf, events of netlink. Everything
 * ends the test when it fails, except what says that it returns an error.
 */
#ifndef GUEST_OBSERVE_H
#define GUEST_OBSERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <lf/events.h>

/* Patterns of glob(): the bus device of the first accelerator, and its PMU. */
#define GUEST_DEVICE	   "/sys/class/accel/accel*/device"
#define GUEST_EVENT_SOURCE "/sys/bus/event_source/devices/lf_accel_*"

#define GUEST_EVENT_MS	   20000

/** guest_read_line() - the first line of the first file that matches; false where none can be read */
bool guest_read_line(const char *pattern, char *line, size_t bytes);

/** guest_read_number() - the number it begins with */
long long guest_read_number(const char *pattern);

/** guest_write_word() - write @word to the first file that matches @pattern */
void guest_write_word(const char *pattern, const char *word);

/** guest_device_index() - the number behind /dev/accel/accel */
uint32_t guest_device_index(void);

/** guest_cut_master() - clear the Bus Master bit of the function's command register, behind the driver's back */
void guest_cut_master(void);

/** guest_perf_open() - perf_event_open() on the device's PMU; -1 with errno */
int guest_perf_open(uint64_t config, pid_t task, int cpu, uint64_t period);

/** guest_perf_open_named() - as `perf` does it: by the name of an event, whose number sysfs tells */
int guest_perf_open_named(const char *name);

/** guest_perf_read() - its count */
long long guest_perf_read(int fd);

/** guest_listen() - listen to events from here on; skips the test where that is not allowed */
struct lf_events *guest_listen(void);

/** guest_await_event() - the next event of a kind; others may come before it */
struct lf_event guest_await_event(struct lf_events *events, uint32_t kind);

/** guest_await_events() - wait until each kind of the mask of 1 << LF_NETLINK_EVENT_KIND_* was told of */
void guest_await_events(struct lf_events *events, uint32_t kinds);

#endif
