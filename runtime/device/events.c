// SPDX-License-Identifier: MIT
/* Listening to the driver's events; see events.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#include <lf/events.h>

/* Of a message; the driver's are far smaller. */
#define MESSAGE_BYTES 8192

struct lf_events {
	struct nl_sock *socket;
	int family;
};

static int open_failed(int code, struct lf_error *error)
{
	switch (-code) {
	case NLE_OBJ_NOTFOUND:
		return lf_error_set(error, -ENODEV, "events: the driver lf_accel is not loaded");
	case NLE_PERM:
	case NLE_NOACCESS:
		return lf_error_set(
			error, -EPERM,
			"events: listening takes CAP_NET_ADMIN, they tell of the work of others");
	case NLE_NOMEM:
		return lf_error_set(error, -ENOMEM, "events: no memory");
	default:
		return lf_error_set(error, -EIO, "events: generic netlink: %s", nl_geterror(code));
	}
}

static int join(struct lf_events *events)
{
	int group, ret;

	ret = genl_connect(events->socket);
	if (ret)
		return ret;
	events->family = genl_ctrl_resolve(events->socket, LF_NETLINK_FAMILY_NAME);
	if (events->family < 0)
		return events->family;
	group = genl_ctrl_resolve_grp(events->socket, LF_NETLINK_FAMILY_NAME,
				      LF_NETLINK_GROUP_EVENTS);
	if (group < 0)
		return group;
	return nl_socket_add_membership(events->socket, group);
}

int lf_events_open(struct lf_events **events, struct lf_error *error)
{
	struct lf_events *new = calloc(1, sizeof(*new));
	int ret;

	*events = NULL;
	if (new)
		new->socket = nl_socket_alloc();
	if (!new || !new->socket) {
		free(new);
		return lf_error_set(error, -ENOMEM, "events: no memory");
	}
	ret = join(new);
	if (ret) {
		lf_events_close(new);
		return open_failed(ret, error);
	}
	*events = new;
	return 0;
}

void lf_events_close(struct lf_events *events)
{
	if (!events)
		return;
	nl_socket_free(events->socket);
	free(events);
}

static const struct nla_policy policy[LF_NETLINK_A_EVENT_MAX + 1] = {
	[LF_NETLINK_A_EVENT_INDEX] = { .type = NLA_U32 },
	[LF_NETLINK_A_EVENT_NAME] = { .type = NLA_STRING },
	[LF_NETLINK_A_EVENT_KIND] = { .type = NLA_U32 },
	[LF_NETLINK_A_EVENT_TEMPERATURE] = { .type = NLA_S32 },
	[LF_NETLINK_A_EVENT_QUEUE] = { .type = NLA_U32 },
	[LF_NETLINK_A_EVENT_REASON] = { .type = NLA_STRING },
};

static int parse(struct nlmsghdr *message, struct lf_event *event, struct lf_error *error)
{
	struct nlattr *given[LF_NETLINK_A_EVENT_MAX + 1];

	if (genlmsg_parse(message, 0, given, LF_NETLINK_A_EVENT_MAX, policy) ||
	    !given[LF_NETLINK_A_EVENT_INDEX] || !given[LF_NETLINK_A_EVENT_NAME] ||
	    !given[LF_NETLINK_A_EVENT_KIND])
		return lf_error_set(error, -EBADMSG, "events: a message makes no sense");
	*event = (struct lf_event){ .device = nla_get_u32(given[LF_NETLINK_A_EVENT_INDEX]),
				    .kind = nla_get_u32(given[LF_NETLINK_A_EVENT_KIND]) };
	nla_strlcpy(event->name, given[LF_NETLINK_A_EVENT_NAME], sizeof(event->name));
	if (given[LF_NETLINK_A_EVENT_TEMPERATURE]) {
		event->has_temperature = true;
		event->temperature_mc = nla_get_s32(given[LF_NETLINK_A_EVENT_TEMPERATURE]);
	}
	if (given[LF_NETLINK_A_EVENT_QUEUE]) {
		event->has_queue = true;
		event->queue = nla_get_u32(given[LF_NETLINK_A_EVENT_QUEUE]);
	}
	if (given[LF_NETLINK_A_EVENT_REASON])
		nla_strlcpy(event->reason, given[LF_NETLINK_A_EVENT_REASON], sizeof(event->reason));
	return 0;
}

/* Rather than through libnl, which takes ENOBUFS for a lack of memory. 0 for a message that is no event of the kernel's. */
static ssize_t receive(struct lf_events *events, void *message, size_t bytes)
{
	struct sockaddr_nl from = { 0 };
	socklen_t from_bytes = sizeof(from);
	struct nlmsghdr *header = message;
	ssize_t count;

	count = recvfrom(nl_socket_get_fd(events->socket), message, bytes, MSG_DONTWAIT,
			 (struct sockaddr *)&from, &from_bytes);
	if (count < 0)
		return errno == EAGAIN ? 0 : -errno;
	if (from.nl_pid || count > INT32_MAX || !nlmsg_ok(header, (int)count) ||
	    header->nlmsg_type != events->family || !genlmsg_valid_hdr(header, 0) ||
	    genlmsg_hdr(header)->cmd != LF_NETLINK_CMD_EVENT_NTF)
		return 0;
	return count;
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

int lf_events_next(struct lf_events *events, int timeout_ms, struct lf_event *event,
		   struct lf_error *error)
{
	_Alignas(struct nlmsghdr) char message[MESSAGE_BYTES];
	struct pollfd poll_fd = { .fd = nl_socket_get_fd(events->socket), .events = POLLIN };
	int64_t end = now_ms() + timeout_ms;
	int left = timeout_ms, ready;
	ssize_t count;

	for (;;) {
		ready = poll(&poll_fd, 1, left);
		if (ready < 0)
			return lf_error_set(error, -errno, "events: waiting: %s", strerror(errno));
		if (!ready)
			return lf_error_set(error, -ETIME, "events: none in %d ms", timeout_ms);
		count = receive(events, message, sizeof(message));
		if (count == -ENOBUFS)
			return lf_error_set(error, -ENOBUFS,
					    "events: some were lost, they came too fast");
		if (count < 0)
			return lf_error_set(error, (int)count, "events: receiving: %s",
					    strerror((int)-count));
		if (count)
			return parse((struct nlmsghdr *)message, event, error);
		if (timeout_ms >= 0)
			left = end > now_ms() ? (int)(end - now_ms()) : 0;
	}
}

const char *lf_event_kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[LF_NETLINK_EVENT_KIND_FAULT] = "fault",
		[LF_NETLINK_EVENT_KIND_FATAL] = "fatal",
		[LF_NETLINK_EVENT_KIND_THERMAL] = "thermal",
		[LF_NETLINK_EVENT_KIND_WEAR] = "wear",
		[LF_NETLINK_EVENT_KIND_CELLS] = "cells",
		[LF_NETLINK_EVENT_KIND_REFRESH] = "refresh",
		[LF_NETLINK_EVENT_KIND_ENERGY] = "energy",
		[LF_NETLINK_EVENT_KIND_RESET] = "reset",
		[LF_NETLINK_EVENT_KIND_WEDGED] = "wedged",
	};

	return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}
