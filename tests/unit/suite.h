/* SPDX-License-Identifier: MIT */
/* How a program of unit tests runs its suite. */
#ifndef LF_TESTS_SUITE_H
#define LF_TESTS_SUITE_H

#include <check.h>

/**
 * suite_run() - run all tests of a suite, and report as the environment asks (CK_VERBOSITY and others of Check)
 * @suite: is freed
 *
 * Return: what main() returns: EXIT_SUCCESS, or EXIT_FAILURE when a test failed.
 */
int suite_run(Suite *suite);

#endif
