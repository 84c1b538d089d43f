// SPDX-License-Identifier: MIT
/* Calibrating the converters of a model from sentences; see lf/calibration.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <lf/calibration.h>

#include "runtime/adapt/pool.h"
#include "runtime/nn/encoder.h"

/**
 * struct collector - takes the inputs of one group of layers out of the passes
 * @first: first layer of the group; all of them have its input
 * @every: every how many-th token is a sample
 * @seen: tokens seen
 * @width: elements of a sample
 * @capacity: room in @samples, in vectors
 * @count: vectors in @samples
 * @samples: [@capacity][@width]
 */
struct collector {
	uint32_t first;
	uint64_t every;
	uint64_t seen;
	uint32_t width;
	uint32_t capacity;
	uint32_t count;
	float *samples;
};

struct calibration {
	struct lf_encoder *encoder;
	struct lf_pool *pool;
	const struct lf_calibration_options *options;
	struct lf_counters *counters;
	struct collector collector;
	float *embeddings; /* [batch][hidden], of no interest */
	float *products;   /* [capacity][N r], samples of a pool's B */
};

static void collect(void *argument, const struct lf_activity *activity)
{
	struct collector *collector = argument;

	if (activity->layer != collector->first)
		return;
	for (uint32_t token = 0; token < activity->tokens; token++, collector->seen++) {
		if (collector->seen % collector->every || collector->count == collector->capacity)
			continue;
		memcpy(collector->samples + (size_t)collector->count++ * collector->width,
		       activity->x + (size_t)token * activity->inputs,
		       activity->inputs * sizeof(float));
	}
}

/* The inputs that the group of layer @first gets in a pass over all sentences. */
static int collect_group(struct calibration *calibration, uint32_t first, struct lf_error *error)
{
	const struct lf_calibration_options *options = calibration->options;
	const struct lf_examples *sentences = options->sentences;
	struct collector *collector = &calibration->collector;
	int ret = 0;

	collector->first = first;
	collector->width = calibration->encoder->linears[first].inputs;
	collector->seen = 0;
	collector->count = 0;
	lf_encoder_tap(calibration->encoder, collect, collector);
	for (uint32_t at = 0; !ret && at < sentences->count; at += options->batch) {
		uint32_t rest = sentences->count - at;
		struct lf_batch batch = { rest < options->batch ? rest : options->batch,
					  sentences->start + at, sentences->tokens };

		ret = lf_encoder_forward(calibration->encoder, &batch, calibration->embeddings,
					 error);
	}
	lf_encoder_tap(calibration->encoder, NULL, NULL);
	return ret;
}

static int calibrate_matrix(struct calibration *calibration, struct lf_matrix *matrix,
			    const float *samples, struct lf_error *error)
{
	const struct lf_calibration_options *options = calibration->options;
	struct lf_calibrated calibrated = { .samples = calibration->collector.count };
	struct lf_matrix_info info;
	int ret;

	ret = lf_matrix_info(matrix, &info, error);
	if (ret)
		return ret;
	calibrated.name = (const char *)info.publication.name;
	calibrated.step_before = info.adc_step;
	ret = lf_matrix_calibrate(matrix, calibrated.samples, samples, &calibrated.step,
				  calibration->counters, error);
	if (ret)
		return lf_error_prefix(error, ret, "matrix %s", calibrated.name);
	if (options->report)
		options->report(options->argument, &calibrated);
	return 0;
}

/* What a pool's A makes of the samples, on the device. */
static int multiply_samples(struct calibration *calibration, const struct lf_linear *linear,
			    struct lf_error *error)
{
	const struct collector *collector = &calibration->collector;
	size_t in = (size_t)collector->count * linear->inputs * sizeof(float);
	size_t out = (size_t)collector->count * linear->outputs * sizeof(float);
	struct lf_buffer *buffer = NULL;
	struct lf_job *job = NULL;
	int ret;

	ret = lf_buffer_create(calibration->encoder->device, in + out, &buffer, error);
	if (!ret)
		ret = lf_job_create(calibration->encoder->device, &job, error);
	if (!ret) {
		struct lf_view x =
			lf_view_buffer(buffer, 0, linear->inputs * (uint32_t)sizeof(float));
		struct lf_view z =
			lf_view_buffer(buffer, in, linear->outputs * (uint32_t)sizeof(float));

		memcpy(lf_buffer_data(buffer), collector->samples, in);
		lf_job_begin(job, 0);
		lf_linear_forward(linear, job, collector->count, x, z, (struct lf_view){ 0 }, 0);
		ret = lf_job_submit(job, error);
	}
	if (!ret)
		ret = lf_job_wait(job, -1, error);
	if (!ret)
		memcpy(calibration->products, (char *)lf_buffer_data(buffer) + in, out);
	lf_job_destroy(job);
	lf_buffer_destroy(buffer);
	return ret;
}

static int calibrate_site(struct calibration *calibration, const struct lf_pool_site *site,
			  struct lf_error *error)
{
	int ret;

	ret = calibrate_matrix(calibration, site->a.matrix, calibration->collector.samples, error);
	if (!ret)
		ret = multiply_samples(calibration, &site->a, error);
	if (!ret)
		ret = calibrate_matrix(calibration, site->b.matrix, calibration->products, error);
	return ret;
}

static int calibrate_group(struct calibration *calibration, uint32_t first, uint32_t end,
			   struct lf_error *error)
{
	const struct lf_pool *pool = calibration->pool;
	int ret = collect_group(calibration, first, error);

	for (uint32_t index = first; !ret && index < end; index++)
		ret = calibrate_matrix(calibration, calibration->encoder->linears[index].matrix,
				       calibration->collector.samples, error);
	for (uint32_t at = 0; !ret && pool && at < pool->site_count; at++)
		if (pool->sites[at].index >= first && pool->sites[at].index < end)
			ret = calibrate_site(calibration, &pool->sites[at], error);
	return ret;
}

static int allocate(struct calibration *calibration, struct lf_error *error)
{
	const struct lf_calibration_options *options = calibration->options;
	const struct lf_bert_config *config = &calibration->encoder->config;
	struct collector *collector = &calibration->collector;
	uint64_t tokens = options->sentences->start[options->sentences->count];
	size_t widest = config->intermediate_size > config->hidden_size ? config->intermediate_size
									: config->hidden_size;
	size_t stack = calibration->pool
			       ? (size_t)calibration->pool->modules * calibration->pool->rank
			       : 1;

	collector->capacity = options->samples;
	collector->every = (tokens + options->samples - 1) / options->samples;
	collector->samples = malloc(options->samples * widest * sizeof(float));
	calibration->products = malloc(options->samples * stack * sizeof(float));
	calibration->embeddings = malloc(options->batch * config->hidden_size * sizeof(float));
	if (!collector->samples || !calibration->products || !calibration->embeddings)
		return lf_error_set(error, -ENOMEM, "no memory for %u samples", options->samples);
	return 0;
}

int lf_calibrate(struct lf_encoder *encoder, struct lf_pool *pool,
		 const struct lf_calibration_options *options, struct lf_counters *counters,
		 struct lf_error *error)
{
	uint32_t limit = lf_device_info(encoder->device)->batch, end;
	struct calibration calibration = {
		.encoder = encoder, .pool = pool, .options = options, .counters = counters
	};
	int ret;

	if (!options->samples || options->samples > limit)
		return lf_error_set(error, -EINVAL, "samples %u: 1 to %u", options->samples, limit);
	if (!options->batch || !options->sentences->count)
		return lf_error_set(error, -EINVAL, "%s must not be 0",
				    options->batch ? "sentences" : "batch");
	ret = allocate(&calibration, error);
	for (uint32_t first = 0; !ret && first < lf_encoder_layers(encoder); first = end) {
		enum lf_group group = encoder_group(first % LF_BLOCK_LINEARS);

		for (end = first + 1;
		     end % LF_BLOCK_LINEARS && encoder_group(end % LF_BLOCK_LINEARS) == group;)
			end++;
		ret = calibrate_group(&calibration, first, end, error);
	}
	free(calibration.collector.samples);
	free(calibration.products);
	free(calibration.embeddings);
	return ret;
}
