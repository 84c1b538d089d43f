/* SPDX-License-Identifier: MIT */
/*
 * A recipe: which method with which settings adapts which model. It is given by options, written into what training saves, and
 * read from there when that is applied.
 */
#ifndef LFCTL_RECIPE_H
#define LFCTL_RECIPE_H

#include <jansson.h>

#include <lf/head.h>
#include <lf/method.h>

/* What a method has; a mask. */
enum recipe_trait {
	RECIPE_POOL = 1 << 0,	 /* the modules of a pool, put together by a merge */
	RECIPE_RANK = 1 << 1,	 /* a rank */
	RECIPE_ALPHA = 1 << 2,	 /* an alpha */
	RECIPE_TARGETS = 1 << 3, /* layers it adapts, chosen by name */
	RECIPE_PLACE = 1 << 4,	 /* matrices that can be on crossbars */
	RECIPE_TRAINS =
		1 << 5, /* gradients: a rate, epochs, checkpoints, a trained head beside it */
	RECIPE_CHOOSES =
		1 << 6, /* coefficients chosen on the training examples, without gradients */
	RECIPE_FUSION =
		1 << 7, /* what LoRAFusion alone has: magnitudes, pruning, coefficients a block */
	RECIPE_L1 = 1 << 8,    /* an L1 term on coefficients */
	RECIPE_FILE = 1 << 9,  /* a file that eval takes */
	RECIPE_PEFT = 1 << 10, /* a PEFT directory */
};

/**
 * struct recipe_method - a method of the table
 * @name: of --method and of the experiments' files
 * @title: for people
 * @traits: mask of enum recipe_trait
 * @targets: layers where none are named
 * @merge: of the pool where none is named, NULL without a pool
 */
struct recipe_method {
	const char *name;
	const char *title;
	unsigned int traits;
	const char *targets;
	const char *merge;
};

/** recipe_methods - all of them, ended by one without a name */
extern const struct recipe_method recipe_methods[];

/* The names, as a choice of options has them. */
#define RECIPE_METHOD_NAMES                                                                         \
	"zero-shot|majority|head|full|lora|dora|vera|ia3|bitfit|magnitude|lorafusion|uniform|best-" \
	"single|lorahub"

/** recipe_method() - by its name, NULL if there is none */
const struct recipe_method *recipe_method(const char *name);

/**
 * struct recipe - how a model is adapted; NULL for a text is the method's own default
 * @method: name of a struct recipe_method
 * @merge: "sum" or "product"
 * @coefficients: "block" or "model"
 * @no_magnitude: LoRAFusion with coefficients only
 * @l1: factor of mean |c|, below 0 for the method's own
 * @prune: share of coefficients that become zero at half time
 * @switch_off: share of the largest of a block below which coefficients become zero at half time
 * @place: "host", "once" or "each-step"
 * @evaluations: of lorahub
 * @projection_seed: of VeRA's random matrices
 * @modules: of the pool, 0 for all
 * @pool_seed: draws them
 * @rank: of a LoRA or VeRA, 0 for 16
 * @alpha: of a LoRA, 0 for 32
 * @targets: layers, separated by commas
 * @head: "cosine" or "linear"
 * @temperature: of the cosine head
 * @tokens: longest sentence
 */
struct recipe {
	const char *method;
	const char *merge;
	const char *coefficients;
	bool no_magnitude;
	double l1;
	double prune;
	double switch_off;
	const char *place;
	uint64_t evaluations;
	uint64_t projection_seed;
	uint64_t modules;
	uint64_t pool_seed;
	uint64_t rank;
	double alpha;
	const char *targets;
	const char *head;
	double temperature;
	uint64_t tokens;
};

/* What is so unless it is said otherwise. */
#define RECIPE_DEFAULTS                                                              \
	.method = "lorafusion", .l1 = -1.0, .evaluations = 40, .projection_seed = 1, \
	.head = "cosine", .temperature = LF_HEAD_TEMPERATURE, .tokens = 32

/** recipe_json() - as an object, defaults of the method filled in */
json_t *recipe_json(const struct recipe *recipe);

/** recipe_read() - from an object, which must outlive the recipe; @error names the field */
int recipe_read(struct recipe *recipe, const json_t *object, struct lf_error *error);

/**
 * recipe_conflict() - what has no meaning in a recipe
 * @recipe: all texts among their choices
 * @why: receives the reason, to be read after the option's name
 *
 * Return: the name of the option, with dashes between its words and none before; NULL if all is well.
 */
const char *recipe_conflict(const struct recipe *recipe, const char **why);

/** recipe_has() - whether the recipe's method has one of @traits */
bool recipe_has(const struct recipe *recipe, unsigned int traits);

/** recipe_fusion() - @options of the recipe's fusion, rates and decay as they are */
void recipe_fusion(const struct recipe *recipe, struct lf_lorafusion_options *options);

/** recipe_l1() - factor of mean |c| in the loss */
double recipe_l1(const struct recipe *recipe);

/** recipe_rank() - of a LoRA or VeRA */
uint32_t recipe_rank(const struct recipe *recipe);

/** recipe_alpha() - of a LoRA */
double recipe_alpha(const struct recipe *recipe);

/** recipe_place() - where a LoRA's or a full fine-tuning's matrices are */
enum lf_place recipe_place(const struct recipe *recipe);

/** recipe_saves_peft() - does training save a PEFT directory rather than a file */
bool recipe_saves_peft(const struct recipe *recipe);

/** recipe_targets() - the mask of the targets, "q" and "v" being short for query and value */
int recipe_targets(const struct recipe *recipe, uint32_t *mask, struct lf_error *error);

#endif
