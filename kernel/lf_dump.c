// SPDX-License-Identifier: GPL-2.0-only
/*
 * devcoredump: what a reset found. It is taken in memory set aside at probe, since fences wait for the
 * reset, and handed to userspace by a worker. One a minute at most. The commands of the guilty job are
 * in it, no contents of buffers, and of the jobs of others only that they were there.
 */
#include <linux/devcoredump.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include <drm/drm_managed.h>

#include "lf_device.h"
#include "lf_dump.h"
#include "lf_job.h"
#include "lf_manage.h"

#define LF_DUMP_INTERVAL  (60 * HZ)

/* The block up to the telemetry window; reading it changes nothing. */
#define LF_DUMP_REGISTERS 0x0b0

/**
 * struct lf_dump - a dump in the making
 * @lf: device
 * @lock: guards the rest; nobody waits for it where fences wait
 * @work: hands the dump to userspace
 * @taken: jiffies of the last one
 * @bytes: of the dump that waits for @work, 0 if none does
 * @capacity: of @memory
 * @memory: struct lf_dump_header and what follows
 */
struct lf_dump {
	struct lf_device *lf;
	spinlock_t lock;
	struct work_struct work;
	unsigned long taken;
	size_t bytes;
	size_t capacity;
	void *memory;
};

static void publish_work(struct work_struct *work)
{
	struct lf_dump *dump = container_of(work, struct lf_dump, work);
	size_t bytes;
	void *copy;

	copy = vmalloc(dump->capacity);
	spin_lock(&dump->lock);
	bytes = dump->bytes;
	if (copy)
		memcpy(copy, dump->memory, bytes);
	dump->bytes = 0;
	spin_unlock(&dump->lock);
	if (copy && bytes)
		dev_coredumpv(dump->lf->drm.dev, copy, bytes, GFP_KERNEL);
	else
		vfree(copy);
}

static size_t add_registers(struct lf_device *lf, __le32 *words)
{
	unsigned int i, count = 0;
	u32 offset;

	for (offset = 0; offset < LF_DUMP_REGISTERS; offset += 4)
		words[count++] = cpu_to_le32(lf_read(lf, offset));
	for (i = 0; i < lf->limits.queues; i++)
		for (offset = 0; offset < LF_QUEUE_STRIDE; offset += 4)
			words[count++] = cpu_to_le32(
				lf_read(lf, LF_REG_QUEUE + LF_QUEUE_STRIDE * i + offset));
	return count * sizeof(*words);
}

static size_t add_submissions(const struct lf_queue *queue, u32 guilty_tag,
			      struct lf_submission *entries)
{
	u32 i;

	for (i = 0; i < queue->entries; i++) {
		entries[i] = queue->submissions[i];
		if (i == guilty_tag)
			continue;
		entries[i].commands = 0;
		entries[i].buffers = 0;
		entries[i].job_number = 0;
		entries[i].account = 0;
	}
	return queue->entries * sizeof(*entries);
}

static size_t add_completions(const struct lf_queue *queue, struct lf_completion *entries)
{
	u32 i;

	for (i = 0; i < queue->entries; i++)
		entries[i] = (struct lf_completion){
			.submission_head = queue->completions[i].submission_head,
			.tag = queue->completions[i].tag,
			.status = queue->completions[i].status,
			.phase = queue->completions[i].phase,
		};
	return queue->entries * sizeof(*entries);
}

static size_t add_commands(const struct lf_request *guilty, void *memory)
{
	const struct lf_job *job = container_of(guilty, struct lf_job, request);
	size_t bytes = job->command_count * sizeof(struct lf_command);

	memcpy(memory, job->commands, bytes);
	return bytes;
}

static void fill(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty,
		 const char *reason)
{
	struct lf_dump *dump = lf->dump;
	struct lf_dump_header *header = dump->memory;
	u32 guilty_tag = guilty ? le16_to_cpu(guilty->submission.tag) : U32_MAX;
	void *next = header + 1;
	size_t bytes;

	*header = (struct lf_dump_header){
		.magic = cpu_to_le32(LF_DUMP_MAGIC),
		.version = cpu_to_le32(LF_DUMP_VERSION),
		.header_bytes = cpu_to_le32(sizeof(*header)),
		.boottime_ns = cpu_to_le64(ktime_get_boottime_ns()),
		.hw_version = cpu_to_le32(lf->limits.version),
		.features = cpu_to_le32(lf->limits.features),
		.resets = cpu_to_le32(atomic_read(&lf->resets)),
		.queue = cpu_to_le32(queue ? queue->index : LF_DUMP_NO_QUEUE),
		.guilty_tag = cpu_to_le32(guilty_tag),
		.queue_count = cpu_to_le32(lf->limits.queues),
	};
	strscpy_pad((char *)header->reason, reason, sizeof(header->reason));
	memcpy(header->preset, lf->limits.preset, sizeof(header->preset));
	bytes = add_registers(lf, next);
	header->register_bytes = cpu_to_le32(bytes);
	next += bytes;
	if (queue) {
		spin_lock_irq(&queue->lock);
		header->tail = cpu_to_le32(queue->tail);
		header->head = cpu_to_le32(queue->head);
		header->phase = cpu_to_le32(queue->phase);
		header->in_flight = cpu_to_le32(queue->depth);
		bytes = add_submissions(queue, guilty_tag, next);
		header->submission_bytes = cpu_to_le32(bytes);
		next += bytes;
		bytes = add_completions(queue, next);
		header->completion_bytes = cpu_to_le32(bytes);
		next += bytes;
		spin_unlock_irq(&queue->lock);
		if (guilty && queue->index) {
			bytes = add_commands(guilty, next);
			header->command_bytes = cpu_to_le32(bytes);
			next += bytes;
		}
	}
	dump->bytes = next - dump->memory;
	header->bytes = cpu_to_le32(dump->bytes);
}

/**
 * lf_dump_take() - remember what a reset found, for whoever wants to know
 * @lf: device whose registers answer
 * @queue: what is affected, NULL for the whole device
 * @guilty: request that is blamed, NULL for none; must not be freed before this returns
 * @reason: text
 *
 * Does nothing if the last dump is too young or was not handed out yet.
 */
void lf_dump_take(struct lf_device *lf, struct lf_queue *queue, struct lf_request *guilty,
		  const char *reason)
{
	struct lf_dump *dump = lf->dump;

	if (!spin_trylock(&dump->lock))
		return;
	if (!dump->bytes && time_after(jiffies, dump->taken + LF_DUMP_INTERVAL)) {
		dump->taken = jiffies;
		fill(lf, queue, guilty, reason);
		schedule_work(&dump->work);
	}
	spin_unlock(&dump->lock);
}

static void free_memory(struct drm_device *drm, void *memory)
{
	vfree(memory);
}

/**
 * lf_dump_init() - set memory aside
 * @lf: device
 *
 * Return: 0 or -ENOMEM.
 */
int lf_dump_init(struct lf_device *lf)
{
	struct lf_dump *dump = drmm_kzalloc(&lf->drm, sizeof(*dump), GFP_KERNEL);

	if (!dump)
		return -ENOMEM;
	dump->lf = lf;
	spin_lock_init(&dump->lock);
	INIT_WORK(&dump->work, publish_work);
	dump->taken = jiffies - LF_DUMP_INTERVAL - 1;
	dump->capacity = sizeof(struct lf_dump_header) + LF_DUMP_REGISTERS +
			 lf->limits.queues * LF_QUEUE_STRIDE +
			 lf->limits.ring_entries *
				 (sizeof(struct lf_submission) + sizeof(struct lf_completion)) +
			 lf->limits.job_commands * sizeof(struct lf_command);
	dump->memory = vmalloc(dump->capacity);
	if (!dump->memory)
		return -ENOMEM;
	lf->dump = dump;
	return drmm_add_action_or_reset(&lf->drm, free_memory, dump->memory);
}

/**
 * lf_dump_remove() - the bus device is about to go
 * @lf: device
 */
void lf_dump_remove(struct lf_device *lf)
{
	cancel_work_sync(&lf->dump->work);
}
