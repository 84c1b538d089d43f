// SPDX-License-Identifier: MIT
/* The file of an experiment: every key is known and in range, or the file is refused. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "tools/lfctl/experiment.h"
#include "tools/lfctl/experiment_keys.h"

#define SEED_MAX     1000000000000000LL
#define EXAMPLES_MAX 1000000

/* A task is a folder's name, so it must not lead elsewhere. */
static int read_tasks(const struct key_place *place, struct experiment_draw *draw)
{
	const json_t *array = json_object_get(place->object, "tasks");
	const json_t *value;
	size_t index;

	if (!json_array_size(array) || json_array_size(array) > EXPERIMENT_TASKS)
		return key_refuse(place, "tasks",
				  array ? "is no list of 1 to 64 names" : "is missing");
	json_array_foreach((json_t *)array, index, value)
	{
		const char *name = json_string_value(value);

		if (!name || !*name || *name == '.' || strchr(name, '/') ||
		    json_string_length(value) > 128)
			return key_refuse(place, "tasks",
					  "holds something that is no folder's name");
		for (uint32_t other = 0; other < draw->task_count; other++)
			if (!strcmp(draw->tasks[other], name))
				return key_refuse(place, "tasks", "holds a name twice");
		draw->tasks[draw->task_count++] = name;
	}
	return 0;
}

static int read_seeds(const struct key_place *place, struct experiment_draw *draw)
{
	const json_t *array = json_object_get(place->object, "seeds");
	const json_t *value;
	size_t index;

	if (!json_array_size(array) || json_array_size(array) > EXPERIMENT_SEEDS)
		return key_refuse(place, "seeds",
				  array ? "is no list of 1 to 64 numbers" : "is missing");
	json_array_foreach((json_t *)array, index, value)
	{
		json_int_t seed = json_integer_value(value);

		if (!json_is_integer(value) || seed < 1 || seed > SEED_MAX)
			return key_refuse(
				place, "seeds",
				"holds something that is no whole number from 1 to 10^15");
		for (uint32_t other = 0; other < draw->seed_count; other++)
			if (draw->seeds[other] == (uint64_t)seed)
				return key_refuse(place, "seeds", "holds a number twice");
		draw->seeds[draw->seed_count++] = (uint64_t)seed;
	}
	return 0;
}

static int read_draw(const struct key_place *place, struct experiment_draw *draw)
{
	int ret = read_tasks(place, draw);

	if (!ret)
		ret = read_seeds(place, draw);
	if (!ret)
		ret = key_count(place, "examples", 0, EXAMPLES_MAX, &draw->examples);
	return ret ? ret : key_count(place, "test_limit", 0, EXAMPLES_MAX, &draw->test_limit);
}

static int find_method(const struct experiment *experiment, const struct key_place *place,
		       const char *key, uint32_t *number)
{
	const char *name = NULL;
	int ret = key_text(place, key, &name);

	for (uint32_t at = 0; !ret && at < experiment->method_count; at++)
		if (!strcmp(experiment->methods[at].name, name)) {
			*number = at;
			return 0;
		}
	return ret ? ret : key_refuse(place, key, "is no method's name");
}

static int read_claims(struct experiment *experiment, const struct key_place *file)
{
	static const char *const keys[] = { "name", "method", "against", "margin_points", NULL };
	const json_t *array = json_object_get(file->object, "claims"), *value;
	char name[32];
	size_t index;
	int ret = 0;

	if (!array)
		return 0;
	if (!json_is_array(array) || json_array_size(array) > EXPERIMENT_CLAIMS)
		return key_refuse(file, "claims", "is no list of at most 32 objects");
	json_array_foreach((json_t *)array, index, value)
	{
		struct experiment_claim *claim = &experiment->claims[experiment->claim_count++];
		struct key_place place = { value, name, file->error };

		snprintf(name, sizeof(name), "claims[%zu].", index);
		ret = json_is_object(value) ? keys_check(&place, keys)
					    : key_refuse(&place, "", "is no object");
		if (!ret)
			ret = key_text(&place, "name", &claim->name);
		if (!ret)
			ret = find_method(experiment, &place, "method", &claim->method);
		if (!ret)
			ret = find_method(experiment, &place, "against", &claim->against);
		if (!ret)
			ret = key_real(&place, "margin_points", 0, 100, &claim->margin);
		claim->margin /= 100;
		if (ret)
			return ret;
	}
	return 0;
}

static int read_tuning(struct experiment *experiment, const struct key_place *file)
{
	static const char *const keys[] = { "tasks", "seeds", "examples", "test_limit", NULL };
	const json_t *object = json_object_get(file->object, "tuning");
	struct key_place place = { object, "tuning.", file->error };
	struct experiment_draw *draw = &experiment->tuning;
	uint32_t tuned = 0;
	int ret;

	for (uint32_t at = 0; at < experiment->method_count; at++)
		tuned += !!experiment->methods[at].trials;
	if (json_object_get(file->object, "settings_from") && object)
		return key_refuse(file, "settings_from", "is there, and so is key \"tuning\"");
	if (!object)
		return tuned ? key_refuse(file, "tuning", "is missing, and methods have trials")
			     : 0;
	if (!json_is_object(object) || !tuned)
		return key_refuse(file, "tuning",
				  tuned ? "is no object" : "is there, and no method has trials");
	*draw = (struct experiment_draw){ .split = "validation", .examples = 100 };
	ret = keys_check(&place, keys);
	if (!ret)
		ret = read_draw(&place, draw);
	for (uint32_t at = 0; !ret && at < draw->task_count; at++)
		for (uint32_t other = 0; other < experiment->final.task_count; other++)
			if (!strcmp(draw->tasks[at], experiment->final.tasks[other]))
				ret = key_refuse(&place, "tasks",
						 "holds a task that results are measured on");
	return ret;
}

/* Settings of another method are those that tuning chose for it, here or in the experiment they are from. */
static int check_settings_of(const struct experiment *experiment, const struct key_place *file)
{
	for (uint32_t at = 0; at < experiment->method_count; at++) {
		const struct experiment_method *method = &experiment->methods[at];
		char name[32];
		struct key_place place = { method->object, name, file->error };
		bool found = experiment->settings_from;

		snprintf(name, sizeof(name), "methods[%u].", at);
		for (uint32_t other = 0; !found && other < experiment->method_count; other++)
			found = experiment->methods[other].trials &&
				!strcmp(experiment->methods[other].name, method->settings_of);
		if (!found && strcmp(method->settings_of, method->name))
			return key_refuse(&place, "settings_of", "is no method that has trials");
	}
	return 0;
}

static int read_resampled(struct experiment *experiment, const struct key_place *file)
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
		return key_refuse(file, "resample", "is no list of tasks, seeds, sources");
	return 0;
}

static int read_all(struct experiment *experiment, const struct key_place *file)
{
	static const char *const keys[] = {
		"schema_version", "about",    "data",	      "device",	       "tasks",
		"seeds",	  "examples", "test_limit",   "batch",	       "tokens",
		"temperature",	  "modules",  "host_pj_byte", "methods",       "against",
		"claims",	  "resample", "tuning",	      "settings_from", NULL
	};
	const char *about = "";
	uint64_t version = 0;
	int ret;

	if (!json_is_object(file->object))
		return key_refuse(file, "", "the file is no object");
	ret = keys_check(file, keys);
	if (!ret)
		ret = key_whole(file, "schema_version", 1, 1, &version);
	if (!ret && !version)
		ret = key_refuse(file, "schema_version", "is missing");
	if (!ret)
		ret = key_text(file, "about", &about);
	if (!ret)
		ret = key_text(file, "data", &experiment->data);
	if (!ret)
		ret = key_text(file, "device", &experiment->device);
	if (!ret &&
	    (strncmp(experiment->device, "inproc", 6) || strstr(experiment->device, "memory=")))
		ret = key_refuse(file, "device",
				 "is no inproc[:preset][,key=value...] without memory=");
	if (!ret)
		ret = read_draw(file, &experiment->final);
	if (!ret)
		ret = key_count(file, "batch", 1, 1024, &experiment->batch);
	if (!ret)
		ret = key_real(file, "host_pj_byte", 0, 1e6, &experiment->host_pj_byte);
	if (!ret)
		ret = read_resampled(experiment, file);
	if (!ret)
		ret = experiment_methods_read(experiment, file);
	if (!ret)
		ret = find_method(experiment, file, "against", &experiment->against);
	if (!ret)
		ret = read_claims(experiment, file);
	if (!ret && json_object_get(file->object, "settings_from"))
		ret = key_text(file, "settings_from", &experiment->settings_from);
	if (!ret)
		ret = read_tuning(experiment, file);
	return ret ? ret : check_settings_of(experiment, file);
}

int experiment_read(struct experiment *experiment, const char *path, struct lf_error *error)
{
	struct key_place place = { NULL, "", error };
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
