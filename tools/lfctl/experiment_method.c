// SPDX-License-Identifier: MIT
/* The methods of an experiment's file: recipes, settings, and what tuning tries. */
#include <errno.h>
#include <string.h>

#include "tools/lfctl/experiment.h"
#include "tools/lfctl/experiment_keys.h"

#define SEED_MAX 1000000000000000LL

static int read_settings(const struct key_place *place, struct experiment_settings *settings)
{
	int ret = key_real(place, "rate", 0, 10, &settings->rate);

	if (!ret)
		ret = key_real(place, "coefficient_rate", 0, 10, &settings->coefficient_rate);
	if (!ret)
		ret = key_real(place, "magnitude_rate", 0, 10, &settings->magnitude_rate);
	if (!ret)
		ret = key_count(place, "epochs", 1, 1000000, &settings->epochs);
	if (!ret)
		ret = key_count(place, "evaluations", 1, 1000000, &settings->evaluations);
	return ret ? ret : key_real(place, "l1", 0, 10, &settings->l1);
}

int experiment_settings_read(struct experiment_settings *settings, const json_t *object,
			     const char *where, struct lf_error *error)
{
	static const char *const keys[] = { "rate",   "coefficient_rate", "magnitude_rate",
					    "epochs", "evaluations",	  "l1",
					    NULL };
	struct key_place place = { object, where, error };
	int ret;

	if (!json_is_object(object))
		return key_refuse(&place, "", "is no object");
	ret = keys_check(&place, keys);
	return ret ? ret : read_settings(&place, settings);
}

int experiment_settings_chosen(const struct experiment_method *method, const json_t *tuned,
			       struct experiment_settings *settings, struct lf_error *error)
{
	const json_t *found = json_object_get(tuned, method->settings_of);
	struct key_place own = { method->object, "", error };
	int ret;

	*settings = method->settings;
	if (!found)
		return 0;
	ret = experiment_settings_read(settings, json_object_get(found, "settings"), "settings.",
				       error);
	if (!ret && strcmp(method->settings_of, method->name))
		ret = read_settings(&own, settings);
	return ret;
}

json_t *experiment_settings_json(const struct experiment_settings *settings)
{
	json_t *object = json_pack("{s:f, s:f, s:f, s:i, s:i}", "rate", settings->rate,
				   "coefficient_rate", settings->coefficient_rate, "magnitude_rate",
				   settings->magnitude_rate, "epochs", (int)settings->epochs,
				   "evaluations", (int)settings->evaluations);

	if (settings->l1 >= 0.0)
		json_object_set_new(object, "l1", json_real(settings->l1));
	return object;
}

static int read_trials(const struct key_place *place, struct experiment_method *method)
{
	const json_t *array = json_object_get(place->object, "trials");
	size_t count = json_array_size(array);
	char where[96];
	int ret = 0;

	if (!array)
		return 0;
	if (!count || count > EXPERIMENT_TRIALS)
		return key_refuse(place, "trials", "is no list of 1 to 64 objects");
	for (size_t trial = 0; !ret && trial < count; trial++) {
		struct experiment_settings settings = method->settings;

		snprintf(where, sizeof(where), "%strials[%zu].", place->name, trial);
		ret = experiment_settings_read(&settings, json_array_get(array, trial), where,
					       place->error);
	}
	method->trials = array;
	return ret;
}

static int read_method_name(const struct key_place *place, const char **name)
{
	int ret = key_text(place, "method", name);

	if (!ret && !recipe_method(*name))
		ret = key_refuse(place, "method", "is none of " RECIPE_METHOD_NAMES);
	return ret;
}

/* Whatever is in range; what fits together is checked when all of it is known. */
static int read_recipe(const struct key_place *place, struct recipe *recipe)
{
	static const char *const merges[] = { "sum", "product", NULL };
	static const char *const coefficients[] = { "block", "model", NULL };
	static const char *const heads[] = { "cosine", "linear", NULL };
	static const char *const places[] = { "host", "once", "each-step", NULL };
	int ret;

	ret = read_method_name(place, &recipe->method);
	if (!ret)
		ret = key_optional(place, "merge", merges, &recipe->merge);
	if (!ret)
		ret = key_optional(place, "coefficients", coefficients, &recipe->coefficients);
	if (!ret)
		ret = key_optional(place, "place", places, &recipe->place);
	if (!ret)
		ret = key_choice(place, "head", heads, &recipe->head);
	if (!ret && json_object_get(place->object, "targets"))
		ret = key_text(place, "targets", &recipe->targets);
	if (!ret)
		ret = key_flag(place, "no_magnitude", &recipe->no_magnitude);
	if (!ret)
		ret = key_real(place, "prune", 0, 1, &recipe->prune);
	if (!ret)
		ret = key_real(place, "switch_off", 0, 1, &recipe->switch_off);
	if (!ret)
		ret = key_whole(place, "projection_seed", 0, SEED_MAX, &recipe->projection_seed);
	if (!ret)
		ret = key_whole(place, "rank", 1, 1024, &recipe->rank);
	if (!ret)
		ret = key_whole(place, "modules", 0, LF_POOL_MODULES, &recipe->modules);
	if (!ret)
		ret = key_real(place, "alpha", 1e-3, 1e6, &recipe->alpha);
	return ret;
}

bool experiment_method_tunable(const struct experiment_method *method)
{
	return recipe_has(&method->recipe, RECIPE_TRAINS) ||
	       (recipe_has(&method->recipe, RECIPE_CHOOSES) &&
		recipe_has(&method->recipe, RECIPE_L1));
}

bool experiment_method_writes(const struct experiment_method *method)
{
	return recipe_has(&method->recipe, RECIPE_PLACE) &&
	       recipe_place(&method->recipe) != LF_PLACE_HOST;
}

/* Keys that contradict each other, by the names that options have. */
static int check_conflict(const struct key_place *place, const struct recipe *recipe)
{
	const char *why = NULL, *option = recipe_conflict(recipe, &why);
	char key[32];

	if (!option)
		return 0;
	snprintf(key, sizeof(key), "%s", option);
	for (char *letter = key; *letter; letter++)
		*letter = *letter == '-' ? '_' : *letter;
	return key_refuse(place, key, why);
}

static int check_method(const struct key_place *place, struct experiment_method *method)
{
	struct lf_error reason = { 0 };
	uint32_t targets;

	if (recipe_has(&method->recipe, RECIPE_POOL) != !!method->pool)
		return key_refuse(place, "pool",
				  method->pool ? "is for methods with a pool" : "is missing");
	if (recipe_targets(&method->recipe, &targets, &reason))
		return key_refuse(place, "targets", "is no list of q, k, v, o, wi, wo");
	if (method->trials && !experiment_method_tunable(method))
		return key_refuse(place, "trials", "is for methods that have something to tune");
	if (method->settings_of && method->trials)
		return key_refuse(place, "settings_of", "is for methods without trials");
	method->recipe.l1 = method->settings.l1;
	return check_conflict(place, &method->recipe);
}

static int read_method(struct experiment *experiment, const struct key_place *place)
{
	static const char *const keys[] = { "name",	      "method",	      "merge",
					    "coefficients",   "no_magnitude", "prune",
					    "switch_off",     "place",	      "projection_seed",
					    "head",	      "targets",      "rank",
					    "modules",	      "pool",	      "alpha",
					    "rate",	      "l1",	      "coefficient_rate",
					    "magnitude_rate", "epochs",	      "evaluations",
					    "trials",	      "settings_of",  NULL };
	struct experiment_method *method = &experiment->methods[experiment->method_count];
	int ret;

	if (!json_is_object(place->object))
		return key_refuse(place, "", "is no object");
	method->object = place->object;
	ret = keys_check(place, keys);
	if (!ret)
		ret = key_text(place, "name", &method->name);
	for (uint32_t other = 0; !ret && other < experiment->method_count; other++)
		if (!strcmp(experiment->methods[other].name, method->name))
			ret = key_refuse(place, "name", "is another method's too");
	if (!ret)
		ret = read_recipe(place, &method->recipe);
	if (!ret && json_object_get(place->object, "pool"))
		ret = key_text(place, "pool", &method->pool);
	if (!ret)
		ret = read_settings(place, &method->settings);
	if (!ret)
		ret = read_trials(place, method);
	if (!ret && json_object_get(place->object, "settings_of"))
		ret = key_text(place, "settings_of", &method->settings_of);
	if (!ret)
		ret = check_method(place, method);
	if (!method->settings_of)
		method->settings_of = method->name;
	experiment->method_count++;
	return ret;
}

int experiment_methods_read(struct experiment *experiment, const struct key_place *file)
{
	const json_t *array = json_object_get(file->object, "methods");
	struct experiment_method defaults = { .recipe = { RECIPE_DEFAULTS, .modules = 20 },
					      .settings = { 0.001, 0.02, 0.005, 20, 40, -1.0 } };
	size_t count = json_array_size(array);
	const json_t *trials = NULL;
	char name[32];
	int ret;

	if (!count || count > EXPERIMENT_METHODS)
		return key_refuse(file, "methods",
				  array ? "is no list of 1 to 64 objects" : "is missing");
	ret = key_real(file, "temperature", 1e-3, 1e3, &defaults.recipe.temperature);
	if (!ret)
		ret = key_whole(file, "tokens", 2, 512, &defaults.recipe.tokens);
	if (!ret)
		ret = key_whole(file, "modules", 0, LF_POOL_MODULES, &defaults.recipe.modules);
	for (size_t at = 0; !ret && at < count; at++) {
		struct key_place place = { json_array_get(array, at), name, file->error };
		struct experiment_method *method = &experiment->methods[at];

		snprintf(name, sizeof(name), "methods[%zu].", at);
		*method = defaults;
		ret = read_method(experiment, &place);
		if (ret || !method->trials)
			continue;
		if (trials && json_array_size(trials) != json_array_size(method->trials))
			ret = key_refuse(&place, "trials", "are not as many as another method has");
		trials = method->trials;
	}
	return ret;
}
