/* SPDX-License-Identifier: MIT */
/* The layers a method adapts, chosen by target, and the parts of their passes that methods on the host share. */
#ifndef LF_RUNTIME_ADAPT_SITES_H
#define LF_RUNTIME_ADAPT_SITES_H

#include <lf/parallel.h>

#include "runtime/adapt/method.h"

/**
 * struct lf_site - an adapted layer
 * @index: of the linear layer
 * @inputs: elements of x
 * @outputs: elements of y
 * @first_input: inputs of the layers before it: where a group of one number an input has its own
 * @first_output: outputs of the layers before it
 */
struct lf_site {
	uint32_t index;
	uint32_t inputs;
	uint32_t outputs;
	size_t first_input;
	size_t first_output;
};

/**
 * struct lf_sites - all of them
 * @count: their number
 * @inputs: of all together
 * @outputs: of all together
 * @sites: [@count], in the order of their index
 * @of: [linears] index into @sites, or UINT32_MAX
 */
struct lf_sites {
	uint32_t count;
	size_t inputs;
	size_t outputs;
	struct lf_site *sites;
	uint32_t *of;
};

/**
 * lf_sites_create() - find the layers
 * @sites: filled; release with lf_sites_release(), also on failure
 * @config: the model
 * @targets: mask of 1 << enum lf_target
 * @name: of the method, for @error
 * @error: reason on failure
 *
 * Return: 0, -EINVAL (no target, or an unknown one), -ENOMEM.
 */
int lf_sites_create(struct lf_sites *sites, const struct lf_bert_config *config, uint32_t targets,
		    const char *name, struct lf_error *error);

/** lf_sites_release() - free */
void lf_sites_release(struct lf_sites *sites);

/** lf_sites_adapt() - is layer @index one of them */
static inline bool lf_sites_adapt(const struct lf_sites *sites, uint32_t index)
{
	return sites->of[index] != UINT32_MAX;
}

/** lf_sites_at() - the layer of a call */
static inline const struct lf_site *lf_sites_at(const struct lf_sites *sites,
						const struct lf_hook_call *call)
{
	return &sites->sites[sites->of[call->index]];
}

/** lf_sites_widest_output() - most outputs of a layer */
uint32_t lf_sites_widest_output(const struct lf_sites *sites);

/** lf_sites_biases() - the frozen biases of all, [outputs] layer by layer */
void lf_sites_biases(const struct lf_sites *sites, const struct lf_encoder *encoder, float *biases);

/** lf_view_data() - what a view of a buffer shows, for the host */
static inline float *lf_view_data(struct lf_view view)
{
	return (float *)((char *)lf_buffer_data(view.buffer) + view.offset);
}

/** lf_view_slot() - scratch of a job for [tokens][width] */
struct lf_view lf_view_slot(struct lf_job *job, uint32_t tokens, uint32_t width);

/** lf_frozen_forward() - hook function: the frozen layer alone, bias included */
void lf_frozen_forward(void *state, struct lf_job *job, const struct lf_hook_call *call);

/** lf_frozen_backward() - hook function: the gradient of the input through the frozen layer alone */
void lf_frozen_backward(void *state, struct lf_job *job, const struct lf_hook_call *call);

/** lf_scaled_forward() - command of y = @scale * @h + @bias, [tokens][outputs]; without the scale or the bias where its view is none */
void lf_scaled_forward(struct lf_job *job, const struct lf_hook_call *call, struct lf_view h,
		       struct lf_view scale, struct lf_view bias);

/** lf_nothing_done() - hook function of a pass that leaves the host nothing to do */
void lf_nothing_done(void *state, const struct lf_hook_call *call);

/* The host's part runs over pieces of the tokens, each on its own rows. */
enum { LF_PIECE = 8 };

/**
 * struct lf_piece_work - what the pieces of a layer work on
 * @method: the method
 * @call: the layer
 * @z: [tokens][...] what is kept from forward to backward, or NULL
 * @work: [tokens][...] work space, or NULL
 * @gradient: [tokens][outputs] gradient to what the method adds, or NULL
 */
struct lf_piece_work {
	const void *method;
	const struct lf_hook_call *call;
	float *z;
	float *work;
	const float *gradient;
};

/** lf_for_pieces() - call @body(@work, piece) for every run of a few tokens, on the host's threads */
void lf_for_pieces(const struct lf_piece_work *work, lf_parallel_body body);

/** lf_piece_rows() - tokens of a piece */
static inline uint32_t lf_piece_rows(const struct lf_piece_work *work, size_t piece)
{
	uint32_t rest = work->call->tokens - (uint32_t)piece * LF_PIECE;

	return rest < LF_PIECE ? rest : LF_PIECE;
}

/** lf_column_sums() - out[columns] += sum over the tokens of x [tokens][columns] */
void lf_column_sums(const struct lf_hook_call *call, float *out, const float *x, size_t columns);

#endif
