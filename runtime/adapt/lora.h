/* SPDX-License-Identifier: MIT */
/* The inside of LoRA, for the methods that add to it; see lora.c for the formulas. */
#ifndef LF_RUNTIME_ADAPT_LORA_H
#define LF_RUNTIME_ADAPT_LORA_H

#include "runtime/adapt/lora_crossbars.h"
#include "runtime/adapt/sites.h"

enum { LORA_A, LORA_B, LORA_GROUPS };

/**
 * struct lora - LoRA, or the part of a method that is one
 * @method: first, as in every method
 * @options: as given
 * @scale: s = alpha / r
 * @sites: the adapted layers; A [r][inputs] of a layer is at r first_input of its group, B [outputs][r] at r first_output
 * @transposed: the group of B as [r][outputs] a layer, made by lora_prepare()
 * @traces: [lanes][sites][tokens][r] A x
 * @work: [tokens][r]
 * @lane_tokens: most tokens of a lane
 * @crossbars: where A and B are when @on_crossbars; NULL with a place on the host
 * @on_crossbars: passes read them there
 */
struct lora {
	struct lf_method method;
	struct lf_lora_options options;
	float scale;
	struct lf_sites sites;
	float *transposed;
	float *traces;
	float *work;
	uint32_t lane_tokens;
	struct lora_crossbars *crossbars;
	bool on_crossbars;
};

/**
 * lora_init() - set up the groups of A and B and all memory but theirs
 * @lora: zeroes, with @method.ops and .encoder set; free with lora_release(), also on failure
 *
 * Return: 0, -EINVAL (rank, targets), -ENOMEM.
 */
int lora_init(struct lora *lora, const struct lf_lora_options *options, struct lf_error *error);

/** lora_release() - free what lora_init() made */
void lora_release(struct lora *lora);

/** lora_start() - draw A, set B to zero */
int lora_start(struct lf_method *method, uint64_t seed, struct lf_error *error);

/** lora_share() - of A, of B, and of what has one number an output */
size_t lora_share(const struct lf_method *method, uint32_t group, uint32_t index);

/** lora_prepare() - transpose B */
int lora_prepare(struct lf_method *method, struct lf_error *error);

/** lora_add_forward() - y_data += s B A x; keeps A x */
void lora_add_forward(const struct lora *lora, const struct lf_hook_call *call);

/** lora_add_backward() - from the @gradient [tokens][outputs] to s B A x: dA, dB and, if wanted, dx */
void lora_add_backward(const struct lora *lora, const struct lf_hook_call *call,
		       const float *gradient);

/** lora_add_gradients() - dA and dB from @gradient, @z = A x [tokens][r], which is used up, and @v = s B^T gradient [tokens][r] */
void lora_add_gradients(const struct lora *lora, const struct lf_hook_call *call,
			const float *gradient, float *z, const float *v);

/** lora_write() - lf_lora_write() with @magnitudes [outputs of all layers], or NULL */
int lora_write(const struct lora *lora, const float *magnitudes, const char *directory,
	       const char *base_model, struct lf_error *error);

#endif
