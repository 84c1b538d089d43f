// SPDX-License-Identifier: MIT
/*
 * Empty jobs, which hold one barrier, in the guest: the time from before the submitting ioctl to when the wait for the
 * job's fence has returned, beside what a doorbell and an interrupt cost on the same machine. Doorbell and
 * interrupt are timed by the driver (debugfs `latency`), in turn with the jobs and on the same processor. Values
 * are medians of ROUNDS. Then, with 64 jobs queued, jobs a second and interrupts a job: of empty jobs, which the device
 * may end faster than the guest submits them, and of products, which keep it busy. One JSON row a line.
 */
#include <glob.h>
#include <inttypes.h>
#include <sched.h>
#include <time.h>

#include <xf86drm.h>

#include "tests/guest/accelerator.h"
#include "tests/guest/ktap.h"

enum {
	WARM_ROUNDS = 100,
	ROUNDS = 1000,
	DEPTH = 64,
	EMPTY_JOBS = 4096,
	PRODUCTS = 512,
	SIZE = 512,
	VECTORS = 256,
};

static double now_us(void)
{
	struct timespec time;

	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &time));
	return (double)time.tv_sec * 1e6 + (double)time.tv_nsec * 1e-3;
}

static FILE *open_debugfs(const char *name)
{
	char pattern[64];
	glob_t files;
	FILE *file;

	snprintf(pattern, sizeof(pattern), "/sys/kernel/debug/accel/*/%s", name);
	CHECK_EQUAL(glob(pattern, 0, NULL, &files), 0);
	file = fopen(files.gl_pathv[0], "r");
	globfree(&files);
	CHECK(file);
	return file;
}

static void read_latency(double *doorbell_us, double *interrupt_us)
{
	FILE *file = open_debugfs("latency");
	uint64_t doorbell_ns, interrupt_ns;

	CHECK_EQUAL(fscanf(file, "doorbell_ns %" SCNu64 " interrupt_ns %" SCNu64, &doorbell_ns,
			   &interrupt_ns),
		    2);
	fclose(file);
	*doorbell_us = (double)doorbell_ns * 1e-3;
	*interrupt_us = (double)interrupt_ns * 1e-3;
}

/* Sums over the queues of jobs; queue 0 is the driver's own. */
static void read_queues(uint64_t *interrupts, uint64_t *records)
{
	FILE *file = open_debugfs("queues");
	char line[512];

	*interrupts = 0;
	*records = 0;
	while (fgets(line, sizeof(line), file)) {
		const char *counts = strstr(line, " interrupts ");
		uint64_t of_queue[2];

		CHECK(counts && sscanf(counts, " interrupts %" SCNu64 " records %" SCNu64,
				       &of_queue[0], &of_queue[1]) == 2);
		if (atoi(line) == 0)
			continue;
		*interrupts += of_queue[0];
		*records += of_queue[1];
	}
	fclose(file);
}

static struct guest_job empty_job(void)
{
	struct guest_job job = guest_job();

	guest_job_command(&job, LF_OP_BARRIER);
	return job;
}

static double time_job(int fd, uint32_t syncobj)
{
	struct guest_job job = empty_job();
	double start;

	guest_job_sync(&job, syncobj, DRM_LF_SYNC_OUT, 0);
	start = now_us();
	CHECK_OK(guest_job_submit(fd, &job));
	CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
	return now_us() - start;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(values[0]), compare);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

static void measure_one(int fd)
{
	static double job[ROUNDS], doorbell[ROUNDS], interrupt[ROUNDS], both[ROUNDS];
	uint32_t syncobj = guest_syncobj(fd);

	for (int round = -WARM_ROUNDS; round < ROUNDS; round++) {
		size_t at = round < 0 ? 0 : (size_t)round;

		job[at] = time_job(fd, syncobj);
		read_latency(&doorbell[at], &interrupt[at]);
		both[at] = doorbell[at] + interrupt[at];
	}
	CHECK_EQUAL(guest_fence_error(fd, syncobj), 1);
	drmSyncobjDestroy(fd, syncobj);
	printf("{\"name\": \"guest.doorbell\", \"value\": %.3f, \"unit\": \"us\"}\n",
	       median(doorbell, ROUNDS));
	printf("{\"name\": \"guest.interrupt\", \"value\": %.3f, \"unit\": \"us\"}\n",
	       median(interrupt, ROUNDS));
	printf("{\"name\": \"guest.submit_to_fence\", \"value\": %.3f, \"unit\": \"us\", "
	       "\"limit\": \"doorbell and interrupt\", \"limit_value\": %.3f}\n",
	       median(job, ROUNDS), median(both, ROUNDS));
}

/* Another copy of @job is submitted as soon as the oldest of DEPTH has ended. */
static void measure_deep(int fd, const struct guest_job *job, uint32_t jobs, const char *what)
{
	uint64_t interrupts_before, records_before, interrupts, records;
	uint32_t syncobjs[DEPTH];
	double start, seconds;

	for (uint32_t i = 0; i < DEPTH; i++)
		syncobjs[i] = guest_syncobj(fd);
	read_queues(&interrupts_before, &records_before);
	start = now_us();
	for (uint32_t i = 0; i < jobs + DEPTH; i++) {
		uint32_t syncobj = syncobjs[i % DEPTH];

		if (i >= DEPTH)
			CHECK_OK(guest_wait(fd, syncobj, GUEST_WAIT_MS));
		if (i < jobs) {
			struct guest_job copy = *job;

			guest_job_sync(&copy, syncobj, DRM_LF_SYNC_OUT, 0);
			CHECK_OK(guest_job_submit(fd, &copy));
		}
	}
	seconds = (now_us() - start) * 1e-6;
	read_queues(&interrupts, &records);
	CHECK_EQUAL(records - records_before, jobs);
	for (uint32_t i = 0; i < DEPTH; i++) {
		CHECK_EQUAL(guest_fence_error(fd, syncobjs[i]), 1);
		drmSyncobjDestroy(fd, syncobjs[i]);
	}
	printf("{\"name\": \"guest.jobs_per_second.%s\", \"value\": %.1f, \"unit\": \"1/s\"}\n",
	       what, jobs / seconds);
	printf("{\"name\": \"guest.interrupts_per_job.%s\", \"value\": %.4f, \"unit\": \"1\"}\n",
	       what, (double)(interrupts - interrupts_before) / jobs);
}

/* Products that take the device longer than submitting them takes the guest. */
static void measure_products(int fd)
{
	static int8_t weights[SIZE * SIZE];
	uint32_t matrix = guest_matrix(fd, SIZE, SIZE, 1, weights);
	uint64_t bytes = (uint64_t)VECTORS * SIZE * sizeof(float), seed = 1;
	struct guest_buffer buffer = guest_buffer(fd, 2 * bytes);
	struct guest_job job = guest_multiply_job(buffer.handle, matrix, SIZE, SIZE, bytes);
	float *input = buffer.memory;

	job.commands[0].count = VECTORS;
	for (uint32_t i = 0; i < VECTORS * SIZE; i++)
		input[i] = guest_float(&seed);
	measure_deep(fd, &job, PRODUCTS, "q64.products");
	guest_buffer_close(fd, &buffer);
	CHECK_OK(guest_matrix_close(fd, matrix));
}

int main(void)
{
	struct guest_job empty;
	cpu_set_t one;
	int fd;

	/* A file's jobs are on the queue of the processor that opens it. */
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CHECK_OK(sched_setaffinity(0, sizeof(one), &one));
	fd = guest_open();
	measure_one(fd);
	empty = empty_job();
	measure_deep(fd, &empty, EMPTY_JOBS, "q64");
	measure_products(fd);
	return 0;
}
