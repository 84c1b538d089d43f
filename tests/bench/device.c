// SPDX-License-Identifier: MIT
/*
 * See device.h.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu-device/model/device.h"
#include "tests/bench/device.h"
#include "tests/bench/peak.h"

#define REPEATS		   10
#define SECONDS_PER_REPEAT 0.05

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "bench: %s: %s\n", what, why);
	exit(1);
}

/* Buffers are pages of a guest or of a process, so aligned. */
static void *pages(uint64_t bytes)
{
	void *memory = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);

	if (!memory)
		fail("memory", "there is not enough");
	return memory;
}

static uint64_t heap(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
}

/* Bytes of the workspace that were never used: the system has given no pages for them. */
static uint64_t untouched(const struct workspace *workspace)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t first = ((uintptr_t)workspace->memory + page - 1) / page * page;
	uintptr_t end = ((uintptr_t)workspace->memory + workspace->bytes) / page * page;
	uint64_t bytes = 0;

	for (; workspace->memory && first < end; first += page) {
		unsigned char resident;

		if (!mincore((void *)first, page, &resident) && !(resident & 1))
			bytes += page;
	}
	return bytes;
}

uint64_t device_heap(const struct device *device)
{
	return heap() - device->heap_before - untouched(&device->xbar->workspace);
}

static void set(struct xbar_params *params, const char *settings)
{
	char message[XBAR_MESSAGE_BYTES] = "not key=value";
	char text[512], *rest = text;

	snprintf(text, sizeof(text), "%s", settings ? settings : "");
	for (char *key = strtok_r(text, ",", &rest); key; key = strtok_r(NULL, ",", &rest)) {
		char *value = strchr(key, '=');

		if (!value)
			fail(key, message);
		*value++ = 0;
		if (xbar_params_set(params, key, value, message))
			fail(key, message);
	}
}

void device_open(struct device *device, struct workers *workers, uint32_t threads,
		 const char *preset, const char *settings)
{
	const struct xbar_ops ops = { .parallel = threads > 1 ? workers_run : NULL };
	char message[XBAR_MESSAGE_BYTES] = "";

	if (xbar_params_create(preset, &device->params))
		fail(preset, "no such preset");
	set(device->params, settings);
	device->bytes = xbar_nonvolatile_bytes(device->params);
	device->memory = pages(device->bytes);
	memset(device->memory, 0, device->bytes);
	device->heap_before = heap();
	if (xbar_create(device->params, device->memory, device->bytes, &ops, workers, message,
			&device->xbar))
		fail(preset, message);
}

void device_close(struct device *device)
{
	xbar_destroy(device->xbar);
	xbar_params_free(device->params);
	free(device->memory);
}

static double best_of(struct xbar_job *job, struct lf_completion *completion)
{
	double best = 1e9;

	for (int repeat = 0; repeat < REPEATS; repeat++) {
		double start = peak_now(), seconds;
		int runs = 0;

		do {
			xbar_job_run(job, completion);
			runs++;
			seconds = peak_now() - start;
		} while (seconds < SECONDS_PER_REPEAT);
		if (seconds / runs < best)
			best = seconds / runs;
	}
	return best;
}

/* Runs one command whose buffers are contiguous; seconds when @timed. */
static double run(struct device *device, const struct lf_command *command, void *const *buffers,
		  const uint64_t *bytes, uint32_t buffer_count, bool timed,
		  struct lf_completion *completion)
{
	struct xbar_request request = {
		.commands = command,
		.command_count = 1,
		.buffer_bytes = bytes,
		.buffer_count = buffer_count,
		.management = true,
	};
	struct xbar_transfer *transfers;
	struct xbar_job *job;
	char status[16];
	uint32_t count;
	double seconds = 0;

	if (xbar_job_open(device->xbar, &request, completion, &job)) {
		snprintf(status, sizeof(status), "%u", completion->status);
		fail("refused with status", status);
	}
	transfers = xbar_job_transfers(job, &count);
	for (uint32_t i = 0; i < count; i++) {
		transfers[i].memory = (char *)buffers[transfers[i].buffer] + transfers[i].offset;
		transfers[i].memory_stride = transfers[i].stride;
	}
	xbar_job_run(job, completion);
	if (!completion->status && timed)
		seconds = best_of(job, completion);
	if (completion->status) {
		snprintf(status, sizeof(status), "%u", completion->status);
		fail("ended with status", status);
	}
	xbar_job_close(job);
	return seconds;
}

/* Sums of eight uniform bytes: near enough to trained weights. */
static int8_t draw_weight(uint64_t *state)
{
	int32_t sum = 0;

	for (int i = 0; i < 8; i++) {
		*state = *state * 6364136223846793005ull + 1442695040888963407ull;
		sum += (int32_t)(*state >> 56) - 128;
	}
	sum /= 8;
	return (int8_t)(sum < -127 ? -127 : sum);
}

uint32_t device_matrix(struct device *device, uint32_t rows, uint32_t cols)
{
	struct lf_command command = { .opcode = LF_OP_CREATE, .first = rows, .width = cols };
	struct lf_completion completion;
	uint64_t bytes = (uint64_t)rows * cols, state = 1;
	int8_t *weights = pages(bytes);
	void *buffers[] = { weights };
	uint32_t matrix;

	for (uint64_t i = 0; i < bytes; i++)
		weights[i] = draw_weight(&state);
	run(device, &command, NULL, NULL, 0, false, &completion);
	matrix = (uint32_t)completion.result;
	command = (struct lf_command){
		.opcode = LF_OP_PROGRAM,
		.matrix = matrix,
		.count = rows,
		.input = { .space = LF_SPACE_BUFFER, .stride = cols },
	};
	run(device, &command, buffers, &bytes, 1, false, &completion);
	command = (struct lf_command){ .opcode = LF_OP_COMMIT, .matrix = matrix };
	run(device, &command, NULL, NULL, 0, false, &completion);
	free(weights);
	return matrix;
}

void device_delete(struct device *device, uint32_t matrix)
{
	struct lf_command command = { .opcode = LF_OP_DELETE, .matrix = matrix };
	struct lf_completion completion;

	run(device, &command, NULL, NULL, 0, false, &completion);
}

double device_time(struct device *device, const struct product *product,
		   struct lf_completion *completion)
{
	uint32_t inputs = product->transpose ? product->cols : product->rows;
	uint32_t outputs = product->transpose ? product->rows : product->cols;
	uint64_t bytes[] = { (uint64_t)product->batch * inputs * sizeof(float),
			     (uint64_t)product->batch * outputs * sizeof(float),
			     product->cols * sizeof(float) };
	void *buffers[] = { pages(bytes[0]), pages(bytes[1]), pages(bytes[2]) };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = product->transpose ? LF_MVM_TRANSPOSE : 0,
		.matrix = product->matrix,
		.count = product->batch,
		.input = { .space = LF_SPACE_BUFFER, .stride = inputs * sizeof(float) },
		.output = { .space = LF_SPACE_BUFFER,
			    .buffer = 1,
			    .stride = outputs * sizeof(float) },
		.scale = { .space = LF_SPACE_BUFFER, .buffer = 2 },
	};
	float *input = buffers[0], *scale = buffers[2];
	uint64_t state = 2;
	double seconds;

	for (uint64_t i = 0; i < bytes[0] / sizeof(float); i++)
		input[i] = draw_weight(&state) / 32.0f;
	for (uint32_t c = 0; c < product->cols; c++)
		scale[c] = 1.0f / (float)(c + 1);
	seconds = run(device, &command, buffers, bytes, 3, true, completion);
	for (int i = 0; i < 3; i++)
		free(buffers[i]);
	return seconds;
}
