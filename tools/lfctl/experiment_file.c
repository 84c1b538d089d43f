// SPDX-License-Identifier: MIT
/* The file of an experiment: every key is known and in range, or the file is refused. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tools/lfctl/experiment.h"

#define SEED_MAX     1000000000000000LL
#define EXAMPLES_MAX 1000000

/* An object of the file and what it is called in messages: "" or "methods[2].". */
struct place {
	const json_t *object;
	const char *name;
	struct lf_error *error;
};

static int refuse(const struct place *place, const char *key, const char *wanted)
{
	return lf_error_set(place->error, -EINVAL, "key \"%s%s\": %s", place->name, key, wanted);
}

static int check_keys(const struct place *place, const char *const *known)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)place->object, key, value)
	{
		const char *const *name = known;

		while (*name && strcmp(*name, key))
			name++;
		if (!*name)
			return refuse(place, key, "there is no such key");
	}
	return 0;
}

static int read_text(const struct place *place, const char *key, const char **text)
{
	const json_t *value = json_object_get(place->object, key);

	if (!value && *text)
		return 0;
	if (!json_is_string(value) || !json_string_length(value) ||
	    json_string_length(value) >= EXPERIMENT_BYTES / 2)
		return refuse(place, key, value ? "is no text of 1 to 511 bytes" : "is missing");
	*text = json_string_value(value);
	return 0;
}

static int read_whole(const struct place *place, const char *key, json_int_t low, json_int_t high,
		      uint64_t *number)
{
	const json_t *value = json_object_get(place->object, key);
	char wanted[96];

	if (!value)
		return 0;
	snprintf(wanted, sizeof(wanted), "is no whole number from %lld to %lld", (long long)low,
		 (long long)high);
	if (!json_is_integer(value) || json_integer_value(value) < low ||
	    json_integer_value(value) > high)
		return refuse(place, key, wanted);
	*number = (uint64_t)json_integer_value(value);
	return 0;
}

static int read_count(const struct place *place, const char *key, json_int_t low, json_int_t high,
		      uint32_t *number)
{
	uint64_t wide = *number;
	int ret = read_whole(place, key, low, high, &wide);

	*number = (uint32_t)wide;
	return ret;
}

static int read_real(const struct place *place, const char *key, double low, double high,
		     double *number)
{
	const json_t *value = json_object_get(place->object, key);
	char wanted[96];

	if (!value)
		return 0;
	snprintf(wanted, sizeof(wanted), "is no number from %g to %g", low, high);
	if (!json_is_number(value) || json_number_value(value) < low ||
	    json_number_value(value) > high)
		return refuse(place, key, wanted);
	*number = json_number_value(value);
	return 0;
}

static int read_choice(const struct place *place, const char *key, const char *const *choices,
		       const char **text)
{
	char wanted[160] = "is none of";
	int ret = read_text(place, key, text);

	if (ret)
		return ret;
	for (; *choices; choices++) {
		if (!strcmp(*choices, *text))
			return 0;
		snprintf(wanted + strlen(wanted), sizeof(wanted) - strlen(wanted), " %s", *choices);
	}
	return refuse(place, key, wanted);
}

/* A task is a folder's name, so it must not lead elsewhere. */
static int read_tasks(const struct place *place, struct experiment_draw *draw)
{
	const json_t *array = json_object_get(place->object, "tasks");
	const json_t *value;
	size_t index;

	if (!json_array_size(array) || json_array_size(array) > EXPERIMENT_TASKS)
		return refuse(place, "tasks", array ? "is no list of 1 to 64 names" : "is missing");
	json_array_foreach((json_t *)array, index, value)
	{
		const char *name = json_string_value(value);

		if (!name || !*name || *name == '.' || strchr(name, '/') ||
		    json_string_length(value) > 128)
			return refuse(place, "tasks", "holds something that is no folder's name");
		for (uint32_t other = 0; other < draw->task_count; other++)
			if (!strcmp(draw->tasks[other], name))
				return refuse(place, "tasks", "holds a name twice");
		draw->tasks[draw->task_count++] = name;
	}
	return 0;
}

static int read_seeds(const struct place *place, struct experiment_draw *draw)
{
	const json_t *array = json_object_get(place->object, "seeds");
	const json_t *value;
	size_t index;

	if (!json_array_size(array) || json_array_size(array) > EXPERIMENT_SEEDS)
		return refuse(place, "seeds",
			      array ? "is no list of 1 to 64 numbers" : "is missing");
	json_array_foreach((json_t *)array, index, value)
	{
		json_int_t seed = json_integer_value(value);

		if (!json_is_integer(value) || seed < 1 || seed > SEED_MAX)
			return refuse(place, "seeds",
				      "holds something that is no whole number from 1 to 10^15");
		for (uint32_t other = 0; other < draw->seed_count; other++)
			if (draw->seeds[other] == (uint64_t)seed)
				return refuse(place, "seeds", "holds a number twice");
		draw->seeds[draw->seed_count++] = (uint64_t)seed;
	}
	return 0;
}

static int read_draw(const struct place *place, struct experiment_draw *draw)
{
	int ret = read_tasks(place, draw);

	if (!ret)
		ret = read_seeds(place, draw);
	if (!ret)
		ret = read_count(place, "examples", 0, EXAMPLES_MAX, &draw->examples);
	return ret ? ret : read_count(place, "test_limit", 0, EXAMPLES_MAX, &draw->test_limit);
}

static int read_settings(const struct place *place, struct experiment_settings *settings)
{
	int ret = read_real(place, "rate", 0, 10, &settings->rate);

	if (!ret)
		ret = read_real(place, "coefficient_rate", 0, 10, &settings->coefficient_rate);
	if (!ret)
		ret = read_real(place, "magnitude_rate", 0, 10, &settings->magnitude_rate);
	return ret ? ret : read_count(place, "epochs", 1, 1000000, &settings->epochs);
}

int experiment_settings_read(struct experiment_settings *settings, const json_t *object,
			     const char *where, struct lf_error *error)
{
	static const char *const keys[] = { "rate", "coefficient_rate", "magnitude_rate", "epochs",
					    NULL };
	struct place place = { object, where, error };
	int ret;

	if (!json_is_object(object))
		return refuse(&place, "", "is no object");
	ret = check_keys(&place, keys);
	return ret ? ret : read_settings(&place, settings);
}

json_t *experiment_settings_json(const struct experiment_settings *settings)
{
	return json_pack("{s:f, s:f, s:f, s:i}", "rate", settings->rate, "coefficient_rate",
			 settings->coefficient_rate, "magnitude_rate", settings->magnitude_rate,
			 "epochs", (int)settings->epochs);
}

static int read_trials(const struct place *place, struct experiment_method *method)
{
	const json_t *array = json_object_get(place->object, "trials");
	size_t count = json_array_size(array);
	char where[96];
	int ret = 0;

	if (!array)
		return 0;
	if (!count || count > EXPERIMENT_TRIALS)
		return refuse(place, "trials", "is no list of 1 to 64 objects");
	for (size_t trial = 0; !ret && trial < count; trial++) {
		struct experiment_settings settings = method->settings;

		snprintf(where, sizeof(where), "%strials[%zu].", place->name, trial);
		ret = experiment_settings_read(&settings, json_array_get(array, trial), where,
					       place->error);
	}
	method->trials = array;
	return ret;
}

static int read_recipe(const struct place *place, struct recipe *recipe)
{
	static const char *const methods[] = { "zero-shot", "head", "lora", "lorafusion", NULL };
	static const char *const merges[] = { "sum", "product", NULL };
	static const char *const heads[] = { "cosine", "linear", NULL };
	struct lf_error reason = { 0 };
	uint32_t targets;
	int ret;

	ret = read_choice(place, "method", methods, &recipe->method);
	if (!ret)
		ret = read_choice(place, "merge", merges, &recipe->merge);
	if (!ret)
		ret = read_choice(place, "head", heads, &recipe->head);
	if (!ret)
		ret = read_text(place, "targets", &recipe->targets);
	if (!ret && recipe_targets(recipe, &targets, &reason))
		ret = refuse(place, "targets", "is no list of q, k, v, o, wi, wo");
	if (!ret)
		ret = read_whole(place, "rank", 1, 1024, &recipe->rank);
	if (!ret)
		ret = read_whole(place, "modules", 0, LF_POOL_MODULES, &recipe->modules);
	if (!ret)
		ret = read_real(place, "alpha", 1e-3, 1e6, &recipe->alpha);
	return ret;
}

/* Every method has a pool or none, and as many trials as every other that is tuned. */
static int check_method(const struct place *place, const struct experiment_method *method)
{
	bool fuses = !strcmp(method->recipe.method, "lorafusion");
	bool trains = strcmp(method->recipe.method, "zero-shot");

	if (fuses != !!method->pool)
		return refuse(place, "pool", fuses ? "is missing" : "is for lorafusion only");
	if (!strcmp(method->recipe.method, "head") != !strcmp(method->recipe.head, "linear") &&
	    !fuses && strcmp(method->recipe.method, "lora"))
		return refuse(place, "head", trains ? "must be linear" : "must be cosine");
	if (!trains && method->trials)
		return refuse(place, "trials", "is for methods that train");
	return 0;
}

static int read_method(struct experiment *experiment, const struct place *place)
{
	static const char *const keys[] = {
		"name",	   "method", "merge", "head", "targets",	  "rank",
		"modules", "pool",   "alpha", "rate", "coefficient_rate", "magnitude_rate",
		"epochs",  "trials", NULL
	};
	struct experiment_method *method = &experiment->methods[experiment->method_count];
	int ret;

	if (!json_is_object(place->object))
		return refuse(place, "", "is no object");
	ret = check_keys(place, keys);
	if (!ret)
		ret = read_text(place, "name", &method->name);
	for (uint32_t other = 0; !ret && other < experiment->method_count; other++)
		if (!strcmp(experiment->methods[other].name, method->name))
			ret = refuse(place, "name", "is another method's too");
	if (!ret)
		ret = read_recipe(place, &method->recipe);
	if (!ret && json_object_get(place->object, "pool"))
		ret = read_text(place, "pool", &method->pool);
	if (!ret)
		ret = read_settings(place, &method->settings);
	if (!ret)
		ret = read_trials(place, method);
	if (!ret)
		ret = check_method(place, method);
	experiment->method_count++;
	return ret;
}

static int read_methods(struct experiment *experiment, const struct place *file)
{
	const json_t *array = json_object_get(file->object, "methods");
	struct experiment_method defaults = { .recipe = { .merge = "sum",
							  .modules = 20,
							  .rank = 16,
							  .alpha = 32,
							  .targets = "q,v",
							  .head = "cosine",
							  .temperature = LF_HEAD_TEMPERATURE,
							  .tokens = 32 },
					      .settings = { 0.001, 0.02, 0.005, 20 } };
	size_t count = json_array_size(array);
	const json_t *trials = NULL;
	char name[32];
	int ret;

	if (!count || count > EXPERIMENT_METHODS)
		return refuse(file, "methods",
			      array ? "is no list of 1 to 64 objects" : "is missing");
	ret = read_real(file, "temperature", 1e-3, 1e3, &defaults.recipe.temperature);
	if (!ret)
		ret = read_whole(file, "tokens", 2, 512, &defaults.recipe.tokens);
	if (!ret)
		ret = read_whole(file, "modules", 0, LF_POOL_MODULES, &defaults.recipe.modules);
	for (size_t at = 0; !ret && at < count; at++) {
		struct place place = { json_array_get(array, at), name, file->error };
		struct experiment_method *method = &experiment->methods[at];

		snprintf(name, sizeof(name), "methods[%zu].", at);
		*method = defaults;
		ret = read_method(experiment, &place);
		if (ret || !method->trials)
			continue;
		if (trials && json_array_size(trials) != json_array_size(method->trials))
			ret = refuse(&place, "trials", "are not as many as another method has");
		trials = method->trials;
	}
	return ret;
}

static int find_method(const struct experiment *experiment, const struct place *place,
		       const char *key, uint32_t *number)
{
	const char *name = NULL;
	int ret = read_text(place, key, &name);

	for (uint32_t at = 0; !ret && at < experiment->method_count; at++)
		if (!strcmp(experiment->methods[at].name, name)) {
			*number = at;
			return 0;
		}
	return ret ? ret : refuse(place, key, "is no method's name");
}

static int read_claims(struct experiment *experiment, const struct place *file)
{
	static const char *const keys[] = { "name", "method", "against", "margin_points", NULL };
	const json_t *array = json_object_get(file->object, "claims"), *value;
	char name[32];
	size_t index;
	int ret = 0;

	if (!array)
		return 0;
	if (!json_is_array(array) || json_array_size(array) > EXPERIMENT_CLAIMS)
		return refuse(file, "claims", "is no list of at most 32 objects");
	json_array_foreach((json_t *)array, index, value)
	{
		struct experiment_claim *claim = &experiment->claims[experiment->claim_count++];
		struct place place = { value, name, file->error };

		snprintf(name, sizeof(name), "claims[%zu].", index);
		ret = json_is_object(value) ? check_keys(&place, keys)
					    : refuse(&place, "", "is no object");
		if (!ret)
			ret = read_text(&place, "name", &claim->name);
		if (!ret)
			ret = find_method(experiment, &place, "method", &claim->method);
		if (!ret)
			ret = find_method(experiment, &place, "against", &claim->against);
		if (!ret)
			ret = read_real(&place, "margin_points", 0, 100, &claim->margin);
		claim->margin /= 100;
		if (ret)
			return ret;
	}
	return 0;
}

static int read_tuning(struct experiment *experiment, const struct place *file)
{
	static const char *const keys[] = { "tasks", "seeds", "examples", "test_limit", NULL };
	const json_t *object = json_object_get(file->object, "tuning");
	struct place place = { object, "tuning.", file->error };
	struct experiment_draw *draw = &experiment->tuning;
	uint32_t tuned = 0;
	int ret;

	for (uint32_t at = 0; at < experiment->method_count; at++)
		tuned += !!experiment->methods[at].trials;
	if (!object)
		return tuned ? refuse(file, "tuning", "is missing, and methods have trials") : 0;
	if (!json_is_object(object) || !tuned)
		return refuse(file, "tuning",
			      tuned ? "is no object" : "is there, and no method has trials");
	*draw = (struct experiment_draw){ .split = "validation", .examples = 100 };
	ret = check_keys(&place, keys);
	if (!ret)
		ret = read_draw(&place, draw);
	for (uint32_t at = 0; !ret && at < draw->task_count; at++)
		for (uint32_t other = 0; other < experiment->final.task_count; other++)
			if (!strcmp(draw->tasks[at], experiment->final.tasks[other]))
				ret = refuse(&place, "tasks",
					     "holds a task that results are measured on");
	return ret;
}

static int read_resampled(struct experiment *experiment, const struct place *file)
{
	static const char *const names[] = { "tasks", "seeds", "sources" };
	const json_t *array = json_object_get(file->object, "resample"), *value;
	size_t index;

	experiment->resampled = LF_RESAMPLE_TASKS | LF_RESAMPLE_SOURCES;
	if (!array)
		return 0;
	experiment->resampled = 0;
	json_array_foreach((json_t *)array, index,
			   value) for (uint32_t at = 0; at < 3;
				       at++) if (json_is_string(value) &&
						 !strcmp(json_string_value(value), names[at]))
		experiment->resampled |= 1u << at;
	if (!array || (size_t)__builtin_popcount(experiment->resampled) != json_array_size(array) ||
	    !experiment->resampled)
		return refuse(file, "resample", "is no list of tasks, seeds, sources");
	return 0;
}

static int read_all(struct experiment *experiment, const struct place *file)
{
	static const char *const keys[] = {
		"schema_version", "about",    "data",	      "device",	 "tasks",
		"seeds",	  "examples", "test_limit",   "batch",	 "tokens",
		"temperature",	  "modules",  "host_pj_byte", "methods", "against",
		"claims",	  "resample", "tuning",	      NULL
	};
	const char *about = "";
	uint64_t version = 0;
	int ret;

	if (!json_is_object(file->object))
		return refuse(file, "", "the file is no object");
	ret = check_keys(file, keys);
	if (!ret)
		ret = read_whole(file, "schema_version", 1, 1, &version);
	if (!ret && !version)
		ret = refuse(file, "schema_version", "is missing");
	if (!ret)
		ret = read_text(file, "about", &about);
	if (!ret)
		ret = read_text(file, "data", &experiment->data);
	if (!ret)
		ret = read_text(file, "device", &experiment->device);
	if (!ret &&
	    (strncmp(experiment->device, "inproc", 6) || strstr(experiment->device, "memory=")))
		ret = refuse(file, "device",
			     "is no inproc[:preset][,key=value...] without memory=");
	if (!ret)
		ret = read_draw(file, &experiment->final);
	if (!ret)
		ret = read_count(file, "batch", 1, 1024, &experiment->batch);
	if (!ret)
		ret = read_real(file, "host_pj_byte", 0, 1e6, &experiment->host_pj_byte);
	if (!ret)
		ret = read_resampled(experiment, file);
	if (!ret)
		ret = read_methods(experiment, file);
	if (!ret)
		ret = find_method(experiment, file, "against", &experiment->against);
	if (!ret)
		ret = read_claims(experiment, file);
	return ret ? ret : read_tuning(experiment, file);
}

int experiment_read(struct experiment *experiment, const char *path, struct lf_error *error)
{
	struct place place = { NULL, "", error };
	json_error_t reason;
	FILE *stream = fopen(path, "r");
	int ret;

	if (!stream)
		return lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
	experiment->file = json_loadf(stream, JSON_REJECT_DUPLICATES, &reason);
	fclose(stream);
	if (!experiment->file)
		return lf_error_set(error, -EINVAL, "%s:%d: %s", path, reason.line, reason.text);
	experiment->device = "inproc:ideal";
	experiment->batch = 10;
	experiment->final = (struct experiment_draw){ .split = "test", .examples = 100 };
	place.object = experiment->file;
	ret = read_all(experiment, &place);
	return ret ? lf_error_prefix(error, ret, "%s", path) : 0;
}

void experiment_release(struct experiment *experiment)
{
	json_decref(experiment->file);
}
