// SPDX-License-Identifier: MIT
/*
 * How fast the model multiplies: batches through whole jobs, quantising and scaling included. Prints JSON rows of
 * {name, value, unit, peer, peer_value, limit, limit_value}; the limit is the machine's own int8 peak in the same run.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "qemu-device/model/xbar.h"
#include "tests/bench/peak.h"

#define THREADS_MAX	   64
#define REPEATS		   5
#define SECONDS_PER_REPEAT 0.1

/* Two threads or more share the pieces of a job: the caller and the workers. */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t start;
	pthread_cond_t done;
	pthread_t workers[THREADS_MAX];
	uint32_t threads;
	uint64_t round;
	uint32_t busy;
	bool stop;
	void (*work)(void *, uint32_t);
	void *argument;
	uint32_t count;
	atomic_uint next;
};

static void take_pieces(struct pool *pool)
{
	for (;;) {
		uint32_t index = atomic_fetch_add(&pool->next, 1);

		if (index >= pool->count)
			return;
		pool->work(pool->argument, index);
	}
}

static void *worker(void *argument)
{
	struct pool *pool = argument;
	uint64_t seen = 0;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		while (pool->round == seen && !pool->stop)
			pthread_cond_wait(&pool->start, &pool->lock);
		if (pool->stop)
			break;
		seen = pool->round;
		pthread_mutex_unlock(&pool->lock);
		take_pieces(pool);
		pthread_mutex_lock(&pool->lock);
		if (--pool->busy == 0)
			pthread_cond_signal(&pool->done);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void parallel(void *opaque, uint32_t count, void (*work)(void *, uint32_t), void *argument)
{
	struct pool *pool = opaque;

	pthread_mutex_lock(&pool->lock);
	pool->work = work;
	pool->argument = argument;
	pool->count = count;
	pool->busy = pool->threads - 1;
	atomic_store(&pool->next, 0);
	pool->round++;
	pthread_cond_broadcast(&pool->start);
	pthread_mutex_unlock(&pool->lock);
	take_pieces(pool);
	pthread_mutex_lock(&pool->lock);
	while (pool->busy)
		pthread_cond_wait(&pool->done, &pool->lock);
	pthread_mutex_unlock(&pool->lock);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void *need(void *memory)
{
	if (!memory) {
		fprintf(stderr, "bench_mvm: out of memory\n");
		exit(1);
	}
	return memory;
}

struct device {
	struct xbar_params *params;
	struct xbar *xbar;
	void *memory;
};

static void open_device(struct device *device, struct pool *pool, const char *preset,
			const char *const settings[][2])
{
	const struct xbar_ops ops = { .parallel = pool->threads > 1 ? parallel : NULL };
	char message[XBAR_MESSAGE_BYTES] = "unknown preset";
	uint64_t bytes;
	int error = xbar_params_create(preset, &device->params);

	for (; !error && settings && (*settings)[0]; settings++)
		error = xbar_params_set(device->params, (*settings)[0], (*settings)[1], message);
	if (!error) {
		bytes = xbar_nonvolatile_bytes(device->params);
		device->memory = need(aligned_alloc(4096, bytes));
		memset(device->memory, 0, bytes);
		error = xbar_create(device->params, device->memory, bytes, &ops, pool, message,
				    &device->xbar);
	}
	if (error) {
		fprintf(stderr, "bench_mvm: %s: %s\n", preset, message);
		exit(1);
	}
}

static void close_device(struct device *device)
{
	xbar_destroy(device->xbar);
	xbar_params_free(device->params);
	free(device->memory);
}

/* Runs one command whose buffers are contiguous; the seconds of the fastest of several runs when @timed. */
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
	uint32_t count;
	double best = 1e9;

	if (xbar_job_open(device->xbar, &request, completion, &job)) {
		fprintf(stderr, "bench_mvm: refused with status %u\n", completion->status);
		exit(1);
	}
	transfers = xbar_job_transfers(job, &count);
	for (uint32_t i = 0; i < count; i++) {
		transfers[i].memory = (char *)buffers[transfers[i].buffer] + transfers[i].offset;
		transfers[i].memory_stride = transfers[i].stride;
	}
	xbar_job_run(job, completion);
	for (int repeat = 0; timed && repeat < REPEATS; repeat++) {
		double start = now(), seconds;
		int runs = 0;

		do {
			xbar_job_run(job, completion);
			runs++;
			seconds = now() - start;
		} while (seconds < SECONDS_PER_REPEAT);
		if (seconds / runs < best)
			best = seconds / runs;
	}
	if (completion->status) {
		fprintf(stderr, "bench_mvm: ended with status %u\n", completion->status);
		exit(1);
	}
	xbar_job_close(job);
	return best;
}

/* Sums of eight uniform bytes: near enough to trained weights, which are bell-shaped. */
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

static uint32_t make_matrix(struct device *device, uint32_t rows, uint32_t cols)
{
	struct lf_command command = { .opcode = LF_OP_CREATE, .first = rows, .width = cols };
	struct lf_completion completion;
	uint64_t bytes = (uint64_t)rows * cols, state = 1;
	int8_t *weights = need(malloc(bytes));
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

struct peak {
	pthread_t thread;
	uint64_t products;
};

#define PEAK_ROUNDS 20000000ull

static void *peak_thread(void *argument)
{
	struct peak *peak = argument;

	peak->products = bench_peak_int8(PEAK_ROUNDS);
	return NULL;
}

/* GMAC/s of all threads together, 0 when the processor has no such instructions. */
static double measure_peak(uint32_t threads)
{
	double best = 0;

	for (int repeat = 0; repeat < 3; repeat++) {
		struct peak peaks[THREADS_MAX];
		double start = now(), products = 0, rate;

		for (uint32_t i = 0; i < threads; i++)
			if (pthread_create(&peaks[i].thread, NULL, peak_thread, &peaks[i]))
				exit(1);
		for (uint32_t i = 0; i < threads; i++) {
			pthread_join(peaks[i].thread, NULL);
			products += (double)peaks[i].products;
		}
		rate = products / (now() - start) / 1e9;
		if (rate > best)
			best = rate;
	}
	return best;
}

static void print_row(const char *name, double value, const char *unit, double limit)
{
	static bool later;

	printf("%s  {\"name\": \"%s\", \"value\": %.4g, \"unit\": \"%s\", \"peer\": null, "
	       "\"peer_value\": null, ",
	       later ? ",\n" : "", name, value, unit);
	if (limit > 0)
		printf("\"limit\": \"int8 peak of the same threads, measured\", "
		       "\"limit_value\": %.4g}",
		       limit);
	else
		printf("\"limit\": null, \"limit_value\": null}");
	later = true;
}

static void bench(struct device *device, const char *name, uint32_t rows, uint32_t cols,
		  uint32_t batch, bool transpose, double limit)
{
	uint32_t matrix = make_matrix(device, rows, cols);
	uint32_t inputs = transpose ? cols : rows, outputs = transpose ? rows : cols;
	uint64_t bytes[] = { (uint64_t)batch * inputs * sizeof(float),
			     (uint64_t)batch * outputs * sizeof(float), cols * sizeof(float) };
	void *buffers[] = { need(malloc(bytes[0])), need(malloc(bytes[1])),
			    need(malloc(bytes[2])) };
	struct lf_command command = {
		.opcode = LF_OP_MVM,
		.flags = transpose ? LF_MVM_TRANSPOSE : 0,
		.matrix = matrix,
		.count = batch,
		.input = { .space = LF_SPACE_BUFFER, .stride = inputs * sizeof(float) },
		.output = { .space = LF_SPACE_BUFFER,
			    .buffer = 1,
			    .stride = outputs * sizeof(float) },
		.scale = { .space = LF_SPACE_BUFFER, .buffer = 2 },
	};
	struct lf_completion completion;
	float *input = buffers[0], *scale = buffers[2];
	uint64_t state = 2;
	char row[128];
	double seconds;

	for (uint64_t i = 0; i < bytes[0] / sizeof(float); i++)
		input[i] = draw_weight(&state) / 32.0f;
	for (uint32_t c = 0; c < cols; c++)
		scale[c] = 1.0f / (float)(c + 1);
	seconds = run(device, &command, buffers, bytes, 3, true, &completion);
	snprintf(row, sizeof(row), "mvm.%s%s.%ux%u.b%u", name, transpose ? ".transpose" : "", rows,
		 cols, batch);
	print_row(row, (double)rows * cols * batch / seconds / 1e9, "GMAC/s", limit);
	if (completion.clips) {
		snprintf(row, sizeof(row), "mvm.%s%s.%ux%u.b%u.clip_rate", name,
			 transpose ? ".transpose" : "", rows, cols, batch);
		print_row(row, (double)completion.clips / (double)completion.conversions,
			  "1/conversion", 0);
	}
	for (int i = 0; i < 3; i++)
		free(buffers[i]);
}

int main(int argc, char **argv)
{
	static const char *const lossy6[][2] = { { "adc_bits", "6" }, { NULL, NULL } };
	static const char *const before6[][2] = { { "adc_bits", "6" },
						  { "adc_subtract", "before" },
						  { NULL, NULL } };
	static struct pool pool = {
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.start = PTHREAD_COND_INITIALIZER,
		.done = PTHREAD_COND_INITIALIZER,
		.threads = 2,
	};
	struct device device;
	double peak;

	if (argc > 1)
		pool.threads = (uint32_t)strtoul(argv[1], NULL, 10);
	if (pool.threads == 0 || pool.threads > THREADS_MAX) {
		fprintf(stderr, "bench_mvm: threads: 1 .. %d\n", THREADS_MAX);
		return 2;
	}
	for (uint32_t i = 1; i < pool.threads; i++)
		if (pthread_create(&pool.workers[i], NULL, worker, &pool))
			return 1;
	peak = measure_peak(pool.threads);

	printf("[\n");
	open_device(&device, &pool, "ideal", NULL);
	bench(&device, "ideal", 384, 1536, 512, false, peak);
	bench(&device, "ideal", 384, 1536, 512, true, peak);
	bench(&device, "ideal", 1536, 384, 512, false, peak);
	bench(&device, "ideal", 384, 384, 512, false, peak);
	bench(&device, "ideal", 384, 640, 512, false, peak);
	bench(&device, "ideal", 320, 384, 512, false, peak);
	bench(&device, "ideal", 384, 1536, 128, false, peak);
	bench(&device, "ideal", 384, 1536, 1, false, peak);
	close_device(&device);
	open_device(&device, &pool, "isaac", NULL);
	bench(&device, "isaac", 384, 1536, 512, false, peak);
	close_device(&device);
	open_device(&device, &pool, "isaac", lossy6);
	bench(&device, "lossy6", 384, 1536, 512, false, peak);
	bench(&device, "lossy6", 384, 1536, 1, false, peak);
	close_device(&device);
	open_device(&device, &pool, "isaac", before6);
	bench(&device, "lossy6_before", 384, 1536, 512, false, peak);
	bench(&device, "lossy6_before", 384, 1536, 512, true, peak);
	close_device(&device);
	printf("\n]\n");

	pthread_mutex_lock(&pool.lock);
	pool.stop = true;
	pthread_cond_broadcast(&pool.start);
	pthread_mutex_unlock(&pool.lock);
	for (uint32_t i = 1; i < pool.threads; i++)
		pthread_join(pool.workers[i], NULL);
	return 0;
}
