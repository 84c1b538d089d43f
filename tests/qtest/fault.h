/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One fault, raised on a running device in either of the two ways there are, and
 * what the tests of faults look at. The faults themselves are in faults.c, those
 * of jobs and of what is said of them, and in device_faults.c, those of the whole
 * device.
 */
#ifndef LF_TEST_FAULT_H
#define LF_TEST_FAULT_H

#include "device.h"

/* Of the matrix of fault_matrix(). */
#define FAULT_ROWS 64
#define FAULT_COLS 16

#define MILLISECOND_NS 1000000

/* How a test raises its fault. */
typedef enum Way {
    BY_REGISTER,
    BY_PROPERTY,
} Way;

/* Two tests, one of each way, which is their argument. */
void fault_add_tests(const char *name, void (*test)(const void *data));

/* A device whose guest may raise faults. */
Device *fault_start(void);
/* @queue is one of the device's, or -1 for any work queue. */
void fault_raise(Device *device, Way way, uint32_t code, const char *property,
                 int queue, uint32_t argument);
bool fault_is_armed(Device *device, uint32_t code);

/* What setting a property said, which is freed. */
void expect_no_error(char *error);
void expect_error(char *error, const char *part);
void expect_text(Device *device, const char *property, const char *text);

/* The smallest job there is; the record of the second. */
void submit_nothing(Device *device, uint32_t queue);
struct lf_completion run_nothing(Device *device, uint32_t queue);
uint32_t fault_matrix(Device *device);
/*
 * A product of that matrix, which the device refuses to compute while it is too
 * hot; its status. @result receives FAULT_COLS numbers.
 */
uint16_t multiply(Device *device, uint32_t matrix, float *result);
/* Without MSI-X the status register says which interrupts came. */
uint32_t take_interrupts(Device *device);

#endif
