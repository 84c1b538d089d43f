/* SPDX-License-Identifier: MIT */
/*
 * Checkpoints: everything a training run needs to go on as if it had never stopped. A safetensors
 * file with a checksum; which tensors there are is the business of whoever saves them.
 */
#ifndef LF_CHECKPOINT_H
#define LF_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include <lf/error.h>
#include <lf/safetensors.h>

#define LF_CHECKPOINT_SCHEMA_VERSION   1
#define LF_CHECKPOINT_MAX_RANDOM_WORDS 16

/**
 * struct lf_checkpoint_tensor - a named array of a run: parameters, moments, ...
 * @name: unique within a checkpoint
 * @rank: number of dimensions, at most LF_SAFETENSORS_MAX_RANK
 * @shape: sizes, slowest first
 * @values: product(@shape) float32, borrowed
 */
struct lf_checkpoint_tensor {
	const char *name;
	unsigned int rank;
	uint64_t shape[LF_SAFETENSORS_MAX_RANK];
	const float *values;
};

/**
 * struct lf_checkpoint_state - what is saved
 * @step: optimiser steps done
 * @config: JSON object that tells whether a checkpoint belongs to a run
 * @random_word_count: number of @random_words
 * @random_words: state of the random generators
 * @tensors: [@tensor_count] the arrays
 * @tensor_count: their number
 */
struct lf_checkpoint_state {
	uint64_t step;
	const char *config;
	unsigned int random_word_count;
	uint64_t random_words[LF_CHECKPOINT_MAX_RANDOM_WORDS];
	const struct lf_checkpoint_tensor *tensors;
	size_t tensor_count;
};

/**
 * lf_checkpoint_save() - write a checkpoint
 * @path: file name; an older checkpoint there is replaced in one step
 * @state: what to save
 * @error: names the file or the tensor; may be NULL
 *
 * A value that is not finite is refused, so that a run that has diverged leaves the last good
 * checkpoint in place.
 *
 * Return: 0, -EINVAL, -EEXIST for a repeated name, -EDOM, -ENOMEM, or what open, write, fsync and
 * rename fail with.
 */
int lf_checkpoint_save(const char *path, const struct lf_checkpoint_state *state,
		       struct lf_error *error);

struct lf_checkpoint;

/**
 * lf_checkpoint_open() - read a checkpoint and verify its checksum
 * @checkpoint: receives the checkpoint, freed with lf_checkpoint_close(); untouched on failure
 * @path: file name
 * @error: names the file and the field; may be NULL
 *
 * Return: 0, -EBADMSG for a damaged file, -EINVAL for one that is no checkpoint, -ENOTSUP for one
 * of another schema version, -ENOMEM, or what open fails with.
 */
int lf_checkpoint_open(struct lf_checkpoint **checkpoint, const char *path, struct lf_error *error);

/**
 * lf_checkpoint_close() - free a checkpoint
 * @checkpoint: a checkpoint or NULL
 */
void lf_checkpoint_close(struct lf_checkpoint *checkpoint);

/**
 * lf_checkpoint_step() - optimiser steps done
 * @checkpoint: an open checkpoint
 *
 * Return: the step as saved.
 */
uint64_t lf_checkpoint_step(const struct lf_checkpoint *checkpoint);

/**
 * lf_checkpoint_config() - the configuration of the run
 * @checkpoint: an open checkpoint
 *
 * Return: a JSON object as text, byte for byte as saved, owned by @checkpoint.
 */
const char *lf_checkpoint_config(const struct lf_checkpoint *checkpoint);

/**
 * lf_checkpoint_random_words() - state of the random generators
 * @checkpoint: an open checkpoint
 * @count: number of words the caller expects
 * @words: [@count] receives them
 * @error: may be NULL
 *
 * Return: 0, or -EINVAL when another number was saved.
 */
int lf_checkpoint_random_words(const struct lf_checkpoint *checkpoint, unsigned int count,
			       uint64_t *words, struct lf_error *error);

/**
 * lf_checkpoint_tensor_count() - number of arrays
 * @checkpoint: an open checkpoint
 *
 * Return: the number; a caller that has read fewer has missed some.
 */
size_t lf_checkpoint_tensor_count(const struct lf_checkpoint *checkpoint);

/**
 * lf_checkpoint_size() - elements of one array
 * @checkpoint: an open checkpoint
 * @name: its name
 *
 * Return: the product of its shape, 0 when there is none of this name.
 */
size_t lf_checkpoint_size(const struct lf_checkpoint *checkpoint, const char *name);

/**
 * lf_checkpoint_read() - copy one array out
 * @checkpoint: an open checkpoint
 * @name: its name
 * @rank: expected number of dimensions
 * @shape: [@rank] expected sizes
 * @values: receives product(@shape) float32, bit for bit as saved
 * @error: names the tensor, the expected and the found shape; may be NULL
 *
 * Return: 0, -ENOENT, or -EINVAL for another shape.
 */
int lf_checkpoint_read(const struct lf_checkpoint *checkpoint, const char *name, unsigned int rank,
		       const uint64_t *shape, float *values, struct lf_error *error);

#endif
