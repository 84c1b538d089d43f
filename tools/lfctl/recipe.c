// SPDX-License-Identifier: MIT
/* Recipes; see recipe.h. */
#include <errno.h>
#include <string.h>

#include "tools/lfctl/recipe.h"

json_t *recipe_json(const struct recipe *recipe)
{
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:s, s:s, s:f, s:I}", "method",
			 recipe->method, "merge", recipe->merge, "modules",
			 (json_int_t)recipe->modules, "pool_seed", (json_int_t)recipe->pool_seed,
			 "rank", (json_int_t)recipe->rank, "alpha", recipe->alpha, "targets",
			 recipe->targets, "head", recipe->head, "temperature", recipe->temperature,
			 "tokens", (json_int_t)recipe->tokens);
}

int recipe_read(struct recipe *recipe, const json_t *object, struct lf_error *error)
{
	json_int_t modules, pool_seed, rank, tokens;
	json_error_t reason;

	if (json_unpack_ex((json_t *)object, &reason, 0,
			   "{s:s, s:s, s:I, s:I, s:I, s:F, s:s, s:s, s:F, s:I}", "method",
			   &recipe->method, "merge", &recipe->merge, "modules", &modules,
			   "pool_seed", &pool_seed, "rank", &rank, "alpha", &recipe->alpha,
			   "targets", &recipe->targets, "head", &recipe->head, "temperature",
			   &recipe->temperature, "tokens", &tokens))
		return lf_error_set(error, -EINVAL, "adaptation, recipe: %s", reason.text);
	if (modules < 0 || modules > LF_POOL_MODULES || pool_seed < 0 || rank < 0 ||
	    rank > UINT32_MAX || tokens < 2 || tokens > UINT32_MAX)
		return lf_error_set(error, -EINVAL, "adaptation, recipe: a number is out of range");
	if ((strcmp(recipe->method, "lorafusion") && strcmp(recipe->method, "bitfit") &&
	     strcmp(recipe->method, "head")) ||
	    (strcmp(recipe->merge, "sum") && strcmp(recipe->merge, "product")) ||
	    (strcmp(recipe->head, "cosine") && strcmp(recipe->head, "linear")))
		return lf_error_set(error, -EINVAL,
				    "adaptation, recipe: method, merge or head is not known");
	if (!(recipe->temperature > 0.0))
		return lf_error_set(error, -EINVAL, "adaptation, recipe: temperature is %g",
				    recipe->temperature);
	recipe->modules = (uint64_t)modules;
	recipe->pool_seed = (uint64_t)pool_seed;
	recipe->rank = (uint64_t)rank;
	recipe->tokens = (uint64_t)tokens;
	return 0;
}

bool recipe_saves_peft(const struct recipe *recipe)
{
	return !strcmp(recipe->method, "lora") || !strcmp(recipe->method, "dora");
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
	const char *text = recipe->targets;

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
