/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a devcoredump of a reset holds. Little-endian. The parts follow the header in the order of its
 * fields: registers, submission ring, completion ring, commands.
 */
#ifndef LF_DUMP_H
#define LF_DUMP_H

#include <linux/types.h>

#define LF_DUMP_MAGIC	     0x5044464c /* "LFDP" */
#define LF_DUMP_VERSION	     1
#define LF_DUMP_REASON_BYTES 64
#define LF_DUMP_NO_QUEUE     0xffffffff

/**
 * struct lf_dump_header - begins a dump
 * @magic: LF_DUMP_MAGIC
 * @version: LF_DUMP_VERSION; other numbers have another layout behind this field
 * @bytes: of the whole dump
 * @header_bytes: of this structure
 * @boottime_ns: when it was taken
 * @hw_version: LF_REG_VERSION
 * @features: LF_REG_FEATURES
 * @resets: number of this reset since probe
 * @queue: number of the queue, LF_DUMP_NO_QUEUE when it is about the whole device
 * @guilty_tag: tag of the request that is blamed, 0xffffffff for none
 * @register_bytes: length of the registers: first the block from 0 on, then the window of each queue
 * @queue_count: windows there
 * @submission_bytes: length of the submission ring of @queue. Of entries that are not the guilty one's the addresses, the job
 *	number and the account are zero
 * @completion_bytes: length of the completion ring of @queue, of which only heads, tags, states and phases are kept
 * @command_bytes: length of the guilty job's commands, as the device reads them
 * @tail: where the driver would have put the next submission
 * @head: where it expects the next record
 * @phase: phase that this record would have
 * @in_flight: requests
 * @reason: text, zero padded
 * @preset: LF_REG_PRESET
 */
struct lf_dump_header {
	__le32 magic;
	__le32 version;
	__le32 bytes;
	__le32 header_bytes;
	__le64 boottime_ns;
	__le32 hw_version;
	__le32 features;
	__le32 resets;
	__le32 queue;
	__le32 guilty_tag;
	__le32 register_bytes;
	__le32 queue_count;
	__le32 submission_bytes;
	__le32 completion_bytes;
	__le32 command_bytes;
	__le32 tail;
	__le32 head;
	__le32 phase;
	__le32 in_flight;
	__u8 reason[LF_DUMP_REASON_BYTES];
	__u8 preset[16];
};

struct lf_device;
struct lf_queue;
struct lf_request;

int lf_dump_init(struct lf_device *lf);
void lf_dump_take(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty,
		  const char *reason);
void lf_dump_remove(struct lf_device *lf);

#endif
