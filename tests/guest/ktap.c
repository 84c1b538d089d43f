// SPDX-License-Identifier: MIT
/*
 * The harness of ktap.h.
 */
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/guest/ktap.h"

void ktap_skip(const char *reason)
{
	printf("# SKIP %s\n", reason);
	fflush(stdout);
	_exit(KTAP_SKIPPED);
}

void ktap_fail(const char *file, int line, const char *what)
{
	printf("# %s:%d: failed: %s\n", file, line, what);
	fflush(stdout);
	_exit(1);
}

static int run_one(const struct ktap_test *test, unsigned int timeout_s)
{
	int status;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		alarm(timeout_s);
		if (test->run)
			test->run();
		else
			test->run_case(test->number);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return 1;
	if (WIFSIGNALED(status)) {
		printf("# killed by signal %d\n", WTERMSIG(status));
		return 1;
	}
	return WEXITSTATUS(status);
}

/* Whether a test is among the names in @only; all are when there are none. */
static bool is_wanted(const char *only, const char *name)
{
	size_t length = strlen(name);

	if (!only || !*only)
		return true;
	for (const char *at = strstr(only, name); at; at = strstr(at + 1, name)) {
		bool begins = at == only || at[-1] == ',';

		if (begins && (at[length] == ',' || !at[length]))
			return true;
	}
	return false;
}

unsigned int ktap_patience(void)
{
	const char *given = getenv("KTAP_PATIENCE");
	long times = given ? strtol(given, NULL, 10) : 1;

	return times < 1 ? 1 : (unsigned int)times;
}

int ktap_run(const struct ktap_test *tests, size_t count, unsigned int timeout_s)
{
	const char *only = getenv("KTAP_ONLY");
	size_t failed = 0, skipped = 0;

	printf("TAP version 13\n1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		int status = is_wanted(only, tests[i].name)
				     ? run_one(&tests[i], timeout_s * ktap_patience())
				     : KTAP_SKIPPED;

		failed += status != 0 && status != KTAP_SKIPPED;
		skipped += status == KTAP_SKIPPED;
		printf("%s %zu %s%s\n", status && status != KTAP_SKIPPED ? "not ok" : "ok", i + 1,
		       tests[i].name, status == KTAP_SKIPPED ? " # SKIP" : "");
	}
	printf("# Totals: pass:%zu fail:%zu skip:%zu\n", count - failed - skipped, failed, skipped);
	fflush(stdout);
	if (failed)
		return 1;
	return skipped == count ? KTAP_SKIPPED : 0;
}
