/* SPDX-License-Identifier: MIT */
/*
 * The pool: N pretrained LoRA modules resident on crossbars beside the backbone, stacked layer by layer so that one read
 * serves them all.
 */
#ifndef LF_POOL_H
#define LF_POOL_H

#include <lf/encoder.h>

struct lf_pool;

/** LF_POOL_MODULES - most modules of a pool */
#define LF_POOL_MODULES 256

/**
 * struct lf_pool_modules - which modules make a pool, and in which order
 * @directories: [@count] PEFT directories
 * @count: how many
 */
struct lf_pool_modules {
	char **directories;
	uint32_t count;
};

/**
 * lf_pool_modules_find() - choose modules from a directory of PEFT directories
 * @directory: its subdirectories that hold an adapter_config.json are the candidates, in the order of their names
 * @count: how many to take, 0 for all
 * @seed: 0 takes the first ones; any other value draws @count of them
 * @modules: receives them; release with lf_pool_modules_release()
 * @error: reason on failure
 *
 * Return: 0, -ENOENT (no such directory), -EINVAL (fewer than @count), -ENOMEM.
 */
int lf_pool_modules_find(const char *directory, uint32_t count, uint64_t seed,
			 struct lf_pool_modules *modules, struct lf_error *error);

/** lf_pool_modules_release() - free */
void lf_pool_modules_release(struct lf_pool_modules *modules);

/**
 * lf_pool_deploy() - program a pool and publish it
 * @device: where to
 * @directory: model the modules belong to
 * @name: name that model was deployed under
 * @modules: the modules; all adapt the same layers with the same rank
 * @mode: read permission bits
 * @progress: told after each matrix, may be NULL
 * @argument: for @progress
 * @counters: what it cost is added, may be NULL
 * @error: reason on failure; names the module
 *
 * For every adapted layer two matrices are programmed: A [inputs][N r], the modules side by side, and
 * B [N r][outputs], with each module's scale alpha / r (or alpha / sqrt r) multiplied in. Their names
 * carry a checksum of the modules, so that another pool cannot be taken for this one.
 *
 * Return: 0, -EINVAL (modules do not fit the model or each other), -EEXIST, -ENOSPC, ...
 */
int lf_pool_deploy(struct lf_device *device, const char *directory, const char *name,
		   const struct lf_pool_modules *modules, uint32_t mode, lf_progress progress,
		   void *argument, struct lf_counters *counters, struct lf_error *error);

/**
 * struct lf_deploy_options - what to deploy
 * @directory: Hugging Face directory of the model
 * @name: name of the model, as for lf_encoder_deploy()
 * @modules: the pool beside it, NULL for none
 * @pool_only: the model is there already
 * @mode: read permission bits
 * @progress: told after each matrix, may be NULL
 * @argument: for @progress
 */
struct lf_deploy_options {
	const char *directory;
	const char *name;
	const struct lf_pool_modules *modules;
	bool pool_only;
	uint32_t mode;
	lf_progress progress;
	void *argument;
};

/**
 * lf_deploy() - program and publish a model and a pool beside it, both or neither
 * @device: where to
 * @options: what
 * @counters: what it cost is added, may be NULL
 * @error: reason on failure
 *
 * Files are read and checked, names looked up and tiles taken before the first cell is written, so that every refusal for
 * those reasons leaves the cells as they were.
 *
 * Return: as lf_encoder_deploy() and lf_pool_deploy().
 */
int lf_deploy(struct lf_device *device, const struct lf_deploy_options *options,
	      struct lf_counters *counters, struct lf_error *error);

/**
 * lf_pool_open() - open a deployed pool
 * @encoder: the model it belongs to; must outlive the pool
 * @modules: as deployed
 * @pool: receives the pool; close with lf_pool_close()
 * @error: reason on failure
 *
 * Return: 0, -ENOENT (these modules are not deployed), ...
 */
int lf_pool_open(struct lf_encoder *encoder, const struct lf_pool_modules *modules,
		 struct lf_pool **pool, struct lf_error *error);

/** lf_pool_close() - close; NULL is ignored */
void lf_pool_close(struct lf_pool *pool);

/** lf_pool_checksum() - CRC-32C of the modules' matrices and scales in their order: which pool this is */
uint32_t lf_pool_checksum(const struct lf_pool *pool);

/** lf_pool_rank() - rank of the modules */
uint32_t lf_pool_rank(const struct lf_pool *pool);

/** lf_pool_targets() - the layers of a block that the modules adapt, a mask of 1 << enum lf_target */
uint32_t lf_pool_targets(const struct lf_pool *pool);

#endif
