// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rings without a device: what a queue makes of records, and, after one that it does not believe or a reset, which of its
 * requests may have been executed. Registers are memory here, and the test writes the records.
 */
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/errno.h>

#include "lf_device.h"
#include "lf_queue.h"

#define ENTRIES	 16u
#define REQUESTS 6u
#define WORK	 1u

/* How a request ended. */
struct ended {
	unsigned int calls;
	unsigned int turn;
	int error;
	int status;
};

struct ring {
	struct lf_device *lf;
	struct lf_queue *queue;
	struct lf_request requests[REQUESTS];
	struct ended ended[REQUESTS];
	unsigned int turns;
	u32 tail;
	u16 phase;
	unsigned int resets_asked;
};

static struct ring *ring_of(struct kunit *test)
{
	return test->priv;
}

/* lf_irq.c's, which is not linked. */
void lf_reset_later(struct lf_device *lf)
{
	struct ring *ring = ring_of(kunit_get_current_test());

	ring->resets_asked++;
}

static void request_done(struct lf_request *request, const struct lf_completion *completion,
			 int error)
{
	struct ring *ring = ring_of(kunit_get_current_test());
	struct ended *ended = &ring->ended[request - ring->requests];

	ended->calls++;
	ended->turn = ++ring->turns;
	ended->error = error;
	ended->status = completion ? le16_to_cpu(completion->status) : -1;
}

static int queue_test_init(struct kunit *test)
{
	struct ring *ring = kunit_kzalloc(test, sizeof(*ring), GFP_KERNEL);
	struct lf_queue *queue;
	unsigned int i;

	if (!ring)
		return -ENOMEM;
	test->priv = ring;
	ring->lf = kunit_kzalloc(test, sizeof(*ring->lf), GFP_KERNEL);
	if (!ring->lf)
		return -ENOMEM;
	ring->lf->regs = (void __iomem *)kunit_kzalloc(test, LF_REG_BYTES, GFP_KERNEL);
	ring->lf->limits.version = 1 << 16 | 2;
	lf_queue_init(ring->lf, WORK);
	queue = ring->queue = &ring->lf->queues[WORK];
	queue->entries = ENTRIES;
	queue->submissions = kunit_kcalloc(test, ENTRIES, sizeof(*queue->submissions), GFP_KERNEL);
	queue->completions = kunit_kcalloc(test, ENTRIES, sizeof(*queue->completions), GFP_KERNEL);
	if (!ring->lf->regs || !queue->submissions || !queue->completions)
		return -ENOMEM;
	for (i = 0; i < REQUESTS; i++) {
		INIT_LIST_HEAD(&ring->requests[i].link);
		ring->requests[i].rerun = true;
		ring->requests[i].done = request_done;
	}
	/* A device that takes the queue, always. */
	lf_write(ring->lf, LF_REG_QUEUE + LF_QUEUE_STRIDE * WORK + LF_QUEUE_STATE,
		 LF_QUEUE_ENABLED);
	ring->phase = 1;
	return lf_queue_start(queue);
}

static void submit(struct kunit *test, unsigned int count)
{
	struct ring *ring = ring_of(test);
	unsigned int i;

	for (i = 0; i < count; i++)
		KUNIT_ASSERT_EQ(test, lf_queue_submit(ring->queue, &ring->requests[i]), 0);
}

/* A record as the device writes it. */
static void post(struct ring *ring, u16 tag, u16 head, u16 status)
{
	struct lf_completion *record = &ring->queue->completions[ring->tail];

	record->tag = cpu_to_le16(tag);
	record->submission_head = cpu_to_le16(head);
	record->status = cpu_to_le16(status);
	record->phase = cpu_to_le16(ring->phase);
	ring->tail = (ring->tail + 1) % ENTRIES;
	if (!ring->tail)
		ring->phase ^= 1;
}

static void post_good(struct ring *ring, u16 tag)
{
	post(ring, tag, (tag + 1) % ENTRIES, LF_STATUS_OK);
}

/* A reset of the queue as lf_reset.c does it, up to where the rings are set up anew. */
static void stop(struct ring *ring)
{
	lf_queue_pause(ring->queue);
	lf_queue_settle(ring->queue);
}

static void start(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	KUNIT_ASSERT_EQ(test, lf_queue_start(ring->queue), 0);
	ring->tail = 0;
	ring->phase = 1;
}

static void expect_ended(struct kunit *test, unsigned int request, int error, int status)
{
	const struct ended *ended = &ring_of(test)->ended[request];

	KUNIT_EXPECT_EQ(test, ended->calls, 1);
	KUNIT_EXPECT_EQ(test, ended->error, error);
	KUNIT_EXPECT_EQ(test, ended->status, status);
}

static void expect_in_flight(struct kunit *test, unsigned int first, unsigned int count)
{
	unsigned int i;

	for (i = first; i < first + count; i++)
		KUNIT_EXPECT_EQ(test, ring_of(test)->ended[i].calls, 0);
}

static void records_end_requests_in_their_order(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	submit(test, 3);
	KUNIT_EXPECT_TRUE(test, lf_queue_is_oldest(ring->queue, &ring->requests[0]));
	KUNIT_EXPECT_FALSE(test, lf_queue_is_oldest(ring->queue, &ring->requests[1]));
	post_good(ring, 0);
	post(ring, 1, 2, LF_STATUS_NONFINITE);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 2);
	expect_ended(test, 0, 0, LF_STATUS_OK);
	expect_ended(test, 1, 0, LF_STATUS_NONFINITE);
	KUNIT_EXPECT_EQ(test, ring->ended[0].turn, 1);
	expect_in_flight(test, 2, 1);
	KUNIT_EXPECT_TRUE(test, lf_queue_is_oldest(ring->queue, &ring->requests[2]));
	KUNIT_EXPECT_FALSE(test, lf_queue_is_idle(ring->queue));
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 0);
}

/* Twice around: what is left of the first pass has the other phase. */
static void the_phase_turns_with_the_ring(struct kunit *test)
{
	struct ring *ring = ring_of(test);
	unsigned int i;

	for (i = 0; i < 2 * ENTRIES + 3; i++) {
		ring->ended[0] = (struct ended){};
		submit(test, 1);
		KUNIT_ASSERT_EQ(test, lf_queue_poll(ring->queue), 0);
		post_good(ring, i % ENTRIES);
		KUNIT_ASSERT_EQ(test, lf_queue_poll(ring->queue), 1);
		expect_ended(test, 0, 0, LF_STATUS_OK);
	}
	KUNIT_EXPECT_TRUE(test, lf_queue_is_idle(ring->queue));
}

/* Executed in order, so those behind the oldest were not begun: they alone need not be able to run twice. */
static void the_oldest_alone_may_have_run(struct kunit *test)
{
	struct ring *ring = ring_of(test);
	unsigned int i;

	for (i = 0; i < 4; i++)
		ring->requests[i].rerun = false;
	submit(test, 4);
	post_good(ring, 0);
	stop(ring);
	expect_ended(test, 0, 0, LF_STATUS_OK);
	expect_in_flight(test, 1, 3);
	start(test);
	expect_ended(test, 1, -ECANCELED, -1);
	expect_in_flight(test, 2, 2);
	/* They are on the ring again, from its beginning. */
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, le16_to_cpu(ring->queue->submissions[i].tag), i);
	post_good(ring, 0);
	post_good(ring, 1);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 2);
	expect_ended(test, 2, 0, LF_STATUS_OK);
	expect_ended(test, 3, 0, LF_STATUS_OK);
	KUNIT_EXPECT_FALSE(test, ring->requests[2].repeated);
}

static void what_may_run_twice_does(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	submit(test, 2);
	stop(ring);
	start(test);
	expect_in_flight(test, 0, 2);
	KUNIT_EXPECT_TRUE(test, ring->requests[0].repeated);
	KUNIT_EXPECT_FALSE(test, ring->requests[1].repeated);
	post_good(ring, 0);
	post_good(ring, 1);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 2);
	expect_ended(test, 0, 0, LF_STATUS_OK);
	expect_ended(test, 1, 0, LF_STATUS_OK);
}

/* The one that is to blame ends, whatever its place; the others do not notice. */
static void the_guilty_one_ends_alone(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	submit(test, 3);
	stop(ring);
	KUNIT_EXPECT_TRUE(test, lf_queue_end(ring->queue, &ring->requests[0], -ETIMEDOUT));
	KUNIT_EXPECT_FALSE(test, lf_queue_end(ring->queue, &ring->requests[0], -EIO));
	expect_ended(test, 0, -ETIMEDOUT, -1);
	start(test);
	expect_in_flight(test, 1, 2);
	KUNIT_EXPECT_TRUE(test, lf_queue_is_oldest(ring->queue, &ring->requests[1]));
	KUNIT_EXPECT_FALSE(test, ring->requests[1].repeated);
}

/* It had ended by itself before the queue stood still: then it is not to blame. */
static void who_has_ended_is_not_guilty(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	submit(test, 2);
	post_good(ring, 0);
	stop(ring);
	KUNIT_EXPECT_FALSE(test, lf_queue_end(ring->queue, &ring->requests[0], -ETIMEDOUT));
	expect_ended(test, 0, 0, LF_STATUS_OK);
}

/* An aborted job may run again; its record says nothing else. */
static void aborted_ones_run_again(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	ring->requests[1].rerun = false;
	submit(test, 3);
	lf_queue_pause(ring->queue);
	post(ring, 0, 1, LF_STATUS_ABORTED);
	post(ring, 1, 2, LF_STATUS_ABORTED);
	lf_queue_settle(ring->queue);
	expect_in_flight(test, 0, 1);
	expect_ended(test, 1, 0, LF_STATUS_ABORTED);
	start(test);
	expect_in_flight(test, 2, 1);
	KUNIT_EXPECT_TRUE(test, ring->requests[0].repeated);
	KUNIT_EXPECT_TRUE(test, ring->requests[2].repeated);
}

/* After a record that cannot be, everything on the ring may have been executed. */
static void break_with(struct kunit *test, u16 tag, u16 head, u16 status, bool is_taken)
{
	struct ring *ring = ring_of(test);
	unsigned int i;

	for (i = 0; i < 4; i++)
		ring->requests[i].rerun = i == 2;
	submit(test, 4);
	post(ring, tag, head, status);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 1);
	KUNIT_EXPECT_EQ(test, ring->resets_asked, 1);
	KUNIT_EXPECT_NOT_NULL(test, ring->queue->broken);
	if (is_taken)
		expect_ended(test, 0, 0, status);
	/* Nothing is believed any more. */
	post_good(ring, 1);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 0);
	expect_in_flight(test, is_taken, 4 - is_taken);
	stop(ring);
	start(test);
	if (!is_taken)
		expect_ended(test, 0, -ECANCELED, -1);
	expect_ended(test, 1, -ECANCELED, -1);
	expect_in_flight(test, 2, 1);
	expect_ended(test, 3, -ECANCELED, -1);
	KUNIT_EXPECT_NULL(test, ring->queue->broken);
	KUNIT_EXPECT_TRUE(test, ring->requests[2].repeated);
}

static void a_tag_out_of_turn_breaks(struct kunit *test)
{
	break_with(test, 1, 2, LF_STATUS_OK, false);
}

static void a_head_before_its_tag_breaks(struct kunit *test)
{
	break_with(test, 0, 0, LF_STATUS_OK, false);
}

static void a_head_beyond_the_tail_breaks(struct kunit *test)
{
	break_with(test, 0, 5, LF_STATUS_OK, false);
}

static void a_head_beyond_the_ring_breaks(struct kunit *test)
{
	break_with(test, 0, ENTRIES + 1, LF_STATUS_OK, false);
}

static void an_unknown_status_breaks(struct kunit *test)
{
	break_with(test, 0, 1, LF_STATUS_LAST + 1, true);
}

/* What counts as a sign that resets help. */
static void good_records_alone_forgive(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	submit(test, 3);
	ring->queue->resets = ring->lf->fruitless_resets = 2;
	post(ring, 0, 1, LF_STATUS_ABORTED);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 1);
	KUNIT_EXPECT_EQ(test, ring->queue->resets, 2);
	KUNIT_EXPECT_EQ(test, ring->lf->fruitless_resets, 2);
	post_good(ring, 1);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 1);
	KUNIT_EXPECT_EQ(test, ring->queue->resets, 0);
	KUNIT_EXPECT_EQ(test, ring->lf->fruitless_resets, 0);
	ring->queue->resets = ring->lf->fruitless_resets = 2;
	post(ring, 2, 3, LF_STATUS_LAST + 1);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 1);
	KUNIT_EXPECT_EQ(test, ring->queue->resets, 2);
	KUNIT_EXPECT_EQ(test, ring->lf->fruitless_resets, 2);
}

static void a_record_of_nobody_breaks(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	post_good(ring, 0);
	lf_queue_interrupt(ring->queue);
	KUNIT_EXPECT_EQ(test, ring->resets_asked, 1);
	KUNIT_EXPECT_NOT_NULL(test, ring->queue->broken);
}

/* What comes while the queue stands still was never on the ring, and is run like new. */
static void what_comes_meanwhile_waits(struct kunit *test)
{
	struct ring *ring = ring_of(test);
	unsigned int i;

	for (i = 0; i < 2; i++)
		ring->requests[i].rerun = false;
	lf_queue_pause(ring->queue);
	submit(test, 2);
	KUNIT_EXPECT_TRUE(test, lf_queue_is_idle(ring->queue));
	KUNIT_EXPECT_FALSE(test, lf_queue_is_oldest(ring->queue, &ring->requests[0]));
	post_good(ring, 0);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 1);
	KUNIT_EXPECT_NOT_NULL(test, ring->queue->broken);
	lf_queue_settle(ring->queue);
	start(test);
	expect_in_flight(test, 0, 2);
	post_good(ring, 0);
	post_good(ring, 1);
	KUNIT_EXPECT_EQ(test, lf_queue_poll(ring->queue), 2);
	expect_ended(test, 1, 0, LF_STATUS_OK);
}

/* A second reset before the first one's device took the queue: who may have run is not found out twice. */
static void settled_once(struct kunit *test)
{
	struct ring *ring = ring_of(test);
	unsigned int i;

	for (i = 0; i < 2; i++)
		ring->requests[i].rerun = false;
	submit(test, 2);
	stop(ring);
	KUNIT_EXPECT_TRUE(test, lf_queue_end(ring->queue, &ring->requests[0], -ETIMEDOUT));
	stop(ring);
	start(test);
	expect_in_flight(test, 1, 1);
}

static void a_device_that_does_not_take_it_leaves_it_paused(struct kunit *test)
{
	struct ring *ring = ring_of(test);

	submit(test, 2);
	stop(ring);
	lf_write(ring->lf, LF_REG_QUEUE + LF_QUEUE_STRIDE * WORK + LF_QUEUE_STATE,
		 LF_QUEUE_ENABLED | LF_QUEUE_FAULT);
	KUNIT_EXPECT_EQ(test, lf_queue_start(ring->queue), -EIO);
	expect_in_flight(test, 0, 2);
	KUNIT_EXPECT_EQ(test, ring->queue->mode, LF_QUEUE_PAUSED);
	lf_queue_abort(ring->queue, -ENODEV);
	expect_ended(test, 0, -ENODEV, -1);
	expect_ended(test, 1, -ENODEV, -1);
	KUNIT_EXPECT_EQ(test, lf_queue_submit(ring->queue, &ring->requests[2]), -ENODEV);
	KUNIT_EXPECT_EQ(test, ring->ended[2].calls, 0);
}

static struct kunit_case queue_cases[] = {
	KUNIT_CASE(records_end_requests_in_their_order),
	KUNIT_CASE(the_phase_turns_with_the_ring),
	KUNIT_CASE(the_oldest_alone_may_have_run),
	KUNIT_CASE(what_may_run_twice_does),
	KUNIT_CASE(the_guilty_one_ends_alone),
	KUNIT_CASE(who_has_ended_is_not_guilty),
	KUNIT_CASE(aborted_ones_run_again),
	KUNIT_CASE(a_tag_out_of_turn_breaks),
	KUNIT_CASE(a_head_before_its_tag_breaks),
	KUNIT_CASE(a_head_beyond_the_tail_breaks),
	KUNIT_CASE(a_head_beyond_the_ring_breaks),
	KUNIT_CASE(an_unknown_status_breaks),
	KUNIT_CASE(a_record_of_nobody_breaks),
	KUNIT_CASE(good_records_alone_forgive),
	KUNIT_CASE(what_comes_meanwhile_waits),
	KUNIT_CASE(settled_once),
	KUNIT_CASE(a_device_that_does_not_take_it_leaves_it_paused),
	{},
};

static struct kunit_suite queue_suite = {
	.name = "lf_queue",
	.init = queue_test_init,
	.test_cases = queue_cases,
};
kunit_test_suite(queue_suite);
