/* SPDX-License-Identifier: MIT */
/*
 * The signal-to-noise ratio of every layer: what its outputs differ by from those of an ideal device, for the same sentences.
 */
#ifndef LFCTL_STUDY_SIGNAL_H
#define LFCTL_STUDY_SIGNAL_H

#include <stdbool.h>

#include <lf/encoder.h>
#include <lf/examples.h>

/**
 * struct study_signal - the outputs of an ideal device
 * @layers: number of layers
 * @sentences: how many of the examples were given to it
 * @batch: sentences a pass; the same for the device that is compared
 * @outputs: of each layer, [tokens][outputs], bias included
 * @used: floats of each layer
 */
struct study_signal {
	uint32_t layers;
	uint32_t sentences;
	uint32_t batch;
	float **outputs;
	size_t *used;
};

/**
 * study_signal_record() - let an ideal device say what is right
 * @signal: filled; release with study_signal_release(), also after a failure
 * @encoder: on the ideal device, method attached
 * @examples: sentences
 * @sentences: the first ones of them
 * @batch: sentences a pass
 * @error: reason on failure
 */
int study_signal_record(struct study_signal *signal, struct lf_encoder *encoder,
			const struct lf_examples *examples, uint32_t sentences, uint32_t batch,
			struct lf_error *error);

/**
 * study_signal_compare() - noise over signal of every layer of another device
 * @signal: what is right
 * @encoder: on the other device, method attached
 * @examples: as recorded
 * @own: every layer gets the ideal inputs, so that only its own errors count; else errors add up from layer to layer
 * @ratios: receives [layers]: sum of squared differences over the sum of squared outputs without bias
 * @error: reason on failure
 */
int study_signal_compare(const struct study_signal *signal, struct lf_encoder *encoder,
			 const struct lf_examples *examples, bool own, double *ratios,
			 struct lf_error *error);

/** study_signal_release() - free */
void study_signal_release(struct study_signal *signal);

#endif
