// SPDX-License-Identifier: MIT
/*
 * The points of a study in a file of JSON lines. The first line says which study it is, so that an interrupted one goes on and no two
 * are mixed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lf/train.h>

#include "tools/lfctl/study.h"

#define LINE_BYTES (1 << 20)

/* Whatever a point depends on beside its sweep, value and repeat. */
static json_t *identity(const struct study *study)
{
	const struct session_options *session = &study->session;

	return json_pack("{s:{s:s, s:s, s:i, s:i, s:I, s:o}}", "study", "device", study->base,
			 "task", session->task, "test", (int)study->examples, "signal_sentences",
			 (int)study->signal_sentences, "seed", (json_int_t)study->seed,
			 "adaptation",
			 json_loads(lf_checkpoint_config(study->checkpoint), 0, NULL));
}

static json_t *ratios_json(const double *ratios, uint32_t layers)
{
	json_t *array = json_array();

	for (uint32_t layer = 0; layer < layers; layer++)
		json_array_append_new(array, json_real(ratios[layer]));
	return array;
}

static int write_line(FILE *log, json_t *line)
{
	char *text = line ? json_dumps(line, JSON_COMPACT) : NULL;
	int ret = text ? 0 : -ENOMEM;

	errno = 0;
	if (!ret && (fprintf(log, "%s\n", text) < 0 || fflush(log)))
		ret = errno ? -errno : -EIO;
	free(text);
	json_decref(line);
	return ret;
}

int study_log_add(FILE *log, const struct study *study, const struct study_series *series,
		  uint32_t value, uint32_t repeat)
{
	const struct study_point *point = study_point(series, value, repeat);

	return write_line(log, json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:o, s:o}", "sweep",
					 study_axis(series->sweep.kind)->name, "value",
					 series->sweep.values[value].text, "repeat", (int)repeat,
					 "accuracy", point->accuracy, "clip_share",
					 point->clip_share, "wall_s", point->wall_s, "own",
					 ratios_json(point->own, study->layers), "through",
					 ratios_json(point->through, study->layers)));
}

static bool read_ratios(const json_t *array, double *ratios, uint32_t layers)
{
	if (json_array_size(array) != layers)
		return false;
	for (uint32_t layer = 0; layer < layers; layer++) {
		const json_t *number = json_array_get(array, layer);

		ratios[layer] = json_number_value(number);
		if (!json_is_number(number) || !(ratios[layer] >= 0.0))
			return false;
	}
	return true;
}

/* Where a line's point belongs; NULL if this study has no such point, which is no fault. */
static struct study_point *find_point(struct study *study, const char *sweep, const char *value,
				      int repeat)
{
	for (uint32_t at = 0; at < study->series_count; at++) {
		struct study_series *series = &study->series[at];

		if (strcmp(study_axis(series->sweep.kind)->name, sweep))
			continue;
		for (uint32_t v = 0; v < series->sweep.count; v++)
			if (!strcmp(series->sweep.values[v].text, value) &&
			    (uint32_t)repeat < series->repeats[v])
				return study_point(series, v, (uint32_t)repeat);
	}
	return NULL;
}

static bool take_point(struct study *study, const json_t *line)
{
	const char *sweep, *value;
	json_t *own, *through;
	struct study_point *point, read;
	int repeat;

	if (json_unpack((json_t *)line, "{s:s, s:s, s:i, s:F, s:F, s:F, s:o, s:o}", "sweep", &sweep,
			"value", &value, "repeat", &repeat, "accuracy", &read.accuracy,
			"clip_share", &read.clip_share, "wall_s", &read.wall_s, "own", &own,
			"through", &through))
		return false;
	point = find_point(study, sweep, value, repeat);
	if (!point)
		return true;
	if (!read_ratios(own, point->own, study->layers) ||
	    !read_ratios(through, point->through, study->layers))
		return false;
	point->accuracy = read.accuracy;
	point->clip_share = read.clip_share;
	point->wall_s = read.wall_s;
	point->done = true;
	return true;
}

/*
 * Reads all lines; *@end receives where the last whole one ends. A last line without its newline is what an interruption
 * leaves, and is written again.
 */
static int read_lines(struct study *study, FILE *log, const char *path, long *end,
		      struct lf_error *error)
{
	char *text = malloc(LINE_BYTES);
	json_t *mine = identity(study);
	uint32_t number = 0;
	int ret = 0;

	if (!text || !mine)
		ret = lf_error_set(error, -ENOMEM, "%s: no memory to read it", path);
	*end = 0;
	while (!ret && fgets(text, LINE_BYTES, log)) {
		json_t *line;

		if (!strchr(text, '\n'))
			break;
		number++;
		line = json_loads(text, 0, NULL);
		if (number == 1 && (!line || !json_equal(line, mine)))
			ret = lf_error_set(error, -EEXIST,
					   "%s: belongs to another study; give another --out, or "
					   "remove it",
					   path);
		else if (number > 1 && (!line || !take_point(study, line)))
			ret = lf_error_set(error, -EINVAL, "%s:%u: is no point of a study", path,
					   number);
		json_decref(line);
		*end = ftell(log);
	}
	free(text);
	json_decref(mine);
	return ret;
}

int study_log_open(struct study *study, FILE **log, struct lf_error *error)
{
	char path[1024];
	long end;
	int ret;

	if ((size_t)snprintf(path, sizeof(path), "%s/points.jsonl", study->folder) >= sizeof(path))
		return lf_error_set(error, -ENAMETOOLONG, "--out: path too long");
	*log = fopen(path, "a+");
	if (!*log)
		return lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
	rewind(*log);
	ret = read_lines(study, *log, path, &end, error);
	if (!ret && ftruncate(fileno(*log), end))
		ret = lf_error_set(error, -errno, "%s: %s", path, strerror(errno));
	if (!ret)
		fseek(*log, 0, SEEK_END);
	if (!ret && !end) {
		ret = write_line(*log, identity(study));
		if (ret)
			lf_error_set(error, ret, "%s: %s", path, strerror(-ret));
	}
	if (ret)
		fclose(*log);
	return ret;
}
