/* SPDX-License-Identifier: MIT */
/*
 * Sentences of several tasks in one batch. The tasks share the backbone and the pool on the crossbars; each has coefficients and
 * magnitudes of its own. What is read of a crossbar is read for the whole batch at once; only the fusion of the modules and the
 * scaling to magnitudes are done task by task.
 */
#ifndef LF_TASKS_H
#define LF_TASKS_H

#include <lf/method.h>

struct lf_tasks;

/**
 * lf_tasks_create() - put tasks together
 * @methods: [@count] made by lf_lorafusion_create() for one encoder and one pool, with one merge and all with or all without
 *	magnitudes, and prepared (lf_method_prepare()); they stay the caller's and must outlive the tasks
 * @count: at least 1
 * @tasks: receives them; free with lf_tasks_free()
 * @error: reason on failure
 *
 * Return: 0, -EINVAL (no LoRAFusion, or they do not go together), -ENOMEM.
 */
int lf_tasks_create(struct lf_method *const *methods, uint32_t count, struct lf_tasks **tasks,
		    struct lf_error *error);

/** lf_tasks_free() - free, the methods not among it; must not be attached any more. NULL is ignored */
void lf_tasks_free(struct lf_tasks *tasks);

/**
 * lf_tasks_attach() - attach to the encoder of the methods, for embedding only
 * @tasks: the tasks; must stay until something else is attached
 * @error: reason on failure
 *
 * Whatever was attached before is not any more.
 *
 * Return: 0, -ENOMEM, -ENOSPC (no room for the buffers).
 */
int lf_tasks_attach(struct lf_tasks *tasks, struct lf_error *error);

/**
 * lf_tasks_forward() - embed sentences, each as its task does
 * @tasks: attached
 * @batch: the sentences
 * @which: [sequences] the task of each, an index into the methods
 * @embeddings: receives [sequences][hidden] in the order of @batch
 * @error: reason on failure
 *
 * A sentence's embedding has the bits that it has among sentences of its own task, on any device whose reads have no noise: a
 * vector is driven, converted and scaled by itself.
 *
 * Return: 0, -EINVAL (a task there is not), what lf_encoder_forward() and jobs fail with; a job of too many commands among them,
 * where the tasks of a batch are very many.
 */
int lf_tasks_forward(struct lf_tasks *tasks, const struct lf_batch *batch, const uint32_t *which,
		     float *embeddings, struct lf_error *error);

#endif
