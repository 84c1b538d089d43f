// SPDX-License-Identifier: MIT
/*
 * The lines of an experiment: the first says which it is, then one for each run. A line is on the disk before its run counts as done, and
 * the file is locked while a process works on it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tools/lfctl/experiment.h"

/* Whatever a run depends on beside its task, seed, method and trial. */
static json_t *identity(const struct experiment *experiment, const struct experiment_stage *stage)
{
	return json_pack("{s:s, s:O, s:s, s:O?}", "stage", stage->name, "experiment",
			 experiment->file, "model", experiment->model, "tuned", stage->tuned);
}

int experiment_log_add(FILE *log, const json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	int ret = text ? 0 : -ENOMEM;

	errno = 0;
	if (!ret && (fprintf(log, "%s\n", text) < 0 || fflush(log) || fsync(fileno(log))))
		ret = errno ? -errno : -EIO;
	free(text);
	return ret;
}

static struct experiment_run *find(const struct experiment *experiment,
				   struct experiment_stage *stage, const char *task,
				   json_int_t seed, const char *method, json_int_t trial)
{
	for (uint32_t at = 0; at < stage->count; at++) {
		struct experiment_run *run = &stage->runs[at];

		if (run->trial == trial && stage->draw->seeds[run->seed] == (uint64_t)seed &&
		    !strcmp(stage->draw->tasks[run->task], task) &&
		    !strcmp(experiment->methods[run->method].name, method))
			return run;
	}
	return NULL;
}

static bool is_phase(const json_t *phase)
{
	static const char *const numbers[] = { "tokens", "cells_written", "host_bytes" };
	static const char *const parts[] = { "backbone", "pool", "host", "writes" };
	const json_t *energy = json_object_get(phase, "energy_pj");

	for (size_t at = 0; at < sizeof(numbers) / sizeof(numbers[0]); at++)
		if (!json_is_integer(json_object_get(phase, numbers[at])))
			return false;
	for (size_t at = 0; at < sizeof(parts) / sizeof(parts[0]); at++)
		if (!json_is_number(json_object_get(energy, parts[at])))
			return false;
	return true;
}

/* All that tables are made from, so that they need not ask again. */
static bool is_whole(const json_t *line)
{
	const json_t *right = json_object_get(line, "right"), *value;
	size_t index;

	if (!json_is_number(json_object_get(line, "accuracy")) ||
	    !json_is_number(json_object_get(line, "macro_f1")) || !json_array_size(right) ||
	    json_array_size(right) != json_array_size(json_object_get(line, "items")) ||
	    !is_phase(json_object_get(line, "training")) ||
	    !is_phase(json_object_get(line, "inference")))
		return false;
	json_array_foreach((json_t *)right, index, value)
	{
		const json_t *items = json_array_get(json_object_get(line, "items"), index);

		if (!json_is_integer(value) || !json_is_integer(items) ||
		    json_integer_value(items) < 1 || json_integer_value(items) > 1000000 ||
		    json_integer_value(value) < 0 ||
		    json_integer_value(value) > json_integer_value(items))
			return false;
	}
	return true;
}

static bool take(const struct experiment *experiment, struct experiment_stage *stage, json_t *line)
{
	const char *task, *method;
	struct experiment_run *run;
	json_int_t seed, trial;

	if (json_unpack(line, "{s:s, s:I, s:s, s:I}", "task", &task, "seed", &seed, "method",
			&method, "trial", &trial) ||
	    !is_whole(line))
		return false;
	run = find(experiment, stage, task, seed, method, trial);
	if (!run || run->line)
		return false;
	run->line = json_incref(line);
	return true;
}

/* A last line without its newline is what an interruption leaves; its run is done again. */
static int read_lines(const struct experiment *experiment, struct experiment_stage *stage,
		      FILE *log, const char *path, long *end, struct lf_error *error)
{
	json_t *mine = identity(experiment, stage);
	uint32_t number = 0;
	char *text = NULL;
	size_t bytes = 0;
	ssize_t length;
	int ret = mine ? 0 : lf_error_set(error, -ENOMEM, "%s: no memory", path);

	*end = 0;
	while (!ret && (length = getline(&text, &bytes, log)) > 0 && text[length - 1] == '\n') {
		json_t *line = json_loadb(text, (size_t)length, 0, NULL);

		number++;
		if (number == 1 && !json_equal(line, mine))
			ret = lf_error_set(error, -EEXIST,
					   "%s: belongs to another experiment, or to one with "
					   "other settings; give another --out, or remove it",
					   path);
		else if (number > 1 && (!line || !take(experiment, stage, line)))
			ret = lf_error_set(error, -EINVAL, "%s:%u: is no run of this experiment",
					   path, number);
		json_decref(line);
		*end = ftell(log);
	}
	free(text);
	json_decref(mine);
	return ret;
}

static int begin(const struct experiment *experiment, const struct experiment_stage *stage,
		 FILE *log)
{
	json_t *line = identity(experiment, stage);
	int ret = line ? experiment_log_add(log, line) : -ENOMEM;

	json_decref(line);
	return ret;
}

int experiment_log_open(const struct experiment *experiment, struct experiment_stage *stage,
			FILE **log, struct lf_error *error)
{
	char path[EXPERIMENT_BYTES];
	long end;
	int ret;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s.jsonl", experiment->folder, stage->name) >=
	    sizeof(path))
		return lf_error_set(error, -ENAMETOOLONG, "--out: path too long");
	*log = fopen(path, "a+");
	if (!*log)
		return lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (flock(fileno(*log), LOCK_EX | LOCK_NB)) {
		fclose(*log);
		return lf_error_set(error, -EBUSY, "%s: another process is at work on it", path);
	}
	rewind(*log);
	ret = read_lines(experiment, stage, *log, path, &end, error);
	if (!ret && ftruncate(fileno(*log), end))
		ret = lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!ret)
		fseek(*log, 0, SEEK_END);
	if (!ret && !end) {
		ret = begin(experiment, stage, *log);
		if (ret)
			lf_error_set(error, ret, "%s: %s", path, strerror(-ret));
	}
	if (ret)
		fclose(*log);
	return ret;
}
