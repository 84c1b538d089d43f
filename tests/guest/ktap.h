/* SPDX-License-Identifier: MIT */
/*
 * A small harness in the style of kselftest: each test runs in a process of its own, the program
 * prints KTAP and ends with 0 (all passed or skipped), 1 (one failed) or 4 (all skipped).
 */
#ifndef KTAP_H
#define KTAP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KTAP_SKIPPED 4

/** struct ktap_test - a test and its name; @run_case with @number where @run is NULL */
struct ktap_test {
	const char *name;
	void (*run)(void);
	void (*run_case)(size_t number);
	size_t number;
};

#define KTAP_TEST(function)                         \
	{                                           \
		.name = #function, .run = function, \
	}
#define KTAP_COUNT(tests) (sizeof(tests) / sizeof((tests)[0]))

/**
 * ktap_run() - run tests in order, each in a child
 * @tests: what to run
 * @count: their number
 * @timeout_s: seconds after which a test is killed and has failed
 *
 * With KTAP_ONLY in the environment, names separated by commas, all others are skipped; KTAP_PATIENCE is a number that
 * @timeout_s is multiplied with.
 *
 * Return: exit status of the program.
 */
int ktap_run(const struct ktap_test *tests, size_t count, unsigned int timeout_s);

/** ktap_patience() - how many times slower than the distribution's the kernel may be: KTAP_PATIENCE, or 1 */
unsigned int ktap_patience(void);

/** ktap_skip() - end this test: what it needs is not here */
_Noreturn void ktap_skip(const char *reason);

/** ktap_fail() - end this test as failed; use CHECK */
_Noreturn void ktap_fail(const char *file, int line, const char *what);

#define CHECK(condition)                                           \
	do {                                                       \
		if (!(condition))                                  \
			ktap_fail(__FILE__, __LINE__, #condition); \
	} while (0)

/* Both sides are shown, as long long. */
#define CHECK_EQUAL(actual, expected)                                                       \
	do {                                                                                \
		long long actual_ = (long long)(actual), expected_ = (long long)(expected); \
		if (actual_ != expected_) {                                                 \
			printf("# %s is %lld, not %lld\n", #actual, actual_, expected_);    \
			ktap_fail(__FILE__, __LINE__, #actual " == " #expected);            \
		}                                                                           \
	} while (0)

/* A call that returns 0, or -1 with errno. */
#define CHECK_OK(call)                                                \
	do {                                                          \
		if ((call) != 0) {                                    \
			printf("# %s: %s\n", #call, strerror(errno)); \
			ktap_fail(__FILE__, __LINE__, #call " == 0"); \
		}                                                     \
	} while (0)

#define CHECK_ERROR(call, error)                                                    \
	do {                                                                        \
		errno = 0;                                                          \
		int result_ = (call);                                               \
		if (result_ != -1 || errno != (error)) {                            \
			printf("# %s: %d, %s\n", #call, result_, strerror(errno));  \
			ktap_fail(__FILE__, __LINE__, #call " fails with " #error); \
		}                                                                   \
	} while (0)

#endif
