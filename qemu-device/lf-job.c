/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One job from its entry in the ring to its record: fetch what it consists of,
 * have the model check it, copy inputs in, calculate, copy outputs out.
 *
 * Everything the guest owns is copied once, before it is looked at, and used
 * only from the copy: nothing can change between check and use, and the model
 * sees plain arrays however the pages are scattered. A job is refused, never
 * half done, by any access that fails.
 *
 * The BQL is held but for the calculation and for short pauses in long copies.
 * Whenever it has been away the job may be orphaned: its queue was disabled or
 * reset, and not a byte more may reach the host.
 */
#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/memalign.h"
#include "lf-accel.h"
#include "trace.h"

/* Bytes copied, in about a millisecond, before others get a chance at the BQL. */
#define LF_COPY_PAUSE_BYTES (8u << 20)

/* What an access takes besides its bytes, as a number of bytes. */
#define LF_COPY_ACCESS_BYTES 512

/* Rows as far apart have their pages looked up one by one. */
#define LF_COPY_GAP_BYTES (16 * LF_PAGE_BYTES)

/* The arena of an ordinary job is kept for the next, that of a giant is not. */
#define LF_ARENA_KEEP_BYTES (128u << 20)

typedef struct LFJob {
    LFAccel *s;
    LFQueue *queue;
    uint32_t generation;
    int64_t start_ns; /* on the virtual clock */
    struct lf_submission submission;
    struct lf_command *commands;
    uint32_t command_count;
    struct lf_buffer_entry *buffers;
    uint64_t *buffer_bytes;
    uint32_t buffer_count;
    uint64_t *pages;
    size_t page_capacity;
    struct xbar_job *xbar_job;
    struct xbar_transfer *transfers;
    uint32_t transfer_count;
    size_t copied_bytes;
    struct lf_completion completion;
} LFJob;

static bool lf_job_alive(const LFJob *job)
{
    return job->queue->generation == job->generation;
}

/* End the job with @status; false, for the caller to hand on. */
static bool lf_job_refuse(LFJob *job, uint16_t status, const char *reason)
{
    trace_lf_accel_job_refused(job->queue->index,
                               le16_to_cpu(job->submission.tag), status,
                               reason);
    job->completion.status = cpu_to_le16(status);
    return false;
}

static bool lf_job_invalid(LFJob *job, const char *reason)
{
    qemu_log_mask(LOG_GUEST_ERROR, "lf-accel: job %u of queue %u: %s\n",
                  le16_to_cpu(job->submission.tag), job->queue->index, reason);
    return lf_job_refuse(job, LF_STATUS_INVALID, reason);
}

/*
 * Let go of the BQL for a moment; false when the job was orphaned meanwhile.
 * The lock is not fair: without a sleep it would be back here at once.
 */
static bool lf_job_pause(LFJob *job)
{
    qemu_mutex_unlock_iothread();
    g_usleep(1);
    qemu_mutex_lock_iothread();
    return lf_job_alive(job);
}

/* After an access to @bytes: pause when it is time; false when orphaned. */
static bool lf_job_moved(LFJob *job, uint64_t bytes)
{
    job->copied_bytes += bytes + LF_COPY_ACCESS_BYTES;
    if (job->copied_bytes < LF_COPY_PAUSE_BYTES) {
        return true;
    }
    job->copied_bytes = 0;
    return lf_job_pause(job);
}

/* The commands; everything else follows only when no barrier holds the job. */
static bool lf_job_fetch_commands(LFJob *job)
{
    const struct lf_submission *submission = &job->submission;
    uint32_t count = le32_to_cpu(submission->command_count);
    uint16_t flags = le16_to_cpu(submission->flags);
    size_t bytes = count * sizeof(*job->commands);

    if (flags & ~LF_JOB_PRIVILEGED) {
        return lf_job_invalid(job, "unknown flag");
    }
    if (!buffer_is_zero(submission->reserved, sizeof(submission->reserved))) {
        return lf_job_invalid(job, "reserved field of the entry");
    }
    if (count < 1 || count > job->s->limits.commands) {
        return lf_job_invalid(job, "number of commands");
    }
    if (le32_to_cpu(submission->scratch_bytes) > job->s->limits.scratch_bytes) {
        return lf_job_invalid(job, "bytes of scratch");
    }
    job->command_count = count;
    job->commands = g_malloc(bytes);
    if (lf_faults_strike(job->s, LF_INJECT_DMA_ERROR, job->queue) ||
        lf_dma_read(job->s, le64_to_cpu(submission->commands), job->commands,
                    bytes) != MEMTX_OK) {
        return lf_job_refuse(job, LF_STATUS_DMA, "commands");
    }
    return true;
}

static bool lf_job_fetch_buffers(LFJob *job)
{
    const struct lf_submission *submission = &job->submission;
    uint32_t count = le32_to_cpu(submission->buffer_count);
    size_t bytes = count * sizeof(*job->buffers);

    if (count > LF_JOB_BUFFERS_MAX) {
        return lf_job_invalid(job, "number of buffers");
    }
    if (count == 0) {
        return true;
    }
    job->buffer_count = count;
    job->buffers = g_malloc(bytes);
    job->buffer_bytes = g_new(uint64_t, count);
    if (lf_dma_read(job->s, le64_to_cpu(submission->buffers), job->buffers,
                    bytes) != MEMTX_OK) {
        return lf_job_refuse(job, LF_STATUS_DMA, "buffers");
    }
    for (uint32_t i = 0; i < count; i++) {
        job->buffer_bytes[i] = le64_to_cpu(job->buffers[i].bytes);
        if (job->buffer_bytes[i] >
            (uint64_t)LF_BUFFER_PAGES_MAX * LF_PAGE_BYTES) {
            return lf_job_invalid(job, "length of a buffer");
        }
        if (le64_to_cpu(job->buffers[i].pages) % sizeof(uint64_t)) {
            return lf_job_invalid(job, "alignment of a page list");
        }
    }
    return true;
}

static bool lf_job_has_barrier(const LFJob *job)
{
    for (uint32_t i = 0; i < job->command_count; i++) {
        if (le16_to_cpu(job->commands[i].opcode) == LF_OP_BARRIER) {
            return true;
        }
    }
    return false;
}

/*
 * Whether the job leaves nothing behind but its outputs, which are written at
 * its end: cut short, it can begin again from its entry in the ring.
 */
static bool lf_job_is_repeatable(const LFJob *job)
{
    for (uint32_t i = 0; i < job->command_count; i++) {
        switch (le16_to_cpu(job->commands[i].opcode)) {
        case LF_OP_BARRIER:
        case LF_OP_MVM:
        case LF_OP_FUSE:
        case LF_OP_READ:
            break;
        default:
            return false;
        }
    }
    return true;
}

/* Have the model check the job. Called without the BQL. */
static bool lf_job_open(LFJob *job)
{
    const struct lf_submission *submission = &job->submission;
    const struct xbar_request request = {
        .commands = job->commands,
        .command_count = job->command_count,
        .buffer_bytes = job->buffer_bytes,
        .buffer_count = job->buffer_count,
        .scratch_bytes = le32_to_cpu(submission->scratch_bytes),
        .job_number = le64_to_cpu(submission->job_number),
        .account = le32_to_cpu(submission->account),
        .privileged = le16_to_cpu(submission->flags) & LF_JOB_PRIVILEGED,
        .management = job->queue->index == 0,
    };
    int ret;

    ret = xbar_job_open(job->s->xbar, &request, &job->completion,
                        &job->xbar_job);
    if (ret == -EINVAL) {
        return lf_job_refuse(job, le16_to_cpu(job->completion.status),
                             "by the model");
    }
    if (ret < 0) {
        return lf_job_refuse(job, LF_STATUS_INTERNAL, strerror(-ret));
    }
    job->transfers = xbar_job_transfers(job->xbar_job, &job->transfer_count);
    return true;
}

/* Give the memory of the private copies back; no job is in progress. */
void lf_job_release_arena(LFAccel *s)
{
    qemu_vfree(s->arena);
    s->arena = NULL;
    s->arena_bytes = 0;
}

/*
 * Give each transfer its place in the arena, which is kept from job to job so
 * that its pages are there. Outputs start as zeros: should the model ever leave
 * a part out, the guest must not see there what another job left. Called
 * without the BQL.
 */
static bool lf_job_place(LFJob *job)
{
    LFAccel *s = job->s;
    uint64_t bytes = 0;
    uint8_t *next;

    for (uint32_t i = 0; i < job->transfer_count; i++) {
        struct xbar_transfer *transfer = &job->transfers[i];
        uint64_t size;

        transfer->memory_stride = transfer->row_bytes;
        if (transfer->stride != transfer->row_bytes) {
            transfer->memory_stride = ROUND_UP(transfer->row_bytes,
                                               LF_ROW_ALIGN);
        }
        if (umul64_overflow(transfer->memory_stride, transfer->rows, &size) ||
            uadd64_overflow(bytes, ROUND_UP(size, LF_ROW_ALIGN), &bytes) ||
            bytes > LF_JOB_BYTES_MAX) {
            return lf_job_invalid(job, "bytes to transfer");
        }
    }
    if (bytes > s->arena_bytes) {
        lf_job_release_arena(s);
        s->arena = qemu_try_memalign(LF_PAGE_BYTES, bytes);
        if (!s->arena) {
            return lf_job_refuse(job, LF_STATUS_INTERNAL, "out of memory");
        }
        s->arena_bytes = bytes;
    }
    next = s->arena;
    for (uint32_t i = 0; i < job->transfer_count; i++) {
        struct xbar_transfer *transfer = &job->transfers[i];
        uint64_t size = transfer->memory_stride * transfer->rows;

        transfer->memory = next;
        if (transfer->to_host) {
            memset(next, 0, size);
        }
        next += ROUND_UP(size, LF_ROW_ALIGN);
    }
    return true;
}

/* Read the part of a page list that covers a transfer into job->pages. */
static bool lf_job_fetch_pages(LFJob *job, const struct xbar_transfer *transfer,
                               uint64_t first, uint64_t last)
{
    uint64_t list = le64_to_cpu(job->buffers[transfer->buffer].pages);
    size_t count = last - first + 1;

    if (count > job->page_capacity) {
        job->pages = g_renew(uint64_t, job->pages, count);
        job->page_capacity = count;
    }
    if (lf_dma_read(job->s, list + first * sizeof(uint64_t), job->pages,
                    count * sizeof(uint64_t)) != MEMTX_OK) {
        return lf_job_refuse(job, LF_STATUS_DMA, "page list");
    }
    for (size_t i = 0; i < count; i++) {
        job->pages[i] = le64_to_cpu(job->pages[i]);
        if (job->pages[i] % LF_PAGE_BYTES) {
            return lf_job_invalid(job, "alignment of a page");
        }
    }
    return lf_job_moved(job, count * sizeof(uint64_t));
}

/* Copy one run, @offset bytes behind the start of job->pages[0]. */
static bool lf_job_copy_run(LFJob *job, bool to_host, uint64_t offset,
                            uint8_t *memory, uint64_t bytes)
{
    while (bytes) {
        size_t page = offset / LF_PAGE_BYTES;
        uint64_t address = job->pages[page] + offset % LF_PAGE_BYTES;
        uint64_t piece = MIN(bytes, LF_PAGE_BYTES - offset % LF_PAGE_BYTES);
        MemTxResult result;

        /* Pages that follow each other are one access. */
        while (piece < bytes && piece < LF_COPY_PAUSE_BYTES &&
               job->pages[page + 1] == job->pages[page] + LF_PAGE_BYTES) {
            piece = MIN(bytes, piece + LF_PAGE_BYTES);
            page++;
        }
        result = to_host ? lf_dma_write(job->s, address, memory, piece)
                         : lf_dma_read(job->s, address, memory, piece);
        if (result != MEMTX_OK) {
            return lf_job_refuse(job, LF_STATUS_DMA, "buffer");
        }
        offset += piece;
        memory += piece;
        bytes -= piece;
        if (!lf_job_moved(job, piece)) {
            return false;
        }
    }
    return true;
}

static bool lf_job_copy_transfer(LFJob *job,
                                 const struct xbar_transfer *transfer)
{
    bool packed = transfer->stride == transfer->row_bytes;
    uint32_t runs = packed ? 1 : transfer->rows;
    uint64_t run_bytes = transfer->row_bytes * (packed ? transfer->rows : 1);
    bool sparse = !packed && transfer->stride - run_bytes >= LF_COPY_GAP_BYTES;
    uint32_t looked_up = sparse ? 1 : runs;
    uint64_t offset = transfer->offset;
    uint64_t first = 0;
    uint8_t *memory = transfer->memory;

    if (transfer->rows == 0 || transfer->row_bytes == 0) {
        return true;
    }
    for (uint32_t i = 0; i < runs; i++) {
        if (i % looked_up == 0) {
            uint64_t end = offset + (looked_up - 1) * transfer->stride +
                           run_bytes;

            first = offset / LF_PAGE_BYTES;
            if (!lf_job_fetch_pages(job, transfer, first,
                                    (end - 1) / LF_PAGE_BYTES)) {
                return false;
            }
        }
        if (!lf_job_copy_run(job, transfer->to_host,
                             offset - first * LF_PAGE_BYTES, memory,
                             run_bytes)) {
            return false;
        }
        offset += transfer->stride;
        memory += transfer->memory_stride;
    }
    return true;
}

/* All inputs, or all outputs; false when refused or orphaned. */
static bool lf_job_copy(LFJob *job, bool to_host)
{
    for (uint32_t i = 0; i < job->transfer_count; i++) {
        const struct xbar_transfer *transfer = &job->transfers[i];

        if (transfer->to_host == to_host &&
            !lf_job_copy_transfer(job, transfer)) {
            return false;
        }
    }
    return true;
}

/* Everything up to the record; false when refused or orphaned. */
static bool lf_job_process(LFJob *job)
{
    LFAccel *s = job->s;
    struct lf_telemetry_block telemetry;
    uint16_t status;
    bool ready;

    if (!lf_job_fetch_buffers(job)) {
        return false;
    }
    qemu_mutex_unlock_iothread();
    ready = lf_job_open(job) && lf_job_place(job);
    qemu_mutex_lock_iothread();
    if (!ready || !lf_job_alive(job) || !lf_job_copy(job, false)) {
        return false;
    }

    qemu_mutex_unlock_iothread();
    xbar_job_run(job->xbar_job, &job->completion);
    xbar_telemetry(s->xbar, &telemetry);
    qemu_mutex_lock_iothread();

    s->telemetry = telemetry;
    status = le16_to_cpu(job->completion.status);
    if (status != LF_STATUS_OK) {
        return lf_job_refuse(job, status, "in execution");
    }
    return lf_job_alive(job) && lf_job_copy(job, true);
}

/* Whether an injected fault takes the place of the job's execution. */
static bool lf_job_inject(LFJob *job)
{
    LFAccel *s = job->s;

    if (lf_faults_strike(s, LF_INJECT_HANG_JOB, job->queue)) {
        job->queue->hung = true;
        return true;
    }
    if (lf_faults_strike(s, LF_INJECT_FAIL_JOB, job->queue)) {
        lf_job_refuse(job, LF_STATUS_INTERNAL, "injected");
        return true;
    }
    return false;
}

static void lf_job_free(LFJob *job)
{
    xbar_job_close(job->xbar_job);
    if (job->s->arena_bytes > LF_ARENA_KEEP_BYTES) {
        lf_job_release_arena(job->s);
    }
    g_free(job->pages);
    g_free(job->buffer_bytes);
    g_free(job->buffers);
    g_free(job->commands);
}

/* Cut short, and not by its queue's end: the machine stops. */
static bool lf_job_is_interrupted(const LFJob *job)
{
    return job->completion.status == cpu_to_le16(LF_STATUS_ABORTED) &&
           lf_job_alive(job);
}

/* Post the record, unless nobody is there to read it. */
static void lf_job_finish(LFJob *job)
{
    uint16_t tag = le16_to_cpu(job->submission.tag);

    if (!lf_job_alive(job)) {
        trace_lf_accel_job_orphaned(job->queue->index, tag);
        return;
    }
    job->completion.tag = job->submission.tag;
    trace_lf_accel_job_done(job->queue->index, tag,
                            le16_to_cpu(job->completion.status),
                            le64_to_cpu(job->completion.busy_ns));
    lf_pacing_complete(job->s, job->queue, job->start_ns, &job->completion);
}

/**
 * lf_job_execute() - execute the job at the head of a queue
 * @s: the device
 * @queue: chosen by lf_queue_next()
 *
 * Called on the executor thread with the BQL held, which is released meanwhile.
 * On return the job has its record; or stays at the head, because it hangs or
 * waits for another queue, or is to begin again when the machine goes on; or
 * was orphaned.
 */
void lf_job_execute(LFAccel *s, LFQueue *queue)
{
    LFJob job = {
        .s = s,
        .queue = queue,
        .generation = queue->generation,
        .start_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL),
    };

    if (!lf_queue_peek(s, queue, &job.submission)) {
        return;
    }
    trace_lf_accel_job_start(queue->index, le16_to_cpu(job.submission.tag));

    if (!lf_job_inject(&job) && lf_job_fetch_commands(&job)) {
        if (lf_job_has_barrier(&job) && lf_queue_must_wait(s, queue)) {
            trace_lf_accel_job_waits(queue->index,
                                     le16_to_cpu(job.submission.tag));
            lf_job_free(&job);
            return;
        }
        s->repeatable = lf_job_is_repeatable(&job);
        lf_job_process(&job);
    }
    if (!queue->hung && !lf_job_is_interrupted(&job)) {
        lf_job_finish(&job);
    }
    lf_job_free(&job);
}
