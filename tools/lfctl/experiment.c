// SPDX-License-Identifier: MIT
/* lfctl experiment. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/experiment.h"
#include "tools/lfctl/outfile.h"
#include "tools/lfctl/output.h"

struct experiment_values {
	struct common common;
	const char *model;
	const char *out;
	uint64_t jobs;
	bool tune;
	bool dry_run;
};

#define PLACE(field) offsetof(struct experiment_values, field)

static const struct option_spec experiment_options[] = {
	{ "model", OPTION_TEXT, PLACE(model), "DIR", "Hugging Face directory of the model", 0, 0 },
	{ "out", OPTION_TEXT, PLACE(out), "DIR",
	  "where lines, table and figure go; an experiment that is there is continued", 0, 0 },
	{ "tune", OPTION_FLAG, PLACE(tune), NULL,
	  "choose learning rates and epochs first, on the tasks the file names for it", 0, 0 },
	{ "dry-run", OPTION_FLAG, PLACE(dry_run), NULL,
	  "one short run of each method, and how long all would take", 0, 0 },
	{ "jobs", OPTION_NUMBER, PLACE(jobs), "N", "runs at a time, 0 for one a CPU [0]", 0, 256 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct experiment_values experiment_defaults = { 0 };

static int check(const void *opaque, struct lf_error *error)
{
	const struct experiment_values *values = opaque;

	if (!values->model)
		return lf_error_set(error, -EINVAL, "--model is missing");
	if (!values->out && !values->dry_run)
		return lf_error_set(error, -EINVAL, "--out is missing");
	return 0;
}

static int file_of(const struct experiment *experiment, const char *name,
		   char path[EXPERIMENT_BYTES], struct lf_error *error)
{
	if (snprintf(path, EXPERIMENT_BYTES, "%s/%s", experiment->folder, name) >= EXPERIMENT_BYTES)
		return lf_error_set(error, -ENAMETOOLONG, "--out: path too long");
	return 0;
}

/* A file that @put makes of the result, whole or not at all. */
static int write_of(const struct experiment *experiment, const char *name, const json_t *result,
		    void (*put)(const struct experiment *experiment, const json_t *result,
				FILE *stream),
		    struct lf_error *error)
{
	char path[EXPERIMENT_BYTES];
	struct outfile file;
	int ret = file_of(experiment, name, path, error);

	if (!ret)
		ret = outfile_open(&file, path, error);
	if (ret)
		return ret;
	put(experiment, result, file.stream);
	ret = outfile_flush(&file, error);
	if (outfile_close(&file, !ret, ret ? NULL : error))
		return -EIO;
	return ret;
}

static void put_json(const struct experiment *experiment, const json_t *object, FILE *stream)
{
	(void)experiment;
	json_dumpf(object, stream, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
}

/* Settings chosen on a task would be better on it than they are. */
static int check_foreign(const struct experiment *experiment, const char *path,
			 const json_t *object, struct lf_error *error)
{
	const json_t *file = json_object_get(object, "experiment");
	const json_t *tasks = json_object_get(json_object_get(file, "tuning"), "tasks"), *task;
	size_t index;

	if (!json_array_size(tasks))
		return lf_error_set(error, -EINVAL, "%s: is no tuned.json", path);
	json_array_foreach((json_t *)tasks, index, task)
	{
		const char *name = json_string_value(task);

		for (uint32_t at = 0; name && at < experiment->final.task_count; at++)
			if (!strcmp(experiment->final.tasks[at], name))
				return lf_error_set(error, -EINVAL,
						    "%s: was chosen on task %s, on which results "
						    "are measured",
						    path, name);
	}
	return 0;
}

static int check_tuned(const struct experiment *experiment, const char *path, const json_t *object,
		       struct lf_error *error)
{
	const json_t *tuned = json_object_get(object, "tuned");
	int ret = 0;

	if (!json_is_object(tuned))
		return lf_error_set(error, -EINVAL, "%s: is no tuned.json", path);
	if (experiment->settings_from)
		ret = check_foreign(experiment, path, object, error);
	else if (!json_equal(json_object_get(object, "experiment"), experiment->file))
		ret = lf_error_set(
			error, -EEXIST,
			"%s: was not chosen for this file; --tune with another --out, or "
			"remove it",
			path);
	for (uint32_t at = 0; !ret && at < experiment->method_count; at++) {
		const struct experiment_method *method = &experiment->methods[at];

		if (experiment->settings_from && experiment_method_tunable(method) &&
		    !json_object_get(tuned, method->settings_of))
			ret = lf_error_set(error, -EINVAL,
					   "%s: has no settings of \"%s\", which \"%s\" needs",
					   path, method->settings_of, method->name);
	}
	return ret;
}

/* What tuning chose for this very file, or for another that lends its settings; *@tuned stays NULL where there is nothing to tune. */
static int read_tuned(const struct experiment *experiment, json_t **tuned, struct lf_error *error)
{
	char own[EXPERIMENT_BYTES];
	const char *path = experiment->settings_from ? experiment->settings_from : own;
	json_t *object;
	int ret;

	if (!experiment->tuning.task_count && !experiment->settings_from)
		return 0;
	ret = file_of(experiment, "tuned.json", own, error);
	if (ret)
		return ret;
	if (access(path, R_OK))
		return lf_error_set(error, -errno,
				    "%s: %s; the file has key \"%s\", so --tune comes first", path,
				    strerror(errno),
				    experiment->settings_from ? "settings_from" : "tuning");
	object = json_load_file(path, 0, NULL);
	ret = check_tuned(experiment, path, object, error);
	if (!ret)
		*tuned = json_incref(json_object_get(object, "tuned"));
	json_decref(object);
	return ret;
}

static int run_stage(const struct experiment *experiment, struct experiment_stage *stage,
		     struct lf_error *error)
{
	FILE *log;
	int ret = experiment_log_open(experiment, stage, &log, error);

	if (ret)
		return ret;
	ret = experiment_run_all(experiment, stage, log, error);
	fclose(log);
	return ret;
}

static int tune(const struct experiment *experiment, json_t *result, struct lf_error *error)
{
	struct experiment_stage stage;
	json_t *tuned = NULL, *file;
	int ret;

	if (!experiment->tuning.task_count)
		return lf_error_set(error, -EINVAL, "--tune: the file has no key \"tuning\"");
	ret = experiment_stage_create(experiment, true, &stage, error);
	if (!ret)
		ret = run_stage(experiment, &stage, error);
	if (!ret)
		tuned = experiment_choose(experiment, &stage);
	if (tuned) {
		file = json_pack("{s:O, s:O}", "experiment", experiment->file, "tuned", tuned);
		ret = write_of(experiment, "tuned.json", file, put_json, error);
		json_decref(file);
		json_object_set(result, "tuned", tuned);
	}
	json_decref(tuned);
	experiment_stage_release(&stage);
	return ret;
}

static int run_final(const struct experiment *experiment, json_t *result, struct lf_error *error)
{
	struct experiment_stage stage = { 0 };
	json_t *tuned = NULL;
	int ret;

	ret = read_tuned(experiment, &tuned, error);
	if (!ret)
		ret = experiment_stage_create(experiment, false, &stage, error);
	stage.tuned = tuned;
	if (!ret)
		ret = run_stage(experiment, &stage, error);
	if (!ret) {
		json_object_set_new(result, "experiment",
				    json_pack("{s:i, s:i, s:s, s:s}", "runs", (int)stage.count,
					      "seeds", (int)experiment->final.seed_count, "device",
					      experiment->device, "against",
					      experiment->methods[experiment->against].name));
		ret = experiment_table(experiment, &stage, result, error);
	}
	if (!ret)
		ret = write_of(experiment, "experiment.json", result, put_json, error);
	if (!ret)
		ret = write_of(experiment, "experiment.md", result, experiment_markdown, error);
	if (!ret)
		ret = write_of(experiment, "experiment.svg", result, experiment_plot, error);
	experiment_stage_release(&stage);
	json_decref(tuned);
	return ret;
}

static int run(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct experiment_values *values = opaque;
	struct experiment experiment = { .path = operands[0],
					 .model = values->model,
					 .folder = values->out,
					 .quiet = values->common.quiet };
	int ret;

	experiment.jobs =
		values->jobs ? (uint32_t)values->jobs : (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	ret = experiment_read(&experiment, operands[0], error);
	if (!ret && values->dry_run)
		ret = experiment_estimate(&experiment, result, error);
	if (!ret && !values->dry_run && mkdir(values->out, 0777) && errno != EEXIST)
		ret = lf_error_set(error, -errno, "--out %s: %s", values->out, strerror(errno));
	if (!ret && !values->dry_run)
		ret = values->tune ? tune(&experiment, result, error)
				   : run_final(&experiment, result, error);
	experiment_release(&experiment);
	return ret;
}

const struct command experiment_commands[] = {
	{ "experiment",
	  NULL,
	  "FILE",
	  "methods on tasks by seeds, as a file asks for them, in one table",
	  { experiment_options, common_options },
	  sizeof(struct experiment_values),
	  &experiment_defaults,
	  check,
	  run },
	{ 0 },
};
