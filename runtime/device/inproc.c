// SPDX-License-Identifier: MIT
/* Opening and closing the in-process device: its specification, threads and buffers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qemu-device/model/params.h"
#include "runtime/device/inproc.h"
#include "runtime/device/preset.h"
#include "runtime/device/status.h"

/* What the model leaves to its embedder. */
#define JOB_BUFFERS	256
#define JOB_MATRICES	256
#define BUFFER_BYTES	(UINT64_C(1) << 30)

#define DEFAULT_THREADS 2

/**
 * struct options - a specification taken apart
 * @params: of the model
 * @memory: path of the file that keeps the cells, NULL for none
 * @threads: that the model's work is spread over
 */
struct options {
	struct xbar_params *params;
	char *memory;
	unsigned int threads;
};

/** struct loop - a loop of the model on its way to the pool */
struct loop {
	void (*work)(void *argument, uint32_t index);
	void *argument;
};

static void run_iteration(void *argument, size_t index)
{
	const struct loop *loop = argument;

	loop->work(loop->argument, (uint32_t)index);
}

static void parallel(void *opaque, uint32_t count, void (*work)(void *argument, uint32_t index),
		     void *argument)
{
	const struct inproc *inproc = opaque;
	struct loop loop = { work, argument };

	lf_parallel_for(inproc->pool, count, run_iteration, &loop);
}

static void persist(void *opaque, uint64_t offset, uint64_t bytes)
{
	const struct inproc *inproc = opaque;

	inproc_memory_persist(&inproc->memory, offset, bytes);
}

static int set_option(struct options *options, const char *key, const char *value,
		      struct lf_error *error)
{
	char message[XBAR_MESSAGE_BYTES];
	unsigned long threads;
	char *end;
	int err;

	if (!strcmp(key, "memory")) {
		if (!*value)
			return lf_error_set(error, -EINVAL, "memory: is empty");
		free(options->memory);
		options->memory = strdup(value);
		if (!options->memory)
			return lf_error_set(error, -ENOMEM, "memory: out of memory");
		return 0;
	}
	if (!strcmp(key, "threads")) {
		threads = strtoul(value, &end, 10);
		if (*value < '0' || *value > '9' || *end || !threads ||
		    threads > LF_PARALLEL_THREADS_MAX)
			return lf_error_set(error, -EINVAL,
					    "threads: \"%s\" is not a number of 1 .. %u", value,
					    LF_PARALLEL_THREADS_MAX);
		options->threads = (unsigned int)threads;
		return 0;
	}
	err = xbar_params_set(options->params, key, value, message);
	if (err == -ENOENT)
		return lf_error_set(error, -EINVAL,
				    "%s: neither \"memory\", \"threads\" nor a parameter of the "
				    "model",
				    key);
	/* The message begins with the key. */
	if (err)
		return lf_error_set(error, -EINVAL, "%s", message);
	return 0;
}

/* Whether one of the pairs in @text, "key=value,...", has the key of @pair. */
static bool has_key(const char *text, const char *pair)
{
	size_t length = strcspn(pair, "=");

	while (text) {
		if (strcspn(text, "=,") == length && !memcmp(text, pair, length))
			return true;
		text = strchr(text, ',');
		if (text)
			text++;
	}
	return false;
}

/* Takes "inproc[:preset|:file=PATH][,key=value...]" apart; @text is a copy that is cut up. */
static int parse(char *text, struct options *options, struct lf_error *error)
{
	char message[XBAR_MESSAGE_BYTES];
	const char *preset = "ideal";
	char *rest = text;
	char *head = strsep(&rest, ",");
	char *colon = strchr(head, ':');
	int err;

	if (colon)
		preset = colon + 1;
	options->threads = DEFAULT_THREADS;
	err = preset_params(&options->params, preset, error);
	if (err)
		return err;
	while (rest) {
		char *key = strsep(&rest, ",");
		char *value = strchr(key, '=');

		if (!value)
			return lf_error_set(error, -EINVAL, "\"%s\": not key=value", key);
		/* Which of them was meant? */
		if (has_key(rest, key))
			return lf_error_set(error, -EINVAL, "%.*s: given twice", (int)(value - key),
					    key);
		*value++ = '\0';
		err = set_option(options, key, value, error);
		if (err)
			return err;
	}
	if (xbar_params_check(options->params, message))
		return lf_error_set(error, -EINVAL, "%s", message);
	return 0;
}

static void free_options(struct options *options)
{
	xbar_params_free(options->params);
	free(options->memory);
}

static void describe(struct inproc *inproc, const char *specification)
{
	struct lf_device_info *info = &inproc->device.info;
	uint32_t effects = info->effects;
	struct xbar_limits limits;

	xbar_limits(inproc->xbar, &limits);
	*info = (struct lf_device_info){
		.kind = "inproc",
		.bus = "none",
		.formats = limits.formats,
		.job_commands = limits.commands,
		.job_buffers = JOB_BUFFERS,
		.job_matrices = JOB_MATRICES,
		.job_scratch_bytes = limits.scratch_bytes,
		.batch = limits.batch,
		.matrices = limits.matrices,
		.matrix_rows = limits.matrix_rows,
		.matrix_cols = limits.matrix_cols,
		.tiles = limits.tiles,
		.tile_rows = limits.tile_rows,
		.tile_cols = limits.tile_cols,
		.tile_weights = limits.tile_weights,
		.cell_bits = limits.cell_bits,
		.adc_bits = limits.adc_bits,
		.dac_bits = limits.dac_bits,
		.buffer_bytes = BUFFER_BYTES,
		.effects_known = true,
		.effects = effects,
	};
	snprintf(info->path, sizeof(info->path), "%s", specification);
	memcpy(info->preset, limits.preset, sizeof(info->preset));
	info->preset[sizeof(info->preset) - 1] = '\0';
}

/* The effects that the parameters do not leave out. */
static uint32_t effects_of(const struct xbar_params *params)
{
	const bool present[LF_EFFECTS] = {
		[LF_EFFECT_PROGRAMMING] = params->program_sigma || params->program_sigma_slope,
		[LF_EFFECT_READ_NOISE] = params->read_noise,
		[LF_EFFECT_RELAXATION] = xbar_params_relaxes(params),
		[LF_EFFECT_RETENTION] = params->retention_s != XBAR_INFINITE,
		[LF_EFFECT_STUCK] = params->stuck_on || params->stuck_off,
		[LF_EFFECT_ON_OFF_RATIO] = params->on_off_ratio != XBAR_INFINITE,
		[LF_EFFECT_IR_DROP] = params->ir_drop != XBAR_IR_OFF,
		[LF_EFFECT_ENDURANCE] = params->endurance != XBAR_INFINITE,
		[LF_EFFECT_TEMPERATURE] = params->temperature_coefficient,
	};
	uint32_t effects = 0;

	for (unsigned int effect = 0; effect < LF_EFFECTS; effect++)
		effects |= (uint32_t)present[effect] << effect;
	return effects;
}

/* Attaches the model to its memory and starts the threads; undone by detach(). */
static int attach(struct inproc *inproc, const struct options *options, struct lf_error *error)
{
	struct xbar_ops ops = { .parallel = parallel, .persist = options->memory ? persist : NULL };
	char message[XBAR_MESSAGE_BYTES];
	int err;

	err = inproc_memory_open(&inproc->memory, options->memory,
				 xbar_nonvolatile_bytes(options->params), error);
	if (err)
		return err;
	ops.blank = !options->memory || inproc->memory.filled;
	err = lf_parallel_create(&inproc->pool, options->threads, error);
	if (err)
		goto close_memory;
	err = xbar_create(options->params, inproc->memory.data, inproc->memory.bytes, &ops, inproc,
			  message, &inproc->xbar);
	if (err) {
		lf_error_set(error, err, "%s%s%s", options->memory ? options->memory : "",
			     options->memory ? ": " : "",
			     err == -ENOMEM ? "out of memory" : message);
		goto destroy_pool;
	}
	err = inproc_queue_start(inproc);
	if (err) {
		lf_error_set(error, err, "executor: %s", strerror(-err));
		goto destroy_model;
	}
	return 0;

destroy_model:
	xbar_destroy(inproc->xbar);
destroy_pool:
	lf_parallel_destroy(inproc->pool);
close_memory:
	inproc_memory_close(&inproc->memory, options->memory, true);
	return err;
}

static void inproc_close(struct lf_device *device)
{
	struct inproc *inproc = to_inproc(device);

	inproc_queue_stop(inproc);
	xbar_destroy(inproc->xbar);
	lf_parallel_destroy(inproc->pool);
	inproc_memory_close(&inproc->memory, NULL, false);
	pthread_mutex_destroy(&inproc->references_lock);
	free(inproc->references);
	free(inproc);
}

static int inproc_counters(struct lf_device *device, struct lf_counters *counters,
			   struct lf_error *error)
{
	struct inproc *inproc = to_inproc(device);

	pthread_mutex_lock(&inproc->queue.lock);
	*counters = inproc->counters;
	pthread_mutex_unlock(&inproc->queue.lock);
	return 0;
}

/** struct telemetry_call - a reading of the model's totals on its way through the queue */
struct telemetry_call {
	struct inproc_task task;
	struct lf_telemetry_block block;
};

static void run_telemetry(struct inproc *inproc, struct inproc_task *task)
{
	xbar_telemetry(inproc->xbar, &((struct telemetry_call *)task)->block);
}

static int inproc_telemetry(struct lf_device *device, struct lf_telemetry *telemetry,
			    struct lf_error *error)
{
	struct inproc *inproc = to_inproc(device);
	struct telemetry_call call = { .task.run = run_telemetry };

	inproc_queue_add(inproc, &call.task);
	inproc_queue_wait(inproc, &call.task, -1);
	lf_telemetry_from_block(&call.block, telemetry);
	return 0;
}

/** struct physics_call - something the model is told or asked beside its jobs, on its way through the queue */
struct physics_call {
	struct inproc_task task;
	uint64_t nanoseconds;
	int32_t temperature_mc;
	uint32_t events;
};

static void run_advance(struct inproc *inproc, struct inproc_task *task)
{
	xbar_advance_time(inproc->xbar, ((struct physics_call *)task)->nanoseconds);
}

static void run_set_temperature(struct inproc *inproc, struct inproc_task *task)
{
	xbar_set_temperature(inproc->xbar, ((struct physics_call *)task)->temperature_mc);
}

static void run_events(struct inproc *inproc, struct inproc_task *task)
{
	((struct physics_call *)task)->events = xbar_take_events(inproc->xbar);
}

static void inproc_advance(struct lf_device *device, uint64_t nanoseconds)
{
	struct physics_call call = { .task.run = run_advance, .nanoseconds = nanoseconds };

	inproc_queue_add(to_inproc(device), &call.task);
	inproc_queue_wait(to_inproc(device), &call.task, -1);
}

static void inproc_set_temperature(struct lf_device *device, int32_t temperature_mc)
{
	struct physics_call call = { .task.run = run_set_temperature,
				     .temperature_mc = temperature_mc };

	inproc_queue_add(to_inproc(device), &call.task);
	inproc_queue_wait(to_inproc(device), &call.task, -1);
}

static uint32_t inproc_events(struct lf_device *device)
{
	struct physics_call call = { .task.run = run_events };

	inproc_queue_add(to_inproc(device), &call.task);
	inproc_queue_wait(to_inproc(device), &call.task, -1);
	return call.events;
}

static int inproc_buffer_create(struct lf_buffer *buffer, struct lf_error *error)
{
	void *data = mmap(NULL, buffer->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (data == MAP_FAILED)
		return lf_error_set(error, -ENOMEM, "buffer of %zu bytes: out of memory",
				    buffer->bytes);
	buffer->data = data;
	return 0;
}

static void inproc_buffer_destroy(struct lf_buffer *buffer)
{
	munmap(buffer->data, buffer->bytes);
}

static const struct lf_backend inproc_backend = {
	.close = inproc_close,
	.counters = inproc_counters,
	.telemetry = inproc_telemetry,
	.quota = inproc_quota,
	.advance = inproc_advance,
	.set_temperature = inproc_set_temperature,
	.events = inproc_events,
	.buffer_create = inproc_buffer_create,
	.buffer_destroy = inproc_buffer_destroy,
	.matrix_create = inproc_matrix_create,
	.matrix_open = inproc_matrix_open,
	.matrix_close = inproc_matrix_close,
	.matrix_commit = inproc_matrix_commit,
	.matrix_publish = inproc_matrix_publish,
	.matrix_unlink = inproc_matrix_unlink,
	.matrix_refresh = inproc_matrix_refresh,
	.matrix_info = inproc_matrix_info,
	.matrix_list = inproc_matrix_list,
	.job_create = inproc_job_create,
	.job_destroy = inproc_job_destroy,
	.job_submit = inproc_job_submit,
	.job_wait = inproc_job_wait,
};

int lf_inproc_open(const char *specification, struct lf_device **device, struct lf_error *error)
{
	struct options options = { 0 };
	char *text = strdup(specification);
	struct inproc *inproc = calloc(1, sizeof(*inproc));
	int err;

	if (text && inproc)
		err = parse(text, &options, error);
	else
		err = lf_error_set(error, -ENOMEM, "out of memory");
	if (!err) {
		inproc->account = geteuid();
		err = attach(inproc, &options, error);
		if (!err)
			inproc->device.info.effects = effects_of(options.params);
	}
	free_options(&options);
	free(text);
	if (err) {
		free(inproc);
		return lf_error_prefix(error, err, "device \"%s\"", specification);
	}
	pthread_mutex_init(&inproc->references_lock, NULL);
	inproc->device.backend = &inproc_backend;
	describe(inproc, specification);
	*device = &inproc->device;
	return 0;
}
