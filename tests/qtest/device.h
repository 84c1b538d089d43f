/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host without an operating system for the tests of this folder: starts QEMU
 * with one LF-1, keeps rings and buffers in its memory, submits jobs and takes
 * records. Buffers lie on scattered pages, so that page lists matter.
 */
#ifndef LF_TEST_DEVICE_H
#define LF_TEST_DEVICE_H

#include "libqtest.h"
#include "libqos/pci.h"
#include "qapi/qmp/qobject.h"
#include "lf/lf_hw.h"

#define TEST_ID "lf0"
#define TEST_QUEUES 3
#define TEST_RING_ENTRIES 4
#define TEST_JOB_COMMANDS 8
#define TEST_JOB_BUFFERS 8
#define TEST_TIMEOUT_S 30

/* Registers of a queue. */
#define WINDOW(index, reg) (LF_REG_QUEUE + LF_QUEUE_STRIDE * (index) + (reg))
#define DOORBELL(index) (LF_REG_DOORBELL + 8 * (index))

typedef struct Queue {
    uint32_t entries;
    uint64_t submissions;
    uint64_t completions;
    uint32_t tail;
    uint32_t head;
    uint16_t phase;
} Queue;

typedef struct Device {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *pci;
    QPCIDevice *port; /* the root port above it, if it is behind one */
    QPCIBar registers;
    uint64_t next_page;
    Queue queues[TEST_QUEUES];
} Device;

typedef struct Buffer {
    uint64_t list;
    uint64_t bytes;
    uint32_t page_count;
    uint64_t *pages;
} Buffer;

/* What of @submission is not zero goes to the ring in place of the right value. */
typedef struct Job {
    struct lf_submission submission;
    struct lf_command commands[TEST_JOB_COMMANDS];
    uint32_t command_count;
    const Buffer *buffers[TEST_JOB_BUFFERS];
    uint32_t buffer_count;
} Job;

/*
 * device_start() - QEMU with a device, enabled, with all queues open
 * @memory: the rest of the -object that is the memory backend
 * @options: properties of the device, beginning with a comma, or ""
 */
Device *device_start(const char *memory, const char *options);
/* The same with the memory of most tests. */
Device *device_start_default(const char *options);
/* Only QEMU with a device, found and mapped, not touched. */
Device *device_start_bare(const char *memory, const char *options,
                          const char *arguments);
/*
 * The same, enabled, behind a root port: one that reports hotplug itself, or
 * whose hotplug is ACPI's.
 */
Device *device_start_behind_port(const char *options, bool native);
/* Map the registers, enable the device, open all queues. */
void device_enable(Device *device);
void device_stop(Device *device);

/* A new folder below the one for such, to be removed and freed. */
char *test_folder(void);
/* Save the machine to @file; @end is what QEMU is to call the end of it. */
void device_save(Device *from, const char *file, const char *end);
/* The machine of @from, from here on in another process. */
Device *device_load(Device *from, const char *memory, const char *options,
                    const char *file);
/* Both, with a file of their own. */
Device *device_move(Device *from, const char *memory, const char *options);

uint32_t device_read(Device *device, uint32_t reg);
void device_write(Device *device, uint32_t reg, uint32_t value);
/*
 * Set a property of the running device as whoever runs QEMU does. What QEMU says
 * is wrong with it, to be freed; or NULL.
 */
char *device_set_text(Device *device, const char *property, const char *value);
char *device_set_number(Device *device, const char *property, int64_t value);
/* The value of a property, to be given back. */
QObject *device_get(Device *device, const char *property);
/* Wait until the bits of @mask in a register are @value. */
void device_wait(Device *device, uint32_t reg, uint32_t mask, uint32_t value);
struct lf_telemetry_block device_telemetry(Device *device);

/* @bytes of zeroed memory on pages that follow each other. */
uint64_t device_alloc(Device *device, uint64_t bytes);

void queue_open(Device *device, uint32_t index, uint32_t entries);
uint32_t queue_state(Device *device, uint32_t index);
/* Whether a record waits that has not been taken. */
bool queue_has_record(Device *device, uint32_t index);
/* Wait for it, or for the one that comes @ahead records after it. */
void queue_wait_ahead(Device *device, uint32_t index, uint32_t ahead);
void queue_wait(Device *device, uint32_t index);
/* Wait for it, take it, and tell the device. */
struct lf_completion queue_take(Device *device, uint32_t index);
/* Run a job that does nothing. */
void queue_expect_works(Device *device, uint32_t index);

Buffer *buffer_new(Device *device, uint64_t bytes);
void buffer_free(Buffer *buffer);
void buffer_write(Device *device, const Buffer *buffer, uint64_t offset,
                  const void *data, uint64_t bytes);
void buffer_read(Device *device, const Buffer *buffer, uint64_t offset,
                 void *data, uint64_t bytes);

/* Add a command; the result may be changed until the job is submitted. */
struct lf_command *job_add(Job *job, uint16_t opcode);
struct lf_operand job_buffer(Job *job, const Buffer *buffer, uint64_t offset,
                             uint32_t stride);
struct lf_operand job_scratch(uint64_t offset, uint32_t stride);
/* The smallest job there is. */
Job job_nothing(void);
/* Put a job on the ring without telling the device. */
void job_place(Device *device, uint32_t queue, Job *job);
void job_ring(Device *device, uint32_t queue);
/* Place, ring, wait for the record. */
struct lf_completion job_run(Device *device, uint32_t queue, Job *job);

uint32_t matrix_create(Device *device, uint32_t rows, uint32_t cols);
struct lf_completion matrix_program(Device *device, uint32_t matrix,
                                    uint32_t first, uint32_t rows,
                                    uint32_t cols, const int8_t *weights);
struct lf_completion matrix_command(Device *device, uint16_t opcode,
                                    uint32_t matrix);
/* Create, program and commit. */
uint32_t matrix_new(Device *device, uint32_t rows, uint32_t cols,
                    const int8_t *weights);

/* Weights and vectors that differ everywhere, from a seed. */
void fill_weights(int8_t *weights, size_t count, uint32_t seed);
void fill_vector(float *values, size_t count, uint32_t seed);
/* The number formats of lf_hw.h, per-vector absmax: returns s. */
float quantise(const float *values, size_t count, int8_t *quantised);

#endif
