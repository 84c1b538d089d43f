// SPDX-License-Identifier: GPL-2.0-only
/*
 * Generic netlink: what devices are, their totals, and what happens to them, as
 * Documentation/netlink/specs/lf_accel.yaml has it. Totals are for those who have CAP_PERFMON. Events tell
 * of the work of others, too: to join their group takes CAP_NET_ADMIN.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/mutex.h>
#include <linux/netlink.h>
#include <linux/xarray.h>
#include <net/genetlink.h>

#include <drm/drm_file.h>
#include <lf/lf_netlink.h>

#include "lf_device.h"
#include "lf_netlink.h"
#include "lf_telemetry.h"

/* Guards @devices. A device in there runs, and stays while the lock is held. */
static DEFINE_MUTEX(devices_lock);
static DEFINE_XARRAY(devices);

static struct genl_family lf_netlink_family;

static u32 index_of(const struct lf_device *lf)
{
	return lf->drm.accel->index;
}

static bool is_privileged(struct sk_buff *request)
{
	return netlink_capable(request, CAP_PERFMON) || netlink_capable(request, CAP_SYS_ADMIN);
}

static int put_total(struct sk_buff *message, int attribute, u64 value)
{
	return nla_put_u64_64bit(message, attribute, value, LF_NETLINK_A_DEVICE_PAD);
}

static int put_energy(struct sk_buff *message, const struct lf_telemetry_block *block)
{
	struct nlattr *nest = nla_nest_start(message, LF_NETLINK_A_DEVICE_ENERGY);
	unsigned int i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < LF_ENERGY_COMPONENTS; i++) {
		if (nla_put_u64_64bit(message, LF_NETLINK_A_ENERGY_ARRAY + i,
				      le64_to_cpu(block->energy_pj[i]), LF_NETLINK_A_ENERGY_PAD))
			return -EMSGSIZE;
	}
	if (nla_put_u64_64bit(message, LF_NETLINK_A_ENERGY_TOTAL, lf_energy_total_pj(block),
			      LF_NETLINK_A_ENERGY_PAD))
		return -EMSGSIZE;
	nla_nest_end(message, nest);
	return 0;
}

/* What tells of the work of others: it is a side channel. */
static int put_private(struct sk_buff *message, struct lf_device *lf,
		       const struct lf_telemetry_block *block)
{
	if (put_energy(message, block) ||
	    put_total(message, LF_NETLINK_A_DEVICE_BUSY, le64_to_cpu(block->busy_ns)) ||
	    put_total(message, LF_NETLINK_A_DEVICE_JOBS, le64_to_cpu(block->jobs)) ||
	    put_total(message, LF_NETLINK_A_DEVICE_WEAR_MAX, le64_to_cpu(block->wear_max)))
		return -EMSGSIZE;
	if (!lf_speaks(lf, 2))
		return 0;
	if (put_total(message, LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD,
		      readq(lf->regs + LF_REG_ENERGY_THRESHOLD)) ||
	    put_total(message, LF_NETLINK_A_DEVICE_CELLS_FAILED,
		      le64_to_cpu(block->cells_failed)) ||
	    put_total(message, LF_NETLINK_A_DEVICE_REFRESH_DUE, le64_to_cpu(block->refresh_due)))
		return -EMSGSIZE;
	return 0;
}

/* A device that does not answer is shown without its totals. */
static int put_totals(struct sk_buff *message, struct lf_device *lf, bool privileged)
{
	struct lf_telemetry_block block;

	if (lf_hw_telemetry(lf, &block))
		return 0;
	if (nla_put_s32(message, LF_NETLINK_A_DEVICE_TEMPERATURE,
			(s32)le64_to_cpu(block.temperature_mc)) ||
	    put_total(message, LF_NETLINK_A_DEVICE_TILES_BAD, le64_to_cpu(block.tiles_bad)))
		return -EMSGSIZE;
	return privileged ? put_private(message, lf, &block) : 0;
}

static int put_whole_device(struct sk_buff *message, const struct genl_info *info, int flags,
			    struct lf_device *lf, bool privileged)
{
	void *header = genlmsg_put(message, info->snd_portid, info->snd_seq, &lf_netlink_family,
				   flags, LF_NETLINK_CMD_DEVICE_GET);

	if (!header)
		return -EMSGSIZE;
	if (nla_put_u32(message, LF_NETLINK_A_DEVICE_INDEX, index_of(lf)) ||
	    nla_put_string(message, LF_NETLINK_A_DEVICE_NAME, dev_name(lf->drm.dev)) ||
	    nla_put_string(message, LF_NETLINK_A_DEVICE_PRESET, lf->limits.preset) ||
	    nla_put_u32(message, LF_NETLINK_A_DEVICE_VERSION, lf->limits.version) ||
	    nla_put_u32(message, LF_NETLINK_A_DEVICE_RESETS, atomic_read(&lf->resets)) ||
	    (READ_ONCE(lf->wedged) && nla_put_flag(message, LF_NETLINK_A_DEVICE_WEDGED)) ||
	    put_totals(message, lf, privileged)) {
		genlmsg_cancel(message, header);
		return -EMSGSIZE;
	}
	genlmsg_end(message, header);
	return 0;
}

static struct lf_device *find(const struct genl_info *info)
{
	struct nlattr *index = info->attrs[LF_NETLINK_A_DEVICE_INDEX];
	struct lf_device *lf;

	lockdep_assert_held(&devices_lock);
	lf = xa_load(&devices, nla_get_u32(index));
	if (!lf)
		NL_SET_ERR_MSG_ATTR(info->extack, index, "there is no such accelerator");
	return lf;
}

static int device_get_doit(struct sk_buff *request, struct genl_info *info)
{
	struct sk_buff *reply;
	struct lf_device *lf;
	int err = -ENODEV;

	if (GENL_REQ_ATTR_CHECK(info, LF_NETLINK_A_DEVICE_INDEX))
		return -EINVAL;
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	mutex_lock(&devices_lock);
	lf = find(info);
	if (lf)
		err = put_whole_device(reply, info, 0, lf, is_privileged(request));
	mutex_unlock(&devices_lock);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	return genlmsg_reply(reply, info);
}

/* One message a device; args[0] is the index to go on with. */
static int device_get_dumpit(struct sk_buff *message, struct netlink_callback *callback)
{
	bool privileged = is_privileged(callback->skb);
	struct lf_device *lf;
	unsigned long index;
	int err = 0;

	mutex_lock(&devices_lock);
	xa_for_each_start(&devices, index, lf, callback->args[0]) {
		err = put_whole_device(message, genl_info_dump(callback), NLM_F_MULTI, lf,
				       privileged);
		if (err)
			break;
		callback->args[0] = index + 1;
	}
	mutex_unlock(&devices_lock);
	return err && message->len ? message->len : err;
}

static int threshold_set_doit(struct sk_buff *request, struct genl_info *info)
{
	struct lf_device *lf;
	int err = 0;

	if (GENL_REQ_ATTR_CHECK(info, LF_NETLINK_A_DEVICE_INDEX) ||
	    GENL_REQ_ATTR_CHECK(info, LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD))
		return -EINVAL;
	mutex_lock(&devices_lock);
	lf = find(info);
	if (!lf) {
		err = -ENODEV;
	} else if (!lf_speaks(lf, 2)) {
		err = -EOPNOTSUPP;
	} else {
		lo_hi_writeq(nla_get_u64(info->attrs[LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD]),
			     lf->regs + LF_REG_ENERGY_THRESHOLD);
		err = lf_hw_present(lf) ? 0 : -ENODEV;
	}
	mutex_unlock(&devices_lock);
	return err;
}

static const struct nla_policy index_policy[] = {
	[LF_NETLINK_A_DEVICE_INDEX] = { .type = NLA_U32 },
};

static const struct nla_policy threshold_policy[] = {
	[LF_NETLINK_A_DEVICE_INDEX] = { .type = NLA_U32 },
	[LF_NETLINK_A_DEVICE_ENERGY_THRESHOLD] = { .type = NLA_U64 },
};

static const struct genl_split_ops lf_netlink_ops[] = {
	{
		.cmd = LF_NETLINK_CMD_DEVICE_GET,
		.doit = device_get_doit,
		.policy = index_policy,
		.maxattr = ARRAY_SIZE(index_policy) - 1,
		.flags = GENL_CMD_CAP_DO,
	},
	{
		.cmd = LF_NETLINK_CMD_DEVICE_GET,
		.dumpit = device_get_dumpit,
		.flags = GENL_CMD_CAP_DUMP,
	},
	{
		.cmd = LF_NETLINK_CMD_THRESHOLD_SET,
		.doit = threshold_set_doit,
		.policy = threshold_policy,
		.maxattr = ARRAY_SIZE(threshold_policy) - 1,
		.flags = GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
};

static const struct genl_multicast_group lf_netlink_groups[] = {
	{ .name = LF_NETLINK_GROUP_EVENTS, .flags = GENL_MCAST_CAP_NET_ADMIN },
};

static struct genl_family lf_netlink_family __ro_after_init = {
	.name = LF_NETLINK_FAMILY_NAME,
	.version = LF_NETLINK_FAMILY_VERSION,
	.module = THIS_MODULE,
	.parallel_ops = true,
	.split_ops = lf_netlink_ops,
	.n_split_ops = ARRAY_SIZE(lf_netlink_ops),
	.mcgrps = lf_netlink_groups,
	.n_mcgrps = ARRAY_SIZE(lf_netlink_groups),
};

/**
 * struct event - what a message of the group says
 * @kind: LF_NETLINK_EVENT_KIND_*
 * @temperature_mc: of the die, NULL for none
 * @queue: number of a queue, NULL for none
 * @reason: text, NULL for none
 */
struct event {
	enum lf_netlink_event_kind kind;
	const s32 *temperature_mc;
	const u32 *queue;
	const char *reason;
};

static int put_event(struct sk_buff *message, struct lf_device *lf, const struct event *event)
{
	void *header = genlmsg_put(message, 0, 0, &lf_netlink_family, 0, LF_NETLINK_CMD_EVENT_NTF);

	if (!header || nla_put_u32(message, LF_NETLINK_A_EVENT_INDEX, index_of(lf)) ||
	    nla_put_string(message, LF_NETLINK_A_EVENT_NAME, dev_name(lf->drm.dev)) ||
	    nla_put_u32(message, LF_NETLINK_A_EVENT_KIND, event->kind) ||
	    (event->temperature_mc &&
	     nla_put_s32(message, LF_NETLINK_A_EVENT_TEMPERATURE, *event->temperature_mc)) ||
	    (event->queue && nla_put_u32(message, LF_NETLINK_A_EVENT_QUEUE, *event->queue)) ||
	    (event->reason && nla_put_string(message, LF_NETLINK_A_EVENT_REASON, event->reason)))
		return -EMSGSIZE;
	genlmsg_end(message, header);
	return 0;
}

/* Recovery sends, and must not wait for memory: then listeners are told that they missed something. */
static void send(struct lf_device *lf, const struct event *event)
{
	struct sk_buff *message;

	if (!genl_has_listeners(&lf_netlink_family, &init_net, 0))
		return;
	message = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_NOWAIT | __GFP_NOWARN);
	if (!message) {
		genl_set_err(&lf_netlink_family, &init_net, 0, 0, -ENOBUFS);
		return;
	}
	if (put_event(message, lf, event))
		nlmsg_free(message);
	else
		genlmsg_multicast(&lf_netlink_family, message, 0, 0, GFP_NOWAIT | __GFP_NOWARN);
}

/**
 * lf_netlink_events() - tell listeners what the device told
 * @lf: device; the caller is between drm_dev_enter() and drm_dev_exit()
 * @events: LF_EVENT_*
 */
void lf_netlink_events(struct lf_device *lf, u32 events)
{
	unsigned long bits = events;
	unsigned int bit;

	BUILD_BUG_ON(LF_EVENT_QUEUE != BIT(LF_NETLINK_EVENT_KIND_FAULT));
	BUILD_BUG_ON(LF_EVENT_ENERGY != BIT(LF_NETLINK_EVENT_KIND_ENERGY));
	for_each_set_bit(bit, &bits, LF_NETLINK_EVENT_KIND_ENERGY + 1) {
		struct event event = { .kind = bit };
		s32 temperature_mc;
		__le64 word;

		if (bit == LF_NETLINK_EVENT_KIND_THERMAL &&
		    !lf_hw_telemetry_words(lf, LF_TELEMETRY_WORD(temperature_mc), 1, &word)) {
			temperature_mc = (s32)le64_to_cpu(word);
			event.temperature_mc = &temperature_mc;
		}
		send(lf, &event);
	}
}

/**
 * lf_netlink_reset() - tell listeners that the driver resets something
 * @lf: device
 * @queue: what is reset; NULL for the whole device
 * @reason: why
 */
void lf_netlink_reset(struct lf_device *lf, const struct lf_queue *queue, const char *reason)
{
	u32 number = queue ? queue->index : 0;

	send(lf, &(struct event){ .kind = LF_NETLINK_EVENT_KIND_RESET,
				  .queue = queue ? &number : NULL,
				  .reason = reason });
}

/**
 * lf_netlink_wedged() - tell listeners that the device is given up
 * @lf: device
 * @reason: why
 */
void lf_netlink_wedged(struct lf_device *lf, const char *reason)
{
	send(lf, &(struct event){ .kind = LF_NETLINK_EVENT_KIND_WEDGED, .reason = reason });
}

/**
 * lf_netlink_register() - let a device be asked
 * @lf: device that runs
 *
 * Return: 0 or -ENOMEM.
 */
int lf_netlink_register(struct lf_device *lf)
{
	int err;

	mutex_lock(&devices_lock);
	err = xa_insert(&devices, index_of(lf), lf, GFP_KERNEL);
	mutex_unlock(&devices_lock);
	return err;
}

/**
 * lf_netlink_unregister() - the end of lf_netlink_register()
 * @lf: device that is about to go; need not be registered
 */
void lf_netlink_unregister(struct lf_device *lf)
{
	mutex_lock(&devices_lock);
	xa_cmpxchg(&devices, index_of(lf), lf, NULL, GFP_KERNEL);
	mutex_unlock(&devices_lock);
}

/**
 * lf_netlink_init() - register the family
 *
 * Return: 0 or a negative errno.
 */
int __init lf_netlink_init(void)
{
	return genl_register_family(&lf_netlink_family);
}

/**
 * lf_netlink_exit() - the end of lf_netlink_init(); no device is bound
 */
void lf_netlink_exit(void)
{
	genl_unregister_family(&lf_netlink_family);
}
