/* SPDX-License-Identifier: MIT */
/*
 * How an adaptation method takes part in the encoder's passes: it is asked to compute the linear layers it adapts, forward
 * and backward, partly by commands in the encoder's own jobs and partly on the host once a job is done.
 */
#ifndef LF_RUNTIME_NN_HOOK_H
#define LF_RUNTIME_NN_HOOK_H

#include "runtime/nn/linear.h"

struct lf_parallel;

/* The linear layers of a block, in the order of their index: linear = block * LF_BLOCK_LINEARS + kind. */
enum lf_block_linear {
	LF_LINEAR_QUERY,
	LF_LINEAR_KEY,
	LF_LINEAR_VALUE,
	LF_LINEAR_ATTENTION_OUTPUT,
	LF_LINEAR_INTERMEDIATE,
	LF_LINEAR_OUTPUT,
	LF_BLOCK_LINEARS,
};

/**
 * struct lf_hook_call - one adapted layer in one micro-batch
 * @linear: the frozen layer
 * @index: its index in the model
 * @lane: micro-batch, 0 .. LF_ENCODER_LANES - 1; data a hook keeps from forward to backward is kept by lane
 * @tokens: rows of everything below
 * @x: [@tokens][inputs] in a buffer
 * @y: [@tokens][outputs] in a buffer
 * @dy: [@tokens][outputs] in a buffer; backward only
 * @dx: [@tokens][inputs] where commands add to the gradient of the input, in scratch; LF_VIEW_NONE if nobody
 *	needs it
 * @x_data: @x for the host
 * @y_data: @y for the host
 * @dy_data: @dy for the host
 * @dx_data: [@tokens][inputs], to be added to by the host in backward_done; NULL if nobody needs it
 * @training: a backward pass may follow
 * @simd: host kernels
 * @parallel: host threads
 */
struct lf_hook_call {
	const struct lf_linear *linear;
	uint32_t index;
	uint32_t lane;
	uint32_t tokens;
	struct lf_view x;
	struct lf_view y;
	struct lf_view dy;
	struct lf_view dx;
	float *x_data;
	float *y_data;
	float *dy_data;
	float *dx_data;
	bool training;
	const struct lf_simd_ops *simd;
	struct lf_parallel *parallel;
};

/* Micro-batches in flight: while the device multiplies one, the host works on the other. */
#define LF_ENCODER_LANES 2

/**
 * struct lf_hook_ops - what a method does for a layer it adapts
 * @adapts: is layer @index adapted
 * @forward: add commands that leave the layer's output in @y, bias included
 * @forward_done: the job is done; finish @y_data on the host
 * @backward: add commands; the frozen part is the hook's to add as well
 * @backward_done: the job is done; add to the gradients, and to @dx_data
 *
 * Called in a fixed order, lane by lane, from one thread.
 */
struct lf_hook_ops {
	bool (*adapts)(const void *state, uint32_t index);
	void (*forward)(void *state, struct lf_job *job, const struct lf_hook_call *call);
	void (*forward_done)(void *state, const struct lf_hook_call *call);
	void (*backward)(void *state, struct lf_job *job, const struct lf_hook_call *call);
	void (*backward_done)(void *state, const struct lf_hook_call *call);
};

struct lf_hook {
	const struct lf_hook_ops *ops;
	void *state;
};

#endif
