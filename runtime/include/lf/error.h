/* SPDX-License-Identifier: MIT */
/*
 * The error value every fallible call of the library can fill: a negative errno and a sentence
 * that names what failed, on which object, and what to do. Nothing here prints.
 */
#ifndef LF_ERROR_H
#define LF_ERROR_H

#define LF_ERROR_TEXT_BYTES 512

/**
 * struct lf_error - why a call failed
 * @code: negative errno, 0 while nothing has failed
 * @text: one readable sentence without a trailing newline, always terminated
 *
 * Owned by the caller; the library keeps no pointer to it. Every function taking one
 * accepts NULL, in which case only the code is returned.
 */
struct lf_error {
	int code;
	char text[LF_ERROR_TEXT_BYTES];
};

/**
 * lf_error_set() - record a failure and return its code
 * @error: where to record it, may be NULL
 * @code: negative errno
 * @format: printf format of the sentence
 *
 * Return: @code, so that a failing function can end in one statement.
 */
int lf_error_set(struct lf_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * lf_error_prefix() - put what the caller was doing in front of a recorded sentence
 * @error: an error that has been set, may be NULL
 * @code: negative errno, as the failing call returned it
 * @format: printf format of the prefix; ": " is added behind it
 *
 * Return: @code.
 */
int lf_error_prefix(struct lf_error *error, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
