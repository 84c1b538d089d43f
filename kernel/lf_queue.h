/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queue pairs: submission and completion rings, doorbells, interrupts.
 */
#ifndef LF_QUEUE_H
#define LF_QUEUE_H

#include <linux/interrupt.h>
#include <linux/list.h>
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
 * @rerun: may be submitted again after a reset
 * @repeated: has been, so that the device may have executed it before
 * @done: called at its end
 */
struct lf_request {
	struct list_head link;
	struct lf_submission submission;
	bool rerun;
	bool repeated;
	lf_request_done done;
};

/**
 * struct lf_queue - a queue pair
 * @lf: its device
 * @index: its number
 * @lock: guards everything up to @inflight; taken in interrupts
 * @submissions: ring the device reads
 * @submissions_dma: its bus address
 * @completions: ring the device writes
 * @completions_dma: its bus address
 * @slots: request at each place of the submission ring; the place is its tag
 * @entries: of each ring, a power of two
 * @tail: next place in @submissions
 * @head: next place in @completions
 * @phase: phase a new record has
 * @enabled: the device takes submissions
 * @inflight: requests on the ring, oldest first
 * @sched: scheduler of the jobs of this queue; unused for queue 0
 * @fence_context: of the fences of its jobs
 * @fence_seqno: last number of them; the scheduler runs one job at a time
 * @restarted: jiffies of the last restart after a reset
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
	struct lf_request **slots;
	u32 entries;
	u32 tail;
	u32 head;
	u16 phase;
	bool enabled;
	struct list_head inflight;
	struct drm_gpu_scheduler sched;
	u64 fence_context;
	u64 fence_seqno;
	unsigned long restarted;
	char name[32];
};

void lf_queue_init(struct lf_device *lf, unsigned int index);
int lf_queue_allocate(struct lf_queue *queue);
int lf_queue_submit(struct lf_queue *queue, struct lf_request *request);
void lf_queue_poll(struct lf_queue *queue);
void lf_queue_stop(struct lf_queue *queue);
void lf_queue_end(struct lf_queue *queue, struct lf_request *request, int error);
void lf_queue_start(struct lf_queue *queue);
void lf_queue_abort(struct lf_queue *queue, int error);

irqreturn_t lf_queue_irq(int irq, void *data);
irqreturn_t lf_event_irq(int irq, void *data);
irqreturn_t lf_shared_irq(int irq, void *data);

#endif
