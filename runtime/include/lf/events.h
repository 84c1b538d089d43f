/* SPDX-License-Identifier: MIT */
/*
 * What the driver tells of its devices, as it happens: the events of generic netlink (lf/lf_netlink.h and
 * Documentation/netlink/specs/lf_accel.yaml). They tell of the work of others, so listening takes CAP_NET_ADMIN.
 */
#ifndef LF_EVENTS_H
#define LF_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <lf/error.h>
#include <lf/lf_netlink.h>

#define LF_EVENT_NAME_BYTES   64
#define LF_EVENT_REASON_BYTES 128

/**
 * struct lf_event - something happened to a device
 * @device: the number behind /dev/accel/accel
 * @name: its bus address
 * @kind: LF_NETLINK_EVENT_KIND_*; a newer driver may have others
 * @has_temperature: @temperature_mc is told
 * @temperature_mc: of the die, millidegrees Celsius
 * @has_queue: @queue is told: one queue is reset, not the device
 * @queue: its number
 * @reason: of a reset or of giving the device up, else empty
 */
struct lf_event {
	uint32_t device;
	char name[LF_EVENT_NAME_BYTES];
	uint32_t kind;
	bool has_temperature;
	int32_t temperature_mc;
	bool has_queue;
	uint32_t queue;
	char reason[LF_EVENT_REASON_BYTES];
};

struct lf_events;

/**
 * lf_events_open() - listen from here on
 * @events: receives the listener, for lf_events_close()
 * @error: reason on failure
 *
 * Return: 0; -ENODEV (the driver is not loaded), -EPERM (without CAP_NET_ADMIN), -ENOMEM, what the kernel says.
 */
int lf_events_open(struct lf_events **events, struct lf_error *error);

/**
 * lf_events_next() - wait for an event of any device
 * @events: listener
 * @timeout_ms: how long to wait, milliseconds; negative: for ever
 * @event: receives it
 * @error: reason on failure
 *
 * Return: 0; -ETIME (none came), -EINTR (a signal), -ENOBUFS (events were lost: they came faster than they were taken;
 * those that follow can be read), -EBADMSG (a message that makes no sense).
 */
int lf_events_next(struct lf_events *events, int timeout_ms, struct lf_event *event,
		   struct lf_error *error);

/**
 * lf_events_close() - end listening
 * @events: listener, or NULL
 */
void lf_events_close(struct lf_events *events);

/**
 * lf_event_kind_name() - name of a kind, as the specification has it
 * @kind: LF_NETLINK_EVENT_KIND_*
 *
 * Return: the name, "unknown" where there is none.
 */
const char *lf_event_kind_name(uint32_t kind);

#endif
