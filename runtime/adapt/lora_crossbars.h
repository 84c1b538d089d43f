/* SPDX-License-Identifier: MIT */
/* LoRA's matrices on crossbars of their own: their writing, and the passes that read them. */
#ifndef LF_RUNTIME_ADAPT_LORA_CROSSBARS_H
#define LF_RUNTIME_ADAPT_LORA_CROSSBARS_H

#include "runtime/adapt/placed.h"

struct lora;

/**
 * struct lora_crossbars - of all layers
 * @a: [sites] inputs -> r
 * @b: [sites] r -> outputs, s multiplied in
 * @scales: of all of them
 * @lanes: what a lane keeps: [sites] A x [tokens][r] and B^T dy [tokens][r]
 * @scaled: [outputs][r] s B of the layer at hand
 * @samples_a: of all @a, one behind the other
 * @samples_b: of all @b
 */
struct lora_crossbars {
	struct lf_placed *a;
	struct lf_placed *b;
	struct lf_buffer *scales;
	struct lf_buffer *lanes[LF_ENCODER_LANES];
	float *scaled;
	float *samples_a;
	float *samples_b;
};

/** lora_crossbars_create() - memory for @lora's; nothing is written. Release with lora_crossbars_release(), also on failure */
int lora_crossbars_create(struct lora *lora, struct lf_error *error);

/** lora_crossbars_release() - free, the matrices on the device included */
void lora_crossbars_release(struct lora *lora);

/** lora_crossbars_write() - make them hold the parameters; returns what lf_placed_write() does */
int lora_crossbars_write(struct lora *lora, struct lf_error *error);

/** lora_crossbars_sample() - keep what A and B of a layer are multiplied with; @z [tokens][r] is A x, NULL if the device has it */
void lora_crossbars_sample(const struct lora *lora, const struct lf_hook_call *call,
			   const float *z);

/** lora_crossbars_tensors() - what a checkpoint must hold of them: the samples. Returns how many tensors */
uint32_t lora_crossbars_tensors(const struct lora *lora, struct lf_checkpoint_tensor *tensors);

/** lora_crossbars_forward() - commands of y = W0 x + B A x + bias */
void lora_crossbars_forward(const struct lora *lora, struct lf_job *job,
			    const struct lf_hook_call *call);

/** lora_crossbars_backward() - commands of v = B^T dy and dx = W0^T dy + A^T v */
void lora_crossbars_backward(const struct lora *lora, struct lf_job *job,
			     const struct lf_hook_call *call);

/** lora_crossbars_gradients() - dA and dB from what the device has read */
void lora_crossbars_gradients(const struct lora *lora, const struct lf_hook_call *call);

#endif
