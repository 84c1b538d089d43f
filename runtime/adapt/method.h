/* SPDX-License-Identifier: MIT */
/* What every adaptation method is made of; each embeds struct lf_method as its first member. */
#ifndef LF_RUNTIME_ADAPT_METHOD_H
#define LF_RUNTIME_ADAPT_METHOD_H

#include <lf/method.h>

#include "runtime/nn/encoder.h"

#define LF_METHOD_GROUPS 4

/**
 * struct lf_method_ops - what a method does beyond the hook
 * @name: of the method
 * @start: draw initial parameters
 * @prepare: bring what depends on the parameters up to date; may be NULL
 * @halfway: half of the steps of a training are done, and the next begins; may be NULL
 * @derived: add tensors beyond the parameters to a checkpoint, returns how many; may be NULL
 * @restored: the tensors have been read; refuse what they cannot hold; may be NULL
 * @share: how many numbers of a group belong to adapted layer @index, the layers following one another; NULL where it is one or
 *	more an output in all groups
 * @write: write it as a PEFT adapter; NULL for what is no LoRA
 * @destroy: free
 */
struct lf_method_ops {
	const char *name;
	int (*start)(struct lf_method *method, uint64_t seed, struct lf_error *error);
	int (*prepare)(struct lf_method *method, struct lf_error *error);
	void (*halfway)(struct lf_method *method);
	uint32_t (*derived)(const struct lf_method *method, struct lf_checkpoint_tensor *tensors);
	int (*restored)(struct lf_method *method, struct lf_error *error);
	size_t (*share)(const struct lf_method *method, uint32_t group, uint32_t index);
	int (*write)(const struct lf_method *method, const char *directory, const char *base_model,
		     struct lf_error *error);
	void (*destroy)(struct lf_method *method);
};

struct lf_method {
	const struct lf_method_ops *ops;
	struct lf_encoder *encoder;
	struct lf_hook hook;
	struct lf_parameters groups[LF_METHOD_GROUPS];
	uint32_t group_count;
	float *storage; /* values and gradients of all groups */
	bool finished;	/* trained: LF_PLACE_ONCE is now */
	struct lf_method_writes writes;
};

/**
 * lf_method_new() - memory for a method, zeros but for what is given here
 * @size_bytes: of the struct that embeds struct lf_method as its first member
 * @ops: what it does
 * @hook_ops: what it does in the encoder's passes; the struct is their state
 * @encoder: the backbone
 * @error: reason on failure
 *
 * Return: the struct, to be freed with lf_method_free(), or NULL without memory.
 */
void *lf_method_new(size_t size_bytes, const struct lf_method_ops *ops,
		    const struct lf_hook_ops *hook_ops, struct lf_encoder *encoder,
		    struct lf_error *error);

/**
 * lf_method_created() - the end of what makes a method
 * @ret: how that went
 * @made: the method, as far as it is there; NULL if nothing is
 * @method: receives @made where @ret is 0; else it is freed
 *
 * Return: @ret.
 */
int lf_method_created(int ret, struct lf_method *made, struct lf_method **method);

/**
 * lf_method_allocate() - memory for the values and gradients of groups whose count is set
 * Both start as zeros.
 */
int lf_method_allocate(struct lf_method *method, struct lf_error *error);

/** LF_METHOD_PLACE_BYTES - room for what lf_method_place() says */
#define LF_METHOD_PLACE_BYTES (LF_LINEAR_PATH_BYTES + 64)

/** lf_method_place() - which number of a group is meant, for messages: the group, the number and the layer it belongs to */
void lf_method_place(const struct lf_method *method, uint32_t group, size_t number,
		     char text[LF_METHOD_PLACE_BYTES]);

#endif
