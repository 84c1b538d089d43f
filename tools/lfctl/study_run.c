// SPDX-License-Identifier: MIT
/*
 * Running a study: a device in the process for each value and seed, several at a time. The model and the pool are deployed on
 * each anew; what was learned on the ideal device is applied as it is.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <lf/calibration.h>
#include <lf/parallel.h>
#include <lf/statistics.h>

#include "tools/lfctl/evaluation.h"
#include "tools/lfctl/progress.h"
#include "tools/lfctl/study.h"

#define NANOSECONDS_PER_SECOND 1e9
/*
 * Relaxation of conductive metal oxide on HfOx, as in preset falcone2025: mean -0.089 ln t uS, standard deviation
 * 0.412 + 0.042 ln t uS, t in seconds, of a range up to 88 uS (Falcone et al., 2025).
 */
#define DRIFT \
	"relax_mean=-0.001011,relax_sigma=0.00468,relax_sigma_slope=0.000477,relax_start_ms=1000"
/* Sentences that converters are calibrated from. */
#define CALIBRATION_SENTENCES 16

/**
 * struct run - one device: a value and a repeat, or of the sweep over time a repeat with all its values
 * @series: it belongs to
 * @value: index of its value; of the first for the sweep over time
 * @values: how many values are measured on it
 * @repeat: which device of the value
 */
struct run {
	struct study_series *series;
	uint32_t value;
	uint32_t values;
	uint32_t repeat;
};

/* Devices at work; what is below the lock is shared. */
struct crew {
	struct study *study;
	struct run *runs;
	uint32_t count;
	FILE *log;
	struct progress progress;
	double began_s;
	uint32_t points; /* to be measured in all */
	pthread_mutex_t lock;
	uint32_t next;
	uint32_t done; /* points */
	int ret;
	struct lf_error error;
};

static bool is_random(const struct lf_device *device)
{
	const struct lf_device_info *info = lf_device_info(device);

	return !info->effects_known || info->effects;
}

/* The base, with what @keys, ",key=value...", say instead of what it says of the same keys. */
static void change(const char *base, const char *keys, char *text, size_t bytes)
{
	size_t length = strcspn(base, ",");

	snprintf(text, bytes, "%.*s", (int)length, base);
	for (base += length; *base; base += length) {
		char pattern[64];

		length = 1 + strcspn(base + 1, ",");
		snprintf(pattern, sizeof(pattern), "%.*s=", (int)strcspn(base, "="), base);
		if (!strstr(keys, pattern))
			snprintf(text + strlen(text), bytes - strlen(text), "%.*s", (int)length,
				 base);
	}
	snprintf(text + strlen(text), bytes - strlen(text), "%s", keys);
}

static void specification(const struct study *study, const struct study_series *series,
			  const struct study_value *value, uint32_t repeat, char *text,
			  size_t bytes)
{
	bool drifts = study->drift && series->sweep.kind == STUDY_TIME;
	char keys[2 * STUDY_KEYS_BYTES + sizeof(DRIFT)];

	study_sweep_keys(series->sweep.kind, value, keys);
	snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "%s%s,seed=%llu,threads=1",
		 drifts ? "," : "", drifts ? study->drift : "",
		 (unsigned long long)study->seed + repeat);
	change(study->base, keys, text, bytes);
}

/* Whether the base has errors that grow with time; where it has none, it gets those of DRIFT. */
static int choose_drift(struct study *study, struct lf_error *error)
{
	const struct lf_device_info *info;
	struct lf_device *device;
	int ret = lf_device_open(study->base, &device, error);

	if (ret)
		return ret;
	info = lf_device_info(device);
	if (info->effects_known &&
	    !(info->effects & (1u << LF_EFFECT_RELAXATION | 1u << LF_EFFECT_RETENTION)))
		study->drift = DRIFT;
	lf_device_close(device);
	return 0;
}

/* Every device is tried before hours of work go into the first. */
int study_plan(struct study *study, struct lf_error *error)
{
	int ret = 0;

	for (uint32_t at = 0; !ret && at < study->series_count; at++)
		if (study->series[at].sweep.kind == STUDY_TIME)
			ret = choose_drift(study, error);
	if (ret)
		return ret;
	for (uint32_t at = 0; at < study->series_count; at++) {
		struct study_series *series = &study->series[at];

		for (uint32_t value = 0; value < series->sweep.count; value++) {
			struct lf_device *device;
			char text[512];

			specification(study, series, &series->sweep.values[value], 0, text,
				      sizeof(text));
			ret = lf_device_open(text, &device, error);
			if (ret)
				return lf_error_prefix(error, ret, "sweep %s, value %s",
						       study_axis(series->sweep.kind)->name,
						       series->sweep.values[value].text);
			series->repeats[value] = is_random(device) ? study->repeats : 1;
			lf_device_close(device);
		}
	}
	return 0;
}

/* The pool, what was learned, and where it is asked for calibrated converters. */
static int prepare_session(const struct study *study, const struct run *run,
			   struct session *session, struct lf_error *error)
{
	struct lf_examples sentences = session->train;
	struct lf_calibration_options calibration = { .sentences = &sentences,
						      .batch = study->session.batch,
						      .samples = LF_CALIBRATION_SAMPLES };
	struct lf_lorafusion_options rates;
	int ret = 0;

	lf_lorafusion_defaults(&rates);
	if (sentences.count > CALIBRATION_SENTENCES)
		sentences.count = CALIBRATION_SENTENCES;
	if (run->series->sweep.kind == STUDY_CALIBRATED)
		ret = lf_calibrate(session->encoder, session->pool, &calibration, NULL, error);
	if (!ret)
		ret = session_method(session, &study->recipe, &rates, 0.0, error);
	if (!ret)
		ret = lf_adaptation_load(study->checkpoint, session->method, session_head(session),
					 error);
	if (!ret && session->method)
		ret = lf_method_prepare(session->method, error);
	if (!ret && session->method)
		ret = lf_method_attach(session->method, false, error);
	return ret;
}

/* The head that the ideal device made, unless it was trained and read back. */
static struct lf_head *head_of(const struct study *study, const struct session *session,
			       uint32_t worker)
{
	return session->linear ? session->linear : study->heads[worker];
}

static int measure(const struct study *study, struct session *session, uint32_t worker,
		   struct study_point *point, struct lf_error *error)
{
	const struct lf_examples *test = &session->test;
	uint32_t *predictions = calloc(test->count, sizeof(*predictions));
	struct lf_counters before, after;
	double began_s = wall_clock_s();
	int ret;

	if (!predictions)
		return lf_error_set(error, -ENOMEM, "no memory for predictions");
	ret = study_signal_compare(&study->signal, session->encoder, test, true, point->own, error);
	if (!ret)
		ret = study_signal_compare(&study->signal, session->encoder, test, false,
					   point->through, error);
	if (!ret)
		ret = lf_device_counters(session->device, &before, error);
	if (!ret)
		ret = lf_predict(session->encoder, head_of(study, session, worker), test,
				 study->session.batch, predictions, NULL, NULL, error);
	if (!ret)
		ret = lf_device_counters(session->device, &after, error);
	if (!ret) {
		uint64_t conversions = after.conversions - before.conversions;

		point->accuracy = lf_accuracy(predictions, test->labels, test->count);
		point->clip_share =
			conversions ? (double)(after.clips - before.clips) / (double)conversions
				    : 0.0;
		point->wall_s = wall_clock_s() - began_s;
	}
	free(predictions);
	return ret;
}

/* Lets the device's clock go on until @age_s after @programmed_ns. */
static int wait_until(struct lf_device *device, uint64_t programmed_ns, double age_s,
		      struct lf_error *error)
{
	uint64_t due_ns = programmed_ns + (uint64_t)(age_s * NANOSECONDS_PER_SECOND);
	struct lf_telemetry telemetry;
	int ret = lf_device_telemetry(device, &telemetry, error);

	if (!ret && due_ns > telemetry.time_ns)
		ret = lf_device_advance(device, due_ns - telemetry.time_ns, error);
	return ret;
}

static void report(struct crew *crew)
{
	double spent_s = wall_clock_s() - crew->began_s;
	char note[48];

	snprintf(note, sizeof(note), "about %.0f s left",
		 spent_s * (crew->points - crew->done) / crew->done);
	progress_note(&crew->progress, crew->done, crew->points, note);
}

static int finish_point(struct crew *crew, const struct run *run, uint32_t value,
			struct lf_error *error)
{
	int ret;

	pthread_mutex_lock(&crew->lock);
	study_point(run->series, value, run->repeat)->done = true;
	ret = study_log_add(crew->log, crew->study, run->series, value, run->repeat);
	if (ret)
		lf_error_set(error, ret, "%s/points.jsonl: %s", crew->study->folder,
			     strerror(-ret));
	crew->done++;
	report(crew);
	pthread_mutex_unlock(&crew->lock);
	return ret;
}

static int run_device(struct crew *crew, const struct run *run, uint32_t worker,
		      struct lf_error *error)
{
	const struct study *study = crew->study;
	const struct study_sweep *sweep = &run->series->sweep;
	struct session_options options = study->session;
	struct lf_telemetry deployed;
	struct common common = { .quiet = true };
	struct session session;
	char text[512];
	int ret;

	specification(study, run->series, &sweep->values[run->value], run->repeat, text,
		      sizeof(text));
	common.device = text;
	options.common = &common;
	options.deploy = true;
	options.threads = 1;
	options.training = sweep->kind == STUDY_CALIBRATED;
	ret = session_open(&session, &options, &study->recipe, error);
	if (ret)
		return ret;
	ret = lf_device_telemetry(session.device, &deployed, error);
	if (!ret)
		ret = prepare_session(study, run, &session, error);
	for (uint32_t at = 0; !ret && at < run->values; at++) {
		uint32_t value = run->value + at;
		struct study_point *point = study_point(run->series, value, run->repeat);

		if (point->done)
			continue;
		if (sweep->kind == STUDY_TIME)
			ret = wait_until(session.device, deployed.time_ns, sweep->values[value].x,
					 error);
		if (!ret)
			ret = measure(study, &session, worker, point, error);
		if (!ret)
			ret = finish_point(crew, run, value, error);
	}
	session_close(&session);
	return ret;
}

static void work(void *argument, size_t worker)
{
	struct crew *crew = argument;

	for (;;) {
		struct lf_error error = { 0 };
		const struct run *run = NULL;
		int ret;

		pthread_mutex_lock(&crew->lock);
		if (!crew->ret && crew->next < crew->count)
			run = &crew->runs[crew->next++];
		pthread_mutex_unlock(&crew->lock);
		if (!run)
			return;
		ret = run_device(crew, run, (uint32_t)worker, &error);
		if (!ret)
			continue;
		lf_error_prefix(&error, ret, "sweep %s, value %s, repeat %u",
				study_axis(run->series->sweep.kind)->name,
				run->series->sweep.values[run->value].text, run->repeat);
		pthread_mutex_lock(&crew->lock);
		if (!crew->ret) {
			crew->ret = ret;
			crew->error = error;
		}
		pthread_mutex_unlock(&crew->lock);
	}
}

static void add_run(struct crew *crew, struct study_series *series, uint32_t value, uint32_t values,
		    uint32_t repeat)
{
	uint32_t missing = 0;

	for (uint32_t at = value; at < value + values; at++)
		missing += !study_point(series, at, repeat)->done;
	if (missing)
		crew->runs[crew->count++] = (struct run){ series, value, values, repeat };
	crew->points += missing;
}

static void list_runs(struct crew *crew)
{
	struct study *study = crew->study;

	for (uint32_t at = 0; at < study->series_count; at++) {
		struct study_series *series = &study->series[at];
		bool time = series->sweep.kind == STUDY_TIME;

		for (uint32_t value = 0; value < (time ? 1 : series->sweep.count); value++)
			for (uint32_t repeat = 0; repeat < series->repeats[value]; repeat++)
				add_run(crew, series, value, time ? series->sweep.count : 1,
					repeat);
	}
}

int study_run(struct study *study, FILE *log, struct lf_error *error)
{
	struct crew crew = { .study = study, .log = log, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct lf_parallel *pool;
	int ret;

	crew.runs = calloc(STUDY_SWEEPS * STUDY_VALUES * STUDY_REPEATS, sizeof(*crew.runs));
	if (!crew.runs)
		return lf_error_set(error, -ENOMEM, "no memory for a study");
	list_runs(&crew);
	ret = lf_parallel_create(&pool, study->jobs, error);
	if (!ret) {
		progress_start(&crew.progress, "study", study->quiet);
		crew.began_s = wall_clock_s();
		/* An iteration is a worker, so that a slow device holds nobody else up. */
		lf_parallel_for(pool, study->jobs, work, &crew);
		progress_end(&crew.progress);
		lf_parallel_destroy(pool);
		ret = crew.ret;
		if (ret)
			lf_error_set(error, ret, "%s", crew.error.text);
	}
	free(crew.runs);
	return ret;
}
