/* SPDX-License-Identifier: MIT */
/*
 * A recipe: which method with which settings adapts which model. It is given by options, written into what training saves, and
 * read from there when that is applied.
 */
#ifndef LFCTL_RECIPE_H
#define LFCTL_RECIPE_H

#include <jansson.h>

#include <lf/method.h>

/**
 * struct recipe - how a model is adapted
 * @method: "lorafusion", "lora", "dora", "bitfit" or "head"
 * @merge: "sum" or "product"
 * @modules: of the pool, 0 for all
 * @pool_seed: draws them
 * @rank: of a LoRA
 * @alpha: of a LoRA
 * @targets: layers of a LoRA, separated by commas
 * @head: "cosine" or "linear"
 * @temperature: of the cosine head
 * @tokens: longest sentence
 */
struct recipe {
	const char *method;
	const char *merge;
	uint64_t modules;
	uint64_t pool_seed;
	uint64_t rank;
	double alpha;
	const char *targets;
	const char *head;
	double temperature;
	uint64_t tokens;
};

/** recipe_json() - as an object */
json_t *recipe_json(const struct recipe *recipe);

/** recipe_read() - from an object, which must outlive the recipe; @error names the field */
int recipe_read(struct recipe *recipe, const json_t *object, struct lf_error *error);

/** recipe_saves_peft() - does training save a PEFT directory rather than a file */
bool recipe_saves_peft(const struct recipe *recipe);

/** recipe_targets() - the mask of @targets, "q" and "v" being short for query and value */
int recipe_targets(const struct recipe *recipe, uint32_t *mask, struct lf_error *error);

#endif
