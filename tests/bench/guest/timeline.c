// SPDX-License-Identifier: MIT
/*
 * What the thread that trains does and when, for an lfctl that is linked with these functions around those of the
 * library (ld's --wrap): while lf_train() runs, each call that prepares, submits or waits for a job is an interval of the
 * timeline, and all else is the host's math. At the end the timeline is written to the file that LF_TIMELINE names, in
 * nanoseconds of CLOCK_MONOTONIC, a line each:
 *
 *   call START END     a call of the library's job functions
 *   step END           a training step has ended
 *   clock START END    a read of the device's register LF_REG_INJECT; a trace of the device has the same, so that
 *                      the clock of the trace can be told from this one
 */
#include <glob.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <lf/job.h>
#include <lf/train.h>

#define CLOCK_READS 200

struct mark {
	char kind[8];
	int64_t start_ns;
	int64_t end_ns;
};

static struct {
	struct mark *marks;
	size_t count;
	size_t capacity;
	bool on;
	void (*report)(void *argument, const struct lf_train_state *state);
	void *argument;
} timeline;

/* Names that the linker gives the functions that are wrapped. */
int __real_lf_train(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
		    const struct lf_examples *examples, const struct lf_train_options *options,
		    struct lf_error *error);
int __wrap_lf_train(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
		    const struct lf_examples *examples, const struct lf_train_options *options,
		    struct lf_error *error);
void __real_lf_job_begin(struct lf_job *job, uint64_t job_number);
void __wrap_lf_job_begin(struct lf_job *job, uint64_t job_number);
void __real_lf_job_mvm(struct lf_job *job, const struct lf_mvm *mvm);
void __wrap_lf_job_mvm(struct lf_job *job, const struct lf_mvm *mvm);
void __real_lf_job_fuse(struct lf_job *job, const struct lf_fuse *fuse);
void __wrap_lf_job_fuse(struct lf_job *job, const struct lf_fuse *fuse);
int __real_lf_job_submit(struct lf_job *job, struct lf_error *error);
int __wrap_lf_job_submit(struct lf_job *job, struct lf_error *error);
int __real_lf_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error);
int __wrap_lf_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error);

static int64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(EXIT_FAILURE);
}

static void add_mark(const char *kind, int64_t start_ns, int64_t end_ns)
{
	struct mark *mark;

	if (!timeline.on)
		return;
	if (timeline.count == timeline.capacity) {
		timeline.capacity = timeline.capacity ? 2 * timeline.capacity : 4096;
		timeline.marks =
			realloc(timeline.marks, timeline.capacity * sizeof(*timeline.marks));
		if (!timeline.marks)
			fail("timeline");
	}
	mark = &timeline.marks[timeline.count++];
	*mark = (struct mark){ .start_ns = start_ns, .end_ns = end_ns };
	snprintf(mark->kind, sizeof(mark->kind), "%s", kind);
}

/* The shortest reads tell most. */
static void read_clock(void)
{
	glob_t files;

	if (glob("/sys/kernel/debug/accel/*/inject", 0, NULL, &files))
		fail("debugfs inject");
	for (int i = 0; i < CLOCK_READS; i++) {
		FILE *file = fopen(files.gl_pathv[0], "r");
		int64_t start_ns = now_ns();
		int value;

		if (!file || fscanf(file, "%d", &value) != 1)
			fail(files.gl_pathv[0]);
		add_mark("clock", start_ns, now_ns());
		fclose(file);
	}
	globfree(&files);
}

static void write_timeline(void)
{
	const char *path = getenv("LF_TIMELINE");
	FILE *file = path ? fopen(path, "w") : NULL;

	if (!file)
		fail("LF_TIMELINE");
	for (size_t i = 0; i < timeline.count; i++) {
		const struct mark *mark = &timeline.marks[i];

		fprintf(file, "%s %" PRId64 " %" PRId64 "\n", mark->kind, mark->start_ns,
			mark->end_ns);
	}
	if (fclose(file))
		fail(path);
}

static void report_step(void *argument, const struct lf_train_state *state)
{
	int64_t end_ns = now_ns();

	(void)argument;
	add_mark("step", end_ns, end_ns);
	if (timeline.report)
		timeline.report(timeline.argument, state);
}

int __wrap_lf_train(struct lf_method *method, struct lf_encoder *encoder, struct lf_head *head,
		    const struct lf_examples *examples, const struct lf_train_options *options,
		    struct lf_error *error)
{
	struct lf_train_options timed = *options;
	int ret;

	timeline.report = options->report;
	timeline.argument = options->argument;
	timed.report = report_step;
	timeline.on = true;
	read_clock();
	ret = __real_lf_train(method, encoder, head, examples, &timed, error);
	read_clock();
	timeline.on = false;
	write_timeline();
	return ret;
}

void __wrap_lf_job_begin(struct lf_job *job, uint64_t job_number)
{
	int64_t start_ns = now_ns();

	__real_lf_job_begin(job, job_number);
	add_mark("call", start_ns, now_ns());
}

void __wrap_lf_job_mvm(struct lf_job *job, const struct lf_mvm *mvm)
{
	int64_t start_ns = now_ns();

	__real_lf_job_mvm(job, mvm);
	add_mark("call", start_ns, now_ns());
}

void __wrap_lf_job_fuse(struct lf_job *job, const struct lf_fuse *fuse)
{
	int64_t start_ns = now_ns();

	__real_lf_job_fuse(job, fuse);
	add_mark("call", start_ns, now_ns());
}

int __wrap_lf_job_submit(struct lf_job *job, struct lf_error *error)
{
	int64_t start_ns = now_ns();
	int ret = __real_lf_job_submit(job, error);

	add_mark("call", start_ns, now_ns());
	return ret;
}

int __wrap_lf_job_wait(struct lf_job *job, int64_t timeout_ns, struct lf_error *error)
{
	int64_t start_ns = now_ns();
	int ret = __real_lf_job_wait(job, timeout_ns, error);

	add_mark("call", start_ns, now_ns());
	return ret;
}
