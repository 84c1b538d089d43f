/* SPDX-License-Identifier: MIT */
/* Layers with a factor per output or input that the device's digital unit multiplies with: the memory, and the passes of outputs. */
#ifndef LF_RUNTIME_ADAPT_SCALES_H
#define LF_RUNTIME_ADAPT_SCALES_H

#include "runtime/adapt/sites.h"

/**
 * struct lf_scales - of all layers
 * @sites: the layers
 * @first: [sites + 1] factors of the layers before it, and of all
 * @factors: [factors of all] what to multiply with
 * @lanes: what a lane keeps of each layer: [tokens][factors of the layer] before the multiplication
 * @lane_tokens: most tokens of a lane
 */
struct lf_scales {
	struct lf_sites sites;
	size_t *first;
	struct lf_buffer *factors;
	struct lf_buffer *lanes[LF_ENCODER_LANES];
	uint32_t lane_tokens;
};

/**
 * lf_scales_create() - memory for factors
 * @scales: with @sites found; release with lf_scales_release(), also on failure
 * @encoder: the model
 * @of_input: mask of 1 << enum lf_target, where the factors are those of the input
 * @name: of the method, for @error
 * @error: reason on failure
 *
 * Return: 0, -ENOMEM, -ENOSPC.
 */
int lf_scales_create(struct lf_scales *scales, const struct lf_encoder *encoder, uint32_t of_input,
		     const char *name, struct lf_error *error);

/** lf_scales_release() - free, the sites included */
void lf_scales_release(struct lf_scales *scales);

/** lf_scales_first() - first factor of a layer */
size_t lf_scales_first(const struct lf_scales *scales, const struct lf_hook_call *call);

/** lf_scales_view() - the factors of a layer, for the device */
struct lf_view lf_scales_view(const struct lf_scales *scales, const struct lf_hook_call *call);

/** lf_scales_trace() - what a lane keeps of a layer */
struct lf_view lf_scales_trace(const struct lf_scales *scales, const struct lf_hook_call *call);

/** lf_scales_forward() - commands of y = factor * (W0 x + @inside) + @outside, the product kept */
void lf_scales_forward(const struct lf_scales *scales, struct lf_job *job,
		       const struct lf_hook_call *call, struct lf_view inside,
		       struct lf_view outside);

/** lf_scales_backward() - commands of dx = W0^T (factor * dy) */
void lf_scales_backward(const struct lf_scales *scales, struct lf_job *job,
			const struct lf_hook_call *call);

#endif
