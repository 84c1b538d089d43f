/* SPDX-License-Identifier: MIT */
/*
 * A device of the model on memory of its own, with a matrix, and how long jobs on it take.
 */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include <stdbool.h>

#include "qemu-device/model/xbar.h"
#include "tests/bench/workers.h"

/**
 * struct device - the device; whatever fails ends the program
 * @memory: its non-volatile memory, @bytes
 */
struct device {
	struct xbar_params *params;
	struct xbar *xbar;
	void *memory;
	uint64_t bytes;
	uint64_t heap_before;
};

/* One MVM of @batch vectors with the matrix, fp32 in and out, with a scale for each column. */
struct product {
	uint32_t matrix;
	uint32_t rows;
	uint32_t cols;
	uint32_t batch;
	bool transpose;
};

/* @settings are "key=value,key=value". */
void device_open(struct device *device, struct workers *workers, uint32_t threads,
		 const char *preset, const char *settings);
void device_close(struct device *device);

/* Bytes that the model has allocated since the device was opened, without those of its workspace that it never used. */
uint64_t device_heap(const struct device *device);

/* A matrix of weights as training leaves them: bell-shaped. Its identifier. */
uint32_t device_matrix(struct device *device, uint32_t rows, uint32_t cols);

void device_delete(struct device *device, uint32_t matrix);

/* Seconds of the fastest of several runs; @completion is of the last. */
double device_time(struct device *device, const struct product *product,
		   struct lf_completion *completion);

#endif
