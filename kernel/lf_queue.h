/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queue pairs: submission and completion rings, doorbells, coalescing of interrupts.
 */
#ifndef LF_QUEUE_H
#define LF_QUEUE_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include <drm/gpu_scheduler.h>

#include <lf/lf_hw.h>

struct lf_device;
struct lf_request;

/**
 * typedef lf_request_done - a request has ended
 * @request: which
 * @completion: the device's record; NULL when there is none
 * @error: 0 when @completion says how it ended, else why there is no usable record
 *
 * Called with the queue's lock held and interrupts off, once for each submission that succeeded.
 */
typedef void (*lf_request_done)(struct lf_request *request, const struct lf_completion *completion,
				int error);

/**
 * struct lf_request - something on a ring: a job or a management command
 * @link: in the queue's list of requests in flight, oldest first
 * @submission: what the device reads; the queue fills @submission.tag in
 * @rerun: may be executed twice
 * @placed: is on the ring
 * @maybe_run: was cut short by a reset in a way that the device may have executed it
 * @repeated: was so once, and is submitted again
 * @stalls: how often its queue was reset because nothing at all was executed
 * @running_since: jiffies when it was first seen running, 0 if it was not
 * @stalled_since: jiffies when it was first seen at the head with nothing running at all, or 0
 * @done: called at its end
 */
struct lf_request {
	struct list_head link;
	struct lf_submission submission;
	bool rerun;
	bool placed;
	bool maybe_run;
	bool repeated;
	u8 stalls;
	unsigned long running_since;
	unsigned long stalled_since;
	lf_request_done done;
};

/**
 * enum lf_queue_mode - what a queue does with requests
 * @LF_QUEUE_OFF: refuses them
 * @LF_QUEUE_PAUSED: keeps them until it goes on
 * @LF_QUEUE_ON: puts them on the ring
 */
enum lf_queue_mode {
	LF_QUEUE_OFF,
	LF_QUEUE_PAUSED,
	LF_QUEUE_ON,
};

/**
 * struct lf_queue - a queue pair
 * @lf: its device
 * @index: its number
 * @lock: guards everything up to @records; taken in interrupts
 * @submissions: ring the device reads
 * @submissions_dma: its bus address
 * @completions: ring the device writes
 * @completions_dma: its bus address
 * @entries: of each ring, a power of two
 * @tail: next place in @submissions
 * @head: next place in @completions
 * @phase: phase a new record has
 * @mode: what happens to requests
 * @broken: what was wrong with a record that made no sense, NULL if none was. None is taken after it
 * @settled: the device has disabled it, and it is known what may have been executed
 * @inflight: requests, oldest first, in the order of their records
 * @depth: how many of them
 * @deep: interrupts are coalesced
 * @resets: of this queue since its last good record
 * @interrupts: that asked for this queue
 * @records: taken
 * @sched: scheduler of the jobs of this queue; unused for queue 0
 * @next_tick: jiffies when what is in flight is to be looked after next
 * @sched_lock: pausing @sched and letting it go on
 * @fence_context: of the fences of its jobs
 * @fence_seqno: last number of them; the scheduler runs one job at a time
 * @name: of its interrupt
 */
struct lf_queue {
	struct lf_device *lf;
	unsigned int index;
	spinlock_t lock;
	struct lf_submission *submissions;
	dma_addr_t submissions_dma;
	struct lf_completion *completions;
	dma_addr_t completions_dma;
	u32 entries;
	u32 tail;
	u32 head;
	u16 phase;
	enum lf_queue_mode mode;
	const char *broken;
	bool settled;
	struct list_head inflight;
	u32 depth;
	bool deep;
	u32 resets;
	u64 interrupts;
	u64 records;
	struct drm_gpu_scheduler sched;
	unsigned long next_tick;
	struct mutex sched_lock;
	u64 fence_context;
	u64 fence_seqno;
	char name[32];
};

void lf_queue_init(struct lf_device *lf, unsigned int index);
int lf_queue_allocate(struct lf_queue *queue);
int lf_queue_submit(struct lf_queue *queue, struct lf_request *request);
unsigned int lf_queue_poll(struct lf_queue *queue);
void lf_queue_interrupt(struct lf_queue *queue);
void lf_queue_ring(struct lf_queue *queue);
bool lf_queue_is_oldest(struct lf_queue *queue, const struct lf_request *request);
bool lf_queue_is_idle(struct lf_queue *queue);
void lf_queue_pause(struct lf_queue *queue);
void lf_queue_settle(struct lf_queue *queue);
bool lf_queue_end(struct lf_queue *queue, struct lf_request *request, int error);
int lf_queue_start(struct lf_queue *queue);
void lf_queue_abort(struct lf_queue *queue, int error);

#endif
