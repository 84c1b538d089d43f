/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Generic netlink: devices and events.
 */
#ifndef LF_NETLINK_KERNEL_H
#define LF_NETLINK_KERNEL_H

#include <linux/types.h>

struct lf_device;
struct lf_queue;

#ifdef CONFIG_NET
int lf_netlink_init(void);
void lf_netlink_exit(void);
int lf_netlink_register(struct lf_device *lf);
void lf_netlink_unregister(struct lf_device *lf);
void lf_netlink_events(struct lf_device *lf, u32 events);
void lf_netlink_reset(struct lf_device *lf, const struct lf_queue *queue, const char *reason);
void lf_netlink_wedged(struct lf_device *lf, const char *reason);
#else
static inline int lf_netlink_init(void)
{
	return 0;
}

static inline void lf_netlink_exit(void)
{
}

static inline int lf_netlink_register(struct lf_device *lf)
{
	return 0;
}

static inline void lf_netlink_unregister(struct lf_device *lf)
{
}

static inline void lf_netlink_events(struct lf_device *lf, u32 events)
{
}

static inline void lf_netlink_reset(struct lf_device *lf, const struct lf_queue *queue,
				    const char *reason)
{
}

static inline void lf_netlink_wedged(struct lf_device *lf, const char *reason)
{
}
#endif

#endif
