// SPDX-License-Identifier: MIT
/* lfctl calibrate: set the converters of a deployed model from sample sentences. */
#include <errno.h>

#include <lf/encoder.h>

#include "tools/lfctl/calibrate.h"
#include "tools/lfctl/open.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"

/* Sentences a pass; what is found does not depend on it. */
#define BATCH	     10

#define PLACE(field) offsetof(struct calibrate_values, field)

static const struct option_spec calibrate_options[] = {
	{ "model", OPTION_TEXT, PLACE(model), "DIR", "Hugging Face directory of the model", 0, 0 },
	{ "name", OPTION_TEXT, PLACE(name), "NAME", "what it was deployed under [model]", 0, 0 },
	{ "pool", OPTION_TEXT, PLACE(pool), "DIR", "calibrate the pool of these PEFT adapters too",
	  0, 0 },
	{ "modules", OPTION_NUMBER, PLACE(modules), "N", "modules of the pool, 0 for all [0]", 0,
	  LF_POOL_MODULES },
	{ "pool-seed", OPTION_NUMBER, PLACE(pool_seed), "S",
	  "draw them by this seed, 0 for the first ones [0]", 0, 1e15 },
	{ "samples", OPTION_TEXT, PLACE(samples), "FILE",
	  "sentences: one a line, or JSON lines with a field \"text\"", 0, 0 },
	{ "sentences", OPTION_NUMBER, PLACE(sentences), "N", "how many of them, 0 for all [64]", 0,
	  1e9 },
	{ "vectors", OPTION_NUMBER, PLACE(vectors), "N", "most samples of a matrix [256]", 1,
	  65536 },
	{ "tokens", OPTION_NUMBER, PLACE(tokens), "N", "longest sentence [32]", 2, 512 },
	{ "threads", OPTION_NUMBER, PLACE(threads), "N", "of the host, 0 for one a CPU [0]", 0,
	  256 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct calibrate_values calibrate_defaults = CALIBRATE_DEFAULTS;

static int check(const void *opaque, struct lf_error *error)
{
	const struct calibrate_values *values = opaque;

	if (!values->model || !values->samples)
		return lf_error_set(error, -EINVAL, "--%s is missing",
				    values->model ? "samples" : "model");
	if ((values->modules || values->pool_seed) && !values->pool)
		return lf_error_set(error, -EINVAL, "--%s: --pool is missing",
				    values->modules ? "modules" : "pool-seed");
	return 0;
}

int calibrate_read(const struct calibrate_values *values, struct lf_examples *sentences,
		   struct lf_error *error)
{
	struct lf_tokenizer *tokenizer;
	struct lf_dataset *dataset;
	int ret;

	ret = open_tokenizer(values->model, &tokenizer, error);
	if (ret)
		return ret;
	ret = lf_dataset_read(&dataset, values->samples, NULL, error);
	if (!ret) {
		ret = lf_examples_create(dataset, tokenizer, (uint32_t)values->tokens,
					 (uint32_t)values->sentences, sentences, error);
		lf_dataset_free(dataset);
	}
	lf_tokenizer_close(tokenizer);
	return ret;
}

/* Where the matrices are listed as they are calibrated. */
struct listing {
	json_t *matrices;
	struct progress progress;
	uint64_t total;
};

static void report(void *argument, const struct lf_calibrated *calibrated)
{
	struct listing *listing = argument;

	json_array_append_new(listing->matrices,
			      json_pack("{s:s, s:i, s:i, s:i}", "name", calibrated->name, "samples",
					(int)calibrated->samples, "step_before",
					(int)calibrated->step_before, "step",
					(int)calibrated->step));
	progress_update(&listing->progress, json_array_size(listing->matrices), listing->total);
}

int calibrate_model(struct lf_device *device, const struct calibrate_values *values,
		    const struct lf_pool_modules *modules, const struct lf_examples *sentences,
		    json_t *result, struct lf_error *error)
{
	struct lf_encoder_options options = { .directory = values->model,
					      .name = values->name,
					      .batch_sequences = BATCH,
					      .sequence_tokens = (uint32_t)values->tokens,
					      .threads = (uint32_t)values->threads };
	struct listing listing = { .matrices = json_array() };
	struct lf_calibration_options how = { .sentences = sentences,
					      .batch = BATCH,
					      .samples = (uint32_t)values->vectors,
					      .report = report,
					      .argument = &listing };
	struct lf_counters counters = { 0 };
	struct lf_encoder *encoder = NULL;
	struct lf_pool *pool = NULL;
	int ret;

	json_object_set_new(result, "matrices", listing.matrices);
	ret = lf_encoder_open(device, &options, &encoder, error);
	if (!ret && modules->count)
		ret = lf_pool_open(encoder, modules, &pool, error);
	if (!ret) {
		uint32_t sites = pool ? (uint32_t)__builtin_popcount(lf_pool_targets(pool)) *
						 lf_encoder_config(encoder)->num_hidden_layers
				      : 0;

		listing.total = lf_encoder_layers(encoder) + 2 * sites;
		progress_start(&listing.progress, "calibrate", values->common.quiet);
		ret = lf_calibrate(encoder, pool, &how, &counters, error);
		progress_end(&listing.progress);
	}
	lf_pool_close(pool);
	lf_encoder_close(encoder);
	if (!ret)
		json_object_set_new(result, "calibration", output_counters(&counters));
	return ret;
}

static int calibrate(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct calibrate_values *values = opaque;
	struct lf_examples sentences = { 0 };
	struct lf_pool_modules modules = { 0 };
	struct lf_device *device;
	int ret;

	(void)operands;
	ret = calibrate_read(values, &sentences, error);
	if (!ret && values->pool)
		ret = lf_pool_modules_find(values->pool, (uint32_t)values->modules,
					   values->pool_seed, &modules, error);
	if (!ret)
		ret = open_device(&values->common, &device, error);
	if (!ret) {
		ret = calibrate_model(device, values, &modules, &sentences, result, error);
		if (!ret)
			json_object_set_new(result, "device",
					    output_device(lf_device_info(device)));
		lf_device_close(device);
	}
	lf_pool_modules_release(&modules);
	lf_examples_release(&sentences);
	return ret;
}

const struct command calibrate_commands[] = {
	{ "calibrate",
	  NULL,
	  NULL,
	  "set the converters of a deployed model from sample sentences",
	  { calibrate_options, device_options, common_options },
	  sizeof(struct calibrate_values),
	  &calibrate_defaults,
	  check,
	  calibrate },
	{ 0 },
};
