// SPDX-License-Identifier: MIT
/* Signal-to-noise ratios of layers; see study_signal.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/lfctl/study_signal.h"

static int run_sentences(struct lf_encoder *encoder, const struct lf_examples *examples,
			 uint32_t sentences, uint32_t batch, struct lf_error *error)
{
	size_t hidden = lf_encoder_config(encoder)->hidden_size;
	float *embeddings = malloc(batch * hidden * sizeof(*embeddings));
	int ret = 0;

	if (!embeddings)
		return lf_error_set(error, -ENOMEM, "no memory for %u embeddings", batch);
	for (uint32_t first = 0; !ret && first < sentences; first += batch) {
		uint32_t rest = sentences - first;
		struct lf_batch piece = { rest < batch ? rest : batch, examples->start + first,
					  examples->tokens };

		ret = lf_encoder_forward(encoder, &piece, embeddings, error);
	}
	free(embeddings);
	return ret;
}

static void record(void *argument, const struct lf_activity *activity)
{
	struct study_signal *signal = argument;
	size_t count = (size_t)activity->tokens * activity->outputs;
	size_t *used = &signal->used[activity->layer];

	memcpy(signal->outputs[activity->layer] + *used, activity->y, count * sizeof(float));
	*used += count;
}

int study_signal_record(struct study_signal *signal, struct lf_encoder *encoder,
			const struct lf_examples *examples, uint32_t sentences, uint32_t batch,
			struct lf_error *error)
{
	const struct lf_bert_config *config = lf_encoder_config(encoder);
	size_t width = config->hidden_size > config->intermediate_size ? config->hidden_size
								       : config->intermediate_size;
	int ret;

	*signal = (struct study_signal){ .layers = lf_encoder_layers(encoder),
					 .sentences = sentences,
					 .batch = batch };
	signal->outputs = calloc(signal->layers, sizeof(*signal->outputs));
	signal->used = calloc(signal->layers, sizeof(*signal->used));
	for (uint32_t layer = 0; signal->outputs && signal->used && layer < signal->layers;
	     layer++) {
		signal->outputs[layer] =
			malloc((size_t)examples->start[sentences] * width * sizeof(float));
		if (!signal->outputs[layer])
			break;
	}
	if (!signal->outputs || !signal->used || !signal->outputs[signal->layers - 1])
		return lf_error_set(error, -ENOMEM, "no memory for the outputs of %u layers",
				    signal->layers);
	lf_encoder_tap(encoder, record, signal);
	ret = run_sentences(encoder, examples, sentences, batch, error);
	lf_encoder_tap(encoder, NULL, NULL);
	return ret;
}

/* What a comparison adds up, layer by layer. */
struct comparison {
	const struct study_signal *signal;
	bool own;
	size_t *seen;
	double *signals;
	double *noises;
};

static void compare(void *argument, const struct lf_activity *activity)
{
	struct comparison *comparison = argument;
	uint32_t layer = activity->layer, outputs = activity->outputs;
	const float *right = comparison->signal->outputs[layer] + comparison->seen[layer];
	size_t count = (size_t)activity->tokens * outputs;

	for (size_t at = 0; at < count; at++) {
		double bias = activity->bias ? activity->bias[at % outputs] : 0.0;
		double value = right[at] - bias, error = (double)activity->y[at] - right[at];

		comparison->signals[layer] += value * value;
		comparison->noises[layer] += error * error;
	}
	if (comparison->own)
		memcpy(activity->y, right, count * sizeof(float));
	comparison->seen[layer] += count;
}

int study_signal_compare(const struct study_signal *signal, struct lf_encoder *encoder,
			 const struct lf_examples *examples, bool own, double *ratios,
			 struct lf_error *error)
{
	struct comparison comparison = { .signal = signal, .own = own };
	int ret = -ENOMEM;

	comparison.seen = calloc(signal->layers, sizeof(*comparison.seen));
	comparison.signals = calloc(2 * signal->layers, sizeof(*comparison.signals));
	if (!comparison.seen || !comparison.signals) {
		lf_error_set(error, ret, "no memory for %u layers", signal->layers);
		goto out;
	}
	comparison.noises = comparison.signals + signal->layers;
	lf_encoder_tap(encoder, compare, &comparison);
	ret = run_sentences(encoder, examples, signal->sentences, signal->batch, error);
	lf_encoder_tap(encoder, NULL, NULL);
	for (uint32_t layer = 0; !ret && layer < signal->layers; layer++) {
		if (!(comparison.signals[layer] > 0.0))
			ret = lf_error_set(error, -EDOM, "layer %u gives nothing but its bias",
					   layer);
		ratios[layer] = comparison.noises[layer] / comparison.signals[layer];
	}
out:
	free(comparison.seen);
	free(comparison.signals);
	return ret;
}

void study_signal_release(struct study_signal *signal)
{
	for (uint32_t layer = 0; signal->outputs && layer < signal->layers; layer++)
		free(signal->outputs[layer]);
	free(signal->outputs);
	free(signal->used);
	*signal = (struct study_signal){ 0 };
}
