// SPDX-License-Identifier: MIT
/* lfctl study. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lf/statistics.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/outfile.h"
#include "tools/lfctl/output.h"
#include "tools/lfctl/progress.h"
#include "tools/lfctl/study.h"

/* Where everything is learned, and what the layers' outputs are held against. */
#define IDEAL	   "inproc:ideal"
/* What every point starts from unless --device says otherwise. */
#define BASE	   "inproc:isaac"
/* Sentences a pass; results depend on it where reads are noisy. */
#define BATCH	   10
#define PATH_BYTES 1024

struct study_values {
	struct common common;
	struct session_options session;
	struct recipe recipe;
	const char *out;
	const char *adapter;
	const char *sweeps;
	const char *lists[STUDY_SWEEPS];
	uint64_t test_limit;
	uint64_t signal;
	uint64_t repeats;
	uint64_t seed;
	uint64_t epochs;
	uint64_t jobs;
};

#define PLACE(field) offsetof(struct study_values, field)

static const struct option_spec study_options[] = {
	{ "out", OPTION_TEXT, PLACE(out), "DIR",
	  "where points, table and figure go; a study that is there is continued", 0, 0 },
	{ "model", OPTION_TEXT, PLACE(session.model), "DIR", "Hugging Face directory of the model",
	  0, 0 },
	{ "pool", OPTION_TEXT, PLACE(session.pool), "DIR", "directory of the pool's PEFT adapters",
	  0, 0 },
	{ "modules", OPTION_NUMBER, PLACE(recipe.modules), "N", "of the pool, 0 for all [20]", 0,
	  LF_POOL_MODULES },
	{ "task", OPTION_TEXT, PLACE(session.task), "DIR",
	  "labels.json and {train,validation,test}.jsonl", 0, 0 },
	{ "adapter", OPTION_TEXT, PLACE(adapter), "FILE",
	  "what lfctl train wrote; otherwise it is learned first, on " IDEAL, 0, 0 },
	{ "sweeps", OPTION_TEXT, PLACE(sweeps), "LIST",
	  "of adc, calibrated, programming, stuck, time [all]", 0, 0 },
	{ "adc-bits", OPTION_TEXT, PLACE(lists[STUDY_ADC]), "LIST",
	  "resolutions, step of the base [4,5,6,7,8]", 0, 0 },
	{ "calibrated-bits", OPTION_TEXT, PLACE(lists[STUDY_CALIBRATED]), "LIST",
	  "resolutions, calibrated from training sentences [4,5,6,7,8]", 0, 0 },
	{ "programming", OPTION_TEXT, PLACE(lists[STUDY_PROGRAMMING]), "LIST",
	  "standard deviations of programming, of Gmax [0,0.001,0.002,0.005,0.01,0.02,0.05]", 0,
	  0 },
	{ "stuck", OPTION_TEXT, PLACE(lists[STUDY_STUCK]), "LIST",
	  "shares of stuck cells, half on and half off [0,0.0001,0.0003,0.001,0.003,0.01]", 0, 0 },
	{ "ages", OPTION_TEXT, PLACE(lists[STUDY_TIME]), "LIST",
	  "times since programming [1s,1m,1h,1d,30d,1y,10y]", 0, 0 },
	{ "test-limit", OPTION_NUMBER, PLACE(test_limit), "N",
	  "first test examples only, 0 for all [200]", 0, 1e9 },
	{ "signal", OPTION_NUMBER, PLACE(signal), "N",
	  "of these, first ones for the signal-to-noise ratios [16]", 1, 1e6 },
	{ "repeats", OPTION_NUMBER, PLACE(repeats), "N",
	  "devices of each value, each of another seed [3]", 1, STUDY_REPEATS },
	{ "seed", OPTION_NUMBER, PLACE(seed), "S", "of the first of them [1]", 0, 1e15 },
	{ "epochs", OPTION_NUMBER, PLACE(epochs), "N", "of the adaptation [20]", 1, 1e6 },
	{ "jobs", OPTION_NUMBER, PLACE(jobs), "N", "devices at a time, 0 for one a CPU [0]", 0,
	  256 },
	{ NULL, OPTION_FLAG, 0, NULL, NULL, 0, 0 },
};

static const struct study_values study_defaults = {
	.session = { .name = "model", .split = "test", .batch = BATCH },
	.recipe = { RECIPE_DEFAULTS, .modules = 20 },
	.sweeps = "adc,calibrated,programming,stuck,time",
	.lists = { [STUDY_ADC] = "4,5,6,7,8",
		   [STUDY_CALIBRATED] = "4,5,6,7,8",
		   [STUDY_PROGRAMMING] = "0,0.001,0.002,0.005,0.01,0.02,0.05",
		   [STUDY_STUCK] = "0,0.0001,0.0003,0.001,0.003,0.01",
		   [STUDY_TIME] = "1s,1m,1h,1d,30d,1y,10y" },
	.test_limit = 200,
	.signal = 16,
	.repeats = 3,
	.seed = 1,
	.epochs = 20,
};

static int check(const void *opaque, struct lf_error *error)
{
	const struct study_values *values = opaque;
	const char *device = values->common.device;
	struct study_sweep sweeps[STUDY_SWEEPS];
	uint32_t count;

	if (!values->out)
		return lf_error_set(error, -EINVAL, "--out is missing");
	if (!values->session.model || !values->session.task || !values->session.pool)
		return lf_error_set(error, -EINVAL, "--%s is missing",
				    !values->session.model  ? "model"
				    : !values->session.task ? "task"
							    : "pool");
	if (device && strncmp(device, "inproc", strlen("inproc")))
		return lf_error_set(error, -EINVAL,
				    "--device %s: a study makes its devices in this process, so "
				    "inproc[:preset][,key=value...]",
				    device);
	if (device && strstr(device, "memory="))
		return lf_error_set(error, -EINVAL,
				    "--device: memory= would be shared by all devices of a study");
	if (device && (strstr(device, ",seed=") || strstr(device, ",threads=")))
		return lf_error_set(error, -EINVAL,
				    "--device: seed= is said by --seed, and threads= by --jobs");
	return study_sweeps_parse(values->sweeps, values->lists, sweeps, &count, error);
}

/* The session of the ideal device, on which what is to be learned is learned. */
static int open_ideal(const struct study_values *values, struct study *study,
		      struct session *session, struct lf_error *error)
{
	static const struct common common = { .quiet = true, .device = IDEAL };
	struct session_options options = study->session;

	options.common = &common;
	options.deploy = true;
	options.training = true;
	options.threads = (uint32_t)values->jobs;
	return session_open(session, &options, &study->recipe, error);
}

static void report_step(void *argument, const struct lf_train_state *state)
{
	progress_update(argument, state->step, state->steps);
}

static int learn(const struct study_values *values, struct study *study, const char *path,
		 struct lf_error *error)
{
	struct lf_train_options settings = {
		.epochs = (uint32_t)values->epochs, .batch = BATCH, .seed = 1, .report = report_step
	};
	struct lf_lorafusion_options rates;
	struct progress progress;
	struct session session;
	json_t *config = NULL;
	char *text = NULL;
	int ret;

	ret = open_ideal(values, study, &session, error);
	if (ret)
		return ret;
	lf_lorafusion_defaults(&rates);
	progress_start(&progress, "learn", study->quiet);
	settings.argument = &progress;
	ret = session_method(&session, &study->recipe, &rates, 0.0, error);
	if (!ret) {
		config = adaptation_config(&session, &study->recipe);
		text = json_dumps(config, JSON_COMPACT | JSON_SORT_KEYS);
		settings.config = text;
		ret = lf_method_start(session.method, 1, error);
	}
	if (!ret)
		ret = lf_train(session.method, session.encoder, session_head(&session),
			       &session.train, &settings, error);
	progress_end(&progress);
	if (!ret)
		ret = lf_adaptation_save(path, session.method, session_head(&session), text, error);
	free(text);
	json_decref(config);
	session_close(&session);
	return ret;
}

/* Heads of the ideal device, one for each worker, since a head has room for one answer at a time. */
static int make_heads(struct study *study, const struct session *session, struct lf_error *error)
{
	int ret = 0;

	study->heads = calloc(study->jobs, sizeof(struct lf_head *));
	if (!study->heads)
		return lf_error_set(error, -ENOMEM, "no memory for %u heads", study->jobs);
	for (uint32_t worker = 0; !ret && worker < study->jobs; worker++)
		ret = lf_head_cosine(session->encoder, session->tokenizer, session->labels,
				     study->recipe.temperature, &study->heads[worker], error);
	return ret;
}

static int test_ideal(struct study *study, struct session *session, struct lf_error *error)
{
	const struct lf_examples *test = &session->test;
	uint32_t *predictions = calloc(test->count, sizeof(*predictions));
	uint32_t majority, classes = lf_label_set_count(session->labels);
	int ret;

	if (!predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	study->examples = test->count;
	if (study->signal_sentences > test->count)
		study->signal_sentences = test->count;
	ret = study_signal_record(&study->signal, session->encoder, test, study->signal_sentences,
				  BATCH, error);
	if (!ret)
		ret = lf_predict(session->encoder, session_head(session), test, BATCH, predictions,
				 NULL, NULL, error);
	if (!ret) {
		majority = lf_majority(test->labels, test->count, classes);
		for (uint32_t at = 0; at < test->count; at++)
			study->majority += test->labels[at] == majority;
		study->majority /= test->count;
		study->ideal_accuracy = lf_accuracy(predictions, test->labels, test->count);
	}
	free(predictions);
	return ret;
}

/* What the ideal device does with what was learned: the measure of all others. */
static int apply_ideal(const struct study_values *values, struct study *study, const json_t *config,
		       const char *path, struct lf_error *error)
{
	struct lf_lorafusion_options rates;
	struct session session;
	int ret;

	lf_lorafusion_defaults(&rates);
	ret = open_ideal(values, study, &session, error);
	if (ret)
		return ret;
	study->layers = lf_encoder_layers(session.encoder);
	ret = adaptation_check(config, &session, &study->recipe, path, error);
	if (!ret)
		ret = make_heads(study, &session, error);
	if (!ret)
		ret = session_method(&session, &study->recipe, &rates, 0.0, error);
	if (!ret)
		ret = lf_adaptation_load(study->checkpoint, session.method, session_head(&session),
					 error);
	if (!ret && session.method)
		ret = lf_method_prepare(session.method, error);
	if (!ret && session.method)
		ret = lf_method_attach(session.method, false, error);
	if (!ret)
		ret = test_ideal(study, &session, error);
	session_close(&session);
	return ret;
}

static json_t *decibels_json(double db)
{
	/* A ratio without noise has no number. */
	return isfinite(db) ? json_real(rint(db * 1e3) / 1e3) : json_null();
}

static json_t *point_json(const struct study *study, const struct study_series *series,
			  uint32_t value)
{
	const struct study_axis *axis = study_axis(series->sweep.kind);
	char name[LF_ENCODER_LAYER_BYTES] = "", key[32];
	struct study_summary summary;
	json_t *point;

	study_summarise(study, series, value, &summary);
	if (isfinite(summary.worst_db))
		lf_encoder_layer_name(summary.worst_layer, name);
	point = json_pack("{s:s, s:s, s:i, s:f, s:f, s:f, s:o, s:f, s:o}", "sweep", axis->name,
			  "at", series->sweep.values[value].text, "devices", (int)summary.devices,
			  "accuracy", rint(summary.accuracy * 1e6) / 1e6, "accuracy_sd",
			  rint(summary.accuracy_sd * 1e6) / 1e6, "clip_share",
			  rint(summary.clip_share * 1e9) / 1e9, "snr_db",
			  decibels_json(summary.own_db), "snr_sd_db",
			  rint(summary.own_sd * 1e3) / 1e3, "snr_through_db",
			  decibels_json(summary.through_db));
	for (uint32_t kind = 0; kind < STUDY_KINDS; kind++) {
		snprintf(key, sizeof(key), "snr_%s_db", study_kind_name(kind));
		for (char *letter = key; *letter; letter++)
			if (*letter == ' ')
				*letter = '_';
		json_object_set_new(point, key, decibels_json(summary.kinds_db[kind]));
	}
	json_object_set_new(point, "worst_layer", *name ? json_string(name) : json_null());
	return point;
}

static void add_layers(json_t *layers, const struct study *study, const struct study_series *series,
		       uint32_t value)
{
	for (uint32_t layer = 0; layer < study->layers; layer++) {
		char name[LF_ENCODER_LAYER_BYTES];

		lf_encoder_layer_name(layer, name);
		json_array_append_new(
			layers,
			json_pack("{s:s, s:s, s:s, s:o, s:o}", "sweep",
				  study_axis(series->sweep.kind)->name, "at",
				  series->sweep.values[value].text, "layer", name, "snr_db",
				  decibels_json(study_layer_db(series, value, layer, true)),
				  "snr_through_db",
				  decibels_json(study_layer_db(series, value, layer, false))));
	}
}

static void add_results(const struct study *study, json_t *result)
{
	json_t *points = json_array(), *layers = json_array();

	json_object_set_new(result, "study",
			    json_pack("{s:s, s:s, s:s?, s:i, s:i, s:I, s:i}", "task",
				      study->session.task, "device", study->base, "drift",
				      study->drift, "test", (int)study->examples,
				      "signal_sentences", (int)study->signal_sentences, "seed",
				      (json_int_t)study->seed, "repeats", (int)study->repeats));
	json_object_set_new(result, "ideal",
			    json_pack("{s:s, s:f, s:f}", "device", IDEAL, "accuracy",
				      rint(study->ideal_accuracy * 1e6) / 1e6, "majority",
				      rint(study->majority * 1e6) / 1e6));
	json_object_set_new(result, "recipe", recipe_json(&study->recipe));
	for (uint32_t at = 0; at < study->series_count; at++)
		for (uint32_t value = 0; value < study->series[at].sweep.count; value++) {
			json_array_append_new(points, point_json(study, &study->series[at], value));
			add_layers(layers, study, &study->series[at], value);
		}
	json_object_set_new(result, "points", points);
	json_object_set_new(result, "layers", layers);
}

static int file_of(const struct study *study, const char *name, char path[PATH_BYTES],
		   struct lf_error *error)
{
	if (snprintf(path, PATH_BYTES, "%s/%s", study->folder, name) >= PATH_BYTES)
		return lf_error_set(error, -ENAMETOOLONG, "--out: path too long");
	return 0;
}

/* Table and figure beside the points, each whole or not at all. */
static int write_files(const struct study *study, const json_t *result, struct lf_error *error)
{
	char table[PATH_BYTES], figure[PATH_BYTES];
	struct outfile file;
	int ret = file_of(study, "study.json", table, error);

	if (!ret)
		ret = file_of(study, "study.svg", figure, error);
	if (!ret)
		ret = outfile_open(&file, table, error);
	if (ret)
		return ret;
	json_dumpf(result, file.stream, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	ret = outfile_flush(&file, error);
	if (outfile_close(&file, !ret, ret ? NULL : error))
		return -EIO;
	if (!ret)
		ret = outfile_open(&file, figure, error);
	if (ret)
		return ret;
	study_plot(study, file.stream);
	ret = outfile_flush(&file, error);
	if (outfile_close(&file, !ret, ret ? NULL : error))
		return -EIO;
	return ret;
}

static int allocate_points(struct study *study, struct lf_error *error)
{
	for (uint32_t at = 0; at < study->series_count; at++) {
		struct study_series *series = &study->series[at];
		size_t count = STUDY_VALUES * STUDY_REPEATS;

		series->points = calloc(count, sizeof(*series->points));
		if (!series->points)
			return lf_error_set(error, -ENOMEM, "no memory for a study");
		for (size_t point = 0; point < count; point++) {
			series->points[point].own = calloc(2 * study->layers, sizeof(double));
			if (!series->points[point].own)
				return lf_error_set(error, -ENOMEM, "no memory for a study");
			series->points[point].through = series->points[point].own + study->layers;
		}
	}
	return 0;
}

static void release(struct study *study)
{
	for (uint32_t at = 0; at < study->series_count; at++) {
		struct study_point *points = study->series[at].points;

		for (size_t point = 0; points && point < STUDY_VALUES * STUDY_REPEATS; point++)
			free(points[point].own);
		free(points);
	}
	for (uint32_t worker = 0; study->heads && worker < study->jobs; worker++)
		lf_head_free(study->heads[worker]);
	free(study->heads);
	study_signal_release(&study->signal);
}

static int measure_all(struct study *study, json_t *result, struct lf_error *error)
{
	FILE *log;
	int ret;

	ret = allocate_points(study, error);
	if (!ret)
		ret = study_log_open(study, &log, error);
	if (ret)
		return ret;
	ret = study_run(study, log, error);
	fclose(log);
	if (ret)
		return ret;
	add_results(study, result);
	return write_files(study, result, error);
}

/* Reads what was learned, and from it the recipe. */
static int with_checkpoint(const struct study_values *values, struct study *study, const char *path,
			   json_t *result, struct lf_error *error)
{
	struct lf_checkpoint *checkpoint;
	json_t *config;
	int ret;

	ret = lf_checkpoint_open(&checkpoint, path, error);
	if (ret)
		return ret;
	study->checkpoint = checkpoint;
	config = json_loads(lf_checkpoint_config(checkpoint), 0, NULL);
	ret = recipe_read(&study->recipe, json_object_get(config, "recipe"), error);
	if (ret)
		lf_error_prefix(error, ret, "%s", path);
	else
		ret = apply_ideal(values, study, config, path, error);
	if (!ret)
		ret = measure_all(study, result, error);
	json_decref(config);
	lf_checkpoint_close(checkpoint);
	return ret;
}

static int make_folder(const char *path, struct lf_error *error)
{
	if (!mkdir(path, 0777) || errno == EEXIST)
		return access(path, W_OK | X_OK)
			       ? lf_error_set(error, -errno, "--out %s: %s", path, strerror(errno))
			       : 0;
	return lf_error_set(error, -errno, "--out %s: %s", path, strerror(errno));
}

static int run(const void *opaque, char **operands, json_t *result, struct lf_error *error)
{
	const struct study_values *values = opaque;
	struct study study = { .session = values->session,
			       .base = values->common.device ? values->common.device : BASE,
			       .folder = values->out,
			       .seed = values->seed,
			       .repeats = (uint32_t)values->repeats,
			       .signal_sentences = (uint32_t)values->signal,
			       .quiet = values->common.quiet,
			       .recipe = values->recipe };
	struct study_sweep sweeps[STUDY_SWEEPS];
	char learned[PATH_BYTES];
	int ret;

	(void)operands;
	study.jobs =
		values->jobs ? (uint32_t)values->jobs : (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	study.session.test_limit = (uint32_t)values->test_limit;
	ret = study_sweeps_parse(values->sweeps, values->lists, sweeps, &study.series_count, error);
	for (uint32_t at = 0; !ret && at < study.series_count; at++)
		study.series[at].sweep = sweeps[at];
	if (!ret)
		ret = study_plan(&study, error);
	if (ret)
		return ret == -EINVAL ? COMMAND_EXIT(EXIT_USAGE) : ret;
	ret = make_folder(study.folder, error);
	if (!ret)
		ret = file_of(&study, "adapted", learned, error);
	if (!ret && !values->adapter && access(learned, F_OK))
		ret = learn(values, &study, learned, error);
	if (!ret)
		ret = with_checkpoint(values, &study, values->adapter ? values->adapter : learned,
				      result, error);
	release(&study);
	return ret;
}

const struct command study_commands[] = {
	{ "study",
	  NULL,
	  NULL,
	  "accuracy and signal-to-noise ratio against the errors of devices",
	  { study_options, device_options, common_options },
	  sizeof(struct study_values),
	  &study_defaults,
	  check,
	  run },
	{ 0 },
};
