// SPDX-License-Identifier: MIT
/* Recipes; see recipe.h. */
#include <errno.h>
#include <string.h>

#include "tools/lfctl/recipe.h"

#define ATTENTION "q,v"
#define ALL	  "q,k,v,o,wi,wo"

const struct recipe_method recipe_methods[] = {
	{ "zero-shot", "zero-shot", 0, ATTENTION, NULL },
	{ "majority", "most frequent label", 0, ATTENTION, NULL },
	{ "head", "linear head", RECIPE_TRAINS | RECIPE_FILE, ATTENTION, NULL },
	{ "full", "full fine-tuning", RECIPE_TRAINS | RECIPE_TARGETS | RECIPE_PLACE | RECIPE_FILE,
	  ALL, NULL },
	{ "lora", "LoRA",
	  RECIPE_TRAINS | RECIPE_RANK | RECIPE_ALPHA | RECIPE_TARGETS | RECIPE_PLACE | RECIPE_PEFT,
	  ATTENTION, NULL },
	{ "dora", "DoRA", RECIPE_TRAINS | RECIPE_RANK | RECIPE_ALPHA | RECIPE_TARGETS | RECIPE_PEFT,
	  ATTENTION, NULL },
	{ "vera", "VeRA", RECIPE_TRAINS | RECIPE_RANK | RECIPE_TARGETS | RECIPE_FILE, ATTENTION,
	  NULL },
	{ "ia3", "IA3", RECIPE_TRAINS | RECIPE_FILE, ATTENTION, NULL },
	{ "bitfit", "BitFit", RECIPE_TRAINS | RECIPE_TARGETS | RECIPE_FILE, ATTENTION, NULL },
	{ "magnitude", "magnitude only", RECIPE_TRAINS | RECIPE_TARGETS | RECIPE_FILE, ATTENTION,
	  NULL },
	{ "lorafusion", "LoRAFusion",
	  RECIPE_TRAINS | RECIPE_POOL | RECIPE_FUSION | RECIPE_L1 | RECIPE_FILE, ATTENTION, "sum" },
	{ "uniform", "uniform average", RECIPE_CHOOSES | RECIPE_POOL | RECIPE_FILE, ATTENTION,
	  "sum" },
	{ "best-single", "best single module", RECIPE_CHOOSES | RECIPE_POOL | RECIPE_FILE,
	  ATTENTION, "sum" },
	{ "lorahub", "LoraHub", RECIPE_CHOOSES | RECIPE_POOL | RECIPE_L1 | RECIPE_FILE, ATTENTION,
	  "product" },
	{ 0 },
};

const struct recipe_method *recipe_method(const char *name)
{
	const struct recipe_method *method = recipe_methods;

	while (method->name && strcmp(method->name, name))
		method++;
	return method->name ? method : NULL;
}

bool recipe_has(const struct recipe *recipe, unsigned int traits)
{
	return recipe_method(recipe->method)->traits & traits;
}

static bool is(const char *text, const char *other)
{
	return text && !strcmp(text, other);
}

static const char *merge_of(const struct recipe *recipe)
{
	const char *own = recipe_method(recipe->method)->merge;

	return recipe->merge ? recipe->merge : own ? own : "sum";
}

static const char *coefficients_of(const struct recipe *recipe)
{
	if (recipe->coefficients)
		return recipe->coefficients;
	return recipe_has(recipe, RECIPE_CHOOSES) ? "model" : "block";
}

static const char *targets_of(const struct recipe *recipe)
{
	return recipe->targets ? recipe->targets : recipe_method(recipe->method)->targets;
}

double recipe_l1(const struct recipe *recipe)
{
	/* LoRAFusion's authors use the one, LoraHub's the other. */
	if (recipe->l1 >= 0.0)
		return recipe->l1;
	return recipe_has(recipe, RECIPE_FUSION) ? 0.0005
	       : is(recipe->method, "lorahub")	 ? 0.05
						 : 0.0;
}

uint32_t recipe_rank(const struct recipe *recipe)
{
	return recipe->rank ? (uint32_t)recipe->rank : 16;
}

double recipe_alpha(const struct recipe *recipe)
{
	return recipe->alpha > 0.0 ? recipe->alpha : 32.0;
}

enum lf_place recipe_place(const struct recipe *recipe)
{
	return is(recipe->place, "once")	? LF_PLACE_ONCE
	       : is(recipe->place, "each-step") ? LF_PLACE_EACH_STEP
						: LF_PLACE_HOST;
}

void recipe_fusion(const struct recipe *recipe, struct lf_lorafusion_options *options)
{
	bool fusion = recipe_has(recipe, RECIPE_FUSION);

	options->merge = strcmp(merge_of(recipe), "product") ? LF_MERGE_SUM : LF_MERGE_PRODUCT;
	options->coefficients = strcmp(coefficients_of(recipe), "model") ? LF_COEFFICIENTS_BLOCK
									 : LF_COEFFICIENTS_MODEL;
	options->without_magnitudes = recipe->no_magnitude || !fusion;
	options->coefficient_l1 = fusion ? recipe_l1(recipe) : 0.0;
	options->prune = recipe->prune;
	options->switch_off = recipe->switch_off;
	if (!fusion)
		options->coefficient_rate = 0.0;
}

json_t *recipe_json(const struct recipe *recipe)
{
	return json_pack(
		"{s:s, s:s, s:s, s:b, s:f, s:f, s:f, s:s, s:I, s:I, s:I, s:I, s:I, s:f, s:s, s:s, "
		"s:f, s:I}",
		"method", recipe->method, "merge", merge_of(recipe), "coefficients",
		coefficients_of(recipe), "no_magnitude", recipe->no_magnitude, "l1",
		recipe_l1(recipe), "prune", recipe->prune, "switch_off", recipe->switch_off,
		"place", recipe->place ? recipe->place : "host", "evaluations",
		(json_int_t)recipe->evaluations, "projection_seed",
		(json_int_t)recipe->projection_seed, "modules", (json_int_t)recipe->modules,
		"pool_seed", (json_int_t)recipe->pool_seed, "rank", (json_int_t)recipe_rank(recipe),
		"alpha", recipe_alpha(recipe), "targets", targets_of(recipe), "head", recipe->head,
		"temperature", recipe->temperature, "tokens", (json_int_t)recipe->tokens);
}

/* Only what is among the choices leads anywhere. */
static bool texts_known(const struct recipe *recipe)
{
	return recipe_method(recipe->method) &&
	       (is(recipe->merge, "sum") || is(recipe->merge, "product")) &&
	       (is(recipe->head, "cosine") || is(recipe->head, "linear")) &&
	       (!recipe->coefficients || is(recipe->coefficients, "block") ||
		is(recipe->coefficients, "model")) &&
	       (!recipe->place || is(recipe->place, "host") || is(recipe->place, "once") ||
		is(recipe->place, "each-step"));
}

/*
 * Everything is in what this tool writes; of what came later than the first files the method's own is taken where it is
 * missing.
 */
int recipe_read(struct recipe *recipe, const json_t *object, struct lf_error *error)
{
	json_int_t modules, pool_seed, rank, tokens, evaluations, projection_seed;
	json_error_t reason;
	int no_magnitude = 0;

	*recipe = (struct recipe){ RECIPE_DEFAULTS };
	evaluations = (json_int_t)recipe->evaluations;
	projection_seed = (json_int_t)recipe->projection_seed;
	if (json_unpack_ex((json_t *)object, &reason, 0,
			   "{s:s, s:s, s?s, s?b, s?F, s?F, s?F, s?s, s?I, s?I, s:I, s:I, s:I, s:F, "
			   "s:s, s:s, s:F, s:I}",
			   "method", &recipe->method, "merge", &recipe->merge, "coefficients",
			   &recipe->coefficients, "no_magnitude", &no_magnitude, "l1", &recipe->l1,
			   "prune", &recipe->prune, "switch_off", &recipe->switch_off, "place",
			   &recipe->place, "evaluations", &evaluations, "projection_seed",
			   &projection_seed, "modules", &modules, "pool_seed", &pool_seed, "rank",
			   &rank, "alpha", &recipe->alpha, "targets", &recipe->targets, "head",
			   &recipe->head, "temperature", &recipe->temperature, "tokens", &tokens))
		return lf_error_set(error, -EINVAL, "adaptation, recipe: %s", reason.text);
	if (modules < 0 || modules > LF_POOL_MODULES || pool_seed < 0 || rank < 0 ||
	    rank > UINT32_MAX || tokens < 2 || tokens > UINT32_MAX || evaluations < 1 ||
	    evaluations > UINT32_MAX || projection_seed < 0)
		return lf_error_set(error, -EINVAL, "adaptation, recipe: a number is out of range");
	if (!(recipe->prune >= 0.0 && recipe->prune <= 1.0) ||
	    !(recipe->switch_off >= 0.0 && recipe->switch_off <= 1.0))
		return lf_error_set(error, -EINVAL,
				    "adaptation, recipe: prune or switch_off is no share");
	if (!texts_known(recipe) || !recipe_has(recipe, RECIPE_FILE))
		return lf_error_set(
			error, -EINVAL,
			"adaptation, recipe: method, merge, coefficients, place or head is not known");
	if (!(recipe->temperature > 0.0))
		return lf_error_set(error, -EINVAL, "adaptation, recipe: temperature is %g",
				    recipe->temperature);
	recipe->modules = (uint64_t)modules;
	recipe->pool_seed = (uint64_t)pool_seed;
	recipe->rank = (uint64_t)rank;
	recipe->tokens = (uint64_t)tokens;
	recipe->evaluations = (uint64_t)evaluations;
	recipe->projection_seed = (uint64_t)projection_seed;
	recipe->no_magnitude = no_magnitude;
	return 0;
}

const char *recipe_conflict(const struct recipe *recipe, const char **why)
{
	bool fusion = recipe_has(recipe, RECIPE_FUSION);
	const struct {
		bool wrong;
		const char *option;
		const char *why;
	} rules[] = {
		{ recipe->merge && !recipe_has(recipe, RECIPE_POOL), "merge",
		  "is for methods with a pool" },
		{ is(recipe->method, "lorahub") && is(recipe->merge, "sum"), "merge",
		  "must be product: LoraHub adds up A and B apart" },
		{ recipe->coefficients && !recipe_has(recipe, RECIPE_POOL), "coefficients",
		  "is for methods with a pool" },
		{ is(recipe->coefficients, "block") && recipe_has(recipe, RECIPE_CHOOSES),
		  "coefficients", "must be model: this method has one a module" },
		{ recipe->no_magnitude && !fusion, "no-magnitude", "is for lorafusion only" },
		{ recipe->l1 >= 0.0 && !recipe_has(recipe, RECIPE_L1), "l1",
		  "is for lorafusion and lorahub only" },
		{ recipe->prune > 0.0 && !fusion, "prune", "is for lorafusion only" },
		{ recipe->switch_off > 0.0 && !fusion, "switch-off", "is for lorafusion only" },
		{ recipe->place && !recipe_has(recipe, RECIPE_PLACE), "place",
		  "is for lora and full only: other methods write no cell" },
		{ recipe->targets && !recipe_has(recipe, RECIPE_TARGETS), "targets",
		  "is for methods that choose their layers; a pool's modules have theirs, IA3 too" },
		{ recipe->rank && !recipe_has(recipe, RECIPE_RANK), "rank",
		  "is for lora, dora and vera only; a pool's modules have theirs" },
		{ recipe->alpha > 0.0 && !recipe_has(recipe, RECIPE_ALPHA), "alpha",
		  "is for lora and dora only; a pool's modules have theirs" },
		{ is(recipe->head, "linear") && !recipe_has(recipe, RECIPE_TRAINS), "head",
		  "must be cosine: this method trains nothing" },
		{ is(recipe->method, "head") && !is(recipe->head, "linear"), "head",
		  "must be linear, as the cosine head has nothing to train" },
	};

	for (size_t at = 0; at < sizeof(rules) / sizeof(rules[0]); at++)
		if (rules[at].wrong) {
			*why = rules[at].why;
			return rules[at].option;
		}
	return NULL;
}

bool recipe_saves_peft(const struct recipe *recipe)
{
	return recipe_has(recipe, RECIPE_PEFT);
}

static bool names_target(const char *text, size_t length, enum lf_target target)
{
	static const char *const short_names[LF_TARGETS] = {
		[LF_TARGET_QUERY] = "q",	 [LF_TARGET_KEY] = "k",
		[LF_TARGET_VALUE] = "v",	 [LF_TARGET_ATTENTION_OUTPUT] = "o",
		[LF_TARGET_INTERMEDIATE] = "wi", [LF_TARGET_OUTPUT] = "wo",
	};
	const char *names[] = { short_names[target], lf_target_name(target) };

	for (int at = 0; at < 2; at++)
		if (strlen(names[at]) == length && !strncmp(names[at], text, length))
			return true;
	return false;
}

int recipe_targets(const struct recipe *recipe, uint32_t *mask, struct lf_error *error)
{
	const char *text = targets_of(recipe);

	*mask = 0;
	while (*text) {
		size_t length = strcspn(text, ",");
		enum lf_target target = 0;

		while (target < LF_TARGETS && !names_target(text, length, target))
			target++;
		if (target == LF_TARGETS)
			return lf_error_set(error, -EINVAL,
					    "--targets: no layer is called '%.*s' (q, k, v, o, wi, "
					    "wo)",
					    (int)length, text);
		*mask |= 1u << target;
		text += length;
		text += *text == ',';
	}
	if (!*mask)
		return lf_error_set(error, -EINVAL, "--targets: none given");
	return 0;
}
